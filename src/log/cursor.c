/* Cursors as their readers see them. An entry that was given out stays in the cursor's hand, with a reference of its own, until
 * the reader moves on: what is dropped or spilled meanwhile is not its concern.
 * SPDX-License-Identifier: Apache-2.0 */
#include "log/log_int.h"

static void hold(struct cursor *c, const struct log_entry *e, uint32_t held)
{
    c->hand.full = true;
    c->hand.beside = false;
    c->hand.e = *e;
    c->hand.after = sums_after(c->passed, e, held);
}

static void hold_slot(struct cursor *c)
{
    const struct log_entry *e = &slot(c->log, c->at)->e;
    if (e->kind == LOG_BATCH) batch_ref(e->b);
    hold(c, e, e->kind == LOG_BATCH ? e->b->bytes_held : 0);
}

/* The stripe of the segment that entry seq is in. */
static struct stripe stripe_of(const struct segment *s, uint64_t seq)
{
    int low = 0, high = s->n;
    while (high - low > 1) {
        int mid = low + (high - low) / 2;
        if (s->begins[mid].seq <= seq)
            low = mid;
        else
            high = mid;
    }
    return (struct stripe){s->number, s->begins[low].seq, s->begins[low].at, low + 1 < s->n ? s->begins[low + 1].at : s->data};
}

/* Reads the entry it is at without the lock. ST_RETRY: it was moved or closed meanwhile. */
static enum status hold_from_disk(struct cursor *c, struct err *err)
{
    struct log *l = c->log;
    uint64_t seq = c->at;
    struct segment *s = log_segment(l, seq);
    struct stripe stripe = stripe_of(s, seq);
    s->readers++;
    lock_give(&l->lock);
    struct frame f;
    if (!c->pool) c->pool = pool_new(l->cfg.account);
    enum status st = segment_read(&c->disk, &l->place, &stripe, seq, l->cfg.schema, c->pool, &f, err);
    lock_take(&l->lock);
    s->readers--;
    bool moved = c->at != seq || c->closed || c->ended;
    if (!st && !moved) hold(c, &f.entry, f.held);
    if (!st && moved && f.entry.kind == LOG_BATCH) batch_unref(f.entry.b);
    if (st && !moved) c->unreadable = true;
    return moved ? ST_RETRY : st;
}

static enum status behind(struct cursor *c, struct err *err)
{
    err_set(err, E_FULL, "the reader fell behind by more than the log may keep, %lld bytes", (long long)c->log->cfg.memory_bytes);
    err_hint(err, "overflow = 'spill' keeps the rest on disk, 'block' makes the stream wait");
    return E_FULL;
}

/* Fills the hand. */
static enum status fetch(struct cursor *c, struct err *err)
{
    struct log *l = c->log;
    for (;;) {
        if (c->hand.full) return ST_OK;
        if (c->closed) return ST_WAIT;
        if (c->ended) return behind(c, err);
        if (c->at == l->next) {
            c->waits = true;
            return ST_WAIT;
        }
        c->unreadable = false;
        if (c->at >= l->base) {
            hold_slot(c);
            return ST_OK;
        }
        enum status st = hold_from_disk(c, err);
        if (st != ST_RETRY) return st;
    }
}

enum status cursor_peek(struct cursor *c, struct log_entry *out, struct err *err)
{
    struct log *l = c->log;
    lock_take(&l->lock);
    enum status st = fetch(c, err);
    if (!st) *out = c->hand.e;
    bool in_memory = c->at >= l->base;
    log_leave(l);
    if (in_memory && c->disk.bytes.p) segment_reader_done(&c->disk), c->disk = (struct segment_reader){0};
    return st;
}

void cursor_drop(struct cursor *c, uint64_t to, struct sums passed)
{
    struct sums from = c->passed;
    if (c->hand.full && !c->hand.beside) {
        from = c->hand.after;
        c->hand.beside = true;
    }
    c->dropped_rows += passed.rows - from.rows;
    c->dropped_batches += passed.batches - from.batches;
    c->at = to;
    c->passed = passed;
}

/* To the next stripe: in between, where frames begin is not known for certain. */
static void skip_stripe(struct cursor *c)
{
    struct segment *s = log_segment(c->log, c->at);
    uint64_t to = s->end;
    struct sums passed = s->after;
    for (int i = s->n - 1; i >= 0 && s->begins[i].seq > c->at; i--) to = s->begins[i].seq, passed = s->begins[i].before;
    cursor_drop(c, to, passed);
}

void cursor_advance(struct cursor *c)
{
    struct log *l = c->log;
    struct batch *b = NULL;
    lock_take(&l->lock);
    bool moved = c->unreadable || (c->hand.full && !c->hand.beside);
    bool holds = moved && (c->at <= l->base || l->oldest);
    if (c->hand.full && !c->hand.beside) {
        c->at++;
        c->passed = c->hand.after;
    } else if (c->unreadable && !c->closed && c->at < l->base) {
        skip_stripe(c);
    }
    c->unreadable = false;
    if (c->hand.full && c->hand.e.kind == LOG_BATCH) b = c->hand.e.b;
    c->hand.full = false;
    if (holds) log_trim(l);
    log_leave(l);
    batch_unref(b);
}

void cursor_stats(struct cursor *c, struct cursor_stats *out)
{
    struct log *l = c->log;
    lock_take(&l->lock);
    *out = (struct cursor_stats){.dropped_rows = c->dropped_rows, .dropped_batches = c->dropped_batches};
    if (!c->closed && !c->ended) {
        out->lag_bytes = (int64_t)(l->total.bytes - c->passed.bytes);
        out->lag_rows = l->total.rows - c->passed.rows;
    }
    if (c->hand.full && c->hand.beside && c->hand.e.kind == LOG_BATCH) {
        out->lag_bytes += c->hand.e.b->bytes_held;
        out->lag_rows += c->hand.e.b->rows;
    }
    lock_give(&l->lock);
}
