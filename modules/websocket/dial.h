/* An outgoing connection: libcurl finds the address, connects, goes through a proxy and speaks TLS; the WebSocket in it
 * is ours (peer.h). No call waits. What fails is said and left to who dials, which decides whether to try again.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_DIAL_H
#define WEBSOCKET_DIAL_H

#include "answer.h"
#include "peer.h"
#include "url.h"

#include <curl/curl.h>

enum dial_state {
    DIAL_DOWN, /* see `code` and `why`, if it was started */
    DIAL_CONNECTING,
    DIAL_ASKING, /* the request for the WebSocket is sent, its answer awaited */
    DIAL_OPEN,
};

enum { DIAL_WHY = 400 };

struct dial {
    struct lam_io *io;
    struct url url;
    struct peer_rules rules;
    struct inbox *inbox; /* for messages; NULL: they are thrown away */
    void (*opened)(struct dial *d, int64_t now); /* may send; NULL: nothing to do */
    int64_t connect_us;
    CURLM *multi;
    CURL *easy;
    curl_socket_t socket;
    int epoll;       /* of curl's descriptors, then of the connection's; -1: none */
    uint32_t events; /* of the connection, that epoll looks for */
    int64_t timer_at; /* curl's */
    int64_t deadline; /* of connecting and asking */
    enum dial_state state;
    struct buffer request, answer;
    struct answer_wanted wanted;
    struct peer peer;
    uint64_t connections; /* that were open */
    int64_t opened_at;
    /* of the last connection, or try: */
    uint64_t taken; /* DOWN: bytes of what was offered that the system had taken */
    bool was_open;
    bool is_final; /* the same would come of trying again */
    uint16_t code; /* of the server's close frame; 0: none came */
    int64_t retry_after_us;
    char why[DIAL_WHY];
    char curl_says[CURL_ERROR_SIZE];
};

#define DIAL_HOUR (3600 * (int64_t)1000000)

/* Options of everything that dials. */
#define DIAL_OPTIONS                                                                                                   \
    {.name = "url", .type = LAM_OPTION_TEXT, .sentence = "Client: server to connect to, ws:// or wss://."},            \
        {.name = "headers",                                                                                            \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_SECRET,                                                                                   \
         .sentence = "Client: more headers of the request, as Name: value, one on each line."},                        \
        {.name = "origin", .type = LAM_OPTION_TEXT, .sentence = "Client: the header Origin, for servers that want one."}, \
        {.name = "subprotocol",                                                                                        \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "Client: subprotocol to ask for; a server that does not speak it is left."},                      \
        {.name = "auth.type",                                                                                          \
         .type = LAM_OPTION_ENUM,                                                                                      \
         .values = "bearer|basic|hmac",                                                                                \
         .sentence = "How to log in, and for a server, what those who connect must show: the token, or user and password, " \
                     "in the header Authorization; hmac (client): X-API-Key, X-Timestamp and X-Signature; unset: nothing."}, \
        {.name = "auth.token", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_SECRET, .sentence = "Token of bearer."}, \
        {.name = "auth.username", .type = LAM_OPTION_TEXT, .sentence = "User of basic."},                      \
        {.name = "auth.password",                                                                                      \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_SECRET,                                                                                   \
         .sentence = "Password of basic."},                                                                    \
        {.name = "auth.api.key", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_SECRET, .sentence = "Client: key of hmac."}, \
        {.name = "auth.secret",                                                                                        \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_SECRET,                                                                                   \
         .sentence = "Client: what hmac signs with: SHA-256 over the time in milliseconds, GET, and path and query."}, \
        {.name = "ssl.ca.location",                                                                                    \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "Client: file of certificates that the server's is judged by; unset: those of the system."},      \
        {.name = "ssl.certificate.location",                                                                           \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "Client: file with the certificate to show to the server."},                                      \
        {.name = "ssl.key.location", .type = LAM_OPTION_TEXT, .sentence = "Client: file with the key of that certificate."}, \
        {.name = "proxy",                                                                                              \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_SECRET,                                                                                   \
         .sentence = "Client: proxy to go through, http://host:port or socks5h://host:port; unset: none."},            \
        {.name = "connect.timeout.ms",                                                                                 \
         .type = LAM_OPTION_DURATION,                                                                                  \
         .dflt = "10 s",                                                                                               \
         .min = 10000,                                                                                                 \
         .max = DIAL_HOUR,                                                                                             \
         .sentence = "Client: how long connecting may take, up to the server's answer."}

/* By the options of io. OK or OPTION; rules are the caller's. */
int dial_init(struct dial *d, struct lam_io *io, struct lam_error *err);
void dial_start(struct dial *d, int64_t now);
void dial_step(struct dial *d, int64_t now); /* as far as it goes without waiting */
int dial_wait(const struct dial *d, struct pollfd *fds, int max, int64_t *at);
void dial_hang_up(struct dial *d, uint16_t code, const char *reason, int64_t now);
void dial_done(struct dial *d);

#endif
