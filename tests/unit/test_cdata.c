/* The Arrow C data interface, out and in. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "arrow/cdata.h"

static struct field fields[] = {
    {"b",   {.id = T_BOOL},                                 false},
    {"i",   {.id = T_INT32},                                false},
    {"l",   {.id = T_INT64},                                true },
    {"f",   {.id = T_FLOAT},                                false},
    {"d",   {.id = T_DOUBLE},                               false},
    {"m",   {.id = T_DECIMAL, .precision = 10, .scale = 2}, false},
    {"s",   {.id = T_VARCHAR},                              false},
    {"x",   {.id = T_BLOB},                                 false},
    {"day", {.id = T_DATE},                                 false},
    {"t",   {.id = T_TIME},                                 false},
    {"ts",  {.id = T_TIMESTAMP},                            false},
    {"tz",  {.id = T_TIMESTAMPTZ},                          false},
    {"iv",  {.id = T_INTERVAL},                             false},
    {"u",   {.id = T_UUID},                                 false},
};
static struct schema all = {countof(fields), fields, -1};

static struct value sample(int col, uint32_t row)
{
    static char text[64][40];
    struct value v = {.type = fields[col].type, .is_null = !fields[col].not_null && (row + (uint32_t)col) % 5 == 0};
    switch (v.type.id) {
    case T_BOOL: v.b = row & 1; break;
    case T_DOUBLE:
    case T_FLOAT: v.d = row / 4.0; break;
    case T_DECIMAL: v.dec = (int128)row * 101 - 7; break;
    case T_VARCHAR:
    case T_BLOB:
        snprintf(text[row % 64], 40, row % 3 ? "r%u" : "a longer text of row %u", row);
        v.s = str_view(text[row % 64], (uint32_t)strlen(text[row % 64]));
        break;
    case T_INTERVAL: v.iv = (struct interval){(int32_t)row, -(int32_t)row, row * 1000001ll}; break;
    case T_UUID: memset(v.uuid, (int)row, 16); break;
    default: v.i = (int64_t)row * 3 - 5; break;
    }
    if (v.type.id == T_TIME) v.i = row;
    return v;
}

static bool same(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null) return a->is_null == b->is_null;
    if (type_is_text(a->type)) return str_equal(&a->s, &b->s);
    switch (a->type.id) {
    case T_BOOL: return a->b == b->b;
    case T_FLOAT:
    case T_DOUBLE: return a->d == b->d;
    case T_DECIMAL: return a->dec == b->dec;
    case T_INTERVAL: return !memcmp(&a->iv, &b->iv, sizeof a->iv);
    case T_UUID: return !memcmp(a->uuid, b->uuid, 16);
    default: return a->i == b->i;
    }
}

static struct batch *make(struct pool *p, uint32_t rows)
{
    struct batch *b = batch_for(p, &all, rows);
    for (int c = 0; c < all.n; c++)
        for (uint32_t r = 0; r < rows; r++) {
            struct value v = sample(c, r);
            batch_put(b, &all, c, r, rows, &v);
        }
    b->rows = rows;
    return b;
}

static void check_round(uint32_t rows, unsigned flags, uint32_t cut)
{
    struct pool *p = pool_new(NULL);
    struct batch *b = make(p, rows);
    struct ArrowSchema schema;
    struct ArrowArray array;
    struct err err = {0};
    cdata_schema(&all, flags, &schema);
    assert_int_equal(cdata_export(p, b, &all, flags, &array, &err), ST_OK);
    assert_ptr_equal(array.children[2]->buffers[1], b->cols[2].data);
    batch_unref(b);

    struct cdata *c;
    assert_int_equal(cdata_open(p, &array, &schema, &all, &c, &err), ST_OK);
    uint32_t at = 0;
    struct batch *in;
    while (!cdata_read(c, cut, &in, &err)) {
        for (uint32_t r = 0; r < in->rows; r++, at++)
            for (int col = 0; col < all.n; col++) {
                struct value want = sample(col, at), got = batch_value(in, &all, col, r);
                assert_true(same(&want, &got));
            }
        batch_unref(in);
    }
    assert_int_equal(at, rows);
    cdata_close(c);
    array.release(&array);
    schema.release(&schema);
    pool_close(p);
}

static void test_round(void **state)
{
    (void)state;
    check_round(1, 0, 0);
    check_round(64, 0, 64);
    check_round(1000, 0, 7);
    check_round(130, CDATA_LARGE, 100);
}

static void test_empty(void **state)
{
    (void)state;
    check_round(0, 0, 1);
}

/* A child moved out of its parent outlives parent, pool and batch. */
static void test_child_moved(void **state)
{
    (void)state;
    struct pool *p = pool_new(NULL);
    struct batch *b = make(p, 20);
    struct ArrowArray array, child;
    assert_int_equal(cdata_export(p, b, &all, CDATA_WEIGHT, &array, NULL), ST_OK);
    batch_unref(b);
    pool_close(p);
    child = *array.children[3];
    array.children[3]->release = NULL;
    const int8_t *w = array.children[0]->buffers[1];
    assert_int_equal(w[19], 1);
    array.release(&array);
    assert_null(array.release);
    assert_int_equal(((const int64_t *)child.buffers[1])[7], 7 * 3 - 5);
    child.release(&child);
}

static void test_formats(void **state)
{
    (void)state;
    struct ArrowSchema x;
    cdata_schema(&all, CDATA_WEIGHT, &x);
    static const char *const want[] = {"c", "b",   "i",   "l",    "f",       "g",   "d:38,2", "u",
                                       "z", "tdD", "ttu", "tsu:", "tsu:UTC", "tin", "w:16"};
    assert_int_equal(x.n_children, countof(want));
    for (size_t i = 0; i < countof(want); i++) assert_string_equal(x.children[i]->format, want[i]);
    assert_string_equal(x.children[0]->name, "w");
    assert_int_equal(x.children[1]->flags, ARROW_FLAG_NULLABLE);
    assert_int_equal(x.children[3]->flags, 0);
    x.release(&x);
}

/* ---- hand-made foreign arrays ------------------------------------------------------------------ */

static void no_release_array(struct ArrowArray *a)
{
    a->release = NULL;
}
static void no_release_schema(struct ArrowSchema *s)
{
    s->release = NULL;
}

struct foreign {
    const void *buffers[4], *none[1];
    struct ArrowArray child, *children[1], parent;
    struct ArrowSchema cs, *css[1], ps;
};

static struct foreign *foreign(struct foreign *f, const char *format, int64_t length, int64_t n_buffers, const void *b0,
                               const void *b1, const void *b2)
{
    *f = (struct foreign){
        .buffers = {b0, b1, b2}
    };
    f->child = (struct ArrowArray){.length = length,
                                   .null_count = b0 ? -1 : 0,
                                   .n_buffers = n_buffers,
                                   .buffers = f->buffers,
                                   .release = no_release_array};
    f->children[0] = &f->child;
    f->parent = (struct ArrowArray){.length = length,
                                    .n_buffers = 1,
                                    .n_children = 1,
                                    .buffers = f->none,
                                    .children = f->children,
                                    .release = no_release_array};
    f->cs = (struct ArrowSchema){.format = format, .name = "v", .release = no_release_schema};
    f->css[0] = &f->cs;
    f->ps = (struct ArrowSchema){
        .format = "+s", .name = "", .n_children = 1, .children = f->css, .release = no_release_schema};
    return f;
}

static struct field one = {"v", {.id = T_INT64}, false};
static struct schema only = {1, &one, -1};

/* Imports all of it as one batch of the type; *st is the result. */
static struct batch *take(struct pool *p, struct foreign *f, struct type t, enum status *st, struct err *err)
{
    one.type = t;
    struct cdata *c = NULL;
    struct batch *b = NULL;
    err->text[0] = err->hint[0] = 0;
    *st = cdata_open(p, &f->parent, &f->ps, &only, &c, err);
    if (!*st) *st = cdata_read(c, 0, &b, err);
    cdata_close(c);
    return b;
}

static void expect_ints(struct foreign *f, struct type t, const int64_t *want, int n)
{
    struct pool *p = pool_new(NULL);
    enum status st;
    struct err err;
    struct batch *b = take(p, f, t, &st, &err);
    if (st) print_message("%s\n", err.text);
    assert_int_equal(st, ST_OK);
    assert_int_equal(b->rows, n);
    for (int i = 0; i < n; i++) {
        struct value v = batch_value(b, &only, 0, (uint32_t)i);
        assert_int_equal(v.i, want[i]);
    }
    batch_unref(b);
    pool_close(p);
}

static void expect_error(struct foreign *f, struct type t, enum status want)
{
    struct pool *p = pool_new(NULL);
    enum status st;
    struct err err;
    struct batch *b = take(p, f, t, &st, &err);
    assert_null(b);
    if (st != want) print_message("%d: %s\n", st, err.text);
    assert_int_equal(st, want);
    assert_true(err.text[0]);
    pool_close(p);
}

static void test_widths(void **state)
{
    (void)state;
    struct foreign f;
    int8_t c[] = {-1, 2};
    uint8_t uc[] = {255, 2};
    uint64_t ul[] = {5, UINT64_MAX};
    int64_t l[] = {40000, -5};
    expect_ints(foreign(&f, "c", 2, 2, NULL, c, NULL), TYPE(T_INT64), (int64_t[]){-1, 2}, 2);
    expect_ints(foreign(&f, "C", 2, 2, NULL, uc, NULL), TYPE(T_INT16), (int64_t[]){255, 2}, 2);
    expect_ints(foreign(&f, "l", 2, 2, NULL, l, NULL), TYPE(T_INT32), (int64_t[]){40000, -5}, 2);
    expect_error(foreign(&f, "l", 2, 2, NULL, l, NULL), TYPE(T_INT16), E_RANGE);
    expect_error(foreign(&f, "C", 2, 2, NULL, uc, NULL), TYPE(T_INT8), E_RANGE);
    expect_error(foreign(&f, "L", 2, 2, NULL, ul, NULL), TYPE(T_INT64), E_RANGE);
    expect_error(foreign(&f, "g", 2, 2, NULL, l, NULL), TYPE(T_INT64), E_SCHEMA);
}

static void test_units(void **state)
{
    (void)state;
    struct foreign f;
    int64_t s[] = {1, -1}, ns[] = {1999, -1}, far[] = {INT64_MAX / 1000, 0};
    int32_t ms[] = {1000, 86399999}, bad[] = {-1, 0};
    expect_ints(foreign(&f, "tss:", 2, 2, NULL, s, NULL), TYPE(T_TIMESTAMP), (int64_t[]){1000000, -1000000}, 2);
    expect_ints(foreign(&f, "tsn:", 2, 2, NULL, ns, NULL), TYPE(T_TIMESTAMP), (int64_t[]){1, -1}, 2);
    expect_ints(foreign(&f, "tsm:Europe/Oslo", 2, 2, NULL, s, NULL), TYPE(T_TIMESTAMPTZ), (int64_t[]){1000, -1000}, 2);
    expect_ints(foreign(&f, "ttm", 2, 2, NULL, ms, NULL), TYPE(T_TIME), (int64_t[]){1000000, 86399999000}, 2);
    expect_ints(foreign(&f, "tdm", 1, 2, NULL, (int64_t[]){-86400000}, NULL), TYPE(T_DATE), (int64_t[]){-1}, 1);
    expect_error(foreign(&f, "tss:", 2, 2, NULL, far, NULL), TYPE(T_TIMESTAMP), E_DATETIME_RANGE);
    expect_error(foreign(&f, "ttm", 2, 2, NULL, bad, NULL), TYPE(T_TIME), E_DATETIME_RANGE);
    expect_error(foreign(&f, "tsu", 2, 2, NULL, s, NULL), TYPE(T_TIMESTAMP), E_SCHEMA);
    expect_error(foreign(&f, "tsu:", 2, 2, NULL, s, NULL), TYPE(T_INT64), E_SCHEMA);
}

static void test_offsets_and_nulls(void **state)
{
    (void)state;
    struct foreign f;
    int64_t l[] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    uint8_t valid[] = {0xef, 0xff}; /* row 4 of the buffer is NULL */
    foreign(&f, "l", 4, 2, valid, l, NULL);
    f.child.length = 6, f.child.offset = 1, f.parent.offset = 2; /* rows 3 .. 6 of the buffer */
    struct pool *p = pool_new(NULL);
    enum status st;
    struct err err;
    struct batch *b = take(p, &f, TYPE(T_INT64), &st, &err);
    assert_int_equal(st, ST_OK);
    assert_int_equal(b->rows, 4);
    assert_int_equal(batch_value(b, &only, 0, 0).i, 13);
    assert_true(batch_value(b, &only, 0, 1).is_null);
    assert_int_equal(((int64_t *)b->cols[0].data)[1], 0);
    assert_int_equal(batch_value(b, &only, 0, 3).i, 16);
    batch_unref(b);
    pool_close(p);

    f.child.length = 5;
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    uint8_t whole[] = {0xfb};
    foreign(&f, "l", 4, 2, NULL, l, NULL);
    f.parent.null_count = -1, f.none[0] = whole;
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
}

static void test_text(void **state)
{
    (void)state;
    struct foreign f;
    int32_t o[] = {0, 1, 16, 16}, back[] = {0, 5, 4, 6}, neg[] = {-1, 0, 1, 2}, split[] = {0, 1, 2, 2};
    int64_t big[] = {0, 1, 16, 16};
    const char *data = "xa longer stringé";
    struct pool *p = pool_new(NULL);
    enum status st;
    struct err err;
    for (int large = 0; large < 2; large++) {
        foreign(&f, large ? "U" : "u", 3, 3, NULL, large ? (void *)big : (void *)o, data);
        struct batch *b = take(p, &f, TYPE(T_VARCHAR), &st, &err);
        assert_int_equal(st, ST_OK);
        struct str *v = b->cols[0].data;
        assert_int_equal(v[1].n, 15);
        assert_memory_equal(str_ptr(&v[1]), "a longer string", 15);
        assert_int_equal(v[2].n, 0);
        batch_unref(b);
    }
    expect_error(foreign(&f, "u", 3, 3, NULL, back, data), TYPE(T_VARCHAR), E_SCHEMA);
    expect_error(foreign(&f, "u", 3, 3, NULL, neg, data), TYPE(T_VARCHAR), E_SCHEMA);
    expect_error(foreign(&f, "u", 3, 3, NULL, split, "\xc3\xa9"), TYPE(T_VARCHAR), E_ENCODING);
    expect_error(foreign(&f, "u", 1, 3, NULL, (int32_t[]){0, 3}, "\xed\xa0\x80"), TYPE(T_VARCHAR), E_ENCODING);
    expect_error(foreign(&f, "u", 3, 3, NULL, o, NULL), TYPE(T_VARCHAR), E_SCHEMA);
    expect_error(foreign(&f, "u", 3, 3, NULL, o, data), (struct type){.id = T_VARCHAR, .length = 5}, E_TOO_LONG);
    expect_error(foreign(&f, "u", 3, 3, NULL, o, data), TYPE(T_BLOB), E_SCHEMA);
    pool_close(p);
}

static void test_views(void **state)
{
    (void)state;
    struct foreign f;
    int32_t v[2][4] = {
        {5 },
        { 16, 0, 0, 1}
    };
    memcpy(&v[0][1], "short", 5);
    int64_t sizes[] = {20};
    foreign(&f, "vu", 2, 4, NULL, v, "?sixteen letters..");
    f.buffers[3] = sizes;
    struct pool *p = pool_new(NULL);
    enum status st;
    struct err err;
    struct batch *b = take(p, &f, TYPE(T_VARCHAR), &st, &err);
    assert_int_equal(st, ST_OK);
    struct str *s = b->cols[0].data;
    assert_memory_equal(str_ptr(&s[0]), "short", 5);
    assert_memory_equal(str_ptr(&s[1]), "sixteen letters.", 16);
    batch_unref(b);
    pool_close(p);
    sizes[0] = 16;
    expect_error(&f, TYPE(T_VARCHAR), E_SCHEMA);
    sizes[0] = 20, v[1][2] = 1;
    expect_error(&f, TYPE(T_VARCHAR), E_SCHEMA);
    v[1][0] = -1;
    expect_error(&f, TYPE(T_VARCHAR), E_SCHEMA);
}

static void test_numbers(void **state)
{
    (void)state;
    struct foreign f;
    int128 d[] = {12345, -100};
    struct pool *p = pool_new(NULL);
    enum status st;
    struct err err;
    foreign(&f, "d:20,3", 1, 2, NULL, &d[1], NULL);
    struct batch *b = take(p, &f, type_decimal(10, 2), &st, &err);
    assert_int_equal(st, ST_OK);
    assert_true(batch_value(b, &only, 0, 0).dec == -10);
    batch_unref(b);
    expect_error(foreign(&f, "d:20,3", 1, 2, NULL, d, NULL), type_decimal(10, 2), E_RANGE);
    expect_error(foreign(&f, "d:20,3,256", 1, 2, NULL, d, NULL), type_decimal(10, 2), E_SCHEMA);
    expect_error(foreign(&f, "g", 1, 2, NULL, (double[]){1e300}, NULL), TYPE(T_FLOAT), E_RANGE);
    foreign(&f, "i", 2, 2, NULL, (int32_t[]){7, -7}, NULL);
    b = take(p, &f, type_decimal(10, 2), &st, &err);
    assert_int_equal(st, ST_OK);
    assert_true(batch_value(b, &only, 0, 1).dec == -700);
    batch_unref(b);
    pool_close(p);
}

static void test_shape_errors(void **state)
{
    (void)state;
    struct foreign f;
    int64_t l[] = {1};
    struct ArrowArray dictionary = {0};
    foreign(&f, "l", 1, 2, NULL, l, NULL)->cs.name = "vv";
    expect_error(&f, TYPE(T_INT64), E_COLUMN);
    foreign(&f, "+l", 1, 2, NULL, l, NULL);
    expect_error(&f, TYPE(T_INT64), E_UNSUPPORTED);
    foreign(&f, "l", 1, 2, NULL, l, NULL)->child.dictionary = &dictionary;
    expect_error(&f, TYPE(T_INT64), E_UNSUPPORTED);
    foreign(&f, "l", 1, 1, NULL, l, NULL);
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    foreign(&f, "l", 1, 2, NULL, NULL, NULL);
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    foreign(&f, "l", 1, 2, NULL, l, NULL)->child.null_count = 1;
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    foreign(&f, "l", 1, 2, NULL, l, NULL)->child.length = -1;
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    foreign(&f, "l", 1, 2, NULL, l, NULL)->parent.n_children = 2;
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    foreign(&f, "l", 1, 2, NULL, l, NULL)->child.release = NULL;
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    foreign(&f, "l", 1, 2, NULL, l, NULL)->ps.format = "l";
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    one.not_null = true;
    foreign(&f, "l", 1, 2, (uint8_t[]){0}, l, NULL);
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    foreign(&f, "n", 1, 0, NULL, NULL, NULL)->child.null_count = 1;
    expect_error(&f, TYPE(T_INT64), E_SCHEMA);
    one.not_null = false;
    foreign(&f, "n", 1, 0, NULL, NULL, NULL)->child.null_count = 1;
    struct pool *p = pool_new(NULL);
    enum status st;
    struct err err;
    struct batch *b = take(p, &f, TYPE(T_INT64), &st, &err);
    assert_int_equal(st, ST_OK);
    assert_true(batch_value(b, &only, 0, 0).is_null);
    batch_unref(b);
    pool_close(p);
}

static void test_stream(void **state)
{
    (void)state;
    struct pool *p = pool_new(NULL);
    struct batch *list[] = {make(p, 3), make(p, 5)};
    struct ArrowArrayStream s;
    struct ArrowSchema x;
    struct ArrowArray a[2], end;
    cdata_stream_list(&all, 0, list, 2, &s);
    batch_unref(list[0]);
    batch_unref(list[1]);
    pool_close(p);
    assert_int_equal(s.get_schema(&s, &x), 0);
    assert_int_equal(x.n_children, all.n);
    x.release(&x);
    for (int i = 0; i < 2; i++) assert_int_equal(s.get_next(&s, &a[i]), 0);
    assert_int_equal(s.get_next(&s, &end), 0);
    assert_null(end.release);
    assert_null(s.get_last_error(&s));
    s.release(&s);
    assert_int_equal(a[1].length, 5);
    a[1].release(&a[1]);
    a[0].release(&a[0]);
}

static void test_range_out(void **state)
{
    (void)state;
    struct field f = {"iv", {.id = T_INTERVAL}, false};
    struct schema s = {1, &f, -1};
    struct pool *p = pool_new(NULL);
    struct batch *b = batch_for(p, &s, 1);
    struct value v = {
        .type = f.type, .iv = {0, 0, INT64_MAX}
    };
    batch_put(b, &s, 0, 0, 1, &v);
    b->rows = 1;
    struct ArrowArray a;
    struct err err;
    assert_int_equal(cdata_export(p, b, &s, 0, &a, &err), E_RANGE);
    batch_unref(b);
    pool_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_child_moved),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_offsets_and_nulls),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_shape_errors),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_range_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
