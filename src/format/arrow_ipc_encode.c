/* Arrow IPC out: one stream of record batches; or, where values go one by one, a stream of one row each. A changelog has a first column w
 * (int8, 1 or -1). Every stream has its schema, so it can be read alone. SPDX-License-Identifier: Apache-2.0 */
#include "format/classes.h"
#include "format/encoder.h"

#include "arrow/ipc.h"

struct arrow_encoder {
    struct encoder e;
    struct pool *pool; /* of what is converted */
    unsigned flags;
    struct ArrowSchema schema;
    struct text head; /* the schema's message */
    bool begun;
};

static void arrow_begin(struct encoder *e, struct text *out)
{
    struct arrow_encoder *x = (struct arrow_encoder *)e;
    text_put(out, x->head.p, x->head.n);
    x->begun = true;
}

static void arrow_end(struct encoder *e, struct text *out)
{
    struct arrow_encoder *x = (struct arrow_encoder *)e;
    if (x->begun) ipc_put_end(out);
    x->begun = false;
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

/* Why a cell cannot be written; what cdata_export refuses, and no more. */
static bool cell_fits(const struct field *f, const struct column *c, uint32_t row, struct err *why)
{
    int64_t ns;
    if (column_null(c, row)) return true;
    if (type_is_text(f->type) && ((const struct str *)c->data)[row].n > INT32_MAX)
        return err_set(why, E_RANGE, "column \"%s\": the text is longer than 2 GiB, which Arrow's offsets do not reach", f->name), false;
    if (f->type.id != T_INTERVAL || !__builtin_mul_overflow(((const struct interval *)c->data)[row].us, 1000, &ns)) return true;
    err_set(why, E_RANGE, "column \"%s\": the interval does not fit in 64 bits of nanoseconds, which Arrow counts", f->name);
    err_hint(why, "cast it to VARCHAR");
    return false;
}

static uint32_t arrow_fits(const struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct err *why)
{
    const struct schema *s = e->schema;
    uint32_t fit = n;
    for (int i = 0; i < s->n; i++) {
        if (s->fields[i].type.id != T_INTERVAL && !type_is_text(s->fields[i].type)) continue;
        for (uint32_t k = 0; k < fit; k++)
            if (!cell_fits(&s->fields[i], &b->cols[i], from + k, why)) fit = k;
    }
    return fit;
}

/* Those rows as a batch, which is a reference. A batch is shared by its count alone, which is not part of what is const. */
static struct batch *slice_of(struct arrow_encoder *x, const struct batch *b, uint32_t from, uint32_t n)
{
    uint32_t sel[BATCH_ROWS_MAX];
    struct rows r = {(struct batch *)b, sel, n};
    if (n == b->rows) return batch_ref(r.b);
    for (uint32_t i = 0; i < n; i++) sel[i] = from + i;
    return rows_dense(x->pool, x->e.schema, &r);
}

/* All rows of b, which fit: one by one, or in one message. */
static void export(struct arrow_encoder *x, struct batch *b, struct values *values, struct text *out)
{
    struct ArrowArray a;
    struct err err;
    enum status st = cdata_export(x->pool, b, x->e.schema, x->flags, &a, &err);
    INVARIANT(!st);
    for (uint32_t i = 0; values && i < b->rows; i++) {
        text_put(out, x->head.p, x->head.n);
        ipc_put_rows(&a, &x->schema, i, 1, out);
        ipc_put_end(out);
        values->offsets[++values->n] = (int64_t)out->n;
    }
    if (!values) ipc_put_rows(&a, &x->schema, 0, b->rows, out);
    a.release(&a);
}

/* Texts of one column that are too long together go in halves. */
static void put_rows(struct arrow_encoder *x, const struct batch *b, uint32_t from, uint32_t n, struct values *values, struct text *out)
{
    AUTO(batch_unref) struct batch *some = slice_of(x, b, from, n);
    if (n < 2 || !cdata_is_large(some, x->e.schema)) {
        export(x, some, values, out);
        return;
    }
    put_rows(x, some, 0, n / 2, values, out);
    put_rows(x, some, n / 2, n - n / 2, values, out);
}

static void arrow_put(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out)
{
    struct arrow_encoder *x = (struct arrow_encoder *)e;
    if (!x->begun) arrow_begin(e, out);
    put_rows(x, b, from, n, NULL, out);
}

static void arrow_put_values(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct values *out)
{
    put_rows((struct arrow_encoder *)e, b, from, n, out, &out->text);
}

/* ---- the class ------------------------------------------------------------------------------------------ */

static enum status arrow_open(struct encoder *e, const struct options *o, struct err *err)
{
    struct arrow_encoder *x = (struct arrow_encoder *)e;
    (void)o;
    if (e->changelog == CHANGELOG_OP) {
        err_set(err, E_FORMAT, "format arrow_ipc marks changes by a column w of 1 and -1 only");
        err_hint(err, "leave changelog = 'op' out");
        return E_FORMAT;
    }
    x->pool = pool_new(NULL);
    x->flags = e->changelog ? CDATA_WEIGHT : 0;
    cdata_schema(e->schema, x->flags, &x->schema);
    ipc_put_schema(&x->schema, &x->head);
    return ST_OK;
}

static void arrow_close(struct encoder *e)
{
    struct arrow_encoder *x = (struct arrow_encoder *)e;
    if (x->schema.release) x->schema.release(&x->schema);
    if (x->pool) pool_close(x->pool);
    text_done(&x->head);
}

static const struct option_spec arrow_out_options[] = {{0}};

const struct encoder_class arrow_ipc_encoder = {
    .name = "arrow_ipc",
    .size = sizeof(struct arrow_encoder),
    .options = arrow_out_options,
    .ends = true,
    .open = arrow_open,
    .begin = arrow_begin,
    .put = arrow_put,
    .put_values = arrow_put_values,
    .fits = arrow_fits,
    .flush = encoder_hold_nothing,
    .end = arrow_end,
    .close = arrow_close,
};
