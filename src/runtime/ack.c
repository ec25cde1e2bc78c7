/* Acknowledging: when all of a component has come to its end and everything that its sources gave has been delivered, they may tell
 * their systems to forget it (a group's offsets, a queue's messages). Then they are closed.
 *
 * What an operator still holds when a stream is stopped has not been delivered; so the sources of such a component are told nothing, and
 * give the same rows to a later process. So are those of one that a subscription reads: what became of its rows nobody here knows.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#include "state/state.h"

static bool gave_all(const struct node *n)
{
    for (int i = 0; i < n->ninst; i++) {
        const struct inst *x = n->inst[i];
        if (x->op && x->forward_kind != END_FLUSH && state_holds(x->op->ctx.state)) return false;
    }
    return true;
}

static bool is_delivered(struct runtime *rt, struct component *c)
{
    bool any = false;
    if (c->watched || atomic_load(&c->failed)) return false;
    for (struct node *n = rt->nodes; n; n = n->next)
        if (in_component(n->component, c) && !gave_all(n)) return false;
    for (struct run_sink *s = rt->sinks; s; s = s->next)
        if (in_component(outlet_node(s->outlet)->component, c)) {
            any = true;
            if (!deliver_complete(s->deliver)) return false;
        }
    return any;
}

void ack_ended(struct runtime *rt)
{
    lock_take(&rt->lock);
    stock_take(rt);
    lock_give(&rt->lock);
    for (struct run_reader *r = rt->readers; r; r = r->next) {
        struct component *c = component_of(r->scan->component);
        if (!c->busy && reader_keeps_open(r->reader)) reader_close(r->reader, is_delivered(rt, c), rt->next_epoch);
    }
}
