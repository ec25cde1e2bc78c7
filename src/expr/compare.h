/* The order of values of each type. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_COMPARE_H
#define EXPR_COMPARE_H

#include "arrow/type.h"

/* Of two cells of one type, neither NULL: < 0, 0, > 0. */
typedef int cell_order(const void *a, const void *b);
cell_order *compare_order(struct type t); /* NULL: the type has no order */

struct function;
extern const struct function compare_greatest, compare_least, compare_distinct, compare_not_distinct;

#endif
