/* See peer.h. wslay takes frames apart and answers control frames; frames of data are made here, so that masking goes
 * by words. SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "segment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES (64 << 10)
#define TURN_BYTES (512 << 10)
#define CONTROLS   32          /* answers that wait to be sent; with more nothing is read, or a flood of pings would fill memory */
#define CONTROL_ROOM (64 << 10) /* bytes that wait to be sent, beyond which answers wait in wslay */

static bool is_busy(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void die(struct peer *p, const char *why)
{
    if (p->state == PEER_DEAD) return;
    p->state = PEER_DEAD;
    if (!p->code && !p->reason[0]) snprintf(p->reason, sizeof p->reason, "%s", why);
}

/* Something moved: what is expected may take its time again. */
static void lives(struct peer *p, int64_t now)
{
    bool expects = buffer_left(&p->out) || p->asked != p->answered || p->state == PEER_CLOSING;
    p->life_by = expects ? now + p->rules->pong_us : 0;
}

/* ---- reading, as wslay asks */

bool peer_is_listening(const struct peer *p)
{
    return p->state != PEER_DEAD && !p->is_broken && wslay_event_get_read_enabled(p->frames) &&
           wslay_event_get_queued_msg_count(p->frames) < CONTROLS && (!p->inbox || inbox_takes(p->inbox));
}

static ssize_t refill(struct peer *p)
{
    if (!p->budget) return p->has_more = true, 0;
    char *room = buffer_room(&p->in, p->io, READ_BYTES);
    ssize_t k = p->carrier->receive(p->of, room, READ_BYTES);
    if (k > 0) p->in.n += (size_t)k, p->moved = true, p->budget -= (size_t)k < p->budget ? (size_t)k : p->budget;
    if (k == 0) die(p, "it was closed without a word");
    if (k < 0 && !is_busy()) die(p, strerror(errno));
    return k;
}

static ssize_t take_in(wslay_event_context_ptr ctx, uint8_t *to, size_t n, int flags, void *of)
{
    (void)flags;
    struct peer *p = of;
    bool listens = peer_is_listening(p);
    if (!listens || (!peer_has_unread(p) && refill(p) <= 0)) {
        wslay_event_set_error(ctx, p->state == PEER_DEAD ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (n > buffer_left(&p->in)) n = buffer_left(&p->in);
    memcpy(to, p->in.p + p->in.from, n);
    buffer_take(&p->in, n);
    return (ssize_t)n;
}

/* ---- messages, as wslay tells */

static void forget_part(struct peer *p)
{
    if (p->rules->pool) *p->rules->pool -= buffer_left(&p->part);
    buffer_take(&p->part, buffer_left(&p->part));
    if (p->part.cap > READ_BYTES) buffer_done(&p->part, p->io);
}

static void break_off(struct peer *p, uint16_t code)
{
    forget_part(p);
    wslay_event_shutdown_read(p->frames);
    wslay_event_queue_close(p->frames, code, NULL, 0);
    snprintf(p->reason, sizeof p->reason, "%s",
             code == WSLAY_CODE_MESSAGE_TOO_BIG ? "a message is longer than max.message.size"
             : code == 1013                     ? "messages under way take more than max.buffered.size"
                                                : "what came is no WebSocket frame");
}

static void frame_begins(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *f, void *of)
{
    (void)ctx;
    struct peer *p = of;
    p->is_part_of_message = !wslay_is_ctrl_frame(f->opcode);
    p->is_fin = f->fin;
    p->n_bye = 0;
    p->bye_length = f->opcode == WSLAY_CONNECTION_CLOSE ? (size_t)f->payload_length : 0;
    p->whole = NULL;
    if (f->opcode == WSLAY_CONNECTION_CLOSE && f->payload_length == 1) break_off(p, WSLAY_CODE_PROTOCOL_ERROR);
    if (!p->is_part_of_message) return;
    if (f->payload_length > p->rules->message_bytes ||
        buffer_left(&p->part) + f->payload_length > p->rules->message_bytes)
        break_off(p, WSLAY_CODE_MESSAGE_TOO_BIG);
    p->n_whole = f->fin && !buffer_left(&p->part) ? (size_t)f->payload_length : SIZE_MAX;
}

/* What others wrote, for a message of one line. */
static void keep_reason(struct peer *p, const uint8_t *text, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < sizeof p->reason - 1; i++)
        p->reason[k++] = text[i] < ' ' || text[i] >= 127 ? '?' : (char)text[i];
    p->reason[k] = 0;
}

/* wslay is older than the codes 1012 to 1014 and would call them wrong. */
static void hear_late_code(struct peer *p, const uint8_t *bytes, size_t n)
{
    if (p->n_bye + n > sizeof p->bye) return;
    memcpy(p->bye + p->n_bye, bytes, n);
    p->n_bye += n;
    if (p->n_bye != p->bye_length || p->n_bye < 2) return;
    uint16_t code = (uint16_t)(p->bye[0] << 8 | p->bye[1]);
    if (code < 1012 || code > 1014) return;
    p->code = code;
    keep_reason(p, p->bye + 2, p->n_bye - 2);
    wslay_event_shutdown_read(p->frames);
    wslay_event_queue_close(p->frames, code, NULL, 0);
}

static void frame_goes_on(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_chunk_arg *f, void *of)
{
    struct peer *p = of;
    if (p->bye_length) hear_late_code(p, f->data, f->data_length);
    if (!p->is_part_of_message || !p->inbox || !wslay_event_get_read_enabled(ctx)) return;
    if (f->data_length == p->n_whole) {
        p->whole = f->data;
        return;
    }
    p->n_whole = SIZE_MAX;
    if (p->rules->pool && *p->rules->pool + f->data_length > p->rules->pool_bytes) {
        break_off(p, 1013);
        return;
    }
    if (p->rules->pool) *p->rules->pool += f->data_length;
    buffer_put(&p->part, p->io, f->data, f->data_length);
}

static void frame_ends(wslay_event_context_ptr ctx, void *of)
{
    struct peer *p = of;
    if (!p->is_part_of_message || !p->is_fin || !wslay_event_get_read_enabled(ctx)) return;
    p->messages++;
    if (!p->inbox) return;
    int64_t wall = p->io->host->wall(p->io);
    if (p->whole || !p->n_whole)
        inbox_add(p->inbox, (const char *)p->whole, p->n_whole, wall, p->number);
    else
        inbox_add(p->inbox, p->part.p + p->part.from, buffer_left(&p->part), wall, p->number);
    forget_part(p);
}

static void control_came(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *of)
{
    (void)ctx;
    struct peer *p = of;
    if (m->opcode == WSLAY_PONG && m->msg_length == 4) {
        uint32_t n = (uint32_t)m->msg[0] << 24 | (uint32_t)m->msg[1] << 16 | (uint32_t)m->msg[2] << 8 | m->msg[3];
        if (n - p->answered <= p->asked - p->answered) p->answered = n;
    }
    if (m->opcode != WSLAY_CONNECTION_CLOSE) return;
    p->code = m->msg_length >= 2 ? m->status_code : 1005;
    if (m->msg_length > 2)
        keep_reason(p, m->msg + 2, m->msg_length - 2);
    else
        p->reason[0] = 0;
}

/* ---- writing */

static void put(struct peer *p, const void *bytes, size_t n)
{
    buffer_put(&p->out, p->io, bytes, n);
    p->offered += n;
}

static ssize_t put_out(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t n, int flags, void *of)
{
    (void)flags;
    (void)ctx;
    struct peer *p = of;
    put(p, bytes, n);
    return (ssize_t)n;
}

static uint32_t draw_mask(struct peer *p)
{
    p->has_mask = !p->has_mask;
    if (!p->has_mask) return (uint32_t)p->mask;
    p->mask = p->io->host->random(p->io);
    return (uint32_t)(p->mask >> 32);
}

static int gen_mask(wslay_event_context_ptr ctx, uint8_t *to, size_t n, void *of)
{
    (void)ctx;
    for (size_t at = 0; at < n; at += 4) {
        uint32_t key = draw_mask(of);
        memcpy(to + at, &key, n - at < 4 ? n - at : 4);
    }
    return 0;
}

static void copy_masked(char *to, const char *from, size_t n, uint32_t key)
{
    uint64_t wide = (uint64_t)key << 32 | key, word;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < n; i++) to[i] = (char)(from[i] ^ (char)(key >> (i % 4) * 8));
}

void peer_send(struct peer *p, uint8_t opcode, const char *payload, size_t n)
{
    uint8_t head[10];
    int k = frame_head(head, opcode, n);
    if (!p->rules->is_client) {
        put(p, head, (size_t)k);
        put(p, payload, n);
        return;
    }
    uint32_t key = draw_mask(p);
    head[1] |= 0x80;
    put(p, head, (size_t)k);
    put(p, &key, sizeof key);
    copy_masked(buffer_room(&p->out, p->io, n), payload, n, key);
    p->out.n += n;
    p->offered += n;
}

/* What wslay has queued becomes bytes to send, whole frames. */
static void put_control(struct peer *p)
{
    if (p->is_broken || buffer_left(&p->out) >= CONTROL_ROOM || !wslay_event_want_write(p->frames)) return;
    if (wslay_event_send(p->frames)) die(p, "there is no memory for frames");
}

static bool has_said_bye(const struct peer *p)
{
    return p->code || wslay_event_get_close_received(p->frames);
}

/* Both have said that it ends. */
static void end_if_closed(struct peer *p)
{
    if (p->state != PEER_CLOSING || buffer_left(&p->out)) return;
    if (has_said_bye(p) && wslay_event_get_close_sent(p->frames)) die(p, "it was closed");
}

void peer_write(struct peer *p, int64_t now)
{
    if (p->state == PEER_DEAD) return;
    put_control(p);
    bool moved = false, was_full = p->polls_out; /* room in it again: the other side has taken bytes */
    while (p->state != PEER_DEAD && buffer_left(&p->out)) {
        ssize_t k = p->carrier->send(p->of, p->out.p + p->out.from, buffer_left(&p->out));
        if (k < 0 && !is_busy()) die(p, strerror(errno));
        p->polls_out = k <= 0;
        if (k <= 0) break;
        moved |= was_full;
        buffer_take(&p->out, (size_t)k);
        put_control(p);
    }
    if (!buffer_left(&p->out)) p->polls_out = false;
    if (moved || (buffer_left(&p->out) && !p->life_by)) lives(p, now);
    end_if_closed(p);
}

/* ---- both */

static const struct wslay_event_callbacks callbacks = {.recv_callback = take_in,
                                                       .send_callback = put_out,
                                                       .genmask_callback = gen_mask,
                                                       .on_frame_recv_start_callback = frame_begins,
                                                       .on_frame_recv_chunk_callback = frame_goes_on,
                                                       .on_frame_recv_end_callback = frame_ends,
                                                       .on_msg_recv_callback = control_came};

bool peer_open(struct peer *p, const char *more, size_t n, int64_t now)
{
    int failed = p->rules->is_client ? wslay_event_context_client_init(&p->frames, &callbacks, p)
                                     : wslay_event_context_server_init(&p->frames, &callbacks, p);
    if (failed) return false;
    wslay_event_config_set_no_buffering(p->frames, 1);
    buffer_put(&p->in, p->io, more, n);
    p->ping_at = p->rules->ping_us ? now + p->rules->ping_us : INT64_MAX;
    return true;
}

/* wslay ends at a head that no frame has, but does not say 1002. */
static void say_1002(struct peer *p)
{
    static const char code[] = {1002 >> 8, (char)(1002 & 255)};
    peer_send(p, WSLAY_CONNECTION_CLOSE, code, sizeof code);
    if (!p->reason[0]) snprintf(p->reason, sizeof p->reason, "what came is no WebSocket frame");
    p->is_broken = true;
}

/* After a broken protocol, or what was refused, nothing is looked at; but to hang up with bytes unread would take back
 * the close frame. */
static bool is_deaf(const struct peer *p)
{
    return p->is_broken ||
           (p->state == PEER_CLOSING && !wslay_event_get_read_enabled(p->frames) && !has_said_bye(p));
}

static void throw_away(struct peer *p)
{
    char nothing[4096];
    ssize_t k = 0;
    buffer_take(&p->in, buffer_left(&p->in));
    for (int i = 0; i < 16 && (k = p->carrier->receive(p->of, nothing, sizeof nothing)) > 0; i++) {
    }
    if (k == 0 || (k < 0 && !is_busy())) die(p, "it was closed");
}

void peer_read(struct peer *p, int64_t now)
{
    if (p->state == PEER_DEAD) return;
    if (is_deaf(p)) {
        throw_away(p);
        return;
    }
    p->moved = p->has_more = false;
    p->budget = TURN_BYTES;
    if (wslay_event_recv(p->frames) && p->state != PEER_DEAD && !p->code) say_1002(p);
    if (!p->rules->is_client && !peer_has_unread(p)) buffer_done(&p->in, p->io); /* there are many of them */
    if (p->state == PEER_DEAD) return;
    if (p->moved) lives(p, now);
    if (p->moved && p->rules->ping_us && p->asked == p->answered) p->ping_at = now + p->rules->ping_us;
    bool ends = p->is_broken || wslay_event_get_close_received(p->frames) || wslay_event_get_close_sent(p->frames) ||
                !wslay_event_get_read_enabled(p->frames);
    if (!ends || p->state != PEER_OPEN) return;
    if (!p->code && !p->reason[0]) snprintf(p->reason, sizeof p->reason, "what came breaks the protocol");
    p->state = PEER_CLOSING;
    p->life_by = now + p->rules->pong_us;
}

uint32_t peer_ask(struct peer *p, int64_t now)
{
    uint32_t n = ++p->asked;
    const char payload[4] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
    peer_send(p, WSLAY_PING, payload, sizeof payload);
    if (!p->life_by) p->life_by = now + p->rules->pong_us;
    if (p->rules->ping_us) p->ping_at = now + p->rules->ping_us;
    return n;
}

void peer_close(struct peer *p, uint16_t code, const char *reason, int64_t now)
{
    if (p->state != PEER_OPEN) return;
    p->state = PEER_CLOSING;
    p->life_by = now + p->rules->pong_us;
    wslay_event_queue_close(p->frames, code, (const uint8_t *)reason, strlen(reason));
}

void peer_tick(struct peer *p, int64_t now)
{
    if (p->state == PEER_DEAD) return;
    bool held = p->inbox && !inbox_takes(p->inbox); /* then it is we who do not listen */
    if (p->life_by && now >= p->life_by && held && !buffer_left(&p->out))
        lives(p, now);
    else if (p->life_by && now >= p->life_by)
        die(p, "nothing moved for ping.timeout.ms");
    else if (p->state == PEER_OPEN && now >= p->ping_at && p->asked == p->answered)
        peer_ask(p, now);
}

int64_t peer_wakes(const struct peer *p)
{
    if (p->has_more && peer_is_listening(p)) return 0;
    int64_t at = p->state == PEER_OPEN && p->asked == p->answered ? p->ping_at : INT64_MAX;
    return p->life_by && p->life_by < at ? p->life_by : at;
}

void peer_done(struct peer *p)
{
    if (!p->io) return;
    if (p->part.p) forget_part(p);
    wslay_event_context_free(p->frames);
    buffer_done(&p->in, p->io);
    buffer_done(&p->out, p->io);
    buffer_done(&p->part, p->io);
    *p = (struct peer){0};
}
