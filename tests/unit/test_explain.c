/* Why nothing comes out, what holds a stream up, and what EXPLAIN shows of its operators: on the simulated machine, whose clock
 * stands while tasks run, and by surveys that are made up. SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "connector/mock.h"
#include "db/explain.h"

#include <errno.h>
#include <pthread.h>

static const char *const kvt[] = {"k", "v", "ts"};

/* k = row % 10, v = row, ts = row in seconds (BIGINT: ms), all counted from *ctx */
static int64_t dense(void *ctx, int row, int col)
{
    int64_t n = *(int64_t *)ctx + row;
    return col == 0 ? n % 10 : col == 1 ? n : n * 1000;
}

static void push(struct under_test *u, const char *source, int64_t from, int n)
{
    assert_int_equal(ut_push(u, source, kvt, 3, n, dense, &from, -1), LAM_OK);
}

#define SOURCE(name) "CREATE SOURCE " name " (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts);"
#define WINDOWS(name, from)                                                                                                    \
    "CREATE STREAM " name " AS SELECT k, COUNT(*) AS n FROM " from " GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND);"

static struct env_sim *sim;

static void open_sim(struct under_test *u, int workers)
{
    struct way w = {workers, false, 0, 8, 1};
    mock_reset();
    sim = env_sim_new(1);
    ut_open(u, &w, env_sim_env(sim));
}

static void close_sim(struct under_test *u)
{
    ut_close(u);
    env_sim_free(sim);
}

/* The lines that a statement gives; its status when want_status is not NULL. */
static void lines(struct under_test *u, const char *sql, struct text *out, int *status)
{
    struct ArrowArrayStream s;
    struct ArrowArray a = {0};
    if (lam_execute(u->s, sql, &s) != LAM_OK) fail_msg("%s", lam_errdetail(u->s, "test"));
    int rc;
    text_clear(out);
    while (!(rc = s.get_next(&s, &a)) && a.release) {
        const int32_t *offsets = a.children[0]->buffers[1];
        const char *data = a.children[0]->buffers[2];
        for (int64_t i = 0; i < a.length; i++) {
            text_put(out, data + offsets[i], (size_t)(offsets[i + 1] - offsets[i]));
            text_putc(out, '\n');
        }
        a.release(&a);
    }
    if (status)
        *status = rc;
    else
        assert_int_equal(rc, 0);
    s.release(&s);
}

static void assert_says(struct under_test *u, const char *sql, const char *what)
{
    struct text x = {0};
    lines(u, sql, &x, NULL);
    if (!strstr(text_cstr(&x), what)) fail_msg("%s does not say\n    %s\nbut\n%s", sql, what, x.p);
    text_done(&x);
}

static void assert_silent_about(struct under_test *u, const char *sql, const char *what)
{
    struct text x = {0};
    lines(u, sql, &x, NULL);
    if (strstr(text_cstr(&x), what)) fail_msg("%s says\n    %s\nin\n%s", sql, what, x.p);
    text_done(&x);
}

#define WHY "why nothing comes out: "

/* ---- why nothing comes out ---------------------------------------------------------------------------------------------- */

static void test_nobody_reads(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, SOURCE("s") WINDOWS("x", "s"));
    assert_says(&u, "EXPLAIN STREAM x", "does not run: no sink or subscription reads it\n");
    assert_says(&u, "EXPLAIN STREAM x", WHY "nothing reads it: create a sink on it, or subscribe\n");
    close_sim(&u);
}

static void test_no_row_yet(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, SOURCE("s") WINDOWS("x", "s") "CREATE SINK o FROM x INTO BLACKHOLE;");
    assert_says(&u, "EXPLAIN STREAM x", WHY "source s has given no row: nothing has been pushed into it\n");
    close_sim(&u);
}

static void test_where_took_none(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, SOURCE("s") "CREATE STREAM f AS SELECT k, v, ts FROM s WHERE v < 0;" WINDOWS("x", "f") "CREATE SINK o FROM x INTO BLACKHOLE;");
    push(&u, "s", 0, 120);
    lam_drain(u.db, -1);
    assert_says(&u, "EXPLAIN STREAM f", WHY "WHERE took none of 120 rows (Filter: (v < 0))\n");
    assert_says(&u, "EXPLAIN STREAM x", WHY "WHERE took none of 120 rows (Filter: (v < 0))\n");
    close_sim(&u);
}

static void test_rows_that_left(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, SOURCE("s") WINDOWS("x", "s") "CREATE SINK o FROM x INTO BLACKHOLE;");
    push(&u, "s", 0, 12);
    lam_drain(u.db, -1);
    assert_silent_about(&u, "EXPLAIN STREAM x", WHY);
    assert_says(&u, "EXPLAIN STREAM x", "runs: 10 rows out; watermark 1970-01-01 00:00:11, held back by source s at 1970-01-01 00:00:11 since ");
    close_sim(&u);
}

static void test_all_late(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, SOURCE("s") "CREATE SINK keep FROM s INTO BLACKHOLE;");
    push(&u, "s", 1000, 1);
    lam_drain(u.db, -1);
    ut_sql(&u, WINDOWS("x", "s") "CREATE SINK o FROM x INTO BLACKHOLE;");
    push(&u, "s", 0, 50);
    lam_drain(u.db, -1);
    assert_says(&u, "EXPLAIN STREAM x", WHY "all 50 rows were late, such as 1970-01-01 00:00:");
    assert_says(&u, "EXPLAIN STREAM x", "[50 rows in, 0 out, 50 late;");
    close_sim(&u);
}

static void test_watermark_held_back(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, SOURCE("a") SOURCE("b") "CREATE STREAM ab AS SELECT k, v, ts FROM a UNION ALL SELECT k, v, ts FROM b;"
               WINDOWS("x", "ab") "CREATE SINK o FROM x INTO BLACKHOLE;");
    push(&u, "a", 0, 100);
    lam_drain(u.db, -1);
    assert_says(&u, "EXPLAIN STREAM x", WHY "source b has given no event time yet, so there is no watermark; it needs to reach 1970-01-01 00:00:10"
                                            " for the window that ends at 1970-01-01 00:00:10\n");
    push(&u, "b", 3, 1);
    lam_drain(u.db, -1);
    env_sim_advance(sim, 7000000);
    push(&u, "a", 100, 1);
    lam_drain(u.db, -1);
    assert_says(&u, "EXPLAIN STREAM x", WHY "the watermark stands at 1970-01-01 00:00:03, held back by source b since 2024-01-01 00:00:01 (7.0 s ago);"
                                            " it needs to reach 1970-01-01 00:00:10 for the window that ends at 1970-01-01 00:00:10\n");
    assert_says(&u, "EXPLAIN STREAM x", "next window ends 1970-01-01 00:00:10; ");
    close_sim(&u);
}

static void test_sink_that_retries(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 1);
    ut_sql(&u, SOURCE("s") "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0;"
               "CREATE SINK o FROM x INTO MOCK (name = 'o', script = 'fail write 1- retry');");
    push(&u, "s", 0, 10);
    lam_drain(u.db, -1);
    for (int i = 0; i < 10; i++) lam_step(u.db, 1000);
    assert_says(&u, "EXPLAIN STREAM x", WHY "sink o is RETRYING");
    assert_says(&u, "EXPLAIN STREAM x", "sink o: RETRYING; 0 rows, 10 (");
    close_sim(&u);
}

static void test_subscription_that_is_not_read(void **state)
{
    (void)state;
    struct under_test u;
    struct lam_sub *sub;
    open_sim(&u, 1);
    ut_sql(&u, SOURCE("s") "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0;");
    assert_int_equal(lam_subscribe(u.s, "x", NULL, &sub), LAM_OK);
    int64_t base = 0;
    while (ut_push(&u, "s", kvt, 3, 1, dense, &base, 1000) == LAM_OK) base++;
    env_sim_advance(sim, 1000000);
    struct ArrowArray a;
    assert_says(&u, "EXPLAIN ANALYZE STREAM x FOR 8 SECONDS", WHY "backpressure by a subscription that is not read (");
    assert_says(&u, "EXPLAIN ANALYZE STREAM x FOR 8 SECONDS", "bottleneck: a subscription that is not read fast enough, blocked 100 %\n");
    assert_int_equal(lam_recv(sub, &a, -1), LAM_OK);
    a.release(&a);
    lam_sub_close(sub);
    close_sim(&u);
}

static void test_paused(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, SOURCE("s") WINDOWS("x", "s") "CREATE SINK o FROM x INTO BLACKHOLE;");
    ut_sql(&u, "ALTER STREAM x PAUSE;");
    assert_says(&u, "EXPLAIN STREAM x", "is paused: 0 rows out");
    assert_says(&u, "EXPLAIN STREAM x", WHY "it is paused; ALTER STREAM ... RESUME lets it go on\n");
    ut_sql(&u, "ALTER STREAM x RESUME;");
    assert_says(&u, "EXPLAIN STREAM x", WHY "source s has given no row");
    close_sim(&u);
}

static void test_failed(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 1);
    ut_sql(&u, "CREATE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts) FROM MOCK (name = 's', rows = '1,2,3;4,5,6', script = 'fail poll 2');"
               "CREATE STREAM x AS SELECT v FROM s WHERE v < 0; CREATE SINK o FROM x INTO MOCK (name = 'o');");
    lam_wait(u.db, u.s, 1000000);
    assert_says(&u, "EXPLAIN STREAM x", WHY "it has failed: source \"s\": ");
    close_sim(&u);
}

/* ---- by made-up surveys ---------------------------------------------------------------------------------------------------- */

/* source -> filter -> aggregate on one worker, a second apart. */
struct made_up {
    struct survey survey;
    struct survey_source source;
    struct survey_node scan, filter, aggregate;
    struct survey_inst inst[3];
    struct survey_sink sink;
};

static void make_up(struct made_up *m, int64_t at_us)
{
    memset(m, 0, sizeof *m);
    m->survey = (struct survey){.now_us = at_us, .wall_us = at_us, .workers = 1, .nodes = &m->scan, .sources = &m->source};
    m->source = (struct survey_source){.name = "trades", .reader = "r", .stats = {.watermark = TS_MIN, .running = true}};
    struct survey_node *n[] = {&m->scan, &m->filter, &m->aggregate};
    static const char *const names[] = {"trades", "filter", "aggregate"};
    for (int i = 0; i < 3; i++) {
        *n[i] = (struct survey_node){.name = names[i], .line = names[i], .node = names[i], .ninst = 1, .inst = &m->inst[i],
                                     .window_end = TS_MAX, .window_needs = TS_MAX, .watermark = TS_MIN};
        m->inst[i] = (struct survey_inst){.born_us = 1};
        if (i) n[i]->in[n[i]->nin++] = n[i - 1], n[i - 1]->next = n[i];
    }
    m->scan.source = &m->source;
    m->filter.kind = PLAN_FILTER;
    m->aggregate.kind = PLAN_AGG;
    m->sink = (struct survey_sink){.name = "out", .deliver = "d", .on = &m->aggregate, .stats = {.state = "RUNNING"}};
}

static void assert_line(struct made_up *then, struct made_up *now, const char *expected)
{
    struct text x = {0};
    bottleneck_line(&then->survey, &now->survey, &now->aggregate, &x);
    assert_string_equal(text_cstr(&x), expected);
    text_done(&x);
}

static void test_bottlenecks(void **state)
{
    (void)state;
    struct made_up then, now;
    make_up(&then, 1000000);
    make_up(&now, 2000000);
    now.source.stats.rows = 1200;
    now.inst[2].busy_us = 70000;
    assert_line(&then, &now, "no bottleneck: idle 93 %, source trades gives 1,200 rows/s");
    now.inst[1].busy_us = 20000;
    now.inst[2].busy_us = 950000;
    assert_line(&then, &now, "bottleneck: aggregate (worker 0) busy 97 %");
    now.inst[1].busy_us = 400000;
    now.inst[2].busy_us = 550000;
    assert_line(&then, &now, "bottleneck: worker 0 busy 95 %, most of it aggregate with 55 %");
    now.inst[1].busy_us = now.inst[2].busy_us = 100000;
    now.source.stats.busy_us = 940000;
    assert_line(&then, &now, "bottleneck: source trades, reading and decoding 94 %");
    now.survey.sinks = &now.sink;
    now.sink.stats.blocked_us = 880000;
    assert_line(&then, &now, "bottleneck: sink out, waiting on writes 88 %");
    now.sink.stats.busy_us = 900000;
    now.sink.stats.blocked_us = 0;
    assert_line(&then, &now, "bottleneck: sink out, encoding and writing 90 %");
}

static void assert_reason(struct made_up *m, const char *expected)
{
    struct text x = {0};
    assert_true(silence_reason(NULL, &m->survey, &m->aggregate, &x));
    assert_string_equal(text_cstr(&x), expected);
    text_done(&x);
}

static void test_reasons_of_sources(void **state)
{
    (void)state;
    struct made_up m;
    make_up(&m, 1000000);
    assert_reason(&m, "source trades has given no row");
    m.source.stats.bad = 3;
    strcpy(m.source.stats.last_error, "line 1: x");
    assert_reason(&m, "all 3 rows of source trades cannot be read: line 1: x");
    m.source.stats.rows = m.source.stats.null_time = 1;
    assert_reason(&m, "the one row of source trades has no event time (NULL)");
    m.source.stats.rows = m.source.stats.late_dropped = 1000;
    m.source.stats.null_time = 0;
    assert_reason(&m, "all 1,000 rows of source trades came behind the watermark and left by late = 'row'");
}

static void test_reasons_of_operators(void **state)
{
    (void)state;
    struct made_up m;
    make_up(&m, 1000000);
    m.source.stats.rows = m.scan.rows_out = m.filter.rows_in = 7;
    m.filter.rows_out = m.aggregate.rows_in = 5;
    m.aggregate.errors = 5;
    strcpy(m.aggregate.row_error, "division by zero");
    assert_reason(&m, "all 5 rows failed, such as with: division by zero");
    m.aggregate.starved = true;
    assert_reason(&m, "its state has found no memory: raise memory.limit (ALTER STREAM ... SET), then RESUME");
    m.aggregate.starved = false;
    m.aggregate.errors = 0;
    m.aggregate.at_end = true;
    assert_reason(&m, "aggregate gives its rows at the end of its input, and source trades has not ended");
    m.aggregate.at_end = false;
    m.survey.sinks = &m.sink;
    m.sink.stats.state = "BLOCKED";
    strcpy(m.sink.stats.last_error, "no such table");
    assert_reason(&m, "sink out is BLOCKED: no such table");
}

/* Rows came before, and come no more. */
static void test_backpressure_of_a_reader(void **state)
{
    (void)state;
    struct made_up then, now;
    struct text x = {0};
    make_up(&then, 1000000);
    make_up(&now, 2000000);
    then.filter.rows_out = now.filter.rows_out = 5000;
    now.aggregate.queued = 11, now.aggregate.queue_size = 14;
    assert_true(silence_reason(&then.survey, &now.survey, &now.filter, &x));
    assert_string_equal(text_cstr(&x), "backpressure by aggregate, which takes its rows more slowly than they come");
    text_done(&x);
}

/* ---- EXPLAIN ANALYZE --------------------------------------------------------------------------------------------------------- */

static void test_analyze_a_slow_sink(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, "CREATE SOURCE s (v BIGINT) FROM GENERATOR (rows.per.second = 1000);"
               "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0;"
               "CREATE SINK o FROM x INTO MOCK (name = 'o', script = 'wait 2 s');");
    assert_says(&u, "EXPLAIN ANALYZE STREAM x FOR 20 SECONDS", "bottleneck: sink o, waiting on writes ");
    close_sim(&u);
}

static void test_analyze_an_idle_stream(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, "CREATE SOURCE s (v BIGINT) FROM GENERATOR (rows.per.second = 1200);"
               "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK o FROM x INTO BLACKHOLE;");
    assert_says(&u, "EXPLAIN ANALYZE STREAM x FOR 10 SECONDS", "no bottleneck: idle 100 %, source s gives 1,200 rows/s\n");
    assert_says(&u, "EXPLAIN ANALYZE STREAM x FOR 10 SECONDS", "in 10 s: 12,000 rows out\n");
    close_sim(&u);
}

static void test_analyze_a_select(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2);
    ut_sql(&u, "CREATE SOURCE s (v BIGINT) FROM GENERATOR (rows = 5000, fields = 'v: sequence');");
    assert_says(&u, "EXPLAIN ANALYZE SELECT v FROM s WHERE v % 10 = 0", "Filter: ((v % 10) = 0)\n  [5,000 rows in ");
    assert_says(&u, "EXPLAIN ANALYZE SELECT v FROM s WHERE v % 10 = 0", "rows_produced: 500, batches_processed: ");
    assert_says(&u, "EXPLAIN ANALYZE SELECT 1", "rows_produced: 1, batches_processed: ");
    close_sim(&u);
}

struct canceler {
    struct under_test *u;
    _Atomic bool begun;
};

static void *cancel_soon(void *arg)
{
    struct canceler *c = arg;
    while (!atomic_load(&c->begun)) sched_yield();
    lam_cancel(c->u->s);
    return NULL;
}

static void test_cancel(void **state)
{
    (void)state;
    struct way w = {2, true, 0, 8, 0};
    struct under_test u;
    struct ArrowArrayStream s;
    struct ArrowArray a = {0};
    pthread_t t;
    ut_open(&u, &w, NULL);
    ut_sql(&u, SOURCE("s") "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK o FROM x INTO BLACKHOLE;");
    struct canceler c = {.u = &u};
    assert_int_equal(lam_execute(u.s, "EXPLAIN ANALYZE STREAM x FOR 1 HOUR", &s), LAM_OK);
    pthread_create(&t, NULL, cancel_soon, &c);
    atomic_store(&c.begun, true);
    assert_int_equal(s.get_next(&s, &a), ECANCELED);
    pthread_join(t, NULL);
    s.release(&s);
    ut_close(&u);
}

/* A busy worker of a machine with threads. */
static void test_analyze_a_busy_worker(void **state)
{
    (void)state;
    struct way w = {1, true, 0, 8, 0};
    struct under_test u;
    ut_open(&u, &w, NULL);
    ut_sql(&u, "CREATE SOURCE s (v BIGINT) FROM GENERATOR (rows.per.second = 1000000000, fields = 'v: sequence');"
               "CREATE STREAM x AS SELECT v FROM s WHERE MD5(MD5(MD5(MD5(CAST(v AS VARCHAR))))) = 'x'; CREATE SINK o FROM x INTO BLACKHOLE;");
    assert_says(&u, "EXPLAIN ANALYZE STREAM x FOR 300 MS", "bottleneck: filter (worker 0) busy ");
    ut_close(&u);
}

static void test_refusals(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 1);
    ut_sql(&u, SOURCE("s") WINDOWS("x", "s") "CREATE SINK o FROM x INTO BLACKHOLE;");
    static const char *const bad[] = {"EXPLAIN STREAM x FOR 2 SECONDS", "EXPLAIN ANALYZE STREAM x FOR 2 APPLES",
                                      "EXPLAIN ANALYZE STREAM x FOR 2 DAYS", "EXPLAIN ANALYZE STREAM y", "EXPLAIN STREAM s",
                                      "EXPLAIN ANALYZE SINK o", "SHOW SINKS LIKE 'a%'"};
    for (size_t i = 0; i < countof(bad); i++) {
        if (lam_execute(u.s, bad[i], NULL) == LAM_OK) fail_msg("%s was taken", bad[i]);
        assert_true(lam_errmsg(u.s)[0]);
    }
    close_sim(&u);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_no_row_yet),
        cmocka_unit_test(test_where_took_none),
        cmocka_unit_test(test_rows_that_left),
        cmocka_unit_test(test_all_late),
        cmocka_unit_test(test_watermark_held_back),
        cmocka_unit_test(test_sink_that_retries),
        cmocka_unit_test(test_subscription_that_is_not_read),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_bottlenecks),
        cmocka_unit_test(test_reasons_of_sources),
        cmocka_unit_test(test_reasons_of_operators),
        cmocka_unit_test(test_backpressure_of_a_reader),
        cmocka_unit_test(test_analyze_a_slow_sink),
        cmocka_unit_test(test_analyze_an_idle_stream),
        cmocka_unit_test(test_analyze_a_select),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_analyze_a_busy_worker),
        cmocka_unit_test(test_refusals),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
