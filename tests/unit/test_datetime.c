/* The calendar against the C library's, and the arithmetic of timestamps and intervals.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "expr/datetime.h"

#include <stdio.h>
#include <time.h>

static uint64_t seed = 1;

/* Within the years 1 to 9999. */
static int64_t some_us(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((seed >> 1) % 315537897599999999u) - 62135596800000000;
}

static void test_calendar(void **state)
{
    (void)state;
    for (int i = 0; i < 50000; i++) {
        int64_t us = some_us(), seconds = us / US_SECOND - (us % US_SECOND < 0), iso_year, back;
        struct moment m;
        struct tm tm;
        char want[64], got[64];
        int week;
        moment_of_us(us, &m);
        gmtime_r(&(time_t){seconds}, &tm);
        strftime(want, sizeof want, "%Y-%m-%d %H:%M:%S %w %G-%V", &tm);
        int64_t days = days_of_civil(m.year, m.month, m.day);
        datetime_iso_week(days, &iso_year, &week);
        snprintf(got, sizeof got, "%lld-%02d-%02d %02d:%02d:%02d %d %lld-%02d", (long long)m.year, m.month, m.day,
                 m.hour, m.minute, m.second, datetime_weekday(days), (long long)iso_year, week);
        assert_string_equal(got, want);
        assert_true(moment_us(&m, &back) && back == us);
        assert_true(moment_valid(m.year, m.month, m.day) && m.day <= month_length(m.year, m.month));
    }
}

static int64_t ts(const char *text)
{
    int64_t v;
    assert_int_equal(datetime_parse(T_TIMESTAMP, text, strlen(text), &v), ST_OK);
    return v;
}

static struct interval span(const char *text)
{
    struct interval v;
    assert_int_equal(interval_parse(text, strlen(text), NULL, &v), ST_OK);
    return v;
}

static void test_months(void **state)
{
    (void)state;
    static const struct {
        const char *from, *span, *want;
    } sums[] = {
        {"2024-01-31", "1 month", "2024-02-29"},       {"2023-01-31", "1 month", "2023-02-28"},
        {"2024-03-31", "-1 month", "2024-02-29"},      {"2024-02-29", "12 months", "2025-02-28"},
        {"2024-01-31", "1 month 1 day", "2024-03-01"}, {"2023-12-31 23:59:59", "00:00:01", "2024-01-01"},
        {"0001-01-01", "-1 month", "0001-12-01 BC"},
    };
    for (size_t i = 0; i < countof(sums); i++) {
        int64_t v;
        assert_true(timestamp_add(ts(sums[i].from), span(sums[i].span), &v));
        assert_int_equal(v, ts(sums[i].want));
    }
    int64_t v;
    assert_false(timestamp_add(ts("294247-01-01"), span("1 year"), &v));
    assert_false(timestamp_add(ts("4714-12-01 BC"), span("-1 month"), &v));
}

/* b + (a - b) is a; age is the same both ways but for its sign. */
static void test_differences(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int64_t a = some_us(), b = some_us(), v;
        struct interval d;
        if (timestamp_diff(a, b, &d)) assert_true(timestamp_add(b, d, &v) && v == a);
        struct interval back;
        assert_true(timestamp_age(a, b, &d) && timestamp_age(b, a, &back) && interval_negate(back, &back));
        assert_memory_equal(&d, &back, sizeof d);
    }
}

static void test_intervals(void **state)
{
    (void)state;
    assert_true(interval_span(span("1 month")) == interval_span(span("30 days")));
    assert_true(interval_span(span("1 day")) == interval_span(span("24:00")));
    struct interval v;
    char text[80];
    for (int i = 0; i < 50000; i++) {
        struct interval x = {(int32_t)some_us(), (int32_t)some_us(), some_us()}, back;
        uint32_t n = interval_print(x, text);
        assert_true(n < sizeof text);
        assert_int_equal(interval_parse(text, n, NULL, &back), ST_OK);
        assert_memory_equal(&x, &back, sizeof x);
    }
    assert_false(interval_add(span("2000000000 days"), span("2000000000 days"), &v));
    assert_false(interval_scale(span("2000000000 days"), 2, &v));
    assert_int_equal(interval_parse("5", 1, "minutes", &v), ST_OK);
    assert_int_equal(v.us, 5 * US_MINUTE);
    assert_int_equal(interval_parse("5", 1, "parsecs", &v), E_DATETIME);
}

static void test_units(void **state)
{
    (void)state;
    assert_int_equal(datetime_unit("Hours", 5), UNIT_HOUR);
    assert_int_equal(datetime_unit("hour", 3), UNIT_NONE);
    assert_int_equal(datetime_month_word("sept", 4), 8);
    assert_int_equal(datetime_month_word("se", 2), -1);
    int64_t us;
    assert_true(datetime_zone("UTC", 3, &us) && us == 0);
    assert_true(datetime_zone("+02:30", 6, &us) && us == 150 * US_MINUTE);
    assert_false(datetime_zone("Europe/Paris", 12, &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar),  cmocka_unit_test(test_months), cmocka_unit_test(test_differences),
        cmocka_unit_test(test_intervals), cmocka_unit_test(test_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
