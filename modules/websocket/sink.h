/* The two sides of the sink `websocket`: which one is called is chosen by its mode. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_SINK_H
#define WEBSOCKET_SINK_H

#include "client_sink.h"
#include "server.h"

/* As those of the class. */
struct sink_calls {
    int (*open)(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err);
    int (*write)(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows, int64_t *accepted,
                 struct lam_error *err);
    int (*flush)(struct lam_io *io, struct lam_error *err);
    int (*serve)(struct lam_io *io, struct lam_error *err);
    int (*wait)(struct lam_io *io, struct pollfd *fds, int max, int64_t *at);
    int (*close)(struct lam_io *io, bool complete, struct lam_error *err);
};
extern const struct sink_calls server_sink_calls, client_sink_calls;

/* What an instance is; each side finds its own at the beginning. */
struct sink_self {
    union {
        struct server server;
        struct client_sink client;
    };
    const struct sink_calls *calls; /* NULL: it is not open */
};

/* Calls of the class. */
int websocket_sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err);
int websocket_sink_write(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows,
                         int64_t *accepted, struct lam_error *err);
int websocket_sink_flush(struct lam_io *io, struct lam_error *err);
int websocket_sink_serve(struct lam_io *io, struct lam_error *err);
int websocket_sink_wait(struct lam_io *io, struct pollfd *fds, int max, int64_t *at);
int websocket_sink_close(struct lam_io *io, bool complete, struct lam_error *err);

#endif
