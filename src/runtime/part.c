/* Parts of a reader: tasks that take one decoded batch at a time, cut it where the watermark must be said first, and put
 * barriers between two of them. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

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

/* The minimum over splits that are neither idle nor ended; TS_MIN before all of them have a row. When all are idle, over those that ever
 * had one: a split without rows whose idleness came to light last, as that of one that was away, would else hide for ever what
 * the others had said before they fell silent. */
static int64_t part_watermark(const struct part *p)
{
    const struct reader *r = p->reader;
    int64_t low = TS_MAX, quiet = TS_MAX;
    bool any = false;
    for (int i = 0; i < p->nsplits; i++) {
        const struct split *s = &p->splits[i];
        if (s->ended && !r->rt->cfg.eof_hold) continue;
        int64_t wm = split_watermark(r, s);
        if (s->idle && wm != TS_MIN && wm < quiet) quiet = wm;
        if (s->idle) continue;
        any = true;
        if (wm < low) low = wm;
    }
    return any ? low : quiet < TS_MAX ? quiet : TS_MIN;
}

void part_say_watermark(struct part *p)
{
    int64_t wm = part_watermark(p);
    if (wm <= p->said) return;
    p->said = wm;
    atomic_store_explicit(&p->watermark, wm, memory_order_relaxed);
    atomic_store_explicit(&p->watermark_at, env_now_us(p->reader->rt->env), memory_order_relaxed);
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
void part_take(struct part *p, struct split *s, struct batch *b)
{
    p->batch = b;
    p->from = s;
    p->row = 0;
    s->idle = false;
    s->last_row_us = env_now_us(p->reader->rt->env);
    p->idle_said = false;
    atomic_store_explicit(&p->idle_now, false, memory_order_relaxed);
    count(&p->rows, b->rows);
    count(&p->batches, 1);
    p->fast = b->rows == 0 || in_order(p);
}

/* Judges one row; true: it goes along. */
static bool row_passes(struct part *p, uint32_t i, bool *cut)
{
    struct reader *r = p->reader;
    *cut = false;
    if (r->time_column < 0 || r->watermark == WATERMARK_NONE) return true;
    if (column_null(&p->batch->cols[r->time_column], i)) {
        count(&p->null_time, 1);
        return false;
    }
    int64_t t = row_time(r, p->batch, i), wm = part_watermark(p);
    if (t < wm && wm > p->said) {
        *cut = true;
        return false;
    }
    if (t < wm && r->late_row) {
        count(&p->late_dropped, 1);
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
            part_say_watermark(p);
            continue;
        }
        p->row++;
    }
    if (!n) return NULL;
    struct rows rows = {b, n == b->rows ? NULL : p->sel, n};
    return rows_dense(p->pool, p->reader->schema, &rows);
}

static void inject(struct part *p);

/* The next of the rest in hand. What waits under drop_oldest may never come to an end: barriers enter and pauses begin between
 * two of its batches. */
static bool take_rest(struct part *p, struct split *s)
{
    if (p->reader->overflow == FULL_DROPS_OLDEST) {
        bool leaving = atomic_load(&p->reader->leaving); /* then all of it goes before the barrier that is the last */
        if (!leaving) inject(p);
        if (p->holding || (!leaving && part_is_held(p))) return false;
    }
    struct batch *b = part_oldest(p);
    if (b) part_take(p, s, b);
    return b;
}

/* Hands on the batch at hand, and the rest of its push, as far as there is room; true when all of it has gone. */
bool part_hand_on(struct part *p)
{
    struct edge *e = p->edges[p->index % p->reader->rt->nworkers];
    struct env *env = p->reader->rt->env;
    if (meter_is_blocked(&p->meter)) meter_unblock(&p->meter, env_now_us(env));
    for (;;) {
        if (!p->piece) p->piece = next_piece(p);
        if (p->piece) {
            if (!edge_push(e, p->piece)) return meter_block(&p->meter, env_now_us(env)), false;
            p->piece = NULL;
            part_say_watermark(p);
            continue;
        }
        struct split *s = p->from;
        if (s && p->reader->class) s->at = s->payload;
        batch_unref(p->batch);
        p->batch = NULL;
        part_say_watermark(p);
        if (!take_rest(p, s)) return true;
    }
}

void part_keep(struct part *p, struct batch *b)
{
    if (p->at_rest == p->nrest) p->at_rest = p->nrest = 0;
    if (p->nrest == p->cap_rest && p->at_rest > p->cap_rest / 2) {
        memmove(p->rest, p->rest + p->at_rest, sizeof *p->rest * (size_t)(p->nrest - p->at_rest));
        p->nrest -= p->at_rest;
        p->at_rest = 0;
    }
    if (p->nrest == p->cap_rest) {
        int cap = p->cap_rest ? p->cap_rest * 2 : 8;
        p->rest = mem_realloc(p->rest, sizeof *p->rest * (size_t)p->nrest, sizeof *p->rest * (size_t)cap);
        p->cap_rest = cap;
    }
    p->rest[p->nrest++] = b;
    p->rest_bytes += b->bytes_held;
}

struct batch *part_oldest(struct part *p)
{
    if (p->at_rest == p->nrest) return NULL;
    struct batch *b = p->rest[p->at_rest++];
    p->rest_bytes -= b->bytes_held;
    return b;
}

void part_drop_rest(struct part *p)
{
    for (struct batch *b; (b = part_oldest(p)); batch_unref(b)) {}
}

static void part_fail(struct part *p, const struct err *err)
{
    struct err e = *err;
    reader_name_error(p->reader, &e);
    component_fail(p->reader->rt, p->reader->component, &e);
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
    p->left = (kind & BARRIER_CHANGE) && atomic_load(&r->leaving);
    ack_mark(p, epoch);
    for (int w = 0; w < r->rt->nworkers; w++) edge_barrier(p->edges[w], epoch, kind);
    answer_epoch(r->rt, r->component, &p->answer, epoch);
}

void part_close_source(struct part *p)
{
    lock_take(&p->lock);
    struct source *s = TAKE(p->source);
    lock_give(&p->lock);
    if (!s) return;
    s->class->close(s);
    source_free(s);
}

enum step part_finish(struct part *p, int kind)
{
    batch_unref(p->piece);
    batch_unref(p->batch);
    batch_unref(TAKE(p->letters));
    p->piece = p->batch = NULL;
    part_drop_rest(p);
    for (int w = 0; w < p->reader->rt->nworkers; w++) edge_end(p->edges[w], kind);
    bool waits = ack_waits(p, kind);
    if (!waits) part_close_source(p);
    p->over = true;
    letterbox_close(p->reader);
    answer_end(p->reader->rt, p->reader->component, &p->answer);
    return waits ? STEP_WAIT : STEP_DONE;
}

bool part_all_closed(struct part *p)
{
    for (int w = 0; w < p->reader->rt->nworkers; w++)
        if (!edge_closed(p->edges[w])) return false;
    return true;
}

/* Idleness and the CHANGE barrier come before the first row. */
void part_begin(struct part *p)
{
    if (p->began) return;
    p->began = true;
    for (int w = 0; w < p->reader->rt->nworkers; w++)
        if (w != p->index % p->reader->rt->nworkers) edge_idle(p->edges[w]);
    inject(p);
}

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
        if (!s->ended && fetch_seek(p, s, false, &err)) part_fail(p, &err);
    }
}

/* Silence of a split whose system is away, or has more than was given, proves nothing: it holds the watermark. It comes back to the
 * minimum when that is found, and leaves it again when its connector wakes the part, having caught up. */
static bool may_be_idle(struct part *p, struct split *s)
{
    const struct source_class *c = p->reader->class;
    if (!c || !p->source || c->caught_up(p->source, s->number)) return true;
    if (s->idle) p->idle_said = false;
    s->idle = false;
    return false;
}

/* Splits without a row for the idle timeout leave the minimum; a timer is armed by the last row only. */
void part_look_for_idle(struct part *p, int64_t now, int64_t *wake_us)
{
    struct reader *r = p->reader;
    bool all = r->idle_us > 0;
    atomic_store(&p->idle_armed, false);
    for (int i = 0; i < p->nsplits; i++) {
        struct split *s = &p->splits[i];
        if (s->ended || !r->idle_us) continue;
        int64_t due = s->last_row_us + r->idle_us;
        if (!may_be_idle(p, s)) {
            all = false;
        } else if (s->idle) {
            continue;
        } else if (due <= now) {
            s->idle = true;
        } else {
            all = false;
            if (due < *wake_us) *wake_us = due;
            atomic_store(&p->idle_armed, true);
        }
    }
    if (all && !p->idle_said) {
        p->idle_said = true;
        part_say_watermark(p);
        atomic_store_explicit(&p->idle_now, true, memory_order_relaxed);
        edge_idle(p->edges[p->index % r->rt->nworkers]);
    } else if (!all) {
        part_say_watermark(p);
    }
}

/* ---- the step --------------------------------------------------------------------------------------------------------- */

/* Paused, or for want of memory behind it. Its inputs are not idle all that time. */
bool part_is_held(struct part *p)
{
    bool held = component_holds(p->reader->component);
    if (!held && p->was_held)
        for (int i = 0; i < p->nsplits; i++) p->splits[i].last_row_us = env_now_us(p->reader->rt->env);
    return p->was_held = held;
}

/* Barriers, stopping, waiting for room: true when the step is over. A reader that nobody reads any more still gives out what
 * it has accepted. */
bool part_before_rows(struct part *p, enum step *out)
{
    struct reader *r = p->reader;
    if (atomic_load(&component_of(r->component)->cancel)) return *out = part_finish(p, END_CUT), true;
    part_begin(p);
    for (int w = 0; w < r->rt->nworkers; w++) edge_retry(p->edges[w]);
    if (part_all_closed(p)) return *out = part_finish(p, END_FLUSH), true;
    resume(p);
    if (!p->batch && p->at_rest < p->nrest) take_rest(p, &p->splits[0]);
    if (p->batch && !part_hand_on(p)) return *out = STEP_WAIT, true;
    if (!r->pushed_end) inject(p); /* an end that was pushed goes first, and answers for the barrier */
    ack_tell(p);
    if (p->left) return *out = part_finish(p, END_MOVED), true;
    if (atomic_load(&r->stop)) return *out = part_finish(p, END_HOLD), true;
    if (p->holding || part_is_held(p)) return *out = STEP_WAIT, true;
    return false;
}

static void wait_for_source(struct part *p, int64_t *wake_us)
{
    for (int i = 0; i < p->nsplits; i++) {
        int64_t at = INT64_MAX;
        if (!p->splits[i].ended) p->source->class->wait(p->source, p->splits[i].number, NULL, 0, &at);
        if (at < *wake_us) *wake_us = at;
    }
}

static enum step fetch_and_hand_on(struct part *p, int64_t now, int64_t *wake_us)
{
    enum step out;
    struct err err = {.pos = NO_POS};
    int ended = 0;
    if (p->over) return ack_at_end(p);
    if (part_before_rows(p, &out)) return out;
    if (p->source && deal_take(p, &err)) return part_fail(p, &err), part_finish(p, END_CUT);
    for (int k = 0; k < p->nsplits; k++) {
        struct split *s = &p->splits[p->turn];
        p->turn = (p->turn + 1) % p->nsplits;
        if (s->ended) {
            ended++;
            continue;
        }
        enum status st = fetch_batch(p, s, now, &err);
        if (st == ST_OK) {
            part_hand_on(p);
            return p->batch ? STEP_WAIT : STEP_AGAIN;
        }
        if (st == ST_FULL) {
            int64_t at = now + LETTER_PAUSE_US;
            if (at < *wake_us) *wake_us = at;
            p->turn = s - p->splits;
            return STEP_WAIT;
        }
        if (st == ST_DONE) {
            s->ended = true;
            s->at = s->payload;
            ended++;
        } else if (st != ST_WAIT) {
            part_fail(p, &err);
            return part_finish(p, END_CUT);
        }
    }
    if (ended == p->nsplits) return part_finish(p, p->reader->rt->cfg.eof_hold ? END_HOLD : END_FLUSH);
    part_look_for_idle(p, now, wake_us);
    wait_for_source(p, wake_us);
    return STEP_WAIT;
}

/* Whoever talks to the source is answered, whether rows are wanted or not. */
static bool is_served(const struct part *p) { return p->source && p->source->class->serve; }

static enum step part_step(struct task *t, int64_t now, int64_t *wake_us)
{
    struct part *p = container_of(t, struct part, task);
    struct env *env = p->reader->rt->env;
    int64_t from = env_now_us(env);
    if (is_served(p)) p->source->class->serve(p->source);
    enum step s = fetch_and_hand_on(p, now, wake_us);
    if (s == STEP_WAIT && is_served(p)) wait_for_source(p, wake_us);
    meter_busy(&p->meter, from, env_now_us(env));
    return s;
}

static int part_fds(struct task *t, struct pollfd *out, int max)
{
    struct part *p = container_of(t, struct part, task);
    int n = 0;
    if (!p->source || (!is_served(p) && (p->batch || p->holding || p->was_held))) return 0;
    for (int i = 0; i < p->nsplits && n < max; i++) {
        int64_t at;
        if (!p->splits[i].ended) n += p->source->class->wait(p->source, p->splits[i].number, out + n, max - n, &at);
    }
    return n;
}

const struct task_class part_class = {.name = "reader", .step = part_step, .fds = part_fds};
