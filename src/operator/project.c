/* SELECT's list: one expression per column of the output. SPDX-License-Identifier: Apache-2.0 */
#include "operator/classes.h"
#include "operator/kept.h"

struct project {
    struct op op;
    struct eval *ev;
    void *sel;
    size_t cap;
};

static enum status project_open(struct op *op)
{
    struct project *p = container_of(op, struct project, op);
    const struct plan *plan = op->ctx.plan;
    return eval_new(plan->exprs, plan->nexprs, plan->in[0].node->schema, op->ctx.pool, &p->ev, &op->ctx.err);
}

static enum status project_batch(struct op *op, int port, const struct rows *r)
{
    (void)port;
    struct project *p = container_of(op, struct project, op);
    uint32_t *sel = op_scratch(&p->sel, &p->cap, sizeof *sel * r->n), n;
    struct row_errors errors = {0};
    AUTO(batch_unref) struct batch *b = eval_project(p->ev, r, &errors);
    TRY(kept_rows(op, &errors, r, sel, &n));
    if (!n) return ST_OK;
    op_emit(op, OUT_MAIN, TAKE(b));
    if (n == r->n) return ST_OK;
    op->ctx.out[OUT_MAIN].sel = sel;
    op->ctx.out[OUT_MAIN].n = n;
    return ST_OK;
}

static void project_close(struct op *op)
{
    struct project *p = container_of(op, struct project, op);
    eval_free(p->ev);
    mem_free(p->sel);
}

const struct operator_class project_operator = {
    .name = "project",
    .size = sizeof(struct project),
    .open = project_open,
    .start = op_no_start,
    .batch = project_batch,
    .watermark = op_no_watermark,
    .more = op_no_more,
    .close = project_close,
};
