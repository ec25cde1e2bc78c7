/* Small tables of rows made here: what SHOW and EXPLAIN give. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#define COLUMNS_MAX 24

struct table {
    struct arena *arena;
    struct schema *schema;
    struct value *cells; /* row by row */
    size_t n, cap;
};

struct table *table_new(void)
{
    struct table *t = mem_zalloc(sizeof *t);
    t->arena = arena_new();
    t->schema = schema_new(t->arena, COLUMNS_MAX);
    t->schema->n = 0;
    return t;
}

void table_column(struct table *t, const char *name, enum type_id type)
{
    INVARIANT(t->schema->n < COLUMNS_MAX);
    t->schema->fields[t->schema->n++] = (struct field){.name = arena_strdup(t->arena, name), .type = TYPE((uint8_t)type)};
}

static struct value *next_cell(struct table *t)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        t->cells = mem_realloc(t->cells, t->n * sizeof *t->cells, cap * sizeof *t->cells);
        t->cap = cap;
    }
    struct value *v = &t->cells[t->n];
    memset(v, 0, sizeof *v);
    v->type = t->schema->fields[t->n++ % (size_t)t->schema->n].type;
    return v;
}

void table_null(struct table *t) { next_cell(t)->is_null = true; }

void table_text(struct table *t, const char *v)
{
    struct value *c = next_cell(t);
    c->is_null = !v;
    if (v) c->s = str_view(arena_strdup(t->arena, v), (uint32_t)strlen(v));
}

void table_int(struct table *t, int64_t v) { next_cell(t)->i = v; }
void table_double(struct table *t, double v) { next_cell(t)->d = v; }
void table_bool(struct table *t, bool v) { next_cell(t)->b = v; }

void table_give(struct table *t, struct ArrowArrayStream *out)
{
    size_t width = (size_t)t->schema->n, rows = t->n / width;
    INVARIANT(t->n % width == 0);
    struct pool *pool = pool_new(NULL);
    size_t nbatches = (rows + BATCH_ROWS_MAX - 1) / BATCH_ROWS_MAX;
    struct batch **batches = mem_alloc(sizeof *batches * (nbatches + 1));
    for (size_t k = 0; k < nbatches; k++) {
        size_t from = k * BATCH_ROWS_MAX, n = rows - from < BATCH_ROWS_MAX ? rows - from : BATCH_ROWS_MAX;
        batches[k] = batch_for(pool, t->schema, (uint32_t)n);
        for (size_t r = 0; r < n; r++)
            for (size_t c = 0; c < width; c++)
                batch_put(batches[k], t->schema, (int)c, (uint32_t)r, (uint32_t)n, &t->cells[(from + r) * width + c]);
        batches[k]->rows = (uint32_t)n;
    }
    cdata_stream_list(t->schema, 0, batches, nbatches, out);
    for (size_t k = 0; k < nbatches; k++) batch_unref(batches[k]);
    mem_free(batches);
    pool_close(pool);
    mem_free(t->cells);
    arena_free(t->arena);
    mem_free(t);
}
