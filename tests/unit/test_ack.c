/* What a source is told when the database closes: that its rows may be forgotten, if every sink has them and nothing else
 * holds any. SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"

#include <laminar_connector.h>
#include <sched.h>
#include <stdatomic.h>

/* ---- a toy without end: ROWS records, then silence; a sink that counts, and may refuse ------------------------------- */

enum { ROWS = 1000 };

static _Atomic int64_t acked, arrived; /* acked: offset of the last row that may be forgotten; -1: none */
static _Atomic int acks, closes;
static _Atomic bool refuses, is_late; /* is_late: an ack after close */
static _Atomic bool is_bounded;

struct toy {
    int64_t at;
};

static int toy_open(struct lam_io *io, struct lam_error *err) { return (void)io, (void)err, LAM_IO_OK; }
static int toy_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    (void)split, (void)err;
    ((struct toy *)io->self)->at = at ? at->offset + 1 : 0;
    return LAM_IO_OK;
}
static int toy_poll(struct lam_io *io, int split, int64_t now, struct lam_records *out, struct lam_error *err)
{
    (void)split, (void)now, (void)err;
    struct toy *t = io->self;
    bool more = true;
    while (more && t->at < ROWS) {
        char text[64];
        struct lam_position after = {.offset = t->at};
        int n = snprintf(text, sizeof text, "{\"v\":%ld}", (long)t->at++);
        more = io->host->record(out, text, (size_t)n, &after);
    }
    if (out->n) return LAM_IO_OK;
    return atomic_load(&is_bounded) ? LAM_IO_DONE : LAM_IO_WAIT;
}
static void toy_ack(struct lam_io *io, uint64_t epoch, int split, const struct lam_position *p)
{
    (void)io, (void)epoch, (void)split;
    atomic_store(&acked, p->offset);
    atomic_fetch_add(&acks, 1);
    if (atomic_load(&closes)) atomic_store(&is_late, true);
}
static void toy_close(struct lam_io *io)
{
    (void)io;
    atomic_fetch_add(&closes, 1);
}
static bool toy_bounded(const struct lam_host *h, const struct lam_options *o) { return (void)h, (void)o, atomic_load(&is_bounded); }

static const struct lam_source_class source_class = {.size = sizeof source_class,
                                                     .name = "toy.acked",
                                                     .sentence = "A toy.",
                                                     .payload = LAM_RECORDS,
                                                     .replayable = true,
                                                     .instance_size = sizeof(struct toy),
                                                     .default_format = "json",
                                                     .bounded = toy_bounded,
                                                     .open = toy_open,
                                                     .seek = toy_seek,
                                                     .poll_records = toy_poll,
                                                     .ack = toy_ack,
                                                     .close = toy_close};

static int sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)io, (void)incarnation, (void)marker, (void)fresh, (void)err;
    return LAM_IO_OK;
}
static int sink_write(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows, int64_t *accepted, struct lam_error *err)
{
    (void)rows;
    int64_t before = atomic_load(&arrived);
    if (atomic_load(&refuses) && before >= ROWS / 2) return (io->host->fail)(err, LAM_IO_RETRY, "not now");
    *accepted = v->n;
    atomic_store(&arrived, before + v->n);
    return LAM_IO_OK;
}
static int sink_close(struct lam_io *io, bool complete, struct lam_error *err) { return (void)io, (void)complete, (void)err, LAM_IO_OK; }

static const struct lam_sink_class sink_class = {.size = sizeof sink_class,
                                                 .name = "toy.counts",
                                                 .sentence = "A toy.",
                                                 .payload = LAM_RECORDS,
                                                 .guarantee = LAM_AT_LEAST_ONCE,
                                                 .default_format = "json",
                                                 .open = sink_open,
                                                 .write_records = sink_write,
                                                 .close = sink_close};

static const struct lam_source_class *const sources[] = {&source_class, NULL};
static const struct lam_sink_class *const sinks[] = {&sink_class, NULL};
static const struct lam_module toys = {
    .size = sizeof toys, .abi = LAM_CONNECTOR_ABI, .name = "acktoys", .version = "1", .sources = sources, .sinks = sinks};

static int setup(void **state)
{
    (void)state;
    return lam_register_connector(&toys);
}

/* ---- tests -------------------------------------------------------------------------------------------------- */

#define SOURCE "CREATE SOURCE t (v BIGINT, WATERMARK FOR v) FROM \"toy.acked\" (batch.rows = 100); "

static struct lam_db *begin(int threads, const char *sql, struct lam_session **s)
{
    atomic_store(&acked, -1);
    atomic_store(&arrived, 0);
    atomic_store(&acks, 0);
    atomic_store(&closes, 0);
    atomic_store(&is_late, false);
    struct lam_db *db = open_db(threads);
    *s = open_session(db);
    run(*s, SOURCE);
    run(*s, sql);
    return db;
}

static void wait_for_rows(struct lam_db *db, int64_t n)
{
    while (atomic_load(&arrived) < n) {
        lam_step(db, 1000);
        sched_yield();
    }
}

/* Closes; whether and how far the source was told. */
static int64_t end(struct lam_db *db, struct lam_session *s, int64_t timeout_us)
{
    lam_session_close(s);
    lam_close(db, timeout_us);
    assert_false(atomic_load(&is_late));
    assert_int_equal(atomic_load(&closes), 1);
    return atomic_load(&acked);
}

static void what_was_delivered_may_be_forgotten(void **state)
{
    (void)state;
    atomic_store(&refuses, false);
    for (int threads = 0; threads < 5; threads += threads ? 3 : 1)
        for (int ends = 0; ends < 2; ends++) {
            struct lam_session *s;
            atomic_store(&is_bounded, ends);
            struct lam_db *db = begin(threads, "CREATE SINK k FROM t WHERE v >= 0 INTO \"toy.counts\"", &s);
            wait_for_rows(db, ROWS);
            assert_int_equal(end(db, s, LONG_TIME), ROWS - 1);
            assert_int_equal(atomic_load(&acks), 1);
        }
    atomic_store(&is_bounded, false);
}

static void what_a_sink_lacks_may_not(void **state)
{
    (void)state;
    struct lam_session *s;
    atomic_store(&refuses, true);
    struct lam_db *db = begin(1, "CREATE SINK k FROM t INTO \"toy.counts\"; CREATE SINK b FROM t INTO BLACKHOLE", &s);
    wait_for_rows(db, ROWS / 2);
    assert_int_equal(end(db, s, SECOND / 2), -1);
    atomic_store(&refuses, false);
}

static void what_an_operator_holds_may_not(void **state)
{
    (void)state;
    struct lam_session *s;
    struct lam_db *db = begin(1, "CREATE SINK k FROM t INTO \"toy.counts\"; CREATE SINK n FROM "
                                "(SELECT count(*) FROM t GROUP BY TUMBLE(v, INTERVAL '1' SECOND)) INTO BLACKHOLE", &s);
    wait_for_rows(db, ROWS);
    assert_int_equal(end(db, s, LONG_TIME), -1);
}

static void what_a_subscription_reads_may_not(void **state)
{
    (void)state;
    struct lam_session *s;
    struct lam_sub *sub;
    struct lam_db *db = begin(1, "CREATE STREAM q AS SELECT v FROM t; CREATE SINK k FROM q INTO \"toy.counts\"", &s);
    assert_int_equal(lam_subscribe(s, "q", NULL, &sub), 0);
    lam_sub_close(sub);
    wait_for_rows(db, ROWS);
    assert_int_equal(end(db, s, LONG_TIME), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_delivered_may_be_forgotten), cmocka_unit_test(what_a_sink_lacks_may_not),
                                       cmocka_unit_test(what_an_operator_holds_may_not), cmocka_unit_test(what_a_subscription_reads_may_not)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
