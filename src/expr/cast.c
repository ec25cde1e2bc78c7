/* Casts between types: which exist, which happen by themselves, and their kernels.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/cell.h"
#include "expr/datetime.h"
#include "expr/decimal.h"
#include "expr/expr_int.h"
#include "expr/utf8.h"

#include <math.h>

/* ---- numbers ------------------------------------------------------------------------------------- */

#define WIDEN(NAME, FROM, TO)                                                                                          \
    KERNEL void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        TO *restrict out = c->out;                                                                                     \
        EACH1(c, FROM, out[i] = (TO)x;);                                                                               \
    }
/* TEST says that x does not fit. */
#define NARROW(NAME, FROM, TO, WORD, TEST, VALUE)                                                                      \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        TO *restrict out = c->out;                                                                                     \
        bool bad = false;                                                                                              \
        EACH1(c, FROM, {                                                                                               \
            bool no = TEST;                                                                                            \
            out[i] = no ? 0 : (TO)(VALUE);                                                                             \
            bad |= no;                                                                                                 \
        });                                                                                                            \
        if (likely(!bad)) return;                                                                                      \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            FROM x = ARG(c, 0, FROM, i);                                                                               \
            if ((TEST) && call_live(c, i)) call_fail(c, i, E_RANGE, WORD " out of range");                             \
        }                                                                                                              \
    }
#define NARROW_INT(NAME, FROM, TO, WORD) NARROW(NAME, FROM, TO, WORD, x != (TO)x, x)
#define FLOAT_INT(NAME, FROM, TO, WORD, LOW, END)                                                                      \
    NARROW(NAME, FROM, TO, WORD, !(rint((double)x) >= LOW && rint((double)x) < END), rint((double)x))

WIDEN(i8_i16, int8_t, int16_t)
WIDEN(i8_i32, int8_t, int32_t)
WIDEN(i8_i64, int8_t, int64_t)
WIDEN(i16_i32, int16_t, int32_t)
WIDEN(i16_i64, int16_t, int64_t)
WIDEN(i32_i64, int32_t, int64_t)
WIDEN(i8_f32, int8_t, float)
WIDEN(i16_f32, int16_t, float)
WIDEN(i32_f32, int32_t, float)
WIDEN(i64_f32, int64_t, float)
WIDEN(i8_f64, int8_t, double)
WIDEN(i16_f64, int16_t, double)
WIDEN(i32_f64, int32_t, double)
WIDEN(i64_f64, int64_t, double)
WIDEN(f32_f64, float, double)
NARROW_INT(i16_i8, int16_t, int8_t, "tinyint")
NARROW_INT(i32_i8, int32_t, int8_t, "tinyint")
NARROW_INT(i64_i8, int64_t, int8_t, "tinyint")
NARROW_INT(i32_i16, int32_t, int16_t, "smallint")
NARROW_INT(i64_i16, int64_t, int16_t, "smallint")
NARROW_INT(i64_i32, int64_t, int32_t, "integer")
FLOAT_INT(f32_i8, float, int8_t, "tinyint", -128.0, 128.0)
FLOAT_INT(f32_i16, float, int16_t, "smallint", -32768.0, 32768.0)
FLOAT_INT(f32_i32, float, int32_t, "integer", -0x1p31, 0x1p31)
FLOAT_INT(f32_i64, float, int64_t, "bigint", -0x1p63, 0x1p63)
FLOAT_INT(f64_i8, double, int8_t, "tinyint", -128.0, 128.0)
FLOAT_INT(f64_i16, double, int16_t, "smallint", -32768.0, 32768.0)
FLOAT_INT(f64_i32, double, int32_t, "integer", -0x1p31, 0x1p31)
FLOAT_INT(f64_i64, double, int64_t, "bigint", -0x1p63, 0x1p63)
NARROW(f64_f32, double, float, "real", (isinf((float)x) && !isinf(x)) || ((float)x == 0 && x != 0), x)
WIDEN(bool_i32, uint8_t, int32_t)

static void i32_bool(struct call *c)
{
    uint8_t *restrict out = c->out;
    EACH1(c, int32_t, out[i] = x != 0;);
}

/* ---- decimals ------------------------------------------------------------------------------------ */

static bool fits(struct type t, int128 v)
{
    if (!t.precision || v == DECIMAL_NAN) return true;
    if (!decimal_finite(v)) return t.precision == DECIMAL_DIGITS;
    int128 limit = decimal_pow10(t.precision);
    return v < limit && v > -limit;
}

static void field_overflow(struct call *c, uint32_t i)
{
    char name[64];
    call_fail(c, i, E_RANGE, "numeric field overflow: the value does not fit %s", type_name(c->e->type, name));
}

static void put_decimal(struct call *c, uint32_t i, bool ok, int128 v)
{
    ((int128 *)c->out)[i] = ok ? v : 0;
    if (!call_live(c, i)) return;
    if (unlikely(!ok || !fits(c->e->type, v))) field_overflow(c, i);
}

#define INT_DECIMAL(NAME, FROM)                                                                                        \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        int to = c->e->type.scale;                                                                                     \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            int128 v;                                                                                                  \
            bool ok = decimal_rescale(ARG(c, 0, FROM, i), 0, to, &v);                                                  \
            put_decimal(c, i, ok, v);                                                                                  \
        }                                                                                                              \
    }
INT_DECIMAL(i8_dec, int8_t)
INT_DECIMAL(i16_dec, int16_t)
INT_DECIMAL(i32_dec, int32_t)
INT_DECIMAL(i64_dec, int64_t)

#define FLOAT_DECIMAL(NAME, FROM, DIGITS)                                                                              \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        int to = c->e->type.scale;                                                                                     \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            int128 v = 0;                                                                                              \
            bool ok = !call_live(c, i) || decimal_from_double((double)ARG(c, 0, FROM, i), DIGITS, to, &v);             \
            put_decimal(c, i, ok, v);                                                                                  \
        }                                                                                                              \
    }
FLOAT_DECIMAL(f32_dec, float, 6)
FLOAT_DECIMAL(f64_dec, double, 15)

static void dec_dec(struct call *c)
{
    int from = c->e->args[0]->type.scale, to = c->e->type.scale;
    for (uint32_t i = 0; i < c->n; i++) {
        int128 v;
        bool ok = decimal_rescale(ARG(c, 0, int128, i), from, to, &v);
        put_decimal(c, i, ok, v);
    }
}

#define DECIMAL_INT(NAME, TO, WORD)                                                                                    \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        TO *out = c->out;                                                                                              \
        int from = c->e->args[0]->type.scale;                                                                          \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            int128 x = ARG(c, 0, int128, i), v;                                                                        \
            bool ok = decimal_finite(x) && decimal_rescale(x, from, 0, &v) && v == (TO)v;                              \
            out[i] = ok ? (TO)v : 0;                                                                                   \
            if (unlikely(!ok) && call_live(c, i)) call_fail(c, i, E_RANGE, WORD " out of range");                      \
        }                                                                                                              \
    }
DECIMAL_INT(dec_i8, int8_t, "tinyint")
DECIMAL_INT(dec_i16, int16_t, "smallint")
DECIMAL_INT(dec_i32, int32_t, "integer")
DECIMAL_INT(dec_i64, int64_t, "bigint")

static void dec_f64(struct call *c)
{
    double *out = c->out;
    int from = c->e->args[0]->type.scale;
    for (uint32_t i = 0; i < c->n; i++) out[i] = decimal_double(ARG(c, 0, int128, i), from);
}

static void dec_f32(struct call *c)
{
    float *out = c->out;
    int from = c->e->args[0]->type.scale;
    for (uint32_t i = 0; i < c->n; i++) out[i] = (float)decimal_double(ARG(c, 0, int128, i), from);
}

/* ---- text ---------------------------------------------------------------------------------------- */

static void any_text(struct call *c)
{
    struct str *out = c->out;
    struct type t = c->e->args[0]->type;
    size_t width = type_width(t);
    char buf[CELL_TEXT_MAX];
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (!call_live(c, i)) continue;
        uint32_t n = cell_print(t, (const char *)c->args[0].data + width * (i & c->args[0].mask), buf);
        out[i] = call_str(c, buf, n);
    }
}

static void text_any(struct call *c)
{
    struct type t = c->e->type;
    size_t width = type_width(t);
    char *out = c->out;
    for (uint32_t i = 0; i < c->n; i++, out += width) {
        struct err err;
        memset(out, 0, width);
        if (!call_live(c, i)) continue;
        const struct str *s = &ARG(c, 0, struct str, i);
        if (unlikely(cell_parse(t, str_ptr(s), s->n, out, &err))) {
            memset(out, 0, width);
            call_fail_err(c, i, &err);
        }
    }
}

/* VARCHAR(n): an explicit cast cuts silently, an assignment only blanks. */
static void limit_length(struct call *c, bool assign)
{
    struct str *out = c->out;
    uint32_t most = c->e->type.length;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (!call_live(c, i)) continue;
        const struct str *s = &ARG(c, 0, struct str, i);
        const char *p = str_ptr(s);
        uint32_t k = most && s->n > most ? utf8_offset(p, s->n, most) : s->n;
        uint32_t end = s->n;
        while (assign && end > k && p[end - 1] == ' ') end--;
        out[i] = str_view(p, k);
        if (assign && end > k) call_fail(c, i, E_TOO_LONG, "value too long for type VARCHAR(%u)", most);
    }
}
static void text_text(struct call *c)
{
    limit_length(c, false);
}
static void text_assign(struct call *c)
{
    limit_length(c, true);
}
const struct function cast_assign_length = {.name = "cast", .nargs = 1, .flags = FN_FAILS, .run = text_assign};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\x" and hex digits, blanks between bytes allowed; returns the bytes written or -1. */
static int64_t unhex(const char *p, uint32_t n, char *to)
{
    char *from = to;
    for (uint32_t i = 0; i < n; i++) {
        if (p[i] == ' ' || p[i] == '\n' || p[i] == '\t') continue;
        int hi = hex_value(p[i]), lo = i + 1 < n ? hex_value(p[++i]) : -1;
        if (hi < 0 || lo < 0) return -1;
        *to++ = (char)(hi << 4 | lo);
    }
    return to - from;
}

/* Bytes as they are, "\\" and "\ooo". */
static int64_t unescape(const char *p, uint32_t n, char *to)
{
    char *from = to;
    for (uint32_t i = 0; i < n; i++) {
        if (p[i] != '\\') {
            *to++ = p[i];
        } else if (i + 1 < n && p[i + 1] == '\\') {
            *to++ = '\\', i++;
        } else if (i + 3 < n && p[i + 1] >= '0' && p[i + 1] <= '3' && (p[i + 2] & ~7) == '0' &&
                   (p[i + 3] & ~7) == '0') {
            *to++ = (char)((p[i + 1] - '0') << 6 | (p[i + 2] - '0') << 3 | (p[i + 3] - '0'));
            i += 3;
        } else {
            return -1;
        }
    }
    return to - from;
}

static void text_blob(struct call *c)
{
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (!call_live(c, i)) continue;
        const struct str *s = &ARG(c, 0, struct str, i);
        const char *p = str_ptr(s);
        char *to = call_text(c, s->n);
        bool hex = s->n >= 2 && p[0] == '\\' && p[1] == 'x';
        int64_t n = hex ? unhex(p + 2, s->n - 2, to) : unescape(p, s->n, to);
        if (n < 0)
            call_fail(c, i, E_CAST, "invalid input syntax for type BLOB");
        else
            out[i] = str_view(to, (uint32_t)n);
    }
}

static void blob_text(struct call *c)
{
    static const char hex[] = "0123456789abcdef";
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (!call_live(c, i)) continue;
        const struct str *s = &ARG(c, 0, struct str, i);
        const uint8_t *p = (const uint8_t *)str_ptr(s);
        uint32_t n = 2 + 2 * s->n;
        char *to = call_text(c, n), *at = to;
        *at++ = '\\', *at++ = 'x';
        for (uint32_t k = 0; k < s->n; k++) *at++ = hex[p[k] >> 4], *at++ = hex[p[k] & 15];
        out[i] = str_view(to, n);
    }
}

static void same_text(struct call *c)
{
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = call_live(c, i) ? ARG(c, 0, struct str, i) : (struct str){0};
}

/* ---- times --------------------------------------------------------------------------------------- */

static int64_t floor_day(int64_t us)
{
    return us / US_DAY - (us % US_DAY < 0);
}

static void date_time(struct call *c)
{
    int64_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int64_t days = ARG(c, 0, int32_t, i);
        bool ok = !__builtin_mul_overflow(days, US_DAY, &out[i]) && datetime_in_range(out[i]);
        if (unlikely(!ok)) {
            out[i] = 0;
            if (call_live(c, i)) call_fail(c, i, E_DATETIME_RANGE, "date out of range for timestamp");
        }
    }
}

static void time_date(struct call *c)
{
    int32_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = (int32_t)floor_day(ARG(c, 0, int64_t, i));
}

static void timestamp_time(struct call *c)
{
    int64_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = ARG(c, 0, int64_t, i) - floor_day(ARG(c, 0, int64_t, i)) * US_DAY;
}

WIDEN(same_time, int64_t, int64_t)

static void time_interval(struct call *c)
{
    struct interval *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = (struct interval){.us = ARG(c, 0, int64_t, i)};
}

static void interval_time(struct call *c)
{
    int64_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int64_t us = ARG(c, 0, struct interval, i).us;
        out[i] = us - floor_day(us) * US_DAY;
    }
}

static void null_any(struct call *c)
{
    memset(c->out, 0, type_width(c->e->type) * c->n);
    for (uint32_t i = 0; i < c->n; i++) call_null(c, i);
}

/* ---- which --------------------------------------------------------------------------------------- */

enum { NI8, NI16, NI32, NI64, NF32, NF64, NDEC, NUMBERS };

static int number_index(struct type t)
{
    switch (t.id) {
    case T_INT8: return NI8;
    case T_INT16: return NI16;
    case T_INT32: return NI32;
    case T_INT64: return NI64;
    case T_FLOAT: return NF32;
    case T_DOUBLE: return NF64;
    case T_DECIMAL: return NDEC;
    default: return -1;
    }
}

#define WIDENS(F)                                                                                                      \
    {                                                                                                                  \
        .name = "cast", .nargs = 1, .run = F                                                                           \
    }
#define FAILS(F)                                                                                                       \
    {                                                                                                                  \
        .name = "cast", .nargs = 1, .flags = FN_FAILS, .run = F                                                        \
    }

static const struct function numbers[NUMBERS][NUMBERS] = {
    [NI8] = {[NI16] = WIDENS(i8_i16),
             [NI32] = WIDENS(i8_i32),
             [NI64] = WIDENS(i8_i64),
             [NF32] = WIDENS(i8_f32),
             [NF64] = WIDENS(i8_f64),
             [NDEC] = FAILS(i8_dec)},
    [NI16] = {[NI8] = FAILS(i16_i8),
              [NI32] = WIDENS(i16_i32),
              [NI64] = WIDENS(i16_i64),
              [NF32] = WIDENS(i16_f32),
              [NF64] = WIDENS(i16_f64),
              [NDEC] = FAILS(i16_dec)},
    [NI32] = {[NI8] = FAILS(i32_i8),
              [NI16] = FAILS(i32_i16),
              [NI64] = WIDENS(i32_i64),
              [NF32] = WIDENS(i32_f32),
              [NF64] = WIDENS(i32_f64),
              [NDEC] = FAILS(i32_dec)},
    [NI64] = {[NI8] = FAILS(i64_i8),
              [NI16] = FAILS(i64_i16),
              [NI32] = FAILS(i64_i32),
              [NF32] = WIDENS(i64_f32),
              [NF64] = WIDENS(i64_f64),
              [NDEC] = FAILS(i64_dec)},
    [NF32] = {[NI8] = FAILS(f32_i8),
              [NI16] = FAILS(f32_i16),
              [NI32] = FAILS(f32_i32),
              [NI64] = FAILS(f32_i64),
              [NF64] = WIDENS(f32_f64),
              [NDEC] = FAILS(f32_dec)},
    [NF64] = {[NI8] = FAILS(f64_i8),
              [NI16] = FAILS(f64_i16),
              [NI32] = FAILS(f64_i32),
              [NI64] = FAILS(f64_i64),
              [NF32] = FAILS(f64_f32),
              [NDEC] = FAILS(f64_dec)},
    [NDEC] = {[NI8] = FAILS(dec_i8),
              [NI16] = FAILS(dec_i16),
              [NI32] = FAILS(dec_i32),
              [NI64] = FAILS(dec_i64),
              [NF32] = WIDENS(dec_f32),
              [NF64] = WIDENS(dec_f64),
              [NDEC] = FAILS(dec_dec)},
};

static const struct {
    uint8_t from, to;
    struct function fn;
} others[] = {
    {T_BOOL, T_INT32, WIDENS(bool_i32)},
    {T_INT32, T_BOOL, WIDENS(i32_bool)},
    {T_DATE, T_TIMESTAMP, FAILS(date_time)},
    {T_DATE, T_TIMESTAMPTZ, FAILS(date_time)},
    {T_TIMESTAMP, T_DATE, WIDENS(time_date)},
    {T_TIMESTAMPTZ, T_DATE, WIDENS(time_date)},
    {T_TIMESTAMP, T_TIME, WIDENS(timestamp_time)},
    {T_TIMESTAMPTZ, T_TIME, WIDENS(timestamp_time)},
    {T_TIMESTAMP, T_TIMESTAMPTZ, WIDENS(same_time)},
    {T_TIMESTAMPTZ, T_TIMESTAMP, WIDENS(same_time)},
    {T_TIME, T_INTERVAL, WIDENS(time_interval)},
    {T_INTERVAL, T_TIME, WIDENS(interval_time)},
    {T_VARCHAR, T_BLOB, FAILS(text_blob)},
    {T_BLOB, T_VARCHAR, WIDENS(blob_text)},
    {T_JSON, T_VARCHAR, WIDENS(same_text)},
    {T_VARCHAR, T_VARCHAR, WIDENS(text_text)},
};
static const struct function to_text = WIDENS(any_text), from_text = FAILS(text_any),
                             from_null = {.name = "cast", .nargs = 1, .flags = FN_LAX, .run = null_any};

const struct function *cast_find(struct type from, struct type to)
{
    if (from.id == T_NULL) return type_width(to) ? &from_null : NULL;
    int x = number_index(from), y = number_index(to);
    if (x >= 0 && y >= 0) return numbers[x][y].run ? &numbers[x][y] : NULL;
    for (size_t i = 0; i < countof(others); i++)
        if (others[i].from == from.id && others[i].to == to.id) return &others[i].fn;
    if (!type_width(from) || !type_width(to)) return NULL;
    if (to.id == T_VARCHAR) return &to_text;
    if (from.id == T_VARCHAR) return &from_text;
    return NULL;
}

/* Each may become what follows it, by itself. */
bool cast_implicit(struct type from, struct type to)
{
    if (from.id == to.id || from.id == T_NULL) return true;
    static const uint8_t rank[T_COUNT] = {
        [T_INT8] = 1, [T_INT16] = 2, [T_INT32] = 3, [T_INT64] = 4, [T_DECIMAL] = 5, [T_FLOAT] = 6, [T_DOUBLE] = 7};
    if (rank[from.id] && rank[to.id]) return rank[from.id] < rank[to.id];
    switch (from.id) {
    case T_DATE: return type_is_time(to);
    case T_TIMESTAMP: return to.id == T_TIMESTAMPTZ;
    case T_TIME: return to.id == T_INTERVAL;
    default: return false;
    }
}

bool cast_assigns(struct type from, struct type to)
{
    if (cast_implicit(from, to)) return true;
    if (type_is_number(from) && type_is_number(to)) return true;
    if (to.id == T_VARCHAR) return type_width(from) > 0;
    if (type_is_time(from)) return to.id == T_DATE || to.id == T_TIME || type_is_time(to);
    return from.id == T_INTERVAL && to.id == T_TIME;
}

struct type cast_decimal_type(struct type from)
{
    switch (from.id) {
    case T_INT8: return type_decimal(3, 0);
    case T_INT16: return type_decimal(5, 0);
    case T_INT32: return type_decimal(10, 0);
    case T_INT64: return type_decimal(19, 0);
    case T_DECIMAL: return from;
    default: return type_decimal(0, DECIMAL_OPEN_SCALE);
    }
}

static bool meet_decimals(struct type a, struct type b, struct type *out)
{
    int wa = (a.precision ? a.precision : DECIMAL_DIGITS) - a.scale,
        wb = (b.precision ? b.precision : DECIMAL_DIGITS) - b.scale;
    int scale = a.scale > b.scale ? a.scale : b.scale, p = (wa > wb ? wa : wb) + scale;
    bool open = !a.precision || !b.precision;
    *out = type_decimal(open ? 0 : p > DECIMAL_DIGITS ? DECIMAL_DIGITS : p, scale);
    return true;
}

bool type_meet(struct type a, struct type b, struct type *out)
{
    if (a.id == T_NULL) return *out = b, true;
    if (b.id == T_NULL) return *out = a, true;
    if (a.id == T_DECIMAL || b.id == T_DECIMAL) {
        if (!type_is_number(a) || !type_is_number(b)) return false;
        if (type_is_float(a) || type_is_float(b)) return *out = TYPE(T_DOUBLE), true;
        return meet_decimals(cast_decimal_type(a), cast_decimal_type(b), out);
    }
    if (a.id == b.id) {
        *out = a;
        if (a.length != b.length) out->length = 0;
        return true;
    }
    if (type_is_number(a) && type_is_number(b)) { /* an integer and a REAL meet in DOUBLE */
        bool mixed = type_is_float(a) != type_is_float(b);
        return *out = mixed ? TYPE(T_DOUBLE) : a.id > b.id ? a : b, true;
    }
    if (cast_implicit(a, b)) return *out = b, true;
    if (cast_implicit(b, a)) return *out = a, true;
    return false;
}
