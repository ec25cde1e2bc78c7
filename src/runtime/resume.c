/* What a subscription that resumes reads: a cursor in the log of a stream that keeps history, from right behind the mark of an epoch.
 * It hangs on no edge, so it needs no barrier to begin; its filter is applied here. A batch stays under the cursor until it is
 * given, so that what waits is counted once. SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"
#include "expr/expr.h"
#include "runtime/run_int.h"

struct resume {
    struct runtime *rt;
    struct outlet *outlet;
    struct cursor *cursor;
    const struct schema *schema;
    struct eval *filter; /* NULL: every row */
    struct pool *pool;   /* of rows that it leaves */
    uint32_t *sel;
    size_t cap;
    bool ended;
    uint64_t errors; /* rows whose filter could not be evaluated */
};

static enum status no_epoch(struct outlet *o, uint64_t epoch, struct err *err)
{
    uint64_t oldest, newest, near;
    const char *name = outlet_node(o)->name;
    if (!log_epochs(outlet_log(o), UINT64_MAX, &oldest, &newest))
        return err_set(err, E_MISUSE, "the history of stream \"%.60s\" has no epoch yet to resume at", name);
    log_epochs(outlet_log(o), epoch, &oldest, &near);
    const char *what = epoch < oldest ? "is not there any more" : epoch > newest ? "is not there yet" : "is not one of its epochs";
    err_set(err, E_MISUSE, "epoch %llu %s: the history of stream \"%.60s\" has epochs %llu to %llu", (unsigned long long)epoch, what, name,
            (unsigned long long)oldest, (unsigned long long)newest);
    if (epoch < oldest)
        err_hint(err, "begin at %llu and take what is missing from elsewhere; a larger 'retain_history' keeps more", (unsigned long long)oldest);
    else
        err_hint(err, "the last one before it is %llu", (unsigned long long)near);
    return E_MISUSE;
}

struct resume *resume_new(struct runtime *rt, struct outlet *o, const struct plan *plan, uint64_t epoch, struct log_reader reader,
                          struct err *err)
{
    struct resume *r = mem_zalloc(sizeof *r);
    r->rt = rt;
    r->outlet = o;
    r->schema = plan->schema;
    r->pool = pool_new(rt->account);
    enum status st = plan->kind == PLAN_FILTER ? eval_new(plan->exprs, 1, plan->in[0].node->schema, r->pool, &r->filter, err) : ST_OK;
    if (!st && !(r->cursor = cursor_at_epoch(outlet_log(o), epoch, CURSOR_SPILL, reader))) st = no_epoch(o, epoch, err);
    if (!st) return r;
    resume_free(r);
    return NULL;
}

void resume_free(struct resume *r)
{
    if (!r) return;
    if (r->errors)
        runtime_log(r->rt, 1, "a subscription left out %llu rows that its filter could not be told of", (unsigned long long)r->errors);
    cursor_free(r->cursor);
    eval_free(r->filter);
    mem_free(r->sel);
    pool_close(r->pool);
    mem_free(r);
}

void resume_close(struct resume *r) { cursor_close(r->cursor); }
struct outlet *resume_outlet(const struct resume *r) { return r->outlet; }
void resume_advance(struct resume *r) { cursor_advance(r->cursor); }

uint64_t resume_lag(struct resume *r)
{
    struct cursor_stats s;
    cursor_stats(r->cursor, &s);
    return s.lag_rows;
}

/* A reference to what the filter leaves; NULL: nothing. */
static struct batch *filtered(struct resume *r, struct batch *b)
{
    if (!r->filter) return batch_ref(b), b;
    if (b->rows > r->cap) {
        r->sel = mem_realloc(r->sel, sizeof *r->sel * r->cap, sizeof *r->sel * b->rows);
        r->cap = b->rows;
    }
    struct rows all = rows_all(b), kept = {b, r->sel, 0};
    struct row_errors errors = {0};
    eval_filter(r->filter, &all, r->sel, &kept.n, &errors);
    r->errors += errors.count;
    if (!kept.n) return NULL;
    if (kept.n == b->rows) return batch_ref(b), b;
    return rows_compact(r->pool, r->schema, &kept);
}

enum status resume_take(struct resume *r, struct resumed *at, struct err *err)
{
    struct log_entry e;
    while (!r->ended) {
        TRY(cursor_peek(r->cursor, &e, err));
        switch (e.kind) {
        case LOG_BATCH:
            if ((at->b = filtered(r, e.b))) return ST_OK;
            break;
        case LOG_WATERMARK: at->watermark = e.ts; break;
        case LOG_EPOCH: at->epoch = e.epoch; break;
        case LOG_END: r->ended = true; break;
        }
        cursor_advance(r->cursor);
    }
    return ST_DONE;
}

/* ---- making -------------------------------------------------------------------------------------------------------------- */

/* The stream whose rows the plan gives, if they need no more than a filter. */
static const struct object *stream_of(const struct plan *p)
{
    if (p->kind == PLAN_FILTER) p = p->in[0].node;
    return p->kind == PLAN_STREAM ? p->object : NULL;
}

static struct outlet *find_history(struct runtime *rt, const struct object *stream)
{
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        if (!o->detached && outlet_keeps(o->outlet) && outlet_node(o->outlet)->stream_id == stream->id) return o->outlet;
    return NULL;
}

static enum status make(struct runtime *rt, const struct plan *plan, uint64_t epoch, const struct sub_config *cfg, struct sub **out,
                        struct err *err)
{
    const struct object *stream = stream_of(plan);
    if (!stream) return err_set(err, E_UNSUPPORTED, "AS OF EPOCH goes with a stream, and with a WHERE over its columns alone");
    struct outlet *o = find_history(rt, stream);
    if (!o) {
        err_set(err, E_MISUSE, "stream \"%.60s\" keeps no history to resume from", stream->name);
        err_hint(err, "make it with one: CREATE OR REPLACE STREAM %.60s WITH ('retain_history' = '64mb') AS ...", stream->name);
        return E_MISUSE;
    }
    struct sub *s = sub_new_at(rt, o, plan, epoch, cfg, err);
    if (!s) return err->code;
    struct run_sub *r = mem_zalloc(sizeof *r);
    r->sub = *out = s;
    lock_take(&rt->lock);
    r->next = rt->subs;
    rt->subs = r;
    lock_give(&rt->lock);
    return ST_OK;
}

enum status sub_resume(struct runtime *rt, const struct plan *plan, struct arena *own, uint64_t epoch, const struct sub_config *cfg,
                       int64_t timeout_us, struct sub **out, struct err *err)
{
    struct err local = {.pos = NO_POS};
    *out = NULL;
    if (!err) err = &local;
    if (!turn_take(rt, timeout_us)) {
        arena_free(own);
        return err_set(err, E_TIMEOUT, "a change of the graph is still under way");
    }
    enum status st = make(rt, plan, epoch, cfg, out, err);
    if (st)
        arena_free(own);
    else
        sub_own(*out, own);
    turn_give(rt);
    return st;
}
