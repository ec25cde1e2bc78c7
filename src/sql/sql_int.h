/* What the files of this room share: the parser's state, tokens, and the builders the grammar calls.
 *
 * Builders never return NULL. What is wrong with a tree (too deep, a clause given twice) is noted once by
 * parser__fail, and the parser stops at the next token. SPDX-License-Identifier: Apache-2.0 */
#ifndef SQL_INT_H
#define SQL_INT_H

#include "sql/tree.h"

struct span {
    uint32_t pos, end;
};

struct piece { /* the bytes of a string literal; NUL-terminated as well */
    const char *p;
    uint32_t n;
};

/* Any LIST(T) of the tree. */
struct list {
    void **at;
    int n;
};
#define LIST_OF(x) ((struct list){(void **)(x).at, (x).n})
#define LIST_SET(to, from)                                                                                             \
    do {                                                                                                               \
        struct list from_ = (from);                                                                                    \
        _Static_assert(sizeof(to) == sizeof from_, "a LIST");                                                          \
        memcpy(&(to), &from_, sizeof from_);                                                                           \
    } while (0)
/* Room doubles when n reaches a power of two, so no capacity is kept. */
struct list list__add(struct arena *a, struct list l, const void *item);

/* ---- tokens ---------------------------------------------------------------------------------- */

struct token {
    int kind; /* a symbol of the grammar */
    struct span at;
    struct piece text; /* names (folded unless quoted), words, strings, numbers, operators */
    bool quoted;
};

/* Cuts text into tokens. Stops for good at an error: `err` is set then, and the token is BAD. */
struct lexer {
    struct arena *arena; /* of token texts */
    const char *text;
    size_t n, at; /* at: the next byte */
    struct err *err;
    bool unterminated; /* the error was an open quote or comment */
};
void lexer__next(struct lexer *lx, struct token *t);

enum keyword_class {
    KEYWORD_NONE,
    KEYWORD_RESERVED,
    KEYWORD_FUNCTION, /* names of functions and types */
    KEYWORD_COLUMN,   /* names of all else */
    KEYWORD_NOT_BARE, /* any name; an alias after AS only */
    KEYWORD_PLAIN
};
/* A symbol of the grammar, or 0. `word` is folded. */
int keyword__find(const char *word, size_t n);
enum keyword_class keyword__class(int kind);
/* How many keywords have the class; keyword__at gives the i-th. */
int keyword__count(enum keyword_class c);
int keyword__at(enum keyword_class c, int i);
/* How messages call a token: SELECT, a name, end of statement. */
const char *token__name(int kind);

/* ---- quotes and comments of text that need not make sense (substitute.c) ------------------------------------------- */

struct quoted {
    size_t from, to, end; /* what stands inside; behind the closing quote */
    bool closed;
};
/* Whether quotes open at s[at]. A doubled quote ends them, and opens the next. */
bool sql__quoted(const char *s, size_t n, size_t at, struct quoted *q);
/* Where the comment ends that begins at s[at]; `at`: none does. */
size_t sql__comment_end(const char *s, size_t n, size_t at);
/* Whether a byte of it is a secret's (secret.c). */
bool sql__is_hidden(const char *text, size_t n, struct span at);

/* ---- the parser ------------------------------------------------------------------------------ */

struct parser {
    struct arena *arena;
    struct err *err; /* never NULL */
    struct err own;  /* where the caller wants the code only */
    bool failed;
    struct lexer lexer;
    size_t start;       /* of the statement */
    bool is_expression; /* parses an expression alone: the first token says so to the grammar */
    int parens;
    struct token last[3]; /* the last tokens handed out, newest first */
    struct token ahead;
    bool has_ahead;
    struct stmt *stmt; /* the result, or */
    struct ast *expr;
    struct stmt *created; /* the CREATE or ALTER whose clauses are being read */
    bool has_columns;
};

/* Notes the first error; later ones are ignored. */
void parser__fail(struct parser *p, enum status code, uint32_t pos, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- builders: expressions (node.c) ---------------------------------------------------------- */

struct ast *node__new(struct parser *p, enum ast_kind kind, struct span at);
struct ast *node__text(struct parser *p, enum ast_kind kind, struct piece text, struct span at);
struct ast *node__bool(struct parser *p, bool value, struct span at);
struct ast *node__name(struct parser *p, enum ast_kind kind, struct list parts, struct span at);
struct ast *node__unary(struct parser *p, const char *name, struct ast *x, struct span at);
struct ast *node__binary(struct parser *p, const char *name, struct ast *l, struct ast *r, struct span at);
/* AND, OR. They associate, so a long chain is kept balanced and is not deep. */
struct ast *node__chain(struct parser *p, const char *name, struct ast *l, struct ast *r);
struct ast *node__list(struct parser *p, enum ast_kind kind, struct list args, struct span at);
struct ast *node__is(struct parser *p, struct ast *x, const char *name, bool negated, struct span at);
struct ast *node__distinct(struct parser *p, struct ast *l, struct ast *r, bool negated, struct span at);
struct ast *node__between(struct parser *p, struct ast *x, struct ast *low, struct ast *high, bool symmetric,
                          bool negated, struct span at);
struct ast *node__like(struct parser *p, const char *name, struct ast *x, struct ast *pattern, struct ast *escape,
                       bool negated, struct span at);
struct ast *node__in(struct parser *p, struct ast *x, struct list values, bool negated, struct span at);
struct ast *node__select(struct parser *p, enum ast_kind kind, struct ast *x, struct ast_select *s, bool negated,
                         struct span at);
struct ast *node__case(struct parser *p, struct ast *operand, struct list whens, struct ast *els, struct span at);
struct ast *node__cast(struct parser *p, struct ast *x, struct ast_type type, bool try_, struct span at);
struct ast *node__typed(struct parser *p, struct ast_type type, struct piece text, struct span at);
struct ast *node__interval(struct parser *p, struct piece text, const char *unit, struct span at);
struct ast *node__index(struct parser *p, struct ast *x, struct ast *index, struct span at);
struct ast *node__field(struct parser *p, struct ast *x, const char *name, struct span at);
struct ast *node__operator(struct parser *p, const char *name, struct ast *l, struct ast *r, struct span at);

/* Calls (call.c). args may hold `name => value` pairs made by call__named; windowing functions put them in order. */
struct ast *call__new(struct parser *p, const char *name, struct list args, struct span at);
struct ast *call__of(struct parser *p, const char *name, struct span at, int n, ...);
struct ast *call__named(struct parser *p, const char *name, struct ast *value, struct span at);
struct ast *call__distinct(struct parser *p, struct ast *call);
struct ast *call__order(struct parser *p, struct ast *call, struct list order, bool within_group);
struct ast *call__filter(struct parser *p, struct ast *call, struct ast *filter);
struct ast *call__over(struct parser *p, struct ast *call, struct ast_over *over);
/* decimal(10,2) '1.5': what looked like a call was a type. */
struct ast *call__typed(struct parser *p, struct ast *call, struct piece text, struct span at);

/* Types as written (type_ref.c). mods: numbers in parentheses; suffix: NULL, "with time zone" ... */
struct ast_type type_ref__new(struct parser *p, const char *word, struct list mods, const char *suffix, struct span at);

/* ---- builders: queries (query.c) ------------------------------------------------------------- */

struct alias {
    const char *name;
    struct list columns;
};
struct qualifier { /* of a join */
    struct ast *on;
    struct list using_;
};

struct finish { /* of a SELECT */
    struct list windows;
    struct ast *qualify;
};

struct ast_order *order__new(struct parser *p, struct ast *expr, bool desc, int nulls);
struct ast_over *over__new(struct parser *p, const char *name, struct list partition, struct list order);
int over__depth(const struct ast_over *over);
struct ast_from *from__name(struct parser *p, const char *name, struct ast *system_time, struct alias alias,
                            struct span at);
struct ast_from *from__select(struct parser *p, struct ast_select *s, struct alias alias, struct span at);
struct ast_from *from__call(struct parser *p, struct ast *call, struct alias alias, struct span at);
struct ast_from *from__join(struct parser *p, enum ast_join_kind join, struct ast_from *l, struct ast_from *r,
                            struct qualifier q, struct ast *match);
struct ast_from *from__natural(struct parser *p, enum ast_join_kind join, struct ast_from *l, struct ast_from *r);
struct ast_item *item__new(struct parser *p, struct ast *expr, const char *alias);
struct ast_window *window__new(struct parser *p, const char *name, struct ast_over *over);
struct ast_row *row__new(struct parser *p, struct list values);
struct ast_cte *cte__new(struct parser *p, const char *name, struct list columns, struct ast_select *select);
struct ast_select *select__new(struct parser *p, struct span at);
struct ast_select *select__with(struct parser *p, struct list ctes, struct span at);
struct ast_select *select__emit(struct parser *p, enum ast_emit emit, struct ast *every, struct span at);
struct ast_select *select__set(struct parser *p, enum ast_set op, bool all, struct ast_select *l, struct ast_select *r);
/* Moves the clauses of b (WITH, ORDER BY, LIMIT, EMIT ...) to a; each may be given once. Returns a. */
struct ast_select *select__merge(struct parser *p, struct ast_select *a, struct ast_select *b, struct span at);
/* Computes the depth once all clauses are there. */
struct ast_select *select__done(struct parser *p, struct ast_select *s);

/* ---- builders: statements (stmt.c) ----------------------------------------------------------- */

struct stmt *stmt__new(struct parser *p, enum stmt_kind kind, struct span at);
struct stmt *stmt__named(struct parser *p, enum stmt_kind kind, const char *name, struct span name_at, struct span at);
struct target { /* of a statement */
    const char *name;
    struct span at;
    bool flag; /* IF [NOT] EXISTS */
};
/* Sets p->created, on which what follows works. */
void stmt__create(struct parser *p, enum stmt_kind kind, bool or_replace, struct target target, struct span at);
void stmt__column(struct parser *p, const char *name, struct ast_type type, int constraints, struct span at);
void stmt__columns_end(struct parser *p, struct span at);
void stmt__primary_key(struct parser *p, struct list names, struct span at);
void stmt__wildcard(struct parser *p, struct span at);
void stmt__watermark(struct parser *p, const char *column, struct ast *expr, struct span at);
void stmt__connector(struct parser *p, const char *name, struct span at);
void stmt__format(struct parser *p, const char *name, struct span at);
void stmt__option(struct parser *p, const char *key, struct span key_at, const char *value, struct span value_at);
/* key, separator, part: the name of an option grows, up to OPTION_KEY_MAX bytes. */
const char *stmt__key(struct parser *p, const char *key, char separator, const char *part, struct span at);
/* A word as an option's value: as written, though names fold. */
const char *stmt__word(struct parser *p, const char *word, struct span at);
void stmt__from(struct parser *p, const char *name, struct ast_select *select, struct ast *where, struct span at);
void stmt__select(struct parser *p, struct ast_select *select, struct span at);
enum { CONSTRAINT_NOT_NULL = 1, CONSTRAINT_PRIMARY_KEY = 2 };

/* One more part of a name; there are at most NAME_PARTS. */
enum { NAME_PARTS = 4, OPTION_KEY_MAX = 200 };
struct list name__add(struct parser *p, struct list parts, const char *part, struct span at);
/* A dotted name of an object as one: "public" and "main" fall away. */
const char *name__object(struct parser *p, struct list parts);
const char *name__dotted(struct parser *p, struct list parts);

#endif
