/* What follows binding: filters go down, columns that nobody needs go away, ids are given.
 *
 * Nodes are changed in place: they belong to this statement alone (a stream that is read is a leaf here, its own plan
 * is not touched). A node's columns after pruning are told by a map from old to new. SPDX-License-Identifier:
 * Apache-2.0 */
#include "base/text.h"
#include "plan/node.h"

#include <stdio.h>

/* ---- filters ------------------------------------------------------------------------------------------ */

static bool is_bool_const(const struct expr *e, bool value)
{
    return e->kind == EXPR_CONST && e->type.id == T_BOOL && !e->value.is_null && e->value.b == value;
}

static bool is_never(const struct expr *e)
{
    return is_bool_const(e, false) || (e->kind == EXPR_CONST && e->value.is_null);
}

/* Through a projection goes what looks at plain columns of it only: nothing is computed twice, and an expression that
 * may fail is not asked for rows it was not asked for before. */
static bool sees_plain(const struct expr *e, const struct plan *project)
{
    bool *used = mem_zalloc((size_t)project->nexprs + 1), plain = !e->is_volatile, any = false;
    columns_mark(e, used);
    for (int i = 0; i < project->nexprs; i++)
        if (used[i]) any = true, plain &= project->exprs[i]->kind == EXPR_COLUMN;
    mem_free(used);
    return plain && any;
}

static struct expr *below_project(struct arena *a, const struct expr *e, const struct plan *project)
{
    int *map = arena_alloc(a, sizeof *map * (size_t)project->nexprs);
    for (int i = 0; i < project->nexprs; i++)
        map[i] = project->exprs[i]->kind == EXPR_COLUMN ? project->exprs[i]->column : -1;
    return expr_remap(a, e, map);
}

static enum status filter_over(struct arena *a, struct plan **p, struct conjuncts *c, struct err *err)
{
    struct expr *all;
    TRY(conjuncts_join(a, c, &all, err));
    if (all) *p = node_filter(a, *p, all);
    return ST_OK;
}

static enum status push(struct arena *a, struct plan **p, struct conjuncts *c, struct err *err);

static enum status push_project(struct arena *a, struct plan *project, struct conjuncts *c, struct err *err)
{
    struct conjuncts below = {0};
    int kept = 0;
    for (int i = 0; i < c->n; i++) {
        if (sees_plain(c->at[i], project))
            conjuncts_add(a, &below, below_project(a, c->at[i], project));
        else
            c->at[kept++] = c->at[i];
    }
    c->n = kept;
    return push(a, &project->in[0].node, &below, err);
}

static enum status push_union(struct arena *a, struct plan *u, struct conjuncts *c, struct err *err)
{
    for (int i = 0; i < u->nin; i++) {
        struct conjuncts arm = {0};
        for (int k = 0; k < c->n; k++) conjuncts_add(a, &arm, c->at[k]);
        TRY(push(a, &u->in[i].node, &arm, err));
    }
    c->n = 0;
    return ST_OK;
}

static enum status push_below_all(struct arena *a, struct plan *p, struct err *err)
{
    for (int i = 0; i < p->nin; i++) {
        struct conjuncts none = {0};
        TRY(push(a, &p->in[i].node, &none, err));
    }
    return ST_OK;
}

/* Takes the conditions c as far down from *p as they go. */
static enum status push(struct arena *a, struct plan **p, struct conjuncts *c, struct err *err)
{
    while ((*p)->kind == PLAN_FILTER) {
        struct conjuncts mine = {0};
        conjuncts_add(a, &mine, (*p)->exprs[0]);
        for (int i = 0; i < c->n; i++) conjuncts_add(a, &mine, c->at[i]);
        *c = mine;
        *p = (*p)->in[0].node;
    }
    if ((*p)->kind == PLAN_PROJECT)
        TRY(push_project(a, *p, c, err));
    else if ((*p)->kind == PLAN_UNION)
        TRY(push_union(a, *p, c, err));
    else
        TRY(push_below_all(a, *p, err));
    int kept = 0;
    for (int i = 0; i < c->n; i++)
        if (!is_bool_const(c->at[i], true)) c->at[kept++] = c->at[i];
    c->n = kept;
    return filter_over(a, p, c, err);
}

/* A filter that lets nothing through needs no bounded input at all. */
static void cut_never(struct arena *a, struct plan **p)
{
    for (int i = 0; i < (*p)->nin; i++) cut_never(a, &(*p)->in[i].node);
    if ((*p)->kind != PLAN_FILTER || !(*p)->bounded || !is_never((*p)->exprs[0])) return;
    struct plan *none = node_values(a, 0, (*p)->schema->n);
    node_copy_columns(none, 0, *p);
    none->schema->time_column = (*p)->schema->time_column;
    *p = none;
}

/* ---- pruning ------------------------------------------------------------------------------------------- */

static int *prune(struct arena *a, struct plan *p, bool *need);

static bool *needs_none(struct arena *a, const struct plan *p)
{
    return arena_alloc(a, (size_t)p->schema->n + 1);
}

static int *map_all(struct arena *a, int n)
{
    int *map = arena_alloc(a, sizeof *map * (size_t)(n + 1));
    for (int i = 0; i < n; i++) map[i] = i;
    return map;
}

/* Keeps the columns that are needed; returns the map. */
static int *keep_columns(struct arena *a, struct plan *p, const bool *need)
{
    int n = p->schema->n, kept = 0, time = p->schema->time_column, *map = arena_alloc(a, sizeof *map * (size_t)(n + 1));
    for (int i = 0; i < n; i++) {
        map[i] = need[i] ? kept : -1;
        if (!need[i]) continue;
        p->schema->fields[kept] = p->schema->fields[i];
        p->lags[kept] = p->lags[i];
        p->is_ms[kept] = p->is_ms[i];
        p->roles[kept] = p->roles[i];
        kept++;
    }
    p->schema->n = kept;
    p->schema->time_column = time >= 0 ? map[time] : -1;
    if (time >= 0 && map[time] < 0) node_pick_time(p);
    return map;
}

static void remap_all(struct arena *a, struct expr **exprs, int n, const int *map)
{
    for (int i = 0; i < n; i++)
        if (exprs[i]) exprs[i] = expr_remap(a, exprs[i], map);
}

/* Takes over what is left of the input's columns: for nodes that pass their input's rows on. */
static int *follow(struct plan *p, int *map)
{
    const struct plan *in = p->in[0].node;
    int64_t *lags = p->kind == PLAN_SORT ? NULL : in->lags;
    p->schema->n = in->schema->n;
    p->schema->time_column = in->schema->time_column;
    for (int i = 0; i < in->schema->n; i++) {
        p->schema->fields[i] = in->schema->fields[i];
        p->lags[i] = lags ? lags[i] : LAG_NONE;
        p->is_ms[i] = in->is_ms[i];
        p->roles[i] = in->roles[i];
    }
    return map;
}

/* A source gives its event time always, the watermark is made of it, and at least one column. A connector that makes
 * columns makes all: its options speak of them, and what it makes must not depend on who reads. */
static int *prune_source(struct arena *a, struct plan *p, bool *need)
{
    const struct connector_info *connector = p->object->connector;
    bool any = false;
    for (int i = 0; i < p->schema->n && connector && !connector->is_bytes; i++) need[i] = true;
    if (p->schema->time_column >= 0) need[p->schema->time_column] = true;
    for (int i = 0; i < p->schema->n; i++) any |= need[i];
    for (int i = 0; i < p->schema->n && !any; i++)
        if (!type_is_text(p->schema->fields[i].type)) any = need[i] = true;
    if (!any && p->schema->n) need[0] = true;
    return keep_columns(a, p, need);
}

static int *prune_values(struct arena *a, struct plan *p, const bool *need)
{
    int n = p->schema->n, *map = keep_columns(a, p, need);
    for (int r = 0; r < p->nrows; r++)
        for (int c = 0; c < n; c++)
            if (map[c] >= 0) p->values[r * p->schema->n + map[c]] = p->values[r * n + c];
    return map;
}

static int *prune_project(struct arena *a, struct plan *p, const bool *need)
{
    bool *below = needs_none(a, p->in[0].node);
    int *map = keep_columns(a, p, need);
    for (int i = 0; i < p->nexprs; i++)
        if (map[i] >= 0) p->exprs[map[i]] = p->exprs[i];
    p->nexprs = p->schema->n;
    for (int i = 0; i < p->nexprs; i++) columns_mark(p->exprs[i], below);
    remap_all(a, p->exprs, p->nexprs, prune(a, p->in[0].node, below));
    return map;
}

static int *prune_filter(struct arena *a, struct plan *p, bool *need)
{
    columns_mark(p->exprs[0], need);
    int *map = prune(a, p->in[0].node, need);
    remap_all(a, p->exprs, 1, map);
    return follow(p, map);
}

static int *prune_sort(struct arena *a, struct plan *p, bool *need)
{
    for (int i = 0; i < p->norder; i++) columns_mark(p->order[i].expr, need);
    int *map = prune(a, p->in[0].node, need);
    for (int i = 0; i < p->norder; i++) p->order[i].expr = expr_remap(a, p->order[i].expr, map);
    return follow(p, map);
}

static void agg_mark(const struct agg_call *c, bool *need)
{
    for (int i = 0; i < c->nargs; i++) columns_mark(c->args[i], need);
    if (c->filter) columns_mark(c->filter, need);
}

static struct agg_call *agg_remap(struct arena *a, const struct agg_call *c, const int *map)
{
    struct agg_call *copy = arena_alloc(a, sizeof *copy);
    *copy = *c;
    remap_all(a, copy->args, copy->nargs, map);
    if (copy->filter) copy->filter = expr_remap(a, copy->filter, map);
    return copy;
}

static int *prune_agg(struct arena *a, struct plan *p)
{
    bool *need = needs_none(a, p->in[0].node);
    struct expr **times[] = {&p->time, &p->window_end, &p->order_time};
    bool needs_time = p->window != WINDOW_NONE;
    for (int i = 0; i < p->naggs; i++) needs_time |= p->aggs[i]->needs_time;
    if (!needs_time) p->time = NULL;
    for (int i = 0; i < p->nkeys; i++) columns_mark(p->keys[i], need);
    for (int i = 0; i < p->naggs; i++) agg_mark(p->aggs[i], need);
    for (size_t i = 0; i < countof(times); i++)
        if (*times[i]) columns_mark(*times[i], need);
    int *map = prune(a, p->in[0].node, need);
    remap_all(a, p->keys, p->nkeys, map);
    for (int i = 0; i < p->naggs; i++) p->aggs[i] = agg_remap(a, p->aggs[i], map);
    for (size_t i = 0; i < countof(times); i++)
        if (*times[i]) *times[i] = expr_remap(a, *times[i], map);
    return map_all(a, p->schema->n);
}

static int *prune_join(struct arena *a, struct plan *p, bool *need)
{
    struct plan *l = p->in[0].node, *r = p->in[1].node;
    int nleft = l->schema->n, nright = r->schema->n, *map = arena_alloc(a, sizeof *map * (size_t)(nleft + nright + 1));
    if (p->nexprs) columns_mark(p->exprs[0], need);
    for (int i = 0; i < p->njoin_keys; i++)
        columns_mark(p->left_keys[i], need), columns_mark(p->right_keys[i], need + nleft);
    int *lmap = prune(a, l, need), *rmap = prune(a, r, need + nleft);
    for (int i = 0; i < nleft; i++) map[i] = lmap[i];
    for (int i = 0; i < nright; i++) map[nleft + i] = rmap[i] < 0 ? -1 : rmap[i] + l->schema->n;
    remap_all(a, p->left_keys, p->njoin_keys, lmap);
    remap_all(a, p->right_keys, p->njoin_keys, rmap);
    remap_all(a, p->exprs, p->nexprs, map);
    node_join_columns(a, p);
    return map;
}

/* An arm may keep more than is asked for; the arms must stay alike. */
static void trim_arm(struct arena *a, struct plan_input *in, const int *map, const bool *need, int n)
{
    struct expr **exprs = arena_alloc(a, sizeof *exprs * (size_t)(n + 1));
    const char **names = arena_alloc(a, sizeof *names * (size_t)(n + 1));
    int kept = 0;
    bool exact = true;
    for (int i = 0; i < n; i++) {
        if (!need[i]) continue;
        const struct field *f = &in->node->schema->fields[map[i]];
        exact &= map[i] == kept;
        names[kept] = f->name;
        exprs[kept++] = expr_column(a, map[i], f->type, NO_POS);
    }
    if (!exact || kept != in->node->schema->n) in->node = node_project(a, in->node, kept, exprs, names);
}

static int *prune_union(struct arena *a, struct plan *p, const bool *need)
{
    int n = p->schema->n;
    for (int i = 0; i < p->nin; i++) {
        bool *arm = arena_alloc(a, (size_t)n + 1);
        memcpy(arm, need, (size_t)n);
        const int *map = prune(a, p->in[i].node, arm);
        trim_arm(a, &p->in[i], map, need, n);
    }
    return keep_columns(a, p, need);
}

/* Leaves of p's columns those in `need` (which may grow) and says where they are now. */
static int *prune(struct arena *a, struct plan *p, bool *need)
{
    switch (p->kind) {
    case PLAN_SOURCE: return prune_source(a, p, need);
    case PLAN_STREAM: return map_all(a, p->schema->n);
    case PLAN_VALUES: return prune_values(a, p, need);
    case PLAN_FILTER: return prune_filter(a, p, need);
    case PLAN_PROJECT: return prune_project(a, p, need);
    case PLAN_AGG: return prune_agg(a, p);
    case PLAN_SORT: return prune_sort(a, p, need);
    case PLAN_LIMIT: return follow(p, prune(a, p->in[0].node, need));
    case PLAN_JOIN: return prune_join(a, p, need);
    case PLAN_UNION: return prune_union(a, p, need);
    }
    return map_all(a, p->schema->n);
}

/* ---- projections that change nothing ---------------------------------------------------------------------- */

static bool is_identity(const struct plan *p)
{
    const struct plan *in = p->nin ? p->in[0].node : NULL;
    if (p->kind != PLAN_PROJECT || p->nexprs != in->schema->n) return false;
    for (int i = 0; i < p->nexprs; i++)
        if (p->exprs[i]->kind != EXPR_COLUMN || p->exprs[i]->column != i ||
            strcmp(p->schema->fields[i].name, in->schema->fields[i].name))
            return false;
    return p->schema->time_column == in->schema->time_column;
}

/* A projection of plain columns needs no node of its own below another one. */
static bool is_plain(const struct plan *p)
{
    if (p->kind != PLAN_PROJECT) return false;
    for (int i = 0; i < p->nexprs; i++)
        if (p->exprs[i]->kind != EXPR_COLUMN) return false;
    return true;
}

/* Of two projections the upper one only picks columns, and computed ones not twice: the lower one can do both. */
static bool only_picks(const struct plan *p, const struct plan *in)
{
    if (!is_plain(p) || in->kind != PLAN_PROJECT) return false;
    for (int i = 0; i < p->nexprs; i++)
        for (int k = 0; k < i; k++)
            if (p->exprs[i]->column == p->exprs[k]->column && in->exprs[p->exprs[i]->column]->kind != EXPR_COLUMN)
                return false;
    return true;
}

static void merge_projects(struct arena *a, struct plan **top)
{
    struct plan *p = *top, *in = p->nin == 1 ? p->in[0].node : NULL;
    if (p->kind == PLAN_PROJECT && in->kind == PLAN_PROJECT && (is_plain(in) || only_picks(p, in))) {
        for (int i = 0; i < p->nexprs; i++)
            p->exprs[i] = is_plain(in) ? below_project(a, p->exprs[i], in) : in->exprs[p->exprs[i]->column];
        p->in[0].node = in->in[0].node;
        merge_projects(a, top);
        return;
    }
    for (int i = 0; i < p->nin; i++) merge_projects(a, &p->in[i].node);
    if (is_identity(p)) *top = p->in[0].node;
}

/* ---- ids ------------------------------------------------------------------------------------------------------ */

static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3;
    return h;
}

/* A node's path: whose plan it is in, then from the root each node's text and which input it is. */
static void give_ids(struct plan *p, uint64_t above, int input)
{
    struct text line = {0};
    char place[16];
    int n = snprintf(place, sizeof place, "/%d:", input);
    plan_explain_line(p, &line);
    p->id = fnv(fnv(above, place, (size_t)n), line.p, line.n);
    text_done(&line);
    for (int i = 0; i < p->nin; i++) give_ids(p->in[i].node, p->id, i);
}

enum status plan_rewrite(struct arena *a, struct plan **p, bool keep_root, const char *name, struct err *err)
{
    struct conjuncts none = {0};
    TRY(push(a, p, &none, err));
    cut_never(a, p);
    bool *need = needs_none(a, *p);
    memset(need, true, (size_t)(*p)->schema->n);
    prune(a, *p, need);
    struct plan *root = *p;
    merge_projects(a, p);
    if (keep_root && !(*p)->nin) *p = root;
    give_ids(*p, fnv(0xcbf29ce484222325, name, strlen(name)), 0);
    return ST_OK;
}
