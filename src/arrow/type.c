/* Type names and schemas. SPDX-License-Identifier: Apache-2.0 */
#include "arrow/type.h"

#include "base/text.h"

#include <stdio.h>

const uint8_t type_widths[T_COUNT] = {
#define X(id, name, size) [id] = size,
    TYPE_MAP(X)
#undef X
};

static const char *const names[T_COUNT] = {
#define X(id, name, size) [id] = name,
    TYPE_MAP(X)
#undef X
};

const char *type_name(struct type t, char *buf)
{
    if (t.id == T_DECIMAL && t.precision)
        snprintf(buf, 64, "DECIMAL(%d,%d)", t.precision, t.scale);
    else if (t.id == T_VARCHAR && t.length)
        snprintf(buf, 64, "VARCHAR(%u)", t.length);
    else
        snprintf(buf, 64, "%s", t.id < T_COUNT ? names[t.id] : "?");
    return buf;
}

static const struct {
    const char *word;
    uint8_t id;
} words[] = {
    {"boolean", T_BOOL},      {"bool", T_BOOL},
    {"tinyint", T_INT8},      {"int1", T_INT8},
    {"smallint", T_INT16},    {"int2", T_INT16},
    {"integer", T_INT32},     {"int", T_INT32},
    {"int4", T_INT32},        {"bigint", T_INT64},
    {"int8", T_INT64},        {"real", T_FLOAT},
    {"float4", T_FLOAT},      {"float", T_DOUBLE},
    {"double", T_DOUBLE},     {"double precision", T_DOUBLE},
    {"float8", T_DOUBLE},     {"decimal", T_DECIMAL},
    {"numeric", T_DECIMAL},   {"dec", T_DECIMAL},
    {"varchar", T_VARCHAR},   {"character varying", T_VARCHAR},
    {"text", T_VARCHAR},      {"string", T_VARCHAR},
    {"char", T_VARCHAR},      {"character", T_VARCHAR},
    {"bpchar", T_VARCHAR},    {"name", T_VARCHAR},
    {"blob", T_BLOB},         {"bytea", T_BLOB},
    {"binary", T_BLOB},       {"varbinary", T_BLOB},
    {"date", T_DATE},         {"time", T_TIME},
    {"timestamp", T_TIMESTAMP}, {"timestamp without time zone", T_TIMESTAMP},
    {"timestamptz", T_TIMESTAMPTZ}, {"timestamp with time zone", T_TIMESTAMPTZ},
    {"interval", T_INTERVAL}, {"uuid", T_UUID},
    {"json", T_JSON},         {"jsonb", T_JSON},
};

bool type_from_word(const char *word, struct type *out)
{
    for (size_t i = 0; i < countof(words); i++)
        if (!text_casecmp(words[i].word, word)) {
            *out = words[i].id == T_DECIMAL ? type_decimal(0, DECIMAL_OPEN_SCALE) : TYPE(words[i].id);
            return true;
        }
    return false;
}

const char *type_word(const void *ctx, int i)
{
    (void)ctx;
    return i >= 0 && (size_t)i < countof(words) ? words[i].word : NULL;
}

struct schema *schema_new(struct arena *a, int n)
{
    struct schema *s = arena_alloc(a, sizeof *s);
    s->n = n;
    s->fields = arena_alloc(a, sizeof(struct field) * (size_t)(n ? n : 1));
    s->time_column = -1;
    return s;
}

struct schema *schema_copy(struct arena *a, const struct schema *s)
{
    struct schema *c = schema_new(a, s->n);
    c->time_column = s->time_column;
    for (int i = 0; i < s->n; i++) {
        c->fields[i] = s->fields[i];
        c->fields[i].name = arena_strdup(a, s->fields[i].name);
    }
    return c;
}

int schema_find(const struct schema *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->fields[i].name, name)) return i;
    return -1;
}
