/* Taps: the edges to subscriptions, and what they do to rows that a subscriber is too slow for.
 *
 * Counting. The producer counts what came and what it dropped, the consumer what it took; a batch that goes through a feed
 * carries how many came before it, so a gap is found by the one who meets it, in its place, and no two counters have to be
 * read at once. SPDX-License-Identifier: Apache-2.0 */
#include "base/feed.h"
#include "runtime/run_int.h"

#define SLOT_BYTES 4096 /* of the buffer, for each slot of a feed */
#define SLOTS_MIN 16
#define SLOTS_MAX 1024

static uint32_t slots_for(int64_t bytes)
{
    uint32_t n = SLOTS_MIN;
    while (n < SLOTS_MAX && (int64_t)n * SLOT_BYTES < bytes) n *= 2;
    return n;
}

struct tap *tap_new(struct inst *from, const struct sub_config *cfg, int64_t bytes)
{
    struct tap *t = mem_aligned(64, sizeof *t);
    memset(t, 0, sizeof *t);
    t->pool = inst_pool(from);
    t->schema = from->node->schema;
    t->newest = cfg->policy == SUB_DROP_NEWEST;
    t->every = cfg->policy == SUB_SAMPLE ? cfg->every : 0;
    if (t->every) t->picked = mem_alloc(sizeof *t->picked * BATCH_ROWS_MAX);
    if (cfg->policy != SUB_BLOCK) t->feed = feed_new(slots_for(bytes), bytes);
    t->wm = TS_MIN;
    return t;
}

void tap_free(struct tap *t)
{
    if (!t) return;
    struct feed_item i;
    while (t->feed && feed_take(t->feed, &i)) batch_unref(i.batch);
    feed_free(t->feed);
    mem_free(t->picked);
    mem_free(t);
}

/* ---- producer ------------------------------------------------------------------------------------------------------- */

/* One thread writes, any reads. */
static void add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

void tap_count(struct tap *t, uint32_t rows)
{
    add(&t->rows, rows);
    add(&t->batches, 1);
}

static struct feed_mark mark(const struct tap *t)
{
    return (struct feed_mark){
        .watermark = t->wm, .epoch = t->epoch, .idle = t->idle, .end = (uint32_t)t->end,
        .rows = t->rows - t->sampled_rows, .batches = t->batches};
}

static void say(struct tap *t)
{
    struct feed_mark m = mark(t);
    feed_say(t->feed, &m);
}

static void drop(struct tap *t, struct batch *b)
{
    add(&t->dropped_rows, b->rows);
    add(&t->dropped_batches, 1);
    batch_unref(b);
}

static void put(struct tap *t, struct batch *b)
{
    struct feed_item i = {.batch = b, .rows = b->rows, .bytes = b->bytes_held, .mark = mark(t)}, gone;
    tap_count(t, b->rows);
    if (t->newest && !feed_has_room(t->feed)) {
        drop(t, b);
        say(t); /* a gap that nothing may follow */
        return;
    }
    while (!feed_has_room(t->feed) && feed_drop(t->feed, &gone)) drop(t, gone.batch);
    feed_put(t->feed, &i);
}

/* Every n-th row, whatever the batches are; NULL: none of this one. */
static struct batch *sample(struct tap *t, struct batch *b)
{
    struct rows r = {b, t->picked, 0};
    uint32_t at = t->skip;
    for (; at < b->rows; at += t->every) t->picked[r.n++] = at;
    t->skip = at - b->rows;
    struct batch *some = r.n ? rows_compact(t->pool, t->schema, &r) : NULL;
    add(&t->sampled_rows, b->rows - r.n);
    add(&t->rows, b->rows - r.n);
    batch_unref(b);
    return some;
}

void tap_push(struct tap *t, struct batch *b)
{
    t->idle = false;
    if (t->every) b = sample(t, b);
    if (b) put(t, b);
}

void tap_watermark(struct tap *t, int64_t wm)
{
    t->wm = wm;
    t->idle = false;
    say(t);
}

void tap_idle(struct tap *t)
{
    t->idle = true;
    say(t);
}

void tap_end(struct tap *t, int kind)
{
    t->end = kind;
    say(t);
}

void tap_epoch(struct tap *t, uint64_t epoch)
{
    t->epoch = epoch;
    if (t->feed)
        say(t);
    else
        atomic_store_explicit(&t->epoch_said, epoch, memory_order_release);
}

/* ---- consumer ------------------------------------------------------------------------------------------------------- */

/* false: it says nothing that was not known. */
static bool note_mark(struct edge *e, const struct feed_mark *m, struct tapped *out)
{
    struct tap *t = e->tap;
    bool news = m->idle != e->idle || m->watermark > e->wm || m->epoch > t->epoch_seen || (m->end && !e->ended);
    e->idle = m->idle;
    if (m->watermark > e->wm) e->wm = m->watermark;
    t->epoch_seen = m->epoch;
    out->gap_rows = m->rows - t->rows_seen;
    out->gap_batches = m->batches - t->batches_seen;
    t->rows_seen = m->rows;
    t->batches_seen = m->batches;
    if (m->end) {
        e->ended = true;
        e->end_kind = (int)m->end;
    }
    return news;
}

static bool tap_feed(struct edge *e, struct tapped *out)
{
    struct tap *t = e->tap;
    struct feed_item i;
    struct feed_mark m;
    if (feed_take(t->feed, &i)) {
        note_mark(e, &i.mark, out);
        e->idle = false;
        t->rows_seen += i.rows;
        t->batches_seen++;
        out->b = i.batch;
        return true;
    }
    if (!feed_said(t->feed, &m)) return false;
    /* Behind a gap the stream goes on: it is seen at the next batch. At the end nothing comes after it. */
    if (!m.end) m.rows = t->rows_seen, m.batches = t->batches_seen;
    return note_mark(e, &m, out);
}

bool edge_tap(struct edge *e, struct tapped *out)
{
    struct msg m;
    *out = (struct tapped){0};
    if (e->ended) return false;
    if (e->tap->feed) return tap_feed(e, out);
    uint64_t epoch = atomic_load_explicit(&e->tap->epoch_said, memory_order_acquire);
    bool any = edge_pop(e, &m);
    e->tap->epoch_seen = any ? msg_epoch(m) : epoch;
    if (!any) return false;
    e->idle = msg_tag(m) == MSG_IDLE;
    if (msg_tag(m) == MSG_BATCH) {
        out->b = m.batch;
        return true;
    }
    if (!e->idle && m.ts != TS_MIN) e->wm = m.ts;
    if (msg_tag(m) == MSG_END) {
        e->ended = true;
        e->end_kind = msg_kind(m);
    }
    return true;
}
