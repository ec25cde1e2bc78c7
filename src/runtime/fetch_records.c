/* Records: values that come one by one, with metadata beside them. A format decodes the values; the rows that come of it get the
 * metadata of their records, whichever records were bad. The position kept is the one behind the last record of a batch.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

#include "expr/cell.h"

void fetch_records_plan(struct reader *r)
{
    struct divided all;
    metadata_divide(r->arena, r->class->metadata, r->schema, &r->columns);
    metadata_divide(r->arena, r->class->metadata, r->object->schema, &all);
    r->declared = all.value;
}

enum status fetch_records_seek(struct part *p, struct split *s, struct err *err)
{
    struct reader *r = p->reader;
    const struct object *o = r->object;
    batch_unref(TAKE(s->records.b));
    s->records = (struct payload){0};
    s->record = 0;
    if (s->decoder) return ST_OK; /* it remembers nothing of a record but its reports */
    return decoder_new_records(o->format->class, r->columns.value, r->declared, o->options, r->on_error,
                               (size_t)options_int(o->options, "record.max"), r->class->split_name(p->source, s->number), &s->decoder,
                               err);
}

/* ---- metadata that does not fit its column -------------------------------------------------------------------------- */

/* Records of the payload that are bad for their metadata, or have lost some of it. */
struct unfit {
    uint64_t dead[BATCH_ROWS_MAX / 64];
    uint32_t n;     /* of them */
    uint32_t first; /* under FAIL: the number of the first */
};

static void tell_unfit(struct split *s, uint32_t record, const char *column)
{
    struct decode_report *report = &s->decoder->report;
    int64_t offset = s->records.records[record].offset;
    report->last = (struct err){0};
    err_set(&report->last, E_DECODE, "record %lld of %.100s, column \"%.100s\": invalid UTF-8", (long long)offset, s->decoder->split,
            column);
    report->last_offset = offset;
}

/* A BLOB that is declared as text. */
static bool must_be_text(const struct part *p, const struct split *s, int column)
{
    const struct divided *d = &p->reader->columns;
    return s->records.b && d->mine->fields[column].type.id == T_BLOB && p->reader->schema->fields[d->mine_at[column]].type.id != T_BLOB;
}

static bool is_unfit(const struct split *s, int column, uint32_t record)
{
    const struct column *c = &s->records.b->cols[column];
    const struct str *text = (const struct str *)c->data + record;
    return !column_null(c, record) && !utf8_valid(str_ptr(text), text->n);
}

/* What becomes of a record is as for one whose value is bad. */
static void check_text(struct part *p, struct split *s, int column, uint32_t n, struct unfit *unfit)
{
    const struct reader *r = p->reader;
    struct column *c = &s->records.b->cols[column];
    for (uint32_t i = s->record; i < s->record + n; i++) {
        if (!is_unfit(s, column, i)) continue;
        if (r->on_error == ON_ERROR_FAIL && i - s->record >= unfit->first) return;
        tell_unfit(s, i, r->columns.mine->fields[column].name);
        if (r->on_error == ON_ERROR_FAIL) {
            unfit->first = i - s->record;
            return;
        }
        if (r->on_error == ON_ERROR_NULL) {
            if (!c->valid) c->valid = batch_validity(s->records.b, s->records.nrecords);
            bit_clear(c->valid, i);
            ((struct str *)c->data)[i] = (struct str){0};
            s->decoder->report.nulled++;
        } else if (!bit_get(unfit->dead, i - s->record)) {
            bit_set(unfit->dead, i - s->record);
            unfit->n++;
        }
    }
}

static void find_unfit(struct part *p, struct split *s, uint32_t n, struct unfit *unfit)
{
    const struct divided *d = &p->reader->columns;
    unfit->n = 0;
    unfit->first = n;
    bool clear = false;
    for (int i = 0; i < d->mine->n; i++) {
        if (!must_be_text(p, s, i)) continue;
        if (!clear) memset(unfit->dead, 0, sizeof unfit->dead);
        clear = true;
        check_text(p, s, i, n, unfit);
    }
}

/* Takes rows of bad records out again. */
static struct batch *without_unfit(struct part *p, struct split *s, struct batch *b, uint32_t *of, const struct unfit *unfit)
{
    uint32_t sel[BATCH_ROWS_MAX], n = 0, last = UINT32_MAX;
    if (!unfit->n) return b;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (!bit_get(unfit->dead, of[i])) {
            sel[n] = i, of[n++] = of[i];
            continue;
        }
        s->decoder->report.bad += of[i] != last;
        last = of[i];
    }
    struct rows rows = {b, sel, n};
    struct batch *out = rows_compact(p->pool, p->reader->columns.value, &rows);
    batch_unref(b);
    return out;
}

/* ---- dead letters ------------------------------------------------------------------------------------------------- */

/* Why a record became no row. The report is left as it was. False: it is good, and has none. */
static bool why_bad(struct part *p, struct split *s, uint32_t record, struct err *why)
{
    struct decode_report before = s->decoder->report;
    struct batch *b = NULL;
    uint32_t of[BATCH_ROWS_MAX], used;
    decoder_records(s->decoder, p->pool, s->records.p, s->records.records + record, 1, of, &used, &b, NULL);
    bool bad = s->decoder->report.bad > before.bad, rows = b && b->rows;
    batch_unref(b);
    for (int i = 0; rows && i < p->reader->columns.mine->n; i++)
        if (must_be_text(p, s, i) && is_unfit(s, i, record)) tell_unfit(s, record, p->reader->columns.mine->fields[i].name), bad = true;
    *why = s->decoder->report.last;
    s->decoder->report = before;
    return bad;
}

/* Those of the next `used` records that are bad, of whom there are so many; of: the records of the rows. */
static void bury(struct part *p, struct split *s, uint32_t used, uint64_t bad, const uint32_t *of, uint32_t rows)
{
    struct letters *letters = p->reader->letters;
    uint32_t row = 0, cap = (uint32_t)bad;
    if (!letters || !bad) return;
    struct batch *to = letter_batch(letters, p->pool, cap);
    for (uint32_t i = 0; i < used && to->rows < cap; i++) {
        const struct record *r = &s->records.records[s->record + i];
        struct err why;
        uint32_t first = row;
        while (row < rows && of[row] == i) row++;
        if (row > first || !why_bad(p, s, s->record + i, &why)) continue;
        bool none = r->n == RECORD_NONE;
        letter_add_record(letters, to, cap, none ? NULL : s->records.p + r->start, none ? 0 : r->n, r->offset, why.text);
    }
    p->letters = to;
    reread_post(p);
}

/* ---- values and metadata side by side ---------------------------------------------------------------------------- */

static void put_null_column(struct batch *b, int column, struct type t)
{
    size_t bytes = type_width(t) * b->rows;
    b->cols[column].data = memset(batch_alloc(b, bytes ? bytes : 1), 0, bytes);
    b->cols[column].valid = batch_validity(b, b->rows);
    memset(b->cols[column].valid, 0, bitmap_words(b->rows) * 8);
}

/* The metadata of records s->record + of[..], one for each row. */
static struct batch *metadata_of(struct part *p, struct split *s, uint32_t rows, const uint32_t *of)
{
    uint32_t sel[BATCH_ROWS_MAX];
    bool all = rows == s->records.nrecords;
    for (uint32_t i = 0; i < rows; i++) sel[i] = s->record + of[i], all &= sel[i] == i;
    struct rows those = {s->records.b, all ? NULL : sel, rows};
    return rows_dense(p->pool, p->reader->columns.mine, &those);
}

/* Takes the rows of values. */
static struct batch *side_by_side(struct part *p, struct split *s, struct batch *values, const uint32_t *of)
{
    const struct reader *r = p->reader;
    const struct divided *d = &r->columns;
    if (!d->mine->n || !values->rows) return values;
    struct batch *out = batch_new(p->pool, r->schema->n), *mine = s->records.b ? metadata_of(p, s, values->rows, of) : NULL;
    out->rows = values->rows;
    batch_pin(out, values);
    for (int i = 0; i < d->value->n; i++) out->cols[d->value_at[i]] = values->cols[i];
    if (mine) batch_pin(out, mine);
    for (int i = 0; i < d->mine->n; i++) {
        if (mine)
            out->cols[d->mine_at[i]] = mine->cols[i];
        else
            put_null_column(out, d->mine_at[i], r->schema->fields[d->mine_at[i]].type);
    }
    batch_unref(values);
    batch_unref(mine);
    return out;
}

/* ---- fetching ------------------------------------------------------------------------------------------------------ */

static enum status decode_some(struct part *p, struct split *s, struct batch **out, struct err *err)
{
    uint32_t of[BATCH_ROWS_MAX], used = 0, n = s->records.nrecords - s->record;
    uint64_t bad = s->decoder->report.bad;
    struct unfit unfit;
    struct batch *values = NULL;
    if (n > p->reader->batch_rows) n = p->reader->batch_rows;
    find_unfit(p, s, n, &unfit);
    if (!unfit.first) {
        s->decoder->report.bad++;
        *err = s->decoder->report.last;
        return E_DECODE;
    }
    TRY(decoder_records(s->decoder, p->pool, s->records.p, s->records.records + s->record, unfit.first, of, &used, &values, err));
    values = without_unfit(p, s, values, of, &unfit);
    bury(p, s, used, s->decoder->report.bad - bad, of, values->rows);
    *out = side_by_side(p, s, values, of);
    s->record += used;
    s->payload = s->records.places[s->record - 1];
    atomic_store_explicit(&p->position, s->payload.offset, memory_order_relaxed);
    return ST_OK;
}

static enum status poll_source(struct part *p, struct split *s, int64_t now, struct err *err)
{
    batch_unref(TAKE(s->records.b));
    s->records = (struct payload){.max = p->reader->batch_rows};
    s->record = 0;
    enum status st = p->source->class->poll(p->source, s->number, now, &s->records, err);
    if (st == ST_DONE) s->input_ended = true;
    if (st && st != ST_DONE) return st;
    count(&p->bytes, s->records.n);
    return ST_OK;
}

enum status fetch_records(struct part *p, struct split *s, int64_t now, struct err *err)
{
    for (;;) {
        if (p->letters && !reread_post(p)) return ST_FULL;
        if (s->record == s->records.nrecords) {
            if (s->input_ended) return ST_DONE;
            TRY(poll_source(p, s, now, err));
            continue;
        }
        struct batch *b = NULL;
        enum status st = decode_some(p, s, &b, err);
        fetch_note_bad(p, s);
        if (st) return st;
        if (b->rows) return part_take(p, s, b), ST_OK;
        s->at = s->payload;
        batch_unref(b);
    }
}
