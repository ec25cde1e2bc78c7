/* Functions of numbers beside the operators. Those of the DOUBLE kind take exact numbers through DOUBLE.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"
#include "expr/clock.h"
#include "expr/decimal.h"
#include "expr/expr_int.h"

#include <math.h>

/* ---- doubles ---------------------------------------------------------------------------------------- */

/* Cannot fail. */
#define PLAIN(NAME, VALUE)                                                                                             \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        double *restrict out = c->out;                                                                                 \
        EACH1(c, double, out[i] = VALUE;);                                                                             \
    }
/* `BAD` says which arguments (x, y) or results (r) are refused, and how. */
#define CHECKED(NAME, VALUE, BAD, ...)                                                                                 \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        double *out = c->out;                                                                                          \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            double x = ARG(c, 0, double, i), y = ARG(c, c->e->nargs - 1, double, i), r = VALUE;                        \
            (void)y;                                                                                                   \
            out[i] = r;                                                                                                \
            if (unlikely(BAD) && call_live(c, i)) call_fail(c, i, __VA_ARGS__);                                        \
        }                                                                                                              \
    }
#define OUT_OF_RANGE E_RANGE, "input is out of range"

/* A copy for vectors, since SSE2 has no rounding instruction. */
#define ROUNDING(NAME, F)                                                                                              \
    KERNEL void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        double *restrict out = c->out;                                                                                 \
        EACH1(c, double, out[i] = F(x););                                                                              \
    }
ROUNDING(ceil_f64, ceil)
ROUNDING(floor_f64, floor)
ROUNDING(trunc_f64, trunc)
ROUNDING(round_f64, rint)
PLAIN(sign_f64, x > 0 ? 1 : x < 0 ? -1 : x)
PLAIN(cbrt_f64, cbrt(x))
PLAIN(degrees_f64, x *(180 / M_PI))
PLAIN(radians_f64, x *(M_PI / 180))
PLAIN(atan_f64, atan(x))
PLAIN(tanh_f64, tanh(x))
PLAIN(asinh_f64, asinh(x))
PLAIN(sinh_f64, sinh(x))
PLAIN(cosh_f64, cosh(x))
PLAIN(erf_f64, erf(x))

CHECKED(sqrt_f64, sqrt(x), x < 0, E_POWER, "cannot take square root of a negative number")
CHECKED(exp_f64, exp(x), isinf(r) && !isinf(x), E_RANGE, "value out of range: overflow")
CHECKED(ln_f64, log(x), x <= 0, E_LOGARITHM,
        x == 0 ? "cannot take logarithm of zero" : "cannot take logarithm of a negative number")
CHECKED(log10_f64, log10(x), x <= 0, E_LOGARITHM,
        x == 0 ? "cannot take logarithm of zero" : "cannot take logarithm of a negative number")
CHECKED(log2_f64, log2(x), x <= 0, E_LOGARITHM,
        x == 0 ? "cannot take logarithm of zero" : "cannot take logarithm of a negative number")
CHECKED(sin_f64, sin(x), isinf(x), OUT_OF_RANGE)
CHECKED(cos_f64, cos(x), isinf(x), OUT_OF_RANGE)
CHECKED(tan_f64, tan(x), isinf(x), OUT_OF_RANGE)
CHECKED(cot_f64, 1 / tan(x), isinf(x), OUT_OF_RANGE)
CHECKED(asin_f64, asin(x), x<-1 || x> 1, OUT_OF_RANGE)
CHECKED(acos_f64, acos(x), x<-1 || x> 1, OUT_OF_RANGE)
CHECKED(acosh_f64, acosh(x), x < 1, OUT_OF_RANGE)
CHECKED(atanh_f64, atanh(x), x<-1 || x> 1, OUT_OF_RANGE)

/* Exact where the sine is. */
static double sin_degrees(double x)
{
    double in_turn = fmod(x, 360), part = fmod(fabs(in_turn), 180);
    double sign = (in_turn < 0) == (fabs(in_turn) < 180) ? -1 : 1;
    if (part == 0) return 0;
    if (part == 90) return sign;
    if (part == 30 || part == 150) return sign * 0.5;
    return sin(in_turn * (M_PI / 180));
}

static double tan_degrees(double x)
{
    double part = fmod(x, 180);
    if (part == 45 || part == -135) return 1;
    if (part == -45 || part == 135) return -1;
    return sin_degrees(x) / sin_degrees(90 - x);
}
PLAIN(sind_f64, sin_degrees(x))
PLAIN(cosd_f64, sin_degrees(90 - x))
PLAIN(tand_f64, tan_degrees(x))
CHECKED(atan2_f64, atan2(x, y), false, OUT_OF_RANGE)

/* PostgreSQL's log(base, x) of numerics. */
static void log_base(struct call *c)
{
    double *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        double b = ARG(c, 0, double, i), x = ARG(c, 1, double, i), by = log(b);
        out[i] = 0;
        if (!call_live(c, i)) continue;
        if (b <= 0 || x <= 0)
            call_fail(c, i, E_LOGARITHM, "cannot take logarithm of %s",
                      b == 0 || x == 0 ? "zero" : "a negative number");
        else if (by == 0)
            call_fail(c, i, E_DIV0, "division by zero");
        else
            out[i] = log(x) / by;
    }
}

static void power(struct call *c)
{
    double *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        double x = ARG(c, 0, double, i), y = ARG(c, 1, double, i), r = pow(x, y);
        out[i] = r;
        if (!call_live(c, i)) continue;
        if (x == 0 && y < 0)
            call_fail(c, i, E_POWER, "zero raised to a negative power is undefined");
        else if (x < 0 && isfinite(x) && isfinite(y) && floor(y) != y)
            call_fail(c, i, E_POWER, "a negative number raised to a non-integer power yields a complex result");
        else if (isfinite(x) && isfinite(y) && isinf(r))
            call_fail(c, i, E_RANGE, "value out of range: overflow");
        else if (isfinite(x) && isfinite(y) && r == 0 && x != 0)
            call_fail(c, i, E_RANGE, "value out of range: underflow");
    }
}

/* round(x, n) of a DOUBLE goes by its decimal digits, as printed. */
static double round_digits(double x, int32_t n)
{
    if (!isfinite(x) || n > 300) return x;
    if (n < -308) return 0;
    double by = pow(10, n < 0 ? -n : n), scaled = n < 0 ? x / by : x * by;
    if (fabs(scaled) >= 0x1p52) return x;
    double r = round(scaled);
    /* 1.005 is a little less than it looks: what lies within an ulp of a half is one. */
    if (fabs(fabs(scaled - trunc(scaled)) - 0.5) <= fabs(scaled) * 0x1p-52) r = trunc(scaled) + copysign(1, scaled);
    return n < 0 ? r * by : r / by;
}

static void round2_f64(struct call *c)
{
    double *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = round_digits(ARG(c, 0, double, i), ARG(c, 1, int32_t, i));
}

static void pi(struct call *c)
{
    double *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = M_PI;
}

static void random_(struct call *c)
{
    double *out = c->out;
    struct env *env = clock_env();
    for (uint32_t i = 0; i < c->n; i++) out[i] = (double)(env->ops->random(env) >> 11) * 0x1p-53;
}

/* ---- integers ---------------------------------------------------------------------------------------- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

#define DIVISORS(S, T, MAX, WORD)                                                                                      \
    static void gcd_##S(struct call *c)                                                                                \
    {                                                                                                                  \
        T *out = c->out;                                                                                               \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            uint64_t g = gcd(magnitude(ARG(c, 0, T, i)), magnitude(ARG(c, 1, T, i)));                                  \
            out[i] = (T)g;                                                                                             \
            if (g > MAX && call_live(c, i)) call_fail(c, i, E_RANGE, WORD " out of range");                            \
        }                                                                                                              \
    }                                                                                                                  \
    static void lcm_##S(struct call *c)                                                                                \
    {                                                                                                                  \
        T *out = c->out;                                                                                               \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            uint64_t x = magnitude(ARG(c, 0, T, i)), y = magnitude(ARG(c, 1, T, i)), r = 0;                            \
            bool over = x && y && __builtin_mul_overflow(x / gcd(x, y), y, &r);                                        \
            out[i] = (T)r;                                                                                             \
            if ((over || r > MAX) && call_live(c, i)) call_fail(c, i, E_RANGE, WORD " out of range");                  \
        }                                                                                                              \
    }
DIVISORS(i32, int32_t, INT32_MAX, "integer")
DIVISORS(i64, int64_t, INT64_MAX, "bigint")

static void factorial(struct call *c)
{
    int128 *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int64_t n = ARG(c, 0, int64_t, i);
        out[i] = 1;
        if (!call_live(c, i)) continue;
        if (n < 0)
            call_fail(c, i, E_RANGE, "factorial of a negative number is undefined");
        else if (n > 33) /* 34! has 39 digits */
            call_fail(c, i, E_RANGE, "numeric field overflow: more than 38 digits");
        else
            for (int64_t k = 2; k <= n; k++) out[i] *= k;
    }
}

static enum status bind_whole(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    e->type = type_decimal(DECIMAL_DIGITS, 0);
    return ST_OK;
}

/* ---- decimals ----------------------------------------------------------------------------------------- */

static void cut(struct call *c, enum decimal_part how)
{
    int128 *out = c->out;
    int from = c->e->args[0]->type.scale, to = c->e->type.scale;
    for (uint32_t i = 0; i < c->n; i++) {
        int128 v = 0;
        int digits = c->e->nargs > 1 ? ARG(c, 1, int32_t, i) : 0;
        if (digits > 100) digits = 100;
        if (digits < -100) digits = -100;
        bool ok = decimal_cut(ARG(c, 0, int128, i), from, digits, how, to, &v);
        out[i] = v;
        if (unlikely(!ok) && call_live(c, i)) call_fail(c, i, E_RANGE, "numeric field overflow: more than 38 digits");
    }
}
static void ceil_dec(struct call *c)
{
    cut(c, DECIMAL_CEIL);
}
static void floor_dec(struct call *c)
{
    cut(c, DECIMAL_FLOOR);
}
static void trunc_dec(struct call *c)
{
    cut(c, DECIMAL_TRUNC);
}
static void round_dec(struct call *c)
{
    cut(c, DECIMAL_ROUND);
}

/* A constant number of digits is the result's scale; otherwise the argument's stays. */
static enum status bind_cut(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    struct type t = e->args[0]->type;
    int scale = 0, whole = (t.precision ? t.precision : DECIMAL_DIGITS) - t.scale + 1;
    if (e->nargs > 1) {
        const struct expr *n = e->args[1];
        scale = t.scale;
        if (n->kind == EXPR_CONST && !n->value.is_null)
            scale = n->value.i < 0 ? 0 : n->value.i > 38 ? 38 : (int)n->value.i;
        else if (!t.precision)
            return e->type = t, ST_OK;
    }
    if (whole > DECIMAL_DIGITS) whole = DECIMAL_DIGITS;
    e->type = type_decimal(whole + scale > DECIMAL_DIGITS ? DECIMAL_DIGITS : whole + scale, scale);
    return ST_OK;
}

static void sign_dec(struct call *c)
{
    int128 *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int128 x = ARG(c, 0, int128, i);
        out[i] = x == DECIMAL_NAN ? x : (x > 0) - (x < 0);
    }
}

static enum status bind_sign(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    e->type = type_decimal(1, 0);
    return ST_OK;
}

/* The whole quotient. */
static void div_dec(struct call *c)
{
    int128 *out = c->out;
    int sx = c->e->args[0]->type.scale, sy = c->e->args[1]->type.scale;
    for (uint32_t i = 0; i < c->n; i++) {
        int128 x = ARG(c, 0, int128, i), y = ARG(c, 1, int128, i), rest, v;
        out[i] = 0;
        if (!call_live(c, i)) continue;
        int s = sx > sy ? sx : sy;
        if (!y)
            call_fail(c, i, E_DIV0, "division by zero");
        else if (decimal_mod(x, sx, y, sy, s, &rest) && decimal_sub(x, sx, rest, s, s, &v) &&
                 decimal_div(v, s, y, sy, 0, &v))
            out[i] = v;
        else
            call_fail(c, i, E_RANGE, "numeric field overflow: more than 38 digits");
    }
}

static void scale_of(struct call *c)
{
    int32_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = c->e->args[0]->type.scale;
}

static void width_bucket(struct call *c)
{
    int32_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        double x = ARG(c, 0, double, i), low = ARG(c, 1, double, i), high = ARG(c, 2, double, i);
        int32_t count = ARG(c, 3, int32_t, i);
        out[i] = 0;
        if (!call_live(c, i)) continue;
        if (count < 1) {
            call_fail(c, i, E_ARGUMENT, "count must be greater than zero");
        } else if (low == high || !isfinite(low) || !isfinite(high) || isnan(x)) {
            call_fail(c, i, E_ARGUMENT, "the bounds must be finite and differ, the operand a number");
        } else {
            double at = (x - low) / (high - low);
            out[i] = at < 0 ? 0 : at >= 1 ? count + 1 : (int32_t)(at * count) + 1;
        }
    }
}

/* ---- the table ---------------------------------------------------------------------------------------- */

#define DD T_DOUBLE
#define NN T_DECIMAL
#define II T_INT32
#define F1(NAME, RUN)                                                                                                  \
    {                                                                                                                  \
        NAME, DD, 1, {DD}, 0, RUN, NULL                                                                                \
    }
#define F1_FAILS(NAME, RUN)                                                                                            \
    {                                                                                                                  \
        NAME, DD, 1, {DD}, FN_FAILS, RUN, NULL                                                                         \
    }
#define CUT(NAME, RUN)                                                                                                 \
    {                                                                                                                  \
        NAME, NN, 1, {NN}, FN_FAILS, RUN, bind_cut                                                                     \
    }

/* clang-format off */
const struct function func_math[] = {
    CUT("ceil", ceil_dec), F1("ceil", ceil_f64), CUT("ceiling", ceil_dec), F1("ceiling", ceil_f64),
    CUT("floor", floor_dec), F1("floor", floor_f64), CUT("trunc", trunc_dec), F1("trunc", trunc_f64),
    CUT("round", round_dec), F1("round", round_f64),
    {"round", NN, 2, {NN, II}, FN_FAILS, round_dec, bind_cut}, {"trunc", NN, 2, {NN, II}, FN_FAILS, trunc_dec, bind_cut},
    {"round", DD, 2, {DD, II}, FN_FLOATS, round2_f64, NULL},
    F1("sign", sign_f64), {"sign", NN, 1, {NN}, 0, sign_dec, bind_sign},
    {"div", NN, 2, {NN, NN}, FN_FAILS, div_dec, bind_whole}, {"scale", II, 1, {NN}, 0, scale_of, NULL},
    F1_FAILS("sqrt", sqrt_f64), F1_FAILS("|/", sqrt_f64), F1("cbrt", cbrt_f64), F1("||/", cbrt_f64),
    F1_FAILS("exp", exp_f64), F1_FAILS("ln", ln_f64), F1_FAILS("log", log10_f64), F1_FAILS("log10", log10_f64),
    F1_FAILS("log2", log2_f64), {"log", DD, 2, {DD, DD}, FN_FAILS, log_base, NULL},
    {"power", DD, 2, {DD, DD}, FN_FAILS, power, NULL}, {"pow", DD, 2, {DD, DD}, FN_FAILS, power, NULL},
    {"^", DD, 2, {DD, DD}, FN_FAILS, power, NULL},
    F1("degrees", degrees_f64), F1("radians", radians_f64),
    F1_FAILS("sin", sin_f64), F1_FAILS("cos", cos_f64), F1_FAILS("tan", tan_f64), F1_FAILS("cot", cot_f64),
    F1("sind", sind_f64), F1("cosd", cosd_f64), F1("tand", tand_f64),
    F1_FAILS("asin", asin_f64), F1_FAILS("acos", acos_f64), F1("atan", atan_f64),
    {"atan2", DD, 2, {DD, DD}, 0, atan2_f64, NULL},
    F1("sinh", sinh_f64), F1("cosh", cosh_f64), F1("tanh", tanh_f64), F1("asinh", asinh_f64),
    F1_FAILS("acosh", acosh_f64), F1_FAILS("atanh", atanh_f64), F1("erf", erf_f64),
    {"pi", DD, 0, {0}, 0, pi, NULL}, {"random", DD, 0, {0}, FN_VOLATILE, random_, NULL},
    {"gcd", II, 2, {II, II}, FN_FAILS, gcd_i32, NULL}, {"gcd", T_INT64, 2, {T_INT64, T_INT64}, FN_FAILS, gcd_i64, NULL},
    {"lcm", II, 2, {II, II}, FN_FAILS, lcm_i32, NULL}, {"lcm", T_INT64, 2, {T_INT64, T_INT64}, FN_FAILS, lcm_i64, NULL},
    {"factorial", NN, 1, {T_INT64}, FN_FAILS, factorial, bind_whole},
    {"width_bucket", II, 4, {DD, DD, DD, II}, FN_FAILS, width_bucket, NULL},
    {0},
};
/* clang-format on */
