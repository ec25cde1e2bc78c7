/* See deflate.h. SPDX-License-Identifier: Apache-2.0 */
#include "deflate.h"

#include <string.h>
#include <zlib.h>

#define FIRST_ROOM 4096

/* What zlib asks for: its two streams at their widest windows. */
#define STREAM_BYTES ((1 << 17) + (1 << 17) + (1 << 15) + (16 << 10))

static const uint8_t tail[4] = {0, 0, 0xff, 0xff}; /* which messages leave out */

struct deflater {
    struct lam_io *io;
    z_stream out, in;
};

static voidpf take(voidpf io, uInt n, uInt size)
{
    return ((struct lam_io *)io)->host->alloc((size_t)n * size);
}

static void give(voidpf io, voidpf p)
{
    ((struct lam_io *)io)->host->free(p);
}

struct deflater *deflater_new(struct lam_io *io)
{
    struct deflater *d = io->host->alloc(sizeof *d);
    d->io = io;
    d->in = d->out = (z_stream){.zalloc = take, .zfree = give, .opaque = io};
    deflateInit2(&d->out, Z_BEST_SPEED, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    inflateInit2(&d->in, -15);
    io->host->account(io, (int64_t)sizeof *d + STREAM_BYTES);
    return d;
}

void deflater_free(struct deflater *d)
{
    if (!d) return;
    deflateEnd(&d->out);
    inflateEnd(&d->in);
    d->io->host->account(d->io, -((int64_t)sizeof *d + STREAM_BYTES));
    d->io->host->free(d);
}

size_t deflate_message(struct deflater *d, const uint8_t *p, size_t n, uint8_t *to, size_t room)
{
    z_stream *z = &d->out;
    deflateReset(z);
    z->next_in = (Bytef *)(uintptr_t)p, z->avail_in = (uInt)n;
    z->next_out = to, z->avail_out = (uInt)room;
    deflate(z, Z_SYNC_FLUSH);
    if (z->avail_in || !z->avail_out) return 0; /* without a byte of room left it may not be whole */
    return room - z->avail_out - sizeof tail;
}

static bool grow(struct deflater *d, size_t max, char **to, size_t *cap)
{
    size_t more = *cap ? 2 * *cap : FIRST_ROOM;
    if (more > max + 1) more = max + 1; /* a byte beyond tells that it is too long */
    if (more == *cap) return false;
    *to = d->io->host->resize(*to, *cap, more);
    *cap = more;
    return true;
}

/* Of p, then of the tail. */
static enum inflated run(struct deflater *d, const uint8_t *p, size_t n, size_t max, char **to, size_t *cap)
{
    z_stream *z = &d->in;
    z->next_in = (Bytef *)(uintptr_t)p, z->avail_in = (uInt)n;
    for (;;) {
        if (!z->avail_out) {
            size_t had = *cap;
            if (!grow(d, max, to, cap)) return INFLATE_LONG;
            z->next_out = (Bytef *)*to + had, z->avail_out = (uInt)(*cap - had);
        }
        int result = inflate(z, Z_SYNC_FLUSH);
        if (result == Z_STREAM_END) {
            inflateReset(z); /* more blocks may follow the one that says it is the last */
            if (!z->avail_in) return INFLATED;
            continue;
        }
        if (result != Z_OK && result != Z_BUF_ERROR) return INFLATE_BAD;
        if (z->avail_out && !z->avail_in) return INFLATED;
        if (z->avail_out && result == Z_BUF_ERROR) return INFLATE_BAD;
    }
}

enum inflated inflate_message(struct deflater *d, const uint8_t *p, size_t n, size_t max, char **to, size_t *to_n,
                              size_t *cap)
{
    *to = NULL;
    *cap = 0;
    inflateReset(&d->in);
    d->in.avail_out = 0;
    enum inflated r = run(d, p, n, max, to, cap);
    if (r == INFLATED) r = run(d, tail, sizeof tail, max, to, cap);
    *to_n = *cap - d->in.avail_out;
    if (r == INFLATED && *to_n > max) r = INFLATE_LONG;
    if (r == INFLATED) return r;
    d->io->host->free(*to);
    *to = NULL;
    *to_n = *cap = 0;
    return r;
}
