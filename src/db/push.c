/* Rows pushed by the program, and replays of recorded input. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#include <stdio.h>

/* What rows go to: kept while the call lasts, so that a DROP meanwhile takes nothing away under it. */
struct target {
    struct lam_db *db;
    struct entry *entry;
    const struct object *source;
};

static enum status target_find(struct lam_db *db, const char *name, struct target *out, struct err *err)
{
    *out = (struct target){db, catalog_hold(db, name), NULL};
    const struct object *o = out->entry ? out->entry->object : NULL;
    if (!o || o->kind != OBJECT_SOURCE) return err_set(err, E_TABLE, "no source \"%s\"", name);
    if (o->connector && !db->cfg.replay)
        return err_set(err, E_MISUSE, "source \"%s\" reads from %s and cannot be pushed to", name, o->connector->name);
    out->source = o;
    return ST_OK;
}

/* Ends a call: the code its caller gets. */
static int target_done(struct target *t, enum status st, const struct err *err)
{
    if (t->entry) catalog_release(t->db, t->entry);
    return st ? thread_fail(err) : LAM_OK;
}

/* Nothing reads it since another source has taken its name: then that one is meant. */
static bool target_again(struct target *t, const char *name, enum status st, struct err *err)
{
    if (st != E_NO_READER) return false;
    lock_take(&t->db->lock);
    bool replaced = t->entry->removed && catalog_find(t->db, name);
    lock_give(&t->db->lock);
    if (!replaced) return false;
    catalog_release(t->db, t->entry);
    return !target_find(t->db, name, t, err);
}

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
    struct target t;
    struct batches rows = {0};
    enum status st = target_find(db, source, &t, &err);
    if (!st) {
        lock_take(&db->push_lock);
        st = read_all(db, t.source, array, schema, &rows, &err);
        lock_give(&db->push_lock);
    }
    if (!st && rows.n) do
            st = runtime_push(db->runtime, t.source->id, rows.at, rows.n, timeout_us, &err);
        while (target_again(&t, source, st, &err));
    if (st)
        drop(&rows);
    else
        mem_free(rows.at);
    if (!st && array->release) array->release(array);
    return target_done(&t, st, &err);
}

int lam_push_watermark(struct lam_db *db, const char *source, int64_t us)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    struct target t;
    enum status st = target_find(db, source, &t, &err);
    if (!st) do
            st = runtime_push_watermark(db->runtime, t.source->id, us, &err);
        while (target_again(&t, source, st, &err));
    return target_done(&t, st, &err);
}

int lam_push_end(struct lam_db *db, const char *source)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    struct target t;
    enum status st = target_find(db, source, &t, &err);
    if (!st) do
            st = runtime_push_end(db->runtime, t.source->id, &err);
        while (target_again(&t, source, st, &err));
    return target_done(&t, st, &err);
}
