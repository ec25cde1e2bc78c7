/* JSON lines in: one object a line, fields by name; or one object a record, where records come one by one.
 *
 * simdjson's first stage finds the tokens of some 64 KiB of lines at once; here they are walked once, values going
 * straight from text to columns. Objects of one stream tend to have their keys in one order, so the key at each
 * position is compared with the one that stood there last before it is looked up. When the stage finds text broken
 * somewhere it is run again line by line, so that a bad line costs itself only and what is bad does not depend on how
 * input was cut.
 *
 * A line is valid JSON or is skipped whole; fields that are not wanted are checked for their form as well. Names are
 * matched exactly, else without regard to case. Of equal names the last counts. SPDX-License-Identifier: Apache-2.0 */
#include "format/classes.h"
#include "format/decoder.h"
#include "format/field.h"
#include "format/json_value.h"
#include "format/shim/json.h"

#include <math.h>

#define CHUNK      65536 /* text whose tokens are found at once */
#define MEMOS      128   /* positions whose key is remembered */
#define MEMO_BYTES 48    /* longest key remembered, with its closing quote */

_Static_assert(FORMAT_PADDING >= JSON_PADDING, "feed gives what simdjson reads");

/* The key that stood at a position of the object before. */
struct memo {
    uint64_t head[2], mask[2]; /* its first 16 bytes, and which of them count */
    uint32_t n;                /* with the closing quote; 0: none */
    int col;                   /* -1: not wanted */
    bool exact;
    char text[MEMO_BYTES];
};

struct json_column {
    struct type type;
    uint64_t seen; /* the record that last had it */
    bool exact;    /* by its exact name */
    struct day_memo day;
    const char *name;
    size_t name_n;
};

/* The latest fault, or under FAIL the first. */
struct fault {
    const char *why; /* NULL: the value does not fit the column */
    bool set;
    int col;
    struct json_value value;
    int64_t line;   /* of a record that came alone: what it is called */
    uint32_t start; /* of the record, from p */
};

struct json {
    struct decoder d;
    struct json_index *index;
    int64_t line; /* of p; 0: unknown */
    bool passing; /* over a line that is too long */
    int64_t passed;
    int64_t epoch_mul, epoch_div; /* of an epoch number, to microseconds */
    bool escapes;                 /* there are backslashes in the text at hand */
    struct memo *memos;
    struct json_column *columns;
    uint64_t record; /* number of the one at hand */
    struct text scratch;
    uint32_t *ends; /* of lines */
    uint32_t ends_cap;
    const struct record *records; /* in place of lines; NULL: lines */
    uint32_t *of;                 /* the record of each row */
    uint32_t cap; /* rows of the batch at hand */
    struct batch *batch;
    struct fault fault;
};

/* ---- values into cells ---------------------------------------------------------------------------------- */

/* A string's text without quotes and escapes; it may lie in the scratch. */
static bool string_text(struct json *j, const struct json_value *v, const char **p, uint32_t *n)
{
    *p = v->p + 1, *n = v->n - 2;
    if (likely(!j->escapes) || !memchr(*p, '\\', *n)) return true;
    text_clear(&j->scratch);
    char *to = text_room(&j->scratch, *n + 2 * JSON_PADDING), *end = json_unescape(j->index, *p, to);
    *p = to, *n = (uint32_t)(end - to);
    return end;
}

/* 5.0 and 1e3 are integers, too. */
static enum status whole(const struct json_value *v, double times, int64_t *out)
{
    double d;
    if (!cell_parse_double(v->p, v->n, &d)) return E_RANGE;
    d *= times;
    if (fabs(d) > 9007199254740992.0 || (times == 1 && d != floor(d))) return E_CAST;
    *out = (int64_t)rint(d);
    return ST_OK;
}

static enum status epoch(const struct json *j, const struct json_value *v, int64_t *out)
{
    if (!field_int64(v->p, v->n, out)) return whole(v, (double)j->epoch_mul / (double)j->epoch_div, out);
    if (__builtin_mul_overflow(*out, j->epoch_mul, out)) return E_DATETIME_RANGE;
    *out = *out / j->epoch_div - (*out % j->epoch_div < 0);
    return ST_OK;
}

static enum status mismatch(struct type t, const struct json_value *v, struct err *err)
{
    char name[64], shown[REPORT_TEXT];
    return err_set(err, E_CAST, "invalid input for %s: %s", type_name(t, name), report_text(v->p, v->n, shown));
}

/* Any value into any column but NULL. b NULL: only says what is wrong. */
static enum status convert(struct json *j, struct batch *b, struct type t, void *data, const struct json_value *v,
                           struct err *err)
{
    const char *p = v->p;
    uint32_t n = v->n;
    int64_t i;
    if (v->kind == JSON_STRING && t.id != T_JSON) {
        if (!string_text(j, v, &p, &n)) return err_set(err, E_CAST, "invalid escape in a string");
    } else if (v->kind == JSON_NUMBER && type_is_time(t)) {
        if (epoch(j, v, (int64_t *)data)) return mismatch(t, v, err);
        return ST_OK;
    } else if (v->kind == JSON_NUMBER && type_is_integer(t) && !field_int64(p, n, &i) && !whole(v, 1, &i)) {
        char text[CELL_TEXT_MAX];
        return decoder_cell(b, t, data, text, cell_print_int64(i, text), err);
    } else if (v->kind == JSON_NESTED && !type_is_text(t)) {
        return mismatch(t, v, err);
    } else if (v->kind == JSON_BOOL && t.id != T_BOOL && !type_is_text(t)) {
        return mismatch(t, v, err);
    }
    return decoder_cell(b, t, data, p, n, err);
}

static inline void put_text(struct batch *b, struct str *out, const char *p, uint32_t n)
{
    if (n <= STR_INLINE) {
        *out = field_short(p, n);
        return;
    }
    char *to;
    if (likely(n <= 64 && b->heap_end - b->heap >= 64)) {
        to = memcpy(b->heap, p, 64);
        b->heap += n;
    } else {
        to = memcpy(batch_text(b, n), p, n);
    }
    *out = str_view(to, n);
}

/* The common pairs of value and column; the rest is convert's. Numbers are known to be well formed. */
static inline bool put_value(struct json *j, struct json_column *c, int col, uint32_t row, const struct json_value *v)
{
    void *data = j->batch->cols[col].data;
    if (v->kind == JSON_STRING) {
        const char *p;
        uint32_t n;
        if (c->type.id == T_VARCHAR && !c->type.length && string_text(j, v, &p, &n)) {
            put_text(j->batch, (struct str *)data + row, p, n);
            return true;
        }
        if (type_is_time(c->type) && field_timestamp(v->p + 1, v->n - 2, &c->day, (int64_t *)data + row)) return true;
    } else if (v->kind == JSON_NUMBER) {
        if (c->type.id == T_INT64 && field_int64(v->p, v->n, (int64_t *)data + row)) return true;
        if (c->type.id == T_DOUBLE && cell_parse_double(v->p, v->n, (double *)data + row)) return true;
    } else if (v->kind == JSON_NULL) {
        decoder_null(j->batch, j->d.schema, col, row, j->cap);
        return true;
    }
    return convert(j, j->batch, c->type, (char *)data + type_width(c->type) * row, v, NULL) == ST_OK;
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static bool same_name(const char *a, const char *b, size_t n, bool exact)
{
    if (exact) return !memcmp(a, b, n);
    for (size_t i = 0; i < n; i++) {
        char x = a[i], y = b[i];
        if (x >= 'A' && x <= 'Z') x |= 32;
        if (y >= 'A' && y <= 'Z') y |= 32;
        if (x != y) return false;
    }
    return true;
}

static int find_column(const struct json *j, const char *p, size_t n, bool exact)
{
    for (int i = 0; i < j->d.schema->n; i++)
        if (j->columns[i].name_n == n && same_name(j->columns[i].name, p, n, exact)) return i;
    return -1;
}

static void remember(struct memo *m, const char *p, uint32_t n)
{
    m->n = n;
    memcpy(m->text, p, n);
    for (int i = 0; i < 2; i++) {
        uint32_t bytes = n > 8u * (uint32_t)i ? n - 8 * (uint32_t)i : 0;
        m->mask[i] = bytes >= 8 ? UINT64_MAX : (1ull << 8 * bytes) - 1;
        m->head[i] = load_u64(p + 8 * i) & m->mask[i];
    }
}

/* The column of a key not met at this position before. False: it is not a string. */
static __attribute__((noinline)) bool look_up(struct json *j, struct memo *m, const struct json_value *key)
{
    const char *p;
    uint32_t n;
    *m = (struct memo){.col = -1};
    if (json_scalar_kind(key->p, key->n) != JSON_STRING || !string_text(j, key, &p, &n)) return false;
    m->col = find_column(j, p, n, true);
    m->exact = m->col >= 0;
    if (!m->exact) m->col = find_column(j, p, n, false);
    if (key->n - 1 <= MEMO_BYTES && !memchr(key->p + 1, '\\', key->n - 1)) remember(m, key->p + 1, key->n - 1);
    return true;
}

static inline bool same_key(const struct memo *m, const char *p)
{
    uint64_t other = ((load_u64(p) & m->mask[0]) ^ m->head[0]) | ((load_u64(p + 8) & m->mask[1]) ^ m->head[1]);
    return !other && m->n && (m->n <= 16 || !memcmp(p + 16, m->text + 16, m->n - 16));
}

/* ---- records ------------------------------------------------------------------------------------------ */

/* Under FAIL decoding ends at the first fault, so the latest is the one to tell of. */
static void fault_put(struct json *j, struct fault f)
{
    f.set = true;
    j->fault = f;
}

/* A field whose value the column does not take. False: its row is lost. */
static bool put_misfit(struct json *j, int col, uint32_t row, struct fault *f, const struct json_value *v)
{
    f->why = NULL, f->col = col, f->value = *v;
    if (j->d.on_error != ON_ERROR_NULL) return false;
    decoder_null(j->batch, j->d.schema, col, row, j->cap);
    j->d.report.nulled++;
    if (!j->fault.set || j->fault.start != f->start) fault_put(j, *f);
    return true;
}

static bool put_field(struct json *j, const struct memo *m, uint32_t row, struct fault *f, const struct json_value *v)
{
    struct json_column *c = &j->columns[m->col];
    if (unlikely(c->seen == j->record)) {
        uint64_t *valid = j->batch->cols[m->col].valid;
        if (c->exact && !m->exact) return true;
        if (valid) bit_set(valid, row);
    }
    c->seen = j->record;
    c->exact = m->exact;
    return likely(put_value(j, c, m->col, row, v)) || put_misfit(j, m->col, row, f, v);
}

static const char not_json[] = "not valid JSON", not_closed[] = "the object does not end", too_long[] = "";

/* Numbers of digits that do not begin with 0 are; most are that. */
static inline bool well_formed(const char *p, uint32_t n)
{
    uint64_t unused;
    bool plain = n <= 8 && *p != '0' && *p != '-' && digits_8(p, n, &unused);
    return likely(plain) || json_number(p, n);
}

/* The field at l, whose key is number `position` of the object. Returns what is wrong with the text. */
static inline const char *walk_field(struct json *j, struct json_line *l, uint32_t position, uint32_t row,
                                     struct fault *f, bool *fits)
{
    struct memo *m = &j->memos[position < MEMOS ? position : MEMOS];
    if (unlikely(json_token(l) != '"')) return not_json;
    const char *p = l->base + l->at[l->i] + 1;
    if (likely(same_key(m, p))) {
        l->i++;
    } else {
        struct json_value key = json_scalar_text(l);
        if (!look_up(j, m, &key)) return not_json;
    }
    if (unlikely(!json_more(l) || json_token(l) != ':')) return not_json;
    l->i++;
    if (unlikely(!json_more(l))) return not_closed;
    const char *why = not_json;
    char c = json_token(l);
    struct json_value v;
    if (unlikely(c == '{' || c == '[')) {
        v = json_nested(l, &why);
    } else {
        v = json_scalar_text(l);
        v.kind = json_scalar_guess(v.p, v.n);
    }
    if (unlikely(v.kind == JSON_BAD || (v.kind == JSON_NUMBER && !well_formed(v.p, v.n)))) return why;
    if (m->col < 0 && unlikely(j->escapes) && v.kind == JSON_STRING) {
        uint32_t n;
        return string_text(j, &v, &p, &n) ? NULL : not_json;
    }
    if (m->col >= 0 && *fits) *fits = put_field(j, m, row, f, &v);
    return NULL;
}

static const char *walk(struct json *j, struct json_line *l, uint32_t row, struct fault *f, bool *fits)
{
    if (json_token(l) != '{') return "not a JSON object";
    l->i++;
    bool closed = json_more(l) && json_token(l) == '}';
    if (closed) l->i++;
    for (uint32_t position = 0; !closed; position++) {
        if (!json_more(l)) return not_closed;
        const char *why = walk_field(j, l, position, row, f, fits);
        if (unlikely(why)) return why;
        if (unlikely(!json_more(l))) return not_closed;
        char c = json_token(l);
        l->i++;
        closed = c == '}';
        if (!closed && c != ',') return not_json;
    }
    return json_more(l) ? "something follows the object" : NULL;
}

/* Undoes what a lost row has left in the batch. */
static void take_back(struct json *j, uint32_t row)
{
    for (int i = 0; i < j->batch->ncols; i++)
        if (j->batch->cols[i].valid) bit_set(j->batch->cols[i].valid, row);
}

/* The line at l becomes the batch's next row, if it is good. False: it is not. */
static bool put_line(struct json *j, struct json_line *l, struct fault *f)
{
    struct batch *b = j->batch;
    bool fits = true;
    if (!json_more(l)) { /* blank */
        f->why = j->records ? "there is no object" : NULL;
        return !j->records;
    }
    j->record++;
    f->why = walk(j, l, b->rows, f, &fits);
    if (unlikely(f->why || !fits)) {
        take_back(j, b->rows);
        return false;
    }
    for (int i = 0; i < b->ncols; i++)
        if (unlikely(j->columns[i].seen != j->record)) decoder_null(b, j->d.schema, i, b->rows, j->cap);
    b->rows++;
    return true;
}

static const char *text_fault(enum json_text text)
{
    switch (text) {
    case JSON_TEXT_OK: return NULL;
    case JSON_TEXT_NOT_UTF8: return "invalid UTF-8";
    case JSON_TEXT_CONTROL: return "a control character in a string";
    case JSON_TEXT_UNCLOSED: return "a string is not closed";
    default: return "out of memory";
    }
}

/* ---- lines, or records that came one by one -------------------------------------------------------------- */

/* Lines [first, end) of the input, whose tokens are looked for together. */
struct group {
    uint32_t first, end;
};

static uint32_t line_start(const struct json *j, uint32_t line)
{
    if (j->records) return j->records[line].start;
    return line ? j->ends[line - 1] + 1 : 0;
}

static uint32_t line_end(const struct json *j, uint32_t line)
{
    return j->records ? j->records[line].start + j->records[line].n : j->ends[line];
}

static int64_t line_name(const struct json *j, uint32_t line)
{
    return j->records ? j->records[line].offset : j->line ? j->line + line : 0;
}

static uint32_t find_lines(struct json *j, uint32_t n, uint32_t max)
{
    const char *p = j->d.p, *end = p + n, *nl;
    uint32_t count = 0;
    if (max > j->ends_cap) {
        mem_free(j->ends);
        j->ends = mem_alloc(sizeof *j->ends * max);
        j->ends_cap = max;
    }
    while (count < max && p < end && (nl = memchr(p, '\n', (size_t)(end - p)))) {
        j->ends[count++] = (uint32_t)(nl - j->d.p);
        p = nl + 1;
    }
    if (count < max && p < end && j->d.last && end == j->d.end) j->ends[count++] = n;
    return count;
}

/* Decodes lines up to g.end, or under FAIL to a bad one; returns the line it came to. */
static uint32_t put_lines(struct json *j, struct group g, bool alone)
{
    uint32_t from = line_start(j, g.first);
    size_t n = line_end(j, g.end - 1) - from;
    uint32_t count;
    struct json_line l = {.base = j->d.p + from};
    enum json_text text = json_index_text(j->index, l.base, n, &l.at, &count);
    if (text && !alone) {
        for (uint32_t i = g.first; i < g.end; i++)
            if (put_lines(j, (struct group){i, i + 1}, true) == i) return i;
        return g.end;
    }
    j->escapes = memchr(l.base, '\\', n);
    for (uint32_t i = g.first; i < g.end; i++) {
        uint32_t start = line_start(j, i), bytes = line_end(j, i) - start;
        struct fault f = {.line = line_name(j, i), .start = start, .why = text_fault(text)};
        l.end = line_end(j, i) - from;
        if (bytes > j->d.record_max) {
            f.why = too_long;
        } else if (!text && put_line(j, &l, &f)) {
            if (j->of) j->of[j->batch->rows - 1] = i;
            continue;
        }
        while (json_more(&l)) l.i++;
        if (j->d.on_error == ON_ERROR_FAIL && i) return i;
        if (f.why) f.value = (struct json_value){.p = j->d.p + start, .n = bytes};
        fault_put(j, f);
        j->d.report.bad++;
        if (j->d.on_error == ON_ERROR_FAIL) return i;
    }
    return g.end;
}

static void tell(struct json *j)
{
    const struct fault *f = &j->fault;
    if (!f->set) return;
    struct place at = {f->line, j->records ? f->line : j->d.offset + f->start, NULL, j->d.split};
    char shown[REPORT_TEXT];
    _Alignas(16) char data[16];
    struct err err = {0};
    if (f->why == too_long) {
        report_put(&j->d.report, &at, "the record is longer than %zu bytes (record.max)", j->d.record_max);
        return;
    }
    if (f->why) {
        report_put(&j->d.report, &at, "%s: %s", f->why, report_text(f->value.p, f->value.n, shown));
        return;
    }
    at.column = j->d.schema->fields[f->col].name;
    j->escapes = true;
    convert(j, NULL, j->columns[f->col].type, data, &f->value, &err);
    report_put(&j->d.report, &at, "%s", err.text);
}

/* Passes on over a line that is too long, at most to its end; d->offset stays at its start until then. */
static void pass(struct json *j)
{
    struct decoder *d = &j->d;
    const char *nl = d->p < d->end ? memchr(d->p, '\n', (size_t)(d->end - d->p)) : NULL;
    size_t used = (size_t)((nl ? nl + 1 : d->end) - d->p);
    d->p += used;
    j->passed += (int64_t)used;
    if (!nl && !d->last) return;
    d->offset += j->passed;
    if (j->line) j->line++;
    j->passing = false;
    j->passed = 0;
}

static void pass_begin(struct json *j)
{
    struct fault f = {.why = too_long, .line = j->line};
    fault_put(j, f);
    tell(j);
    j->d.report.bad++;
    j->passing = true;
}

/* ---- the class ------------------------------------------------------------------------------------------ */

static const struct option_spec json_in_options[] = {
    {"epoch.unit", OPT_ENUM, "ms", 0, "s|ms|us|ns", 0, 0,
     "What a number in a TIMESTAMP column counts, from 1970-01-01 UTC."},
    {NULL,         OPT_TEXT, NULL, 0, NULL,         0, 0, NULL         },
};

static enum status json_open(struct decoder *d, const struct options *o, const char *head, size_t head_n,
                             struct err *err)
{
    static const int64_t multiply[] = {1000000, 1000, 1, 1};
    struct json *j = (struct json *)d;
    int64_t unit = options_int(o, "epoch.unit");
    (void)head, (void)head_n;
    j->line = d->offset == 0;
    j->epoch_mul = multiply[unit];
    j->epoch_div = unit == 3 ? 1000 : 1;
    j->memos = mem_zalloc(sizeof *j->memos * (MEMOS + 1));
    j->columns = mem_zalloc(sizeof *j->columns * (size_t)(d->schema->n + 1));
    for (int i = 0; i < d->schema->n; i++) {
        const char *name = d->schema->fields[i].name;
        j->columns[i] = (struct json_column){.type = d->schema->fields[i].type, .name = name, .name_n = strlen(name)};
    }
    j->index = json_index_new();
    return j->index ? ST_OK : err_set(err, E_NOMEM, "no memory for a JSON decoder");
}

static void json_close(struct decoder *d)
{
    struct json *j = (struct json *)d;
    if (j->index) json_index_free(j->index);
    mem_free(j->memos);
    mem_free(j->columns);
    mem_free(j->ends);
    text_done(&j->scratch);
}

/* Decodes the first n lines into a new batch, or under FAIL those before a bad one; returns how many. False: it is the first. */
static bool put_all(struct json *j, struct pool *pool, uint32_t n, uint32_t *done)
{
    uint32_t line = 0;
    j->fault.set = false;
    j->cap = n;
    j->batch = batch_for(pool, j->d.schema, n);
    while (line < n) {
        struct group g = {line, line + 1};
        while (g.end < n && line_end(j, g.end) - line_start(j, line) <= CHUNK) g.end++;
        line = put_lines(j, g, false);
        if (line < g.end) break;
    }
    tell(j);
    *done = line;
    if (j->d.on_error != ON_ERROR_FAIL || !j->fault.set) return true;
    batch_unref(TAKE(j->batch));
    return false;
}

static enum status json_next(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out,
                             struct err *err)
{
    struct json *j = (struct json *)d;
    uint32_t lines, n, line;
    *out = NULL;
    if (max_rows > BATCH_ROWS_MAX) max_rows = BATCH_ROWS_MAX;
    for (;;) {
        while (j->passing && (d->p < d->end || d->last)) pass(j);
        if (j->passing) return ST_WAIT;
        if (!decoder_begin(d)) return decoder_none(d);
        n = decoder_have(d);
        if ((lines = find_lines(j, n, max_rows))) break;
        if (n <= d->record_max) return decoder_none(d);
        pass_begin(j);
        if (d->on_error == ON_ERROR_FAIL) return report_fail(&d->report, err);
    }
    if (!put_all(j, pool, lines, &line)) return report_fail(&d->report, err);
    if (j->line) j->line += line;
    uint32_t used = line_start(j, line);
    decoder_move(d, used < n ? used : n);
    *out = j->batch;
    return ST_OK;
}

/* Newlines inside an object are blanks; the one behind each value ends whatever is not closed in it, as between lines. */
static enum status json_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n,
                                uint32_t *of, uint32_t *used, struct batch **out, struct err *err)
{
    struct json *j = (struct json *)d;
    d->p = text;
    j->records = r;
    j->of = of;
    bool good = put_all(j, pool, n, used);
    j->records = NULL;
    j->of = NULL;
    if (!good) return report_fail(&d->report, err);
    *out = j->batch;
    return ST_OK;
}

const struct decoder_class json_decoder = {
    .name = "json",
    .size = sizeof(struct json),
    .options = json_in_options,
    .open = json_open,
    .next = json_next,
    .records = json_records,
    .close = json_close,
};
