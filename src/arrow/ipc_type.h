/* The types of Arrow's messages, by the format strings of the C data interface: "i", "tsu:UTC", "d:10,2". Which of them go into which of
 * ours is cdata's to say. Belongs to src/arrow. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARROW_IPC_TYPE_H
#define ARROW_IPC_TYPE_H

#include "arrow/flat.h"

#define IPC_FORMAT_MAX 64 /* bytes of a format string, with its NUL; a longer time zone is cut, for it means nothing to us */

/* What a record batch has of a column. */
struct ipc_shape {
    uint8_t buffers;  /* before the children's; views have more, as many as the batch says */
    uint8_t offsets;  /* bytes of one, of text: buffers are validity, offsets, bytes; 0: not text */
    bool views;       /* of text */
    bool bits;        /* values are bits */
    bool nested;      /* has children, or is a union: no column of ours */
    uint32_t width;   /* bytes of a value in the second buffer; 0: bits, text, none */
};

/* Of a format that cdata_schema gives: which type it is, its table (returns where that stands), its shape. */
int64_t ipc_type_code(const char *format);
size_t ipc_type_put(struct flat *f, const char *format);
struct ipc_shape ipc_type_shape(const char *format);
/* The format and shape of type `code`, whose table is t. False: it is not well formed. Of a nested type the format is "+". */
bool ipc_type_read(int64_t code, const struct flat_view *t, char format[IPC_FORMAT_MAX], struct ipc_shape *out);
#endif
