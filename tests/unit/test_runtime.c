/* What breaks graphs that change, end and fail at awkward moments. Most tests run on the driver and a simulated clock, where
 * every wait has an end and every order of steps can be had by its seed. SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "connector/mock.h"

#include <pthread.h>

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

/* What is there: rows and the sum of column col. Returns what ended the loop. */
static int take(struct lam_sub *sub, int col, int64_t timeout_us, int64_t *n, int64_t *sum)
{
    struct ArrowArray a;
    int r;
    while ((r = lam_recv(sub, &a, timeout_us)) == LAM_OK) {
        *n += a.length;
        for (int64_t i = 0; i < a.length; i++) *sum += ut_i64(&a, col, i);
        a.release(&a);
    }
    return r;
}

static int lines_of(const char *mock)
{
    char *rows = mock_rows(mock);
    int n = 0;
    for (char *p = rows; (p = strchr(p, '\n')); p++) n++;
    mem_free(rows);
    return n;
}

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

/* Barriers do not pile up in front of a subscriber that takes nothing. */
static void test_barriers_before_a_sleeping_subscriber(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 0, 3);
    struct lam_sub *sub;
    int64_t n = 0, sum = 0;
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0;");
    assert_int_equal(lam_subscribe(u.s, "x", NULL, &sub), LAM_OK);
    push(&u, 0, 10);
    for (int i = 0; i < 20; i++) assert_int_equal(lam_drain(u.db, 1000), LAM_OK);
    push(&u, 10, 10);
    for (int i = 0; i < 20; i++) assert_int_equal(lam_drain(u.db, 1000), LAM_OK);
    lam_push_end(u.db, "s");
    assert_int_equal(take(sub, 0, -1, &n, &sum), LAM_END);
    assert_int_equal(n, 20);
    assert_int_equal(sum, 190);
    lam_sub_close(sub);
    close_sim(&u);
}

/* A sink created on a stream that is just ending gets its end. */
static void test_sink_added_at_the_end(void **state)
{
    (void)state;
    for (int steps = 0; steps < 60; steps++) {
        struct under_test u;
        open_sim(&u, 1 + steps % 4, 7, (uint64_t)steps);
        ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, v, ts FROM s WHERE v >= 0;"
                          "CREATE SINK a FROM x INTO MOCK (name = 'a');");
        push(&u, 0, 50);
        lam_push_end(u.db, "s");
        for (int i = 0; i < steps; i++) lam_step(u.db, 0);
        ut_sql(&u, "CREATE STREAM y AS SELECT k, COUNT(*) AS c FROM x GROUP BY k, TUMBLE(ts, INTERVAL '1' SECOND) EMIT ON WINDOW CLOSE;"
                   "CREATE SINK b FROM y INTO MOCK (name = 'b'); CREATE SINK c FROM x INTO MOCK (name = 'c');");
        lam_push_end(u.db, "s"); /* x may have been begun anew */
        assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
        assert_int_equal(mock_count("a"), 50);
        assert_true(mock_count("c") <= 50);
        close_sim(&u);
    }
}

/* What cannot start leaves nothing behind. */
static void test_change_that_fails(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 0, 1);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');");
    push(&u, 0, 10);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(lam_execute(u.s, "CREATE SOURCE g (v BIGINT) FROM GENERATOR (rows = 5);"
                                              "CREATE SINK b FROM x INTO MOCK (name = 'b');"
                                              "CREATE SINK c FROM g INTO MOCK (name = 'c');"
                                              "CREATE SINK d FROM g INTO \"mock.blocking\" (name = 'd');", NULL), LAM_OK);
    assert_int_equal(mock_count("b") + mock_count("c") + mock_count("d"), 0);
    push(&u, 10, 10);
    ut_sql(&u, "CREATE SOURCE g (v BIGINT) FROM GENERATOR (rows = 5); CREATE SINK c FROM g INTO MOCK (name = 'c');");
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 20);
    assert_int_equal(mock_count("c"), 5);
    close_sim(&u);
}

/* A change that a blocked consumer holds up is refused in time; nothing of it runs later, and what it was made of may go. */
static void test_change_that_times_out(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 1, 5);
    struct lam_sub *sub;
    int64_t n = 0, sum = 0;
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0;");
    assert_int_equal(lam_subscribe(u.s, "x", NULL, &sub), LAM_OK);
    push(&u, 0, 40); /* in batches of one row: the subscription's ring and what feeds it are full */
    for (int i = 0; i < 2; i++)
        assert_int_equal(lam_execute(u.s, "CREATE STREAM y AS SELECT v + 1 AS w FROM x;"
                                          "CREATE SINK b FROM y INTO MOCK (name = 'b');", NULL), 7);
    assert_int_equal(take(sub, 0, 0, &n, &sum), LAM_EMPTY);
    push(&u, 40, 10);
    assert_int_equal(take(sub, 0, 0, &n, &sum), LAM_EMPTY);
    ut_sql(&u, "CREATE STREAM y AS SELECT v + 2 AS w FROM x; CREATE SINK b FROM y INTO MOCK (name = 'b');");
    push(&u, 50, 10);
    lam_push_end(u.db, "s");
    assert_int_equal(take(sub, 0, -1, &n, &sum), LAM_END);
    assert_int_equal(n, 60);
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("b"), 10);
    lam_sub_close(sub);
    close_sim(&u);
}

/* A consumer that reads the same stream twice is taken off once. */
static void test_drop_of_a_double_reader(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 3, 5, 2);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');");
    push(&u, 0, 10);
    for (int i = 0; i < 3; i++) {
        ut_sql(&u, "CREATE STREAM y AS SELECT v FROM x UNION ALL SELECT v FROM x; CREATE SINK b FROM y INTO MOCK (name = 'b');");
        push(&u, 0, 20);
        ut_sql(&u, "DROP SINK b; DROP STREAM y;");
        push(&u, 0, 10);
    }
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 100);
    assert_int_equal(mock_count("b"), 120);
    close_sim(&u);
}

/* A restart that cannot pass gives up and repeats no row. */
static void test_restart_that_times_out(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 1, 9);
    struct lam_sub *sub;
    int64_t n = 0, sum = 0, timeouts = 0;
    ut_sql(&u, "CREATE SOURCE g (v BIGINT) FROM GENERATOR (rows = 60000, fields = 'v: sequence');"
               "CREATE STREAM x AS SELECT v FROM g WHERE v >= 0;");
    assert_int_equal(lam_subscribe(u.s, "x", NULL, &sub), LAM_OK);
    for (int i = 0; i < 300; i++) {
        struct ArrowArray a;
        enum status st = runtime_restart(db_runtime(u.db), 1000, NULL);
        assert_true(st == ST_OK || st == E_TIMEOUT);
        timeouts += st == E_TIMEOUT;
        if (lam_recv(sub, &a, 0) != LAM_OK) continue;
        n += a.length;
        for (int64_t r = 0; r < a.length; r++) sum += ut_i64(&a, 0, r);
        a.release(&a);
    }
    assert_true(timeouts > 0);
    assert_int_equal(take(sub, 0, -1, &n, &sum), LAM_END);
    assert_int_equal(n, 60000);
    assert_int_equal(sum, 60000ll * 59999 / 2);
    lam_sub_close(sub);
    close_sim(&u);
}

/* A branch that has ended by itself can be dropped from a graph that goes on. */
static void test_drop_of_an_ended_branch(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 4; workers += 3) {
        struct under_test u;
        open_sim(&u, workers, 5, 2);
        ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');"
                          "CREATE STREAM l AS SELECT v FROM x LIMIT 3;"
                          "CREATE SINK b FROM (SELECT v + 1 AS w FROM l) INTO MOCK (name = 'b');");
        push(&u, 0, 20);
        lam_drain(u.db, 1000000);
        assert_int_equal(mock_count("b"), 3);
        ut_sql(&u, "DROP SINK b; DROP STREAM l;");
        push(&u, 0, 20);
        assert_int_equal(runtime_restart(db_runtime(u.db), 1000000, NULL), ST_OK);
        push(&u, 0, 20);
        lam_push_end(u.db, "s");
        assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
        assert_int_equal(mock_count("a"), 60);
        close_sim(&u);
    }
}

/* A stream that only names its source is not in use because the source is. */
static void test_drop_of_a_name(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 1, 0, 1);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT * FROM s; CREATE SINK a FROM x INTO MOCK (name = 'a');"
                      "CREATE SINK b FROM s INTO MOCK (name = 'b');");
    push(&u, 0, 10);
    ut_sql(&u, "DROP SINK a; DROP STREAM x;");
    push(&u, 0, 10);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 10);
    assert_int_equal(mock_count("b"), 20);
    close_sim(&u);
}

/* A sink that hangs with its log full blocks its stream; dropping it sets the stream free. */
static void test_drop_of_a_hanging_sink(void **state)
{
    (void)state;
    struct under_test u;
    struct way w = {2, false, 0, 4, 1};
    mock_reset();
    sim = env_sim_new(4);
    ut_open(&u, &w, env_sim_env(sim));
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');"
                      "CREATE SINK b FROM x INTO MOCK (name = 'b', script = 'hang write 1');");
    int64_t base = 0;
    int n = 0;
    while (ut_push(&u, "s", kvt, 3, 2000, dense, &base, 100000) == LAM_OK && n < 5000) n++;
    assert_true(n < 5000);
    assert_int_equal(lam_drain(u.db, 100000), LAM_TIMEOUT);
    ut_sql(&u, "DROP SINK b;");
    assert_int_equal(lam_drain(u.db, 1000000), LAM_OK);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
    assert_int_equal(mock_count("a"), n * 2000);
    close_sim(&u);
}

struct other {
    struct under_test *u;
    struct lam_sub *sub;
    _Atomic bool stop, began;
    int result;
};

static void *drain_for_ever(void *arg)
{
    struct other *o = arg;
    atomic_store(&o->began, true);
    o->result = lam_drain(o->u->db, -1);
    return NULL;
}

/* A drain that waits for a subscriber hinders neither its closing nor other calls. */
static void test_drain_and_close(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct way w = {1 + i % 2, true, 1, 4, 0};
        struct under_test u;
        ut_open(&u, &w, NULL);
        struct lam_sub *sub;
        ut_sql(&u, SOURCE "CREATE SOURCE other (k BIGINT); CREATE STREAM x AS SELECT v FROM s WHERE v >= 0;"
                          "CREATE SINK o FROM other INTO BLACKHOLE;");
        assert_int_equal(lam_subscribe(u.s, "x", NULL, &sub), LAM_OK);
        push(&u, 0, 40);
        struct other o = {.u = &u};
        pthread_t t;
        pthread_create(&t, NULL, drain_for_ever, &o);
        while (!atomic_load(&o.began)) sched_yield();
        int64_t base = 0;
        assert_int_equal(ut_push(&u, "other", kvt, 1, 10, dense, &base, 1000000), LAM_OK);
        assert_int_equal(lam_wait(u.db, u.s, 1000), LAM_TIMEOUT);
        lam_sub_close(sub);
        pthread_join(t, NULL);
        assert_int_equal(o.result, LAM_OK);
        ut_close(&u);
    }
}

static void *push_on(void *arg)
{
    struct other *o = arg;
    int64_t base = 0;
    while (!atomic_load(&o->stop)) {
        int r = ut_push(o->u, "s", kvt, 3, 50, dense, &base, -1);
        assert_true(r == LAM_OK || r == 5060);
        if (r == LAM_OK) base += 50;
    }
    o->result = (int)base;
    return NULL;
}

/* Readers come and go under callers that push. */
static void test_drop_while_pushing(void **state)
{
    (void)state;
    struct way w = {2, true, 0, 4, 0};
    struct under_test u;
    mock_reset();
    ut_open(&u, &w, NULL);
    ut_sql(&u, SOURCE);
    struct other o[2] = {{.u = &u}, {.u = &u}};
    pthread_t t[2];
    for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, push_on, &o[i]);
    for (int i = 0; i < 100; i++) {
        ut_sql(&u, "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO BLACKHOLE;");
        ut_sql(&u, "DROP SINK a; DROP STREAM x;");
    }
    for (int i = 0; i < 2; i++) atomic_store(&o[i].stop, true);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    ut_close(&u);
}

/* Subscriptions that come and go leave nothing in a stream that goes on. */
static void test_subscriptions_come_and_go(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 0, 1);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');");
    int parts = runtime_parts(db_runtime(u.db));
    struct lam_sub_config cfg = {.size = sizeof cfg, .where = "v % 2 = 0"};
    for (int i = 0; i < 50; i++) {
        struct lam_sub *plain, *some;
        int64_t n = 0, sum = 0;
        assert_int_equal(lam_subscribe(u.s, "x", NULL, &plain), LAM_OK);
        assert_int_equal(lam_subscribe(u.s, "x", &cfg, &some), LAM_OK);
        push(&u, 0, 20);
        assert_int_equal(lam_drain(u.db, 1000), LAM_OK);
        take(plain, 0, 0, &n, &sum);
        assert_int_equal(n, 20);
        lam_sub_close(plain);
        push(&u, 20, 20);
        assert_int_equal(lam_drain(u.db, 1000), LAM_OK);
        take(some, 0, 0, &n, &sum);
        assert_int_equal(n, 40);
        lam_sub_close(some);
        assert_int_equal(lam_drain(u.db, 1000), LAM_OK);
        assert_int_equal(runtime_parts(db_runtime(u.db)), parts);
    }
    assert_int_equal(mock_count("a"), 2000);
    close_sim(&u);
}

/* A sink that is dropped has all that was pushed before, whether it was the last to read the source or not, and no window
 * that was still open. */
static void drop_right_after_a_push(bool windows, bool last, uint64_t seed)
{
    struct under_test u;
    open_sim(&u, 3, 7, seed);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, COUNT(*) AS c FROM s GROUP BY k, TUMBLE(ts, INTERVAL '100' MILLISECOND);");
    ut_sql(&u, windows ? "CREATE SINK z FROM x INTO MOCK (name = 'z', script = '');" : "CREATE SINK z FROM s INTO MOCK (name = 'z', script = '');");
    if (!last) ut_sql(&u, "CREATE SINK keep FROM s INTO BLACKHOLE;");
    push(&u, 0, 2000); /* more than the rings hold */
    ut_sql(&u, "DROP SINK z;");
    assert_int_equal(lines_of("z"), windows ? 190 : 2000);
    close_sim(&u);
}

static void test_drop_right_after_a_push(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        drop_right_after_a_push(seed % 2, true, seed);
        drop_right_after_a_push(seed % 2, false, seed);
    }
}

static void assert_holds(const char *name, const char *expected)
{
    char *rows = mock_rows(name);
    assert_string_equal(rows, expected);
    mem_free(rows);
}

/* A stream that begins while its source is silent knows the watermark of before: the row that wakes it may be late. */
static void test_late_after_a_silence(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct under_test u;
        open_sim(&u, 3, 0, seed);
        ut_sql(&u, SOURCE "CREATE SINK keep FROM s INTO BLACKHOLE;");
        push(&u, 0, 1000);
        env_sim_advance(sim, 100000000);
        for (int i = 0; i < 200; i++) lam_step(u.db, 1);
        ut_sql(&u, "CREATE STREAM x AS SELECT k, COUNT(*) AS c FROM s GROUP BY k, TUMBLE(ts, INTERVAL '100' MILLISECOND);"
                   "CREATE SINK windows FROM x INTO MOCK (name = 'windows', script = '');");
        push(&u, 880, 10);
        push(&u, 1000, 1);
        lam_push_end(u.db, "s");
        assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
        assert_holds("windows", "0|1\n");
        close_sim(&u);
    }
}

/* Instances that fall silent and wake at different moments do not close each other's windows, nor does one that ends. */
static void test_windows_of_sleepers(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct under_test u;
        open_sim(&u, 4, 0, seed);
        ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT SUM(c) AS c FROM (SELECT k, window_start AS w, COUNT(*) AS c FROM s"
                          " GROUP BY k, TUMBLE(ts, INTERVAL '100' MILLISECOND)) GROUP BY TUMBLE(w, INTERVAL '1' SECOND);"
                          "CREATE SINK windows FROM x INTO MOCK (name = 'windows', script = '');");
        push(&u, 0, 50);
        env_sim_advance(sim, 100000000);
        for (int i = 0; i < (int)seed * 5; i++) lam_step(u.db, 1);
        push(&u, 50, 30);
        if (seed % 2) push(&u, 1500, 1);
        lam_push_end(u.db, "s");
        assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
        assert_holds("windows", seed % 2 ? "80\n1\n" : "80\n");
        close_sim(&u);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barriers_before_a_sleeping_subscriber),
        cmocka_unit_test(test_sink_added_at_the_end),
        cmocka_unit_test(test_change_that_fails),
        cmocka_unit_test(test_change_that_times_out),
        cmocka_unit_test(test_drop_of_a_double_reader),
        cmocka_unit_test(test_restart_that_times_out),
        cmocka_unit_test(test_drop_of_an_ended_branch),
        cmocka_unit_test(test_drop_of_a_name),
        cmocka_unit_test(test_drop_of_a_hanging_sink),
        cmocka_unit_test(test_drain_and_close),
        cmocka_unit_test(test_drop_while_pushing),
        cmocka_unit_test(test_subscriptions_come_and_go),
        cmocka_unit_test(test_drop_right_after_a_push),
        cmocka_unit_test(test_late_after_a_silence),
        cmocka_unit_test(test_windows_of_sleepers),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
