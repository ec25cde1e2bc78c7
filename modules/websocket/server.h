/* A listening socket and its clients, behind one descriptor. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_SERVER_H
#define WEBSOCKET_SERVER_H

#include "client.h"

struct server_settings {
    const char *address;
    struct handshake_rules rules;
    struct framing framing;
    uint32_t max_clients, backlog;
    uint64_t client_bytes, replay_bytes, message_bytes;
    enum policy policy;
    int64_t handshake_us, ping_us, pong_us, drain_us;
};

struct server {
    struct lam_io *io;
    struct server_settings set;
    char name[128];      /* ws://address:port/path */
    int epoll, listener; /* -1: none */
    bool listens;        /* the listener is in epoll */
    struct slot {
        struct client *client;
        bool polls_out; /* the client's; here so that those who keep up are found without a look at the others */
    } * clients;
    uint32_t n_clients, cap_clients, numbers;
    uint64_t first, next; /* sequences: of the first record, and of the one to come */
    struct queue replay;
    struct queue late;   /* frames not offered yet to all who take nothing now: that is done by rounds */
    uint32_t late_at;    /* the client whose turn it is */
    uint64_t late_round; /* records before this one were there when the round began: it offers them to all */
    int64_t tick_at, tick_us;
    int64_t drain_by;     /* of the flush under way; 0: none */
    struct counts counts; /* of clients that are gone */
    uint64_t refused, opened, evicted, timed_out;
};

int server_open(struct server *s, struct lam_error *err);
void server_serve(struct server *s);
void server_write(struct server *s, const struct lam_values *v, int64_t n);
bool server_drain(struct server *s); /* false: there is more to be sent, and time for it */
int64_t server_wakes(const struct server *s);
void server_close(struct server *s);

/* For clients. */
void server_catch_up(struct server *s, struct client *c, int64_t now); /* offers it what it was not offered yet */
void server_watch(struct server *s, struct client *c);
void server_replay(struct server *s, struct client *c, const struct handshake *h);

#endif
