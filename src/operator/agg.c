/* GROUP BY: aggregates per key and window.
 *
 * Purpose. Runs PLAN_AGG with any window kind. Output columns: keys, then window_start and window_end when there is a
 * window, then aggregates.
 *
 * State. `groups`: keyed, key -> accumulators, one slice a window. `distinct<i>` for each DISTINCT aggregate: the same
 * slices, key = group key and argument, without a value; a row counts when it makes its key. `given`: 1 once a result
 * that comes only once has been given.
 *     no window     one slice, id 0; closes when the input's watermark is +infinity
 *     TUMBLE        id = start in microseconds
 *     COLUMNS       id = end in microseconds; the start is one more key (outside the key group), since windows of
 * several sizes may end together Ids ascend with window ends, so closing looks at the first slice only.
 *
 * A batch. Evaluate all expressions; find each row's window; drop rows that failed, have no time or are late; reserve
 * memory for the worst case; only then change state. Almost always a batch falls into one window: then keys are looked
 * up where they lie. Else rows are parted by window, their keys gathered part by part, and the accumulators of all
 * parts updated together through one array of slots; only aggregates that keep text are fed part by part, since texts
 * live in their slice.
 *
 * Giving out. `watermark` closes windows in order of their end, filling batches across windows; a callback gives one
 * batch and looks at a bounded number of slices, then returns ST_MORE. The cursor needs no saving: no barrier comes
 * before ST_OK. While rows are left the output watermark stays behind what their window_end promises (plan.h: its lag
 * is lag_us + lateness_us).
 *
 * Memory. Scratch grows to the largest batch and stays. SPDX-License-Identifier: Apache-2.0 */
#include "operator/agg_int.h"

#include "expr/cell.h"

#include <stdio.h>

#define SLICES_A_CALL 1024 /* looked at in one callback, empty ones included */

static void merge_given(void *into, const void *from)
{
    *(int64_t *)into |= *(const int64_t *)from;
}

static int64_t unit_us(const struct plan *p)
{
    return p->time_is_ms ? 1000 : 1;
}

/* a - b or a + b, kept within the finite. */
static int64_t minus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_sub_overflow(a, b, &r) ? (b > 0 ? TS_MIN + 1 : TS_MAX - 1) : r;
}
static int64_t plus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_add_overflow(a, b, &r) ? (b < 0 ? TS_MIN + 1 : TS_MAX - 1) : r;
}

/* Windows that end at or before this are closed. */
static int64_t closed_until(const struct agg *a)
{
    const struct plan *p = a->op.ctx.plan;
    int64_t wm = a->op.ctx.wm[0];
    if (wm == TS_MIN || wm == TS_MAX) return wm;
    return p->window == WINDOW_NONE ? TS_MIN : minus(minus(wm, p->lag_us), p->lateness_us);
}

static int64_t slice_end(const struct agg *a, int64_t id)
{
    const struct plan *p = a->op.ctx.plan;
    return p->window == WINDOW_NONE ? TS_MAX : p->window == WINDOW_TUMBLE ? id + p->size_us : id;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static int add_expr(struct agg *a, struct expr *e)
{
    for (int i = 0; i < a->nexprs; i++)
        if (expr_same(a->exprs[i], e)) return i;
    a->exprs[a->nexprs] = e;
    return a->nexprs++;
}

/* Keys must lie side by side in cols: they are not shared with what stands before. */
static void collect_exprs(struct agg *a)
{
    const struct plan *p = a->op.ctx.plan;
    bool window = p->window != WINDOW_NONE;
    a->exprs = mem_alloc(sizeof *a->exprs * (size_t)(p->nkeys + 4 + p->naggs * 4));
    for (int i = 0; i < p->nkeys; i++) a->exprs[a->nexprs++] = p->keys[i];
    a->nkeys = p->nkeys;
    if (p->window == WINDOW_COLUMNS) a->exprs[a->nexprs++] = p->time, a->nkeys++;
    a->time_col = window ? (p->window == WINDOW_COLUMNS ? p->nkeys : add_expr(a, p->time)) : -1;
    a->end_col = p->window == WINDOW_COLUMNS ? add_expr(a, p->window_end) : a->time_col;
    a->order_col = -1;
    for (int i = 0; i < p->naggs; i++) {
        struct agg_state *s = &a->aggs[i];
        s->call = p->aggs[i];
        for (int k = 0; k < s->call->nargs; k++) s->args[k] = add_expr(a, s->call->args[k]);
        s->filter = s->call->filter ? add_expr(a, s->call->filter) : -1;
        struct expr *order = p->order_time ? p->order_time : p->time;
        if (s->call->needs_time && order && a->order_col < 0) a->order_col = add_expr(a, order);
    }
}

static enum status declare_distinct(struct agg *a, int i)
{
    struct agg_state *s = &a->aggs[i];
    char name[32];
    struct keyed_decl d = {.nkeys = a->nkeys + s->call->nargs, .name = name};
    if (d.nkeys > (int)countof(d.keys))
        return err_set(&a->op.ctx.err, E_LIMIT, "too many grouping keys for a DISTINCT aggregate");
    snprintf(name, sizeof name, "distinct%d", i);
    for (int k = 0; k < a->nkeys; k++) d.keys[k] = a->key_types[k];
    for (int k = 0; k < s->call->nargs; k++) d.keys[a->nkeys + k] = a->exprs[s->args[k]]->type;
    d.nextra = d.nkeys - a->op.ctx.plan->nkeys;
    return keyed_new(a->op.ctx.state, &d, &s->distinct, &a->op.ctx.err);
}

static enum status declare(struct agg *a)
{
    const struct plan *p = a->op.ctx.plan;
    struct keyed_decl d = {.name = "groups", .nkeys = a->nkeys, .nextra = a->nkeys - p->nkeys};
    if (a->nkeys > (int)countof(d.keys))
        return err_set(&a->op.ctx.err, E_LIMIT, "too many grouping keys: at most %zu", countof(d.keys));
    for (int k = 0; k < a->nkeys; k++) d.keys[k] = a->key_types[k] = a->exprs[k]->type;
    for (int i = 0; i < p->naggs; i++) {
        a->aggs[i].offset = d.value.size;
        if (d.value.n + 2 > (int)countof(d.value.fields))
            return err_set(&a->op.ctx.err, E_LIMIT, "too many aggregates in one SELECT: at most %zu",
                           countof(d.value.fields) / 2);
        agg_layout(p->aggs[i], d.value.size, &d.value);
        d.value.size += p->aggs[i]->size;
    }
    void *given;
    TRY(keyed_new(a->op.ctx.state, &d, &a->groups, &a->op.ctx.err));
    for (int i = 0; i < p->naggs; i++)
        if (p->aggs[i]->distinct) TRY(declare_distinct(a, i));
    TRY(value_new(a->op.ctx.state, "given", sizeof *a->given, merge_given, &given, &a->op.ctx.err));
    a->given = given;
    return ST_OK;
}

static enum status agg_open(struct op *op)
{
    struct agg *a = container_of(op, struct agg, op);
    const struct plan *p = op->ctx.plan;
    a->aggs = mem_zalloc(sizeof *a->aggs * (size_t)(p->naggs + 1));
    collect_exprs(a);
    a->cols = mem_zalloc(sizeof *a->cols * (size_t)(a->nexprs + 1));
    a->said = op->ctx.wm_out;
    a->gathered = mem_zalloc(sizeof *a->gathered * (size_t)(a->nkeys + 4));
    TRY(eval_new(a->exprs, a->nexprs, p->in[0].node->schema, op->ctx.pool, &a->ev, &op->ctx.err));
    TRY(declare(a));
    state_settle(op->ctx.state);
    return ST_OK;
}

static void agg_close(struct op *op)
{
    struct agg *a = container_of(op, struct agg, op);
    eval_free(a->ev);
    mem_free(a->aggs);
    mem_free(a->exprs);
    mem_free(a->cols);
    mem_free(a->gathered);
    for (int i = 0; i < SCRATCHES; i++) mem_free(a->scratch[i].p);
}

/* ---- which rows, which windows ---------------------------------------------------------------------- */

static void *scratch(struct agg *a, enum scratch which, size_t bytes)
{
    return op_scratch(&a->scratch[which].p, &a->scratch[which].cap, bytes);
}

/* A bitmap without a clear bit is no bitmap: kernels are faster without. */
static void forget_full_bitmaps(struct agg *a, uint32_t n)
{
    for (int c = 0; c < a->nexprs; c++) {
        const uint64_t *m = a->cols[c].valid;
        if (!m) continue;
        uint32_t words = n / 64, w = 0;
        while (w < words && m[w] == ~0ull) w++;
        if (w == words && (n % 64 == 0 || (~m[w] & ((1ull << n % 64) - 1)) == 0)) a->cols[c].valid = NULL;
    }
}

/* Column c in microseconds; those that do not fit become TS_MAX, which no window holds. */
static const int64_t *in_us(struct agg *a, int c, enum scratch to, uint32_t n)
{
    const int64_t *v = a->cols[c].data;
    if (!a->op.ctx.plan->time_is_ms) return v;
    int64_t *us = scratch(a, to, sizeof *us * n);
    for (uint32_t i = 0; i < n; i++) us[i] = v[i] > TS_MAX / 1000 || v[i] < TS_MIN / 1000 ? TS_MAX : v[i] * 1000;
    return us;
}

/* The slice of a time; false when its window passes the ends of time. For COLUMNS, times are ends. */
static bool slice_of(const struct plan *p, int64_t ts, int64_t *id)
{
    int64_t from_grid, end;
    if (ts == TS_MAX) return false;
    if (p->window != WINDOW_TUMBLE) return *id = ts, true;
    if (__builtin_sub_overflow(ts, p->offset_us, &from_grid)) return false;
    int64_t in_window = from_grid % p->size_us;
    if (in_window < 0) in_window += p->size_us;
    return !__builtin_sub_overflow(ts, in_window, id) && !__builtin_add_overflow(*id, p->size_us, &end);
}

/* Whether all n times fall into one open window; then *id is its slice. */
static bool one_window(struct agg *a, const int64_t *ts, uint32_t n, int64_t *id)
{
    const struct plan *p = a->op.ctx.plan;
    if (p->window == WINDOW_NONE) return *id = 0, true;
    if (a->cols[a->end_col].valid || a->cols[a->time_col].valid) return false;
    int64_t low = TS_MAX, high = TS_MIN, last;
    for (uint32_t i = 0; i < n; i++) {
        low = ts[i] < low ? ts[i] : low;
        high = ts[i] > high ? ts[i] : high;
    }
    return slice_of(p, low, id) && slice_of(p, high, &last) && *id == last && slice_end(a, *id) > closed_until(a);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Counts what part_rows left out, once the batch is sure to be taken. */
static void count_dropped(struct agg *a)
{
    char at[2][CELL_TEXT_MAX];
    struct op_ctx *c = &a->op.ctx;
    if (a->timeless) {
        add(&c->errors, a->timeless);
        note_write(&c->row_error, "the event time is NULL or out of range: the row belongs to no window");
    }
    if (!a->late) return;
    int64_t end = slice_end(a, a->late_id), times[2] = {a->late_us, end};
    for (int i = 0; i < 2; i++) at[i][cell_print(TYPE(T_TIMESTAMP), &times[i], at[i])] = 0;
    add(&c->late, a->late);
    char example[120];
    snprintf(example, sizeof example, "%.38s, for the window that ended at %.38s", at[0], at[1]);
    note_write(&c->late_example, example);
}

/* The part of a slice among this batch's, made when it is new. `table` finds it by a hash of the id. */
static uint32_t part_of(struct agg *a, int64_t id, uint32_t *table, uint32_t mask)
{
    uint32_t pos = (uint32_t)((uint64_t)id * 0x9e3779b97f4a7c15ull >> 32) & mask;
    for (; table[pos]; pos = (pos + 1) & mask)
        if (a->parts[table[pos] - 1].id == id) return table[pos] - 1;
    a->parts[a->nparts] = (struct part){.id = id};
    table[pos] = ++a->nparts;
    return a->nparts - 1;
}

/* Puts the kept rows that belong to open windows into parts, in their order; idx then lists them part by part. */
static void part_rows(struct agg *a, const int64_t *ts, const uint64_t *keep, uint32_t n)
{
    const struct plan *p = a->op.ctx.plan;
    uint32_t slots = 16;
    while (slots < 2 * n) slots *= 2;
    uint32_t *table = memset(scratch(a, TABLE, sizeof *table * slots), 0, sizeof *table * slots);
    uint32_t *part = scratch(a, PART, sizeof *part * n), current = 0;
    int64_t id = 0, low = 1, high = 0, closed = closed_until(a); /* [low, high): times of the current part */
    a->parts = scratch(a, PARTS, sizeof *a->parts * n);
    a->nparts = 0;
    for (uint32_t i = 0; i < n; i++) {
        part[i] = UINT32_MAX;
        if (keep && !bit_get(keep, i)) continue;
        if (p->window != WINDOW_NONE &&
            (column_null(&a->cols[a->time_col], i) || column_null(&a->cols[a->end_col], i))) {
            a->timeless++;
            continue;
        }
        int64_t t = p->window == WINDOW_NONE ? 0 : ts[i];
        if (t < low || t >= high) {
            if (!slice_of(p, t, &id)) {
                a->timeless++;
                continue;
            }
            if (slice_end(a, id) <= closed) {
                a->late++, a->late_id = id, a->late_us = t;
                continue;
            }
            current = part_of(a, id, table, slots - 1);
            low = p->window == WINDOW_TUMBLE ? id : t;
            high = p->window == WINDOW_TUMBLE ? id + p->size_us : t + 1;
        }
        part[i] = current;
        a->parts[current].n++;
    }
    uint32_t at = 0;
    for (uint32_t k = 0; k < a->nparts; k++) {
        a->parts[k].begin = a->parts[k].end = at;
        at += a->parts[k].n;
    }
    a->idx = scratch(a, IDX, sizeof *a->idx * (n + 1));
    for (uint32_t i = 0; i < n; i++)
        if (part[i] != UINT32_MAX) a->idx[a->parts[part[i]].end++] = i;
    a->nrows = at;
}

/* ---- taking ------------------------------------------------------------------------------------------- */

#define GATHER(T)                                                                                                      \
    for (uint32_t j = 0; j < n; j++) ((T *)to->data)[j] = ((const T *)from->data)[idx[j]]
typedef struct {
    uint64_t a, b;
} wide;

static void gather(const struct column *from, size_t width, const uint32_t *idx, uint32_t n, struct column *to)
{
    switch (width) {
    case 1: GATHER(uint8_t); break;
    case 2: GATHER(uint16_t); break;
    case 4: GATHER(uint32_t); break;
    case 8: GATHER(uint64_t); break;
    case 16: GATHER(wide); break;
    }
    if (!from->valid) {
        to->valid = NULL;
        return;
    }
    memset(to->valid, 0, bitmap_words(n) * 8);
    for (uint32_t j = 0; j < n; j++)
        if (bit_get(from->valid, idx[j])) bit_set(to->valid, j);
}

/* Keys of chosen rows, dense: column k of `from` in a->gathered[k]. */
static void gather_keys(struct agg *a, const struct column *const *from, const struct type *types, int nkeys,
                        const uint32_t *idx, uint32_t n)
{
    size_t rows = (n + 63) & ~63u, bytes = 0;
    for (int k = 0; k < nkeys; k++) bytes += (type_width(types[k]) * rows + 63) / 64 * 64 + rows / 8 + 64;
    char *p = scratch(a, KEYS, bytes + 64);
    for (int k = 0; k < nkeys; k++) {
        a->gathered[k].data = p;
        p += (type_width(types[k]) * rows + 63) / 64 * 64;
        a->gathered[k].valid = (uint64_t *)p;
        p += (rows / 8 + 63) / 64 * 64;
        gather(from[k], type_width(types[k]), idx, n, &a->gathered[k]);
    }
}

static void gather_hashes(struct agg *a, const uint64_t *from, const uint32_t *idx, uint32_t n)
{
    uint64_t *to = scratch(a, PART_HASHES, sizeof *to * n);
    for (uint32_t j = 0; j < n; j++) to[j] = from[idx[j]];
}

/* What the rows at hand may need at most. */
static int64_t needed(struct agg *a, uint32_t n)
{
    const struct plan *p = a->op.ctx.plan;
    int64_t bytes = 0;
    for (uint32_t k = 0; k < a->nparts; k++)
        bytes += keyed_upsert_bound(a->groups, a->parts[k].id, NULL, a->nkeys ? a->parts[k].n : 1);
    int64_t texts = 0;
    for (int k = 0; k < a->nkeys; k++)
        if (type_is_text(a->key_types[k])) texts += slice_text_bound(&a->cols[k], n);
    bytes += texts;
    for (int i = 0; i < p->naggs; i++) {
        const struct agg_state *s = &a->aggs[i];
        int64_t own = 0;
        for (int k = 0; k < s->call->nargs && (s->distinct || s->call->needs_heap); k++)
            if (type_is_text(a->exprs[s->args[k]]->type)) own += slice_text_bound(&a->cols[s->args[k]], n);
        if (s->call->needs_heap) bytes += own;
        if (!s->distinct) continue;
        bytes += own + texts;
        for (uint32_t k = 0; k < a->nparts; k++)
            bytes += keyed_upsert_bound(s->distinct, a->parts[k].id, NULL, a->parts[k].n);
    }
    return bytes;
}

static void hash_rows(struct agg *a, uint32_t n)
{
    int own = a->op.ctx.plan->nkeys;
    a->hashes = scratch(a, HASHES, sizeof *a->hashes * n);
    key_hash(a->cols, a->key_types, own, n, a->op.ctx.seed, a->hashes);
    if (a->nkeys > own) key_hash_more(a->cols + own, a->key_types + own, a->nkeys - own, n, a->hashes);
}

/* slots[i]: the accumulators of row i, for the rows of all parts. */
static void find_slots(struct agg *a, uint32_t n)
{
    a->slots = scratch(a, SLOTS, sizeof *a->slots * (n + 1));
    if (a->whole) {
        struct slice *s = keyed_slice(a->groups, a->parts[0].id, true);
        slice_upsert_n(s, a->cols, a->hashes, a->nkeys ? n : 1, a->slots, NULL);
        return;
    }
    const struct column *from[20];
    for (int k = 0; k < a->nkeys; k++) from[k] = &a->cols[k];
    for (uint32_t k = 0; k < a->nparts; k++) {
        const struct part *part = &a->parts[k];
        const uint32_t *idx = a->idx + part->begin;
        struct slice *s = keyed_slice(a->groups, part->id, true);
        void **found = scratch(a, PART_SLOTS, sizeof *found * part->n);
        gather_keys(a, from, a->key_types, a->nkeys, idx, part->n);
        gather_hashes(a, a->hashes, idx, part->n);
        slice_upsert_n(s, a->gathered, a->scratch[PART_HASHES].p, part->n, found, NULL);
        for (uint32_t j = 0; j < part->n; j++) a->slots[idx[j]] = found[j];
    }
}

/* Of the rows idx[0..n) of one part, sets the bits in `first` of those whose argument is new to their group. */
static void mark_first(struct agg *a, const struct agg_state *s, const uint64_t *hashes, int64_t id,
                       const uint32_t *idx, uint32_t n, uint64_t *first)
{
    const struct column *from[20];
    struct type types[20];
    int nkeys = a->nkeys;
    for (int k = 0; k < nkeys; k++) from[k] = &a->cols[k], types[k] = a->key_types[k];
    for (int k = 0; k < s->call->nargs; k++, nkeys++)
        from[nkeys] = &a->cols[s->args[k]], types[nkeys] = a->exprs[s->args[k]]->type;
    void **found = scratch(a, PART_SLOTS, sizeof *found * n);
    uint64_t *fresh = scratch(a, FRESH, bitmap_words(n) * 8);
    gather_keys(a, from, types, nkeys, idx, n);
    gather_hashes(a, hashes, idx, n);
    slice_upsert_n(keyed_slice(s->distinct, id, true), a->gathered, a->scratch[PART_HASHES].p, n, found, fresh);
    for (uint32_t j = 0; j < n; j++)
        if (bit_get(fresh, j)) bit_set(first, idx[j]);
}

/* Which of the kept rows a DISTINCT aggregate counts. keep NULL: all. */
static const uint64_t *keep_distinct(struct agg *a, const struct agg_state *s, const uint64_t *keep, uint32_t n)
{
    int nargs = s->call->nargs;
    struct column args[3];
    struct type types[3];
    uint64_t *hashes = scratch(a, DISTINCT_HASHES, sizeof *hashes * n);
    uint64_t *first = memset(scratch(a, FIRST, bitmap_words(n) * 8), 0, bitmap_words(n) * 8);
    uint32_t *idx = scratch(a, CHOSEN, sizeof *idx * n);
    for (int k = 0; k < nargs; k++) args[k] = a->cols[s->args[k]], types[k] = a->exprs[s->args[k]]->type;
    memcpy(hashes, a->hashes, sizeof *hashes * n);
    key_hash_more(args, types, nargs, n, hashes);
    for (uint32_t k = 0; k < a->nparts; k++) {
        const struct part *part = &a->parts[k];
        uint32_t m = 0;
        for (uint32_t j = part->begin; j < part->end; j++) {
            uint32_t i = a->whole ? j : a->idx[j];
            if (!keep || bit_get(keep, i)) idx[m++] = i;
        }
        if (m) mark_first(a, s, hashes, part->id, idx, m, first);
    }
    return first;
}

/* Rows that are kept and for which column c is true. */
static const uint64_t *keep_true(struct agg *a, const struct column *c, const uint64_t *keep, uint32_t n)
{
    uint64_t *out = scratch(a, FILTERED, bitmap_words(n) * 8);
    const uint8_t *v = c->data;
    for (uint32_t at = 0; at < n; at += 64) {
        uint64_t m = 0;
        uint32_t rows = n - at < 64 ? n - at : 64;
        for (uint32_t i = 0; i < rows; i++) m |= (uint64_t)(v[at + i] != 0) << i;
        if (c->valid) m &= c->valid[at / 64];
        out[at / 64] = keep ? m & keep[at / 64] : m;
    }
    return out;
}

/* Part by part: texts belong to the heap of their slice. */
static void update_parts(struct agg *a, const struct agg_state *s, const struct column *args, const int64_t *ts,
                         const uint64_t *keep, uint32_t n)
{
    uint64_t *own = scratch(a, PART_KEEP, bitmap_words(n) * 8);
    for (uint32_t k = 0; k < a->nparts; k++) {
        const struct part *part = &a->parts[k];
        struct layout_heap *heap = slice_heap(keyed_slice(a->groups, part->id, true));
        memset(own, 0, bitmap_words(n) * 8);
        for (uint32_t j = part->begin; j < part->end; j++)
            if (!keep || bit_get(keep, a->idx[j])) bit_set(own, a->idx[j]);
        agg_update(s->call, a->slots, s->offset, args, ts, own, n, heap);
    }
}

static void update(struct agg *a, const struct agg_state *s, const uint64_t *keep, uint32_t n)
{
    struct column args[3];
    const int64_t *ts = s->call->needs_time && a->order_col >= 0 ? a->cols[a->order_col].data : NULL;
    for (int k = 0; k < s->call->nargs; k++) args[k] = a->cols[s->args[k]];
    if (s->filter >= 0) keep = keep_true(a, &a->cols[s->filter], keep, n);
    if (s->distinct) keep = keep_distinct(a, s, keep, n);
    if (s->call->needs_heap && !a->whole) {
        update_parts(a, s, args, ts, keep, n);
        return;
    }
    struct layout_heap *heap = s->call->needs_heap ? slice_heap(keyed_slice(a->groups, a->parts[0].id, true)) : NULL;
    if (a->whole && !a->nkeys)
        agg_update_one(s->call, a->slots[0], s->offset, args, ts, keep, n, heap);
    else
        agg_update(s->call, a->slots, s->offset, args, ts, keep, n, heap);
}

/* The rows of all parts; NULL: all n. */
static const uint64_t *kept_bits(struct agg *a, uint32_t n)
{
    if (a->whole || a->nrows == n) return NULL;
    uint64_t *m = memset(scratch(a, KEPT, bitmap_words(n) * 8), 0, bitmap_words(n) * 8);
    for (uint32_t j = 0; j < a->nrows; j++) bit_set(m, a->idx[j]);
    return m;
}

/* The rows that row errors leave; *keep NULL: all. */
static enum status judge(struct agg *a, const struct rows *r, const struct row_errors *errors, uint64_t **keep)
{
    uint32_t *pos = scratch(a, IDX, sizeof *pos * (r->n + 1)), n;
    TRY(kept_rows(&a->op, errors, r, pos, &n));
    *keep = NULL;
    if (n == r->n) return ST_OK;
    *keep = memset(scratch(a, KEPT, bitmap_words(r->n) * 8), 0, bitmap_words(r->n) * 8);
    for (uint32_t j = 0; j < n; j++) bit_set(*keep, pos[j]);
    return ST_OK;
}

static enum status refuse_changes(struct agg *a, const struct rows *r)
{
    for (uint32_t i = 0; r->b->weight && i < r->n; i++)
        if (r->b->weight[rows_at(r, i)] < 0)
            return err_set(&a->op.ctx.err, E_UNSUPPORTED, "an aggregate cannot take rows back yet");
    return ST_OK;
}

/* Parts the rows by window. keep NULL: all n. */
static void assign(struct agg *a, const uint64_t *keep, uint32_t n)
{
    const int64_t *ts = a->time_col < 0 ? NULL : in_us(a, a->end_col, TIMES, n);
    struct part only = {.n = n, .end = n};
    a->late = a->timeless = 0;
    a->whole = !keep && one_window(a, ts, n, &only.id);
    if (!a->whole) {
        part_rows(a, ts, keep, n);
        return;
    }
    a->parts = scratch(a, PARTS, sizeof *a->parts);
    a->parts[0] = only;
    a->nparts = 1;
    a->nrows = n;
}

static enum status reserve(struct agg *a, uint32_t n)
{
    struct op_ctx *c = &a->op.ctx;
    if (!state_reserve(c->state, needed(a, n))) return ST_OK;
    err_set(&c->err, E_NOMEM, "the aggregate's state needs more memory than the budget leaves, it holds %ld bytes",
            (long)state_bytes(c->state));
    err_hint(&c->err, "raise the memory budget, then RESUME; shorter windows and fewer keys need less");
    return E_NOMEM;
}

/* For display: the window that closes next. */
static void tell_next(struct agg *a)
{
    struct op_ctx *c = &a->op.ctx;
    if (c->plan->window == WINDOW_NONE) return;
    const struct slice *s = keyed_first(a->groups);
    int64_t end = s ? slice_end(a, slice_id(s)) : TS_MAX;
    int64_t needs = s ? plus(plus(end, c->plan->lag_us), c->plan->lateness_us) : TS_MAX;
    atomic_store_explicit(&c->window_needs, needs, memory_order_relaxed);
    atomic_store_explicit(&c->window_end, end, memory_order_relaxed);
}

static enum status agg_batch(struct op *op, int port, const struct rows *r)
{
    (void)port;
    struct agg *a = container_of(op, struct agg, op);
    struct row_errors errors = {0};
    uint64_t *keep = NULL;
    uint32_t n = r->n;
    if (!n) return ST_OK;
    TRY(refuse_changes(a, r));
    eval_columns(a->ev, r, a->cols, &errors);
    if (errors.count) TRY(judge(a, r, &errors, &keep));
    forget_full_bitmaps(a, n);
    assign(a, keep, n);
    if (a->nrows) TRY(reserve(a, n));
    count_dropped(a);
    if (!a->nrows) return ST_OK;
    hash_rows(a, n);
    find_slots(a, n);
    const uint64_t *kept = kept_bits(a, n);
    for (int i = 0; i < op->ctx.plan->naggs; i++) update(a, &a->aggs[i], kept, n);
    state_settle(op->ctx.state);
    tell_next(a);
    return ST_OK;
}

/* ---- giving out --------------------------------------------------------------------------------------- */

static void drop_slice(struct agg *a, struct slice *s)
{
    int64_t id = slice_id(s);
    slice_drop(a->groups, s);
    for (int i = 0; i < a->op.ctx.plan->naggs; i++) {
        struct keyed *d = a->aggs[i].distinct;
        struct slice *x = d ? keyed_slice(d, id, false) : NULL;
        if (x) slice_drop(d, x);
    }
    a->cursor = 0;
}

/* The window's bounds beside n rows; for COLUMNS the start has come with the keys. */
static void put_bounds(const struct agg *a, struct batch *b, int64_t id, uint32_t at, uint32_t n)
{
    const struct plan *p = a->op.ctx.plan;
    int64_t unit = unit_us(p), end = slice_end(a, id);
    if (p->window == WINDOW_NONE) return;
    int64_t *starts = b->cols[p->nkeys].data, *ends = b->cols[p->nkeys + 1].data;
    for (uint32_t i = at; i < at + n; i++) ends[i] = end / unit;
    for (uint32_t i = at; p->window == WINDOW_TUMBLE && i < at + n; i++) starts[i] = id / unit;
    if (b->ts_min > end - unit) b->ts_min = end - unit;
    if (b->ts_max < end - unit) b->ts_max = end - unit;
}

/* Adds rows of slice s until it or the batch ends. */
static void give_slice(struct agg *a, struct slice *s, struct batch *b, uint32_t cap, struct row_errors *errors)
{
    const struct plan *p = a->op.ctx.plan;
    void **values = scratch(a, SLOTS, sizeof *values * cap);
    uint32_t at = b->rows, n = slice_walk(s, &a->cursor, cap - at, values, b, 0, at, cap);
    int col = p->nkeys + (p->window == WINDOW_NONE ? 0 : 2);
    put_bounds(a, b, slice_id(s), at, n);
    for (int i = 0; i < p->naggs; i++)
        agg_result(p->aggs[i], values, a->aggs[i].offset, b, col + i, at, cap, n, errors);
    b->rows = at + n;
    if (b->rows < cap) drop_slice(a, s);
}

static enum status send(struct agg *a, struct batch *b, const struct row_errors *errors)
{
    struct rows rows = rows_all(b);
    if (errors->count) {
        enum status st = op_row_errors(&a->op, errors, &rows, scratch(a, IDX, sizeof(uint32_t) * (b->rows + 1)));
        if (st || !rows.n) {
            batch_unref(b);
            return st;
        }
    }
    if (!rows.n) {
        batch_unref(b);
        return ST_OK;
    }
    op_emit(&a->op, OUT_MAIN, b);
    a->op.ctx.out[OUT_MAIN] = rows;
    return ST_OK;
}

/* Rows that come later end after this; they are promised by what plan.h says of their bounds. */
static void hold_back(struct agg *a, const struct slice *next)
{
    const struct plan *p = a->op.ctx.plan;
    int64_t wm = a->op.ctx.wm[0], *out = &a->op.ctx.wm_out;
    if (p->window == WINDOW_NONE) {
        *out = *a->given ? wm : TS_MIN;
        return;
    }
    if (next) {
        int64_t held = plus(plus(slice_end(a, slice_id(next)), -unit_us(p)), plus(p->lag_us, p->lateness_us));
        *out = held < wm ? held : wm;
    } else {
        *out = wm;
    }
    if (*out < a->said) *out = a->said;
    a->said = *out;
}

static enum status agg_more(struct op *op)
{
    struct agg *a = container_of(op, struct agg, op);
    const struct plan *p = op->ctx.plan;
    struct slice *s = keyed_first(a->groups);
    int64_t closed = closed_until(a);
    if (!s || slice_end(a, slice_id(s)) > closed) {
        hold_back(a, NULL);
        tell_next(a);
        return ST_OK;
    }
    uint32_t cap = op->ctx.batch_rows, steps = SLICES_A_CALL;
    struct batch *b = batch_for(op->ctx.pool, p->schema, cap);
    struct row_errors errors = {.mask = scratch(a, FIRST, bitmap_words(cap) * 8)};
    memset(errors.mask, 0, bitmap_words(cap) * 8);
    for (; s && slice_end(a, slice_id(s)) <= closed && b->rows < cap && steps; steps--) {
        give_slice(a, s, b, cap, &errors);
        s = keyed_first(a->groups);
    }
    state_settle(op->ctx.state);
    bool more = s && slice_end(a, slice_id(s)) <= closed;
    TRY(send(a, b, &errors));
    hold_back(a, more ? s : NULL);
    tell_next(a);
    return more ? ST_MORE : ST_OK;
}

/* A global aggregate gives its row even when none came. */
static void make_only_row(struct agg *a)
{
    void *value;
    uint64_t hash = 0;
    slice_upsert_n(keyed_slice(a->groups, 0, true), NULL, &hash, 1, &value, NULL);
}

static enum status agg_watermark(struct op *op, int port)
{
    (void)port;
    struct agg *a = container_of(op, struct agg, op);
    const struct op_ctx *c = &op->ctx;
    if (c->plan->window == WINDOW_NONE && c->wm[0] == TS_MAX && !*a->given) {
        if (!a->nkeys && c->worker == group_worker(0, c->workers)) make_only_row(a);
        *a->given = 1;
    }
    return agg_more(op);
}

const struct operator_class agg_operator = {
    .name = "aggregate",
    .size = sizeof(struct agg),
    .open = agg_open,
    .start = op_no_start,
    .batch = agg_batch,
    .watermark = agg_watermark,
    .more = agg_more,
    .close = agg_close,
};
