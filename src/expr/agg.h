/* Aggregate functions over whole columns. An aggregate keeps one accumulator per group, a run of
 * bytes inside a state slot; the state room saves and loads it by the layout declared here.
 * Accumulators do not fail: integers sum in 128 bits, and what does not fit makes the *output* row bad.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_AGG_H
#define EXPR_AGG_H

#include "expr/expr.h"
#include "arrow/layout.h"

struct agg_class; /* one overload */

/* A bound call: agg(args) [DISTINCT] [FILTER (WHERE filter)]. */
struct agg_call {
    const struct agg_class *class;
    const char *name;
    struct type type;      /* of the result */
    int nargs;
    struct expr *args[3];  /* already cast to what the class takes */
    bool distinct;         /* the operator feeds each different argument once per group */
    struct expr *filter;   /* or NULL */
    bool needs_time;       /* FIRST_VALUE, LAST_VALUE: by event time, ties by arrival */
    bool needs_heap;       /* accumulators keep text: one call of update serves the slots of one heap */
    uint32_t size;         /* bytes of one accumulator, a multiple of 8 */
};

bool agg_exists(const char *name);
/* star: count(*). Checks arguments, picks the overload, inserts casts. */
enum status agg_bind(struct arena *a, const char *name, struct expr **args, int nargs, bool star, bool distinct,
                     struct expr *filter, uint32_t pos, struct agg_call **out, struct err *err);
const char *agg_name(const void *ctx, int i); /* all names */

/* Adds this accumulator's fields at `offset` to a layout (so that state can save it). */
void agg_layout(const struct agg_call *c, uint32_t offset, struct layout *out);

/* For n rows: the accumulator of row i is at (char *)slots[i] + offset. args[k] are dense columns of n rows; keep,
 * when not NULL, says which rows count (the FILTER's result, DISTINCT's firsts): bit i. ts: event times, for
 * needs_time (NULL: by arrival). `heap` is the one of the slots' table, for text kept in an accumulator. A zeroed
 * accumulator is the empty one. */
void agg_update(const struct agg_call *c, void *const *slots, uint32_t offset, const struct column *args, const int64_t *ts,
                const uint64_t *keep, uint32_t n, struct layout_heap *heap);
/* The same when all n rows belong to the one slot. */
void agg_update_one(const struct agg_call *c, void *slot, uint32_t offset, const struct column *args, const int64_t *ts,
                    const uint64_t *keep, uint32_t n, struct layout_heap *heap);
/* Adds `from` to `into` (panes of a hopping window, sessions that meet). */
void agg_merge(const struct agg_call *c, void *into, const void *from, uint32_t offset, struct layout_heap *heap);
/* Writes n results to column `col` of batch b (made by batch_for with capacity cap) from row `at` on; text is copied.
 * A result that cannot be given (overflow) is NULL and marked in errors, whose mask has bits for rows at .. at + n. */
void agg_result(const struct agg_call *c, void *const *slots, uint32_t offset, struct batch *b, int col, uint32_t at,
                uint32_t cap, uint32_t n, struct row_errors *errors);

#endif
