/* The metrics there are, and their values now: see metrics.h. SPDX-License-Identifier: Apache-2.0 */
#include "db/metrics.h"

#include "db/db_int.h"
#include "runtime/survey.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* name, type, labels, help; in the order in which they are shown. */
#define METRICS(X)                                                                                                             \
    X(EVENTS_INGESTED, "events_ingested_total", COUNTER, "", "Rows that the sources have given.")                              \
    X(EVENTS_EMITTED, "events_emitted_total", COUNTER, "", "Rows that the sinks have taken.")                                  \
    X(EVENTS_DROPPED, "events_dropped_total", COUNTER, "",                                                                     \
      "Rows left out anywhere: records that cannot be read, rows without event time, late, failed and dropped rows.")            \
    X(EVENTS_NULL_TIMESTAMP, "events_null_timestamp_total", COUNTER, "", "Rows without event time.")                           \
    X(BATCHES, "batches_total", COUNTER, "", "Batches that the sources have given.")                                           \
    X(CYCLES_BACKPRESSURED, "cycles_backpressured_total", COUNTER, "",                                                         \
      "How often something with rows in hand had to wait for room below, once per wait.")                                      \
    X(UPTIME, "uptime_seconds", GAUGE, "", "Since the database was opened.")                                                   \
    X(PIPELINE_WATERMARK, "pipeline_watermark", GAUGE, "", "The least watermark of the sources that run, in milliseconds.")    \
    X(SOURCES, "sources", GAUGE, "", "Sources that are declared.")                                                             \
    X(STREAMS, "streams", GAUGE, "", "Streams that are declared.")                                                             \
    X(SINKS, "sinks", GAUGE, "", "Sinks that are declared.")                                                                   \
    X(SUBSCRIPTIONS, "subscriptions", GAUGE, "", "Subscriptions and queries whose rows are being taken.")                      \
    X(SOURCE_ROWS, "source_rows_total", COUNTER, "source", "Rows the source has given.")                                       \
    X(SOURCE_BATCHES, "source_batches_total", COUNTER, "source", "Batches the source has given.")                              \
    X(SOURCE_BYTES, "source_bytes_total", COUNTER, "source", "Bytes the source has read; 0 for one that rows are pushed into.") \
    X(SOURCE_BAD, "source_bad_rows_total", COUNTER, "source", "Records that could not be read.")                               \
    X(SOURCE_NULLED, "source_null_fields_total", COUNTER, "source", "Fields set to NULL because they could not be read.")      \
    X(SOURCE_NULL_TIME, "source_null_times_total", COUNTER, "source", "Rows without event time.")                              \
    X(SOURCE_LATE, "source_late_rows_total", COUNTER, "source", "Rows left out by late = 'row'.")                              \
    X(SOURCE_WATERMARK, "source_watermark_ms", GAUGE, "source", "The source's watermark, in milliseconds since 1970.")         \
    X(SOURCE_IDLE, "source_idle", GAUGE, "source", "1: it has had no row for idle.timeout, and holds no watermark back.")      \
    X(SOURCE_RUNNING, "source_running", GAUGE, "source", "1: something reads it and it has not ended.")                        \
    X(SOURCE_BACKPRESSURE, "source_backpressure_events", COUNTER, "source", "How often it had to wait for room.")              \
    X(SOURCE_BUSY, "source_busy_seconds_total", COUNTER, "source", "Time spent on reading and decoding.")                      \
    X(SOURCE_BLOCKED, "source_blocked_seconds_total", COUNTER, "source", "Time in which rows waited for room below.")          \
    X(SOURCE_ERROR, "source_last_error_info", GAUGE, "source, error", "The latest error of the source, as a label.")           \
    X(STREAM_ROWS, "stream_rows_total", COUNTER, "stream", "Rows that left the stream.")                                       \
    X(STREAM_WATERMARK, "stream_watermark_ms", GAUGE, "stream", "The stream's watermark, in milliseconds since 1970.")         \
    X(STREAM_RUNNING, "stream_running", GAUGE, "stream", "1: something reads it and it has not ended.")                        \
    X(WINDOW_LATE, "window_late_dropped_total", COUNTER, "stream", "Late rows that windows of the stream left out.")           \
    X(STREAM_ERRORS, "stream_row_errors_total", COUNTER, "stream", "Rows that expressions of the stream failed on.")           \
    X(STREAM_STATE, "stream_state_bytes", GAUGE, "stream", "State that the stream's operators hold.")                          \
    X(INPUT_BUF, "input_buf_messages", GAUGE, "stream", "Messages that wait in the rings of the stream's operators.")          \
    X(STREAM_ERROR, "stream_last_error_info", GAUGE, "stream, error", "The latest row error of the stream, as a label.")       \
    X(OPERATOR_ROWS_IN, "operator_rows_in_total", COUNTER, "object, operator", "Rows the operator took.")                          \
    X(OPERATOR_ROWS_OUT, "operator_rows_out_total", COUNTER, "object, operator", "Rows it gave.")                                  \
    X(OPERATOR_BATCHES, "operator_batches_in_total", COUNTER, "object, operator", "Batches it took.")                              \
    X(OPERATOR_BYTES, "operator_bytes_in_total", COUNTER, "object, operator", "Bytes of the batches it took out of rings.")        \
    X(OPERATOR_STATE, "operator_state_bytes", GAUGE, "object, operator", "State it holds.")                                        \
    X(OPERATOR_BUSY, "operator_busy_seconds_total", COUNTER, "object, operator",                                                   \
      "Time workers spent on it: within a chain of calls, its share by the steps whose calls are timed.")                      \
    X(OPERATOR_BLOCKED, "operator_blocked_seconds_total", COUNTER, "object, operator",                                             \
      "Time in which it, or the chain it is called in, had rows in hand and no room below.")                                   \
    X(SINK_WRITES, "sink_writes_total", COUNTER, "sink", "Writes to the outside system.")                                      \
    X(SINK_WRITE_ERRORS, "sink_write_errors_total", COUNTER, "sink", "Writes that failed.")                                    \
    X(SINK_RETRIES, "sink_retries_total", COUNTER, "sink", "Times it waited before it offered rows again.")                    \
    X(SINK_LATENCY, "sink_write_latency_us", HISTOGRAM, "sink", "Time from offering a write to its end, in microseconds.")     \
    X(SINK_COMMITTED, "sink_committed_epoch", GAUGE, "sink", "The last epoch of whose rows the outside system has all.")       \
    X(SINK_BACKPRESSURE, "sink_backpressure_events", COUNTER, "sink", "How often the outside system took less than it was offered, once per wait.")    \
    X(SINK_TIMEOUTS, "sink_write_timeouts_total", COUNTER, "sink", "Calls that did not come back in their time.")              \
    X(SINK_FLUSHES, "sink_flushes_total", COUNTER, "sink", "Flushes of the outside system.")                                   \
    X(SINK_ACCEPTED, "sink_accepted_rows_total", COUNTER, "sink",                                                              \
      "Rows its stream gave it: those it has taken, dropped, dead-lettered, and those it has still to take.")                  \
    X(SINK_DROPPED, "sink_dropped_rows_total", COUNTER, "sink", "Rows that were let go undelivered.")       \
    X(SINK_DEAD, "sink_dead_lettered_rows_total", COUNTER, "sink", "Rows that the outside system refused, put aside.")         \
    X(SINK_ROWS, "sink_rows_total", COUNTER, "sink", "Rows the outside system has taken.")                                     \
    X(SINK_BYTES, "sink_bytes_total", COUNTER, "sink", "Bytes it has taken; of rows, what they take in memory.")               \
    X(SINK_LAG_ROWS, "sink_lag_rows", GAUGE, "sink", "Rows of its stream that it has still to take.")                          \
    X(SINK_LAG_BYTES, "sink_lag_bytes", GAUGE, "sink", "Memory that these take.")                                              \
    X(SINK_BUSY, "sink_busy_seconds_total", COUNTER, "sink", "Time spent on encoding and in the connector's calls.")           \
    X(SINK_BLOCKED, "sink_blocked_seconds_total", COUNTER, "sink", "Time in which rows waited for the outside system.")        \
    X(SINK_STATE, "sink_state_info", GAUGE, "sink, state", "The state of the sink, as a label.")                               \
    X(SINK_ERROR, "sink_last_error_info", GAUGE, "sink, error", "The latest error of the sink, as a label.")                   \
    X(SUB_COUNT, "subscription_count", GAUGE, "of", "Subscriptions to the stream or source.")                                  \
    X(SUB_ROWS, "subscription_rows_total", COUNTER, "of", "Rows that its subscribers have taken.")                             \
    X(SUB_DROPPED, "subscription_dropped_rows_total", COUNTER, "of", "Rows that were dropped for subscribers too slow for them.") \
    X(SUB_LAG, "subscription_lag_rows", GAUGE, "of", "Rows that its subscribers have still to take.")                          \
    X(LOG_MEMORY, "log_memory_bytes", GAUGE, "sink", "Memory of the log that the sink reads; sinks of one stream share it.")   \
    X(LOG_DISK, "log_disk_bytes", GAUGE, "sink", "Disk that this log takes.")                                                  \
    X(LOG_SPILLED, "log_spilled_bytes_total", COUNTER, "sink", "Bytes that this log has written to disk.")                     \
    X(LOG_FULL, "log_full_events_total", COUNTER, "sink", "How often its stream had to wait because this log was full.")       \
    X(STATE_BYTES, "state_bytes", GAUGE, "", "State that all operators hold.")                                                 \
    X(STATE_BUDGET, "state_memory_budget_bytes", GAUGE, "", "lam_config.memory_limit; 0: none.")                               \
    X(MEMORY_USED, "memory_used_bytes", GAUGE, "", "Batches and state charged to the database.")                               \
    X(MEMORY_PEAK, "memory_peak_bytes", GAUGE, "", "The most that this has been.")                                             \
    X(ALLOCATIONS, "memory_allocations_total", COUNTER, "", "Allocations of the process by this library.")                     \
    X(PROCESS_CPU, "process_cpu_seconds_total", COUNTER, "", "Processor time of the process, user and system.")                \
    X(PROCESS_MEMORY, "process_resident_memory_bytes", GAUGE, "", "Resident memory of the process.")                           \
    X(PROCESS_THREADS, "process_threads", GAUGE, "", "Threads of the process.")

enum metric {
#define X(id, name, type, labels, help) M_##id,
    METRICS(X)
#undef X
        METRICS_END
};

static const struct metric_info infos[] = {
#define X(id, name, type, labels, help) {name, METRIC_##type, labels, help},
    METRICS(X)
#undef X
};

const struct metric_info *metric_at(int i) { return i >= 0 && i < METRICS_END ? &infos[i] : NULL; }

const char *metric_type_name(enum metric_type t)
{
    static const char *const names[] = {"counter", "gauge", "histogram"};
    return names[t];
}

/* ---- samples ---------------------------------------------------------------------------------------------------------- */

struct metrics {
    struct arena *arena;
    struct sample *at;
    int n, cap;
};

int metrics_count(const struct metrics *m) { return m->n; }
const struct sample *metrics_sample(const struct metrics *m, int i) { return &m->at[i]; }

void metrics_free(struct metrics *m)
{
    if (!m) return;
    struct arena *a = m->arena;
    mem_free(m->at);
    arena_free(a);
}

static struct sample *add(struct metrics *m, enum metric id, struct labels l)
{
    if (m->n == m->cap) {
        int cap = m->cap ? 2 * m->cap : 256;
        m->at = mem_realloc(m->at, sizeof *m->at * (size_t)m->cap, sizeof *m->at * (size_t)cap);
        m->cap = cap;
    }
    m->at[m->n] = (struct sample){.info = &infos[id], .labels = l};
    return &m->at[m->n++];
}

static void put(struct metrics *m, enum metric id, struct labels l, double value) { add(m, id, l)->value = value; }

/* l with one more. */
static struct labels label(struct metrics *m, struct labels l, const char *name, const char *value)
{
    l.name[l.n] = name;
    l.value[l.n++] = arena_strdup(m->arena, value);
    return l;
}

static const struct labels none;

static void put_ms(struct metrics *m, enum metric id, struct labels l, int64_t us)
{
    if (us != TS_MIN && us != TS_MAX) put(m, id, l, floor((double)us / 1000));
}

static double seconds(int64_t us) { return (double)us / 1e6; }

/* ---- where they come from ----------------------------------------------------------------------------------------------- */

struct totals {
    uint64_t ingested, emitted, dropped, timeless, batches, blocks;
    int64_t watermark, state;
    int sources, streams, sinks, subs;
};

static void of_source(struct lam_db *db, struct metrics *m, const struct object *o, struct totals *t)
{
    struct source_stats s;
    struct labels l = label(m, none, "source", o->name);
    t->sources++;
    if (!runtime_source_stats(db->runtime, o->id, &s)) return;
    bool runs = s.running && !s.ended;
    put(m, M_SOURCE_ROWS, l, (double)s.rows);
    put(m, M_SOURCE_BATCHES, l, (double)s.batches);
    put(m, M_SOURCE_BYTES, l, (double)s.bytes);
    put(m, M_SOURCE_BAD, l, (double)s.bad);
    put(m, M_SOURCE_NULLED, l, (double)s.nulled);
    put(m, M_SOURCE_NULL_TIME, l, (double)s.null_time);
    put(m, M_SOURCE_LATE, l, (double)s.late_dropped);
    put_ms(m, M_SOURCE_WATERMARK, l, s.watermark);
    put(m, M_SOURCE_IDLE, l, runs && s.idle);
    put(m, M_SOURCE_RUNNING, l, runs);
    put(m, M_SOURCE_BACKPRESSURE, l, (double)s.blocks);
    put(m, M_SOURCE_BUSY, l, seconds(s.busy_us));
    put(m, M_SOURCE_BLOCKED, l, seconds(s.blocked_us));
    if (s.last_error[0]) put(m, M_SOURCE_ERROR, label(m, l, "error", s.last_error), 1);
    t->ingested += s.rows;
    t->batches += s.batches;
    t->timeless += s.null_time;
    t->blocks += s.blocks;
    t->dropped += s.bad + s.null_time + s.late_dropped;
    if (runs && s.watermark != TS_MIN && s.watermark < t->watermark) t->watermark = s.watermark;
}

/* Of its operators; a stream that others read counts with each of its own only. */
static void of_stream(struct lam_db *db, struct metrics *m, const struct survey *v, const struct object *o, struct totals *t)
{
    struct stream_stats s;
    struct labels l = label(m, none, "stream", o->name);
    int64_t state = 0, queued = 0;
    t->streams++;
    if (!runtime_stream_stats(db->runtime, o->id, &s)) return;
    for (const struct survey_node *n = v->nodes; n; n = n->next) {
        if (n->owner != o->id) continue;
        state += n->state_bytes;
        queued += n->queued;
    }
    put(m, M_STREAM_ROWS, l, (double)s.rows_out);
    put_ms(m, M_STREAM_WATERMARK, l, s.watermark);
    put(m, M_STREAM_RUNNING, l, s.running && !s.ended);
    put(m, M_WINDOW_LATE, l, (double)s.late);
    put(m, M_STREAM_ERRORS, l, (double)s.errors);
    put(m, M_STREAM_STATE, l, (double)state);
    put(m, M_INPUT_BUF, l, (double)queued);
    if (s.last_error[0]) put(m, M_STREAM_ERROR, label(m, l, "error", s.last_error), 1);
    t->dropped += s.late + s.errors;
}

static const struct histogram *keep(struct metrics *m, const struct histogram *h)
{
    struct histogram *copy = arena_alloc(m->arena, sizeof *copy);
    histogram_copy(copy, h);
    return copy;
}

static void of_sink(struct metrics *m, const struct survey_sink *x, struct totals *t)
{
    const struct sink_stats *s = &x->stats;
    struct labels l = label(m, none, "sink", x->name);
    put(m, M_SINK_WRITES, l, (double)s->writes);
    put(m, M_SINK_WRITE_ERRORS, l, (double)s->write_errors);
    put(m, M_SINK_RETRIES, l, (double)s->retries);
    put(m, M_SINK_BACKPRESSURE, l, (double)s->backpressure_events);
    add(m, M_SINK_LATENCY, l)->histogram = keep(m, &x->latency);
    put(m, M_SINK_TIMEOUTS, l, (double)s->timeouts);
    put(m, M_SINK_FLUSHES, l, (double)s->flushes);
    put(m, M_SINK_COMMITTED, l, (double)s->epoch);
    put(m, M_SINK_ACCEPTED, l, (double)s->accepted);
    put(m, M_SINK_DROPPED, l, (double)s->dropped);
    put(m, M_SINK_DEAD, l, (double)s->dead_lettered);
    put(m, M_SINK_ROWS, l, (double)s->rows);
    put(m, M_SINK_BYTES, l, (double)s->bytes);
    put(m, M_SINK_LAG_ROWS, l, (double)s->lag_rows);
    put(m, M_SINK_LAG_BYTES, l, (double)s->lag_bytes);
    put(m, M_SINK_BUSY, l, seconds(s->busy_us));
    put(m, M_SINK_BLOCKED, l, seconds(s->blocked_us));
    put(m, M_LOG_MEMORY, l, (double)x->log.memory_bytes);
    put(m, M_LOG_DISK, l, (double)x->log.disk_bytes);
    put(m, M_LOG_SPILLED, l, (double)x->log.spilled_bytes);
    put(m, M_LOG_FULL, l, (double)x->log.full_events);
    put(m, M_SINK_STATE, label(m, l, "state", s->state), 1);
    if (s->last_error[0]) put(m, M_SINK_ERROR, label(m, l, "error", s->last_error), 1);
    t->emitted += s->rows;
    t->dropped += s->dropped;
    t->blocks += s->backpressure_events;
}

/* The number tells operators of one stream or sink apart: it counts from its inputs to its output. */
static void of_operators(struct lam_db *db, struct metrics *m, const struct survey *v, struct totals *t)
{
    for (const struct survey_node *n = v->nodes; n; n = n->next) {
        const struct object *o = catalog_by_id(db, n->owner);
        t->state += n->state_bytes;
        t->blocks += n->blocks;
        if (!o || n->narrows || n->source) continue;
        int number = 1;
        for (const struct survey_node *x = v->nodes; x != n; x = x->next) number += x->owner == n->owner && !x->narrows && !x->source;
        char name[96];
        snprintf(name, sizeof name, "%d %s", number, n->name);
        struct labels l = label(m, label(m, none, "object", o->name), "operator", name);
        int64_t busy = 0, blocked = 0;
        for (int i = 0; i < n->ninst; i++) busy += n->inst[i].busy_us, blocked += n->inst[i].blocked_us;
        put(m, M_OPERATOR_ROWS_IN, l, (double)n->rows_in);
        put(m, M_OPERATOR_ROWS_OUT, l, (double)n->rows_out);
        put(m, M_OPERATOR_BATCHES, l, (double)n->batches_in);
        put(m, M_OPERATOR_BYTES, l, (double)n->bytes_in);
        put(m, M_OPERATOR_STATE, l, (double)n->state_bytes);
        put(m, M_OPERATOR_BUSY, l, seconds(busy));
        put(m, M_OPERATOR_BLOCKED, l, seconds(blocked));
    }
}

static void of_subscriptions(struct lam_db *db, struct metrics *m, const struct survey *v, struct totals *t)
{
    for (const struct survey_sub *x = v->subs; x; x = x->next) t->subs++;
    for (struct entry *e = db->objects; e; e = e->next) {
        uint64_t n = 0, rows = 0, dropped = 0, lag = 0;
        for (const struct survey_sub *x = v->subs; x; x = x->next) {
            if (explain_subscribed(db, x) != e->object) continue;
            n++;
            rows += x->stats.delivered_rows;
            dropped += x->stats.dropped_rows;
            lag += sub_waiting(&x->stats);
        }
        if (!n) continue;
        struct labels l = label(m, none, "of", e->object->name);
        put(m, M_SUB_COUNT, l, (double)n);
        put(m, M_SUB_ROWS, l, (double)rows);
        put(m, M_SUB_DROPPED, l, (double)dropped);
        put(m, M_SUB_LAG, l, (double)lag);
    }
}

/* ---- the process: what the kernel says of it, where there is one to ask ------------------------------------------------- */

static bool read_text(struct lam_db *db, const char *path, char *out, size_t size)
{
    struct file *f;
    struct err err;
    size_t n = 0;
    if (env_open(db->env, path, FILE_READ, &f, &err)) return false;
    if (file_read(f, out, size - 1, &n, &err)) n = 0;
    file_close(f, &err);
    out[n] = 0;
    return n > 0;
}

/* /proc/self/stat: fields 14 and 15 are the ticks of user and system, 20 the threads, 24 the resident pages; the name before
 * them may hold blanks. */
static void of_process(struct lam_db *db, struct metrics *m)
{
    char stat[1024];
    unsigned long long user, system;
    long threads, pages;
    if (!read_text(db, "/proc/self/stat", stat, sizeof stat)) return;
    const char *rest = strrchr(stat, ')');
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %ld %*d %*u %*u %ld",
                        &user, &system, &threads, &pages) != 4)
        return;
    put(m, M_PROCESS_CPU, none, (double)(user + system) / (double)sysconf(_SC_CLK_TCK));
    put(m, M_PROCESS_MEMORY, none, (double)pages * (double)sysconf(_SC_PAGESIZE));
    put(m, M_PROCESS_THREADS, none, (double)threads);
}

/* ---- all of them ---------------------------------------------------------------------------------------------------------- */

static void of_database(struct lam_db *db, struct metrics *m, const struct survey *v, const struct totals *t)
{
    put(m, M_EVENTS_INGESTED, none, (double)t->ingested);
    put(m, M_EVENTS_EMITTED, none, (double)t->emitted);
    put(m, M_EVENTS_DROPPED, none, (double)t->dropped);
    put(m, M_EVENTS_NULL_TIMESTAMP, none, (double)t->timeless);
    put(m, M_BATCHES, none, (double)t->batches);
    put(m, M_CYCLES_BACKPRESSURED, none, (double)t->blocks);
    put(m, M_UPTIME, none, seconds(v->now_us - db->opened_us));
    put_ms(m, M_PIPELINE_WATERMARK, none, t->watermark);
    put(m, M_SOURCES, none, t->sources);
    put(m, M_STREAMS, none, t->streams);
    put(m, M_SINKS, none, t->sinks);
    put(m, M_SUBSCRIPTIONS, none, t->subs);
    put(m, M_STATE_BYTES, none, (double)t->state);
    put(m, M_STATE_BUDGET, none, (double)db->cfg.memory_limit);
    put(m, M_MEMORY_USED, none, (double)atomic_load(&db->account->used));
    put(m, M_MEMORY_PEAK, none, (double)atomic_load(&db->account->peak));
    put(m, M_ALLOCATIONS, none, (double)mem_alloc_count());
}

static int in_order(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    if (x->info != y->info) return x->info < y->info ? -1 : 1;
    int c = 0;
    for (int i = 0; i < x->labels.n && i < y->labels.n && !c; i++) c = strcmp(x->labels.value[i], y->labels.value[i]);
    return c;
}

struct metrics *metrics_take(struct lam_db *db)
{
    struct arena *a = arena_new();
    struct metrics *m = arena_alloc(a, sizeof *m);
    struct totals t = {.watermark = TS_MAX};
    m->arena = a;
    AUTO(survey_free) struct survey *v = survey_take(db->runtime);
    for (struct entry *e = db->objects; e; e = e->next) {
        if (e->object->kind == OBJECT_SOURCE) of_source(db, m, e->object, &t);
        if (e->object->kind == OBJECT_STREAM) of_stream(db, m, v, e->object, &t);
        t.sinks += e->object->kind == OBJECT_SINK;
    }
    for (const struct survey_sink *x = v->sinks; x; x = x->next) of_sink(m, x, &t);
    of_operators(db, m, v, &t);
    of_subscriptions(db, m, v, &t);
    of_process(db, m);
    of_database(db, m, v, &t);
    qsort(m->at, (size_t)m->n, sizeof *m->at, in_order);
    return m;
}

/* ---- the Prometheus text ---------------------------------------------------------------------------------------------------- */

static const uint64_t bounds[] = {50,     100,    250,    500,     1000,    2500,    5000,     10000,    25000,
                                  50000,  100000, 250000, 500000,  1000000, 2500000, 5000000,  10000000, 30000000};

void metrics_put_value(double v, struct text *out)
{
    if (v == floor(v) && fabs(v) < 9e15)
        text_printf(out, "%lld", (long long)v);
    else
        text_printf(out, "%.9g", v);
}

/* {sink="out",le="50"}, with what a label's value must not hold escaped; le NULL: without. */
static void print_labels(const struct labels *l, const char *le, struct text *out)
{
    if (!l->n && !le) return;
    for (int i = 0; i < l->n; i++) {
        text_printf(out, "%c%s=\"", i ? ',' : '{', l->name[i]);
        for (const char *p = l->value[i]; *p; p++)
            if (*p == '\n')
                text_puts(out, "\\n");
            else if (*p == '"' || *p == '\\')
                text_putc(out, '\\'), text_putc(out, *p);
            else
                text_putc(out, *p);
        text_putc(out, '"');
    }
    if (le) text_printf(out, "%cle=\"%s\"", l->n ? ',' : '{', le);
    text_putc(out, '}');
}

static void print_value(const struct sample *s, const char *suffix, const char *le, double value, struct text *out)
{
    text_printf(out, METRICS_PREFIX "%s%s", s->info->name, suffix);
    print_labels(&s->labels, le, out);
    text_putc(out, ' ');
    metrics_put_value(value, out);
    text_putc(out, '\n');
}

static void print_histogram(const struct sample *s, struct text *out)
{
    uint64_t counts[countof(bounds)], all = histogram_cumulative(s->histogram, bounds, countof(bounds), counts);
    for (size_t i = 0; i < countof(bounds); i++) {
        char le[24];
        snprintf(le, sizeof le, "%llu", (unsigned long long)bounds[i]);
        print_value(s, "_bucket", le, (double)counts[i], out);
    }
    print_value(s, "_bucket", "+Inf", (double)all, out);
    print_value(s, "_sum", NULL, (double)histogram_sum(s->histogram), out);
    print_value(s, "_count", NULL, (double)all, out);
}

static void print_sample(const struct sample *s, struct text *out)
{
    if (s->info->type == METRIC_HISTOGRAM)
        print_histogram(s, out);
    else
        print_value(s, "", NULL, s->value, out);
}

void metrics_print(const struct metrics *m, struct text *out)
{
    const struct metric_info *last = NULL;
    for (int i = 0; i < m->n; i++) {
        const struct metric_info *info = m->at[i].info;
        if (info != last)
            text_printf(out, "# HELP " METRICS_PREFIX "%s %s\n# TYPE " METRICS_PREFIX "%s %s\n", info->name, info->help, info->name,
                        metric_type_name(info->type));
        last = info;
        print_sample(&m->at[i], out);
    }
}

int lam_metrics(struct lam_db *db, char **text)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct text t = {0};
    lock_take(&db->lock);
    AUTO(metrics_free) struct metrics *m = metrics_take(db);
    lock_give(&db->lock);
    metrics_print(m, &t);
    *text = mem_strdup(text_cstr(&t));
    text_done(&t);
    return LAM_OK;
}
