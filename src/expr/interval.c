/* Intervals: their text and their arithmetic. Months, days and microseconds are kept apart; fractions of a
 * larger unit fall into the next smaller one. SPDX-License-Identifier: Apache-2.0 */
#include "expr/cell.h"
#include "expr/datetime.h"

#include <limits.h>
#include <math.h>

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

static const struct {
    const char *word;
    enum unit unit;
} words[] = {
    {"us", UNIT_MICROSECOND},
    {"usec", UNIT_MICROSECOND},
    {"usecs", UNIT_MICROSECOND},
    {"microsecond", UNIT_MICROSECOND},
    {"microseconds", UNIT_MICROSECOND},
    {"microsecon", UNIT_MICROSECOND},
    {"ms", UNIT_MILLISECOND},
    {"msec", UNIT_MILLISECOND},
    {"msecs", UNIT_MILLISECOND},
    {"millisecond", UNIT_MILLISECOND},
    {"milliseconds", UNIT_MILLISECOND},
    {"millisecon", UNIT_MILLISECOND},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"m", UNIT_MINUTE},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"h", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"qtr", UNIT_QUARTER},
    {"quarter", UNIT_QUARTER},
    {"quarters", UNIT_QUARTER},
    {"y", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"dec", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"mil", UNIT_MILLENNIUM},
    {"mils", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
};

enum unit datetime_unit(const char *p, size_t n)
{
    for (size_t i = 0; i < countof(words); i++) {
        const char *w = words[i].word;
        size_t k = 0;
        while (k < n && w[k] && (p[k] | 32) == w[k]) k++;
        if (k == n && !w[k]) return words[i].unit;
    }
    return UNIT_NONE;
}

/* ---- adding up ----------------------------------------------------------------------------------- */

/* Wide enough that no text overflows it before the check at the end, and exact for every microsecond. */
struct sum {
    long double months, days, us;
};

/* A fraction of days, its whole days apart. */
static void add_days(struct sum *s, long double days)
{
    long double whole = truncl(days);
    s->days += whole;
    s->us += rintl((days - whole) * (long double)US_DAY);
}

/* whole and fraction have the same sign. */
static void add_unit(struct sum *s, enum unit unit, long double whole, long double fraction)
{
    static const int months[] = {
        [UNIT_YEAR] = 12, [UNIT_DECADE] = 120, [UNIT_CENTURY] = 1200, [UNIT_MILLENNIUM] = 12000};
    switch (unit) {
    case UNIT_MICROSECOND: s->us += whole + rintl(fraction); break;
    case UNIT_MILLISECOND: s->us += whole * 1e3L + rintl(fraction * 1e3L); break;
    case UNIT_SECOND: s->us += whole * 1e6L + rintl(fraction * 1e6L); break;
    case UNIT_MINUTE: s->us += whole * (long double)US_MINUTE + rintl(fraction * (long double)US_MINUTE); break;
    case UNIT_HOUR: s->us += whole * (long double)US_HOUR + rintl(fraction * (long double)US_HOUR); break;
    case UNIT_DAY: s->days += whole, add_days(s, fraction); break;
    case UNIT_WEEK: s->days += whole * 7, add_days(s, fraction * 7); break;
    case UNIT_MONTH: s->months += whole, add_days(s, fraction * 30); break;
    case UNIT_QUARTER: s->months += whole * 3 + rintl(fraction * 3); break;
    case UNIT_NONE: break;
    default: s->months += whole * months[unit] + rintl(fraction * months[unit]); break;
    }
}

static enum status settle(const struct sum *s, struct interval *out)
{
    bool fits = s->months >= INT32_MIN && s->months <= INT32_MAX && s->days >= INT32_MIN && s->days <= INT32_MAX &&
                s->us >= -0x1p63L && s->us < 0x1p63L;
    if (!fits) return E_INTERVAL_RANGE;
    *out = (struct interval){(int32_t)s->months, (int32_t)s->days, (int64_t)s->us};
    return ST_OK;
}

/* ---- reading ------------------------------------------------------------------------------------- */

struct scan {
    const char *p, *end;
    struct sum sum;
    enum unit bare; /* what a number without a unit means */
    bool min_sec;   /* "1:02" is minutes and seconds */
    bool some;
    uint32_t seen; /* a bit per unit: none comes twice */
};

static bool note(struct scan *s, uint32_t units)
{
    if (s->seen & units) return false;
    s->seen |= units;
    return true;
}

static bool at(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == c;
}

/* Digits with a point: whole and fraction apart. */
static bool read_number(struct scan *s, long double *whole, long double *fraction)
{
    long double unit = 1, f = 0, w = 0;
    bool seen = false;
    for (; s->p < s->end && is_digit(*s->p); s->p++, seen = true) w = w * 10 + (*s->p - '0');
    if (at(s, '.')) {
        s->p++;
        for (; s->p < s->end && is_digit(*s->p); s->p++, seen = true) f = f * 10 + (*s->p - '0'), unit *= 10;
    }
    *whole = w, *fraction = f / unit;
    return seen;
}

/* After the first number of hh:mm[:ss[.f]]. */
static enum status read_clock(struct scan *s, long double first, long double sign)
{
    long double m, f, sec = 0, us = 0;
    s->p++;
    if (!note(s, 1u << UNIT_HOUR | 1u << UNIT_MINUTE | 1u << UNIT_SECOND)) return E_DATETIME;
    if (!read_number(s, &m, &f)) return E_DATETIME;
    bool three = at(s, ':');
    if (three) {
        s->p++;
        if (f != 0 || !read_number(s, &sec, &us)) return E_DATETIME;
    }
    long double h = first;
    if (!three && (s->min_sec || f != 0)) us = f, sec = m, m = first, h = 0;
    if (m >= 60 || sec >= 61) return E_INTERVAL_RANGE;
    s->sum.us += sign * (h * (long double)US_HOUR + m * (long double)US_MINUTE + sec * 1e6L + rintl(us * 1e6L));
    return ST_OK;
}

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && is_blank(*s->p)) s->p++;
}

/* What a number without a unit counts: days before a clock or hours, at the end what the qualifier says. */
static enum unit bare_unit(const struct scan *s)
{
    const char *p = s->p, *from;
    if (p == s->end || is_letter(*p)) return s->bare;
    if (*p == '+' || *p == '-') p++;
    for (from = p; p < s->end && is_digit(*p); p++) {
    }
    if (p == from) return UNIT_NONE;
    if (p < s->end && *p == ':') return UNIT_DAY;
    while (p < s->end && is_blank(*p)) p++;
    for (from = p; p < s->end && is_letter(*p); p++) {
    }
    enum unit next = p == from && p == s->end ? s->bare : datetime_unit(from, (size_t)(p - from));
    return next == UNIT_HOUR ? UNIT_DAY : UNIT_NONE;
}

static bool is_ago(const struct scan *s)
{
    return s->end - s->p >= 3 && (s->p[0] | 32) == 'a' && (s->p[1] | 32) == 'g' && (s->p[2] | 32) == 'o' &&
           (s->end - s->p == 3 || is_blank(s->p[3]));
}

static enum status read_field(struct scan *s)
{
    long double sign = 1, whole, fraction;
    if (at(s, '-') || at(s, '+')) sign = *s->p++ == '-' ? -1 : 1;
    skip_blanks(s);
    if (!read_number(s, &whole, &fraction)) return E_DATETIME;
    s->some = true;
    if (at(s, ':')) return read_clock(s, whole, sign);
    if (at(s, '-') && s->end - s->p > 1 && is_digit(s->p[1])) { /* years-months */
        long double months, rest;
        s->p++;
        if (!read_number(s, &months, &rest) || fraction != 0 || rest != 0) return E_DATETIME;
        if (months >= 12) return E_INTERVAL_RANGE;
        if (!note(s, 1u << UNIT_YEAR | 1u << UNIT_MONTH)) return E_DATETIME;
        s->sum.months += sign * (whole * 12 + months);
        return ST_OK;
    }
    skip_blanks(s);
    enum unit unit = bare_unit(s);
    const char *from = s->p;
    if (!is_ago(s))
        while (s->p < s->end && is_letter(*s->p)) s->p++;
    if (s->p > from) unit = datetime_unit(from, (size_t)(s->p - from));
    if (unit == UNIT_NONE || (unit == UNIT_QUARTER && s->p > from) || !note(s, 1u << unit)) return E_DATETIME;
    add_unit(&s->sum, unit, sign * whole, sign * fraction);
    return ST_OK;
}

/* P1Y2M3DT4H5M6S, P0001-02-03T04:05:06, P2W */
static enum status read_iso(struct scan *s)
{
    bool time = false;
    while (s->p < s->end) {
        if (at(s, 'T') || at(s, 't')) {
            time = true, s->p++;
            continue;
        }
        long double sign = 1, whole, fraction;
        if (at(s, '-') || at(s, '+')) sign = *s->p++ == '-' ? -1 : 1;
        if (!read_number(s, &whole, &fraction)) return E_DATETIME;
        s->some = true;
        if (s->p == s->end) return E_DATETIME;
        if (*s->p == ':') {
            TRY(read_clock(s, whole, sign));
            continue;
        }
        if (*s->p == '-' && !time) {
            long double months, days = 0, none;
            s->p++;
            if (!read_number(s, &months, &none)) return E_DATETIME;
            if (at(s, '-')) {
                s->p++;
                if (!read_number(s, &days, &none)) return E_DATETIME;
            }
            s->sum.months += sign * (whole * 12 + months);
            s->sum.days += sign * days;
            continue;
        }
        enum unit unit;
        switch (*s->p++ | 32) {
        case 'y': unit = UNIT_YEAR; break;
        case 'm': unit = time ? UNIT_MINUTE : UNIT_MONTH; break;
        case 'w': unit = UNIT_WEEK; break;
        case 'd': unit = UNIT_DAY; break;
        case 'h': unit = UNIT_HOUR; break;
        case 's': unit = UNIT_SECOND; break;
        default: return E_DATETIME;
        }
        add_unit(&s->sum, unit, sign * whole, sign * fraction);
    }
    return s->some ? ST_OK : E_DATETIME;
}

static enum status read_all(struct scan *s)
{
    bool ago = false;
    for (skip_blanks(s); s->p < s->end; skip_blanks(s)) {
        if (at(s, '@')) {
            s->p++;
            continue;
        }
        if (!s->some && (at(s, 'P') || at(s, 'p'))) {
            s->p++;
            return read_iso(s);
        }
        if (ago) return E_DATETIME;
        if (is_ago(s)) {
            s->p += 3;
            ago = true;
            continue;
        }
        TRY(read_field(s));
    }
    if (!s->some) return E_DATETIME;
    if (ago) s->sum = (struct sum){-s->sum.months, -s->sum.days, -s->sum.us};
    return ST_OK;
}

/* The qualifier after the text: the last field is what bare numbers are and what is kept. */
static enum unit last_unit(const char *unit, enum unit *first)
{
    size_t n = 0;
    while (is_letter(unit[n])) n++;
    enum unit last = *first = datetime_unit(unit, n);
    for (const char *p = unit + n; *p; p++)
        if (is_letter(*p)) {
            for (n = 0; is_letter(p[n]); n++) {
            }
            if (!(n == 2 && (p[0] | 32) == 't')) last = datetime_unit(p, n);
            p += n - 1;
        }
    return last;
}

/* Only the fields of the qualifier stay, as PostgreSQL cuts them. */
static void restrict_to(struct interval *v, enum unit last)
{
    switch (last) {
    case UNIT_YEAR: *v = (struct interval){.months = v->months / 12 * 12}; break;
    case UNIT_MONTH: *v = (struct interval){.months = v->months}; break;
    case UNIT_DAY: v->us = 0; break;
    case UNIT_HOUR: v->us -= v->us % US_HOUR; break;
    case UNIT_MINUTE: v->us -= v->us % US_MINUTE; break;
    default: break;
    }
}

enum status interval_parse(const char *p, size_t n, const char *unit, struct interval *out)
{
    struct scan s = {.p = p, .end = p + n, .bare = UNIT_SECOND};
    enum unit last = UNIT_NONE;
    if (unit && *unit) {
        enum unit first;
        last = last_unit(unit, &first);
        if (last == UNIT_NONE) return E_DATETIME;
        s.bare = last;
        s.min_sec = first == UNIT_MINUTE && last == UNIT_SECOND;
    }
    TRY(read_all(&s));
    TRY(settle(&s.sum, out));
    restrict_to(out, last);
    return ST_OK;
}

/* ---- printing ------------------------------------------------------------------------------------ */

struct printer {
    char *p;
    bool empty, before; /* the field before was negative: a positive one shows its sign */
};

static void put_field(struct printer *o, int64_t v, const char *unit)
{
    if (!v) return;
    if (!o->empty) *o->p++ = ' ';
    if (o->before && v > 0) *o->p++ = '+';
    o->p += cell_print_int64(v, o->p);
    *o->p++ = ' ';
    while (*unit) *o->p++ = *unit++;
    if (v != 1) *o->p++ = 's';
    o->before = v < 0;
    o->empty = false;
}

static void put2(struct printer *o, int v)
{
    *o->p++ = (char)('0' + v / 10);
    *o->p++ = (char)('0' + v % 10);
}

static void put_clock(struct printer *o, int64_t us)
{
    if (!o->empty) *o->p++ = ' ';
    if (us < 0)
        *o->p++ = '-';
    else if (o->before)
        *o->p++ = '+';
    uint64_t m = us < 0 ? -(uint64_t)us : (uint64_t)us;
    uint64_t hours = m / (uint64_t)US_HOUR;
    if (hours < 10) *o->p++ = '0';
    o->p += cell_print_int64((int64_t)hours, o->p);
    *o->p++ = ':';
    put2(o, (int)(m / (uint64_t)US_MINUTE % 60));
    *o->p++ = ':';
    put2(o, (int)(m / 1000000 % 60));
    int fraction = (int)(m % 1000000);
    if (!fraction) return;
    *o->p++ = '.';
    for (int unit = 100000; fraction; unit /= 10) {
        *o->p++ = (char)('0' + fraction / unit);
        fraction %= unit;
    }
}

uint32_t interval_print(struct interval v, char *out)
{
    struct printer o = {.p = out, .empty = true};
    put_field(&o, v.months / 12, "year");
    put_field(&o, v.months % 12, "mon");
    put_field(&o, v.days, "day");
    if (o.empty || v.us) put_clock(&o, v.us);
    return (uint32_t)(o.p - out);
}

/* ---- arithmetic ---------------------------------------------------------------------------------- */

bool interval_add(struct interval a, struct interval b, struct interval *out)
{
    struct interval v;
    if (__builtin_add_overflow(a.months, b.months, &v.months) || __builtin_add_overflow(a.days, b.days, &v.days) ||
        __builtin_add_overflow(a.us, b.us, &v.us))
        return false;
    return *out = v, true;
}

bool interval_negate(struct interval a, struct interval *out)
{
    if (a.months == INT32_MIN || a.days == INT32_MIN || a.us == INT64_MIN) return false;
    return *out = (struct interval){-a.months, -a.days, -a.us}, true;
}

/* Rounded where a fraction of a microsecond is binary noise. */
static double tidy(double x)
{
    return rint(x * 1e6) / 1e6;
}

/* Whole months and days stay; their fractions fall through months of 30 days into days, and through days into
 * time. */
static bool compose(double months, double days, double us, struct interval *out)
{
    if (!(fabs(months) <= INT32_MAX && fabs(days) <= INT32_MAX)) return false;
    struct interval v = {(int32_t)months, (int32_t)days, 0};
    double month_days = tidy((months - v.months) * 30);
    double rest = tidy((days - v.days + month_days - (double)(int32_t)month_days) * 86400);
    if (fabs(rest) >= 86400) {
        double whole = trunc(rest / 86400);
        v.days += (int32_t)whole;
        rest -= whole * 86400;
    }
    if (__builtin_add_overflow(v.days, (int32_t)month_days, &v.days)) return false;
    us = rint(us + rest * 1e6);
    if (!(fabs(us) < 0x1p63)) return false;
    v.us = (int64_t)us;
    return *out = v, true;
}

bool interval_scale(struct interval a, double by, struct interval *out)
{
    return compose((double)a.months * by, (double)a.days * by, (double)a.us * by, out);
}

bool interval_divide(struct interval a, double by, struct interval *out)
{
    return compose((double)a.months / by, (double)a.days / by, (double)a.us / by, out);
}
