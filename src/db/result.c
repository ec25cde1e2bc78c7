/* The rows of a SELECT or SUBSCRIBE, handed out as an Arrow stream. The stream may outlive its session and, ending with an error, its
 * database. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#include "base/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct result {
    struct result *next;
    _Atomic int refs;  /* the consumer's, and lam_close's while it is at it */
    unsigned forks;
    struct lam_db *db; /* NULL: closed under us */
    struct lam_session *session; /* whose lam_cancel reaches it; NULL: that has closed */
    struct sub *sub; /* taken away under the database's lock too; NULL: an analysis of a stream */
    struct analysis *analysis; /* EXPLAIN ANALYZE: what is handed out are its lines. As sub */
    struct lock lock;  /* of db and sub: next runs under it, and lam_close takes it after waking next */
};

static void let_go(struct result *r)
{
    if (atomic_fetch_sub(&r->refs, 1) > 1) return;
    lock_done(&r->lock);
    mem_free(r);
}

/* An Arrow stream has no place for it. */
static void tell_gap(struct result *r)
{
    const struct lam_config *cfg = &r->db->cfg;
    uint64_t rows, batches;
    char text[100];
    sub_gap(r->sub, &rows, &batches);
    snprintf(text, sizeof text, "SUBSCRIBE: %llu rows were dropped here, as its policy says", (unsigned long long)rows);
    if (cfg->log) cfg->log(cfg->log_ctx, 1, text);
}

static enum status next(void *ctx, struct batch **out, struct err *err)
{
    struct result *r = ctx;
    if (r->forks != env_forks()) return err_set(err, E_MISUSE, "a child of fork cannot read what its parent asked for");
    lock_take(&r->lock);
    enum status st;
    do {
        if (!r->db)
            st = err_set(err, E_CLOSED, "the database was closed");
        else if (r->analysis)
            st = analysis_next(r->analysis, out, err);
        else
            st = sub_recv(r->sub, -1, out, err);
    } while (!st && !*out && (tell_gap(r), true));
    lock_give(&r->lock);
    return st == ST_WAIT ? err_set(err, E_INTERNAL, "the query waits for something that cannot come") : st;
}

/* It leaves the list last: lam_close waits for what is in it. */
static void detach(struct result *r)
{
    lock_take(&r->lock);
    struct lam_db *db = TAKE(r->db);
    if (db) {
        lock_take(&db->lock);
        struct sub *sub = TAKE(r->sub);
        struct analysis *analysis = TAKE(r->analysis);
        lock_give(&db->lock);
        analysis_free(analysis);
        sub_close(sub);
        lock_take(&db->lock);
        struct result **at = &db->results;
        while (*at != r) at = &(*at)->next;
        *at = r->next;
        lock_give(&db->lock);
    }
    lock_give(&r->lock);
}

static void close_result(void *ctx)
{
    struct result *r = ctx;
    if (r->forks != env_forks()) return;
    detach(r);
    let_go(r);
}

static void make(struct lam_session *s, struct sub *sub, struct analysis *analysis, struct ArrowArrayStream *out)
{
    struct lam_db *db = s->db;
    struct result *r = mem_zalloc(sizeof *r);
    lock_init(&r->lock);
    r->refs = 1;
    r->forks = db->forks;
    r->db = db;
    r->session = s;
    r->sub = sub;
    r->analysis = analysis;
    lock_take(&db->lock);
    r->next = db->results;
    db->results = r;
    lock_give(&db->lock);
    struct cdata_source from = {next, close_result, r};
    if (analysis)
        cdata_stream(analysis_schema(analysis), 0, from, out);
    else
        cdata_stream(sub_schema(sub), sub_changelog(sub) ? CDATA_WEIGHT : 0, from, out);
}

/* own: the plan's arena. */
static enum status open_result(struct lam_session *s, const struct plan *plan, struct arena *own, bool analyze,
                               struct ArrowArrayStream *out, struct err *err)
{
    struct lam_db *db = s->db;
    struct change *ch = change_new(db->runtime);
    struct sub *sub;
    struct analysis *analysis = analyze ? analysis_of_select(db) : NULL;
    change_sub(ch, plan, own, ON_ERROR_FAIL, NULL, &sub);
    enum status st = change_apply(ch, CONTROL_TIMEOUT_US, NULL, err);
    if (st) {
        analysis_free(analysis);
        return st;
    }
    if (analysis) analysis_reads(analysis, sub);
    make(s, sub, analysis, out);
    return ST_OK;
}

enum status result_select(struct lam_session *s, const struct ast_select *select, bool analyze, struct ArrowArrayStream *out,
                          struct err *err)
{
    AUTO(arena_free) struct arena *arena = arena_new();
    struct plan *plan;
    const struct object **uses;
    int nuses;
    struct catalog view = catalog_view(s);
    lock_take(&s->db->lock);
    enum status st = plan_select(arena, &view, select, true, &plan, &uses, &nuses, err);
    lock_give(&s->db->lock);
    TRY(st);
    TRY(session_apply(s, err));
    return open_result(s, plan, TAKE(arena), analyze, out, err);
}

enum status result_analyze(struct lam_session *s, const struct stmt *st, struct ArrowArrayStream *out, struct err *err)
{
    struct lam_db *db = s->db;
    const struct object *o = NULL;
    int64_t for_us;
    TRY(analysis_time(st, &for_us, err));
    TRY(session_apply(s, err));
    lock_take(&db->lock);
    enum status r = explain_find(db, st, &o, err);
    if (!r && o->kind != OBJECT_STREAM) {
        err_at(err, E_TYPE, st->name_pos, "\"%s\" is no stream", o->name);
        err_hint(err, "use SHOW METRICS LIKE 'sink%%', or EXPLAIN ANALYZE STREAM of what it reads");
        r = E_TYPE;
    }
    struct analysis *a = r ? NULL : analysis_of_stream(db, o, for_us);
    lock_give(&db->lock);
    if (!r) make(s, NULL, a, out);
    return r;
}

/* ---- SUBSCRIBE --------------------------------------------------------------------------------------------------------- */

static const struct option_spec subscribe_options[] = {
    {.name = "policy", .type = OPT_ENUM, .dflt = "block", .values = SUBSCRIPTION_POLICIES,
     .sentence = "What becomes of rows when the subscriber is too slow."},
    {.name = "sample.every", .type = OPT_INT, .min = 2, .max = INT32_MAX, .sentence = "With the policy sample: one row of so many."},
    {.name = "buffer.bytes", .type = OPT_SIZE, .min = 1, .max = INT64_MAX, .sentence = "Bytes that may wait for the subscriber; by default 4 MiB."},
    {0},
};

static enum status read_options(struct arena *a, const struct stmt *st, struct sub_config *out, struct err *err)
{
    const struct option_spec *tables[] = {subscribe_options};
    struct option_in *in = arena_alloc(a, sizeof *in * (size_t)(st->options.n + 1));
    struct options *o;
    for (int i = 0; i < st->options.n; i++) {
        const struct ast_option *x = st->options.at[i];
        in[i] = (struct option_in){x->key, x->value, x->pos, x->value_pos};
    }
    TRY(options_read(a, "SUBSCRIBE", tables, 1, in, st->options.n, &o, err));
    *out = (struct sub_config){.policy = (enum sub_policy)options_int(o, "policy")};
    if (options_has(o, "buffer.bytes")) out->bytes = options_int(o, "buffer.bytes");
    if (options_has(o, "sample.every")) out->every = (uint32_t)options_int(o, "sample.every");
    return ST_OK;
}

static enum status read_epoch(const struct stmt *st, uint64_t *out, struct err *err)
{
    char *end = NULL;
    *out = 0;
    if (!st->value) return ST_OK;
    errno = 0;
    *out = strtoull(st->value, &end, 10);
    if (!*end && !errno && *out <= INT64_MAX) return ST_OK;
    err_at(err, E_ARGUMENT, st->name_pos, "\"%.40s\" is no epoch", st->value);
    err_hint(err, "an epoch is the number that CHECKPOINT or lam_sub_epoch gave");
    return E_ARGUMENT;
}

enum status result_subscribe(struct lam_session *s, const struct stmt *st, struct ArrowArrayStream *out, struct err *err)
{
    AUTO(arena_free) struct arena *arena = arena_new();
    struct sub_config cfg;
    struct plan *plan;
    uint64_t epoch;
    TRY(read_options(arena, st, &cfg, err));
    TRY(subscription_plan(s, arena, st->name, st->name_pos, st->where, &plan, err));
    TRY(subscription_check(st->name, plan, &cfg, st->value, err));
    TRY(read_epoch(st, &epoch, err));
    TRY(session_apply(s, err));
    struct sub *sub;
    TRY(subscription_open(s->db, plan, TAKE(arena), &cfg, st->value ? &epoch : NULL, &sub, err));
    make(s, sub, NULL, out);
    return ST_OK;
}

static void cancel(struct result *r)
{
    if (r->sub) sub_cancel(r->sub);
    if (r->analysis) analysis_cancel(r->analysis);
}

void result_cancel(struct lam_session *s)
{
    for (struct result *r = s->db->results; r; r = r->next)
        if (r->session == s) cancel(r);
}

void result_forget(struct lam_session *s)
{
    lock_take(&s->db->lock);
    for (struct result *r = s->db->results; r; r = r->next)
        if (r->session == s) r->session = NULL;
    lock_give(&s->db->lock);
}

void result_orphan_all(struct lam_db *db)
{
    for (;;) {
        lock_take(&db->lock);
        struct result *r = db->results;
        if (r) atomic_fetch_add(&r->refs, 1); /* its consumer may release it meanwhile */
        if (r) cancel(r);                     /* wakes next, which holds the lock */
        lock_give(&db->lock);
        if (!r) return;
        detach(r);
        let_go(r);
    }
}
