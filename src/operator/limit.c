/* LIMIT and OFFSET without ORDER BY: rows as they come, in the one instance; at the limit its input is closed. How many
 * were skipped and given is state, so that a restart gives no row twice. SPDX-License-Identifier: Apache-2.0 */
#include "operator/classes.h"

struct counts {
    int64_t skipped, given;
};

struct limit {
    struct op op;
    struct counts *counts; /* in state */
    void *sel;
    size_t cap;
};

static void merge_counts(void *into, const void *from)
{
    struct counts *a = into;
    const struct counts *b = from;
    a->skipped += b->skipped;
    a->given += b->given;
}

static enum status limit_open(struct op *op)
{
    struct limit *l = container_of(op, struct limit, op);
    void *p;
    TRY(value_new(op->ctx.state, "counts", sizeof *l->counts, merge_counts, &p, &op->ctx.err));
    l->counts = p;
    return ST_OK;
}

static enum status at_limit(const struct limit *l)
{
    int64_t limit = l->op.ctx.plan->limit;
    return limit >= 0 && l->counts->given >= limit ? ST_DONE : ST_OK;
}

/* The part [from, from + n) of r. */
static struct rows part(struct limit *l, const struct rows *r, uint32_t from, uint32_t n)
{
    if (n == r->n) return *r;
    if (r->sel) return (struct rows){r->b, r->sel + from, n};
    uint32_t *sel = op_scratch(&l->sel, &l->cap, sizeof *sel * n);
    for (uint32_t i = 0; i < n; i++) sel[i] = from + i;
    return (struct rows){r->b, sel, n};
}

static enum status limit_batch(struct op *op, int port, const struct rows *r)
{
    (void)port;
    struct limit *l = container_of(op, struct limit, op);
    const struct plan *p = op->ctx.plan;
    int64_t skip = p->offset > 0 ? p->offset - l->counts->skipped : 0, n = r->n;
    if (skip > n) skip = n;
    n -= skip;
    if (p->limit >= 0 && n > p->limit - l->counts->given) n = p->limit - l->counts->given;
    l->counts->skipped += skip;
    l->counts->given += n;
    if (n > 0) {
        batch_ref(r->b);
        op->ctx.out[OUT_MAIN] = part(l, r, (uint32_t)skip, (uint32_t)n);
    }
    return at_limit(l);
}

/* LIMIT 0, and a restart at the limit, end without a row. */
static enum status limit_watermark(struct op *op, int port)
{
    (void)port;
    return at_limit(container_of(op, struct limit, op));
}

static void limit_close(struct op *op) { mem_free(container_of(op, struct limit, op)->sel); }

const struct operator_class limit_operator = {
    .name = "limit",
    .size = sizeof(struct limit),
    .open = limit_open,
    .start = op_no_start,
    .batch = limit_batch,
    .watermark = limit_watermark,
    .more = op_no_more,
    .close = limit_close,
};
