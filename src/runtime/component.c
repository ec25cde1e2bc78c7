/* Components and their answers to epochs. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

struct component *component_of(struct component *c)
{
    for (struct component *to; (to = atomic_load(&c->joined)); c = to) {}
    return c;
}

void answer_epoch(struct runtime *rt, struct component *c, struct answer *a, uint64_t epoch)
{
    uint64_t acked = atomic_load(&a->acked);
    while (acked < epoch) {
        if (!atomic_compare_exchange_weak(&a->acked, &acked, epoch)) continue;
        if (atomic_fetch_sub(&component_of(c)->waiting, 1) == 1) bell_ring(&rt->control);
        return;
    }
}

void answer_end(struct runtime *rt, struct component *c, struct answer *a)
{
    atomic_store(&a->ended, true);
    answer_epoch(rt, c, a, atomic_load(&a->asked));
    bell_ring(&rt->control);
}

void component_fail(struct runtime *rt, struct component *c, const struct err *err)
{
    c = component_of(c);
    static _Atomic int claim; /* one failure is told at a time; the first of a component stays */
    while (atomic_exchange(&claim, 1)) {}
    if (!atomic_load(&c->failed)) {
        c->err = *err;
        atomic_store(&c->failed, true);
    }
    atomic_store(&claim, 0);
    atomic_store(&c->cancel, true);
    bell_ring(&rt->control);
}
