/* Floating point and its text, from the C++ library's <charconv>: exact, locale-free, no allocation.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SHIM_NUMBER_H
#define BASE_SHIM_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum number_result { NUMBER_OK, NUMBER_INVALID, NUMBER_RANGE };

/* The whole text is one number: digits, point, exponent, a leading minus; "inf" and "nan" are not for here. */
enum number_result number_parse_double(const char *p, size_t n, double *out);
enum number_result number_parse_float(const char *p, size_t n, float *out);

#define NUMBER_DIGITS_MAX 24
/* The fewest significant digits of finite |v| that read back as v; its value is 0.d1d2d3... * 10^*exp10. Returns how
 * many. */
int number_digits_double(double v, char *digits, int *exp10);
int number_digits_float(float v, char *digits, int *exp10);
/* n significant digits, rounded. */
int number_digits_rounded(double v, int n, char *digits, int *exp10);

#ifdef __cplusplus
}
#endif

#endif
