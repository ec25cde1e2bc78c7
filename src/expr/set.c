/* Membership in a list of constants, sorted when the expression is built. SPDX-License-Identifier: Apache-2.0 */
#include "expr/set.h"

#include "expr/cell.h"
#include "expr/compare.h"

#include <stdlib.h>

struct set {
    size_t n, width;
    cell_order *order;
    bool has_null;
    _Alignas(16) char cells[];
};

/* Texts stay views into the constants, which live as long as the expression. */
static enum status bind_in(struct arena *a, struct expr *e, struct err *err)
{
    (void)err;
    size_t width = type_width(e->args[0]->type);
    struct set *s = arena_alloc(a, sizeof *s + width * (size_t)e->nargs);
    s->width = width;
    s->order = compare_order(e->args[0]->type);
    for (int i = 1; i < e->nargs; i++) {
        if (e->args[i]->value.is_null)
            s->has_null = true;
        else
            cell_store(&e->args[i]->value, s->cells + width * s->n++);
    }
    qsort(s->cells, s->n, width, s->order);
    e->type = TYPE(T_BOOL);
    e->data = s;
    return ST_OK;
}

static void in(struct call *c)
{
    const struct set *s = c->e->data;
    const struct vec *x = &c->args[0];
    uint8_t *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = 0;
        if (vec_null(x, i))
            call_null(c, i);
        else if (bsearch((const char *)x->data + s->width * (i & x->mask), s->cells, s->n, s->width, s->order))
            out[i] = 1;
        else if (s->has_null)
            call_null(c, i);
    }
}

const struct function set_in = {"in", T_BOOL, 2, {TYPE_ANY, TYPE_ANY}, FN_LAX | FN_VARIADIC | FN_COSTLY, in, bind_in};
