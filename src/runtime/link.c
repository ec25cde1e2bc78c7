/* Links: how the rows of an instance come to its consumers, by a call or by rings, drawn when the graph is built.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

/* Gives an instance a link now, or at the CHANGE barrier when it runs. */
void link_give(struct change *ch, struct inst *from, struct link *l)
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

struct link *link_new(int out, int nedges)
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

enum status link_channel(struct inst *to, int port, struct edge *e, struct err *err)
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

struct edge *link_edge(struct runtime *rt, struct inst *from)
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
        struct link *l = link_new(in->out, n->ninst);
        link_give(ch, from, l);
        if (n->ninst > 1 && !(l->scatter = scatter_new(from, in->plan, err))) return err->code;
        for (int w = 0; w < n->ninst; w++) {
            l->edges[w] = link_edge(ch->rt, from);
            TRY(link_channel(n->inst[w], port, l->edges[w], err));
        }
    }
    return ST_OK;
}

static enum status link_one(struct change *ch, struct inst *from, struct inst *to, int out, int port, bool call, struct err *err)
{
    struct link *l = link_new(out, call ? 0 : 1);
    link_give(ch, from, l);
    if (call) {
        l->child = to;
        l->port = port;
        if (!to->node->is_stream) return to->head = from->head, ST_OK;
        to->driver = from->head;
        return make_head(to, err);
    }
    l->edges[0] = link_edge(ch->rt, from);
    return link_channel(to, port, l->edges[0], err);
}

/* An input that never comes: from a node with fewer instances. */
static void no_channel(struct inst *to, int port)
{
    to->port_ended[port] = true;
    to->port_wm[port] = TS_MAX;
    to->open_ports--;
}

enum status link_inputs(struct change *ch, struct node *n, struct err *err)
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

enum status link_reader(struct node *n, struct err *err)
{
    for (int w = 0; w < n->ninst; w++)
        for (int p = 0; p < reader_parts(n->reader); p++)
            TRY(link_channel(n->inst[w], 0, reader_edge(n->reader, p, w), err));
    return ST_OK;
}

void link_out(struct change *ch, struct inst *from, struct edge *e)
{
    struct link *l = link_new(OUT_MAIN, 1);
    l->edges[0] = e;
    e->writer = worker_waker(from->worker, from->head->slot);
    link_give(ch, from, l);
}
