/* Subscriptions in the process: edges straight from the workers, merged by the caller of sub_recv, so a row passes two
 * sleeping hops at most (pusher, worker, subscriber). One that wants to be called is a task instead.
 *
 * The descriptor. After each call it is readable, or the gate is armed: then nothing was there, and whoever brings something
 * makes it readable. So the drain at the end of a burst and the wake at the start of the next are all the system calls there
 * are, however many rows come between. SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"
#include "runtime/run_int.h"

#define BUFFER_BYTES (4 << 20)

struct sub {
    struct runtime *rt;
    struct node *from;
    struct component *component;
    struct arena *arena;
    struct schema *schema;
    bool changelog;
    struct gate gate;
    struct ladder ladder;
    bool watched;       /* the gate has a descriptor */
    int nedges, turn;
    struct edge **edges;
    struct resume *resume; /* instead of edges; or NULL */
    struct arena *own;     /* of its plan */
    struct batch *held; /* taken, and to be given at the next call */
    uint64_t gap_rows, gap_batches;
    bool gap_due;       /* the gap is to be given before that */
    _Atomic int64_t watermark;
    _Atomic uint64_t epoch, sequence, delivered_rows, delivered_batches;
    _Atomic bool canceled;
    _Atomic bool closed; /* the caller has let go */
    /* one that is called */
    struct task task;
    bool calls, begun;
    enum step (*fn)(void *ctx, bool stop);
    void *fn_ctx;
    _Atomic bool stop;
};

static const struct task_class call_class;

static struct waker waker_of(struct sub *s)
{
    return s->calls ? (struct waker){.task = &s->task} : (struct waker){.gate = &s->gate};
}

/* What wakes the task may come before sub_call: until then its host does not know it. */
static enum status open_waiter(struct sub *s, struct err *err)
{
    s->task.class = &call_class;
    if (s->calls) TRY(runtime_callback_host(s->rt, &s->task.host, err));
    return gate_init(&s->gate, false, err);
}

/* Without what it reads. */
static struct sub *new_sub(struct runtime *rt, struct node *from, const struct plan *plan, struct component *c, const struct sub_config *cfg,
                           struct err *err)
{
    struct sub *s = mem_aligned(64, sizeof *s);
    memset(s, 0, sizeof *s);
    s->rt = rt;
    s->from = from;
    s->component = c;
    s->calls = cfg->calls;
    s->watermark = TS_MIN;
    if (open_waiter(s, err)) {
        mem_free(s);
        return NULL;
    }
    component_of(c)->watched = true;
    s->arena = arena_new();
    s->schema = schema_copy(s->arena, plan->schema);
    s->changelog = plan->stream != STREAM_APPEND;
    return s;
}

struct sub *sub_new(struct runtime *rt, struct node *from, const struct plan *plan, struct component *c,
                    const struct sub_config *cfg, struct err *err)
{
    struct sub *s = new_sub(rt, from, plan, c, cfg, err);
    if (!s) return NULL;
    s->nedges = from->ninst;
    s->edges = mem_zalloc(sizeof *s->edges * (size_t)s->nedges);
    int64_t bytes = (cfg->bytes ? cfg->bytes : BUFFER_BYTES) / s->nedges;
    for (int i = 0; i < s->nedges; i++) {
        s->edges[i] = edge_new_tap(from->inst[i], cfg, bytes ? bytes : 1);
        s->edges[i]->reader = waker_of(s);
    }
    return s;
}

struct sub *sub_new_at(struct runtime *rt, struct outlet *o, const struct plan *plan, uint64_t epoch, const struct sub_config *cfg,
                       struct err *err)
{
    struct sub *s = new_sub(rt, outlet_node(o), plan, outlet_node(o)->component, cfg, err);
    if (!s) return NULL;
    s->epoch = epoch;
    s->resume = resume_new(rt, o, plan, epoch, (struct log_reader){s->calls ? &s->task : NULL, s->calls ? NULL : &s->gate}, err);
    if (s->resume) return s;
    sub_free(s);
    return NULL;
}

void sub_own(struct sub *s, struct arena *a) { s->own = a; }

void sub_free(struct sub *s)
{
    if (!s) return;
    batch_unref(s->held);
    resume_free(s->resume);
    if (s->own) arena_free(s->own);
    for (int i = 0; i < s->nedges; i++) edge_free(s->edges[i]);
    mem_free(s->edges);
    gate_done(&s->gate);
    arena_free(s->arena);
    mem_free(s);
}

/* ---- taking ---------------------------------------------------------------------------------------------------------- */

static void note_watermark(struct sub *s)
{
    int64_t low = TS_MAX;
    bool any = false;
    for (int i = 0; i < s->nedges; i++) {
        struct edge *e = s->edges[i];
        if (e->idle || (e->ended && e->end_kind == END_FLUSH)) continue;
        any = true;
        if (e->wm < low) low = e->wm;
    }
    if (any && low > atomic_load_explicit(&s->watermark, memory_order_relaxed))
        atomic_store_explicit(&s->watermark, low, memory_order_relaxed);
}

/* The lowest of those that may still bring rows. */
static void note_epoch(struct sub *s)
{
    uint64_t low = UINT64_MAX;
    for (int i = 0; i < s->nedges; i++)
        if (!s->edges[i]->ended && s->edges[i]->tap->epoch_seen < low) low = s->edges[i]->tap->epoch_seen;
    if (low != UINT64_MAX) atomic_store_explicit(&s->epoch, low, memory_order_relaxed);
}

/* Takes what the edges have until a batch or a gap is there. */
static bool take_next(struct sub *s)
{
    for (int idle = 0; idle < s->nedges;) {
        struct edge *e = s->edges[s->turn];
        struct tapped t;
        if (!edge_tap(e, &t)) {
            s->turn = s->turn + 1 < s->nedges ? s->turn + 1 : 0;
            idle++;
            continue;
        }
        idle = 0;
        if (!t.b || e->tap->feed) note_watermark(s);
        if (!t.b && !t.gap_rows) continue;
        s->held = t.b;
        s->gap_due = t.gap_rows;
        if (!s->gap_due) return true;
        s->gap_rows = t.gap_rows;
        s->gap_batches = t.gap_batches;
        return true;
    }
    note_epoch(s);
    return false;
}

static bool all_ended(struct sub *s)
{
    for (int i = 0; i < s->nedges; i++)
        if (!s->edges[i]->ended) return false;
    return true;
}

static void add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

static struct batch *give(struct sub *s)
{
    if (s->gap_due) {
        s->gap_due = false;
        add(&s->sequence, s->gap_batches);
        return NULL;
    }
    add(&s->sequence, 1);
    add(&s->delivered_batches, 1);
    add(&s->delivered_rows, s->held->rows);
    if (s->resume)
        resume_advance(s->resume);
    else
        note_epoch(s);
    return TAKE(s->held);
}

/* From history. */
static enum status take_resumed(struct sub *s, struct err *err)
{
    struct resumed r = {NULL, s->watermark, s->epoch};
    enum status st = resume_take(s->resume, &r, err);
    atomic_store_explicit(&s->watermark, r.watermark, memory_order_relaxed);
    atomic_store_explicit(&s->epoch, r.epoch, memory_order_relaxed);
    s->held = r.b;
    return st;
}

static enum status take_more(struct sub *s, struct err *err)
{
    if (s->resume) return take_resumed(s, err);
    return take_next(s) ? ST_OK : all_ended(s) ? ST_DONE : ST_WAIT;
}

/* ST_WAIT: nothing yet. out NULL: what is there stays for the next look. */
static enum status look(struct sub *s, struct batch **out, struct err *err)
{
    if (atomic_load(&s->canceled)) return err_set(err, E_CANCELED, "the subscription was canceled");
    enum status st = s->held || s->gap_due ? ST_OK : take_more(s, err);
    if (!st && out) *out = give(s);
    if (st != ST_DONE) return st;
    struct component *c = component_of(s->component);
    if (atomic_load(&c->failed)) {
        if (err) *err = c->err;
        return c->err.code;
    }
    return ST_DONE;
}

/* ---- waiting --------------------------------------------------------------------------------------------------------- */

struct look {
    struct sub *sub;
    struct batch **out;
    struct err *err;
    enum status st;
};

static bool look_fact(void *ctx)
{
    struct look *l = ctx;
    l->st = look(l->sub, l->out, l->err);
    return l->st != ST_WAIT;
}

static void wait(struct look *l, int64_t timeout_us)
{
    struct sub *s = l->sub;
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(s->rt->env) + timeout_us;
    while (!look_fact(l)) {
        if (ladder_climb(&s->ladder)) continue;
        int64_t now = env_now_us(s->rt->env);
        if (now >= until) break;
        gate_prepare(&s->gate);
        if (look_fact(l)) {
            gate_cancel(&s->gate);
            break;
        }
        gate_park(&s->gate, timeout_us < 0 ? -1 : until - now);
        ladder_slept(&s->ladder, env_now_us(s->rt->env) - now);
    }
    ladder_found(&s->ladder);
    if (l->st == ST_WAIT) return;
    if (s->watched) gate_signal(&s->gate); /* the gate may have taken it back, and there may be more */
}

/* Nothing was there: arms the gate, so that the descriptor stays unreadable until something is. */
static void arm(struct sub *s)
{
    if (gate_armed(&s->gate)) return;
    gate_drain(&s->gate);
    gate_prepare(&s->gate);
    if (look(s, NULL, NULL) != ST_WAIT) gate_wake(&s->gate);
}

enum status sub_recv(struct sub *s, int64_t timeout_us, struct batch **out, struct err *err)
{
    struct look l = {s, out, err, ST_WAIT};
    *out = NULL;
    if (s->rt->driver && !s->calls)
        runtime_wait(s->rt, look_fact, &l, timeout_us);
    else if (!look_fact(&l) && timeout_us)
        wait(&l, timeout_us);
    if (l.st == ST_WAIT && s->watched) arm(s);
    return l.st;
}

enum status sub_watch(struct sub *s, int *fd, struct err *err)
{
    TRY(gate_share_fd(&s->gate, fd, err));
    s->watched = true;
    gate_cancel(&s->gate);
    arm(s);
    return ST_OK;
}

/* ---- being called ------------------------------------------------------------------------------------------------------ */

static _Thread_local const struct runtime *calling;

bool runtime_calling(const struct runtime *rt) { return calling == rt; }

static enum step step(struct task *t, int64_t now_us, int64_t *wake_us)
{
    (void)now_us, (void)wake_us;
    struct sub *s = container_of(t, struct sub, task);
    const struct runtime *outer = calling;
    calling = s->rt;
    enum step st = s->fn(s->fn_ctx, atomic_load(&s->stop));
    calling = outer;
    return st;
}

static const struct task_class call_class = {.name = "callback", .step = step, .outside = true};

void sub_call(struct sub *s, enum step (*fn)(void *ctx, bool stop), void *ctx)
{
    s->fn = fn;
    s->fn_ctx = ctx;
    s->begun = true;
    host_add(s->task.host, &s->task);
}

bool sub_idle(struct sub *s) { return !s->begun || atomic_load_explicit(&s->task.done, memory_order_acquire); }

void sub_stop_calls(struct sub *s)
{
    atomic_store(&s->stop, true);
    if (!sub_idle(s)) task_wake(&s->task);
}

/* ---- the rest ----------------------------------------------------------------------------------------------------------- */

void sub_gap(struct sub *s, uint64_t *rows, uint64_t *batches)
{
    *rows = s->gap_rows;
    *batches = s->gap_batches;
}

void sub_stats(struct sub *s, struct sub_stats *out)
{
    *out = (struct sub_stats){
        .delivered_rows = s->delivered_rows, .delivered_batches = s->delivered_batches, .sequence = s->sequence,
        .epoch = s->epoch, .watermark = s->watermark};
    for (int i = 0; i < s->nedges; i++) {
        struct tap *t = s->edges[i]->tap;
        out->rows += t->rows;
        out->batches += t->batches;
        out->sampled_rows += t->sampled_rows;
        out->dropped_rows += t->sampled_rows + t->dropped_rows;
        out->dropped_batches += t->dropped_batches;
    }
    if (!s->resume) return;
    out->rows = out->delivered_rows + resume_lag(s->resume);
    out->batches = out->delivered_batches;
}

int64_t sub_watermark(struct sub *s) { return s->watermark; }
uint64_t sub_epoch(struct sub *s) { return s->epoch; }
const struct schema *sub_schema(struct sub *s) { return s->schema; }
bool sub_changelog(struct sub *s) { return s->changelog; }
struct edge *sub_edge(struct sub *s, int i) { return s->edges[i]; }
struct node *sub_node(struct sub *s) { return s->from; }
int sub_edges(const struct sub *s) { return s->nedges; }
struct outlet *sub_outlet(const struct sub *s) { return s->resume ? resume_outlet(s->resume) : NULL; }
bool sub_closed(struct sub *s) { return atomic_load(&s->closed); }
struct runtime *sub_runtime(struct sub *s) { return s->rt; }

void sub_cancel(struct sub *s)
{
    atomic_store(&s->canceled, true);
    struct waker w = waker_of(s);
    if (!s->calls || !sub_idle(s)) waker_wake(&w);
}

void sub_let_go(struct sub *s)
{
    for (int i = 0; i < s->nedges; i++)
        if (!s->edges[i]->drop) edge_close(s->edges[i]);
    if (s->resume) resume_close(s->resume);
    atomic_store(&s->closed, true);
}

void sub_drain(struct sub *s)
{
    for (int i = 0; i < s->nedges; i++) edge_drain(s->edges[i]);
}
