/* The feed: order, bounds, and two threads at it. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/feed.h"
#include "base/mem.h"

#include <pthread.h>

/* Items stand for batches of one row whose number is the pointer. */
static struct feed_item item(uint64_t n, uint32_t bytes)
{
    return (struct feed_item){.batch = (void *)(n + 1), .rows = 1, .bytes = bytes, .mark = {.batches = n, .rows = n}};
}

static uint64_t number(const struct feed_item *i) { return (uint64_t)i->batch - 1; }

static uint64_t put(struct feed *f, uint64_t n, uint32_t bytes)
{
    struct feed_item i = item(n, bytes), gone;
    uint64_t dropped = 0;
    while (!feed_has_room(f) && feed_drop(f, &gone)) dropped++;
    feed_put(f, &i);
    return dropped;
}

static void test_oldest_go(void **state)
{
    (void)state;
    struct feed *f = feed_new(4, 1000);
    struct feed_item i;
    assert_false(feed_take(f, &i));
    for (uint64_t n = 0; n < 11; n++) assert_int_equal(put(f, n, 1), n >= 4);
    for (uint64_t n = 7; n < 11; n++) {
        assert_true(feed_take(f, &i));
        assert_int_equal(number(&i), n);
    }
    assert_false(feed_take(f, &i));
    assert_int_equal(put(f, 11, 1), 0);
    assert_true(feed_take(f, &i));
    assert_int_equal(number(&i), 11);
    feed_free(f);
}

static void test_bytes(void **state)
{
    (void)state;
    struct feed *f = feed_new(16, 100);
    struct feed_item i;
    for (uint64_t n = 0; n < 10; n++) assert_int_equal(put(f, n, 10), 0);
    assert_int_equal(put(f, 10, 50), 1);  /* full at a hundred: one gives way */
    assert_int_equal(put(f, 11, 500), 5); /* 140 inside: until less than a hundred are */
    assert_int_equal(put(f, 12, 10), 6); /* and the big one, too */
    assert_true(feed_take(f, &i));
    assert_int_equal(number(&i), 12);
    assert_true(feed_has_room(f));
    assert_false(feed_take(f, &i));
    feed_free(f);
}

static void test_said(void **state)
{
    (void)state;
    struct feed *f = feed_new(4, 1000);
    struct feed_item i;
    struct feed_mark m = {.watermark = 5, .epoch = 2, .idle = true}, out;
    assert_true(feed_said(f, &out));
    assert_int_equal(out.watermark, INT64_MIN);
    put(f, 0, 1);
    feed_say(f, &m);
    assert_false(feed_said(f, &out)); /* a row stands before it */
    assert_true(feed_take(f, &i));
    assert_true(feed_said(f, &out));
    assert_int_equal(out.watermark, 5);
    assert_int_equal(out.epoch, 2);
    assert_true(out.idle);
    feed_free(f);
}

static void test_warm_is_free(void **state)
{
    (void)state;
    struct feed *f = feed_new(4, 1000);
    struct feed_item i;
    uint64_t n = 0;
    for (; n < 100; n++) {
        put(f, n, 1);
        if (n % 3 == 0) feed_take(f, &i);
    }
    uint64_t before = mem_alloc_count();
    for (; n < 10000; n++) {
        put(f, n, 1);
        if (n % 3 == 0) feed_take(f, &i);
    }
    while (feed_take(f, &i)) {}
    assert_int_equal(mem_alloc_count(), before);
    feed_free(f);
}

#define MANY 300000

struct race {
    struct feed *f;
    uint64_t dropped;
    _Atomic bool done;
};

static void *produce(void *arg)
{
    struct race *r = arg;
    for (uint64_t n = 0; n < MANY; n++) {
        r->dropped += put(r->f, n, (uint32_t)(n % 7));
        struct feed_mark m = {.watermark = (int64_t)n};
        if (n % 5 == 0) feed_say(r->f, &m);
    }
    struct feed_mark end = {.watermark = MANY, .end = 1};
    feed_say(r->f, &end);
    return NULL;
}

static void test_race(void **state)
{
    (void)state;
    for (uint32_t slots = 2; slots <= 64; slots *= 4) {
        struct race r = {.f = feed_new(slots, 100)};
        pthread_t t;
        pthread_create(&t, NULL, produce, &r);
        uint64_t next = 0, taken = 0, missed = 0;
        for (;;) {
            struct feed_item i;
            struct feed_mark m;
            if (feed_take(r.f, &i)) {
                assert_true(number(&i) >= next);
                missed += number(&i) - next;
                next = number(&i) + 1;
                taken++;
            } else if (feed_said(r.f, &m)) {
                assert_true(m.watermark <= (int64_t)next); /* never ahead of a row */
                if (m.end) break;
            }
        }
        pthread_join(t, NULL);
        assert_int_equal(taken + missed, MANY);
        assert_int_equal(missed, r.dropped);
        feed_free(r.f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_go), cmocka_unit_test(test_bytes), cmocka_unit_test(test_said),
        cmocka_unit_test(test_warm_is_free), cmocka_unit_test(test_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
