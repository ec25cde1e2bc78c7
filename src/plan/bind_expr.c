/* Expressions: each kind of syntax node is bound here or refused by name. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/bind.h"

#include <stdio.h>

/* Deeper trees than the parser lets through do not come; this guards the stack where it does not bound. */
#define DEPTH_MAX 2000

bool ast_is_call(const struct ast *e, const char *name)
{
    return e->kind == AST_CALL && !strcmp(e->name, name);
}

/* ---- names and stars ---------------------------------------------------------------------------- */

static enum status bind_column(struct place *p, const struct ast *e, struct expr **out)
{
    struct binder *b = p->b;
    *out = NULL;
    if (p->grouping && !p->in_aggregate) TRY(grouping_name(p, e, out));
    if (*out) return ST_OK;
    if (!p->scope) return err_at(b->err, E_COLUMN, e->pos, "a column cannot be used in %s", p->clause);
    int column;
    TRY(scope_find(b, p->scope, e, &column));
    *out = expr_column(b->a, column, p->scope->plan->schema->fields[column].type, e->pos);
    return ST_OK;
}

/* ---- calls -------------------------------------------------------------------------------------- */

static enum status bind_args(struct place *p, const struct ast *e, struct expr ***out)
{
    struct expr **args = arena_alloc(p->b->a, sizeof *args * (size_t)e->args.n);
    for (int i = 0; i < e->args.n; i++) TRY(bind_expr(p, e->args.at[i], &args[i]));
    *out = args;
    return ST_OK;
}

static enum status call(struct place *p, const char *name, struct expr **args, int n, uint32_t pos, struct expr **out)
{
    return expr_call(p->b->a, name, args, n, pos, out, p->b->err);
}

/* Scalars, then aggregates: what a misspelt name is compared with. */
static const char *nth_function(const void *ctx, int i)
{
    int scalars = *(const int *)ctx;
    return i < scalars ? expr_function_name(NULL, i) : agg_name(NULL, i - scalars);
}

static bool is_window_only(const char *name)
{
    static const char *const names[] = {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist",
                                        "ntile",      "lag",  "lead",       "nth_value"};
    for (size_t i = 0; i < countof(names); i++)
        if (!strcmp(names[i], name)) return true;
    return false;
}

static enum status no_function(struct binder *b, const struct ast *e)
{
    if (is_window_only(e->name)) {
        char what[80];
        snprintf(what, sizeof what, "the window function %.32s()", e->name);
        return bind_refuse(b, e->pos, what, "supported are aggregates with GROUP BY and TUMBLE windows");
    }
    int scalars = 0;
    while (expr_function_name(NULL, scalars)) scalars++;
    err_at(b->err, E_FUNCTION, e->pos, "there is no function '%.100s'", e->name);
    const char *near = text_nearest(e->name, nth_function, &scalars);
    if (near) err_hint(b->err, "did you mean '%s'?", near);
    return E_FUNCTION;
}

static enum status only_for_aggregates(struct binder *b, const struct ast *e)
{
    const char *what = e->distinct       ? "DISTINCT"
                       : e->filter       ? "FILTER"
                       : e->star         ? "*"
                       : e->within_group ? "WITHIN GROUP"
                       : e->order.n      ? "ORDER BY"
                                         : NULL;
    if (!what) return ST_OK;
    return err_at(b->err, E_SYNTAX, e->pos, "%s belongs to aggregates; %.100s() is none", what, e->name);
}

/* tumble(ts, size) of a row: the start of its window. */
static enum status bind_tumble(struct place *p, const struct ast *e, struct expr **out)
{
    struct window_args w;
    TRY(window_bind(p, e, &w));
    return window_start_expr(p->b, &w, e->pos, out);
}

static enum status bind_call(struct place *p, const struct ast *e, struct expr **out)
{
    struct binder *b = p->b;
    if (e->over) return bind_refuse(b, e->pos, "OVER", "supported are aggregates with GROUP BY and TUMBLE windows");
    *out = NULL;
    TRY(grouping_call(p, e, out));
    if (*out) return ST_OK;
    TRY(window_refuse(b, e));
    if (!strcmp(e->name, "tumble")) return bind_tumble(p, e, out);
    bool exists = expr_function_exists(e->name);
    struct type type;
    struct expr **args;
    if (!exists && (e->args.n != 1 || !type_from_word(e->name, &type))) return no_function(b, e);
    TRY(only_for_aggregates(b, e));
    TRY(bind_args(p, e, &args));
    /* date(x) is CAST(x AS DATE), as in PostgreSQL. */
    if (!exists) return expr_cast(b->a, args[0], type, false, e->pos, out, b->err);
    return call(p, arena_strdup(b->a, e->name), args, e->args.n, e->pos, out);
}

/* ---- operators ---------------------------------------------------------------------------------- */

static enum status bind_unary(struct place *p, const struct ast *e, struct expr **out)
{
    const struct ast *arg = e->args.at[0];
    bool minus = !strcmp(e->name, "-");
    /* -9223372036854775808 is a BIGINT, while 9223372036854775808 is none. */
    if (minus && arg->kind == AST_NUMBER)
        return expr_number(p->b->a, arena_printf(p->b->a, "-%s", arg->text), e->pos, out, p->b->err);
    struct expr *x;
    TRY(bind_expr(p, arg, &x));
    return call(p, e->name, &x, 1, e->pos, out);
}

static enum status bind_binary(struct place *p, const struct ast *e, struct expr **out)
{
    struct expr *args[2];
    TRY(bind_expr(p, e->args.at[0], &args[0]));
    TRY(bind_expr(p, e->args.at[1], &args[1]));
    return call(p, e->name, args, 2, e->pos, out);
}

/* A construct that the expression room knows by name, with its arguments. */
static enum status bind_form(struct place *p, const struct ast *e, const char *name, struct expr **out)
{
    struct expr **args;
    TRY(bind_args(p, e, &args));
    return call(p, name, args, e->args.n, e->pos, out);
}

static enum status bind_between(struct place *p, const struct ast *e, struct expr **out)
{
    if (e->flag) return bind_form(p, e, e->negated ? "not between symmetric" : "between symmetric", out);
    return bind_form(p, e, e->negated ? "not between" : "between", out);
}

static enum status bind_is(struct place *p, const struct ast *e, struct expr **out)
{
    return bind_form(p, e, arena_printf(p->b->a, "is %s%s", e->negated ? "not " : "", e->name), out);
}

static enum status bind_like(struct place *p, const struct ast *e, struct expr **out)
{
    TRY(bind_form(p, e, e->name, out));
    return e->negated ? call(p, "not", out, 1, e->pos, out) : ST_OK;
}

static enum status bind_case(struct place *p, const struct ast *e, struct expr **out)
{
    struct expr *operand = NULL, *els = NULL, **whens;
    if (e->operand) TRY(bind_expr(p, e->operand, &operand));
    TRY(bind_args(p, e, &whens));
    if (e->els) TRY(bind_expr(p, e->els, &els));
    return expr_case(p->b->a, operand, whens, e->args.n, els, e->pos, out, p->b->err);
}

static enum status bind_cast(struct place *p, const struct ast *e, struct expr **out)
{
    struct expr *x;
    if (e->kind == AST_TYPED)
        x = expr_string(p->b->a, e->text, e->text_n, e->pos);
    else
        TRY(bind_expr(p, e->args.at[0], &x));
    return expr_cast(p->b->a, x, e->type.type, e->kind == AST_CAST && e->flag, e->pos, out, p->b->err);
}

static enum status bind_node(struct place *p, const struct ast *e, struct expr **out)
{
    struct binder *b = p->b;
    const char *no_queries = "join the tables, or name the inner query in FROM";
    switch (e->kind) {
    case AST_NULL: *out = expr_null(b->a, e->pos); return ST_OK;
    case AST_BOOL: *out = expr_const(b->a, (struct value){.type = TYPE(T_BOOL), .b = e->flag}, e->pos); return ST_OK;
    case AST_NUMBER: return expr_number(b->a, e->text, e->pos, out, b->err);
    case AST_STRING: *out = expr_string(b->a, e->text, e->text_n, e->pos); return ST_OK;
    case AST_INTERVAL: return expr_interval(b->a, e->text, e->name ? e->name : "", e->pos, out, b->err);
    case AST_NAME: return bind_column(p, e, out);
    case AST_STAR:
        return err_at(b->err, E_SYNTAX, e->pos, "* stands for columns in a SELECT list and in COUNT(*) only");
    case AST_CALL: return bind_call(p, e, out);
    case AST_TYPED:
    case AST_CAST: return bind_cast(p, e, out);
    case AST_CASE: return bind_case(p, e, out);
    case AST_UNARY: return bind_unary(p, e, out);
    case AST_BINARY: return bind_binary(p, e, out);
    case AST_BETWEEN: return bind_between(p, e, out);
    case AST_IN: return bind_form(p, e, e->negated ? "not in" : "in", out);
    case AST_LIKE: return bind_like(p, e, out);
    case AST_IS: return bind_is(p, e, out);
    case AST_DISTINCT: return bind_form(p, e, e->negated ? "is not distinct from" : "is distinct from", out);
    case AST_IN_SELECT: return bind_refuse(b, e->pos, "IN (SELECT ...)", no_queries);
    case AST_EXISTS: return bind_refuse(b, e->pos, "EXISTS", no_queries);
    case AST_SCALAR: return bind_refuse(b, e->pos, "a query as a value", no_queries);
    case AST_ARRAY: return bind_refuse(b, e->pos, "ARRAY", "supported are scalar types");
    case AST_INDEX: return bind_refuse(b, e->pos, "a subscript", "supported are scalar types");
    case AST_FIELD: return bind_refuse(b, e->pos, "a field of a value", "supported are scalar types");
    case AST_DESCRIPTOR: return err_at(b->err, E_SYNTAX, e->pos, "DESCRIPTOR belongs to TUMBLE in FROM");
    case AST_TABLE_ARG: return err_at(b->err, E_SYNTAX, e->pos, "TABLE belongs to TUMBLE in FROM");
    }
    return err_at(b->err, E_INTERNAL, e->pos, "an expression of unknown kind %d", e->kind);
}

enum status bind_expr(struct place *p, const struct ast *e, struct expr **out)
{
    if (p->depth >= DEPTH_MAX) return err_at(p->b->err, E_LIMIT, e->pos, "the expression is nested too deeply");
    p->depth++;
    enum status st = bind_node(p, e, out);
    p->depth--;
    return st;
}

enum status bind_bool(struct place *p, const struct ast *e, struct expr **out)
{
    struct binder *b = p->b;
    TRY(bind_expr(p, e, out));
    if ((*out)->untyped || (*out)->type.id == T_NULL) return expr_coerce(b->a, *out, TYPE(T_BOOL), e->pos, out, b->err);
    if ((*out)->type.id == T_BOOL) return ST_OK;
    char type[64];
    return err_at(b->err, E_TYPE, e->pos, "%s must be BOOLEAN, not %s", p->clause, type_name((*out)->type, type));
}

/* ---- constants ---------------------------------------------------------------------------------- */

static enum status bind_constant(struct binder *b, const struct ast *e, const char *what, struct expr **out)
{
    struct place p = {.b = b, .clause = what};
    TRY(bind_expr(&p, e, out));
    if (expr_is_const(*out)) return ST_OK;
    return err_at(b->err, E_ARGUMENT, e->pos, "%s must be a constant", what);
}

enum status bind_span(struct binder *b, const struct ast *e, const char *what, int64_t bare_us, enum status code,
                      int64_t *out)
{
    struct expr *x;
    struct value v;
    TRY(bind_constant(b, e, what, &x));
    if (x->untyped) TRY(expr_coerce(b->a, x, TYPE(T_INTERVAL), e->pos, &x, b->err));
    bool is_number = type_is_integer(x->type);
    if (x->type.id != T_INTERVAL && !(is_number && bare_us)) {
        err_at(b->err, code, e->pos, "%s must be an interval", what);
        err_hint(b->err, "write it as INTERVAL '5' MINUTE");
        return code;
    }
    TRY(expr_value(x, b->a, &v, b->err));
    if (v.is_null) return err_at(b->err, code, e->pos, "%s is NULL", what);
    if (!is_number && v.iv.months) {
        err_at(b->err, code, e->pos, "%s cannot be in months or years, whose length varies", what);
        err_hint(b->err, "use days, hours, minutes or seconds");
        return code;
    }
    __int128 us = is_number ? (__int128)v.i * bare_us : (__int128)v.iv.days * 86400000000 + v.iv.us;
    if (us > INT64_MAX / 8 || us < -(INT64_MAX / 8)) return err_at(b->err, code, e->pos, "%s is out of range", what);
    *out = (int64_t)us;
    return ST_OK;
}

enum status bind_count(struct binder *b, const struct ast *e, const char *what, int64_t *out)
{
    struct expr *x;
    struct value v;
    *out = -1;
    if (!e) return ST_OK;
    TRY(bind_constant(b, e, what, &x));
    TRY(expr_coerce(b->a, x, TYPE(T_INT64), e->pos, &x, b->err));
    TRY(expr_value(x, b->a, &v, b->err));
    if (v.is_null) return ST_OK;
    if (v.i < 0) return err_at(b->err, E_ARGUMENT, e->pos, "%s must not be negative", what);
    *out = v.i;
    return ST_OK;
}

/* ---- names of columns ---------------------------------------------------------------------------- */

/* PostgreSQL's own names of types, which it gives to a column that is a cast of something without a name. */
static const char *cast_name(struct type t, const char *word)
{
    static const char *const names[T_COUNT] = {
        [T_BOOL] = "bool",           [T_INT8] = "int1",
        [T_INT16] = "int2",          [T_INT32] = "int4",
        [T_INT64] = "int8",          [T_FLOAT] = "float4",
        [T_DOUBLE] = "float8",       [T_DECIMAL] = "numeric",
        [T_VARCHAR] = "varchar",     [T_BLOB] = "bytea",
        [T_DATE] = "date",           [T_TIME] = "time",
        [T_TIMESTAMP] = "timestamp", [T_TIMESTAMPTZ] = "timestamptz",
        [T_INTERVAL] = "interval",   [T_UUID] = "uuid",
        [T_JSON] = "json",
    };
    if (word && (!strcmp(word, "text") || !strcmp(word, "jsonb"))) return word;
    if (word && (!strcmp(word, "char") || !strcmp(word, "character"))) return "bpchar";
    return t.id < T_COUNT && names[t.id] ? names[t.id] : "?column?";
}

/* A name of its own (2), one that a better one may replace (1), none (0). */
static int name_of(const struct ast *e, const char **out)
{
    int strength;
    switch (e->kind) {
    case AST_NAME: *out = e->parts[e->nparts - 1]; return 2;
    case AST_FIELD:
    case AST_CALL: *out = e->name; return 2;
    case AST_INDEX: return name_of(e->args.at[0], out);
    case AST_ARRAY: *out = "array"; return 2;
    case AST_EXISTS: *out = "exists"; return 2;
    case AST_CAST:
        strength = name_of(e->args.at[0], out);
        if (strength > 1) return strength;
        *out = cast_name(e->type.type, e->type.word);
        return 1;
    case AST_TYPED: *out = cast_name(e->type.type, e->type.word); return 1;
    case AST_INTERVAL: *out = "interval"; return 1;
    case AST_BOOL: *out = "bool"; return 1;
    case AST_CASE:
        strength = e->els ? name_of(e->els, out) : 0;
        if (strength > 1) return strength;
        *out = "case";
        return 1;
    default: return 0;
    }
}

const char *bind_name(const struct ast *e)
{
    const char *name;
    return name_of(e, &name) ? name : "?column?";
}
