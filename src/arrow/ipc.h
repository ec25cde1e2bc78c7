/* Arrow IPC, the stream format: a schema message, record batches, an end. Columns are those of the C data interface (cdata.h), which alone
 * knows how our types look in Arrow.
 *
 * A message: ff ff ff ff, int32 bytes of metadata, the metadata (a flatbuffer, padded to 8), and the body, whose length the metadata tell:
 * buffers one after another, each padded to 8. The end: ff ff ff ff 00 00 00 00, or that no bytes follow. All little endian.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_IPC_H
#define ARROW_IPC_H

#include "arrow/cdata.h"
#include "base/text.h"

/* ---- writing ---------------------------------------------------------------------------------------- */

/* Each appends to `out`. s is of cdata_schema, a of cdata_export with the same flags. */
void ipc_put_schema(const struct ArrowSchema *s, struct text *out);
/* Rows [from, from + n) of a. */
void ipc_put_rows(const struct ArrowArray *a, const struct ArrowSchema *s, int64_t from, int64_t n, struct text *out);
void ipc_put_end(struct text *out);

#endif
