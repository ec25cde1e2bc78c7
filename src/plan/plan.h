/* Plans: from a syntax tree and the catalog to a tree of operators. A plan is read-only once made and serves all
 * workers. Each node says how rows reach it (the distribution of each input); the runtime turns that into edges.
 *
 * Time. A stream carries one watermark. Columns that hold event times or window bounds stay known as such through
 * projections: lags[c] is the column's lag, the microseconds by which a later row may still fall behind the watermark
 * (no later row has column < watermark - lag); LAG_NONE for other columns. An aggregate passes its input's watermark on
 * when it has given what that watermark closes, so its window_end has the lag (and lateness) of the time it windows,
 * its window_start that and the size. SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "expr/agg.h"
#include "expr/expr.h"
#include "plan/catalog.h"

#define LAG_NONE        INT64_MIN
#define PLAN_INPUTS_MAX 16 /* of one node */
/* lag_us of a window over a column that no watermark bounds (bounded input only): such windows close at the end. Small
 * enough for watermark - lag_us not to pass below any window end while the watermark is finite. */
#define LAG_END (INT64_MAX / 4)

/* What a time column is. */
enum time_role {
    ROLE_NONE,
    ROLE_EVENT_TIME,
    ROLE_WINDOW_START,
    ROLE_WINDOW_END,
    ROLE_WINDOW_TIME, /* window_end less one unit of time */
};

enum plan_kind {
    PLAN_SOURCE, /* rows of a catalog source */
    PLAN_VALUES, /* constant rows; SELECT without FROM is one row of no columns */
    PLAN_STREAM, /* the output of a named stream */
    PLAN_FILTER,
    PLAN_PROJECT,
    PLAN_AGG,  /* GROUP BY, windows, DISTINCT */
    PLAN_SORT, /* bounded: gives its rows at the end */
    PLAN_LIMIT,
    PLAN_JOIN,  /* inner, equal keys, both inputs bounded */
    PLAN_UNION, /* UNION ALL */
};

/* How rows travel to a node. */
enum dist {
    DIST_SAME, /* stay on their worker */
    DIST_HASH, /* by the key group of `keys` */
    DIST_ONE,  /* to the worker of group 0 */
};

struct plan_input {
    struct plan *node;
    enum dist dist;
    int nkeys;
    struct expr **keys; /* over node's schema; DIST_HASH */
};

enum window_kind {
    WINDOW_NONE,
    WINDOW_TUMBLE,
    WINDOW_COLUMNS, /* grouped by window_start and window_end of a windowed input */
};

struct plan_order {
    struct expr *expr;
    bool desc, nulls_first;
};

struct plan {
    enum plan_kind kind;
    uint64_t id;           /* hash of the normalised path: the same for the same text, whatever came before */
    struct schema *schema; /* of the output; time_column is the event time, or -1 */
    int64_t *lags;         /* per column of schema */
    bool *is_ms;           /* per column: a BIGINT time in milliseconds */
    uint8_t *roles;        /* per column: enum time_role */
    bool bounded;          /* ends by itself */
    enum stream_kind stream;
    bool single; /* one instance, on the worker of group 0 */
    int nin;
    struct plan_input *in;

    const struct object *object; /* SOURCE, STREAM */
    /* VALUES: nrows x schema->n constants */
    int nrows;
    struct expr **values;
    /* FILTER: exprs[0]. PROJECT: one per column of schema */
    int nexprs;
    struct expr **exprs;
    /* AGG. Output columns: keys, then window_start and window_end when there is a window, then aggregates. */
    int nkeys;
    struct expr **keys;
    int naggs;
    struct agg_call **aggs;
    enum window_kind window;
    struct expr *time; /* of the row, over the input: BIGINT or TIMESTAMP; windows and needs_time; NULL: arrival */
    bool time_is_ms;
    struct expr *window_end; /* WINDOW_COLUMNS: the two bounds (time is window_start then) */
    struct expr *order_time; /* needs_time aggregates when `time` is not the rows' event time; NULL: `time` is */
    int64_t size_us, offset_us;
    int64_t lag_us; /* a window closes when watermark - lag >= its end (+ lateness); of the column windowed */
    int64_t lateness_us;
    enum ast_emit emit; /* with a window: when. Without: EMIT_NONE is once, at the end of bounded input */
    /* SORT */
    int norder;
    struct plan_order *order;
    /* LIMIT; SORT too, which applies both itself (no LIMIT stands above it). limit -1: none; offset 0: none */
    int64_t limit, offset;
    /* JOIN: left_keys[i] = right_keys[i] (already of one type), then exprs[0] over (left columns, right columns) when
     * nexprs is 1. Output columns: left's, then right's. */
    struct expr **left_keys, **right_keys;
    int njoin_keys;
};

/* SELECT (ad hoc): inputs must be bounded, else E_UNBOUNDED with advice. */
enum status plan_select(struct arena *a, const struct catalog *c, const struct ast_select *s, bool ad_hoc,
                        struct plan **out, const struct object ***uses, int *nuses, struct err *err);
/* A condition over columns alone, from outside: without queries, aggregates, volatile functions, or any that makes long text of
 * short; the text has at most CONDITION_MAX bytes. */
#define CONDITION_MAX 4096
enum status plan_condition(struct arena *a, const struct schema *columns, const char *text, struct expr **out, struct err *err);
/* CREATE SOURCE / STREAM / SINK: makes the object (not yet registered); text is the whole script, for object->sql. */
enum status plan_create(const struct catalog *c, const struct stmt *s, const char *text, struct object **out,
                        struct err *err);
void object_free(struct object *o);
/* Whether the sink may have that policy. */
enum status plan_check_overflow(const struct catalog *c, const struct object *sink, enum overflow o, struct err *err);

/* The operator tree as text, one node a line, indented: EXPLAIN. */
void plan_explain(const struct plan *p, struct text *out);
/* Its first line alone, without the newline. */
void plan_explain_line(const struct plan *p, struct text *out);
/* DESCRIBE and SHOW CREATE helpers live in db. */

#endif
