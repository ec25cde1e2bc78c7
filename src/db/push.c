/* Rows pushed by the program, and replays of recorded input. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#include <stdio.h>

/* The source of that name, pinned; what may be pushed to. */
static enum status find_source(struct lam_db *db, const char *name, struct entry **out, struct err *err)
{
    struct entry *e = catalog_pin(db, name);
    enum status st = ST_OK;
    if (!e || e->object->kind != OBJECT_SOURCE)
        st = err_set(err, E_TABLE, "no source \"%s\"", name);
    else if (e->object->connector && !db->cfg.replay)
        st = err_set(err, E_MISUSE, "source \"%s\" reads from %s and cannot be pushed to", name, e->object->connector->name);
    if (st && e) catalog_unpin(db, e);
    *out = e;
    return st;
}

static int code(enum status st) { return st == E_TIMEOUT ? LAM_TIMEOUT : (int)st; }

#define FEW 16

/* The rows of a push: all of them become batches before the first goes in, so it is all or nothing. */
struct parts {
    struct batch *few[FEW], **b;
    int n, cap;
};

static void put_part(struct parts *p, struct batch *b)
{
    if (p->n == p->cap) {
        struct batch **wide = mem_alloc(sizeof *wide * (size_t)p->cap * 2);
        memcpy(wide, p->b, sizeof *wide * (size_t)p->n);
        if (p->b != p->few) mem_free(p->b);
        p->b = wide;
        p->cap *= 2;
    }
    p->b[p->n++] = b;
}

static enum status read_parts(struct lam_db *db, const struct object *o, struct ArrowArray *array,
                              const struct ArrowSchema *schema, struct parts *p, struct err *err)
{
    struct cdata *c = NULL;
    lock_take(&db->push_lock);
    enum status st = cdata_open(db->push_pool, array, schema, o->schema, &c, err);
    while (!st) {
        struct batch *b;
        if (!(st = cdata_read(c, db->batch_rows, &b, err))) put_part(p, b);
    }
    if (st == ST_DONE) st = ST_OK;
    cdata_close(c);
    lock_give(&db->push_lock);
    return st;
}

static enum status push(struct lam_db *db, const struct object *o, struct ArrowArray *array, const struct ArrowSchema *schema,
                        int64_t timeout_us, struct err *err)
{
    struct parts p = {.cap = FEW};
    p.b = p.few;
    enum status st = read_parts(db, o, array, schema, &p, err);
    if (!st && p.n) st = runtime_push(db->runtime, o->id, p.b, p.n, timeout_us, err);
    for (int i = 0; st && i < p.n; i++) batch_unref(p.b[i]);
    if (p.b != p.few) mem_free(p.b);
    return st;
}

int lam_push(struct lam_db *db, const char *source, struct ArrowArray *array, const struct ArrowSchema *schema, int64_t timeout_us)
{
    int r = db_enter(db);
    if (r) return r;
    struct err err;
    struct entry *e;
    enum status st = find_source(db, source, &e, &err);
    if (st) return db_leave(db, code(st));
    st = push(db, e->object, array, schema, timeout_us, &err);
    catalog_unpin(db, e);
    if (!st && array->release) array->release(array);
    return db_leave(db, code(st));
}

int lam_push_watermark(struct lam_db *db, const char *source, int64_t us)
{
    int r = db_enter(db);
    if (r) return r;
    struct err err;
    struct entry *e;
    enum status st = find_source(db, source, &e, &err);
    if (st) return db_leave(db, code(st));
    st = runtime_push_watermark(db->runtime, e->object->id, us, &err);
    catalog_unpin(db, e);
    return db_leave(db, code(st));
}

int lam_push_end(struct lam_db *db, const char *source)
{
    int r = db_enter(db);
    if (r) return r;
    struct err err;
    struct entry *e;
    enum status st = find_source(db, source, &e, &err);
    if (st) return db_leave(db, code(st));
    st = runtime_push_end(db->runtime, e->object->id, &err);
    catalog_unpin(db, e);
    return db_leave(db, code(st));
}
