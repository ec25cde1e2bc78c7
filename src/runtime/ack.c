/* Telling sources what has been delivered, for systems that want to know (a group of consumers, a sender that waits): advisory, and never
 * before every sink of the component has flushed it.
 *
 * A barrier that passes a part leaves a mark: where its splits stood. When all sinks have flushed the barrier's epoch, the part's own
 * task tells its source. One mark at a time; barriers that come meanwhile leave none. A part that has come to its end, or is stopped
 * as the database closes, keeps its source open until the sinks have come to theirs.
 *
 * Rows that lie in an operator's state are in no sink, and no checkpoint keeps them yet: a component with state has delivered nothing
 * before its end, and nothing when it is stopped. Nor has one that a subscription reads or has read: what became of its rows nobody
 * here knows.
 *
 * The sinks and readers concerned stand in lists with a lock of their own, since control waits for tasks under the runtime's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/deliver_int.h"
#include "runtime/reader_int.h"

static bool tells(const struct reader *r) { return r->class && r->class->ack != source_no_ack; }

static void tell(struct part *p, uint64_t epoch, const struct split *s, const struct position *at)
{
    if (at->offset || at->n) p->source->class->ack(p->source, epoch, s->number, at); /* else it has given nothing */
}

void ack_mark(struct part *p, uint64_t epoch)
{
    p->epoch = epoch;
    if (p->marked || !p->source || !tells(p->reader)) return;
    for (int i = 0; i < p->nsplits; i++) p->splits[i].marked = p->splits[i].at;
    p->marked = epoch;
}

/* ---- what the sinks have ------------------------------------------------------------------------------------------------- */

static bool knows(struct component *c) { return !atomic_load(&c->watched) && !atomic_load(&c->failed); }

/* The newest epoch of which all sinks of the component have flushed every row; 0: none. With the lock. */
static uint64_t delivered(struct runtime *rt, struct component *c)
{
    uint64_t low = UINT64_MAX;
    if (!knows(c) || atomic_load(&c->stateful)) return 0;
    for (struct deliver *d = rt->ackers; d; d = d->next_acker) {
        if (!in_component(d->component, c)) continue;
        uint64_t epoch = atomic_load(&d->epoch);
        if (epoch < low) low = epoch;
    }
    return low == UINT64_MAX ? 0 : low;
}

enum outcome { PENDING, DELIVERED, NEVER };

/* Of a component that has ended. With the lock. */
static enum outcome ended(struct runtime *rt, struct component *c)
{
    enum outcome all = NEVER;
    if (!knows(c)) return NEVER;
    for (struct deliver *d = rt->ackers; d; d = d->next_acker) {
        if (!in_component(d->component, c)) continue;
        if (deliver_blocked(d)) return NEVER;
        if (atomic_load(&d->state) != SINK_CLOSED) return PENDING;
        if (!atomic_load(&d->all_out)) return NEVER;
        all = DELIVERED;
    }
    return all;
}

/* ---- telling ------------------------------------------------------------------------------------------------------------------ */

void ack_tell(struct part *p)
{
    struct runtime *rt = p->reader->rt;
    if (!p->marked || !atomic_exchange(&p->delivered, false)) return;
    lock_take(&rt->ack_lock);
    bool due = delivered(rt, component_of(p->reader->component)) >= p->marked;
    lock_give(&rt->ack_lock);
    if (!due) return;
    for (int i = 0; i < p->nsplits; i++) tell(p, p->marked, &p->splits[i], &p->splits[i].marked);
    p->marked = 0;
}

bool ack_waits(struct part *p, int kind)
{
    const struct reader *r = p->reader;
    bool closing = atomic_load(&r->rt->closing), all = kind == END_FLUSH && !closing; /* else operators keep what they hold */
    if (!p->source || !tells(r) || (!all && atomic_load(&component_of(r->component)->stateful))) return false;
    return kind == END_FLUSH || kind == END_HOLD || (kind == END_CUT && closing);
}

enum step ack_at_end(struct part *p)
{
    struct reader *r = p->reader;
    lock_take(&r->rt->ack_lock);
    enum outcome is = ended(r->rt, component_of(r->component));
    lock_give(&r->rt->ack_lock);
    if (is == PENDING) return STEP_WAIT;
    for (int i = 0; is == DELIVERED && i < p->nsplits; i++) tell(p, p->epoch, &p->splits[i], &p->splits[i].at);
    part_close_source(p);
    return STEP_DONE;
}

/* ---- who is concerned ------------------------------------------------------------------------------------------------------------- */

void ack_look(struct runtime *rt)
{
    lock_take(&rt->ack_lock);
    for (struct reader *r = rt->told; r; r = r->next_told)
        for (int i = 0; i < r->nparts; i++) {
            atomic_store(&r->parts[i].delivered, true);
            if (!atomic_load(&r->parts[i].task.done)) task_wake(&r->parts[i].task);
        }
    lock_give(&rt->ack_lock);
}

void ack_begin(struct reader *r)
{
    if (!tells(r)) return;
    lock_take(&r->rt->ack_lock);
    r->next_told = r->rt->told;
    r->rt->told = r;
    lock_give(&r->rt->ack_lock);
}

void ack_end(struct reader *r)
{
    lock_take(&r->rt->ack_lock);
    struct reader **at = &r->rt->told;
    while (*at && *at != r) at = &(*at)->next_told;
    if (*at) *at = r->next_told;
    lock_give(&r->rt->ack_lock);
}

void ack_add_sink(struct deliver *d)
{
    lock_take(&d->rt->ack_lock);
    d->next_acker = d->rt->ackers;
    d->rt->ackers = d;
    lock_give(&d->rt->ack_lock);
}

void ack_drop_sink(struct deliver *d)
{
    lock_take(&d->rt->ack_lock);
    struct deliver **at = &d->rt->ackers;
    while (*at && *at != d) at = &(*at)->next_acker;
    if (*at) *at = d->next_acker;
    lock_give(&d->rt->ack_lock);
}
