/* Subscriptions in the process. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#include <unistd.h>

struct lam_sub {
    struct lam_sub *next;
    _Atomic int refs;  /* the subscriber's, and lam_close's while it is at it */
    pid_t pid;
    struct lam_db *db; /* NULL: closed under us */
    struct sub *sub;
    struct arena *arena;
    struct schema *schema;
    struct pool *pool; /* what exports convert into */
    unsigned flags;
    int64_t watermark;
    struct lock lock;  /* of db and sub: recv waits under it, so lam_close wakes recv first */
    struct lock tie;   /* of sub, for those who do not wait: cancel. Innermost */
};

static bool forked(const struct lam_sub *l) { return l->pid != getpid(); }

/* A filter is an expression and nothing else; its positions are those of its own text. */
static enum status plan_stream(struct lam_session *s, struct arena *a, const char *stream, const char *where, struct plan **out,
                               struct err *err)
{
    struct lam_db *db = s->db;
    struct stmt *st;
    size_t at = 0;
    struct text sql = {0};
    text_puts(&sql, "SELECT * FROM ");
    sql_print_name(stream, &sql);
    const char *query = arena_strndup(a, sql.p, sql.n);
    text_done(&sql);
    TRY(sql_parse(a, query, strlen(query), &at, &st, err));
    text_clear(&s->statement);
    text_clear(&s->before);
    if (where) {
        text_puts(&s->statement, where);
        TRY(sql_parse_expr(a, s->statement.p, s->statement.n, &st->select->where, err));
    }
    const struct object **uses;
    int nuses;
    struct catalog view = catalog_view(s);
    lock_take(&db->lock);
    enum status r = catalog_seen(s, stream) ? plan_select(a, &view, st->select, false, out, &uses, &nuses, err)
                                            : err_set(err, E_TABLE, "no source or stream \"%s\"", stream);
    lock_give(&db->lock);
    return r;
}

static enum status subscribe(struct lam_session *s, const char *stream, const struct lam_sub_config *cfg, struct lam_sub **out,
                             struct err *err)
{
    struct lam_db *db = s->db;
    AUTO(arena_free) struct arena *a = arena_new();
    struct plan *plan;
    if (cfg && cfg->size != sizeof *cfg)
        return err_set(err, E_CONFIG, "lam_sub_config.size is %zu, not sizeof(struct lam_sub_config)", cfg->size);
    TRY(plan_stream(s, a, stream, cfg ? cfg->where : NULL, &plan, err));
    TRY(session_apply(s, err));
    struct change *ch = change_new(db->runtime);
    struct sub *sub;
    change_sub(ch, plan, TAKE(a), ON_ERROR_SKIP, &sub);
    TRY(change_apply(ch, CONTROL_TIMEOUT_US, NULL, err));
    struct lam_sub *l = mem_zalloc(sizeof *l);
    lock_init(&l->lock);
    lock_init(&l->tie);
    l->refs = 1;
    l->pid = db->pid;
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
    *out = NULL;
    lock_take(&s->db->change);
    enum status st = subscribe(s, stream, cfg, out, &err);
    lock_give(&s->db->change);
    if (!st) return LAM_OK;
    s->errpos = err.pos == NO_POS ? -1 : (int64_t)err.pos;
    return session_fail(s, &err);
}

int lam_sub_schema(struct lam_sub *l, struct ArrowSchema *out)
{
    if (forked(l)) return LAM_MISUSE;
    cdata_schema(l->schema, l->flags, out);
    return LAM_OK;
}

static int receive(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us)
{
    struct batch *b = NULL;
    struct err err;
    if (forked(l)) return LAM_MISUSE;
    lock_take(&l->lock);
    enum status st = l->db ? sub_recv(l->sub, timeout_us, &b, &err) : err_set(&err, E_CLOSED, "the database was closed");
    if (l->db) l->watermark = sub_watermark(l->sub);
    lock_give(&l->lock);
    if (st == ST_DONE) return LAM_END;
    if (st == ST_WAIT) return timeout_us ? LAM_TIMEOUT : LAM_EMPTY;
    if (!st) {
        st = cdata_export(l->pool, b, l->schema, l->flags, out, &err);
        batch_unref(b);
    }
    return st ? thread_fail(&err) : LAM_OK;
}

int lam_poll(struct lam_sub *l, struct ArrowArray *out) { return receive(l, out, 0); }
int lam_recv(struct lam_sub *l, struct ArrowArray *out, int64_t timeout_us) { return receive(l, out, timeout_us); }
int64_t lam_sub_watermark(struct lam_sub *l) { return l->watermark; }

/* ---- ending ---------------------------------------------------------------------------------------------------------- */

static void let_go(struct lam_sub *l)
{
    if (atomic_fetch_sub(&l->refs, 1) > 1) return;
    pool_close(l->pool);
    arena_free(l->arena);
    lock_done(&l->tie);
    lock_done(&l->lock);
    mem_free(l);
}

void lam_sub_cancel(struct lam_sub *l)
{
    if (forked(l)) return;
    lock_take(&l->tie);
    if (l->sub) sub_cancel(l->sub);
    lock_give(&l->tie);
}

/* It leaves the list last: lam_close waits for what is in it. */
static void detach(struct lam_sub *l)
{
    lock_take(&l->lock);
    struct lam_db *db = TAKE(l->db);
    if (db) {
        lock_take(&l->tie);
        struct sub *sub = TAKE(l->sub);
        lock_give(&l->tie);
        sub_close(sub);
        lock_take(&db->lock);
        struct lam_sub **at = &db->subs;
        while (*at != l) at = &(*at)->next;
        *at = l->next;
        lock_give(&db->lock);
    }
    lock_give(&l->lock);
}

void subscription_orphan_all(struct lam_db *db)
{
    for (;;) {
        lock_take(&db->lock);
        struct lam_sub *l = db->subs;
        if (l) atomic_fetch_add(&l->refs, 1); /* the subscriber may close it meanwhile */
        lock_give(&db->lock);
        if (!l) return;
        lam_sub_cancel(l); /* wakes recv, which holds the lock */
        detach(l);
        let_go(l);
    }
}

void lam_sub_close(struct lam_sub *l)
{
    if (!l || forked(l)) return;
    detach(l);
    let_go(l);
}
