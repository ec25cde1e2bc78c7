/* Inside the room: what the kinds of objects share. SPDX-License-Identifier: Apache-2.0 */
#ifndef STATE_STATE_INT_H
#define STATE_STATE_INT_H

#include "state/state.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw state is saved as it lies in memory");

/* ---- reading an image: never past its end ---------------------------------------------------- */

struct reader {
    const char *p, *end;
    bool bad; /* something was missing; what was read since is zero */
};
static inline const char *reader_bytes(struct reader *r, size_t n)
{
    if ((size_t)(r->end - r->p) < n) {
        r->bad = true;
        r->p = r->end;
        return NULL;
    }
    const char *p = r->p;
    r->p += n;
    return p;
}
static inline void reader_copy(struct reader *r, void *to, size_t n)
{
    const char *p = reader_bytes(r, n);
    if (p)
        memcpy(to, p, n);
    else
        memset(to, 0, n);
}
#define READER_GET(name, T)                                                                                            \
    static inline T reader_##name(struct reader *r)                                                                    \
    {                                                                                                                  \
        T v;                                                                                                           \
        reader_copy(r, &v, sizeof v);                                                                                  \
        return v;                                                                                                      \
    }
READER_GET(u8, uint8_t)
READER_GET(u16, uint16_t)
READER_GET(u32, uint32_t)
READER_GET(u64, uint64_t)
READER_GET(i64, int64_t)
#define PUT(out, T, v)                                                                                                 \
    do {                                                                                                               \
        T put_ = (T)(v);                                                                                               \
        text_put(out, &put_, sizeof put_);                                                                             \
    } while (0)

/* ---- objects -------------------------------------------------------------------------------------- */

struct object_class {
    uint8_t kind;
    void (*save)(const struct state_object *o, struct text *out);
    /* Takes the records of groups in [lo, hi). What it returns false for is damaged. */
    bool (*load)(struct state_object *o, struct reader *r, int lo, int hi);
    void (*free)(struct state_object *o);
};
struct state_object {
    const struct object_class *class;
    struct state *state;
    struct state_object *next;
    char *name;
    uint32_t version;
    uint64_t layout; /* hash of what it is declared to keep */
};
struct state {
    struct account *account;
    uint64_t seed;
    int64_t used; /* bytes the objects hold */
    int64_t held; /* bytes charged to the account */
    struct state_object *objects, **tail;
};
enum status state__add(struct state *s, struct state_object *o, const struct object_class *class, const char *name,
                       uint32_t version, uint64_t layout, struct err *err) MUST_CHECK;

/* ---- canonical values ------------------------------------------------------------------------------ */

static inline uint64_t double_canonical(double d)
{
    uint64_t bits;
    if (d == 0) return 0;
    if (d != d) return 0x7ff8000000000000ull;
    memcpy(&bits, &d, 8);
    return bits;
}
/* PostgreSQL compares intervals by this: a month is 30 days, a day 24 hours. */
static inline int128 interval_span(const struct interval *v)
{
    return ((int128)v->months * 30 + v->days) * 86400000000ll + v->us;
}
uint64_t bytes_hash(const void *p, size_t n);

/* ---- keyed and its slices ---------------------------------------------------------------------------- */

enum keycol_kind { KEY_WORD, KEY_WIDE, KEY_SPAN, KEY_TEXT };
struct keycol {
    uint8_t kind;
    uint32_t offset; /* in the entry's key */
    struct type type;
};

struct keyed {
    struct state_object object;
    struct keyed_decl decl;
    struct keycol cols[16];
    struct type canonical[16]; /* the type a stored key column reads back as */
    bool has_text;
    uint32_t key_size, entry_size;
    struct slice **slices; /* ascending ids in [first, first + n) */
    size_t first, n, cap;
    struct slice *last;  /* the one asked for last */
    struct slice *spare; /* emptied, to be used again */
    char *packed;        /* keys of a batch in canonical form */
    uint16_t *nulls;
    size_t packed_rows;
};

struct index_slot {
    uint32_t tag; /* low half of the hash */
    uint32_t ref; /* 0: empty */
};
struct slice {
    struct keyed *keyed;
    int64_t id;
    struct index_slot *index;
    uint32_t mask; /* slots - 1 */
    uint32_t count;
    uint32_t next; /* the next new entry */
    uint32_t free; /* first of the entries to use again, or 0 */
    char **chunks;
    uint32_t nchunks, cap_chunks;
    int64_t bytes; /* of index and chunks */
    struct layout_heap *heap;
};

/* An entry: this head, the key, the value. */
struct entry {
    uint32_t tag;
    uint16_t nulls; /* bit k: key column k is NULL */
    uint8_t group, live;
    char key[];
};

struct slice *slice__new(struct keyed *k, int64_t id);
void slice__free(struct slice *s);
void slice__reset(struct slice *s, int64_t id);
struct entry *slice__entry(const struct slice *s, uint32_t ref);
void slice__expect(struct slice *s, uint32_t more); /* so many keys are about to come */
void *slice__upsert_one(struct slice *s, const char *key, uint16_t nulls, uint64_t hash);
#define SLICE_FIRST 8 /* refs begin here, so that 0 is free to mean none */

#endif
