/* SPDX-License-Identifier: Apache-2.0 */
#include "headers.h"

#include <stdlib.h>
#include <string.h>

struct text {
    const char *p, *end;
};

static char peek(struct text *t)
{
    while (t->p < t->end && strchr(" \t\r\n", *t->p)) t->p++;
    return t->p < t->end ? *t->p : 0;
}

static bool take(struct text *t, char c)
{
    if (peek(t) != c) return false;
    t->p++;
    return true;
}

static int hex4(struct text *t)
{
    int v = 0;
    if (t->end - t->p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *d = memchr(digits, t->p[i] | 32, 16);
        if (t->p[i] >= '0' && t->p[i] <= '9') d = digits + (t->p[i] - '0');
        if (!d) return -1;
        v = v << 4 | (int)(d - digits);
    }
    t->p += 4;
    return v;
}

static char *put_utf8(char *out, int c)
{
    if (c < 0x80) return *out++ = (char)c, out;
    if (c < 0x800) return *out++ = (char)(0xC0 | c >> 6), *out++ = (char)(0x80 | (c & 63)), out;
    if (c >= 0x10000) {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
    } else {
        *out++ = (char)(0xE0 | c >> 12);
    }
    *out++ = (char)(0x80 | (c >> 6 & 63));
    *out++ = (char)(0x80 | (c & 63));
    return out;
}

static bool read_escape(struct text *t, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (t->p == t->end) return false;
    char c = *t->p++;
    const char *at = strchr(from, c);
    if (c && at) return *(*out)++ = to[at - from], true;
    int v = c == 'u' ? hex4(t) : -1;
    if (v >= 0xD800 && v < 0xDC00) {
        if (t->end - t->p < 6 || t->p[0] != '\\' || t->p[1] != 'u') return false;
        t->p += 2;
        int low = hex4(t);
        if (low < 0xDC00 || low > 0xDFFF) return false;
        v = 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
    }
    if (v < 0) return false;
    *out = put_utf8(*out, v);
    return true;
}

/* Into out, which has as many bytes as the text that is left. -1: no string. */
static ptrdiff_t read_string(struct text *t, char *out)
{
    char *at = out;
    if (!take(t, '"')) return -1;
    while (t->p < t->end && *t->p != '"') {
        if (*t->p != '\\') {
            *at++ = *t->p++;
        } else {
            t->p++;
            if (!read_escape(t, &at)) return -1;
        }
    }
    return t->p < t->end ? (t->p++, at - out) : -1;
}

/* Anything but a string: as it is written. */
static ptrdiff_t read_word(struct text *t, char *out)
{
    char *at = out;
    while (t->p < t->end && !strchr(",} \t\r\n", *t->p)) *at++ = *t->p++;
    return at > out && !strchr("[{", *out) ? at - out : -1;
}

static bool read_member(struct text *t, char *name, char *value, rd_kafka_headers_t *headers)
{
    ptrdiff_t n = read_string(t, name);
    if (n < 0 || !take(t, ':')) return false;
    bool string = peek(t) == '"';
    ptrdiff_t m = string ? read_string(t, value) : read_word(t, value);
    bool null = !string && m == 4 && !memcmp(value, "null", 4);
    return m >= 0 && !rd_kafka_header_add(headers, name, n, null ? NULL : value, null ? 0 : m);
}

bool headers_read(const char *p, size_t n, rd_kafka_headers_t **out)
{
    struct text t = {p, p + n};
    char *room = malloc(2 * n + 2);
    bool ok = room && take(&t, '{');
    *out = rd_kafka_headers_new(4);
    if (ok && !take(&t, '}')) {
        do ok = read_member(&t, room, room + n + 1, *out);
        while (ok && take(&t, ','));
        ok = ok && take(&t, '}');
    }
    ok = ok && !peek(&t);
    free(room);
    if (ok && rd_kafka_header_cnt(*out)) return true;
    rd_kafka_headers_destroy(*out);
    *out = NULL;
    return ok;
}
