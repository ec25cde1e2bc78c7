/* JSON lines in: one object a line, fields by name; or one object a record, where records come one by one.
 *
 * simdjson's first stage finds the tokens of some 64 KiB of lines at once; json_walk goes along them once. When the stage finds text broken
 * somewhere it is run again line by line, so that a bad line costs itself only and what is bad does not depend on how
 * input was cut.
 *
 * A line is valid JSON or is skipped whole; fields that are not wanted are checked for their form as well.
 * SPDX-License-Identifier: Apache-2.0 */
#include "format/json_int.h"

#define CHUNK 65536 /* text whose tokens are found at once */

_Static_assert(FORMAT_PADDING >= JSON_PADDING, "feed gives what simdjson reads");

static const char too_long[] = "";

/* Under FAIL decoding ends at the first fault, so the latest is the one to tell of. */
static void fault_put(struct json *j, struct json_fault f)
{
    f.set = true;
    j->fault = f;
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

/* The record whose rows are more than a batch that was made for one of each has room for: it gets a batch of its own. */
static enum json_outcome put_large(struct json *j, struct json_line *l, uint32_t first, struct json_fault *f)
{
    l->i = first;
    struct json_line at = *l;
    if (!j->whole) at.i = j->slots[SLOT_ROWS].at;
    uint32_t rows = json_count(at);
    if (rows > BATCH_ROWS_MAX) {
        f->why = "it has more rows than a batch (8192)";
        return JSON_LOST;
    }
    batch_unref(j->batch);
    j->cap = rows;
    j->batch = batch_for(j->pool, j->d.schema, j->cap);
    return json_put(j, l, f);
}

static inline enum json_outcome put_line(struct json *j, struct json_line *l, struct json_fault *f)
{
    uint32_t first = l->i;
    enum json_outcome outcome = json_put(j, l, f);
    return likely(outcome != JSON_FULL) || j->batch->rows ? outcome : put_large(j, l, first, f);
}

/* Decodes lines up to g.end, or under FAIL to a bad one, or to one whose rows have no room; returns the line it came to. */
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
        struct json_fault f = {.line = line_name(j, i), .start = start, .why = text_fault(text)};
        uint32_t rows = j->batch->rows;
        enum json_outcome outcome = JSON_LOST;
        l.end = line_end(j, i) - from;
        if (bytes > j->d.record_max)
            f.why = too_long;
        else if (!text)
            outcome = put_line(j, &l, &f);
        if (outcome == JSON_FULL) return i;
        for (; outcome == JSON_GOOD && j->of && rows < j->batch->rows; rows++) j->of[rows] = i;
        if (outcome == JSON_GOOD) continue;
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
    const struct json_fault *f = &j->fault;
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
    struct json_column c = j->columns[f->col];
    c.sense = f->sense;
    if (!json_cell(j, NULL, &c, data, &f->value, &err)) json_mismatch(c.type, &f->value, &err);
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
    struct json_fault f = {.why = too_long, .line = j->line};
    fault_put(j, f);
    tell(j);
    j->d.report.bad++;
    j->passing = true;
}

/* ---- the class ------------------------------------------------------------------------------------------ */

static const struct option_spec json_in_options[] = {
    {"epoch.unit", OPT_ENUM, "ms", 0, "s|ms|us|ns", 0, 0,
     "What a number in a TIMESTAMP column counts, from 1970-01-01 UTC.", NULL},
    {"json.path", OPT_TEXT, NULL, 0, NULL, 0, 0,
     "Where in a record its row is, as 'data' or 'a.b': an object, or an array of objects, each a row; $ is the record itself.", NULL},
    {"json.column.*", OPT_TEXT, NULL, 0, NULL, 0, 0,
     "json.column.NAME: where in its row that column is, as 'p' or 'quote.bids[0][1]', or in its record, as '$.stream'; "
     "json.column.NAME.epoch_unit: what its numbers count, s, ms, us or ns.", NULL},
    {NULL,         OPT_TEXT, NULL, 0, NULL,         0, 0, NULL, NULL},
};

enum status json_begin(struct json *j, const struct options *o, struct err *err)
{
    int64_t mul = 0, div = 1;
    if (options_has(o, "epoch.unit")) json_unit(options_text(o, "epoch.unit"), &mul, &div);
    j->line = j->d.offset == 0;
    j->arena = arena_new();
    j->rows = -1;
    j->columns = mem_zalloc(sizeof *j->columns * (size_t)(j->d.schema->n + 1));
    for (int i = 0; i < j->d.schema->n; i++) {
        j->columns[i] = (struct json_column){.type = j->d.schema->fields[i].type, .mul = mul, .div = div};
        json_mean(&j->columns[i], MEANING_UNKNOWN);
    }
    j->index = json_index_new();
    return j->index ? ST_OK : err_set(err, E_NOMEM, "no memory for a JSON decoder");
}

static enum status json_open(struct decoder *d, const struct options *o, const char *head, size_t head_n, struct err *err)
{
    (void)head, (void)head_n;
    TRY(json_begin((struct json *)d, o, err));
    return json_paths((struct json *)d, o, err);
}

void json_close(struct decoder *d)
{
    struct json *j = (struct json *)d;
    if (j->index) json_index_free(j->index);
    json_nodes_done(j);
    arena_free(j->arena);
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
    j->pool = pool;
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

enum status json_next(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out, struct err *err)
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
enum status json_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n, uint32_t *of, uint32_t *used,
                         struct batch **out, struct err *err)
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
