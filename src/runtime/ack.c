/* Telling sources what has been delivered, for systems that want to know (a group of consumers, a sender that waits): advisory, and never
 * before every sink of the component has flushed it.
 *
 * A barrier that passes a part leaves a mark: where its splits stood. When all sinks have flushed the barrier's epoch, the part's own
 * task tells its source. One mark at a time; barriers that come meanwhile leave none. Rows that lie in an operator's state are in no
 * sink, and no checkpoint keeps them yet: a component with state has delivered nothing before its end. A part that has come to its
 * end keeps its source open until the sinks have come to theirs. SPDX-License-Identifier: Apache-2.0 */
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

static bool has_state(const struct node *n)
{
    for (int i = 0; i < n->ninst; i++)
        if (n->inst[i]->op && state_is_kept(n->inst[i]->op->ctx.state)) return true;
    return false;
}

/* The newest epoch of which all sinks of the component have flushed every row; 0: none. With the lock. */
static uint64_t delivered(struct runtime *rt, struct component *c)
{
    uint64_t low = UINT64_MAX;
    for (struct node *n = rt->nodes; n; n = n->next)
        if (!n->gone && in_component(n->component, c) && has_state(n)) return 0;
    for (struct run_sink *s = rt->sinks; s; s = s->next) {
        if (s->detached || !in_component(outlet_node(s->outlet)->component, c)) continue;
        uint64_t epoch = deliver_epoch(s->deliver);
        if (epoch < low) low = epoch;
    }
    return low == UINT64_MAX ? 0 : low;
}

enum outcome { PENDING, DELIVERED, NEVER };

/* Of a component that has ended. With the lock. */
static enum outcome ended(struct runtime *rt, struct component *c)
{
    enum outcome all = NEVER;
    if (atomic_load(&component_of(c)->failed)) return NEVER;
    for (struct run_sink *s = rt->sinks; s; s = s->next) {
        if (s->detached || !in_component(outlet_node(s->outlet)->component, c)) continue;
        if (deliver_blocked(s->deliver)) return NEVER;
        if (!deliver_over(s->deliver)) return PENDING;
        if (!deliver_all_out(s->deliver)) return NEVER;
        all = DELIVERED;
    }
    return all;
}

/* ---- telling ------------------------------------------------------------------------------------------------------------------ */

void ack_tell(struct part *p)
{
    struct runtime *rt = p->reader->rt;
    if (!p->marked || !atomic_exchange(&p->delivered, false)) return;
    lock_take(&rt->lock);
    bool due = delivered(rt, p->reader->component) >= p->marked;
    lock_give(&rt->lock);
    if (!due) return;
    for (int i = 0; i < p->nsplits; i++) tell(p, p->marked, &p->splits[i], &p->splits[i].marked);
    p->marked = 0;
}

bool ack_waits(struct part *p) { return p->source && tells(p->reader); }

enum step ack_at_end(struct part *p)
{
    struct reader *r = p->reader;
    bool stopped = atomic_load(&r->stop) || atomic_load(&component_of(r->component)->cancel);
    lock_take(&r->rt->lock);
    enum outcome is = stopped ? NEVER : ended(r->rt, r->component);
    lock_give(&r->rt->lock);
    if (is == PENDING) return STEP_WAIT;
    for (int i = 0; is == DELIVERED && i < p->nsplits; i++) tell(p, p->epoch, &p->splits[i], &p->splits[i].at);
    part_close_source(p);
    return STEP_DONE;
}

void ack_look(struct runtime *rt)
{
    if (!atomic_load(&rt->tells)) return;
    lock_take(&rt->lock);
    for (struct run_reader *r = rt->readers; r; r = r->next) reader_delivered(r->reader);
    lock_give(&rt->lock);
}

void ack_begin(struct reader *r)
{
    if (tells(r)) atomic_fetch_add(&r->rt->tells, 1);
}

void ack_end(struct reader *r)
{
    if (tells(r)) atomic_fetch_sub(&r->rt->tells, 1);
}
