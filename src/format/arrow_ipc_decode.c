/* Arrow IPC in: a stream of record batches, or Arrow's file format, which is a stream with a magic number before it and an index behind;
 * or, where values come one by one, a whole stream each.
 *
 * The record is the message. One may have more rows than a batch, so the place in a split is that of a message and a number of its rows. Columns
 * go by name. What is wrong with a value costs its row; what is wrong with a message whose length is known costs that message; after what is
 * no message nothing more can be found, and the reading ends with an error, whatever on_error says. SPDX-License-Identifier: Apache-2.0 */
#include "format/classes.h"
#include "format/decoder.h"

#include "arrow/ipc.h"
#include "expr/jsontext.h"

#define MAGIC   "ARROW1\0"
#define MAGIC_N 8

struct arrow_decoder {
    struct decoder d;
    struct pool *pool; /* of schemas */
    struct ipc_reader *reader;
    bool magic; /* it is a file, */
    bool begun; /* its schema has come, */
    bool ended; /* and its end */
    struct cdata *rows; /* of the message of `size` bytes at `at`, which is at hand; NULL: none is */
    const char *at;
    uint64_t size;
    struct cdata_faults faults;
    struct batch **parts; /* of what the records at hand are */
    uint32_t nparts, parts_cap;
};

/* ---- what is wrong ------------------------------------------------------------------------------------------------------ */

static enum status fatal(const struct arrow_decoder *x, const struct err *why, struct err *err)
{
    err_set(err, why->code, "message at byte %lld: %s", (long long)x->d.offset, why->text);
    if (why->hint[0]) err_hint(err, "%s", why->hint);
    return why->code;
}

static enum status fatal_text(const struct arrow_decoder *x, const char *text, struct err *err)
{
    return err_set(err, E_DECODE, "message at byte %lld: %s", (long long)x->d.offset, text);
}

static enum status bad_message(struct arrow_decoder *x, const struct err *why, struct err *err)
{
    struct place at = {.offset = x->d.offset};
    report_put(&x->d.report, &at, "%s", why->text);
    x->d.report.bad++;
    return x->d.on_error == ON_ERROR_FAIL ? report_fail(&x->d.report, err) : ST_OK;
}

/* ---- messages ------------------------------------------------------------------------------------------------------- */

static void let_go(struct arrow_decoder *x)
{
    decoder_move(&x->d, x->size);
    x->d.row = 0;
    x->rows = NULL;
}

static enum status take_schema(struct arrow_decoder *x, const struct ipc_message *m, struct err *err)
{
    struct err why;
    if (x->begun && !x->ended) return fatal_text(x, "a second schema comes before the stream's end", err);
    if (x->begun && !ipc_reader_is_same(x->reader, m)) return fatal_text(x, "a stream follows that has another schema", err);
    if (ipc_reader_schema(x->reader, x->pool, m, &why)) return fatal(x, &why, err);
    x->begun = true;
    x->ended = false;
    decoder_move(&x->d, m->size);
    return ST_OK;
}

static enum status take_rows(struct arrow_decoder *x, struct pool *pool, const struct ipc_message *m, struct err *err)
{
    struct err why;
    if (!x->begun || x->ended) return fatal_text(x, "a batch comes where a schema should", err);
    enum status st = ipc_reader_rows(x->reader, pool, m, &x->rows, &why);
    x->at = x->d.p;
    x->size = m->size;
    if (!st) return cdata_seek(x->rows, x->d.row), ST_OK;
    if (st == E_UNSUPPORTED) return fatal(x, &why, err);
    TRY(bad_message(x, &why, err));
    let_go(x);
    return ST_OK;
}

static enum status too_long(const struct arrow_decoder *x, uint64_t n, struct err *err)
{
    err_set(err, E_DECODE, "message at byte %lld: it is of %llu bytes, more than the %zu of record.max", (long long)x->d.offset,
            (unsigned long long)n, x->d.record_max);
    err_hint(err, "set record.max higher, or write smaller batches");
    return E_DECODE;
}

static enum status cut_off(struct arrow_decoder *x, struct err *err)
{
    struct err why;
    err_set(&why, E_DECODE, "the stream is cut off in a message");
    TRY(bad_message(x, &why, err));
    decoder_move(&x->d, (size_t)(x->d.end - x->d.p));
    return ST_DONE;
}

/* Passes the magic number of a file. False: more bytes are needed to tell whether there is one. */
static bool pass_magic(struct arrow_decoder *x)
{
    size_t have = (size_t)(x->d.end - x->d.p), look = have < MAGIC_N ? have : MAGIC_N;
    if (x->d.offset || memcmp(x->d.p, MAGIC, look)) return true;
    if (look < MAGIC_N) return x->d.last;
    decoder_move(&x->d, MAGIC_N);
    x->magic = true;
    return true;
}

/* The next message. ST_WAIT, ST_DONE: there is none. */
static enum status next_message(struct arrow_decoder *x, struct pool *pool, struct err *err)
{
    struct ipc_message m;
    struct err why;
    struct decoder *d = &x->d;
    if (x->magic && x->ended) decoder_move(d, (size_t)(d->end - d->p)); /* a file's index */
    if (d->p == d->end || !pass_magic(x)) return decoder_none(d);
    enum status st = ipc_message_at(d->p, (size_t)(d->end - d->p), d->record_max, &m, &why);
    if (st && st != ST_WAIT) return fatal(x, &why, err);
    if (m.size > d->record_max) return too_long(x, m.size, err);
    if ((uint64_t)(d->end - d->p) < m.size) return d->last ? cut_off(x, err) : ST_WAIT;
    switch (m.kind) {
    case IPC_SCHEMA: return take_schema(x, &m, err);
    case IPC_ROWS: return take_rows(x, pool, &m, err);
    case IPC_END: x->ended = true; break;
    case IPC_DICTIONARY: break; /* of columns that are not wanted, else the schema was refused */
    case IPC_OTHER: return fatal_text(x, "it is neither a schema nor a batch", err);
    }
    decoder_move(d, m.size);
    return ST_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------ */

/* Arrow has no type for JSON, so that it is some is not known. */
static void check_json(struct arrow_decoder *x, struct batch *b, int col, int64_t first)
{
    const struct column *c = &b->cols[col];
    struct str *text = c->data;
    struct err why;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (column_null(c, i) || jsontext_valid(str_ptr(&text[i]), text[i].n)) continue;
        err_set(&why, E_CAST, "row %lld, column \"%s\": the text is not JSON", (long long)(first + i), x->d.schema->fields[col].name);
        cdata_fault_add(&x->faults, b, col, i, b->rows, &why);
        text[i] = (struct str){0};
    }
}

/* The next rows, with all that is wrong with them in x->faults. */
static enum status read_checked(struct arrow_decoder *x, struct cdata *rows, uint32_t max_rows, int64_t first, struct batch **out,
                                struct err *why)
{
    TRY(cdata_read_all(rows, max_rows, out, &x->faults, why));
    for (int i = 0; i < x->d.schema->n; i++)
        if (x->d.schema->fields[i].type.id == T_JSON) check_json(x, *out, i, first);
    return ST_OK;
}

/* The next rows of the message at hand, by the policy. Under FAIL those before a bad one; ST_POISON: that is the first. */
static enum status read_rows(struct arrow_decoder *x, uint32_t max_rows, struct batch **out, struct err *why)
{
    struct cdata_faults *f = &x->faults;
    int64_t row = x->d.row;
    TRY(read_checked(x, x->rows, max_rows, row, out, why));
    if (!f->cells || x->d.on_error != ON_ERROR_FAIL) return ST_OK;
    batch_unref(TAKE(*out));
    cdata_seek(x->rows, row);
    if (f->first.row) return cdata_read_all(x->rows, f->first.row, out, f, why);
    *why = f->first.err;
    return ST_POISON;
}

static uint64_t count_rows(const struct cdata_faults *f)
{
    uint64_t n = 0;
    for (size_t i = 0; i < countof(f->rows); i++) n += (uint64_t)__builtin_popcountll(f->rows[i]);
    return n;
}

/* Rows of the message at hand. ST_MORE: there are none left. */
static enum status give_rows(struct arrow_decoder *x, struct pool *pool, uint32_t max_rows, struct batch **out, struct err *err)
{
    struct decoder *d = &x->d;
    struct place at = {.offset = d->offset};
    struct err why;
    struct batch *b = NULL;
    enum status st = read_rows(x, max_rows, &b, &why);
    if (st == ST_DONE) return let_go(x), ST_MORE;
    if (st == ST_POISON) return bad_message(x, &why, err);
    if (st) return fatal(x, &why, err);
    d->row += b->rows;
    if (x->faults.cells) report_put(&d->report, &at, "%s", x->faults.last.err.text);
    if (x->faults.cells && d->on_error == ON_ERROR_NULL) d->report.nulled += x->faults.cells;
    if (x->faults.cells && d->on_error == ON_ERROR_SKIP) {
        d->report.bad += count_rows(&x->faults);
        b = decoder_live(pool, d->schema, b, x->faults.rows);
    }
    if (!cdata_left(x->rows)) let_go(x);
    *out = b;
    return ST_OK;
}

static enum status arrow_next(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out, struct err *err)
{
    struct arrow_decoder *x = (struct arrow_decoder *)d;
    *out = NULL;
    if (d->p != x->at) x->rows = NULL; /* what is at hand lies elsewhere now */
    for (;;) {
        enum status st = x->rows ? give_rows(x, pool, max_rows, out, err) : next_message(x, pool, err);
        if (*out || (st && st != ST_MORE)) return st;
    }
}

/* ---- records ----------------------------------------------------------------------------------------------------------------- */

static void add_part(struct arrow_decoder *x, struct batch *b)
{
    if (x->nparts == x->parts_cap) {
        uint32_t cap = x->parts_cap ? x->parts_cap * 2 : 64;
        x->parts = mem_realloc(x->parts, sizeof *x->parts * x->nparts, sizeof *x->parts * cap);
        x->parts_cap = cap;
    }
    x->parts[x->nparts++] = b;
}

static void drop_parts(struct arrow_decoder *x, uint32_t keep)
{
    while (x->nparts > keep) batch_unref(x->parts[--x->nparts]);
}

static enum status too_many(struct err *why)
{
    return err_set(why, E_DECODE, "the value has more than %d rows", BATCH_ROWS_MAX);
}

/* Rows of one message. */
static enum status put_rows(struct arrow_decoder *x, struct pool *pool, const struct ipc_message *m, uint32_t *rows, struct err *why)
{
    struct cdata *c = NULL;
    TRY(ipc_reader_rows(x->reader, pool, m, &c, why));
    int64_t all = cdata_left(c);
    if (all > BATCH_ROWS_MAX - *rows) return too_many(why);
    while (cdata_left(c)) {
        struct batch *b = NULL;
        TRY(read_checked(x, c, 0, all - cdata_left(c), &b, why));
        add_part(x, b);
        *rows += b->rows;
        if (!x->faults.cells) continue;
        *why = x->faults.last.err;
        if (x->d.on_error != ON_ERROR_NULL) return *why = x->faults.first.err, E_DECODE;
        x->d.report.nulled += x->faults.cells;
    }
    return ST_OK;
}

/* A value is a stream. why->code is set also where it is good but for cells that are NULL now. */
static enum status put_value(struct arrow_decoder *x, struct pool *pool, const char *p, size_t n, uint32_t *rows, struct err *why)
{
    struct ipc_message m;
    bool begun = false;
    for (; n; p += m.size, n -= m.size) {
        enum status st = ipc_message_at(p, n, n, &m, why);
        if (st == ST_WAIT || (!st && m.size > n)) return err_set(why, E_DECODE, "the stream is cut off in a message");
        TRY(st);
        if (m.kind == IPC_END) return n == m.size ? ST_OK : err_set(why, E_DECODE, "something follows the stream's end");
        if (m.kind == IPC_DICTIONARY) continue;
        if ((m.kind == IPC_SCHEMA) == begun || (m.kind != IPC_SCHEMA && m.kind != IPC_ROWS))
            return err_set(why, E_DECODE, "a stream is one schema and then batches");
        if (m.kind == IPC_SCHEMA)
            TRY(ipc_reader_schema(x->reader, x->pool, &m, why));
        else
            TRY(put_rows(x, pool, &m, rows, why));
        begun = true;
    }
    return begun ? ST_OK : err_set(why, E_DECODE, "there is no schema");
}

static struct batch *all_parts(struct arrow_decoder *x, struct pool *pool, uint32_t rows)
{
    if (x->nparts == 1) return x->parts[--x->nparts];
    struct batch *out = batch_for(pool, x->d.schema, rows);
    uint32_t idx[BATCH_ROWS_MAX];
    for (uint32_t i = 0; i < rows; i++) idx[i] = i;
    for (uint32_t i = 0; i < x->nparts; i++)
        if (x->parts[i]->rows) batch_scatter(out, rows, x->d.schema, x->parts[i], idx, x->parts[i]->rows);
    drop_parts(x, 0);
    return out;
}

/* Each is good or bad as a whole. */
static enum status arrow_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n, uint32_t *of,
                                 uint32_t *used, struct batch **out, struct err *err)
{
    struct arrow_decoder *x = (struct arrow_decoder *)d;
    uint32_t rows = 0;
    for (*used = 0; *used < n; ++*used) {
        const struct record *at = &r[*used];
        struct place place = {.offset = at->offset, .split = d->split};
        struct err why = {0};
        uint32_t more = 0, parts = x->nparts;
        uint64_t nulled = d->report.nulled;
        enum status st = at->n > d->record_max
                             ? err_set(&why, E_DECODE, "the record is longer than %zu bytes (record.max)", d->record_max)
                             : put_value(x, pool, text + at->start, at->n, &more, &why);
        bool full = !st && rows + more > BATCH_ROWS_MAX;
        if (st || full) drop_parts(x, parts), d->report.nulled = nulled;
        if (full || (st && d->on_error == ON_ERROR_FAIL && *used)) break;
        if (why.code) report_put(&d->report, &place, "%s", why.text);
        if (st) d->report.bad++;
        if (st && d->on_error == ON_ERROR_FAIL) return report_fail(&d->report, err);
        for (uint32_t i = 0; !st && i < more; i++) of[rows++] = *used;
    }
    *out = all_parts(x, pool, rows);
    return ST_OK;
}

/* ---- the class --------------------------------------------------------------------------------------------------------------- */

/* The schema of a stream that is read from the middle on. */
static enum status read_head(struct arrow_decoder *x, const char *p, size_t n, struct err *err)
{
    struct ipc_message m;
    x->magic = n >= MAGIC_N && !memcmp(p, MAGIC, MAGIC_N);
    if (x->magic) p += MAGIC_N, n -= MAGIC_N;
    enum status st = ipc_message_at(p, n, n, &m, err);
    if (st && st != ST_WAIT) return st;
    if (st || m.size > n) return err_set(err, E_DECODE, "the stream's schema is longer than its first %zu bytes, so it cannot be read from the middle on", n);
    if (m.kind != IPC_SCHEMA) return err_set(err, E_DECODE, "the stream does not begin with a schema");
    x->begun = true;
    return ipc_reader_schema(x->reader, x->pool, &m, err);
}

static enum status arrow_open(struct decoder *d, const struct options *o, const char *head, size_t head_n, struct err *err)
{
    struct arrow_decoder *x = (struct arrow_decoder *)d;
    (void)o;
    d->many = true;
    x->pool = pool_new(NULL);
    x->reader = ipc_reader_new(d->schema);
    return d->offset ? read_head(x, head, head_n, err) : ST_OK;
}

static void arrow_close(struct decoder *d)
{
    struct arrow_decoder *x = (struct arrow_decoder *)d;
    drop_parts(x, 0);
    mem_free(x->parts);
    ipc_reader_free(x->reader);
    if (x->pool) pool_close(x->pool);
}

static const struct option_spec arrow_in_options[] = {{0}};

const struct decoder_class arrow_ipc_decoder = {
    .name = "arrow_ipc",
    .size = sizeof(struct arrow_decoder),
    .options = arrow_in_options,
    .many = true,
    .skips_none = true,
    .open = arrow_open,
    .next = arrow_next,
    .records = arrow_records,
    .close = arrow_close,
};
