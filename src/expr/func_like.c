/* LIKE and ILIKE. A constant pattern is sorted out when the expression is built: most are a prefix, a suffix or a
 * text to be found. SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_int.h"
#include "expr/utf8.h"

#include <utf8proc.h>

struct pattern {
    const char *p;
    uint32_t n;
    const char *escape; /* one character, or none */
    uint32_t escape_n;
    bool fold;
};

enum shape { SHAPE_ANY, SHAPE_EXACT, SHAPE_PREFIX, SHAPE_SUFFIX, SHAPE_CONTAINS };
struct prepared {
    enum shape shape;
    struct str text; /* without its % */
};

static bool escaped(const struct pattern *x, uint32_t at)
{
    return x->escape_n && x->n - at >= x->escape_n && !memcmp(x->p + at, x->escape, x->escape_n);
}

/* Whether the pattern ends in the middle of an escape. */
static bool broken(const struct pattern *x)
{
    for (uint32_t i = 0; i < x->n;) {
        if (!escaped(x, i)) {
            i++;
            continue;
        }
        i += x->escape_n;
        if (i == x->n) return true;
        i += utf8_length(x->p[i]);
    }
    return false;
}

/* One literal character of both sides; moves past it when they are the same. */
static bool same_char(const struct pattern *x, uint32_t *pi, const char *s, uint32_t *si)
{
    if (!x->fold || (!(x->p[*pi] & 0x80) && !(s[*si] & 0x80))) {
        char a = x->p[*pi], b = s[*si];
        if (x->fold && a >= 'A' && a <= 'Z') a |= 32;
        if (x->fold && b >= 'A' && b <= 'Z') b |= 32;
        if (a != b) return false;
        ++*pi, ++*si;
        return true;
    }
    uint32_t np, ns;
    if (utf8proc_tolower(utf8_decode(x->p + *pi, &np)) != utf8proc_tolower(utf8_decode(s + *si, &ns))) return false;
    *pi += np, *si += ns;
    return true;
}

/* Where the pattern's rest after a % may begin, from byte `from` of the text on: it is literal there more often than
 * not. */
static bool skip_to(const struct pattern *x, uint32_t pi, const char *s, uint32_t n, uint32_t *from)
{
    if (x->fold || pi == x->n || x->p[pi] == '%' || x->p[pi] == '_' || escaped(x, pi) || *from >= n) return true;
    const char *hit = memchr(s + *from, x->p[pi], n - *from);
    if (hit) *from = (uint32_t)(hit - s);
    return hit;
}

/* Backtracks to the last % only: what an earlier one took never needs to change. */
static bool matches(const struct pattern *x, const char *s, uint32_t n)
{
    uint32_t si = 0, pi = 0, star_p = UINT32_MAX, star_s = 0;
    while (si < n) {
        if (pi < x->n) {
            if (escaped(x, pi)) {
                uint32_t literal = pi + x->escape_n;
                if (same_char(x, &literal, s, &si)) {
                    pi = literal;
                    continue;
                }
            } else if (x->p[pi] == '%') {
                if (!skip_to(x, ++pi, s, n, &si)) return false;
                star_p = pi, star_s = si;
                continue;
            } else if (x->p[pi] == '_') {
                si += utf8_length(s[si]), pi++;
                continue;
            } else if (same_char(x, &pi, s, &si)) {
                continue;
            }
        }
        if (star_p == UINT32_MAX) return false;
        star_s += utf8_length(s[star_s]);
        if (!skip_to(x, star_p, s, n, &star_s)) return false;
        si = star_s, pi = star_p;
    }
    while (pi < x->n && x->p[pi] == '%' && !escaped(x, pi)) pi++;
    return pi == x->n;
}

/* ---- preparing --------------------------------------------------------------------------------------- */

/* The pattern's literal text when it is %text%, text%, %text or text. */
static bool plain(struct arena *a, const struct pattern *x, struct prepared *out)
{
    if (x->fold) return false;
    char *text = arena_alloc(a, x->n + 1);
    uint32_t n = 0;
    bool before = false, after = false;
    for (uint32_t i = 0; i < x->n;) {
        if (escaped(x, i)) {
            if (after) return false;
            i += x->escape_n;
            for (uint32_t k = utf8_length(x->p[i]); k; k--) text[n++] = x->p[i++];
        } else if (x->p[i] == '_') {
            return false;
        } else if (x->p[i] == '%') {
            if (n || before)
                after = n > 0;
            else
                before = true;
            i++;
        } else {
            if (after) return false;
            text[n++] = x->p[i++];
        }
    }
    if (before && !n) after = true; /* % alone: everything */
    out->text = str_view(text, n);
    out->shape = before && after ? SHAPE_CONTAINS : before ? SHAPE_SUFFIX : after ? SHAPE_PREFIX : SHAPE_EXACT;
    return true;
}

static bool const_live(const struct expr *e)
{
    return e->kind == EXPR_CONST && !e->value.is_null;
}

static bool fold_name(const char *name)
{
    return strstr(name, "ilike") != NULL;
}

static enum status bind_like(struct arena *a, struct expr *e, struct err *err)
{
    (void)err;
    if (!const_live(e->args[1]) || (e->nargs > 2 && !const_live(e->args[2]))) return ST_OK;
    struct pattern x = {.escape = "\\", .escape_n = 1, .fold = fold_name(e->name)};
    x.p = const_text(e->args[1], &x.n);
    if (e->nargs > 2) x.escape = const_text(e->args[2], &x.escape_n);
    if (broken(&x) || utf8_count(x.escape, x.escape_n) > 1) return ST_OK; /* each row fails */
    e->can_fail = e->args[0]->can_fail;
    struct prepared *out = arena_alloc(a, sizeof *out);
    if (plain(a, &x, out)) e->data = out;
    return ST_OK;
}

/* ---- running ----------------------------------------------------------------------------------------- */

static bool run_prepared(const struct prepared *x, const struct str *s)
{
    const char *p = str_ptr(s), *t = str_ptr(&x->text);
    uint32_t n = x->text.n;
    switch (x->shape) {
    case SHAPE_EXACT: return str_equal(s, &x->text);
    case SHAPE_PREFIX: return s->n >= n && !memcmp(p, t, n);
    case SHAPE_SUFFIX: return s->n >= n && !memcmp(p + s->n - n, t, n);
    default: return !n || (s->n >= n && memmem(p, s->n, t, n));
    }
}

static void like_any(struct call *c, bool want)
{
    uint8_t *out = c->out;
    const struct prepared *prepared = c->e->data;
    bool fold = fold_name(c->e->name);
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = 0;
        if (!call_live(c, i)) continue;
        const struct str *s = &ARG(c, 0, struct str, i);
        if (prepared) {
            out[i] = run_prepared(prepared, s) == want;
            continue;
        }
        const struct str *p = &ARG(c, 1, struct str, i), *escape = c->e->nargs > 2 ? &ARG(c, 2, struct str, i) : NULL;
        struct pattern x = {str_ptr(p), p->n, "\\", 1, fold};
        if (escape) x.escape = str_ptr(escape), x.escape_n = escape->n;
        if (utf8_count(x.escape, x.escape_n) > 1)
            call_fail(c, i, E_ESCAPE, "invalid escape string: it must be empty or one character");
        else if (broken(&x))
            call_fail(c, i, E_ESCAPE, "LIKE pattern must not end with escape character");
        else
            out[i] = matches(&x, str_ptr(s), s->n) == want;
    }
}

static void like(struct call *c)
{
    like_any(c, true);
}
static void not_like(struct call *c)
{
    like_any(c, false);
}

#define TT T_VARCHAR
#define LIKES(NAME, RUN)                                                                                               \
    {NAME, T_BOOL, 2, {TT, TT}, FN_FAILS | FN_COSTLY, RUN, bind_like},                                                 \
    {                                                                                                                  \
        NAME, T_BOOL, 3, {TT, TT, TT}, FN_FAILS | FN_COSTLY, RUN, bind_like                                            \
    }

const struct function func_like[] = {
    LIKES("like", like), LIKES("ilike", like), LIKES("not like", not_like), LIKES("not ilike", not_like), {0},
};
