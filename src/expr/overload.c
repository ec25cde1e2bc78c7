/* Which overload a call means: PostgreSQL's rules (manual, 10.2 and 10.3). An untyped literal fits anything; among
 * the candidates those with most exact matches win, then those that prefer their category's type, then the
 * literals take the category that the candidates agree on. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "expr/expr_int.h"

#include <stdio.h>

static const struct function *const tables[] = {func_arith, func_compare, func_math, func_text,
                                                func_like,  func_regex,   func_time, func_format};

static const struct function *next_named(const char *name, size_t *table, size_t *at)
{
    for (; *table < countof(tables); ++*table, *at = 0)
        for (const struct function *f; (f = &tables[*table][*at])->name;) {
            ++*at;
            if (!name || !strcmp(f->name, name)) return f;
        }
    return NULL;
}

const char *overload_name(int i)
{
    size_t table = 0, at = 0;
    const struct function *f = NULL;
    for (int k = 0; k <= i; k++)
        if (!(f = next_named(NULL, &table, &at))) return NULL;
    return f->name;
}

bool overload_exists(const char *name)
{
    size_t table = 0, at = 0;
    return next_named(name, &table, &at) != NULL;
}

static uint8_t wanted(const struct function *f, int k)
{
    return f->args[k < f->nargs || !f->nargs ? k : f->nargs - 1];
}

static bool takes(const struct function *f, int nargs)
{
    return f->flags & FN_VARIADIC ? nargs >= f->nargs : nargs == f->nargs;
}

const struct function *overload_exact(const char *name, const uint8_t *types, int nargs)
{
    size_t table = 0, at = 0;
    for (const struct function *f; (f = next_named(name, &table, &at));) {
        if (!takes(f, nargs)) continue;
        int k = 0;
        while (k < nargs && (wanted(f, k) == types[k] || wanted(f, k) == TYPE_ANY)) k++;
        if (k == nargs) return f;
    }
    return NULL;
}

/* ---- candidates ----------------------------------------------------------------------------------- */

static char category(uint8_t id)
{
    if (id >= T_INT8 && id <= T_DECIMAL) return 'N';
    switch (id) {
    case T_BOOL: return 'B';
    case T_VARCHAR: return 'S';
    case T_DATE:
    case T_TIME:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return 'D';
    case T_INTERVAL: return 'T';
    default: return 'U';
    }
}

static bool preferred(uint8_t id)
{
    return id == T_DOUBLE || id == T_VARCHAR || id == T_TIMESTAMPTZ || id == T_INTERVAL || id == T_BOOL;
}

#define CANDIDATES 64
struct choice {
    const struct function *f[CANDIDATES];
    int n;
    uint8_t types[64]; /* of the arguments; T_NULL: untyped */
    int nargs;
};

static void collect(struct choice *c, const char *name)
{
    size_t table = 0, at = 0;
    for (const struct function *f; (f = next_named(name, &table, &at));) {
        if (!takes(f, c->nargs) || c->n == CANDIDATES) continue;
        if (f->flags & FN_FLOATS && !type_is_float(TYPE(c->types[0]))) continue;
        int k = 0;
        while (k < c->nargs && (wanted(f, k) == TYPE_ANY || cast_implicit(TYPE(c->types[k]), TYPE(wanted(f, k))))) k++;
        if (k == c->nargs) c->f[c->n++] = f;
    }
}

typedef int score_fn(const struct choice *c, const struct function *f);

static int score_exact(const struct choice *c, const struct function *f)
{
    int n = 0;
    for (int k = 0; k < c->nargs; k++) n += c->types[k] != T_NULL && wanted(f, k) == c->types[k];
    return n;
}

static int score_preferred(const struct choice *c, const struct function *f)
{
    int n = 0;
    for (int k = 0; k < c->nargs; k++)
        n += c->types[k] != T_NULL && (wanted(f, k) == c->types[k] || preferred(wanted(f, k)));
    return n;
}

static void keep_best(struct choice *c, score_fn *score)
{
    int best = 0, n = 0;
    for (int i = 0; i < c->n; i++) {
        int s = score(c, c->f[i]);
        if (s > best) best = s, n = 0;
        if (s == best) c->f[n++] = c->f[i];
    }
    c->n = n;
}

/* The untyped argument k becomes a text where some candidate takes one, else what all agree on. */
static void keep_category(struct choice *c, int k)
{
    char want = 0;
    bool agree = true, prefer = false;
    for (int i = 0; i < c->n; i++) {
        char cat = category(wanted(c->f[i], k));
        if (cat == 'S') want = 'S';
        if (want && want != 'S' && cat != want) agree = false;
        if (!want) want = cat;
    }
    if (want != 'S' && !agree) return;
    for (int i = 0; i < c->n; i++) prefer |= category(wanted(c->f[i], k)) == want && preferred(wanted(c->f[i], k));
    int n = 0;
    for (int i = 0; i < c->n; i++) {
        uint8_t id = wanted(c->f[i], k);
        if (category(id) == want && (!prefer || preferred(id))) c->f[n++] = c->f[i];
    }
    if (n) c->n = n;
}

/* The untyped arguments are of the typed ones' one type. */
static void keep_same_type(struct choice *c)
{
    uint8_t id = T_NULL;
    for (int k = 0; k < c->nargs; k++) {
        if (c->types[k] == T_NULL) continue;
        if (id != T_NULL && id != c->types[k]) return;
        id = c->types[k];
    }
    for (int i = 0; i < c->n && id != T_NULL; i++) {
        int k = 0;
        while (k < c->nargs && (c->types[k] != T_NULL || cast_implicit(TYPE(id), TYPE(wanted(c->f[i], k))))) k++;
        if (k == c->nargs) {
            c->f[0] = c->f[i];
            c->n = 1;
        }
    }
}

/* ---- finding --------------------------------------------------------------------------------------- */

static bool is_operator(const char *name)
{
    return !((*name >= 'a' && *name <= 'z') || *name == '_');
}

static void describe(const struct choice *c, const char *name, struct expr **args, struct text *t)
{
    char buf[64];
    if (is_operator(name) && c->nargs == 2) {
        text_printf(t, "%s %s ", c->types[0] ? type_name(args[0]->type, buf) : "unknown", name);
        text_puts(t, c->types[1] ? type_name(args[1]->type, buf) : "unknown");
        return;
    }
    text_printf(t, "%s(", name);
    for (int k = 0; k < c->nargs; k++)
        text_printf(t, "%s%s", k ? ", " : "", c->types[k] ? type_name(args[k]->type, buf) : "unknown");
    text_putc(t, ')');
}

/* The argument lists there are, for the hint. */
static void signatures(const char *name, struct text *t)
{
    size_t table = 0, at = 0;
    char buf[64];
    int shown = 0;
    for (const struct function *f; (f = next_named(name, &table, &at)) && shown < 4; shown++) {
        text_printf(t, "%s%s(", shown ? ", " : "", name);
        for (int k = 0; k < f->nargs; k++)
            text_printf(t, "%s%s", k ? ", " : "", f->args[k] == TYPE_ANY ? "any" : type_name(TYPE(f->args[k]), buf));
        text_puts(t, f->flags & FN_VARIADIC ? ", ...)" : ")");
    }
}

static void no_match(const struct choice *c, const char *name, struct expr **args, uint32_t pos, struct err *err)
{
    if (!err) return;
    struct text t = {.max = 400}, u = {.max = 230};
    describe(c, name, args, &t);
    if (c->n) {
        err_at(err, E_NOT_UNIQUE, pos, "%s is not unique: %s", is_operator(name) ? "operator" : "function",
               text_cstr(&t));
        err_hint(err, "add explicit casts");
    } else if (is_operator(name)) {
        err_at(err, E_FUNCTION, pos, "operator does not exist: %s", text_cstr(&t));
        err_hint(err, "no operator of that name takes these types; add explicit casts");
    } else {
        err_at(err, E_FUNCTION, pos, "function %s does not exist", text_cstr(&t));
        signatures(name, &u);
        err_hint(err, "there is %s", text_cstr(&u));
    }
    text_done(&t);
    text_done(&u);
}

const struct function *overload_find(const char *name, struct expr **args, int nargs, uint32_t pos, struct err *err)
{
    struct choice c = {.nargs = nargs};
    if (nargs > (int)countof(c.types)) {
        err_at(err, E_LIMIT, pos, "too many arguments of %s: at most %zu", name, countof(c.types));
        return NULL;
    }
    bool untyped = false;
    for (int k = 0; k < nargs; k++) {
        c.types[k] = args[k]->untyped ? T_NULL : args[k]->type.id;
        untyped |= args[k]->untyped;
    }
    const struct function *f = untyped ? NULL : overload_exact(name, c.types, nargs);
    if (f) return f;
    if (nargs == 2 && args[0]->untyped != args[1]->untyped) { /* a literal is taken to be like the other side */
        uint8_t id = c.types[args[0]->untyped];
        if ((f = overload_exact(name, (uint8_t[]){id, id}, 2))) return f;
    }
    collect(&c, name);
    if (c.n > 1) keep_best(&c, score_exact);
    if (c.n > 1) keep_best(&c, score_preferred);
    for (int k = 0; k < nargs && c.n > 1; k++)
        if (args[k]->untyped) keep_category(&c, k);
    if (c.n > 1 && untyped) keep_same_type(&c);
    if (c.n == 1) return c.f[0];
    no_match(&c, name, args, pos, err);
    return NULL;
}
