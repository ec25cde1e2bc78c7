/* Fan-out of the WebSocket sink beside wslay alone: the same frames to the same number of clients, which another
 * process reads and counts. websocket [ROUNDS]: lines of JSON. Only the CPU time of the sending process counts. Wslay
 * gets all messages of a turn queued and its frames gathered, so that it too makes one system call per client and turn.
 * With the records that leave stands what was allocated for them (ws_encode).
 * websocket stalled [CLIENTS]: how soon a record is with a client that reads, at a server that has so many beside it that
 * do not, and at one that has none; in turns, so that what the machine does at the time falls on both.
 * SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/websocket/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VALUE = 64, RECORDS_MAX = 64 };

static uint64_t allocated;

static void *host_alloc(size_t n)
{
    allocated += n;
    return calloc(1, n);
}
static void *host_resize(void *p, size_t old_n, size_t n)
{
    allocated += n > old_n ? n : 0;
    return realloc(p, n ? n : 1);
}
static void host_account(struct lam_io *io, int64_t bytes)
{
    (void)io, (void)bytes;
}
static void host_log(struct lam_io *io, int level, const char *fmt, ...)
{
    (void)io, (void)level, (void)fmt;
}
static int64_t host_now(struct lam_io *io)
{
    struct timespec t;
    (void)io;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const struct lam_host host = {.size = sizeof host,
                                     .alloc = host_alloc,
                                     .resize = host_resize,
                                     .free = free,
                                     .account = host_account,
                                     .now = host_now,
                                     .wall = host_now,
                                     .log = host_log};

static char values[VALUE * RECORDS_MAX];
static int64_t offsets[RECORDS_MAX + 1];

static void must(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    exit(1);
}

static double cpu_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- who reads: a process that says which bytes all clients got, summed */

static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static int dial(uint16_t port, bool asks)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(!connect(fd, (struct sockaddr *)&a, sizeof a), "connect");
    if (asks) must(send(fd, request, sizeof request - 1, 0) > 0, "send");
    return fd;
}

static void read_all(uint16_t port, int clients, bool asks, int report)
{
    static unsigned char p[1 << 18];
    uint64_t bytes = 0, sum = 0;
    int e = epoll_create1(0), open_clients = clients;
    for (int i = 0; i < clients; i++) {
        int fd = dial(port, asks);
        struct epoll_event on = {.events = EPOLLIN, .data.fd = fd};
        char head[129]; /* the answer is always as long */
        if (asks) must(recv(fd, head, sizeof head, MSG_WAITALL) == sizeof head, "the answer");
        epoll_ctl(e, EPOLL_CTL_ADD, fd, &on);
    }
    must(write(report, &bytes, 8) == 8, "report");
    while (open_clients) {
        struct epoll_event some[64];
        int n = epoll_wait(e, some, 64, -1);
        for (int i = 0; i < n; i++) {
            ssize_t k = recv(some[i].data.fd, p, sizeof p, 0);
            if (k <= 0) close(some[i].data.fd), open_clients--;
            for (ssize_t j = 0; j < k; j += 61) sum += p[j];
            if (k > 0) bytes += (uint64_t)k;
        }
    }
    must(write(report, &bytes, 8) == 8, "report");
    exit(0);
}

/* ---- the two ways */

struct gather {
    int fd;
    size_t n;
    uint8_t bytes[RECORDS_MAX * (VALUE + 16)];
};

static ssize_t gather(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags, void *to)
{
    (void)ctx, (void)flags;
    struct gather *g = to;
    memcpy(g->bytes + g->n, p, n);
    g->n += n;
    return (ssize_t)n;
}

static void send_all(const struct gather *g)
{
    for (size_t at = 0; at < g->n;) {
        ssize_t k = send(g->fd, g->bytes + at, g->n - at, MSG_NOSIGNAL);
        must(k > 0, "send");
        at += (size_t)k;
    }
}

static void run_bare(wslay_event_context_ptr *ctx, struct gather *g, int clients, int turns, int per_turn)
{
    for (int t = 0; t < turns; t++)
        for (int i = 0; i < clients; i++) {
            g[i].n = 0;
            for (int k = 0; k < per_turn; k++) {
                struct wslay_event_msg m = {WSLAY_TEXT_FRAME, (uint8_t *)values + k * VALUE, VALUE};
                wslay_event_queue_msg(ctx[i], &m);
            }
            wslay_event_send(ctx[i]);
            send_all(&g[i]);
        }
}

static void run_ours(struct server *s, int turns, int per_turn)
{
    struct lam_values v = {.size = sizeof v, .n = per_turn, .bytes = values, .offsets = offsets};
    for (int t = 0; t < turns; t++) {
        server_write(s, &v, NULL, per_turn);
        if (!t) allocated = 0; /* queues have grown */
        s->drain_by = INT64_MAX;
        while (!server_drain(s)) server_serve(s);
    }
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    must(!getsockname(fd, (struct sockaddr *)&a, &n), "getsockname");
    return ntohs(a.sin_port);
}

static pid_t start_reader(uint16_t port, int clients, bool asks, int report[2])
{
    must(!pipe(report), "pipe");
    pid_t pid = fork();
    if (!pid) read_all(port, clients, asks, report[1]);
    close(report[1]);
    return pid;
}

static void tell(const char *way, int clients, int turns, int per_turn, double cpu, uint64_t bytes)
{
    double frames = (double)clients * turns * per_turn;
    must(bytes == (uint64_t)clients * (uint64_t)turns * (uint64_t)per_turn * (VALUE + 2), "bytes that came");
    printf(
        "{\"bench\": \"websocket\", \"way\": \"%s\", \"clients\": %d, \"per_turn\": %d, \"frames_per_cpu_s\": %.0f}\n",
        way, clients, per_turn, frames / cpu);
    fflush(stdout);
}

static void bare(int clients, int turns, int per_turn)
{
    static const struct wslay_event_callbacks callbacks = {.send_callback = gather};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), report[2], on = 1;
    uint64_t bytes;
    must(!bind(listener, (struct sockaddr *)&a, sizeof a) && !listen(listener, 4096), "listen");
    pid_t pid = start_reader(port_of(listener), clients, false, report);
    struct gather *g = calloc((size_t)clients, sizeof *g);
    wslay_event_context_ptr *ctx = calloc((size_t)clients, sizeof *ctx);
    for (int i = 0; i < clients; i++) {
        g[i].fd = accept(listener, NULL, NULL);
        setsockopt(g[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        wslay_event_context_server_init(&ctx[i], &callbacks, &g[i]);
    }
    must(read(report[0], &bytes, 8) == 8, "report");
    double from = cpu_now();
    run_bare(ctx, g, clients, turns, per_turn);
    double cpu = cpu_now() - from;
    for (int i = 0; i < clients; i++) close(g[i].fd), wslay_event_context_free(ctx[i]);
    must(read(report[0], &bytes, 8) == 8, "report");
    waitpid(pid, NULL, 0);
    close(report[0]), close(listener), free(g), free(ctx);
    tell("wslay", clients, turns, per_turn, cpu, bytes);
}

static struct server_settings settings(uint64_t client_bytes)
{
    return (struct server_settings){.address = "0",
                                    .rules = {.path = "/", .max = 8192},
                                    .format = "json",
                                    .is_bare = true,
                                    .batch = 1,
                                    .max_clients = 20000,
                                    .backlog = 4096,
                                    .client_bytes = client_bytes,
                                    .message_bytes = 1000,
                                    .handshake_us = 60000000,
                                    .ping_us = 6000000000,
                                    .pong_us = 10000000,
                                    .drain_us = 60000000};
}

static void tell_encoding(int per_turn, uint64_t bytes)
{
    printf("{\"bench\": \"ws_encode\", \"per_turn\": %d, \"bytes_written\": %llu, \"bytes_allocated\": %llu}\n", per_turn,
           (unsigned long long)bytes, (unsigned long long)allocated);
}

static void ours(int clients, int turns, int per_turn)
{
    struct lam_io io = {.size = sizeof io, .host = &host, .name = "bench"};
    struct server s = {.io = &io, .epoll = -1, .listener = -1};
    int report[2];
    uint64_t bytes;
    s.set = settings(1 << 20);
    must(!server_open(&s, NULL), "server_open");
    pid_t pid = start_reader(port_of(s.listener), clients, true, report);
    while (s.opened < (uint64_t)clients) server_serve(&s);
    must(read(report[0], &bytes, 8) == 8, "report");
    double from = cpu_now();
    run_ours(&s, turns, per_turn);
    double cpu = cpu_now() - from;
    tell_encoding(per_turn, (uint64_t)(turns - 1) * (uint64_t)per_turn * (VALUE + 2));
    for (uint32_t i = 0; i < s.n_clients; i++)
        s.clients[i]->state = CLIENT_CLOSING; /* no close frame: bytes are counted */
    server_close(&s);
    must(read(report[0], &bytes, 8) == 8, "report");
    waitpid(pid, NULL, 0);
    close(report[0]);
    tell("sink", clients, turns, per_turn, cpu, bytes);
}

/* ---- stalled clients */

enum { RECORD = 500, MEASURED = 4000, WARM = 500, CLIENT_BYTES = 64 << 10 };

/* A client that says by `came` when it had a record; clients that take nothing stay beside it. */
static void be_clients(uint16_t port, int stalled, int came)
{
    static char p[1 << 16];
    int small = 2048;
    int *fds = calloc((size_t)stalled + 1, sizeof *fds);
    for (int i = 0; i <= stalled; i++) {
        fds[i] = dial(port, true);
        if (i < stalled) setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    int live = fds[stalled], head = 0;
    while (head < 4) {
        ssize_t k = recv(live, p, 1, 0);
        must(k == 1, "the answer");
        head = *p == "\r\n\r\n"[head] ? head + 1 : *p == '\r';
    }
    must(write(came, &head, 1) == 1, "report");
    for (size_t have = 0;;) {
        ssize_t k = recv(live, p, sizeof p, 0);
        if (k <= 0) exit(0);
        for (have += (size_t)k; have >= RECORD + 4; have -= RECORD + 4)
        {
            int64_t at = host_now(NULL);
            if (write(came, &at, sizeof at) != sizeof at) exit(0);
        }
    }
}

struct measured {
    struct lam_io io;
    struct server s;
    pid_t pid;
    int came;
    double took[MEASURED];
};

static void start(struct measured *m, int stalled)
{
    int report[2];
    m->io = (struct lam_io){.size = sizeof m->io, .host = &host, .name = "bench"};
    m->s = (struct server){.io = &m->io, .epoll = -1, .listener = -1};
    m->s.set = settings(CLIENT_BYTES);
    must(!server_open(&m->s, NULL) && !pipe(report), "server_open");
    m->pid = fork();
    if (!m->pid) be_clients(port_of(m->s.listener), stalled, report[1]);
    close(report[1]);
    m->came = report[0];
    while (m->s.opened < (uint64_t)stalled + 1) server_serve(&m->s);
    char c;
    must(read(m->came, &c, 1) == 1, "report");
}

static double send_one(struct measured *m)
{
    static char record[RECORD];
    static const int64_t one[] = {0, RECORD};
    const struct lam_values v = {.size = sizeof v, .n = 1, .bytes = record, .offsets = one};
    int64_t from = host_now(NULL), came;
    server_write(&m->s, &v, NULL, 1);
    must(read(m->came, &came, sizeof came) == sizeof came, "the record");
    server_serve(&m->s);
    return (double)(came - from);
}

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static long resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    must(f && fscanf(f, "%*d %ld", &pages) == 1, "statm");
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void tell_latency(struct measured *m, const char *which, int stalled)
{
    qsort(m->took, MEASURED, sizeof *m->took, by_size);
    printf("{\"bench\": \"websocket\", \"way\": \"%s\", \"stalled\": %d, \"p50_us\": %.0f, \"p99_us\": %.0f}\n", which, stalled,
           m->took[MEASURED / 2], m->took[MEASURED * 99 / 100]);
}

static void finish(struct measured *m)
{
    kill(m->pid, SIGKILL);
    waitpid(m->pid, NULL, 0);
    server_serve(&m->s);
    server_close(&m->s);
    close(m->came);
}

static int run_stalled(int stalled)
{
    struct measured *alone = calloc(1, sizeof *alone), *among = calloc(1, sizeof *among);
    struct rlimit r = {(rlim_t)stalled + 100, (rlim_t)stalled + 100};
    must(!setrlimit(RLIMIT_NOFILE, &r), "ulimit -n");
    start(alone, 0);
    long before = resident();
    start(among, stalled);
    for (int i = 0; i < 2 * CLIENT_BYTES / RECORD + WARM; i++) send_one(among), send_one(alone); /* fills them */
    for (int i = 0; i < MEASURED; i++) among->took[i] = send_one(among), alone->took[i] = send_one(alone);
    printf("{\"bench\": \"websocket\", \"stalled\": %d, \"bytes_of_each\": %ld, \"cap\": %d}\n", stalled, (resident() - before) / stalled,
           CLIENT_BYTES);
    tell_latency(alone, "alone", 0);
    tell_latency(among, "among", stalled);
    finish(among), finish(alone);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "stalled")) return run_stalled(argc > 2 ? atoi(argv[2]) : 10000);
    int rounds = argc > 1 ? atoi(argv[1]) : 3;
    memset(values, 'x', sizeof values);
    for (int i = 0; i <= RECORDS_MAX; i++) offsets[i] = i * VALUE;
    for (int r = 0; r < rounds; r++)
        for (int clients = 100; clients <= 1000; clients *= 10)
            for (int per_turn = 1; per_turn <= 64; per_turn *= 64) {
                int turns = 300000 / clients / (per_turn > 1 ? 4 : 1);
                bare(clients, turns, per_turn);
                ours(clients, turns, per_turn);
            }
    return 0;
}
