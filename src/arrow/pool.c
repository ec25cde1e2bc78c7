/* Buffer pools: size classes with free lists and a lock-free return stack.
 *
 * A buffer is a 64-byte header {pool, class, next} and its data. The owner thread takes from and
 * gives to plain free lists; other threads push on `returned`, a Treiber stack that is only ever
 * taken whole, so there is no ABA. `out` counts buffers that are away, plus one while the owner
 * lives: who brings it to zero frees the pool. SPDX-License-Identifier: Apache-2.0 */
#include "arrow/batch.h"

#define CLASS_MIN 8  /* 256 bytes */
#define CLASS_MAX 22 /* 4 MiB; larger buffers are not kept */
#define CLASSES (CLASS_MAX - CLASS_MIN + 1)
#define KEEP_BYTES (64u << 20) /* a pool does not hoard more than this */

struct buffer {
    struct pool *pool;
    struct buffer *next;
    size_t size; /* of the data */
    int class;   /* -1: not kept */
    _Alignas(64) char data[];
};

struct pool {
    struct buffer *free[CLASSES];
    struct account *account;
    size_t kept;
    _Alignas(64) _Atomic(struct buffer *) returned;
    _Atomic int64_t out;
    _Atomic bool closed;
};

/* The pool this thread owns at the moment: its buffers come back without the stack. */
static _Thread_local struct pool *own_pool;

void pool_adopt(struct pool *p) { own_pool = p; }

struct pool *pool_new(struct account *account)
{
    struct pool *p = mem_aligned(64, sizeof *p);
    memset(p, 0, sizeof *p);
    p->account = account_ref(account);
    atomic_init(&p->out, 1);
    return p;
}

static void buffer_free(struct buffer *b)
{
    if (b->pool->account) account_release(b->pool->account, (int64_t)b->size);
    mem_free(b);
}

static void pool_unhold(struct pool *p)
{
    if (atomic_fetch_sub_explicit(&p->out, 1, memory_order_acq_rel) != 1) return;
    for (struct buffer *b = atomic_load(&p->returned), *next; b; b = next) {
        next = b->next;
        buffer_free(b);
    }
    account_unref(p->account);
    mem_free(p);
}

static void keep(struct pool *p, struct buffer *b)
{
    if (b->class < 0 || p->kept + b->size > KEEP_BYTES) {
        buffer_free(b);
        return;
    }
    p->kept += b->size;
    b->next = p->free[b->class];
    p->free[b->class] = b;
}

static void take_returned(struct pool *p)
{
    struct buffer *b = atomic_exchange_explicit(&p->returned, NULL, memory_order_acquire);
    for (struct buffer *next; b; b = next) {
        next = b->next;
        keep(p, b);
    }
}

void pool_close(struct pool *p)
{
    if (!p) return;
    if (own_pool == p) own_pool = NULL;
    take_returned(p);
    for (int c = 0; c < CLASSES; c++)
        for (struct buffer *b = p->free[c], *next; b; b = next) {
            next = b->next;
            buffer_free(b);
        }
    atomic_store(&p->closed, true);
    pool_unhold(p);
}

static int class_of(size_t n)
{
    if (n <= (size_t)1 << CLASS_MIN) return 0;
    int bits = 64 - __builtin_clzll(n - 1);
    return bits > CLASS_MAX ? -1 : bits - CLASS_MIN;
}

void *pool_take(struct pool *p, size_t n)
{
    int c = class_of(n);
    struct buffer *b = NULL;
    if (c >= 0) {
        if (!p->free[c]) take_returned(p);
        if ((b = p->free[c])) {
            p->free[c] = b->next;
            p->kept -= b->size;
        }
    }
    if (!b) {
        size_t size = c >= 0 ? (size_t)1 << (c + CLASS_MIN) : (n + 63) & ~(size_t)63;
        b = mem_aligned(64, sizeof *b + size);
        b->pool = p;
        b->size = size;
        b->class = c;
        if (p->account) account_force(p->account, (int64_t)size);
    }
    atomic_fetch_add_explicit(&p->out, 1, memory_order_relaxed);
    return b->data;
}

void pool_give(void *data)
{
    if (!data) return;
    struct buffer *b = container_of(data, struct buffer, data);
    struct pool *p = b->pool;
    if (own_pool == p) {
        keep(p, b);
    } else if (atomic_load_explicit(&p->closed, memory_order_relaxed)) {
        buffer_free(b);
    } else {
        struct buffer *head = atomic_load_explicit(&p->returned, memory_order_relaxed);
        do {
            b->next = head;
        } while (!atomic_compare_exchange_weak_explicit(&p->returned, &head, b, memory_order_release,
                                                        memory_order_relaxed));
    }
    pool_unhold(p);
}

size_t pool_size(const void *data) { return container_of(data, const struct buffer, data)->size; }
