/* CRC-32C by the SSE 4.2 instruction, eight bytes at a time, or by a table, one. The instruction takes three cycles before
 * the next can begin, so long inputs go as three streams that a table joins: the sum of a stream is moved over the LANE
 * bytes behind it by multiplying with a fixed polynomial, which is linear, hence a table per byte of the sum.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */
#define LANE 1024

static struct {
    uint32_t byte[256];
    uint32_t skip[4][256]; /* a sum moved over LANE zero bytes, by its four bytes */
    bool fast;
} table;

static uint32_t by_table(uint32_t x, const uint8_t *p, size_t n)
{
    for (; n; n--) x = table.byte[(x ^ *p++) & 0xff] ^ x >> 8;
    return x;
}

static uint32_t over_lane(uint32_t x)
{
    for (int i = 0; i < LANE; i++) x = table.byte[x & 0xff] ^ x >> 8;
    return x;
}

__attribute__((constructor)) static void fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t x = i;
        for (int k = 0; k < 8; k++) x = x & 1 ? x >> 1 ^ POLYNOMIAL : x >> 1;
        table.byte[i] = x;
    }
    for (int k = 0; k < 4; k++) {
        table.skip[k][0] = 0;
        for (uint32_t bit = 1; bit < 256; bit *= 2) table.skip[k][bit] = over_lane(bit << 8 * k);
        for (uint32_t i = 1; i < 256; i++) table.skip[k][i] = table.skip[k][i & (i - 1)] ^ table.skip[k][i & -i];
    }
#ifdef __x86_64__
    table.fast = __builtin_cpu_supports("sse4.2");
#endif
}

#ifdef __x86_64__
static uint32_t skip(uint32_t x)
{
    return table.skip[0][x & 0xff] ^ table.skip[1][x >> 8 & 0xff] ^ table.skip[2][x >> 16 & 0xff] ^ table.skip[3][x >> 24];
}

__attribute__((target("sse4.2"))) static uint64_t next(uint64_t x, const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return __builtin_ia32_crc32di(x, word);
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t x, const uint8_t *p, size_t n)
{
    uint64_t a = x;
    for (; n >= 3 * LANE; p += 3 * LANE, n -= 3 * LANE) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < LANE; i += 8) a = next(a, p + i), b = next(b, p + LANE + i), c = next(c, p + 2 * LANE + i);
        a = skip(skip((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    }
    for (; n >= 8; p += 8, n -= 8) a = next(a, p);
    for (; n; n--) a = __builtin_ia32_crc32qi((uint32_t)a, *p++);
    return (uint32_t)a;
}
#endif

uint32_t crc32c_table(uint32_t sum, const void *p, size_t n) { return ~by_table(~sum, p, n); }

uint32_t crc32c(uint32_t sum, const void *p, size_t n)
{
#ifdef __x86_64__
    if (table.fast) return ~by_instruction(~sum, p, n);
#endif
    return crc32c_table(sum, p, n);
}
