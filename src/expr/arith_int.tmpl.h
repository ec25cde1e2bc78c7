/* Arithmetic of one integer type. Parameters: T; W, a type that holds any sum or product, or undefined for 64 bits;
 * WORD, the SQL name; N(f), the names. The first loop is branch-free and only learns whether some row overflowed;
 * the second finds which. SPDX-License-Identifier: Apache-2.0 */

#ifdef W
#define OVERFLOW_TYPE W
#define ADD(r, x, y)                                                                                                   \
    W r = (W)(x) + (W)(y);                                                                                             \
    bad |= r ^ (W)(T)r
#define SUB(r, x, y)                                                                                                   \
    W r = (W)(x) - (W)(y);                                                                                             \
    bad |= r ^ (W)(T)r
#define MUL(r, x, y)                                                                                                   \
    W r = (W)(x) * (W)(y);                                                                                             \
    bad |= r ^ (W)(T)r
#define SOME(bad) ((bad) != 0)
#else
#define OVERFLOW_TYPE T
#define ADD(r, x, y)                                                                                                   \
    T r = (T)((uint64_t)(x) + (uint64_t)(y));                                                                          \
    bad |= ((x) ^ r) & ((y) ^ r)
#define SUB(r, x, y)                                                                                                   \
    T r = (T)((uint64_t)(x) - (uint64_t)(y));                                                                          \
    bad |= ((x) ^ (y)) & ((x) ^ r)
#define MUL(r, x, y)                                                                                                   \
    T r;                                                                                                               \
    bad |= -(T)__builtin_mul_overflow(x, y, &r)
#define SOME(bad) ((bad) < 0)
#endif

#define BINARY(NAME, OP, BUILTIN)                                                                                      \
    static __attribute__((noinline)) void N(NAME##_check)(struct call * c)                                             \
    {                                                                                                                  \
        T r;                                                                                                           \
        for (uint32_t i = 0; i < c->n; i++)                                                                            \
            if (BUILTIN(ARG(c, 0, T, i), ARG(c, 1, T, i), &r) && call_live(c, i))                                      \
                call_fail(c, i, E_RANGE, WORD " out of range");                                                        \
    }                                                                                                                  \
    KERNEL void N(NAME)(struct call * c)                                                                               \
    {                                                                                                                  \
        T *restrict out = c->out;                                                                                      \
        OVERFLOW_TYPE bad = 0;                                                                                         \
        EACH2(c, T, OP(r, x, y); out[i] = (T)r;);                                                                      \
        if (unlikely(SOME(bad))) N(NAME##_check)(c);                                                                   \
    }
BINARY(add, ADD, __builtin_add_overflow)
BINARY(sub, SUB, __builtin_sub_overflow)
BINARY(mul, MUL, __builtin_mul_overflow)

static void N(div)(struct call *c)
{
    T *restrict out = c->out;
    bool bad = false;
    EACH2(c, T, {
        bool trap = y == 0 || y == -1;
        out[i] = trap ? (T) - (uint64_t)x : x / y;
        bad |= y == 0 || (y == -1 && x == out[i] && x);
    });
    if (likely(!bad)) return;
    for (uint32_t i = 0; i < c->n; i++) {
        T x = ARG(c, 0, T, i), y = ARG(c, 1, T, i);
        if (!call_live(c, i)) continue;
        if (!y)
            call_fail(c, i, E_DIV0, "division by zero");
        else if (y == -1 && x == (T) - (uint64_t)x && x)
            call_fail(c, i, E_RANGE, WORD " out of range");
    }
}

static void N(mod)(struct call *c)
{
    T *restrict out = c->out;
    bool bad = false;
    EACH2(c, T, {
        bad |= y == 0;
        out[i] = y == 0 || y == -1 ? 0 : x % y;
    });
    if (likely(!bad)) return;
    for (uint32_t i = 0; i < c->n; i++)
        if (!ARG(c, 1, T, i) && call_live(c, i)) call_fail(c, i, E_DIV0, "division by zero");
}

static __attribute__((noinline)) void N(least_check)(struct call *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        T x = ARG(c, 0, T, i);
        if (x && x == (T) - (uint64_t)x && call_live(c, i)) call_fail(c, i, E_RANGE, WORD " out of range");
    }
}

KERNEL void N(neg)(struct call *c)
{
    T *restrict out = c->out;
    T bad = 0;
    EACH1(c, T, {
        T r = (T) - (uint64_t)x;
        out[i] = r;
        bad |= x & r; /* both negative: the least number */
    });
    if (unlikely(bad < 0)) N(least_check)(c);
}

KERNEL void N(abs)(struct call *c)
{
    T *restrict out = c->out;
    T bad = 0;
    EACH1(c, T, {
        T r = x < 0 ? (T) - (uint64_t)x : x;
        out[i] = r;
        bad |= r;
    });
    if (unlikely(bad < 0)) N(least_check)(c);
}

KERNEL void N (and)(struct call *c)
{
    T *restrict out = c->out;
    EACH2(c, T, out[i] = x & y;);
}

KERNEL void N(or)(struct call *c)
{
    T *restrict out = c->out;
    EACH2(c, T, out[i] = x | y;);
}

KERNEL void N (xor)(struct call *c)
{
    T *restrict out = c->out;
    EACH2(c, T, out[i] = x ^ y;);
}

KERNEL void N(not )(struct call *c)
{
    T *restrict out = c->out;
    EACH1(c, T, out[i] = (T)~x;);
}

/* The amount is an INTEGER and counts modulo the machine's word, as in PostgreSQL. */
static void N(shl)(struct call *c)
{
    T *restrict out = c->out;
    for (uint32_t i = 0; i < c->n; i++)
        out[i] = sizeof(T) == 8 ? (T)((uint64_t)ARG(c, 0, T, i) << (ARG(c, 1, int32_t, i) & 63))
                                : (T)((uint32_t)ARG(c, 0, T, i) << (ARG(c, 1, int32_t, i) & 31));
}

static void N(shr)(struct call *c)
{
    T *restrict out = c->out;
    for (uint32_t i = 0; i < c->n; i++)
        out[i] = (T)(ARG(c, 0, T, i) >> (ARG(c, 1, int32_t, i) & (sizeof(T) == 8 ? 63 : 31)));
}

#undef OVERFLOW_TYPE
#undef ADD
#undef SUB
#undef MUL
#undef SOME
#undef BINARY
#undef T
#undef W
#undef WORD
#undef N
