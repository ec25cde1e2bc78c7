/* Subscriptions in the process: taking rows, by asking or by being called. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#define CALLS 16 /* in one step of the callback's task; then others have their turn */

/* The callback that this thread runs. */
static _Thread_local struct lam_sub *inside;

bool subscription_inside(const struct lam_db *db) { return inside && inside->home == db; }
bool subscription_is_inside(const struct lam_sub *l) { return inside == l; }

static enum status refused(struct err *err)
{
    *err = (struct err){.pos = NO_POS};
    err_set(err, E_MISUSE, "this call is not allowed inside a subscription's callback, which it would wait for");
    err_hint(err, "let another thread make it");
    return E_MISUSE;
}

int subscription_refuse(struct lam_session *s)
{
    struct err err;
    refused(&err);
    if (!s) return thread_fail(&err);
    s->errpos = -1;
    return session_fail(s, &err);
}

/* ---- one batch --------------------------------------------------------------------------------------------------------- */

struct exporter *exporter_take(struct lam_db *db)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned mine;
    if (!mine) mine = atomic_fetch_add(&threads, 1) + 1;
    struct exporter *x = &db->exporters[mine % EXPORTERS];
    lock_take(&x->lock);
    return x;
}

static int export_batch(struct lam_sub *l, struct batch *b, struct ArrowArray *out)
{
    struct err err;
    struct exporter *x = exporter_take(l->db);
    enum status st = cdata_export(x->pool, b, l->schema, l->flags, out, &err);
    lock_give(&x->lock);
    batch_unref(b);
    return st ? thread_fail(&err) : LAM_OK;
}

/* The subscription is not closed under us meanwhile. */
static int take(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us)
{
    struct batch *b;
    struct err err;
    enum status st = sub_recv(l->sub, timeout_us, &b, &err);
    atomic_store_explicit(&l->watermark, sub_watermark(l->sub), memory_order_relaxed);
    atomic_store_explicit(&l->epoch, (int64_t)sub_epoch(l->sub), memory_order_relaxed);
    if (st == ST_DONE) return LAM_END;
    if (st == ST_WAIT) return timeout_us ? LAM_TIMEOUT : LAM_EMPTY;
    if (st) return thread_fail(&err);
    if (b) return export_batch(l, b, out);
    sub_gap(l->sub, &l->gap_rows, &l->gap_batches);
    return LAM_GAP;
}

static int not_for_callbacks(void)
{
    struct err err;
    err_set(&err, E_MISUSE, "the subscription has a callback, which gets its rows");
    return thread_fail(&err);
}

/* Takes the lock when the rows may be asked for; else says why not. */
static int begin(struct lam_sub *l)
{
    struct err err;
    if (subscription_forked(l)) return LAM_MISUSE;
    if (l->callback) return not_for_callbacks();
    lock_take(&l->lock);
    if (l->db) return LAM_OK;
    lock_give(&l->lock);
    err_set(&err, E_CLOSED, "the database was closed");
    return thread_fail(&err);
}

static int receive(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us)
{
    int r = begin(l);
    if (r) return r;
    r = l->due ? l->due : take(l, out, timeout_us);
    l->due = 0;
    lock_give(&l->lock);
    return r;
}

int lam_poll(struct lam_sub *l, struct ArrowArray *out) { return receive(l, out, 0); }
int lam_recv(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us) { return receive(l, out, timeout_us); }

int lam_poll_many(struct lam_sub *l, struct ArrowArray *out, size_t n, size_t *got)
{
    *got = 0;
    int r = begin(l);
    if (r) return r;
    r = l->due;
    l->due = 0;
    while (!r && *got < n && !(r = take(l, &out[*got], 0))) ++*got;
    if (*got && r != LAM_EMPTY) l->due = r; /* the next call says it */
    lock_give(&l->lock);
    return *got ? LAM_OK : r;
}

/* ---- callbacks ----------------------------------------------------------------------------------------------------------- */

/* The last call: closers wait for it. */
static enum step finish(struct lam_sub *l)
{
    atomic_store(&l->over, true);
    bell_ring(&l->bell);
    if (l->closed_inside) {
        subscription_detach(l);
        subscription_let_go(l); /* the subscriber's */
    }
    subscription_let_go(l);
    return STEP_DONE;
}

static int call(struct lam_sub *l)
{
    struct ArrowArray rows = {0};
    int code = take(l, &rows, 0);
    if (code == LAM_EMPTY) return code;
    struct lam_sub *outer = inside;
    inside = l;
    l->callback(l->ctx, l, code, &rows);
    inside = outer;
    if (rows.release) rows.release(&rows);
    return code;
}

enum step subscription_deliver(void *ctx, bool stop)
{
    struct lam_sub *l = ctx;
    for (int n = 0; n < CALLS; n++) {
        if (stop || atomic_load(&l->closing)) return finish(l);
        int code = call(l);
        if (code == LAM_EMPTY) return STEP_WAIT;
        stop = code != LAM_OK && code != LAM_GAP;
    }
    return STEP_AGAIN;
}

/* ---- what a subscription knows ------------------------------------------------------------------------------------------- */

int lam_sub_schema(struct lam_sub *l, struct ArrowSchema *out)
{
    if (subscription_forked(l)) return LAM_MISUSE;
    cdata_schema(l->schema, l->flags, out);
    return LAM_OK;
}

int lam_sub_gap(struct lam_sub *l, uint64_t *rows, uint64_t *batches)
{
    if (subscription_forked(l)) return LAM_MISUSE;
    *rows = l->gap_rows;
    *batches = l->gap_batches;
    return LAM_OK;
}

int lam_sub_fd(struct lam_sub *l)
{
    struct err err;
    if (begin(l)) return -1;
    enum status st = l->fd < 0 ? sub_watch(l->sub, &l->fd, &err) : ST_OK;
    lock_give(&l->lock);
    if (st) thread_fail(&err);
    return l->fd;
}

int64_t lam_sub_watermark(struct lam_sub *l) { return atomic_load_explicit(&l->watermark, memory_order_relaxed); }
int64_t lam_sub_epoch(struct lam_sub *l) { return atomic_load_explicit(&l->epoch, memory_order_relaxed); }

int lam_sub_stats(struct lam_sub *l, struct lam_sub_stats *out)
{
    struct sub_stats s;
    if (subscription_forked(l)) return LAM_MISUSE;
    if (out->size != sizeof *out) {
        struct err err;
        err_set(&err, E_CONFIG, "lam_sub_stats.size is %zu, not sizeof(struct lam_sub_stats)", out->size);
        return thread_fail(&err);
    }
    lock_take(&l->tie);
    if (l->sub)
        sub_stats(l->sub, &s);
    else
        s = l->last;
    lock_give(&l->tie);
    uint64_t gone = s.delivered_rows + s.dropped_rows;
    *out = (struct lam_sub_stats){
        .size = sizeof *out, .delivered_rows = s.delivered_rows, .delivered_batches = s.delivered_batches,
        .dropped_rows = s.dropped_rows, .dropped_batches = s.dropped_batches, .sampled_rows = s.sampled_rows,
        .lag_rows = s.rows > gone ? s.rows - gone : 0, /* the counts are not of one moment */
        .sequence = s.sequence, .watermark = s.watermark, .epoch = (int64_t)s.epoch};
    return LAM_OK;
}
