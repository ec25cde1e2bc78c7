/* The SPSC ring. See ring.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include "base/mem.h"
#include "base/noise.h"

#include <string.h>

struct ring *ring_new(uint32_t slots, uint64_t bytes_max)
{
    INVARIANT(slots >= 4 && (slots & (slots - 1)) == 0);
    size_t n = sizeof(struct ring) + sizeof(struct msg) * slots;
    struct ring *r = mem_aligned(64, n);
    memset(r, 0, n);
    r->mask = slots - 1;
    r->room = slots - 2;
    r->bytes_max = bytes_max;
    return r;
}

void ring_free(struct ring *r) { mem_free(r); }

static uint32_t used(struct ring *r, uint32_t tail, uint32_t limit)
{
    if (tail - r->head_seen >= limit)
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire); /* pairs with ring_pop */
    return tail - r->head_seen;
}

bool ring_has_room(struct ring *r)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (used(r, tail, r->room) >= r->room) return false;
    return r->bytes_in - atomic_load_explicit(&r->bytes_out, memory_order_relaxed) < r->bytes_max;
}

static void put(struct ring *r, struct msg m)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    r->slots[tail & r->mask] = m;
    noise();
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release); /* pairs with ring_pop's acquire */
}

bool ring_push(struct ring *r, struct msg m, uint32_t bytes)
{
    if (!ring_has_room(r)) return false;
    r->bytes_in += bytes;
    put(r, m);
    return true;
}

void ring_push_reserved(struct ring *r, struct msg m)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    INVARIANT(used(r, tail, r->mask + 1) <= r->mask);
    put(r, m);
}

bool ring_pop(struct ring *r, struct msg *out)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == r->tail_seen) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire); /* pairs with put */
        if (head == r->tail_seen) return false;
    }
    *out = r->slots[head & r->mask];
    noise();
    atomic_store_explicit(&r->head, head + 1, memory_order_release); /* the slot may be reused */
    return true;
}

void ring_taken(struct ring *r, uint32_t bytes)
{
    uint64_t out = atomic_load_explicit(&r->bytes_out, memory_order_relaxed);
    atomic_store_explicit(&r->bytes_out, out + bytes, memory_order_relaxed);
}

bool ring_want_room(struct ring *r)
{
    noise();
    atomic_store_explicit(&r->wanted, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with ring_wake_producer's */
    r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    if (!ring_has_room(r)) return true;
    atomic_store_explicit(&r->wanted, false, memory_order_relaxed);
    return false;
}

bool ring_wake_producer(struct ring *r)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with ring_want_room's */
    if (!atomic_load_explicit(&r->wanted, memory_order_relaxed)) return false;
    if (ring_fill(r) > r->room / 2 && !ring_closed(r)) return false;
    return atomic_exchange_explicit(&r->wanted, false, memory_order_relaxed);
}

bool ring_empty(struct ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_relaxed) ==
           atomic_load_explicit(&r->tail, memory_order_acquire);
}
