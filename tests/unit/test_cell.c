/* Text of values both ways. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "expr/cell.h"

#include <math.h>
#include <stdio.h>

/* Reads text as t and prints it again; "!" and the SQLSTATE when it is refused. */
static const char *round_trip(struct type t, const char *text, struct text *out)
{
    _Alignas(16) char cell[16] = {0};
    struct err err = {0};
    text_clear(out);
    enum status st = cell_parse(t, text, strlen(text), cell, &err);
    assert_int_equal(cell_parse(t, text, strlen(text), cell, NULL), st);
    if (st) {
        assert_int_equal(err.code, st);
        assert_true(err.text[0]);
        text_printf(out, "!%s", err_sqlstate(st));
    } else {
        cell_put(t, cell, out);
    }
    return text_cstr(out);
}

static const struct {
    uint8_t type;
    const char *text, *want;
} cells[] = {
    {T_BOOL, "t", "true"},
    {T_BOOL, " NO ", "false"},
    {T_BOOL, "oN", "true"},
    {T_BOOL, "o", "!22P02"},
    {T_BOOL, "", "!22P02"},
    {T_BOOL, "2", "!22P02"},
    {T_BOOL, "of", "false"},
    {T_INT8, "127", "127"},
    {T_INT8, "128", "!22003"},
    {T_INT8, "-128", "-128"},
    {T_INT16, "-32769", "!22003"},
    {T_INT32, "2147483647", "2147483647"},
    {T_INT32, "2147483648", "!22003"},
    {T_INT32, "1.0", "!22P02"},
    {T_INT64, "9223372036854775807", "9223372036854775807"},
    {T_INT64, "9223372036854775808", "!22003"},
    {T_INT64, "-9223372036854775808", "-9223372036854775808"},
    {T_INT64, "99999999999999999999", "!22003"},
    {T_INT64, "- 1", "!22P02"},
    {T_INT64, "+", "!22P02"},
    {T_INT64, "\t 7\n", "7"},
    {T_INT64, "000000000000000000000012", "12"},
    {T_DOUBLE, "1", "1"},
    {T_DOUBLE, "0.1", "0.1"},
    {T_DOUBLE, "-0", "-0"},
    {T_DOUBLE, "1e15", "1e+15"},
    {T_DOUBLE, "1e14", "100000000000000"},
    {T_DOUBLE, "123456789012345678", "1.2345678901234568e+17"},
    {T_DOUBLE, "0.0001", "0.0001"},
    {T_DOUBLE, "0.00001", "1e-05"},
    {T_DOUBLE, "5e-324", "5e-324"},
    {T_DOUBLE, "1e-400", "!22003"},
    {T_DOUBLE, "1e400", "!22003"},
    {T_DOUBLE, " +1.5e+3 ", "1500"},
    {T_DOUBLE, "nan", "NaN"},
    {T_DOUBLE, "-Infinity", "-Infinity"},
    {T_DOUBLE, "inf", "Infinity"},
    {T_DOUBLE, "infinit", "!22P02"},
    {T_DOUBLE, ".5", "0.5"},
    {T_DOUBLE, "5.", "5"},
    {T_DOUBLE, ".", "!22P02"},
    {T_DOUBLE, "1e", "!22P02"},
    {T_DOUBLE, "+-1", "!22P02"},
    {T_DOUBLE, "1.7976931348623157e308", "1.7976931348623157e+308"},
    {T_FLOAT, "0.1", "0.1"},
    {T_FLOAT, "16777217", "1.6777216e+07"},
    {T_FLOAT, "1e39", "!22003"},
    {T_FLOAT, "123456", "123456"},
    {T_VARCHAR, "  as it is ", "  as it is "},
    {T_VARCHAR, "", ""},
    {T_JSON, "{\"a\":[1,2]}", "{\"a\":[1,2]}"},
    {T_JSON, "{a:1}", "!22P02"},
    {T_DATE, "2024-02-29", "2024-02-29"},
    {T_DATE, "2023-02-29", "!22008"},
    {T_DATE, "2024-1-2", "2024-01-02"},
    {T_DATE, "x", "!22007"},
    {T_DATE, "2024-01-02 03:04:05", "2024-01-02"},
    {T_DATE, "5874897-12-31", "5874897-12-31"},
    {T_DATE, "5874898-01-01", "!22008"},
    {T_DATE, "4713-11-24 BC", "4713-11-24 BC"},
    {T_DATE, "0000-01-01", "!22008"},
    {T_DATE, "J2451187", "1999-01-08"},
    {T_DATE, "epoch", "1970-01-01"},
    {T_TIME, "12:34", "12:34:00"},
    {T_TIME, "12:34:56.7", "12:34:56.7"},
    {T_TIME, "24:00:00", "24:00:00"},
    {T_TIME, "24:00:01", "!22008"},
    {T_TIME, "12:60", "!22008"},
    {T_TIME, "noon", "!22007"},
    {T_TIME, "11:59 PM", "23:59:00"},
    {T_TIME, "13:00 PM", "!22008"},
    {T_TIMESTAMP, "2024-01-02 03:04:05", "2024-01-02 03:04:05"},
    {T_TIMESTAMP, "2024-01-02T03:04:05.000001", "2024-01-02 03:04:05.000001"},
    {T_TIMESTAMP, "2024-01-02T03:04:05Z", "2024-01-02 03:04:05"},
    {T_TIMESTAMP, "2024-01-02T03:04:05.123+0530", "2024-01-01 21:34:05.123"},
    {T_TIMESTAMP, "2024-01-02 03:04:05.9999999", "2024-01-02 03:04:06"},
    {T_TIMESTAMP, "1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"},
    {T_TIMESTAMP, "0001-01-01 00:00:00", "0001-01-01 00:00:00"},
    {T_TIMESTAMP, "0001-01-01 00:00:00 BC", "0001-01-01 00:00:00 BC"},
    {T_TIMESTAMP, "2024-01-02 23:59:60", "2024-01-03 00:00:00"},
    {T_TIMESTAMP, "2024-01-02 24:00", "2024-01-03 00:00:00"},
    {T_TIMESTAMP, "294247-01-10 04:00:54", "294247-01-10 04:00:54"},
    {T_TIMESTAMP, "294248-01-01", "!22008"},
    {T_TIMESTAMP, "2024-01-02 -", "!22007"},
    {T_TIMESTAMP, "Mon Jan 08 04:05:06 1999 UTC", "1999-01-08 04:05:06"},
    {T_TIMESTAMP, "", "!22007"},
    {T_TIMESTAMP, "12:00", "!22007"},
    {T_TIMESTAMPTZ, "2024-01-02 03:04:05-08", "2024-01-02 11:04:05+00"},
    {T_TIMESTAMPTZ, "2024-01-02 03:04:05 PST", "2024-01-02 11:04:05+00"},
    {T_INTERVAL, "1 day", "1 day"},
    {T_INTERVAL, "-1 day +02:03", "-1 days +02:03:00"},
    {T_INTERVAL, "1 year 1 mon -1 day", "1 year 1 mon -1 days"},
    {T_INTERVAL, "1.5 hours", "01:30:00"},
    {T_INTERVAL, "@ 1 minute ago", "-00:01:00"},
    {T_INTERVAL, "P1DT2H", "1 day 02:00:00"},
    {T_INTERVAL, "2562047788:00:54.775807", "2562047788:00:54.775807"},
    {T_INTERVAL, "3000000000 days", "!22015"},
    {T_INTERVAL, "1 parsec", "!22007"},
    {T_UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {T_UUID, "a0ee", "!22P02"},
    {T_ARRAY, "[]", "!0A000"},
};

static void test_cells(void **state)
{
    (void)state;
    struct text t = {0};
    int failed = 0;
    for (size_t i = 0; i < countof(cells); i++) {
        const char *got = round_trip(TYPE(cells[i].type), cells[i].text, &t);
        if (!strcmp(got, cells[i].want)) continue;
        print_error("%d '%s': %s, not %s\n", cells[i].type, cells[i].text, got, cells[i].want);
        failed++;
    }
    text_done(&t);
    assert_int_equal(failed, 0);
}

static void test_decimals(void **state)
{
    (void)state;
    struct text t = {0};
    assert_string_equal(round_trip(type_decimal(5, 2), "123.456", &t), "123.46");
    assert_string_equal(round_trip(type_decimal(5, 2), "-0.005", &t), "-0.01");
    assert_string_equal(round_trip(type_decimal(5, 2), "999.995", &t), "!22003");
    assert_string_equal(round_trip(type_decimal(5, 2), "1e2", &t), "100.00");
    assert_string_equal(round_trip(type_decimal(38, 0), "99999999999999999999999999999999999999", &t),
                        "99999999999999999999999999999999999999");
    assert_string_equal(round_trip(type_decimal(38, 0), "100000000000000000000000000000000000000", &t), "!22003");
    assert_string_equal(round_trip(type_decimal(38, 38), "-0.00000000000000000000000000000000000001", &t),
                        "-0.00000000000000000000000000000000000001");
    assert_string_equal(round_trip(type_decimal(38, 2), "NaN", &t), "NaN");
    assert_string_equal(round_trip(type_decimal(5, 2), "abc", &t), "!22P02");
    assert_string_equal(round_trip(type_decimal(0, 16), "1.50", &t),
                        "1.5"); /* declared without (p,s): no trailing zeros */
    assert_string_equal(round_trip(type_decimal(0, 16), "-12", &t), "-12");
    text_done(&t);
}

/* Every double reads back as itself. */
static void test_doubles(void **state)
{
    (void)state;
    uint64_t bits = 1;
    char text[CELL_TEXT_MAX];
    for (int i = 0; i < 200000; i++) {
        double d, back;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&d, &bits, 8);
        uint32_t n = cell_print_double(d, text);
        assert_true(n < CELL_TEXT_MAX);
        assert_true(cell_parse_double(text, n, &back));
        assert_true(back == d || (isnan(back) && isnan(d)));
    }
}

static void test_integers(void **state)
{
    (void)state;
    uint64_t r = 1;
    char text[CELL_TEXT_MAX], want[CELL_TEXT_MAX];
    for (int i = 0; i < 200000; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        int64_t v = (int64_t)r >> (r & 63), back;
        uint32_t n = cell_print_int64(v, text);
        assert_int_equal(n, snprintf(want, sizeof want, "%lld", (long long)v));
        assert_memory_equal(text, want, n);
        assert_true(cell_parse_int64(text, n, &back) && back == v);
    }
}

/* The fast reader of timestamps and the general one agree. */
static void test_timestamps(void **state)
{
    (void)state;
    uint64_t r = 1;
    char text[CELL_TEXT_MAX];
    for (int i = 0; i < 100000; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        int64_t us = (int64_t)(r % 253402300800000000u) - 62135596800000000, fast, slow;
        uint32_t n = cell_print_timestamp(us, text);
        assert_true(cell_parse_timestamp(text, n, &fast));
        text[10] = i & 1 ? 'T' : ' ';
        memcpy(text + n, "  ", 2);
        assert_int_equal(cell_parse(TYPE(T_TIMESTAMP), text, n + 2, &slow, NULL), ST_OK);
        assert_true(fast == us && slow == us);
    }
}

static void test_calendar(void **state)
{
    (void)state;
    int64_t year, last = days_of_civil(-4800, 1, 1) - 1;
    int month, day;
    for (int64_t d = last + 1; d < days_of_civil(12000, 1, 1); d += 2) {
        civil_of_days(d, &year, &month, &day);
        assert_int_equal(days_of_civil(year, month, day), d);
    }
    assert_int_equal(days_of_civil(1970, 1, 1), 0);
    assert_int_equal(days_of_civil(2000, 3, 1), 11017);
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid("", 0) && utf8_valid("plain text here", 15) &&
                utf8_valid("häß 你好 🦆", strlen("häß 你好 🦆")));
    static const char *const bad[] = {"\x80",
                                      "\xc0\xaf",
                                      "\xc3",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "abc\xffxyz",
                                      "\xf0\x80\x80\x80",
                                      "\xe4\xbd"};
    for (size_t i = 0; i < countof(bad); i++) assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

/* A long text is shortened in the message, between two characters. */
static void test_message(void **state)
{
    (void)state;
    struct err err;
    int32_t v;
    char text[200];
    memset(text, 'x', sizeof text);
    memcpy(text + 59, "ä", 2);
    assert_int_equal(cell_parse(TYPE(T_INT32), text, sizeof text, &v, &err), E_CAST);
    assert_true(utf8_valid(err.text, strlen(err.text)));
    assert_non_null(strstr(err.text, "..."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),    cmocka_unit_test(test_decimals),   cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_timestamps), cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_utf8),     cmocka_unit_test(test_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
