/* One table of a keyed: open addressing with linear probing over 8-byte index slots {tag, ref}, and entries row by row
 * in chunks that never move, so that values stay where they are while the table grows.
 *
 * A probe looks at the entry only when 32 bits of the hash agree. Refs count from 8; chunk k of the first nine holds
 * refs [8 << k, 16 << k), so a small window is a small table; beyond, every chunk holds 4096. Entries lie in the order
 * in which their keys came (deleted ones are used again), which is the order of slice_walk and of the saved image.
 *
 * Keys are compared in canonical form, packed row by row. Two common shapes are compared where they stand in the
 * column: one 8-byte key and one text key, both without NULLs. SPDX-License-Identifier: Apache-2.0 */
#include "state/state_int.h"

#define SMALL_CHUNKS  9
#define LARGE_SHIFT   12
#define SPARSE_SLOTS  4096
#define INDEX_MIN     16
#define PREFETCH_FROM (256u << 10) /* bytes of a table that caches no longer hide */
#define BLOCK         32
#define HEAP_MORE     (72 << 10) /* a heap's first chunk and itself */

static inline uint32_t chunk_of(uint32_t ref)
{
    return ref < 1u << LARGE_SHIFT ? 28 - (uint32_t)__builtin_clz(ref) : SMALL_CHUNKS - 1 + (ref >> LARGE_SHIFT);
}
static inline uint32_t chunk_rows(uint32_t chunk)
{
    return chunk < SMALL_CHUNKS ? 8u << chunk : 1u << LARGE_SHIFT;
}

static inline uint64_t chunk_first(uint32_t chunk)
{
    return chunk < SMALL_CHUNKS ? 8ull << chunk : (uint64_t)(chunk - SMALL_CHUNKS + 1) << LARGE_SHIFT;
}

static inline struct entry *entry_at(const struct slice *s, uint32_t ref)
{
    uint32_t chunk = chunk_of(ref);
    uint32_t row = ref & (chunk_rows(chunk) - 1); /* chunks begin at multiples of their size */
    return (struct entry *)(s->chunks[chunk] + (size_t)row * s->keyed->entry_size);
}
static inline void *value_of(const struct slice *s, struct entry *e)
{
    return e->key + s->keyed->key_size;
}

struct entry *slice__entry(const struct slice *s, uint32_t ref)
{
    return entry_at(s, ref);
}

static void grew(struct slice *s, int64_t bytes)
{
    s->bytes += bytes;
    s->keyed->object.state->used += bytes;
}

struct slice *slice__new(struct keyed *k, int64_t id)
{
    struct slice *s = mem_zalloc(sizeof *s);
    s->keyed = k;
    s->id = id;
    s->next = SLICE_FIRST;
    grew(s, sizeof *s);
    return s;
}

void slice__free(struct slice *s)
{
    if (!s) return;
    layout_heap_free(s->heap);
    for (uint32_t i = 0; i < s->nchunks; i++) mem_free(s->chunks[i]);
    mem_free(s->chunks);
    mem_free(s->index);
    grew(s, -s->bytes);
    mem_free(s);
}

void slice__reset(struct slice *s, int64_t id)
{
    layout_heap_free(s->heap);
    s->heap = NULL;
    if (s->index) memset(s->index, 0, ((size_t)s->mask + 1) * sizeof *s->index);
    s->id = id;
    s->count = s->free = 0;
    s->next = SLICE_FIRST;
}

int64_t slice_id(const struct slice *s)
{
    return s->id;
}
uint32_t slice_count(const struct slice *s)
{
    return s->count;
}

struct layout_heap *slice_heap(struct slice *s)
{
    if (!s->heap) s->heap = layout_heap_new(&s->keyed->object.state->used);
    return s->heap;
}

/* ---- growing ---------------------------------------------------------------------------------------- */

static void index_resize(struct slice *s, uint32_t slots)
{
    struct index_slot *old = s->index, *now = mem_zalloc((size_t)slots * sizeof *now);
    uint32_t old_slots = old ? s->mask + 1 : 0, mask = slots - 1;
    for (uint32_t i = 0; i < old_slots; i++) {
        if (!old[i].ref) continue;
        uint32_t pos = old[i].tag & mask;
        while (now[pos].ref) pos = (pos + 1) & mask;
        now[pos] = old[i];
    }
    grew(s, ((int64_t)slots - old_slots) * (int64_t)sizeof *now);
    mem_free(old);
    s->index = now;
    s->mask = mask;
}

/* How many keys an index takes: three quarters, but a quarter of one small enough for the first cache, where a wrongly
 * predicted second probe is all that a lookup costs. */
static inline uint64_t index_room(uint64_t slots)
{
    return slots <= SPARSE_SLOTS ? slots / 4 : slots / 4 * 3;
}

static inline bool index_is_full(const struct slice *s)
{
    return !s->index || s->count >= index_room((uint64_t)s->mask + 1);
}

void slice__expect(struct slice *s, uint32_t more)
{
    uint64_t slots = s->index ? (uint64_t)s->mask + 1 : INDEX_MIN;
    while ((uint64_t)s->count + more >= index_room(slots) && slots < 1u << 31) slots *= 2;
    if (!s->index || slots > (uint64_t)s->mask + 1) index_resize(s, (uint32_t)slots);
}

static void chunk_add(struct slice *s)
{
    if (s->nchunks == s->cap_chunks) {
        uint32_t cap = s->cap_chunks ? s->cap_chunks * 2 : 4;
        s->chunks = mem_realloc(s->chunks, s->cap_chunks * sizeof *s->chunks, cap * sizeof *s->chunks);
        grew(s, (int64_t)(cap - s->cap_chunks) * (int64_t)sizeof *s->chunks);
        s->cap_chunks = cap;
    }
    size_t size = (size_t)chunk_rows(s->nchunks) * s->keyed->entry_size;
    s->chunks[s->nchunks++] = mem_alloc(size);
    grew(s, (int64_t)size);
}

static uint32_t ref_new(struct slice *s)
{
    if (s->free) {
        uint32_t ref = s->free;
        memcpy(&s->free, entry_at(s, ref)->key, sizeof s->free);
        return ref;
    }
    INVARIANT(s->next < UINT32_MAX);
    if (chunk_of(s->next) == s->nchunks) chunk_add(s);
    return s->next++;
}

int64_t slice_text_bound(const struct column *c, uint32_t n)
{
    const struct str *v = c->data;
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        if (v[i].n > STR_INLINE && !column_null(c, i)) bytes += layout_bound(v[i].n);
    return bytes ? (int64_t)bytes + HEAP_MORE : 0;
}

/* s NULL: of a slice yet to be made. */
static int64_t bound(const struct keyed *k, const struct slice *s, const struct column *keys, uint32_t n)
{
    uint64_t slots = s && s->index ? (uint64_t)s->mask + 1 : 0, want = slots ? slots : INDEX_MIN;
    uint64_t count = (s ? s->count : 0) + (uint64_t)n, last = (s ? s->next : SLICE_FIRST) + (uint64_t)n;
    int64_t bytes = s ? 64 : 64 + (int64_t)sizeof *s; /* the list of chunks */
    for (uint32_t c = s ? s->nchunks : 0; chunk_first(c) < last; c++)
        bytes += (int64_t)chunk_rows(c) * k->entry_size + 16;
    while (count >= index_room(want)) want *= 2;
    if (want > slots) bytes += (int64_t)(want * sizeof *s->index);
    for (int c = 0; keys && c < k->decl.nkeys; c++)
        if (k->cols[c].kind == KEY_TEXT) bytes += slice_text_bound(&keys[c], n);
    return bytes;
}

int64_t slice_upsert_bound(const struct slice *s, const struct column *keys, uint32_t n)
{
    return bound(s->keyed, s, keys, n);
}

int64_t keyed_upsert_bound(struct keyed *k, int64_t id, const struct column *keys, uint32_t n)
{
    return bound(k, keyed_slice(k, id, false), keys, n);
}

/* ---- keys in canonical form ------------------------------------------------------------------------- */

#define PACK(OUT, EXPR)                                                                                                \
    for (uint32_t i = 0; i < n; i++, to += k->key_size) {                                                              \
        OUT v = (EXPR);                                                                                                \
        memcpy(to, &v, sizeof v);                                                                                      \
    }
#define PACK_INT(T) PACK(int64_t, ((const T *)c->data)[i])
typedef struct {
    uint64_t a, b;
} wide;

static void pack_column(struct keyed *k, int col, const struct column *c, uint32_t n)
{
    char *to = k->packed + k->cols[col].offset;
    switch (k->cols[col].type.id) {
    case T_BOOL: PACK_INT(uint8_t); break;
    case T_INT8: PACK_INT(int8_t); break;
    case T_INT16: PACK_INT(int16_t); break;
    case T_INT32:
    case T_DATE: PACK_INT(int32_t); break;
    case T_FLOAT: PACK(uint64_t, double_canonical((double)((const float *)c->data)[i])); break;
    case T_DOUBLE: PACK(uint64_t, double_canonical(((const double *)c->data)[i])); break;
    case T_NULL: PACK(uint64_t, 0); break;
    default:
        if (k->cols[col].kind == KEY_WORD) {
            PACK_INT(int64_t);
        } else {
            PACK(wide, ((const wide *)c->data)[i]);
        }
        break;
    }
    if (!c->valid && k->cols[col].type.id != T_NULL) return;
    size_t width = k->cols[col].kind == KEY_WORD ? 8 : 16;
    to = k->packed + k->cols[col].offset;
    for (uint32_t i = 0; i < n; i++, to += k->key_size) {
        if (c->valid && bit_get(c->valid, i)) continue;
        memset(to, 0, width);
        k->nulls[i] |= (uint16_t)(1u << col);
    }
}

static void pack(struct keyed *k, const struct column *keys, uint32_t n)
{
    if (k->packed_rows < n) {
        size_t rows = n < 256 ? 256 : n;
        mem_free(k->packed), mem_free(k->nulls);
        k->packed = mem_alloc(rows * k->key_size);
        k->nulls = mem_alloc(rows * sizeof *k->nulls);
        k->object.state->used += (int64_t)((rows - k->packed_rows) * (k->key_size + sizeof *k->nulls));
        k->packed_rows = rows;
    }
    memset(k->nulls, 0, n * sizeof *k->nulls);
    for (int c = 0; c < k->decl.nkeys; c++) pack_column(k, c, &keys[c], n);
}

/* ---- probing ------------------------------------------------------------------------------------------- */

enum shape { SHAPE_WORD, SHAPE_TEXT, SHAPE_ANY };

static bool same_any(const struct keyed *k, const char *a, const char *b)
{
    for (int c = 0; c < k->decl.nkeys; c++) {
        uint32_t at = k->cols[c].offset;
        switch ((enum keycol_kind)k->cols[c].kind) {
        case KEY_WORD:
            if (memcmp(a + at, b + at, 8) != 0) return false;
            break;
        case KEY_WIDE:
            if (memcmp(a + at, b + at, 16) != 0) return false;
            break;
        case KEY_SPAN:
            if (interval_span((const struct interval *)(a + at)) != interval_span((const struct interval *)(b + at)))
                return false;
            break;
        case KEY_TEXT:
            if (!str_equal((const struct str *)(a + at), (const struct str *)(b + at))) return false;
            break;
        }
    }
    return true;
}

static inline __attribute__((always_inline)) bool same(enum shape shape, const struct keyed *k, const struct entry *e,
                                                       const char *key, uint16_t nulls)
{
    switch (shape) {
    case SHAPE_WORD: {
        uint64_t a, b;
        memcpy(&a, e->key, 8), memcpy(&b, key, 8);
        return a == b && !e->nulls;
    }
    case SHAPE_TEXT: return str_equal((const struct str *)e->key, (const struct str *)key) && !e->nulls;
    case SHAPE_ANY: break;
    }
    return e->nulls == nulls && same_any(k, e->key, key);
}

/* Not inlined: new keys are rare where speed matters, and the probe stays small. */
static __attribute__((noinline)) void *insert(struct slice *s, uint64_t hash, const char *key, uint16_t nulls)
{
    const struct keyed *k = s->keyed;
    if (index_is_full(s)) index_resize(s, s->index ? (s->mask + 1) * 2 : INDEX_MIN);
    uint32_t ref = ref_new(s), tag = (uint32_t)hash, pos = tag & s->mask;
    while (s->index[pos].ref) pos = (pos + 1) & s->mask;
    s->index[pos] = (struct index_slot){tag, ref};
    s->count++;
    struct entry *e = entry_at(s, ref);
    e->tag = tag;
    e->nulls = nulls;
    e->group = (uint8_t)(hash >> 56);
    e->live = 1;
    memcpy(e->key, key, k->key_size);
    for (int c = 0; c < k->decl.nkeys && k->has_text; c++) {
        if (k->cols[c].kind != KEY_TEXT) continue;
        struct str *v = (struct str *)(e->key + k->cols[c].offset);
        if (v->n > STR_INLINE) *v = layout_keep(slice_heap(s), NULL, v->p, v->n);
    }
    return memset(value_of(s, e), 0, k->decl.value.size);
}

static inline __attribute__((always_inline)) struct entry *find(enum shape shape, const struct slice *s, uint64_t hash,
                                                                const char *key, uint16_t nulls)
{
    uint32_t tag = (uint32_t)hash;
    for (uint32_t pos = tag & s->mask;; pos = (pos + 1) & s->mask) {
        struct index_slot at = s->index[pos];
        if (!at.ref) return NULL;
        if (at.tag != tag) continue;
        struct entry *e = entry_at(s, at.ref);
        if (likely(same(shape, s->keyed, e, key, nulls))) return e;
    }
}

static void prefetch(const struct slice *s, const uint64_t *hashes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) __builtin_prefetch(&s->index[(uint32_t)hashes[i] & s->mask]);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t ref = s->index[(uint32_t)hashes[i] & s->mask].ref;
        if (ref) __builtin_prefetch(entry_at(s, ref));
    }
}

struct probe {
    const char *keys; /* key_size bytes a row */
    const uint16_t *nulls;
    const uint64_t *hashes;
    uint32_t n;
    void **values;
    uint64_t *fresh;
};

static inline __attribute__((always_inline)) void probe_all(enum shape shape, bool make, struct slice *s,
                                                            const struct probe *p)
{
    size_t stride = shape == SHAPE_WORD ? 8 : shape == SHAPE_TEXT ? 16 : s->keyed->key_size;
    bool large = s->bytes > PREFETCH_FROM;
    for (uint32_t at = 0; at < p->n; at += BLOCK) {
        uint32_t end = p->n - at < BLOCK ? p->n : at + BLOCK;
        if (large) prefetch(s, p->hashes + at, end - at);
        for (uint32_t i = at; i < end; i++) {
            const char *key = p->keys + i * stride;
            uint16_t nulls = shape == SHAPE_ANY ? p->nulls[i] : 0;
            struct entry *e = find(shape, s, p->hashes[i], key, nulls);
            if (likely(e != NULL)) {
                p->values[i] = value_of(s, e);
            } else if (!make) {
                p->values[i] = NULL;
            } else {
                p->values[i] = insert(s, p->hashes[i], key, nulls);
                if (p->fresh) bit_set(p->fresh, i);
            }
        }
    }
}

static void probe_by_shape(struct slice *s, const struct column *keys, struct probe *p, bool make)
{
    struct keyed *k = s->keyed;
    enum type_id id = k->decl.nkeys == 1 && !keys->valid ? k->cols[0].type.id : T_NULL;
    enum shape shape = SHAPE_ANY;
    if (id == T_INT64 || id == T_TIME || id == T_TIMESTAMP || id == T_TIMESTAMPTZ) shape = SHAPE_WORD;
    if (type_is_text(TYPE(id))) shape = SHAPE_TEXT;
    if (shape == SHAPE_ANY) pack(k, keys, p->n);
    p->keys = shape == SHAPE_ANY ? k->packed : keys->data;
    p->nulls = k->nulls;
    switch (shape) {
    case SHAPE_WORD: make ? probe_all(SHAPE_WORD, true, s, p) : probe_all(SHAPE_WORD, false, s, p); break;
    case SHAPE_TEXT: make ? probe_all(SHAPE_TEXT, true, s, p) : probe_all(SHAPE_TEXT, false, s, p); break;
    case SHAPE_ANY: make ? probe_all(SHAPE_ANY, true, s, p) : probe_all(SHAPE_ANY, false, s, p); break;
    }
}

/* Without keys a slice has one entry, the first. */
static void *only_value(struct slice *s, bool make, bool *made)
{
    *made = false;
    if (s->count) return value_of(s, entry_at(s, SLICE_FIRST));
    *made = make;
    return make ? insert(s, 0, "", 0) : NULL;
}

static void only_value_n(struct slice *s, bool make, uint32_t n, void **values, uint64_t *fresh)
{
    bool made;
    void *v = n ? only_value(s, make, &made) : NULL;
    for (uint32_t i = 0; i < n; i++) values[i] = v;
    if (fresh && n && made) bit_set(fresh, 0);
}

void slice_upsert_n(struct slice *s, const struct column *keys, const uint64_t *hashes, uint32_t n, void **values,
                    uint64_t *fresh)
{
    if (fresh) memset(fresh, 0, bitmap_words(n) * 8);
    if (!s->keyed->decl.nkeys) {
        only_value_n(s, true, n, values, fresh);
        return;
    }
    if (!s->index) index_resize(s, INDEX_MIN);
    probe_by_shape(s, keys, &(struct probe){.hashes = hashes, .n = n, .values = values, .fresh = fresh}, true);
}

void slice_find_n(struct slice *s, const struct column *keys, const uint64_t *hashes, uint32_t n, void **values)
{
    if (!s->keyed->decl.nkeys || !s->index) {
        only_value_n(s, false, n, values, NULL);
        return;
    }
    probe_by_shape(s, keys, &(struct probe){.hashes = hashes, .n = n, .values = values}, false);
}

void *slice__upsert_one(struct slice *s, const char *key, uint16_t nulls, uint64_t hash)
{
    bool made;
    if (!s->keyed->decl.nkeys) return only_value(s, true, &made);
    if (!s->index) index_resize(s, INDEX_MIN);
    struct entry *e = find(SHAPE_ANY, s, hash, key, nulls);
    return e ? value_of(s, e) : insert(s, hash, key, nulls);
}

/* ---- deleting and walking ------------------------------------------------------------------------------ */

/* Moves later entries of the run back, so that no probe meets a hole. */
static void index_remove(struct slice *s, uint32_t pos)
{
    for (uint32_t next = (pos + 1) & s->mask; s->index[next].ref; next = (next + 1) & s->mask) {
        uint32_t home = s->index[next].tag & s->mask;
        if (((next - home) & s->mask) < ((next - pos) & s->mask)) continue;
        s->index[pos] = s->index[next];
        pos = next;
    }
    s->index[pos].ref = 0;
}

static void drop_texts(struct slice *s, struct entry *e)
{
    const struct keyed *k = s->keyed;
    if (!s->heap) return;
    for (int c = 0; c < k->decl.nkeys; c++)
        if (k->cols[c].kind == KEY_TEXT) layout_drop(s->heap, (struct str *)(e->key + k->cols[c].offset));
    for (int f = 0; f < k->decl.value.n; f++)
        if (k->decl.value.fields[f].kind == LAYOUT_TEXT)
            layout_drop(s->heap, (struct str *)((char *)value_of(s, e) + k->decl.value.fields[f].offset));
}

void slice_delete(struct slice *s, void *value)
{
    struct entry *e = (struct entry *)((char *)value - s->keyed->key_size - sizeof *e);
    INVARIANT(e->live);
    uint32_t pos = e->tag & s->mask;
    while (!s->index[pos].ref || entry_at(s, s->index[pos].ref) != e) pos = (pos + 1) & s->mask;
    uint32_t ref = s->index[pos].ref;
    index_remove(s, pos);
    drop_texts(s, e);
    e->live = 0;
    s->count--;
    if (s->keyed->key_size >= sizeof s->free) {
        memcpy(e->key, &s->free, sizeof s->free);
        s->free = ref;
    } else {
        s->next = SLICE_FIRST; /* no keys: the only entry */
    }
}

#define GIVE(T)                                                                                                        \
    for (uint32_t i = 0; i < n; i++) {                                                                                 \
        int64_t v;                                                                                                     \
        memcpy(&v, keys[i], 8);                                                                                        \
        ((T *)to->data)[at + i] = (T)v;                                                                                \
    }
#define GIVE_DOUBLE(T)                                                                                                 \
    for (uint32_t i = 0; i < n; i++) {                                                                                 \
        double v;                                                                                                      \
        memcpy(&v, keys[i], 8);                                                                                        \
        ((T *)to->data)[at + i] = (T)v;                                                                                \
    }

/* keys[i]: the stored key column of row i. */
static void give_column(struct type t, const char *const *keys, uint32_t n, struct batch *b, struct column *to,
                        uint32_t at)
{
    switch (t.id) {
    case T_NULL: memset((char *)to->data + at, 0, n); break;
    case T_BOOL: GIVE(uint8_t); break;
    case T_INT8: GIVE(int8_t); break;
    case T_INT16: GIVE(int16_t); break;
    case T_INT32:
    case T_DATE: GIVE(int32_t); break;
    case T_FLOAT: GIVE_DOUBLE(float); break;
    case T_DOUBLE: GIVE_DOUBLE(double); break;
    case T_VARCHAR:
    case T_BLOB:
    case T_JSON:
        for (uint32_t i = 0; i < n; i++) {
            const struct str *v = (const struct str *)keys[i];
            ((struct str *)to->data)[at + i] = v->n > STR_INLINE ? batch_str(b, v->p, v->n) : *v;
        }
        break;
    default:
        if (type_width(t) == 8) {
            GIVE(int64_t);
        } else {
            for (uint32_t i = 0; i < n; i++) memcpy((char *)to->data + 16 * (size_t)(at + i), keys[i], 16);
        }
        break;
    }
}

static void give_keys(struct slice *s, void *const *values, uint32_t n, struct batch *b, int key_col, uint32_t at,
                      uint32_t cap)
{
    const struct keyed *k = s->keyed;
    const char *keys[BLOCK];
    for (int c = 0; c < k->decl.nkeys; c++) {
        struct column *to = &b->cols[key_col + c];
        for (uint32_t i = 0; i < n; i++) keys[i] = (char *)values[i] - k->key_size + k->cols[c].offset;
        give_column(k->cols[c].type, keys, n, b, to, at);
        for (uint32_t i = 0; i < n; i++) {
            const struct entry *e = (const struct entry *)((char *)values[i] - k->key_size - sizeof *e);
            if (likely(!(e->nulls >> c & 1))) continue;
            if (!to->valid) to->valid = batch_validity(b, cap);
            bit_clear(to->valid, at + i);
        }
    }
}

uint32_t slice_walk(struct slice *s, uint32_t *cursor, uint32_t max, void **values, struct batch *b, int key_col,
                    uint32_t at, uint32_t cap)
{
    uint32_t n = 0, ref = *cursor < SLICE_FIRST ? SLICE_FIRST : *cursor;
    for (; ref < s->next && n < max; ref++) {
        struct entry *e = entry_at(s, ref);
        if (e->live) values[n++] = value_of(s, e);
    }
    *cursor = ref;
    for (uint32_t i = 0; b && i < n; i += BLOCK)
        give_keys(s, values + i, n - i < BLOCK ? n - i : BLOCK, b, key_col, at + i, cap);
    return n;
}
