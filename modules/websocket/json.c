/* See json.h. SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdio.h>
#include <string.h>

/* ---- UTF-8 */

/* How many bytes follow the first one, and in which range the second lies; -1: it begins nothing. */
static int tail_of(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = 0x80, *high = 0xbf;
    if (c < 0x80) return 0;
    if (c < 0xc2 || c > 0xf4) return -1;
    if (c < 0xe0) return 1;
    if (c == 0xe0) *low = 0xa0;
    if (c == 0xed) *high = 0x9f;
    if (c == 0xf0) *low = 0x90;
    if (c == 0xf4) *high = 0x8f;
    return c < 0xf0 ? 2 : 3;
}

bool utf8_is_valid(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n;
    while (p < end) {
        unsigned char low, high;
        int k = tail_of(*p++, &low, &high);
        if (k < 0 || end - p < k) return false;
        if (k && (*p < low || *p > high)) return false;
        for (int i = 1; i < k; i++)
            if ((p[i] & 0xc0) != 0x80) return false;
        p += k;
    }
    return true;
}

static size_t utf8_put(uint32_t c, char *to)
{
    if (c < 0x80) return to[0] = (char)c, 1;
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i; i--, c >>= 6) to[i] = (char)(0x80 | (c & 63));
    to[0] = (char)(lead[n] | c);
    return (size_t)n;
}

/* ---- out */

/* The bytes of the character at s; 0: there is none. */
static size_t character(const char *s)
{
    unsigned char low, high;
    int k = tail_of((unsigned char)*s, &low, &high);
    size_t n = strnlen(s, (size_t)(k + 1));
    return k >= 0 && n == (size_t)k + 1 && utf8_is_valid(s, n) ? n : 0;
}

size_t json_quote(const char *s, char *to, size_t cap)
{
    size_t n = 0;
    to[n++] = '"';
    while (*s) {
        char one[8] = "?";
        size_t used = character(s), k = used ? used : 1;
        if (used == 1 && (*s == '"' || *s == '\\'))
            k = (size_t)snprintf(one, sizeof one, "\\%c", *s);
        else if (used == 1 && (unsigned char)*s < ' ')
            k = (size_t)snprintf(one, sizeof one, "\\u%04x", (unsigned)*s);
        else if (used)
            memcpy(one, s, used);
        if (n + k + 2 > cap) break;
        memcpy(to + n, one, k);
        n += k;
        s += used ? used : 1;
    }
    to[n++] = '"';
    to[n] = 0;
    return n;
}

/* ---- in */

struct reader {
    char *p, *end;
};

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p) r->p++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != c) return false;
    r->p++;
    return true;
}

static bool read_hex(struct reader *r, uint32_t *out)
{
    if (r->end - r->p < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return false;
        *out = *out << 4 | (uint32_t)d;
    }
    return true;
}

/* What stands behind a backslash; it is never longer than what it is written as. */
static bool read_escape(struct reader *r, char **to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (r->p == r->end) return false;
    char c = *r->p++;
    const char *at = c ? strchr(names, c) : NULL;
    if (at) return *(*to)++ = values[at - names], true;
    uint32_t u, low;
    if (c != 'u' || !read_hex(r, &u) || !u || (u >= 0xdc00 && u < 0xe000)) return false;
    if (u >= 0xd800 && u < 0xdc00) {
        if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u') return false;
        r->p += 2;
        if (!read_hex(r, &low) || low < 0xdc00 || low >= 0xe000) return false;
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    }
    *to += utf8_put(u, *to);
    return true;
}

static bool read_text(struct reader *r, const char **out)
{
    if (!take(r, '"')) return false;
    char *to = r->p;
    *out = to;
    while (r->p < r->end && *r->p != '"') {
        unsigned char c = (unsigned char)*r->p++;
        if (c < ' ') return false;
        if (c != '\\')
            *to++ = (char)c;
        else if (!read_escape(r, &to))
            return false;
    }
    if (r->p == r->end) return false;
    r->p++;
    *to = 0; /* at the quote, or before it */
    return true;
}

/* A number or a word: what it is ended by is still to be read, so its zero is set later. */
static bool read_plain(struct reader *r, struct json_member *m, char **zero)
{
    static const char *const words[] = {"true", "false", "null"};
    char *from = r->p;
    while (r->p < r->end && *r->p && (strchr("+-.", *r->p) || (*r->p >= '0' && *r->p <= '9') || (*r->p >= 'a' && *r->p <= 'z') ||
                                      (*r->p >= 'A' && *r->p <= 'Z')))
        r->p++;
    size_t n = (size_t)(r->p - from);
    m->value = from;
    *zero = r->p;
    m->kind = JSON_NUMBER;
    for (int i = 0; i < 3; i++)
        if (n == strlen(words[i]) && !memcmp(from, words[i], n)) m->kind = JSON_WORD;
    return n && (m->kind == JSON_WORD || *from == '-' || (*from >= '0' && *from <= '9'));
}

static bool read_value(struct reader *r, struct json_member *m, char **zero)
{
    *zero = NULL;
    skip_blanks(r);
    if (r->p == r->end || *r->p != '"') return read_plain(r, m, zero);
    m->kind = JSON_TEXT;
    return read_text(r, &m->value);
}

int json_read(char *p, size_t n, struct json_member *out, int max)
{
    struct reader r = {p, p + n};
    char *zero = NULL;
    int k = 0;
    bool more = take(&r, '{') && !take(&r, '}');
    if (!more && (r.p == p || r.p[-1] != '}')) return -1;
    while (more) {
        if (k == max || !read_text(&r, &out[k].name) || !take(&r, ':') || !read_value(&r, &out[k], &zero)) return -1;
        k++;
        more = take(&r, ',');
        if (!more && !take(&r, '}')) return -1;
        if (zero) *zero = 0;
    }
    skip_blanks(&r);
    return r.p == r.end ? k : -1;
}
