/* MIN and MAX. A value of up to eight bytes becomes an unsigned word whose order is the SQL order (for MIN, inverted),
 * so the accumulator is the greatest word seen, zero is below all of them, and the loop has no branch.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/agg_int.h"
#include "expr/datetime.h"

/* ---- words ------------------------------------------------------------------------------------------- */

struct word {
    uint64_t key, seen;
};

static inline uint64_t int_key(int64_t v)
{
    return (uint64_t)v ^ 1ull << 63;
}
static inline int64_t int_of_key(uint64_t k)
{
    return (int64_t)(k ^ 1ull << 63);
}

/* NaN is the greatest, whatever its bits. */
static inline uint64_t float_key(double v)
{
    uint64_t bits;
    if (unlikely(v != v)) v = __builtin_nan("");
    memcpy(&bits, &v, 8);
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | 1ull << 63);
}
static inline double float_of_key(uint64_t k)
{
    double v;
    k ^= k >> 63 ? 1ull << 63 : ~0ull;
    memcpy(&v, &k, 8);
    return v;
}

#define WORD_KERNEL(NAME, T, KEY)                                                                                      \
    static void NAME(const struct agg_in *in)                                                                          \
    {                                                                                                                  \
        const T *v = in->args[0].data;                                                                                 \
        if (in->slots) {                                                                                               \
            AGG_EACH(in, in->args[0].valid, {                                                                          \
                struct word *acc = AGG_SLOT(in, struct word);                                                          \
                uint64_t k = KEY, old = acc->key;                                                                      \
                acc->key = k > old ? k : old;                                                                          \
                acc->seen = 1;                                                                                         \
            });                                                                                                        \
            return;                                                                                                    \
        }                                                                                                              \
        struct word acc = *(struct word *)in->one;                                                                     \
        AGG_EACH(in, in->args[0].valid, {                                                                              \
            uint64_t k = KEY;                                                                                          \
            acc.key = k > acc.key ? k : acc.key;                                                                       \
            acc.seen = 1;                                                                                              \
        });                                                                                                            \
        *(struct word *)in->one = acc;                                                                                 \
    }
#define WORD_KERNELS(SUFFIX, T, KEY)                                                                                   \
    WORD_KERNEL(max_##SUFFIX, T, KEY)                                                                                  \
    WORD_KERNEL(min_##SUFFIX, T, ~KEY)
WORD_KERNELS(i8, int8_t, int_key(v[i]))
WORD_KERNELS(i16, int16_t, int_key(v[i]))
WORD_KERNELS(i32, int32_t, int_key(v[i]))
WORD_KERNELS(i64, int64_t, int_key(v[i]))
WORD_KERNELS(f32, float, float_key((double)v[i]))
WORD_KERNELS(f64, double, float_key(v[i]))

static void word_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    struct word *a = into;
    const struct word *b = from;
    if (b->key > a->key) a->key = b->key;
    a->seen |= b->seen;
}

static void put_word(const struct agg_out *out, uint64_t key)
{
    switch (type_width(out->call->type)) {
    case 1: AGG_PUT(out, int8_t, int_of_key(key)); break;
    case 2: AGG_PUT(out, int16_t, int_of_key(key)); break;
    case 4:
        if (out->call->type.id == T_FLOAT)
            AGG_PUT(out, float, float_of_key(key));
        else
            AGG_PUT(out, int32_t, int_of_key(key));
        break;
    default:
        if (out->call->type.id == T_DOUBLE)
            AGG_PUT(out, double, float_of_key(key));
        else
            AGG_PUT(out, int64_t, int_of_key(key));
        break;
    }
}
static void max_result_word(const void *acc, const struct agg_out *out)
{
    const struct word *w = acc;
    if (w->seen)
        put_word(out, w->key);
    else
        agg__null(out);
}
static void min_result_word(const void *acc, const struct agg_out *out)
{
    const struct word *w = acc;
    if (w->seen)
        put_word(out, ~w->key);
    else
        agg__null(out);
}

/* ---- 16 bytes: DECIMAL and INTERVAL -------------------------------------------------------------------- */

struct wide {
    uint64_t seen;
    sum128 order; /* what values are compared by */
    char value[16];
};

static void wide_take(struct wide *acc, int128 order, const void *value, bool greatest)
{
    if (acc->seen && (greatest ? order <= acc->order : order >= acc->order)) return;
    acc->seen = 1;
    acc->order = order;
    memcpy(acc->value, value, 16);
}

#define WIDE_KERNEL(NAME, T, ORDER, GREATEST)                                                                          \
    static void NAME(const struct agg_in *in)                                                                          \
    {                                                                                                                  \
        const T *v = in->args[0].data;                                                                                 \
        AGG_EACH(in, in->args[0].valid, { wide_take(AGG_AT(in, struct wide), ORDER, &v[i], GREATEST); });              \
    }
WIDE_KERNEL(max_dec, int128, v[i], true)
WIDE_KERNEL(min_dec, int128, v[i], false)
WIDE_KERNEL(max_iv, struct interval, interval_span(v[i]), true)
WIDE_KERNEL(min_iv, struct interval, interval_span(v[i]), false)

static void max_merge_wide(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    const struct wide *b = from;
    if (b->seen) wide_take(into, b->order, b->value, true);
}
static void min_merge_wide(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    const struct wide *b = from;
    if (b->seen) wide_take(into, b->order, b->value, false);
}
static void wide_result(const void *acc, const struct agg_out *out)
{
    const struct wide *w = acc;
    if (w->seen)
        memcpy((char *)out->col->data + 16 * (size_t)out->row, w->value, 16);
    else
        agg__null(out);
}

/* ---- text ------------------------------------------------------------------------------------------------ */

struct text_acc {
    uint64_t seen;
    struct str value;
};

static void text_take(struct text_acc *acc, const struct str *v, bool greatest, struct layout_heap *heap)
{
    if (acc->seen) {
        int c = str_compare(v, &acc->value);
        if (greatest ? c <= 0 : c >= 0) return;
    }
    acc->seen = 1;
    acc->value = layout_keep(heap, &acc->value, str_ptr(v), v->n);
}

static void max_text(const struct agg_in *in)
{
    const struct str *v = in->args[0].data;
    AGG_EACH(in, in->args[0].valid, { text_take(AGG_AT(in, struct text_acc), &v[i], true, in->heap); });
}
static void min_text(const struct agg_in *in)
{
    const struct str *v = in->args[0].data;
    AGG_EACH(in, in->args[0].valid, { text_take(AGG_AT(in, struct text_acc), &v[i], false, in->heap); });
}
static void max_merge_text(void *into, const void *from, struct layout_heap *heap)
{
    const struct text_acc *b = from;
    if (b->seen) text_take(into, &b->value, true, heap);
}
static void min_merge_text(void *into, const void *from, struct layout_heap *heap)
{
    const struct text_acc *b = from;
    if (b->seen) text_take(into, &b->value, false, heap);
}
static void text_result(const void *p, const struct agg_out *out)
{
    const struct text_acc *acc = p;
    if (acc->seen)
        AGG_PUT(out, struct str, batch_str(out->b, str_ptr(&acc->value), acc->value.n));
    else
        agg__null(out);
}

/* ---- overloads ------------------------------------------------------------------------------------------- */

#define PAIR(SUFFIX, ACC, TEXT, MIN_MERGE, MAX_MERGE, MIN_RESULT, MAX_RESULT)                                          \
    {                                                                                                                  \
        {sizeof(ACC), .text = TEXT, .update = min_##SUFFIX, .merge = MIN_MERGE, .result = MIN_RESULT},                 \
        {                                                                                                              \
            sizeof(ACC), .text = TEXT, .update = max_##SUFFIX, .merge = MAX_MERGE, .result = MAX_RESULT                \
        }                                                                                                              \
    }
#define WORD(SUFFIX) PAIR(SUFFIX, struct word, 0, word_merge, word_merge, min_result_word, max_result_word)
#define WIDE(SUFFIX) PAIR(SUFFIX, struct wide, 0, min_merge_wide, max_merge_wide, wide_result, wide_result)
static const struct agg_class i8[2] = WORD(i8), i16[2] = WORD(i16), i32[2] = WORD(i32), i64[2] = WORD(i64),
                              f32[2] = WORD(f32), f64[2] = WORD(f64), dec[2] = WIDE(dec), iv[2] = WIDE(iv),
                              text[2] = PAIR(text, struct text_acc, offsetof(struct text_acc, value), min_merge_text,
                                             max_merge_text, text_result, text_result);

static const struct agg_class *of_type(enum type_id id)
{
    switch (id) {
    case T_INT8: return i8;
    case T_INT16: return i16;
    case T_INT32:
    case T_DATE: return i32;
    case T_INT64:
    case T_TIME:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return i64;
    case T_FLOAT: return f32;
    case T_DOUBLE: return f64;
    case T_DECIMAL: return dec;
    case T_INTERVAL: return iv;
    case T_NULL:
    case T_VARCHAR: return text;
    default: return NULL;
    }
}

static const struct agg_class *pick(const struct type *args, struct type *cast, struct type *result, int greatest)
{
    const struct agg_class *pair = of_type(args[0].id);
    if (args[0].id == T_NULL) cast[0] = TYPE(T_VARCHAR);
    *result = cast[0];
    return pair ? pair + greatest : NULL;
}
static const struct agg_class *pick_min(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    return pick(args, cast, result, 0);
}
static const struct agg_class *pick_max(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    return pick(args, cast, result, 1);
}

const struct agg_family agg_extremes[] = {
    {"min",     1, pick_min},
    {"max", 1, pick_max},
    {0    }
};
