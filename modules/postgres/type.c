/* Arrow's types and PostgreSQL's. SPDX-License-Identifier: Apache-2.0 */
#include "type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct {
    const char *format, *sql, *made;
} types[] = {
    [FROM_BOOL] = {"b", "BOOLEAN", "boolean"},         [FROM_INT8] = {"c", "TINYINT", "smallint"},
    [FROM_INT16] = {"s", "SMALLINT", "smallint"},      [FROM_INT32] = {"i", "INTEGER", "integer"},
    [FROM_INT64] = {"l", "BIGINT", "bigint"},          [FROM_FLOAT] = {"f", "REAL", "real"},
    [FROM_DOUBLE] = {"g", "DOUBLE", "double precision"}, [FROM_DECIMAL] = {"d:", "DECIMAL", "numeric"},
    [FROM_TEXT] = {"u", "VARCHAR", "text"},            [FROM_LARGE_TEXT] = {"U", "VARCHAR", "text"},
    [FROM_JSON] = {"", "JSON", "json"},
    [FROM_BYTES] = {"z", "BLOB", "bytea"},             [FROM_LARGE_BYTES] = {"Z", "BLOB", "bytea"},
    [FROM_DATE] = {"tdD", "DATE", "date"},             [FROM_TIME] = {"ttu", "TIME", "time"},
    [FROM_TIMESTAMP] = {"tsu:", "TIMESTAMP", "timestamp"}, [FROM_TIMESTAMPTZ] = {"tsu:", "TIMESTAMPTZ", "timestamptz"},
    [FROM_INTERVAL] = {"tin", "INTERVAL", "interval"}, [FROM_UUID] = {"w:16", "UUID", "uuid"},
};

static const struct {
    enum source_type from;
    uint32_t to;
    enum encoding how;
} casts[] = {
    {FROM_BOOL, OID_BOOL, ENCODE_BOOL},
    {FROM_INT8, OID_INT2, ENCODE_8_16}, {FROM_INT8, OID_INT4, ENCODE_8_32}, {FROM_INT8, OID_INT8, ENCODE_8_64},
    {FROM_INT8, OID_FLOAT4, ENCODE_8_FLOAT}, {FROM_INT8, OID_FLOAT8, ENCODE_8_DOUBLE}, {FROM_INT8, OID_NUMERIC, ENCODE_NUMERIC},
    {FROM_INT16, OID_INT2, ENCODE_16}, {FROM_INT16, OID_INT4, ENCODE_16_32}, {FROM_INT16, OID_INT8, ENCODE_16_64},
    {FROM_INT16, OID_FLOAT4, ENCODE_16_FLOAT}, {FROM_INT16, OID_FLOAT8, ENCODE_16_DOUBLE}, {FROM_INT16, OID_NUMERIC, ENCODE_NUMERIC},
    {FROM_INT32, OID_INT4, ENCODE_32}, {FROM_INT32, OID_INT8, ENCODE_32_64}, {FROM_INT32, OID_FLOAT8, ENCODE_32_DOUBLE},
    {FROM_INT32, OID_NUMERIC, ENCODE_NUMERIC},
    {FROM_INT64, OID_INT8, ENCODE_64}, {FROM_INT64, OID_NUMERIC, ENCODE_NUMERIC},
    {FROM_FLOAT, OID_FLOAT4, ENCODE_32}, {FROM_FLOAT, OID_FLOAT8, ENCODE_FLOAT_DOUBLE},
    {FROM_DOUBLE, OID_FLOAT8, ENCODE_64},
    {FROM_DECIMAL, OID_NUMERIC, ENCODE_NUMERIC},
    {FROM_TEXT, OID_TEXT, ENCODE_TEXT}, {FROM_TEXT, OID_VARCHAR, ENCODE_TEXT}, {FROM_TEXT, OID_BPCHAR, ENCODE_TEXT},
    {FROM_TEXT, OID_JSON, ENCODE_TEXT}, {FROM_TEXT, OID_JSONB, ENCODE_JSONB}, {FROM_TEXT, OID_XML, ENCODE_TEXT},
    {FROM_JSON, OID_JSON, ENCODE_TEXT}, {FROM_JSON, OID_JSONB, ENCODE_JSONB},
    {FROM_JSON, OID_TEXT, ENCODE_TEXT}, {FROM_JSON, OID_VARCHAR, ENCODE_TEXT},
    {FROM_BYTES, OID_BYTEA, ENCODE_TEXT},
    {FROM_DATE, OID_DATE, ENCODE_DATE}, {FROM_DATE, OID_TIMESTAMP, ENCODE_DATE_TIMESTAMP},
    {FROM_TIME, OID_TIME, ENCODE_64},
    {FROM_TIMESTAMP, OID_TIMESTAMP, ENCODE_TIMESTAMP}, {FROM_TIMESTAMP, OID_TIMESTAMPTZ, ENCODE_TIMESTAMP},
    {FROM_TIMESTAMPTZ, OID_TIMESTAMPTZ, ENCODE_TIMESTAMP},
    {FROM_INTERVAL, OID_INTERVAL, ENCODE_INTERVAL},
    {FROM_UUID, OID_UUID, ENCODE_UUID},
};
/* clang-format on */

/* Pairs of keys and values, each with its length before it. */
static bool is_json(const char *metadata)
{
    static const char key[] = "ARROW:extension:name", json[] = "arrow.json";
    int32_t pairs = 0, len[2];
    const char *p = metadata, *text[2];
    if (p) memcpy(&pairs, p, 4), p += 4;
    for (; pairs > 0; pairs--) {
        for (int i = 0; i < 2; i++) memcpy(&len[i], p, 4), text[i] = p + 4, p += 4 + len[i];
        if (len[0] == sizeof key - 1 && !memcmp(text[0], key, sizeof key - 1))
            return len[1] == sizeof json - 1 && !memcmp(text[1], json, sizeof json - 1);
    }
    return false;
}

enum source_type type_of_column(const struct ArrowSchema *column, int *scale)
{
    const char *format = column->format;
    *scale = 0;
    if (!strcmp(format, "u") && is_json(column->metadata)) return FROM_JSON;
    if (!strncmp(format, "tsu:", 4)) return format[4] ? FROM_TIMESTAMPTZ : FROM_TIMESTAMP;
    int precision, bits = 128;
    if (sscanf(format, "d:%d,%d,%d", &precision, scale, &bits) >= 2) return bits == 128 && *scale >= 0 && *scale <= 38 ? FROM_DECIMAL : FROM_NONE;
    for (int i = FROM_BOOL; i <= FROM_UUID; i++)
        if (!strcmp(types[i].format, format)) return (enum source_type)i;
    return FROM_NONE;
}

const char *type_sql(enum source_type t) { return types[t].sql; }

/* A text of any length goes to the same encodings. */
static enum source_type narrow(enum source_type t) { return t == FROM_LARGE_TEXT ? FROM_TEXT : t == FROM_LARGE_BYTES ? FROM_BYTES : t; }

/* numeric(p,s) would round digits away; those before the point are checked by the server, row by row. */
static bool keeps_scale(int scale, int32_t typmod)
{
    if (typmod < 4) return true;
    int32_t have = (typmod - 4) & 0x7ff;
    if (have > 1000) have -= 2048;
    return have >= scale;
}

/* time(p), timestamp(p) and interval(p) would round microseconds away. */
static bool keeps_time(const struct target_type *to)
{
    if (to->typmod < 0) return true;
    if (to->oid == OID_INTERVAL) return (to->typmod >> 16 & 0x7fff) == 0x7fff && (to->typmod & 0xffff) >= 6;
    return to->typmod >= 6;
}

enum encoding type_encoding(enum source_type from, int scale, const struct target_type *to)
{
    enum source_type t = narrow(from);
    if (t == FROM_TEXT && (to->is_enum || to->is_text)) return ENCODE_TEXT;
    for (size_t i = 0; i < sizeof casts / sizeof casts[0]; i++) {
        if (casts[i].from != t || casts[i].to != to->oid) continue;
        if (to->oid == OID_NUMERIC && !keeps_scale(scale, to->typmod)) return ENCODE_NONE;
        bool time = to->oid == OID_TIME || to->oid == OID_TIMESTAMP || to->oid == OID_TIMESTAMPTZ || to->oid == OID_INTERVAL;
        return !time || t == FROM_DATE || keeps_time(to) ? casts[i].how : ENCODE_NONE;
    }
    return ENCODE_NONE;
}

const char *type_made(enum source_type t, int scale, char buf[32])
{
    if (t != FROM_DECIMAL) return types[t].made;
    snprintf(buf, 32, "numeric(38,%d)", scale);
    return buf;
}
