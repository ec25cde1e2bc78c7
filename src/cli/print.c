/* Results on the terminal and in pipes. SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include "cli/datum.h"
#include "cli/grid.h"

#include <errno.h>
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

int print_stream(FILE *out, struct ArrowArrayStream *s, enum print_format format, bool live, char **error)
{
    struct ArrowSchema x;
    struct ArrowArray a;
    struct grid *t = NULL;
    bool begin = true;
    int rc = s->get_schema(s, &x);
    if (!rc) {
        if (format == PRINT_BOX) t = grid_new(&x);
        if (live) print_rows(out, &x, NULL, format, begin), begin = false, fflush(out);
        while (!(rc = s->get_next(s, &a)) && a.release) {
            if (t)
                grid_add(t, &x, &a);
            else
                print_rows(out, &x, &a, format, begin);
            begin = false;
            a.release(&a);
            if (live) fflush(out);
            if (ferror(out)) {
                rc = errno ? errno : EIO;
                break;
            }
        }
        if (t && !rc) grid_print(out, t);
        if (!t && begin && !rc) print_rows(out, &x, NULL, format, true);
        grid_free(t);
        x.release(&x);
    }
    const char *why = rc ? s->get_last_error(s) : NULL;
    *error = why ? strdup(why) : NULL;
    s->release(s);
    return rc;
}
