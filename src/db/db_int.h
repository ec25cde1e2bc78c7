/* Inside db: databases, sessions, the catalog. Lock order: a subscription's or result's -> change -> lock -> the runtime's. SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_DB_INT_H
#define DB_DB_INT_H

#include "arrow/cdata.h"
#include "base/env.h"
#include "base/text.h"
#include "laminar.h"
#include "plan/plan.h"
#include "runtime/runtime.h"

#include <sys/types.h>

struct result; /* a SELECT's rows that are handed out */

struct lam_db {
    struct env *env;
    bool owns_env;
    struct account *account;
    struct runtime *runtime;
    struct lam_config cfg;
    uint32_t batch_rows;
    pid_t pid;            /* that opened it: a child of fork may not use it */
    struct lock change;   /* one statement is planned and applied at a time, so that what it found stays */
    struct lock lock;     /* of the catalog, sessions, results, subscriptions */
    struct entry *objects; /* newest first */
    struct entry *removed; /* from the catalog, but still looked at */
    uint64_t next_id;
    struct result *results;
    struct lam_sub *subs;
    struct lock push_lock; /* of push_pool: foreign arrays become batches under it */
    struct pool *push_pool;
    struct arena *arena;   /* of what follows */
    struct description *descriptions; /* of connectors and formats, as the planner sees them */
};

/* The catalog. */
struct entry {
    struct entry *next;
    struct object *object;
    struct lam_session *pending; /* made by this session's change, not applied yet; others do not see it */
    struct lam_session *dropped; /* by this session's change, not applied yet; others still see it */
    struct entry *replaces;      /* what it takes the place of when applied; then kept, `removed`, for plans still look at it */
    int holds;                   /* pushes under way */
    bool removed;                /* from the list; the last hold frees it */
};
const struct object *catalog_find(struct lam_db *db, const char *name);
const struct object *catalog_seen(struct lam_session *s, const char *name);
/* Keeps an object, dropped or not, until the release; these two take the lock themselves. */
struct entry *catalog_hold(struct lam_db *db, const char *name);
void catalog_release(struct lam_db *db, struct entry *e);
void catalog_add(struct lam_db *db, struct object *o, struct lam_session *pending);
void catalog_sweep(struct lam_db *db); /* frees what was removed and nothing looks at any more */
void catalog_remove(struct lam_db *db, const struct object *o); /* its object is freed when nothing looks at it any more */
struct catalog catalog_view(struct lam_session *s);
const char *catalog_name(const void *db, int i);
/* The first object that names o, as the session sees it; or NULL. */
const struct object *catalog_user(struct lam_session *s, const struct object *o);
struct entry *catalog_entry(struct lam_db *db, const struct object *o);
/* All that names `from` names `to`, which is like it, from now on. */
void catalog_repoint(struct lam_db *db, const struct object *from, const struct object *to);
/* What e is to take the place of, or NULL. */
struct entry *catalog_place(const struct entry *e);
void catalog_leave_place(struct entry *e); /* not any more */
void catalog_retire(struct lam_db *db, struct entry *e); /* off the list: it lives as long as who replaced it */

/* Connectors and formats as the planner sees them. */
const struct connector_info *registry_source(struct lam_db *db, const char *name);
const struct connector_info *registry_sink(struct lam_db *db, const char *name);
const struct format_info *registry_decoder(struct lam_db *db, const char *name);
const struct format_info *registry_encoder(struct lam_db *db, const char *name);
const char *registry_connector_name(const void *ctx, int i);

struct variable {
    struct variable *next;
    char *name, *value;
};

struct lam_session {
    struct lam_db *db;
    struct err err;
    char message[620];
    struct text detail;
    struct text statement;  /* the text err.pos counts in: while it runs, the statement with its variables put in */
    struct text before;     /* the script's text before it, for line numbers */
    int64_t errpos;         /* in the text the caller gave */
    struct variable *vars;
    _Atomic bool cancel;
    bool in_transaction;
    bool failed;            /* the transaction: nothing but its end is taken */
};

int session_fail(struct lam_session *s, const struct err *err);
/* For calls without a session: told by lam_errmsg(NULL) in the same thread. Gives the code of the public call. */
int thread_fail(const struct err *err);
/* Runs one statement's text. Rows go to out (release NULL: none). */
enum status session_statement(struct lam_session *s, const char *text, size_t n, struct ArrowArrayStream *out, struct err *err);
enum status session_apply(struct lam_session *s, struct err *err);
void session_undo(struct lam_session *s);

/* SHOW, DESCRIBE, EXPLAIN. */
enum status show_statement(struct lam_session *s, const struct stmt *st, const char *text, struct ArrowArrayStream *out, struct err *err);

/* A SELECT's rows. */
enum status result_select(struct lam_session *s, const struct ast_select *select, struct ArrowArrayStream *out, struct err *err);
void result_cancel(struct lam_session *s);    /* results of this session, database lock held */
void result_forget(struct lam_session *s);    /* the session goes, its results stay */
void result_orphan_all(struct lam_db *db);    /* lam_close: what is still out ends with an error */
void subscription_orphan_all(struct lam_db *db);

/* Small tables for SHOW: columns are declared, then cells put row by row. */
struct table;
struct table *table_new(void);
void table_column(struct table *t, const char *name, enum type_id type);
void table_text(struct table *t, const char *v); /* NULL: NULL */
void table_int(struct table *t, int64_t v);      /* BIGINT and TIMESTAMP */
void table_double(struct table *t, double v);
void table_bool(struct table *t, bool v);
void table_null(struct table *t);
void table_give(struct table *t, struct ArrowArrayStream *out); /* frees t */

#define CONTROL_TIMEOUT_US 10000000 /* DDL that waits for a blocked component gives up after this */
bool db_forked(const struct lam_db *db);

#endif
