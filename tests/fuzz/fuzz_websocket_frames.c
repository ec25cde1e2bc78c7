/* What a client of the WebSocket sink may send after its request, while records are offered to it: all that comes back
 * is whole frames as a server sends them, the counts add up, and nothing stays behind. The first byte chooses the
 * policy and how the bytes are cut. SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/websocket/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

static const struct lam_host host = {.size = sizeof host,
                                     .alloc = host_alloc,
                                     .resize = host_resize,
                                     .free = free,
                                     .account = host_account,
                                     .now = host_now};

static char got[1 << 20];

static void drain(int fd, size_t *have)
{
    ssize_t k;
    while ((k = recv(fd, got + *have, sizeof got - *have, MSG_DONTWAIT)) > 0) *have += (size_t)k;
}

/* Frames that are whole and not masked; the last may be cut. */
static void check_frames(size_t at, size_t end)
{
    while (end - at >= 2) {
        const uint8_t *p = (const uint8_t *)got + at;
        uint8_t opcode = p[0] & 15, length = p[1];
        check((p[0] & 0xf0) == 0x80 && (opcode == 1 || (opcode >= 8 && opcode <= 10)) && length < 127);
        if (length == 126 && end - at < 4) return;
        size_t n = length < 126 ? 2u + length : 4u + ((size_t)p[2] << 8 | p[3]);
        if (end - at < n) return;
        at += n;
    }
}

static void offer(struct server *s, struct client *c)
{
    static const int64_t offsets[] = {0, 10, 20, 300};
    static const char bytes[300];
    const struct lam_values v = {.size = sizeof v, .n = 3, .bytes = bytes, .offsets = offsets};
    int64_t i = 0;
    struct segment *g = segment_new(s->io, &s->set.framing, &v, &i, &s->next);
    if (c->state == CLIENT_OPEN) client_offer(c, g, 1);
    segment_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct lam_io io = {.size = sizeof io, .host = &host};
    struct server s = {.io = &io, .epoll = epoll_create1(0), .listener = -1, .next = 1};
    s.set = (struct server_settings){
        .rules = {"/", NULL, 512}, .framing = {1, false, 1}, .client_bytes = 400, .message_bytes = 1000};
    int ends[2], small = 1;
    if (!n || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) return close(s.epoll), 0;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    s.set.policy = (enum policy)(data[0] % 3);
    size_t step = 1 + data[0] / 3 + n / 200, have = 0;
    struct client *c = client_new(&s, ends[0], 0);
    struct slot slot = {c, false};
    s.clients = &slot;
    server_watch(&s, c);
    check(send(ends[1], request, sizeof request - 1, 0) > 0);
    client_read(c, 1);
    drain(ends[1], &have);
    check(c->state == CLIENT_OPEN);
    size_t head = have;
    for (size_t at = 1; at < n && c->state != CLIENT_DEAD && have < sizeof got / 2; at += step) {
        if (send(ends[1], data + at, at + step < n ? step : n - at, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
        if (c->events & EPOLLIN)
            client_read(c, 1);
        else
            client_write(c);
        offer(&s, c);
        if (at % 4 == 0) drain(ends[1], &have);
    }
    drain(ends[1], &have);
    check_frames(head, have);
    check(c->counts.offered == c->queue.sent_records + c->queue.dropped_records + queue_records(&c->queue));
    client_free(c);
    check(held == 0);
    close(ends[1]);
    close(s.epoll);
    return 0;
}
