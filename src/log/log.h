/* A log: a stream that has left the graph, kept until every cursor has passed. One writer (the outlet's task), any number
 * of cursors, each read by one task or thread. Entries are batches by reference, watermarks, epoch marks and the end; there is
 * no other queue to the outside.
 *
 * Memory first. When the batches kept come to more than the limit, cursors say what becomes of what they have not read:
 * BLOCK holds it, and the writer waits; SPILL lets the writer move the oldest entries to segments on disk, up to a bound, where
 * any cursor finds them; DROP_OLDEST lets go of the oldest, counted; ERROR ends the cursor with an error. What no cursor holds
 * goes. A lock of a few instructions guards the list, never held over I/O: the writer writes segments outside it, readers
 * read them outside it. SPDX-License-Identifier: Apache-2.0 */
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

struct log_config {
    struct env *env;
    struct account *account;      /* of batches read back from disk and of compacted ones */
    const struct schema *schema;  /* outlives the log */
    int64_t memory_bytes;         /* bytes_held of the batches in memory, and a little for each entry */
    const char *dir;              /* of segments: made when first needed; its segments go with the log; NULL: no SPILL */
    int64_t disk_bytes;           /* most bytes of segments; beyond it SPILL blocks */
    uint64_t name;                /* of the segment files: unique in dir */
};
/* writer is woken when the log is no longer full. */
struct log *log_new(const struct log_config *cfg, struct task *writer);
void log_free(struct log *l); /* no cursors are left */

/* Writer. Appends (taking the batch's reference; compacts it when it pins four times what it uses) and wakes the readers that
 * had found nothing. Entries may pass the limit by one; writers look at log_full first. */
void log_append(struct log *l, struct log_entry e);
/* Makes room by the cursors' policies; this may write to disk. true: there is none, and the writer will be woken. A disk that
 * is full or fails makes spilling cursors block; err->code, else ST_OK, says so once (E_WRITE). */
bool log_full(struct log *l, struct err *err);
/* When a full log is to be looked at again though nobody woke the writer, for the disk that failed is tried then; INT64_MAX:
 * never. */
int64_t log_retry_us(struct log *l);

enum cursor_policy { CURSOR_BLOCK, CURSOR_SPILL, CURSOR_DROP_OLDEST, CURSOR_ERROR };

/* Who reads: a task that is woken, or a gate. */
struct log_reader {
    struct task *task;
    struct gate *gate;
};
/* Control. A cursor at the end of the log: it sees what is appended from now on. */
struct cursor *cursor_new(struct log *l, enum cursor_policy policy, struct log_reader reader);
/* A cursor that begins right behind the mark of `epoch`; NULL: it is no longer, or not yet, in the log. */
struct cursor *cursor_at_epoch(struct log *l, uint64_t epoch, enum cursor_policy policy, struct log_reader reader);
/* Keeps at least the last `bytes` of batches, in memory or on disk, for cursor_at_epoch; 0: nothing. As far as there is room:
 * what is only retained never makes the writer wait. */
void log_retain(struct log *l, int64_t bytes);
/* Writer: what was appended so far is not retained any more, and cursor_at_epoch finds no mark but the one appended last. */
void log_forget(struct log *l);
void log_set_limits(struct log *l, int64_t memory_bytes, int64_t disk_bytes);
/* The marks that cursor_at_epoch finds: the oldest, and the newest up to `epoch`. false: there is none. */
bool log_epochs(struct log *l, uint64_t epoch, uint64_t *oldest, uint64_t *newest);
void cursor_set_policy(struct cursor *c, enum cursor_policy policy);
void cursor_close(struct cursor *c); /* what only it had not passed is let go */
void cursor_free(struct cursor *c);  /* closes it as well; NULL is allowed */
bool log_abandoned(struct log *l); /* it had cursors and has none any more; the writer is woken when that happens */

/* Reader. ST_OK: the entry under the cursor, without moving; ST_WAIT: it is at the end; E_FULL: policy ERROR, it fell
 * too far behind; E_READ, E_CORRUPT: a segment cannot be read, or is damaged. The next peek tries again; advancing goes past
 * what cannot be read, counted as dropped. A batch stays valid until cursor_advance, or until the cursor
 * is closed, whatever the policy drops meanwhile. */
enum status cursor_peek(struct cursor *c, struct log_entry *out, struct err *err);
void cursor_advance(struct cursor *c);

struct cursor_stats {
    int64_t lag_bytes;      /* between it and the end */
    uint64_t lag_rows;
    uint64_t dropped_rows;  /* so far: by DROP_OLDEST, unread when ERROR ended it, unreadable */
    uint64_t dropped_batches;
};
void cursor_stats(struct cursor *c, struct cursor_stats *out); /* anyone; no lag once it is closed */

struct log_stats {
    int64_t memory_bytes, disk_bytes;
    uint64_t full_events;   /* how often the writer had to wait; once per wait */
    uint64_t spilled_bytes; /* so far */
};
void log_stats(struct log *l, struct log_stats *out); /* anyone */

#endif
