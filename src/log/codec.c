/* Batches as bytes: columns as they lie in memory, so that both ways are copies. Little endian; each part begins at a multiple
 * of 8 bytes from the beginning and is filled up with zeros.
 *
 *     0  u32 rows
 *     4  u16 columns
 *     6  u16 1: weights follow
 *     8  i64 ts_min
 *    16  i64 ts_max
 *    24  weights: i8 a row, if any
 *        each column:
 *          u64 bit 0: a validity bitmap follows; from bit 1 on: bytes of long text
 *          validity: u64 words
 *          values: type_width bytes a row. A text is a string view (u32 n, then up to 12 bytes; longer: 4 bytes, and
 *              u64 where its bytes begin in the long text)
 *          long text
 * SPDX-License-Identifier: Apache-2.0 */
#include "log/codec.h"

#define HEAD 24
#define FLAG_WEIGHT 1

struct head {
    uint32_t rows;
    uint16_t ncols, flags;
    int64_t ts_min, ts_max;
};
_Static_assert(sizeof(struct head) == HEAD, "the head has no holes");

/* ---- out --------------------------------------------------------------------------------------------- */

/* All parts begin at a multiple of 8, so the whole does. */
static void pad(struct text *out)
{
    static const char zeros[8];
    text_put(out, zeros, -out->n & 7);
}

static void put(struct text *out, const void *p, size_t n)
{
    text_put(out, p, n);
    pad(out);
}

/* Texts of up to 32 bytes are most: two moves instead of a call. n is above 12. */
static void copy_long(char *to, const char *from, uint32_t n)
{
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n > 16) {
        memcpy(to, from, 16), memcpy(to + n - 16, from + n - 16, 16);
    } else {
        memcpy(to, from, 8), memcpy(to + n - 8, from + n - 8, 8);
    }
}

/* The views of a column with offsets in place of pointers, and behind them the long text, whose length is returned. A text that
 * several rows in a row show is written once. */
static uint64_t put_texts(struct text *out, const struct column *c, uint32_t rows)
{
    size_t views = sizeof(struct str) * rows, begin = out->n;
    const struct str *from = c->data, *last = NULL;
    uint64_t n = 0, at = 0, room = 0;
    char *p = text_room(out, views);
    for (uint32_t i = 0; i < rows; i++) {
        struct str s = from[i];
        if (s.n > STR_INLINE && !column_null(c, i)) {
            if (!last || last->p != s.p || last->n < s.n) {
                if (n + s.n > room) {
                    room = (n + s.n) * 2 + 16 * (uint64_t)rows;
                    out->n = begin + views + n;
                    text_room(out, room - n);
                    p = out->p + begin;
                }
                copy_long(p + views + n, s.p, s.n);
                last = &from[i], at = n, n += s.n;
            }
            memcpy(s.rest, &at, 8);
        } else if (column_null(c, i)) {
            s = (struct str){0};
        }
        memcpy(p + sizeof s * i, &s, sizeof s);
    }
    out->n = begin + views + n;
    pad(out);
    return n;
}

static void put_column(struct text *out, const struct column *c, struct type t, uint32_t rows)
{
    size_t mark = out->n;
    uint64_t word = c->valid != NULL;
    text_put(out, &word, 8);
    if (c->valid) text_put(out, c->valid, bitmap_words(rows) * 8);
    if (!type_is_text(t)) {
        put(out, c->data, type_width(t) * rows);
        return;
    }
    word |= put_texts(out, c, rows) << 1;
    memcpy(out->p + mark, &word, 8);
}

void codec_put(struct text *out, const struct schema *s, const struct batch *b)
{
    struct head h = {b->rows, (uint16_t)s->n, b->weight ? FLAG_WEIGHT : 0, b->ts_min, b->ts_max};
    text_put(out, &h, sizeof h);
    if (b->weight) put(out, b->weight, b->rows);
    for (int i = 0; i < s->n; i++) put_column(out, &b->cols[i], s->fields[i].type, b->rows);
}

/* ---- in ---------------------------------------------------------------------------------------------- */

struct in {
    const char *p;
    size_t n;
};

/* The next part of n bytes; NULL when there are not so many. */
static const char *take(struct in *in, uint64_t n)
{
    if (n > in->n) return NULL;
    uint64_t room = n + (-n & 7);
    if (room > in->n) return NULL;
    const char *p = in->p;
    in->p += room;
    in->n -= room;
    return p;
}

static enum status damaged(struct err *err, const char *what) { return err_set(err, E_CORRUPT, "%s", what); }

/* Bytes behind a short text are zero, or equal texts would not be equal views. */
static bool short_text(const struct str *s)
{
    uint32_t first;
    uint64_t rest;
    memcpy(&first, s->prefix, 4), memcpy(&rest, s->rest, 8);
    if (s->n < 4) return !rest && !(first >> 8 * s->n);
    return s->n == STR_INLINE || !(rest >> 8 * (s->n - 4));
}

static enum status get_views(struct batch *b, struct column *c, const char *bytes, uint64_t n, struct err *err)
{
    const char *heap = n ? memcpy(batch_alloc(b, n), bytes, n) : NULL;
    struct str *s = c->data;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (s[i].n <= STR_INLINE) {
            if (!short_text(&s[i])) return damaged(err, "a short text has bytes behind its end");
            continue;
        }
        uint64_t at;
        memcpy(&at, s[i].rest, 8);
        if (at > n || s[i].n > n - at || memcmp(s[i].prefix, heap + at, 4)) return damaged(err, "a text lies outside its column");
        s[i].p = heap + at;
    }
    return ST_OK;
}

static enum status get_column(struct in *in, struct batch *b, struct column *c, struct type t, struct err *err)
{
    uint64_t word;
    const char *p = take(in, 8);
    if (!p) return damaged(err, "a column is cut off");
    memcpy(&word, p, 8);
    if (word & 1) {
        size_t bytes = bitmap_words(b->rows) * 8;
        if (!(p = take(in, bytes))) return damaged(err, "a validity bitmap is cut off");
        c->valid = memcpy(batch_alloc(b, bytes), p, bytes);
    }
    size_t bytes = type_width(t) * b->rows;
    if (!(p = take(in, bytes))) return damaged(err, "the values of a column are cut off");
    c->data = memcpy(batch_alloc(b, bytes), p, bytes);
    if (!type_is_text(t)) return word >> 1 ? damaged(err, "a column without text has long text") : ST_OK;
    if (!(p = take(in, word >> 1))) return damaged(err, "the text of a column is cut off");
    return get_views(b, c, p, word >> 1, err);
}

enum status codec_get(const char *p, size_t n, const struct schema *s, struct pool *pool, struct batch **out, struct err *err)
{
    struct in in = {p, n};
    struct head h;
    if (!(p = take(&in, HEAD))) return damaged(err, "the head of a batch is cut off");
    memcpy(&h, p, HEAD);
    if (h.ncols != s->n || h.rows > BATCH_ROWS_MAX || h.flags > FLAG_WEIGHT) return damaged(err, "the head of a batch is not one");
    AUTO(batch_unref) struct batch *b = batch_new(pool, s->n);
    b->rows = h.rows;
    b->ts_min = h.ts_min;
    b->ts_max = h.ts_max;
    if (h.flags & FLAG_WEIGHT) {
        if (!(p = take(&in, h.rows))) return damaged(err, "weights are cut off");
        b->weight = memcpy(batch_alloc(b, h.rows), p, h.rows);
    }
    for (int i = 0; i < s->n; i++) TRY(get_column(&in, b, &b->cols[i], s->fields[i].type, err));
    if (in.n) return damaged(err, "bytes follow the last column");
    *out = TAKE(b);
    return ST_OK;
}
