/* ALTER STREAM, and SET: what a stream or the database may take, and when. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

static const struct option_spec limits[] = {
    {.name = "memory.limit", .type = OPT_SIZE, .flags = OPT_REQUIRED, .min = 0, .max = INT64_MAX,
     .sentence = "Most bytes of state, or of all memory; 0: no limit."},
    {0},
};

static enum status read_limit(const char *what, const struct option_in *in, int n, int64_t *out, struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new();
    const struct option_spec *tables[] = {limits};
    struct options *o;
    TRY(options_read(a, what, tables, 1, in, n, &o, err));
    *out = options_int(o, "memory.limit");
    return ST_OK;
}

static enum status set_limit(struct lam_session *s, const struct object *o, const struct stmt *st, struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new();
    struct option_in *in = arena_alloc(a, sizeof *in * (size_t)(st->options.n + 1));
    int64_t bytes;
    for (int i = 0; i < st->options.n; i++) {
        const struct ast_option *g = st->options.at[i];
        in[i] = (struct option_in){g->key, g->value ? g->value : "", g->pos, g->value_pos};
    }
    TRY(read_limit("a stream", in, st->options.n, &bytes, err));
    runtime_limit(s->db->runtime, o->id, bytes);
    return ST_OK;
}

enum status alter_stream(struct lam_session *s, const struct object *o, const struct stmt *st, struct err *err)
{
    bool pause = !strcmp(st->value, "pause"), resume = !strcmp(st->value, "resume");
    if (!strcmp(st->value, "set")) return set_limit(s, o, st, err);
    if (!pause && !resume) {
        err_at(err, E_UNSUPPORTED, st->pos, "ALTER STREAM has no such action");
        err_hint(err, "there are PAUSE, RESUME and SET (memory.limit = ...)");
        return E_UNSUPPORTED;
    }
    TRY(session_apply(s, err)); /* a sink of the same script runs from here on */
    enum status r = runtime_hold_stream(s->db->runtime, o->id, pause, err);
    if (r && err->pos == NO_POS) err->pos = st->name_pos;
    return r;
}

enum status set_statement(struct lam_session *s, const struct stmt *st, struct err *err)
{
    struct option_in in = {st->what, st->value ? st->value : "", st->pos, st->pos};
    int64_t bytes;
    TRY(read_limit("SET", &in, 1, &bytes, err));
    runtime_limit(s->db->runtime, 0, bytes);
    return ST_OK;
}
