/* Edges: a ring and what its ends keep. Watermarks and idleness that find no room wait beside the ring, the newer replacing
 * the older; data, a barrier or the end takes them along first, so nothing coalesced is overtaken. A ring keeps room for one
 * barrier, as an epoch begins only when the one before was answered.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

static struct edge *make(uint32_t slots, int64_t bytes)
{
    struct edge *e = mem_aligned(64, sizeof *e);
    memset(e, 0, sizeof *e);
    e->ring = ring_new(slots, (uint64_t)bytes);
    e->wm_pending = e->wm = e->wm_said = TS_MIN;
    return e;
}

struct edge *edge_new(struct runtime *rt) { return make(rt->cfg.ring_slots, rt->cfg.ring_bytes); }

struct edge *edge_new_tap(struct inst *from, const struct sub_config *cfg, int64_t bytes)
{
    struct edge *e = make(cfg->policy == SUB_BLOCK ? from->worker->rt->cfg.ring_slots : 4, bytes);
    e->tap = tap_new(from, cfg, bytes);
    return e;
}

void edge_free(struct edge *e)
{
    if (!e) return;
    struct msg m;
    while (ring_pop(e->ring, &m))
        if (msg_tag(m) == MSG_BATCH) batch_unref(m.batch);
    tap_free(e->tap);
    batch_unref(e->builder);
    ring_free(e->ring);
    mem_free(e);
}

/* Pushes a message that needs room; on refusal the consumer will wake us. */
static bool push(struct edge *e, struct msg m, uint32_t bytes)
{
    while (!ring_push(e->ring, m, bytes))
        if (ring_want_room(e->ring)) return false;
    waker_wake(&e->reader);
    return true;
}

/* What goes to a subscription carries the last epoch. */
static struct msg message(const struct edge *e, enum msg_tag tag)
{
    return msg_make(tag, 0, e->tap ? e->tap->epoch : 0);
}

static struct msg timed(const struct edge *e, enum msg_tag tag, int64_t ts)
{
    struct msg m = message(e, tag);
    m.ts = ts;
    return m;
}

/* To a subscription that drops: everything is taken at once, beside the ring. */
static bool is_fed(const struct edge *e) { return e->tap && e->tap->feed; }

static bool push_pending(struct edge *e)
{
    if (e->wm_pending != TS_MIN) {
        if (!push(e, timed(e, MSG_WATERMARK, e->wm_pending), 0)) return false;
        e->wm_pending = TS_MIN;
    }
    if (e->idle_pending) {
        if (!push(e, timed(e, MSG_IDLE, TS_MIN), 0)) return false;
        e->idle_pending = false;
    }
    return true;
}

bool edge_push(struct edge *e, struct batch *b)
{
    if (edge_closed(e)) {
        batch_unref(b);
        return true;
    }
    if (is_fed(e)) {
        tap_push(e->tap, b);
        waker_wake(&e->reader);
        return true;
    }
    if (!push_pending(e)) return false;
    struct msg m = message(e, MSG_BATCH);
    m.batch = b;
    uint32_t rows = b->rows; /* the consumer may have let go of it by the time it is counted */
    if (!push(e, m, b->bytes_held)) return false;
    if (e->tap) tap_count(e->tap, rows);
    return true;
}

bool edge_flush_builder(struct edge *e)
{
    if (!e->builder) return true;
    e->flush_wanted = !edge_push(e, e->builder);
    if (e->flush_wanted) return false;
    e->builder = NULL;
    return true;
}

void edge_retry(struct edge *e)
{
    if (e->flush_wanted && !edge_flush_builder(e)) return;
    if (!edge_closed(e)) push_pending(e);
}

void edge_watermark(struct edge *e, int64_t wm)
{
    if (wm <= e->wm_said || edge_closed(e)) return;
    if (is_fed(e)) {
        e->wm_said = wm;
        tap_watermark(e->tap, wm);
        waker_wake(&e->reader);
        return;
    }
    e->wm_said = e->wm_pending = wm;
    e->idle_pending = false;
    push_pending(e);
}

void edge_idle(struct edge *e)
{
    if (edge_closed(e)) return;
    if (is_fed(e)) {
        tap_idle(e->tap);
        waker_wake(&e->reader);
        return;
    }
    e->idle_pending = true;
    push_pending(e);
}

static void push_reserved(struct edge *e, struct msg m)
{
    m.ts = e->wm_pending;
    e->wm_pending = TS_MIN;
    e->idle_pending = false;
    ring_push_reserved(e->ring, m);
    waker_wake(&e->reader);
}

void edge_barrier(struct edge *e, uint64_t epoch, int kind)
{
    if (e->end_sent || edge_closed(e)) return;
    if (e->tap) {
        tap_epoch(e->tap, epoch);
        return;
    }
    push_reserved(e, msg_make(MSG_BARRIER, kind | (e->idle_pending ? BARRIER_IDLE : 0), epoch));
}

void edge_end(struct edge *e, int kind)
{
    if (e->end_sent) return;
    e->end_sent = true;
    if (is_fed(e)) {
        tap_end(e->tap, kind);
        waker_wake(&e->reader);
        return;
    }
    push_reserved(e, msg_make(MSG_END, kind, e->tap ? e->tap->epoch : 0));
}

bool edge_pop(struct edge *e, struct msg *m)
{
    if (!ring_pop(e->ring, m)) return false;
    if (msg_tag(*m) == MSG_BATCH) ring_taken(e->ring, ((struct batch *)m->batch)->bytes_held);
    if (ring_wake_producer(e->ring)) waker_wake(&e->writer);
    return true;
}

void edge_close(struct edge *e)
{
    e->drop = true;
    ring_close(e->ring);
    waker_wake(&e->writer);
    edge_drain(e);
}

void edge_drain(struct edge *e)
{
    struct msg m;
    struct tapped t;
    while (is_fed(e) && edge_tap(e, &t)) batch_unref(t.b);
    while (edge_pop(e, &m)) {
        if (msg_tag(m) == MSG_BATCH) batch_unref(m.batch);
        if (msg_tag(m) == MSG_END) e->ended = true;
    }
}
