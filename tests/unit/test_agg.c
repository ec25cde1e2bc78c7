/* Each aggregate: its result type, its text, NULLs, FILTER, merging, the same through one slot and through many.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "expr/agg.h"
#include "expr/cell.h"

#define ROWS 200

static struct pool *pool;
static struct arena *arena;

static struct agg_call *bind_n(const char *name, const struct type *types, int nargs, enum status expect)
{
    struct expr *args[3];
    struct agg_call *c = NULL;
    struct err err = {0};
    for (int i = 0; i < nargs; i++) args[i] = expr_column(arena, i, types[i], NO_POS);
    assert_int_equal(agg_bind(arena, name, args, nargs, false, false, NULL, NO_POS, &c, &err), expect);
    if (expect) assert_true(err.text[0] != 0);
    return c;
}
static struct agg_call *bind(const char *name, struct type t)
{
    return bind_n(name, &t, 1, ST_OK);
}

/* The text of the result of accumulator acc; "!" when it is an error. */
static const char *result_text(const struct agg_call *c, void *acc)
{
    static struct text out;
    struct field f = {"r", c->type, false};
    struct schema s = {1, &f, -1};
    AUTO(batch_unref) struct batch *b = batch_for(pool, &s, 8);
    uint64_t mask[1] = {0};
    struct row_errors errors = {.mask = mask};
    void *slots[1] = {acc};
    agg_result(c, slots, 0, b, 0, 3, 8, 1, &errors);
    text_clear(&out);
    if (errors.count) {
        assert_true(bit_get(mask, 3) && errors.row == 3 && errors.first.text[0]);
        text_puts(&out, "!");
    } else if (column_null(&b->cols[0], 3)) {
        text_puts(&out, "NULL");
    } else {
        cell_put(c->type, (char *)b->cols[0].data + 3 * type_width(c->type), &out);
    }
    return text_cstr(&out);
}

struct in {
    struct column args[2];
    const int64_t *ts;
    const uint64_t *keep;
    uint32_t n;
};

/* Runs over the rows in four ways, which must agree: one slot; by slots; halves merged; row by row. */
static void expect_in(const struct agg_call *c, const struct in *in, const char *expect)
{
    int64_t used = 0;
    struct layout_heap *heap = layout_heap_new(&used);
    _Alignas(8) char one[64] = {0}, many[64] = {0}, parts[2][64] = {{0}}, rows[64] = {0};
    void *slots[ROWS], *halves[ROWS], *same[ROWS];
    uint64_t row[4];
    for (uint32_t i = 0; i < in->n; i++) slots[i] = many, halves[i] = parts[i * 2 >= in->n], same[i] = rows;
    assert_true(c->size <= sizeof one);
    agg_update_one(c, one, 0, in->args, in->ts, in->keep, in->n, heap);
    agg_update(c, slots, 0, in->args, in->ts, in->keep, in->n, heap);
    agg_update(c, halves, 0, in->args, in->ts, in->keep, in->n, heap);
    agg_merge(c, parts[0], parts[1], 0, heap);
    for (uint32_t i = 0; i < in->n; i++) {
        memset(row, 0, sizeof row);
        if (!in->keep || bit_get(in->keep, i)) bit_set(row, i);
        agg_update(c, same, 0, in->args, in->ts, row, in->n, heap);
    }
    assert_string_equal(result_text(c, one), expect);
    assert_string_equal(result_text(c, many), expect);
    assert_string_equal(result_text(c, parts[0]), expect);
    assert_string_equal(result_text(c, rows), expect);
    agg_merge(c, one, (char[64]){0}, 0, heap); /* an empty one changes nothing */
    assert_string_equal(result_text(c, one), expect);
    layout_heap_free(heap);
}

static void expect(const char *name, struct type t, void *data, uint32_t n, const char *text)
{
    expect_in(bind(name, t), &(struct in){.args = {{data, NULL}}, .n = n}, text);
}
#define I4(...) TYPE(T_INT32), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4
#define I8(...) TYPE(T_INT64), (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / 8
#define F8(...) TYPE(T_DOUBLE), (double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / 8
#define F4(...) TYPE(T_FLOAT), (float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__}) / 4

static void counts_and_sums(void **ctx)
{
    (void)ctx;
    expect("count", I4(1, 2, 3), "3");
    expect("sum", I4(1, 2, -5), "-2");
    expect("sum", I4(INT32_MAX, INT32_MAX), "4294967294");
    expect("sum", I8(INT64_MAX, INT64_MAX, 1), "18446744073709551615");
    expect("sum", I8(INT64_MIN, INT64_MIN), "-18446744073709551616");
    expect("sum", TYPE(T_INT16), (int16_t[]){-30000, -30000}, 2, "-60000");
    expect("sum", TYPE(T_INT8), (int8_t[]){-100, -100}, 2, "-200");
    expect("sum", F8(0.5, 0.25), "0.75");
    expect("sum", F4(0.5f, 0.25f), "0.75");
    expect("sum", F8(1, __builtin_nan("")), "NaN");
    expect("sum", type_decimal(10, 2), (int128[]){150, -25}, 2, "1.25");
    int128 most = (int128)1 << 126;
    expect("sum", type_decimal(38, 0), (int128[]){most, most}, 2, "!");
    expect("sum", TYPE(T_INTERVAL),
           (struct interval[]){
               {1, 2, 3},
               {1, 0, 0}
    },
           2, "2 mons 2 days 00:00:00.000003");
    assert_int_equal(bind("sum", TYPE(T_INT32))->type.id, T_INT64);
    assert_int_equal(bind("sum", TYPE(T_INT64))->type.id, T_DECIMAL);
    assert_int_equal(bind("sum", TYPE(T_FLOAT))->type.id, T_FLOAT);
    assert_int_equal(bind("avg", TYPE(T_FLOAT))->type.id, T_DOUBLE);
    struct agg_call *star = NULL;
    assert_int_equal(agg_bind(arena, "COUNT", NULL, 0, true, false, NULL, NO_POS, &star, NULL), ST_OK);
    expect_in(star, &(struct in){.n = ROWS}, "200");
    expect_in(star,
              &(struct in){
                  .n = ROWS, .keep = (uint64_t[]){1, 0, 1ull << 63, 0x80}
    },
              "3");
}

static void averages(void **ctx)
{
    (void)ctx;
    expect("avg", I4(1, 2), "1.5000000000000000");
    expect("AVG", TYPE(T_INT16), (int16_t[]){3}, 1, "3.0000000000000000");
    expect("avg", I8(1, 1, 2), "1.3333333333333333");
    expect("avg", I4(-1, -1, 0), "-0.6666666666666667");
    expect("avg", type_decimal(10, 2), (int128[]){150, 250}, 2, "2.0000000000000000");
    expect("avg", F8(1, 2), "1.5");
    expect("avg", TYPE(T_INTERVAL),
           (struct interval[]){
               {1, 0, 0},
               {2, 0, 0}
    },
           2, "1 mon 15 days");
}

static void extremes(void **ctx)
{
    (void)ctx;
    expect("min", I4(3, -7, 5), "-7");
    expect("max", I4(-3, -7, -5), "-3");
    expect("max", I8(INT64_MIN), "-9223372036854775808");
    expect("min", I8(INT64_MAX), "9223372036854775807");
    expect("min", TYPE(T_INT8), (int8_t[]){-1, 0}, 2, "-1");
    expect("max", F8(1, __builtin_nan(""), 2), "NaN");
    expect("min", F8(__builtin_nan(""), 2, -0.5), "-0.5");
    expect("min", F4(1.5f, -__builtin_inff()), "-Infinity");
    expect("max", type_decimal(9, 1), (int128[]){-5, -15}, 2, "-0.5");
    expect("min", TYPE(T_DATE), (int32_t[]){1, 0}, 2, "1970-01-01");
    expect("max", TYPE(T_TIMESTAMP), (int64_t[]){-1000000, -2000000}, 2, "1969-12-31 23:59:59");
    expect("max", TYPE(T_INTERVAL),
           (struct interval[]){
               {0, 29, 0},
               {1, 0,  0},
               {0, 30, 0}
    },
           3, "1 mon");
    struct str s[3] = {str_view("bar", 3), str_view("a text of more than twelve bytes", 32), str_view("baz", 3)};
    expect("max", TYPE(T_VARCHAR), s, 3, "baz");
    expect("min", TYPE(T_VARCHAR), s, 3, "a text of more than twelve bytes");
    bind_n("min", &TYPE(T_BOOL), 1, E_FUNCTION);
}

static void nulls_are_skipped(void **ctx)
{
    (void)ctx;
    static const char *const names[] = {"sum",    "avg",     "min",    "max",    "bit_and",
                                        "bit_or", "bit_xor", "stddev", "var_pop"};
    int32_t v[3] = {7, 1, 7};
    uint64_t none[1] = {0}, ends[1] = {5}, middle[1] = {2};
    for (size_t i = 0; i < countof(names); i++)
        expect_in(bind(names[i], TYPE(T_INT32)), &(struct in){.args = {{v, none}}, .n = 3}, "NULL");
    expect_in(bind("count", TYPE(T_INT32)), &(struct in){.args = {{v, none}}, .n = 3}, "0");
    expect_in(bind("sum", TYPE(T_INT32)), &(struct in){.args = {{v, ends}}, .n = 3}, "14");
    expect_in(bind("min", TYPE(T_INT32)), &(struct in){.args = {{v, ends}}, .n = 3}, "7");
    expect_in(bind("count", TYPE(T_INT32)), &(struct in){.args = {{v, ends}}, .n = 3}, "2");
    expect_in(bind("max", TYPE(T_INT32)), &(struct in){.args = {{v, ends}}, .keep = middle, .n = 3}, "NULL");
    expect_in(bind("max", TYPE(T_INT32)), &(struct in){.args = {{v, NULL}}, .keep = middle, .n = 3}, "1");
}

static void bits_and_booleans(void **ctx)
{
    (void)ctx;
    uint8_t v[3] = {1, 0, 1};
    expect("bool_and", TYPE(T_BOOL), v, 3, "false");
    expect("every", TYPE(T_BOOL), v, 1, "true");
    expect("bool_or", TYPE(T_BOOL), v, 3, "true");
    expect("bool_or", TYPE(T_BOOL), v + 1, 1, "false");
    expect("bool_or", TYPE(T_BOOL), v, 0, "NULL");
    expect("bit_and", I4(6, 3), "2");
    expect("bit_or", I8(6, 3), "7");
    expect("bit_xor", I4(6, 3), "5");
    expect("bit_and", TYPE(T_INT16), (int16_t[]){-1}, 1, "-1");
}

static void first_and_last_go_by_time(void **ctx)
{
    (void)ctx;
    int64_t ts[5] = {30, 10, 10, 50, 50};
    int32_t v[5] = {1, 2, 3, 4, 5};
    uint64_t valid[1] = {0x1d}; /* row 1 is NULL */
    struct str s[5];
    for (int i = 0; i < 5; i++) s[i] = str_view("12345, and a text of many bytes" + i, 26);
    expect_in(bind("first_value", TYPE(T_INT32)), &(struct in){.args = {{v, NULL}}, .ts = ts, .n = 5}, "2");
    expect_in(bind("last_value", TYPE(T_INT32)), &(struct in){.args = {{v, NULL}}, .ts = ts, .n = 5}, "5");
    expect_in(bind("first", TYPE(T_INT32)), &(struct in){.args = {{v, valid}}, .ts = ts, .n = 5}, "NULL");
    expect_in(bind("last", TYPE(T_VARCHAR)), &(struct in){.args = {{s, NULL}}, .ts = ts, .n = 5},
              "5, and a text of many byte");
    expect_in(bind("first_value", TYPE(T_VARCHAR)), &(struct in){.args = {{s, NULL}}, .ts = ts, .n = 5},
              "2345, and a text of many b");
    expect_in(bind("first_value", TYPE(T_INT32)), &(struct in){.args = {{v, NULL}}, .n = 5}, "1");
    expect_in(bind("last_value", TYPE(T_INT32)), &(struct in){.args = {{v, NULL}}, .n = 5}, "5");
    assert_true(bind("last", TYPE(T_VARCHAR))->needs_heap && bind("last", TYPE(T_INT32))->needs_time);
}

static void spreads(void **ctx)
{
    (void)ctx;
    expect("var_samp", I4(1, 2, 3, 4), "1.6666666666666667");
    struct agg_call *c = bind("variance", TYPE(T_INT64));
    assert_int_equal(c->args[0]->type.id, T_DOUBLE);
    assert_int_equal(c->type.id, T_DECIMAL);
    expect_in(c, &(struct in){.args = {{(double[]){1, 2, 3, 4}, NULL}}, .n = 4}, "1.6666666666666700");
    expect("var_pop", I4(1, 2, 3, 4), "1.2500000000000000");
    expect("stddev_samp", I4(1, 2, 3, 4), "1.2909944487358056");
    expect("stddev_pop", F8(2, 4, 4, 4, 5, 5, 7, 9), "2");
    expect("stddev", F8(1), "NULL");
    expect("var_pop", F8(1), "0");
    expect("var_pop", F8(1, __builtin_inf()), "NaN");
    expect("var_samp", type_decimal(5, 1), (int128[]){10, 20, 30}, 0, "NULL");
}

static void pairs(void **ctx)
{
    (void)ctx;
    double y[4] = {1, 3, 5, 9}, x[4] = {0, 1, 2, 3};
    uint64_t valid[1] = {7};
    struct in in = {
        .args = {{y, NULL}, {x, valid}},
          .n = 4
    };
    struct type t[2] = {TYPE(T_DOUBLE), TYPE(T_DOUBLE)};
    expect_in(bind_n("regr_slope", t, 2, ST_OK), &in, "2");
    expect_in(bind_n("regr_intercept", t, 2, ST_OK), &in, "1");
    expect_in(bind_n("regr_count", t, 2, ST_OK), &in, "3");
    expect_in(bind_n("corr", t, 2, ST_OK), &in, "1");
    expect_in(bind_n("covar_samp", t, 2, ST_OK), &in, "2");
    expect_in(bind_n("regr_avgx", t, 2, ST_OK), &in, "1");
    expect_in(bind_n("regr_r2", t, 2, ST_OK), &in, "1");
    in.n = 1;
    expect_in(bind_n("covar_samp", t, 2, ST_OK), &in, "NULL");
    expect_in(bind_n("covar_pop", t, 2, ST_OK), &in, "0");
    bind_n("corr", (struct type[]){TYPE(T_VARCHAR), TYPE(T_DOUBLE)}, 2, E_FUNCTION);
}

static void texts_join(void **ctx)
{
    (void)ctx;
    struct str v[4] = {str_view("a", 1), str_view("", 0), str_view("a longer piece of text", 22), str_view("d", 1)};
    struct str d[4] = {str_view(", ", 2), str_view("--", 2), str_view("; ", 2), str_view("+", 1)};
    struct type t[2] = {TYPE(T_VARCHAR), TYPE(T_VARCHAR)};
    struct agg_call *c = bind_n("string_agg", t, 2, ST_OK);
    expect_in(c,
              &(struct in){
                  .args = {{v, NULL}, {d, NULL}},
                    .n = 4
    },
              "a--; a longer piece of text+d");
    expect_in(c,
              &(struct in){
                  .args = {{v, (uint64_t[]){12}}, {d, (uint64_t[]){7}}},
                    .n = 4
    },
              "a longer piece of textd");
    expect_in(c,
              &(struct in){
                  .args = {{v, (uint64_t[]){0}}, {d, NULL}},
                    .n = 4
    },
              "NULL");
}

static void unknown_names_are_explained(void **ctx)
{
    (void)ctx;
    struct expr *arg = expr_column(arena, 0, TYPE(T_INT32), NO_POS);
    struct agg_call *c;
    struct err err;
    assert_int_equal(agg_bind(arena, "summ", &arg, 1, false, false, NULL, 7, &c, &err), E_FUNCTION);
    assert_int_equal(err.pos, 7);
    assert_non_null(strstr(err.hint, "sum"));
    assert_true(agg_exists("String_Agg") && !agg_exists("abs"));
    assert_int_equal(agg_bind(arena, "sum", NULL, 0, true, false, NULL, 7, &c, &err), E_SYNTAX);
    assert_int_equal(agg_bind(arena, "sum", NULL, 0, false, false, NULL, 7, &c, &err), E_FUNCTION);
}

static void layouts_cover_the_accumulator(void **ctx)
{
    (void)ctx;
    struct layout l = {0};
    agg_layout(bind("max", TYPE(T_VARCHAR)), 8, &l);
    agg_layout(bind("sum", TYPE(T_INT64)), 32, &l);
    assert_int_equal(l.n, 3);
    assert_int_equal(l.fields[1].kind, LAYOUT_TEXT);
    assert_int_equal(l.fields[1].offset, 16);
    assert_int_equal(l.fields[2].size, 24);
}

static int setup(void **ctx)
{
    (void)ctx;
    pool = pool_new(NULL);
    arena = arena_new();
    return 0;
}
static int teardown(void **ctx)
{
    (void)ctx;
    pool_close(pool);
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_sums),
        cmocka_unit_test(averages),
        cmocka_unit_test(extremes),
        cmocka_unit_test(nulls_are_skipped),
        cmocka_unit_test(bits_and_booleans),
        cmocka_unit_test(first_and_last_go_by_time),
        cmocka_unit_test(spreads),
        cmocka_unit_test(pairs),
        cmocka_unit_test(texts_join),
        cmocka_unit_test(unknown_names_are_explained),
        cmocka_unit_test(layouts_cover_the_accumulator),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
