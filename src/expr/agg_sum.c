/* COUNT, SUM, AVG. Integers and decimals sum in 128 bits, so that only results overflow; floats sum in arrival order,
 * never regrouped, so that a result does not depend on how rows were cut into batches.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/agg_int.h"
#include "expr/decimal.h"

/* ---- COUNT ---------------------------------------------------------------------------------------- */

static void count_rows(const struct agg_in *in, const uint64_t *valid)
{
    if (in->slots) {
        AGG_EACH(in, valid, { ++*AGG_SLOT(in, uint64_t); });
        return;
    }
    uint64_t n = 0;
    for (uint32_t at = 0; at < in->n; at += 64)
        n += (uint64_t)__builtin_popcountll(agg__word(in->keep, valid, at, in->n));
    *(uint64_t *)in->one += n;
}
static void count_star(const struct agg_in *in)
{
    count_rows(in, NULL);
}
static void count_values(const struct agg_in *in)
{
    count_rows(in, in->args[0].valid);
}
static void count_nothing(const struct agg_in *in)
{
    (void)in;
}

static void count_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    *(uint64_t *)into += *(const uint64_t *)from;
}
static void count_result(const void *acc, const struct agg_out *out)
{
    AGG_PUT(out, int64_t, *(const uint64_t *)acc);
}

const struct agg_class agg__count_star = {8, .update = count_star, .merge = count_merge, .result = count_result};
static const struct agg_class count_class = {8, .update = count_values, .merge = count_merge, .result = count_result};
static const struct agg_class count_null_class = {8, .update = count_nothing, .merge = count_merge,
                                                  .result = count_result};

static const struct agg_class *pick_count(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    *result = TYPE(T_INT64);
    if (args[0].id == T_NULL) cast[0] = TYPE(T_VARCHAR);
    return args[0].id == T_NULL ? &count_null_class : &count_class;
}

/* ---- integers --------------------------------------------------------------------------------------- */

struct exact {
    uint64_t n;
    sum128 sum;
};

/* WIDE holds the sum of a batch of T. */
#define SUM_INT(NAME, T, WIDE)                                                                                         \
    static void NAME(const struct agg_in *in)                                                                          \
    {                                                                                                                  \
        const T *v = in->args[0].data;                                                                                 \
        if (in->slots) {                                                                                               \
            AGG_EACH(in, in->args[0].valid, {                                                                          \
                struct exact *acc = AGG_SLOT(in, struct exact);                                                        \
                acc->n++;                                                                                              \
                acc->sum += v[i];                                                                                      \
            });                                                                                                        \
            return;                                                                                                    \
        }                                                                                                              \
        struct exact *acc = (struct exact *)in->one;                                                                   \
        uint64_t n = 0;                                                                                                \
        WIDE sum = 0;                                                                                                  \
        AGG_EACH(in, in->args[0].valid, { n++, sum += v[i]; });                                                        \
        acc->n += n;                                                                                                   \
        acc->sum += sum;                                                                                               \
    }
SUM_INT(sum_i8, int8_t, int64_t)
SUM_INT(sum_i16, int16_t, int64_t)
SUM_INT(sum_i32, int32_t, int64_t)
SUM_INT(sum_i64, int64_t, int128)

static void exact_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct exact *a = into;
    const struct exact *b = from;
    a->n += b->n;
    a->sum = (int128)((unsigned __int128)a->sum + (unsigned __int128)b->sum);
}

static void sum_result_i64(const void *p, const struct agg_out *out)
{
    const struct exact *acc = p;
    if (!acc->n)
        agg__null(out);
    else if (acc->sum != (int64_t)acc->sum)
        agg__error(out, E_RANGE, "bigint out of range");
    else
        AGG_PUT(out, int64_t, acc->sum);
}

static void sum_result_decimal(const void *p, const struct agg_out *out)
{
    const struct exact *acc = p;
    if (acc->n)
        agg__decimal(out, acc->sum, 0);
    else
        agg__null(out);
}

/* sum of `scale` / n */
static void put_quotient(const struct agg_out *out, int128 sum, int scale, uint64_t n)
{
    int128 r;
    int to = out->call->type.scale;
    if (!n)
        agg__null(out);
    else if (!decimal_div(sum, scale, (int128)n, 0, to, &r))
        agg__error(out, E_RANGE, "the result has more than 38 digits");
    else
        memcpy((char *)out->col->data + 16 * (size_t)out->row, &r, 16);
}

static void avg_result_exact(const void *p, const struct agg_out *out)
{
    const struct exact *acc = p;
    put_quotient(out, acc->sum, 0, acc->n);
}

/* ---- decimals ---------------------------------------------------------------------------------------- */

enum { SAW_NAN = 1, SAW_INF = 2, SAW_NINF = 4, OVERFLOWED = 8 };
struct decimals {
    uint64_t n, saw;
    sum128 sum;
};

static void add_decimal(struct decimals *acc, int128 v)
{
    int128 sum;
    if (unlikely(v >= DECIMAL_INF || v <= DECIMAL_NINF)) {
        acc->saw |= v == DECIMAL_NAN ? SAW_NAN : v > 0 ? SAW_INF : SAW_NINF;
        return;
    }
    if (unlikely(__builtin_add_overflow(acc->sum, v, &sum))) {
        acc->saw |= OVERFLOWED;
        return;
    }
    acc->sum = sum;
}

static void sum_decimal(const struct agg_in *in)
{
    const int128 *v = in->args[0].data;
    AGG_EACH(in, in->args[0].valid, {
        struct decimals *acc = AGG_AT(in, struct decimals);
        acc->n++;
        add_decimal(acc, v[i]);
    });
}

static void decimals_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct decimals *a = into;
    const struct decimals *b = from;
    a->n += b->n;
    a->saw |= b->saw;
    add_decimal(a, b->sum);
}

/* NULL, NaN, an infinity or an error has been given. */
static bool special_result(const struct decimals *acc, const struct agg_out *out)
{
    int128 v;
    if (!acc->n) {
        agg__null(out);
        return true;
    }
    if (acc->saw & SAW_NAN || (acc->saw & SAW_INF && acc->saw & SAW_NINF))
        v = DECIMAL_NAN;
    else if (acc->saw & (SAW_INF | SAW_NINF))
        v = acc->saw & SAW_INF ? DECIMAL_INF : DECIMAL_NINF;
    else if (acc->saw & OVERFLOWED || !decimal_finite(acc->sum))
        return agg__error(out, E_RANGE, "the sum has more than 38 digits"), true;
    else
        return false;
    memcpy((char *)out->col->data + 16 * (size_t)out->row, &v, 16);
    return true;
}

static void sum_result_decimals(const void *p, const struct agg_out *out)
{
    const struct decimals *acc = p;
    int128 sum = acc->sum;
    if (!special_result(acc, out)) memcpy((char *)out->col->data + 16 * (size_t)out->row, &sum, 16);
}

static void avg_result_decimals(const void *p, const struct agg_out *out)
{
    const struct decimals *acc = p;
    if (!special_result(acc, out)) put_quotient(out, acc->sum, out->call->args[0]->type.scale, acc->n);
}

/* ---- floats -------------------------------------------------------------------------------------------- */

struct floats {
    uint64_t n;
    double sum;
};

#define SUM_FLOAT(NAME, T)                                                                                             \
    static void NAME(const struct agg_in *in)                                                                          \
    {                                                                                                                  \
        const T *v = in->args[0].data;                                                                                 \
        if (in->slots) {                                                                                               \
            AGG_EACH(in, in->args[0].valid, {                                                                          \
                struct floats *acc = AGG_SLOT(in, struct floats);                                                      \
                acc->n++;                                                                                              \
                acc->sum += (double)v[i];                                                                              \
            });                                                                                                        \
            return;                                                                                                    \
        }                                                                                                              \
        struct floats acc = *(struct floats *)in->one;                                                                 \
        AGG_EACH(in, in->args[0].valid, { acc.n++, acc.sum += (double)v[i]; });                                        \
        *(struct floats *)in->one = acc;                                                                               \
    }
SUM_FLOAT(sum_f32, float)
SUM_FLOAT(sum_f64, double)

static void floats_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct floats *a = into;
    const struct floats *b = from;
    a->n += b->n;
    a->sum += b->sum;
}

static void sum_result_floats(const void *p, const struct agg_out *out)
{
    const struct floats *acc = p;
    if (!acc->n)
        agg__null(out);
    else if (out->call->type.id == T_FLOAT)
        AGG_PUT(out, float, acc->sum);
    else
        AGG_PUT(out, double, acc->sum);
}

static void avg_result_floats(const void *p, const struct agg_out *out)
{
    const struct floats *acc = p;
    if (!acc->n)
        agg__null(out);
    else
        AGG_PUT(out, double, acc->sum / (double)acc->n);
}

/* ---- intervals ------------------------------------------------------------------------------------------ */

struct spans {
    int64_t n;
    sum128 months, days, us;
};

static void sum_interval(const struct agg_in *in)
{
    const struct interval *v = in->args[0].data;
    AGG_EACH(in, in->args[0].valid, {
        struct spans *acc = AGG_AT(in, struct spans);
        acc->n++;
        acc->months += v[i].months;
        acc->days += v[i].days;
        acc->us += v[i].us;
    });
}

static void spans_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct spans *a = into;
    const struct spans *b = from;
    a->n += b->n;
    a->months = (int128)((unsigned __int128)a->months + (unsigned __int128)b->months);
    a->days = (int128)((unsigned __int128)a->days + (unsigned __int128)b->days);
    a->us = (int128)((unsigned __int128)a->us + (unsigned __int128)b->us);
}

static void put_interval(const struct agg_out *out, int128 months, int128 days, int128 us)
{
    if (months != (int32_t)months || days != (int32_t)days || us != (int64_t)us)
        agg__error(out, E_DATETIME_RANGE, "interval out of range");
    else
        AGG_PUT(out, struct interval, ((struct interval){(int32_t)months, (int32_t)days, (int64_t)us}));
}

static void sum_result_spans(const void *p, const struct agg_out *out)
{
    const struct spans *acc = p;
    if (acc->n)
        put_interval(out, acc->months, acc->days, acc->us);
    else
        agg__null(out);
}

/* What does not divide goes down: a month is 30 days, a day 24 hours, as in PostgreSQL. */
static void avg_result_spans(const void *p, const struct agg_out *out)
{
    const struct spans *acc = p;
    if (acc->n <= 0) {
        agg__null(out);
        return;
    }
    const int128 day = 86400000000ll;
    int128 n = acc->n, days = acc->days + acc->months % n * 30;
    int128 us = acc->us + days % n * day, half = us < 0 ? -n / 2 : n / 2;
    put_interval(out, acc->months / n, days / n, (us + half) / n);
}

/* ---- overloads ------------------------------------------------------------------------------------------ */

#define CLASS(NAME, ACC, UPDATE, MERGE, RESULT)                                                                        \
    static const struct agg_class NAME = {sizeof(ACC), .update = UPDATE, .merge = MERGE, .result = RESULT};
CLASS(sum_i8_class, struct exact, sum_i8, exact_merge, sum_result_i64)
CLASS(sum_i16_class, struct exact, sum_i16, exact_merge, sum_result_i64)
CLASS(sum_i32_class, struct exact, sum_i32, exact_merge, sum_result_i64)
CLASS(sum_i64_class, struct exact, sum_i64, exact_merge, sum_result_decimal)
CLASS(sum_dec_class, struct decimals, sum_decimal, decimals_merge, sum_result_decimals)
CLASS(sum_f32_class, struct floats, sum_f32, floats_merge, sum_result_floats)
CLASS(sum_f64_class, struct floats, sum_f64, floats_merge, sum_result_floats)
CLASS(sum_iv_class, struct spans, sum_interval, spans_merge, sum_result_spans)
CLASS(avg_i8_class, struct exact, sum_i8, exact_merge, avg_result_exact)
CLASS(avg_i16_class, struct exact, sum_i16, exact_merge, avg_result_exact)
CLASS(avg_i32_class, struct exact, sum_i32, exact_merge, avg_result_exact)
CLASS(avg_i64_class, struct exact, sum_i64, exact_merge, avg_result_exact)
CLASS(avg_dec_class, struct decimals, sum_decimal, decimals_merge, avg_result_decimals)
CLASS(avg_f32_class, struct floats, sum_f32, floats_merge, avg_result_floats)
CLASS(avg_f64_class, struct floats, sum_f64, floats_merge, avg_result_floats)
CLASS(avg_iv_class, struct spans, sum_interval, spans_merge, avg_result_spans)

static const struct agg_class *pick_sum(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs, (void)cast;
    *result = TYPE(T_INT64);
    switch (args[0].id) {
    case T_INT8: return &sum_i8_class;
    case T_INT16: return &sum_i16_class;
    case T_INT32: return &sum_i32_class;
    case T_INT64: *result = type_decimal(DECIMAL_DIGITS, 0); return &sum_i64_class;
    case T_DECIMAL:
        *result = type_decimal(args[0].precision ? DECIMAL_DIGITS : 0, args[0].scale);
        return &sum_dec_class;
    case T_FLOAT: *result = args[0]; return &sum_f32_class;
    case T_DOUBLE: *result = args[0]; return &sum_f64_class;
    case T_INTERVAL: *result = args[0]; return &sum_iv_class;
    default: return NULL;
    }
}

/* Exact averages keep 16 digits after the point, or the argument's if they are more. */
static const struct agg_class *pick_avg(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs, (void)cast;
    *result = type_decimal(DECIMAL_DIGITS, DECIMAL_OPEN_SCALE);
    switch (args[0].id) {
    case T_INT8: return &avg_i8_class;
    case T_INT16: return &avg_i16_class;
    case T_INT32: return &avg_i32_class;
    case T_INT64: return &avg_i64_class;
    case T_DECIMAL:
        if (args[0].scale > DECIMAL_OPEN_SCALE) result->scale = args[0].scale;
        return &avg_dec_class;
    case T_FLOAT: *result = TYPE(T_DOUBLE); return &avg_f32_class;
    case T_DOUBLE: *result = TYPE(T_DOUBLE); return &avg_f64_class;
    case T_INTERVAL: *result = args[0]; return &avg_iv_class;
    default: return NULL;
    }
}

const struct agg_family agg_sums[] = {
    {"count",     1, pick_count},
    {"sum", 1, pick_sum},
    {"avg",       1, pick_avg},
    {"mean",   1, pick_avg},
    {0      }
};
