/* Typed expressions: built and checked here, evaluated over whole columns. The room knows types,
 * functions, operators and casts; it knows no syntax and no catalog.
 *
 * Building happens in an arena. A call resolves its overload, inserts the casts PostgreSQL 15 would,
 * and folds constants. A built expression is read-only: several evaluators may share it.
 *
 * Evaluating: kernels run on the active rows only. Text results point into the input batch, the
 * output batch or the evaluator's own batch. A row that fails (overflow, division by zero, a failed
 * cast) gives NULL where it failed (the innermost call) and is marked; the caller's policy decides.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_EXPR_H
#define EXPR_EXPR_H

#include "arrow/batch.h"

enum expr_kind { EXPR_CONST, EXPR_COLUMN, EXPR_CALL, EXPR_CAST, EXPR_CASE, EXPR_AND, EXPR_OR };

struct function; /* one overload; opaque outside the room */

struct expr {
    enum expr_kind kind;
    struct type type;
    uint32_t pos;     /* in the statement, for messages; NO_POS: none */
    bool is_volatile; /* random(), now(): refused in changelogs */
    bool can_fail;
    bool is_bounded; /* EXPR_CALL: by expr_bound */
    struct value value;              /* EXPR_CONST */
    bool try_;                       /* EXPR_CAST: what fails is NULL and no error */
    bool untyped;                    /* EXPR_CONST from a quoted literal or NULL whose type is still open ("unknown") */
    int column;                      /* EXPR_COLUMN */
    const struct function *function; /* EXPR_CALL */
    const char *name;                /* EXPR_CALL: the function's name, for plans and messages */
    void *data;                      /* prepared at build time by some functions (a LIKE pattern, a date format) */
    int nargs;                       /* EXPR_CASE: when, then, when, then ..., else */
    struct expr **args;
};

/* ---- building ------------------------------------------------------------------------------------ */

struct expr *expr_const(struct arena *a, struct value v, uint32_t pos); /* copies text into the arena */
/* A number as written: INTEGER, BIGINT, DECIMAL by its digits, DOUBLE with an exponent where PostgreSQL
 * says numeric too: DECIMAL as far as 38 digits reach. */
enum status expr_number(struct arena *a, const char *text, uint32_t pos, struct expr **out, struct err *err);
struct expr *expr_string(struct arena *a, const char *p, uint32_t n, uint32_t pos); /* untyped */
struct expr *expr_null(struct arena *a, uint32_t pos);                              /* untyped */
/* '5 minutes', '1 day 02:00', '-16' with unit "minute", '1-2' with "year to month" */
enum status expr_interval(struct arena *a, const char *text, const char *unit, uint32_t pos, struct expr **out,
                          struct err *err);
struct expr *expr_column(struct arena *a, int column, struct type t, uint32_t pos);
/* Operators are functions by their symbol: "+", "||", "=", "<>", "not", "is null", "is distinct from",
 * "like", "ilike", "between", "neg" (unary minus) ...; "and", "or", "coalesce", "nullif", "greatest", "in" too.
 * E_FUNCTION names the nearest one. */
enum status expr_call(struct arena *a, const char *name, struct expr **args, int nargs, uint32_t pos, struct expr **out,
                      struct err *err);
/* For what comes from someone who may be anyone: regular expressions in it give up (E_PROGRAM_LIMIT) after so many steps over the whole of
 * a text, where else each place of the text has that many. */
void expr_bound(struct expr *e);
/* Explicit cast. try_: a failed cast is NULL and no error. */
enum status expr_cast(struct arena *a, struct expr *e, struct type to, bool try_, uint32_t pos, struct expr **out,
                      struct err *err);
/* The cast an assignment makes (INSERT, UNION's arms, CASE's arms): implicit where PostgreSQL allows, else E_TYPE. */
enum status expr_coerce(struct arena *a, struct expr *e, struct type to, uint32_t pos, struct expr **out,
                        struct err *err);
/* whens: when, then, when, then ..., nwhens of them in all; operand may be NULL; els may be NULL. */
enum status expr_case(struct arena *a, struct expr *operand, struct expr **whens, int nwhens, struct expr *els,
                      uint32_t pos, struct expr **out, struct err *err);
/* The type two sides meet in (UNION, CASE, IN, COALESCE); E_TYPE when there is none. */
enum status expr_common_type(const struct expr *const *es, int n, const char *where, struct type *out, struct err *err);
/* An untyped literal that nothing gave a type becomes VARCHAR. */
struct expr *expr_settle(struct arena *a, struct expr *e);

bool expr_same(const struct expr *x, const struct expr *y); /* structurally equal, positions apart */
/* Calls fn for each node, parents first. */
void expr_walk(const struct expr *e, void (*fn)(void *ctx, const struct expr *e), void *ctx);
/* A copy whose columns are renumbered by map[old]; map[old] < 0 is a bug of the caller. */
struct expr *expr_remap(struct arena *a, const struct expr *e, const int *map);
bool expr_is_const(const struct expr *e);
struct text;
void expr_print(const struct expr *e, const struct schema *in, struct text *out); /* for EXPLAIN */
bool expr_function_exists(const char *name);                                      /* a scalar of that name */
const char *expr_function_name(const void *ctx, int i); /* all names, for nearest and SHOW FUNCTIONS */

/* Clock and randomness of the volatile functions; the machine's when none is set. Set before anything runs. */
struct env;
void expr_env_set(struct env *env);

/* ---- evaluating ---------------------------------------------------------------------------------- */

/* Rows that failed in one evaluation. */
struct row_errors {
    uint64_t *mask; /* bit per row of the batch; valid when count > 0 */
    uint32_t count;
    uint32_t row; /* the first one */
    struct err first;
};

/* An evaluator owns registers for a fixed set of expressions over one input schema. One thread. */
struct eval;
enum status eval_new(struct expr *const *exprs, int n, const struct schema *in, struct pool *pool, struct eval **out,
                     struct err *err);
void eval_free(struct eval *ev);
AUTO_DEFINE(eval_free, struct eval *)

/* Each evaluates the expressions over the selected rows of `in`. `errors` is reset, then filled. */

/* expressions[0] is a BOOLEAN: writes the rows where it is true to sel[0..*n). sel has room for in->n. An
 * error in a row is "not true" and marked. */
void eval_filter(struct eval *ev, const struct rows *in, uint32_t *sel, uint32_t *n, struct row_errors *errors);
/* A dense batch with one column per expression (schema: their types) and in->n rows; plain columns are shared by
 * pinning in->b, weights and the time range come along. The caller owns the reference. */
struct batch *eval_project(struct eval *ev, const struct rows *in, struct row_errors *errors);
/* Columns that stay valid until the next call: dense, entry i belongs to rows_at(in, i). out[i] may point straight
 * into in->b. */
void eval_columns(struct eval *ev, const struct rows *in, struct column *out, struct row_errors *errors);

/* One value, for constants of DDL, LIMIT, defaults: an expression without columns. */
enum status expr_value(const struct expr *e, struct arena *a, struct value *out, struct err *err);

#endif
