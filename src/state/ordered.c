/* ordered: a skip list of (key, group) -> row. A link carries the first eight bytes of the key it leads to, so most
 * steps of a search touch one node only. Rows of a stream come almost in order: the last node of every level is
 * remembered, and a key beyond the end is linked there at once.
 *
 * Two workers may have given out the same sequence number; after a rescale such entries meet in one object. They belong
 * to different groups, hence the group is part of the order.
 *
 * Image, after the object's head: u64 sequence, u64 entries; for each, ascending: u8 group, u32 key bytes, u32 row
 * bytes, key, row. SPDX-License-Identifier: Apache-2.0 */
#include "state/state_int.h"

#include "arrow/layout.h"

#define LEVELS 16

struct node;
struct link {
    struct node *to;
    uint64_t prefix; /* of to's key, big endian */
};
struct node {
    uint32_t nkey, nrow;
    uint8_t group, levels;
    struct link links[]; /* then key, then row */
};

struct ordered {
    struct state_object object;
    struct layout_heap *heap;
    uint64_t count, sequence, change;
    uint64_t dice;
    struct node *head;         /* all levels, no key */
    struct node *last[LEVELS]; /* of each level */
};

static void ordered_save(const struct state_object *o, struct text *out);
static bool ordered_load(struct state_object *o, struct reader *r, int lo, int hi);
static void ordered_free(struct state_object *o);
static const struct object_class ordered_class = {2, ordered_save, ordered_load, ordered_free};

static size_t node_size(int levels, uint32_t nkey, uint32_t nrow)
{
    return sizeof(struct node) + sizeof(struct link) * (size_t)levels + nkey + nrow;
}
static inline const char *node_key(const struct node *n)
{
    return (const char *)(n->links + n->levels);
}
static inline const char *node_row(const struct node *n)
{
    return node_key(n) + n->nkey;
}

struct place { /* what is searched for */
    const char *key;
    uint32_t n;
    int group;
    uint64_t prefix;
};

static struct place place_of(const void *key, uint32_t n, int group)
{
    struct place p = {n ? key : "", n, group, 0};
    char first[8] = {0};
    memcpy(first, p.key, n < 8 ? n : 8);
    memcpy(&p.prefix, first, 8);
    p.prefix = __builtin_bswap64(p.prefix);
    return p;
}

static int compare(const struct link *l, const struct place *p)
{
    if (l->prefix != p->prefix) return l->prefix < p->prefix ? -1 : 1;
    uint32_t n = l->to->nkey < p->n ? l->to->nkey : p->n;
    int c = memcmp(node_key(l->to), p->key, n);
    if (c) return c;
    if (l->to->nkey != p->n) return l->to->nkey < p->n ? -1 : 1;
    return l->to->group - p->group;
}

enum status ordered_new(struct state *s, const char *name, uint32_t version, struct ordered **out, struct err *err)
{
    struct ordered *o = mem_zalloc(sizeof *o);
    enum status st = state__add(s, &o->object, &ordered_class, name, version, 0, err);
    if (st) {
        mem_free(o);
        return st;
    }
    o->heap = layout_heap_new(&s->used);
    size_t size = node_size(LEVELS, 0, 0);
    o->head = memset(layout_take(o->heap, size), 0, size);
    o->head->levels = LEVELS;
    for (int l = 0; l < LEVELS; l++) o->last[l] = o->head;
    o->dice = 1;
    *out = o;
    return ST_OK;
}

static void ordered_free(struct state_object *object)
{
    struct ordered *o = container_of(object, struct ordered, object);
    layout_heap_free(o->heap);
    mem_free(o);
}

uint64_t ordered_count(const struct ordered *o)
{
    return o->count;
}
uint64_t ordered_sequence(struct ordered *o)
{
    return ++o->sequence;
}

/* The first node that is >= p; before[l], when wanted, the last of level l that is < p. */
static struct node *search(struct ordered *o, const struct place *p, struct node **before)
{
    struct node *at = o->head;
    for (int l = LEVELS - 1; l >= 0; l--) {
        while (at->links[l].to && compare(&at->links[l], p) < 0) at = at->links[l].to;
        if (before) before[l] = at;
    }
    return at->links[0].to;
}

static bool is_at(const struct node *n, const struct place *p, bool any_group)
{
    return n && n->nkey == p->n && memcmp(node_key(n), p->key, p->n) == 0 && (any_group || n->group == p->group);
}

/* One in four reaches the next level. */
static int draw_levels(struct ordered *o)
{
    uint64_t z = o->dice += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    int levels = 1 + __builtin_ctzll(z | 1ull << 62) / 2;
    return levels < LEVELS ? levels : LEVELS;
}

static void unlink_node(struct ordered *o, struct node *n, struct node **before)
{
    for (int l = 0; l < n->levels; l++) {
        before[l]->links[l] = n->links[l];
        if (o->last[l] == n) o->last[l] = before[l];
    }
    layout_give(o->heap, n, node_size(n->levels, n->nkey, n->nrow));
    o->count--;
    o->change++;
}

void ordered_put(struct ordered *o, int group, const void *key, uint32_t nkey, const void *row, uint32_t nrow)
{
    struct place p = place_of(key, nkey, group);
    struct node *found[LEVELS], **before = found;
    const struct node *end = o->last[0];
    struct link to_end = {(struct node *)end, 0};
    if (end != o->head) to_end.prefix = place_of(node_key(end), end->nkey, 0).prefix;
    if (end == o->head || compare(&to_end, &p) < 0) {
        before = o->last;
    } else {
        struct node *same = search(o, &p, before);
        if (is_at(same, &p, false)) unlink_node(o, same, before);
    }
    int levels = draw_levels(o);
    struct node *n = layout_take(o->heap, node_size(levels, nkey, nrow));
    n->nkey = nkey, n->nrow = nrow, n->group = (uint8_t)group, n->levels = (uint8_t)levels;
    if (nkey) memcpy((char *)node_key(n), key, nkey);
    if (nrow) memcpy((char *)node_row(n), row, nrow);
    for (int l = 0; l < levels; l++) {
        struct node *prev = before[l];
        n->links[l] = prev->links[l];
        prev->links[l] = (struct link){n, p.prefix};
        if (!n->links[l].to) o->last[l] = n;
    }
    o->count++;
    o->change++;
}

int64_t ordered_put_bound(uint32_t nkey, uint32_t nrow)
{
    return (int64_t)layout_bound(node_size(2, nkey, nrow));
}

bool ordered_delete(struct ordered *o, const void *key, uint32_t nkey)
{
    struct node *before[LEVELS];
    struct place p = place_of(key, nkey, 0);
    struct node *n = search(o, &p, before);
    if (!is_at(n, &p, true)) return false;
    unlink_node(o, n, before);
    return true;
}

/* ---- cursors ------------------------------------------------------------------------------------------ */

static void stand_on(struct ordered *o, struct ordered_cursor *c, const struct node *n)
{
    c->on = n != NULL;
    c->node = n;
    c->change = o->change;
    if (!n) return;
    if (c->cap < n->nkey) {
        mem_free(c->key);
        c->cap = n->nkey < 32 ? 32 : n->nkey * 2;
        c->key = mem_alloc(c->cap);
    }
    if (n->nkey) memcpy(c->key, node_key(n), n->nkey);
    c->nkey = n->nkey;
    c->group = n->group;
}

void ordered_seek(struct ordered *o, struct ordered_cursor *c, const void *key, uint32_t nkey)
{
    struct place p = place_of(key, nkey, 0);
    stand_on(o, c, search(o, &p, NULL));
}

/* The cursor's node, or NULL when it has been deleted: then *next is the one behind its place. */
static const struct node *refind(struct ordered *o, struct ordered_cursor *c, const struct node **next)
{
    *next = NULL;
    if (c->change == o->change) return c->node;
    struct place p = place_of(c->key, c->nkey, c->group);
    const struct node *n = search(o, &p, NULL);
    if (is_at(n, &p, false)) return n;
    *next = n;
    return NULL;
}

void ordered_next(struct ordered *o, struct ordered_cursor *c)
{
    const struct node *next, *n;
    if (!c->on) return;
    n = refind(o, c, &next);
    stand_on(o, c, n ? n->links[0].to : next);
}

void ordered_entry(struct ordered *o, struct ordered_cursor *c, const char **key, uint32_t *nkey, const char **row,
                   uint32_t *nrow)
{
    const struct node *next = NULL, *n = c->on ? refind(o, c, &next) : NULL;
    if (c->on && (!n || c->change != o->change)) stand_on(o, c, n ? n : next);
    n = c->on ? c->node : NULL;
    *key = n ? node_key(n) : NULL;
    *nkey = n ? n->nkey : 0;
    *row = n ? node_row(n) : NULL;
    *nrow = n ? n->nrow : 0;
}

void ordered_cursor_done(struct ordered_cursor *c)
{
    mem_free(c->key);
    *c = (struct ordered_cursor){0};
}

/* ---- image -------------------------------------------------------------------------------------------- */

static void ordered_save(const struct state_object *object, struct text *out)
{
    const struct ordered *o = container_of(object, const struct ordered, object);
    PUT(out, uint64_t, o->sequence);
    PUT(out, uint64_t, o->count);
    for (const struct node *n = o->head->links[0].to; n; n = n->links[0].to) {
        PUT(out, uint8_t, n->group);
        PUT(out, uint32_t, n->nkey);
        PUT(out, uint32_t, n->nrow);
        text_put(out, node_key(n), (size_t)n->nkey + n->nrow);
    }
}

static bool ordered_load(struct state_object *object, struct reader *r, int lo, int hi)
{
    struct ordered *o = container_of(object, struct ordered, object);
    uint64_t sequence = reader_u64(r), count = reader_u64(r);
    if (sequence > o->sequence) o->sequence = sequence;
    for (uint64_t i = 0; i < count; i++) {
        int group = reader_u8(r);
        uint32_t nkey = reader_u32(r), nrow = reader_u32(r);
        const char *p = reader_bytes(r, (size_t)nkey + nrow);
        if (!p || r->bad) return false;
        if (group >= lo && group < hi) ordered_put(o, group, p, nkey, p + nkey, nrow);
    }
    return !r->bad && r->p == r->end;
}
