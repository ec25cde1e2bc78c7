/* Results (Arrow streams) as box, tsv, csv or JSON lines. SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "laminar.h"

#include <stdio.h>

enum print_format { PRINT_BOX, PRINT_TSV, PRINT_CSV, PRINT_JSON };

/* false: no such format. */
bool print_format_of(const char *name, enum print_format *out);
/* Prints all rows, live ones (not PRINT_BOX) at once, and releases the stream. 0, or what get_next returned: then *error is its text, for free(). */
int print_stream(FILE *out, struct ArrowArrayStream *s, enum print_format format, bool live, char **error);
/* One array; begin is true for the first, which brings the header. Not for PRINT_BOX, which must see all rows. */
void print_rows(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *a, enum print_format format,
                bool begin);

#endif
