/* CSV text as Arrow arrays, built plainly: one malloc a buffer. SPDX-License-Identifier: Apache-2.0 */
#include "feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int feed_split(char *line, char **fields, int max)
{
    int n = 0;
    for (char *p = line; n < max;) {
        if (*p == '"') {
            char *to = ++p;
            fields[n++] = to;
            while (*p && !(*p == '"' && p[1] != '"')) {
                if (*p == '"') p++;
                *to++ = *p++;
            }
            if (*p) p++;
            char next = *p;
            *to = 0;
            if (next != ',') break;
            p++;
        } else {
            char *comma = strchr(p, ',');
            if (comma) *comma = 0;
            fields[n++] = *p && strcmp(p, "NULL") ? p : NULL;
            if (!comma) break;
            p = comma + 1;
        }
    }
    return n;
}

static int64_t days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool time_of(const char *s, int64_t *us, const char **end)
{
    int h, m, n = 0;
    char sec[16] = "0";
    if (sscanf(s, "%d:%d%n", &h, &m, &n) < 2) return false;
    s += n;
    if (*s == ':') {
        int k = (int)strspn(s + 1, "0123456789.");
        snprintf(sec, sizeof sec, "%.*s", k, s + 1);
        s += k + 1;
    }
    *us = ((int64_t)h * 60 + m) * 60000000 + (int64_t)(strtod(sec, NULL) * 1e6 + 0.5);
    *end = s;
    return true;
}

bool feed_timestamp(const char *s, int64_t *us)
{
    int y, m, d, n = 0;
    if (sscanf(s, "%d-%d-%d%n", &y, &m, &d, &n) < 3) {
        char *end;
        *us = strtoll(s, &end, 10) * 1000;
        return *s && !*end;
    }
    *us = days_of(y, m, d) * 86400000000ll;
    s += n;
    if (*s != ' ' && *s != 'T') return !*s;
    int64_t t;
    if (!time_of(s + 1, &t, &s)) return false;
    *us += t;
    return !*s || !strcmp(s, "Z") || !strcmp(s, "+00");
}

/* ---- one column --------------------------------------------------------------------------------- */

struct building {
    uint8_t *valid, *data;
    int32_t *offsets; /* of text */
    char *bytes;
    size_t n_bytes, width;
};

static bool decimal_of(const char *s, int scale, uint8_t *out)
{
    __int128 v = 0;
    bool negative = *s == '-', point = false;
    if (*s == '-' || *s == '+') s++;
    for (; *s; s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        if (*s < '0' || *s > '9' || (point && scale-- <= 0)) return false;
        v = v * 10 + (*s - '0');
    }
    while (scale-- > 0) v *= 10;
    if (negative) v = -v;
    memcpy(out, &v, 16);
    return true;
}

static bool hex_of(const char *s, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        if (*s == '-') s++;
        if (sscanf(s, "%2x", &byte) != 1) return false;
        out[i] = (uint8_t)byte;
        s += 2;
    }
    return !*s;
}

static void add_bytes(struct building *b, const char *p, size_t n)
{
    b->bytes = realloc(b->bytes, b->n_bytes + n + 1);
    memcpy(b->bytes + b->n_bytes, p, n);
    b->n_bytes += n;
}

static bool add_blob(struct building *b, const char *s)
{
    if (strncmp(s, "\\x", 2)) return add_bytes(b, s, strlen(s)), true;
    size_t n = strlen(s + 2) / 2;
    uint8_t *raw = malloc(n + 1);
    bool ok = hex_of(s + 2, raw, n);
    add_bytes(b, (char *)raw, n);
    free(raw);
    return ok;
}

static bool put(struct building *b, char kind, int scale, size_t i, const char *s)
{
    uint8_t *at = b->data + i * b->width;
    char *end = NULL;
    int64_t v = 0;
    const char *rest = "";
    bool ok = true;
    double d;
    switch (kind) {
    case 'b':
        if (strchr("tTyY1", *s)) b->data[i / 8] |= (uint8_t)(1 << (i % 8));
        return strchr("tTfFyYnN01", *s);
    case 'l':
        errno = 0;
        v = strtoll(s, &end, 10);
        ok = *s && !*end && !errno;
        break;
    case 'g':
        d = strtod(s, &end);
        memcpy(at, &d, 8);
        return *s && !*end;
    case 'd': return decimal_of(s, scale, at);
    case 'D':
        ok = feed_timestamp(s, &v);
        v /= 86400000000ll;
        memcpy(at, &v, 4);
        return ok;
    case 'T': ok = time_of(s, &v, &rest) && !*rest; break;
    case 't': ok = feed_timestamp(s, &v); break;
    case 'w': return hex_of(s, at, 16);
    case 'u': add_bytes(b, s, strlen(s)); return true;
    case 'z': return add_blob(b, s);
    }
    memcpy(at, &v, 8);
    return ok;
}

static char kind_of(const char *type, int *scale, char format[16])
{
    static const struct {
        const char *type, *format;
        char kind;
    } kinds[] = {
        {"BOOLEAN", "b", 'b'},      {"TINYINT", "l", 'l'}, {"SMALLINT", "l", 'l'}, {"INTEGER", "l", 'l'},
        {"BIGINT", "l", 'l'},       {"REAL", "g", 'g'},    {"DOUBLE", "g", 'g'},   {"VARCHAR", "u", 'u'},
        {"JSON", "u", 'u'},         {"BLOB", "z", 'z'},    {"DATE", "tdD", 'D'},   {"TIMESTAMPTZ", "tsu:UTC", 't'},
        {"TIMESTAMP", "tsu:", 't'}, {"TIME", "ttu", 'T'},  {"UUID", "w:16", 'w'},
    };
    *scale = 0;
    if (!strncmp(type, "DECIMAL", 7)) {
        const char *comma = strchr(type, ',');
        *scale = comma ? atoi(comma + 1) : 9;
        snprintf(format, 16, "d:38,%d", *scale);
        return 'd';
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strncmp(type, kinds[i].type, strlen(kinds[i].type))) {
            snprintf(format, 16, "%s", kinds[i].format);
            return kinds[i].kind;
        }
    return 0;
}

/* ---- the struct array ------------------------------------------------------------------------------ */

static void release_array(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_children; i++) {
        if (a->children[i]->release) a->children[i]->release(a->children[i]);
        free(a->children[i]);
    }
    for (int64_t i = 0; i < a->n_buffers; i++) free((void *)a->buffers[i]);
    free(a->buffers);
    free(a->children);
    a->release = NULL;
}

static void release_schema(struct ArrowSchema *x)
{
    for (int64_t i = 0; i < x->n_children; i++) {
        x->children[i]->release(x->children[i]);
        free(x->children[i]);
    }
    free(x->children);
    free((void *)x->format);
    free((void *)x->name);
    x->release = NULL;
}

static void start(struct ArrowArray *a, struct ArrowSchema *x, const char *format, const char *name, int64_t length,
                  int64_t n_buffers, int64_t n_children)
{
    size_t n = (size_t)n_children;
    *a = (struct ArrowArray){.length = length,
                             .null_count = n_children ? 0 : -1,
                             .n_buffers = n_buffers,
                             .n_children = n_children,
                             .buffers = calloc((size_t)n_buffers, sizeof(void *)),
                             .children = calloc(n + 1, sizeof(void *)),
                             .release = release_array};
    *x = (struct ArrowSchema){.format = strdup(format),
                              .name = strdup(name),
                              .flags = ARROW_FLAG_NULLABLE,
                              .n_children = n_children,
                              .children = calloc(n + 1, sizeof(void *)),
                              .release = release_schema};
    for (size_t i = 0; i < n; i++) {
        a->children[i] = calloc(1, sizeof *a);
        x->children[i] = calloc(1, sizeof *x);
    }
}

static bool build(const struct feed_column *c, int col, char *(*rows)[FEED_COLUMNS], size_t n, struct ArrowArray *a,
                  struct ArrowSchema *x, char why[200])
{
    char format[16] = "n";
    int scale;
    char kind = kind_of(c->type, &scale, format);
    bool text = kind == 'u' || kind == 'z', ok = kind;
    start(a, x, format, c->name, (int64_t)n, text ? 3 : 2, 0);
    struct building b = {.width = kind == 'd' || kind == 'w' ? 16 : kind == 'D' ? 4 : kind == 'b' ? 1 : 8};
    b.valid = calloc(n / 8 + 1, 1);
    b.data = calloc(n + 1, 16);
    b.offsets = calloc(n + 1, 4);
    b.bytes = malloc(1);
    if (!ok) snprintf(why, 200, "column %s: type %s cannot be fed", c->name, c->type);
    for (size_t i = 0; ok && i < n; i++) {
        if (rows[i][col]) {
            b.valid[i / 8] |= (uint8_t)(1 << (i % 8));
            ok = put(&b, kind, scale, i, rows[i][col]);
            if (!ok) snprintf(why, 200, "column %s: %s is no %s", c->name, rows[i][col], c->type);
        }
        b.offsets[i + 1] = (int32_t)b.n_bytes;
    }
    a->buffers[0] = b.valid;
    a->buffers[1] = text ? (void *)b.offsets : b.data;
    if (text) a->buffers[2] = b.bytes;
    free(text ? (void *)b.data : b.offsets);
    if (!text) free(b.bytes);
    return ok;
}

bool feed_array(const struct feed_column *cols, int ncols, char *(*rows)[FEED_COLUMNS], size_t n, struct ArrowArray *a,
                struct ArrowSchema *x, char why[200])
{
    start(a, x, "+s", "", (int64_t)n, 1, ncols);
    bool ok = true;
    for (int c = 0; c < ncols; c++) ok = build(&cols[c], c, rows, n, a->children[c], x->children[c], why) && ok;
    if (ok) return true;
    a->release(a);
    x->release(x);
    return false;
}
