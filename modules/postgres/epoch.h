/* The table of epochs: which epoch of which sink the target holds, and which start of the sink may write it. One row a sink; who wants to
 * write locks it first, so that of two starts of one sink the older finds itself shut out, whatever it has sent before.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef POSTGRES_EPOCH_H
#define POSTGRES_EPOCH_H

#include "client.h"
#include "sql.h"

struct epoch {
    const char *schema, *table, *sink;
    uint64_t incarnation;
    uint64_t marker; /* the last epoch that is there */
};

/* Makes the table and our row if need be, claims it and reads the marker. A result of the door. */
int epoch_claim(struct epoch *e, struct client *c, struct lam_error *err);
/* Begins a transaction by locking our row. */
int epoch_begin(struct epoch *e, struct client *c, struct lam_error *err);
/* The statement that puts epoch n there; it changes one row. */
struct sql *epoch_put(const struct epoch *e, struct sql *s, uint64_t n);

#endif
