/* The rows that stay after row errors. SPDX-License-Identifier: Apache-2.0 */
#include "operator/kept.h"

enum status kept_rows(struct op *op, const struct row_errors *e, const struct rows *r, uint32_t *pos, uint32_t *n)
{
    struct rows rest = *r;
    *n = r->n;
    if (!e->count) return ST_OK;
    TRY(op_row_errors(op, e, &rest, pos));
    if (rest.n == r->n) return ST_OK;
    *n = rest.n;
    /* Both ascend and rest is part of r; entry k is read before it is written, since k <= i. */
    for (uint32_t i = 0, k = 0; k < rest.n; i++)
        if (rows_at(r, i) == rows_at(&rest, k)) pos[k++] = i;
    return ST_OK;
}
