/* spool: a folder that records pass through. Who writes puts a whole file into it, by renaming; who reads takes the
 * files in the order of their numbers. SPDX-License-Identifier: Apache-2.0 */
#include <laminar_connector.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK   65536
#define LOOK_US 50000 /* between two looks into the folder */

/* The least number of a file above `after`, and how many files there are; 0: none. A folder that is not there is empty.
 */
static uint64_t next_file(const char *folder, uint64_t after, uint64_t *last, int *count)
{
    uint64_t next = 0, n;
    char tail;
    DIR *d = opendir(folder);
    *last = 0, *count = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (sscanf(e->d_name, "%12lu.re%c", &n, &tail) != 2 || tail != 'c') continue;
        ++*count;
        if (n > *last) *last = n;
        if (n > after && (!next || n < next)) next = n;
    }
    if (d) closedir(d);
    return next;
}

static void path_of(char *out, size_t size, const char *folder, uint64_t n)
{
    snprintf(out, size, "%s/%012lu.rec", folder, n);
}

/* ---- the source ------------------------------------------------------------------------------------------- */

struct reading {
    const char *folder;
    bool follow;
    int fd; /* of file n, or -1 */
    uint64_t n;
    int64_t begin; /* where file n begins, in bytes from the beginning of all */
    int64_t at;    /* the next byte, likewise */
    int64_t look;  /* the time of the next look into the folder */
};

struct place { /* in a position: the file, and where it begins */
    uint64_t n;
    int64_t begin;
};

static int read_open(struct lam_io *io, struct lam_error *err)
{
    struct reading *r = io->self;
    r->fd = -1;
    r->folder = io->host->option_text(io->options, "path");
    r->follow = io->host->option_int(io->options, "follow");
    if (!access(r->folder, R_OK | X_OK) || r->follow) return LAM_IO_OK;
    io->host->fail(err, LAM_IO_CONNECT, "the spool %s: %s", r->folder, strerror(errno));
    io->host->hint(err, "make the folder, or wait for it with follow = 'true'");
    return LAM_IO_CONNECT;
}

static void leave_file(struct reading *r)
{
    if (r->fd >= 0) close(r->fd);
    r->fd = -1;
}

static int open_file(struct lam_io *io, uint64_t n, struct lam_error *err)
{
    struct reading *r = io->self;
    char path[4200];
    path_of(path, sizeof path, r->folder, n);
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) return io->host->fail(err, LAM_IO_READ, "%s: %s", path, strerror(errno));
    r->n = n;
    return LAM_IO_OK;
}

static int read_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    (void)split;
    struct reading *r = io->self;
    struct place p = {0};
    leave_file(r);
    r->at = at ? at->offset : 0;
    if (at) memcpy(&p, at->extra, sizeof p);
    r->n = p.n;
    r->begin = p.begin;
    if (!p.n) return LAM_IO_OK;
    int result = open_file(io, p.n, err);
    if (!result) lseek(r->fd, r->at - r->begin, SEEK_SET);
    return result;
}

/* A header is in the first file only. */
static int read_head(struct lam_io *io, int split, char *p, size_t n, size_t *got, struct lam_error *err)
{
    (void)split, (void)err;
    struct reading *r = io->self;
    uint64_t last;
    int count;
    char path[4200];
    path_of(path, sizeof path, r->folder, next_file(r->folder, 0, &last, &count));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t k = fd < 0 ? 0 : read(fd, p, n);
    if (fd >= 0) close(fd);
    *got = k > 0 ? (size_t)k : 0;
    return LAM_IO_OK;
}

static int read_poll(struct lam_io *io, int split, int64_t now, struct lam_bytes *out, struct lam_error *err)
{
    (void)split;
    struct reading *r = io->self;
    if (r->fd < 0) {
        uint64_t last, n = next_file(r->folder, r->n, &last, &(int){0});
        r->look = now + LOOK_US;
        if (!n) return r->follow ? LAM_IO_WAIT : LAM_IO_DONE;
        int result = open_file(io, n, err);
        if (result) return result;
        r->begin = r->at;
    }
    ssize_t k = read(r->fd, io->host->room(out, CHUNK), CHUNK);
    if (k < 0) return io->host->fail(err, LAM_IO_READ, "file %lu of %s: %s", r->n, r->folder, strerror(errno));
    if (!k) leave_file(r), r->look = now;
    out->n += (size_t)k;
    r->at += k;
    return k ? LAM_IO_OK : LAM_IO_WAIT;
}

static int read_wait(struct lam_io *io, int split, struct pollfd *fds, int max, int64_t *at)
{
    (void)split, (void)fds, (void)max;
    struct reading *r = io->self;
    *at = r->look;
    return 0;
}

static void read_mark(struct lam_io *io, int split, struct lam_position *p)
{
    (void)split;
    struct reading *r = io->self;
    struct place here = {r->n, r->begin};
    p->n = sizeof here;
    memcpy(p->extra, &here, sizeof here);
}

static void read_close(struct lam_io *io)
{
    leave_file(io->self);
}

static bool read_bounded(const struct lam_host *host, const struct lam_options *o)
{
    return !host->option_int(o, "follow");
}

static const struct lam_option read_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "Folder of the spool."},
    {.name = "follow", .type = LAM_OPTION_BOOL, .dflt = "false", .sentence = "Wait for more files in place of ending."},
};

static const struct lam_source_class source = {
    .size = sizeof source,
    .name = "spool",
    .sentence = "Reads the files of a spool in order.",
    .payload = LAM_BYTES,
    .replayable = true,
    .instance_size = sizeof(struct reading),
    .options = read_options,
    .n_options = 2,
    .option_size = sizeof read_options[0],
    .default_format = "json",
    .bounded = read_bounded,
    .open = read_open,
    .seek = read_seek,
    .head = read_head,
    .poll_bytes = read_poll,
    .wait = read_wait,
    .mark = read_mark,
    .close = read_close,
};

/* ---- the sink --------------------------------------------------------------------------------------------- */

struct writing {
    const char *folder;
    int64_t most; /* files in the spool, before we wait */
    char tmp[4200];
    int fd;        /* of tmp, or -1: nothing accepted */
    uint64_t last; /* the highest number */
    int64_t look;
};

static int broken(struct lam_io *io, struct lam_error *err, const char *path)
{
    int code = errno == ENOSPC || errno == ENOENT ? LAM_IO_RETRY : LAM_IO_WRITE;
    return io->host->fail(err, code, "%s: %s", path, strerror(errno));
}

static int write_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    struct writing *w = io->self;
    int count;
    w->folder = io->host->option_text(io->options, "path");
    w->most = io->host->option_int(io->options, "max.files");
    w->fd = -1;
    snprintf(w->tmp, sizeof w->tmp, "%s/.tmp-%lu-%d", w->folder, (unsigned long)incarnation, (int)getpid());
    if (access(w->folder, W_OK | X_OK)) {
        io->host->fail(err, LAM_IO_RETRY, "the spool %s: %s", w->folder, strerror(errno));
        io->host->hint(err, "make the folder; it is looked for again");
        return LAM_IO_RETRY;
    }
    next_file(w->folder, UINT64_MAX, &w->last, &count);
    *marker = io->epochs ? w->last : 0;
    *fresh = !w->last;
    return LAM_IO_OK;
}

static int write_bytes(struct lam_io *io, const char *p, size_t n, size_t *accepted, struct lam_error *err)
{
    struct writing *w = io->self;
    uint64_t last;
    int count = 0;
    if (w->fd < 0) {
        if (w->most) next_file(w->folder, UINT64_MAX, &last, &count);
        w->look = io->host->now(io) + LOOK_US;
        if (w->most && count >= w->most) return LAM_IO_WAIT;
        w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (w->fd < 0) return broken(io, err, w->tmp);
    }
    ssize_t k = write(w->fd, p, n);
    if (k < 0) return broken(io, err, w->tmp);
    *accepted = (size_t)k;
    return LAM_IO_OK;
}

static int drop(struct writing *w)
{
    if (w->fd < 0) return LAM_IO_OK;
    close(w->fd);
    unlink(w->tmp);
    w->fd = -1;
    return LAM_IO_OK;
}

/* What was accepted becomes file n, if it is not there already. */
static int publish(struct lam_io *io, uint64_t n, struct lam_error *err)
{
    struct writing *w = io->self;
    char path[4200];
    if (n <= w->last) return drop(w);
    path_of(path, sizeof path, w->folder, n);
    if (w->fd < 0 && (w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
        return broken(io, err, w->tmp);
    if (fsync(w->fd) || rename(w->tmp, path)) return broken(io, err, path);
    close(w->fd);
    w->fd = -1;
    w->last = n;
    return LAM_IO_OK;
}

static int write_flush(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    return io->epochs || w->fd < 0 ? LAM_IO_OK : publish(io, w->last + 1, err);
}

static int write_commit(struct lam_io *io, uint64_t epoch, struct lam_error *err)
{
    return publish(io, epoch, err);
}

static int write_abort(struct lam_io *io, struct lam_error *err)
{
    return (void)err, drop(io->self);
}

static int write_wait(struct lam_io *io, struct pollfd *fds, int max, int64_t *at)
{
    (void)fds, (void)max;
    *at = ((struct writing *)io->self)->look;
    return 0;
}

static int write_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    return (void)complete, (void)err, drop(io->self);
}

static const struct lam_option write_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "Folder of the spool."},
    {.name = "max.files",
     .type = LAM_OPTION_INT,
     .dflt = "0",
     .max = 1000000,
     .sentence = "Wait while so many files lie in the spool; 0: never."},
};

static const struct lam_sink_class sink = {
    .size = sizeof sink,
    .name = "spool",
    .sentence = "Puts files into a spool, one a flush or epoch.",
    .payload = LAM_BYTES,
    .guarantee = LAM_EXACTLY_ONCE,
    .changelog = true,
    .flush_us = 1000000,
    .instance_size = sizeof(struct writing),
    .options = write_options,
    .n_options = 2,
    .option_size = sizeof write_options[0],
    .default_format = "json",
    .open = write_open,
    .write_bytes = write_bytes,
    .flush = write_flush,
    .commit = write_commit,
    .abort = write_abort,
    .wait = write_wait,
    .close = write_close,
};

/* ---- the module --------------------------------------------------------------------------------------------- */

static const struct lam_source_class *const sources[] = {&source, NULL};
static const struct lam_sink_class *const sinks[] = {&sink, NULL};

LAM_API const struct lam_module lam_module = {
    .size = sizeof lam_module,
    .abi = LAM_CONNECTOR_ABI,
    .name = "spool",
    .version = "1.0",
    .sources = sources,
    .sinks = sinks,
};
