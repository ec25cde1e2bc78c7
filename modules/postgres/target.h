/* The table that rows go to: found or made, its columns and keys compared with the stream's. SPDX-License-Identifier: Apache-2.0 */
#ifndef POSTGRES_TARGET_H
#define POSTGRES_TARGET_H

#include "client.h"
#include "sql.h"
#include "tuples.h"

struct target_settings {
    const char *schema, *table;
    const char *keys; /* "a, b"; NULL: the table's primary key */
    bool upsert, create;
};

struct target {
    const struct target_settings *set;
    const char **names;          /* of the columns, as in the stream */
    bool *key, *foreign, *nullable; /* foreign: of a type that pg_catalog has not */
    struct tuple_column *columns;
    int n;
    bool unique;                 /* an index of the table could refuse a row that is there already */
};

/* Looks at the stream's columns. OK or OPTION. */
int target_init(struct target *t, struct lam_io *io, const struct target_settings *set, struct lam_error *err);
/* Finds or makes the table and compares. OK, RETRY, CANCELED or an error. */
int target_check(struct target *t, struct client *c, struct lam_error *err);
/* The columns, between commas; prefix NULL: by their names, else prefix1, prefix2 ... */
struct sql *target_columns(const struct target *t, struct sql *s, const char *prefix);
struct sql *target_name(const struct target *t, struct sql *s);
/* Of what rows are made: equal for equal encodings of the columns. */
uint64_t target_shape(const struct target *t);
void target_done(struct target *t, struct lam_io *io);

#endif
