/* From a query to a plan: the binder, then the rewrites. SPDX-License-Identifier: Apache-2.0 */
#include "plan/bind.h"

static enum status never_ends(const struct ast_select *s, struct err *err)
{
    err_at(err, E_UNBOUNDED, s->pos, "the query reads input that never ends, so SELECT would not return");
    err_hint(err, "add LIMIT, or CREATE STREAM ... AS SELECT and subscribe to it");
    return E_UNBOUNDED;
}

enum status plan_query(struct arena *a, const struct catalog *c, const struct ast_select *s, bool keep_root,
                       const char *name, struct plan **out, const struct object ***uses, int *nuses, struct err *err)
{
    struct binder b = {.a = a, .catalog = c, .err = err};
    struct plan *p;
    enum status st = bind_select(&b, s, true, &p);
    if (st && err && err->pos == NO_POS) err->pos = s->pos;
    TRY(st);
    TRY(plan_rewrite(a, &p, keep_root, name, err));
    *uses = b.uses;
    *nuses = b.nuses;
    *out = p;
    return ST_OK;
}

enum status plan_select(struct arena *a, const struct catalog *c, const struct ast_select *s, bool ad_hoc,
                        struct plan **out, const struct object ***uses, int *nuses, struct err *err)
{
    struct plan *p;
    TRY(plan_query(a, c, s, false, "", &p, uses, nuses, err));
    if (ad_hoc && !p->bounded) return never_ends(s, err);
    *out = p;
    return ST_OK;
}
