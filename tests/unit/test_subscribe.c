/* Subscriptions: policies, gaps, counters, callbacks, descriptors. SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"
#include "base/env_sim.h"
#include "db/db.h"
#include "db/db_int.h"

#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#define T "CREATE SOURCE t (v BIGINT); CREATE STREAM x AS SELECT v FROM t WHERE v >= 0;"

static struct lam_db *db;
static struct lam_session *s;

static void begin(int threads, const char *sql)
{
    db = open_db(threads);
    s = open_session(db);
    run(s, sql);
}

static struct lam_sub *subscribe_as(const char *stream, struct lam_sub_config cfg)
{
    struct lam_sub *sub;
    cfg.size = sizeof cfg;
    if (lam_subscribe(s, stream, &cfg, &sub)) fail_msg("%s", lam_errdetail(s, "test"));
    return sub;
}

static void push_range(int64_t from, int64_t n)
{
    for (int64_t v = from; v < from + n; v++) ok(push_one(db, "t", v));
    ok(lam_drain(db, LONG_TIME));
}

static struct lam_sub_stats stats_of(struct lam_sub *sub)
{
    struct lam_sub_stats st = {.size = sizeof st};
    ok(lam_sub_stats(sub, &st));
    return st;
}

struct taken {
    int64_t rows, sum, first, last;
    uint64_t gap_rows, gap_batches;
    int gaps, end;
};

/* Takes what is there; the values rise, and a gap stands where they jump. */
static struct taken take_all(struct lam_sub *sub)
{
    struct taken t = {.first = -1, .last = -1};
    bool after_gap = false;
    for (int r;;) {
        struct ArrowArray a;
        r = lam_poll(sub, &a);
        if (r == LAM_GAP) {
            uint64_t rows, batches;
            ok(lam_sub_gap(sub, &rows, &batches));
            t.gap_rows += rows;
            t.gap_batches += batches;
            t.gaps++;
            after_gap = true;
            continue;
        }
        t.end = r;
        if (r) return t;
        for (int64_t i = 0; i < a.length; i++) {
            int64_t v = cell(&a, 0, i);
            if (t.last >= 0 && !after_gap) assert_int_equal(v, t.last + 1);
            if (t.last >= 0) assert_true(v > t.last);
            if (t.first < 0) t.first = v;
            t.last = v;
            t.sum += v;
            after_gap = false;
        }
        t.rows += a.length;
        a.release(&a);
    }
}

/* The same from several workers, whose rows come in any order. */
static struct taken take_in_any_order(struct lam_sub *sub)
{
    struct taken t = {0};
    struct ArrowArray a;
    uint64_t rows, batches;
    while ((t.end = lam_poll(sub, &a)) == LAM_OK || t.end == LAM_GAP) {
        if (t.end == LAM_GAP) {
            ok(lam_sub_gap(sub, &rows, &batches));
            t.gap_rows += rows;
            continue;
        }
        t.rows += a.length;
        a.release(&a);
    }
    return t;
}

/* ---- what is refused --------------------------------------------------------------------------------------------------- */

static void refused(const char *stream, struct lam_sub_config cfg, int code, const char *word)
{
    struct lam_sub *sub;
    cfg.size = sizeof cfg;
    assert_int_equal(lam_subscribe(s, stream, &cfg, &sub), code);
    assert_null(sub);
    if (!strstr(lam_errmsg(s), word) && !strstr(lam_errhint(s), word)) fail_msg("%s; %s", lam_errmsg(s), lam_errhint(s));
}

static void test_refused(void **state)
{
    (void)state;
    begin(1, T);
    refused("t", (struct lam_sub_config){.policy = "drop_oldst"}, 1, "drop_oldest");
    refused("t", (struct lam_sub_config){.policy = "explode"}, 1, "drop_newest");
    refused("t", (struct lam_sub_config){.policy = "sample"}, 1, "sample_every");
    refused("t", (struct lam_sub_config){.policy = "sample", .sample_every = 1}, 1, "sample");
    refused("t", (struct lam_sub_config){.policy = "drop_oldest", .sample_every = 3}, 1, "sample");
    refused("t", (struct lam_sub_config){.buffer_bytes = -1}, 1, "-1");
    struct lam_sub_config cfg = {.size = offsetof(struct lam_sub_config, policy), .policy = "explode"}; /* an older program */
    struct lam_sub *sub;
    ok(lam_subscribe(s, "x", &cfg, &sub));
    lam_sub_close(sub);
    struct lam_sub_stats st = {.size = 4};
    sub = subscribe(s, "t", NULL);
    assert_int_equal(lam_sub_stats(sub, &st), 1);
    lam_sub_close(sub);
    close_both(db, s);
}

/* A stream that takes rows back is given out whole. */
static void test_changelog_refused(void **state)
{
    (void)state;
    static const enum sub_policy dropping[] = {SUB_DROP_OLDEST, SUB_DROP_NEWEST, SUB_SAMPLE};
    static const char *const names[] = {"drop_oldest", "drop_newest", "sample"};
    struct plan changes = {.stream = STREAM_CHANGELOG}, upserts = {.stream = STREAM_UPSERT};
    struct err err;
    for (int i = 0; i < 3; i++) {
        struct sub_config c = {.policy = dropping[i], .every = dropping[i] == SUB_SAMPLE ? 2 : 0};
        assert_int_equal(subscription_check("orders", &changes, &c, false, &err), E_UNSUPPORTED);
        assert_int_equal(subscription_check("orders", &upserts, &c, false, &err), E_UNSUPPORTED);
        assert_non_null(strstr(err.text, names[i]));
        assert_non_null(strstr(err.text, "orders"));
    }
    struct sub_config block = {0};
    ok(subscription_check("orders", &changes, &block, false, &err));
}

/* ---- policies ---------------------------------------------------------------------------------------------------------- */

static void check_counts(struct lam_sub *sub, uint64_t pushed, const struct taken *t)
{
    struct lam_sub_stats st = stats_of(sub);
    assert_int_equal(st.delivered_rows + st.dropped_rows + st.lag_rows, pushed);
    assert_int_equal(st.delivered_rows, t->rows);
    assert_int_equal(st.dropped_rows - st.sampled_rows, t->gap_rows);
    assert_int_equal(st.lag_rows, 0);
}

static void test_drop_oldest(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 1; threads++) {
        begin(threads, T);
        struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = "drop_oldest", .buffer_bytes = 1});
        struct lam_sub *large = subscribe_as("x", (struct lam_sub_config){.policy = "drop_oldest"});
        push_range(0, 1000);
        struct taken t = take_all(sub);
        assert_int_equal(t.rows, 1);
        assert_int_equal(t.last, 999);
        assert_int_equal(t.gaps, 1);
        assert_int_equal(t.gap_rows, 999);
        assert_int_equal(t.gap_batches, 999);
        assert_int_equal(stats_of(sub).sequence, 1000);
        check_counts(sub, 1000, &t);
        t = take_all(large);
        assert_int_equal(t.rows, 1000);
        assert_int_equal(t.gaps, 0);
        check_counts(large, 1000, &t);
        ok(lam_push_end(db, "t"));
        ok(lam_wait(db, s, LONG_TIME));
        assert_int_equal(take_all(sub).end, LAM_END);
        assert_int_equal(take_all(large).end, LAM_END);
        lam_sub_close(sub);
        lam_sub_close(large);
        close_both(db, s);
    }
}

static void test_drop_newest(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 1; threads++) {
        begin(threads, T);
        struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = "drop_newest", .buffer_bytes = 1});
        push_range(0, 100);
        assert_int_equal(stats_of(sub).lag_rows, 1);
        struct taken t = take_all(sub);
        assert_int_equal(t.rows, 1);
        assert_int_equal(t.last, 0);
        assert_int_equal(t.gaps, 0); /* it is not over yet */
        push_range(100, 10);
        struct taken u = take_all(sub);
        assert_int_equal(u.first, 100);
        assert_int_equal(u.gap_rows, 99);
        ok(lam_push_end(db, "t"));
        ok(lam_wait(db, s, LONG_TIME));
        struct taken end = take_all(sub); /* a gap that no row follows */
        assert_int_equal(end.gap_rows, 9);
        assert_int_equal(end.end, LAM_END);
        t.rows += u.rows;
        t.gap_rows = u.gap_rows + end.gap_rows;
        check_counts(sub, 110, &t);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

static void test_sample(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 1; threads++) {
        begin(threads, T);
        struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = "sample", .sample_every = 10});
        int64_t cells[95], n = 0, at = 0;
        for (int k = 0; k < 20; k++, at += 95) {
            for (int64_t i = 0; i < 95; i++) cells[i] = at + i;
            ok(push(db, "t", "v:l", cells, 95, -1));
        }
        ok(lam_drain(db, LONG_TIME));
        struct ArrowArray a;
        while (lam_poll(sub, &a) == LAM_OK) {
            for (int64_t i = 0; i < a.length; i++) assert_int_equal(cell(&a, 0, i), 10 * n++);
            a.release(&a);
        }
        assert_int_equal(n, 190);
        struct lam_sub_stats st = stats_of(sub);
        assert_int_equal(st.delivered_rows, 190);
        assert_int_equal(st.dropped_rows, 1710);
        assert_int_equal(st.sampled_rows, 1710);
        assert_int_equal(st.lag_rows, 0);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

/* Four workers, taken from while it is pushed. */
static void *push_much(void *arg)
{
    int64_t cells[10];
    for (int64_t v = 0; v < 20000; v += 10) {
        for (int64_t i = 0; i < 10; i++) cells[i] = v + i;
        ok(push(arg, "t", "v:l", cells, 10, -1));
    }
    ok(lam_push_end(arg, "t"));
    return NULL;
}

static void test_counts_under_load(void **state)
{
    (void)state;
    static const char *const policies[] = {"block", "drop_oldest", "drop_newest", "sample"};
    for (int p = 0; p < 4; p++) {
        begin(3, T);
        struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){
                                    .policy = policies[p], .sample_every = p == 3 ? 3 : 0, .buffer_bytes = 20000, .where = "v % 2 = 0"});
        pthread_t t;
        ok(pthread_create(&t, NULL, push_much, db));
        uint64_t rows = 0, missed = 0;
        int r;
        for (;;) {
            struct ArrowArray a;
            uint64_t gap, batches;
            r = lam_recv(sub, &a, LONG_TIME);
            if (r == LAM_GAP) {
                ok(lam_sub_gap(sub, &gap, &batches));
                missed += gap;
            } else if (r) {
                break;
            } else {
                rows += (uint64_t)a.length;
                a.release(&a);
                if (p && rows % 5 == 0) usleep(100);
            }
        }
        pthread_join(t, NULL);
        assert_int_equal(r, LAM_END);
        struct lam_sub_stats st = stats_of(sub);
        assert_int_equal(rows, st.delivered_rows);
        assert_int_equal(missed, st.dropped_rows - st.sampled_rows);
        assert_int_equal(st.delivered_rows + st.dropped_rows, 10000);
        assert_int_equal(st.lag_rows, 0);
        if (!p) assert_int_equal(rows, 10000);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

/* One that drops and never takes holds up neither rows nor barriers nor who takes all. */
static void test_sleeper_holds_nothing_up(void **state)
{
    (void)state;
    begin(2, T);
    struct lam_sub *sleeper = subscribe_as("x", (struct lam_sub_config){.policy = "drop_oldest", .buffer_bytes = 1000});
    struct lam_sub *all = subscribe(s, "x", NULL);
    int64_t n = 0;
    for (int64_t v = 0; v < 2000; v++) {
        ok(push_one(db, "t", v));
        if (v % 10 == 9) n += receive(all, 0, 10, NULL), ok(lam_drain(db, LONG_TIME));
    }
    assert_int_equal(n, 2000);
    run(s, "CREATE SINK k FROM x INTO BLACKHOLE; DROP SINK k;");
    struct taken t = take_all(sleeper);
    check_counts(sleeper, 2000, &t);
    assert_int_equal(t.last, 1999);
    lam_sub_close(sleeper);
    lam_sub_close(all);
    close_both(db, s);
}

static void test_buffer_bytes_of_block(void **state)
{
    (void)state;
    begin(1, T);
    struct lam_sub *small = subscribe_as("x", (struct lam_sub_config){.buffer_bytes = 1});
    int64_t v = 0;
    while (push(db, "t", "v:l", &v, 1, 20000) == LAM_OK) v++;
    assert_true(v < 40); /* one in its ring, then those of the graph are full */
    struct lam_sub_stats st = stats_of(small);
    assert_int_equal(st.lag_rows, 1);
    assert_int_equal(receive(small, 0, v, NULL), v);
    assert_int_equal(stats_of(small).dropped_rows, 0);
    lam_sub_close(small);
    close_both(db, s);
}

/* ---- many in one call, epochs ------------------------------------------------------------------------------------------------ */

static void test_poll_many(void **state)
{
    (void)state;
    begin(1, T);
    struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = "drop_newest", .buffer_bytes = 8000});
    struct ArrowArray a[64];
    size_t got = 7, first;
    assert_int_equal(lam_poll_many(sub, a, 64, &got), LAM_EMPTY);
    assert_int_equal(got, 0);
    push_range(0, 200);
    ok(lam_poll_many(sub, a, 3, &got));
    assert_int_equal(got, 3);
    for (size_t i = 0; i < got; i++) a[i].release(&a[i]);
    ok(lam_poll_many(sub, a, 64, &first));
    for (size_t i = 0; i < first; i++) a[i].release(&a[i]);
    push_range(200, 2);
    assert_int_equal(lam_poll_many(sub, a, 64, &got), LAM_GAP);
    assert_int_equal(got, 0);
    uint64_t rows, batches;
    ok(lam_sub_gap(sub, &rows, &batches));
    assert_int_equal(rows, 200 - 3 - first);
    ok(lam_poll_many(sub, a, 64, &got));
    assert_int_equal(got, 2);
    for (size_t i = 0; i < got; i++) a[i].release(&a[i]);
    push_range(202, 200);
    int64_t n = 0;
    while (lam_poll_many(sub, a, 8, &got) == LAM_OK)
        for (size_t i = 0; i < got; i++) n++, a[i].release(&a[i]);
    push_range(402, 1);
    push_range(403, 1);
    ok(lam_push_end(db, "t"));
    ok(lam_wait(db, s, LONG_TIME));
    assert_int_equal(lam_poll_many(sub, a, 64, &got), LAM_GAP);
    ok(lam_poll_many(sub, a, 64, &got)); /* what follows the rows is told by the next call */
    assert_int_equal(got, 2);
    for (size_t i = 0; i < got; i++) a[i].release(&a[i]);
    assert_int_equal(lam_poll_many(sub, a, 64, &got), LAM_END);
    assert_int_equal(lam_poll_many(sub, a, 64, &got), LAM_END);
    lam_sub_close(sub);
    close_both(db, s);
}

/* A barrier reaches a subscription a little after those who wait for it. */
static void wait_for_epoch(struct lam_sub *sub, int64_t epoch)
{
    struct ArrowArray a;
    for (int i = 0; lam_sub_epoch(sub) < epoch; i++) {
        assert_true(i < 10000);
        assert_int_equal(lam_poll(sub, &a), LAM_EMPTY);
        usleep(100);
    }
    assert_int_equal(lam_sub_epoch(sub), epoch);
}

/* The epoch counts when all before it was taken, not before. */
static void test_epoch(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        begin(2, T);
        struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = p ? "drop_oldest" : "block"});
        struct ArrowArray a;
        push_range(0, 1); /* the subscription's own barrier was the first, this is the second */
        assert_int_equal(receive(sub, 0, 1, NULL), 1);
        wait_for_epoch(sub, 2);
        push_range(1, 2);
        ok(push_one(db, "t", 3));
        usleep(2000);
        assert_int_equal(lam_sub_epoch(sub), 2);
        ok(lam_recv(sub, &a, LONG_TIME));
        a.release(&a);
        assert_int_equal(lam_sub_epoch(sub), 2);
        assert_int_equal(receive(sub, 0, 2, NULL), 2);
        wait_for_epoch(sub, 3);
        assert_int_equal(stats_of(sub).epoch, 3);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

/* CHECKPOINT says its number, and a subscription when it has got so far. */
static int64_t checkpoint(void)
{
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    ok(lam_execute(s, "CHECKPOINT", &rows));
    ok(rows.get_next(&rows, &a));
    int64_t epoch = cell(&a, 0, 0);
    a.release(&a);
    rows.release(&rows);
    return epoch;
}

static void test_checkpoint(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        begin(threads, T);
        int64_t last = checkpoint();
        struct lam_sub *sub = subscribe(s, "x", NULL), *other = subscribe(s, "t", NULL);
        for (int i = 0; i < 5; i++) {
            ok(push_one(db, "t", i));
            int64_t epoch = checkpoint();
            assert_true(epoch > last);
            assert_int_equal(receive(sub, 0, 1, NULL), 1);
            assert_int_equal(receive(other, 0, 1, NULL), 1);
            wait_for_epoch(sub, epoch);
            wait_for_epoch(other, epoch);
            last = epoch;
        }
        lam_sub_close(sub);
        lam_sub_close(other);
        close_both(db, s);
    }
}

/* ---- the descriptor ------------------------------------------------------------------------------------------------------------ */

static bool readable(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, ms) == 1;
}

static void test_descriptor(void **state)
{
    (void)state;
    static const char *const policies[] = {"block", "drop_oldest"};
    for (int k = 0; k < 4; k++) {
        begin(k % 2, T);
        struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = policies[k / 2]});
        struct ArrowArray a;
        int fd = lam_sub_fd(sub);
        assert_true(fd >= 0);
        assert_int_equal(lam_sub_fd(sub), fd);
        assert_false(readable(fd, 0));
        for (int i = 0; i < 50; i++) {
            push_range(3 * i, 3);
            assert_true(readable(fd, 1000));
            ok(lam_poll(sub, &a));
            a.release(&a);
            assert_true(readable(fd, 0)); /* there is more */
            for (; lam_poll(sub, &a) == LAM_OK; a.release(&a)) {}
            assert_false(readable(fd, 0));
        }
        push_range(0, 2); /* with recv between */
        ok(lam_recv(sub, &a, LONG_TIME));
        a.release(&a);
        assert_true(readable(fd, 0));
        ok(lam_recv(sub, &a, LONG_TIME));
        a.release(&a);
        assert_int_equal(lam_recv(sub, &a, 1000), LAM_TIMEOUT);
        assert_false(readable(fd, 0));
        lam_sub_cancel(sub);
        assert_true(readable(fd, 1000));
        close_both(db, s);
        assert_true(readable(fd, 0)); /* still ours */
        assert_true(lam_poll(sub, &a) > 0);
        lam_sub_close(sub);
    }
}

static void *push_slowly(void *arg)
{
    for (int64_t v = 0; v < 200; v++) {
        ok(push_one(arg, "t", v));
        if (v % 3) usleep(50);
    }
    ok(lam_push_end(arg, "t"));
    return NULL;
}

/* No wake-up is lost, whoever is faster, and the end is one. */
static void test_descriptor_race(void **state)
{
    (void)state;
    for (int k = 0; k < 5; k++) {
        begin(1, T);
        struct lam_sub *sub = subscribe(s, "x", NULL);
        int fd = lam_sub_fd(sub), r = LAM_EMPTY;
        int64_t n = 0;
        pthread_t t;
        ok(pthread_create(&t, NULL, push_slowly, db));
        while (r != LAM_END) {
            struct ArrowArray a;
            assert_true(readable(fd, 10000));
            if (k % 2) { /* one at a time */
                if (!(r = lam_poll(sub, &a))) n += a.length, a.release(&a);
                continue;
            }
            for (; !(r = lam_poll(sub, &a)); a.release(&a)) n += a.length;
        }
        assert_int_equal(n, 200);
        pthread_join(t, NULL);
        lam_sub_close(sub);
        close_both(db, s);
    }
}

/* ---- callbacks ------------------------------------------------------------------------------------------------------------------- */

struct called {
    _Atomic int64_t rows, sum, gap, calls;
    _Atomic int end;
    _Atomic bool in, hold;
    int close_at, cancel_at, rules;
    struct lam_sub *other;
    const char *push_to;
};

static void on_rows(void *ctx, struct lam_sub *sub, int code, struct ArrowArray *rows)
{
    struct called *c = ctx;
    assert_false(atomic_exchange(&c->in, true)); /* never two at once */
    int calls = (int)++c->calls;
    while (atomic_load(&c->hold)) usleep(100);
    if (code == LAM_OK) {
        for (int64_t i = 0; i < rows->length; i++) {
            c->sum += cell(rows, 0, i);
            if (c->push_to) {
                int64_t v = cell(rows, 0, i) + 1;
                ok(push(db, c->push_to, "v:l", &v, 1, LONG_TIME));
            }
        }
        c->rows += rows->length;
        if (calls % 2) { /* takes them */
            struct ArrowArray mine = *rows;
            rows->release = NULL;
            mine.release(&mine);
        }
    } else if (code == LAM_GAP) {
        uint64_t n, batches;
        ok(lam_sub_gap(sub, &n, &batches));
        c->gap += (int64_t)n;
    } else {
        assert_int_equal(c->end, 0);
        c->end = code;
    }
    if (c->rules) {
        struct ArrowArray a;
        struct lam_sub *more;
        assert_int_equal(lam_execute(s, "SELECT 1", NULL), LAM_MISUSE);
        assert_non_null(strstr(lam_errmsg(s), "callback"));
        assert_int_equal(lam_apply(s), LAM_MISUSE);
        assert_int_equal(lam_subscribe(s, "x", NULL, &more), LAM_MISUSE);
        assert_int_equal(lam_wait(db, s, -1), LAM_MISUSE);
        assert_int_equal(lam_drain(db, -1), LAM_MISUSE);
        assert_int_equal(lam_step(db, 1000), LAM_MISUSE);
        assert_int_equal(lam_close(db, -1), LAM_MISUSE);
        assert_non_null(strstr(lam_errmsg(NULL), "callback"));
        assert_int_equal(lam_poll(sub, &a), LAM_MISUSE);
        if (c->other && lam_poll(c->other, &a) == LAM_OK) a.release(&a);
    }
    if (calls == c->cancel_at) lam_sub_cancel(sub);
    atomic_store(&c->in, false);
    if (calls == c->close_at) lam_sub_close(sub);
}

static struct lam_sub *call(const char *stream, struct called *c, const char *policy, int64_t bytes)
{
    return subscribe_as(stream, (struct lam_sub_config){.callback = on_rows, .ctx = c, .policy = policy, .buffer_bytes = bytes});
}

/* Until the fact holds, driving the database when it has no threads. */
#define UNTIL(threads, fact)                                                                                           \
    for (int turns = 0; !(fact); turns++) {                                                                            \
        assert_true(turns < 100000);                                                                                   \
        if (threads)                                                                                                   \
            usleep(100);                                                                                               \
        else                                                                                                           \
            lam_step(db, 1000);                                                                                        \
    }

static void test_callback(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 2; threads++) {
        begin(threads, T);
        struct called c = {.rules = 1}, end = {0};
        struct ArrowArray a;
        c.other = subscribe_as("t", (struct lam_sub_config){.policy = "drop_oldest"});
        struct lam_sub *sub = call("x", &c, NULL, 0), *sub2 = call("t", &end, NULL, 0);
        assert_int_equal(lam_poll(sub, &a), LAM_MISUSE);
        assert_int_equal(lam_sub_fd(sub), -1);
        push_range(0, 300);
        UNTIL(threads, c.rows == 300 && end.rows == 300);
        assert_int_equal(c.sum, 299 * 300 / 2);
        ok(lam_push_end(db, "t"));
        UNTIL(threads, c.end && end.end);
        assert_int_equal(c.end, LAM_END);
        struct lam_sub_stats st = stats_of(sub);
        assert_int_equal(st.delivered_rows, 300);
        lam_sub_close(sub);
        lam_sub_close(sub2);
        lam_sub_close(c.other);
        close_both(db, s);
    }
}

/* From one source into the next, by the callback. */
static void test_callback_pushes(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 1; threads++) {
        begin(threads, T "CREATE SOURCE u (v BIGINT);");
        struct called c = {.push_to = "u"};
        struct lam_sub *sub = call("x", &c, NULL, 0), *u = subscribe_as("u", (struct lam_sub_config){.policy = "drop_newest"});
        for (int64_t i = 0; i < 10; i++) {
            push_range(10 * i, 10);
            UNTIL(threads, c.rows == 10 * (i + 1));
        }
        int64_t sum;
        assert_int_equal(receive(u, 0, 100, &sum), 100);
        assert_int_equal(sum, 100 * 101 / 2);
        lam_sub_close(sub);
        lam_sub_close(u);
        close_both(db, s);
    }
}

static void test_callback_ends_itself(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 1; threads++) {
        begin(threads, T);
        struct called cancels = {.cancel_at = 3}, closes = {.close_at = 3}, once = {.close_at = 1};
        struct lam_sub *sub = call("x", &cancels, NULL, 0);
        call("x", &closes, NULL, 0);
        call("x", &once, "drop_oldest", 0);
        push_range(0, 10);
        UNTIL(threads, cancels.end && closes.calls == 3 && once.calls == 1);
        assert_int_equal(cancels.end, LAM_CANCELED);
        assert_int_equal(cancels.calls, 4);
        lam_sub_close(sub);
        int r; /* nobody reads the source any more, sooner or later */
        int64_t v = 0;
        for (int i = 0; (r = push(db, "t", "v:l", &v, 1, 1000)) != 5060; i++) {
            assert_true(i < 10000 && (r == LAM_OK || r == LAM_TIMEOUT));
            run(s, "SHOW STREAMS;");
            usleep(100);
        }
        assert_int_equal(closes.calls, 3);
        assert_int_equal(once.calls, 1);
        close_both(db, s);
    }
}

/* On the simulated machine: subscriptions of every kind, steps in any order, closed in the middle. Each gets its rows in order, and
 * what it did not get was counted. */
static void on_simulated(void *ctx, struct lam_sub *sub, int code, struct ArrowArray *rows)
{
    struct called *c = ctx;
    uint64_t n, batches;
    if (code == LAM_OK) {
        c->rows += rows->length;
    } else if (code == LAM_GAP) {
        ok(lam_sub_gap(sub, &n, &batches));
        c->gap += (int64_t)n;
    } else {
        c->end = code;
    }
    c->calls++;
    if (c->calls == c->close_at) lam_sub_close(sub);
}

static void simulate(uint64_t seed)
{
    AUTO(env_sim_free) struct env_sim *sim = env_sim_new(seed);
    struct lam_config cfg = {.size = sizeof cfg, .threads = 0, .seed = 42, .batch_rows = seed % 3 ? 0 : 2};
    struct db_setup setup = {.env = env_sim_env(sim), .workers = 1 + (int)(seed % 3), .shuffle = seed, .ring_slots = 4};
    ok(db_open(&cfg, &setup, &db));
    s = open_session(db);
    run(s, T);
    static const char *const policies[] = {"block", "drop_oldest", "drop_newest"};
    const char *policy = policies[seed % 3];
    int64_t bytes = 1 + (int64_t)(seed % 7) * 1000;
    struct called c = {0}, closes = {.close_at = 1 + (int)(seed % 5)};
    struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = policy, .buffer_bytes = bytes});
    struct lam_sub *called = subscribe_as("x", (struct lam_sub_config){.policy = policy, .buffer_bytes = bytes, .callback = on_simulated, .ctx = &c});
    struct lam_sub *other = subscribe_as("x", (struct lam_sub_config){.policy = policy, .buffer_bytes = bytes, .callback = on_simulated, .ctx = &closes});
    struct taken all = {0}, t;
    for (int64_t v = 0; v < 40; v++) {
        if (push_one(db, "t", v)) fail_msg("%s", lam_errmsg(NULL));
        if ((seed + (uint64_t)v) % 4) continue;
        t = take_in_any_order(sub);
        all.rows += t.rows, all.gap_rows += t.gap_rows;
    }
    ok(lam_push_end(db, "t"));
    do {
        t = take_in_any_order(sub);
        all.rows += t.rows, all.gap_rows += t.gap_rows;
    } while (t.end != LAM_END);
    ok(lam_wait(db, s, LONG_TIME));
    while (!c.end) lam_step(db, 1000);
    assert_int_equal(c.end, LAM_END);
    assert_int_equal(all.rows + (int64_t)all.gap_rows, 40);
    assert_int_equal(c.rows + c.gap, 40);
    check_counts(sub, 40, &all);
    assert_true(closes.calls <= closes.close_at);
    if (seed % 2) lam_sub_close(called);
    lam_sub_close(sub);
    close_both(db, s);
    if (closes.calls < closes.close_at) lam_sub_close(other);
    if (seed % 2 == 0) lam_sub_close(called);
}

static void test_simulated(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) simulate(seed);
}

static void *close_it(void *sub)
{
    lam_sub_close(sub);
    return NULL;
}

/* Closing waits for the callback that runs; afterwards it is not called. */
static void test_close_waits(void **state)
{
    (void)state;
    begin(1, T);
    struct called c = {.hold = true};
    struct lam_sub *sub = call("x", &c, NULL, 0);
    ok(push_one(db, "t", 1));
    UNTIL(1, c.in);
    pthread_t t;
    ok(pthread_create(&t, NULL, close_it, sub));
    usleep(20000);
    assert_int_not_equal(pthread_tryjoin_np(t, NULL), 0);
    atomic_store(&c.hold, false);
    pthread_join(t, NULL);
    assert_int_equal(c.calls, 1);
    assert_false(c.in);
    close_both(db, s);
    assert_int_equal(c.calls, 1);
}

/* lam_close gives a callback that hangs its time, and no more; one that comes back is waited for. */
static void test_database_closes_under_callbacks(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        begin(1, T);
        struct called c = {0}, own = {.close_at = 2};
        struct lam_sub *sub = call("x", &c, NULL, 0), *other = call("x", &own, NULL, 0);
        for (int64_t v = 0; v < i; v++) ok(push_one(db, "t", v));
        close_both(db, s);
        assert_false(c.in);
        int64_t calls = c.calls;
        lam_sub_close(sub);
        if (own.calls < own.close_at) lam_sub_close(other);
        assert_int_equal(c.calls, calls);
    }
}

/* A callback that drops what it is too slow for. */
static void test_slow_callback(void **state)
{
    (void)state;
    begin(1, T);
    struct called c = {.hold = true};
    struct lam_sub *sub = call("x", &c, "drop_oldest", 1);
    push_range(0, 500);
    atomic_store(&c.hold, false);
    UNTIL(1, c.rows + c.gap == 500);
    struct lam_sub_stats st = stats_of(sub);
    assert_int_equal(st.dropped_rows, c.gap);
    assert_int_equal(st.delivered_rows, c.rows);
    lam_sub_close(sub);
    close_both(db, s);
}

static void test_fork(void **state)
{
    (void)state;
    begin(1, T);
    struct called c = {0};
    struct lam_sub *sub = subscribe_as("x", (struct lam_sub_config){.policy = "drop_oldest"}), *calls = call("x", &c, NULL, 0);
    int fd = lam_sub_fd(sub);
    pid_t child = fork();
    if (!child) {
        struct ArrowArray a;
        size_t got;
        uint64_t rows, batches;
        struct lam_sub_stats st = {.size = sizeof st};
        alarm(10);
        int bad = lam_poll_many(sub, &a, 1, &got) != LAM_MISUSE;
        bad |= lam_sub_gap(sub, &rows, &batches) != LAM_MISUSE;
        bad |= lam_sub_stats(sub, &st) != LAM_MISUSE;
        bad |= lam_sub_fd(sub) != -1;
        lam_sub_cancel(sub);
        lam_sub_close(sub);
        lam_sub_close(calls);
        _exit(bad);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    push_range(0, 10);
    assert_true(readable(fd, 1000));
    assert_int_equal(take_all(sub).rows, 10);
    UNTIL(1, c.rows == 10);
    lam_sub_close(sub);
    lam_sub_close(calls);
    close_both(db, s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_changelog_refused),
        cmocka_unit_test(test_drop_oldest),
        cmocka_unit_test(test_drop_newest),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_counts_under_load),
        cmocka_unit_test(test_sleeper_holds_nothing_up),
        cmocka_unit_test(test_buffer_bytes_of_block),
        cmocka_unit_test(test_poll_many),
        cmocka_unit_test(test_epoch),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_descriptor_race),
        cmocka_unit_test(test_callback),
        cmocka_unit_test(test_callback_pushes),
        cmocka_unit_test(test_callback_ends_itself),
        cmocka_unit_test(test_close_waits),
        cmocka_unit_test(test_database_closes_under_callbacks),
        cmocka_unit_test(test_slow_callback),
        cmocka_unit_test(test_simulated),
        cmocka_unit_test(test_fork),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
