/* Errors with the line they are in and a caret under the place. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "sql/tree.h"

#include <utf8proc.h>

/* Most bytes of a line that are shown on either side of the place. */
#define SIDE 100

struct place {
    size_t line, column; /* counted from 1, in characters */
    size_t start, end;   /* of the line's text */
};

static bool is_inner(char c) { return (c & 0xc0) == 0x80; }

static struct place find(const char *s, size_t n, size_t pos)
{
    struct place p = {.line = 1, .column = 1};
    for (size_t i = 0; i < pos; i++)
        if (s[i] == '\n') p.line++, p.start = i + 1;
    for (size_t i = p.start; i < pos; i++) p.column += !is_inner(s[i]);
    const char *newline = n > pos ? memchr(s + pos, '\n', n - pos) : NULL;
    p.end = newline ? (size_t)(newline - s) : n;
    if (p.end > p.start && s[p.end - 1] == '\r' && p.end > pos) p.end--;
    return p;
}

/* Text as a terminal shows it in a line: tabs and control characters are one blank. Returns the cells it takes. */
static int put_line(const char *s, size_t n, struct text *out)
{
    int cells = 0;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(n - i), &c);
        bool bad = len <= 0, blank = !bad && (c < 0x20 || (c >= 0x7f && c < 0xa0));
        if (bad || blank)
            text_putc(out, bad ? '?' : ' ');
        else
            text_put(out, s + i, (size_t)len);
        cells += bad || blank ? 1 : utf8proc_charwidth(c);
        i += bad ? 1 : (size_t)len;
    }
    return cells;
}

static void put_excerpt(const char *s, const struct place *p, size_t pos, struct text *out)
{
    size_t from = p->start, to = p->end;
    if (pos - from > SIDE) from = pos - SIDE;
    if (to - pos > SIDE) to = pos + SIDE;
    while (from < pos && from > p->start && is_inner(s[from])) from++;
    while (to > pos && to < p->end && is_inner(s[to])) to--;
    const char *before = from > p->start ? "..." : "";
    text_printf(out, "\n  %s", before);
    int cells = (int)strlen(before) + put_line(s + from, pos - from, out);
    put_line(s + pos, to - pos, out);
    text_printf(out, "%s\n  %*s^", to < p->end ? "..." : "", cells, "");
}

/* The line is that of the text without its secrets: they may have lines of their own. */
static void put_line_of(const char *text, size_t n, size_t pos, struct text *out)
{
    struct text masked = {0};
    sql_mask(text, n, &pos, &masked);
    const char *s = text_cstr(&masked);
    struct place p = find(s, masked.n, pos);
    put_excerpt(s, &p, pos, out);
    text_done(&masked);
}

void sql_print_error(const char *file, const char *text, size_t n, const struct err *err, struct text *out)
{
    bool placed = err->pos != NO_POS;
    size_t pos = placed && err->pos < n ? err->pos : n;
    if (placed) {
        struct place p = find(text, n, pos);
        text_printf(out, "%s:%zu:%zu: ", file, p.line, p.column);
    } else {
        text_printf(out, "%s: ", file);
    }
    text_printf(out, "[LAM-%04d] %s", err->code, err->text);
    if (placed) put_line_of(text, n, pos, out);
    if (err->hint[0]) text_printf(out, "\nhint: %s", err->hint);
    text_putc(out, '\n');
}
