/* The runtime: workers, hosts, epochs, waiting, and what db asks of the running graph.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime.h"

#include "runtime/run_int.h"

#include <stdarg.h>
#include <stdio.h>

#define DRIVE_US 1000     /* of a driver's steps between looks at what is waited for */

void runtime_log(struct runtime *rt, int level, const char *fmt, ...)
{
    if (!rt->cfg.log) return;
    char line[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    rt->cfg.log(rt->cfg.log_ctx, level, line);
}

enum status runtime_new(const struct run_config *cfg, struct runtime **out, struct err *err)
{
    struct runtime *rt = mem_aligned(64, sizeof *rt);
    memset(rt, 0, sizeof *rt);
    rt->cfg = *cfg;
    rt->env = cfg->env;
    rt->account = cfg->account;
    rt->nworkers = cfg->workers;
    lock_init(&rt->lock);
    lock_init(&rt->letter_lock);
    rt->workers = mem_zalloc(sizeof *rt->workers * (size_t)rt->nworkers);
    for (int i = 0; i < rt->nworkers; i++) rt->workers[i] = worker_new(rt, i);
    enum status st = ST_OK;
    if (!cfg->threads) {
        st = host_driver(rt->env, cfg->shuffle, &rt->control, &rt->driver, err);
        for (int i = 0; !st && i < rt->nworkers; i++) host_add(rt->driver, &rt->workers[i]->task);
    }
    *out = rt;
    return st;
}

static void stop_threads(struct runtime *rt)
{
    host_free(rt->callbacks);
    rt->callbacks = NULL;
    for (int i = 0; i < rt->nworkers; i++) {
        host_free(rt->workers[i]->host);
        rt->workers[i]->host = NULL;
    }
    host_free(atomic_exchange(&rt->io, NULL));
}

/* Threads start with the first task that needs one: opening a database starts none. */
static enum status start_threads(struct runtime *rt, struct err *err)
{
    if (rt->driver || atomic_load(&rt->io)) return ST_OK;
    struct host *io = NULL;
    enum status st = host_thread(rt->env, "lam-io", true, &rt->control, &io, err);
    for (int i = 0; !st && i < rt->nworkers; i++) {
        char name[24];
        snprintf(name, sizeof name, "lam-worker-%hu", (unsigned short)i);
        st = host_thread(rt->env, name, false, &rt->control, &rt->workers[i]->host, err);
        if (!st) host_add(rt->workers[i]->host, &rt->workers[i]->task);
    }
    atomic_store(&rt->io, io);
    if (st) stop_threads(rt);
    return st;
}

enum status runtime_host(struct runtime *rt, const char *name, bool blocking, struct host **own, struct host **out,
                         struct err *err)
{
    TRY(start_threads(rt, err));
    if (!blocking) return *out = rt->driver ? rt->driver : rt->io, ST_OK;
    if (rt->driver)
        return err_set(err, E_MISUSE, "a connector that blocks cannot run without threads (threads = 0)");
    TRY(host_thread(rt->env, name, true, &rt->control, own, err));
    *out = *own;
    return ST_OK;
}

/* Subscribers' code may take its time, so it has a thread of its own. With the turn. */
enum status runtime_callback_host(struct runtime *rt, struct host **out, struct err *err)
{
    if (rt->driver) return *out = rt->driver, ST_OK;
    if (!rt->callbacks) TRY(host_thread(rt->env, "lam-callback", false, &rt->control, &rt->callbacks, err));
    *out = rt->callbacks;
    return ST_OK;
}

static bool wait_driving(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t until, bool to_the_end)
{
    if (runtime_calling(rt)) return fact(ctx); /* a step cannot wait for another */
    for (;;) {
        int64_t wake_us;
        if (fact(ctx)) return true;
        if (!to_the_end && atomic_load(&rt->closing)) return false;
        if (driver_run(rt->driver, DRIVE_US, &wake_us)) {
            if (env_now_us(rt->env) >= until) return fact(ctx);
            continue;
        }
        if (fact(ctx)) return true;
        if (!driver_park(rt->driver, until)) return false;
    }
}

/* to_the_end: closing does not interrupt it. */
static bool wait_until(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us, bool to_the_end)
{
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(rt->env) + timeout_us;
    if (rt->driver) return wait_driving(rt, fact, ctx, until, to_the_end);
    for (;;) {
        uint32_t seen = bell_count(&rt->control);
        if (fact(ctx)) return true;
        if (!to_the_end && atomic_load(&rt->closing)) return false;
        int64_t now = env_now_us(rt->env);
        if (now >= until) return false;
        bell_wait(&rt->control, seen, timeout_us < 0 ? -1 : until - now);
    }
}

bool runtime_wait(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us)
{
    return wait_until(rt, fact, ctx, timeout_us, false);
}

bool runtime_wait_for(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us)
{
    return wait_until(rt, fact, ctx, timeout_us, true);
}

static bool turn_is_mine(void *ctx) { return !atomic_exchange(&((struct runtime *)ctx)->turn, true); }

bool turn_take(struct runtime *rt, int64_t timeout_us) { return runtime_wait(rt, turn_is_mine, rt, timeout_us); }

static void sweep(struct runtime *rt);

/* Who wants a sweep while another has the turn says so first and tries the turn then; this one gives the turn first and looks
 * then, so one of them sweeps. */
void turn_give(struct runtime *rt)
{
    do {
        atomic_store(&rt->unswept, false);
        sweep(rt);
        atomic_store(&rt->turn, false);
        bell_ring(&rt->control);
    } while (atomic_load(&rt->unswept) && turn_is_mine(rt));
}

static enum status no_turn(struct err *err)
{
    return err_set(err, E_TIMEOUT, "another change of the graph, or a barrier, is still under way");
}

int64_t time_left(struct runtime *rt, int64_t until)
{
    if (until == INT64_MAX) return -1;
    int64_t now = env_now_us(rt->env);
    return until > now ? until - now : 0;
}

/* ---- epochs ---------------------------------------------------------------------------------------------------------- */

static bool in_component(struct component *of, struct component *c) { return component_of(of) == c; }

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
    if (!turn_take(rt, timeout_us)) return no_turn(err);
    enum status st = epoch_all(rt, BARRIER_DRAIN, timeout_us, err);
    turn_give(rt);
    return st;
}

enum status runtime_checkpoint(struct runtime *rt, int64_t timeout_us, uint64_t *epoch, struct err *err)
{
    if (!turn_take(rt, timeout_us)) return no_turn(err);
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

/* ---- pausing the workers -------------------------------------------------------------------------------------------- */

static bool all_paused(void *ctx)
{
    struct runtime *rt = ctx;
    for (int i = 0; i < rt->nworkers; i++)
        if (!atomic_load(&rt->workers[i]->paused)) return false;
    return true;
}

void runtime_pause(struct runtime *rt)
{
    if (rt->driver) driver_hold(rt->driver);
    atomic_fetch_add(&rt->pauses, 1);
    if (!atomic_load(&rt->io)) return; /* workers that start now pause at once */
    for (int i = 0; i < rt->nworkers; i++) atomic_store(&rt->workers[i]->paused, false);
    for (int i = 0; i < rt->nworkers; i++) task_wake(&rt->workers[i]->task);
    wait_until(rt, all_paused, rt, -1, true);
}

void runtime_resume(struct runtime *rt)
{
    if (rt->driver) driver_let(rt->driver);
    if (atomic_fetch_sub(&rt->pauses, 1) != 1 || !atomic_load(&rt->io)) return;
    for (int i = 0; i < rt->nworkers; i++) task_wake(&rt->workers[i]->task);
}

/* ---- restart ----------------------------------------------------------------------------------------------------------- */

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
    if (!turn_take(rt, timeout_us)) return no_turn(err);
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

/* ---- ends ---------------------------------------------------------------------------------------------------------------- */

/* Nothing will come of it by itself any more. */
static bool is_through(struct run_sink *s) { return deliver_done(s->deliver) || deliver_blocked(s->deliver); }

/* With the lock: of each component, whether something in it has still to end, and whether it is kept all the same. */
static void take_stock(struct runtime *rt)
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
        if (!s->detached && !is_through(s)) component_of(outlet_node(s->outlet)->component)->busy = true;
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (!sub_closed(s->sub) || !sub_idle(s->sub)) component_of(sub_node(s->sub)->component)->kept = true;
}

/* After take_stock. */
static bool can_free(const struct component *c) { return !atomic_load(&c->joined) && !c->busy && !c->kept; }

static bool any_busy(struct runtime *rt)
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
static void free_component(struct runtime *rt, struct component *c)
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
    take_stock(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (can_free(c)) return true;
    return false;
}

static void free_all(struct runtime *rt)
{
    runtime_pause(rt);
    free_gone(rt);
    take_stock(rt);
    for (struct component *c = rt->components, *next; c; c = next) {
        next = c->next;
        if (!can_free(c)) continue;
        free_component(rt, c);
        free_joined(rt, c);
        next = rt->components; /* the list changed */
    }
    runtime_resume(rt);
}

static void sweep(struct runtime *rt)
{
    lock_take(&rt->lock);
    if (anything_to_free(rt)) free_all(rt);
    lock_give(&rt->lock);
}

void runtime_sweep(struct runtime *rt)
{
    atomic_store(&rt->unswept, true);
    if (turn_is_mine(rt)) turn_give(rt); /* else who has it sweeps */
}

void runtime_sweep_now(struct runtime *rt, int64_t timeout_us)
{
    if (turn_take(rt, timeout_us)) turn_give(rt);
}

struct waiting {
    struct runtime *rt;
    _Atomic bool *cancel;
    struct err *err;
    enum status st;
};

/* BLOCKED sinks whose logs are full hold their streams: nothing comes of those by itself. */
static void leave_out_held(struct runtime *rt)
{
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (!s->detached && deliver_blocked(s->deliver) && outlet_waits(s->outlet))
            component_of(outlet_node(s->outlet)->component)->busy = false;
}

static bool anyone_takes_rows(struct runtime *rt)
{
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (!sub_closed(s->sub)) return true;
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (!s->detached && !is_through(s)) return true;
    return false;
}

static struct run_sink *broken_sink(struct runtime *rt, struct err *err)
{
    struct run_sink *s = rt->sinks;
    while (s && (s->detached || !deliver_broken(s->deliver, err))) s = s->next;
    return s;
}

/* All done, something failed, or the caller was canceled. A sink's error is told when the others have come to their end. */
static bool done_locked(struct waiting *w)
{
    struct runtime *rt = w->rt;
    w->st = ST_OK;
    if (w->cancel && atomic_load(w->cancel)) return w->st = err_set(w->err, E_CANCELED, "canceled"), true;
    take_stock(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (atomic_load(&c->failed) && !component_of(c)->busy) {
            if (w->err) *w->err = c->err;
            return w->st = c->err.code, true;
        }
    letters_end(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (!atomic_load(&c->joined) && atomic_load(&c->starved)) return w->st = component_hunger(c, w->err), true;
    if (!broken_sink(rt, w->err)) return !any_busy(rt);
    leave_out_held(rt);
    w->st = w->err->code;
    return !any_busy(rt) || !anyone_takes_rows(rt);
}

static bool done_fact(void *ctx)
{
    struct waiting *w = ctx;
    lock_take(&w->rt->lock);
    bool done = done_locked(w);
    lock_give(&w->rt->lock);
    return done;
}

enum status runtime_wait_done(struct runtime *rt, int64_t timeout_us, _Atomic bool *cancel, struct err *err)
{
    struct err local;
    struct waiting w = {rt, cancel, err ? err : &local, ST_OK};
    if (!runtime_wait(rt, done_fact, &w, timeout_us)) return err_set(err, E_TIMEOUT, "sources are still running");
    return w.st;
}

static bool reads_object(const struct node *n, uint64_t id)
{
    if (n->stream_id == id || (n->reader && reader_object(n->reader) && reader_object(n->reader)->id == id)) return true;
    for (int p = 0; p < n->nin; p++)
        if (reads_object(n->in[p].from, id)) return true;
    return false;
}

bool runtime_subscribed(struct runtime *rt, uint64_t id)
{
    bool found = false;
    lock_take(&rt->lock);
    for (struct run_sub *s = rt->subs; s && !found; s = s->next) found = !sub_closed(s->sub) && reads_object(sub_node(s->sub), id);
    lock_give(&rt->lock);
    return found;
}

static struct run_sink *find_sink(struct runtime *rt, uint64_t id)
{
    struct run_sink *s = rt->sinks;
    while (s && (s->sink_id != id || s->detached)) s = s->next;
    return s;
}

enum status runtime_alter_sink(struct runtime *rt, uint64_t object_id, enum sink_command what, const struct options *set,
                               int64_t timeout_us, struct err *err)
{
    lock_take(&rt->lock);
    struct run_sink *s = find_sink(rt, object_id);
    lock_give(&rt->lock);
    if (!s) return err_set(err, E_MISUSE, "the sink does not run");
    return deliver_command(s->deliver, what, set, timeout_us, err);
}

bool runtime_holds(struct runtime *rt, uint64_t id)
{
    bool held = false;
    lock_take(&rt->lock);
    for (struct node *n = rt->nodes; n; n = n->next) held |= n->owner == id || n->stream_id == id;
    for (struct run_reader *r = rt->readers; r; r = r->next) held |= r->source_id == id;
    for (struct run_sink *s = rt->sinks; s; s = s->next) held |= s->sink_id == id;
    lock_give(&rt->lock);
    return held;
}

void sub_close(struct sub *s)
{
    if (!s) return;
    struct runtime *rt = sub_runtime(s);
    sub_let_go(s);
    runtime_sweep(rt);
}

/* ---- closing ----------------------------------------------------------------------------------------------------------------- */

static bool everything_ended(void *ctx)
{
    struct runtime *rt = ctx;
    for (struct run_sub *s = rt->subs; s; s = s->next) {
        if (!sub_idle(s->sub)) return false;
        if (!sub_closed(s->sub)) sub_let_go(s->sub);
        sub_drain(s->sub);
    }
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (!deliver_done(s->deliver)) return false;
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        if (!outlet_done(o->outlet)) return false;
    lock_take(&rt->lock);
    take_stock(rt);
    bool ended = !any_busy(rt);
    lock_give(&rt->lock);
    return ended;
}

void runtime_interrupt(struct runtime *rt)
{
    atomic_store(&rt->closing, true);
    lock_take(&rt->lock);
    for (struct component *c = rt->components; c; c = c->next) {
        atomic_store(&c->cancel, true);
        component_go_on(rt, c);
    }
    for (struct run_reader *r = rt->readers; r; r = r->next) reader_stop(r->reader);
    for (struct run_sub *s = rt->subs; s; s = s->next) sub_cancel(s->sub);
    lock_give(&rt->lock);
    bell_ring(&rt->control);
}

static void give_up(struct runtime *rt)
{
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (!deliver_done(s->deliver))
            runtime_log(rt, 0, "sink \"%s\" did not come back in time and was left behind", deliver_object(s->deliver)->name);
    turn_give(rt);
}

/* Sinks have half of the time to deliver what they hold; then they are canceled and have the rest to come back. */
bool runtime_free(struct runtime *rt, int64_t timeout_us)
{
    if (!rt) return true;
    runtime_interrupt(rt);
    int64_t now = env_now_us(rt->env), half = now + (timeout_us < 0 ? CANCEL_US : timeout_us / 2);
    int64_t until = timeout_us < 0 ? INT64_MAX : now + timeout_us;
    if (!wait_until(rt, turn_is_mine, rt, time_left(rt, half), true)) return false;
    for (struct run_sub *s = rt->subs; s; s = s->next) sub_stop_calls(s->sub);
    for (struct run_sink *s = rt->sinks; s; s = s->next) deliver_leave(s->deliver);
    bool ok = wait_until(rt, everything_ended, rt, time_left(rt, half), true);
    if (!ok) {
        for (struct run_sink *s = rt->sinks; s; s = s->next) deliver_cancel(s->deliver);
        for (struct run_outlet *o = rt->outlets; o; o = o->next) outlet_close(o->outlet);
        ok = wait_until(rt, everything_ended, rt, timeout_us < 0 ? -1 : time_left(rt, until), true);
    }
    if (!ok) {
        give_up(rt);
        return false; /* what hangs keeps its memory */
    }
    runtime_pause(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (!atomic_load(&c->joined)) free_component(rt, c);
    past_drop(rt, 0);
    budget_drop(rt, 0);
    runtime_resume(rt);
    stop_threads(rt);
    for (struct component *c = rt->components, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    host_free(rt->driver);
    for (int i = 0; i < rt->nworkers; i++) worker_free(rt->workers[i]);
    mem_free(rt->workers);
    lock_done(&rt->lock);
    lock_done(&rt->letter_lock);
    mem_free(rt);
    return true;
}

bool runtime_step(struct runtime *rt, int64_t max_us, int64_t *wake_us)
{
    if (!rt->driver) return *wake_us = INT64_MAX, false;
    return max_us > 0 ? driver_run(rt->driver, max_us, wake_us) : driver_due(rt->driver, wake_us);
}

void runtime_poke(struct runtime *rt) { bell_ring(&rt->control); }

int runtime_fd(struct runtime *rt) { return rt->driver ? driver_fd(rt->driver) : -1; }

/* ---- pushing ------------------------------------------------------------------------------------------------------------------ */

/* Stays until it is unpinned. */
static struct reader *pin_reader(struct runtime *rt, uint64_t source_id)
{
    struct run_reader *found = NULL;
    lock_take(&rt->lock);
    for (struct run_reader *r = rt->readers; r; r = r->next) {
        bool its = r->source_id == source_id || r->former_id == source_id;
        if (!its || !reader_runs(r->reader) || !reader_pushed(r->reader) || r->scan->gone) continue;
        if (!found || found->left || r->former_id == source_id) found = r;
    }
    if (found) reader_pin(found->reader);
    lock_give(&rt->lock);
    return found ? found->reader : NULL;
}

struct successor {
    struct runtime *rt;
    uint64_t source_id;
};

static bool has_successor(void *ctx)
{
    struct successor *s = ctx;
    lock_take(&s->rt->lock);
    struct run_reader *r = s->rt->readers;
    while (r && (r->former_id != s->source_id || !reader_runs(r->reader))) r = r->next;
    lock_give(&s->rt->lock);
    return r;
}

/* The reader refused since another takes its place: waits for that. Unpins r. */
static bool has_moved(struct runtime *rt, struct reader *r, uint64_t source_id)
{
    struct successor s = {rt, source_id};
    bool its_own = reader_object(r) && reader_object(r)->id == source_id; /* else the caller is to look for the name again */
    bool moved = its_own && reader_leaving(r) && runtime_wait(rt, has_successor, &s, CANCEL_US);
    reader_unpin(r);
    return moved;
}

static enum status no_reader(struct err *err)
{
    err_set(err, E_NO_READER, "nothing reads this source");
    err_hint(err, "create a sink on it or on a stream over it, or subscribe, before pushing");
    return E_NO_READER;
}

enum status runtime_push(struct runtime *rt, uint64_t source_id, struct batch **b, int n, int64_t timeout_us, struct err *err)
{
    for (;;) {
        struct reader *r = pin_reader(rt, source_id);
        if (!r) return no_reader(err);
        enum status st = reader_push(r, b, n, timeout_us, err);
        if (st != E_NO_READER) return reader_unpin(r), st;
        if (!has_moved(rt, r, source_id)) return no_reader(err);
    }
}

enum status runtime_push_watermark(struct runtime *rt, uint64_t source_id, int64_t us, struct err *err)
{
    for (;;) {
        struct reader *r = pin_reader(rt, source_id);
        if (!r) return no_reader(err);
        enum status st = reader_push_watermark(r, us, err);
        if (st != E_NO_READER) return reader_unpin(r), st;
        if (!has_moved(rt, r, source_id)) return no_reader(err);
    }
}

enum status runtime_push_end(struct runtime *rt, uint64_t source_id, struct err *err)
{
    struct reader *r = pin_reader(rt, source_id);
    if (!r) return no_reader(err);
    reader_push_end(r);
    reader_unpin(r);
    return ST_OK;
}

/* ---- display ------------------------------------------------------------------------------------------------------------------- */

bool runtime_source_stats(struct runtime *rt, uint64_t source_id, struct source_stats *out)
{
    lock_take(&rt->lock);
    struct past *p = past_find(rt, source_id);
    bool found = p != NULL;
    *out = (struct source_stats){.size = -1, .watermark = TS_MIN};
    if (p) source_stats_add(out, past_source_stats(p));
    for (struct run_reader *r = rt->readers; r; r = r->next) {
        if (r->source_id != source_id) continue;
        struct source_stats s;
        reader_stats(r->reader, &s);
        bool first = !out->running;
        source_stats_add(out, &s);
        out->running = found = true;
        out->ended = (first || out->ended) && s.ended;
        out->idle = (first || out->idle) && s.idle;
        out->size = first ? s.size : s.size < 0 || out->size < 0 ? -1 : out->size + s.size;
        out->position += s.position;
        if (first || s.watermark < out->watermark) out->watermark = s.watermark;
    }
    lock_give(&rt->lock);
    return found;
}

static void add_node_stats(struct node *n, struct stream_stats *out, int depth)
{
    if (n->is_stream) n = n->in[0].from;
    for (int i = 0; i < n->ninst && n->class; i++) {
        struct op_ctx *c = &n->inst[i]->op->ctx;
        if (!depth) out->rows_out += atomic_load(&n->inst[i]->counts.rows_out);
        out->late += atomic_load(&c->late);
        out->errors += atomic_load(&c->errors);
        if (!out->late_example[0]) note_read(&c->late_example, out->late_example);
        if (!out->last_error[0]) note_read(&c->row_error, out->last_error);
        int64_t wm = atomic_load_explicit(&n->inst[i]->wm_shown, memory_order_relaxed);
        if (!depth && wm < out->watermark) out->watermark = wm;
    }
    for (int p = 0; p < n->nin; p++)
        if (!n->in[p].from->stream_id) add_node_stats(n->in[p].from, out, depth + 1);
}

void node_stats(struct node *n, struct stream_stats *out) { add_node_stats(n, out, 0); }

bool runtime_sink_stats(struct runtime *rt, uint64_t sink_id, struct sink_stats *out)
{
    bool found = false;
    lock_take(&rt->lock);
    for (struct run_sink *s = rt->sinks; s; s = s->next) {
        if (s->sink_id != sink_id) continue;
        deliver_stats(s->deliver, out);
        struct node *n = outlet_node(s->outlet);
        struct stream_stats own = {0};
        if (!n->stream_id) node_stats(n, &own);
        out->late = own.late;
        out->row_errors = own.errors;
        if (!out->last_error[0]) snprintf(out->last_error, sizeof out->last_error, "%s", own.last_error);
        found = true;
    }
    lock_give(&rt->lock);
    return found;
}

bool runtime_stream_stats(struct runtime *rt, uint64_t stream_id, struct stream_stats *out)
{
    lock_take(&rt->lock);
    struct past *p = past_find(rt, stream_id);
    bool found = p != NULL;
    *out = (struct stream_stats){.watermark = TS_MIN};
    if (p) stream_stats_add(out, past_stream_stats(p));
    for (struct node *n = rt->nodes; n; n = n->next) {
        if (n->stream_id != stream_id) continue;
        struct stream_stats s = {.watermark = TS_MAX};
        node_stats(n, &s);
        stream_stats_add(out, &s);
        out->watermark = s.watermark;
        out->ended = (!out->running || out->ended) && node_ended(n);
        out->running = found = true;
        struct component *c = component_of(n->component);
        out->paused = atomic_load(&c->paused);
        out->failed = atomic_load(&c->failed) ? (int)c->err.code : atomic_load(&c->starved) ? (int)E_NOMEM : 0;
    }
    lock_give(&rt->lock);
    return found;
}

void runtime_forget(struct runtime *rt, uint64_t id)
{
    lock_take(&rt->lock);
    past_drop(rt, id);
    budget_drop(rt, id);
    lock_give(&rt->lock);
}

int runtime_parts(struct runtime *rt)
{
    int n = 0;
    lock_take(&rt->lock);
    for (struct node *x = rt->nodes; x; x = x->next) n++;
    for (struct run_reader *x = rt->readers; x; x = x->next) n++;
    for (struct run_outlet *x = rt->outlets; x; x = x->next) n++;
    for (struct run_sink *x = rt->sinks; x; x = x->next) n++;
    for (struct run_sub *x = rt->subs; x; x = x->next) n++;
    lock_give(&rt->lock);
    return n;
}
