/* SPDX-License-Identifier: Apache-2.0 */
#include "arrow/ipc_type.h"

#include <stdio.h>
#include <string.h>

/* Numbers of the union Type in Arrow's Schema.fbs. */
enum {
    TYPE_NULL = 1,
    TYPE_INT,
    TYPE_FLOAT,
    TYPE_BINARY,
    TYPE_UTF8,
    TYPE_BOOL,
    TYPE_DECIMAL,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_TIMESTAMP,
    TYPE_INTERVAL,
    TYPE_LIST,
    TYPE_STRUCT,
    TYPE_UNION,
    TYPE_FIXED_BINARY,
    TYPE_FIXED_LIST,
    TYPE_MAP,
    TYPE_DURATION,
    TYPE_LARGE_BINARY,
    TYPE_LARGE_UTF8,
    TYPE_LARGE_LIST,
    TYPE_RUN_END,
    TYPE_BINARY_VIEW,
    TYPE_UTF8_VIEW,
    TYPE_LIST_VIEW,
    TYPE_LARGE_LIST_VIEW,
};

/* Types that a format string names whole: their fields, and bytes of a value (0: bits or none). */
static const struct known {
    const char *format;
    uint8_t code, width;
    int8_t a, b; /* values of the first two fields; those of -1 are not there */
} known[] = {
    {"n",   TYPE_NULL,         0,  -1, -1},
    {"b",   TYPE_BOOL,         0,  -1, -1},
    {"c",   TYPE_INT,          1,  8,  1 },
    {"C",   TYPE_INT,          1,  8,  0 },
    {"s",   TYPE_INT,          2,  16, 1 },
    {"S",   TYPE_INT,          2,  16, 0 },
    {"i",   TYPE_INT,          4,  32, 1 },
    {"I",   TYPE_INT,          4,  32, 0 },
    {"l",   TYPE_INT,          8,  64, 1 },
    {"L",   TYPE_INT,          8,  64, 0 },
    {"e",   TYPE_FLOAT,        2,  0,  -1},
    {"f",   TYPE_FLOAT,        4,  1,  -1},
    {"g",   TYPE_FLOAT,        8,  2,  -1},
    {"tdD", TYPE_DATE,         4,  0,  -1},
    {"tdm", TYPE_DATE,         8,  1,  -1},
    {"tts", TYPE_TIME,         4,  0,  32},
    {"ttm", TYPE_TIME,         4,  1,  32},
    {"ttu", TYPE_TIME,         8,  2,  64},
    {"ttn", TYPE_TIME,         8,  3,  64},
    {"tDs", TYPE_DURATION,     8,  0,  -1},
    {"tDm", TYPE_DURATION,     8,  1,  -1},
    {"tDu", TYPE_DURATION,     8,  2,  -1},
    {"tDn", TYPE_DURATION,     8,  3,  -1},
    {"tiM", TYPE_INTERVAL,     4,  0,  -1},
    {"tiD", TYPE_INTERVAL,     8,  1,  -1},
    {"tin", TYPE_INTERVAL,     16, 2,  -1},
    {"u",   TYPE_UTF8,         0,  -1, -1},
    {"z",   TYPE_BINARY,       0,  -1, -1},
    {"U",   TYPE_LARGE_UTF8,   0,  -1, -1},
    {"Z",   TYPE_LARGE_BINARY, 0,  -1, -1},
    {"vu",  TYPE_UTF8_VIEW,    16, -1, -1},
    {"vz",  TYPE_BINARY_VIEW,  16, -1, -1},
};

/* What the first two fields are when they are not there, and how they are kept. */
static const struct fields {
    uint8_t sizes[2]; /* 0: no such field */
    int8_t dflt[2];
} fields_of[] = {
    [TYPE_INT] = {{4, 1},  {0, 0} },
    [TYPE_FLOAT] = {{2, 0},  {0, 0} },
    [TYPE_DATE] = {{2, 0},  {1, 0} },
    [TYPE_TIME] = {{2, 4},  {1, 32}},
    [TYPE_DURATION] = {{2, 0},  {1, 0} },
    [TYPE_INTERVAL] = {{2, 0},  {0, 0} },
    [TYPE_FIXED_BINARY] = {{4, 0},  {0, 0} },
    [TYPE_LARGE_LIST_VIEW] = {{0, 0},  {0, 0} },
};

static const struct known *known_format(const char *format)
{
    for (size_t i = 0; i < countof(known); i++)
        if (!strcmp(known[i].format, format)) return &known[i];
    return NULL;
}

static struct ipc_shape shape_of(int64_t code, uint32_t width)
{
    switch (code) {
    case TYPE_NULL: return (struct ipc_shape){0};
    case TYPE_BOOL: return (struct ipc_shape){.buffers = 2, .bits = true};
    case TYPE_UTF8:
    case TYPE_BINARY: return (struct ipc_shape){.buffers = 3, .offsets = 4};
    case TYPE_LARGE_UTF8:
    case TYPE_LARGE_BINARY: return (struct ipc_shape){.buffers = 3, .offsets = 8};
    case TYPE_UTF8_VIEW:
    case TYPE_BINARY_VIEW: return (struct ipc_shape){.buffers = 2, .views = true, .width = 16};
    case TYPE_STRUCT:
    case TYPE_FIXED_LIST: return (struct ipc_shape){.buffers = 1, .nested = true};
    case TYPE_LIST:
    case TYPE_MAP:
    case TYPE_LARGE_LIST: return (struct ipc_shape){.buffers = 2, .nested = true};
    case TYPE_LIST_VIEW:
    case TYPE_LARGE_LIST_VIEW: return (struct ipc_shape){.buffers = 3, .nested = true};
    case TYPE_RUN_END: return (struct ipc_shape){.nested = true};
    default: return (struct ipc_shape){.buffers = 2, .width = width};
    }
}

/* ---- writing ---------------------------------------------------------------------------------------- */

int64_t ipc_type_code(const char *format)
{
    const struct known *k = known_format(format);
    if (k) return k->code;
    return format[0] == 'w' ? TYPE_FIXED_BINARY : format[0] == 'd' ? TYPE_DECIMAL : TYPE_TIMESTAMP;
}

struct ipc_shape ipc_type_shape(const char *format)
{
    const struct known *k = known_format(format);
    int64_t code = ipc_type_code(format);
    return shape_of(code, k ? k->width : code == TYPE_TIMESTAMP ? 8 : 16);
}

static size_t put_timestamp(struct flat *f, const char *zone)
{
    struct flat_field fields[] = {
        {.size = 2, .value = 2}, /* microseconds */
        {.size = *zone ? 4 : 0},
    };
    size_t at = flat_table(f, fields, countof(fields));
    if (*zone) flat_refer(f, fields[1].at, flat_string(f, zone));
    return at;
}

static size_t put_decimal(struct flat *f, const char *format)
{
    int precision = 38, scale = 0;
    sscanf(format, "d:%3d,%4d", &precision, &scale);
    struct flat_field fields[] = {
        {.size = 4, .value = precision},
        {.size = 4, .value = scale    },
        {.size = 4, .value = 128      },
    };
    return flat_table(f, fields, countof(fields));
}

size_t ipc_type_put(struct flat *f, const char *format)
{
    const struct known *k = known_format(format);
    int64_t code = ipc_type_code(format);
    if (code == TYPE_TIMESTAMP) return put_timestamp(f, format + strlen("tsu:"));
    if (code == TYPE_DECIMAL) return put_decimal(f, format);
    const uint8_t *sizes = fields_of[code].sizes;
    struct flat_field fields[] = {
        {.size = sizes[0], .value = k ? k->a : 0},
        {.size = sizes[1], .value = k ? k->b : 0},
    };
    if (code == TYPE_FIXED_BINARY) fields[0].value = 16; /* UUID */
    return flat_table(f, fields, countof(fields));
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static bool read_known(int64_t code, const struct flat_view *t, char *format, struct ipc_shape *out)
{
    const struct fields *x = code < (int64_t)countof(fields_of) ? &fields_of[code] : &fields_of[TYPE_LARGE_LIST_VIEW];
    int64_t v[2] = {-1, -1};
    for (int i = 0; i < 2; i++)
        if (x->sizes[i] && !flat_int(t, i, x->sizes[i], x->dflt[i], &v[i])) return false;
    if (code == TYPE_INT) v[1] = v[1] != 0;
    for (size_t i = 0; i < countof(known); i++) {
        if (known[i].code != code || known[i].a != v[0] || known[i].b != v[1]) continue;
        strcpy(format, known[i].format);
        *out = shape_of(code, known[i].width);
        return true;
    }
    return false;
}

static bool read_timestamp(const struct flat_view *t, char *format)
{
    int64_t unit;
    const char *zone;
    if (!flat_int(t, 0, 2, 0, &unit) || unit < 0 || unit > 3 || !flat_text(t, 1, &zone)) return false;
    snprintf(format, IPC_FORMAT_MAX, "ts%c:%s", "smun"[unit], zone ? zone : "");
    return true;
}

static bool read_decimal(const struct flat_view *t, char *format, uint32_t *width)
{
    int64_t precision, scale, bits;
    if (!flat_int(t, 0, 4, 0, &precision) || !flat_int(t, 1, 4, 0, &scale) || !flat_int(t, 2, 4, 128, &bits)) return false;
    if (bits != 32 && bits != 64 && bits != 128 && bits != 256) return false;
    *width = (uint32_t)bits / 8;
    snprintf(format, IPC_FORMAT_MAX, bits == 128 ? "d:%d,%d" : "d:%d,%d,%d", (int)precision, (int)scale, (int)bits);
    return true;
}

static bool read_fixed(const struct flat_view *t, char *format, uint32_t *width)
{
    int64_t n;
    if (!flat_int(t, 0, 4, 0, &n) || n < 0) return false;
    *width = (uint32_t)n;
    snprintf(format, IPC_FORMAT_MAX, "w:%d", (int)n);
    return true;
}

/* V5: buffers of a union are its type ids, and offsets when it is dense; there is no validity. */
static bool read_union(const struct flat_view *t, struct ipc_shape *out)
{
    int64_t dense;
    if (!flat_int(t, 0, 2, 0, &dense)) return false;
    *out = (struct ipc_shape){.buffers = dense ? 2 : 1, .nested = true};
    return true;
}

bool ipc_type_read(int64_t code, const struct flat_view *t, char format[IPC_FORMAT_MAX], struct ipc_shape *out)
{
    uint32_t width = 0;
    strcpy(format, "+");
    switch (code) {
    case TYPE_UNION: return read_union(t, out);
    case TYPE_LIST:
    case TYPE_STRUCT:
    case TYPE_FIXED_LIST:
    case TYPE_MAP:
    case TYPE_LARGE_LIST:
    case TYPE_RUN_END:
    case TYPE_LIST_VIEW:
    case TYPE_LARGE_LIST_VIEW: return *out = shape_of(code, 0), true;
    case TYPE_TIMESTAMP: return *out = shape_of(code, 8), read_timestamp(t, format);
    case TYPE_DECIMAL:
        if (!read_decimal(t, format, &width)) return false;
        return *out = shape_of(code, width), true;
    case TYPE_FIXED_BINARY:
        if (!read_fixed(t, format, &width)) return false;
        return *out = shape_of(code, width), true;
    default: return code > 0 && code <= TYPE_LARGE_LIST_VIEW && read_known(code, t, format, out);
    }
}
