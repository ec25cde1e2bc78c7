/* SPDX-License-Identifier: Apache-2.0 */
#include "arrow/flat.h"

#include <string.h>

/* ---- writing ---------------------------------------------------------------------------------------- */

struct flat flat_begin(struct text *out)
{
    struct flat f = {out, out->n};
    flat_put(&f, "\0\0\0", 4);
    return f;
}

void flat_put(struct flat *f, const void *p, size_t n)
{
    text_put(f->out, p, n);
}

void flat_pad(struct flat *f, size_t align)
{
    flat_put(f, "\0\0\0\0\0\0\0", -flat_at(f) & (align - 1));
}

static void patch(struct flat *f, size_t at, const void *p, size_t n)
{
    if (f->base + at + n <= f->out->n) memcpy(f->out->p + f->base + at, p, n); /* else it is full, which the caller looks at */
}

void flat_refer(struct flat *f, size_t at, size_t target)
{
    uint32_t distance = (uint32_t)(target - at);
    patch(f, at, &distance, 4);
}

size_t flat_table(struct flat *f, struct flat_field *fields, int n)
{
    uint16_t vtable[2 + 8] = {(uint16_t)(4 + 2 * n)}, size = 4;
    INVARIANT(n <= 8);
    for (int i = 0; i < n; i++) {
        if (!fields[i].size) continue;
        size = (uint16_t)((size + fields[i].size - 1) & -fields[i].size);
        vtable[2 + i] = size;
        size = (uint16_t)(size + fields[i].size);
    }
    vtable[1] = size;
    flat_pad(f, 2);
    size_t at = flat_at(f);
    flat_put(f, vtable, vtable[0]);
    flat_pad(f, 8);
    size_t table = flat_at(f);
    int32_t back = (int32_t)(table - at);
    flat_put(f, &back, 4);
    for (int i = 0; i < n; i++) {
        if (!fields[i].size) continue;
        flat_pad(f, fields[i].size);
        fields[i].at = flat_at(f);
        flat_put(f, &fields[i].value, fields[i].size);
    }
    return table;
}

size_t flat_vector(struct flat *f, uint32_t n, size_t align)
{
    flat_pad(f, 4);
    if (align == 8 && flat_at(f) % 8 == 0) flat_put(f, "\0\0\0", 4);
    size_t at = flat_at(f);
    flat_put(f, &n, 4);
    return at;
}

size_t flat_string(struct flat *f, const char *s)
{
    size_t n = strlen(s), at = flat_vector(f, (uint32_t)n, 4);
    flat_put(f, s, n + 1);
    return at;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static bool inside(struct flat_bytes in, uint64_t at, uint64_t n)
{
    return at <= in.n && n <= in.n - at;
}

static int64_t load(const char *p, size_t n)
{
    uint64_t u = 0;
    memcpy(&u, p, n);
    int unused = 64 - 8 * (int)n;
    return (int64_t)(u << unused) >> unused;
}

static uint32_t load_u16(struct flat_bytes in, uint32_t at) { return (uint16_t)load(in.p + at, 2); }

static bool table_at(struct flat_bytes in, uint64_t at, struct flat_view *out)
{
    if (!inside(in, at, 4)) return false;
    int64_t vtable = (int64_t)at - load(in.p + at, 4);
    if (vtable < 0 || !inside(in, (uint64_t)vtable, 4)) return false;
    *out = (struct flat_view){.in = in, .at = (uint32_t)at, .vtable = (uint32_t)vtable};
    uint32_t bytes = load_u16(in, out->vtable);
    out->size = load_u16(in, out->vtable + 2);
    if (bytes < 4 || bytes % 2 || out->size < 4) return false;
    out->nfields = (bytes - 4) / 2;
    return inside(in, out->vtable, bytes) && inside(in, at, out->size);
}

/* What the reference at `at` means. */
static bool follow(struct flat_bytes in, uint32_t at, uint64_t *out)
{
    *out = (uint64_t)at + (uint32_t)load(in.p + at, 4);
    return *out < in.n;
}

bool flat_root(struct flat_bytes in, struct flat_view *out)
{
    uint64_t at;
    return inside(in, 0, 4) && follow(in, 0, &at) && table_at(in, at, out);
}

/* Where a field of `size` bytes stands; 0: it is not there. */
static bool field_at(const struct flat_view *t, int field, size_t size, uint32_t *out)
{
    *out = 0;
    if ((uint32_t)field >= t->nfields) return true;
    uint32_t place = load_u16(t->in, t->vtable + 4 + 2 * (uint32_t)field);
    if (!place) return true;
    *out = t->at + place;
    return place >= 4 && place + size <= t->size;
}

bool flat_int(const struct flat_view *t, int field, size_t size, int64_t dflt, int64_t *out)
{
    uint32_t at;
    *out = dflt;
    if (!field_at(t, field, size, &at)) return false;
    if (at) *out = load(t->in.p + at, size);
    return true;
}

bool flat_child(const struct flat_view *t, int field, struct flat_view *out)
{
    uint32_t at;
    uint64_t to;
    *out = (struct flat_view){0};
    if (!field_at(t, field, 4, &at)) return false;
    return !at || (follow(t->in, at, &to) && table_at(t->in, to, out));
}

bool flat_items(const struct flat_view *t, int field, size_t size, struct flat_list *out)
{
    uint32_t at;
    uint64_t to;
    *out = (struct flat_list){.in = t->in};
    if (!field_at(t, field, 4, &at)) return false;
    if (!at) return true;
    if (!follow(t->in, at, &to) || !inside(t->in, to, 4)) return false;
    out->at = (uint32_t)to + 4;
    out->n = (uint32_t)load(t->in.p + to, 4);
    return inside(t->in, out->at, (uint64_t)out->n * size);
}

bool flat_element(const struct flat_list *l, uint32_t i, struct flat_view *out)
{
    uint64_t to;
    return follow(l->in, l->at + 4 * i, &to) && table_at(l->in, to, out);
}

bool flat_text(const struct flat_view *t, int field, const char **out)
{
    struct flat_list l;
    *out = NULL;
    if (!flat_items(t, field, 1, &l) || l.n > FLAT_TEXT_MAX) return false;
    if (!l.at) return true;
    *out = l.in.p + l.at;
    return inside(l.in, l.at, (uint64_t)l.n + 1) && strnlen(*out, (size_t)l.n + 1) == l.n;
}
