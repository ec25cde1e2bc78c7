/* See segment.h. SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include "deflate.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_FRAME = 1 };

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

static uint64_t sequence_of(const struct records *r, int64_t i)
{
    if (i == r->n) return r->end;
    return r->sequence + (r->which ? r->which[i] : (uint64_t)i);
}

/* Where the value of a record stands. */
static int64_t place_of(const struct records *r, int64_t i)
{
    return r->which && !r->dense ? r->which[i] : i;
}

static void put_record(struct segment *s, const struct framing *f, const struct records *r, int64_t i)
{
    char number[24];
    const int64_t *o = r->values->offsets + place_of(r, i);
    if (f->lead) {
        put(s, f->lead, strlen(f->lead));
        put(s, number, (size_t)snprintf(number, sizeof number, "%llu", (unsigned long long)sequence_of(r, i)));
        put(s, ",\"data\":", 8);
    }
    put(s, r->values->bytes + o[0], (size_t)(o[1] - o[0]));
    if (f->lead) put(s, "}", 1);
}

/* A frame is written behind room for the longest head, then moved to where the head that it has ends. */
static uint32_t begin_frame(struct segment *s)
{
    reserve(s, FRAME_HEAD);
    s->size += FRAME_HEAD;
    return s->size - FRAME_HEAD;
}

static void end_frame(struct segment *s, uint32_t at, uint8_t opcode)
{
    uint8_t head[FRAME_HEAD], *p = s->bytes + at;
    uint32_t n = s->size - at - FRAME_HEAD;
    int k = frame_head(head, opcode, n);
    memmove(p + k, p + FRAME_HEAD, n);
    memcpy(p, head, (size_t)k);
    s->size -= (uint32_t)(FRAME_HEAD - k);
}

/* What the bytes to come are one of: nothing less of them is sent or dropped. */
static void note(struct segment *s, uint32_t record, uint64_t sequence)
{
    reserve(s, 0);
    s->frames[s->n++] = (struct frame){s->size, record, sequence};
}

/* One value of all records, after a message that says which they are. */
static void put_whole(struct segment *s, const struct framing *f, const struct records *r)
{
    char text[100];
    note(s, 0, sequence_of(r, 0));
    if (f->lead) {
        uint32_t at = begin_frame(s);
        put(s, f->lead, strlen(f->lead));
        put(s, text,
            (size_t)snprintf(text, sizeof text, "%llu,\"last_sequence\":%llu,\"records\":%lld}",
                             (unsigned long long)sequence_of(r, 0), (unsigned long long)sequence_of(r, r->n - 1), (long long)r->n));
        end_frame(s, at, TEXT_FRAME);
    }
    uint32_t at = begin_frame(s);
    put(s, r->values->bytes + r->values->offsets[0], (size_t)(r->values->offsets[1] - r->values->offsets[0]));
    end_frame(s, at, f->opcode);
}

static void put_frame(struct segment *s, const struct framing *f, const struct records *r, int64_t first, int64_t *i)
{
    note(s, (uint32_t)(*i - first), sequence_of(r, *i));
    uint32_t at = begin_frame(s);
    for (uint32_t k = 0; k < f->batch && *i < r->n; k++, ++*i) {
        if (k && s->size - at >= SEGMENT_BYTES) break;
        if (k) put(s, "\n", 1);
        put_record(s, f, r, *i);
    }
    end_frame(s, at, f->opcode);
}

static int64_t footprint(const struct segment *s)
{
    return (int64_t)(sizeof *s + s->bytes_cap + s->frames_cap * sizeof *s->frames);
}

static struct segment *begin(struct lam_io *io, uint32_t view)
{
    struct segment *s = io->host->alloc(sizeof *s);
    s->io = io;
    s->refs = 1;
    s->view = view;
    return s;
}

static void end(struct segment *s, uint32_t records, uint64_t sequence)
{
    s->frames[s->n] = (struct frame){s->size, records, sequence};
    if (s->bytes_cap - s->size > s->size / 4) { /* it may be kept for long */
        s->bytes = s->io->host->resize(s->bytes, s->bytes_cap, s->size);
        s->bytes_cap = s->size;
    }
    s->io->host->account(s->io, footprint(s));
}

/* Room at once for what fits into a segment of the records from i on; a little more than they will take. */
static void reserve_all(struct segment *s, const struct framing *f, const struct records *r, int64_t i)
{
    const size_t around = f->lead ? strlen(f->lead) + 20 + sizeof ",\"data\":}" : 1;
    size_t n = 0;
    uint32_t frames = 1, in_frame = 0;
    for (; i < r->n && n < SEGMENT_BYTES; i++, in_frame++) {
        const int64_t *o = r->values->offsets + place_of(r, i);
        if (in_frame == f->batch) in_frame = 0, frames++;
        n += (size_t)(o[1] - o[0]) + around;
    }
    s->bytes_cap = (uint32_t)(n + frames * FRAME_HEAD);
    s->bytes = s->io->host->resize(NULL, 0, s->bytes_cap);
    s->frames_cap = frames + 2;
    s->frames = s->io->host->resize(NULL, 0, s->frames_cap * sizeof *s->frames);
}

struct segment *segment_new(struct lam_io *io, const struct framing *f, const struct records *r, int64_t *i)
{
    struct segment *s = begin(io, f->view);
    int64_t first = *i;
    if (r->values->whole) {
        put_whole(s, f, r);
        *i = r->n;
    } else {
        reserve_all(s, f, r, *i);
    }
    while (*i < r->n && s->size < SEGMENT_BYTES) put_frame(s, f, r, first, i);
    end(s, (uint32_t)(*i - first), sequence_of(r, *i));
    return s;
}

/* One that would not become shorter stays as it is. Where the next begins. */
static const uint8_t *put_deflated(struct segment *to, const uint8_t *p, struct deflater *d)
{
    uint64_t n = p[1];
    uint8_t opcode = p[0] & 15;
    int more = n < 126 ? 0 : n == 126 ? 2 : 8;
    for (int i = more ? (int)(n = 0) : 0; i < more; i++) n = n << 8 | p[2 + i];
    p += 2 + more;
    uint32_t at = begin_frame(to);
    reserve(to, n);
    size_t k = deflate_message(d, p, n, to->bytes + to->size, n);
    if (!k) memcpy(to->bytes + to->size, p, n);
    to->size += (uint32_t)(k ? k : n);
    end_frame(to, at, opcode | (k ? FRAME_DEFLATED : 0));
    return p + n;
}

struct segment *segment_deflated(struct segment *s, struct deflater *d)
{
    if (s->deflated) return s->deflated;
    struct segment *to = s->deflated = begin(s->io, s->view);
    const uint8_t *p = s->bytes;
    for (uint32_t i = 0; i < s->n; i++) {
        note(to, s->frames[i].record, s->frames[i].sequence);
        while (p < s->bytes + s->frames[i + 1].at) p = put_deflated(to, p, d);
    }
    end(to, s->frames[s->n].record, s->frames[s->n].sequence);
    return to;
}

struct segment *segment_ref(struct segment *s)
{
    s->refs++;
    return s;
}

void segment_free(struct segment *s)
{
    if (!s || --s->refs) return;
    segment_free(s->deflated);
    s->io->host->account(s->io, -footprint(s));
    s->io->host->free(s->bytes);
    s->io->host->free(s->frames);
    s->io->host->free(s);
}
