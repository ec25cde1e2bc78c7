/* Databases: opening, closing, waiting, stepping. SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include "db/db_int.h"

#include <stdio.h>

#define THREADS_MAX 256

bool db_forked(const struct lam_db *db) { return db->forks != env_forks(); }

const char *lam_version(void) { return "0.1.0"; }

static enum status read_on_error(const char *text, enum on_error *out, struct err *err)
{
    static const char *const names[] = {[ON_ERROR_SKIP] = "skip", [ON_ERROR_FAIL] = "fail", [ON_ERROR_NULL] = "null"};
    *out = ON_ERROR_SKIP;
    if (!text) return ST_OK;
    for (size_t i = 0; i < countof(names); i++)
        if (!strcmp(text, names[i])) return *out = (enum on_error)i, ST_OK;
    return err_set(err, E_CONFIG, "lam_config.on_error is \"%s\", not skip, fail or null", text);
}

/* What an older program does not know keeps its default. */
static enum status read_config(const struct lam_config *user, struct lam_config *cfg, enum on_error *on_error, struct err *err)
{
    *cfg = (struct lam_config){.size = sizeof *cfg, .threads = -1};
    if (user) {
        if (user->size > sizeof *cfg || user->size < offsetof(struct lam_config, memory_limit))
            return err_set(err, E_CONFIG, "lam_config.size is %zu, not sizeof(struct lam_config)", user->size);
        memcpy(cfg, user, user->size);
    }
    if (cfg->spill_bytes < 0) return err_set(err, E_CONFIG, "lam_config.spill_bytes is negative");
    TRY(read_on_error(cfg->on_error, on_error, err));
    if (cfg->batch_rows > BATCH_ROWS_MAX)
        return err_set(err, E_CONFIG, "lam_config.batch_rows is %u, more than %d", cfg->batch_rows, BATCH_ROWS_MAX);
    if (cfg->threads < -1 || cfg->threads > THREADS_MAX)
        return err_set(err, E_CONFIG, "lam_config.threads is %d, not within -1 and %d", cfg->threads, THREADS_MAX);
    return ST_OK;
}

static void free_db(struct lam_db *db)
{
    while (db->objects) catalog_remove(db, db->objects->object);
    catalog_sweep(db);
    pool_close(db->push_pool);
    for (int i = 0; i < EXPORTERS; i++) {
        pool_close(db->exporters[i].pool);
        lock_done(&db->exporters[i].lock);
    }
    if (db->module_arena) arena_free(db->module_arena);
    arena_free(db->arena);
    account_unref(db->account);
    lock_done(&db->change);
    lock_done(&db->lock);
    lock_done(&db->push_lock);
    mem_free(db);
}

static enum status open_db(const struct lam_config *user, const struct db_setup *setup, struct lam_db **out, struct err *err)
{
    struct lam_config cfg;
    enum on_error on_error = ON_ERROR_SKIP;
    TRY(read_config(user, &cfg, &on_error, err));
    struct lam_db *db = mem_zalloc(sizeof *db);
    db->cfg = cfg;
    db->env = setup->env;
    db->forks = env_forks();
    db->opened_us = env_now_us(db->env);
    db->arena = arena_new();
    if (cfg.modules) db->modules = arena_strdup(db->arena, cfg.modules);
    db->batch_rows = cfg.batch_rows ? cfg.batch_rows : BATCH_ROWS;
    lock_init(&db->change);
    lock_init(&db->lock);
    lock_init(&db->push_lock);
    db->push_pool = pool_new(NULL);
    for (int i = 0; i < EXPORTERS; i++) {
        lock_init(&db->exporters[i].lock);
        db->exporters[i].pool = pool_new(NULL);
    }
    db->account = account_new(NULL, cfg.memory_limit);
    struct run_config rc = {
        .env = db->env,
        .workers = setup->workers ? setup->workers : cfg.threads > 0 ? cfg.threads : 1,
        .threads = cfg.threads != 0,
        .shuffle = setup->shuffle,
        .batch_rows = db->batch_rows,
        .ring_slots = setup->ring_slots ? setup->ring_slots : 16,
        .ring_bytes = 4 << 20,
        .seed = cfg.seed ? cfg.seed : env_random(db->env),
        .eof_hold = cfg.eof_hold,
        .replay = cfg.replay,
        .on_error = on_error,
        .spill_path = cfg.spill_path ? arena_strdup(db->arena, cfg.spill_path) : NULL,
        .spill_bytes = cfg.spill_bytes ? cfg.spill_bytes : 1 << 30,
        .account = db->account,
        .log = cfg.log,
        .log_ctx = cfg.log_ctx,
    };
    expr_env_set(db->env);
    enum status st = runtime_new(&rc, &db->runtime, err);
    if (st)
        free_db(db);
    else
        *out = db;
    return st;
}

enum status db_open(const struct lam_config *cfg, const struct db_setup *setup, struct lam_db **out)
{
    struct err err;
    *out = NULL;
    enum status st = open_db(cfg, setup, out, &err);
    if (st) thread_fail(&err);
    return st;
}

struct runtime *db_runtime(struct lam_db *db) { return db->runtime; }
struct account *db_account(struct lam_db *db) { return db->account; }

int lam_open(const char *dir, const struct lam_config *cfg, struct lam_db **out)
{
    if (dir) {
        struct err err;
        *out = NULL;
        err_set(&err, E_UNSUPPORTED, "a database in a directory is not supported");
        err_hint(&err, "open it in memory: directory NULL");
        return thread_fail(&err);
    }
    struct db_setup setup = {.env = env_real()};
    return (int)db_open(cfg, &setup, out);
}

int lam_close(struct lam_db *db, int64_t timeout_us)
{
    if (!db) return LAM_OK;
    if (db_forked(db)) return LAM_MISUSE;
    if (subscription_inside(db)) return subscription_refuse(NULL);
    result_orphan_all(db);
    if (!subscription_orphan_all(db, timeout_us)) return LAM_TIMEOUT;
    if (!runtime_free(db->runtime, timeout_us)) return LAM_TIMEOUT; /* what hangs still uses the rest */
    db->runtime = NULL;
    free_db(db);
    return LAM_OK;
}

int lam_session_open(struct lam_db *db, struct lam_session **out)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct lam_session *s = mem_zalloc(sizeof *s);
    s->db = db;
    s->errpos = -1;
    *out = s;
    return LAM_OK;
}

void lam_session_close(struct lam_session *s)
{
    if (!s || db_forked(s->db)) return;
    lock_take(&s->db->change);
    session_undo(s);
    result_forget(s);
    lock_give(&s->db->change);
    while (s->vars) lam_set_var(s, s->vars->name, NULL);
    text_done(&s->detail);
    text_done(&s->statement);
    text_done(&s->before);
    mem_free(s);
}

int lam_wait(struct lam_db *db, struct lam_session *s, int64_t timeout_us)
{
    if (db_forked(db)) return LAM_MISUSE;
    if (subscription_inside(db)) return subscription_refuse(NULL);
    struct err err = {.pos = NO_POS};
    if (s) s->err.code = ST_OK;
    enum status st = runtime_wait_done(db->runtime, timeout_us, s ? &s->cancel : NULL, &err);
    if (st == E_TIMEOUT) return LAM_TIMEOUT;
    if (!st) return LAM_OK;
    if (!s) return thread_fail(&err);
    if (st == E_CANCELED) atomic_store(&s->cancel, false); /* one cancel, one wait */
    s->errpos = -1;
    err.pos = NO_POS;
    text_clear(&s->statement);
    text_clear(&s->before);
    return session_fail(s, &err);
}

int lam_step(struct lam_db *db, int64_t max_us)
{
    if (db_forked(db) || db->cfg.threads != 0 || subscription_inside(db)) return LAM_MISUSE;
    int64_t wake_us;
    return runtime_step(db->runtime, max_us, &wake_us) ? LAM_WORK : LAM_OK;
}

int64_t lam_next_us(struct lam_db *db)
{
    if (db_forked(db) || subscription_inside(db)) return -1;
    int64_t wake_us, now = env_now_us(db->env);
    if (runtime_step(db->runtime, 0, &wake_us)) return 0;
    return wake_us == INT64_MAX ? -1 : wake_us > now ? wake_us - now : 0;
}

int lam_fd(struct lam_db *db) { return db_forked(db) || subscription_inside(db) ? -1 : runtime_fd(db->runtime); }

int lam_drain(struct lam_db *db, int64_t timeout_us)
{
    if (db_forked(db)) return LAM_MISUSE;
    if (subscription_inside(db)) return subscription_refuse(NULL);
    struct err err;
    enum status st = runtime_drain(db->runtime, timeout_us, &err);
    return st ? thread_fail(&err) : LAM_OK;
}

int lam_set_memory(void *(*alloc)(void *ctx, size_t n, size_t align), void (*free_)(void *ctx, void *p), void *ctx)
{
    struct mem_hook hook = {alloc, free_, ctx};
    return (int)mem_hook_set(&hook);
}

void lam_free(void *p) { mem_free(p); }

uint64_t lam_memory_allocations(void) { return mem_alloc_count(); }
