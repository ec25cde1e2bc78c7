/* A SELECT's rows, handed out as an Arrow stream. The stream may outlive its session and, ending with an error, its
 * database. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

struct result {
    struct lam_db *db;
    struct sub *sub; /* the runtime's once the database is closed */
};

static enum status next(void *ctx, struct batch **out, struct err *err)
{
    struct result *r = ctx;
    if (db_enter(r->db)) return err_set(err, E_CLOSED, "the database was closed");
    enum status st = sub_recv(r->sub, -1, out, err);
    db_leave(r->db, LAM_OK);
    if (st == E_CANCELED) return err_set(err, E_CLOSED, "the database was closed");
    return st == ST_WAIT ? err_set(err, E_INTERNAL, "the query waits for something that cannot come") : st;
}

static void close_result(void *ctx)
{
    struct result *r = ctx;
    if (!db_enter(r->db)) {
        sub_close(r->sub);
        db_leave(r->db, LAM_OK);
    }
    db_unref(r->db);
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
    r->db = db_ref(db);
    r->sub = sub;
    struct cdata_source from = {next, close_result, r};
    cdata_stream(sub_schema(sub), sub_changelog(sub) ? CDATA_WEIGHT : 0, from, out);
    return ST_OK;
}
