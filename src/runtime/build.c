/* Building: from plans to nodes and instances, readers and outlets.
 *
 * Sharing. Within a change a source has one reader and a stream one node. A later change shares a pushed source's reader and a
 * running stream's node (from now on); a source with a connector is read anew from its start. Equal filters and projections of
 * one node are one node, whenever they come: they keep no state. A node has one outlet, which its sinks share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

#include <stdio.h>

/* ---- nodes ----------------------------------------------------------------------------------------------------------- */

static struct component *new_component(struct runtime *rt)
{
    struct component *c = mem_zalloc(sizeof *c);
    c->next = rt->components;
    rt->components = c;
    return c;
}

static struct node *new_node(struct change *ch, const struct plan *p, int ninst)
{
    struct runtime *rt = ch->rt;
    struct node *n = mem_zalloc(sizeof *n);
    n->plan = p;
    n->fresh = true;
    n->ninst = ninst;
    n->inst = mem_zalloc(sizeof(struct inst *) * (size_t)ninst);
    n->on_error = rt->cfg.on_error;
    *ch->node_tail = n;
    ch->node_tail = &n->next;
    return n;
}

static void make_instances(struct change *ch, struct node *n)
{
    for (int i = 0; i < n->ninst; i++) n->inst[i] = inst_new(n, ch->rt->workers[i], i);
}

static bool *all_wanted(struct change *ch, int n)
{
    bool *w = arena_alloc(ch->arena, (size_t)n + 1);
    memset(w, 1, (size_t)n);
    return w;
}

/* The columns of a source that its reader has to give. */
static struct schema *wanted_schema(struct change *ch, const struct use *u)
{
    const struct schema *full = u->object->schema;
    const bool *wanted = !u->object->connector || ch->rt->cfg.replay ? all_wanted(ch, full->n) : u->wanted;
    struct schema *s = schema_new(ch->arena, full->n);
    s->n = 0;
    for (int i = 0; i < full->n; i++) {
        if (!wanted[i] && i != full->time_column) continue;
        if (i == full->time_column) s->time_column = s->n;
        s->fields[s->n++] = full->fields[i];
    }
    return s;
}

static struct run_reader *reader_of_source(struct runtime *rt, uint64_t id)
{
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (r->source_id == id && !r->left && reader_pushed(r->reader) && node_runs(r->scan)) return r;
    return NULL;
}

/* The node of a reader's rows, with the reader when none can be shared. */
static enum status scan_node(struct change *ch, struct use *u, struct node **out, struct err *err)
{
    struct runtime *rt = ch->rt;
    if (u->node) return *out = u->node, ST_OK;
    struct run_reader *running = u->object ? reader_of_source(rt, u->object->id) : NULL;
    if (running) return *out = u->node = running->scan, ST_OK;
    struct component *c = new_component(rt);
    const struct schema *schema = u->values ? u->values->schema : wanted_schema(ch, u);
    struct reader *r = reader_new(rt, u->object, schema, u->values, c, err);
    if (!r) return err && err->code ? err->code : E_INTERNAL;
    struct run_reader *rr = mem_zalloc(sizeof *rr);
    rr->reader = r;
    rr->source_id = u->object ? u->object->id : 0;
    rr->next = ch->readers;
    ch->readers = rr;
    struct node *n = new_node(ch, NULL, rt->nworkers);
    n->component = c;
    n->reader = r;
    n->arena = arena_new();
    n->schema = schema_copy(n->arena, reader_schema(r)); /* another reader may come */
    snprintf(n->name, sizeof n->name, "%.63s", u->object ? u->object->name : "values");
    rr->scan = n;
    make_instances(ch, n);
    *out = u->node = n;
    return ST_OK;
}

/* ---- sharing nodes --------------------------------------------------------------------------------------------------- */

static bool same_names(const struct schema *a, const struct schema *b)
{
    if (a->n != b->n || a->time_column != b->time_column) return false;
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->fields[i].name, b->fields[i].name) != 0) return false;
    return true;
}

static bool same_plan(const struct plan *a, const struct plan *b)
{
    if (a->kind != b->kind || a->nexprs != b->nexprs || !same_names(a->schema, b->schema)) return false;
    for (int i = 0; i < a->nexprs; i++)
        if (!expr_same(a->exprs[i], b->exprs[i])) return false;
    return true;
}

struct wish {
    const struct plan *plan;
    struct node *from;
    const int *pick;
    enum on_error on_error;
};

static bool fulfils(const struct node *n, const struct wish *w)
{
    if (!n->plan || n->is_stream || n->is_top || n->nin != 1 || n->in[0].from != w->from || n->on_error != w->on_error || !n->pick != !w->pick) return false;
    if (!w->pick) return same_plan(n->plan, w->plan);
    return same_names(n->schema, w->plan->schema) && !memcmp(n->pick, w->pick, sizeof *w->pick * (size_t)n->schema->n);
}

/* A node without state that gives just this. */
static struct node *find_equal(struct change *ch, const struct wish *w)
{
    for (struct node *n = ch->nodes; n; n = n->next)
        if (fulfils(n, w)) return n;
    for (struct node *n = ch->rt->nodes; n; n = n->next)
        if (node_runs(n) && fulfils(n, w)) return n;
    return NULL;
}

/* A view of the reader's columns that a plan names. */
static struct node *pick_node(struct change *ch, const struct plan *p, const struct root *root, struct node *scan)
{
    int *map = arena_alloc(ch->arena, sizeof *map * (size_t)(p->schema->n + 1));
    bool same = p->schema->n == scan->schema->n;
    for (int i = 0; i < p->schema->n; i++) {
        map[i] = schema_find(scan->schema, p->schema->fields[i].name);
        same &= map[i] == i;
    }
    if (same) return scan;
    struct node *n = find_equal(ch, &(struct wish){p, scan, map, ch->rt->cfg.on_error});
    if (n) return n;
    n = new_node(ch, p, scan->ninst);
    int *pick = mem_alloc(sizeof *pick * (size_t)(p->schema->n + 1));
    memcpy(pick, map, sizeof *pick * (size_t)p->schema->n);
    n->pick = pick;
    n->owner = root->owner;
    if ((n->keep = root->keep)) root->keep->refs++;
    n->schema = p->schema;
    n->component = scan->component;
    n->nin = 1;
    n->in[0] = (struct node_input){.from = scan};
    n->alike = node_hears_alike(n);
    scan->users++;
    snprintf(n->name, sizeof n->name, "pick");
    make_instances(ch, n);
    return n;
}

enum status build_stream(struct change *ch, const struct object *o, struct node **out, struct err *err)
{
    struct use *u = use_find(ch, o);
    if (!u->node) {
        struct root own = {.on_error = ch->rt->cfg.on_error, .owner = o->id, .whose = o->name, .top = o->plan};
        struct node *top;
        TRY(build_plan(ch, o->plan, &own, &top, err));
        struct node *n = new_node(ch, NULL, top->ninst);
        n->plan = o->plan;
        n->is_stream = true;
        n->stream_id = n->owner = o->id;
        n->schema = o->schema;
        n->component = top->component;
        n->nin = 1;
        n->in[0] = (struct node_input){.from = top};
        top->users++;
        top->is_top = true;
        n->alike = node_hears_alike(n);
        snprintf(n->name, sizeof n->name, "%.63s", o->name);
        make_instances(ch, n);
        u->node = n;
    }
    *out = u->node;
    return ST_OK;
}

static int instances(struct change *ch, const struct plan *p, struct node *const *in)
{
    if (p->single) return 1;
    for (int i = 0; i < p->nin; i++)
        if (p->in[i].dist != DIST_SAME || in[i]->ninst > 1) return ch->rt->nworkers;
    return 1;
}

static struct account *budget_of(struct change *ch, uint64_t stream_id)
{
    lock_take(&ch->rt->lock);
    struct account *a = budget_account(ch->rt, stream_id);
    lock_give(&ch->rt->lock);
    return a;
}

enum status build_plan(struct change *ch, const struct plan *p, const struct root *root, struct node **out, struct err *err)
{
    struct keep *keep = root->keep;
    if (p->kind == PLAN_SOURCE) {
        struct node *scan;
        TRY(scan_node(ch, use_find(ch, p->object), &scan, err));
        return *out = pick_node(ch, p, root, scan), ST_OK;
    }
    if (p->kind == PLAN_STREAM) return build_stream(ch, p->object, out, err);
    if (p->kind == PLAN_VALUES) {
        struct use *u = use_add(ch, NULL);
        u->values = p;
        TRY(scan_node(ch, u, out, err));
        (*out)->owner = root->owner;
        if (keep && !(*out)->keep) (*out)->keep = keep, keep->refs++;
        return ST_OK;
    }
    struct node *in[OP_PORTS];
    if (p->nin > OP_PORTS) return err_set(err, E_LIMIT, "more than %d inputs of one operator", OP_PORTS);
    for (int i = 0; i < p->nin; i++) TRY(build_plan(ch, p->in[i].node, root, &in[i], err));
    bool stateless = (p->kind == PLAN_FILTER || p->kind == PLAN_PROJECT) && p != root->top;
    struct node *n = stateless ? find_equal(ch, &(struct wish){p, in[0], NULL, root->on_error}) : NULL;
    if (n) return *out = n, ST_OK;
    n = new_node(ch, p, instances(ch, p, in));
    n->class = operator_of(p->kind);
    n->id = p->id;
    n->schema = p->schema;
    n->nin = p->nin;
    n->component = in[0]->component;
    n->owner = root->owner;
    n->whose = root->whose;
    if (root->top) n->account = budget_of(ch, root->owner);
    n->keep = keep;
    n->on_error = root->on_error;
    if (keep) keep->refs++;
    snprintf(n->name, sizeof n->name, "%s", n->class->name);
    for (int i = 0; i < p->nin; i++) {
        n->in[i] = (struct node_input){in[i], OUT_MAIN, &p->in[i]};
        in[i]->users++;
    }
    n->alike = node_hears_alike(n);
    make_instances(ch, n);
    *out = n;
    return ST_OK;
}

/* The outlet of a node: one of this change, or one that runs and is held for it. */
struct outlet *build_outlet(struct change *ch, struct node *n, bool *runs)
{
    *runs = false;
    for (struct run_outlet *o = ch->outlets; o; o = o->next)
        if (outlet_node(o->outlet) == n) return o->outlet;
    for (struct run_outlet *o = ch->rt->outlets; o; o = o->next)
        if (!o->detached && outlet_node(o->outlet) == n && outlet_hold(o->outlet)) return *runs = true, o->outlet;
    struct run_outlet *o = mem_zalloc(sizeof *o);
    o->outlet = outlet_new(ch->rt, n, n->component);
    o->next = ch->outlets;
    ch->outlets = o;
    n->users++;
    return o->outlet;
}
