/* See client_source.h. What a server sends while there is no connection is missed: nobody could ask for it again. So
 * each loss of a connection that was open is a gap, which is counted and told. SPDX-License-Identifier: Apache-2.0 */
#include "client_source.h"

#include <string.h>

static void read_settings(struct client_source *c)
{
    const struct lam_host *h = c->io->host;
    const struct lam_options *o = c->io->options;
    c->subscribe = h->option_text(o, "subscribe.message");
    c->reconnects = h->option_int(o, "reconnect.enabled");
    c->first_us = h->option_int(o, "reconnect.initial.delay.ms");
    c->most_us = h->option_int(o, "reconnect.max.delay.ms");
    c->tries_most = h->option_int(o, "reconnect.max.retries");
    if (c->most_us < c->first_us) c->most_us = c->first_us;
    c->dial.rules = (struct peer_rules){.is_client = true,
                                        .message_bytes = (uint64_t)h->option_int(o, "max.message.size"),
                                        .ping_us = h->option_int(o, "ping.interval.ms"),
                                        .pong_us = h->option_int(o, "ping.timeout.ms")};
}

static void opened(struct dial *d, int64_t now)
{
    struct client_source *c = (struct client_source *)((char *)d - offsetof(struct client_source, dial));
    if (c->was_ever_open)
        c->io->host->log(c->io, 1, "connected to %s again after %lld ms: gap %llu, after %llu messages", d->url.name,
                         (long long)((now - c->lost_at) / 1000), (unsigned long long)c->gaps,
                         (unsigned long long)c->inbox.came);
    c->was_ever_open = true;
    if (c->subscribe) peer_send(&d->peer, WSLAY_TEXT_FRAME, c->subscribe, strlen(c->subscribe));
}

/* ---- losing it */

static int end_of(const struct client_source *c)
{
    const struct dial *d = &c->dial;
    if (!c->reconnects && d->was_open && d->code == 1000) return LAM_IO_DONE;
    bool hopeless = d->is_final && (d->was_open || !c->was_ever_open); /* a server that once let us in may do so again */
    if (!c->reconnects || hopeless) return d->was_open ? LAM_IO_READ : LAM_IO_CONNECT;
    return c->tries_most && c->tries > c->tries_most ? LAM_IO_CONNECT : LAM_IO_OK;
}

/* Half of the pause is fixed, half is drawn: who lost the same server does not come back all at once. */
static int64_t next_pause(struct client_source *c, int64_t now)
{
    const struct dial *d = &c->dial;
    bool lasted = d->was_open && now - d->opened_at > c->pause_us;
    c->pause_us = lasted || !c->pause_us ? c->first_us : 2 * c->pause_us < c->most_us ? 2 * c->pause_us : c->most_us;
    c->tries = lasted ? 1 : c->tries + 1;
    int64_t half = c->pause_us / 2;
    int64_t us = c->pause_us - half + (int64_t)(c->io->host->random(c->io) % (uint64_t)(half + 1));
    return us > d->retry_after_us ? us : d->retry_after_us;
}

static void lost(struct client_source *c, int64_t now)
{
    const struct lam_host *h = c->io->host;
    int64_t us = next_pause(c, now);
    if (c->dial.was_open) c->lost_at = now;
    c->result = end_of(c);
    c->is_over = c->result != LAM_IO_OK;
    c->again_at = now + us;
    if (c->is_over) return;
    c->gaps += c->dial.was_open;
    bool often = !c->dial.was_open && (c->tries & (c->tries - 1)); /* in a long outage: the 1st, 2nd, 4th, 8th try ... */
    h->log(c->io, often ? 3 : 1, "%s; the next try comes in %lld ms%s", c->dial.why, (long long)(us / 1000),
           c->dial.was_open ? ", and what is sent until then is missed" : "");
}

/* ---- steps */

void client_source_step(struct client_source *c, int64_t now)
{
    struct dial *d = &c->dial;
    if (c->is_over) return;
    if (d->state != DIAL_DOWN)
        dial_step(d, now);
    else if (now >= c->again_at)
        dial_start(d, now);
    else
        return;
    if (d->state == DIAL_DOWN) lost(c, now);
}

static int fail(const struct client_source *c, struct lam_error *err)
{
    c->io->host->fail(err, c->result, "%s", c->dial.why);
    if (!c->reconnects) c->io->host->hint(err, "reconnect.enabled = true tries again");
    return c->result;
}

/* With nobody to try again, the statement that makes the source is who is to hear what is wrong. */
static int connect_now(struct client_source *c, struct lam_error *err)
{
    while (c->dial.state != DIAL_OPEN && !c->is_over) {
        int64_t at = INT64_MAX, now = c->io->host->now(c->io);
        struct pollfd fd;
        int n = client_source_wait(c, &fd, 1, &at);
        if (at > now) poll(&fd, (nfds_t)n, at - now > DIAL_HOUR ? 3600000 : (int)((at - now + 999) / 1000));
        client_source_step(c, c->io->host->now(c->io));
    }
    return c->is_over && !c->was_ever_open ? fail(c, err) : LAM_IO_OK; /* else what came with it is given first */
}

int client_source_open(struct client_source *c, struct lam_io *io, struct lam_error *err)
{
    c->io = io;
    int result = dial_init(&c->dial, io, err);
    if (result) return result;
    read_settings(c);
    inbox_open(&c->inbox, io);
    c->dial.inbox = &c->inbox;
    c->dial.opened = opened;
    client_source_step(c, io->host->now(io));
    return c->reconnects ? LAM_IO_OK : connect_now(c, err);
}

int client_source_poll(struct client_source *c, int64_t now, struct lam_records *out, struct lam_error *err)
{
    client_source_step(c, now);
    inbox_give(&c->inbox, out, NULL, NULL);
    if (out->n) return LAM_IO_OK;
    if (!c->is_over) return LAM_IO_WAIT;
    return c->result == LAM_IO_DONE ? LAM_IO_DONE : fail(c, err);
}

int client_source_wait(const struct client_source *c, struct pollfd *fds, int max, int64_t *at)
{
    if (c->is_over) return 0;
    if (c->dial.state == DIAL_DOWN) return *at = c->again_at, 0;
    return dial_wait(&c->dial, fds, max, at);
}

void client_source_close(struct client_source *c)
{
    if (!c->io) return;
    if (c->dial.io && c->dial.multi) dial_hang_up(&c->dial, 1000, "", c->io->host->now(c->io));
    if (c->inbox.io)
        c->io->host->log(c->io, 2, "%s: messages %llu, connections %llu, gaps %llu, dropped %llu", c->dial.url.name,
                         (unsigned long long)c->inbox.came, (unsigned long long)c->dial.connections,
                         (unsigned long long)c->gaps, (unsigned long long)c->inbox.dropped);
    inbox_done(&c->inbox);
    dial_done(&c->dial);
}
