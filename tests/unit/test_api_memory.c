/* A program that brings its own heap: all that the library takes it gives back. SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"

static struct heap {
    _Atomic int64_t taken, given;
} heap;

static void *take(void *ctx, size_t n, size_t align)
{
    struct heap *h = ctx;
    void *p;
    assert_true(align >= 1 && !(align & (align - 1)));
    if (posix_memalign(&p, align < sizeof p ? sizeof p : align, n)) return NULL;
    memset(p, 0xa5, n); /* nobody may count on zeros */
    atomic_fetch_add(&h->taken, 1);
    return p;
}

static void give(void *ctx, void *p)
{
    struct heap *h = ctx;
    atomic_fetch_add(&h->given, 1);
    free(p);
}

static void work(struct lam_db *db)
{
    struct lam_session *s = open_session(db);
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    ok(lam_set_var(s, "N", "20000"));
    run(s, "CREATE SOURCE t (v BIGINT, k VARCHAR); CREATE STREAM x AS SELECT upper(k) AS k, v FROM t WHERE k LIKE 'a%' AND v > 0;"
           "CREATE SOURCE n (v BIGINT, ts TIMESTAMP, WATERMARK FOR ts) FROM GENERATOR (rows = ${N}, fields = 'v: uniform(1, 99), ts: time');"
           "CREATE STREAM w AS SELECT v, COUNT(*) AS c FROM n GROUP BY v, TUMBLE(ts, INTERVAL '1' SECOND);"
           "CREATE SINK k FROM w INTO BLACKHOLE;");
    struct lam_sub *sub = subscribe(s, "x", "regexp_replace(k, '[0-9]+', '') = 'A'");
    int64_t cells[] = {1, (intptr_t)"a1", 2, (intptr_t)"b", 3, (intptr_t)"a22"};
    ok(push(db, "t", "v:l,k:u", cells, 3, -1));
    assert_int_equal(receive(sub, 1, 2, NULL), 2);
    ok(lam_execute(s, "SELECT v, SUM(v) FROM n GROUP BY v ORDER BY 2", &rows));
    for (;;) {
        ok(rows.get_next(&rows, &a));
        if (!a.release) break;
        a.release(&a);
    }
    rows.release(&rows);
    assert_int_not_equal(lam_execute(s, "CREATE SOURCE z (v BIGINT); SELECT nope", NULL), LAM_OK);
    assert_string_not_equal(lam_errdetail(s, "x"), "");
    ok(lam_push_end(db, "t"));
    ok(lam_wait(db, s, LONG_TIME));
    lam_sub_close(sub);
    lam_session_close(s);
}

static void test_balance(void **state)
{
    (void)state;
    ok(lam_set_memory(take, give, &heap));
    uint64_t before = lam_memory_allocations();
    for (int threads = 0; threads <= 2; threads++) {
        struct lam_db *db = open_db(threads);
        assert_int_equal(lam_set_memory(NULL, NULL, NULL), LAM_MISUSE);
        work(db);
        ok(lam_close(db, LONG_TIME));
        assert_int_equal(atomic_load(&heap.taken), atomic_load(&heap.given));
    }
    assert_int_equal(lam_memory_allocations() - before, atomic_load(&heap.taken));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_balance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
