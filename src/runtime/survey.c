/* Surveys: see survey.h. Taken under the graph's lock, with the workers running: what belongs to them is read only as far as it
 * is atomic or does not change while a node lives. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/survey.h"

#include "runtime/run_int.h"

/* ---- time ------------------------------------------------------------------------------------------------------------- */

static int64_t load(const _Atomic int64_t *v) { return atomic_load_explicit(v, memory_order_relaxed); }
static uint64_t loaded(const _Atomic uint64_t *v) { return atomic_load_explicit(v, memory_order_relaxed); }

/* Notes on each head what the calls of its chain took. */
static void note_chains(struct runtime *rt)
{
    for (struct node *n = rt->nodes; n; n = n->next)
        for (int i = 0; i < n->ninst; i++) n->inst[i]->chain_us = 0;
    for (struct node *n = rt->nodes; n; n = n->next)
        for (int i = 0; i < n->ninst; i++)
            if (n->inst[i]->head != n->inst[i]) n->inst[i]->head->chain_us += load(&n->inst[i]->counts.calls_us);
}

/* An instance's part of its chain's busy time, as the timed steps show it; the head has what is no other's. */
static int64_t busy_of(const struct inst *i)
{
    const struct inst *head = i->head;
    int64_t busy = meter_busy_us(&head->counts.meter), steps = load(&head->counts.steps_us);
    int64_t part = i == head ? steps - head->chain_us : load(&i->counts.calls_us);
    if (!steps) return i == head ? busy : 0;
    if (part < 0) part = 0;
    return (int64_t)((double)busy * (double)(part < steps ? part : steps) / (double)steps);
}

/* ---- operators ---------------------------------------------------------------------------------------------------------- */

static void add_queues(const struct inst *i, struct survey_node *s)
{
    for (struct edge *e = i->in; e; e = e->next) {
        s->queued += ring_fill(e->ring);
        s->queue_size += e->ring->room;
    }
}

static void add_inst(struct survey *v, struct inst *i, struct survey_node *s)
{
    const struct inst_counts *c = &i->counts;
    s->inst[s->ninst++] = (struct survey_inst){i->worker->index, c->born_us, busy_of(i),
                                               meter_blocked_us(&i->head->counts.meter, v->now_us)};
    s->rows_in += loaded(&c->rows_in);
    s->batches_in += loaded(&c->batches_in);
    s->bytes_in += loaded(&c->bytes_in);
    s->rows_out += loaded(&c->rows_out);
    s->batches_out += loaded(&c->batches_out);
    s->blocks += loaded(&c->meter.blocks);
    add_queues(i, s);
    if (!i->op) return;
    struct op_ctx *x = &i->op->ctx;
    s->late += loaded(&x->late);
    s->errors += loaded(&x->errors);
    s->state_bytes += load(&x->state_bytes);
    if (load(&x->window_end) < s->window_end) {
        s->window_end = load(&x->window_end);
        s->window_needs = load(&x->window_needs);
    }
    if (!s->late_example[0]) note_read(&x->late_example, s->late_example);
    if (!s->row_error[0]) note_read(&x->row_error, s->row_error);
}

/* The least watermark of its instances. One to which no exchange brings the others' may have nothing to do, and none. */
static int64_t watermark_of(const struct node *n)
{
    int64_t low = TS_MAX;
    for (int i = 0; i < n->ninst; i++) {
        int64_t wm = load(&n->inst[i]->wm_shown);
        if (wm < low && (wm != TS_MIN || n->alike)) low = wm;
    }
    return low == TS_MAX ? TS_MIN : low;
}

static const char *line_of(struct survey *v, const struct node *n)
{
    struct text line = {0};
    if (n->plan) {
        plan_explain_line(n->plan, &line);
    } else {
        text_printf(&line, "Source %s: ", n->name);
        for (int i = 0; i < n->schema->n; i++) text_printf(&line, "%s%s", i ? ", " : "", n->schema->fields[i].name);
    }
    const char *copy = arena_strndup(v->arena, line.p, line.n);
    text_done(&line);
    return copy;
}

static bool gives_at_end(const struct plan *p)
{
    if (!p) return false;
    if (p->kind == PLAN_SORT) return true;
    return p->kind == PLAN_AGG && (p->lag_us == LAG_END || (p->window == WINDOW_NONE && p->emit == EMIT_NONE));
}

static struct survey_node *add_node(struct survey *v, const struct node *n)
{
    struct survey_node *s = arena_alloc(v->arena, sizeof *s);
    struct component *c = component_of(n->component);
    s->node = n;
    s->name = arena_strdup(v->arena, n->name);
    s->line = line_of(v, n);
    s->kind = n->plan ? n->plan->kind : PLAN_SOURCE;
    s->stream_id = n->stream_id;
    s->owner = n->owner;
    s->narrows = n->pick;
    s->gone = n->gone;
    s->ended = node_ended(n);
    s->failed = atomic_load(&c->failed);
    s->paused = atomic_load(&c->paused);
    s->starved = atomic_load(&c->starved);
    if (s->failed) s->error = arena_strdup(v->arena, c->err.text);
    s->at_end = gives_at_end(n->plan);
    s->window_end = s->window_needs = TS_MAX;
    s->watermark = watermark_of(n);
    s->inst = arena_alloc(v->arena, sizeof *s->inst * (size_t)n->ninst);
    for (int i = 0; i < n->ninst; i++) add_inst(v, n->inst[i], s);
    return s;
}

/* ---- the rest of the graph ------------------------------------------------------------------------------------------------- */

static void add_source(struct survey *v, const struct run_reader *r, struct survey_node *scan)
{
    const struct object *o = reader_object(r->reader);
    struct survey_source *s = arena_alloc(v->arena, sizeof *s);
    s->reader = r->reader;
    s->id = r->source_id;
    s->name = arena_strdup(v->arena, o ? o->name : "values");
    s->pushed = reader_pushed(r->reader);
    reader_stats(r->reader, &s->stats);
    s->next = v->sources;
    v->sources = s;
    scan->source = s;
}

static void add_queue(struct edge *e, uint32_t *queued, uint32_t *size)
{
    *queued += ring_fill(e->ring);
    *size += e->ring->room;
}

static void add_sink(struct survey *v, const struct run_sink *r, struct survey_node *on, int ninst)
{
    struct survey_sink *s = arena_alloc(v->arena, sizeof *s);
    s->deliver = r->deliver;
    s->id = r->sink_id;
    s->name = arena_strdup(v->arena, deliver_object(r->deliver)->name);
    s->on = on;
    deliver_stats(r->deliver, &s->stats);
    log_stats(outlet_log(r->outlet), &s->log);
    histogram_copy(&s->latency, deliver_latency(r->deliver));
    for (int i = 0; i < ninst; i++) add_queue(outlet_edge(r->outlet, i), &s->queued, &s->queue_size);
    s->next = v->sinks;
    v->sinks = s;
}

static void add_sub(struct survey *v, const struct run_sub *r, struct survey_node *on, int ninst)
{
    struct survey_sub *s = arena_alloc(v->arena, sizeof *s);
    s->sub = r->sub;
    s->ended = node_ended(sub_node(r->sub));
    sub_stats(r->sub, &s->stats);
    s->on = on;
    for (int i = 0; i < ninst; i++) add_queue(sub_edge(r->sub, i), &s->queued, &s->queue_size);
    s->next = v->subs;
    v->subs = s;
}

static void add_history(struct survey *v, struct outlet *o, struct survey_node *on)
{
    struct survey_history *h = arena_alloc(v->arena, sizeof *h);
    h->on = on;
    h->bytes = outlet_keeps(o);
    log_stats(outlet_log(o), &h->log);
    h->any = log_epochs(outlet_log(o), UINT64_MAX, &h->oldest, &h->newest);
    h->next = v->histories;
    v->histories = h;
}

/* A node and its picture. */
struct pair {
    const struct node *node;
    struct survey_node *shown;
};

static struct survey_node *shown(const struct pair *pairs, int n, const struct node *of)
{
    for (int i = 0; i < n; i++)
        if (pairs[i].node == of) return pairs[i].shown;
    return NULL;
}

/* A stream's own node passes on what another gives: that one is shown, as the stream's. */
static const struct node *giver(const struct node *n)
{
    while (n->is_stream) n = n->in[0].from;
    return n;
}

static void name_stream(const struct node *n, struct survey_node *s)
{
    s->stream_id = n->stream_id;
    s->gone = n->gone;
}

static void take(struct survey *v, struct runtime *rt)
{
    struct survey_node **tail = &v->nodes;
    int n = 0;
    for (struct node *x = rt->nodes; x; x = x->next) n++;
    struct pair *pairs = arena_alloc(v->arena, sizeof *pairs * (size_t)(n + 1));
    n = 0;
    note_chains(rt);
    for (struct node *x = rt->nodes; x; x = x->next) {
        if (x->is_stream) continue;
        struct survey_node *s = *tail = add_node(v, x);
        tail = &s->next;
        pairs[n++] = (struct pair){x, s};
    }
    for (int i = 0; i < n; i++)
        for (int p = 0; p < pairs[i].node->nin; p++)
            pairs[i].shown->in[pairs[i].shown->nin++] = shown(pairs, n, giver(pairs[i].node->in[p].from));
    for (struct node *x = rt->nodes; x; x = x->next)
        if (x->is_stream) name_stream(x, shown(pairs, n, giver(x)));
    for (struct run_reader *r = rt->readers; r; r = r->next) add_source(v, r, shown(pairs, n, r->scan));
    for (struct run_sink *s = rt->sinks; s; s = s->next) {
        struct node *on = outlet_node(s->outlet);
        if (!s->detached) add_sink(v, s, shown(pairs, n, giver(on)), on->ninst);
    }
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (!s->detached && !sub_closed(s->sub)) add_sub(v, s, shown(pairs, n, giver(sub_node(s->sub))), sub_edges(s->sub));
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        if (!o->detached && outlet_keeps(o->outlet)) add_history(v, o->outlet, shown(pairs, n, giver(outlet_node(o->outlet))));
}

struct survey *survey_take(struct runtime *rt)
{
    struct arena *a = arena_new();
    struct survey *v = arena_alloc(a, sizeof *v);
    v->arena = a;
    v->workers = rt->nworkers;
    lock_take(&rt->lock);
    v->now_us = env_now_us(rt->env);
    v->wall_us = env_wall_us(rt->env);
    take(v, rt);
    lock_give(&rt->lock);
    return v;
}

void survey_free(struct survey *s)
{
    if (s) arena_free(s->arena);
}

struct survey_node *survey_stream(const struct survey *s, uint64_t stream_id)
{
    struct survey_node *found = NULL;
    for (struct survey_node *n = s->nodes; n; n = n->next)
        if (n->stream_id == stream_id && !n->gone && (!found || found->ended || !n->ended)) found = n;
    return found;
}

const struct survey_node *survey_node_then(const struct survey *then, const struct survey_node *n)
{
    const struct survey_node *x = then ? then->nodes : NULL;
    while (x && (x->node != n->node || x->inst[0].born_us != n->inst[0].born_us)) x = x->next;
    return x;
}

const struct survey_source *survey_source_then(const struct survey *then, const struct survey_source *s)
{
    const struct survey_source *x = then ? then->sources : NULL;
    while (x && (x->reader != s->reader || x->id != s->id)) x = x->next;
    return x;
}

const struct survey_sink *survey_sink_then(const struct survey *then, const struct survey_sink *s)
{
    const struct survey_sink *x = then ? then->sinks : NULL;
    while (x && (x->deliver != s->deliver || x->id != s->id)) x = x->next;
    return x;
}

static bool holds_back(const struct survey_source *a, const struct survey_source *b)
{
    bool a_out = a->stats.idle || a->stats.ended, b_out = b->stats.idle || b->stats.ended;
    return a_out != b_out ? !a_out : a->stats.watermark < b->stats.watermark;
}

const struct survey_source *survey_holder(const struct survey_node *n)
{
    const struct survey_source *least = n->source;
    for (int i = 0; i < n->nin; i++) {
        const struct survey_source *s = survey_holder(n->in[i]);
        if (s && (!least || holds_back(s, least))) least = s;
    }
    return least;
}

bool runtime_wait_us(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us)
{
    return runtime_wait(rt, fact, ctx, timeout_us);
}

void runtime_watch(struct runtime *rt, bool on) { atomic_fetch_add(&rt->watchers, on ? 1 : -1); }
