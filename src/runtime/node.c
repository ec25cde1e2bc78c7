/* Nodes: what a plan's operators are in the running graph. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

bool node_ended(const struct node *n)
{
    for (int i = 0; i < n->ninst; i++)
        if (!atomic_load(&n->inst[i]->answer.ended)) return false;
    return true;
}

/* New consumers may join: no instance has ended. */
bool node_runs(const struct node *n)
{
    for (int i = 0; i < n->ninst; i++)
        if (atomic_load(&n->inst[i]->answer.ended)) return false;
    return !n->gone;
}

/* An exchange brings every instance the watermarks of all; without one it hears what its like hears. */
bool node_hears_alike(const struct node *n)
{
    bool alike = true;
    for (int p = 0; p < n->nin && n->ninst > 1; p++) {
        const struct node *from = n->in[p].from;
        bool exchange = n->in[p].plan && n->in[p].plan->dist != DIST_SAME;
        alike &= exchange || (from->alike && from->ninst == n->ninst);
    }
    return alike;
}

void keep_unref(struct keep *k)
{
    if (!k || --k->refs) return;
    arena_free(k->arena);
    mem_free(k);
}

struct node *node_of_stream(struct runtime *rt, uint64_t id)
{
    for (struct node *n = rt->nodes; n; n = n->next)
        if (n->stream_id == id && node_runs(n)) return n;
    return NULL;
}

void node_free(struct node *n)
{
    for (int i = 0; i < n->ninst; i++) {
        if (!n->inst[i]) continue;
        worker_release(n->inst[i]->worker, n->inst[i]->slot);
        inst_free(n->inst[i]);
    }
    mem_free((void *)n->pick);
    mem_free(n->inst);
    if (n->arena) arena_free(n->arena);
    if (n->account) account_unref(n->account);
    keep_unref(n->keep);
    mem_free(n);
}
