/* The outside world: clock, randomness, files, threads. Nothing else in the library touches them,
 * so the same code runs under a seeded scheduler with a virtual clock and a faulty disk.
 * env_real() is the machine; env_sim.h makes the simulated one. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include "base/status.h"

struct env;
struct file;
struct thread;

enum { FILE_READ = 1, FILE_WRITE = 2, FILE_CREATE = 4, FILE_EXCL = 8, FILE_TRUNC = 16, FILE_APPEND = 32 };

struct file_info {
    int64_t size;
    int64_t mtime_us;
    uint64_t device, inode;
    bool is_regular, is_directory;
};

struct env_ops {
    int64_t (*now_us)(struct env *);  /* monotonic */
    int64_t (*wall_us)(struct env *); /* since 1970; display and PROCTIME() only, never timers */
    uint64_t (*random)(struct env *);
    enum status (*open)(struct env *, const char *path, int flags, struct file **out, struct err *);
    enum status (*stat)(struct env *, const char *path, struct file_info *out, struct err *);
    enum status (*rename)(struct env *, const char *from, const char *to, struct err *);
    enum status (*unlink)(struct env *, const char *path, struct err *);
    enum status (*mkdir)(struct env *, const char *path, struct err *);
    enum status (*sync_dir)(struct env *, const char *path, struct err *);
    /* Calls fn for each name but . and .., in no order; stops at the first error. */
    enum status (*list)(struct env *, const char *path, enum status (*fn)(void *ctx, const char *name), void *ctx,
                        struct err *);
    /* Starts a thread that blocks all signals. E_MISUSE where threads do not exist (simulation). */
    enum status (*thread)(struct env *, const char *name, void (*fn)(void *), void *arg, struct thread **out,
                          struct err *);
    /* Nothing happens before until_us (of now_us). A simulated clock moves there; false: this one moves by itself. */
    bool (*rest)(struct env *, int64_t until_us);
};
struct env {
    const struct env_ops *ops;
};
struct env *env_real(void); /* one, for ever */

struct file_ops {
    /* Reads up to n bytes; *got == 0 is the end. ST_WAIT: a descriptor has nothing now. */
    enum status (*read)(struct file *, void *p, size_t n, size_t *got, struct err *);
    enum status (*pread)(struct file *, void *p, size_t n, int64_t at, size_t *got, struct err *);
    enum status (*write)(struct file *, const void *p, size_t n, struct err *); /* all of it */
    enum status (*sync)(struct file *, struct err *);
    enum status (*info)(struct file *, struct file_info *, struct err *);
    enum status (*close)(struct file *, struct err *); /* frees it whatever it returns */
};
struct file {
    const struct file_ops *ops;
    int fd; /* to poll on; -1: always ready */
};
/* A file over a descriptor of the process (0, 1, 2); closing it does not close the descriptor. */
struct file *file_of_fd(int fd);
/* Whether a read (POLLIN) or a write (POLLOUT) would go on without waiting, be it with an error. */
bool file_ready(const struct file *f, short events);

static inline int64_t env_now_us(struct env *e) { return e->ops->now_us(e); }
static inline int64_t env_wall_us(struct env *e) { return e->ops->wall_us(e); }
static inline bool env_rest(struct env *e, int64_t until_us) { return e->ops->rest(e, until_us); }
static inline uint64_t env_random(struct env *e) { return e->ops->random(e); }
static inline enum status env_open(struct env *e, const char *path, int flags, struct file **out, struct err *err)
{
    return e->ops->open(e, path, flags, out, err);
}
static inline enum status env_stat(struct env *e, const char *path, struct file_info *out, struct err *err)
{
    return e->ops->stat(e, path, out, err);
}
static inline enum status env_rename(struct env *e, const char *from, const char *to, struct err *err)
{
    return e->ops->rename(e, from, to, err);
}
static inline enum status env_unlink(struct env *e, const char *path, struct err *err)
{
    return e->ops->unlink(e, path, err);
}
static inline enum status env_mkdir(struct env *e, const char *path, struct err *err)
{
    return e->ops->mkdir(e, path, err);
}
static inline enum status env_list(struct env *e, const char *path, enum status (*fn)(void *ctx, const char *name), void *ctx,
                                   struct err *err)
{
    return e->ops->list(e, path, fn, ctx, err);
}
static inline enum status env_sync_dir(struct env *e, const char *path, struct err *err)
{
    return e->ops->sync_dir(e, path, err);
}
static inline enum status file_read(struct file *f, void *p, size_t n, size_t *got, struct err *err)
{
    return f->ops->read(f, p, n, got, err);
}
static inline enum status file_pread(struct file *f, void *p, size_t n, int64_t at, size_t *got, struct err *err)
{
    return f->ops->pread(f, p, n, at, got, err);
}
static inline enum status file_write(struct file *f, const void *p, size_t n, struct err *err)
{
    return f->ops->write(f, p, n, err);
}
static inline enum status file_sync(struct file *f, struct err *err) { return f->ops->sync(f, err); }
static inline enum status file_info(struct file *f, struct file_info *out, struct err *err)
{
    return f->ops->info(f, out, err);
}
static inline enum status file_close(struct file *f, struct err *err) { return f->ops->close(f, err); }

enum status env_thread(struct env *e, const char *name, void (*fn)(void *), void *arg, struct thread **out,
                       struct err *err);
void thread_join(struct thread *t); /* waits and frees; NULL is allowed */
/* How many forks lie between the first call in this process's ancestry and now: another number than before means that this is a
 * child of whoever asked then. Costs no system call. */
unsigned env_forks(void);

/* A lock for ring 2 and the push lock; never taken by a worker. */
struct lock {
    _Alignas(8) char opaque[40];
};
void lock_init(struct lock *l);
void lock_done(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);

#endif
