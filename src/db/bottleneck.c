/* What holds a stream up, in one line: of all that its rows pass between two surveys, what was busy or waited for most of the
 * time. A system outside that does not take rows comes first, for everything above it then waits; then a worker or a reader that
 * has no time left. SPDX-License-Identifier: Apache-2.0 */
#include "db/explain.h"

#define MUCH 0.7  /* of the time: a bottleneck */
#define MOST 0.8  /* of a worker's busy time: its one cause */
#define HELD 0.3  /* of the time: what waits outside holds others up */

struct span_of {
    const struct survey *then, *now;
    double us;
};

static bool reads(const struct survey_node *n, const struct survey_node *what)
{
    if (n == what) return true;
    for (int i = 0; i < n->nin; i++)
        if (reads(n->in[i], what)) return true;
    return false;
}

/* On the way of n's rows: above it, below it. */
static bool concerns(const struct survey_node *n, const struct survey_node *x) { return reads(n, x) || reads(x, n); }

static double share(const struct span_of *s, int64_t then, int64_t now)
{
    double part = s->us > 0 ? (double)(now - then) / s->us : 0;
    return part < 0 ? 0 : part > 1 ? 1 : part;
}

static double inst_busy(const struct span_of *s, const struct survey_node *n, int i)
{
    const struct survey_node *then = survey_node_then(s->then, n);
    return share(s, then && i < then->ninst ? then->inst[i].busy_us : 0, n->inst[i].busy_us);
}

static double inst_blocked(const struct span_of *s, const struct survey_node *n, int i)
{
    const struct survey_node *then = survey_node_then(s->then, n);
    return share(s, then && i < then->ninst ? then->inst[i].blocked_us : 0, n->inst[i].blocked_us);
}

static double most_blocked(const struct span_of *s, const struct survey_node *n)
{
    double most = 0;
    for (int i = 0; i < n->ninst; i++) {
        double b = inst_blocked(s, n, i);
        most = b > most ? b : most;
    }
    return most;
}

static bool sink_waits(const struct span_of *s, const struct survey_node *n, struct text *out)
{
    const struct survey_sink *worst = NULL;
    const char *how = NULL;
    double most = HELD;
    for (const struct survey_sink *x = s->now->sinks; x; x = x->next) {
        const struct survey_sink *then = survey_sink_then(s->then, x);
        double waits = share(s, then ? then->stats.blocked_us : 0, x->stats.blocked_us);
        double busy = share(s, then ? then->stats.busy_us : 0, x->stats.busy_us);
        if (!concerns(n, x->on) || waits + busy < most || (waits + busy < MUCH && most_blocked(s, x->on) < HELD)) continue;
        most = waits + busy;
        worst = x;
        how = waits >= busy ? "waiting on writes" : "encoding and writing";
    }
    if (!worst) return false;
    if (most > 1) most = 1;
    text_printf(out, "bottleneck: sink %s, %s %.0f %%", worst->name, how, 100 * most);
    if (worst->stats.last_error[0]) text_printf(out, " (%s: %s)", worst->stats.state, worst->stats.last_error);
    return true;
}

static bool sub_waits(const struct span_of *s, const struct survey_node *n, struct text *out)
{
    for (const struct survey_sub *x = s->now->subs; x; x = x->next) {
        double held = most_blocked(s, x->on);
        if (!concerns(n, x->on) || held < HELD || (uint64_t)x->queued * 4 < (uint64_t)x->queue_size * 3) continue;
        text_printf(out, "bottleneck: a subscription that is not read fast enough, blocked %.0f %%", 100 * held);
        return true;
    }
    return false;
}

static double worker_busy(const struct span_of *s, int worker)
{
    double busy = 0;
    for (const struct survey_node *n = s->now->nodes; n; n = n->next)
        for (int i = 0; i < n->ninst; i++)
            if (n->inst[i].worker == worker) busy += inst_busy(s, n, i);
    return busy > 1 ? 1 : busy;
}

/* The operator that a worker spends most of its time on. */
static const struct survey_node *busiest_on(const struct span_of *s, int worker, double *busy)
{
    const struct survey_node *busiest = NULL;
    *busy = 0;
    for (const struct survey_node *n = s->now->nodes; n; n = n->next)
        for (int i = 0; i < n->ninst; i++) {
            if (n->inst[i].worker != worker || inst_busy(s, n, i) <= *busy) continue;
            *busy = inst_busy(s, n, i);
            busiest = n;
        }
    return busiest;
}

static void put_operator(const struct survey_node *n, const struct survey_node *of, struct text *out)
{
    text_puts(out, n->source ? "handing on the rows of source " : "");
    text_puts(out, n->name);
    if (!concerns(of, n)) text_puts(out, " of another stream");
}

static bool worker_works(const struct span_of *s, const struct survey_node *n, double *most, struct text *out)
{
    int worker = -1;
    *most = 0;
    for (int w = 0; w < s->now->workers; w++) {
        double busy = worker_busy(s, w);
        if (busy > *most) *most = busy, worker = w;
    }
    if (*most < MUCH) return false;
    double part;
    const struct survey_node *on = busiest_on(s, worker, &part);
    text_puts(out, "bottleneck: ");
    if (part >= MOST * *most) {
        put_operator(on, n, out);
        text_printf(out, " (worker %d) busy %.0f %%", worker, 100 * *most);
    } else {
        text_printf(out, "worker %d busy %.0f %%, most of it ", worker, 100 * *most);
        put_operator(on, n, out);
        text_printf(out, " with %.0f %%", 100 * part);
    }
    return true;
}

static bool reader_works(const struct span_of *s, const struct survey_node *n, struct text *out)
{
    for (const struct survey_node *x = s->now->nodes; x; x = x->next) {
        if (!x->source || !reads(n, x)) continue;
        const struct survey_source *then = survey_source_then(s->then, x->source);
        double busy = share(s, then ? then->stats.busy_us : 0, x->source->stats.busy_us);
        if (busy < MUCH) continue;
        text_printf(out, "bottleneck: source %s, reading and decoding %.0f %%", x->source->name, 100 * busy);
        return true;
    }
    return false;
}

/* No bottleneck: then it is what comes in that bounds what comes out. */
static void put_sources(const struct span_of *s, const struct survey_node *n, struct text *out)
{
    for (const struct survey_node *x = s->now->nodes; x; x = x->next) {
        if (!x->source || !reads(n, x)) continue;
        const struct survey_source *then = survey_source_then(s->then, x->source);
        uint64_t rows = x->source->stats.rows - (then ? then->stats.rows : 0);
        text_printf(out, ", source %s gives ", x->source->name);
        put_count(s->us > 0 ? (uint64_t)((double)rows * 1e6 / s->us + 0.5) : 0, out);
        text_puts(out, " rows/s");
    }
}

void bottleneck_line(const struct survey *then, const struct survey *now, const struct survey_node *n, struct text *out)
{
    struct span_of s = {then, now, (double)(now->now_us - then->now_us)};
    double busy = 0;
    if (sink_waits(&s, n, out) || sub_waits(&s, n, out)) return;
    if (worker_works(&s, n, &busy, out) || reader_works(&s, n, out)) return;
    text_printf(out, "no bottleneck: idle %.0f %%", 100 * (1 - busy));
    put_sources(&s, n, out);
}
