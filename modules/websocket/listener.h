/* A socket that listens, of a server sink or source. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_LISTENER_H
#define WEBSOCKET_LISTENER_H

#include <laminar_connector.h>

enum { LISTENER_NAME = 128 };

struct listening {
    const char *address; /* bind.address */
    const char *path;
    uint32_t backlog;
    bool is_tls;     /* for the name alone */
    bool is_guarded; /* may be reached from other machines: who comes is asked for a login, or the user said that it need not be */
};

/* OK: *fd does not wait, and name is ws://address:port/path, which was logged. OPTION: the address is no loopback's, and it is
 * not guarded. */
int listener_open(struct lam_io *io, const struct listening *l, int *fd, char name[LISTENER_NAME],
                  struct lam_error *err);
int listener_fail(struct lam_io *io, const struct listening *l, struct lam_error *err); /* by errno */

#endif
