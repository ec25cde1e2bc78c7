/* Decimals by what defines them: a rounded result is within half a unit of the exact one. Differences are formed
 * modulo 2^128, where small ones come out exactly. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "expr/decimal.h"

#include <math.h>

typedef unsigned __int128 uint128;

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

/* Of 0 to 38 digits. */
static int128 some(int digits)
{
    uint128 v = (uint128)next_random() << 64 | next_random();
    v %= (uint128)decimal_pow10(digits);
    return next_random() & 1 ? -(int128)v : (int128)v;
}
static int some_digits(void)
{
    return (int)(next_random() % 39);
}
static int some_scale(void)
{
    return (int)(next_random() % 21);
}

static uint128 size(int128 v)
{
    return v < 0 ? -(uint128)v : (uint128)v;
}

/* 10^n modulo 2^128, n up to 76. */
static uint128 ten(int n)
{
    return n <= 38 ? (uint128)decimal_pow10(n) : (uint128)decimal_pow10(38) * (uint128)decimal_pow10(n - 38);
}

static void test_add(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int sa = some_scale(), sb = some_scale(), to = sa > sb ? sa : sb;
        int128 a = some(some_digits()), b = some(some_digits()), sum, back;
        if (!decimal_add(a, sa, b, sb, to, &sum)) continue;
        assert_true((uint128)sum == (uint128)a * ten(to - sa) + (uint128)b * ten(to - sb));
        assert_true(decimal_finite(sum));
        if (decimal_sub(sum, to, b, sb, to, &back)) assert_int_equal(decimal_compare(back, to, a, sa), 0);
    }
}

static void test_mul(void **state)
{
    (void)state;
    int done = 0;
    for (int i = 0; i < 100000; i++) {
        int sa = some_scale(), sb = some_scale(), to = (int)(next_random() % (unsigned)(sa + sb + 1)),
            drop = sa + sb - to;
        int128 a = some(some_digits()), b = some(some_digits()), r;
        if (drop > 37 || !decimal_mul(a, sa, b, sb, to, &r)) continue;
        int128 off = (int128)((uint128)a * (uint128)b - (uint128)r * ten(drop));
        assert_true(2 * size(off) <= ten(drop));
        done++;
    }
    assert_true(done > 10000);
}

static void test_div(void **state)
{
    (void)state;
    int done = 0;
    for (int i = 0; i < 100000; i++) {
        int sa = some_scale(), sb = some_scale(), to = (int)(next_random() % 39), shift = to - sa + sb;
        int128 a = some(some_digits()), b = some(some_digits()), q;
        if (!b || shift < 0 || !decimal_div(a, sa, b, sb, to, &q)) continue;
        int128 off = (int128)((uint128)a * ten(shift) - (uint128)q * (uint128)b);
        assert_true(2 * size(off) <= size(b));
        done++;
    }
    assert_true(done > 10000);
}

/* a = b * trunc(a / b) + a % b, with the sign of a and less than b. */
static void test_mod(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int s = some_scale();
        int128 a = some(some_digits()), b = some(some_digits()), r;
        if (!b) continue;
        assert_true(decimal_mod(a, s, b, s, s, &r));
        assert_true(r == a % b);
        int sa = some_scale(), sb = some_scale(), to = sa > sb ? sa : sb;
        if (!decimal_mod(a, sa, b, sb, to, &r)) continue;
        assert_true(r == 0 || (r < 0) == (a < 0));
        assert_true(decimal_compare(r < 0 ? -r : r, to, b < 0 ? -b : b, sb) < 0);
    }
}

static void test_compare(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int sa = some_scale(), sb = some_scale();
        int128 a = some(some_digits()), b = some(some_digits()), d;
        int order = decimal_compare(a, sa, b, sb);
        assert_int_equal(order, -decimal_compare(b, sb, a, sa));
        if (decimal_sub(a, sa, b, sb, sa > sb ? sa : sb, &d)) assert_int_equal(order, (d > 0) - (d < 0));
    }
    assert_int_equal(decimal_compare(DECIMAL_NAN, 0, DECIMAL_INF, 5), 1);
    assert_int_equal(decimal_compare(DECIMAL_NINF, 3, -decimal_pow10(38) + 1, 0), -1);
}

static void test_cut(void **state)
{
    (void)state;
    int128 v;
    for (int i = 0; i < 100000; i++) {
        int s = some_scale(), digits = (int)(next_random() % 40) - 15, to = digits < 0 ? 0 : digits;
        int128 a = some(some_digits()), low, high;
        if (!decimal_cut(a, s, digits, DECIMAL_FLOOR, to, &low) || !decimal_cut(a, s, digits, DECIMAL_CEIL, to, &high))
            continue;
        assert_true(decimal_compare(low, to, a, s) <= 0 && decimal_compare(high, to, a, s) >= 0);
        assert_true(decimal_cut(a, s, digits, DECIMAL_ROUND, to, &v) && (v == low || v == high));
        assert_true(decimal_cut(a, s, digits, DECIMAL_TRUNC, to, &v) && v == (a < 0 ? high : low));
    }
    assert_true(decimal_cut(-25, 1, 0, DECIMAL_ROUND, 0, &v) && v == -3);
    assert_true(decimal_cut(149, 0, -2, DECIMAL_ROUND, 0, &v) && v == 100);
    assert_true(decimal_cut(150, 0, -2, DECIMAL_ROUND, 0, &v) && v == 200);
}

static void test_text(void **state)
{
    (void)state;
    char text[64];
    for (int i = 0; i < 100000; i++) {
        int scale = some_digits(), back_scale;
        int128 a = some(some_digits()), back;
        uint32_t n = decimal_print(a, scale, false, text);
        assert_true(n <= 42);
        assert_int_equal(decimal_parse(text, n, &back, &back_scale), ST_OK);
        assert_true(back == a && back_scale == scale);
        n = decimal_print(a, scale, true, text);
        assert_int_equal(decimal_parse_scaled(text, n, scale, &back), ST_OK);
        assert_true(back == a);
    }
}

static void test_floats(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int scale = some_scale();
        int128 a = some((int)(next_random() % 16)), back; /* 15 digits survive a double */
        assert_true(decimal_from_double(decimal_double(a, scale), 15, scale, &back));
        assert_true(back == a);
    }
    int128 v;
    assert_true(decimal_from_double(NAN, 15, 2, &v) && v == DECIMAL_NAN);
    assert_true(decimal_from_double(-INFINITY, 15, 2, &v) && v == DECIMAL_NINF);
    assert_false(decimal_from_double(1e39, 15, 0, &v));
    assert_true(isinf(decimal_double(DECIMAL_INF, 3)));
}

static void test_specials(void **state)
{
    (void)state;
    int128 v;
    assert_true(decimal_add(DECIMAL_INF, 0, 1, 0, 0, &v) && v == DECIMAL_INF);
    assert_true(decimal_add(DECIMAL_INF, 0, DECIMAL_NINF, 0, 0, &v) && v == DECIMAL_NAN);
    assert_true(decimal_sub(DECIMAL_INF, 0, DECIMAL_INF, 0, 0, &v) && v == DECIMAL_NAN);
    assert_true(decimal_mul(DECIMAL_INF, 0, -2, 0, 0, &v) && v == DECIMAL_NINF);
    assert_true(decimal_mul(DECIMAL_INF, 0, 0, 0, 0, &v) && v == DECIMAL_NAN);
    assert_true(decimal_div(1, 0, DECIMAL_INF, 0, 5, &v) && v == 0);
    assert_true(decimal_mod(5, 0, DECIMAL_INF, 0, 0, &v) && v == 5);
    assert_false(decimal_add(decimal_pow10(38) - 1, 0, 1, 0, 0, &v));
    assert_false(decimal_mul(decimal_pow10(20), 0, decimal_pow10(20), 0, 0, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),  cmocka_unit_test(test_mul),     cmocka_unit_test(test_div),
        cmocka_unit_test(test_mod),  cmocka_unit_test(test_compare), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_text), cmocka_unit_test(test_floats),  cmocka_unit_test(test_specials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
