/* Hosts: see host.h. The loop of both kinds: take over tasks that were handed in, step every task that is woken or due, and
 * when none ran, park until one is. A wake sets the task's flag, then the gate, so the flag looked at after
 * gate_prepare cannot be missed. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/host.h"

#include "arrow/batch.h"
#include "base/mem.h"

#include <stdio.h>

/* Descriptors that tasks wait for, and whose they are; the first is left for the gate. */
struct watched {
    struct pollfd *fds;
    struct task **who;
    int n, cap;
};

struct run_host {
    struct host host;
    struct env *env;
    struct gate gate;
    struct bell *news;
    struct thread *thread;
    _Atomic bool stop;
    _Atomic(struct task *) incoming; /* stack of tasks handed in */
    struct task *tasks;              /* in the order they came */
    struct task **tail;
    struct watched watched;
    /* driver */
    struct lock lock;       /* one thread steps at a time */
    uint64_t shuffle;
    _Atomic int parked;     /* threads in driver_park */
};

static struct run_host *of(struct host *h) { return container_of(h, struct run_host, host); }

static void wake(struct host *h) { gate_wake(&of(h)->gate); }

void host_add(struct host *h, struct task *t)
{
    struct run_host *r = of(h);
    if (t->host != h) t->host = h; /* who may be woken before has it already, and others read it */
    t->wake_us = INT64_MAX;
    atomic_store(&t->woken, true);
    struct task *head = atomic_load(&r->incoming);
    do {
        t->next = head;
    } while (!atomic_compare_exchange_weak(&r->incoming, &head, t));
    wake(h);
}

static void take_incoming(struct run_host *r)
{
    struct task *t = atomic_exchange(&r->incoming, NULL), *in_order = NULL;
    while (t) {
        struct task *next = t->next;
        t->next = in_order;
        in_order = t;
        t = next;
    }
    for (; in_order; in_order = t) {
        t = in_order->next;
        in_order->next = NULL;
        *r->tail = in_order;
        r->tail = &in_order->next;
    }
}

static bool due(struct task *t, int64_t now)
{
    return !t->busy && (atomic_load_explicit(&t->woken, memory_order_acquire) || t->wake_us <= now);
}

static void take_out(struct run_host *r, struct task *t)
{
    struct task **at = &r->tasks;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    if (r->tail == &t->next) r->tail = at;
}

/* Gives back the driver's lock for a step of the program's code. */
static void let_out(struct run_host *r, struct task *t, bool out)
{
    if (r->thread || !t->class->outside) return;
    if (!out) lock_take(&r->lock);
    t->busy = out;
    if (out) lock_give(&r->lock);
}

/* Steps a task; returns false when it left the host. Others may have left as well when it is an outside one. */
static bool step(struct run_host *r, struct task *t, int64_t now)
{
    atomic_exchange_explicit(&t->woken, false, memory_order_acq_rel); /* what preceded task_wake is seen by the step */
    int64_t wake_us = INT64_MAX;
    pool_adopt(r->thread ? t->pool : NULL); /* a driver's steps may come from changing threads */
    let_out(r, t, true);
    enum step s = t->class->step(t, now, &wake_us);
    let_out(r, t, false);
    t->wake_us = wake_us;
    if (s == STEP_AGAIN) atomic_store_explicit(&t->woken, true, memory_order_relaxed);
    if (s != STEP_DONE) return true;
    take_out(r, t);
    atomic_store_explicit(&t->done, true, memory_order_release); /* the owner may free it from here on */
    bell_ring(r->news);
    return false;
}

/* One round over the tasks; returns whether any was stepped. */
static bool round_of(struct run_host *r)
{
    bool any = false;
    int64_t now = env_now_us(r->env);
    take_incoming(r);
    for (struct task *t = r->tasks, *next; t; t = next) {
        next = t->next;
        if (!due(t, now)) continue;
        any = true;
        bool outside = t->class->outside && !r->thread;
        step(r, t, now);
        if (outside) break; /* the list may be another by now */
    }
    return any;
}

static bool anything_due(struct run_host *r, int64_t *wake_us)
{
    int64_t now = env_now_us(r->env);
    *wake_us = INT64_MAX;
    if (atomic_load(&r->incoming)) return true;
    for (struct task *t = r->tasks; t; t = t->next) {
        if (due(t, now)) return true;
        if (!t->busy && t->wake_us < *wake_us) *wake_us = t->wake_us;
    }
    return false;
}

static void watch_more(struct watched *w)
{
    int cap = w->cap ? w->cap * 2 : 4 * TASK_FDS;
    w->fds = mem_realloc(w->fds, sizeof *w->fds * (size_t)w->n, sizeof *w->fds * (size_t)cap);
    w->who = mem_realloc(w->who, sizeof *w->who * (size_t)w->n, sizeof *w->who * (size_t)cap);
    w->cap = cap;
}

static void watched_done(struct watched *w)
{
    mem_free(w->fds);
    mem_free(w->who);
}

static void collect_fds(struct run_host *r, struct watched *w)
{
    if (!w->cap) watch_more(w);
    w->n = 1;
    for (struct task *t = r->tasks; t; t = t->next) {
        if (!t->class->fds) continue;
        if (w->cap - w->n < TASK_FDS) watch_more(w);
        int k = t->class->fds(t, w->fds + w->n, TASK_FDS);
        for (int i = 0; i < k; i++) w->who[w->n++] = t;
    }
}

static void park_fds(struct run_host *r, int64_t timeout)
{
    struct watched *w = &r->watched;
    collect_fds(r, w);
    gate_park_fds(&r->gate, w->fds, w->n, timeout);
    for (int i = 1; i < w->n; i++)
        if (w->fds[i].revents) atomic_store(&w->who[i]->woken, true);
}

static void park(struct run_host *r, struct ladder *l)
{
    int64_t wake_us;
    gate_prepare(&r->gate);
    if (atomic_load(&r->stop) || anything_due(r, &wake_us)) {
        gate_cancel(&r->gate);
        return;
    }
    int64_t now = env_now_us(r->env);
    int64_t timeout = wake_us == INT64_MAX ? -1 : wake_us > now ? wake_us - now : 0;
    if (r->gate.fd < 0)
        gate_park(&r->gate, timeout);
    else
        park_fds(r, timeout);
    ladder_slept(l, env_now_us(r->env) - now);
}

static void loop(void *arg)
{
    struct run_host *r = arg;
    struct ladder ladder = {0};
    while (!atomic_load(&r->stop)) {
        if (round_of(r)) {
            ladder_found(&ladder);
        } else if (!ladder_climb(&ladder)) {
            park(r, &ladder);
            ladder_found(&ladder);
        }
    }
    pool_adopt(NULL);
}

static enum status make(struct env *env, bool with_fd, struct bell *news, struct run_host **out, struct err *err)
{
    struct run_host *r = mem_aligned(64, sizeof *r);
    memset(r, 0, sizeof *r);
    r->host.wake = wake;
    r->env = env;
    r->news = news;
    r->tail = &r->tasks;
    lock_init(&r->lock);
    enum status st = gate_init(&r->gate, with_fd, err);
    if (st)
        mem_free(r);
    else
        *out = r;
    return st;
}

enum status host_thread(struct env *env, const char *name, bool with_fds, struct bell *news, struct host **out,
                        struct err *err)
{
    struct run_host *r;
    TRY(make(env, with_fds, news, &r, err));
    *out = &r->host;
    enum status st = env_thread(env, name, loop, r, &r->thread, err);
    if (st) {
        gate_done(&r->gate);
        mem_free(r);
        *out = NULL;
    }
    return st;
}

enum status host_driver(struct env *env, uint64_t shuffle, struct bell *news, struct host **out, struct err *err)
{
    struct run_host *r;
    TRY(make(env, true, news, &r, err));
    r->shuffle = shuffle;
    *out = &r->host;
    return ST_OK;
}

void host_free(struct host *h)
{
    if (!h) return;
    struct run_host *r = of(h);
    atomic_store(&r->stop, true);
    wake(h);
    thread_join(r->thread);
    gate_done(&r->gate);
    lock_done(&r->lock);
    watched_done(&r->watched);
    mem_free(r);
}

/* Picks one due task at random: every interleaving of steps can come up. */
static bool shuffled_round(struct run_host *r)
{
    take_incoming(r);
    int64_t now = env_now_us(r->env);
    uint64_t n = 0;
    for (struct task *t = r->tasks; t; t = t->next) n += due(t, now);
    if (!n) return false;
    r->shuffle = r->shuffle * 6364136223846793005u + 1442695040888963407u;
    uint64_t pick = (r->shuffle >> 33) % n;
    for (struct task *t = r->tasks; t; t = t->next)
        if (due(t, now) && !pick--) {
            step(r, t, now);
            break;
        }
    return true;
}

/* Makes driver_fd readable by what the tasks wait for now. */
static int watch(struct run_host *r)
{
    collect_fds(r, &r->watched);
    return gate_watch(&r->gate, r->watched.fds + 1, r->watched.n - 1);
}

/* With the lock held. Afterwards driver_fd is readable when there is something to do, or will be by the next wake. */
static bool settle(struct run_host *r, int64_t *wake_us)
{
    take_incoming(r);
    if (r->gate.epoll >= 0) watch(r);
    gate_prepare(&r->gate);
    bool more = anything_due(r, wake_us);
    if (more) gate_wake(&r->gate);
    return more;
}

/* Lets a thread that is parked look again: deadlines may have changed. */
static void nudge(struct run_host *r)
{
    if (!atomic_load(&r->parked)) return;
    gate_prepare(&r->gate);
    gate_wake(&r->gate);
}

bool driver_run(struct host *h, int64_t max_us, int64_t *wake_us)
{
    struct run_host *r = of(h);
    lock_take(&r->lock);
    park_fds(r, 0); /* takes note of descriptors that are ready */
    gate_drain(&r->gate);
    int64_t until = env_now_us(r->env) + max_us;
    bool more = true;
    /* A simulated clock stands while tasks run, so rounds are counted as well. */
    for (int64_t n = 0; more && n < max_us && env_now_us(r->env) < until; n++)
        more = r->shuffle ? shuffled_round(r) : round_of(r);
    more = settle(r, wake_us);
    if (more) env_rest(r->env, until);
    lock_give(&r->lock);
    nudge(r);
    return more;
}

bool driver_due(struct host *h, int64_t *wake_us)
{
    struct run_host *r = of(h);
    lock_take(&r->lock);
    park_fds(r, 0);
    bool more = settle(r, wake_us);
    lock_give(&r->lock);
    return more;
}

bool driver_park(struct host *h, int64_t until)
{
    struct run_host *r = of(h);
    struct watched own = {0};
    int64_t now = env_now_us(r->env), wake_us;
    if (now >= until) return false;
    atomic_fetch_add(&r->parked, 1);
    lock_take(&r->lock);
    bool more = settle(r, &wake_us);
    collect_fds(r, &own);
    lock_give(&r->lock);
    int n = own.n - 1;
    bool never = wake_us == INT64_MAX && until == INT64_MAX && !n;
    if (wake_us > until) wake_us = until;
    if (!more && !never && !(wake_us < INT64_MAX && env_rest(r->env, wake_us)))
        gate_park_fds(&r->gate, own.fds, own.n, wake_us == INT64_MAX ? -1 : wake_us > now ? wake_us - now : 0);
    lock_take(&r->lock);
    more = settle(r, &wake_us);
    lock_give(&r->lock);
    atomic_fetch_sub(&r->parked, 1);
    watched_done(&own);
    return !never && (more || n || env_now_us(r->env) > now); /* else a clock that stands, and nothing to wait for */
}

void driver_hold(struct host *h) { lock_take(&of(h)->lock); }
void driver_let(struct host *h) { lock_give(&of(h)->lock); }

int driver_fd(struct host *h)
{
    struct run_host *r = of(h);
    lock_take(&r->lock);
    int fd = watch(r);
    lock_give(&r->lock);
    return fd;
}
