/* Segments: entries of a log in files. A segment_reader is one cursor's way through them. Room-internal.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef LOG_SEGMENT_H
#define LOG_SEGMENT_H

#include "base/env.h"
#include "base/text.h"
#include "log/log.h"

/* ---- frames: an entry as bytes -------------------------------------------------------------- */

struct frame {
    struct log_entry entry; /* its batch is the caller's */
    uint32_t held;          /* bytes_held of the batch that was appended */
    size_t size;            /* of the frame */
};
void frame_put(struct text *out, const struct schema *s, const struct log_entry *e);
/* The frame at p. E_CORRUPT: there is none. */
enum status frame_get(const char *p, size_t n, const struct schema *s, struct pool *pool, struct frame *out, struct err *err);

/* ---- files ---------------------------------------------------------------------------------- */

/* What all segments of a log have in common. */
struct segment_place {
    struct env *env;
    const char *dir;
    uint64_t name;
};
enum status segment_create(const struct segment_place *place, uint64_t number, struct file **out, struct err *err);
void segment_remove(const struct segment_place *place, uint64_t number);

/* A piece of a segment that begins with a frame and is read at once. */
struct stripe {
    uint64_t number; /* of the segment */
    uint64_t seq;    /* of its first entry */
    uint32_t begin, end;
};
struct segment_reader {
    struct file *file; /* of the stripe's segment */
    struct stripe stripe;
    struct text bytes; /* of the stripe */
    size_t at;         /* in bytes: the frame of `seq` */
    uint64_t seq;
};
/* Entry seq, which is in the stripe. Where it cannot be read the error names the file and the place. */
enum status segment_read(struct segment_reader *r, const struct segment_place *place, const struct stripe *stripe, uint64_t seq,
                         const struct schema *s, struct pool *pool, struct frame *out, struct err *err);
void segment_reader_done(struct segment_reader *r);

#endif
