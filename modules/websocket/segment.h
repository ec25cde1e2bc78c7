/* Frames made once and shared by all clients: by number of references, one thread. SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEBSOCKET_SEGMENT_H
#define WEBSOCKET_SEGMENT_H

#include <laminar_connector.h>

enum { SEGMENT_BYTES = 64 << 10 }; /* no frame is begun beyond */

struct frame {
    uint32_t at;       /* its first byte; that of the one behind the last is the end of all */
    uint64_t sequence; /* of its first record */
};

struct segment {
    uint32_t refs, n; /* n: frames */
    uint32_t size, frames_cap, bytes_cap;
    struct frame *frames; /* n + 1 */
    uint8_t *bytes;
    struct lam_io *io;
};

struct framing {
    uint8_t opcode;
    bool enveloped;
    uint32_t batch; /* records of a frame at most */
};

/* Of values from *i on, whose first has the sequence *sequence; both are moved on. One reference. */
struct segment *segment_new(struct lam_io *io, const struct framing *f, const struct lam_values *v, int64_t *i,
                            uint64_t *sequence);
struct segment *segment_ref(struct segment *s);
void segment_free(struct segment *s); /* gives one reference back */

static inline uint32_t segment_bytes(const struct segment *s, uint32_t from, uint32_t to)
{
    return s->frames[to].at - s->frames[from].at;
}
static inline uint64_t segment_records(const struct segment *s, uint32_t from, uint32_t to)
{
    return s->frames[to].sequence - s->frames[from].sequence;
}

/* The head of a frame that a server sends; its length, at most 10. */
int frame_head(uint8_t *to, uint8_t opcode, uint64_t n);

#endif
