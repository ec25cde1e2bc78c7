/* Hosts: see host.h. The loop of both kinds: take over tasks that were handed in, step every task that is woken or due, and
 * when none ran, park until one is. A wake sets the task's flag, then the gate, so the flag looked at after
 * gate_prepare cannot be missed. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/host.h"

#include "arrow/batch.h"
#include "base/mem.h"

#include <stdio.h>

#define FDS_MAX 60

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
    uint64_t shuffle;
    bool stepping; /* driver: a step is running, do not nest */
};

static struct run_host *of(struct host *h) { return container_of(h, struct run_host, host); }

static void wake(struct host *h) { gate_wake(&of(h)->gate); }

void host_add(struct host *h, struct task *t)
{
    struct run_host *r = of(h);
    t->host = h;
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
    return atomic_load_explicit(&t->woken, memory_order_acquire) || t->wake_us <= now;
}

/* Steps the task at *at; returns false when it left the host. */
static bool step(struct run_host *r, struct task **at, int64_t now)
{
    struct task *t = *at;
    atomic_store_explicit(&t->woken, false, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* what was stored before task_wake is seen by the step */
    int64_t wake_us = INT64_MAX;
    pool_adopt(r->thread ? t->pool : NULL); /* a driver's steps may come from changing threads */
    enum step s = t->class->step(t, now, &wake_us);
    t->wake_us = wake_us;
    if (s == STEP_AGAIN) atomic_store_explicit(&t->woken, true, memory_order_relaxed);
    if (s != STEP_DONE) return true;
    *at = t->next;
    if (r->tail == &t->next) r->tail = at;
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
    for (struct task **at = &r->tasks; *at;) {
        if (!due(*at, now)) {
            at = &(*at)->next;
            continue;
        }
        any = true;
        if (step(r, at, now)) at = &(*at)->next;
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
        if (t->wake_us < *wake_us) *wake_us = t->wake_us;
    }
    return false;
}

/* The descriptors tasks wait for. */
static int collect_fds(struct run_host *r, struct pollfd *fds, struct task **who)
{
    int n = 0;
    for (struct task *t = r->tasks; t && n < FDS_MAX; t = t->next) {
        if (!t->class->fds) continue;
        int k = t->class->fds(t, fds + n, FDS_MAX - n);
        for (int i = 0; i < k; i++) who[n + i] = t;
        n += k;
    }
    return n;
}

static void park_fds(struct run_host *r, int64_t timeout)
{
    struct pollfd fds[FDS_MAX];
    struct task *who[FDS_MAX];
    int n = collect_fds(r, fds, who);
    gate_park_fds(&r->gate, fds, n, timeout);
    for (int i = 0; i < n; i++)
        if (fds[i].revents) atomic_store(&who[i]->woken, true);
}

static void park(struct run_host *r)
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
}

bool driver_park(struct host *h, int64_t wake_us, int64_t until)
{
    struct run_host *r = of(h);
    struct pollfd fds[FDS_MAX];
    struct task *who[FDS_MAX];
    int64_t now = env_now_us(r->env);
    if (now >= until) return false;
    if (wake_us == INT64_MAX && until == INT64_MAX && !collect_fds(r, fds, who)) return false;
    if (wake_us > until) wake_us = until;
    gate_prepare(&r->gate);
    if (anything_due(r, &(int64_t){0})) {
        gate_cancel(&r->gate);
        return true;
    }
    int64_t wait_us = wake_us == INT64_MAX ? -1 : wake_us > now ? wake_us - now : 0;
    park_fds(r, wait_us);
    return env_now_us(r->env) > now; /* a virtual clock stands still: its owner moves it */
}

static void loop(void *arg)
{
    struct run_host *r = arg;
    struct ladder ladder = {0};
    while (!atomic_load(&r->stop)) {
        if (round_of(r)) {
            ladder.step = 0;
        } else if (!ladder_climb(&ladder)) {
            park(r);
            ladder.step = 0;
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
    for (struct task **at = &r->tasks; *at; at = &(*at)->next)
        if (due(*at, now) && !pick--) {
            step(r, at, now);
            break;
        }
    return true;
}

bool driver_run(struct host *h, int64_t max_us, int64_t *wake_us)
{
    struct run_host *r = of(h);
    if (r->stepping) return *wake_us = INT64_MAX, false;
    r->stepping = true;
    park_fds(r, 0); /* takes note of descriptors that are ready */
    gate_drain(&r->gate);
    int64_t until = env_now_us(r->env) + max_us;
    bool more = true;
    do {
        more = r->shuffle ? shuffled_round(r) : round_of(r);
    } while (more && env_now_us(r->env) < until);
    gate_prepare(&r->gate); /* from here on a wake makes driver_fd readable */
    more = anything_due(r, wake_us);
    if (more) gate_cancel(&r->gate);
    r->stepping = false;
    return more;
}

int driver_fd(struct host *h)
{
    struct pollfd fds[FDS_MAX];
    struct task *who[FDS_MAX];
    return gate_watch(&of(h)->gate, fds, collect_fds(of(h), fds, who));
}
