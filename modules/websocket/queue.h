/* What a client has still to be sent, or what is kept for those who come back: a ring of references to frames, in
 * order, bounded by bytes. The frame that is partly sent stands apart, for it can no longer be dropped.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_QUEUE_H
#define WEBSOCKET_QUEUE_H

#include "segment.h"

#include <sys/uio.h>

struct reference {
    struct segment *of;
    uint32_t from, to; /* frames; never none */
};

struct queue {
    struct reference *ring; /* cap is a power of two */
    uint32_t head, n, cap;
    uint64_t bytes;       /* in the ring, with the references themselves */
    struct segment *part; /* NULL: no frame is partly sent */
    uint32_t part_frame, part_sent;
    uint64_t sent_records, sent_frames, dropped_records; /* part counts once it is sent */
    uint64_t last; /* sequence of the last record that was sent, or is being sent; 0: none */
};

void queue_push(struct queue *q, struct lam_io *io, struct segment *s, uint32_t from, uint32_t to);
/* Drop frames until `bytes` hold what is left; the last one stays. */
void queue_drop_oldest(struct queue *q, uint64_t bytes);
void queue_drop_newest(struct queue *q, uint64_t bytes);

/* The parts of memory to be sent next; only_part: no more than what is left of the frame begun. */
int queue_parts(const struct queue *q, bool only_part, struct iovec *out, int max);
void queue_sent(struct queue *q, size_t n);
uint64_t queue_records(const struct queue *q);               /* that are not sent */
void queue_clear_before(struct queue *q, uint64_t sequence); /* for one that is not sent */
uint64_t queue_remove(struct queue *q, uint32_t view); /* what is of that view and not begun; how many records */
void queue_done(struct queue *q, struct lam_io *io);

static inline bool queue_is_empty(const struct queue *q)
{
    return !q->n && !q->part;
}
static inline struct reference *queue_at(const struct queue *q, uint32_t i)
{
    return &q->ring[(q->head + i) & (q->cap - 1)];
}

#endif
