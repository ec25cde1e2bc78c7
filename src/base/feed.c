/* The feed. See feed.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/feed.h"

#include "base/mem.h"
#include "base/noise.h"

#include <string.h>

typedef struct feed_item *item_ref;

struct feed {
    /* producer */
    _Alignas(64) _Atomic uint64_t tail;
    uint64_t low; /* positions below were dropped or taken */
    int64_t bytes_in;
    item_ref spare;
    /* what was said: stored in this order, read in the opposite one, both before the tail is */
    _Alignas(64) _Atomic uint64_t said_rows, said_batches, said_epoch;
    _Atomic int64_t said_watermark;
    _Atomic bool said_idle;
    _Atomic uint32_t said_end;
    /* consumer */
    _Alignas(64) uint64_t head;
    uint64_t aside, aside_end; /* in the pocket */
    _Atomic int64_t bytes_out;
    /* both */
    _Alignas(64) _Atomic(item_ref) returned;
    /* fixed */
    uint64_t mask;
    int64_t bytes_max;
    item_ref *pocket;
    _Atomic(item_ref) slots[];
};

struct feed *feed_new(uint32_t slots, int64_t bytes_max)
{
    INVARIANT(slots >= 2 && (slots & (slots - 1)) == 0);
    size_t n = (sizeof(struct feed) + sizeof(item_ref) * slots + 63) & ~(size_t)63;
    struct feed *f = mem_aligned(64, n);
    memset(f, 0, n);
    f->mask = slots - 1;
    f->bytes_max = bytes_max;
    f->pocket = mem_zalloc(sizeof(item_ref) * slots);
    atomic_init(&f->said_watermark, INT64_MIN);
    return f;
}

static void free_items(item_ref i)
{
    for (item_ref next; i; i = next) {
        next = i->next;
        mem_free(i);
    }
}

void feed_free(struct feed *f)
{
    if (!f) return;
    free_items(f->spare);
    free_items(atomic_load(&f->returned));
    mem_free(f->pocket);
    mem_free(f);
}

/* ---- producer ------------------------------------------------------------------------------------------------------- */

bool feed_has_room(struct feed *f)
{
    uint64_t tail = atomic_load_explicit(&f->tail, memory_order_relaxed);
    if (atomic_load_explicit(&f->slots[tail & f->mask], memory_order_relaxed)) return false;
    return f->bytes_in - atomic_load_explicit(&f->bytes_out, memory_order_relaxed) < f->bytes_max;
}

static void keep_spare(struct feed *f, item_ref i)
{
    i->next = f->spare;
    f->spare = i;
}

bool feed_drop(struct feed *f, struct feed_item *out)
{
    uint64_t tail = atomic_load_explicit(&f->tail, memory_order_relaxed);
    if (tail - f->low > f->mask + 1) f->low = tail - f->mask - 1;
    while (f->low < tail) {
        item_ref i = atomic_exchange_explicit(&f->slots[f->low++ & f->mask], NULL, memory_order_acquire);
        noise();
        if (!i) continue; /* the consumer was faster */
        *out = *i;
        f->bytes_in -= i->bytes;
        keep_spare(f, i);
        return true;
    }
    return false;
}

static item_ref new_item(struct feed *f)
{
    if (!f->spare) f->spare = atomic_exchange_explicit(&f->returned, NULL, memory_order_acquire);
    if (!f->spare) return mem_alloc(sizeof(struct feed_item));
    item_ref i = f->spare;
    f->spare = i->next;
    return i;
}

void feed_put(struct feed *f, const struct feed_item *item)
{
    uint64_t tail = atomic_load_explicit(&f->tail, memory_order_relaxed);
    item_ref i = new_item(f);
    *i = *item;
    i->at = tail;
    f->bytes_in += i->bytes;
    atomic_store_explicit(&f->slots[tail & f->mask], i, memory_order_release);
    atomic_store_explicit(&f->tail, tail + 1, memory_order_release); /* pairs with feed_take and feed_said */
}

void feed_say(struct feed *f, const struct feed_mark *m)
{
    atomic_store_explicit(&f->said_rows, m->rows, memory_order_release);
    atomic_store_explicit(&f->said_batches, m->batches, memory_order_release);
    atomic_store_explicit(&f->said_epoch, m->epoch, memory_order_release);
    atomic_store_explicit(&f->said_watermark, m->watermark, memory_order_release);
    atomic_store_explicit(&f->said_idle, m->idle, memory_order_release);
    atomic_store_explicit(&f->said_end, m->end, memory_order_release);
}

/* ---- consumer ------------------------------------------------------------------------------------------------------- */

static void give_back(struct feed *f, item_ref i)
{
    item_ref head = atomic_load_explicit(&f->returned, memory_order_relaxed);
    do {
        i->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&f->returned, &head, i, memory_order_release, memory_order_relaxed));
}

/* The next item is one put aside. */
static item_ref from_pocket(struct feed *f)
{
    if (f->aside == f->aside_end) return NULL;
    item_ref i = f->pocket[f->aside & f->mask];
    if (i->at > f->head) return NULL;
    f->aside++;
    if (i->at == f->head) f->head++;
    return i;
}

static item_ref from_slots(struct feed *f)
{
    uint64_t at = f->head;
    item_ref i = atomic_exchange_explicit(&f->slots[at & f->mask], NULL, memory_order_acquire);
    f->head++;
    noise();
    if (!i) return NULL; /* dropped */
    int64_t out = atomic_load_explicit(&f->bytes_out, memory_order_relaxed);
    atomic_store_explicit(&f->bytes_out, out + i->bytes, memory_order_relaxed);
    if (i->at == at) return i;
    INVARIANT(i->at > at);
    f->pocket[f->aside_end++ & f->mask] = i;
    f->head = i->at - f->mask; /* what is older was dropped */
    return NULL;
}

/* Where the slots end, or how far the consumer has come if that is further: an item can be seen before its tail. What is
 * older than an item put aside is known to be there or dropped. */
static uint64_t end_of(struct feed *f)
{
    if (f->aside != f->aside_end) return f->head + 1;
    uint64_t tail = atomic_load_explicit(&f->tail, memory_order_acquire);
    return (int64_t)(tail - f->head) > 0 ? tail : f->head;
}

bool feed_take(struct feed *f, struct feed_item *out)
{
    for (;;) {
        item_ref i = from_pocket(f);
        if (!i) {
            uint64_t end = end_of(f);
            if (end == f->head) return false;
            if (end - f->head > f->mask + 1) f->head = end - f->mask - 1;
            i = from_slots(f);
        }
        if (!i) continue;
        *out = *i;
        give_back(f, i);
        return true;
    }
}

bool feed_said(struct feed *f, struct feed_mark *out)
{
    out->end = atomic_load_explicit(&f->said_end, memory_order_acquire);
    out->idle = atomic_load_explicit(&f->said_idle, memory_order_acquire);
    out->watermark = atomic_load_explicit(&f->said_watermark, memory_order_acquire);
    out->epoch = atomic_load_explicit(&f->said_epoch, memory_order_acquire);
    out->batches = atomic_load_explicit(&f->said_batches, memory_order_acquire);
    out->rows = atomic_load_explicit(&f->said_rows, memory_order_acquire);
    return end_of(f) == f->head;
}
