/* The real machine. SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include "base/fault.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_now(struct env *e) { return (void)e, clock_us(CLOCK_MONOTONIC); }
static int64_t real_wall(struct env *e) { return (void)e, clock_us(CLOCK_REALTIME); }

static uint64_t real_random(struct env *e)
{
    (void)e;
    uint64_t x = 0;
    ssize_t n = getrandom(&x, sizeof x, 0);
    INVARIANT(n == sizeof x);
    return x;
}

/* The error of a failed system call on `path`. */
static enum status failed(struct err *err, enum status code, const char *what, const char *path)
{
    int e = errno;
    if (e == ENOENT) code = E_NOT_FOUND;
    err_set(err, code, "cannot %s %s%.280s%s: %s", what, path ? "\"" : "", path ? path : "file", path ? "\"" : "",
            strerror(e));
    if (e == ENOSPC) err_hint(err, "the disk is full: free space, then start again");
    if (e == EACCES) err_hint(err, "check the permissions of the file and of the folders above it");
    return code;
}

/* ---- files ---------------------------------------------------------------------------------- */

struct real_file {
    struct file file;
    bool borrowed;
    char *path;
};

static const char *path_of(struct file *f) { return container_of(f, struct real_file, file)->path; }

static enum status real_read(struct file *f, void *p, size_t n, size_t *got, struct err *err)
{
    FAULT_POINT("file.read", err);
    for (;;) {
        ssize_t r = read(f->fd, p, n);
        if (r >= 0) return *got = (size_t)r, ST_OK;
        if (errno == EAGAIN) return *got = 0, ST_WAIT;
        if (errno != EINTR) return failed(err, E_READ, "read", path_of(f));
    }
}

static enum status real_pread(struct file *f, void *p, size_t n, int64_t at, size_t *got, struct err *err)
{
    FAULT_POINT("file.read", err);
    for (;;) {
        ssize_t r = pread(f->fd, p, n, at);
        if (r >= 0) return *got = (size_t)r, ST_OK;
        if (errno != EINTR) return failed(err, E_READ, "read", path_of(f));
    }
}

static enum status real_write(struct file *f, const void *p, size_t n, struct err *err)
{
    FAULT_POINT("file.write", err);
    while (n) {
        ssize_t r = write(f->fd, p, n);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return errno == EPIPE ? ST_CLOSED : failed(err, E_WRITE, "write", path_of(f));
        p = (const char *)p + r;
        n -= (size_t)r;
    }
    return ST_OK;
}

static enum status real_sync(struct file *f, struct err *err)
{
    FAULT_POINT("file.sync", err);
    if (fdatasync(f->fd) && errno != EINVAL && errno != EROFS) return failed(err, E_WRITE, "sync", path_of(f));
    return ST_OK;
}

static void info_of(const struct stat *s, struct file_info *out)
{
    *out = (struct file_info){.size = s->st_size,
                              .mtime_us = s->st_mtim.tv_sec * 1000000 + s->st_mtim.tv_nsec / 1000,
                              .device = s->st_dev,
                              .inode = s->st_ino,
                              .is_regular = S_ISREG(s->st_mode),
                              .is_directory = S_ISDIR(s->st_mode)};
}

static enum status real_info(struct file *f, struct file_info *out, struct err *err)
{
    struct stat s;
    if (fstat(f->fd, &s)) return failed(err, E_READ, "stat", path_of(f));
    info_of(&s, out);
    return ST_OK;
}

static enum status real_close(struct file *f, struct err *err)
{
    struct real_file *r = container_of(f, struct real_file, file);
    enum status st = ST_OK;
    if (!r->borrowed && close(f->fd) && errno != EINTR) st = failed(err, E_WRITE, "close", r->path);
    mem_free(r->path);
    mem_free(r);
    return st;
}

static const struct file_ops real_file_ops = {real_read, real_pread, real_write, real_sync, real_info, real_close};

static struct file *file_new(int fd, const char *path, bool borrowed)
{
    struct real_file *r = mem_zalloc(sizeof *r);
    r->file = (struct file){&real_file_ops, fd};
    r->borrowed = borrowed;
    r->path = mem_strdup(path);
    return &r->file;
}

struct file *file_of_fd(int fd)
{
    static const char *const name[] = {"stdin", "stdout", "stderr"};
    return file_new(fd, fd >= 0 && fd < 3 ? name[fd] : "descriptor", true);
}

bool file_ready(const struct file *f, short events)
{
    struct pollfd p = {f->fd, events, 0};
    return f->fd < 0 || poll(&p, 1, 0) > 0;
}

static enum status real_open(struct env *e, const char *path, int flags, struct file **out, struct err *err)
{
    (void)e;
    FAULT_POINT("file.open", err);
    int o = O_CLOEXEC | ((flags & FILE_READ) && (flags & FILE_WRITE) ? O_RDWR : flags & FILE_WRITE ? O_WRONLY : O_RDONLY);
    if (flags & FILE_CREATE) o |= O_CREAT;
    if (flags & FILE_EXCL) o |= O_EXCL;
    if (flags & FILE_TRUNC) o |= O_TRUNC;
    if (flags & FILE_APPEND) o |= O_APPEND;
    int fd = open(path, o, 0666);
    if (fd < 0) return failed(err, flags & FILE_WRITE ? E_WRITE : E_READ, "open", path);
    *out = file_new(fd, path, false);
    return ST_OK;
}

static enum status real_stat(struct env *e, const char *path, struct file_info *out, struct err *err)
{
    (void)e;
    struct stat s;
    if (stat(path, &s)) return failed(err, E_READ, "open", path);
    info_of(&s, out);
    return ST_OK;
}

static enum status real_rename(struct env *e, const char *from, const char *to, struct err *err)
{
    (void)e;
    FAULT_POINT("file.rename", err);
    return rename(from, to) ? failed(err, E_WRITE, "rename to", to) : ST_OK;
}

static enum status real_unlink(struct env *e, const char *path, struct err *err)
{
    (void)e;
    return unlink(path) ? failed(err, E_WRITE, "remove", path) : ST_OK;
}

static enum status real_mkdir(struct env *e, const char *path, struct err *err)
{
    (void)e;
    return mkdir(path, 0777) && errno != EEXIST ? failed(err, E_WRITE, "create", path) : ST_OK;
}

static enum status real_sync_dir(struct env *e, const char *path, struct err *err)
{
    (void)e;
    FAULT_POINT("file.sync_dir", err);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed(err, E_WRITE, "open", path);
    int r = fsync(fd);
    close(fd);
    return r ? failed(err, E_WRITE, "sync", path) : ST_OK;
}

static enum status real_list(struct env *e, const char *path, enum status (*fn)(void *, const char *), void *ctx,
                             struct err *err)
{
    (void)e;
    DIR *d = opendir(path);
    if (!d) return failed(err, E_READ, "open", path);
    enum status st = ST_OK;
    for (struct dirent *x; !st && (x = readdir(d));)
        if (strcmp(x->d_name, ".") && strcmp(x->d_name, "..")) st = fn(ctx, x->d_name);
    closedir(d);
    return st;
}

/* ---- threads and locks ------------------------------------------------------------------------ */

struct thread {
    pthread_t id;
    void (*fn)(void *);
    void *arg;
    char name[16];
};

static void *run(void *p)
{
    struct thread *t = p;
    pthread_setname_np(pthread_self(), t->name);
    t->fn(t->arg);
    return NULL;
}

static enum status real_thread(struct env *e, const char *name, void (*fn)(void *), void *arg, struct thread **out,
                               struct err *err)
{
    (void)e;
    FAULT_POINT("thread.spawn", err);
    struct thread *t = mem_zalloc(sizeof *t);
    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);
    /* The application's signals are for its own threads. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&t->id, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r) {
        mem_free(t);
        return err_set(err, E_EXEC, "cannot start a thread: %s", strerror(r));
    }
    *out = t;
    return ST_OK;
}

enum status env_thread(struct env *e, const char *name, void (*fn)(void *), void *arg, struct thread **out,
                       struct err *err)
{
    return e->ops->thread(e, name, fn, arg, out, err);
}

void thread_join(struct thread *t)
{
    if (!t) return;
    pthread_join(t->id, NULL);
    mem_free(t);
}

static _Atomic unsigned forks;
static void in_child(void) { atomic_fetch_add(&forks, 1); }
static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }

unsigned env_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct lock), "struct lock holds a mutex");
void lock_init(struct lock *l) { pthread_mutex_init((pthread_mutex_t *)l->opaque, NULL); }
void lock_done(struct lock *l) { pthread_mutex_destroy((pthread_mutex_t *)l->opaque); }
void lock_take(struct lock *l) { pthread_mutex_lock((pthread_mutex_t *)l->opaque); }
void lock_give(struct lock *l) { pthread_mutex_unlock((pthread_mutex_t *)l->opaque); }

static bool real_rest(struct env *e, int64_t until_us) { return (void)e, (void)until_us, false; }

static const struct env_ops real_ops = {
    real_now,   real_wall,     real_random, real_open,   real_stat, real_rename, real_unlink,
    real_mkdir, real_sync_dir, real_list,   real_thread, real_rest,
};
static struct env real = {&real_ops};

struct env *env_real(void) { return &real; }
