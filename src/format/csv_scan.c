/* Structural scan of CSV. One loop, compiled for AVX2 and for any machine; the bits of 64 bytes are all that differs.
 * SPDX-License-Identifier: Apache-2.0 */
#include "format/csv_scan.h"

#include "base/mem.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* Bit i of each: byte i is such a byte. */
struct masks {
    uint64_t delimiter, newline, quote, high;
};
typedef void masks_fn(const char *p, const struct csv_dialect *d, struct masks *m);

/* Eight bytes to eight bits; x has nothing but the top bit of bytes. */
INLINE uint64_t top_bits(uint64_t x)
{
    return (x >> 7) * 0x0102040810204080u >> 56;
}

INLINE uint64_t equal_bits(uint64_t x, char c)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    x ^= 0x0101010101010101u * (uint8_t)c;
    return top_bits(~(((x & low) + low) | x | low));
}

INLINE void masks_any(const char *p, const struct csv_dialect *d, struct masks *m)
{
    *m = (struct masks){0};
    for (int i = 0; i < 64; i += 8) {
        uint64_t x;
        memcpy(&x, p + i, 8);
        m->delimiter |= equal_bits(x, d->delimiter) << i;
        m->newline |= equal_bits(x, '\n') << i;
        if (d->quote >= 0) m->quote |= equal_bits(x, (char)d->quote) << i;
        m->high |= top_bits(x & 0x8080808080808080u) << i;
    }
}

/* All bits from an odd set bit up to before the next even one. */
INLINE uint64_t prefix_xor(uint64_t x)
{
    x ^= x << 1, x ^= x << 2, x ^= x << 4, x ^= x << 8, x ^= x << 16, x ^= x << 32;
    return x;
}

/* Byte by byte, for blocks in which a quote stands where none can open. Returns the bytes outside quoted fields;
 * the block's last byte is number `last`. */
static uint64_t outside_slow(const struct masks *m, int last, struct csv_state *s)
{
    uint64_t outside = 0;
    bool start = s->start;
    for (int i = 0; i <= last; i++) {
        uint64_t bit = 1ull << i;
        bool quote = m->quote & bit, opens = quote && !s->inside && (start || s->closed);
        bool closes = quote && s->inside;
        start = !s->inside && !opens && (m->delimiter | m->newline) & bit;
        s->inside = opens || (s->inside && !closes);
        s->closed = closes;
        if (!s->inside && !closes) outside |= bit;
    }
    return outside;
}

/* By parity of quotes, which is right unless a quote opens in the middle of a field. */
INLINE uint64_t outside_quotes(const struct masks *m, int last, struct csv_state *s)
{
    uint64_t in = prefix_xor(m->quote) ^ (0 - (uint64_t)s->inside);
    uint64_t opens = m->quote & in, closes = m->quote & ~in;
    uint64_t starts = ((m->delimiter | m->newline) & ~in) << 1 | (uint64_t)s->start;
    if (unlikely(opens & ~(starts | closes << 1 | (uint64_t)s->closed))) return outside_slow(m, last, s);
    s->inside = in >> last & 1;
    s->closed = closes >> last & 1;
    return ~in;
}

/* Writes the places of the set bits of m. Eight at a time and a few too many: the count varies less than its
 * mispredictions cost. */
INLINE void put_bits(uint32_t *to, uint64_t m, uint32_t at, int count)
{
    for (int done = 0;; done += 8) {
        for (int i = 0; i < 8; i++, m &= m - 1) to[done + i] = at + (uint32_t)__builtin_ctzll(m | 1ull << 63);
        if (done + 8 >= count) break;
    }
}

static void grow(struct csv_index *x)
{
    uint32_t cap = x->cap ? x->cap * 2 : 4096;
    x->buf = mem_realloc(x->buf, x->cap * sizeof *x->buf, cap * sizeof *x->buf);
    x->cap = cap;
    x->ends = x->buf + 1;
    x->buf[0] = UINT32_MAX;
}

INLINE void scan(const struct csv_dialect *dialect, const char *p, uint32_t from, uint32_t n, uint32_t max_newlines,
                 struct csv_index *x, masks_fn *masks)
{
    const struct csv_dialect d = *dialect;
    struct csv_state s = x->state;
    uint64_t high = 0, quotes = 0;
    uint32_t fields = x->n, newlines = 0;
    for (uint32_t at = from; at < n && newlines < max_newlines; at += 64) {
        struct masks m;
        masks(p + at, &d, &m);
        int last = 63;
        if (unlikely(n - at < 64)) {
            uint64_t keep = (1ull << (n - at)) - 1;
            last = (int)(n - at) - 1;
            m.delimiter &= keep, m.newline &= keep, m.quote &= keep, m.high &= keep;
        }
        high |= m.high;
        uint64_t ends = m.delimiter | m.newline;
        if (unlikely(m.quote || s.inside)) {
            quotes = 1;
            uint64_t outside = outside_quotes(&m, last, &s);
            ends &= outside, m.newline &= outside;
        } else {
            s.closed = false;
        }
        s.start = ends >> last & 1;
        if (unlikely(x->cap < fields + 80)) grow(x);
        int count = __builtin_popcountll(ends);
        put_bits(x->ends + fields, ends, at, count);
        fields += (uint32_t)count;
        newlines += (uint32_t)__builtin_popcountll(m.newline);
    }
    x->n = fields, x->newlines = newlines;
    x->quotes |= quotes != 0, x->high |= high != 0;
    x->state = s;
}

void csv_index_clear(struct csv_index *x)
{
    if (!x->cap) grow(x);
    x->n = 0;
    x->quotes = x->high = false;
}

void csv_scan_portable(const struct csv_dialect *d, const char *p, uint32_t n, uint32_t max_newlines,
                       struct csv_index *x)
{
    csv_index_clear(x);
    scan(d, p, 0, n, max_newlines, x, masks_any);
}

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt")))

AVX2 INLINE uint64_t equal_avx2(__m256i a, __m256i b, __m256i c)
{
    uint32_t lo = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, c));
    uint32_t hi = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, c));
    return lo | (uint64_t)hi << 32;
}

AVX2 INLINE void masks_avx2(const char *p, const struct csv_dialect *d, struct masks *m)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)p), b = _mm256_loadu_si256((const __m256i *)(p + 32));
    m->delimiter = equal_avx2(a, b, _mm256_set1_epi8(d->delimiter));
    m->newline = equal_avx2(a, b, _mm256_set1_epi8('\n'));
    m->quote = d->quote < 0 ? 0 : equal_avx2(a, b, _mm256_set1_epi8((char)d->quote));
    m->high = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(a, b)); /* which half does not matter */
}

AVX2 static void scan_avx2(const struct csv_dialect *d, const char *p, uint32_t from, uint32_t n, uint32_t max,
                           struct csv_index *x)
{
    scan(d, p, from, n, max, x, masks_avx2);
}
#endif

void csv_scan(const struct csv_dialect *d, const char *p, uint32_t n, uint32_t max_newlines, struct csv_index *x)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        csv_index_clear(x);
        scan_avx2(d, p, 0, n, max_newlines, x);
        return;
    }
#endif
    csv_scan_portable(d, p, n, max_newlines, x);
}

void csv_scan_more(const struct csv_dialect *d, const char *p, uint32_t from, uint32_t n, struct csv_index *x)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        scan_avx2(d, p, from, n, UINT32_MAX, x);
        return;
    }
#endif
    scan(d, p, from, n, UINT32_MAX, x, masks_any);
}

void csv_index_push(struct csv_index *x, uint32_t end)
{
    if (x->cap < x->n + 2) grow(x);
    x->ends[x->n++] = end;
    x->newlines++;
}

void csv_index_done(struct csv_index *x)
{
    mem_free(x->buf);
    *x = (struct csv_index){0};
}
