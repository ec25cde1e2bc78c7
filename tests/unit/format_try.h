/* Runs a decoder over text as a source would, cut in pieces, and writes down what came out.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FORMAT_TRY_H
#define TESTS_FORMAT_TRY_H

#include "expr/cell.h"
#include "format/format.h"

#include <stdlib.h>

/* "a INT, b VARCHAR": names and SQL words. */
static inline struct schema *try_schema(struct arena *a, const char *text)
{
    char *copy = arena_strdup(a, text), *save = NULL;
    struct schema *s = schema_new(a, 0);
    struct field *fields = arena_alloc(a, sizeof *fields * 64);
    s->fields = fields;
    for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
        while (*part == ' ') part++;
        char *word = strchr(part, ' ');
        *word++ = 0;
        fields[s->n].name = part;
        if (!strncmp(word, "DECIMAL", 7))
            fields[s->n].type = type_decimal(20, 2);
        else if (!strncmp(word, "VARCHAR", 7))
            fields[s->n].type = (struct type){.id = T_VARCHAR, .length = (uint16_t)(word[7] ? atoi(word + 8) : 0)};
        else if (!strcmp(word, "ARRAY"))
            fields[s->n].type = TYPE(T_ARRAY);
        else
            INVARIANT(type_from_word(word, &fields[s->n].type));
        s->n++;
    }
    return s;
}

/* "delimiter", ";", "header", "false", NULL */
static inline struct options *try_options(struct arena *a, const struct option_spec *table, const char *const *pairs)
{
    struct option_in in[16];
    struct options *o = NULL;
    struct err err;
    int n = 0;
    for (; pairs && pairs[0]; pairs += 2) in[n++] = (struct option_in){pairs[0], pairs[1], 0, 0};
    INVARIANT(!options_read(a, "the test", &table, 1, in, n, &o, &err));
    return o;
}

struct trial {
    const struct decoder_class *class;
    const struct schema *schema;
    const struct options *options;
    enum on_error on_error;
    size_t record_max;
    uint32_t max_rows;
    size_t first, piece; /* bytes of the first piece, and of later ones */
};

struct outcome {
    struct text rows; /* a line each: cells with | after, ~ for NULL */
    enum status status;
    struct err err;
    struct decode_report report;
    int64_t offset;
};

static inline void try_put_rows(const struct schema *s, const struct batch *b, struct text *out)
{
    for (uint32_t row = 0; row < b->rows; row++) {
        for (int i = 0; i < s->n; i++) {
            const char *cell = (const char *)b->cols[i].data + type_width(s->fields[i].type) * row;
            if (column_null(&b->cols[i], row))
                text_putc(out, '~');
            else
                cell_put(s->fields[i].type, cell, out);
            text_putc(out, '|');
        }
        text_putc(out, '\n');
    }
}

/* Each feed is a block of its own with bytes after it that tempt a decoder that looks at them. */
static inline void try_decode(const struct trial *t, const char *p, size_t n, struct outcome *out)
{
    static const char temptation[] =
        "\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1\"\n,}]\\1";
    struct decoder *d = NULL;
    struct pool *pool = pool_new(NULL);
    char *buf = malloc(FORMAT_PADDING);
    size_t fed = 0, piece = t->first ? t->first : t->piece ? t->piece : n;
    pool_adopt(pool);
    *out = (struct outcome){0};
    out->status = decoder_new(t->class, t->schema, t->options, t->on_error, t->record_max, 0, NULL, 0, &d, &out->err);
    while (!out->status) {
        size_t left = d->p ? (size_t)(d->end - d->p) : 0, more = n - fed < piece ? n - fed : piece;
        char *next = malloc(left + more + FORMAT_PADDING);
        if (left) memcpy(next, d->p, left);
        if (more) memcpy(next + left, p + fed, more);
        memcpy(next + left + more, temptation, FORMAT_PADDING);
        free(buf);
        buf = next;
        fed += more;
        piece = t->piece ? t->piece : n;
        decoder_feed(d, buf, left + more, fed == n);
        struct batch *b;
        while (!(out->status = decoder_next(d, pool, t->max_rows ? t->max_rows : BATCH_ROWS, &b, &out->err))) {
            INVARIANT((d->many && !t->class->many) || b->rows <= (t->max_rows ? t->max_rows : BATCH_ROWS));
            try_put_rows(t->schema, b, &out->rows);
            batch_unref(b);
        }
        if (out->status == ST_WAIT && fed < n) out->status = ST_OK;
    }
    if (d) out->report = d->report, out->offset = d->offset;
    decoder_free(d);
    pool_close(pool);
    free(buf);
    text_cstr(&out->rows);
}

/* Values that come one by one; p NULL: a tombstone. */
struct try_value {
    const char *p;
    size_t n;
};

/* Each decoded as a whole record, max_rows at a time; a line of rows begins with its record's number. Records are called by their
 * numbers. */
static inline void try_records(const struct trial *t, const struct try_value *values, uint32_t n, struct outcome *out)
{
    struct decoder *d = NULL;
    struct pool *pool = pool_new(NULL);
    struct record *r = malloc(sizeof *r * (n + 1));
    uint32_t of[BATCH_ROWS_MAX], used, at = 0, most = t->max_rows ? t->max_rows : BATCH_ROWS;
    size_t bytes = 0, all = FORMAT_PADDING;
    for (uint32_t i = 0; i < n; i++) all += values[i].n + 1;
    char *text = malloc(all);
    for (uint32_t i = 0; i < n; i++) {
        r[i] = (struct record){(uint32_t)bytes, values[i].p ? (uint32_t)values[i].n : RECORD_NONE, i};
        if (!values[i].p) continue;
        memcpy(text + bytes, values[i].p, values[i].n);
        bytes += values[i].n;
        text[bytes++] = '\n';
    }
    memset(text + bytes, 0, FORMAT_PADDING);
    pool_adopt(pool);
    *out = (struct outcome){0};
    out->status = decoder_new_records(t->class, t->schema, t->schema, t->options, t->on_error, t->record_max, "test", &d, &out->err);
    while (!out->status && at < n) {
        struct batch *b = NULL;
        out->status = decoder_records(d, pool, text, r + at, n - at < most ? n - at : most, of, &used, &b, &out->err);
        if (out->status) break;
        INVARIANT(used && used <= n - at && (d->many || b->rows <= used));
        for (uint32_t i = 0; i < b->rows; i++) {
            struct rows one = {b, (uint32_t[]){i}, 1};
            struct batch *row = rows_compact(pool, t->schema, &one);
            INVARIANT(of[i] < used && (!i || of[i] > of[i - 1] || (d->many && of[i] == of[i - 1])));
            text_printf(&out->rows, "%u: ", at + of[i]);
            try_put_rows(t->schema, row, &out->rows);
            batch_unref(row);
        }
        batch_unref(b);
        at += used;
    }
    if (d) out->report = d->report;
    decoder_free(d);
    pool_close(pool);
    free(text);
    free(r);
    text_cstr(&out->rows);
}

static inline bool try_same(const struct outcome *a, const struct outcome *b)
{
    return a->status == b->status && a->rows.n == b->rows.n && !memcmp(a->rows.p, b->rows.p, a->rows.n) &&
           a->report.bad == b->report.bad && a->report.nulled == b->report.nulled && a->offset == b->offset &&
           !strcmp(a->report.last.text, b->report.last.text) && !strcmp(a->err.text, b->err.text);
}

#endif
