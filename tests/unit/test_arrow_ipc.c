/* Arrow IPC out and in: all types there and back however the bytes are cut, from the middle on, what does not fit, and streams that are
 * damaged. tests/connectors/arrow_ipc.py compares with another implementation. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format_try.h"

#include "arrow/ipc.h"

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

#define ALL                                                                                                                     \
    "b BOOLEAN, i1 TINYINT, i2 SMALLINT, i4 INTEGER, i8 BIGINT, f REAL, d DOUBLE, m DECIMAL, s VARCHAR, x BLOB, day DATE, t TIME, ts "   \
    "TIMESTAMP, tz TIMESTAMPTZ, iv INTERVAL, u UUID, j JSON"
static const char row_1[] = "true,-128,-32768,-2147483648,-9223372036854775808,1.5,-0.1,-123456789012345678.25,short,\\x00ff,0001-01-01,"
                            "00:00:00,1970-01-01 00:00:00.000001,2024-02-29 23:59:59+00,1 year 2 days 03:04:05.678901,"
                            "00112233-4455-6677-8899-aabbccddeeff,\"{\"\"a\"\": 1}\"\n";
static const char row_2[] = "false,127,32767,2147483647,9223372036854775807,NaN,Infinity,0.01,\"text of more than twelve bytes \xe6\x9d\xb1\",,9999-12-31,"
                            "23:59:59.999999,2262-04-11 23:47:16.854775,1969-12-31 23:59:59.999999+00,-1 days,"
                            "ffffffff-ffff-ffff-ffff-ffffffffffff,[]\n";
static const char row_nulls[] = ",,,,,,,,,,,,,,,,\n";

/* Rows by way of the CSV reader: `rounds` times the three. */
static struct batch *sample(const struct schema *s, int rounds)
{
    const struct decoder_class *c = decoder_find("csv");
    struct options *o = try_options(arena, c->options, (const char *const[]){"header", "false", NULL});
    struct decoder *d = NULL;
    struct batch *b = NULL;
    struct err err;
    struct text csv = {0};
    for (int i = 0; i < rounds; i++) text_puts(&csv, row_1), text_puts(&csv, row_nulls), text_puts(&csv, row_2);
    memset(text_room(&csv, FORMAT_PADDING), 0, FORMAT_PADDING);
    assert_int_equal(decoder_new(c, s, o, ON_ERROR_FAIL, 1 << 20, 0, NULL, 0, &d, &err), ST_OK);
    decoder_feed(d, csv.p, csv.n, true);
    if (decoder_next(d, pool, BATCH_ROWS_MAX, &b, &err)) print_error("%s\n", err.text);
    assert_non_null(b);
    decoder_free(d);
    text_done(&csv);
    return b;
}

static struct encoder *encoder_of(const struct schema *s, enum changelog_style style)
{
    const struct encoder_class *c = encoder_find("arrow");
    struct encoder *e = NULL;
    assert_int_equal(encoder_new(c, s, style, try_options(arena, c->options, NULL), &e, NULL), ST_OK);
    return e;
}

/* The rows in three messages, the first of none. */
static struct text stream_of(const struct schema *s, const struct batch *b)
{
    struct text out = {0};
    struct encoder *e = encoder_of(s, CHANGELOG_NONE);
    e->class->begin(e, &out);
    e->class->put(e, b, 0, 0, &out);
    e->class->put(e, b, 0, b->rows / 3, &out);
    e->class->put(e, b, b->rows / 3, b->rows - b->rows / 3, &out);
    e->class->end(e, &out);
    encoder_free(e);
    return out;
}

static struct trial trial_of(const struct schema *s)
{
    const struct decoder_class *c = decoder_find("arrow_ipc");
    return (struct trial){.class = c, .schema = s, .options = try_options(arena, c->options, NULL), .on_error = ON_ERROR_FAIL, .record_max = 1 << 20};
}

static void expect_rows(const struct schema *s, const struct batch *b, const struct outcome *o)
{
    struct text rows = {0};
    try_put_rows(s, b, &rows);
    assert_string_equal(text_cstr(&rows), o->rows.p ? o->rows.p : "");
    text_done(&rows);
}

static void there_and_back(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, ALL);
    struct batch *b = sample(s, 7);
    struct text bytes = stream_of(s, b);
    struct trial t = trial_of(s);
    struct outcome whole, o;
    try_decode(&t, bytes.p, bytes.n, &whole);
    assert_int_equal(whole.status, ST_DONE);
    assert_int_equal(whole.offset, bytes.n);
    expect_rows(s, b, &whole);
    for (size_t cut = 1; cut < bytes.n; cut++) {
        t.first = cut;
        t.max_rows = 1 + cut % 5;
        t.piece = cut % 3 ? 0 : 100 + cut;
        try_decode(&t, bytes.p, bytes.n, &o);
        assert_true(try_same(&whole, &o));
        text_done(&o.rows);
    }
    text_done(&whole.rows);
    text_done(&bytes);
    batch_unref(b);
}

static void by_name(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, ALL);
    struct batch *b = sample(s, 1);
    struct text bytes = stream_of(s, b);
    struct outcome o;
    struct trial t = trial_of(try_schema(arena, "S VARCHAR, i1 DOUBLE, d DOUBLE, i4 BIGINT"));
    try_decode(&t, bytes.p, bytes.n, &o);
    assert_string_equal(o.rows.p, "short|-128|-0.1|-2147483648|\n~|~|~|~|\ntext of more than twelve bytes \xe6\x9d\xb1|127|Infinity|2147483647|\n");
    text_done(&o.rows);
    t.schema = try_schema(arena, "sx VARCHAR");
    try_decode(&t, bytes.p, bytes.n, &o);
    assert_int_equal(o.status, E_COLUMN);
    assert_string_equal(o.err.text, "message at byte 0: the stream has no column \"sx\"");
    assert_string_equal(o.err.hint, "its column \"s\" may be meant");
    text_done(&o.rows);
    t.schema = try_schema(arena, "s BIGINT");
    try_decode(&t, bytes.p, bytes.n, &o);
    assert_int_equal(o.status, E_SCHEMA);
    assert_non_null(strstr(o.err.text, "column \"s\" has Arrow format \"u\", which does not go into BIGINT"));
    text_done(&o.rows);
    t.schema = schema_new(arena, 0); /* how many rows there are is known without a column */
    try_decode(&t, bytes.p, bytes.n, &o);
    assert_string_equal(o.rows.p, "\n\n\n");
    text_done(&o.rows);
    text_done(&bytes);
    batch_unref(b);
}

static void no_columns(void **state)
{
    (void)state;
    struct schema *s = schema_new(arena, 0);
    struct batch *b = batch_new(pool, 0);
    struct outcome o;
    b->rows = 5;
    struct text bytes = stream_of(s, b);
    struct trial t = trial_of(s);
    t.max_rows = 2;
    try_decode(&t, bytes.p, bytes.n, &o);
    assert_string_equal(o.rows.p, "\n\n\n\n\n");
    text_done(&o.rows);
    text_done(&bytes);
    batch_unref(b);
}

/* From each place at which a reader may stop the rest follows, and nothing else. */
static void from_the_middle(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, ALL);
    struct batch *b = sample(s, 5), *part;
    struct text bytes = stream_of(s, b), all = {0};
    struct trial t = trial_of(s);
    struct decoder *d = NULL;
    memset(text_room(&bytes, FORMAT_PADDING), 0, FORMAT_PADDING);
    try_put_rows(s, b, &all);
    size_t given = 0;
    int places = 0;
    assert_int_equal(decoder_new(t.class, s, t.options, t.on_error, t.record_max, 0, NULL, 0, &d, NULL), ST_OK);
    decoder_feed(d, bytes.p, bytes.n, true);
    while (!decoder_next(d, pool, 2, &part, NULL)) {
        struct decoder *other = NULL;
        struct text rest = {0};
        struct batch *more;
        struct text one = {0};
        try_put_rows(s, part, &one);
        given += one.n;
        text_done(&one);
        batch_unref(part);
        assert_int_equal(decoder_new(t.class, s, t.options, t.on_error, t.record_max, d->offset, bytes.p, bytes.n, &other, NULL), ST_OK);
        other->row = d->row;
        decoder_feed(other, bytes.p + d->offset, bytes.n - (size_t)d->offset, true);
        while (!decoder_next(other, pool, 3, &more, NULL)) try_put_rows(s, more, &rest), batch_unref(more);
        assert_int_equal(rest.n, all.n - given);
        if (rest.n) assert_memory_equal(rest.p, all.p + given, rest.n);
        text_done(&rest);
        decoder_free(other);
        places++;
    }
    assert_true(places > 7);
    assert_int_equal(given, all.n);
    decoder_free(d);
    text_done(&all);
    text_done(&bytes);
    batch_unref(b);
}

static void what_does_not_fit(void **state)
{
    (void)state;
    struct schema *wide = try_schema(arena, "a BIGINT, s VARCHAR"), *narrow = try_schema(arena, "a TINYINT, s VARCHAR 3");
    struct batch *b = batch_for(pool, wide, 8);
    static const int64_t values[] = {1, 1000, 3, 4, 2000, 6};
    static const char *const texts[] = {"x", "y", "long", "z", "also long", "w"};
    for (uint32_t i = 0; i < 6; i++) {
        ((int64_t *)b->cols[0].data)[i] = values[i];
        ((struct str *)b->cols[1].data)[i] = batch_str(b, texts[i], (uint32_t)strlen(texts[i]));
        b->rows++;
    }
    struct text bytes = stream_of(wide, b);
    static const struct {
        enum on_error on_error;
        const char *rows, *last;
        uint64_t bad, nulled;
    } cases[] = {
        {ON_ERROR_SKIP, "1|x|\n4|z|\n6|w|\n", "row 2, column \"a\": the value does not fit in TINYINT", 3, 0},
        {ON_ERROR_NULL, "1|x|\n~|y|\n3|~|\n4|z|\n~|~|\n6|w|\n", "row 2, column \"a\": the value does not fit in TINYINT", 0, 4},
        {ON_ERROR_FAIL, "1|x|\n", "row 1, column \"a\": the value does not fit in TINYINT", 1, 0},
    };
    for (size_t k = 0; k < countof(cases); k++)
        for (uint32_t most = 0; most < 7; most++) {
            struct trial t = trial_of(narrow);
            struct outcome o;
            t.on_error = cases[k].on_error;
            t.max_rows = most;
            try_decode(&t, bytes.p, bytes.n, &o);
            assert_int_equal(o.status, k == 2 ? E_DECODE : ST_DONE);
            assert_string_equal(o.rows.p, cases[k].rows);
            assert_int_equal(o.report.bad, cases[k].bad);
            assert_int_equal(o.report.nulled, cases[k].nulled);
            assert_non_null(strstr(o.report.last.text, cases[k].last));
            text_done(&o.rows);
        }
    text_done(&bytes);
    batch_unref(b);
}

/* Cut short at any byte, or with any byte changed: an answer, no crash, and never a row that is not there. */
static void damaged(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, ALL);
    struct batch *b = sample(s, 1);
    struct text bytes = stream_of(s, b);
    struct trial t = trial_of(s);
    for (size_t n = 0; n < bytes.n; n++) {
        struct outcome o;
        t.on_error = n % 3;
        try_decode(&t, bytes.p, n, &o);
        assert_true(o.status == ST_DONE || o.err.text[0]);
        if (o.status == ST_DONE && o.rows.n && !strchr(o.rows.p, '|')) fail();
        text_done(&o.rows);
    }
    for (size_t i = 0; i < bytes.n; i++)
        for (int k = 0; k < 4; k++) {
            struct outcome o;
            char was = bytes.p[i];
            bytes.p[i] = (char)(k == 0 ? was ^ 1 : k == 1 ? was ^ 0x80 : k == 2 ? -1 : was + 8);
            t.on_error = k % 3;
            try_decode(&t, bytes.p, bytes.n, &o);
            assert_true(o.status == ST_DONE || o.err.text[0]);
            text_done(&o.rows);
            bytes.p[i] = was;
        }
    text_done(&bytes);
    batch_unref(b);
}

/* A bad message costs itself; what is no message ends the reading. */
static void bad_messages(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, "s VARCHAR");
    struct batch *b = batch_for(pool, s, 3);
    for (uint32_t i = 0; i < 3; i++) ((struct str *)b->cols[0].data)[i] = batch_str(b, "abcdefghijklmnop", 16), b->rows++;
    struct text bytes = stream_of(s, b);
    struct trial t = trial_of(s);
    struct outcome o;
    char *offsets = (char *)memmem(bytes.p, bytes.n, "abcdefghijklmnop", 16) - 8;
    offsets[4] = 100; /* beyond the text */
    t.on_error = ON_ERROR_SKIP;
    try_decode(&t, bytes.p, bytes.n, &o);
    assert_int_equal(o.status, ST_DONE);
    assert_int_equal(o.report.bad, 1);
    assert_string_equal(o.rows.p, "abcdefghijklmnop|\nabcdefghijklmnop|\n");
    text_done(&o.rows);
    offsets[4] = 16;
    t.record_max = 64;
    try_decode(&t, bytes.p, bytes.n, &o);
    assert_int_equal(o.status, E_DECODE);
    assert_non_null(strstr(o.err.text, "more than the 64 of record.max"));
    text_done(&o.rows);
    t.record_max = 1 << 20;
    try_decode(&t, bytes.p, bytes.n - 9, &o);
    assert_int_equal(o.status, ST_DONE);
    assert_int_equal(o.report.bad, 1);
    assert_non_null(strstr(o.report.last.text, "cut off in a message"));
    text_done(&o.rows);
    try_decode(&t, "a,b\n1,2\n", 8, &o);
    assert_int_equal(o.status, E_DECODE);
    assert_string_equal(o.err.text, "message at byte 0: not Arrow IPC: a message begins with ff ff ff ff");
    text_done(&o.rows);
    text_done(&bytes);
    batch_unref(b);
}

/* Fields that all refer to one long name would be gigabytes of names out of a message of some kilobytes. */
static void shared_names(void **state)
{
    enum { FIELDS = 2000, NAME = 60000 };
    (void)state;
    static struct ArrowSchema children[FIELDS], *list[FIELDS];
    static char name[NAME + 1], longer[FLAT_TEXT_MAX + 2];
    memset(name, 'n', NAME), memset(longer, 'n', FLAT_TEXT_MAX + 1);
    for (int i = 0; i < FIELDS; i++) children[i] = (struct ArrowSchema){.format = "l", .name = i ? "a" : name}, list[i] = &children[i];
    struct ArrowSchema all = {.format = "+s", .name = "", .n_children = FIELDS, .children = list};
    struct schema *s = try_schema(arena, "a BIGINT");
    struct ipc_reader *r = ipc_reader_new(s);
    struct text out = {0};
    struct ipc_message m;
    struct flat_list fields;
    struct err err;
    for (int shares = 0; shares < 2; shares++) {
        text_clear(&out);
        ipc_put_schema(&all, &out);
        assert_int_equal(ipc_message_at(out.p, out.n, out.n, &m, &err), ST_OK);
        assert_true(flat_items(&m.header, 1, 4, &fields));
        uint32_t to, back;
        char *at = out.p + 8 + fields.at;
        memcpy(&to, at, 4);
        for (uint32_t i = 1; shares && i < FIELDS; i++) back = to - 4 * i, memcpy(at + (size_t)4 * i, &back, 4);
        enum status st = ipc_reader_schema(r, pool, &m, &err);
        assert_int_equal(st, shares ? E_DECODE : E_AMBIGUOUS);
        if (shares) assert_string_equal(err.text, "not Arrow IPC: the schema is malformed, or of types that are not known");
    }
    all.n_children = 1;
    children[0].name = longer;
    text_clear(&out);
    ipc_put_schema(&all, &out);
    assert_int_equal(ipc_message_at(out.p, out.n, out.n, &m, &err), ST_OK);
    assert_int_equal(ipc_reader_schema(r, pool, &m, &err), E_DECODE);
    text_done(&out);
    ipc_reader_free(r);
}

static void put_row(const struct schema *s, struct batch *b, uint32_t row, const char *before, struct text *out)
{
    struct batch *one = rows_dense(pool, s, &(struct rows){b, &row, 1});
    text_puts(out, before);
    try_put_rows(s, one, out);
    batch_unref(one);
}

/* One value of many rows; values of one row each; and both read as records. */
static void values(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, ALL);
    struct batch *b = sample(s, 3);
    struct encoder *e = encoder_of(s, CHANGELOG_NONE), *each = NULL;
    struct text whole = {0};
    struct values v = {0};
    const struct encoder_class *c = encoder_find("arrow_ipc");
    encoder_put_whole(e, b, 2, 4, &whole);
    size_t first = whole.n;
    encoder_put_whole(e, b, 0, b->rows, &whole);
    assert_int_equal(encoder_new_values(c, s, CHANGELOG_NONE, try_options(arena, c->options, NULL), &each, NULL), ST_OK);
    values_clear(&v, 0, b->rows);
    c->put_values(each, b, 0, b->rows, &v);
    assert_int_equal(v.n, b->rows);
    struct try_value in[] = {
        {whole.p, first},
        {NULL, 0},
        {v.text.p + v.offsets[4], (size_t)(v.offsets[5] - v.offsets[4])},
        {"nonsense", 8},
        {whole.p + first, whole.n - first},
        {whole.p, whole.n},
    };
    struct trial t = trial_of(s);
    struct outcome o, again;
    struct text rows = {0};
    for (uint32_t i = 2; i < 6; i++) put_row(s, b, i, "0: ", &rows);
    put_row(s, b, 4, "2: ", &rows);
    for (uint32_t i = 0; i < b->rows; i++) put_row(s, b, i, "4: ", &rows);
    t.on_error = ON_ERROR_SKIP;
    try_records(&t, in, countof(in), &o);
    assert_int_equal(o.status, ST_OK);
    assert_string_equal(o.rows.p, text_cstr(&rows));
    assert_int_equal(o.report.bad, 2);
    assert_string_equal(o.report.last.text, "record 5 of test: something follows the stream's end");
    for (t.max_rows = 1; t.max_rows < 7; t.max_rows++) {
        try_records(&t, in, countof(in), &again);
        assert_true(try_same(&o, &again));
        text_done(&again.rows);
    }
    text_done(&o.rows), text_done(&rows), text_done(&whole);
    values_done(&v);
    encoder_free(e), encoder_free(each);
    batch_unref(b);
}

static void changelog(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, "a BIGINT"), *with = try_schema(arena, "w TINYINT, a BIGINT");
    struct batch *b = batch_for(pool, s, 2);
    static const int8_t weights[] = {1, -1};
    struct outcome o;
    ((int64_t *)b->cols[0].data)[0] = 7, ((int64_t *)b->cols[0].data)[1] = 8;
    b->rows = 2;
    b->weight = weights;
    struct encoder *e = encoder_of(s, CHANGELOG_W);
    struct text out = {0};
    encoder_put_whole(e, b, 0, 2, &out);
    struct trial t = trial_of(with);
    try_decode(&t, out.p, out.n, &o);
    assert_string_equal(o.rows.p, "1|7|\n-1|8|\n");
    text_done(&o.rows), text_done(&out);
    encoder_free(e);
    struct err err;
    const struct encoder_class *c = encoder_find("arrow_ipc");
    assert_int_equal(encoder_new(c, s, CHANGELOG_OP, try_options(arena, c->options, NULL), &e, &err), E_FORMAT);
    assert_string_equal(err.hint, "leave changelog = 'op' out");
    batch_unref(b);
}

/* What lies under a NULL does not leave: it may be of another row, or of nobody's. */
static void nulls_are_blank(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, "a BIGINT, b BOOLEAN, iv INTERVAL");
    struct batch *b = batch_for(pool, s, 70);
    b->rows = 70;
    memset(b->cols[0].data, 'S', 8 * 70), memset(b->cols[1].data, 1, 70), memset(b->cols[2].data, 0, 16 * 70);
    for (uint32_t i = 0; i < 70; i++) ((struct interval *)b->cols[2].data)[i].months = 0x53535353;
    for (int i = 0; i < 3; i++) memset(b->cols[i].valid = batch_validity(b, 70), 0, 16);
    struct encoder *e = encoder_of(s, CHANGELOG_NONE);
    struct text out = {0};
    encoder_put_whole(e, b, 0, 70, &out);
    assert_null(memmem(out.p, out.n, "SSSS", 4));
    struct ipc_message m;
    size_t at = 0;
    do {
        assert_int_equal(ipc_message_at(out.p + at, out.n - at, out.n, &m, NULL), ST_OK);
        at += m.size;
    } while (m.kind != IPC_ROWS);
    for (uint64_t i = 0; i < m.body_n; i++) assert_int_equal(m.body[i], 0);
    text_done(&out);
    encoder_free(e);
    batch_unref(b);
}

/* Which rows cannot be written: intervals that nanoseconds do not hold. */
static void fits(void **state)
{
    (void)state;
    struct schema *s = try_schema(arena, "iv INTERVAL");
    struct batch *b = batch_for(pool, s, 3);
    struct interval *iv = b->cols[0].data;
    struct err why;
    iv[0] = (struct interval){1, 2, 3}, iv[1] = (struct interval){0, 0, INT64_MAX / 999}, iv[2] = iv[0];
    b->rows = 3;
    struct encoder *e = encoder_of(s, CHANGELOG_NONE);
    assert_int_equal(encoder_fits(e, b, 0, 3, &why), 1);
    assert_string_equal(why.text, "column \"iv\": the interval does not fit in 64 bits of nanoseconds, which Arrow counts");
    assert_int_equal(encoder_fits(e, b, 1, 2, &why), 0);
    assert_int_equal(encoder_fits(e, b, 2, 1, &why), 1);
    encoder_free(e);
    batch_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),    cmocka_unit_test(by_name),      cmocka_unit_test(no_columns), cmocka_unit_test(from_the_middle),
        cmocka_unit_test(what_does_not_fit), cmocka_unit_test(damaged),      cmocka_unit_test(bad_messages), cmocka_unit_test(values),
        cmocka_unit_test(changelog),         cmocka_unit_test(fits),
        cmocka_unit_test(nulls_are_blank),   cmocka_unit_test(shared_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
