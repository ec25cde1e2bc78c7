/* The rows that stay after row errors. SPDX-License-Identifier: Apache-2.0 */
#ifndef OPERATOR_KEPT_H
#define OPERATOR_KEPT_H

#include "operator/op.h"

/* Applies on_error (op_row_errors) to what an evaluation over r marked. Gives in pos[0..*n) which entries of r stay, as
 * positions 0..r->n-1, ascending; room for r->n is the caller's. *n == r->n: all of them, and pos is not written. */
enum status kept_rows(struct op *op, const struct row_errors *e, const struct rows *r, uint32_t *pos, uint32_t *n);

#endif
