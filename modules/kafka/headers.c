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

/* ---- writing */

struct made {
    char *out;
    size_t n, room;
};

static void put(struct made *m, const char *p, size_t n)
{
    if (m->n + n <= m->room) memcpy(m->out + m->n, p, n);
    m->n += n;
}

/* The length of the character at p, 0: none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t k = *p < 0x80                 ? 1
               : *p >= 0xC2 && *p < 0xE0 ? 2
               : *p >= 0xE0 && *p < 0xF0 ? 3
               : *p >= 0xF0 && *p < 0xF5 ? 4
                                         : 0;
    if (!k || k > n) return 0;
    for (size_t i = 1; i < k; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) || (*p == 0xF0 && p[1] < 0x90) ||
        (*p == 0xF4 && p[1] > 0x8F))
        return 0;
    return k;
}

static bool is_utf8(const char *p, size_t n)
{
    for (size_t k; n; p += k, n -= k)
        if (!(k = utf8_length((const unsigned char *)p, n))) return false;
    return true;
}

static void put_byte(struct made *m, unsigned char c, const char *before)
{
    static const char digits[] = "0123456789abcdef";
    put(m, before, strlen(before));
    put(m, (const char[]){digits[c >> 4], digits[c & 15]}, 2);
}

static void put_text(struct made *m, const char *p, size_t n)
{
    bool text = is_utf8(p, n);
    put(m, text ? "\"" : "\"\\\\x", text ? 1 : 4);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (!text)
            put_byte(m, c, "");
        else if (c < 0x20)
            put_byte(m, c, "\\u00");
        else if (c == '"' || c == '\\')
            put(m, (const char[]){'\\', (char)c}, 2);
        else
            put(m, p + i, 1);
    }
    put(m, "\"", 1);
}

size_t headers_write(const rd_kafka_headers_t *headers, char *out, size_t room)
{
    struct made m = {out, 0, room};
    const char *name;
    const void *value;
    size_t n;
    if (!headers) return 0;
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &n); i++) {
        put(&m, i ? "," : "{", 1);
        put_text(&m, name, strlen(name));
        put(&m, ":", 1);
        if (value)
            put_text(&m, value, n);
        else
            put(&m, "null", 4);
    }
    put(&m, m.n ? "}" : "{}", m.n ? 1 : 2);
    return m.n;
}
