/* Histories: a stream that keeps its latest rows runs for that alone; its outlet is its consumer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

enum status history_make(struct change *ch, struct history *h, struct err *err)
{
    struct node *n;
    TRY(build_stream(ch, h->stream, &n, err));
    h->outlet = build_outlet(ch, n, &h->joins);
    return ST_OK;
}

static bool goes_on(const struct change *ch, const struct outlet *o)
{
    const struct history *h = ch->histories;
    while (h && h->outlet != o) h = h->next;
    return h;
}

/* After history_make: a stream that is replaced still has its old number. */
void history_find_ends(struct change *ch)
{
    for (struct end_of_history *e = ch->ends; e; e = e->next)
        for (struct run_outlet *o = ch->rt->outlets; o; o = o->next)
            if (!o->detached && outlet_keeps(o->outlet) && outlet_node(o->outlet)->stream_id == e->stream_id && !goes_on(ch, o->outlet))
                e->outlet = o;
}

/* With the lock, workers paused, before sinks are dropped. */
void history_settle(struct change *ch)
{
    for (struct history *h = ch->histories; h; h = h->next) {
        outlet_keep(h->outlet, h->bytes, h->joins);
        if (h->joins) outlet_let_go(h->outlet);
    }
    for (struct end_of_history *e = ch->ends; e; e = e->next) {
        if (!e->outlet) continue;
        outlet_keep(e->outlet->outlet, 0, false);
        if (!graph_shares_outlet(ch->rt, e->outlet->outlet, NULL)) graph_detach_outlet(e->outlet);
    }
}
