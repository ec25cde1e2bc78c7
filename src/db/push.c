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

struct parts {
    struct batch **batches;
    size_t n, cap;
};

static void parts_free(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++) batch_unref(p->batches[i]);
    mem_free(p->batches);
}

/* All of an array, checked and copied before any of it is taken. */
static enum status read_parts(struct lam_db *db, struct cdata *c, struct parts *out, struct err *err)
{
    for (;;) {
        struct batch *b;
        enum status st = cdata_read(c, db->batch_rows, &b, err);
        if (st == ST_DONE) return ST_OK;
        TRY(st);
        if (out->n == out->cap) {
            size_t cap = out->cap ? out->cap * 2 : 8;
            out->batches = mem_realloc(out->batches, out->n * sizeof(struct batch *), cap * sizeof(struct batch *));
            out->cap = cap;
        }
        out->batches[out->n++] = b;
    }
}

static enum status read_array(const struct target *t, const struct ArrowArray *array, const struct ArrowSchema *schema,
                              struct parts *out, struct err *err)
{
    struct cdata *c;
    lock_take(&t->db->push_lock);
    enum status st = cdata_open(t->db->push_pool, array, schema, t->source->schema, &c, err);
    if (!st) {
        st = read_parts(t->db, c, out, err);
        cdata_close(c);
    }
    lock_give(&t->db->push_lock);
    return st;
}

/* The first part may find no room in time; once it is in, the rest belongs to it. */
static enum status push_parts(const struct target *t, struct parts *p, int64_t timeout_us, struct err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        TRY(runtime_push(t->db->runtime, t->source->id, p->batches[i], i ? -1 : timeout_us, err));
        p->batches[i] = NULL;
    }
    return ST_OK;
}

int lam_push(struct lam_db *db, const char *source, struct ArrowArray *array, const struct ArrowSchema *schema, int64_t timeout_us)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    struct target t;
    struct parts parts = {0};
    enum status st = target_find(db, source, &t, &err);
    if (!st) st = read_array(&t, array, schema, &parts, &err);
    if (!st) st = push_parts(&t, &parts, timeout_us, &err);
    parts_free(&parts);
    if (!st && array->release) array->release(array);
    return target_done(&t, st, &err);
}

int lam_push_watermark(struct lam_db *db, const char *source, int64_t us)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    struct target t;
    enum status st = target_find(db, source, &t, &err);
    if (!st) st = runtime_push_watermark(db->runtime, t.source->id, us, &err);
    return target_done(&t, st, &err);
}

int lam_push_end(struct lam_db *db, const char *source)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    struct target t;
    enum status st = target_find(db, source, &t, &err);
    if (!st) st = runtime_push_end(db->runtime, t.source->id, &err);
    return target_done(&t, st, &err);
}
