/* JSON lines out: one object a line, as RFC 8259 has it. What JSON has no number for (NaN, Infinity) is a string; NULL
 * is null. SPDX-License-Identifier: Apache-2.0 */
#include "format/classes.h"
#include "format/encoder.h"

struct label {
    const char *p; /* {"name": or ,"name": */
    uint32_t n;
};

struct json_encoder {
    struct encoder e;
    struct text labels;
    struct label change;      /* of the changelog's column */
    struct label *label;      /* a column */
    struct printer *printers; /* a column */
    size_t fixed;             /* bytes of a row without its text, at most */
};

/* What stands after the backslash; 0: nothing, 'u': four digits. */
static const char escapes[256] = {[0 ... 7] = 'u', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',      [11] = 'u',
                                  ['\f'] = 'f',    ['\r'] = 'r', ['"'] = '"',  [14 ... 31] = 'u', ['\\'] = '\\'};

#define ESCAPE_MAX 6 /* bytes that one can become */

/* True when none of eight bytes needs an escape. */
static inline bool clean_8(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quote = x ^ ones * '"', slash = x ^ ones * '\\';
    return !((((x - ones * 32) & ~x) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops);
}

static char *put_escaped(const char *from, size_t n, char *p)
{
    static const char hex[] = "0123456789abcdef";
    size_t i = 0;
    while (i < n) {
        uint64_t x;
        if (n - i >= 8 && (memcpy(&x, from + i, 8), clean_8(x))) {
            memcpy(p, &x, 8);
            p += 8, i += 8;
            continue;
        }
        char c = from[i++], escape = escapes[(uint8_t)c];
        if (likely(!escape)) {
            *p++ = c;
            continue;
        }
        *p++ = '\\', *p++ = escape;
        if (escape == 'u') *p++ = '0', *p++ = '0', *p++ = hex[(uint8_t)c >> 4], *p++ = hex[c & 15];
    }
    return p;
}

static char *put_string(const char *from, size_t n, char *p)
{
    *p++ = '"';
    p = put_escaped(from, n, p);
    *p++ = '"';
    return p;
}

/* JSON in JSON, on one line: a newline in it is a blank between tokens. */
static char *put_json(const struct str *s, char *p)
{
    const char *from = str_ptr(s);
    for (uint32_t i = 0; i < s->n; i++) *p++ = from[i] == '\n' || from[i] == '\r' ? ' ' : from[i];
    return p;
}

static char *put_blob_string(const struct str *s, char *p)
{
    *p++ = '"', *p++ = '\\';
    p = printer_blob(s, p);
    *p++ = '"';
    return p;
}

/* A number, unless it is none: NaN, Infinity. */
static inline char *put_number(struct printer *pr, const void *data, uint32_t row, char *p)
{
    char *end = put_cell(pr, data, row, p + 1), digit = p[1] == '-' ? p[2] : p[1];
    if (likely(digit >= '0' && digit <= '9')) return memmove(p, p + 1, (size_t)(end - p - 1)), end - 1;
    *p = '"', *end = '"';
    return end + 1;
}

static char *put_quoted_cell(struct printer *pr, const void *data, uint32_t row, char *p)
{
    *p = '"';
    p = put_cell(pr, data, row, p + 1);
    *p++ = '"';
    return p;
}

static inline char *put_value(struct printer *pr, const struct column *c, uint32_t row, char *p)
{
    const struct str *s = (const struct str *)c->data + row;
    if (unlikely(column_null(c, row))) return memcpy(p, "null", 4), p + 4;
    switch ((enum type_id)pr->type.id) {
    case T_BOOL:
    case T_INT8:
    case T_INT16:
    case T_INT32:
    case T_INT64: return put_cell(pr, c->data, row, p);
    case T_FLOAT:
    case T_DOUBLE:
    case T_DECIMAL: return put_number(pr, c->data, row, p);
    case T_VARCHAR: return put_string(str_ptr(s), s->n, p);
    case T_JSON: return s->n ? put_json(s, p) : (memcpy(p, "null", 4), p + 4);
    case T_BLOB: return put_blob_string(s, p);
    default: return put_quoted_cell(pr, c->data, row, p);
    }
}

static size_t text_bytes(const struct json_encoder *j, const struct batch *b, uint32_t from, uint32_t n)
{
    size_t total = 0;
    for (int i = 0; i < j->e.schema->n; i++) {
        if (!type_is_text(j->printers[i].type)) continue;
        const struct str *s = (const struct str *)b->cols[i].data + from;
        for (uint32_t k = 0; k < n; k++) total += column_null(&b->cols[i], from + k) ? 0 : s[k].n;
    }
    return total;
}

static inline char *put_label(struct label l, char *p)
{
    memcpy(p, l.p, l.n);
    return p + l.n;
}

static char *put_change(const struct json_encoder *j, const struct batch *b, uint32_t row, char *p)
{
    const char *change = encoder_change(&j->e, b, row);
    size_t n = strlen(change);
    p = put_label(j->change, p);
    if (j->e.changelog == CHANGELOG_OP) return put_string(change, n, p);
    memcpy(p, change, n);
    return p + n;
}

/* v: the values of the rows, with `out` its text; NULL: lines. */
static void put_rows(struct json_encoder *j, const struct batch *b, uint32_t from, uint32_t n, struct text *out, struct values *v)
{
    char *p = text_room(out, n * j->fixed + ESCAPE_MAX * text_bytes(j, b, from, n)), *start = p;
    int columns = j->e.schema->n;
    if (!p) return;
    for (uint32_t row = from; row < from + n; row++) {
        if (j->e.changelog) p = put_change(j, b, row, p);
        for (int i = 0; i < columns; i++) {
            p = put_label(j->label[i], p);
            p = put_value(&j->printers[i], &b->cols[i], row, p);
        }
        if (!columns && !j->e.changelog) *p++ = '{';
        *p++ = '}';
        if (v)
            v->offsets[++v->n] = p - out->p;
        else
            *p++ = '\n';
    }
    out->n += (size_t)(p - start);
}

static void json_put(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out)
{
    for (uint32_t end = from + n; from < end; from += ENCODER_ROWS)
        put_rows((struct json_encoder *)e, b, from, end - from < ENCODER_ROWS ? end - from : ENCODER_ROWS, out, NULL);
}

static void json_put_values(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct values *out)
{
    for (uint32_t end = from + n; from < end; from += ENCODER_ROWS)
        put_rows((struct json_encoder *)e, b, from, end - from < ENCODER_ROWS ? end - from : ENCODER_ROWS, &out->text, out);
}

static void add_label(struct json_encoder *j, const char *name, struct label *l)
{
    size_t n = strlen(name), at = j->labels.n;
    char *p = text_room(&j->labels, ESCAPE_MAX * n + 4), *end = p + 1;
    *p = at ? ',' : '{';
    end = put_string(name, n, end);
    *end++ = ':';
    j->labels.n += (size_t)(end - p);
    l->n = (uint32_t)(end - p);
}

static enum status json_open(struct encoder *e, const struct options *o, struct err *err)
{
    struct json_encoder *j = (struct json_encoder *)e;
    int columns = e->schema->n;
    (void)o, (void)err;
    j->label = mem_zalloc(sizeof *j->label * (size_t)(columns + 1));
    j->printers = mem_zalloc(sizeof *j->printers * (size_t)(columns + 1));
    if (e->changelog) add_label(j, encoder_change_name(e), &j->change);
    for (int i = 0; i < columns; i++) {
        add_label(j, e->schema->fields[i].name, &j->label[i]);
        printer_init(&j->printers[i], e->schema->fields[i].type);
    }
    const char *p = j->labels.p;
    j->change.p = p;
    p += j->change.n;
    for (int i = 0; i < columns; i++) j->label[i].p = p, p += j->label[i].n;
    j->fixed = j->labels.n + 16 + (size_t)columns * (CELL_TEXT_MAX + 16);
    return ST_OK;
}

static void json_close(struct encoder *e)
{
    struct json_encoder *j = (struct json_encoder *)e;
    text_done(&j->labels);
    mem_free(j->label);
    mem_free(j->printers);
}

static const struct option_spec json_out_options[] = {
    {NULL, OPT_TEXT, NULL, 0, NULL, 0, 0, NULL}
};

const struct encoder_class json_encoder = {
    .name = "json",
    .size = sizeof(struct json_encoder),
    .options = json_out_options,
    .open = json_open,
    .begin = encoder_hold_nothing,
    .put = json_put,
    .put_values = json_put_values,
    .flush = encoder_hold_nothing,
    .end = encoder_hold_nothing,
    .close = json_close,
};
