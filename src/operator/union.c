/* UNION ALL: what comes from any port goes on; the planner has made the columns alike.
 * SPDX-License-Identifier: Apache-2.0 */
#include "operator/classes.h"

static enum status union_open(struct op *op) { return (void)op, ST_OK; }

static enum status union_batch(struct op *op, int port, const struct rows *r)
{
    (void)port;
    if (!r->n) return ST_OK;
    batch_ref(r->b);
    op->ctx.out[OUT_MAIN] = *r;
    return ST_OK;
}

const struct operator_class union_operator = {
    .name = "union",
    .size = sizeof(struct op),
    .open = union_open,
    .start = op_no_start,
    .batch = union_batch,
    .watermark = op_no_watermark,
    .more = op_no_more,
    .close = op_no_close,
};
