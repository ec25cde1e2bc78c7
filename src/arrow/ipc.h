/* Arrow IPC, the stream format: a schema message, record batches, an end. Columns are those of the C data interface (cdata.h), which alone
 * knows how our types look in Arrow.
 *
 * A message: ff ff ff ff, int32 bytes of metadata, the metadata (a flatbuffer, padded to 8), and the body, whose length the metadata tell:
 * buffers one after another, each padded to 8. The end: ff ff ff ff 00 00 00 00, or that no bytes follow. All little endian.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_IPC_H
#define ARROW_IPC_H

#include "arrow/cdata.h"
#include "arrow/flat.h"

/* ---- writing ---------------------------------------------------------------------------------------- */

/* Each appends to `out`. s is of cdata_schema, a of cdata_export with the same flags. */
void ipc_put_schema(const struct ArrowSchema *s, struct text *out);
/* Rows [from, from + n) of a. */
void ipc_put_rows(const struct ArrowArray *a, const struct ArrowSchema *s, int64_t from, int64_t n, struct text *out);
void ipc_put_end(struct text *out);

/* ---- reading ---------------------------------------------------------------------------------------- */

/* What stands at a place in a stream; it points into the bytes. */
enum ipc_kind { IPC_END, IPC_SCHEMA, IPC_ROWS, IPC_DICTIONARY, IPC_OTHER };
struct ipc_message {
    enum ipc_kind kind;
    uint64_t size;          /* of all of it. After ST_WAIT: so many bytes are needed to tell more */
    struct flat_view header;
    const char *body;
    uint64_t body_n;
};
/* Looks at p[0..n). ST_WAIT: it is not known yet, or of more than `most` bytes, which size then tells. E_DECODE: that is no message. When
 * n < size its body is not whole yet. */
enum status ipc_message_at(const char *p, size_t n, uint64_t most, struct ipc_message *out, struct err *err) MUST_CHECK;

/* Reads messages into rows of a target schema, whose columns are found by name: exactly, else without regard to case. Columns that are not
 * wanted are passed over, whatever they are. Not read: dictionary-encoded, nested and compressed columns, each refused by name. All places
 * are checked against the bytes before a value is looked at. */
struct ipc_reader;
struct ipc_reader *ipc_reader_new(const struct schema *target);
void ipc_reader_free(struct ipc_reader *r); /* NULL is allowed */
AUTO_DEFINE(ipc_reader_free, struct ipc_reader *)
/* A whole message of kind IPC_SCHEMA; its bytes may go. An error: nothing of this schema can be read. */
enum status ipc_reader_schema(struct ipc_reader *r, struct pool *p, const struct ipc_message *m, struct err *err) MUST_CHECK;
/* Whether m is the schema that the reader has. */
bool ipc_reader_is_same(const struct ipc_reader *r, const struct ipc_message *m);
/* A whole message of kind IPC_ROWS after a schema; its rows, which are valid as long as its bytes, until the next call; batches
 * come from p. */
enum status ipc_reader_rows(struct ipc_reader *r, struct pool *p, const struct ipc_message *m, struct cdata **out,
                            struct err *err) MUST_CHECK;

#endif
