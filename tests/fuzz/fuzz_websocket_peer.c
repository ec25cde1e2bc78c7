/* Frames of a hostile server to a client, or of a hostile client to a source that is a server: any cut of the bytes
 * gives the same messages, what is answered is whole frames of our side, and nothing stays behind. The first byte
 * chooses the side and the cut. SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/websocket/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int64_t held;

static void check(bool ok)
{
    if (!ok) abort();
}

static void *host_alloc(size_t n)
{
    return calloc(1, n);
}
static void *host_resize(void *p, size_t old_n, size_t n)
{
    return (void)old_n, realloc(p, n ? n : 1);
}
static void host_account(struct lam_io *io, int64_t bytes)
{
    (void)io, held += bytes;
}
static int64_t host_now(struct lam_io *io)
{
    return (void)io, 1;
}
static uint64_t host_random(struct lam_io *io)
{
    return (void)io, 0x0123456789abcdef;
}
static void host_log(struct lam_io *io, int level, const char *fmt, ...)
{
    (void)io, (void)level, (void)fmt;
}
static int64_t host_option_int(const struct lam_options *o, const char *name)
{
    return (void)o, (void)name, 0;
}

struct talk {
    struct lam_io io;
    struct inbox inbox;
    struct peer peer;
    const uint8_t *p;
    size_t n, at, cut, budget;
    bool full;
    char said[1 << 17]; /* by us */
    size_t n_said;
    uint64_t messages, sum; /* of what came */
};
static struct talk *talking;

static bool host_record(struct lam_records *out, const void *p, size_t n, const struct lam_position *after)
{
    (void)after;
    for (size_t i = 0; i < n; i++) talking->sum = talking->sum * 1099511628211u + ((const uint8_t *)p)[i];
    talking->sum = talking->sum * 31 + n;
    talking->messages++;
    out->n++;
    return out->n < out->max;
}

static const struct lam_host host = {.size = sizeof host,
                                     .alloc = host_alloc,
                                     .resize = host_resize,
                                     .free = free,
                                     .account = host_account,
                                     .now = host_now,
                                     .wall = host_now,
                                     .random = host_random,
                                     .log = host_log,
                                     .option_int = host_option_int,
                                     .record = host_record};

static ssize_t receive(void *of, void *to, size_t n)
{
    struct talk *t = of;
    if (n > t->budget) n = t->budget;
    if (n > t->n - t->at) n = t->n - t->at;
    if (!n) return errno = EAGAIN, -1;
    memcpy(to, t->p + t->at, n);
    t->at += n;
    t->budget -= n;
    return (ssize_t)n;
}

/* Takes some, then nothing, in turns. */
static ssize_t send_out(void *of, const void *p, size_t n)
{
    struct talk *t = of;
    t->full = !t->full;
    if (t->full || t->n_said == sizeof t->said) return errno = EAGAIN, -1;
    if (n > 100) n = 100;
    if (n > sizeof t->said - t->n_said) n = sizeof t->said - t->n_said;
    memcpy(t->said + t->n_said, p, n);
    t->n_said += n;
    return (ssize_t)n;
}

static const struct peer_carrier carrier = {receive, send_out};

static void run(struct talk *t, bool is_client, const uint8_t *p, size_t n, size_t cut)
{
    static const struct ArrowSchema none;
    uint64_t pool = 0;
    const struct peer_rules rules = {
        .is_client = is_client, .message_bytes = 1000, .pong_us = 1000, .pool = &pool, .pool_bytes = 1500};
    *t = (struct talk){.io = {.size = sizeof t->io, .host = &host, .metadata = &none}, .p = p, .n = n, .cut = cut};
    talking = t;
    inbox_open(&t->inbox, &t->io);
    t->peer = (struct peer){.io = &t->io, .rules = &rules, .carrier = &carrier, .of = t, .inbox = &t->inbox, .number = 1};
    check(peer_open(&t->peer, (const char *)p, 0, 1));
    size_t idle = 0;
    for (size_t before; idle < 4 && t->n_said < sizeof t->said; idle = before == t->at + t->n_said ? idle + 1 : 0) {
        struct lam_records out = {.size = sizeof out, .max = 100};
        before = t->at + t->n_said;
        t->budget = cut;
        peer_read(&t->peer, 1);
        check(t->inbox.n <= 2 * INBOX_MESSAGES);
        peer_write(&t->peer, 1);
        inbox_give(&t->inbox, &out, NULL, NULL);
        if (out.n) idle = 0, before = SIZE_MAX;
        if (t->peer.state == PEER_DEAD) break;
    }
    for (struct lam_records out = {.max = 100}; !inbox_is_empty(&t->inbox); out.n = 0) inbox_give(&t->inbox, &out, NULL, NULL);
    check(t->inbox.dropped == 0);
    peer_done(&t->peer);
    check(pool == 0);
    inbox_done(&t->inbox);
    check(held == 0);
}

/* Whole frames, masked when we are the client; the last may be cut. */
static void check_frames(const struct talk *t, bool is_client)
{
    for (size_t at = 0; t->n_said - at >= 2;) {
        const uint8_t *p = (const uint8_t *)t->said + at;
        uint8_t opcode = p[0] & 15, length = p[1] & 127;
        check((p[0] & 0xf0) == 0x80 && opcode >= 8 && opcode <= 10 && length < 126);
        check((p[1] >= 128) == is_client);
        at += 2u + length + (is_client ? 4 : 0);
        if (at > t->n_said) return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct talk whole, parts;
    if (!n || n > 40000) return 0;
    bool is_client = data[0] & 1;
    run(&whole, is_client, data + 1, n - 1, n);
    run(&parts, is_client, data + 1, n - 1, 1 + (data[0] >> 1) + n / 200);
    check_frames(&whole, is_client);
    check_frames(&parts, is_client);
    check(whole.messages == parts.messages && whole.sum == parts.sum);
    return 0;
}
