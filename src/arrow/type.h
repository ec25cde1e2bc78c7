/* Types, values of one cell, and schemas. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_TYPE_H
#define ARROW_TYPE_H

#include "base/mem.h"
#include "base/status.h"

#include <string.h>

/* id, SQL name, bytes of one value in a column's data (0: none) */
#define TYPE_MAP(X)                                                                                \
    X(T_NULL, "NULL", 1)         /* the type of a bare NULL, before it meets another */            \
    X(T_BOOL, "BOOLEAN", 1)      /* one byte, 0 or 1; packed to bits only at the C border */       \
    X(T_INT8, "TINYINT", 1)                                                                        \
    X(T_INT16, "SMALLINT", 2)                                                                      \
    X(T_INT32, "INTEGER", 4)                                                                       \
    X(T_INT64, "BIGINT", 8)                                                                        \
    X(T_FLOAT, "REAL", 4)                                                                          \
    X(T_DOUBLE, "DOUBLE", 8)                                                                       \
    X(T_DECIMAL, "DECIMAL", 16)  /* __int128 of units of 10^-scale */                              \
    X(T_VARCHAR, "VARCHAR", 16)  /* struct str, valid UTF-8 */                                     \
    X(T_BLOB, "BLOB", 16)        /* struct str, any bytes */                                       \
    X(T_DATE, "DATE", 4)         /* int32 days since 1970-01-01 */                                 \
    X(T_TIME, "TIME", 8)         /* int64 microseconds since midnight */                           \
    X(T_TIMESTAMP, "TIMESTAMP", 8)     /* int64 microseconds since 1970-01-01 00:00 UTC */         \
    X(T_TIMESTAMPTZ, "TIMESTAMPTZ", 8) /* the same, printed with its zone */                       \
    X(T_INTERVAL, "INTERVAL", 16) /* struct interval */                                            \
    X(T_UUID, "UUID", 16)                                                                          \
    X(T_JSON, "JSON", 16)        /* struct str */                                                  \
    X(T_ARRAY, "ARRAY", 0)                                                                         \
    X(T_STRUCT, "STRUCT", 0)                                                                       \
    X(T_MAP, "MAP", 0)

enum type_id {
#define X(id, name, size) id,
    TYPE_MAP(X)
#undef X
    T_COUNT
};

/* Digits after the point of a DECIMAL declared without (p,s): 22 are left before it. */
#define DECIMAL_OPEN_SCALE 16

/* Passed by value. `precision` is 0 for a DECIMAL declared without one: 38 digits, printed without trailing zeros. */
struct type {
    uint8_t id; /* enum type_id */
    uint8_t precision, scale;
    uint32_t length; /* VARCHAR(n), CHAR(n): most characters; 0: any */
    const struct type_nested *nested; /* ARRAY, STRUCT, MAP; NULL otherwise */
};
#define TYPE(x) ((struct type){.id = (x)})
static inline struct type type_decimal(int precision, int scale)
{
    return (struct type){.id = T_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
}

extern const uint8_t type_widths[T_COUNT];
static inline size_t type_width(struct type t) { return type_widths[t.id]; }
static inline bool type_is_text(struct type t) { return t.id == T_VARCHAR || t.id == T_BLOB || t.id == T_JSON; }
static inline bool type_is_integer(struct type t) { return t.id >= T_INT8 && t.id <= T_INT64; }
static inline bool type_is_number(struct type t) { return t.id >= T_INT8 && t.id <= T_DECIMAL; }
static inline bool type_is_float(struct type t) { return t.id == T_FLOAT || t.id == T_DOUBLE; }
static inline bool type_is_time(struct type t) { return t.id == T_TIMESTAMP || t.id == T_TIMESTAMPTZ; }
static inline bool type_equal(struct type a, struct type b)
{
    return a.id == b.id && (a.id != T_DECIMAL || (a.precision == b.precision && a.scale == b.scale));
}
/* "DECIMAL(10,2)"; buf holds at least 64 bytes; returns buf. */
const char *type_name(struct type t, char *buf);
/* From an SQL type word in any case ("int", "text", "double precision", "timestamp"), without
 * parentheses. Returns false when there is none. */
bool type_from_word(const char *word, struct type *out);
/* The i-th of those words, or NULL at the end: for nearest names. */
const char *type_word(const void *ctx, int i);

/* A string inside the system: an Arrow string view whose long form holds a pointer in place of
 * (buffer, offset), so that gathering rows needs no rebasing. The bytes live in the batch (or a
 * batch it pins), in state, or in an arena. Unused inline bytes are zero, so two short strings are
 * equal iff their 16 bytes are. */
#define STR_INLINE 12
struct str {
    uint32_t n;
    char prefix[4]; /* the first bytes, zero filled */
    union {
        char rest[8];
        const char *p;
    };
};
_Static_assert(sizeof(struct str) == 16, "string views are 16 bytes");
static inline const char *str_ptr(const struct str *s) { return s->n <= STR_INLINE ? s->prefix : s->p; }
/* A view of bytes that outlive it; copies them when short. Short ones are put together in registers: bytes stored one by one and
 * loaded as words at once would wait for the stores. */
static inline struct str str_view(const char *p, uint32_t n)
{
    struct str s = {.n = n};
    if (n > STR_INLINE) {
        memcpy(s.prefix, p, 4);
        s.p = p;
        return s;
    }
    uint64_t low = 0, high = 0, tail = 0; /* bytes 0..7, 8..11 */
    if (n >= 8) {
        memcpy(&low, p, 8), memcpy(&tail, p + n - 4, 4);
        high = tail >> 8 * (12 - n);
    } else if (n >= 4) {
        memcpy(&low, p, 4), memcpy(&tail, p + n - 4, 4);
        low |= tail >> 8 * (8 - n) << 32;
    } else if (n) {
        low = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 * (n / 2) | (uint64_t)(uint8_t)p[n - 1] << 8 * (n - 1);
    }
    high = high << 32 | low >> 32;
    memcpy(s.prefix, &low, 4);
    memcpy(s.rest, &high, 8);
    return s;
}
static inline bool str_equal(const struct str *a, const struct str *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8), memcpy(&y, b, 8);
    if (x != y) return false;
    if (a->n <= STR_INLINE) {
        memcpy(&x, a->rest, 8), memcpy(&y, b->rest, 8);
        return x == y;
    }
    return memcmp(a->p, b->p, a->n) == 0;
}
/* Byte order, which for UTF-8 is code point order. */
static inline int str_compare(const struct str *a, const struct str *b)
{
    uint32_t n = a->n < b->n ? a->n : b->n;
    int c = memcmp(str_ptr(a), str_ptr(b), n);
    return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

struct interval {
    int32_t months, days;
    int64_t us;
};
_Static_assert(sizeof(struct interval) == 16, "intervals are 16 bytes");

typedef __int128 int128;

/* One cell. `is_null` wins. Text points into memory that the holder of the value names. */
struct value {
    struct type type;
    bool is_null;
    union {
        bool b;
        int64_t i; /* integers, DATE (days), TIME, TIMESTAMP */
        double d;  /* REAL too */
        int128 dec;
        struct str s;
        struct interval iv;
        uint8_t uuid[16];
    };
};

struct field {
    const char *name;
    struct type type;
    bool not_null;
};

/* Immutable once made; lives in the arena it was made in. */
struct schema {
    int n;
    struct field *fields;
    int time_column; /* the event time, or -1 */
};
struct schema *schema_new(struct arena *a, int n);
struct schema *schema_copy(struct arena *a, const struct schema *s);
int schema_find(const struct schema *s, const char *name); /* -1: none */

#endif
