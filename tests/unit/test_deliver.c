/* Sinks in every state, by each error class and each command, on a simulated machine: see src/runtime/deliver.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "connector/mock.h"
#include "db/db_int.h"

static struct env_sim *sim;
static struct under_test u;
static char told[4096];

static void hear(void *ctx, int level, const char *message)
{
    (void)ctx, (void)level;
    size_t n = strlen(told);
    snprintf(told + n, sizeof told - n, "%s\n", message);
}

static int setup(void **state)
{
    (void)state;
    mock_reset();
    told[0] = 0;
    sim = env_sim_new(11);
    struct lam_config cfg = {.size = sizeof cfg, .seed = 42, .log = hear};
    struct db_setup s = {.env = env_sim_env(sim), .workers = 2, .shuffle = 5, .ring_slots = 8};
    if (db_open(&cfg, &s, &u.db)) return 1;
    return lam_session_open(u.db, &u.s);
}

static int teardown(void **state)
{
    (void)state;
    if (u.s) lam_session_close(u.s);
    int r = u.db ? lam_close(u.db, 20000000) : 0;
    if (sim) env_sim_free(sim);
    return r;
}

#define SOURCE "CREATE SOURCE s (v BIGINT);"

static int64_t cell(void *ctx, int row, int col) { return (void)col, *(int64_t *)ctx + row; }

static void push(int64_t from, int n)
{
    static const char *const names[] = {"v"};
    assert_int_equal(ut_push(&u, "s", names, 1, n, cell, &from, 1000000), LAM_OK);
}

static void run(int64_t us)
{
    for (int64_t step = us / 50 + 1; us > 0; us -= step) {
        for (int i = 0; i < 30; i++) lam_step(u.db, 1000);
        env_sim_advance(sim, step);
    }
    for (int i = 0; i < 30; i++) lam_step(u.db, 1000);
}

static struct sink_stats stats(const char *name)
{
    struct sink_stats st = {0};
    assert_true(runtime_sink_stats(db_runtime(u.db), catalog_find(u.db, name)->id, &st));
    assert_int_equal(st.accepted, st.rows + st.dropped + st.dead_lettered + st.lag_rows);
    return st;
}

#define assert_state(name, expected) assert_string_equal(stats(name).state, expected)

static void assert_rows(const char *name, const char *expected)
{
    char *rows = mock_rows(name);
    assert_string_equal(rows, expected);
    mem_free(rows);
}

static void refused(const char *sql, const char *why)
{
    assert_int_not_equal(lam_execute(u.s, sql, NULL), LAM_OK);
    if (!strstr(lam_errmsg(u.s), why) && !strstr(lam_errhint(u.s), why)) fail_msg("%s: %s", sql, lam_errmsg(u.s));
}

/* ---- errors ------------------------------------------------------------------------------------------------------- */

/* A system that is away is tried again, after pauses that grow and are capped; none is lost. */
static void a_system_that_is_away(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail open 1-6 connect', retry.first = '100 ms', retry.max = '1 s')");
    push(0, 3);
    run(40000);
    assert_state("z", "RETRYING");
    assert_int_equal(mock_calls("z", "open"), 1);
    int64_t began = env_now_us(env_sim_env(sim));
    for (int i = 0; i < 200 && mock_calls("z", "open") < 7; i++) run(50000);
    int64_t took = env_now_us(env_sim_env(sim)) - began; /* halves of 100 200 400 800 1000 1000 at least, all at most */
    assert_true(took >= 1600000 && took <= 3700000);
    assert_state("z", "RUNNING");
    assert_rows("z", "0\n1\n2\n");
    assert_int_equal(stats("z").retries, 6);
}

static void a_refusal_is_for_an_operator(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail open 1'); CREATE SINK ok FROM s INTO MOCK");
    push(0, 3);
    run(1000000);
    assert_state("z", "BLOCKED");
    assert_int_equal(stats("z").lag_rows, 3);
    assert_non_null(strstr(stats("z").last_error, "sink \"z\": the script lets open number 1 fail"));
    assert_rows("ok", "0\n1\n2\n");
    assert_int_equal(lam_wait(u.db, u.s, 1000), LAM_TIMEOUT); /* the others run on */
    refused("ALTER SINK z SKIP", "does not stand at a row");
    ut_sql(&u, "ALTER SINK z RETRY");
    run(1000);
    assert_state("z", "RUNNING");
    assert_rows("z", "0\n1\n2\n");
}

/* When all else has ended the error of the one that is BLOCKED is told, and RETRY lets it end as well. */
static void wait_tells_of_the_blocked(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', script = 'fail write 2'); CREATE SINK ok FROM s INTO MOCK");
    push(0, 2);
    run(1000);
    push(2, 2);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), 5004);
    assert_int_equal(mock_count("ok"), 4);
    ut_sql(&u, "ALTER SINK z RETRY");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
    assert_rows("z", "0\n1\n2\n3\n"); /* what the first instance had not flushed was offered again */
    assert_state("z", "CLOSED");
}

static void writes_are_retried(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail write 2-4 retry')");
    push(0, 2);
    run(1000);
    push(2, 2);
    run(1000);
    assert_state("z", "RETRYING");
    assert_int_equal(stats("z").lag_rows, 2);
    run(3000000);
    assert_state("z", "RUNNING");
    assert_rows("z", "0\n1\n2\n3\n");
    assert_int_equal(stats("z").retries, 3);
    assert_int_equal(stats("z").write_errors, 3);
}

static void retries_have_a_limit(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail write 1- retry', retry.limit = 3, retry.max = '200 ms')");
    push(0, 2);
    run(5000000);
    assert_state("z", "BLOCKED");
    assert_int_equal(mock_calls("z", "write"), 4);
    ut_sql(&u, "ALTER SINK z SET (retry.limit = 5); ALTER SINK z RETRY");
    run(5000000);
    assert_state("z", "BLOCKED");
    assert_int_equal(mock_calls("z", "write"), 10);
}

static void poison_is_counted(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail write 1 poison 3; fail write 2 poison 1')");
    push(0, 6);
    run(1000);
    assert_rows("z", "0\n1\n4\n5\n");
    assert_int_equal(stats("z").dropped, 2);
    assert_state("z", "RUNNING");
}

/* Rows that a flush finds, among those of several batches; the flush is made again until it is good. */
static void a_flush_finds_poison(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '1 s',"
                      " script = 'fail flush 1 poison 4; fail flush 2 poison 1; fail flush 3 poison 4; fail flush 5 poison 2; fail flush 6 poison 1')");
    push(0, 3);
    run(1000);
    push(3, 3);
    run(1500000);
    assert_rows("z", "1\n2\n4\n");
    assert_int_equal(stats("z").dropped, 3);
    assert_int_equal(stats("z").rows, 3);
    assert_int_equal(stats("z").flushes, 1);
    push(6, 2); /* both are poison: nothing is left to flush */
    run(1500000);
    assert_rows("z", "1\n2\n4\n");
    assert_int_equal(stats("z").dropped, 5);
    assert_int_equal(stats("z").lag_rows, 0);
    assert_state("z", "RUNNING");
}

/* What was buried stays so when an outage lets all others be offered again. */
static void poison_is_not_offered_again(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '1 s',"
                      " script = 'fail write 2 poison 1; fail flush 1 poison 2; fail flush 2 connect; fail flush 3 poison 2; fail flush 4-5 connect;"
                      " fail write 4 connect')");
    push(0, 3);
    run(1000);
    push(3, 3); /* 3 is poison to the write, 1 to the first flush, 2 to the third */
    run(20000000);
    assert_rows("z", "0\n4\n5\n");
    assert_int_equal(stats("z").dropped, 3);
    assert_int_equal(stats("z").rows, 3);
    assert_state("z", "RUNNING");
}

/* While its flushes fail a sink takes no more than is to be flushed, however much waits for it. */
static void what_cannot_be_flushed_does_not_grow(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', batch.rows = 10, retry.max = '200 ms', script = 'fail flush 1-20 retry')");
    for (int i = 0; i < 30; i++) push(i * 10, 10);
    run(2000000);
    assert_state("z", "RETRYING");
    assert_int_equal(mock_calls("z", "write"), 1);
    run(10000000);
    assert_int_equal(mock_count("z"), 300);
}

static void a_target_that_wants_no_more(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail write 2 closed')");
    push(0, 2);
    run(1000);
    push(2, 5);
    run(1000);
    assert_state("z", "CLOSED");
    assert_int_equal(stats("z").dropped, 5);
    refused("ALTER SINK z RETRY", "has ended");
}

/* A flush that fails: a new instance is offered again what was not flushed. */
static void flushes_fail(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '1 s', script = 'fail flush 1 connect; fail flush 2 retry; fail flush 3')");
    push(0, 3);
    run(900000);
    assert_int_equal(mock_count("z"), 0);
    run(5000000);
    assert_state("z", "BLOCKED");
    assert_int_equal(mock_calls("z", "open"), 2);
    ut_sql(&u, "ALTER SINK z RETRY");
    run(1500000);
    assert_rows("z", "0\n1\n2\n");
    assert_int_equal(stats("z").rows, 3);
    assert_int_equal(stats("z").flushes, 1);
}

static void closing_fails(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail close 1')");
    push(0, 3);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), 5004);
    assert_state("z", "CLOSED");
    assert_rows("z", "0\n1\n2\n");
}

/* A disk that is full: when there is room again the file goes on where it stopped. */
static void a_full_disk(void **state)
{
    (void)state;
    env_sim_capacity(sim, 3000);
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO FILE (path = 'z.csv', format = 'csv', flush.interval = '0 s')");
    for (int i = 0; i < 10; i++) push(i * 100, 100);
    run(1000);
    assert_state("z", "BLOCKED");
    env_sim_capacity(sim, 0);
    ut_sql(&u, "ALTER SINK z RETRY");
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
    struct text want = {0};
    text_puts(&want, "v\n");
    for (int i = 0; i < 1000; i++) text_printf(&want, "%d\n", i);
    char got[5000];
    size_t n = 0;
    struct file *f;
    assert_int_equal(env_open(env_sim_env(sim), "z.csv", FILE_READ, &f, NULL), 0);
    assert_int_equal(file_pread(f, got, sizeof got, 0, &n, NULL), 0);
    file_close(f, NULL);
    assert_int_equal(n, want.n);
    assert_memory_equal(got, want.p, n);
    text_done(&want);
}

/* ---- deadlines -------------------------------------------------------------------------------------------------------- */

static void calls_have_deadlines(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', open.timeout = '2 s', write.timeout = '3 s', flush.interval = '0 s',"
                      " script = 'hang open 1; hang write 2; hang flush 2')");
    push(0, 2);
    run(1000000);
    assert_state("z", "OPENING");
    run(1500000);
    assert_int_equal(stats("z").timeouts, 1);
    assert_rows("z", "0\n1\n");
    push(2, 2);
    run(2500000);
    assert_int_equal(stats("z").timeouts, 1);
    run(1000000);
    assert_int_equal(stats("z").timeouts, 2);
    run(5000000);
    assert_int_equal(stats("z").timeouts, 3);
    run(1000000);
    assert_rows("z", "0\n1\n2\n3\n");
    assert_state("z", "RUNNING");
    assert_non_null(strstr(stats("z").last_error, "a flush took longer than 3000 ms"));
}

static void some_cannot_be_canceled(void **state)
{
    (void)state;
    refused(SOURCE "CREATE SINK z FROM s INTO BLACKHOLE (write.timeout = '1 s')", "cannot be canceled");
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO BLACKHOLE");
    refused("ALTER SINK z SET (write.timeout = '1 s')", "cannot be canceled");
}

/* R4: the first unflushed row arms the deadline; without a row there is no timer. */
static void r4_flush_by_a_deadline(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '2 s')");
    run(1000);
    assert_true(lam_next_us(u.db) > 10000000); /* only the source has a timer: for its idleness */
    push(0, 1);
    run(1900000);
    push(1, 1);
    assert_int_equal(mock_count("z"), 0);
    run(200000);
    assert_int_equal(mock_count("z"), 2);
    run(10000000);
    assert_int_equal(stats("z").flushes, 1);
}

/* R18: rows, bytes or time, whichever is first. */
static void r18_batches(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK rows FROM s INTO MOCK (buffered = 'true', batch.rows = 10);"
                      "CREATE SINK bytes FROM s INTO MOCK (buffered = 'true', batch.bytes = 4000);"
                      "CREATE SINK time FROM s INTO MOCK (buffered = 'true', flush.interval = '1 s')");
    push(0, 12);
    run(1000);
    assert_int_equal(mock_count("rows"), 12);
    assert_int_equal(mock_count("bytes"), 0);
    push(12, 1000);
    run(1000);
    assert_int_equal(mock_count("bytes"), 1012);
    assert_int_equal(mock_count("time"), 0);
    run(1000000);
    assert_int_equal(mock_count("time"), 1012);
}

/* ---- commands ----------------------------------------------------------------------------------------------------------- */

static void pause_and_resume(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true')");
    push(0, 2);
    run(1000);
    ut_sql(&u, "ALTER SINK z PAUSE");
    run(1000);
    assert_rows("z", "0\n1\n"); /* what was written is flushed */
    assert_state("z", "PAUSED");
    push(2, 3);
    run(100000000);
    assert_int_equal(stats("z").lag_rows, 3);
    ut_sql(&u, "ALTER SINK z RESUME; ALTER SINK z RESUME");
    run(6000000);
    assert_rows("z", "0\n1\n2\n3\n4\n");
    assert_state("z", "RUNNING");
    refused("ALTER SINK z RETRY", "nothing to retry");
    refused("ALTER SINK z SKIP", "nothing to skip");
}

static void skip_lets_go_of_a_batch(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'short write 2 1; fail write 3')");
    push(0, 2);
    run(1000);
    push(2, 4);
    push(6, 1);
    run(1000);
    assert_state("z", "BLOCKED");
    ut_sql(&u, "ALTER SINK z SKIP");
    run(6000000);
    assert_state("z", "RUNNING");
    assert_int_equal(stats("z").dropped, 3);
    assert_non_null(strstr(told, "sink \"z\": 3 rows were skipped, from row 4 of its input on"));
    char *rows = mock_rows("z"); /* at least once: what was not flushed came again */
    assert_non_null(strstr(rows, "6\n"));
    assert_null(strstr(rows, "4\n"));
    mem_free(rows);
}

static void skip_what_cannot_be_flushed(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '1 s', script = 'fail flush 1')");
    push(0, 2);
    run(1500000);
    push(2, 2);
    assert_state("z", "BLOCKED");
    ut_sql(&u, "ALTER SINK z SKIP");
    run(2000000);
    assert_rows("z", "2\n3\n");
    assert_int_equal(stats("z").dropped, 2);
}

static void set_changes_a_running_sink(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '1 hour')");
    ut_sql(&u, "ALTER SINK z SET (batch_rows = 2, flush.interval = '1 s')");
    push(0, 1);
    run(500000);
    assert_int_equal(mock_count("z"), 0);
    run(600000);
    assert_int_equal(mock_count("z"), 1);
    push(1, 2);
    run(1000);
    assert_int_equal(mock_count("z"), 3);
    refused("ALTER SINK z SET (script = '')", "only when it is created");
    refused("ALTER SINK z SET (format = 'csv')", "only when it is created");
    refused("ALTER SINK z SET (batch_row = 2)", "did you mean 'batch.rows'?");
    refused("ALTER SINK z SET (batch_rows = 0)", "must lie between");
    refused("ALTER SINK nothing PAUSE", "no sink \"nothing\"");
    refused("ALTER SINK s PAUSE", "is a source");
}

/* Commands do not wait behind rows, nor behind a call that waits. */
static void commands_come_first(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'hang write 1')");
    for (int i = 0; i < 50; i++) push(i, 100);
    run(1000);
    ut_sql(&u, "ALTER SINK z PAUSE");
    run(1000);
    assert_state("z", "PAUSED");
    assert_int_equal(stats("z").lag_rows, 5000);
    ut_sql(&u, "ALTER SINK z RESUME");
    run(60000000);
    assert_int_equal(stats("z").rows, 5000);
}

/* ---- falling behind ------------------------------------------------------------------------------------------------------- */

/* Pushes until the stream takes no more, or n times. */
static int push_until_full(int n)
{
    static const char *const names[] = {"v"};
    int64_t from = 0;
    int i = 0;
    while (i < n && ut_push(&u, "s", names, 1, 8000, cell, &from, 100000) == LAM_OK) i++;
    return i;
}

static void r13_oldest_rows_are_dropped(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (overflow = 'drop_oldest'); ALTER SINK z PAUSE");
    assert_int_equal(push_until_full(1000), 1000);
    push(77, 1);
    run(1000);
    uint64_t dropped = stats("z").dropped;
    assert_true(dropped > 1000000);
    assert_int_equal(stats("z").accepted, 8000001);
    ut_sql(&u, "ALTER SINK z RESUME");
    run(1000000);
    assert_int_equal(mock_count("z"), 8000001 - dropped);
    char *rows = mock_rows("z");
    assert_string_equal(rows + strlen(rows) - 4, "\n77\n"); /* the latest is there */
    mem_free(rows);
}

static void overflow_can_block_the_sink(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (overflow = 'error'); CREATE SINK ok FROM s INTO BLACKHOLE; ALTER SINK z PAUSE");
    assert_int_equal(push_until_full(1000), 1000);
    ut_sql(&u, "ALTER SINK z RESUME");
    run(1000);
    assert_state("z", "BLOCKED");
    assert_int_equal(stats("ok").rows, 8000000);
    ut_sql(&u, "DROP SINK z");
}

static void overflow_changes_while_it_runs(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK; CREATE SINK ok FROM s INTO BLACKHOLE; ALTER SINK z PAUSE");
    assert_true(push_until_full(1000) < 1000);
    ut_sql(&u, "ALTER SINK z SET (overflow = 'drop_oldest')");
    assert_int_equal(push_until_full(1000), 1000);
    refused("ALTER SINK z SET (overflow = 'spill')", "needs a folder");
    refused("CREATE SINK y FROM s INTO MOCK (overflow = 'spill')", "lam_config.spill_path");
}

static void rows_that_wait_spill(void **state)
{
    teardown(state);
    mock_reset();
    sim = env_sim_new(11);
    struct lam_config cfg = {.size = sizeof cfg, .seed = 42, .log = hear, .spill_path = "spill"};
    struct db_setup s = {.env = env_sim_env(sim), .workers = 2, .shuffle = 5, .ring_slots = 8};
    assert_int_equal(db_open(&cfg, &s, &u.db), 0);
    assert_int_equal(lam_session_open(u.db, &u.s), 0);
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK; ALTER SINK z PAUSE");
    assert_int_equal(push_until_full(800), 800);
    push(77, 1);
    ut_sql(&u, "ALTER SINK z RESUME");
    for (int i = 0; i < 1000 && mock_count("z") < 6400001; i++) run(1000);
    assert_int_equal(mock_count("z"), 6400001);
    assert_int_equal(stats("z").dropped, 0);
}

/* ---- dead letters ---------------------------------------------------------------------------------------------------------- */

#define LETTERS "CREATE STREAM bad (v BIGINT, sink VARCHAR, error VARCHAR, more INTEGER);"

static void poison_goes_to_the_dead_letters(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE LETTERS "CREATE SINK z FROM s INTO MOCK (script = 'fail write 1 poison 3', dead_letter = 'bad');"
                              "CREATE SINK letters FROM bad WHERE v > 0 INTO MOCK; CREATE SINK again FROM bad INTO BLACKHOLE");
    push(0, 6);
    run(1000);
    assert_rows("z", "0\n1\n3\n4\n5\n");
    assert_rows("letters", "2|z|the script lets write number 1 fail|\\N\n");
    assert_int_equal(stats("z").dead_lettered, 1);
    assert_int_equal(stats("z").dropped, 0);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK); /* the dead letters end when their feeders have */
    assert_state("letters", "CLOSED");
    refused("DROP STREAM bad", "depends on it");
    refused("CREATE OR REPLACE STREAM bad (v BIGINT, error VARCHAR)", "uses it");
}

/* Letters of letters; each stream ends after the one that feeds it. */
static void letters_of_letters(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE LETTERS "CREATE STREAM worse (v BIGINT, error VARCHAR);"
                              "CREATE SINK z FROM s INTO MOCK (script = 'fail write 1- poison 1', dead_letter = 'bad');"
                              "CREATE SINK y FROM bad INTO MOCK (script = 'fail write 2- poison 1', dead_letter = 'worse');"
                              "CREATE SINK x FROM worse INTO MOCK");
    push(0, 5);
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 10000000), LAM_OK);
    assert_int_equal(stats("z").dead_lettered, 5);
    assert_int_equal(mock_count("y") + mock_count("x"), 5);
    assert_true(mock_count("x") > 0);
}

static void letters_that_nobody_reads(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE LETTERS "CREATE SINK z FROM s INTO MOCK (script = 'fail write 1 poison', dead_letter = 'bad')");
    push(0, 3);
    run(1000);
    assert_int_equal(stats("z").dropped, 1);
}

/* A dead-letter stream without room holds up its sink, which tries on; commands reach it, and nothing is lost. */
static void letters_without_room(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE LETTERS "CREATE SINK z FROM s INTO MOCK (script = 'fail write 1- poison 1', dead_letter = 'bad')");
    struct lam_sub *sub;
    assert_int_equal(lam_subscribe(u.s, "bad", NULL, &sub), LAM_OK);
    push(0, 2000);
    run(100000);
    assert_state("z", "RETRYING");
    uint64_t stuck = stats("z").dead_lettered;
    assert_true(stuck < 2000);
    ut_sql(&u, "ALTER SINK z SKIP"); /* the row at hand */
    int64_t n = 0;
    struct ArrowArray a;
    for (int i = 0; i < 3000 && n < 1999; i++) {
        run(2000);
        while (lam_poll(sub, &a) == LAM_OK) n += a.length, a.release(&a);
    }
    assert_int_equal(n, 1999);
    assert_int_equal(stats("z").dead_lettered, 1999);
    assert_int_equal(stats("z").dropped, 1);
    lam_sub_close(sub);
}

/* Rows that a flush finds go to the dead letters too, once each, through a lack of room, a command, and another instance. */
static void a_flush_finds_letters(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE LETTERS "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '10 ms', dead_letter = 'bad',"
                              " script = 'fail flush 1-990 poison 1; fail flush 991 connect; fail flush 992-1991 poison 1')");
    struct lam_sub *sub;
    assert_int_equal(lam_subscribe(u.s, "bad", NULL, &sub), LAM_OK);
    push(0, 2000);
    run(100000);
    assert_state("z", "RETRYING");
    assert_true(stats("z").dead_lettered < 1990);
    ut_sql(&u, "ALTER SINK z PAUSE; ALTER SINK z RESUME; ALTER SINK z SKIP"); /* the row at hand */
    int64_t n = 0, sum = 0;
    struct ArrowArray a;
    for (int i = 0; i < 3000 && n < 1989; i++) {
        run(2000);
        for (; lam_poll(sub, &a) == LAM_OK; a.release(&a))
            for (int64_t r = 0; r < a.length; r++) n++, sum += ((const int64_t *)a.children[0]->buffers[1])[r];
    }
    run(20000000);
    assert_rows("z", "1990\n1991\n1992\n1993\n1994\n1995\n1996\n1997\n1998\n1999\n");
    assert_int_equal(n, 1989);
    assert_int_equal(stats("z").dead_lettered, 1989);
    assert_int_equal(stats("z").dropped, 1);
    assert_true(sum < 1989 * 1990 / 2 && sum >= 1988 * 1989 / 2); /* 0 to 1989, but for the one that was skipped */
    lam_sub_close(sub);
}

/* Dead letters without room hold up the rows behind a bad one, and none of those that were written before. */
static void letters_without_room_hold_up_no_flush(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE LETTERS "CREATE SINK z FROM s INTO MOCK (buffered = 'true', flush.interval = '10 ms', dead_letter = 'bad',"
                              " script = 'fail write 2- poison 1')");
    struct lam_sub *sub;
    assert_int_equal(lam_subscribe(u.s, "bad", NULL, &sub), LAM_OK);
    push(0, 10);
    push(10, 2000);
    run(100000);
    assert_state("z", "RETRYING");
    assert_int_equal(mock_count("z"), 10);
    lam_sub_close(sub);
}

static void letters_that_cannot_be(void **state)
{
    (void)state;
    refused(SOURCE LETTERS "CREATE SINK z FROM s INTO MOCK (dead_letter = 'bed')", "there is no stream 'bed'");
    refused(SOURCE "CREATE SINK z FROM s INTO MOCK (dead_letter = 's')", "no declared stream");
    refused(LETTERS "CREATE SINK z FROM bad INTO MOCK (dead_letter = 'bad')", "would come back");
    refused(LETTERS "CREATE STREAM worse (v BIGINT); CREATE SINK z FROM bad INTO MOCK (dead_letter = 'worse');"
            "CREATE STREAM again AS SELECT v + 1 AS v FROM worse; CREATE SINK y FROM again INTO MOCK (dead_letter = 'bad')", "would come back");
    refused(SOURCE "CREATE STREAM bad (v VARCHAR); CREATE SINK z FROM s INTO MOCK (dead_letter = 'bad')", "is VARCHAR");
    refused(SOURCE "CREATE STREAM bad (v BIGINT NOT NULL); CREATE SINK z FROM s INTO MOCK (dead_letter = 'bad')", "NOT NULL");
}

/* ---- ends ----------------------------------------------------------------------------------------------------------------- */

static void drop_drains(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (buffered = 'true', script = 'wait 100 ms; fail write 2 retry')");
    for (int i = 0; i < 10; i++) push(i, 1);
    ut_sql(&u, "ALTER SINK z PAUSE; DROP SINK z");
    assert_int_equal(mock_count("z"), 10);
}

static void drop_discards(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'wait 100 ms')");
    push(0, 1);
    run(150000);
    push(1, 9);
    run(1000);
    int64_t began = env_now_us(env_sim_env(sim));
    ut_sql(&u, "DROP SINK z DISCARD");
    assert_true(env_now_us(env_sim_env(sim)) - began < 1000);
    assert_int_equal(mock_count("z"), 1);
    assert_non_null(strstr(told, "sink \"z\": 10 rows were not delivered")); /* the first was not flushed */
    refused("DROP SOURCE s DISCARD", "only sinks");
}

static void drop_of_a_blocked_sink(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO MOCK (script = 'fail write 1'); CREATE SINK keep FROM s INTO MOCK");
    push(0, 3);
    run(1000);
    int64_t began = env_now_us(env_sim_env(sim));
    ut_sql(&u, "DROP SINK z");
    assert_true(env_now_us(env_sim_env(sim)) - began < 1000);
    assert_non_null(strstr(told, "sink \"z\": 3 rows were not delivered"));
    push(3, 3);
    run(1000);
    assert_int_equal(mock_count("keep"), 6);
}

/* lam_close is back within its time and says what was left. */
static void close_is_bounded(void **state)
{
    (void)state;
    ut_sql(&u, SOURCE "CREATE SINK hangs FROM s INTO MOCK (script = 'hang write 1');"
                      "CREATE SINK refused FROM s INTO MOCK (script = 'fail open 1-');"
                      "CREATE SINK away FROM s INTO MOCK (script = 'fail open 1- connect');"
                      "CREATE SINK paused FROM s INTO MOCK; CREATE SINK slow FROM s INTO MOCK (script = 'wait 10 ms')");
    ut_sql(&u, "ALTER SINK paused PAUSE");
    static const char *const names[] = {"v"};
    int64_t from = 0;
    int n = 0; /* until logs and rings are full */
    while (n < 20000 && ut_push(&u, "s", names, 1, 2000, cell, &from, 100000) == LAM_OK) n++;
    int64_t began = env_now_us(env_sim_env(sim));
    lam_session_close(u.s);
    u.s = NULL;
    assert_int_equal(lam_close(u.db, 4000000), LAM_OK);
    u.db = NULL;
    assert_true(env_now_us(env_sim_env(sim)) - began <= 4000000);
    assert_non_null(strstr(told, "sink \"hangs\": "));
    assert_non_null(strstr(told, "sink \"refused\": "));
    assert_non_null(strstr(told, "sink \"away\": "));
    assert_int_equal(mock_count("paused") % 2000, 0);
    assert_true(mock_count("paused") > 0);
}

/* ---- threads ----------------------------------------------------------------------------------------------------------------- */

static void open_threads(void **state)
{
    teardown(state);
    mock_reset();
    struct way w = {2, true, 0, 8, 0};
    sim = NULL;
    ut_open(&u, &w, NULL);
}

/* A call that blocks its thread is canceled from outside, in open, write, flush and close. */
static void blocking_calls_have_deadlines(void **state)
{
    open_threads(state);
    ut_sql(&u, SOURCE "CREATE SINK z FROM s INTO \"mock.blocking\" (buffered = 'true', open.timeout = '20 ms', write.timeout = '30 ms',"
                      " retry.first = '1 ms', script = 'hang open 1; hang write 2; hang flush 1; hang close 4')");
    push(0, 3);
    push(3, 3);
    lam_push_end(u.db, "s");
    int r = lam_wait(u.db, u.s, 2000000);
    assert_int_equal(r, 5004); /* closing */
    assert_rows("z", "0\n1\n2\n3\n4\n5\n");
    assert_int_equal(stats("z").timeouts, 4);
    assert_state("z", "CLOSED");
}

static void a_hanging_neighbour(void **state)
{
    open_threads(state);
    ut_sql(&u, SOURCE "CREATE SINK hangs FROM s INTO \"mock.blocking\" (script = 'hang write 1');"
                      "CREATE SINK ok FROM s INTO \"mock.blocking\"");
    for (int i = 0; i < 20; i++) push(i, 100);
    assert_int_equal(lam_drain(u.db, 5000000), LAM_OK);
    ut_sql(&u, "ALTER SINK ok PAUSE; ALTER SINK ok RESUME");
    refused("ALTER SINK nothing RETRY", "no sink");
    lam_push_end(u.db, "s");
    assert_int_equal(lam_wait(u.db, u.s, 100000), LAM_TIMEOUT);
    lam_session_close(u.s);
    u.s = NULL;
    assert_int_equal(lam_close(u.db, 1000000), LAM_OK); /* it is canceled */
    u.db = NULL;
    assert_int_equal(mock_count("ok"), 2000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_system_that_is_away), T(a_refusal_is_for_an_operator), T(wait_tells_of_the_blocked), T(writes_are_retried),
        T(retries_have_a_limit), T(poison_is_counted), T(a_flush_finds_poison), T(poison_is_not_offered_again), T(what_cannot_be_flushed_does_not_grow),
        T(a_target_that_wants_no_more), T(flushes_fail), T(closing_fails), T(a_full_disk),
        T(calls_have_deadlines), T(some_cannot_be_canceled), T(r4_flush_by_a_deadline), T(r18_batches), T(pause_and_resume),
        T(skip_lets_go_of_a_batch), T(skip_what_cannot_be_flushed), T(set_changes_a_running_sink), T(commands_come_first),
        T(r13_oldest_rows_are_dropped), T(overflow_can_block_the_sink), T(overflow_changes_while_it_runs), T(rows_that_wait_spill),
        T(poison_goes_to_the_dead_letters), T(letters_of_letters), T(letters_that_nobody_reads), T(letters_without_room), T(a_flush_finds_letters), T(letters_without_room_hold_up_no_flush),
        T(letters_that_cannot_be), T(drop_drains), T(drop_discards), T(drop_of_a_blocked_sink), T(close_is_bounded), T(blocking_calls_have_deadlines), T(a_hanging_neighbour),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
