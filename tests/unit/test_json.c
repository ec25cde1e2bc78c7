/* JSON lines in: what is read, what is refused and why, and that neither depends on how the input is cut.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format_try.h"

#include <stdio.h>

struct sample {
    const char *schema, *text, *rows;
    enum on_error on_error;
    uint64_t bad, nulled;
    const char *last; /* the report's, or under FAIL the error's */
    const char *const *options;
};
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define THREE        "a BIGINT, b VARCHAR, c DOUBLE"

/* clang-format off */
static const struct sample samples[] = {
    {THREE, "{\"a\":1,\"b\":\"x\",\"c\":2.5}\n{\"a\":-2,\"b\":\"yy\",\"c\":1e3}\n", "1|x|2.5|\n-2|yy|1000|\n", 0, 0, 0, NULL, NULL},
    {THREE, "\xef\xbb\xbf{\"a\":1}\r\n\r\n \t\n{ \"c\" : 1 , \"a\" : 2 } \r\n{}", "1|~|~|\n2|~|1|\n~|~|~|\n", 0, 0, 0, NULL, NULL},
    {THREE, "", "", 0, 0, 0, NULL, NULL},
    {THREE, "\n\n", "", 0, 0, 0, NULL, NULL},
    {THREE, "{\"a\":null,\"b\":null,\"c\":null}\n{\"z\":[1,{\"a\":2}],\"b\":\"\",\"y\":{},\"x\":[]}\n", "~|~|~|\n~||~|\n", 0, 0, 0, NULL, NULL},
    /* keys: order changes, case, repeats, escapes, prefixes of each other */
    {THREE, "{\"c\":1,\"b\":\"x\",\"a\":3}\n{\"a\":1,\"b\":\"y\",\"c\":2}\n{\"b\":\"z\"}\n", "3|x|1|\n1|y|2|\n~|z|~|\n", 0, 0, 0, NULL, NULL},
    {THREE, "{\"A\":1,\"B\":\"x\"}\n{\"A\":1,\"a\":2}\n{\"a\":2,\"A\":1}\n{\"a\":1,\"a\":2}\n{\"a\":null,\"a\":2}\n{\"a\":2,\"a\":null}\n",
     "1|x|~|\n2|~|~|\n2|~|~|\n2|~|~|\n2|~|~|\n~|~|~|\n", 0, 0, 0, NULL, NULL},
    {THREE, "{\"\\u0061\":1,\"b\\u\":2}\n{\"\\u0061\":1}\n", "1|~|~|\n", 0, 1, 0, "line 1: not valid JSON: {\"\\u0061\":1,\"b\\u\":2}", NULL},
    {"dateTime BIGINT, dateTimeLocalOfTheUser BIGINT", "{\"dateTimeLocalOfTheUser\":1,\"dateTime\":2,\"dateTimeLocalOfTheUses\":3}\n",
     "2|1|\n", 0, 0, 0, NULL, NULL},
    /* strings */
    {"b VARCHAR", "{\"b\":\"q\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u6771\\ud83d\\ude00 and more\"}\n", "q\"\\/\b\f\n\r\t\xc3\xa4\xe6\x9d\xb1\xf0\x9f\x98\x80 and more|\n", 0, 0, 0,
     NULL, NULL},
    {"b VARCHAR", "{\"b\":\"\xe6\x9d\xb1\xe4\xba\xac and a text of more than thirty-two bytes\"}\n{\"b\":\"just thirteen\"}\n",
     "\xe6\x9d\xb1\xe4\xba\xac and a text of more than thirty-two bytes|\njust thirteen|\n", 0, 0, 0, NULL, NULL},
    {"b VARCHAR", "{\"b\":1.50}\n{\"b\":true}\n{\"b\":{\"x\": [1, \"}\"] } }\n{\"b\":[ ]}\n{\"b\":12345678901234567890123}\n",
     "1.50|\ntrue|\n{\"x\": [1, \"}\"] }|\n[ ]|\n12345678901234567890123|\n", 0, 0, 0, NULL, NULL},
    {"j JSON", "{\"j\":1.50}\n{\"j\":\"x\\n\"}\n{\"j\":{\"x\":[1]}}\n{\"j\":null}\n", "1.50|\n\"x\\n\"|\n{\"x\":[1]}|\n~|\n", 0, 0, 0, NULL, NULL},
    {"x BLOB, v VARCHAR 3", "{\"x\":\"\\\\x00ff\",\"v\":\"abc\"}\n{\"v\":\"abcd\"}\n", "\\x00ff|abc|\n", 0, 1, 0,
     "line 2, column \"v\": value too long for VARCHAR(3): \"abcd\"", NULL},
    /* numbers */
    {"a BIGINT", "{\"a\":9223372036854775807}\n{\"a\":-9223372036854775808}\n{\"a\":5.0}\n{\"a\":1e3}\n{\"a\":\"7\"}\n{\"a\":-0}\n"
                 "{\"a\":9223372036854775808}\n{\"a\":1.5}\n{\"a\":true}\n",
     "9223372036854775807|\n-9223372036854775808|\n5|\n1000|\n7|\n0|\n", 0, 3, 0, "line 9, column \"a\": invalid input for BIGINT: true", NULL},
    {"a TINYINT, b INT", "{\"a\":127,\"b\":2147483647}\n{\"a\":128}\n{\"b\":-2147483649}\n", "127|2147483647|\n", 0, 2, 0,
     "line 3, column \"b\": value \"-2147483649\" is out of range for type INTEGER", NULL},
    {"c DOUBLE, r REAL", "{\"c\":0.1,\"r\":0.1}\n{\"c\":\"NaN\",\"r\":\"Infinity\"}\n{\"c\":-1.5e-7,\"r\":2}\n{\"c\":\"1.5\"}\n", "0.1|0.1|\nNaN|Infinity|\n-1.5e-07|2|\n1.5|~|\n",
     0, 0, 0, NULL, NULL},
    {"m DECIMAL", "{\"m\":123456789012345678.25}\n{\"m\":\"0.5\"}\n{\"m\":1e2}\n", "123456789012345678.25|\n0.50|\n100.00|\n", 0, 0, 0, NULL, NULL},
    {"f BOOLEAN", "{\"f\":true}\n{\"f\":false}\n{\"f\":\"t\"}\n{\"f\":1}\n{\"f\":[]}\n", "true|\nfalse|\ntrue|\ntrue|\n", 0, 1, 0,
     "line 5, column \"f\": invalid input for BOOLEAN: []", NULL},
    /* times */
    {"t TIMESTAMP, d DATE", "{\"t\":\"2001-01-01 00:01:00\",\"d\":\"2024-02-29\"}\n{\"t\":978307260000}\n{\"t\":978307260000.5}\n{\"t\":-1}\n{\"t\":\"2001-01-01T10:00:00+02:00\"}\n{\"t\":1e300}\n",
     "2001-01-01 00:01:00|2024-02-29|\n2001-01-01 00:01:00|~|\n2001-01-01 00:01:00.0005|~|\n1969-12-31 23:59:59.999|~|\n2001-01-01 08:00:00|~|\n", 0, 1, 0,
     "line 6, column \"t\": invalid input for TIMESTAMP: 1e300", NULL},
    {"t TIMESTAMP", "{\"t\":978307260}\n{\"t\":978307260.25}\n", "2001-01-01 00:01:00|\n2001-01-01 00:01:00.25|\n", 0, 0, 0, NULL, OPTIONS("epoch.unit", "s")},
    {"t TIMESTAMP", "{\"t\":978307260000000001}\n{\"t\":-1}\n", "2001-01-01 00:01:00|\n1969-12-31 23:59:59.999999|\n", 0, 0, 0, NULL, OPTIONS("epoch.unit", "ns")},
    /* policies */
    {THREE, "{\"a\":1}\n{\"a\":\"x\",\"b\":\"y\"}\n{\"a\":3}\n", "1|~|~|\n3|~|~|\n", 0, 1, 0, "line 2, column \"a\": invalid input syntax for type BIGINT: \"x\"", NULL},
    {THREE, "{\"a\":1}\n{\"a\":\"x\",\"b\":\"y\",\"c\":\"z\"}\n{\"a\":3}\n", "1|~|~|\n~|y|~|\n3|~|~|\n", ON_ERROR_NULL, 0, 2,
     "line 2, column \"a\": invalid input syntax for type BIGINT: \"x\"", NULL},
    {THREE, "{\"a\":1}\n{\"a\":2}\n{\"b\":null,\"a\":\"x\"}\n{\"a\":3}\n", "1|~|~|\n2|~|~|\n", ON_ERROR_FAIL, 1, 0, "line 3, column \"a\": invalid input syntax for type BIGINT: \"x\"", NULL},
    {THREE, "{\"a\":1}\n[\n{\"a\":3}\n", "1|~|~|\n", ON_ERROR_FAIL, 1, 0, "line 2: not a JSON object: [", NULL},
    /* what a lost row had as NULL is not NULL in the next */
    {THREE, "{\"a\":null,\"b\":null,\"c\":\"x\"}\n{\"a\":1,\"b\":\"y\",\"c\":2}\n", "1|y|2|\n", 0, 1, 0, "line 1, column \"c\": invalid input syntax for type DOUBLE: \"x\"", NULL},
    /* a lost line costs itself only */
    {THREE, "{\"a\":1}\n{\"b\":\"un\n{\"a\":2}\n{\"b\":\"\xff\"}\n{\"a\":3}\n", "1|~|~|\n2|~|~|\n3|~|~|\n", 0, 2, 0, "line 4: invalid UTF-8: {\"b\":\"?\"}", NULL},
    {THREE, "{\"a\":1}\n{\"b\":\"0123456789012345678901234567890123456789\"}\n{\"a\":2}\n", "1|~|~|\n2|~|~|\n", 0, 1, 0,
     "line 2: the record is longer than 40 bytes (record.max)", NULL},
};
/* clang-format on */

/* One line each, all of them bad. */
/* clang-format off */
static const char *const broken[] = {
    "{", "}", "[]", "1", "\"a\"", "null", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{a:1}",
    "{\"a\":1}}", "{\"a\":1} x", "{\"a\":1}{\"a\":1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}", "{\"a\":-}",
    "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":tru}", "{\"a\":nulll}", "{\"a\":'x'}", "{\"z\":tru}", "{\"z\":01}", "{\"z\":[}", "{\"z\":[1,]}", "{\"z\":[1 2]}",
    "{\"z\":{\"y\"}}", "{\"z\":{\"y\":1,}}", "{\"z\":{1:2}}", "{\"z\":[1}", "{\"z\":{\"y\":[}]}", "{\"z\":\"\\x\"}", "{\"z\":\"\\ud800\"}", "{\"b\":\"\\x\"}",
    "{\"z\":\"a\tb\"}", "{\"z\":\"", "{\"z\":[[[[[[[[", "{\"a\":1\\}", "{\"a\":\"x\"y}", "{:1}", "{\"a\"::1}", "{\"a\":1:2}", "{\"z\":,}", "{\"z\":]}",
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
        .class = decoder_find("json"),
        .schema = try_schema(arena, s->schema),
        .options = try_options(arena, decoder_find("json")->options, s->options),
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
        assert_int_equal(o.status, s->on_error == ON_ERROR_FAIL ? E_DECODE : ST_DONE);
        if (o.status == ST_DONE) assert_int_equal(o.offset, strlen(s->text));
        text_done(&o.rows);
    }
}

static void cuts_do_not_matter(void **state)
{
    (void)state;
    static const uint32_t max_rows[] = {1, 2, 2048};
    for (size_t i = 0; i < countof(samples); i++) {
        const char *text = samples[i].text;
        size_t n = strlen(text);
        struct trial t = trial_of(&samples[i]);
        struct outcome whole, o;
        try_decode(&t, text, n, &whole);
        for (size_t k = 0; k < countof(max_rows); k++) {
            t.max_rows = max_rows[k];
            for (t.first = 1, t.piece = 0; t.first < n; t.first++) {
                try_decode(&t, text, n, &o);
                if (!try_same(&whole, &o))
                    print_error("sample %zu cut at %zu\n%s\n%s\n", i, t.first, whole.rows.p, o.rows.p);
                assert_true(try_same(&whole, &o));
                text_done(&o.rows);
            }
            for (t.first = 0, t.piece = 1; t.piece < 9; t.piece += 2) {
                try_decode(&t, text, n, &o);
                assert_true(try_same(&whole, &o));
                text_done(&o.rows);
            }
        }
        text_done(&whole.rows);
    }
}

/* Each broken line among good ones: alone it is lost, whatever else is in the text. */
static void broken_lines_are_lost_alone(void **state)
{
    (void)state;
    struct sample s = {.schema = THREE};
    struct trial t = trial_of(&s);
    struct text all = {0};
    struct outcome o;
    for (size_t i = 0; i < countof(broken); i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"a\":1}\n%s\n{\"a\":2}\n", broken[i]);
        try_decode(&t, text, strlen(text), &o);
        if (strcmp(o.rows.p, "1|~|~|\n2|~|~|\n")) print_error("%s: %s\n", broken[i], o.rows.p);
        assert_string_equal(o.rows.p, "1|~|~|\n2|~|~|\n");
        assert_int_equal(o.report.bad, 1);
        text_done(&o.rows);
        text_printf(&all, "%s\n{\"a\":%zu}\n", broken[i], i);
    }
    try_decode(&t, all.p, all.n, &o);
    assert_int_equal(o.report.bad, countof(broken));
    assert_int_equal(o.status, ST_DONE);
    text_done(&o.rows);
    text_done(&all);
}

static void put_depth(struct text *t, int depth)
{
    text_puts(t, "{\"b\":");
    for (int i = 0; i < depth; i++) text_puts(t, i % 2 ? "{\"x\":" : "[");
    text_puts(t, "1");
    for (int i = depth; i-- > 0;) text_puts(t, i % 2 ? "}" : "]");
    text_puts(t, "}\n");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct sample s = {.schema = "b VARCHAR"};
    struct trial t = trial_of(&s);
    struct text text = {0};
    struct outcome o;
    put_depth(&text, 1024);
    put_depth(&text, 1025);
    put_depth(&text, 100000);
    for (int i = 0; i < 300000; i++) text_putc(&text, '[');
    try_decode(&t, text.p, text.n, &o);
    assert_int_equal(o.report.bad, 3);
    assert_true(o.rows.n > 2048);
    text_done(&o.rows);
    text_done(&text);
}

/* More text than the tokens of which are found at once, and lines longer than that. */
static void long_text(void **state)
{
    (void)state;
    struct sample s = {.schema = THREE};
    struct trial t = trial_of(&s);
    struct text text = {0};
    struct outcome whole, o;
    for (int i = 0; i < 3000; i++) {
        text_printf(&text, "{\"a\":%d,\"b\":\"", i);
        for (int k = i % 1000 == 7 ? 100000 : i % 97; k; k--) text_putc(&text, (char)('a' + k % 26));
        text_printf(&text, i % 700 ? "\",\"c\":%d.5}\n" : "\",\"c\":%d.5\n", i);
    }
    try_decode(&t, text.p, text.n, &whole);
    assert_int_equal(whole.report.bad, 5);
    t.piece = 70001;
    t.max_rows = 100;
    try_decode(&t, text.p, text.n, &o);
    assert_true(try_same(&whole, &o));
    text_done(&whole.rows);
    text_done(&o.rows);
    text_done(&text);
}

static uint32_t next_random(uint32_t *r)
{
    return *r = *r * 1664525 + 1013904223, *r >> 8;
}

/* Text of JSON's own bytes. */
static void any_text_is_cut_alike(void **state)
{
    (void)state;
    static const char *const words[] = {"{", "}",        "\"a\":", "\"b\":",      "\"",   "\\", "1",
                                        ",", "\n",       "}\n{",   "{\"a\":1}\n", "null", "[",  "]",
                                        " ", "\xc3\xa4", "\xff",   "\"x\"",       "\r"};
    struct sample s = {.schema = THREE};
    uint32_t r = 7;
    for (int round = 0; round < 300; round++) {
        struct text text = {0};
        for (uint32_t k = next_random(&r) % 120 + 2; k; k--) text_puts(&text, words[next_random(&r) % countof(words)]);
        struct trial t = trial_of(&s);
        struct outcome whole, o;
        t.on_error = round % 3;
        t.record_max = round % 2 ? 20 : 1000;
        try_decode(&t, text.p, text.n, &whole);
        for (int k = 0; k < 6; k++) {
            t.first = 1 + next_random(&r) % text.n;
            t.piece = k < 3 ? 0 : 1 + next_random(&r) % 70;
            t.max_rows = 1 + next_random(&r) % 10;
            try_decode(&t, text.p, text.n, &o);
            if (!try_same(&whole, &o))
                print_error("round %d: %s\n%s--\n%s\n%s\n%s\n", round, text_cstr(&text), whole.rows.p, o.rows.p,
                            whole.report.last.text, o.report.last.text);
            assert_true(try_same(&whole, &o));
            text_done(&o.rows);
        }
        text_done(&whole.rows);
        text_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_refuses),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(broken_lines_are_lost_alone),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(long_text),
        cmocka_unit_test(any_text_is_cut_alike),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
