/* Arithmetic of one float type; IEEE, but that x / 0 fails. Parameters: T; N(f), the names.
 * SPDX-License-Identifier: Apache-2.0 */

KERNEL void N(add)(struct call *c)
{
    T *restrict out = c->out;
    EACH2(c, T, out[i] = x + y;);
}

KERNEL void N(sub)(struct call *c)
{
    T *restrict out = c->out;
    EACH2(c, T, out[i] = x - y;);
}

KERNEL void N(mul)(struct call *c)
{
    T *restrict out = c->out;
    EACH2(c, T, out[i] = x * y;);
}

static __attribute__((noinline)) void N(div_check)(struct call *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (ARG(c, 1, T, i) == 0 && ARG(c, 0, T, i) == ARG(c, 0, T, i) && call_live(c, i))
            call_fail(c, i, E_DIV0, "division by zero");
}

KERNEL void N(div)(struct call *c)
{
    T *restrict out = c->out;
    int bad = 0;
    EACH2(c, T, {
        out[i] = x / y;
        bad |= y == 0;
    });
    if (unlikely(bad)) N(div_check)(c);
}

KERNEL void N(neg)(struct call *c)
{
    T *restrict out = c->out;
    EACH1(c, T, out[i] = -x;);
}

KERNEL void N(abs)(struct call *c)
{
    T *restrict out = c->out;
    EACH1(c, T, out[i] = x < 0 || (x == 0) ? 0 - x + 0 : x;);
}

#undef T
#undef N
