/* Sweeping: what has ended or was let go is freed, by whoever has the turn, with the workers paused. What is still at work is known
 * by taking stock. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

/* Nothing will come of it by itself any more. */
bool stock_through(struct run_sink *s) { return deliver_done(s->deliver) || deliver_blocked(s->deliver); }

/* With the lock: of each component, whether something in it has still to end, and whether it is kept all the same. */
void stock_take(struct runtime *rt)
{
    for (struct component *c = rt->components; c; c = c->next) c->busy = c->kept = false;
    for (struct node *n = rt->nodes; n; n = n->next)
        if (!node_ended(n)) component_of(n->component)->busy = true;
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (!reader_done(r->reader) || reader_pinned(r->reader)) component_of(r->scan->component)->busy = true;
    for (struct run_outlet *o = rt->outlets; o; o = o->next) {
        struct component *c = component_of(outlet_node(o->outlet)->component);
        if (o->detached ? !atomic_load(&outlet_answer(o->outlet)->ended) : !outlet_done(o->outlet)) c->busy = true;
        c->kept = true;
    }
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (!s->detached && !stock_through(s)) component_of(outlet_node(s->outlet)->component)->busy = true;
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (!sub_closed(s->sub) || !sub_idle(s->sub)) component_of(sub_node(s->sub)->component)->kept = true;
}

/* After take_stock. */
static bool can_free(const struct component *c) { return !atomic_load(&c->joined) && !c->busy && !c->kept; }

bool stock_busy(struct runtime *rt)
{
    for (struct component *c = rt->components; c; c = c->next)
        if (c->busy) return true;
    return false;
}

#define REMOVE_IF(list, type, x, cond, free_it)                                                    \
    for (type **at_ = &(list); *at_;) {                                                            \
        type *x = *at_;                                                                            \
        if (!(cond)) {                                                                             \
            at_ = &x->next;                                                                        \
            continue;                                                                              \
        }                                                                                          \
        *at_ = x->next;                                                                            \
        free_it;                                                                                   \
    }

static void free_sink(struct run_sink *s)
{
    deliver_free(s->deliver);
    mem_free(s);
}

static void free_outlet(struct run_outlet *o)
{
    graph_unlink(outlet_node(o->outlet), o->outlet, NULL);
    outlet_free(o->outlet);
    mem_free(o);
}

static bool has_readers(struct runtime *rt, const struct run_outlet *o)
{
    struct run_sink *s = rt->sinks;
    struct run_sub *k = rt->subs;
    while (s && s->outlet != o->outlet) s = s->next;
    while (k && sub_outlet(k->sub) != o->outlet) k = k->next;
    return s || k;
}

static void free_sub(struct runtime *rt, struct run_sub *s)
{
    past_query(rt, s);
    if (!sub_outlet(s->sub)) graph_unlink(sub_node(s->sub), NULL, s->sub);
    sub_free(s->sub);
    mem_free(s);
}

static void free_reader(struct runtime *rt, struct run_reader *r)
{
    past_reader(rt, r);
    if (r->scan->reader == r->reader) r->scan->reader = NULL;
    reader_free(r->reader);
    mem_free(r);
}

/* Everything of an ended component; workers are paused. Outlets and subscriptions before the nodes they hang on. */
void sweep_component(struct runtime *rt, struct component *c)
{
    REMOVE_IF(rt->sinks, struct run_sink, s, in_component(outlet_node(s->outlet)->component, c), free_sink(s))
    REMOVE_IF(rt->subs, struct run_sub, s, in_component(sub_node(s->sub)->component, c), free_sub(rt, s))
    REMOVE_IF(rt->outlets, struct run_outlet, o, in_component(outlet_node(o->outlet)->component, c), free_outlet(o))
    REMOVE_IF(rt->readers, struct run_reader, r, in_component(r->scan->component, c), free_reader(rt, r))
    for (struct node *n = rt->nodes; n; n = n->next)
        if (in_component(n->component, c)) past_stream(rt, n);
    REMOVE_IF(rt->nodes, struct node, n, in_component(n->component, c), node_free(n))
}

static void free_joined(struct runtime *rt, struct component *c)
{
    bool again = true;
    while (again) {
        again = false;
        REMOVE_IF(rt->components, struct component, x, atomic_load(&x->joined) == c, (again = true, mem_free(x)))
        for (struct component *x = rt->components; x && !again; x = x->next)
            if (atomic_load(&x->joined) && component_of(x) == c) atomic_store(&x->joined, c), again = true;
    }
    REMOVE_IF(rt->components, struct component, x, x == c, mem_free(x))
}

/* A subscription that was let go: its rings are closed. Its node, if others read it, goes on without it at once; else the
 * node ends by itself. */
static void detach_subs(struct runtime *rt)
{
    for (struct run_sub *s = rt->subs; s; s = s->next) {
        if (!sub_closed(s->sub)) continue;
        if (!s->detached && !sub_outlet(s->sub)) graph_detach(sub_node(s->sub), NULL, s->sub, false);
        s->detached = true;
        sub_drain(s->sub);
    }
}

static bool sub_can_go(const struct run_sub *s)
{
    struct node *n = sub_node(s->sub);
    return s->detached && sub_idle(s->sub) && (!n->gone || node_ended(n));
}

/* A reader whose place another has taken: its last message has been heard. */
static bool can_leave(const struct run_reader *r)
{
    if (!r->left || !reader_done(r->reader) || reader_pinned(r->reader)) return false;
    for (int w = 0; w < r->scan->ninst; w++)
        for (int p = 0; p < reader_parts(r->reader); p++) {
            const struct edge *e = reader_edge(r->reader, p, w);
            if (e && !e->ended) return false;
        }
    return true;
}

static void take_channels_off(struct run_reader *r)
{
    for (int w = 0; w < r->scan->ninst; w++)
        for (int p = 0; p < reader_parts(r->reader); p++) {
            struct edge *e = reader_edge(r->reader, p, w);
            inst_take_off(r->scan->inst[w], e);
            reader_forget_edge(r->reader, p, w);
        }
}

/* What was taken out of components that live on. */
static void free_gone(struct runtime *rt)
{
    detach_subs(rt);
    REMOVE_IF(rt->subs, struct run_sub, s, sub_can_go(s), free_sub(rt, s))
    REMOVE_IF(rt->sinks, struct run_sink, s, s->detached && deliver_done(s->deliver), free_sink(s))
    REMOVE_IF(rt->outlets, struct run_outlet, o, o->detached && outlet_done(o->outlet) && !has_readers(rt, o), free_outlet(o))
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (can_leave(r)) take_channels_off(r);
    REMOVE_IF(rt->readers, struct run_reader, r, can_leave(r), free_reader(rt, r))
    REMOVE_IF(rt->readers, struct run_reader, r,
              r->scan->gone && reader_done(r->reader) && !reader_pinned(r->reader) && node_ended(r->scan),
              free_reader(rt, r))
    graph_sweep(rt);
}

static bool anything_to_free(struct runtime *rt)
{
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (sub_closed(s->sub)) return true;
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (s->detached) return true;
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        if (o->detached) return true;
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (r->left) return true;
    for (struct node *n = rt->nodes; n; n = n->next)
        if (n->gone) return true;
    stock_take(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (can_free(c)) return true;
    return false;
}

static void free_all(struct runtime *rt)
{
    runtime_pause(rt);
    free_gone(rt);
    stock_take(rt);
    for (struct component *c = rt->components, *next; c; c = next) {
        next = c->next;
        if (!can_free(c)) continue;
        sweep_component(rt, c);
        free_joined(rt, c);
        next = rt->components; /* the list changed */
    }
    runtime_resume(rt);
}

void sweep_all(struct runtime *rt)
{
    ack_ended(rt);
    lock_take(&rt->lock);
    if (anything_to_free(rt)) free_all(rt);
    lock_give(&rt->lock);
}

void runtime_sweep(struct runtime *rt)
{
    atomic_store(&rt->unswept, true);
    if (turn_try(rt)) turn_give(rt); /* else who has it sweeps */
}

void runtime_sweep_now(struct runtime *rt, int64_t timeout_us)
{
    if (turn_take(rt, timeout_us)) turn_give(rt);
}
