/* to_char, to_date and to_timestamp: templates of dates and numbers. A constant template is cut into tokens when the
 * expression is built. SPDX-License-Identifier: Apache-2.0 */
#include "expr/cell.h"
#include "expr/datetime.h"
#include "expr/decimal.h"
#include "expr/expr_int.h"

#include <math.h>
#include <strings.h>

/* ---- tokens of dates --------------------------------------------------------------------------------- */

enum token_kind {
    TOK_TEXT,
    TOK_Y_YYY,
    TOK_YYYY,
    TOK_YYY,
    TOK_YY,
    TOK_Y,
    TOK_IYYY,
    TOK_IYY,
    TOK_IY,
    TOK_I,
    TOK_ERA,
    TOK_ERA_DOTS,
    TOK_MONTH,
    TOK_MON,
    TOK_MM,
    TOK_DAY,
    TOK_DY,
    TOK_DDD,
    TOK_DD,
    TOK_D,
    TOK_IDDD,
    TOK_ID,
    TOK_WW,
    TOK_W,
    TOK_IW,
    TOK_CC,
    TOK_J,
    TOK_Q,
    TOK_RM,
    TOK_HH24,
    TOK_HH12,
    TOK_MI,
    TOK_SSSS,
    TOK_SS,
    TOK_MS,
    TOK_US,
    TOK_FF,
    TOK_AM,
    TOK_AM_DOTS,
    TOK_TZH,
    TOK_TZM,
    TOK_TZ,
    TOK_OF,
};

/* Longer words first where one begins another. */
static const struct {
    const char *word;
    uint8_t kind;
    uint8_t digits; /* it reads; 0: none */
} token_words[] = {
    {"Y,YYY", TOK_Y_YYY, 0},   {"YYYY", TOK_YYYY, 4},     {"YYY", TOK_YYY, 3},      {"YY", TOK_YY, 2},
    {"Y", TOK_Y, 1},           {"IYYY", TOK_IYYY, 4},     {"IYY", TOK_IYY, 3},      {"IY", TOK_IY, 2},
    {"IDDD", TOK_IDDD, 3},     {"ID", TOK_ID, 1},         {"IW", TOK_IW, 2},        {"I", TOK_I, 1},
    {"B.C.", TOK_ERA_DOTS, 0}, {"A.D.", TOK_ERA_DOTS, 0}, {"BC", TOK_ERA, 0},       {"AD", TOK_ERA, 0},
    {"MONTH", TOK_MONTH, 0},   {"MON", TOK_MON, 0},       {"MM", TOK_MM, 2},        {"MI", TOK_MI, 2},
    {"MS", TOK_MS, 3},         {"DAY", TOK_DAY, 0},       {"DY", TOK_DY, 0},        {"DDD", TOK_DDD, 3},
    {"DD", TOK_DD, 2},         {"D", TOK_D, 1},           {"WW", TOK_WW, 2},        {"W", TOK_W, 1},
    {"CC", TOK_CC, 2},         {"J", TOK_J, 7},           {"Q", TOK_Q, 1},          {"RM", TOK_RM, 0},
    {"HH24", TOK_HH24, 2},     {"HH12", TOK_HH12, 2},     {"HH", TOK_HH12, 2},      {"SSSSS", TOK_SSSS, 5},
    {"SSSS", TOK_SSSS, 5},     {"SS", TOK_SS, 2},         {"US", TOK_US, 6},        {"FF1", TOK_FF, 1},
    {"FF2", TOK_FF, 2},        {"FF3", TOK_FF, 3},        {"FF4", TOK_FF, 4},       {"FF5", TOK_FF, 5},
    {"FF6", TOK_FF, 6},        {"A.M.", TOK_AM_DOTS, 0},  {"P.M.", TOK_AM_DOTS, 0}, {"AM", TOK_AM, 0},
    {"PM", TOK_AM, 0},         {"TZH", TOK_TZH, 2},       {"TZM", TOK_TZM, 2},      {"TZ", TOK_TZ, 0},
    {"OF", TOK_OF, 0},
};

enum { CASE_UPPER, CASE_FIRST, CASE_LOWER };
struct token {
    uint8_t kind, digits;
    uint8_t letters; /* of names: as the token is written */
    bool fill;       /* FM: no padding */
    uint8_t ordinal; /* 1: th, 2: TH */
    char c;          /* TOK_TEXT: one byte */
};

#define TOKENS 160
struct format {
    int n;
    struct token t[TOKENS];
};

static bool same_letters(const char *p, uint32_t n, const char *word)
{
    for (; *word; p++, word++, n--)
        if (!n || (*p != *word && !(*word >= 'A' && *word <= 'Z' && *p == (*word | 32)))) return false;
    return true;
}

static void add_byte(struct format *f, char c)
{
    if (f->n < TOKENS) f->t[f->n++] = (struct token){.kind = TOK_TEXT, .c = c};
}

static uint32_t add_word(struct format *f, const char *p, uint32_t n, bool *fill)
{
    for (size_t k = 0; k < countof(token_words); k++) {
        if (!same_letters(p, n, token_words[k].word)) continue;
        uint32_t length = (uint32_t)strlen(token_words[k].word);
        struct token t = {.kind = token_words[k].kind, .digits = token_words[k].digits, .fill = *fill};
        *fill = false;
        bool upper0 = p[0] <= 'Z', upper1 = length > 1 && p[1] >= 'A' && p[1] <= 'Z';
        t.letters = !upper0 ? CASE_LOWER : upper1 ? CASE_UPPER : CASE_FIRST;
        if (length + 1 < n && p[length] == 'T' && p[length + 1] == 'H')
            t.ordinal = 2, length += 2;
        else if (length + 1 < n && p[length] == 't' && p[length + 1] == 'h')
            t.ordinal = 1, length += 2;
        if (f->n < TOKENS) f->t[f->n++] = t;
        return length;
    }
    return 0;
}

static void cut_format(const char *p, uint32_t n, struct format *f)
{
    bool quoted = false, fill = false;
    f->n = 0;
    for (uint32_t i = 0; i < n;) {
        if (p[i] == '"') {
            quoted = !quoted, i++;
            continue;
        }
        if (p[i] == '\\' && i + 1 < n && (quoted || p[i + 1] == '"')) {
            add_byte(f, p[i + 1]);
            i += 2;
            continue;
        }
        if (!quoted && i + 1 < n && (p[i] | 32) == 'f' && (p[i + 1] | 32) == 'm') {
            fill = true, i += 2;
            continue;
        }
        if (!quoted && i + 1 < n && (p[i] | 32) == 't' && (p[i + 1] | 32) == 'm') { /* names are English anyway */
            i += 2;
            continue;
        }
        uint32_t used = quoted ? 0 : add_word(f, p + i, n - i, &fill);
        if (!used) add_byte(f, p[i++]);
        i += used;
    }
}

/* The constant's tokens, or the row's. */
static const struct format *format_of(const struct call *c, int k, uint32_t i, struct format *room)
{
    if (c->e->data) return c->e->data;
    const struct str *s = &ARG(c, k, struct str, i);
    cut_format(str_ptr(s), s->n, room);
    return room;
}

static enum status bind_format(struct arena *a, struct expr *e, struct err *err)
{
    (void)err;
    const struct expr *f = e->args[1];
    if (f->kind != EXPR_CONST || f->value.is_null) return ST_OK;
    struct format *out = arena_alloc(a, sizeof *out);
    uint32_t n;
    const char *p = const_text(f, &n);
    cut_format(p, n, out);
    e->data = out;
    return ST_OK;
}

/* ---- dates to text ------------------------------------------------------------------------------------ */

/* What is printed: of a timestamp all of it, of an interval its own fields. */
struct shown {
    struct moment m;
    int64_t hours; /* of an interval: not wrapped */
    int64_t days;  /* since 1970; timestamps only */
    bool interval, zone;
};

static const char *const romans[12] = {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};

static char *put_cased(char *p, const char *word, int n, int letters)
{
    for (int i = 0; i < n && word[i]; i++) {
        bool lower = letters == CASE_LOWER || (letters == CASE_FIRST && i > 0);
        char c = word[i];
        if (lower && c >= 'A' && c <= 'Z') c |= 32;
        if (!lower && c >= 'a' && c <= 'z') c &= ~32;
        *p++ = c;
    }
    return p;
}

static char *put_name(char *p, const struct token *t, const char *word, int n, int width)
{
    char *from = p;
    p = put_cased(p, word, n, t->letters);
    while (!t->fill && p - from < width) *p++ = ' ';
    return p;
}

static char *put_ordinal(char *p, const struct token *t, int64_t v)
{
    if (!t->ordinal) return p;
    static const char *const ends[] = {"TH", "ST", "ND", "RD"};
    int64_t last = v < 0 ? -v % 100 : v % 100;
    const char *end = ends[last / 10 != 1 && last % 10 < 4 ? last % 10 : 0];
    return put_cased(p, end, 2, t->ordinal == 2 ? CASE_UPPER : CASE_LOWER);
}

/* At least `width` digits. */
static char *put_padded(char *p, int64_t v, int width)
{
    char digits[24];
    int n = (int)cell_print_int64(v, digits), minus = v < 0;
    if (minus) *p++ = '-';
    for (int i = n - minus; i < width; i++) *p++ = '0';
    memcpy(p, digits + minus, (size_t)(n - minus));
    return p + n - minus;
}

static char *put_number(char *p, const struct token *t, int64_t v, int width)
{
    p = put_padded(p, v, t->fill ? 0 : width);
    return put_ordinal(p, t, v);
}

static int64_t positive_year(int64_t y)
{
    return y > 0 ? y : 1 - y;
}

static char *put_year(char *p, const struct token *t, const struct shown *x, int64_t year)
{
    int64_t y = x->interval ? year : positive_year(year);
    switch (t->kind) {
    case TOK_Y_YYY:
        p = put_padded(p, y / 1000, 1);
        *p++ = ',';
        return put_ordinal(put_padded(p, y % 1000, 3), t, y);
    case TOK_YYY:
    case TOK_IYY: return put_number(p, t, y % 1000, 3);
    case TOK_YY:
    case TOK_IY: return put_number(p, t, y % 100, 2);
    case TOK_Y:
    case TOK_I: return put_number(p, t, y % 10, 1);
    default: return put_number(p, t, y, 4);
    }
}

static char *put_century(char *p, const struct token *t, const struct shown *x)
{
    int64_t y = x->m.year;
    if (x->interval) return put_number(p, t, y / 100, 2);
    return put_number(p, t, y > 0 ? (y + 99) / 100 : -((99 + 1 - y) / 100), 2);
}

static char *put_token(char *p, const struct token *t, const struct shown *x)
{
    const struct moment *m = &x->m;
    int64_t year, h12 = x->hours % 12;
    int week, doy = x->interval ? (int)(m->year * 360 + m->month * 30 + m->day)
                                : (int)(x->days - days_of_civil(m->year, 1, 1)) + 1;
    static const int tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    switch ((enum token_kind)t->kind) {
    case TOK_TEXT: *p++ = t->c; return p;
    case TOK_Y_YYY:
    case TOK_YYYY:
    case TOK_YYY:
    case TOK_YY:
    case TOK_Y: return put_year(p, t, x, m->year);
    case TOK_IYYY:
    case TOK_IYY:
    case TOK_IY:
    case TOK_I: datetime_iso_week(x->days, &year, &week); return put_year(p, t, x, x->interval ? m->year : year);
    case TOK_ERA: return put_cased(p, m->year > 0 ? "AD" : "BC", 2, t->letters);
    case TOK_ERA_DOTS:
        return put_cased(p, m->year > 0 ? "A.D." : "B.C.", 4, t->letters == CASE_LOWER ? CASE_LOWER : CASE_UPPER);
    case TOK_MONTH: return m->month > 0 ? put_name(p, t, datetime_months[m->month - 1], 9, 9) : p;
    case TOK_MON: return m->month > 0 ? put_name(p, t, datetime_months[m->month - 1], 3, 3) : p;
    case TOK_MM: return put_number(p, t, m->month, 2);
    case TOK_DAY: return x->interval ? p : put_name(p, t, datetime_days[datetime_weekday(x->days)], 9, 9);
    case TOK_DY: return x->interval ? p : put_name(p, t, datetime_days[datetime_weekday(x->days)], 3, 3);
    case TOK_DDD: return put_number(p, t, doy, 3);
    case TOK_IDDD:
        datetime_iso_week(x->days, &year, &week);
        return put_number(p, t, (week - 1) * 7 + (datetime_weekday(x->days) + 6) % 7 + 1, 3);
    case TOK_DD: return put_number(p, t, m->day, 2);
    case TOK_D: return put_number(p, t, datetime_weekday(x->days) + 1, 1);
    case TOK_ID: return put_number(p, t, (datetime_weekday(x->days) + 6) % 7 + 1, 1);
    case TOK_WW: return put_number(p, t, (doy - 1) / 7 + 1, 2);
    case TOK_W: return put_number(p, t, (m->day - 1) / 7 + 1, 1);
    case TOK_IW: datetime_iso_week(x->days, &year, &week); return put_number(p, t, week, 2);
    case TOK_CC: return put_century(p, t, x);
    case TOK_J: return put_number(p, t, x->days + 2440588, 0);
    case TOK_Q: return m->month > 0 ? put_number(p, t, (m->month - 1) / 3 + 1, 1) : p;
    case TOK_RM:
        return m->month > 0 ? put_name(p,
                                       &(struct token){.letters = t->letters == CASE_FIRST ? CASE_UPPER : t->letters,
                                                       .fill = t->fill},
                                       romans[m->month - 1], 4, 4)
                            : p;
    case TOK_HH24: return put_number(p, t, x->hours, 2);
    case TOK_HH12: return put_number(p, t, h12 ? h12 : 12, 2);
    case TOK_MI: return put_number(p, t, m->minute, 2);
    case TOK_SS: return put_number(p, t, m->second, 2);
    case TOK_SSSS: return put_number(p, t, x->hours * 3600 + m->minute * 60 + m->second, 0);
    case TOK_MS: return put_number(p, &(struct token){.ordinal = t->ordinal}, m->us / 1000, 3);
    case TOK_US: return put_number(p, &(struct token){.ordinal = t->ordinal}, m->us, 6);
    case TOK_FF: return put_number(p, &(struct token){.ordinal = t->ordinal}, m->us / tens[6 - t->digits], t->digits);
    case TOK_AM:
        return put_cased(p, x->hours % 24 >= 12 ? "PM" : "AM", 2, t->letters == CASE_LOWER ? CASE_LOWER : CASE_UPPER);
    case TOK_AM_DOTS:
        return put_cased(p, x->hours % 24 >= 12 ? "P.M." : "A.M.", 4,
                         t->letters == CASE_LOWER ? CASE_LOWER : CASE_UPPER);
    case TOK_TZH: return x->zone ? put_cased(p, "+00", 3, CASE_UPPER) : p;
    case TOK_TZM: return x->zone ? put_cased(p, "00", 2, CASE_UPPER) : p;
    case TOK_TZ: return x->zone ? put_cased(p, "UTC", 3, t->letters) : p;
    case TOK_OF: return x->zone ? put_cased(p, "+00", 3, CASE_UPPER) : p;
    }
    return p;
}

/* No token prints more than this. */
#define TOKEN_BYTES 32

static struct str put_shown(struct call *c, uint32_t i, const struct shown *x)
{
    struct format room;
    const struct format *f = format_of(c, 1, i, &room);
    char buf[TOKENS * TOKEN_BYTES], *p = buf;
    for (int k = 0; k < f->n; k++) p = put_token(p, &f->t[k], x);
    return call_str(c, buf, (uint32_t)(p - buf));
}

static void char_timestamp(struct call *c)
{
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (!call_live(c, i)) continue;
        int64_t us = ARG(c, 0, int64_t, i);
        struct shown x = {.days = us / US_DAY - (us % US_DAY < 0), .zone = c->e->args[0]->type.id == T_TIMESTAMPTZ};
        moment_of_us(us, &x.m);
        x.hours = x.m.hour;
        out[i] = put_shown(c, i, &x);
    }
}

/* An interval has no names of days, no era and no zone. */
static bool suits_interval(const struct format *f)
{
    for (int k = 0; k < f->n; k++) switch (f->t[k].kind) {
        case TOK_ERA:
        case TOK_ERA_DOTS:
        case TOK_MONTH:
        case TOK_MON:
        case TOK_DAY:
        case TOK_DY:
        case TOK_D:
        case TOK_ID:
        case TOK_TZ:
        case TOK_TZH:
        case TOK_TZM:
        case TOK_OF: return false;
        default: break;
        }
    return true;
}

static void char_interval(struct call *c)
{
    struct format room;
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (!call_live(c, i)) continue;
        struct interval v = ARG(c, 0, struct interval, i);
        struct shown x = {.interval = true, .hours = v.us / US_HOUR};
        x.m = (struct moment){v.months / 12,
                              v.months % 12,
                              v.days,
                              0,
                              (int)(v.us / US_MINUTE % 60),
                              (int)(v.us / US_SECOND % 60),
                              (int)(v.us % US_SECOND)};
        if (suits_interval(format_of(c, 1, i, &room)))
            out[i] = put_shown(c, i, &x);
        else
            call_fail(c, i, E_DATETIME, "invalid format specification for an interval value");
    }
}

/* ---- text to dates ------------------------------------------------------------------------------------- */

struct reading {
    const char *p, *end;
    int64_t year, iso_year, julian, seconds, zone_us;
    int month, day, doy, week, iso_day, hour, minute, second, us, century;
    bool bc, pm, am, have_year, h12, have_seconds, have_julian;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* At most `digits` unless what follows in the template is no number. */
static bool take_number(struct reading *r, const struct format *f, int k, int64_t *out, int *length)
{
    const struct token *t = &f->t[k];
    bool open = t->fill || k + 1 == f->n || !f->t[k + 1].digits;
    bool negative = r->p < r->end && *r->p == '-' && t->kind == TOK_YYYY;
    if (r->p < r->end && (negative || *r->p == '+')) r->p++;
    const char *from = r->p;
    int64_t v = 0;
    while (r->p < r->end && is_digit(*r->p) && r->p - from < (open ? 9 : t->digits)) v = v * 10 + (*r->p++ - '0');
    *length = (int)(r->p - from);
    *out = negative ? -v : v;
    return *length > 0;
}

/* A name, whole or its first three letters; 0-based, or -1. */
static int take_name(struct reading *r, const char *const *names, int n, bool whole)
{
    for (int i = 0; i < n; i++) {
        size_t len = whole ? strlen(names[i]) : 3;
        if ((size_t)(r->end - r->p) < len || strncasecmp(r->p, names[i], len)) continue;
        r->p += len;
        return i;
    }
    return -1;
}

static int64_t partial_year(int64_t y, int length)
{
    if (length > 3) return y;
    return y < 70 ? y + 2000 : y < 100 ? y + 1900 : y < 520 ? y + 2000 : y + 1000;
}

static bool take_word(struct reading *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || strncasecmp(r->p, word, n)) return false;
    r->p += n;
    return true;
}

static enum status take_sign(struct reading *r, const struct token *t)
{
    bool dots = t->kind == TOK_ERA_DOTS || t->kind == TOK_AM_DOTS;
    if (t->kind == TOK_ERA || t->kind == TOK_ERA_DOTS) {
        if (take_word(r, dots ? "B.C." : "BC")) return r->bc = true, ST_OK;
        return take_word(r, dots ? "A.D." : "AD") ? ST_OK : E_DATETIME;
    }
    if (take_word(r, dots ? "P.M." : "PM")) return r->pm = true, ST_OK;
    if (take_word(r, dots ? "A.M." : "AM")) return r->am = true, ST_OK;
    return E_DATETIME;
}

static enum status take_zone(struct reading *r)
{
    const char *from = r->p;
    while (r->p < r->end && (is_letter(*r->p) || is_digit(*r->p) || *r->p == '+' || *r->p == '-' || *r->p == ':'))
        r->p++;
    return datetime_zone(from, (size_t)(r->p - from), &r->zone_us) ? ST_OK : E_DATETIME;
}

static enum status store(struct reading *r, const struct token *t, int64_t v, int length)
{
    static const int tens[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    switch ((enum token_kind)t->kind) {
    case TOK_YYYY: r->year = partial_year(v, length < 4 && v >= 0 ? length : 4), r->have_year = true; break;
    case TOK_YYY:
    case TOK_YY:
    case TOK_Y: r->year = partial_year(v, length), r->have_year = true; break;
    case TOK_IYYY:
    case TOK_IYY:
    case TOK_IY:
    case TOK_I: r->iso_year = partial_year(v, length), r->have_year = true; break;
    case TOK_MM: r->month = (int)v; return v >= 1 && v <= 12 ? ST_OK : E_DATETIME_RANGE;
    case TOK_DD: r->day = (int)v; return v >= 1 && v <= 31 ? ST_OK : E_DATETIME_RANGE;
    case TOK_DDD: r->doy = (int)v; return v >= 1 && v <= 366 ? ST_OK : E_DATETIME_RANGE;
    case TOK_IW: r->week = (int)v; return v >= 1 && v <= 53 ? ST_OK : E_DATETIME_RANGE;
    case TOK_ID: r->iso_day = (int)v; return v >= 1 && v <= 7 ? ST_OK : E_DATETIME_RANGE;
    case TOK_CC: r->century = (int)v; break;
    case TOK_J: r->julian = v, r->have_julian = true; break;
    case TOK_HH24: r->hour = (int)v; return v <= 24 ? ST_OK : E_DATETIME_RANGE;
    case TOK_HH12: r->hour = (int)v, r->h12 = true; return v <= 12 || !(r->am || r->pm) ? ST_OK : E_DATETIME_RANGE;
    case TOK_MI: r->minute = (int)v; return v <= 59 ? ST_OK : E_DATETIME_RANGE;
    case TOK_SS: r->second = (int)v; return v <= 59 ? ST_OK : E_DATETIME_RANGE;
    case TOK_SSSS: r->seconds = v, r->have_seconds = true; return v < 86400 ? ST_OK : E_DATETIME_RANGE;
    case TOK_MS:
    case TOK_US:
    case TOK_FF: r->us = (int)(length > 6 ? v / tens[length > 12 ? 0 : 12 - length] : v * tens[length]); break;
    default: break; /* D, W, WW and Q say nothing that would count */
    }
    return ST_OK;
}

static enum status take_token(struct reading *r, const struct format *f, int k)
{
    const struct token *t = &f->t[k];
    if (t->kind == TOK_TEXT) {
        if (r->p == r->end) return ST_OK;
        bool blank = t->c == ' ';
        if (is_letter(t->c) || is_digit(t->c) || *r->p == t->c)
            r->p++;
        else if (!is_letter(*r->p) && !is_digit(*r->p) && !(blank && (*r->p == '-' || *r->p == '+')))
            r->p++;
        return ST_OK;
    }
    while (r->p < r->end && *r->p == ' ') r->p++;
    int name;
    switch ((enum token_kind)t->kind) {
    case TOK_MONTH:
    case TOK_MON:
        name = take_name(r, datetime_months, 12, t->kind == TOK_MONTH);
        if (name < 0 && t->kind == TOK_MONTH) name = take_name(r, datetime_months, 12, false);
        r->month = name + 1;
        return name < 0 ? E_DATETIME : ST_OK;
    case TOK_DAY:
    case TOK_DY: return take_name(r, datetime_days, 7, t->kind == TOK_DAY) < 0 ? E_DATETIME : ST_OK;
    case TOK_RM:
        for (name = 11; name >= 0; name--) /* VIII before VII before V */
            if (take_word(r, romans[name])) return r->month = name + 1, ST_OK;
        return E_DATETIME;
    case TOK_ERA:
    case TOK_ERA_DOTS:
    case TOK_AM:
    case TOK_AM_DOTS: return take_sign(r, t);
    case TOK_TZ:
    case TOK_OF: return take_zone(r);
    default: break;
    }
    int64_t v;
    int length;
    if (!take_number(r, f, k, &v, &length)) return E_DATETIME;
    if (t->ordinal && r->end - r->p >= 2) r->p += 2;
    return store(r, t, v, length);
}

static enum status finish_date(struct reading *r, int64_t *days)
{
    if (r->have_julian) return *days = r->julian - 2440588, ST_OK;
    if (r->week) {
        int64_t fourth = days_of_civil(r->iso_year, 1, 4);
        *days = fourth - (datetime_weekday(fourth) + 6) % 7 + (r->week - 1) * 7 + (r->iso_day ? r->iso_day - 1 : 0);
        return ST_OK;
    }
    int64_t year = r->iso_year ? r->iso_year : r->year;
    if (r->century && !r->have_year) year = (r->century - 1) * 100 + 1;
    if (r->bc)
        year = 1 - year;
    else if (year < 0)
        year++; /* a negative year is BC */
    if (r->doy) {
        *days = days_of_civil(year, 1, 1) + r->doy - 1;
        return ST_OK;
    }
    int month = r->month ? r->month : 1, day = r->day ? r->day : 1;
    if (!moment_valid(year, month, day)) return E_DATETIME_RANGE;
    *days = days_of_civil(year, month, day);
    return *days >= DATE_MIN && *days <= DATE_MAX ? ST_OK : E_DATETIME_RANGE;
}

static enum status read_formatted(const struct format *f, const struct str *s, int64_t *days, int64_t *us)
{
    struct reading r = {.p = str_ptr(s)};
    r.end = r.p + s->n;
    for (int k = 0; k < f->n; k++) {
        if (r.p == r.end) break; /* what is missing keeps its default */
        TRY(take_token(&r, f, k));
    }
    if (r.am || r.pm) {
        if (r.hour < 1 || r.hour > 12) return E_DATETIME_RANGE;
        r.hour = r.hour % 12 + (r.pm ? 12 : 0);
    }
    if (r.have_seconds) r.hour = 0, r.minute = 0, r.second = 0;
    *us = r.hour * US_HOUR + r.minute * US_MINUTE + (r.second + r.seconds) * US_SECOND + r.us - r.zone_us;
    return finish_date(&r, days);
}

static void bad_date(struct call *c, uint32_t i, enum status st)
{
    const struct str *s = &ARG(c, 0, struct str, i), *f = &ARG(c, 1, struct str, i);
    call_fail(c, i, st,
              st == E_DATETIME ? "\"%.*s\" does not match the format \"%.*s\""
                               : "date/time field value out of range: \"%.*s\" by \"%.*s\"",
              s->n > 40 ? 40 : (int)s->n, str_ptr(s), f->n > 40 ? 40 : (int)f->n, str_ptr(f));
}

static void to_date(struct call *c)
{
    int32_t *out = c->out;
    struct format room;
    for (uint32_t i = 0; i < c->n; i++) {
        int64_t days, us;
        out[i] = 0;
        if (!call_live(c, i)) continue;
        enum status st = read_formatted(format_of(c, 1, i, &room), &ARG(c, 0, struct str, i), &days, &us);
        if (st)
            bad_date(c, i, st);
        else
            out[i] = (int32_t)days;
    }
}

static void to_timestamp_text(struct call *c)
{
    int64_t *out = c->out;
    struct format room;
    for (uint32_t i = 0; i < c->n; i++) {
        int64_t days, us;
        out[i] = 0;
        if (!call_live(c, i)) continue;
        enum status st = read_formatted(format_of(c, 1, i, &room), &ARG(c, 0, struct str, i), &days, &us);
        if (!st && !timestamp_add(0, (struct interval){0, (int32_t)days, us}, &out[i])) st = E_DATETIME_RANGE;
        if (st) bad_date(c, i, st);
    }
}

/* ---- numbers to text ------------------------------------------------------------------------------------ */

/* What a template of digits says. */
struct digits {
    int before, after; /* digit positions around the point */
    bool zero_before;  /* a 0 among the first: zeros from there on */
    int first_zero;    /* how many positions before it */
    int last_zero;     /* after the point: the last 0 that FM keeps */
    bool fill, point, sign, minus, plus, either, angle;
};

static void scan_digits(const char *p, uint32_t n, struct digits *d)
{
    *d = (struct digits){0};
    for (uint32_t i = 0; i < n; i++) {
        char a = (char)(p[i] | 32), b = i + 1 < n ? (char)(p[i + 1] | 32) : 0;
        if (p[i] == '9' || p[i] == '0') {
            if (d->point) {
                d->after++;
                if (p[i] == '0') d->last_zero = d->after;
            } else {
                if (p[i] == '0' && !d->zero_before) d->zero_before = true, d->first_zero = d->before;
                d->before++;
            }
        } else if (p[i] == '.' || a == 'd') {
            d->point = true;
        } else if (a == 'f' && b == 'm') {
            d->fill = true, i++;
        } else if (a == 'm' && b == 'i') {
            d->minus = true, i++;
        } else if (a == 'p' && b == 'l') {
            d->plus = true, i++;
        } else if (a == 's' && b == 'g') {
            d->either = true, i++;
        } else if (a == 'p' && b == 'r') {
            d->angle = true, i++;
        } else if (a == 's') {
            d->sign = true;
        }
    }
}

/* The number printed so far by position. */
struct pen {
    char *p;
    const struct digits *d;
    const char *whole; /* digits before the point, without leading zeros */
    int whole_n;
    const char *rest; /* digits after it */
    int rest_n;       /* those FM leaves */
    bool negative, started, after;
    int at; /* positions done on this side */
};

static void put_sign(struct pen *w)
{
    const struct digits *d = w->d;
    if (d->sign)
        *w->p++ = w->negative ? '-' : '+';
    else if (d->angle) {
        if (w->negative || !d->fill) *w->p++ = w->negative ? '<' : ' ';
    } else if (!d->minus && !d->either && (w->negative || !d->fill))
        *w->p++ = w->negative ? '-' : ' ';
}

static void put_digit(struct pen *w, char c)
{
    if (w->after) {
        if (w->at++ < w->rest_n) *w->p++ = w->rest[w->at - 1];
        return;
    }
    int left = w->d->before - w->at++; /* positions up to the point, this one too */
    bool forced = c == '0' || (w->d->zero_before && w->at > w->d->first_zero);
    if (left > w->whole_n && !forced && !w->started) {
        if (!w->d->fill) *w->p++ = ' ';
        return;
    }
    if (!w->started) {
        /* The sign stands beside the first digit, the blank it takes was left before. */
        put_sign(w);
        w->started = true;
    }
    *w->p++ = left > w->whole_n ? '0' : w->whole[w->whole_n - left];
}

static uint32_t print_template(const char *f, uint32_t n, struct pen *w, char *out)
{
    w->p = out;
    const struct digits *d = w->d;
    for (uint32_t i = 0; i < n; i++) {
        char a = (char)(f[i] | 32), b = i + 1 < n ? (char)(f[i + 1] | 32) : 0;
        if (f[i] == '9' || f[i] == '0') {
            put_digit(w, f[i]);
        } else if (f[i] == '.' || a == 'd') {
            if (!w->started) put_sign(w), w->started = true;
            *w->p++ = '.';
            w->after = true, w->at = 0;
        } else if (f[i] == ',' || a == 'g') {
            if (w->started)
                *w->p++ = ',';
            else if (!d->fill)
                *w->p++ = ' ';
        } else if (a == 'f' && b == 'm') {
            i++;
        } else if (a == 'm' && b == 'i') {
            if (w->negative || !d->fill) *w->p++ = w->negative ? '-' : ' ';
            i++;
        } else if (a == 'p' && b == 'l') {
            if (!w->negative || !d->fill) *w->p++ = w->negative ? ' ' : '+';
            i++;
        } else if (a == 's' && b == 'g') {
            *w->p++ = w->negative ? '-' : '+';
            i++;
        } else if (a == 'p' && b == 'r') {
            if (w->negative || !d->fill) *w->p++ = w->negative ? '>' : ' ';
            i++;
        } else if (a == 's') {
            if (w->started) *w->p++ = w->negative ? '-' : '+'; /* one that leads stands beside the first digit */
        } else if (a == 't' && b == 'h') {
            i++;
        } else if (f[i] == '"') {
            for (i++; i < n && f[i] != '"'; i++) *w->p++ = f[i];
        } else if (a != 'l') {
            *w->p++ = f[i];
        }
    }
    return (uint32_t)(w->p - out);
}

static bool sign_trails(const char *f, uint32_t n)
{
    return n && (f[n - 1] | 32) == 's';
}

static struct str number_text(struct call *c, uint32_t i, int128 v, int scale)
{
    const struct str *f = &ARG(c, 1, struct str, i);
    struct digits d;
    char digits[160], out[400];
    const char *p = str_ptr(f);
    uint32_t n = f->n > 128 ? 128 : f->n;
    scan_digits(p, n, &d);
    struct pen w = {.d = &d, .negative = v < 0};
    bool trails = d.sign && sign_trails(p, n);
    if (trails) d.sign = false, d.either = true; /* printed where it stands */
    int after = d.after > DECIMAL_DIGITS ? DECIMAL_DIGITS : d.after;
    int128 rounded;
    bool fits = decimal_finite(v) && decimal_rescale(v, scale, after, &rounded);
    if (fits) w.negative = rounded < 0;
    uint32_t length = fits ? decimal_print(rounded < 0 ? -rounded : rounded, after, false, digits) : 0;
    w.whole_n = fits ? (int)length - (after ? after + 1 : 0) : d.before + 1;
    w.whole = digits;
    w.rest = digits + w.whole_n + 1;
    w.rest_n = after;
    if (w.whole_n == 1 && *digits == '0' && (d.point || !d.before)) w.whole_n = 0;
    if (w.whole_n > d.before) { /* it does not fit its template */
        memset(digits, '#', sizeof digits);
        w.whole_n = d.before;
        w.rest = digits;
        w.rest_n = d.after;
    } else if (d.fill) {
        while (w.rest_n > d.last_zero && w.rest[w.rest_n - 1] == '0') w.rest_n--;
    }
    length = print_template(p, n, &w, out);
    return call_str(c, out, length);
}

#define CHAR_NUMBER(NAME, VALUE, SCALE)                                                                                \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        struct str *out = c->out;                                                                                      \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            out[i] = (struct str){0};                                                                                  \
            if (call_live(c, i)) out[i] = number_text(c, i, VALUE, SCALE);                                             \
        }                                                                                                              \
    }
/* Rounded as printf does: to even at an exact half. */
static int128 units_of(const struct call *c, uint32_t i, double x, int *scale)
{
    const struct str *f = &ARG(c, 1, struct str, i);
    struct digits d;
    int128 v;
    scan_digits(str_ptr(f), f->n, &d);
    *scale = d.after < 10 ? d.after : 10;
    double units = x * (double)decimal_pow10(*scale);
    if (units > -1e15 && units < 1e15) return (int128)rint(units);
    return decimal_from_double(x, 15, *scale, &v) ? v : DECIMAL_NAN;
}
CHAR_NUMBER(char_int, ARG(c, 0, int64_t, i), 0)
CHAR_NUMBER(char_decimal, ARG(c, 0, int128, i), c->e->args[0]->type.scale)

static void char_double(struct call *c)
{
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (!call_live(c, i)) continue;
        int scale;
        int128 v = units_of(c, i, ARG(c, 0, double, i), &scale);
        out[i] = number_text(c, i, v, scale);
    }
}

/* clang-format off */
const struct function func_format[] = {
    {"to_char", T_VARCHAR, 2, {T_TIMESTAMP, T_VARCHAR}, FN_COSTLY, char_timestamp, bind_format},
    {"to_char", T_VARCHAR, 2, {T_TIMESTAMPTZ, T_VARCHAR}, FN_COSTLY, char_timestamp, bind_format},
    {"to_char", T_VARCHAR, 2, {T_INTERVAL, T_VARCHAR}, FN_COSTLY, char_interval, bind_format},
    {"to_char", T_VARCHAR, 2, {T_INT64, T_VARCHAR}, FN_COSTLY, char_int, NULL},
    {"to_char", T_VARCHAR, 2, {T_DECIMAL, T_VARCHAR}, FN_COSTLY, char_decimal, NULL},
    {"to_char", T_VARCHAR, 2, {T_DOUBLE, T_VARCHAR}, FN_COSTLY, char_double, NULL},
    {"to_date", T_DATE, 2, {T_VARCHAR, T_VARCHAR}, FN_FAILS, to_date, bind_format},
    {"to_timestamp", T_TIMESTAMPTZ, 2, {T_VARCHAR, T_VARCHAR}, FN_FAILS, to_timestamp_text, bind_format},
    {0},
};
/* clang-format on */
