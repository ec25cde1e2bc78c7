/* All objects of an operator instance: accounting, save and load, and `value`.
 *
 * Image, little endian:
 *     "LMST", u16 format, u64 check of the hash seed, u32 objects; for each: u8 kind, u16 length and bytes of its name,
 *     u32 version, u64 layout, u64 bytes that follow, its records (keyed.c, ordered.c; a value: its bytes)
 * Objects come in the order of declaration, so equal state gives equal images. Key groups depend on the seed, hence the
 * check. SPDX-License-Identifier: Apache-2.0 */
#include "state/state_int.h"

#define FORMAT 1
static const char magic[4] = "LMST";

struct state *state_new(struct account *account, uint64_t seed)
{
    struct state *s = mem_zalloc(sizeof *s);
    s->account = account;
    s->seed = seed;
    s->tail = &s->objects;
    return s;
}

void state_free(struct state *s)
{
    if (!s) return;
    for (struct state_object *o = s->objects, *next; o; o = next) {
        next = o->next;
        mem_free(o->name);
        o->class->free(o);
    }
    if (s->account) account_release(s->account, s->held);
    mem_free(s);
}

bool state_holds(const struct state *s)
{
    return s->objects;
}

int64_t state_bytes(const struct state *s)
{
    return s->used;
}

enum status state_reserve(struct state *s, int64_t n)
{
    int64_t want = s->used + n - s->held;
    if (want <= 0) return ST_OK;
    if (s->account) TRY(account_charge(s->account, want));
    s->held += want;
    return ST_OK;
}

void state_settle(struct state *s)
{
    int64_t over = s->held - s->used;
    if (s->account && over > 0) account_release(s->account, over);
    if (s->account && over < 0) account_force(s->account, -over);
    s->held = s->used;
}

enum status state__add(struct state *s, struct state_object *o, const struct object_class *class, const char *name,
                       uint32_t version, uint64_t layout, struct err *err)
{
    for (const struct state_object *x = s->objects; x; x = x->next)
        if (!strcmp(x->name, name)) return err_set(err, E_INTERNAL, "state '%s' is declared twice", name);
    *o = (struct state_object){class, s, NULL, mem_strdup(name), version, layout};
    *s->tail = o;
    s->tail = &o->next;
    return ST_OK;
}

/* ---- value ------------------------------------------------------------------------------------------ */

struct value_object {
    struct state_object object;
    uint32_t size;
    void (*merge)(void *into, const void *from);
    _Alignas(16) char data[];
};

static void value_save(const struct state_object *o, struct text *out)
{
    const struct value_object *v = container_of(o, const struct value_object, object);
    text_put(out, v->data, v->size);
}

static bool value_load(struct state_object *o, struct reader *r, int lo, int hi)
{
    (void)lo, (void)hi;
    struct value_object *v = container_of(o, struct value_object, object);
    void *from = mem_alloc(v->size);
    reader_copy(r, from, v->size);
    bool good = !r->bad && r->p == r->end;
    if (good) v->merge(v->data, from);
    mem_free(from);
    return good;
}

static void value_free(struct state_object *o)
{
    mem_free(container_of(o, struct value_object, object));
}

static const struct object_class value_class = {3, value_save, value_load, value_free};

enum status value_new(struct state *s, const char *name, uint32_t size, void (*merge)(void *into, const void *from),
                      void **out, struct err *err)
{
    struct value_object *v = mem_zalloc(sizeof *v + size);
    v->size = size;
    v->merge = merge;
    enum status st = state__add(s, &v->object, &value_class, name, 0, size, err);
    if (st) {
        mem_free(v);
        return st;
    }
    s->used += (int64_t)(sizeof *v + size);
    *out = v->data;
    return ST_OK;
}

/* ---- image ------------------------------------------------------------------------------------------- */

static uint64_t seed_check(const struct state *s)
{
    return bytes_hash(&s->seed, sizeof s->seed);
}

void state_save(struct state *s, struct text *out)
{
    uint32_t n = 0;
    for (const struct state_object *o = s->objects; o; o = o->next) n++;
    text_put(out, magic, sizeof magic);
    PUT(out, uint16_t, FORMAT);
    PUT(out, uint64_t, seed_check(s));
    PUT(out, uint32_t, n);
    for (const struct state_object *o = s->objects; o; o = o->next) {
        PUT(out, uint8_t, o->class->kind);
        PUT(out, uint16_t, strlen(o->name));
        text_put(out, o->name, strlen(o->name));
        PUT(out, uint32_t, o->version);
        PUT(out, uint64_t, o->layout);
        size_t at = out->n;
        PUT(out, uint64_t, 0);
        o->class->save(o, out);
        uint64_t size = out->n - at - 8;
        memcpy(out->p + at, &size, 8);
    }
}

static enum status damaged(struct err *err, const char *what)
{
    return err_set(err, E_STATE_LOAD, "the saved state is damaged: %s", what);
}

static enum status load_head(const struct state *s, struct reader *r, uint32_t *objects, struct err *err)
{
    const char *p = reader_bytes(r, sizeof magic);
    if (!p || memcmp(p, magic, sizeof magic) != 0) return damaged(err, "it does not begin as one");
    uint32_t format = reader_u16(r);
    if (!r->bad && format != FORMAT)
        return err_set(err, E_STATE_LOAD, "the saved state has format %u, this version reads %d", format, FORMAT);
    uint64_t check = reader_u64(r);
    *objects = reader_u32(r);
    if (r->bad) return damaged(err, "its head is cut short");
    if (check != seed_check(s)) return err_set(err, E_STATE_LOAD, "the saved state belongs to another database");
    return ST_OK;
}

static enum status load_object(struct state_object *o, struct reader *r, int lo, int hi, struct err *err)
{
    uint8_t kind = reader_u8(r);
    uint32_t name_n = reader_u16(r);
    const char *name = reader_bytes(r, name_n);
    uint32_t version = reader_u32(r);
    uint64_t layout = reader_u64(r), size = reader_u64(r);
    const char *body = size <= SIZE_MAX ? reader_bytes(r, size) : NULL;
    if (!body || !name) return damaged(err, "a part of it is missing");
    if (strlen(o->name) != name_n || memcmp(o->name, name, name_n) != 0 || kind != o->class->kind)
        return err_set(err, E_STATE_LOAD, "'%s' is kept where the saved state has '%.*s'", o->name, (int)name_n, name);
    if (version != o->version || layout != o->layout)
        return err_set(err, E_STATE_LOAD, "'%s' has another layout in the saved state (version %u, now %u)", o->name,
                       version, o->version);
    struct reader in = {.p = body, .end = body + size};
    if (!o->class->load(o, &in, lo, hi)) return damaged(err, o->name);
    return ST_OK;
}

enum status state_load(struct state *s, const char *p, size_t n, int group_lo, int group_hi, struct err *err)
{
    struct reader r = {.p = p, .end = p + n};
    uint32_t objects = 0, declared = 0;
    TRY(load_head(s, &r, &objects, err));
    for (const struct state_object *o = s->objects; o; o = o->next) declared++;
    if (objects != declared)
        return err_set(err, E_STATE_LOAD, "the saved state has %u parts, the query keeps %u", objects, declared);
    for (struct state_object *o = s->objects; o; o = o->next) TRY(load_object(o, &r, group_lo, group_hi, err));
    if (r.p != r.end) return damaged(err, "something follows its end");
    state_settle(s);
    return ST_OK;
}
