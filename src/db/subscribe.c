/* Subscriptions in the process: making and ending them. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

/* ---- what is asked for ----------------------------------------------------------------------------------------------- */

static const char *const policies[] = {[SUB_BLOCK] = "block", [SUB_DROP_OLDEST] = "drop_oldest", [SUB_DROP_NEWEST] = "drop_newest",
                                       [SUB_SAMPLE] = "sample", NULL};

static const char *nth_policy(const void *ctx, int i) { return ((const char *const *)ctx)[i]; }

static enum status read_policy(const char *name, enum sub_policy *out, struct err *err)
{
    *out = SUB_BLOCK;
    if (!name) return ST_OK;
    for (int i = 0; policies[i]; i++)
        if (!strcmp(name, policies[i])) return *out = (enum sub_policy)i, ST_OK;
    err_set(err, E_CONFIG, "there is no policy \"%.60s\" for a subscription", name);
    const char *near = text_nearest(name, nth_policy, policies);
    if (near)
        err_hint(err, "did you mean \"%s\"?", near);
    else
        err_hint(err, "there are block, drop_oldest, drop_newest and sample");
    return E_CONFIG;
}

enum status subscription_check(const char *stream, const struct plan *plan, const struct sub_config *c, bool resumes, struct err *err)
{
    if (c->policy == SUB_SAMPLE ? c->every < 2 : c->every) {
        err_set(err, E_CONFIG, c->every ? "the policy \"%s\" does not sample" : "the policy \"%s\" does not say one row of how many",
                policies[c->policy]);
        err_hint(err, c->every ? "take the policy \"sample\"" : "set sample_every (in SQL sample.every) to 2 or more");
        return E_CONFIG;
    }
    if (resumes && (c->policy != SUB_BLOCK || c->bytes)) {
        err_set(err, E_CONFIG, c->bytes ? "AS OF EPOCH has no buffer: what waits for the subscriber waits in the stream's history"
                                        : "AS OF EPOCH promises every row, so the policy \"%s\" does not go with it", policies[c->policy]);
        err_hint(err, c->bytes ? "leave out buffer_bytes (in SQL buffer.bytes)" : "use the policy \"block\"");
        return E_CONFIG;
    }
    if (c->bytes < 0) return err_set(err, E_CONFIG, "a buffer of %lld bytes cannot be", (long long)c->bytes);
    if (c->policy == SUB_BLOCK || plan->stream == STREAM_APPEND) return ST_OK;
    err_set(err, E_UNSUPPORTED, "\"%s\" takes rows back, so the policy \"%s\" would leave its subscriber with wrong rows", stream,
            policies[c->policy]);
    err_hint(err, "use the policy \"block\"");
    return E_UNSUPPORTED;
}

/* What an older program does not know keeps its default. */
static enum status read_config(const struct lam_sub_config *user, struct lam_sub_config *cfg, struct sub_config *out, struct err *err)
{
    *cfg = (struct lam_sub_config){.size = sizeof *cfg};
    if (user) {
        if (user->size > sizeof *cfg || user->size < offsetof(struct lam_sub_config, policy))
            return err_set(err, E_CONFIG, "lam_sub_config.size is %zu, not sizeof(struct lam_sub_config)", user->size);
        memcpy(cfg, user, user->size);
    }
    *out = (struct sub_config){.every = cfg->sample_every, .bytes = cfg->buffer_bytes, .calls = cfg->callback};
    return read_policy(cfg->policy, &out->policy, err);
}

enum status subscription_plan(struct lam_session *s, struct arena *a, const char *stream, uint32_t pos, struct ast *where, struct plan **out,
                              struct err *err)
{
    struct ast star = {.kind = AST_STAR, .pos = pos};
    struct ast_item item = {.expr = &star}, *items[] = {&item};
    struct ast_from from = {.kind = FROM_NAME, .pos = pos, .name = stream};
    struct ast_select select = {.pos = pos, .from = &from, .where = where};
    select.items.at = items, select.items.n = 1;
    const struct object **uses;
    int nuses;
    struct catalog view = catalog_view(s);
    lock_take(&s->db->lock);
    enum status st = catalog_seen(s, stream) ? plan_select(a, &view, &select, false, out, &uses, &nuses, err)
                                             : err_at(err, E_TABLE, pos, "no source or stream \"%s\"", stream);
    lock_give(&s->db->lock);
    return st;
}

/* A filter is an expression and nothing else; its positions are those of its own text. */
static enum status plan_filtered(struct lam_session *s, struct arena *a, const char *stream, const char *where, struct plan **out,
                                 struct err *err)
{
    struct ast *filter = NULL;
    text_clear(&s->statement);
    text_clear(&s->before);
    if (where) {
        text_puts(&s->statement, where);
        TRY(sql_parse_expr(a, s->statement.p, s->statement.n, &filter, err));
    }
    return subscription_plan(s, a, stream, NO_POS, filter, out, err);
}

/* ---- making ------------------------------------------------------------------------------------------------------------ */

static struct lam_sub *make(struct lam_db *db, struct sub *sub, const struct lam_sub_config *cfg)
{
    struct lam_sub *l = mem_zalloc(sizeof *l);
    lock_init(&l->lock);
    lock_init(&l->tie);
    l->refs = cfg->callback ? 2 : 1;
    l->forks = db->forks;
    l->home = l->db = db;
    l->sub = sub;
    l->arena = arena_new();
    l->schema = schema_copy(l->arena, sub_schema(sub));
    l->flags = sub_changelog(sub) ? CDATA_WEIGHT : 0;
    l->watermark = TS_MIN;
    l->epoch = (int64_t)sub_epoch(sub);
    l->fd = -1;
    l->callback = cfg->callback;
    l->ctx = cfg->ctx;
    lock_take(&db->lock);
    l->next = db->subs;
    db->subs = l;
    lock_give(&db->lock);
    return l;
}

enum status subscription_open(struct lam_db *db, const struct plan *plan, struct arena *own, const struct sub_config *c,
                              const uint64_t *after_epoch, struct sub **out, struct err *err)
{
    if (after_epoch) return sub_resume(db->runtime, plan, own, *after_epoch, c, CONTROL_TIMEOUT_US, out, err);
    struct change *ch = change_new(db->runtime);
    change_sub(ch, plan, own, ON_ERROR_SKIP, c, out);
    return change_apply(ch, CONTROL_TIMEOUT_US, NULL, err);
}

static enum status subscribe(struct lam_session *s, const char *stream, const struct lam_sub_config *user, struct lam_sub **out,
                             struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new();
    struct lam_sub_config cfg;
    struct sub_config sc;
    struct plan *plan;
    TRY(read_config(user, &cfg, &sc, err));
    TRY(plan_filtered(s, a, stream, cfg.where, &plan, err));
    TRY(subscription_check(stream, plan, &sc, cfg.after_epoch, err));
    TRY(session_apply(s, err));
    struct sub *sub;
    TRY(subscription_open(s->db, plan, TAKE(a), &sc, cfg.after_epoch ? &cfg.after_epoch : NULL, &sub, err));
    *out = make(s->db, sub, &cfg);
    if (cfg.callback) sub_call(sub, subscription_deliver, *out);
    return ST_OK;
}

int lam_subscribe(struct lam_session *s, const char *stream, const struct lam_sub_config *cfg, struct lam_sub **out)
{
    *out = NULL;
    if (db_forked(s->db)) return LAM_MISUSE;
    if (subscription_inside(s->db)) return subscription_refuse(s);
    struct err err = {.pos = NO_POS};
    s->err.code = ST_OK;
    lock_take(&s->db->change);
    enum status st = subscribe(s, stream, cfg, out, &err);
    lock_give(&s->db->change);
    if (!st) return LAM_OK;
    s->errpos = err.pos == NO_POS ? -1 : (int64_t)err.pos;
    return session_fail(s, &err);
}

/* ---- ending ------------------------------------------------------------------------------------------------------------ */

void subscription_let_go(struct lam_sub *l)
{
    if (atomic_fetch_sub(&l->refs, 1) > 1) return;
    arena_free(l->arena);
    gate_close_fd(l->fd);
    lock_done(&l->tie);
    lock_done(&l->lock);
    mem_free(l);
}

void lam_sub_cancel(struct lam_sub *l)
{
    if (subscription_forked(l)) return;
    lock_take(&l->tie);
    if (l->sub) sub_cancel(l->sub);
    lock_give(&l->tie);
}

/* It leaves the list last: lam_close waits for what is in it. */
void subscription_detach(struct lam_sub *l)
{
    lock_take(&l->lock);
    struct lam_db *db = TAKE(l->db);
    if (db) {
        lock_take(&l->tie);
        struct sub *sub = TAKE(l->sub);
        sub_stats(sub, &l->last);
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

static void stop_calls(struct lam_sub *l)
{
    atomic_store(&l->closing, true);
    lock_take(&l->tie);
    if (l->sub && l->callback) sub_stop_calls(l->sub);
    lock_give(&l->tie);
}

static bool is_over(void *ctx) { return atomic_load(&((struct lam_sub *)ctx)->over); }

/* Waits until the callback does not run and will not. Its own thread does not wait: it runs nothing else meanwhile. */
static bool end_calls(struct lam_sub *l, int64_t timeout_us)
{
    stop_calls(l);
    if (!l->callback || subscription_inside(l->home)) return true;
    lock_take(&l->lock); /* so that the database does not go while its driver is used */
    struct runtime *driver = l->db && l->db->cfg.threads == 0 ? l->db->runtime : NULL;
    if (!driver) lock_give(&l->lock);
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(env_real()) + timeout_us;
    for (;;) {
        uint32_t seen = bell_count(&l->bell);
        if (driver) runtime_wait_for(driver, is_over, l, timeout_us); /* unless another thread is in the call */
        int64_t now = env_now_us(env_real());
        if (is_over(l) || now >= until) break;
        bell_wait(&l->bell, seen, timeout_us < 0 ? -1 : until - now);
    }
    if (driver) lock_give(&l->lock);
    return is_over(l);
}

void lam_sub_close(struct lam_sub *l)
{
    if (!l || subscription_forked(l)) return;
    if (subscription_is_inside(l)) {
        l->closed_inside = true; /* the rest follows when the callback has returned */
        atomic_store(&l->closing, true);
        return;
    }
    end_calls(l, -1);
    subscription_detach(l);
    subscription_let_go(l);
}

/* The next one, kept; those without callbacks first, so that who waits in recv is woken before anything else may take time. */
static struct lam_sub *next_to_end(struct lam_db *db)
{
    struct lam_sub *l;
    lock_take(&db->lock);
    for (l = db->subs; l && l->callback; l = l->next) {}
    if (!l) l = db->subs;
    if (l) atomic_fetch_add(&l->refs, 1); /* the subscriber may close it meanwhile */
    lock_give(&db->lock);
    return l;
}

bool subscription_orphan_all(struct lam_db *db, int64_t timeout_us)
{
    bool all = true;
    for (struct lam_sub *l; all && (l = next_to_end(db)); subscription_let_go(l)) {
        if (l->callback)
            runtime_interrupt(db->runtime); /* what the callback waits for gives up */
        else
            lam_sub_cancel(l); /* wakes recv, which holds the lock */
        all = end_calls(l, timeout_us);
        if (all) subscription_detach(l);
    }
    return all;
}
