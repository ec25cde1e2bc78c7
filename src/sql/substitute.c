/* ${NAME} and ${NAME:-default} in the text of statements.
 *
 * Comments are left alone. Inside quotes a value is text, never SQL: what would end the quote is doubled, so a password
 * with a quote in it stays one string. A default is taken as it was written, since its author saw the quotes around it.
 * Anything else that begins with ${ stays as it is. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "sql/sql_int.h"

struct reader {
    const char *s;
    size_t n, at;
    char quote;        /* ' " ` inside such quotes, E in an escape string, $ in a dollar-quoted one, 0 outside */
    size_t tag, tag_n; /* the tag that ends a dollar-quoted string */
};

static char at(const struct reader *r, size_t i) { return i < r->n ? r->s[i] : 0; }

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static size_t comment_end(const struct reader *r)
{
    size_t i = r->at + 2;
    if (at(r, r->at) == '-') {
        while (i < r->n && r->s[i] != '\n') i++;
        return i;
    }
    for (int depth = 1; i < r->n && depth; i++) {
        if (r->s[i] == '/' && at(r, i + 1) == '*') depth++, i++;
        else if (r->s[i] == '*' && at(r, i + 1) == '/') depth--, i++;
    }
    return i;
}

/* The length of $tag$ at r->at, or 0. */
static size_t dollar_tag(const struct reader *r)
{
    size_t i = r->at + 1;
    if (r->at && is_word(r->s[r->at - 1])) return 0;
    if (at(r, i) >= '0' && at(r, i) <= '9') return 0;
    while (is_word(at(r, i))) i++;
    return at(r, i) == '$' ? i + 1 - r->at : 0;
}

/* Outside of quotes: how many bytes to copy; may enter quotes. */
static size_t step_outside(struct reader *r)
{
    char c = r->s[r->at], next = at(r, r->at + 1);
    if ((c == '-' && next == '-') || (c == '/' && next == '*')) return comment_end(r) - r->at;
    if (c == '\'') {
        char before = r->at ? r->s[r->at - 1] : 0;
        bool escapes = (before == 'e' || before == 'E') && (r->at < 2 || !is_word(r->s[r->at - 2]));
        r->quote = escapes ? 'E' : '\'';
    } else if (c == '"' || c == '`') {
        r->quote = c;
    } else if (c == '$' && (r->tag_n = dollar_tag(r))) {
        r->quote = '$', r->tag = r->at;
        return r->tag_n;
    }
    return 1;
}

/* A doubled quote ends the quotes and opens them again, which comes to the same. */
static size_t step_inside(struct reader *r)
{
    char c = r->s[r->at], end = r->quote == 'E' ? '\'' : r->quote;
    if (r->quote == 'E' && c == '\\' && r->at + 1 < r->n) return 2;
    if (c != end) return 1;
    if (c == '$' && (r->n - r->at < r->tag_n || memcmp(r->s + r->at, r->s + r->tag, r->tag_n))) return 1;
    r->quote = r->quote == 'E' && at(r, r->at + 1) == '\'' ? 'E' : 0;
    if (r->quote) return 2;
    return c == '$' ? r->tag_n : 1;
}

struct variable {
    const char *name, *dflt; /* in the text; dflt may be NULL */
    size_t name_n, dflt_n, n; /* n: of the whole */
};

static bool read_variable(const struct reader *r, struct variable *v)
{
    size_t i = r->at + 2;
    if (at(r, r->at) != '$' || at(r, r->at + 1) != '{' || (at(r, i) >= '0' && at(r, i) <= '9')) return false;
    while (is_word(at(r, i)) || at(r, i) == '.') i++;
    *v = (struct variable){.name = r->s + r->at + 2, .name_n = i - r->at - 2};
    if (!v->name_n) return false;
    if (at(r, i) == ':' && at(r, i + 1) == '-') {
        const char *end = memchr(r->s + i, '}', r->n - i);
        if (!end) return false;
        v->dflt = r->s + i + 2;
        v->dflt_n = (size_t)(end - v->dflt);
        i = (size_t)(end - r->s);
    }
    v->n = i + 1 - r->at;
    return at(r, i) == '}';
}

static void put_value(const char *value, char quote, struct text *out)
{
    char end = quote == 'E' ? '\'' : quote == '$' ? 0 : quote;
    for (; *value; value++) {
        if (*value == end || (quote == 'E' && *value == '\\')) text_putc(out, *value);
        text_putc(out, *value);
    }
}

static enum status put_variable(struct arena *a, const struct reader *r, const struct variable *v,
                                const char *(*lookup)(void *, const char *), void *ctx, struct text *out,
                                struct err *err)
{
    const char *name = arena_strndup(a, v->name, v->name_n), *value = lookup(ctx, name);
    if (value)
        put_value(value, r->quote, out);
    else if (v->dflt)
        text_put(out, v->dflt, v->dflt_n);
    else {
        err_at(err, E_VAR, (uint32_t)r->at, "the variable %.200s is not set", name);
        err_hint(err, "set it, or write ${%.80s:-default}", name);
        return E_VAR;
    }
    return ST_OK;
}

/* Goes on until the end, or until more than `most` bytes are out: *last is then where the last of them came from. */
static enum status substitute(struct arena *a, struct reader *r, const char *(*lookup)(void *, const char *), void *ctx,
                              size_t most, size_t *last, struct text *out, struct err *err)
{
    while (r->at < r->n && out->n <= most) {
        struct variable v;
        size_t n, from = r->at, put = out->n;
        bool variable = read_variable(r, &v);
        if (variable) {
            TRY(put_variable(a, r, &v, lookup, ctx, out, err));
            n = v.n;
        } else {
            n = r->quote ? step_inside(r) : step_outside(r);
            text_put(out, r->s + from, n);
        }
        *last = variable ? from : from + (most - put);
        r->at += n;
    }
    return ST_OK;
}

enum status sql_substitute(struct arena *a, const char *text, size_t n,
                           const char *(*lookup)(void *ctx, const char *name), void *ctx, const char **out,
                           size_t *out_n, struct err *err)
{
    struct reader r = {.s = text, .n = n};
    struct text t = {0};
    size_t last;
    enum status st = substitute(a, &r, lookup, ctx, SIZE_MAX, &last, &t, err);
    if (!st) {
        *out = arena_strndup(a, t.n ? t.p : "", t.n);
        *out_n = t.n;
    }
    text_done(&t);
    return st;
}

size_t sql_substitute_origin(const char *text, size_t n, const char *(*lookup)(void *ctx, const char *name), void *ctx, size_t pos)
{
    struct reader r = {.s = text, .n = n};
    struct text t = {0};
    struct err err;
    size_t last = n;
    AUTO(arena_free) struct arena *a = arena_new();
    bool beyond = substitute(a, &r, lookup, ctx, pos, &last, &t, &err) || t.n <= pos;
    text_done(&t);
    return beyond ? n : last;
}

bool sql__quoted(const char *s, size_t n, size_t at, struct quoted *q)
{
    struct reader r = {.s = s, .n = n, .at = at};
    char c = at < n ? s[at] : 0;
    if (c != '\'' && c != '"' && c != '`' && c != '$') return false;
    r.at += step_outside(&r);
    if (!r.quote) return false;
    q->from = q->to = r.at;
    while (r.at < n && r.quote) q->to = r.at, r.at += step_inside(&r);
    q->closed = !r.quote;
    q->end = r.at < n ? r.at : n;
    if (!q->closed) q->to = n;
    return true;
}

size_t sql__comment_end(const char *s, size_t n, size_t at)
{
    struct reader r = {.s = s, .n = n, .at = at};
    if (at + 1 >= n || !((s[at] == '-' && s[at + 1] == '-') || (s[at] == '/' && s[at + 1] == '*'))) return at;
    size_t end = comment_end(&r);
    return end < n ? end : n;
}

size_t sql_statement_end(const char *text, size_t n, size_t from)
{
    struct reader r = {.s = text, .n = n, .at = from};
    while (r.at < n) {
        if (!r.quote && text[r.at] == ';') return r.at + 1;
        r.at += r.quote ? step_inside(&r) : step_outside(&r);
    }
    return n;
}
