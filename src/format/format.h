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

/* One of the values that lie one after another in a text, each with a newline behind it that is not part of it. */
struct record {
    uint32_t start, n; /* n RECORD_NONE: there is no value, and start is where it would be */
    int64_t offset;    /* what reports call it */
};
#define RECORD_NONE UINT32_MAX

struct decoder;
struct decoder_class {
    const char *name;
    size_t size;
    const struct option_spec *options;
    bool many;       /* records in a run of bytes are no lines, and have many rows: see decoder.row */
    bool skips_none; /* a record without a value has no rows; otherwise it is a row of NULLs */
    /* header: see decoder_new; valid during the call. */
    enum status (*open)(struct decoder *d, const struct options *o, const char *header, size_t header_n,
                        struct err *err);
    /* See decoder_feed and decoder_next. */
    enum status (*next)(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out, struct err *err);
    /* See decoder_records; all records have a value. One of the two is NULL where the format does not have it. */
    enum status (*records)(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n, uint32_t *of,
                           uint32_t *used, struct batch **out, struct err *err);
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
    const char *split;             /* of records: its name, for reports; NULL: bytes */
    bool many;                     /* a record may have several rows */
    const struct schema *declared; /* all columns that records have, of which `schema` are some; NULL: the same */
    uint32_t *numbers;             /* of records with a value, where some have none */
    struct record *valued;
    uint32_t cap;                  /* of both */
    int64_t offset; /* of p in the split, i.e. bytes consumed by whole records so far; while a record that is
                       too long is passed over, p runs ahead of it */
    uint32_t row; /* rows of the record at `offset` that were given, where records have many. Set by the caller to go on from there */
    struct decode_report report;
};
/* offset: where in the split decoding starts (0: the very beginning, where a header line stands). A decoder that starts
 * elsewhere needs the header: `header` gives the split's first bytes then (NULL, 0 otherwise). */
enum status decoder_new(const struct decoder_class *c, const struct schema *schema, const struct options *o,
                        enum on_error on_error, size_t record_max, int64_t offset, const char *header, size_t header_n,
                        struct decoder **out, struct err *err);
/* The same where `schema` has some of the columns that records have by declaration, in whose order fields without a header lie. */
enum status decoder_new_some(const struct decoder_class *c, const struct schema *schema, const struct schema *declared,
                             const struct options *o, enum on_error on_error, size_t record_max, int64_t offset,
                             const char *header, size_t header_n, struct decoder **out, struct err *err);
/* For values that come one by one; split must outlive it. */
enum status decoder_new_records(const struct decoder_class *c, const struct schema *schema, const struct schema *declared,
                                const struct options *o, enum on_error on_error, size_t record_max, const char *split,
                                struct decoder **out, struct err *err);
/* Decodes the records r[0..n), n <= BATCH_ROWS_MAX, of a text with FORMAT_PADDING after it. Each becomes one row (several or none
 * where the class says so) or is bad: row i of *out is of record of[i] (ascending; room for BATCH_ROWS_MAX). A record without a value is
 * a row of NULLs, or none. *used: how many were looked at: all, fewer when the others' rows have no room in the batch, or under
 * ON_ERROR_FAIL those before a bad one; E_DECODE when that is the first. */
enum status decoder_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n, uint32_t *of,
                            uint32_t *used, struct batch **out, struct err *err);
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

/* Values made of rows, one each: value i is text.p[offsets[i]..offsets[i + 1]). Reused: values_clear keeps its memory. */
struct values {
    struct text text;
    int64_t *offsets;    /* n + 1 */
    uint8_t *none;       /* 1: no value at all, where has_none is set */
    bool has_none;
    bool whole;          /* one value holds all n rows: there is offsets[1], and no other */
    uint32_t first, n;   /* rows of the batch that was encoded */
    uint32_t cap;
};
void values_clear(struct values *v, uint32_t first, uint32_t room); /* room: values to come */
void values_done(struct values *v);

struct encoder;
struct encoder_class {
    const char *name;
    size_t size;
    const struct option_spec *options;
    bool ends; /* its text has an end, behind which nothing can be put: a target that has one is not appended to */
    enum status (*open)(struct encoder *e, const struct options *o, struct err *err);
    /* What stands before the first row (a header line); called once before anything is put, unless appending to a file
     * that has it. */
    void (*begin)(struct encoder *e, struct text *out);
    void (*put)(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out);
    /* Adds the values of n rows, for which there is room. NULL: the format has no values of its own for a row; put NULL: it has
     * nothing else. */
    void (*put_values)(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct values *out);
    /* How many of the n rows from `from` on can be written; less than n: why the next cannot. NULL: all. Others are not to be put. */
    uint32_t (*fits)(const struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct err *why);
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
    bool values; /* made for put_values */
};
/* An encoder whose put_values is to be called, and nothing else. */
enum status encoder_new_values(const struct encoder_class *c, const struct schema *schema, enum changelog_style changelog,
                               const struct options *o, struct encoder **out, struct err *err);
enum status encoder_new(const struct encoder_class *c, const struct schema *schema, enum changelog_style changelog,
                        const struct options *o, struct encoder **out, struct err *err);
void encoder_free(struct encoder *e);
/* See fits. */
uint32_t encoder_fits(const struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct err *why);
/* Of n rows that fit, one value that can be read alone: with what stands before the first row and behind the last (a header line, a
 * schema, an end). For encoders of encoder_new, between two ends. */
void encoder_put_whole(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out);

/* "csv", "tsv", "json" (= "jsonl", "jsonlines"), "box" (out only), "raw" (of records only), "arrow_ipc" (= "arrow");
 * NULL: no such format, or not in that direction. */
const struct decoder_class *decoder_find(const char *name);
const struct encoder_class *encoder_find(const char *name);
const char *format_name(const void *ctx, int i); /* all names, for nearest and SHOW FORMATS */

#endif
