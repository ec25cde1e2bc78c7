/* See client_sink.h. A frame is kept until the connection has taken it whole, and goes by the next connection when it
 * broke before, so that no record is sent twice. What was taken and not answered for by a pong when a connection is
 * lost may be lost: nobody can tell; it is counted. While there is no connection nothing is accepted: rows wait in the
 * stream's log, and pauses between tries are the host's. SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include <stdio.h>
#include <string.h>

#define SEND_BYTES (64 << 10) /* that wait to be taken; with more nothing is accepted */

static struct client_sink *of(struct lam_io *io)
{
    return &((struct sink_self *)io->self)->client;
}

/* ---- frames */

static void seal(struct client_sink *c)
{
    if (!c->filled) return;
    if (c->n == c->cap) {
        uint32_t cap = c->cap ? 2 * c->cap : 64;
        c->frames = c->io->host->resize(c->frames, c->cap * sizeof *c->frames, cap * sizeof *c->frames);
        c->io->host->account(c->io, (int64_t)((cap - c->cap) * sizeof *c->frames));
        c->cap = cap;
    }
    c->frames[c->n++] = (struct sent_frame){.n = c->filling, .records = c->filled};
    c->filling = c->filled = 0;
    c->fill_by = 0;
}

/* One value of so many records. */
static void add(struct client_sink *c, const char *p, size_t n, uint32_t records, int64_t now)
{
    if (c->filled) {
        buffer_put(&c->bytes, c->io, "\n", 1);
        c->filling++;
    }
    buffer_put(&c->bytes, c->io, p, n);
    c->filling += n;
    if (!c->filled) c->fill_by = now + c->interval_us;
    c->filled += records;
    if (c->filled >= c->batch || c->filling >= SEND_BYTES) seal(c);
}

/* Gives the connection frames that it was not given yet; whether there were any. */
static bool hand_over(struct client_sink *c)
{
    size_t at = c->bytes.from;
    uint64_t before = c->dial.peer.offered;
    if (c->dial.peer.state != PEER_OPEN) return false; /* behind a close frame nothing may follow */
    for (uint32_t i = c->from; i < c->n; at += c->frames[i++].n) {
        if (c->frames[i].end) continue;
        peer_send(&c->dial.peer, c->opcode, c->bytes.p + at, c->frames[i].n);
        c->frames[i].end = c->dial.peer.offered;
    }
    return c->dial.peer.offered > before;
}

/* sent: bytes of what was offered to this connection that the system has taken. */
static void let_go_of(struct client_sink *c, uint64_t sent)
{
    while (c->from < c->n && c->frames[c->from].end && c->frames[c->from].end <= sent) {
        const struct sent_frame *f = &c->frames[c->from++];
        c->sent += f->records;
        c->frames_sent++;
        buffer_take(&c->bytes, f->n);
    }
    if (c->from == c->n) c->from = c->n = 0;
}

static bool is_backed_up(const struct client_sink *c)
{
    return buffer_left(&c->bytes) - c->filling >= SEND_BYTES;
}

/* ---- the connection */

/* What the last step sent before it found the connection broken may have arrived: sent again, it would come twice. */
static void lost(struct client_sink *c)
{
    let_go_of(c, c->dial.taken);
    uint64_t doubtful = c->sent - c->answered;
    for (uint32_t i = c->from; i < c->n; i++) c->frames[i].end = 0;
    c->answered = c->sent;
    c->doubtful += doubtful;
    c->ping = 0;
    if (doubtful)
        c->io->host->log(c->io, 1, "%s; %llu records that were on their way may be lost", c->dial.why,
                         (unsigned long long)doubtful);
    else if (c->dial.was_open)
        c->io->host->log(c->io, 1, "%s", c->dial.why);
}

static void take_answer(struct client_sink *c)
{
    if (!c->ping || (int32_t)(c->dial.peer.answered - c->ping) < 0) return;
    c->answered = c->asked;
    c->ping = 0;
}

/* OK: it is open. WAIT: it is not yet. RETRY, or an error that stays: it failed. */
static int result_of(struct client_sink *c, struct lam_error *err)
{
    const struct dial *d = &c->dial;
    if (d->state == DIAL_OPEN) return LAM_IO_OK;
    if (d->state != DIAL_DOWN) return LAM_IO_WAIT;
    bool stays = d->is_final && (d->was_open || !c->was_open);
    return c->io->host->fail(err, stays ? LAM_IO_WRITE : LAM_IO_RETRY, "%s", d->why);
}

static void step(struct client_sink *c, int64_t now)
{
    struct dial *d = &c->dial;
    if (c->fill_by && now >= c->fill_by) seal(c);
    if (d->state == DIAL_DOWN) return;
    dial_step(d, now);
    c->was_open |= d->state == DIAL_OPEN;
    if (d->state == DIAL_OPEN && hand_over(c)) dial_step(d, now);
    if (d->state == DIAL_DOWN) lost(c);
    if (d->state != DIAL_OPEN) return;
    let_go_of(c, c->dial.peer.offered - buffer_left(&c->dial.peer.out));
    take_answer(c);
}

static int connect_and_step(struct client_sink *c, int64_t now, struct lam_error *err)
{
    if (c->dial.state == DIAL_DOWN) dial_start(&c->dial, now);
    step(c, now);
    return result_of(c, err);
}

/* ---- calls */

static void read_settings(struct client_sink *c)
{
    const struct lam_host *h = c->io->host;
    const struct lam_options *o = c->io->options;
    const char *format = c->io->format ? c->io->format : h->option_text(o, "format");
    c->opcode = format && (!strcmp(format, "raw") || !strcmp(format, "arrow_ipc")) ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME;
    c->batch = (uint32_t)h->option_int(o, "batch");
    c->interval_us = h->option_int(o, "batch.interval.ms");
    c->dial.rules = (struct peer_rules){.is_client = true,
                                        .message_bytes = (uint64_t)h->option_int(o, "max.message.size"),
                                        .ping_us = h->option_int(o, "ping.interval.ms"),
                                        .pong_us = h->option_int(o, "ping.timeout.ms")};
}

static int client_sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh;
    struct client_sink *c = of(io);
    if (!c->io) {
        c->io = io;
        int result = dial_init(&c->dial, io, err);
        if (result) return result;
        read_settings(c);
        if (c->batch > 1 && c->opcode == WSLAY_BINARY_FRAME)
            return io->host->fail(err, LAM_IO_OPTION,
                                  "values of %s in binary frames cannot be joined: leave out batch, or choose the format json or csv", io->name);
    }
    return connect_and_step(c, io->host->now(io), err);
}

static int client_sink_write(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows, int64_t *accepted,
                             struct lam_error *err)
{
    (void)rows;
    struct client_sink *c = of(io);
    int64_t now = io->host->now(io), n = 0;
    int result = connect_and_step(c, now, err);
    if (result) return result;
    while (n < v->n && c->dial.state == DIAL_OPEN && !is_backed_up(c) && !(v->none && v->none[n])) {
        add(c, v->bytes + v->offsets[n], (size_t)(v->offsets[n + 1] - v->offsets[n]), v->whole ? (uint32_t)v->n : 1, now);
        n += v->whole ? v->n : 1;
        if (!c->interval_us && n == v->n) seal(c);
        if (n == v->n || is_backed_up(c)) step(c, now); /* still backed up: there is something to wait for */
    }
    *accepted = n;
    if (n == v->n) return LAM_IO_OK;
    if (v->none && v->none[n]) return io->host->fail(err, LAM_IO_POISON, "a row of %s whose value is NULL is no message", io->name);
    return c->dial.state == DIAL_DOWN ? result_of(c, err) : LAM_IO_WAIT;
}

/* Sent is not arrived: what the system has taken is only known to have come when a ping behind it is answered. */
static int client_sink_flush(struct lam_io *io, struct lam_error *err)
{
    struct client_sink *c = of(io);
    int64_t now = io->host->now(io);
    seal(c);
    step(c, now);
    if (c->from == c->n && c->answered == c->sent) return LAM_IO_OK;
    int result = connect_and_step(c, now, err);
    if (result) return result;
    if (c->from < c->n) return LAM_IO_WAIT;
    if (c->answered == c->sent) return LAM_IO_OK;
    if (!c->ping && c->dial.peer.state == PEER_OPEN) {
        c->ping = peer_ask(&c->dial.peer, now);
        c->asked = c->sent;
        step(c, now);
    }
    return c->dial.state == DIAL_OPEN && c->answered == c->sent ? LAM_IO_OK : c->dial.state == DIAL_DOWN ? result_of(c, err) : LAM_IO_WAIT;
}

/* A connection that is lost while there are no rows is made again when there are. */
static int client_sink_serve(struct lam_io *io, struct lam_error *err)
{
    struct client_sink *c = of(io);
    bool was_trying = c->dial.state == DIAL_CONNECTING || c->dial.state == DIAL_ASKING;
    step(c, io->host->now(io));
    return was_trying && c->dial.state == DIAL_DOWN ? result_of(c, err) : LAM_IO_OK;
}

static int client_sink_wait(struct lam_io *io, struct pollfd *fds, int max, int64_t *at)
{
    struct client_sink *c = of(io);
    if (c->fill_by && c->dial.state == DIAL_OPEN) *at = c->fill_by;
    return dial_wait(&c->dial, fds, max, at);
}

static int client_sink_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct client_sink *c = of(io);
    const struct lam_host *h = io->host;
    if (!c->io) return LAM_IO_OK;
    if (c->dial.multi) dial_hang_up(&c->dial, 1000, "", h->now(io));
    if (c->was_open)
        h->log(io, 2, "%s: records %llu in frames %llu, connections %llu, may be lost %llu", c->dial.url.name,
               (unsigned long long)c->sent, (unsigned long long)c->frames_sent, (unsigned long long)c->dial.connections,
               (unsigned long long)(c->doubtful + c->sent - c->answered));
    buffer_done(&c->bytes, io);
    h->account(io, -(int64_t)(c->cap * sizeof *c->frames));
    h->free(c->frames);
    dial_done(&c->dial);
    return LAM_IO_OK;
}

const struct sink_calls client_sink_calls = {client_sink_open,  client_sink_write, client_sink_flush,
                                             client_sink_serve, client_sink_wait,  client_sink_close};
