/* See queue.h. SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

static uint64_t weight(const struct reference *r)
{
    return segment_bytes(r->of, r->from, r->to) + sizeof *r;
}

static void grow(struct queue *q, struct lam_io *io)
{
    uint32_t cap = q->cap ? 2 * q->cap : 8;
    struct reference *ring = io->host->resize(NULL, 0, cap * sizeof *ring);
    for (uint32_t i = 0; i < q->n; i++) ring[i] = *queue_at(q, i);
    io->host->account(io, (int64_t)((cap - q->cap) * sizeof *ring));
    io->host->free(q->ring);
    q->ring = ring;
    q->head = 0;
    q->cap = cap;
}

void queue_push(struct queue *q, struct lam_io *io, struct segment *s, uint32_t from, uint32_t to)
{
    if (from == to) return;
    if (q->n == q->cap) grow(q, io);
    struct reference *r = queue_at(q, q->n++);
    *r = (struct reference){segment_ref(s), from, to};
    q->bytes += weight(r);
}

static void pop_head(struct queue *q)
{
    struct reference *r = queue_at(q, 0);
    q->bytes -= weight(r);
    segment_free(r->of);
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
}

static bool is_last_frame(const struct queue *q)
{
    return q->n == 1 && queue_at(q, 0)->to - queue_at(q, 0)->from == 1;
}

void queue_drop_oldest(struct queue *q, uint64_t bytes)
{
    while (q->n && q->bytes > bytes && !is_last_frame(q)) {
        struct reference *r = queue_at(q, 0);
        q->dropped_records += segment_records(r->of, r->from, r->from + 1);
        q->bytes -= segment_bytes(r->of, r->from, r->from + 1);
        if (++r->from == r->to) pop_head(q);
    }
}

void queue_drop_newest(struct queue *q, uint64_t bytes)
{
    while (q->n && q->bytes > bytes && !is_last_frame(q)) {
        struct reference *r = queue_at(q, q->n - 1);
        q->dropped_records += segment_records(r->of, r->to - 1, r->to);
        q->bytes -= segment_bytes(r->of, r->to - 1, r->to);
        if (r->from != --r->to) continue;
        q->bytes -= sizeof *r;
        segment_free(r->of);
        q->n--;
    }
}

int queue_parts(const struct queue *q, bool only_part, struct iovec *out, int max)
{
    int n = 0;
    if (q->part) {
        const struct frame *f = &q->part->frames[q->part_frame];
        out[n++] = (struct iovec){q->part->bytes + f[0].at + q->part_sent, f[1].at - f[0].at - q->part_sent};
    }
    for (uint32_t i = 0; !only_part && i < q->n && n < max; i++) {
        const struct reference *r = queue_at(q, i);
        out[n++] = (struct iovec){r->of->bytes + r->of->frames[r->from].at, segment_bytes(r->of, r->from, r->to)};
    }
    return n;
}

static size_t finish_part(struct queue *q, size_t n)
{
    size_t left = segment_bytes(q->part, q->part_frame, q->part_frame + 1) - q->part_sent;
    if (n < left) {
        q->part_sent += (uint32_t)n;
        return 0;
    }
    q->sent_frames++;
    q->sent_records += segment_records(q->part, q->part_frame, q->part_frame + 1);
    segment_free(q->part);
    q->part = NULL;
    return n - left;
}

/* How many frames of r, from its first, end within n bytes. */
static uint32_t whole_frames(const struct reference *r, size_t n)
{
    uint32_t low = r->from, high = r->to;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (segment_bytes(r->of, r->from, middle) <= n)
            low = middle;
        else
            high = middle - 1;
    }
    return low - r->from;
}

static void begin_part(struct queue *q, struct reference *r, size_t n)
{
    q->part = segment_ref(r->of);
    q->part_frame = r->from;
    q->part_sent = (uint32_t)n;
    q->last = r->of->frames[r->from + 1].sequence - 1;
    q->bytes -= segment_bytes(r->of, r->from, r->from + 1);
    if (++r->from == r->to) pop_head(q);
}

void queue_sent(struct queue *q, size_t n)
{
    if (q->part) n = finish_part(q, n);
    while (n) {
        struct reference *r = queue_at(q, 0);
        uint32_t k = whole_frames(r, n), bytes = segment_bytes(r->of, r->from, r->from + k);
        if (!k) {
            begin_part(q, r, n);
            return;
        }
        q->sent_frames += k;
        q->sent_records += segment_records(r->of, r->from, r->from + k);
        q->last = r->of->frames[r->from + k].sequence - 1;
        q->bytes -= bytes;
        n -= bytes;
        r->from += k;
        if (r->from == r->to) pop_head(q);
    }
}

uint64_t queue_records(const struct queue *q)
{
    uint64_t n = q->part ? segment_records(q->part, q->part_frame, q->part_frame + 1) : 0;
    for (uint32_t i = 0; i < q->n; i++)
        n += segment_records(queue_at(q, i)->of, queue_at(q, i)->from, queue_at(q, i)->to);
    return n;
}

void queue_clear_before(struct queue *q, uint64_t sequence)
{
    while (q->n && queue_at(q, 0)->of->frames[queue_at(q, 0)->to].sequence <= sequence) pop_head(q);
}

uint64_t queue_remove(struct queue *q, uint32_t view)
{
    uint64_t records = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < q->n; i++) {
        struct reference r = *queue_at(q, i);
        if (r.of->view != view) {
            *queue_at(q, kept++) = r;
            continue;
        }
        records += segment_records(r.of, r.from, r.to);
        q->bytes -= weight(&r);
        segment_free(r.of);
    }
    q->n = kept;
    return records;
}

void queue_done(struct queue *q, struct lam_io *io)
{
    while (q->n) pop_head(q);
    segment_free(q->part);
    io->host->account(io, -(int64_t)(q->cap * sizeof *q->ring));
    io->host->free(q->ring);
    *q = (struct queue){0};
}
