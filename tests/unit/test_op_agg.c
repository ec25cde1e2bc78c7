/* The aggregate operator: windows, late rows, NULL groups, DISTINCT and FILTER, giving out in bounded pieces, budgets,
 * and the same answer however rows are cut into batches and instances restarted. SPDX-License-Identifier: Apache-2.0 */
#include "row_ops_harness.h"

static struct rig r;

static int setup(void **state)
{
    (void)state;
    rig_init(&r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

static struct expr *col(const char *name)
{
    return rig_col(&r, r.plan->in[0].node->schema, name);
}

static void add_agg(const char *name, struct expr *arg, struct expr *arg2, bool distinct, struct expr *filter)
{
    struct expr *args[2] = {arg, arg2};
    struct err err;
    if (agg_bind(r.arena, name, args, arg2 ? 2 : 1, !arg, distinct, filter, NO_POS, &r.plan->aggs[r.plan->naggs++],
                 &err))
        fail_msg("%s", err.text);
}

static void group_by(int nkeys, struct expr **keys)
{
    r.plan->nkeys = nkeys;
    r.plan->keys = keys;
    r.plan->aggs = arena_alloc(r.arena, 8 * sizeof *r.plan->aggs);
}

/* "k VARCHAR, v BIGINT, ts BIGINT", by k when `keyed`, over windows of `size_ms` when it is not 0. */
static void begin_grouping(bool keyed, int64_t size_ms)
{
    rig_inputs(&r, PLAN_AGG, 1, "k VARCHAR, v BIGINT, ts BIGINT");
    group_by(keyed, rig_list(&r, 1, col("k")));
    if (!size_ms) return;
    r.plan->window = WINDOW_TUMBLE;
    r.plan->time = col("ts");
    r.plan->time_is_ms = true;
    r.plan->size_us = size_ms * 1000;
    r.plan->emit = EMIT_ON_WATERMARK;
}

/* The output schema follows from the rest. */
static void open_agg(void)
{
    struct plan *p = r.plan;
    struct schema *s = schema_new(r.arena, p->nkeys + 2 + p->naggs);
    int n = 0;
    for (int i = 0; i < p->nkeys; i++) s->fields[n++] = (struct field){"key", p->keys[i]->type, false};
    for (int i = 0; i < 2 && p->window; i++) s->fields[n++] = (struct field){"bound", p->time->type, true};
    for (int i = 0; i < p->naggs; i++) s->fields[n++] = (struct field){"agg", p->aggs[i]->type, false};
    s->n = n;
    p->schema = s;
    rig_open(&r);
}

static void count_and_sum(bool keyed, int64_t size_ms)
{
    begin_grouping(keyed, size_ms);
    add_agg("count", NULL, NULL, false, NULL);
    add_agg("sum", col("v"), NULL, false, NULL);
    open_agg();
}

/* ---- windows -------------------------------------------------------------------------------------------- */

static void windows_close_in_order(void **state)
{
    (void)state;
    count_and_sum(true, 1000);
    ok(rig_push(&r, 0, "b|1|2100\na|2|500\na|3|999\na|4|1000\n\\N|5|10\n"));
    assert_int_equal(r.batches, 0);
    ok(rig_watermark(&r, 0, 999999));
    rig_expect(&r, "");
    ok(rig_watermark(&r, 0, 1000000));
    rig_expect(&r, "a|0|1000|2|5\n\\N|0|1000|1|5\n");
    assert_int_equal(r.end_wm, 1000000);
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "a|1000|2000|1|4\nb|2000|3000|1|1\n");
    assert_true(r.end_wm == TS_MAX);
}

static void grid_has_an_offset_and_negative_times(void **state)
{
    (void)state;
    begin_grouping(false, 1000);
    r.plan->offset_us = -2300 * 1000;
    add_agg("count", NULL, NULL, false, NULL);
    open_agg();
    ok(rig_push(&r, 0, "a|1|-1\na|1|699\na|1|700\na|1|-301\na|1|-1300\na|1|-1301\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "-2300|-1300|1\n-1300|-300|2\n-300|700|2\n700|1700|1\n");
}

static void late_and_timeless_rows_are_counted(void **state)
{
    (void)state;
    begin_grouping(false, 1000);
    r.plan->lateness_us = 500000;
    r.plan->lag_us = 100000;
    add_agg("count", NULL, NULL, false, NULL);
    open_agg();
    ok(rig_push(&r, 0, "a|1|100\na|1|\\N\n"));
    assert_int_equal(r.op->ctx.errors, 1);
    ok(rig_watermark(&r, 0, 1599999));
    ok(rig_push(&r, 0, "a|1|999\n"));
    ok(rig_watermark(&r, 0, 1600000));
    rig_expect(&r, "0|1000|2\n");
    assert_int_equal(r.end_wm, 1600000);
    ok(rig_push(&r, 0, "a|1|999\na|1|1000\na|1|-5\n"));
    assert_int_equal(r.op->ctx.late, 2);
    assert_non_null(strstr(r.op->ctx.late_example.text, "1969-12-31 23:59:59.995"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "1000|2000|1\n");
}

static void window_bounds_of_the_input_are_windows(void **state)
{
    (void)state;
    rig_inputs(&r, PLAN_AGG, 1, "k VARCHAR, v BIGINT, s TIMESTAMP, e TIMESTAMP");
    group_by(1, rig_list(&r, 1, col("k")));
    r.plan->window = WINDOW_COLUMNS;
    r.plan->time = col("s");
    r.plan->window_end = col("e");
    add_agg("sum", col("v"), NULL, false, NULL);
    open_agg();
    ok(rig_push(&r, 0,
                "a|1|1970-01-01 00:00:00|1970-01-01 00:00:10\na|2|1970-01-01 00:00:05|1970-01-01 00:00:10\n"
                "a|4|1970-01-01 00:00:00|1970-01-01 00:00:10\na|8|1970-01-01 00:00:05|1970-01-01 00:00:15\n"
                "a|16|1970-01-01 00:00:05|\\N\n"));
    ok(rig_watermark(&r, 0, 10000000));
    rig_expect(&r, "a|1970-01-01 00:00:00|1970-01-01 00:00:10|5\na|1970-01-01 00:00:05|1970-01-01 00:00:10|2\n");
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "a|1970-01-01 00:00:05|1970-01-01 00:00:15|8\n");
    assert_int_equal(r.op->ctx.errors, 1);
}

static void texts_of_many_windows(void **state)
{
    (void)state;
    begin_grouping(true, 10);
    add_agg("last_value", col("k"), NULL, false, NULL);
    add_agg("min", col("k"), NULL, false, NULL);
    open_agg();
    ok(rig_push(&r, 0, "a key of many bytes|1|25\nb|1|5\na key of many bytes|1|11\nb|1|29\nb|1|3\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "b|0|10|b|b\na key of many bytes|10|20|a key of many bytes|a key of many bytes\n"
                   "a key of many bytes|20|30|a key of many bytes|a key of many bytes\nb|20|30|b|b\n");
}

/* ---- without windows ---------------------------------------------------------------------------------- */

static void global_aggregate_gives_one_row(void **state)
{
    (void)state;
    count_and_sum(false, 0);
    ok(rig_watermark(&r, 0, 5));
    assert_int_equal(r.end_wm, TS_MIN);
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "0|\\N\n");
    assert_true(r.end_wm == TS_MAX);
    rig_restart(&r);
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "");
}

static void other_workers_give_none(void **state)
{
    (void)state;
    count_and_sum(false, 0);
    r.op->ctx.worker = 1, r.op->ctx.workers = 2;
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "");
}

static void grouped_aggregate_of_nothing_is_nothing(void **state)
{
    (void)state;
    count_and_sum(true, 0);
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "");
}

static void held_input_gives_nothing(void **state)
{
    (void)state;
    count_and_sum(true, 0);
    ok(rig_push(&r, 0, "a|1|1\n"));
    r.op->ctx.ended[0] = true;
    ok(rig_drain(&r, r.op->class->watermark(r.op, 0)));
    rig_expect(&r, "");
}

static void groups_come_in_order_of_arrival(void **state)
{
    (void)state;
    count_and_sum(true, 0);
    ok(rig_push(&r, 0, "b|1|1\n\\N|2|1\na|3|1\n|7|1\n"));
    rig_restart(&r);
    ok(rig_push(&r, 0, "\\N|4|\\N\nb|\\N|1\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "b|2|1\n\\N|2|6\na|1|3\n|1|7\n");
    assert_int_equal(r.op->ctx.errors, 0);
}

/* ---- DISTINCT, FILTER, errors ---------------------------------------------------------------------------- */

static void distinct_and_filter(void **state)
{
    (void)state;
    begin_grouping(true, 10);
    struct expr *above_two = rig_call(&r, ">", col("v"), rig_int(&r, 2));
    add_agg("count", col("v"), NULL, true, NULL);
    add_agg("sum", col("v"), NULL, true, above_two);
    add_agg("count", NULL, NULL, false, above_two);
    add_agg("string_agg", col("k"), col("k"), true, NULL);
    open_agg();
    ok(rig_push(&r, 0, "a|1|0\na|1|1\na|3|2\nb|3|3\na|\\N|4\n"));
    rig_restart(&r);
    ok(rig_push(&r, 0, "a|3|9\na|4|9\nb|4|9\nb|2|9\n"));
    ok(rig_push(&r, 0, "a|1|19\na|2|9\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "a|0|10|4|7|3|a\nb|0|10|3|7|2|b\na|10|20|1|\\N|0|a\n");
}

static void failing(enum on_error on_error)
{
    r.on_error = on_error;
    begin_grouping(true, 0);
    add_agg("count", NULL, NULL, false, NULL);
    add_agg("sum", rig_call(&r, "/", rig_int(&r, 12), col("v")), NULL, false, NULL);
    open_agg();
}

static void failed_rows_are_skipped(void **state)
{
    (void)state;
    failing(ON_ERROR_SKIP);
    ok(rig_push(&r, 0, "a|3|1\na|0|1\nb|0|1\na|6|1\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "a|2|6\n");
    assert_int_equal(r.op->ctx.errors, 2);
}

static void failed_values_are_null(void **state)
{
    (void)state;
    failing(ON_ERROR_NULL);
    ok(rig_push(&r, 0, "a|3|1\na|0|1\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "a|2|4\n");
}

static void failed_rows_fail(void **state)
{
    (void)state;
    failing(ON_ERROR_FAIL);
    assert_int_equal(rig_push(&r, 0, "a|3|1\na|0|1\n"), E_DIV0);
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, ""); /* nothing had changed */
}

static void bad_result_is_the_output_rows_error(void **state)
{
    (void)state;
    rig_inputs(&r, PLAN_AGG, 1, "k VARCHAR, d DECIMAL");
    r.plan->in[0].node->schema->fields[1].type = type_decimal(38, 0);
    group_by(1, rig_list(&r, 1, col("k")));
    add_agg("sum", col("d"), NULL, false, NULL);
    open_agg();
    ok(rig_push(&r, 0, "a|99999999999999999999999999999999999999\nb|1\na|99999999999999999999999999999999999999\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "b|1\n");
    assert_int_equal(r.op->ctx.errors, 1);
}

/* ---- bounded work, bounded memory ------------------------------------------------------------------------ */

static void push_keys(int from, int n, int ms)
{
    struct text t = {0};
    for (int i = 0; i < n; i++) text_printf(&t, "key number %d|%d|%d\n", from + i, i, ms);
    text_putc(&t, 0);
    rig_push(&r, 0, t.p);
    text_done(&t);
}

static void many_groups_come_in_pieces(void **state)
{
    (void)state;
    r.batch_rows = 100;
    count_and_sum(true, 1000);
    for (int i = 0; i < 5; i++) push_keys(i * 500, 500, 10);
    push_keys(0, 1, 1500);
    struct op_ctx *c = &r.op->ctx;
    c->wm[0] = c->wm_out = TS_MAX;
    uint32_t rows = 0, calls = 0;
    for (enum status st = r.op->class->watermark(r.op, 0);; st = r.op->class->more(r.op)) {
        calls++;
        rows += c->out[OUT_MAIN].n;
        assert_true(c->out[OUT_MAIN].n <= 100);
        if (st == ST_MORE) assert_true(c->wm_out <= 1999000);
        if (rows <= 2400) assert_true(c->wm_out <= 999000);
        batch_unref(c->out[OUT_MAIN].b);
        c->out[OUT_MAIN] = (struct rows){0};
        if (st == ST_OK) break;
        assert_int_equal(st, ST_MORE);
    }
    assert_int_equal(rows, 2501);
    assert_int_equal(calls, 26);
    assert_true(c->wm_out == TS_MAX);
}

static void budget_refuses_and_the_batch_may_come_again(void **state)
{
    (void)state;
    count_and_sum(true, 1000);
    push_keys(0, 10, 10);
    r.account.limit = r.account.used + 20000;
    push_keys(0, 1000, 20);
    assert_int_equal(r.status, E_NOMEM);
    assert_true(r.op->ctx.err.hint[0] != 0);
    assert_true(r.account.used <= r.account.limit);
    r.account.limit = 0;
    push_keys(0, 1000, 20);
    assert_int_equal(r.status, ST_OK);
    ok(rig_watermark(&r, 0, TS_MAX));
    assert_int_equal(strncmp(text_cstr(&r.out), "key number 0|0|1000|2|0\nkey number 1|0|1000|2|2\n", 46), 0);
    text_clear(&r.out);
}

/* ---- however it is cut ------------------------------------------------------------------------------------ */

static uint64_t rng_state;
static uint32_t rng(uint32_t below)
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ z >> 31) % below);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of what came out, sorted. */
static char *sorted_output(void)
{
    char *lines[5000], *text = arena_strdup(r.arena, text_cstr(&r.out));
    int n = 0;
    for (char *line; (line = strsep(&text, "\n")) && *line;) lines[n++] = line;
    qsort(lines, (size_t)n, sizeof *lines, by_line);
    struct text all = {0};
    for (int i = 0; i < n; i++) text_puts(&all, lines[i]), text_putc(&all, '\n');
    char *copy = arena_strdup(r.arena, text_cstr(&all));
    text_done(&all);
    text_clear(&r.out);
    return copy;
}

/* 600 rows, watermarks between them; batches of up to `cut` rows, restarts at every batch when asked. */
static char *run_cut(uint32_t cut, bool restart)
{
    begin_grouping(true, 100);
    r.plan->naggs = 0;
    add_agg("count", NULL, NULL, false, NULL);
    add_agg("sum", col("v"), NULL, false, NULL);
    add_agg("count", col("v"), NULL, true, NULL);
    add_agg("first_value", col("v"), NULL, false, NULL);
    add_agg("max", col("k"), NULL, false, NULL);
    add_agg("avg", col("v"), NULL, false, NULL);
    open_agg();
    rng_state = 5;
    struct text t = {0};
    uint32_t held = 0;
    for (int i = 0; i < 600; i++) {
        int late = (int)rng(150), v = (int)rng(20);
        char value[16], key[40];
        snprintf(value, sizeof value, v ? "%d" : "\\N", v);
        uint32_t k = rng(7);
        snprintf(key, sizeof key, k == 6 ? "\\N" : k == 5 ? "a key longer than twelve bytes" : "k%u", k);
        char line[100];
        int len = snprintf(line, sizeof line, "%s|%s|%d\n", key, value, i * 3 - late);
        text_put(&t, line, (size_t)len);
        bool mark = i % 50 == 49; /* the same places however batches are cut */
        if (++held < cut && !mark) continue;
        text_putc(&t, 0);
        ok(rig_push(&r, 0, t.p));
        text_clear(&t);
        held = 0;
        if (mark) ok(rig_watermark(&r, 0, (int64_t)(i * 3 - 120) * 1000));
        if (restart) rig_restart(&r);
    }
    ok(rig_watermark(&r, 0, TS_MAX));
    text_done(&t);
    rig_shut(&r);
    return sorted_output();
}

static void cuts_and_restarts_change_nothing(void **state)
{
    (void)state;
    char *whole = run_cut(600, false);
    assert_true(strlen(whole) > 2000);
    assert_string_equal(run_cut(1, false), whole);
    assert_string_equal(run_cut(7, true), whole);
    assert_string_equal(run_cut(64, true), whole);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(windows_close_in_order),
        TEST(grid_has_an_offset_and_negative_times),
        TEST(late_and_timeless_rows_are_counted),
        TEST(window_bounds_of_the_input_are_windows),
        TEST(texts_of_many_windows),
        TEST(global_aggregate_gives_one_row),
        TEST(other_workers_give_none),
        TEST(grouped_aggregate_of_nothing_is_nothing),
        TEST(held_input_gives_nothing),
        TEST(groups_come_in_order_of_arrival),
        TEST(distinct_and_filter),
        TEST(failed_rows_are_skipped),
        TEST(failed_values_are_null),
        TEST(failed_rows_fail),
        TEST(bad_result_is_the_output_rows_error),
        TEST(many_groups_come_in_pieces),
        TEST(budget_refuses_and_the_batch_may_come_again),
        TEST(cuts_and_restarts_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
