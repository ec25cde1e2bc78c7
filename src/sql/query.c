/* Builds queries: FROM, the clauses of a SELECT, set operations. SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

static int deeper(int depth, const struct ast *x) { return x && x->depth > depth ? x->depth : depth; }

static int deepest(struct list l)
{
    int depth = 0;
    for (int i = 0; i < l.n; i++) depth = deeper(depth, l.at[i]);
    return depth;
}

static int deepest_order(struct list l)
{
    int depth = 0;
    for (int i = 0; i < l.n; i++) depth = deeper(depth, ((struct ast_order *)l.at[i])->expr);
    return depth;
}

/* The depth of what stands over `depth` levels. */
static uint16_t one_more(struct parser *p, int depth, uint32_t pos)
{
    if (depth < SQL_DEPTH_MAX) return (uint16_t)(depth + 1);
    parser__fail(p, E_LIMIT, pos, "the query is nested more than %d levels deep", SQL_DEPTH_MAX);
    return SQL_DEPTH_MAX;
}

struct ast_order *order__new(struct parser *p, struct ast *expr, bool desc, int nulls)
{
    struct ast_order *o = arena_alloc(p->arena, sizeof *o);
    *o = (struct ast_order){expr, desc, nulls};
    return o;
}

struct ast_over *over__new(struct parser *p, const char *name, struct list partition, struct list order)
{
    struct ast_over *o = arena_alloc(p->arena, sizeof *o);
    o->name = name;
    LIST_SET(o->partition, partition);
    LIST_SET(o->order, order);
    return o;
}

int over__depth(const struct ast_over *over)
{
    int depth = deepest(LIST_OF(over->partition)), order = deepest_order(LIST_OF(over->order));
    return deeper(deeper(order > depth ? order : depth, over->from.offset), over->to.offset);
}

/* ---- FROM ------------------------------------------------------------------------------------ */

static struct ast_from *from_new(struct parser *p, enum ast_from_kind kind, struct alias alias, struct span at)
{
    struct ast_from *f = arena_alloc(p->arena, sizeof *f);
    f->kind = kind;
    f->pos = at.pos;
    f->depth = 1;
    f->alias = alias.name;
    LIST_SET(f->columns, alias.columns);
    return f;
}

struct ast_from *from__name(struct parser *p, const char *name, struct ast *system_time, struct alias alias,
                            struct span at)
{
    struct ast_from *f = from_new(p, FROM_NAME, alias, at);
    f->name = name;
    f->system_time = system_time;
    f->depth = one_more(p, deeper(0, system_time), at.pos);
    return f;
}

struct ast_from *from__select(struct parser *p, struct ast_select *s, struct alias alias, struct span at)
{
    struct ast_from *f = from_new(p, s->values.n ? FROM_VALUES : FROM_SELECT, alias, at);
    f->select = s;
    f->depth = one_more(p, s->depth, at.pos);
    return f;
}

struct ast_from *from__call(struct parser *p, struct ast *call, struct alias alias, struct span at)
{
    struct ast_from *f = from_new(p, FROM_CALL, alias, at);
    if (call->kind != AST_CALL) parser__fail(p, E_SYNTAX, call->pos, "DESCRIPTOR(column) is not a table");
    f->call = call;
    f->depth = one_more(p, call->depth, at.pos);
    return f;
}

static void conjuncts(struct parser *p, const struct ast *x, struct list *out)
{
    for (int i = 0; i < 2; i++) {
        struct ast *arg = x->args.at[i];
        if (arg->chain && !arg->grouped && !strcmp(arg->name, "and"))
            conjuncts(p, arg, out);
        else
            *out = list__add(p->arena, *out, arg);
    }
}

static bool is_match(const struct ast *x)
{
    return x->kind == AST_CALL && !strcmp(x->name, "match_condition") && x->args.n == 1;
}

/* Some write MATCH_CONDITION(...) as one of the conditions of ON: takes it out from there. */
static struct ast *take_match(struct parser *p, struct ast *on, struct ast **match)
{
    struct list all = {0};
    struct ast *rest = NULL;
    if (on->chain && !strcmp(on->name, "and"))
        conjuncts(p, on, &all);
    else
        all = list__add(p->arena, all, on);
    for (int i = 0; i < all.n; i++) {
        struct ast *x = all.at[i];
        if (!*match && is_match(x))
            *match = x->args.at[0];
        else
            rest = rest ? node__chain(p, "and", rest, x) : x;
    }
    return *match ? rest : on;
}

struct ast_from *from__join(struct parser *p, enum ast_join_kind join, struct ast_from *l, struct ast_from *r,
                            struct qualifier q, struct ast *match)
{
    uint32_t pos = l->pos < r->pos ? l->pos : r->pos;
    struct ast_from *f = from_new(p, FROM_JOIN, (struct alias){0}, (struct span){pos, pos});
    bool asof = join == JOIN_ASOF || join == JOIN_ASOF_LEFT;
    f->join = join;
    f->left = l, f->right = r;
    f->on = asof && q.on && !match ? take_match(p, q.on, &match) : q.on;
    f->match = match;
    LIST_SET(f->using_, q.using_);
    int depth = l->depth > r->depth ? l->depth : r->depth;
    f->depth = one_more(p, deeper(deeper(depth, f->on), match), pos);
    return f;
}

struct ast_from *from__natural(struct parser *p, enum ast_join_kind join, struct ast_from *l, struct ast_from *r)
{
    struct ast_from *f = from__join(p, join, l, r, (struct qualifier){0}, NULL);
    f->natural = true;
    return f;
}

/* ---- SELECT ---------------------------------------------------------------------------------- */

struct ast_item *item__new(struct parser *p, struct ast *expr, const char *alias)
{
    struct ast_item *item = arena_alloc(p->arena, sizeof *item);
    *item = (struct ast_item){expr, alias};
    return item;
}

struct ast_window *window__new(struct parser *p, const char *name, struct ast_over *over)
{
    struct ast_window *w = arena_alloc(p->arena, sizeof *w);
    *w = (struct ast_window){name, over};
    return w;
}

struct ast_row *row__new(struct parser *p, struct list values)
{
    struct ast_row *row = arena_alloc(p->arena, sizeof *row);
    LIST_SET(row->values, values);
    return row;
}

struct ast_cte *cte__new(struct parser *p, const char *name, struct list columns, struct ast_select *select)
{
    struct ast_cte *cte = arena_alloc(p->arena, sizeof *cte);
    cte->name = name;
    LIST_SET(cte->columns, columns);
    cte->select = select;
    return cte;
}

struct ast_select *select__new(struct parser *p, struct span at)
{
    struct ast_select *s = arena_alloc(p->arena, sizeof *s);
    s->pos = at.pos, s->end = at.end;
    return s;
}

struct ast_select *select__with(struct parser *p, struct list ctes, struct span at)
{
    struct ast_select *s = select__new(p, at);
    LIST_SET(s->with, ctes);
    return s;
}

struct ast_select *select__emit(struct parser *p, enum ast_emit emit, struct ast *every, struct span at)
{
    struct ast_select *s = select__new(p, at);
    s->emit = emit;
    s->emit_every = every;
    return s;
}

struct ast_select *select__set(struct parser *p, enum ast_set op, bool all, struct ast_select *l, struct ast_select *r)
{
    struct ast_select *s = select__new(p, (struct span){l->pos, r->end});
    s->set = op, s->all = all;
    s->left = l, s->right = r;
    return select__done(p, s);
}

static void twice(struct parser *p, const char *clause, struct span at)
{
    parser__fail(p, E_SYNTAX, at.pos, "%s is given twice", clause);
}

struct ast_select *select__merge(struct parser *p, struct ast_select *a, struct ast_select *b, struct span at)
{
#define MERGE(there, member, clause)                                                                                   \
    if (b->there) {                                                                                                    \
        if (a->there) twice(p, clause, at);                                                                            \
        a->member = b->member;                                                                                         \
    }
    if (b->order.n && (a->limit || a->offset))
        parser__fail(p, E_SYNTAX, at.pos, "ORDER BY must stand before LIMIT and OFFSET");
    MERGE(with.n, with, "WITH")
    MERGE(order.n, order, "ORDER BY")
    MERGE(limit, limit, "LIMIT")
    MERGE(offset, offset, "OFFSET")
    if (b->emit) a->emit_every = b->emit_every, a->emit_pos = b->emit_pos;
    MERGE(emit, emit, "EMIT")
    MERGE(lateness, lateness, "ALLOW LATENESS")
    MERGE(late_to, late_to, "LATE DATA TO")
#undef MERGE
    if (b->pos < a->pos) a->pos = b->pos;
    if (b->end > a->end) a->end = b->end;
    return a;
}

/* The deepest of what only a plain SELECT has. */
static int core_depth(const struct ast_select *s)
{
    int depth = deepest(LIST_OF(s->distinct_on)), group = deepest(LIST_OF(s->group));
    if (group > depth) depth = group;
    for (int i = 0; i < s->items.n; i++) depth = deeper(depth, s->items.at[i]->expr);
    for (int i = 0; i < s->windows.n; i++) {
        int over = over__depth(s->windows.at[i]->over);
        if (over > depth) depth = over;
    }
    if (s->from && s->from->depth > depth) depth = s->from->depth;
    return deeper(deeper(deeper(depth, s->where), s->having), s->qualify);
}

struct ast_select *select__done(struct parser *p, struct ast_select *s)
{
    int depth = core_depth(s), order = deepest_order(LIST_OF(s->order));
    if (order > depth) depth = order;
    for (int i = 0; i < s->values.n; i++) {
        int row = deepest(LIST_OF(s->values.at[i]->values));
        if (row > depth) depth = row;
    }
    for (int i = 0; i < s->with.n; i++)
        if (s->with.at[i]->select->depth > depth) depth = s->with.at[i]->select->depth;
    if (s->left && s->left->depth > depth) depth = s->left->depth;
    if (s->right && s->right->depth > depth) depth = s->right->depth;
    depth = deeper(deeper(deeper(deeper(depth, s->limit), s->offset), s->emit_every), s->lateness);
    s->depth = one_more(p, depth, s->pos);
    return s;
}
