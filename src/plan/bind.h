/* The binder's own face: names, expressions, groups and queries, from the syntax tree to plan nodes. One binder serves
 * one statement; all it makes lives in the statement's arena. The error travels in the binder: the first one set is the
 * statement's. SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_BIND_H
#define PLAN_BIND_H

#include "plan/node.h"

/* A WITH query; it sees those before it. */
struct cte {
    const struct ast_cte *ast;
    const struct cte *outer;
};

struct binder {
    struct arena *a;
    const struct catalog *catalog;
    struct err *err;
    const struct object **uses; /* objects named, each once */
    int nuses, uses_cap;
    const struct cte *ctes; /* innermost first */
    int depth;              /* of nested queries */
    int nfrom;              /* FROM items bound: nested WITH must not multiply without end */
};

/* E_UNSUPPORTED for `what`; `instead` says what is there instead. */
enum status bind_refuse(struct binder *b, uint32_t pos, const char *what, const char *instead);

/* ---- bind_scope.c: names ------------------------------------------------------------------------ */

/* One name that may be used. Hidden ones are found with their table only (the sides of USING). */
struct scope_column {
    const char *table; /* NULL: has none */
    const char *name;
    int column;
    bool hidden;
};
struct scope {
    struct plan *plan; /* whose columns these are */
    int n;
    struct scope_column *columns;
};

/* plan's columns under a table name. */
struct scope *scope_new(struct arena *a, struct plan *plan, const char *table);
/* Renames the first n columns: t(a, b). */
enum status scope_rename(struct binder *b, struct scope *s, const char *const *names, int n, uint32_t pos);
/* Both sides' names over `join`; the columns of using_ stand first, once. */
struct scope *scope_join(struct arena *a, const struct scope *left, const struct scope *right, struct plan *join,
                         const char *const *using_, int nusing);
#define SCOPE_NONE      (-1)
#define SCOPE_AMBIGUOUS (-2)
/* table may be NULL. A column of the plan, SCOPE_NONE or SCOPE_AMBIGUOUS. */
int scope_look(const struct scope *s, const char *table, const char *name);
bool scope_has_table(const struct scope *s, const char *table);
/* As scope_look, for the AST_NAME e; an error with the nearest name instead of a negative result. */
enum status scope_find(struct binder *b, const struct scope *s, const struct ast *e, int *column);
/* "t.c" or "c", for messages. */
const char *scope_print(const struct scope *s, int column, struct arena *a);

/* ---- bind_expr.c: expressions ------------------------------------------------------------------- */

struct grouping;

/* Where an expression stands. */
struct place {
    struct binder *b;
    const struct scope *scope; /* NULL: no columns here */
    const char *clause;        /* for messages: "WHERE" */
    struct grouping *grouping; /* NULL: no aggregates here */
    bool in_aggregate;
    int depth;
};
enum status bind_expr(struct place *p, const struct ast *e, struct expr **out);
/* A condition. */
enum status bind_bool(struct place *p, const struct ast *e, struct expr **out);
/* A constant span of time without months, in microseconds; a plain number is of `bare_us` each (0: refused).
 * what: "the window's size". */
enum status bind_span(struct binder *b, const struct ast *e, const char *what, int64_t bare_us, enum status code,
                      int64_t *out);
/* LIMIT and OFFSET; -1: NULL or none. */
enum status bind_count(struct binder *b, const struct ast *e, const char *what, int64_t *out);
/* PostgreSQL's name of an unnamed column. */
const char *bind_name(const struct ast *e);
/* Whether e is a call of that name. */
bool ast_is_call(const struct ast *e, const char *name);

/* ---- bind_agg.c: GROUP BY, aggregates, windows --------------------------------------------------- */

/* The arguments of TUMBLE. */
struct window_args {
    struct expr *time; /* BIGINT milliseconds or a timestamp */
    bool is_ms;
    int64_t size_us, offset_us;
};
enum status window_bind(struct place *p, const struct ast *call, struct window_args *out);
/* The start of the row's window: the scalar tumble. */
enum status window_start_expr(struct binder *b, const struct window_args *w, uint32_t pos, struct expr **out);
/* e plus so many microseconds, in e's unit. */
enum status time_plus(struct binder *b, struct expr *e, bool is_ms, int64_t us, uint32_t pos, struct expr **out);
/* HOP, SESSION, CUMULATE are refused by name; other names are none of this. */
enum status window_refuse(struct binder *b, const struct ast *call);

/* A query's groups. While its expressions are bound, what the aggregation gives (window bounds, results) are columns
 * beyond the input's; grouping_over then carries a whole expression over to the aggregation's output. */
struct grouping {
    struct binder *b;
    const struct scope *scope;
    int base; /* the first column beyond the input's */
    bool active;
    uint32_t pos;
    int nkeys, keys_cap;
    struct expr **keys;
    const char **key_names;
    int naggs, aggs_cap;
    struct agg_call **aggs;
    enum window_kind window;
    struct window_args args;
    int start_column, end_column; /* WINDOW_COLUMNS: the input's, or -1 */
    struct expr *order_time;
    int64_t lag_us, lateness_us;
};
void grouping_init(struct grouping *g, struct binder *b, const struct scope *scope);
/* One GROUP BY item, positions and aliases resolved. */
enum status grouping_add(struct grouping *g, const struct ast *e);
enum status grouping_add_expr(struct grouping *g, struct expr *e, const char *name); /* already bound */
/* After all items: windows over window columns are found, times checked. */
enum status grouping_windows(struct grouping *g);
/* An aggregate call or a window function (tumble_start ...) in an expression; *out stays NULL when e is neither. */
enum status grouping_call(struct place *p, const struct ast *e, struct expr **out);
/* window_start, window_end, window_time of the group; *out stays NULL when e is none of these. */
enum status grouping_name(struct place *p, const struct ast *e, struct expr **out);
/* The aggregation above `in`. */
enum status grouping_plan(struct grouping *g, struct plan *in, const struct ast_select *s, struct plan **out);
/* e, bound over the input, over the aggregation's output. */
enum status grouping_over(struct grouping *g, const struct expr *e, struct expr **out);
/* DISTINCT: groups by all columns. */
enum status grouping_distinct(struct binder *b, struct plan *in, const struct ast_select *s, struct plan **out);

/* ---- bind_from.c: FROM --------------------------------------------------------------------------- */

enum status bind_from(struct binder *b, const struct ast_from *f, struct scope **out);
/* Gives WHERE's conjuncts to the joins below that can use them and leaves the others. */
enum status bind_join_where(struct binder *b, struct plan *p, struct conjuncts *c);
/* Every join has a key and bounded inputs. */
enum status bind_join_check(struct binder *b, const struct ast_from *f, const struct plan *p);
/* The named object, noted as used. */
enum status bind_object(struct binder *b, const char *name, uint32_t pos, const struct object **out);

/* ---- bind_select.c: queries ---------------------------------------------------------------------- */

/* settle: literals that nothing gave a type become VARCHAR (not yet in an arm of UNION). */
enum status bind_select(struct binder *b, const struct ast_select *s, bool settle, struct plan **out);

/* ---- plan.c ---------------------------------------------------------------------------------------- */

/* Binds and rewrites; `name` is the object's whose plan it is. */
enum status plan_query(struct arena *a, const struct catalog *c, const struct ast_select *s, bool keep_root,
                       const char *name, struct plan **out, const struct object ***uses, int *nuses, struct err *err);

#endif
