/* How a run ends: waiting until all sources and sinks are through, and closing, which waits no longer than it may.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

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
        if (!s->detached && !stock_through(s)) return true;
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
    stock_take(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (atomic_load(&c->failed) && !component_of(c)->busy) {
            if (w->err) *w->err = c->err;
            return w->st = c->err.code, true;
        }
    letters_end(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (!atomic_load(&c->joined) && atomic_load(&c->starved)) return w->st = component_hunger(c, w->err), true;
    if (!broken_sink(rt, w->err)) return !stock_busy(rt);
    leave_out_held(rt);
    w->st = w->err->code;
    return !stock_busy(rt) || !anyone_takes_rows(rt);
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
    stock_take(rt);
    bool ended = !stock_busy(rt);
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
    if (!runtime_wait_for(rt, turn_try, rt, time_left(rt, half))) return false;
    for (struct run_sub *s = rt->subs; s; s = s->next) sub_stop_calls(s->sub);
    for (struct run_sink *s = rt->sinks; s; s = s->next) deliver_leave(s->deliver);
    bool ok = runtime_wait_for(rt, everything_ended, rt, time_left(rt, half));
    if (!ok) {
        for (struct run_sink *s = rt->sinks; s; s = s->next) deliver_cancel(s->deliver);
        for (struct run_outlet *o = rt->outlets; o; o = o->next) outlet_close(o->outlet);
        ok = runtime_wait_for(rt, everything_ended, rt, timeout_us < 0 ? -1 : time_left(rt, until));
    }
    if (!ok) {
        give_up(rt);
        return false; /* what hangs keeps its memory */
    }
    ack_ended(rt);
    runtime_pause(rt);
    for (struct component *c = rt->components; c; c = c->next)
        if (!atomic_load(&c->joined)) sweep_component(rt, c);
    past_drop(rt, 0);
    budget_drop(rt, 0);
    runtime_resume(rt);
    runtime_stop_threads(rt);
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
