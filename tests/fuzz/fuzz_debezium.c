/* Change events and rows inside records: what is read does not depend on how the bytes are cut, nor on whether each record comes alone. The
 * first four bytes choose what is read, policy and cuts. SPDX-License-Identifier: Apache-2.0 */
#include "format_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct {
    const char *format, *schema, *options[9];
} subjects[] = {
    {"debezium", "id BIGINT, m DECIMAL, t TIMESTAMP, u TIME, d DATE, x BLOB, j JSON, iv INTERVAL, s VARCHAR, __op VARCHAR, __ts_ms TIMESTAMP, __source_lsn BIGINT", {NULL}},
    {"debezium", "m DECIMAL, t TIMESTAMP, u TIME", {"epoch.unit", "us", "decimal.handling.mode", "precise"}},
    {"json", "p DOUBLE, s VARCHAR, j JSON", {"json.path", "data", "json.column.s", "$.stream", "json.column.p", "a[0].p"}},
    {"json", "p DOUBLE, s VARCHAR", {"json.path", "$", "json.column.p", "b.c.d"}},
    {"json", "p BIGINT, t TIMESTAMP", {"json.column.p", "a.b", "json.column.t", "a", "json.column.t.epoch_unit", "ns"}},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 4) return 0;
    struct arena *a = arena_new();
    size_t k = data[2] % countof(subjects);
    struct trial t = {.class = decoder_find(subjects[k].format), .on_error = data[0] % 3, .record_max = data[1] % 2 ? 64 : 1 << 20};
    struct outcome whole, alone;
    struct try_value v[200];
    uint32_t lines = 0;
    const char *p = (const char *)data + 4, *end = (const char *)data + n;
    t.options = try_options(a, t.class->options, subjects[k].options);
    t.schema = try_schema(a, subjects[k].schema);
    try_decode(&t, p, n - 4, &whole);
    put_pieces(&t, p, n - 4, &whole, data[3]);
    for (; p < end && lines < countof(v); lines++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        v[lines] = (struct try_value){p, (size_t)(stop - p)};
        p = stop + 1;
    }
    t.max_rows = 0;
    text_done(&whole.rows);
    try_records(&t, v, lines, &whole);
    t.max_rows = 1 + data[3] % 5;
    try_records(&t, v, lines, &alone);
    INVARIANT(try_same(&whole, &alone));
    text_done(&whole.rows), text_done(&alone.rows);
    arena_free(a);
    return 0;
}
