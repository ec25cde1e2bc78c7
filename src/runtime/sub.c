/* Subscriptions in the process: rings straight from the workers, merged by the caller of sub_recv, so a row
 * passes two sleeping hops at most (pusher, worker, subscriber). SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

struct sub {
    struct runtime *rt;
    struct node *from;
    struct component *component;
    struct arena *arena;
    struct schema *schema;
    bool changelog;
    struct gate gate;
    int nedges, turn;
    struct edge **edges;
    int64_t watermark;
    bool ended;
    _Atomic bool canceled;
    _Atomic bool closed; /* the caller has let go */
};

struct sub *sub_new(struct runtime *rt, struct node *from, const struct plan *plan, struct component *c, struct err *err)
{
    struct sub *s = mem_aligned(64, sizeof *s);
    memset(s, 0, sizeof *s);
    s->rt = rt;
    s->from = from;
    s->component = c;
    s->arena = arena_new();
    s->schema = schema_copy(s->arena, plan->schema);
    s->changelog = plan->stream != STREAM_APPEND;
    s->watermark = TS_MIN;
    if (gate_init(&s->gate, false, err)) {
        arena_free(s->arena);
        mem_free(s);
        return NULL;
    }
    s->nedges = from->ninst;
    s->edges = mem_zalloc(sizeof *s->edges * (size_t)s->nedges);
    for (int i = 0; i < s->nedges; i++) {
        s->edges[i] = edge_new(rt);
        s->edges[i]->reader = (struct waker){.gate = &s->gate};
        s->edges[i]->no_barriers = true;
    }
    return s;
}

void sub_free(struct sub *s)
{
    if (!s) return;
    for (int i = 0; i < s->nedges; i++) edge_free(s->edges[i]);
    mem_free(s->edges);
    gate_done(&s->gate);
    arena_free(s->arena);
    mem_free(s);
}

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
    if (any && low > s->watermark) s->watermark = low;
}

/* Takes messages until one is a batch. */
static struct batch *next_batch(struct sub *s)
{
    for (int idle = 0; idle < s->nedges;) {
        struct edge *e = s->edges[s->turn];
        struct msg m;
        if (e->ended || !edge_pop(e, &m)) {
            s->turn = (s->turn + 1) % s->nedges;
            idle++;
            continue;
        }
        idle = 0;
        if (msg_tag(m) == MSG_BATCH) {
            e->idle = false;
            return m.batch;
        }
        e->idle = msg_tag(m) == MSG_IDLE;
        if (!e->idle && m.ts != TS_MIN) e->wm = m.ts;
        if (msg_tag(m) == MSG_END) {
            e->ended = true;
            e->end_kind = msg_kind(m);
        }
        note_watermark(s);
    }
    return NULL;
}

static bool all_ended(struct sub *s)
{
    for (int i = 0; i < s->nedges; i++)
        if (!s->edges[i]->ended) return false;
    return true;
}

/* ST_WAIT: nothing yet. */
static enum status look(struct sub *s, struct batch **out, struct err *err)
{
    if (atomic_load(&s->canceled)) return err_set(err, E_CANCELED, "the subscription was canceled");
    if ((*out = next_batch(s))) return ST_OK;
    if (!all_ended(s)) return ST_WAIT;
    struct component *c = component_of(s->component);
    if (atomic_load(&c->failed)) {
        if (err) *err = c->err;
        return c->err.code;
    }
    return ST_DONE;
}

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

enum status sub_recv(struct sub *s, int64_t timeout_us, struct batch **out, struct err *err)
{
    struct look l = {s, out, err, ST_WAIT};
    if (s->rt->driver) {
        runtime_wait(s->rt, look_fact, &l, timeout_us);
        return l.st;
    }
    if (look_fact(&l) || !timeout_us) return l.st;
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(s->rt->env) + timeout_us;
    for (struct ladder ladder = {0};;) {
        if (look_fact(&l)) return l.st;
        if (ladder_climb(&ladder)) continue;
        int64_t now = env_now_us(s->rt->env);
        if (now >= until) return ST_WAIT;
        gate_prepare(&s->gate);
        if (look_fact(&l)) {
            gate_cancel(&s->gate);
            return l.st;
        }
        gate_park(&s->gate, timeout_us < 0 ? -1 : until - now);
    }
}

int64_t sub_watermark(struct sub *s) { return s->watermark; }
const struct schema *sub_schema(struct sub *s) { return s->schema; }
bool sub_changelog(struct sub *s) { return s->changelog; }
struct edge *sub_edge(struct sub *s, int i) { return s->edges[i]; }
struct node *sub_node(struct sub *s) { return s->from; }
bool sub_closed(struct sub *s) { return atomic_load(&s->closed); }
bool sub_ended(struct sub *s) { return all_ended(s); }
struct runtime *sub_runtime(struct sub *s) { return s->rt; }

void sub_cancel(struct sub *s)
{
    atomic_store(&s->canceled, true);
    gate_wake(&s->gate);
}

void sub_let_go(struct sub *s)
{
    for (int i = 0; i < s->nedges; i++)
        if (!s->edges[i]->drop) edge_close(s->edges[i]);
    atomic_store(&s->closed, true);
}

void sub_drain(struct sub *s)
{
    for (int i = 0; i < s->nedges; i++) edge_drain(s->edges[i]);
}
