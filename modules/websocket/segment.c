/* See segment.h. SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <stdio.h>
#include <string.h>

#define HEAD 10

int frame_head(uint8_t *to, uint8_t opcode, uint64_t n)
{
    int bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;
    to[0] = 0x80 | opcode;
    to[1] = (uint8_t)(bytes == 0 ? n : bytes == 2 ? 126 : 127);
    for (int i = 0; i < bytes; i++) to[2 + i] = (uint8_t)(n >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

static void reserve(struct segment *s, size_t n)
{
    if (s->size + n > s->bytes_cap) {
        size_t cap = 2 * (s->size + n);
        s->bytes = s->io->host->resize(s->bytes, s->bytes_cap, cap);
        s->bytes_cap = (uint32_t)cap;
    }
    if (s->n + 2 > s->frames_cap) {
        uint32_t cap = s->frames_cap ? 2 * s->frames_cap : 64;
        s->frames = s->io->host->resize(s->frames, s->frames_cap * sizeof *s->frames, cap * sizeof *s->frames);
        s->frames_cap = cap;
    }
}

static void put(struct segment *s, const void *p, size_t n)
{
    reserve(s, n);
    if (n) memcpy(s->bytes + s->size, p, n);
    s->size += (uint32_t)n;
}

static void put_record(struct segment *s, const struct framing *f, const char *p, size_t n, uint64_t sequence)
{
    char text[64];
    if (f->enveloped)
        put(s, text,
            (size_t)snprintf(text, sizeof text,
                             "{\"type\":\"data\",\"sequence\":%llu,\"data\":", (unsigned long long)sequence));
    put(s, p, n);
    if (f->enveloped) put(s, "}", 1);
}

/* Written behind room for the longest head, then moved to where the head that it has ends. */
static void put_frame(struct segment *s, const struct framing *f, const struct lam_values *v, int64_t *i,
                      uint64_t *sequence)
{
    reserve(s, HEAD);
    uint32_t at = s->size;
    s->frames[s->n++] = (struct frame){at, *sequence};
    s->size += HEAD;
    for (uint32_t k = 0; k < f->batch && *i < v->n; k++, ++*i, ++*sequence) {
        if (k && s->size - at >= SEGMENT_BYTES) break;
        if (k) put(s, "\n", 1);
        put_record(s, f, v->bytes + v->offsets[*i], (size_t)(v->offsets[*i + 1] - v->offsets[*i]), *sequence);
    }
    uint32_t n = s->size - at - HEAD;
    uint8_t head[HEAD];
    int k = frame_head(head, f->opcode, n);
    memmove(s->bytes + at + k, s->bytes + at + HEAD, n);
    memcpy(s->bytes + at, head, (size_t)k);
    s->size = at + (uint32_t)k + n;
}

static int64_t footprint(const struct segment *s)
{
    return (int64_t)(sizeof *s + s->bytes_cap + s->frames_cap * sizeof *s->frames);
}

struct segment *segment_new(struct lam_io *io, const struct framing *f, const struct lam_values *v, int64_t *i,
                            uint64_t *sequence)
{
    struct segment *s = io->host->alloc(sizeof *s);
    s->io = io;
    s->refs = 1;
    while (*i < v->n && s->size < SEGMENT_BYTES) put_frame(s, f, v, i, sequence);
    s->frames[s->n] = (struct frame){s->size, *sequence};
    s->bytes = io->host->resize(s->bytes, s->bytes_cap, s->size); /* it may be kept for long */
    s->bytes_cap = s->size;
    io->host->account(io, footprint(s));
    return s;
}

struct segment *segment_ref(struct segment *s)
{
    s->refs++;
    return s;
}

void segment_free(struct segment *s)
{
    if (!s || --s->refs) return;
    s->io->host->account(s->io, -footprint(s));
    s->io->host->free(s->bytes);
    s->io->host->free(s->frames);
    s->io->host->free(s);
}
