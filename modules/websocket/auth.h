/* How an outgoing connection says who it is. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_AUTH_H
#define WEBSOCKET_AUTH_H

#include "buffer.h"

/* OK, or OPTION when the options do not fit together. */
int auth_check(struct lam_io *io, struct lam_error *err);
/* Header lines of a request for `target`, as the options say; auth.type hmac signs the time. */
void auth_put(struct lam_io *io, const char *target, struct buffer *out);

#endif
