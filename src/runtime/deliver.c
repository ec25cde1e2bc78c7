/* Deliver tasks: one per sink, owning its connector alone and reading its cursor in an outlet's log. Rows are encoded (for
 * connectors that take bytes), written as they come and flushed by a deadline that the first unflushed row arms, at
 * once when the interval is 0. A write that fails in passing is offered again with growing pauses; one that fails for
 * good fails this sink only. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector.h"
#include "log/log.h"
#include "runtime/deliver_records.h"
#include "runtime/run_int.h"

#include <stdio.h>

#define ENCODE_BYTES (256 << 10) /* a write is offered at this size */
#define RETRY_FIRST_US 100000
#define RETRY_MOST_US 30000000

struct deliver {
    struct task task;
    struct lock lock;    /* of closed, against cancel */
    struct runtime *rt;
    struct component *component;
    const struct object *object;
    const struct sink_class *class;
    struct sink *sink;
    struct encoder *encoder;
    struct record_writer *records;
    struct cursor *_Atomic cursor; /* NULL until attached */
    struct log *log;
    struct host *host, *own_host;
    struct pool *pool;
    struct text out;     /* encoded, from `sent` on not accepted yet */
    size_t sent;
    uint32_t row;        /* of the batch under the cursor */
    uint64_t out_rows;   /* rows in `out` that are not counted yet */
    bool opened, unflushed, ending, complete, wound_up; /* wound_up: the encoder has given its end */
    bool waiting;        /* for what its connector says */
    bool closed;         /* its connector */
    uint64_t batch_rows, batch_bytes; /* a flush is due at so many unflushed, whichever comes first; 0: no limit */
    uint64_t rows_flushed, bytes_flushed;
    int64_t flush_us, flush_at, retry_at, retry_us;
    _Atomic bool cancel;
    _Atomic uint64_t end_at; /* the epoch whose mark is the end for this sink; 0: none */
    _Atomic(const char *) state;
    _Atomic uint64_t rows, bytes, writes, errors, retries;
    struct err err;      /* the latest; read by others once state is FAILED */
    struct note last_error;
    struct meter meter; /* busy: in the connector's calls and what leads to them; blocked: rows wait for the system outside */
};

static void add(_Atomic uint64_t *c, uint64_t n) { atomic_fetch_add_explicit(c, n, memory_order_relaxed); }

static enum step finish(struct deliver *d, const char *state)
{
    if (d->cursor) cursor_close(d->cursor);
    atomic_store(&d->state, state);
    bell_ring(&d->rt->control);
    return STEP_DONE;
}

static enum status close_sink(struct deliver *d, bool complete, struct err *err)
{
    lock_take(&d->lock);
    d->closed = true;
    lock_give(&d->lock);
    return d->class->close(d->sink, complete, err);
}

static void note(struct deliver *d, const struct err *err)
{
    d->err = *err;
    snprintf(d->err.text, sizeof d->err.text, "sink \"%.80s\": %.380s", d->object->name, err->text);
    note_write(&d->last_error, d->err.text);
}

static enum step fail(struct deliver *d, const struct err *err)
{
    add(&d->errors, 1);
    note(d, err);
    runtime_log(d->rt, 0, "%s", d->err.text);
    struct err ignored;
    close_sink(d, false, &ignored);
    return finish(d, "FAILED");
}

static bool retry_later(struct deliver *d, int64_t now, const struct err *err)
{
    add(&d->retries, 1);
    if (err->text[0]) note(d, err);
    d->retry_us = d->retry_us ? d->retry_us * 2 : RETRY_FIRST_US;
    if (d->retry_us > RETRY_MOST_US) d->retry_us = RETRY_MOST_US;
    d->retry_at = now + d->retry_us;
    atomic_store(&d->state, "RETRYING");
    return true;
}

/* ---- the parts of a step; each returns ST_OK to go on, ST_WAIT to stop here, ST_RETRY, ST_CLOSED or an error -------- */

static enum status open_sink(struct deliver *d, struct err *err)
{
    if (d->opened) return ST_OK;
    uint64_t marker = 0;
    bool fresh = true;
    TRY(d->class->open(d->sink, 1, &marker, &fresh, err));
    d->opened = true;
    if (d->encoder && fresh) d->encoder->class->begin(d->encoder, &d->out);
    return ST_OK;
}

static enum status write_out(struct deliver *d, struct err *err)
{
    while (d->sent < d->out.n) {
        size_t took = 0;
        enum status st = d->class->write_bytes(d->sink, d->out.p + d->sent, d->out.n - d->sent, &took, err);
        d->sent += took;
        add(&d->bytes, took);
        add(&d->writes, 1);
        if (st) return st;
    }
    add(&d->rows, d->out_rows);
    d->out_rows = 0;
    d->sent = 0;
    text_clear(&d->out);
    return ST_OK;
}

static bool batch_full(const struct deliver *d)
{
    return (d->batch_rows && atomic_load(&d->rows) - d->rows_flushed >= d->batch_rows) ||
           (d->batch_bytes && atomic_load(&d->bytes) - d->bytes_flushed >= d->batch_bytes);
}

/* The log's end, or the mark at which this sink was dropped. */
static void note_end(struct deliver *d, const struct log_entry *e)
{
    uint64_t at = atomic_load(&d->end_at);
    bool mark = e->kind == LOG_EPOCH && at && e->epoch >= at;
    if (e->kind != LOG_END && !mark) return;
    d->ending = true;
    d->complete = mark || e->complete;
}

/* Encodes what the log has, up to a good size for one write. */
static enum status encode(struct deliver *d, struct err *err)
{
    struct log_entry e;
    enum status st = ST_OK;
    while (d->out.n < ENCODE_BYTES && !d->ending && !(st = cursor_peek(d->cursor, &e, err))) {
        if (e.kind == LOG_BATCH) {
            d->encoder->class->put(d->encoder, e.b, 0, e.b->rows, &d->out);
            d->out_rows += e.b->rows;
        }
        note_end(d, &e);
        cursor_advance(d->cursor);
    }
    return st == ST_WAIT ? ST_OK : st;
}

static enum status deliver_bytes(struct deliver *d, struct err *err)
{
    for (;;) {
        TRY(write_out(d, err));
        uint64_t before = d->out_rows;
        TRY(encode(d, err));
        if (d->out_rows > before) d->unflushed = true;
        if (!d->out.n && !d->out_rows) return ST_OK;
        if (batch_full(d)) return ST_OK; /* what was encoded goes with the flush */
    }
}

static enum status deliver_rows(struct deliver *d, struct err *err)
{
    struct log_entry e;
    enum status at = ST_OK;
    while (!d->ending && !(at = cursor_peek(d->cursor, &e, err))) {
        while (e.kind == LOG_BATCH && d->row < e.b->rows) {
            uint32_t took = 0;
            size_t bytes = 0;
            enum status st = d->records ? record_writer_write(d->records, d->sink, e.b, d->row, &took, &bytes, err)
                                        : d->class->write_rows(d->sink, e.b, d->row, &took, err);
            add(&d->bytes, bytes);
            d->row += took;
            if (took) d->unflushed = true;
            add(&d->rows, took);
            add(&d->writes, 1);
            if (st == ST_POISON && d->row < e.b->rows) {
                d->row++; /* this one row cannot be taken: counted, the rest goes on */
                add(&d->errors, 1);
                note(d, err);
                continue;
            }
            if (st) return st;
        }
        note_end(d, &e);
        d->row = 0;
        cursor_advance(d->cursor);
        if (batch_full(d)) break;
    }
    return at == ST_WAIT ? ST_OK : at;
}

static enum status flush(struct deliver *d, int64_t now, int64_t *wake_us, struct err *err)
{
    if (!d->unflushed && !d->ending) return ST_OK;
    if (!d->flush_at) d->flush_at = now + d->flush_us;
    if (now < d->flush_at && !d->ending && !batch_full(d)) {
        *wake_us = d->flush_at;
        return ST_OK;
    }
    if (d->encoder) {
        if (!d->ending)
            d->encoder->class->flush(d->encoder, &d->out);
        else if (!d->wound_up)
            d->encoder->class->end(d->encoder, &d->out);
        d->wound_up = d->ending;
        TRY(write_out(d, err));
    }
    TRY(d->class->flush(d->sink, err));
    d->unflushed = false;
    d->flush_at = 0;
    d->rows_flushed = atomic_load(&d->rows);
    d->bytes_flushed = atomic_load(&d->bytes);
    return ST_OK;
}

static enum status go_on(struct deliver *d, int64_t now, int64_t *wake_us, struct err *err)
{
    TRY(open_sink(d, err));
    TRY(d->encoder ? deliver_bytes(d, err) : deliver_rows(d, err));
    return flush(d, now, wake_us, err);
}

static enum step step(struct task *t, int64_t now, int64_t *wake_us)
{
    struct deliver *d = container_of(t, struct deliver, task);
    struct err err = {.pos = NO_POS};
    if (atomic_load(&d->cancel)) {
        close_sink(d, false, &err);
        return finish(d, "CLOSED");
    }
    if (!d->cursor) return STEP_WAIT;
    if (now < d->retry_at) {
        *wake_us = d->retry_at;
        return STEP_WAIT;
    }
    enum status st = go_on(d, now, wake_us, &err);
    d->waiting = st == ST_WAIT;
    if (st == ST_WAIT) {
        int64_t at = INT64_MAX;
        d->class->wait(d->sink, NULL, 0, &at);
        if (at < *wake_us) *wake_us = at;
        return STEP_WAIT;
    }
    if (st == ST_RETRY) {
        retry_later(d, now, &err);
        *wake_us = d->retry_at;
        return STEP_WAIT;
    }
    if (st == ST_CLOSED) {
        close_sink(d, true, &err);
        return finish(d, "CLOSED");
    }
    if (st) return fail(d, &err);
    d->retry_us = d->retry_at = 0;
    atomic_store(&d->state, "RUNNING");
    struct log_entry more;
    if (!d->ending) return cursor_peek(d->cursor, &more, NULL) == ST_WAIT ? STEP_WAIT : STEP_AGAIN;
    st = close_sink(d, d->complete, &err);
    if (st) {
        add(&d->errors, 1);
        note(d, &err);
        return finish(d, "FAILED");
    }
    return finish(d, "CLOSED");
}

static int fds(struct task *t, struct pollfd *out, int max)
{
    struct deliver *d = container_of(t, struct deliver, task);
    int64_t at;
    return d->waiting ? d->class->wait(d->sink, out, max, &at) : 0;
}

/* The rows in hand wait for the system outside, not for rows or for the time of a flush. */
static bool waits_outside(struct deliver *d)
{
    struct log_entry e;
    return d->out.n > d->sent || (d->cursor && !cursor_peek(d->cursor, &e, NULL));
}

static enum step metered_step(struct task *t, int64_t now, int64_t *wake_us)
{
    struct deliver *d = container_of(t, struct deliver, task);
    int64_t from = env_now_us(d->rt->env);
    meter_unblock(&d->meter, from);
    enum step s = step(t, now, wake_us);
    int64_t to = env_now_us(d->rt->env);
    meter_busy(&d->meter, from, to);
    if (s == STEP_WAIT && waits_outside(d)) meter_block(&d->meter, to);
    return s;
}

static const struct task_class deliver_class = {.name = "deliver", .step = metered_step, .fds = fds};

struct deliver *deliver_new(struct runtime *rt, const struct object *object, struct log *log, struct component *c, struct err *err)
{
    struct deliver *d = mem_zalloc(sizeof *d);
    d->task.class = &deliver_class;
    d->rt = rt;
    d->component = c;
    d->object = object;
    d->log = log;
    d->class = object->connector->class;
    lock_init(&d->lock);
    d->pool = pool_new(rt->account);
    d->task.pool = d->pool;
    d->flush_us = d->class->flush_us;
    if (options_has(object->options, "flush.interval")) d->flush_us = options_int(object->options, "flush.interval");
    if (options_has(object->options, "batch.rows")) d->batch_rows = (uint64_t)options_int(object->options, "batch.rows");
    if (options_has(object->options, "batch.bytes")) d->batch_bytes = (uint64_t)options_int(object->options, "batch.bytes");
    atomic_store(&d->state, "OPENING");
    struct connector_ctx ctx = {.env = rt->env,
                                .account = rt->account,
                                .options = object->options,
                                .schema = object->schema,
                                .declared = object->schema,
                                .name = object->name,
                                .seed = rt->cfg.seed,
                                .log = rt->cfg.log,
                                .log_ctx = rt->cfg.log_ctx};
    d->sink = sink_new(d->class, &ctx);
    enum status st = ST_OK;
    if (d->class->payload == PAYLOAD_BYTES) {
        enum changelog_style style = CHANGELOG_NONE;
        if (object->plan->stream != STREAM_APPEND)
            style = options_int(object->options, "changelog") == 1 ? CHANGELOG_OP : CHANGELOG_W;
        st = encoder_new(object->format->class, object->schema, style, object->options, &d->encoder, err);
    }
    if (!st) st = record_writer_new(d->pool, object, &d->records, err);
    if (!st) st = runtime_host(rt, "lam-sink", d->class->blocking, &d->own_host, &d->host, err);
    if (st) {
        deliver_free(d);
        return NULL;
    }
    return d;
}

void deliver_start(struct deliver *d) { host_add(d->host, &d->task); }

void deliver_attach(struct deliver *d)
{
    d->cursor = cursor_new(d->log, CURSOR_BLOCK, (struct log_reader){.task = &d->task});
    wake_task(&d->sink->wake, &d->task);
    task_wake(&d->task);
}

void deliver_end_at(struct deliver *d, uint64_t epoch) { atomic_store(&d->end_at, epoch); }

void deliver_free(struct deliver *d)
{
    if (!d) return;
    if (d->sink) wake_task(&d->sink->wake, NULL);
    host_free(d->own_host);
    cursor_free(d->cursor);
    encoder_free(d->encoder);
    record_writer_free(d->records);
    sink_free(d->sink);
    text_done(&d->out);
    pool_close(d->pool);
    lock_done(&d->lock);
    mem_free(d);
}

bool deliver_done(struct deliver *d) { return atomic_load(&d->task.done); }
const struct object *deliver_object(struct deliver *d) { return d->object; }

void deliver_cancel(struct deliver *d)
{
    if (deliver_done(d) || !d->task.host) return;
    atomic_store(&d->cancel, true);
    lock_take(&d->lock);
    if (!d->closed) d->class->cancel(d->sink);
    lock_give(&d->lock);
    task_wake(&d->task);
}

bool deliver_failed(struct deliver *d, struct err *err)
{
    if (strcmp(atomic_load(&d->state), "FAILED") != 0) return false;
    if (err) *err = d->err;
    return true;
}

void deliver_stats(struct deliver *d, struct sink_stats *out)
{
    memset(out, 0, sizeof *out);
    out->rows = atomic_load(&d->rows);
    out->bytes = atomic_load(&d->bytes);
    out->writes = atomic_load(&d->writes);
    out->errors = atomic_load(&d->errors);
    out->retries = atomic_load(&d->retries);
    out->state = atomic_load(&d->state);
    out->busy_us = meter_busy_us(&d->meter);
    out->blocked_us = meter_blocked_us(&d->meter, env_now_us(d->rt->env));
    out->blocks = atomic_load(&d->meter.blocks);
    struct cursor_stats at = {0};
    if (d->cursor) cursor_stats(d->cursor, &at);
    out->lag_bytes = at.lag_bytes;
    out->lag_rows = at.lag_rows;
    note_read(&d->last_error, out->last_error);
}
