/* The simulation: random scripts on a simulated machine against a model of what they mean.
 *
 * A seed draws a database (workers, rings, batches, the order of all steps) and a script: rows and watermarks pushed into two
 * sources; streams and sinks that come and go; drains, restarts by declared state, time that passes; sinks that retry, poison,
 * take little, close, hang until a deadline, fail until ALTER SINK lets them try again; commands to sinks at any moment;
 * subscriptions read now and then. The model evaluates each query
 * row by row and knows what each sink must have got at every moment. After each script sinks hold just that, in order per key,
 * and every row is accounted for. A seed that fails prints itself; SEED=n runs it alone, SEEDS=n the first n. Every seed runs
 * twice and leaves the same trace. SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "connector/mock.h"
#include "db/db_int.h"

#define STREAMS 40
#define SINKS 60
#define NEVER INT64_MIN

static uint64_t seed, rng, trace;

static uint64_t draw(uint64_t below)
{
    uint64_t z = rng += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static void note(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) trace = (trace ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
}

static bool told;
#define tell(...) (told ? print_message(__VA_ARGS__) : (void)0)

#define check(cond, ...)                                                                            \
    do {                                                                                            \
        if (!(cond)) {                                                                              \
            print_error("seed %llu: %s: ", (unsigned long long)seed, #cond);                        \
            print_error(__VA_ARGS__);                                                               \
            print_error("\n");                                                                      \
            fail();                                                                                 \
        }                                                                                           \
    } while (0)

/* ---- lists of lines --------------------------------------------------------------------------------------------- */

struct lines {
    char **at;
    int n, cap;
};

static void add_line(struct lines *l, const char *text)
{
    if (l->n == l->cap) l->at = realloc(l->at, sizeof *l->at * (size_t)(l->cap = l->cap ? l->cap * 2 : 16));
    l->at[l->n++] = strdup(text);
}

static void free_lines(struct lines *l)
{
    for (int i = 0; i < l->n; i++) free(l->at[i]);
    free(l->at);
    memset(l, 0, sizeof *l);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static void sort_lines(struct lines *l)
{
    if (l->n) qsort(l->at, (size_t)l->n, sizeof *l->at, by_text);
}

/* How many lines of `some` are not among those of `all`; both sorted. */
static int strangers(const struct lines *some, const struct lines *all)
{
    int n = 0;
    for (int i = 0, j = 0; i < some->n; i++) {
        while (j < all->n && strcmp(all->at[j], some->at[i]) < 0) j++;
        if (j < all->n && !strcmp(all->at[j], some->at[i]))
            j++;
        else
            n++;
    }
    return n;
}

/* ---- the model ---------------------------------------------------------------------------------------------------- */

enum kind { FILTER, TUMBLE, CASCADE, DIAMOND, LIMIT, BOTH, GLOBAL, KINDS };

struct group {
    int64_t k, start, count, total;
};

struct model_stream {
    char name[16];
    enum kind kind;
    uint64_t id;
    int sinks, subs;     /* that read it */
    bool running;
    bool may_end;        /* a sink on it closes, when the schedule has it */
    bool unordered;      /* is or was BOTH */
    int64_t size;        /* of windows */
    int64_t mod;         /* of FILTER and TUMBLE: WHERE v % mod = 0 */
    int64_t late, left;  /* left: of a LIMIT */
    struct group groups[2000], outer[500];
    int ngroups, nouter;
};

enum fault { HEALTHY, RETRIES, POISONS, SHORT, FAILS, CLOSES, HANGS, FAULTS };

struct model_sink {
    char name[16], mock[24];
    struct model_stream *stream;
    enum fault fault;
    uint64_t id;
    int64_t below; /* WHERE k < below; 0: none */
    bool alive, skipped; /* skipped: some of its rows may be dropped */
    struct lines expected;
};

static struct world {
    struct under_test u;
    struct env_sim *sim;
    struct model_stream streams[STREAMS];
    int nstreams;
    struct model_sink sinks[SINKS];
    int nsinks;
    int64_t next_v, clock, wm; /* of source s: milliseconds */
    struct lam_sub *sub; /* on the first stream */
    struct lines sub_expected, sub_got;
} w;

static void emit(struct model_stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void emit(struct model_stream *s, const char *fmt, ...)
{
    char line[100];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (int i = 0; i < w.nsinks; i++) {
        struct model_sink *k = &w.sinks[i];
        if (k->alive && k->stream == s && (!k->below || atoll(line) < k->below)) add_line(&k->expected, line);
    }
    if (w.sub && s == &w.streams[0]) add_line(&w.sub_expected, line);
}

static struct group *group_at(struct group *g, int *n, int cap, int64_t k, int64_t start)
{
    for (int i = 0; i < *n; i++)
        if (g[i].k == k && g[i].start == start) return &g[i];
    assert_true(*n < cap);
    g[*n] = (struct group){.k = k, .start = start};
    return &g[(*n)++];
}

#define INNER 1000 /* of a cascade: one second, then five */

/* The first windows of a cascade close as their own; the second ones see them a second late. */
static void close_windows(struct model_stream *s, int64_t wm)
{
    int64_t size = s->kind == CASCADE ? INNER : s->size;
    for (int i = 0; i < s->ngroups;) {
        struct group g = s->groups[i];
        if (g.start + size > wm) {
            i++;
            continue;
        }
        s->groups[i] = s->groups[--s->ngroups];
        if (s->kind != CASCADE) {
            emit(s, "%lld|%lld|%lld|%lld", (long long)g.k, (long long)g.start, (long long)g.count, (long long)g.total);
            continue;
        }
        struct group *o = group_at(s->outer, &s->nouter, (int)countof(s->outer), 0, g.start / 5000 * 5000);
        o->count += g.count;
        o->total += g.total;
    }
    for (int i = 0; i < s->nouter;) {
        struct group g = s->outer[i];
        if (wm < INT64_MAX && g.start + 5000 + INNER - 1 > wm) { /* no later window begins before wm - 999 */
            i++;
            continue;
        }
        s->outer[i] = s->outer[--s->nouter];
        emit(s, "%lld|%lld|%lld", (long long)g.start, (long long)g.count, (long long)g.total);
    }
}

static void window_row(struct model_stream *s, int64_t k, int64_t v, int64_t ts)
{
    int64_t size = s->kind == CASCADE ? INNER : s->size, start = ts / size * size;
    if (start + size <= w.wm) {
        tell("%s: late %lld|%lld|%lld wm %lld\n", s->name, (long long)k, (long long)v, (long long)ts, (long long)w.wm);
        s->late++;
        return;
    }
    struct group *g = group_at(s->groups, &s->ngroups, (int)countof(s->groups), s->kind == GLOBAL ? 0 : k, start);
    g->count++;
    g->total += v;
}

static void stream_row(struct model_stream *s, bool from_r, int64_t k, int64_t v, int64_t ts)
{
    if (!s->running || (from_r && s->kind != BOTH)) return;
    switch (s->kind) {
    case FILTER:
        if (v % s->mod == 0) emit(s, "%lld|%lld", (long long)k, (long long)v);
        break;
    case DIAMOND:
        if (v % 2 == 0) emit(s, "%lld|%lld", (long long)k, (long long)v);
        if (v % 5 == 0) emit(s, "%lld|%lld", (long long)k, (long long)-v);
        break;
    case LIMIT:
        if (v % 2 == 1 && s->left > 0) s->left--, emit(s, "%lld|%lld", (long long)k, (long long)v);
        break;
    case BOTH: emit(s, "%lld|%lld", (long long)k, (long long)v); break;
    default:
        if (s->kind != TUMBLE || v % s->mod == 0) window_row(s, k, v, ts);
    }
}

static void model_watermark(int64_t wm)
{
    if (wm <= w.wm) return;
    w.wm = wm;
    for (int i = 0; i < w.nstreams; i++)
        if (w.streams[i].running) close_windows(&w.streams[i], wm);
}

/* ---- pushing ------------------------------------------------------------------------------------------------------- */

static void read_sub(void)
{
    struct ArrowArray a;
    while (w.sub && lam_poll(w.sub, &a) == LAM_OK) {
        for (int64_t r = 0; r < a.length; r++) {
            char line[60];
            snprintf(line, sizeof line, "%lld|%lld", (long long)ut_i64(&a, 0, r), (long long)ut_i64(&a, 1, r));
            add_line(&w.sub_got, line);
        }
        a.release(&a);
    }
}

struct pushed {
    int64_t k[64], v[64], ts[64];
};

static int64_t cell(void *ctx, int row, int col)
{
    struct pushed *p = ctx;
    return col == 0 ? p->k[row] : col == 1 ? p->v[row] : p->ts[row];
}

#define DELAY 700 /* of source s: how far its watermark stays behind */

static void push_rows(bool to_r)
{
    struct pushed p;
    int n = 1 + (int)draw(60);
    for (int i = 0; i < n; i++) {
        w.clock += (int64_t)draw(100);
        p.k[i] = (int64_t)draw(7);
        p.v[i] = w.next_v++;
        p.ts[i] = w.clock - (int64_t)draw(draw(20) ? 500 : 4000);
        if (p.ts[i] < 0) p.ts[i] = 0;
    }
    static const char *const names[] = {"k", "v", "ts"};
    int r;
    while ((r = ut_push(&w.u, to_r ? "r" : "s", names, 3, n, cell, &p, 1000)) == LAM_TIMEOUT) read_sub();
    check(r == LAM_OK, "push: %d", r);
    tell("push %d rows to %s\n", n, to_r ? "r" : "s");
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < w.nstreams; k++) stream_row(&w.streams[k], to_r, p.k[i], p.v[i], p.ts[i]);
        if (!to_r) model_watermark(p.ts[i] - DELAY);
    }
}

static void push_watermark(void)
{
    int64_t wm = w.clock - (int64_t)draw(1500);
    int r;
    while ((r = lam_push_watermark(w.u.db, "s", wm * 1000)) == LAM_TIMEOUT) read_sub();
    check(r == LAM_OK, "watermark: %d", r);
    tell("watermark %lld\n", (long long)wm);
    model_watermark(wm);
}

/* ---- streams and sinks ----------------------------------------------------------------------------------------------- */

static void run_sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run_sql(const char *fmt, ...)
{
    char sql[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    int r;
    while ((r = lam_execute(w.u.s, sql, NULL)) == E_TIMEOUT) read_sub();
    check(r == LAM_OK, "%s\n%s", sql, lam_errdetail(w.u.s, "script"));
    tell("%lld %s\n", (long long)env_now_us(env_sim_env(w.sim)), sql);
}

static void query_text(const struct model_stream *s, char *out, size_t n)
{
    const char *from = draw(2) ? "s" : "x";
    switch (s->kind) {
    case FILTER: snprintf(out, n, "SELECT k, v FROM %s WHERE v %% %lld = 0", from, (long long)s->mod); break;
    case DIAMOND:
        snprintf(out, n, "SELECT k, v FROM %s WHERE v %% 2 = 0 UNION ALL SELECT k, -v FROM %s WHERE v %% 5 = 0", from, from);
        break;
    case LIMIT: snprintf(out, n, "SELECT k, v FROM %s WHERE v %% 2 = 1 LIMIT %lld", from, (long long)s->left); break;
    case BOTH: snprintf(out, n, "SELECT k, v FROM %s UNION ALL SELECT k, v FROM r", from); break;
    case CASCADE:
        snprintf(out, n, "SELECT window_start, SUM(c) AS c, SUM(t) AS t FROM (SELECT window_start AS ws, k, COUNT(*) AS c,"
                 " SUM(v) AS t FROM %s GROUP BY k, TUMBLE(ts, INTERVAL '1' SECOND)) GROUP BY TUMBLE(ws, INTERVAL '5' SECOND)", from);
        break;
    case GLOBAL:
        snprintf(out, n, "SELECT 0 AS k, window_start, COUNT(*) AS c, SUM(v) AS t FROM %s GROUP BY TUMBLE(ts, INTERVAL '%lld' MILLISECOND)",
                 from, (long long)s->size);
        break;
    default:
        snprintf(out, n, "SELECT k, window_start, COUNT(*) AS c, SUM(v) AS t FROM %s WHERE v %% %lld = 0 GROUP BY k,"
                 " TUMBLE(ts, INTERVAL '%lld' MILLISECOND)", from, (long long)s->mod, (long long)s->size);
    }
}

static const char *script_of(enum fault f)
{
    static char text[160];
    int at = 1 + (int)draw(6), more = at + (int)draw(4), row = 1 + (int)draw(5);
    const char *wait = draw(3) ? "" : "wait 3 ms; ";
    switch (f) {
    case RETRIES: snprintf(text, sizeof text, "%sfail write %d-%d retry", wait, at, more); break;
    case POISONS: snprintf(text, sizeof text, "%sfail write %d-%d poison; fail flush %d-%d poison %d%s", wait, at, more, at, more + row, row, draw(2) ? "" : "; fail flush 3-4 connect"); break;
    case SHORT: snprintf(text, sizeof text, "%sshort write %d-%d", wait, at, more); break;
    case FAILS: snprintf(text, sizeof text, "%sfail write %d", wait, at); break;
    case CLOSES: snprintf(text, sizeof text, "%sfail write %d closed", wait, at); break;
    case HANGS: snprintf(text, sizeof text, "%shang write %d", wait, at); break;
    default: snprintf(text, sizeof text, "%s", wait);
    }
    return text;
}

/* A stream that runs from here on. */
static void begin_stream(struct model_stream *s)
{
    s->running = true;
    s->ngroups = s->nouter = 0;
    s->late = 0;
}

static struct model_stream *new_stream(void)
{
    struct model_stream *s = &w.streams[w.nstreams++];
    s->kind = w.nstreams == 1 ? FILTER : (enum kind)draw(KINDS);
    s->size = 100 * (1 + (int64_t)draw(30));
    s->left = 1 + (int64_t)draw(30);
    s->mod = s->kind == FILTER ? 3 : 1;
    s->unordered = s->kind == BOTH;
    s->sinks = s->subs = 0;
    snprintf(s->name, sizeof s->name, "y%d", w.nstreams);
    return s;
}

/* Whether what a new sink of the stream gets is known: LIMIT gives to its first only; a stream whose only open sink closed or failed
 * has ended, and begins anew, without its windows, for the next. */
static bool may_share(const struct model_stream *s)
{
    return s->kind != LIMIT && !(s->may_end && (s->kind == TUMBLE || s->kind == CASCADE || s->kind == GLOBAL));
}

static void add_sink(enum fault fault)
{
    if (w.nsinks == SINKS || w.nstreams == STREAMS) return;
    char query[500], create[600] = "";
    struct model_stream *s = w.nstreams && draw(2) ? &w.streams[draw((uint64_t)w.nstreams)] : NULL;
    if (s && !may_share(s)) s = NULL;
    if (!s) {
        s = new_stream();
        query_text(s, query, sizeof query);
        snprintf(create, sizeof create, "CREATE STREAM %s AS %s;", s->name, query);
    }
    struct model_sink *k = &w.sinks[w.nsinks++];
    snprintf(k->name, sizeof k->name, "z%d", w.nsinks);
    snprintf(k->mock, sizeof k->mock, "z%d", w.nsinks);
    k->stream = s;
    k->fault = fault;
    if (fault == CLOSES) s->may_end = true;
    char where[40] = "";
    k->below = s->kind == CASCADE || draw(2) ? 0 : 2 + (int64_t)draw(4);
    if (k->below) snprintf(where, sizeof where, "WHERE k < %lld", (long long)k->below);
    run_sql("%s CREATE SINK %s FROM %s %s INTO MOCK (name = '%s', buffered = 'true', script = '%s');", create, k->name, s->name,
            where, k->mock, script_of(fault));
    k->alive = true;
    k->id = catalog_find(w.u.db, k->name)->id;
    s->id = catalog_find(w.u.db, s->name)->id;
    s->sinks++;
    if (!s->running) begin_stream(s);
}

/* Of one key a sink sees rows, or windows, in their order; a mock's lines are in the order of delivery. */
static void check_order(const struct model_sink *k, const struct lines *got)
{
    int64_t last[2][7];
    memset(last, 0xff, sizeof last);
    if (k->stream->kind == CASCADE) return;
    for (int i = 0; i < got->n; i++) {
        long long key, v;
        assert_int_equal(sscanf(got->at[i], "%lld|%lld", &key, &v), 2);
        int64_t *l = &last[v < 0][key];
        if (v < 0) v = -v;
        check(v > *l || (v == 0 && *l <= 0), "sink %s: %lld comes after %lld of key %lld", k->name, v, (long long)*l, key);
        *l = v;
    }
}

static struct lines lines_of(const char *name)
{
    struct lines l = {0};
    char *rows = mock_rows(name), *save;
    for (char *line = strtok_r(rows, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) add_line(&l, line);
    mem_free(rows);
    return l;
}

/* A sink that is done holds what it must: all of it, unless its faults say otherwise. */
static void check_sink(struct model_sink *k, uint64_t errors)
{
    struct lines got = lines_of(k->mock);
    if (!k->stream->unordered) check_order(k, &got);
    for (int i = 0; i < got.n; i++) note(got.at[i], strlen(got.at[i]));
    sort_lines(&got);
    sort_lines(&k->expected);
    int strange = strangers(&got, &k->expected);
    for (int i = 0; told && i < k->expected.n; i++) tell("%s must have %s\n", k->name, k->expected.at[i]);
    for (int i = 0; told && i < got.n; i++) tell("%s has %s\n", k->name, got.at[i]);
    check(!strange, "sink %s (%d, fault %d) got %d rows it must not have, %d of %d", k->name, k->stream->kind, k->fault, strange,
          got.n, k->expected.n);
    if (k->fault == FAILS || k->fault == CLOSES || k->fault == HANGS) errors = (uint64_t)(k->expected.n - got.n);
    check(got.n + (int)errors == k->expected.n, "sink %s (%d, fault %d) got %d rows of %d, with %d errors", k->name,
          k->stream->kind, k->fault, got.n, k->expected.n, (int)errors);
    free_lines(&got);
}

static bool may_drop(const struct model_sink *k) { return k->fault == POISONS || k->skipped; }

static uint64_t dropped_by(const struct model_sink *k)
{
    struct sink_stats st = {0};
    check(runtime_sink_stats(db_runtime(w.u.db), k->id, &st), "no stats of %s", k->name);
    return st.dropped;
}

/* Behind a drain every row that a sink must get is in its hands, and counted once. */
static void check_counts(void)
{
    for (int i = 0; i < w.nsinks; i++) {
        const struct model_sink *k = &w.sinks[i];
        struct sink_stats st;
        if (!k->alive || k->fault == CLOSES || !runtime_sink_stats(db_runtime(w.u.db), k->id, &st)) continue;
        check(st.accepted == (uint64_t)k->expected.n, "sink %s accepted %d rows of %d", k->name, (int)st.accepted, k->expected.n);
        check(st.accepted == st.rows + st.dropped + st.lag_rows, "sink %s: %d accepted, %d delivered, %d dropped, %d held", k->name,
              (int)st.accepted, (int)st.rows, (int)st.dropped, (int)st.lag_rows);
    }
}

static void stop_stream_if_unread(struct model_stream *s)
{
    if (s->sinks + s->subs == 0) s->running = false;
}

static void drain(void)
{
    int r;
    while ((r = lam_drain(w.u.db, 1000000)) == LAM_TIMEOUT) read_sub();
    check(r == LAM_OK, "drain: %d", r);
    check_counts();
}

/* A command is obeyed, or refused because there is nothing to retry, to skip, or because the sink has ended. */
static int command(struct model_sink *k, const char *what)
{
    char sql[100];
    snprintf(sql, sizeof sql, "ALTER SINK %s %s;", k->name, what);
    int r;
    while ((r = lam_execute(w.u.s, sql, NULL)) == E_TIMEOUT) read_sub();
    check(r == LAM_OK || r == E_MISUSE, "%s: %s", sql, lam_errmsg(w.u.s));
    tell("%s %d\n", sql, r);
    return r;
}

static bool has_no_lag(const struct sink_stats *st) { return !st->lag_rows; }
static bool is_running(const struct sink_stats *st) { return !strcmp(st->state, "RUNNING") || !strcmp(st->state, "CLOSED"); }
static bool is_paused(const struct sink_stats *st) { return !strcmp(st->state, "PAUSED") || !strcmp(st->state, "CLOSED"); }

static void step_until(struct model_sink *k, bool (*done)(const struct sink_stats *st))
{
    struct sink_stats st;
    for (int i = 0; i < 5000 && runtime_sink_stats(db_runtime(w.u.db), k->id, &st) && !done(&st); i++) {
        env_sim_advance(w.sim, 1000);
        for (int n = 0; n < 100; n++) lam_step(w.u.db, 1);
    }
}

/* What must hold before a sink with its faults can be told from what it got. Returns its errors. */
static uint64_t settle_sink(struct model_sink *k)
{
    /* A subscription that is full may keep rows from a sink until DROP waits no longer. */
    if (w.sub || may_drop(k)) drain();
    if (may_drop(k)) { /* what is still to come counts as well, and what a flush will find: a pause flushes */
        command(k, "RESUME");
        for (int i = 0; i < 4; i++) { /* at most two flushes end in an outage, after which all is offered again */
            step_until(k, is_running);
            step_until(k, has_no_lag);
            if (!command(k, "PAUSE")) step_until(k, is_paused);
            command(k, "RESUME");
        }
    }
    return may_drop(k) ? dropped_by(k) : 0;
}

static void drop_sink(struct model_sink *k)
{
    uint64_t errors = settle_sink(k);
    run_sql("DROP SINK %s%s;", k->name, k->fault == FAILS && draw(2) ? " DISCARD" : "");
    tell("now %lld\n", (long long)env_now_us(env_sim_env(w.sim)));
    check_sink(k, errors);
    k->alive = false;
    k->stream->sinks--;
    stop_stream_if_unread(k->stream);
}

/* The old one has what came before, the new one what follows. */
static void replace_sink(struct model_sink *k)
{
    bool ends = k->fault == HANGS || k->fault == FAILS || k->fault == CLOSES || k->stream->kind == LIMIT;
    if (ends || w.nsinks == SINKS) return;
    uint64_t errors = settle_sink(k);
    struct model_sink *now = &w.sinks[w.nsinks++];
    *now = (struct model_sink){.stream = k->stream, .fault = HEALTHY};
    memcpy(now->name, k->name, sizeof now->name);
    snprintf(now->mock, sizeof now->mock, "z%d", w.nsinks);
    char where[40] = "";
    now->below = draw(2) ? k->below : 0;
    if (now->below) snprintf(where, sizeof where, "WHERE k < %lld", (long long)now->below);
    run_sql("CREATE OR REPLACE SINK %s FROM %s %s INTO MOCK (name = '%s', buffered = 'true');", now->name, now->stream->name, where, now->mock);
    now->id = catalog_find(w.u.db, now->name)->id;
    now->alive = true;
    k->alive = false;
    check_sink(k, errors);
}

/* Its consumers, if it has any, hear the new one from now on. */
static void replace_stream(struct model_stream *s)
{
    char query[500];
    if (s->kind == TUMBLE) {
        s->mod = 1 + (int64_t)draw(3);
    } else if (s->kind == FILTER || s->kind == DIAMOND || s->kind == BOTH) {
        s->kind = draw(2) ? FILTER : draw(2) ? DIAMOND : BOTH;
        s->mod = 2 + (int64_t)draw(4);
        s->unordered |= s->kind == BOTH;
    } else {
        return;
    }
    query_text(s, query, sizeof query);
    run_sql("CREATE OR REPLACE STREAM %s AS %s;", s->name, query);
    s->id = catalog_find(w.u.db, s->name)->id;
    if (s->running) begin_stream(s);
}

static void replace_source(void)
{
    if (draw(2))
        run_sql("CREATE OR REPLACE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts AS ts - INTERVAL '%d' MILLISECOND) WITH ('idle.timeout' = '%d s');",
                DELAY, 30 + (int)draw(60));
    else
        run_sql("CREATE OR REPLACE SOURCE r (k BIGINT, v BIGINT, ts BIGINT);");
}

static void command_one(void)
{
    static const char *const what[] = {"PAUSE", "RESUME", "RETRY", "SKIP", "SET (batch.rows = 1)", "SET (batch.rows = 100, flush.interval = '1 ms')"};
    struct model_sink *k = &w.sinks[draw((uint64_t)w.nsinks)];
    uint64_t i = draw(countof(what));
    if (k->alive && command(k, what[i]) == LAM_OK) k->skipped |= i == 3;
}

static void toggle_sub(void)
{
    if (!w.sub) {
        int r;
        while ((r = lam_subscribe(w.u.s, w.streams[0].name, NULL, &w.sub)) == E_TIMEOUT) {}
        check(r == LAM_OK, "subscribe: %d", r);
        w.streams[0].subs++;
        return;
    }
    drain();
    read_sub();
    sort_lines(&w.sub_got);
    sort_lines(&w.sub_expected);
    check(w.sub_got.n == w.sub_expected.n && !strangers(&w.sub_got, &w.sub_expected), "subscription: %d of %d rows", w.sub_got.n,
          w.sub_expected.n);
    lam_sub_close(w.sub);
    w.sub = NULL;
    w.streams[0].subs--;
    free_lines(&w.sub_got);
    free_lines(&w.sub_expected);
}

/* ---- a script ---------------------------------------------------------------------------------------------------------- */

static void restart(void)
{
    enum status st;
    while ((st = runtime_restart(db_runtime(w.u.db), 1000000, NULL)) == E_TIMEOUT) read_sub();
    check(st == ST_OK, "restart: %d", (int)st);
    tell("restart\n");
}

/* A paused stream's sources take nothing; what else happens meanwhile, happens. */
static void pause_a_while(struct model_stream *s)
{
    char sql[60];
    snprintf(sql, sizeof sql, "ALTER STREAM %s PAUSE;", s->name);
    int r;
    while ((r = lam_execute(w.u.s, sql, NULL)) == E_TIMEOUT) read_sub();
    check(r == LAM_OK || r == E_MISUSE, "%s: %s", sql, lam_errmsg(w.u.s));
    tell("%s %d\n", sql, r);
    if (r) return; /* it does not run */
    for (int i = (int)draw(4); i > 0; i--) switch (draw(4)) {
        case 0: drain(); break;
        case 1: env_sim_advance(w.sim, 1000 * (int64_t)draw(100000)); break;
        case 2: add_sink(HEALTHY); break;
        case 3: replace_stream(&w.streams[draw((uint64_t)w.nstreams)]); break;
        }
    while ((r = runtime_hold_stream(db_runtime(w.u.db), s->id, false, NULL)) && r != E_MISUSE) read_sub();
    tell("%s resumes %d\n", s->name, r);
    run_sql("ALTER STREAM x RESUME;");
}

static void one_step(void)
{
    switch (draw(20)) {
    case 0: push_watermark(); break;
    case 1: drain(); break;
    case 2: restart(); break;
    case 3: add_sink((enum fault)draw(FAULTS)); break;
    case 4:
        if (w.nsinks > 2) {
            struct model_sink *k = &w.sinks[2 + draw((uint64_t)w.nsinks - 2)];
            if (k->alive) drop_sink(k);
        }
        break;
    case 5: toggle_sub(); break;
    case 6: env_sim_advance(w.sim, (int64_t)draw(2) ? 1000 * (int64_t)draw(300) : 1000000 * (int64_t)draw(100)); break;
    case 7: push_rows(true); break;
    case 8:
        for (int i = (int)draw(40); i > 0; i--) lam_step(w.u.db, 1);
        break;
    case 9: read_sub(); break;
    case 10: replace_stream(&w.streams[draw((uint64_t)w.nstreams)]); break;
    case 11:
        if (w.nsinks > 2) {
            struct model_sink *k = &w.sinks[2 + draw((uint64_t)w.nsinks - 2)];
            if (k->alive) replace_sink(k);
        }
        break;
    case 12:
        if (draw(2)) replace_source();
        break;
    case 13:
    case 14: command_one(); break;
    case 15: pause_a_while(&w.streams[draw((uint64_t)w.nstreams)]); break;
    default: push_rows(false);
    }
}

static void begin_world(void)
{
    static const uint32_t rows[] = {1, 2, 7, 64};
    struct way way = {.workers = 1 + (int)draw(4), .batch_rows = rows[draw(4)], .ring_slots = 4u << draw(3), .shuffle = draw(1 << 30)};
    for (int i = 0; i < w.nsinks; i++) free_lines(&w.sinks[i].expected);
    memset(&w, 0, sizeof w);
    w.wm = NEVER;
    w.clock = 10000;
    mock_reset();
    w.sim = env_sim_new(seed);
    ut_open(&w.u, &way, env_sim_env(w.sim));
    run_sql("CREATE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts AS ts - INTERVAL '%d' MILLISECOND);"
            "CREATE SOURCE r (k BIGINT, v BIGINT, ts BIGINT);"
            "CREATE STREAM x AS SELECT k, v, ts FROM s WHERE v >= 0;"
            "CREATE SINK keep_x FROM x INTO BLACKHOLE; CREATE SINK keep_r FROM r INTO BLACKHOLE;", DELAY);
    add_sink(HEALTHY);
    add_sink(HEALTHY);
}

static void end_world(void)
{
    if (w.sub) toggle_sub();
    for (int i = 0; i < w.nsinks; i++) {
        struct model_sink *k = &w.sinks[i];
        if (k->alive && (k->fault == HANGS || k->fault == FAILS) && draw(2)) drop_sink(k);
        if (k->alive) command(k, "RESUME");
    }
    drain();
    lam_push_end(w.u.db, "s");
    lam_push_end(w.u.db, "r");
    for (int i = 0; i < w.nstreams; i++)
        if (w.streams[i].running) close_windows(&w.streams[i], INT64_MAX);
    int r;
    while ((r = lam_wait(w.u.db, w.u.s, 1000000000)) == E_WRITE) /* BLOCKED: all else has come to its end */
        for (int i = 0; i < w.nsinks; i++)
            if (w.sinks[i].alive && w.sinks[i].fault == FAILS) command(&w.sinks[i], "RETRY");
    check(r == LAM_OK, "wait: %d %s", r, lam_errmsg(w.u.s));
    for (int i = 0; i < w.nsinks; i++) {
        struct model_sink *k = &w.sinks[i];
        if (k->fault != CLOSES && k->alive) k->fault = k->fault == POISONS ? POISONS : HEALTHY; /* those have recovered */
        if (k->alive) check_sink(k, may_drop(k) ? dropped_by(k) : 0);
    }
    for (int i = 0; i < w.nstreams; i++) {
        struct model_stream *s = &w.streams[i];
        struct stream_stats st;
        bool counted = s->running && !s->may_end && s->kind != CASCADE && runtime_stream_stats(db_runtime(w.u.db), s->id, &st);
        if (counted) check((int64_t)st.late >= s->late, "stream %s (%d): %d late rows, not %d", s->name, s->kind, (int)st.late, (int)s->late);
    }
    int64_t now = env_now_us(env_sim_env(w.sim));
    note(&now, sizeof now);
    ut_close(&w.u);
    env_sim_free(w.sim);
}

static uint64_t run_seed(uint64_t n)
{
    seed = n;
    rng = n * 0x2545f4914f6cdd1du;
    trace = 0xcbf29ce484222325u;
    begin_world();
    for (int i = 20 + (int)draw(60); i > 0; i--) one_step();
    end_world();
    return trace;
}

static void test_seeds(void **state)
{
    (void)state;
    const char *one = getenv("SEED"), *many = getenv("SEEDS");
    told = one;
    uint64_t from = one ? strtoull(one, NULL, 10) : 1, to = one ? from : many ? strtoull(many, NULL, 10) : 300;
    for (uint64_t n = from; n <= to; n++) {
        uint64_t first = run_seed(n), again = run_seed(n);
        check(first == again, "two runs differ");
        if (n % 1000 == 0) print_message("%llu seeds\n", (unsigned long long)n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
