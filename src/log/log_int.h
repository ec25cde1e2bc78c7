/* What a log is inside. Room-internal.
 *
 * Entries lie in one row: the older ones in segments, those from `base` on in slots. Segments are without gaps, and while there
 * are any the newest ends at base: whoever holds an entry holds all that follow. All is guarded by the lock but what is said to
 * be the writer's or the reader's own; files are touched without it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef LOG_LOG_INT_H
#define LOG_LOG_INT_H

#include "base/env.h"
#include "log/segment.h"

#define ENTRY_BYTES 64 /* what an entry costs besides its batch: marks alone fill a log as well */

/* Of all entries before a place in the log. */
struct sums {
    uint64_t bytes, rows, batches;
};
static inline struct sums sums_after(struct sums before, const struct log_entry *e, uint32_t held)
{
    bool rows = e->kind == LOG_BATCH;
    return (struct sums){before.bytes + ENTRY_BYTES + held, before.rows + (rows ? e->b->rows : 0), before.batches + rows};
}

struct slot {
    struct log_entry e;
    struct sums before;
};

/* A place right behind the mark of an epoch. */
struct mark {
    uint64_t epoch, seq;
    struct sums before;
};

struct segment {
    struct segment *next;
    uint64_t number;
    uint64_t first, end; /* entries */
    struct sums after;
    uint32_t data;       /* bytes of whole frames */
    int64_t size;        /* bytes of the file */
    struct begin {
        uint64_t seq;
        uint32_t at;
        struct sums before;
    } *begins; /* of stripes */
    int n, cap;
    int readers;         /* that look into it now */
    bool broken;         /* a write failed: nothing more goes in */
};

#define RUN_ENTRIES 64        /* most entries of one write */
#define RUN_BYTES (1 << 20)   /* enough for one write */
#define STRIPE_BYTES (64 << 10)

struct log {
    struct lock lock;
    struct log_config cfg;
    struct segment_place place;
    struct task *writer;
    struct slot *slots; /* cap is a power of two; entry seq is at (seq & (cap - 1)) */
    uint64_t cap, base, next;
    struct sums total;
    struct segment *oldest, *newest;
    struct segment *dead; /* nobody needs them; their files are still there */
    struct mark *marks;   /* ascending; [mark_first, mark_end) */
    int mark_first, mark_end, mark_cap;
    struct cursor *cursors;
    int64_t retain;
    uint64_t floor; /* nothing before it is retained */
    int64_t disk, segment_bytes;
    uint64_t full_events, spilled;
    bool had_cursors;
    bool writer_waits;
    bool spilling;      /* the newest segment is being written to */
    bool disk_full;     /* disk_bytes are used up */
    int64_t retry_us;   /* a disk that failed is tried again then; 0: it did not fail */

    /* The writer's own. */
    int width;           /* bytes of a row without long text */
    bool has_text, told; /* told: of the disk that fails */
    struct pool *pool;   /* of compacted batches */
    struct file *file;   /* of segment file_number */
    uint64_t file_number, numbers;
    struct text out;     /* the run as bytes */
    struct slot run[RUN_ENTRIES];
    size_t run_at[RUN_ENTRIES]; /* where an entry begins in out */
};

struct cursor {
    struct log *log;
    struct cursor *next;
    struct log_reader reader;
    enum cursor_policy policy;
    uint64_t at; /* the first entry it has not passed */
    struct sums passed;
    struct {
        bool full;
        bool beside; /* at is past it: it was given out before it would have been dropped */
        struct log_entry e;
        struct sums after;
    } hand;
    uint64_t dropped_rows, dropped_batches;
    bool waits;      /* for an entry */
    bool closed, ended;
    bool unreadable; /* the entry at `at` */

    /* The reader's own. */
    struct segment_reader disk;
    struct pool *pool; /* of batches read back */
};

static inline struct slot *slot(struct log *l, uint64_t seq) { return &l->slots[seq & (l->cap - 1)]; }
/* seq is in memory, or the next. */
static inline struct sums before(struct log *l, uint64_t seq) { return seq < l->next ? slot(l, seq)->before : l->total; }
static inline int64_t memory(struct log *l) { return (int64_t)(l->total.bytes - before(l, l->base).bytes); }
/* Whether log_retain keeps what ends at `end`, where `after` has been summed up. */
static inline bool retained(const struct log *l, uint64_t end, struct sums after)
{
    return end > l->floor && (int64_t)(l->total.bytes - after.bytes) < l->retain;
}

/* With the lock held: */
void log_trim(struct log *l); /* lets go of what nobody holds */
void log_leave(struct log *l); /* gives the lock back; removes dead segments, wakes the writer when it may go on */
bool log_may_spill(struct log *l);
bool log_disk_yields(struct log *l); /* the oldest segment is held by none but those who drop, or retained */
struct segment *log_segment(struct log *l, uint64_t seq);
void cursor_drop(struct cursor *c, uint64_t to, struct sums passed); /* moves on, counting what it did not read */
/* The oldest entry in memory and those behind it go to disk; the lock is given back meanwhile. */
enum status log_spill(struct log *l, struct err *err);

#endif
