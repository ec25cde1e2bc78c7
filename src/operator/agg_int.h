/* What an aggregate operator holds. SPDX-License-Identifier: Apache-2.0 */
#ifndef OPERATOR_AGG_INT_H
#define OPERATOR_AGG_INT_H

#include "operator/classes.h"
#include "operator/kept.h"

struct agg_state {
    const struct agg_call *call;
    uint32_t offset; /* of the accumulator in a group's value */
    int args[3];     /* columns of the arguments */
    int filter;      /* column of the filter, or -1 */
    struct keyed *distinct;
};

/* The rows of a batch that fall into one window: idx[begin, end), or rows begin..end of a batch taken whole. */
struct part {
    int64_t id;
    uint32_t n, begin, end;
};

enum scratch {
    TIMES,
    KEPT,
    TABLE,
    PART,
    PARTS,
    IDX,
    KEYS,
    PART_HASHES,
    HASHES,
    SLOTS,
    PART_SLOTS,
    FRESH,
    DISTINCT_HASHES,
    FIRST,
    CHOSEN,
    FILTERED,
    PART_KEEP,
    SCRATCHES,
};

struct agg {
    struct op op;
    struct eval *ev;
    struct expr **exprs; /* keys, the window start of COLUMNS, then the others */
    struct column *cols; /* their values */
    int nexprs;
    int nkeys;                        /* of groups: the plan's, and for COLUMNS the window start */
    int time_col, end_col, order_col; /* -1: none; TUMBLE: end_col is time_col */
    struct type key_types[20];
    struct agg_state *aggs;
    struct keyed *groups;
    int64_t *given;
    int64_t said;    /* the output watermark so far */
    uint32_t cursor; /* in the first slice, while it is given out */
    /* of the batch at hand */
    bool whole; /* all rows, one window */
    struct part *parts;
    uint32_t nparts, nrows;   /* nrows: of all parts */
    uint32_t late, timeless;  /* rows left out */
    int64_t late_id, late_us; /* slice and time of the last late one */
    uint32_t *idx;
    uint64_t *hashes;
    void **slots;
    struct column *gathered;
    struct {
        void *p;
        size_t cap;
    } scratch[SCRATCHES];
};

#endif
