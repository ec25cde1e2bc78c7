/* Text of values, both ways: what CSV, the shell and casts print and read. PostgreSQL 15's text: ISO
 * dates, UTC, shortest floats that read back the same. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_CELL_H
#define EXPR_CELL_H

#include "arrow/batch.h"

struct text;

/* Room any fixed-width value's text fits in. */
#define CELL_TEXT_MAX 80
/* Writes the text of a fixed-width value at data (of type_width(t) bytes) to out; returns its length. */
uint32_t cell_print(struct type t, const void *data, char *out);
/* Any type, text included. NULL prints nothing. */
void cell_put(struct type t, const void *data, struct text *out);
/* A value, not NULL, as it stands in a column; text is viewed. */
void cell_store(const struct value *v, void *data);
/* Reads text[0..n) as t into data. Blanks around are allowed where PostgreSQL allows them. Text results view
 * the input. Returns E_CAST, E_RANGE, E_DATETIME, E_DATETIME_RANGE, ...; err may be NULL (fast path: code only). */
enum status cell_parse(struct type t, const char *text, size_t n, void *data, struct err *err);

/* The hot ones, inlined by decoders: true when the whole text is a plain value of the type. */
bool cell_parse_int64(const char *p, size_t n, int64_t *out);
bool cell_parse_double(const char *p, size_t n, double *out);
bool cell_parse_timestamp(const char *p, size_t n, int64_t *out_us);
uint32_t cell_print_int64(int64_t v, char *out);
uint32_t cell_print_double(double v, char *out);
uint32_t cell_print_timestamp(int64_t us, char *out);

/* Calendar: days since 1970-01-01 in the proleptic Gregorian calendar. */
int64_t days_of_civil(int64_t year, int month, int day);
void civil_of_days(int64_t days, int64_t *year, int *month, int *day);

bool utf8_valid(const char *p, size_t n);

#endif
