/* See guests.h. While the inbox is full and drops nothing, no guest is looked at: TCP pushes back, and who waits for an
 * answer waits. SPDX-License-Identifier: Apache-2.0 */
#include "guests.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS       64
#define TURN         16 /* times EVENTS, then others of the thread have their turn */
#define ACCEPTS      64 /* in a turn */
#define TALKS        4  /* of one guest in a turn; what TLS holds back then comes with the next event or tick */
#define ACCEPT_PAUSE 100000 /* after descriptors have run out */
#define TICK_MOST    1000000
#define READ_BYTES   2048

static bool is_busy(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* ---- one guest */

static ssize_t receive(void *of, void *to, size_t n)
{
    return wire_recv(&((struct guest *)of)->wire, to, n);
}

static ssize_t send_out(void *of, const void *p, size_t n)
{
    struct guest *t = of;
    const struct iovec part = {(void *)(uintptr_t)p, n};
    return wire_send(&t->wire, t->host->io, &part, 1);
}

static const struct peer_carrier carrier = {receive, send_out};

static void watch(struct guest *t)
{
    struct guests *g = t->host;
    bool open = t->state == GUEST_OPEN;
    bool full = !inbox_takes(&g->inbox); /* then nobody waits for events, and later they are wanted again */
    bool reads = !open || full || peer_is_listening(&t->peer) || t->peer.state == PEER_CLOSING;
    bool writes = (open ? t->peer.polls_out : buffer_left(&t->answer) > 0) || t->wire.n_out || t->wire.wants_out;
    uint32_t events = (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0);
    struct epoll_event e = {.events = events, .data.ptr = t};
    if (events == t->events) return;
    if (epoll_ctl(g->epoll, t->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, t->wire.fd, &e)) t->state = GUEST_DEAD;
    t->events = events;
}

static void write_answer(struct guest *t)
{
    ssize_t k = 0;
    while (buffer_left(&t->answer) && (k = send_out(t, t->answer.p + t->answer.from, buffer_left(&t->answer))) > 0)
        buffer_take(&t->answer, (size_t)k);
    if (k < 0 && !is_busy()) t->state = GUEST_DEAD;
    if (!buffer_left(&t->answer) && wire_flush(&t->wire, t->host->io)) wire_end(&t->wire);
}

static void begin_frames(struct guest *t, const struct handshake *h, const char *answer, size_t n, int64_t now)
{
    struct guests *g = t->host;
    t->peer = (struct peer){.io = g->io, .rules = &g->rules, .carrier = &carrier, .of = t, .inbox = &g->inbox,
                            .number = t->number};
    bool ok = peer_open(&t->peer, t->request.p + h->used, t->request.n - h->used, now);
    buffer_done(&t->request, g->io);
    if (!ok) {
        t->state = GUEST_DEAD;
        return;
    }
    buffer_put(&t->peer.out, g->io, answer, n); /* before all frames */
    t->state = GUEST_OPEN;
    t->deadline = INT64_MAX;
}

static void read_request(struct guest *t, int64_t now)
{
    struct guests *g = t->host;
    struct handshake h;
    char answer[HANDSHAKE_ANSWER];
    ssize_t k = receive(t, buffer_room(&t->request, g->io, READ_BYTES), READ_BYTES);
    if (k == 0 || (k < 0 && !is_busy())) t->state = GUEST_DEAD;
    if (k <= 0) return;
    t->request.n += (size_t)k;
    if (!handshake_read(&g->set.rules, t->request.p, t->request.n, &h)) return;
    size_t n = handshake_answer(&h, answer);
    if (h.status == 101) {
        begin_frames(t, &h, answer, n, now);
        return;
    }
    g->refused++;
    t->state = GUEST_REFUSED;
    t->deadline = now + g->set.handshake_us;
    buffer_done(&t->request, g->io);
    buffer_put(&t->answer, g->io, answer, n);
    write_answer(t);
}

static void throw_away(struct guest *t)
{
    char nothing[4096];
    ssize_t k = receive(t, nothing, sizeof nothing);
    if (k == 0 || (k < 0 && !is_busy())) t->state = GUEST_DEAD;
}

static void talk(struct guest *t, int64_t now)
{
    struct guests *g = t->host;
    peer_read(&t->peer, now);
    peer_write(&t->peer, now);
    if (t->peer.state != PEER_DEAD) return;
    if (!t->peer.code) {
        g->broken++;
        g->io->host->log(g->io, 3, "connection %llu is lost: %s", (unsigned long long)t->number, t->peer.reason);
    }
    t->state = GUEST_DEAD;
}

/* Whether there are bytes that the socket no longer shows. */
static bool has_unread(const struct guest *t)
{
    return t->state == GUEST_OPEN && peer_is_listening(&t->peer) && (peer_has_unread(&t->peer) || wire_has_more(&t->wire));
}

static void attend(struct guest *t, uint32_t events, int64_t now)
{
    wire_flush(&t->wire, t->host->io);
    if (t->state == GUEST_ASKING) read_request(t, now);
    if (t->state == GUEST_REFUSED && events & EPOLLOUT)
        write_answer(t);
    else if (t->state == GUEST_REFUSED)
        throw_away(t);
    for (int i = 0; i < TALKS && t->state == GUEST_OPEN && (!i || (has_unread(t) && wire_has_more(&t->wire))); i++) talk(t, now);
    if (t->state != GUEST_DEAD) watch(t);
}

static void bury(struct guest *t)
{
    struct guests *g = t->host;
    peer_done(&t->peer);
    buffer_done(&t->request, g->io);
    buffer_done(&t->answer, g->io);
    wire_close(&t->wire, g->io);
    g->io->host->account(g->io, -(int64_t)sizeof *t);
    g->io->host->free(t);
}

/* ---- all of them */

static void watch_listener(struct guests *g, bool on)
{
    struct epoll_event e = {.events = EPOLLIN};
    if (on != g->listens) epoll_ctl(g->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, g->listener, &e);
    g->listens = on;
}

static void add(struct guests *g, int fd, int64_t now)
{
    const struct lam_host *h = g->io->host;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? 2 * g->cap : 64;
        g->all = h->resize(g->all, g->cap * sizeof *g->all, cap * sizeof *g->all);
        g->cap = cap;
    }
    struct guest *t = g->all[g->n++] = h->alloc(sizeof *t);
    h->account(g->io, sizeof *t);
    *t = (struct guest){.host = g, .number = ++g->numbers, .deadline = now + g->set.handshake_us};
    wire_open(&t->wire, fd, g->guard.tls);
    if (g->tick_at == INT64_MAX) g->tick_at = now + g->tick_us;
    watch(t);
}

static void turn_away(struct guests *g, int fd)
{
    struct handshake full = {.status = 503, .why = "There are as many connections as max.connections allows."};
    char answer[HANDSHAKE_ANSWER];
    if (!g->guard.tls) /* an answer would take a handshake first */
        send(fd, answer, handshake_answer(&full, answer), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0) {
    }
    close(fd);
    g->refused++;
}

static void let_in(struct guests *g, int64_t now)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(g->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && g->n < g->set.max) {
            add(g, fd, now);
        } else if (fd >= 0) {
            turn_away(g, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            watch_listener(g, false);
            g->tick_at = now + ACCEPT_PAUSE;
            return;
        } else if (is_busy()) {
            return;
        }
    }
}

static void sweep(struct guests *g)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->all[i]->state == GUEST_DEAD)
            bury(g->all[i]);
        else
            g->all[kept++] = g->all[i];
    }
    g->n = kept;
    if (!kept && g->listens) g->tick_at = INT64_MAX;
}

static void tick(struct guests *g, int64_t now)
{
    if (now < g->tick_at) return;
    g->tick_at = now + g->tick_us;
    watch_listener(g, true);
    for (uint32_t i = 0; i < g->n; i++) {
        struct guest *t = g->all[i];
        if (now >= t->deadline) {
            g->timed_out += t->state == GUEST_ASKING;
            t->state = GUEST_DEAD;
        } else if (t->state == GUEST_OPEN) {
            peer_tick(&t->peer, now);
            peer_write(&t->peer, now);
            if (t->peer.state == PEER_DEAD) g->timed_out++, t->state = GUEST_DEAD;
            else watch(t);
        }
    }
    sweep(g);
}

/* Those that were left in the middle when the inbox was full. */
static void go_on(struct guests *g, int64_t now)
{
    for (uint32_t i = 0; i < g->n && inbox_takes(&g->inbox); i++)
        if (has_unread(g->all[i])) attend(g->all[i], 0, now);
}

void guests_step(struct guests *g, int64_t now)
{
    struct epoll_event e[EVENTS];
    if (inbox_takes(&g->inbox)) go_on(g, now);
    for (int turn = 0, n = EVENTS; turn < TURN && n == EVENTS && inbox_takes(&g->inbox); turn++) {
        n = epoll_wait(g->epoll, e, EVENTS, 0);
        for (int i = 0; i < n && inbox_takes(&g->inbox); i++) {
            if (e[i].data.ptr)
                attend(e[i].data.ptr, e[i].events, now);
            else
                let_in(g, now);
        }
        sweep(g);
    }
    tick(g, now);
}

/* ---- records */

static void taken(void *ctx, uint64_t connection)
{
    struct guests *g = ctx;
    uint32_t low = 0, high = g->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (g->all[middle]->number < connection)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < g->n && g->all[low]->number == connection) g->all[low]->taken++;
}

/* What was given by the last poll has been read and handed on by now. */
static void acknowledge(struct guests *g, int64_t now)
{
    char text[64];
    for (uint32_t i = 0; i < g->n; i++) {
        struct guest *t = g->all[i];
        if (t->taken == t->acked || t->state != GUEST_OPEN || t->peer.state != PEER_OPEN) continue;
        t->acked = t->taken;
        int n = snprintf(text, sizeof text, "{\"type\":\"ack\",\"sequence\":%llu}", (unsigned long long)t->acked);
        peer_send(&t->peer, WSLAY_TEXT_FRAME, text, (size_t)n);
        peer_write(&t->peer, now);
        watch(t);
    }
}

int guests_poll(struct guests *g, int64_t now, struct lam_records *out)
{
    if (g->set.acks) acknowledge(g, now);
    guests_step(g, now);
    inbox_give(&g->inbox, out, taken, g);
    if (!out->n && g->set.acks) acknowledge(g, now); /* of messages without a record */
    return out->n ? LAM_IO_OK : LAM_IO_WAIT;
}

int guests_wait(const struct guests *g, struct pollfd *fds, int max, int64_t *at)
{
    *at = g->tick_at;
    if (!max || !inbox_takes(&g->inbox)) return 0;
    fds[0] = (struct pollfd){.fd = g->epoll, .events = POLLIN};
    return 1;
}

/* ---- open and close */

static int64_t least(int64_t a, int64_t b)
{
    return b && b < a ? b : a;
}

static void read_settings(struct guests *g)
{
    const struct lam_host *h = g->io->host;
    const struct lam_options *o = g->io->options;
    g->set = (struct guests_settings){
        .listening = {.address = h->option_text(o, "bind.address"),
                      .path = h->option_text(o, "path"),
                      .backlog = (uint32_t)h->option_int(o, "listen.backlog"),
                      .is_tls = g->guard.tls,
                      .is_guarded = g->guard.is_enough},
        .rules = {.path = h->option_text(o, "path"),
                  .origins = h->option_text(o, "allowed.origins"),
                  .max = (size_t)h->option_int(o, "max.request.size"),
                  .scheme = g->guard.scheme,
                  .credentials = g->guard.credentials},
        .max = (uint32_t)h->option_int(o, "max.connections"),
        .handshake_us = h->option_int(o, "handshake.timeout.ms"),
        .acks = h->option_int(o, "ack"),
    };
    g->rules = (struct peer_rules){.message_bytes = (uint64_t)h->option_int(o, "max.message.size"),
                                   .ping_us = h->option_int(o, "ping.interval.ms"),
                                   .pong_us = h->option_int(o, "ping.timeout.ms"),
                                   .pool = &g->under_way,
                                   .pool_bytes = (uint64_t)h->option_int(o, "max.buffered.size")};
    g->tick_us = least(least(least(TICK_MOST, g->set.handshake_us / 4), g->rules.ping_us / 4), g->rules.pong_us / 4);
    g->tick_at = INT64_MAX;
}

int guests_open(struct guests *g, struct lam_io *io, struct lam_error *err)
{
    g->io = io;
    g->listener = g->epoll = -1;
    inbox_open(&g->inbox, io);
    int result = guard_open(&g->guard, io, err);
    if (result) return result;
    read_settings(g);
    if (g->set.acks && g->inbox.drops)
        return io->host->fail(err, LAM_IO_OPTION,
                              "%s cannot acknowledge messages that on.backpressure = 'drop' may drop: leave out one of both",
                              io->name);
    result = listener_open(io, &g->set.listening, &g->listener, g->name, err);
    if (result) return result;
    g->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (g->epoll < 0) return listener_fail(io, &g->set.listening, err);
    watch_listener(g, true);
    return LAM_IO_OK;
}

void guests_close(struct guests *g)
{
    if (!g->io) return;
    int64_t now = g->io->host->now(g->io);
    for (uint32_t i = 0; i < g->n; i++) {
        struct guest *t = g->all[i];
        if (t->state == GUEST_OPEN) {
            peer_close(&t->peer, 1001, "the source has ended", now);
            peer_write(&t->peer, now);
            wire_end(&t->wire);
            for (int k = 0; k < 16 && recv(t->wire.fd, (char[4096]){0}, 4096, MSG_DONTWAIT) > 0; k++) {
            }
        }
        bury(t);
    }
    if (g->epoll >= 0)
        g->io->host->log(g->io, 2,
                         "%s: messages %llu, connections %llu, refused %llu, timed out %llu, broken %llu, dropped %llu", g->name,
                         (unsigned long long)g->inbox.came, (unsigned long long)g->numbers, (unsigned long long)g->refused,
                         (unsigned long long)g->timed_out, (unsigned long long)g->broken, (unsigned long long)g->inbox.dropped);
    g->io->host->free(g->all);
    inbox_done(&g->inbox);
    guard_close(&g->guard, g->io);
    if (g->epoll >= 0) close(g->epoll);
    if (g->listener >= 0) close(g->listener);
}
