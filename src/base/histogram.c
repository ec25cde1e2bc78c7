/* What readers of a histogram see; see histogram.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include <math.h>

/* The highest value that falls into bucket i. */
static uint64_t bucket_top(int i)
{
    if (i < 2 << HISTOGRAM_BITS) return (uint64_t)i;
    if (i == HISTOGRAM_BUCKETS - 1) return UINT64_MAX;
    int shift = (i >> HISTOGRAM_BITS) - 1;
    uint64_t first = (uint64_t)(i & ((1 << HISTOGRAM_BITS) - 1)) + (1u << HISTOGRAM_BITS);
    return ((first + 1) << shift) - 1;
}

static uint64_t bucket_count(const struct histogram *h, int i)
{
    return atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
}

void histogram_copy(struct histogram *to, const struct histogram *from)
{
    atomic_store_explicit(&to->sum, histogram_sum(from), memory_order_relaxed);
    atomic_store_explicit(&to->max, histogram_max(from), memory_order_relaxed);
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) atomic_store_explicit(&to->buckets[i], bucket_count(from, i), memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t n = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) n += bucket_count(h, i);
    return n;
}

uint64_t histogram_percentile(const struct histogram *h, double p)
{
    uint64_t n = histogram_count(h), seen = 0, max = histogram_max(h);
    uint64_t rank = (uint64_t)ceil(p * (double)n);
    if (!n) return 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += bucket_count(h, i);
        if (seen >= rank && seen) return bucket_top(i) < max ? bucket_top(i) : max;
    }
    return max;
}

uint64_t histogram_cumulative(const struct histogram *h, const uint64_t *bounds, int n, uint64_t *counts)
{
    uint64_t seen = 0;
    int k = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t top = bucket_top(i);
        while (k < n && bounds[k] < top) counts[k++] = seen;
        seen += bucket_count(h, i);
    }
    while (k < n) counts[k++] = seen;
    return seen;
}
