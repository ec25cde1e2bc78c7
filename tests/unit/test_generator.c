/* The generator source. SPDX-License-Identifier: Apache-2.0 */
#include "connector_harness.h"

static struct harness h;

static int setup(void **state)
{
    (void)state;
    harness_init(&h, "id BIGINT, price DOUBLE, sym VARCHAR, n INTEGER, ts TIMESTAMP, flag BOOLEAN");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_done(&h);
    return 0;
}

#define FIELDS                                                                                                         \
    "price: walk(100, 0.5), sym: choice(AAPL, 'a name that is long, really', \"x\") null(0.25), n: uniform(1, 500)"

static struct batch *next(struct source *s, struct position *after)
{
    struct payload p = {0};
    enum status st = s->class->poll(s, 0, 0, &p, &h.err);
    if (st == ST_DONE) return NULL;
    ok(st);
    if (after) *after = p.after;
    return p.b;
}

static int64_t int_at(const struct batch *b, int col, uint32_t row) { return ((int64_t *)b->cols[col].data)[row]; }

static void assert_same_rows(const struct batch *a, uint32_t at, const struct batch *b, uint32_t bt, uint32_t n)
{
    for (int c = 0; c < h.schema->n; c++)
        for (uint32_t i = 0; i < n; i++) {
            struct value x = batch_value(a, h.schema, c, at + i), y = batch_value(b, h.schema, c, bt + i);
            assert_int_equal(x.is_null, y.is_null);
            if (x.is_null) continue;
            if (type_is_text(x.type))
                assert_true(str_equal(&x.s, &y.s));
            else if (x.type.id == T_DOUBLE)
                assert_true(x.d == y.d);
            else if (x.type.id == T_BOOL)
                assert_int_equal(x.b, y.b);
            else
                assert_int_equal(x.i, y.i);
        }
}

static void makes_what_is_asked(void **state)
{
    (void)state;
    struct source *s = harness_source(&h, "generator", "rows", "5000", "fields", FIELDS, "step", "1 s", NULL);
    assert_non_null(s);
    assert_true(s->class->bounded(s->class, s->ctx.options));
    assert_int_equal(s->class->split_size(s, 0), 5000);
    ok(s->class->seek(s, 0, NULL, &h.err));
    struct batch *b;
    uint32_t rows = 0, nulls = 0;
    while ((b = next(s, NULL))) {
        for (uint32_t i = 0; i < b->rows; i++) {
            assert_int_equal(int_at(b, 0, i), rows + i);
            int32_t n = ((int32_t *)b->cols[3].data)[i];
            assert_in_range(n, 1, 500);
            nulls += column_null(&b->cols[2], i);
            assert_int_equal(int_at(b, 4, i), 1704067200000000 + (int64_t)(rows + i) * 1000000);
        }
        rows += b->rows;
        batch_unref(b);
    }
    assert_int_equal(rows, 5000);
    assert_in_range(nulls, 1100, 1400);
    harness_source_end(s);
}

static void replays_from_every_position(void **state)
{
    (void)state;
    struct source *a = harness_source(&h, "generator", "rows", "9000", "fields", FIELDS, "start", "now", "disorder", "5 s", NULL);
    struct batch *all[16], *b;
    struct position after[16];
    int n = 0;
    while ((b = next(a, &after[n]))) all[n++] = b;
    for (int i = 0; i + 1 < n; i++) {
        struct source *s = harness_source(&h, "generator", "rows", "9000", "fields", FIELDS, "start", "now", "disorder", "5 s", NULL);
        ok(s->class->seek(s, 0, &after[i], &h.err));
        b = next(s, NULL);
        assert_int_equal(b->rows, all[i + 1]->rows);
        assert_same_rows(b, 0, all[i + 1], 0, b->rows);
        batch_unref(b);
        harness_source_end(s);
    }
    for (int i = 0; i < n; i++) batch_unref(all[i]);
    harness_source_end(a);
}

/* The same rows whatever the pace, cut otherwise. */
static void keeps_the_pace(void **state)
{
    (void)state;
    struct source *s = harness_source(&h, "generator", "rows.per.second", "1000", "step", "1 ms", "fields", FIELDS, NULL);
    struct source *fast = harness_source(&h, "generator", "step", "1 ms", "fields", FIELDS, NULL);
    assert_false(s->class->bounded(s->class, s->ctx.options));
    struct batch *whole = next(fast, NULL);
    struct payload p;
    uint32_t rows = 0;
    int64_t now = 77;
    while (rows < 1000) {
        enum status st = s->class->poll(s, 0, now, &p, &h.err);
        if (st == ST_WAIT) {
            int64_t wake;
            s->class->wait(s, 0, NULL, 0, &wake);
            assert_true(wake > now && wake <= now + 10000);
            now = wake;
            continue;
        }
        ok(st);
        assert_true(p.b->rows <= 10);
        assert_same_rows(p.b, 0, whole, rows, p.b->rows);
        rows += p.b->rows;
        batch_unref(p.b);
    }
    assert_int_equal(now, 77 + 990000);
    ok(s->class->poll(s, 0, now + 1000000, &p, &h.err)); /* behind: catches up at once */
    assert_int_equal(p.b->rows, 1000);
    batch_unref(p.b);
    batch_unref(whole);
    harness_source_end(s);
    harness_source_end(fast);
}

static void paces_few_rows_and_many(void **state)
{
    (void)state;
    struct source *s = harness_source(&h, "generator", "rows.per.second", "3", NULL);
    struct payload p;
    int64_t wake;
    ok(s->class->poll(s, 0, 0, &p, &h.err));
    assert_int_equal(p.b->rows, 1);
    batch_unref(p.b);
    assert_int_equal(s->class->poll(s, 0, 1, &p, &h.err), ST_WAIT);
    s->class->wait(s, 0, NULL, 0, &wake);
    assert_int_equal(wake, 333334);
    ok(s->class->poll(s, 0, wake, &p, &h.err));
    assert_int_equal(int_at(p.b, 4, 0), 1704067200000000 + 333333);
    batch_unref(p.b);
    harness_source_end(s);
}

static void disorder_is_bounded(void **state)
{
    (void)state;
    struct source *s = harness_source(&h, "generator", "rows", "2000", "step", "1 ms", "disorder", "10 ms", NULL);
    struct batch *b = next(s, NULL);
    int64_t late = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        int64_t behind = 1704067200000000 + (int64_t)i * 1000 - int_at(b, 4, i);
        assert_in_range(behind, 0, 10000);
        if (behind > late) late = behind;
    }
    assert_true(late > 9000);
    batch_unref(b);
    harness_source_end(s);
}

static void zipf_prefers_low_numbers(void **state)
{
    (void)state;
    struct source *s = harness_source(&h, "generator", "rows", "2048", "fields", "id: zipf(1000, 1.0)", NULL);
    struct batch *b = next(s, NULL);
    int zero = 0, one = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        assert_in_range(int_at(b, 0, i), 0, 999);
        zero += int_at(b, 0, i) == 0;
        one += int_at(b, 0, i) == 1;
    }
    assert_in_range(zero, 200, 350); /* 2048 / H(1000) = 274 */
    assert_in_range(one, 90, 190);
    batch_unref(b);
    harness_source_end(s);
}

/* A query reads some of the columns: they hold what they would hold among all. */
static void columns_do_not_depend_on_others(void **state)
{
    (void)state;
    struct source *all = harness_source(&h, "generator", "rows", "100", "fields", FIELDS, NULL);
    struct schema *whole = h.schema, *some = harness_schema(h.arena, "n INTEGER, sym VARCHAR");
    h.declared = whole;
    h.schema = some;
    struct source *part = harness_source(&h, "generator", "rows", "100", "fields", FIELDS, NULL);
    assert_non_null(part);
    struct batch *a = next(all, NULL), *b = next(part, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        struct value x = batch_value(a, whole, 3, i), y = batch_value(b, some, 0, i);
        assert_int_equal(x.i, y.i);
        x = batch_value(a, whole, 2, i), y = batch_value(b, some, 1, i);
        assert_int_equal(x.is_null, y.is_null);
        if (!x.is_null) assert_true(str_equal(&x.s, &y.s));
    }
    batch_unref(a);
    batch_unref(b);
    assert_null(harness_source(&h, "generator", "fields", "id: sequense", NULL)); /* not read, but checked */
    harness_source_end(all);
    harness_source_end(part);
}

static void allocates_nothing_once_warm(void **state)
{
    (void)state;
    struct source *s = harness_source(&h, "generator", "fields", FIELDS, NULL);
    for (int i = 0; i < 4; i++) batch_unref(next(s, NULL));
    uint64_t before = mem_alloc_count();
    for (int i = 0; i < 100; i++) batch_unref(next(s, NULL));
    assert_int_equal(mem_alloc_count(), before);
    harness_source_end(s);
}

static void refuses_bad_fields(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *text;
    } bad[] = {
        {"idd: sequence", "no column \"idd\""},
        {"id: sequense", "no kind \"sequense\""},
        {"id sequence", "expected \":\""},
        {"id: sequence(1", "expected \")\""},
        {"id: sequence(x)", "whole numbers"},
        {"id: sequence, id: sequence", "stands twice"},
        {"id: text", "does not make BIGINT"},
        {"n: uniform(1, 3000000000)", "cannot hold"},
        {"n: uniform(5, 1)", "min <= max"},
        {"id: zipf(0)", "1 to 1000000"},
        {"id: choice(1, x)", "column \"id\""},
        {"id: choice()", "number of arguments"},
        {"id: sequence null(2)", "fraction"},
        {"id: sequence nul(0.5)", "null(fraction)"},
        {"id: sequence,", "expected a name"},
        {"sym: choice('a)", "closing quote"},
    };
    for (size_t i = 0; i < countof(bad); i++) {
        assert_null(harness_source(&h, "generator", "fields", bad[i].fields, NULL));
        if (!strstr(h.err.text, bad[i].text)) fail_msg("%s: %s", bad[i].fields, h.err.text);
    }
    assert_null(harness_source(&h, "generator", "start", "someday", NULL));
    assert_null(harness_source(&h, "generator", "row", "5", NULL));
    assert_int_equal(h.err.code, E_OPTION);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(makes_what_is_asked),      T(replays_from_every_position), T(keeps_the_pace),
        T(paces_few_rows_and_many),  T(disorder_is_bounded),         T(zipf_prefers_low_numbers),
        T(columns_do_not_depend_on_others), T(allocates_nothing_once_warm), T(refuses_bad_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
