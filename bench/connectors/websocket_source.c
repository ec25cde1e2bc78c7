/* The WebSocket source beside a bare loop: the same messages from another process, read by libcurl and wslay alone and
 * counted, or by a database into a sink that keeps nothing. websocket_source [ROUNDS [MESSAGES]]: lines of JSON, messages a
 * second of the reading process's CPU time. LAMINAR_MODULES says where the module is. SPDX-License-Identifier:
 * Apache-2.0 */
#include <laminar.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wslay/wslay.h>

enum { MESSAGE = 100, FRAME = MESSAGE + 2, BLOCK = 640 };

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static double cpu_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- who sends: the same block of frames again and again, then 1000 */

/* SHA-1 and base64 of the answer are openssl's, as a program's would be. */
static void answer(int fd)
{
    char request[4096], text[128], accept[64], head[256];
    unsigned char sum[20];
    size_t n = 0;
    ssize_t k;
    while (n < sizeof request - 1 && (k = recv(fd, request + n, sizeof request - 1 - n, 0)) > 0) {
        request[n += (size_t)k] = 0;
        if (strstr(request, "\r\n\r\n")) break;
    }
    const char *key = strcasestr(request, "Sec-WebSocket-Key: ");
    must(key, "no key");
    int length = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + strlen("Sec-WebSocket-Key: "));
    SHA1((unsigned char *)text, (size_t)length, sum);
    EVP_EncodeBlock((unsigned char *)accept, sum, 20);
    length = snprintf(head, sizeof head,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    must(send(fd, head, (size_t)length, MSG_NOSIGNAL) == length, "answer");
}

static void send_all(int fd, const char *p, size_t n)
{
    for (ssize_t k; n; p += k, n -= (size_t)k)
        if ((k = send(fd, p, n, MSG_NOSIGNAL)) <= 0) return;
}

static void serve(int listener, int messages)
{
    static char block[BLOCK * FRAME];
    for (int i = 0; i < BLOCK; i++) {
        char *p = block + i * FRAME;
        p[0] = (char)0x81, p[1] = MESSAGE;
        memset(p + 2, ' ', MESSAGE);
        int n = snprintf(p + 2, MESSAGE, "{\"symbol\":\"S%03d\",\"price\":%d.25,\"size\":%d,\"ts\":1763724000%03d", i % 500, 100 + i % 50, i, i);
        p[2 + n] = ' ', p[2 + MESSAGE - 1] = '}';
    }
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) {
        char rest[256];
        answer(fd);
        for (int left = messages; left; left -= left < BLOCK ? left : BLOCK)
            send_all(fd, block, (size_t)(left < BLOCK ? left : BLOCK) * FRAME);
        send_all(fd, "\x88\x02\x03\xe8", 4);
        while (recv(fd, rest, sizeof rest, 0) > 0) {
        }
    }
    _exit(0);
}

/* ---- the bare loop */

struct bare {
    CURL *curl;
    curl_socket_t fd;
    uint64_t messages, bytes;
};

static ssize_t take(wslay_event_context_ptr ctx, uint8_t *to, size_t n, int flags, void *of)
{
    struct bare *b = of;
    size_t got = 0;
    (void)flags;
    CURLcode e = curl_easy_recv(b->curl, to, n, &got);
    if (!e && got) return (ssize_t)got;
    wslay_event_set_error(ctx, e == CURLE_AGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}
static ssize_t put(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags, void *of)
{
    struct bare *b = of;
    size_t sent = 0;
    (void)flags, (void)ctx;
    curl_easy_send(b->curl, p, n, &sent);
    return (ssize_t)sent;
}
static int mask(wslay_event_context_ptr ctx, uint8_t *to, size_t n, void *of)
{
    (void)ctx, (void)of;
    memset(to, 7, n);
    return 0;
}
static void came(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *of)
{
    struct bare *b = of;
    (void)ctx;
    b->messages += m->opcode == WSLAY_TEXT_FRAME;
    b->bytes += m->msg_length;
}

static double bare(int port, int messages)
{
    static const char ask[] = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const struct wslay_event_callbacks calls = {.recv_callback = take, .send_callback = put, .genmask_callback = mask, .on_msg_recv_callback = came};
    char url[64], head[1];
    size_t n, end = 0;
    struct bare b = {.curl = curl_easy_init()};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    curl_easy_setopt(b.curl, CURLOPT_URL, url);
    curl_easy_setopt(b.curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(b.curl, CURLOPT_PROXY, "");
    must(!curl_easy_perform(b.curl), "connect");
    curl_easy_getinfo(b.curl, CURLINFO_ACTIVESOCKET, &b.fd);
    struct pollfd fd = {.fd = b.fd, .events = POLLIN};
    curl_easy_send(b.curl, ask, sizeof ask - 1, &n);
    while (end < 4) { /* byte by byte, so that no frame is taken along */
        CURLcode e = curl_easy_recv(b.curl, head, 1, &n);
        if (e == CURLE_AGAIN) {
            poll(&fd, 1, -1);
            continue;
        }
        must(!e && n, "answer");
        end = head[0] == "\r\n\r\n"[end] ? end + 1 : head[0] == '\r';
    }
    double began = cpu_now();
    wslay_event_context_ptr ctx;
    wslay_event_context_client_init(&ctx, &calls, &b);
    while (wslay_event_get_read_enabled(ctx)) {
        if (wslay_event_recv(ctx)) break;
        if (wslay_event_get_read_enabled(ctx)) poll(&fd, 1, -1);
    }
    wslay_event_send(ctx);
    double took = cpu_now() - began;
    must(b.messages == (uint64_t)messages, "messages are missing");
    wslay_event_context_free(ctx);
    curl_easy_cleanup(b.curl);
    return messages / took;
}

/* ---- the source */

static double source(int port, int messages, const char *columns, const char *format)
{
    struct lam_db *db;
    struct lam_session *s;
    char sql[1024];
    must(!lam_open(NULL, NULL, &db) && !lam_session_open(db, &s), "open");
    snprintf(sql, sizeof sql,
             "CREATE SOURCE s (%s) FROM WEBSOCKET (url = 'ws://127.0.0.1:%d/', reconnect.enabled = false, format = '%s');"
             "CREATE SINK o FROM s INTO BLACKHOLE;",
             columns, port, format);
    double began = cpu_now();
    if (lam_execute(s, sql, NULL) || lam_wait(db, s, 600000000)) {
        fprintf(stderr, "%s\n", lam_errmsg(s));
        exit(1);
    }
    double took = cpu_now() - began;
    lam_session_close(s);
    lam_close(db, 10000000);
    return messages / took;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 5, messages = argc > 2 ? atoi(argv[2]) : 2000000;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(!bind(listener, (struct sockaddr *)&a, n) && !listen(listener, 8) && !getsockname(listener, (struct sockaddr *)&a, &n), "listen");
    pid_t sender = fork();
    if (!sender) serve(listener, messages);
    int port = ntohs(a.sin_port);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (int i = 0; i < rounds; i++) {
        double alone = bare(port, messages), raw = source(port, messages, "b BLOB", "raw");
        double json = source(port, messages, "symbol VARCHAR, price DOUBLE, size BIGINT, ts BIGINT", "json");
        printf("{\"round\":%d,\"bare\":%.0f,\"raw\":%.0f,\"json\":%.0f,\"raw_to_bare\":%.2f,\"json_to_bare\":%.2f}\n", i, alone, raw, json, raw / alone,
               json / alone);
        fflush(stdout);
    }
    kill(sender, SIGKILL);
    waitpid(sender, NULL, 0);
    return 0;
}
