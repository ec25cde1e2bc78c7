/* Databases: opening, closing, waiting, stepping. SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include "db/db_int.h"

#include <stdio.h>
#include <unistd.h>

static bool forked(const struct lam_db *db) { return db->pid != getpid(); }

int db_enter(struct lam_db *db)
{
    if (forked(db)) return LAM_MISUSE;
    atomic_fetch_add(&db->calls, 1);
    return atomic_load(&db->closing) ? db_leave(db, E_CLOSED) : LAM_OK;
}

int db_leave(struct lam_db *db, int r)
{
    if (atomic_load(&db->closing) && (r == LAM_TIMEOUT || r == LAM_CANCELED || r == E_NO_READER)) r = E_CLOSED;
    if (atomic_fetch_sub(&db->calls, 1) == 1) bell_ring(&db->left);
    return r;
}

struct lam_db *db_ref(struct lam_db *db)
{
    atomic_fetch_add(&db->refs, 1);
    return db;
}

void db_unref(struct lam_db *db)
{
    if (forked(db) || atomic_fetch_sub(&db->refs, 1) != 1) return;
    account_unref(db->account);
    lock_done(&db->ddl);
    lock_done(&db->lock);
    lock_done(&db->push_lock);
    mem_free(db);
}

const char *lam_version(void) { return "0.1.0"; }

static enum status read_on_error(const char *text, enum on_error *out)
{
    *out = ON_ERROR_SKIP;
    if (!text || !strcmp(text, "skip")) return ST_OK;
    *out = !strcmp(text, "fail") ? ON_ERROR_FAIL : ON_ERROR_NULL;
    return !strcmp(text, "fail") || !strcmp(text, "null") ? ST_OK : E_CONFIG;
}

/* What only a running database needs. */
static void dispose(struct lam_db *db)
{
    while (db->objects) catalog_remove(db, db->objects->object);
    catalog_sweep(db);
    pool_close(db->push_pool);
    arena_free(db->arena);
    db_unref(db);
}

enum status db_open(const struct lam_config *user, const struct db_setup *setup, struct lam_db **out)
{
    struct lam_config cfg = {.size = sizeof cfg, .threads = -1};
    if (user) {
        if (user->size > sizeof cfg || user->size < offsetof(struct lam_config, memory_limit)) return E_CONFIG;
        memcpy(&cfg, user, user->size);
    }
    enum on_error on_error;
    TRY(read_on_error(cfg.on_error, &on_error));
    if (cfg.batch_rows > BATCH_ROWS_MAX || cfg.threads > 256) return E_CONFIG;
    struct lam_db *db = mem_zalloc(sizeof *db);
    db->cfg = cfg;
    db->env = setup->env;
    db->pid = getpid();
    db->arena = arena_new();
    db->batch_rows = cfg.batch_rows ? cfg.batch_rows : BATCH_ROWS;
    atomic_store(&db->refs, 1);
    lock_init(&db->ddl);
    lock_init(&db->lock);
    lock_init(&db->push_lock);
    db->push_pool = pool_new(NULL);
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
        .account = db->account,
        .log = cfg.log,
        .log_ctx = cfg.log_ctx,
    };
    struct err err;
    enum status st = runtime_new(&rc, &db->runtime, &err);
    if (st) {
        dispose(db);
        return st;
    }
    *out = db;
    return ST_OK;
}

struct runtime *db_runtime(struct lam_db *db) { return db->runtime; }
struct account *db_account(struct lam_db *db) { return db->account; }

int lam_open(const char *dir, const struct lam_config *cfg, struct lam_db **out)
{
    if (dir) return E_UNSUPPORTED; /* refused by name until checkpoints exist */
    struct db_setup setup = {.env = env_real()};
    return (int)db_open(cfg, &setup, out);
}

static bool wait_for_calls(struct lam_db *db, int64_t timeout_us)
{
    int64_t until = timeout_us < 0 ? INT64_MAX : env_now_us(db->env) + timeout_us;
    for (;;) {
        uint32_t seen = bell_count(&db->left);
        if (!atomic_load(&db->calls)) return true;
        int64_t now = env_now_us(db->env);
        if (now >= until) return false;
        bell_wait(&db->left, seen, timeout_us < 0 ? -1 : until - now);
    }
}

int lam_close(struct lam_db *db, int64_t timeout_us)
{
    if (!db) return LAM_OK;
    if (forked(db)) return LAM_MISUSE;
    atomic_store(&db->closing, true);
    runtime_interrupt(db->runtime);
    int64_t begin = env_now_us(db->env);
    if (!wait_for_calls(db, timeout_us)) return LAM_TIMEOUT;
    int64_t spent = env_now_us(db->env) - begin;
    if (timeout_us >= 0) timeout_us = timeout_us > spent ? timeout_us - spent : 0;
    if (!runtime_free(db->runtime, timeout_us)) return LAM_TIMEOUT; /* what hangs still uses the rest */
    db->runtime = NULL;
    dispose(db);
    return LAM_OK;
}

int lam_session_open(struct lam_db *db, struct lam_session **out)
{
    int r = db_enter(db);
    if (r) return r;
    struct lam_session *s = mem_zalloc(sizeof *s);
    s->db = db_ref(db);
    s->errpos = -1;
    *out = s;
    return db_leave(db, LAM_OK);
}

void lam_session_close(struct lam_session *s)
{
    if (!s) return;
    if (!db_enter(s->db)) {
        lock_take(&s->db->ddl);
        session_undo(s);
        lock_give(&s->db->ddl);
        db_leave(s->db, LAM_OK);
    }
    session_forget_vars(s);
    text_done(&s->detail);
    text_done(&s->statement);
    text_done(&s->before);
    db_unref(s->db);
    mem_free(s);
}

int lam_wait(struct lam_db *db, struct lam_session *s, int64_t timeout_us)
{
    int r = db_enter(db);
    if (r) return r;
    struct err err = {.pos = NO_POS};
    if (s) s->err.code = ST_OK;
    enum status st = runtime_wait_done(db->runtime, timeout_us, s ? &s->cancel : NULL, &err);
    if (st == E_TIMEOUT) return db_leave(db, LAM_TIMEOUT);
    if (!st) return db_leave(db, LAM_OK);
    if (s) {
        s->errpos = -1;
        text_clear(&s->statement);
        text_clear(&s->before);
        session_fail(s, &err);
    }
    return db_leave(db, (int)st);
}

int lam_step(struct lam_db *db, int64_t max_us)
{
    int r = db_enter(db);
    if (r) return r;
    int64_t wake_us;
    if (db->cfg.threads != 0) return db_leave(db, LAM_MISUSE);
    return db_leave(db, runtime_step(db->runtime, max_us > 0 ? max_us : 1, &wake_us) ? LAM_WORK : LAM_OK);
}

int64_t lam_next_us(struct lam_db *db)
{
    if (db_enter(db)) return -1;
    int64_t wake_us, now = env_now_us(db->env);
    bool more = runtime_step(db->runtime, 0, &wake_us);
    db_leave(db, LAM_OK);
    if (more) return 0;
    return wake_us == INT64_MAX ? -1 : wake_us > now ? wake_us - now : 0;
}

int lam_fd(struct lam_db *db)
{
    if (db_enter(db)) return -1;
    int fd = runtime_fd(db->runtime);
    db_leave(db, LAM_OK);
    return fd;
}

int lam_drain(struct lam_db *db, int64_t timeout_us)
{
    int r = db_enter(db);
    if (r) return r;
    struct err err;
    enum status st = runtime_drain(db->runtime, timeout_us, &err);
    return db_leave(db, st == E_TIMEOUT ? LAM_TIMEOUT : (int)st);
}

int lam_set_memory(void *(*alloc)(void *ctx, size_t n, size_t align), void (*free_)(void *ctx, void *p), void *ctx)
{
    struct mem_hook hook = {alloc, free_, ctx};
    return (int)mem_hook_set(&hook);
}

uint64_t lam_memory_allocations(void) { return mem_alloc_count(); }
