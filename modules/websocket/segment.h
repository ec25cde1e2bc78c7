/* Frames made once and shared by all clients: by number of references, one thread. SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEBSOCKET_SEGMENT_H
#define WEBSOCKET_SEGMENT_H

#include <laminar_connector.h>

enum { SEGMENT_BYTES = 64 << 10 }; /* no frame is begun beyond */

struct deflater;

/* What is sent or dropped as one: a frame of the protocol, or one that says what comes and one that is that. */
struct frame {
    uint32_t at;       /* its first byte; that of the one behind the last is the end of all */
    uint32_t record;   /* how many records precede it in the segment */
    uint64_t sequence; /* of its first record; of the one behind the last: of the row to come */
};

struct segment {
    uint32_t refs, n; /* n: frames */
    uint32_t size, frames_cap, bytes_cap;
    uint32_t view; /* the number of the view whose rows these are */
    struct frame *frames; /* n + 1 */
    uint8_t *bytes;
    struct lam_io *io;
    struct segment *deflated; /* the same frames, compressed; NULL: nobody has asked yet */
};

struct framing {
    uint8_t opcode;
    const char *lead; /* what an envelope has before a record's sequence; NULL: there is none */
    uint32_t batch;   /* records of a frame at most */
    uint32_t view;
};

/* What frames are made of: record i is row which[i] (which NULL: row i), whose sequence is that of row 0 plus its number. */
struct records {
    const struct lam_values *values; /* by row, or */
    bool dense;                      /* by record */
    const uint32_t *which;
    int64_t n;
    uint64_t sequence, end; /* of row 0; of the row behind the last */
};

/* Of records from *i on, which is moved on. One reference. */
struct segment *segment_new(struct lam_io *io, const struct framing *f, const struct records *r, int64_t *i);
struct segment *segment_ref(struct segment *s);
void segment_free(struct segment *s); /* gives one reference back */
/* Made at the first call and kept; the caller gets no reference of its own. */
struct segment *segment_deflated(struct segment *s, struct deflater *d);

static inline uint32_t segment_bytes(const struct segment *s, uint32_t from, uint32_t to)
{
    return s->frames[to].at - s->frames[from].at;
}
static inline uint64_t segment_records(const struct segment *s, uint32_t from, uint32_t to)
{
    return s->frames[to].record - s->frames[from].record;
}

/* The head of a frame that a server sends; its length, at most 10. */
enum { FRAME_HEAD = 10 };
int frame_head(uint8_t *to, uint8_t opcode, uint64_t n);

#endif
