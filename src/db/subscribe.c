/* Subscriptions in the process. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

struct lam_sub {
    struct lam_db *db;
    struct sub *sub; /* the runtime's once the database is closed */
    struct arena *arena;
    struct schema *schema;
    struct pool *pool; /* what exports convert into */
    unsigned flags;
    int64_t watermark;
};

static enum status plan_stream(struct lam_session *s, struct arena *a, const char *stream, const char *where, struct plan **out,
                               struct err *err)
{
    struct text sql = {0};
    text_puts(&sql, "SELECT * FROM ");
    sql_print_name(stream, &sql);
    if (where) text_printf(&sql, " WHERE %s", where);
    text_clear(&s->statement);
    text_clear(&s->before);
    text_put(&s->statement, sql.p, sql.n);
    text_done(&sql);
    struct stmt *st;
    size_t at = 0;
    TRY(sql_parse(a, s->statement.p, s->statement.n, &at, &st, err));
    const struct object **uses;
    int nuses;
    struct catalog view = catalog_view(s->db);
    lock_take(&s->db->lock);
    enum status r = plan_select(a, &view, st->select, false, out, &uses, &nuses, err);
    lock_give(&s->db->lock);
    return r;
}

static enum status subscribe(struct lam_session *s, const char *stream, const struct lam_sub_config *cfg, struct lam_sub **out,
                             struct err *err)
{
    struct lam_db *db = s->db;
    AUTO(arena_free) struct arena *a = arena_new();
    struct plan *plan;
    TRY(plan_stream(s, a, stream, cfg ? cfg->where : NULL, &plan, err));
    TRY(session_apply(s, err));
    struct change *ch = change_new(db->runtime);
    struct sub *sub;
    change_sub(ch, plan, TAKE(a), ON_ERROR_SKIP, &sub);
    TRY(change_apply(ch, CONTROL_TIMEOUT_US, err));
    struct lam_sub *l = mem_zalloc(sizeof *l);
    l->db = db_ref(db);
    l->sub = sub;
    l->arena = arena_new();
    l->schema = schema_copy(l->arena, sub_schema(sub));
    l->pool = pool_new(NULL);
    l->flags = sub_changelog(sub) ? CDATA_WEIGHT : 0;
    l->watermark = TS_MIN;
    *out = l;
    return ST_OK;
}

int lam_subscribe(struct lam_session *s, const char *stream, const struct lam_sub_config *cfg, struct lam_sub **out)
{
    int r = db_enter(s->db);
    if (r) return r;
    struct err err = {.pos = NO_POS};
    s->err.code = ST_OK;
    s->errpos = -1;
    lock_take(&s->db->ddl);
    enum status st = subscribe(s, stream, cfg, out, &err);
    lock_give(&s->db->ddl);
    return db_leave(s->db, st ? session_fail(s, &err) : LAM_OK);
}

int lam_sub_schema(struct lam_sub *l, struct ArrowSchema *out)
{
    cdata_schema(l->schema, l->flags, out);
    return LAM_OK;
}

static int receive(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us)
{
    int r = db_enter(l->db);
    if (r) return r;
    struct batch *b = NULL;
    struct err err;
    enum status st = sub_recv(l->sub, timeout_us, &b, &err);
    l->watermark = sub_watermark(l->sub);
    if (st == ST_DONE) return db_leave(l->db, LAM_END);
    if (st == ST_WAIT) return db_leave(l->db, timeout_us ? LAM_TIMEOUT : LAM_EMPTY);
    if (st) return db_leave(l->db, (int)st);
    st = cdata_export(l->pool, b, l->schema, l->flags, out, &err);
    batch_unref(b);
    return db_leave(l->db, (int)st);
}

int lam_poll(struct lam_sub *l, struct ArrowArray *out) { return receive(l, out, 0); }
int lam_recv(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us) { return receive(l, out, timeout_us); }
int64_t lam_sub_watermark(struct lam_sub *l) { return l->watermark; }

void lam_sub_cancel(struct lam_sub *l)
{
    if (db_enter(l->db)) return;
    sub_cancel(l->sub);
    db_leave(l->db, LAM_OK);
}

void lam_sub_close(struct lam_sub *l)
{
    if (!l) return;
    if (!db_enter(l->db)) {
        sub_close(l->sub);
        db_leave(l->db, LAM_OK);
    }
    db_unref(l->db);
    pool_close(l->pool);
    arena_free(l->arena);
    mem_free(l);
}
