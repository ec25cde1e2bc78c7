/* Subscriptions in the process. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

struct lam_sub {
    struct lam_sub *next;
    struct lam_db *db; /* NULL: closed under us */
    struct sub *sub;
    struct arena *arena;
    struct schema *schema;
    struct pool *pool; /* what exports convert into */
    unsigned flags;
    int64_t watermark;
    struct lock lock;  /* of db and sub, against lam_close */
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
    lock_init(&l->lock);
    l->db = db;
    l->sub = sub;
    l->arena = arena_new();
    l->schema = schema_copy(l->arena, sub_schema(sub));
    l->pool = pool_new(NULL);
    l->flags = sub_changelog(sub) ? CDATA_WEIGHT : 0;
    l->watermark = TS_MIN;
    lock_take(&db->lock);
    l->next = db->subs;
    db->subs = l;
    lock_give(&db->lock);
    *out = l;
    return ST_OK;
}

int lam_subscribe(struct lam_session *s, const char *stream, const struct lam_sub_config *cfg, struct lam_sub **out)
{
    if (db_forked(s->db)) return LAM_MISUSE;
    struct err err = {.pos = NO_POS};
    s->err.code = ST_OK;
    enum status st = subscribe(s, stream, cfg, out, &err);
    if (!st) return LAM_OK;
    s->errpos = -1;
    return session_fail(s, &err);
}

int lam_sub_schema(struct lam_sub *l, struct ArrowSchema *out)
{
    cdata_schema(l->schema, l->flags, out);
    return LAM_OK;
}

static int receive(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us)
{
    struct batch *b = NULL;
    struct err err;
    lock_take(&l->lock);
    enum status st = l->db ? sub_recv(l->sub, timeout_us, &b, &err) : E_CLOSED;
    if (l->db) l->watermark = sub_watermark(l->sub);
    lock_give(&l->lock);
    if (st == ST_DONE) return LAM_END;
    if (st == ST_WAIT) return timeout_us ? LAM_TIMEOUT : LAM_EMPTY;
    if (st) return (int)st;
    st = cdata_export(l->pool, b, l->schema, l->flags, out, &err);
    batch_unref(b);
    return (int)st;
}

int lam_poll(struct lam_sub *l, struct ArrowArray *out) { return receive(l, out, 0); }
int lam_recv(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us) { return receive(l, out, timeout_us); }
int64_t lam_sub_watermark(struct lam_sub *l) { return l->watermark; }

static void unlist(struct lam_db *db, struct lam_sub *l)
{
    lock_take(&db->lock);
    for (struct lam_sub **at = &db->subs; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    lock_give(&db->lock);
}

void lam_sub_cancel(struct lam_sub *l)
{
    if (l->db) sub_cancel(l->sub);
}

void subscription_orphan(struct lam_sub *l)
{
    struct lam_db *db = l->db;
    unlist(db, l);
    sub_cancel(l->sub); /* wakes recv, which holds the lock */
    lock_take(&l->lock);
    sub_close(l->sub);
    l->db = NULL;
    lock_give(&l->lock);
}

void lam_sub_close(struct lam_sub *l)
{
    if (!l) return;
    if (l->db) {
        unlist(l->db, l);
        sub_close(l->sub);
    }
    pool_close(l->pool);
    arena_free(l->arena);
    lock_done(&l->lock);
    mem_free(l);
}
