/* Budgets: a stream's state is charged to an account of its own under the database's, so that a limit can be put on it at any
 * time. Control, under the graph's lock. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

struct budget {
    struct budget *next;
    uint64_t id; /* of the stream */
    struct account *account;
};

static struct budget *find(struct runtime *rt, uint64_t id)
{
    struct budget *b = rt->budgets;
    while (b && b->id != id) b = b->next;
    if (b) return b;
    b = mem_zalloc(sizeof *b);
    b->id = id;
    b->account = account_new(rt->account, 0);
    b->next = rt->budgets;
    return rt->budgets = b;
}

struct account *budget_account(struct runtime *rt, uint64_t id) { return account_ref(find(rt, id)->account); }

void budget_drop(struct runtime *rt, uint64_t id)
{
    for (struct budget **at = &rt->budgets, *b; (b = *at);) {
        if (id && b->id != id) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        account_unref(b->account);
        mem_free(b);
    }
}

void runtime_limit(struct runtime *rt, uint64_t id, int64_t bytes)
{
    lock_take(&rt->lock);
    struct account *a = id ? find(rt, id)->account : rt->account;
    atomic_store(&a->limit, bytes);
    for (struct component *c = rt->components; c; c = c->next)
        if (!atomic_load(&c->joined) && atomic_load(&c->starved)) component_go_on(rt, c);
    lock_give(&rt->lock);
}

static struct component *component_of_stream(struct runtime *rt, uint64_t id)
{
    for (struct node *n = rt->nodes; n; n = n->next)
        if (n->stream_id == id && !n->gone && !node_ended(n)) return component_of(n->component);
    return NULL;
}

enum status runtime_hold_stream(struct runtime *rt, uint64_t id, bool hold, struct err *err)
{
    lock_take(&rt->lock);
    struct component *c = component_of_stream(rt, id);
    if (c) atomic_store(&c->paused, hold);
    if (c && !hold) component_go_on(rt, c);
    lock_give(&rt->lock);
    if (c) return ST_OK;
    err_set(err, E_MISUSE, "the stream does not run");
    err_hint(err, "it runs while a sink or a subscription reads it");
    return E_MISUSE;
}
