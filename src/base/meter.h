/* A meter: how something that runs spends its time. Busy is the time of its steps; blocked, the time in which it has rows in
 * hand and no room below; idle is the rest. One thread at a time writes, relaxed loads and stores; any number read. A block that
 * has not ended yet counts up to the reader's now. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_METER_H
#define BASE_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct meter {
    _Atomic int64_t busy_us, blocked_us;
    _Atomic int64_t blocked_at; /* the block under way began then; 0: there is none */
    _Atomic uint64_t blocks;    /* how many there have been: once per wait */
};

static inline void meter_add(_Atomic int64_t *to, int64_t us)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + us, memory_order_relaxed);
}
static inline void meter_count(_Atomic uint64_t *to, uint64_t n)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void meter_busy(struct meter *m, int64_t from, int64_t to) { meter_add(&m->busy_us, to - from); }
static inline bool meter_is_blocked(const struct meter *m)
{
    return atomic_load_explicit(&m->blocked_at, memory_order_relaxed);
}
static inline void meter_block(struct meter *m, int64_t now)
{
    if (meter_is_blocked(m)) return;
    atomic_store_explicit(&m->blocked_at, now, memory_order_relaxed);
    meter_count(&m->blocks, 1);
}
static inline void meter_unblock(struct meter *m, int64_t now)
{
    if (!meter_is_blocked(m)) return;
    meter_add(&m->blocked_us, now - atomic_load_explicit(&m->blocked_at, memory_order_relaxed));
    atomic_store_explicit(&m->blocked_at, 0, memory_order_relaxed);
}

/* Readers. */
static inline int64_t meter_busy_us(const struct meter *m) { return atomic_load_explicit(&m->busy_us, memory_order_relaxed); }
static inline int64_t meter_blocked_us(const struct meter *m, int64_t now)
{
    int64_t done = atomic_load_explicit(&m->blocked_us, memory_order_relaxed);
    int64_t at = atomic_load_explicit(&m->blocked_at, memory_order_relaxed);
    return at && now > at ? done + (now - at) : done;
}

#endif
