/* Plans as text: EXPLAIN, and what ids are hashed from. One node a line:
 *
 *     Project: k, window_start, count AS n
 *       Aggregate [hash]: by k; tumble(ts, 5 s); count(*); on watermark
 *         Filter: v > 10
 *           Source trades: k, v, ts; time ts
 *
 * [hash] and [one] say how rows reach the node: by the key group of its keys, or all to one worker; without it they
 * stay where they are. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/node.h"

void explain_span(int64_t us, struct text *out)
{
    static const struct {
        int64_t us;
        const char *name;
    } units[] = {
        {86400000000, "d"  },
        {3600000000,  "h"  },
        {60000000,    "min"},
        {1000000,     "s"  },
        {1000,        "ms" },
        {1,           "us" }
    };
    size_t i = us ? 0 : 3;
    while (us % units[i].us) i++;
    text_printf(out, "%lld %s", (long long)(us / units[i].us), units[i].name);
}

static void put_exprs(struct expr *const *exprs, int n, const struct schema *in, struct text *out)
{
    for (int i = 0; i < n; i++) {
        if (i) text_puts(out, ", ");
        expr_print(exprs[i], in, out);
    }
}

static void put_names(const struct schema *s, struct text *out)
{
    for (int i = 0; i < s->n; i++) text_printf(out, "%s%s", i ? ", " : "", s->fields[i].name);
}

static void put_object(const char *kind, const struct plan *p, struct text *out)
{
    text_printf(out, "%s %s: ", kind, p->object->name);
    put_names(p->schema, out);
    int time = p->schema->time_column;
    if (time >= 0) text_printf(out, "; time %s", p->schema->fields[time].name);
    if (p->bounded) text_puts(out, "; bounded");
}

static void put_values(const struct plan *p, struct text *out)
{
    text_printf(out, "Values: %d row%s", p->nrows, p->nrows == 1 ? "" : "s");
    for (int r = 0; r < p->nrows && r < 4 && p->schema->n; r++) {
        text_puts(out, r ? ", (" : " (");
        put_exprs(&p->values[r * p->schema->n], p->schema->n, p->schema, out);
        text_putc(out, ')');
    }
    if (p->nrows > 4 && p->schema->n) text_puts(out, ", ...");
}

static void put_project(const struct plan *p, struct text *out)
{
    const struct schema *in = p->in[0].node->schema;
    text_puts(out, "Project: ");
    for (int i = 0; i < p->nexprs; i++) {
        const struct expr *e = p->exprs[i];
        const char *name = p->schema->fields[i].name;
        if (i) text_puts(out, ", ");
        expr_print(e, in, out);
        if (e->kind != EXPR_COLUMN || strcmp(in->fields[e->column].name, name)) text_printf(out, " AS %s", name);
    }
}

static void put_window(const struct plan *p, const struct schema *in, struct text *out)
{
    bool tumble = p->window == WINDOW_TUMBLE;
    text_puts(out, tumble ? "tumble(" : "window(");
    expr_print(p->time, in, out);
    text_puts(out, ", ");
    if (tumble)
        explain_span(p->size_us, out);
    else
        expr_print(p->window_end, in, out);
    if (p->offset_us) text_puts(out, ", "), explain_span(p->offset_us, out);
    text_putc(out, ')');
}

static void put_agg_call(const struct agg_call *c, const struct schema *in, struct text *out)
{
    text_printf(out, "%s(%s", c->name, c->distinct ? "DISTINCT " : "");
    put_exprs(c->args, c->nargs, in, out);
    text_puts(out, !c->nargs ? "*)" : ")");
    if (!c->filter) return;
    text_puts(out, " FILTER (");
    expr_print(c->filter, in, out);
    text_putc(out, ')');
}

static void put_emit(const struct plan *p, struct text *out)
{
    static const char *const words[] = {[EMIT_NONE] = "at the end",
                                        [EMIT_ON_WATERMARK] = "on watermark",
                                        [EMIT_ON_WINDOW_CLOSE] = "on window close",
                                        [EMIT_FINAL] = "final"};
    text_puts(out, p->lag_us == LAG_END ? "at the end" : words[p->emit]);
    if (p->lag_us && p->lag_us != LAG_END) text_puts(out, "; lag "), explain_span(p->lag_us, out);
    if (p->lateness_us) text_puts(out, "; lateness "), explain_span(p->lateness_us, out);
}

static void put_agg(const struct plan *p, struct text *out)
{
    const struct schema *in = p->in[0].node->schema;
    text_puts(out, p->in[0].dist == DIST_HASH ? "Aggregate [hash]: " : "Aggregate [one]: ");
    if (p->nkeys) text_puts(out, "by "), put_exprs(p->keys, p->nkeys, in, out), text_puts(out, "; ");
    if (p->window != WINDOW_NONE) put_window(p, in, out), text_puts(out, "; ");
    for (int i = 0; i < p->naggs; i++) {
        put_agg_call(p->aggs[i], in, out);
        text_puts(out, i + 1 < p->naggs ? ", " : "; ");
    }
    put_emit(p, out);
}

static void put_limit(const struct plan *p, struct text *out)
{
    if (p->limit >= 0) text_printf(out, "%slimit %lld", p->norder ? "; " : " ", (long long)p->limit);
    if (p->offset) text_printf(out, "%soffset %lld", p->norder ? "; " : " ", (long long)p->offset);
}

static void put_sort(const struct plan *p, struct text *out)
{
    text_puts(out, "Sort [one]: ");
    for (int i = 0; i < p->norder; i++) {
        const struct plan_order *o = &p->order[i];
        if (i) text_puts(out, ", ");
        expr_print(o->expr, p->schema, out);
        if (o->desc) text_puts(out, " DESC");
        if (o->desc != o->nulls_first) text_puts(out, o->nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
    put_limit(p, out);
}

static void put_join(const struct plan *p, struct text *out)
{
    text_puts(out, "Join [hash]: ");
    for (int i = 0; i < p->njoin_keys; i++) {
        if (i) text_puts(out, " AND ");
        expr_print(p->left_keys[i], p->in[0].node->schema, out);
        text_puts(out, " = ");
        expr_print(p->right_keys[i], p->in[1].node->schema, out);
    }
    if (!p->nexprs) return;
    text_puts(out, "; ");
    expr_print(p->exprs[0], p->schema, out);
}

void plan_explain_line(const struct plan *p, struct text *out)
{
    switch (p->kind) {
    case PLAN_SOURCE: put_object("Source", p, out); return;
    case PLAN_STREAM: put_object("Stream", p, out); return;
    case PLAN_VALUES: put_values(p, out); return;
    case PLAN_FILTER:
        text_puts(out, "Filter: ");
        expr_print(p->exprs[0], p->in[0].node->schema, out);
        return;
    case PLAN_PROJECT: put_project(p, out); return;
    case PLAN_AGG: put_agg(p, out); return;
    case PLAN_SORT: put_sort(p, out); return;
    case PLAN_LIMIT:
        text_puts(out, "Limit [one]:");
        put_limit(p, out);
        return;
    case PLAN_JOIN: put_join(p, out); return;
    case PLAN_UNION: text_puts(out, "Union all"); return;
    }
}

static void put_tree(const struct plan *p, int depth, struct text *out)
{
    for (int i = 0; i < depth; i++) text_puts(out, "  ");
    plan_explain_line(p, out);
    text_putc(out, '\n');
    for (int i = 0; i < p->nin; i++) put_tree(p->in[i].node, depth + 1, out);
}

void plan_explain(const struct plan *p, struct text *out)
{
    put_tree(p, 0, out);
}
