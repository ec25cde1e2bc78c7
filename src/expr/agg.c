/* Aggregate calls: binding, and the door to the families' kernels. SPDX-License-Identifier: Apache-2.0 */
#include "expr/agg_int.h"
#include "expr/decimal.h"

#include "base/text.h"

static const struct agg_family *const families[] = {agg_sums, agg_extremes, agg_bits, agg_firsts, agg_stats, agg_texts};

static const struct agg_family *family_at(int i)
{
    for (size_t f = 0; f < countof(families); f++)
        for (const struct agg_family *x = families[f]; x->name; x++)
            if (i-- == 0) return x;
    return NULL;
}

const char *agg_name(const void *ctx, int i)
{
    (void)ctx;
    const struct agg_family *f = family_at(i);
    return f ? f->name : NULL;
}

bool agg_exists(const char *name)
{
    const char *known;
    for (int i = 0; (known = agg_name(NULL, i)); i++)
        if (!text_casecmp(known, name)) return true;
    return false;
}

/* ---- binding ---------------------------------------------------------------------------------------- */

static enum status no_such(const char *name, struct expr *const *args, int nargs, bool known, uint32_t pos,
                           struct err *err)
{
    struct text t = {.max = 200};
    char buf[64];
    for (int i = 0; i < nargs; i++) {
        if (i) text_puts(&t, ", ");
        text_puts(&t, args[i]->untyped ? "unknown" : type_name(args[i]->type, buf));
    }
    err_at(err, E_FUNCTION, pos, "aggregate function %s(%s) does not exist", name, text_cstr(&t));
    text_done(&t);
    const char *near = known ? NULL : text_nearest(name, agg_name, NULL);
    if (near)
        err_hint(err, "did you mean %s?", near);
    else if (known)
        err_hint(err, "no overload takes these arguments; a cast may help");
    return E_FUNCTION;
}

static const struct agg_class *resolve(const char *name, const struct type *types, int nargs, struct type *cast,
                                       struct type *result, bool *known)
{
    const struct agg_family *f;
    *known = false;
    for (int i = 0; (f = family_at(i)); i++) {
        if (text_casecmp(f->name, name) != 0) continue;
        *known = true;
        if (f->nargs != nargs) continue;
        memcpy(cast, types, sizeof *cast * (size_t)nargs);
        const struct agg_class *class = f->pick(types, nargs, cast, result);
        if (class) return class;
    }
    return NULL;
}

static enum status bind_args(struct arena *a, struct agg_call *c, struct expr **args, const struct type *cast,
                             uint32_t pos, struct err *err)
{
    for (int i = 0; i < c->nargs; i++) {
        c->args[i] = args[i];
        if (args[i]->untyped || !type_equal(args[i]->type, cast[i]))
            TRY(expr_coerce(a, args[i], cast[i], pos, &c->args[i], err));
    }
    return ST_OK;
}

enum status agg_bind(struct arena *a, const char *name, struct expr **args, int nargs, bool star, bool distinct,
                     struct expr *filter, uint32_t pos, struct agg_call **out, struct err *err)
{
    struct type types[3], cast[3], result = TYPE(T_INT64);
    bool known = true;
    const struct agg_class *class = NULL;
    if (star) {
        if (text_casecmp(name, "count") != 0)
            return err_at(err, E_SYNTAX, pos, "%s(*) is not possible, only count(*) is", name);
        if (distinct) return err_at(err, E_SYNTAX, pos, "DISTINCT needs an argument, count(DISTINCT *) has none");
        class = &agg__count_star;
        nargs = 0;
    } else if (nargs <= 3) {
        for (int i = 0; i < nargs; i++) types[i] = args[i]->untyped ? TYPE(T_NULL) : args[i]->type;
        class = resolve(name, types, nargs, cast, &result, &known);
    }
    if (!class) return no_such(name, args, nargs, agg_exists(name), pos, err);
    if (filter && filter->type.id != T_BOOL) TRY(expr_coerce(a, filter, TYPE(T_BOOL), pos, &filter, err));
    struct agg_call *c = arena_alloc(a, sizeof *c);
    *c = (struct agg_call){.class = class,
                           .name = arena_strdup(a, name),
                           .type = result,
                           .nargs = nargs,
                           .distinct = distinct,
                           .filter = filter,
                           .needs_time = class->needs_time,
                           .needs_heap = class->text != 0,
                           .size = class->size};
    TRY(bind_args(a, c, args, cast, pos, err));
    *out = c;
    return ST_OK;
}

void agg_layout(const struct agg_call *c, uint32_t offset, struct layout *out)
{
    uint32_t text = c->class->text;
    if (!text) {
        layout_add(out, LAYOUT_RAW, offset, c->size);
        return;
    }
    layout_add(out, LAYOUT_RAW, offset, text);
    layout_add(out, LAYOUT_TEXT, offset + text, sizeof(struct str));
    INVARIANT(text + sizeof(struct str) == c->size);
}

/* ---- running ------------------------------------------------------------------------------------------ */

void agg_update(const struct agg_call *c, void *const *slots, uint32_t offset, const struct column *args,
                const int64_t *ts, const uint64_t *keep, uint32_t n, struct layout_heap *heap)
{
    if (!n) return;
    c->class->update(&(struct agg_in){
        .call = c, .slots = slots, .offset = offset, .args = args, .ts = ts, .keep = keep, .n = n, .heap = heap});
}

void agg_update_one(const struct agg_call *c, void *slot, uint32_t offset, const struct column *args, const int64_t *ts,
                    const uint64_t *keep, uint32_t n, struct layout_heap *heap)
{
    if (!n) return;
    c->class->update(&(struct agg_in){
        .call = c, .one = (char *)slot + offset, .args = args, .ts = ts, .keep = keep, .n = n, .heap = heap});
}

void agg_merge(const struct agg_call *c, void *into, const void *from, uint32_t offset, struct layout_heap *heap)
{
    c->class->merge((char *)into + offset, (const char *)from + offset, heap);
}

void agg_result(const struct agg_call *c, void *const *slots, uint32_t offset, struct batch *b, int col, uint32_t at,
                uint32_t cap, uint32_t n, struct row_errors *errors)
{
    struct agg_out out = {.call = c, .b = b, .col = &b->cols[col], .cap = cap, .errors = errors};
    for (uint32_t i = 0; i < n; i++) {
        out.row = at + i;
        c->class->result((const char *)slots[i] + offset, &out);
    }
}

void agg__null(const struct agg_out *out)
{
    size_t width = type_width(out->call->type);
    if (!out->col->valid) out->col->valid = batch_validity(out->b, out->cap);
    bit_clear(out->col->valid, out->row);
    memset((char *)out->col->data + width * out->row, 0, width);
}

void agg__error(const struct agg_out *out, enum status code, const char *text)
{
    struct row_errors *e = out->errors;
    agg__null(out);
    if (!e->count) {
        e->row = out->row;
        err_set(&e->first, code, "%s in %s", text, out->call->name);
    }
    if (bit_get(e->mask, out->row)) return;
    bit_set(e->mask, out->row);
    e->count++;
}

void agg__decimal(const struct agg_out *out, int128 v, int scale)
{
    int128 r;
    if (!decimal_rescale(v, scale, out->call->type.scale, &r))
        agg__error(out, E_RANGE, "the result has more than 38 digits");
    else
        memcpy((char *)out->col->data + 16 * (size_t)out->row, &r, 16);
}
