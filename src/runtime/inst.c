/* Instances: how one event (a batch, a watermark, idleness, a barrier, the end) goes through an operator and on to
 * its consumers.
 *
 * A chain is a run of instances that have one input channel each; a consumer in the chain is called, all others are
 * fed by rings. An instance takes one event at a time: it calls its operator, hands every output to every consumer, and
 * only then takes the next. A consumer in the chain that cannot finish (a ring below it is full) is remembered as
 * busy_child; a ring of its own without room leaves forward_link and forward_edge where they stand. Going on means
 * inst_run from the head: it descends into the busy child first, so a suspended chain resumes deepest first, and
 * nothing is called twice. While a chain is suspended its head takes no message.
 *
 * Invariants. An event is accepted only by an instance with nothing in hand. Outputs of a callback leave before the
 * operator is called again. A watermark leaves after all rows that precede it; a barrier after both.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#include <stdio.h>

struct pool *inst_pool(struct inst *i) { return i->worker->pool; }

struct inst *inst_new(struct node *n, struct worker *w, int index)
{
    struct inst *i = mem_zalloc(sizeof *i);
    i->node = n;
    i->worker = w;
    i->index = index;
    i->slot = -1;
    i->head = i;
    i->open_ports = n->nin ? n->nin : 1;
    i->wm_out = i->wm_sent = TS_MIN;
    atomic_init(&i->wm_shown, TS_MIN);
    for (int p = 0; p < OP_PORTS; p++) i->port_wm[p] = TS_MIN;
    i->counts.born_us = env_now_us(w->rt->env);
    return i;
}

static void op_drop(struct inst *i)
{
    if (!i->op) return;
    for (int o = 0; o < OP_OUTS; o++) batch_unref(i->op->ctx.out[o].b);
    i->op->class->close(i->op);
    state_free(i->op->ctx.state);
    mem_free(i->op);
    i->op = NULL;
}

void link_free(struct link *l)
{
    scatter_free(l->scatter);
    mem_free(l->edges); /* the edges are their consumers' */
    mem_free(l);
}

void inst_forget_changes(struct inst *i)
{
    for (struct link_change *c = i->made, *next; c; c = next) {
        next = c->next;
        if (c->remove) link_free(c->remove);
        mem_free(c);
    }
    i->made = NULL;
}

static void leave_refused(struct inst *i)
{
    struct inst **at = &i->worker->refused;
    while (*at && *at != i) at = &(*at)->next_refused;
    if (*at) *at = i->next_refused;
}

static void leave_dirty(struct inst *i)
{
    for (struct inst **at = &i->worker->dirty; *at; at = &(*at)->next_dirty)
        if (*at == i) {
            *at = i->next_dirty;
            return;
        }
}

void inst_free(struct inst *i)
{
    if (!i) return;
    if (i->dirty) leave_dirty(i);
    if (i->refused) leave_refused(i);
    batch_unref(i->input);
    batch_unref(i->arrived);
    batch_unref(i->forward_rows.b);
    for (struct edge *e = i->in, *next; e; e = next) {
        next = e->next;
        edge_free(e); /* its producer has gone before, or is gone with it */
    }
    for (struct link *l = i->links, *next; l; l = next) {
        next = l->next;
        link_free(l);
    }
    inst_forget_changes(i);
    op_drop(i);
    text_done(&i->image);
    mem_free(i);
}

enum status inst_open(struct inst *i, const struct text *images, int nimages, struct err *err)
{
    const struct operator_class *class = i->node->class;
    if (!class) return ST_OK;
    struct runtime *rt = i->worker->rt;
    struct op_ctx kept = {.wm_out = TS_MIN};
    if (i->op) kept = i->op->ctx;
    op_drop(i);
    struct op *op = mem_zalloc(class->size);
    op->class = class;
    struct op_ctx *c = &op->ctx;
    c->plan = i->node->plan;
    c->pool = inst_pool(i);
    c->state = state_new(i->node->account ? i->node->account : rt->account, rt->cfg.seed);
    c->seed = rt->cfg.seed;
    c->worker = i->worker->index;
    c->workers = rt->nworkers;
    c->on_error = i->node->on_error;
    c->batch_rows = rt->cfg.batch_rows;
    c->nports = i->node->nin;
    c->wm_out = kept.wm_out;
    atomic_store(&c->window_end, TS_MAX);
    atomic_store(&c->late, atomic_load(&kept.late));
    atomic_store(&c->errors, atomic_load(&kept.errors));
    note_write(&c->late_example, kept.late_example.text);
    note_write(&c->row_error, kept.row_error.text);
    for (int p = 0; p < OP_PORTS; p++) {
        c->wm[p] = i->port_wm[p];
        c->ended[p] = i->port_ended[p];
    }
    i->op = op;
    enum status st = class->open(op);
    if (state_holds(c->state)) atomic_store(&component_of(i->node->component)->stateful, true);
    int lo = 0, hi = KEY_GROUPS;
    if (i->node->ninst > 1) {
        while (group_worker(lo, rt->nworkers) < i->index) lo++;
        hi = lo;
        while (hi < KEY_GROUPS && group_worker(hi, rt->nworkers) == i->index) hi++;
    }
    for (int k = 0; !st && k < nimages; k++) st = state_load(c->state, images[k].p, images[k].n, lo, hi, &c->err);
    if (!st) st = class->start(op);
    if (st && err) *err = c->err;
    return st;
}

/* ---- events in ---------------------------------------------------------------------------------------------- */

static void fail(struct inst *i)
{
    component_fail(i->worker->rt, i->node->component, &i->op->ctx.err);
    i->done = i->cut = true;
    i->more = false;
}

/* What a call of the operator took, when this step's calls are timed. */
static int64_t call_begins(const struct inst *i) { return i->worker->timing ? env_now_us(i->worker->rt->env) : 0; }

static void call_ends(struct inst *i, int64_t from)
{
    if (i->worker->timing) meter_add(&i->counts.calls_us, env_now_us(i->worker->rt->env) - from);
}

static void after_call(struct inst *i, int64_t from, enum status st)
{
    call_ends(i, from);
    atomic_store_explicit(&i->op->ctx.state_bytes, state_bytes(i->op->ctx.state), memory_order_relaxed);
    if (st == ST_MORE)
        i->more = true;
    else if (st == ST_DONE)
        i->done = true;
    else if (st)
        fail(i);
}

static void begin_forward(struct inst *i, enum event e)
{
    i->forward = e;
    i->forward_link = i->links;
    i->forward_edge = 0;
}

/* A narrower view of a shared reader's rows. */
static struct rows pick(struct inst *i, const struct rows *r)
{
    const struct schema *s = i->node->schema;
    struct batch *b = batch_new(inst_pool(i), s->n);
    for (int c = 0; c < s->n; c++) b->cols[c] = r->b->cols[i->node->pick[c]];
    b->rows = r->b->rows;
    b->weight = r->b->weight;
    b->ts_min = r->b->ts_min;
    b->ts_max = r->b->ts_max;
    batch_pin(b, r->b);
    return (struct rows){b, r->sel, r->n};
}

/* Gives the operator the batch at hand. For want of memory it may refuse, with nothing changed but what it counted: then the
 * batch stays at hand. A query that nobody could give more fails instead. */
static void offer(struct inst *i)
{
    struct op_ctx *c = &i->op->ctx;
    uint64_t errors = atomic_load_explicit(&c->errors, memory_order_relaxed), late = atomic_load_explicit(&c->late, memory_order_relaxed);
    int64_t from = call_begins(i);
    enum status st = i->op->class->batch(i->op, i->offered_port, &i->offered);
    i->refused = st == E_NOMEM && i->node->whose;
    if (!i->refused) return after_call(i, from, st);
    call_ends(i, from);
    atomic_store_explicit(&c->errors, errors, memory_order_relaxed);
    atomic_store_explicit(&c->late, late, memory_order_relaxed);
    i->next_refused = i->worker->refused;
    i->worker->refused = i;
    component_starve(i->worker->rt, i->node->component, i->node->whose);
}

/* false: there is still none. */
static bool offer_again(struct inst *i)
{
    struct component *c = component_of(i->node->component);
    bool cancel = atomic_load(&c->cancel);
    if (!cancel && atomic_load(&c->starved)) return false;
    leave_refused(i);
    i->refused = false;
    i->cut |= cancel;
    if (!cancel) offer(i);
    return !i->refused;
}

static void accept_batch(struct inst *i, int port, const struct rows *r)
{
    i->port_idle[port] = false;
    i->idle_sent = false;
    if (i->finished || i->cut) return;
    meter_count(&i->counts.rows_in, r->n);
    meter_count(&i->counts.batches_in, 1);
    if (!i->op) {
        meter_count(&i->counts.rows_out, r->n);
        meter_count(&i->counts.batches_out, 1);
        i->forward_rows = i->node->pick ? pick(i, r) : (struct rows){batch_ref(r->b), r->sel, r->n};
        i->forward_out = OUT_MAIN;
        begin_forward(i, EVENT_BATCH);
        return;
    }
    i->input = batch_ref(r->b);
    i->offered = *r;
    i->offered_port = port;
    offer(i);
}

static void raise_watermark(struct inst *i, int port, int64_t wm)
{
    if (wm <= i->port_wm[port]) return;
    i->port_wm[port] = wm;
    i->wm_ports |= 1u << port;
}

static bool batch_arrived(struct inst *i)
{
    if (!i->arrived) return false;
    struct batch *b = TAKE(i->arrived);
    struct rows r = rows_all(b);
    accept_batch(i, i->arrived_port, &r);
    batch_unref(b);
    return true;
}

static void accept_watermark(struct inst *i, int port, int64_t wm)
{
    if (i->port_idle[port]) i->wm_ports |= 1u << port; /* among idle ones the minimum may be its own now */
    i->port_idle[port] = false;
    i->idle_sent = false;
    raise_watermark(i, port, wm);
}

static void accept_idle(struct inst *i, int port)
{
    if (i->port_idle[port]) return;
    i->port_idle[port] = true;
    i->wm_ports |= 1u << port; /* the minimum may rise without it */
}

static void accept_barrier(struct inst *i, uint64_t epoch, int kind)
{
    i->barrier_due = true;
    i->barrier_epoch = epoch;
    i->barrier_kind = kind & ~BARRIER_IDLE;
}

static void accept_end(struct inst *i, int port, int kind)
{
    if (i->port_ended[port]) return;
    i->port_ended[port] = true;
    if (kind == END_FLUSH) i->port_idle[port] = false;
    if (kind == END_CUT) i->cut = true;
    if (kind == END_HOLD) i->held = true;
    if (kind == END_FLUSH) i->port_wm[port] = TS_MAX;
    i->wm_ports |= 1u << port;
    if (--i->open_ports == 0) i->end_due = true;
}

/* ---- events out ----------------------------------------------------------------------------------------------- */

/* Sends the event at hand over one edge. false: no room. */
static bool send_edge(struct inst *i, struct edge *e)
{
    switch (i->forward) {
    case EVENT_BATCH: {
        struct rows *r = &i->forward_rows;
        if (r->sel) {
            struct batch *dense = rows_dense(inst_pool(i), i->node->schema, r);
            batch_unref(r->b);
            *r = rows_all(dense);
        }
        batch_ref(r->b);
        if (edge_push(e, r->b)) return true;
        batch_unref(r->b);
        return false;
    }
    case EVENT_WATERMARK:
        if (!edge_flush_builder(e)) return false;
        edge_watermark(e, i->forward_ts);
        return true;
    case EVENT_IDLE:
        if (!edge_flush_builder(e)) return false;
        edge_idle(e);
        return true;
    case EVENT_BARRIER:
        if (!edge_flush_builder(e)) return false;
        edge_barrier(e, i->forward_epoch, i->barrier_kind);
        return true;
    case EVENT_END:
        if (i->forward_kind == END_CUT) {
            batch_unref(e->builder);
            e->builder = NULL;
        }
        if (!edge_flush_builder(e)) return false;
        edge_end(e, i->forward_kind);
        return true;
    case EVENT_NONE: break;
    }
    return true;
}

static void mark_dirty(struct inst *i)
{
    if (i->dirty) return;
    i->dirty = true;
    i->next_dirty = i->worker->dirty;
    i->worker->dirty = i;
}

static bool send_link(struct inst *i, struct link *l)
{
    int n = l->first_only && i->forward == EVENT_BATCH ? 1 : l->nedges;
    if (l->scatter && i->forward == EVENT_BATCH) {
        int64_t from = call_begins(i);
        bool all = scatter_rows(l->scatter, l, &i->forward_rows);
        call_ends(i, from);
        if (!all) return false;
        mark_dirty(i);
        return true;
    }
    for (; i->forward_edge < n; i->forward_edge++)
        if (!send_edge(i, l->edges[i->forward_edge])) return false;
    return true;
}

static void call_child(struct inst *i, struct link *l)
{
    switch (i->forward) {
    case EVENT_BATCH: accept_batch(l->child, l->port, &i->forward_rows); break;
    case EVENT_WATERMARK: accept_watermark(l->child, l->port, i->forward_ts); break;
    case EVENT_IDLE: accept_idle(l->child, l->port); break;
    case EVENT_BARRIER: accept_barrier(l->child, i->forward_epoch, i->barrier_kind); break;
    case EVENT_END: accept_end(l->child, l->port, i->forward_kind); break;
    case EVENT_NONE: break;
    }
}

/* Hands the event at hand to the next consumers. true: to all of them. */
static bool forward(struct inst *i)
{
    while (i->forward_link) {
        struct link *l = i->forward_link;
        /* The end reaches those as well who want no more rows: they let go of what is inside until it comes. */
        bool wanted = (!l->closed || (i->forward == EVENT_END && !l->child)) &&
                      (i->forward != EVENT_BATCH || l->out == i->forward_out);
        if (wanted && l->child) {
            i->forward_link = l->next;
            i->forward_edge = 0;
            i->busy_child = l->child;
            call_child(i, l);
            return false;
        }
        if (wanted && !send_link(i, l)) return false;
        i->forward_link = l->next;
        i->forward_edge = 0;
    }
    if (i->forward == EVENT_BATCH) {
        batch_unref(i->forward_rows.b);
        i->forward_rows.b = NULL;
    }
    i->forward = EVENT_NONE;
    return true;
}

/* Takes the next output of the operator's last call as the event to forward. */
static bool take_output(struct inst *i)
{
    if (!i->op) return false;
    struct op_ctx *c = &i->op->ctx;
    for (int o = 0; o < OP_OUTS; o++) {
        struct rows r = c->out[o];
        if (!r.b) continue;
        c->out[o].b = NULL;
        if (!r.n || i->cut) {
            batch_unref(r.b);
            continue;
        }
        meter_count(&i->counts.rows_out, r.n);
        meter_count(&i->counts.batches_out, 1);
        i->forward_rows = r;
        i->forward_out = o;
        begin_forward(i, EVENT_BATCH);
        return true;
    }
    return false;
}

/* ---- what is due --------------------------------------------------------------------------------------------------- */

/* The minimum over ports that are not idle, or over all when all are: what each has said holds. */
static int64_t ports_minimum(const struct inst *i, bool *all_idle)
{
    int64_t low = TS_MAX, low_of_all = TS_MAX;
    bool any_idle = false, awake = false;
    int n = i->node->nin ? i->node->nin : 1;
    for (int p = 0; p < n; p++) {
        any_idle |= i->port_idle[p];
        if (i->port_wm[p] < low_of_all) low_of_all = i->port_wm[p];
        if (i->port_idle[p] || (i->port_ended[p] && i->port_wm[p] == TS_MAX)) continue;
        awake = true;
        if (i->port_wm[p] < low) low = i->port_wm[p];
    }
    *all_idle = !awake && any_idle;
    return awake ? low : low_of_all;
}

static bool watermark_due(struct inst *i)
{
    if (!i->wm_ports) return false;
    int port = __builtin_ctz(i->wm_ports);
    i->wm_ports &= i->wm_ports - 1;
    bool all_idle;
    int64_t low = ports_minimum(i, &all_idle);
    if (i->cut || i->finished) return true;
    if (!i->op) {
        if (low > i->wm_out) i->wm_out = low;
    } else {
        struct op_ctx *c = &i->op->ctx;
        c->wm[port] = i->port_wm[port];
        c->ended[port] = i->port_ended[port];
        if (low > c->wm_out) c->wm_out = low;
        int64_t from = call_begins(i);
        after_call(i, from, i->op->class->watermark(i->op, port));
    }
    return true;
}

/* The last watermark is the END itself: sent before it, a consumer whose other channels are idle would close what they hold. */
static bool say_watermark(struct inst *i)
{
    int64_t wm = i->op ? i->op->ctx.wm_out : i->wm_out;
    if (wm <= i->wm_sent || wm == TS_MAX || i->cut) return false;
    i->wm_sent = i->forward_ts = wm;
    atomic_store_explicit(&i->wm_shown, wm, memory_order_relaxed);
    begin_forward(i, EVENT_WATERMARK);
    return true;
}

static bool say_idle(struct inst *i)
{
    bool all_idle;
    ports_minimum(i, &all_idle);
    if (!all_idle || i->idle_sent) return false;
    i->idle_sent = true;
    begin_forward(i, EVENT_IDLE);
    return true;
}

static bool run(struct inst *i);

static void take_link(struct inst *i, struct link *l)
{
    struct link **p = &i->links;
    while (*p && *p != l) p = &(*p)->next;
    if (*p) *p = l->next;
}

/* It is called no more: from now on its rings feed it. */
static void stand_alone(struct inst *i)
{
    struct waker w = worker_waker(i->worker, i->slot);
    i->driver = NULL;
    waker_wake(&w);
}

/* Gives a consumer alone its end, which always finds room. false: it was called, and is not through with it. */
static bool end_link(struct link *l, int kind)
{
    if (l->child && kind == END_MOVED) return stand_alone(l->child), true;
    for (int k = 0; k < l->nedges; k++) {
        batch_unref(l->edges[k]->builder);
        l->edges[k]->builder = NULL;
        edge_end(l->edges[k], kind);
    }
    if (!l->child) return true;
    accept_end(l->child, l->port, kind);
    return run(l->child);
}

static void add_link(struct inst *i, struct link *l)
{
    struct link **p = &i->links;
    while (*p) p = &(*p)->next;
    *p = l;
}

/* A new consumer is to know where the stream stands: it may be long until the next watermark, and who is idle says so once. */
static void tell_new(struct inst *i, struct link *l)
{
    for (int k = 0; k < l->nedges; k++) {
        edge_watermark(l->edges[k], i->wm_sent);
        if (i->idle_sent) edge_idle(l->edges[k]);
    }
    if (!l->child) return;
    accept_watermark(l->child, l->port, i->wm_sent);
    if (i->idle_sent) accept_idle(l->child, l->port);
}

/* Makes one of the link changes as the CHANGE barrier passes: what came before it went to the old consumers, what follows goes to
 * the new ones, whose first message is this barrier. When the end comes before that barrier, old and new get it alike; but who
 * is to move lives on behind its new input. */
static bool make_change(struct inst *i)
{
    struct link_change *c = i->changes;
    if (!c) return false;
    i->changes = c->next;
    c->next = i->made;
    i->made = c;
    if (i->ended && c->remove && !c->remove->moves) c->remove = NULL;
    if (c->remove) {
        take_link(i, c->remove);
        if (!end_link(c->remove, c->remove->moves ? END_MOVED : END_HOLD)) i->busy_child = c->remove->child;
    }
    if (c->add) {
        add_link(i, c->add);
        if (!i->ended) tell_new(i, c->add);
    }
    return true;
}

/* What consumers that leave at the barrier are still to get. false: no room. */
static bool flush_leaving(struct inst *i)
{
    bool all = true;
    for (struct link_change *c = i->changes; c; c = c->next)
        for (int k = 0; c->remove && k < c->remove->nedges; k++) all &= edge_flush_builder(c->remove->edges[k]);
    return all;
}

static bool barrier_due(struct inst *i)
{
    if (!i->barrier_due) return false;
    if ((i->barrier_kind & BARRIER_CHANGE) && make_change(i)) return true;
    i->barrier_due = false;
    if ((i->barrier_kind & BARRIER_FREEZE) && i->op) {
        text_clear(&i->image);
        state_save(i->op->ctx.state, &i->image);
    }
    i->forward_epoch = i->barrier_epoch;
    begin_forward(i, EVENT_BARRIER);
    answer_epoch(i->worker->rt, i->node->component, &i->answer, i->barrier_epoch);
    return true;
}

static void close_inputs(struct inst *i)
{
    for (struct edge *e = i->in; e; e = e->next)
        if (!e->drop && !e->ended) edge_close(e);
}

/* Gives END once; afterwards the instance is finished: what still comes in is let go. */
static bool end_due(struct inst *i)
{
    if (i->ended || (!i->done && !i->end_due)) return false;
    i->forward_kind = i->cut ? END_CUT : i->held && !i->done ? END_HOLD : END_FLUSH;
    i->ended = i->finished = true;
    while (make_change(i)) {} /* no barrier comes any more: new consumers get the end as well */
    begin_forward(i, EVENT_END);
    return true;
}

#define MORE_CALLS 32 /* of `more` in one step; then others have their turn */

/* One instance and, through busy_child, what it called. true: nothing in hand. */
static bool run(struct inst *i)
{
    for (;;) {
        if (i->busy_child) {
            if (!run(i->busy_child)) return false;
            i->busy_child = NULL;
        }
        if (i->forward != EVENT_NONE && !forward(i)) {
            if (i->busy_child) continue;
            return false;
        }
        if (i->refused && !offer_again(i)) return false;
        if (take_output(i)) continue;
        if (i->more) {
            if (++i->worker->calls > MORE_CALLS) return false;
            i->more = false;
            int64_t from = call_begins(i);
            if (!i->cut && !i->done) after_call(i, from, i->op->class->more(i->op));
            continue;
        }
        batch_unref(i->input);
        i->input = NULL;
        if (i->done && end_due(i)) continue;
        if (i->ended) {
            if (!atomic_load_explicit(&i->answer.ended, memory_order_relaxed)) {
                close_inputs(i);
                answer_end(i->worker->rt, i->node->component, &i->answer);
            }
            if (i->barrier_due) i->barrier_due = false;
            batch_unref(TAKE(i->arrived));
            i->wm_ports = 0;
            return true;
        }
        if (watermark_due(i)) continue;
        if (say_watermark(i)) continue;
        if (say_idle(i)) continue;
        if (batch_arrived(i)) continue; /* after the watermark of a channel that wakes with it */
        if (i->barrier_due && (i->barrier_kind & BARRIER_CHANGE) && !flush_leaving(i)) return false;
        if (barrier_due(i)) continue;
        if (end_due(i)) continue;
        return true;
    }
}

/* ---- the head of a chain -------------------------------------------------------------------------------------------- */

/* Port watermark and idleness from its channels: the minimum of those that are not idle; a channel that ended with
 * FLUSH is left out, one that ended otherwise keeps its watermark. An idle channel whose siblings hear the same as its
 * producer is late rather than idle while one of them is awake: what ended its silence is still on its way to it, and it may
 * hold rows older than the others' watermark. */
static void channels_to_port(struct inst *i, int port)
{
    int64_t low = TS_MAX, low_of_all = TS_MAX;
    bool awake = false;
    for (struct edge *e = i->in; e; e = e->next) {
        if (e->port != port || (e->ended && (e->end_kind == END_FLUSH || e->end_kind == END_MOVED))) continue;
        awake |= !e->idle;
        if (e->wm < low_of_all) low_of_all = e->wm;
        if ((!e->idle || e->alike) && e->wm < low) low = e->wm;
    }
    if (awake) {
        accept_watermark(i, port, low);
    } else {
        raise_watermark(i, port, low_of_all);
        accept_idle(i, port);
    }
}

static void end_channel(struct inst *i, struct edge *e, int kind)
{
    e->ended = true;
    e->end_kind = kind;
    if (kind == END_FLUSH) e->wm = TS_MAX; /* held ones keep their watermark, or their idleness */
    if (kind == END_CUT) i->cut = true;
    bool all = true, all_flush = true;
    for (struct edge *x = i->in; x; x = x->next) {
        if (x->port != e->port || (x->ended && x->end_kind == END_MOVED)) continue;
        all &= x->ended;
        all_flush &= x->end_kind == END_FLUSH;
    }
    if (!all || !all_flush) channels_to_port(i, e->port); /* an END may bring the last watermark with it */
    if (all) accept_end(i, e->port, i->cut ? END_CUT : all_flush ? END_FLUSH : END_HOLD);
}

static void align(struct inst *i)
{
    uint64_t epoch = 0;
    int kind = 0;
    for (struct edge *e = i->in; e; e = e->next) {
        if (e->ended) continue;
        if (!e->barrier) return;
        INVARIANT(!epoch || epoch == e->barrier);
        epoch = e->barrier;
        kind = e->barrier_kind;
    }
    if (!epoch) return;
    for (struct edge *e = i->in; e; e = e->next) e->barrier = 0;
    accept_barrier(i, epoch, kind);
}

static void take_message(struct inst *i, struct edge *e, struct msg m)
{
    switch (msg_tag(m)) {
    case MSG_BATCH: {
        bool was_idle = e->idle;
        e->idle = false;
        if (was_idle) channels_to_port(i, e->port);
        i->arrived = m.batch;
        i->arrived_port = e->port;
        meter_count(&i->counts.bytes_in, i->arrived->bytes_held);
        break;
    }
    case MSG_WATERMARK:
        e->idle = false;
        if (m.ts > e->wm) e->wm = m.ts;
        channels_to_port(i, e->port);
        break;
    case MSG_IDLE:
        e->idle = true;
        channels_to_port(i, e->port);
        break;
    case MSG_BARRIER:
        if (m.ts != TS_MIN && m.ts > e->wm) e->wm = m.ts;
        if (msg_kind(m) & BARRIER_IDLE) e->idle = true;
        channels_to_port(i, e->port);
        e->barrier = msg_epoch(m);
        e->barrier_kind = msg_kind(m);
        align(i);
        break;
    case MSG_END:
        if (m.ts != TS_MIN && m.ts > e->wm) e->wm = m.ts;
        end_channel(i, e, msg_kind(m));
        align(i);
        break;
    }
}

/* Takes one message from the next channel that may be read. */
static bool take_next(struct inst *i)
{
    struct edge *first = i->turn ? i->turn : i->in, *e = first;
    if (!e) return false;
    do {
        struct msg m;
        if (!e->barrier && !e->ended && edge_pop(e, &m)) {
            i->turn = e->next;
            take_message(i, e, m);
            return true;
        }
        e = e->next ? e->next : i->in;
    } while (e != first);
    return false;
}

/* An end that no event brought: all consumers are done, or one came after the end. */
static bool has_end_to_give(const struct inst *i)
{
    return i->ended ? i->forward == EVENT_END : i->done;
}

static bool has_new_consumers(const struct inst *i)
{
    const struct link_change *c = i->changes;
    while (c && !c->add) c = c->next;
    return c;
}

/* Gives out what waited for room and notes consumers that want no more, along the chain. */
static void look_after_links(struct inst *i)
{
    bool all_closed = i->links != NULL;
    for (struct link *l = i->links; l; l = l->next) {
        if (l->child) {
            look_after_links(l->child);
            if (has_end_to_give(l->child) && i->busy_child != l->child) run(l->child);
            if (l->child->finished && !l->child->busy_child && l->child->forward == EVENT_NONE) l->closed = true;
        } else if (!l->closed) {
            bool closed = true;
            for (int k = 0; k < l->nedges; k++) {
                edge_retry(l->edges[k]);
                closed &= edge_closed(l->edges[k]);
            }
            l->closed = closed;
        }
        all_closed &= l->closed;
    }
    if (all_closed && !i->finished && !has_new_consumers(i)) i->done = true;
}

bool inst_is_stuck(const struct inst *i) { return i->busy_child || i->forward != EVENT_NONE || i->refused; }

static void drain_finished(struct inst *i)
{
    for (struct edge *e = i->in; e; e = e->next)
        if (e->drop) edge_drain(e);
}

bool inst_step(struct inst *i)
{
    i->worker->calls = 0;
    look_after_links(i);
    if (!run(i)) return i->worker->calls > MORE_CALLS;
    if (i->finished) {
        drain_finished(i);
        return false;
    }
    if (!take_next(i)) return false;
    run(i);
    return true;
}

/* ---- what control does while workers are paused ------------------------------------------------------------------- */

bool inst_is_linked(const struct inst *i, const struct link *l)
{
    const struct link *x = i->links;
    while (x && x != l) x = x->next;
    return x;
}

void inst_change(struct inst *i, struct link *add, struct link *remove)
{
    if (!i->ended) {
        struct link_change *c = mem_zalloc(sizeof *c), **last = &i->changes;
        *c = (struct link_change){NULL, add, remove};
        while (*last) last = &(*last)->next;
        *last = c;
    } else if (add) {
        add_link(i, add);
        if (i->forward == EVENT_NONE) {
            i->forward = EVENT_END;
            i->forward_link = add;
            i->forward_edge = 0;
        }
        struct waker w = worker_waker(i->worker, i->head->slot);
        waker_wake(&w);
    }
}

void inst_take_off(struct inst *i, struct edge *e)
{
    struct edge **at = &i->in;
    while (*at && *at != e) at = &(*at)->next;
    if (*at) *at = e->next;
    if (i->turn == e) i->turn = NULL;
}

void inst_forget_moved(struct inst *i)
{
    for (struct edge *e = i->in, *next; e; e = next) {
        next = e->next;
        if (!e->ended || e->end_kind != END_MOVED) continue;
        inst_take_off(i, e);
        edge_free(e);
    }
}

void inst_withdraw(struct inst *i, struct link *l)
{
    bool pending = false;
    for (struct link_change **at = &i->changes, *c; (c = *at);) {
        if (c->add != l && c->remove != l) {
            at = &c->next;
            continue;
        }
        pending |= c->add == l;
        *at = c->next;
        mem_free(c);
    }
    if (pending) {
        end_link(l, END_CUT);
    } else {
        if (i->forward_link == l) {
            i->forward_link = l->next;
            i->forward_edge = 0;
        }
        take_link(i, l);
    }
    link_free(l);
}

void inst_flush_builders(struct inst *i)
{
    for (struct link *l = i->links; l; l = l->next)
        if (l->scatter)
            for (int k = 0; k < l->nedges; k++) edge_flush_builder(l->edges[k]);
}
