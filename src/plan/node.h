/* Plan nodes: made here, each with its schema and what is known of its time columns. Room-internal.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_NODE_H
#define PLAN_NODE_H

#include "plan/plan.h"

/* A cleared node with nin inputs and ncols columns that are no times. */
struct plan *node_new(struct arena *a, enum plan_kind kind, int nin, int ncols);
/* Rows of a source or of a stream. */
struct plan *node_object(struct arena *a, const struct object *o);
struct plan *node_values(struct arena *a, int nrows, int ncols);
struct plan *node_filter(struct arena *a, struct plan *in, struct expr *condition);
/* names are copied: a plan may outlive its statement. */
struct plan *node_project(struct arena *a, struct plan *in, int n, struct expr **exprs, const char *const *names);
struct plan *node_sort(struct arena *a, struct plan *in, int norder, struct plan_order *order, int64_t limit,
                       int64_t offset);
struct plan *node_limit(struct arena *a, struct plan *in, int64_t limit, int64_t offset);
/* Inner, without keys yet. */
struct plan *node_join(struct arena *a, struct plan *left, struct plan *right);
/* Inputs of equal types; names are the first one's. */
struct plan *node_union(struct arena *a, int n, struct plan **arms);

/* p's columns become copies of in's from column `at` on. */
void node_copy_columns(struct plan *p, int at, const struct plan *in);
/* A join's columns are its inputs', told apart by name. */
void node_join_columns(struct arena *a, struct plan *p);
/* `name`, or name_2, name_3 ... where one of s's first n columns has it: above joins and aggregates EXPLAIN, and with
 * it ids, must tell columns apart. */
const char *node_free_name(struct arena *a, const struct schema *s, int n, const char *name);
/* Picks the schema's time column: the best time among the columns. */
void node_pick_time(struct plan *p);
/* Sets single, stream kind and boundedness from the inputs and how rows reach the node. */
void node_settle(struct plan *p);

/* One unit of a time column in microseconds. */
static inline int64_t time_unit(bool is_ms)
{
    return is_ms ? 1000 : 1;
}
bool type_is_event_time(struct type t);

/* ---- conditions and columns --------------------------------------------------------------------- */

/* The conjuncts of e, in order; a growing list in the arena. */
struct conjuncts {
    int n, cap;
    struct expr **at;
};
void conjuncts_add(struct arena *a, struct conjuncts *c, struct expr *e);
/* NULL when there are none. */
enum status conjuncts_join(struct arena *a, const struct conjuncts *c, struct expr **out, struct err *err);
/* Marks the columns that e refers to. */
void columns_mark(const struct expr *e, bool *used);
/* Whether all of e's columns are in [from, to), and there is at least one. */
bool columns_within(const struct expr *e, int from, int to);
/* e with its columns moved by delta. */
struct expr *columns_shift(struct arena *a, const struct expr *e, int ncols, int delta);

/* ---- what follows binding ----------------------------------------------------------------------- */

/* Filters down, columns pruned, ids given. `name` seeds the ids: "" for an ad hoc SELECT. keep_root: not to become a
 * bare source or stream, for what is a stream has a node of its own. */
enum status plan_rewrite(struct arena *a, struct plan **p, bool keep_root, const char *name, struct err *err);
/* Microseconds in the largest unit that divides them: "90 s", "8 h". */
void explain_span(int64_t us, struct text *out);

#endif
