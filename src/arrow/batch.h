/* Batches: columns in Arrow layout, reference-counted, immutable once published; and the pools
 * their memory comes from.
 *
 * Where memory lives: every batch owns buffers taken from one pool and may pin other batches whose
 * columns or text it shows. There is one count, on the batch. Who drops the last reference gives
 * the buffers back to the pool they came from (at once when it is the pool's own thread, else over
 * a lock-free return stack which the owner takes whole), so a warm pipeline does not call malloc.
 * A pool outlives its database while arrays handed out are alive.
 *
 * Threads: a batch is built by one thread, then published (pushed, returned); from then on it is
 * read-only and may be read and unreferenced anywhere. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_BATCH_H
#define ARROW_BATCH_H

#include "arrow/type.h"

#include <stdatomic.h>

#define BATCH_ROWS_MAX 8192 /* no batch is longer */
#define BATCH_ROWS 2048     /* what builders aim at under load */
#define TS_MIN INT64_MIN    /* no time yet */
#define TS_MAX INT64_MAX    /* +infinity: the end of a bounded stream */

/* ---- pool ------------------------------------------------------------------------------- */

struct pool;
/* One thread allocates from a pool at a time (its owner). account may be NULL. */
struct pool *pool_new(struct account *account);
/* Says that the calling thread is the only one that ever takes from p, so that buffers it drops come
 * back directly. Hosts call it before a task's step; a pool used under a lock is never adopted. */
void pool_adopt(struct pool *p);
/* The owner is done; memory still out returns to the heap when its last batch goes. */
void pool_close(struct pool *p);
/* At least n bytes, 64-byte aligned, not cleared, from the size class that fits. */
void *pool_take(struct pool *p, size_t n);
/* Any thread. */
void pool_give(void *p);
size_t pool_size(const void *p); /* usable bytes of a buffer */

/* ---- batch ------------------------------------------------------------------------------ */

struct column {
    void *data;      /* type_width(type) bytes a row; see TYPE_MAP */
    uint64_t *valid; /* bit i set: row i is not NULL; NULL: no row is */
};

struct batch {
    _Atomic int32_t refs;
    uint32_t rows;
    uint16_t ncols, npins;
    bool compact_text;       /* long text is in own buffers only */
    int64_t ts_min, ts_max;  /* range of the stream's event time; TS_MAX, TS_MIN when unknown */
    const int8_t *weight;    /* +1 / -1 a row; NULL: all +1 */
    struct pool *pool;
    void *bufs;              /* chain of own buffers besides the first */
    char *heap, *heap_end;   /* where the next text bytes go */
    uint32_t bytes_own;      /* of own buffers */
    uint32_t bytes_held;     /* own and pinned */
    struct batch *pins[4];   /* batches whose memory is shown here */
    struct column cols[];
};

/* An empty, writable batch of `ncols` columns without data; refs is 1. */
struct batch *batch_new(struct pool *p, int ncols);
/* The same with data for `cap` rows of the schema's types and no validity; rows is 0. */
struct batch *batch_for(struct pool *p, const struct schema *s, uint32_t cap);
static inline struct batch *batch_ref(struct batch *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}
void batch_unref(struct batch *b); /* NULL is allowed */
AUTO_DEFINE(batch_unref, struct batch *)

/* While building: */
void *batch_alloc(struct batch *b, size_t n);               /* own memory, 64-byte aligned */
char *batch_text(struct batch *b, size_t n);                /* own memory for text, unaligned */
struct str batch_str(struct batch *b, const char *p, uint32_t n); /* copies when long */
void batch_pin(struct batch *b, struct batch *other);       /* takes its own reference; repeats are folded */
/* A validity bitmap for cap rows, all set. */
uint64_t *batch_validity(struct batch *b, uint32_t cap);

/* bitmaps */
static inline size_t bitmap_words(uint32_t rows) { return ((size_t)rows + 63) / 64; }
static inline bool bit_get(const uint64_t *m, uint32_t i) { return m[i >> 6] >> (i & 63) & 1; }
static inline void bit_set(uint64_t *m, uint32_t i) { m[i >> 6] |= 1ull << (i & 63); }
static inline void bit_clear(uint64_t *m, uint32_t i) { m[i >> 6] &= ~(1ull << (i & 63)); }
static inline bool column_null(const struct column *c, uint32_t i) { return c->valid && !bit_get(c->valid, i); }

/* The cell as a value; text points into the batch. */
struct value batch_value(const struct batch *b, const struct schema *s, int col, uint32_t row);
/* Writes a cell of a batch under construction made by batch_for with capacity `cap`; text is copied. */
void batch_put(struct batch *b, const struct schema *s, int col, uint32_t row, uint32_t cap, const struct value *v);

/* ---- rows: a batch seen through a selection ------------------------------------------------ */

/* A selection lives only inside a chain of operators, beside the batch. sel (ascending row numbers,
 * no repeats) belongs to whoever made it and is valid until its next call; NULL: rows 0..n-1 with
 * n == batch->rows. What enters a ring, a log or state is dense. */
struct rows {
    struct batch *b;
    const uint32_t *sel;
    uint32_t n;
};
static inline struct rows rows_all(struct batch *b) { return (struct rows){b, NULL, b->rows}; }
static inline uint32_t rows_at(const struct rows *r, uint32_t i) { return r->sel ? r->sel[i] : i; }

/* A dense batch of the selected rows (a new reference to the same one when it is dense already).
 * Fixed-width data is copied; long text is shared with r->b, which is pinned. */
struct batch *rows_dense(struct pool *p, const struct schema *s, const struct rows *r);
/* The same, but nothing is pinned: for whoever parks batches (log, subscription). */
struct batch *rows_compact(struct pool *p, const struct schema *s, const struct rows *r);
/* Appends row `row` of `from` to `to` (made by batch_for with capacity cap > to->rows); copies text. */
void batch_append(struct batch *to, uint32_t cap, const struct schema *s, const struct batch *from, uint32_t row);
/* Appends the rows from[idx[0..n)] column by column; copies text. Room for them is the caller's duty. */
void batch_scatter(struct batch *to, uint32_t cap, const struct schema *s, const struct batch *from,
                   const uint32_t *idx, uint32_t n);

#endif
