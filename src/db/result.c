/* A SELECT's rows, handed out as an Arrow stream. The stream may outlive its session and, ending with an error, its
 * database. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

struct result {
    struct result *next;
    _Atomic int refs;  /* the consumer's, and lam_close's while it is at it */
    unsigned forks;
    struct lam_db *db; /* NULL: closed under us */
    struct lam_session *session; /* whose lam_cancel reaches it; NULL: that has closed */
    struct sub *sub; /* taken away under the database's lock too */
    struct lock lock;  /* of db and sub: next runs under it, and lam_close takes it after waking next */
};

static void let_go(struct result *r)
{
    if (atomic_fetch_sub(&r->refs, 1) > 1) return;
    lock_done(&r->lock);
    mem_free(r);
}

static enum status next(void *ctx, struct batch **out, struct err *err)
{
    struct result *r = ctx;
    if (r->forks != env_forks()) return err_set(err, E_MISUSE, "a child of fork cannot read what its parent asked for");
    lock_take(&r->lock);
    enum status st = r->db ? sub_recv(r->sub, -1, out, err) : err_set(err, E_CLOSED, "the database was closed");
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
        lock_give(&db->lock);
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

enum status result_select(struct lam_session *s, const struct ast_select *select, struct ArrowArrayStream *out, struct err *err)
{
    struct lam_db *db = s->db;
    AUTO(arena_free) struct arena *arena = arena_new();
    struct plan *plan;
    const struct object **uses;
    int nuses;
    struct catalog view = catalog_view(s);
    lock_take(&db->lock);
    enum status st = plan_select(arena, &view, select, true, &plan, &uses, &nuses, err);
    lock_give(&db->lock);
    TRY(st);
    TRY(session_apply(s, err));
    struct change *ch = change_new(db->runtime);
    struct sub *sub;
    change_sub(ch, plan, TAKE(arena), ON_ERROR_FAIL, NULL, &sub);
    TRY(change_apply(ch, CONTROL_TIMEOUT_US, err));
    struct result *r = mem_zalloc(sizeof *r);
    lock_init(&r->lock);
    r->refs = 1;
    r->forks = db->forks;
    r->db = db;
    r->session = s;
    r->sub = sub;
    lock_take(&db->lock);
    r->next = db->results;
    db->results = r;
    lock_give(&db->lock);
    struct cdata_source from = {next, close_result, r};
    cdata_stream(sub_schema(sub), sub_changelog(sub) ? CDATA_WEIGHT : 0, from, out);
    return ST_OK;
}

void result_cancel(struct lam_session *s)
{
    for (struct result *r = s->db->results; r; r = r->next)
        if (r->session == s && r->sub) sub_cancel(r->sub);
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
        if (r && r->sub) sub_cancel(r->sub);  /* wakes next, which holds the lock */
        lock_give(&db->lock);
        if (!r) return;
        detach(r);
        let_go(r);
    }
}
