/* + - * / % and the bit operators over numbers. SPDX-License-Identifier: Apache-2.0 */
#include "expr/decimal.h"
#include "expr/expr_int.h"

#include <math.h>

#define T       int8_t
#define W       int16_t
#define WORD    "tinyint"
#define N(name) name##_i8
#include "expr/arith_int.tmpl.h"

#define T       int16_t
#define W       int32_t
#define WORD    "smallint"
#define N(name) name##_i16
#include "expr/arith_int.tmpl.h"

#define T       int32_t
#define W       int64_t
#define WORD    "integer"
#define N(name) name##_i32
#include "expr/arith_int.tmpl.h"

#define T       int64_t
#define WORD    "bigint"
#define N(name) name##_i64
#include "expr/arith_int.tmpl.h"

#define T       float
#define N(name) name##_f32
#include "expr/arith_float.tmpl.h"

#define T       double
#define N(name) name##_f64
#include "expr/arith_float.tmpl.h"

/* ---- decimals ------------------------------------------------------------------------------------ */

static int whole_digits(struct type t)
{
    return (t.precision ? t.precision : DECIMAL_DIGITS) - t.scale;
}

static struct type fit(int whole, int scale, bool open)
{
    int p = whole + scale;
    return type_decimal(open ? 0 : p > DECIMAL_DIGITS ? DECIMAL_DIGITS : p < 1 ? 1 : p, scale);
}

static bool open_type(const struct expr *e)
{
    return !e->args[0]->type.precision || !e->args[1]->type.precision;
}

static enum status bind_add(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    struct type x = e->args[0]->type, y = e->args[1]->type;
    int wx = whole_digits(x), wy = whole_digits(y);
    e->type = fit((wx > wy ? wx : wy) + 1, x.scale > y.scale ? x.scale : y.scale, open_type(e));
    return ST_OK;
}

/* Exact while the scales fit in what the whole digits leave; two open decimals keep the open scale. */
static enum status bind_mul(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    struct type x = e->args[0]->type, y = e->args[1]->type;
    int scale = x.scale + y.scale, least = x.scale > y.scale ? x.scale : y.scale;
    bool open = open_type(e);
    if (open && scale > DECIMAL_OPEN_SCALE + 2) scale = least > DECIMAL_OPEN_SCALE + 2 ? least : DECIMAL_OPEN_SCALE + 2;
    if (scale > DECIMAL_DIGITS) scale = DECIMAL_DIGITS;
    e->type = fit(whole_digits(x) + whole_digits(y), scale, open);
    return ST_OK;
}

/* Constants get PostgreSQL's scale. A column has one scale for all its rows: 16 digits after the point, more
 * where the dividend's whole digits leave room, so that small quotients stay significant. */
static enum status bind_div(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    struct expr *x = e->args[0], *y = e->args[1];
    int scale;
    if (x->kind == EXPR_CONST && y->kind == EXPR_CONST) {
        if (x->value.is_null || y->value.is_null || !y->value.dec) return ST_OK;
        scale = decimal_div_scale(x->value.dec, x->type.scale, y->value.dec, y->type.scale);
        e->type = type_decimal(DECIMAL_DIGITS, scale > DECIMAL_DIGITS ? DECIMAL_DIGITS : scale);
        return ST_OK;
    }
    scale = DECIMAL_DIGITS - whole_digits(x->type) - y->type.scale;
    if (scale > 20) scale = 20;
    if (scale < DECIMAL_OPEN_SCALE) scale = DECIMAL_OPEN_SCALE;
    if (scale < x->type.scale) scale = x->type.scale;
    if (scale < y->type.scale) scale = y->type.scale;
    e->type = type_decimal(0, scale);
    return ST_OK;
}

static enum status bind_mod(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    struct type x = e->args[0]->type, y = e->args[1]->type;
    e->type = fit(whole_digits(y), x.scale > y.scale ? x.scale : y.scale, open_type(e));
    return ST_OK;
}

static enum status bind_same(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    e->type = e->args[0]->type;
    return ST_OK;
}

#define DECIMAL_OP(NAME, ZERO_FAILS)                                                                                   \
    static void NAME##_dec(struct call *c)                                                                             \
    {                                                                                                                  \
        int128 *out = c->out, r;                                                                                       \
        int sa = c->e->args[0]->type.scale, sb = c->e->args[1]->type.scale, to = c->e->type.scale;                     \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            int128 x = ARG(c, 0, int128, i), y = ARG(c, 1, int128, i);                                                 \
            out[i] = 0;                                                                                                \
            if (!call_live(c, i)) continue;                                                                            \
            if (ZERO_FAILS && !y)                                                                                      \
                call_fail(c, i, E_DIV0, "division by zero");                                                           \
            else if (likely(decimal_##NAME(x, sa, y, sb, to, &r)))                                                     \
                out[i] = r;                                                                                            \
            else                                                                                                       \
                call_fail(c, i, E_RANGE, "numeric field overflow: more than 38 digits");                               \
        }                                                                                                              \
    }
DECIMAL_OP(mul, false)
DECIMAL_OP(div, true)
DECIMAL_OP(mod, true)
DECIMAL_OP(add, false)
DECIMAL_OP(sub, false)

static void neg_dec(struct call *c)
{
    int128 *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int128 x = ARG(c, 0, int128, i);
        out[i] = x == DECIMAL_NAN ? x : -x;
    }
}

static void abs_dec(struct call *c)
{
    int128 *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        int128 x = ARG(c, 0, int128, i);
        out[i] = x < 0 ? -x : x;
    }
}

/* A divisor that is a constant but 0 and -1 cannot fail, so that nothing need be guarded. */
static enum status bind_int_div(struct arena *a, struct expr *e, struct err *err)
{
    (void)a, (void)err;
    const struct expr *y = e->args[1];
    if (y->kind == EXPR_CONST && !y->value.is_null && y->value.i && y->value.i != -1)
        e->can_fail = e->args[0]->can_fail;
    return ST_OK;
}

/* ---- the table ----------------------------------------------------------------------------------- */

#define INT_OPS(ID, S)                                                                                                 \
    {"+", ID, 2, {ID, ID}, FN_FAILS, add_##S, NULL}, {"-", ID, 2, {ID, ID}, FN_FAILS, sub_##S, NULL},                  \
        {"*", ID, 2, {ID, ID}, FN_FAILS, mul_##S, NULL}, {"/", ID, 2, {ID, ID}, FN_FAILS, div_##S, bind_int_div},      \
        {"%", ID, 2, {ID, ID}, FN_FAILS, mod_##S, bind_int_div}, {"neg", ID, 1, {ID}, FN_FAILS, neg_##S, NULL},        \
        {"mod", ID, 2, {ID, ID}, FN_FAILS, mod_##S, bind_int_div}, {"abs", ID, 1, {ID}, FN_FAILS, abs_##S, NULL},      \
        {"&", ID, 2, {ID, ID}, 0, and_##S, NULL}, {"|", ID, 2, {ID, ID}, 0, or_##S, NULL},                             \
        {"#", ID, 2, {ID, ID}, 0, xor_##S, NULL}, {"~", ID, 1, {ID}, 0, not_##S, NULL},                                \
        {"<<", ID, 2, {ID, T_INT32}, 0, shl_##S, NULL},                                                                \
    {                                                                                                                  \
        ">>", ID, 2, {ID, T_INT32}, 0, shr_##S, NULL                                                                   \
    }
#define FLOAT_OPS(ID, S)                                                                                               \
    {"+", ID, 2, {ID, ID}, 0, add_##S, NULL}, {"-", ID, 2, {ID, ID}, 0, sub_##S, NULL},                                \
        {"*", ID, 2, {ID, ID}, 0, mul_##S, NULL}, {"/", ID, 2, {ID, ID}, FN_FAILS, div_##S, NULL},                     \
        {"neg", ID, 1, {ID}, 0, neg_##S, NULL},                                                                        \
    {                                                                                                                  \
        "abs", ID, 1, {ID}, 0, abs_##S, NULL                                                                           \
    }

/* clang-format off */
const struct function func_arith[] = {
    INT_OPS(T_INT32, i32), INT_OPS(T_INT64, i64), INT_OPS(T_INT16, i16), INT_OPS(T_INT8, i8),
    FLOAT_OPS(T_DOUBLE, f64), FLOAT_OPS(T_FLOAT, f32),
    {"+", T_DECIMAL, 2, {T_DECIMAL, T_DECIMAL}, FN_FAILS, add_dec, bind_add},
    {"-", T_DECIMAL, 2, {T_DECIMAL, T_DECIMAL}, FN_FAILS, sub_dec, bind_add},
    {"*", T_DECIMAL, 2, {T_DECIMAL, T_DECIMAL}, FN_FAILS, mul_dec, bind_mul},
    {"/", T_DECIMAL, 2, {T_DECIMAL, T_DECIMAL}, FN_FAILS, div_dec, bind_div},
    {"%", T_DECIMAL, 2, {T_DECIMAL, T_DECIMAL}, FN_FAILS, mod_dec, bind_mod},
    {"mod", T_DECIMAL, 2, {T_DECIMAL, T_DECIMAL}, FN_FAILS, mod_dec, bind_mod},
    {"neg", T_DECIMAL, 1, {T_DECIMAL}, 0, neg_dec, bind_same},
    {"abs", T_DECIMAL, 1, {T_DECIMAL}, 0, abs_dec, bind_same},
    {0},
};
/* clang-format on */
