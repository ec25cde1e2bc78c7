/* Hashes of grouping keys. Equal keys must hash alike whatever columns they come from (a join's two sides, an exchange
 * and the table behind it, a table before and after a load), so each value is brought to its canonical form first.
 * One multiplication folds 64 bits into 128; two rounds a column spread every input bit over the group byte and the
 * low bits alike. SPDX-License-Identifier: Apache-2.0 */
#include "state/state_int.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define K0     0x9e3779b97f4a7c15ull
#define K1     0xe7037ed1a0b428dbull
#define K2     0x8ebc6af09c88c6e3ull
#define K_NULL 0x589965cc75374cc3ull

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}
static inline uint64_t mix(uint64_t h, uint64_t v)
{
    return fold(fold(h ^ v, K0) ^ K1, K2);
}

static inline uint64_t mix128(uint64_t h, int128 v)
{
    if (v == (int64_t)v) return mix(h, (uint64_t)v);
    return mix(mix(h, (uint64_t)v), (uint64_t)(v >> 64) ^ K1);
}

static const int128 ten_38 = (int128)10000000000000000000ull * 10000000000000000000ull;

static uint64_t mix_decimal(uint64_t h, const void *p, int scale)
{
    int128 v;
    memcpy(&v, p, 16);
    if (v > ten_38 || v < -ten_38) scale = 0; /* NaN and the infinities */
    while (scale && v == (int64_t)v && (int64_t)v % 10 == 0) v = (int64_t)v / 10, scale = v ? scale - 1 : 0;
    while (scale && v % 10 == 0) v /= 10, scale--;
    return mix128(scale ? mix(h, (uint64_t)scale) : h, v);
}

static inline uint64_t mix_text(uint64_t h, const struct str *s)
{
    if (s->n > STR_INLINE) return mix(h, XXH3_64bits(s->p, s->n));
    uint64_t a, b;
    memcpy(&a, s, 8), memcpy(&b, s->rest, 8);
    return fold(fold(fold(h ^ a, K0) ^ b, K1) ^ K0, K2);
}

#define EACH(MIX)                                                                                                      \
    do {                                                                                                               \
        if (!c->valid) {                                                                                               \
            for (uint32_t i = 0; i < n; i++) hashes[i] = MIX;                                                          \
        } else {                                                                                                       \
            for (uint32_t i = 0; i < n; i++) hashes[i] = bit_get(c->valid, i) ? MIX : mix(hashes[i], K_NULL);          \
        }                                                                                                              \
    } while (0)
#define WORD(T) EACH(mix(hashes[i], (uint64_t)(int64_t)((const T *)c->data)[i]))

static void add_column(const struct column *c, struct type t, uint32_t n, uint64_t *hashes)
{
    switch (t.id) {
    case T_BOOL: WORD(uint8_t); break;
    case T_INT8: WORD(int8_t); break;
    case T_INT16: WORD(int16_t); break;
    case T_INT32:
    case T_DATE: WORD(int32_t); break;
    case T_FLOAT: EACH(mix(hashes[i], double_canonical((double)((const float *)c->data)[i]))); break;
    case T_DOUBLE: EACH(mix(hashes[i], double_canonical(((const double *)c->data)[i]))); break;
    case T_DECIMAL: EACH(mix_decimal(hashes[i], (const char *)c->data + 16 * (size_t)i, t.scale)); break;
    case T_VARCHAR:
    case T_BLOB:
    case T_JSON: EACH(mix_text(hashes[i], (const struct str *)c->data + i)); break;
    case T_INTERVAL: EACH(mix128(hashes[i], interval_span((const struct interval *)c->data + i))); break;
    case T_UUID:
        EACH(mix(mix(hashes[i], ((const uint64_t *)c->data)[2 * i]), ((const uint64_t *)c->data)[2 * i + 1]));
        break;
    case T_NULL:
        for (uint32_t i = 0; i < n; i++) hashes[i] = mix(hashes[i], K_NULL);
        break;
    default: WORD(int64_t); break;
    }
}

void key_hash(const struct column *keys, const struct type *types, int nkeys, uint32_t n, uint64_t seed,
              uint64_t *hashes)
{
    uint64_t start = nkeys ? seed ^ K2 : (seed ^ K2) << 8 >> 8; /* no keys: group 0 */
    for (uint32_t i = 0; i < n; i++) hashes[i] = start;
    for (int k = 0; k < nkeys; k++) add_column(&keys[k], types[k], n, hashes);
}

void key_hash_more(const struct column *keys, const struct type *types, int nkeys, uint32_t n, uint64_t *hashes)
{
    for (uint32_t at = 0; at < n; at += 256) {
        uint8_t groups[256];
        uint32_t m = n - at < 256 ? n - at : 256;
        for (uint32_t i = 0; i < m; i++) groups[i] = (uint8_t)(hashes[at + i] >> 56);
        for (int k = 0; k < nkeys; k++) {
            struct column c = {.data = (char *)keys[k].data + type_width(types[k]) * at,
                               .valid = keys[k].valid ? keys[k].valid + at / 64 : NULL};
            add_column(&c, types[k], m, hashes + at);
        }
        for (uint32_t i = 0; i < m; i++) hashes[at + i] = hashes[at + i] << 8 >> 8 | (uint64_t)groups[i] << 56;
    }
}

uint64_t bytes_hash(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}
