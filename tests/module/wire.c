/* wire: lines over a Unix socket, without ever waiting in a call. A sink's lines are kept until the other side has said
 * that it has them: the line ENQ n asks, ACK n answers, and what was not answered for is sent again after an outage. A
 * source's lines are not kept by anybody. SPDX-License-Identifier: Apache-2.0 */
#include <laminar_connector.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define AGAIN_US 50000

/* A connected socket, or -1 with errno set. */
static int dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) return errno = ENAMETOOLONG, -1;
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof to)) return fd;
    int e = errno;
    if (fd >= 0) close(fd);
    return errno = e, -1;
}

static bool is_busy(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* ---- the source ------------------------------------------------------------------------------------------- */

struct reading {
    int fd;
    bool torn; /* the last byte was no newline */
    bool ended;
    int64_t again; /* when to dial */
};

static int read_open(struct lam_io *io, struct lam_error *err)
{
    struct reading *r = io->self;
    const char *path = io->host->option_text(io->options, "path");
    r->fd = dial(path);
    if (r->fd >= 0 || io->host->option_int(io->options, "follow")) return LAM_IO_OK;
    return io->host->fail(err, LAM_IO_CONNECT, "the wire %s: %s", path, strerror(errno));
}

static int read_poll(struct lam_io *io, int split, int64_t now, struct lam_bytes *out, struct lam_error *err)
{
    (void)split, (void)err;
    struct reading *r = io->self;
    if (r->ended) return LAM_IO_DONE;
    if (r->fd < 0 && now < r->again) return LAM_IO_WAIT;
    if (r->fd < 0) r->fd = dial(io->host->option_text(io->options, "path"));
    r->again = now + AGAIN_US;
    if (r->fd < 0) return LAM_IO_WAIT;
    ssize_t k = recv(r->fd, io->host->room(out, 65536), 65536, 0);
    if (k < 0 && is_busy()) return LAM_IO_WAIT;
    if (k > 0) {
        out->n = (size_t)k;
        r->torn = io->host->room(out, 0)[-1] != '\n';
        return LAM_IO_OK;
    }
    close(r->fd);
    r->fd = -1;
    if (r->torn) io->host->put(out, "\n", 1); /* a record of its own, which nobody can read */
    r->torn = false;
    r->ended = !io->host->option_int(io->options, "follow");
    return r->ended ? LAM_IO_DONE : LAM_IO_WAIT;
}

static int read_wait(struct lam_io *io, int split, struct pollfd *fds, int max, int64_t *at)
{
    (void)split;
    struct reading *r = io->self;
    if (r->fd < 0) *at = r->again;
    if (r->fd < 0 || !max) return 0;
    fds[0] = (struct pollfd){.fd = r->fd, .events = POLLIN};
    return 1;
}

static void read_close(struct lam_io *io)
{
    struct reading *r = io->self;
    if (r->fd >= 0) close(r->fd);
}

static bool read_bounded(const struct lam_host *host, const struct lam_options *o)
{
    return !host->option_int(o, "follow");
}

static const struct lam_option read_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "Socket to read from."},
    {.name = "follow",
     .type = LAM_OPTION_BOOL,
     .dflt = "false",
     .sentence = "Connect again when the other side has gone."},
};

static const struct lam_source_class source = {
    .size = sizeof source,
    .name = "wire",
    .sentence = "Reads lines from a Unix socket.",
    .payload = LAM_BYTES,
    .instance_size = sizeof(struct reading),
    .options = read_options,
    .n_options = 2,
    .option_size = sizeof read_options[0],
    .default_format = "json",
    .bounded = read_bounded,
    .open = read_open,
    .poll_bytes = read_poll,
    .wait = read_wait,
    .close = read_close,
};

/* ---- the sink --------------------------------------------------------------------------------------------- */

struct writing {
    const char *path;
    int fd;     /* or -1 */
    char *kept; /* what no answer covers, a flush's worth */
    size_t n, sent, cap;
    size_t covered; /* what the question covers, and itself; more may be written before its answer */
    uint64_t asked, answered;
    bool is_asked;    /* the flush at hand has put its question */
    int64_t deadline; /* of the answer */
    char line[32];    /* of what the other side says */
    size_t nline;
};

static void hang_up(struct writing *w)
{
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    w->sent = w->nline = 0;
}

static int outage(struct lam_io *io, struct lam_error *err, const char *why)
{
    struct writing *w = io->self;
    hang_up(w);
    return io->host->fail(err, LAM_IO_RETRY, "the wire %s: %s", w->path, why);
}

static int write_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh;
    struct writing *w = io->self;
    w->path = io->host->option_text(io->options, "path");
    w->fd = dial(w->path);
    return w->fd < 0 ? outage(io, err, strerror(errno)) : LAM_IO_OK;
}

static void keep(struct lam_io *io, const void *p, size_t n)
{
    struct writing *w = io->self;
    if (w->n + n > w->cap) {
        size_t cap = 2 * (w->n + n);
        w->kept = io->host->resize(w->kept, w->n, cap);
        io->host->account(io, (int64_t)(cap - w->cap));
        w->cap = cap;
    }
    memcpy(w->kept + w->n, p, n);
    w->n += n;
}

/* Takes in what the other side says. */
static bool listen_to(struct writing *w)
{
    char said[256];
    ssize_t k;
    while ((k = recv(w->fd, said, sizeof said, 0)) > 0)
        for (ssize_t i = 0; i < k; i++) {
            if (w->nline < sizeof w->line - 1) w->line[w->nline++] = said[i];
            if (said[i] != '\n') continue;
            w->line[w->nline] = 0;
            if (w->line[0] == 6) w->answered = strtoull(w->line + 1, NULL, 10);
            w->nline = 0;
        }
    return k < 0 && is_busy();
}

/* Sends and hears as much as can be without waiting: OK or RETRY. */
static int pump(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    if (w->fd < 0 && (w->fd = dial(w->path)) < 0) return outage(io, err, strerror(errno));
    while (w->sent < w->n) {
        ssize_t k = send(w->fd, w->kept + w->sent, w->n - w->sent, MSG_NOSIGNAL);
        if (k < 0 && is_busy()) break;
        if (k < 0) return outage(io, err, strerror(errno));
        w->sent += (size_t)k;
    }
    return listen_to(w) ? LAM_IO_OK : outage(io, err, "the other side has gone");
}

static int write_bytes(struct lam_io *io, const char *p, size_t n, size_t *accepted, struct lam_error *err)
{
    int result = pump(io, err);
    if (result) return result;
    keep(io, p, n);
    *accepted = n;
    return pump(io, err);
}

static int write_flush(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    int64_t now = io->host->now(io);
    if (!w->n) return LAM_IO_OK;
    char question[32];
    if (!w->is_asked) {
        keep(io, question, (size_t)sprintf(question, "\005%lu\n", (unsigned long)++w->asked));
        w->covered = w->n;
    }
    if (!w->is_asked || w->fd < 0) w->deadline = now + io->host->option_int(io->options, "ack.timeout");
    w->is_asked = true;
    int result = pump(io, err);
    if (result) return result;
    if (w->answered < w->asked && now >= w->deadline) return outage(io, err, "no answer in time");
    if (w->answered < w->asked) return LAM_IO_WAIT;
    w->is_asked = false;
    w->n -= w->covered;
    w->sent -= w->covered;
    memmove(w->kept, w->kept + w->covered, w->n);
    return w->n ? write_flush(io, err) : LAM_IO_OK;
}

static int write_wait(struct lam_io *io, struct pollfd *fds, int max, int64_t *at)
{
    struct writing *w = io->self;
    if (w->is_asked) *at = w->deadline;
    if (w->fd < 0 || !max) return 0;
    fds[0] = (struct pollfd){.fd = w->fd, .events = (short)(POLLIN | (w->sent < w->n ? POLLOUT : 0))};
    return 1;
}

static int write_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct writing *w = io->self;
    if (!w->path) return LAM_IO_OK;
    hang_up(w);
    io->host->account(io, -(int64_t)w->cap);
    io->host->free(w->kept);
    return LAM_IO_OK;
}

static const struct lam_option write_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "Socket to write to."},
    {.name = "ack.timeout",
     .type = LAM_OPTION_DURATION,
     .dflt = "10 s",
     .min = 1,
     .max = 3600000000,
     .sentence = "Connect anew when no answer comes for so long."},
};

static const struct lam_sink_class sink = {
    .size = sizeof sink,
    .name = "wire",
    .sentence = "Writes lines to a Unix socket.",
    .payload = LAM_BYTES,
    .guarantee = LAM_AT_LEAST_ONCE,
    .flush_us = 100000,
    .instance_size = sizeof(struct writing),
    .options = write_options,
    .n_options = 2,
    .option_size = sizeof write_options[0],
    .default_format = "json",
    .open = write_open,
    .write_bytes = write_bytes,
    .flush = write_flush,
    .wait = write_wait,
    .close = write_close,
};

static const struct lam_source_class *const sources[] = {&source, NULL};
static const struct lam_sink_class *const sinks[] = {&sink, NULL};

LAM_API const struct lam_module lam_module = {
    .size = sizeof lam_module,
    .abi = LAM_CONNECTOR_ABI,
    .name = "wire",
    .version = "1.0",
    .sources = sources,
    .sinks = sinks,
};
