/* Replacing. The rows of a named stream pass through a node of its own, on which its consumers hang, as a source's pass through
 * the node of its reader. OR REPLACE gives that node another input: at the CHANGE barrier the old one's channels end and the new
 * one's, whose first message is the barrier, take their place. Nothing behind the node notices.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

static struct swap *add_swap(struct change *ch, const struct replacement *r, struct node *at)
{
    struct swap *s = arena_alloc(ch->arena, sizeof *s);
    s->next = ch->swaps;
    s->object = r->object;
    s->at = at;
    s->was_alike = at->alike;
    ch->swaps = s;
    return s;
}

/* What runs of a replaced object, and what new consumers in this change are to read. */
void swap_find(struct change *ch, const struct replacement *r)
{
    if (r->object->kind == OBJECT_STREAM) {
        struct node *at = node_of_stream(ch->rt, r->old_id);
        if (!at) return;
        add_swap(ch, r, at);
        use_add(ch, r->object)->node = at;
        return;
    }
    for (struct run_reader *x = ch->rt->readers; x; x = x->next) {
        if (x->source_id != r->old_id || x->left || !node_runs(x->scan)) continue;
        add_swap(ch, r, x->scan)->old = x;
        if (reader_pushed(x->reader)) use_add(ch, r->object)->node = x->scan;
    }
}

enum status swap_make(struct change *ch, struct swap *s, struct err *err)
{
    if (!s->old) {
        struct root own = {.on_error = ch->rt->cfg.on_error, .owner = s->object->id, .whose = s->object->name, .top = s->object->plan};
        TRY(build_plan(ch, s->object->plan, &own, &s->top, err));
        s->top->users++;
        s->top->is_top = true;
        return ST_OK;
    }
    struct reader *r = reader_new(ch->rt, s->object, reader_schema(s->old->reader), NULL, s->at->component, err);
    if (!r) return err && err->code ? err->code : E_INTERNAL;
    s->made = mem_zalloc(sizeof *s->made);
    *s->made = (struct run_reader){.reader = r, .scan = s->at, .source_id = s->object->id, .former_id = s->old->source_id};
    return ST_OK;
}

static struct edge *new_channel(struct change *ch, struct inst *to, struct edge *e)
{
    struct channel *c = arena_alloc(ch->arena, sizeof *c);
    *c = (struct channel){ch->channels, to, e};
    ch->channels = c;
    return e;
}

/* From every instance of the new input to its like, to the only one, or from the only one to all. */
static void connect_stream(struct change *ch, struct swap *s)
{
    for (int f = 0; f < s->top->ninst; f++) {
        struct inst *from = s->top->inst[f];
        bool spread = s->top->ninst == 1 && s->at->ninst > 1;
        int n = spread ? s->at->ninst : 1;
        struct link *l = link_new(OUT_MAIN, n);
        l->first_only = spread;
        link_give(ch, from, l);
        for (int k = 0; k < n; k++)
            l->edges[k] = new_channel(ch, s->at->inst[spread ? k : s->at->ninst == 1 ? 0 : f], link_edge(ch->rt, from));
    }
}

void swap_connect(struct change *ch, struct swap *s)
{
    if (s->top) return connect_stream(ch, s);
    for (int w = 0; w < s->at->ninst; w++)
        for (int p = 0; p < reader_parts(s->made->reader); p++) new_channel(ch, s->at->inst[w], reader_edge(s->made->reader, p, w));
}

/* Not after all. What comes from a new reader or node goes with it. */
void swap_put_back(struct change *ch)
{
    for (struct channel *c = ch->channels; c; c = c->next)
        if (!c->edge->writer.task || c->edge->writer.word) edge_free(c->edge); /* else it is a reader's */
    for (struct swap *s = ch->swaps; s; s = s->next) {
        if (s->top) s->top->users--;
        if (!s->made) continue;
        reader_free(s->made->reader);
        mem_free(s->made);
    }
}

static void set_alike(struct runtime *rt, struct node *n, bool alike);

static void node_hears(struct runtime *rt, struct node *n)
{
    bool alike = node_hears_alike(n);
    if (alike != n->alike) set_alike(rt, n, alike);
}

/* A node's new way of hearing, down to all that hear through it. */
static void set_alike(struct runtime *rt, struct node *n, bool alike)
{
    n->alike = alike;
    for (struct node *m = rt->nodes; m; m = m->next)
        for (int p = 0; p < m->nin; p++) {
            if (m->in[p].from != n) continue;
            for (int i = 0; i < m->ninst; i++)
                for (struct edge *e = m->inst[i]->in; e; e = e->next)
                    if (e->port == p) atomic_store(&e->alike, alike);
            node_hears(rt, m);
        }
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        for (int i = 0; outlet_node(o->outlet) == n && i < n->ninst; i++) atomic_store(&outlet_edge(o->outlet, i)->alike, alike);
    for (struct run_sub *s = rt->subs; s; s = s->next)
        for (int i = 0; sub_node(s->sub) == n && i < sub_edges(s->sub); i++) atomic_store(&sub_edge(s->sub, i)->alike, alike);
}

/* With the lock, workers paused: hands the old input's channels over to the new one's. */
static void swap_stream(struct runtime *rt, struct swap *s)
{
    struct node *at = s->at, *old = at->in[0].from;
    graph_cut_links(old, at, NULL, NULL, true);
    at->in[0].from = s->top;
    graph_cut(old, at, NULL, NULL, true);
    at->stream_id = at->owner = s->object->id;
    at->schema = s->object->schema;
    at->plan = s->object->plan;
    component_join(at->component, s->top->component);
    if (node_hears_alike(at)) node_hears(rt, at); /* to hear less alike is for later: who waits too long is wrong for a moment only */
}

static void swap_reader(struct runtime *rt, struct swap *s)
{
    s->old->left = true;
    reader_leave(s->old->reader);
    s->at->reader = s->made->reader;
    s->made->next = rt->readers;
    rt->readers = s->made;
}

void swap_take_effect(struct change *ch)
{
    for (struct swap *s = ch->swaps; s; s = s->next)
        if (s->top)
            swap_stream(ch->rt, s);
        else
            swap_reader(ch->rt, s);
    for (struct channel *c = ch->channels; c; c = c->next) {
        enum status st = link_channel(c->to, 0, c->edge, NULL);
        INVARIANT(!st); /* it has its place already */
        if (c->to->finished) edge_close(c->edge); /* it ended meanwhile */
    }
}

void swap_settle(struct change *ch)
{
    if (!ch->swaps) return;
    lock_take(&ch->rt->lock);
    runtime_pause(ch->rt);
    for (struct swap *s = ch->swaps; s; s = s->next)
        if (s->top) node_hears(ch->rt, s->at);
    runtime_resume(ch->rt);
    lock_give(&ch->rt->lock);
}
