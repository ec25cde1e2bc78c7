/* Builds expressions. Every node knows how deep the tree under it is; one that is too deep fails the parse, so whoever
 * walks a tree may recurse. SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

struct list list__add(struct arena *a, struct list l, const void *item)
{
    if (!(l.n & (l.n - 1))) {
        void **at = arena_alloc(a, sizeof *at * (size_t)(l.n ? l.n * 2 : 1));
        if (l.n) memcpy(at, l.at, sizeof *at * (size_t)l.n);
        l.at = at;
    }
    l.at[l.n++] = (void *)(uintptr_t)item;
    return l;
}

struct ast *node__new(struct parser *p, enum ast_kind kind, struct span at)
{
    struct ast *x = arena_alloc(p->arena, sizeof *x);
    x->kind = kind;
    x->pos = at.pos, x->end = at.end;
    x->depth = 1;
    return x;
}

/* x stands over something of this depth. */
static void over(struct parser *p, struct ast *x, int depth)
{
    if (depth < x->depth) return;
    if (depth >= SQL_DEPTH_MAX)
        parser__fail(p, E_LIMIT, x->pos, "the expression is nested more than %d levels deep", SQL_DEPTH_MAX);
    else
        x->depth = (uint16_t)(depth + 1);
}

static void over_node(struct parser *p, struct ast *x, const struct ast *child)
{
    if (child) over(p, x, child->depth);
}

static void add_arg(struct parser *p, struct ast *x, struct ast *arg)
{
    LIST_SET(x->args, list__add(p->arena, LIST_OF(x->args), arg));
    over_node(p, x, arg);
}

struct ast *node__text(struct parser *p, enum ast_kind kind, struct piece text, struct span at)
{
    struct ast *x = node__new(p, kind, at);
    x->text = text.p, x->text_n = text.n;
    return x;
}

struct ast *node__bool(struct parser *p, bool value, struct span at)
{
    struct ast *x = node__new(p, AST_BOOL, at);
    x->flag = value;
    return x;
}

struct ast *node__name(struct parser *p, enum ast_kind kind, struct list parts, struct span at)
{
    struct ast *x = node__new(p, kind, at);
    _Static_assert(countof(x->parts) == NAME_PARTS, "name__add bounds the parts");
    for (int i = 0; i < parts.n; i++) x->parts[i] = parts.at[i];
    x->nparts = parts.n;
    return x;
}

struct ast *node__list(struct parser *p, enum ast_kind kind, struct list args, struct span at)
{
    struct ast *x = node__new(p, kind, at);
    LIST_SET(x->args, args);
    for (int i = 0; i < args.n; i++) over_node(p, x, args.at[i]);
    return x;
}

struct ast *node__unary(struct parser *p, const char *name, struct ast *x, struct span at)
{
    struct ast *u = node__new(p, AST_UNARY, at);
    u->name = name;
    add_arg(p, u, x);
    return u;
}

struct ast *node__binary(struct parser *p, const char *name, struct ast *l, struct ast *r, struct span at)
{
    struct ast *x = node__new(p, AST_BINARY, at);
    x->name = name;
    add_arg(p, x, l);
    add_arg(p, x, r);
    return x;
}

struct ast *node__operator(struct parser *p, const char *name, struct ast *l, struct ast *r, struct span at)
{
    bool negated = *name == '!';
    if (!negated && *name != '~') return node__binary(p, name, l, r, at);
    return node__like(p, name + negated, l, r, NULL, negated, at);
}

/* How many operands of the chain x stands for. What stood in parentheses is one: so its text can be given again. */
static uint32_t operands(const struct ast *x, const char *name)
{
    return x->chain && !x->grouped && !strcmp(x->name, name) ? x->chain : 1;
}

/* The left subtree is always perfect (a power of two of operands), so the shape depends on the count alone and the
 * depth is its logarithm. */
struct ast *node__chain(struct parser *p, const char *name, struct ast *l, struct ast *r)
{
    uint32_t n = operands(l, name);
    if (n & (n - 1)) {
        l->args.at[1] = node__chain(p, name, l->args.at[1], r);
        l->end = r->end;
        l->chain = n + 1;
        over_node(p, l, l->args.at[1]);
        return l;
    }
    struct ast *x = node__binary(p, name, l, r, (struct span){l->pos, r->end});
    x->chain = n + 1;
    return x;
}

struct ast *node__is(struct parser *p, struct ast *x, const char *name, bool negated, struct span at)
{
    struct ast *is = node__new(p, AST_IS, at);
    is->name = name, is->negated = negated;
    add_arg(p, is, x);
    return is;
}

struct ast *node__distinct(struct parser *p, struct ast *l, struct ast *r, bool negated, struct span at)
{
    struct ast *x = node__binary(p, NULL, l, r, at);
    x->kind = AST_DISTINCT, x->negated = negated;
    return x;
}

struct ast *node__between(struct parser *p, struct ast *x, struct ast *low, struct ast *high, bool symmetric,
                          bool negated, struct span at)
{
    struct ast *b = node__new(p, AST_BETWEEN, at);
    b->flag = symmetric, b->negated = negated;
    add_arg(p, b, x);
    add_arg(p, b, low);
    add_arg(p, b, high);
    return b;
}

struct ast *node__like(struct parser *p, const char *name, struct ast *x, struct ast *pattern, struct ast *escape,
                       bool negated, struct span at)
{
    struct ast *like = node__new(p, AST_LIKE, at);
    like->name = name, like->negated = negated;
    add_arg(p, like, x);
    add_arg(p, like, pattern);
    if (escape) add_arg(p, like, escape);
    return like;
}

struct ast *node__in(struct parser *p, struct ast *x, struct list values, bool negated, struct span at)
{
    struct ast *in = node__new(p, AST_IN, at);
    in->negated = negated;
    add_arg(p, in, x);
    for (int i = 0; i < values.n; i++) add_arg(p, in, values.at[i]);
    return in;
}

struct ast *node__select(struct parser *p, enum ast_kind kind, struct ast *x, struct ast_select *s, bool negated,
                         struct span at)
{
    struct ast *sub = node__new(p, kind, at);
    sub->negated = negated;
    sub->select = s;
    if (x) add_arg(p, sub, x);
    over(p, sub, s->depth);
    return sub;
}

struct ast *node__case(struct parser *p, struct ast *operand, struct list whens, struct ast *els, struct span at)
{
    struct ast *x = node__list(p, AST_CASE, whens, at);
    x->operand = operand, x->els = els;
    over_node(p, x, operand);
    over_node(p, x, els);
    return x;
}

struct ast *node__cast(struct parser *p, struct ast *x, struct ast_type type, bool try_, struct span at)
{
    struct ast *cast = node__new(p, AST_CAST, at);
    cast->type = type, cast->flag = try_;
    add_arg(p, cast, x);
    return cast;
}

struct ast *node__typed(struct parser *p, struct ast_type type, struct piece text, struct span at)
{
    struct ast *x = node__text(p, AST_TYPED, text, at);
    x->type = type;
    return x;
}

struct ast *node__interval(struct parser *p, struct piece text, const char *unit, struct span at)
{
    struct ast *x = node__text(p, AST_INTERVAL, text, at);
    x->name = unit;
    return x;
}

struct ast *node__index(struct parser *p, struct ast *x, struct ast *index, struct span at)
{
    struct ast *i = node__binary(p, NULL, x, index, at);
    i->kind = AST_INDEX;
    return i;
}

struct ast *node__field(struct parser *p, struct ast *x, const char *name, struct span at)
{
    struct ast *f = node__unary(p, name, x, at);
    f->kind = AST_FIELD;
    return f;
}
