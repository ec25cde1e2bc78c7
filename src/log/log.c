/* The log in memory: a ring of entries that grows by doubling; `base` is the sequence number of the oldest kept.
 * SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"

#include "base/env.h"

struct log {
    struct lock lock;
    struct task *writer;
    int64_t bytes_max, bytes; /* bytes of batches kept */
    struct log_entry *entries; /* cap is a power of two; entry seq is at (seq & (cap - 1)) */
    uint64_t cap, base, next;
    struct cursor *cursors;
    bool writer_waits, had_cursors;
};

struct cursor {
    struct log *log;
    struct cursor *next;
    struct task *reader;
    uint64_t at;
    bool closed;
};

struct log *log_new(int64_t bytes_max, struct task *writer)
{
    struct log *l = mem_zalloc(sizeof *l);
    lock_init(&l->lock);
    l->bytes_max = bytes_max;
    l->writer = writer;
    l->cap = 64;
    l->entries = mem_zalloc(sizeof *l->entries * l->cap);
    l->base = l->next = 1;
    return l;
}

static struct log_entry *entry(struct log *l, uint64_t seq) { return &l->entries[seq & (l->cap - 1)]; }

/* Lets go of what every cursor has passed; says whether the writer is to be woken. Called with the lock held. */
static bool trim(struct log *l)
{
    uint64_t low = l->next;
    for (struct cursor *c = l->cursors; c; c = c->next)
        if (c->at < low) low = c->at;
    for (; l->base < low; l->base++) {
        struct log_entry *e = entry(l, l->base);
        if (e->kind != LOG_BATCH) continue;
        l->bytes -= e->b->bytes_held;
        batch_unref(e->b);
    }
    bool wake = l->writer_waits && l->bytes <= l->bytes_max / 2;
    if (wake) l->writer_waits = false;
    return wake;
}

void log_free(struct log *l)
{
    if (!l) return;
    INVARIANT(!l->cursors);
    trim(l);
    lock_done(&l->lock);
    mem_free(l->entries);
    mem_free(l);
}

static void grow(struct log *l)
{
    struct log_entry *wide = mem_alloc(sizeof *wide * l->cap * 2);
    for (uint64_t s = l->base; s < l->next; s++) wide[s & (l->cap * 2 - 1)] = *entry(l, s);
    mem_free(l->entries);
    l->entries = wide;
    l->cap *= 2;
}

void log_append(struct log *l, struct log_entry e)
{
    lock_take(&l->lock);
    if (l->next - l->base == l->cap) grow(l);
    e.seq = l->next;
    *entry(l, l->next++) = e;
    if (e.kind == LOG_BATCH) l->bytes += e.b->bytes_held;
    for (struct cursor *c = l->cursors; c; c = c->next) task_wake(c->reader);
    trim(l);
    lock_give(&l->lock);
}

bool log_full(struct log *l)
{
    lock_take(&l->lock);
    bool full = l->bytes >= l->bytes_max;
    l->writer_waits = full;
    lock_give(&l->lock);
    return full;
}

struct cursor *cursor_new(struct log *l, struct task *reader)
{
    struct cursor *c = mem_zalloc(sizeof *c);
    c->log = l;
    c->reader = reader;
    lock_take(&l->lock);
    c->at = l->next;
    c->next = l->cursors;
    l->cursors = c;
    l->had_cursors = true;
    lock_give(&l->lock);
    return c;
}

void cursor_close(struct cursor *c)
{
    struct log *l = c->log;
    lock_take(&l->lock);
    if (c->closed) {
        lock_give(&l->lock);
        return;
    }
    c->closed = true;
    struct cursor **at = &l->cursors;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    bool wake = trim(l) || !l->cursors;
    lock_give(&l->lock);
    if (wake && l->writer->host && !atomic_load(&l->writer->done)) task_wake(l->writer);
}

void cursor_free(struct cursor *c)
{
    if (!c) return;
    cursor_close(c);
    mem_free(c);
}

bool log_abandoned(struct log *l)
{
    lock_take(&l->lock);
    bool abandoned = l->had_cursors && !l->cursors;
    lock_give(&l->lock);
    return abandoned;
}

bool cursor_peek(struct cursor *c, struct log_entry *out)
{
    struct log *l = c->log;
    lock_take(&l->lock);
    bool some = c->at < l->next;
    if (some) *out = *entry(l, c->at);
    lock_give(&l->lock);
    return some;
}

void cursor_advance(struct cursor *c)
{
    struct log *l = c->log;
    lock_take(&l->lock);
    c->at++;
    bool wake = trim(l);
    lock_give(&l->lock);
    if (wake) task_wake(l->writer);
}

void cursor_lag(struct cursor *c, int64_t *bytes, uint64_t *rows)
{
    struct log *l = c->log;
    *bytes = 0, *rows = 0;
    lock_take(&l->lock);
    for (uint64_t s = c->at; s < l->next && !c->closed; s++)
        if (entry(l, s)->kind == LOG_BATCH) {
            *bytes += entry(l, s)->b->bytes_held;
            *rows += entry(l, s)->b->rows;
        }
    lock_give(&l->lock);
}
