/* Growing text and byte buffers, names, and nearest names. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/status.h"

/* A growing buffer. Zero is empty. `max` (0: none) bounds it; past it, `full` is set and further
 * puts are ignored, so callers check once at the end. Not NUL-terminated unless text_cstr. */
struct text {
    char *p;
    size_t n, cap, max;
    bool full;
};
void text_done(struct text *t);
static inline void text_clear(struct text *t) { t->n = 0, t->full = false; }
/* Room for n more bytes; returns where to write, or NULL when full. The caller then adds to t->n. */
char *text_room(struct text *t, size_t n);
void text_put(struct text *t, const void *p, size_t n);
void text_puts(struct text *t, const char *s);
void text_putc(struct text *t, char c);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *text_cstr(struct text *t); /* adds a NUL beyond n */

/* Of `names`, the one nearest to `name` by edit distance, or NULL when none is near enough to be
 * meant. next(ctx, i) gives the i-th name or NULL at the end. */
const char *text_nearest(const char *name, const char *(*next)(const void *ctx, int i), const void *ctx);

/* How many letters must be put in, left out, replaced or swapped with their neighbour; 64 for long names. */
int text_distance(const char *a, const char *b);

/* ASCII only, locale-free. */
int text_casecmp(const char *a, const char *b);

#endif
