/* Edges: a ring and what its ends keep. Watermarks and idleness that find no room wait beside the ring, the newer replacing
 * the older; data, a barrier or the end takes them along first, so nothing coalesced is overtaken. A ring keeps room for one
 * barrier, as an epoch begins only when the one before was answered.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

struct edge *edge_new(struct runtime *rt)
{
    struct edge *e = mem_aligned(64, sizeof *e);
    memset(e, 0, sizeof *e);
    e->ring = ring_new(rt->cfg.ring_slots, (uint64_t)rt->cfg.ring_bytes);
    e->wm_pending = e->wm = e->wm_said = TS_MIN;
    return e;
}

void edge_free(struct edge *e)
{
    if (!e) return;
    struct msg m;
    while (ring_pop(e->ring, &m))
        if (msg_tag(m) == MSG_BATCH) batch_unref(m.batch);
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

static struct msg timed(enum msg_tag tag, int64_t ts)
{
    struct msg m = msg_make(tag, 0, 0);
    m.ts = ts;
    return m;
}

static bool push_pending(struct edge *e)
{
    if (e->wm_pending != TS_MIN) {
        if (!push(e, timed(MSG_WATERMARK, e->wm_pending), 0)) return false;
        e->wm_pending = TS_MIN;
    }
    if (e->idle_pending) {
        if (!push(e, timed(MSG_IDLE, TS_MIN), 0)) return false;
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
    if (!push_pending(e)) return false;
    struct msg m = msg_make(MSG_BATCH, 0, 0);
    m.batch = b;
    return push(e, m, b->bytes_held);
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
    e->wm_said = e->wm_pending = wm;
    e->idle_pending = false;
    push_pending(e);
}

void edge_idle(struct edge *e)
{
    if (edge_closed(e)) return;
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
    if (e->end_sent || e->no_barriers || edge_closed(e)) return;
    push_reserved(e, msg_make(MSG_BARRIER, kind | (e->idle_pending ? BARRIER_IDLE : 0), epoch));
}

void edge_end(struct edge *e, int kind)
{
    if (e->end_sent) return;
    e->end_sent = true;
    push_reserved(e, msg_make(MSG_END, kind, 0));
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
    while (edge_pop(e, &m)) {
        if (msg_tag(m) == MSG_BATCH) batch_unref(m.batch);
        if (msg_tag(m) == MSG_END) e->ended = true;
    }
}
