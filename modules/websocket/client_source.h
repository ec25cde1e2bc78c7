/* The source in mode client: one outgoing connection, made again when it is lost. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_CLIENT_SOURCE_H
#define WEBSOCKET_CLIENT_SOURCE_H

#include "dial.h"

struct client_source {
    struct lam_io *io;
    struct dial dial;
    struct inbox inbox;
    const char *subscribe;
    bool reconnects;
    int64_t first_us, most_us, tries_most; /* tries_most 0: no end */
    int64_t pause_us, again_at;
    int64_t tries; /* in a row that came to nothing */
    int64_t lost_at;
    uint64_t gaps;
    bool was_ever_open;
    bool is_over;  /* nothing more comes */
    int result;    /* then: DONE, or the error */
};

int client_source_open(struct client_source *c, struct lam_io *io, struct lam_error *err);
void client_source_step(struct client_source *c, int64_t now);
int client_source_poll(struct client_source *c, int64_t now, struct lam_records *out, struct lam_error *err);
int client_source_wait(const struct client_source *c, struct pollfd *fds, int max, int64_t *at);
void client_source_close(struct client_source *c);

#endif
