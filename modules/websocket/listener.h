/* A socket that listens, of a server sink or source. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_LISTENER_H
#define WEBSOCKET_LISTENER_H

#include <laminar_connector.h>

enum { LISTENER_NAME = 128 };

struct listening {
    const char *address; /* bind.address */
    const char *path;
    uint32_t backlog;
};

/* OK: *fd does not wait, and name is ws://address:port/path, which was logged. */
int listener_open(struct lam_io *io, const struct listening *l, int *fd, char name[LISTENER_NAME],
                  struct lam_error *err);
int listener_fail(struct lam_io *io, const struct listening *l, struct lam_error *err); /* by errno */

#endif
