/* Records that could not be read, for the dead letters. A decoder counts them and remembers the latest; which they were is found
 * by decoding the same bytes once more, a record at a time. Only batches with bad records are read twice.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

static bool is_break(char c) { return c == '\n' || c == '\r'; }

/* Of the first bytes of a split, what precedes its first record. */
static size_t header_end(const struct object *o, const char *p, size_t n)
{
    size_t at = 0;
    if (!options_has(o->options, "header") || !options_int(o->options, "header")) return 0;
    while (at < n && is_break(p[at])) at++;
    const char *end = memchr(p + at, '\n', n - at);
    return end ? (size_t)(end + 1 - p) : n;
}

/* A decoder of records only, from `offset` on; *skip: so many bytes at `from` are the header. NULL: it cannot be had. */
static struct decoder *decoder_at(struct part *p, struct split *s, const char *from, size_t n, int64_t offset, size_t *skip)
{
    const struct reader *r = p->reader;
    const struct object *o = r->object;
    char head[65536];
    size_t got = 0;
    struct decoder *d = NULL;
    *skip = 0;
    if (!offset) {
        *skip = got = header_end(o, from, n);
        if (got > sizeof head) return NULL;
        memcpy(head, from, got);
    } else if (r->class->head(p->source, s->number, head, sizeof head, &got, NULL)) {
        return NULL;
    }
    decoder_new_some(o->format->class, r->schema, o->schema, o->options, ON_ERROR_SKIP, (size_t)options_int(o->options, "record.max"),
                     offset + (int64_t)*skip, got ? head : NULL, got, &d, NULL);
    return d;
}

static const char *line_end(const char *p, const char *end)
{
    const char *nl = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    return nl ? nl + 1 : end;
}

/* Reads the next record, given line by line until it is whole, and makes it a letter when it is bad. */
static void reread_one(struct part *p, struct decoder *d, const char *end, struct batch *to, uint32_t cap)
{
    const char *from = d->p, *upto = from;
    int64_t at = d->offset;
    uint64_t bad = d->report.bad;
    enum status st;
    do {
        struct batch *b = NULL;
        upto = line_end(upto, end);
        decoder_feed(d, from, (size_t)(upto - from), upto == end);
        st = decoder_next(d, p->pool, 1, &b, NULL);
        batch_unref(b);
    } while (st == ST_WAIT && d->p == from && upto < end);
    if (d->p == from) d->p = end;
    if (d->report.bad == bad || to->rows == cap) return;
    const char *stop = d->p;
    while (stop > from && is_break(stop[-1])) stop--;
    letter_add_record(p->reader->letters, to, cap, from, (size_t)(stop - from), at, d->report.last.text);
}

/* Where records have many rows a bad row has no bytes of its own: its letter says where its record is, and what is wrong. */
static void reread_rows(struct part *p, struct split *s, struct decoder *d, struct batch *to, uint32_t cap)
{
    const struct decoder *upto = s->decoder;
    while (to->rows < cap && (d->offset < upto->offset || (d->offset == upto->offset && d->row < upto->row))) {
        struct batch *b = NULL;
        int64_t at = d->offset;
        uint64_t bad = d->report.bad;
        enum status st = decoder_next(d, p->pool, 1, &b, NULL);
        batch_unref(b);
        for (; bad < d->report.bad && to->rows < cap; bad++)
            letter_add_record(p->reader->letters, to, cap, NULL, 0, at, d->report.last.text);
        if (st) return;
    }
}

bool reread_post(struct part *p)
{
    uint32_t n = p->letters->rows;
    enum status st = letters_post(p->reader->rt, p->reader->letters, p->letters);
    if (st == ST_FULL) return false;
    if (!st) count(&p->dead_lettered, n);
    p->letters = NULL;
    return true;
}

void reread_bad(struct part *p, struct split *s, const struct decoder *before, uint64_t bad)
{
    const struct decode_report *report = &s->decoder->report;
    bool many = s->decoder->class->many;
    const char *from = before->p, *end = many ? s->decoder->end : s->decoder->p;
    uint32_t cap = bad < BATCH_ROWS_MAX ? (uint32_t)bad : BATCH_ROWS_MAX;
    struct batch *to = letter_batch(p->reader->letters, p->pool, cap);
    size_t n = end > from ? (size_t)(end - from) : 0, skip;
    AUTO(decoder_free) struct decoder *d = n ? decoder_at(p, s, from, n, before->offset, &skip) : NULL;
    if (d && many) {
        decoder_feed(d, from, n, s->decoder->last);
        d->row = before->row;
        reread_rows(p, s, d, to, cap);
    } else if (d) {
        d->p = from + skip;
        while (d->p < end) reread_one(p, d, end, to, cap);
    }
    /* One that is too long may never be whole in memory. */
    while (to->rows < cap) letter_add_record(p->reader->letters, to, cap, NULL, 0, report->last_offset, report->last.text);
    p->letters = to;
    reread_post(p);
}
