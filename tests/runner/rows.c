/* Rows as lines of text. SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include "cli/datum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void rows_add(struct rows_text *r, const char *line)
{
    if (r->n == r->cap) r->v = realloc(r->v, (r->cap = r->cap ? r->cap * 2 : 16) * sizeof *r->v);
    r->v[r->n++] = strdup(line);
}

static void add_cell(FILE *f, const struct ArrowSchema *x, const struct ArrowArray *a, int64_t row)
{
    char *text;
    size_t n;
    if (datum_is_null(a, row)) {
        fputs("NULL", f);
        return;
    }
    FILE *mem = open_memstream(&text, &n);
    datum_print(mem, x, a, row);
    fclose(mem);
    if (!n) fputs("(empty)", f);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n' || text[i] == '\t')
            fputs(text[i] == '\n' ? "\\n" : "\\t", f);
        else
            fputc(text[i], f);
    }
    free(text);
}

void rows_add_array(struct rows_text *r, const struct ArrowSchema *x, const struct ArrowArray *a)
{
    for (int64_t row = 0; row < a->length; row++) {
        char *line;
        size_t n;
        FILE *f = open_memstream(&line, &n);
        for (int64_t c = 0; c < x->n_children; c++) {
            if (c) fputc('\t', f);
            add_cell(f, x->children[c], a->children[c], row);
        }
        fclose(f);
        rows_add(r, line);
        free(line);
    }
}

void rows_clear(struct rows_text *r)
{
    for (size_t i = 0; i < r->n; i++) free(r->v[i]);
    free(r->v);
    *r = (struct rows_text){0};
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void rows_sort(struct rows_text *r)
{
    if (r->n) qsort(r->v, r->n, sizeof *r->v, by_text);
}

static const char *without_weight(const char *line)
{
    const char *tab = strchr(line, '\t');
    return tab ? tab + 1 : "";
}

static int by_row(const void *a, const void *b)
{
    return strcmp(without_weight(*(char *const *)a), without_weight(*(char *const *)b));
}

void rows_fold(struct rows_text *r)
{
    struct rows_text left = {0};
    if (r->n) qsort(r->v, r->n, sizeof *r->v, by_row);
    for (size_t i = 0, j; i < r->n; i = j) {
        long sum = 0;
        for (j = i; j < r->n && !by_row(&r->v[i], &r->v[j]); j++) sum += atol(r->v[j]);
        for (; sum > 0; sum--) rows_add(&left, without_weight(r->v[i]));
        if (sum < 0) rows_add(&left, "(negative)");
    }
    rows_clear(r);
    *r = left;
}

/* strtok that keeps empty cells. */
static char *next_cell(char **at)
{
    char *cell = *at, *tab = cell ? strchr(cell, '\t') : NULL;
    if (tab) *tab = 0;
    *at = tab ? tab + 1 : NULL;
    return cell;
}

static bool cells_equal(const char *want, const char *got, char type)
{
    if (!strcmp(want, got)) return true;
    if ((!strcmp(want, "t") && !strcmp(got, "true")) || (!strcmp(want, "f") && !strcmp(got, "false"))) return true;
    if (type != 'R') return false;
    char *end1, *end2;
    double a = strtod(want, &end1), b = strtod(got, &end2);
    return end1 != want && end2 != got && !*end1 && !*end2 && fabs(a - b) <= 1e-9 * fmax(1, fmax(fabs(a), fabs(b)));
}

static bool lines_equal(const char *want, const char *got, const char *types)
{
    char *a = strdup(want), *b = strdup(got), *x = a, *y = b, *p, *q;
    bool same = true;
    for (size_t i = 0; same; i++) {
        p = next_cell(&x), q = next_cell(&y);
        if (!p || !q) {
            same = !p && !q;
            break;
        }
        same = cells_equal(p, q, i < strlen(types) ? types[i] : 'T');
    }
    free(a);
    free(b);
    return same;
}

bool rows_equal(const struct rows_text *want, const struct rows_text *got, const char *types)
{
    if (want->n != got->n) return false;
    for (size_t i = 0; i < want->n; i++)
        if (!lines_equal(want->v[i], got->v[i], types)) return false;
    return true;
}

void rows_print(FILE *out, const char *title, const struct rows_text *r)
{
    fprintf(out, "    %s (%zu rows):\n", title, r->n);
    for (size_t i = 0; i < r->n && i < 30; i++) fprintf(out, "        %s\n", r->v[i]);
    if (r->n > 30) fprintf(out, "        ...\n");
}
