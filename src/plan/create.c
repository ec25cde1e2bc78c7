/* CREATE SOURCE, STREAM and SINK: objects with their options read and their queries planned, ready to be registered.
 *
 * An object owns one arena with all that is in it. It refers to the objects it uses by pointer: db keeps those while
 * anything depends on them. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/bind.h"

#include <stdio.h>

/* clang-format off */
/* The order of option sentences is the order SHOW and the manual print them in. */
const struct option_spec source_options[] = {
    {.name = "format", .type = OPT_TEXT, .sentence = "How bytes are read: csv, tsv, json ...; by default what the path's ending says."},
    {.name = "on_error", .type = OPT_ENUM, .dflt = "skip", .values = "skip|fail|null|dead_letter",
     .sentence = "What becomes of a record that cannot be read: it is left out, ends the query, has NULL where it is bad, or goes "
                 "to the dead letters (the default when dead_letter names a stream); always counted."},
    {.name = "dead_letter", .type = OPT_TEXT,
     .sentence = "The declared stream that gets records that cannot be read: its columns raw, source, position, error and at."},
    {.name = "late", .type = OPT_ENUM, .dflt = "window", .values = "window|row",
     .sentence = "Which rows are late: those of windows already closed, or all rows behind the watermark."},
    {.name = "idle.timeout", .also = "idle.timeout.ms", .type = OPT_DURATION, .dflt = "60 s", .min = 0, .max = INT64_MAX,
     .sentence = "After so long without a row a caught-up input no longer holds the watermark back; 0: never."},
    {.name = "record.max", .type = OPT_SIZE, .dflt = "16 MiB", .min = 64, .max = 1 << 30,
     .sentence = "The longest record; a longer one is an error of that record."},
    {.name = "batch.rows", .type = OPT_INT, .dflt = "2048", .min = 1, .max = 8192, .sentence = "Most rows of a batch."},
    {.name = "overflow", .type = OPT_ENUM, .dflt = "block", .values = "block|drop_oldest|drop_newest|error",
     .sentence = "Of a source without connector: what becomes of rows pushed faster than they are taken: the caller waits, the "
                 "oldest that wait are dropped, the new ones are, or the call fails."},
    {.name = "max.future.skew", .type = OPT_DURATION,
     .sentence = "A row stamped further than this ahead of the clock does not move the watermark; by default every row does."},
    {0},
};
const struct option_spec sink_options[] = {
    {.name = "format", .type = OPT_TEXT, .sentence = "How rows are written: csv, tsv, json ...; by default what the path's ending says."},
    {.name = "guarantee", .also = "delivery.guarantee", .type = OPT_ENUM, .values = "at_most_once|at_least_once|exactly_once",
     .sentence = "What must be promised of each row; by default what the connector gives. No sink gives exactly_once before there are "
                 "checkpoints."},
    {.name = "batch.rows", .also = "batch.size", .type = OPT_INT, .dflt = "8192", .min = 1, .max = 10000000, .flags = OPT_LIVE,
     .sentence = "Rows are written out when so many wait."},
    {.name = "batch.bytes", .type = OPT_SIZE, .dflt = "1 MiB", .min = 1, .max = 1 << 30, .flags = OPT_LIVE,
     .sentence = "Rows are written out when so many bytes wait."},
    {.name = "flush.interval", .also = "flush.interval.ms", .type = OPT_DURATION, .min = 0, .max = INT64_MAX / 4,
     .flags = OPT_LIVE,
     .sentence = "Rows are written out when the oldest has waited so long; by default what suits the connector, 5 s mostly."},
    {.name = "overflow", .type = OPT_ENUM, .values = "block|spill|drop_oldest|error", .flags = OPT_LIVE,
     .sentence = "What happens when the sink falls behind and memory for what waits is used up: its stream waits; rows go to disk; the "
                 "oldest are dropped, counted; the sink is BLOCKED. By default spill where the database has a spill path, else block."},
    {.name = "dead_letter", .type = OPT_TEXT,
     .sentence = "The declared stream that gets rows that cannot be written: its columns of the row's names, error, sink and at."},
    {.name = "retry.first", .type = OPT_DURATION, .dflt = "100 ms", .min = 1000, .max = 3600000000, .flags = OPT_LIVE,
     .sentence = "How long to pause after a failure that may pass; the pause doubles with each failure in a row."},
    {.name = "retry.max", .type = OPT_DURATION, .dflt = "30 s", .min = 1000, .max = 86400000000, .flags = OPT_LIVE,
     .sentence = "The longest pause."},
    {.name = "retry.limit", .type = OPT_INT, .min = 1, .max = 1000000, .flags = OPT_LIVE,
     .sentence = "After so many failures in a row the sink is BLOCKED and waits for ALTER SINK; by default it tries on."},
    {.name = "write.timeout", .type = OPT_DURATION, .dflt = "30 s", .min = 1000, .max = 86400000000, .flags = OPT_LIVE,
     .sentence = "A write, flush or close that takes longer is canceled and tried again, by connectors that can be canceled."},
    {.name = "open.timeout", .type = OPT_DURATION, .dflt = "30 s", .min = 1000, .max = 86400000000, .flags = OPT_LIVE,
     .sentence = "The same for connecting."},
    {.name = "changelog", .type = OPT_ENUM, .dflt = "w", .values = "w|op",
     .sentence = "How changes are marked: a column w of 1 and -1, or op of +I, -U, +U and -D."},
    {0},
};
/* clang-format on */

struct maker {
    const struct catalog *catalog;
    const struct stmt *s;
    struct object *o;
    struct arena *a;
    struct err *err;
};

void object_free(struct object *o)
{
    if (o) arena_free(o->arena);
}

/* ---- options -------------------------------------------------------------------------------------------- */

static const struct ast_option *option_given(const struct stmt *s, const char *name)
{
    const struct option_spec table[] = {{.name = name}, {0}};
    for (int i = 0; i < s->options.n; i++)
        if (option_find(table, s->options.at[i]->key)) return s->options.at[i];
    return NULL;
}

/* The statement's options that `only` knows (NULL: all), as the reader of options takes them. */
static struct option_in *options_of(struct maker *m, const struct option_spec *only, int *n)
{
    struct option_in *in = arena_alloc(m->a, sizeof *in * (size_t)(m->s->options.n + 1));
    *n = 0;
    for (int i = 0; i < m->s->options.n; i++) {
        const struct ast_option *o = m->s->options.at[i];
        if (only && !option_find(only, o->key)) continue;
        in[(*n)++] = (struct option_in){o->key, o->value ? o->value : "", o->pos, o->value_pos};
    }
    return in;
}

static const struct option_spec no_options[] = {{0}};

static const struct option_spec stream_options[] = {
    {.name = "retain.history", .type = OPT_SIZE, .min = 1, .max = INT64_MAX / 4,
     .sentence = "The stream runs from its creation and keeps at least its last so many bytes, for SUBSCRIBE ... AS OF EPOCH."},
    {0},
};

static const struct option_spec *connector_table(const struct object *o)
{
    return o->connector && o->connector->options ? o->connector->options : no_options;
}

static uint32_t connector_pos(const struct maker *m)
{
    return m->s->connector ? m->s->connector_pos : m->s->name_pos;
}

/* An error about options that stands nowhere stands at the connector. */
static enum status place_error(struct maker *m, enum status st)
{
    if (st && m->err && m->err->pos == NO_POS) m->err->pos = connector_pos(m);
    return st;
}

static enum status read_options(struct maker *m, const char *what)
{
    struct object *o = m->o;
    const struct option_spec *tables[] = {connector_table(o),
                                          o->format && o->format->options ? o->format->options : no_options,
                                          o->kind == OBJECT_SOURCE ? source_options : sink_options};
    int n;
    struct option_in *in = options_of(m, NULL, &n);
    return place_error(m, options_read(m->a, what, tables, 3, in, n, &o->options, m->err));
}

/* ---- connectors and formats ------------------------------------------------------------------------------- */

static const char *nth_connector(const void *ctx, int i)
{
    const struct catalog *c = ctx;
    return c->connector_name(c->ctx, i);
}

static const char *nth_format(const void *ctx, int i)
{
    const struct catalog *c = ctx;
    return c->format_name(c->ctx, i);
}

static void hint_names(struct maker *m, const char *name, const char *(*next)(const void *ctx, int i))
{
    const char *near = text_nearest(name, next, m->catalog), *s;
    if (near) {
        err_hint(m->err, "did you mean '%s'?", near);
        return;
    }
    struct text all = {.max = 200};
    for (int i = 0; (s = next(m->catalog, i)); i++) text_printf(&all, "%s%s", i ? ", " : "", s);
    if (all.n) err_hint(m->err, "there are: %s%s", text_cstr(&all), all.full ? ", ..." : "");
    text_done(&all);
}

static enum status find_connector(struct maker *m)
{
    const struct catalog *c = m->catalog;
    const char *name = m->s->connector;
    bool source = m->o->kind == OBJECT_SOURCE;
    m->o->connector = source ? c->source(c->ctx, name) : c->sink(c->ctx, name);
    if (m->o->connector) return ST_OK;
    if (source ? c->sink(c->ctx, name) : c->source(c->ctx, name))
        return err_at(m->err, E_CONNECTOR, m->s->connector_pos, "the connector '%s' is for %s only", name,
                      source ? "sinks" : "sources");
    err_at(m->err, E_CONNECTOR, m->s->connector_pos, "there is no connector '%.100s'", name);
    hint_names(m, name, nth_connector);
    return E_CONNECTOR;
}

static const char *nth_option(const void *ctx, int i)
{
    const struct option_spec *table = ctx;
    for (; table->name; table++)
        if (!(table->flags & OPT_REFUSED) && !i--) return table->name;
    return NULL;
}

/* A required option that is missing may have been misspelt: then that is the error. */
static enum status misspelt(struct maker *m, const char *what, enum status st)
{
    const struct option_spec *table = connector_table(m->o);
    struct options *o;
    for (int i = 0; i < m->s->options.n && st == E_CONFIG_MISSING; i++) {
        const struct ast_option *given = m->s->options.at[i];
        struct option_in in = {given->key, given->value, given->pos, given->value_pos};
        if (!option_find(table, given->key) && text_nearest(given->key, nth_option, table))
            return options_read(m->a, what, &table, 1, &in, 1, &o, m->err);
    }
    return st;
}

/* What the path's ending says, else the connector's own default; NULL: neither. */
static enum status guess_format(struct maker *m, const char *what, const char **out)
{
    const struct connector_info *c = m->o->connector;
    const struct option_spec *table[] = {connector_table(m->o)};
    struct options *o;
    int n;
    struct option_in *in = options_of(m, table[0], &n);
    enum status st = options_read(m->a, what, table, 1, in, n, &o, m->err);
    if (st) return place_error(m, misspelt(m, what, st));
    *out = c->guess_format ? c->guess_format(o) : NULL;
    if (!*out) *out = c->default_format;
    return ST_OK;
}

/* FORMAT X or the option `format`; *pos is where it stands. */
static enum status given_format(struct maker *m, const char **name, uint32_t *pos)
{
    const struct ast_option *option = option_given(m->s, "format");
    *name = m->s->format ? m->s->format : option ? option->value : NULL;
    *pos = option ? option->value_pos : connector_pos(m);
    if (!m->s->format || !option || !text_casecmp(m->s->format, option->value)) return ST_OK;
    return err_at(m->err, E_FORMAT, *pos, "two formats are given: %s and %s", m->s->format, option->value);
}

static enum status find_format(struct maker *m, const char *what)
{
    const struct catalog *c = m->catalog;
    const char *name;
    uint32_t pos;
    bool source = m->o->kind == OBJECT_SOURCE;
    TRY(given_format(m, &name, &pos));
    if (!m->o->connector || !m->o->connector->is_bytes) {
        if (!name) return ST_OK;
        return err_at(m->err, E_FORMAT, pos, "%s has rows, not bytes, and takes no format", what);
    }
    if (!name) TRY(guess_format(m, what, &name));
    if (!name) {
        err_at(m->err, E_CONFIG_MISSING, pos, "%s needs a format", what);
        err_hint(m->err, "add format = 'csv' or FORMAT CSV");
        return E_CONFIG_MISSING;
    }
    m->o->format = source ? c->format_in(c->ctx, name) : c->format_out(c->ctx, name);
    if (m->o->format && (m->o->connector->is_records ? m->o->format->records : m->o->format->bytes)) return ST_OK;
    if (m->o->format)
        return err_at(m->err, E_FORMAT, pos, "the format '%s' does not go with %s, which has %s", name, what,
                      m->o->connector->is_records ? "values one by one" : "a run of bytes");
    if (source ? c->format_out(c->ctx, name) : c->format_in(c->ctx, name))
        return err_at(m->err, E_FORMAT, pos, "the format '%s' is for %s only", name, source ? "writing" : "reading");
    err_at(m->err, E_FORMAT, pos, "there is no format '%.100s'", name);
    hint_names(m, name, nth_format);
    return E_FORMAT;
}

/* ---- the statement's text ------------------------------------------------------------------------------------ */

static bool is_secret(const struct object *o, const char *key)
{
    const struct option_spec *tables[] = {connector_table(o),
                                          o->format && o->format->options ? o->format->options : no_options};
    for (size_t i = 0; i < countof(tables); i++) {
        const struct option_spec *spec = option_find(tables[i], key);
        if (spec) return spec->flags & OPT_SECRET;
    }
    return false;
}

static void keep_text(struct maker *m)
{
    struct stmt masked = *m->s;
    struct text out = {0};
    masked.options.at = arena_alloc(m->a, sizeof *masked.options.at * (size_t)m->s->options.n);
    for (int i = 0; i < m->s->options.n; i++) {
        struct ast_option *option = arena_alloc(m->a, sizeof *option);
        *option = *m->s->options.at[i];
        if (is_secret(m->o, option->key)) option->value = "***";
        masked.options.at[i] = option;
    }
    sql_print(&masked, &out);
    m->o->sql = arena_strndup(m->a, out.p ? out.p : "", out.n);
    text_done(&out);
}

/* ---- columns and watermark ------------------------------------------------------------------------------------ */

/* A column has one scale for all its rows: DECIMAL without one gets nine digits, for none would round what is read. */
static struct type column_type(struct type t)
{
    return t.id == T_DECIMAL && !t.precision ? type_decimal(38, 9) : t;
}

static enum status make_columns(struct maker *m)
{
    const struct stmt *s = m->s;
    if (s->wildcard || !s->columns.n) {
        err_at(m->err, E_UNSUPPORTED, s->name_pos, "finding out the columns of '%s' is not supported", s->name);
        err_hint(m->err, "list them: CREATE SOURCE %s (ts TIMESTAMP, price DOUBLE, ...)", s->name);
        return E_UNSUPPORTED;
    }
    struct schema *schema = schema_new(m->a, s->columns.n);
    for (int i = 0; i < schema->n; i++) {
        const struct ast_column *c = s->columns.at[i];
        char type[64];
        for (int k = 0; k < i; k++)
            if (!strcmp(s->columns.at[k]->name, c->name))
                return err_at(m->err, E_EXISTS, c->pos, "column '%s' is declared twice", c->name);
        if (c->primary_key) return err_at(m->err, E_UNSUPPORTED, c->pos, "PRIMARY KEY is not supported here");
        if (!type_width(c->type.type))
            return err_at(m->err, E_UNSUPPORTED, c->type.pos, "the type %s is not supported",
                          type_name(c->type.type, type));
        schema->fields[i] = (struct field){arena_strdup(m->a, c->name), column_type(c->type.type), c->not_null};
    }
    if (s->primary_key.n) return err_at(m->err, E_UNSUPPORTED, s->name_pos, "PRIMARY KEY is not supported here");
    m->o->schema = schema;
    return ST_OK;
}

static const char *nth_field(const void *ctx, int i)
{
    const struct schema *s = ctx;
    return i < s->n ? s->fields[i].name : NULL;
}

static bool is_column(const struct ast *e, const char *name)
{
    return e->kind == AST_NAME && e->nparts == 1 && !strcmp(e->parts[0], name);
}

static enum status bad_watermark(struct maker *m, const struct ast *e, const char *column)
{
    err_at(m->err, E_WATERMARK, e->pos, "the watermark of '%s' cannot be computed by this expression", column);
    err_hint(m->err, "write WATERMARK FOR %s AS %s - INTERVAL '5' SECOND", column, column);
    return E_WATERMARK;
}

/* c, c - INTERVAL ..., c - n (milliseconds). */
static enum status watermark_rule(struct maker *m, const struct ast *e, const char *column, struct type t)
{
    struct object *o = m->o;
    struct binder b = {.a = m->a, .catalog = m->catalog, .err = m->err};
    bool is_ms = type_is_integer(t);
    o->watermark = WATERMARK_BOUNDED;
    if (!e || is_column(e, column)) return ST_OK;
    if (ast_is_call(e, "proctime")) return err_at(m->err, E_UNSUPPORTED, e->pos, "a watermark that follows the wall clock is not supported");
    bool minus = e->kind == AST_BINARY && !strcmp(e->name, "-") && is_column(e->args.at[0], column);
    if (!minus) return bad_watermark(m, e, column);
    TRY(bind_span(&b, e->args.at[1], "the watermark's delay", is_ms ? 1000 : 0, E_WATERMARK, &o->delay_us));
    if (o->delay_us >= 0) return ST_OK;
    return err_at(m->err, E_WATERMARK, e->args.at[1]->pos, "the watermark's delay must not be negative");
}

static enum status make_watermark(struct maker *m)
{
    const struct ast_watermark *w = m->s->watermark;
    char type[64];
    if (!w) return ST_OK;
    int column = schema_find(m->o->schema, w->column);
    if (column < 0) {
        err_at(m->err, E_COLUMN, w->pos, "WATERMARK FOR '%.100s': there is no such column", w->column);
        const char *near = text_nearest(w->column, nth_field, m->o->schema);
        if (near) err_hint(m->err, "did you mean '%s'?", near);
        return E_COLUMN;
    }
    struct type t = m->o->schema->fields[column].type;
    if (!type_is_event_time(t)) {
        err_at(m->err, E_WATERMARK, w->pos, "an event time cannot be of type %s", type_name(t, type));
        err_hint(m->err, "use TIMESTAMP, TIMESTAMPTZ, or BIGINT for milliseconds since 1970");
        return E_WATERMARK;
    }
    m->o->schema->time_column = column;
    return watermark_rule(m, w->expr, w->column, t);
}

/* ---- metadata --------------------------------------------------------------------------------------------------- */

/* Whether a column of type `to` holds all that a connector gives as `from`, but for text that is not UTF-8. */
static bool holds(struct type to, struct type from)
{
    if (type_is_integer(from)) return type_is_integer(to) && type_width(to) >= type_width(from);
    if (from.id == T_JSON || to.id != T_JSON) {
        if (type_is_text(from)) return type_is_text(to) && !to.length;
    }
    if (type_is_time(from)) return type_is_time(to);
    return type_equal(to, from);
}

/* Of a sink's rows they are taken as they lie there. */
static bool lies_as(struct type is, struct type want)
{
    return type_equal(is, want) || (type_is_text(is) && type_is_text(want)) || (type_is_time(is) && type_is_time(want));
}

/* Columns that are the connector's have a type that fits. */
static enum status check_metadata(struct maker *m)
{
    const struct schema *s = m->o->schema, *metadata = m->o->connector ? m->o->connector->metadata : NULL;
    char want[64], is[64];
    for (int i = 0; metadata && i < s->n; i++) {
        int k = schema_find(metadata, s->fields[i].name);
        bool source = m->o->kind == OBJECT_SOURCE;
        if (k < 0 || (source ? holds : lies_as)(s->fields[i].type, metadata->fields[k].type)) continue;
        return err_at(m->err, E_TYPE, source ? m->s->columns.at[i]->pos : m->s->from_pos, "column '%s' of %s is %s, not %s",
                      s->fields[i].name, m->o->connector->name, type_name(metadata->fields[k].type, want),
                      type_name(s->fields[i].type, is));
    }
    return ST_OK;
}

/* ---- the three statements ---------------------------------------------------------------------------------------- */

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

static bool uses(const struct object *o, const struct object *what)
{
    for (int i = 0; i < o->nuses; i++)
        if (o->uses[i] == what && o->dead_letter != what) return true;
    return false;
}

/* Whether rows of `from` come to `to`, through streams, sinks and their dead letters. */
static bool leads_to(const struct catalog *c, const struct object *from, const struct object *to)
{
    const char *name;
    if (from == to) return true;
    for (int i = 0; (name = c->name(c->ctx, i)); i++) {
        const struct object *o = c->find(c->ctx, name);
        if (!o || !uses(o, from)) continue;
        if (o->kind == OBJECT_STREAM && leads_to(c, o, to)) return true;
        if (o->dead_letter && leads_to(c, o->dead_letter, to)) return true;
    }
    return false;
}

static const char *const source_letters[] = {"raw", "source", "position", "error", "at", NULL};
static const char *const sink_letters[] = {"error", "sink", "at", NULL};

static bool is_one_of(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0) names++;
    return *names;
}

/* What a column of the dead letters must be; false: nothing fills it. */
static bool letter_type(const struct object *o, const char *name, struct type *out)
{
    int c = o->kind == OBJECT_SINK ? schema_find(o->schema, name) : -1;
    if (c >= 0) return *out = o->schema->fields[c].type, true;
    if (!is_one_of(o->kind == OBJECT_SINK ? sink_letters : source_letters, name)) return false;
    *out = !strcmp(name, "position") ? TYPE(T_INT64) : !strcmp(name, "at") ? TYPE(T_TIMESTAMP) : TYPE(T_VARCHAR);
    return true;
}

static enum status check_letters(struct maker *m, const struct object *t, uint32_t pos)
{
    for (int i = 0; i < t->schema->n; i++) {
        const struct field *f = &t->schema->fields[i];
        struct type want;
        char a[64], b[64];
        bool filled = letter_type(m->o, f->name, &want);
        if (f->not_null)
            return err_at(m->err, E_TYPE, pos, "column '%s' of '%s' is NOT NULL, and dead letters may have no value for it", f->name, t->name);
        if (filled && !type_equal(want, f->type))
            return err_at(m->err, E_TYPE, pos, "column '%s' of '%s' is %s, and the dead letters of '%s' have %s there", f->name, t->name,
                          type_name(f->type, a), m->s->name, type_name(want, b));
    }
    return ST_OK;
}

static void add_use(struct maker *m, const struct object *t)
{
    struct object *o = m->o;
    const struct object **all = arena_alloc(m->a, sizeof *all * (size_t)(o->nuses + 1));
    for (int i = 0; i < o->nuses; i++) all[i] = o->uses[i];
    all[o->nuses++] = t;
    o->uses = all;
}

/* After the options and, of a sink, its plan. */
static enum status find_dead_letter(struct maker *m)
{
    const struct catalog *c = m->catalog;
    const struct ast_option *given = option_given(m->s, "dead_letter");
    if (!given) return ST_OK;
    const struct object *t = c->find(c->ctx, given->value);
    if (!t || !t->declared_only) {
        err_at(m->err, t ? E_TYPE : E_TABLE, given->value_pos, t ? "'%.100s' is no declared stream" : "there is no stream '%.100s'", given->value);
        err_hint(m->err, "declare it first: CREATE STREAM %.60s (error VARCHAR, at TIMESTAMP, ...)", given->value);
        return m->err ? m->err->code : E_TABLE;
    }
    for (int i = 0; i < m->o->nuses; i++)
        if (leads_to(c, t, m->o->uses[i]))
            return err_at(m->err, E_UNSUPPORTED, given->value_pos, "dead letters of '%s' would come back to it from '%s'", m->s->name, t->name);
    TRY(check_letters(m, t, given->value_pos));
    add_use(m, t);
    m->o->dead_letter = t;
    return ST_OK;
}

static enum status source_dead_letter(struct maker *m)
{
    const struct option_value *v = options_get(m->o->options, "on_error");
    const struct ast_option *given = option_given(m->s, "dead_letter"), *policy = option_given(m->s, "on_error");
    bool letters = v->i == ON_ERROR_OPTION_DEAD_LETTER;
    if (letters && !given) {
        err_at(m->err, E_CONFIG_MISSING, policy->pos, "on_error = 'dead_letter' needs the option 'dead_letter'");
        err_hint(m->err, "name a declared stream: dead_letter = 'bad'");
        return E_CONFIG_MISSING;
    }
    if (given && policy && !letters)
        return err_at(m->err, E_OPTION, given->pos, "with on_error = '%s' no record goes to the dead letters", v->text);
    if (given && !(m->o->connector && m->o->connector->is_bytes))
        return err_at(m->err, E_OPTION, given->pos, "source '%s' reads no bytes, so it has no records that cannot be read", m->s->name);
    return find_dead_letter(m);
}

static enum status make_source(struct maker *m)
{
    struct object *o = m->o;
    const char *what =
        m->s->connector ? arena_printf(m->a, "the %s source", m->s->connector) : "a source without connector";
    TRY(make_columns(m));
    TRY(make_watermark(m));
    if (m->s->connector) TRY(find_connector(m));
    TRY(check_metadata(m));
    TRY(find_format(m, what));
    TRY(read_options(m, what));
    TRY(source_dead_letter(m));
    const struct ast_option *overflow = option_given(m->s, "overflow");
    if (overflow && o->connector) {
        err_at(m->err, E_OPTION, overflow->pos, "%s is read no faster than its rows are taken, so it has no option 'overflow'", what);
        err_hint(m->err, "it is for sources without connector, which the program pushes into");
        return E_OPTION;
    }
    o->bounded = o->connector && o->connector->bounded && o->connector->bounded(o->connector->class, o->options);
    return ST_OK;
}

static enum status make_plan(struct maker *m, const struct ast_select *s)
{
    struct object *o = m->o;
    TRY(plan_query(m->a, m->catalog, s, o->kind == OBJECT_STREAM, o->name, &o->plan, &o->uses, &o->nuses, m->err));
    o->schema = o->plan->schema;
    o->bounded = o->plan->bounded;
    return ST_OK;
}

static enum status make_stream(struct maker *m)
{
    const struct stmt *s = m->s;
    const struct option_spec *tables[] = {stream_options};
    int n;
    struct option_in *in = options_of(m, NULL, &n);
    struct options *o;
    TRY(options_read(m->a, "a stream", tables, 1, in, n, &o, m->err));
    if (options_has(o, "retain.history")) m->o->history = options_int(o, "retain.history");
    if (s->select) return make_plan(m, s->select);
    if (n)
        return err_at(m->err, E_UNSUPPORTED, s->options.at[0]->pos, "a stream of declared columns keeps no history; one that reads it may");
    m->o->declared_only = true;
    TRY(make_columns(m));
    return make_watermark(m);
}

/* What the sink is given, as the query it stands for. */
static enum status sink_plan(struct maker *m)
{
    const struct stmt *s = m->s;
    struct ast star = {.kind = AST_STAR, .pos = s->from_pos};
    struct ast_item item = {.expr = &star}, *items[] = {&item};
    struct ast_from from = {
        .kind = s->select ? FROM_SELECT : FROM_NAME, .pos = s->from_pos, .name = s->from, .select = s->select};
    struct ast_select select = {.pos = s->from_pos, .from = &from, .where = s->where};
    select.items.at = items, select.items.n = 1;
    if (!s->select && !s->from)
        return err_at(m->err, E_SYNTAX, s->name_pos, "a sink needs FROM a source, a stream or a query");
    return make_plan(m, s->select && !s->where ? s->select : &select);
}

enum status plan_check_overflow(const struct catalog *c, const struct object *sink, enum overflow o, struct err *err)
{
    if (o == OVERFLOW_DROP_OLDEST && sink->plan->stream != STREAM_APPEND) {
        err_set(err, E_UNSUPPORTED, "overflow = 'drop_oldest' would lose changes, and sink '%s' is given changes", sink->name);
        err_hint(err, "use 'block', 'spill' or 'error'");
        return E_UNSUPPORTED;
    }
    if (o == OVERFLOW_SPILL && !c->spills) {
        err_set(err, E_CONFIG_MISSING, "overflow = 'spill' needs a folder to spill into, and this database has none");
        err_hint(err, "open it with one: laminar run --spill FOLDER, or lam_config.spill_path");
        return E_CONFIG_MISSING;
    }
    return ST_OK;
}

static enum status check_overflow(struct maker *m)
{
    const struct ast_option *given = option_given(m->s, "overflow");
    if (!given) return ST_OK;
    enum status st = plan_check_overflow(m->catalog, m->o, (enum overflow)options_int(m->o->options, "overflow"), m->err);
    if (st && m->err) m->err->pos = given->pos;
    return st;
}

/* A deadline needs a call that can be canceled. */
static enum status check_deadlines(struct maker *m, const char *what)
{
    static const char *const names[] = {"write.timeout", "open.timeout"};
    for (size_t i = 0; i < countof(names); i++) {
        const struct ast_option *o = option_given(m->s, names[i]);
        if (!o || m->o->connector->cancels) continue;
        err_at(m->err, E_OPTION, o->pos, "%s cannot be canceled, so it takes no %s", what, names[i]);
        return E_OPTION;
    }
    return ST_OK;
}

/* A promise that cannot be kept is refused, and never a lesser one given in its place. */
static enum status check_guarantee(struct maker *m, const char *what)
{
    static const char *const words[] = {"at_most_once", "at_least_once", "exactly_once"}; /* in the order of enum guarantee */
    enum { BEST = 1 };                                                                    /* of us: epochs are not committed yet */
    const struct ast_option *given = option_given(m->s, "guarantee");
    if (!given) given = option_given(m->s, "delivery.guarantee");
    if (!given) return ST_OK;
    int64_t asked = options_int(m->o->options, "guarantee");
    int best = m->o->connector->guarantee < BEST ? m->o->connector->guarantee : BEST;
    if (asked <= best) return ST_OK;
    err_at(m->err, E_UNSUPPORTED, given->value_pos, "%s cannot give guarantee = '%s'", what, words[asked]);
    if (m->o->connector->guarantee < asked)
        err_hint(m->err, "the most this connector gives is %s", words[best]);
    else
        err_hint(m->err, "it needs checkpoints, which there are not yet; %s is given: after an outage rows may come twice", words[best]);
    return E_UNSUPPORTED;
}

static enum status make_sink(struct maker *m)
{
    struct object *o = m->o;
    if (!m->s->connector) {
        err_at(m->err, E_CONNECTOR, m->s->name_pos, "the sink '%s' has no connector", m->s->name);
        err_hint(m->err, "add INTO FILE (path = 'out.csv')");
        return E_CONNECTOR;
    }
    const char *what = arena_printf(m->a, "the %s sink", m->s->connector);
    TRY(find_connector(m));
    TRY(find_format(m, what));
    TRY(read_options(m, what));
    TRY(check_deadlines(m, what));
    TRY(check_guarantee(m, what));
    TRY(sink_plan(m));
    TRY(check_metadata(m));
    TRY(find_dead_letter(m));
    TRY(check_overflow(m));
    if (o->plan->stream == STREAM_APPEND || o->connector->changelog) return ST_OK;
    err_at(m->err, E_UNSUPPORTED, m->s->connector_pos, "%s takes added rows only, and this stream takes rows back",
           what);
    return E_UNSUPPORTED;
}

enum status plan_create(const struct catalog *c, const struct stmt *s, const char *text, struct object **out,
                        struct err *err)
{
    static enum status (*const make[])(struct maker * m) = {
        [OBJECT_SOURCE] = make_source, [OBJECT_STREAM] = make_stream, [OBJECT_SINK] = make_sink};
    enum object_kind kind;
    (void)text;
    switch (s->kind) {
    case STMT_CREATE_SOURCE: kind = OBJECT_SOURCE; break;
    case STMT_CREATE_STREAM: kind = OBJECT_STREAM; break;
    case STMT_CREATE_SINK: kind = OBJECT_SINK; break;
    case STMT_CREATE_VIEW:
        return err_at(err, E_UNSUPPORTED, s->pos, "CREATE MATERIALIZED VIEW is not supported; CREATE STREAM is");
    case STMT_CREATE_TABLE:
        return err_at(err, E_UNSUPPORTED, s->pos, "CREATE TABLE is not supported; CREATE SOURCE is");
    case STMT_CREATE_LOOKUP:
        return err_at(err, E_UNSUPPORTED, s->pos, "CREATE LOOKUP TABLE is not supported; a join of bounded sources is");
    default: return err_at(err, E_INTERNAL, s->pos, "no CREATE statement");
    }
    AUTO(arena_free) struct arena *a = arena_new();
    struct object *o = arena_alloc(a, sizeof *o);
    struct maker m = {.catalog = c, .s = s, .o = o, .a = a, .err = err};
    o->kind = kind;
    o->name = arena_strdup(a, s->name);
    TRY(make[kind](&m));
    keep_text(&m);
    o->arena = TAKE(a);
    *out = o;
    return ST_OK;
}
