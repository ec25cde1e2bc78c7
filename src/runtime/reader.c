/* Readers: what feeds the graph from one source. A reader has one or more parts, each a task with its own instance of
 * the connector and the splits dealt to it (deal.c); part p sends its rows to worker p. It has a ring to every worker: the
 * others are told that it is idle, and get its barriers and its end.
 *
 * A part takes one decoded batch at a time and cuts it where the watermark must be said first: before a row that is behind
 * the watermark, if the watermark has moved since it was last said. So what a row meets never depends on how rows
 * were cut into batches. The watermark is the minimum over the part's splits of the highest time seen minus the
 * delay. A barrier enters between two decoded batches; the positions kept for it are those behind the last row.
 *
 * A pushed source (no connector, or replay) is the same part whose batches come from callers (pushed.c).
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

#include <stdio.h>

void reader_name_error(const struct reader *r, struct err *err)
{
    char text[sizeof err->text];
    if (!r->object || !err) return;
    snprintf(text, sizeof text, "source \"%.80s\": %.380s", r->object->name, err->text);
    memcpy(err->text, text, sizeof text);
}

/* ---- making and freeing ------------------------------------------------------------------------------------------------- */

static struct connector_ctx context(const struct reader *r)
{
    return (struct connector_ctx){.env = r->rt->env,
                                  .account = r->rt->account,
                                  .options = r->object->options,
                                  .schema = r->schema,
                                  .declared = r->object->schema,
                                  .name = r->object->name,
                                  .seed = r->rt->cfg.seed,
                                  .log = r->rt->cfg.log,
                                  .log_ctx = r->rt->cfg.log_ctx};
}

static enum status open_part(struct part *p, struct source *opened, struct err *err)
{
    struct reader *r = p->reader;
    struct connector_ctx ctx = context(r);
    p->source = opened;
    if (!opened) {
        p->source = source_new(r->class, &ctx);
        TRY(r->class->open(p->source, err));
    }
    return deal_take(p, err);
}

static void read_options(struct reader *r)
{
    const struct object *o = r->object;
    struct runtime *rt = r->rt;
    r->on_error = rt->cfg.on_error;
    r->batch_rows = rt->cfg.batch_rows;
    r->idle_us = 60000000;
    if (!o) return;
    r->watermark = o->watermark;
    r->delay_us = o->delay_us;
    if (!o->options || o->kind != OBJECT_SOURCE) return; /* else a declared stream */
    if (!rt->cfg.replay) r->overflow = (enum when_full)options_int(o->options, "overflow");
    if (o->dead_letter)
        r->on_error = ON_ERROR_SKIP;
    else if (options_get(o->options, "on_error")->set)
        r->on_error = (enum on_error)options_int(o->options, "on_error");
    if (options_get(o->options, "batch.rows")->set && !rt->cfg.replay) {
        int64_t n = options_int(o->options, "batch.rows");
        if (n < r->batch_rows) r->batch_rows = (uint32_t)n;
    }
    r->idle_us = options_int(o->options, "idle.timeout");
    r->late_row = options_int(o->options, "late") == 1;
    r->skew_us = options_has(o->options, "max.future.skew") ? options_int(o->options, "max.future.skew") : 0;
}

static void find_time(struct reader *r)
{
    r->time_column = r->schema->time_column;
    if (r->time_column < 0) return;
    struct type t = r->schema->fields[r->time_column].type;
    r->time_is_ms = type_is_integer(t);
    r->time_is_32 = t.id == T_INT32;
}

static void make_part(struct reader *r, int index)
{
    struct part *p = &r->parts[index];
    struct runtime *rt = r->rt;
    lock_init(&p->lock);
    p->reader = r;
    p->index = index;
    p->pool = pool_new(rt->account);
    p->task.class = r->pushed ? &pushed_class : &part_class;
    p->task.pool = r->pushed ? NULL : p->pool; /* callers of push take from it too, under the lock */
    p->said = TS_MIN;
    atomic_store(&p->watermark, TS_MIN);
    p->sel = mem_alloc(sizeof *p->sel * BATCH_ROWS_MAX);
    p->edges = mem_zalloc(sizeof *p->edges * (size_t)rt->nworkers);
    for (int w = 0; w < rt->nworkers; w++) {
        p->edges[w] = edge_new(rt);
        p->edges[w]->writer = (struct waker){.task = &p->task};
    }
    if (!r->class) {
        p->splits = mem_zalloc(sizeof *p->splits);
        p->nsplits = 1;
        p->splits[0].highest = TS_MIN;
        p->splits[0].last_row_us = env_now_us(rt->env);
    }
}

struct reader *reader_new(struct runtime *rt, const struct object *source, const struct schema *schema,
                          const struct plan *values, struct component *c, struct err *err)
{
    struct reader *r = mem_zalloc(sizeof *r);
    r->rt = rt;
    r->object = source;
    r->values = values;
    r->component = c;
    r->arena = arena_new();
    r->schema = schema_copy(r->arena, schema);
    r->nparts = 1;
    r->size = -1;
    lock_init(&r->lock);
    deal_init(&r->deal);
    read_options(r);
    find_time(r);
    r->pushed = !values && (!source->connector || rt->cfg.replay);
    struct source *first = NULL;
    enum status st = ST_OK;
    if (!values && !r->pushed) {
        r->class = source->connector->class;
        r->letters = letters_new(source, rt->env);
        r->blocking = r->class->blocking;
        if (r->class->payload == PAYLOAD_RECORDS) fetch_records_plan(r);
        struct connector_ctx ctx = context(r);
        first = source_new(r->class, &ctx);
        st = r->class->open(first, err);
        if (!st) {
            int splits = r->class->splits(first);
            r->nparts = splits < rt->nworkers ? (splits ? splits : 1) : rt->nworkers;
            r->size = 0;
            for (int i = 0; i < splits && r->size >= 0; i++) {
                int64_t n = r->class->split_size(first, i);
                r->size = n < 0 ? -1 : r->size + n;
            }
        }
    }
    r->parts = mem_aligned(64, sizeof *r->parts * (size_t)r->nparts);
    memset(r->parts, 0, sizeof *r->parts * (size_t)r->nparts);
    for (int i = 0; i < r->nparts; i++) make_part(r, i);
    for (int i = 0; r->class && !st && i < r->nparts; i++) st = open_part(&r->parts[i], i ? NULL : first, err);
    if (!st) st = runtime_host(rt, "lam-source", r->blocking, &r->own_host, &r->host, err);
    if (st) {
        reader_name_error(r, err);
        if (first && !r->parts[0].source) r->parts[0].source = first;
        reader_free(r);
        return NULL;
    }
    return r;
}

static void free_part(struct part *p)
{
    part_close_source(p);
    lock_done(&p->lock);
    batch_unref(p->piece);
    batch_unref(p->batch);
    batch_unref(p->letters);
    part_drop_rest(p);
    for (int i = 0; i < p->nsplits; i++) {
        decoder_free(p->splits[i].decoder);
        mem_free(p->splits[i].buf);
        batch_unref(p->splits[i].records.b);
    }
    mem_free(p->splits);
    for (int w = 0; w < p->reader->rt->nworkers; w++)
        if (p->edges && p->edges[w] && !p->edges[w]->reader.task) edge_free(p->edges[w]); /* was never linked */
    mem_free(p->edges);
    mem_free(p->sel);
    mem_free(p->rest);
    pool_close(p->pool);
}

void reader_free(struct reader *r)
{
    if (!r) return;
    for (int i = 0; i < r->nparts; i++)
        if (r->parts && r->parts[i].source) wake_task(&r->parts[i].source->wake, NULL);
    host_free(r->own_host);
    for (int i = 0; i < r->nparts; i++) free_part(&r->parts[i]);
    mem_free(r->parts);
    lock_done(&r->lock);
    deal_done(&r->deal);
    letters_free(r->letters);
    arena_free(r->arena);
    mem_free(r);
}

/* ---- control --------------------------------------------------------------------------------------------------------------- */

int reader_parts(struct reader *r) { return r->nparts; }
struct edge *reader_edge(struct reader *r, int part, int worker) { return r->parts[part].edges[worker]; }
struct answer *reader_answer(struct reader *r, int part) { return &r->parts[part].answer; }
const struct object *reader_object(struct reader *r) { return r->object; }
const struct schema *reader_schema(struct reader *r) { return r->schema; }
bool reader_pushed(struct reader *r) { return r->pushed; }

void reader_start(struct reader *r)
{
    for (int i = 0; i < r->nparts; i++) {
        struct part *p = &r->parts[i];
        host_add(r->host, &p->task);
        lock_take(&p->lock);
        if (p->source) wake_task(&p->source->wake, &p->task);
        lock_give(&p->lock);
    }
    atomic_store(&r->started, true);
    letterbox_open(r);
}

bool reader_runs(struct reader *r) { return atomic_load(&r->started); }

static void wake_all(struct reader *r)
{
    for (int i = 0; i < r->nparts; i++)
        if (r->parts[i].task.host) task_wake(&r->parts[i].task);
}

void reader_wake(struct reader *r)
{
    wake_all(r);
    bell_ring(&r->room);
}

void reader_stop(struct reader *r)
{
    atomic_store(&r->stop, true);
    for (int i = 0; i < r->nparts; i++) {
        struct part *p = &r->parts[i];
        lock_take(&p->lock);
        if (p->source) r->class->cancel(p->source);
        lock_give(&p->lock);
    }
    wake_all(r);
}

void reader_leave(struct reader *r) { atomic_store(&r->leaving, true); }
void reader_forget_edge(struct reader *r, int part, int worker)
{
    edge_free(r->parts[part].edges[worker]);
    r->parts[part].edges[worker] = NULL;
}

bool reader_leaving(struct reader *r) { return atomic_load(&r->leaving); }

bool reader_done(struct reader *r)
{
    for (int i = 0; i < r->nparts; i++)
        if (!atomic_load(&r->parts[i].task.done)) return false;
    return true;
}

bool reader_keeps_open(struct reader *r)
{
    bool open = false;
    for (int i = 0; i < r->nparts; i++) open |= r->parts[i].source && atomic_load(&r->parts[i].task.done);
    return open && reader_done(r);
}

static void ack_part(struct part *p, uint64_t epoch)
{
    for (int i = 0; i < p->nsplits; i++) {
        const struct split *s = &p->splits[i];
        if (s->at.offset || s->at.n) p->source->class->ack(p->source, epoch, s->number, &s->at);
    }
}

void reader_close(struct reader *r, bool delivered, uint64_t epoch)
{
    for (int i = 0; i < r->nparts; i++) {
        struct part *p = &r->parts[i];
        if (p->source && delivered) ack_part(p, epoch);
        part_close_source(p);
    }
}

void reader_barrier(struct reader *r, uint64_t epoch, int kind)
{
    for (int i = 0; i < r->nparts; i++) {
        atomic_store(&r->parts[i].barrier_kind, kind);
        atomic_store(&r->parts[i].barrier, epoch);
    }
    wake_all(r);
}

void reader_resume(struct reader *r, bool seek)
{
    for (int i = 0; i < r->nparts; i++) {
        /* a barrier that has not entered yet is not to hold any more */
        atomic_fetch_and(&r->parts[i].barrier_kind, ~BARRIER_HOLD);
        atomic_store(&r->parts[i].seek, seek);
        atomic_store(&r->parts[i].resume, true);
    }
    wake_all(r);
    bell_ring(&r->room);
}

void reader_stats(struct reader *r, struct source_stats *out)
{
    memset(out, 0, sizeof *out);
    out->size = r->size;
    out->watermark = TS_MAX;
    out->running = true;
    out->ended = reader_done(r);
    out->idle = true;
    for (int i = 0; i < r->nparts; i++) {
        struct part *p = &r->parts[i];
        out->rows += atomic_load(&p->rows);
        out->accepted += atomic_load(&p->accepted);
        out->dropped += atomic_load(&p->dropped);
        out->waits += atomic_load(&p->waits);
        out->bytes += atomic_load(&p->bytes);
        out->bad += atomic_load(&p->bad);
        out->nulled += atomic_load(&p->nulled);
        out->null_time += atomic_load(&p->null_time);
        out->late_dropped += atomic_load(&p->late_dropped);
        out->dead_lettered += atomic_load(&p->dead_lettered);
        out->position += atomic_load(&p->position);
        out->batches += atomic_load(&p->batches);
        out->blocks += atomic_load(&p->meter.blocks);
        out->busy_us += meter_busy_us(&p->meter);
        out->blocked_us += meter_blocked_us(&p->meter, env_now_us(r->rt->env));
        out->idle &= atomic_load(&p->idle_now);
        if (atomic_load(&p->watermark) < out->watermark) {
            out->watermark = atomic_load(&p->watermark);
            out->watermark_at = atomic_load(&p->watermark_at);
        }
        if (!out->last_error[0]) note_read(&p->last_error, out->last_error);
    }
}
