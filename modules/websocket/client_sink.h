/* The sink in mode client: records go out by one connection. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_CLIENT_SINK_H
#define WEBSOCKET_CLIENT_SINK_H

#include "dial.h"

struct sent_frame {
    size_t n;         /* bytes of its payload, in client_sink.bytes */
    uint64_t records; /* in it */
    uint64_t end;     /* of its bytes among all that the connection was given; 0: it has not been given to it */
};

struct client_sink {
    struct lam_io *io;
    struct dial dial;
    uint8_t opcode;
    uint32_t batch;      /* records of a frame, at most */
    int64_t interval_us; /* that a frame waits for more */
    struct buffer bytes; /* payloads of frames, and behind them of the one that is being filled */
    size_t filling;      /* bytes of that one */
    uint32_t filled;     /* its records */
    int64_t fill_by;     /* when it goes; 0: it is empty */
    struct sent_frame *frames;
    uint32_t from, n, cap; /* [from, n): not wholly sent */
    uint64_t sent;     /* records that the connection has taken whole, all in all */
    uint64_t answered; /* of those, that came before a pong, or were given up */
    uint64_t doubtful; /* that may be lost */
    uint64_t frames_sent;
    uint32_t ping;     /* of the flush under way; 0: none */
    uint64_t asked;    /* records that it is about */
    bool was_open;     /* once */
};

#endif
