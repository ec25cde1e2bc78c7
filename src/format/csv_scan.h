/* Finds where the fields and records of CSV text end, 64 bytes at a time.
 *
 * A quote opens a quoted field only as the field's first byte; elsewhere in an unquoted field it is a byte like others,
 * so that a stray quote spoils its own record and not the file. Inside, two quotes are one. What follows a closing
 * quote other than a delimiter or the record's end is for the reader of the field to refuse. Belongs to src/format.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_CSV_SCAN_H
#define FORMAT_CSV_SCAN_H

#include "format/csv_dialect.h"

/* Where the scan stands between two bytes. */
struct csv_state {
    bool inside; /* a quoted field */
    bool closed; /* right after a closing quote */
    bool start;  /* of a field */
};
#define CSV_START ((struct csv_state){.start = true})

/* ends[i]: place of the separator (delimiter or newline) that ends the i-th field. ends[-1] is readable and makes
 * ends[i - 1] + 1 the place where field i begins. */
struct csv_index {
    uint32_t *buf, *ends;
    uint32_t n, cap;
    uint32_t newlines;      /* how many of the ends are newlines */
    bool quotes;            /* some were seen */
    bool high;              /* bytes above 127 were seen */
    struct csv_state state; /* at the end of what was scanned */
};
void csv_index_done(struct csv_index *x);
void csv_index_clear(struct csv_index *x); /* before csv_scan_more; csv_scan does it */

/* Scans p[0..n) from x->state until at least max_newlines records have ended. At least 63 bytes after p+n are readable.
 */
void csv_scan(const struct csv_dialect *d, const char *p, uint32_t n, uint32_t max_newlines, struct csv_index *x);
/* Scans p[from..n) as a text of its own, from x->state, and adds its ends to those that are there; x->newlines counts the new ones. */
void csv_scan_more(const struct csv_dialect *d, const char *p, uint32_t from, uint32_t n, struct csv_index *x);
/* What csv_scan is where there is no AVX2. */
void csv_scan_portable(const struct csv_dialect *d, const char *p, uint32_t n, uint32_t max_newlines,
                       struct csv_index *x);
/* Adds an end by hand: a last record without its newline. */
void csv_index_push(struct csv_index *x, uint32_t end);

#endif
