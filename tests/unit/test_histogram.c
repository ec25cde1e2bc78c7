/* The histogram against the values themselves. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/histogram.h"

#include <pthread.h>
#include <stdbool.h>

#define N 20000

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t next_random(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 20;
}

/* Values of all magnitudes: a random number of random bits. */
static void fill(struct histogram *h, int64_t *v, uint64_t seed)
{
    for (int i = 0; i < N; i++) {
        uint64_t bits = next_random(&seed) % 36;
        v[i] = (int64_t)(next_random(&seed) & ((1ull << bits) - 1));
        histogram_add(h, v[i]);
    }
    qsort(v, N, sizeof *v, compare);
}

static struct histogram *fresh(void) { return calloc(1, sizeof(struct histogram)); }

static void percentiles_are_within_a_bucket(void **state)
{
    (void)state;
    static const double share[] = {0, 0.0001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1};
    static int64_t v[N];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct histogram *h = fresh();
        fill(h, v, seed);
        for (size_t i = 0; i < sizeof share / sizeof *share; i++) {
            int rank = (int)(share[i] * N + 0.999999);
            int64_t exact = v[rank ? rank - 1 : 0], got = (int64_t)histogram_percentile(h, share[i]);
            assert_true(got >= exact);
            assert_true(got - exact <= exact / 32);
        }
        free(h);
    }
}

static void count_sum_and_max_are_exact(void **state)
{
    (void)state;
    static int64_t v[N];
    struct histogram *h = fresh();
    fill(h, v, 7);
    uint64_t sum = 0;
    for (int i = 0; i < N; i++) sum += (uint64_t)v[i];
    assert_int_equal(histogram_count(h), N);
    assert_int_equal(histogram_sum(h), sum);
    assert_int_equal(histogram_max(h), v[N - 1]);
    assert_int_equal(histogram_percentile(h, 1), v[N - 1]);
    free(h);
}

/* Bounds on an edge between buckets are exact, others to a bucket. */
static void cumulative_counts_are_what_is_below(void **state)
{
    (void)state;
    static int64_t v[N];
    static const uint64_t bounds[] = {0, 1, 63, 127, 1023, 1000000, (1 << 20) - 1, 60000000, (1ull << 33) - 1};
    uint64_t counts[sizeof bounds / sizeof *bounds];
    struct histogram *h = fresh();
    fill(h, v, 3);
    assert_int_equal(histogram_cumulative(h, bounds, 9, counts), N);
    for (int k = 0; k < 9; k++) {
        uint64_t at_most = 0, surely = 0;
        for (int i = 0; i < N; i++) {
            at_most += (uint64_t)v[i] <= bounds[k];
            surely += (uint64_t)v[i] <= bounds[k] - bounds[k] / 32;
        }
        bool edge = ((bounds[k] + 1) & bounds[k]) == 0;
        assert_true(counts[k] <= at_most && counts[k] >= surely);
        if (edge) assert_int_equal(counts[k], at_most);
    }
    free(h);
}

static void extremes_have_a_bucket(void **state)
{
    (void)state;
    struct histogram *h = fresh();
    assert_int_equal(histogram_percentile(h, 0.5), 0);
    histogram_add(h, -5);
    histogram_add(h, INT64_MAX);
    histogram_add(h, (int64_t)1 << HISTOGRAM_TOP);
    histogram_add(h, ((int64_t)1 << HISTOGRAM_TOP) - 1);
    assert_int_equal(histogram_count(h), 4);
    assert_int_equal(histogram_percentile(h, 0.25), 0);
    assert_int_equal(histogram_percentile(h, 1), INT64_MAX);
    free(h);
}

static void buckets_ascend_without_a_gap(void **state)
{
    (void)state;
    int last = -1;
    for (uint64_t v = 0; v < 1 << 20; v++) {
        int b = histogram_bucket(v);
        assert_true(b == last || b == last + 1);
        last = b;
    }
    for (int bit = 20; bit < HISTOGRAM_TOP; bit++)
        assert_int_equal(histogram_bucket(1ull << bit), histogram_bucket((1ull << bit) - 1) + 1);
}

static void *add_many(void *arg)
{
    for (int i = 0; i < 200000; i++) histogram_add(arg, i % 5000);
    return NULL;
}

/* A reader beside the writer never sees less than before, nor more than was added. */
static void reads_beside_the_writer_only_grow(void **state)
{
    (void)state;
    struct histogram *h = fresh();
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, add_many, h), 0);
    for (uint64_t last = 0; last < 200000;) {
        uint64_t n = histogram_count(h);
        assert_true(n >= last && n <= 200000);
        last = n;
    }
    pthread_join(t, NULL);
    assert_int_equal(histogram_count(h), 200000);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_a_bucket), cmocka_unit_test(count_sum_and_max_are_exact),
        cmocka_unit_test(cumulative_counts_are_what_is_below), cmocka_unit_test(extremes_have_a_bucket),
        cmocka_unit_test(buckets_ascend_without_a_gap), cmocka_unit_test(reads_beside_the_writer_only_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
