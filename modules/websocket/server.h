/* A listening socket and its clients, behind one descriptor. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_SERVER_H
#define WEBSOCKET_SERVER_H

#include "client.h"
#include "guard.h"
#include "history.h"
#include "view.h"

struct server_settings {
    const char *address;
    struct handshake_rules rules;
    const char *format; /* of the values it is given */
    bool is_bare;       /* frames have no envelope, whatever their format */
    bool must_subscribe;
    bool deflates;
    uint32_t batch; /* records of a frame at most */
    uint32_t max_clients, backlog, max_views;
    uint32_t max_subscriptions, message_rate; /* of a client; frames a second, 0: any number */
    uint64_t client_bytes, replay_bytes, message_bytes;
    enum policy policy;
    int64_t handshake_us, ping_us, pong_us, drain_us, filter_us;
};

struct server {
    struct lam_io *io;
    struct server_settings set;
    struct guard guard;
    char name[128];      /* ws://address:port/path */
    int epoll, listener; /* -1: none */
    bool listens;        /* the listener is in epoll */
    struct client **clients;
    uint32_t n_clients, cap_clients, numbers;
    uint64_t first, next; /* sequences: of the first record, and of the one to come */
    struct view *all;     /* number 0 */
    struct view **views;  /* that are subscribed to */
    uint32_t n_views, cap_views, view_numbers;
    struct queue replay; /* frames of `all` */
    struct history history;
    struct deflater *deflater; /* NULL: nothing is compressed */
    uint64_t under_way;        /* bytes of messages that have not come whole */
    int64_t tick_at, tick_us;
    int64_t drain_by;     /* of the flush under way; 0: none */
    struct counts counts; /* of clients that are gone */
    uint64_t refused, opened, evicted, timed_out;
};

int server_open(struct server *s, struct lam_error *err);
void server_serve(struct server *s);
void server_write(struct server *s, const struct lam_values *v, const struct lam_rows *rows, int64_t n);
bool server_drain(struct server *s); /* false: there is more to be sent, and time for it */
int64_t server_wakes(const struct server *s);
void server_close(struct server *s);

/* For clients and views. */
void server_watch(struct server *s, struct client *c);
void server_keep(struct server *s, struct segment *g); /* for those who come back */
void server_replay(struct server *s, struct client *c, uint64_t after);
void server_add_view(struct server *s, struct view *v);
void server_drop_view(struct server *s, struct view *v); /* which has no members */

#endif
