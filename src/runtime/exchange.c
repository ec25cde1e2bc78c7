/* The hash exchange: rows go to the worker that owns their key group. Rows are gathered in one builder per target, given out
 * when full, when the target has nothing else to do, before any watermark, barrier or end, and before the worker
 * parks. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#define KEYS_MAX 16

struct scatter {
    struct inst *from;
    struct eval *keys;
    int nkeys;
    struct type types[KEYS_MAX];
    uint64_t hashes[BATCH_ROWS_MAX];
    uint8_t target[BATCH_ROWS_MAX];
    uint32_t idx[BATCH_ROWS_MAX];  /* row numbers, grouped by target */
    uint32_t begin[257], at[256];  /* of each target in idx; at: not yet given out from here */
    bool spread;                   /* idx is filled for the rows at hand */
};

struct scatter *scatter_new(struct inst *from, const struct plan_input *in, struct err *err)
{
    struct scatter *s = mem_zalloc(sizeof *s);
    s->from = from;
    s->nkeys = in->nkeys;
    INVARIANT(in->nkeys <= KEYS_MAX);
    for (int i = 0; i < in->nkeys; i++) s->types[i] = in->keys[i]->type;
    if (eval_new(in->keys, in->nkeys, from->node->schema, inst_pool(from), &s->keys, err)) {
        mem_free(s);
        return NULL;
    }
    return s;
}

void scatter_free(struct scatter *s)
{
    if (!s) return;
    eval_free(s->keys);
    mem_free(s);
}

/* A counting sort of the row numbers by target, stable, so order per key holds. */
static void spread(struct scatter *s, int ntargets, const struct rows *r)
{
    struct column cols[KEYS_MAX];
    struct row_errors ignored = {0}; /* judged by the operator, which evaluates the keys as well */
    eval_columns(s->keys, r, cols, &ignored);
    key_hash(cols, s->types, s->nkeys, r->n, s->from->worker->rt->cfg.seed, s->hashes);
    uint32_t count[256] = {0};
    for (uint32_t i = 0; i < r->n; i++) {
        s->target[i] = (uint8_t)group_worker(key_group(s->hashes[i]), ntargets);
        count[s->target[i]]++;
    }
    s->begin[0] = 0;
    for (int t = 0; t < ntargets; t++) {
        s->begin[t + 1] = s->begin[t] + count[t];
        s->at[t] = s->begin[t];
    }
    for (uint32_t i = 0; i < r->n; i++) s->idx[s->at[s->target[i]]++] = rows_at(r, i);
    for (int t = 0; t < ntargets; t++) s->at[t] = s->begin[t];
    s->spread = true;
}

static bool fill(struct scatter *s, struct edge *e, int t, const struct rows *r)
{
    const struct schema *schema = s->from->node->schema;
    while (s->at[t] < s->begin[t + 1]) {
        if (edge_closed(e)) {
            s->at[t] = s->begin[t + 1];
            break;
        }
        if (!e->builder) e->builder = batch_for(inst_pool(s->from), schema, EXCHANGE_ROWS);
        uint32_t n = s->begin[t + 1] - s->at[t], room = EXCHANGE_ROWS - e->builder->rows;
        if (n > room) n = room;
        batch_scatter(e->builder, EXCHANGE_ROWS, schema, r->b, s->idx + s->at[t], n);
        s->at[t] += n;
        if (e->builder->rows == EXCHANGE_ROWS && !edge_flush_builder(e)) return false;
    }
    if (e->builder && ring_empty(e->ring)) edge_flush_builder(e);
    return true;
}

bool scatter_rows(struct scatter *s, struct link *l, const struct rows *r)
{
    if (!s->spread) spread(s, l->nedges, r);
    for (int t = 0; t < l->nedges; t++) {
        struct edge *e = l->edges[t];
        if (e->builder && e->builder->rows == EXCHANGE_ROWS && !edge_flush_builder(e)) return false;
        if (!fill(s, e, t, r)) return false;
    }
    s->spread = false;
    return true;
}
