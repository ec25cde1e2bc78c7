/* A row as bytes: a bitmap of NULLs (bit c: column c is NULL), then each other value: its bytes as they lie in a
 * column; text: u32 length and bytes. Reading never passes the end: what is missing reads as NULL.
 * SPDX-License-Identifier: Apache-2.0 */
#include "state/state_int.h"

void rowcode_put(struct text *out, const struct schema *s, const struct batch *b, uint32_t row)
{
    for (int base = 0; base < s->n; base += 8) {
        uint8_t nulls = 0;
        for (int c = base; c < s->n && c < base + 8; c++)
            nulls |= (uint8_t)(column_null(&b->cols[c], row) << (c - base));
        text_putc(out, (char)nulls);
    }
    for (int c = 0; c < s->n; c++) {
        size_t width = type_width(s->fields[c].type);
        const char *p = (const char *)b->cols[c].data + width * row;
        if (column_null(&b->cols[c], row)) continue;
        if (type_is_text(s->fields[c].type)) {
            const struct str *v = (const struct str *)p;
            PUT(out, uint32_t, v->n);
            text_put(out, str_ptr(v), v->n);
        } else {
            text_put(out, p, width);
        }
    }
}

static bool get_value(struct reader *r, struct type t, struct batch *b, char *to)
{
    if (!type_is_text(t)) {
        reader_copy(r, to, type_width(t));
        return !r->bad;
    }
    uint32_t n = reader_u32(r);
    const char *p = reader_bytes(r, n);
    if (!p) return false;
    *(struct str *)to = batch_str(b, p, n);
    return true;
}

void rowcode_get(const char *p, uint32_t n, const struct schema *s, struct batch *b, uint32_t at, uint32_t cap)
{
    struct reader r = {.p = p, .end = p + n};
    const char *nulls = reader_bytes(&r, ((size_t)s->n + 7) / 8);
    for (int c = 0; c < s->n; c++) {
        size_t width = type_width(s->fields[c].type);
        struct column *to = &b->cols[c];
        char *data = (char *)to->data + width * at;
        bool is_null = !nulls || (nulls[c / 8] >> (c % 8) & 1);
        if (!is_null && get_value(&r, s->fields[c].type, b, data)) continue;
        if (!to->valid) to->valid = batch_validity(b, cap);
        bit_clear(to->valid, at);
        memset(data, 0, width);
    }
}
