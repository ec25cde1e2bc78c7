/* What a state value is made of, so that save, load and hash follow from the declaration: runs of raw bytes and
 * texts. SPDX-License-Identifier: Apache-2.0 */
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

/* Memory for the texts of a table's values; dies with the table (slice). */
struct layout_heap;
/* A str whose bytes live in the heap. `old`, when it is the value being replaced, lets the heap reuse its room. */
struct str layout_keep(struct layout_heap *h, const struct str *old, const char *p, uint32_t n);

#endif
