/* Formats: bytes <-> columns. A decoder frames records in a stream of bytes and keeps the unfinished rest; an encoder
 * appends text for whole batches. Neither reads nor writes anything itself.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include "arrow/batch.h"
#include "base/option.h"
#include "base/text.h"

enum on_error { ON_ERROR_SKIP, ON_ERROR_FAIL, ON_ERROR_NULL };

#define FORMAT_PADDING 64 /* readable (not meaningful) bytes after the input given to decoder_feed */

/* Records that could not be decoded. Counters only grow. */
struct decode_report {
    uint64_t bad;        /* records skipped (SKIP, or malformed as a whole) */
    uint64_t nulled;     /* fields left NULL (NULL policy) */
    struct err last;     /* the latest, with line, field and the text that failed, cut short */
    int64_t last_offset; /* byte offset of its record in the split */
};

struct decoder;
struct decoder_class {
    const char *name;
    size_t size;
    const struct option_spec *options;
    /* header: see decoder_new; valid during the call. */
    enum status (*open)(struct decoder *d, const struct options *o, const char *header, size_t header_n,
                        struct err *err);
    /* See decoder_feed and decoder_next. */
    enum status (*next)(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out, struct err *err);
    void (*close)(struct decoder *d);
};
struct decoder { /* the first member of each decoder */
    const struct decoder_class *class;
    const struct schema *schema; /* columns wanted, by name */
    enum on_error on_error;
    size_t record_max; /* a longer record is bad */
    /* the input at hand: what feed gave, minus what next consumed */
    const char *p, *end;
    bool last;
    int64_t offset; /* of p in the split, i.e. bytes consumed by whole records so far; while a record that is
                       too long is passed over, p runs ahead of it */
    struct decode_report report;
};
/* offset: where in the split decoding starts (0: the very beginning, where a header line stands). A decoder that starts
 * elsewhere needs the header: `header` gives the split's first bytes then (NULL, 0 otherwise). */
enum status decoder_new(const struct decoder_class *c, const struct schema *schema, const struct options *o,
                        enum on_error on_error, size_t record_max, int64_t offset, const char *header, size_t header_n,
                        struct decoder **out, struct err *err);
void decoder_free(struct decoder *d);
AUTO_DEFINE(decoder_free, struct decoder *)
/* Gives the bytes [p, p+n): first those that next left over (d->p..d->end) moved to the front by the caller, then new
 * ones. last: nothing follows, so a record without its newline is whole. */
static inline void decoder_feed(struct decoder *d, const char *p, size_t n, bool last)
{
    d->p = p, d->end = p + n, d->last = last;
}
/* Decodes up to max_rows records into a dense batch (text copied; ts range not set) and moves d->p and d->offset past
 * them. ST_WAIT: no whole record is left (out is NULL). ST_DONE: that, and last. E_DECODE and others only under
 * ON_ERROR_FAIL or when the input as a whole cannot be read (no such column in the header). A batch may be empty (all
 * skipped). */
static inline enum status decoder_next(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out,
                                       struct err *err)
{
    return d->class->next(d, pool, max_rows, out, err);
}

/* How changes are shown: nothing, a first column w (1, -1), or op (+I -U +U -D). */
enum changelog_style { CHANGELOG_NONE, CHANGELOG_W, CHANGELOG_OP };

struct encoder;
struct encoder_class {
    const char *name;
    size_t size;
    const struct option_spec *options;
    enum status (*open)(struct encoder *e, const struct options *o, struct err *err);
    /* What stands before the first row (a header line); called once before anything is put, unless appending to a file
     * that has it. */
    void (*begin)(struct encoder *e, struct text *out);
    void (*put)(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out);
    /* Formats that lay out many rows together (box) hold some back. flush gives them out; more may come. end gives them
     * out and finishes; what is put after it begins anew. */
    void (*flush)(struct encoder *e, struct text *out);
    void (*end)(struct encoder *e, struct text *out);
    void (*close)(struct encoder *e);
};
struct encoder {
    const struct encoder_class *class;
    const struct schema *schema;
    enum changelog_style changelog;
};
enum status encoder_new(const struct encoder_class *c, const struct schema *schema, enum changelog_style changelog,
                        const struct options *o, struct encoder **out, struct err *err);
void encoder_free(struct encoder *e);

/* "csv", "tsv", "json" (= "jsonl", "jsonlines"), "box" (out only); NULL: no such format, or not in that direction. */
const struct decoder_class *decoder_find(const char *name);
const struct encoder_class *encoder_find(const char *name);
const char *format_name(const void *ctx, int i); /* all names, for nearest and SHOW FORMATS */

#endif
