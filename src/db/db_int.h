/* Inside db: databases, sessions, the catalog. Lock order: a subscription's or result's -> change -> lock -> the runtime's. SPDX-License-Identifier: Apache-2.0 */
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

struct survey_sub;
struct result; /* a SELECT's rows that are handed out */

/* Where arrays handed out take what they convert into. A thread keeps to one, so what it takes next is what it gave back last,
 * still in its cache, however many subscriptions it serves. */
struct exporter {
    struct lock lock;
    struct pool *pool;
};
#define EXPORTERS 8
struct exporter *exporter_take(struct lam_db *db); /* with its lock */

struct lam_db {
    struct env *env;
    bool owns_env;
    struct account *account;
    struct runtime *runtime;
    struct lam_config cfg;
    uint32_t batch_rows;
    int64_t opened_us;
    unsigned forks;       /* when it was opened: a child of fork may not use it */
    struct lock change;   /* one statement is planned and applied at a time, so that what it found stays */
    struct lock lock;     /* of the catalog, sessions, results, subscriptions */
    struct entry *objects; /* newest first */
    struct entry *removed; /* from the catalog, but still looked at */
    uint64_t next_id;
    struct result *results;
    struct lam_sub *subs;
    struct lock push_lock; /* of push_pool: foreign arrays become batches under it */
    struct pool *push_pool;
    struct exporter exporters[EXPORTERS];
    struct arena *arena;   /* of what follows */
    struct description *descriptions; /* of connectors and formats, as the planner sees them */
    const char *modules;   /* lam_config.modules, a copy */
    struct arena *module_arena;
    const struct module_file *module_files; /* those there were when a connector was not found; in that arena, or NULL */
};

/* The catalog. */
struct entry {
    struct entry *next;
    struct object *object;
    struct lam_session *pending; /* made by this session's change, not applied yet; others do not see it */
    struct lam_session *dropped; /* by this session's change, not applied yet; others still see it */
    bool discard;                /* DROP SINK ... DISCARD */
    struct entry *replaces;      /* what it takes the place of when applied; then kept, `removed`, for plans still look at it */
    int holds;                   /* pushes under way */
    bool removed;                /* from the list; the last hold frees it */
};
const struct object *catalog_find(struct lam_db *db, const char *name);
const struct object *catalog_by_id(struct lam_db *db, uint64_t id); /* 0: NULL */
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
/* LOAD; and for a connector that st names and nobody knows, the module of that name, if there is one. */
enum status registry_load(struct lam_db *db, const struct stmt *st, struct err *err);
enum status registry_find_missing(struct lam_db *db, const struct stmt *st, struct err *err);
struct table;
void registry_show(struct lam_db *db, struct table *t); /* SHOW CONNECTORS */

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

const char *object_kind_name(enum object_kind k); /* "source" */
enum status session_not_found(struct lam_db *db, const struct stmt *st, struct err *err);

/* ALTER and SET. */
enum status alter_statement(struct lam_session *s, const struct stmt *st, struct err *err);
enum status alter_stream(struct lam_session *s, const struct object *o, const struct stmt *st, struct err *err);
enum status set_statement(struct lam_session *s, const struct stmt *st, struct err *err);

/* SHOW, DESCRIBE, EXPLAIN. */
enum status show_statement(struct lam_session *s, const struct stmt *st, const char *text, struct ArrowArrayStream *out, struct err *err);

/* explain.c: the text of EXPLAIN, catalog locked. */
enum status explain_statement(struct lam_session *s, const struct stmt *st, const char *text, struct text *x, struct err *err);
/* With the names of streams. */
struct survey *explain_survey(struct lam_db *db);
/* What a subscription reads, below its own filter; NULL: it is a query. */
const struct object *explain_subscribed(struct lam_db *db, const struct survey_sub *x);
/* What EXPLAIN names. */
enum status explain_find(struct lam_db *db, const struct stmt *st, const struct object **out, struct err *err);

/* analyze.c: EXPLAIN ANALYZE, a result whose rows are its lines. */
struct analysis;
enum status analysis_time(const struct stmt *st, int64_t *out, struct err *err); /* of FOR */
struct analysis *analysis_of_stream(struct lam_db *db, const struct object *stream, int64_t for_us); /* catalog locked */
struct analysis *analysis_of_select(struct lam_db *db); /* before it runs; then what it reads */
void analysis_reads(struct analysis *a, struct sub *sub);
void analysis_free(struct analysis *a); /* before the sub; NULL is allowed */
const struct schema *analysis_schema(const struct analysis *a);
enum status analysis_next(struct analysis *a, struct batch **out, struct err *err);
void analysis_cancel(struct analysis *a); /* any thread; that of a SELECT is canceled with its sub */

/* A SELECT's rows. */
enum status result_select(struct lam_session *s, const struct ast_select *select, bool analyze, struct ArrowArrayStream *out,
                          struct err *err);
/* EXPLAIN ANALYZE STREAM. */
enum status result_analyze(struct lam_session *s, const struct stmt *st, struct ArrowArrayStream *out, struct err *err);
enum status result_subscribe(struct lam_session *s, const struct stmt *st, struct ArrowArrayStream *out, struct err *err);
void result_cancel(struct lam_session *s);    /* results of this session, database lock held */
void result_forget(struct lam_session *s);    /* the session goes, its results stay */
void result_orphan_all(struct lam_db *db);    /* lam_close: what is still out ends with an error */
bool subscription_orphan_all(struct lam_db *db, int64_t timeout_us); /* false: a callback did not come back */

/* A subscription as the program holds it: subscribe.c makes and ends it, receive.c takes its rows. */
struct lam_sub {
    struct lam_sub *next;
    _Atomic int refs; /* the subscriber's, lam_close's while it is at it, and the callback's until its last call */
    unsigned forks;
    const struct lam_db *home; /* for comparison */
    struct lam_db *db; /* NULL: closed under us */
    struct sub *sub;
    struct arena *arena;
    struct schema *schema;
    unsigned flags;
    int fd;            /* lam_sub_fd; -1 */
    int due;           /* what lam_poll_many met behind the rows it gave; 0 */
    _Atomic int64_t watermark, epoch;
    uint64_t gap_rows, gap_batches;
    struct sub_stats last; /* once sub is gone */
    void (*callback)(void *ctx, struct lam_sub *sub, int code, struct ArrowArray *rows);
    void *ctx;
    _Atomic bool closing, over; /* the callback is not to be called; it will never be again */
    bool closed_inside;         /* by its own callback */
    struct bell bell;           /* rung when it is over */
    struct lock lock;  /* of db and sub: recv waits under it, so lam_close wakes recv first */
    struct lock tie;   /* of sub, for those who do not wait: cancel. Innermost */
};
static inline bool subscription_forked(const struct lam_sub *l) { return l->forks != env_forks(); }
enum step subscription_deliver(void *lam_sub, bool stop); /* what sub_call calls */
bool subscription_inside(const struct lam_db *db);        /* this thread runs a callback of that database */
bool subscription_is_inside(const struct lam_sub *l);     /* its own */
void subscription_detach(struct lam_sub *l);
void subscription_let_go(struct lam_sub *l);
int subscription_refuse(struct lam_session *s); /* a call that waits for what the callback holds up: E_MISUSE */
/* A stream's rows after a WHERE (NULL: all). */
enum status subscription_plan(struct lam_session *s, struct arena *a, const char *stream, uint32_t pos, struct ast *where, struct plan **out,
                              struct err *err);
#define SUBSCRIPTION_POLICIES "block|drop_oldest|drop_newest|sample" /* in the order of enum sub_policy */
/* Only a stream that is appended to can lose rows and mean the same. */
enum status subscription_check(const char *stream, const struct plan *plan, const struct sub_config *c, bool resumes, struct err *err);
/* own: the plan's arena, taken in any case. after_epoch NULL: from now on. */
enum status subscription_open(struct lam_db *db, const struct plan *plan, struct arena *own, const struct sub_config *c,
                              const uint64_t *after_epoch, struct sub **out, struct err *err);

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
