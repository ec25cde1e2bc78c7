/* The syntax tree of a statement, and its text again. Everything lives in the arena given to
 * sql_parse. Names are already folded (unquoted to lower case). Every node has the byte offset of its
 * first character in the statement's text. SPDX-License-Identifier: Apache-2.0 */
#ifndef SQL_TREE_H
#define SQL_TREE_H

#include "arrow/type.h"

/* A growing list whose items are pointers to arena memory. */
#define LIST(T)                                                                                    \
    struct {                                                                                       \
        T **at;                                                                                    \
        int n;                                                                                     \
    }

struct ast_select;

/* ---- expressions ---------------------------------------------------------------------------- */

enum ast_kind {
    AST_NULL,
    AST_BOOL,     /* flag */
    AST_NUMBER,   /* text as written: 12, 1.50, 1e3 */
    AST_STRING,   /* text, quotes and escapes resolved; n bytes */
    AST_TYPED,    /* type text: DATE '2024-01-02', float8 '1' */
    AST_INTERVAL, /* text as written within the quotes or the bare number, unit in `name`: "year", "quarter",
                     "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond",
                     "day to second" ...; "" when inside the text */
    AST_NAME,     /* parts: [schema.][table.]column */
    AST_STAR,     /* * or, with parts, t.* */
    AST_CALL,     /* name(args): also operators that are functions in disguise: EXTRACT(f FROM x) is
                     extract('f', x), SUBSTRING(x FROM a FOR b) is substring(x, a, b), POSITION(a IN b)
                     is position(a, b), TRIM(BOTH c FROM x) is btrim/ltrim/rtrim(x, c), OVERLAY likewise,
                     CEILING is ceil, x AT TIME ZONE z is timezone(z, x), CURRENT_DATE and its like have no
                     arguments, COALESCE, NULLIF, GREATEST, LEAST, TUMBLE, HOP ... are calls */
    AST_CAST,     /* args[0] AS type; x::t and TRY_CAST (flag) too */
    AST_CASE,     /* operand (may be NULL), args = when, then, when, then ...; els */
    AST_UNARY,    /* name: "-", "+", "not", "~" */
    AST_BINARY,   /* name: + - * / % ^ || = <> < <= > >= and or & | # << >> -> ->> and others */
    AST_BETWEEN,  /* args = x, low, high; negated; flag = SYMMETRIC */
    AST_IN,       /* args[0] IN (args[1..]); negated */
    AST_IN_SELECT,/* args[0] IN (select); negated */
    AST_LIKE,     /* args = x, pattern[, escape]; name = "like", "ilike", "similar to", "~", "~*"; negated */
    AST_IS,       /* args[0] IS name: "null", "true", "false", "unknown"; negated */
    AST_DISTINCT, /* args[0] IS DISTINCT FROM args[1]; negated */
    AST_EXISTS,   /* select */
    AST_SCALAR,   /* (select) as a value */
    AST_ARRAY,    /* ARRAY[...] */
    AST_INDEX,    /* args[0][args[1]] */
    AST_FIELD,    /* (args[0]).name */
    AST_DESCRIPTOR, /* DESCRIPTOR(name) as an argument of a windowing table function: parts, the last one as name too */
    AST_TABLE_ARG,  /* TABLE name as an argument of one */
};

struct ast_order {
    struct ast *expr;
    bool desc;
    int nulls; /* 0: default, 1: first, 2: last */
};

struct ast_bound { /* of a window frame */
    enum { BOUND_UNBOUNDED_PRECEDING, BOUND_PRECEDING, BOUND_CURRENT, BOUND_FOLLOWING, BOUND_UNBOUNDED_FOLLOWING } kind;
    struct ast *offset;
};

struct ast_over {
    const char *name; /* OVER w, or the window it extends; NULL */
    LIST(struct ast) partition;
    LIST(struct ast_order) order;
    const char *frame; /* "rows", "range", "groups" or NULL */
    struct ast_bound from, to;
    const char *exclude; /* NULL, "current row", "group", "ties", "no others" */
};

struct ast_type { /* a type as written, resolved to what the arrow room knows */
    struct type type;
    const char *word; /* folded, for messages: "decimal" */
    uint32_t pos;
};

struct ast {
    enum ast_kind kind;
    uint32_t pos, end; /* [pos, end) in the statement's text: messages and default column names */
    bool flag, negated;
    uint16_t depth; /* of the tree under it, at most SQL_DEPTH_MAX: recursion over a tree is safe */
    const char *name, *text;
    uint32_t text_n;
    const char *parts[4]; /* AST_NAME, AST_STAR */
    int nparts;
    uint32_t chain; /* the parser's: operands of a chain of AND or of OR, which it keeps balanced */
    LIST(struct ast) args;
    struct ast *operand, *els;
    struct ast_type type;
    struct ast_select *select;
    /* AST_CALL only */
    bool distinct, star;          /* f(DISTINCT x), count(*) */
    struct ast *filter;           /* FILTER (WHERE ...) */
    LIST(struct ast_order) order; /* f(x ORDER BY ...), and WITHIN GROUP (within set) */
    bool within_group;
    bool grouped; /* the parser's: stood in parentheses */
    struct ast_over *over;
};

/* ---- queries ---------------------------------------------------------------------------------- */

enum ast_from_kind { FROM_NAME, FROM_SELECT, FROM_CALL /* TUMBLE(t, ...), t [AS a] */, FROM_JOIN, FROM_VALUES };
enum ast_join_kind { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL, JOIN_CROSS, JOIN_SEMI, JOIN_ANTI, JOIN_ASOF, JOIN_ASOF_LEFT };

struct ast_from {
    enum ast_from_kind kind;
    uint32_t pos;
    uint16_t depth;
    const char *name;  /* FROM_NAME: the object (schema dropped when it is "public" or "main") */
    const char *alias; /* or NULL */
    LIST(const char) columns; /* alias(c1, c2) */
    struct ast_select *select;
    struct ast *call;
    struct ast *system_time; /* FOR SYSTEM_TIME AS OF expr */
    /* FROM_JOIN */
    enum ast_join_kind join;
    struct ast_from *left, *right;
    struct ast *on, *match; /* match: MATCH_CONDITION(...) */
    LIST(const char) using_;
    bool natural;
};

struct ast_item {
    struct ast *expr; /* AST_STAR too */
    const char *alias;
};

enum ast_emit { EMIT_NONE, EMIT_ON_WATERMARK, EMIT_ON_WINDOW_CLOSE, EMIT_ON_UPDATE, EMIT_EVERY, EMIT_CHANGES, EMIT_FINAL };
enum ast_set { SET_NONE, SET_UNION, SET_INTERSECT, SET_EXCEPT };

struct ast_cte {
    const char *name;
    LIST(const char) columns;
    struct ast_select *select;
};

struct ast_row {
    LIST(struct ast) values;
};

struct ast_window {
    const char *name;
    struct ast_over *over;
};

struct ast_select {
    uint32_t pos, end;
    uint16_t depth;
    LIST(struct ast_cte) with;
    /* set operations: then only left, right, all and what follows ORDER BY are used */
    enum ast_set set;
    bool all;
    struct ast_select *left, *right;
    /* VALUES (..), (..) as a query */
    LIST(struct ast_row) values;
    bool distinct;
    LIST(struct ast) distinct_on;
    LIST(struct ast_item) items;
    struct ast_from *from; /* NULL: SELECT 1; a comma list is a chain of JOIN_CROSS */
    struct ast *where;
    LIST(struct ast) group;
    struct ast *having, *qualify;
    LIST(struct ast_window) windows;
    LIST(struct ast_order) order;
    struct ast *limit, *offset;
    /* streaming clauses, in any order after the query */
    enum ast_emit emit;
    uint32_t emit_pos;
    struct ast *emit_every; /* an interval */
    struct ast *lateness;   /* ALLOW LATENESS interval */
    const char *late_to;    /* LATE DATA TO name */
};

/* ---- statements ------------------------------------------------------------------------------- */

enum stmt_kind {
    STMT_SELECT,
    STMT_CREATE_SOURCE,
    STMT_CREATE_STREAM,  /* also CREATE STREAM t (columns) */
    STMT_CREATE_SINK,
    STMT_CREATE_VIEW,    /* CREATE MATERIALIZED VIEW */
    STMT_CREATE_TABLE,
    STMT_CREATE_LOOKUP,  /* CREATE LOOKUP TABLE */
    STMT_DROP,
    STMT_ALTER,
    STMT_INSERT,
    STMT_SHOW,           /* what: "sources", "sinks", "streams", "tables", "functions", "connectors", "formats",
                            "metrics", "materialized views" ..., a setting's name, or "create" with name and, in value,
                            the kind of object */
    STMT_DESCRIBE,
    STMT_EXPLAIN,
    STMT_SET,
    STMT_SUBSCRIBE,
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_CHECKPOINT,
    STMT_LOAD, /* value: the module's path or name, at name_pos */
};

struct ast_option {
    const char *key; /* dots as written, folded, - turned into _ is the reader's affair */
    const char *value;
    uint32_t pos, value_pos;
};

struct ast_column {
    const char *name;
    struct ast_type type;
    bool not_null, primary_key;
    uint32_t pos;
};

struct ast_watermark {
    const char *column;
    struct ast *expr; /* NULL: WATERMARK FOR c */
    uint32_t pos;
};

struct stmt {
    enum stmt_kind kind;
    uint32_t pos, end; /* in the script's text, without the semicolon */
    bool or_replace, if_not_exists, if_exists, cascade, discard, extended, analyze;
    const char *name; /* the object's */
    uint32_t name_pos;
    const char *what; /* SHOW, DROP ("source", "sink", "stream", "materialized view", ...), ALTER's kind, SET's key */
    const char *value; /* SET's value; the pattern of SHOW ... LIKE; SUBSCRIBE's epoch (NULL: none); ALTER's action ("set", "pause", "resume", "retry", "skip", "add column") */
    /* CREATE */
    LIST(struct ast_column) columns;
    LIST(const char) primary_key;
    bool wildcard; /* `*` among the columns */
    struct ast_watermark *watermark;
    const char *connector; /* FROM KAFKA (...), INTO FILE (...), or WITH ('connector' = ...); folded; NULL: none */
    uint32_t connector_pos;
    const char *format; /* FORMAT JSON; NULL: as the options say */
    LIST(struct ast_option) options;        /* of connector, format and WITH, merged, without `connector` */
    /* CREATE SINK */
    const char *from;
    uint32_t from_pos;
    struct ast *where;
    /* AS SELECT; the SELECT; EXPLAIN's; CREATE SINK FROM (query); INSERT's source; SUBSCRIBE's WHERE is `where` */
    struct ast_select *select;
    struct stmt *explained; /* EXPLAIN CREATE ... or EXPLAIN SELECT; NULL: EXPLAIN STREAM name, its kind in what */
    LIST(const char) insert_columns;
};

/* ---- parsing ------------------------------------------------------------------------------------ */

#define SQL_DEPTH_MAX 256
#define SQL_TEXT_MAX (4u << 20)

/* Parses the first statement of text[*at..n) and moves *at past its semicolon. ST_DONE: only blanks
 * and comments were left. On a syntax error err has the position, what was expected and, where one
 * is near, the word that was meant; *at stays. Positions everywhere are offsets into text. */
enum status sql_parse(struct arena *a, const char *text, size_t n, size_t *at, struct stmt **out, struct err *err);
/* An expression alone (WHERE filters of subscriptions). */
enum status sql_parse_expr(struct arena *a, const char *text, size_t n, struct ast **out, struct err *err);
/* Replaces ${NAME} and ${NAME:-default} outside of comments by what lookup(ctx, name) gives (NULL: not set, so the
 * default or E_VAR). Inside quotes the value's own quotes are doubled. The result lives in the arena. */
enum status sql_substitute(struct arena *a, const char *text, size_t n, const char *(*lookup)(void *ctx, const char *name),
                           void *ctx, const char **out, size_t *out_n, struct err *err);
/* The place in text that byte pos of its substitution came from; what a variable gave is where the variable stands. */
size_t sql_substitute_origin(const char *text, size_t n, const char *(*lookup)(void *ctx, const char *name), void *ctx, size_t pos);
/* Where the statement that begins at text[at] ends: behind its semicolon, or at n. Text with ${NAME} in it will do. */
size_t sql_statement_end(const char *text, size_t n, size_t at);
/* Whether a secret stands in text in so many letters (secret.c says what is one). */
bool sql_has_secret(const char *text, size_t n);
/* What the variables in text hold is not said by the message about it: ${NAME} takes its place. */
void sql_hide_values(const char *text, size_t n, const char *(*lookup)(void *ctx, const char *name), void *ctx, struct err *err);
/* Whether text ends inside a statement (no semicolon yet, or an open quote or comment): the shell's
 * continuation prompt. */
bool sql_incomplete(const char *text, size_t n);

struct text;
/* Puts text without its secrets, *** in the place of each, and moves *pos to the same place there. */
void sql_mask(const char *text, size_t n, size_t *pos, struct text *out);
/* Text that parses to the same tree: print(parse(print(t))) == print(t). */
void sql_print(const struct stmt *s, struct text *out);
void sql_print_expr(const struct ast *e, struct text *out);
void sql_print_select(const struct ast_select *s, struct text *out);
/* An identifier as it must be written: quoted when it is reserved or not plain lower case. */
void sql_print_name(const char *name, struct text *out);

/* "file:line:column: message", the line without its secrets, a caret under the place, the hint. */
void sql_print_error(const char *file, const char *text, size_t n, const struct err *err, struct text *out);

#endif
