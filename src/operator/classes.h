/* The classes of this room, listed by classes.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef OPERATOR_CLASSES_H
#define OPERATOR_CLASSES_H

#include "operator/op.h"

extern const struct operator_class filter_operator, project_operator, agg_operator, sort_operator, limit_operator,
    join_operator, union_operator;

#endif
