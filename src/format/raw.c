/* Values as they are: the one column that is not metadata is the whole of each, VARCHAR, BLOB or JSON. Only where
 * values come and go one by one, for in a run of bytes nothing says where one ends. SPDX-License-Identifier: Apache-2.0
 */
#include "format/classes.h"
#include "format/decoder.h"
#include "format/encoder.h"

static const struct option_spec raw_options[] = {{NULL, OPT_TEXT, NULL, 0, NULL, 0, 0, NULL}};

static enum status one_column(const struct schema *s, struct err *err)
{
    char name[64];
    if (s->n != 1)
        return err_set(err, E_FORMAT, "format raw is for one column that is the whole value, and there are %d", s->n);
    if (type_is_text(s->fields[0].type)) return ST_OK;
    err_set(err, E_FORMAT, "column \"%s\": format raw is for VARCHAR, BLOB and JSON, not for %s", s->fields[0].name,
            type_name(s->fields[0].type, name));
    err_hint(err, "cast it to VARCHAR or BLOB");
    return E_FORMAT;
}

/* ---- in ----------------------------------------------------------------------------------------------------- */

static enum status raw_open(struct decoder *d, const struct options *o, const char *head, size_t head_n,
                            struct err *err)
{
    (void)o, (void)head, (void)head_n;
    return one_column(d->declared, err);
}

static void raw_close(struct decoder *d)
{
    (void)d;
}

/* False: the record is bad, or has become NULL. */
static enum status put_record(struct decoder *d, struct batch *b, const char *text, const struct record *r,
                              uint32_t cap, struct err *why)
{
    if (r->n > d->record_max)
        return err_set(why, E_DECODE, "the record is longer than %zu bytes (record.max)", d->record_max);
    if (!d->schema->n) return ST_OK;
    struct type t = d->schema->fields[0].type;
    struct str *to = (struct str *)b->cols[0].data + b->rows;
    if (t.id == T_BLOB) {
        *to = batch_str(b, text + r->start, r->n);
        return ST_OK;
    }
    enum status st = decoder_cell(b, t, to, text + r->start, r->n, why);
    if (!st || d->on_error != ON_ERROR_NULL) return st;
    decoder_null(b, d->schema, 0, b->rows, cap);
    d->report.nulled++;
    return ST_OK;
}

static enum status raw_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r,
                               uint32_t n, uint32_t *of, uint32_t *used, struct batch **out, struct err *err)
{
    AUTO(batch_unref) struct batch *b = batch_for(pool, d->schema, n);
    const char *column = d->schema->n ? d->schema->fields[0].name : NULL;
    for (*used = 0; *used < n; ++*used) {
        struct err why = {0};
        struct place at = {.offset = r[*used].offset, .split = d->split, .column = column};
        enum status st = put_record(d, b, text, &r[*used], n, &why);
        if (st && d->on_error == ON_ERROR_FAIL && *used) break;
        if (why.code) report_put(&d->report, &at, "%s", why.text);
        if (st) d->report.bad++;
        if (st && d->on_error == ON_ERROR_FAIL) return report_fail(&d->report, err);
        if (!st) of[b->rows++] = *used;
    }
    *out = TAKE(b);
    return ST_OK;
}

const struct decoder_class raw_decoder = {
    .name = "raw",
    .size = sizeof(struct decoder),
    .options = raw_options,
    .open = raw_open,
    .records = raw_records,
    .close = raw_close,
};

/* ---- out ---------------------------------------------------------------------------------------------------- */

static enum status raw_out_open(struct encoder *e, const struct options *o, struct err *err)
{
    (void)o;
    if (e->changelog) {
        err_set(err, E_FORMAT, "format raw has no room to say whether a row is added or taken back");
        err_hint(err, "use format = 'json'");
        return E_FORMAT;
    }
    return one_column(e->schema, err);
}

static void raw_out_close(struct encoder *e)
{
    (void)e;
}

static void raw_put_values(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct values *out)
{
    (void)e;
    const struct column *c = &b->cols[0];
    const struct str *s = (const struct str *)c->data + from;
    for (uint32_t i = 0; i < n; i++) {
        bool none = column_null(c, from + i);
        out->none[out->n] = none;
        out->has_none |= none;
        if (!none) text_put(&out->text, str_ptr(&s[i]), s[i].n);
        out->offsets[++out->n] = (int64_t)out->text.n;
    }
}

const struct encoder_class raw_encoder = {
    .name = "raw",
    .size = sizeof(struct encoder),
    .options = raw_options,
    .open = raw_out_open,
    .begin = encoder_hold_nothing,
    .put_values = raw_put_values,
    .flush = encoder_hold_nothing,
    .end = encoder_hold_nothing,
    .close = raw_out_close,
};
