/* The runtime: its threads, how control waits and takes turns, and what db asks of the running graph.
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
    lock_init(&rt->ack_lock);
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

void runtime_stop_threads(struct runtime *rt)
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
    if (st) runtime_stop_threads(rt);
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

bool turn_try(void *ctx) { return !atomic_exchange(&((struct runtime *)ctx)->turn, true); }

bool turn_take(struct runtime *rt, int64_t timeout_us) { return runtime_wait(rt, turn_try, rt, timeout_us); }

/* Who wants a sweep while another has the turn says so first and tries the turn then; this one gives the turn first and looks
 * then, so one of them sweeps. */
void turn_give(struct runtime *rt)
{
    do {
        atomic_store(&rt->unswept, false);
        sweep_all(rt);
        atomic_store(&rt->turn, false);
        bell_ring(&rt->control);
    } while (atomic_load(&rt->unswept) && turn_try(rt));
}

enum status turn_not_had(struct err *err)
{
    return err_set(err, E_TIMEOUT, "another change of the graph, or a barrier, is still under way");
}

int64_t time_left(struct runtime *rt, int64_t until)
{
    if (until == INT64_MAX) return -1;
    int64_t now = env_now_us(rt->env);
    return until > now ? until - now : 0;
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
    runtime_wait_for(rt, all_paused, rt, -1);
}

void runtime_resume(struct runtime *rt)
{
    if (rt->driver) driver_let(rt->driver);
    if (atomic_fetch_sub(&rt->pauses, 1) != 1 || !atomic_load(&rt->io)) return;
    for (int i = 0; i < rt->nworkers; i++) task_wake(&rt->workers[i]->task);
}

bool runtime_step(struct runtime *rt, int64_t max_us, int64_t *wake_us)
{
    if (!rt->driver) return *wake_us = INT64_MAX, false;
    return max_us > 0 ? driver_run(rt->driver, max_us, wake_us) : driver_due(rt->driver, wake_us);
}

void runtime_poke(struct runtime *rt) { bell_ring(&rt->control); }

int runtime_fd(struct runtime *rt) { return rt->driver ? driver_fd(rt->driver) : -1; }

/* ---- what db asks ----------------------------------------------------------------------------------------------------- */

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

struct run_sink *runtime_sink(struct runtime *rt, uint64_t id)
{
    struct run_sink *s = rt->sinks;
    while (s && (s->sink_id != id || s->detached)) s = s->next;
    return s;
}

enum status runtime_alter_sink(struct runtime *rt, uint64_t object_id, enum sink_command what, const struct options *set,
                               int64_t timeout_us, struct err *err)
{
    lock_take(&rt->lock);
    struct run_sink *s = runtime_sink(rt, object_id);
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
