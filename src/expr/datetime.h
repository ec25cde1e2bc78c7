/* Dates and times: the calendar, and their text in all the ways PostgreSQL spells them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_DATETIME_H
#define EXPR_DATETIME_H

#include "expr/cell.h"

#define US_SECOND 1000000ll
#define US_MINUTE (60 * US_SECOND)
#define US_HOUR   (60 * US_MINUTE)
#define US_DAY    (24 * US_HOUR)

/* 4714-11-24 BC, and the end of the year 5874897: what a DATE holds. */
#define DATE_MIN (-2440588)
#define DATE_MAX 2145042905

struct moment { /* proleptic Gregorian, UTC; year 0 is 1 BC */
    int64_t year;
    int month, day, hour, minute, second, us;
};
void moment_of_us(int64_t ts_us, struct moment *out);
void moment_of_days(int64_t days, struct moment *out);
/* False when a TIMESTAMP does not hold it. Fields may be out of their range: months and the time carry over. */
bool moment_us(const struct moment *m, int64_t *out);
bool moment_valid(int64_t year, int month, int day);
int month_length(int64_t year, int month);
int datetime_weekday(int64_t days); /* 0: Sunday */
/* ISO 8601: the year and number of its week. */
void datetime_iso_week(int64_t days, int64_t *year, int *week);
bool datetime_in_range(int64_t ts_us);

/* DATE (days), TIME, TIMESTAMP, TIMESTAMPTZ (microseconds). An offset is taken off. E_DATETIME: not a date;
 * E_DATETIME_RANGE: no such day or hour. */
enum status datetime_parse(enum type_id id, const char *p, size_t n, int64_t *out);
uint32_t datetime_print_date(int64_t days, char *out);
uint32_t datetime_print_time(int64_t us, char *out);
uint32_t datetime_print_timestamp(int64_t ts_us, bool zone, char *out);

/* "UTC", "EST", "+02:00": what clocks there are ahead of UTC. */
bool datetime_zone(const char *p, size_t n, int64_t *us);

/* 0-based; -1: not one. At least three letters. */
int datetime_month_word(const char *p, size_t n);
extern const char *const datetime_months[12]; /* "January" */
extern const char *const datetime_days[7];    /* "Sunday" */

/* The words of EXTRACT, DATE_TRUNC and INTERVAL: "minute", "minutes", "min" ... */
enum unit {
    UNIT_NONE,
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
};
enum unit datetime_unit(const char *p, size_t n);

/* `unit`: what follows the quoted text, "minute" or "day to second"; "" or NULL: nothing. */
enum status interval_parse(const char *p, size_t n, const char *unit, struct interval *out);
uint32_t interval_print(struct interval v, char *out);
/* Microseconds with months of 30 days: what comparison goes by. */
static inline int128 interval_span(struct interval v)
{
    return ((int128)v.months * 30 + v.days) * US_DAY + v.us;
}
/* These return false when the result is out of range. */
bool interval_add(struct interval a, struct interval b, struct interval *out) MUST_CHECK;
bool interval_negate(struct interval a, struct interval *out) MUST_CHECK;
bool interval_scale(struct interval a, double by, struct interval *out) MUST_CHECK;
bool interval_divide(struct interval a, double by, struct interval *out) MUST_CHECK; /* by is not 0 */
bool timestamp_add(int64_t ts_us, struct interval v, int64_t *out) MUST_CHECK;
/* Days and microseconds, as PostgreSQL subtracts. */
bool timestamp_diff(int64_t a, int64_t b, struct interval *out) MUST_CHECK;
/* Years, months and days between, as age() counts. */
bool timestamp_age(int64_t a, int64_t b, struct interval *out) MUST_CHECK;

#endif
