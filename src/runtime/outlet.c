/* Outlets: where a stream leaves the graph. The task takes the rows of all instances of a node, aligns barriers, and appends
 * to a log that any number of sinks read. It blocks on nothing outside; when the log is full it stops reading, and
 * the stream waits.
 *
 * A node has one outlet. A sink that joins it while it runs gets its cursor from this task, which alone writes the log, as a
 * CHANGE barrier's mark is appended: it has whole what follows the mark, and nothing before. SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"
#include "runtime/run_int.h"

#define STEP_MESSAGES 16

struct outlet {
    struct task task;
    struct runtime *rt;
    struct node *from;
    struct component *component;
    struct log *log;
    int nedges;
    struct edge **edges; /* consumer ends */
    int turn;
    bool cut, ended, whole;
    _Atomic bool closing; /* no sink wants its rows any more */
    _Atomic int64_t keeps; /* bytes of history; while there are some it needs no sink */
    _Atomic bool anew;     /* the next CHANGE mark begins it anew */
    _Atomic bool waits;   /* for room in the log */
    _Atomic int64_t watermark;
    struct answer answer;
    struct lock lock; /* of what follows, `ended`, and of closing while there is a hold */
    int holds;
    struct joining *joining;
};

struct joining {
    struct joining *next;
    struct deliver *deliver;
};

static void attach_joining(struct outlet *o)
{
    for (struct joining *j = o->joining, *next; j; j = next) {
        next = j->next;
        deliver_attach(j->deliver);
        mem_free(j);
    }
    o->joining = NULL;
}

static void end_if_all(struct outlet *o)
{
    bool flush = true;
    for (int i = 0; i < o->nedges; i++) {
        if (!o->edges[i]->ended) return;
        flush &= o->edges[i]->end_kind != END_CUT;
    }
    bool whole = flush || (!atomic_load(&component_of(o->component)->failed) && o->cut);
    lock_take(&o->lock);
    attach_joining(o);
    log_append(o->log, (struct log_entry){.kind = LOG_END, .complete = whole});
    o->whole = whole;
    o->ended = true;
    lock_give(&o->lock);
    answer_end(o->rt, o->component, &o->answer);
}

static void align(struct outlet *o)
{
    uint64_t epoch = 0;
    int kind = 0;
    for (int i = 0; i < o->nedges; i++) {
        if (o->edges[i]->ended) continue;
        if (!o->edges[i]->barrier) return;
        epoch = o->edges[i]->barrier;
        kind = o->edges[i]->barrier_kind;
    }
    if (!epoch) return;
    for (int i = 0; i < o->nedges; i++) o->edges[i]->barrier = 0;
    log_append(o->log, (struct log_entry){.kind = LOG_EPOCH, .epoch = epoch});
    if (kind & BARRIER_CHANGE) {
        if (atomic_exchange(&o->anew, false)) log_forget(o->log);
        lock_take(&o->lock);
        attach_joining(o);
        lock_give(&o->lock);
    }
    answer_epoch(o->rt, o->component, &o->answer, epoch);
}

static void note_watermark(struct outlet *o)
{
    int64_t low = TS_MAX;
    bool awake = false;
    for (int i = 0; i < o->nedges; i++) {
        struct edge *e = o->edges[i];
        if (e->ended) continue;
        awake |= !e->idle;
        if ((!e->idle || e->alike) && e->wm < low) low = e->wm;
    }
    if (!awake || low <= atomic_load_explicit(&o->watermark, memory_order_relaxed) || low == TS_MAX) return;
    atomic_store_explicit(&o->watermark, low, memory_order_relaxed);
    log_append(o->log, (struct log_entry){.kind = LOG_WATERMARK, .ts = low});
}

static void take(struct outlet *o, struct edge *e, struct msg m)
{
    switch (msg_tag(m)) {
    case MSG_BATCH:
        e->idle = false;
        log_append(o->log, (struct log_entry){.kind = LOG_BATCH, .b = m.batch});
        break;
    case MSG_WATERMARK:
        e->idle = false;
        e->wm = m.ts;
        note_watermark(o);
        break;
    case MSG_IDLE:
        e->idle = true;
        note_watermark(o);
        break;
    case MSG_BARRIER:
        if (m.ts != TS_MIN) e->wm = m.ts;
        if (msg_kind(m) & BARRIER_IDLE) e->idle = true;
        note_watermark(o);
        e->barrier = msg_epoch(m);
        e->barrier_kind = msg_kind(m);
        align(o);
        break;
    case MSG_END:
        e->ended = true;
        e->end_kind = msg_kind(m);
        if (e->end_kind == END_CUT) o->cut = true;
        align(o);
        end_if_all(o);
        break;
    }
}

/* The next message of an edge that may be read. */
static bool take_next(struct outlet *o)
{
    for (int k = 0; k < o->nedges; k++) {
        struct edge *e = o->edges[o->turn];
        o->turn = (o->turn + 1) % o->nedges;
        struct msg m;
        if (e->barrier || e->ended || !edge_pop(e, &m)) continue;
        take(o, e, m);
        return true;
    }
    return false;
}

static void drop_inputs(struct outlet *o)
{
    for (int i = 0; i < o->nedges; i++) {
        struct edge *e = o->edges[i];
        if (!e->drop) edge_close(e);
        edge_drain(e);
        if (e->ended && !e->end_kind) e->end_kind = END_FLUSH;
    }
    if (!o->ended) end_if_all(o);
}

static void close_if_abandoned(struct outlet *o)
{
    if (atomic_load(&o->keeps) || !log_abandoned(o->log)) return;
    lock_take(&o->lock);
    if (!o->holds && !o->joining) atomic_store(&o->closing, true);
    lock_give(&o->lock);
}

/* Whether the log takes no more; says what the disk does not take. */
static bool log_waits(struct outlet *o, int64_t *wake_us)
{
    struct err err;
    bool full = log_full(o->log, &err);
    if (err.code) runtime_log(o->rt, 1, "stream \"%.80s\": %s; %s", o->from->name, err.text, err.hint);
    if (full) *wake_us = log_retry_us(o->log);
    if (full != atomic_load_explicit(&o->waits, memory_order_relaxed)) {
        atomic_store(&o->waits, full);
        if (full) bell_ring(&o->rt->control);
    }
    return full;
}

static enum step step(struct task *t, int64_t now_us, int64_t *wake_us)
{
    (void)now_us;
    struct outlet *o = container_of(t, struct outlet, task);
    close_if_abandoned(o);
    if (atomic_load(&o->closing) && !o->ended) {
        drop_inputs(o);
        /* Nothing more is appended, so epochs need not wait for us. */
        if (!atomic_load(&o->answer.ended)) answer_end(o->rt, o->component, &o->answer);
        return o->ended ? STEP_DONE : STEP_WAIT;
    }
    for (int k = 0; k < STEP_MESSAGES; k++) {
        if (o->ended) return STEP_DONE;
        if (log_waits(o, wake_us)) return STEP_WAIT;
        if (!take_next(o)) return o->ended ? STEP_DONE : STEP_WAIT;
    }
    return STEP_AGAIN;
}

static const struct task_class outlet_class = {.name = "outlet", .step = step};

struct outlet *outlet_new(struct runtime *rt, struct node *from, struct component *c)
{
    struct outlet *o = mem_zalloc(sizeof *o);
    o->task.class = &outlet_class;
    o->rt = rt;
    o->from = from;
    o->component = c;
    lock_init(&o->lock);
    struct log_config log = {.env = rt->env, .account = rt->account, .schema = from->schema, .memory_bytes = OUTLET_BYTES};
    if (rt->cfg.spill_path) {
        log.dir = rt->cfg.spill_path;
        log.disk_bytes = rt->cfg.spill_bytes;
        log.name = env_random(rt->env); /* others, of other processes, may use the folder */
    }
    o->log = log_new(&log, &o->task);
    o->nedges = from->ninst;
    o->edges = mem_zalloc(sizeof *o->edges * (size_t)o->nedges);
    atomic_store(&o->watermark, TS_MIN);
    for (int i = 0; i < o->nedges; i++) {
        o->edges[i] = edge_new(rt);
        o->edges[i]->reader = (struct waker){.task = &o->task};
        o->edges[i]->alike = from->alike;
    }
    return o;
}

void outlet_free(struct outlet *o)
{
    if (!o) return;
    for (int i = 0; i < o->nedges; i++) edge_free(o->edges[i]);
    mem_free(o->edges);
    log_free(o->log);
    lock_done(&o->lock);
    mem_free(o);
}

struct edge *outlet_edge(struct outlet *o, int i) { return o->edges[i]; }
struct log *outlet_log(struct outlet *o) { return o->log; }
struct answer *outlet_answer(struct outlet *o) { return &o->answer; }
struct node *outlet_node(struct outlet *o) { return o->from; }
void outlet_start(struct runtime *rt, struct outlet *o) { host_add(rt->driver ? rt->driver : rt->io, &o->task); }
bool outlet_waits(struct outlet *o) { return atomic_load(&o->waits); }
bool outlet_done(struct outlet *o) { return atomic_load(&o->task.done); }

/* Without a folder history lies in memory, beside what sinks may leave there; with one it goes to disk as all else does. */
void outlet_keep(struct outlet *o, int64_t bytes, bool anew)
{
    const struct run_config *cfg = &o->rt->cfg;
    log_set_limits(o->log, OUTLET_BYTES + (cfg->spill_path ? 0 : bytes), cfg->spill_path ? cfg->spill_bytes + bytes : 0);
    log_retain(o->log, bytes);
    atomic_store(&o->anew, anew);
    atomic_store(&o->keeps, bytes);
}

int64_t outlet_keeps(const struct outlet *o) { return atomic_load(&o->keeps); }

void outlet_close(struct outlet *o)
{
    atomic_store(&o->closing, true);
    if (o->task.host && !outlet_done(o)) task_wake(&o->task);
}

bool outlet_hold(struct outlet *o)
{
    lock_take(&o->lock);
    bool open = !atomic_load(&o->closing) && !o->ended;
    if (open) o->holds++;
    lock_give(&o->lock);
    return open;
}

void outlet_let_go(struct outlet *o)
{
    lock_take(&o->lock);
    o->holds--;
    lock_give(&o->lock);
    if (!outlet_done(o)) task_wake(&o->task);
}

void outlet_join(struct outlet *o, struct deliver *d)
{
    struct joining *j = mem_alloc(sizeof *j);
    lock_take(&o->lock);
    o->holds--;
    *j = (struct joining){o->joining, d};
    o->joining = j;
    if (o->ended) { /* the task is over; who has read the first END looks no further */
        attach_joining(o);
        log_append(o->log, (struct log_entry){.kind = LOG_END, .complete = o->whole});
    }
    lock_give(&o->lock);
}

void outlet_unjoin(struct outlet *o, struct deliver *d)
{
    lock_take(&o->lock);
    for (struct joining **at = &o->joining, *j; (j = *at); at = &j->next)
        if (j->deliver == d) {
            *at = j->next;
            mem_free(j);
            break;
        }
    lock_give(&o->lock);
    if (!outlet_done(o)) task_wake(&o->task);
}
