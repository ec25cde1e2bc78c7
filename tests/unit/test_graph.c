/* A graph that changes while it runs: what is shared, what joins and leaves, what is replaced. SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "connector/mock.h"

static const char *const kvt[] = {"k", "v", "ts"};

/* k = row % 10, v = ts = row, counted from *ctx */
static int64_t dense(void *ctx, int row, int col)
{
    int64_t n = *(int64_t *)ctx + row;
    return col == 0 ? n % 10 : n;
}

static void push(struct under_test *u, int64_t from, int n)
{
    assert_int_equal(ut_push(u, "s", kvt, 3, n, dense, &from, -1), LAM_OK);
}

#define SOURCE "CREATE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts);"

static struct env_sim *sim;

static void open_sim(struct under_test *u, int workers, uint32_t batch_rows, uint64_t seed)
{
    struct way w = {workers, false, batch_rows, 8, seed};
    mock_reset();
    sim = env_sim_new(seed + 1);
    ut_open(u, &w, env_sim_env(sim));
}

static void close_sim(struct under_test *u)
{
    ut_close(u);
    env_sim_free(sim);
}

/* Equal WHEREs of one stream are one node with one outlet: another sink adds nothing but itself. */
static void test_r6_equal_outlets_are_shared(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 7, 3);
    struct runtime *rt = db_runtime(u.db);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, v FROM s WHERE v >= 0;"
                      "CREATE SINK a FROM x WHERE k < 5 INTO MOCK (name = 'a');"
                      "CREATE SINK b FROM x WHERE (k<5) INTO MOCK (name = 'b');");
    int parts = runtime_parts(rt);
    push(&u, 0, 100);
    assert_int_equal(lam_drain(u.db, 1000000), LAM_OK);
    ut_sql(&u, "CREATE SINK c FROM x WHERE k < 5 INTO MOCK (name = 'c');");
    assert_int_equal(runtime_parts(rt), parts + 1);
    ut_sql(&u, "CREATE SINK d FROM x WHERE k < 6 INTO MOCK (name = 'd');");
    assert_int_equal(runtime_parts(rt), parts + 4); /* a filter, an outlet, a sink more */
    push(&u, 100, 100);
    ut_sql(&u, "DROP SINK a;"); /* whose plan the filter was made from */
    push(&u, 200, 100);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 100);
    assert_int_equal(mock_count("b"), 150);
    assert_int_equal(mock_count("c"), 100);
    assert_int_equal(mock_count("d"), 120);
    close_sim(&u);
}

/* Sinks join an outlet and leave it while rows flow, at any moment: each has whole what lies between. */
static void test_r14_sinks_join_and_leave(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct under_test u;
        open_sim(&u, 1 + (int)(seed % 4), seed % 2 ? 7 : 64, seed);
        ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, v FROM s WHERE v >= 0; CREATE SINK all_rows FROM x INTO MOCK (name = 'all');");
        push(&u, 0, 50);
        for (uint64_t i = 0; i < seed; i++) lam_step(u.db, 1);
        ut_sql(&u, "CREATE SINK some FROM x INTO MOCK (name = 'some');");
        push(&u, 50, 50);
        for (uint64_t i = 0; i < seed * 7 % 30; i++) lam_step(u.db, 1);
        ut_sql(&u, "DROP SINK some;");
        push(&u, 100, 50);
        lam_push_end(u.db, "s");
        assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
        assert_int_equal(mock_count("all"), 150);
        assert_int_equal(mock_count("some"), 50);
        close_sim(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r6_equal_outlets_are_shared),
        cmocka_unit_test(test_r14_sinks_join_and_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
