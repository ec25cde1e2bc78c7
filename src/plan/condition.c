/* A condition that comes alone, from someone who may be anyone: the filter of a network client. So what it costs is bounded by
 * the lengths of its text and of a row: no query, no aggregate, and no function that makes long text of short. SPDX-License-Identifier:
 * Apache-2.0 */
#include "plan/bind.h"

static bool grows(const struct ast *e)
{
    static const char *const names[] = {"repeat", "lpad", "rpad", "replace", "regexp_replace", "translate", "overlay", "format"};
    for (size_t i = 0; e->kind == AST_CALL && i < countof(names); i++)
        if (ast_is_call(e, names[i])) return true;
    return false;
}

/* Before binding, which would work calls of constants out. */
static enum status refuse_growing(const struct ast *e, struct err *err)
{
    if (!e) return ST_OK;
    if (grows(e)) return err_at(err, E_UNSUPPORTED, e->pos, "%s is not for a filter: it may make long text of short", e->name);
    for (int i = 0; i < e->args.n; i++) TRY(refuse_growing(e->args.at[i], err));
    TRY(refuse_growing(e->operand, err));
    return refuse_growing(e->els, err);
}

static void find_volatile(void *ctx, const struct expr *e)
{
    const struct expr **found = ctx;
    if (e->kind == EXPR_CALL && e->is_volatile) *found = e;
}

enum status plan_condition(struct arena *a, const struct schema *columns, const char *text, struct expr **out, struct err *err)
{
    size_t n = strlen(text);
    struct ast *e;
    if (n > CONDITION_MAX) return err_set(err, E_LIMIT, "the filter has %zu bytes, and %d are the most", n, CONDITION_MAX);
    TRY(sql_parse_expr(a, text, n, &e, err));
    TRY(refuse_growing(e, err));
    struct plan *in = node_values(a, 0, columns->n);
    in->schema = schema_copy(a, columns);
    struct binder b = {.a = a, .err = err};
    struct place p = {.b = &b, .scope = scope_new(a, in, NULL), .clause = "a filter"};
    TRY(bind_bool(&p, e, out));
    expr_bound(*out);
    const struct expr *changing = NULL;
    expr_walk(*out, find_volatile, &changing);
    if (!changing) return ST_OK;
    return err_at(err, E_UNSUPPORTED, changing->pos, "%s is not for a filter: it gives another value at each call", changing->name);
}
