/* Declared state. An operator instance declares what it keeps and touches it only through this room; save, load,
 * accounting and display follow from the declaration. What is kept is a copy; no address of a batch ever enters.
 *
 * A pointer into a value lives until the next upsert, put or drop on the same object. Budget: reserve the upper bound
 * first (may be refused, nothing has changed), then write (cannot fail).
 *
 * A record belongs to a key group, 0..255: the top byte of the hash of the grouping keys, without window bounds; no
 * keys: group 0. Saved bytes are portable (little endian, no pointers, no hash order) and are loaded by any number of
 * workers, each keeping its groups. SPDX-License-Identifier: Apache-2.0 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "arrow/batch.h"
#include "arrow/layout.h"
#include "base/text.h"

#define KEY_GROUPS 256
static inline int key_group(uint64_t hash)
{
    return (int)(hash >> 56);
}
/* The worker that owns a group. */
static inline int group_worker(int group, int workers)
{
    return group * workers / KEY_GROUPS;
}

/* Hashes of n rows over key columns in their canonical form (-0 = 0, one NaN, NULL is a value, integers of any width
 * alike), the seed drawn per database. hashes[i] for rows_at(...) is dense entry i of the columns. */
void key_hash(const struct column *keys, const struct type *types, int nkeys, uint32_t n, uint64_t seed,
              uint64_t *hashes);
/* Mixes further columns into hashes but keeps their key group: for the trailing `nextra` keys of a keyed (window
 * bounds, the argument of a DISTINCT aggregate). */
void key_hash_more(const struct column *keys, const struct type *types, int nkeys, uint32_t n, uint64_t *hashes);

struct state; /* all objects of one operator instance */
struct state_object;
struct state *state_new(struct account *account, uint64_t seed);
void state_free(struct state *s);
int64_t state_bytes(const struct state *s);
bool state_holds(const struct state *s); /* objects were declared, so there may be something in them */
/* Charges n bytes ahead or returns E_NOMEM; what the next writes do not use is given back by state_settle. */
enum status state_reserve(struct state *s, int64_t n) MUST_CHECK;
void state_settle(struct state *s);

/* Appends a portable image of all objects. */
void state_save(struct state *s, struct text *out);
/* Adds the records of an image whose key group lies in [group_lo, group_hi); `value` objects are merged by their merge
 * function. May be called for several images. E_STATE_LOAD when names, versions or layouts differ. */
enum status state_load(struct state *s, const char *p, size_t n, int group_lo, int group_hi, struct err *err);

/* ---- keyed: slice, key -> value --------------------------------------------------------------------- */

struct keyed_decl {
    const char *name;
    uint32_t version;
    int nkeys;  /* 0: one value a slice, of key group 0 */
    int nextra; /* so many of the last keys take no part in the key group (hashes: key_hash, then key_hash_more) */
    struct type keys[16];
    struct layout value;
};
struct keyed;
struct slice; /* one table; a tumbling window, or the whole when there are no windows */
enum status keyed_new(struct state *s, const struct keyed_decl *d, struct keyed **out, struct err *err);

/* The slice of that id (made when `create`), or NULL. Slices are ordered by id. */
struct slice *keyed_slice(struct keyed *k, int64_t id, bool create);
struct slice *keyed_first(struct keyed *k); /* lowest id, or NULL */
struct slice *slice_next(struct keyed *k, struct slice *s);
int64_t slice_id(const struct slice *s);
uint32_t slice_count(const struct slice *s);
void slice_drop(struct keyed *k, struct slice *s);
struct layout_heap *slice_heap(struct slice *s);

/* Bytes that n new keys might need at most, for state_reserve. keys NULL: long texts apart (slice_text_bound). */
int64_t slice_upsert_bound(const struct slice *s, const struct column *keys, uint32_t n);
/* The same for slice id, which need not exist. */
int64_t keyed_upsert_bound(struct keyed *k, int64_t id, const struct column *keys, uint32_t n);
/* Bytes that the long ones of n texts need. */
int64_t slice_text_bound(const struct column *c, uint32_t n);
/* values[i]: the value of the key in dense row i, zeroed when new. hashes are key_hash's. Never fails. fresh, when not
 * NULL, gets bit i set for rows that made their key (of equal rows the first). */
void slice_upsert_n(struct slice *s, const struct column *keys, const uint64_t *hashes, uint32_t n, void **values,
                    uint64_t *fresh);
/* values[i] or NULL. */
void slice_find_n(struct slice *s, const struct column *keys, const uint64_t *hashes, uint32_t n, void **values);
void slice_delete(struct slice *s, void *value);
/* Walks all entries in insertion order: from *cursor (0 first) gives up to `max` values and writes their keys to
 * columns key_col.. of b from row `at` on (text copied). Returns how many; 0 at the end. Upserts between calls are
 * allowed. */
uint32_t slice_walk(struct slice *s, uint32_t *cursor, uint32_t max, void **values, struct batch *b, int key_col,
                    uint32_t at, uint32_t cap);

/* ---- ordered: bytes -> bytes in memcmp order --------------------------------------------------------- */

/* Keys are made by keycode below; the caller appends a sequence number where keys may repeat. */
struct ordered;
enum status ordered_new(struct state *s, const char *name, uint32_t version, struct ordered **out, struct err *err);
void ordered_put(struct ordered *o, int group, const void *key, uint32_t nkey, const void *row, uint32_t nrow);
int64_t ordered_put_bound(uint32_t nkey, uint32_t nrow); /* bytes one put needs, as a rule, for state_reserve */
/* Deletes one entry of that key. */
bool ordered_delete(struct ordered *o, const void *key, uint32_t nkey);
uint64_t ordered_count(const struct ordered *o);
uint64_t ordered_sequence(struct ordered *o); /* 1, 2, 3 ...: saved with the state */
/* A place in an ordered; survives changes by holding its key. Zero is a cursor that stands nowhere. */
struct ordered_cursor {
    char *key; /* of the entry it stands on; owned */
    uint32_t nkey, cap;
    int group;
    bool on;          /* stands on an entry */
    const void *node; /* the room's: where it was at the o's change number `change` */
    uint64_t change;
};
void ordered_seek(struct ordered *o, struct ordered_cursor *c, const void *key, uint32_t nkey); /* first entry >= key */
void ordered_next(struct ordered *o, struct ordered_cursor *c);
/* The entry's bytes, valid until the next change of o. When it has been deleted meanwhile: those of the one behind it;
 * with none there, c->on becomes false and *key NULL. */
void ordered_entry(struct ordered *o, struct ordered_cursor *c, const char **key, uint32_t *nkey, const char **row,
                   uint32_t *nrow);
void ordered_cursor_done(struct ordered_cursor *c);

/* Order-preserving bytes of values: memcmp order = SQL order. NULLs last unless nulls_first; desc inverts. */
void keycode_put(struct text *out, struct type t, const struct column *c, uint32_t row, bool desc, bool nulls_first);
void keycode_put_i64(struct text *out, int64_t v);
/* A row as bytes, and back as row `at` of b (text copied). */
void rowcode_put(struct text *out, const struct schema *s, const struct batch *b, uint32_t row);
void rowcode_get(const char *p, uint32_t n, const struct schema *s, struct batch *b, uint32_t at, uint32_t cap);

/* ---- value: one run of raw bytes of the instance ------------------------------------------------------ */

/* Saved with group 0 in mind, but every instance loads every image's copy through merge(into, from). */
enum status value_new(struct state *s, const char *name, uint32_t size, void (*merge)(void *into, const void *from),
                      void **out, struct err *err);

#endif
