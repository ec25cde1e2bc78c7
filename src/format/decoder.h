/* What decoders share. Belongs to src/format. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_DECODER_H
#define FORMAT_DECODER_H

#include "expr/cell.h"
#include "format/format.h"
#include "format/report.h"

#define DECODER_WINDOW (1u << 30) /* bytes looked at by one call: places fit 32 bits */

/* Passes a byte order mark at the split's beginning. False: it cannot be told yet whether there is one. */
bool decoder_begin(struct decoder *d);
/* Bytes at hand, as one call looks at them. */
static inline uint32_t decoder_have(const struct decoder *d)
{
    return d->end - d->p > DECODER_WINDOW ? DECODER_WINDOW : (uint32_t)(d->end - d->p);
}
static inline enum status decoder_none(const struct decoder *d)
{
    return d->last && d->p == d->end ? ST_DONE : ST_WAIT;
}
static inline void decoder_move(struct decoder *d, size_t n)
{
    d->p += n, d->offset += (int64_t)n;
}

void decoder_null(struct batch *b, const struct schema *s, int col, uint32_t row, uint32_t cap);
/* cell_parse, the checks text needs, and a copy of long text in the batch. b NULL: only says what is wrong; data then
 * holds 16 bytes of no meaning. */
enum status decoder_cell(struct batch *b, struct type t, void *data, const char *p, size_t n, struct err *err);
/* The rows whose bit is not set, as a batch of their own; takes b. */
struct batch *decoder_live(struct pool *pool, const struct schema *s, struct batch *b, const uint64_t *dead);

#endif
