/* What laminar.h promises to a program of one thread. SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"

#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>

/* ---- opening and configuration ----------------------------------------------------------------------------------- */

static int threads_of_process(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static void test_open(void **state)
{
    (void)state;
    int before = threads_of_process();
    struct lam_db *db = open_db(4);
    struct lam_session *s = open_session(db);
    assert_int_equal(threads_of_process(), before); /* until something runs */
    assert_string_equal(lam_errmsg(s), "");
    assert_string_equal(lam_errhint(s), "");
    assert_string_equal(lam_errdetail(s, NULL), "");
    assert_string_equal(lam_sqlstate(s), "00000");
    assert_int_equal(lam_errpos(s), -1);
    close_both(db, s);
    ok(lam_open(NULL, NULL, &db));
    ok(lam_close(db, -1));
    ok(lam_close(NULL, 0));
    lam_session_close(NULL);
    lam_sub_close(NULL);
    assert_true(strlen(lam_version()) >= 5);
}

static void refuse(struct lam_config cfg, const char *word)
{
    struct lam_db *db = (struct lam_db *)1;
    assert_int_equal(lam_open(NULL, &cfg, &db), 1);
    assert_null(db);
    assert_non_null(strstr(lam_errmsg(NULL), word));
}

static void test_config(void **state)
{
    (void)state;
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1};
    struct lam_db *db = NULL;
#define WITH(word, ...) refuse((struct lam_config){.size = sizeof cfg, __VA_ARGS__}, word)
    refuse((struct lam_config){.size = 4}, "size");
    refuse((struct lam_config){.size = sizeof cfg + 8}, "size");
    WITH("batch_rows", .batch_rows = 8193);
    WITH("on_error", .on_error = "explode");
    WITH("threads", .threads = 100000);
    WITH("threads", .threads = -2);
    cfg.on_error = "null";
    cfg.batch_rows = 8192;
    ok(lam_open(NULL, &cfg, &db));
    ok(lam_close(db, -1));
    cfg.size = offsetof(struct lam_config, memory_limit); /* an older program */
    cfg.batch_rows = 1 << 30;
    ok(lam_open(NULL, &cfg, &db));
    ok(lam_close(db, -1));
    assert_int_equal(lam_open("/tmp", NULL, &db), 1001);
    assert_non_null(strstr(lam_errmsg(NULL), "directory"));
    assert_string_equal(lam_sqlstate(NULL), "0A000");
}

static void test_strerror(void **state)
{
    (void)state;
    assert_string_equal(lam_strerror(LAM_OK), "ok");
    assert_string_equal(lam_strerror(1203), "division by zero");
    static const int flows[] = {LAM_END, LAM_TIMEOUT, LAM_EMPTY, LAM_WORK};
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++)
        for (size_t k = 0; k < i; k++) assert_string_not_equal(lam_strerror(flows[i]), lam_strerror(flows[k]));
    assert_non_null(lam_strerror(77777));
}

/* ---- statements ------------------------------------------------------------------------------------------------------ */

#define NUMBERS "CREATE SOURCE n (v BIGINT) FROM GENERATOR (rows = 5000, fields = 'v: sequence');"

static void test_result(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        struct lam_db *db = open_db(threads);
        struct lam_session *s = open_session(db);
        struct ArrowArrayStream rows;
        struct ArrowSchema schema;
        struct ArrowArray a;
        int64_t n = 0, sum = 0;
        ok(lam_execute(s, NUMBERS "SELECT v, 'x' || v::text AS t FROM n;", &rows));
        ok(rows.get_schema(&rows, &schema));
        assert_string_equal(schema.format, "+s");
        assert_int_equal(schema.n_children, 2);
        assert_string_equal(schema.children[0]->name, "v");
        assert_string_equal(schema.children[0]->format, "l");
        assert_string_equal(schema.children[1]->name, "t");
        assert_string_equal(schema.children[1]->format, "u");
        schema.release(&schema);
        for (;;) {
            ok(rows.get_next(&rows, &a));
            if (!a.release) break;
            for (int64_t i = 0; i < a.length; i++) sum += cell(&a, 0, i);
            n += a.length;
            a.release(&a);
        }
        assert_int_equal(n, 5000);
        assert_int_equal(sum, 4999 * 2500);
        ok(rows.get_next(&rows, &a)); /* the end stays the end */
        assert_null(a.release);
        assert_null(rows.get_last_error(&rows));
        rows.release(&rows);
        assert_null(rows.release);
        ok(lam_execute(s, "DROP SOURCE n;", &rows)); /* nothing has rows */
        assert_null(rows.release);
        close_both(db, s);
    }
}

static void test_result_fails_in_the_middle(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    ok(lam_execute(s, NUMBERS "SELECT 10 / (v - 4500) AS q FROM n;", &rows));
    int r;
    while (!(r = rows.get_next(&rows, &a)) && a.release) a.release(&a);
    assert_int_not_equal(r, 0);
    const char *text = rows.get_last_error(&rows);
    assert_non_null(strstr(text, "[LAM-1203] division by zero"));
    assert_non_null(strstr(text, "22012"));
    assert_int_not_equal(rows.get_next(&rows, &a), 0);
    rows.release(&rows);
    run(s, "DROP SOURCE n;");
    close_both(db, s);
}

static void test_result_lives_on(void **state)
{
    (void)state;
    struct lam_db *db = open_db(2);
    struct lam_session *s = open_session(db);
    struct ArrowArrayStream rows, early, orphan, show;
    struct ArrowArray a, kept;
    ok(lam_execute(s, NUMBERS "SELECT v FROM n;", &early));
    ok(early.get_next(&early, &kept));
    early.release(&early);
    ok(lam_execute(s, "SELECT v FROM n;", &rows));
    ok(lam_execute(s, "SELECT v FROM n;", &orphan));
    ok(lam_execute(s, "SHOW SOURCES;", &show));
    lam_session_close(s);
    int64_t n = 0;
    for (;;) {
        ok(rows.get_next(&rows, &a));
        if (!a.release) break;
        n += a.length;
        a.release(&a);
    }
    assert_int_equal(n, 5000);
    ok(lam_close(db, LONG_TIME));
    assert_int_not_equal(orphan.get_next(&orphan, &a), 0);
    assert_non_null(strstr(orphan.get_last_error(&orphan), "closed"));
    orphan.release(&orphan);
    rows.release(&rows);
    ok(show.get_next(&show, &a)); /* made when asked for: readable for ever */
    assert_int_equal(a.length, 1);
    a.release(&a);
    show.release(&show);
    assert_int_equal(cell(&kept, 0, 3), 3);
    kept.release(&kept);
}

static void test_execute_next(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    const char *sql = " SELECT 1; -- ';'\n\n SELECT ';' ;  ";
    struct ArrowArrayStream rows;
    size_t at = 0;
    ok(lam_execute_next(s, sql, &at, &rows));
    assert_int_equal(at, strcspn(sql, ";") + 1);
    rows.release(&rows);
    ok(lam_execute_next(s, sql, &at, NULL));
    assert_string_equal(sql + at, "  ");
    assert_int_equal(lam_execute_next(s, sql, &at, &rows), LAM_END);
    assert_int_equal(at, strlen(sql));
    assert_null(rows.release);
    assert_int_equal(lam_execute_next(s, sql, &at, NULL), LAM_END);
    ok(lam_execute(s, "", NULL));
    ok(lam_execute(s, " ; ;-- nothing", &rows));
    at = 0;
    assert_int_equal(lam_execute_next(s, "SELEC 1; SELECT 2", &at, NULL), 1000);
    assert_int_equal(at, 8); /* a shell may go on behind it */
    ok(lam_execute_next(s, "SELEC 1; SELECT 2", &at, NULL));
    ok(lam_apply(s));
    assert_true(lam_incomplete("SELECT 'a"));
    assert_false(lam_incomplete("SELECT 1;"));
    close_both(db, s);
}

static void test_error_position(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    ok(lam_set_var(s, "ROWS", "10000000"));
    ok(lam_set_var(s, "X", "1"));
    const char *sql = "CREATE SOURCE g (v BIGINT)\n  FROM GENERATOR (rows = ${ROWS});\nSELECT ${X} + ${X}, w FROM g;";
    assert_int_equal(lam_execute(s, sql, NULL), 1100);
    assert_int_equal(lam_errpos(s), strstr(sql, "w FROM") - sql); /* in the text that was given */
    assert_string_equal(lam_sqlstate(s), "42703");
    assert_non_null(strstr(lam_errmsg(s), "[LAM-1100]"));
    assert_non_null(strstr(lam_errmsg(s), "w"));
    const char *detail = lam_errdetail(s, "file.sql");
    assert_non_null(strstr(detail, "file.sql:3:"));
    assert_non_null(strstr(detail, "^"));
    sql = "SELECT 1;\nSELECT ${NOT_SET_ANYWHERE};";
    assert_int_equal(lam_execute(s, sql, NULL), 3);
    assert_int_equal(lam_errpos(s), strstr(sql, "${") - sql);
    assert_string_not_equal(lam_errhint(s), "");
    assert_non_null(strstr(lam_errdetail(s, "f"), "f:2:8"));
    ok(lam_set_var(s, "X", "'\n\n'"));
    sql = "SELECT ${X}, nope;";
    assert_int_equal(lam_execute(s, sql, NULL), 1100);
    assert_int_equal(lam_errpos(s), strstr(sql, "nope") - sql);
    sql = "SELECT 1 + ${Y:-oops};"; /* inside what was put in: where it was put in */
    assert_int_equal(lam_execute(s, sql, NULL), 1100);
    assert_int_equal(lam_errpos(s), strstr(sql, "${Y") - sql);
    ok(lam_execute(s, "SELECT 1", NULL));
    assert_string_equal(lam_errmsg(s), ""); /* of the last call only */
    assert_int_equal(lam_errpos(s), -1);
    close_both(db, s);
}

static void test_variables(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db), *other = open_session(db);
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    setenv("LAM_TEST_VAR", "6", 1);
    ok(lam_execute(s, "SELECT ${LAM_TEST_VAR}::bigint", &rows));
    ok(rows.get_next(&rows, &a));
    assert_int_equal(cell(&a, 0, 0), 6);
    a.release(&a);
    rows.release(&rows);
    ok(lam_set_var(s, "LAM_TEST_VAR", "7"));
    ok(lam_set_var(s, "LAM_TEST_VAR", "8"));
    ok(lam_execute(s, "SELECT ${LAM_TEST_VAR}::bigint", &rows));
    ok(rows.get_next(&rows, &a));
    assert_int_equal(cell(&a, 0, 0), 8);
    a.release(&a);
    rows.release(&rows);
    unsetenv("LAM_TEST_VAR");
    assert_int_equal(lam_execute(other, "SELECT ${LAM_TEST_VAR}", NULL), 3);
    ok(lam_set_var(s, "LAM_TEST_VAR", NULL));
    ok(lam_set_var(s, "LAM_TEST_VAR", NULL));
    assert_int_equal(lam_execute(s, "SELECT ${LAM_TEST_VAR}", NULL), 3);
    lam_session_close(other);
    close_both(db, s);
}

static int64_t count_rows(struct lam_session *s, const char *sql)
{
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    int64_t n = 0;
    if (lam_execute(s, sql, &rows)) fail_msg("%s", lam_errmsg(s));
    for (;;) {
        ok(rows.get_next(&rows, &a));
        if (!a.release) break;
        n += a.length;
        a.release(&a);
    }
    rows.release(&rows);
    return n;
}

static void test_undo(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    run(s, "CREATE SOURCE a (v BIGINT);");
    assert_int_equal(lam_execute(s, "CREATE SOURCE b (v BIGINT); CREATE STREAM c AS SELECT v FROM b; SELECT nope;", NULL), 1100);
    assert_int_equal(count_rows(s, "SHOW SOURCES"), 1);
    assert_int_equal(count_rows(s, "SHOW STREAMS"), 0);
    assert_int_equal(lam_execute(s, "CREATE SOURCE b (v BIGINT); SELECT 1; CREATE SOURCE a (v BIGINT);", NULL), 1104);
    assert_int_equal(count_rows(s, "SHOW SOURCES"), 2); /* the query applied what was before it */
    close_both(db, s);
}

static void test_transaction(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    run(s, "BEGIN; CREATE SOURCE a (v BIGINT); ROLLBACK;");
    assert_int_equal(count_rows(s, "SHOW SOURCES"), 0);
    run(s, "BEGIN; CREATE SOURCE a (v BIGINT);");
    run(s, "CREATE STREAM b AS SELECT v FROM a; CREATE SINK c FROM b INTO BLACKHOLE;");
    int64_t one = 1;
    assert_int_equal(push(db, "a", "v:l", &one, 1, 0), 5060); /* nothing runs before COMMIT */
    run(s, "COMMIT;");
    assert_int_equal(push(db, "a", "v:l", &one, 1, LONG_TIME), LAM_OK);
    /* One that failed takes nothing more until it is ended, and COMMIT ends it as ROLLBACK does. */
    assert_int_equal(lam_execute(s, "BEGIN; CREATE SOURCE d (v BIGINT); SELECT nope;", NULL), 1100);
    assert_int_equal(lam_execute(s, "CREATE SOURCE e (v BIGINT);", NULL), LAM_MISUSE);
    assert_non_null(strstr(lam_errhint(s), "ROLLBACK"));
    run(s, "COMMIT;");
    assert_int_equal(count_rows(s, "SHOW SOURCES"), 1);
    run(s, "CREATE SOURCE e (v BIGINT); CREATE SINK f FROM e INTO BLACKHOLE;");
    assert_int_equal(push(db, "e", "v:l", &one, 1, LONG_TIME), LAM_OK);
    lam_session_close(s);
    s = open_session(db);
    run(s, "BEGIN; CREATE SOURCE gone (v BIGINT);");
    lam_session_close(s); /* without COMMIT: undone */
    s = open_session(db);
    assert_int_equal(count_rows(s, "SHOW SOURCES"), 2);
    close_both(db, s);
}

/* What a session has not applied yet, others can neither use nor take away. */
static void test_two_sessions(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db), *other = open_session(db);
    run(s, "BEGIN; CREATE SOURCE a (v BIGINT);");
    assert_int_equal(lam_execute(other, "CREATE STREAM b AS SELECT v FROM a;", NULL), 1101);
    assert_int_equal(lam_execute(other, "SELECT * FROM a;", NULL), 1101);
    assert_int_equal(lam_execute(other, "DROP SOURCE a;", NULL), 1101);
    assert_int_equal(lam_execute(other, "CREATE SOURCE a (v BIGINT);", NULL), 1104);
    run(s, "ROLLBACK;");
    run(other, "CREATE SOURCE a (v BIGINT); CREATE STREAM b AS SELECT v FROM a;");
    assert_int_equal(lam_execute(s, "DROP SOURCE a;", NULL), 1108);
    lam_session_close(other);
    close_both(db, s);
}

/* ---- rows in --------------------------------------------------------------------------------------------------------------- */

static void test_push_columns(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    run(s, "CREATE SOURCE t (k VARCHAR, v BIGINT, must BIGINT NOT NULL);");
    int64_t cells[] = {5, (intptr_t)"a", 1, 6, (intptr_t)"b", 2};
    assert_int_equal(push(db, "t", "must:l,k:u,v:l", cells, 2, 0), 5060);
    assert_string_not_equal(lam_errhint(NULL), "");
    struct lam_sub *sub = subscribe(s, "t", NULL);
    struct ArrowArray a;
    int before = atomic_load(&rows_released);
    ok(push(db, "t", "must:l,k:u,v:l", cells, 2, -1));
    assert_int_equal(atomic_load(&rows_released), before + 1);
    ok(lam_recv(sub, &a, LONG_TIME));
    assert_int_equal(a.length, 2);
    assert_int_equal(cell(&a, 1, 1), 2);
    assert_int_equal(cell(&a, 2, 1), 6);
    assert_memory_equal(a.children[0]->buffers[2], "ab", 2);
    a.release(&a);
    ok(push(db, "t", "must:l", cells, 1, -1)); /* what is missing is NULL */
    ok(lam_recv(sub, &a, LONG_TIME));
    assert_int_equal(a.children[0]->null_count, 1);
    assert_int_equal(a.children[1]->null_count, 1);
    a.release(&a);
    assert_int_equal(push(db, "t", "mist:l", cells, 1, -1), 1100);
    assert_non_null(strstr(lam_errmsg(NULL), "mist"));
    assert_non_null(strstr(lam_errhint(NULL), "must"));
    assert_int_equal(push(db, "t", "must:l,k:l", cells, 1, -1), 6);
    assert_non_null(strstr(lam_errmsg(NULL), "\"k\""));
    assert_int_equal(push(db, "t", "v:l", cells, 1, -1), 6); /* NOT NULL */
    assert_int_equal(push(db, "none", "v:l", cells, 1, -1), 1101);
    assert_non_null(strstr(lam_errmsg(NULL), "none"));
    run(s, NUMBERS);
    assert_int_equal(push(db, "n", "v:l", cells, 1, -1), LAM_MISUSE);
    ok(push(db, "t", "must:l", cells, 0, -1)); /* no rows: nothing to give, taken all the same */
    assert_int_equal(lam_poll(sub, &a), LAM_EMPTY);
    ok(lam_push_end(db, "t"));
    assert_int_equal(lam_recv(sub, &a, LONG_TIME), LAM_END);
    assert_int_equal(push(db, "t", "must:l", cells, 1, -1), 5060);
    lam_sub_close(sub);
    close_both(db, s);
}

/* All rows of an array are checked before the first is taken. */
static void test_push_all_or_none(void **state)
{
    (void)state;
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1, .batch_rows = 2};
    struct lam_db *db;
    ok(lam_open(NULL, &cfg, &db));
    struct lam_session *s = open_session(db);
    run(s, "CREATE SOURCE t (k VARCHAR);");
    struct lam_sub *sub = subscribe(s, "t", NULL);
    int64_t cells[] = {(intptr_t)"a", (intptr_t)"b", (intptr_t)"c", (intptr_t)"\xff\xfe"};
    struct ArrowArray a;
    assert_int_not_equal(push(db, "t", "k:u", cells, 4, -1), LAM_OK);
    ok(lam_drain(db, LONG_TIME));
    assert_int_equal(lam_poll(sub, &a), LAM_EMPTY);
    lam_sub_close(sub);
    close_both(db, s);
}

static void test_push_timeout(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        struct lam_db *db = open_db(threads);
        struct lam_session *s = open_session(db);
        run(s, "CREATE SOURCE t (v BIGINT);");
        struct lam_sub *sub = subscribe(s, "t", NULL);
        int64_t pushed = 0, sum = 0, got;
        int r;
        while ((r = push(db, "t", "v:l", &pushed, 1, 2000)) == LAM_OK && pushed < 100000) pushed++;
        assert_int_equal(r, LAM_TIMEOUT);
        assert_int_equal(push(db, "t", "v:l", &pushed, 1, 0), LAM_TIMEOUT);
        got = receive(sub, 0, pushed, &sum);
        assert_int_equal(got, pushed);
        assert_int_equal(sum, pushed * (pushed - 1) / 2);
        assert_int_equal(push_one(db, "t", 1), LAM_OK); /* there is room again */
        assert_int_equal(receive(sub, 0, 1, NULL), 1);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

static void test_push_watermark(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        struct lam_db *db = open_db(threads);
        struct lam_session *s = open_session(db);
        run(s, "CREATE SOURCE t (v BIGINT, ts BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);"
               "CREATE STREAM w AS SELECT SUM(v) AS total FROM t GROUP BY TUMBLE(ts, INTERVAL '1' SECOND) EMIT ON WINDOW CLOSE;");
        struct lam_sub *sub = subscribe(s, "w", NULL);
        struct ArrowArray a;
        int64_t cells[] = {1, 100, 2, 200, 3, 1500};
        ok(push(db, "t", "v:l,ts:l", cells, 3, -1));
        ok(lam_drain(db, LONG_TIME));
        assert_int_equal(lam_poll(sub, &a), LAM_EMPTY);
        ok(lam_push_watermark(db, "t", 1000000)); /* what is said, not less a delay */
        ok(lam_recv(sub, &a, LONG_TIME));
        assert_int_equal(a.length, 1);
        a.release(&a);
        ok(lam_drain(db, LONG_TIME));
        assert_int_equal(lam_poll(sub, &a), LAM_EMPTY);
        assert_int_equal(lam_sub_watermark(sub), 1000000);
        assert_int_equal(lam_push_watermark(db, "none", 0), 1101);
        ok(lam_push_end(db, "t"));
        ok(lam_recv(sub, &a, LONG_TIME));
        a.release(&a);
        assert_int_equal(lam_recv(sub, &a, LONG_TIME), LAM_END);
        assert_int_equal(lam_push_watermark(db, "t", 2000000), 5060);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

/* ---- rows out ---------------------------------------------------------------------------------------------------------- */

static void test_subscribe(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    struct ArrowSchema schema;
    struct ArrowArray a;
    struct lam_sub *sub, *none;
    struct lam_sub_config cfg = {.size = sizeof cfg, .where = "v >"};
    run(s, "CREATE SOURCE t (v BIGINT); CREATE STREAM x AS SELECT v, v * 2 AS twice FROM t;");
    assert_int_equal(lam_subscribe(s, "y", NULL, &none), 1101);
    assert_non_null(strstr(lam_errmsg(s), "\"y\""));
    assert_null(none);
    assert_int_equal(lam_subscribe(s, "x", &cfg, &none), 1000);
    cfg.where = "nope = 1";
    assert_int_equal(lam_subscribe(s, "x", &cfg, &none), 1100);
    cfg.where = "v > 1) UNION ALL (SELECT 1, 2"; /* an expression and nothing else */
    assert_int_not_equal(lam_subscribe(s, "x", &cfg, &none), LAM_OK);
    cfg.where = "v > 1 LIMIT 1";
    assert_int_not_equal(lam_subscribe(s, "x", &cfg, &none), LAM_OK);
    cfg.size = 1;
    assert_int_equal(lam_subscribe(s, "x", &cfg, &none), 1);
    sub = subscribe(s, "x", "v > 10 OR twice = 2");
    ok(lam_sub_schema(sub, &schema));
    assert_int_equal(schema.n_children, 2);
    assert_string_equal(schema.children[1]->name, "twice");
    schema.release(&schema);
    assert_int_equal(lam_sub_watermark(sub), INT64_MIN);
    assert_int_equal(lam_poll(sub, &a), LAM_EMPTY);
    assert_int_equal(lam_recv(sub, &a, 1000), LAM_TIMEOUT);
    for (int64_t v = 0; v < 20; v++) ok(push_one(db, "t", v));
    int64_t sum;
    assert_int_equal(receive(sub, 1, 10, &sum), 10);
    assert_int_equal(sum, 2 + 2 * (11 + 19) * 9 / 2);
    assert_int_equal(lam_execute(s, "DROP STREAM x;", NULL), 1108);
    lam_sub_close(sub);
    run(s, "DROP STREAM x; DROP SOURCE t;");
    close_both(db, s);
}

static void test_subscription_of_a_closed_database(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    struct ArrowArray a;
    struct ArrowSchema schema;
    run(s, "CREATE SOURCE t (v BIGINT);");
    struct lam_sub *sub = subscribe(s, "t", NULL);
    ok(push_one(db, "t", 1));
    ok(lam_recv(sub, &a, LONG_TIME));
    close_both(db, s);
    assert_int_equal(cell(&a, 0, 0), 1); /* an array lives on */
    a.release(&a);
    assert_true(lam_recv(sub, &a, -1) > 0);
    assert_non_null(strstr(lam_errmsg(NULL), "closed"));
    assert_true(lam_poll(sub, &a) > 0);
    ok(lam_sub_schema(sub, &schema));
    schema.release(&schema);
    lam_sub_cancel(sub);
    lam_sub_close(sub);
}

/* ---- waiting -------------------------------------------------------------------------------------------------------------- */

static void test_wait(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        struct lam_db *db = open_db(threads);
        struct lam_session *s = open_session(db);
        ok(lam_wait(db, s, 0)); /* nothing runs */
        run(s, NUMBERS "CREATE SINK x FROM n INTO BLACKHOLE;");
        ok(lam_wait(db, s, LONG_TIME));
        ok(lam_wait(db, NULL, LONG_TIME));
        run(s, "CREATE SOURCE t (v BIGINT); CREATE SINK y FROM t INTO BLACKHOLE;");
        assert_int_equal(lam_wait(db, s, 1000), LAM_TIMEOUT);
        ok(lam_push_end(db, "t"));
        ok(lam_wait(db, s, LONG_TIME));
        close_both(db, s);
    }
}

static void test_component_fails(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        struct lam_config cfg = {.size = sizeof cfg, .threads = threads, .on_error = "fail"};
        struct lam_db *db;
        ok(lam_open(NULL, &cfg, &db));
        struct lam_session *s = open_session(db);
        struct ArrowArray a;
        run(s, "CREATE SOURCE t (v BIGINT); CREATE STREAM q AS SELECT 10 / v AS q FROM t;");
        struct lam_sub *sub = subscribe(s, "q", NULL);
        run(s, "CREATE SINK x FROM q INTO BLACKHOLE;");
        ok(push_one(db, "t", 0));
        assert_int_equal(lam_recv(sub, &a, LONG_TIME), 1203);
        assert_non_null(strstr(lam_errmsg(NULL), "division by zero"));
        assert_int_equal(lam_wait(db, s, LONG_TIME), 1203);
        assert_non_null(strstr(lam_errmsg(s), "[LAM-1203] division by zero"));
        assert_string_equal(lam_sqlstate(s), "22012");
        assert_int_equal(lam_errpos(s), -1);
        assert_int_equal(lam_wait(db, NULL, LONG_TIME), 1203);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

static int64_t rows_of_held(bool hold)
{
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1, .eof_hold = hold};
    struct lam_db *db;
    ok(lam_open(NULL, &cfg, &db));
    struct lam_session *s = open_session(db);
    run(s, "CREATE SOURCE n (v BIGINT, ts TIMESTAMP, WATERMARK FOR ts) FROM GENERATOR (rows = 25, step = '100 ms', "
           "start = '2024-01-01 00:00:00', fields = 'v: sequence, ts: time');"
           "CREATE STREAM w AS SELECT COUNT(*) AS c FROM n GROUP BY TUMBLE(ts, INTERVAL '1' SECOND) EMIT ON WINDOW CLOSE;");
    struct lam_sub *sub = subscribe(s, "w", NULL);
    int64_t n = receive(sub, 0, 100, NULL);
    lam_sub_close(sub);
    close_both(db, s);
    return n;
}

static void test_eof_hold(void **state)
{
    (void)state;
    assert_int_equal(rows_of_held(false), 3);
    assert_int_equal(rows_of_held(true), 2); /* no row ever proved the third */
}

/* ---- without threads -------------------------------------------------------------------------------------------------------- */

/* A turn of an application's loop: until something is ready or due, unless it has more to do itself. */
static void turn(struct lam_db *db, bool busy)
{
    while (lam_step(db, 1000) == LAM_WORK) {}
    if (busy) return;
    int64_t us = lam_next_us(db);
    struct pollfd p = {lam_fd(db), POLLIN, 0};
    int ms = us < 0 || us > 1000000 ? 1000 : (int)((us + 999) / 1000);
    poll(&p, 1, ms);
}

static void test_no_threads(void **state)
{
    (void)state;
    int before = threads_of_process();
    struct lam_db *db = open_db(0);
    struct lam_session *s = open_session(db);
    struct ArrowArray a;
    run(s, "CREATE SOURCE t (v BIGINT); CREATE STREAM big AS SELECT v FROM t WHERE v >= 50;"
           "CREATE SOURCE slow (v BIGINT) FROM GENERATOR (rows = 50, rows_per_second = 500, fields = 'v: sequence');");
    struct lam_sub *pushed = subscribe(s, "big", NULL), *paced = subscribe(s, "slow", NULL);
    int64_t got = 0, ticks = 0, turns = 0;
    for (int64_t v = 0; got < 50 || ticks < 50; turns++) {
        assert_true(turns < 10000);
        if (v < 100) ok(push(db, "t", "v:l", &v, 1, 0)), v++;
        turn(db, v < 100);
        for (; lam_poll(pushed, &a) == LAM_OK; a.release(&a)) got += a.length;
        for (; lam_poll(paced, &a) == LAM_OK; a.release(&a)) ticks += a.length;
    }
    assert_int_equal(got, 50);
    assert_int_equal(ticks, 50);
    ok(lam_push_end(db, "t"));
    ok(lam_wait(db, s, LONG_TIME));
    assert_int_equal(lam_step(db, 1000), LAM_OK);
    assert_int_equal(lam_next_us(db), -1);
    assert_int_equal(threads_of_process(), before);
    lam_sub_close(pushed);
    lam_sub_close(paced);
    close_both(db, s);
    db = open_db(1); /* with threads there is nothing to step */
    assert_int_equal(lam_step(db, 1000), LAM_MISUSE);
    assert_int_equal(lam_fd(db), -1);
    assert_int_equal(lam_next_us(db), -1);
    ok(lam_close(db, -1));
}

/* An idle loop sleeps: nothing is due and nothing readable. */
static void test_no_threads_idle(void **state)
{
    (void)state;
    struct lam_db *db = open_db(0);
    struct lam_session *s = open_session(db);
    run(s, "CREATE SOURCE t (v BIGINT);");
    struct lam_sub *sub = subscribe(s, "t", NULL);
    while (lam_step(db, 1000) == LAM_WORK) {}
    int64_t due = lam_next_us(db);
    assert_true(due < 0 || due > SECOND);
    struct pollfd p = {lam_fd(db), POLLIN, 0};
    assert_int_equal(poll(&p, 1, 20), 0);
    lam_sub_close(sub);
    close_both(db, s);
}

/* ---- the log, the heap, fork ------------------------------------------------------------------------------------------------- */

static void take_message(void *ctx, int level, const char *message)
{
    if (level == 0) snprintf(ctx, 200, "%s", message);
}

static void test_log(void **state)
{
    (void)state;
    char text[200] = "";
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1, .log = take_message, .log_ctx = text};
    struct lam_db *db;
    ok(lam_open(NULL, &cfg, &db));
    struct lam_session *s = open_session(db);
    run(s, NUMBERS "CREATE SINK m FROM n INTO MOCK (name = 'api_log', script = 'fatal write 1');");
    assert_true(lam_wait(db, s, LONG_TIME) > 0);
    close_both(db, s);
    assert_non_null(strstr(text, "m"));
}

static void test_memory_count(void **state)
{
    (void)state;
    uint64_t before = lam_memory_allocations();
    struct lam_db *db = open_db(1);
    assert_true(lam_memory_allocations() > before);
    ok(lam_close(db, -1));
    assert_int_equal(lam_set_memory(NULL, NULL, NULL), LAM_MISUSE); /* too late */
}

struct all {
    struct lam_db *db;
    struct lam_session *s;
    struct lam_sub *sub;
    struct ArrowArrayStream rows;
};

/* The number of the call that did not refuse, 0 if all did. */
static int try_all(struct all *x)
{
    struct ArrowArray a = {0};
    struct ArrowSchema schema = {0};
    struct lam_session *s;
    struct lam_sub *sub;
    size_t at = 0;
    const int results[] = {
        lam_session_open(x->db, &s),
        lam_execute(x->s, "SELECT 1", NULL),
        lam_execute_next(x->s, "SELECT 1", &at, NULL),
        lam_apply(x->s),
        lam_set_var(x->s, "a", "b"),
        lam_wait(x->db, x->s, 0),
        lam_step(x->db, 0),
        lam_drain(x->db, 0),
        lam_push(x->db, "t", &a, &schema, 0),
        lam_push_watermark(x->db, "t", 0),
        lam_push_end(x->db, "t"),
        lam_replay(x->s, "nothing"),
        lam_subscribe(x->s, "t", NULL, &sub),
        lam_sub_schema(x->sub, &schema),
        lam_poll(x->sub, &a),
        lam_recv(x->sub, &a, -1),
        lam_close(x->db, 0),
    };
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i] != LAM_MISUSE) return (int)i + 1;
    if (lam_fd(x->db) != -1 || lam_next_us(x->db) != -1) return 100;
    if (!x->rows.get_next(&x->rows, &a)) return 101;
    lam_cancel(x->s);
    lam_sub_cancel(x->sub);
    lam_sub_close(x->sub);
    x->rows.release(&x->rows);
    lam_session_close(x->s);
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 1; threads++) {
        struct all x = {.db = open_db(threads)};
        x.s = open_session(x.db);
        ok(lam_set_var(x.s, "X", "1"));
        run(x.s, "CREATE SOURCE t (v BIGINT);" NUMBERS);
        x.sub = subscribe(x.s, "t", NULL);
        ok(lam_execute(x.s, "SELECT v FROM n", &x.rows));
        pid_t child = fork();
        if (!child) {
            alarm(10);
            _exit(try_all(&x));
        }
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        ok(push_one(x.db, "t", 1)); /* the parent goes on */
        assert_int_equal(receive(x.sub, 0, 1, NULL), 1);
        lam_sub_close(x.sub);
        x.rows.release(&x.rows);
        close_both(x.db, x.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_strerror),
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_result_fails_in_the_middle),
        cmocka_unit_test(test_result_lives_on),
        cmocka_unit_test(test_execute_next),
        cmocka_unit_test(test_error_position),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_undo),
        cmocka_unit_test(test_transaction),
        cmocka_unit_test(test_two_sessions),
        cmocka_unit_test(test_push_columns),
        cmocka_unit_test(test_push_all_or_none),
        cmocka_unit_test(test_push_timeout),
        cmocka_unit_test(test_push_watermark),
        cmocka_unit_test(test_subscribe),
        cmocka_unit_test(test_subscription_of_a_closed_database),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_component_fails),
        cmocka_unit_test(test_eof_hold),
        cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_no_threads_idle),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_memory_count),
        cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
