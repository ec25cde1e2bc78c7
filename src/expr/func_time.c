/* Functions and operators of dates, times and intervals. A BIGINT counts milliseconds where an interval is added
 * to it. SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"
#include "expr/clock.h"
#include "expr/datetime.h"
#include "expr/decimal.h"
#include "expr/expr_int.h"

#include <math.h>
#include <strings.h>

static struct env *clock_of;
void expr_env_set(struct env *env)
{
    clock_of = env;
}
struct env *clock_env(void)
{
    return clock_of ? clock_of : env_real();
}

#define RANGE_ERROR E_DATETIME_RANGE, "date/time field value out of range"

/* A kernel that sets out[i] of live rows; `ok` says whether it could. */
#define ROWS(NAME, T, ...)                                                                                             \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        T *out = c->out;                                                                                               \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            memset(&out[i], 0, sizeof out[i]);                                                                         \
            if (!call_live(c, i)) continue;                                                                            \
            bool ok = true;                                                                                            \
            __VA_ARGS__                                                                                                \
            if (unlikely(!ok)) call_fail(c, i, RANGE_ERROR);                                                           \
        }                                                                                                              \
    }

/* ---- arithmetic --------------------------------------------------------------------------------------- */

static bool put_date(int64_t days, int32_t *out)
{
    if (days < DATE_MIN || days > DATE_MAX) return false;
    return *out = (int32_t)days, true;
}

#define DATE(k)     ((int64_t)ARG(c, k, int32_t, i))
#define TIME(k)     ARG(c, k, int64_t, i)
#define INTERVAL(k) ARG(c, k, struct interval, i)

ROWS(date_add_int, int32_t, ok = put_date(DATE(0) + DATE(1), &out[i]);)
ROWS(date_sub_int, int32_t, ok = put_date(DATE(0) - DATE(1), &out[i]);)
ROWS(date_sub, int32_t, out[i] = (int32_t)(DATE(0) - DATE(1));)

/* Fixed spans are added in one pass; only what leaves the range is looked at again. */
static bool add_span(struct call *c, int64_t span)
{
    int64_t *restrict out = c->out;
    const int64_t *x = c->args[0].data;
    bool bad = false;
    for (uint32_t i = 0; i < c->n; i++) {
        int64_t r;
        bad |= __builtin_add_overflow(x[i], span, &r);
        bad |= r < DATE_MIN * US_DAY || r == INT64_MAX;
        out[i] = r;
    }
    return !bad;
}

static bool fixed_span(const struct call *c, int sign, int64_t *out)
{
    if (c->args[1].mask || !c->args[0].mask) return false;
    struct interval v = ARG(c, 1, struct interval, 0);
    int64_t span;
    if (v.months || __builtin_mul_overflow((int64_t)v.days, US_DAY, &span) || __builtin_add_overflow(span, v.us, &span))
        return false;
    return !__builtin_mul_overflow(span, (int64_t)sign, out);
}

ROWS(add_each, int64_t, ok = timestamp_add(TIME(0), INTERVAL(1), &out[i]);)
ROWS(sub_each, int64_t, {
    struct interval v;
    ok = interval_negate(INTERVAL(1), &v) && timestamp_add(TIME(0), v, &out[i]);
})

static void timestamp_plus(struct call *c)
{
    int64_t span;
    if (!fixed_span(c, 1, &span) || !add_span(c, span)) add_each(c);
}

static void timestamp_minus(struct call *c)
{
    int64_t span;
    if (!fixed_span(c, -1, &span) || !add_span(c, span)) sub_each(c);
}

ROWS(interval_plus_timestamp, int64_t, ok = timestamp_add(TIME(1), INTERVAL(0), &out[i]);)
ROWS(timestamp_sub, struct interval, ok = timestamp_diff(TIME(0), TIME(1), &out[i]);)
ROWS(date_plus_interval, int64_t, ok = timestamp_add(DATE(0) * US_DAY, INTERVAL(1), &out[i]);)
ROWS(interval_plus_date, int64_t, ok = timestamp_add(DATE(1) * US_DAY, INTERVAL(0), &out[i]);)
ROWS(date_minus_interval, int64_t, {
    struct interval v;
    ok = interval_negate(INTERVAL(1), &v) && timestamp_add(DATE(0) * US_DAY, v, &out[i]);
})
ROWS(date_plus_time, int64_t, ok = timestamp_add(DATE(0) * US_DAY, (struct interval){.us = TIME(1)}, &out[i]);)
ROWS(time_plus_date, int64_t, ok = timestamp_add(DATE(1) * US_DAY, (struct interval){.us = TIME(0)}, &out[i]);)

static int64_t wrap_day(int64_t us)
{
    us %= US_DAY;
    return us < 0 ? us + US_DAY : us;
}
ROWS(time_plus, int64_t, out[i] = wrap_day(TIME(0) + INTERVAL(1).us % US_DAY);)
ROWS(time_minus, int64_t, out[i] = wrap_day(TIME(0) - INTERVAL(1).us % US_DAY);)
ROWS(interval_plus_time, int64_t, out[i] = wrap_day(TIME(1) + INTERVAL(0).us % US_DAY);)
ROWS(time_sub, struct interval, out[i] = (struct interval){.us = TIME(0) - TIME(1)};)

ROWS(interval_plus, struct interval, ok = interval_add(INTERVAL(0), INTERVAL(1), &out[i]);)
ROWS(interval_minus, struct interval, {
    struct interval v;
    ok = interval_negate(INTERVAL(1), &v) && interval_add(INTERVAL(0), v, &out[i]);
})
ROWS(interval_neg, struct interval, ok = interval_negate(INTERVAL(0), &out[i]);)
ROWS(interval_mul, struct interval, ok = interval_scale(INTERVAL(0), ARG(c, 1, double, i), &out[i]);)
ROWS(mul_interval, struct interval, ok = interval_scale(INTERVAL(1), ARG(c, 0, double, i), &out[i]);)

static void interval_div(struct call *c)
{
    struct interval *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct interval){0};
        if (!call_live(c, i)) continue;
        double by = ARG(c, 1, double, i);
        if (by == 0)
            call_fail(c, i, E_DIV0, "division by zero");
        else if (!interval_divide(INTERVAL(0), by, &out[i]))
            call_fail(c, i, E_DATETIME_RANGE, "interval out of range");
    }
}

/* ---- BIGINT event times -------------------------------------------------------------------------------- */

static enum status bind_millis(struct arena *a, struct expr *e, struct err *err)
{
    (void)a;
    const struct expr *v = e->args[e->args[0]->type.id == T_INT64];
    if (v->kind != EXPR_CONST || v->value.is_null || !v->value.iv.months) return ST_OK;
    err_at(err, E_TYPE, v->pos, "months and years cannot be added to a BIGINT, which counts milliseconds");
    err_hint(err, "use days, hours, minutes or seconds");
    return E_TYPE;
}

static void add_millis(struct call *c, int of, int sign)
{
    int64_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        struct interval v = ARG(c, !of, struct interval, i);
        out[i] = 0;
        if (!call_live(c, i)) continue;
        int64_t ms = ((int64_t)v.days * US_DAY / 1000 + v.us / 1000 - (v.us % 1000 < 0)) * sign;
        if (v.months)
            call_fail(c, i, E_ARGUMENT, "months and years cannot be added to a BIGINT, which counts milliseconds");
        else if (__builtin_add_overflow(ARG(c, of, int64_t, i), ms, &out[i]))
            call_fail(c, i, E_RANGE, "bigint out of range");
    }
}
static void millis_plus(struct call *c)
{
    add_millis(c, 0, 1);
}
static void millis_minus(struct call *c)
{
    add_millis(c, 0, -1);
}
static void interval_plus_millis(struct call *c)
{
    add_millis(c, 1, 1);
}

/* ---- fields -------------------------------------------------------------------------------------------- */

/* Beyond the units. */
enum { FIELD_DOW = 32, FIELD_ISODOW, FIELD_DOY, FIELD_ISOYEAR, FIELD_EPOCH, FIELD_JULIAN, FIELD_ZONE };

static const struct {
    const char *word;
    int field;
} field_words[] = {{"dow", FIELD_DOW},         {"isodow", FIELD_ISODOW},      {"doy", FIELD_DOY},
                   {"isoyear", FIELD_ISOYEAR}, {"epoch", FIELD_EPOCH},        {"julian", FIELD_JULIAN},
                   {"timezone", FIELD_ZONE},   {"timezone_hour", FIELD_ZONE}, {"timezone_minute", FIELD_ZONE}};

static int field_of(const struct str *s)
{
    const char *p = str_ptr(s);
    for (size_t i = 0; i < countof(field_words); i++)
        if (strlen(field_words[i].word) == s->n && !strncasecmp(field_words[i].word, p, s->n))
            return field_words[i].field;
    return (int)datetime_unit(p, s->n);
}

static int64_t era_year(int64_t y)
{
    return y > 0 ? y : y - 1;
}
static int64_t ceil_div(int64_t y, int64_t n)
{
    return y > 0 ? (y + n - 1) / n : -((n - y) / n);
}
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Fields of a moment, in units of 10^-scale of the field. False: the type has none such. */
static bool moment_field(int field, int64_t us, int128 *out)
{
    int64_t days = floor_div(us, US_DAY), clock = us - days * US_DAY, year;
    int week;
    switch (field) { /* what needs no calendar */
    case UNIT_MICROSECOND:
    case UNIT_MILLISECOND:
    case UNIT_SECOND: return *out = clock % US_MINUTE, true;
    case UNIT_MINUTE: return *out = clock / US_MINUTE % 60, true;
    case UNIT_HOUR: return *out = clock / US_HOUR, true;
    case FIELD_EPOCH: return *out = us, true;
    case FIELD_DOW: return *out = datetime_weekday(days), true;
    default: break;
    }
    struct moment m;
    moment_of_days(days, &m);
    switch (field) {
    case UNIT_DAY: *out = m.day; break;
    case UNIT_MONTH: *out = m.month; break;
    case UNIT_QUARTER: *out = (m.month - 1) / 3 + 1; break;
    case UNIT_YEAR: *out = era_year(m.year); break;
    case UNIT_DECADE: *out = floor_div(m.year, 10); break;
    case UNIT_CENTURY: *out = ceil_div(m.year, 100); break;
    case UNIT_MILLENNIUM: *out = ceil_div(m.year, 1000); break;
    case UNIT_WEEK: datetime_iso_week(days, &year, &week), *out = week; break;
    case FIELD_ISOYEAR: datetime_iso_week(days, &year, &week), *out = era_year(year); break;
    case FIELD_ISODOW: *out = (datetime_weekday(days) + 6) % 7 + 1; break;
    case FIELD_DOY: *out = days - days_of_civil(m.year, 1, 1) + 1; break;
    case FIELD_JULIAN: *out = (int128)(days + 2440588) * US_DAY + clock; break; /* microdays are the caller's */
    case FIELD_ZONE: *out = 0; break;
    default: return false;
    }
    return true;
}

static bool interval_field(int field, struct interval v, int128 *out)
{
    switch (field) {
    case UNIT_MICROSECOND:
    case UNIT_MILLISECOND:
    case UNIT_SECOND: *out = v.us % US_MINUTE; break;
    case UNIT_MINUTE: *out = v.us / US_MINUTE % 60; break;
    case UNIT_HOUR: *out = v.us / US_HOUR; break;
    case UNIT_DAY: *out = v.days; break;
    case UNIT_MONTH: *out = v.months % 12; break;
    case UNIT_QUARTER: *out = v.months % 12 / 3 + 1; break;
    case UNIT_YEAR: *out = v.months / 12; break;
    case UNIT_DECADE: *out = v.months / 120; break;
    case UNIT_CENTURY: *out = v.months / 1200; break;
    case UNIT_MILLENNIUM: *out = v.months / 12000; break;
    case FIELD_EPOCH: /* a year is 365.25 days, a month 30 */
        *out = (int128)(v.months / 12) * (US_DAY * 1461 / 4) + ((int128)(v.months % 12) * 30 + v.days) * US_DAY + v.us;
        break;
    default: return false;
    }
    return true;
}

/* Digits after the point of a field. */
static int field_scale(int field, uint8_t type)
{
    switch (field) {
    case UNIT_MILLISECOND: return 3;
    case UNIT_SECOND: return 6;
    case FIELD_EPOCH: return type == T_DATE ? 0 : 6;
    case FIELD_JULIAN: return type == T_DATE ? 0 : 16;
    default: return 0;
    }
}

static bool has_field(int field, uint8_t type)
{
    if (field == UNIT_NONE) return false;
    bool clock = field >= UNIT_MICROSECOND && field <= UNIT_HOUR;
    switch (type) {
    case T_DATE: return !clock && field != FIELD_ZONE;
    case T_TIME: return clock || field == FIELD_EPOCH;
    case T_INTERVAL: return field != UNIT_WEEK && (field < FIELD_DOW || field == FIELD_EPOCH);
    case T_TIMESTAMP: return field != FIELD_ZONE;
    default: return true;
    }
}

static bool field_value(const struct call *c, uint32_t i, int field, int128 *out)
{
    struct type t = c->e->args[1]->type;
    if (!has_field(field, t.id)) return false;
    if (t.id == T_INTERVAL) return interval_field(field, INTERVAL(1), out);
    if (t.id != T_DATE) return moment_field(field, TIME(1), out);
    if (field == FIELD_EPOCH) return *out = (int128)DATE(1) * 86400, true;
    if (field == FIELD_JULIAN) return *out = DATE(1) + 2440588, true;
    return moment_field(field, DATE(1) * US_DAY, out);
}

static int row_field(const struct call *c, uint32_t i)
{
    return c->e->data ? *(const int *)c->e->data : field_of(&ARG(c, 0, struct str, i));
}

static void no_field(struct call *c, uint32_t i)
{
    const struct str *s = &ARG(c, 0, struct str, i);
    char name[64];
    call_fail(c, i, field_of(s) ? E_UNSUPPORTED : E_ARGUMENT, "unit \"%.*s\" is not known for type %s",
              s->n > 40 ? 40 : (int)s->n, str_ptr(s), type_name(c->e->args[1]->type, name));
}

/* The value as a DECIMAL of scale `to`. */
static bool field_decimal(const struct call *c, uint32_t i, int field, int to, int128 *out)
{
    int128 v;
    if (!field_value(c, i, field, &v)) return false;
    uint8_t type = c->e->args[1]->type.id;
    if (field == FIELD_JULIAN && type != T_DATE) return decimal_div(v, 0, US_DAY, 0, to, out);
    return decimal_rescale(v, field_scale(field, type), to, out);
}

static void extract(struct call *c)
{
    int128 *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = 0;
        if (call_live(c, i) && !field_decimal(c, i, row_field(c, i), c->e->type.scale, &out[i])) no_field(c, i);
    }
}

static void date_part(struct call *c)
{
    double *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int128 v;
        out[i] = 0;
        if (!call_live(c, i)) continue;
        int field = row_field(c, i), scale = field_scale(field, c->e->args[1]->type.id);
        if (field_decimal(c, i, field, scale, &v))
            out[i] = decimal_double(v, scale);
        else
            no_field(c, i);
    }
}

static enum status bind_field(struct arena *a, struct expr *e, struct err *err)
{
    if (e->args[0]->kind != EXPR_CONST || e->args[0]->value.is_null) return ST_OK;
    struct type t = e->args[1]->type;
    int *field = arena_alloc(a, sizeof *field);
    *field = field_of(&e->args[0]->value.s);
    if (!has_field(*field, t.id)) {
        uint32_t n;
        char name[64];
        const char *p = const_text(e->args[0], &n);
        err_at(err, *field ? E_UNSUPPORTED : E_ARGUMENT, e->args[0]->pos, "unit \"%.*s\" is not known for type %s",
               n > 40 ? 40 : (int)n, p, type_name(t, name));
        err_hint(err, "units are year, month, day, hour, minute, second, epoch, week, dow, doy, quarter and their kin");
        return *field ? E_UNSUPPORTED : E_ARGUMENT;
    }
    e->data = field;
    e->can_fail = e->args[1]->can_fail;
    return ST_OK;
}

static enum status bind_extract(struct arena *a, struct expr *e, struct err *err)
{
    TRY(bind_field(a, e, err));
    int scale = e->data ? field_scale(*(int *)e->data, e->args[1]->type.id) : 6;
    e->type = e->data ? type_decimal(19 + scale > 38 ? 38 : 19 + scale, scale) : type_decimal(0, scale);
    return ST_OK;
}

/* ---- date_trunc ---------------------------------------------------------------------------------------- */

static const int64_t unit_us[] = {[UNIT_MICROSECOND] = 1,    [UNIT_MILLISECOND] = 1000, [UNIT_SECOND] = US_SECOND,
                                  [UNIT_MINUTE] = US_MINUTE, [UNIT_HOUR] = US_HOUR,     [UNIT_DAY] = US_DAY};

/* The first year of the decade, century or millennium; those of AD 1 begin in year 1. */
static int64_t year_of_unit(int unit, int64_t y)
{
    switch (unit) {
    case UNIT_DECADE: return floor_div(y, 10) * 10;
    case UNIT_CENTURY: return floor_div(y - 1, 100) * 100 + 1;
    case UNIT_MILLENNIUM: return floor_div(y - 1, 1000) * 1000 + 1;
    default: return y;
    }
}

static bool trunc_moment(int unit, int64_t us, int64_t *out)
{
    if (unit >= UNIT_MICROSECOND && unit <= UNIT_DAY) return *out = floor_div(us, unit_us[unit]) * unit_us[unit], true;
    int64_t days = floor_div(us, US_DAY);
    if (unit == UNIT_WEEK) return *out = (days - (datetime_weekday(days) + 6) % 7) * US_DAY, true;
    struct moment m;
    moment_of_days(days, &m);
    m.day = 1;
    if (unit == UNIT_QUARTER) m.month -= (m.month - 1) % 3;
    if (unit >= UNIT_YEAR) m.month = 1;
    m.year = year_of_unit(unit, m.year);
    return moment_us(&m, out);
}

static struct interval trunc_interval(int unit, struct interval v)
{
    static const int months[] = {[UNIT_MONTH] = 1,    [UNIT_QUARTER] = 3,    [UNIT_YEAR] = 12,
                                 [UNIT_DECADE] = 120, [UNIT_CENTURY] = 1200, [UNIT_MILLENNIUM] = 12000};
    if (unit < UNIT_DAY) return (struct interval){v.months, v.days, v.us - v.us % unit_us[unit]};
    if (unit == UNIT_DAY) return (struct interval){v.months, v.days, 0};
    return (struct interval){v.months - v.months % months[unit], 0, 0};
}

static bool is_unit(int unit)
{
    return unit > UNIT_NONE && unit <= UNIT_MILLENNIUM;
}

/* A constant unit of fixed length: a loop without calls. */
static bool trunc_fixed(struct call *c)
{
    int unit = c->e->data ? *(const int *)c->e->data : UNIT_NONE;
    if (unit < UNIT_MICROSECOND || unit > UNIT_DAY || !c->args[1].mask) return false;
    const int64_t *x = c->args[1].data, by = unit_us[unit];
    int64_t *restrict out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int64_t rest = x[i] % by;
        out[i] = x[i] - rest - (rest < 0 ? by : 0);
    }
    return true;
}

static void date_trunc(struct call *c)
{
    if (trunc_fixed(c)) return;
    int64_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = 0;
        if (!call_live(c, i)) continue;
        int unit = row_field(c, i);
        if (!is_unit(unit))
            no_field(c, i);
        else if (!trunc_moment(unit, TIME(1), &out[i]))
            call_fail(c, i, RANGE_ERROR);
    }
}

static void date_trunc_interval(struct call *c)
{
    struct interval *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct interval){0};
        if (!call_live(c, i)) continue;
        int unit = row_field(c, i);
        if (!is_unit(unit) || unit == UNIT_WEEK)
            no_field(c, i);
        else
            out[i] = trunc_interval(unit, INTERVAL(1));
    }
}

static enum status bind_trunc(struct arena *a, struct expr *e, struct err *err)
{
    if (e->args[0]->kind != EXPR_CONST || e->args[0]->value.is_null) return ST_OK;
    int *unit = arena_alloc(a, sizeof *unit);
    *unit = field_of(&e->args[0]->value.s);
    bool week = *unit == UNIT_WEEK && e->args[1]->type.id == T_INTERVAL;
    if (!is_unit(*unit) || week) {
        enum status st = week ? E_UNSUPPORTED : E_ARGUMENT;
        err_at(err, st, e->args[0]->pos, "date_trunc has no such unit");
        err_hint(err, "use year, quarter, month, week, day, hour, minute, second or milliseconds");
        return st;
    }
    e->data = unit;
    e->can_fail = e->args[1]->can_fail || *unit > UNIT_DAY;
    return ST_OK;
}

/* Buckets of a fixed stride from an origin. */
static void date_bin(struct call *c)
{
    int64_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = 0;
        if (!call_live(c, i)) continue;
        struct interval v = INTERVAL(0);
        int64_t span = (int64_t)v.days * US_DAY + v.us, diff;
        if (v.months || span <= 0)
            call_fail(c, i, E_ARGUMENT,
                      v.months ? "strides of months or years are not supported" : "stride must be greater than zero");
        else if (__builtin_sub_overflow(TIME(1), TIME(2), &diff))
            call_fail(c, i, RANGE_ERROR);
        else
            out[i] = TIME(2) + floor_div(diff, span) * span;
    }
}

/* ---- making --------------------------------------------------------------------------------------------- */

static bool civil(int64_t year, int month, int day, int64_t *out)
{
    if (!year) return false;
    if (year < 0) year++;
    if (!moment_valid(year, month, day)) return false;
    *out = days_of_civil(year, month, day);
    return *out >= DATE_MIN && *out <= DATE_MAX;
}

static bool clock_us(int32_t hour, int32_t minute, double second, int64_t *out)
{
    if (hour < 0 || hour > 24 || minute < 0 || minute > 59 || !(second >= 0 && second <= 60)) return false;
    *out = hour * US_HOUR + minute * US_MINUTE + (int64_t)rint(second * 1e6);
    return *out <= US_DAY;
}

#define INT(k) ARG(c, k, int32_t, i)
ROWS(make_date, int32_t, {
    int64_t days;
    ok = civil(INT(0), INT(1), INT(2), &days) && put_date(days, &out[i]);
})
ROWS(make_time, int64_t, ok = clock_us(INT(0), INT(1), ARG(c, 2, double, i), &out[i]);)
ROWS(make_timestamp, int64_t, {
    int64_t days;
    int64_t us;
    ok = civil(INT(0), INT(1), INT(2), &days) && clock_us(INT(3), INT(4), ARG(c, 5, double, i), &us) &&
         timestamp_add(0, (struct interval){0, (int32_t)days, us}, &out[i]);
})

/* Seconds since 1970, rounded where PostgreSQL rounds: counted from 2000. */
ROWS(to_timestamp, int64_t, {
    double us = rint((ARG(c, 0, double, i) - 946684800.0) * 1e6) + 946684800e6;
    ok = us >= (double)(DATE_MIN * US_DAY) && us < 0x1p63;
    if (ok) out[i] = (int64_t)rint((ARG(c, 0, double, i) - 946684800.0) * 1e6) + 946684800000000ll;
})
#define EPOCH(NAME, FACTOR)                                                                                            \
    ROWS(NAME, int64_t, ok = !__builtin_mul_overflow(TIME(0), FACTOR, &out[i]) && datetime_in_range(out[i]);)
EPOCH(from_seconds, US_SECOND)
EPOCH(from_millis, 1000ll)
EPOCH(from_micros, 1ll)

ROWS(age, struct interval, ok = timestamp_age(TIME(0), TIME(1), &out[i]);)

/* Whole days of 24 hours, whole months of 30 days. */
static bool justify(struct interval v, bool hours, bool days, struct interval *out)
{
    int64_t d = v.days, m = v.months, us = v.us;
    if (hours) d += us / US_DAY, us %= US_DAY;
    if (days) m += d / 30, d %= 30;
    if (days && m > 0 && (d < 0 || (d == 0 && us < 0))) d += 30, m--;
    if (days && m < 0 && (d > 0 || (d == 0 && us > 0))) d -= 30, m++;
    if (hours && d > 0 && us < 0) us += US_DAY, d--;
    if (hours && d < 0 && us > 0) us -= US_DAY, d++;
    if (d != (int32_t)d || m != (int32_t)m) return false;
    return *out = (struct interval){(int32_t)m, (int32_t)d, us}, true;
}
ROWS(justify_hours, struct interval, ok = justify(INTERVAL(0), true, false, &out[i]);)
ROWS(justify_days, struct interval, ok = justify(INTERVAL(0), false, true, &out[i]);)
ROWS(justify_interval, struct interval, ok = justify(INTERVAL(0), true, true, &out[i]);)

static void isfinite_(struct call *c)
{
    memset(c->out, 1, c->n);
}

/* ---- zones ---------------------------------------------------------------------------------------------- */

/* A bare offset counts west as positive, which is POSIX's way and so PostgreSQL's. */
static bool bare_offset(const struct str *s)
{
    return s->n && (*str_ptr(s) == '+' || *str_ptr(s) == '-');
}

/* timezone(zone, timestamp): the moment when clocks there show it; and back. */
static void at_zone(struct call *c, int sign)
{
    int64_t *out = c->out, zone;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = 0;
        if (!call_live(c, i)) continue;
        const struct str *s = &ARG(c, 0, struct str, i);
        if (!datetime_zone(str_ptr(s), s->n, &zone))
            call_fail(c, i, E_ARGUMENT, "time zone \"%.*s\" is not known: give UTC, an abbreviation or an offset",
                      s->n > 40 ? 40 : (int)s->n, str_ptr(s));
        else if (!timestamp_add(TIME(1), (struct interval){.us = (bare_offset(s) ? -sign : sign) * zone}, &out[i]))
            call_fail(c, i, RANGE_ERROR);
    }
}
static void zone_to_utc(struct call *c)
{
    at_zone(c, -1);
}
static void utc_to_zone(struct call *c)
{
    at_zone(c, 1);
}

/* ---- the clock ------------------------------------------------------------------------------------------- */

static int64_t wall(void)
{
    struct env *env = clock_env();
    return env->ops->wall_us(env);
}

static void now(struct call *c)
{
    int64_t *out = c->out, us = wall();
    for (uint32_t i = 0; i < c->n; i++) out[i] = us;
}

static void current_date(struct call *c)
{
    int32_t *out = c->out, days = (int32_t)floor_div(wall(), US_DAY);
    for (uint32_t i = 0; i < c->n; i++) out[i] = days;
}

static void current_time(struct call *c)
{
    int64_t *out = c->out, us = wrap_day(wall());
    for (uint32_t i = 0; i < c->n; i++) out[i] = us;
}

/* ---- the table -------------------------------------------------------------------------------------------- */

#define TS T_TIMESTAMP
#define TZ T_TIMESTAMPTZ
#define IV T_INTERVAL
#define DT T_DATE
#define TM T_TIME
#define II T_INT32
#define LL T_INT64
#define DD T_DOUBLE
#define TT T_VARCHAR
#define OP(NAME, RET, A, B, RUN)                                                                                       \
    {                                                                                                                  \
        NAME, RET, 2, {A, B}, FN_FAILS, RUN, NULL                                                                      \
    }
#define FIELDS(NAME, RET, A, RUN, BIND)                                                                                \
    {                                                                                                                  \
        NAME, RET, 2, {TT, A}, FN_FAILS, RUN, BIND                                                                     \
    }
#define CLOCK(NAME, RET, RUN)                                                                                          \
    {                                                                                                                  \
        NAME, RET, 0, {0}, FN_VOLATILE, RUN, NULL                                                                      \
    }

/* clang-format off */
const struct function func_time[] = {
    OP("+", TS, TS, IV, timestamp_plus), OP("-", TS, TS, IV, timestamp_minus), OP("+", TS, IV, TS, interval_plus_timestamp),
    OP("+", TZ, TZ, IV, timestamp_plus), OP("-", TZ, TZ, IV, timestamp_minus), OP("+", TZ, IV, TZ, interval_plus_timestamp),
    OP("-", IV, TS, TS, timestamp_sub), OP("-", IV, TZ, TZ, timestamp_sub),
    OP("+", DT, DT, II, date_add_int), OP("+", DT, II, DT, date_add_int), OP("-", DT, DT, II, date_sub_int),
    OP("-", II, DT, DT, date_sub), OP("+", TS, DT, IV, date_plus_interval), OP("+", TS, IV, DT, interval_plus_date),
    OP("-", TS, DT, IV, date_minus_interval), OP("+", TS, DT, TM, date_plus_time), OP("+", TS, TM, DT, time_plus_date),
    OP("+", TM, TM, IV, time_plus), OP("-", TM, TM, IV, time_minus), OP("+", TM, IV, TM, interval_plus_time),
    OP("-", IV, TM, TM, time_sub),
    OP("+", IV, IV, IV, interval_plus), OP("-", IV, IV, IV, interval_minus), {"neg", IV, 1, {IV}, FN_FAILS, interval_neg, NULL},
    OP("*", IV, IV, DD, interval_mul), OP("*", IV, DD, IV, mul_interval), OP("/", IV, IV, DD, interval_div),
    {"+", LL, 2, {LL, IV}, FN_FAILS, millis_plus, bind_millis}, {"-", LL, 2, {LL, IV}, FN_FAILS, millis_minus, bind_millis},
    {"+", LL, 2, {IV, LL}, FN_FAILS, interval_plus_millis, bind_millis},
    FIELDS("extract", T_DECIMAL, TS, extract, bind_extract), FIELDS("extract", T_DECIMAL, TZ, extract, bind_extract),
    FIELDS("extract", T_DECIMAL, DT, extract, bind_extract), FIELDS("extract", T_DECIMAL, TM, extract, bind_extract),
    FIELDS("extract", T_DECIMAL, IV, extract, bind_extract),
    FIELDS("date_part", DD, TS, date_part, bind_field), FIELDS("date_part", DD, TZ, date_part, bind_field),
    FIELDS("date_part", DD, TM, date_part, bind_field),
    FIELDS("date_part", DD, IV, date_part, bind_field),
    FIELDS("date_trunc", TS, TS, date_trunc, bind_trunc), FIELDS("date_trunc", TZ, TZ, date_trunc, bind_trunc),
    FIELDS("date_trunc", IV, IV, date_trunc_interval, bind_trunc),
    {"date_bin", TS, 3, {IV, TS, TS}, FN_FAILS, date_bin, NULL}, {"date_bin", TZ, 3, {IV, TZ, TZ}, FN_FAILS, date_bin, NULL},
    {"make_date", DT, 3, {II, II, II}, FN_FAILS, make_date, NULL}, {"make_time", TM, 3, {II, II, DD}, FN_FAILS, make_time, NULL},
    {"make_timestamp", TS, 6, {II, II, II, II, II, DD}, FN_FAILS, make_timestamp, NULL},
    {"to_timestamp", TZ, 1, {DD}, FN_FAILS, to_timestamp, NULL},
    {"to_timestamp_seconds", TS, 1, {LL}, FN_FAILS, from_seconds, NULL}, {"from_unixtime", TS, 1, {LL}, FN_FAILS, from_seconds, NULL},
    {"to_timestamp_millis", TS, 1, {LL}, FN_FAILS, from_millis, NULL}, {"to_timestamp_micros", TS, 1, {LL}, FN_FAILS, from_micros, NULL},
    {"age", IV, 2, {TS, TS}, FN_FAILS, age, NULL}, {"age", IV, 2, {TZ, TZ}, FN_FAILS, age, NULL},
    {"justify_hours", IV, 1, {IV}, FN_FAILS, justify_hours, NULL}, {"justify_days", IV, 1, {IV}, FN_FAILS, justify_days, NULL},
    {"justify_interval", IV, 1, {IV}, FN_FAILS, justify_interval, NULL},
    {"isfinite", T_BOOL, 1, {DT}, 0, isfinite_, NULL}, {"isfinite", T_BOOL, 1, {TS}, 0, isfinite_, NULL},
    {"isfinite", T_BOOL, 1, {TZ}, 0, isfinite_, NULL}, {"isfinite", T_BOOL, 1, {IV}, 0, isfinite_, NULL},
    {"timezone", TZ, 2, {TT, TS}, FN_FAILS, zone_to_utc, NULL}, {"timezone", TS, 2, {TT, TZ}, FN_FAILS, utc_to_zone, NULL},
    CLOCK("now", TZ, now), CLOCK("current_timestamp", TZ, now), CLOCK("clock_timestamp", TZ, now),
    CLOCK("statement_timestamp", TZ, now), CLOCK("transaction_timestamp", TZ, now), CLOCK("localtimestamp", TS, now),
    CLOCK("current_date", DT, current_date), CLOCK("current_time", TM, current_time), CLOCK("localtime", TM, current_time),
    {0},
};
/* clang-format on */
