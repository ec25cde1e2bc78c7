/* What laminar.h promises to a program of many threads. SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SLOW 20 /* a sanitizer's share of the time measured */
#else
#define SLOW 1
#endif

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    ok(pthread_create(&t, NULL, fn, arg));
    return t;
}

static void finish(pthread_t t) { pthread_join(t, NULL); }

/* ---- pushing ------------------------------------------------------------------------------------------------------- */

#define PUSHERS 4
#define PUSHES 200
#define ROWS 10

struct pusher {
    struct lam_db *db;
    int64_t number;
};

static void *push_many(void *arg)
{
    struct pusher *p = arg;
    int64_t cells[2 * ROWS];
    for (int i = 0; i < PUSHES; i++) {
        for (int r = 0; r < ROWS; r++) {
            cells[2 * r] = p->number;
            cells[2 * r + 1] = i * ROWS + r;
        }
        ok(push(p->db, "t", "p:l,v:l", cells, ROWS, -1));
    }
    return NULL;
}

static void test_pushers(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads += 3) {
        struct lam_db *db = open_db(threads);
        struct lam_session *s = open_session(db);
        run(s, "CREATE SOURCE t (p BIGINT, v BIGINT); CREATE STREAM x AS SELECT p, v FROM t WHERE v >= 0;");
        struct lam_sub *sub = subscribe(s, "x", NULL);
        struct pusher pushers[PUSHERS];
        pthread_t t[PUSHERS];
        int64_t next[PUSHERS] = {0}, n = 0;
        for (int i = 0; i < PUSHERS; i++) {
            pushers[i] = (struct pusher){db, i};
            t[i] = start(push_many, &pushers[i]);
        }
        while (n < PUSHERS * PUSHES * ROWS) {
            struct ArrowArray a;
            ok(lam_recv(sub, &a, LONG_TIME));
            for (int64_t i = 0; i < a.length; i++) assert_int_equal(cell(&a, 1, i), next[cell(&a, 0, i)]++);
            n += a.length;
            a.release(&a);
        }
        for (int i = 0; i < PUSHERS; i++) finish(t[i]);
        for (int i = 0; i < PUSHERS; i++) assert_int_equal(next[i], PUSHES * ROWS);
        ok(lam_push_end(db, "t"));
        struct ArrowArray a;
        assert_int_equal(lam_recv(sub, &a, LONG_TIME), LAM_END);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

struct stream_of_pushes {
    struct lam_db *db;
    _Atomic bool stop;
};

static void *push_until_stop(void *arg)
{
    struct stream_of_pushes *p = arg;
    for (int64_t v = 0; !atomic_load(&p->stop); v++) {
        int r = push(p->db, "t", "v:l", &v, 1, 1000);
        assert_true(r == LAM_OK || r == LAM_TIMEOUT || r == 5060 || r == 1101);
    }
    return NULL;
}

/* What is pushed to comes and goes under the pushers. */
static void test_drop_under_push(void **state)
{
    (void)state;
    struct lam_db *db = open_db(2);
    struct lam_session *s = open_session(db);
    struct stream_of_pushes p = {.db = db};
    pthread_t t[] = {start(push_until_stop, &p), start(push_until_stop, &p)};
    for (int i = 0; i < 30; i++) {
        run(s, "CREATE SOURCE t (v BIGINT); CREATE SINK k FROM t INTO BLACKHOLE;");
        struct lam_sub *sub = subscribe(s, "t", NULL);
        assert_int_equal(receive(sub, 0, 5, NULL) >= 5, true);
        lam_sub_close(sub);
        run(s, "DROP SINK k; DROP SOURCE t;");
    }
    atomic_store(&p.stop, true);
    finish(t[0]);
    finish(t[1]);
    close_both(db, s);
}

/* ---- receiving ------------------------------------------------------------------------------------------------------- */

struct receiver {
    struct lam_sub *sub;
    int result;
    _Atomic bool waits;
};

static void *receive_one(void *arg)
{
    struct receiver *r = arg;
    struct ArrowArray a;
    atomic_store(&r->waits, true);
    r->result = lam_recv(r->sub, &a, -1);
    if (r->result == LAM_OK) a.release(&a);
    return NULL;
}

static pthread_t start_waiting(struct receiver *r)
{
    pthread_t t = start(receive_one, r);
    while (!atomic_load(&r->waits)) usleep(100);
    usleep(2000); /* most likely parked by now; correct either way */
    return t;
}

static void test_cancel_receive(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    struct ArrowArray a;
    run(s, "CREATE SOURCE t (v BIGINT);");
    struct receiver r = {.sub = subscribe(s, "t", NULL)};
    pthread_t t = start_waiting(&r);
    lam_sub_cancel(r.sub);
    finish(t);
    assert_int_equal(r.result, LAM_CANCELED);
    assert_int_equal(lam_recv(r.sub, &a, -1), LAM_CANCELED); /* for good */
    assert_int_equal(lam_poll(r.sub, &a), LAM_CANCELED);
    lam_sub_close(r.sub);
    close_both(db, s);
}

static void test_close_wakes_receivers(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct lam_db *db = open_db(1);
        struct lam_session *s = open_session(db);
        run(s, "CREATE SOURCE t (v BIGINT);");
        struct receiver r = {.sub = subscribe(s, "t", NULL)}, other = {.sub = subscribe(s, "t", NULL)};
        pthread_t t = start_waiting(&r), u = start(receive_one, &other);
        close_both(db, s);
        finish(t);
        finish(u);
        assert_true(r.result > 0);
        assert_true(other.result > 0);
        lam_sub_close(r.sub);
        lam_sub_close(other.sub);
    }
}

static void *close_sub(void *sub)
{
    lam_sub_close(sub);
    return NULL;
}

static void *release_rows(void *rows)
{
    struct ArrowArrayStream *x = rows;
    x->release(x);
    return NULL;
}

/* lam_close meets the closing of what it handed out. */
static void test_close_meets_close(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct lam_db *db = open_db(1);
        struct lam_session *s = open_session(db);
        struct ArrowArrayStream rows;
        run(s, "CREATE SOURCE t (v BIGINT); CREATE SOURCE n (v BIGINT) FROM GENERATOR (rows = 100000);");
        ok(lam_execute(s, "SELECT * FROM n", &rows));
        pthread_t t = start(close_sub, subscribe(s, "t", NULL)), u = start(release_rows, &rows);
        close_both(db, s);
        finish(t);
        finish(u);
    }
}

/* Subscriptions of all kinds come and go, and the database closes, while rows are pushed and counters read. */
struct crowd {
    struct lam_db *db;
    struct lam_sub *_Atomic watched;
    _Atomic bool stop;
    _Atomic int64_t called;
};

static void count_rows(void *ctx, struct lam_sub *sub, int code, struct ArrowArray *rows)
{
    struct crowd *c = ctx;
    int64_t n = code == LAM_OK ? rows->length : 0;
    if ((c->called += n) % 97 == 96) lam_sub_cancel(sub);
}

static void *push_to_crowd(void *arg)
{
    struct crowd *c = arg;
    for (int64_t v = 0; !atomic_load(&c->stop); v++) {
        int r = push(c->db, "t", "v:l", &v, 1, 10000);
        assert_true(r == LAM_OK || r == LAM_TIMEOUT || r == 5060);
    }
    return NULL;
}

static void *read_counters(void *arg)
{
    struct crowd *c = arg;
    while (!atomic_load(&c->stop)) {
        struct lam_sub_stats st = {.size = sizeof st};
        ok(lam_sub_stats(c->watched, &st));
        assert_true(st.delivered_batches <= st.sequence + 1);
    }
    return NULL;
}

static void test_crowd(void **state)
{
    (void)state;
    static const char *const policies[] = {"block", "drop_oldest", "drop_newest", "sample"};
    struct crowd c = {.db = open_db(2)};
    struct lam_session *s = open_session(c.db);
    run(s, "CREATE SOURCE t (v BIGINT); CREATE STREAM x AS SELECT v FROM t WHERE v >= 0;");
    struct lam_sub_config watched = {.size = sizeof watched, .where = "v % 2 = 0", .policy = "drop_oldest"};
    struct lam_sub *sub;
    ok(lam_subscribe(s, "x", &watched, &sub));
    c.watched = sub;
    pthread_t t[] = {start(push_to_crowd, &c), start(read_counters, &c)};
    for (int i = 0; i < 60; i++) {
        struct lam_sub_config cfg = {.size = sizeof cfg, .policy = policies[i % 4], .sample_every = i % 4 == 3 ? 2 : 0,
                                     .buffer_bytes = i % 3 ? 3000 : 0, .callback = i % 5 < 2 ? count_rows : NULL, .ctx = &c};
        struct ArrowArray a;
        ok(lam_subscribe(s, "x", &cfg, &sub));
        if (!cfg.callback && i % 2) lam_sub_fd(sub);
        for (int k = 0, r; k < 5; k++) {
            if (!cfg.callback && (r = lam_recv(sub, &a, 1000)) == LAM_OK) a.release(&a);
            for (int n = 0; n < 20 && (r = lam_poll(c.watched, &a)) == LAM_OK; n++) a.release(&a);
        }
        if (cfg.callback) usleep(1000); /* most likely called meanwhile */
        lam_sub_close(sub);
    }
    assert_true(c.called > 0);
    atomic_store(&c.stop, true);
    struct lam_sub_config last = {.size = sizeof last, .callback = count_rows, .ctx = &c};
    struct lam_sub *called;
    ok(lam_subscribe(s, "x", &last, &called));
    finish(t[1]);
    finish(t[0]);
    close_both(c.db, s);
    lam_sub_close(called);
    lam_sub_close(c.watched);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------------- */

struct waiter {
    struct lam_db *db;
    struct lam_session *s;
    int result;
};

static void *wait_for_all(void *arg)
{
    struct waiter *w = arg;
    w->result = lam_wait(w->db, w->s, -1);
    return NULL;
}

static void test_cancel_wait(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct waiter w = {.db = db, .s = open_session(db)};
    run(w.s, "CREATE SOURCE t (v BIGINT); CREATE SINK k FROM t INTO BLACKHOLE;");
    pthread_t t = start(wait_for_all, &w);
    usleep(2000);
    lam_cancel(w.s);
    finish(t);
    assert_int_equal(w.result, LAM_CANCELED);
    assert_int_equal(lam_wait(db, w.s, 1000), LAM_TIMEOUT); /* one cancel, one wait */
    lam_cancel(w.s); /* one that comes early is not lost */
    assert_int_equal(lam_wait(db, w.s, -1), LAM_CANCELED);
    close_both(db, w.s);
}

struct puller {
    struct ArrowArrayStream rows;
    int result;
};

static void *pull(void *arg)
{
    struct puller *p = arg;
    struct ArrowArray a;
    while (!(p->result = p->rows.get_next(&p->rows, &a)) && a.release) a.release(&a);
    return NULL;
}

static void test_cancel_result(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    struct puller p;
    run(s, "CREATE SOURCE slow (v BIGINT) FROM GENERATOR (rows = 1000000, rows_per_second = 10);");
    ok(lam_execute(s, "SELECT COUNT(*) FROM slow", &p.rows));
    pthread_t t = start(pull, &p);
    usleep(2000);
    lam_cancel(s);
    finish(t);
    assert_int_equal(p.result, ECANCELED);
    assert_non_null(strstr(p.rows.get_last_error(&p.rows), "[LAM-0008]"));
    p.rows.release(&p.rows);
    close_both(db, s);
}

/* A blocked call costs nothing: the caller sleeps, and so do the library's threads. */
static void test_waiting_is_free(void **state)
{
    (void)state;
    struct lam_db *db = open_db(2);
    struct lam_session *s = open_session(db);
    struct ArrowArray a;
    run(s, "CREATE SOURCE t (v BIGINT);");
    struct lam_sub *sub = subscribe(s, "t", NULL);
    ok(push_one(db, "t", 1));
    assert_int_equal(receive(sub, 0, 1, NULL), 1);
    usleep(20000); /* workers climb down first */
    int64_t mine = cpu_us(CLOCK_THREAD_CPUTIME_ID), all = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
    assert_int_equal(lam_recv(sub, &a, 300000), LAM_TIMEOUT);
    mine = cpu_us(CLOCK_THREAD_CPUTIME_ID) - mine;
    all = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - all;
    if (mine >= 300 * SLOW || all >= 600 * SLOW) fail_msg("%d us, %d us of all threads", (int)mine, (int)all);
    lam_sub_close(sub);
    close_both(db, s);
}

/* ---- threads of the library --------------------------------------------------------------------------------------------- */

/* The signals blocked by the threads named lam-*, and how many there are. */
static int library_threads(uint64_t *blocked)
{
    int n = 0;
    char path[300], line[200], name[40] = "";
    *blocked = UINT64_MAX;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f)) {
            unsigned long long mask;
            sscanf(line, "Name: %39s", name);
            if (strncmp(name, "lam-", 4) != 0 || sscanf(line, "SigBlk: %llx", &mask) != 1) continue;
            *blocked &= mask;
            n++;
        }
        if (f) fclose(f);
    }
    closedir(d);
    return n;
}

static void test_signals_are_blocked(void **state)
{
    (void)state;
    struct lam_db *db = open_db(3);
    struct lam_session *s = open_session(db);
    uint64_t blocked;
    assert_int_equal(library_threads(&blocked), 0);
    run(s, "CREATE SOURCE t (v BIGINT); CREATE SINK k FROM t INTO BLACKHOLE;");
    usleep(20000); /* a thread names itself */
    assert_int_equal(library_threads(&blocked), 4); /* three workers, one for I/O */
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGCHLD, SIGPROF};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) assert_true(blocked >> (signals[i] - 1) & 1);
    close_both(db, s);
    assert_int_equal(library_threads(&blocked), 0);
}

/* ---- sessions ------------------------------------------------------------------------------------------------------------ */

static void *come_and_go(void *arg)
{
    static _Atomic int number;
    int me = atomic_fetch_add(&number, 1);
    struct lam_session *s = open_session(arg);
    char sql[300];
    for (int i = 0; i < 20; i++) {
        snprintf(sql, sizeof sql,
                 "CREATE SOURCE a%d (v BIGINT) FROM GENERATOR (rows = 10); CREATE STREAM b%d AS SELECT v FROM a%d;"
                 "SELECT COUNT(*) FROM b%d; CREATE SINK c%d FROM b%d INTO BLACKHOLE; SHOW STREAMS;"
                 "DROP SINK c%d; DROP STREAM b%d; DROP SOURCE a%d;", me, me, me, me, me, me, me, me, me);
        struct puller p;
        if (lam_execute(s, sql, &p.rows)) fail_msg("%s", lam_errmsg(s));
        pull(&p);
        assert_int_equal(p.result, 0);
        p.rows.release(&p.rows);
        int r = lam_execute(s, "CREATE OR REPLACE SOURCE shared (v BIGINT); DROP SOURCE IF EXISTS shared;", NULL);
        assert_true(r == LAM_OK || r == 1104 || r == 1101); /* another was making it */
    }
    lam_session_close(s);
    return NULL;
}

static void test_sessions_side_by_side(void **state)
{
    (void)state;
    struct lam_db *db = open_db(2);
    pthread_t t[] = {start(come_and_go, db), start(come_and_go, db), start(come_and_go, db)};
    for (int i = 0; i < 3; i++) finish(t[i]);
    ok(lam_close(db, LONG_TIME));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pushers),
        cmocka_unit_test(test_drop_under_push),
        cmocka_unit_test(test_cancel_receive),
        cmocka_unit_test(test_close_wakes_receivers),
        cmocka_unit_test(test_close_meets_close),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_cancel_wait),
        cmocka_unit_test(test_cancel_result),
        cmocka_unit_test(test_waiting_is_free),
        cmocka_unit_test(test_signals_are_blocked),
        cmocka_unit_test(test_sessions_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
