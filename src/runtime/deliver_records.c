/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/deliver_records.h"

#include "plan/plan.h"

#define ENCODE_ROWS 256          /* at a time at most, */
#define ENCODE_BYTES (256 << 10) /* until there are so many */

struct record_writer {
    struct pool *pool;
    struct arena *arena;
    struct divided columns;  /* of the rows; values are made of columns.value */
    struct encoder *encoder;
    bool whole; /* one value for many rows */
    struct values values;    /* of some rows of `batch` */
    struct batch *batch;     /* as it was offered */
    struct batch *seen;      /* as the encoder sees it: the columns of values */
};

enum changelog_style record_style(const struct object *o, const struct sink_class *c)
{
    if (o->plan->stream == STREAM_APPEND || (c->unmarked && c->unmarked(c, o->options))) return CHANGELOG_NONE;
    return options_int(o->options, "changelog") == 1 ? CHANGELOG_OP : CHANGELOG_W;
}

enum status record_writer_new(struct pool *pool, const struct object *o, struct record_writer **out, struct err *err)
{
    const struct sink_class *c = o->connector->class;
    *out = NULL;
    if (c->payload != PAYLOAD_RECORDS) return ST_OK;
    struct record_writer *w = mem_zalloc(sizeof *w);
    w->pool = pool;
    w->arena = arena_new();
    metadata_divide(w->arena, c->metadata, o->schema, &w->columns);
    const struct encoder_class *e = o->format->class;
    w->whole = c->whole && e->ends;
    enum status st = (w->whole ? encoder_new : encoder_new_values)(e, w->columns.value, record_style(o, c), o->options, &w->encoder, err);
    if (st) return record_writer_free(w), st;
    *out = w;
    return ST_OK;
}

static void let_go(struct record_writer *w)
{
    batch_unref(TAKE(w->seen));
    batch_unref(TAKE(w->batch));
    values_clear(&w->values, 0, BATCH_ROWS_MAX);
}

void record_writer_free(struct record_writer *w)
{
    if (!w) return;
    batch_unref(w->seen);
    batch_unref(w->batch);
    encoder_free(w->encoder);
    values_done(&w->values);
    arena_free(w->arena);
    mem_free(w);
}

/* One value of as many rows as fit, from some 256 KiB of the batch. */
static bool encode_whole(struct record_writer *w, uint32_t from, uint32_t rows, struct err *why)
{
    struct values *v = &w->values;
    v->n = encoder_fits(w->encoder, w->seen, from, rows, why);
    v->whole = true;
    if (v->n) encoder_put_whole(w->encoder, w->seen, from, v->n, &v->text);
    v->offsets[1] = (int64_t)v->text.n;
    return v->n;
}

/* The values of some rows; ST_POISON: the first has none. */
static enum status encode(struct record_writer *w, struct batch *b, uint32_t from, struct err *err)
{
    struct err why;
    if (w->batch != b) {
        let_go(w);
        w->batch = batch_ref(b);
        w->seen = divided_values(&w->columns, w->pool, b);
    }
    values_clear(&w->values, from, BATCH_ROWS_MAX);
    uint32_t few = ENCODE_BYTES / (b->bytes_held / b->rows + 1) + 1;
    if (w->whole && encode_whole(w, from, b->rows - from < few ? b->rows - from : few, &why)) return ST_OK;
    if (few > ENCODE_ROWS) few = ENCODE_ROWS;
    for (uint32_t row = from; !w->whole && row < b->rows && w->values.text.n < ENCODE_BYTES;) {
        uint32_t n = b->rows - row < few ? b->rows - row : few, fit = encoder_fits(w->encoder, w->seen, row, n, &why);
        if (fit) w->encoder->class->put_values(w->encoder, w->seen, row, fit, &w->values);
        row += fit;
        if (fit < n) break;
    }
    if (w->values.n) return ST_OK;
    *err = why;
    return ST_POISON;
}

enum status record_writer_write(struct record_writer *w, struct sink *s, struct batch *b, uint32_t from, uint32_t *accepted,
                                size_t *bytes, struct err *err)
{
    const struct values *v = &w->values;
    *accepted = 0;
    if (w->batch != b || from < v->first || from >= v->first + v->n || (v->whole && from != v->first)) TRY(encode(w, b, from, err));
    enum status st = s->class->write_records(s, v, b, from, accepted, err);
    uint32_t at = from - v->first;
    *bytes += v->whole ? (size_t)v->offsets[1] * *accepted / v->n : (size_t)(v->offsets[at + *accepted] - v->offsets[at]);
    if (from + *accepted == b->rows) let_go(w);
    return st;
}
