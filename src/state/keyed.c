/* keyed: slices in the order of their ids, and their image.
 *
 * Image of a keyed, after the object's head (see state.c):
 *     u32 slices; for each: i64 id, u32 records; for each: u32 bytes that follow, u8 group, u16 null mask,
 *     key columns that are not NULL (8 or 16 bytes, text: u32 length and bytes), value fields in declared order (raw
 *     bytes; text: u32 length and bytes)
 * Records come in insertion order; empty slices are left out. SPDX-License-Identifier: Apache-2.0 */
#include "state/state_int.h"

static void keyed_save(const struct state_object *o, struct text *out);
static bool keyed_load(struct state_object *o, struct reader *r, int lo, int hi);
static void keyed_free(struct state_object *o);
static const struct object_class keyed_class = {1, keyed_save, keyed_load, keyed_free};

static uint8_t kind_of(struct type t)
{
    if (type_is_text(t)) return KEY_TEXT;
    if (t.id == T_INTERVAL) return KEY_SPAN;
    return type_width(t) == 16 ? KEY_WIDE : KEY_WORD;
}

static struct type canonical_of(struct type t)
{
    if (t.id == T_NULL || t.id == T_BOOL || type_is_integer(t) || t.id == T_DATE) return TYPE(T_INT64);
    if (t.id == T_FLOAT) return TYPE(T_DOUBLE);
    return t;
}

static uint64_t layout_hash(const struct keyed_decl *d)
{
    struct text t = {0};
    PUT(&t, uint32_t, d->nkeys);
    PUT(&t, uint32_t, d->nextra);
    for (int i = 0; i < d->nkeys; i++) {
        PUT(&t, uint8_t, d->keys[i].id);
        PUT(&t, uint8_t, d->keys[i].scale);
    }
    PUT(&t, uint32_t, d->value.size);
    for (int i = 0; i < d->value.n; i++) {
        PUT(&t, uint32_t, d->value.fields[i].offset);
        PUT(&t, uint32_t, d->value.fields[i].size);
        PUT(&t, uint8_t, d->value.fields[i].kind);
    }
    uint64_t h = bytes_hash(t.p, t.n);
    text_done(&t);
    return h;
}

enum status keyed_new(struct state *s, const struct keyed_decl *d, struct keyed **out, struct err *err)
{
    if (d->nkeys > (int)countof(d->keys))
        return err_set(err, E_LIMIT, "%d grouping keys are too many, %zu are possible", d->nkeys, countof(d->keys));
    INVARIANT(d->value.size % 8 == 0 && d->nextra <= d->nkeys);
    struct keyed *k = mem_zalloc(sizeof *k);
    k->decl = *d;
    for (int i = 0; i < d->nkeys; i++) {
        k->cols[i] = (struct keycol){kind_of(d->keys[i]), k->key_size, d->keys[i]};
        k->canonical[i] = canonical_of(d->keys[i]);
        k->key_size += k->cols[i].kind == KEY_WORD ? 8 : 16;
        k->has_text |= k->cols[i].kind == KEY_TEXT;
    }
    k->entry_size = (uint32_t)sizeof(struct entry) + k->key_size + d->value.size;
    enum status st = state__add(s, &k->object, &keyed_class, d->name, d->version, layout_hash(d), err);
    if (st) {
        mem_free(k);
        return st;
    }
    *out = k;
    return ST_OK;
}

static void keyed_free(struct state_object *o)
{
    struct keyed *k = container_of(o, struct keyed, object);
    for (size_t i = 0; i < k->n; i++) slice__free(k->slices[k->first + i]);
    slice__free(k->spare);
    mem_free(k->slices);
    mem_free(k->packed);
    mem_free(k->nulls);
    mem_free(k);
}

/* ---- slices ----------------------------------------------------------------------------------------- */

/* Of the slices, the first whose id is >= id. */
static size_t position(const struct keyed *k, int64_t id)
{
    size_t lo = 0, hi = k->n;
    if (hi && k->slices[k->first + hi - 1]->id < id) return hi;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (k->slices[k->first + mid]->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void make_room(struct keyed *k)
{
    if (k->first + k->n < k->cap) return;
    if (k->first * 2 > k->cap) {
        memmove(k->slices, k->slices + k->first, k->n * sizeof(struct slice *));
    } else {
        size_t cap = k->cap ? k->cap * 2 : 8;
        struct slice **now = mem_alloc(cap * sizeof(struct slice *));
        if (k->n) memcpy(now, k->slices + k->first, k->n * sizeof(struct slice *));
        mem_free(k->slices);
        k->slices = now;
        k->object.state->used += (int64_t)((cap - k->cap) * sizeof(struct slice *));
        k->cap = cap;
    }
    k->first = 0;
}

static struct slice *slice_make(struct keyed *k, int64_t id)
{
    if (!k->spare) return slice__new(k, id);
    struct slice *s = TAKE(k->spare);
    slice__reset(s, id);
    return s;
}

struct slice *keyed_slice(struct keyed *k, int64_t id, bool create)
{
    if (k->last && k->last->id == id) return k->last;
    size_t i = position(k, id);
    if (i < k->n && k->slices[k->first + i]->id == id) return k->last = k->slices[k->first + i];
    if (!create) return NULL;
    make_room(k);
    struct slice **at = k->slices + k->first + i;
    memmove(at + 1, at, (k->n - i) * sizeof *at);
    k->n++;
    return k->last = *at = slice_make(k, id);
}

struct slice *keyed_first(struct keyed *k)
{
    return k->n ? k->slices[k->first] : NULL;
}

struct slice *slice_next(struct keyed *k, struct slice *s)
{
    size_t i = position(k, s->id) + 1;
    return i < k->n ? k->slices[k->first + i] : NULL;
}

/* A dropped table of modest size is kept for the next window, which will need as much. */
#define SPARE_MAX (1 << 20)

void slice_drop(struct keyed *k, struct slice *s)
{
    size_t i = position(k, s->id);
    INVARIANT(i < k->n && k->slices[k->first + i] == s);
    struct slice **at = k->slices + k->first;
    if (i == 0)
        k->first++;
    else
        memmove(at + i, at + i + 1, (k->n - i - 1) * sizeof *at);
    k->n--;
    k->last = NULL;
    if (!k->spare && s->bytes <= SPARE_MAX) {
        k->spare = s;
        slice__reset(s, 0);
    } else {
        slice__free(s);
    }
}

/* ---- image ----------------------------------------------------------------------------------------- */

static void put_text(struct text *out, const struct str *v)
{
    PUT(out, uint32_t, v->n);
    text_put(out, str_ptr(v), v->n);
}

static void put_entry(const struct slice *s, const struct entry *e, struct text *out)
{
    const struct keyed *k = s->keyed;
    const char *value = e->key + k->key_size;
    size_t at = out->n;
    PUT(out, uint32_t, 0);
    PUT(out, uint8_t, e->group);
    PUT(out, uint16_t, e->nulls);
    for (int c = 0; c < k->decl.nkeys; c++) {
        const char *key = e->key + k->cols[c].offset;
        if (e->nulls >> c & 1) continue;
        if (k->cols[c].kind == KEY_TEXT)
            put_text(out, (const struct str *)key);
        else
            text_put(out, key, k->cols[c].kind == KEY_WORD ? 8 : 16);
    }
    for (int f = 0; f < k->decl.value.n; f++) {
        const struct layout_field *field = &k->decl.value.fields[f];
        if (field->kind == LAYOUT_TEXT)
            put_text(out, (const struct str *)(value + field->offset));
        else
            text_put(out, value + field->offset, field->size);
    }
    uint32_t n = (uint32_t)(out->n - at - 4);
    memcpy(out->p + at, &n, 4);
}

static void keyed_save(const struct state_object *o, struct text *out)
{
    const struct keyed *k = container_of(o, const struct keyed, object);
    uint32_t slices = 0;
    for (size_t i = 0; i < k->n; i++) slices += k->slices[k->first + i]->count > 0;
    PUT(out, uint32_t, slices);
    for (size_t i = 0; i < k->n; i++) {
        const struct slice *s = k->slices[k->first + i];
        if (!s->count) continue;
        PUT(out, int64_t, s->id);
        PUT(out, uint32_t, s->count);
        for (uint32_t ref = SLICE_FIRST; ref < s->next; ref++) {
            const struct entry *e = slice__entry(s, ref);
            if (e->live) put_entry(s, e, out);
        }
    }
}

static struct str get_text(struct reader *r)
{
    uint32_t n = reader_u32(r);
    const char *p = reader_bytes(r, n);
    return p ? str_view(p, n) : (struct str){0};
}

/* Reads the key columns into `key` and hashes them the way their columns were. */
static uint64_t get_key(const struct keyed *k, struct reader *r, uint16_t nulls, char *key)
{
    static uint64_t none[1]; /* a bitmap of one NULL */
    struct column cols[countof(k->decl.keys)];
    uint64_t hash;
    for (int c = 0; c < k->decl.nkeys; c++) {
        char *to = key + k->cols[c].offset;
        bool is_null = nulls >> c & 1;
        cols[c] = (struct column){to, is_null ? none : NULL};
        memset(to, 0, k->cols[c].kind == KEY_WORD ? 8 : 16);
        if (is_null) continue;
        if (k->cols[c].kind == KEY_TEXT) {
            struct str v = get_text(r);
            memcpy(to, &v, sizeof v);
        } else {
            reader_copy(r, to, k->cols[c].kind == KEY_WORD ? 8 : 16);
        }
        if (k->canonical[c].id == T_DOUBLE) {
            double d;
            memcpy(&d, to, 8);
            uint64_t v = double_canonical(d);
            memcpy(to, &v, 8);
        }
    }
    int own = k->decl.nkeys - k->decl.nextra;
    key_hash(cols, k->canonical, own, 1, k->object.state->seed, &hash);
    key_hash_more(cols + own, k->canonical + own, k->decl.nextra, 1, &hash);
    return hash;
}

static void get_value(const struct keyed *k, struct slice *s, struct reader *r, char *value)
{
    for (int f = 0; f < k->decl.value.n; f++) {
        const struct layout_field *field = &k->decl.value.fields[f];
        char *to = value + field->offset;
        if (field->kind == LAYOUT_TEXT) {
            struct str v = get_text(r);
            *(struct str *)to = layout_keep(slice_heap(s), (struct str *)to, str_ptr(&v), v.n);
        } else {
            reader_copy(r, to, field->size);
        }
    }
}

static bool load_record(struct keyed *k, int64_t id, struct reader *r, int lo, int hi)
{
    _Alignas(16) char key[16 * countof(k->decl.keys)];
    struct reader rec = {.p = r->p};
    uint32_t n = reader_u32(r);
    if (!(rec.p = reader_bytes(r, n))) return false;
    rec.end = rec.p + n;
    int group = reader_u8(&rec);
    if (rec.bad) return false;
    if (group < lo || group >= hi) return true;
    uint16_t nulls = reader_u16(&rec) & (uint16_t)((1u << k->decl.nkeys) - 1);
    uint64_t hash = get_key(k, &rec, nulls, key);
    if (rec.bad || key_group(hash) != group) return false;
    struct slice *s = keyed_slice(k, id, true);
    get_value(k, s, &rec, slice__upsert_one(s, key, nulls, hash));
    return !rec.bad && rec.p == rec.end;
}

#define RECORD_MIN 7    /* bytes of the smallest record */
#define LOAD_MANY  4096 /* records that make it worth to size the table beforehand */

static bool keyed_load(struct state_object *o, struct reader *r, int lo, int hi)
{
    struct keyed *k = container_of(o, struct keyed, object);
    uint32_t slices = reader_u32(r);
    for (uint32_t i = 0; i < slices && !r->bad; i++) {
        int64_t id = reader_i64(r);
        uint32_t records = reader_u32(r);
        uint64_t most = (uint64_t)(r->end - r->p) / RECORD_MIN, expect = records < most ? records : most;
        expect = expect * (uint64_t)(hi - lo) / KEY_GROUPS;
        if (expect > LOAD_MANY) slice__expect(keyed_slice(k, id, true), (uint32_t)expect);
        for (uint32_t j = 0; j < records; j++)
            if (!load_record(k, id, r, lo, hi)) return false;
    }
    return !r->bad && r->p == r->end;
}
