/* See sink.h. SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include "guard.h"
#include "mode.h"

static const struct mode_options modes = {
    .client = (const char *const[]){DIAL_NAMES, "batch.interval.ms", NULL},
    .server = (const char *const[]){"bind.address", "path", "allowed.origins", "envelope", "max.connections", "listen.backlog",
                                    "per.client.buffer", "slow.client.policy", "replay.buffer.size",
                                    "slow.client.threshold.pct", "subscribe", "max.subscriptions", "max.views", "max.filter.time.ms",
                                    "max.message.rate", "compression", GUARD_NAMES, "handshake.timeout.ms", "drain.timeout.ms",
                                    "max.request.size", NULL},
    .refused =
        (const struct refused_option[]){
            {"buffer.on.disconnect", "rows wait in the log of the sink's stream, bounded as its option overflow says"},
            {NULL, NULL}},
};

static const struct sink_calls *calls_of(struct lam_io *io)
{
    return ((struct sink_self *)io->self)->calls;
}

int websocket_sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    struct sink_self *s = io->self;
    enum mode m = mode_of(io->host, io->options, MODE_SERVER);
    int result = s->calls ? LAM_IO_OK : mode_check(io, m, &modes, err);
    if (result) return result;
    s->calls = m == MODE_SERVER ? &server_sink_calls : &client_sink_calls;
    return s->calls->open(io, incarnation, marker, fresh, err);
}

int websocket_sink_write(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows,
                         int64_t *accepted, struct lam_error *err)
{
    return calls_of(io)->write(io, v, rows, accepted, err);
}

int websocket_sink_flush(struct lam_io *io, struct lam_error *err)
{
    return calls_of(io)->flush(io, err);
}

int websocket_sink_serve(struct lam_io *io, struct lam_error *err)
{
    return calls_of(io)->serve(io, err);
}

int websocket_sink_wait(struct lam_io *io, struct pollfd *fds, int max, int64_t *at)
{
    return calls_of(io) ? calls_of(io)->wait(io, fds, max, at) : 0;
}

int websocket_sink_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    return calls_of(io) ? calls_of(io)->close(io, complete, err) : LAM_IO_OK;
}
