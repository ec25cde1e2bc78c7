/* Segments: frames one behind the other, nothing else. A segment belongs to the process that wrote it, which knows where in
 * it stripes of about 64 KiB begin; nobody searches. Little endian, as in memory.
 *
 *     0  u32 length of the payload, a multiple of 8
 *     4  u32 CRC-32C of the bytes 0..3 and of those from 8 to the end of the payload
 *     8  u32 bytes_held of the batch when it was appended
 *    12  u8  kind: enum log_kind
 *    13  u8  END: complete
 *    14  u16 0
 *    16  u64 seq
 *    24  payload: a batch as in codec.c; u64 time of a WATERMARK; u64 EPOCH; nothing for END
 *
 * Nothing is compressed: a log is to spill at the disk's own rate, and zstd at level 1 is far below it on one core.
 * SPDX-License-Identifier: Apache-2.0 */
#include "log/segment.h"

#include "base/crc32c.h"
#include "log/codec.h"

#include <stdio.h>

struct head {
    uint32_t length, sum, held;
    uint8_t kind, complete;
    uint16_t zero;
    uint64_t seq;
};
_Static_assert(sizeof(struct head) == 24, "the head has no holes");

#define PATH_MAX_BYTES 4096

/* ---- frames ------------------------------------------------------------------------------------------ */

static uint32_t sum_of(const char *p, size_t size) { return crc32c(crc32c(0, p, 4), p + 8, size - 8); }

void frame_put(struct text *out, const struct schema *s, const struct log_entry *e)
{
    size_t mark = out->n;
    struct head h = {.kind = (uint8_t)e->kind, .complete = e->complete, .seq = e->seq};
    text_put(out, &h, sizeof h);
    switch (e->kind) {
    case LOG_BATCH:
        h.held = e->b->bytes_held;
        codec_put(out, s, e->b);
        break;
    case LOG_WATERMARK: text_put(out, &e->ts, 8); break;
    case LOG_EPOCH: text_put(out, &e->epoch, 8); break;
    case LOG_END: break;
    }
    size_t size = out->n - mark;
    INVARIANT(size - sizeof h < UINT32_MAX);
    h.length = (uint32_t)(size - sizeof h);
    char *p = out->p + mark;
    memcpy(p, &h, sizeof h);
    h.sum = sum_of(p, size);
    memcpy(p, &h, sizeof h);
}

static enum status head_get(const char *p, size_t n, struct head *h, struct err *err)
{
    if (n < sizeof *h) return err_set(err, E_CORRUPT, "a frame is cut off");
    memcpy(h, p, sizeof *h);
    if (h->length % 8 || h->length > n - sizeof *h) return err_set(err, E_CORRUPT, "a frame is longer than its segment");
    return ST_OK;
}

static enum status payload_get(const char *p, const struct head *h, const struct schema *s, struct pool *pool,
                               struct log_entry *e, struct err *err)
{
    if (h->kind == LOG_BATCH) return codec_get(p, h->length, s, pool, &e->b, err);
    if (h->length != (h->kind == LOG_END ? 0 : 8)) return err_set(err, E_CORRUPT, "a mark has another length");
    if (h->kind == LOG_WATERMARK) memcpy(&e->ts, p, 8);
    if (h->kind == LOG_EPOCH) memcpy(&e->epoch, p, 8);
    return ST_OK;
}

enum status frame_get(const char *p, size_t n, const struct schema *s, struct pool *pool, struct frame *out, struct err *err)
{
    struct head h;
    TRY(head_get(p, n, &h, err));
    size_t size = sizeof h + h.length;
    if (h.sum != sum_of(p, size)) return err_set(err, E_CORRUPT, "the checksum of a frame is wrong");
    if (h.kind > LOG_END || h.complete > 1 || h.zero) return err_set(err, E_CORRUPT, "the head of a frame is not one");
    *out = (struct frame){.entry = {.kind = h.kind, .complete = h.complete, .seq = h.seq}, .held = h.held, .size = size};
    return payload_get(p + sizeof h, &h, s, pool, &out->entry, err);
}

/* ---- files ------------------------------------------------------------------------------------------- */

static const char *path_of(const struct segment_place *place, uint64_t number, char *path)
{
    snprintf(path, PATH_MAX_BYTES, "%s/log-%llx-%llx", place->dir, (unsigned long long)place->name, (unsigned long long)number);
    return path;
}

enum status segment_create(const struct segment_place *place, uint64_t number, struct file **out, struct err *err)
{
    char path[PATH_MAX_BYTES];
    TRY(env_mkdir(place->env, place->dir, err));
    return env_open(place->env, path_of(place, number, path), FILE_WRITE | FILE_CREATE | FILE_TRUNC, out, err);
}

/* What cannot be removed is in nobody's way but the disk's. */
void segment_remove(const struct segment_place *place, uint64_t number)
{
    char path[PATH_MAX_BYTES];
    env_unlink(place->env, path_of(place, number, path), NULL);
}

/* ---- readers ----------------------------------------------------------------------------------------- */

static void forget(struct segment_reader *r)
{
    if (r->file) file_close(r->file, NULL);
    r->file = NULL;
    r->stripe = (struct stripe){0};
    r->bytes.n = r->at = 0;
}

void segment_reader_done(struct segment_reader *r)
{
    forget(r);
    text_done(&r->bytes);
}

/* Reads what the stripe has and the reader does not have yet; the writer may have gone on behind what was read. */
static enum status load(struct segment_reader *r, const struct stripe *s, struct err *err)
{
    size_t want = s->end - s->begin - r->bytes.n;
    char *p = text_room(&r->bytes, want);
    while (want) {
        size_t got = 0;
        TRY(file_pread(r->file, p, want, (int64_t)(s->begin + r->bytes.n), &got, err));
        if (!got) return err_set(err, E_CORRUPT, "the segment ends too early");
        p += got;
        want -= got;
        r->bytes.n += got;
    }
    r->stripe.end = s->end;
    return ST_OK;
}

static enum status go_to(struct segment_reader *r, const struct segment_place *place, const struct stripe *s, uint64_t seq,
                         struct err *err)
{
    bool here = r->file && r->stripe.number == s->number;
    if (!here || r->stripe.begin != s->begin || r->seq > seq) {
        if (!here) {
            char path[PATH_MAX_BYTES];
            forget(r);
            TRY(env_open(place->env, path_of(place, s->number, path), FILE_READ, &r->file, err));
        }
        r->stripe = *s;
        r->bytes.n = r->at = 0;
        r->seq = s->seq;
    }
    TRY(load(r, s, err));
    for (; r->seq < seq; r->seq++) {
        struct head h;
        TRY(head_get(r->bytes.p + r->at, r->bytes.n - r->at, &h, err));
        r->at += sizeof h + h.length;
    }
    return ST_OK;
}

/* Says where. What was read is forgotten, so that the next try reads again. */
static enum status failed(struct segment_reader *r, const struct segment_place *place, const struct stripe *s, enum status st,
                          struct err *err)
{
    char path[PATH_MAX_BYTES], what[sizeof err->text];
    if (err) {
        snprintf(what, sizeof what, "%s", err->text);
        err_set(err, st, "%.200s at byte %zu of \"%.200s\"", what, s->begin + r->at, path_of(place, s->number, path));
        err_hint(err, "what was written to the disk did not come back: look after the disk; going past it loses these rows");
    }
    forget(r);
    return st;
}

enum status segment_read(struct segment_reader *r, const struct segment_place *place, const struct stripe *stripe, uint64_t seq,
                         const struct schema *s, struct pool *pool, struct frame *out, struct err *err)
{
    enum status st = go_to(r, place, stripe, seq, err);
    if (!st) st = frame_get(r->bytes.p + r->at, r->bytes.n - r->at, s, pool, out, err);
    if (!st && out->entry.seq != seq) {
        if (out->entry.kind == LOG_BATCH) batch_unref(out->entry.b);
        st = err_set(err, E_CORRUPT, "a frame of another entry lies");
    }
    if (st) return failed(r, place, stripe, st == E_CORRUPT ? E_CORRUPT : E_READ, err);
    r->at += out->size;
    r->seq++;
    return ST_OK;
}
