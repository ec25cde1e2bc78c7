/* The source `websocket`: a client of a server that sends (client_source.c), or a server for clients that do (guests.c).
 * SPDX-License-Identifier: Apache-2.0 */
#include "client_source.h"
#include "guests.h"
#include "mode.h"
#include "module.h"

struct reading {
    enum mode mode;
    union {
        struct client_source client;
        struct guests server;
    };
};

static const struct mode_options modes = {
    .client = (const char *const[]){DIAL_NAMES, "subscribe.message", "reconnect.enabled", "reconnect.initial.delay.ms",
                                    "reconnect.max.delay.ms", "reconnect.max.retries", NULL},
    .server = (const char *const[]){"bind.address", "path", "allowed.origins", "max.connections", "listen.backlog",
                                    "handshake.timeout.ms", "max.request.size", "max.buffered.size", "ack", GUARD_NAMES, NULL},
    .refused =
        (const struct refused_option[]){
            {"event.time.field", "declare the time of rows by WATERMARK FOR column"},
            {"event.time.format", "TIMESTAMP columns take ISO 8601, and numbers as epoch.unit says"},
            {NULL, NULL}},
};

static int read_open(struct lam_io *io, struct lam_error *err)
{
    struct reading *r = io->self;
    r->mode = mode_of(io->host, io->options, MODE_CLIENT);
    int result = mode_check(io, r->mode, &modes, err);
    if (result) return result;
    return r->mode == MODE_CLIENT ? client_source_open(&r->client, io, err) : guests_open(&r->server, io, err);
}

static void read_serve(struct lam_io *io)
{
    struct reading *r = io->self;
    int64_t now = io->host->now(io);
    if (r->mode == MODE_CLIENT)
        client_source_step(&r->client, now);
    else
        guests_step(&r->server, now);
}

static int read_poll(struct lam_io *io, int split, int64_t now, struct lam_records *out, struct lam_error *err)
{
    (void)split;
    struct reading *r = io->self;
    return r->mode == MODE_CLIENT ? client_source_poll(&r->client, now, out, err) : guests_poll(&r->server, now, out);
}

static int read_wait(struct lam_io *io, int split, struct pollfd *fds, int max, int64_t *at)
{
    (void)split;
    struct reading *r = io->self;
    return r->mode == MODE_CLIENT ? client_source_wait(&r->client, fds, max, at) : guests_wait(&r->server, fds, max, at);
}

static void read_close(struct lam_io *io)
{
    struct reading *r = io->self;
    if (r->mode == MODE_CLIENT)
        client_source_close(&r->client);
    else
        guests_close(&r->server);
}

static bool read_bounded(const struct lam_host *host, const struct lam_options *o)
{
    return mode_of(host, o, MODE_CLIENT) == MODE_CLIENT && !host->option_int(o, "reconnect.enabled");
}

#define SECOND 1000000
#define HOUR   (3600 * (int64_t)SECOND)

static const struct lam_option options[] = {
    {.name = "mode",
     .type = LAM_OPTION_ENUM,
     .values = "client|server",
     .sentence = "Connect to a server that sends messages, or be one that clients send them to; unset: client, unless "
                 "bind.address is given."},
    DIAL_OPTIONS,
    {.name = "subscribe.message",
     .type = LAM_OPTION_TEXT,
     .sentence = "Client: message to send whenever it has connected."},
    {.name = "reconnect.enabled",
     .type = LAM_OPTION_BOOL,
     .dflt = "true",
     .sentence = "Client: connect again when the connection is lost; else the source ends with it, well if the server "
                 "closed it with 1000."},
    {.name = "reconnect.initial.delay.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "100 ms",
     .min = 1000,
     .max = HOUR,
     .sentence = "Client: how long to pause after a connection was lost; doubled with each try that fails or does not "
                 "outlive the pause."},
    {.name = "reconnect.max.delay.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "30 s",
     .min = 1000,
     .max = HOUR,
     .sentence = "Client: the longest pause, unless the server asks for a longer one by Retry-After."},
    {.name = "reconnect.max.retries",
     .type = LAM_OPTION_INT,
     .dflt = "0",
     .min = 0,
     .max = 1000000000,
     .sentence = "Client: after so many tries in a row the source fails; 0: never."},
    {.name = "bind.address",
     .type = LAM_OPTION_TEXT,
     .dflt = "127.0.0.1:8080",
     .sentence = "Server: address and port to listen on; a port alone is one of the loopback, and port 0 takes a free "
                 "one, which is logged."},
    {.name = "path", .type = LAM_OPTION_TEXT, .dflt = "/", .sentence = "Server: path that clients ask for."},
    {.name = "allowed.origins",
     .type = LAM_OPTION_TEXT,
     .sentence = "Server: pages that may connect, as https://example.com, separated by commas; * allows all, and unset "
                 "none, only programs."},
    GUARD_OPTIONS,
    {.name = "max.connections",
     .type = LAM_OPTION_INT,
     .dflt = "1024",
     .min = 1,
     .max = 1000000,
     .sentence = "Server: clients at the same time; others are answered with 503."},
    {.name = "listen.backlog",
     .type = LAM_OPTION_INT,
     .dflt = "1024",
     .min = 1,
     .max = 65535,
     .sentence = "Server: connections that wait to be accepted."},
    {.name = "handshake.timeout.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "10 s",
     .min = 10000,
     .max = HOUR,
     .sentence = "Server: how long a client may take for its whole request."},
    {.name = "max.request.size",
     .type = LAM_OPTION_SIZE,
     .dflt = "8 KiB",
     .min = 512,
     .max = 1 << 20,
     .sentence = "Server: bytes of a client's request; a longer one is answered with 431."},
    {.name = "max.buffered.size",
     .type = LAM_OPTION_SIZE,
     .dflt = "256 MiB",
     .min = 4096,
     .max = (int64_t)1 << 40,
     .sentence = "Server: bytes of messages that have not come whole, of all clients; who exceeds it is closed (1013)."},
    {.name = "ack",
     .type = LAM_OPTION_ENUM,
     .dflt = "none",
     .values = "none|message",
     .sentence = "Server: whether clients are told how many of their messages have been taken, {\"type\":\"ack\",\"sequence\":n}."},
    {.name = "on.backpressure",
     .type = LAM_OPTION_ENUM,
     .dflt = "block",
     .values = "block|drop",
     .sentence = "When messages come faster than they are taken: read no more, so that the sender has to wait, or drop what "
                 "comes, counted."},
    {.name = "split",
     .type = LAM_OPTION_ENUM,
     .dflt = "message",
     .values = "message|lines",
     .sentence = "What a record is: a message, or each line of it."},
    {.name = "max.message.size",
     .type = LAM_OPTION_SIZE,
     .dflt = "64 MiB",
     .min = 1,
     .max = (1 << 30) - 1,
     .sentence = "Bytes of a message; a longer one ends the connection (1009)."},
    {.name = "ping.interval.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "30 s",
     .min = 0,
     .max = 24 * HOUR,
     .sentence = "After so long without a word the other side is asked whether it is there; 0: never."},
    {.name = "ping.timeout.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "10 s",
     .min = 10000,
     .max = HOUR,
     .sentence = "How long it may take to answer that, to take a byte of what is sent to it, or to close."},
    {.name = "event.time.field", .type = LAM_OPTION_TEXT, .sentence = "Refused: say WATERMARK FOR column instead."},
    {.name = "event.time.format", .type = LAM_OPTION_TEXT, .sentence = "Refused: see epoch.unit of the format json."},
};

const struct lam_source_class websocket_source = {
    .size = sizeof websocket_source,
    .name = "websocket",
    .aliases = (const char *const[]){"ws", NULL},
    .sentence = "Reads messages of a WebSocket: of a server that it connects to, or of clients that connect to it.",
    .payload = LAM_RECORDS,
    .instance_size = sizeof(struct reading),
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .option_size = sizeof options[0],
    .default_format = "json",
    .bounded = read_bounded,
    .open = read_open,
    .poll_records = read_poll,
    .wait = read_wait,
    .close = read_close,
    .metadata = inbox_columns,
    .n_metadata = INBOX_COLUMNS,
    .metadata_size = sizeof inbox_columns[0],
    .serve = read_serve,
};
