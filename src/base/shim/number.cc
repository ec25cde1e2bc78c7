/* The C++ side of number.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/shim/number.h"

#include <charconv>
#include <cmath>

namespace {

template <typename T> number_result parse(const char *p, size_t n, T *out)
{
    /* from_chars takes "inf", "nan" and "infinity"; they have their own spelling rules elsewhere. */
    size_t first = n && *p == '-';
    if (first >= n || !((p[first] >= '0' && p[first] <= '9') || p[first] == '.')) return NUMBER_INVALID;
    T v;
    auto r = std::from_chars(p, p + n, v);
    if (r.ptr != p + n) return NUMBER_INVALID;
    if (r.ec == std::errc::result_out_of_range) return NUMBER_RANGE;
    if (r.ec != std::errc()) return NUMBER_INVALID;
    *out = v;
    return NUMBER_OK;
}

/* "d.ddde+XX" apart. */
int split(const char *p, const char *end, char *digits, int *exp10)
{
    int n = 0, e = 0;
    for (; p < end && *p != 'e'; p++)
        if (*p != '.') digits[n++] = *p;
    if (p < end) std::from_chars(p + (p[1] == '+' ? 2 : 1), end, e);
    *exp10 = e + 1;
    return n;
}

} // namespace

extern "C" {

number_result number_parse_double(const char *p, size_t n, double *out) { return parse(p, n, out); }
number_result number_parse_float(const char *p, size_t n, float *out) { return parse(p, n, out); }

int number_digits_double(double v, char *digits, int *exp10)
{
    char buf[40];
    auto r = std::to_chars(buf, buf + sizeof buf, std::fabs(v), std::chars_format::scientific);
    return split(buf, r.ptr, digits, exp10);
}

int number_digits_float(float v, char *digits, int *exp10)
{
    char buf[40];
    auto r = std::to_chars(buf, buf + sizeof buf, std::fabs(v), std::chars_format::scientific);
    return split(buf, r.ptr, digits, exp10);
}

int number_digits_rounded(double v, int n, char *digits, int *exp10)
{
    char buf[64];
    auto r = std::to_chars(buf, buf + sizeof buf, std::fabs(v), std::chars_format::scientific, n - 1);
    return split(buf, r.ptr, digits, exp10);
}
}
