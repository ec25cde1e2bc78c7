/* Rows out: each format's text, and that csv, tsv and json read back what they wrote.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format_try.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct arena *arena;
static struct pool *pool;
static int setup(void **state)
{
    return (void)state, arena = arena_new(), pool = pool_new(NULL), 0;
}
static int teardown(void **state)
{
    return (void)state, pool_close(pool), arena_free(arena), 0;
}

/* Rows by way of the CSV reader. */
static struct batch *batch_of(const struct schema *s, const char *csv)
{
    const struct decoder_class *c = decoder_find("csv");
    struct options *o = try_options(arena, c->options, OPTIONS("header", "false"));
    struct decoder *d = NULL;
    struct batch *b = NULL;
    struct err err;
    size_t n = strlen(csv);
    char *copy = arena_alloc(arena, n + FORMAT_PADDING);
    memcpy(copy, csv, n);
    assert_int_equal(decoder_new(c, s, o, ON_ERROR_FAIL, 1 << 20, 0, NULL, 0, &d, &err), ST_OK);
    decoder_feed(d, copy, n, true);
    if (decoder_next(d, pool, BATCH_ROWS_MAX, &b, &err)) print_error("%s\n", err.text);
    assert_non_null(b);
    decoder_free(d);
    return b;
}

static struct encoder *encoder_of(const char *format, const struct schema *s, enum changelog_style style,
                                  const char *const *options)
{
    const struct encoder_class *c = encoder_find(format);
    struct encoder *e = NULL;
    assert_int_equal(encoder_new(c, s, style, try_options(arena, c->options, options), &e, NULL), ST_OK);
    return e;
}

static const char *encode(const char *format, enum changelog_style style, const char *const *options,
                          const struct schema *s, const struct batch *b)
{
    struct encoder *e = encoder_of(format, s, style, options);
    struct text out = {0};
    e->class->begin(e, &out);
    for (uint32_t half = b->rows / 2, from = 0; from < b->rows; from += half, half = b->rows - half)
        e->class->put(e, b, from, half, &out);
    e->class->end(e, &out);
    encoder_free(e);
    const char *text = arena_strndup(arena, text_cstr(&out), out.n);
    text_done(&out);
    return text;
}

static void writes(const char *format, const char *const *options, const char *schema, const char *csv,
                   const char *expected)
{
    struct schema *s = try_schema(arena, schema);
    struct batch *b = batch_of(s, csv);
    assert_string_equal(encode(format, CHANGELOG_NONE, options, s, b), expected);
    batch_unref(b);
}

#define KINDS "a BIGINT, b VARCHAR, c DOUBLE, t TIMESTAMP, f BOOLEAN, m DECIMAL, x BLOB, j JSON, d DATE"
#define KIND_ROWS                                                                                                      \
    "1,text,2.5,2001-01-01 00:01:00,true,1.5,\\x00ff,\"[1,\n2]\",2024-02-29\n"                                         \
    ",,,,,,,,\n"                                                                                                       \
    "-9223372036854775808,\"\",NaN,1969-12-31 23:59:59.999999,false,-0.05,\"\",\"\"\"q\"\"\",0001-01-01\n"             \
    "0,\"a \"\"quoted\"\" text\nof two lines\t\x01 and a \\\",-Infinity,2001-01-01 00:01:00.5,true,0,,null,\n"

static void csv_text(void **state)
{
    (void)state;
    writes(
        "csv", NULL, KINDS, KIND_ROWS,
        "a,b,c,t,f,m,x,j,d\n"
        "1,text,2.5,2001-01-01 00:01:00,true,1.50,\\x00ff,\"[1,\n2]\",2024-02-29\n"
        ",,,,,,,,\n"
        "-9223372036854775808,\"\",NaN,1969-12-31 23:59:59.999999,false,-0.05,\\x,\"\"\"q\"\"\",0001-01-01\n"
        "0,\"a \"\"quoted\"\" text\nof two lines\t\x01 and a \\\",-Infinity,2001-01-01 00:01:00.5,true,0.00,,null,\n");
    writes("csv", OPTIONS("header", "false", "delimiter", "-", "quote", "'", "null", "1"),
           "a BIGINT, b VARCHAR, d DATE", "1,1,2001-01-01\n,it's,\n-5,\"\",\n-7,x-y,\n",
           "'1'-'1'-'2001-01-01'\n1-'it''s'-1\n'-5'-''-1\n'-7'-'x-y'-1\n");
    writes("csv", NULL, "a BIGINT", "1\n\n2\n", "a\n1\n\n2\n");
}

static void tsv_text(void **state)
{
    (void)state;
    writes("tsv", NULL, "a BIGINT, \"b VARCHAR", "1,\"x\ty\"\n,\"a,b\"\n3,\n4,\"\"\n",
           "a\t\"\"\"b\"\n1\t\"x\ty\"\n\ta,b\n3\t\n4\t\"\"\n");
}

static void json_text(void **state)
{
    (void)state;
    writes("json", NULL, KINDS, KIND_ROWS,
           "{\"a\":1,\"b\":\"text\",\"c\":2.5,\"t\":\"2001-01-01 "
           "00:01:00\",\"f\":true,\"m\":1.50,\"x\":\"\\\\x00ff\",\"j\":[1, 2],\"d\":\"2024-02-29\"}\n"
           "{\"a\":null,\"b\":null,\"c\":null,\"t\":null,\"f\":null,\"m\":null,\"x\":null,\"j\":null,\"d\":null}\n"
           "{\"a\":-9223372036854775808,\"b\":\"\",\"c\":\"NaN\",\"t\":\"1969-12-31 "
           "23:59:59.999999\",\"f\":false,\"m\":-0.05,\"x\":\"\\\\x\","
           "\"j\":\"q\",\"d\":\"0001-01-01\"}\n"
           "{\"a\":0,\"b\":\"a \\\"quoted\\\" text\\nof two lines\\t\\u0001 and a "
           "\\\\\",\"c\":\"-Infinity\",\"t\":\"2001-01-01 00:01:00.5\",\"f\":true,"
           "\"m\":0.00,\"x\":null,\"j\":null,\"d\":null}\n");
    writes("jsonlines", NULL, "q\"\\ BIGINT", "1\n", "{\"q\\\"\\\\\":1}\n");
}

static void box_text(void **state)
{
    (void)state;
    writes("box", NULL, "n BIGINT, name VARCHAR, t DATE",
           "1,x,2024-02-29\n,\xe6\x9d\xb1\xe4\xba\xac,\n-1000,\"a\nb\",\n",
           "┌───────┬──────┬────────────┐\n"
           "│     n │ name │ t          │\n"
           "├───────┼──────┼────────────┤\n"
           "│     1 │ x    │ 2024-02-29 │\n"
           "│  NULL │ 東京 │ NULL       │\n"
           "│ -1000 │ a\\nb │ NULL       │\n"
           "└───────┴──────┴────────────┘\n"
           "(3 rows)\n");
    writes("box", OPTIONS("null", "-"), "a BIGINT", "\n", "┌───┐\n│ a │\n├───┤\n│ - │\n└───┘\n(1 row)\n");
}

static void box_holds_and_streams(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, "a BIGINT");
    struct encoder *e = encoder_of("box", s, CHANGELOG_NONE, NULL);
    struct batch *b = batch_of(s, "1\n22\n333\n");
    struct text out = {0};
    e->class->begin(e, &out);
    e->class->put(e, b, 0, 2, &out);
    assert_int_equal(out.n, 0);
    e->class->flush(e, &out);
    assert_string_equal(text_cstr(&out), "┌────┐\n│  a │\n├────┤\n│  1 │\n│ 22 │\n");
    text_clear(&out);
    e->class->put(e, b, 2, 1, &out); /* wider than what was known */
    assert_string_equal(text_cstr(&out), "│ 333 │\n");
    text_clear(&out);
    e->class->end(e, &out);
    assert_string_equal(text_cstr(&out), "└────┘\n(3 rows)\n");
    text_clear(&out);
    e->class->end(e, &out);
    assert_int_equal(out.n, 0);
    for (int i = 0; i < 400; i++) e->class->put(e, b, 0, 3, &out); /* more than it holds */
    assert_true(out.n > 1000);
    e->class->end(e, &out);
    assert_non_null(strstr(text_cstr(&out), "(1200 rows)\n"));
    text_clear(&out);
    e->class->begin(e, &out);
    e->class->end(e, &out);
    assert_string_equal(text_cstr(&out), "┌───┐\n│ a │\n├───┤\n└───┘\n(0 rows)\n");
    text_done(&out);
    batch_unref(b);
    encoder_free(e);
}

static void changes(void **state)
{
    (void)state;
    static const int8_t weight[] = {1, -1, 1, 1, -1, -1, 1};
    struct schema *s = try_schema(arena, "a BIGINT");
    struct batch *b = batch_of(s, "1\n1\n2\n3\n3\n2\n4\n");
    b->weight = weight;
    assert_string_equal(encode("csv", CHANGELOG_W, NULL, s, b), "w,a\n1,1\n-1,1\n1,2\n1,3\n-1,3\n-1,2\n1,4\n");
    assert_string_equal(encode("tsv", CHANGELOG_OP, NULL, s, b),
                        "op\ta\n+I\t1\n-U\t1\n+U\t2\n+I\t3\n-D\t3\n-U\t2\n+U\t4\n");
    assert_string_equal(
        encode("json", CHANGELOG_OP, NULL, s, b),
        "{\"op\":\"+I\",\"a\":1}\n{\"op\":\"-U\",\"a\":1}\n{\"op\":\"+U\",\"a\":2}\n{\"op\":\"+I\",\"a\":3}\n"
        "{\"op\":\"-D\",\"a\":3}\n{\"op\":\"-U\",\"a\":2}\n{\"op\":\"+U\",\"a\":4}\n");
    b->rows = 2;
    assert_string_equal(encode("json", CHANGELOG_W, NULL, s, b), "{\"w\":1,\"a\":1}\n{\"w\":-1,\"a\":1}\n");
    b->weight = NULL;
    assert_string_equal(encode("csv", CHANGELOG_W, NULL, s, b), "w,a\n1,1\n1,1\n");
    assert_non_null(strstr(encode("box", CHANGELOG_OP, NULL, s, b), "│ +I │ 1 │\n"));
    b->weight = NULL;
    batch_unref(b);
}

/* ---- there and back ------------------------------------------------------------------------------------- */

static uint32_t seed = 3;
static uint32_t next_random(void)
{
    return seed = seed * 1664525 + 1013904223, seed >> 8;
}
static int64_t next_int64(void)
{
    uint64_t x = (uint64_t)next_random() << 40 ^ (uint64_t)next_random() << 20 ^ next_random();
    return (int64_t)(x >> next_random() % 64) * (next_random() % 2 ? 1 : -1);
}

static void random_value(struct type t, struct value *v, char *text)
{
    static const char *const bits[] = {"a", "\"", "\"\"", ",", "\n",   "\r\n", "\t", "\xc3\xa4",        "\\",
                                       "{", "'",  ";",    " ", "\x01", "1",    "NA", "\xf0\x9f\x98\x80"};
    *v = (struct value){.type = t, .is_null = next_random() % 5 == 0};
    size_t n = 0;
    switch ((enum type_id)t.id) {
    case T_BOOL: v->b = next_random() % 2; break;
    case T_INT16: v->i = (int16_t)next_random(); break;
    case T_INT64: v->i = next_int64(); break;
    case T_DOUBLE: v->d = (double)next_int64() / (double)(1 + next_random() % 1000); break;
    case T_DECIMAL: v->dec = (int128)next_int64() * 7; break;
    case T_DATE: v->i = next_int64() % 1000000; break;
    case T_TIMESTAMP: v->i = next_int64() % (next_random() % 2 ? 10000000000000000 : 100000000000000); break;
    case T_TIME: v->i = next_random() % 86400 * 1000000ll; break;
    case T_UUID:
        for (int i = 0; i < 16; i++) v->uuid[i] = (uint8_t)next_random();
        break;
    case T_BLOB:
        for (n = next_random() % 30; n > 0 && v->s.n < n; v->s.n++) text[v->s.n] = (char)next_random();
        v->s = str_view(text, (uint32_t)n);
        break;
    default:
        for (uint32_t k = next_random() % 20; k; k--) {
            const char *bit = bits[next_random() % countof(bits)];
            memcpy(text + n, bit, strlen(bit));
            n += strlen(bit);
        }
        v->s = str_view(text, (uint32_t)n);
    }
}

static struct batch *random_batch(const struct schema *s, uint32_t rows)
{
    struct batch *b = batch_for(pool, s, rows);
    char text[128];
    for (uint32_t row = 0; row < rows; row++)
        for (int i = 0; i < s->n; i++) {
            struct value v;
            random_value(s->fields[i].type, &v, text);
            batch_put(b, s, i, row, rows, &v);
        }
    b->rows = rows;
    return b;
}

static void there_and_back(const char *format, const char *const *options)
{
    struct schema *s = try_schema(arena, "a BIGINT, b VARCHAR, c DOUBLE, t TIMESTAMP, f BOOLEAN, m DECIMAL, x BLOB, d "
                                         "DATE, i SMALLINT, u UUID, k TIME, z VARCHAR");
    for (int round = 0; round < 20; round++) {
        struct batch *b = random_batch(s, 1 + next_random() % 700);
        struct text expected = {0};
        const char *text = encode(format, CHANGELOG_NONE, options, s, b);
        struct trial t = {.class = decoder_find(format),
                          .schema = s,
                          .on_error = ON_ERROR_FAIL,
                          .record_max = 1 << 20,
                          .options = try_options(arena, decoder_find(format)->options, options),
                          .piece = 1 + next_random() % 5000};
        struct outcome o;
        try_put_rows(s, b, &expected);
        try_decode(&t, text, strlen(text), &o);
        if (o.status != ST_DONE) print_error("%s\n", o.err.text);
        assert_int_equal(o.status, ST_DONE);
        assert_string_equal(o.rows.p, text_cstr(&expected));
        text_done(&o.rows);
        text_done(&expected);
        batch_unref(b);
    }
}

static void round_trips(void **state)
{
    (void)state;
    there_and_back("csv", NULL);
    there_and_back("csv", OPTIONS("delimiter", ";"));
    there_and_back("csv", OPTIONS("delimiter", "|", "quote", "'"));
    there_and_back("csv", OPTIONS("delimiter", " ", "null", "NA"));
    there_and_back("csv", OPTIONS("delimiter", ":", "header", "false"));
    there_and_back("csv", OPTIONS("delimiter", "-", "quote", "+", "null", "~"));
    there_and_back("tsv", NULL);
    there_and_back("tsv", OPTIONS("null", "a"));
    there_and_back("json", NULL);
}

static void formats(void **state)
{
    (void)state;
    assert_ptr_equal(decoder_find("JSONL"), decoder_find("json"));
    assert_ptr_equal(encoder_find("ndjson"), encoder_find("jsonlines"));
    assert_null(decoder_find("box"));
    assert_null(decoder_find("xml"));
    assert_null(encoder_find("xml"));
    for (int i = 0; format_name(NULL, i); i++) assert_true(encoder_find(format_name(NULL, i)) || decoder_find(format_name(NULL, i)));
    assert_null(encoder_find("debezium"));
    struct schema *s = try_schema(arena, "a BIGINT, b ARRAY");
    struct encoder *e = NULL;
    struct decoder *d = NULL;
    struct err err;
    const struct encoder_class *c = encoder_find("csv");
    struct options *o = try_options(arena, c->options, NULL);
    assert_int_equal(encoder_new(c, s, CHANGELOG_NONE, o, &e, &err), E_UNSUPPORTED);
    assert_int_equal(decoder_new(decoder_find("csv"), s, o, ON_ERROR_SKIP, 0, 0, NULL, 0, &d, &err), E_UNSUPPORTED);
    assert_string_equal(err.text, "column \"b\": format csv does not read values of type ARRAY");
    o = try_options(arena, c->options, OPTIONS("delimiter", "\""));
    assert_int_equal(encoder_new(c, try_schema(arena, "a BIGINT"), CHANGELOG_NONE, o, &e, &err), E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_text),
        cmocka_unit_test(tsv_text),
        cmocka_unit_test(json_text),
        cmocka_unit_test(box_text),
        cmocka_unit_test(box_holds_and_streams),
        cmocka_unit_test(changes),
        cmocka_unit_test(formats),
        cmocka_unit_test(round_trips),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
