/* Inside db: databases, sessions, the catalog. Lock order: session (one thread) -> catalog lock -> runtime's. SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_DB_INT_H
#define DB_DB_INT_H

#include "arrow/cdata.h"
#include "base/env.h"
#include "base/gate.h"
#include "base/text.h"
#include "laminar.h"
#include "plan/plan.h"
#include "runtime/runtime.h"

#include <sys/types.h>

/* lam_close ends what runs; the struct stays until the last session, subscription and result is closed. */
struct lam_db {
    struct env *env;
    struct account *account;
    struct runtime *runtime;
    struct lam_config cfg;
    uint32_t batch_rows;
    pid_t pid;            /* that opened it: a child of fork may not use it */
    _Atomic int refs;
    _Atomic int calls;    /* under way: lam_close waits for them */
    _Atomic bool closing;
    struct bell left;     /* rung by the last call to leave */
    struct lock ddl;      /* of statements: one at a time */
    struct lock lock;     /* of the catalog */
    struct entry *objects; /* newest first */
    struct entry *removed; /* from the catalog, but still looked at */
    uint64_t next_id;
    struct lock push_lock; /* of push_pool: foreign arrays become batches under it */
    struct pool *push_pool;
    struct arena *arena;   /* of what follows */
    struct description *descriptions; /* of connectors and formats, as the planner sees them */
};

/* The catalog. */
struct entry {
    struct entry *next;
    struct object *object;
    struct lam_session *pending; /* made by this session's change, not applied yet */
    int pins;                    /* callers that push to it */
};
const struct object *catalog_find(struct lam_db *db, const char *name);
void catalog_add(struct lam_db *db, struct object *o, struct lam_session *pending);
void catalog_remove(struct lam_db *db, const struct object *o); /* frees the object, when nothing looks at it any more */
void catalog_sweep(struct lam_db *db);                          /* frees what was removed and can be freed now */
/* The entry stays until it is unpinned; NULL: no such object. */
struct entry *catalog_pin(struct lam_db *db, const char *name);
void catalog_unpin(struct lam_db *db, struct entry *e);
struct catalog catalog_view(struct lam_db *db);
const char *catalog_name(const void *db, int i);
/* The first object that names o, or NULL. */
const struct object *catalog_user(struct lam_db *db, const struct object *o);

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
    struct text statement;  /* the text err.pos counts in: the statement with its variables put in */
    struct text before;     /* the script's text before it, for line numbers */
    int64_t errpos;         /* in the text the caller gave */
    struct variable *vars;
    _Atomic bool cancel;
    bool in_transaction;
};

int session_fail(struct lam_session *s, const struct err *err);
/* Runs one statement's text. Rows go to out (release NULL: none). */
enum status session_statement(struct lam_session *s, const char *text, size_t n, struct ArrowArrayStream *out, struct err *err);
enum status session_apply(struct lam_session *s, struct err *err);
void session_undo(struct lam_session *s);
void session_forget_vars(struct lam_session *s);

/* SHOW, DESCRIBE, EXPLAIN. */
enum status show_statement(struct lam_session *s, const struct stmt *st, const char *text, struct ArrowArrayStream *out, struct err *err);

/* A SELECT's rows. */
enum status result_select(struct lam_session *s, const struct ast_select *select, struct ArrowArrayStream *out, struct err *err);
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
/* Every call into the library enters: LAM_OK; or, not entered, LAM_MISUSE in a child of fork, E_CLOSED once lam_close has
 * begun. db_leave returns r, what the call has to say, or E_CLOSED when it gave up for being closed. */
int db_enter(struct lam_db *db);
int db_leave(struct lam_db *db, int r);
struct lam_db *db_ref(struct lam_db *db);
void db_unref(struct lam_db *db);

#endif
