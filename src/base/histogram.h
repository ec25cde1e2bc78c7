/* A histogram of durations in microseconds, log-linear: values below 64 have a bucket each, above that 32 buckets share each
 * power of two, so a bucket is at most 1/32 of its values wide. It has a fixed size and allocates nothing.
 *
 * One thread adds, any number read while it does: the writer loads and stores, relaxed, its own cache lines only, and no
 * instruction locks anything. Readers go by the buckets alone, each of which is exact; between buckets they may see some of
 * the additions of that moment and not others, so what one call gives adds up, what two calls give may differ.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BITS    5  /* of precision */
#define HISTOGRAM_TOP     36 /* values from 2^36 us (19 hours) on share the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
    _Atomic uint64_t sum, max;
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline int histogram_bucket(uint64_t us)
{
    if (us < 2u << HISTOGRAM_BITS) return (int)us;
    if (us >> HISTOGRAM_TOP) return HISTOGRAM_BUCKETS - 1;
    int shift = 63 - __builtin_clzll(us) - HISTOGRAM_BITS;
    return (int)((uint64_t)shift << HISTOGRAM_BITS) + (int)(us >> shift);
}

/* The writer. A negative duration (a clock that was looked at twice in one tick) counts as 0. */
static inline void histogram_add(struct histogram *h, int64_t us)
{
    uint64_t v = us > 0 ? (uint64_t)us : 0;
    _Atomic uint64_t *b = &h->buckets[histogram_bucket(v)];
    atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&h->sum, atomic_load_explicit(&h->sum, memory_order_relaxed) + v, memory_order_relaxed);
    if (v > atomic_load_explicit(&h->max, memory_order_relaxed)) atomic_store_explicit(&h->max, v, memory_order_relaxed);
}

/* ---- readers */

void histogram_copy(struct histogram *to, const struct histogram *from);
uint64_t histogram_count(const struct histogram *h);
static inline uint64_t histogram_sum(const struct histogram *h) { return atomic_load_explicit(&h->sum, memory_order_relaxed); }
static inline uint64_t histogram_max(const struct histogram *h) { return atomic_load_explicit(&h->max, memory_order_relaxed); }
/* The value that a share `p` (0 to 1) of all values does not pass: the highest value of its bucket, at most the maximum; 0 when
 * there are none. */
uint64_t histogram_percentile(const struct histogram *h, double p);
/* counts[i]: how many values are <= bounds[i], to a bucket's precision; bounds ascend. Returns how many there are in all. */
uint64_t histogram_cumulative(const struct histogram *h, const uint64_t *bounds, int n, uint64_t *counts);

#endif
