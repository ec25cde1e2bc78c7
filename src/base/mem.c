/* The heap's door, accounts and arenas. SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mem_hook hook;
static _Atomic uint64_t allocs;

enum status mem_hook_set(const struct mem_hook *h)
{
    if (atomic_load(&allocs)) return E_MISUSE;
    hook = *h;
    return ST_OK;
}

void *mem_aligned(size_t align, size_t n)
{
    atomic_fetch_add_explicit(&allocs, 1, memory_order_relaxed);
    void *p;
    if (hook.alloc)
        p = hook.alloc(hook.ctx, n ? n : 1, align);
    else if (align <= 16)
        p = malloc(n ? n : 1);
    else
        p = aligned_alloc(align, (n + align - 1) / align * align + (n ? 0 : align));
    INVARIANT(p && "out of memory");
    return p;
}

void *mem_alloc(size_t n) { return mem_aligned(16, n); }

void *mem_zalloc(size_t n)
{
    void *p = mem_aligned(16, n);
    memset(p, 0, n);
    return p;
}

void *mem_realloc(void *p, size_t old_n, size_t n)
{
    void *q = mem_alloc(n);
    if (p) memcpy(q, p, old_n < n ? old_n : n);
    mem_free(p);
    return q;
}

void mem_free(void *p)
{
    if (!p) return;
    if (hook.free)
        hook.free(hook.ctx, p);
    else
        free(p);
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n), s, n);
}

uint64_t mem_alloc_count(void) { return atomic_load_explicit(&allocs, memory_order_relaxed); }

void account_init(struct account *a, struct account *parent, int64_t limit)
{
    a->parent = parent;
    a->limit = limit;
    atomic_init(&a->used, 0);
    atomic_init(&a->peak, 0);
    atomic_init(&a->refs, INT64_MAX / 2); /* never freed here */
}

struct account *account_new(struct account *parent, int64_t limit)
{
    struct account *a = mem_alloc(sizeof *a);
    account_init(a, parent, limit);
    atomic_init(&a->refs, 1);
    return a;
}

struct account *account_ref(struct account *a)
{
    if (a) atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void account_unref(struct account *a)
{
    if (a && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) mem_free(a);
}

static void note_peak(struct account *a, int64_t used)
{
    int64_t peak = atomic_load_explicit(&a->peak, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak(&a->peak, &peak, used)) {}
}

enum status account_charge(struct account *a, int64_t n)
{
    for (struct account *x = a; x; x = x->parent) {
        int64_t used = atomic_fetch_add(&x->used, n) + n;
        if (x->limit && used > x->limit) {
            for (struct account *y = a;; y = y->parent) {
                atomic_fetch_sub(&y->used, n);
                if (y == x) break;
            }
            return E_NOMEM;
        }
        note_peak(x, used);
    }
    return ST_OK;
}

void account_force(struct account *a, int64_t n)
{
    for (; a; a = a->parent) note_peak(a, atomic_fetch_add(&a->used, n) + n);
}

void account_release(struct account *a, int64_t n)
{
    for (; a; a = a->parent) atomic_fetch_sub(&a->used, n);
}

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(16) char data[];
};

struct arena {
    struct block *head;
    size_t bytes;
};

struct arena *arena_new(void) { return mem_zalloc(sizeof(struct arena)); }

void arena_free(struct arena *a)
{
    if (!a) return;
    for (struct block *b = a->head, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    mem_free(a);
}

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (!a->head || a->head->size - a->head->used < n) {
        size_t size = n > 4000 ? n : 4000;
        struct block *b = mem_alloc(sizeof *b + size);
        b->used = 0;
        b->size = size;
        b->next = a->head;
        a->head = b;
        a->bytes += size;
    }
    void *p = a->head->data + a->head->used;
    a->head->used += n;
    memset(p, 0, n);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

size_t arena_bytes(const struct arena *a) { return a->bytes; }
