/* Arrow's types and PostgreSQL's: which goes into which without loss, and what a column of a stream is called there.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef POSTGRES_TYPE_H
#define POSTGRES_TYPE_H

#include <laminar_connector.h>

enum {
    OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TEXT = 25, OID_JSON = 114, OID_XML = 142,
    OID_FLOAT4 = 700, OID_FLOAT8 = 701, OID_BPCHAR = 1042, OID_VARCHAR = 1043, OID_DATE = 1082, OID_TIME = 1083,
    OID_TIMESTAMP = 1114, OID_TIMESTAMPTZ = 1184, OID_INTERVAL = 1186, OID_NUMERIC = 1700, OID_UUID = 2950, OID_JSONB = 3802,
};

/* What a column of the stream holds, by its Arrow format. */
enum source_type {
    FROM_NONE, FROM_BOOL, FROM_INT8, FROM_INT16, FROM_INT32, FROM_INT64, FROM_FLOAT, FROM_DOUBLE, FROM_DECIMAL, FROM_TEXT,
    FROM_LARGE_TEXT, FROM_JSON, FROM_BYTES, FROM_LARGE_BYTES, FROM_DATE, FROM_TIME, FROM_TIMESTAMP, FROM_TIMESTAMPTZ, FROM_INTERVAL, FROM_UUID,
};
enum source_type type_of_column(const struct ArrowSchema *column, int *scale); /* NONE: no type that we know */
const char *type_sql(enum source_type t);                        /* as a stream declares it */

/* How a value is written in PostgreSQL's binary form. */
enum encoding {
    ENCODE_NONE, ENCODE_BOOL, ENCODE_8_16, ENCODE_8_32, ENCODE_8_64, ENCODE_16, ENCODE_16_32, ENCODE_16_64, ENCODE_32, ENCODE_32_64,
    ENCODE_64, ENCODE_8_FLOAT, ENCODE_16_FLOAT, ENCODE_8_DOUBLE, ENCODE_16_DOUBLE, ENCODE_32_DOUBLE, ENCODE_FLOAT_DOUBLE,
    ENCODE_NUMERIC, ENCODE_TEXT, ENCODE_JSONB, ENCODE_DATE, ENCODE_DATE_TIMESTAMP, ENCODE_TIMESTAMP, ENCODE_INTERVAL, ENCODE_UUID,
};

/* A column of the table: its type under domains. */
struct target_type {
    uint32_t oid;
    bool is_enum, is_text; /* is_text: sent as text is, such as citext */
    int32_t typmod;
};
/* NONE: not without loss. */
enum encoding type_encoding(enum source_type from, int scale, const struct target_type *to);
/* The type that auto.create.table gives it. */
const char *type_made(enum source_type t, int scale, char buf[32]);

#endif
