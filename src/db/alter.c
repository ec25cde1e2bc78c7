/* ALTER: commands to what runs. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

static const char *const sink_actions[] = {
    [SINK_RETRY] = "retry", [SINK_PAUSE] = "pause", [SINK_RESUME] = "resume", [SINK_SKIP] = "skip", [SINK_SET] = "set"};

static const struct option_spec *spec_of(const struct object *o, const char *key)
{
    const struct option_spec *tables[] = {o->connector->options, sink_options, o->format ? o->format->options : NULL};
    for (size_t i = 0; i < countof(tables); i++) {
        const struct option_spec *s = tables[i] ? option_find(tables[i], key) : NULL;
        if (s) return s;
    }
    return NULL;
}

static void hint_live(struct err *err)
{
    struct text all = {.max = 200};
    for (const struct option_spec *s = sink_options; s->name; s++)
        if (s->flags & OPT_LIVE) text_printf(&all, "%s%s", all.n ? ", " : "", s->name);
    err_hint(err, "ALTER SINK changes: %s", text_cstr(&all));
    text_done(&all);
}

/* The options given; what others of the table hold are defaults and mean nothing. */
static enum status read_changes(struct arena *a, const struct object *o, const struct stmt *st, struct options **out, struct err *err)
{
    struct option_in *in = arena_alloc(a, sizeof *in * (size_t)(st->options.n + 1));
    for (int i = 0; i < st->options.n; i++) {
        const struct ast_option *given = st->options.at[i];
        const struct option_spec *spec = spec_of(o, given->key);
        in[i] = (struct option_in){given->key, given->value ? given->value : "", given->pos, given->value_pos};
        if (spec && strstr(spec->name, ".timeout") && !o->connector->cancels)
            return err_at(err, E_OPTION, given->pos, "the %s sink cannot be canceled, so it takes no %s", o->connector->name, spec->name);
        if (!spec || spec->flags & OPT_LIVE) continue;
        err_at(err, E_OPTION, given->pos, "option '%s' of a sink can be set only when it is created", spec->name);
        hint_live(err);
        return E_OPTION;
    }
    const struct option_spec *tables[] = {sink_options};
    TRY(options_read(a, "a sink", tables, 1, in, st->options.n, out, err));
    for (int i = 0; i < (*out)->n; i++)
        if (!(*out)->values[i].set) (*out)->values[i].text = NULL;
    return ST_OK;
}

static enum status alter_sink(struct lam_session *s, const struct object *o, const struct stmt *st, struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new();
    struct options *set = NULL;
    enum sink_command what = SINK_RETRY;
    while (what <= SINK_SET && strcmp(sink_actions[what], st->value) != 0) what++;
    if (what > SINK_SET) return err_at(err, E_UNSUPPORTED, st->pos, "a sink has no columns of its own to add to");
    if (what == SINK_SET) TRY(read_changes(a, o, st, &set, err));
    if (set && options_has(set, "overflow")) {
        struct catalog view = catalog_view(s);
        TRY(plan_check_overflow(&view, o, (enum overflow)options_int(set, "overflow"), err));
    }
    TRY(session_apply(s, err)); /* a sink of the same script runs from here on */
    enum status r = runtime_alter_sink(s->db->runtime, o->id, what, set, CONTROL_TIMEOUT_US, err);
    if (r && err->pos == NO_POS) err->pos = st->name_pos;
    return r;
}

enum status alter_statement(struct lam_session *s, const struct stmt *st, struct err *err)
{
    lock_take(&s->db->lock);
    const struct object *o = catalog_seen(s, st->name);
    lock_give(&s->db->lock);
    if (!o) return session_not_found(s->db, st, err);
    if (strcmp(st->what, object_kind_name(o->kind)) != 0)
        return err_at(err, E_TYPE, st->name_pos, "\"%s\" is a %s, not a %s", st->name, object_kind_name(o->kind), st->what);
    if (o->kind == OBJECT_SINK) return alter_sink(s, o, st, err);
    if (o->kind == OBJECT_STREAM) return alter_stream(s, o, st, err);
    return err_at(err, E_UNSUPPORTED, st->pos, "ALTER %s is not supported", st->what);
}
