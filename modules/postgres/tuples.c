/* Rows in the binary form that COPY takes. Row by row, as they lie there: so what is written is one run of bytes, and each column is
 * read as another. SPDX-License-Identifier: Apache-2.0 */
#include "tuples.h"

#include <string.h>

#define BLOCK 256               /* rows that room is made for at a time, */
#define BLOCK_BYTES (8 << 20)   /* or fewer, when they are long */
#define KEEP_MOST (16 << 20)    /* bytes of room that stay, with nothing in them */
#define EPOCH_DAYS 10957 /* 2000-01-01 */
#define EPOCH_US (EPOCH_DAYS * 86400000000LL)
#define FIELD_MOST 40 /* bytes of a field without its text: a numeric of 38 digits; length and version of a text, and SHORT_TEXT */
#define NULL_FIELD 0xffffffffu
enum { NUMERIC_NAN = 0xc000, NUMERIC_INFINITY = 0xd000, NUMERIC_MINUS_INFINITY = 0xf000 };

typedef __int128 int128;
typedef unsigned __int128 uint128;

/* A column's buffers, from the first row of a block on but for `valid`, whose bit of that row is number `at`. */
struct tuple_field {
    enum encoding how;
    enum source_type from;
    int scale;
    uint16_t fraction, last_group; /* numeric: groups behind the point, and what makes the last of them whole */
    const char *values;
    const char *bytes, *end; /* end: of the block's texts */
    const uint8_t *valid; /* NULL: no NULLs */
    int64_t at;
};

static inline char *put16(char *p, uint16_t v) { return v = __builtin_bswap16(v), memcpy(p, &v, 2), p + 2; }
static inline char *put32(char *p, uint32_t v) { return v = __builtin_bswap32(v), memcpy(p, &v, 4), p + 4; }
static inline char *put64(char *p, uint64_t v) { return v = __builtin_bswap64(v), memcpy(p, &v, 8), p + 8; }
static inline char *field16(char *p, int16_t v) { return put16(put32(p, 2), (uint16_t)v); }
static inline char *field32(char *p, int32_t v) { return put32(put32(p, 4), (uint32_t)v); }
static inline char *field64(char *p, int64_t v) { return put64(put32(p, 8), (uint64_t)v); }
static inline bool bit(const void *m, int64_t i) { return ((const uint8_t *)m)[i >> 3] >> (i & 7) & 1; }

static inline char *field_float(char *p, float v)
{
    int32_t bits;
    return memcpy(&bits, &v, 4), field32(p, bits);
}
static inline char *field_double(char *p, double v)
{
    int64_t bits;
    return memcpy(&bits, &v, 8), field64(p, bits);
}

/* ---- times: what is out of the server's range becomes a value that it refuses, and not one of its infinities ------- */

static inline int32_t days_of(int32_t v)
{
    int32_t d;
    return __builtin_sub_overflow(v, EPOCH_DAYS, &d) || d == INT32_MIN || d == INT32_MAX ? INT32_MIN + 1 : d;
}
static inline int64_t time_of(int64_t v)
{
    int64_t t;
    return __builtin_sub_overflow(v, EPOCH_US, &t) || t == INT64_MIN || t == INT64_MAX ? INT64_MIN + 1 : t;
}
static inline int64_t midnight_of(int32_t v)
{
    return time_of(v > 100000000 || v < -100000000 ? INT64_MIN : (int64_t)v * 86400000000LL);
}

struct month_day_nano { /* Arrow's interval */
    int32_t months, days;
    int64_t ns;
};
static inline char *field_interval(char *p, struct month_day_nano v)
{
    p = put64(put32(p, 16), (uint64_t)(v.ns / 1000));
    return put32(put32(p, (uint32_t)v.days), (uint32_t)v.months);
}

/* ---- text: mostly short, and a call of memcpy for each would cost more than its bytes ---------------------------------- */

#define SHORT_TEXT 32

/* end: so far `from` may be read. There is room for SHORT_TEXT bytes in any case. */
static inline char *copy_text(char *to, const char *from, size_t n, const char *end)
{
    if (n <= SHORT_TEXT && end - from >= SHORT_TEXT)
        memcpy(to, from, SHORT_TEXT);
    else
        memcpy(to, from, n);
    return to + n;
}

static inline bool is_large(enum source_type t) { return t == FROM_LARGE_TEXT || t == FROM_LARGE_BYTES; }

static inline int64_t offset_at(enum source_type t, const char *offsets, int64_t i)
{
    return is_large(t) ? ((const int64_t *)offsets)[i] : ((const int32_t *)offsets)[i];
}

static inline char *field_text(char *p, const struct tuple_field *f, int64_t i, bool version)
{
    int64_t from = offset_at(f->from, f->values, i), n = offset_at(f->from, f->values, i + 1) - from;
    p = put32(p, (uint32_t)(n + version));
    if (version) *p++ = 1;
    return copy_text(p, f->bytes + from, (size_t)n, f->end);
}

/* ---- numeric: base 10000, aligned at the point --------------------------------------------------------------------------- */

/* Digits of v from the lowest on, into d; how many. The lowest holds `low` decimal digits (1 to 4) of v. */
static int groups_of(uint128 v, int low, uint16_t d[12])
{
    static const uint16_t powers[] = {1, 10, 100, 1000, 10000};
    int n = 0;
    if (!v) return 0;
    if (low < 4) {
        bool small = !(v >> 64); /* a division of 128 bits takes longer */
        unsigned last = small ? (unsigned)((uint64_t)v % powers[low]) : (unsigned)(v % powers[low]);
        d[n++] = (uint16_t)(last * powers[4 - low]);
        v = small ? (uint64_t)v / powers[low] : v / powers[low];
    }
    while (v >> 64) {
        const uint64_t chunk = 10000000000000000u;
        uint64_t part = (uint64_t)(v % chunk);
        v /= chunk;
        for (int i = 0; i < 4; i++, part /= 10000) d[n++] = (uint16_t)(part % 10000);
    }
    for (uint64_t rest = (uint64_t)v; rest; rest /= 10000) d[n++] = (uint16_t)(rest % 10000);
    return n;
}

/* The values that are no numbers: those at the ends of 128 bits. No digits, and a sign of their own. */
static char *numeric_special(char *p, uint16_t sign)
{
    return put64(put32(p, 8), (uint64_t)sign << 16);
}

static char *numeric_large(char *p, int128 value, int scale)
{
    const int128 most = (int128)(~(uint128)0 >> 1);
    uint16_t d[12];
    if (value >= most - 1) return numeric_special(p, value == most ? NUMERIC_NAN : NUMERIC_INFINITY);
    if (value <= 1 - most) return numeric_special(p, NUMERIC_MINUS_INFINITY);
    uint128 v = value < 0 ? -(uint128)value : (uint128)value;
    int n = groups_of(v, scale % 4 ? scale % 4 : 4, d), fraction = (scale + 3) / 4, skip = 0;
    while (n && !d[n - 1]) n--;
    while (skip < n && !d[skip]) skip++;
    p = put32(p, (uint32_t)(8 + 2 * (n - skip)));
    p = put16(p, (uint16_t)(n - skip));
    p = put16(p, (uint16_t)(int16_t)(n ? n - fraction - 1 : 0));
    p = put16(p, value < 0 ? 0x4000 : 0);
    p = put16(p, (uint16_t)scale);
    for (int i = n - 1; i >= skip; i--) p = put16(p, d[i]);
    return p;
}

/* Not zero, and below 10^16 when its last group is whole: four groups side by side, without those in front or behind that are zero. */
static inline char *numeric_small(char *p, uint64_t v, bool negative, const struct tuple_field *f)
{
    v *= f->last_group;
    uint32_t high = (uint32_t)(v / 100000000), low = (uint32_t)(v % 100000000);
    uint64_t groups = (uint64_t)(high / 10000) << 48 | (uint64_t)(high % 10000) << 32 | low / 10000 << 16 | low % 10000;
    int lead = __builtin_clzll(groups) / 16, n = 4 - lead - __builtin_ctzll(groups) / 16;
    uint16_t weight = (uint16_t)(3 - lead - f->fraction);
    p = put32(p, (uint32_t)(8 + 2 * n));
    p = put64(p, (uint64_t)n << 48 | (uint64_t)weight << 32 | (negative ? 0x40000000u : 0) | (uint32_t)f->scale);
    put64(p, groups << 16 * lead);
    return p + 2 * n;
}

/* Most decimals are small; v is only loaded whole when one is not. */
static inline char *field_numeric(char *p, const struct tuple_field *f, int64_t i)
{
    int64_t low, high;
    int128 v;
    switch (f->from) {
    case FROM_INT8: low = ((const int8_t *)f->values)[i]; break;
    case FROM_INT16: low = ((const int16_t *)f->values)[i]; break;
    case FROM_INT32: low = ((const int32_t *)f->values)[i]; break;
    case FROM_INT64: low = ((const int64_t *)f->values)[i]; break;
    default:
        memcpy(&low, f->values + 16 * i, 8);
        memcpy(&high, f->values + 16 * i + 8, 8);
        if (high == low >> 63) break;
        memcpy(&v, f->values + 16 * i, 16);
        return numeric_large(p, v, f->scale);
    }
    uint64_t u = low < 0 ? -(uint64_t)low : (uint64_t)low;
    return u - 1 < 10000000000000 - 1 ? numeric_small(p, u, low < 0, f) : numeric_large(p, low, f->scale);
}

/* ---- fields ---------------------------------------------------------------------------------------------------------------- */

static inline char *put_field(char *p, const struct tuple_field *f, int64_t i)
{
    const int8_t *i8 = (const int8_t *)f->values;
    const int16_t *i16 = (const int16_t *)f->values;
    const int32_t *i32 = (const int32_t *)f->values;
    const int64_t *i64 = (const int64_t *)f->values;
    if (f->valid && !bit(f->valid, f->at + i)) return put32(p, NULL_FIELD);
    switch (f->how) {
    case ENCODE_NONE: break;
    case ENCODE_BOOL: p = put32(p, 1); return *p = bit(f->values, f->at + i), p + 1;
    case ENCODE_8_16: return field16(p, i8[i]);
    case ENCODE_8_32: return field32(p, i8[i]);
    case ENCODE_8_64: return field64(p, i8[i]);
    case ENCODE_16: return field16(p, i16[i]);
    case ENCODE_16_32: return field32(p, i16[i]);
    case ENCODE_16_64: return field64(p, i16[i]);
    case ENCODE_32: return field32(p, i32[i]);
    case ENCODE_32_64: return field64(p, i32[i]);
    case ENCODE_64: return field64(p, i64[i]);
    case ENCODE_8_FLOAT: return field_float(p, i8[i]);
    case ENCODE_16_FLOAT: return field_float(p, i16[i]);
    case ENCODE_8_DOUBLE: return field_double(p, i8[i]);
    case ENCODE_16_DOUBLE: return field_double(p, i16[i]);
    case ENCODE_32_DOUBLE: return field_double(p, i32[i]);
    case ENCODE_FLOAT_DOUBLE: return field_double(p, (double)((const float *)f->values)[i]);
    case ENCODE_NUMERIC: return field_numeric(p, f, i);
    case ENCODE_TEXT: return field_text(p, f, i, false);
    case ENCODE_JSONB: return field_text(p, f, i, true);
    case ENCODE_DATE: return field32(p, days_of(i32[i]));
    case ENCODE_DATE_TIMESTAMP: return field64(p, midnight_of(i32[i]));
    case ENCODE_TIMESTAMP: return field64(p, time_of(i64[i]));
    case ENCODE_INTERVAL: return field_interval(p, ((const struct month_day_nano *)f->values)[i]);
    case ENCODE_UUID: return memcpy(put32(p, 16), f->values + 16 * i, 16), p + 20;
    }
    return put32(p, NULL_FIELD);
}

/* Bytes of a value in Arrow's buffer; 0: bits. */
static size_t value_width(enum source_type t)
{
    static const uint8_t widths[] = {
        [FROM_INT8] = 1,   [FROM_INT16] = 2,      [FROM_INT32] = 4,      [FROM_INT64] = 8,        [FROM_FLOAT] = 4,  [FROM_DOUBLE] = 8,
        [FROM_DECIMAL] = 16, [FROM_TEXT] = 4,     [FROM_LARGE_TEXT] = 8, [FROM_JSON] = 4, [FROM_BYTES] = 4,        [FROM_LARGE_BYTES] = 8, [FROM_DATE] = 4,
        [FROM_TIME] = 8,   [FROM_TIMESTAMP] = 8,  [FROM_TIMESTAMPTZ] = 8, [FROM_INTERVAL] = 16,   [FROM_UUID] = 16,
    };
    return widths[t];
}

static bool is_text(enum encoding how) { return how == ENCODE_TEXT || how == ENCODE_JSONB; }

/* Puts the fields at row `from`; returns how many bytes n rows take at most. */
static size_t aim(struct tuples *t, const struct ArrowArray *rows, int64_t from, int64_t n)
{
    static const uint16_t to_group[] = {1, 1000, 100, 10};
    size_t most = (size_t)n * (2 + (t->marked ? 16 : 0) + (size_t)t->ncolumns * FIELD_MOST);
    for (int c = 0; c < t->ncolumns; c++) {
        const struct ArrowArray *a = rows->children[c];
        struct tuple_field *f = &t->fields[c];
        f->at = a->offset + from;
        f->how = t->columns[c].how;
        f->from = t->columns[c].from;
        f->scale = t->columns[c].scale;
        f->fraction = (uint16_t)((f->scale + 3) / 4);
        f->last_group = to_group[f->scale % 4];
        f->valid = a->buffers[0];
        f->values = (const char *)a->buffers[1] + (size_t)f->at * value_width(f->from);
        if (!is_text(f->how)) continue;
        f->bytes = a->buffers[2];
        f->end = f->bytes + offset_at(f->from, f->values, n);
        most += (size_t)(offset_at(f->from, f->values, n) - offset_at(f->from, f->values, 0));
    }
    return most;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------------- */

void tuples_aim(struct tuples *t, struct lam_io *io, const struct tuple_column *columns, int n, bool marked, uint64_t shape)
{
    t->io = io;
    t->columns = columns;
    t->ncolumns = n;
    t->shape = shape;
    t->marked = marked;
    io->host->free(t->fields);
    t->fields = io->host->alloc((size_t)n * sizeof *t->fields);
}

static void reserve(struct tuples *t, size_t n)
{
    if (t->n + n <= t->cap) return;
    size_t cap = t->cap ? t->cap : 64 << 10;
    while (cap < t->n + n) cap *= 2;
    t->io->host->account(t->io, (int64_t)(cap - t->cap));
    t->p = t->io->host->resize(t->p, t->cap, cap);
    t->cap = cap;
}

static void reserve_rows(struct tuples *t, int64_t n)
{
    if (t->rows + n < t->at_cap) return;
    int64_t cap = t->at_cap ? t->at_cap : 1024;
    while (cap <= t->rows + n) cap *= 2;
    t->io->host->account(t->io, (cap - t->at_cap) * (int64_t)sizeof *t->at);
    t->at = t->io->host->resize(t->at, (size_t)t->at_cap * sizeof *t->at, (size_t)cap * sizeof *t->at);
    t->at_cap = cap;
}

/* n rows into room that is there. */
static void put_rows(struct tuples *t, int64_t n, const int8_t *weight, int32_t seq)
{
    const struct tuple_field *end = t->fields + t->ncolumns;
    uint16_t count = (uint16_t)(t->ncolumns + (t->marked ? 2 : 0));
    char *p = t->p + t->n;
    size_t *at = t->at + t->rows;
    for (int64_t i = 0; i < n; i++) {
        at[i] = (size_t)(p - t->p);
        p = put16(p, count);
        for (const struct tuple_field *f = t->fields; f < end; f++) p = put_field(p, f, i);
        if (t->marked) p = field16(field32(p, seq + (int32_t)i), weight ? weight[i] : 1);
    }
    t->n = at[n] = (size_t)(p - t->p);
    t->rows += n;
}

int64_t tuples_encode(struct tuples *t, const struct lam_rows *rows, int64_t from, int64_t n, int32_t seq)
{
    int64_t done = 0;
    reserve_rows(t, n);
    while (done < n) {
        int64_t k = n - done < BLOCK ? n - done : BLOCK;
        size_t most = aim(t, rows->array, from + done, k);
        while (k > 1 && most > BLOCK_BYTES) most = aim(t, rows->array, from + done, k /= 2);
        if (most >= TUPLE_LONGEST) break;
        reserve(t, most);
        put_rows(t, k, rows->weight ? rows->weight + from + done : NULL, seq + (int32_t)done);
        done += k;
    }
    return done;
}

/* Before it stand its length, and behind it length and value of the weight. */
int32_t tuples_seq(const struct tuples *t, int64_t i)
{
    uint32_t v;
    if (!t->marked) return 0;
    memcpy(&v, t->p + t->at[i + 1] - 10, 4);
    return (int32_t)__builtin_bswap32(v);
}

void tuples_remove(struct tuples *t, int64_t i)
{
    size_t size = t->at[i + 1] - t->at[i];
    memmove(t->p + t->at[i], t->p + t->at[i + 1], t->n - t->at[i + 1]);
    for (int64_t k = i + 1; k < t->rows; k++) t->at[k] = t->at[k + 1] - size;
    t->n -= size;
    t->rows--;
}

static void let_go(struct tuples *t)
{
    t->io->host->account(t->io, -(int64_t)t->cap - t->at_cap * (int64_t)sizeof *t->at);
    t->io->host->free(t->p);
    t->io->host->free(t->at);
    t->p = NULL, t->at = NULL;
    t->cap = 0, t->at_cap = 0;
}

void tuples_clear(struct tuples *t)
{
    t->n = 0;
    t->rows = 0;
    if (t->cap > KEEP_MOST) let_go(t);
}

void tuples_done(struct tuples *t)
{
    if (!t->io) return;
    let_go(t);
    t->io->host->free(t->fields);
    *t = (struct tuples){0};
}
