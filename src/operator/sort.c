/* ORDER BY over bounded input: keeps the rows in order and gives them out at the end of the input.
 *
 * With a limit over an append-only input only the first limit + offset rows can ever be given: the store is cut back to them
 * whenever it has grown to about twice as many, and rows behind the last of them are not taken at all.
 *
 * Until the last row is out, any time may still come: the output watermark stays at the beginning.
 * SPDX-License-Identifier: Apache-2.0 */
#include "operator/classes.h"
#include "operator/kept.h"
#include "operator/rowset.h"

struct sort {
    struct op op;
    struct eval *ev;
    struct rowset rows;
    int64_t *given;       /* in state: 1 when all was given out */
    struct column *cols;  /* of the order expressions */
    void *pos;
    size_t cap;
    uint64_t keep;        /* how many rows can matter; UINT64_MAX: all */
    struct text last;     /* the key of the last row that can matter */
    bool has_last;
    struct ordered_cursor cursor; /* while giving out */
    uint64_t skip, left;
};

static struct sort *self(struct op *op) { return container_of(op, struct sort, op); }

static void merge_given(void *into, const void *from) { *(int64_t *)into |= *(const int64_t *)from; }

static enum status sort_open(struct op *op)
{
    struct sort *s = self(op);
    const struct plan *p = op->ctx.plan, *in = p->in[0].node;
    struct expr **exprs = mem_alloc(sizeof *exprs * (size_t)(p->norder + 1));
    for (int i = 0; i < p->norder; i++) exprs[i] = p->order[i].expr;
    enum status st = eval_new(exprs, p->norder, in->schema, op->ctx.pool, &s->ev, &op->ctx.err);
    mem_free(exprs);
    TRY(st);
    s->cols = mem_zalloc(sizeof *s->cols * (size_t)(p->norder + 1));
    s->keep = p->limit < 0 || in->stream != STREAM_APPEND ? UINT64_MAX
                                                          : (uint64_t)p->limit + (uint64_t)(p->offset > 0 ? p->offset : 0);
    void *given;
    TRY(value_new(op->ctx.state, "given", sizeof *s->given, merge_given, &given, &op->ctx.err));
    s->given = given;
    return rowset_init(&s->rows, op->ctx.state, "rows", in->schema, &op->ctx.err);
}

/* ---- taking ------------------------------------------------------------------------------------------- */

static bool matters(const struct sort *s, const char *key, size_t n)
{
    if (!s->has_last) return s->keep > 0;
    size_t m = n < s->last.n ? n : s->last.n;
    int c = memcmp(key, s->last.p, m);
    return c ? c < 0 : n < s->last.n; /* an equal key comes later than the one kept */
}

static void stage(struct sort *s, const struct rows *r, uint32_t i)
{
    const struct plan *p = s->op.ctx.plan;
    struct text *bytes = &s->rows.bytes;
    size_t from = bytes->n;
    rowset_stage_key(&s->rows);
    for (int k = 0; k < p->norder; k++)
        keycode_put(bytes, p->order[k].expr->type, &s->cols[k], i, p->order[k].desc, p->order[k].nulls_first);
    if (matters(s, bytes->p + from, bytes->n - from))
        rowset_stage_row(&s->rows, r->b, rows_at(r, i), 0);
    else
        rowset_stage_drop(&s->rows);
}

static void note_last(struct sort *s)
{
    const char *key, *row;
    uint32_t nkey, nrow;
    ordered_entry(s->rows.ordered, &s->cursor, &key, &nkey, &row, &nrow);
    text_clear(&s->last);
    text_put(&s->last, key, nkey - ROWSET_SEQUENCE);
    s->has_last = true;
}

/* Cuts the store back to the rows that matter. */
static void prune(struct sort *s)
{
    struct ordered *o = s->rows.ordered;
    if (s->keep == UINT64_MAX || ordered_count(o) < 2 * s->keep + 1024) return;
    ordered_seek(o, &s->cursor, "", 0);
    for (uint64_t i = 1; i < s->keep; i++) ordered_next(o, &s->cursor);
    note_last(s);
    for (ordered_next(o, &s->cursor); s->cursor.on; ordered_next(o, &s->cursor))
        ordered_delete(o, s->cursor.key, s->cursor.nkey);
}

static enum status sort_batch(struct op *op, int port, const struct rows *r)
{
    (void)port;
    struct sort *s = self(op);
    struct row_errors errors = {0};
    uint32_t *pos = op_scratch(&s->pos, &s->cap, sizeof *pos * r->n), n;
    eval_columns(s->ev, r, s->cols, &errors);
    TRY(kept_rows(op, &errors, r, pos, &n));
    rowset_stage_none(&s->rows, n);
    for (uint32_t i = 0; i < n; i++) stage(s, r, n == r->n ? i : pos[i]);
    TRY(rowset_reserve(&s->rows, op->ctx.state));
    bool ok = rowset_apply(&s->rows);
    state_settle(op->ctx.state);
    if (!ok) return err_set(&op->ctx.err, E_EXEC, "ORDER BY: a change takes back a row that never came");
    prune(s);
    return ST_OK;
}

/* ---- giving ------------------------------------------------------------------------------------------- */

static enum status sort_more(struct op *op)
{
    struct sort *s = self(op);
    const struct schema *schema = s->rows.schema;
    uint32_t n = 0, cap = op->ctx.batch_rows, steps = 8 * cap;
    struct batch *b = batch_for(op->ctx.pool, schema, cap);
    for (; s->cursor.on && s->left && n < cap && steps; steps--) {
        const char *key, *row;
        uint32_t nkey, nrow;
        ordered_entry(s->rows.ordered, &s->cursor, &key, &nkey, &row, &nrow);
        if (s->skip) {
            s->skip--;
        } else {
            rowcode_get(row, nrow, schema, b, n++, cap);
            s->left--;
        }
        ordered_next(s->rows.ordered, &s->cursor);
    }
    b->rows = n;
    if (n)
        op_emit(op, OUT_MAIN, b);
    else
        batch_unref(b);
    bool more = s->cursor.on && s->left;
    op->ctx.wm_out = more ? TS_MIN : TS_MAX;
    if (!more) *s->given = 1;
    return more ? ST_MORE : ST_OK;
}

static enum status sort_watermark(struct op *op, int port)
{
    (void)port;
    struct sort *s = self(op);
    const struct plan *p = op->ctx.plan;
    if (op->ctx.wm[0] != TS_MAX) return op->ctx.wm_out = TS_MIN, ST_OK;
    if (*s->given) return ST_OK;
    s->skip = p->offset > 0 ? (uint64_t)p->offset : 0;
    s->left = p->limit < 0 ? UINT64_MAX : (uint64_t)p->limit;
    ordered_seek(s->rows.ordered, &s->cursor, "", 0);
    return sort_more(op);
}

static void sort_close(struct op *op)
{
    struct sort *s = self(op);
    eval_free(s->ev);
    rowset_done(&s->rows);
    ordered_cursor_done(&s->cursor);
    text_done(&s->last);
    mem_free(s->cols);
    mem_free(s->pos);
}

const struct operator_class sort_operator = {
    .name = "sort",
    .size = sizeof(struct sort),
    .open = sort_open,
    .start = op_no_start,
    .batch = sort_batch,
    .watermark = sort_watermark,
    .more = sort_more,
    .close = sort_close,
};
