/* The operators that work row by row: filter, project, union, limit, sort, join. SPDX-License-Identifier: Apache-2.0 */
#include "row_ops_harness.h"

static struct rig r;
static const struct schema *in; /* of port 0 */

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

static void one_input(enum plan_kind kind, const char *columns)
{
    rig_inputs(&r, kind, 1, columns);
    in = r.plan->in[0].node->schema;
}

#define COL(name) rig_col(&r, in, name)
#define INT(i) rig_int(&r, i)
#define CALL(f, x, y) rig_call(&r, f, x, y)

/* ---- filter and project ------------------------------------------------------------------------------- */

static void filter_by(const char *columns, struct expr *(*make)(void))
{
    one_input(PLAN_FILTER, columns);
    r.plan->nexprs = 1;
    r.plan->exprs = rig_list(&r, 1, make());
    rig_open(&r);
}

static struct expr *a_above_two(void) { return CALL(">", COL("a"), INT(2)); }
static struct expr *ten_over_a_above_two(void) { return CALL(">", CALL("/", INT(10), COL("a")), INT(2)); }

static void filter_narrows(void **state)
{
    (void)state;
    filter_by("a BIGINT, s VARCHAR", a_above_two);
    ok(rig_push(&r, 0, "1|x\n3|y\n\\N|z\n- 4|w\n"));
    rig_expect(&r, "3|y\n-4|w\n");
    ok(rig_push(&r, 0, "1|x\n2|y\n"));
    assert_int_equal(r.batches, 0);
    ok(rig_push(&r, 0, "5|x\n6|y\n"));
    rig_expect(&r, "5|x\n6|y\n");
    ok(rig_watermark(&r, 0, 77));
    assert_int_equal(r.end_wm, 77);

    struct batch *b = rig_batch(&r, in, "3|a\n4|b\n1|c\n5|d\n");
    static const uint32_t sel[] = {1, 2, 3};
    ok(rig_give(&r, 0, &(struct rows){b, sel, 3}));
    batch_unref(b);
    rig_expect(&r, "4|b\n5|d\n");
}

static void filter_counts_errors(void **state)
{
    (void)state;
    filter_by("a BIGINT", ten_over_a_above_two);
    ok(rig_push(&r, 0, "1\n0\n5\n2\n"));
    rig_expect(&r, "1\n2\n");
    assert_int_equal(r.op->ctx.errors, 1);
    assert_non_null(strstr(r.op->ctx.row_error.text, "division by zero"));
    r.op->ctx.on_error = ON_ERROR_FAIL;
    assert_int_equal(rig_push(&r, 0, "1\n0\n"), E_DIV0);
    assert_int_equal(r.op->ctx.err.code, E_DIV0);
}

static void project_over(enum on_error on_error)
{
    one_input(PLAN_PROJECT, "a BIGINT, s VARCHAR");
    r.plan->nexprs = 2;
    r.plan->exprs = rig_list(&r, 2, COL("s"), CALL("/", INT(10), COL("a")));
    r.plan->schema = rig_schema(r.arena, "s VARCHAR, q BIGINT");
    r.on_error = on_error;
    rig_open(&r);
}

static void project_computes(void **state)
{
    (void)state;
    project_over(ON_ERROR_SKIP);
    ok(rig_push(&r, 0, "1|x\n2|a longer text than fits\n\\N|\\N\n- 5|w\n"));
    rig_expect(&r, "x|10\na longer text than fits|5\n\\N|\\N\n-w|2\n");
}

static void project_skips_bad_rows(void **state)
{
    (void)state;
    project_over(ON_ERROR_SKIP);
    ok(rig_push(&r, 0, "1|a\n0|b\n2|c\n0|d\n"));
    rig_expect(&r, "a|10\nc|5\n");
    assert_int_equal(r.op->ctx.errors, 2);
    struct batch *b = rig_batch(&r, in, "1|a\n0|b\n2|c\n5|d\n0|e\n10|f\n");
    static const uint32_t sel[] = {0, 1, 3, 5};
    ok(rig_give(&r, 0, &(struct rows){b, sel, 4}));
    batch_unref(b);
    rig_expect(&r, "a|10\nd|2\nf|1\n");
    ok(rig_push(&r, 0, "0|a\n0|b\n"));
    assert_int_equal(r.batches, 0);
}

static void project_leaves_null(void **state)
{
    (void)state;
    project_over(ON_ERROR_NULL);
    ok(rig_push(&r, 0, "1|a\n0|b\n"));
    rig_expect(&r, "a|10\nb|\\N\n");
    assert_int_equal(r.op->ctx.errors, 1);
}

static void project_fails(void **state)
{
    (void)state;
    project_over(ON_ERROR_FAIL);
    assert_int_equal(rig_push(&r, 0, "1|a\n0|b\n"), E_DIV0);
}

/* ---- union and limit ---------------------------------------------------------------------------------- */

static void union_passes_all(void **state)
{
    (void)state;
    rig_inputs(&r, PLAN_UNION, 2, "a BIGINT", "b BIGINT");
    rig_open(&r);
    ok(rig_push(&r, 0, "1\n"));
    ok(rig_push(&r, 1, "2\n- 3\n"));
    rig_expect(&r, "1\n2\n-3\n");
    ok(rig_watermark(&r, 0, 9));
    assert_int_equal(r.end_wm, TS_MIN);
    ok(rig_watermark(&r, 1, 5));
    assert_int_equal(r.end_wm, 5);
}

static void limit_of(int64_t limit, int64_t offset)
{
    one_input(PLAN_LIMIT, "a BIGINT");
    r.plan->limit = limit;
    r.plan->offset = offset;
    rig_open(&r);
}

static void limit_ends(void **state)
{
    (void)state;
    limit_of(3, -1);
    ok(rig_push(&r, 0, "1\n2\n"));
    assert_int_equal(rig_push(&r, 0, "3\n4\n5\n"), ST_DONE);
    rig_expect(&r, "1\n2\n3\n");
}

static void limit_skips(void **state)
{
    (void)state;
    limit_of(2, 3);
    ok(rig_push(&r, 0, "1\n2\n"));
    rig_restart(&r);
    ok(rig_push(&r, 0, "3\n4\n"));
    rig_restart(&r);
    assert_int_equal(rig_push(&r, 0, "5\n6\n"), ST_DONE);
    rig_expect(&r, "4\n5\n");
    rig_restart(&r);
    assert_int_equal(rig_watermark(&r, 0, 5), ST_DONE);
}

static void offset_alone(void **state)
{
    (void)state;
    limit_of(-1, 1);
    struct batch *b = rig_batch(&r, in, "1\n2\n3\n4\n");
    static const uint32_t sel[] = {0, 2, 3};
    ok(rig_give(&r, 0, &(struct rows){b, sel, 3}));
    batch_unref(b);
    ok(rig_push(&r, 0, "5\n6\n"));
    rig_expect(&r, "3\n4\n5\n6\n");
}

static void limit_zero(void **state)
{
    (void)state;
    limit_of(0, -1);
    assert_int_equal(rig_watermark(&r, 0, 5), ST_DONE);
    assert_int_equal(rig_push(&r, 0, "5\n6\n"), ST_DONE);
    assert_int_equal(r.batches, 0);
}

/* ---- sort --------------------------------------------------------------------------------------------- */

static void sort_by(bool desc, int64_t limit, int64_t offset)
{
    one_input(PLAN_SORT, "a BIGINT, s VARCHAR");
    r.plan->norder = 1;
    r.plan->order = arena_alloc(r.arena, sizeof *r.plan->order);
    r.plan->order[0] = (struct plan_order){COL("a"), desc, desc};
    r.plan->limit = limit;
    r.plan->offset = offset;
    rig_open(&r);
}

static void sort_gives_at_the_end(void **state)
{
    (void)state;
    sort_by(false, -1, -1);
    ok(rig_push(&r, 0, "3|c\n1|a\n"));
    ok(rig_watermark(&r, 0, 1000));
    assert_int_equal(r.end_wm, TS_MIN);
    rig_restart(&r);
    ok(rig_push(&r, 0, "\\N|n\n1|a text that is longer\n-5|x\n"));
    rig_expect(&r, "");
    ok(rig_watermark(&r, 0, TS_MAX));
    assert_int_equal(r.end_wm, TS_MAX);
    rig_expect(&r, "-5|x\n1|a\n1|a text that is longer\n3|c\n\\N|n\n");
    rig_restart(&r);
    ok(rig_watermark(&r, 0, TS_MAX)); /* once only */
    rig_expect(&r, "");
}

static void sort_descends_stably(void **state)
{
    (void)state;
    sort_by(true, -1, 1);
    ok(rig_push(&r, 0, "1|a\n2|b\n2|c\n\\N|d\n2|e\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "2|b\n2|c\n2|e\n1|a\n");
}

static void sort_of_changes(void **state)
{
    (void)state;
    sort_by(false, 2, -1);
    r.plan->in[0].node->stream = STREAM_CHANGELOG;
    rig_shut(&r);
    rig_open(&r);
    ok(rig_push(&r, 0, "1|a\n2|b\n2|c\n2|c\n3|d\n- 2|b\n- 1|a\n"));
    ok(rig_push(&r, 0, "- 2|c\n"));
    assert_int_equal(rig_push(&r, 0, "- 9|c\n"), E_EXEC);
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, "2|c\n3|d\n");
}

/* Many rows in a shuffled order; small batches out, and small memory with a limit. */
static int64_t sort_many(int64_t limit, int64_t offset)
{
    r.batch_rows = 16;
    sort_by(false, limit, offset);
    struct text t = {0};
    uint32_t n = 20000;
    for (uint32_t i = 0; i < n; i++) {
        text_printf(&t, "%u|row\n", (i * 7919u) % n);
        if (i % 1000 < 999) continue;
        ok(rig_push(&r, 0, text_cstr(&t)));
        text_clear(&t);
    }
    int64_t held = r.account.used;
    ok(rig_watermark(&r, 0, TS_MAX));
    uint32_t from = offset > 0 ? (uint32_t)offset : 0, to = limit < 0 ? n : from + (uint32_t)limit;
    assert_int_equal(r.batches, (to - from + 15) / 16);
    for (uint32_t i = from; i < to && i < n; i++) text_printf(&t, "%u|row\n", i);
    rig_expect(&r, text_cstr(&t));
    text_done(&t);
    return held;
}

static void sort_gives_many_in_small_batches(void **state)
{
    (void)state;
    sort_many(-1, -1);
}

static void sort_with_a_limit_keeps_little(void **state)
{
    (void)state;
    int64_t held = sort_many(20, 5);
    assert_true(held < 400000);
}

static void sort_can_be_refused(void **state)
{
    (void)state;
    sort_by(false, -1, -1);
    r.account.limit = r.account.used + 1000;
    struct text t = {0};
    for (int i = 0; i < 500; i++) text_printf(&t, "%d|some text to keep\n", i);
    int64_t used = r.account.used;
    assert_int_equal(rig_push(&r, 0, text_cstr(&t)), E_NOMEM);
    assert_int_equal(r.account.used, used);
    r.account.limit = 0;
    ok(rig_push(&r, 0, text_cstr(&t)));
    ok(rig_watermark(&r, 0, TS_MAX));
    rig_expect(&r, text_cstr(&t));
    text_done(&t);
}

/* ---- join --------------------------------------------------------------------------------------------- */

static void join_on_key(bool residual)
{
    rig_inputs(&r, PLAN_JOIN, 2, "k BIGINT, l VARCHAR", "k BIGINT, r VARCHAR, v BIGINT");
    r.plan->schema = rig_schema(r.arena, "k BIGINT, l VARCHAR, rk BIGINT, r VARCHAR, v BIGINT");
    r.plan->njoin_keys = 1;
    r.plan->left_keys = rig_list(&r, 1, rig_col(&r, r.plan->in[0].node->schema, "k"));
    r.plan->right_keys = rig_list(&r, 1, rig_col(&r, r.plan->in[1].node->schema, "k"));
    in = r.plan->schema;
    if (residual) {
        r.plan->nexprs = 1;
        r.plan->exprs = rig_list(&r, 1, CALL(">", CALL("/", INT(10), COL("v")), INT(1)));
    }
    rig_open(&r);
}

static void join_meets_at_once(void **state)
{
    (void)state;
    join_on_key(false);
    ok(rig_push(&r, 0, "1|a\n2|b\n\\N|n\n"));
    ok(rig_push(&r, 1, "\\N|n|0\n2|x|5\n3|y|6\n"));
    rig_expect(&r, "2|b|2|x|5\n");
    rig_restart(&r);
    ok(rig_push(&r, 0, "3|c\n2|a text that is longer than a view\n"));
    rig_expect(&r, "3|c|3|y|6\n2|a text that is longer than a view|2|x|5\n");
    ok(rig_push(&r, 1, "2|z|\\N\n"));
    rig_expect(&r, "2|b|2|z|\\N\n2|a text that is longer than a view|2|z|\\N\n");
    ok(rig_watermark(&r, 0, 5));
    ok(rig_watermark(&r, 1, 5));
    assert_int_equal(r.end_wm, TS_MIN); /* rows of any time may still come */
    ok(rig_watermark(&r, 0, TS_MAX));
    ok(rig_watermark(&r, 1, TS_MAX));
    assert_int_equal(r.end_wm, TS_MAX);
}

static void join_keeps_nothing_for_an_ended_side(void **state)
{
    (void)state;
    join_on_key(false);
    ok(rig_push(&r, 0, "1|a\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    int64_t used = state_bytes(r.op->ctx.state);
    for (int i = 0; i < 100; i++) ok(rig_push(&r, 1, "1|x|5\n2|y|5\n"));
    assert_int_equal(state_bytes(r.op->ctx.state), used);
    assert_int_equal(r.batches, 100);
    text_clear(&r.out);
}

static void join_filters_pairs(void **state)
{
    (void)state;
    join_on_key(true);
    ok(rig_push(&r, 0, "1|a\n"));
    ok(rig_push(&r, 1, "1|x|5\n1|y|10\n1|z|0\n1|w|1\n1|v|\\N\n"));
    rig_expect(&r, "1|a|1|x|5\n1|a|1|w|1\n");
    assert_int_equal(r.op->ctx.errors, 1);
}

static void join_takes_back(void **state)
{
    (void)state;
    join_on_key(false);
    ok(rig_push(&r, 0, "1|a\n1|b\n"));
    ok(rig_push(&r, 1, "1|x|5\n"));
    rig_expect(&r, "1|a|1|x|5\n1|b|1|x|5\n");
    ok(rig_push(&r, 0, "- 1|a\n1|c\n"));
    rig_expect(&r, "-1|a|1|x|5\n1|c|1|x|5\n");
    ok(rig_push(&r, 1, "- 1|x|5\n"));
    rig_expect(&r, "-1|b|1|x|5\n-1|c|1|x|5\n");
    ok(rig_push(&r, 0, "1|d\n"));
    rig_expect(&r, "");
}

/* One row meets thousands: small outputs, one after the other, memory bounded. */
static void join_gives_thousands_in_small_batches(void **state)
{
    (void)state;
    r.batch_rows = 64;
    join_on_key(false);
    struct text t = {0};
    for (int i = 0; i < 3000; i++) text_printf(&t, "%d|right|%d\n", i % 3, i);
    ok(rig_push(&r, 1, text_cstr(&t)));
    text_clear(&t);
    ok(rig_push(&r, 0, "1|a\n7|b\n2|c\n"));
    assert_int_equal(r.batches, (2000 + 63) / 64);
    for (int i = 1; i < 3000; i += 3) text_printf(&t, "1|a|1|right|%d\n", i);
    for (int i = 2; i < 3000; i += 3) text_printf(&t, "2|c|2|right|%d\n", i);
    rig_expect(&r, text_cstr(&t));
    text_done(&t);
}

static void join_can_be_refused(void **state)
{
    (void)state;
    join_on_key(false);
    ok(rig_push(&r, 0, "1|a\n"));
    r.account.limit = r.account.used + 10;
    struct text t = {0};
    for (int i = 0; i < 300; i++) text_printf(&t, "1|some text to keep|%d\n", i);
    assert_int_equal(rig_push(&r, 1, text_cstr(&t)), E_NOMEM);
    rig_expect(&r, "");
    r.account.limit = 0;
    ok(rig_push(&r, 1, text_cstr(&t)));
    assert_int_equal(r.batches, 1);
    text_clear(&r.out);
    text_done(&t);
}

static void nothing_is_allocated_once_warm(void **state)
{
    (void)state;
    join_on_key(false);
    ok(rig_push(&r, 0, "1|a\n2|b\n"));
    ok(rig_watermark(&r, 0, TS_MAX));
    struct batch *b = rig_batch(&r, r.plan->in[1].node->schema, "1|x|5\n2|y|5\n3|z|6\n");
    struct rows rows = rows_all(b);
    uint64_t before = 0;
    for (int i = 0; i < 20; i++) {
        ok(r.op->class->batch(r.op, 1, &rows));
        batch_unref(r.op->ctx.out[OUT_MAIN].b);
        r.op->ctx.out[OUT_MAIN].b = NULL;
        if (i == 5) before = mem_alloc_count();
    }
    assert_int_equal(mem_alloc_count(), before);
    batch_unref(b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(filter_narrows), T(filter_counts_errors), T(project_computes), T(project_skips_bad_rows), T(project_leaves_null),
        T(project_fails), T(union_passes_all), T(limit_ends), T(limit_skips), T(offset_alone), T(limit_zero),
        T(sort_gives_at_the_end), T(sort_descends_stably), T(sort_of_changes), T(sort_gives_many_in_small_batches),
        T(sort_with_a_limit_keeps_little), T(sort_can_be_refused), T(join_meets_at_once),
        T(join_keeps_nothing_for_an_ended_side), T(join_filters_pairs), T(join_takes_back),
        T(join_gives_thousands_in_small_batches), T(join_can_be_refused), T(nothing_is_allocated_once_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
