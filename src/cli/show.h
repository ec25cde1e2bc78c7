/* What SHOW says, for the program's own use. SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "cli/cli.h"

/* One row of a result. */
struct show_row {
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
    int64_t row;
};

/* Calls fn for each row that a SHOW statement gives. */
void show_each(struct cli *c, const char *sql, void (*fn)(void *ctx, const struct show_row *r), void *ctx);
/* By the column's name. NULL, or no such column: 0, INT64_MIN, "". */
int64_t show_count(const struct show_row *r, const char *column);
double show_number(const struct show_row *r, const char *column); /* NAN: NULL */
int64_t show_time(const struct show_row *r, const char *column);  /* microseconds */
void show_text(const struct show_row *r, const char *column, char *out, size_t size);

#endif
