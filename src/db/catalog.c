/* The catalog of one database. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

const struct object *catalog_by_id(struct lam_db *db, uint64_t id)
{
    for (struct entry *e = db->objects; e && id; e = e->next)
        if (e->object->id == id) return e->object;
    return NULL;
}

/* What is applied goes before what a change is about to put in its place. */
static struct entry *find_entry(struct lam_db *db, const char *name)
{
    struct entry *found = NULL;
    for (struct entry *e = db->objects; e; e = e->next)
        if (!strcmp(e->object->name, name) && (!found || !e->pending)) found = e;
    return found;
}

const struct object *catalog_find(struct lam_db *db, const char *name)
{
    struct entry *e = find_entry(db, name);
    return e ? e->object : NULL;
}

static bool seen_by(const struct entry *e, const struct lam_session *s)
{
    return (!e->pending || e->pending == s) && e->dropped != s;
}

const struct object *catalog_seen(struct lam_session *s, const char *name)
{
    for (struct entry *e = s->db->objects; e; e = e->next)
        if (seen_by(e, s) && !strcmp(e->object->name, name)) return e->object;
    return NULL;
}

static void entry_free(struct entry *e)
{
    if (e->replaces && e->replaces->removed) entry_free(e->replaces);
    object_free(e->object);
    mem_free(e);
}

struct entry *catalog_hold(struct lam_db *db, const char *name)
{
    lock_take(&db->lock);
    struct entry *e = find_entry(db, name);
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

static bool is_looked_at(struct lam_db *db, const struct entry *e)
{
    for (; e; e = e->replaces)
        if (e->holds || (db->runtime && runtime_holds(db->runtime, e->object->id))) return true;
    return false;
}

static void repoint_plan(struct plan *p, const struct object *from, const struct object *to)
{
    if (p->object == from) p->object = to;
    for (int i = 0; i < p->nin; i++) repoint_plan(p->in[i].node, from, to);
}

void catalog_repoint(struct lam_db *db, const struct object *from, const struct object *to)
{
    for (struct entry *e = db->objects; e; e = e->next) {
        const struct object *o = e->object;
        if (o == to) continue;
        for (int i = 0; i < o->nuses; i++)
            if (o->uses[i] == from) o->uses[i] = to;
        if (o->plan) repoint_plan(o->plan, from, to);
    }
}

struct entry *catalog_entry(struct lam_db *db, const struct object *o)
{
    struct entry *e = db->objects;
    while (e && e->object != o) e = e->next;
    return e;
}

struct entry *catalog_place(const struct entry *e)
{
    struct entry *x = e->replaces;
    while (x && x->removed) x = x->replaces;
    return x;
}

void catalog_retire(struct lam_db *db, struct entry *e)
{
    struct entry **at = &db->objects;
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    e->removed = true;
}

void catalog_leave_place(struct entry *e)
{
    while (e->replaces && e->replaces->removed) e = e->replaces;
    e->replaces = NULL;
}

void catalog_sweep(struct lam_db *db)
{
    for (struct entry **at = &db->removed, *e; (e = *at);) {
        if (is_looked_at(db, e)) {
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

const struct object *catalog_user(struct lam_session *s, const struct object *o)
{
    for (struct entry *e = s->db->objects; e; e = e->next)
        for (int i = 0; i < e->object->nuses && e->dropped != s; i++)
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
    return (struct catalog){find, name_seen, source, sink, registry_connector_name, format_in, format_out, format_name, s, s->db->cfg.spill_path};
}
