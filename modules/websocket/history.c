/* See history.h. SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

static void grow(struct history *h, struct lam_io *io)
{
    uint32_t cap = h->cap ? 2 * h->cap : 16;
    struct written *ring = io->host->resize(NULL, 0, cap * sizeof *ring);
    for (uint32_t i = 0; i < h->n; i++) ring[i] = *history_at(h, i);
    io->host->account(io, (int64_t)((cap - h->cap) * sizeof *ring));
    io->host->free(h->ring);
    h->ring = ring;
    h->head = 0;
    h->cap = cap;
}

static void drop_oldest(struct history *h, struct lam_io *io)
{
    const struct written *w = history_at(h, 0);
    h->bytes -= w->bytes;
    io->host->kept_free(w->rows);
    h->head = (h->head + 1) & (h->cap - 1);
    h->n--;
}

static struct written *begin(struct history *h, struct lam_io *io, uint64_t sequence)
{
    if (h->n == h->cap) grow(h, io);
    struct written *w = history_at(h, h->n++);
    *w = (struct written){.sequence = sequence, .end = sequence};
    return w;
}

void history_add(struct history *h, struct lam_io *io, const struct lam_rows *rows, int64_t n, uint64_t sequence,
                 uint64_t frame_bytes, uint64_t max)
{
    struct written *w = h->n ? history_at(h, h->n - 1) : begin(h, io, sequence);
    for (int64_t i = 0; i < n;) {
        int64_t held, k = io->host->rows_keep(io, &w->rows, rows, i, n - i, &held);
        if (!k) {
            w = begin(h, io, sequence + (uint64_t)i);
            continue;
        }
        i += k;
        w->end += (uint64_t)k;
        w->frame_bytes += frame_bytes * (uint64_t)k / (uint64_t)n;
        h->bytes -= w->bytes;
        w->bytes = sizeof *w + ((uint64_t)held > w->frame_bytes ? (uint64_t)held : w->frame_bytes);
        h->bytes += w->bytes;
    }
    while (h->n && h->bytes > max) drop_oldest(h, io);
}

void history_done(struct history *h, struct lam_io *io)
{
    while (h->n) drop_oldest(h, io);
    io->host->account(io, -(int64_t)(h->cap * sizeof *h->ring));
    io->host->free(h->ring);
    *h = (struct history){0};
}
