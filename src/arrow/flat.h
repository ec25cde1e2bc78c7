/* Flatbuffers by hand, as far as Arrow's messages need them: tables, vectors and strings, written from front to back, and read with
 * every place checked against the buffer before it is used.
 *
 * A table is a signed distance back to its vtable, then its fields; a vtable is two sizes and for each field its place in the
 * table, 0 for one that is not there. A reference is the distance from where it stands to what it means. All little endian.
 * Belongs to src/arrow. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_FLAT_H
#define ARROW_FLAT_H

#include "base/text.h"

/* ---- writing ---------------------------------------------------------------------------------------- */

/* Places are counted from `base`, where the buffer begins in `out`. */
struct flat {
    struct text *out;
    size_t base;
};
/* A field of a table to be written; one of size 0 is not there. One that refers to something is of 4 bytes and value 0; `at` is where it
 * stands then, for flat_refer. */
struct flat_field {
    uint8_t size; /* 0, 1, 2, 4, 8 */
    int64_t value;
    size_t at;
};
/* Begins a buffer at the end of `out`, with the reference to its root at place 0. */
struct flat flat_begin(struct text *out);
/* These return where what they write stands. The fields of a table are in the order of their numbers. */
size_t flat_table(struct flat *f, struct flat_field *fields, int n);
size_t flat_string(struct flat *f, const char *s);
/* Begins a vector whose n elements, aligned to `align` (4 or 8), follow by flat_put. */
size_t flat_vector(struct flat *f, uint32_t n, size_t align);
/* The reference at `at` means what stands at `target`, which is behind it. */
void flat_refer(struct flat *f, size_t at, size_t target);
void flat_put(struct flat *f, const void *p, size_t n);
void flat_pad(struct flat *f, size_t align);
static inline size_t flat_at(const struct flat *f) { return f->out->n - f->base; }

/* ---- reading ---------------------------------------------------------------------------------------- */

/* The bytes of a buffer. */
struct flat_bytes {
    const char *p;
    uint32_t n;
};
/* A table that lies in the buffer, with its vtable and all fields that this names. Zero: there is none, and no field of it. */
struct flat_view {
    struct flat_bytes in;
    uint32_t at, size;          /* of the table */
    uint32_t vtable, nfields;
};
struct flat_list {
    struct flat_bytes in;
    uint32_t at, n; /* of the first element */
};
/* False: it does not lie in the buffer. One that is not there is no fault: an empty view, an empty list, the default. */
bool flat_root(struct flat_bytes in, struct flat_view *out);
bool flat_int(const struct flat_view *t, int field, size_t size, int64_t dflt, int64_t *out);
bool flat_child(const struct flat_view *t, int field, struct flat_view *out);
/* Elements of `size` bytes; of 4 for references, which flat_element follows. */
bool flat_items(const struct flat_view *t, int field, size_t size, struct flat_list *out);
bool flat_element(const struct flat_list *l, uint32_t i, struct flat_view *out);
/* The bytes of a string, NULL when it is not there; without a NUL among them, and with one behind. Many may refer to the same bytes,
 * so one that is longer than any name counts as none. */
enum { FLAT_TEXT_MAX = 65536 };
bool flat_text(const struct flat_view *t, int field, const char **out);
static inline bool flat_has(const struct flat_view *t) { return t->size; }

#endif
