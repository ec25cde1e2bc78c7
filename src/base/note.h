/* A note: a short text that its owner writes now and then and others show. The owner never waits: while someone reads, the
 * new text is left out. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_NOTE_H
#define BASE_NOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

struct note {
    _Atomic bool busy;
    char text[200];
};

static inline void note_write(struct note *n, const char *text)
{
    if (atomic_exchange_explicit(&n->busy, true, memory_order_acquire)) return;
    snprintf(n->text, sizeof n->text, "%.199s", text);
    atomic_store_explicit(&n->busy, false, memory_order_release);
}

/* out holds at least sizeof n->text; empty when nothing was ever written. */
static inline void note_read(struct note *n, char *out)
{
    while (atomic_exchange_explicit(&n->busy, true, memory_order_acquire)) {}
    snprintf(out, sizeof n->text, "%s", n->text);
    atomic_store_explicit(&n->busy, false, memory_order_release);
}

#endif
