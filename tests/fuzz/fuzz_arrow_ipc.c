/* Arrow IPC in and out: what is read is looked at whole, value by value, can be written and read again, and does not depend on how the
 * bytes are cut; the same bytes as a value that comes alone. The first four bytes choose policy and cuts. SPDX-License-Identifier: Apache-2.0 */
#include "format_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char all[] = "b BOOLEAN, i1 TINYINT, i2 SMALLINT, i4 INTEGER, i8 BIGINT, f REAL, d DOUBLE, m DECIMAL, s VARCHAR, x BLOB, day DATE, t TIME, "
                          "ts TIMESTAMP, tz TIMESTAMPTZ, iv INTERVAL, u UUID, j JSON";
static const char few[] = "s VARCHAR 3, i2 DOUBLE, i8 TINYINT";

static void as_value(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new();
    struct trial t = {.class = decoder_find("arrow_ipc"), .on_error = data[0] % 3, .record_max = 1 << 20};
    struct try_value v[] = {{(const char *)data + 4, n - 4}, {(const char *)data + 4, n - 4}};
    struct outcome both, one;
    t.options = try_options(a, t.class->options, NULL);
    t.schema = try_schema(a, data[2] % 2 ? few : all);
    try_records(&t, v, 2, &both);
    t.max_rows = 1;
    try_records(&t, v, 2, &one);
    INVARIANT(try_same(&both, &one));
    text_done(&both.rows), text_done(&one.rows);
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 4) return 0;
    const struct subject subject = {"arrow_ipc", {NULL}, data[2] % 2 ? few : all};
    as_value(data, n);
    return fuzz_format(&subject, data, n);
}
