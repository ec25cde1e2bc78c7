/* Code points of valid UTF-8. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_UTF8_H
#define EXPR_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool utf8_starts(char c)
{
    return (signed char)c > -65;
} /* not a continuation byte */

static inline uint32_t utf8_count(const char *p, uint32_t n)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) k += utf8_starts(p[i]);
    return k;
}

static inline uint32_t utf8_length(char first)
{
    uint8_t c = (uint8_t)first;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The byte at which code point `k` begins; n when there are not so many. */
static inline uint32_t utf8_offset(const char *p, uint32_t n, int64_t k)
{
    uint32_t i = 0;
    for (; i < n && k > 0; k--) i += utf8_length(p[i]);
    return i < n ? i : n;
}

static inline int32_t utf8_decode(const char *p, uint32_t *length)
{
    const uint8_t *s = (const uint8_t *)p;
    *length = utf8_length(*p);
    switch (*length) {
    case 1: return s[0];
    case 2: return (s[0] & 31) << 6 | (s[1] & 63);
    case 3: return (s[0] & 15) << 12 | (s[1] & 63) << 6 | (s[2] & 63);
    default: return (s[0] & 7) << 18 | (s[1] & 63) << 12 | (s[2] & 63) << 6 | (s[3] & 63);
    }
}

static inline uint32_t utf8_encode(int32_t c, char *to)
{
    if (c < 0x80) return *to = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63)), 3;
    to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63)), to[3] = (char)(0x80 | (c & 63));
    return 4;
}

#endif
