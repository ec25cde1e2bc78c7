/* Buffer pools: recycling, and buffers that come back from other threads. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "arrow/batch.h"
#include "base/env.h"
#include "base/gate.h"
#include "base/ring.h"

#include <sched.h>

static void recycles_by_size_class(void **state)
{
    (void)state;
    struct account a;
    account_init(&a, NULL, 0);
    struct pool *p = pool_new(&a);
    pool_adopt(p);
    void *x = pool_take(p, 1000), *big = pool_take(p, 5 << 20);
    assert_int_equal((uintptr_t)x % 64, 0);
    assert_true(pool_size(x) >= 1000 && pool_size(x) < 4096);
    assert_true(pool_size(big) >= 5 << 20);
    memset(x, 1, pool_size(x));
    memset(big, 1, pool_size(big));
    int64_t used = a.used;
    pool_give(big); /* too large to be kept */
    assert_true(a.used < used - (4 << 20));
    pool_give(x);
    uint64_t allocs = mem_alloc_count();
    assert_ptr_equal(pool_take(p, 900), x);
    pool_give(x);
    assert_int_equal(mem_alloc_count(), allocs);
    pool_give(NULL);
    pool_close(p);
    assert_int_equal(a.used, 0);
}

static void buffers_outlive_the_pool(void **state)
{
    (void)state;
    struct account a;
    account_init(&a, NULL, 0);
    struct pool *p = pool_new(&a);
    void *x = pool_take(p, 100), *y = pool_take(p, 100);
    pool_close(p);
    memset(x, 1, 100);
    pool_give(x);
    pool_give(y);
    assert_int_equal(a.used, 0);
}

#define BUFFERS 200000

struct two {
    struct ring *ring;
    struct pool *pool;
    struct gate gate;
};

static void give_back(void *p)
{
    struct two *t = p;
    struct msg m;
    for (int i = 0; i < BUFFERS;) {
        if (ring_pop(t->ring, &m)) {
            assert_int_equal(*(int *)m.batch, i);
            pool_give(m.batch);
            i++;
        } else {
            sched_yield();
        }
    }
}

/* The owner takes, another thread gives: after the first lap nothing is allocated. */
static void buffers_come_back_from_another_thread(void **state)
{
    (void)state;
    struct account a;
    account_init(&a, NULL, 0);
    struct two t = {ring_new(64, UINT64_MAX), pool_new(&a), {0}};
    pool_adopt(t.pool);
    struct thread *other;
    ok(env_thread(env_real(), "giver", give_back, &t, &other, NULL));
    for (int i = 0; i < BUFFERS;) {
        if (!ring_has_room(t.ring)) {
            sched_yield();
            continue;
        }
        struct msg m = msg_make(MSG_BATCH, 0, 0);
        m.batch = pool_take(t.pool, 500);
        *(int *)m.batch = i++;
        assert_true(ring_push(t.ring, m, 0));
    }
    thread_join(other);
    assert_true(a.peak < 300 * 1024); /* some hundred buffers, not 200,000 */
    pool_close(t.pool);
    assert_int_equal(a.used, 0);
    ring_free(t.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recycles_by_size_class),
        cmocka_unit_test(buffers_outlive_the_pool),
        cmocka_unit_test(buffers_come_back_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
