/* Bytes that come at one end and go at the other. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_BUFFER_H
#define WEBSOCKET_BUFFER_H

#include <laminar_connector.h>

struct buffer {
    char *p;
    size_t from, n, cap; /* there are [from, n) */
};

char *buffer_room(struct buffer *b, struct lam_io *io, size_t n); /* behind what is there; then add to b->n */
void buffer_put(struct buffer *b, struct lam_io *io, const void *p, size_t n);
void buffer_take(struct buffer *b, size_t n);
void buffer_done(struct buffer *b, struct lam_io *io);

static inline size_t buffer_left(const struct buffer *b)
{
    return b->n - b->from;
}

#endif
