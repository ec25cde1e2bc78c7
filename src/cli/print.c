/* Results on the terminal and in pipes. SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include "cli/datum.h"

#include <stdlib.h>
#include <string.h>

bool print_format_of(const char *name, enum print_format *out)
{
    static const struct {
        const char *name;
        enum print_format format;
    } all[] = {
        {"box",       PRINT_BOX },
        {"tsv",       PRINT_TSV },
        {"csv",       PRINT_CSV },
        {"json",      PRINT_JSON},
        {"jsonl",     PRINT_JSON},
        {"jsonlines", PRINT_JSON}
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (!strcmp(all[i].name, name)) return *out = all[i].format, true;
    return false;
}

/* ---- csv, tsv, JSON lines ---------------------------------------------------------------------- */

/* RFC 4180; an empty text is quoted, so that it differs from NULL. */
static void print_field(FILE *out, const char *p, size_t n, char comma)
{
    bool plain = n > 0;
    for (size_t i = 0; i < n && plain; i++) plain = p[i] != comma && p[i] != '"' && p[i] != '\n' && p[i] != '\r';
    if (plain) {
        fwrite(p, 1, n, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"') fputc('"', out);
        fputc(p[i], out);
    }
    fputc('"', out);
}

static void print_csv_row(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *a, int64_t row, char comma)
{
    for (int64_t c = 0; c < x->n_children; c++) {
        size_t n;
        if (c) fputc(comma, out);
        if (datum_is_null(a->children[c], row)) continue;
        if (x->children[c]->format[0] == 'u' || x->children[c]->format[0] == 'U') {
            const char *p = datum_bytes(x->children[c], a->children[c], row, &n);
            print_field(out, p, n, comma);
        } else {
            datum_print(out, x->children[c], a->children[c], row);
        }
    }
    fputc('\n', out);
}

static void print_json_row(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *a, int64_t row)
{
    fputc('{', out);
    for (int64_t c = 0; c < x->n_children; c++) {
        if (c) fputc(',', out);
        datum_json_string(out, x->children[c]->name, strlen(x->children[c]->name));
        fputc(':', out);
        datum_print_json(out, x->children[c], a->children[c], row);
    }
    fputs("}\n", out);
}

void print_rows(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *a, enum print_format format,
                bool begin)
{
    char comma = format == PRINT_TSV ? '\t' : ',';
    if (begin && format != PRINT_JSON) {
        for (int64_t c = 0; c < x->n_children; c++) {
            if (c) fputc(comma, out);
            print_field(out, x->children[c]->name, strlen(x->children[c]->name), comma);
        }
        fputc('\n', out);
    }
    for (int64_t row = 0; a && row < a->length; row++) {
        if (format == PRINT_JSON)
            print_json_row(out, x, a, row);
        else
            print_csv_row(out, x, a, row, comma);
    }
}

/* ---- box ------------------------------------------------------------------------------------------ */

/* Cells lie one after another in `text`, ends[i] is where cell i ends; the first row is the header. */
struct table {
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

static void end_cell(struct table *t)
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

struct table *table_new(const struct ArrowSchema *x)
{
    struct table *t = calloc(1, sizeof *t);
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

void table_add(struct table *t, const struct ArrowSchema *x, const struct ArrowArray *a)
{
    table_add_from(t, x, a, 0);
}

void table_add_from(struct table *t, const struct ArrowSchema *x, const struct ArrowArray *a, int64_t from)
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

static void print_rule(FILE *out, const struct table *t, const char *left, const char *cross, const char *right)
{
    fputs(left, out);
    for (int64_t c = 0; c < t->cols; c++) {
        for (int i = 0; i < t->widths[c] + 2; i++) fputs("─", out);
        fputs(c + 1 < t->cols ? cross : right, out);
    }
    fputc('\n', out);
}

static void print_cell(FILE *out, const struct table *t, size_t i)
{
    size_t from = i ? t->ends[i - 1] : 0, n = t->ends[i] - from, c = i % (size_t)t->cols;
    int pad = t->widths[c] - width_of(t->text + from, n);
    bool right = t->right[c] && i >= (size_t)t->cols;
    fprintf(out, "│ %*s%.*s%*s ", right ? pad : 0, "", (int)n, t->text + from, right ? 0 : pad, "");
}

void table_print(FILE *out, struct table *t)
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

void table_free(struct table *t)
{
    if (!t) return;
    fclose(t->f);
    free(t->text);
    free(t->ends);
    free(t->right);
    free(t->widths);
    free(t);
}

int print_stream(FILE *out, struct ArrowArrayStream *s, enum print_format format, char **error)
{
    struct ArrowSchema x;
    struct ArrowArray a;
    struct table *t = NULL;
    bool begin = true;
    int rc = s->get_schema(s, &x);
    if (!rc) {
        if (format == PRINT_BOX) t = table_new(&x);
        while (!(rc = s->get_next(s, &a)) && a.release) {
            if (t)
                table_add(t, &x, &a);
            else
                print_rows(out, &x, &a, format, begin);
            begin = false;
            a.release(&a);
        }
        if (t && !rc) table_print(out, t);
        if (!t && begin && !rc) print_rows(out, &x, NULL, format, true);
        table_free(t);
        x.release(&x);
    }
    const char *why = rc ? s->get_last_error(s) : NULL;
    *error = why ? strdup(why) : NULL;
    s->release(s);
    return rc;
}
