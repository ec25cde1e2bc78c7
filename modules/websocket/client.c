/* See client.h. What is sent goes out in this order: the rest of a frame that was begun, control frames, whole frames.
 * SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES    (16 << 10) /* of one client in a turn */
#define ONE_CONTROL   256        /* bytes of an answer, at most */
#define PARTS         64
#define FIRST_REQUEST 512 /* bytes for a request at first: most are shorter */

static bool is_busy(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void die(struct client *c)
{
    c->state = CLIENT_DEAD;
}

/* ---- what it sends, as wslay tells */

static bool has_room(const struct client *c)
{
    return c->n_out + ONE_CONTROL <= CLIENT_OUT;
}

static ssize_t take_in(wslay_event_context_ptr ctx, uint8_t *to, size_t n, int flags, void *p)
{
    (void)flags;
    struct client *c = p;
    ssize_t k = -1;
    if (n > c->budget) n = c->budget;
    if (c->from_in < c->n_in) {
        if (n > c->n_in - c->from_in) n = c->n_in - c->from_in;
        memcpy(to, c->in + c->from_in, n);
        c->from_in += n;
        return (ssize_t)n;
    }
    if (n) k = recv(c->fd, to, n, 0);
    if (k > 0) {
        c->budget -= (size_t)k;
        return k;
    }
    c->is_gone = n && !(k < 0 && is_busy());
    wslay_event_set_error(ctx, c->is_gone ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static ssize_t put_out(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags, void *to)
{
    (void)flags;
    struct client *c = to;
    size_t room = CLIENT_OUT - c->n_out;
    if (n > room) n = room;
    if (!n) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(c->out + c->n_out, p, n);
    c->n_out += n;
    return (ssize_t)n;
}

void client_say(struct client *c, const char *text)
{
    struct wslay_event_msg m = {WSLAY_TEXT_FRAME, (const uint8_t *)text, strlen(text)};
    if (has_room(c)) wslay_event_queue_msg(c->frames, &m);
}

static void refuse_frame(wslay_event_context_ptr ctx, uint16_t code)
{
    wslay_event_shutdown_read(ctx);
    wslay_event_queue_close(ctx, code, NULL, 0);
}

/* Messages are not kept, whatever their length; nothing that a client says is understood. */
static void frame_begins(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *f, void *p)
{
    struct client *c = p;
    if (f->opcode == WSLAY_CONNECTION_CLOSE && f->payload_length == 1)
        refuse_frame(ctx, WSLAY_CODE_PROTOCOL_ERROR); /* half a code */
    if (wslay_is_ctrl_frame(f->opcode)) return;
    if (f->opcode != WSLAY_CONTINUATION_FRAME) c->message_bytes = 0;
    c->message_bytes += f->payload_length < UINT32_MAX ? f->payload_length : UINT32_MAX;
    if (c->message_bytes > c->server->set.message_bytes) {
        refuse_frame(ctx, WSLAY_CODE_MESSAGE_TOO_BIG);
        return;
    }
    if (!f->fin) return;
    c->counts.messages++;
    client_say(c, "{\"type\":\"error\",\"message\":\"this server takes no messages\"}");
}

static void message_came(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *p)
{
    (void)ctx;
    struct client *c = p;
    if (m->opcode == WSLAY_PONG) c->pong_by = 0;
}

static const struct wslay_event_callbacks callbacks = {.recv_callback = take_in,
                                                       .send_callback = put_out,
                                                       .on_frame_recv_start_callback = frame_begins,
                                                       .on_msg_recv_callback = message_came};

/* ---- making and freeing */

struct client *client_new(struct server *s, int fd, int64_t now)
{
    struct client *c = s->io->host->alloc(sizeof *c);
    c->server = s;
    c->fd = fd;
    c->deadline = now + s->set.handshake_us;
    s->io->host->account(s->io, sizeof *c);
    return c;
}

static void forget_request(struct client *c)
{
    if (!c->in) return;
    c->server->io->host->account(c->server->io, -(int64_t)c->cap_in);
    c->server->io->host->free(c->in);
    c->in = NULL;
    c->n_in = c->from_in = c->cap_in = 0;
}

static void make_room(struct client *c)
{
    struct lam_io *io = c->server->io;
    size_t cap = c->cap_in ? 2 * c->cap_in : FIRST_REQUEST, max = c->server->set.rules.max;
    if (c->n_in < c->cap_in) return;
    if (cap > max) cap = max;
    c->in = io->host->resize(c->in, c->cap_in, cap);
    io->host->account(io, (int64_t)(cap - c->cap_in));
    c->cap_in = cap;
}

void client_free(struct client *c)
{
    struct lam_io *io = c->server->io;
    forget_request(c);
    wslay_event_context_free(c->frames);
    queue_done(&c->queue, io);
    close(c->fd);
    io->host->account(io, -(int64_t)sizeof *c);
    io->host->free(c);
}

/* ---- sending */

static bool is_sending(const struct client *c)
{
    bool data = c->state == CLIENT_OPEN ? !queue_is_empty(&c->queue) : c->queue.part != NULL;
    return c->n_out || data;
}

static void account_sent(struct client *c, size_t n, size_t of_queue)
{
    size_t k = n < of_queue ? n : of_queue;
    if (k) queue_sent(&c->queue, k);
    c->sent_out += n - k;
    if (c->sent_out == c->n_out) c->sent_out = c->n_out = 0;
}

/* True: there may be more to do. */
static bool send_some(struct client *c)
{
    struct iovec parts[PARTS + 1];
    bool only_part = c->n_out || c->state != CLIENT_OPEN;
    int n = queue_parts(&c->queue, only_part, parts, PARTS);
    size_t of_queue = 0;
    for (int i = 0; i < n; i++) of_queue += parts[i].iov_len;
    if (c->n_out) parts[n++] = (struct iovec){c->out + c->sent_out, c->n_out - c->sent_out};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = (size_t)n};
    size_t all = of_queue + c->n_out - c->sent_out;
    ssize_t k = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (k < 0 && !is_busy()) die(c);
    if (k < 0) {
        c->polls_out = c->state != CLIENT_DEAD;
        return false;
    }
    account_sent(c, (size_t)k, of_queue);
    c->polls_out = (size_t)k < all;
    return !c->polls_out;
}

/* What wslay has queued becomes bytes to send. */
static void put_control(struct client *c)
{
    if (c->frames && !c->is_broken && wslay_event_want_write(c->frames) && wslay_event_send(c->frames)) die(c);
}

static void hang_up_if_done(struct client *c)
{
    if (is_sending(c)) return;
    if (c->state == CLIENT_REFUSED && !c->is_shut) {
        shutdown(c->fd, SHUT_WR);
        c->is_shut = true;
    } else if (c->state == CLIENT_CLOSING && wslay_event_get_close_sent(c->frames) &&
               wslay_event_get_close_received(c->frames)) {
        die(c);
    }
}

void client_write(struct client *c)
{
    if (c->state == CLIENT_DEAD) return;
    put_control(c);
    while (c->state != CLIENT_DEAD && is_sending(c) && send_some(c)) put_control(c);
    if (!is_sending(c)) c->polls_out = false;
    if (c->state == CLIENT_DEAD) return;
    hang_up_if_done(c);
    if (c->state != CLIENT_DEAD) server_watch(c->server, c);
}

void client_close(struct client *c, uint16_t code, const char *reason, int64_t now)
{
    if (c->state != CLIENT_OPEN) return;
    c->state = CLIENT_CLOSING;
    c->deadline = now + c->server->set.pong_us;
    wslay_event_queue_close(c->frames, code, (const uint8_t *)reason, strlen(reason));
}

/* ---- reading */

static void open_frames(struct client *c, const struct handshake *h, int64_t now)
{
    if (wslay_event_context_server_init(&c->frames, &callbacks, c)) {
        die(c);
        return;
    }
    wslay_event_config_set_no_buffering(c->frames, 1);
    c->from_in = h->used;
    c->state = CLIENT_OPEN;
    c->ping_at = now + c->server->set.ping_us;
    c->deadline = INT64_MAX;
    c->server->opened++;
    c->offered = c->server->next;
    if (c->from_in == c->n_in) forget_request(c);
    server_replay(c->server, c, h);
}

static void read_request(struct client *c, int64_t now)
{
    make_room(c);
    ssize_t k = recv(c->fd, c->in + c->n_in, c->cap_in - c->n_in, 0);
    if (k == 0 || (k < 0 && !is_busy())) die(c);
    if (k <= 0) return;
    c->n_in += (size_t)k;
    struct handshake h;
    if (!handshake_read(&c->server->set.rules, c->in, c->n_in, &h)) return;
    c->n_out = handshake_answer(&h, c->out);
    if (h.status == 101) {
        open_frames(c, &h, now);
        return;
    }
    c->server->refused++;
    c->state = CLIENT_REFUSED;
    c->deadline = now + c->server->set.handshake_us;
    forget_request(c);
}

/* wslay ends at a head that no frame has, but does not say 1002. */
static void break_off(struct client *c, int64_t now)
{
    static const char close_1002[] = {(char)0x88, 2, 1002 >> 8, (char)(1002 & 255)};
    memcpy(c->out + c->n_out, close_1002, sizeof close_1002);
    c->n_out += sizeof close_1002;
    c->is_broken = true;
    c->state = CLIENT_CLOSING;
    c->deadline = now + c->server->set.pong_us;
}

static void read_frames(struct client *c, int64_t now)
{
    c->budget = READ_BYTES;
    if (wslay_event_recv(c->frames)) {
        if (c->is_gone)
            die(c);
        else
            break_off(c, now);
        return;
    }
    if (c->in && c->from_in == c->n_in) forget_request(c);
    bool ends = wslay_event_get_close_received(c->frames) || wslay_event_get_close_sent(c->frames) ||
                !wslay_event_get_read_enabled(c->frames);
    if (!ends || c->state != CLIENT_OPEN) return;
    c->state = CLIENT_CLOSING;
    c->deadline = now + c->server->set.pong_us;
}

static bool is_heard(const struct client *c)
{
    return (c->state == CLIENT_OPEN || c->state == CLIENT_CLOSING) && !c->is_broken &&
           wslay_event_get_read_enabled(c->frames);
}

/* After a broken protocol nothing it sends is looked at. */
static void throw_away(struct client *c)
{
    char nothing[READ_BYTES];
    ssize_t k = recv(c->fd, nothing, sizeof nothing, 0);
    if (k == 0 || (k < 0 && !is_busy())) die(c);
}

void client_read(struct client *c, int64_t now)
{
    if (c->state == CLIENT_ASKING)
        read_request(c, now);
    else if (!is_heard(c))
        throw_away(c);
    else if (!c->n_out)
        read_frames(c, now);
    client_write(c);
    bool has_more = c->from_in < c->n_in; /* came with the request */
    if (c->state != CLIENT_OPEN || !has_more || c->n_out) return;
    read_frames(c, now);
    client_write(c);
}

/* ---- records */

static void evict(struct client *c, int64_t now)
{
    char reason[64];
    snprintf(reason, sizeof reason, "last_sequence=%llu", (unsigned long long)c->queue.last);
    c->server->evicted++;
    client_close(c, 1013, reason, now);
    client_write(c);
}

/* Sent first and judged then: a client that keeps up is never too slow, however much comes at once. */
void client_offer(struct client *c, struct segment *s, int64_t now)
{
    const struct server_settings *set = &c->server->set;
    uint64_t records = segment_records(s, 0, s->n);
    c->counts.offered += records;
    if (c->is_full && c->queue.bytes > set->client_bytes / 2) {
        c->queue.dropped_records += records;
        return;
    }
    c->is_full = false;
    queue_push(&c->queue, c->server->io, s, 0, s->n);
    if (!c->polls_out) client_write(c);
    if (c->state != CLIENT_OPEN || c->queue.bytes <= set->client_bytes) return;
    switch (set->policy) {
    case DROP_OLDEST: queue_drop_oldest(&c->queue, set->client_bytes); return;
    case DROP_NEWEST:
        queue_drop_newest(&c->queue, set->client_bytes);
        c->is_full = true;
        return;
    case DISCONNECT: evict(c, now); return;
    }
}

bool client_is_drained(const struct client *c)
{
    return c->state != CLIENT_OPEN || !is_sending(c);
}

/* ---- time */

static void ping(struct client *c, int64_t now)
{
    static const struct wslay_event_msg m = {WSLAY_PING, NULL, 0};
    wslay_event_queue_msg(c->frames, &m);
    c->ping_at = now + c->server->set.ping_us;
    c->pong_by = now + c->server->set.pong_us;
    client_write(c);
}

void client_tick(struct client *c, int64_t now)
{
    bool silent = c->state == CLIENT_OPEN && c->pong_by && now >= c->pong_by;
    if (now >= c->deadline || silent) {
        c->server->timed_out += c->state == CLIENT_ASKING || silent;
        die(c);
    } else if (c->state == CLIENT_OPEN && c->server->set.ping_us && now >= c->ping_at && !c->pong_by) {
        ping(c, now);
    }
}
