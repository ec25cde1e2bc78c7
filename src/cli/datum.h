/* Values of Arrow columns as text, the way PostgreSQL prints them. SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DATUM_H
#define CLI_DATUM_H

#include "laminar.h"

#include <stdio.h>

bool datum_is_null(const struct ArrowArray *column, int64_t row);
/* Writes the value at row; nothing when it is NULL. x and column are as the library exports them. */
void datum_print(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *column, int64_t row);
/* The same as JSON: null, numbers and booleans bare, the rest as strings. */
void datum_print_json(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *column, int64_t row);
/* The bytes of a text value (Arrow utf8 or binary), not terminated. */
const char *datum_bytes(const struct ArrowSchema *x, const struct ArrowArray *column, int64_t row, size_t *n);
/* A number of any numeric column; NaN for NULL. */
double datum_number(const struct ArrowSchema *x, const struct ArrowArray *column, int64_t row);
bool datum_is_number(const struct ArrowSchema *x);
bool datum_is_text(const struct ArrowSchema *x);
void datum_json_string(FILE *out, const char *p, size_t n);

#endif
