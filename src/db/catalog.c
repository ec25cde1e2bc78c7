/* The catalog of one database. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

const struct object *catalog_find(struct lam_db *db, const char *name)
{
    for (struct entry *e = db->objects; e; e = e->next)
        if (!strcmp(e->object->name, name)) return e->object;
    return NULL;
}

void catalog_add(struct lam_db *db, struct object *o, struct lam_session *pending)
{
    struct entry *e = mem_zalloc(sizeof *e);
    o->id = ++db->next_id;
    e->object = o;
    e->pending = pending;
    e->next = db->objects;
    db->objects = e;
}

void catalog_sweep(struct lam_db *db)
{
    for (struct entry **at = &db->removed, *e; (e = *at);) {
        if (e->pins || (db->runtime && runtime_holds(db->runtime, e->object->id))) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        object_free(e->object);
        mem_free(e);
    }
}

void catalog_remove(struct lam_db *db, const struct object *o)
{
    struct entry **at = &db->objects, *e;
    while (*at && (*at)->object != o) at = &(*at)->next;
    if (!(e = *at)) return;
    *at = e->next;
    /* Behind those removed before: users are freed before what they use. */
    struct entry **last = &db->removed;
    while (*last) last = &(*last)->next;
    e->next = NULL;
    *last = e;
    catalog_sweep(db);
}

struct entry *catalog_pin(struct lam_db *db, const char *name)
{
    lock_take(&db->lock);
    struct entry *e = db->objects;
    while (e && strcmp(e->object->name, name)) e = e->next;
    if (e) e->pins++;
    lock_give(&db->lock);
    return e;
}

void catalog_unpin(struct lam_db *db, struct entry *e)
{
    lock_take(&db->lock);
    if (!--e->pins) catalog_sweep(db);
    lock_give(&db->lock);
}

const char *catalog_name(const void *ctx, int i)
{
    const struct lam_db *db = ctx;
    for (struct entry *e = db->objects; e; e = e->next)
        if (!i--) return e->object->name;
    return NULL;
}

const struct object *catalog_user(struct lam_db *db, const struct object *o)
{
    for (struct entry *e = db->objects; e; e = e->next)
        for (int i = 0; i < e->object->nuses; i++)
            if (e->object->uses[i] == o) return e->object;
    return NULL;
}

static const struct object *find(void *ctx, const char *name) { return catalog_find(ctx, name); }
static const struct connector_info *source(void *ctx, const char *name) { return registry_source(ctx, name); }
static const struct connector_info *sink(void *ctx, const char *name) { return registry_sink(ctx, name); }
static const struct format_info *format_in(void *ctx, const char *name) { return registry_decoder(ctx, name); }
static const struct format_info *format_out(void *ctx, const char *name) { return registry_encoder(ctx, name); }

struct catalog catalog_view(struct lam_db *db)
{
    return (struct catalog){find, catalog_name, source, sink, registry_connector_name, format_in, format_out, format_name, db};
}
