/* What goes from the graph when nobody reads it any more: links at a barrier or at once, nodes when nothing leads to them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

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

int graph_cut_links(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool moves)
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

int graph_cut(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool at_barrier)
{
    if (--from->users > 0) return at_barrier ? graph_cut_links(from, n, o, s, false) : 0;
    from->gone = true;
    if (from->reader) reader_stop(from->reader);
    int cut = 0;
    for (int p = 0; p < from->nin; p++) cut += graph_cut(from->in[p].from, from, NULL, NULL, at_barrier);
    return cut;
}

int graph_detach(struct node *n, struct outlet *o, struct sub *s, bool at_barrier)
{
    return graph_cut(n, NULL, o, s, at_barrier);
}

/* Another sink than s (or NULL) is to go on with that outlet, or its history. */
bool graph_shares_outlet(struct runtime *rt, const struct outlet *o, const struct run_sink *s)
{
    const struct run_sink *x = rt->sinks;
    while (x && (x == s || x->detached || x->outlet != o)) x = x->next;
    return x || outlet_keeps(o);
}

/* At the next CHANGE barrier. */
void graph_detach_outlet(struct run_outlet *o)
{
    if (o->detached) return;
    o->detached = true;
    graph_detach(outlet_node(o->outlet), o->outlet, NULL, true);
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
