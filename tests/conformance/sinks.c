/* What every sink passes. SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include "connector/mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A source s to push into and the sink o on it. */
static int start(struct run *r, const struct subject *s, const char *options, const char *more)
{
    *r = run_open(1);
    int code = run_sql(r, "CREATE SOURCE s (k BIGINT, t VARCHAR); CREATE SINK o FROM s INTO \"%s\" (%s%s%s)", s->name,
                   subject_options(s, options), *more ? ", " : "", more);
    if (!code && s->ready && options != s->nowhere) s->ready();
    return code;
}

static int finish(struct run *r)
{
    lam_push_end(r->db, "s");
    return lam_wait(r->db, r->s, 20000000);
}

/* Ends well; what came is judged. */
static void settle(struct run *r, const struct subject *s, int n, size_t wide, bool again)
{
    WANT(!finish(r), "%s", lam_errmsg(r->s));
    WANT(!run_close(r), "lam_close");
    if (!s->arrived) return;
    char *raw = s->arrived();
    const char *why = judge(raw, 0, n, wide, again, false);
    free(raw);
    WANT(!why, "%s", why);
}

struct look {
    const struct subject *s;
    struct run *r;
    int64_t n;
};

static int64_t count(const struct look *l)
{
    if (l->s->arrived) {
        char *raw = l->s->arrived();
        int64_t n = judge_count(raw);
        free(raw);
        return n;
    }
    return -1;
}
static bool has_come(void *ctx)
{
    struct look *l = ctx;
    return count(l) >= l->n;
}

static void refuses(const struct subject *s)
{
    struct run r;
    int code = start(&r, s, NULL, "no.such.option = 1");
    WANT(code == 1105, "an unknown option: %s", lam_errmsg(r.s));
    WANT(!run_close(&r), "lam_close");
    if (!s->nowhere) STATES("it is always there");
    code = start(&r, s, s->nowhere, "");
    for (int i = 0; !code && i < 500; i++) {
        char *why = run_text(&r, "SHOW SINKS", "o", "last_error");
        bool known = why && *why;
        free(why);
        if (known) break;
        WANT(i < 499, "nobody says that it is unreachable");
        usleep(10000);
    }
    WANT(!run_close(&r), "lam_close");
}

static void takes_rows(const struct subject *s)
{
    struct run r;
    WANT(!start(&r, s, NULL, ""), "%s", lam_errmsg(r.s));
    for (int i = 0; i < 10; i++) WANT(!run_push(&r, "s", i * 100, 100, 0), "%s", lam_errmsg(NULL));
    settle(&r, s, 1000, 0, false);
}

static void takes_wide_rows(const struct subject *s)
{
    struct run r;
    WANT(!start(&r, s, NULL, ""), "%s", lam_errmsg(r.s));
    for (int i = 0; i < 10; i++) WANT(!run_push(&r, "s", i * 4, 4, 300000), "%s", lam_errmsg(NULL));
    settle(&r, s, 40, 300000, false);
}

#define ALL_TYPES                                                                                                      \
    "SELECT k, t, k > 2 AS b, CAST(k AS SMALLINT) AS i2, CAST(k AS INTEGER) AS i4, CAST(k AS REAL) / 3 AS f4, "        \
    "CAST(k AS DOUBLE) / 7 AS f8, CAST(k AS DECIMAL(10, 2)) / 4 AS n, DATE '2024-01-02' AS da, TIME '01:02:03' AS "    \
    "ti, "                                                                                                             \
    "TIMESTAMP '2024-01-02 03:04:05.123456' AS ts, INTERVAL '3 days 2 hours' AS iv, NULLIF(k, 1) AS nu FROM s"

static void takes_all_types(const struct subject *s)
{
    if (s->pair) STATES("its columns are %s", s->pair);
    struct run r = run_open(1);
    bool columns = !strncmp(s->name, "mock", 4);
    lam_set_var(r.s, "FILE", world_path("want.json"));
    int code = run_sql(&r,
                       "CREATE SOURCE s (k BIGINT, t VARCHAR); CREATE STREAM a AS " ALL_TYPES
                       "; CREATE SINK w FROM a INTO %s; "
                       "CREATE SINK o FROM a INTO \"%s\" (%s)",
                       columns ? "MOCK (name = 'want')" : "FILE (path = '${FILE}')", s->name, subject_options(s, NULL));
    WANT(!code, "%s", lam_errmsg(r.s));
    if (s->ready) s->ready();
    WANT(!run_push(&r, "s", 0, 10, 0), "%s", lam_errmsg(NULL));
    WANT(!finish(&r), "%s", lam_errmsg(r.s));
    WANT(!run_close(&r), "lam_close");
    if (!s->arrived) return;
    char *raw = s->arrived(), *ref;
    if (columns) {
        char *rows = mock_rows("want");
        ref = strdup(rows);
        mem_free(rows);
    } else {
        ref = world_read("want.json");
    }
    bool same = strlen(ref) > 500 && !strcmp(raw, ref);
    if (!same) suite_fail(__FILE__, __LINE__, "same", "got %.300s, not %.200s", raw, ref);
    free(raw), free(ref);
}

static void keeps_the_deadline(const struct subject *s)
{
    struct run r;
    WANT(!start(&r, s, NULL, "flush.interval = '50 ms'"), "%s", lam_errmsg(r.s));
    WANT(!run_push(&r, "s", 0, 3, 0), "%s", lam_errmsg(NULL));
    struct look l = {s, &r, 3};
    int64_t began = suite_now();
    if (s->arrived) WANT(suite_until(has_come, &l), "rows that nobody follows are not given out");
    WANT(suite_now() - began < 5000000, "it took too long");
    settle(&r, s, 3, 0, true);
}

static void waits_for_a_slow_peer(const struct subject *s)
{
    if (!s->hold) STATES("%s", s->no_hold);
    if (!strncmp(s->name, "mock", 4)) s->hold(true); /* by script: what it holds it holds for good */
    bool by_script = !strncmp(s->name, "mock", 4);
    struct run r;
    WANT(!start(&r, s, by_script ? "name = 't', script = 'wait 5 ms; short write 3-9'" : s->held, ""), "%s",
         lam_errmsg(r.s));
    s->hold(true);
    for (int i = 0; i < 20; i++) WANT(!run_push(&r, "s", i * 1000, 1000, 100), "%s", lam_errmsg(NULL));
    usleep(150000);
    struct look l = {s, &r, 20000};
    if (!by_script) WANT(count(&l) < 20000, "all rows have come to a peer that takes none");
    s->hold(false);
    settle(&r, s, 20000, 100, false);
}

static void bridges_an_outage(const struct subject *s)
{
    if (!s->down) STATES("%s", s->no_outage);
    struct run r;
    WANT(!start(&r, s, NULL, "flush.interval = '10 ms'"), "%s", lam_errmsg(r.s));
    WANT(!run_push(&r, "s", 0, 500, 0), "%s", lam_errmsg(NULL));
    struct look l = {s, &r, 1};
    WANT(suite_until(has_come, &l), "nothing comes");
    s->down(true);
    for (int i = 1; i < 10; i++) {
        WANT(!run_push(&r, "s", i * 500, 500, 0), "%s", lam_errmsg(NULL));
        usleep(20000);
    }
    s->down(false);
    for (int i = 10; i < 20; i++) WANT(!run_push(&r, "s", i * 500, 500, 0), "%s", lam_errmsg(NULL));
    settle(&r, s, 10000, 0, true);
}

/* A call that does not come back, or a peer that takes nothing in, does not keep a database from closing. */
static void is_canceled(const struct subject *s)
{
    if (!s->hold) STATES("%s", s->no_hold);
    struct run r;
    WANT(!start(&r, s, s->held, "flush.interval = '10 ms'") || strstr(lam_errmsg(r.s), "twice"), "%s", lam_errmsg(r.s));
    if (*lam_errmsg(r.s)) {
        run_close(&r);
        WANT(!start(&r, s, s->held, ""), "%s", lam_errmsg(r.s));
    }
    s->hold(true);
    for (int i = 0; i < 10; i++) WANT(!run_push(&r, "s", i * 1000, 1000, 100), "%s", lam_errmsg(NULL));
    usleep(100000);
    int64_t began = suite_now();
    WANT(!run_close(&r), "lam_close left something behind");
    WANT(suite_now() - began < 2000000, "lam_close took %lld ms", (long long)(suite_now() - began) / 1000);
    if (strcmp(s->name, "spool")) s->hold(false);
}

/* Rows that can never be taken go to the dead letters, each once, and the others arrive in order. */
static void buries_poison(const struct subject *s)
{
    if (!s->poison) STATES("no row is poison to it");
    struct run r = run_open(1);
    int code = run_sql(&r,
                       "CREATE SOURCE s (k BIGINT, t VARCHAR); CREATE STREAM bad (t VARCHAR, error VARCHAR); "
                       "CREATE SINK letters FROM bad INTO MOCK; "
                       "CREATE SINK o FROM (%s) INTO \"%s\" (%s, dead_letter = 'bad', batch.rows = 40)",
                       s->poison, s->name, subject_options(s, NULL));
    WANT(!code, "%s", lam_errmsg(r.s));
    for (int i = 0; i < 100; i++) {
        WANT(!run_push(&r, "s", i * 10, 10, 0), "%s", lam_errmsg(NULL));
        if (i % 7 == 0) WANT(!run_push(&r, "s", -1, 1, 0), "%s", lam_errmsg(NULL));
    }
    settle(&r, s, 1000, 0, false);
    WANT(mock_count("letters") == 15, "%d dead letters", (int)mock_count("letters"));
}

static void stops_in_the_middle(const struct subject *s)
{
    struct run r;
    WANT(!start(&r, s, NULL, "flush.interval = '1 ms'"), "%s", lam_errmsg(r.s));
    for (int i = 0; i < 20; i++) WANT(!run_push(&r, "s", i * 1000, 1000, 0), "%s", lam_errmsg(NULL));
    WANT(!run_close(&r), "lam_close left something behind");
    if (!s->arrived) return;
    char *raw = s->arrived();
    char *last = strrchr(raw, '\n'); /* a peer may have been left in the middle of a line */
    if (last) last[1] = 0;
    const char *why = judge(raw, 0, 20000, 0, true, true);
    free(raw);
    WANT(!why, "%s", why);
}

/* ---- epochs, class by class ----------------------------------------------------------------------------------------
 */

static enum status again_while_waiting(struct sink *k, enum status st)
{
    int64_t at;
    k->class->wait(k, NULL, 0, &at);
    usleep(1000);
    return st;
}

static enum status write_some(struct direct *d, struct sink *k, int64_t first, int n)
{
    enum status st = ST_OK;
    if (k->class->payload == PAYLOAD_BYTES) {
        char *text = judge_json(first, n, 0);
        for (size_t at = 0, took; text[at] && (!st || st == ST_WAIT || st == ST_RETRY); at += took) {
            st = k->class->write_bytes(k, text + at, strlen(text + at), &took, &d->err);
            if (st) again_while_waiting(k, st);
        }
        free(text);
        return st;
    }
    struct pool *p = pool_new(NULL);
    struct batch *b = direct_batch(d, p, first, n);
    struct values v = {0};
    direct_values(first, n, &v);
    for (uint32_t at = 0, took; at < b->rows && (!st || st == ST_WAIT || st == ST_RETRY); at += took) {
        if (k->class->payload == PAYLOAD_RECORDS)
            st = k->class->write_records(k, &v, b, at, &took, &d->err);
        else
            st = k->class->write_rows(k, b, at, &took, &d->err);
        if (st) again_while_waiting(k, st);
    }
    values_done(&v);
    batch_unref(b);
    pool_close(p);
    return st;
}

static enum status commit(struct direct *d, struct sink *k, uint64_t epoch)
{
    enum status st = ST_RETRY;
    for (int i = 0; i < 1000 && (st == ST_RETRY || st == ST_WAIT); i++) {
        do st = k->class->flush(k, &d->err);
        while ((st == ST_RETRY || st == ST_WAIT) && again_while_waiting(k, st));
        if (!st) st = k->class->commit(k, epoch, &d->err);
    }
    return st;
}

static struct sink *open_direct(struct direct *d, const struct sink_class *c, uint64_t incarnation, uint64_t *marker)
{
    struct sink *k = sink_new(c, &d->ctx);
    bool fresh;
    enum status st = ST_RETRY;
    for (int64_t until = suite_now() + 10000000; (st == ST_RETRY || st == ST_WAIT) && suite_now() < until; usleep(1000)) {
        st = c->open(k, incarnation, marker, &fresh, &d->err);
        if (st == ST_WAIT) again_while_waiting(k, st);
    }
    if (!st) return k;
    c->close(k, false, NULL);
    sink_free(k);
    return NULL;
}

static void close_direct(struct sink *k)
{
    k->class->close(k, false, NULL);
    k->class->close(k, false, NULL); /* twice is once */
    sink_free(k);
}

static const char *visible(const struct subject *s, int n)
{
    char *raw = s->arrived();
    const char *why = judge(raw, 0, n, 0, false, false);
    free(raw);
    return why;
}

static void commit_and_drive_again(const struct subject *s, const struct sink_class *c, struct direct *d)
{
    uint64_t marker, first;
    struct sink *k = open_direct(d, c, 1, &first);
    WANT(k, "%s", d->err.text);
    WANT(!write_some(d, k, 0, 10), "%s", d->err.text);
    WANT(!k->class->flush(k, &d->err), "%s", d->err.text);
    WANT(!visible(s, 0), "rows are seen before their epoch is committed: %s", visible(s, 0));
    WANT(!commit(d, k, first + 5), "%s", d->err.text);
    WANT(!visible(s, 10), "%s", visible(s, 10));
    WANT(!write_some(d, k, 10, 10), "%s", d->err.text);
    close_direct(k); /* a crash: the epoch was not committed */
    k = open_direct(d, c, 2, &marker);
    WANT(k && marker == first + 5, "the marker is %llu, not %llu", (unsigned long long)marker,
         (unsigned long long)first + 5);
    WANT(!visible(s, 10), "%s", visible(s, 10));
    WANT(!write_some(d, k, 10, 10) && !commit(d, k, first + 6), "%s", d->err.text);
    WANT(!commit(d, k, first + 6), "%s", d->err.text);
    WANT(!write_some(d, k, 10, 10) && !commit(d, k, first + 6), "%s", d->err.text); /* driven again */
    WANT(!write_some(d, k, 20, 10) && !k->class->abort(k, &d->err), "%s", d->err.text);
    WANT(!visible(s, 20), "%s", visible(s, 20));
    WANT(!write_some(d, k, 20, 10) && !commit(d, k, first + 9), "%s", d->err.text);
    close_direct(k);
    WANT(!visible(s, 30), "%s", visible(s, 30));
}

static void commits_epochs(const struct subject *s)
{
    static const char *const words[] = {"at most once", "at least once", "exactly once"};
    struct direct d;
    struct run r = run_open(0);
    WANT(!s->module || !lam_load_module(r.db, s->module), "%s", lam_errmsg(NULL));
    run_close(&r);
    const struct sink_class *c = sink_find(s->name);
    WANT(c, "no class");
    const char *options = strncmp(s->name, "mock", 4) ? subject_options(s, NULL) : "name = 't'";
    WANT(direct_init(&d, options, c->options, c->guarantee == EXACTLY_ONCE), "%s", d.err.text);
    if (c->guarantee == EXACTLY_ONCE) {
        commit_and_drive_again(s, c, &d);
        direct_done(&d);
        return;
    }
    uint64_t marker;
    struct sink *k = open_direct(&d, c, 1, &marker);
    enum status st = k ? k->class->commit(k, 1, &d.err) : ST_OK;
    if (k) close_direct(k);
    direct_done(&d);
    WANT(k, "it does not open: %s", d.err.text);
    WANT(st == E_UNSUPPORTED, "commit gives %d", (int)st);
    STATES("%s", words[c->guarantee]);
}

const struct test_case sink_cases[] = {
    {"refuse", refuses},
    {"rows", takes_rows},
    {"wide", takes_wide_rows},
    {"types", takes_all_types},
    {"deadline", keeps_the_deadline},
    {"slow", waits_for_a_slow_peer},
    {"outage", bridges_an_outage},
    {"cancel", is_canceled},
    {"stop", stops_in_the_middle},
    {"poison", buries_poison},
    {"epochs", commits_epochs},
    {0},
};
