/* A single-producer, single-consumer ring of 16-byte messages: every edge between two hosts.
 *
 * Indices run freely and are masked; head is written by the consumer only, tail by the producer only,
 * each on its own cache line with a cached copy of the other's index beside it, so that a
 * transfer touches a foreign line only when the cached view says full or empty. push: write the slot,
 * release-store tail; pop: acquire-load tail, read the slot, release-store head. The acquire of one
 * side pairs with the release of the other; nothing else is shared but `closed`, which the consumer
 * sets once and the producer reads.
 *
 * Two slots beyond `room` belong to BARRIER and END, so those two always fit: at most one barrier is
 * under way in a component, and END comes once. Data, counted in batches and in bytes held, may not
 * take them. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include "base/status.h"

#include <stdatomic.h>

enum msg_tag { MSG_BATCH = 1, MSG_WATERMARK, MSG_IDLE, MSG_BARRIER, MSG_END };
/* kinds of MSG_END */
enum { END_FLUSH = 1, END_HOLD, END_CUT, END_MOVED /* of this channel only: another has taken its place */ };
/* flags in `kind` of MSG_BARRIER */
enum { BARRIER_FREEZE = 1, BARRIER_CHANGE = 2, BARRIER_DRAIN = 4, BARRIER_HOLD = 8 /* the reader pauses behind it */, BARRIER_IDLE = 128 /* the channel is idle */ };

/* 16 bytes: tag 8, kind 8, epoch 48, then ts or batch. BARRIER and END carry the channel's
 * pending watermark in ts (TS_MIN: none), so coalescing never lets one overtake it. */
struct msg {
    uint64_t head;
    union {
        int64_t ts;
        void *batch;
    };
};
static inline struct msg msg_make(enum msg_tag tag, int kind, uint64_t epoch)
{
    return (struct msg){.head = (uint64_t)tag | (uint64_t)(uint8_t)kind << 8 | epoch << 16};
}
static inline enum msg_tag msg_tag(struct msg m) { return (enum msg_tag)(m.head & 255); }
static inline int msg_kind(struct msg m) { return (int)(m.head >> 8 & 255); }
static inline uint64_t msg_epoch(struct msg m) { return m.head >> 16; }

struct ring {
    /* consumer */
    _Alignas(64) _Atomic uint32_t head;
    uint32_t tail_seen;
    _Atomic uint64_t bytes_out;
    _Atomic bool closed;
    /* set by a producer that found no room, before it looks again; taken by the consumer after a pop, which then
     * wakes it: the same store-fence-load argument as in gate.h */
    _Alignas(64) _Atomic bool wanted;
    /* producer */
    _Alignas(64) _Atomic uint32_t tail;
    uint32_t head_seen;
    uint64_t bytes_in;
    /* fixed */
    _Alignas(64) uint32_t mask;
    uint32_t room;      /* data slots */
    uint64_t bytes_max; /* a batch is refused while bytes inside reach this */
    struct msg slots[];
};

/* slots >= 4, a power of two; slots - 2 of them carry data. */
struct ring *ring_new(uint32_t slots, uint64_t bytes_max);
void ring_free(struct ring *r); /* the consumer has drained it */
/* Producer. Data and watermarks: false when there is no room. */
bool ring_push(struct ring *r, struct msg m, uint32_t bytes);
/* Producer. BARRIER and END: always fits. */
void ring_push_reserved(struct ring *r, struct msg m);
bool ring_has_room(struct ring *r);
/* Producer, having found no room: true when there still is none, and the consumer will wake it. */
bool ring_want_room(struct ring *r);
/* Consumer. */
bool ring_pop(struct ring *r, struct msg *out);
void ring_taken(struct ring *r, uint32_t bytes); /* after popping a batch of that many bytes held */
/* Consumer, after popping: true when the producer waits and half of the room is free, so it is to be woken. */
bool ring_wake_producer(struct ring *r);
bool ring_empty(struct ring *r);
static inline void ring_close(struct ring *r) { atomic_store_explicit(&r->closed, true, memory_order_release); }
static inline bool ring_closed(struct ring *r) { return atomic_load_explicit(&r->closed, memory_order_acquire); }
/* Anyone, for display: the producer has found no room. */
static inline bool ring_is_waited_for(struct ring *r) { return atomic_load_explicit(&r->wanted, memory_order_relaxed); }
/* Anyone, for display: how many messages are inside. */
static inline uint32_t ring_fill(struct ring *r)
{
    return atomic_load_explicit(&r->tail, memory_order_relaxed) - atomic_load_explicit(&r->head, memory_order_relaxed);
}

#endif
