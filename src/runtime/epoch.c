/* Epochs: a barrier through a component, or through all, and the answers to it. With the turn.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#include <stdio.h>

/* Calls fn for each participant of a component's epochs. */
static void each_answer(struct runtime *rt, struct component *c, void (*fn)(void *ctx, struct answer *a), void *ctx)
{
    for (struct node *n = rt->nodes; n; n = n->next)
        if (in_component(n->component, c))
            for (int i = 0; i < n->ninst; i++) fn(ctx, &n->inst[i]->answer);
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (in_component(r->scan->component, c))
            for (int p = 0; p < reader_parts(r->reader); p++) fn(ctx, reader_answer(r->reader, p));
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        if (in_component(outlet_node(o->outlet)->component, c)) fn(ctx, outlet_answer(o->outlet));
}

struct beginning {
    struct runtime *rt;
    struct component *c;
    uint64_t epoch;
    int64_t n;
};

static void count(void *ctx, struct answer *a)
{
    (void)a;
    ((struct beginning *)ctx)->n++;
}

static void ask(void *ctx, struct answer *a)
{
    struct beginning *b = ctx;
    atomic_store(&a->asked, b->epoch);
    if (atomic_load(&a->ended)) answer_epoch(b->rt, b->c, a, b->epoch);
}

static void begin_epoch(struct runtime *rt, struct component *c, int kind, uint64_t epoch)
{
    struct beginning b = {rt, c, epoch, 0};
    INVARIANT(!atomic_load(&c->waiting));
    each_answer(rt, c, count, &b);
    atomic_store(&c->waiting, b.n);
    each_answer(rt, c, ask, &b);
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (in_component(r->scan->component, c) && !reader_done(r->reader)) reader_barrier(r->reader, b.epoch, kind);
}

void epoch_begin(struct runtime *rt, struct component *c, int kind) { begin_epoch(rt, c, kind, ++rt->next_epoch); }

static bool epoch_answered(void *ctx) { return !atomic_load(&((struct component *)ctx)->waiting); }

bool epoch_wait(struct runtime *rt, struct component *c, int64_t timeout_us)
{
    return runtime_wait(rt, epoch_answered, c, timeout_us);
}

static bool takes_nothing(const struct edge *e) { return ring_is_waited_for(e->ring); }

static const char *name_of(const struct node *n)
{
    while (!n->stream_id && !n->reader && n->nin) n = n->in[0].from;
    return n->name;
}

enum status epoch_blocked(struct runtime *rt, struct component *c, const char *what, struct err *err)
{
    char who[120] = "a sink or subscriber";
    struct sink_stats s;
    if (atomic_load(&component_of(c)->starved)) {
        char whose[sizeof c->hunger.text];
        note_read(&component_of(c)->hunger, whose);
        err_set(err, E_TIMEOUT, "%s waits for \"%.80s\", which has no memory left for its state", what, whose);
        err_hint(err, "give it more: ALTER STREAM ... SET (memory.limit = '...'), or SET memory_limit = '...'");
        return E_TIMEOUT;
    }
    lock_take(&rt->lock);
    for (struct run_sink *k = rt->sinks; k; k = k->next) {
        if (!in_component(outlet_node(k->outlet)->component, c) || deliver_done(k->deliver)) continue;
        deliver_stats(k->deliver, &s);
        if (s.lag_bytes >= OUTLET_BYTES) snprintf(who, sizeof who, "sink \"%.80s\"", deliver_object(k->deliver)->name);
    }
    for (struct run_sub *k = rt->subs; k; k = k->next) {
        struct node *n = sub_node(k->sub);
        bool full = false;
        for (int i = 0; i < sub_edges(k->sub); i++) full |= takes_nothing(sub_edge(k->sub, i));
        if (sub_outlet(k->sub)) full = !sub_closed(k->sub) && outlet_waits(sub_outlet(k->sub));
        if (full && in_component(n->component, c)) snprintf(who, sizeof who, "a subscription to \"%.80s\"", name_of(n));
    }
    lock_give(&rt->lock);
    return err_set(err, E_TIMEOUT, "%s waits for %s that takes nothing", what, who);
}

static enum status wait_all(struct runtime *rt, int64_t timeout_us, struct err *err)
{
    for (struct component *c = rt->components; c; c = c->next)
        if (!atomic_load(&c->joined) && !epoch_wait(rt, c, timeout_us)) return epoch_blocked(rt, c, "the barrier", err);
    return ST_OK;
}

static enum status epoch_all(struct runtime *rt, int kind, int64_t timeout_us, struct err *err)
{
    TRY(wait_all(rt, timeout_us, err));
    for (struct component *c = rt->components; c; c = c->next)
        if (!atomic_load(&c->joined)) epoch_begin(rt, c, kind);
    return wait_all(rt, timeout_us, err);
}

enum status runtime_drain(struct runtime *rt, int64_t timeout_us, struct err *err)
{
    if (!turn_take(rt, timeout_us)) return turn_not_had(err);
    enum status st = epoch_all(rt, BARRIER_DRAIN, timeout_us, err);
    turn_give(rt);
    return st;
}

enum status runtime_checkpoint(struct runtime *rt, int64_t timeout_us, uint64_t *epoch, struct err *err)
{
    if (!turn_take(rt, timeout_us)) return turn_not_had(err);
    enum status st = wait_all(rt, timeout_us, err);
    if (!st) {
        *epoch = ++rt->next_epoch;
        for (struct component *c = rt->components; c; c = c->next)
            if (!atomic_load(&c->joined)) begin_epoch(rt, c, BARRIER_DRAIN, *epoch);
        st = wait_all(rt, timeout_us, err);
    }
    turn_give(rt);
    return st;
}

/* ---- restart by declared state ------------------------------------------------------------------------------------------ */

static enum status reload_node(struct runtime *rt, struct node *n, struct err *err)
{
    (void)rt;
    struct text images[256] = {0};
    for (int i = 0; i < n->ninst; i++) {
        struct inst *x = n->inst[i];
        if (atomic_load(&x->answer.ended)) {
            text_clear(&x->image);
            state_save(x->op->ctx.state, &x->image);
        }
        images[i] = x->image;
    }
    enum status st = ST_OK;
    for (int i = 0; i < n->ninst && !st; i++) st = inst_open(n->inst[i], images, n->ninst, err);
    return st;
}

enum status runtime_restart(struct runtime *rt, int64_t timeout_us, struct err *err)
{
    if (!turn_take(rt, timeout_us)) return turn_not_had(err);
    enum status st = epoch_all(rt, BARRIER_FREEZE | BARRIER_HOLD, timeout_us, err);
    bool passed = !st;
    if (passed) {
        lock_take(&rt->lock); /* who shows counters reads those of the operators */
        runtime_pause(rt);
        for (struct node *n = rt->nodes; n && !st; n = n->next)
            if (n->class && !n->gone) st = reload_node(rt, n, err);
        runtime_resume(rt);
        lock_give(&rt->lock);
    }
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (!reader_done(r->reader)) reader_resume(r->reader, passed);
    turn_give(rt);
    return st;
}
