/* What every source passes. What it reads is taken by a mock sink, "got", or by a subscription.
 * SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include "connector/mock.h"
#include "format/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int define(struct run *r, const struct subject *s, const char *options, const char *more)
{
    *r = run_open(1);
    return run_sql(r, "CREATE SOURCE s (k BIGINT, t VARCHAR) FROM \"%s\" (%s%s%s)", s->name,
                   subject_options(s, options), *more ? ", " : "", more);
}

static int start(struct run *r, const struct subject *s, const char *options)
{
    int code = define(r, s, options, "");
    return code ? code : run_sql(r, "CREATE SINK o FROM s INTO MOCK (name = 'got')");
}

static void give(const struct subject *s, int64_t first, int n, size_t wide, bool last)
{
    if (!s->give) return;
    char *text = judge_json(first, n, wide);
    s->give(text, strlen(text), last);
    free(text);
}

static const char *got(int n, size_t wide, bool again)
{
    char *raw = mock_rows("got");
    const char *why = judge(raw, 0, n, wide, again, false);
    mem_free(raw);
    return why;
}

static bool has_got(void *n)
{
    return mock_count("got") >= *(uint64_t *)n;
}

/* How many rows there are in all, when it makes them itself. */
static int own_rows(const struct subject *s)
{
    return !strcmp(s->name, "generator") ? 1000 : 5;
}

static void refuses(const struct subject *s)
{
    struct run r;
    WANT(define(&r, s, NULL, "no.such.option = 1") == 1105, "an unknown option: %s", lam_errmsg(r.s));
    WANT(!run_close(&r), "lam_close");
    if (!s->nowhere) STATES("it is always there");
    int code = start(&r, s, s->nowhere);
    WANT(code >= 5000 && code < 6000, "nobody says that it is unreachable: %d %s", code, lam_errmsg(r.s));
    WANT(strstr(lam_errmsg(r.s), "source \"s\""), "the error does not name the source: %s", lam_errmsg(r.s));
    WANT(!run_close(&r), "lam_close");
}

/* To its end, which it finds itself. */
static void reads(const struct subject *s, int n, size_t wide)
{
    struct run r;
    int step = n > 10 ? n / 10 : n;
    bool fed = !strcmp(s->name, "stdin") || !strcmp(s->name, "wire");
    for (int at = 0; !fed && at < n; at += step) give(s, at, step, wide, at + step == n);
    WANT(!start(&r, s, NULL), "%s", lam_errmsg(r.s));
    for (int at = 0; fed && at < n; at += step) give(s, at, step, wide, at + step == n);
    WANT(!lam_wait(r.db, r.s, 20000000), "%s", lam_errmsg(r.s));
    WANT(!run_close(&r), "lam_close");
    if (s->is_own) {
        WANT(mock_count("got") == (uint64_t)own_rows(s), "%llu rows", (unsigned long long)mock_count("got"));
    } else {
        WANT(!got(n, wide, false), "%s", got(n, wide, false));
    }
}

static void reads_rows(const struct subject *s)
{
    reads(s, 1000, 0);
}

static void reads_wide_rows(const struct subject *s)
{
    if (s->is_own) STATES("it makes its rows itself");
    reads(s, 40, 300000);
}

#define COLUMNS                                                                                                        \
    "k BIGINT, b BOOLEAN, i SMALLINT, f REAL, n DECIMAL(10, 2), da DATE, ti TIME, ts TIMESTAMP, iv INTERVAL, nu "      \
    "BIGINT"
#define LINE                                                                                                           \
    "{\"k\":%d,\"b\":true,\"i\":-5,\"f\":1.5,\"n\":12.25,\"da\":\"2024-01-02\",\"ti\":\"01:02:03\",\"ts\":\"2024-01-"  \
    "02 03:04:05.5\",\"iv\":\"3 days\",\"nu\":null}\n"

static void reads_all_types(const struct subject *s)
{
    if (s->is_own) STATES("it makes its rows itself");
    if (s->pair) STATES("its columns are %s", s->pair);
    struct run r = run_open(1);
    struct text lines = {0};
    for (int i = 0; i < 20; i++) text_printf(&lines, LINE, i);
    s->give(lines.p, lines.n, true);
    world_write("want.json", lines.p, lines.n);
    text_done(&lines);
    lam_set_var(r.s, "FILE", world_path("want.json"));
    int code = run_sql(&r,
                       "CREATE SOURCE s (" COLUMNS ") FROM \"%s\" (%s); CREATE SINK o FROM s INTO MOCK (name = 'got');"
                       "CREATE SOURCE w (" COLUMNS
                       ") FROM FILE (path = '${FILE}'); CREATE SINK p FROM w INTO MOCK (name = 'want')",
                       s->name, subject_options(s, NULL));
    WANT(!code, "%s", lam_errmsg(r.s));
    WANT(!lam_wait(r.db, r.s, 20000000), "%s", lam_errmsg(r.s));
    WANT(!run_close(&r), "lam_close");
    char *have = mock_rows("got"), *want = mock_rows("want");
    bool same = mock_count("got") == 20 && !strcmp(have, want);
    if (!same) suite_fail(__FILE__, __LINE__, "same", "got %.200s, not %.200s", have, want);
    mem_free(have), mem_free(want);
}

/* Rows that come while it is followed are there soon, without an end. */
static void follows(const struct subject *s)
{
    if (!s->follow) STATES("it does not go on");
    struct run r;
    WANT(!start(&r, s, s->follow), "%s", lam_errmsg(r.s));
    uint64_t n = s->is_own ? 2 : 100;
    give(s, 0, 60, 0, false);
    give(s, 60, 40, 0, false);
    WANT(run_sql(&r, "SELECT 1") == 0, "%s", lam_errmsg(r.s));
    for (int64_t until = suite_now() + 10000000; mock_count("got") < n && suite_now() < until;) {
        lam_drain(r.db, 100000);
        usleep(5000);
        if (!s->is_own && mock_count("got") < n) continue;
    }
    WANT(mock_count("got") >= n, "%llu rows have come", (unsigned long long)mock_count("got"));
    WANT(lam_wait(r.db, r.s, 50000) == LAM_TIMEOUT, "it ended");
    WANT(!run_close(&r), "lam_close left something behind");
}

static int64_t source_rows(struct run *r)
{
    struct ArrowArrayStream rows = {0};
    struct ArrowSchema schema;
    struct ArrowArray a = {0};
    int64_t n = -1;
    if (lam_execute(r->s, "SHOW SOURCES", &rows)) return -1;
    rows.get_schema(&rows, &schema);
    int64_t col = 0;
    while (col < schema.n_children && strcmp(schema.children[col]->name, "rows")) col++;
    if (!rows.get_next(&rows, &a) && a.release) {
        n = ((const int64_t *)a.children[col]->buffers[1])[0];
        a.release(&a);
    }
    schema.release(&schema);
    rows.release(&rows);
    return n;
}

struct feeder {
    const struct subject *s;
    int n;
};

static void feed(void *p)
{
    struct feeder *f = p;
    for (int at = 0; at < f->n; at += 1000) give(f->s, at, 1000, 200, at + 1000 == f->n);
}

/* Nobody takes its rows: it stops. Somebody does again: it goes on where it was. */
static void pauses(const struct subject *s)
{
    if (s->is_own && strcmp(s->name, "generator")) STATES("it has too few rows");
    struct run r;
    struct lam_sub *sub;
    struct thread *t = NULL;
    struct err err;
    struct feeder f = {s, 100000};
    bool fed = !strcmp(s->name, "stdin") || !strcmp(s->name, "wire");
    if (!fed) feed(&f);
    WANT(!define(&r, s, s->is_own ? "rows = 100000" : NULL, ""), "%s", lam_errmsg(r.s));
    WANT(!lam_subscribe(r.s, "s", NULL, &sub), "%s", lam_errmsg(r.s));
    if (fed && env_thread(env_real(), "feeder", feed, &f, &t, &err)) abort();
    int64_t before = -1, rows = 0;
    for (int i = 0; i < 100 && (rows != before || rows <= 0); i++) {
        before = rows;
        usleep(100000);
        rows = source_rows(&r);
    }
    WANT(rows == before && rows > 0 && rows < 100000, "%lld rows were read though nobody took them", (long long)rows);
    int64_t next = 0;
    struct ArrowArray a;
    int code;
    while (!(code = lam_recv(sub, &a, 10000000))) {
        const int64_t *k = a.children[0]->buffers[1];
        for (int64_t i = 0; i < a.length; i++, next++)
            if (!s->is_own && k[i] != next) break;
        a.release(&a);
    }
    thread_join(t);
    lam_sub_close(sub);
    WANT(code == LAM_END && next == 100000, "%lld rows, then %d", (long long)next, code);
    WANT(!run_close(&r), "lam_close");
}

static void bridges_an_outage(const struct subject *s)
{
    if (!s->down) STATES("%s", s->no_outage);
    struct run r;
    WANT(!start(&r, s, s->follow), "%s", lam_errmsg(r.s));
    uint64_t n = 100;
    give(s, 0, 100, 0, false);
    for (int i = 0; i < 1000 && mock_count("got") < n; i++) lam_drain(r.db, 10000), usleep(2000);
    WANT(has_got(&n), "nothing comes");
    s->down(true);
    usleep(200000);
    s->down(false);
    n = 200;
    give(s, 100, 100, 0, false);
    for (int i = 0; i < 1000 && mock_count("got") < n; i++) lam_drain(r.db, 10000), usleep(2000);
    WANT(!got(200, 0, false), "%s", got(200, 0, false));
    WANT(!run_close(&r), "lam_close");
}

/* Closing while it waits, and while it gives. */
static void stops_in_the_middle(const struct subject *s)
{
    struct run r;
    for (int busy = 0; busy < 2; busy++) {
        if (busy && strcmp(s->name, "stdin") && strcmp(s->name, "wire")) give(s, 0, 2000, 100, false);
        WANT(!start(&r, s, s->follow), "%s", lam_errmsg(r.s));
        usleep(busy ? 1000 : 50000);
        int64_t began = suite_now();
        WANT(!run_close(&r), "lam_close left something behind");
        WANT(suite_now() - began < 2000000, "lam_close took %lld ms", (long long)(suite_now() - began) / 1000);
    }
}

/* ---- positions, class by class --------------------------------------------------------------------------------------
 */

static struct source *open_direct(struct direct *d, const struct source_class *c)
{
    struct source *x = source_new(c, &d->ctx);
    if (!c->open(x, &d->err)) return x;
    c->close(x);
    source_free(x);
    return NULL;
}

static void close_direct(struct source *x)
{
    x->class->close(x);
    x->class->close(x); /* twice is once */
    source_free(x);
}

static void put_batch(const struct batch *b, struct direct *d, struct text *out)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        struct value k = batch_value(b, d->schema, 0, i), t = batch_value(b, d->schema, 1, i);
        text_printf(out, "%lld|", (long long)k.i);
        if (t.is_null)
            text_puts(out, "\\N");
        else
            text_put(out, str_ptr(&t.s), t.s.n);
        text_putc(out, '\n');
    }
}

struct places {
    struct position at[64];
    size_t behind[64]; /* bytes of what was read before */
    int n;
};

static void put_place(struct places *p, const struct payload *got, uint32_t record, size_t before)
{
    p->behind[p->n] = before + got->records[record].start + got->records[record].n + 1;
    p->at[p->n++] = got->places[record];
}

/* Reads to the end, or until nothing has come for a while; places are kept where they hold. */
static enum status drain(struct direct *d, struct source *x, struct text *out, struct places *p)
{
    enum status st = ST_OK;
    for (int idle = 0; idle < 5000 && (!st || st == ST_WAIT);) {
        struct payload got = {.max = 700};
        int64_t at;
        st = x->class->poll(x, 0, env_now_us(d->ctx.env), &got, &d->err);
        if (st == ST_WAIT) idle++, x->class->wait(x, 0, NULL, 0, &at), usleep(1000);
        if (st && st != ST_DONE) continue;
        size_t before = out->n;
        if (got.n) text_put(out, got.p, got.n);
        if (got.b) put_batch(got.b, d, out);
        batch_unref(got.b);
        if (!p || p->n >= 60 || out->n == before) continue;
        if (got.nrecords) { /* any record's end is a place */
            for (uint32_t i = got.nrecords / 2; i < got.nrecords; i += (got.nrecords + 1) / 2) put_place(p, &got, i, before);
            put_place(p, &got, got.nrecords - 1, before);
            continue;
        }
        if (!got.b) { /* any record's end is a place: one in the middle of what came, and its end */
            char *half = memchr(out->p + before + got.n / 2, '\n', out->n - before - got.n / 2);
            p->behind[p->n] = half ? (size_t)(half - out->p) + 1 : out->n;
            p->at[p->n] = (struct position){.offset = (int64_t)p->behind[p->n]};
            x->class->mark(x, 0, &p->at[p->n++]);
        }
        p->behind[p->n] = out->n;
        p->at[p->n] = got.b ? got.after : (struct position){.offset = (int64_t)out->n};
        if (!got.b) x->class->mark(x, 0, &p->at[p->n]);
        p->n++;
    }
    return st;
}

static void goes_back(const struct source_class *c, struct direct *d, const struct text *all, const struct places *p)
{
    for (int i = 0; i < p->n; i++) {
        struct source *x = open_direct(d, c);
        WANT(x, "%s", d->err.text);
        enum status st = c->seek(x, 0, &p->at[i], &d->err);
        struct text rest = {0};
        if (!st) drain(d, x, &rest, NULL);
        close_direct(x);
        bool same = rest.n == all->n - p->behind[i] && !memcmp(rest.p ? rest.p : "", all->p + p->behind[i], rest.n);
        size_t n = rest.n;
        text_done(&rest);
        WANT(!st, "place %d: %s", i, d->err.text);
        WANT(same, "from place %d on %zu bytes come, not %zu", i, n, all->n - p->behind[i]);
    }
}

static void replays(const struct subject *s)
{
    struct direct d;
    struct run r = run_open(0);
    WANT(!s->module || !lam_load_module(r.db, s->module), "%s", lam_errmsg(NULL));
    run_close(&r);
    const struct source_class *c = source_find(s->name);
    WANT(c, "no class");
    const char *options = strcmp(s->name, "generator") ? subject_options(s, NULL) : "rows = 7000";
    WANT(direct_init(&d, options, c->options, false), "%s", d.err.text);
    int n = strcmp(s->name, "stdin") ? 2000 : 200; /* no more than a pipe holds */
    for (int i = 0; i < 5; i++) give(s, i * n, n, 0, i == 4);
    struct source *x = open_direct(&d, c);
    WANT(x, "%s", d.err.text);
    WANT(c->splits(x) == 1 && c->split_name(x, 0), "splits");
    WANT(!c->seek(x, 0, NULL, &d.err), "%s", d.err.text);
    struct text all = {0};
    struct places p = {0};
    enum status st = drain(&d, x, &all, &p);
    WANT(st == ST_DONE, "it ends with %d %s", (int)st, d.err.text);
    WANT(all.n > 20 && p.n > 0, "%zu bytes", all.n);
    struct payload more = {.max = 1};
    WANT(c->poll(x, 0, env_now_us(d.ctx.env), &more, &d.err) == ST_DONE, "the end is not for ever");
    enum status back = c->replayable ? ST_OK : c->seek(x, 0, &p.at[0], &d.err);
    close_direct(x);
    if (c->replayable) goes_back(c, &d, &all, &p);
    text_done(&all);
    direct_done(&d);
    if (c->replayable) return;
    WANT(back == E_READ, "seek gives %d", (int)back);
    STATES("not replayable");
}

const struct test_case source_cases[] = {
    {"refuse", refuses},           {"rows", reads_rows},
    {"wide", reads_wide_rows},     {"types", reads_all_types},
    {"follow", follows},           {"pause", pauses},
    {"outage", bridges_an_outage}, {"stop", stops_in_the_middle},
    {"replay", replays},           {0},
};
