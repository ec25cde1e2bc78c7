/* What a client is sending, until it is whole. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_MESSAGE_H
#define WEBSOCKET_MESSAGE_H

#include "deflate.h"

struct message {
    char *p; /* cap is 0 between messages */
    size_t n, cap;
    uint64_t told; /* bytes of its frames, by their heads */
    uint8_t opcode;
    bool is_deflated;
    bool is_control; /* the frame that comes is none of it */
};

/* A frame begins, of which its head is known: `continues` another, or is the first. False: the message is longer than max. */
bool message_frame(struct message *m, bool continues, uint8_t opcode, bool deflated, uint64_t n, uint64_t max);
/* Adds bytes; behind them is room for one more, which who reads the message may write to. False: it is no small message, and *pool, the
 * bytes of all that are not whole, would be more than most. */
bool message_add(struct message *m, struct lam_io *io, uint64_t *pool, uint64_t most, const void *p, size_t n);
/* The plain message takes the compressed one's place. 0, or the code to close with. */
uint16_t message_inflate(struct message *m, struct lam_io *io, uint64_t *pool, struct deflater *d, uint64_t max);
void message_done(struct message *m, struct lam_io *io, uint64_t *pool);

#endif
