/* Comparisons, IS DISTINCT FROM, GREATEST and LEAST. NaN equals NaN and is above every number.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/compare.h"

#include "expr/datetime.h"
#include "expr/decimal.h"
#include "expr/expr_int.h"

#define PLAIN_LT(x, y) ((x) < (y))
#define PLAIN_EQ(x, y) ((x) == (y))
/* Written without branches: a NaN is the one value unequal to itself. */
#define FLOAT_LT(x, y) (((x) < (y)) | (((x) == (x)) & ((y) != (y))))
#define FLOAT_EQ(x, y) (((x) == (y)) | (((x) != (x)) & ((y) != (y))))

#define T       uint8_t
#define LT      PLAIN_LT
#define EQ      PLAIN_EQ
#define N(name) name##_bool
#include "expr/compare.tmpl.h"

#define T       int8_t
#define LT      PLAIN_LT
#define EQ      PLAIN_EQ
#define N(name) name##_i8
#include "expr/compare.tmpl.h"

#define T       int16_t
#define LT      PLAIN_LT
#define EQ      PLAIN_EQ
#define N(name) name##_i16
#include "expr/compare.tmpl.h"

#define T       int32_t
#define LT      PLAIN_LT
#define EQ      PLAIN_EQ
#define N(name) name##_i32
#include "expr/compare.tmpl.h"

#define T       int64_t
#define LT      PLAIN_LT
#define EQ      PLAIN_EQ
#define N(name) name##_i64
#include "expr/compare.tmpl.h"

#define T       float
#define LT      FLOAT_LT
#define EQ      FLOAT_EQ
#define N(name) name##_f32
#include "expr/compare.tmpl.h"

#define T       double
#define LT      FLOAT_LT
#define EQ      FLOAT_EQ
#define N(name) name##_f64
#include "expr/compare.tmpl.h"

/* ---- types compared value by value --------------------------------------------------------------- */

typedef struct {
    uint8_t b[16];
} uuid;
#define UUID_LT(x, y)     (memcmp((x).b, (y).b, 16) < 0)
#define UUID_EQ(x, y)     (memcmp((x).b, (y).b, 16) == 0)
#define INTERVAL_LT(x, y) (interval_span(x) < interval_span(y))
#define INTERVAL_EQ(x, y) (interval_span(x) == interval_span(y))

#undef KERNEL
#define KERNEL static

#define T       uuid
#define LT      UUID_LT
#define EQ      UUID_EQ
#define N(name) name##_uuid
#include "expr/compare.tmpl.h"

#define T       struct interval
#define LT      INTERVAL_LT
#define EQ      INTERVAL_EQ
#define N(name) name##_interval
#include "expr/compare.tmpl.h"

#define T       int128
#define LT      PLAIN_LT
#define EQ      PLAIN_EQ
#define N(name) name##_units
#include "expr/compare.tmpl.h"

/* A NULL's view may point nowhere, so texts are looked at in live rows only. */
#define TEXT_COMPARE(NAME, TEST)                                                                                       \
    static void NAME##_text(struct call *c)                                                                            \
    {                                                                                                                  \
        uint8_t *restrict out = c->out;                                                                                \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            const struct str *x = &ARG(c, 0, struct str, i), *y = &ARG(c, 1, struct str, i);                           \
            out[i] = call_live(c, i) && TEST;                                                                          \
        }                                                                                                              \
    }
TEXT_COMPARE(eq, str_equal(x, y))
TEXT_COMPARE(ne, !str_equal(x, y))
TEXT_COMPARE(lt, str_compare(x, y) < 0)
TEXT_COMPARE(le, str_compare(x, y) <= 0)
TEXT_COMPARE(gt, str_compare(x, y) > 0)
TEXT_COMPARE(ge, str_compare(x, y) >= 0)

static int order_text(const void *a, const void *b)
{
    return str_compare(a, b);
}

#define DECIMAL_COMPARE(NAME, OP)                                                                                      \
    static void NAME##_dec(struct call *c)                                                                             \
    {                                                                                                                  \
        int sa = c->e->args[0]->type.scale, sb = c->e->args[1]->type.scale;                                            \
        if (sa == sb) {                                                                                                \
            NAME##_units(c);                                                                                           \
            return;                                                                                                    \
        }                                                                                                              \
        uint8_t *restrict out = c->out;                                                                                \
        for (uint32_t i = 0; i < c->n; i++)                                                                            \
            out[i] = decimal_compare(ARG(c, 0, int128, i), sa, ARG(c, 1, int128, i), sb) OP 0;                         \
    }
DECIMAL_COMPARE(eq, ==)
DECIMAL_COMPARE(ne, !=)
DECIMAL_COMPARE(lt, <)
DECIMAL_COMPARE(le, <=)
DECIMAL_COMPARE(gt, >)
DECIMAL_COMPARE(ge, >=)

/* ---- orders, for what compares single cells ------------------------------------------------------- */

cell_order *compare_order(struct type t)
{
    switch ((enum type_id)t.id) {
    case T_BOOL: return order_bool;
    case T_INT8: return order_i8;
    case T_INT16: return order_i16;
    case T_INT32:
    case T_DATE: return order_i32;
    case T_INT64:
    case T_TIME:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return order_i64;
    case T_FLOAT: return order_f32;
    case T_DOUBLE: return order_f64;
    case T_DECIMAL: return order_units;
    case T_VARCHAR:
    case T_BLOB:
    case T_JSON: return order_text;
    case T_UUID: return order_uuid;
    case T_INTERVAL: return order_interval;
    default: return NULL;
    }
}

/* ---- IS [NOT] DISTINCT FROM ----------------------------------------------------------------------- */

static bool differs(const struct call *c, cell_order *order, size_t width, uint32_t i)
{
    const struct vec *x = &c->args[0], *y = &c->args[1];
    bool nx = vec_null(x, i), ny = vec_null(y, i);
    if (nx || ny) return nx != ny;
    return order((const char *)x->data + width * (i & x->mask), (const char *)y->data + width * (i & y->mask)) != 0;
}

static void distinct(struct call *c)
{
    uint8_t *out = c->out;
    struct type t = c->e->args[0]->type;
    cell_order *order = compare_order(t);
    if (!order) { /* two bare NULLs */
        memset(out, 0, c->n);
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) out[i] = differs(c, order, type_width(t), i);
}

static void not_distinct(struct call *c)
{
    uint8_t *out = c->out;
    distinct(c);
    for (uint32_t i = 0; i < c->n; i++) out[i] ^= 1;
}

/* ---- GREATEST, LEAST: NULLs are passed over -------------------------------------------------------- */

static void pick(struct call *c, int sign)
{
    size_t width = type_width(c->e->type);
    cell_order *order = compare_order(c->e->type);
    char *out = c->out;
    for (uint32_t i = 0; i < c->n; i++, out += width) {
        const char *best = NULL;
        for (int k = 0; k < c->e->nargs; k++) {
            const struct vec *v = &c->args[k];
            if (vec_null(v, i)) continue;
            const char *p = (const char *)v->data + width * (i & v->mask);
            if (!best || order(p, best) * sign > 0) best = p;
        }
        if (best)
            memcpy(out, best, width);
        else
            memset(out, 0, width), call_null(c, i);
    }
}

static void greatest(struct call *c)
{
    pick(c, 1);
}
static void least(struct call *c)
{
    pick(c, -1);
}

const struct function compare_greatest = {"greatest", TYPE_ANY, 1, {TYPE_ANY}, FN_LAX | FN_VARIADIC, greatest, NULL};
const struct function compare_least = {"least", TYPE_ANY, 1, {TYPE_ANY}, FN_LAX | FN_VARIADIC, least, NULL};
const struct function compare_distinct = {"is distinct from", T_BOOL, 2, {TYPE_ANY, TYPE_ANY}, FN_LAX, distinct, NULL};
const struct function compare_not_distinct = {"is not distinct from", T_BOOL, 2, {TYPE_ANY, TYPE_ANY}, FN_LAX,
                                              not_distinct,           NULL};

/* ---- the table ----------------------------------------------------------------------------------- */

#define OPS(ID, S)                                                                                                     \
    {"=", T_BOOL, 2, {ID, ID}, 0, eq_##S, NULL}, {"<>", T_BOOL, 2, {ID, ID}, 0, ne_##S, NULL},                         \
        {"<", T_BOOL, 2, {ID, ID}, 0, lt_##S, NULL}, {"<=", T_BOOL, 2, {ID, ID}, 0, le_##S, NULL},                     \
        {">", T_BOOL, 2, {ID, ID}, 0, gt_##S, NULL},                                                                   \
    {                                                                                                                  \
        ">=", T_BOOL, 2, {ID, ID}, 0, ge_##S, NULL                                                                     \
    }

/* clang-format off */
const struct function func_compare[] = {
    OPS(T_INT32, i32), OPS(T_INT64, i64), OPS(T_DOUBLE, f64), OPS(T_VARCHAR, text), OPS(T_TIMESTAMP, i64),
    OPS(T_TIMESTAMPTZ, i64), OPS(T_DATE, i32), OPS(T_DECIMAL, dec), OPS(T_BOOL, bool), OPS(T_INT16, i16),
    OPS(T_INT8, i8), OPS(T_FLOAT, f32), OPS(T_TIME, i64), OPS(T_INTERVAL, interval), OPS(T_UUID, uuid),
    OPS(T_BLOB, text),
    {0},
};
/* clang-format on */
