/* Frames of a segment out of any bytes: E_CORRUPT or an entry that is written as it was read, never a crash. The sums of frames
 * are set right before each second reading, or nothing behind them would ever be met.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"
#include "log/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 24

static struct field fields[] = {
    {.name = "b", .type = {.id = T_BOOL}},    {.name = "i", .type = {.id = T_INT64}}, {.name = "s", .type = {.id = T_VARCHAR}},
    {.name = "d", .type = {.id = T_DECIMAL}}, {.name = "j", .type = {.id = T_JSON}},
};
static const struct schema schema = {.n = countof(fields), .fields = fields, .time_column = -1};

/* A batch that was read is written in the same bytes, but for texts that share some, and is read again from them. */
static void write_again(struct pool *pool, const struct frame *f)
{
    struct text bytes = {0};
    struct frame again;
    frame_put(&bytes, &schema, &f->entry);
    INVARIANT(frame_get(bytes.p, bytes.n, &schema, pool, &again, NULL) == ST_OK && again.size == bytes.n);
    INVARIANT(again.entry.seq == f->entry.seq && again.entry.kind == f->entry.kind);
    if (f->entry.kind == LOG_BATCH) {
        const struct batch *a = f->entry.b, *b = again.entry.b;
        INVARIANT(a->rows == b->rows && a->ts_min == b->ts_min && a->ts_max == b->ts_max && !a->weight == !b->weight);
        for (uint32_t r = 0; r < a->rows; r++) {
            struct value x = batch_value(a, &schema, 2, r), y = batch_value(b, &schema, 2, r);
            INVARIANT(x.is_null == y.is_null && (x.is_null || str_equal(&x.s, &y.s)));
        }
        batch_unref(again.entry.b);
    }
    text_done(&bytes);
}

static void read_all(struct pool *pool, const char *p, size_t n)
{
    struct err err;
    struct frame f;
    for (size_t at = 0; at < n; at += f.size) {
        if (frame_get(p + at, n - at, &schema, pool, &f, &err)) return;
        write_again(pool, &f);
        if (f.entry.kind == LOG_BATCH) batch_unref(f.entry.b);
    }
}

static void set_sums(char *p, size_t n)
{
    uint32_t length;
    for (size_t at = 0; n - at >= HEAD; at += HEAD + length) {
        memcpy(&length, p + at, 4);
        if (length > n - at - HEAD) length = (uint32_t)(n - at - HEAD) & ~7u;
        memcpy(p + at, &length, 4);
        uint32_t sum = crc32c(crc32c(0, p + at, 4), p + at + 8, HEAD - 8 + length);
        memcpy(p + at + 4, &sum, 4);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new(NULL);
    char *copy = mem_alloc(size);
    if (size) memcpy(copy, data, size);
    read_all(pool, copy, size);
    set_sums(copy, size);
    read_all(pool, copy, size);
    mem_free(copy);
    pool_close(pool);
    return 0;
}
