/* The daily query, one core, batches in memory:
 *     SELECT window_start, origin, COUNT(*), SUM(delay), MIN(delay), MAX(delay), AVG(distance)
 *     FROM flights GROUP BY origin, TUMBLE(ts, INTERVAL '1 day')
 * over 3 M made-up flights: days in order, 230 origins of three letters. Prints one JSON line, with hashing and finding
 * by themselves too. SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"
#include "operator/op.h"

#include <stdio.h>

#define BATCHES 1465 /* about 3 M rows */
#define ORIGINS 230
#define DAY     86400000000ll

static uint64_t rng_state = 1;
static uint32_t rng(uint32_t below)
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ z >> 31) % below);
}

static struct schema *schema_of(struct arena *a, int n, const struct field *fields)
{
    struct schema *s = schema_new(a, n);
    memcpy(s->fields, fields, sizeof *fields * (size_t)n);
    return s;
}

/* Airports are visited unevenly: the square of a uniform draw. */
static struct batch *flights(struct pool *pool, const struct schema *s, int64_t *ts)
{
    struct batch *b = batch_for(pool, s, BATCH_ROWS);
    int64_t *t = b->cols[0].data;
    int32_t *delay = b->cols[1].data, *distance = b->cols[2].data;
    struct str *origin = b->cols[3].data;
    for (uint32_t i = 0; i < BATCH_ROWS; i++) {
        uint32_t u = rng(1000), k = u * u / 1000 * ORIGINS / 1000;
        char name[3] = {(char)('A' + k / 26), (char)('A' + k % 26), 'X'};
        t[i] = *ts += rng(12) * 1000000; /* about 200 days */
        delay[i] = (int32_t)rng(300) - 60;
        distance[i] = (int32_t)rng(2500);
        origin[i] = str_view(name, 3);
    }
    b->rows = BATCH_ROWS;
    return b;
}

static struct plan *daily(struct arena *a)
{
    const struct field in[] = {
        {"ts",       TYPE(T_TIMESTAMP), true },
        {"delay",    TYPE(T_INT32),     false},
        {"distance", TYPE(T_INT32),     false},
        {"origin",   TYPE(T_VARCHAR),   false}
    };
    static const struct {
        const char *name;
        int column;
    } calls[] = {
        {"count", -1},
        {"sum",   1 },
        {"min",   1 },
        {"max",   1 },
        {"avg",   2 }
    };
    struct plan *leaf = arena_alloc(a, sizeof *leaf), *p = arena_alloc(a, sizeof *p);
    struct field out[8] = {
        {"origin",       TYPE(T_VARCHAR),   false},
        {"window_start", TYPE(T_TIMESTAMP), true },
        {"window_end",   TYPE(T_TIMESTAMP), true }
    };
    leaf->kind = PLAN_SOURCE;
    leaf->schema = schema_of(a, 4, in);
    p->kind = PLAN_AGG;
    p->nin = 1;
    p->in = arena_alloc(a, sizeof *p->in);
    p->in->node = leaf;
    p->nkeys = 1;
    p->keys = arena_alloc(a, sizeof *p->keys);
    p->keys[0] = expr_column(a, 3, in[3].type, NO_POS);
    p->window = WINDOW_TUMBLE;
    p->time = expr_column(a, 0, in[0].type, NO_POS);
    p->size_us = DAY;
    p->aggs = arena_alloc(a, sizeof *p->aggs * countof(calls));
    for (size_t i = 0; i < countof(calls); i++) {
        struct expr *arg = calls[i].column < 0 ? NULL : expr_column(a, calls[i].column, TYPE(T_INT32), NO_POS);
        INVARIANT(
            !agg_bind(a, calls[i].name, &arg, arg ? 1 : 0, !arg, false, NULL, NO_POS, &p->aggs[p->naggs++], NULL));
        out[3 + i] = (struct field){calls[i].name, p->aggs[i]->type, false};
    }
    p->schema = schema_of(a, 8, out);
    return p;
}

static struct op *open_op(const struct plan *p, struct pool *pool, struct account *account)
{
    const struct operator_class *c = operator_of(p->kind);
    struct op *op = mem_zalloc(c->size);
    op->class = c;
    op->ctx.plan = p;
    op->ctx.pool = pool;
    op->ctx.state = state_new(account, 1);
    op->ctx.seed = 1;
    op->ctx.workers = 1;
    op->ctx.batch_rows = BATCH_ROWS;
    op->ctx.nports = 1;
    op->ctx.wm[0] = op->ctx.wm_out = TS_MIN;
    INVARIANT(!c->open(op) && !c->start(op));
    return op;
}

static uint64_t take_out(struct op *op, enum status st)
{
    uint64_t rows = 0;
    for (;; st = op->class->more(op)) {
        INVARIANT(st == ST_OK || st == ST_MORE);
        rows += op->ctx.out[OUT_MAIN].n;
        batch_unref(op->ctx.out[OUT_MAIN].b);
        op->ctx.out[OUT_MAIN] = (struct rows){0};
        if (st == ST_OK) return rows;
    }
}

/* A run over all batches with a watermark after each; returns result rows. */
static uint64_t run(struct op *op, struct batch **batches)
{
    uint64_t rows = 0;
    for (int i = 0; i < BATCHES; i++) {
        struct rows r = rows_all(batches[i]);
        INVARIANT(!op->class->batch(op, 0, &r));
        op->ctx.wm[0] = ((int64_t *)r.b->cols[0].data)[r.n - 1];
        rows += take_out(op, op->class->watermark(op, 0));
    }
    op->ctx.wm[0] = TS_MAX;
    return rows + take_out(op, op->class->watermark(op, 0));
}

static int64_t bench_hash(struct env *env, struct batch **batches)
{
    static uint64_t hashes[BATCH_ROWS];
    int64_t start = env_now_us(env);
    for (int i = 0; i < BATCHES; i++) key_hash(&batches[i]->cols[3], &TYPE(T_VARCHAR), 1, BATCH_ROWS, 1, hashes);
    return env_now_us(env) - start;
}

static int64_t bench_find(struct env *env, struct batch **batches)
{
    static uint64_t hashes[BATCH_ROWS];
    static void *values[BATCH_ROWS];
    struct state *s = state_new(NULL, 1);
    struct keyed_decl d = {.name = "k", .nkeys = 1, .keys = {TYPE(T_VARCHAR)}, .value.size = 96};
    struct keyed *k;
    INVARIANT(!keyed_new(s, &d, &k, NULL));
    int64_t start = env_now_us(env);
    for (int i = 0; i < BATCHES; i++) {
        key_hash(&batches[i]->cols[3], d.keys, 1, BATCH_ROWS, 1, hashes);
        slice_upsert_n(keyed_slice(k, 0, true), &batches[i]->cols[3], hashes, BATCH_ROWS, values, NULL);
    }
    int64_t took = env_now_us(env) - start;
    state_free(s);
    return took;
}

int main(void)
{
    struct env *env = env_real();
    struct arena *arena = arena_new();
    struct pool *pool = pool_new(NULL), *out = pool_new(NULL);
    struct account account;
    struct batch **batches = mem_alloc(sizeof *batches * BATCHES);
    const struct plan *p = daily(arena);
    int64_t ts = 11323 * DAY, best = INT64_MAX, hash = INT64_MAX, find = INT64_MAX;
    uint64_t rows = (uint64_t)BATCHES * BATCH_ROWS, groups = 0, allocs = 0;
    account_init(&account, NULL, 0);
    pool_adopt(out);
    for (int i = 0; i < BATCHES; i++) batches[i] = flights(pool, p->in->node->schema, &ts);
    for (int i = 0; i < 5; i++) {
        struct op *op = open_op(p, out, &account);
        uint64_t before = mem_alloc_count();
        int64_t start = env_now_us(env);
        groups = run(op, batches);
        int64_t took = env_now_us(env) - start, h = bench_hash(env, batches), f = bench_find(env, batches);
        allocs = mem_alloc_count() - before;
        if (took < best) best = took;
        if (h < hash) hash = h;
        if (f < find) find = f;
        op->class->close(op);
        state_free(op->ctx.state);
        mem_free(op);
    }
    printf("{\"bench\": \"agg_daily\", \"rows\": %lu, \"groups\": %lu, \"seconds\": %.4f, \"rows_per_s\": %.0f, "
           "\"ns_per_row\": %.2f, "
           "\"hash_ns\": %.2f, \"hash_and_find_ns\": %.2f, \"allocations\": %lu}\n",
           rows, groups, (double)best / 1e6, (double)rows / ((double)best / 1e6), (double)best * 1e3 / (double)rows,
           (double)hash * 1e3 / (double)rows, (double)find * 1e3 / (double)rows, allocs);
    for (int i = 0; i < BATCHES; i++) batch_unref(batches[i]);
    mem_free(batches);
    pool_close(pool);
    pool_close(out);
    arena_free(arena);
    return 0;
}
