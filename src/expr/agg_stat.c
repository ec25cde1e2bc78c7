/* Variance and its kin. Floats, BIGINT and DECIMAL by the running sums of Youngs and Cramer, which lose no digits to
 * large means; smaller integers exactly, from the sums of values and squares in 128 bits. Exact arguments give DECIMAL,
 * as in PostgreSQL. Two arguments are (y, x). SPDX-License-Identifier: Apache-2.0 */
#include "expr/agg_int.h"
#include "expr/decimal.h"

#include <math.h>

enum stat { VAR_SAMP, VAR_POP, STDDEV_SAMP, STDDEV_POP };

static bool is_sample(enum stat s)
{
    return s == VAR_SAMP || s == STDDEV_SAMP;
}
static bool is_root(enum stat s)
{
    return s == STDDEV_SAMP || s == STDDEV_POP;
}

/* ---- doubles -------------------------------------------------------------------------------------------- */

struct spread {
    uint64_t n;
    double sum, squares; /* of the differences from the mean */
};

static void spread_add(struct spread *acc, double v)
{
    acc->n++;
    acc->sum += v;
    if (acc->n > 1) {
        double n = (double)acc->n, d = v * n - acc->sum;
        acc->squares += d * d / (n * (n - 1));
    } else if (!isfinite(v)) {
        acc->squares = NAN;
    }
}

static void spread_update(const struct agg_in *in)
{
    const double *v = in->args[0].data;
    AGG_EACH(in, in->args[0].valid, { spread_add(AGG_AT(in, struct spread), v[i]); });
}

static void spread_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct spread *a = into;
    const struct spread *b = from;
    if (!b->n) return;
    if (!a->n) {
        *a = *b;
        return;
    }
    double na = (double)a->n, nb = (double)b->n, d = a->sum / na - b->sum / nb;
    a->squares += b->squares + d * d * na * nb / (na + nb);
    a->sum += b->sum;
    a->n += b->n;
}

static void put_double(const struct agg_out *out, double v)
{
    int128 d;
    if (out->call->type.id == T_DOUBLE)
        AGG_PUT(out, double, v);
    else if (!decimal_from_double(v, 15, out->call->type.scale, &d))
        agg__error(out, E_RANGE, "the result has more than 38 digits");
    else
        memcpy((char *)out->col->data + 16 * (size_t)out->row, &d, 16);
}

static void spread_result(const struct spread *acc, const struct agg_out *out, enum stat what)
{
    uint64_t by = acc->n - (is_sample(what) ? 1 : 0);
    if (!acc->n || !by) {
        agg__null(out);
        return;
    }
    double v = acc->squares / (double)by;
    put_double(out, is_root(what) ? sqrt(v) : v);
}

/* ---- integers of up to 32 bits ------------------------------------------------------------------------- */

struct moments {
    uint64_t n;
    sum128 sum, squares;
};

#define MOMENTS(NAME, T)                                                                                               \
    static void NAME(const struct agg_in *in)                                                                          \
    {                                                                                                                  \
        const T *v = in->args[0].data;                                                                                 \
        AGG_EACH(in, in->args[0].valid, {                                                                              \
            struct moments *acc = AGG_AT(in, struct moments);                                                          \
            acc->n++;                                                                                                  \
            acc->sum += v[i];                                                                                          \
            acc->squares += (int64_t)v[i] * v[i];                                                                      \
        });                                                                                                            \
    }
MOMENTS(moments_i8, int8_t)
MOMENTS(moments_i16, int16_t)
MOMENTS(moments_i32, int32_t)

static void moments_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct moments *a = into;
    const struct moments *b = from;
    a->n += b->n;
    a->sum = (int128)((unsigned __int128)a->sum + (unsigned __int128)b->sum);
    a->squares = (int128)((unsigned __int128)a->squares + (unsigned __int128)b->squares);
}

static void moments_result(const struct moments *acc, const struct agg_out *out, enum stat what)
{
    uint64_t by = acc->n - (is_sample(what) ? 1 : 0);
    int128 above, square, v = 0;
    if (!acc->n || !by) {
        agg__null(out);
        return;
    }
    /* (n * squares - sum^2) / (n * by) */
    bool fits = !__builtin_mul_overflow((int128)acc->n, (int128)acc->squares, &above) &&
                !__builtin_mul_overflow((int128)acc->sum, (int128)acc->sum, &square);
    int128 below = (int128)acc->n * (int128)by;
    if (fits && is_root(what)) {
        long double root = sqrtl((long double)(above - square) / (long double)below) * 1e16L;
        v = (int128)(root + 0.5L);
    } else if (fits) {
        fits = decimal_div(above - square, 0, below, 0, DECIMAL_OPEN_SCALE, &v);
    }
    if (fits)
        memcpy((char *)out->col->data + 16 * (size_t)out->row, &v, 16);
    else
        agg__error(out, E_RANGE, "the result has more than 38 digits");
}

/* ---- overloads of one argument -------------------------------------------------------------------------- */

#define STAT(WHAT)                                                                                                     \
    static void spread_result_##WHAT(const void *acc, const struct agg_out *out)                                       \
    {                                                                                                                  \
        spread_result(acc, out, WHAT);                                                                                 \
    }                                                                                                                  \
    static void moments_result_##WHAT(const void *acc, const struct agg_out *out)                                      \
    {                                                                                                                  \
        moments_result(acc, out, WHAT);                                                                                \
    }                                                                                                                  \
    static const struct agg_class classes_##WHAT[4] = {                                                                \
        {sizeof(struct spread), .update = spread_update, .merge = spread_merge, .result = spread_result_##WHAT},       \
        {sizeof(struct moments), .update = moments_i8, .merge = moments_merge, .result = moments_result_##WHAT},       \
        {sizeof(struct moments), .update = moments_i16, .merge = moments_merge, .result = moments_result_##WHAT},      \
        {sizeof(struct moments), .update = moments_i32, .merge = moments_merge, .result = moments_result_##WHAT}};     \
    static const struct agg_class *pick_##WHAT(const struct type *args, int nargs, struct type *cast,                  \
                                               struct type *result)                                                    \
    {                                                                                                                  \
        (void)nargs;                                                                                                   \
        return pick_stat(args, cast, result, classes_##WHAT);                                                          \
    }

static const struct agg_class *pick_stat(const struct type *args, struct type *cast, struct type *result,
                                         const struct agg_class *classes)
{
    *result = type_is_float(args[0]) ? TYPE(T_DOUBLE) : type_decimal(DECIMAL_DIGITS, DECIMAL_OPEN_SCALE);
    switch (args[0].id) {
    case T_INT8: return &classes[1];
    case T_INT16: return &classes[2];
    case T_INT32: return &classes[3];
    case T_INT64:
    case T_DECIMAL:
    case T_FLOAT:
    case T_DOUBLE: cast[0] = TYPE(T_DOUBLE); return &classes[0];
    default: return NULL;
    }
}
STAT(VAR_SAMP)
STAT(VAR_POP)
STAT(STDDEV_SAMP)
STAT(STDDEV_POP)

/* ---- two arguments -------------------------------------------------------------------------------------- */

struct pair {
    uint64_t n;
    double x, xx, y, yy, xy; /* sums; xx, yy, xy of differences from the means */
};

static void pair_add(struct pair *acc, double y, double x)
{
    acc->n++;
    acc->x += x;
    acc->y += y;
    if (acc->n > 1) {
        double n = (double)acc->n, scale = 1 / (n * (n - 1));
        double dx = x * n - acc->x, dy = y * n - acc->y;
        acc->xx += dx * dx * scale;
        acc->yy += dy * dy * scale;
        acc->xy += dx * dy * scale;
        return;
    }
    if (!isfinite(x)) acc->xx = acc->xy = NAN;
    if (!isfinite(y)) acc->yy = acc->xy = NAN;
}

static void pair_update(const struct agg_in *in)
{
    const double *y = in->args[0].data, *x = in->args[1].data;
    AGG_EACH(in, in->args[0].valid, {
        if (column_null(&in->args[1], i)) continue;
        pair_add(AGG_AT(in, struct pair), y[i], x[i]);
    });
}

static void pair_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct pair *a = into;
    const struct pair *b = from;
    if (!b->n) return;
    if (!a->n) {
        *a = *b;
        return;
    }
    double na = (double)a->n, nb = (double)b->n, scale = na * nb / (na + nb);
    double dx = a->x / na - b->x / nb, dy = a->y / na - b->y / nb;
    a->xx += b->xx + dx * dx * scale;
    a->yy += b->yy + dy * dy * scale;
    a->xy += b->xy + dx * dy * scale;
    a->x += b->x;
    a->y += b->y;
    a->n += b->n;
}

/* NAME, whether there is a result, the result. */
#define PAIR_MAP(X)                                                                                                    \
    X(covar_pop, n >= 1, a->xy / n)                                                                                    \
    X(covar_samp, n >= 2, a->xy / (n - 1))                                                                             \
    X(corr, n >= 1 && a->xx != 0 && a->yy != 0, a->xy / sqrt(a->xx * a->yy))                                           \
    X(regr_avgx, n >= 1, a->x / n)                                                                                     \
    X(regr_avgy, n >= 1, a->y / n)                                                                                     \
    X(regr_sxx, n >= 1, a->xx)                                                                                         \
    X(regr_syy, n >= 1, a->yy)                                                                                         \
    X(regr_sxy, n >= 1, a->xy)                                                                                         \
    X(regr_slope, n >= 1 && a->xx != 0, a->xy / a->xx)                                                                 \
    X(regr_intercept, n >= 1 && a->xx != 0, (a->y - a->x * a->xy / a->xx) / n)                                         \
    X(regr_r2, n >= 1 && a->xx != 0, a->yy == 0 ? 1 : a->xy * a->xy / (a->xx * a->yy))

static const struct agg_class *pick_pair(const struct type *args, struct type *cast, struct type *result,
                                         const struct agg_class *class)
{
    *result = cast[0] = cast[1] = TYPE(T_DOUBLE);
    for (int i = 0; i < 2; i++)
        if (!type_is_number(args[i]) && args[i].id != T_NULL) return NULL;
    return class;
}

#define X(NAME, GIVEN, RESULT)                                                                                         \
    static void NAME##_result(const void *p, const struct agg_out *out)                                                \
    {                                                                                                                  \
        const struct pair *a = p;                                                                                      \
        double n = (double)a->n;                                                                                       \
        if (GIVEN)                                                                                                     \
            AGG_PUT(out, double, RESULT);                                                                              \
        else                                                                                                           \
            agg__null(out);                                                                                            \
    }                                                                                                                  \
    static const struct agg_class NAME##_class = {sizeof(struct pair), .update = pair_update, .merge = pair_merge,     \
                                                  .result = NAME##_result};                                            \
    static const struct agg_class *pick_##NAME(const struct type *args, int nargs, struct type *cast,                  \
                                               struct type *result)                                                    \
    {                                                                                                                  \
        (void)nargs;                                                                                                   \
        return pick_pair(args, cast, result, &NAME##_class);                                                           \
    }
PAIR_MAP(X)
#undef X

static void regr_count_result(const void *acc, const struct agg_out *out)
{
    AGG_PUT(out, int64_t, ((const struct pair *)acc)->n);
}
static const struct agg_class regr_count_class = {sizeof(struct pair), .update = pair_update, .merge = pair_merge,
                                                  .result = regr_count_result};
static const struct agg_class *pick_regr_count(const struct type *args, int nargs, struct type *cast,
                                               struct type *result)
{
    (void)nargs;
    const struct agg_class *class = pick_pair(args, cast, result, &regr_count_class);
    *result = TYPE(T_INT64);
    return class;
}

const struct agg_family agg_stats[] = {
    {"stddev", 1, pick_STDDEV_SAMP},
    {"stddev_samp", 1, pick_STDDEV_SAMP},
    {"stddev_pop", 1, pick_STDDEV_POP},
    {"variance", 1, pick_VAR_SAMP},
    {"var_samp", 1, pick_VAR_SAMP},
    {"var_pop", 1, pick_VAR_POP},
    {"regr_count", 2, pick_regr_count},
#define X(NAME, GIVEN, RESULT) {#NAME, 2, pick_##NAME},
    PAIR_MAP(X)
#undef X
        {0},
};
