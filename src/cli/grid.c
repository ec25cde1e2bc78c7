/* Rows in a frame. SPDX-License-Identifier: Apache-2.0 */
#include "cli/grid.h"

#include "cli/datum.h"

#include <stdlib.h>
#include <string.h>

/* Cells lie one after another in `text`, ends[i] is where cell i ends; the first row is the header. */
struct grid {
    int64_t cols;
    bool *right; /* numbers stand right */
    int *widths;
    FILE *f;
    char *text;
    size_t bytes, *ends, n, cap;
};

static int width_of(const char *p, size_t n)
{
    int width = 0;
    for (size_t i = 0; i < n; i++) width += (p[i] & 0xc0) != 0x80;
    return width;
}

static void end_cell(struct grid *g)
{
    fflush(g->f);
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 64;
        g->ends = realloc(g->ends, g->cap * sizeof *g->ends);
    }
    size_t from = g->n ? g->ends[g->n - 1] : 0;
    int width = width_of(g->text + from, g->bytes - from), *most = &g->widths[g->n % (size_t)g->cols];
    if (width > *most) *most = width;
    g->ends[g->n++] = g->bytes;
}

struct grid *grid_new(const struct ArrowSchema *x)
{
    struct grid *g = calloc(1, sizeof *g);
    g->cols = x->n_children;
    g->right = calloc((size_t)g->cols + 1, sizeof *g->right);
    g->widths = calloc((size_t)g->cols + 1, sizeof *g->widths);
    g->f = open_memstream(&g->text, &g->bytes);
    for (int64_t c = 0; c < g->cols; c++) {
        g->right[c] = datum_is_number(x->children[c]);
        fputs(x->children[c]->name, g->f);
        end_cell(g);
    }
    return g;
}

/* A line break or a control character inside a cell would break the frame. */
static void put_text(FILE *f, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)p[i];
        if (ch == '\n' || ch == '\t' || ch == '\r')
            fputs(ch == '\n' ? "\\n" : ch == '\t' ? "\\t" : "\\r", f);
        else if (ch < 0x20 || ch == 0x7f)
            fprintf(f, "\\x%02x", ch);
        else
            fputc(ch, f);
    }
}

void grid_add(struct grid *g, const struct ArrowSchema *x, const struct ArrowArray *a)
{
    grid_add_from(g, x, a, 0);
}

void grid_add_from(struct grid *g, const struct ArrowSchema *x, const struct ArrowArray *a, int64_t from)
{
    for (int64_t row = from; row < a->length; row++)
        for (int64_t c = 0; c < g->cols; c++) {
            const struct ArrowSchema *cx = x->children[c];
            size_t n;
            if (datum_is_null(a->children[c], row)) {
                fputs("NULL", g->f);
            } else if (cx->format[0] == 'u' || cx->format[0] == 'U') {
                const char *p = datum_bytes(cx, a->children[c], row, &n);
                put_text(g->f, p, n);
            } else {
                datum_print(g->f, cx, a->children[c], row);
            }
            end_cell(g);
        }
}

static void print_rule(FILE *out, const struct grid *g, const char *left, const char *cross, const char *right)
{
    fputs(left, out);
    for (int64_t c = 0; c < g->cols; c++) {
        for (int i = 0; i < g->widths[c] + 2; i++) fputs("─", out);
        fputs(c + 1 < g->cols ? cross : right, out);
    }
    fputc('\n', out);
}

static void print_cell(FILE *out, const struct grid *g, size_t i)
{
    size_t from = i ? g->ends[i - 1] : 0, n = g->ends[i] - from, c = i % (size_t)g->cols;
    int pad = g->widths[c] - width_of(g->text + from, n);
    bool right = g->right[c];
    fprintf(out, "│ %*s%.*s%*s ", right ? pad : 0, "", (int)n, g->text + from, right ? 0 : pad, "");
}

void grid_print(FILE *out, const struct grid *g)
{
    size_t rows = g->cols ? g->n / (size_t)g->cols - 1 : 0;
    grid_frame(out, g);
    fprintf(out, "(%zu row%s)\n", rows, rows == 1 ? "" : "s");
}

void grid_frame(FILE *out, const struct grid *g)
{
    if (!g->cols) return;
    print_rule(out, g, "┌", "┬", "┐");
    for (size_t i = 0; i < g->n; i++) {
        print_cell(out, g, i);
        if ((i + 1) % (size_t)g->cols == 0) fputs("│\n", out);
        if (i + 1 == (size_t)g->cols) print_rule(out, g, "├", "┼", "┤");
    }
    print_rule(out, g, "└", "┴", "┘");
}

void grid_free(struct grid *g)
{
    if (!g) return;
    fclose(g->f);
    free(g->text);
    free(g->ends);
    free(g->right);
    free(g->widths);
    free(g);
}
