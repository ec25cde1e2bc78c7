/* See client.h. What is sent goes out in this order: the rest of a frame that was begun, control frames, whole frames.
 * SPDX-License-Identifier: Apache-2.0 */
#include "server.h"
#include "subscribe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES    (16 << 10) /* of one client in a turn */
#define PARTS         64
#define FIRST_REQUEST 512 /* bytes for a request at first: most are shorter */
#define SAID_MOST     64 /* messages that wait for a client besides records */
#define MESSAGES_MOST (16 << 20) /* bytes of messages that have not come whole, of all clients */
#define SECOND        1000000

static bool is_busy(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void die(struct client *c)
{
    c->state = CLIENT_DEAD;
}

bool rate_take(struct rate *r, int64_t per_second, int64_t now)
{
    if (!per_second) return true;
    if (now > r->at) r->credit_us = now - r->at < SECOND - r->credit_us ? r->credit_us + now - r->at : SECOND;
    r->at = now;
    if (r->credit_us < SECOND / per_second) return false;
    r->credit_us -= SECOND / per_second;
    return true;
}

/* ---- what it sends, as wslay tells */

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
    if (n) k = wire_recv(&c->wire, to, n);
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

static void refuse_frame(wslay_event_context_ptr ctx, uint16_t code, const char *why)
{
    wslay_event_shutdown_read(ctx);
    wslay_event_queue_close(ctx, code, (const uint8_t *)why, strlen(why));
}

/* Who asks for more than it takes is not answered without end. */
void client_say(struct client *c, const char *text)
{
    struct wslay_event_msg m = {WSLAY_TEXT_FRAME, (const uint8_t *)text, strlen(text)};
    if (wslay_event_get_queued_msg_count(c->frames) < SAID_MOST) {
        wslay_event_queue_msg(c->frames, &m);
    } else if (c->state == CLIENT_OPEN) {
        refuse_frame(c->frames, 1008, "too many messages");
        c->state = CLIENT_CLOSING;
        c->deadline = c->server->io->host->now(c->server->io) + c->server->set.pong_us;
    }
}

/* Judged by what its head says, before there is memory for it. */
static void frame_begins(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *f, void *p)
{
    struct client *c = p;
    struct message *m = &c->message;
    const struct server_settings *set = &c->server->set;
    bool control = m->is_control = wslay_is_ctrl_frame(f->opcode), continues = f->opcode == WSLAY_CONTINUATION_FRAME;
    bool half_a_code = f->opcode == WSLAY_CONNECTION_CLOSE && f->payload_length == 1;
    if (!rate_take(&c->frame_rate, set->message_rate, c->now))
        refuse_frame(ctx, 1008, "more frames in a second than max.message.rate allows");
    else if (half_a_code || (f->rsv && (control || continues)))
        refuse_frame(ctx, WSLAY_CODE_PROTOCOL_ERROR, "");
    else if (!control && !message_frame(m, continues, f->opcode, f->rsv, f->payload_length, set->message_bytes))
        refuse_frame(ctx, WSLAY_CODE_MESSAGE_TOO_BIG, "");
}

static void frame_goes_on(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_chunk_arg *f, void *p)
{
    struct client *c = p;
    struct server *s = c->server;
    if (c->message.is_control || !wslay_event_get_read_enabled(ctx)) return;
    if (!message_add(&c->message, s->io, &s->under_way, MESSAGES_MOST, f->data, f->data_length))
        refuse_frame(ctx, 1013, "too many messages are under way");
}

static void message_came(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *p)
{
    char nothing[1];
    struct client *c = p;
    struct server *s = c->server;
    struct message *whole = &c->message;
    if (m->opcode == WSLAY_PONG) c->pong_by = 0;
    if (wslay_is_ctrl_frame(m->opcode) || !wslay_event_get_read_enabled(ctx)) return;
    c->counts.messages++;
    uint16_t code = 0;
    if (whole->is_deflated) code = message_inflate(whole, s->io, &s->under_way, s->deflater, s->set.message_bytes);
    if (code)
        refuse_frame(ctx, code, "");
    else
        subscribe_hear(c, m->opcode, whole->p ? whole->p : nothing, whole->n);
    message_done(whole, s->io, &s->under_way);
}

static const struct wslay_event_callbacks callbacks = {.recv_callback = take_in,
                                                       .send_callback = put_out,
                                                       .on_frame_recv_start_callback = frame_begins,
                                                       .on_frame_recv_chunk_callback = frame_goes_on,
                                                       .on_msg_recv_callback = message_came};

/* ---- making and freeing */

struct client *client_new(struct server *s, int fd, int64_t now)
{
    struct client *c = s->io->host->alloc(sizeof *c);
    c->server = s;
    wire_open(&c->wire, fd, s->guard.tls);
    c->frame_rate = c->subscribe_rate = (struct rate){SECOND, now};
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
    while (c->n_views) client_leave(c, c->views[c->n_views - 1].view);
    io->host->account(io, -(int64_t)(c->cap_views * sizeof *c->views));
    io->host->free(c->views);
    forget_request(c);
    message_done(&c->message, io, &c->server->under_way);
    wslay_event_context_free(c->frames);
    queue_done(&c->queue, io);
    wire_close(&c->wire, io);
    io->host->account(io, -(int64_t)sizeof *c);
    io->host->free(c);
}

/* ---- sending */

static bool is_sending(const struct client *c)
{
    bool data = c->state == CLIENT_OPEN ? !queue_is_empty(&c->queue) : c->queue.part != NULL;
    return c->n_out || data || c->wire.n_out;
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
    size_t all = of_queue + c->n_out - c->sent_out;
    ssize_t k = all ? wire_send(&c->wire, c->server->io, parts, n) : wire_flush(&c->wire, c->server->io) - 1;
    if (k < 0 && !is_busy()) die(c);
    if (k < 0) {
        c->polls_out = c->state != CLIENT_DEAD;
        return false;
    }
    account_sent(c, (size_t)k, of_queue);
    c->polls_out = (size_t)k < all || c->wire.n_out;
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
        wire_end(&c->wire);
        c->is_shut = true;
    } else if (c->state == CLIENT_CLOSING && wslay_event_get_close_sent(c->frames) &&
               wslay_event_get_close_received(c->frames)) {
        die(c);
    }
}

/* Sequences of a filter have gaps anyway, so who has one is told of what it lost, when there is room again. */
static void tell_dropped(struct client *c)
{
    uint64_t dropped = c->queue.dropped_records;
    char text[80];
    if (!c->subscribes || dropped == c->told_dropped || c->state != CLIENT_OPEN) return;
    c->told_dropped = dropped;
    snprintf(text, sizeof text, "{\"type\":\"backpressure\",\"dropped\":%llu}", (unsigned long long)dropped);
    client_say(c, text);
    put_control(c);
    while (c->state != CLIENT_DEAD && is_sending(c) && send_some(c)) put_control(c);
}

void client_write(struct client *c)
{
    if (c->state == CLIENT_DEAD) return;
    put_control(c);
    while (c->state != CLIENT_DEAD && is_sending(c) && send_some(c)) put_control(c);
    if (!is_sending(c)) c->polls_out = false;
    if (queue_is_empty(&c->queue) && !c->polls_out) tell_dropped(c);
    if (c->state == CLIENT_DEAD) return;
    hang_up_if_done(c);
    if (c->state != CLIENT_DEAD) server_watch(c->server, c);
}

void client_close(struct client *c, uint16_t code, const char *reason, int64_t now)
{
    if (c->state != CLIENT_OPEN) return;
    put_control(c); /* what it was told comes before the end */
    c->state = c->state == CLIENT_DEAD ? CLIENT_DEAD : CLIENT_CLOSING;
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
    c->deflates = h->deflates;
    if (c->deflates) wslay_event_config_set_allowed_rsv_bits(c->frames, WSLAY_RSV1_BIT);
    c->from_in = h->used;
    c->state = CLIENT_OPEN;
    c->ping_at = now + c->server->set.ping_us;
    c->deadline = INT64_MAX;
    c->server->opened++;
    subscribe_greet(c, h); /* which looks at the request */
    if (c->from_in == c->n_in) forget_request(c);
}

static void read_request(struct client *c, int64_t now)
{
    make_room(c);
    ssize_t k = wire_recv(&c->wire, c->in + c->n_in, c->cap_in - c->n_in);
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
    ssize_t k = wire_recv(&c->wire, nothing, sizeof nothing);
    if (k == 0 || (k < 0 && !is_busy())) die(c);
}

static void read_some(struct client *c, int64_t now)
{
    if (c->state == CLIENT_ASKING)
        read_request(c, now);
    else if (!is_heard(c))
        throw_away(c);
    else if (!c->n_out)
        read_frames(c, now);
}

/* Bytes that came with the request, or in one record of TLS with what was read: the socket does not tell of them. */
static bool has_more(const struct client *c)
{
    bool listens = c->state == CLIENT_ASKING || !is_heard(c) || !c->n_out;
    return c->state != CLIENT_DEAD && listens && ((c->frames && c->from_in < c->n_in && is_heard(c)) || wire_has_more(&c->wire));
}

void client_ready(struct client *c, bool in, int64_t now)
{
    c->now = now;
    if (in || c->wire.wants_out) read_some(c, now);
    client_write(c);
    while (has_more(c)) {
        read_some(c, now);
        client_write(c);
    }
}

/* ---- views */

void client_join(struct client *c, struct view *v)
{
    struct lam_io *io = c->server->io;
    if (c->n_views == c->cap_views) {
        uint32_t cap = c->cap_views ? 2 * c->cap_views : 1;
        c->views = io->host->resize(c->views, c->cap_views * sizeof *c->views, cap * sizeof *c->views);
        io->host->account(io, (int64_t)((cap - c->cap_views) * sizeof *c->views));
        c->cap_views = cap;
    }
    c->views[c->n_views++] = (struct membership){v, UINT32_MAX};
    view_join(v, c);
}

void client_leave(struct client *c, struct view *v)
{
    uint32_t i = 0;
    while (c->views[i].view != v) i++;
    uint32_t place = c->views[i].place;
    c->counts.left += queue_remove(&c->queue, v->number);
    view_leave(v, place);
    c->views[i] = c->views[--c->n_views];
    if (v->number && !v->n) server_drop_view(c->server, v);
}

void client_moved(struct client *c, const struct view *v, uint32_t place)
{
    uint32_t i = 0;
    while (c->views[i].view != v) i++;
    c->views[i].place = place;
}

/* ---- records */

static void evict(struct client *c, int64_t now)
{
    char reason[64];
    if (c->n_views == 1)
        snprintf(reason, sizeof reason, "last_sequence=%llu", (unsigned long long)c->queue.last);
    else
        snprintf(reason, sizeof reason, "too slow: resume each subscription where it stood");
    c->server->evicted++;
    client_close(c, 1013, reason, now);
    client_write(c);
}

/* As it is sent to this client. */
static struct segment *form(struct client *c, struct segment *s)
{
    return c->deflates ? segment_deflated(s, c->server->deflater) : s;
}

void client_keep(struct client *c, struct segment *s)
{
    s = form(c, s);
    c->counts.offered += segment_records(s, 0, s->n);
    queue_push(&c->queue, c->server->io, s, 0, s->n);
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
    queue_push(&c->queue, c->server->io, form(c, s), 0, s->n);
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
