/* Workers: one task each, owning the instances of their key groups. Who has something for an instance sets its bit in
 * the ready bitmap, then wakes the task; the worker takes whole words of bits and gives each ready instance one message in
 * turn. Slots never move: a head is published by control before its first bit is set.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#define STEP_US 200

static void flush_dirty(struct worker *w)
{
    while (w->dirty) {
        struct inst *i = w->dirty;
        w->dirty = i->next_dirty;
        i->dirty = false;
        inst_flush_builders(i);
    }
}

/* The next ready slot after the last one served, or -1. */
static int next_ready(struct worker *w)
{
    int n = atomic_load_explicit(&w->chunks, memory_order_acquire);
    for (int k = 0; k < n; k++) {
        int c = (w->chunk + k) % n;
        if (atomic_load_explicit(&w->ready[c], memory_order_relaxed))
            w->mine[c] |= atomic_exchange_explicit(&w->ready[c], 0, memory_order_seq_cst);
        if (!w->mine[c]) continue;
        w->chunk = c;
        return c * 64 + __builtin_ctzll(w->mine[c]);
    }
    return -1;
}

/* Steps the head of a chain and notes where the time went; returns when it ended. */
static int64_t step_head(struct worker *w, struct inst *i, int slot, int64_t from)
{
    struct inst_counts *c = &i->counts;
    w->timing = w->steps++ % TIMED_STEPS == 0 || atomic_load_explicit(&w->rt->watchers, memory_order_relaxed);
    meter_unblock(&c->meter, from);
    bool again = inst_step(i);
    if (again) atomic_fetch_or_explicit(&w->ready[slot / 64], 1ull << (slot & 63), memory_order_relaxed);
    int64_t now = env_now_us(w->rt->env);
    meter_busy(&c->meter, from, now);
    if (w->timing) meter_add(&c->steps_us, now - from);
    if (!again && inst_is_stuck(i)) meter_block(&c->meter, now);
    return now;
}

/* Sets the bits of those whose batch may be offered again, or is to be let go. */
static void wake_refused(struct worker *w)
{
    for (struct inst *i = w->refused; i; i = i->next_refused) {
        struct component *c = component_of(i->node->component);
        if (atomic_load(&c->starved) && !atomic_load(&c->cancel)) continue;
        int slot = i->head->slot;
        atomic_fetch_or_explicit(&w->ready[slot / 64], 1ull << (slot & 63), memory_order_relaxed);
    }
}

static enum step step(struct task *t, int64_t now_us, int64_t *wake_us)
{
    (void)now_us, (void)wake_us;
    struct worker *w = container_of(t, struct worker, task);
    if (atomic_load(&w->rt->pauses)) {
        flush_dirty(w); /* whoever pauses us may free an instance that has ended: it must be on no list */
        atomic_store(&w->paused, true);
        bell_ring(&w->rt->control);
        return STEP_WAIT;
    }
    if (w->refused) wake_refused(w);
    int64_t begin = 0, now = 0;
    for (int slot; (slot = next_ready(w)) >= 0;) {
        w->mine[slot / 64] &= ~(1ull << (slot & 63));
        struct inst *i = atomic_load_explicit(&w->heads[slot], memory_order_acquire);
        while (i && i->driver) i = i->driver;
        if (!begin) begin = now = env_now_us(w->rt->env);
        if (i) now = step_head(w, i, slot, now);
        if (!w->mine[w->chunk]) w->chunk++; /* the next word's turn */
        if (now - begin >= STEP_US) return STEP_AGAIN;
    }
    flush_dirty(w);
    return next_ready(w) >= 0 ? STEP_AGAIN : STEP_WAIT;
}

static const struct task_class worker_class = {.name = "worker", .step = step};

struct worker *worker_new(struct runtime *rt, int index)
{
    struct worker *w = mem_aligned(64, sizeof *w);
    memset(w, 0, sizeof *w);
    w->task.class = &worker_class;
    w->rt = rt;
    w->index = index;
    w->pool = pool_new(rt->account);
    w->task.pool = w->pool;
    return w;
}

void worker_free(struct worker *w)
{
    if (!w) return;
    pool_close(w->pool);
    mem_free(w);
}

int worker_slot(struct worker *w, struct inst *i)
{
    for (int s = 0; s < READY_CHUNKS * 64; s++) {
        if (atomic_load(&w->heads[s])) continue;
        atomic_store_explicit(&w->heads[s], i, memory_order_release);
        if (s / 64 >= atomic_load(&w->chunks)) atomic_store_explicit(&w->chunks, s / 64 + 1, memory_order_release);
        return s;
    }
    return -1;
}

void worker_release(struct worker *w, int slot)
{
    if (slot >= 0) atomic_store_explicit(&w->heads[slot], NULL, memory_order_release);
}

struct waker worker_waker(struct worker *w, int slot)
{
    return (struct waker){.word = &w->ready[slot / 64], .bit = 1ull << (slot & 63), .task = &w->task};
}
