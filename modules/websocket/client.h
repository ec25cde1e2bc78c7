/* One connection: its request, then frames both ways. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_CLIENT_H
#define WEBSOCKET_CLIENT_H

#include "handshake.h"
#include "message.h"
#include "queue.h"
#include "wire.h"

#include <wslay/wslay.h>

struct view;

enum policy { DROP_OLDEST, DROP_NEWEST, DISCONNECT };

enum client_state {
    CLIENT_ASKING, /* its request is read */
    CLIENT_OPEN,
    CLIENT_CLOSING, /* a close frame is queued or sent: no more records */
    CLIENT_REFUSED, /* gets its answer, then what it sends is thrown away until it hangs up: else the answer might be
                       lost */
    CLIENT_DEAD,
};

struct counts {
    uint64_t offered, sent, sent_frames, dropped,
        left;          /* records but for frames: offered = sent + dropped + left, once it is closed */
    uint64_t messages; /* that it sent */
};

/* So much of something for each second, and as much at once. */
struct rate {
    int64_t credit_us, at;
};

enum { CLIENT_OUT = 1024 }; /* of control frames and answers; while it is not empty, nothing is read from the client */

struct client {
    struct server *server;
    uint32_t number; /* in the order they came */
    uint32_t place;  /* at the server */
    struct wire wire;
    enum client_state state;
    bool is_full;     /* DROP_NEWEST: takes nothing before half of its buffer is free */
    bool is_gone;     /* it hung up, or its connection broke */
    bool is_broken;   /* what it sends is no frame: it was told, and is not listened to */
    bool is_shut;     /* the answer that refuses it is out */
    bool polls_out;   /* the socket took less than it was offered */
    bool deflates;    /* agreed on permessage-deflate */
    bool subscribes;  /* has said which records it wants */
    uint32_t events;  /* what epoll looks for */
    int64_t now;      /* of the call under way */
    int64_t deadline; /* of the request, of the last answer, or of hanging up */
    int64_t ping_at;  /* the next one */
    int64_t pong_by;  /* 0: none is due */
    char *in;         /* the request and what came with it */
    size_t n_in, from_in, cap_in;
    char out[CLIENT_OUT];
    size_t n_out, sent_out;
    wslay_event_context_ptr frames; /* what it sends */
    struct message message;
    size_t budget; /* bytes to be read in this turn */
    struct rate frame_rate, subscribe_rate;
    struct membership {
        struct view *view;
        uint32_t place; /* among the view's members */
    } * views;
    uint32_t n_views, cap_views;
    struct queue queue;
    uint64_t told_dropped; /* records whose loss it was told of */
    struct counts counts;
};

struct client *client_new(struct server *s, int fd, int64_t now);
void client_ready(struct client *c, bool in, int64_t now); /* its socket is */
void client_write(struct client *c); /* what is queued, as far as the socket takes it */
void client_offer(struct client *c, struct segment *s, int64_t now);
void client_keep(struct client *c, struct segment *s); /* records of the past: queued without a judgement */
void client_tick(struct client *c, int64_t now);
void client_say(struct client *c, const char *text); /* a message of the protocol */
void client_close(struct client *c, uint16_t code, const char *reason, int64_t now);
bool client_is_drained(const struct client *c);
void client_free(struct client *c);
bool rate_take(struct rate *r, int64_t per_second, int64_t now); /* false: there were too many. per_second 0: no limit */

/* Which views it has. */
void client_join(struct client *c, struct view *v);
void client_leave(struct client *c, struct view *v); /* a view that is subscribed to and has nobody left ends with it */
void client_moved(struct client *c, const struct view *v, uint32_t place);

#endif
