/* Fetching: from a connector's payload, through a decoder, or from constants, to a batch in a part's hand.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

void fetch_note_bad(struct part *p, struct split *s)
{
    const struct decode_report *d = &s->decoder->report;
    uint64_t bad = 0, nulled = 0;
    for (int i = 0; i < p->nsplits; i++)
        if (p->splits[i].decoder) {
            bad += p->splits[i].decoder->report.bad;
            nulled += p->splits[i].decoder->report.nulled;
        }
    if (bad + nulled == atomic_load(&p->bad) + atomic_load(&p->nulled)) return;
    atomic_store(&p->bad, bad);
    atomic_store(&p->nulled, nulled);
    note_write(&p->last_error, d->last.text);
}

static void reserve(struct split *s, size_t have, size_t n)
{
    if (n <= s->cap) return;
    s->buf = mem_realloc(s->buf, have, n * 2);
    s->cap = n * 2;
}

/* Keeps what the decoder has left of the last payload, which the next poll makes invalid. */
static size_t keep_rest(struct split *s)
{
    size_t left = (size_t)(s->decoder->end - s->decoder->p);
    if (!left) return 0;
    if (s->decoder->p >= s->buf && s->decoder->p <= s->buf + s->cap) {
        memmove(s->buf, s->decoder->p, left);
    } else {
        reserve(s, 0, left + FORMAT_PADDING);
        memcpy(s->buf, s->decoder->p, left);
    }
    return left;
}

/* Gives the decoder the rest and the new bytes as one run: the rest goes before the payload when it is short. */
static void feed(struct split *s, size_t left, const struct payload *pay)
{
    if (pay->n && left <= PAYLOAD_HEADROOM) {
        if (left) memcpy(pay->p - left, s->buf, left);
        decoder_feed(s->decoder, pay->p - left, left + pay->n, s->input_ended);
        return;
    }
    reserve(s, left, left + pay->n + FORMAT_PADDING);
    if (pay->n) memcpy(s->buf + left, pay->p, pay->n);
    memset(s->buf + left + pay->n, 0, FORMAT_PADDING);
    decoder_feed(s->decoder, s->buf, left + pay->n, s->input_ended);
}

static enum status fetch_bytes(struct part *p, struct split *s, int64_t now, struct err *err)
{
    for (;;) {
        if (p->letters && !reread_post(p)) return ST_FULL;
        struct batch *b = NULL;
        const struct decoder before = *s->decoder;
        enum status st = decoder_next(s->decoder, p->pool, p->reader->batch_rows, &b, err);
        s->payload.offset = s->decoder->offset;
        s->payload.row = s->decoder->row;
        fetch_note_bad(p, s);
        uint64_t bad = s->decoder->report.bad - before.report.bad;
        if (p->reader->letters && bad) reread_bad(p, s, &before, bad);
        if (st == ST_OK) {
            if (p->reader->class->mark != source_no_mark) p->source->class->mark(p->source, s->number, &s->payload);
            atomic_store_explicit(&p->position, s->decoder->offset, memory_order_relaxed);
            if (b->rows) return part_take(p, s, b), ST_OK;
            s->at = s->payload;
            batch_unref(b);
            continue;
        }
        if (st != ST_WAIT || s->input_ended) return st == ST_WAIT ? ST_DONE : st;
        struct payload pay = {0};
        size_t left = keep_rest(s);
        st = p->source->class->poll(p->source, s->number, now, &pay, err);
        if (st == ST_DONE) s->input_ended = true;
        if (st && st != ST_DONE && st != ST_WAIT) return st;
        count(&p->bytes, pay.n);
        feed(s, left, &pay);
        if (st == ST_WAIT) return st;
    }
}

static enum status fetch_columns(struct part *p, struct split *s, int64_t now, struct err *err)
{
    struct payload pay = {0};
    enum status st = p->source->class->poll(p->source, s->number, now, &pay, err);
    if (st) return st;
    s->payload = pay.after;
    atomic_store_explicit(&p->position, pay.after.offset, memory_order_relaxed);
    count(&p->bytes, pay.b->bytes_own);
    part_take(p, s, pay.b);
    return ST_OK;
}

/* Constant rows: the values of a VALUES list, or the one row of a SELECT without FROM. */
static enum status fetch_values(struct part *p, struct split *s, struct err *err)
{
    const struct plan *v = p->reader->values;
    if (s->at.offset) return ST_DONE;
    s->payload.offset = 1;
    s->at.offset = 1;
    struct batch *one = batch_new(p->pool, 0);
    one->rows = 1;
    struct batch *b = batch_for(p->pool, v->schema, (uint32_t)(v->nrows ? v->nrows : 1));
    struct schema none = {0};
    enum status st = ST_OK;
    if (!v->schema->n) b->rows = (uint32_t)v->nrows;
    for (int i = 0; i < v->nrows && v->schema->n && !st; i++) {
        AUTO(eval_free) struct eval *ev = NULL;
        st = eval_new(v->values + (size_t)i * (size_t)v->schema->n, v->schema->n, &none, p->pool, &ev, err);
        if (st) break;
        struct row_errors bad = {0};
        struct rows r = rows_all(one);
        struct batch *row = eval_project(ev, &r, &bad);
        if (bad.count) {
            *err = bad.first;
            st = bad.first.code;
        } else {
            batch_append(b, (uint32_t)v->nrows, v->schema, row, 0);
        }
        batch_unref(row);
    }
    batch_unref(one);
    if (st) {
        batch_unref(b);
        return st;
    }
    part_take(p, s, b);
    return ST_OK;
}

enum status fetch_batch(struct part *p, struct split *s, int64_t now, struct err *err)
{
    if (p->reader->values) return fetch_values(p, s, err);
    if (p->reader->class->payload == PAYLOAD_RECORDS) return fetch_records(p, s, now, err);
    return p->reader->class->payload == PAYLOAD_BYTES ? fetch_bytes(p, s, now, err) : fetch_columns(p, s, now, err);
}

enum status fetch_seek(struct part *p, struct split *s, bool fresh, struct err *err)
{
    struct reader *r = p->reader;
    const struct source_class *c = r->class;
    fresh |= !s->at.offset && !s->at.n;
    TRY(c->seek(p->source, s->number, fresh ? NULL : &s->at, err));
    s->input_ended = false;
    if (c->payload == PAYLOAD_RECORDS) return fetch_records_seek(p, s, err);
    if (c->payload != PAYLOAD_BYTES) return ST_OK;
    struct decode_report report = s->decoder ? s->decoder->report : (struct decode_report){0};
    decoder_free(s->decoder);
    s->decoder = NULL;
    char head[65536];
    size_t got = 0;
    if (!fresh && s->at.offset) TRY(c->head(p->source, s->number, head, sizeof head, &got, err));
    const struct object *o = r->object;
    TRY(decoder_new_some(o->format->class, r->schema, o->schema, o->options, r->on_error,
                         (size_t)options_int(o->options, "record.max"), fresh ? 0 : s->at.offset, got ? head : NULL, got,
                         &s->decoder, err));
    s->decoder->report = report;
    s->decoder->row = fresh ? 0 : s->at.row;
    return ST_OK;
}
