/* CSV and TSV in, as RFC 4180 has them: fields by the names of the header line.
 *
 * Two passes over up to a batch of records. The first (csv_scan) finds where fields end; records that do not have the
 * right number of them are sorted out. The second goes column by column over those places, so that each type has one
 * tight loop, columns nobody asked for are never looked at, and a date equal to the one above costs a comparison. What
 * the loop's fast reader refuses (quotes in quotes, NULL, spelt otherwise, wrong) takes the slow way, one field at a
 * time.
 *
 * A bad field marks its row dead; dead rows leave the batch at the end. Under FAIL the batch ends before the first bad
 * record and the next call reports it, so that the rows before it do not depend on how the input was cut.
 *
 * A blank line is no record, but where a record is one field: there it is a NULL. SPDX-License-Identifier: Apache-2.0
 */
#include "format/classes.h"
#include "format/csv_scan.h"
#include "format/decoder.h"
#include "format/field.h"

struct csv {
    struct decoder d;
    struct csv_dialect dialect;
    bool header;                  /* the next line is the header */
    bool passing;                 /* over a record that is too long, */
    int64_t passed, passed_lines; /* of which p has left so much behind */
    struct csv_state passing_state;
    int nfields;  /* of a record */
    int *fields;  /* where each column of the schema is found */
    int64_t line; /* of p; 0: unknown, for decoding began in the middle */
    struct csv_index index;
    uint32_t *records; /* number of each good record's first field */
    uint64_t *dead;
    uint32_t cap; /* of both, in rows */
    struct text scratch;
    struct day_memo *days; /* a column */
};

struct span {
    const char *p;
    uint32_t n;
};

/* Records that came one by one. */
struct taken {
    const struct record *r;
    uint32_t n;
    uint32_t *of; /* the record of each row */
};

/* What is wrong with a record; the one to tell of is the first under FAIL, else the latest. */
struct fault {
    enum { FAULT_NONE, FAULT_FIELD, FAULT_COUNT, FAULT_OVERLONG, FAULT_UNCLOSED, FAULT_LINES } kind;
    uint32_t record; /* number of its first field */
    int col;
    uint32_t count;
};

/* The records of one call. */
struct window {
    const char *base;
    uint32_t n, used;
    uint32_t rows;     /* good records */
    uint32_t newlines; /* that ended records */
    bool tail;         /* the last record has no newline, */
    bool unclosed;     /* but ends inside quotes */
    bool careful;      /* fields may be quoted, or NULL though not empty */
    bool check_utf8;
    uint32_t ndead, first_dead;
    struct fault fault;
    struct batch *batch;
    const struct taken *taken; /* NULL: lines */
};

/* ---- fields ------------------------------------------------------------------------------------------ */

static inline uint32_t field_start(const struct csv *c, uint32_t i)
{
    return c->index.ends[(int64_t)i - 1] + 1;
}

static inline struct span field_span(const struct csv *c, const char *base, uint32_t i, bool last)
{
    uint32_t start = field_start(c, i);
    struct span s = {base + start, c->index.ends[i] - start};
    if (last && s.n && s.p[s.n - 1] == '\r') s.n--; /* of CRLF */
    return s;
}

static inline bool is_quoted(const struct csv *c, struct span s)
{
    return s.n && (uint8_t)*s.p == c->dialect.quote;
}

static inline bool is_null(const struct csv *c, struct span s)
{
    return s.n == c->dialect.null_n && !memcmp(s.p, c->dialect.null_text, s.n);
}

/* Takes the quotes off; the result may lie in the scratch. False: they do not close, or before the end. */
static bool unquote(struct csv *c, struct span *s)
{
    const char *p = s->p + 1, *end = s->p + s->n, *close;
    text_clear(&c->scratch);
    while ((close = memchr(p, c->dialect.quote, (size_t)(end - p))) && close + 1 < end) {
        if ((uint8_t)close[1] != c->dialect.quote) return false;
        text_put(&c->scratch, p, (size_t)(close + 1 - p));
        p = close + 2;
    }
    if (!close) return false;
    if (p == s->p + 1) {
        *s = (struct span){p, (uint32_t)(close - p)};
        return true;
    }
    text_put(&c->scratch, p, (size_t)(close - p));
    text_room(&c->scratch, FORMAT_PADDING);
    *s = (struct span){c->scratch.p, (uint32_t)c->scratch.n};
    return true;
}

/* Where fields may be quoted or NULL: false for a NULL and for quotes in quotes, else *s is the text. */
static inline bool peel(const struct csv *c, struct span *s)
{
    if (!is_quoted(c, *s)) return !is_null(c, *s);
    if (s->n < 2 || (uint8_t)s->p[s->n - 1] != c->dialect.quote) return false;
    s->p++, s->n -= 2;
    return !memchr(s->p, c->dialect.quote, s->n);
}

/* ---- what is wrong -------------------------------------------------------------------------------------- */

static void fault_put(const struct csv *c, struct window *w, struct fault f)
{
    bool fail = c->d.on_error == ON_ERROR_FAIL;
    if (!w->fault.kind || (fail ? f.record < w->fault.record : f.record > w->fault.record)) w->fault = f;
}

static int64_t count_newlines(const char *p, size_t n)
{
    int64_t count = 0;
    for (const char *end = p + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++) count++;
    return count;
}

static void tell_field(struct csv *c, const struct window *w, const struct fault *f, struct place *at)
{
    const struct field *column = &c->d.schema->fields[f->col];
    int number = c->fields[f->col];
    struct span s = field_span(c, w->base, f->record + (uint32_t)number, number == c->nfields - 1);
    _Alignas(16) char data[16], shown[REPORT_TEXT];
    struct err why = {0};
    at->column = column->name;
    if (is_quoted(c, s) && !unquote(c, &s))
        report_put(&c->d.report, at, "something follows the closing quote: %s", report_text(s.p, s.n, shown));
    else if (decoder_cell(NULL, column->type, data, s.p, s.n, &why))
        report_put(&c->d.report, at, "%s", why.text);
}

static struct place place_of(const struct csv *c, const struct window *w, uint32_t start)
{
    const struct taken *t = w->taken;
    if (!t) return (struct place){c->line ? c->line + count_newlines(w->base, start) : 0, c->d.offset + start, NULL, NULL};
    uint32_t i = 0;
    while (i + 1 < t->n && t->r[i].start != start) i++;
    return (struct place){.offset = t->r[i].offset, .split = c->d.split};
}

static void tell(struct csv *c, const struct window *w)
{
    const struct fault *f = &w->fault;
    if (!f->kind) return;
    struct place at = place_of(c, w, field_start(c, f->record));
    switch (f->kind) {
    case FAULT_FIELD: tell_field(c, w, f, &at); break;
    case FAULT_COUNT:
        report_put(&c->d.report, &at, "%u field%s where the %s %d", f->count, f->count == 1 ? "" : "s",
                   c->dialect.header ? "header has" : "columns are", c->nfields);
        break;
    case FAULT_UNCLOSED: report_put(&c->d.report, &at, "a quoted field is not closed"); break;
    case FAULT_LINES: report_put(&c->d.report, &at, "it has more than one line"); break;
    default: report_put(&c->d.report, &at, "the record is longer than %zu bytes (record.max)", c->d.record_max);
    }
}

/* ---- columns ------------------------------------------------------------------------------------------ */

static void bad_field(struct csv *c, struct window *w, int col, uint32_t row)
{
    decoder_null(w->batch, c->d.schema, col, row, w->rows);
    fault_put(c, w, (struct fault){.kind = FAULT_FIELD, .record = c->records[row], .col = col});
    if (c->d.on_error == ON_ERROR_NULL) {
        c->d.report.nulled++;
    } else if (!bit_get(c->dead, row)) {
        bit_set(c->dead, row);
        w->ndead++;
        if (row < w->first_dead) w->first_dead = row;
    }
}

/* Whatever the fast reader of a column did not take. */
static __attribute__((noinline)) void slow_field(struct csv *c, struct window *w, int col, uint32_t row, struct span s)
{
    struct type t = c->d.schema->fields[col].type;
    char *data = (char *)w->batch->cols[col].data + type_width(t) * row;
    bool quoted = is_quoted(c, s);
    if (!quoted && is_null(c, s))
        decoder_null(w->batch, c->d.schema, col, row, w->rows);
    else if ((quoted && !unquote(c, &s)) || decoder_cell(w->batch, t, data, s.p, s.n, NULL))
        bad_field(c, w, col, row);
}

/* Everything a column's loop needs, at hand and not behind pointers. */
struct loop {
    const char *base;
    const uint32_t *records;
    uint32_t rows;
    uint32_t field;
    bool last, careful;
};

/* READ(i, s): reads span s to row i, or is false. */
#define LOOP(READ)                                                                                                     \
    for (uint32_t i = 0; i < l.rows; i++) {                                                                            \
        const struct span raw = field_span(c, l.base, l.records[i] + l.field, l.last);                                 \
        struct span s = raw;                                                                                           \
        if (unlikely((l.careful && !peel(c, &s)) || !(READ))) slow_field(c, w, col, i, raw);                           \
    }

#define INTEGERS(T, MIN, MAX)                                                                                          \
    do {                                                                                                               \
        T *out = w->batch->cols[col].data;                                                                             \
        int64_t v;                                                                                                     \
        LOOP(field_int64(s.p, s.n, &v) && v >= MIN && v <= MAX && (out[i] = (T)v, true))                               \
    } while (0)

struct copy {
    struct str *out;
    char *heap;
    uint32_t max; /* longer text is not simply copied */
    bool check_utf8;
};

/* The heap has 32 bytes to spare. */
static inline bool put_text(struct copy *t, uint32_t i, struct span s)
{
    if (unlikely(s.n > t->max || (t->check_utf8 && !utf8_valid(s.p, s.n)))) return false;
    if (likely(s.n <= STR_INLINE)) {
        t->out[i] = field_short(s.p, s.n);
        return true;
    }
    if (likely(s.n <= 32))
        memcpy(t->heap, s.p, 32);
    else
        memcpy(t->heap, s.p, s.n);
    struct str view = {.n = s.n, .p = t->heap};
    memcpy(view.prefix, s.p, 4);
    t->out[i] = view;
    t->heap += s.n;
    return true;
}

static size_t long_bytes(const struct csv *c, const struct loop *l)
{
    size_t total = 0;
    for (uint32_t i = 0; i < l->rows; i++) {
        uint32_t k = l->records[i] + l->field, n = c->index.ends[k] - field_start(c, k);
        total += n > STR_INLINE ? n : 0;
    }
    return total;
}

static void text_column(struct csv *c, struct window *w, int col, struct loop l)
{
    uint16_t length = c->d.schema->fields[col].type.length;
    size_t bytes = long_bytes(c, &l);
    struct copy t = {w->batch->cols[col].data, NULL, length ? length : UINT32_MAX, w->check_utf8};
    if (bytes) t.heap = batch_text(w->batch, bytes + 32);
    if (l.careful)
        LOOP(put_text(&t, i, s))
    else
        LOOP(s.n && put_text(&t, i, s))
}

static void column(struct csv *c, struct window *w, int col)
{
    struct type t = c->d.schema->fields[col].type;
    char *data = w->batch->cols[col].data;
    struct day_memo *memo = &c->days[col];
    int field = c->fields[col];
    struct loop l = {w->base, c->records, w->rows, (uint32_t)field, field == c->nfields - 1, w->careful};
    switch ((enum type_id)t.id) {
    case T_INT8: INTEGERS(int8_t, INT8_MIN, INT8_MAX); break;
    case T_INT16: INTEGERS(int16_t, INT16_MIN, INT16_MAX); break;
    case T_INT32: INTEGERS(int32_t, INT32_MIN, INT32_MAX); break;
    case T_INT64: LOOP(field_int64(s.p, s.n, (int64_t *)data + i)) break;
    case T_DOUBLE: LOOP(cell_parse_double(s.p, s.n, (double *)data + i)) break;
    case T_DATE: LOOP(s.n == 10 && field_day(s.p, memo, (int32_t *)data + i)) break;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: LOOP(field_timestamp(s.p, s.n, memo, (int64_t *)data + i)) break;
    case T_VARCHAR: text_column(c, w, col, l); break;
    case T_JSON:
    case T_BLOB: LOOP(false) break;
    default: LOOP(cell_parse(t, s.p, s.n, data + type_width(t) * i, NULL) == ST_OK) break;
    }
}

/* ---- records ------------------------------------------------------------------------------------------ */

static void reserve(struct csv *c, uint32_t rows)
{
    if (rows > c->cap) {
        mem_free(c->records);
        mem_free(c->dead);
        c->records = mem_alloc(sizeof *c->records * rows);
        c->dead = mem_alloc(bitmap_words(rows) * 8);
        c->cap = rows;
    }
    memset(c->dead, 0, bitmap_words(rows) * 8);
}

static bool ends_record(const struct csv *c, const struct window *w, uint32_t i)
{
    return w->base[c->index.ends[i]] == '\n' || (w->tail && i == c->index.n - 1);
}

/* True when every record has the right number of fields: then each nfields-th end is a newline and, since there are no
 * more newlines than those, no other end is one. */
static bool uniform(struct csv *c, struct window *w, uint32_t max_rows)
{
    const struct csv_index *x = &c->index;
    uint32_t fields = (uint32_t)c->nfields, rows = x->newlines;
    if (w->tail || !rows || (uint64_t)rows * fields > x->n) return false;
    uint32_t other = 0;
    for (uint32_t i = 1; i <= rows; i++) other |= (uint32_t)(w->base[x->ends[i * fields - 1]] ^ '\n');
    if (other) return false;
    w->rows = w->newlines = rows < max_rows ? rows : max_rows;
    w->used = x->ends[w->rows * fields - 1] + 1;
    if (w->used > c->d.record_max) return false; /* one may be too long */
    for (uint32_t i = 0; i < w->rows; i++) c->records[i] = i * fields;
    return true;
}

static struct fault judge(const struct csv *c, const struct window *w, uint32_t first, uint32_t end)
{
    uint32_t bytes = c->index.ends[end] - field_start(c, first), count = end - first + 1;
    struct fault f = {.record = first, .count = count};
    if (bytes > c->d.record_max)
        f.kind = FAULT_OVERLONG;
    else if (w->unclosed && end == c->index.n - 1)
        f.kind = FAULT_UNCLOSED;
    else if (count != (uint32_t)c->nfields)
        f.kind = FAULT_COUNT;
    return f;
}

/* Where the next record begins after the one that ends at end i. */
static uint32_t after(const struct csv *c, const struct window *w, uint32_t i)
{
    bool tail = w->tail && i == c->index.n - 1;
    return c->index.ends[i] + !tail;
}

static bool is_blank(const struct csv *c, const struct window *w, uint32_t first, uint32_t end)
{
    return first == end && !field_span(c, w->base, first, true).n;
}

/* Record by record. Under FAIL it ends before a bad one. */
static void sort_out(struct csv *c, struct window *w, uint32_t max_rows)
{
    uint32_t first = 0;
    w->rows = w->newlines = w->used = 0;
    for (uint32_t i = 0; i < c->index.n && w->rows < max_rows; i++) {
        if (!ends_record(c, w, i)) continue;
        struct fault f = judge(c, w, first, i);
        bool blank = f.kind == FAULT_COUNT && is_blank(c, w, first, i);
        if (f.kind && !blank) {
            if (c->d.on_error == ON_ERROR_FAIL && w->used) return;
            fault_put(c, w, f);
            c->d.report.bad++;
            if (c->d.on_error == ON_ERROR_FAIL) return;
        }
        if (!f.kind) c->records[w->rows++] = first;
        w->used = after(c, w, i);
        w->newlines++;
        first = i + 1;
    }
}

/* Moves p past `used` bytes of the window. */
static void consume(struct csv *c, const char *base, uint32_t used, uint32_t newlines)
{
    if (c->line) c->line += c->index.quotes ? count_newlines(base, used) : (int64_t)newlines;
    decoder_move(&c->d, used);
}

/* Passes on over a record that is too long, at most to its end; d->offset stays at its start until then. */
static void pass(struct csv *c)
{
    struct decoder *d = &c->d;
    struct csv_index *x = &c->index;
    uint32_t n = decoder_have(d), end = n;
    x->state = c->passing_state;
    csv_scan(&c->dialect, d->p, n, 1, x);
    for (uint32_t i = 0; i < x->n && end == n; i++)
        if (d->p[x->ends[i]] == '\n') end = x->ends[i];
    uint32_t used = end < n ? end + 1 : n;
    c->passing_state = x->state;
    c->passed += used;
    if (c->line) c->passed_lines += count_newlines(d->p, used);
    d->p += used;
    if (end == n && !(d->last && d->p == d->end)) return;
    d->offset += c->passed;
    c->line += c->passed_lines;
    c->passing = false;
    c->passed = c->passed_lines = 0;
}

static void pass_begin(struct csv *c, struct window *w)
{
    c->passing = true;
    c->passing_state = CSV_START;
    c->d.report.bad++;
    fault_put(c, w, (struct fault){.kind = FAULT_OVERLONG});
    tell(c, w);
    pass(c);
}

/* Finds the window's records. False: there is none. */
static bool find(struct csv *c, struct window *w, uint32_t max_rows)
{
    struct csv_index *x = &c->index;
    w->base = c->d.p;
    w->n = decoder_have(&c->d);
    x->state = CSV_START;
    csv_scan(&c->dialect, w->base, w->n, max_rows, x);
    if (c->d.last && w->base + w->n == c->d.end && x->newlines < max_rows) {
        uint32_t i = x->n;
        while (i && w->base[x->ends[i - 1]] != '\n') i--;
        w->tail = field_start(c, i) < w->n;
        w->unclosed = x->state.inside;
        if (w->tail) csv_index_push(x, w->n);
    }
    return x->newlines;
}

/* ---- the header ----------------------------------------------------------------------------------------- */

struct names {
    int n;
    char **names;
};

static const char *name_at(const void *ctx, int i)
{
    const struct names *names = ctx;
    return i < names->n ? names->names[i] : NULL;
}

static int find_name(const struct names *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (!strcmp(names->names[i], name)) return i;
    for (int i = 0; i < names->n; i++)
        if (!text_casecmp(names->names[i], name)) return i;
    return -1;
}

static enum status bind(struct csv *c, const struct names *names, struct err *err)
{
    const struct schema *s = c->d.schema;
    for (int i = 0; i < s->n; i++) {
        const char *name = s->fields[i].name;
        if ((c->fields[i] = find_name(names, name)) >= 0) continue;
        struct text all = {.max = 300};
        for (int k = 0; k < names->n; k++) text_printf(&all, k ? ", %s" : "%s", names->names[k]);
        err_set(err, E_DECODE, "column \"%s\" is not in the header (%s%s)", name, text_cstr(&all),
                all.full ? ", ..." : "");
        text_done(&all);
        const char *near = text_nearest(name, name_at, names);
        if (near)
            err_hint(err, "did you mean \"%s\"?", near);
        else
            err_hint(err, "name the columns as the header does, or say header = 'false' if there is none");
        return E_DECODE;
    }
    return ST_OK;
}

/* A name without quotes and blanks around it. */
static char *name_of(struct csv *c, struct arena *a, struct span s)
{
    if (is_quoted(c, s) && unquote(c, &s)) return arena_strndup(a, s.p, s.n);
    while (s.n && (*s.p == ' ' || *s.p == '\t')) s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return arena_strndup(a, s.p, s.n);
}

/* The header is the first line that is not blank. ST_WAIT: it has not come whole. */
static enum status read_header(struct csv *c, struct err *err)
{
    struct window w;
    uint32_t end;
    if (!decoder_begin(&c->d)) return decoder_none(&c->d);
    for (;;) {
        w = (struct window){0};
        bool whole = find(c, &w, 1);
        for (end = 0; whole && !ends_record(c, &w, end);) end++;
        if ((whole ? c->index.ends[end] : w.n) > c->d.record_max)
            return err_set(err, E_DECODE, "the header line is longer than %zu bytes (record.max)", c->d.record_max);
        if (!whole) return decoder_none(&c->d);
        if (!is_blank(c, &w, 0, end)) break;
        consume(c, w.base, after(c, &w, end), 1);
    }
    AUTO(arena_free) struct arena *a = arena_new();
    struct names names = {(int)end + 1, arena_alloc(a, sizeof *names.names * (end + 1))};
    for (uint32_t i = 0; i <= end; i++) names.names[i] = name_of(c, a, field_span(c, w.base, i, i == end));
    c->nfields = names.n;
    TRY(bind(c, &names, err));
    consume(c, w.base, after(c, &w, end), 1);
    c->header = false;
    return ST_OK;
}

/* The header of a split whose decoding begins further on. */
static enum status read_head(struct csv *c, const char *p, size_t n, struct err *err)
{
    struct decoder here = c->d;
    struct text copy = {0}; /* with bytes after it that may be read */
    text_put(&copy, p, n);
    memset(text_room(&copy, FORMAT_PADDING), 0, FORMAT_PADDING);
    decoder_feed(&c->d, copy.p, n, false);
    c->d.offset = 0;
    enum status st = read_header(c, err);
    text_done(&copy);
    c->d.p = here.p, c->d.end = here.end, c->d.last = here.last, c->d.offset = here.offset;
    if (st == ST_WAIT || st == ST_DONE)
        return err_set(err, E_DECODE, "the header line is not within the first %zu bytes", n);
    return st;
}

/* ---- the class ------------------------------------------------------------------------------------------ */

static enum status csv_open(struct decoder *d, const struct options *o, const char *head, size_t head_n,
                            struct err *err)
{
    struct csv *c = (struct csv *)d;
    int columns = d->schema->n;
    TRY(csv_dialect_init(&c->dialect, o, err));
    if (d->split) TRY(csv_dialect_records(&c->dialect, o, err));
    c->header = c->dialect.header;
    c->line = d->offset == 0;
    c->fields = mem_zalloc(sizeof *c->fields * (size_t)(columns + 1));
    c->days = mem_zalloc(sizeof *c->days * (size_t)(columns + 1));
    c->nfields = d->declared ? d->declared->n : columns;
    if (!c->nfields) c->nfields = 1;
    for (int i = 0; i < columns; i++) c->fields[i] = d->declared ? schema_find(d->declared, d->schema->fields[i].name) : i;
    return c->header && d->offset ? read_head(c, head, head_n, err) : ST_OK;
}

static void csv_close(struct decoder *d)
{
    struct csv *c = (struct csv *)d;
    csv_index_done(&c->index);
    text_done(&c->scratch);
    csv_dialect_done(&c->dialect);
    mem_free(c->fields);
    mem_free(c->days);
    mem_free(c->records);
    mem_free(c->dead);
}

/* Takes bad rows out of the batch, as the policy says. Returns E_DECODE when the first is bad and ends all. */
static enum status settle(struct csv *c, struct window *w, struct pool *pool)
{
    if (!w->ndead) return ST_OK;
    if (c->d.on_error == ON_ERROR_SKIP) {
        c->d.report.bad += w->ndead;
        w->batch = decoder_live(pool, c->d.schema, w->batch, c->dead);
        return ST_OK;
    }
    w->batch->rows = w->first_dead;
    w->used = field_start(c, c->records[w->first_dead]);
    w->newlines = (uint32_t)count_newlines(w->base, w->used);
    if (w->used) {
        w->fault.kind = FAULT_NONE;
        return ST_OK;
    }
    c->d.report.bad++;
    return E_DECODE;
}

static enum status csv_next(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out,
                            struct err *err)
{
    struct csv *c = (struct csv *)d;
    struct window w = {.first_dead = UINT32_MAX};
    *out = NULL;
    if (max_rows > BATCH_ROWS_MAX) max_rows = BATCH_ROWS_MAX;
    for (;;) {
        while (c->passing && (d->p < d->end || d->last)) pass(c);
        if (c->passing) return ST_WAIT;
        if (c->header) TRY(read_header(c, err));
        if (!decoder_begin(d)) return decoder_none(d);
        if (find(c, &w, max_rows)) break;
        if (w.n <= d->record_max) return decoder_none(d);
        pass_begin(c, &w);
        if (d->on_error == ON_ERROR_FAIL) return report_fail(&d->report, err);
    }
    reserve(c, max_rows);
    if (!uniform(c, &w, max_rows)) sort_out(c, &w, max_rows);
    w.careful = c->index.quotes || c->dialect.null_n;
    w.check_utf8 = c->index.high && !utf8_valid(w.base, w.used);
    w.batch = batch_for(pool, d->schema, w.rows ? w.rows : 1);
    w.batch->rows = w.rows;
    for (int col = 0; col < d->schema->n; col++) column(c, &w, col);
    enum status st = settle(c, &w, pool);
    tell(c, &w);
    if (d->on_error == ON_ERROR_FAIL && w.fault.kind) st = E_DECODE;
    consume(c, w.base, w.used, w.newlines);
    if (st) {
        batch_unref(w.batch);
        return report_fail(&d->report, err);
    }
    *out = w.batch;
    return ST_OK;
}

/* ---- records that came one by one -------------------------------------------------------------------------- */

/* Scans a record as a text of its own: a quote that is not closed spoils nothing else. first: its first field. */
static struct fault look_at(struct csv *c, const char *base, const struct record *r, uint32_t *first)
{
    struct csv_index *x = &c->index;
    uint32_t end = r->start + r->n;
    if (field_start(c, x->n) != r->start) csv_index_push(x, r->start - 1);
    *first = x->n;
    x->state = CSV_START;
    csv_scan_more(&c->dialect, base, r->start, end, x);
    bool newline = x->newlines && x->ends[x->n - 1] == end - 1 && base[end - 1] == '\n'; /* which ends it as well */
    uint32_t lines = x->newlines - newline;
    if (!newline) csv_index_push(x, end);
    struct fault f = {.record = *first, .count = x->n - *first};
    if (r->n > c->d.record_max)
        f.kind = FAULT_OVERLONG;
    else if (x->state.inside)
        f.kind = FAULT_UNCLOSED;
    else if (lines)
        f.kind = FAULT_LINES;
    else if (f.count != (uint32_t)c->nfields)
        f.kind = FAULT_COUNT;
    return f;
}

/* Under FAIL it ends before a bad one. Returns how many were looked at. */
static uint32_t look_at_all(struct csv *c, struct window *w)
{
    const struct taken *t = w->taken;
    csv_index_clear(&c->index);
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t first;
        struct fault f = look_at(c, w->base, &t->r[i], &first);
        if (f.kind) {
            if (c->d.on_error == ON_ERROR_FAIL && i) return i;
            fault_put(c, w, f);
            c->d.report.bad++;
            if (c->d.on_error == ON_ERROR_FAIL) return i;
            continue;
        }
        c->records[w->rows] = first;
        t->of[w->rows++] = i;
    }
    return t->n;
}

/* As settle. */
static enum status settle_records(struct csv *c, struct window *w, struct pool *pool, uint32_t *used)
{
    uint32_t *of = w->taken->of, n = 0;
    if (!w->ndead) return ST_OK;
    if (c->d.on_error == ON_ERROR_SKIP) {
        for (uint32_t i = 0; i < w->rows; i++)
            if (!bit_get(c->dead, i)) of[n++] = of[i];
        return settle(c, w, pool);
    }
    w->batch->rows = w->first_dead;
    *used = of[w->first_dead];
    if (*used) return w->fault.kind = FAULT_NONE, ST_OK;
    c->d.report.bad++;
    return E_DECODE;
}

static enum status csv_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n,
                               uint32_t *of, uint32_t *used, struct batch **out, struct err *err)
{
    struct csv *c = (struct csv *)d;
    struct taken taken = {r, n, of};
    struct window w = {.base = text, .first_dead = UINT32_MAX, .taken = &taken};
    reserve(c, n);
    *used = look_at_all(c, &w);
    uint32_t from = r[0].start, end = r[n - 1].start + r[n - 1].n;
    w.careful = c->index.quotes || c->dialect.null_n;
    w.check_utf8 = c->index.high && !utf8_valid(text + from, end - from);
    w.batch = batch_for(pool, d->schema, w.rows ? w.rows : 1);
    w.batch->rows = w.rows;
    for (int col = 0; col < d->schema->n; col++) column(c, &w, col);
    enum status st = settle_records(c, &w, pool, used);
    tell(c, &w);
    if (d->on_error == ON_ERROR_FAIL && w.fault.kind) st = E_DECODE;
    if (st) {
        batch_unref(w.batch);
        return report_fail(&d->report, err);
    }
    *out = w.batch;
    return ST_OK;
}

#define CSV_DECODER(name_, options_)                                                                                   \
    {                                                                                                                  \
        .name = name_, .size = sizeof(struct csv), .options = options_, .open = csv_open, .next = csv_next,            \
        .records = csv_records, .close = csv_close                                                                                             \
    }
const struct decoder_class csv_decoder = CSV_DECODER("csv", csv_options);
const struct decoder_class tsv_decoder = CSV_DECODER("tsv", tsv_options);
