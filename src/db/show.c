/* SHOW and DESCRIBE. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"
#include "db/metrics.h"
#include "runtime/survey.h"

#include <stdio.h>

static void put_time(struct table *t, int64_t us)
{
    if (us == TS_MIN || us == TS_MAX)
        table_null(t);
    else
        table_int(t, us);
}

static void columns(struct table *t, const char *const *names, const enum type_id *types, int n)
{
    for (int i = 0; i < n; i++) table_column(t, names[i], types[i]);
}

static void show_sources(struct lam_db *db, struct table *t)
{
    static const char *const names[] = {"source_name", "connector", "format",    "watermark_column", "state", "rows",      "bytes",
                                        "percent",     "watermark", "bad_rows",  "null_fields",      "null_times", "late_rows",
                                        "dead_lettered", "accepted",    "dropped",   "waits",     "last_error"};
    static const enum type_id types[] = {T_VARCHAR, T_VARCHAR,   T_VARCHAR, T_VARCHAR, T_VARCHAR, T_INT64, T_INT64,
                                         T_DOUBLE,  T_TIMESTAMP, T_INT64,   T_INT64,   T_INT64,   T_INT64, T_INT64,
                                         T_INT64,   T_INT64,     T_INT64,   T_VARCHAR};
    columns(t, names, types, countof(names));
    for (struct entry *e = db->objects; e; e = e->next) {
        const struct object *o = e->object;
        if (o->kind != OBJECT_SOURCE) continue;
        struct source_stats s;
        bool ran = runtime_source_stats(db->runtime, o->id, &s);
        table_text(t, o->name);
        table_text(t, o->connector ? o->connector->name : NULL);
        table_text(t, o->format ? o->format->name : NULL);
        table_text(t, o->schema->time_column < 0 ? NULL : o->schema->fields[o->schema->time_column].name);
        table_text(t, !s.running ? "STOPPED" : s.ended ? "ENDED" : s.idle ? "IDLE" : "RUNNING");
        if (!ran) {
            for (int i = 0; i < 13; i++) table_null(t);
            continue;
        }
        table_int(t, (int64_t)s.rows);
        table_int(t, (int64_t)s.bytes);
        if (s.size > 0)
            table_double(t, s.position >= s.size ? 100.0 : 100.0 * (double)s.position / (double)s.size);
        else
            table_null(t);
        put_time(t, s.watermark);
        table_int(t, (int64_t)s.bad);
        table_int(t, (int64_t)s.nulled);
        table_int(t, (int64_t)s.null_time);
        table_int(t, (int64_t)s.late_dropped);
        table_int(t, (int64_t)s.dead_lettered);
        const uint64_t pushes[] = {s.accepted, s.dropped, s.waits};
        bool pushed = !o->connector || db->cfg.replay;
        for (size_t i = 0; i < countof(pushes); i++) pushed ? table_int(t, (int64_t)pushes[i]) : table_null(t);
        table_text(t, s.last_error[0] ? s.last_error : NULL);
    }
}

/* A declared stream is a source inside. */
static bool declared_stats(struct lam_db *db, const struct object *o, struct stream_stats *out)
{
    struct source_stats s;
    bool ran = runtime_source_stats(db->runtime, o->id, &s);
    *out = (struct stream_stats){.rows_out = s.rows, .watermark = s.watermark, .running = s.running, .ended = s.ended};
    return ran;
}

static void show_streams(struct lam_db *db, struct table *t)
{
    static const char *const names[] = {"stream_name", "state", "rows", "late_rows", "row_errors", "watermark", "late_example", "last_error", "sql"};
    static const enum type_id types[] = {T_VARCHAR, T_VARCHAR, T_INT64, T_INT64, T_INT64, T_TIMESTAMP, T_VARCHAR, T_VARCHAR, T_VARCHAR};
    columns(t, names, types, countof(names));
    for (struct entry *e = db->objects; e; e = e->next) {
        const struct object *o = e->object;
        if (o->kind != OBJECT_STREAM) continue;
        struct stream_stats s;
        bool ran = o->declared_only ? declared_stats(db, o, &s) : runtime_stream_stats(db->runtime, o->id, &s);
        table_text(t, o->name);
        char failed[32];
        snprintf(failed, sizeof failed, s.failed == E_NOMEM ? "FAILED(MEMORY)" : "FAILED(%04d)", s.failed);
        table_text(t, !s.running ? "STOPPED" : s.failed ? failed : s.ended ? "ENDED" : s.paused ? "PAUSED" : "RUNNING");
        if (ran) {
            table_int(t, (int64_t)s.rows_out);
            table_int(t, (int64_t)s.late);
            table_int(t, (int64_t)s.errors);
            put_time(t, s.watermark);
            table_text(t, s.late_example[0] ? s.late_example : NULL);
            table_text(t, s.last_error[0] ? s.last_error : NULL);
        } else {
            for (int i = 0; i < 6; i++) table_null(t);
        }
        table_text(t, o->sql);
    }
}

/* accepted = rows + dropped + dead_lettered + lag_rows */
static void show_sinks(struct lam_db *db, struct table *t)
{
    static const char *const names[] = {
        "sink_name", "input",     "connector",    "format",  "state",    "since",   "accepted", "rows",
        "dropped",   "dead_lettered", "lag_rows", "lag_bytes", "bytes",  "writes",  "flushes",  "write_errors",
        "retries",   "timeouts",  "backpressure_events", "epoch", "late_rows", "row_errors", "last_error", "last_error_at"};
    static const enum type_id types[] = {
        T_VARCHAR, T_VARCHAR, T_VARCHAR, T_VARCHAR, T_VARCHAR, T_TIMESTAMP, T_INT64, T_INT64,
        T_INT64,   T_INT64,   T_INT64,   T_INT64,   T_INT64,   T_INT64,     T_INT64, T_INT64,
        T_INT64,   T_INT64,   T_INT64,   T_INT64,   T_INT64,   T_INT64,     T_VARCHAR, T_TIMESTAMP};
    columns(t, names, types, countof(names));
    for (struct entry *e = db->objects; e; e = e->next) {
        const struct object *o = e->object;
        if (o->kind != OBJECT_SINK) continue;
        struct sink_stats s;
        bool runs = runtime_sink_stats(db->runtime, o->id, &s);
        table_text(t, o->name);
        table_text(t, o->nuses ? o->uses[0]->name : NULL);
        table_text(t, o->connector->name);
        table_text(t, o->format ? o->format->name : NULL);
        table_text(t, runs ? s.state : "STOPPED");
        if (!runs) {
            for (size_t i = 5; i < countof(names); i++) table_null(t);
            continue;
        }
        table_int(t, s.since_us);
        const uint64_t counts[] = {s.accepted, s.rows,    s.dropped,      s.dead_lettered, s.lag_rows, (uint64_t)s.lag_bytes,
                                   s.bytes,    s.writes,  s.flushes,      s.write_errors,  s.retries,  s.timeouts,
                                   s.backpressure_events, s.epoch,        s.late,          s.row_errors};
        for (size_t i = 0; i < countof(counts); i++) table_int(t, (int64_t)counts[i]);
        table_text(t, s.last_error[0] ? s.last_error : NULL);
        put_time(t, s.last_error_us ? s.last_error_us : TS_MIN);
    }
}

/* LIKE of ASCII names: % and _. */
static bool is_like(const char *name, const char *pattern)
{
    for (; *pattern && *pattern != '%'; pattern++, name++)
        if (!*name || (*pattern != '_' && *pattern != *name)) return false;
    if (!*pattern) return !*name;
    for (;; name++) {
        if (is_like(name, pattern + 1)) return true;
        if (!*name) return false;
    }
}

static void put_metric(struct table *t, const struct sample *s, const char *suffix, const char *quantile, double value)
{
    struct text x = {0};
    text_printf(&x, "%s%s", s->info->name, suffix);
    table_text(t, text_cstr(&x));
    text_clear(&x);
    for (int i = 0; i < s->labels.n; i++) text_printf(&x, "%s%s=%s", i ? ", " : "", s->labels.name[i], s->labels.value[i]);
    if (quantile) text_printf(&x, "%squantile=%s", x.n ? ", " : "", quantile);
    table_text(t, x.n ? text_cstr(&x) : NULL);
    text_done(&x);
    table_text(t, metric_type_name(s->info->type));
    table_double(t, value);
}

/* A histogram as people read it. */
static void put_histogram(struct table *t, const struct sample *s)
{
    put_metric(t, s, "_count", NULL, (double)histogram_count(s->histogram));
    put_metric(t, s, "_sum", NULL, (double)histogram_sum(s->histogram));
    put_metric(t, s, "_max", NULL, (double)histogram_max(s->histogram));
    put_metric(t, s, "", "0.5", (double)histogram_percentile(s->histogram, 0.5));
    put_metric(t, s, "", "0.9", (double)histogram_percentile(s->histogram, 0.9));
    put_metric(t, s, "", "0.99", (double)histogram_percentile(s->histogram, 0.99));
}

static void show_metrics(struct lam_db *db, const char *pattern, struct table *t)
{
    static const char *const names[] = {"name", "labels", "type", "value"};
    static const enum type_id types[] = {T_VARCHAR, T_VARCHAR, T_VARCHAR, T_DOUBLE};
    columns(t, names, types, countof(names));
    AUTO(metrics_free) struct metrics *m = metrics_take(db);
    for (int i = 0; i < metrics_count(m); i++) {
        const struct sample *s = metrics_sample(m, i);
        if (pattern && !is_like(s->info->name, pattern)) continue;
        if (s->info->type == METRIC_HISTOGRAM)
            put_histogram(t, s);
        else
            put_metric(t, s, "", NULL, s->value);
    }
}

static void show_subscriptions(struct lam_db *db, struct table *t)
{
    static const char *const names[] = {"input", "state", "rows", "delivered_rows", "waiting_rows", "dropped_rows", "watermark"};
    static const enum type_id types[] = {T_VARCHAR, T_VARCHAR, T_INT64, T_INT64, T_INT64, T_INT64, T_TIMESTAMP};
    columns(t, names, types, countof(names));
    AUTO(survey_free) struct survey *v = explain_survey(db);
    for (const struct survey_sub *x = v->subs; x; x = x->next) {
        const struct object *o = explain_subscribed(db, x);
        table_text(t, o ? o->name : NULL);
        table_text(t, x->ended ? "ENDED" : "RUNNING");
        table_int(t, (int64_t)x->stats.rows);
        table_int(t, (int64_t)x->stats.delivered_rows);
        table_int(t, (int64_t)sub_waiting(&x->stats));
        table_int(t, (int64_t)x->stats.dropped_rows);
        put_time(t, x->stats.watermark);
    }
}

static void show_tables(struct lam_db *db, struct table *t)
{
    table_column(t, "name", T_VARCHAR);
    table_column(t, "kind", T_VARCHAR);
    for (struct entry *e = db->objects; e; e = e->next) {
        if (e->object->kind == OBJECT_SINK) continue;
        table_text(t, e->object->name);
        table_text(t, e->object->kind == OBJECT_SOURCE ? "source" : "stream");
    }
}

static void show_names(struct table *t, const char *column, const char *(*name)(const void *, int))
{
    table_column(t, column, T_VARCHAR);
    for (int i = 0; name(NULL, i); i++) table_text(t, name(NULL, i));
}

static void show_functions(struct table *t)
{
    table_column(t, "function_name", T_VARCHAR);
    table_column(t, "kind", T_VARCHAR);
    for (int i = 0; expr_function_name(NULL, i); i++) {
        table_text(t, expr_function_name(NULL, i));
        table_text(t, "scalar");
    }
    for (int i = 0; agg_name(NULL, i); i++) {
        table_text(t, agg_name(NULL, i));
        table_text(t, "aggregate");
    }
}

static enum status find(struct lam_db *db, const struct stmt *st, const char *name, const struct object **out, struct err *err)
{
    *out = catalog_find(db, name);
    if (*out) return ST_OK;
    err_at(err, E_TABLE, st->name_pos ? st->name_pos : st->pos, "no source, stream or sink \"%s\"", name);
    const char *near = text_nearest(name, catalog_name, db);
    if (near) err_hint(err, "did you mean \"%s\"?", near);
    return E_TABLE;
}

static const char *const shows[] = {"sources", "streams", "sinks", "tables", "functions", "connectors", "formats", "metrics", "subscriptions", "create"};

static const char *show_name(const void *ctx, int i) { return (void)ctx, i < (int)countof(shows) ? shows[i] : NULL; }

static enum status show(struct lam_db *db, const struct stmt *st, struct table *t, struct err *err)
{
    const struct object *o;
    if (!strcmp(st->what, "metrics")) return show_metrics(db, st->value, t), ST_OK;
    if (st->value && strcmp(st->what, "create") != 0) {
        err_at(err, E_UNSUPPORTED, st->pos, "LIKE goes with SHOW METRICS only");
        return E_UNSUPPORTED;
    }
    if (!strcmp(st->what, "sources")) return show_sources(db, t), ST_OK;
    if (!strcmp(st->what, "streams")) return show_streams(db, t), ST_OK;
    if (!strcmp(st->what, "sinks")) return show_sinks(db, t), ST_OK;
    if (!strcmp(st->what, "subscriptions")) return show_subscriptions(db, t), ST_OK;
    if (!strcmp(st->what, "tables")) return show_tables(db, t), ST_OK;
    if (!strcmp(st->what, "functions")) return show_functions(t), ST_OK;
    if (!strcmp(st->what, "connectors")) return registry_show(db, t), ST_OK;
    if (!strcmp(st->what, "formats")) return show_names(t, "format_name", format_name), ST_OK;
    if (!strcmp(st->what, "create")) {
        TRY(find(db, st, st->name, &o, err));
        table_column(t, "create_statement", T_VARCHAR);
        table_text(t, o->sql);
        return ST_OK;
    }
    err_at(err, E_UNSUPPORTED, st->pos, "SHOW %s is not supported", st->what);
    const char *near = text_nearest(st->what, show_name, NULL);
    if (near)
        err_hint(err, "did you mean SHOW %s?", near);
    else
        err_hint(err, "there are SHOW SOURCES, STREAMS, SINKS, SUBSCRIPTIONS, TABLES, FUNCTIONS, CONNECTORS, FORMATS, METRICS and SHOW CREATE ... name");
    return E_UNSUPPORTED;
}

static enum status describe(struct lam_db *db, const struct stmt *st, struct table *t, struct err *err)
{
    const struct object *o;
    TRY(find(db, st, st->name, &o, err));
    table_column(t, "column_name", T_VARCHAR);
    table_column(t, "data_type", T_VARCHAR);
    table_column(t, "nullable", T_BOOL);
    for (int i = 0; i < o->schema->n; i++) {
        char type[64];
        table_text(t, o->schema->fields[i].name);
        table_text(t, type_name(o->schema->fields[i].type, type));
        table_bool(t, !o->schema->fields[i].not_null);
    }
    return ST_OK;
}

static void put_lines(struct table *t, const char *column, struct text *x)
{
    table_column(t, column, T_VARCHAR);
    char *line = (char *)text_cstr(x);
    for (char *end; *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        table_text(t, line);
        if (!end) break;
    }
}

enum status show_statement(struct lam_session *s, const struct stmt *st, const char *text, struct ArrowArrayStream *out, struct err *err)
{
    struct lam_db *db = s->db;
    struct table *t = table_new();
    struct text x = {0};
    enum status r;
    lock_take(&db->lock);
    if (st->kind == STMT_SHOW) {
        r = show(db, st, t, err);
    } else if (st->kind == STMT_DESCRIBE) {
        r = describe(db, st, t, err);
    } else {
        r = explain_statement(s, st, text, &x, err);
        if (!r) put_lines(t, "plan", &x);
    }
    lock_give(&db->lock);
    text_done(&x);
    struct ArrowArrayStream rows = {0};
    if (r) table_column(t, "none", T_VARCHAR);
    table_give(t, &rows);
    if (r)
        rows.release(&rows);
    else
        *out = rows;
    return r;
}
