/* Rows in the binary form that COPY takes, made of Arrow columns. SPDX-License-Identifier: Apache-2.0 */
#ifndef POSTGRES_TUPLES_H
#define POSTGRES_TUPLES_H

#include "type.h"

#include <laminar_connector.h>

struct tuple_field;
struct tuple_column {
    enum source_type from;
    int scale;
    enum encoding how;
};

/* One run of bytes: rows behind each other. */
struct tuples {
    struct lam_io *io;
    struct tuple_field *fields; /* where a column's values lie now */
    const struct tuple_column *columns;
    int ncolumns;
    uint64_t shape;   /* of columns */
    bool marked;      /* two more fields behind the columns: int4, the row's number in the transaction, and int2, its weight */
    char *p;
    size_t n, cap;
    int64_t rows;
    size_t *at;       /* where row i begins; at[rows]: the end */
    int64_t at_cap;
};

#define TUPLE_LONGEST (1 << 30)

/* How rows are encoded from now on. What is there stays. */
void tuples_aim(struct tuples *t, struct lam_io *io, const struct tuple_column *columns, int n, bool marked, uint64_t shape);
/* Adds rows from..from+n at most; returns how many, fewer when one is longer than a row can be. seq: the number of the first. */
int64_t tuples_encode(struct tuples *t, const struct lam_rows *rows, int64_t from, int64_t n, int32_t seq);
/* The number that was given to row i; of marked ones. */
int32_t tuples_seq(const struct tuples *t, int64_t i);
void tuples_remove(struct tuples *t, int64_t i);
void tuples_clear(struct tuples *t);
void tuples_done(struct tuples *t);

#endif
