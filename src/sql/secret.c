/* Secrets in the text of statements, and how to show the text without them.
 *
 * Hidden is what stands behind a name that says so (base/secret.h), whether the statement makes sense or not: a literal, with or
 * without a sign between; a word or number behind a sign, where the name stands as options do, behind a parenthesis, comma, semicolon
 * or SET; and the password of a URL in any literal. A name that only ends in "key" may be a column's, so it must stand as options do.
 * Comments and literals are searched like statements. Where quotes do not fit together a secret may go on behind its literal: then all
 * that follows is hidden. ${VAR} alone is no secret.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "base/text.h"
#include "sql/sql_int.h"

#include <stdio.h>

#define INSIDE_MAX 3 /* literals in comments in literals */

struct search {
    const char *s;
    char *hidden; /* for each byte */
    size_t at, end;
    int inside;
    enum secret name; /* of the last name, if its value may come now */
    bool sign;        /* and there was a sign between */
    bool option;      /* the name stands as options do */
    bool listed;      /* what comes now does */
    int torn;         /* whether quotes stay open to the end; -1: not looked yet */
};

static void search(const char *s, char *hidden, size_t from, size_t end, int inside);

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
static bool is_end(char c) { return c == ',' || c == ')' || c == ';'; }

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || (c & 0x80);
}

static void hide(struct search *x, size_t from, size_t to)
{
    memset(x->hidden + from, 1, to - from);
}

/* ${NAME}, which says nothing. */
static bool is_variable(const char *s, size_t n)
{
    return n > 3 && s[0] == '$' && s[1] == '{' && memchr(s, '}', n) == s + n - 1 && !memchr(s, ':', n);
}

static void hide_value(struct search *x, size_t from, size_t to)
{
    if (!is_variable(x->s + from, to - from)) hide(x, from, to);
}

static bool stays_open(const struct search *x, size_t at)
{
    struct quoted q;
    while (at < x->end) {
        size_t comment = sql__comment_end(x->s, x->end, at);
        if (comment > at) {
            at = comment;
        } else if (sql__quoted(x->s, x->end, at, &q)) {
            if (!q.closed) return true;
            at = q.end;
        } else {
            at++;
        }
    }
    return false;
}

/* From here on; it is the same from everywhere between two literals. */
static bool is_torn(struct search *x)
{
    if (x->torn < 0) x->torn = stays_open(x, x->at);
    return x->torn;
}

static void take_name(struct search *x, size_t from, size_t to)
{
    x->name = secret_name(x->s + from, to - from);
    x->option = x->listed || x->inside;
    if (x->name == SECRET_KEY && !x->option) x->name = SECRET_NO;
    x->sign = false;
    x->listed = to - from == 3 && !strncasecmp(x->s + from, "set", 3);
}

/* Behind a secret literal: one that touches it is part of it; else a value ends here. */
static void after_value(struct search *x)
{
    struct quoted q;
    while (sql__quoted(x->s, x->end, x->at, &q)) hide(x, q.from, q.to), x->at = q.end;
    bool ends = x->at >= x->end || is_blank(x->s[x->at]) || is_end(x->s[x->at]) || sql__comment_end(x->s, x->end, x->at) > x->at;
    if (ends && !is_torn(x)) return;
    hide(x, x->at, x->end);
    x->at = x->end;
}

/* scheme://user:password@host */
static void hide_url(struct search *x, size_t from, size_t to)
{
    const char *s = x->s, *end = s + to, *p = s + from;
    while ((p = memmem(p, (size_t)(end - p), "://", 3))) {
        const char *user = p + 3, *host = NULL, *secret = NULL;
        for (p = user; p < end && !is_blank(*p) && *p != '/' && *p != '\'' && *p != '"'; p++) {
            if (*p == '@') host = p;
            if (*p == ':' && !secret) secret = p + 1;
        }
        if (!host) continue;
        if (!secret || secret > host) secret = user;
        hide_value(x, (size_t)(secret - s), (size_t)(host - s));
    }
}

static void take_quoted(struct search *x, const struct quoted *q)
{
    bool value = x->name != SECRET_NO;
    x->name = SECRET_NO;
    x->at = q->end;
    if (value) {
        hide_value(x, q->from, q->to);
        after_value(x);
        return;
    }
    if (x->inside < INSIDE_MAX) search(x->s, x->hidden, q->from, q->to, x->inside + 1);
    hide_url(x, q->from, q->to);
    take_name(x, q->from, q->to); /* 'password' = '...' */
}

static bool may_be_word(const struct search *x)
{
    return x->name != SECRET_NO && x->sign && x->option;
}

static void take_word(struct search *x)
{
    const char *s = x->s;
    size_t from = x->at;
    struct quoted q;
    if (sql__quoted(s, x->end, from + 1, &q) && s[from + 1] != '$') { /* E'...' */
        x->at++;
        return;
    }
    if (may_be_word(x)) {
        while (x->at < x->end && !is_blank(s[x->at]) && !is_end(s[x->at]) && s[x->at] != '\'' && s[x->at] != '"') x->at++;
        hide_value(x, from, x->at);
        x->name = SECRET_NO;
        after_value(x);
        return;
    }
    while (x->at < x->end && is_word(s[x->at]) && (x->at == from || sql__comment_end(s, x->end, x->at) == x->at)) x->at++;
    take_name(x, from, x->at);
}

static void take_sign(struct search *x)
{
    char c = x->s[x->at++], next = x->at < x->end ? x->s[x->at] : 0;
    if (is_blank(c)) return;
    x->listed = c == '(' || c == ',' || c == ';' || c == '{';
    if (c == ':' && next == ':')
        x->name = SECRET_NO, x->at++; /* a cast */
    else if (c == '=' || c == ':')
        x->sign = x->name != SECRET_NO;
    else if (c != '>' || !x->sign)
        x->name = SECRET_NO;
}

static void search(const char *s, char *hidden, size_t from, size_t end, int inside)
{
    struct search x = {.s = s, .hidden = hidden, .at = from, .end = end, .inside = inside, .listed = true, .torn = -1};
    struct quoted q;
    while (x.at < end) {
        char c = s[x.at];
        bool value = may_be_word(&x) && c != '=' && c != '>' && !is_blank(c) && !is_end(c);
        size_t comment = sql__comment_end(s, end, x.at);
        if (comment > x.at) {
            if (inside < INSIDE_MAX) search(s, hidden, x.at + 2, comment, inside + 1);
            x.at = comment;
        } else if (sql__quoted(s, end, x.at, &q)) {
            take_quoted(&x, &q);
        } else if (is_word(c) || value) {
            take_word(&x);
        } else {
            take_sign(&x);
        }
    }
}

/* A byte for each of text, 1 where it is hidden; the caller frees it. */
static char *hidden_bytes(const char *text, size_t n)
{
    char *hidden = mem_zalloc(n + 1);
    search(text, hidden, 0, n, 0);
    return hidden;
}

bool sql_has_secret(const char *text, size_t n)
{
    char *hidden = hidden_bytes(text, n);
    bool any = memchr(hidden, 1, n);
    mem_free(hidden);
    return any;
}

void sql_mask(const char *text, size_t n, size_t *pos, struct text *out)
{
    char *hidden = hidden_bytes(text, n);
    size_t at = *pos;
    for (size_t i = 0; i < n; i++) {
        if (i == at) *pos = out->n - (hidden[i] && i && hidden[i - 1] ? 3 : 0);
        if (!hidden[i])
            text_putc(out, text[i]);
        else if (!i || !hidden[i - 1])
            text_puts(out, "***");
    }
    if (at >= n) *pos = out->n;
    mem_free(hidden);
}

bool sql__is_hidden(const char *text, size_t n, struct span at)
{
    char *hidden = hidden_bytes(text, n);
    bool any = memchr(hidden + at.pos, 1, at.end - at.pos);
    mem_free(hidden);
    return any;
}

/* ---- what variables hold ------------------------------------------------------------------------------------- */

#define CUT 39
#define LONG_ENOUGH 6 /* to be found outside of quotes: a shorter one is part of words that mean something else */

/* How many bytes of s are a beginning of value, whose quotes may be doubled there; *whole: it is all there. */
static size_t matched(const char *s, const char *value, bool *whole)
{
    size_t i = 0;
    for (; *value && s[i] == *value; value++, i++)
        if ((*value == '\'' || *value == '"' || *value == '\\') && s[i + 1] == *value && value[1] != *value) i++;
    *whole = !*value;
    return i;
}

/* Puts ${name} in the place of value, also of one that was cut short: messages cut at CUT or later, or end. */
static void hide_value_in(char *message, size_t size, const char *name, const char *value)
{
    struct text out = {0};
    bool any = false;
    for (const char *p = message; *p;) {
        bool whole, quoted = p > message && (p[-1] == '\'' || p[-1] == '"');
        size_t n = matched(p, value, &whole);
        bool is_it = whole ? n >= LONG_ENOUGH || (quoted && p[n] == p[-1]) : n >= CUT || (n >= LONG_ENOUGH && !p[n]);
        if (is_it) {
            text_printf(&out, "${%s}", name);
            p += n;
            any = true;
        } else {
            text_putc(&out, *p++);
        }
    }
    if (any) snprintf(message, size, "%s", text_cstr(&out));
    text_done(&out);
}

struct hiding {
    const char *(*lookup)(void *ctx, const char *name);
    void *ctx;
    struct err *err;
};

static const char *look_and_hide(void *ctx, const char *name)
{
    struct hiding *h = ctx;
    const char *value = h->lookup(h->ctx, name);
    if (value && *value) {
        hide_value_in(h->err->text, sizeof h->err->text, name, value);
        hide_value_in(h->err->hint, sizeof h->err->hint, name, value);
    }
    return value;
}

void sql_hide_values(const char *text, size_t n, const char *(*lookup)(void *ctx, const char *name), void *ctx, struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new();
    struct hiding h = {lookup, ctx, err};
    const char *sql;
    size_t sql_n;
    struct err ignored;
    (void)!sql_substitute(a, text, n, look_and_hide, &h, &sql, &sql_n, &ignored);
}
