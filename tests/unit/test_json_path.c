/* JSON whose row is a part of the record: json.path and json.column.*, and change events of Debezium. What rows come of it does not depend on how
 * the input is cut or how many are asked for. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format_try.h"

#include <stdio.h>

struct sample {
    const char *format, *schema;
    const char *const *options;
    const char *text, *rows;
    enum on_error on_error;
    uint64_t bad, nulled;
    const char *last;
};
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PX           "s VARCHAR, p DOUBLE"

/* clang-format off */
static const struct sample samples[] = {
    /* columns by path */
    {"json", "p DOUBLE, q BIGINT, s VARCHAR, j JSON", OPTIONS("json.column.p", "quote.price", "json.column.q", "quote.size.lots", "json.column.j", "quote"),
     "{\"s\":\"x\",\"quote\":{\"price\":1.5,\"size\":{\"lots\":7}}}\n{\"quote\":5,\"s\":\"y\"}\n{\"quote\":{\"size\":[1],\"other\":{\"price\":9}}}\n{\"quote\":null,\"p\":3}\n",
     "1.5|7|x|{\"price\":1.5,\"size\":{\"lots\":7}}|\n~|~|y|5|\n~|~|~|{\"size\":[1],\"other\":{\"price\":9}}|\n~|~|~|~|\n", 0, 0, 0, NULL},
    {"json", "a DOUBLE, b VARCHAR, c VARCHAR", OPTIONS("json.column.a", "bids[0][0]", "json.column.b", "bids.1.1", "json.column.c", "odd\\.name.x"),
     "{\"bids\":[[\"1.5\",\"2\"],[\"3\",\"four\"],5],\"odd.name\":{\"x\":\"y\"}}\n{\"bids\":[]}\n{\"bids\":[[],[7]],\"odd\":{\"name\":{\"x\":1}}}\n{\"bids\":{\"0\":[8]}}\n",
     "1.5|four|y|\n~|~|~|\n~|~|~|\n8|~|~|\n", 0, 0, 0, NULL},
    {"json", "a BIGINT", OPTIONS("json.column.a", "x.y"), "{\"x\":{\"y\":1},\"x\":{\"y\":2}}\n{\"X\":{\"Y\":3}}\n{\"x\":{\"y\":\"z\"}}\n{\"x\":{\"y\":4,}}\n{\"x\":{\"y\":4}\n{\"x\":[1,2}\n",
     "2|\n3|\n", 0, 4, 0, "line 6: not valid JSON: {\"x\":[1,2}"},
    {"json", "t TIMESTAMP, u TIMESTAMP, v TIMESTAMP", OPTIONS("json.column.t_epoch_unit", "s", "json.column.u.epoch_unit", "NANOS", "json.column.v", "w"),
     "{\"t\":1,\"u\":1000,\"w\":1}\n", "1970-01-01 00:00:01|1970-01-01 00:00:00.000001|1970-01-01 00:00:00.001|\n", 0, 0, 0, NULL},
    /* the row inside the record */
    {"json", PX, OPTIONS("json.path", "data", "json.column.s", "$.stream"),
     "{\"stream\":\"btc\",\"data\":{\"p\":1}}\n{\"data\":{\"p\":2},\"stream\":\"eth\"}\n{\"result\":null,\"id\":1}\n{\"data\":{\"p\":3}}\n{\"data\":[],\"stream\":\"none\"}\n{\"data\":7}\n",
     "btc|1|\neth|2|\n~|3|\n", 0, 2, 0, "line 6: what is at json.path is neither an object nor an array of them: {\"data\":7}"},
    {"json", PX, OPTIONS("json.path", "$.a.b", "json.column.s", "$.who"),
     "{\"who\":\"a text of more than twelve bytes\",\"a\":{\"b\":[{\"p\":1},{\"p\":2,\"s\":\"not this\"},{}]}}\n{\"a\":{\"b\":[{\"p\":4}]},\"who\":null}\n",
     "a text of more than twelve bytes|1|\na text of more than twelve bytes|2|\na text of more than twelve bytes|~|\n~|4|\n", 0, 0, 0, NULL},
    {"json", PX, OPTIONS("json.path", "$"), "[{\"s\":\"a\",\"p\":1},{\"s\":\"b\"}]\n{\"p\":2}\n[]\n5\n[{\"p\":3},4]\n[{\"p\":5}\n", "a|1|\nb|~|\n~|2|\n", 0, 3, 0,
     "line 6: not valid JSON: [{\"p\":5}"},
    /* a record is good or bad as a whole, its fields may be NULL */
    {"json", PX, OPTIONS("json.path", "data"), "{\"data\":[{\"p\":1},{\"p\":\"x\"},{\"p\":3}]}\n{\"data\":[{\"p\":4}]}\n", "~|4|\n", 0, 1, 0,
     "line 1, column \"p\": invalid input syntax for type DOUBLE: \"x\""},
    {"json", PX, OPTIONS("json.path", "data"), "{\"data\":[{\"p\":1},{\"p\":\"x\"},{\"p\":3}]}\n{\"data\":[{\"p\":4}]}\n", "~|1|\n~|~|\n~|3|\n~|4|\n", ON_ERROR_NULL, 0, 1,
     "line 1, column \"p\": invalid input syntax for type DOUBLE: \"x\""},
    {"json", PX, OPTIONS("json.path", "data"), "{\"data\":[{\"p\":1},{\"p\":2}]}\n{\"data\":[{\"p\":3},{\"p\":\"x\"}]}\n{\"data\":[{\"p\":4}]}\n", "~|1|\n~|2|\n", ON_ERROR_FAIL, 1, 0,
     "line 2, column \"p\": invalid input syntax for type DOUBLE: \"x\""},
    /* Debezium: which part is the row */
    {"debezium", "id BIGINT, s VARCHAR, __op VARCHAR, __ts_ms BIGINT, __source_lsn BIGINT", NULL,
     "{\"before\":null,\"after\":{\"id\":1,\"s\":\"a\"},\"source\":{\"lsn\":7},\"op\":\"c\",\"ts_ms\":5}\n"
     "{\"op\":\"u\",\"ts_ms\":6,\"before\":{\"id\":1,\"s\":\"a\"},\"after\":{\"id\":1,\"s\":\"b\"}}\n"
     "{\"schema\":null,\"payload\":{\"after\":{\"id\":2},\"op\":\"r\",\"source\":{\"lsn\":8}}}\n"
     "{\"op\":\"d\",\"before\":{\"id\":1},\"after\":null,\"ts_ms\":7}\nnull\n{\"schema\":null,\"payload\":null}\n",
     "1|a|c|5|7|\n1|b|u|6|~|\n2|~|r|~|8|\n1|~|d|7|~|\n", 0, 0, 0, NULL},
    {"debezium", "id BIGINT", NULL, "{\"op\":\"d\",\"before\":null}\n", "", 0, 1, 0, "line 1: it deletes a row and has no before: {\"op\":\"d\",\"before\":null}"},
    {"debezium", "id BIGINT", NULL, "{\"op\":\"u\",\"before\":{\"id\":1}}\n", "", 0, 1, 0, "line 1: it has no after: {\"op\":\"u\",\"before\":{\"id\":1}}"},
    {"debezium", "id BIGINT", NULL, "{\"op\":\"t\"}\n{\"op\":1}\n{\"op\":\"cc\",\"after\":{}}\n", "", 0, 3, 0, "line 3: its op is none of c, u, d and r: {\"op\":\"cc\",\"after\":{}}"},
    {"debezium", "id BIGINT", NULL, "{\"id\":1}\n", "", 0, 1, 0, "line 1: it has no op, so it is no event of Debezium: {\"id\":1}"},
    {"debezium", "id BIGINT", NULL, "{\"op\":\"c\",\"after\":7}\n5\n{\"op\":\"c\",\"after\":{}}{\n", "", 0, 3, 0, "line 3: something follows the object: {\"op\":\"c\",\"after\":{}}{"},
    {"debezium", "id BIGINT, __ts_ms TIMESTAMP, __ts_us TIMESTAMP", NULL, "{\"op\":\"c\",\"after\":{\"id\":1},\"ts_ms\":1,\"ts_us\":1}\n",
     "1|1970-01-01 00:00:00.001|1970-01-01 00:00:00.000001|\n", 0, 0, 0, NULL},
    /* what values mean without a schema: only what can be known */
    {"debezium", "d DATE, x BLOB, j JSON, z TIMESTAMPTZ, iv INTERVAL", NULL,
     "{\"op\":\"c\",\"after\":{\"d\":19723,\"x\":\"AP8=\",\"j\":\"{\\\"a\\\":1}\",\"z\":\"2024-01-01T00:00:00Z\",\"iv\":1500000}}\n{\"op\":\"c\",\"after\":{\"d\":-1,\"x\":\"\"}}\n{\"op\":\"c\",\"after\":{\"x\":\"A\"}}\n"
     "{\"op\":\"c\",\"after\":{\"j\":\"{\"}}\n",
     "2024-01-01|\\x00ff|{\"a\":1}|2024-01-01 00:00:00+00|00:00:01.5|\n1969-12-31|\\x|~|~|~|\n", 0, 2, 0, "line 4, column \"j\": invalid input syntax for type JSON: \"{\""},
    {"debezium", "t TIMESTAMP", NULL, "{\"op\":\"c\",\"after\":{\"t\":5}}\n", "", 0, 1, 0, "line 1, column \"t\": what the number counts is not known, so epoch.unit is to say"},
    {"debezium", "t TIMESTAMP, u TIME", OPTIONS("epoch.unit", "us"), "{\"op\":\"c\",\"after\":{\"t\":5,\"u\":3600000000}}\n{\"op\":\"c\",\"after\":{\"u\":86400000001}}\n",
     "1970-01-01 00:00:00.000005|01:00:00|\n", 0, 1, 0, "line 2, column \"u\": invalid input for TIME: 86400000001"},
    {"debezium", "m DECIMAL", NULL, "{\"op\":\"c\",\"after\":{\"m\":\"BNI=\"}}\n{\"op\":\"c\",\"after\":{\"m\":\"12.5\"}}\n{\"op\":\"c\",\"after\":{\"m\":12.5}}\n{\"op\":\"c\",\"after\":{\"m\":\"-1000\"}}\n"
     "{\"op\":\"c\",\"after\":{\"m\":{\"scale\":1,\"value\":\"AH8=\"}}}\n{\"op\":\"c\",\"after\":{\"m\":\"1000\"}}\n",
     "12.34|\n12.50|\n12.50|\n-1000.00|\n12.70|\n", 0, 1, 0,
     "line 6, column \"m\": it may be the number or base64 of another: there is no schema, so decimal.handling.mode is to say"},
    {"debezium", "m DECIMAL", OPTIONS("decimal.handling.mode", "string"), "{\"op\":\"c\",\"after\":{\"m\":\"1000\"}}\n", "1000.00|\n", 0, 0, 0, NULL},
    {"debezium", "m DECIMAL", OPTIONS("decimal.handling.mode", "precise"), "{\"op\":\"c\",\"after\":{\"m\":\"/zg=\"}}\n{\"op\":\"c\",\"after\":{\"m\":\"AAAAAAAAAAAAAAAAAAAAAAAB\"}}\n{\"op\":\"c\",\"after\":{\"m\":\"gAAAAAAAAAAAAAAAAAAAAA==\"}}\n", "-2.00|\n", 0, 2, 0,
     "line 3, column \"m\": the number has more than 38 digits"},
    /* and with one, which may change */
#define SCHEMA(fields) "\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"fields\":[" fields "],\"optional\":true,\"field\":\"before\"},{\"type\":\"struct\",\"fields\":[" fields "],\"field\":\"after\"},{\"type\":\"string\",\"field\":\"op\"}],\"name\":\"x.Envelope\"}"
#define FIELD(type, name, field) "{\"type\":\"" type "\",\"optional\":true,\"name\":\"" name "\",\"version\":1,\"field\":\"" field "\"}"
#define DECIMAL(scale, field) "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"" scale "\",\"connect.decimal.precision\":\"10\"},\"field\":\"" field "\"}"
    {"debezium", "t TIMESTAMP, u TIME, d DATE, m DECIMAL, x BLOB, iv INTERVAL", NULL,
     "{" SCHEMA(FIELD("int64", "io.debezium.time.MicroTimestamp", "t") "," FIELD("int32", "io.debezium.time.Time", "u") "," FIELD("int32", "io.debezium.time.Date", "d") "," DECIMAL("3", "m") ",{\"type\":\"bytes\",\"field\":\"x\"}," FIELD("int64", "io.debezium.time.NanoDuration", "iv"))
     ",\"payload\":{\"op\":\"c\",\"after\":{\"t\":1500000,\"u\":1500,\"d\":1,\"m\":\"BNI=\",\"x\":\"AP8=\",\"iv\":2000}}}\n"
     "{" SCHEMA(FIELD("int64", "org.apache.kafka.connect.data.Timestamp", "t") "," FIELD("int64", "io.debezium.time.NanoTime", "u") "," DECIMAL("0", "m") ",{\"type\":\"string\",\"field\":\"x\"}")
     ",\"payload\":{\"op\":\"d\",\"before\":{\"t\":1500000,\"u\":1500,\"m\":\"BNI=\",\"x\":\"AP8=\"}}}\n"
     "{\"payload\":{\"op\":\"c\",\"after\":{\"m\":\"BNI=\"}}}\n",
     "1970-01-01 00:00:01.5|00:00:01.5|1970-01-02|1.23|\\x00ff|00:00:00.000002|\n1970-01-01 00:25:00|00:00:00.000001|~|1234.00|\\x4150383d|~|\n~|~|~|12.34|~|~|\n", 0, 0, 0, NULL},
    {"debezium", "m DECIMAL, t TIMESTAMP", NULL, "{" SCHEMA(DECIMAL("2", "M") "," FIELD("int64", "io.debezium.time.MicroTimestamp", "T")) ",\"payload\":{\"op\":\"c\",\"after\":{\"M\":\"1234\",\"T\":5}}}\n",
     "-26588.24|1970-01-01 00:00:00.000005|\n", 0, 0, 0, NULL},
    {"debezium", "id BIGINT", NULL, "{\"op\":\"\\u0000\",\"after\":{\"id\":1}}\n", "", 0, 1, 0, NULL},
    {"debezium", "m VARCHAR, t BIGINT", NULL, "{" SCHEMA(DECIMAL("2", "m") "," FIELD("int64", "io.debezium.time.MicroTimestamp", "t")) ",\"payload\":{\"op\":\"c\",\"after\":{\"m\":\"BNI=\",\"t\":77}}}\n", "12.34|77|\n", 0, 0, 0, NULL},
};
/* clang-format on */

static bool is_as_said(const struct sample *s, const struct outcome *o, size_t k, const char *how)
{
    bool failed = s->on_error == ON_ERROR_FAIL;
    bool good = !strcmp(o->rows.p, s->rows) && o->report.bad == s->bad && o->report.nulled == s->nulled && (o->status == ST_DONE) != failed &&
                (!s->last || !strcmp(o->report.last.text, s->last));
    if (!good)
        print_error("sample %zu %s: status %d, bad %llu, nulled %llu, '%s' %s\n%s", k, how, o->status, (unsigned long long)o->report.bad,
                    (unsigned long long)o->report.nulled, o->report.last.text, o->err.text, o->rows.p);
    return good;
}

static void reads(void **state)
{
    (void)state;
    bool good = true;
    for (size_t k = 0; k < countof(samples); k++) {
        const struct sample *s = &samples[k];
        struct arena *a = arena_new();
        struct outcome whole, o;
        struct trial t = {.class = decoder_find(s->format), .on_error = s->on_error, .record_max = 4000};
        size_t n = strlen(s->text);
        t.schema = try_schema(a, s->schema);
        t.options = try_options(a, t.class->options, s->options);
        try_decode(&t, s->text, n, &whole);
        good &= is_as_said(s, &whole, k, "whole");
        for (size_t cut = 1; cut <= n; cut++) {
            t.first = cut, t.piece = cut % 3 ? 0 : 1 + cut % 7, t.max_rows = cut % 4;
            try_decode(&t, s->text, n, &o);
            if (!try_same(&whole, &o)) good = is_as_said(s, &o, k, "in pieces") && false;
            text_done(&o.rows);
        }
        text_done(&whole.rows);
        arena_free(a);
    }
    assert_true(good);
}

/* As records: several rows of one, tombstones among them, and more than go into a batch. */
static void records(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct trial t = {.class = decoder_find("json"), .record_max = 1 << 20};
    struct outcome o, again;
    struct try_value v[] = {{"{\"d\":[{\"p\":1},{\"p\":2}]}", 23}, {NULL, 0}, {NULL, 0}, {"{\"d\":[]}", 8}, {"{\"d\":{\"p\":3}}", 13}, {"{}", 2}, {NULL, 0}, {"{\"d\":[{\"p\":4}]}", 15}};
    t.schema = try_schema(a, "p BIGINT");
    t.options = try_options(a, t.class->options, OPTIONS("json.path", "d"));
    try_records(&t, v, countof(v), &o);
    assert_string_equal(o.rows.p, "0: 1|\n0: 2|\n1: ~|\n2: ~|\n4: 3|\n6: ~|\n7: 4|\n");
    assert_int_equal(o.report.bad, 1);
    assert_string_equal(o.report.last.text, "record 5 of test: there is nothing at json.path: {}");
    for (t.max_rows = 1; t.max_rows < 9; t.max_rows++) {
        try_records(&t, v, countof(v), &again);
        assert_true(try_same(&o, &again));
        text_done(&again.rows);
    }
    text_done(&o.rows);
    /* tombstones of Debezium are no rows */
    struct trial z = {.class = decoder_find("debezium"), .record_max = 1 << 20, .schema = t.schema};
    struct try_value events[] = {{NULL, 0}, {"{\"op\":\"c\",\"after\":{\"p\":1}}", 26}, {NULL, 0}, {"{", 1}, {"null", 4}};
    z.options = try_options(a, z.class->options, NULL);
    try_records(&z, events, countof(events), &o);
    assert_string_equal(o.rows.p, "1: 1|\n");
    assert_int_equal(o.report.bad, 1);
    text_done(&o.rows);
    arena_free(a);
}

static void many_rows(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct trial t = {.class = decoder_find("json"), .record_max = 1 << 20};
    t.schema = try_schema(a, "p BIGINT, s VARCHAR");
    t.options = try_options(a, t.class->options, OPTIONS("json.path", "d", "json.column.s", "$.s"));
    static const int counts[] = {3000, 5, 8192, 1, 8193, 700};
    struct text text = {0}, rows = {0};
    for (size_t i = 0; i < countof(counts); i++) {
        text_printf(&text, "{\"d\":[");
        for (int k = 0; k < counts[i]; k++) {
            text_printf(&text, "%s{\"p\":%d}", k ? "," : "", k);
            if (counts[i] <= 8192) text_printf(&rows, "%d|%d|\n", k, counts[i]);
        }
        text_printf(&text, "],\"s\":\"%d\"}\n", counts[i]);
    }
    for (t.max_rows = 1; t.max_rows < 8000; t.max_rows *= 5) {
        struct outcome o;
        try_decode(&t, text.p, text.n, &o);
        assert_string_equal(o.rows.p, text_cstr(&rows));
        assert_int_equal(o.report.bad, 1);
        assert_non_null(strstr(o.report.last.text, "line 5: it has more rows than a batch (8192)"));
        text_done(&o.rows);
    }
    text_done(&text), text_done(&rows);
    arena_free(a);
}

static void wrong_options(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *error, *hint;
    } cases[] = {
        {"json.path", "", "option 'json.path' cannot be ''", "write names with dots"},
        {"json.path", "a..b", "option 'json.path' cannot be 'a..b'", "write names with dots"},
        {"json.path", "a.", "option 'json.path' cannot be 'a.'", NULL},
        {"json.path", "a[0", "option 'json.path' cannot be 'a[0'", NULL},
        {"json.path", "a\\", "option 'json.path' cannot be 'a\\'", NULL},
        {"json.path", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", "option 'json.path' cannot be", "16 names at most"},
        {"json.column.p", "$.", "option 'json.column.p' cannot be '$.'", NULL},
        {"json.column.p", "$", "option 'json.column.p' cannot be '$'", NULL},
        {"json.column.p", "$[0]", "option 'json.column.p' cannot be '$[0]'", NULL},
        {"json.column.pric", "a", "option 'json.column.pric': there is no column \"pric\" to be read", "did you mean 'json.column.price'?"},
        {"json.column.p.epoch_unit", "fortnight", "option 'json.column.p.epoch_unit' cannot be 'fortnight'", "one of: s, ms, us, ns"},
        {"json.column.p", "price", "columns \"p\" and \"price\" are read from the same place", NULL},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct arena *a = arena_new();
        struct decoder *d = NULL;
        struct err err = {0};
        const struct decoder_class *c = decoder_find("json");
        struct options *o = try_options(a, c->options, OPTIONS(cases[i].name, cases[i].value));
        assert_int_equal(decoder_new(c, try_schema(a, "p DOUBLE, price DOUBLE"), o, ON_ERROR_SKIP, 1000, 0, NULL, 0, &d, &err), E_CONNECTOR_OPTION);
        if (!strstr(err.text, cases[i].error) || (cases[i].hint && !strstr(err.hint, cases[i].hint))) print_error("%s / %s\n", err.text, err.hint), fail();
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(records),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
