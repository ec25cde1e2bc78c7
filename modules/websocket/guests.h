/* The source in mode server: whoever connects sends messages. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_GUESTS_H
#define WEBSOCKET_GUESTS_H

#include "guard.h"
#include "listener.h"
#include "peer.h"

struct guests_settings {
    struct listening listening;
    struct handshake_rules rules;
    uint32_t max;
    int64_t handshake_us;
    bool acks;
};

enum guest_state {
    GUEST_ASKING,
    GUEST_OPEN,
    GUEST_REFUSED, /* gets its answer, then what it sends is thrown away until it hangs up: else the answer might be lost */
    GUEST_DEAD,
};

struct guest {
    struct guests *host;
    struct wire wire;
    uint64_t number; /* of the connection, from 1 as they came */
    enum guest_state state;
    int64_t deadline; /* of the request, or of hanging up */
    uint32_t events;  /* what epoll looks for */
    struct buffer request, answer;
    struct peer peer;
    uint64_t taken, acked; /* messages */
};

struct guests {
    struct lam_io *io;
    struct guests_settings set;
    struct peer_rules rules;
    struct guard guard;
    struct inbox inbox;
    char name[LISTENER_NAME];
    int listener, epoll; /* -1: none */
    bool listens;
    struct guest **all; /* ordered by number */
    uint32_t n, cap;
    uint64_t numbers, refused, timed_out, broken;
    uint64_t under_way; /* bytes of messages that have not come whole */
    int64_t tick_at, tick_us;
};

int guests_open(struct guests *g, struct lam_io *io, struct lam_error *err);
void guests_step(struct guests *g, int64_t now);
int guests_poll(struct guests *g, int64_t now, struct lam_records *out);
int guests_wait(const struct guests *g, struct pollfd *fds, int max, int64_t *at);
void guests_close(struct guests *g);

#endif
