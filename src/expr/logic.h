/* Functions that the evaluator or the builder knows by name. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_LOGIC_H
#define EXPR_LOGIC_H

#include "expr/expr_int.h"

extern const struct function logic_coalesce; /* run by the evaluator: its arguments are lazy */
extern const struct function logic_nullif;   /* (value, whether it is to vanish) */
extern const struct function logic_not;
extern const struct function logic_is_null, logic_is_not_null;
extern const struct function logic_is_true, logic_is_not_true, logic_is_false, logic_is_not_false;

/* SQL's AND and OR: acc = acc op x over n rows. valid: NULL when no row is NULL. */
void logic_join(bool is_and, uint8_t *acc, uint64_t **acc_valid, uint64_t *room, const struct vec *x, uint32_t n);

#endif
