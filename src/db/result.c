/* A SELECT's rows, handed out as an Arrow stream. The stream may outlive its session and, ending with an error, its
 * database. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

struct result {
    struct result *next;
    struct lam_db *db; /* NULL: closed under us */
    struct sub *sub;
    struct lock lock;  /* of db and sub: next runs under it, and lam_close takes it after waking next */
};

static void unlist(struct result *r)
{
    for (struct result **at = &r->db->results; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            return;
        }
}

static enum status next(void *ctx, struct batch **out, struct err *err)
{
    struct result *r = ctx;
    lock_take(&r->lock);
    enum status st = r->db ? sub_recv(r->sub, -1, out, err) : err_set(err, E_CLOSED, "the database was closed");
    lock_give(&r->lock);
    return st == ST_WAIT ? err_set(err, E_INTERNAL, "the query waits for something that cannot come") : st;
}

static void close_result(void *ctx)
{
    struct result *r = ctx;
    struct lam_db *db = r->db;
    if (db) {
        lock_take(&db->lock);
        unlist(r);
        lock_give(&db->lock);
        sub_close(r->sub);
    }
    lock_done(&r->lock);
    mem_free(r);
}

enum status result_select(struct lam_session *s, const struct ast_select *select, struct ArrowArrayStream *out, struct err *err)
{
    struct lam_db *db = s->db;
    AUTO(arena_free) struct arena *arena = arena_new();
    struct plan *plan;
    const struct object **uses;
    int nuses;
    struct catalog view = catalog_view(db);
    lock_take(&db->lock);
    enum status st = plan_select(arena, &view, select, true, &plan, &uses, &nuses, err);
    lock_give(&db->lock);
    TRY(st);
    TRY(session_apply(s, err));
    struct change *ch = change_new(db->runtime);
    struct sub *sub;
    change_sub(ch, plan, TAKE(arena), ON_ERROR_FAIL, &sub);
    TRY(change_apply(ch, CONTROL_TIMEOUT_US, err));
    struct result *r = mem_zalloc(sizeof *r);
    lock_init(&r->lock);
    r->db = db;
    r->sub = sub;
    lock_take(&db->lock);
    r->next = db->results;
    db->results = r;
    lock_give(&db->lock);
    struct cdata_source from = {next, close_result, r};
    cdata_stream(sub_schema(sub), sub_changelog(sub) ? CDATA_WEIGHT : 0, from, out);
    return ST_OK;
}

void result_orphan_all(struct lam_db *db)
{
    for (;;) {
        lock_take(&db->lock);
        struct result *r = db->results;
        if (r) unlist(r);
        lock_give(&db->lock);
        if (!r) return;
        sub_cancel(r->sub);
        lock_take(&r->lock);
        sub_close(r->sub);
        r->db = NULL;
        lock_give(&r->lock);
    }
}
