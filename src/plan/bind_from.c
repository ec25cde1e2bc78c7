/* FROM: objects, queries, TUMBLE over a table, joins.
 *
 * Joins come without keys first. ON and WHERE are cut into conjuncts and given to the highest join that all of them
 * pass through: what one side alone knows goes down that side, an equality between the sides becomes a key, and what is
 * left of ON stays as the join's residual condition (of WHERE: a filter above). Then every join must have a key.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/bind.h"

#include <stdio.h>

#define FROM_MAX 1000

/* ---- objects ------------------------------------------------------------------------------------- */

struct names {
    const struct catalog *catalog;
};
static const char *nth_object(const void *ctx, int i)
{
    const struct catalog *c = ((const struct names *)ctx)->catalog;
    return c->name(c->ctx, i);
}

static void note_use(struct binder *b, const struct object *o)
{
    for (int i = 0; i < b->nuses; i++)
        if (b->uses[i] == o) return;
    if (b->nuses == b->uses_cap) {
        int cap = b->uses_cap * 2 + 8;
        const struct object **uses = arena_alloc(b->a, sizeof *uses * (size_t)cap);
        if (b->nuses) memcpy(uses, b->uses, sizeof *uses * (size_t)b->nuses);
        b->uses = uses, b->uses_cap = cap;
    }
    b->uses[b->nuses++] = o;
}

enum status bind_object(struct binder *b, const char *name, uint32_t pos, const struct object **out)
{
    const struct object *o = b->catalog->find(b->catalog->ctx, name);
    if (!o) {
        struct names names = {b->catalog};
        err_at(b->err, E_TABLE, pos, "there is no source or stream '%.100s'", name);
        const char *near = text_nearest(name, nth_object, &names);
        if (near) err_hint(b->err, "did you mean '%s'?", near);
        return E_TABLE;
    }
    if (o->kind == OBJECT_SINK)
        return err_at(b->err, E_TABLE, pos, "'%s' is a sink; rows can be read from sources and streams", name);
    note_use(b, o);
    *out = o;
    return ST_OK;
}

static enum status bind_cte(struct binder *b, const struct cte *c, const char *alias, struct scope **out)
{
    struct plan *p;
    const struct cte *all = b->ctes;
    b->ctes = c->outer;
    enum status st = bind_select(b, c->ast->select, true, &p);
    b->ctes = all;
    TRY(st);
    *out = scope_new(b->a, p, alias);
    return scope_rename(b, *out, c->ast->columns.at, c->ast->columns.n, c->ast->select->pos);
}

static enum status bind_table(struct binder *b, const char *name, const char *alias, uint32_t pos, struct scope **out)
{
    const struct object *o;
    for (const struct cte *c = b->ctes; c; c = c->outer)
        if (!strcmp(c->ast->name, name)) return bind_cte(b, c, alias, out);
    TRY(bind_object(b, name, pos, &o));
    *out = scope_new(b->a, node_object(b->a, o), alias);
    return ST_OK;
}

/* ---- FROM TUMBLE(t, DESCRIPTOR(ts), size [, offset]) --------------------------------------------- */

static const char *table_argument(const struct ast *e)
{
    if (e->kind != AST_NAME && e->kind != AST_TABLE_ARG) return NULL;
    return e->nparts ? e->parts[e->nparts - 1] : e->name;
}

static const char *descriptor(const struct ast *e)
{
    if (e->kind != AST_DESCRIPTOR) return NULL;
    if (e->nparts) return e->parts[e->nparts - 1];
    return e->args.n && e->args.at[0]->nparts ? e->args.at[0]->parts[e->args.at[0]->nparts - 1] : e->name;
}

static enum status tvf_args(struct binder *b, const struct ast *call, const struct scope *in, struct window_args *w)
{
    struct ast name = {.kind = AST_NAME, .pos = call->args.at[1]->pos, .nparts = 1};
    struct ast tumble = *call;
    tumble.args.n = call->args.n - 1;
    tumble.args.at = arena_alloc(b->a, sizeof *tumble.args.at * (size_t)call->args.n);
    memcpy(tumble.args.at, call->args.at + 1, sizeof *tumble.args.at * (size_t)tumble.args.n);
    tumble.args.at[0] = &name;
    name.parts[0] = descriptor(call->args.at[1]);
    struct place p = {.b = b, .scope = in, .clause = "TUMBLE"};
    return window_bind(&p, &tumble, w);
}

static bool is_window_name(const char *name)
{
    return !strcmp(name, "window_start") || !strcmp(name, "window_end") || !strcmp(name, "window_time");
}

/* The input's columns, then window_start, window_end, window_time; window columns that the input had make way. */
static enum status tvf_plan(struct binder *b, const struct scope *in, const struct window_args *w, struct plan **out)
{
    int n = 0;
    size_t room = (size_t)in->plan->schema->n + 3;
    struct expr **exprs = arena_alloc(b->a, sizeof *exprs * room);
    const char **names = arena_alloc(b->a, sizeof *names * room);
    for (int i = 0; i < in->n; i++) {
        if (is_window_name(in->columns[i].name)) continue;
        int c = in->columns[i].column;
        names[n] = in->columns[i].name;
        exprs[n++] = expr_column(b->a, c, in->plan->schema->fields[c].type, NO_POS);
    }
    static const char *const added[] = {"window_start", "window_end", "window_time"};
    TRY(window_start_expr(b, w, NO_POS, &exprs[n]));
    TRY(time_plus(b, exprs[n], w->is_ms, w->size_us, NO_POS, &exprs[n + 1]));
    TRY(time_plus(b, exprs[n], w->is_ms, w->size_us - time_unit(w->is_ms), NO_POS, &exprs[n + 2]));
    for (int i = 0; i < 3; i++) names[n + i] = added[i];
    struct plan *p = node_project(b->a, in->plan, n + 3, exprs, names);
    int64_t lag = w->time->kind == EXPR_COLUMN ? in->plan->lags[w->time->column] : LAG_NONE;
    for (int i = 0; i < 3; i++) {
        p->is_ms[n + i] = w->is_ms;
        p->roles[n + i] = (uint8_t)(ROLE_WINDOW_START + i);
        if (lag != LAG_NONE) p->lags[n + i] = i ? lag : lag + w->size_us - time_unit(w->is_ms);
    }
    p->window = WINDOW_TUMBLE;
    p->time = w->time, p->time_is_ms = w->is_ms;
    p->size_us = w->size_us, p->offset_us = w->offset_us;
    if (p->schema->time_column < 0) node_pick_time(p);
    *out = p;
    return ST_OK;
}

static enum status bind_tvf(struct binder *b, const struct ast_from *f, struct scope **out)
{
    const struct ast *call = f->call;
    TRY(window_refuse(b, call));
    if (strcmp(call->name, "tumble")) {
        char what[80];
        snprintf(what, sizeof what, "the table function %.48s()", call->name);
        return bind_refuse(b, call->pos, what, "supported in FROM is TUMBLE(table, DESCRIPTOR(time), size [, offset])");
    }
    const char *table = call->args.n > 2 ? table_argument(call->args.at[0]) : NULL;
    if (!table || !descriptor(call->args.at[1])) {
        err_at(b->err, E_WINDOW, call->pos, "TUMBLE in FROM takes a table, a DESCRIPTOR, a size and perhaps an offset");
        err_hint(b->err, "as in FROM TUMBLE(t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)");
        return E_WINDOW;
    }
    struct scope *in;
    struct window_args w;
    struct plan *p;
    TRY(bind_table(b, table, table, call->args.at[0]->pos, &in));
    TRY(tvf_args(b, call, in, &w));
    TRY(tvf_plan(b, in, &w, &p));
    *out = scope_new(b->a, p, f->alias ? f->alias : table);
    return ST_OK;
}

/* ---- joins ---------------------------------------------------------------------------------------- */

static enum status join_kind(struct binder *b, const struct ast_from *f)
{
    static const char *const names[] = {
        [JOIN_LEFT] = "LEFT JOIN",          [JOIN_RIGHT] = "RIGHT JOIN", [JOIN_FULL] = "FULL JOIN",
        [JOIN_SEMI] = "SEMI JOIN",          [JOIN_ANTI] = "ANTI JOIN",   [JOIN_ASOF] = "ASOF JOIN",
        [JOIN_ASOF_LEFT] = "ASOF LEFT JOIN"};
    static const char instead[] = "supported are inner joins of bounded inputs on equal keys";
    if (f->join != JOIN_INNER && f->join != JOIN_CROSS) return bind_refuse(b, f->pos, names[f->join], instead);
    if (f->match) return bind_refuse(b, f->match->pos, "MATCH_CONDITION", instead);
    if (f->right->system_time) return bind_refuse(b, f->right->pos, "FOR SYSTEM_TIME AS OF", instead);
    return ST_OK;
}

static enum status bounded_inputs(struct binder *b, const struct ast_from *f, const struct plan *join)
{
    for (int i = 0; i < 2; i++)
        if (!join->in[i].node->bounded) {
            err_at(b->err, E_UNSUPPORTED, f->pos, "a join of input that never ends is not supported");
            err_hint(b->err, "supported are inner joins of bounded inputs, such as files, on equal keys");
            return E_UNSUPPORTED;
        }
    return ST_OK;
}

static void key_room(struct binder *b, struct plan *join)
{
    if (join->njoin_keys & (join->njoin_keys - 1)) return;
    size_t cap = (size_t)join->njoin_keys * 2 + 1, used = sizeof(struct expr *) * (size_t)join->njoin_keys;
    struct expr **left = arena_alloc(b->a, sizeof *left * cap), **right = arena_alloc(b->a, sizeof *right * cap);
    if (used) memcpy(left, join->left_keys, used), memcpy(right, join->right_keys, used);
    join->left_keys = left, join->right_keys = right;
}

static enum status add_key(struct binder *b, struct plan *join, struct expr *left, struct expr *right)
{
    int nleft = join->in[0].node->schema->n;
    right = columns_shift(b->a, right, join->schema->n, -nleft);
    if (!type_equal(left->type, right->type)) {
        struct type t;
        const struct expr *both[] = {left, right};
        TRY(expr_common_type(both, 2, "the join's key", &t, b->err));
        TRY(expr_coerce(b->a, left, t, left->pos, &left, b->err));
        TRY(expr_coerce(b->a, right, t, right->pos, &right, b->err));
    }
    key_room(b, join);
    join->left_keys[join->njoin_keys] = left;
    join->right_keys[join->njoin_keys++] = right;
    join->in[0].keys = join->left_keys, join->in[1].keys = join->right_keys;
    join->in[0].nkeys = join->in[1].nkeys = join->njoin_keys;
    return ST_OK;
}

/* x = y with x of the left side only and y of the right, or the other way round. */
static enum status take_key(struct binder *b, struct plan *join, struct expr *e, bool *taken)
{
    int nleft = join->in[0].node->schema->n, n = join->schema->n;
    *taken = false;
    if (e->kind != EXPR_CALL || e->nargs != 2 || strcmp(e->name, "=")) return ST_OK;
    for (int i = 0; i < 2 && !*taken; i++) {
        struct expr *l = e->args[i], *r = e->args[1 - i];
        if (l->is_volatile || r->is_volatile || !columns_within(l, 0, nleft) || !columns_within(r, nleft, n)) continue;
        *taken = true;
        TRY(add_key(b, join, l, r));
    }
    return ST_OK;
}

/* Below a join: filters under its inputs. */
static enum status give_down(struct binder *b, struct plan *join, int side, struct expr *e)
{
    struct plan *in = join->in[side].node;
    struct conjuncts one = {0};
    conjuncts_add(b->a, &one, side ? columns_shift(b->a, e, join->schema->n, -join->in[0].node->schema->n) : e);
    TRY(bind_join_where(b, in, &one));
    if (one.n) join->in[side].node = node_filter(b->a, in, one.at[0]);
    return ST_OK;
}

enum status bind_join_where(struct binder *b, struct plan *p, struct conjuncts *c)
{
    while (p->kind == PLAN_FILTER) p = p->in[0].node;
    if (p->kind != PLAN_JOIN) return ST_OK;
    int kept = 0, nleft = p->in[0].node->schema->n;
    for (int i = 0; i < c->n; i++) {
        struct expr *e = c->at[i];
        bool taken = !e->is_volatile && (columns_within(e, 0, nleft) || columns_within(e, nleft, p->schema->n));
        if (taken)
            TRY(give_down(b, p, !columns_within(e, 0, nleft), e));
        else
            TRY(take_key(b, p, e, &taken));
        if (!taken) c->at[kept++] = e;
    }
    c->n = kept;
    return ST_OK;
}

enum status bind_join_check(struct binder *b, const struct ast_from *f, const struct plan *p)
{
    if (!f || f->kind != FROM_JOIN) return ST_OK;
    while (p->kind == PLAN_FILTER) p = p->in[0].node;
    TRY(bind_join_check(b, f->left, p->in[0].node));
    TRY(bind_join_check(b, f->right, p->in[1].node));
    if (p->njoin_keys) return ST_OK;
    err_at(b->err, E_JOIN_KEY, f->pos, "the join has no equality between its two sides");
    err_hint(b->err, "join ON a.key = b.key, or USING (key)");
    return E_JOIN_KEY;
}

/* USING's columns, NATURAL's being those that both sides have. */
static enum status using_columns(struct binder *b, const struct ast_from *f, const struct scope *l,
                                 const struct scope *r, const char ***names, int *n)
{
    if (!f->natural) {
        *names = f->using_.at, *n = f->using_.n;
        return ST_OK;
    }
    const char **common = arena_alloc(b->a, sizeof *common * (size_t)(l->n + 1));
    *n = 0;
    for (int i = 0; i < l->n; i++)
        if (!l->columns[i].hidden && scope_look(r, NULL, l->columns[i].name) != SCOPE_NONE)
            common[(*n)++] = l->columns[i].name;
    *names = common;
    if (!*n) return err_at(b->err, E_JOIN_KEY, f->pos, "NATURAL JOIN finds no column that both sides have");
    return ST_OK;
}

static enum status using_key(struct binder *b, struct plan *join, const struct scope *l, const struct scope *r,
                             const char *name, uint32_t pos)
{
    int columns[2];
    struct expr *keys[2];
    struct ast ref = {.kind = AST_NAME, .pos = pos, .parts = {name}, .nparts = 1};
    for (int i = 0; i < 2; i++) {
        const struct scope *s = i ? r : l;
        TRY(scope_find(b, s, &ref, &columns[i]));
        keys[i] =
            expr_column(b->a, columns[i] + (i ? l->plan->schema->n : 0), s->plan->schema->fields[columns[i]].type, pos);
    }
    return add_key(b, join, keys[0], keys[1]);
}

static enum status bind_on(struct binder *b, const struct ast_from *f, struct scope *s)
{
    struct place p = {.b = b, .scope = s, .clause = "ON"};
    struct conjuncts c = {0};
    struct expr *on, *residual;
    if (!f->on) return ST_OK;
    TRY(bind_bool(&p, f->on, &on));
    conjuncts_add(b->a, &c, on);
    TRY(bind_join_where(b, s->plan, &c));
    TRY(conjuncts_join(b->a, &c, &residual, b->err));
    if (!residual) return ST_OK;
    s->plan->exprs = arena_alloc(b->a, sizeof *s->plan->exprs);
    s->plan->exprs[0] = residual;
    s->plan->nexprs = 1;
    return ST_OK;
}

static enum status bind_join(struct binder *b, const struct ast_from *f, struct scope **out)
{
    struct scope *l, *r;
    const char **names;
    int n;
    TRY(join_kind(b, f));
    TRY(bind_from(b, f->left, &l));
    TRY(bind_from(b, f->right, &r));
    for (int i = 0; i < r->n; i++)
        if (r->columns[i].table && scope_has_table(l, r->columns[i].table)) {
            err_at(b->err, E_AMBIGUOUS, f->right->pos, "'%s' stands twice in FROM", r->columns[i].table);
            err_hint(b->err, "give each an alias: %s AS a", r->columns[i].table);
            return E_AMBIGUOUS;
        }
    TRY(using_columns(b, f, l, r, &names, &n));
    struct plan *join = node_join(b->a, l->plan, r->plan);
    TRY(bounded_inputs(b, f, join));
    for (int i = 0; i < n; i++) TRY(using_key(b, join, l, r, names[i], f->pos));
    *out = scope_join(b->a, l, r, join, names, n);
    return bind_on(b, f, *out);
}

/* ---- one item --------------------------------------------------------------------------------------- */

static enum status bind_item(struct binder *b, const struct ast_from *f, struct scope **out)
{
    struct plan *p;
    if (f->system_time)
        return bind_refuse(b, f->system_time->pos, "FOR SYSTEM_TIME AS OF",
                           "supported are inner joins of bounded inputs on equal keys");
    switch (f->kind) {
    case FROM_NAME: return bind_table(b, f->name, f->alias ? f->alias : f->name, f->pos, out);
    case FROM_CALL: return bind_tvf(b, f, out);
    case FROM_JOIN: return bind_join(b, f, out);
    case FROM_VALUES:
    case FROM_SELECT:
        TRY(bind_select(b, f->select, true, &p));
        *out = scope_new(b->a, p, f->alias);
        return ST_OK;
    }
    return err_at(b->err, E_INTERNAL, f->pos, "FROM of unknown kind %d", f->kind);
}

enum status bind_from(struct binder *b, const struct ast_from *f, struct scope **out)
{
    if (++b->nfrom > FROM_MAX) return err_at(b->err, E_LIMIT, f->pos, "the query reads more than %d tables", FROM_MAX);
    TRY(bind_item(b, f, out));
    return f->kind == FROM_JOIN ? ST_OK : scope_rename(b, *out, f->columns.at, f->columns.n, f->pos);
}
