/* BOOL_AND, BOOL_OR, EVERY; BIT_AND, BIT_OR, BIT_XOR. A boolean accumulator remembers whether it saw true (bit 0) and
 * false (bit 1). BIT_AND keeps the complement, so that zero is empty. SPDX-License-Identifier: Apache-2.0 */
#include "expr/agg_int.h"

static void see_bools(const struct agg_in *in)
{
    const uint8_t *v = in->args[0].data;
    AGG_EACH(in, in->args[0].valid, { *AGG_AT(in, uint64_t) |= 2u - v[i]; });
}
static void bools_merge(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    *(uint64_t *)into |= *(const uint64_t *)from;
}
static void and_result(const void *acc, const struct agg_out *out)
{
    uint64_t saw = *(const uint64_t *)acc;
    if (saw)
        AGG_PUT(out, uint8_t, !(saw & 2));
    else
        agg__null(out);
}
static void or_result(const void *acc, const struct agg_out *out)
{
    uint64_t saw = *(const uint64_t *)acc;
    if (saw)
        AGG_PUT(out, uint8_t, saw & 1);
    else
        agg__null(out);
}
static const struct agg_class and_class = {8, .update = see_bools, .merge = bools_merge, .result = and_result};
static const struct agg_class or_class = {8, .update = see_bools, .merge = bools_merge, .result = or_result};

static const struct agg_class *pick_bool(const struct type *args, struct type *cast, struct type *result,
                                         const struct agg_class *class)
{
    cast[0] = *result = TYPE(T_BOOL);
    return args[0].id == T_BOOL || args[0].id == T_NULL ? class : NULL;
}
static const struct agg_class *pick_and(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    return pick_bool(args, cast, result, &and_class);
}
static const struct agg_class *pick_or(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    return pick_bool(args, cast, result, &or_class);
}

/* ---- integers ------------------------------------------------------------------------------------------ */

struct bits {
    int64_t v;
    uint64_t seen;
};

#define BITS(NAME, T, OP)                                                                                              \
    static void NAME(const struct agg_in *in)                                                                          \
    {                                                                                                                  \
        const T *v = in->args[0].data;                                                                                 \
        AGG_EACH(in, in->args[0].valid, {                                                                              \
            struct bits *acc = AGG_AT(in, struct bits);                                                                \
            acc->v OP;                                                                                                 \
            acc->seen = 1;                                                                                             \
        });                                                                                                            \
    }
#define BITS_OF(SUFFIX, T)                                                                                             \
    BITS(and_##SUFFIX, T, |= ~(int64_t)v[i])                                                                           \
    BITS(or_##SUFFIX, T, |= v[i])                                                                                      \
    BITS(xor_##SUFFIX, T, ^= v[i])
BITS_OF(i8, int8_t)
BITS_OF(i16, int16_t)
BITS_OF(i32, int32_t)
BITS_OF(i64, int64_t)

static void merge_by_or(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    ((struct bits *)into)->v |= ((const struct bits *)from)->v;
    ((struct bits *)into)->seen |= ((const struct bits *)from)->seen;
}
static void merge_by_xor(void *into, const void *from, struct layout_heap *heap)
{
    (void)heap;
    ((struct bits *)into)->v ^= ((const struct bits *)from)->v;
    ((struct bits *)into)->seen |= ((const struct bits *)from)->seen;
}

static void put_int(const struct agg_out *out, int64_t v)
{
    switch (out->call->type.id) {
    case T_INT8: AGG_PUT(out, int8_t, v); break;
    case T_INT16: AGG_PUT(out, int16_t, v); break;
    case T_INT32: AGG_PUT(out, int32_t, v); break;
    default: AGG_PUT(out, int64_t, v); break;
    }
}
static void bits_result(const void *p, const struct agg_out *out)
{
    const struct bits *acc = p;
    if (acc->seen)
        put_int(out, acc->v);
    else
        agg__null(out);
}
static void bits_result_and(const void *p, const struct agg_out *out)
{
    const struct bits *acc = p;
    if (acc->seen)
        put_int(out, ~acc->v);
    else
        agg__null(out);
}

#define OVERLOADS(OP, MERGE, RESULT)                                                                                   \
    {                                                                                                                  \
        {sizeof(struct bits), .update = OP##_i8, .merge = MERGE, .result = RESULT},                                    \
            {sizeof(struct bits), .update = OP##_i16, .merge = MERGE, .result = RESULT},                               \
            {sizeof(struct bits), .update = OP##_i32, .merge = MERGE, .result = RESULT},                               \
        {                                                                                                              \
            sizeof(struct bits), .update = OP##_i64, .merge = MERGE, .result = RESULT                                  \
        }                                                                                                              \
    }
static const struct agg_class bit_and[4] = OVERLOADS(and, merge_by_or, bits_result_and);
static const struct agg_class bit_or[4] = OVERLOADS(or, merge_by_or, bits_result);
static const struct agg_class bit_xor[4] = OVERLOADS(xor, merge_by_xor, bits_result);

static const struct agg_class *pick_bits(const struct type *args, struct type *result, const struct agg_class *classes)
{
    *result = args[0];
    return type_is_integer(args[0]) ? classes + (args[0].id - T_INT8) : NULL;
}
_Static_assert(T_INT64 == T_INT8 + 3, "integers stand by width");

static const struct agg_class *pick_bit_and(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs, (void)cast;
    return pick_bits(args, result, bit_and);
}
static const struct agg_class *pick_bit_or(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs, (void)cast;
    return pick_bits(args, result, bit_or);
}
static const struct agg_class *pick_bit_xor(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs, (void)cast;
    return pick_bits(args, result, bit_xor);
}

const struct agg_family agg_bits[] = {
    {"bool_and", 1, pick_and},
    {"every",  1, pick_and},
    {"bool_or",    1, pick_or},
    {"bit_and",  1, pick_bit_and},
    {"bit_or",  1, pick_bit_or},
    {"bit_xor",   1, pick_bit_xor},
    {0 }
};
