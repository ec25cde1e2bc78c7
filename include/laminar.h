/* Laminar: an embedded streaming SQL database.
 *
 *     struct lam_db *db;
 *     struct lam_session *s;
 *     lam_open(NULL, NULL, &db);
 *     lam_session_open(db, &s);
 *     lam_execute(s, "CREATE SOURCE t (k VARCHAR, v BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND);"
 *                    "CREATE STREAM big AS SELECT k, v FROM t WHERE v > 10;", NULL);
 *     lam_subscribe(s, "big", NULL, &sub);
 *     lam_push(db, "t", &array, &schema, -1);
 *     lam_recv(sub, &out, -1);
 *
 * Every call that returns int gives LAM_OK, a negative LAM_* flow code, or a positive error number, the NNNN of
 * [LAM-NNNN]. Rows cross in the Arrow C data interface (https://arrow.apache.org/docs/format/CDataInterface.html):
 * strings as utf8, BOOLEAN as bits, DECIMAL as decimal128, TIMESTAMP as timestamp[us]. Arrow has no decimal that is no number:
 * 2^127 - 1 units are NaN, 2^127 - 2 Infinity, and 2 - 2^127 -Infinity.
 *
 * Threads. lam_db: any thread. lam_session, lam_sub and a result stream: one thread at a time, but for lam_cancel,
 * lam_sub_cancel and lam_sub_stats. After fork, calls in the child return LAM_MISUSE. docs/embedding.md has an example. SPDX-License-Identifier: Apache-2.0 */
#ifndef LAMINAR_H
#define LAMINAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LAM_API __attribute__((visibility("default")))

#define LAM_OK 0
#define LAM_END (-1)      /* a subscription or result has ended */
#define LAM_TIMEOUT (-2)  /* nothing came in time */
#define LAM_EMPTY (-3)    /* nothing now */
#define LAM_WORK (-4)     /* lam_step: there is more to do */
#define LAM_GAP (-5)      /* a subscription that drops has dropped rows here */
#define LAM_MISUSE 5
#define LAM_CANCELED 8

/* ---- the Arrow C data interface, as its specification asks to be copied ------------------------------ */

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

/* ---- databases and sessions ----------------------------------------------------------------------------- */

struct lam_db;
struct lam_session;
struct lam_sub;

struct lam_config {
    size_t size;             /* sizeof(struct lam_config) */
    int threads;             /* workers, at most 256; -1: default (1). 0: no threads at all, the application calls lam_step */
    int64_t memory_limit;    /* bytes that state may come to, batches counted in; 0: none */
    uint32_t batch_rows;     /* most rows of a batch, at most 8192; 0: default */
    uint64_t seed;           /* of the key hash; 0: drawn */
    bool eof_hold;           /* the end of bounded input is not a watermark of +infinity */
    const char *on_error;    /* default of sources and streams: "skip" (NULL), "fail", "null" */
    bool replay;             /* sources are fed by lam_replay and lam_push, whatever their connector */
    /* level: 0 error, 1 warning, 2 information, 3 debug. Called on any thread; must not call back into the library. */
    void (*log)(void *ctx, int level, const char *message);
    void *log_ctx;
    const char *modules;     /* the only folder that modules are loaded from; NULL: what the environment's LAMINAR_MODULES says, or no limit */
    const char *spill_path;  /* folder for rows that sinks are behind with, and for history; its files go with what they are for. NULL: none */
    int64_t spill_bytes;     /* most bytes of it for one stream; 0: 1 GiB */
};

/* dir must be NULL: in memory. cfg NULL: defaults. Starts no thread; the first thing that runs does. On an error *out is NULL. */
LAM_API int lam_open(const char *dir, const struct lam_config *cfg, struct lam_db **out);
/* Stops everything within timeout_us (negative: about two seconds) and frees the database. Sessions are closed before, and no
 * call on the database may be under way; threads waiting for a result or subscription are woken with an error. Arrays handed
 * out stay readable; results and subscriptions are still to be released and closed, and until then end with an error.
 * LAM_TIMEOUT: something did not come back and was left behind with its memory (see the log). */
LAM_API int lam_close(struct lam_db *db, int64_t timeout_us);
LAM_API int lam_session_open(struct lam_db *db, struct lam_session **out);
/* Undoes what was not applied. */
LAM_API void lam_session_close(struct lam_session *s);

/* Why the session's last call failed; "" when it did not. Valid until its next call. With NULL: why the last call of this
 * thread that takes no session (lam_open, lam_push, lam_recv, ...) and failed did so. */
LAM_API const char *lam_errmsg(struct lam_session *s);   /* "[LAM-1100] no column \"prise\" ..." */
LAM_API const char *lam_errhint(struct lam_session *s);  /* what to do, or "" */
LAM_API const char *lam_sqlstate(struct lam_session *s);
LAM_API int64_t lam_errpos(struct lam_session *s);       /* byte offset in the text given (its variables not put in), or -1 */
/* The whole message with file, line, column, a caret under the place and the hint, for people. */
LAM_API const char *lam_errdetail(struct lam_session *s, const char *file);
LAM_API const char *lam_strerror(int code);
LAM_API const char *lam_version(void);

/* ${NAME} in statements of this session; NULL value unsets. The environment is asked after these. */
LAM_API int lam_set_var(struct lam_session *s, const char *name, const char *value);

/* Runs all statements of sql, as one change of the graph unless one of them needs rows (SELECT), which applies what was before
 * it. Stops at the first error and undoes what was created and not applied yet; DROP takes effect at once. After BEGIN nothing
 * is applied before COMMIT, ROLLBACK undoes it, and an error leaves only these two. Other sessions see what is applied. out,
 * when not NULL, gets the rows of the last statement that has rows (out->release is NULL when none had); they come as they
 * are asked for, and may outlive the session. */
LAM_API int lam_execute(struct lam_session *s, const char *sql, struct ArrowArrayStream *out);
/* Statement by statement: *at moves past each, one that fails too; LAM_END after the last. Graph effects collect until a
 * statement needs rows, or lam_apply. */
LAM_API int lam_execute_next(struct lam_session *s, const char *sql, size_t *at, struct ArrowArrayStream *out);
LAM_API int lam_apply(struct lam_session *s);
/* Makes the session's lam_wait, under way or next, return LAM_CANCELED, and get_next of its results ECANCELED; any thread. */
LAM_API void lam_cancel(struct lam_session *s);
/* Whether text ends inside a statement: a shell asks for more. */
LAM_API bool lam_incomplete(const char *sql);
/* Whether a password or the like stands in text in so many letters, and not as ${VAR}: a shell keeps it out of its history, a program
 * out of its log. */
LAM_API bool lam_has_secret(const char *sql);
/* LOAD 'path': adds the connectors of a module (laminar_connector.h) to those of the process, for good; again is no error. A path has a
 * slash in it; a bare name is looked for in lam_config.modules, else beside the library, in laminar/modules. So is the name of a
 * connector that nobody knows. */
LAM_API int lam_load_module(struct lam_db *db, const char *path);

/* Waits until every bounded source has ended and every sink has flushed. LAM_OK: all is done; LAM_TIMEOUT; or the
 * error of a component that failed (its text by lam_errmsg(s), NULL too). Never LAM_OK while an unbounded source lives. */
LAM_API int lam_wait(struct lam_db *db, struct lam_session *s, int64_t timeout_us);
/* threads = 0: runs tasks for about max_us. LAM_WORK: call again; LAM_OK: nothing to do until lam_fd is readable or
 * lam_next_us has passed. With threads: LAM_MISUSE. */
LAM_API int lam_step(struct lam_db *db, int64_t max_us);
/* The descriptor to poll for reading; ask again after each lam_step, which may change what it watches. With threads: -1. */
LAM_API int lam_fd(struct lam_db *db);
LAM_API int64_t lam_next_us(struct lam_db *db); /* microseconds from now; -1: none */

/* ---- rows in ---------------------------------------------------------------------------------------------- */

/* Pushes rows (a struct array) into a source without a connector. Columns go by name; missing ones are NULL, unknown ones
 * refused. Takes ownership of array, and releases it, when it returns LAM_OK; otherwise nothing was taken. The schema stays
 * the caller's. Any thread; rows of one thread keep their order. Waits for room up to timeout_us (negative: no limit), then
 * LAM_TIMEOUT. 5060: nothing reads the source, or it has ended. */
LAM_API int lam_push(struct lam_db *db, const char *source, struct ArrowArray *array, const struct ArrowSchema *schema,
                     int64_t timeout_us);
/* States that no later row of the source is behind `us` (microseconds since 1970); the delay of WATERMARK FOR is not taken off. */
LAM_API int lam_push_watermark(struct lam_db *db, const char *source, int64_t us);
/* The source has ended. */
LAM_API int lam_push_end(struct lam_db *db, const char *source);
/* Waits until all that was pushed has gone through the graph; a subscription that is not read holds it up. */
LAM_API int lam_drain(struct lam_db *db, int64_t timeout_us);
/* JSON lines {"source": S, "row": {...}} and {"source": S, "watermark": MS}, in order, draining where the source changes;
 * then every source ends. Needs lam_config.replay. */
LAM_API int lam_replay(struct lam_session *s, const char *path);

/* ---- rows out ----------------------------------------------------------------------------------------------- */

struct lam_sub_config {
    size_t size;           /* sizeof(struct lam_sub_config) */
    const char *where;     /* a filter over the stream's columns, or NULL */
    /* What becomes of rows when the buffer is full. "block" (NULL): the stream waits, nothing is dropped. "drop_oldest": what waited
     * longest is dropped. "drop_newest": what has just come is. "sample": one row of every sample_every is taken at all, and of
     * these the oldest are dropped. A subscription that drops never holds up its stream; not for a stream that takes rows back. */
    const char *policy;
    uint32_t sample_every; /* with "sample", 2 or more */
    int64_t buffer_bytes;  /* that may wait for the subscriber, all workers together; 0: 4 MiB */
    /* Instead of lam_poll and lam_recv: called on a thread of the library that all such subscriptions share (threads = 0: inside
     * lam_step), whenever there is something. code is what lam_recv would return: LAM_OK with rows, which are released after the
     * call unless it took them (copied the struct, set release to NULL); LAM_GAP; and, as the last call, LAM_END or an error, its
     * text by lam_errmsg(NULL). It may push, poll others, cancel and close any subscription, itself too; calls that change or wait
     * for the database (lam_execute, lam_close, lam_wait, ...) return LAM_MISUSE. */
    void (*callback)(void *ctx, struct lam_sub *sub, int code, struct ArrowArray *rows);
    void *ctx;
    /* 0: from now on. Else everything behind that epoch, from the history of a stream made WITH ('retain_history' = ...), and on: without
     * gap or repetition, in the order it was given. Only with the policy "block" and without buffer_bytes. */
    uint64_t after_epoch;
};
/* From now on, or after an epoch; to a source or a stream. cfg NULL: defaults. On an error *out is NULL. */
LAM_API int lam_subscribe(struct lam_session *s, const char *stream, const struct lam_sub_config *cfg, struct lam_sub **out);
LAM_API int lam_sub_schema(struct lam_sub *sub, struct ArrowSchema *out);
/* The next batch. poll: LAM_EMPTY when there is none. recv: waits (spin, yield, park); timeout_us < 0: no limit.
 * LAM_END: the stream has ended. LAM_GAP: rows were dropped between the batch before and the next one, see lam_sub_gap. A
 * changelog's arrays have a first column "w" of 1 and -1. With a callback: LAM_MISUSE. */
LAM_API int lam_poll(struct lam_sub *sub, struct ArrowArray *out);
LAM_API int lam_recv(struct lam_sub *sub, struct ArrowArray *out, int64_t timeout_us);
/* All batches that are there, at most n, in one call. LAM_OK: *got of them, 1 or more; else *got is 0. */
LAM_API int lam_poll_many(struct lam_sub *sub, struct ArrowArray *out, size_t n, size_t *got);
/* What the last LAM_GAP left out. */
LAM_API int lam_sub_gap(struct lam_sub *sub, uint64_t *rows, uint64_t *batches);
/* A descriptor that is readable when there may be something to take: poll it, then call lam_poll until LAM_EMPTY. It belongs to
 * the subscription. -1: there is none (a callback, or why lam_errmsg(NULL) tells). */
LAM_API int lam_sub_fd(struct lam_sub *sub);
LAM_API int64_t lam_sub_watermark(struct lam_sub *sub); /* us; INT64_MIN: none yet */
LAM_API int64_t lam_sub_epoch(struct lam_sub *sub); /* everything before that checkpoint was taken, nothing behind it is promised; 0: none yet */

/* While nothing moves, the rows of the stream (after WHERE) = delivered + dropped + lag. */
struct lam_sub_stats {
    size_t size; /* sizeof(struct lam_sub_stats), set by the caller */
    uint64_t delivered_rows, delivered_batches;
    uint64_t dropped_rows, dropped_batches;
    uint64_t sampled_rows; /* of the dropped ones: those that "sample" left out */
    uint64_t lag_rows;     /* that wait for the subscriber */
    uint64_t sequence;     /* of the last batch taken: dropped ones count */
    int64_t watermark, epoch;
};
LAM_API int lam_sub_stats(struct lam_sub *sub, struct lam_sub_stats *out); /* any thread */
/* Any thread: recv and poll give LAM_CANCELED from now on, a callback is called with it and no more. */
LAM_API void lam_sub_cancel(struct lam_sub *sub);
/* Waits for a callback that runs, unless it is called from one. */
LAM_API void lam_sub_close(struct lam_sub *sub);

/* ---- what goes on ----------------------------------------------------------------------------------------------- */

/* All metrics in the Prometheus text format (docs/metrics.md); any thread, stops nothing. *text is for lam_free. SHOW METRICS
 * gives the same as rows. */
LAM_API int lam_metrics(struct lam_db *db, char **text);

/* ---- memory --------------------------------------------------------------------------------------------------- */

/* Process wide, before any other call that allocates; LAM_MISUSE after. align is a power of two. */
LAM_API int lam_set_memory(void *(*alloc)(void *ctx, size_t n, size_t align), void (*free_)(void *ctx, void *p), void *ctx);
LAM_API void lam_free(void *p); /* what the library handed out for it; NULL is allowed */
LAM_API uint64_t lam_memory_allocations(void); /* how many there have been */

#ifdef __cplusplus
}
#endif
#endif
