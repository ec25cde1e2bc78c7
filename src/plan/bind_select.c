/* Queries. A SELECT becomes, from below: FROM, WHERE, the aggregation and HAVING, the projection to the select list
 * (and what only ORDER BY needs), DISTINCT, the order, and LIMIT. SPDX-License-Identifier: Apache-2.0 */
#include "plan/bind.h"

#include <stdio.h>
#include <stdlib.h>

#define SELECT_DEPTH_MAX 100
#define COLUMNS_MAX      4096

struct item {
    const struct ast *ast; /* NULL: from a star, then `expr` is set */
    const char *name;
    const char *alias; /* as written, or NULL */
    struct expr *expr;
};

struct query {
    struct binder *b;
    const struct ast_select *s;
    struct scope *scope;
    struct plan *plan;
    struct grouping g;
    int n, visible, cap; /* items: those of the select list, then hidden ones that only ORDER BY needs */
    struct item *items;
    int norder;
    int *order; /* item of each ORDER BY */
};

/* ---- clauses that are not there yet ------------------------------------------------------------------ */

static enum status refuse_clauses(struct binder *b, const struct ast_select *s)
{
    static const char emits[] = "supported are EMIT ON WATERMARK, ON WINDOW CLOSE and FINAL";
    if (s->qualify)
        return bind_refuse(b, s->qualify->pos, "QUALIFY", "supported are aggregates with GROUP BY and TUMBLE windows");
    if (s->windows.n)
        return bind_refuse(b, s->pos, "WINDOW", "supported are aggregates with GROUP BY and TUMBLE windows");
    if (s->distinct_on.n)
        return bind_refuse(b, s->distinct_on.at[0]->pos, "DISTINCT ON", "use GROUP BY with FIRST_VALUE or LAST_VALUE");
    if (s->late_to)
        return bind_refuse(b, s->pos, "LATE DATA TO",
                           "late rows are counted; ALLOW LATENESS keeps windows open for them");
    switch (s->emit) {
    case EMIT_ON_UPDATE: return bind_refuse(b, s->emit_pos, "EMIT ON UPDATE", emits);
    case EMIT_EVERY: return bind_refuse(b, s->emit_pos, "EMIT EVERY", emits);
    case EMIT_CHANGES: return bind_refuse(b, s->emit_pos, "EMIT CHANGES", emits);
    default: return ST_OK;
    }
}

/* What only a windowed aggregation can do, in a query without one. */
static enum status refuse_window_clauses(struct binder *b, const struct ast_select *s)
{
    bool final = s->emit == EMIT_FINAL;
    if (final || s->emit == EMIT_ON_WINDOW_CLOSE) {
        err_at(b->err, E_WINDOW, s->emit_pos, "EMIT %s needs a windowed aggregation",
               final ? "FINAL" : "ON WINDOW CLOSE");
        err_hint(b->err, "group by TUMBLE(ts, INTERVAL '1' MINUTE), or leave EMIT out");
        return E_WINDOW;
    }
    if (s->lateness) return err_at(b->err, E_WINDOW, s->lateness->pos, "ALLOW LATENESS needs a windowed aggregation");
    return ST_OK;
}

/* ---- the select list ---------------------------------------------------------------------------------- */

static enum status item_add(struct query *q, struct item item, uint32_t pos)
{
    if (q->n == COLUMNS_MAX) return err_at(q->b->err, E_LIMIT, pos, "more than %d columns", COLUMNS_MAX);
    if (q->n == q->cap) {
        int cap = q->cap * 2 + 16;
        struct item *items = arena_alloc(q->b->a, sizeof *items * (size_t)cap);
        if (q->n) memcpy(items, q->items, sizeof *items * (size_t)q->n);
        q->items = items, q->cap = cap;
    }
    q->items[q->n++] = item;
    return ST_OK;
}

static enum status expand_star(struct query *q, const struct ast *star)
{
    struct binder *b = q->b;
    const char *table = star->nparts ? star->parts[star->nparts - 1] : NULL;
    const struct scope *s = q->scope;
    if (!q->s->from) return err_at(b->err, E_SYNTAX, star->pos, "SELECT * needs FROM");
    if (table && !scope_has_table(s, table))
        return err_at(b->err, E_TABLE, star->pos, "there is no '%.100s' in FROM", table);
    for (int i = 0; i < s->n; i++) {
        const struct scope_column *c = &s->columns[i];
        if (table ? !c->table || strcmp(c->table, table) : c->hidden) continue;
        struct expr *e = expr_column(b->a, c->column, s->plan->schema->fields[c->column].type, star->pos);
        TRY(item_add(q, (struct item){.name = c->name, .expr = e}, star->pos));
    }
    return ST_OK;
}

static enum status expand_items(struct query *q)
{
    for (int i = 0; i < q->s->items.n; i++) {
        const struct ast_item *item = q->s->items.at[i];
        if (item->expr->kind == AST_STAR) {
            TRY(expand_star(q, item->expr));
            continue;
        }
        struct item plain = {
            .ast = item->expr, .alias = item->alias, .name = item->alias ? item->alias : bind_name(item->expr)};
        TRY(item_add(q, plain, item->expr->pos));
    }
    q->visible = q->n;
    return ST_OK;
}

/* The item that a whole number in GROUP BY or ORDER BY names; -1: e is no such number. */
static enum status item_at(struct query *q, const struct ast *e, const char *clause, int *out)
{
    *out = -1;
    if (e->kind != AST_NUMBER || strspn(e->text, "0123456789") != strlen(e->text)) return ST_OK;
    long n = strtol(e->text, NULL, 10);
    if (n < 1 || n > q->visible)
        return err_at(q->b->err, E_PLAN, e->pos, "%s position %.20s is not in the select list of %d columns", clause,
                      e->text, q->visible);
    *out = (int)n - 1;
    return ST_OK;
}

/* The one item of that alias (or unaliased name); -1: none, -2: several different ones. */
static int item_named(const struct query *q, const char *name)
{
    int found = -1;
    for (int i = 0; i < q->visible; i++) {
        if (strcmp(q->items[i].name, name)) continue;
        if (found >= 0 &&
            (!q->items[i].expr || !q->items[found].expr || !expr_same(q->items[i].expr, q->items[found].expr)))
            return -2;
        found = found < 0 ? i : found;
    }
    return found;
}

/* ---- GROUP BY -------------------------------------------------------------------------------------------- */

static bool is_plain_name(const struct ast *e)
{
    return e->kind == AST_NAME && e->nparts == 1;
}

/* The item of the select list that a GROUP BY item names by position or alias; -1: none, -2: several. Columns of the
 * input come before aliases, as in PostgreSQL. */
static enum status group_item(struct query *q, const struct ast *e, int *out)
{
    TRY(item_at(q, e, "GROUP BY", out));
    if (*out < 0 && is_plain_name(e) && scope_look(q->scope, NULL, e->parts[0]) == SCOPE_NONE)
        *out = item_named(q, e->parts[0]);
    return ST_OK;
}

static enum status groups_by_tumble(struct query *q, bool *out)
{
    *out = false;
    for (int i = 0; i < q->s->group.n && !*out; i++) {
        int item;
        TRY(group_item(q, q->s->group.at[i], &item));
        const struct ast *e = item < 0 ? q->s->group.at[i] : q->items[item].ast;
        *out = e && ast_is_call(e, "tumble");
    }
    return ST_OK;
}

static bool is_own_bound(const struct ast *e)
{
    return is_plain_name(e) && (!strcmp(e->parts[0], "window_start") || !strcmp(e->parts[0], "window_end"));
}

static enum status bind_group_item(struct query *q, const struct ast *e, bool tumble)
{
    int item;
    TRY(group_item(q, e, &item));
    if (tumble && is_own_bound(e) && scope_look(q->scope, NULL, e->parts[0]) == SCOPE_NONE) return ST_OK;
    if (item == -2)
        return err_at(q->b->err, E_AMBIGUOUS, e->pos, "'%.100s' names several columns of the select list", e->parts[0]);
    if (item < 0) return grouping_add(&q->g, e);
    if (q->items[item].ast) return grouping_add(&q->g, q->items[item].ast);
    return grouping_add_expr(&q->g, q->items[item].expr, q->items[item].name);
}

static enum status bind_groups(struct query *q)
{
    const struct ast_select *s = q->s;
    bool tumble;
    TRY(groups_by_tumble(q, &tumble));
    q->g.active = s->group.n || s->having;
    q->g.pos = s->group.n ? s->group.at[0]->pos : s->pos;
    for (int i = 0; i < s->group.n; i++) TRY(bind_group_item(q, s->group.at[i], tumble));
    return s->group.n ? grouping_windows(&q->g) : ST_OK;
}

/* ---- expressions of the list, of ORDER BY, of HAVING --------------------------------------------------------- */

static enum status bind_items(struct query *q)
{
    struct place p = {.b = q->b, .scope = q->scope, .clause = "SELECT", .grouping = &q->g};
    for (int i = 0; i < q->n; i++)
        if (!q->items[i].expr) TRY(bind_expr(&p, q->items[i].ast, &q->items[i].expr));
    return ST_OK;
}

static int hidden_item(struct query *q, struct expr *e)
{
    for (int i = 0; i < q->n; i++)
        if (expr_same(q->items[i].expr, e)) return i;
    return -1;
}

static enum status bind_order_item(struct query *q, const struct ast *e, int *out)
{
    struct place p = {.b = q->b, .scope = q->scope, .clause = "ORDER BY", .grouping = &q->g};
    TRY(item_at(q, e, "ORDER BY", out));
    if (*out >= 0) return ST_OK;
    if (is_plain_name(e)) {
        *out = item_named(q, e->parts[0]);
        if (*out == -2)
            return err_at(q->b->err, E_AMBIGUOUS, e->pos, "'%.100s' names several columns of the select list",
                          e->parts[0]);
        if (*out >= 0) return ST_OK;
    }
    struct expr *x;
    TRY(bind_expr(&p, e, &x));
    *out = hidden_item(q, x);
    if (*out >= 0) return ST_OK;
    if (q->s->distinct) {
        err_at(q->b->err, E_PLAN, e->pos, "with DISTINCT, ORDER BY must name columns of the select list");
        return E_PLAN;
    }
    *out = q->n;
    return item_add(q, (struct item){.ast = e, .name = bind_name(e), .expr = x}, e->pos);
}

static enum status bind_order(struct query *q)
{
    q->norder = q->s->order.n;
    q->order = arena_alloc(q->b->a, sizeof *q->order * (size_t)q->norder);
    for (int i = 0; i < q->norder; i++) TRY(bind_order_item(q, q->s->order.at[i]->expr, &q->order[i]));
    return ST_OK;
}

static enum status aggregate(struct query *q, struct expr *having)
{
    struct binder *b = q->b;
    struct expr *over;
    TRY(grouping_plan(&q->g, q->plan, q->s, &q->plan));
    for (int i = 0; i < q->n; i++) {
        TRY(grouping_over(&q->g, q->items[i].expr, &over));
        q->items[i].expr = over;
    }
    if (!having) return ST_OK;
    TRY(grouping_over(&q->g, having, &over));
    q->plan = node_filter(b->a, q->plan, over);
    return ST_OK;
}

/* ---- the nodes above ------------------------------------------------------------------------------------------ */

static void project(struct query *q)
{
    struct arena *a = q->b->a;
    struct expr **exprs = arena_alloc(a, sizeof *exprs * (size_t)q->n);
    const char **names = arena_alloc(a, sizeof *names * (size_t)q->n);
    for (int i = 0; i < q->n; i++) exprs[i] = q->items[i].expr, names[i] = q->items[i].name;
    q->plan = node_project(a, q->plan, q->n, exprs, names);
}

static void drop_hidden(struct query *q)
{
    struct arena *a = q->b->a;
    if (q->n == q->visible) return;
    struct expr **exprs = arena_alloc(a, sizeof *exprs * (size_t)q->visible);
    const char **names = arena_alloc(a, sizeof *names * (size_t)q->visible);
    for (int i = 0; i < q->visible; i++) {
        exprs[i] = expr_column(a, i, q->plan->schema->fields[i].type, NO_POS);
        names[i] = q->items[i].name;
    }
    q->plan = node_project(a, q->plan, q->visible, exprs, names);
}

static enum status no_order(struct binder *b, const struct ast_select *s)
{
    err_at(b->err, E_UNBOUNDED, s->order.at[0]->expr->pos, "ORDER BY over input that never ends has no first row");
    err_hint(b->err, "leave ORDER BY out; the rows of a stream come in the order of their windows");
    return E_UNBOUNDED;
}

/* NULL is the greatest value: last ascending, first descending, unless the statement says otherwise. */
static struct plan_order *order_keys(struct binder *b, const struct ast_select *s, const int *columns,
                                     const struct schema *schema)
{
    struct plan_order *order = arena_alloc(b->a, sizeof *order * (size_t)s->order.n);
    for (int i = 0; i < s->order.n; i++) {
        const struct ast_order *o = s->order.at[i];
        order[i].expr = expr_column(b->a, columns[i], schema->fields[columns[i]].type, o->expr->pos);
        order[i].desc = o->desc;
        order[i].nulls_first = o->nulls ? o->nulls == 1 : o->desc;
    }
    return order;
}

/* ORDER BY, LIMIT, OFFSET above p; columns[i] is the column of the i-th ORDER BY. */
static enum status order_and_limit(struct binder *b, const struct ast_select *s, const int *columns, struct plan **p)
{
    int64_t limit, offset;
    TRY(bind_count(b, s->limit, "LIMIT", &limit));
    TRY(bind_count(b, s->offset, "OFFSET", &offset));
    if (offset < 0) offset = 0;
    if (s->order.n) {
        if (!(*p)->bounded) return no_order(b, s);
        *p = node_sort(b->a, *p, s->order.n, order_keys(b, s, columns, (*p)->schema), limit, offset);
    } else if (limit >= 0 || offset > 0) {
        *p = node_limit(b->a, *p, limit, offset);
    }
    return ST_OK;
}

/* ---- SELECT ---------------------------------------------------------------------------------------------------- */

static enum status bind_source(struct query *q)
{
    struct binder *b = q->b;
    if (!q->s->from) {
        q->scope = scope_new(b->a, node_values(b->a, 1, 0), NULL);
    } else {
        TRY(bind_from(b, q->s->from, &q->scope));
    }
    q->plan = q->scope->plan;
    return ST_OK;
}

static enum status bind_where(struct query *q)
{
    struct binder *b = q->b;
    struct place p = {.b = b, .scope = q->scope, .clause = "WHERE"};
    struct conjuncts c = {0};
    struct expr *where;
    if (q->s->where) {
        TRY(bind_bool(&p, q->s->where, &where));
        conjuncts_add(b->a, &c, where);
        TRY(bind_join_where(b, q->plan, &c));
        TRY(conjuncts_join(b->a, &c, &where, b->err));
    }
    TRY(bind_join_check(b, q->s->from, q->plan));
    if (c.n) q->plan = node_filter(b->a, q->plan, where);
    q->scope->plan = q->plan;
    return ST_OK;
}

static enum status bind_plain(struct binder *b, const struct ast_select *s, bool settle, struct plan **out)
{
    struct query q = {.b = b, .s = s};
    struct expr *having = NULL;
    TRY(bind_source(&q));
    TRY(bind_where(&q));
    grouping_init(&q.g, b, q.scope);
    TRY(expand_items(&q));
    TRY(bind_groups(&q));
    TRY(bind_items(&q));
    if (settle || s->distinct || q.g.active)
        for (int i = 0; i < q.n; i++) q.items[i].expr = expr_settle(b->a, q.items[i].expr);
    struct place p = {.b = b, .scope = q.scope, .clause = "HAVING", .grouping = &q.g};
    if (s->having) TRY(bind_bool(&p, s->having, &having));
    TRY(bind_order(&q));
    if (q.g.active)
        TRY(aggregate(&q, having));
    else
        TRY(refuse_window_clauses(b, s));
    project(&q);
    if (s->distinct) TRY(grouping_distinct(b, q.plan, s, &q.plan));
    TRY(order_and_limit(b, s, q.order, &q.plan));
    drop_hidden(&q);
    *out = q.plan;
    return ST_OK;
}

/* ---- VALUES -------------------------------------------------------------------------------------------------------
 */

static enum status value_constant(struct binder *b, struct expr *e, uint32_t pos, struct expr **out)
{
    struct value v;
    if (e->kind == EXPR_CONST) {
        *out = e;
        return ST_OK;
    }
    if (!expr_is_const(e))
        return bind_refuse(b, pos, "a computed value in VALUES", "write constants, or SELECT the expression");
    TRY(expr_value(e, b->a, &v, b->err));
    *out = expr_const(b->a, v, pos);
    return ST_OK;
}

static enum status values_column(struct binder *b, const struct ast_select *s, struct plan *p, int c)
{
    int ncols = p->schema->n;
    const struct expr **column = arena_alloc(b->a, sizeof *column * (size_t)p->nrows);
    struct type t;
    for (int r = 0; r < p->nrows; r++) column[r] = p->values[r * ncols + c];
    TRY(expr_common_type(column, p->nrows, "VALUES", &t, b->err));
    bool open = true;
    for (int r = 0; r < p->nrows; r++) open &= column[r]->untyped;
    for (int r = 0; r < p->nrows; r++) {
        struct expr **e = &p->values[r * ncols + c];
        uint32_t pos = s->values.at[r]->values.at[c]->pos;
        if (open) {
            *e = expr_settle(b->a, *e);
        } else {
            TRY(expr_coerce(b->a, *e, t, pos, e, b->err));
            TRY(value_constant(b, *e, pos, e));
        }
    }
    p->schema->fields[c] = (struct field){.name = arena_printf(b->a, "column%d", c + 1), .type = p->values[c]->type};
    return ST_OK;
}

static enum status bind_values(struct binder *b, const struct ast_select *s, struct plan **out)
{
    int ncols = s->values.at[0]->values.n;
    struct plan *p = node_values(b->a, s->values.n, ncols);
    struct place place = {.b = b, .clause = "VALUES"};
    for (int r = 0; r < p->nrows; r++) {
        const struct ast_row *row = s->values.at[r];
        if (row->values.n != ncols)
            return err_at(b->err, E_SYNTAX, s->pos, "rows of VALUES differ in length: %d and %d", ncols, row->values.n);
        for (int c = 0; c < ncols; c++) {
            struct expr **e = &p->values[r * ncols + c];
            TRY(bind_expr(&place, row->values.at[c], e));
            TRY(value_constant(b, *e, row->values.at[c]->pos, e));
        }
    }
    for (int c = 0; c < ncols; c++) TRY(values_column(b, s, p, c));
    *out = p;
    return ST_OK;
}

/* ---- UNION ALL ------------------------------------------------------------------------------------------------------
 */

static bool is_nested_union(const struct ast_select *s)
{
    return s->set == SET_UNION && s->all && !s->order.n && !s->limit && !s->offset && !s->with.n &&
           s->emit == EMIT_NONE;
}

static int count_arms(const struct ast_select *s)
{
    return is_nested_union(s) ? count_arms(s->left) + count_arms(s->right) : 1;
}

static enum status bind_arms(struct binder *b, const struct ast_select *s, struct plan **arms, int *n)
{
    if (!is_nested_union(s)) return bind_select(b, s, false, &arms[(*n)++]);
    TRY(bind_arms(b, s->left, arms, n));
    return bind_arms(b, s->right, arms, n);
}

/* What column c of an arm is: below its projection, so that an open literal can still take its type from the others. */
static struct expr *arm_expr(struct arena *a, const struct plan *arm, int c)
{
    return arm->kind == PLAN_PROJECT ? arm->exprs[c] : expr_column(a, c, arm->schema->fields[c].type, NO_POS);
}

static enum status coerce_arm(struct binder *b, struct plan **arm, const struct type *types)
{
    struct plan *p = *arm;
    int n = p->schema->n;
    struct expr **exprs = arena_alloc(b->a, sizeof *exprs * (size_t)n);
    const char **names = arena_alloc(b->a, sizeof *names * (size_t)n);
    bool changed = false;
    for (int c = 0; c < n; c++) {
        struct expr *e = arm_expr(b->a, p, c);
        names[c] = p->schema->fields[c].name;
        TRY(expr_coerce(b->a, e, types[c], e->pos, &exprs[c], b->err));
        changed |= exprs[c] != e;
    }
    if (changed) *arm = node_project(b->a, p->kind == PLAN_PROJECT ? p->in[0].node : p, n, exprs, names);
    return ST_OK;
}

static enum status union_types(struct binder *b, struct plan **arms, int n, struct type *types)
{
    const struct expr **column = arena_alloc(b->a, sizeof *column * (size_t)n);
    for (int c = 0; c < arms[0]->schema->n; c++) {
        for (int i = 0; i < n; i++) column[i] = arm_expr(b->a, arms[i], c);
        TRY(expr_common_type(column, n, "UNION ALL", &types[c], b->err));
        if (types[c].id == T_NULL) types[c] = TYPE(T_VARCHAR);
    }
    return ST_OK;
}

/* ORDER BY above a union names output columns, as in PostgreSQL. */
static enum status union_order(struct binder *b, const struct ast_select *s, const struct plan *p, int *columns)
{
    struct query q = {.b = b, .s = s, .visible = p->schema->n};
    for (int i = 0; i < s->order.n; i++) {
        const struct ast *e = s->order.at[i]->expr;
        TRY(item_at(&q, e, "ORDER BY", &columns[i]));
        if (columns[i] < 0 && is_plain_name(e)) columns[i] = schema_find(p->schema, e->parts[0]);
        if (columns[i] >= 0) continue;
        err_at(b->err, E_COLUMN, e->pos, "ORDER BY above UNION ALL must name a column of its result");
        return E_COLUMN;
    }
    return ST_OK;
}

static enum status bind_union(struct binder *b, const struct ast_select *s, struct plan **out)
{
    if (s->set != SET_UNION || !s->all)
        return bind_refuse(b, s->pos,
                           s->set == SET_UNION    ? "UNION without ALL"
                           : s->set == SET_EXCEPT ? "EXCEPT"
                                                  : "INTERSECT",
                           "supported is UNION ALL; SELECT DISTINCT over it removes equal rows");
    TRY(refuse_window_clauses(b, s));
    int narms = count_arms(s->left) + count_arms(s->right), n = 0;
    struct plan **arms = arena_alloc(b->a, sizeof *arms * (size_t)narms);
    TRY(bind_arms(b, s->left, arms, &n));
    TRY(bind_arms(b, s->right, arms, &n));
    int ncols = arms[0]->schema->n;
    for (int i = 1; i < n; i++)
        if (arms[i]->schema->n != ncols)
            return err_at(b->err, E_TYPE, s->pos, "the arms of UNION ALL have %d and %d columns", ncols,
                          arms[i]->schema->n);
    struct type *types = arena_alloc(b->a, sizeof *types * (size_t)ncols);
    TRY(union_types(b, arms, n, types));
    for (int i = 0; i < n; i++) TRY(coerce_arm(b, &arms[i], types));
    *out = node_union(b->a, n, arms);
    int *columns = arena_alloc(b->a, sizeof *columns * (size_t)s->order.n);
    TRY(union_order(b, s, *out, columns));
    return order_and_limit(b, s, columns, out);
}

/* ---- any query
 * ------------------------------------------------------------------------------------------------------- */

static enum status bind_body(struct binder *b, const struct ast_select *s, bool settle, struct plan **out)
{
    TRY(refuse_clauses(b, s));
    if (s->set != SET_NONE) return bind_union(b, s, out);
    if (!s->values.n) return bind_plain(b, s, settle, out);
    TRY(refuse_window_clauses(b, s));
    TRY(bind_values(b, s, out));
    int *columns = arena_alloc(b->a, sizeof *columns * (size_t)s->order.n);
    TRY(union_order(b, s, *out, columns));
    return order_and_limit(b, s, columns, out);
}

enum status bind_select(struct binder *b, const struct ast_select *s, bool settle, struct plan **out)
{
    if (b->depth >= SELECT_DEPTH_MAX) return err_at(b->err, E_LIMIT, s->pos, "queries are nested too deeply");
    const struct cte *outer = b->ctes;
    for (int i = 0; i < s->with.n; i++) {
        struct cte *c = arena_alloc(b->a, sizeof *c);
        *c = (struct cte){.ast = s->with.at[i], .outer = b->ctes};
        b->ctes = c;
    }
    b->depth++;
    enum status st = bind_body(b, s, settle, out);
    b->depth--;
    b->ctes = outer;
    return st;
}
