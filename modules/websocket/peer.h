/* One end of a WebSocket behind its handshake, a client's or a server's: frames both ways over whatever carries bytes.
 * Messages that come go to an inbox; while that is full nothing is read, and the carrier pushes back.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_PEER_H
#define WEBSOCKET_PEER_H

#include "inbox.h"

#include <sys/types.h>
#include <wslay/wslay.h>

struct peer_rules {
    bool is_client; /* its frames are masked, and those that come are not */
    uint64_t message_bytes;
    int64_t ping_us, pong_us; /* ping_us 0: never */
    uint64_t *pool;           /* bytes of messages under way, shared; NULL: not bounded but by message_bytes */
    uint64_t pool_bytes;
};

/* Give bytes done, 0 at the end, or -1 with errno. */
struct peer_carrier {
    ssize_t (*receive)(void *of, void *to, size_t n);
    ssize_t (*send)(void *of, const void *p, size_t n);
};

enum peer_state {
    PEER_OPEN,
    PEER_CLOSING, /* a close frame is queued or sent, or was received: no more messages */
    PEER_DEAD,    /* nothing is to be done but to free it; see why */
};

enum { PEER_REASON = 128 };

struct peer {
    struct lam_io *io;
    const struct peer_rules *rules;
    const struct peer_carrier *carrier;
    void *of;
    struct inbox *inbox; /* NULL: what comes is counted and thrown away */
    uint64_t number;     /* of the connection */
    enum peer_state state;
    wslay_event_context_ptr frames;
    struct buffer in, out, part; /* part: of the message that is coming */
    const uint8_t *whole;        /* it came in one piece, which is not kept */
    size_t n_whole;
    bool is_part_of_message, is_fin;
    uint8_t bye[125]; /* payload of its close frame */
    size_t n_bye, bye_length;
    bool moved;           /* bytes came */
    size_t budget;        /* bytes that may be read in this turn; then others of the thread have theirs */
    bool has_more;        /* it was used up */
    bool polls_out;       /* the carrier took less than it was offered */
    bool is_broken;       /* what came is no frame, and it is not listened to any more */
    int64_t ping_at;      /* the next one; INT64_MAX: none */
    int64_t life_by;      /* when it is given up if nothing moves; 0: nothing is expected of it */
    uint32_t asked, answered; /* pings, and the last that a pong was for */
    uint64_t mask;        /* random bits left over */
    bool has_mask;
    uint16_t code;        /* of its close frame; 0: none came; 1005: one without code */
    char reason[PEER_REASON]; /* of that frame, printable; or why the connection broke, when code is 0 */
    uint64_t messages;
    uint64_t offered; /* bytes that were put into `out` */
};

/* `more`: what came with the handshake. False: no memory for frames. */
bool peer_open(struct peer *p, const char *more, size_t n, int64_t now);
void peer_read(struct peer *p, int64_t now);
void peer_write(struct peer *p, int64_t now);
void peer_tick(struct peer *p, int64_t now);
int64_t peer_wakes(const struct peer *p);
void peer_send(struct peer *p, uint8_t opcode, const char *payload, size_t n); /* into `out`; peer_write sends it */
uint32_t peer_ask(struct peer *p, int64_t now); /* a ping behind all that was sent; its number */
void peer_close(struct peer *p, uint16_t code, const char *reason, int64_t now);
bool peer_is_listening(const struct peer *p); /* it would read now */
void peer_done(struct peer *p);

static inline bool peer_has_unread(const struct peer *p)
{
    return buffer_left(&p->in) > 0;
}

#endif
