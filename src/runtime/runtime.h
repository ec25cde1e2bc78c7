/* The running graph. Control threads (db) build changes and apply them; rows flow by themselves. All functions here are
 * control: any thread, one at a time (the runtime's lock is taken inside). SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "arrow/batch.h"
#include "base/env.h"
#include "base/task.h"
#include "format/format.h"
#include "plan/plan.h"

struct run_config {
    struct env *env;
    int workers;          /* >= 1 */
    bool threads;         /* false: everything on the driver */
    uint64_t shuffle;     /* driver: seed of the order of steps; 0: in turn */
    uint32_t batch_rows;
    uint32_t ring_slots;
    int64_t ring_bytes;
    uint64_t seed;        /* of the key hash */
    bool eof_hold;
    bool replay;          /* every source is pushed */
    enum on_error on_error;
    const char *spill_path; /* NULL: none */
    int64_t spill_bytes;    /* of one log */
    struct account *account;
    void (*log)(void *ctx, int level, const char *message);
    void *log_ctx;
};

struct runtime;
enum status runtime_new(const struct run_config *cfg, struct runtime **out, struct err *err);
/* Waiting calls of other threads give up, readers stop. What remains is runtime_free. */
void runtime_interrupt(struct runtime *rt);
/* Stops everything; false when a connector did not come back within the time and was left behind. */
bool runtime_free(struct runtime *rt, int64_t timeout_us);

/* ---- changes -------------------------------------------------------------------------------------------------- */

/* A change collects what is to run from now on; apply makes it take effect at once: new components start, running ones
 * take their new links at a CHANGE barrier. Objects must outlive the runtime's use of them (runtime_uses). */
struct change;
struct change *change_new(struct runtime *rt);
void change_free(struct change *ch); /* not applied: undone */
void change_sink(struct change *ch, const struct object *sink);
/* A sink ends where the change begins: after what it was given is out, or at once when it discards, is BLOCKED, or does not come
 * to the end in time. New sinks are opened when it has ended. */
void change_drop_sink(struct change *ch, uint64_t sink_id, bool discard);
/* A source or stream is replaced where it runs: at the barrier its readers hear the new one in its place. The columns, and what
 * they are in time, are the same. */
void change_replace(struct change *ch, uint64_t old_id, const struct object *object);
/* A subscription to a plan's rows: whole batches for the caller of sub_recv. *out is set by change_apply. own: the plan's
 * arena, freed when nothing runs from it any more (NULL: the plan outlives the runtime's use). on_error is for rows
 * that the plan's own operators cannot evaluate. */
struct sub;
enum sub_policy { SUB_BLOCK, SUB_DROP_OLDEST, SUB_DROP_NEWEST, SUB_SAMPLE };
struct sub_config {
    enum sub_policy policy; /* what becomes of rows that the subscriber is too slow for */
    uint32_t every;         /* SUB_SAMPLE: one row of so many is taken, and of these the oldest dropped */
    int64_t bytes;          /* that may wait; 0: default */
    bool calls;             /* sub_call is used, not sub_recv */
};
/* cfg NULL: it blocks. */
void change_sub(struct change *ch, const struct plan *plan, struct arena *own, enum on_error on_error, const struct sub_config *cfg,
                struct sub **out);
/* A stream that keeps history: it runs from now on, and its log keeps the last bytes of what it gives. What replaces one that runs
 * begins anew. */
void change_history(struct change *ch, const struct object *stream, int64_t bytes);
void change_drop_history(struct change *ch, uint64_t stream_id);
/* Frees ch in any case. On an error nothing of it runs, unless *stands (NULL is allowed): something was dropped or replaced, which
 * cannot be taken back, and takes effect when what holds it up goes on. */
enum status change_apply(struct change *ch, int64_t timeout_us, bool *stands, struct err *err);

/* A subscription to all that a stream gave after the barrier `epoch`, from the history it keeps, and on. plan: the stream's rows, or
 * a filter of them; own: its arena, taken in any case. cfg: it blocks. */
enum status sub_resume(struct runtime *rt, const struct plan *plan, struct arena *own, uint64_t epoch, const struct sub_config *cfg,
                       int64_t timeout_us, struct sub **out, struct err *err);

/* ALTER SINK. The command reaches the sink whatever else it does; E_TIMEOUT: it is in a call and will obey later. */
enum sink_command { SINK_RETRY, SINK_PAUSE, SINK_RESUME, SINK_SKIP, SINK_SET };
enum status runtime_alter_sink(struct runtime *rt, uint64_t object_id, enum sink_command what, const struct options *set,
                               int64_t timeout_us, struct err *err);
/* Does a subscription or query read the stream or source, at whatever remove? */
bool runtime_subscribed(struct runtime *rt, uint64_t object_id);
/* Stops the readers of all that shares one with the stream between two batches, or lets them go on: E_MISUSE when it does not
 * run. Going on offers again what was refused for want of memory. */
enum status runtime_hold_stream(struct runtime *rt, uint64_t stream_id, bool hold, struct err *err);
/* Bounds a stream's state, or (id 0) all memory; 0: no limit. What waits for memory tries again. */
void runtime_limit(struct runtime *rt, uint64_t stream_id, int64_t bytes);
/* May something that has not been freed yet still look at the object? */
bool runtime_holds(struct runtime *rt, uint64_t object_id);
/* Frees what has ended. */
void runtime_sweep(struct runtime *rt);
void runtime_sweep_now(struct runtime *rt, int64_t timeout_us); /* the same, done when it returns: waits for others who change the graph */

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

/* ST_OK: all sources have ended and all sinks have flushed. E_TIMEOUT. Else the first failed component's error. */
enum status runtime_wait_done(struct runtime *rt, int64_t timeout_us, _Atomic bool *cancel, struct err *err);
/* A DRAIN barrier through everything: what was accepted before is out. */
enum status runtime_drain(struct runtime *rt, int64_t timeout_us, struct err *err);
/* One barrier of the same number through everything. */
enum status runtime_checkpoint(struct runtime *rt, int64_t timeout_us, uint64_t *epoch, struct err *err);
/* Test of declared state: FREEZE everywhere behind paused readers, drop every operator, load the images, seek the
 * readers, go on. */
enum status runtime_restart(struct runtime *rt, int64_t timeout_us, struct err *err);
/* threads = 0. Returns whether there is more to do now. */
bool runtime_step(struct runtime *rt, int64_t max_us, int64_t *wake_us);
int runtime_fd(struct runtime *rt);
/* Waits until fact(ctx), stepping the driver when there is one; also while the database closes. false: not within the time. */
bool runtime_wait_for(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us);
void runtime_poke(struct runtime *rt); /* any thread: waiting control calls look again */

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

/* Takes all n batches, and their references, or none. E_NO_READER, E_TIMEOUT. */
enum status runtime_push(struct runtime *rt, uint64_t source_id, struct batch **b, int n, int64_t timeout_us, struct err *err);
enum status runtime_push_watermark(struct runtime *rt, uint64_t source_id, int64_t us, struct err *err);
enum status runtime_push_end(struct runtime *rt, uint64_t source_id, struct err *err);

/* One thread at a time; cancel from any. ST_OK: *out is the caller's, or NULL: here rows were dropped (sub_gap), and what follows
 * comes with the next call. ST_WAIT: nothing in time; ST_DONE: ended; E_CANCELED; or the error of its component. */
enum status sub_recv(struct sub *s, int64_t timeout_us, struct batch **out, struct err *err);
void sub_gap(struct sub *s, uint64_t *rows, uint64_t *batches); /* the last one that sub_recv met */
/* *fd, for gate_close_fd, is readable whenever there may be something to take, and unreadable after a sub_recv that found nothing. */
enum status sub_watch(struct sub *s, int *fd, struct err *err);
/* From now on fn(ctx, false) is called on the callback thread (without threads: by the driver) when there may be something to take:
 * it calls sub_recv without waiting, and returns STEP_AGAIN, STEP_WAIT or, to be called no more, STEP_DONE. stop: it is the
 * last call, and it returns STEP_DONE. */
void sub_call(struct sub *s, enum step (*fn)(void *ctx, bool stop), void *ctx);
void sub_stop_calls(struct sub *s); /* the next call is the last; any thread */
/* Is this thread inside a call of sub_call? Then it must not wait for what tasks do. */
bool runtime_calling(const struct runtime *rt);
int64_t sub_watermark(struct sub *s);
uint64_t sub_epoch(struct sub *s); /* everything before that barrier was taken; 0: none yet */
const struct schema *sub_schema(struct sub *s);
bool sub_changelog(struct sub *s);
/* Any thread. Exact while nothing moves: rows = delivered + dropped + what waits. */
struct sub_stats {
    uint64_t rows, batches;                 /* that came, after WHERE */
    uint64_t delivered_rows, delivered_batches;
    uint64_t dropped_rows, dropped_batches; /* sampled ones are rows only */
    uint64_t sampled_rows;                  /* of the dropped ones: left out by SUB_SAMPLE */
    uint64_t sequence;                      /* of the last batch taken: dropped ones count */
    uint64_t epoch;                         /* everything before that barrier was taken; 0: none yet */
    int64_t watermark;                      /* TS_MIN: none yet */
};
void sub_stats(struct sub *s, struct sub_stats *out);
void sub_cancel(struct sub *s);
void sub_close(struct sub *s); /* lets go; what fed it stops or goes on without it */

/* ---- display -------------------------------------------------------------------------------------------------------- */

struct source_stats {
    uint64_t accepted, dropped, waits; /* of pushes: accepted = rows + dropped + what waits; waits: of callers, each once */
    uint64_t rows, bytes, bad, nulled, null_time, late_dropped;
    uint64_t dead_lettered; /* of `bad` */
    uint64_t batches, blocks; /* blocks: how often it had to wait for room */
    int64_t busy_us, blocked_us, watermark_at; /* when the watermark last rose, on the env's clock; 0: never */
    int64_t size, position; /* of all splits together, in the connector's unit; size -1: unknown */
    int64_t watermark;      /* TS_MIN: none yet */
    bool running, ended, idle;
    char last_error[200];
};
/* BLOCKED: it needs an operator, and keeps its place meanwhile. */
enum sink_state { SINK_OPENING, SINK_RUNNING, SINK_RETRYING, SINK_PAUSED, SINK_BLOCKED, SINK_CLOSED };
const char *sink_state_name(enum sink_state s);

/* accepted = rows + dropped + dead_lettered + lag_rows */
struct sink_stats {
    uint64_t accepted; /* rows that its stream gave it */
    uint64_t rows;     /* delivered: the connector took them */
    uint64_t dropped, dead_lettered;
    uint64_t lag_rows; /* held */
    int64_t lag_bytes; /* in the log */
    uint64_t bytes, writes, write_errors, retries, timeouts, flushes, backpressure_events;
    uint64_t write_p50_us, write_p99_us, write_max_us; /* of whole writes */
    uint64_t epoch;            /* all before its mark is flushed */
    int64_t busy_us, blocked_us; /* blocked: rows waited for the system outside */
    uint64_t late, row_errors; /* of a query that is the sink's own */
    const char *state; /* its name */
    int64_t since_us, last_error_us; /* wall clock; last_error_us 0: none yet */
    char last_error[200];
};
struct stream_stats {
    uint64_t rows_in, rows_out, late, errors;
    int64_t watermark, state_bytes;
    bool running, ended, paused;
    int failed; /* the error's code; E_NOMEM: it waits for memory */
    char late_example[200], last_error[200];
};
/* Of all readers and instances of the object since it was created, those that have ended too. false: nothing has run. */
bool runtime_source_stats(struct runtime *rt, uint64_t source_id, struct source_stats *out);
bool runtime_sink_stats(struct runtime *rt, uint64_t sink_id, struct sink_stats *out);
/* How many readers, operators, sinks and subscriptions there are, ended ones that are not freed yet too. */
int runtime_parts(struct runtime *rt);
bool runtime_stream_stats(struct runtime *rt, uint64_t stream_id, struct stream_stats *out);
void runtime_forget(struct runtime *rt, uint64_t object_id); /* the object is dropped */

#endif
