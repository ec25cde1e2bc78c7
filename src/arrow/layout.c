/* The heap of a table's texts: bump allocation in growing chunks, and a free list per size class. A class is a function
 * of the length alone, so a str needs no header: the room behind it follows from its n. Classes are four to a
 * doubling, so at most a fifth of a block is unused and appending in place is amortised.
 * SPDX-License-Identifier: Apache-2.0 */
#include "arrow/layout.h"

#define CHUNK_MIN 512
#define CHUNK_MAX 65536
#define CLASSES   128

struct chunk {
    struct chunk *next;
    size_t size;
    _Alignas(16) char data[];
};

struct layout_heap {
    struct chunk *chunks;
    char *at, *end;
    size_t next_size;
    int64_t *used, own;
    void *free[CLASSES];
};

/* 16 32 48 64, then 80 96 112 128, 160 192 224 256, ... */
static int class_of(size_t n, size_t *size)
{
    if (n <= 64) {
        size_t k = n ? (n + 15) / 16 : 1;
        *size = k * 16;
        return (int)k - 1;
    }
    int high = 63 - __builtin_clzll(n - 1); /* 2^high < n <= 2^(high + 1) */
    size_t step = (size_t)1 << (high - 2);
    size_t quarter = (n - ((size_t)1 << high) + step - 1) / step; /* 1..4 */
    *size = ((size_t)1 << high) + quarter * step;
    return 4 + (high - 6) * 4 + (int)quarter - 1;
}

size_t layout_bound(size_t n)
{
    size_t size;
    class_of(n, &size);
    return size + sizeof(struct chunk);
}

struct layout_heap *layout_heap_new(int64_t *used)
{
    struct layout_heap *h = mem_zalloc(sizeof *h);
    h->used = used;
    h->next_size = CHUNK_MIN;
    h->own = sizeof *h;
    *used += h->own;
    return h;
}

void layout_heap_free(struct layout_heap *h)
{
    if (!h) return;
    for (struct chunk *c = h->chunks, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    *h->used -= h->own;
    mem_free(h);
}

static char *chunk_new(struct layout_heap *h, size_t size)
{
    struct chunk *c = mem_alloc(sizeof *c + size);
    c->next = h->chunks;
    c->size = size;
    h->chunks = c;
    h->own += (int64_t)(sizeof *c + size);
    *h->used += (int64_t)(sizeof *c + size);
    return c->data;
}

void *layout_take(struct layout_heap *h, size_t n)
{
    size_t size;
    int class = class_of(n, &size);
    void *p = h->free[class];
    if (p) {
        memcpy(&h->free[class], p, sizeof p);
        return p;
    }
    if (size > CHUNK_MAX / 4) return chunk_new(h, size);
    if ((size_t)(h->end - h->at) < size) {
        while (h->next_size < size) h->next_size *= 2;
        h->at = chunk_new(h, h->next_size);
        h->end = h->at + h->next_size;
        if (h->next_size < CHUNK_MAX) h->next_size *= 2;
    }
    p = h->at;
    h->at += size;
    return p;
}

void layout_give(struct layout_heap *h, void *p, size_t n)
{
    size_t size;
    int class = class_of(n, &size);
    memcpy(p, &h->free[class], sizeof p);
    h->free[class] = p;
}

void layout_drop(struct layout_heap *h, const struct str *s)
{
    if (s->n > STR_INLINE) layout_give(h, (char *)s->p, s->n);
}

static bool same_class(size_t a, size_t b)
{
    size_t x, y;
    return class_of(a, &x) == class_of(b, &y);
}

struct str layout_keep(struct layout_heap *h, const struct str *old, const char *p, uint32_t n)
{
    if (n <= STR_INLINE) {
        struct str s = str_view(p, n);
        if (old) layout_drop(h, old);
        return s;
    }
    char *to;
    if (old && old->n > STR_INLINE && same_class(old->n, n)) {
        to = (char *)old->p;
    } else {
        to = layout_take(h, n);
        if (old) layout_drop(h, old);
    }
    memcpy(to, p, n);
    return str_view(to, n);
}

struct str layout_append(struct layout_heap *h, const struct str *old, const char *p, uint32_t n)
{
    uint32_t sum = old->n + n;
    if (sum <= STR_INLINE) {
        char tmp[STR_INLINE];
        memcpy(tmp, str_ptr(old), old->n);
        if (n) memcpy(tmp + old->n, p, n);
        return str_view(tmp, sum);
    }
    char *to = old->n > STR_INLINE && same_class(old->n, sum) ? (char *)old->p : layout_take(h, sum);
    if (to != str_ptr(old)) {
        memcpy(to, str_ptr(old), old->n);
        layout_drop(h, old);
    }
    if (n) memcpy(to + old->n, p, n);
    return str_view(to, sum);
}
