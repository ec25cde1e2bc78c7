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

static enum status next_batch(struct lam_db *db, struct cdata *c, struct batch **out, struct err *err)
{
    lock_take(&db->push_lock);
    enum status st = cdata_read(c, db->batch_rows, out, err);
    lock_give(&db->push_lock);
    return st;
}

static enum status push(struct lam_db *db, const struct object *o, struct cdata *c, int64_t timeout_us, struct err *err)
{
    for (bool first = true;; first = false) {
        struct batch *b;
        enum status st = next_batch(db, c, &b, err);
        if (st == ST_DONE) return ST_OK;
        TRY(st);
        /* The first part may find no room in time; once it is in, the rest belongs to it. */
        st = runtime_push(db->runtime, o->id, b, first ? timeout_us : -1, err);
        if (st) batch_unref(b);
        TRY(st);
    }
}

int lam_push(struct lam_db *db, const char *source, struct ArrowArray *array, const struct ArrowSchema *schema, int64_t timeout_us)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    const struct object *o = NULL;
    enum status st = find_source(db, source, &o, &err);
    if (st) return code(st);
    struct cdata *c;
    lock_take(&db->push_lock);
    st = cdata_open(db->push_pool, array, schema, o->schema, &c, &err);
    lock_give(&db->push_lock);
    if (st) return code(st);
    st = push(db, o, c, timeout_us, &err);
    lock_take(&db->push_lock);
    cdata_close(c);
    lock_give(&db->push_lock);
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
