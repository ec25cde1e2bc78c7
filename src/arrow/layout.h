/* What a state value is made of, so that save, load and hash follow from the declaration: runs of raw bytes and
 * texts; and the heap that texts of such values live in. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_LAYOUT_H
#define ARROW_LAYOUT_H

#include "arrow/type.h"

enum layout_kind {
    LAYOUT_RAW,  /* `size` bytes without pointers, little endian */
    LAYOUT_TEXT, /* a struct str whose long bytes live in the table's heap */
};
struct layout_field {
    uint32_t offset, size;
    enum layout_kind kind;
};
struct layout {
    uint32_t size; /* of the value, a multiple of 8 */
    int n;
    struct layout_field fields[64];
};
static inline void layout_add(struct layout *l, enum layout_kind kind, uint32_t offset, uint32_t size)
{
    INVARIANT(l->n < (int)countof(l->fields));
    l->fields[l->n++] = (struct layout_field){offset, size, kind};
}

/* Memory for the texts of a table's values; dies with the table (slice). One thread. Blocks come in size classes and
 * are used again; *used grows by what is taken from the system. */
struct layout_heap;
struct layout_heap *layout_heap_new(int64_t *used);
void layout_heap_free(struct layout_heap *h); /* NULL is allowed */
/* Raw blocks, 16-byte aligned; give takes the same n as take. */
void *layout_take(struct layout_heap *h, size_t n);
void layout_give(struct layout_heap *h, void *p, size_t n);
/* At most this many bytes are taken from the system for one block of n bytes, apart from one chunk of 64 KiB. */
size_t layout_bound(size_t n);

/* A str whose bytes live in the heap. `old`, when it is the value being replaced, lets the heap reuse its room; p must
 * not point into it. */
struct str layout_keep(struct layout_heap *h, const struct str *old, const char *p, uint32_t n);
/* The value old (made here) with p[0..n) behind it; repeated appends copy each byte a bounded number of times. */
struct str layout_append(struct layout_heap *h, const struct str *old, const char *p, uint32_t n);
void layout_drop(struct layout_heap *h, const struct str *s);

#endif
