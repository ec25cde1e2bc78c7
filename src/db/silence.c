/* Why nothing comes out of a stream, in half a sentence. The reason is looked for where the rows end: from the stream down to
 * its sources, the first operator that took rows and gave none; a source that gave none; what is full and holds up the rest.
 * SPDX-License-Identifier: Apache-2.0 */
#include "db/explain.h"

#include "expr/cell.h"

#include <string.h>

struct search {
    const struct survey *then, *now;
    struct text *out;
};

/* ---- what passed between the two surveys ------------------------------------------------------------------------------ */

static uint64_t since(uint64_t then, uint64_t now) { return now > then ? now - then : 0; }

static uint64_t rows_in(const struct search *s, const struct survey_node *n)
{
    const struct survey_node *then = survey_node_then(s->then, n);
    return since(then ? then->rows_in : 0, n->rows_in);
}
static uint64_t rows_out(const struct search *s, const struct survey_node *n)
{
    const struct survey_node *then = survey_node_then(s->then, n);
    return since(then ? then->rows_out : 0, n->rows_out);
}
static uint64_t late(const struct search *s, const struct survey_node *n)
{
    const struct survey_node *then = survey_node_then(s->then, n);
    return since(then ? then->late : 0, n->late);
}
static uint64_t errors(const struct search *s, const struct survey_node *n)
{
    const struct survey_node *then = survey_node_then(s->then, n);
    return since(then ? then->errors : 0, n->errors);
}

/* ---- words ---------------------------------------------------------------------------------------------------------------- */

void put_instant(int64_t us, struct text *out)
{
    char text[CELL_TEXT_MAX];
    if (us == TS_MIN || us == TS_MAX)
        text_putc(out, '-');
    else
        text_put(out, text, cell_print(TYPE(T_TIMESTAMP), &us, text));
}

void put_passed(int64_t us, struct text *out)
{
    int64_t s = us / 1000000;
    if (us < 10000000)
        text_printf(out, "%.1f s", (double)us / 1e6);
    else if (s < 600)
        text_printf(out, "%lld s", (long long)s);
    else if (s < 36000)
        text_printf(out, "%lld min", (long long)(s / 60));
    else
        text_printf(out, "%lld h", (long long)(s / 3600));
}

void put_count(uint64_t n, struct text *out)
{
    if (n >= 1000) {
        put_count(n / 1000, out);
        text_printf(out, ",%03u", (unsigned)(n % 1000));
    } else {
        text_printf(out, "%u", (unsigned)n);
    }
}

void put_since(const struct survey *s, int64_t at_us, struct text *out)
{
    int64_t passed = s->now_us - at_us, wall = s->wall_us - passed;
    text_puts(out, " since ");
    put_instant(wall - wall % 1000000, out);
    text_puts(out, " (");
    put_passed(passed, out);
    text_puts(out, " ago)");
}

static void put_rows(uint64_t n, struct text *out)
{
    put_count(n, out);
    text_puts(out, n == 1 ? " row" : " rows");
}

static void all_rows(uint64_t n, const char *what, struct text *out)
{
    text_puts(out, n == 1 ? "the one row " : "all ");
    if (n != 1) put_rows(n, out), text_putc(out, ' ');
    text_puts(out, what);
}


/* ---- sources ---------------------------------------------------------------------------------------------------------------- */

static const struct survey_source *open_source(const struct survey_node *n)
{
    if (n->source && !n->source->stats.ended) return n->source;
    for (int i = 0; i < n->nin; i++) {
        const struct survey_source *s = open_source(n->in[i]);
        if (s) return s;
    }
    return NULL;
}

static bool source_silent(const struct search *s, const struct survey_source *src)
{
    static const struct survey_source none;
    const struct survey_source *then = survey_source_then(s->then, src);
    if (!then) then = &none;
    const struct source_stats *a = &then->stats, *b = &src->stats;
    uint64_t rows = since(a->rows, b->rows), bad = since(a->bad, b->bad), timeless = since(a->null_time, b->null_time);
    uint64_t behind = since(a->late_dropped, b->late_dropped);
    struct text *out = s->out;
    if (!rows && bad) {
        all_rows(bad, "", out);
        text_printf(out, "of source %s cannot be read: %s", src->name, b->last_error);
    } else if (!rows && s->then && a->rows) {
        text_printf(out, "source %s has given no row any more", src->name);
    } else if (!rows) {
        text_printf(out, "source %s has given no row", src->name);
        if (src->pushed && !b->ended) text_puts(out, ": nothing has been pushed into it");
    } else if (timeless == rows) {
        all_rows(rows, "", out);
        text_printf(out, "of source %s %s no event time (NULL)", src->name, rows == 1 ? "has" : "have");
    } else if (behind + timeless == rows) {
        all_rows(rows, "", out);
        text_printf(out, "of source %s came behind the watermark and left by late = 'row'", src->name);
    } else {
        return false;
    }
    return true;
}

/* ---- what is full ----------------------------------------------------------------------------------------------------------- */

static bool full(uint32_t queued, uint32_t size) { return size && (uint64_t)queued * 4 >= (uint64_t)size * 3; }

static bool is_blocked(const struct survey *now, const struct survey_node *n)
{
    bool blocked = false;
    for (const struct survey_sink *x = now->sinks; x; x = x->next) blocked |= x->on == n && full(x->queued, x->queue_size);
    for (const struct survey_sub *x = now->subs; x; x = x->next) blocked |= x->on == n && full(x->queued, x->queue_size);
    for (const struct survey_node *x = now->nodes; x; x = x->next)
        for (int i = 0; i < x->nin; i++) blocked |= x->in[i] == n && full(x->queued, x->queue_size);
    return blocked;
}

/* Follows full queues from n to what does not take its rows. */
static bool backpressure(const struct survey *now, const struct survey_node *n, struct text *out)
{
    for (const struct survey_sink *x = now->sinks; x; x = x->next) {
        if (x->on != n || !full(x->queued, x->queue_size)) continue;
        text_printf(out, "backpressure by sink %s, which is %s", x->name, x->stats.state);
        if (x->stats.last_error[0]) text_printf(out, " (%s)", x->stats.last_error);
        text_puts(out, "; it has still to take ");
        put_rows(x->stats.lag_rows, out);
        return true;
    }
    for (const struct survey_sub *x = now->subs; x; x = x->next) {
        if (x->on != n || !full(x->queued, x->queue_size)) continue;
        text_printf(out, "backpressure by a subscription that is not read (%u messages wait for it)", x->queued);
        return true;
    }
    for (const struct survey_node *x = now->nodes; x; x = x->next)
        for (int i = 0; i < x->nin; i++) {
            if (x->in[i] != n) continue;
            if (backpressure(now, x, out)) return true;
            if (!full(x->queued, x->queue_size)) continue;
            text_printf(out, "backpressure by %s, which takes its rows more slowly than they come", x->name);
            return true;
        }
    return false;
}

/* ---- sinks that are stuck --------------------------------------------------------------------------------------------------- */

static bool is_stuck(const char *state)
{
    return !strcmp(state, "BLOCKED") || !strcmp(state, "RETRYING") || !strcmp(state, "PAUSED");
}

static bool sink_stuck(const struct search *s, const struct survey_node *n)
{
    for (const struct survey_sink *x = s->now->sinks; x; x = x->next) {
        const struct survey_sink *then = survey_sink_then(s->then, x);
        if (x->on != n || !is_stuck(x->stats.state) || since(then ? then->stats.rows : 0, x->stats.rows)) continue;
        text_printf(s->out, "sink %s is %s", x->name, x->stats.state);
        if (x->stats.last_error[0]) text_printf(s->out, ": %s", x->stats.last_error);
        return true;
    }
    return false;
}

/* ---- operators ------------------------------------------------------------------------------------------------------------- */

static void watermark_stands(const struct search *s, const struct survey_node *n)
{
    const struct survey_source *h = survey_holder(n);
    struct text *out = s->out;
    if (!h || h->stats.watermark == TS_MIN) {
        text_printf(out, "source %s has given no event time yet, so there is no watermark", h ? h->name : "?");
    } else {
        text_puts(out, "the watermark stands at ");
        put_instant(h->stats.watermark, out);
        text_printf(out, ", held back by source %s", h->name);
        put_since(s->now, h->stats.watermark_at, out);
        if (h->stats.idle) text_puts(out, ", which is idle");
    }
    if (n->window_needs == TS_MAX) return;
    text_puts(out, "; it needs to reach ");
    put_instant(n->window_needs, out);
    text_puts(out, " for the window that ends at ");
    put_instant(n->window_end, out);
}

static bool aggregate_silent(const struct search *s, const struct survey_node *n, uint64_t in)
{
    uint64_t late_rows = late(s, n), failed = errors(s, n);
    if (late_rows >= in) {
        all_rows(in, in == 1 ? "was late" : "were late", s->out);
        if (n->late_example[0]) text_printf(s->out, ", such as %s", n->late_example);
        return true;
    }
    if (n->at_end) {
        const struct survey_source *open = open_source(n);
        if (!open) return false;
        text_printf(s->out, "%s gives its rows at the end of its input, and source %s has not ended", n->name, open->name);
        return true;
    }
    if (late_rows + failed >= in) return false;
    if (n->ended) return false;
    watermark_stands(s, n);
    return true;
}

/* n took rows and gave none. */
static bool swallowed(const struct search *s, const struct survey_node *n, uint64_t in)
{
    if (errors(s, n) >= in && n->row_error[0]) {
        all_rows(in, "failed, such as with: ", s->out);
        text_puts(s->out, n->row_error);
        return true;
    }
    switch (n->kind) {
    case PLAN_FILTER:
        text_printf(s->out, "WHERE took none of ");
        put_rows(in, s->out);
        text_printf(s->out, " (%s)", n->line);
        return true;
    case PLAN_JOIN:
        text_puts(s->out, "the join has found no pair among ");
        put_rows(in, s->out);
        return true;
    case PLAN_LIMIT:
        text_puts(s->out, "LIMIT and OFFSET took none of ");
        put_rows(in, s->out);
        return true;
    case PLAN_AGG:
    case PLAN_SORT: return aggregate_silent(s, n, in);
    default: return false;
    }
}

static bool look(const struct search *s, const struct survey_node *n)
{
    if (n->failed) {
        text_printf(s->out, "it has failed: %s", n->error);
        return true;
    }
    if (n->source) return source_silent(s, n->source);
    uint64_t in = rows_in(s, n);
    /* Of a join, a side that gives nothing says more than that there was no pair. */
    for (int i = 0; i < n->nin && (!in || n->kind == PLAN_JOIN); i++)
        if (!rows_out(s, n->in[i]) && look(s, n->in[i])) return true;
    return in && swallowed(s, n, in);
}

/* Any window that is open says what the watermark is to reach, also when no row came since. */
static const struct survey_node *open_window(const struct survey_node *n)
{
    if (n->window_end != TS_MAX && !n->ended) return n;
    for (int i = 0; i < n->nin; i++) {
        const struct survey_node *w = open_window(n->in[i]);
        if (w) return w;
    }
    return NULL;
}

bool silence_reason(const struct survey *then, const struct survey *now, const struct survey_node *n, struct text *out)
{
    struct search s = {then, now, out};
    if (!n) {
        text_puts(out, "nothing reads it: create a sink on it, or subscribe");
        return true;
    }
    if (n->starved || n->paused) {
        text_puts(out, n->starved ? "its state has found no memory: raise memory.limit (ALTER STREAM ... SET), then RESUME"
                                  : "it is paused; ALTER STREAM ... RESUME lets it go on");
        return true;
    }
    if (sink_stuck(&s, n)) return true;
    if (rows_out(&s, n)) return false;
    if (is_blocked(now, n) && backpressure(now, n, out)) return true;
    if (look(&s, n)) return true;
    if (backpressure(now, n, out)) return true;
    const struct survey_node *window = open_window(n);
    if (!window) return false;
    watermark_stands(&s, window);
    return true;
}
