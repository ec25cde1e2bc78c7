/* SPDX-License-Identifier: Apache-2.0 */
#include "format/report.h"

#include "expr/cell.h"

#include <stdarg.h>
#include <stdio.h>

void report_put(struct decode_report *r, const struct place *at, const char *fmt, ...)
{
    if (r->last.code && !at->split && at->offset < r->last_offset) return;
    char where[280], what[300];
    int n = at->split  ? snprintf(where, sizeof where, "record %lld of %.100s", (long long)at->offset, at->split)
            : at->line ? snprintf(where, sizeof where, "line %lld", (long long)at->line)
                       : snprintf(where, sizeof where, "record at byte %lld", (long long)at->offset);
    if (at->column) snprintf(where + n, sizeof where - (size_t)n, ", column \"%.100s\"", at->column);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    r->last = (struct err){0};
    err_set(&r->last, E_DECODE, "%s: %s", where, what);
    r->last_offset = at->offset;
}

enum status report_fail(const struct decode_report *r, struct err *err)
{
    if (err) *err = r->last;
    return E_DECODE;
}

const char *report_text(const char *p, size_t n, char *buf)
{
    size_t keep = n < REPORT_TEXT - 4 ? n : REPORT_TEXT - 8;
    while (keep && keep < n && ((unsigned char)p[keep] & 0xc0) == 0x80) keep--; /* not in the middle of a character */
    bool text = utf8_valid(p, keep);
    for (size_t i = 0; i < keep; i++) {
        unsigned char c = (unsigned char)p[i];
        buf[i] = c < 32 || c == 127 || (c > 127 && !text) ? '?' : (char)c;
    }
    memcpy(buf + keep, keep < n ? "..." : "", keep < n ? 4 : 1);
    return buf;
}
