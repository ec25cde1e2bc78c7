/* R7: a pipeline that is warm allocates nothing per batch. Keys and windows are as many at the end as when it is warm, so tables
 * do not grow. SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "db/db_int.h"


/* 100 keys; a window of a second each 1000 rows */
static int64_t cell(void *ctx, int row, int col)
{
    int64_t n = *(int64_t *)ctx + row;
    return col == 0 ? n % 100 : n;
}

#define ROWS 250
#define BATCHES 400

static struct batch *make(struct pool *p, int64_t from)
{
    static const struct field fields[] = {{"k", {.id = T_INT64}, false}, {"v", {.id = T_INT64}, false}, {"ts", {.id = T_INT64}, false}};
    struct schema s = {.n = 3, .fields = (struct field *)fields, .time_column = 2};
    struct batch *b = batch_for(p, &s, ROWS);
    b->rows = ROWS;
    for (int c = 0; c < 3; c++)
        for (int r = 0; r < ROWS; r++) ((int64_t *)b->cols[c].data)[r] = cell(&from, r, c);
    return b;
}

static int64_t taken;

static void take_all(struct sub *s)
{
    struct batch *b;
    struct err err;
    while (sub_recv(s, 0, &b, &err) == ST_OK) {
        taken += b->rows;
        batch_unref(b);
    }
}

/* Pushes and takes; returns how many allocations that made. */
static uint64_t go(struct under_test *u, struct pool *p, struct sub *sub, int64_t *from)
{
    uint64_t before = mem_alloc_count();
    for (int i = 0; i < BATCHES; i++, *from += ROWS) {
        struct batch *b = make(p, *from);
        struct err err;
        enum status st;
        while ((st = runtime_push(db_runtime(u->db), 1, &b, 1, 0, &err)) == E_TIMEOUT) take_all(sub);
        assert_int_equal(st, ST_OK);
        take_all(sub);
        if (i % 8 == 7) assert_int_equal(lam_drain(u->db, 10000000), LAM_OK);
    }
    return mem_alloc_count() - before;
}

static void run(int workers, const char *streams)
{
    struct under_test u;
    struct way way = {workers, false, 0, 16, 0};
    struct env_sim *sim = env_sim_new(1);
    ut_open(&u, &way, env_sim_env(sim));
    ut_sql(&u, "CREATE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts);");
    ut_sql(&u, streams);
    struct lam_sub *sub;
    assert_int_equal(lam_subscribe(u.s, "y", NULL, &sub), LAM_OK);
    struct sub *inside = sub->sub;
    struct pool *p = pool_new(NULL);
    int64_t from = 0;
    go(&u, p, inside, &from);
    go(&u, p, inside, &from);
    uint64_t made = go(&u, p, inside, &from);
    if (made) print_error("%d workers: %llu allocations in %d batches\n", workers, (unsigned long long)made, BATCHES);
    assert_int_equal(made, 0);
    assert_true(taken > 0);
    lam_sub_close(sub);
    pool_close(p);
    ut_close(&u);
    env_sim_free(sim);
}

static void test_r7_window(void **state)
{
    (void)state;
    static const char *const streams = "CREATE STREAM x AS SELECT k, v + 1 AS v, ts FROM s WHERE v % 3 <> 0;"
                                       "CREATE STREAM y AS SELECT k, COUNT(*) AS c, SUM(v) AS t FROM x GROUP BY k, TUMBLE(ts, INTERVAL '1' SECOND);"
                                       "CREATE SINK a FROM y INTO BLACKHOLE; CREATE SINK b FROM y WHERE c > 1 INTO BLACKHOLE;";
    run(1, streams);
    run(4, streams);
}

static void test_r7_stateless(void **state)
{
    (void)state;
    static const char *const streams = "CREATE STREAM y AS SELECT k, v * 2 AS v FROM s WHERE k < 50; CREATE SINK a FROM y INTO BLACKHOLE;";
    run(1, streams);
    run(4, streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_r7_window), cmocka_unit_test(test_r7_stateless)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
