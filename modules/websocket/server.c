/* See server.h. Clients that end are freed when no call under way can name them any more: in sweep.
 * SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "deflate.h"
#include "listener.h"
#include "subscribe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS       64
#define TURN         16 /* times EVENTS, then others of the thread have their turn */
#define ACCEPTS      64 /* in a turn */
#define TICK_MOST    1000000
#define ACCEPT_PAUSE 100000 /* after descriptors have run out */

static int64_t now_of(const struct server *s)
{
    return s->io->host->now(s->io);
}

/* ---- the listener */

static void watch_listener(struct server *s, bool on)
{
    struct epoll_event e = {.events = EPOLLIN};
    if (on == s->listens) return;
    epoll_ctl(s->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->listener, &e);
    s->listens = on;
}

static void warn_of_descriptors(struct server *s)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= (rlim_t)s->set.max_clients + 64) return;
    s->io->host->log(s->io, 3, "max.connections is %u, and this process may have %llu descriptors: see ulimit -n",
                     s->set.max_clients, (unsigned long long)r.rlim_cur);
}

static int64_t least(int64_t a, int64_t b)
{
    return b && b < a ? b : a;
}

int server_open(struct server *s, struct lam_error *err)
{
    const struct listening l = {s->set.address, s->set.rules.path, s->set.backlog, s->guard.tls, s->guard.is_enough};
    int result = listener_open(s->io, &l, &s->listener, s->name, err);
    if (result) return result;
    s->set.rules.scheme = s->guard.scheme;
    s->set.rules.credentials = s->guard.credentials;
    s->set.rules.deflates = s->set.deflates;
    if (s->set.deflates) s->deflater = deflater_new(s->io);
    s->all = view_all(s);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0) return listener_fail(s->io, &l, err);
    watch_listener(s, true);
    s->tick_at = INT64_MAX;
    s->tick_us = least(least(least(TICK_MOST, s->set.handshake_us / 4), s->set.ping_us / 4), s->set.pong_us / 4);
    s->first = s->next = (uint64_t)s->io->host->wall(s->io);
    warn_of_descriptors(s);
    return LAM_IO_OK;
}

/* ---- clients */

void server_watch(struct server *s, struct client *c)
{
    uint32_t events = (c->n_out ? 0 : EPOLLIN) | (c->polls_out || c->wire.wants_out ? EPOLLOUT : 0);
    struct epoll_event e = {.events = events, .data.ptr = c};
    for (uint32_t i = 0; i < c->n_views; i++) view_sort(c->views[i].view, c->views[i].place);
    if (events == c->events) return;
    if (epoll_ctl(s->epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->wire.fd, &e)) c->state = CLIENT_DEAD;
    c->events = events;
}

static void add_client(struct server *s, int fd, int64_t now)
{
    int on = 1,
        bytes = (int)s->set.client_bytes; /* or the system would let what waits for one grow to megabytes of its own */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (s->n_clients == s->cap_clients) {
        uint32_t cap = s->cap_clients ? 2 * s->cap_clients : 64;
        s->clients = s->io->host->resize(s->clients, s->cap_clients * sizeof *s->clients, cap * sizeof *s->clients);
        s->cap_clients = cap;
    }
    struct client *c = client_new(s, fd, now);
    c->number = ++s->numbers;
    c->place = s->n_clients++;
    s->clients[c->place] = c;
    server_watch(s, c);
    if (s->tick_at == INT64_MAX) s->tick_at = now + s->tick_us;
}

static void turn_away(struct server *s, int fd)
{
    if (s->guard.tls) {
        close(fd); /* an answer would take a handshake first */
        s->refused++;
        return;
    }
    struct handshake full = {.status = 503, .why = "There are as many clients as max.connections allows."};
    char answer[HANDSHAKE_ANSWER];
    send(fd, answer, handshake_answer(&full, answer), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0) {
    }
    close(fd);
    s->refused++;
}

static void accept_clients(struct server *s, int64_t now)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && s->n_clients < s->set.max_clients)
            add_client(s, fd, now);
        else if (fd >= 0)
            turn_away(s, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            watch_listener(s, false);
            s->tick_at = now + ACCEPT_PAUSE;
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
    }
}

static void bury(struct server *s, struct client *c)
{
    struct counts *t = &s->counts, *n = &c->counts;
    n->sent = c->queue.sent_records;
    n->sent_frames = c->queue.sent_frames;
    n->dropped = c->queue.dropped_records;
    n->left += queue_records(&c->queue);
    t->offered += n->offered;
    t->sent += n->sent;
    t->sent_frames += n->sent_frames;
    t->dropped += n->dropped;
    t->left += n->left;
    t->messages += n->messages;
    s->io->host->log(s->io, 3,
                     "client %u is gone: records offered %llu sent %llu dropped %llu left %llu, messages %llu",
                     c->number, (unsigned long long)n->offered, (unsigned long long)n->sent,
                     (unsigned long long)n->dropped, (unsigned long long)n->left, (unsigned long long)n->messages);
    client_free(c);
}

static void sweep(struct server *s)
{
    for (uint32_t i = s->n_clients; i; i--) {
        struct client *c = s->clients[i - 1];
        if (c->state != CLIENT_DEAD) continue;
        s->clients[c->place] = s->clients[--s->n_clients];
        s->clients[c->place]->place = c->place;
        bury(s, c);
    }
    if (!s->n_clients && s->listens) s->tick_at = INT64_MAX;
}

static void tick(struct server *s, int64_t now)
{
    if (now < s->tick_at) return;
    s->tick_at = now + s->tick_us;
    watch_listener(s, true);
    for (uint32_t i = 0; i < s->n_clients; i++) client_tick(s->clients[i], now);
    sweep(s);
}

void server_serve(struct server *s)
{
    struct epoll_event e[EVENTS];
    int64_t now = now_of(s);
    for (int turn = 0, n = EVENTS; turn < TURN && n == EVENTS; turn++) {
        bool died = false;
        n = epoll_wait(s->epoll, e, EVENTS, 0);
        for (int i = 0; i < n; i++) {
            struct client *c = e[i].data.ptr;
            if (!c) {
                accept_clients(s, now);
                continue;
            }
            for (uint32_t k = 0; k < c->n_views; k++) view_catch_up(c->views[k].view, c->views[k].place, now);
            client_ready(c, e[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP), now);
            died |= c->state == CLIENT_DEAD;
        }
        if (died) sweep(s);
    }
    tick(s, now);
}

int64_t server_wakes(const struct server *s)
{
    return s->drain_by && s->drain_by < s->tick_at ? s->drain_by : s->tick_at;
}

/* ---- records */

static bool catch_up_all(struct server *s, int64_t now)
{
    bool all_live = view_catch_up_all(s->all, now);
    for (uint32_t i = 0; i < s->n_views; i++) all_live &= view_catch_up_all(s->views[i], now);
    return all_live;
}

/* A view whose filter is found to cost too much ends while it is written to. */
static bool write_views(struct server *s, const struct lam_values *v, const struct lam_rows *rows, int64_t n, int64_t now)
{
    bool all_live = true;
    uint64_t bytes;
    for (uint32_t i = 0; i < s->n_views;) {
        uint32_t number = s->views[i]->number;
        all_live &= view_write(s->views[i], v, rows, n, &bytes, now);
        if (i < s->n_views && s->views[i]->number == number) i++;
    }
    return all_live;
}

void server_write(struct server *s, const struct lam_values *v, const struct lam_rows *rows, int64_t n)
{
    int64_t now = now_of(s);
    uint64_t bytes = 0;
    bool all_live = true;
    if (s->all->n || s->set.replay_bytes) all_live = view_write(s->all, v, rows, n, &bytes, now);
    if (s->n_views) all_live &= write_views(s, v, rows, n, now);
    if (s->set.replay_bytes) history_add(&s->history, s->io, rows, n, s->next, bytes, s->set.replay_bytes);
    s->next += (uint64_t)n;
    if (!all_live) sweep(s);
}

void server_keep(struct server *s, struct segment *g)
{
    if (!s->set.replay_bytes) return;
    queue_push(&s->replay, s->io, g, 0, g->n);
    queue_drop_oldest(&s->replay, s->set.replay_bytes);
}

/* The frames that are kept, after a message when some are not. */
void server_replay(struct server *s, struct client *c, uint64_t after)
{
    uint64_t wanted = after ? after + 1 : s->first;
    uint64_t kept = s->replay.n ? queue_at(&s->replay, 0)->of->frames[queue_at(&s->replay, 0)->from].sequence : s->next;
    if (wanted < kept || wanted > s->next) {
        char gap[128];
        snprintf(gap, sizeof gap, "{\"type\":\"gap\",\"after\":%llu,\"next\":%llu}", (unsigned long long)after,
                 (unsigned long long)kept);
        client_say(c, gap);
        wanted = kept;
    }
    for (uint32_t i = 0; i < s->replay.n; i++) {
        const struct reference *r = queue_at(&s->replay, i);
        struct segment *g = c->deflates ? segment_deflated(r->of, s->deflater) : r->of;
        uint32_t from = r->from;
        while (from < r->to && g->frames[from + 1].sequence <= wanted) from++;
        c->counts.offered += segment_records(g, from, r->to);
        queue_push(&c->queue, s->io, g, from, r->to);
    }
}

void server_add_view(struct server *s, struct view *v)
{
    if (s->n_views == s->cap_views) {
        uint32_t cap = s->cap_views ? 2 * s->cap_views : 8;
        s->views = s->io->host->resize(s->views, s->cap_views * sizeof *s->views, cap * sizeof *s->views);
        s->cap_views = cap;
    }
    s->views[s->n_views++] = v;
}

void server_drop_view(struct server *s, struct view *v)
{
    uint32_t i = 0;
    while (s->views[i] != v) i++;
    memmove(s->views + i, s->views + i + 1, (--s->n_views - i) * sizeof *s->views);
    view_free(v);
}

bool server_drain(struct server *s)
{
    bool done = true;
    int64_t now = now_of(s);
    if (!s->drain_by && !catch_up_all(s, now)) sweep(s);
    for (uint32_t i = 0; done && i < s->n_clients; i++) done = client_is_drained(s->clients[i]);
    if (!s->drain_by) s->drain_by = now + s->set.drain_us;
    if (!done && now < s->drain_by) return false;
    s->drain_by = 0;
    return true;
}

/* ---- the end */

/* Without reading what a client still says, closing would reset the connection, and what is under way would be lost. */
static void say_goodbye(struct client *c, int64_t now)
{
    char nothing[4096];
    client_close(c, 1001, "the sink has ended", now);
    client_write(c);
    wire_end(&c->wire);
    for (int i = 0; i < 16 && recv(c->wire.fd, nothing, sizeof nothing, MSG_DONTWAIT) > 0; i++) {
    }
}

static void tell(struct server *s)
{
    const struct counts *t = &s->counts;
    s->io->host->log(
        s->io, 2,
        "%s: records %llu, clients %llu refused %llu evicted %llu timed out %llu; offered %llu = sent %llu + dropped "
        "%llu + left %llu, in frames %llu; messages from clients %llu",
        s->name, (unsigned long long)(s->next - s->first), (unsigned long long)s->opened,
        (unsigned long long)s->refused, (unsigned long long)s->evicted, (unsigned long long)s->timed_out,
        (unsigned long long)t->offered, (unsigned long long)t->sent, (unsigned long long)t->dropped,
        (unsigned long long)t->left, (unsigned long long)t->sent_frames, (unsigned long long)t->messages);
}

void server_close(struct server *s)
{
    int64_t now = now_of(s);
    if (s->all) catch_up_all(s, now);
    for (uint32_t i = 0; i < s->n_clients; i++) {
        struct client *c = s->clients[i];
        if (c->state == CLIENT_OPEN) say_goodbye(c, now);
        bury(s, c);
    }
    s->n_clients = 0;
    queue_done(&s->replay, s->io);
    history_done(&s->history, s->io);
    if (s->all) view_free(s->all);
    deflater_free(s->deflater);
    guard_close(&s->guard, s->io);
    s->io->host->free(s->views);
    s->io->host->free(s->clients);
    if (s->epoll >= 0) tell(s);
    if (s->epoll >= 0) close(s->epoll);
    if (s->listener >= 0) close(s->listener);
}
