/* WHERE: narrows the selection; the batch goes on as it is. SPDX-License-Identifier: Apache-2.0 */
#include "operator/classes.h"

struct filter {
    struct op op;
    struct eval *ev;
    void *sel;
    size_t cap;
};

static enum status filter_open(struct op *op)
{
    struct filter *f = container_of(op, struct filter, op);
    const struct plan *p = op->ctx.plan;
    return eval_new(p->exprs, 1, p->in[0].node->schema, op->ctx.pool, &f->ev, &op->ctx.err);
}

static enum status filter_batch(struct op *op, int port, const struct rows *r)
{
    (void)port;
    struct filter *f = container_of(op, struct filter, op);
    uint32_t *sel = op_scratch(&f->sel, &f->cap, sizeof *sel * r->n);
    struct row_errors errors = {0};
    struct rows kept = {r->b, sel, 0};
    eval_filter(f->ev, r, sel, &kept.n, &errors);
    if (errors.count) TRY(op_row_errors(op, &errors, &kept, sel)); /* not true: they are gone already, but counted */
    if (!kept.n) return ST_OK;
    if (kept.n == r->n) kept = *r;
    batch_ref(r->b);
    op->ctx.out[OUT_MAIN] = kept;
    return ST_OK;
}

static void filter_close(struct op *op)
{
    struct filter *f = container_of(op, struct filter, op);
    eval_free(f->ev);
    mem_free(f->sel);
}

const struct operator_class filter_operator = {
    .name = "filter",
    .size = sizeof(struct filter),
    .open = filter_open,
    .start = op_no_start,
    .batch = filter_batch,
    .watermark = op_no_watermark,
    .more = op_no_more,
    .close = filter_close,
};
