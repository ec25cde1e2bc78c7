/* Building expressions: constants, calls, casts and CASE, with PostgreSQL's implicit casts and folding.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_int.h"

#include "base/shim/number.h"
#include "base/text.h"
#include "expr/cell.h"
#include "expr/datetime.h"
#include "expr/decimal.h"
#include "expr/logic.h"

#include <stdio.h>

/* ---- leaves ---------------------------------------------------------------------------------------- */

struct expr *expr_new(struct arena *a, enum expr_kind kind, struct type t, int nargs, uint32_t pos)
{
    struct expr *e = arena_alloc(a, sizeof *e);
    e->kind = kind;
    e->type = t;
    e->pos = pos;
    e->nargs = nargs;
    if (nargs) e->args = arena_alloc(a, sizeof *e->args * (size_t)nargs);
    return e;
}

struct expr *expr_const(struct arena *a, struct value v, uint32_t pos)
{
    struct expr *e = expr_new(a, EXPR_CONST, v.type, 0, pos);
    if (!v.is_null && type_is_text(v.type) && v.s.n > STR_INLINE) v.s = str_view(arena_strndup(a, v.s.p, v.s.n), v.s.n);
    e->value = v;
    return e;
}

static struct expr *null_of(struct arena *a, struct type t, uint32_t pos)
{
    return expr_const(a, (struct value){.type = t, .is_null = true}, pos);
}

enum status expr_number(struct arena *a, const char *text, uint32_t pos, struct expr **out, struct err *err)
{
    size_t n = strlen(text);
    struct value v = {.type = TYPE(T_INT64)};
    int scale;
    if (cell_parse_int64(text, n, &v.i)) {
        if (v.i == (int32_t)v.i) v.type = TYPE(T_INT32);
    } else if (!decimal_parse(text, n, &v.dec, &scale)) {
        v.type = decimal_type(v.dec, scale);
    } else if (cell_parse_double(text, n, &v.d)) {
        v.type = TYPE(T_DOUBLE);
    } else {
        return err_at(err, E_RANGE, pos, "number out of range: %.60s", text);
    }
    *out = expr_const(a, v, pos);
    return ST_OK;
}

struct expr *expr_string(struct arena *a, const char *p, uint32_t n, uint32_t pos)
{
    struct expr *e = expr_const(a, (struct value){.type = TYPE(T_VARCHAR), .s = str_view(p, n)}, pos);
    e->untyped = true;
    return e;
}

struct expr *expr_null(struct arena *a, uint32_t pos)
{
    struct expr *e = null_of(a, TYPE(T_NULL), pos);
    e->untyped = true;
    return e;
}

enum status expr_interval(struct arena *a, const char *text, const char *unit, uint32_t pos, struct expr **out,
                          struct err *err)
{
    struct value v = {.type = TYPE(T_INTERVAL)};
    enum status st = interval_parse(text, strlen(text), unit, &v.iv);
    if (st == E_INTERVAL_RANGE) return err_at(err, st, pos, "interval field value out of range: \"%.60s\"", text);
    if (st) {
        err_at(err, st, pos, "invalid input syntax for type INTERVAL: \"%.60s\"%s%s", text, unit && *unit ? " " : "",
               unit ? unit : "");
        err_hint(err, "write INTERVAL '5 minutes', INTERVAL '5' MINUTE or INTERVAL '1 day 02:00:00'");
        return st;
    }
    *out = expr_const(a, v, pos);
    return ST_OK;
}

struct expr *expr_column(struct arena *a, int column, struct type t, uint32_t pos)
{
    struct expr *e = expr_new(a, EXPR_COLUMN, t, 0, pos);
    e->column = column;
    return e;
}

struct expr *expr_settle(struct arena *a, struct expr *e)
{
    if (!e->untyped) return e;
    if (e->value.is_null) return null_of(a, TYPE(T_VARCHAR), e->pos);
    return expr_const(a, e->value, e->pos);
}

bool expr_is_const(const struct expr *e)
{
    if (e->kind == EXPR_COLUMN || e->is_volatile) return false;
    for (int i = 0; i < e->nargs; i++)
        if (!expr_is_const(e->args[i])) return false;
    return true;
}

static bool is_null_const(const struct expr *e)
{
    return e->kind == EXPR_CONST && e->value.is_null;
}

/* ---- folding --------------------------------------------------------------------------------------- */

static void inherit(struct expr *e)
{
    for (int i = 0; i < e->nargs; i++) {
        e->can_fail |= e->args[i]->can_fail;
        e->is_volatile |= e->args[i]->is_volatile;
    }
}

/* A strict call of a NULL is NULL. What fails stays as it is, to fail in the rows that reach it. So do regular expressions: what they cost is
 * not known before, and bounded only where rows are. */
struct expr *expr_fold(struct arena *a, struct expr *e)
{
    bool strict = e->function && !(e->function->flags & (FN_LAX | FN_VOLATILE)) && e->function->run;
    bool constant = true;
    for (int i = 0; i < e->nargs; i++) {
        if (strict && is_null_const(e->args[i])) return null_of(a, e->type, e->pos);
        constant &= e->args[i]->kind == EXPR_CONST;
    }
    struct value v;
    if (e->function && e->function->flags & FN_KEEPS) return e;
    if (!constant || e->is_volatile || !type_width(e->type) || expr_value(e, a, &v, NULL)) return e;
    return expr_const(a, v, e->pos);
}

/* ---- casts ----------------------------------------------------------------------------------------- */

static enum status no_cast(struct type from, struct type to, bool automatic, uint32_t pos, struct err *err)
{
    char x[64], y[64];
    if (!automatic)
        return err_at(err, E_NO_CAST, pos, "cannot cast type %s to %s", type_name(from, x), type_name(to, y));
    err_at(err, E_TYPE, pos, "%s is not converted to %s by itself", type_name(from, x), type_name(to, y));
    err_hint(err, "write CAST(... AS %s)", y);
    return E_TYPE;
}

/* The text is settled and cast as a column would be, so that there is one reader; it fails at once. */
static enum status cast_node(struct arena *a, const struct function *fn, struct expr *e, struct type to, bool try_,
                             bool now, uint32_t pos, struct expr **out, struct err *err)
{
    if (!fn) return no_cast(e->type, to, false, pos, err);
    struct expr *c = expr_new(a, EXPR_CAST, to, 1, pos);
    c->args[0] = e;
    c->function = fn;
    c->name = fn->name;
    c->try_ = try_;
    c->can_fail = (fn->flags & FN_FAILS) && !try_;
    inherit(c);
    struct value v;
    if (now && !c->is_volatile && e->kind == EXPR_CONST) {
        TRY(expr_value(c, a, &v, err));
        *out = expr_const(a, v, pos);
        return ST_OK;
    }
    *out = expr_fold(a, c);
    return ST_OK;
}

/* The digits a constant has, for a DECIMAL without (p,s). */
static bool digits_of(const struct expr *e, struct type *out)
{
    if (e->kind != EXPR_CONST || e->value.is_null) return false;
    int128 v;
    int scale;
    if (e->type.id == T_VARCHAR) {
        const char *p = str_ptr(&e->value.s);
        size_t n = e->value.s.n;
        while (n && *p == ' ') p++, n--;
        while (n && p[n - 1] == ' ') n--;
        if (decimal_parse(p, n, &v, &scale)) return false;
        return *out = decimal_type(v, scale), true;
    }
    if (!type_is_float(e->type)) return false;
    char digits[NUMBER_DIGITS_MAX];
    int point, most = e->type.id == T_FLOAT ? 6 : 15;
    if (!(e->value.d - e->value.d == 0)) return *out = type_decimal(DECIMAL_DIGITS, 0), true;
    int n = number_digits_rounded(e->value.d, most, digits, &point);
    while (n > 1 && digits[n - 1] == '0') n--;
    scale = e->value.d == 0 || n <= point ? 0 : n - point;
    if (scale > DECIMAL_DIGITS || !decimal_from_double(e->value.d, most, scale, &v)) return false;
    return *out = decimal_type(v, scale), true;
}

/* To exactly this type. */
static enum status cast_to(struct arena *a, struct expr *e, struct type to, bool try_, uint32_t pos, struct expr **out,
                           struct err *err)
{
    bool literal = e->untyped && !e->value.is_null;
    if (is_null_const(e)) {
        if (!cast_find(e->type, to) && !e->untyped) return no_cast(e->type, to, false, pos, err);
        return *out = null_of(a, to, pos), ST_OK;
    }
    e = expr_settle(a, e);
    if (type_equal(e->type, to) && (!to.length || e->type.length == to.length)) {
        if (!literal && e->kind != EXPR_CONST) return *out = e, ST_OK;
        *out = expr_const(a, e->value, e->pos);
        (*out)->type = (*out)->value.type = to;
        if (!to.length) return ST_OK;
    }
    if (to.length && e->type.id != T_VARCHAR) TRY(cast_to(a, e, TYPE(to.id), try_, pos, &e, err));
    return cast_node(a, cast_find(e->type, to), e, to, try_, literal && !try_, pos, out, err);
}

enum status expr_cast(struct arena *a, struct expr *e, struct type to, bool try_, uint32_t pos, struct expr **out,
                      struct err *err)
{
    if (to.id == T_DECIMAL && !to.precision && !is_null_const(e) && !digits_of(e, &to)) to = cast_decimal_type(e->type);
    return cast_to(a, e, to, try_, pos, out, err);
}

enum status expr_coerce(struct arena *a, struct expr *e, struct type to, uint32_t pos, struct expr **out,
                        struct err *err)
{
    if (!e->untyped && type_equal(e->type, to) && (!to.length || e->type.length == to.length)) return *out = e, ST_OK;
    if (!e->untyped && !cast_assigns(e->type, to)) return no_cast(e->type, to, true, pos, err);
    if (to.id != T_VARCHAR || !to.length || is_null_const(e)) return cast_to(a, e, to, false, e->pos, out, err);
    bool literal = e->untyped;
    TRY(cast_to(a, e, TYPE(T_VARCHAR), false, e->pos, &e, err));
    return cast_node(a, &cast_assign_length, e, to, false, literal, e->pos, out, err);
}

enum status expr_common_type(const struct expr *const *es, int n, const char *where, struct type *out, struct err *err)
{
    struct type t = TYPE(T_NULL);
    bool open = false;
    for (int i = 0; i < n; i++) {
        struct type met;
        if (es[i]->untyped) {
            open = true;
            continue;
        }
        if (!type_meet(t, es[i]->type, &met)) {
            char x[64], y[64];
            return err_at(err, E_TYPE, es[i]->pos, "%s types %s and %s cannot be matched", where, type_name(t, x),
                          type_name(es[i]->type, y));
        }
        t = met;
    }
    if (t.id == T_NULL && open) t = TYPE(T_VARCHAR);
    if (t.id == T_DECIMAL) /* untyped numbers among them keep their digits as far as possible */
        for (int i = 0; i < n; i++) {
            struct type digits, met;
            if (es[i]->untyped && digits_of(es[i], &digits) && type_meet(t, digits, &met)) t = met;
        }
    *out = t;
    return ST_OK;
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static enum status fit_argument(struct arena *a, struct expr *e, uint8_t want, struct expr **out, struct err *err)
{
    if (want == TYPE_ANY || (e->type.id == want && !e->untyped)) return *out = expr_settle(a, e), ST_OK;
    struct type t = want == T_DECIMAL ? cast_decimal_type(e->type) : TYPE(want);
    if (want == T_DECIMAL && e->untyped) t = (struct type){.id = T_DECIMAL};
    return expr_cast(a, e, t, false, e->pos, out, err);
}

enum status expr_apply(struct arena *a, const struct function *fn, struct expr **args, int nargs, uint32_t pos,
                       struct expr **out, struct err *err)
{
    struct expr *e = expr_new(a, EXPR_CALL, TYPE(fn->ret), nargs, pos);
    for (int k = 0; k < nargs; k++)
        TRY(fit_argument(a, args[k], fn->args[k < fn->nargs ? k : fn->nargs - 1], &e->args[k], err));
    if (fn->ret == TYPE_ANY) e->type = e->args[0]->type;
    if (fn->ret == T_DECIMAL) e->type = type_decimal(0, DECIMAL_OPEN_SCALE);
    e->function = fn;
    e->name = fn->name;
    e->can_fail = fn->flags & FN_FAILS;
    e->is_volatile = fn->flags & FN_VOLATILE;
    inherit(e);
    if (fn->bind) TRY(fn->bind(a, e, err));
    *out = expr_fold(a, e);
    return ST_OK;
}

static const struct form *find_form(const char *name)
{
    for (const struct form *f = forms; f->name; f++)
        if (!strcmp(f->name, name)) return f;
    return NULL;
}

const char *expr_function_name(const void *ctx, int i)
{
    (void)ctx;
    for (const struct form *f = forms; f->name; f++, i--)
        if (!i) return f->name;
    return overload_name(i);
}

bool expr_function_exists(const char *name)
{
    return find_form(name) || overload_exists(name);
}

static enum status unknown_function(const char *name, uint32_t pos, struct err *err)
{
    err_at(err, E_FUNCTION, pos, "function %s does not exist", name);
    const char *near = text_nearest(name, expr_function_name, NULL);
    if (near) err_hint(err, "did you mean %s?", near);
    return E_FUNCTION;
}

/* date('2024-01-02'), int8(x): a type's name as a function casts. */
static bool type_call(const char *name, int nargs, struct type *out)
{
    return nargs == 1 && strcmp(name, "char") && type_from_word(name, out);
}

enum status expr_call(struct arena *a, const char *name, struct expr **args, int nargs, uint32_t pos, struct expr **out,
                      struct err *err)
{
    const struct form *form = find_form(name);
    if (form) {
        if (nargs >= form->least && nargs <= form->most) return form->build(a, name, args, nargs, pos, out, err);
        if (nargs > form->most && form->most > form->least)
            return err_at(err, E_LIMIT, pos, "%s takes at most %d arguments, not %d", name, form->most, nargs);
        if (!overload_exists(name))
            return err_at(err, E_FUNCTION, pos, "%s takes %s%d argument%s, not %d", name,
                          form->most > form->least ? "at least " : "", form->least, form->least == 1 ? "" : "s", nargs);
    }
    if (!overload_exists(name)) {
        struct type t;
        if (type_call(name, nargs, &t)) return expr_cast(a, args[0], t, false, pos, out, err);
        return unknown_function(name, pos, err);
    }
    const struct function *fn = overload_find(name, args, nargs, pos, err);
    if (!fn) return err ? err->code : E_FUNCTION;
    return expr_apply(a, fn, args, nargs, pos, out, err);
}

/* ---- AND, OR, CASE --------------------------------------------------------------------------------- */

static bool is_bool(const struct expr *e, bool value)
{
    return e->kind == EXPR_CONST && !e->value.is_null && e->value.b == value;
}

enum status expr_logic(struct arena *a, enum expr_kind kind, struct expr **args, int nargs, uint32_t pos,
                       struct expr **out, struct err *err)
{
    int n = 0;
    for (int i = 0; i < nargs; i++) n += args[i]->kind == kind ? args[i]->nargs : 1;
    struct expr *e = expr_new(a, kind, TYPE(T_BOOL), n, pos);
    bool decides = kind == EXPR_OR;
    n = 0;
    for (int i = 0; i < nargs; i++) {
        struct expr *x = args[i];
        if (!x->untyped && x->type.id != T_BOOL) {
            char name[64];
            return err_at(err, E_TYPE, x->pos, "argument of %s must be BOOLEAN, not %s", decides ? "OR" : "AND",
                          type_name(x->type, name));
        }
        TRY(expr_coerce(a, x, TYPE(T_BOOL), x->pos, &x, err));
        if (is_bool(x, decides)) return *out = x, ST_OK;
        if (is_bool(x, !decides)) continue;
        for (int k = 0; k < (x->kind == kind ? x->nargs : 1); k++) e->args[n++] = x->kind == kind ? x->args[k] : x;
    }
    e->nargs = n;
    inherit(e);
    if (!n)
        *out = expr_const(a, (struct value){.type = TYPE(T_BOOL), .b = !decides}, pos);
    else if (n == 1)
        *out = e->args[0];
    else
        *out = expr_fold(a, e);
    return ST_OK;
}

static enum status case_condition(struct arena *a, struct expr *operand, struct expr *when, struct expr **out,
                                  struct err *err)
{
    if (operand) return expr_call(a, "=", (struct expr *[]){operand, when}, 2, when->pos, out, err);
    if (when->untyped || when->type.id == T_BOOL) return expr_coerce(a, when, TYPE(T_BOOL), when->pos, out, err);
    char name[64];
    return err_at(err, E_TYPE, when->pos, "argument of CASE/WHEN must be BOOLEAN, not %s", type_name(when->type, name));
}

enum status expr_case(struct arena *a, struct expr *operand, struct expr **whens, int nwhens, struct expr *els,
                      uint32_t pos, struct expr **out, struct err *err)
{
    int pairs = nwhens / 2, n = 0;
    if (!els) els = expr_null(a, pos);
    const struct expr **results = arena_alloc(a, sizeof *results * (size_t)(pairs + 1));
    for (int i = 0; i < pairs; i++) results[i] = whens[2 * i + 1];
    results[pairs] = els;
    struct type t;
    TRY(expr_common_type(results, pairs + 1, "CASE", &t, err));
    struct expr *e = expr_new(a, EXPR_CASE, t, 2 * pairs + 1, pos);
    struct expr *always = NULL; /* of the first condition that is constantly true: what follows is never reached */
    for (int i = 0; i < pairs; i++) {
        struct expr *when, *then = whens[2 * i + 1];
        TRY(case_condition(a, operand, whens[2 * i], &when, err));
        TRY(expr_coerce(a, then, t, then->pos, &then, err));
        if (always || is_null_const(when) || is_bool(when, false)) continue;
        if (is_bool(when, true)) {
            always = then;
            continue;
        }
        e->args[n++] = when;
        e->args[n++] = then;
    }
    TRY(expr_coerce(a, els, t, els->pos, &els, err));
    e->args[n++] = always ? always : els;
    e->nargs = n;
    inherit(e);
    *out = n > 1 ? e : e->args[0];
    return ST_OK;
}

/* ---- walking ---------------------------------------------------------------------------------------- */

static bool same_value(const struct value *x, const struct value *y, struct type t)
{
    if (x->is_null || y->is_null) return x->is_null == y->is_null;
    if (type_is_text(t)) return str_equal(&x->s, &y->s);
    switch (t.id) {
    case T_NULL: return true;
    case T_BOOL: return x->b == y->b;
    case T_FLOAT:
    case T_DOUBLE: return !memcmp(&x->d, &y->d, sizeof x->d);
    case T_DECIMAL: return x->dec == y->dec;
    case T_INTERVAL: return !memcmp(&x->iv, &y->iv, sizeof x->iv);
    case T_UUID: return !memcmp(x->uuid, y->uuid, sizeof x->uuid);
    default: return x->i == y->i;
    }
}

bool expr_same(const struct expr *x, const struct expr *y)
{
    if (x == y) return !x->is_volatile;
    if (x->kind != y->kind || !type_equal(x->type, y->type) || x->type.length != y->type.length) return false;
    if (x->function != y->function || x->nargs != y->nargs || x->try_ != y->try_ || x->is_volatile || y->is_volatile)
        return false;
    if (x->kind == EXPR_COLUMN) return x->column == y->column;
    if (x->kind == EXPR_CONST) return x->untyped == y->untyped && same_value(&x->value, &y->value, x->type);
    for (int i = 0; i < x->nargs; i++)
        if (!expr_same(x->args[i], y->args[i])) return false;
    return true;
}

void expr_walk(const struct expr *e, void (*fn)(void *ctx, const struct expr *e), void *ctx)
{
    fn(ctx, e);
    for (int i = 0; i < e->nargs; i++) expr_walk(e->args[i], fn, ctx);
}

void expr_bound(struct expr *e)
{
    e->is_bounded = true;
    for (int i = 0; i < e->nargs; i++) expr_bound(e->args[i]);
}

struct expr *expr_remap(struct arena *a, const struct expr *e, const int *map)
{
    struct expr *c = expr_new(a, e->kind, e->type, e->nargs, e->pos);
    struct expr **args = c->args;
    *c = *e;
    c->args = args;
    if (e->kind == EXPR_COLUMN) {
        c->column = map[e->column];
        INVARIANT(c->column >= 0);
    }
    if (e->kind == EXPR_CONST) {
        struct expr *own = expr_const(a, e->value, e->pos);
        own->untyped = e->untyped;
        return own;
    }
    for (int i = 0; i < e->nargs; i++) c->args[i] = expr_remap(a, e->args[i], map);
    return c;
}

/* ---- printing --------------------------------------------------------------------------------------- */

static void print_const(const struct expr *e, struct text *out)
{
    if (e->value.is_null || e->type.id == T_NULL) {
        text_puts(out, "NULL");
        return;
    }
    char name[64];
    _Alignas(16) char cell[16];
    cell_store(&e->value, cell);
    bool quoted = !type_is_number(e->type) && e->type.id != T_BOOL;
    if (quoted && e->type.id != T_VARCHAR) text_printf(out, "%s ", type_name(e->type, name));
    if (quoted) text_putc(out, '\'');
    cell_put(e->type, cell, out);
    if (quoted) text_putc(out, '\'');
}

static void print_list(const struct expr *e, const char *between, const struct schema *in, struct text *out)
{
    for (int i = 0; i < e->nargs; i++) {
        if (i) text_puts(out, between);
        expr_print(e->args[i], in, out);
    }
}

static void print_case(const struct expr *e, const struct schema *in, struct text *out)
{
    text_puts(out, "CASE");
    for (int i = 0; i < e->nargs; i++) {
        text_puts(out, i + 1 == e->nargs && !(i & 1) ? " ELSE " : i & 1 ? " THEN " : " WHEN ");
        expr_print(e->args[i], in, out);
    }
    text_puts(out, " END");
}

static bool is_word(const char *name)
{
    return (*name >= 'a' && *name <= 'z') || *name == '_';
}

static void print_call(const struct expr *e, const struct schema *in, struct text *out)
{
    bool is = !strncmp(e->name, "is ", 3);
    if (e->nargs == 2 && (!is_word(e->name) || is || strstr(e->name, "like"))) {
        text_putc(out, '(');
        expr_print(e->args[0], in, out);
        text_printf(out, " %s ", e->name);
        expr_print(e->args[1], in, out);
        text_putc(out, ')');
    } else if (e->nargs == 1 && is) {
        text_putc(out, '(');
        expr_print(e->args[0], in, out);
        text_printf(out, " %s)", e->name);
    } else {
        text_puts(out, e->name);
        text_putc(out, '(');
        print_list(e, ", ", in, out);
        text_putc(out, ')');
    }
}

void expr_print(const struct expr *e, const struct schema *in, struct text *out)
{
    char name[64];
    switch (e->kind) {
    case EXPR_CONST: print_const(e, out); break;
    case EXPR_COLUMN:
        if (in && e->column < in->n && in->fields[e->column].name)
            text_puts(out, in->fields[e->column].name);
        else
            text_printf(out, "$%d", e->column);
        break;
    case EXPR_CALL: print_call(e, in, out); break;
    case EXPR_CAST:
        text_puts(out, e->try_ ? "TRY_CAST(" : "CAST(");
        expr_print(e->args[0], in, out);
        text_printf(out, " AS %s)", type_name(e->type, name));
        break;
    case EXPR_CASE: print_case(e, in, out); break;
    case EXPR_AND:
    case EXPR_OR:
        text_putc(out, '(');
        print_list(e, e->kind == EXPR_AND ? " AND " : " OR ", in, out);
        text_putc(out, ')');
        break;
    }
}
