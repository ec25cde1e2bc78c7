/* The Arrow C data interface: batches out, foreign arrays in, streams of results.
 *
 * Out: columns of fixed width and validity bitmaps are shown where they lie (the array holds a reference to the
 * batch); text gets offsets, BOOLEAN bits, INTERVAL nanoseconds. Children of an exported array may be moved out and
 * released apart, on any thread, in any order, after the database has gone.
 *
 * In: everything is copied, for a pushed array is released right after. The interface carries no buffer sizes, so what
 * can be checked is checked (lengths, counts, offsets that go backwards, UTF-8, ranges, the sizes that string views
 * do carry), and the rest is the producer's word. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_CDATA_H
#define ARROW_CDATA_H

#include "arrow/batch.h"
#include "laminar.h"

enum {
    CDATA_WEIGHT = 1, /* a first int8 column "w" */
    CDATA_LARGE = 2,  /* text with 64-bit offsets */
    CDATA_EXTENSIONS = 4, /* schemas: JSON says so by the extension name arrow.json */
};

/* ---- out ----------------------------------------------------------------------------------- */

/* The schema of arrays exported with the same flags; it holds copies of all names. */
void cdata_schema(const struct schema *s, unsigned flags, struct ArrowSchema *out);
/* A struct array over b, which it references. What must be converted is taken from p (the caller's). Fails with E_LIMIT
 * when a text column needs CDATA_LARGE, with E_RANGE for an INTERVAL beyond 292 years of hours. */
enum status cdata_export(struct pool *p, struct batch *b, const struct schema *s, unsigned flags,
                         struct ArrowArray *out, struct err *err) MUST_CHECK;
/* Whether a text column of b needs CDATA_LARGE. */
bool cdata_is_large(const struct batch *b, const struct schema *s);

/* ---- in ------------------------------------------------------------------------------------ */

/* A foreign struct array bound to a target schema by column name. A column of the array that the target has not is
 * refused; one that only the target has is NULL. */
struct cdata;
/* Checks and binds; array and schema must outlive it. Memory comes from p. */
enum status cdata_open(struct pool *p, const struct ArrowArray *array, const struct ArrowSchema *schema,
                       const struct schema *target, struct cdata **out, struct err *err) MUST_CHECK;
/* The next at most max_rows rows (fewer when their text is long); ST_DONE after the last. */
enum status cdata_read(struct cdata *c, uint32_t max_rows, struct batch **out, struct err *err) MUST_CHECK;
/* Values that do not fit their columns: the cells are NULL in the batch. */
struct cdata_faults {
    uint64_t rows[BATCH_ROWS_MAX / 64]; /* bit: row of the batch that has some */
    uint64_t cells;
    struct cdata_fault {
        uint32_t row;
        struct err err; /* of its first column that has one */
    } first, last;
};
/* As cdata_read, which ends with the first value that does not fit; here all rows come, and the faults beside them. */
enum status cdata_read_all(struct cdata *c, uint32_t max_rows, struct batch **out, struct cdata_faults *faults, struct err *err) MUST_CHECK;
/* Adds what the reader of the batch finds wrong with it; cap: its rows. */
void cdata_fault_add(struct cdata_faults *f, struct batch *b, int col, uint32_t row, uint32_t cap, const struct err *why);
int64_t cdata_left(const struct cdata *c); /* rows not read yet */
void cdata_seek(struct cdata *c, int64_t row);
void cdata_close(struct cdata *c); /* NULL is allowed */
AUTO_DEFINE(cdata_close, struct cdata *)

/* ---- streams ------------------------------------------------------------------------------- */

/* Where a stream of results comes from. next gives a reference or ST_DONE; close is called once, when the consumer
 * releases. */
struct cdata_source {
    enum status (*next)(void *ctx, struct batch **out, struct err *err);
    void (*close)(void *ctx);
    void *ctx;
};
/* s is copied. Batches are exported from a pool of the stream's own. get_last_error gives "[LAM-1203] division by zero
 * (SQLSTATE 22012)". */
void cdata_stream(const struct schema *s, unsigned flags, struct cdata_source from, struct ArrowArrayStream *out);
/* A stream over batches that exist: it references each. */
void cdata_stream_list(const struct schema *s, unsigned flags, struct batch *const *batches, size_t n,
                       struct ArrowArrayStream *out);

#endif
