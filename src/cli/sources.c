/* How far the sources are. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/datum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t column_named(const struct ArrowSchema *x, const char *name)
{
    for (int64_t i = 0; i < x->n_children; i++)
        if (!strcmp(x->children[i]->name, name)) return i;
    return -1;
}

static double number_at(const struct ArrowSchema *x, const struct ArrowArray *a, const char *name, int64_t row)
{
    int64_t c = column_named(x, name);
    return c < 0 ? NAN : datum_number(x->children[c], a->children[c], row);
}

static int64_t time_at(const struct ArrowSchema *x, const struct ArrowArray *a, const char *name, int64_t row)
{
    int64_t c = column_named(x, name);
    if (c < 0 || strncmp(x->children[c]->format, "tsu", 3) || datum_is_null(a->children[c], row)) return INT64_MIN;
    return ((const int64_t *)a->children[c]->buffers[1])[a->children[c]->offset + row];
}

static void read_row(const struct ArrowSchema *x, const struct ArrowArray *a, int64_t row, struct source_state *out)
{
    size_t n;
    *out = (struct source_state){0};
    if (x->n_children && datum_is_text(x->children[0])) {
        const char *p = datum_bytes(x->children[0], a->children[0], row, &n);
        snprintf(out->name, sizeof out->name, "%.*s", (int)n, p);
    }
    double rows = number_at(x, a, "rows", row), percent = number_at(x, a, "percent", row);
    out->rows = isnan(rows) ? 0 : (int64_t)rows;
    out->percent = isnan(percent) ? -1 : percent;
    out->watermark_us = time_at(x, a, "watermark", row);
}

int sources_state(struct cli *c, struct source_state *out, int max)
{
    struct ArrowArrayStream s = {0};
    struct ArrowSchema x;
    struct ArrowArray a;
    int n = 0;
    if (lam_execute(c->session, "SHOW SOURCES", &s) || !s.release) return 0;
    if (!s.get_schema(&s, &x)) {
        while (!s.get_next(&s, &a) && a.release) {
            for (int64_t row = 0; row < a.length && n < max; row++) read_row(&x, &a, row, &out[n++]);
            a.release(&a);
        }
        x.release(&x);
    }
    s.release(&s);
    return n;
}
