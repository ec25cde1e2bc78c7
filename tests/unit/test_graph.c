/* A graph that changes while it runs: what is shared, what joins and leaves, what is replaced. SPDX-License-Identifier: Apache-2.0 */
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

/* A stream is replaced under a window that stays: what it had counted stays, what follows comes from the new one. */
static void test_replace_under_a_window(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct under_test u;
        open_sim(&u, 1 + (int)(seed % 4), seed % 2 ? 7 : 64, seed);
        ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, v, ts FROM s WHERE v % 2 = 0;"
                          "CREATE STREAM y AS SELECT SUM(v) AS t FROM x GROUP BY TUMBLE(ts, INTERVAL '1000' MILLISECOND);"
                          "CREATE SINK a FROM x INTO MOCK (name = 'a'); CREATE SINK b FROM y INTO MOCK (name = 'b');");
        push(&u, 0, 50);
        for (uint64_t i = 0; i < seed; i++) lam_step(u.db, 1);
        ut_sql(&u, "CREATE OR REPLACE STREAM x AS SELECT k, v, ts FROM s WHERE v % 5 = 0;");
        push(&u, 50, 50);
        lam_push_end(u.db, "s");
        assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
        assert_int_equal(mock_count("a"), 25 + 10);
        char *rows = mock_rows("b"); /* 0 + 2 + .. + 48, then 50 + 55 + .. + 95 */
        assert_string_equal(rows, "1325\n");
        mem_free(rows);
        close_sim(&u);
    }
}

/* Refused where who reads it could not go on, by its name. */
static void test_replace_refused(void **state)
{
    (void)state;
    struct under_test u;
    struct lam_sub *sub;
    open_sim(&u, 2, 0, 1);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');");
    assert_int_equal(lam_execute(u.s, "CREATE OR REPLACE STREAM x AS SELECT v + 0.5 AS v FROM s", NULL), E_DEPENDENT);
    assert_non_null(strstr(lam_errmsg(u.s), "\"a\" reads it"));
    assert_int_equal(lam_execute(u.s, "CREATE OR REPLACE SOURCE s (k BIGINT, v BIGINT)", NULL), E_DEPENDENT);
    assert_int_equal(lam_execute(u.s, "CREATE OR REPLACE STREAM x AS SELECT v FROM x", NULL), E_DEPENDENT);
    assert_int_equal(lam_execute(u.s, "CREATE OR REPLACE STREAM s AS SELECT v FROM x", NULL), E_TYPE);
    ut_sql(&u, "DROP SINK a; CREATE OR REPLACE STREAM x AS SELECT v * 0.5 AS v FROM s; CREATE SINK a FROM x INTO MOCK (name = 'a');");
    assert_int_equal(lam_subscribe(u.s, "x", NULL, &sub), LAM_OK);
    assert_int_equal(lam_execute(u.s, "CREATE OR REPLACE STREAM x AS SELECT v FROM s", NULL), E_DEPENDENT);
    lam_sub_close(sub);
    close_sim(&u);
}

/* DROP and CREATE in one script, or in one transaction, are one change: no row falls between them, and ROLLBACK undoes both. */
static void test_drop_and_create_are_one_change(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 7, 5);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');");
    push(&u, 0, 50);
    ut_sql(&u, "BEGIN; DROP SINK a; CREATE SINK b FROM x INTO MOCK (name = 'b'); ROLLBACK;");
    push(&u, 50, 50);
    ut_sql(&u, "BEGIN; DROP SINK a; DROP STREAM x; CREATE STREAM x AS SELECT v + 1 AS w FROM s; CREATE SINK a FROM x INTO MOCK (name = 'c');");
    push(&u, 100, 50);
    ut_sql(&u, "COMMIT;");
    push(&u, 150, 50);
    assert_int_not_equal(lam_execute(u.s, "DROP SINK a; CREATE SINK d FROM nothing INTO MOCK (name = 'd');", NULL), LAM_OK);
    push(&u, 200, 50);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 150);
    assert_int_equal(mock_count("b"), 0);
    assert_int_equal(mock_count("c"), 100);
    close_sim(&u);
}

/* What DDL waits for is named. */
static void test_waiting_names_who(void **state)
{
    (void)state;
    struct under_test u;
    struct lam_sub *sub;
    open_sim(&u, 1, 64, 5);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, v FROM s WHERE v >= 0;");
    assert_int_equal(lam_subscribe(u.s, "x", NULL, &sub), LAM_OK);
    int64_t from = 0;
    while (ut_push(&u, "s", kvt, 3, 100, dense, &from, 1000) == LAM_OK) {}
    assert_int_equal(lam_execute(u.s, "CREATE SINK a FROM x INTO MOCK (name = 'a');", NULL), E_TIMEOUT);
    assert_non_null(strstr(lam_errmsg(u.s), "a subscription to \"x\""));
    assert_int_equal(lam_execute(u.s, "CREATE OR REPLACE STREAM x AS SELECT k, v FROM s WHERE v < 0;", NULL), E_TIMEOUT);
    lam_sub_close(sub);
    ut_sql(&u, "CREATE SINK a FROM x INTO MOCK (name = 'a');");
    push(&u, 0, 10);
    assert_int_equal(lam_drain(u.db, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 10);
    close_sim(&u);
}

struct pusher {
    struct under_test *u;
    _Atomic bool stop;
    int64_t rows;
    int refused;
};

static void *push_on(void *arg)
{
    struct pusher *p = arg;
    while (!atomic_load(&p->stop)) {
        int64_t from = p->rows;
        if (ut_push(p->u, "s", kvt, 3, 20, dense, &from, -1) != LAM_OK)
            p->refused++;
        else
            p->rows += 20;
    }
    return NULL;
}

/* Source, stream and sink are replaced while another thread pushes: every row that was taken is in one sink or the other. */
static void test_replace_under_load(void **state)
{
    (void)state;
    struct under_test u;
    struct way way = {2, true, 0, 16, 0};
    mock_reset();
    ut_open(&u, &way, NULL);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO BLACKHOLE;"
                      "CREATE SINK b FROM x INTO MOCK (name = 'b0');");
    struct pusher p = {.u = &u};
    pthread_t thread;
    pthread_create(&thread, NULL, push_on, &p);
    for (int i = 1; i < 30; i++) {
        char sql[300];
        ut_sql(&u, i % 2 ? "CREATE OR REPLACE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts);"
                         : "CREATE OR REPLACE STREAM x AS SELECT k, v FROM s WHERE v >= -1;");
        snprintf(sql, sizeof sql, "CREATE OR REPLACE SINK b FROM x INTO MOCK (name = 'b%d');", i);
        ut_sql(&u, sql);
    }
    atomic_store(&p.stop, true);
    pthread_join(thread, NULL);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 20000000), LAM_OK);
    int64_t got = 0;
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", i);
        got += (int64_t)mock_count(name);
    }
    assert_int_equal(p.refused, 0);
    assert_int_equal(got, p.rows);
    ut_close(&u);
}

/* ---- budgets and pauses -------------------------------------------------------------------------------------------------- */

static uint64_t rng;
static uint64_t draw(uint64_t below)
{
    uint64_t z = rng += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return (z ^ z >> 27) % below;
}

/* Many keys, a batch's worth of windows; some rows late. */
static int64_t keyed_row(void *ctx, int row, int col)
{
    int64_t n = *(int64_t *)ctx + row;
    return col == 0 ? n * 7919 % 3001 : col == 1 ? n : n % 97 == 0 ? n / 2 : n;
}

static const char *const budget_queries[] = {
    "SELECT k, COUNT(*) AS c, SUM(v) AS t FROM s GROUP BY k, TUMBLE(ts, INTERVAL '2' SECOND)",
    "SELECT k % 10 AS k, COUNT(DISTINCT k) AS c, MAX(v) AS t FROM s GROUP BY k % 10, TUMBLE(ts, INTERVAL '3' SECOND)",
};

/* The rows of y, sorted, and its counts, with a budget that is raised whenever it is used up; 0: no budget. */
static char *run_budget(uint64_t seed, int64_t budget, int *refusals, struct stream_stats *st)
{
    struct under_test u;
    char sql[400];
    rng = seed;
    open_sim(&u, 1 + (int)draw(4), draw(2) ? 64 : 0, seed);
    snprintf(sql, sizeof sql, SOURCE "CREATE STREAM y AS %s; CREATE SINK a FROM y INTO MOCK (name = 'a');", budget_queries[draw(2)]);
    ut_sql(&u, sql);
    if (budget) {
        snprintf(sql, sizeof sql, "ALTER STREAM y SET (memory.limit = %lld)", (long long)budget);
        ut_sql(&u, sql);
    }
    *refusals = 0;
    for (int64_t n = 0, ended = 0; ended < 2;) {
        int64_t from = n;
        int rows = 1 + (int)(seed % 700);
        int r = ended ? lam_wait(u.db, u.s, 1000000) : ut_push(&u, "s", kvt, 3, rows, keyed_row, &from, 1000);
        if (r == LAM_OK && ended) break;
        if (r == LAM_OK && (n += rows) > 20000 && !ended++) lam_push_end(u.db, "s");
        if (r == LAM_OK) continue;
        assert_true(budget && (r == LAM_TIMEOUT || r == E_NOMEM));
        assert_true(++*refusals < 200);
        budget += budget / 4 + 1000;
        snprintf(sql, sizeof sql, "ALTER STREAM y SET (memory.limit = %lld)", (long long)budget);
        ut_sql(&u, sql);
    }
    assert_true(lam_wait(u.db, u.s, 1000000) == LAM_OK);
    assert_true(runtime_stream_stats(db_runtime(u.db), 2, st));
    char *rows = mock_rows("a");
    close_sim(&u);
    return rows;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort_rows(char *text)
{
    char *copy = strdup(text), *save, **at = malloc(sizeof *at * (strlen(text) + 1)), *to = text;
    size_t n = 0;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) at[n++] = l;
    qsort(at, n, sizeof *at, by_text);
    for (size_t i = 0; i < n; i++) to += sprintf(to, "%s\n", at[i]);
    free(at);
    free(copy);
}

/* Whatever the budget, and however often it is used up and raised: the result of the run without one, nothing counted twice. */
static void test_budgets(void **state)
{
    (void)state;
    int all = 0;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        int none, some;
        struct stream_stats free_st, tight_st;
        char *want = run_budget(seed, 0, &none, &free_st);
        char *got = run_budget(seed, 2000 + (int64_t)(seed * 37 % 41) * 3000, &some, &tight_st);
        sort_rows(want);
        sort_rows(got);
        assert_string_equal(got, want);
        assert_int_equal(tight_st.late, free_st.late);
        assert_int_equal(tight_st.rows_out, free_st.rows_out);
        all += some;
        mem_free(want);
        mem_free(got);
    }
    assert_true(all > 50);
}

/* Joins and sorts want inputs that end. */
static const char *const bounded_queries[] = {
    "SELECT g.k, g.v AS gv, h.v AS hv FROM g JOIN h ON g.k = h.k",
    "SELECT g.s, COUNT(*) AS c, SUM(h.v) AS t FROM g JOIN h ON g.k = h.k GROUP BY g.s",
    "SELECT k, v FROM g ORDER BY k DESC, v",
    "SELECT k, v, s FROM h ORDER BY s, v LIMIT 500",
};

static char *run_bounded(uint64_t seed, int64_t budget, int *refusals)
{
    struct under_test u;
    char sql[700];
    rng = seed;
    open_sim(&u, 1 + (int)draw(4), draw(2) ? 64 : 0, seed);
    snprintf(sql, sizeof sql,
             "CREATE SOURCE g (k BIGINT, v BIGINT, s VARCHAR) FROM GENERATOR (rows = 4000, seed = 5, fields = 'k: uniform(0,900), v: sequence(1,1), s: choice(a,b,c)');"
             "CREATE SOURCE h (k BIGINT, v BIGINT, s VARCHAR) FROM GENERATOR (rows = 3000, seed = 9, fields = 'k: uniform(0,900), v: sequence(1,1), s: choice(a,b,c)');"
             "CREATE STREAM y AS %s; ALTER STREAM y SET (memory.limit = %lld)",
             bounded_queries[seed % countof(bounded_queries)], (long long)budget);
    ut_sql(&u, sql);
    ut_sql(&u, "CREATE SINK a FROM y INTO MOCK (name = 'a')");
    *refusals = 0;
    for (int r; (r = lam_wait(u.db, u.s, 1000000));) {
        assert_true(budget && (r == LAM_TIMEOUT || r == E_NOMEM));
        assert_true(++*refusals < 200);
        budget += budget / 4 + 1000;
        snprintf(sql, sizeof sql, "ALTER STREAM y SET (memory.limit = %lld)", (long long)budget);
        ut_sql(&u, sql);
    }
    char *rows = mock_rows("a");
    close_sim(&u);
    return rows;
}

static void test_budgets_of_joins_and_sorts(void **state)
{
    (void)state;
    int all = 0;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        int none, some;
        char *want = run_bounded(seed, 0, &none);
        char *got = run_bounded(seed, 2000 + (int64_t)(seed * 37 % 41) * 3000, &some);
        if (seed % 4 < 2) sort_rows(want), sort_rows(got); /* those of a join come in any order */
        assert_true(*want);
        assert_string_equal(got, want);
        assert_int_equal(none, 0);
        all += some;
        mem_free(want);
        mem_free(got);
    }
    assert_true(all > 50);
}

static void state_is(struct under_test *u, const char *stream, const char *want)
{
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    assert_int_equal(lam_execute(u->s, "SHOW STREAMS", &rows), LAM_OK);
    assert_int_equal(rows.get_next(&rows, &a), 0);
    bool found = false;
    for (int64_t i = 0; i < a.length; i++) {
        const int32_t *name = a.children[0]->buffers[1], *st = a.children[1]->buffers[1];
        if (strncmp((const char *)a.children[0]->buffers[2] + name[i], stream, strlen(stream)) != 0) continue;
        char text[40];
        snprintf(text, sizeof text, "%.*s", st[i + 1] - st[i], (const char *)a.children[1]->buffers[2] + st[i]);
        assert_string_equal(text, want);
        found = true;
    }
    assert_true(found);
    a.release(&a);
    rows.release(&rows);
}

/* FAILED(MEMORY) is a state: others run, DDL says what it waits for, more memory ends it. */
static void test_no_memory_is_a_state(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 64, 3);
    ut_sql(&u, SOURCE "CREATE STREAM y AS SELECT k, v, COUNT(*) AS c FROM s GROUP BY k, v, TUMBLE(ts, INTERVAL '1' DAY);"
                      "CREATE SINK a FROM y INTO MOCK (name = 'a');"
                      "CREATE SOURCE o (v BIGINT); CREATE STREAM z AS SELECT v FROM o; CREATE SINK b FROM z INTO MOCK (name = 'b');"
                      "ALTER STREAM y SET ('memory.limit' = '20 KiB');");
    int64_t from = 0;
    while (ut_push(&u, "s", kvt, 3, 100, dense, &from, 1000) == LAM_OK) from += 100;
    state_is(&u, "y", "FAILED(MEMORY)");
    state_is(&u, "z", "RUNNING");
    static const char *const v[] = {"v"};
    int64_t five = 5;
    assert_int_equal(ut_push(&u, "o", v, 1, 5, dense, &five, 1000), LAM_OK);
    env_sim_advance(sim, 10000000);
    for (int i = 0; i < 1000; i++) lam_step(u.db, 1);
    assert_int_equal(lam_wait(u.db, u.s, 1000), E_NOMEM);
    assert_non_null(strstr(lam_errmsg(u.s), "\"y\""));
    assert_int_equal(mock_count("b"), 5);
    assert_int_equal(lam_execute(u.s, "CREATE SINK c FROM y INTO MOCK (name = 'c');", NULL), E_TIMEOUT);
    assert_non_null(strstr(lam_errmsg(u.s), "\"y\", which has no memory left"));
    assert_int_equal(lam_execute(u.s, "ALTER STREAM y SET ('memory.limits' = '1 MiB');", NULL), E_OPTION);
    ut_sql(&u, "ALTER STREAM y RESUME"); /* with no more than before it is refused again */
    assert_int_equal(lam_wait(u.db, u.s, 1000), E_NOMEM);
    ut_sql(&u, "ALTER STREAM y SET ('memory.limit' = '0');");
    push(&u, from, 100);
    lam_push_end(u.db, "s");
    lam_push_end(u.db, "o");
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), from + 100);
    ut_sql(&u, "SET memory_limit = '100 MiB'");
    assert_int_not_equal(lam_execute(u.s, "SET memory_limit = 'lots'", NULL), LAM_OK);
    assert_int_not_equal(lam_execute(u.s, "SET nothing = 1", NULL), LAM_OK);
    close_sim(&u);
}

/* A database that is closed while one waits for memory lets go of the batch. */
static void test_close_without_memory(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct under_test u;
        int64_t from = 0;
        mock_reset();
        sim = NULL;
        ut_open(&u, &ways[i], NULL);
        ut_sql(&u, SOURCE "CREATE STREAM y AS SELECT k, v, COUNT(*) AS c FROM s GROUP BY k, v, TUMBLE(ts, INTERVAL '1' DAY);"
                          "CREATE SINK a FROM y INTO MOCK (name = 'a'); ALTER STREAM y SET ('memory.limit' = '20 KiB');");
        while (ut_push(&u, "s", kvt, 3, 100, dense, &from, 1000) == LAM_OK) from += 100;
        ut_close(&u);
    }
}

/* A paused stream takes nothing in and loses nothing; others run, and so do changes. */
static void test_pause_and_resume(void **state)
{
    (void)state;
    struct under_test u;
    open_sim(&u, 2, 7, 3);
    ut_sql(&u, SOURCE "CREATE STREAM x AS SELECT k, v FROM s WHERE v >= 0; CREATE SINK a FROM x INTO MOCK (name = 'a');"
                      "CREATE SOURCE o (v BIGINT); CREATE STREAM z AS SELECT v FROM o; CREATE SINK b FROM z INTO MOCK (name = 'b');");
    push(&u, 0, 20);
    ut_sql(&u, "ALTER STREAM x PAUSE");
    state_is(&u, "x", "PAUSED");
    int64_t from = 20, five = 5;
    static const char *const v[] = {"v"};
    assert_int_equal(ut_push(&u, "s", kvt, 3, 20, dense, &from, 1000), LAM_TIMEOUT);
    assert_int_equal(ut_push(&u, "o", v, 1, 5, dense, &five, 1000), LAM_OK);
    assert_int_equal(lam_drain(u.db, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 20);
    assert_int_equal(mock_count("b"), 5);
    ut_sql(&u, "CREATE SINK d FROM x INTO MOCK (name = 'd');");
    env_sim_advance(sim, 100000000); /* it is not idle */
    ut_sql(&u, "ALTER STREAM x RESUME");
    state_is(&u, "x", "RUNNING");
    push(&u, 20, 20);
    lam_push_end(u.db, "s");
    lam_push_end(u.db, "o");
    assert_int_equal(lam_wait(u.db, u.s, 1000000), LAM_OK);
    assert_int_equal(mock_count("a"), 40);
    assert_int_equal(mock_count("d"), 20);
    assert_int_equal(lam_execute(u.s, "ALTER STREAM x PAUSE", NULL), E_MISUSE);
    close_sim(&u);
}

/* ---- what becomes of rows that are pushed too fast ------------------------------------------------------------------------ */

struct pushes {
    int64_t accepted, taken, dropped, waits;
    int refused;
};

/* 200 batches are pushed while nothing is taken; then all that was accepted comes out, but what was dropped. */
static struct pushes overflow(const char *policy, int workers)
{
    struct under_test u;
    struct pushes p = {0};
    struct source_stats st;
    char sql[400];
    open_sim(&u, workers, 0, 3);
    snprintf(sql, sizeof sql, "CREATE SOURCE s (k BIGINT, v BIGINT, ts BIGINT) WITH (overflow = '%s');"
             "CREATE STREAM x AS SELECT v FROM s; CREATE SINK a FROM x INTO MOCK (name = 'a');", policy);
    ut_sql(&u, sql);
    ut_sql(&u, "ALTER STREAM x PAUSE");
    for (int64_t i = 0; i < 200; i++) {
        int64_t from = i * 2000;
        int r = ut_push(&u, "s", kvt, 3, 2000, dense, &from, 1000);
        p.refused += r != LAM_OK;
        if (r) assert_int_equal(r, strcmp(policy, "error") ? LAM_TIMEOUT : E_FULL);
        if (i == 100) assert_int_equal(lam_drain(u.db, 1000000), LAM_OK); /* barriers pass */
    }
    ut_sql(&u, "ALTER STREAM x RESUME");
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
    assert_true(runtime_source_stats(db_runtime(u.db), 1, &st));
    p.accepted = (int64_t)st.accepted;
    p.taken = (int64_t)st.rows;
    p.dropped = (int64_t)st.dropped;
    p.waits = (int64_t)st.waits;
    assert_int_equal(mock_count("a"), p.taken);
    assert_int_equal(p.accepted, p.taken + p.dropped);
    if (!strcmp(policy, "drop_oldest")) { /* what is left is the newest, in order */
        char *rows = mock_rows("a");
        assert_int_equal(atoll(rows), 400000 - p.taken);
        mem_free(rows);
    }
    close_sim(&u);
    return p;
}

static void test_r13_overflow(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 4; workers += 3) {
        struct pushes block = overflow("block", workers), fails = overflow("error", workers);
        struct pushes oldest = overflow("drop_oldest", workers), newest = overflow("drop_newest", workers);
        assert_int_equal(block.waits, block.refused);
        assert_int_equal(block.dropped + fails.dropped + oldest.refused + newest.refused, 0);
        assert_int_equal(block.accepted, (200 - block.refused) * 2000);
        assert_int_equal(fails.accepted, (200 - fails.refused) * 2000);
        assert_int_equal(oldest.accepted, 400000);
        assert_int_equal(newest.accepted, 400000);
        assert_true(oldest.dropped > 0 && oldest.taken > 2000);
        assert_int_equal(newest.dropped, 400000);
    }
    struct under_test u;
    open_sim(&u, 1, 0, 1);
    assert_int_equal(lam_execute(u.s, "CREATE SOURCE g (v BIGINT) FROM GENERATOR (rows = 5, overflow = 'error')", NULL), E_OPTION);
    close_sim(&u);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r6_equal_outlets_are_shared),
        cmocka_unit_test(test_r14_sinks_join_and_leave),
        cmocka_unit_test(test_replace_under_a_window),
        cmocka_unit_test(test_replace_refused),
        cmocka_unit_test(test_drop_and_create_are_one_change),
        cmocka_unit_test(test_waiting_names_who),
        cmocka_unit_test(test_replace_under_load),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_budgets_of_joins_and_sorts),
        cmocka_unit_test(test_no_memory_is_a_state),
        cmocka_unit_test(test_close_without_memory),
        cmocka_unit_test(test_pause_and_resume),
        cmocka_unit_test(test_r13_overflow),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
