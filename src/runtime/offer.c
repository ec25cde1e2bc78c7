/* What a deliver task offers its connector: batches from the log, as rows or encoded; what was taken and not flushed; rows
 * that cannot be taken. See deliver_int.h for positions. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/deliver_int.h"

#include <stdio.h>

#define ENCODE_BYTES (256 << 10) /* a write is offered at this size */
#define AHEAD        8           /* times what asks for a flush, while one waits */
#define STEP_BATCHES 16          /* then others of the thread have their turn */

/* ---- the batch at hand -------------------------------------------------------------------------------------------- */

static uint32_t first_row(const struct deliver *d) { return d->again < d->nkept ? d->kept[d->again].from : d->from; }

/* The log's end, or the mark at which this sink was dropped. */
static void note_mark(struct deliver *d, const struct log_entry *e)
{
    uint64_t end_at = atomic_load(&d->end_at);
    if (e->kind == LOG_EPOCH) d->epoch_seen = e->epoch;
    bool dropped = e->kind == LOG_EPOCH && end_at && e->epoch >= end_at;
    if (e->kind != LOG_END && !dropped) return;
    d->saw_end = true;
    d->complete = dropped || e->complete;
}

/* The one to be offered next; NULL: none now. Entries of the log that are no batch are passed on the way. */
static enum status batch_at_hand(struct deliver *d, struct batch **out, struct err *err)
{
    *out = NULL;
    if (d->again < d->nkept) return *out = d->kept[d->again].b, ST_OK;
    while (!d->saw_end) {
        struct log_entry e;
        enum status st = cursor_peek(d->cursor, &e, err);
        if (st) return st == ST_WAIT ? ST_OK : st;
        if (e.kind == LOG_BATCH) return *out = e.b, ST_OK;
        note_mark(d, &e);
        cursor_advance(d->cursor);
    }
    return ST_OK;
}

static void keep(struct deliver *d, struct batch *b, uint32_t from, struct gone gone)
{
    if (d->nkept == d->kept_cap) {
        uint32_t cap = d->kept_cap ? d->kept_cap * 2 : 16;
        d->kept = mem_realloc(d->kept, sizeof *d->kept * d->nkept, sizeof *d->kept * cap);
        d->kept_cap = cap;
    }
    d->kept[d->nkept++] = (struct kept){b, from, gone};
}

/* The cursor goes on. */
static void advance(struct deliver *d, uint32_t rows)
{
    d->from = 0;
    add(&d->passed, rows);
    cursor_advance(d->cursor);
}

/* Goes on to the next batch. */
static void pass(struct deliver *d, struct batch *b)
{
    if (d->again < d->nkept) {
        d->again++;
    } else {
        if (d->keeps) {
            keep(d, batch_ref(b), d->from, d->gone);
            d->gone = (struct gone){0};
            d->again = d->nkept;
        }
        gone_clear(&d->gone);
        advance(d, b->rows);
    }
    d->row = first_row(d);
}

bool offer_more(struct deliver *d)
{
    struct log_entry e;
    return d->again < d->nkept || (!d->saw_end && cursor_peek(d->cursor, &e, NULL) != ST_WAIT);
}

bool offer_ended(const struct deliver *d) { return d->saw_end && d->again == d->nkept && d->sent == d->out.n; }

uint64_t offer_held(struct deliver *d)
{
    struct cursor_stats at = {0};
    if (d->cursor) cursor_stats(d->cursor, &at);
    uint64_t accepted = atomic_load(&d->passed) + at.lag_rows;
    uint64_t gone = atomic_load(&d->rows) + atomic_load(&d->dropped) + atomic_load(&d->dead_lettered);
    return accepted > gone ? accepted - gone : 0;
}

static void count_rows(struct deliver *d)
{
    if (d->pos <= d->counted) return;
    add(&d->rows, d->pos - d->counted);
    d->counted = d->pos;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static bool is_full(const struct deliver *d)
{
    return d->pos - d->flushed >= d->set.batch_rows || d->bytes_unflushed >= d->set.batch_bytes;
}

/* While a flush waits more is written, but not for ever: a flush is of all that was taken, so one that is always written behind
 * never comes to its end, and what is kept for it grows. */
static bool is_far_ahead(const struct deliver *d)
{
    return (d->pos - d->flushed) / AHEAD >= d->set.batch_rows || d->bytes_unflushed / AHEAD >= d->set.batch_bytes;
}

static void took_rows(struct deliver *d, const struct batch *b, uint32_t n, uint64_t bytes)
{
    if (!d->records) bytes = n == b->rows ? b->bytes_own : (uint64_t)b->bytes_own * n / b->rows;
    d->row += n;
    d->pos += n;
    d->bytes_unflushed += bytes;
    add(&d->bytes, bytes);
    count_rows(d);
}

static enum status write_batch(struct deliver *d, struct batch *b, struct err *err)
{
    while (d->row < b->rows) {
        uint32_t took = 0;
        size_t bytes = 0;
        call_begin(d, CALL_WRITE);
        enum status st = d->records ? record_writer_write(d->records, d->sink, b, d->row, &took, &bytes, err)
                                    : d->class->write_rows(d->sink, b, d->row, &took, err);
        took_rows(d, b, took, bytes);
        st = call_end(d, st, took > 0, err);
        if (st == ST_POISON && d->row < b->rows)
            TRY(bury_at_hand(d, b, err));
        else if (st)
            return st;
        else if (!took)
            return err_set(err, E_WRITE, "the connector took nothing"), ST_RETRY;
    }
    return ST_OK;
}

static enum status write_rows(struct deliver *d, struct err *err)
{
    struct batch *b;
    bool waits = is_full(d);             /* for its flush, which was asked for before */
    if (d->tries && waits) return ST_OK; /* what cannot be flushed does not grow */
    for (int n = 0; n < STEP_BATCHES; n++) {
        TRY(batch_at_hand(d, &b, err));
        if (!b) break;
        TRY(write_batch(d, b, err));
        pass(d, b);
        if ((waits ? is_far_ahead(d) : is_full(d)) || atomic_load(&d->called)) break;
    }
    return ST_OK;
}

static enum status write_out(struct deliver *d, struct err *err)
{
    while (d->sent < d->out.n) {
        size_t took = 0;
        call_begin(d, CALL_WRITE);
        enum status st = d->class->write_bytes(d->sink, d->out.p + d->sent, d->out.n - d->sent, &took, err);
        d->sent += took;
        d->bytes_unflushed += took;
        add(&d->bytes, took);
        TRY(call_end(d, st, took > 0, err));
        if (!took) return err_set(err, E_WRITE, "the connector took nothing"), ST_RETRY;
    }
    d->sent = d->head = 0;
    text_clear(&d->out);
    count_rows(d);
    d->out_from = d->pos;
    return ST_OK;
}

static enum status encode_batch(struct deliver *d, struct batch *b, struct err *err)
{
    while (d->row < b->rows) {
        uint32_t n = encoder_fits(d->encoder, b, d->row, b->rows - d->row, err);
        if (n) d->encoder->class->put(d->encoder, b, d->row, n, &d->out);
        d->row += n;
        d->pos += n;
        if (d->row < b->rows) TRY(bury_at_hand(d, b, err));
    }
    return ST_OK;
}

/* Up to a good size for one write. */
static enum status encode(struct deliver *d, struct err *err)
{
    struct batch *b;
    while (d->out.n < ENCODE_BYTES) {
        TRY(batch_at_hand(d, &b, err));
        if (!b) break;
        TRY(encode_batch(d, b, err));
        pass(d, b);
    }
    return ST_OK;
}

static enum status write_bytes(struct deliver *d, struct err *err)
{
    bool waits = is_full(d);
    for (int n = 0; n < STEP_BATCHES; n++) {
        TRY(write_out(d, err));
        TRY(encode(d, err));
        if ((waits ? is_far_ahead(d) : is_full(d)) || atomic_load(&d->called)) break; /* what was encoded goes with the flush, or next time */
        if (!d->out.n && d->pos == d->counted) break;
    }
    return ST_OK;
}

enum status offer_write(struct deliver *d, struct err *err)
{
    TRY(bury_go_on(d));
    if (is_far_ahead(d)) return ST_OK;
    return d->encoder ? write_bytes(d, err) : write_rows(d, err);
}

/* ---- flushing ------------------------------------------------------------------------------------------------------------- */

/* Forgets the first n batches that are kept. */
static void forget(struct deliver *d, uint32_t n)
{
    if (!n) return;
    for (uint32_t i = 0; i < n; i++) {
        batch_unref(d->kept[i].b);
        gone_clear(&d->kept[i].gone);
    }
    d->nkept -= n;
    d->again -= n;
    memmove(d->kept, d->kept + n, sizeof *d->kept * d->nkept);
}

static void let_go_of_taken(struct deliver *d)
{
    forget(d, d->again);
    if (d->nkept)
        d->kept[0].from = d->row;
    else
        d->from = d->row;
}

/* When nothing of what came before the last mark is left. */
static void note_epoch(struct deliver *d)
{
    if (d->again < d->nkept || d->row || atomic_load(&d->epoch) == d->epoch_seen) return;
    atomic_store(&d->epoch, d->epoch_seen);
    ack_look(d->rt);
}

static void settle(struct deliver *d)
{
    let_go_of_taken(d);
    d->flushed = d->pos;
    d->bytes_unflushed = 0;
    d->flush_at = 0;
    note_epoch(d);
}

static enum status wind_up(struct deliver *d, bool ending, struct err *err)
{
    if (!d->encoder) return ST_OK;
    TRY(write_out(d, err));
    if (!ending)
        d->encoder->class->flush(d->encoder, &d->out);
    else if (!d->wound_up)
        d->encoder->class->end(d->encoder, &d->out);
    d->wound_up = ending;
    return write_out(d, err);
}

/* Rows that the flush finds to be poison are buried, and it goes on; commands come first. */
static enum status flush(struct deliver *d, int64_t now, int64_t *wake_us, bool *done, struct err *err)
{
    for (*done = false; !*done && !atomic_load(&d->called);) {
        call_begin(d, CALL_FLUSH);
        enum status st = call_end(d, d->class->flush(d->sink, err), false, err);
        if (st == ST_POISON && d->class->poisoned)
            TRY(bury_taken(d, d->class->poisoned(d->sink), err));
        else if (st)
            return st;
        else
            *done = true;
    }
    if (!*done) *wake_us = now;
    return ST_OK;
}

enum status offer_flush(struct deliver *d, int64_t now, bool now_please, int64_t *wake_us, struct err *err)
{
    bool ending = offer_ended(d);
    if (d->burying && d->burying_at < d->pos) TRY(bury_go_on(d));
    if (d->pos == d->flushed && !ending) return note_epoch(d), ST_OK;
    if (!d->flush_at) d->flush_at = now + d->set.flush_us;
    if (now < d->flush_at && !ending && !now_please && !is_full(d)) {
        if (d->flush_at < *wake_us) *wake_us = d->flush_at;
        return ST_OK;
    }
    bool done;
    TRY(wind_up(d, ending, err));
    TRY(flush(d, now, wake_us, &done, err));
    if (!done) return ST_OK;
    add(&d->flushes, 1);
    settle(d);
    return ST_OK;
}

/* ---- beginning anew --------------------------------------------------------------------------------------------------------- */

enum status offer_encoder(struct deliver *d, struct err *err)
{
    const struct object *o = d->object;
    if (!d->records) TRY(record_writer_new(d->pool, o, &d->records, err));
    if (d->class->payload != PAYLOAD_BYTES) return ST_OK;
    encoder_free(TAKE(d->encoder));
    enum changelog_style style = CHANGELOG_NONE;
    if (o->plan->stream != STREAM_APPEND) style = options_int(o->options, "changelog") == 1 ? CHANGELOG_OP : CHANGELOG_W;
    return encoder_new(o->format->class, o->schema, style, o->options, &d->encoder, err);
}

enum status offer_begin(struct deliver *d, bool fresh, struct err *err)
{
    if (!d->encoder) return ST_OK;
    if (!fresh && d->encoder->class->ends) {
        err_set(err, E_CONNECTOR_OPTION, "what is written in format %s ends, so it cannot be appended to what is there", d->encoder->class->name);
        err_hint(err, "write to a new place, or in place of what is there (mode = 'replace')");
        return E_CONNECTOR_OPTION;
    }
    if (!fresh) return ST_OK;
    d->encoder->class->begin(d->encoder, &d->out);
    d->head = d->out.n;
    return ST_OK;
}

/* What is offered again has none of the rows that were buried, so that a class counts the same rows as we do. */
static void leave_out_gone(struct deliver *d)
{
    for (uint32_t i = 0; i < d->nkept; i++) {
        struct kept *k = &d->kept[i];
        if (!k->gone.n) continue;
        uint32_t before = gone_between(&k->gone, 0, k->from);
        struct batch *b = gone_without(d, k->b, &k->gone);
        k->from -= before;
        batch_unref(k->b);
        k->b = b;
    }
    struct log_entry e;
    if (!d->gone.n || cursor_peek(d->cursor, &e, NULL)) return;
    uint32_t before = gone_between(&d->gone, 0, d->from), from = d->from;
    keep(d, gone_without(d, e.b, &d->gone), from - before, (struct gone){0});
    advance(d, e.b->rows);
}

void offer_rewind(struct deliver *d)
{
    bury_forget(d);
    leave_out_gone(d);
    d->again = 0;
    d->row = first_row(d);
    d->pos = d->flushed;
    d->bytes_unflushed = 0;
    d->flush_at = 0;
    d->sent = d->head = 0;
    d->out_from = d->pos;
    d->wound_up = false;
    text_clear(&d->out);
    INVARIANT(!offer_encoder(d, NULL)); /* one was made with these options before */
}

void offer_unsettle(struct deliver *d)
{
    if (!d->keeps || d->counted <= d->flushed) return;
    atomic_fetch_sub(&d->rows, d->counted - d->flushed);
    d->counted = d->pos = d->flushed;
}

/* ---- skipping ------------------------------------------------------------------------------------------------------------------ */

/* What instances left to each other was about rows that are not the next ones any more. */
static void tell_skip(struct deliver *d, uint64_t first, uint64_t n)
{
    memset(d->memo, 0, sizeof d->memo);
    runtime_log(d->rt, 1, "sink \"%s\": %llu rows were skipped, from row %llu of its input on", d->object->name,
                (unsigned long long)n, (unsigned long long)first);
}

/* The number, from 1, of the row at hand in the sink's input. */
static uint64_t place(const struct deliver *d)
{
    uint64_t behind = 0;
    for (uint32_t i = d->again; i < d->nkept; i++) behind += d->kept[i].b->rows;
    return atomic_load(&d->passed) - behind + d->row + 1;
}

/* n rows from position `from` on lose their positions; an earlier instance may have taken some. */
static void drop_positions(struct deliver *d, uint64_t from, uint64_t n)
{
    uint64_t taken = d->counted > from ? d->counted - from : 0;
    if (taken > n) taken = n;
    d->counted -= taken;
    atomic_fetch_sub(&d->rows, taken);
    add(&d->dropped, n);
}

/* The rest of the batch at hand. */
static void skip_rows(struct deliver *d, struct batch *b)
{
    uint32_t n = b->rows - d->row;
    tell_skip(d, place(d), n);
    drop_positions(d, d->pos, n);
    for (struct gone *g = gone_at_hand(d); d->row < b->rows; d->row++) gone_add(g, d->row);
    pass(d, b);
}

/* What was encoded for the write that failed. A record that went out in part ends here. */
static void skip_bytes(struct deliver *d)
{
    uint64_t n = d->pos - d->out_from, left = n;
    tell_skip(d, place(d) - n, n);
    drop_positions(d, d->out_from, n);
    d->pos = d->out_from;
    if (d->sent > d->head) {
        bool cut = d->out.p[d->sent - 1] != '\n';
        text_clear(&d->out);
        if (cut) text_putc(&d->out, '\n');
        d->sent = d->head = 0;
    } else {
        d->out.n = d->head;
    }
    while (d->again && left) {
        struct kept *k = &d->kept[--d->again];
        left -= k->b->rows - k->from;
        batch_unref(k->b);
        gone_clear(&k->gone);
        memmove(k, k + 1, sizeof *k * (--d->nkept - d->again));
    }
}

/* What was taken and cannot be flushed. */
static void skip_unflushed(struct deliver *d)
{
    uint64_t n = d->pos - d->flushed;
    let_go_of_taken(d);
    d->pos = d->flushed;
    d->counted -= n;
    atomic_fetch_sub(&d->rows, n);
    add(&d->dropped, n);
    tell_skip(d, place(d) - n, n);
}

enum status offer_skip(struct deliver *d, struct err *err)
{
    if (d->burying) return bury_drop(d), ST_OK;
    struct log_entry e;
    enum status at = d->again < d->nkept || d->saw_end ? ST_OK : cursor_peek(d->cursor, &e, NULL);
    if (at == E_READ || at == E_CORRUPT) return cursor_advance(d->cursor), ST_OK; /* damaged on disk; the cursor counts it */
    if (d->last == CALL_WRITE && d->encoder && d->out.n) {
        if (!d->encoder->class->ends || d->sent <= d->head) return skip_bytes(d), ST_OK;
        err_set(err, E_MISUSE, "sink \"%s\" has sent a part of what it would skip, and in format %s nothing can follow that", d->object->name,
                d->encoder->class->name);
        err_hint(err, "ALTER SINK %s RETRY, or DROP SINK %s DISCARD", d->object->name, d->object->name);
        return E_MISUSE;
    }
    struct batch *b = NULL;
    if (d->last == CALL_WRITE && !d->encoder) TRY(batch_at_hand(d, &b, err));
    if (b) return skip_rows(d, b), ST_OK;
    if (d->last == CALL_FLUSH && d->keeps) return skip_unflushed(d), ST_OK;
    err_set(err, E_MISUSE, "sink \"%s\" does not stand at a row that could be skipped", d->object->name);
    err_hint(err, "ALTER SINK %s RETRY, or DROP SINK %s DISCARD", d->object->name, d->object->name);
    return E_MISUSE;
}

void offer_done(struct deliver *d)
{
    d->again = d->nkept;
    forget(d, d->nkept);
    batch_unref(TAKE(d->letter));
    record_writer_free(TAKE(d->records));
    mem_free(TAKE(d->kept));
    gone_clear(&d->gone);
    letters_free(TAKE(d->letters));
}
