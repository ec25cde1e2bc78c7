/* Values that come and go one by one: which of them become rows, what is said of the others, that neither depends on
 * how many are decoded together, and that encoders cut where a row ends. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format_try.h"

#include <stdio.h>

#define NONE ((const char *)1) /* a tombstone */

struct sample {
    const char *format, *schema;
    const char *const *values;
    const char *rows;
    enum on_error on_error;
    uint64_t bad, nulled;
    const char *last;
    const char *const *options;
};
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TWO       "a BIGINT, b VARCHAR"

/* clang-format off */
static const struct sample samples[] = {
    /* json: a whole object each, with newlines in it; what is not closed does not reach the next */
    {"json", TWO, LIST("{\"a\":1,\"b\":\"x\"}", "{\n \"a\": 2,\n\"b\": \"more than twelve\"\n}\n", " {} "),
     "0: 1|x|\n1: 2|more than twelve|\n2: ~|~|\n", 0, 0, 0, NULL, NULL},
    {"json", TWO, LIST("{\"a\":1}", "{\"a\":2", "{\"a\":3}", "{\"b\":\"un", "{\"a\":5}", "{\"b\":\"back\\", "{\"a\":7}"),
     "0: 1|~|\n2: 3|~|\n4: 5|~|\n6: 7|~|\n", 0, 3, 0, "record 5 of test: a string is not closed: {\"b\":\"back\\", NULL},
    {"json", TWO, LIST("{\"a\":1}", "", "{\"a\":3}", " \n\t"), "0: 1|~|\n2: 3|~|\n", 0, 2, 0, "record 3 of test: there is no object:  ??", NULL},
    {"json", TWO, LIST("[{\"a\":1}]", "{\"a\":1}{\"a\":2}", "{\"a\":1}\n{\"a\":2}", "7", "null", "{\"a\":6}"), "5: 6|~|\n", 0, 5, 0,
     "record 4 of test: not a JSON object: null", NULL},
    {"json", TWO, LIST("{\"b\":\"\xe6\x9d\"}", "{\"b\":\"\xe6\x9d\xb1\"}", "{\"b\":\"a\nb\"}", "{\"b\":\"\xe6\x9d"), "1: ~|\xe6\x9d\xb1|\n", 0, 3, 0,
     "record 3 of test: a string is not closed: {\"b\":\"??", NULL},
    {"json", TWO, LIST(NONE, "{\"a\":1}", NONE, NONE, "{\"a\":\"x\"}", "{\"a\":5}", NONE), "0: ~|~|\n1: 1|~|\n2: ~|~|\n3: ~|~|\n5: 5|~|\n6: ~|~|\n", 0, 1, 0,
     "record 4 of test, column \"a\": invalid input syntax for type BIGINT: \"x\"", NULL},
    {"json", TWO, LIST(NONE, NONE), "0: ~|~|\n1: ~|~|\n", 0, 0, 0, NULL, NULL},
    {"json", TWO, LIST("{\"a\":1}", NONE, "{\"a\":\"x\",\"b\":\"y\"}", "{\"a\":3}"), "0: 1|~|\n1: ~|~|\n2: ~|y|\n3: 3|~|\n", ON_ERROR_NULL, 0, 1,
     "record 2 of test, column \"a\": invalid input syntax for type BIGINT: \"x\"", NULL},
    {"json", TWO, LIST("{\"a\":1}", NONE, "{", NONE, "{\"a\":3}"), "0: 1|~|\n1: ~|~|\n", ON_ERROR_FAIL, 1, 0, "record 2 of test: the object does not end: {", NULL},
    {"json", TWO, LIST("{\"b\":\"0123456789012345678901234567890123456789\"}", "{\"a\":2}"), "1: 2|~|\n", 0, 1, 0,
     "record 0 of test: the record is longer than 40 bytes (record.max)", NULL},
    /* csv: a line each, by position; a newline at its end, and in quotes, is its own business */
    {"csv", TWO, LIST("1,x", "2,\"a\nb, c\"", "3,y\n", "4,z\r\n", "5,", "6,\"q\"\"q\""), "0: 1|x|\n1: 2|a\nb, c|\n2: 3|y|\n3: 4|z|\n4: 5|~|\n5: 6|q\"q|\n", 0, 0, 0, NULL, NULL},
    {"csv", TWO, LIST("1,x", "2,\"open", "3,z", "4", "5,y,z", "6,a\n7,b", "", "8,\"c\"d", "9,e"), "0: 1|x|\n2: 3|z|\n8: 9|e|\n", 0, 6, 0,
     "record 7 of test, column \"b\": something follows the closing quote: \"c\"d", NULL},
    {"csv", TWO, LIST("1,x", "", "6,a\n7,b"), "0: 1|x|\n", 0, 2, 0, "record 2 of test: it has more than one line", NULL},
    {"csv", TWO, LIST("1", "2,x\n\n"), "", 0, 2, 0, "record 1 of test: it has more than one line", NULL},
    {"csv", TWO, LIST("x,1", "2,\"open"), "", 0, 2, 0, "record 1 of test: a quoted field is not closed", NULL},
    {"csv", TWO, LIST("7", "1,x"), "1: 1|x|\n", 0, 1, 0, "record 0 of test: 1 field where the columns are 2", NULL},
    {"csv", TWO, LIST(NONE, "1,x", "bad,y", NONE, "4,z", NONE), "0: ~|~|\n1: 1|x|\n3: ~|~|\n4: 4|z|\n5: ~|~|\n", 0, 1, 0,
     "record 2 of test, column \"a\": invalid input syntax for type BIGINT: \"bad\"", NULL},
    {"csv", TWO, LIST("1,x", "bad,y", NONE, "4,\xff", "5,w"), "0: 1|x|\n1: ~|y|\n2: ~|~|\n3: 4|~|\n4: 5|w|\n", ON_ERROR_NULL, 0, 2,
     "record 3 of test, column \"b\": invalid UTF-8: \"?\"", NULL},
    {"csv", TWO, LIST("1,x", "2,y", NONE, "bad,y", "4,z"), "0: 1|x|\n1: 2|y|\n2: ~|~|\n", ON_ERROR_FAIL, 1, 0,
     "record 3 of test, column \"a\": invalid input syntax for type BIGINT: \"bad\"", NULL},
    {"csv", TWO, LIST("1,x", "2", "4,z"), "0: 1|x|\n", ON_ERROR_FAIL, 1, 0, "record 1 of test: 1 field where the columns are 2", NULL},
    {"csv", "b VARCHAR", LIST("", "\"\"", "x", "\n"), "0: ~|\n1: |\n2: x|\n3: ~|\n", 0, 0, 0, NULL, NULL},
    {"csv", TWO, LIST("1;x", "2;"), "0: 1|x|\n1: 2|~|\n", 0, 0, 0, NULL, LIST("delimiter", ";")},
    {"csv", "b VARCHAR", LIST("01234567890123456789012345678901234567890", "0123456789012345678901234567890123456789"), "1: 0123456789012345678901234567890123456789|\n", 0, 1, 0,
     "record 0 of test: the record is longer than 40 bytes (record.max)", NULL},
    /* raw: the bytes */
    {"raw", "b VARCHAR", LIST("", "x\ny", NONE, "\xff", "a text of more than twelve bytes"), "0: |\n1: x\ny|\n2: ~|\n4: a text of more than twelve bytes|\n", 0, 1, 0,
     "record 3 of test, column \"b\": invalid UTF-8: \"?\"", NULL},
    {"raw", "b VARCHAR", LIST("x", "\xff", "y"), "0: x|\n1: ~|\n2: y|\n", ON_ERROR_NULL, 0, 1, "record 1 of test, column \"b\": invalid UTF-8: \"?\"", NULL},
    {"raw", "b VARCHAR", LIST("x", NONE, "\xff", "y"), "0: x|\n1: ~|\n", ON_ERROR_FAIL, 1, 0, "record 2 of test, column \"b\": invalid UTF-8: \"?\"", NULL},
    {"raw", "b BLOB", LIST("\\x41", "\xff"), "0: \\x5c783431|\n1: \\xff|\n", 0, 0, 0, NULL, NULL},
    {"raw", "b JSON", LIST("{\"a\": 1}", "{"), "0: {\"a\": 1}|\n", 0, 1, 0, NULL, NULL},
};
/* clang-format on */

static void reads_and_refuses(void **state)
{
    (void)state;
    bool wrong = false;
    for (size_t k = 0; k < countof(samples); k++) {
        const struct sample *s = &samples[k];
        struct arena *a = arena_new();
        struct try_value values[16];
        uint32_t n = 0;
        for (; s->values[n]; n++)
            values[n] = (struct try_value){s->values[n] == NONE ? NULL : s->values[n],
                                           s->values[n] == NONE ? 0 : strlen(s->values[n])};
        struct trial t = {.class = decoder_find(s->format), .on_error = s->on_error, .record_max = 40};
        t.schema = try_schema(a, s->schema);
        t.options = try_options(a, t.class->options, s->options);
        for (uint32_t most = 0; most <= n; most++) {
            struct outcome o;
            t.max_rows = most;
            try_records(&t, values, n, &o);
            if (strcmp(text_cstr(&o.rows), s->rows) || o.report.bad != s->bad || o.report.nulled != s->nulled ||
                (s->last && strcmp(o.report.last.text, s->last)) || !!o.status != (s->on_error == ON_ERROR_FAIL))
                print_error("sample %zu, %u at a time: status %d, bad %llu, nulled %llu, '%s'\n%s", k, most, o.status,
                            (unsigned long long)o.report.bad, (unsigned long long)o.report.nulled, o.report.last.text,
                            text_cstr(&o.rows)),
                    wrong = true;
            if (o.status) assert_string_equal(o.err.text, s->last);
            text_done(&o.rows);
        }
        arena_free(a);
    }
    assert_false(wrong);
}

/* More than simdjson and the scanner look at together, with bad ones, tombstones and long values anywhere. */
static void many(void **state)
{
    (void)state;
    static const char *const formats[] = {"json", "csv", "raw"};
    enum { N = 3000 };
    for (size_t f = 0; f < countof(formats); f++) {
        struct arena *a = arena_new();
        struct try_value *values = arena_alloc(a, sizeof *values * N);
        struct text expected = {0};
        uint64_t bad = 0;
        for (uint32_t i = 0; i < N; i++) {
            char *p = arena_alloc(a, 4000);
            size_t big = i % 97 ? i % 30 : 3000;
            char *filling = arena_alloc(a, big + 1);
            memset(filling, 'x', big);
            if (f == 0)
                snprintf(p, 4000, "{\"a\":\"%s%u\"}", filling, i);
            else
                snprintf(p, 4000, "%s%u", filling, i);
            values[i] = (struct try_value){p, strlen(p)};
            if (i % 11 == 3) {
                values[i] = (struct try_value){0};
                text_printf(&expected, "%u: ~|\n", i);
            } else if (i % 13 == 5) {
                values[i] = f == 0   ? (struct try_value){"{\"a\":\"", 6}
                            : f == 1 ? (struct try_value){"\"", 1}
                                     : (struct try_value){"\xff", 1};
                bad++;
            } else {
                text_printf(&expected, "%u: %s%u|\n", i, filling, i);
            }
        }
        struct trial t = {
            .class = decoder_find(formats[f]), .record_max = 1 << 20, .schema = try_schema(a, "a VARCHAR")};
        t.options = try_options(a, t.class->options, NULL);
        for (uint32_t most = 100; most <= 3000; most *= 3) {
            struct outcome o;
            t.max_rows = most;
            try_records(&t, values, N, &o);
            assert_int_equal(o.report.bad, bad);
            assert_int_equal(o.rows.n, expected.n);
            assert_memory_equal(o.rows.p, expected.p, expected.n);
            text_done(&o.rows);
        }
        text_done(&expected);
        arena_free(a);
    }
}

/* Columns by their place among all of the value's, however few are wanted. */
static void some_columns(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct pool *pool = pool_new(NULL);
    const struct decoder_class *csv = decoder_find("csv");
    struct schema *all = try_schema(a, "a BIGINT, b VARCHAR, c BIGINT"), *some = try_schema(a, "c BIGINT, a BIGINT"),
                  *none = schema_new(a, 0);
    const struct options *o = try_options(a, csv->options, NULL);
    char text[70] = "1,x,2\n3,y,4\n";
    struct record r[] = {{0, 5, 0}, {6, 5, 1}};
    uint32_t of[2], used;
    struct decoder *d;
    struct batch *b;
    assert_int_equal(decoder_new_records(csv, some, all, o, 0, 0, "s", &d, NULL), ST_OK);
    assert_int_equal(decoder_records(d, pool, text, r, 2, of, &used, &b, NULL), ST_OK);
    struct text rows = {0};
    try_put_rows(some, b, &rows);
    assert_string_equal(text_cstr(&rows), "2|1|\n4|3|\n");
    text_done(&rows);
    batch_unref(b);
    decoder_free(d);
    assert_int_equal(decoder_new_records(csv, none, all, o, 0, 0, "s", &d, NULL), ST_OK);
    assert_int_equal(decoder_records(d, pool, text, r, 2, of, &used, &b, NULL), ST_OK);
    assert_int_equal(b->rows, 2);
    batch_unref(b);
    decoder_free(d);
    pool_close(pool);
    arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct err err = {0};
    struct decoder *d;
    struct encoder *e;
    const struct decoder_class *csv = decoder_find("csv"), *raw = decoder_find("raw");
    struct schema *two = try_schema(a, TWO), *number = try_schema(a, "a BIGINT");
    const struct options *header = try_options(a, csv->options, LIST("header", "true")),
                         *plain = try_options(a, raw->options, NULL);
    assert_int_equal(decoder_new_records(csv, two, two, header, 0, 0, "s", &d, &err), E_OPTION);
    assert_string_equal(err.text, "a record has no header line: its fields go by position");
    assert_int_equal(decoder_new_records(raw, two, two, plain, 0, 0, "s", &d, &err), E_FORMAT);
    assert_string_equal(err.text, "format raw is for one column that is the whole value, and there are 2");
    assert_int_equal(decoder_new_records(raw, number, number, plain, 0, 0, "s", &d, &err), E_FORMAT);
    assert_int_equal(decoder_new(raw, number, plain, 0, 0, 0, NULL, 0, &d, &err), E_FORMAT);
    assert_int_equal(encoder_new(encoder_find("raw"), number, CHANGELOG_NONE, plain, &e, &err), E_FORMAT);
    assert_int_equal(encoder_new_values(encoder_find("raw"), number, CHANGELOG_W, plain, &e, &err), E_FORMAT);
    assert_int_equal(encoder_new_values(encoder_find("box"), two, CHANGELOG_NONE,
                                        try_options(a, encoder_find("box")->options, NULL), &e, &err),
                     E_FORMAT);
    assert_int_equal(encoder_new_values(encoder_find("csv"), two, CHANGELOG_NONE, header, &e, &err), E_OPTION);
    arena_free(a);
}

static void values_end_where_rows_do(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct pool *pool = pool_new(NULL);
    struct schema *s = try_schema(a, "b VARCHAR");
    struct batch *b = batch_for(pool, s, 4);
    static const char *const cells[] = {"x\ny", NULL, "", "a text of more than twelve bytes"};
    static const char *const expected[][4] = {
        {"{\"b\":\"x\\ny\"}", "{\"b\":null}", "{\"b\":\"\"}", "{\"b\":\"a text of more than twelve bytes\"}"},
        {"\"x\ny\"", "", "\"\"", "a text of more than twelve bytes"},
        {"x\ny", "", "", "a text of more than twelve bytes"},
    };
    static const char *const formats[] = {"json", "csv", "raw"};
    for (uint32_t i = 0; i < 4; i++) {
        struct value v = {.type = TYPE(T_VARCHAR), .is_null = !cells[i]};
        if (cells[i]) v.s = str_view(cells[i], (uint32_t)strlen(cells[i]));
        batch_put(b, s, 0, i, 4, &v);
        b->rows++;
    }
    for (size_t f = 0; f < countof(formats); f++) {
        const struct encoder_class *c = encoder_find(formats[f]);
        struct encoder *e;
        struct values v = {0};
        assert_int_equal(encoder_new_values(c, s, CHANGELOG_NONE, try_options(a, c->options, NULL), &e, NULL), ST_OK);
        for (int turn = 0; turn < 2; turn++) {
            values_clear(&v, 0, 4);
            c->put_values(e, b, 0, 2, &v);
            c->put_values(e, b, 2, 2, &v);
            assert_int_equal(v.n, 4);
            assert_int_equal(v.has_none, f == 2);
            for (int i = 0; i < 4; i++) {
                size_t n = (size_t)(v.offsets[i + 1] - v.offsets[i]);
                assert_int_equal(n, strlen(expected[f][i]));
                assert_memory_equal(v.text.p + v.offsets[i], expected[f][i], n);
                if (v.has_none) assert_int_equal(v.none[i], i == 1);
            }
        }
        values_done(&v);
        encoder_free(e);
    }
    batch_unref(b);
    pool_close(pool);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_refuses),
        cmocka_unit_test(many),
        cmocka_unit_test(some_columns),
        cmocka_unit_test(refused),
        cmocka_unit_test(values_end_where_rows_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
