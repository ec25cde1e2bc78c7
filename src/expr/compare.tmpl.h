/* Comparisons of one type, giving bytes. Parameters: T; LT(x, y), EQ(x, y); N(f), the names.
 * SPDX-License-Identifier: Apache-2.0 */

#define COMPARE(NAME, TEST)                                                                                            \
    KERNEL void N(NAME)(struct call * c)                                                                               \
    {                                                                                                                  \
        uint8_t *restrict out = c->out;                                                                                \
        EACH2(c, T, out[i] = TEST;);                                                                                   \
    }
COMPARE(eq, EQ(x, y))
COMPARE(ne, !EQ(x, y))
COMPARE(lt, LT(x, y))
COMPARE(le, !LT(y, x))
COMPARE(gt, LT(y, x))
COMPARE(ge, !LT(x, y))

/* Three-way, for min and max by argument. */
static int N(order)(const void *a, const void *b)
{
    const T x = *(const T *)a, y = *(const T *)b;
    return LT(x, y) ? -1 : LT(y, x);
}

#undef COMPARE
#undef T
#undef LT
#undef EQ
#undef N
