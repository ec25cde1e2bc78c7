/* Text of one field into a value, for the types and spellings that most data is made of; what these refuse (false) goes
 * to cell_parse, which knows all of them and says what is wrong. They read up to 24 bytes from p whatever n is: input
 * has FORMAT_PADDING. Belongs to src/format. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_FIELD_H
#define FORMAT_FIELD_H

#include "expr/cell.h"

static inline uint64_t load_u64(const char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/* Eight bytes, first in the lowest; all that must be digits, as numbers: none above 9. */
#define DIGITS_NONE_ABOVE_9(x) (!(((x) | ((x) + 0x7676767676767676u)) & 0x8080808080808080u))

/* The number that n (1..8) digits at p make. */
static inline bool digits_8(const char *p, size_t n, uint64_t *out)
{
    /* the unused bytes become leading zeros */
    uint64_t x = (load_u64(p) ^ 0x3030303030303030u) << (64 - 8 * n);
    if (!DIGITS_NONE_ABOVE_9(x)) return false;
    x = x * 10 + (x >> 8); /* pairs, in every other byte */
    const uint64_t pairs = 0x000000ff000000ffu;
    *out = ((x & pairs) * (100 + (1000000ull << 32)) + (x >> 16 & pairs) * (1 + (10000ull << 32))) >> 32;
    return true;
}

/* [-]digits, at most 18 of them. */
static inline bool field_int64(const char *p, size_t n, int64_t *out)
{
    size_t minus = n && *p == '-';
    p += minus, n -= minus;
    uint64_t v;
    if (likely(n - 1 < 8)) {
        if (!digits_8(p, n, &v)) return false;
    } else {
        if (n - 9 >= 10) return false;
        uint64_t lead, middle, last = 0;
        size_t rest = n > 16 ? n - 16 : 0;
        if (!digits_8(p, n - 8 - rest, &lead) || !digits_8(p + n - 8 - rest, 8, &middle)) return false;
        v = lead * 100000000 + middle;
        if (rest) {
            if (!digits_8(p + n - rest, rest, &last)) return false;
            v = v * (rest == 1 ? 10 : 100) + last;
        }
    }
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

/* The day of the row before, which is this one's more often than not. */
struct day_memo {
    uint64_t text; /* its first eight bytes, and */
    uint16_t tail; /* the last two; 0: none */
    int32_t days;
};

/* YYYY-MM-DD, of at least ten bytes. */
static inline bool field_day(const char *p, struct day_memo *memo, int32_t *out)
{
    uint64_t x = load_u64(p);
    uint16_t tail;
    memcpy(&tail, p + 8, 2);
    if (likely(x == memo->text && tail == memo->tail)) {
        *out = memo->days;
        return true;
    }
    static const uint8_t lengths[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint8_t c[10];
    for (int i = 0; i < 10; i++) {
        c[i] = (uint8_t)(p[i] - '0');
        if (i == 4 || i == 7 ? p[i] != '-' : c[i] > 9) return false;
    }
    int year = c[0] * 1000 + c[1] * 100 + c[2] * 10 + c[3], month = c[5] * 10 + c[6], day = c[8] * 10 + c[9];
    if (!year || !month || month > 12 || !day) return false;
    bool leap = year % 4 == 0 && (year % 100 || year % 400 == 0);
    if (day > lengths[month] + (month == 2 && leap)) return false;
    memo->text = x, memo->tail = tail;
    *out = memo->days = (int32_t)days_of_civil(year, month, day);
    return true;
}

/* YYYY-MM-DD HH:MM:SS[.f to .ffffff], a T for the blank too; no zone. */
static inline bool field_timestamp(const char *p, size_t n, struct day_memo *memo, int64_t *out)
{
    if (n < 19) return false;
    int32_t days;
    if (!field_day(p, memo, &days) || (p[10] != ' ' && p[10] != 'T')) return false;
    uint64_t x = load_u64(p + 11) ^ 0x30303a30303a3030u;
    /* each byte's room up to 127: digits 9, but the first of minutes and seconds 5 and of hours 2; colons 0 */
    if ((x | (x + 0x767a7f767a7f767du)) & 0x8080808080808080u) return false;
    x = x * 10 + (x >> 8);
    uint64_t hour = x & 0xff;
    if (hour > 23) return false;
    uint64_t seconds = hour * 3600 + (x >> 24 & 0xff) * 60 + (x >> 48 & 0xff), fraction = 0;
    if (n > 19) {
        static const uint32_t scale[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
        if (n < 21 || n > 26 || p[19] != '.' || !digits_8(p + 20, n - 20, &fraction)) return false;
        fraction *= scale[n - 20];
    }
    *out = (int64_t)days * 86400000000 + (int64_t)(seconds * 1000000 + fraction);
    return true;
}

/* A string of n <= STR_INLINE bytes. */
static inline struct str field_short(const char *p, uint32_t n)
{
    static const uint64_t keep[13][2] = {
        {0,                0         },
        {0xff,             0         },
        {0xffff,           0         },
        {0xffffff,         0         },
        {0xffffffff,       0         },
        {0xffffffffff,     0         },
        {0xffffffffffff,   0         },
        {0xffffffffffffff, 0         },
        {UINT64_MAX,       0         },
        {UINT64_MAX,       0xff      },
        {UINT64_MAX,       0xffff    },
        {UINT64_MAX,       0xffffff  },
        {UINT64_MAX,       0xffffffff},
    };
    uint64_t lo = load_u64(p) & keep[n][0], hi = load_u64(p + 8) & keep[n][1];
    uint64_t words[2] = {n | lo << 32, lo >> 32 | hi << 32};
    struct str s;
    memcpy(&s, words, 16);
    return s;
}

#endif
