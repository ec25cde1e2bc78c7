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

static void end_cell(struct grid *t)
{
    fflush(t->f);
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->ends = realloc(t->ends, t->cap * sizeof *t->ends);
    }
    size_t from = t->n ? t->ends[t->n - 1] : 0;
    int width = width_of(t->text + from, t->bytes - from), *most = &t->widths[t->n % (size_t)t->cols];
    if (width > *most) *most = width;
    t->ends[t->n++] = t->bytes;
}

struct grid *grid_new(const struct ArrowSchema *x)
{
    struct grid *t = calloc(1, sizeof *t);
    t->cols = x->n_children;
    t->right = calloc((size_t)t->cols + 1, sizeof *t->right);
    t->widths = calloc((size_t)t->cols + 1, sizeof *t->widths);
    t->f = open_memstream(&t->text, &t->bytes);
    for (int64_t c = 0; c < t->cols; c++) {
        t->right[c] = datum_is_number(x->children[c]);
        fputs(x->children[c]->name, t->f);
        end_cell(t);
    }
    return t;
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

void grid_add(struct grid *t, const struct ArrowSchema *x, const struct ArrowArray *a)
{
    grid_add_from(t, x, a, 0);
}

void grid_add_from(struct grid *t, const struct ArrowSchema *x, const struct ArrowArray *a, int64_t from)
{
    for (int64_t row = from; row < a->length; row++)
        for (int64_t c = 0; c < t->cols; c++) {
            const struct ArrowSchema *cx = x->children[c];
            size_t n;
            if (datum_is_null(a->children[c], row)) {
                fputs("NULL", t->f);
            } else if (cx->format[0] == 'u' || cx->format[0] == 'U') {
                const char *p = datum_bytes(cx, a->children[c], row, &n);
                put_text(t->f, p, n);
            } else {
                datum_print(t->f, cx, a->children[c], row);
            }
            end_cell(t);
        }
}

static void print_rule(FILE *out, const struct grid *t, const char *left, const char *cross, const char *right)
{
    fputs(left, out);
    for (int64_t c = 0; c < t->cols; c++) {
        for (int i = 0; i < t->widths[c] + 2; i++) fputs("─", out);
        fputs(c + 1 < t->cols ? cross : right, out);
    }
    fputc('\n', out);
}

static void print_cell(FILE *out, const struct grid *t, size_t i)
{
    size_t from = i ? t->ends[i - 1] : 0, n = t->ends[i] - from, c = i % (size_t)t->cols;
    int pad = t->widths[c] - width_of(t->text + from, n);
    bool right = t->right[c];
    fprintf(out, "│ %*s%.*s%*s ", right ? pad : 0, "", (int)n, t->text + from, right ? 0 : pad, "");
}

void grid_print(FILE *out, const struct grid *t)
{
    size_t rows = t->cols ? t->n / (size_t)t->cols - 1 : 0;
    grid_frame(out, t);
    fprintf(out, "(%zu row%s)\n", rows, rows == 1 ? "" : "s");
}

void grid_frame(FILE *out, const struct grid *t)
{
    if (!t->cols) return;
    print_rule(out, t, "┌", "┬", "┐");
    for (size_t i = 0; i < t->n; i++) {
        print_cell(out, t, i);
        if ((i + 1) % (size_t)t->cols == 0) fputs("│\n", out);
        if (i + 1 == (size_t)t->cols) print_rule(out, t, "├", "┼", "┤");
    }
    print_rule(out, t, "└", "┴", "┘");
}

void grid_free(struct grid *t)
{
    if (!t) return;
    fclose(t->f);
    free(t->text);
    free(t->ends);
    free(t->right);
    free(t->widths);
    free(t);
}
