/* CSV in: what is read, what is refused and why, and that neither depends on how the input is cut.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format/csv_scan.h"
#include "format_try.h"

struct sample {
    const char *schema, *text, *rows;
    const char *const *options;
    enum on_error on_error;
    uint64_t bad, nulled;
    const char *last; /* the report's, or under FAIL the error's */
};
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define THREE        "a BIGINT, b VARCHAR, c DOUBLE"

/* clang-format off */
static const struct sample samples[] = {
    {THREE, "a,b,c\n1,x,2.5\n-2,yy,1e3\n", "1|x|2.5|\n-2|yy|1000|\n", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c\r\n1,x,2.5\r\n2,y,3\r\n", "1|x|2.5|\n2|y|3|\n", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c\n1,x,2.5", "1|x|2.5|\n", NULL, 0, 0, 0, NULL},
    {THREE, "\xef\xbb\xbf" "a,b,c\n1,x,2\n", "1|x|2|\n", NULL, 0, 0, 0, NULL},
    {THREE, "c,d,A,b\n1,q,2,z\n", "2|z|1|\n", NULL, 0, 0, 0, NULL},
    {THREE, "\n\na,b,c\n\n1,x,2\n\r\n\n2,y,3\n\n", "1|x|2|\n2|y|3|\n", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c\n,,\n1,\"\",2\n", "~|~|~|\n1||2|\n", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c\n\"1\",\"x,\"\"y\"\"\nz\",\"2\"\n2,\"\"\"\",3\n", "1|x,\"y\"\nz|2|\n2|\"|3|\n", NULL, 0, 0, 0, NULL},
    {THREE, "\"a\",\"b\", c \n1,x,2\n", "1|x|2|\n", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c\n1,5\" disk,2\n2,it\"\"s,3\n", "1|5\" disk|2|\n2|it\"\"s|3|\n", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c\n1,longer than twelve bytes and than thirty-two,2\n2,just thirteen,3\n",
     "1|longer than twelve bytes and than thirty-two|2|\n2|just thirteen|3|\n", NULL, 0, 0, 0, NULL},
    {THREE, "", "", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c\n", "", NULL, 0, 0, 0, NULL},
    {THREE, "a,b,c", "", NULL, 0, 0, 0, NULL},
    /* dialects */
    {THREE, "1;x;2\n", "1|x|2|\n", OPTIONS("header", "false", "delimiter", ";"), 0, 0, 0, NULL},
    {THREE, "\xef\xbb\xbf" "1,x,2\n", "1|x|2|\n", OPTIONS("header", "false"), 0, 0, 0, NULL},
    {THREE, "a|b|c\n1|'x|''y'|2\n", "1|x|'y|2|\n", OPTIONS("delimiter", "|", "quote", "'"), 0, 0, 0, NULL},
    {THREE, "a,b,c\nNA,NA,NA\n1,\"NA\",2\n1,,2\n", "~|~|~|\n1|NA|2|\n1||2|\n", OPTIONS("null", "NA"), 0, 0, 0, NULL},
    {THREE, "a,b,c\n0,0,0\n1,\"0\",2\n", "~|~|~|\n1|0|2|\n", OPTIONS("null", "0"), 0, 0, 0, NULL},
    {"a BIGINT", "a\n1\n\n2\n", "1|\n~|\n2|\n", NULL, 0, 0, 0, NULL},
    /* types */
    {"t TIMESTAMP", "t\n2001-01-01 00:01:00\n2001-01-01T23:59:59.5\n2024-02-29 01:02:03.123456\n1969-12-31 23:59:59.999999\n"
                    "2001-01-01 10:00:00Z\n2001-01-01 10:00:00+02\n",
     "2001-01-01 00:01:00|\n2001-01-01 23:59:59.5|\n2024-02-29 01:02:03.123456|\n1969-12-31 23:59:59.999999|\n"
     "2001-01-01 10:00:00|\n2001-01-01 08:00:00|\n", NULL, 0, 0, 0, NULL},
    {"t TIMESTAMP", "t\n2023-02-29 00:00:00\n2023-13-01 00:00:00\n2023-01-01 24:01:00\n2023-01-01 10:60:00\n2023-01-01 1:00\nx\n",
     "2023-01-01 01:00:00|\n", NULL, 0, 5, 0, "line 7, column \"t\": invalid input syntax for type TIMESTAMP: \"x\""},
    {"a TINYINT, b SMALLINT, c INT", "a,b,c\n-128,32767,-2147483648\n128,1,1\n1,-32769,1\n1,1,2147483648\n", "-128|32767|-2147483648|\n",
     NULL, 0, 3, 0, "line 5, column \"c\": value \"2147483648\" is out of range for type INTEGER"},
    {"a BIGINT", "a\n9223372036854775807\n-9223372036854775808\n123456789012345678\n 7 \n+8\n9223372036854775808\n1 2\n-\n",
     "9223372036854775807|\n-9223372036854775808|\n123456789012345678|\n7|\n8|\n", NULL, 0, 3, 0,
     "line 9, column \"a\": invalid input syntax for type BIGINT: \"-\""},
    {"d DATE, m DECIMAL, b BOOLEAN, r REAL", "d,m,b,r\n2024-02-29,12.345,t,1.5\n2024-02-29,-0.5,false,NaN\n",
     "2024-02-29|12.35|true|1.5|\n2024-02-29|-0.50|false|NaN|\n", NULL, 0, 0, 0, NULL},
    {"x BLOB, u UUID", "x,u\n\\x00ff,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\nraw,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n\\x0,\n",
     "\\x00ff|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\n\\x726177|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\n", NULL, 0, 1, 0,
     "line 4, column \"x\": odd number of hexadecimal digits in a value for BLOB"},
    {"j JSON", "j\n\"{\"\"a\"\":[1,2]}\"\n{\n", "{\"a\":[1,2]}|\n", NULL, 0, 1, 0,
     "line 3, column \"j\": invalid input syntax for type JSON: \"{\""},
    {"v VARCHAR 3", "v\nabc\n\xc3\xa4\xc3\xb6\xc3\xbc\nabcd\n", "abc|\n\xc3\xa4\xc3\xb6\xc3\xbc|\n", NULL, 0, 1, 0,
     "line 4, column \"v\": value too long for VARCHAR(3): \"abcd\""},
    {"v VARCHAR", "v\n\xe6\x9d\xb1\xe4\xba\xac and more than twelve\nz\xc3\x28\nok\n", "\xe6\x9d\xb1\xe4\xba\xac and more than twelve|\nok|\n", NULL,
     0, 1, 0, "line 3, column \"v\": invalid UTF-8: \"z?(\""},
    /* not wanted, so not looked at */
    {"a BIGINT", "a,b\n1,\xff\xfe\n2,\"x\ny\"\n", "1|\n2|\n", NULL, 0, 0, 0, NULL},
    /* bad records */
    {THREE, "a,b,c\n1,x\n2,y,3,4\n3,z,5\n", "3|z|5|\n", NULL, 0, 2, 0, "line 3: 4 fields where the header has 3"},
    {THREE, "a,b,c\nabc,x,1\n2,y,3\n", "2|y|3|\n", NULL, 0, 1, 0, "line 2, column \"a\": invalid input syntax for type BIGINT: \"abc\""},
    {THREE, "a,b,c\nabc,x,q\n2,y,3\n", "~|x|~|\n2|y|3|\n", NULL, ON_ERROR_NULL, 0, 2,
     "line 2, column \"a\": invalid input syntax for type BIGINT: \"abc\""},
    {THREE, "a,b,c\n1,x,2\n2,\"y\nz\",3\nabc,x,1\n2,y,3\n", "1|x|2|\n2|y\nz|3|\n", NULL, ON_ERROR_FAIL, 1, 0,
     "line 5, column \"a\": invalid input syntax for type BIGINT: \"abc\""},
    {THREE, "a,b,c\n1,x,2\n2,y\n3,z,4\n", "1|x|2|\n", NULL, ON_ERROR_FAIL, 1, 0, "line 3: 2 fields where the header has 3"},
    {THREE, "a,b,c\n1,\"x\"y,2\n2,y,3\n", "2|y|3|\n", NULL, 0, 1, 0,
     "line 2, column \"b\": something follows the closing quote: \"x\"y"},
    {THREE, "a,b,c\n1,x,2\n2,\"y,3\n4,z,5\n", "1|x|2|\n", NULL, 0, 1, 0, "line 3: a quoted field is not closed"},
    {THREE, "1,x\n", "", OPTIONS("header", "false"), 0, 1, 0, "line 1: 2 fields where the columns are 3"},
    {THREE, "a,b,c\n1,0123456789012345678901234567890123456789,2\n2,y,3\n", "2|y|3|\n", NULL, 0, 1, 0,
     "line 2: the record is longer than 40 bytes (record.max)"},
    {THREE, "a,b,c\n1,\"0123456789\n0123456789\n012345678901234567\"\"89\",2\n2,y,3\n3,z,012345678901234567890123456789012345678901234567890",
     "2|y|3|\n", NULL, 0, 2, 0, "line 6: the record is longer than 40 bytes (record.max)"},
};
/* clang-format on */

static struct arena *arena;
static int setup(void **state)
{
    return (void)state, arena = arena_new(), 0;
}
static int teardown(void **state)
{
    return (void)state, arena_free(arena), 0;
}

static struct trial trial_of(const struct sample *s)
{
    return (struct trial){
        .class = decoder_find("csv"),
        .schema = try_schema(arena, s->schema),
        .options = try_options(arena, decoder_find("csv")->options, s->options),
        .on_error = s->on_error,
        .record_max = s->last && strstr(s->last, "longer than 40") ? 40 : 1 << 20,
    };
}

static void reads_and_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(samples); i++) {
        const struct sample *s = &samples[i];
        struct trial t = trial_of(s);
        struct outcome o;
        try_decode(&t, s->text, strlen(s->text), &o);
        if (strcmp(o.rows.p, s->rows)) print_error("sample %zu: %s\n%s\n", i, s->text, o.report.last.text);
        assert_string_equal(o.rows.p, s->rows);
        assert_string_equal(o.report.last.text, s->last ? s->last : "");
        assert_int_equal(o.report.bad, s->bad);
        assert_int_equal(o.report.nulled, s->nulled);
        assert_int_equal(o.status, s->on_error == ON_ERROR_FAIL && s->last ? E_DECODE : ST_DONE);
        if (o.status == ST_DONE) assert_int_equal(o.offset, strlen(s->text));
        text_done(&o.rows);
    }
}

static void cuts_do_not_matter(void **state)
{
    (void)state;
    static const uint32_t max_rows[] = {1, 2, 3, 2048};
    for (size_t i = 0; i < countof(samples); i++) {
        const char *text = samples[i].text;
        size_t n = strlen(text);
        struct trial t = trial_of(&samples[i]);
        struct outcome whole, o;
        try_decode(&t, text, n, &whole);
        for (size_t k = 0; k < countof(max_rows); k++) {
            t.max_rows = max_rows[k];
            for (t.first = 1, t.piece = 0; t.first < n; t.first++) { /* in two */
                try_decode(&t, text, n, &o);
                if (!try_same(&whole, &o))
                    print_error("sample %zu cut at %zu\n%s\n%s\n", i, t.first, whole.rows.p, o.rows.p);
                assert_true(try_same(&whole, &o));
                text_done(&o.rows);
            }
            for (t.first = 0, t.piece = 1; t.piece < 9; t.piece++) { /* in many */
                try_decode(&t, text, n, &o);
                assert_true(try_same(&whole, &o));
                text_done(&o.rows);
            }
        }
        text_done(&whole.rows);
    }
}

static uint32_t next_random(uint32_t *r)
{
    return *r = *r * 1664525 + 1013904223, *r >> 8;
}

/* Text of CSV's own bytes: quotes in every place against the block scan's guess by parity. */
static void any_text_is_cut_alike(void **state)
{
    (void)state;
    static const char alphabet[] = "\"\"\"\",,,\n\n\r1ab\xc3\xa4 ";
    struct sample s = {
        .schema = "a VARCHAR, b VARCHAR", .on_error = ON_ERROR_SKIP, .options = OPTIONS("header", "false")};
    uint32_t r = 7;
    for (int round = 0; round < 300; round++) {
        char text[400];
        size_t n = 20 + next_random(&r) % 380;
        for (size_t i = 0; i < n; i++) text[i] = alphabet[next_random(&r) % (sizeof alphabet - 1)];
        struct trial t = trial_of(&s);
        struct outcome whole, o;
        t.on_error = round % 3;
        t.record_max = round % 2 ? 50 : 1000;
        try_decode(&t, text, n, &whole);
        for (int k = 0; k < 8; k++) {
            t.first = 1 + next_random(&r) % (n - 1);
            t.piece = k < 4 ? 0 : 1 + next_random(&r) % 70;
            t.max_rows = 1 + next_random(&r) % 10;
            try_decode(&t, text, n, &o);
            if (!try_same(&whole, &o))
                print_error("round %d: %.*s\n%s--\n%s\n%s\n%s\n", round, (int)n, text, whole.rows.p, o.rows.p,
                            whole.report.last.text, o.report.last.text);
            assert_true(try_same(&whole, &o));
            text_done(&o.rows);
        }
        text_done(&whole.rows);
    }
}

/* The state machine that csv_scan.h describes, a byte at a time. */
static uint32_t scan_slowly(const char *p, uint32_t n, uint32_t *ends, struct csv_state *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool quote = p[i] == '"', opens = quote && !s->inside && (s->start || s->closed), closes = quote && s->inside;
        bool separator = !s->inside && (p[i] == ',' || p[i] == '\n');
        if (separator) ends[count++] = i;
        *s = (struct csv_state){opens || (s->inside && !closes), closes, separator};
    }
    return count;
}

static void scans_agree(void **state)
{
    (void)state;
    static const char alphabet[] = "\"\"\"\"\"\",,,\n\n\rab\xc3\xa4 -.+cd";
    const struct csv_dialect d = {.delimiter = ',', .quote = '"'};
    struct csv_index any = {0}, best = {0};
    uint32_t r = 11, ends[600];
    for (int round = 0; round < 2000; round++) {
        char text[600 + 64] = "";
        uint32_t n = next_random(&r) % 600, letters = 2 + next_random(&r) % (sizeof alphabet - 2);
        for (uint32_t i = 0; i < n + 64; i++) text[i] = alphabet[next_random(&r) % letters];
        struct csv_state slow = {
            .inside = round % 3 == 0, .closed = round % 3 == 1 && round % 2, .start = round % 3 == 1 && round % 2 == 0};
        any.state = best.state = slow;
        uint32_t count = scan_slowly(text, n, ends, &slow);
        csv_scan_portable(&d, text, n, UINT32_MAX, &any);
        csv_scan(&d, text, n, UINT32_MAX, &best);
        assert_int_equal(any.n, count);
        assert_int_equal(best.n, count);
        assert_memory_equal(any.ends, ends, count * sizeof *ends);
        assert_memory_equal(best.ends, ends, count * sizeof *ends);
        assert_int_equal(any.newlines, best.newlines);
        assert_int_equal(any.quotes, best.quotes);
        assert_true(!n || (slow.inside == any.state.inside && slow.closed == any.state.closed &&
                           slow.start == any.state.start));
        assert_true(!n || (slow.inside == best.state.inside && slow.closed == best.state.closed &&
                           slow.start == best.state.start));
    }
    csv_index_done(&any);
    csv_index_done(&best);
}

static void a_header_names_what_is_missing(void **state)
{
    (void)state;
    struct sample s = {.schema = "ts TIMESTAMP, dely BIGINT"};
    struct trial t = trial_of(&s);
    struct outcome o;
    const char *text = "ts,delay\n2001-01-01 00:00:00,1\n";
    try_decode(&t, text, strlen(text), &o);
    assert_int_equal(o.status, E_DECODE);
    assert_string_equal(o.err.text, "column \"dely\" is not in the header (ts, delay)");
    assert_string_equal(o.err.hint, "did you mean \"delay\"?");
    text_done(&o.rows);
}

static void begins_in_the_middle(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "b,a\nx,1\ny,2\nz,q\n";
    struct decoder *d = NULL;
    struct batch *b;
    struct err err;
    struct pool *pool = pool_new(NULL);
    const struct decoder_class *c = decoder_find("csv");
    struct schema *s = try_schema(arena, "a BIGINT, b VARCHAR");
    struct options *o = try_options(arena, c->options, NULL);
    char rest[64 + FORMAT_PADDING] = "y,2\nz,q\n";
    int64_t at = (int64_t)(sizeof text - 1 - strlen(rest));
    assert_int_equal(decoder_new(c, s, o, ON_ERROR_SKIP, 100, at, text, 4, &d, &err), E_DECODE);
    assert_int_equal(decoder_new(c, s, o, ON_ERROR_SKIP, 100, at, text, 12, &d, &err), ST_OK);
    decoder_feed(d, rest, strlen(rest), true);
    assert_int_equal(decoder_next(d, pool, 10, &b, &err), ST_OK);
    assert_int_equal(b->rows, 1);
    assert_int_equal(((int64_t *)b->cols[0].data)[0], 2);
    assert_string_equal(d->report.last.text,
                        "record at byte 15, column \"a\": invalid input syntax for type BIGINT: \"q\"");
    assert_int_equal(d->offset, sizeof text - 1);
    batch_unref(b);
    assert_int_equal(decoder_next(d, pool, 10, &b, &err), ST_DONE);
    decoder_free(d);
    pool_close(pool);
}

/* A record that is passed over keeps its start as the position, so that decoding can begin anew there. */
static void position_waits_for_a_long_record(void **state)
{
    (void)state;
    struct decoder *d = NULL;
    struct batch *b;
    struct err err;
    struct pool *pool = pool_new(NULL);
    const struct decoder_class *c = decoder_find("csv");
    struct options *o = try_options(arena, c->options, OPTIONS("header", "false"));
    char text[128 + FORMAT_PADDING] = "1,a\n2,\"bbbbbbbbbbbbbbbbbbbbb\nbb";
    char more[128 + FORMAT_PADDING] = "b\nb\"\n3,c\n";
    assert_int_equal(
        decoder_new(c, try_schema(arena, "a BIGINT, b VARCHAR"), o, ON_ERROR_SKIP, 10, 0, NULL, 0, &d, &err), ST_OK);
    decoder_feed(d, text, strlen(text), false);
    assert_int_equal(decoder_next(d, pool, 10, &b, &err), ST_OK);
    batch_unref(b);
    assert_int_equal(decoder_next(d, pool, 10, &b, &err), ST_WAIT);
    assert_ptr_equal(d->p, d->end);
    assert_int_equal(d->offset, 4);
    decoder_feed(d, more, strlen(more), true);
    assert_int_equal(decoder_next(d, pool, 10, &b, &err), ST_OK);
    assert_int_equal(((int64_t *)b->cols[0].data)[0], 3);
    assert_int_equal(d->offset, strlen(text) + strlen(more));
    assert_int_equal(d->report.bad, 1);
    assert_int_equal(d->report.last_offset, 4);
    batch_unref(b);
    decoder_free(d);
    pool_close(pool);
}

static void warm_decoding_does_not_allocate(void **state)
{
    (void)state;
    struct text in = {0};
    struct pool *pool = pool_new(NULL);
    struct decoder *d = NULL;
    struct err err;
    uint64_t before = 0, batches = 0;
    const struct decoder_class *c = decoder_find("csv");
    pool_adopt(pool);
    for (int i = 0; i < 20480; i++) text_printf(&in, "%05d,\"text number %05d, quoted\",%05d.5\n", i, i, i);
    memset(text_room(&in, FORMAT_PADDING), 0, FORMAT_PADDING);
    assert_int_equal(decoder_new(c, try_schema(arena, THREE),
                                 try_options(arena, c->options, OPTIONS("header", "false")), ON_ERROR_SKIP, 1000, 0,
                                 NULL, 0, &d, &err),
                     ST_OK);
    decoder_feed(d, in.p, in.n, true);
    for (struct batch *b; !decoder_next(d, pool, 1024, &b, &err); batches++) {
        batch_unref(b);
        if (batches == 4) before = mem_alloc_count();
    }
    assert_true(batches > 10);
    assert_int_equal(mem_alloc_count(), before);
    decoder_free(d);
    pool_close(pool);
    text_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_refuses),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(any_text_is_cut_alike),
        cmocka_unit_test(scans_agree),
        cmocka_unit_test(a_header_names_what_is_missing),
        cmocka_unit_test(begins_in_the_middle),
        cmocka_unit_test(position_waits_for_a_long_record),
        cmocka_unit_test(warm_decoding_does_not_allocate),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
