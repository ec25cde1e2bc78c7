/* One value of a column of rows, as the bytes of a key. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_CELL_H
#define KAFKA_CELL_H

#include <laminar_connector.h>

/* Whether a column of this type can be a key: text, bytes, whole numbers and booleans. */
bool cell_fits(const struct ArrowSchema *column);
/* NULL with *n 0: NULL. Numbers are written to `room`, which has 24 bytes. */
const char *cell_bytes(const struct ArrowSchema *column, const struct ArrowArray *a, int64_t row, char *room,
                       size_t *n);
/* False with NULL. For columns of whole numbers. */
bool cell_int(const struct ArrowSchema *column, const struct ArrowArray *a, int64_t row, int64_t *out);

#endif
