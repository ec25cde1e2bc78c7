/* Readers: what feeds the graph from one source. A reader has one or more parts, each a task with its own instance of
 * the connector and the splits dealt to it (split % parts); part p sends its rows to worker p. It has a ring to every worker: the
 * others are told that it is idle, and get its barriers and its end.
 *
 * A part takes one decoded batch at a time and cuts it where the watermark must be said first: before a row that is behind
 * the watermark, if the watermark has moved since it was last said. So what a row meets never depends on how rows
 * were cut into batches. The watermark is the minimum over the part's splits of the highest time seen minus the
 * delay. A barrier enters between two decoded batches; the positions kept for it are those behind the last row.
 *
 * A pushed source (no connector, or replay) is the same part whose batches come from callers under its lock. Nobody waits for
 * room with the lock held: callers queue and are served in order. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#include "connector/connector.h"

#include <stdio.h>

struct split {
    int number;
    struct decoder *decoder;
    char *buf; /* what the decoder left of a payload, while it is not in front of the next */
    size_t cap;
    struct position at;      /* behind the last row handed on */
    struct position payload; /* COLUMNS: the position after the batch at hand */
    bool input_ended, ended;
    int64_t highest, last_row_us;
    bool idle;
    struct position kept;    /* at the last FREEZE barrier */
    int64_t kept_highest;
    bool kept_ended;
};

struct part {
    struct task task;
    struct lock lock;    /* of source against cancel, and of last_error */
    struct reader *reader;
    int index;
    struct pool *pool;
    struct edge **edges; /* producer ends, one per worker */
    struct source *source;
    int nsplits, turn;
    struct split *splits;
    struct batch *batch; /* at hand */
    struct split *from;  /* its split */
    struct batch **rest; /* of a push: to be taken in hand after it */
    int at_rest, nrest;
    uint32_t row;        /* the next one */
    struct batch *piece; /* cut, found no room yet */
    bool fast;           /* the batch needs no cut */
    uint32_t *sel;
    int64_t said;        /* the last watermark */
    bool began, idle_said, over;
    _Atomic uint64_t barrier; /* epoch asked for; 0: none */
    _Atomic int barrier_kind;
    bool holding;             /* behind a HOLD barrier */
    _Atomic bool resume, seek;
    struct answer answer;
    /* counters */
    _Atomic uint64_t rows, bytes, bad, nulled, null_time, late_dropped;
    _Atomic int64_t position, watermark;
    _Atomic bool idle_now;
    _Atomic bool idle_armed; /* the task will be stepped to look for idle splits */
    struct note last_error;
};

struct reader {
    struct runtime *rt;
    const struct object *object;
    const struct plan *values;
    const struct source_class *class; /* NULL: pushed, or VALUES */
    bool pushed;
    const struct schema *schema;
    struct arena *arena;
    struct component *component;
    struct host *host, *own_host;
    bool blocking;
    int nparts;
    struct part *parts;
    int64_t size;
    int time_column;
    bool time_is_ms, time_is_32;
    enum watermark_kind watermark;
    int64_t delay_us, idle_us, skew_us;
    bool late_row;
    enum on_error on_error;
    uint32_t batch_rows;
    _Atomic bool started, stop;
    /* pushed */
    struct lock lock;
    struct bell room;
    struct push_wait *queue; /* callers in the order they came */
    bool pushed_end;
    _Atomic int pins;
};

static void add(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static int64_t row_time(const struct reader *r, const struct batch *b, uint32_t row)
{
    const void *data = b->cols[r->time_column].data;
    int64_t t = r->time_is_32 ? ((const int32_t *)data)[row] : ((const int64_t *)data)[row];
    if (!r->time_is_ms) return t;
    int64_t us;
    return __builtin_mul_overflow(t, 1000, &us) ? (t < 0 ? TS_MIN + 1 : TS_MAX - 1) : us;
}

static int64_t minus(int64_t a, int64_t b)
{
    int64_t d;
    return __builtin_sub_overflow(a, b, &d) ? TS_MIN + 1 : d;
}

static int64_t split_watermark(const struct reader *r, const struct split *s)
{
    return s->highest == TS_MIN ? TS_MIN : minus(s->highest, r->delay_us);
}

/* The minimum over splits that are neither idle nor ended; TS_MIN before all of them have a row. */
static int64_t part_watermark(const struct part *p)
{
    const struct reader *r = p->reader;
    int64_t low = TS_MAX;
    bool any = false;
    for (int i = 0; i < p->nsplits; i++) {
        const struct split *s = &p->splits[i];
        if (s->idle || (s->ended && !r->rt->cfg.eof_hold)) continue;
        any = true;
        int64_t wm = split_watermark(r, s);
        if (wm < low) low = wm;
    }
    return any ? low : TS_MIN;
}

static void say_watermark(struct part *p)
{
    int64_t wm = part_watermark(p);
    if (wm <= p->said) return;
    p->said = wm;
    atomic_store_explicit(&p->watermark, wm, memory_order_relaxed);
    edge_watermark(p->edges[p->index % p->reader->rt->nworkers], wm);
}

/* Whether the batch can go as one piece: no NULL time, no row behind the watermark that precedes it. */
static bool in_order(struct part *p)
{
    struct reader *r = p->reader;
    struct batch *b = p->batch;
    if (r->time_column < 0 || r->watermark != WATERMARK_BOUNDED) return true;
    if (b->cols[r->time_column].valid || r->skew_us || r->time_is_ms || p->nsplits != 1) return false;
    const int64_t *t = b->cols[r->time_column].data;
    int64_t high = p->from->highest, low = TS_MAX;
    if (high == TS_MIN) high = t[0];
    bool behind = false;
    for (uint32_t i = 0; i < b->rows; i++) {
        behind |= t[i] < minus(high, r->delay_us);
        if (t[i] > high) high = t[i];
        if (t[i] < low) low = t[i];
    }
    if (behind) return false;
    p->from->highest = high;
    b->ts_min = low;
    b->ts_max = high;
    return true;
}

/* Takes a fresh batch in hand. */
static void take_batch(struct part *p, struct split *s, struct batch *b)
{
    p->batch = b;
    p->from = s;
    p->row = 0;
    s->idle = false;
    s->last_row_us = env_now_us(p->reader->rt->env);
    p->idle_said = false;
    atomic_store_explicit(&p->idle_now, false, memory_order_relaxed);
    add(&p->rows, b->rows);
    p->fast = b->rows == 0 || in_order(p);
}

/* Judges one row; true: it goes along. */
static bool row_passes(struct part *p, uint32_t i, bool *cut)
{
    struct reader *r = p->reader;
    *cut = false;
    if (r->time_column < 0 || r->watermark == WATERMARK_NONE) return true;
    if (column_null(&p->batch->cols[r->time_column], i)) {
        add(&p->null_time, 1);
        return false;
    }
    int64_t t = row_time(r, p->batch, i), wm = part_watermark(p);
    if (t < wm && wm > p->said) {
        *cut = true;
        return false;
    }
    if (t < wm && r->late_row) {
        add(&p->late_dropped, 1);
        return false;
    }
    bool ahead = r->skew_us && t > env_wall_us(r->rt->env) + r->skew_us;
    if (t > p->from->highest && !ahead) p->from->highest = t;
    return true;
}

/* The rows from p->row up to a cut, as a batch of their own; NULL when none is left. */
static struct batch *next_piece(struct part *p)
{
    struct batch *b = p->batch;
    if (p->fast && p->row == 0) {
        p->row = b->rows;
        return b->rows ? batch_ref(b) : NULL;
    }
    uint32_t n = 0;
    while (p->row < b->rows) {
        bool cut;
        if (row_passes(p, p->row, &cut))
            p->sel[n++] = p->row;
        else if (cut && n)
            break;
        else if (cut) {
            say_watermark(p);
            continue;
        }
        p->row++;
    }
    if (!n) return NULL;
    struct rows rows = {b, n == b->rows ? NULL : p->sel, n};
    return rows_dense(p->pool, p->reader->schema, &rows);
}

/* Hands on the batch at hand, and the rest of its push, as far as there is room; true when all of it has gone. */
static bool hand_on(struct part *p)
{
    struct edge *e = p->edges[p->index % p->reader->rt->nworkers];
    for (;;) {
        if (!p->piece) p->piece = next_piece(p);
        if (p->piece) {
            if (!edge_push(e, p->piece)) return false;
            p->piece = NULL;
            say_watermark(p);
            continue;
        }
        struct split *s = p->from;
        if (s && p->reader->class) s->at = s->payload;
        batch_unref(p->batch);
        p->batch = NULL;
        say_watermark(p);
        if (p->at_rest == p->nrest) return true;
        take_batch(p, s, p->rest[p->at_rest++]);
    }
}

static void drop_rest(struct part *p)
{
    while (p->at_rest < p->nrest) batch_unref(p->rest[p->at_rest++]);
    mem_free(p->rest);
    p->rest = NULL;
    p->at_rest = p->nrest = 0;
}

/* ---- fetching ------------------------------------------------------------------------------------------------------ */

static void note_bad(struct part *p, struct split *s)
{
    const struct decode_report *d = &s->decoder->report;
    uint64_t bad = 0, nulled = 0;
    for (int i = 0; i < p->nsplits; i++)
        if (p->splits[i].decoder) {
            bad += p->splits[i].decoder->report.bad;
            nulled += p->splits[i].decoder->report.nulled;
        }
    if (bad + nulled == atomic_load(&p->bad) + atomic_load(&p->nulled)) return;
    atomic_store(&p->bad, bad);
    atomic_store(&p->nulled, nulled);
    note_write(&p->last_error, d->last.text);
}

/* Says whose error it is. */
static void name_error(const struct reader *r, struct err *err)
{
    char text[sizeof err->text];
    if (!r->object || !err) return;
    snprintf(text, sizeof text, "source \"%.80s\": %.380s", r->object->name, err->text);
    memcpy(err->text, text, sizeof text);
}

static void part_fail(struct part *p, const struct err *err)
{
    struct err e = *err;
    name_error(p->reader, &e);
    component_fail(p->reader->rt, p->reader->component, &e);
}

static void reserve(struct split *s, size_t have, size_t n)
{
    if (n <= s->cap) return;
    s->buf = mem_realloc(s->buf, have, n * 2);
    s->cap = n * 2;
}

/* Keeps what the decoder has left of the last payload, which the next poll makes invalid. */
static size_t keep_rest(struct split *s)
{
    size_t left = (size_t)(s->decoder->end - s->decoder->p);
    if (!left) return 0;
    if (s->decoder->p >= s->buf && s->decoder->p <= s->buf + s->cap) {
        memmove(s->buf, s->decoder->p, left);
    } else {
        reserve(s, 0, left + FORMAT_PADDING);
        memcpy(s->buf, s->decoder->p, left);
    }
    return left;
}

/* Gives the decoder the rest and the new bytes as one run: the rest goes before the payload when it is short. */
static void feed(struct split *s, size_t left, const struct payload *pay)
{
    if (pay->n && left <= PAYLOAD_HEADROOM) {
        if (left) memcpy(pay->p - left, s->buf, left);
        decoder_feed(s->decoder, pay->p - left, left + pay->n, s->input_ended);
        return;
    }
    reserve(s, left, left + pay->n + FORMAT_PADDING);
    if (pay->n) memcpy(s->buf + left, pay->p, pay->n);
    memset(s->buf + left + pay->n, 0, FORMAT_PADDING);
    decoder_feed(s->decoder, s->buf, left + pay->n, s->input_ended);
}

/* One try to get a batch from a split. ST_OK: in hand. ST_WAIT, ST_DONE, or an error that is fatal. */
static enum status fetch_bytes(struct part *p, struct split *s, int64_t now, struct err *err)
{
    for (;;) {
        struct batch *b = NULL;
        enum status st = decoder_next(s->decoder, p->pool, p->reader->batch_rows, &b, err);
        s->payload.offset = s->decoder->offset;
        note_bad(p, s);
        if (st == ST_OK) {
            if (p->reader->class->mark != source_no_mark) p->source->class->mark(p->source, s->number, &s->payload);
            atomic_store_explicit(&p->position, s->decoder->offset, memory_order_relaxed);
            if (b->rows) return take_batch(p, s, b), ST_OK;
            s->at = s->payload;
            batch_unref(b);
            continue;
        }
        if (st != ST_WAIT || s->input_ended) return st == ST_WAIT ? ST_DONE : st;
        struct payload pay = {0};
        size_t left = keep_rest(s);
        st = p->source->class->poll(p->source, s->number, now, &pay, err);
        if (st == ST_DONE) s->input_ended = true;
        if (st && st != ST_DONE && st != ST_WAIT) return st;
        add(&p->bytes, pay.n);
        feed(s, left, &pay);
        if (st == ST_WAIT) return st;
    }
}

static enum status fetch_columns(struct part *p, struct split *s, int64_t now, struct err *err)
{
    struct payload pay = {0};
    enum status st = p->source->class->poll(p->source, s->number, now, &pay, err);
    if (st) return st;
    s->payload = pay.after;
    atomic_store_explicit(&p->position, pay.after.offset, memory_order_relaxed);
    add(&p->bytes, pay.b->bytes_own);
    take_batch(p, s, pay.b);
    return ST_OK;
}

/* Constant rows: the values of a VALUES list, or the one row of a SELECT without FROM. */
static enum status fetch_values(struct part *p, struct split *s, struct err *err)
{
    const struct plan *v = p->reader->values;
    if (s->at.offset) return ST_DONE;
    s->payload.offset = 1;
    s->at.offset = 1;
    struct batch *one = batch_new(p->pool, 0);
    one->rows = 1;
    struct batch *b = batch_for(p->pool, v->schema, (uint32_t)(v->nrows ? v->nrows : 1));
    struct schema none = {0};
    enum status st = ST_OK;
    if (!v->schema->n) b->rows = (uint32_t)v->nrows;
    for (int i = 0; i < v->nrows && v->schema->n && !st; i++) {
        AUTO(eval_free) struct eval *ev = NULL;
        st = eval_new(v->values + (size_t)i * (size_t)v->schema->n, v->schema->n, &none, p->pool, &ev, err);
        if (st) break;
        struct row_errors bad = {0};
        struct rows r = rows_all(one);
        struct batch *row = eval_project(ev, &r, &bad);
        if (bad.count) {
            *err = bad.first;
            st = bad.first.code;
        } else {
            batch_append(b, (uint32_t)v->nrows, v->schema, row, 0);
        }
        batch_unref(row);
    }
    batch_unref(one);
    if (st) {
        batch_unref(b);
        return st;
    }
    take_batch(p, s, b);
    return ST_OK;
}

static enum status fetch(struct part *p, struct split *s, int64_t now, struct err *err)
{
    if (p->reader->values) return fetch_values(p, s, err);
    return p->reader->class->payload == PAYLOAD_BYTES ? fetch_bytes(p, s, now, err) : fetch_columns(p, s, now, err);
}

/* ---- barriers and the end ------------------------------------------------------------------------------------------- */

static void inject(struct part *p)
{
    uint64_t epoch = atomic_exchange(&p->barrier, 0);
    if (!epoch) return;
    int kind = atomic_load(&p->barrier_kind);
    struct reader *r = p->reader;
    if (kind & BARRIER_FREEZE)
        for (int i = 0; i < p->nsplits; i++) {
            struct split *s = &p->splits[i];
            s->kept = s->at;
            s->kept_highest = s->highest;
            s->kept_ended = s->ended;
        }
    p->holding = kind & BARRIER_HOLD;
    for (int w = 0; w < r->rt->nworkers; w++) edge_barrier(p->edges[w], epoch, kind);
    answer_epoch(r->rt, r->component, &p->answer, epoch);
}

static void close_source(struct part *p)
{
    lock_take(&p->lock);
    struct source *s = TAKE(p->source);
    lock_give(&p->lock);
    if (!s) return;
    s->class->close(s);
    source_free(s);
}

static enum step finish(struct part *p, int kind)
{
    batch_unref(p->piece);
    batch_unref(p->batch);
    p->piece = p->batch = NULL;
    drop_rest(p);
    for (int w = 0; w < p->reader->rt->nworkers; w++) edge_end(p->edges[w], kind);
    close_source(p);
    p->over = true;
    answer_end(p->reader->rt, p->reader->component, &p->answer);
    return STEP_DONE;
}

static bool all_closed(struct part *p)
{
    for (int w = 0; w < p->reader->rt->nworkers; w++)
        if (!edge_closed(p->edges[w])) return false;
    return true;
}

/* Idleness and the CHANGE barrier come before the first row. */
static void begin(struct part *p)
{
    if (p->began) return;
    p->began = true;
    for (int w = 0; w < p->reader->rt->nworkers; w++)
        if (w != p->index % p->reader->rt->nworkers) edge_idle(p->edges[w]);
    inject(p);
}

static enum status seek_split(struct part *p, struct split *s, bool fresh, struct err *err);

static void resume(struct part *p)
{
    if (!atomic_exchange(&p->resume, false)) return;
    p->holding = false;
    if (!atomic_load(&p->seek) || !p->source) return;
    for (int i = 0; i < p->nsplits; i++) {
        struct split *s = &p->splits[i];
        struct err err;
        s->at = s->kept;
        s->highest = s->kept_highest;
        s->ended = s->kept_ended;
        if (!s->ended && seek_split(p, s, false, &err)) part_fail(p, &err);
    }
}

/* Splits without a row for the idle timeout leave the minimum; a timer is armed by the last row only. */
static void look_for_idle(struct part *p, int64_t now, int64_t *wake_us)
{
    struct reader *r = p->reader;
    bool all = r->idle_us > 0;
    atomic_store(&p->idle_armed, false);
    for (int i = 0; i < p->nsplits; i++) {
        struct split *s = &p->splits[i];
        if (s->ended || s->idle || !r->idle_us) continue;
        int64_t due = s->last_row_us + r->idle_us;
        if (due <= now) {
            s->idle = true;
        } else {
            all = false;
            if (due < *wake_us) *wake_us = due;
            atomic_store(&p->idle_armed, true);
        }
    }
    if (all && !p->idle_said) {
        p->idle_said = true;
        atomic_store_explicit(&p->idle_now, true, memory_order_relaxed);
        edge_idle(p->edges[p->index % r->rt->nworkers]);
    } else if (!all) {
        say_watermark(p);
    }
}

/* ---- the step --------------------------------------------------------------------------------------------------------- */

/* Barriers, stopping, waiting for room: true when the step is over. A reader that nobody reads any more still gives out what
 * it has accepted. */
static bool before_rows(struct part *p, enum step *out)
{
    struct reader *r = p->reader;
    if (atomic_load(&component_of(r->component)->cancel)) return *out = finish(p, END_CUT), true;
    begin(p);
    for (int w = 0; w < r->rt->nworkers; w++) edge_retry(p->edges[w]);
    if (all_closed(p)) return *out = finish(p, END_FLUSH), true;
    resume(p);
    if (p->batch && !hand_on(p)) return *out = STEP_WAIT, true;
    if (!r->pushed_end) inject(p); /* an end that was pushed goes first, and answers for the barrier */
    if (atomic_load(&r->stop)) return *out = finish(p, END_HOLD), true;
    if (p->holding) return *out = STEP_WAIT, true;
    return false;
}

static enum step part_step(struct task *t, int64_t now, int64_t *wake_us)
{
    struct part *p = container_of(t, struct part, task);
    enum step out;
    if (before_rows(p, &out)) return out;
    int ended = 0;
    for (int k = 0; k < p->nsplits; k++) {
        struct split *s = &p->splits[p->turn];
        p->turn = (p->turn + 1) % p->nsplits;
        if (s->ended) {
            ended++;
            continue;
        }
        struct err err = {.pos = NO_POS};
        enum status st = fetch(p, s, now, &err);
        if (st == ST_OK) {
            hand_on(p);
            return p->batch ? STEP_WAIT : STEP_AGAIN;
        }
        if (st == ST_DONE) {
            s->ended = true;
            s->at = s->payload;
            ended++;
        } else if (st != ST_WAIT) {
            part_fail(p, &err);
            return finish(p, END_CUT);
        }
    }
    if (ended == p->nsplits) return finish(p, p->reader->rt->cfg.eof_hold ? END_HOLD : END_FLUSH);
    look_for_idle(p, now, wake_us);
    for (int i = 0; i < p->nsplits; i++) {
        int64_t at = INT64_MAX;
        if (!p->splits[i].ended) p->source->class->wait(p->source, p->splits[i].number, NULL, 0, &at);
        if (at < *wake_us) *wake_us = at;
    }
    return STEP_WAIT;
}

static int part_fds(struct task *t, struct pollfd *out, int max)
{
    struct part *p = container_of(t, struct part, task);
    int n = 0;
    if (!p->source || p->batch || p->holding) return 0;
    for (int i = 0; i < p->nsplits && n < max; i++) {
        int64_t at;
        if (!p->splits[i].ended) n += p->source->class->wait(p->source, p->splits[i].number, out + n, max - n, &at);
    }
    return n;
}

static const struct task_class part_class = {.name = "reader", .step = part_step, .fds = part_fds};

/* ---- pushed -------------------------------------------------------------------------------------------------------------- */

/* With the lock held. The task of a pushed source only waits on others' behalf: barriers, room, idleness, the end. */
static enum step pushed_step_locked(struct part *p, int64_t now, int64_t *wake_us)
{
    struct reader *r = p->reader;
    enum step out;
    if (before_rows(p, &out)) {
        if (out == STEP_DONE || !p->batch) bell_ring(&r->room);
        return out;
    }
    if (r->pushed_end && !r->queue && !p->batch)
        return finish(p, r->rt->cfg.eof_hold ? END_HOLD : END_FLUSH);
    look_for_idle(p, now, wake_us);
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

static const struct task_class pushed_class = {.name = "pushed", .step = pushed_step};

/* A caller that waits for its turn; on its own stack, in the reader's queue. */
struct push_wait {
    struct reader *r;
    struct push_wait *next;
};

static bool may_push(struct push_wait *w)
{
    struct part *p = &w->r->parts[0];
    return p->over || (w->r->queue == w && !p->batch && !p->holding);
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

/* The batches of a push after its first stay in the caller's order, and no other's come between. */
static void keep_rest_of(struct part *p, struct batch **b, int n)
{
    drop_rest(p);
    if (n == 1) return;
    p->rest = mem_alloc(sizeof *p->rest * (size_t)(n - 1));
    memcpy(p->rest, b + 1, sizeof *p->rest * (size_t)(n - 1));
    p->nrest = n - 1;
}

enum status reader_push(struct reader *r, struct batch **b, int n, int64_t timeout_us, struct err *err)
{
    struct part *p = &r->parts[0];
    lock_take(&r->lock);
    enum status st = ST_OK;
    if (!take_turn(r, timeout_us)) {
        st = no_room(r, err);
    } else if (p->over || r->pushed_end || all_closed(p)) {
        st = closed(r, err);
    } else {
        begin(p);
        keep_rest_of(p, b, n);
        take_batch(p, &p->splits[0], b[0]);
        hand_on(p); /* what finds no room is accepted all the same and goes on from the reader's task */
    }
    lock_give(&r->lock);
    bell_ring(&r->room);
    if (!st && r->idle_us && !atomic_load(&p->idle_armed)) task_wake(&p->task); /* arms the idle timer */
    return st;
}

enum status reader_push_watermark(struct reader *r, int64_t us, struct err *err)
{
    struct part *p = &r->parts[0];
    lock_take(&r->lock);
    enum status st = ST_OK;
    if (!take_turn(r, -1)) {
        st = no_room(r, err); /* under a driver: whoever is to make some is this caller */
    } else if (p->over) {
        st = closed(r, err);
    } else {
        begin(p);
        struct split *s = &p->splits[0];
        int64_t high;
        if (__builtin_add_overflow(us, r->delay_us, &high)) high = TS_MAX - 1;
        if (high > s->highest) s->highest = high;
        s->idle = false;
        say_watermark(p);
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

/* ---- making and freeing ------------------------------------------------------------------------------------------------- */

static enum status seek_split(struct part *p, struct split *s, bool fresh, struct err *err)
{
    struct reader *r = p->reader;
    const struct source_class *c = r->class;
    fresh |= !s->at.offset && !s->at.n;
    TRY(c->seek(p->source, s->number, fresh ? NULL : &s->at, err));
    s->input_ended = false;
    if (c->payload != PAYLOAD_BYTES) return ST_OK;
    struct decode_report report = s->decoder ? s->decoder->report : (struct decode_report){0};
    decoder_free(s->decoder);
    s->decoder = NULL;
    char head[65536];
    size_t got = 0;
    if (!fresh && s->at.offset) TRY(c->head(p->source, s->number, head, sizeof head, &got, err));
    const struct object *o = r->object;
    TRY(decoder_new(o->format->class, r->schema, o->options, r->on_error, (size_t)options_int(o->options, "record.max"),
                    fresh ? 0 : s->at.offset, got ? head : NULL, got, &s->decoder, err));
    s->decoder->report = report;
    return ST_OK;
}

static enum status open_part(struct part *p, struct source *opened, struct err *err)
{
    struct reader *r = p->reader;
    struct connector_ctx ctx = {r->rt->env, r->rt->account, r->object->options, r->schema, r->object->name, r->rt->cfg.seed,
                                r->object->schema};
    p->source = opened;
    if (!opened) {
        p->source = source_new(r->class, &ctx);
        TRY(r->class->open(p->source, err));
    }
    int all = r->class->splits(p->source);
    p->splits = mem_zalloc(sizeof *p->splits * (size_t)(all / r->nparts + 1));
    for (int i = p->index; i < all; i += r->nparts) {
        struct split *s = &p->splits[p->nsplits++];
        s->number = i;
        s->highest = TS_MIN;
        s->last_row_us = env_now_us(r->rt->env);
        TRY(seek_split(p, s, true, err));
    }
    return ST_OK;
}

static void read_options(struct reader *r)
{
    const struct object *o = r->object;
    struct runtime *rt = r->rt;
    r->on_error = rt->cfg.on_error;
    r->batch_rows = rt->cfg.batch_rows;
    r->idle_us = 60000000;
    if (!o) return;
    r->watermark = o->watermark;
    r->delay_us = o->delay_us;
    if (!o->options) return;
    if (options_get(o->options, "on_error")->set) r->on_error = (enum on_error)options_int(o->options, "on_error");
    if (options_get(o->options, "batch.rows")->set && !rt->cfg.replay) {
        int64_t n = options_int(o->options, "batch.rows");
        if (n < r->batch_rows) r->batch_rows = (uint32_t)n;
    }
    r->idle_us = options_int(o->options, "idle.timeout");
    r->late_row = options_int(o->options, "late") == 1;
    r->skew_us = options_has(o->options, "max.future.skew") ? options_int(o->options, "max.future.skew") : 0;
}

static void find_time(struct reader *r)
{
    r->time_column = r->schema->time_column;
    if (r->time_column < 0) return;
    struct type t = r->schema->fields[r->time_column].type;
    r->time_is_ms = type_is_integer(t);
    r->time_is_32 = t.id == T_INT32;
}

static void make_part(struct reader *r, int index)
{
    struct part *p = &r->parts[index];
    struct runtime *rt = r->rt;
    lock_init(&p->lock);
    p->reader = r;
    p->index = index;
    p->pool = pool_new(rt->account);
    p->task.class = r->pushed ? &pushed_class : &part_class;
    p->task.pool = r->pushed ? NULL : p->pool; /* callers of push take from it too, under the lock */
    p->said = TS_MIN;
    atomic_store(&p->watermark, TS_MIN);
    p->sel = mem_alloc(sizeof *p->sel * BATCH_ROWS_MAX);
    p->edges = mem_zalloc(sizeof *p->edges * (size_t)rt->nworkers);
    for (int w = 0; w < rt->nworkers; w++) {
        p->edges[w] = edge_new(rt);
        p->edges[w]->writer = (struct waker){.task = &p->task};
    }
    if (!r->class) {
        p->splits = mem_zalloc(sizeof *p->splits);
        p->nsplits = 1;
        p->splits[0].highest = TS_MIN;
        p->splits[0].last_row_us = env_now_us(rt->env);
    }
}

struct reader *reader_new(struct runtime *rt, const struct object *source, const struct schema *schema,
                          const struct plan *values, struct component *c, struct err *err)
{
    struct reader *r = mem_zalloc(sizeof *r);
    r->rt = rt;
    r->object = source;
    r->values = values;
    r->component = c;
    r->arena = arena_new();
    r->schema = schema_copy(r->arena, schema);
    r->nparts = 1;
    r->size = -1;
    lock_init(&r->lock);
    read_options(r);
    find_time(r);
    r->pushed = !values && (!source->connector || rt->cfg.replay);
    struct source *first = NULL;
    enum status st = ST_OK;
    if (!values && !r->pushed) {
        r->class = source->connector->class;
        r->blocking = r->class->blocking;
        struct connector_ctx ctx = {rt->env, rt->account, source->options, r->schema, source->name, rt->cfg.seed,
                                    source->schema};
        first = source_new(r->class, &ctx);
        st = r->class->open(first, err);
        if (!st) {
            int splits = r->class->splits(first);
            r->nparts = splits < rt->nworkers ? (splits ? splits : 1) : rt->nworkers;
            r->size = 0;
            for (int i = 0; i < splits && r->size >= 0; i++) {
                int64_t n = r->class->split_size(first, i);
                r->size = n < 0 ? -1 : r->size + n;
            }
        }
    }
    r->parts = mem_aligned(64, sizeof *r->parts * (size_t)r->nparts);
    memset(r->parts, 0, sizeof *r->parts * (size_t)r->nparts);
    for (int i = 0; i < r->nparts; i++) make_part(r, i);
    for (int i = 0; r->class && !st && i < r->nparts; i++) st = open_part(&r->parts[i], i ? NULL : first, err);
    if (!st) st = runtime_host(rt, "lam-source", r->blocking, &r->own_host, &r->host, err);
    if (st) {
        name_error(r, err);
        if (first && !r->parts[0].source) r->parts[0].source = first;
        reader_free(r);
        return NULL;
    }
    return r;
}

static void free_part(struct part *p)
{
    close_source(p);
    lock_done(&p->lock);
    batch_unref(p->piece);
    batch_unref(p->batch);
    drop_rest(p);
    for (int i = 0; i < p->nsplits; i++) {
        decoder_free(p->splits[i].decoder);
        mem_free(p->splits[i].buf);
    }
    mem_free(p->splits);
    for (int w = 0; w < p->reader->rt->nworkers; w++)
        if (p->edges && p->edges[w] && !p->edges[w]->reader.task) edge_free(p->edges[w]); /* was never linked */
    mem_free(p->edges);
    mem_free(p->sel);
    pool_close(p->pool);
}

void reader_free(struct reader *r)
{
    if (!r) return;
    host_free(r->own_host);
    for (int i = 0; i < r->nparts; i++) free_part(&r->parts[i]);
    mem_free(r->parts);
    lock_done(&r->lock);
    arena_free(r->arena);
    mem_free(r);
}

/* ---- control --------------------------------------------------------------------------------------------------------------- */

int reader_parts(struct reader *r) { return r->nparts; }
struct edge *reader_edge(struct reader *r, int part, int worker) { return r->parts[part].edges[worker]; }
struct answer *reader_answer(struct reader *r, int part) { return &r->parts[part].answer; }
const struct object *reader_object(struct reader *r) { return r->object; }
const struct schema *reader_schema(struct reader *r) { return r->schema; }
bool reader_pushed(struct reader *r) { return r->pushed; }

void reader_start(struct reader *r)
{
    for (int i = 0; i < r->nparts; i++) host_add(r->host, &r->parts[i].task);
    atomic_store(&r->started, true);
}

bool reader_runs(struct reader *r) { return atomic_load(&r->started); }

static void wake_all(struct reader *r)
{
    for (int i = 0; i < r->nparts; i++)
        if (r->parts[i].task.host) task_wake(&r->parts[i].task);
}

void reader_stop(struct reader *r)
{
    atomic_store(&r->stop, true);
    for (int i = 0; i < r->nparts; i++) {
        struct part *p = &r->parts[i];
        lock_take(&p->lock);
        if (p->source) r->class->cancel(p->source);
        lock_give(&p->lock);
    }
    wake_all(r);
}

bool reader_done(struct reader *r)
{
    for (int i = 0; i < r->nparts; i++)
        if (!atomic_load(&r->parts[i].task.done)) return false;
    return true;
}

void reader_barrier(struct reader *r, uint64_t epoch, int kind)
{
    for (int i = 0; i < r->nparts; i++) {
        atomic_store(&r->parts[i].barrier_kind, kind);
        atomic_store(&r->parts[i].barrier, epoch);
    }
    wake_all(r);
}

void reader_resume(struct reader *r, bool seek)
{
    for (int i = 0; i < r->nparts; i++) {
        /* a barrier that has not entered yet is not to hold any more */
        atomic_fetch_and(&r->parts[i].barrier_kind, ~BARRIER_HOLD);
        atomic_store(&r->parts[i].seek, seek);
        atomic_store(&r->parts[i].resume, true);
    }
    wake_all(r);
    bell_ring(&r->room);
}

void reader_stats(struct reader *r, struct source_stats *out)
{
    memset(out, 0, sizeof *out);
    out->size = r->size;
    out->watermark = TS_MAX;
    out->running = true;
    out->ended = reader_done(r);
    out->idle = true;
    for (int i = 0; i < r->nparts; i++) {
        struct part *p = &r->parts[i];
        out->rows += atomic_load(&p->rows);
        out->bytes += atomic_load(&p->bytes);
        out->bad += atomic_load(&p->bad);
        out->nulled += atomic_load(&p->nulled);
        out->null_time += atomic_load(&p->null_time);
        out->late_dropped += atomic_load(&p->late_dropped);
        out->position += atomic_load(&p->position);
        out->idle &= atomic_load(&p->idle_now);
        if (atomic_load(&p->watermark) < out->watermark) out->watermark = atomic_load(&p->watermark);
        if (!out->last_error[0]) note_read(&p->last_error, out->last_error);
    }
}
