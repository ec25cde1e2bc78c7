/* The sink `websocket` in mode server, whose clients all get every record; and the class, of both modes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "module.h"
#include "sink.h"

#include <string.h>

static void read_settings(struct lam_io *io, struct server_settings *set)
{
    const struct lam_host *h = io->host;
    const struct lam_options *o = io->options;
    const char *format = io->format ? io->format : h->option_text(o, "format");
    uint64_t buffer = (uint64_t)h->option_int(o, "per.client.buffer");
    *set = (struct server_settings){
        .address = h->option_text(o, "bind.address"),
        .rules = {.path = h->option_text(o, "path"),
                  .origins = h->option_text(o, "allowed.origins"),
                  .max = (size_t)h->option_int(o, "max.request.size")},
        .format = format ? format : "json",
        .is_bare = h->option_set(o, "envelope") && h->option_int(o, "envelope"),
        .must_subscribe = h->option_int(o, "subscribe"),
        .deflates = h->option_int(o, "compression"),
        .batch = (uint32_t)h->option_int(o, "batch"),
        .max_clients = (uint32_t)h->option_int(o, "max.connections"),
        .backlog = (uint32_t)h->option_int(o, "listen.backlog"),
        .max_views = (uint32_t)h->option_int(o, "max.views"),
        .max_subscriptions = (uint32_t)h->option_int(o, "max.subscriptions"),
        .message_rate = (uint32_t)h->option_int(o, "max.message.rate"),
        .client_bytes = buffer * (uint64_t)h->option_int(o, "slow.client.threshold.pct") / 100,
        .replay_bytes = (uint64_t)h->option_int(o, "replay.buffer.size"),
        .message_bytes = (uint64_t)h->option_int(o, "max.message.size"),
        .policy = (enum policy)h->option_int(o, "slow.client.policy"),
        .handshake_us = h->option_int(o, "handshake.timeout.ms"),
        .ping_us = h->option_int(o, "ping.interval.ms"),
        .pong_us = h->option_int(o, "ping.timeout.ms"),
        .drain_us = h->option_int(o, "drain.timeout.ms"),
        .filter_us = h->option_int(o, "max.filter.time.ms"),
    };
}

static int check_settings(struct lam_io *io, const struct server_settings *set, struct lam_error *err)
{
    const struct lam_host *h = io->host;
    bool arrow = !strcmp(set->format, "arrow_ipc"), text = !arrow && strcmp(set->format, "raw");
    if (h->option_set(io->options, "envelope") && !set->is_bare && !arrow && strcmp(set->format, "json"))
        return h->fail(err, LAM_IO_OPTION, "the envelope of %s is JSON, and its format is %s: say envelope = 'none'",
                       io->name, set->format);
    if (set->batch > 1 && !text)
        return h->fail(err, LAM_IO_OPTION, "%s values of %s cannot be joined: leave out batch, or choose the format json or csv",
                       set->format, io->name);
    if (set->replay_bytes <= set->client_bytes) return LAM_IO_OK;
    h->fail(err, LAM_IO_OPTION, "replay.buffer.size of %s is larger than slow.client.threshold.pct of per.client.buffer", io->name);
    h->hint(err, "a client that resumes is given all of it at once: make per.client.buffer larger");
    return LAM_IO_OPTION;
}

static int sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh;
    struct server *s = io->self;
    s->io = io;
    s->epoll = s->listener = -1;
    read_settings(io, &s->set);
    int result = check_settings(io, &s->set, err);
    if (!result) result = guard_open(&s->guard, io, err);
    return result ? result : server_open(s, err);
}

static int sink_write(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows, int64_t *accepted,
                      struct lam_error *err)
{
    int64_t n = 0;
    while (n < v->n && !(v->none && v->none[n])) n++;
    if (n) server_write(io->self, v, rows, n);
    *accepted = n;
    if (n == v->n) return LAM_IO_OK;
    return io->host->fail(err, LAM_IO_POISON, "a row of %s whose value is NULL is no message", io->name);
}

static int sink_flush(struct lam_io *io, struct lam_error *err)
{
    (void)err;
    return server_drain(io->self) ? LAM_IO_OK : LAM_IO_WAIT;
}

static int sink_serve(struct lam_io *io, struct lam_error *err)
{
    (void)err;
    server_serve(io->self);
    return LAM_IO_OK;
}

static int sink_wait(struct lam_io *io, struct pollfd *fds, int max, int64_t *at)
{
    struct server *s = io->self;
    *at = server_wakes(s);
    if (!max) return 0;
    fds[0] = (struct pollfd){.fd = s->epoll, .events = POLLIN};
    return 1;
}

static int sink_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct server *s = io->self;
    if (s->io) server_close(s);
    return LAM_IO_OK;
}

const struct sink_calls server_sink_calls = {sink_open, sink_write, sink_flush, sink_serve, sink_wait, sink_close};

#define MINUTE 60000000
#define HOUR   (60 * (int64_t)MINUTE)

/* Of both modes: see sink.c for whose are whose. */
static const struct lam_option options[] = {
    {.name = "mode",
     .type = LAM_OPTION_ENUM,
     .values = "client|server",
     .sentence = "Send records to a server, or be one whose clients get them; unset: server, unless url is given."},
    {.name = "bind.address",
     .type = LAM_OPTION_TEXT,
     .dflt = "127.0.0.1:8080",
     .sentence = "Address and port to listen on; a port alone is one of the loopback, and port 0 takes a free one, "
                 "which is logged."},
    {.name = "path", .type = LAM_OPTION_TEXT, .dflt = "/", .sentence = "Path that clients ask for."},
    {.name = "allowed.origins",
     .type = LAM_OPTION_TEXT,
     .sentence = "Pages that may connect, as https://example.com, separated by commas; * allows all, and unset none, "
                 "only programs."},
    {.name = "envelope",
     .type = LAM_OPTION_ENUM,
     .values = "data|none",
     .sentence = "What stands around a record: {\"type\":\"data\",\"sequence\":n,\"data\":...}, which is the default "
                 "of json (arrow_ipc: a message before each frame), or nothing."},
    {.name = "subscribe",
     .type = LAM_OPTION_ENUM,
     .dflt = "optional",
     .values = "optional|required",
     .sentence = "Whether a client gets all records until it subscribes to some, or nothing."},
    {.name = "max.subscriptions",
     .type = LAM_OPTION_INT,
     .dflt = "8",
     .min = 1,
     .max = 1000,
     .sentence = "Subscriptions of one client at the same time."},
    {.name = "max.views",
     .type = LAM_OPTION_INT,
     .dflt = "64",
     .min = 1,
     .max = 10000,
     .sentence = "Different pairs of a filter and a format at the same time; clients that subscribe to the same share it."},
    {.name = "max.filter.time.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "250 ms",
     .min = 1000,
     .max = 1000000,
     .sentence = "How much of a second one filter may take; the subscriptions of one that takes more are ended."},
    {.name = "max.message.rate",
     .type = LAM_OPTION_INT,
     .dflt = "100",
     .min = 0,
     .max = 1000000,
     .sentence = "Frames that a client may send in a second, pings too; more end the connection (1008). 0: any number."},
    {.name = "compression",
     .type = LAM_OPTION_ENUM,
     .dflt = "none",
     .values = "none|deflate",
     .sentence = "Whether frames are compressed for clients that offer permessage-deflate, each once for all of them."},
    GUARD_OPTIONS,
    {.name = "batch",
     .type = LAM_OPTION_INT,
     .dflt = "1",
     .min = 1,
     .max = 10000,
     .sentence = "Records that go into one frame at most, one on each line.",
     .also = "batch.max.size"},
    {.name = "max.connections",
     .type = LAM_OPTION_INT,
     .dflt = "10000",
     .min = 1,
     .max = 1000000,
     .sentence = "Clients at the same time; others are answered with 503."},
    {.name = "listen.backlog",
     .type = LAM_OPTION_INT,
     .dflt = "1024",
     .min = 1,
     .max = 65535,
     .sentence = "Connections that wait to be accepted."},
    {.name = "per.client.buffer",
     .type = LAM_OPTION_SIZE,
     .dflt = "256 KiB",
     .min = 4096,
     .max = (int64_t)1 << 30,
     .sentence = "Bytes of frames that wait for one client before it counts as slow; a single frame may be longer."},
    {.name = "slow.client.threshold.pct",
     .type = LAM_OPTION_INT,
     .dflt = "90",
     .min = 1,
     .max = 100,
     .sentence = "How much of that buffer may be full before the client counts as slow."},
    {.name = "slow.client.policy",
     .type = LAM_OPTION_ENUM,
     .dflt = "drop_oldest",
     .values = "drop_oldest|drop_newest|disconnect",
     .sentence = "What a slow client loses: the oldest frames, the newest until half of its buffer is free, or its "
                 "connection (1013)."},
    {.name = "replay.buffer.size",
     .type = LAM_OPTION_SIZE,
     .dflt = "0",
     .min = 0,
     .max = (int64_t)1 << 30,
     .sentence = "Bytes of frames that are kept for clients that come back with ?last_sequence=n."},
    {.name = "ping.interval.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "30 s",
     .min = 10000,
     .max = 24 * HOUR,
     .sentence = "How often the other side is asked whether it is there."},
    {.name = "ping.timeout.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "10 s",
     .min = 10000,
     .max = HOUR,
     .sentence = "How long it may take to answer that, or to close when it is told to."},
    {.name = "handshake.timeout.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "10 s",
     .min = 10000,
     .max = HOUR,
     .sentence = "How long a client may take for its whole request."},
    {.name = "drain.timeout.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "1 s",
     .min = 0,
     .max = HOUR,
     .sentence = "How long a flush, and so the end, waits for clients to take what is on its way."},
    {.name = "max.request.size",
     .type = LAM_OPTION_SIZE,
     .dflt = "8 KiB",
     .min = 512,
     .max = 1 << 20,
     .sentence = "Bytes of a client's request; a longer one is answered with 431."},
    {.name = "max.message.size",
     .type = LAM_OPTION_SIZE,
     .dflt = "64 KiB",
     .min = 0,
     .max = (int64_t)1 << 30,
     .sentence = "Bytes of a message from the other side; a longer one ends the connection (1009)."},
    DIAL_OPTIONS,
    {.name = "batch.interval.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "0",
     .max = HOUR,
     .sentence = "Client: how long a frame waits for more records, up to batch; 0: it takes those that are there."},
    {.name = "buffer.on.disconnect",
     .type = LAM_OPTION_TEXT,
     .sentence = "Refused: rows wait in the log of the sink's stream, as its option overflow says."},
};

const struct lam_sink_class websocket_sink = {
    .size = sizeof websocket_sink,
    .name = "websocket",
    .aliases = (const char *const[]){"ws", NULL},
    .sentence = "Serves records to WebSocket clients, each at its own pace, or sends them to a server.",
    .payload = LAM_RECORDS,
    .guarantee = LAM_AT_MOST_ONCE,
    .changelog = true,
    .flush_us = 1000000,
    .instance_size = sizeof(struct sink_self),
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .option_size = sizeof options[0],
    .default_format = "json",
    .open = websocket_sink_open,
    .write_records = websocket_sink_write,
    .flush = websocket_sink_flush,
    .wait = websocket_sink_wait,
    .serve = websocket_sink_serve,
    .close = websocket_sink_close,
    .whole = true,
};
