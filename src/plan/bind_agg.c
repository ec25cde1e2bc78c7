/* GROUP BY, aggregates and windows.
 *
 * An expression of a grouped query is bound once, over the input, with what the aggregation will give as columns beyond
 * the input's: base + 0 window_start, + 1 window_end, + 2 onwards the aggregates. grouping_over then walks it from the
 * top: a sub-expression equal to a group key becomes the key's column, a column beyond the input's becomes its output,
 * and a plain input column that is left has no place in a group. So GROUP BY a + 1 serves SELECT (a + 1) * 2, and equal
 * aggregates are computed once. SPDX-License-Identifier: Apache-2.0 */
#include "plan/bind.h"

#include <stdio.h>

enum { VIRTUAL_START, VIRTUAL_END, VIRTUAL_AGGS };

void grouping_init(struct grouping *g, struct binder *b, const struct scope *scope)
{
    *g =
        (struct grouping){.b = b, .scope = scope, .base = scope->plan->schema->n, .start_column = -1, .end_column = -1};
}

/* ---- the arguments of a window -------------------------------------------------------------------- */

enum status window_refuse(struct binder *b, const struct ast *call)
{
    static const char *const words[] = {"hop", "slide", "session", "cumulate"};
    for (size_t i = 0; i < countof(words); i++) {
        size_t n = strlen(words[i]);
        const char *rest = call->name + n;
        if (strncmp(call->name, words[i], n) || (*rest && strcmp(rest, "_start") && strcmp(rest, "_end"))) continue;
        char what[48];
        snprintf(what, sizeof what, "the window %s()", call->name);
        return bind_refuse(b, call->pos, what, "supported is TUMBLE(time, size [, offset])");
    }
    return ST_OK;
}

/* The column that e is, also as an integer widened to BIGINT; -1: none. */
static int plain_column(const struct expr *e)
{
    if (e->kind == EXPR_CAST && e->nargs == 1 && e->type.id == T_INT64 && type_is_integer(e->args[0]->type))
        e = e->args[0];
    return e->kind == EXPR_COLUMN ? e->column : -1;
}

static enum status window_time(struct binder *b, struct expr *e, uint32_t pos, struct window_args *w)
{
    char type[64];
    if (!type_is_event_time(e->type))
        return err_at(b->err, E_WINDOW, pos, "a window needs a TIMESTAMP, or a BIGINT of milliseconds, not %s",
                      type_name(e->type, type));
    w->is_ms = type_is_integer(e->type);
    w->time = e;
    return w->is_ms && e->type.id != T_INT64 ? expr_coerce(b->a, e, TYPE(T_INT64), pos, &w->time, b->err) : ST_OK;
}

/* The size and offset among args[from..]. */
static enum status window_spans(struct binder *b, const struct ast *call, int from, struct window_args *w)
{
    int64_t unit = time_unit(w->is_ms), bare = w->is_ms ? unit : 0;
    w->offset_us = 0;
    if (call->args.n <= from || call->args.n > from + 2) {
        err_at(b->err, E_WINDOW, call->pos, "TUMBLE takes a time, a size and perhaps an offset");
        err_hint(b->err, "as in TUMBLE(ts, INTERVAL '1' MINUTE)");
        return E_WINDOW;
    }
    const struct ast *size = call->args.at[from];
    TRY(bind_span(b, size, "the window's size", bare, E_WINDOW_SIZE, &w->size_us));
    if (w->size_us <= 0) return err_at(b->err, E_WINDOW_SIZE, size->pos, "the window's size must be above zero");
    if (call->args.n > from + 1)
        TRY(bind_span(b, call->args.at[from + 1], "the window's offset", bare, E_WINDOW, &w->offset_us));
    if (w->size_us % unit || w->offset_us % unit)
        return err_at(b->err, E_WINDOW_SIZE, size->pos,
                      "a BIGINT time counts milliseconds; a window over it needs whole ones");
    return ST_OK;
}

enum status window_bind(struct place *p, const struct ast *call, struct window_args *out)
{
    struct expr *time;
    *out = (struct window_args){0};
    if (!call->args.n) return window_spans(p->b, call, 1, out);
    TRY(bind_expr(p, call->args.at[0], &time));
    TRY(window_time(p->b, expr_settle(p->b->a, time), call->args.at[0]->pos, out));
    return window_spans(p->b, call, 1, out);
}

static struct expr *span_const(struct binder *b, bool is_ms, int64_t us, uint32_t pos)
{
    struct value v = {.type = TYPE(is_ms ? T_INT64 : T_INTERVAL)};
    if (is_ms)
        v.i = us / 1000;
    else
        v.iv.us = us;
    return expr_const(b->a, v, pos);
}

/* ts - (((ts - offset) % size + size) % size): % takes the sign of ts. */
static enum status start_of_ms(struct binder *b, const struct window_args *w, uint32_t pos, struct expr **out)
{
    struct expr *size = span_const(b, true, w->size_us, pos), *rest = w->time;
    const struct {
        const char *name;
        struct expr *with;
    } steps[] = {
        {"-",           w->offset_us ? span_const(b, true, w->offset_us, pos) : NULL},
        {"%", size                },
        {"+",           size                                 },
        {"%",           size                       }
    };
    for (size_t i = 0; i < countof(steps); i++) {
        struct expr *args[] = {rest, steps[i].with};
        if (args[1]) TRY(expr_call(b->a, steps[i].name, args, 2, pos, &rest, b->err));
    }
    struct expr *args[] = {w->time, rest};
    return expr_call(b->a, "-", args, 2, pos, out, b->err);
}

enum status window_start_expr(struct binder *b, const struct window_args *w, uint32_t pos, struct expr **out)
{
    if (w->is_ms) return start_of_ms(b, w, pos, out);
    struct value origin = {.type = w->time->type, .i = w->offset_us};
    struct expr *args[] = {span_const(b, false, w->size_us, pos), w->time, expr_const(b->a, origin, pos)};
    return expr_call(b->a, "date_bin", args, 3, pos, out, b->err);
}

enum status time_plus(struct binder *b, struct expr *e, bool is_ms, int64_t us, uint32_t pos, struct expr **out)
{
    struct expr *args[] = {e, span_const(b, is_ms, us < 0 ? -us : us, pos)};
    return expr_call(b->a, us < 0 ? "-" : "+", args, 2, pos, out, b->err);
}

static bool window_same(const struct window_args *x, const struct window_args *y)
{
    return x->size_us == y->size_us && x->offset_us == y->offset_us && expr_same(x->time, y->time);
}

/* ---- GROUP BY ------------------------------------------------------------------------------------- */

enum status grouping_add_expr(struct grouping *g, struct expr *e, const char *name)
{
    for (int i = 0; i < g->nkeys; i++)
        if (expr_same(g->keys[i], e)) return ST_OK;
    if (g->nkeys == g->keys_cap) {
        int cap = g->keys_cap * 2 + 8;
        struct expr **keys = arena_alloc(g->b->a, sizeof *keys * (size_t)cap);
        const char **names = arena_alloc(g->b->a, sizeof *names * (size_t)cap);
        if (g->nkeys) memcpy(keys, g->keys, sizeof *keys * (size_t)g->nkeys);
        if (g->nkeys) memcpy(names, g->key_names, sizeof *names * (size_t)g->nkeys);
        g->keys = keys, g->key_names = names, g->keys_cap = cap;
    }
    g->keys[g->nkeys] = e;
    g->key_names[g->nkeys++] = name;
    return ST_OK;
}

static enum status group_tumble(struct grouping *g, const struct ast *e)
{
    struct place p = {.b = g->b, .scope = g->scope, .clause = "GROUP BY"};
    struct window_args w;
    TRY(window_bind(&p, e, &w));
    if (g->window == WINDOW_TUMBLE && !window_same(&g->args, &w))
        return bind_refuse(g->b, e->pos, "a second window in GROUP BY",
                           "aggregate by one window, then window that stream again");
    g->window = WINDOW_TUMBLE;
    g->args = w;
    return ST_OK;
}

enum status grouping_add(struct grouping *g, const struct ast *e)
{
    static const char *const sets[] = {"rollup", "cube", "grouping sets"};
    struct expr *key;
    if (ast_is_call(e, "tumble")) return group_tumble(g, e);
    for (size_t i = 0; i < countof(sets); i++)
        if (ast_is_call(e, sets[i]))
            return bind_refuse(g->b, e->pos, "ROLLUP, CUBE or GROUPING SETS", "write one GROUP BY each and UNION ALL");
    struct place p = {.b = g->b, .scope = g->scope, .clause = "GROUP BY"};
    TRY(bind_expr(&p, e, &key));
    return grouping_add_expr(g, expr_settle(g->b->a, key), bind_name(e));
}

static int column_with_role(const struct plan *in, enum time_role role)
{
    for (int i = 0; i < in->schema->n; i++)
        if (in->roles[i] == role) return i;
    return -1;
}

/* TUMBLE in FROM: the projection that added the window columns, perhaps below WHERE; NULL: none. */
static const struct plan *tumble_below(const struct plan *p)
{
    while (p->kind == PLAN_FILTER) p = p->in[0].node;
    return p->kind == PLAN_PROJECT && p->window == WINDOW_TUMBLE ? p : NULL;
}

/* Grouping by the bounds that TUMBLE in FROM gave each row is that window itself, over the rows' own time. */
static bool take_tumble(struct grouping *g, int start, int end)
{
    const struct plan *in = g->scope->plan, *tvf = tumble_below(in);
    int n = in->schema->n;
    if (!tvf || (start >= 0 ? start != n - 3 : end != n - 2)) return false;
    for (int i = 0; i < n - 3; i++)
        if (expr_same(tvf->exprs[i], tvf->time)) {
            g->window = WINDOW_TUMBLE;
            g->args = (struct window_args){expr_column(g->b->a, i, tvf->time->type, NO_POS), tvf->time_is_ms,
                                           tvf->size_us, tvf->offset_us};
            g->start_column = n - 3, g->end_column = n - 2;
            return true;
        }
    return false;
}

static int key_with_role(const struct grouping *g, enum time_role role)
{
    for (int i = 0; i < g->nkeys; i++)
        if (g->keys[i]->kind == EXPR_COLUMN && g->scope->plan->roles[g->keys[i]->column] == role) return i;
    return -1;
}

static int key_take(struct grouping *g, int key)
{
    if (key < 0) return -1;
    int column = g->keys[key]->column;
    g->nkeys--;
    memmove(&g->keys[key], &g->keys[key + 1], sizeof *g->keys * (size_t)(g->nkeys - key));
    memmove(&g->key_names[key], &g->key_names[key + 1], sizeof *g->key_names * (size_t)(g->nkeys - key));
    return column;
}

static enum status window_columns(struct grouping *g)
{
    const struct plan *in = g->scope->plan;
    int start = key_take(g, key_with_role(g, ROLE_WINDOW_START));
    int end = key_take(g, key_with_role(g, ROLE_WINDOW_END));
    if ((start < 0 && end < 0) || take_tumble(g, start, end)) return ST_OK;
    g->window = WINDOW_COLUMNS;
    g->start_column = start >= 0 ? start : column_with_role(in, ROLE_WINDOW_START);
    g->end_column = end >= 0 ? end : column_with_role(in, ROLE_WINDOW_END);
    int time = g->start_column >= 0 ? g->start_column : g->end_column;
    g->args.is_ms = in->is_ms[time];
    g->args.time = expr_column(g->b->a, time, in->schema->fields[time].type, NO_POS);
    int order = in->schema->time_column;
    if (order >= 0 && order != g->start_column && order != g->end_column)
        g->order_time = expr_column(g->b->a, order, in->schema->fields[order].type, NO_POS);
    return ST_OK;
}

static enum status no_watermark(struct grouping *g)
{
    struct binder *b = g->b;
    const struct plan *in = g->scope->plan;
    int column = plain_column(g->args.time), time = in->schema->time_column;
    uint32_t pos = g->args.time->pos != NO_POS ? g->args.time->pos : g->pos;
    err_at(b->err, E_WATERMARK, pos, "no watermark says when a window over %s may close",
           column >= 0 ? scope_print(g->scope, column, b->a) : "this expression");
    if (time >= 0 && in->lags[time] != LAG_NONE)
        err_hint(b->err, "window over %s, or declare the watermark for the other column",
                 in->schema->fields[time].name);
    else
        err_hint(b->err, "declare one on the source: WATERMARK FOR %s AS %s - INTERVAL '5' SECOND",
                 column >= 0 ? in->schema->fields[column].name : "ts",
                 column >= 0 ? in->schema->fields[column].name : "ts");
    return E_WATERMARK;
}

/* The column that says when the window closes: of bounds the end, else the start, behind whose lag no later row comes.
 */
static int closing_column(const struct grouping *g)
{
    return g->window == WINDOW_COLUMNS && g->end_column >= 0 ? g->end_column : plain_column(g->args.time);
}

enum status grouping_windows(struct grouping *g)
{
    const struct plan *in = g->scope->plan;
    if (g->window == WINDOW_NONE) TRY(window_columns(g));
    if (g->window == WINDOW_NONE) return ST_OK;
    int column = closing_column(g);
    g->lag_us = column >= 0 ? in->lags[column] : LAG_NONE;
    if (g->lag_us != LAG_NONE) return ST_OK;
    if (!in->bounded) return no_watermark(g);
    g->lag_us = LAG_END;
    return ST_OK;
}

/* ---- what a group gives ---------------------------------------------------------------------------- */

static struct type bound_type(const struct grouping *g)
{
    return g->args.time->type;
}

static struct expr *bound_column(const struct grouping *g, int which, uint32_t pos)
{
    return expr_column(g->b->a, g->base + which, bound_type(g), pos);
}

enum status grouping_name(struct place *p, const struct ast *e, struct expr **out)
{
    struct grouping *g = p->grouping;
    if (g->window != WINDOW_TUMBLE || e->nparts != 1) return ST_OK;
    if (!strcmp(e->parts[0], "window_start")) *out = bound_column(g, VIRTUAL_START, e->pos);
    if (!strcmp(e->parts[0], "window_end")) *out = bound_column(g, VIRTUAL_END, e->pos);
    if (!strcmp(e->parts[0], "window_time"))
        return time_plus(g->b, bound_column(g, VIRTUAL_END, e->pos), g->args.is_ms, -time_unit(g->args.is_ms), e->pos,
                         out);
    return ST_OK;
}

static enum status no_aggregate_here(struct place *p, const struct ast *e)
{
    if (p->in_aggregate)
        return err_at(p->b->err, E_GROUPING, e->pos, "aggregates cannot be nested: %s() within another", e->name);
    err_at(p->b->err, E_GROUPING, e->pos, "aggregates such as %s() cannot stand in %s", e->name, p->clause);
    if (!strcmp(p->clause, "WHERE")) err_hint(p->b->err, "filter groups with HAVING");
    return E_GROUPING;
}

static bool agg_same(const struct agg_call *x, const struct agg_call *y)
{
    if (x->class != y->class || x->nargs != y->nargs || x->distinct != y->distinct || !x->filter != !y->filter)
        return false;
    for (int i = 0; i < x->nargs; i++)
        if (!expr_same(x->args[i], y->args[i])) return false;
    return !x->filter || expr_same(x->filter, y->filter);
}

static int agg_add(struct grouping *g, struct agg_call *call)
{
    for (int i = 0; i < g->naggs; i++)
        if (agg_same(g->aggs[i], call)) return i;
    if (g->naggs == g->aggs_cap) {
        int cap = g->aggs_cap * 2 + 8;
        struct agg_call **aggs = arena_alloc(g->b->a, sizeof *aggs * (size_t)cap);
        if (g->naggs) memcpy(aggs, g->aggs, sizeof *aggs * (size_t)g->naggs);
        g->aggs = aggs, g->aggs_cap = cap;
    }
    g->aggs[g->naggs] = call;
    return g->naggs++;
}

static enum status bind_aggregate(struct place *p, const struct ast *e, struct expr **out)
{
    struct grouping *g = p->grouping;
    struct binder *b = p->b;
    if (!g || p->in_aggregate) return no_aggregate_here(p, e);
    if (e->order.n || e->within_group)
        return bind_refuse(b, e->pos, e->within_group ? "WITHIN GROUP" : "ORDER BY within an aggregate",
                           "FIRST_VALUE and LAST_VALUE go by event time");
    struct place inner = {
        .b = b, .scope = p->scope, .clause = "an aggregate", .grouping = g, .in_aggregate = true, .depth = p->depth};
    struct expr **args = arena_alloc(b->a, sizeof *args * (size_t)e->args.n), *filter = NULL;
    struct agg_call *call;
    for (int i = 0; i < e->args.n; i++) TRY(bind_expr(&inner, e->args.at[i], &args[i]));
    inner.clause = "FILTER";
    if (e->filter) TRY(bind_bool(&inner, e->filter, &filter));
    TRY(agg_bind(b->a, arena_strdup(b->a, e->name), args, e->args.n, e->star, e->distinct, filter, e->pos, &call,
                 b->err));
    g->active = true;
    *out = expr_column(b->a, g->base + VIRTUAL_AGGS + agg_add(g, call), call->type, e->pos);
    return ST_OK;
}

/* tumble(...), tumble_start(...), tumble_end(...) of the group's own window. */
static enum status bind_bound(struct place *p, const struct ast *e, int which, struct expr **out)
{
    struct grouping *g = p->grouping;
    bool scalar = !strcmp(e->name, "tumble");
    if (!g || p->in_aggregate || g->window == WINDOW_NONE) {
        if (scalar) return ST_OK;
        err_at(p->b->err, E_WINDOW, e->pos, "%s() needs a window in GROUP BY", e->name);
        err_hint(p->b->err,
                 "add TUMBLE(ts, INTERVAL '1' MINUTE) to GROUP BY, or use tumble(ts, size) for a row's window");
        return E_WINDOW;
    }
    if (e->args.n) {
        struct window_args w;
        struct place over_input = {.b = p->b, .scope = p->scope, .clause = p->clause, .depth = p->depth};
        TRY(window_bind(&over_input, e, &w));
        if (g->window != WINDOW_TUMBLE || !window_same(&w, &g->args)) {
            if (scalar) return ST_OK;
            return err_at(p->b->err, E_WINDOW, e->pos, "%s() names another window than GROUP BY", e->name);
        }
    } else if (scalar) {
        return ST_OK;
    }
    *out = bound_column(g, which, e->pos);
    return ST_OK;
}

enum status grouping_call(struct place *p, const struct ast *e, struct expr **out)
{
    if (!strcmp(e->name, "tumble") || !strcmp(e->name, "tumble_start")) return bind_bound(p, e, VIRTUAL_START, out);
    if (!strcmp(e->name, "tumble_end")) return bind_bound(p, e, VIRTUAL_END, out);
    return agg_exists(e->name) ? bind_aggregate(p, e, out) : ST_OK;
}

/* ---- the node, and expressions over it --------------------------------------------------------------- */

static enum status unbounded(struct grouping *g)
{
    struct binder *b = g->b;
    const struct plan *in = g->scope->plan;
    int time = in->schema->time_column;
    err_at(b->err, E_UNBOUNDED, g->pos, "an aggregate over input that never ends has no last result");
    if (time >= 0 && in->lags[time] != LAG_NONE)
        err_hint(b->err, "group by a window, as in GROUP BY TUMBLE(%s, INTERVAL '1' MINUTE)",
                 in->schema->fields[time].name);
    else
        err_hint(b->err,
                 "declare WATERMARK FOR a time column of the source and group by TUMBLE(column, INTERVAL '1' MINUTE)");
    return E_UNBOUNDED;
}

static enum status check_emit(struct grouping *g, const struct ast_select *s)
{
    struct binder *b = g->b;
    bool close = s->emit == EMIT_ON_WINDOW_CLOSE || s->emit == EMIT_FINAL;
    if (close && g->window == WINDOW_NONE) {
        err_at(b->err, E_WINDOW, s->emit_pos, "EMIT %s needs a window in GROUP BY",
               s->emit == EMIT_FINAL ? "FINAL" : "ON WINDOW CLOSE");
        err_hint(b->err, "add TUMBLE(ts, INTERVAL '1' MINUTE) to GROUP BY");
        return E_WINDOW;
    }
    if (!s->lateness) return ST_OK;
    if (g->window == WINDOW_NONE)
        return err_at(b->err, E_WINDOW, s->lateness->pos, "ALLOW LATENESS needs a window in GROUP BY");
    TRY(bind_span(b, s->lateness, "the lateness", g->args.is_ms ? 1000 : 0, E_ARGUMENT, &g->lateness_us));
    if (g->lateness_us >= 0) return ST_OK;
    return err_at(b->err, E_ARGUMENT, s->lateness->pos, "the lateness must not be negative");
}

static int64_t plus(int64_t x, int64_t y)
{
    return x >= LAG_END - y ? LAG_END : x + y;
}

/* The bounds' own columns: what later rows may still carry follows from when their windows close. */
static void bound_columns(const struct grouping *g, struct plan *p)
{
    int at = g->nkeys;
    int64_t unit = time_unit(g->args.is_ms), end_lag = plus(g->lag_us, g->lateness_us);
    int64_t start_lag = plus(end_lag, g->window == WINDOW_TUMBLE ? g->args.size_us - unit : 0);
    const struct plan *in = g->scope->plan;
    if (g->window == WINDOW_COLUMNS && g->start_column >= 0)
        start_lag = in->lags[g->start_column] == LAG_NONE ? LAG_NONE : plus(in->lags[g->start_column], g->lateness_us);
    for (int i = 0; i < 2; i++) {
        p->schema->fields[at + i] =
            (struct field){.name = i ? "window_end" : "window_start", .type = bound_type(g), .not_null = true};
        p->is_ms[at + i] = g->args.is_ms;
        p->roles[at + i] = i ? ROLE_WINDOW_END : ROLE_WINDOW_START;
        p->lags[at + i] = g->lag_us == LAG_END ? LAG_NONE : i ? end_lag : start_lag;
    }
}

/* Of a window whose end the input no longer has, the end is its start and one unit: with the start's lag it closes at
 * the same watermark. */
static enum status end_expr(struct grouping *g, struct expr **out)
{
    const struct plan *in = g->scope->plan;
    if (g->window != WINDOW_COLUMNS) return ST_OK;
    if (g->end_column < 0) return time_plus(g->b, g->args.time, g->args.is_ms, time_unit(g->args.is_ms), NO_POS, out);
    *out = expr_column(g->b->a, g->end_column, in->schema->fields[g->end_column].type, NO_POS);
    return ST_OK;
}

static void needs_time(struct grouping *g, const struct plan *in, struct plan *p)
{
    int time = in->schema->time_column;
    if (g->window != WINDOW_NONE) {
        p->time = g->args.time;
        p->time_is_ms = g->args.is_ms;
        p->order_time = g->order_time;
    } else if (time >= 0) {
        p->time = expr_column(g->b->a, time, in->schema->fields[time].type, NO_POS);
        p->time_is_ms = type_is_integer(p->time->type);
    }
}

enum status grouping_plan(struct grouping *g, struct plan *in, const struct ast_select *s, struct plan **out)
{
    int bounds = g->window == WINDOW_NONE ? 0 : 2;
    TRY(check_emit(g, s));
    if (g->window == WINDOW_NONE && !in->bounded) return unbounded(g);
    struct plan *p = node_new(g->b->a, PLAN_AGG, 1, g->nkeys + bounds + g->naggs);
    for (int i = 0; i < g->nkeys; i++) {
        p->schema->fields[i] =
            (struct field){.name = node_free_name(g->b->a, p->schema, i, arena_strdup(g->b->a, g->key_names[i])),
                           .type = g->keys[i]->type};
        if (g->keys[i]->kind == EXPR_COLUMN) p->is_ms[i] = in->is_ms[g->keys[i]->column];
    }
    if (bounds) bound_columns(g, p);
    for (int i = 0; i < g->naggs; i++) {
        int at = g->nkeys + bounds + i;
        p->schema->fields[at] =
            (struct field){.name = node_free_name(g->b->a, p->schema, at, g->aggs[i]->name), .type = g->aggs[i]->type};
    }
    node_pick_time(p);
    p->in[0] =
        (struct plan_input){.node = in, .dist = g->nkeys ? DIST_HASH : DIST_ONE, .nkeys = g->nkeys, .keys = g->keys};
    p->nkeys = g->nkeys, p->keys = g->keys;
    p->naggs = g->naggs, p->aggs = g->aggs;
    p->window = g->window;
    p->size_us = g->args.size_us, p->offset_us = g->args.offset_us;
    p->lag_us = g->lag_us, p->lateness_us = g->lateness_us;
    p->emit = g->window == WINDOW_NONE ? EMIT_NONE : s->emit == EMIT_NONE ? EMIT_ON_WATERMARK : s->emit;
    needs_time(g, in, p);
    TRY(end_expr(g, &p->window_end));
    node_settle(p);
    *out = p;
    return ST_OK;
}

static enum status not_grouped(struct grouping *g, const struct expr *e)
{
    const char *name = scope_print(g->scope, e->column, g->b->a);
    err_at(g->b->err, E_GROUPING, e->pos, "column %s must appear in GROUP BY or in an aggregate", name);
    err_hint(g->b->err, "add %s to GROUP BY, or take one of its values: MIN(%s), LAST_VALUE(%s)", name, name, name);
    return E_GROUPING;
}

/* The output column of an input column, a bound or an aggregate; -1: none. */
static int output_of(const struct grouping *g, int column)
{
    int bounds = g->window == WINDOW_NONE ? 0 : 2;
    if (bounds && column == g->start_column) return g->nkeys;
    if (bounds && column == g->end_column) return g->nkeys + 1;
    if (column < g->base) return -1;
    column -= g->base;
    return g->nkeys + (column < VIRTUAL_AGGS ? column : bounds + column - VIRTUAL_AGGS);
}

enum status grouping_over(struct grouping *g, const struct expr *e, struct expr **out)
{
    for (int i = 0; i < g->nkeys; i++)
        if (expr_same(e, g->keys[i])) {
            *out = expr_column(g->b->a, i, e->type, e->pos);
            return ST_OK;
        }
    if (e->kind == EXPR_COLUMN) {
        int column = output_of(g, e->column);
        if (column < 0) return not_grouped(g, e);
        *out = expr_column(g->b->a, column, e->type, e->pos);
        return ST_OK;
    }
    struct expr *copy = arena_alloc(g->b->a, sizeof *copy);
    *copy = *e;
    copy->args = arena_alloc(g->b->a, sizeof *copy->args * (size_t)e->nargs);
    for (int i = 0; i < e->nargs; i++) {
        copy->args[i] = e->args[i];
        if (e->args[i]) TRY(grouping_over(g, e->args[i], &copy->args[i]));
    }
    *out = copy;
    return ST_OK;
}

enum status grouping_distinct(struct binder *b, struct plan *in, const struct ast_select *s, struct plan **out)
{
    struct grouping g;
    const struct ast_select plain = {.pos = s->pos};
    grouping_init(&g, b, scope_new(b->a, in, NULL));
    g.pos = s->pos;
    for (int i = 0; i < in->schema->n; i++)
        TRY(grouping_add_expr(&g, expr_column(b->a, i, in->schema->fields[i].type, NO_POS),
                              in->schema->fields[i].name));
    TRY(window_columns(&g));
    if (g.window == WINDOW_TUMBLE) return err_at(b->err, E_INTERNAL, s->pos, "a window below DISTINCT");
    if (g.window == WINDOW_NONE && !in->bounded) {
        err_at(b->err, E_UNBOUNDED, s->pos, "DISTINCT over input that never ends would have to remember all of it");
        err_hint(b->err, "select window_start or window_end as well, so that it is DISTINCT within a window");
        return E_UNBOUNDED;
    }
    if (g.window != WINDOW_NONE) TRY(grouping_windows(&g));
    struct plan *agg;
    TRY(grouping_plan(&g, in, &plain, &agg));
    struct expr **exprs = arena_alloc(b->a, sizeof *exprs * (size_t)in->schema->n);
    const char **names = arena_alloc(b->a, sizeof *names * (size_t)in->schema->n);
    for (int i = 0; i < in->schema->n; i++) {
        struct expr *column = expr_column(b->a, i, in->schema->fields[i].type, NO_POS);
        names[i] = in->schema->fields[i].name;
        TRY(grouping_over(&g, column, &exprs[i]));
    }
    *out = node_project(b->a, agg, in->schema->n, exprs, names);
    return ST_OK;
}
