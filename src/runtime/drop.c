/* Dropping sinks: off their outlets at a CHANGE barrier, then whatever time there is to deliver what they hold.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

static struct run_outlet *run_outlet_of(struct runtime *rt, const struct run_sink *s)
{
    struct run_outlet *o = rt->outlets;
    while (o->outlet != s->outlet) o = o->next;
    return o;
}

/* With the lock, workers paused. A sink is taken off at the next CHANGE barrier: it gets whole what came before. The last of an
 * outlet takes that off its node. */
void drop_take_off(struct runtime *rt, struct run_sink *s, bool discard)
{
    struct run_outlet *o = run_outlet_of(rt, s);
    s->detached = true;
    ack_drop_sink(s->deliver);
    if (discard)
        deliver_cancel(s->deliver);
    else
        deliver_leave(s->deliver);
    if (graph_shares_outlet(rt, s->outlet, s))
        deliver_end_at(s->deliver, rt->next_epoch + 1);
    else
        graph_detach_outlet(o);
}

void drop_cancel(struct change *ch)
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
void drop_finish(struct change *ch, int64_t until)
{
    struct runtime *rt = ch->rt;
    if (runtime_wait(rt, drops_done, ch, time_left(rt, until))) return;
    drop_cancel(ch);
    if (runtime_wait(rt, drops_done, ch, CANCEL_US)) return;
    for (struct drop *d = ch->drops; d; d = d->next) /* what does not come back even now is freed by a later sweep */
        if (d->sink && !deliver_done(d->sink->deliver))
            runtime_log(rt, 1, "sink \"%s\" was dropped and has not come back from its system yet", deliver_object(d->sink->deliver)->name);
}
