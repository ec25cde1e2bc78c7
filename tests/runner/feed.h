/* CSV text of a test as an Arrow array to push. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_FEED_H
#define RUNNER_FEED_H

#include "laminar.h"

#define FEED_COLUMNS 64

struct feed_column {
    char name[64], type[64]; /* type as DESCRIBE prints it */
};
/* Fields of one CSV line: NULL for an empty unquoted field and for an unquoted NULL. Points into `line`, which is
 * changed. */
int feed_split(char *line, char **fields, int max);
/* rows[i] is the i-th row's field for each column. false: a value does not fit its type; *why says which. */
bool feed_array(const struct feed_column *cols, int ncols, char *(*rows)[FEED_COLUMNS], size_t n, struct ArrowArray *a,
                struct ArrowSchema *x, char why[200]);
/* "2024-01-02[ T]03:04:05[.ffffff][Z]" or a number of milliseconds, as microseconds. */
bool feed_timestamp(const char *s, int64_t *us);

#endif
