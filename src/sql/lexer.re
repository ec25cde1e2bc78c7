/* Text into tokens. Bytes are checked to be UTF-8 as they are read; a NUL byte or a broken sequence is an error
 * wherever it stands, comments included. Nothing is read beyond the text's end: a byte there counts as 0.
 *
 * Texts of tokens live in the arena: names folded to lower case (ASCII only, as PostgreSQL does with UTF-8) unless
 * quoted, strings with quotes and escapes resolved. SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

#include "sql_grammar.h"

/* The parts of a quoted text that differ: where it ends, how it hides its own end. */
enum quote { QUOTE_STRING = '\'', QUOTE_ESCAPED = 'E', QUOTE_NAME = '"', QUOTE_BACKTICK = '`' };

static void fail(struct lexer *lx, struct token *t, enum status code, size_t pos, const char *text)
{
    err_at(lx->err, code, (uint32_t)pos, "%s", text);
    t->kind = TK_BAD;
}

static void bad_byte(struct lexer *lx, struct token *t, size_t pos)
{
    if (lx->text[pos])
        fail(lx, t, E_ENCODING, pos, "the text is not valid UTF-8");
    else
        fail(lx, t, E_SYNTAX, pos, "the text contains a NUL byte");
}

static void unexpected(struct lexer *lx, struct token *t)
{
    int n = (int)(t->at.end - t->at.pos);
    const char *p = lx->text + t->at.pos;
    if (*p == '$' && t->at.pos + 1 < lx->n && p[1] == '{')
        err_at(lx->err, E_SYNTAX, t->at.pos, "a variable is written ${NAME} or ${NAME:-default}");
    else if ((unsigned char)*p < ' ' || *p == 127)
        err_at(lx->err, E_SYNTAX, t->at.pos, "unexpected character U+%04X", (unsigned)*p);
    else
        err_at(lx->err, E_SYNTAX, t->at.pos, "unexpected character \"%.*s\"", n, p);
    t->kind = TK_BAD;
}

static void unterminated(struct lexer *lx, struct token *t, size_t pos, const char *text)
{
    lx->unterminated = true;
    fail(lx, t, E_SYNTAX, pos, text);
}

/*!re2c
    re2c:api = custom;
    re2c:api:style = free-form;
    re2c:yyfill:enable = 0;
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYPEEK = "(i < n ? (unsigned char)s[i] : 0)";
    re2c:define:YYSKIP = "++i;";
    re2c:define:YYBACKUP = "mark = i;";
    re2c:define:YYRESTORE = "i = mark;";

    nul = [\x00];
    ascii = [\x01-\x7f];
    tail = [\x80-\xbf];
    wide = [\xc2-\xdf] tail | "\xe0" [\xa0-\xbf] tail | [\xe1-\xec\xee\xef] tail tail | "\xed" [\x80-\x9f] tail
         | "\xf0" [\x90-\xbf] tail tail | [\xf1-\xf3] tail tail tail | "\xf4" [\x80-\x8f] tail tail;
    space = [ \t\r\n\v\f];
    first = [a-zA-Z_] | wide;
    word = first ([a-zA-Z0-9_$] | wide)*;
    digits = [0-9]+;
    decimal = digits ("." [0-9]*)? | "." digits;
    number = decimal ([eE] [+-]? digits)?;
*/

/* From `i`, the byte after the opening quote, past the closing one; 0 when t has become an error. */
static size_t quoted(struct lexer *lx, struct token *t, size_t i, enum quote q)
{
    const char *s = lx->text;
    size_t n = lx->n, mark = 0, from = i;
    unsigned char end = q == QUOTE_ESCAPED ? '\'' : (unsigned char)q;
    for (;;) {
        from = i;
        /*!re2c
            nul {
                if (from < n)
                    bad_byte(lx, t, from);
                else
                    unterminated(lx, t, t->at.pos,
                                 end == '\'' ? "the string is not closed" : "the quoted name is not closed");
                return 0;
            }
            ["'`] {
                if ((unsigned char)s[from] != end) continue;
                if (i >= n || (unsigned char)s[i] != end) return i;
                i++;
                continue;
            }
            "\\" { if (q == QUOTE_ESCAPED && i < n && (s[i] == '\'' || s[i] == '\\')) i++; continue; }
            ascii | wide { continue; }
            * { bad_byte(lx, t, from); return 0; }
        */
    }
}

static bool put_utf8(char **to, uint32_t c)
{
    if (!c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
    char *p = *to;
    if (c < 0x80) {
        *p++ = (char)c;
    } else if (c < 0x800) {
        *p++ = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        *p++ = (char)(0xe0 | c >> 12);
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        *p++ = (char)(0xf0 | c >> 18);
        *p++ = (char)(0x80 | (c >> 12 & 0x3f));
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80) *p++ = (char)(0x80 | (c & 0x3f));
    *to = p;
    return true;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Up to max digits of a base at *at; -1 when there are fewer than min. */
static int64_t code_point(const char *s, size_t *at, size_t end, int base, int min, int max)
{
    int64_t c = 0;
    int k = 0;
    for (; k < max && *at < end && digit(s[*at]) < base; k++, ++*at) c = c * base + digit(s[*at]);
    return k < min ? -1 : c;
}

/* One backslash escape; *at is behind the backslash. A byte given by number must be ASCII; \u is for the others. */
static bool escape(const char *s, size_t *at, size_t end, char **to)
{
    static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
    char c = s[*at];
    int64_t code;
    const char *plain = strchr(from, c);
    if (c >= '0' && c <= '7')
        code = code_point(s, at, end, 8, 1, 3);
    else if (c == 'x' && *at + 1 < end && digit(s[*at + 1]) < 16)
        ++*at, code = code_point(s, at, end, 16, 1, 2);
    else if (c == 'u')
        return ++*at, put_utf8(to, (uint32_t)code_point(s, at, end, 16, 4, 4));
    else if (c == 'U')
        return ++*at, put_utf8(to, (uint32_t)code_point(s, at, end, 16, 8, 8));
    else
        return ++*at, *(*to)++ = plain && c ? into[plain - from] : c, true;
    return code > 0 && code < 0x80 && put_utf8(to, (uint32_t)code);
}

/* Appends text[from..end) to `to` with doubled quotes and escapes resolved; returns the new end of `to`, or NULL. */
static char *unquote(struct lexer *lx, struct token *t, size_t from, size_t end, enum quote q, char *to)
{
    const char *s = lx->text;
    char close = q == QUOTE_ESCAPED ? '\'' : (char)q;
    while (from < end) {
        size_t pos = from;
        if (s[from] == '\\' && q == QUOTE_ESCAPED) {
            from++;
            if (!escape(s, &from, end, &to)) {
                fail(lx, t, E_SYNTAX, pos, "invalid escape: there are \\b \\f \\n \\r \\t \\x41 \\101 \\u0041");
                return NULL;
            }
            continue;
        }
        if (s[from] == close) from++;
        *to++ = s[from++];
    }
    return to;
}

/* Strings that only a line break parts are one: where the next one opens, or 0. */
static size_t continued(const struct lexer *lx, size_t i)
{
    bool newline = false;
    for (; i < lx->n && (lx->text[i] == ' ' || (lx->text[i] >= '\t' && lx->text[i] <= '\r')); i++)
        newline |= lx->text[i] == '\n' || lx->text[i] == '\r';
    return newline && i < lx->n && lx->text[i] == '\'' ? i + 1 : 0;
}

static void take_quoted(struct lexer *lx, struct token *t, size_t from, enum quote q, int kind)
{
    char *text = NULL;
    uint32_t n = 0;
    t->kind = kind;
    t->quoted = true;
    while (from) {
        size_t end = quoted(lx, t, from, q);
        if (!end) return;
        char *grown = arena_alloc(lx->arena, n + (end - from));
        if (n) memcpy(grown, text, n);
        text = grown;
        char *to = unquote(lx, t, from, end - 1, q, text + n);
        if (!to) return;
        n = (uint32_t)(to - text);
        text[n] = 0;
        lx->at = end;
        t->at.end = (uint32_t)end;
        from = kind == TK_STRING ? continued(lx, end) : 0;
    }
    t->text = (struct piece){text, n};
    if (kind == TK_IDENT && !n) fail(lx, t, E_SYNTAX, t->at.pos, "a quoted name must not be empty");
}

/* $tag$ ... $tag$, from the byte behind the opening tag of `tag_n` bytes. */
static void take_dollar(struct lexer *lx, struct token *t, size_t from, size_t tag_n)
{
    const char *s = lx->text, *tag = s + from - tag_n;
    size_t i = from, n = lx->n, mark = 0;
    for (;;) {
        size_t at = i;
        /*!re2c
            nul {
                if (at < n)
                    bad_byte(lx, t, at);
                else
                    unterminated(lx, t, t->at.pos, "the dollar-quoted string is not closed");
                return;
            }
            "$" {
                if (n - at < tag_n || memcmp(s + at, tag, tag_n)) continue;
                t->kind = TK_STRING;
                t->text = (struct piece){arena_strndup(lx->arena, s + from, at - from), (uint32_t)(at - from)};
                lx->at = at + tag_n;
                t->at.end = (uint32_t)lx->at;
                return;
            }
            ascii | wide { continue; }
            * { bad_byte(lx, t, at); return; }
        */
    }
}

/* Past a comment that starts at lx->at. */
static bool skip_comment(struct lexer *lx, struct token *t)
{
    const char *s = lx->text;
    size_t n = lx->n, mark = 0, i = lx->at + 2, start = lx->at;
    bool block = s[start] == '/';
    int depth = 1;
    for (;;) {
        size_t at = i;
        /*!re2c
            nul {
                lx->at = at;
                if (at < n) return bad_byte(lx, t, at), false;
                if (block) return unterminated(lx, t, start, "the comment is not closed"), false;
                return true;
            }
            "\n" { if (block) continue; lx->at = i; return true; }
            "/" "*" { depth++; continue; }
            "*" "/" { if (!block || --depth) continue; lx->at = i; return true; }
            ascii | wide { continue; }
            * { bad_byte(lx, t, at); return false; }
        */
    }
}

/* A name or keyword. */
static void take_word(struct lexer *lx, struct token *t)
{
    size_t n = t->at.end - t->at.pos;
    char *word = arena_strndup(lx->arena, lx->text + t->at.pos, n);
    for (size_t i = 0; i < n; i++)
        if (word[i] >= 'A' && word[i] <= 'Z') word[i] |= 0x20;
    t->text = (struct piece){word, (uint32_t)n};
    int kind = keyword__find(word, n);
    t->kind = kind ? kind : TK_IDENT;
}

static void take_number(struct lexer *lx, struct token *t)
{
    t->kind = TK_NUMBER;
    t->text.n = t->at.end - t->at.pos;
    t->text.p = arena_strndup(lx->arena, lx->text + t->at.pos, t->text.n);
}

static void take_operator(struct token *t, const char *name)
{
    t->kind = TK_OP;
    t->text = (struct piece){name, (uint32_t)strlen(name)};
}

void lexer__next(struct lexer *lx, struct token *t)
{
    const char *s = lx->text;
    size_t n = lx->n, i = lx->at, mark = 0;
    for (;;) {
        *t = (struct token){.at = {(uint32_t)i, 0}};
        size_t from = i;
#define TAKE_KIND(k)                                                                                                   \
    do {                                                                                                               \
        t->kind = (k);                                                                                                 \
        t->at.end = (uint32_t)(lx->at = i);                                                                            \
        return;                                                                                                        \
    } while (0)
#define TAKE_BY(call)                                                                                                  \
    do {                                                                                                               \
        t->at.end = (uint32_t)(lx->at = i);                                                                            \
        call;                                                                                                          \
        return;                                                                                                        \
    } while (0)
        /*!re2c
            nul {
                if (from < n) TAKE_BY(bad_byte(lx, t, from));
                i = from;
                TAKE_KIND(TK_END);
            }
            space+ { continue; }
            "--" | "/*" {
                lx->at = from;
                if (!skip_comment(lx, t)) return;
                i = lx->at;
                continue;
            }
            ";" { TAKE_KIND(TK_SEMICOLON); }
            "(" { TAKE_KIND(TK_LPAREN); }
            ")" { TAKE_KIND(TK_RPAREN); }
            "[" { TAKE_KIND(TK_LBRACKET); }
            "]" { TAKE_KIND(TK_RBRACKET); }
            "," { TAKE_KIND(TK_COMMA); }
            "." { TAKE_KIND(TK_DOT); }
            "::" { TAKE_KIND(TK_CAST_TO); }
            "=>" { TAKE_KIND(TK_ARROW); }
            "=" { TAKE_KIND(TK_EQ); }
            "<>" | "!=" { TAKE_KIND(TK_NE); }
            "<" { TAKE_KIND(TK_LT); }
            "<=" { TAKE_KIND(TK_LE); }
            ">" { TAKE_KIND(TK_GT); }
            ">=" { TAKE_KIND(TK_GE); }
            "+" { TAKE_KIND(TK_PLUS); }
            "-" { TAKE_KIND(TK_MINUS); }
            "*" { TAKE_KIND(TK_TIMES); }
            "/" { TAKE_KIND(TK_DIVIDE); }
            "%" { TAKE_KIND(TK_MODULO); }
            "^" { TAKE_KIND(TK_POWER); }
            "~" { TAKE_KIND(TK_TILDE); }
            "||" { TAKE_BY(take_operator(t, "||")); }
            "->" { TAKE_BY(take_operator(t, "->")); }
            "->>" { TAKE_BY(take_operator(t, "->>")); }
            "#>" { TAKE_BY(take_operator(t, "#>")); }
            "#>>" { TAKE_BY(take_operator(t, "#>>")); }
            "#" { TAKE_BY(take_operator(t, "#")); }
            "&" { TAKE_BY(take_operator(t, "&")); }
            "&&" { TAKE_BY(take_operator(t, "&&")); }
            "|" { TAKE_BY(take_operator(t, "|")); }
            "<<" { TAKE_BY(take_operator(t, "<<")); }
            ">>" { TAKE_BY(take_operator(t, ">>")); }
            "@>" { TAKE_BY(take_operator(t, "@>")); }
            "<@" { TAKE_BY(take_operator(t, "<@")); }
            "?" { TAKE_BY(take_operator(t, "?")); }
            "?|" { TAKE_BY(take_operator(t, "?|")); }
            "?&" { TAKE_BY(take_operator(t, "?&")); }
            "~*" { TAKE_BY(take_operator(t, "~*")); }
            "!~" { TAKE_BY(take_operator(t, "!~")); }
            "!~*" { TAKE_BY(take_operator(t, "!~*")); }
            "'" { TAKE_BY(take_quoted(lx, t, i, QUOTE_STRING, TK_STRING)); }
            [eE] "'" { TAKE_BY(take_quoted(lx, t, i, QUOTE_ESCAPED, TK_STRING)); }
            ["] { TAKE_BY(take_quoted(lx, t, i, QUOTE_NAME, TK_IDENT)); }
            "`" { TAKE_BY(take_quoted(lx, t, i, QUOTE_BACKTICK, TK_IDENT)); }
            "$" (first ([a-zA-Z0-9_] | wide)*)? "$" { TAKE_BY(take_dollar(lx, t, i, i - from)); }
            word { TAKE_BY(take_word(lx, t)); }
            number { TAKE_BY(take_number(lx, t)); }
            number first {
                TAKE_BY(fail(lx, t, E_SYNTAX, from, "a number must not be followed by a letter"));
            }
            ascii | wide {
                TAKE_BY(unexpected(lx, t));
            }
            * { TAKE_BY(bad_byte(lx, t, from)); }
        */
#undef TAKE_KIND
#undef TAKE_BY
    }
}
