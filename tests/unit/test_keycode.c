/* keycode: memcmp order is SQL order, for every type, both directions, NULLs on both ends. rowcode: there and back.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "state/state.h"

static int compare(const struct text *a, const struct text *b)
{
    int c = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);
    return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

/* The n values at data are strictly ascending in SQL order. */
static void ascends(struct type t, void *data, uint32_t n)
{
    uint64_t valid[1] = {~(1ull << n)}; /* row n is NULL */
    struct column c = {data, valid};
    for (int desc = 0; desc < 2; desc++)
        for (int first = 0; first < 2; first++)
            for (uint32_t i = 0; i <= n; i++)
                for (uint32_t j = 0; j <= n; j++) {
                    struct text a = {0}, b = {0};
                    keycode_put(&a, t, &c, i, desc, first);
                    keycode_put(&b, t, &c, j, desc, first);
                    int expect = i < j ? -1 : i > j;
                    if (i == n || j == n)
                        expect = first ? -expect : expect;
                    else if (desc)
                        expect = -expect;
                    int got = compare(&a, &b);
                    assert_int_equal(got < 0 ? -1 : got > 0, expect);
                    text_done(&a), text_done(&b);
                }
}

static struct str text_of(const char *p, uint32_t n)
{
    return str_view(p, n);
}

static void order_of_every_type(void **ctx)
{
    (void)ctx;
    ascends(TYPE(T_BOOL), (uint8_t[3]){0, 1}, 2);
    ascends(TYPE(T_INT8), (int8_t[6]){-128, -1, 0, 1, 127}, 5);
    ascends(TYPE(T_INT16), (int16_t[6]){INT16_MIN, -1, 0, 1, INT16_MAX}, 5);
    ascends(TYPE(T_INT32), (int32_t[6]){INT32_MIN, -1, 0, 256, INT32_MAX}, 5);
    ascends(TYPE(T_DATE), (int32_t[4]){-100000, 0, 19000}, 3);
    ascends(TYPE(T_INT64), (int64_t[6]){INT64_MIN, -1, 0, 1, INT64_MAX}, 5);
    ascends(TYPE(T_TIMESTAMP), (int64_t[4]){-86400000000, 0, 1700000000000000}, 3);
    ascends(TYPE(T_TIME), (int64_t[3]){0, 86399999999}, 2);
    ascends(TYPE(T_FLOAT), (float[6]){-INFINITY, -1.5f, 0, 1e-40f, NAN}, 5);
    ascends(TYPE(T_DOUBLE), (double[8]){-INFINITY, -1e300, -1e-310, 0, 1.5, INFINITY, -NAN}, 7);
    int128 big = (int128)1 << 100;
    ascends(type_decimal(38, 3), (int128[7]){-big, -1000, -1, 0, 999, big}, 6);
    ascends(TYPE(T_INTERVAL),
            (struct interval[6]){
                {-1, 0,   0},
                {0,  -29, 0},
                {0,  0,   0},
                {0,  0,   5},
                {1,  1,   0}
    },
            5);
    ascends(TYPE(T_UUID),
            (uint8_t[3][16]){
                {0, 9},
                {1}
    },
            2);
    struct str s[9] = {
        text_of("", 0),  text_of("\0", 1),   text_of("\0\0", 2), text_of("\0\x01", 2),
        text_of("a", 1), text_of("a\0b", 3), text_of("ab", 2),   text_of("a text of more than twelve\xff", 27)};
    s[7] = text_of("b, a text of more than twelve\xff", 30);
    ascends(TYPE(T_VARCHAR), s, 8);
}

static void equal_values_are_equal_bytes(void **ctx)
{
    (void)ctx;
    double zero[2] = {0.0, -0.0};
    struct interval span[2] = {
        {1, 0,  0          },
        {0, 29, 86400000000}
    };
    struct text a = {0}, b = {0};
    for (uint32_t i = 0; i < 2; i++) {
        keycode_put(i ? &b : &a, TYPE(T_DOUBLE), &(struct column){zero, NULL}, i, false, false);
        keycode_put(i ? &b : &a, TYPE(T_INTERVAL), &(struct column){span, NULL}, i, true, false);
    }
    assert_int_equal(compare(&a, &b), 0);
    text_done(&a), text_done(&b);
}

static void rows_come_back(void **ctx)
{
    (void)ctx;
    struct field fields[] = {
        {"a", TYPE(T_INT16),   false},
        {"b", TYPE(T_VARCHAR), false},
        {"c", TYPE(T_VARCHAR), false},
        {"d", type_decimal(38, 2),    false},
        {"e",   TYPE(T_BOOL),                false      },
        {"f",   TYPE(T_DOUBLE),                false},
        {"g",   TYPE(T_DATE),                false        },
        {"h",   TYPE(T_INTERVAL),                false},
        {"i",   TYPE(T_BLOB),                false            }
    };
    struct schema s = {.n = countof(fields), .fields = fields, .time_column = -1};
    struct value v[] = {
        {.type = fields[0].type, .i = -5             },
        {.type = fields[1].type, .s = text_of("short", 5)},
        {.type = fields[2].type,                      .s = text_of("longer than twelve bytes",                     24)},
        {.type = fields[3].type,                   .dec = -12345                  },
        {.type = fields[4].type,.b = true},
        {.type = fields[5].type,                       .d = 1.25                                                  },
        {.type = fields[6].type,.i = 19000},
        {.type = fields[7].type,                      .iv = {1, 2, 3}                                                                                 },
        {.type = fields[8].type,.is_null = true},
    };
    struct pool *pool = pool_new(NULL);
    struct batch *b = batch_for(pool, &s, 4), *back = batch_for(pool, &s, 4);
    struct text row = {0}, again = {0};
    for (int c = 0; c < s.n; c++) batch_put(b, &s, c, 2, 4, &v[c]);
    rowcode_put(&row, &s, b, 2);
    rowcode_get(row.p, (uint32_t)row.n, &s, back, 3, 4);
    rowcode_put(&again, &s, back, 3);
    assert_int_equal(compare(&row, &again), 0);
    assert_false(column_null(&back->cols[0], 3));
    assert_true(column_null(&back->cols[8], 3));
    for (uint32_t n = 0; n < row.n; n++) { /* cut short: NULLs, nothing read beyond */
        char *cut = mem_alloc(n);
        memcpy(cut, row.p, n);
        rowcode_get(cut, n, &s, back, 0, 4);
        assert_true(column_null(&back->cols[7], 0));
        mem_free(cut);
    }
    text_done(&row), text_done(&again);
    batch_unref(b), batch_unref(back);
    pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_every_type),
        cmocka_unit_test(equal_values_are_equal_bytes),
        cmocka_unit_test(rows_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
