/* Inner join on equal keys of two bounded inputs. Each side keeps its rows by key; a new row meets the stored rows of the
 * other side at once, so each pair is found once, by whichever row comes second. What meets nothing any more is not kept: a
 * side whose other side has ended stores nothing. A row with a NULL key matches nothing and is not kept either.
 *
 * A row may match many: the matches of a batch are walked by a cursor that stands between outputs (ST_MORE). Output rows may
 * carry any time of either side, so the output watermark stays at the beginning until both have ended.
 *
 * The weight of a pair is that of the new row: stored rows count once each, a -1 takes its row out of the store.
 * SPDX-License-Identifier: Apache-2.0 */
#include "operator/classes.h"
#include "operator/kept.h"
#include "operator/rowset.h"

struct side {
    struct eval *keys;
    struct rowset rows;
};

struct join {
    struct op op;
    struct side side[2]; /* by port: left, right */
    struct eval *residual;
    struct column *cols; /* of the keys */
    void *pos, *hashes, *sel;
    size_t pos_cap, hashes_cap, sel_cap;
    /* while the batch at hand meets the other side */
    int port;
    struct rows in;
    uint32_t next;       /* staged row that is meeting */
    bool meeting;        /* the cursor is set for it */
    struct ordered_cursor cursor;
    uint32_t *from;      /* for each output row its row in `in` */
};

static struct join *self(struct op *op) { return container_of(op, struct join, op); }

static enum status open_side(struct join *j, int port)
{
    static const char *const names[] = {"left", "right"};
    const struct plan *p = j->op.ctx.plan;
    const struct schema *schema = p->in[port].node->schema;
    struct expr **keys = port ? p->right_keys : p->left_keys;
    TRY(eval_new(keys, p->njoin_keys, schema, j->op.ctx.pool, &j->side[port].keys, &j->op.ctx.err));
    return rowset_init(&j->side[port].rows, j->op.ctx.state, names[port], schema, &j->op.ctx.err);
}

static enum status join_open(struct op *op)
{
    struct join *j = self(op);
    const struct plan *p = op->ctx.plan;
    j->cols = mem_zalloc(sizeof *j->cols * (size_t)(p->njoin_keys + 1));
    j->from = mem_alloc(sizeof *j->from * op->ctx.batch_rows);
    TRY(open_side(j, 0));
    TRY(open_side(j, 1));
    return p->nexprs ? eval_new(p->exprs, 1, p->schema, op->ctx.pool, &j->residual, &op->ctx.err) : ST_OK;
}

/* ---- taking ------------------------------------------------------------------------------------------- */

static struct type key_type(const struct join *j, int k) { return j->op.ctx.plan->left_keys[k]->type; }

static bool has_null_key(const struct join *j, uint32_t i)
{
    for (int k = 0; k < j->op.ctx.plan->njoin_keys; k++)
        if (column_null(&j->cols[k], i)) return true;
    return false;
}

static const uint64_t *hash_keys(struct join *j, uint32_t n)
{
    struct type types[64];
    int nkeys = j->op.ctx.plan->njoin_keys;
    INVARIANT(nkeys <= (int)countof(types));
    for (int k = 0; k < nkeys; k++) types[k] = key_type(j, k);
    uint64_t *hashes = op_scratch(&j->hashes, &j->hashes_cap, sizeof *hashes * n);
    key_hash(j->cols, types, nkeys, n, j->op.ctx.seed, hashes);
    return hashes;
}

static void stage(struct join *j, const struct rows *r, const uint32_t *pos, uint32_t n, bool store)
{
    struct rowset *rows = &j->side[j->port].rows;
    const uint64_t *hashes = store ? hash_keys(j, r->n) : NULL;
    rowset_stage_none(rows, n);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = n == r->n ? k : pos[k];
        if (has_null_key(j, i)) continue;
        rowset_stage_key(rows);
        for (int c = 0; c < j->op.ctx.plan->njoin_keys; c++)
            keycode_put(&rows->bytes, key_type(j, c), &j->cols[c], i, false, false);
        if (store)
            rowset_stage_row(rows, r->b, rows_at(r, i), key_group(hashes[i]));
        else
            rowset_stage_only_key(rows, r->b, rows_at(r, i));
    }
}

static enum status keep(struct join *j)
{
    struct op *op = &j->op;
    TRY(rowset_reserve(&j->side[j->port].rows, op->ctx.state));
    bool ok = rowset_apply(&j->side[j->port].rows);
    state_settle(op->ctx.state);
    return ok ? ST_OK : err_set(&op->ctx.err, E_EXEC, "JOIN: a change takes back a row that never came");
}

/* ---- giving ------------------------------------------------------------------------------------------- */

/* The output: the columns of both batches side by side, both pinned. */
static struct batch *pair(struct join *j, struct batch *mine, struct batch *theirs)
{
    struct batch *left = j->port ? theirs : mine, *right = j->port ? mine : theirs;
    struct batch *b = batch_new(j->op.ctx.pool, left->ncols + right->ncols);
    memcpy(b->cols, left->cols, sizeof *b->cols * left->ncols);
    memcpy(b->cols + left->ncols, right->cols, sizeof *b->cols * right->ncols);
    batch_pin(b, left);
    batch_pin(b, right);
    b->rows = mine->rows;
    b->weight = mine->weight;
    return b;
}

static enum status give(struct join *j, struct batch *theirs)
{
    struct op *op = &j->op;
    const struct schema *schema = j->side[j->port].rows.schema;
    AUTO(batch_unref) struct batch *mine = batch_for(op->ctx.pool, schema, theirs->rows);
    batch_scatter(mine, theirs->rows, schema, j->in.b, j->from, theirs->rows);
    AUTO(batch_unref) struct batch *b = pair(j, mine, theirs);
    uint32_t *sel = NULL, n = b->rows;
    if (j->residual) {
        struct row_errors errors = {0};
        struct rows all = rows_all(b);
        sel = op_scratch(&j->sel, &j->sel_cap, sizeof *sel * b->rows);
        eval_filter(j->residual, &all, sel, &n, &errors);
        struct rows kept = {b, sel, n};
        if (errors.count) TRY(op_row_errors(op, &errors, &kept, sel));
        n = kept.n;
    }
    if (!n) return ST_OK;
    bool all = n == b->rows;
    op_emit(op, OUT_MAIN, TAKE(b));
    if (all) return ST_OK;
    op->ctx.out[OUT_MAIN].sel = sel;
    op->ctx.out[OUT_MAIN].n = n;
    return ST_OK;
}

/* Fills `theirs` with stored rows that match, from the cursor on; false when there are no more. */
static bool meet(struct join *j, struct batch *theirs)
{
    struct rowset *mine = &j->side[j->port].rows, *other = &j->side[!j->port].rows;
    uint32_t cap = j->op.ctx.batch_rows, nrow;
    const char *row;
    for (; j->next < mine->n; j->next++, j->meeting = false) {
        const struct staged *g = &mine->staged[j->next];
        const char *key = rowset_key(mine, g);
        if (!j->meeting) rowset_seek(other, &j->cursor, key, g->nkey);
        j->meeting = true;
        for (; rowset_on(other, &j->cursor, key, g->nkey, &row, &nrow); ordered_next(other->ordered, &j->cursor)) {
            if (theirs->rows == cap) return true;
            j->from[theirs->rows] = g->at;
            rowcode_get(row, nrow, other->schema, theirs, theirs->rows++, cap);
        }
    }
    return false;
}

static enum status join_more(struct op *op)
{
    struct join *j = self(op);
    if (j->next == j->side[j->port].rows.n) return ST_OK;
    AUTO(batch_unref) struct batch *theirs = batch_for(op->ctx.pool, j->side[!j->port].rows.schema, op->ctx.batch_rows);
    bool more = meet(j, theirs);
    if (theirs->rows) TRY(give(j, theirs));
    return more ? ST_MORE : ST_OK;
}

static enum status join_batch(struct op *op, int port, const struct rows *r)
{
    struct join *j = self(op);
    struct row_errors errors = {0};
    uint32_t *pos = op_scratch(&j->pos, &j->pos_cap, sizeof *pos * r->n), n;
    bool store = !op->ctx.ended[!port];
    j->port = port;
    j->in = *r;
    eval_columns(j->side[port].keys, r, j->cols, &errors);
    TRY(kept_rows(op, &errors, r, pos, &n));
    stage(j, r, pos, n, store);
    if (store) TRY(keep(j));
    j->next = 0;
    j->meeting = false;
    return join_more(op);
}

static enum status join_watermark(struct op *op, int port)
{
    (void)port;
    if (op->ctx.wm[0] != TS_MAX || op->ctx.wm[1] != TS_MAX) op->ctx.wm_out = TS_MIN;
    return ST_OK;
}

static void join_close(struct op *op)
{
    struct join *j = self(op);
    for (int port = 0; port < 2; port++) {
        eval_free(j->side[port].keys);
        rowset_done(&j->side[port].rows);
    }
    eval_free(j->residual);
    ordered_cursor_done(&j->cursor);
    mem_free(j->cols);
    mem_free(j->from);
    mem_free(j->pos);
    mem_free(j->hashes);
    mem_free(j->sel);
}

const struct operator_class join_operator = {
    .name = "join",
    .size = sizeof(struct join),
    .open = join_open,
    .start = op_no_start,
    .batch = join_batch,
    .watermark = join_watermark,
    .more = join_more,
    .close = join_close,
};
