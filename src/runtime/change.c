/* Changes of the graph: what is to run, to go, to be replaced from now on, made one and applied at a CHANGE barrier.
 *
 * A change is prepared off the workers: readers are opened, nodes and instances made, links drawn. Links between new things
 * are final at once; a link from an instance that runs is handed to it as a link_change and made when the CHANGE
 * barrier passes it. So every consumer gets whole what follows the barrier, and nothing of what came before.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

struct touched {
    struct touched *next;
    struct component *component;
};

struct change *change_new(struct runtime *rt)
{
    struct change *ch = mem_zalloc(sizeof *ch);
    ch->rt = rt;
    ch->arena = arena_new();
    ch->root_tail = &ch->roots;
    ch->node_tail = &ch->nodes;
    return ch;
}

static struct root *add_root(struct change *ch)
{
    struct root *r = arena_alloc(ch->arena, sizeof *r);
    *ch->root_tail = r;
    ch->root_tail = &r->next;
    return r;
}

void change_sink(struct change *ch, const struct object *sink)
{
    struct root *r = add_root(ch);
    r->sink = sink;
    r->owner = sink->id;
    r->whose = sink->name;
    r->plan = sink->plan;
    r->on_error = ch->rt->cfg.on_error;
}

void change_sub(struct change *ch, const struct plan *plan, struct arena *own, enum on_error on_error, const struct sub_config *cfg,
                struct sub **out)
{
    struct root *r = add_root(ch);
    if (cfg) r->sub_config = *cfg;
    r->on_error = on_error;
    r->plan = plan;
    r->sub = out;
    *out = NULL;
    if (!own) return;
    r->keep = mem_zalloc(sizeof *r->keep);
    r->keep->refs = 1;
    r->keep->arena = own;
}

void change_drop_sink(struct change *ch, uint64_t sink_id, bool discard)
{
    struct drop *d = arena_alloc(ch->arena, sizeof *d);
    *d = (struct drop){ch->drops, sink_id, discard, NULL};
    ch->drops = d;
}

void change_history(struct change *ch, const struct object *stream, int64_t bytes)
{
    struct history *h = arena_alloc(ch->arena, sizeof *h);
    *h = (struct history){ch->histories, stream, bytes, NULL, false};
    ch->histories = h;
}

void change_drop_history(struct change *ch, uint64_t stream_id)
{
    struct end_of_history *e = arena_alloc(ch->arena, sizeof *e);
    *e = (struct end_of_history){ch->ends, stream_id, NULL};
    ch->ends = e;
}

void change_replace(struct change *ch, uint64_t old_id, const struct object *object)
{
    struct replacement *r = arena_alloc(ch->arena, sizeof *r);
    *r = (struct replacement){ch->replacements, old_id, object};
    ch->replacements = r;
}

/* ---- preparing ------------------------------------------------------------------------------------------------------------ */

/* Nodes, readers and sinks; connectors may take their time to open. */
static enum status make_parts(struct change *ch, struct err *err)
{
    struct runtime *rt = ch->rt;
    for (struct drop *d = ch->drops; d; d = d->next) d->sink = runtime_sink(rt, d->sink_id);
    for (struct replacement *r = ch->replacements; r; r = r->next) swap_find(ch, r);
    for (struct swap *s = ch->swaps; s; s = s->next)
        if (!s->old) use_collect(ch, s->object->plan);
    for (struct root *r = ch->roots; r; r = r->next) use_collect(ch, r->plan);
    for (struct history *h = ch->histories; h; h = h->next) use_collect_stream(ch, h->stream);
    for (struct swap *s = ch->swaps; s; s = s->next) TRY(swap_make(ch, s, err));
    for (struct history *h = ch->histories; h; h = h->next) TRY(history_make(ch, h, err));
    history_find_ends(ch);
    for (struct root *r = ch->roots; r; r = r->next) {
        struct node *top;
        TRY(build_plan(ch, r->plan, r, &top, err));
        if (r->sink) {
            struct run_sink *s = mem_zalloc(sizeof *s);
            r->run_sink = s;
            s->sink_id = r->sink->id;
            s->outlet = build_outlet(ch, top, &r->joins);
            if (!(s->deliver = deliver_new(rt, r->sink, outlet_log(s->outlet), top->component, err))) return err->code;
            if (ch->drops) deliver_hold(s->deliver); /* until those have given up what both may write to */
        } else {
            if (!(r->made = sub_new(rt, top, r->plan, top->component, &r->sub_config, err))) return err->code;
            top->users++;
        }
    }
    return ST_OK;
}

/* Links and operators; workers are paused, for these take memory from their pools. */
static enum status connect_parts(struct change *ch, struct err *err)
{
    for (struct node *n = ch->nodes; n; n = n->next) TRY(n->reader ? link_reader(n, err) : link_inputs(ch, n, err));
    for (struct swap *s = ch->swaps; s; s = s->next) swap_connect(ch, s);
    for (struct run_outlet *o = ch->outlets; o; o = o->next)
        for (int i = 0; i < outlet_node(o->outlet)->ninst; i++)
            link_out(ch, outlet_node(o->outlet)->inst[i], outlet_edge(o->outlet, i));
    for (struct root *r = ch->roots; r; r = r->next)
        for (int i = 0; !r->sink && i < sub_node(r->made)->ninst; i++)
            link_out(ch, sub_node(r->made)->inst[i], sub_edge(r->made, i));
    for (struct node *n = ch->nodes; n; n = n->next)
        for (int i = 0; i < n->ninst; i++) TRY(inst_open(n->inst[i], NULL, 0, err));
    return ST_OK;
}

static void put_off(struct root *r)
{
    if (r->run_sink) {
        if (r->joins) outlet_let_go(r->run_sink->outlet);
        deliver_free(r->run_sink->deliver);
        mem_free(r->run_sink);
    }
    if (r->made) sub_node(r->made)->users--;
    sub_free(r->made);
}

static enum status prepare(struct change *ch, struct err *err)
{
    TRY(make_parts(ch, err));
    runtime_pause(ch->rt);
    enum status st = connect_parts(ch, err);
    runtime_resume(ch->rt);
    return st;
}

/* Frees what was prepared and never ran. */
static void undo(struct change *ch)
{
    for (struct root *r = ch->roots; r; r = r->next) put_off(r);
    for (struct history *h = ch->histories; h; h = h->next)
        if (h->joins) outlet_let_go(h->outlet);
    swap_put_back(ch);
    for (struct run_outlet *o = ch->outlets, *next; o; o = next) {
        next = o->next;
        outlet_node(o->outlet)->users--;
        outlet_free(o->outlet);
        mem_free(o);
    }
    for (struct link_made *m = ch->made; m; m = m->next) link_free(m->link);
    for (struct node *n = ch->nodes; n; n = n->next)
        for (int i = 0; i < n->nin; i++) n->in[i].from->users--;
    for (struct run_reader *r = ch->readers, *next; r; r = next) {
        next = r->next;
        reader_free(r->reader);
        mem_free(r);
    }
    for (struct node *n = ch->nodes, *next; n; n = next) {
        next = n->next;
        node_free(n);
    }
}

static void touch(struct change *ch, struct touched **list, struct component *c)
{
    c = component_of(c);
    for (struct touched *t = *list; t; t = t->next)
        if (t->component == c) return;
    struct touched *t = arena_alloc(ch->arena, sizeof *t);
    *t = (struct touched){*list, c};
    *list = t;
}

static enum status wait_for(struct runtime *rt, const struct touched *t, int64_t until, struct err *err)
{
    for (; t; t = t->next)
        if (!epoch_wait(rt, t->component, time_left(rt, until))) return epoch_blocked(rt, t->component, "the change", err);
    return ST_OK;
}

static void touch_running(struct change *ch, struct touched **t)
{
    for (struct link_made *m = ch->made; m; m = m->next) touch(ch, t, m->inst->node->component);
    for (struct root *r = ch->roots; r; r = r->next)
        if (r->joins) touch(ch, t, outlet_node(r->run_sink->outlet)->component);
    for (struct drop *d = ch->drops; d; d = d->next)
        if (d->sink) touch(ch, t, outlet_node(d->sink->outlet)->component);
    for (struct history *h = ch->histories; h; h = h->next)
        if (h->joins) touch(ch, t, outlet_node(h->outlet)->component);
    for (struct end_of_history *e = ch->ends; e; e = e->next)
        if (e->outlet) touch(ch, t, outlet_node(e->outlet->outlet)->component);
    for (struct swap *s = ch->swaps; s; s = s->next) touch(ch, t, s->at->component);
}

/* What runs and is about to be joined stands between two epochs. */
static enum status wait_for_epochs(struct change *ch, int64_t until, struct err *err)
{
    struct touched *t = NULL;
    touch_running(ch, &t);
    TRY(wait_for(ch->rt, t, until, err));
    /* What is replaced cannot be put back: whether barriers pass is tried before. */
    for (struct touched *x = ch->swaps ? t : NULL; x; x = x->next) epoch_begin(ch->rt, x->component, BARRIER_DRAIN);
    return ch->swaps ? wait_for(ch->rt, t, until, err) : ST_OK;
}

/* Makes the change part of the graph; nothing of it moves yet. */
static void commit(struct change *ch)
{
    struct runtime *rt = ch->rt;
    lock_take(&rt->lock);
    runtime_pause(rt);
    for (struct root *r = ch->roots; r; r = r->next) {
        if (r->sink) {
            r->run_sink->next = rt->sinks;
            rt->sinks = r->run_sink;
            ack_add_sink(r->run_sink->deliver);
            if (!r->joins) continue;
            deliver_start(r->run_sink->deliver);
            outlet_join(r->run_sink->outlet, r->run_sink->deliver);
            continue;
        }
        struct run_sub *s = mem_zalloc(sizeof *s);
        s->sub = r->made;
        s->next = rt->subs;
        rt->subs = s;
    }
    for (struct run_reader *r = ch->readers, *next; r; r = next) {
        next = r->next;
        r->next = rt->readers;
        rt->readers = r;
    }
    struct run_outlet **last = &rt->outlets;
    while (*last) last = &(*last)->next;
    *last = ch->outlets;
    for (struct node *n = ch->nodes; n; n = n->next) {
        n->fresh = false;
        for (int i = 0; i < n->nin; i++) component_join(n->component, n->in[i].from->component);
    }
    struct node **tail = &rt->nodes;
    while (*tail) tail = &(*tail)->next;
    *tail = ch->nodes;
    swap_take_effect(ch);
    for (struct link_made *m = ch->made; m; m = m->next) inst_change(m->inst, m->link, NULL);
    history_settle(ch);
    for (struct drop *d = ch->drops; d; d = d->next)
        if (d->sink) drop_take_off(rt, d->sink, d->discard);
    runtime_resume(rt);
    lock_give(&rt->lock);
}

/* The CHANGE barrier goes through all that is touched, new components too: it is the first message of every new edge, so
 * an instance knows which of its channels are idle before it reads a row. New readers begin behind it. */
static void begin(struct change *ch, struct touched **t)
{
    struct runtime *rt = ch->rt;
    touch_running(ch, t);
    for (struct node *n = ch->nodes; n; n = n->next) touch(ch, t, n->component);
    for (struct root *r = ch->roots; r; r = r->next) {
        if (!r->sink || r->joins) continue;
        deliver_start(r->run_sink->deliver);
        deliver_attach(r->run_sink->deliver);
    }
    for (struct run_outlet *o = ch->outlets; o; o = o->next) outlet_start(rt, o->outlet);
    for (struct touched *x = *t; x; x = x->next) epoch_begin(rt, x->component, BARRIER_CHANGE);
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (!reader_runs(r->reader)) reader_start(r->reader);
    bell_ring(&rt->control); /* who pushed to a reader that left waits for the new one */
}

static bool drops(const struct change *ch) { return ch->drops || ch->ends; }
static bool only_drops(const struct change *ch) { return drops(ch) && !ch->roots && !ch->swaps && !ch->histories; }

/* Only drops, and not even the epoch before passes: it may be they that take nothing. Then they go without a barrier. */
static enum status drop_blocked(struct change *ch, struct err *err)
{
    drop_cancel(ch);
    if (!wait_for_epochs(ch, env_now_us(ch->rt->env) + CANCEL_US, err)) return ST_OK;
    commit(ch);
    drop_finish(ch, 0);
    return ST_DONE;
}

static enum status run_change(struct change *ch, int64_t until, struct err *err)
{
    struct touched *t = NULL;
    commit(ch);
    begin(ch, &t);
    enum status st = wait_for(ch->rt, t, until, err);
    if (st && ch->drops) {
        drop_cancel(ch); /* it may be they that take nothing */
        st = wait_for(ch->rt, t, env_now_us(ch->rt->env) + CANCEL_US, err);
    }
    swap_settle(ch);
    drop_finish(ch, until);
    for (struct root *r = ch->roots; r; r = r->next)
        if (r->sink) deliver_release(r->run_sink->deliver);
    return st;
}

/* The barrier does not pass: what is new is closed from its consumers on. A link that was not made yet is none. */
static void abandon(struct change *ch)
{
    struct runtime *rt = ch->rt;
    lock_take(&rt->lock);
    runtime_pause(rt);
    for (struct link_made *m = ch->made; m; m = m->next)
        if (!inst_is_linked(m->inst, m->link)) inst_withdraw(m->inst, m->link);
    for (struct root *r = ch->roots; r; r = r->next) {
        if (r->joins) outlet_unjoin(r->run_sink->outlet, r->run_sink->deliver);
        if (r->sink) {
            r->run_sink->detached = true;
            ack_drop_sink(r->run_sink->deliver);
            deliver_cancel(r->run_sink->deliver);
        } else {
            sub_let_go(r->made);
        }
    }
    for (struct run_outlet *o = ch->outlets; o; o = o->next) { /* the last of the runtime's list */
        o->detached = true;
        graph_detach(outlet_node(o->outlet), o->outlet, NULL, false);
        outlet_close(o->outlet);
    }
    runtime_resume(rt);
    lock_give(&rt->lock);
}

enum status change_apply(struct change *ch, int64_t timeout_us, bool *stands, struct err *err)
{
    struct runtime *rt = ch->rt;
    struct err local;
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(rt->env) + timeout_us;
    if (!err) err = &local;
    if (!turn_take(rt, timeout_us)) {
        change_free(ch);
        return err_set(err, E_TIMEOUT, "another change of the graph is still under way");
    }
    enum status st = prepare(ch, err);
    bool passed = !st && !(st = wait_for_epochs(ch, until, err));
    if (st == E_TIMEOUT && only_drops(ch)) passed = !(st = drop_blocked(ch, err));
    if (st == ST_DONE) {
        st = ST_OK;
    } else if (!passed) {
        undo(ch);
    } else {
        st = run_change(ch, until, err);
        bool kept = drops(ch) || ch->swaps;
        if (only_drops(ch)) st = ST_OK; /* they are gone all the same */
        if (st && !kept) abandon(ch);
        if (st && kept) err_hint(err, "the change stands, and takes effect when that goes on");
        if (stands) *stands = kept;
        for (struct root *r = ch->roots; r && !st; r = r->next)
            if (r->sub) *r->sub = r->made;
    }
    change_free(ch);
    turn_give(rt);
    return st;
}

void change_free(struct change *ch)
{
    if (!ch) return;
    for (struct root *r = ch->roots; r; r = r->next) keep_unref(r->keep);
    arena_free(ch->arena);
    mem_free(ch);
}
