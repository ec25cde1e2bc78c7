/* CSV and TSV out, as RFC 4180 has them: NULL is an empty field and empty text is "".
 * SPDX-License-Identifier: Apache-2.0 */
#include "format/classes.h"
#include "format/csv_dialect.h"
#include "format/encoder.h"

struct csv_encoder {
    struct encoder e;
    struct csv_dialect dialect;
    bool special[256];        /* bytes that a field must be quoted for */
    bool careful;             /* numbers and times may need quotes too */
    size_t fixed;             /* bytes of a row without its text, at most */
    struct printer *printers; /* a column */
};

static enum status csv_open(struct encoder *e, const struct options *o, struct err *err)
{
    struct csv_encoder *c = (struct csv_encoder *)e;
    TRY(csv_dialect_init(&c->dialect, o, err));
    if (e->values) TRY(csv_dialect_records(&c->dialect, o, err));
    const struct csv_dialect *d = &c->dialect;
    c->special[(uint8_t)d->delimiter] = c->special['\n'] = c->special['\r'] = true;
    if (d->quote >= 0) c->special[d->quote] = true;
    c->careful = c->special[' '] || c->special['-'] || c->special['+'] || c->special[':'] || d->null_n;
    c->printers = mem_alloc(sizeof *c->printers * (size_t)(e->schema->n + 1));
    for (int i = 0; i < e->schema->n; i++) printer_init(&c->printers[i], e->schema->fields[i].type);
    c->fixed = 4 + (size_t)e->schema->n * (2 * CELL_TEXT_MAX + 3 + d->null_n);
    return ST_OK;
}

static void csv_close(struct encoder *e)
{
    struct csv_encoder *c = (struct csv_encoder *)e;
    csv_dialect_done(&c->dialect);
    mem_free(c->printers);
}

static bool plain(const struct csv_encoder *c, const char *p, size_t n)
{
    if (!n || (n == c->dialect.null_n && !memcmp(p, c->dialect.null_text, n))) return false;
    for (size_t i = 0; i < n; i++)
        if (c->special[(uint8_t)p[i]]) return false;
    return true;
}

static char *put_quoted(const struct csv_encoder *c, const char *from, size_t n, char *p)
{
    char quote = (char)c->dialect.quote;
    *p++ = quote;
    for (size_t i = 0; i < n; i++) {
        if (from[i] == quote) *p++ = quote;
        *p++ = from[i];
    }
    *p++ = quote;
    return p;
}

/* At most 2 * n + 2 bytes. Without a quote there is no way to say more than the bytes. */
static inline char *put_field(const struct csv_encoder *c, const char *from, size_t n, char *p)
{
    if (unlikely(c->dialect.quote >= 0 && !plain(c, from, n))) return put_quoted(c, from, n, p);
    memcpy(p, from, n);
    return p + n;
}

static char *put_careful(const struct csv_encoder *c, const char *from, const char *end, char *p)
{
    char copy[CELL_TEXT_MAX];
    memcpy(copy, from, (size_t)(end - from));
    return put_field(c, copy, (size_t)(end - from), p);
}

static inline char *put_value(struct csv_encoder *c, const struct batch *b, int col, uint32_t row, char *p)
{
    const struct column *column = &b->cols[col];
    struct printer *printer = &c->printers[col];
    if (unlikely(column_null(column, row))) {
        memcpy(p, c->dialect.null_text, c->dialect.null_n);
        return p + c->dialect.null_n;
    }
    if (!type_is_text(printer->type)) {
        char *end = put_cell(printer, column->data, row, p);
        return unlikely(c->careful) ? put_careful(c, p, end, p) : end;
    }
    const struct str *s = (const struct str *)column->data + row;
    return printer->type.id == T_BLOB ? printer_blob(s, p) : put_field(c, str_ptr(s), s->n, p);
}

static size_t text_bytes(const struct csv_encoder *c, const struct batch *b, uint32_t from, uint32_t n)
{
    size_t total = 0;
    for (int i = 0; i < c->e.schema->n; i++) {
        if (!type_is_text(c->printers[i].type)) continue;
        const struct str *s = (const struct str *)b->cols[i].data + from;
        for (uint32_t k = 0; k < n; k++) total += column_null(&b->cols[i], from + k) ? 0 : s[k].n;
    }
    return total;
}

/* v: the values of the rows, with `out` its text; NULL: lines. */
static void put_rows(struct csv_encoder *c, const struct batch *b, uint32_t from, uint32_t n, struct text *out, struct values *v)
{
    char *p = text_room(out, n * c->fixed + 2 * text_bytes(c, b, from, n)), *start = p;
    int columns = c->e.schema->n;
    if (!p) return;
    for (uint32_t row = from; row < from + n; row++) {
        if (c->e.changelog) {
            const char *change = encoder_change(&c->e, b, row);
            while (*change) *p++ = *change++;
            *p++ = c->dialect.delimiter;
        }
        for (int i = 0; i < columns; i++) {
            p = put_value(c, b, i, row, p);
            *p++ = c->dialect.delimiter;
        }
        if (columns || c->e.changelog) p--;
        if (v)
            v->offsets[++v->n] = p - out->p;
        else
            *p++ = '\n';
    }
    out->n += (size_t)(p - start);
}

static void csv_put(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out)
{
    for (uint32_t end = from + n; from < end; from += ENCODER_ROWS)
        put_rows((struct csv_encoder *)e, b, from, end - from < ENCODER_ROWS ? end - from : ENCODER_ROWS, out, NULL);
}

static void csv_put_values(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct values *out)
{
    for (uint32_t end = from + n; from < end; from += ENCODER_ROWS)
        put_rows((struct csv_encoder *)e, b, from, end - from < ENCODER_ROWS ? end - from : ENCODER_ROWS, &out->text, out);
}

static void put_name(struct csv_encoder *c, const char *name, struct text *out)
{
    char *p = text_room(out, 2 * strlen(name) + 3);
    if (!p) return;
    char *end = put_field(c, name, strlen(name), p);
    *end++ = c->dialect.delimiter;
    out->n += (size_t)(end - p);
}

static void csv_begin(struct encoder *e, struct text *out)
{
    struct csv_encoder *c = (struct csv_encoder *)e;
    if (!c->dialect.header) return;
    if (e->changelog) put_name(c, encoder_change_name(e), out);
    for (int i = 0; i < e->schema->n; i++) put_name(c, e->schema->fields[i].name, out);
    if (e->changelog || e->schema->n) out->n--;
    text_putc(out, '\n');
}

#define CSV_ENCODER(name_, options_)                                                                                   \
    {                                                                                                                  \
        .name = name_, .size = sizeof(struct csv_encoder), .options = options_, .open = csv_open, .begin = csv_begin,  \
        .put = csv_put, .put_values = csv_put_values, .flush = encoder_hold_nothing, .end = encoder_hold_nothing, .close = csv_close                 \
    }
const struct encoder_class csv_encoder = CSV_ENCODER("csv", csv_options);
const struct encoder_class tsv_encoder = CSV_ENCODER("tsv", tsv_options);
