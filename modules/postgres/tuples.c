/* Rows in the binary form that COPY takes. A block of rows at a time: first how long each is, column by column; then the columns are
 * written one after the other, each row's place moving on as its fields are filled in.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tuples.h"

#include <string.h>

#define BLOCK 256
#define SLOT 40 /* of a numeric: its bytes, of which the first says how many follow */
#define EPOCH_DAYS 10957 /* 2000-01-01 */
#define EPOCH_US (EPOCH_DAYS * 86400000000LL)
#define NULL_FIELD 0xffffffffu

typedef __int128 int128;
typedef unsigned __int128 uint128;

/* What a column's encoder works on: n rows from row `at` of the buffers. */
struct part {
    const struct ArrowArray *a;
    int64_t at;
    int n;
    char **to; /* where the next field of each row goes */
    const char *slots;
};

static inline void put16(char *p, uint16_t v) { v = __builtin_bswap16(v), memcpy(p, &v, 2); }
static inline void put32(char *p, uint32_t v) { v = __builtin_bswap32(v), memcpy(p, &v, 4); }
static inline void put64(char *p, uint64_t v) { v = __builtin_bswap64(v), memcpy(p, &v, 8); }
static inline bool bit(const uint8_t *m, int64_t i) { return m[i >> 3] >> (i & 7) & 1; }
static inline const uint8_t *valid_of(const struct ArrowArray *a) { return a->n_buffers ? a->buffers[0] : NULL; }

/* ---- fields of fixed length -------------------------------------------------------------------------------------- */

/* A date or timestamp out of the server's range becomes one that it refuses, and not one of its infinities. */
static inline uint32_t days_of(int32_t v)
{
    int32_t d;
    return (uint32_t)(__builtin_sub_overflow(v, EPOCH_DAYS, &d) || d == INT32_MIN || d == INT32_MAX ? INT32_MIN + 1 : d);
}
static inline uint64_t time_of(int64_t v)
{
    int64_t t;
    return (uint64_t)(__builtin_sub_overflow(v, EPOCH_US, &t) || t == INT64_MIN || t == INT64_MAX ? INT64_MIN + 1 : t);
}
static inline uint64_t midnight_of(int32_t v)
{
    return time_of(v > 100000000 || v < -100000000 ? INT64_MIN : (int64_t)v * 86400000000LL);
}
static inline uint32_t float_bits(float v)
{
    uint32_t bits;
    return memcpy(&bits, &v, 4), bits;
}
static inline uint64_t double_bits(double v)
{
    uint64_t bits;
    return memcpy(&bits, &v, 8), bits;
}

#define FIXED(name, ctype, width, put, expr)                                        \
    static void name(const struct part *x)                                          \
    {                                                                               \
        const ctype *values = (const ctype *)x->a->buffers[1] + x->at;              \
        const uint8_t *valid = valid_of(x->a);                                      \
        for (int i = 0; i < x->n; i++) {                                            \
            char *p = x->to[i];                                                     \
            if (valid && !bit(valid, x->at + i)) {                                  \
                put32(p, NULL_FIELD);                                               \
                x->to[i] = p + 4;                                                   \
                continue;                                                           \
            }                                                                       \
            ctype v = values[i];                                                    \
            put32(p, width);                                                        \
            put(p + 4, expr);                                                       \
            x->to[i] = p + 4 + width;                                               \
        }                                                                           \
    }

FIXED(put_8_16, int8_t, 2, put16, (uint16_t)(int16_t)v)
FIXED(put_8_32, int8_t, 4, put32, (uint32_t)(int32_t)v)
FIXED(put_8_64, int8_t, 8, put64, (uint64_t)(int64_t)v)
FIXED(put_16, int16_t, 2, put16, (uint16_t)v)
FIXED(put_16_32, int16_t, 4, put32, (uint32_t)(int32_t)v)
FIXED(put_16_64, int16_t, 8, put64, (uint64_t)(int64_t)v)
FIXED(put_32, uint32_t, 4, put32, v)
FIXED(put_32_64, int32_t, 8, put64, (uint64_t)(int64_t)v)
FIXED(put_64, uint64_t, 8, put64, v)
FIXED(put_8_float, int8_t, 4, put32, float_bits(v))
FIXED(put_16_float, int16_t, 4, put32, float_bits(v))
FIXED(put_8_double, int8_t, 8, put64, double_bits(v))
FIXED(put_16_double, int16_t, 8, put64, double_bits(v))
FIXED(put_32_double, int32_t, 8, put64, double_bits(v))
FIXED(put_float_double, float, 8, put64, double_bits((double)v))
FIXED(put_date, int32_t, 4, put32, days_of(v))
FIXED(put_date_timestamp, int32_t, 8, put64, midnight_of(v))
FIXED(put_timestamp, int64_t, 8, put64, time_of(v))

struct month_day_nano { /* Arrow's interval */
    int32_t months, days;
    int64_t ns;
};
static inline void put_months(char *p, struct month_day_nano v)
{
    put64(p, (uint64_t)(v.ns / 1000));
    put32(p + 8, (uint32_t)v.days);
    put32(p + 12, (uint32_t)v.months);
}
FIXED(put_interval, struct month_day_nano, 16, put_months, v)

struct uuid {
    char bytes[16];
};
static inline void put_bytes16(char *p, struct uuid v) { memcpy(p, v.bytes, 16); }
FIXED(put_uuid, struct uuid, 16, put_bytes16, v)

static void put_bool(const struct part *x)
{
    const uint8_t *values = x->a->buffers[1], *valid = valid_of(x->a);
    for (int i = 0; i < x->n; i++) {
        bool null = valid && !bit(valid, x->at + i);
        put32(x->to[i], null ? NULL_FIELD : 1);
        if (!null) x->to[i][4] = bit(values, x->at + i);
        x->to[i] += null ? 4 : 5;
    }
}

/* ---- text: mostly short, and a call of memcpy for each would cost more than its bytes; nothing behind the field is touched ------------------------------------------------------------------------------------------------------------ */

static inline void copy_text(char *to, const char *from, size_t n)
{
    uint64_t a, b;
    uint32_t c, d;
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 8) {
        size_t i = 0;
        for (; i + 8 < n; i += 8) memcpy(&a, from + i, 8), memcpy(to + i, &a, 8);
        memcpy(&b, from + n - 8, 8), memcpy(to + n - 8, &b, 8);
    } else if (n >= 4) {
        memcpy(&c, from, 4), memcpy(&d, from + n - 4, 4);
        memcpy(to, &c, 4), memcpy(to + n - 4, &d, 4);
    } else {
        for (size_t i = 0; i < n; i++) to[i] = from[i];
    }
}

#define TEXT(name, ctype)                                                                            \
    static void put_##name(const struct part *x, int version)                                       \
    {                                                                                                \
        const ctype *offsets = (const ctype *)x->a->buffers[1] + x->at;                              \
        const char *bytes = x->a->buffers[2];                                                        \
        const uint8_t *valid = valid_of(x->a);                                                       \
        for (int i = 0; i < x->n; i++) {                                                             \
            char *p = x->to[i];                                                                      \
            size_t n = (size_t)(offsets[i + 1] - offsets[i]);                                        \
            bool null = valid && !bit(valid, x->at + i);                                             \
            put32(p, null ? NULL_FIELD : (uint32_t)(n + (size_t)version));                           \
            p += 4;                                                                                  \
            if (!null) {                                                                             \
                if (version) *p++ = 1;                                                               \
                copy_text(p, bytes + offsets[i], n);                                                 \
                p += n;                                                                              \
            }                                                                                        \
            x->to[i] = p;                                                                            \
        }                                                                                            \
    }                                                                                                \
    static void measure_##name(const struct ArrowArray *a, int64_t at, int n, int version, size_t *sizes) \
    {                                                                                                \
        const ctype *offsets = (const ctype *)a->buffers[1] + at;                                    \
        const uint8_t *valid = valid_of(a);                                                          \
        for (int i = 0; i < n; i++)                                                                  \
            if (!valid || bit(valid, at + i)) sizes[i] += (size_t)(offsets[i + 1] - offsets[i]) + (size_t)version; \
    }
TEXT(text, int32_t)
TEXT(large, int64_t)

/* ---- numeric: base 10000, aligned at the point ------------------------------------------------------------------------- */

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

static void numeric_slot(char *slot, int128 value, int scale)
{
    uint16_t d[12];
    uint128 v = value < 0 ? -(uint128)value : (uint128)value;
    int low = scale % 4 ? scale % 4 : 4;
    int n = groups_of(v, low, d), fraction = (scale + 3) / 4, skip = 0;
    while (n && !d[n - 1]) n--;
    while (skip < n && !d[skip]) skip++;
    int weight = n ? n - fraction - 1 : 0;
    slot[0] = (char)(8 + 2 * (n - skip));
    char *p = slot + 1;
    put16(p, (uint16_t)(n - skip));
    put16(p + 2, (uint16_t)(int16_t)weight);
    put16(p + 4, value < 0 ? 0x4000 : 0);
    put16(p + 6, (uint16_t)scale);
    p += 8;
    for (int i = n - 1; i >= skip; i--, p += 2) put16(p, d[i]);
}

static int128 decimal_at(const struct ArrowArray *a, enum source_type from, int64_t i)
{
    int128 v;
    switch (from) {
    case FROM_INT8: return ((const int8_t *)a->buffers[1])[i];
    case FROM_INT16: return ((const int16_t *)a->buffers[1])[i];
    case FROM_INT32: return ((const int32_t *)a->buffers[1])[i];
    case FROM_INT64: return ((const int64_t *)a->buffers[1])[i];
    default: return memcpy(&v, (const char *)a->buffers[1] + 16 * i, 16), v;
    }
}

static void measure_numeric(const struct tuple_column *c, const struct ArrowArray *a, int64_t at, int n, char *slots, size_t *sizes)
{
    const uint8_t *valid = valid_of(a);
    for (int i = 0; i < n; i++, slots += SLOT) {
        slots[0] = 0;
        if (valid && !bit(valid, at + i)) continue;
        numeric_slot(slots, decimal_at(a, c->from, at + i), c->scale);
        sizes[i] += (size_t)slots[0];
    }
}

static void put_numeric(const struct part *x)
{
    const char *slot = x->slots;
    for (int i = 0; i < x->n; i++, slot += SLOT) {
        size_t n = (size_t)slot[0];
        put32(x->to[i], n ? (uint32_t)n : NULL_FIELD);
        memcpy(x->to[i] + 4, slot + 1, n);
        x->to[i] += 4 + n;
    }
}

/* ---- columns -------------------------------------------------------------------------------------------------------------- */

static const struct {
    int width; /* 0: it varies */
    void (*put)(const struct part *x);
} encoders[] = {
    [ENCODE_BOOL] = {1, put_bool},
    [ENCODE_8_16] = {2, put_8_16},
    [ENCODE_8_32] = {4, put_8_32},
    [ENCODE_8_64] = {8, put_8_64},
    [ENCODE_16] = {2, put_16},
    [ENCODE_16_32] = {4, put_16_32},
    [ENCODE_16_64] = {8, put_16_64},
    [ENCODE_32] = {4, put_32},
    [ENCODE_32_64] = {8, put_32_64},
    [ENCODE_64] = {8, put_64},
    [ENCODE_8_FLOAT] = {4, put_8_float},
    [ENCODE_16_FLOAT] = {4, put_16_float},
    [ENCODE_8_DOUBLE] = {8, put_8_double},
    [ENCODE_16_DOUBLE] = {8, put_16_double},
    [ENCODE_32_DOUBLE] = {8, put_32_double},
    [ENCODE_FLOAT_DOUBLE] = {8, put_float_double},
    [ENCODE_NUMERIC] = {0, put_numeric},
    [ENCODE_TEXT] = {0, NULL},
    [ENCODE_JSONB] = {0, NULL},
    [ENCODE_DATE] = {4, put_date},
    [ENCODE_DATE_TIMESTAMP] = {8, put_date_timestamp},
    [ENCODE_TIMESTAMP] = {8, put_timestamp},
    [ENCODE_INTERVAL] = {16, put_interval},
    [ENCODE_UUID] = {16, put_uuid},
};

static bool is_large(const struct tuple_column *c) { return c->from == FROM_LARGE_TEXT || c->from == FROM_LARGE_BYTES; }

static void measure_column(const struct tuple_column *c, const struct ArrowArray *a, int64_t at, int n, char *slots, size_t *sizes)
{
    const uint8_t *valid = valid_of(a);
    int width = encoders[c->how].width, version = c->how == ENCODE_JSONB;
    if (c->how == ENCODE_NUMERIC) {
        measure_numeric(c, a, at, n, slots, sizes);
    } else if (!width) {
        (is_large(c) ? measure_large : measure_text)(a, at, n, version, sizes);
    } else if (valid) {
        for (int i = 0; i < n; i++) sizes[i] -= bit(valid, at + i) ? 0 : (size_t)width;
    }
}

static void put_column(const struct tuple_column *c, const struct part *x)
{
    if (encoders[c->how].put)
        encoders[c->how].put(x);
    else
        (is_large(c) ? put_large : put_text)(x, c->how == ENCODE_JSONB);
}

/* ---- blocks ---------------------------------------------------------------------------------------------------------------- */

void tuples_init(struct tuples *t, struct lam_io *io, const struct tuple_column *columns, int n, bool marked)
{
    t->io = io;
    t->columns = columns;
    t->ncolumns = n;
    t->marked = marked;
    io->host->free(t->slots);
    t->slots = io->host->alloc((size_t)n * BLOCK * SLOT);
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
    if (n < t->at_cap) return;
    t->at = t->io->host->resize(t->at, (size_t)t->at_cap * sizeof *t->at, (size_t)(n + 1) * sizeof *t->at);
    t->at_cap = n + 1;
}

static char *slots_of(const struct tuples *t, int column) { return t->slots + (size_t)column * BLOCK * SLOT; }

static void measure(struct tuples *t, const struct ArrowArray *rows, int64_t from, int n, size_t *sizes)
{
    size_t fixed = 2 + 4 * (size_t)t->ncolumns + (t->marked ? 4 + 4 + 4 + 2 : 0);
    for (int c = 0; c < t->ncolumns; c++) fixed += (size_t)encoders[t->columns[c].how].width;
    for (int i = 0; i < n; i++) sizes[i] = fixed;
    for (int c = 0; c < t->ncolumns; c++) {
        const struct ArrowArray *a = rows->children[c];
        measure_column(&t->columns[c], a, a->offset + from, n, slots_of(t, c), sizes);
    }
}

static void put_marks(char **to, int n, const int8_t *weight, int32_t seq)
{
    for (int i = 0; i < n; i++, seq++) {
        put32(to[i], 4);
        put32(to[i] + 4, (uint32_t)seq);
        put32(to[i] + 8, 2);
        put16(to[i] + 12, (uint16_t)(weight ? weight[i] : 1));
        to[i] += 14;
    }
}

static void put_block(struct tuples *t, const struct lam_rows *rows, int64_t from, int n, const size_t *at, int32_t seq)
{
    char *to[BLOCK], *p = t->p;
    uint16_t fields = (uint16_t)(t->ncolumns + (t->marked ? 2 : 0));
    for (size_t k = at[0]; k < at[n]; k += 64) __builtin_prefetch(p + k, 1); /* each column would wait for every row's line */
    for (int i = 0; i < n; i++) {
        put16(p + at[i], fields);
        to[i] = p + at[i] + 2;
    }
    for (int c = 0; c < t->ncolumns; c++) {
        const struct ArrowArray *a = rows->array->children[c];
        struct part x = {a, a->offset + from, n, to, slots_of(t, c)};
        put_column(&t->columns[c], &x);
    }
    if (t->marked) put_marks(to, n, rows->weight ? rows->weight + from : NULL, seq);
}

/* How many of n rows fit into `room` bytes, at least the first when it can be sent at all. */
static int fit(const size_t *sizes, int n, size_t room, size_t *bytes)
{
    int k = 0;
    for (*bytes = 0; k < n && sizes[k] < TUPLE_LONGEST && (*bytes + sizes[k] <= room || (!k && room == TUPLES_MOST)); k++)
        *bytes += sizes[k];
    return k;
}

int64_t tuples_encode(struct tuples *t, const struct lam_rows *rows, int64_t from, int64_t n, int32_t seq)
{
    size_t sizes[BLOCK], bytes, used = 0;
    int64_t done = 0;
    reserve_rows(t, n);
    t->at[0] = t->n;
    while (done < n) {
        int want = n - done < BLOCK ? (int)(n - done) : BLOCK;
        measure(t, rows->array, from + done, want, sizes);
        int k = fit(sizes, want, used < TUPLES_MOST ? TUPLES_MOST - used : 0, &bytes);
        reserve(t, bytes);
        for (int i = 0; i < k; i++) t->at[done + i + 1] = t->at[done + i] + sizes[i];
        put_block(t, rows, from + done, k, t->at + done, seq + (int32_t)done);
        t->n += bytes;
        used += bytes;
        done += k;
        if (k < want) break;
    }
    return done;
}

void tuples_keep(struct tuples *t, int64_t k)
{
    t->n = t->at[k];
    t->rows += k;
}

void tuples_clear(struct tuples *t)
{
    t->n = 0;
    t->rows = 0;
}

void tuples_done(struct tuples *t)
{
    if (!t->io) return;
    t->io->host->account(t->io, -(int64_t)t->cap);
    t->io->host->free(t->p);
    t->io->host->free(t->at);
    t->io->host->free(t->slots);
    *t = (struct tuples){0};
}
