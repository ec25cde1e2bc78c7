/* The running graph. Control threads (db) build changes and apply them; rows flow by themselves. All functions here are
 * control: any thread, one at a time (the runtime's lock is taken inside). SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "arrow/batch.h"
#include "base/env.h"
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
/* A sink ends where the change begins. One that replaces it is opened when it has delivered what it holds. */
void change_drop_sink(struct change *ch, uint64_t sink_id);
/* A source or stream is replaced where it runs: at the barrier its readers hear the new one in its place. The columns, and what
 * they are in time, are the same. */
void change_replace(struct change *ch, uint64_t old_id, const struct object *object);
/* A subscription to a plan's rows: whole batches for the caller of sub_recv. *out is set by change_apply. own: the plan's
 * arena, freed when nothing runs from it any more (NULL: the plan outlives the runtime's use). on_error is for rows
 * that the plan's own operators cannot evaluate. */
struct sub;
void change_sub(struct change *ch, const struct plan *plan, struct arena *own, enum on_error on_error, struct sub **out);
/* Frees ch in any case. On an error nothing of it runs, but that dropped sinks may be gone: *dropped (NULL is allowed). */
enum status change_apply(struct change *ch, int64_t timeout_us, bool *dropped, struct err *err);

/* Does a subscription or query read the stream or source, at whatever remove? */
bool runtime_subscribed(struct runtime *rt, uint64_t object_id);
/* May something that has not been freed yet still look at the object? */
bool runtime_holds(struct runtime *rt, uint64_t object_id);
/* Frees what has ended. */
void runtime_sweep(struct runtime *rt);

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

/* ST_OK: all sources have ended and all sinks have flushed. E_TIMEOUT. Else the first failed component's error. */
enum status runtime_wait_done(struct runtime *rt, int64_t timeout_us, _Atomic bool *cancel, struct err *err);
/* A DRAIN barrier through everything: what was accepted before is out. */
enum status runtime_drain(struct runtime *rt, int64_t timeout_us, struct err *err);
/* Test of declared state: FREEZE everywhere behind paused readers, drop every operator, load the images, seek the
 * readers, go on. */
enum status runtime_restart(struct runtime *rt, int64_t timeout_us, struct err *err);
/* threads = 0. Returns whether there is more to do now. */
bool runtime_step(struct runtime *rt, int64_t max_us, int64_t *wake_us);
int runtime_fd(struct runtime *rt);
void runtime_poke(struct runtime *rt); /* any thread: waiting control calls look again */

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

/* Takes all n batches, and their references, or none. E_NO_READER, E_TIMEOUT. */
enum status runtime_push(struct runtime *rt, uint64_t source_id, struct batch **b, int n, int64_t timeout_us, struct err *err);
enum status runtime_push_watermark(struct runtime *rt, uint64_t source_id, int64_t us, struct err *err);
enum status runtime_push_end(struct runtime *rt, uint64_t source_id, struct err *err);

/* One thread at a time; cancel from any. ST_OK: *out is the caller's; ST_WAIT: nothing in time; ST_DONE: ended;
 * E_CANCELED; or the error of its component. */
enum status sub_recv(struct sub *s, int64_t timeout_us, struct batch **out, struct err *err);
int64_t sub_watermark(struct sub *s);
const struct schema *sub_schema(struct sub *s);
bool sub_changelog(struct sub *s);
void sub_cancel(struct sub *s);
void sub_close(struct sub *s); /* lets go; what fed it stops or goes on without it */

/* ---- display -------------------------------------------------------------------------------------------------------- */

struct source_stats {
    uint64_t rows, bytes, bad, nulled, null_time, late_dropped;
    int64_t size, position; /* of all splits together, in the connector's unit; size -1: unknown */
    int64_t watermark;      /* TS_MIN: none yet */
    bool running, ended, idle;
    char last_error[200];
};
struct sink_stats {
    uint64_t rows, bytes, writes, errors, retries, lag_rows;
    uint64_t late, row_errors; /* of a query that is the sink's own */
    int64_t lag_bytes;
    const char *state; /* OPENING, RUNNING, RETRYING, PAUSED, BLOCKED, CLOSED, FAILED */
    char last_error[200];
};
struct stream_stats {
    uint64_t rows_in, rows_out, late, errors;
    int64_t watermark, state_bytes;
    bool running, ended;
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
