/* The log in memory: a ring of entries that grows by doubling; `base` is the sequence number of the oldest kept.
 * SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"

#include "base/env.h"
#include "base/gate.h"

struct log {
    struct lock lock;
    struct task *writer;
    int64_t bytes_max, bytes, retain; /* bytes of batches kept */
    uint64_t full_events;
    struct log_entry *entries; /* cap is a power of two; entry seq is at (seq & (cap - 1)) */
    uint64_t cap, base, next;
    struct cursor *cursors;
    bool writer_waits, had_cursors;
};

struct cursor {
    struct log *log;
    struct cursor *next;
    struct log_reader reader;
    uint64_t at;
    bool closed;
};

struct log *log_new(const struct log_config *cfg, struct task *writer)
{
    struct log *l = mem_zalloc(sizeof *l);
    lock_init(&l->lock);
    l->bytes_max = cfg->memory_bytes;
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
        if (e->kind == LOG_BATCH && l->bytes - e->b->bytes_held < l->retain) break;
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
    l->retain = 0;
    trim(l);
    lock_done(&l->lock);
    mem_free(l->entries);
    mem_free(l);
}

static void reader_wake(const struct log_reader *r)
{
    if (r->task) task_wake(r->task);
    if (r->gate) gate_wake(r->gate);
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
    for (struct cursor *c = l->cursors; c; c = c->next) reader_wake(&c->reader);
    trim(l);
    lock_give(&l->lock);
}

bool log_full(struct log *l, struct err *err)
{
    (void)err;
    lock_take(&l->lock);
    bool full = l->bytes >= l->bytes_max;
    if (full && !l->writer_waits) l->full_events++;
    l->writer_waits = full;
    lock_give(&l->lock);
    return full;
}

static struct cursor *cursor_at(struct log *l, uint64_t seq, struct log_reader reader)
{
    struct cursor *c = mem_zalloc(sizeof *c);
    *c = (struct cursor){.log = l, .next = l->cursors, .reader = reader, .at = seq};
    l->cursors = c;
    l->had_cursors = true;
    return c;
}

struct cursor *cursor_new(struct log *l, enum cursor_policy policy, struct log_reader reader)
{
    (void)policy;
    lock_take(&l->lock);
    struct cursor *c = cursor_at(l, l->next, reader);
    lock_give(&l->lock);
    return c;
}

struct cursor *cursor_at_epoch(struct log *l, uint64_t epoch, enum cursor_policy policy, struct log_reader reader)
{
    (void)policy;
    struct cursor *c = NULL;
    lock_take(&l->lock);
    for (uint64_t s = l->base; s < l->next && !c; s++)
        if (entry(l, s)->kind == LOG_EPOCH && entry(l, s)->epoch == epoch) c = cursor_at(l, s + 1, reader);
    lock_give(&l->lock);
    return c;
}

void log_retain(struct log *l, int64_t bytes)
{
    lock_take(&l->lock);
    l->retain = bytes < l->bytes_max ? bytes : l->bytes_max / 2;
    trim(l);
    lock_give(&l->lock);
}

void cursor_set_policy(struct cursor *c, enum cursor_policy policy) { (void)c, (void)policy; }

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

enum status cursor_peek(struct cursor *c, struct log_entry *out, struct err *err)
{
    (void)err;
    struct log *l = c->log;
    lock_take(&l->lock);
    bool some = c->at < l->next;
    if (some) *out = *entry(l, c->at);
    lock_give(&l->lock);
    return some ? ST_OK : ST_WAIT;
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

void cursor_stats(struct cursor *c, struct cursor_stats *out)
{
    struct log *l = c->log;
    *out = (struct cursor_stats){0};
    lock_take(&l->lock);
    for (uint64_t s = c->at; s < l->next && !c->closed; s++)
        if (entry(l, s)->kind == LOG_BATCH) {
            out->lag_bytes += entry(l, s)->b->bytes_held;
            out->lag_rows += entry(l, s)->b->rows;
        }
    lock_give(&l->lock);
}

void log_stats(struct log *l, struct log_stats *out)
{
    lock_take(&l->lock);
    *out = (struct log_stats){.memory_bytes = l->bytes, .full_events = l->full_events};
    lock_give(&l->lock);
}
