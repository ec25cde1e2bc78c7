/* Making plan nodes. What a node's columns are in time is decided here and nowhere else: a plain column keeps its lag
 * and role; window_end less one unit is window_time; whatever is computed otherwise is no time. A node that gives its
 * rows at the end (SORT, an aggregate without window) keeps event times but no lags: its rows come behind a watermark
 * that has already passed. SPDX-License-Identifier: Apache-2.0 */
#include "plan/node.h"

struct plan *node_new(struct arena *a, enum plan_kind kind, int nin, int ncols)
{
    struct plan *p = arena_alloc(a, sizeof *p);
    size_t n = (size_t)ncols;
    p->kind = kind;
    p->schema = schema_new(a, ncols);
    p->lags = arena_alloc(a, n * sizeof *p->lags);
    p->is_ms = arena_alloc(a, n * sizeof *p->is_ms);
    p->roles = arena_alloc(a, n * sizeof *p->roles);
    for (int i = 0; i < ncols; i++) p->lags[i] = LAG_NONE;
    p->nin = nin;
    p->in = arena_alloc(a, sizeof *p->in * (size_t)nin);
    p->limit = -1;
    return p;
}

void node_copy_columns(struct plan *p, int at, const struct plan *in)
{
    for (int i = 0; i < in->schema->n; i++) {
        p->schema->fields[at + i] = in->schema->fields[i];
        p->lags[at + i] = in->lags[i];
        p->is_ms[at + i] = in->is_ms[i];
        p->roles[at + i] = in->roles[i];
    }
}

/* A window's own time says best when a row of it happened; its bounds order rows alike. */
void node_pick_time(struct plan *p)
{
    static const uint8_t rank[] = {
        [ROLE_NONE] = 0, [ROLE_WINDOW_START] = 1, [ROLE_EVENT_TIME] = 2, [ROLE_WINDOW_END] = 3, [ROLE_WINDOW_TIME] = 4};
    p->schema->time_column = -1;
    for (int i = 0; i < p->schema->n; i++) {
        int best = p->schema->time_column;
        if (p->roles[i] && (best < 0 || rank[p->roles[i]] > rank[p->roles[best]])) p->schema->time_column = i;
    }
}

bool type_is_event_time(struct type t)
{
    return type_is_time(t) || (type_is_integer(t) && t.id >= T_INT32);
}

void node_settle(struct plan *p)
{
    bool same = true, single = p->nin > 0, bounded = true;
    for (int i = 0; i < p->nin; i++) {
        const struct plan_input *in = &p->in[i];
        same &= in->dist == DIST_SAME;
        single &= in->dist == DIST_ONE || (in->dist == DIST_SAME && in->node->single);
        bounded &= in->node->bounded;
        if (in->node->stream > p->stream && same) p->stream = in->node->stream;
    }
    p->single = single;
    p->bounded = bounded;
}

static struct plan *unary(struct arena *a, enum plan_kind kind, struct plan *in, enum dist dist)
{
    struct plan *p = node_new(a, kind, 1, in->schema->n);
    p->in[0] = (struct plan_input){.node = in, .dist = dist};
    node_copy_columns(p, 0, in);
    p->schema->time_column = in->schema->time_column;
    node_settle(p);
    return p;
}

struct plan *node_object(struct arena *a, const struct object *o)
{
    struct plan *p = node_new(a, o->kind == OBJECT_SOURCE || o->declared_only ? PLAN_SOURCE : PLAN_STREAM, 0, o->schema->n);
    p->object = o;
    int time = o->schema->time_column;
    p->bounded = o->bounded;
    if (o->plan) {
        node_copy_columns(p, 0, o->plan);
        p->bounded = o->plan->bounded;
        p->stream = o->plan->stream;
        p->single = o->plan->single;
    } else {
        for (int i = 0; i < p->schema->n; i++) p->schema->fields[i] = o->schema->fields[i];
        if (time >= 0) {
            p->lags[time] = 0;
            p->is_ms[time] = type_is_integer(o->schema->fields[time].type);
            p->roles[time] = ROLE_EVENT_TIME;
        }
    }
    p->schema->time_column = time;
    return p;
}

struct plan *node_values(struct arena *a, int nrows, int ncols)
{
    struct plan *p = node_new(a, PLAN_VALUES, 0, ncols);
    p->nrows = nrows;
    p->values = arena_alloc(a, sizeof *p->values * (size_t)nrows * (size_t)ncols);
    p->bounded = p->single = true;
    return p;
}

struct plan *node_filter(struct arena *a, struct plan *in, struct expr *condition)
{
    struct plan *p = unary(a, PLAN_FILTER, in, DIST_SAME);
    p->nexprs = 1;
    p->exprs = arena_alloc(a, sizeof *p->exprs);
    p->exprs[0] = condition;
    return p;
}

static bool is_one_unit(const struct expr *e, bool is_ms)
{
    if (e->kind != EXPR_CONST || e->value.is_null) return false;
    const struct interval *iv = &e->value.iv;
    if (e->type.id == T_INTERVAL) return !iv->months && !iv->days && iv->us == time_unit(is_ms);
    return is_ms && type_is_integer(e->type) && e->value.i == 1;
}

/* The column of `in` that e is, looking through window_end - 1 unit; -1: none. */
static int time_image(const struct plan *in, const struct expr *e, bool *less_one)
{
    *less_one = false;
    if (e->kind == EXPR_COLUMN) return e->column;
    if (e->kind != EXPR_CALL || e->nargs != 2 || strcmp(e->name, "-") || e->args[0]->kind != EXPR_COLUMN) return -1;
    int c = e->args[0]->column;
    *less_one = in->roles[c] == ROLE_WINDOW_END && is_one_unit(e->args[1], in->is_ms[c]);
    return *less_one ? c : -1;
}

struct plan *node_project(struct arena *a, struct plan *in, int n, struct expr **exprs, const char *const *names)
{
    struct plan *p = node_new(a, PLAN_PROJECT, 1, n);
    p->in[0] = (struct plan_input){.node = in, .dist = DIST_SAME};
    p->nexprs = n;
    p->exprs = exprs;
    int kept = -1;
    for (int i = 0; i < n; i++) {
        bool less_one;
        int c = time_image(in, exprs[i], &less_one);
        p->schema->fields[i] = (struct field){.name = arena_strdup(a, names[i]), .type = exprs[i]->type};
        if (c < 0) continue;
        p->lags[i] = in->lags[c];
        p->is_ms[i] = in->is_ms[c];
        p->roles[i] = less_one ? ROLE_WINDOW_TIME : in->roles[c];
        p->schema->fields[i].not_null = in->schema->fields[c].not_null;
        if (!less_one && kept < 0 && c == in->schema->time_column) kept = i;
    }
    node_pick_time(p);
    if (kept >= 0) p->schema->time_column = kept;
    node_settle(p);
    return p;
}

static void forget_lags(struct plan *p)
{
    for (int i = 0; i < p->schema->n; i++) p->lags[i] = LAG_NONE;
}

struct plan *node_sort(struct arena *a, struct plan *in, int norder, struct plan_order *order, int64_t limit,
                       int64_t offset)
{
    struct plan *p = unary(a, PLAN_SORT, in, DIST_ONE);
    p->norder = norder;
    p->order = order;
    p->limit = limit;
    p->offset = offset;
    forget_lags(p);
    return p;
}

struct plan *node_limit(struct arena *a, struct plan *in, int64_t limit, int64_t offset)
{
    struct plan *p = unary(a, PLAN_LIMIT, in, DIST_ONE);
    p->limit = limit;
    p->offset = offset;
    p->bounded |= limit >= 0;
    return p;
}

const char *node_free_name(struct arena *a, const struct schema *s, int n, const char *name)
{
    const char *free = name;
    for (int i = 0, k = 2; i < n; i++)
        if (!strcmp(s->fields[i].name, free)) free = arena_printf(a, "%s_%d", name, k++), i = -1;
    return free;
}

void node_join_columns(struct arena *a, struct plan *p)
{
    const struct plan *left = p->in[0].node, *right = p->in[1].node;
    p->schema->n = left->schema->n + right->schema->n;
    p->schema->time_column = left->schema->time_column;
    node_copy_columns(p, 0, left);
    node_copy_columns(p, left->schema->n, right);
    for (int i = left->schema->n; i < p->schema->n; i++)
        p->schema->fields[i].name = node_free_name(a, p->schema, i, p->schema->fields[i].name);
    forget_lags(p);
}

struct plan *node_join(struct arena *a, struct plan *left, struct plan *right)
{
    struct plan *p = node_new(a, PLAN_JOIN, 2, left->schema->n + right->schema->n);
    p->in[0] = (struct plan_input){.node = left, .dist = DIST_HASH};
    p->in[1] = (struct plan_input){.node = right, .dist = DIST_HASH};
    node_join_columns(a, p);
    node_settle(p);
    return p;
}

/* Column c of a union is the time that all arms have there, as late as the latest of them. */
static void meet_times(struct plan *p, const struct plan *arm)
{
    for (int c = 0; c < p->schema->n; c++) {
        p->schema->fields[c].not_null &= arm->schema->fields[c].not_null;
        if (p->is_ms[c] != arm->is_ms[c] || arm->lags[c] == LAG_NONE || p->lags[c] == LAG_NONE)
            p->lags[c] = LAG_NONE, p->roles[c] = ROLE_NONE;
        else if (arm->lags[c] > p->lags[c])
            p->lags[c] = arm->lags[c];
        if (p->roles[c] != arm->roles[c] && p->roles[c]) p->roles[c] = ROLE_EVENT_TIME;
    }
    if (p->schema->time_column != arm->schema->time_column) p->schema->time_column = -1;
}

struct plan *node_union(struct arena *a, int n, struct plan **arms)
{
    /* A node has few inputs: of many arms the first ones meet below. */
    while (n > PLAN_INPUTS_MAX) {
        struct plan *first = node_union(a, PLAN_INPUTS_MAX, arms);
        arms += PLAN_INPUTS_MAX - 1, n -= PLAN_INPUTS_MAX - 1;
        arms[0] = first;
    }
    struct plan *p = node_new(a, PLAN_UNION, n, arms[0]->schema->n);
    node_copy_columns(p, 0, arms[0]);
    p->schema->time_column = arms[0]->schema->time_column;
    for (int i = 0; i < n; i++) {
        p->in[i] = (struct plan_input){.node = arms[i], .dist = DIST_SAME};
        meet_times(p, arms[i]);
    }
    if (p->schema->time_column < 0) node_pick_time(p);
    node_settle(p);
    return p;
}

/* ---- conditions and columns --------------------------------------------------------------------- */

static void push(struct arena *a, struct conjuncts *c, struct expr *e)
{
    if (c->n == c->cap) {
        struct expr **at = arena_alloc(a, sizeof *at * (size_t)(c->cap * 2 + 8));
        if (c->n) memcpy(at, c->at, sizeof *at * (size_t)c->n);
        c->at = at;
        c->cap = c->cap * 2 + 8;
    }
    c->at[c->n++] = e;
}

void conjuncts_add(struct arena *a, struct conjuncts *c, struct expr *e)
{
    if (e->kind != EXPR_AND) {
        push(a, c, e);
        return;
    }
    for (int i = 0; i < e->nargs; i++) conjuncts_add(a, c, e->args[i]);
}

enum status conjuncts_join(struct arena *a, const struct conjuncts *c, struct expr **out, struct err *err)
{
    struct expr *e = c->n ? c->at[0] : NULL;
    for (int i = 1; i < c->n; i++) {
        struct expr *pair[] = {e, c->at[i]};
        TRY(expr_call(a, "and", pair, 2, e->pos, &e, err));
    }
    *out = e;
    return ST_OK;
}

static void mark(void *ctx, const struct expr *e)
{
    bool *used = ctx;
    if (e->kind == EXPR_COLUMN) used[e->column] = true;
}
void columns_mark(const struct expr *e, bool *used)
{
    expr_walk(e, mark, used);
}

struct range {
    int from, to;
    bool any, outside;
};
static void in_range(void *ctx, const struct expr *e)
{
    struct range *r = ctx;
    if (e->kind != EXPR_COLUMN) return;
    r->any = true;
    r->outside |= e->column < r->from || e->column >= r->to;
}
bool columns_within(const struct expr *e, int from, int to)
{
    struct range r = {.from = from, .to = to};
    expr_walk(e, in_range, &r);
    return r.any && !r.outside;
}

struct expr *columns_shift(struct arena *a, const struct expr *e, int ncols, int delta)
{
    int *map = arena_alloc(a, sizeof *map * (size_t)ncols);
    for (int i = 0; i < ncols; i++) map[i] = i + delta;
    return expr_remap(a, e, map);
}
