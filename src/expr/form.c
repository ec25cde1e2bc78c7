/* What looks like a call but takes its arguments in its own way: comparisons that meet in a common type, BETWEEN,
 * IN, COALESCE and their kin. SPDX-License-Identifier: Apache-2.0 */
#include "expr/compare.h"
#include "expr/logic.h"
#include "expr/set.h"

#define FORM(NAME)                                                                                                     \
    static enum status NAME(struct arena *a, const char *name, struct expr **args, int nargs, uint32_t pos,            \
                            struct expr **out, struct err *err)

/* ---- binary operators ------------------------------------------------------------------------------- */

/* Narrows an integer constant to the type of the column beside it, so that the column need not be widened. */
static struct expr *narrow(struct arena *a, struct expr *e, const struct expr *beside)
{
    if (e->kind != EXPR_CONST || e->value.is_null || beside->kind == EXPR_CONST) return e;
    if (!type_is_integer(e->type) || !type_is_integer(beside->type) || e->type.id <= beside->type.id) return e;
    int64_t v = e->value.i;
    bool fits = beside->type.id == T_INT8    ? v == (int8_t)v
                : beside->type.id == T_INT16 ? v == (int16_t)v
                                             : v == (int32_t)v;
    if (!fits) return e;
    return expr_const(a, (struct value){.type = beside->type, .i = v}, e->pos);
}

static const struct function *meet(const char *name, struct expr **args)
{
    struct type t;
    if (args[0]->untyped || args[1]->untyped || !type_meet(args[0]->type, args[1]->type, &t)) return NULL;
    return overload_exact(name, (uint8_t[]){t.id, t.id}, 2);
}

FORM(compare)
{
    if (!strcmp(name, "!=")) name = "<>";
    struct expr *both[2] = {narrow(a, args[0], args[1]), narrow(a, args[1], args[0])};
    const struct function *fn = meet(name, both);
    if (!fn) fn = overload_find(name, both, nargs, pos, err);
    if (!fn) return err ? err->code : E_FUNCTION;
    return expr_apply(a, fn, both, 2, pos, out, err);
}

FORM(arithmetic)
{
    const struct function *fn = NULL;
    if (nargs == 1) {
        if (!strcmp(name, "+")) {
            if (!args[0]->untyped && !type_is_number(args[0]->type) && args[0]->type.id != T_INTERVAL) goto find;
            return expr_coerce(a, args[0], args[0]->untyped ? TYPE(T_DOUBLE) : args[0]->type, pos, out, err);
        }
        name = "neg";
    } else if (type_is_number(args[0]->type) && type_is_number(args[1]->type)) {
        fn = meet(name, args);
    }
find:
    if (!fn) fn = overload_find(name, args, nargs, pos, err);
    if (!fn) return err ? err->code : E_FUNCTION;
    return expr_apply(a, fn, args, nargs, pos, out, err);
}

FORM(join)
{
    (void)name;
    return expr_logic(a, *name == 'a' ? EXPR_AND : EXPR_OR, args, nargs, pos, out, err);
}

FORM(negation)
{
    (void)name;
    if (!args[0]->untyped && args[0]->type.id != T_BOOL) {
        char buf[64];
        return err_at(err, E_TYPE, args[0]->pos, "argument of NOT must be BOOLEAN, not %s",
                      type_name(args[0]->type, buf));
    }
    return expr_apply(a, &logic_not, args, nargs, pos, out, err);
}

static enum status negated(struct arena *a, bool negate, struct expr *e, uint32_t pos, struct expr **out,
                           struct err *err)
{
    if (!negate) return *out = e, ST_OK;
    return expr_apply(a, &logic_not, &e, 1, pos, out, err);
}

/* Texts and what is not one are joined as text. */
FORM(concat)
{
    struct expr *both[2];
    for (int k = 0; k < 2; k++) {
        both[k] = args[k];
        const struct expr *other = args[!k];
        bool text = other->untyped || other->type.id == T_VARCHAR;
        if (text && !args[k]->untyped && args[k]->type.id != T_VARCHAR && type_width(args[k]->type))
            TRY(expr_cast(a, args[k], TYPE(T_VARCHAR), false, args[k]->pos, &both[k], err));
    }
    const struct function *fn = overload_find(name, both, nargs, pos, err);
    if (!fn) return err ? err->code : E_FUNCTION;
    return expr_apply(a, fn, both, nargs, pos, out, err);
}

/* ---- tests ------------------------------------------------------------------------------------------ */

FORM(is)
{
    static const struct {
        const char *name;
        const struct function *fn;
        bool logic;
    } tests[] = {
        {"is null", &logic_is_null, false},   {"is not null", &logic_is_not_null, false},
        {"isnull", &logic_is_null, false},    {"notnull", &logic_is_not_null, false},
        {"is unknown", &logic_is_null, true}, {"is not unknown", &logic_is_not_null, true},
        {"is true", &logic_is_true, true},    {"is not true", &logic_is_not_true, true},
        {"is false", &logic_is_false, true},  {"is not false", &logic_is_not_false, true},
    };
    for (size_t i = 0; i < countof(tests); i++) {
        if (strcmp(tests[i].name, name)) continue;
        struct expr *x = args[0];
        if (tests[i].logic && !x->untyped && x->type.id != T_BOOL) {
            char buf[64];
            return err_at(err, E_TYPE, x->pos, "argument of IS TRUE and its kin must be BOOLEAN, not %s",
                          type_name(x->type, buf));
        }
        if (tests[i].logic) TRY(expr_coerce(a, x, TYPE(T_BOOL), x->pos, &x, err));
        return expr_apply(a, tests[i].fn, &x, nargs, pos, out, err);
    }
    return err_at(err, E_FUNCTION, pos, "no test %s", name);
}

static enum status unify(struct arena *a, struct expr **args, int nargs, const char *where, struct expr **out,
                         struct err *err)
{
    struct type t;
    TRY(expr_common_type((const struct expr *const *)args, nargs, where, &t, err));
    for (int i = 0; i < nargs; i++) TRY(expr_coerce(a, args[i], t, args[i]->pos, &out[i], err));
    return ST_OK;
}

FORM(distinct)
{
    struct expr *both[2];
    TRY(unify(a, args, nargs, "IS DISTINCT FROM", both, err));
    bool negate = !strncmp(name, "is not", 6);
    return expr_apply(a, negate ? &compare_not_distinct : &compare_distinct, both, 2, pos, out, err);
}

static enum status range(struct arena *a, struct expr *x, struct expr *low, struct expr *high, uint32_t pos,
                         struct expr **out, struct err *err)
{
    struct expr *sides[2];
    TRY(expr_call(a, ">=", (struct expr *[]){x, low}, 2, pos, &sides[0], err));
    TRY(expr_call(a, "<=", (struct expr *[]){x, high}, 2, pos, &sides[1], err));
    return expr_logic(a, EXPR_AND, sides, 2, pos, out, err);
}

FORM(between)
{
    (void)nargs;
    struct expr *e, *swapped;
    TRY(range(a, args[0], args[1], args[2], pos, &e, err));
    if (strstr(name, "symmetric")) {
        TRY(range(a, args[0], args[2], args[1], pos, &swapped, err));
        TRY(expr_logic(a, EXPR_OR, (struct expr *[]){e, swapped}, 2, pos, &e, err));
    }
    return negated(a, !strncmp(name, "not", 3), e, pos, out, err);
}

/* A long list of constants is searched; a short one is quicker compared one by one. */
static bool is_set(struct expr **items, int n)
{
    if (n < 48) return false;
    for (int i = 0; i < n; i++)
        if (items[i]->kind != EXPR_CONST) return false;
    return true;
}

FORM(in)
{
    struct expr *e, **all = arena_alloc(a, sizeof *all * (size_t)nargs);
    bool negate = !strncmp(name, "not", 3);
    if (is_set(args + 1, nargs - 1) && !unify(a, args, nargs, "IN", all, NULL) && compare_order(all[0]->type)) {
        TRY(expr_apply(a, &set_in, all, nargs, pos, &e, err));
        return negated(a, negate, e, pos, out, err);
    }
    for (int i = 1; i < nargs; i++)
        TRY(expr_call(a, "=", (struct expr *[]){args[0], args[i]}, 2, args[i]->pos, &all[i], err));
    TRY(expr_logic(a, EXPR_OR, all + 1, nargs - 1, pos, &e, err));
    return negated(a, negate, e, pos, out, err);
}

/* ---- choices ---------------------------------------------------------------------------------------- */

/* Constants that are NULL are left out; what follows one that is not is never reached. */
FORM(coalesce)
{
    (void)name;
    struct expr **all = arena_alloc(a, sizeof *all * (size_t)nargs);
    TRY(unify(a, args, nargs, "COALESCE", all, err));
    int n = 0;
    for (int i = 0; i < nargs; i++) {
        bool constant = all[i]->kind == EXPR_CONST;
        if (constant && all[i]->value.is_null && (n || i + 1 < nargs)) continue;
        all[n++] = all[i];
        if (constant && !all[i]->value.is_null) break;
    }
    if (n == 1) return *out = all[0], ST_OK;
    return expr_apply(a, &logic_coalesce, all, n, pos, out, err);
}

FORM(nullif)
{
    (void)name, (void)nargs;
    struct expr *same, *x = expr_settle(a, args[0]);
    TRY(expr_call(a, "=", args, 2, pos, &same, err));
    if (args[0]->untyped && !args[1]->untyped) TRY(expr_coerce(a, args[0], args[1]->type, pos, &x, err));
    return expr_apply(a, &logic_nullif, (struct expr *[]){x, same}, 2, pos, out, err);
}

FORM(extreme)
{
    struct expr **all = arena_alloc(a, sizeof *all * (size_t)nargs);
    bool most = *name == 'g';
    TRY(unify(a, args, nargs, most ? "GREATEST" : "LEAST", all, err));
    if (!compare_order(all[0]->type)) {
        char buf[64];
        return err_at(err, E_TYPE, pos, "values of type %s have no order", type_name(all[0]->type, buf));
    }
    if (nargs == 1) return *out = all[0], ST_OK;
    return expr_apply(a, most ? &compare_greatest : &compare_least, all, nargs, pos, out, err);
}

#define MANY 100000
const struct form forms[] = {
    {"=", 2, 2, compare},
    {"<>", 2, 2, compare},
    {"!=", 2, 2, compare},
    {"<", 2, 2, compare},
    {"<=", 2, 2, compare},
    {">", 2, 2, compare},
    {">=", 2, 2, compare},
    {"+", 1, 2, arithmetic},
    {"-", 1, 2, arithmetic},
    {"*", 2, 2, arithmetic},
    {"/", 2, 2, arithmetic},
    {"%", 2, 2, arithmetic},
    {"&", 2, 2, arithmetic},
    {"|", 2, 2, arithmetic},
    {"#", 2, 2, arithmetic},
    {"||", 2, 2, concat},
    {"and", 1, MANY, join},
    {"or", 1, MANY, join},
    {"not", 1, 1, negation},
    {"is null", 1, 1, is},
    {"is not null", 1, 1, is},
    {"isnull", 1, 1, is},
    {"notnull", 1, 1, is},
    {"is true", 1, 1, is},
    {"is not true", 1, 1, is},
    {"is false", 1, 1, is},
    {"is not false", 1, 1, is},
    {"is unknown", 1, 1, is},
    {"is not unknown", 1, 1, is},
    {"is distinct from", 2, 2, distinct},
    {"is not distinct from", 2, 2, distinct},
    {"between", 3, 3, between},
    {"not between", 3, 3, between},
    {"between symmetric", 3, 3, between},
    {"not between symmetric", 3, 3, between},
    {"in", 2, MANY, in},
    {"not in", 2, MANY, in},
    {"coalesce", 1, MANY, coalesce},
    {"nullif", 2, 2, nullif},
    {"greatest", 1, MANY, extreme},
    {"least", 1, MANY, extreme},
    {0},
};
