/* Streams that keep history: resuming at any epoch gives each row behind it once. SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"
#include "base/env_sim.h"
#include "db/db.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>

#define T "CREATE SOURCE t (v BIGINT); CREATE STREAM h WITH ('retain_history' = '1mb') AS SELECT v FROM t WHERE v >= 0;"

static struct lam_db *db;
static struct lam_session *s;

static void begin(int threads, const char *sql)
{
    db = open_db(threads);
    s = open_session(db);
    run(s, sql);
}

static uint64_t checkpoint(void)
{
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    ok(lam_execute(s, "CHECKPOINT", &rows));
    ok(rows.get_next(&rows, &a));
    uint64_t epoch = (uint64_t)cell(&a, 0, 0);
    a.release(&a);
    rows.release(&rows);
    return epoch;
}

static struct lam_sub *resume(const char *stream, uint64_t epoch, struct lam_sub_config cfg)
{
    struct lam_sub *sub;
    cfg.size = sizeof cfg;
    cfg.after_epoch = epoch;
    if (lam_subscribe(s, stream, &cfg, &sub)) fail_msg("%s", lam_errdetail(s, "test"));
    return sub;
}

static void refused(const char *stream, uint64_t epoch, const char *word)
{
    struct lam_sub *sub;
    struct lam_sub_config cfg = {.size = sizeof cfg, .after_epoch = epoch};
    assert_true(lam_subscribe(s, stream, &cfg, &sub) > 0);
    assert_null(sub);
    if (!strstr(lam_errmsg(s), word) && !strstr(lam_errhint(s), word)) fail_msg("%s; %s", lam_errmsg(s), lam_errhint(s));
}

/* ---- every epoch --------------------------------------------------------------------------------------------------------- */

#define ROWS 60

struct seen {
    uint8_t times[ROWS * 4];
    int64_t rows;
};

static void see(struct seen *x, struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->length; i++) x->times[cell(a, 0, i)]++;
    x->rows += a->length;
    a->release(a);
}

static void take_all(struct lam_sub *sub, struct seen *x)
{
    struct ArrowArray a;
    while (!lam_poll(sub, &a)) see(x, &a);
}

/* Rows from..to, but for those that a filter leaves out, once each. */
static void check_seen(const struct seen *x, int64_t from, int64_t to, int64_t step)
{
    for (int64_t v = 0; v < ROWS * 4; v++) {
        bool due = v >= from && v < to && v % step == 0;
        if (x->times[v] != due) fail_msg("row %d came %d times", (int)v, x->times[v]);
    }
}

static void check_counts(struct lam_sub *sub, uint64_t delivered, uint64_t lag)
{
    struct lam_sub_stats st = {.size = sizeof st};
    ok(lam_sub_stats(sub, &st));
    assert_int_equal(st.delivered_rows, delivered);
    assert_int_equal(st.lag_rows, lag);
    assert_int_equal(st.dropped_rows, 0);
}

/* A subscriber begins at each epoch there was; then rows go on coming. */
static void resume_everywhere(uint64_t seed)
{
    struct lam_sub *subs[ROWS], *filtered;
    struct seen seen[ROWS] = {0}, odd = {0};
    uint64_t epochs[ROWS];
    int64_t begins[ROWS], v = 0;
    int n = 0;
    run(s, T);
    epochs[0] = checkpoint(), begins[n++] = 0;
    while (v < ROWS) {
        for (uint64_t k = 1 + (seed + (uint64_t)v) % 4; k; k--) ok(push_one(db, "t", v++));
        epochs[n] = checkpoint(), begins[n++] = v;
    }
    for (int i = 0; i < n; i++) {
        subs[i] = resume("h", epochs[i], (struct lam_sub_config){0});
        assert_int_equal(lam_sub_epoch(subs[i]), epochs[i]);
        check_counts(subs[i], 0, (uint64_t)(v - begins[i]));
    }
    filtered = resume("h", epochs[1], (struct lam_sub_config){.where = "v % 3 = 0"});
    int64_t end = v + ROWS;
    for (; v < end; v++) {
        ok(push_one(db, "t", v));
        if ((seed + (uint64_t)v) % 7 == 0) take_all(subs[v % n], &seen[v % n]);
    }
    uint64_t last = checkpoint();
    take_all(filtered, &odd);
    check_seen(&odd, begins[1], v, 3);
    lam_sub_close(filtered);
    for (int i = 0; i < n; i++) {
        take_all(subs[i], &seen[i]);
        check_seen(&seen[i], begins[i], v, 1);
        check_counts(subs[i], (uint64_t)(v - begins[i]), 0);
        assert_int_equal(lam_sub_epoch(subs[i]), last);
        lam_sub_close(subs[i]);
    }
}

static void test_every_epoch(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 4; threads += threads ? 2 : 1) {
        begin(threads, "");
        resume_everywhere((uint64_t)threads);
        close_both(db, s);
    }
}

static void simulate(uint64_t seed, void (*fn)(uint64_t seed))
{
    AUTO(env_sim_free) struct env_sim *sim = env_sim_new(seed);
    struct lam_config cfg = {.size = sizeof cfg, .threads = 0, .seed = 42, .batch_rows = seed % 3 ? 0 : 2};
    struct db_setup setup = {.env = env_sim_env(sim), .workers = 1 + (int)(seed % 3), .shuffle = seed, .ring_slots = 4};
    ok(db_open(&cfg, &setup, &db));
    s = open_session(db);
    fn(seed);
    close_both(db, s);
}

static void test_every_epoch_simulated(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) simulate(seed, resume_everywhere);
}

/* ---- a client that comes and goes ---------------------------------------------------------------------------------------- */

struct pushing {
    pthread_t thread;
    _Atomic bool done;
};

static void *push_all(void *ctx)
{
    struct pushing *p = ctx;
    for (int64_t v = 0; v < ROWS * 4; v++) {
        ok(push_one(db, "t", v));
        usleep(200);
    }
    atomic_store(&p->done, true);
    return NULL;
}

/* It holds back what it took since the last epoch, and forgets that when it goes: so it has each row once. */
static void test_client(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        begin(threads, T);
        struct pushing p = {0};
        struct seen kept = {0};
        uint64_t epoch = checkpoint(), last = 0;
        ok(pthread_create(&p.thread, NULL, push_all, &p));
        for (int round = 0; !last || epoch < last; round++) {
            struct lam_sub *sub = resume("h", epoch, (struct lam_sub_config){0});
            struct seen fresh = {0};
            uint64_t from = epoch;
            for (int takes = 3 + round % 3; (takes > 0 || epoch == from) && (!last || epoch < last); takes--) {
                struct ArrowArray a;
                if (!last && atomic_load(&p.done)) last = checkpoint();
                if (takes == 2 && !last) checkpoint();
                int r = lam_recv(sub, &a, 2000);
                assert_true(r == LAM_OK || r == LAM_TIMEOUT);
                uint64_t now = (uint64_t)lam_sub_epoch(sub);
                if (now > epoch) {
                    for (int v = 0; v < ROWS * 4; v++) kept.times[v] += fresh.times[v];
                    memset(&fresh, 0, sizeof fresh);
                    epoch = now;
                }
                if (!r) see(&fresh, &a);
            }
            lam_sub_close(sub);
        }
        pthread_join(p.thread, NULL);
        check_seen(&kept, 0, ROWS * 4, 1);
        close_both(db, s);
    }
}

/* ---- its bounds ---------------------------------------------------------------------------------------------------------- */

/* What was asked for is not there any more, and the error says what is. */
static void test_shorter_than_asked(void **state)
{
    (void)state;
    begin(1, "CREATE SOURCE t (v BIGINT); CREATE STREAM h WITH ('retain_history' = '16kb') AS SELECT v FROM t;");
    uint64_t first = checkpoint(), oldest, newest = first;
    for (int64_t v = 0; v < 200; v++) {
        ok(push_one(db, "t", v));
        newest = checkpoint();
    }
    refused("h", first, "any more");
    refused("h", newest + 1, "not there yet");
    const char *list = strstr(lam_errmsg(s), "has epochs ");
    assert_non_null(list);
    unsigned long long from, to;
    assert_int_equal(sscanf(list, "has epochs %llu to %llu", &from, &to), 2);
    assert_int_equal(to, newest);
    assert_true(from > first);
    oldest = from;
    struct seen seen = {0};
    struct lam_sub *sub = resume("h", oldest, (struct lam_sub_config){0});
    take_all(sub, &seen);
    check_seen(&seen, (int64_t)(oldest - first), 200, 1);
    lam_sub_close(sub);
    refused("t", first, "stream");
    run(s, "CREATE STREAM plain AS SELECT v FROM t");
    refused("plain", first, "retain_history");
    close_both(db, s);
}

static void test_dropped(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        begin(threads, T);
        uint64_t epoch = checkpoint();
        struct lam_sub *sub = resume("h", epoch, (struct lam_sub_config){0});
        assert_int_equal(lam_execute(s, "DROP STREAM h", NULL), 1108);
        ok(push_one(db, "t", 1));
        ok(lam_drain(db, LONG_TIME));
        assert_int_equal(receive(sub, 0, 1, NULL), 1);
        lam_sub_close(sub);
        run(s, "DROP STREAM h");
        int64_t v = 2;
        assert_int_equal(push(db, "t", "v:l", &v, 1, 1000), 5060); /* nobody reads the source any more */
        run(s, "CREATE STREAM h WITH ('retain_history' = '1mb') AS SELECT v + 1 AS v FROM t");
        refused("h", epoch, "any more");
        ok(push_one(db, "t", 3));
        close_both(db, s);
    }
}

/* History goes, sinks stay: who resumed there gets what came before, and the end when they go too. */
static void test_history_goes(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        begin(threads, T);
        struct lam_sub *sub = resume("h", checkpoint(), (struct lam_sub_config){0});
        ok(push_one(db, "t", 1));
        run(s, "CREATE OR REPLACE STREAM h AS SELECT v FROM t WHERE v >= 0");
        struct ArrowArray a;
        ok(lam_recv(sub, &a, LONG_TIME));
        assert_int_equal(cell(&a, 0, 0), 1);
        a.release(&a);
        assert_int_equal(lam_recv(sub, &a, LONG_TIME), LAM_END);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

static char *long_text(size_t n)
{
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    text[n] = 0;
    return text;
}

/* Without a disk a subscriber that does not read makes its stream wait, and the stream says for whom. */
static void test_slow(void **state)
{
    (void)state;
    begin(1, "CREATE SOURCE t (v BIGINT, x VARCHAR); CREATE STREAM h WITH ('retain_history' = '64kb') AS SELECT v, x FROM t;");
    struct lam_sub *sub = resume("h", checkpoint(), (struct lam_sub_config){.where = "v >= 0"});
    char *text = long_text(4000);
    int64_t v = 0, sum;
    for (;; v++) {
        int64_t cells[] = {v, (int64_t)(intptr_t)text};
        int r = push(db, "t", "v:l,x:u", cells, 1, 300000);
        if (r == LAM_TIMEOUT) break;
        ok(r);
        assert_true(v < 30000);
    }
    struct ArrowArrayStream plan;
    struct ArrowArray a;
    ok(lam_execute(s, "EXPLAIN ANALYZE STREAM h FOR 1 SECONDS", &plan));
    ok(plan.get_next(&plan, &a));
    const int32_t *offsets = a.children[0]->buffers[1];
    char *told = strndup(a.children[0]->buffers[2], (size_t)offsets[a.length]);
    if (!strstr(told, "subscription that is not read") || !strstr(told, "history: runs to keep")) fail_msg("%s", told);
    free(told);
    a.release(&a);
    plan.release(&plan);
    assert_int_equal(receive(sub, 0, v, &sum), v);
    assert_int_equal(sum, v * (v - 1) / 2);
    ok(lam_drain(db, LONG_TIME));
    check_counts(sub, (uint64_t)v, 0);
    lam_sub_close(sub);
    close_both(db, s);
    free(text);
}

/* Replaced again and again, with history and without, while a subscriber reads: it has each row once up to its end, and
 * no history reaches back behind its own beginning. */
static void replace_often(uint64_t seed)
{
    uint64_t first, now;
    struct seen x = {0};
    int64_t v = 0;
    run(s, T);
    first = checkpoint();
    struct lam_sub *sub = resume("h", first, (struct lam_sub_config){0});
    for (int round = 0; round < 6; round++) {
        for (uint64_t k = (seed + (uint64_t)round) % 5; k; k--) ok(push_one(db, "t", v++));
        run(s, "CREATE OR REPLACE STREAM h WITH ('retain_history' = '1mb') AS SELECT v + 0 AS v FROM t");
        refused("h", first, "any more");
        now = checkpoint();
        struct lam_sub *late = resume("h", now, (struct lam_sub_config){0});
        struct seen few = {0};
        ok(push_one(db, "t", v++));
        if (seed % 2)
            ok(lam_drain(db, LONG_TIME));
        else
            checkpoint();
        take_all(late, &few);
        check_seen(&few, v - 1, v, 1);
        lam_sub_close(late);
        if ((seed + (uint64_t)round) % 3 == 0) take_all(sub, &x);
    }
    run(s, "CREATE SINK z FROM h INTO BLACKHOLE");
    run(s, "CREATE OR REPLACE STREAM h AS SELECT v FROM t");
    ok(push_one(db, "t", v++));
    ok(lam_drain(db, LONG_TIME));
    refused("h", now, "keeps no history");
    run(s, "DROP SINK z");
    struct ArrowArray a;
    take_all(sub, &x);
    check_seen(&x, 0, v, 1);
    assert_int_equal(lam_recv(sub, &a, LONG_TIME), LAM_END);
    lam_sub_close(sub);
    run(s, "DROP STREAM h; DROP SOURCE t;");
}

static void test_replaced_often(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) simulate(seed, replace_often);
    for (int threads = 1; threads <= 4; threads++) {
        begin(threads, "");
        replace_often((uint64_t)threads);
        close_both(db, s);
    }
}

/* More than memory may hold goes to disk and comes back from there. */
static void test_disk(void **state)
{
    (void)state;
    char dir[] = "/tmp/lam-history-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1, .seed = 1, .spill_path = dir};
    enum { BYTES = 1 << 20, N = 48 };
    ok(lam_open(NULL, &cfg, &db));
    s = open_session(db);
    run(s, "CREATE SOURCE t (v BIGINT, x VARCHAR); CREATE STREAM h WITH ('retain_history' = '256mb') AS SELECT v, x FROM t;");
    uint64_t first = checkpoint();
    char *text = long_text(BYTES);
    for (int64_t v = 0; v < N; v++) {
        int64_t cells[] = {v, (int64_t)(intptr_t)text};
        ok(push(db, "t", "v:l,x:u", cells, 1, LONG_TIME));
        checkpoint();
    }
    struct lam_sub *sub = resume("h", first, (struct lam_sub_config){.where = "v >= 0"});
    int64_t sum;
    assert_int_equal(receive(sub, 0, N, &sum), N);
    assert_int_equal(sum, N * (N - 1) / 2);
    DIR *d = opendir(dir);
    int files = -2;
    while (readdir(d)) files++;
    closedir(d);
    assert_true(files > 0);
    lam_sub_close(sub);
    close_both(db, s);
    free(text);
    ok(rmdir(dir));
}

/* ---- as other subscriptions ---------------------------------------------------------------------------------------------- */

static void *close_soon(void *sub)
{
    usleep(20000);
    lam_sub_cancel(sub);
    return NULL;
}

static void *close_db_soon(void *unused)
{
    (void)unused;
    usleep(20000);
    close_both(db, s);
    return NULL;
}

static void test_woken(void **state)
{
    (void)state;
    pthread_t t;
    struct ArrowArray a;
    begin(2, T);
    struct lam_sub *sub = resume("h", checkpoint(), (struct lam_sub_config){0});
    ok(pthread_create(&t, NULL, close_soon, sub));
    assert_int_equal(lam_recv(sub, &a, LONG_TIME), LAM_CANCELED);
    pthread_join(t, NULL);
    struct lam_sub *left = resume("h", checkpoint(), (struct lam_sub_config){0});
    ok(pthread_create(&t, NULL, close_db_soon, NULL));
    assert_true(lam_recv(left, &a, LONG_TIME) > 0);
    pthread_join(t, NULL);
    lam_sub_close(left);
    lam_sub_close(sub);
}

struct called {
    _Atomic int64_t rows;
    _Atomic int end;
};

static void on_rows(void *ctx, struct lam_sub *sub, int code, struct ArrowArray *rows)
{
    (void)sub;
    struct called *c = ctx;
    if (code)
        atomic_store(&c->end, code);
    else
        atomic_fetch_add(&c->rows, rows->length);
}

static void test_callback_and_descriptor(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        begin(threads, T);
        uint64_t epoch = checkpoint();
        for (int64_t v = 0; v < 10; v++) ok(push_one(db, "t", v));
        struct called c = {0};
        struct lam_sub *calls = resume("h", epoch, (struct lam_sub_config){.callback = on_rows, .ctx = &c});
        struct lam_sub *sub = resume("h", epoch, (struct lam_sub_config){0});
        struct pollfd p = {lam_sub_fd(sub), POLLIN, 0};
        struct seen seen = {0};
        for (int64_t v = 10; v < 40; v++) {
            ok(push_one(db, "t", v));
            while (seen.rows < v + 1) {
                assert_int_equal(poll(&p, 1, 20000), 1);
                take_all(sub, &seen);
            }
        }
        check_seen(&seen, 0, 40, 1);
        while (c.rows < 40) usleep(1000);
        ok(lam_push_end(db, "t"));
        while (!c.end) usleep(1000);
        assert_int_equal(c.end, LAM_END);
        struct ArrowArray a;
        assert_int_equal(lam_recv(sub, &a, LONG_TIME), LAM_END);
        lam_sub_close(sub);
        lam_sub_close(calls);
        sub = resume("h", epoch, (struct lam_sub_config){0}); /* the stream has ended; its history is there */
        struct seen again = {0};
        take_all(sub, &again);
        check_seen(&again, 0, 40, 1);
        assert_int_equal(lam_poll(sub, &a), LAM_END);
        lam_sub_close(sub);
        run(s, "DROP STREAM h; DROP SOURCE t;");
        close_both(db, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_epoch),
        cmocka_unit_test(test_every_epoch_simulated),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_shorter_than_asked),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_history_goes),
        cmocka_unit_test(test_replaced_often),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_woken),
        cmocka_unit_test(test_callback_and_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
