/* Rows pushed by the program, and replays of recorded input. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#include <stdio.h>

/* The source of that name; what may be pushed to. The object stays valid while its reader runs. */
static enum status find_source(struct lam_db *db, const char *name, const struct object **out, struct err *err)
{
    lock_take(&db->lock);
    const struct object *o = catalog_find(db, name);
    lock_give(&db->lock);
    if (!o || o->kind != OBJECT_SOURCE) return err_set(err, E_TABLE, "no source \"%s\"", name);
    if (o->connector && !db->cfg.replay)
        return err_set(err, E_MISUSE, "source \"%s\" reads from %s and cannot be pushed to", name, o->connector->name);
    *out = o;
    return ST_OK;
}

static int code(enum status st) { return st == E_TIMEOUT ? LAM_TIMEOUT : (int)st; }

struct batches {
    struct batch **at;
    int n, cap;
};

static void drop(struct batches *b)
{
    for (int i = 0; i < b->n; i++) batch_unref(b->at[i]);
    mem_free(b->at);
}

/* The whole array as batches; the push lock is held, for they come from its pool. */
static enum status read_all(struct lam_db *db, const struct object *o, const struct ArrowArray *array,
                            const struct ArrowSchema *schema, struct batches *out, struct err *err)
{
    AUTO(cdata_close) struct cdata *c = NULL;
    TRY(cdata_open(db->push_pool, array, schema, o->schema, &c, err));
    for (;;) {
        struct batch *b;
        enum status st = cdata_read(c, db->batch_rows, &b, err);
        if (st) return st == ST_DONE ? ST_OK : st;
        if (out->n == out->cap) {
            int cap = out->cap ? out->cap * 2 : 4;
            out->at = mem_realloc(out->at, sizeof *out->at * (size_t)out->n, sizeof *out->at * (size_t)cap);
            out->cap = cap;
        }
        out->at[out->n++] = b;
    }
}

int lam_push(struct lam_db *db, const char *source, struct ArrowArray *array, const struct ArrowSchema *schema, int64_t timeout_us)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    const struct object *o = NULL;
    enum status st = find_source(db, source, &o, &err);
    if (st) return code(st);
    struct batches rows = {0};
    lock_take(&db->push_lock);
    st = read_all(db, o, array, schema, &rows, &err);
    lock_give(&db->push_lock);
    if (!st && rows.n) st = runtime_push(db->runtime, o->id, rows.at, rows.n, timeout_us, &err);
    if (st)
        drop(&rows);
    else
        mem_free(rows.at);
    if (!st && array->release) array->release(array);
    return code(st);
}

int lam_push_watermark(struct lam_db *db, const char *source, int64_t us)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    const struct object *o = NULL;
    enum status st = find_source(db, source, &o, &err);
    if (!st) st = runtime_push_watermark(db->runtime, o->id, us, &err);
    return code(st);
}

int lam_push_end(struct lam_db *db, const char *source)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    const struct object *o = NULL;
    enum status st = find_source(db, source, &o, &err);
    if (!st) st = runtime_push_end(db->runtime, o->id, &err);
    return code(st);
}
