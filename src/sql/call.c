/* Builds calls. SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

#include <stdarg.h>

/* A named argument until call__new has put it in its place: not part of any finished tree. */
#define ARROW "=>"

struct ast *call__named(struct parser *p, const char *name, struct ast *value, struct span at)
{
    struct ast *x = node__binary(p, ARROW, value, value, at);
    x->text = name;
    return x;
}

static bool is_named(const struct ast *x) { return x->kind == AST_BINARY && !strcmp(x->name, ARROW); }

/* The order of the arguments of windowing functions, which are written by name in the SQL standard's manner. */
static const char *const windowing[][6] = {
    {"tumble", "data", "timecol", "size", "offset"},
    {"hop", "data", "timecol", "slide", "size", "offset"},
    {"cumulate", "data", "timecol", "step", "size", "offset"},
    {"session", "data", "timecol", "gap"},
};

static const char *const *windowing_find(const char *name)
{
    for (size_t i = 0; i < countof(windowing); i++)
        if (!strcmp(windowing[i][0], name)) return windowing[i];
    return NULL;
}

static int parameter(const char *const *names, const char *name)
{
    for (int i = 1; i < (int)countof(windowing[0]) && names[i]; i++)
        if (!strcmp(names[i], name)) return i - 1;
    return -1;
}

/* Named arguments follow the others and must leave no hole. */
static struct list in_order(struct parser *p, const char *name, struct list args)
{
    const char *const *names = windowing_find(name);
    struct ast *placed[countof(windowing[0])] = {0};
    struct list out = {0};
    for (int i = 0; i < args.n; i++) {
        struct ast *x = args.at[i];
        int at = !is_named(x) ? i : names ? parameter(names, x->text) : -1;
        if (at < 0 || at >= (int)countof(placed) || placed[at]) {
            parser__fail(p, E_UNSUPPORTED, x->pos, "%s() does not take this argument by name", name);
            return (struct list){0};
        }
        placed[at] = is_named(x) ? x->args.at[0] : x;
    }
    for (int i = 0; i < args.n; i++) {
        if (!placed[i]) {
            const struct ast *first = args.at[0];
            parser__fail(p, E_SYNTAX, first->pos, "%s() lacks the argument %s", name, names[i + 1]);
            return (struct list){0};
        }
        out = list__add(p->arena, out, placed[i]);
    }
    return out;
}

/* Spellings that are one function. */
static const char *canonical(const char *name)
{
    while (!strncmp(name, "pg_catalog.", 11) && name[11]) name += 11;
    return !strcmp(name, "ceiling") ? "ceil" : name;
}

struct ast *call__new(struct parser *p, const char *name, struct list args, struct span at)
{
    name = canonical(name);
    struct ast *first = args.n ? args.at[0] : NULL;
    if (!strcmp(name, "descriptor") && args.n == 1 && first->kind == AST_NAME) {
        first->kind = AST_DESCRIPTOR;
        first->name = first->parts[first->nparts - 1];
        first->pos = at.pos, first->end = at.end;
        return first;
    }
    for (int i = 0; i < args.n; i++)
        if (is_named(args.at[i])) {
            args = in_order(p, name, args);
            break;
        }
    struct ast *x = node__list(p, AST_CALL, args, at);
    x->name = name;
    return x;
}

struct ast *call__of(struct parser *p, const char *name, struct span at, int n, ...)
{
    struct list args = {0};
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i < n; i++) args = list__add(p->arena, args, va_arg(ap, struct ast *));
    va_end(ap);
    return call__new(p, name, args, at);
}

/* What a call carries beside its arguments counts for its depth as they do. */
static void deepen(struct parser *p, struct ast *call, int depth)
{
    if (depth < call->depth) return;
    if (depth >= SQL_DEPTH_MAX)
        parser__fail(p, E_LIMIT, call->pos, "the expression is nested more than %d levels deep", SQL_DEPTH_MAX);
    else
        call->depth = (uint16_t)(depth + 1);
}

/* DESCRIPTOR(c) takes none of the clauses of a call. */
static bool is_call(struct parser *p, struct ast *x)
{
    if (x->kind == AST_CALL) return true;
    parser__fail(p, E_SYNTAX, x->pos, "DESCRIPTOR(column) stands alone");
    return false;
}

struct ast *call__distinct(struct parser *p, struct ast *call)
{
    if (is_call(p, call)) call->distinct = true;
    return call;
}

struct ast *call__order(struct parser *p, struct ast *call, struct list order, bool within_group)
{
    if (!order.n || !is_call(p, call)) return call;
    if (call->order.n) parser__fail(p, E_SYNTAX, call->pos, "an aggregate takes ORDER BY or WITHIN GROUP, not both");
    LIST_SET(call->order, order);
    call->within_group = within_group;
    for (int i = 0; i < order.n; i++) deepen(p, call, ((struct ast_order *)order.at[i])->expr->depth);
    return call;
}

struct ast *call__filter(struct parser *p, struct ast *call, struct ast *filter)
{
    if (!filter || !is_call(p, call)) return call;
    call->filter = filter;
    deepen(p, call, filter->depth);
    return call;
}

struct ast *call__over(struct parser *p, struct ast *call, struct ast_over *over)
{
    if (!over || !is_call(p, call)) return call;
    call->over = over;
    deepen(p, call, over__depth(over));
    return call;
}

struct ast *call__typed(struct parser *p, struct ast *call, struct piece text, struct span at)
{
    struct list mods = {0};
    bool plain = call->kind == AST_CALL && !call->star && !call->distinct && !call->order.n;
    for (int i = 0; plain && i < call->args.n; i++) {
        plain = call->args.at[i]->kind == AST_NUMBER;
        mods = list__add(p->arena, mods, call->args.at[i]->text);
    }
    if (!plain) parser__fail(p, E_SYNTAX, call->pos, "a string may follow a type, but not a call");
    struct ast_type type = {0};
    if (plain) type = type_ref__new(p, call->name, mods, NULL, (struct span){call->pos, call->end});
    return node__typed(p, type, text, at);
}
