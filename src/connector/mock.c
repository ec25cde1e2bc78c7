/* The mock source and sink: connectors that do what a script says. See mock.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connector/mock.h"
#include "connector/connector_int.h"
#include "connector/mock_int.h"
#include "expr/cell.h"

#define SCRIPT_SENTENCE                                                                                                \
    "What goes wrong and when: 'wait 50 ms; slow flush 2 1 s; fail open 1-3 connect; fail write 3 retry; "             \
    "fail write 5 poison 2; fail flush 3 poison 1; short write 6 10; hang write 7; fail close 1'."

static const char *name_of(const struct connector_ctx *c)
{
    const char *name = options_text(c->options, "name");
    return name ? name : c->name;
}

/* ---- source ------------------------------------------------------------------------------------------- */

struct mock_source {
    struct source source;
    struct mock_player player;
    struct pool *pool;
    struct arena *arena;
    struct batch *rows; /* all of them */
    uint32_t next, step;
};

static struct mock_source *source_of(struct source *s) { return container_of(s, struct mock_source, source); }

/* One row of text, a value for each declared column parted by commas; \N is NULL. */
static enum status read_row(struct mock_source *m, char *line, uint32_t row, uint32_t cap, struct err *err)
{
    const struct schema *s = m->source.ctx.schema, *all = m->source.ctx.declared ? m->source.ctx.declared : s;
    char *rest = line;
    for (int i = 0; i < all->n; i++) {
        char *cell = strsep(&rest, ",");
        if (!cell) return err_set(err, E_CONNECTOR_OPTION, "option rows: row %u has %d values, not %d", row + 1, i, all->n);
        int c = schema_find(s, all->fields[i].name);
        if (c < 0) continue;
        struct value v = {.type = s->fields[c].type, .is_null = true};
        char *data = (char *)m->rows->cols[c].data + type_width(v.type) * row;
        if (!strcmp(cell, "\\N"))
            batch_put(m->rows, s, c, row, cap, &v);
        else
            TRY(cell_parse(v.type, cell, strlen(cell), data, err)); /* text views the arena */
    }
    return rest ? err_set(err, E_CONNECTOR_OPTION, "option rows: row %u has more than %d values", row + 1, all->n) : ST_OK;
}

static enum status read_rows(struct mock_source *m, const char *text, struct err *err)
{
    uint32_t cap = 1;
    for (const char *p = text; *p; p++) cap += *p == ';';
    m->rows = batch_for(m->pool, m->source.ctx.schema, cap);
    char *rest = arena_strdup(m->arena, text), *line;
    uint32_t n = 0;
    while ((line = strsep(&rest, ";"))) {
        while (*line == ' ' || *line == '\n') line++;
        if (*line) TRY(read_row(m, line, n++, cap, err));
    }
    m->rows->rows = n;
    return ST_OK;
}

static enum status source_open(struct source *s, struct err *err)
{
    struct mock_source *m = source_of(s);
    const struct options *o = s->ctx.options;
    m->arena = arena_new();
    m->pool = pool_new(s->ctx.account);
    m->step = (uint32_t)options_int(o, "batch");
    TRY(mock_player_init(&m->player, s->ctx.env, name_of(&s->ctx), options_text(o, "script"), s->class->blocking, err));
    TRY(read_rows(m, options_text(o, "rows"), err));
    return mock_player_call(&m->player, MOCK_OPEN, NULL, err);
}

static int source_splits(struct source *s) { return (void)s, 1; }
static const char *split_name(struct source *s, int split) { return (void)s, (void)split, "rows"; }
static int64_t split_size(struct source *s, int split) { return (void)split, source_of(s)->rows->rows; }

static enum status source_seek(struct source *s, int split, const struct position *at, struct err *err)
{
    (void)split;
    struct mock_source *m = source_of(s);
    if (at && (at->offset < 0 || at->offset > m->rows->rows))
        return err_set(err, E_READ, "source \"%s\": there is no row %lld", s->ctx.name, (long long)at->offset);
    m->next = at ? (uint32_t)at->offset : 0;
    return ST_OK;
}

static enum status source_poll(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err)
{
    (void)split, (void)now_us;
    struct mock_source *m = source_of(s);
    uint32_t left = m->rows->rows - m->next, idx[BATCH_ROWS];
    if (!left) {
        m->player.wake_us = INT64_MAX;
        return options_int(s->ctx.options, "endless") ? ST_WAIT : ST_DONE;
    }
    uint32_t n, most;
    TRY(mock_player_call(&m->player, MOCK_POLL, &most, err));
    n = m->step < left ? m->step : left;
    if (n > most) n = most;
    for (uint32_t i = 0; i < n; i++) idx[i] = m->next + i;
    out->b = batch_for(m->pool, s->ctx.schema, n);
    batch_scatter(out->b, n, s->ctx.schema, m->rows, idx, n);
    m->next += n;
    out->after = (struct position){.offset = m->next};
    return ST_OK;
}

static int source_wait(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us)
{
    (void)split, (void)fds, (void)max;
    *wake_us = source_of(s)->player.wake_us;
    return 0;
}

static void source_cancel(struct source *s) { mock_player_cancel(&source_of(s)->player); }

static void source_close(struct source *s)
{
    struct mock_source *m = source_of(s);
    batch_unref(TAKE(m->rows));
    pool_close(TAKE(m->pool));
    arena_free(TAKE(m->arena));
    mock_player_done(&m->player);
}

static bool is_bounded(const struct source_class *c, const struct options *o) { return (void)c, !options_int(o, "endless"); }

static const struct option_spec source_options[] = {
    {.name = "script", .type = OPT_TEXT, .sentence = SCRIPT_SENTENCE},
    {.name = "name", .type = OPT_TEXT, .sentence = "Name the calls are counted under; the source's own by default."},
    {.name = "rows", .type = OPT_TEXT, .dflt = "",
     .sentence = "The rows to give: values parted by commas, rows by semicolons; \\N is NULL."},
    {.name = "batch", .type = OPT_INT, .dflt = "1", .min = 1, .max = BATCH_ROWS, .sentence = "Rows a poll gives."},
    {.name = "endless", .type = OPT_BOOL, .dflt = "false", .sentence = "Wait after the last row in place of ending."},
    {0},
};

#define SOURCE_CLASS(class_name, blocks)                                                                               \
    {                                                                                                                  \
        .size = sizeof(struct source_class), .name = class_name, .sentence = "Gives rows as a script says, for tests.",      \
        .instance_size = sizeof(struct mock_source),                                                                   \
        .payload = PAYLOAD_COLUMNS, .options = source_options, .replayable = true, .blocking = blocks,                 \
        .bounded = is_bounded, .guess_format = source_no_guess, .open = source_open, .splits = source_splits,          \
        .split_name = split_name, .split_size = split_size, .seek = source_seek, .head = source_no_head,               \
        .poll = source_poll, .wait = source_wait, .mark = source_no_mark, .ack = source_no_ack,                        \
        .caught_up = source_always_caught_up, .cancel = source_cancel, .close = source_close,                          \
    }

const struct source_class mock_source = SOURCE_CLASS("mock", false);
const struct source_class mock_blocking_source = SOURCE_CLASS("mock.blocking", true);

/* ---- sink --------------------------------------------------------------------------------------------- */

struct mock_sink {
    struct sink sink;
    struct mock_player player;
    bool transactional; /* rows are seen when their epoch is committed */
    bool buffered;      /* ... when they are flushed */
    uint64_t bad;       /* of those that wait, from 0: which was poison */
    struct text text;
};

static struct mock_sink *sink_of(struct sink *s) { return container_of(s, struct mock_sink, sink); }

static enum status sink_open(struct sink *s, uint64_t incarnation, uint64_t *marker, bool *fresh, struct err *err)
{
    (void)incarnation;
    struct mock_sink *m = sink_of(s);
    const struct options *o = s->ctx.options;
    m->transactional = s->ctx.epochs || options_int(o, "transactional");
    m->buffered = options_int(o, "buffered");
    TRY(mock_player_init(&m->player, s->ctx.env, name_of(&s->ctx), options_text(o, "script"), s->class->blocking, err));
    TRY(mock_player_call(&m->player, MOCK_OPEN, NULL, err));
    mock_target_abort(m->player.target); /* as a server does with the transaction of a client that went away */
    *marker = mock_target_marker(m->player.target);
    *fresh = true;
    return ST_OK;
}

static void put_row(struct mock_sink *m, const struct batch *b, uint32_t row)
{
    const struct schema *s = m->sink.ctx.schema;
    if (b->weight && b->weight[row] < 0) text_putc(&m->text, '-');
    for (int c = 0; c < s->n; c++) {
        const struct column *col = &b->cols[c];
        if (c) text_putc(&m->text, '|');
        if (column_null(col, row))
            text_puts(&m->text, "\\N");
        else
            cell_put(s->fields[c].type, (char *)col->data + type_width(s->fields[c].type) * row, &m->text);
    }
    text_putc(&m->text, '\n');
}

static enum status sink_write(struct sink *s, const struct batch *b, uint32_t from, uint32_t *accepted, struct err *err)
{
    struct mock_sink *m = sink_of(s);
    uint32_t n = b->rows - from, most = 0;
    *accepted = 0;
    enum status st = mock_player_call(&m->player, MOCK_WRITE, &most, err);
    if (st && st != ST_POISON) return st;
    if (n > most) n = most;
    if (st == ST_POISON && n == b->rows - from) n--; /* there is no such row: the last is the bad one */
    text_clear(&m->text);
    for (uint32_t i = 0; i < n; i++) put_row(m, b, from + i);
    mock_target_add(m->player.target, &m->text, n, m->transactional || m->buffered);
    *accepted = n;
    return st;
}

/* A flush or commit; the row that is poison is taken out of what waits. */
static enum status end_call(struct mock_sink *m, enum mock_call call, struct err *err)
{
    uint32_t most;
    enum status st = mock_player_call(&m->player, call, &most, err);
    if (st != ST_POISON) return st;
    m->bad = most;
    return mock_target_remove(m->player.target, m->bad) ? ST_POISON : ST_OK;
}

static uint64_t sink_poisoned(struct sink *s) { return sink_of(s)->bad; }

static enum status sink_flush(struct sink *s, struct err *err)
{
    struct mock_sink *m = sink_of(s);
    TRY(end_call(m, MOCK_FLUSH, err));
    if (m->buffered) mock_target_flush(m->player.target);
    return ST_OK;
}

static enum status sink_commit(struct sink *s, uint64_t epoch, struct err *err)
{
    struct mock_sink *m = sink_of(s);
    TRY(end_call(m, MOCK_COMMIT, err));
    mock_target_commit(m->player.target, epoch);
    return ST_OK;
}

static enum status sink_abort(struct sink *s, struct err *err)
{
    struct mock_sink *m = sink_of(s);
    TRY(mock_player_call(&m->player, MOCK_ABORT, NULL, err));
    mock_target_abort(m->player.target);
    return ST_OK;
}

static int sink_wait(struct sink *s, struct pollfd *fds, int max, int64_t *wake_us)
{
    (void)fds, (void)max;
    *wake_us = sink_of(s)->player.wake_us;
    return 0;
}

static void sink_cancel(struct sink *s) { mock_player_cancel(&sink_of(s)->player); }

static enum status sink_close(struct sink *s, bool complete, struct err *err)
{
    struct mock_sink *m = sink_of(s);
    enum status st = m->player.target ? mock_player_call(&m->player, MOCK_CLOSE, NULL, err) : ST_OK;
    if (st == ST_WAIT) st = err_set(err, E_WRITE, "the script lets closing hang"); /* close has no WAIT */
    if (!st && complete && m->buffered) mock_target_flush(m->player.target);
    text_done(&m->text);
    mock_player_done(&m->player);
    return st;
}

static const struct option_spec sink_options[] = {
    {.name = "script", .type = OPT_TEXT, .sentence = SCRIPT_SENTENCE},
    {.name = "name", .type = OPT_TEXT, .sentence = "Name the rows are kept under; the sink's own by default."},
    {.name = "transactional", .type = OPT_BOOL, .dflt = "false",
     .sentence = "Rows are seen when their epoch is committed, together with its marker."},
    {.name = "buffered", .type = OPT_BOOL, .dflt = "false",
     .sentence = "Rows are seen when they are flushed, and lost with an instance that is closed before."},
    {0},
};

#define SINK_CLASS(class_name, blocks)                                                                                 \
    {                                                                                                                  \
        .size = sizeof(struct sink_class), .name = class_name, .sentence = "Takes rows as a script says, for tests.",        \
        .instance_size = sizeof(struct mock_sink),                                                                     \
        .payload = PAYLOAD_COLUMNS, .options = sink_options, .guarantee = EXACTLY_ONCE, .blocking = blocks,            \
        .changelog = true, .flush_us = 5000000, .guess_format = source_no_guess, .open = sink_open,                    \
        .write_bytes = sink_not_bytes, .write_rows = sink_write, .flush = sink_flush, .commit = sink_commit,           \
        .abort = sink_abort, .wait = sink_wait, .poisoned = sink_poisoned, .cancel = sink_cancel, .close = sink_close, \
    }

const struct sink_class mock_sink = SINK_CLASS("mock", false);
const struct sink_class mock_blocking_sink = SINK_CLASS("mock.blocking", true);
