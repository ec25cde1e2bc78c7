/* Batches as bytes, column by column. Room-internal. SPDX-License-Identifier: Apache-2.0 */
#ifndef LOG_CODEC_H
#define LOG_CODEC_H

#include "arrow/batch.h"
#include "base/text.h"

/* Appends the rows of b to out; what is appended is a multiple of 8 bytes long. */
void codec_put(struct text *out, const struct schema *s, const struct batch *b);
/* A batch of the rows in p[0..n). E_CORRUPT: they are not what codec_put writes for this schema. */
enum status codec_get(const char *p, size_t n, const struct schema *s, struct pool *pool, struct batch **out, struct err *err);

#endif
