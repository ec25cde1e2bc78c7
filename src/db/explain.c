/* EXPLAIN. A plan that does not run is shown as the planner made it; a stream that runs, as its operators stand:
 *
 *     runs: 2 rows out; watermark 2024-01-01 00:00:12, held back by source t since 2024-01-01 00:00:12 (0.1 s ago)
 *     Project: k, count AS n
 *       [2 rows in, 2 out; watermark 2024-01-01 00:00:12; busy 0 %, blocked 0 %, idle 100 %]
 *       ...
 *     sink out: RUNNING; 2 rows, 0 to take
 * SPDX-License-Identifier: Apache-2.0 */
#include "db/explain.h"

#include "db/db_int.h"

/* ---- a stream that runs --------------------------------------------------------------------------------------------------- */

struct view {
    const struct survey *then, *now;
    struct text *out;
};

static void indent(int depth, struct text *out)
{
    for (int i = 0; i < depth; i++) text_puts(out, "  ");
}

static void put_watermark(int64_t us, struct text *out)
{
    if (us == TS_MIN) return;
    text_puts(out, "; watermark ");
    put_instant(us, out);
}

static void put_bytes(int64_t n, struct text *out)
{
    if (n < 10240)
        text_printf(out, "%lld bytes", (long long)n);
    else if (n < 10485760)
        text_printf(out, "%lld KiB", (long long)(n >> 10));
    else
        text_printf(out, "%lld MiB", (long long)(n >> 20));
}

static int percent(double part, double whole)
{
    double p = whole > 0 ? 100 * part / whole : 0;
    return p < 0 ? 0 : p > 100 ? 100 : (int)(p + 0.5);
}

/* Of all its workers together. An operator in a chain waits with the whole chain. */
static void put_shares(const struct view *v, const struct survey_node *n)
{
    const struct survey_node *then = survey_node_then(v->then, n);
    double busy = 0, blocked = 0, whole = 0;
    for (int i = 0; i < n->ninst; i++) {
        const struct survey_inst *was = then && i < then->ninst ? &then->inst[i] : NULL;
        busy += (double)(n->inst[i].busy_us - (was ? was->busy_us : 0));
        blocked += (double)(n->inst[i].blocked_us - (was ? was->blocked_us : 0));
        whole += (double)(v->now->now_us - (was ? v->then->now_us : n->inst[i].born_us));
    }
    int b = percent(busy, whole), w = percent(blocked, whole);
    text_printf(v->out, "; busy %d %%, blocked %d %%, idle %d %%", b, w, b + w > 100 ? 0 : 100 - b - w);
}

static void put_source(const struct view *v, const struct survey_source *s, int depth)
{
    struct text *out = v->out;
    indent(depth + 1, out);
    text_printf(out, "[%s; ", s->stats.ended ? "ended" : s->stats.idle ? "idle" : "runs");
    put_count(s->stats.rows, out);
    text_puts(out, s->stats.rows == 1 ? " row" : " rows");
    if (s->stats.bad) text_printf(out, ", %llu bad", (unsigned long long)s->stats.bad);
    if (s->stats.null_time) text_printf(out, ", %llu without time", (unsigned long long)s->stats.null_time);
    if (s->stats.late_dropped) text_printf(out, ", %llu late", (unsigned long long)s->stats.late_dropped);
    put_watermark(s->stats.watermark, out);
    const struct survey_source *then = survey_source_then(v->then, s);
    if (then && v->now->now_us > v->then->now_us) {
        int64_t blocked = s->stats.blocked_us - then->stats.blocked_us;
        text_printf(out, "; blocked %d %%", percent((double)blocked, (double)(v->now->now_us - v->then->now_us)));
    }
    text_puts(out, "]\n");
}

static void put_counts(const struct view *v, const struct survey_node *n, int depth)
{
    struct text *out = v->out;
    indent(depth + 1, out);
    text_putc(out, '[');
    put_count(n->rows_in, out);
    text_puts(out, n->rows_in == 1 ? " row in, " : " rows in, ");
    put_count(n->rows_out, out);
    text_puts(out, " out");
    if (n->late) text_printf(out, ", %llu late", (unsigned long long)n->late);
    if (n->errors) text_printf(out, ", %llu failed", (unsigned long long)n->errors);
    if (n->ended) text_puts(out, "; ended");
    if (!n->ended) put_watermark(n->watermark, out);
    if (n->window_end != TS_MAX) text_puts(out, "; next window ends "), put_instant(n->window_end, out);
    if (n->state_bytes) text_puts(out, "; state "), put_bytes(n->state_bytes, out);
    if (n->queue_size) text_printf(out, "; queue %d %% full", percent(n->queued, n->queue_size));
    if (!n->ended) put_shares(v, n);
    text_puts(out, "]\n");
    if (n->late_example[0]) indent(depth + 1, out), text_printf(out, "[latest late row: %s]\n", n->late_example);
    if (n->row_error[0]) indent(depth + 1, out), text_printf(out, "[latest row error: %s]\n", n->row_error);
}

static void put_node(const struct view *v, const struct survey_node *n, int depth, bool root)
{
    indent(depth, v->out);
    if (n->stream_id && !root) {
        text_printf(v->out, "Stream %s\n", n->stream ? n->stream : n->name);
        put_counts(v, n, depth);
        return;
    }
    text_printf(v->out, "%s\n", n->line);
    if (n->narrows && n->in[0]->source) {
        put_source(v, n->in[0]->source, depth);
    } else if (n->source) {
        put_source(v, n->source, depth);
    } else {
        put_counts(v, n, depth);
        for (int i = 0; i < n->nin; i++) put_node(v, n->in[i], depth + 1, false);
    }
}

static void put_head(const struct view *v, const struct survey_node *n)
{
    struct text *out = v->out;
    text_puts(out, n->failed ? "has failed: " : n->starved ? "has no memory: " : n->paused ? "is paused: " : n->ended ? "ended: " : "runs: ");
    if (n->failed) text_printf(out, "%s; ", n->error);
    put_count(n->rows_out, out);
    text_puts(out, n->rows_out == 1 ? " row out" : " rows out");
    const struct survey_source *s = n->ended ? NULL : survey_holder(n);
    if (s && n->watermark != TS_MIN && s->stats.watermark != TS_MIN) {
        put_watermark(n->watermark, out);
        text_printf(out, ", held back by source %s at ", s->name);
        put_instant(s->stats.watermark, out);
        put_since(v->now, s->stats.watermark_at, out);
    } else if (s && s->stats.watermark == TS_MIN) {
        text_printf(out, "; no watermark: source %s has none yet", s->name);
    }
    text_putc(out, '\n');
}

static void put_history(const struct survey_history *h, struct text *out)
{
    text_puts(out, "history: runs to keep the last ");
    put_bytes(h->bytes, out);
    if (h->any) text_printf(out, "; epochs %llu to %llu", (unsigned long long)h->oldest, (unsigned long long)h->newest);
    text_putc(out, '\n');
}

static void put_consumers(const struct view *v, const struct survey_node *n)
{
    struct text *out = v->out;
    for (const struct survey_sink *x = v->now->sinks; x; x = x->next) {
        if (x->on != n) continue;
        text_printf(out, "sink %s: %s; ", x->name, x->stats.state);
        put_count(x->stats.rows, out);
        text_puts(out, x->stats.rows == 1 ? " row, " : " rows, ");
        put_count(x->stats.lag_rows, out);
        text_puts(out, " (");
        put_bytes(x->stats.lag_bytes, out);
        text_puts(out, ") to take");
        if (x->stats.last_error[0]) text_printf(out, "; %s", x->stats.last_error);
        text_putc(out, '\n');
    }
    for (const struct survey_history *x = v->now->histories; x; x = x->next)
        if (x->on == n) put_history(x, out);
    for (const struct survey_sub *x = v->now->subs; x; x = x->next) {
        if (x->on != n) continue;
        text_puts(out, "subscription: ");
        put_count(x->stats.delivered_rows, out);
        text_puts(out, x->stats.delivered_rows == 1 ? " row, " : " rows, ");
        put_count(sub_waiting(&x->stats), out);
        text_puts(out, " to take");
        if (x->stats.dropped_rows) text_printf(out, ", %llu dropped", (unsigned long long)x->stats.dropped_rows);
        text_putc(out, '\n');
    }
    for (const struct survey_node *x = v->now->nodes; x; x = x->next)
        for (int i = 0; i < x->nin; i++)
            if (x->in[i] == n) text_printf(out, "read by %s\n", x->line);
}

void explain_running(const struct survey *then, const struct survey *now, const struct survey_node *n, struct text *out)
{
    struct view v = {then, now, out};
    put_head(&v, n);
    put_node(&v, n, 0, true);
    put_consumers(&v, n);
}

/* ---- statements ------------------------------------------------------------------------------------------------------------ */

struct survey *explain_survey(struct lam_db *db)
{
    struct survey *s = survey_take(db->runtime);
    for (struct survey_node *n = s->nodes; n; n = n->next) {
        const struct object *o = catalog_by_id(db, n->stream_id);
        if (o) n->stream = arena_strdup(s->arena, o->name);
    }
    return s;
}

const struct object *explain_subscribed(struct lam_db *db, const struct survey_sub *x)
{
    const struct survey_node *n = x->on;
    while (!n->stream_id && !n->source && n->nin == 1) n = n->in[0];
    return catalog_by_id(db, n->source ? n->source->id : n->stream_id);
}

static void explain_stream(struct lam_db *db, const struct object *o, struct text *x)
{
    AUTO(survey_free) struct survey *now = explain_survey(db);
    const struct survey_node *n = survey_stream(now, o->id);
    if (n) {
        explain_running(NULL, now, n, x);
    } else {
        text_puts(x, "does not run: no sink or subscription reads it\n");
        plan_explain(o->plan, x);
    }
    struct text why = {0};
    if (silence_reason(NULL, now, n, &why)) text_printf(x, "why nothing comes out: %s\n", text_cstr(&why));
    text_done(&why);
}

enum status explain_find(struct lam_db *db, const struct stmt *st, const struct object **out, struct err *err)
{
    *out = catalog_find(db, st->name);
    if (*out && (*out)->plan) return ST_OK;
    if (*out) return err_at(err, E_TYPE, st->name_pos, "\"%s\" is a source and has no plan", st->name);
    err_at(err, E_TABLE, st->name_pos, "no source, stream or sink \"%s\"", st->name);
    const char *near = text_nearest(st->name, catalog_name, db);
    if (near) err_hint(err, "did you mean \"%s\"?", near);
    return E_TABLE;
}

static enum status explain_named(struct lam_db *db, const struct stmt *st, struct text *x, struct err *err)
{
    const struct object *o;
    TRY(explain_find(db, st, &o, err));
    if (o->kind == OBJECT_STREAM)
        explain_stream(db, o, x);
    else
        plan_explain(o->plan, x);
    return ST_OK;
}

enum status explain_statement(struct lam_session *s, const struct stmt *st, const char *text, struct text *x, struct err *err)
{
    struct catalog view = catalog_view(s);
    if (st->analyze) return err_at(err, E_UNSUPPORTED, st->pos, "EXPLAIN ANALYZE takes a SELECT or STREAM name");
    if (st->value) return err_at(err, E_SYNTAX, st->pos, "FOR goes with EXPLAIN ANALYZE STREAM");
    if (st->name) return explain_named(s->db, st, x, err);
    const struct stmt *of = st->explained ? st->explained : st;
    if (of->select && (of->kind == STMT_SELECT || of->kind == STMT_EXPLAIN)) {
        AUTO(arena_free) struct arena *a = arena_new();
        struct plan *p;
        const struct object **uses;
        int nuses;
        TRY(plan_select(a, &view, of->select, false, &p, &uses, &nuses, err));
        plan_explain(p, x);
        return ST_OK;
    }
    struct object *o;
    TRY(plan_create(&view, of, text, &o, err));
    if (o->plan)
        plan_explain(o->plan, x);
    else
        text_printf(x, "source %s\n", o->name);
    object_free(o);
    return ST_OK;
}
