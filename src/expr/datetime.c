/* The calendar, and dates and times as text. Reading goes token by token, like PostgreSQL's: which field a
 * number is follows from its length, its separators and what was seen before it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/datetime.h"

#include "expr/cell.h"

#include <limits.h>

const char *const datetime_months[12] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
const char *const datetime_days[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* ---- calendar ------------------------------------------------------------------------------------ */

/* Years run from March, so that the leap day is the last; 400 years are 146097 days. */
int64_t days_of_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void civil_of_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void moment_of_days(int64_t days, struct moment *m)
{
    *m = (struct moment){0};
    civil_of_days(days, &m->year, &m->month, &m->day);
}

static void set_time(struct moment *m, int64_t us)
{
    m->us = (int)(us % US_SECOND);
    us /= US_SECOND;
    m->second = (int)(us % 60);
    m->minute = (int)(us / 60 % 60);
    m->hour = (int)(us / 3600);
}

void moment_of_us(int64_t ts_us, struct moment *m)
{
    int64_t days = floor_div(ts_us, US_DAY);
    moment_of_days(days, m);
    set_time(m, (int64_t)((uint64_t)ts_us - (uint64_t)days * (uint64_t)US_DAY));
}

bool datetime_in_range(int64_t ts_us)
{
    return ts_us >= DATE_MIN * US_DAY && ts_us < INT64_MAX;
}

bool moment_us(const struct moment *m, int64_t *out)
{
    int64_t months = m->year * 12 + m->month - 1;
    int64_t year = floor_div(months, 12);
    if (year < -5000 || year > 300000) return false;
    int64_t days = days_of_civil(year, (int)(months - year * 12) + 1, 1) + m->day - 1;
    int64_t us = m->hour * US_HOUR + m->minute * US_MINUTE + m->second * US_SECOND + m->us, v;
    if (__builtin_mul_overflow(days, US_DAY, &v) || __builtin_add_overflow(v, us, &v)) return false;
    *out = v;
    return datetime_in_range(v);
}

int month_length(int64_t year, int month)
{
    if (month != 2) return 30 + ((month + (month > 7)) & 1);
    return 28 + (year % 4 == 0 && (year % 100 || year % 400 == 0));
}

bool moment_valid(int64_t year, int month, int day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= month_length(year, month);
}

int datetime_weekday(int64_t days)
{
    return (int)(((days + 4) % 7 + 7) % 7);
}

void datetime_iso_week(int64_t days, int64_t *year, int *week)
{
    int64_t thursday = days - (datetime_weekday(days) + 6) % 7 + 3;
    int month, day;
    civil_of_days(thursday, year, &month, &day);
    *week = (int)((thursday - days_of_civil(*year, 1, 1)) / 7) + 1;
}

/* ---- words --------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool word_is(const char *p, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (!word[i] || (p[i] | 32) != word[i]) return false;
    return !word[n];
}

/* The word is full, or its first three letters (four for Sept, Tues, Thur). */
static int name_index(const char *p, size_t n, const char *const *names, int count)
{
    if (n < 3) return -1;
    for (int i = 0; i < count; i++) {
        size_t len = strlen(names[i]), k = 0;
        while (k < n && k < len && (p[k] | 32) == (names[i][k] | 32)) k++;
        if (k == n && (n == 3 || n == 4 || n == len)) return i;
    }
    return -1;
}

int datetime_month_word(const char *p, size_t n)
{
    return name_index(p, n, datetime_months, 12);
}

static const struct {
    const char *name;
    int minutes;
} zones[] = {{"z", 0},      {"utc", 0},    {"gmt", 0},    {"zulu", 0},    {"ut", 0},      {"uct", 0},    {"est", -300},
             {"edt", -240}, {"cst", -360}, {"cdt", -300}, {"mst", -420},  {"mdt", -360},  {"pst", -480}, {"pdt", -420},
             {"cet", 60},   {"cest", 120}, {"bst", 60},   {"eet", 120},   {"eest", 180},  {"msk", 180},  {"jst", 540},
             {"ist", 120},  {"wet", 0},    {"west", 60},  {"akst", -540}, {"akdt", -480}, {"hst", -600}};

/* ---- reading ------------------------------------------------------------------------------------- */

struct scan {
    const char *p, *end;
    struct moment m;
    int64_t zone_us;
    bool have_date, have_time, have_zone, have_month, have_day, have_year, bc, pm, am, julian;
    bool short_year; /* of two digits: 70 is 1970, but not 70 BC */
    bool time_only;  /* digits alone are a time */
};

static int read_number(struct scan *s, int64_t *out)
{
    int n = 0;
    int64_t v = 0;
    for (; s->p < s->end && is_digit(*s->p); s->p++, n++) v = v < INT64_MAX / 100 ? v * 10 + (*s->p - '0') : v;
    *out = v;
    return n;
}

/* Digits after a point, rounded to microseconds. */
static int64_t read_fraction(struct scan *s)
{
    int64_t us = 0, unit = 100000;
    bool up = false;
    for (int i = 0; s->p < s->end && is_digit(*s->p); s->p++, i++) {
        if (i < 6) us += (*s->p - '0') * unit, unit /= 10;
        if (i == 6) up = *s->p >= '5';
    }
    return us + up;
}

static bool at(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == c;
}
static bool digit_after(const struct scan *s, int k)
{
    return s->end - s->p > k && is_digit(s->p[k]);
}

static enum status set_clock(struct scan *s, int64_t h, int64_t m, int64_t sec, int64_t us)
{
    if (s->have_time) return E_DATETIME;
    if (h > 24 || m > 59 || sec > 60 || (h == 24 && (m || sec || us))) return E_DATETIME_RANGE;
    s->m.hour = (int)h, s->m.minute = (int)m, s->m.second = (int)sec, s->m.us = (int)us;
    s->have_time = true;
    return ST_OK;
}

/* After "HH" with the point of reading at ':'. */
static enum status read_clock(struct scan *s, int64_t h)
{
    int64_t m, sec = 0, us = 0;
    s->p++;
    if (!read_number(s, &m)) return E_DATETIME;
    if (at(s, ':')) {
        s->p++;
        if (!read_number(s, &sec)) return E_DATETIME;
        if (at(s, '.') || at(s, ',')) s->p++, us = read_fraction(s);
    }
    return set_clock(s, h, m, sec, us);
}

/* "+05", "-08:00", "+0530", "+05:30:15" */
static enum status read_offset(struct scan *s)
{
    int64_t sign = *s->p++ == '-' ? -1 : 1, h, m = 0, sec = 0;
    int n = read_number(s, &h);
    if (!n || s->have_zone) return E_DATETIME;
    if (n > 2) m = h % 100, h /= 100;
    if (at(s, ':')) {
        s->p++;
        if (!read_number(s, &m)) return E_DATETIME;
        if (at(s, ':')) {
            s->p++;
            if (!read_number(s, &sec)) return E_DATETIME;
        }
    }
    if (h > 15 || m > 59 || sec > 59) return E_DATETIME_RANGE;
    s->zone_us = sign * (h * US_HOUR + m * US_MINUTE + sec * US_SECOND);
    s->have_zone = true;
    return ST_OK;
}

static enum status set_date(struct scan *s, int64_t y, int digits, int64_t m, int64_t d)
{
    if (s->have_date) return E_DATETIME;
    s->short_year = digits <= 2;
    s->have_date = s->have_year = s->have_month = s->have_day = true;
    if (m < 1 || m > 12 || d < 1 || d > 31 || y > 5874897) return E_DATETIME_RANGE;
    s->m.year = y, s->m.month = (int)m, s->m.day = (int)d;
    return ST_OK;
}

struct part {
    int64_t v;
    int digits; /* 0: a month's name */
};

static bool read_part(struct scan *s, struct part *out)
{
    if ((out->digits = read_number(s, &out->v))) return true;
    const char *from = s->p;
    while (s->p < s->end && is_letter(*s->p)) s->p++;
    out->v = datetime_month_word(from, (size_t)(s->p - from)) + 1;
    return out->v > 0;
}

/* Which of the three is the year follows from its length; otherwise month, day, year. */
static enum status order_parts(struct scan *s, const struct part *a)
{
    if (!a[0].digits) return set_date(s, a[2].v, a[2].digits, a[0].v, a[1].v);
    if (a[0].digits > 2) return set_date(s, a[0].v, a[0].digits, a[1].v, a[2].v);
    if (!a[1].digits) return set_date(s, a[2].v, a[2].digits, a[1].v, a[0].v);
    return set_date(s, a[2].v, a[2].digits, a[0].v, a[1].v);
}

/* After the first part, the point of reading at its separator. */
static enum status read_date(struct scan *s, struct part first)
{
    struct part a[3] = {first};
    char sep = *s->p;
    s->p++;
    if (!read_part(s, &a[1]) || !at(s, sep)) return E_DATETIME;
    s->p++;
    if (!read_part(s, &a[2]) || !a[2].digits) return E_DATETIME;
    return order_parts(s, a);
}

/* Digits alone: 20240102, 240102, 040506 after a date, or a day or year beside a month's name. */
static enum status loose_number(struct scan *s, int64_t v, int digits)
{
    int64_t us = 0;
    if ((s->have_date || s->time_only) && !s->have_time && (digits == 6 || digits == 4 || digits == 2)) {
        if (digits == 2) return set_clock(s, v, 0, 0, 0);
        if (digits == 4) return set_clock(s, v / 100, v % 100, 0, 0);
        if (at(s, '.')) s->p++, us = read_fraction(s);
        return set_clock(s, v / 10000, v / 100 % 100, v % 100, us);
    }
    if (!s->have_date && !s->have_month && (digits >= 8 || digits == 6))
        return set_date(s, v / 10000, digits - 4, v / 100 % 100, v % 100);
    if (!s->have_day && digits <= 2) {
        s->m.day = (int)v, s->have_day = true;
    } else if (!s->have_year) {
        s->m.year = v, s->have_year = true;
        s->short_year = digits <= 2;
    } else {
        return E_DATETIME;
    }
    return ST_OK;
}

static enum status read_digits(struct scan *s)
{
    struct part a;
    a.digits = read_number(s, &a.v);
    if (at(s, ':')) return read_clock(s, a.v);
    bool sep = at(s, '-') || at(s, '/') || at(s, '.');
    if (sep && !s->have_date && s->end - s->p > 1 && (is_digit(s->p[1]) || is_letter(s->p[1])) && !s->have_month)
        return read_date(s, a);
    return loose_number(s, a.v, a.digits);
}

static bool zone_word(const char *p, size_t n, int64_t *us)
{
    for (size_t i = 0; i < countof(zones); i++)
        if (word_is(p, n, zones[i].name)) return *us = zones[i].minutes * US_MINUTE, true;
    return false;
}

bool datetime_zone(const char *p, size_t n, int64_t *us)
{
    if (zone_word(p, n, us)) return true;
    struct scan s = {.p = p, .end = p + n};
    if (!n || (*p != '+' && *p != '-') || read_offset(&s) || s.p != s.end) return false;
    return *us = s.zone_us, true;
}

static enum status read_julian(struct scan *s)
{
    int64_t v, year;
    int month, day;
    if (read_number(s, &v) < 1 || v > 2147483647) return E_DATETIME;
    civil_of_days(v - 2440588, &year, &month, &day);
    s->julian = true;
    return set_date(s, year, 4, month, day);
}

static enum status read_word(struct scan *s)
{
    const char *p = s->p;
    while (s->p < s->end && is_letter(*s->p)) s->p++;
    size_t n = (size_t)(s->p - p);
    int month = datetime_month_word(p, n);
    if (month >= 0) {
        if (s->have_month) return E_DATETIME;
        s->m.month = month + 1, s->have_month = true;
        if (at(s, '-') && digit_after(s, 1)) return read_date(s, (struct part){month + 1, 0});
        return ST_OK;
    }
    if (name_index(p, n, datetime_days, 7) >= 0) return ST_OK;
    if (word_is(p, n, "bc")) return s->bc = true, ST_OK;
    if (word_is(p, n, "ad")) return ST_OK;
    if (word_is(p, n, "am")) return s->am = true, ST_OK;
    if (word_is(p, n, "pm")) return s->pm = true, ST_OK;
    if (word_is(p, n, "t") && s->p < s->end && is_digit(*s->p))
        return s->have_date || s->have_month || s->time_only ? ST_OK : E_DATETIME;
    if (word_is(p, n, "j") && s->p < s->end && is_digit(*s->p)) return read_julian(s);
    if (word_is(p, n, "epoch")) {
        s->have_time = true;
        return set_date(s, 1970, 4, 1, 1);
    }
    if (word_is(p, n, "allballs")) return s->have_zone = true, set_clock(s, 0, 0, 0, 0);
    return zone_word(p, n, &s->zone_us) ? (s->have_zone = true, ST_OK) : E_DATETIME;
}

static enum status read_all(struct scan *s)
{
    while (s->p < s->end) {
        char c = *s->p;
        if (is_blank(c) || c == ',')
            s->p++;
        else if (is_digit(c))
            TRY(read_digits(s));
        else if (is_letter(c))
            TRY(read_word(s));
        else if ((c == '+' || c == '-') && s->have_time)
            TRY(read_offset(s));
        else
            return E_DATETIME;
    }
    return ST_OK;
}

static enum status finish(struct scan *s)
{
    struct moment *m = &s->m;
    if (s->have_month && s->have_day && s->have_year) s->have_date = true;
    if (!s->have_date && (s->have_month || s->have_day || s->have_year)) return E_DATETIME;
    if (s->am || s->pm) {
        if (!s->have_time) return E_DATETIME;
        if (m->hour > 12) return E_DATETIME_RANGE;
        m->hour = m->hour % 12 + (s->pm ? 12 : 0);
    }
    if (!s->have_date) return ST_OK;
    if (s->short_year && !s->bc) m->year += m->year < 70 ? 2000 : 1900;
    if (m->year <= 0 && !s->julian) return E_DATETIME_RANGE;
    if (s->bc) m->year = 1 - m->year;
    return moment_valid(m->year, m->month, m->day) ? ST_OK : E_DATETIME_RANGE;
}

enum status datetime_parse(enum type_id id, const char *p, size_t n, int64_t *out)
{
    struct scan s = {.p = p, .end = p + n, .time_only = id == T_TIME};
    TRY(read_all(&s));
    TRY(finish(&s));
    if (id == T_TIME) {
        if (!s.have_time) return E_DATETIME;
        int64_t us = s.m.hour * US_HOUR + s.m.minute * US_MINUTE + s.m.second * US_SECOND + s.m.us;
        if (us > US_DAY) return E_DATETIME_RANGE;
        return *out = us, ST_OK;
    }
    if (!s.have_date) return E_DATETIME;
    if (id == T_DATE) {
        int64_t days = days_of_civil(s.m.year, s.m.month, s.m.day);
        if (days < DATE_MIN || days > DATE_MAX) return E_DATETIME_RANGE;
        return *out = days, ST_OK;
    }
    int64_t v;
    if (!moment_us(&s.m, &v) || __builtin_sub_overflow(v, s.zone_us, &v) || !datetime_in_range(v))
        return E_DATETIME_RANGE;
    return *out = v, ST_OK;
}

/* ---- printing ------------------------------------------------------------------------------------ */

static char *put2(char *p, int v)
{
    *p++ = (char)('0' + v / 10);
    *p++ = (char)('0' + v % 10);
    return p;
}

static char *put_date(char *p, const struct moment *m)
{
    int64_t y = m->year > 0 ? m->year : 1 - m->year;
    if (y > 9999) {
        p += cell_print_int64(y, p);
    } else {
        p = put2(p, (int)y / 100);
        p = put2(p, (int)y % 100);
    }
    *p++ = '-';
    p = put2(p, m->month);
    *p++ = '-';
    return put2(p, m->day);
}

static char *put_era(char *p, const struct moment *m)
{
    if (m->year <= 0) memcpy(p, " BC", 3), p += 3;
    return p;
}

/* Without trailing zeros. */
static char *put_fraction(char *p, int us)
{
    if (!us) return p;
    *p++ = '.';
    for (int unit = 100000; us; unit /= 10) {
        *p++ = (char)('0' + us / unit);
        us %= unit;
    }
    return p;
}

static char *put_time(char *p, const struct moment *m)
{
    p = put2(p, m->hour);
    *p++ = ':';
    p = put2(p, m->minute);
    *p++ = ':';
    p = put2(p, m->second);
    return put_fraction(p, m->us);
}

uint32_t datetime_print_date(int64_t days, char *out)
{
    struct moment m;
    moment_of_days(days, &m);
    return (uint32_t)(put_era(put_date(out, &m), &m) - out);
}

uint32_t datetime_print_time(int64_t us, char *out)
{
    struct moment m;
    set_time(&m, us);
    return (uint32_t)(put_time(out, &m) - out);
}

uint32_t datetime_print_timestamp(int64_t ts_us, bool zone, char *out)
{
    struct moment m;
    moment_of_us(ts_us, &m);
    char *p = put_date(out, &m);
    *p++ = ' ';
    p = put_time(p, &m);
    if (zone) memcpy(p, "+00", 3), p += 3;
    return (uint32_t)(put_era(p, &m) - out);
}

/* ---- timestamps and intervals -------------------------------------------------------------------- */

bool timestamp_add(int64_t ts, struct interval v, int64_t *out)
{
    if (v.months) {
        struct moment m;
        moment_of_us(ts, &m);
        int64_t months = m.year * 12 + m.month - 1 + v.months;
        m.year = floor_div(months, 12);
        m.month = (int)(months - m.year * 12) + 1;
        int last = month_length(m.year, m.month);
        if (m.day > last) m.day = last;
        if (!moment_us(&m, &ts)) return false;
    }
    int64_t days;
    if (__builtin_mul_overflow((int64_t)v.days, US_DAY, &days)) return false;
    if (__builtin_add_overflow(ts, days, &ts) || __builtin_add_overflow(ts, v.us, &ts)) return false;
    *out = ts;
    return datetime_in_range(ts);
}

bool timestamp_diff(int64_t a, int64_t b, struct interval *out)
{
    int64_t us;
    if (__builtin_sub_overflow(a, b, &us)) return false;
    *out = (struct interval){0, (int32_t)(us / US_DAY), us % US_DAY};
    return true;
}

bool timestamp_age(int64_t a, int64_t b, struct interval *out)
{
    bool negative = a < b;
    struct moment x, y;
    moment_of_us(negative ? b : a, &x);
    moment_of_us(negative ? a : b, &y);
    int64_t months = (x.year - y.year) * 12 + x.month - y.month, days = x.day - y.day;
    int64_t us = (x.hour - y.hour) * US_HOUR + (x.minute - y.minute) * US_MINUTE + (x.second - y.second) * US_SECOND +
                 x.us - y.us;
    if (us < 0) us += US_DAY, days--;
    if (days < 0) { /* the length of the earlier one's month */
        days += month_length(y.year, y.month);
        months--;
    }
    struct interval v = {(int32_t)months, (int32_t)days, us};
    if (!negative) return *out = v, true;
    return interval_negate(v, out);
}
