/* Which side of a WebSocket a source or sink is; options of the other are refused. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_MODE_H
#define WEBSOCKET_MODE_H

#include <laminar_connector.h>

enum mode { MODE_CLIENT, MODE_SERVER };

struct mode_options {
    const char *const *client, *const *server; /* names of options that only one mode has; NULL-ended */
    const struct refused_option {
        const char *name, *instead;
    } *refused; /* ended by one without a name */
};

/* Names of DIAL_OPTIONS. */
#define DIAL_NAMES                                                                                                     \
    "url", "headers", "origin", "subprotocol", "auth.api.key", "auth.secret", "ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "proxy",     \
        "connect.timeout.ms"

/* As the user says it, or by which of url and bind.address there is. Any thread. */
enum mode mode_of(const struct lam_host *h, const struct lam_options *o, enum mode usual);
/* OK or OPTION. */
int mode_check(struct lam_io *io, enum mode m, const struct mode_options *all, struct lam_error *err);

#endif
