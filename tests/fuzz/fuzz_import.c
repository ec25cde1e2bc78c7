/* Fuzzes the import of Arrow arrays: bytes choose formats, lengths, offsets and what stands in the buffers, including
 * structures that must be refused. Buffers are as long as the declared lengths ask for, no longer: that much is the
 * producer's duty, since the interface carries no sizes. SPDX-License-Identifier: Apache-2.0 */
#include "arrow/cdata.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct bytes {
    const uint8_t *p, *end;
};
static uint8_t take(struct bytes *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static struct field targets[] = {
    {"a", {.id = T_INT32},                                false},
    {"b", {.id = T_VARCHAR},                              false},
    {"c", {.id = T_BOOL},                                 false},
    {"d", {.id = T_DECIMAL, .precision = 12, .scale = 3}, false},
    {"e", {.id = T_TIMESTAMP},                            false},
    {"f", {.id = T_BLOB},                                 false},
    {"g", {.id = T_INTERVAL},                             false},
    {"h", {.id = T_FLOAT},                                false},
    {"i", {.id = T_TIME},                                 false},
    {"j", {.id = T_UUID},                                 false},
    {"k", {.id = T_DATE},                                 false},
    {"l", {.id = T_VARCHAR, .length = 3},                 false},
};
static const struct schema target = {countof(targets), targets, -1};
static const char *const formats[] = {
    "b",    "c",   "C",   "s",    "S",     "i",      "I",        "l",   "L",   "f",   "g",   "u",    "U",    "vu",
    "z",    "Z",   "vz",  "w:16", "w:3",   "tdD",    "tdm",      "tts", "ttm", "ttu", "ttn", "tss:", "tsm:", "tsu:UTC",
    "tsn:", "tiM", "tiD", "tin",  "d:5,1", "d:38,9", "d:9,2,64", "n",   "+l",  "",    "e",   "w:x",  "d:1",  "ts",
};

#define COLS 4
struct column_under_test {
    char name[2];
    void *owned[4];
    const void *buffers[4];
    struct ArrowArray array;
    struct ArrowSchema schema;
};

static void no_release_array(struct ArrowArray *a)
{
    a->release = NULL;
}
static void no_release_schema(struct ArrowSchema *s)
{
    s->release = NULL;
}

static void *make_buffer(struct bytes *in, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++) p[i] = take(in);
    return p;
}

static size_t width_of(const char *f)
{
    switch (f[0]) {
    case 'b':
    case 'c':
    case 'C': return 1;
    case 's':
    case 'S': return 2;
    case 'i':
    case 'I':
    case 'f': return 4;
    case 't':
        return f[1] == 'd' && f[2] == 'D'                    ? 4
               : f[1] == 't' && (f[2] == 's' || f[2] == 'm') ? 4
               : f[1] == 'i' && f[2] == 'M'                  ? 4
               : f[1] == 'i' && f[2] == 'n'                  ? 16
                                                             : 8;
    case 'd':
    case 'w': return 16;
    default: return 8;
    }
}

/* Offsets of any order and sign, but none beyond the data. */
static void make_text(struct bytes *in, struct column_under_test *c, size_t rows, bool large)
{
    size_t size = take(in);
    c->owned[1] = malloc((rows + 1) * (large ? 8 : 4));
    c->owned[2] = make_buffer(in, size);
    int64_t at = 0;
    for (size_t i = 0; i <= rows; i++) {
        uint8_t step = take(in);
        at += step == 255 ? -3 : step % 8;
        if (at > (int64_t)size) at = (int64_t)size;
        if (large)
            ((int64_t *)c->owned[1])[i] = at;
        else
            ((int32_t *)c->owned[1])[i] = (int32_t)at;
    }
    c->array.n_buffers = 3;
}

static void make_views(struct bytes *in, struct column_under_test *c, size_t rows)
{
    int64_t size = take(in);
    c->owned[1] = make_buffer(in, 16 * rows);
    c->owned[2] = make_buffer(in, (size_t)size);
    c->owned[3] = malloc(8);
    memcpy(c->owned[3], &size, 8);
    for (size_t i = 0; i < rows; i++) {
        int32_t v[4] = {take(in) % 32 - 1, 0, take(in) % 2, take(in) % 32};
        if (take(in) & 1) memcpy((char *)c->owned[1] + 16 * i, v, 16);
    }
    c->array.n_buffers = 4;
}

static void make_column(struct bytes *in, struct column_under_test *c, int64_t length)
{
    const char *f = formats[take(in) % countof(formats)];
    c->name[0] = (char)('a' + take(in) % 13);
    c->schema = (struct ArrowSchema){.format = f, .name = c->name, .release = no_release_schema};
    uint8_t odd = take(in);
    c->array = (struct ArrowArray){.length = length + odd % 3 - (odd == 77),
                                   .offset = odd / 3 % 5,
                                   .n_buffers = 2,
                                   .null_count = odd & 64 ? -1 : 0,
                                   .release = no_release_array};
    size_t rows = (size_t)(c->array.length < 0 ? 0 : c->array.length + c->array.offset);
    if (take(in) & 1) c->owned[0] = make_buffer(in, rows / 8 + 1);
    if (!strcmp(f, "n"))
        c->array.n_buffers = 0;
    else if (f[0] == 'u' || f[0] == 'z' || f[0] == 'U' || f[0] == 'Z')
        make_text(in, c, rows, f[0] < 'a');
    else if (f[0] == 'v')
        make_views(in, c, rows);
    else
        c->owned[1] = make_buffer(in, width_of(f) * rows + 1);
    memcpy(c->buffers, c->owned, sizeof c->buffers);
    c->array.buffers = c->buffers;
    if (odd == 78) c->array.n_buffers++;
    if (odd == 79) c->buffers[1] = NULL;
    if (odd == 80) c->array.buffers = NULL;
    if (odd == 81) c->array.release = NULL;
    if (odd == 82) c->array.null_count = length + 5;
}

static void read_all(struct pool *p, struct cdata *c, uint32_t cut)
{
    struct err err;
    struct batch *b;
    enum status st;
    while (!(st = cdata_read(c, cut, &b, &err))) {
        struct ArrowArray out;
        if (!cdata_export(p, b, &target, 0, &out, &err)) out.release(&out);
        batch_unref(b);
    }
    INVARIANT(st == ST_DONE || err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes in = {data, data + n};
    struct column_under_test cols[COLS] = {0};
    struct ArrowArray *arrays[COLS], parent = {.n_buffers = 1, .release = no_release_array};
    struct ArrowSchema *schemas[COLS], schema = {.format = "+s", .name = "", .release = no_release_schema};
    const void *none[1] = {NULL};
    uint8_t shape = take(&in);
    targets[4].not_null = shape >= 240;
    parent.length = take(&in) % 70;
    parent.offset = shape / 8 % 3;
    parent.n_children = schema.n_children = shape % (COLS + 1);
    parent.buffers = none;
    parent.children = arrays, schema.children = schemas;
    for (int i = 0; i < parent.n_children; i++) {
        make_column(&in, &cols[i], parent.length + parent.offset);
        arrays[i] = &cols[i].array;
        schemas[i] = &cols[i].schema;
    }
    struct pool *p = pool_new(NULL);
    struct cdata *c = NULL;
    struct err err = {0};
    if (!cdata_open(p, &parent, &schema, &target, &c, &err)) read_all(p, c, 1 + shape % 64);
    cdata_close(c);
    pool_close(p);
    for (int i = 0; i < COLS; i++)
        for (int k = 0; k < 4; k++) free(cols[i].owned[k]);
    return 0;
}
