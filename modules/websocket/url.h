/* Where an outgoing connection goes: ws:// or wss://. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_URL_H
#define WEBSOCKET_URL_H

#include <laminar_connector.h>

struct url {
    char name[300];    /* for messages: scheme, host and port; a path or query may hold what nobody is to see */
    char connect[300]; /* the same for libcurl */
    char host[280];    /* the header Host */
    char *target;      /* path and query */
};

/* OK or OPTION. */
int url_read(struct lam_io *io, const char *text, struct url *out, struct lam_error *err);
void url_done(struct url *u, struct lam_io *io);

#endif
