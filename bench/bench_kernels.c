/* Expressions over one batch in the cache, on one thread: rows a second, the best of several short runs. A line of
 * JSON for each. `bench_kernels [WORD]` runs those whose name contains WORD.
 * SPDX-License-Identifier: Apache-2.0 */
#include "../tests/unit/expr_text.h"
#include "base/env.h"

#define ROWS BATCH_ROWS

enum { COL_V, COL_K, COL_A, COL_B, COL_C, COL_D, COL_X, COL_Y, COL_S, COL_T, COL_P, COL_Q, COL_N, COL_I, COL_J, COLS };
static const struct {
    const char *name, *type;
} columns[COLS] = {
    {"v", "bigint"},        {"k", "int"},           {"a", "bigint"}, {"b", "bigint"},  {"c", "bigint"},
    {"d", "bigint"},        {"x", "double"},        {"y", "double"}, {"s", "varchar"}, {"ts", "timestamp"},
    {"p", "decimal(18,2)"}, {"q", "decimal(18,2)"}, {"n", "bigint"}, {"i", "int"},     {"j", "int"}};

/* A filter, or columns to compute; both: the columns of the rows that pass. */
static const struct {
    const char *name, *filter, *columns[4];
} benches[] = {
    {"filter v > 10 AND k < 100; a, b*2, c+d", "(and (> $0 10) (< $1 100))", {"$2", "(* $3 2)", "(+ $4 $5)"}},
    {"filter v > 10 AND k < 100", "(and (> $0 10) (< $1 100))", {0}},
    {"filter v > 10", "(> $0 10)", {0}},
    {"int + int", NULL, {"(+ $13 $14)"}},
    {"bigint + bigint", NULL, {"(+ $4 $5)"}},
    {"bigint * 2", NULL, {"(* $3 2)"}},
    {"bigint / bigint", NULL, {"(/ $4 $5)"}},
    {"bigint % 7", NULL, {"(% $4 7)"}},
    {"nullable + 1", NULL, {"(+ $12 1)"}},
    {"double * double + double", NULL, {"(+ (* $6 $7) $6)"}},
    {"double / double", NULL, {"(/ $6 $7)"}},
    {"decimal + decimal", NULL, {"(+ $10 $11)"}},
    {"decimal * decimal", NULL, {"(* $10 $11)"}},
    {"decimal / 3", NULL, {"(/ $10 3)"}},
    {"decimal > 100.5", "(> $10 100.5)", {0}},
    {"bigint = bigint", NULL, {"(= $4 $5)"}},
    {"nullable > 10 OR k < 100", "(or (> $12 10) (< $1 100))", {0}},
    {"v BETWEEN 10 AND 500", "(between $0 10 500)", {0}},
    {"k IN (4 ints)", "(in $1 1 7 50 99)", {0}},
    {"k IN (30 ints)", "(in $1 1 7 50 99 2 3 4 5 6 8 9 10 11 12 13 14 21 22 23 24 25 26 27 28 29 30 31 32 33 34)", {0}},
    {"k IN (16 ints)", "(in $1 1 7 50 99 2 3 4 5 6 8 9 10 11 12 13 14)", {0}},
    {"s IN (4 texts)", "(in $8 'alpha' 'gamma' 'a longer text than twelve' 'x')", {0}},
    {"CASE v > 500 THEN 1 ELSE 0", NULL, {"(case (> $0 500) 1 0)"}},
    {"CASE of divisions", NULL, {"(case (= $1 0) null (/ $0 $1))"}},
    {"COALESCE(nullable, 0)", NULL, {"(coalesce $12 0)"}},
    {"CAST int AS bigint", NULL, {"(cast bigint $13)"}},
    {"CAST bigint AS double", NULL, {"(cast double $4)"}},
    {"CAST double AS bigint", NULL, {"(cast bigint $6)"}},
    {"CAST bigint AS varchar", NULL, {"(cast varchar $4)"}},
    {"CAST double AS varchar", NULL, {"(cast varchar $6)"}},
    {"CAST timestamp AS varchar", NULL, {"(cast varchar $9)"}},
    {"s = 'gamma'", "(= $8 'gamma')", {0}},
    {"s LIKE 'al%'", "(like $8 'al%')", {0}},
    {"s LIKE '%text%'", "(like $8 '%text%')", {0}},
    {"s LIKE '%a_e%'", "(like $8 '%a_e%')", {0}},
    {"lower(s)", NULL, {"(lower $8)"}},
    {"length(s)", NULL, {"(length $8)"}},
    {"substring(s, 2, 4)", NULL, {"(substring $8 2 4)"}},
    {"s || s", NULL, {"(\"||\" $8 $8)"}},
    {"ts - interval", NULL, {"(- $9 (interval '5 seconds'))"}},
    {"ts - ts", NULL, {"(- $9 (cast timestamp '2024-01-01'))"}},
    {"date_trunc('minute', ts)", NULL, {"(date_trunc 'minute' $9)"}},
    {"date_trunc('month', ts)", NULL, {"(date_trunc 'month' $9)"}},
    {"extract(hour from ts)", NULL, {"(extract 'hour' $9)"}},
    {"to_char(ts, 'YYYY-MM-DD HH24:MI')", NULL, {"(to_char $9 'YYYY-MM-DD HH24:MI')"}},
};

static struct value make(int column, uint64_t r, uint32_t row)
{
    static const char *const words[] = {"alpha", "gamma", "a longer text than twelve", "x",
                                        "delta epsilon zeta eta theta"};
    struct value v = {0};
    switch (column) {
    case COL_K:
    case COL_I:
    case COL_J: v.i = (int64_t)(r % 128); break;
    case COL_X:
    case COL_Y: v.d = (double)(r % 100000) / 7 + 1; break;
    case COL_S: v.s = str_view(words[r % 5], (uint32_t)strlen(words[r % 5])); break;
    case COL_T: v.i = 1704067200000000ll + row * 12345678ll; break;
    case COL_P:
    case COL_Q: v.dec = (int128)(r % 1000000); break;
    case COL_N:
        v.is_null = r % 8 == 0;
        v.i = (int64_t)(r % 1000);
        break;
    default: v.i = (int64_t)(r % 1000) + 1; break;
    }
    return v;
}

static struct batch *fill(struct pool *pool, const struct schema *s)
{
    struct batch *b = batch_for(pool, s, ROWS);
    uint64_t r = 1;
    for (uint32_t row = 0; row < ROWS; row++)
        for (int k = 0; k < COLS; k++) {
            r = r * 6364136223846793005u + 1442695040888963407u;
            struct value v = make(k, r >> 33, row);
            batch_put(b, s, k, row, ROWS, &v);
        }
    b->rows = ROWS;
    return b;
}

static struct eval *build(struct arena *a, struct pool *pool, const struct schema *s, const char *const *texts, int n)
{
    struct expr *exprs[4];
    struct err err;
    struct eval *ev;
    for (int i = 0; i < n; i++) {
        struct reader r = {.p = texts[i], .a = a, .in = s};
        if (read_expr(&r, &exprs[i], &err)) exit((fprintf(stderr, "%s: %s\n", texts[i], err.text), 1));
    }
    if (eval_new(exprs, n, s, pool, &ev, &err)) exit((fprintf(stderr, "%s\n", err.text), 1));
    return ev;
}

static void once(struct eval *filter, struct eval *project, struct batch *b)
{
    uint32_t sel[ROWS];
    struct row_errors errors;
    struct rows rows = rows_all(b);
    if (filter) {
        eval_filter(filter, &rows, sel, &rows.n, &errors);
        rows.sel = sel;
    }
    if (project) batch_unref(eval_project(project, &rows, &errors));
}

int main(int argc, char **argv)
{
    struct pool *pool = pool_new(NULL);
    struct env *env = env_real();
    pool_adopt(pool);
    for (size_t i = 0; i < countof(benches); i++) {
        if (argc > 1 && !strstr(benches[i].name, argv[1])) continue;
        struct arena *a = arena_new();
        struct schema *s = schema_new(a, COLS);
        for (int k = 0; k < COLS; k++)
            s->fields[k] = (struct field){.name = columns[k].name, .type = type_of_text(columns[k].type)};
        struct batch *b = fill(pool, s);
        int n = 0;
        while (n < 4 && benches[i].columns[n]) n++;
        struct eval *filter = benches[i].filter ? build(a, pool, s, &benches[i].filter, 1) : NULL;
        struct eval *project = n ? build(a, pool, s, benches[i].columns, n) : NULL;
        once(filter, project, b);
        uint64_t allocs = mem_alloc_count();
        double best = 0;
        for (int round = 0; round < 7; round++) {
            int64_t from = env_now_us(env), took, rows = 0;
            do {
                for (int k = 0; k < 8; k++) once(filter, project, b);
                rows += 8 * ROWS;
            } while ((took = env_now_us(env) - from) < 10000);
            if ((double)rows / (double)took > best) best = (double)rows / (double)took;
        }
        printf("{\"bench\": \"kernels\", \"name\": \"%s\", \"mrows_per_s\": %.1f, \"allocations\": %llu}\n",
               benches[i].name, best, (unsigned long long)(mem_alloc_count() - allocs));
        eval_free(filter);
        eval_free(project);
        batch_unref(b);
        arena_free(a);
    }
    pool_close(pool);
    return 0;
}
