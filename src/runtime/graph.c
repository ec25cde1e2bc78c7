/* The graph: from plans to nodes, instances and edges, and back.
 *
 * A change is prepared off the workers: readers are opened, nodes and instances made, links drawn. Links between new things
 * are final at once; a link from an instance that runs is handed to it as a link_change and made when the CHANGE
 * barrier passes it. So every consumer gets whole what follows the barrier, and nothing of what came before.
 *
 * Replacing. The rows of a named stream pass through a node of its own, on which its consumers hang, as a source's pass through
 * the node of its reader. OR REPLACE gives that node another input: at the CHANGE barrier the old one's channels end and the new
 * one's, whose first message is the barrier, take their place. Nothing behind the node notices.
 *
 * Sharing. Within a change a source has one reader and a stream one node. A later change shares a pushed source's reader and a
 * running stream's node (from now on); a source with a connector is read anew from its start. Equal filters and projections of
 * one node are one node, whenever they come: they keep no state. A node has one outlet, which its sinks share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector.h"
#include "runtime/run_int.h"

#include <stdio.h>

struct root {
    struct root *next;
    const struct plan *plan;
    const struct object *sink; /* or */
    struct sub **sub;
    struct sub_config sub_config;
    struct keep *keep;
    uint64_t owner;
    const char *whose;
    const struct plan *top; /* of a named stream: not shared */
    enum on_error on_error;
    struct run_sink *run_sink;
    bool joins; /* an outlet that runs */
    struct sub *made;
};

struct drop {
    struct drop *next;
    uint64_t sink_id;
    bool discard;
    struct run_sink *sink; /* NULL: it does not run */
};

/* A stream that is to keep history from now on. */
struct history {
    struct history *next;
    const struct object *stream;
    int64_t bytes;
    struct outlet *outlet;
    bool joins; /* an outlet that runs */
};

/* One that is to keep it no more. */
struct end_of_history {
    struct end_of_history *next;
    uint64_t stream_id;
    struct run_outlet *outlet; /* NULL: it does not run, or goes on for what replaces the stream */
};

/* A channel that a node which runs is to have from the barrier on. */
struct channel {
    struct channel *next;
    struct inst *to;
    struct edge *edge;
};

/* What takes the place of the input of node `at`: of a stream, or of a source's reader. */
struct swap {
    struct swap *next;
    const struct object *object;
    struct node *at, *top;         /* a stream's, and its new input */
    struct run_reader *old, *made; /* a source's */
    bool was_alike;
};

/* A source or stream that is replaced. */
struct replacement {
    struct replacement *next;
    uint64_t old_id;
    const struct object *object;
};

/* What a change does with one source or one stream. */
struct use {
    struct use *next;
    const struct object *object;
    const struct plan *values;
    bool *wanted; /* source: columns that some plan needs */
    struct node *node;
};

struct change {
    struct runtime *rt;
    struct arena *arena;
    struct root *roots, **root_tail;
    struct use *uses;
    struct node *nodes, **node_tail; /* new ones, inputs before their users */
    struct run_reader *readers;      /* new ones */
    struct run_outlet *outlets;      /* new ones */
    struct link_made *made;          /* link changes for instances that run */
    struct drop *drops;
    struct history *histories;
    struct end_of_history *ends;
    struct replacement *replacements;
    struct swap *swaps;
    struct channel *channels;
};

/* A link from an instance that runs. */
struct link_made {
    struct link_made *next;
    struct inst *inst;
    struct link *link;
};

struct touched {
    struct touched *next;
    struct component *component;
};

struct change *change_new(struct runtime *rt)
{
    struct change *ch = mem_zalloc(sizeof *ch);
    ch->rt = rt;
    ch->arena = arena_new();
    ch->root_tail = &ch->roots;
    ch->node_tail = &ch->nodes;
    return ch;
}

static struct root *add_root(struct change *ch)
{
    struct root *r = arena_alloc(ch->arena, sizeof *r);
    *ch->root_tail = r;
    ch->root_tail = &r->next;
    return r;
}

void change_sink(struct change *ch, const struct object *sink)
{
    struct root *r = add_root(ch);
    r->sink = sink;
    r->owner = sink->id;
    r->whose = sink->name;
    r->plan = sink->plan;
    r->on_error = ch->rt->cfg.on_error;
}

void change_sub(struct change *ch, const struct plan *plan, struct arena *own, enum on_error on_error, const struct sub_config *cfg,
                struct sub **out)
{
    struct root *r = add_root(ch);
    if (cfg) r->sub_config = *cfg;
    r->on_error = on_error;
    r->plan = plan;
    r->sub = out;
    *out = NULL;
    if (!own) return;
    r->keep = mem_zalloc(sizeof *r->keep);
    r->keep->refs = 1;
    r->keep->arena = own;
}

void change_drop_sink(struct change *ch, uint64_t sink_id, bool discard)
{
    struct drop *d = arena_alloc(ch->arena, sizeof *d);
    *d = (struct drop){ch->drops, sink_id, discard, NULL};
    ch->drops = d;
}

void change_history(struct change *ch, const struct object *stream, int64_t bytes)
{
    struct history *h = arena_alloc(ch->arena, sizeof *h);
    *h = (struct history){ch->histories, stream, bytes, NULL, false};
    ch->histories = h;
}

void change_drop_history(struct change *ch, uint64_t stream_id)
{
    struct end_of_history *e = arena_alloc(ch->arena, sizeof *e);
    *e = (struct end_of_history){ch->ends, stream_id, NULL};
    ch->ends = e;
}

void change_replace(struct change *ch, uint64_t old_id, const struct object *object)
{
    struct replacement *r = arena_alloc(ch->arena, sizeof *r);
    *r = (struct replacement){ch->replacements, old_id, object};
    ch->replacements = r;
}

void keep_unref(struct keep *k)
{
    if (!k || --k->refs) return;
    arena_free(k->arena);
    mem_free(k);
}

/* ---- what is needed ---------------------------------------------------------------------------------------------- */

static struct use *find_use(struct change *ch, const struct object *o)
{
    for (struct use *u = ch->uses; u; u = u->next)
        if (u->object == o) return u;
    return NULL;
}

static struct use *add_use(struct change *ch, const struct object *o)
{
    struct use *u = arena_alloc(ch->arena, sizeof *u);
    u->object = o;
    u->next = ch->uses;
    ch->uses = u;
    if (o) u->wanted = arena_alloc(ch->arena, sizeof *u->wanted * (size_t)(o->schema->n + 1));
    return u;
}

bool node_ended(const struct node *n)
{
    for (int i = 0; i < n->ninst; i++)
        if (!atomic_load(&n->inst[i]->answer.ended)) return false;
    return true;
}

/* New consumers may join: no instance has ended. */
static bool node_runs(const struct node *n)
{
    for (int i = 0; i < n->ninst; i++)
        if (atomic_load(&n->inst[i]->answer.ended)) return false;
    return !n->gone;
}

static struct node *running_stream(struct runtime *rt, uint64_t id)
{
    for (struct node *n = rt->nodes; n; n = n->next)
        if (n->stream_id == id && node_runs(n)) return n;
    return NULL;
}

static struct run_reader *running_pushed(struct runtime *rt, uint64_t id)
{
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (r->source_id == id && !r->left && reader_pushed(r->reader) && node_runs(r->scan)) return r;
    return NULL;
}

static void collect(struct change *ch, const struct plan *p);

static void collect_stream(struct change *ch, const struct object *o)
{
    if (find_use(ch, o)) return;
    struct use *u = add_use(ch, o);
    u->node = running_stream(ch->rt, o->id);
    if (!u->node) collect(ch, o->plan);
}

/* Notes the sources (with the columns wanted) and streams that a plan needs and that do not run. */
static void collect(struct change *ch, const struct plan *p)
{
    if (p->kind == PLAN_SOURCE) {
        struct use *u = find_use(ch, p->object);
        if (!u) u = add_use(ch, p->object);
        for (int i = 0; i < p->schema->n; i++) u->wanted[schema_find(p->object->schema, p->schema->fields[i].name)] = true;
    } else if (p->kind == PLAN_STREAM) {
        collect_stream(ch, p->object);
    }
    for (int i = 0; i < p->nin; i++) collect(ch, p->in[i].node);
}

/* ---- nodes ----------------------------------------------------------------------------------------------------------- */

static struct component *new_component(struct runtime *rt)
{
    struct component *c = mem_zalloc(sizeof *c);
    c->next = rt->components;
    rt->components = c;
    return c;
}

static void join(struct component *a, struct component *b)
{
    a = component_of(a), b = component_of(b);
    if (a == b) return;
    if (atomic_load(&b->paused)) atomic_store(&a->paused, true);
    if (atomic_load(&b->starved)) note_write(&a->hunger, b->hunger.text), atomic_store(&a->starved, true);
    atomic_store(&b->joined, a);
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
    for (int i = 0; i < ninst; i++) n->inst[i] = NULL;
    return n;
}

static enum status make_instances(struct change *ch, struct node *n, struct err *err)
{
    for (int i = 0; i < n->ninst; i++)
        if (!(n->inst[i] = inst_new(n, ch->rt->workers[i], i, err))) return E_INTERNAL;
    return ST_OK;
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

/* The node of a reader's rows, with the reader when none can be shared. */
static enum status scan_node(struct change *ch, struct use *u, struct node **out, struct err *err)
{
    struct runtime *rt = ch->rt;
    if (u->node) return *out = u->node, ST_OK;
    struct run_reader *running = u->object ? running_pushed(rt, u->object->id) : NULL;
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
    TRY(make_instances(ch, n, err));
    *out = u->node = n;
    return ST_OK;
}

/* An exchange brings every instance the watermarks of all; without one it hears what its like hears. */
static bool hear_alike(const struct node *n)
{
    bool alike = true;
    for (int p = 0; p < n->nin && n->ninst > 1; p++) {
        const struct node *from = n->in[p].from;
        bool exchange = n->in[p].plan && n->in[p].plan->dist != DIST_SAME;
        alike &= exchange || (from->alike && from->ninst == n->ninst);
    }
    return alike;
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
static enum status pick_node(struct change *ch, const struct plan *p, const struct root *root, struct node *scan,
                             struct node **out, struct err *err)
{
    int *map = arena_alloc(ch->arena, sizeof *map * (size_t)(p->schema->n + 1));
    bool same = p->schema->n == scan->schema->n;
    for (int i = 0; i < p->schema->n; i++) {
        map[i] = schema_find(scan->schema, p->schema->fields[i].name);
        same &= map[i] == i;
    }
    if (same) return *out = scan, ST_OK;
    struct node *n = find_equal(ch, &(struct wish){p, scan, map, ch->rt->cfg.on_error});
    if (n) return *out = n, ST_OK;
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
    n->alike = hear_alike(n);
    scan->users++;
    snprintf(n->name, sizeof n->name, "pick");
    TRY(make_instances(ch, n, err));
    *out = n;
    return ST_OK;
}

static enum status build(struct change *ch, const struct plan *p, const struct root *root, struct node **out, struct err *err);

static enum status stream_node(struct change *ch, const struct object *o, struct node **out, struct err *err)
{
    struct use *u = find_use(ch, o);
    if (!u->node) {
        struct root own = {.on_error = ch->rt->cfg.on_error, .owner = o->id, .whose = o->name, .top = o->plan};
        struct node *top;
        TRY(build(ch, o->plan, &own, &top, err));
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
        n->alike = hear_alike(n);
        snprintf(n->name, sizeof n->name, "%.63s", o->name);
        TRY(make_instances(ch, n, err));
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

static enum status build(struct change *ch, const struct plan *p, const struct root *root, struct node **out, struct err *err)
{
    struct keep *keep = root->keep;
    if (p->kind == PLAN_SOURCE) {
        struct node *scan;
        TRY(scan_node(ch, find_use(ch, p->object), &scan, err));
        return pick_node(ch, p, root, scan, out, err);
    }
    if (p->kind == PLAN_STREAM) return stream_node(ch, p->object, out, err);
    if (p->kind == PLAN_VALUES) {
        struct use *u = add_use(ch, NULL);
        u->values = p;
        TRY(scan_node(ch, u, out, err));
        (*out)->owner = root->owner;
        if (keep && !(*out)->keep) (*out)->keep = keep, keep->refs++;
        return ST_OK;
    }
    struct node *in[OP_PORTS];
    if (p->nin > OP_PORTS) return err_set(err, E_LIMIT, "more than %d inputs of one operator", OP_PORTS);
    for (int i = 0; i < p->nin; i++) TRY(build(ch, p->in[i].node, root, &in[i], err));
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
    n->alike = hear_alike(n);
    TRY(make_instances(ch, n, err));
    *out = n;
    return ST_OK;
}

/* ---- links ------------------------------------------------------------------------------------------------------------ */

/* Gives an instance a link now, or at the CHANGE barrier when it runs. */
static void give_link(struct change *ch, struct inst *from, struct link *l)
{
    if (from->node->fresh) {
        struct link **p = &from->links;
        while (*p) p = &(*p)->next;
        *p = l;
        return;
    }
    struct link_made *m = arena_alloc(ch->arena, sizeof *m);
    *m = (struct link_made){ch->made, from, l};
    ch->made = m;
}

static struct link *new_link(int out, int nedges)
{
    struct link *l = mem_zalloc(sizeof *l);
    l->out = out;
    l->nedges = nedges;
    if (nedges) l->edges = mem_zalloc(sizeof *l->edges * (size_t)nedges);
    return l;
}

/* The instance reads rings: it is the head of a chain, with a place in its worker's bitmap. */
static enum status make_head(struct inst *i, struct err *err)
{
    if (i->slot >= 0) return ST_OK;
    i->slot = worker_slot(i->worker, i);
    return i->slot < 0 ? err_set(err, E_LIMIT, "too many operators run at once") : ST_OK;
}

static enum status add_channel(struct inst *to, int port, struct edge *e, struct err *err)
{
    TRY(make_head(to, err));
    e->port = port;
    e->alike = to->node->nin && to->node->in[port].from->alike;
    e->reader = worker_waker(to->worker, to->slot);
    e->next = to->in;
    to->in = e;
    to->port_channels[port]++;
    return ST_OK;
}

static struct edge *edge_from(struct runtime *rt, struct inst *from)
{
    struct edge *e = edge_new(rt);
    e->writer = worker_waker(from->worker, from->head->slot);
    return e;
}

static int channels_of(const struct node *n, int port)
{
    const struct node_input *in = &n->in[port];
    return in->plan && in->plan->dist != DIST_SAME ? in->from->ninst : 1;
}

static bool is_called(const struct node *n)
{
    int total = 0;
    for (int p = 0; p < n->nin; p++) total += channels_of(n, p);
    bool spreads = n->in[0].plan && n->in[0].plan->dist == DIST_HASH && n->ninst > 1;
    return total == 1 && !spreads && n->in[0].from->ninst >= n->ninst;
}

static enum status link_hash(struct change *ch, struct node *n, int port, struct err *err)
{
    struct node_input *in = &n->in[port];
    for (int f = 0; f < in->from->ninst; f++) {
        struct inst *from = in->from->inst[f];
        struct link *l = new_link(in->out, n->ninst);
        give_link(ch, from, l);
        if (n->ninst > 1 && !(l->scatter = scatter_new(from, in->plan, err))) return err->code;
        for (int w = 0; w < n->ninst; w++) {
            l->edges[w] = edge_from(ch->rt, from);
            TRY(add_channel(n->inst[w], port, l->edges[w], err));
        }
    }
    return ST_OK;
}

static enum status link_one(struct change *ch, struct inst *from, struct inst *to, int out, int port, bool call, struct err *err)
{
    struct link *l = new_link(out, call ? 0 : 1);
    give_link(ch, from, l);
    if (call) {
        l->child = to;
        l->port = port;
        if (!to->node->is_stream) return to->head = from->head, ST_OK;
        to->driver = from->head;
        return make_head(to, err);
    }
    l->edges[0] = edge_from(ch->rt, from);
    return add_channel(to, port, l->edges[0], err);
}

/* An input that never comes: from a node with fewer instances. */
static void no_channel(struct inst *to, int port)
{
    to->port_ended[port] = true;
    to->port_wm[port] = TS_MAX;
    to->open_ports--;
}

static enum status link_inputs(struct change *ch, struct node *n, struct err *err)
{
    bool call = is_called(n);
    for (int port = 0; port < n->nin; port++) {
        struct node_input *in = &n->in[port];
        enum dist dist = in->plan ? in->plan->dist : DIST_SAME;
        if (dist == DIST_HASH && n->ninst > 1) {
            TRY(link_hash(ch, n, port, err));
        } else if (dist == DIST_SAME) {
            for (int i = 0; i < n->ninst; i++)
                if (i < in->from->ninst)
                    TRY(link_one(ch, in->from->inst[i], n->inst[i], in->out, port, call, err));
                else
                    no_channel(n->inst[i], port);
        } else {
            for (int f = 0; f < in->from->ninst; f++)
                TRY(link_one(ch, in->from->inst[f], n->inst[0], in->out, port, call, err));
        }
    }
    return ST_OK;
}

static enum status link_reader(struct node *n, struct err *err)
{
    for (int w = 0; w < n->ninst; w++)
        for (int p = 0; p < reader_parts(n->reader); p++)
            TRY(add_channel(n->inst[w], 0, reader_edge(n->reader, p, w), err));
    return ST_OK;
}

static void link_out(struct change *ch, struct inst *from, struct edge *e)
{
    struct link *l = new_link(OUT_MAIN, 1);
    l->edges[0] = e;
    e->writer = worker_waker(from->worker, from->head->slot);
    give_link(ch, from, l);
}

/* ---- applying ------------------------------------------------------------------------------------------------------------- */

/* The outlet of a node: one of this change, or one that runs and is held for it. */
static struct outlet *outlet_of(struct change *ch, struct node *n, bool *runs)
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

/* ---- replacing ------------------------------------------------------------------------------------------------------------ */

static struct swap *add_swap(struct change *ch, const struct replacement *r, struct node *at)
{
    struct swap *s = arena_alloc(ch->arena, sizeof *s);
    s->next = ch->swaps;
    s->object = r->object;
    s->at = at;
    s->was_alike = at->alike;
    ch->swaps = s;
    return s;
}

/* What runs of a replaced object, and what new consumers in this change are to read. */
static void find_replaced(struct change *ch, const struct replacement *r)
{
    if (r->object->kind == OBJECT_STREAM) {
        struct node *at = running_stream(ch->rt, r->old_id);
        if (!at) return;
        add_swap(ch, r, at);
        add_use(ch, r->object)->node = at;
        return;
    }
    for (struct run_reader *x = ch->rt->readers; x; x = x->next) {
        if (x->source_id != r->old_id || x->left || !node_runs(x->scan)) continue;
        add_swap(ch, r, x->scan)->old = x;
        if (reader_pushed(x->reader)) add_use(ch, r->object)->node = x->scan;
    }
}

static enum status make_replacement(struct change *ch, struct swap *s, struct err *err)
{
    if (!s->old) {
        struct root own = {.on_error = ch->rt->cfg.on_error, .owner = s->object->id, .whose = s->object->name, .top = s->object->plan};
        TRY(build(ch, s->object->plan, &own, &s->top, err));
        s->top->users++;
        s->top->is_top = true;
        return ST_OK;
    }
    struct reader *r = reader_new(ch->rt, s->object, reader_schema(s->old->reader), NULL, s->at->component, err);
    if (!r) return err && err->code ? err->code : E_INTERNAL;
    s->made = mem_zalloc(sizeof *s->made);
    *s->made = (struct run_reader){.reader = r, .scan = s->at, .source_id = s->object->id, .former_id = s->old->source_id};
    return ST_OK;
}

static struct edge *new_channel(struct change *ch, struct inst *to, struct edge *e)
{
    struct channel *c = arena_alloc(ch->arena, sizeof *c);
    *c = (struct channel){ch->channels, to, e};
    ch->channels = c;
    return e;
}

/* From every instance of the new input to its like, to the only one, or from the only one to all. */
static void connect_stream(struct change *ch, struct swap *s)
{
    for (int f = 0; f < s->top->ninst; f++) {
        struct inst *from = s->top->inst[f];
        bool spread = s->top->ninst == 1 && s->at->ninst > 1;
        int n = spread ? s->at->ninst : 1;
        struct link *l = new_link(OUT_MAIN, n);
        l->first_only = spread;
        give_link(ch, from, l);
        for (int k = 0; k < n; k++)
            l->edges[k] = new_channel(ch, s->at->inst[spread ? k : s->at->ninst == 1 ? 0 : f], edge_from(ch->rt, from));
    }
}

static void connect_replacement(struct change *ch, struct swap *s)
{
    if (s->top) return connect_stream(ch, s);
    for (int w = 0; w < s->at->ninst; w++)
        for (int p = 0; p < reader_parts(s->made->reader); p++) new_channel(ch, s->at->inst[w], reader_edge(s->made->reader, p, w));
}

/* Not after all. What comes from a new reader or node goes with it. */
static void put_back(struct change *ch)
{
    for (struct channel *c = ch->channels; c; c = c->next)
        if (!c->edge->writer.task || c->edge->writer.word) edge_free(c->edge); /* else it is a reader's */
    for (struct swap *s = ch->swaps; s; s = s->next) {
        if (s->top) s->top->users--;
        if (!s->made) continue;
        reader_free(s->made->reader);
        mem_free(s->made);
    }
}

static void set_alike(struct runtime *rt, struct node *n, bool alike);

static void node_hears(struct runtime *rt, struct node *n)
{
    bool alike = hear_alike(n);
    if (alike != n->alike) set_alike(rt, n, alike);
}

/* A node's new way of hearing, down to all that hear through it. */
static void set_alike(struct runtime *rt, struct node *n, bool alike)
{
    n->alike = alike;
    for (struct node *m = rt->nodes; m; m = m->next)
        for (int p = 0; p < m->nin; p++) {
            if (m->in[p].from != n) continue;
            for (int i = 0; i < m->ninst; i++)
                for (struct edge *e = m->inst[i]->in; e; e = e->next)
                    if (e->port == p) atomic_store(&e->alike, alike);
            node_hears(rt, m);
        }
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        for (int i = 0; outlet_node(o->outlet) == n && i < n->ninst; i++) atomic_store(&outlet_edge(o->outlet, i)->alike, alike);
    for (struct run_sub *s = rt->subs; s; s = s->next)
        for (int i = 0; sub_node(s->sub) == n && i < sub_edges(s->sub); i++) atomic_store(&sub_edge(s->sub, i)->alike, alike);
}

static int cut_links(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool moves);
static int cut_from(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool at_barrier);

/* With the lock, workers paused: hands the old input's channels over to the new one's. */
static void swap_stream(struct runtime *rt, struct swap *s)
{
    struct node *at = s->at, *old = at->in[0].from;
    cut_links(old, at, NULL, NULL, true);
    at->in[0].from = s->top;
    cut_from(old, at, NULL, NULL, true);
    at->stream_id = at->owner = s->object->id;
    at->schema = s->object->schema;
    at->plan = s->object->plan;
    join(at->component, s->top->component);
    if (hear_alike(at)) node_hears(rt, at); /* to hear less alike is for later: who waits too long is wrong for a moment only */
}

static void swap_reader(struct runtime *rt, struct swap *s)
{
    s->old->left = true;
    reader_leave(s->old->reader);
    s->at->reader = s->made->reader;
    s->made->next = rt->readers;
    rt->readers = s->made;
}

static void make_swaps(struct change *ch)
{
    for (struct swap *s = ch->swaps; s; s = s->next)
        if (s->top)
            swap_stream(ch->rt, s);
        else
            swap_reader(ch->rt, s);
    for (struct channel *c = ch->channels; c; c = c->next) {
        enum status st = add_channel(c->to, 0, c->edge, NULL);
        INVARIANT(!st); /* it has its place already */
        if (c->to->finished) edge_close(c->edge); /* it ended meanwhile */
    }
}

static struct run_sink *find_sink(struct runtime *rt, uint64_t id)
{
    struct run_sink *s = rt->sinks;
    while (s && (s->sink_id != id || s->detached)) s = s->next;
    return s;
}

static struct run_outlet *run_outlet_of(struct runtime *rt, const struct run_sink *s)
{
    struct run_outlet *o = rt->outlets;
    while (o->outlet != s->outlet) o = o->next;
    return o;
}

/* Another sink than s (or NULL) is to go on with that outlet, or its history. */
static bool is_shared(struct runtime *rt, const struct outlet *o, const struct run_sink *s)
{
    const struct run_sink *x = rt->sinks;
    while (x && (x == s || x->detached || x->outlet != o)) x = x->next;
    return x || outlet_keeps(o);
}

/* At the next CHANGE barrier. */
static void detach_outlet(struct run_outlet *o)
{
    if (o->detached) return;
    o->detached = true;
    graph_detach(outlet_node(o->outlet), o->outlet, NULL, true);
}

/* With the lock, workers paused. A sink is taken off at the next CHANGE barrier: it gets whole what came before. The last of an
 * outlet takes that off its node. */
static void drop_sink(struct runtime *rt, struct run_sink *s, bool discard)
{
    struct run_outlet *o = run_outlet_of(rt, s);
    s->detached = true;
    if (discard)
        deliver_cancel(s->deliver);
    else
        deliver_leave(s->deliver);
    if (is_shared(rt, s->outlet, s))
        deliver_end_at(s->deliver, rt->next_epoch + 1);
    else
        detach_outlet(o);
}

/* ---- history -------------------------------------------------------------------------------------------------------------- */

static enum status make_history(struct change *ch, struct history *h, struct err *err)
{
    struct node *n;
    TRY(stream_node(ch, h->stream, &n, err));
    h->outlet = outlet_of(ch, n, &h->joins);
    return ST_OK;
}

static bool goes_on(const struct change *ch, const struct outlet *o)
{
    const struct history *h = ch->histories;
    while (h && h->outlet != o) h = h->next;
    return h;
}

/* After make_history: a stream that is replaced still has its old number. */
static void find_ends(struct change *ch)
{
    for (struct end_of_history *e = ch->ends; e; e = e->next)
        for (struct run_outlet *o = ch->rt->outlets; o; o = o->next)
            if (!o->detached && outlet_keeps(o->outlet) && outlet_node(o->outlet)->stream_id == e->stream_id && !goes_on(ch, o->outlet))
                e->outlet = o;
}

/* With the lock, workers paused, before sinks are dropped. */
static void settle_histories(struct change *ch)
{
    for (struct history *h = ch->histories; h; h = h->next) {
        outlet_keep(h->outlet, h->bytes, h->joins);
        if (h->joins) outlet_let_go(h->outlet);
    }
    for (struct end_of_history *e = ch->ends; e; e = e->next) {
        if (!e->outlet) continue;
        outlet_keep(e->outlet->outlet, 0, false);
        if (!is_shared(ch->rt, e->outlet->outlet, NULL)) detach_outlet(e->outlet);
    }
}

/* Nodes, readers and sinks; connectors may take their time to open. */
static enum status make_parts(struct change *ch, struct err *err)
{
    struct runtime *rt = ch->rt;
    for (struct drop *d = ch->drops; d; d = d->next) d->sink = find_sink(rt, d->sink_id);
    for (struct replacement *r = ch->replacements; r; r = r->next) find_replaced(ch, r);
    for (struct swap *s = ch->swaps; s; s = s->next)
        if (!s->old) collect(ch, s->object->plan);
    for (struct root *r = ch->roots; r; r = r->next) collect(ch, r->plan);
    for (struct history *h = ch->histories; h; h = h->next) collect_stream(ch, h->stream);
    for (struct swap *s = ch->swaps; s; s = s->next) TRY(make_replacement(ch, s, err));
    for (struct history *h = ch->histories; h; h = h->next) TRY(make_history(ch, h, err));
    find_ends(ch);
    for (struct root *r = ch->roots; r; r = r->next) {
        struct node *top;
        TRY(build(ch, r->plan, r, &top, err));
        if (r->sink) {
            struct run_sink *s = mem_zalloc(sizeof *s);
            r->run_sink = s;
            s->sink_id = r->sink->id;
            s->outlet = outlet_of(ch, top, &r->joins);
            if (!(s->deliver = deliver_new(rt, r->sink, outlet_log(s->outlet), top->component, err))) return err->code;
            if (ch->drops) deliver_hold(s->deliver); /* until those have given up what both may write to */
        } else {
            if (!(r->made = sub_new(rt, top, r->plan, top->component, &r->sub_config, err))) return err->code;
            top->users++;
        }
    }
    return ST_OK;
}

/* Links and operators; workers are paused, for these take memory from their pools. */
static enum status connect_parts(struct change *ch, struct err *err)
{
    for (struct node *n = ch->nodes; n; n = n->next) TRY(n->reader ? link_reader(n, err) : link_inputs(ch, n, err));
    for (struct swap *s = ch->swaps; s; s = s->next) connect_replacement(ch, s);
    for (struct run_outlet *o = ch->outlets; o; o = o->next)
        for (int i = 0; i < outlet_node(o->outlet)->ninst; i++)
            link_out(ch, outlet_node(o->outlet)->inst[i], outlet_edge(o->outlet, i));
    for (struct root *r = ch->roots; r; r = r->next)
        for (int i = 0; !r->sink && i < sub_node(r->made)->ninst; i++)
            link_out(ch, sub_node(r->made)->inst[i], sub_edge(r->made, i));
    for (struct node *n = ch->nodes; n; n = n->next)
        for (int i = 0; i < n->ninst; i++) TRY(inst_open(n->inst[i], NULL, 0, err));
    return ST_OK;
}

static void put_off(struct root *r)
{
    if (r->run_sink) {
        if (r->joins) outlet_let_go(r->run_sink->outlet);
        deliver_free(r->run_sink->deliver);
        mem_free(r->run_sink);
    }
    if (r->made) sub_node(r->made)->users--;
    sub_free(r->made);
}

static enum status prepare(struct change *ch, struct err *err)
{
    TRY(make_parts(ch, err));
    runtime_pause(ch->rt);
    enum status st = connect_parts(ch, err);
    runtime_resume(ch->rt);
    return st;
}

/* Frees what was prepared and never ran. */
static void undo(struct change *ch)
{
    for (struct root *r = ch->roots; r; r = r->next) put_off(r);
    for (struct history *h = ch->histories; h; h = h->next)
        if (h->joins) outlet_let_go(h->outlet);
    put_back(ch);
    for (struct run_outlet *o = ch->outlets, *next; o; o = next) {
        next = o->next;
        outlet_node(o->outlet)->users--;
        outlet_free(o->outlet);
        mem_free(o);
    }
    for (struct link_made *m = ch->made; m; m = m->next) link_free(m->link);
    for (struct node *n = ch->nodes; n; n = n->next)
        for (int i = 0; i < n->nin; i++) n->in[i].from->users--;
    for (struct run_reader *r = ch->readers, *next; r; r = next) {
        next = r->next;
        reader_free(r->reader);
        mem_free(r);
    }
    for (struct node *n = ch->nodes, *next; n; n = next) {
        next = n->next;
        node_free(n);
    }
}

static void touch(struct change *ch, struct touched **list, struct component *c)
{
    c = component_of(c);
    for (struct touched *t = *list; t; t = t->next)
        if (t->component == c) return;
    struct touched *t = arena_alloc(ch->arena, sizeof *t);
    *t = (struct touched){*list, c};
    *list = t;
}

static enum status wait_for(struct runtime *rt, const struct touched *t, int64_t until, struct err *err)
{
    for (; t; t = t->next)
        if (!epoch_wait(rt, t->component, time_left(rt, until))) return epoch_blocked(rt, t->component, "the change", err);
    return ST_OK;
}

static void touch_running(struct change *ch, struct touched **t)
{
    for (struct link_made *m = ch->made; m; m = m->next) touch(ch, t, m->inst->node->component);
    for (struct root *r = ch->roots; r; r = r->next)
        if (r->joins) touch(ch, t, outlet_node(r->run_sink->outlet)->component);
    for (struct drop *d = ch->drops; d; d = d->next)
        if (d->sink) touch(ch, t, outlet_node(d->sink->outlet)->component);
    for (struct history *h = ch->histories; h; h = h->next)
        if (h->joins) touch(ch, t, outlet_node(h->outlet)->component);
    for (struct end_of_history *e = ch->ends; e; e = e->next)
        if (e->outlet) touch(ch, t, outlet_node(e->outlet->outlet)->component);
    for (struct swap *s = ch->swaps; s; s = s->next) touch(ch, t, s->at->component);
}

/* What runs and is about to be joined stands between two epochs. */
static enum status wait_for_epochs(struct change *ch, int64_t until, struct err *err)
{
    struct touched *t = NULL;
    touch_running(ch, &t);
    TRY(wait_for(ch->rt, t, until, err));
    /* What is replaced cannot be put back: whether barriers pass is tried before. */
    for (struct touched *x = ch->swaps ? t : NULL; x; x = x->next) epoch_begin(ch->rt, x->component, BARRIER_DRAIN);
    return ch->swaps ? wait_for(ch->rt, t, until, err) : ST_OK;
}

/* Makes the change part of the graph; nothing of it moves yet. */
static void commit(struct change *ch)
{
    struct runtime *rt = ch->rt;
    lock_take(&rt->lock);
    runtime_pause(rt);
    for (struct root *r = ch->roots; r; r = r->next) {
        if (r->sink) {
            r->run_sink->next = rt->sinks;
            rt->sinks = r->run_sink;
            if (!r->joins) continue;
            deliver_start(r->run_sink->deliver);
            outlet_join(r->run_sink->outlet, r->run_sink->deliver);
            continue;
        }
        struct run_sub *s = mem_zalloc(sizeof *s);
        s->sub = r->made;
        s->next = rt->subs;
        rt->subs = s;
    }
    for (struct run_reader *r = ch->readers, *next; r; r = next) {
        next = r->next;
        r->next = rt->readers;
        rt->readers = r;
    }
    struct run_outlet **last = &rt->outlets;
    while (*last) last = &(*last)->next;
    *last = ch->outlets;
    for (struct node *n = ch->nodes; n; n = n->next) {
        n->fresh = false;
        for (int i = 0; i < n->nin; i++) join(n->component, n->in[i].from->component);
    }
    struct node **tail = &rt->nodes;
    while (*tail) tail = &(*tail)->next;
    *tail = ch->nodes;
    make_swaps(ch);
    for (struct link_made *m = ch->made; m; m = m->next) inst_change(m->inst, m->link, NULL);
    settle_histories(ch);
    for (struct drop *d = ch->drops; d; d = d->next)
        if (d->sink) drop_sink(rt, d->sink, d->discard);
    runtime_resume(rt);
    lock_give(&rt->lock);
}

/* The CHANGE barrier goes through all that is touched, new components too: it is the first message of every new edge, so
 * an instance knows which of its channels are idle before it reads a row. New readers begin behind it. */
static void begin(struct change *ch, struct touched **t)
{
    struct runtime *rt = ch->rt;
    touch_running(ch, t);
    for (struct node *n = ch->nodes; n; n = n->next) touch(ch, t, n->component);
    for (struct root *r = ch->roots; r; r = r->next) {
        if (!r->sink || r->joins) continue;
        deliver_start(r->run_sink->deliver);
        deliver_attach(r->run_sink->deliver);
    }
    for (struct run_outlet *o = ch->outlets; o; o = o->next) outlet_start(rt, o->outlet);
    for (struct touched *x = *t; x; x = x->next) epoch_begin(rt, x->component, BARRIER_CHANGE);
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (!reader_runs(r->reader)) reader_start(r->reader);
    bell_ring(&rt->control); /* who pushed to a reader that left waits for the new one */
}

static void cancel_drops(struct change *ch)
{
    for (struct drop *d = ch->drops; d; d = d->next)
        if (d->sink && !deliver_done(d->sink->deliver)) {
            deliver_cancel(d->sink->deliver);
            if (run_outlet_of(ch->rt, d->sink)->detached) outlet_close(d->sink->outlet);
        }
}

static bool drops_done(void *ctx)
{
    for (struct drop *d = ((struct change *)ctx)->drops; d; d = d->next)
        if (d->sink && !deliver_done(d->sink->deliver)) return false;
    return true;
}

/* Dropped sinks deliver what they hold, until the time is over. */
static void finish_drops(struct change *ch, int64_t until)
{
    struct runtime *rt = ch->rt;
    if (runtime_wait(rt, drops_done, ch, time_left(rt, until))) return;
    cancel_drops(ch);
    if (runtime_wait(rt, drops_done, ch, CANCEL_US)) return;
    for (struct drop *d = ch->drops; d; d = d->next) /* what does not come back even now is freed by a later sweep */
        if (d->sink && !deliver_done(d->sink->deliver))
            runtime_log(rt, 1, "sink \"%s\" was dropped and has not come back from its system yet", deliver_object(d->sink->deliver)->name);
}

static void settle_swaps(struct change *ch)
{
    if (!ch->swaps) return;
    lock_take(&ch->rt->lock);
    runtime_pause(ch->rt);
    for (struct swap *s = ch->swaps; s; s = s->next)
        if (s->top) node_hears(ch->rt, s->at);
    runtime_resume(ch->rt);
    lock_give(&ch->rt->lock);
}

static bool drops(const struct change *ch) { return ch->drops || ch->ends; }
static bool only_drops(const struct change *ch) { return drops(ch) && !ch->roots && !ch->swaps && !ch->histories; }

/* Only drops, and not even the epoch before passes: it may be they that take nothing. Then they go without a barrier. */
static enum status drop_blocked(struct change *ch, struct err *err)
{
    cancel_drops(ch);
    if (!wait_for_epochs(ch, env_now_us(ch->rt->env) + CANCEL_US, err)) return ST_OK;
    commit(ch);
    finish_drops(ch, 0);
    return ST_DONE;
}

static enum status run_change(struct change *ch, int64_t until, struct err *err)
{
    struct touched *t = NULL;
    commit(ch);
    begin(ch, &t);
    enum status st = wait_for(ch->rt, t, until, err);
    if (st && ch->drops) {
        cancel_drops(ch); /* it may be they that take nothing */
        st = wait_for(ch->rt, t, env_now_us(ch->rt->env) + CANCEL_US, err);
    }
    settle_swaps(ch);
    finish_drops(ch, until);
    for (struct root *r = ch->roots; r; r = r->next)
        if (r->sink) deliver_release(r->run_sink->deliver);
    return st;
}

/* The barrier does not pass: what is new is closed from its consumers on. A link that was not made yet is none. */
static void abandon(struct change *ch)
{
    struct runtime *rt = ch->rt;
    lock_take(&rt->lock);
    runtime_pause(rt);
    for (struct link_made *m = ch->made; m; m = m->next)
        if (!inst_is_linked(m->inst, m->link)) inst_withdraw(m->inst, m->link);
    for (struct root *r = ch->roots; r; r = r->next) {
        if (r->joins) outlet_unjoin(r->run_sink->outlet, r->run_sink->deliver);
        if (r->sink) {
            r->run_sink->detached = true;
            deliver_cancel(r->run_sink->deliver);
        } else {
            sub_let_go(r->made);
        }
    }
    for (struct run_outlet *o = ch->outlets; o; o = o->next) { /* the last of the runtime's list */
        o->detached = true;
        graph_detach(outlet_node(o->outlet), o->outlet, NULL, false);
        outlet_close(o->outlet);
    }
    runtime_resume(rt);
    lock_give(&rt->lock);
}

enum status change_apply(struct change *ch, int64_t timeout_us, bool *stands, struct err *err)
{
    struct runtime *rt = ch->rt;
    struct err local;
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(rt->env) + timeout_us;
    if (!err) err = &local;
    if (!turn_take(rt, timeout_us)) {
        change_free(ch);
        return err_set(err, E_TIMEOUT, "another change of the graph is still under way");
    }
    enum status st = prepare(ch, err);
    bool passed = !st && !(st = wait_for_epochs(ch, until, err));
    if (st == E_TIMEOUT && only_drops(ch)) passed = !(st = drop_blocked(ch, err));
    if (st == ST_DONE) {
        st = ST_OK;
    } else if (!passed) {
        undo(ch);
    } else {
        st = run_change(ch, until, err);
        bool kept = drops(ch) || ch->swaps;
        if (only_drops(ch)) st = ST_OK; /* they are gone all the same */
        if (st && !kept) abandon(ch);
        if (st && kept) err_hint(err, "the change stands, and takes effect when that goes on");
        if (stands) *stands = kept;
        for (struct root *r = ch->roots; r && !st; r = r->next)
            if (r->sub) *r->sub = r->made;
    }
    change_free(ch);
    turn_give(rt);
    return st;
}

void change_free(struct change *ch)
{
    if (!ch) return;
    for (struct root *r = ch->roots; r; r = r->next) keep_unref(r->keep);
    arena_free(ch->arena);
    mem_free(ch);
}

/* ---- taking away ---------------------------------------------------------------------------------------------------------- */

void node_free(struct node *n)
{
    for (int i = 0; i < n->ninst; i++) {
        if (!n->inst[i]) continue;
        worker_release(n->inst[i]->worker, n->inst[i]->slot);
        inst_free(n->inst[i]);
    }
    mem_free((void *)n->pick);
    mem_free(n->inst);
    if (n->arena) arena_free(n->arena);
    if (n->account) account_unref(n->account);
    keep_unref(n->keep);
    mem_free(n);
}

static bool leads_to(const struct link *l, const struct node *n, struct outlet *o, struct sub *s, int index)
{
    if (n) {
        if (l->child) return l->child->node == n;
        for (int w = 0; w < n->ninst; w++)
            for (struct edge *e = n->inst[w]->in; e; e = e->next)
                for (int k = 0; k < l->nedges; k++)
                    if (l->edges[k] == e) return true;
        return false;
    }
    struct edge *e = o ? outlet_edge(o, index) : sub_edge(s, index);
    return l->nedges == 1 && l->edges[0] == e;
}

static int cut_links(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool moves)
{
    int cut = 0;
    for (int i = 0; i < from->ninst; i++)
        for (struct link *l = from->inst[i]->links; l; l = l->next) {
            if (l->leaving || !leads_to(l, n, o, s, i)) continue;
            l->leaving = true;
            l->moves = moves;
            inst_change(from->inst[i], NULL, l);
            cut++;
        }
    return cut;
}

static int cut_from(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool at_barrier)
{
    if (--from->users > 0) return at_barrier ? cut_links(from, n, o, s, false) : 0;
    from->gone = true;
    if (from->reader) reader_stop(from->reader);
    int cut = 0;
    for (int p = 0; p < from->nin; p++) cut += cut_from(from->in[p].from, from, NULL, NULL, at_barrier);
    return cut;
}

int graph_detach(struct node *n, struct outlet *o, struct sub *s, bool at_barrier)
{
    return cut_from(n, NULL, o, s, at_barrier);
}

static void unlink_from(struct node *from, const struct node *n, struct outlet *o, struct sub *s)
{
    for (int i = 0; i < from->ninst; i++)
        for (struct link *l = from->inst[i]->links, *next; l; l = next) {
            next = l->next;
            if (!leads_to(l, n, o, s, i)) continue;
            inst_withdraw(from->inst[i], l);
            struct waker w = worker_waker(from->inst[i]->worker, from->inst[i]->head->slot);
            waker_wake(&w); /* it may have waited for room in this one */
        }
}

void graph_unlink(struct node *n, struct outlet *o, struct sub *s) { unlink_from(n, NULL, o, s); }

static bool reads(const struct node *m, const struct node *n)
{
    for (int p = 0; p < m->nin; p++)
        if (m->in[p].from == n) return true;
    return false;
}

static bool is_read(struct runtime *rt, const struct node *n)
{
    for (struct node *m = rt->nodes; m; m = m->next)
        if (reads(m, n)) return true;
    for (struct run_outlet *o = rt->outlets; o; o = o->next)
        if (outlet_node(o->outlet) == n) return true;
    for (struct run_sub *s = rt->subs; s; s = s->next)
        if (sub_node(s->sub) == n) return true;
    return n->reader;
}

/* Whether an instance may still hand something to node n. */
static bool is_fed(const struct node *n)
{
    for (int p = 0; p < n->nin; p++) {
        const struct node *from = n->in[p].from;
        for (int i = 0; i < from->ninst; i++)
            for (struct link *l = from->inst[i]->links; l; l = l->next)
                if (!l->closed && !atomic_load(&from->inst[i]->answer.ended) && leads_to(l, n, NULL, NULL, i)) return true;
    }
    return false;
}

/* Who ended before it could hand its stream's node over still has a link to it, and drives it. */
static void forget_move(struct runtime *rt, struct node *n)
{
    for (struct node *m = rt->nodes; m; m = m->next) {
        if (n->is_stream) unlink_from(m, n, NULL, NULL);
        for (int i = 0; m->is_stream && i < m->ninst; i++)
            if (m->inst[i]->driver && m->inst[i]->driver->node == n) m->inst[i]->driver = NULL;
    }
}

static bool free_one(struct runtime *rt)
{
    for (struct node **at = &rt->nodes, *n; (n = *at); at = &n->next) {
        if (!n->gone || !node_ended(n) || is_read(rt, n) || is_fed(n)) continue;
        *at = n->next;
        for (int p = 0; p < n->nin; p++) unlink_from(n->in[p].from, n, NULL, NULL);
        forget_move(rt, n);
        past_stream(rt, n);
        node_free(n);
        return true;
    }
    return false;
}

void graph_sweep(struct runtime *rt)
{
    while (free_one(rt)) {}
    for (struct node *n = rt->nodes; n; n = n->next)
        for (int i = 0; i < n->ninst; i++) {
            inst_forget_changes(n->inst[i]);
            if (n->is_stream) inst_forget_moved(n->inst[i]);
        }
}
