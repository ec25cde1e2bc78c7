/* See dial.h. SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include "auth.h"
#include "handshake.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 4096

/* ---- failing */

static void release(struct dial *d)
{
    if (d->peer.io) d->taken = d->peer.offered - buffer_left(&d->peer.out);
    peer_done(&d->peer);
    if (d->easy) {
        curl_multi_remove_handle(d->multi, d->easy);
        curl_easy_cleanup(d->easy);
    }
    d->easy = NULL;
    d->socket = CURL_SOCKET_BAD;
    d->events = 0;
    d->timer_at = INT64_MAX;
    if (d->request.p) OPENSSL_cleanse(d->request.p, d->request.cap); /* it may hold a secret */
    buffer_done(&d->request, d->io);
    buffer_done(&d->answer, d->io);
    d->state = DIAL_DOWN;
}

static void fail(struct dial *d, bool is_final, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fail(struct dial *d, bool is_final, const char *fmt, ...)
{
    char text[DIAL_WHY - 10];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127) *p = '?';
    snprintf(d->why, sizeof d->why, "%s", text);
    d->is_final = is_final;
    release(d);
}

/* ---- curl */

static int watch_socket(CURL *easy, curl_socket_t s, int what, void *of, void *known)
{
    (void)easy;
    struct dial *d = of;
    struct epoll_event e = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0),
                            .data.fd = s};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(d->epoll, EPOLL_CTL_DEL, s, &e);
        return 0;
    }
    epoll_ctl(d->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s, &e);
    curl_multi_assign(d->multi, s, d);
    return 0;
}

static int set_timer(CURLM *multi, long ms, void *of)
{
    (void)multi;
    struct dial *d = of;
    d->timer_at = ms < 0 ? INT64_MAX : d->io->host->now(d->io) + (int64_t)ms * 1000;
    return 0;
}

/* What is to be sent may have moved when OpenSSL asks for it again. */
static CURLcode set_tls(CURL *easy, void *ctx, void *of)
{
    (void)easy, (void)of;
    SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
    return CURLE_OK;
}

static curl_socket_t open_socket(void *of, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)of, (void)purpose;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static void set_file(struct dial *d, CURLoption what, const char *option)
{
    const char *path = d->io->host->option_text(d->io->options, option);
    if (path) curl_easy_setopt(d->easy, what, path);
}

static bool set_up(struct dial *d)
{
    const char *proxy = d->io->host->option_text(d->io->options, "proxy");
    CURL *e = d->easy = curl_easy_init();
    if (!e) return false;
    curl_easy_setopt(e, CURLOPT_URL, d->url.connect);
    curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a resolver that hangs does not keep us */
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(d->connect_us / 1000));
    curl_easy_setopt(e, CURLOPT_PROXY, proxy ? proxy : "");
    curl_easy_setopt(e, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, set_tls);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, d->curl_says);
    set_file(d, CURLOPT_CAINFO, "ssl.ca.location");
    set_file(d, CURLOPT_SSLCERT, "ssl.certificate.location");
    set_file(d, CURLOPT_SSLKEY, "ssl.key.location");
    d->curl_says[0] = 0;
    return !curl_multi_add_handle(d->multi, e);
}

/* What connecting failed with, and whether it would again: files that are not there, a certificate that is no good. */
static void fail_by_curl(struct dial *d, CURLcode e)
{
    bool is_final = e == CURLE_PEER_FAILED_VERIFICATION || e == CURLE_SSL_CACERT_BADFILE || e == CURLE_SSL_CERTPROBLEM ||
                    e == CURLE_SSL_ISSUER_ERROR || e == CURLE_UNSUPPORTED_PROTOCOL || e == CURLE_URL_MALFORMAT;
    fail(d, is_final, "cannot connect to %s: %s", d->url.name, d->curl_says[0] ? d->curl_says : curl_easy_strerror(e));
}

/* ---- the request */

static void put(struct dial *d, const char *text)
{
    buffer_put(&d->request, d->io, text, strlen(text));
}

static void put_line(struct dial *d, const char *name, const char *value)
{
    if (!value) return;
    put(d, name);
    put(d, ": ");
    put(d, value);
    put(d, "\r\n");
}

static const char *option(const struct dial *d, const char *name)
{
    return d->io->host->option_text(d->io->options, name);
}

/* Lines of the option headers end with a newline, those of HTTP with two characters. */
static void put_headers(struct dial *d)
{
    const char *p = option(d, "headers");
    while (p && *p) {
        size_t n = strcspn(p, "\r\n");
        if (n) buffer_put(&d->request, d->io, p, n), put(d, "\r\n");
        p += n + (p[n] != 0);
    }
}

static void draw_key(struct dial *d, char key[32])
{
    uint64_t bits[2] = {d->io->host->random(d->io), d->io->host->random(d->io)};
    EVP_EncodeBlock((unsigned char *)key, (const unsigned char *)bits, sizeof bits);
    handshake_accept(key, d->wanted.accept);
}

static void ask(struct dial *d)
{
    char key[32];
    draw_key(d, key);
    d->wanted.subprotocol = option(d, "subprotocol");
    put(d, "GET ");
    put(d, d->url.target);
    put(d, " HTTP/1.1\r\n");
    put_line(d, "Host", d->url.host);
    put(d, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
    put_line(d, "Sec-WebSocket-Key", key);
    put_line(d, "Sec-WebSocket-Protocol", d->wanted.subprotocol);
    put_line(d, "Origin", option(d, "origin"));
    auth_put(d->io, d->url.target, &d->request);
    put_headers(d);
    put(d, "\r\n");
    d->state = DIAL_ASKING;
}

/* ---- bytes */

static ssize_t as_errno(CURLcode e, size_t n)
{
    if (!e) return (ssize_t)n;
    errno = e == CURLE_AGAIN ? EAGAIN : ECONNRESET;
    return -1;
}

static ssize_t receive(void *of, void *to, size_t n)
{
    size_t got = 0;
    CURLcode e = curl_easy_recv(((struct dial *)of)->easy, to, n, &got);
    return as_errno(e, got);
}

static ssize_t send_out(void *of, const void *p, size_t n)
{
    size_t sent = 0;
    CURLcode e = curl_easy_send(((struct dial *)of)->easy, p, n, &sent);
    return as_errno(!e && !sent ? CURLE_AGAIN : e, sent);
}

static const struct peer_carrier carrier = {receive, send_out};

static void watch(struct dial *d)
{
    bool asking = d->state == DIAL_ASKING;
    bool reads = asking || peer_is_listening(&d->peer) || d->peer.state == PEER_CLOSING;
    bool writes = asking ? buffer_left(&d->request) > 0 : d->peer.polls_out;
    uint32_t events = (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0);
    struct epoll_event e = {.events = events, .data.fd = d->socket};
    if (events == d->events) return;
    if (!events) /* or a connection that broke would be told of again and again */
        epoll_ctl(d->epoll, EPOLL_CTL_DEL, d->socket, NULL);
    else if (epoll_ctl(d->epoll, EPOLL_CTL_MOD, d->socket, &e)) epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->socket, &e);
    d->events = events;
}

/* ---- steps */

static void connected(struct dial *d, CURLcode e)
{
    if (e || curl_easy_getinfo(d->easy, CURLINFO_ACTIVESOCKET, &d->socket) || d->socket == CURL_SOCKET_BAD)
        fail_by_curl(d, e);
    else
        ask(d);
}

static void go_on_connecting(struct dial *d, int64_t now)
{
    struct epoll_event e[8];
    int left, n = epoll_wait(d->epoll, e, 8, 0);
    for (int i = 0; i < n; i++) {
        int what = (e[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (e[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (e[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(d->multi, e[i].data.fd, what, &left);
    }
    if (now >= d->timer_at) {
        d->timer_at = INT64_MAX;
        curl_multi_socket_action(d->multi, CURL_SOCKET_TIMEOUT, 0, &left);
    }
    const CURLMsg *m = curl_multi_info_read(d->multi, &left);
    if (m && m->msg == CURLMSG_DONE) connected(d, m->data.result);
}

static void answered(struct dial *d, const struct answer *a, int64_t now)
{
    if (!a->is_open) {
        bool passes = !a->status || a->status >= 500 || a->status == 408 || a->status == 425 || a->status == 429;
        d->retry_after_us = a->retry_after_s * 1000000;
        if (a->status)
            fail(d, !passes, "%s answers %d: %s", d->url.name, a->status, a->why);
        else
            fail(d, false, "%s: %s", d->url.name, a->why);
        return;
    }
    d->peer = (struct peer){.io = d->io, .rules = &d->rules, .carrier = &carrier, .of = d, .inbox = d->inbox,
                            .number = ++d->connections};
    if (!peer_open(&d->peer, d->answer.p + a->used, d->answer.n - a->used, now)) {
        fail(d, false, "there is no memory for frames of %s", d->url.name);
        return;
    }
    if (d->request.p) OPENSSL_cleanse(d->request.p, d->request.cap);
    buffer_done(&d->request, d->io);
    buffer_done(&d->answer, d->io);
    d->state = DIAL_OPEN;
    d->was_open = true;
    d->opened_at = now;
    d->io->host->log(d->io, d->connections == 1 ? 2 : 3, "connected to %s", d->url.name);
    if (d->opened) d->opened(d, now);
}

static void go_on_asking(struct dial *d, int64_t now)
{
    ssize_t k = 0;
    while (buffer_left(&d->request) &&
           (k = send_out(d, d->request.p + d->request.from, buffer_left(&d->request))) > 0)
        d->request.from += (size_t)k;
    struct answer a;
    bool done = false;
    while (!done && (k = receive(d, buffer_room(&d->answer, d->io, READ_BYTES), READ_BYTES)) > 0) {
        d->answer.n += (size_t)k;
        done = answer_read(&d->wanted, d->answer.p, d->answer.n, &a);
    }
    if (done)
        answered(d, &a, now);
    else if (k == 0 || errno != EAGAIN)
        fail(d, false, "%s hung up before it answered", d->url.name);
}

/* Codes by which a server says that we do what it never takes. */
static bool is_final_code(uint16_t code)
{
    return code == 1002 || code == 1003 || code == 1007 || code == 1010;
}

static void go_on_talking(struct dial *d, int64_t now)
{
    struct peer *p = &d->peer;
    peer_read(p, now);
    peer_tick(p, now);
    peer_write(p, now);
    if (p->state != PEER_DEAD) return;
    d->code = p->code;
    if (p->code)
        fail(d, is_final_code(p->code), "%s closed the connection: %u%s%s", d->url.name, p->code, p->reason[0] ? " " : "",
             p->reason);
    else
        fail(d, false, "the connection to %s is lost: %s", d->url.name, p->reason);
}

void dial_step(struct dial *d, int64_t now)
{
    if (d->state == DIAL_CONNECTING) go_on_connecting(d, now);
    if (d->state == DIAL_ASKING) go_on_asking(d, now);
    if ((d->state == DIAL_CONNECTING || d->state == DIAL_ASKING) && now >= d->deadline)
        fail(d, false, "%s did not answer within connect.timeout.ms", d->url.name);
    if (d->state == DIAL_OPEN) go_on_talking(d, now);
    if (d->state >= DIAL_ASKING) watch(d);
}

void dial_start(struct dial *d, int64_t now)
{
    d->was_open = d->is_final = false;
    d->code = 0;
    d->retry_after_us = 0;
    d->why[0] = 0;
    d->deadline = now + d->connect_us;
    d->state = DIAL_CONNECTING;
    if (!set_up(d))
        fail(d, false, "cannot connect to %s: there is no memory", d->url.name);
    else
        dial_step(d, now);
}

int dial_wait(const struct dial *d, struct pollfd *fds, int max, int64_t *at)
{
    int64_t until = d->state == DIAL_OPEN ? peer_wakes(&d->peer) : d->deadline;
    if (d->state == DIAL_DOWN) return 0;
    if (d->state == DIAL_CONNECTING && d->timer_at < until) until = d->timer_at;
    if (until < *at) *at = until;
    if (!max) return 0;
    fds[0] = (struct pollfd){.fd = d->epoll, .events = POLLIN};
    return 1;
}

void dial_hang_up(struct dial *d, uint16_t code, const char *reason, int64_t now)
{
    if (d->state == DIAL_OPEN) {
        peer_close(&d->peer, code, reason, now);
        peer_write(&d->peer, now);
        if (d->peer.state != PEER_DEAD) peer_read(&d->peer, now); /* what lies there unread would take our last bytes back */
    }
    release(d);
}

/* ---- options */

static bool is_ours(const char *name, size_t n)
{
    static const char *const ours[] = {"host",    "upgrade",           "connection",        "content-length",
                                       "transfer-encoding", "sec-websocket-key", "sec-websocket-version",
                                       "sec-websocket-protocol", "sec-websocket-extensions", NULL};
    for (const char *const *s = ours; *s; s++)
        if (strlen(*s) == n && !strncasecmp(*s, name, n)) return true;
    return false;
}

static bool is_header(const char *p, size_t n)
{
    size_t name = 0;
    while (name < n && (strchr("-_.!#$%&'*+^`|~", p[name]) || (p[name] >= '0' && p[name] <= '9') ||
                        ((p[name] | 32) >= 'a' && (p[name] | 32) <= 'z')))
        name++;
    if (!name || name == n || p[name] != ':' || is_ours(p, name)) return false;
    for (size_t i = name; i < n; i++)
        if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == 127) return false;
    return true;
}

static int check_headers(struct dial *d, struct lam_error *err)
{
    const struct lam_host *h = d->io->host;
    int line = 1;
    for (const char *p = option(d, "headers"); p && *p; line++) {
        size_t n = strcspn(p, "\r\n");
        if (n && !is_header(p, n)) {
            h->fail(err, LAM_IO_OPTION, "line %d of the headers of %s is no header that could be added", line, d->io->name);
            h->hint(err, "each line is Name: value; those that open a WebSocket are there already");
            return LAM_IO_OPTION;
        }
        p += n + (p[n] != 0);
    }
    static const char *const texts[] = {"origin", "subprotocol"};
    for (int i = 0; i < 2; i++)
        for (const char *p = option(d, texts[i]); p && *p; p++)
            if ((unsigned char)*p < '!' || *p == 127 || (i && strchr(",;\"", *p)))
                return h->fail(err, LAM_IO_OPTION, "%s of %s holds a character that no header may", texts[i], d->io->name);
    return LAM_IO_OK;
}

static int check_files(struct dial *d, struct lam_error *err)
{
    static const char *const files[] = {"ssl.ca.location", "ssl.certificate.location", "ssl.key.location"};
    for (int i = 0; i < 3; i++) {
        const char *path = option(d, files[i]);
        if (path && access(path, R_OK))
            return d->io->host->fail(err, LAM_IO_OPTION, "%s of %s: %s: %s", files[i], d->io->name, path, strerror(errno));
    }
    return LAM_IO_OK;
}

static void warn_of_plain(const struct dial *d)
{
    bool secret = option(d, "auth.type") || option(d, "headers");
    bool near = !strncmp(d->url.host, "127.", 4) || !strncmp(d->url.host, "localhost", 9) || !strncmp(d->url.host, "[::1]", 5);
    if (secret && !near && !strncmp(d->url.name, "ws:", 3))
        d->io->host->log(d->io, 1, "%s is not wss://: what it is logged in with can be read on the way", d->url.name);
}

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int dial_init(struct dial *d, struct lam_io *io, struct lam_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    d->io = io;
    d->socket = CURL_SOCKET_BAD;
    d->timer_at = INT64_MAX;
    d->connect_us = io->host->option_int(io->options, "connect.timeout.ms");
    d->multi = curl_multi_init();
    d->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!d->multi || d->epoll < 0) return io->host->fail(err, LAM_IO_CONNECT, "%s cannot connect: %s", io->name, strerror(errno));
    curl_multi_setopt(d->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(d->multi, CURLMOPT_SOCKETDATA, d);
    curl_multi_setopt(d->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(d->multi, CURLMOPT_TIMERDATA, d);
    int result = url_read(io, option(d, "url"), &d->url, err);
    if (!result) result = auth_check(io, err);
    if (!result) result = check_headers(d, err);
    if (!result) result = check_files(d, err);
    if (!result) warn_of_plain(d);
    return result;
}

void dial_done(struct dial *d)
{
    if (!d->io) return;
    release(d);
    curl_multi_cleanup(d->multi);
    if (d->epoll >= 0) close(d->epoll);
    url_done(&d->url, d->io);
}
