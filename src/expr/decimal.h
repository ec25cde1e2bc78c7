/* Exact decimals of up to 38 digits: an int128 of units of 10^-scale. NaN and the infinities are units that no
 * number uses and that order as they should, so comparing units of one scale is comparing values.
 * Rounding is half away from zero. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_DECIMAL_H
#define EXPR_DECIMAL_H

#include "arrow/type.h"

#define DECIMAL_DIGITS 38

#define INT128_MAX   ((int128)(~(unsigned __int128)0 >> 1))
#define DECIMAL_NAN  INT128_MAX
#define DECIMAL_INF  (INT128_MAX - 1)
#define DECIMAL_NINF (-DECIMAL_INF)

int128 decimal_pow10(int n); /* 0..38 */
/* A number of at most 38 digits, neither NaN nor infinite. */
bool decimal_finite(int128 v);
/* How many digits it has; 1 for 0. */
int decimal_length(int128 v);

/* These return false when the result has more than 38 digits. NaN and infinities propagate. */
bool decimal_rescale(int128 v, int from, int to, int128 *out) MUST_CHECK;
/* The result has scale `to`. */
bool decimal_add(int128 a, int sa, int128 b, int sb, int to, int128 *out) MUST_CHECK;
bool decimal_sub(int128 a, int sa, int128 b, int sb, int to, int128 *out) MUST_CHECK;
bool decimal_mul(int128 a, int sa, int128 b, int sb, int to, int128 *out) MUST_CHECK;
/* b is not 0. */
bool decimal_div(int128 a, int sa, int128 b, int sb, int to, int128 *out) MUST_CHECK;
/* The sign is the dividend's; b is not 0. */
bool decimal_mod(int128 a, int sa, int128 b, int sb, int to, int128 *out) MUST_CHECK;
int decimal_compare(int128 a, int sa, int128 b, int sb);
/* The scale PostgreSQL gives a / b, so that at least 16 digits are significant. */
int decimal_div_scale(int128 a, int sa, int128 b, int sb);

enum decimal_part { DECIMAL_FLOOR, DECIMAL_CEIL, DECIMAL_TRUNC, DECIMAL_ROUND };
/* Keeps `digits` digits after the point (may be negative); the result has scale `to`. */
bool decimal_cut(int128 v, int scale, int digits, enum decimal_part how, int to, int128 *out) MUST_CHECK;

double decimal_double(int128 v, int scale);
/* Of 15 significant digits of v (6 for a REAL), as PostgreSQL converts. */
bool decimal_from_double(double v, int digits, int scale, int128 *out) MUST_CHECK;

/* Reads text as written: *scale is the number of digits after the point, an exponent taken into account. E_RANGE
 * when 38 digits do not hold it. */
enum status decimal_parse(const char *p, size_t n, int128 *out, int *scale);
/* The same rounded to `scale`. */
enum status decimal_parse_scaled(const char *p, size_t n, int scale, int128 *out);
/* `trim`: without trailing zeros after the point. At most 42 bytes. */
uint32_t decimal_print(int128 v, int scale, bool trim, char *out);

/* The narrowest DECIMAL type of a constant. */
struct type decimal_type(int128 v, int scale);

#endif
