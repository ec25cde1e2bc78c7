/* The generator source: rows out of a seed, at a rate.
 *
 * Row n is the same in every run, whatever the rate and the cuts: its values depend on (seed, column, n), its time is
 * start + n * step, minus up to `disorder`. A position is the row number, with what cannot be computed from it: the start
 * (it may be the time of opening) and where each walk stands.
 *
 * Pace: rows come in portions of 10 ms worth (at least one row); portion k is due at t0 + k * portion / rate, computed from
 * the beginning, so errors do not add up. Who is late catches up at full speed. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"
#include "connector/gen_field.h"
#include "expr/cell.h"

#define PORTIONS_PER_SECOND 100
#define SECOND 1000000

struct place { /* position.extra */
    int64_t start_us;
    double walks[GEN_WALKS];
};
_Static_assert(sizeof(struct place) <= sizeof(((struct position *)0)->extra), "a place fits a position");

struct generator {
    struct source source;
    struct arena *arena;
    struct pool *pool;
    struct gen_field *fields;
    struct place place;
    uint64_t next;           /* row */
    uint64_t rows;           /* 0: endless */
    int64_t rate, step_us, disorder_us;
    uint64_t disorder_key;
    bool paced;              /* t0_us and row0 are set */
    int64_t t0_us;
    uint64_t row0;
    int64_t wake_us;
    int64_t *times, *ints;   /* BATCH_ROWS each */
    double *doubles;
};

static struct generator *self(struct source *s) { return container_of(s, struct generator, source); }

static enum status read_start(struct generator *g, struct err *err)
{
    const char *start = options_text(g->source.ctx.options, "start");
    if (!strcmp(start, "now")) return g->place.start_us = env_wall_us(g->source.ctx.env), ST_OK;
    if (!cell_parse(TYPE(T_TIMESTAMP), start, strlen(start), &g->place.start_us, NULL)) return ST_OK;
    err_set(err, E_CONNECTOR_OPTION, "option start: \"%s\" is no timestamp", start);
    err_hint(err, "for example '2024-01-01 00:00:00', or 'now'");
    return E_CONNECTOR_OPTION;
}

static enum status source_open(struct source *s, struct err *err)
{
    struct generator *g = self(s);
    const struct options *o = s->ctx.options;
    uint64_t seed = (uint64_t)options_int(o, "seed");
    g->arena = arena_new();
    g->pool = pool_new(s->ctx.account);
    g->rows = (uint64_t)options_int(o, "rows");
    g->rate = options_int(o, "rows.per.second");
    g->step_us = options_has(o, "step") ? options_int(o, "step") : g->rate ? 0 : 1000;
    g->disorder_us = options_int(o, "disorder");
    g->disorder_key = gen_random(~seed, 0);
    g->times = arena_alloc(g->arena, sizeof(int64_t) * BATCH_ROWS);
    g->ints = arena_alloc(g->arena, sizeof(int64_t) * BATCH_ROWS);
    g->doubles = arena_alloc(g->arena, sizeof(double) * BATCH_ROWS);
    TRY(read_start(g, err));
    const struct schema *declared = s->ctx.declared ? s->ctx.declared : s->ctx.schema;
    return gen_field_parse(g->arena, s->ctx.schema, declared, options_text(o, "fields"), seed, &g->fields, err);
}

static int source_splits(struct source *s) { return (void)s, 1; }
static const char *split_name(struct source *s, int split) { return (void)s, (void)split, "rows"; }

static int64_t split_size(struct source *s, int split)
{
    (void)split;
    return self(s)->rows ? (int64_t)self(s)->rows : -1;
}

static enum status source_seek(struct source *s, int split, const struct position *at, struct err *err)
{
    (void)split;
    struct generator *g = self(s);
    g->paced = false;
    g->next = at ? (uint64_t)at->offset : 0;
    if (!at) return memset(g->place.walks, 0, sizeof g->place.walks), ST_OK;
    if (at->n != sizeof g->place) return err_set(err, E_READ, "source \"%s\": not a position of a generator", s->ctx.name);
    memcpy(&g->place, at->extra, sizeof g->place);
    return ST_OK;
}

/* How many rows are due, at most `max`; when none, when to ask again. */
static uint32_t rows_due(struct generator *g, int64_t now_us, uint32_t max)
{
    if (!g->rate) return max;
    if (!g->paced) g->paced = true, g->t0_us = now_us, g->row0 = g->next;
    int64_t portion = g->rate / PORTIONS_PER_SECOND ? g->rate / PORTIONS_PER_SECOND : 1;
    int128 elapsed = now_us > g->t0_us ? now_us - g->t0_us : 0;
    int128 due = (elapsed * g->rate / ((int128)portion * SECOND) + 1) * portion - (int128)(g->next - g->row0);
    if (due > 0) return due < max ? (uint32_t)due : max;
    int128 at = (int128)(g->next - g->row0) * SECOND;
    g->wake_us = g->t0_us + (int64_t)((at + g->rate - 1) / g->rate);
    return 0;
}

static void make_times(struct generator *g, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int64_t row = (int64_t)(g->next + i);
        int64_t after = g->step_us ? row * g->step_us : g->rate ? (int64_t)((int128)row * SECOND / g->rate) : 0;
        g->times[i] = g->place.start_us + after;
    }
    if (!g->disorder_us) return;
    for (uint32_t i = 0; i < n; i++)
        g->times[i] -= (int64_t)gen_below(gen_random(g->disorder_key, g->next + i), (uint64_t)g->disorder_us + 1);
}

static enum status source_poll(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err)
{
    (void)split, (void)err;
    struct generator *g = self(s);
    uint64_t left = g->rows ? g->rows - g->next : BATCH_ROWS;
    if (g->rows && g->next >= g->rows) return ST_DONE;
    uint32_t n = rows_due(g, now_us, left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS);
    if (!n) return ST_WAIT;
    struct batch *b = batch_for(g->pool, s->ctx.schema, BATCH_ROWS);
    make_times(g, n);
    struct gen_rows r = {.first = g->next, .n = n, .times = g->times, .wall_us = env_wall_us(s->ctx.env),
                         .walks = g->place.walks, .ints = g->ints, .doubles = g->doubles};
    for (int c = 0; c < s->ctx.schema->n; c++) gen_field_fill(&g->fields[c], &r, b, c);
    b->rows = n;
    g->next += n;
    out->b = b;
    out->after = (struct position){.offset = (int64_t)g->next, .n = sizeof g->place};
    memcpy(out->after.extra, &g->place, sizeof g->place);
    return ST_OK;
}

static int source_wait(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us)
{
    (void)split, (void)fds, (void)max;
    *wake_us = self(s)->wake_us;
    return 0;
}

static void source_close(struct source *s)
{
    struct generator *g = self(s);
    pool_close(TAKE(g->pool));
    arena_free(TAKE(g->arena));
}

static bool is_bounded(const struct source_class *c, const struct options *o) { return (void)c, options_int(o, "rows") > 0; }

static const struct option_spec options[] = {
    {.name = "rows", .type = OPT_INT, .dflt = "0", .max = INT64_MAX, .sentence = "How many rows to make; 0: without end."},
    {.name = "rows.per.second", .type = OPT_INT, .dflt = "0", .max = 1000000000,
     .sentence = "Pace; 0: as fast as they are taken."},
    {.name = "seed", .type = OPT_INT, .dflt = "1", .sentence = "The same seed makes the same rows."},
    {.name = "start", .type = OPT_TEXT, .dflt = "2024-01-01 00:00:00",
     .sentence = "Event time of the first row, or 'now' for the time of opening."},
    {.name = "step", .type = OPT_DURATION, .max = INT64_MAX,
     .sentence = "Event time between rows; by default what the pace makes it, or 1 ms without a pace."},
    {.name = "disorder", .type = OPT_DURATION, .dflt = "0 s", .max = INT64_MAX,
     .sentence = "How much a row's event time may lie behind its turn."},
    {.name = "fields", .type = OPT_TEXT,
     .sentence = "What columns hold, as 'name: kind(arguments) null(fraction), ...' with the kinds sequence(first, step), "
                 "uniform(min, max), normal(mean, stddev), zipf(n, exponent), choice(a, b, ...), constant(v), walk(first, "
                 "stddev), text(min, max), time, now, uuid; columns not named are made by their type."},
    {0},
};

const struct source_class generator_source = {
    .size = sizeof(struct source_class),
    .name = "generator",
    .aliases = (const char *const[]){"datagen", NULL},
    .sentence = "Makes rows out of a seed, at a pace.",
    .instance_size = sizeof(struct generator),
    .payload = PAYLOAD_COLUMNS,
    .options = options,
    .replayable = true,
    .bounded = is_bounded,
    .guess_format = source_no_guess,
    .open = source_open,
    .splits = source_splits,
    .split_name = split_name,
    .split_size = split_size,
    .seek = source_seek,
    .head = source_no_head,
    .poll = source_poll,
    .wait = source_wait,
    .mark = source_no_mark,
    .ack = source_no_ack,
    .caught_up = source_always_caught_up,
    .cancel = source_no_cancel,
    .close = source_close,
};
