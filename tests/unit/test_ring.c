/* The ring between two threads. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/env.h"
#include "base/gate.h"
#include "base/ring.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define MESSAGES 1000000
#else
#define MESSAGES 10000000
#endif

static struct msg number(uint64_t i)
{
    struct msg m = msg_make(MSG_BATCH, 0, i & 0xffffffffffff);
    m.ts = (int64_t)(i * 3);
    return m;
}

static void keeps_order_and_room(void **state)
{
    (void)state;
    struct ring *r = ring_new(8, UINT64_MAX);
    struct msg m;
    assert_true(ring_empty(r));
    assert_false(ring_pop(r, &m));
    for (uint64_t lap = 0; lap < 5; lap++) {
        for (uint64_t i = 0; i < 6; i++) assert_true(ring_push(r, number(i), 0));
        assert_false(ring_has_room(r));
        assert_false(ring_push(r, number(6), 0)); /* the last two slots are not for data */
        ring_push_reserved(r, msg_make(MSG_BARRIER, BARRIER_FREEZE, 99));
        ring_push_reserved(r, msg_make(MSG_END, END_FLUSH, 0));
        assert_int_equal(ring_fill(r), 8);
        for (uint64_t i = 0; i < 6; i++) {
            assert_true(ring_pop(r, &m));
            assert_int_equal(msg_tag(m), MSG_BATCH);
            assert_int_equal(msg_epoch(m), i);
        }
        assert_true(ring_pop(r, &m));
        assert_int_equal(msg_tag(m), MSG_BARRIER);
        assert_int_equal(msg_kind(m), BARRIER_FREEZE);
        assert_int_equal(msg_epoch(m), 99);
        assert_true(ring_pop(r, &m));
        assert_int_equal(msg_tag(m), MSG_END);
        assert_false(ring_pop(r, &m));
    }
    ring_free(r);
}

static void bytes_bound_it_too(void **state)
{
    (void)state;
    struct ring *r = ring_new(64, 1000);
    struct msg m;
    assert_true(ring_push(r, number(0), 5000)); /* one is taken, however large */
    assert_false(ring_push(r, number(1), 1));
    assert_true(ring_pop(r, &m));
    assert_false(ring_has_room(r)); /* what was popped is held until it is done with */
    ring_taken(r, 5000);
    assert_true(ring_push(r, number(1), 600));
    assert_true(ring_push(r, number(2), 600));
    assert_false(ring_push(r, number(3), 1));
    ring_free(r);
}

static void closing_is_seen(void **state)
{
    (void)state;
    struct ring *r = ring_new(4, 1000);
    assert_false(ring_closed(r));
    ring_close(r);
    assert_true(ring_closed(r));
    ring_free(r);
}

struct both {
    struct ring *ring;
    struct gate full, empty; /* where the producer and the consumer park */
    uint64_t out_of_order, sum;
};

static void produce(void *p)
{
    struct both *b = p;
    struct ladder l = {0};
    for (uint64_t i = 0; i < MESSAGES;) {
        if (ring_push(b->ring, number(i), 16)) {
            i++;
            l.step = 0;
            gate_wake(&b->empty);
        } else if (!ladder_climb(&l)) {
            gate_prepare(&b->full);
            if (ring_has_room(b->ring))
                gate_cancel(&b->full);
            else
                gate_park(&b->full, -1);
        }
    }
    ring_push_reserved(b->ring, msg_make(MSG_END, END_FLUSH, 0));
    gate_wake(&b->empty);
}

static void consume(struct both *b)
{
    struct msg m;
    struct ladder l = {0};
    for (uint64_t i = 0;;) {
        if (ring_pop(b->ring, &m)) {
            l.step = 0;
            if (msg_tag(m) == MSG_END) return;
            b->out_of_order += m.ts != (int64_t)(i * 3);
            b->sum++;
            i++;
            ring_taken(b->ring, 16);
            gate_wake(&b->full);
        } else if (!ladder_climb(&l)) {
            gate_prepare(&b->empty);
            if (!ring_empty(b->ring))
                gate_cancel(&b->empty);
            else
                gate_park(&b->empty, -1);
        }
    }
}

static void two_threads(void **state)
{
    (void)state;
    struct both b = {.ring = ring_new(256, 16 * 100)}; /* both bounds are met */
    ok(gate_init(&b.full, false, NULL));
    ok(gate_init(&b.empty, false, NULL));
    struct thread *t;
    ok(env_thread(env_real(), "producer", produce, &b, &t, NULL));
    consume(&b);
    thread_join(t);
    assert_int_equal(b.sum, MESSAGES);
    assert_int_equal(b.out_of_order, 0);
    assert_true(ring_empty(b.ring));
    gate_done(&b.full);
    gate_done(&b.empty);
    ring_free(b.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_room),
        cmocka_unit_test(bytes_bound_it_too),
        cmocka_unit_test(closing_is_seen),
        cmocka_unit_test(two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
