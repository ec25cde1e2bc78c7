/* One decoder under a fuzzer: however input is cut the outcome is the same, and what was read can be written and read
 * again. The first four bytes choose dialect, policy and cuts. SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_FORMAT_FUZZ_H
#define FUZZ_FORMAT_FUZZ_H

#include "../unit/format_try.h"

struct subject {
    const char *format;
    const char *const *dialects[12];
    const char *schema; /* NULL: what texts have */
};

static inline void put_pieces(const struct trial *t, const char *p, size_t n, const struct outcome *whole, uint8_t cut)
{
    struct trial pieces = *t;
    struct outcome o;
    pieces.first = n ? cut % n : 0;
    pieces.piece = cut % 2 ? 0 : 1 + cut / 2;
    pieces.max_rows = 1 + cut % 7;
    try_decode(&pieces, p, n, &o);
    INVARIANT(try_same(whole, &o));
    text_done(&o.rows);
}

/* The rows of the whole input, written in the same dialect. */
static inline void write_again(const struct trial *t, const char *p, size_t n, struct text *out)
{
    struct arena *a = arena_new();
    const struct encoder_class *c = encoder_find(t->class->name);
    struct pool *pool = pool_new(NULL);
    struct decoder *d = NULL;
    struct encoder *e = NULL;
    struct batch *b;
    char *copy = malloc(n + FORMAT_PADDING);
    memcpy(copy, p, n);
    memset(copy + n, 0, FORMAT_PADDING);
    const struct options *o = c->options == t->class->options ? t->options : try_options(a, c->options, NULL);
    INVARIANT(!decoder_new(t->class, t->schema, t->options, t->on_error, t->record_max, 0, NULL, 0, &d, NULL));
    INVARIANT(!encoder_new(c, t->schema, CHANGELOG_NONE, o, &e, NULL));
    decoder_feed(d, copy, n, true);
    e->class->begin(e, out);
    while (!decoder_next(d, pool, 100, &b, NULL)) {
        e->class->put(e, b, 0, b->rows, out);
        batch_unref(b);
    }
    e->class->end(e, out);
    encoder_free(e);
    decoder_free(d);
    pool_close(pool);
    arena_free(a);
    free(copy);
}

static inline int fuzz_format(const struct subject *s, const uint8_t *data, size_t n)
{
    if (n < 4) return 0;
    struct arena *a = arena_new();
    int dialects = 0;
    while (dialects < 12 && s->dialects[dialects]) dialects++;
    struct trial t = {
        .class = decoder_find(s->format), .on_error = data[0] % 3, .record_max = data[1] % 2 ? 64 : 1 << 20};
    t.options = try_options(a, t.class->options, dialects ? s->dialects[data[2] % dialects] : NULL);
    t.schema = try_schema(a, s->schema ? s->schema : "a BIGINT, b VARCHAR, t TIMESTAMP, c DOUBLE, m DECIMAL, v VARCHAR 3, f BOOLEAN, x BLOB");
    const char *p = (const char *)data + 4;
    struct outcome whole, again;
    struct text text = {0};
    n -= 4;
    try_decode(&t, p, n, &whole);
    put_pieces(&t, p, n, &whole, data[3]);
    if (whole.status == ST_DONE) {
        write_again(&t, p, n, &text);
        t.on_error = ON_ERROR_FAIL;
        t.record_max = 1 << 20;
        try_decode(&t, text.p, text.n, &again);
        INVARIANT(again.status == ST_DONE);
        INVARIANT(again.rows.n == whole.rows.n && !memcmp(again.rows.p, whole.rows.p, whole.rows.n));
        text_done(&again.rows);
        text_done(&text);
    }
    text_done(&whole.rows);
    arena_free(a);
    return 0;
}

#endif
