/* What a client of the WebSocket sink may send after its request, while records are offered to it: all that comes back
 * is whole frames as a server sends them, the counts add up, and nothing stays behind. The first byte chooses the
 * policy, whether frames may be compressed, and how the bytes are cut. SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/websocket/deflate.h"
#include "../../modules/websocket/server.h"

#include <stdio.h>
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

static void host_log(struct lam_io *io, int level, const char *fmt, ...)
{
    (void)io, (void)level, (void)fmt;
}

/* ---- views: "odd" passes every other row, "bad" is none; with a format values are "v" */

struct lam_view {
    bool odd, own, spent;
    uint32_t which[64];
    struct lam_values values;
    struct lam_passed passed;
};
struct lam_kept {
    int64_t n;
};

static struct lam_view *host_view_new(struct lam_io *io, const char *filter, const char *format, char *why, size_t n)
{
    (void)io;
    check(!filter || strlen(filter) < 2000);
    snprintf(why, n, "[LAM-1100] no such column \"%s\"", filter ? filter : "");
    if (filter && strstr(filter, "bad")) return NULL;
    struct lam_view *v = calloc(1, sizeof *v);
    v->odd = filter && strstr(filter, "odd");
    v->spent = filter && strstr(filter, "spent");
    v->own = format;
    held++;
    return v;
}

static const struct lam_passed *pass(struct lam_view *v, int64_t n, bool own)
{
    struct lam_passed *out = &v->passed;
    static const int64_t offsets[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    *out = (struct lam_passed){.size = sizeof *out, .which = v->which, .spent = v->spent, .failed = v->odd, .why = "odd"};
    for (int64_t i = 0; i < n && out->n < 8; i++)
        if (!v->odd || i % 2) v->which[out->n++] = (uint32_t)i;
    v->values = (struct lam_values){.size = sizeof v->values, .n = out->n, .bytes = "vvvvvvvv", .offsets = offsets};
    if (own) out->values = &v->values;
    return out;
}

static const struct lam_passed *host_view_read(struct lam_view *v, const struct lam_rows *rows, int64_t n, int64_t max_us)
{
    (void)rows, (void)max_us;
    return pass(v, n, v->own);
}
static int64_t host_rows_keep(struct lam_io *io, struct lam_kept **k, const struct lam_rows *rows, int64_t from, int64_t n, int64_t *bytes)
{
    (void)io, (void)rows, (void)from;
    if (!*k) *k = calloc(1, sizeof **k), held++;
    if ((*k)->n == 8) return 0;
    if (n > 8 - (*k)->n) n = 8 - (*k)->n;
    (*k)->n += n;
    *bytes = 8;
    return n;
}
static const struct lam_passed *host_kept_read(struct lam_view *v, const struct lam_kept *k, int64_t max_us)
{
    (void)max_us;
    return pass(v, k->n, true);
}
static void host_kept_free(struct lam_kept *k)
{
    free(k), held--;
}
static void host_view_free(struct lam_view *v)
{
    free(v), held--;
}

static const struct lam_host host = {.size = sizeof host,
                                     .alloc = host_alloc,
                                     .resize = host_resize,
                                     .free = free,
                                     .account = host_account,
                                     .now = host_now,
                                     .log = host_log,
                                     .view_new = host_view_new,
                                     .view_read = host_view_read,
                                     .rows_keep = host_rows_keep,
                                     .kept_read = host_kept_read,
                                     .kept_free = host_kept_free,
                                     .view_free = host_view_free};

static char got[1 << 20];

static void drain(int fd, size_t *have)
{
    ssize_t k;
    while ((k = recv(fd, got + *have, sizeof got - *have, MSG_DONTWAIT)) > 0) *have += (size_t)k;
}

/* Frames that are whole and not masked, and compressed only by agreement; the last may be cut. */
static void check_frames(size_t at, size_t end, bool deflates)
{
    while (end - at >= 2) {
        const uint8_t *p = (const uint8_t *)got + at;
        uint8_t opcode = p[0] & 15, length = p[1];
        check((p[0] & (deflates ? 0xb0 : 0xf0)) == 0x80 && (opcode == 1 || (opcode >= 8 && opcode <= 10)) && length < 127);
        if (length == 126 && end - at < 4) return;
        size_t n = length < 126 ? 2u + length : 4u + ((size_t)p[2] << 8 | p[3]);
        if (end - at < n) return;
        at += n;
    }
}

static void offer(struct server *s)
{
    static const int64_t offsets[] = {0, 10, 20, 300};
    static const char bytes[300];
    const struct lam_values v = {.size = sizeof v, .n = 3, .bytes = bytes, .offsets = offsets};
    server_write(s, &v, NULL, 3);
}

static const char plain[] = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
static const char deflating[] = "GET /?filter=odd HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

static struct client *come(struct server *s, int fd)
{
    struct client *c = client_new(s, fd, 0);
    c->place = s->n_clients;
    s->clients[s->n_clients++] = c;
    server_watch(s, c);
    return c;
}

static void talk(struct server *s, struct client *c, int fd, const uint8_t *data, size_t n, size_t *have)
{
    size_t step = 1 + data[0] / 6 + n / 200;
    for (size_t at = 1; at < n && s->n_clients && *have < sizeof got / 2; at += step) {
        if (send(fd, data + at, at + step < n ? step : n - at, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
        client_ready(c, c->events & EPOLLIN, 1);
        if (c->state == CLIENT_DEAD) break;
        offer(s);
        if (at % 4 == 0) drain(fd, have);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct lam_io io = {.size = sizeof io, .host = &host};
    struct client *slots[1];
    struct server s = {.io = &io, .epoll = epoll_create1(0), .listener = -1, .first = 1, .next = 1, .clients = slots, .tick_at = INT64_MAX};
    int ends[2], small = 1;
    if (!n || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) return close(s.epoll), 0;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    bool deflates = data[0] & 1;
    s.set = (struct server_settings){.rules = {.path = "/", .max = 512, .deflates = deflates}, .format = "json", .batch = 1, .max_views = 4,
                                     .max_subscriptions = 3, .client_bytes = 400, .replay_bytes = 300, .message_bytes = 1000,
                                     .filter_us = 1000, .policy = (enum policy)(data[0] / 2 % 3)};
    if (deflates) s.deflater = deflater_new(&io);
    s.all = view_all(&s);
    struct client *c = come(&s, ends[0]);
    offer(&s);
    const char *request = deflates ? deflating : plain;
    check(send(ends[1], request, strlen(request), 0) > 0);
    client_ready(c, true, 1);
    size_t have = 0;
    drain(ends[1], &have);
    check(c->state == CLIENT_OPEN && have > 100);
    const char *head = memmem(got, have, "\r\n\r\n", 4);
    talk(&s, c, ends[1], data, n, &have);
    drain(ends[1], &have);
    check_frames((size_t)(head + 4 - got), have, deflates);
    struct counts *t = &s.counts;
    if (s.n_clients) c->state = CLIENT_DEAD;
    s.clients = NULL;
    if (s.n_clients) s.clients = memcpy(malloc(sizeof slots), slots, sizeof slots);
    server_close(&s);
    check(t->offered == t->sent + t->dropped + t->left);
    check(held == 0);
    close(ends[1]);
    return 0;
}
