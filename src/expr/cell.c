/* Text of values: one printer and one reader per type. The printers of fixed-width types write into the
 * caller's buffer and allocate nothing. SPDX-License-Identifier: Apache-2.0 */
#include "expr/cell.h"

#include "base/shim/number.h"
#include "base/text.h"
#include "expr/datetime.h"
#include "expr/decimal.h"
#include "expr/jsontext.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- printing ------------------------------------------------------------------------------------ */

static const char pairs[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546"
    "4748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293"
    "949596979899";

uint32_t cell_print_int64(int64_t v, char *out)
{
    char buf[24], *p = buf + sizeof buf;
    uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
    for (; m >= 100; m /= 100) p -= 2, memcpy(p, pairs + m % 100 * 2, 2);
    if (m >= 10)
        p -= 2, memcpy(p, pairs + m * 2, 2);
    else
        *--p = (char)('0' + m);
    if (v < 0) *--p = '-';
    uint32_t n = (uint32_t)(buf + sizeof buf - p);
    memcpy(out, p, n);
    return n;
}

static uint32_t put_word(char *out, const char *word)
{
    uint32_t n = (uint32_t)strlen(word);
    memcpy(out, word, n);
    return n;
}

/* 0.digits * 10^point: plain when the exponent is in -4 .. whole-1, else with an exponent of two digits at least. */
static char *put_digits(char *p, const char *digits, int n, int point, int whole)
{
    int e = point - 1;
    if (e < -4 || e >= whole) {
        *p++ = digits[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t)n - 1);
            p += n - 1;
        }
        *p++ = 'e';
        *p++ = e < 0 ? '-' : '+';
        if (e < 0) e = -e;
        if (e < 10) *p++ = '0';
        return p + cell_print_int64(e, p);
    }
    if (point <= 0) {
        *p++ = '0', *p++ = '.';
        for (int i = point; i < 0; i++) *p++ = '0';
        memcpy(p, digits, (size_t)n);
        return p + n;
    }
    for (int i = 0; i < point; i++) *p++ = i < n ? digits[i] : '0';
    if (n > point) {
        *p++ = '.';
        memcpy(p, digits + point, (size_t)(n - point));
        p += n - point;
    }
    return p;
}

static bool put_special(double v, char *out, uint32_t *n)
{
    if (isnan(v)) return *n = put_word(out, "NaN"), true;
    if (isinf(v)) return *n = put_word(out, v > 0 ? "Infinity" : "-Infinity"), true;
    if (v == 0) return *n = put_word(out, signbit(v) ? "-0" : "0"), true;
    return false;
}

uint32_t cell_print_double(double v, char *out)
{
    uint32_t n;
    if (put_special(v, out, &n)) return n;
    char *p = out, digits[NUMBER_DIGITS_MAX];
    if (v < 0) *p++ = '-';
    int point, count = number_digits_double(v, digits, &point);
    return (uint32_t)(put_digits(p, digits, count, point, 15) - out);
}

static uint32_t print_float(float v, char *out)
{
    uint32_t n;
    if (put_special((double)v, out, &n)) return n;
    char *p = out, digits[NUMBER_DIGITS_MAX];
    if (v < 0) *p++ = '-';
    int point, count = number_digits_float(v, digits, &point);
    return (uint32_t)(put_digits(p, digits, count, point, 6) - out);
}

uint32_t cell_print_timestamp(int64_t us, char *out)
{
    return datetime_print_timestamp(us, false, out);
}

static uint32_t print_uuid(const uint8_t *u, char *out)
{
    static const char hex[] = "0123456789abcdef";
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *p++ = '-';
        *p++ = hex[u[i] >> 4];
        *p++ = hex[u[i] & 15];
    }
    return 36;
}

#define LOAD(T) (*(const T *)data)

uint32_t cell_print(struct type t, const void *data, char *out)
{
    int128 dec;
    switch ((enum type_id)t.id) {
    case T_BOOL: return put_word(out, LOAD(uint8_t) ? "true" : "false");
    case T_INT8: return cell_print_int64(LOAD(int8_t), out);
    case T_INT16: return cell_print_int64(LOAD(int16_t), out);
    case T_INT32: return cell_print_int64(LOAD(int32_t), out);
    case T_INT64: return cell_print_int64(LOAD(int64_t), out);
    case T_FLOAT: return print_float(LOAD(float), out);
    case T_DOUBLE: return cell_print_double(LOAD(double), out);
    case T_DECIMAL: memcpy(&dec, data, 16); return decimal_print(dec, t.scale, !t.precision, out);
    case T_DATE: return datetime_print_date(LOAD(int32_t), out);
    case T_TIME: return datetime_print_time(LOAD(int64_t), out);
    case T_TIMESTAMP: return datetime_print_timestamp(LOAD(int64_t), false, out);
    case T_TIMESTAMPTZ: return datetime_print_timestamp(LOAD(int64_t), true, out);
    case T_INTERVAL: return interval_print(LOAD(struct interval), out);
    case T_UUID: return print_uuid(data, out);
    default: return 0;
    }
}

static void put_blob(const struct str *s, struct text *out)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = (const uint8_t *)str_ptr(s);
    char *to = text_room(out, 2 + 2 * (size_t)s->n);
    if (!to) return;
    *to++ = '\\', *to++ = 'x';
    for (uint32_t i = 0; i < s->n; i++) *to++ = hex[p[i] >> 4], *to++ = hex[p[i] & 15];
    out->n += 2 + 2 * (size_t)s->n;
}

void cell_put(struct type t, const void *data, struct text *out)
{
    if (t.id == T_VARCHAR || t.id == T_JSON) {
        const struct str *s = data;
        text_put(out, str_ptr(s), s->n);
    } else if (t.id == T_BLOB) {
        put_blob(data, out);
    } else {
        char *to = text_room(out, CELL_TEXT_MAX);
        if (to) out->n += cell_print(t, data, to);
    }
}

void cell_store(const struct value *v, void *data)
{
    float f;
    switch (v->type.id) {
    case T_BOOL: memcpy(data, &v->b, 1); break;
    case T_FLOAT:
        f = (float)v->d;
        memcpy(data, &f, 4);
        break;
    case T_DOUBLE: memcpy(data, &v->d, 8); break;
    case T_DECIMAL: memcpy(data, &v->dec, 16); break;
    case T_INTERVAL: memcpy(data, &v->iv, 16); break;
    case T_UUID: memcpy(data, v->uuid, 16); break;
    case T_VARCHAR:
    case T_BLOB:
    case T_JSON: memcpy(data, &v->s, 16); break;
    default: memcpy(data, &v->i, type_width(v->type)); break; /* little endian: the low bytes come first */
    }
}

/* ---- reading numbers ----------------------------------------------------------------------------- */

static enum status scan_int64(const char *p, size_t n, int64_t *out)
{
    size_t i = 0;
    bool negative = n && *p == '-';
    if (n && (*p == '-' || *p == '+')) i++;
    if (i == n) return E_CAST;
    uint64_t v = 0;
    if (n - i <= 18) { /* cannot overflow */
        for (; i < n; i++) {
            if (!is_digit(p[i])) return E_CAST;
            v = v * 10 + (uint64_t)(p[i] - '0');
        }
        *out = negative ? -(int64_t)v : (int64_t)v;
        return ST_OK;
    }
    bool over = false;
    for (; i < n; i++) {
        if (!is_digit(p[i])) return E_CAST;
        over |= __builtin_mul_overflow(v, 10u, &v) | __builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v);
    }
    if (over || v > (uint64_t)INT64_MAX + negative) return E_RANGE;
    *out = negative ? (int64_t)-v : (int64_t)v;
    return ST_OK;
}

bool cell_parse_int64(const char *p, size_t n, int64_t *out)
{
    return scan_int64(p, n, out) == ST_OK;
}

static bool same_word(const char *p, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (!word[i] || (p[i] | 32) != word[i]) return false;
    return !word[n];
}

static bool special_double(const char *p, size_t n, double *out)
{
    bool negative = n && *p == '-';
    if (n && (*p == '-' || *p == '+')) p++, n--;
    if (same_word(p, n, "nan")) return *out = NAN, true;
    if (!same_word(p, n, "infinity") && !same_word(p, n, "inf")) return false;
    return *out = negative ? -INFINITY : INFINITY, true;
}

static enum status number_status(enum number_result r)
{
    return r == NUMBER_OK ? ST_OK : r == NUMBER_RANGE ? E_RANGE : E_CAST;
}

/* The one plus sign that <charconv> does not take. */
static void skip_plus(const char **p, size_t *n)
{
    if (*n > 1 && **p == '+' && (*p)[1] != '-') (*p)++, (*n)--;
}

static enum status scan_double(const char *p, size_t n, double *out)
{
    if (special_double(p, n, out)) return ST_OK;
    skip_plus(&p, &n);
    return number_status(number_parse_double(p, n, out));
}

static enum status scan_float(const char *p, size_t n, float *out)
{
    double d;
    if (special_double(p, n, &d)) return *out = (float)d, ST_OK;
    skip_plus(&p, &n);
    return number_status(number_parse_float(p, n, out));
}

bool cell_parse_double(const char *p, size_t n, double *out)
{
    return scan_double(p, n, out) == ST_OK;
}

static enum status scan_decimal(struct type t, const char *p, size_t n, int128 *out)
{
    TRY(decimal_parse_scaled(p, n, t.scale, out));
    bool fits = !t.precision || t.precision >= DECIMAL_DIGITS || *out == DECIMAL_NAN ||
                (decimal_finite(*out) && decimal_length(*out) <= t.precision);
    return fits ? ST_OK : E_RANGE;
}

/* ---- reading the rest ---------------------------------------------------------------------------- */

/* Unique prefixes of the words, as PostgreSQL. */
static enum status scan_bool(const char *p, size_t n, uint8_t *out)
{
    static const struct {
        const char *word;
        uint8_t least, value;
    } words[] = {{"true", 1, 1}, {"false", 1, 0}, {"yes", 1, 1}, {"no", 1, 0},
                 {"on", 2, 1},   {"off", 2, 0},   {"1", 1, 1},   {"0", 1, 0}};
    for (size_t i = 0; i < countof(words); i++) {
        const char *w = words[i].word;
        size_t k = 0;
        while (k < n && w[k] && (is_digit(p[k]) ? p[k] : p[k] | 32) == w[k]) k++;
        if (k == n && n >= words[i].least) return *out = words[i].value, ST_OK;
    }
    return E_CAST;
}

static int hex_value(char c)
{
    if (is_digit(c)) return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum status scan_uuid(const char *p, size_t n, uint8_t *out)
{
    uint8_t u[16];
    if (n >= 2 && *p == '{' && p[n - 1] == '}') p++, n -= 2;
    size_t i = 0;
    for (int k = 0; k < 16; k++) {
        if (n - i < 2) return E_CAST;
        int hi = hex_value(p[i]), lo = hex_value(p[i + 1]);
        if (hi < 0 || lo < 0) return E_CAST;
        u[k] = (uint8_t)(hi << 4 | lo);
        i += 2;
        if (i < n && p[i] == '-' && k % 2 && k < 15) i++;
    }
    if (i != n) return E_CAST;
    memcpy(out, u, 16);
    return ST_OK;
}

/* Exactly YYYY-MM-DD[ T]HH:MM:SS[.ffffff][Z|+hh[:mm]]; anything else is left to datetime_parse. */
static int two(const char *p)
{
    return is_digit(p[0]) && is_digit(p[1]) ? (p[0] - '0') * 10 + p[1] - '0' : 1000;
}

static bool scan_zone(const char *p, size_t n, int64_t *us)
{
    *us = 0;
    if (!n) return true;
    if (n == 1) return *p == 'Z' || *p == 'z';
    if (*p != '+' && *p != '-') return false;
    int h = n >= 3 ? two(p + 1) : 1000, m = n == 3                  ? 0
                                            : n == 6 && p[3] == ':' ? two(p + 4)
                                            : n == 5                ? two(p + 3)
                                                                    : 1000;
    if (h > 15 || m > 59) return false;
    *us = (*p == '-' ? -1 : 1) * (h * US_HOUR + m * US_MINUTE);
    return true;
}

bool cell_parse_timestamp(const char *p, size_t n, int64_t *out_us)
{
    if (n < 19 || p[4] != '-' || p[7] != '-' || (p[10] != ' ' && p[10] != 'T') || p[13] != ':' || p[16] != ':')
        return false;
    int century = two(p), y = two(p + 2), month = two(p + 5), day = two(p + 8);
    int h = two(p + 11), m = two(p + 14), s = two(p + 17);
    if ((century | y) >= 1000 || h > 23 || m > 59 || s > 59) return false;
    int year = century * 100 + y;
    if (year < 1 || !moment_valid(year, month, day)) return false;
    size_t i = 19;
    int64_t fraction = 0, zone;
    if (i < n && p[i] == '.') {
        int unit = 100000;
        for (i++; i < n && is_digit(p[i]); i++, unit /= 10) {
            if (!unit) return false; /* rounding is the slow path's */
            fraction += (p[i] - '0') * unit;
        }
    }
    if (!scan_zone(p + i, n - i, &zone)) return false;
    *out_us = days_of_civil(year, month, day) * US_DAY + h * US_HOUR + m * US_MINUTE + s * US_SECOND + fraction - zone;
    return true;
}

bool utf8_valid(const char *p, size_t n)
{
    const uint8_t *s = (const uint8_t *)p, *end = s + n;
    while (s < end) {
        uint64_t w;
        if (end - s >= 8 && (memcpy(&w, s, 8), !(w & 0x8080808080808080ull))) {
            s += 8;
            continue;
        }
        if (*s < 0x80) {
            s++;
            continue;
        }
        int more = *s >= 0xc2 && *s < 0xe0 ? 1 : (*s & 0xf0) == 0xe0 ? 2 : *s >= 0xf0 && *s < 0xf5 ? 3 : 0;
        if (!more || end - s <= more) return false;
        for (int k = 1; k <= more; k++)
            if ((s[k] & 0xc0) != 0x80) return false;
        bool overlong = (*s == 0xe0 && s[1] < 0xa0) || (*s == 0xf0 && s[1] < 0x90);
        bool beyond = (*s == 0xed && s[1] >= 0xa0) || (*s == 0xf4 && s[1] >= 0x90);
        if (overlong || beyond) return false;
        s += more + 1;
    }
    return true;
}

/* The bytes themselves, whatever they are; \x and hex is the caller's to undo, since a view cannot. */
static enum status scan_text(struct type t, const char *p, size_t n, struct str *out)
{
    if (n > UINT32_MAX / 2) return E_TOO_LONG;
    if (t.id == T_JSON && !jsontext_valid(p, n)) return E_CAST;
    *out = str_view(p, (uint32_t)n);
    return ST_OK;
}

static enum status store_int(struct type t, int64_t v, void *data)
{
    switch (t.id) {
    case T_INT8:
        if (v != (int8_t)v) return E_RANGE;
        *(int8_t *)data = (int8_t)v;
        break;
    case T_INT16:
        if (v != (int16_t)v) return E_RANGE;
        *(int16_t *)data = (int16_t)v;
        break;
    case T_INT32:
        if (v != (int32_t)v) return E_RANGE;
        *(int32_t *)data = (int32_t)v;
        break;
    default: *(int64_t *)data = v; break;
    }
    return ST_OK;
}

static enum status scan_time(struct type t, const char *p, size_t n, void *data)
{
    int64_t v;
    if (!(type_is_time(t) && cell_parse_timestamp(p, n, &v))) TRY(datetime_parse((enum type_id)t.id, p, n, &v));
    if (t.id == T_DATE)
        *(int32_t *)data = (int32_t)v;
    else
        *(int64_t *)data = v;
    return ST_OK;
}

static enum status scan_any(struct type t, const char *p, size_t n, void *data)
{
    if (type_is_text(t)) return scan_text(t, p, n, data);
    while (n && is_blank(*p)) p++, n--;
    while (n && is_blank(p[n - 1])) n--;
    int64_t i;
    int128 dec;
    switch ((enum type_id)t.id) {
    case T_BOOL: return scan_bool(p, n, data);
    case T_INT8:
    case T_INT16:
    case T_INT32:
    case T_INT64: TRY(scan_int64(p, n, &i)); return store_int(t, i, data);
    case T_FLOAT: return scan_float(p, n, data);
    case T_DOUBLE: return scan_double(p, n, data);
    case T_DECIMAL:
        TRY(scan_decimal(t, p, n, &dec));
        memcpy(data, &dec, 16);
        return ST_OK;
    case T_DATE:
    case T_TIME:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return scan_time(t, p, n, data);
    case T_INTERVAL: return interval_parse(p, n, NULL, data);
    case T_UUID: return scan_uuid(p, n, data);
    default: return E_UNSUPPORTED;
    }
}

/* Says why; apart from the reader so that decoders which count bad rows pay nothing. */
static void explain(enum status st, struct type t, const char *p, size_t n, struct err *err)
{
    char name[64];
    type_name(t, name);
    int shown = n > 60 ? 60 : (int)n;
    while (shown && shown < (int)n && ((uint8_t)p[shown] & 0xc0) == 0x80) shown--;
    const char *dots = n > 60 ? "..." : "";
    switch (st) {
    case E_RANGE:
        if (t.id == T_DECIMAL) {
            err_set(err, st, "numeric field overflow: \"%.*s%s\" does not fit %s", shown, p, dots, name);
            err_hint(err, "declare more digits, up to DECIMAL(38,s)");
        } else {
            err_set(err, st, "value \"%.*s%s\" is out of range for type %s", shown, p, dots, name);
            err_hint(err, "use a wider type");
        }
        break;
    case E_DATETIME_RANGE: err_set(err, st, "date/time field value out of range: \"%.*s%s\"", shown, p, dots); break;
    case E_INTERVAL_RANGE: err_set(err, st, "interval field value out of range: \"%.*s%s\"", shown, p, dots); break;
    case E_UNSUPPORTED: err_set(err, st, "%s has no text form that can be read", name); break;
    default: err_set(err, st, "invalid input syntax for type %s: \"%.*s%s\"", name, shown, p, dots); break;
    }
}

enum status cell_parse(struct type t, const char *text, size_t n, void *data, struct err *err)
{
    enum status st = scan_any(t, text, n, data);
    if (unlikely(st) && err) explain(st, t, text, n, err);
    return st;
}
