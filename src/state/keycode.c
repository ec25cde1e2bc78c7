/* Values as bytes whose memcmp order is the SQL order. Each begins with a byte that says NULL (0 or 2) or not (1), so
 * NULLs stand where asked whatever the direction; then, inverted under DESC:
 *     integers, dates, times, DECIMAL   big endian, sign bit flipped
 *     floats                            big endian; negative: all bits flipped, else the sign bit. NaN is the greatest
 *     INTERVAL                          its length as a 16-byte integer
 *     text, BLOB, JSON                  the bytes, 0x00 as 0x00 0xff, closed by 0x00 0x00
 *     UUID                              its bytes
 * SPDX-License-Identifier: Apache-2.0 */
#include "state/state_int.h"

static void put_u64(struct text *out, uint64_t v)
{
    v = __builtin_bswap64(v);
    text_put(out, &v, 8);
}

static void put_i128(struct text *out, int128 v)
{
    put_u64(out, (uint64_t)(v >> 64) ^ 1ull << 63);
    put_u64(out, (uint64_t)v);
}

void keycode_put_i64(struct text *out, int64_t v)
{
    put_u64(out, (uint64_t)v ^ 1ull << 63);
}

static void put_double(struct text *out, double d)
{
    uint64_t v = double_canonical(d);
    put_u64(out, v >> 63 ? ~v : v | 1ull << 63);
}

static void put_text(struct text *out, const struct str *s)
{
    const char *p = str_ptr(s), *end = p + s->n, *zero;
    while ((zero = memchr(p, 0, (size_t)(end - p)))) {
        text_put(out, p, (size_t)(zero - p));
        text_put(out, "\0\xff", 2);
        p = zero + 1;
    }
    text_put(out, p, (size_t)(end - p));
    text_put(out, "\0\0", 2);
}

static void put_value(struct text *out, struct type t, const void *data, uint32_t row)
{
    int128 wide;
    switch (t.id) {
    case T_NULL: break;
    case T_BOOL: keycode_put_i64(out, ((const uint8_t *)data)[row]); break;
    case T_INT8: keycode_put_i64(out, ((const int8_t *)data)[row]); break;
    case T_INT16: keycode_put_i64(out, ((const int16_t *)data)[row]); break;
    case T_INT32:
    case T_DATE: keycode_put_i64(out, ((const int32_t *)data)[row]); break;
    case T_FLOAT: put_double(out, (double)((const float *)data)[row]); break;
    case T_DOUBLE: put_double(out, ((const double *)data)[row]); break;
    case T_DECIMAL:
        memcpy(&wide, (const char *)data + 16 * (size_t)row, 16);
        put_i128(out, wide);
        break;
    case T_INTERVAL: put_i128(out, interval_span((const struct interval *)data + row)); break;
    case T_UUID: text_put(out, (const char *)data + 16 * (size_t)row, 16); break;
    case T_VARCHAR:
    case T_BLOB:
    case T_JSON: put_text(out, (const struct str *)data + row); break;
    default: keycode_put_i64(out, ((const int64_t *)data)[row]); break;
    }
}

void keycode_put(struct text *out, struct type t, const struct column *c, uint32_t row, bool desc, bool nulls_first)
{
    if (t.id == T_NULL || column_null(c, row)) {
        text_putc(out, nulls_first ? 0 : 2);
        return;
    }
    text_putc(out, 1);
    size_t at = out->n;
    put_value(out, t, c->data, row);
    if (!desc || out->full) return;
    for (char *p = out->p + at, *end = out->p + out->n; p < end; p++) *p = (char)~*p;
}
