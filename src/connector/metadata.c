/* Columns that messages carry beside their values. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector.h"

const struct metadata *metadata_find(const struct metadata *table, const char *name)
{
    for (; table && table->name; table++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}

void metadata_divide(struct arena *a, const struct metadata *table, const struct schema *s, struct divided *out)
{
    struct schema *mine = schema_new(a, s->n), *value = schema_new(a, s->n);
    out->mine_at = arena_alloc(a, sizeof(int) * (size_t)(s->n + 1));
    out->value_at = arena_alloc(a, sizeof(int) * (size_t)(s->n + 1));
    mine->n = value->n = 0;
    for (int i = 0; i < s->n; i++) {
        const struct metadata *m = metadata_find(table, s->fields[i].name);
        if (m) {
            out->mine_at[mine->n] = i;
            mine->fields[mine->n++] = (struct field){.name = s->fields[i].name, .type = m->type};
        } else {
            out->value_at[value->n] = i;
            value->fields[value->n++] = s->fields[i];
        }
    }
    out->mine = mine;
    out->value = value;
}

struct batch *divided_values(const struct divided *d, struct pool *pool, struct batch *b)
{
    if (!d->mine->n) return batch_ref(b);
    struct batch *out = batch_new(pool, d->value->n);
    out->rows = b->rows;
    out->weight = b->weight;
    batch_pin(out, b);
    for (int i = 0; i < d->value->n; i++) out->cols[i] = b->cols[d->value_at[i]];
    return out;
}
