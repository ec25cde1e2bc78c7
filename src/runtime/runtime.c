/* The runtime: workers, hosts, epochs, waiting, and what db asks of the running graph.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime.h"

#include "runtime/run_int.h"

#include <stdarg.h>
#include <stdio.h>

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

/* Threads start with the first task that needs one: opening a database starts none. */
static enum status start_threads(struct runtime *rt, struct err *err)
{
    if (rt->driver || rt->io) return ST_OK;
    TRY(host_thread(rt->env, "lam-io", true, &rt->control, &rt->io, err));
    for (int i = 0; i < rt->nworkers; i++) {
        char name[24];
        snprintf(name, sizeof name, "lam-worker-%hu", (unsigned short)i);
        TRY(host_thread(rt->env, name, false, &rt->control, &rt->workers[i]->host, err));
        host_add(rt->workers[i]->host, &rt->workers[i]->task);
    }
    return ST_OK;
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

bool runtime_wait(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us)
{
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(rt->env) + timeout_us;
    for (;;) {
        uint32_t seen = bell_count(&rt->control);
        if (fact(ctx)) return true;
        if (rt->driver) {
            int64_t wake_us;
            if (driver_run(rt->driver, 1000, &wake_us)) continue;
            if (fact(ctx)) return true;
            if (!driver_park(rt->driver, wake_us, until)) return false;
            continue;
        }
        int64_t now = env_now_us(rt->env);
        if (now >= until) return false;
        bell_wait(&rt->control, seen, timeout_us < 0 ? -1 : until - now);
    }
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
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (in_component(outlet_node(s->outlet)->component, c)) fn(ctx, outlet_answer(s->outlet));
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

static void answer_if_ended(void *ctx, struct answer *a)
{
    struct beginning *b = ctx;
    if (atomic_load(&a->ended)) answer_epoch(b->rt, b->c, a, b->epoch);
}

void epoch_begin(struct runtime *rt, struct component *c, int kind)
{
    struct beginning b = {rt, c, ++rt->next_epoch, 0};
    INVARIANT(atomic_load(&c->waiting) <= 0);
    each_answer(rt, c, count, &b);
    atomic_store(&c->waiting, b.n);
    atomic_store(&c->epoch, b.epoch);
    each_answer(rt, c, answer_if_ended, &b);
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (in_component(r->scan->component, c) && !reader_done(r->reader)) reader_barrier(r->reader, b.epoch, kind);
}

static bool epoch_answered(void *ctx) { return atomic_load(&((struct component *)ctx)->waiting) <= 0; }

bool epoch_wait(struct runtime *rt, struct component *c, int64_t timeout_us)
{
    return runtime_wait(rt, epoch_answered, c, timeout_us);
}

static enum status wait_all(struct runtime *rt, int64_t timeout_us, struct err *err)
{
    for (struct component *c = rt->components; c; c = c->next)
        if (!c->joined && !epoch_wait(rt, c, timeout_us))
            return err_set(err, E_TIMEOUT, "a sink or subscriber takes nothing, so a barrier cannot pass");
    return ST_OK;
}

static enum status epoch_all(struct runtime *rt, int kind, int64_t timeout_us, struct err *err)
{
    TRY(wait_all(rt, timeout_us, err));
    for (struct component *c = rt->components; c; c = c->next)
        if (!c->joined) epoch_begin(rt, c, kind);
    return wait_all(rt, timeout_us, err);
}

enum status runtime_drain(struct runtime *rt, int64_t timeout_us, struct err *err)
{
    lock_take(&rt->lock);
    enum status st = epoch_all(rt, BARRIER_DRAIN, timeout_us, err);
    lock_give(&rt->lock);
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
    if (rt->driver || !rt->io) return; /* nobody steps but us */
    for (int i = 0; i < rt->nworkers; i++) atomic_store(&rt->workers[i]->paused, false);
    atomic_store(&rt->pause, true);
    for (int i = 0; i < rt->nworkers; i++) task_wake(&rt->workers[i]->task);
    runtime_wait(rt, all_paused, rt, -1);
}

void runtime_resume(struct runtime *rt)
{
    if (rt->driver || !rt->io) return;
    atomic_store(&rt->pause, false);
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
    lock_take(&rt->lock);
    enum status st = epoch_all(rt, BARRIER_FREEZE | BARRIER_HOLD, timeout_us, err);
    if (!st) {
        runtime_pause(rt);
        for (struct node *n = rt->nodes; n && !st; n = n->next)
            if (n->class && !n->gone) st = reload_node(rt, n, err);
        runtime_resume(rt);
    }
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (!reader_done(r->reader)) reader_resume(r->reader, true);
    lock_give(&rt->lock);
    return st;
}

/* ---- ends ---------------------------------------------------------------------------------------------------------------- */

static void all_ended(void *ctx, struct answer *a)
{
    if (!atomic_load(&a->ended)) *(bool *)ctx = false;
}

bool component_ended(struct runtime *rt, struct component *c)
{
    bool ended = true;
    each_answer(rt, c, all_ended, &ended);
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (in_component(outlet_node(s->outlet)->component, c))
            ended &= deliver_done(s->deliver) && outlet_done(s->outlet);
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (in_component(r->scan->component, c)) ended &= reader_done(r->reader);
    return ended;
}

static bool has_open_sub(struct runtime *rt, struct component *c)
{
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (in_component(sub_node(s->sub)->component, c) && !sub_closed(s->sub)) return true;
    return false;
}

static bool has_sink(struct runtime *rt, struct component *c)
{
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (in_component(outlet_node(s->outlet)->component, c)) return true;
    return false;
}

static bool has_push(struct runtime *rt, struct component *c)
{
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (in_component(r->scan->component, c) && reader_held(r->reader)) return true;
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
    outlet_free(s->outlet);
    mem_free(s);
}

static void free_sub(struct runtime *rt, struct run_sub *s)
{
    past_query(rt, s);
    sub_free(s->sub);
    mem_free(s);
}

static void free_reader(struct runtime *rt, struct run_reader *r)
{
    past_reader(rt, r);
    reader_free(r->reader);
    mem_free(r);
}

/* Everything of an ended component; workers are paused. Outlets and subscriptions before the nodes they hang on. */
static void free_component(struct runtime *rt, struct component *c)
{
    REMOVE_IF(rt->sinks, struct run_sink, s, in_component(outlet_node(s->outlet)->component, c), free_sink(s))
    for (struct node *n = rt->nodes; n; n = n->next)
        if (in_component(n->component, c)) past_stream(rt, n);
    REMOVE_IF(rt->subs, struct run_sub, s, in_component(sub_node(s->sub)->component, c), free_sub(rt, s))
    REMOVE_IF(rt->readers, struct run_reader, r, in_component(r->scan->component, c), free_reader(rt, r))
    REMOVE_IF(rt->nodes, struct node, n, in_component(n->component, c), node_free(rt, n))
}

static void free_joined(struct runtime *rt, struct component *c)
{
    bool again = true;
    while (again) {
        again = false;
        REMOVE_IF(rt->components, struct component, x, x->joined == c, (again = true, mem_free(x)))
        for (struct component *x = rt->components; x && !again; x = x->next)
            if (x->joined && component_of(x) == c) x->joined = c, again = true;
    }
    REMOVE_IF(rt->components, struct component, x, x == c, mem_free(x))
}

static bool is_input(struct runtime *rt, const struct node *of)
{
    for (struct node *n = rt->nodes; n; n = n->next)
        for (int p = 0; p < n->nin; p++)
            if (n->in[p].from == of) return true;
    return false;
}

/* Nodes taken out of a component that lives on; what reads before what is read, for counts are taken along. */
static void free_gone(struct runtime *rt)
{
    REMOVE_IF(rt->subs, struct run_sub, s, sub_closed(s->sub) && sub_node(s->sub)->gone && node_ended(sub_node(s->sub)),
              free_sub(rt, s))
    REMOVE_IF(rt->readers, struct run_reader, r,
              r->scan->gone && reader_done(r->reader) && !reader_held(r->reader) && node_ended(r->scan),
              (r->scan->reader = NULL, free_reader(rt, r)))
    for (bool again = true; again;) {
        again = false;
        REMOVE_IF(rt->nodes, struct node, n,
                  n->gone && !n->reader && node_ended(n) && n->users <= 0 && !is_input(rt, n),
                  (again = true, past_stream(rt, n), node_free(rt, n)))
    }
}

void runtime_sweep(struct runtime *rt)
{
    lock_take(&rt->lock);
    runtime_pause(rt);
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (sub_closed(s->sub)) sub_drain(s->sub);
    free_gone(rt);
    for (struct component *c = rt->components, *next; c; c = next) {
        next = c->next;
        if (c->joined || has_sink(rt, c) || has_open_sub(rt, c) || has_push(rt, c) || !component_ended(rt, c)) continue;
        free_component(rt, c);
        free_joined(rt, c);
        next = rt->components; /* the list changed */
    }
    runtime_resume(rt);
    lock_give(&rt->lock);
}

struct waiting {
    struct runtime *rt;
    _Atomic bool *cancel;
    struct err *err;
    enum status st;
};

/* All done, something failed, or the caller was canceled. */
static bool done_locked(struct waiting *w)
{
    struct runtime *rt = w->rt;
    w->st = ST_OK;
    if (w->cancel && atomic_load(w->cancel)) return w->st = err_set(w->err, E_CANCELED, "canceled"), true;
    for (struct component *c = rt->components; c; c = c->next)
        if (atomic_load(&c->failed) && component_ended(rt, component_of(c))) {
            if (w->err) *w->err = c->err;
            return w->st = c->err.code, true;
        }
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (deliver_failed(s->deliver, w->err)) return w->st = w->err ? w->err->code : E_WRITE, true;
    for (struct component *c = rt->components; c; c = c->next)
        if (!c->joined && !component_ended(rt, c)) return false;
    return true;
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

enum status runtime_drop_sink(struct runtime *rt, uint64_t object_id, int64_t timeout_us, struct err *err)
{
    lock_take(&rt->lock);
    enum status st = ST_OK;
    for (struct run_sink **at = &rt->sinks; *at; at = &(*at)->next) {
        struct run_sink *s = *at;
        if (s->sink_id != object_id) continue;
        struct node *n = outlet_node(s->outlet);
        if (!outlet_done(s->outlet)) st = graph_detach(rt, n, s->outlet, NULL, timeout_us, err);
        if (st) break;
        if (!runtime_wait(rt, (bool (*)(void *))outlet_done, s->outlet, timeout_us) ||
            !runtime_wait(rt, (bool (*)(void *))deliver_done, s->deliver, timeout_us)) {
            deliver_cancel(s->deliver);
            outlet_close(s->outlet);
            if (!runtime_wait(rt, (bool (*)(void *))deliver_done, s->deliver, timeout_us) ||
                !runtime_wait(rt, (bool (*)(void *))outlet_done, s->outlet, timeout_us)) {
                st = err_set(err, E_TIMEOUT, "the sink does not come back from its system");
                break;
            }
        }
        *at = s->next;
        runtime_pause(rt);
        free_sink(s);
        runtime_resume(rt);
        break;
    }
    lock_give(&rt->lock);
    if (!st) runtime_sweep(rt);
    return st;
}

/* What was taken out of the graph runs on until its end has passed through it. */
static bool gone_have_ended(void *ctx)
{
    struct runtime *rt = ctx;
    for (struct node *n = rt->nodes; n; n = n->next)
        if (n->gone && !node_ended(n)) return false;
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (r->scan->gone && !reader_done(r->reader)) return false;
    return true;
}

bool runtime_settle(struct runtime *rt, int64_t timeout_us)
{
    lock_take(&rt->lock);
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (sub_closed(s->sub)) sub_drain(s->sub);
    bool settled = runtime_wait(rt, gone_have_ended, rt, timeout_us);
    lock_give(&rt->lock);
    runtime_sweep(rt);
    return settled;
}

bool runtime_uses(struct runtime *rt, uint64_t id)
{
    bool used = false;
    lock_take(&rt->lock);
    for (struct node *n = rt->nodes; n; n = n->next) used |= n->stream_id == id;
    for (struct run_reader *r = rt->readers; r; r = r->next) used |= r->source_id == id;
    for (struct run_sink *s = rt->sinks; s; s = s->next) used |= s->sink_id == id;
    lock_give(&rt->lock);
    return used;
}

void sub_close(struct sub *s)
{
    if (!s) return;
    struct runtime *rt = sub_runtime(s);
    lock_take(&rt->lock);
    struct err ignored;
    bool live = !sub_ended(s);
    sub_let_go(s);
    /* Without the barrier's help the closed ring only stays a little longer. */
    if (live) graph_detach(rt, sub_node(s), NULL, s, 100000, &ignored);
    lock_give(&rt->lock);
    runtime_sweep(rt);
}

/* ---- closing ----------------------------------------------------------------------------------------------------------------- */

static bool everything_ended(void *ctx)
{
    struct runtime *rt = ctx;
    for (struct run_sub *s = rt->subs; s; s = s->next) sub_drain(s->sub);
    for (struct component *c = rt->components; c; c = c->next)
        if (!c->joined && !component_ended(rt, c)) return false;
    return true;
}

bool runtime_free(struct runtime *rt, int64_t timeout_us)
{
    if (!rt) return true;
    lock_take(&rt->lock);
    for (struct component *c = rt->components; c; c = c->next) atomic_store(&c->cancel, true);
    for (struct run_reader *r = rt->readers; r; r = r->next) reader_stop(r->reader);
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (!sub_closed(s->sub)) sub_let_go(s->sub);
    int64_t half = timeout_us < 0 ? 1000000 : timeout_us / 2;
    bool ok = runtime_wait(rt, everything_ended, rt, half);
    if (!ok) {
        for (struct run_sink *s = rt->sinks; s; s = s->next) {
            deliver_cancel(s->deliver);
            outlet_close(s->outlet);
        }
        ok = runtime_wait(rt, everything_ended, rt, half);
    }
    if (!ok) {
        for (struct run_sink *s = rt->sinks; s; s = s->next)
            if (!deliver_done(s->deliver))
                runtime_log(rt, 0, "sink \"%s\" did not come back in time and was left behind",
                            deliver_object(s->deliver)->name);
        lock_give(&rt->lock);
        return false; /* what hangs keeps its memory */
    }
    for (int i = 0; i < rt->nworkers; i++) host_free(rt->workers[i]->host);
    host_free(rt->io);
    rt->io = NULL;
    for (struct component *c = rt->components; c; c = c->next)
        if (!c->joined) free_component(rt, c);
    for (struct component *c = rt->components, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    host_free(rt->driver);
    for (int i = 0; i < rt->nworkers; i++) worker_free(rt->workers[i]);
    mem_free(rt->workers);
    past_drop(rt, 0);
    lock_give(&rt->lock);
    lock_done(&rt->lock);
    mem_free(rt);
    return true;
}

bool runtime_step(struct runtime *rt, int64_t max_us, int64_t *wake_us)
{
    if (!rt->driver) return *wake_us = INT64_MAX, false;
    return driver_run(rt->driver, max_us, wake_us);
}

void runtime_poke(struct runtime *rt) { bell_ring(&rt->control); }

int runtime_fd(struct runtime *rt) { return rt->driver ? driver_fd(rt->driver) : -1; }

/* ---- pushing ------------------------------------------------------------------------------------------------------------------ */

/* Held until reader_release: a DROP while a push waits for room must not free what it waits on. */
static struct reader *pushed_reader(struct runtime *rt, uint64_t source_id)
{
    struct reader *found = NULL;
    lock_take(&rt->lock);
    for (struct run_reader *r = rt->readers; r && !found; r = r->next)
        if (r->source_id == source_id && reader_pushed(r->reader) && !r->scan->gone) found = r->reader;
    if (found) reader_hold(found);
    lock_give(&rt->lock);
    return found;
}

static enum status no_reader(struct err *err)
{
    err_set(err, E_NO_READER, "nothing reads this source");
    err_hint(err, "create a sink on it or on a stream over it, or subscribe, before pushing");
    return E_NO_READER;
}

enum status runtime_push(struct runtime *rt, uint64_t source_id, struct batch *const *batches, int n, int64_t timeout_us,
                         struct err *err)
{
    struct reader *r = pushed_reader(rt, source_id);
    if (!r) return no_reader(err);
    enum status st = reader_push(r, batches, n, timeout_us, err);
    reader_release(r);
    return st;
}

enum status runtime_push_watermark(struct runtime *rt, uint64_t source_id, int64_t us, struct err *err)
{
    struct reader *r = pushed_reader(rt, source_id);
    if (!r) return no_reader(err);
    enum status st = reader_push_watermark(r, us, err);
    reader_release(r);
    return st;
}

enum status runtime_push_end(struct runtime *rt, uint64_t source_id, struct err *err)
{
    struct reader *r = pushed_reader(rt, source_id);
    if (!r) return no_reader(err);
    enum status st = reader_push_end(r, err);
    reader_release(r);
    return st;
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
    for (int i = 0; i < n->ninst && n->class; i++) {
        struct op_ctx *c = &n->inst[i]->op->ctx;
        if (!depth) out->rows_out += atomic_load(&c->rows_out);
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
    }
    lock_give(&rt->lock);
    return found;
}

void runtime_forget(struct runtime *rt, uint64_t id)
{
    lock_take(&rt->lock);
    past_drop(rt, id);
    lock_give(&rt->lock);
}
