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

/* One run of bytes: rows behind each other. Those from `first` on are the chunk encoded last, whose rows can be told apart. */
struct tuples {
    struct lam_io *io;
    struct tuple_field *fields; /* where a column's values lie now */
    const struct tuple_column *columns;
    int ncolumns;
    bool marked;      /* two more fields behind the columns: int4, the row's number in the transaction, and int2, its weight */
    char *p;
    size_t n, cap;
    int64_t rows;     /* before the chunk */
    size_t *at;       /* where the rows of the chunk begin, and its end */
    int64_t at_cap;
};

#define TUPLES_MOST (8 << 20) /* bytes of a chunk, if it has more than one row */
#define TUPLE_LONGEST (1 << 30)

void tuples_init(struct tuples *t, struct lam_io *io, const struct tuple_column *columns, int n, bool marked);
/* Encodes a chunk of rows from..from+n at most; returns how many, 0 when the first is longer than a row can be. seq: the number of
 * the first. */
int64_t tuples_encode(struct tuples *t, const struct lam_rows *rows, int64_t from, int64_t n, int32_t seq);
/* Keeps the chunk's first k rows, which then are no chunk any more. */
void tuples_keep(struct tuples *t, int64_t k);
void tuples_clear(struct tuples *t);
void tuples_done(struct tuples *t);

#endif
