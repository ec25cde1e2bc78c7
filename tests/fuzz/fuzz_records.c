/* Values that come one by one: what becomes of each does not depend on the others, and what was read can be written and
 * read again. The first four bytes choose format, dialect, policy and how many go together; then values, each ended by
 * the byte 0x1e; one that is the byte 0x1f is a tombstone. SPDX-License-Identifier: Apache-2.0 */
#include "../unit/format_try.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define VALUES 200

static const struct {
    const char *format, *schema, *options[5];
} subjects[] = {
    {"json", "a BIGINT, b VARCHAR, t TIMESTAMP, c DOUBLE, m DECIMAL, v VARCHAR 3, f BOOLEAN, x BLOB", {NULL}},
    {"csv", "a BIGINT, b VARCHAR, c DOUBLE, x BLOB", {NULL}},
    {"csv", "a BIGINT, b VARCHAR", {"delimiter", ";", "quote", "'"}},
    {"csv", "b VARCHAR", {"null", "0"}},
    {"raw", "b VARCHAR", {NULL}},
    {"raw", "x BLOB", {NULL}},
};

static uint32_t cut(const char *p, size_t n, struct try_value *out)
{
    uint32_t count = 0;
    for (const char *end = p + n; p < end && count < VALUES; count++) {
        const char *stop = memchr(p, 0x1e, (size_t)(end - p));
        if (!stop) stop = end;
        out[count] = (struct try_value){p, (size_t)(stop - p)};
        if (out[count].n == 1 && *p == 0x1f) out[count] = (struct try_value){0};
        p = stop + 1;
    }
    return count;
}

/* Rows without the numbers of their records. */
static void put_cells(const struct text *rows, struct text *out)
{
    bool start = true;
    for (const char *p = rows->p, *end = p + rows->n; p < end; p++) {
        if (start)
            while (*p != ' ') p++;
        start = *p == '\n';
        text_putc(out, *p);
    }
}

/* Decodes all of v and encodes the rows. */
static void write_again(const struct trial *t, const struct try_value *v, uint32_t n, struct values *out)
{
    struct arena *a = arena_new();
    struct pool *pool = pool_new(NULL);
    const struct encoder_class *c = encoder_find(t->class->name);
    struct decoder *d = NULL;
    struct encoder *e = NULL;
    struct batch *b = NULL;
    struct text text = {0};
    struct record r[VALUES];
    uint32_t of[VALUES], used;
    for (uint32_t i = 0; i < n; i++) {
        r[i] = (struct record){(uint32_t)text.n, v[i].p ? (uint32_t)v[i].n : RECORD_NONE, i};
        if (!v[i].p) continue;
        text_put(&text, v[i].p, v[i].n);
        text_putc(&text, '\n');
    }
    memset(text_room(&text, FORMAT_PADDING), 0, FORMAT_PADDING);
    const struct options *o = c->options == t->class->options ? t->options : try_options(a, c->options, NULL);
    INVARIANT(
        !decoder_new_records(t->class, t->schema, t->schema, t->options, t->on_error, t->record_max, "it", &d, NULL));
    INVARIANT(!encoder_new_values(c, t->schema, CHANGELOG_NONE, o, &e, NULL));
    INVARIANT(!decoder_records(d, pool, text.p, r, n, of, &used, &b, NULL) && used == n);
    values_clear(out, 0, b->rows);
    c->put_values(e, b, 0, b->rows, out);
    INVARIANT(out->n == b->rows);
    batch_unref(b);
    encoder_free(e);
    decoder_free(d);
    text_done(&text);
    pool_close(pool);
    arena_free(a);
}

static void read_again(struct trial *t, const struct try_value *v, uint32_t n, const struct outcome *whole)
{
    struct values written = {0};
    struct try_value again[VALUES];
    struct outcome o;
    struct text before = {0}, after = {0};
    write_again(t, v, n, &written);
    for (uint32_t i = 0; i < written.n; i++) {
        again[i] = (struct try_value){written.text.p + written.offsets[i],
                                      (size_t)(written.offsets[i + 1] - written.offsets[i])};
        if (!again[i].p) again[i].p = "";
        if (written.has_none && written.none[i]) again[i].p = NULL;
    }
    t->on_error = ON_ERROR_FAIL;
    t->record_max = 1 << 20;
    try_records(t, again, written.n, &o);
    INVARIANT(!o.status);
    put_cells(&whole->rows, &before);
    put_cells(&o.rows, &after);
    text_cstr(&before), text_cstr(&after);
    INVARIANT(before.n == after.n && !memcmp(before.p, after.p, before.n));
    text_done(&before), text_done(&after), text_done(&o.rows);
    values_done(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 4) return 0;
    struct arena *a = arena_new();
    size_t k = data[2] % countof(subjects);
    struct trial t = {
        .class = decoder_find(subjects[k].format), .on_error = data[0] % 3, .record_max = data[1] % 2 ? 64 : 1 << 20};
    t.options = try_options(a, t.class->options, subjects[k].options);
    t.schema = try_schema(a, subjects[k].schema);
    struct try_value values[VALUES];
    uint32_t count = cut((const char *)data + 4, n - 4, values);
    struct outcome whole, pieces;
    try_records(&t, values, count, &whole);
    for (int i = 0; i < 2; i++) {
        t.max_rows = i ? 1 : 1 + data[3] % 7;
        try_records(&t, values, count, &pieces);
        INVARIANT(try_same(&whole, &pieces));
        text_done(&pieces.rows);
    }
    t.max_rows = 0;
    bool lines = false; /* cells of several lines are not told apart by put_cells */
    for (uint32_t i = 0; i < count; i++)
        lines |= values[i].p && (memchr(values[i].p, '\n', values[i].n) || memmem(values[i].p, values[i].n, "\\", 1));
    if (!whole.status && !lines && count) read_again(&t, values, count, &whole);
    text_done(&whole.rows);
    arena_free(a);
    return 0;
}
