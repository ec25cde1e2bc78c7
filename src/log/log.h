/* A log: a stream that has left the graph, kept until every cursor has passed. One writer (the outlet's task), any number
 * of cursors, each read by one task. Entries are batches by reference, watermarks, epoch marks and the end; there is no other
 * queue to the outside. A lock of a few instructions guards the list: only I/O tasks and control meet here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "arrow/batch.h"
#include "base/task.h"

enum log_kind { LOG_BATCH, LOG_WATERMARK, LOG_EPOCH, LOG_END };

struct log_entry {
    enum log_kind kind;
    bool complete;  /* LOG_END: all rows were given out (not cut short by a failure) */
    uint64_t seq;   /* 1, 2, 3 ... */
    uint64_t epoch; /* LOG_EPOCH */
    union {
        struct batch *b;
        int64_t ts;
    };
};

struct log;
struct cursor;
/* bytes_max: of batches that a blocking cursor has not passed; then the log is full. writer is woken when it no longer
 * is. */
struct log *log_new(int64_t bytes_max, struct task *writer);
void log_free(struct log *l); /* no cursors are left */

/* Writer. Appends (taking the batch's reference) and wakes the readers. Entries may pass the limit by one; writers look
 * at log_full first. */
void log_append(struct log *l, struct log_entry e);
bool log_full(struct log *l);

/* Control. A cursor at the end of the log: it sees what is appended from now on. reader is woken by appends. */
struct cursor *cursor_new(struct log *l, struct task *reader);
void cursor_close(struct cursor *c); /* what only it had not passed is let go */
void cursor_free(struct cursor *c);  /* closes it as well; NULL is allowed */
bool log_abandoned(struct log *l); /* it had cursors and has none any more; the writer is woken when that happens */

/* Reader. The entry under the cursor, without moving; false when it is at the end. A batch stays valid until
 * cursor_advance. */
bool cursor_peek(struct cursor *c, struct log_entry *out);
void cursor_advance(struct cursor *c);
/* Anyone: what lies between it and the end of the log; nothing once it is closed. */
void cursor_lag(struct cursor *c, int64_t *bytes, uint64_t *rows);

#endif
