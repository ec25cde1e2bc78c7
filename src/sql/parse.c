/* Drives lexer and grammar, and says what is wrong when a statement does not fit.
 *
 * A statement ends at its semicolon, which the grammar sees as the end of its input. Two things the grammar leaves to
 * sql__lex: NOT before IN, LIKE ... and WITH before TIME ZONE become tokens of their own (one token more of lookahead),
 * and the unit behind an INTERVAL literal becomes a UNIT, so DAY, MINUTE and the like are no keywords anywhere else.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

#include "base/text.h"
#include "sql_grammar.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void parser__fail(struct parser *p, enum status code, uint32_t pos, const char *fmt, ...)
{
    if (p->failed) return;
    p->failed = true;
    char text[sizeof p->err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_at(p->err, code, pos, "%s", text);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void take(struct parser *p, struct token *t)
{
    if (p->has_ahead)
        *t = p->ahead;
    else
        lexer__next(&p->lexer, t);
    p->has_ahead = false;
}

static int peek(struct parser *p)
{
    if (!p->has_ahead) lexer__next(&p->lexer, &p->ahead);
    p->has_ahead = true;
    return p->ahead.kind;
}

/* The canonical name of a unit of time, or NULL. */
static const char *unit(const char *word)
{
    static const char *const units[] = {"year", "quarter", "month",  "week",        "day",
                                        "hour", "minute",  "second", "millisecond", "microsecond"};
    if (!strcmp(word, "ms")) return "millisecond";
    if (!strcmp(word, "us")) return "microsecond";
    for (size_t i = 0; i < countof(units); i++) {
        size_t n = strlen(units[i]);
        if (!strncmp(word, units[i], n) && (!word[n] || !strcmp(word + n, "s"))) return units[i];
    }
    return NULL;
}

static bool expects_unit(const struct parser *p)
{
    int last = p->last[0].kind, before = p->last[1].kind;
    return ((last == TK_STRING || last == TK_NUMBER) && before == TK_INTERVAL) || (last == TK_TO && before == TK_UNIT);
}

static void refine(struct parser *p, struct token *t)
{
    const char *name;
    /* Behind these any word is a name. */
    bool is_label = p->last[0].kind == TK_DOT || p->last[0].kind == TK_AS;
    if (is_label && (t->kind == TK_NOT || t->kind == TK_WITH)) return;
    switch (t->kind) {
    case TK_SEMICOLON: t->kind = TK_END; break;
    case TK_IDENT:
        if (!t->quoted && expects_unit(p) && (name = unit(t->text.p))) t->kind = TK_UNIT, t->text.p = name;
        break;
    case TK_NOT:
        switch (peek(p)) {
        case TK_BETWEEN:
        case TK_IN:
        case TK_LIKE:
        case TK_ILIKE:
        case TK_SIMILAR: t->kind = TK_NOT_LA; break;
        default: break;
        }
        break;
    case TK_WITH:
        if (peek(p) == TK_TIME) t->kind = TK_WITH_LA;
        break;
    default: break;
    }
}

static void check(struct parser *p, const struct token *t)
{
    if (t->kind == TK_BAD) p->failed = true;
    if (t->kind == TK_LPAREN || t->kind == TK_LBRACKET) p->parens++;
    if (t->kind == TK_RPAREN || t->kind == TK_RBRACKET) p->parens--;
    if (p->parens > SQL_DEPTH_MAX)
        parser__fail(p, E_LIMIT, t->at.pos, "parentheses are nested more than %d deep", SQL_DEPTH_MAX);
    if (t->at.end > p->start + SQL_TEXT_MAX)
        parser__fail(p, E_LIMIT, t->at.pos, "the statement is longer than %u bytes", SQL_TEXT_MAX);
}

int sql__lex(SQL__STYPE *value, SQL__LTYPE *at, struct parser *p)
{
    struct token t;
    if (p->is_expression) {
        p->is_expression = false;
        *at = (struct span){0};
        return TK_EXPRESSION;
    }
    if (p->failed) return TK_BAD;
    take(p, &t);
    refine(p, &t);
    check(p, &t);
    *at = t.at;
    if (t.kind == TK_STRING || t.kind == TK_NUMBER)
        value->text = t.text;
    else
        value->word = t.text.p;
    memmove(p->last + 1, p->last, sizeof p->last - sizeof *p->last);
    p->last[0] = t;
    return p->failed ? TK_BAD : t.kind;
}

/* ---- syntax errors --------------------------------------------------------------------------- */

struct fits { /* the tokens that would have fitted */
    bool at[TK_ZONE + 1];
};

static void drop(struct fits *f, const int *kinds, size_t n)
{
    for (size_t i = 0; i < n; i++) f->at[kinds[i]] = false;
}
#define DROP(f, ...) drop(f, (const int[]){__VA_ARGS__}, countof(((const int[]){__VA_ARGS__})))

/* Where a name fits, so do the words that may be names; they say nothing about what is expected. A few words of a
 * class may be left out of such a place. */
static void drop_names(struct fits *f)
{
    for (int c = KEYWORD_RESERVED; f->at[TK_IDENT] && c <= KEYWORD_PLAIN; c++) {
        int n = keyword__count(c), there = 0;
        for (int i = 0; i < n; i++) there += f->at[keyword__at(c, i)];
        for (int i = 0; there + 4 >= n && i < n; i++) f->at[keyword__at(c, i)] = false;
    }
}

/* Puts one phrase in the place of many tokens. */
static const char *summary(struct fits *f)
{
    if (f->at[TK_CHECKPOINT] && f->at[TK_SUBSCRIBE]) {
        *f = (struct fits){0};
        return "a statement";
    }
    if (f->at[TK_NUMBER] && f->at[TK_CASE]) {
        DROP(f, TK_NUMBER, TK_STRING, TK_IDENT, TK_LPAREN, TK_PLUS, TK_MINUS, TK_TILDE, TK_NOT, TK_CASE, TK_CAST,
             TK_NULL_P, TK_TRUE, TK_FALSE, TK_ARRAY, TK_CURRENT_DATE, TK_CURRENT_TIME, TK_CURRENT_TIMESTAMP,
             TK_LOCALTIME, TK_LOCALTIMESTAMP);
        return "an expression";
    }
    if ((f->at[TK_TIMES] && f->at[TK_OP]) || (f->at[TK_EQ] && f->at[TK_AND])) {
        /* Without OR beside it, the AND is that of BETWEEN. */
        bool between = f->at[TK_AND] && !f->at[TK_OR];
        DROP(f, TK_OP, TK_PLUS, TK_MINUS, TK_TIMES, TK_DIVIDE, TK_MODULO, TK_POWER, TK_TILDE, TK_CAST_TO, TK_EQ, TK_NE,
             TK_LT, TK_LE, TK_GT, TK_GE, TK_AND, TK_OR, TK_NOT, TK_IS, TK_ISNULL, TK_NOTNULL, TK_LIKE, TK_ILIKE,
             TK_SIMILAR, TK_BETWEEN, TK_IN, TK_AT, TK_LBRACKET, TK_DOT, TK_LPAREN, TK_STRING, TK_ARROW, TK_PRECISION,
             TK_VARYING, TK_WITHOUT, TK_FILTER, TK_OVER, TK_WITHIN);
        f->at[TK_AND] = between;
        return "an operator";
    }
    return NULL;
}

/* One word stands for its kind. */
static void drop_kinds(struct fits *f)
{
    if (f->at[TK_JOIN] && f->at[TK_CROSS])
        DROP(f, TK_CROSS, TK_FULL, TK_INNER, TK_LEFT, TK_NATURAL, TK_RIGHT, TK_ANTI, TK_ASOF, TK_SEMI);
    if (f->at[TK_UNION]) DROP(f, TK_EXCEPT, TK_INTERSECT);
    if (f->at[TK_LIMIT]) DROP(f, TK_FETCH, TK_OFFSET);
    if (f->at[TK_EMIT]) DROP(f, TK_ALLOW, TK_LATE);
}

/* Words that begin what this dialect does not have, so that the refusal names it. */
static const struct {
    const char *word, *name;
    bool is_statement;
} absent[] = {
    {"analyze", "ANALYZE", true},      {"attach", "ATTACH", true},
    {"close", "CLOSE", true},          {"copy", "COPY", true},
    {"declare", "DECLARE", true},      {"delete", "DELETE", true},
    {"execute", "EXECUTE", true},      {"fetch", "FETCH", true},
    {"grant", "GRANT", true},          {"merge", "MERGE", true},
    {"prepare", "PREPARE", true},      {"restore", "RESTORE", true},
    {"revoke", "REVOKE", true},        {"truncate", "TRUNCATE", true},
    {"update", "UPDATE", true},        {"vacuum", "VACUUM", true},
    {"collate", "COLLATE", false},     {"lateral", "LATERAL", false},
    {"pivot", "PIVOT", false},         {"match_recognize", "MATCH_RECOGNIZE", false},
    {"recursive", "WITH RECURSIVE", false},
    {"tablesample", "TABLESAMPLE", false},
    {"temporal", "TEMPORAL PROBE JOIN", false},
    {"unpivot", "UNPIVOT", false},
};

/* What was asked for by the token that does not fit, by the one before it, or by the one before its parenthesis. */
static const char *missing(const struct parser *p)
{
    bool first = !p->last[1].at.end, parenthesis = p->last[1].kind == TK_LPAREN;
    for (size_t i = 0; i < countof(absent); i++)
        for (int k = 0; k < (absent[i].is_statement ? 1 : parenthesis ? 3 : 2); k++) {
            const struct token *t = &p->last[k];
            bool is_word = t->text.p && !t->quoted && (t->kind == TK_IDENT || keyword__class(t->kind));
            if (is_word && first >= absent[i].is_statement && !strcmp(t->text.p, absent[i].word)) return absent[i].name;
        }
    return NULL;
}

static const char *expected_keyword(const void *ctx, int i)
{
    const struct fits *f = ctx;
    for (int kind = TK_ALL; kind <= TK_ZONE; kind++)
        if (f->at[kind] && !i--) return token__name(kind);
    return NULL;
}

/* The keyword that was meant by t, or NULL. */
static const char *meant(const struct token *t, const struct fits *f)
{
    bool is_word = t->text.p && !t->quoted && (t->kind == TK_IDENT || keyword__class(t->kind));
    if (!is_word || t->text.n < 3) return NULL;
    const char *near = text_nearest(t->text.p, expected_keyword, f);
    return near && text_casecmp(near, t->text.p) ? near : NULL;
}

static void hint(struct parser *p, const struct fits *f, bool takes_name)
{
    const struct token *t = p->last;
    enum keyword_class c = keyword__class(t->kind);
    const char *near = meant(t, f);
    if (near)
        err_hint(p->err, "did you mean %s?", near);
    else if (t[1].kind == TK_IDENT && (near = meant(&t[1], f)))
        err_hint(p->err, "did you mean %s instead of %s?", near, t[1].text.p);
    else if (f->at[TK_END] && (t->kind == TK_SELECT || t->kind == TK_CREATE))
        err_hint(p->err, "is the semicolon missing before it?");
    else if (takes_name && (c == KEYWORD_RESERVED || c == KEYWORD_FUNCTION))
        err_hint(p->err, "%s is a reserved word; to use it as a name, write \"%s\" in double quotes",
                 token__name(t->kind), t->text.p);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Names of what fits: signs, then words by the alphabet, the end last. */
static int names_of(const struct fits *f, const char *phrase, const char **names)
{
    int n = 0, words;
    if (phrase) names[n++] = phrase;
    for (int kind = TK_END + 1; kind < TK_ALL; kind++)
        if (f->at[kind]) names[n++] = token__name(kind);
    words = n;
    for (int kind = TK_ALL; kind <= TK_ZONE; kind++)
        if (f->at[kind]) names[n++] = token__name(kind);
    qsort(names + words, (size_t)(n - words), sizeof *names, by_name);
    if (f->at[TK_END]) names[n++] = token__name(TK_END);
    return n;
}

/* ", expected a, b or c", shortened. */
static void expectation(const struct fits *f, const char *phrase, struct text *out)
{
    const char *names[TK_ZONE + 2];
    int n = names_of(f, phrase, names), shown = n <= 16 ? n : 15;
    for (int i = 0; i < shown; i++) {
        char c = (char)(names[i][0] | 0x20);
        text_puts(out, !i ? ", expected " : i == n - 1 ? " or " : ", ");
        text_printf(out, c >= 'a' && c <= 'z' ? "%s" : "\"%s\"", names[i]);
    }
    if (shown < n) text_puts(out, " ...");
}

/* The token as it stands in the text, shortened. */
static void quote_token(const struct parser *p, struct text *out)
{
    const struct token *t = p->last;
    uint32_t n = t->at.end - t->at.pos, max = 40;
    if (t->kind == TK_END) {
        text_puts(out, token__name(TK_END));
        return;
    }
    if (sql__is_hidden(p->lexer.text, p->lexer.n, t->at)) {
        text_puts(out, "\"***\"");
        return;
    }
    const char *s = p->lexer.text + t->at.pos;
    bool cut = n > max;
    for (n = cut ? max : n; cut && n && (s[n] & 0xc0) == 0x80;) n--;
    text_putc(out, '"');
    text_put(out, s, n);
    text_puts(out, cut ? "...\"" : "\"");
}

void parser__syntax(struct parser *p, const int *expected, int n)
{
    if (p->failed) return;
    struct text text = {.max = sizeof p->err->text - 1};
    struct fits f = {0};
    uint32_t pos = p->last[0].at.pos;
    const char *name = missing(p);
    for (int i = 0; i < n; i++) f.at[expected[i]] = true;
    DROP(&f, TK_EXPRESSION, TK_SEMICOLON, TK_NOT_LA, TK_WITH_LA);
    if (name) {
        parser__fail(p, E_UNSUPPORTED, pos, "%s is not supported", name);
        return;
    }
    bool takes_name = f.at[TK_IDENT];
    drop_names(&f);
    struct fits keywords = f;
    const char *phrase = summary(&f);
    drop_kinds(&f);
    text_puts(&text, "syntax error at ");
    quote_token(p, &text);
    expectation(&f, phrase, &text);
    parser__fail(p, E_SYNTAX, pos, "%s", text_cstr(&text));
    text_done(&text);
    hint(p, &keywords, takes_name);
}

/* ---- the face -------------------------------------------------------------------------------- */

static enum status begin(struct parser *p, struct arena *a, const char *text, size_t n, size_t at, struct err *err)
{
    *p = (struct parser){.arena = a};
    p->err = err ? err : &p->own;
    p->lexer = (struct lexer){.arena = a, .text = text, .n = n, .at = at, .err = p->err};
    if (n >= NO_POS) return err_set(p->err, E_LIMIT, "the text is longer than 4 GiB");
    if (!at && n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) p->lexer.at = 3;
    return ST_OK;
}

static enum status run(struct parser *p)
{
    if (!sql__parse(p) && !p->failed) return ST_OK;
    return p->err->code;
}

enum status sql_parse(struct arena *a, const char *text, size_t n, size_t *at, struct stmt **out, struct err *err)
{
    struct parser p;
    TRY(begin(&p, a, text, n, *at, err));
    while (peek(&p) == TK_SEMICOLON) p.has_ahead = false;
    if (p.ahead.kind == TK_END) {
        *at = n;
        return ST_DONE;
    }
    p.start = p.ahead.at.pos;
    TRY(run(&p));
    *at = p.lexer.at;
    *out = p.stmt;
    return ST_OK;
}

enum status sql_parse_expr(struct arena *a, const char *text, size_t n, struct ast **out, struct err *err)
{
    struct parser p;
    TRY(begin(&p, a, text, n, 0, err));
    p.is_expression = true;
    TRY(run(&p));
    struct token rest;
    do lexer__next(&p.lexer, &rest);
    while (rest.kind == TK_SEMICOLON);
    if (rest.kind == TK_BAD) return p.err->code;
    if (rest.kind != TK_END) return err_at(p.err, E_SYNTAX, rest.at.pos, "nothing may follow the expression");
    *out = p.expr;
    return ST_OK;
}

bool sql_incomplete(const char *text, size_t n)
{
    struct parser p;
    AUTO(arena_free) struct arena *a = arena_new();
    if (begin(&p, a, text, n, 0, NULL)) return false;
    bool inside = false;
    for (struct token t;;) {
        lexer__next(&p.lexer, &t);
        if (t.kind == TK_END) return inside;
        if (t.kind == TK_BAD) return p.lexer.unterminated;
        inside = t.kind != TK_SEMICOLON;
    }
}
