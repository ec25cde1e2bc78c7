/* What decoders say about records they could not take. Belongs to src/format. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_REPORT_H
#define FORMAT_REPORT_H

#include "format/format.h"

/* Where a fault is: the record's line (0: unknown) and its byte offset in the split; the column, or NULL for the
 * record. split: one of records that come one by one, of the split so called; offset is what the record is called. */
struct place {
    int64_t line, offset;
    const char *column, *split;
};
/* Keeps the fault as the latest, if it is. */
void report_put(struct decode_report *r, const struct place *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What it kept, as the error of a decoder that fails. */
enum status report_fail(const struct decode_report *r, struct err *err);
/* A text cut short and made harmless for a message: control characters and what is not UTF-8 become '?'. Static buffers
 * are not used: buf holds REPORT_TEXT bytes; returns buf. */
#define REPORT_TEXT 72
const char *report_text(const char *p, size_t n, char *buf);

#endif
