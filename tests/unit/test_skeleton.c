/* The shape of the runtime, shown on whole databases: one test for each promise the first path makes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "base/mem.h"
#include "connector/mock.h"

#include <pthread.h>
#include <unistd.h>

static const char *const kvt[] = {"k", "v", "ts"};

/* k = row % 10, v = row, ts = row ms */
static int64_t dense(void *ctx, int row, int col)
{
    int64_t n = *(int64_t *)ctx + row;
    return col == 0 ? n % 10 : col == 1 ? n : n;
}

/* What rings, pools and one outlet's log may hold at most, next to state. */
#define BUFFERED (56ll << 20)

static void each_way(void (*test)(struct under_test *u))
{
    for (size_t i = 0; i < countof(ways); i++) {
        struct under_test u;
        mock_reset();
        ut_open(&u, &ways[i], NULL);
        test(&u);
        ut_close(&u);
    }
}

#define SOURCE "CREATE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts);"

/* Rows of a subscription that are there: count and sum of column v. */
static void take(struct lam_sub *sub, int col, int64_t timeout_us, int64_t *n, int64_t *sum)
{
    struct ArrowArray a;
    while (lam_recv(sub, &a, timeout_us) == LAM_OK) {
        *n += a.length;
        for (int64_t i = 0; i < a.length; i++) *sum += ut_i64(&a, col, i);
        a.release(&a);
    }
}

/* All state out and in again behind a barrier, which cannot pass while the subscription is full. */
static void restart(struct under_test *u, struct lam_sub *sub, int col, int64_t *n, int64_t *sum)
{
    enum status st;
    while ((st = runtime_restart(db_runtime(u->db), 2000, NULL)) == E_TIMEOUT) take(sub, col, 0, n, sum);
    assert_int_equal(st, ST_OK);
}

static void window_counts(struct under_test *u)
{
    struct lam_sub *sub;
    int64_t base = 0, n = 0, sum = 0;
    ut_sql(u, SOURCE "CREATE STREAM w AS SELECT k, COUNT(*) AS c FROM s WHERE v >= 0 GROUP BY k, TUMBLE(ts, INTERVAL '1' SECOND)"
                     " EMIT ON WINDOW CLOSE;"
                     "CREATE SINK m FROM w INTO MOCK (name = 'counts');");
    assert_int_equal(lam_subscribe(u->s, "w", NULL, &sub), LAM_OK);
    for (int i = 0; i < 20; i++, base += 500) {
        assert_int_equal(ut_push(u, "s", kvt, 3, 500, dense, &base, -1), LAM_OK);
        restart(u, sub, 1, &n, &sum);
    }
    assert_int_equal(lam_push_end(u->db, "s"), LAM_OK);
    take(sub, 1, 10000000, &n, &sum);
    assert_int_equal(n, 100); /* 10 windows of 10 keys */
    assert_int_equal(sum, 10000);
    assert_int_equal(lam_wait(u->db, u->s, 10000000), LAM_OK);
    assert_int_equal(mock_count("counts"), 100);
    lam_sub_close(sub);
}

static void test_window_counts(void **state)
{
    (void)state;
    each_way(window_counts);
}

/* One row of the left meets 1,000 of the right; two paths of one source meet again. */
static void fan_out(struct under_test *u)
{
    ut_sql(u, "CREATE SOURCE one (k BIGINT, v BIGINT) FROM GENERATOR (rows = 300, fields = 'k: uniform(1,1), v: sequence');"
              "CREATE SOURCE many (k BIGINT, v BIGINT) FROM GENERATOR (rows = 1000, fields = 'k: uniform(1,1), v: sequence');"
              "CREATE STREAM j AS SELECT one.v AS a, many.v AS b FROM one JOIN many ON one.k = many.k;"
              "CREATE SINK m FROM j INTO BLACKHOLE;");
    assert_int_equal(lam_wait(u->db, u->s, 60000000), LAM_OK);
    struct sink_stats st;
    assert_true(runtime_sink_stats(db_runtime(u->db), 4, &st));
    assert_int_equal(st.rows, 300000);
    assert_in_range(atomic_load(&db_account(u->db)->peak), 1, BUFFERED);
}

static void test_fan_out(void **state)
{
    (void)state;
    each_way(fan_out);
}

static void diamond(struct under_test *u)
{
    struct lam_sub *sub;
    int64_t n = 0, sum = 0;
    ut_sql(u, "CREATE SOURCE g (k BIGINT, v BIGINT) FROM GENERATOR (rows = 20000, fields = 'k: sequence, v: sequence');"
              "CREATE STREAM a AS SELECT k, v FROM g WHERE v % 2 = 0;"
              "CREATE STREAM b AS SELECT k, v + 1 AS v FROM g WHERE v % 3 = 0;"
              "CREATE STREAM d AS SELECT a.v AS v FROM a JOIN b ON a.k = b.k;");
    assert_int_equal(lam_subscribe(u->s, "d", NULL, &sub), LAM_OK);
    for (int i = 0; i < 30; i++) {
        struct ArrowArray a;
        /* Barriers while the rings are full: one cannot pass before rows are taken, and takes nothing away. */
        if (i % 2)
            runtime_drain(db_runtime(u->db), 1000, NULL);
        else
            runtime_restart(db_runtime(u->db), 1000, NULL);
        if (lam_recv(sub, &a, 1000) != LAM_OK) continue;
        n += a.length;
        for (int64_t r = 0; r < a.length; r++) sum += ut_i64(&a, 0, r);
        a.release(&a);
    }
    take(sub, 0, 10000000, &n, &sum);
    int64_t want = 0, want_n = 0;
    for (int64_t v = 0; v < 20000; v += 6) want += v, want_n++;
    assert_int_equal(n, want_n);
    assert_int_equal(sum, want);
    lam_sub_close(sub);
}

static void test_diamond(void **state)
{
    (void)state;
    each_way(diamond);
}

/* Closing a million keys at once goes through rings of two batches in bounded memory. */
static void test_million_keys(void **state)
{
    (void)state;
    static const struct way w[] = {{1, true, 0, 4, 0}, {4, false, 0, 4, 5}};
    for (size_t i = 0; i < countof(w); i++) {
        struct under_test u;
        ut_open(&u, &w[i], NULL);
        ut_sql(&u, "CREATE SOURCE s (v BIGINT, k BIGINT, ts BIGINT, WATERMARK FOR ts);"
                   "CREATE STREAM w AS SELECT k, COUNT(*) AS c FROM s GROUP BY k, TUMBLE(ts, INTERVAL '1' HOUR) EMIT ON WINDOW CLOSE;"
                   "CREATE SINK m FROM w INTO BLACKHOLE;");
        for (int64_t base = 0; base < 1000000; base += 50000)
            assert_int_equal(ut_push(&u, "s", (const char *const[]){"v", "k", "ts"}, 3, 50000, dense, &base, -1), LAM_OK);
        assert_int_equal(lam_drain(u.db, 60000000), LAM_OK);
        int64_t held = atomic_load(&db_account(u.db)->used);
        atomic_store(&db_account(u.db)->peak, held);
        assert_int_equal(lam_push_end(u.db, "s"), LAM_OK);
        assert_int_equal(lam_wait(u.db, u.s, 60000000), LAM_OK);
        struct sink_stats st;
        assert_true(runtime_sink_stats(db_runtime(u.db), 3, &st));
        assert_int_equal(st.rows, 1000000);
        assert_true(atomic_load(&db_account(u.db)->peak) - held < BUFFERED);
        ut_close(&u);
    }
}

/* A sink that never comes back delays neither another component nor closing. */
static void test_hanging_sink(void **state)
{
    (void)state;
    struct way w = {2, true, 0, 4, 0};
    struct under_test u;
    mock_reset();
    ut_open(&u, &w, NULL);
    ut_sql(&u, "CREATE SOURCE a (v BIGINT) FROM GENERATOR (rows = 0);"
               "CREATE SINK stuck FROM a INTO \"mock.blocking\" (name = 'stuck', script = 'hang write 1');");
    ut_sql(&u, "CREATE SOURCE b (v BIGINT) FROM GENERATOR (rows = 100000);"
               "CREATE SINK fine FROM b INTO MOCK (name = 'fine');");
    for (int i = 0; i < 2000 && mock_count("fine") < 100000; i++) usleep(10000);
    assert_int_equal(mock_count("fine"), 100000);
    assert_int_equal(lam_wait(u.db, u.s, 1000), LAM_TIMEOUT);
    /* The stuck one stands, in bounded memory, once its log is full. */
    struct sink_stats st;
    assert_true(runtime_sink_stats(db_runtime(u.db), 2, &st));
    assert_true(st.rows == 0);
    assert_in_range(atomic_load(&db_account(u.db)->peak), 1, BUFFERED);
    ut_close(&u);
}

struct pusher {
    struct under_test *u;
    _Atomic int64_t pushed;
    _Atomic bool stop;
};

static void *push_on(void *arg)
{
    struct pusher *p = arg;
    while (!atomic_load(&p->stop)) {
        int64_t base = atomic_load(&p->pushed);
        if (ut_push(p->u, "s", kvt, 3, 100, dense, &base, -1)) break;
        atomic_store(&p->pushed, base + 100);
    }
    return NULL;
}

/* A second stream and sink come and go under load: the first sees every row once, the second a run without a hole. */
static void test_change_under_load(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 4; workers += 3) {
        struct way w = {workers, true, 0, 8, 0};
        struct under_test u;
        mock_reset();
        ut_open(&u, &w, NULL);
        ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s; CREATE SINK first FROM x INTO MOCK (name = 'first');");
        struct pusher p = {.u = &u};
        pthread_t t;
        pthread_create(&t, NULL, push_on, &p);
        for (int i = 0; i < 10; i++) {
            char sql[300], name[20];
            snprintf(name, sizeof name, "second%d", i);
            snprintf(sql, sizeof sql,
                     "CREATE STREAM y%d AS SELECT v FROM x WHERE v %% 2 = 0; CREATE SINK z%d FROM y%d INTO MOCK (name = '%s');", i,
                     i, i, name);
            ut_sql(&u, sql);
            int64_t from = atomic_load(&p.pushed);
            while (atomic_load(&p.pushed) < from + 2000) usleep(100);
            snprintf(sql, sizeof sql, "DROP SINK z%d; DROP STREAM y%d;", i, i);
            ut_sql(&u, sql);
            char *rows = mock_rows(name);
            int64_t last = -1, n = 0;
            for (char *line = strtok(rows, "\n"); line; line = strtok(NULL, "\n"), n++) {
                int64_t v = atoll(line);
                if (last >= 0) assert_int_equal(v, last + 2);
                last = v;
            }
            assert_true(n > 0);
            mem_free(rows);
        }
        atomic_store(&p.stop, true);
        pthread_join(t, NULL);
        assert_int_equal(lam_push_end(u.db, "s"), LAM_OK);
        assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
        assert_int_equal(mock_count("first"), atomic_load(&p.pushed));
        ut_close(&u);
    }
}

/* LIMIT gives its rows and stops an endless source. */
static void limit_stops(struct under_test *u)
{
    ut_sql(u, "CREATE SOURCE g (v BIGINT) FROM GENERATOR (rows = 0);"
              "CREATE STREAM l AS SELECT v FROM g LIMIT 10;"
              "CREATE SINK m FROM l INTO MOCK (name = 'ten');");
    assert_int_equal(lam_wait(u->db, u->s, 20000000), LAM_OK);
    assert_int_equal(mock_count("ten"), 10);
    struct source_stats st;
    assert_true(runtime_source_stats(db_runtime(u->db), 1, &st));
    assert_true(st.ended);
}

static void test_limit_stops(void **state)
{
    (void)state;
    each_way(limit_stops);
}

/* A source without rows answers a barrier at once: a millisecond of a simulated clock is more than it takes. */
static void test_idle_barrier(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct way w = {1 + (int)seed % 4, false, 0, 4, seed};
        struct under_test u;
        struct env_sim *sim = env_sim_new(seed);
        struct env *env = env_sim_env(sim);
        ut_open(&u, &w, env);
        ut_sql(&u, SOURCE "CREATE SOURCE g (v BIGINT) FROM GENERATOR (rows.per.second = 1);"
                          "CREATE STREAM w AS SELECT k, COUNT(*) AS c FROM s GROUP BY k, TUMBLE(ts, INTERVAL '1' SECOND) EMIT ON WINDOW CLOSE;"
                          "CREATE SINK m FROM w INTO BLACKHOLE; CREATE SINK n FROM g INTO BLACKHOLE;");
        for (int i = 0; i < 10; i++) {
            int64_t before = env_now_us(env);
            assert_int_equal(runtime_drain(db_runtime(u.db), 1000, NULL), ST_OK);
            assert_in_range(env_now_us(env) - before, 0, 1000);
            env_sim_advance(sim, 100000);
        }
        ut_close(&u);
        env_sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_counts), cmocka_unit_test(test_fan_out),          cmocka_unit_test(test_diamond),
        cmocka_unit_test(test_million_keys),  cmocka_unit_test(test_hanging_sink),     cmocka_unit_test(test_change_under_load),
        cmocka_unit_test(test_limit_stops),   cmocka_unit_test(test_idle_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
