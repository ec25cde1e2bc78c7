/* Batches: building, sharing, gathering. SPDX-License-Identifier: Apache-2.0 */
#include "arrow/batch.h"

/* Own buffers are chained through a link in their first bytes. */
struct link {
    void *next;
    _Alignas(64) char data[];
};
#define HEAP_CHUNK 8192

struct batch *batch_new(struct pool *p, int ncols)
{
    size_t n = sizeof(struct batch) + sizeof(struct column) * (size_t)ncols;
    struct batch *b = pool_take(p, n);
    memset(b, 0, n);
    atomic_init(&b->refs, 1);
    b->ncols = (uint16_t)ncols;
    b->pool = p;
    b->compact_text = true;
    b->ts_min = TS_MAX;
    b->ts_max = TS_MIN;
    b->bytes_own = b->bytes_held = (uint32_t)pool_size(b);
    return b;
}

void *batch_alloc(struct batch *b, size_t n)
{
    struct link *l = pool_take(b->pool, sizeof *l + n);
    l->next = b->bufs;
    b->bufs = l;
    uint32_t size = (uint32_t)pool_size(l);
    b->bytes_own += size;
    b->bytes_held += size;
    return l->data;
}

struct batch *batch_for(struct pool *p, const struct schema *s, uint32_t cap)
{
    struct batch *b = batch_new(p, s->n);
    for (int i = 0; i < s->n; i++) b->cols[i].data = batch_alloc(b, type_width(s->fields[i].type) * cap);
    return b;
}

void batch_unref(struct batch *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    for (int i = 0; i < b->npins; i++) batch_unref(b->pins[i]);
    for (struct link *l = b->bufs, *next; l; l = next) {
        next = l->next;
        pool_give(l);
    }
    pool_give(b);
}

char *batch_text(struct batch *b, size_t n)
{
    if (!b->heap || (size_t)(b->heap_end - b->heap) < n) {
        size_t room = (b->heap && b->bytes_own > 65536 ? 65536 : HEAP_CHUNK) - sizeof(struct link);
        b->heap = batch_alloc(b, n > room ? n : room);
        b->heap_end = b->heap + pool_size(container_of(b->heap, struct link, data)) - sizeof(struct link);
    }
    char *p = b->heap;
    b->heap += n;
    return p;
}

struct str batch_str(struct batch *b, const char *p, uint32_t n)
{
    if (n > STR_INLINE) p = memcpy(batch_text(b, n), p, n);
    return str_view(p, n);
}

void batch_pin(struct batch *b, struct batch *other)
{
    for (int i = 0; i < b->npins; i++)
        if (b->pins[i] == other) return;
    INVARIANT(b->npins < countof(b->pins));
    b->pins[b->npins++] = batch_ref(other);
    b->bytes_held += other->bytes_held;
    b->compact_text = false;
}

uint64_t *batch_validity(struct batch *b, uint32_t cap)
{
    uint64_t *m = batch_alloc(b, bitmap_words(cap) * 8);
    memset(m, 0xff, bitmap_words(cap) * 8);
    return m;
}

struct value batch_value(const struct batch *b, const struct schema *s, int col, uint32_t row)
{
    const struct column *c = &b->cols[col];
    struct value v = {.type = s->fields[col].type, .is_null = column_null(c, row)};
    if (v.is_null) return v;
    switch (v.type.id) {
    case T_NULL: v.is_null = true; break;
    case T_BOOL: v.b = ((uint8_t *)c->data)[row]; break;
    case T_INT8: v.i = ((int8_t *)c->data)[row]; break;
    case T_INT16: v.i = ((int16_t *)c->data)[row]; break;
    case T_INT32:
    case T_DATE: v.i = ((int32_t *)c->data)[row]; break;
    case T_FLOAT: v.d = (double)((float *)c->data)[row]; break;
    case T_DOUBLE: v.d = ((double *)c->data)[row]; break;
    case T_DECIMAL: memcpy(&v.dec, (char *)c->data + 16 * (size_t)row, 16); break;
    case T_VARCHAR:
    case T_BLOB:
    case T_JSON: v.s = ((struct str *)c->data)[row]; break;
    case T_INTERVAL: v.iv = ((struct interval *)c->data)[row]; break;
    case T_UUID: memcpy(v.uuid, (char *)c->data + 16 * (size_t)row, 16); break;
    default: v.i = ((int64_t *)c->data)[row]; break;
    }
    return v;
}

static void put_null(struct batch *b, struct column *c, uint32_t row, uint32_t cap, size_t width)
{
    if (!c->valid) c->valid = batch_validity(b, cap);
    bit_clear(c->valid, row);
    memset((char *)c->data + width * row, 0, width);
}

void batch_put(struct batch *b, const struct schema *s, int col, uint32_t row, uint32_t cap, const struct value *v)
{
    struct column *c = &b->cols[col];
    struct type t = s->fields[col].type;
    if (v->is_null || t.id == T_NULL) {
        put_null(b, c, row, cap, type_width(t));
        return;
    }
    switch (t.id) {
    case T_BOOL: ((uint8_t *)c->data)[row] = v->b; break;
    case T_INT8: ((int8_t *)c->data)[row] = (int8_t)v->i; break;
    case T_INT16: ((int16_t *)c->data)[row] = (int16_t)v->i; break;
    case T_INT32:
    case T_DATE: ((int32_t *)c->data)[row] = (int32_t)v->i; break;
    case T_FLOAT: ((float *)c->data)[row] = (float)v->d; break;
    case T_DOUBLE: ((double *)c->data)[row] = v->d; break;
    case T_DECIMAL: memcpy((char *)c->data + 16 * (size_t)row, &v->dec, 16); break;
    case T_VARCHAR:
    case T_BLOB:
    case T_JSON: ((struct str *)c->data)[row] = batch_str(b, str_ptr(&v->s), v->s.n); break;
    case T_INTERVAL: ((struct interval *)c->data)[row] = v->iv; break;
    case T_UUID: memcpy((char *)c->data + 16 * (size_t)row, v->uuid, 16); break;
    default: ((int64_t *)c->data)[row] = v->i; break;
    }
}

/* ---- gathering ---------------------------------------------------------------------------- */

#define GATHER(T)                                                                                  \
    do {                                                                                           \
        T *d_ = (T *)to;                                                                           \
        const T *s_ = (const T *)from;                                                             \
        for (uint32_t i = 0; i < n; i++) d_[i] = s_[idx[i]];                                       \
    } while (0)

typedef struct { uint64_t a, b; } wide; /* 16 bytes */

static void gather(void *to, const void *from, size_t width, const uint32_t *idx, uint32_t n)
{
    switch (width) {
    case 1: GATHER(uint8_t); break;
    case 2: GATHER(uint16_t); break;
    case 4: GATHER(uint32_t); break;
    case 8: GATHER(uint64_t); break;
    case 16: GATHER(wide); break;
    }
}

static void own_text(struct batch *b, struct str *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (s[i].n > STR_INLINE) s[i].p = memcpy(batch_text(b, s[i].n), s[i].p, s[i].n);
}

/* Appends gathered rows at to->rows; copies text when `own`. */
static void append(struct batch *to, uint32_t cap, const struct schema *s, const struct batch *from,
                   const uint32_t *idx, uint32_t n, bool own)
{
    uint32_t at = to->rows;
    for (int c = 0; c < s->n; c++) {
        struct column *d = &to->cols[c];
        const struct column *f = &from->cols[c];
        size_t width = type_width(s->fields[c].type);
        char *out = (char *)d->data + width * at;
        if (idx)
            gather(out, f->data, width, idx, n);
        else
            memcpy(out, f->data, width * n);
        if (f->valid) {
            if (!d->valid) d->valid = batch_validity(to, cap);
            for (uint32_t i = 0; i < n; i++)
                if (!bit_get(f->valid, idx ? idx[i] : i)) {
                    bit_clear(d->valid, at + i);
                    memset(out + width * i, 0, width); /* no view into memory we do not hold */
                }
        }
        if (own && type_is_text(s->fields[c].type)) own_text(to, (struct str *)out, n);
    }
    if (from->weight || to->weight) {
        int8_t *w = (int8_t *)to->weight;
        if (!w) {
            w = batch_alloc(to, cap);
            memset(w, 1, at);
            to->weight = w;
        }
        for (uint32_t i = 0; i < n; i++) w[at + i] = from->weight ? from->weight[idx ? idx[i] : i] : 1;
    }
    to->rows = at + n;
    if (from->ts_min < to->ts_min) to->ts_min = from->ts_min;
    if (from->ts_max > to->ts_max) to->ts_max = from->ts_max;
}

static bool has_text(const struct schema *s)
{
    for (int i = 0; i < s->n; i++)
        if (type_is_text(s->fields[i].type)) return true;
    return false;
}

struct batch *rows_dense(struct pool *p, const struct schema *s, const struct rows *r)
{
    if (!r->sel) return batch_ref(r->b);
    struct batch *b = batch_for(p, s, r->n ? r->n : 1);
    append(b, r->n ? r->n : 1, s, r->b, r->sel, r->n, false);
    if (has_text(s)) batch_pin(b, r->b);
    return b;
}

struct batch *rows_compact(struct pool *p, const struct schema *s, const struct rows *r)
{
    struct batch *b = batch_for(p, s, r->n ? r->n : 1);
    append(b, r->n ? r->n : 1, s, r->b, r->sel, r->n, true);
    return b;
}

void batch_append(struct batch *to, uint32_t cap, const struct schema *s, const struct batch *from, uint32_t row)
{
    append(to, cap, s, from, &row, 1, true);
}

void batch_scatter(struct batch *to, uint32_t cap, const struct schema *s, const struct batch *from,
                   const uint32_t *idx, uint32_t n)
{
    append(to, cap, s, from, idx, n, true);
}
