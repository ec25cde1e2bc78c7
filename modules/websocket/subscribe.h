/* What clients ask for and are answered: subscribe, unsubscribe, ping. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_SUBSCRIBE_H
#define WEBSOCKET_SUBSCRIBE_H

#include "client.h"

enum { VIEW_WHY = 800, SUBSCRIBE_RATE = 10 /* a second */ };

/* A whole message: p[0..n), which is written over, and p[n] as well. */
void subscribe_hear(struct client *c, uint8_t opcode, char *p, size_t n);
/* Who has just come gets what its request asks for. */
void subscribe_greet(struct client *c, const struct handshake *h);
/* All members are told that `why` ends it, and leave it: it is gone. */
void subscribe_end(struct view *v, const char *why);
void subscribe_leave(struct client *c, struct view *v, const char *why); /* it alone; a view that nobody else has is gone */
void subscribe_tell(struct view *v, const char *why); /* an error that ends nothing */

#endif
