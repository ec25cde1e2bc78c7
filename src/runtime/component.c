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
    for (int i = 0; i < rt->nworkers; i++) task_wake(&rt->workers[i]->task); /* refused batches are let go */
    bell_ring(&rt->control);
}

void component_starve(struct runtime *rt, struct component *c, const char *whose)
{
    c = component_of(c);
    note_write(&c->hunger, whose);
    if (!atomic_exchange(&c->starved, true)) runtime_log(rt, 1, "\"%s\" has no memory left for its state and waits", whose);
    bell_ring(&rt->control);
}

enum status component_hunger(struct component *c, struct err *err)
{
    char whose[sizeof c->hunger.text];
    note_read(&component_of(c)->hunger, whose);
    err_set(err, E_NOMEM, "\"%.80s\" has no memory left for its state and waits; nothing is lost", whose);
    err_hint(err, "give it more: SET memory_limit = '...', or ALTER STREAM ... SET (memory.limit = '...'); then ALTER STREAM ... RESUME");
    return E_NOMEM;
}

void component_go_on(struct runtime *rt, struct component *c)
{
    c = component_of(c);
    atomic_store(&c->starved, false);
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (component_of(r->scan->component) == c) reader_wake(r->reader);
    if (atomic_load(&rt->io) || rt->driver)
        for (int i = 0; i < rt->nworkers; i++) task_wake(&rt->workers[i]->task);
    bell_ring(&rt->control);
}

void component_join(struct component *a, struct component *b)
{
    a = component_of(a), b = component_of(b);
    if (a == b) return;
    a->watched |= b->watched;
    if (atomic_load(&b->paused)) atomic_store(&a->paused, true);
    if (atomic_load(&b->starved)) note_write(&a->hunger, b->hunger.text), atomic_store(&a->starved, true);
    atomic_store(&b->joined, a);
}
