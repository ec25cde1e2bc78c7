/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include "cli/datum.h"

#include <math.h>
#include <string.h>

void show_each(struct cli *c, const char *sql, void (*fn)(void *ctx, const struct show_row *r), void *ctx)
{
    struct ArrowArrayStream s = {0};
    struct ArrowSchema x;
    struct ArrowArray a;
    if (lam_execute(c->session, sql, &s) || !s.release) return;
    if (!s.get_schema(&s, &x)) {
        while (!s.get_next(&s, &a) && a.release) {
            for (int64_t row = 0; row < a.length; row++) fn(ctx, &(struct show_row){&x, &a, row});
            a.release(&a);
        }
        x.release(&x);
    }
    s.release(&s);
}

static int64_t column_named(const struct show_row *r, const char *name)
{
    for (int64_t i = 0; i < r->schema->n_children; i++)
        if (!strcmp(r->schema->children[i]->name, name))
            return datum_is_null(r->array->children[i], r->row) ? -1 : i;
    return -1;
}

double show_number(const struct show_row *r, const char *column)
{
    int64_t c = column_named(r, column);
    return c < 0 ? NAN : datum_number(r->schema->children[c], r->array->children[c], r->row);
}

int64_t show_count(const struct show_row *r, const char *column)
{
    double n = show_number(r, column);
    return isnan(n) ? 0 : (int64_t)n;
}

int64_t show_time(const struct show_row *r, const char *column)
{
    int64_t c = column_named(r, column);
    if (c < 0 || strncmp(r->schema->children[c]->format, "tsu", 3)) return INT64_MIN;
    const struct ArrowArray *a = r->array->children[c];
    return ((const int64_t *)a->buffers[1])[a->offset + r->row];
}

void show_text(const struct show_row *r, const char *column, char *out, size_t size)
{
    int64_t c = column_named(r, column);
    size_t n = 0;
    const char *p = "";
    if (c >= 0 && datum_is_text(r->schema->children[c]))
        p = datum_bytes(r->schema->children[c], r->array->children[c], r->row, &n);
    snprintf(out, size, "%.*s", (int)n, p);
}
