/* Which class runs which kind of plan node. SPDX-License-Identifier: Apache-2.0 */
#include "operator/classes.h"

static const struct operator_class *const classes[] = {
    [PLAN_FILTER] = &filter_operator, [PLAN_PROJECT] = &project_operator, [PLAN_AGG] = &agg_operator,
    [PLAN_SORT] = &sort_operator,     [PLAN_LIMIT] = &limit_operator,     [PLAN_JOIN] = &join_operator,
    [PLAN_UNION] = &union_operator,
};

const struct operator_class *operator_of(enum plan_kind kind)
{
    const struct operator_class *c = (size_t)kind < countof(classes) ? classes[kind] : NULL;
    if (!c) return NULL;
    INVARIANT(c->name && c->size >= sizeof(struct op) && c->open && c->start && c->batch && c->watermark);
    INVARIANT(c->more && c->close);
    return c;
}
