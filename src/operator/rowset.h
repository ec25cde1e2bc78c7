/* Rows in declared state, by a key that may repeat: what SORT and JOIN keep. Rows of one key stay in arrival order. A row of
 * weight -1 takes one equal row away.
 *
 * A batch is taken in two halves. Staging writes the codes of keys and rows to scratch memory; then rowset_reserve may be
 * refused; then rowset_apply changes the state. SPDX-License-Identifier: Apache-2.0 */
#ifndef OPERATOR_ROWSET_H
#define OPERATOR_ROWSET_H

#include "operator/op.h"

#define ROWSET_SEQUENCE 8 /* bytes after each key in state, so that equal keys differ */

struct staged {
    size_t key, row;    /* offsets in bytes */
    uint32_t nkey, nrow; /* nkey without the sequence */
    uint32_t at;        /* row of the batch */
    uint8_t group;
    int8_t weight;
};

struct rowset {
    struct ordered *ordered;
    const struct schema *schema;
    struct text bytes;     /* keys, each with room for a sequence, and rows */
    struct staged *staged;
    size_t cap;
    uint32_t n;
    struct ordered_cursor find;
};

enum status rowset_init(struct rowset *s, struct state *state, const char *name, const struct schema *schema, struct err *err);
void rowset_done(struct rowset *s);

void rowset_stage_none(struct rowset *s, uint32_t max); /* forgets what is staged; room for max rows */
/* The caller then appends the key to s->bytes and calls one of the others. */
void rowset_stage_key(struct rowset *s);
void rowset_stage_row(struct rowset *s, const struct batch *b, uint32_t row, int group); /* key and row */
void rowset_stage_only_key(struct rowset *s, const struct batch *b, uint32_t row);
void rowset_stage_drop(struct rowset *s);               /* not this one after all */
static inline const char *rowset_key(const struct rowset *s, const struct staged *g) { return s->bytes.p + g->key; }

enum status rowset_reserve(struct rowset *s, struct state *state) MUST_CHECK;
/* False: a row of weight -1 had no equal. */
bool rowset_apply(struct rowset *s);
/* Puts the cursor on the first row of the key. */
void rowset_seek(struct rowset *s, struct ordered_cursor *c, const char *key, uint32_t nkey);
/* Whether the cursor stands on a row of that key; its row's code. */
bool rowset_on(struct rowset *s, struct ordered_cursor *c, const char *key, uint32_t nkey, const char **row, uint32_t *nrow);

#endif
