/* Pushed sources: a part whose batches come from callers under its reader's lock. Nobody waits for room with the lock held:
 * callers queue and are served in order. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

/* With the lock held. The task of a pushed source only waits on others' behalf: barriers, room, idleness, the end. */
static enum step pushed_step_locked(struct part *p, int64_t now, int64_t *wake_us)
{
    struct reader *r = p->reader;
    enum step out;
    if (part_before_rows(p, &out)) {
        if (out == STEP_DONE || !p->batch) bell_ring(&r->room);
        return out;
    }
    if (r->pushed_end && !r->queue && !p->batch && p->at_rest == p->nrest)
        return part_finish(p, r->rt->cfg.eof_hold ? END_HOLD : END_FLUSH);
    part_look_for_idle(p, now, wake_us);
    bell_ring(&r->room);
    return STEP_WAIT;
}

static enum step pushed_step(struct task *t, int64_t now, int64_t *wake_us)
{
    struct part *p = container_of(t, struct part, task);
    lock_take(&p->reader->lock);
    enum step s = pushed_step_locked(p, now, wake_us);
    lock_give(&p->reader->lock);
    return s;
}

const struct task_class pushed_class = {.name = "pushed", .step = pushed_step};

/* A caller that waits for its turn; on its own stack, in the reader's queue. */
struct push_wait {
    struct reader *r;
    struct push_wait *next;
};

static bool may_push(struct push_wait *w)
{
    struct part *p = &w->r->parts[0];
    return p->over || p->left || (w->r->queue == w && !p->batch && p->at_rest == p->nrest && !p->holding && !part_is_held(p));
}

static bool may_push_fact(void *ctx)
{
    struct push_wait *w = ctx;
    lock_take(&w->r->lock);
    bool may = may_push(w);
    lock_give(&w->r->lock);
    return may;
}

static bool wait_room(struct push_wait *w, int64_t timeout_us)
{
    struct runtime *rt = w->r->rt;
    if (rt->driver) return runtime_wait(rt, may_push_fact, w, timeout_us);
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(rt->env) + timeout_us;
    for (;;) {
        uint32_t seen = bell_count(&w->r->room);
        if (may_push_fact(w)) return true;
        int64_t now = env_now_us(rt->env);
        if (now >= until) return false;
        bell_wait(&w->r->room, seen, timeout_us < 0 ? -1 : until - now);
    }
}

/* Enters the queue and waits to be at its head with room; the lock is held before and after. Leaves the queue. */
static bool take_turn(struct reader *r, int64_t timeout_us)
{
    struct push_wait w = {r, NULL}, **tail = &r->queue;
    while (*tail) tail = &(*tail)->next;
    *tail = &w;
    bool mine = may_push(&w);
    if (!mine) {
        count(&r->parts[0].waits, 1);
        lock_give(&r->lock);
        mine = wait_room(&w, timeout_us);
        lock_take(&r->lock);
    }
    struct push_wait **at = &r->queue;
    while (*at != &w) at = &(*at)->next;
    *at = w.next;
    return mine;
}

static enum status closed(struct reader *r, struct err *err)
{
    return err_set(err, E_NO_READER, "nothing reads source \"%s\"", r->object->name);
}

static enum status no_room(struct reader *r, struct err *err)
{
    return err_set(err, E_TIMEOUT, "source \"%s\" has no room", r->object->name);
}

/* Looked at when it is a caller's turn: the barrier that waits for the first row may be the last. */
static bool is_closed(struct part *p)
{
    struct reader *r = p->reader;
    if (p->over || r->pushed_end || part_all_closed(p)) return true;
    if (r->overflow == FULL_DROPS_OLDEST && reader_leaving(r)) return true; /* what waits goes first, so no more may come */
    part_begin(p);
    return p->left;
}

static uint64_t rows_of(struct batch **b, int n)
{
    uint64_t rows = 0;
    for (int i = 0; i < n; i++) rows += b[i]->rows;
    return rows;
}

/* The batches of a push stay in the caller's order, and no other's come between. */
static void take(struct part *p, struct batch **b, int n)
{
    for (int i = 1; i < n; i++) part_keep(p, b[i]);
    part_take(p, &p->splits[0], b[0]);
    part_hand_on(p); /* what finds no room is accepted all the same and goes on from the reader's task */
}

static void drop_batch(struct part *p, struct batch *b)
{
    count(&p->dropped, b->rows);
    batch_unref(b);
}

/* Rows wait before the graph up to a ring's worth; of what is more the oldest go. */
static void take_dropping(struct part *p, struct batch **b, int n)
{
    for (int i = 0; i < n; i++) part_keep(p, b[i]);
    while (p->rest_bytes > p->reader->rt->cfg.ring_bytes && p->nrest - p->at_rest > 1) drop_batch(p, part_oldest(p));
    task_wake(&p->task);
}

/* There is room, or none is needed. */
static enum status push_now(struct reader *r, struct batch **b, int n, struct err *err)
{
    struct part *p = &r->parts[0];
    bool room = !r->queue && !p->batch && p->at_rest == p->nrest && !p->holding && !part_is_held(p);
    if (!room && r->overflow == FULL_FAILS) {
        err_set(err, E_FULL, "source \"%s\" has no room", r->object->name);
        err_hint(err, "push again later, or create the source with overflow = 'block'");
        return E_FULL;
    }
    count(&p->accepted, rows_of(b, n));
    if (room)
        take(p, b, n);
    else if (r->overflow == FULL_DROPS_OLDEST)
        take_dropping(p, b, n);
    else
        for (int i = 0; i < n; i++) drop_batch(p, b[i]);
    return ST_OK;
}

static enum status push_waiting(struct reader *r, struct batch **b, int n, int64_t timeout_us, struct err *err)
{
    struct part *p = &r->parts[0];
    if (!take_turn(r, timeout_us)) return no_room(r, err);
    if (is_closed(p)) return closed(r, err);
    count(&p->accepted, rows_of(b, n));
    take(p, b, n);
    return ST_OK;
}

enum status reader_push(struct reader *r, struct batch **b, int n, int64_t timeout_us, struct err *err)
{
    struct part *p = &r->parts[0];
    lock_take(&r->lock);
    enum status st;
    if (r->overflow == FULL_WAITS)
        st = push_waiting(r, b, n, timeout_us, err);
    else
        st = is_closed(p) ? closed(r, err) : push_now(r, b, n, err);
    lock_give(&r->lock);
    bell_ring(&r->room);
    if (!st && r->idle_us && !atomic_load(&p->idle_armed)) task_wake(&p->task); /* arms the idle timer */
    return st;
}

enum status reader_offer(struct reader *r, struct batch *b)
{
    struct part *p = &r->parts[0];
    enum status st = ST_OK;
    lock_take(&r->lock);
    if (p->over || r->pushed_end || part_all_closed(p)) {
        st = E_NO_READER;
    } else if (r->queue || p->left || p->batch || p->at_rest < p->nrest || p->holding || part_is_held(p)) {
        st = ST_FULL;
    } else {
        part_begin(p);
        part_take(p, &p->splits[0], b);
        part_hand_on(p);
    }
    lock_give(&r->lock);
    if (!st && r->idle_us && !atomic_load(&p->idle_armed)) task_wake(&p->task);
    return st;
}

enum status reader_push_watermark(struct reader *r, int64_t us, struct err *err)
{
    struct part *p = &r->parts[0];
    lock_take(&r->lock);
    enum status st = ST_OK;
    if (!take_turn(r, -1)) {
        st = no_room(r, err); /* under a driver: whoever is to make some is this caller */
    } else if (is_closed(p)) {
        st = closed(r, err);
    } else {
        struct split *s = &p->splits[0];
        int64_t high;
        if (__builtin_add_overflow(us, r->delay_us, &high)) high = TS_MAX - 1;
        if (high > s->highest) s->highest = high;
        s->idle = false;
        part_say_watermark(p);
    }
    lock_give(&r->lock);
    bell_ring(&r->room);
    return st;
}

void reader_push_end(struct reader *r)
{
    lock_take(&r->lock);
    r->pushed_end = true;
    lock_give(&r->lock);
    task_wake(&r->parts[0].task);
}

void reader_pin(struct reader *r) { atomic_fetch_add(&r->pins, 1); }
bool reader_pinned(struct reader *r) { return atomic_load(&r->pins); }

void reader_unpin(struct reader *r) { atomic_fetch_sub(&r->pins, 1); }
