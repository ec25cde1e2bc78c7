/* See buffer.h. SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <string.h>

#define FIRST 256

static void move_down(struct buffer *b)
{
    memmove(b->p, b->p + b->from, b->n - b->from);
    b->n -= b->from;
    b->from = 0;
}

char *buffer_room(struct buffer *b, struct lam_io *io, size_t n)
{
    if (b->cap - b->n < n && b->from >= b->cap / 2 && b->from) move_down(b);
    if (b->cap - b->n < n) {
        size_t cap = b->cap ? b->cap : FIRST;
        while (cap - b->n < n) cap *= 2;
        b->p = io->host->resize(b->p, b->cap, cap);
        io->host->account(io, (int64_t)(cap - b->cap));
        b->cap = cap;
    }
    return b->p + b->n;
}

void buffer_put(struct buffer *b, struct lam_io *io, const void *p, size_t n)
{
    if (!n) return;
    memcpy(buffer_room(b, io, n), p, n);
    b->n += n;
}

void buffer_take(struct buffer *b, size_t n)
{
    b->from += n;
    if (b->from == b->n) b->from = b->n = 0;
}

void buffer_done(struct buffer *b, struct lam_io *io)
{
    if (!b->p) return;
    io->host->account(io, -(int64_t)b->cap);
    io->host->free(b->p);
    *b = (struct buffer){0};
}
