/* The catalog of one database. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

const struct object *catalog_by_id(struct lam_db *db, uint64_t id)
{
    for (struct entry *e = db->objects; e && id; e = e->next)
        if (e->object->id == id) return e->object;
    return NULL;
}

const struct object *catalog_find(struct lam_db *db, const char *name)
{
    for (struct entry *e = db->objects; e; e = e->next)
        if (!strcmp(e->object->name, name)) return e->object;
    return NULL;
}

static bool seen_by(const struct entry *e, const struct lam_session *s) { return !e->pending || e->pending == s; }

const struct object *catalog_seen(struct lam_session *s, const char *name)
{
    for (struct entry *e = s->db->objects; e; e = e->next)
        if (seen_by(e, s) && !strcmp(e->object->name, name)) return e->object;
    return NULL;
}

static void entry_free(struct entry *e)
{
    object_free(e->object);
    mem_free(e);
}

struct entry *catalog_hold(struct lam_db *db, const char *name)
{
    lock_take(&db->lock);
    struct entry *e = db->objects;
    while (e && strcmp(e->object->name, name) != 0) e = e->next;
    if (e) e->holds++;
    lock_give(&db->lock);
    return e;
}

void catalog_release(struct lam_db *db, struct entry *e)
{
    lock_take(&db->lock);
    if (!--e->holds && e->removed) catalog_sweep(db);
    lock_give(&db->lock);
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

void catalog_remove(struct lam_db *db, const struct object *o)
{
    for (struct entry **at = &db->objects; *at; at = &(*at)->next) {
        struct entry *e = *at;
        if (e->object != o) continue;
        *at = e->next;
        e->removed = true;
        /* Behind those removed before: users are freed before what they use. */
        struct entry **last = &db->removed;
        while (*last) last = &(*last)->next;
        e->next = NULL;
        *last = e;
        break;
    }
    catalog_sweep(db);
}

void catalog_sweep(struct lam_db *db)
{
    for (struct entry **at = &db->removed, *e; (e = *at);) {
        if (e->holds || (db->runtime && runtime_holds(db->runtime, e->object->id))) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        entry_free(e);
    }
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

static struct lam_db *db_of(void *session) { return ((struct lam_session *)session)->db; }
static const struct object *find(void *ctx, const char *name) { return catalog_seen(ctx, name); }
static const struct connector_info *source(void *ctx, const char *name) { return registry_source(db_of(ctx), name); }
static const struct connector_info *sink(void *ctx, const char *name) { return registry_sink(db_of(ctx), name); }
static const struct format_info *format_in(void *ctx, const char *name) { return registry_decoder(db_of(ctx), name); }
static const struct format_info *format_out(void *ctx, const char *name) { return registry_encoder(db_of(ctx), name); }

static const char *name_seen(const void *ctx, int i)
{
    const struct lam_session *s = ctx;
    for (struct entry *e = s->db->objects; e; e = e->next)
        if (seen_by(e, s) && !i--) return e->object->name;
    return NULL;
}

struct catalog catalog_view(struct lam_session *s)
{
    return (struct catalog){find, name_seen, source, sink, registry_connector_name, format_in, format_out, format_name, s};
}
