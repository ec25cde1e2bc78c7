/* Park and wake. See gate.h for the argument. SPDX-License-Identifier: Apache-2.0 */
#include "base/gate.h"

#include "base/mem.h"
#include "base/noise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPINS    64
#define YIELDS   64
#define QUIET_US 50 /* about what the yields take */

enum status gate_init(struct gate *g, bool with_fd, struct err *err)
{
    atomic_init(&g->parked, 0);
    g->fd = g->epoll = -1;
    g->watched = NULL;
    g->nwatched = g->cap = 0;
    if (!with_fd) return ST_OK;
    g->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return g->fd < 0 ? err_set(err, E_EXEC, "cannot make an eventfd: %s", strerror(errno)) : ST_OK;
}

void gate_done(struct gate *g)
{
    if (g->fd >= 0) close(g->fd);
    if (g->epoll >= 0) close(g->epoll);
    mem_free(g->watched);
    g->watched = NULL;
    g->fd = g->epoll = -1;
}

enum status gate_share_fd(struct gate *g, int *fd, struct err *err)
{
    int own = g->fd >= 0 ? g->fd : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    *fd = own < 0 ? -1 : fcntl(own, F_DUPFD_CLOEXEC, 0);
    if (*fd < 0) {
        err_set(err, E_EXEC, "cannot make an eventfd: %s", strerror(errno));
        if (own >= 0 && own != g->fd) close(own);
        return E_EXEC;
    }
    g->fd = own;
    return ST_OK;
}

void gate_close_fd(int fd)
{
    if (fd >= 0) close(fd);
}

void gate_signal(struct gate *g)
{
    uint64_t one = 1;
    ssize_t r = write(g->fd, &one, sizeof one);
    (void)r; /* EAGAIN: it is readable already */
}

void gate_wake(struct gate *g)
{
    noise();
    atomic_thread_fence(memory_order_seq_cst); /* pairs with gate_prepare's */
    if (!atomic_load_explicit(&g->parked, memory_order_relaxed)) return;
    if (!atomic_exchange_explicit(&g->parked, 0, memory_order_relaxed)) return;
    if (g->fd >= 0) {
        gate_signal(g);
    } else {
        syscall(SYS_futex, &g->parked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

void gate_prepare(struct gate *g)
{
    noise();
    atomic_store_explicit(&g->parked, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with gate_wake's */
}

void gate_cancel(struct gate *g) { atomic_store_explicit(&g->parked, 0, memory_order_relaxed); }

void gate_park(struct gate *g, int64_t timeout_us)
{
    if (g->fd >= 0) {
        struct pollfd own;
        gate_park_fds(g, &own, 1, timeout_us);
        return;
    }
    struct timespec t = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
    if (timeout_us) syscall(SYS_futex, &g->parked, FUTEX_WAIT_PRIVATE, 1, timeout_us < 0 ? NULL : &t, NULL, 0);
    gate_cancel(g);
}

void gate_park_fds(struct gate *g, struct pollfd *fds, int n, int64_t timeout_us)
{
    fds[0] = (struct pollfd){g->fd, POLLIN, 0};
    struct timespec t = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
    int r = ppoll(fds, (nfds_t)n, timeout_us < 0 ? NULL : &t, NULL);
    gate_cancel(g);
    for (int i = 0; i < n && r <= 0; i++) fds[i].revents = 0;
    uint64_t count;
    if (fds[0].revents && read(g->fd, &count, sizeof count) < 0) return; /* EAGAIN: drained */
}

void gate_drain(struct gate *g)
{
    uint64_t count;
    gate_cancel(g);
    if (g->fd >= 0 && read(g->fd, &count, sizeof count) < 0) return; /* EAGAIN: it was not readable */
}

int gate_watch(struct gate *g, const struct pollfd *fds, int n)
{
    struct epoll_event e = {.events = EPOLLIN};
    if (g->epoll < 0) {
        g->epoll = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(g->epoll, EPOLL_CTL_ADD, g->fd, &e);
    }
    for (int i = 0; i < g->nwatched; i++) epoll_ctl(g->epoll, EPOLL_CTL_DEL, g->watched[i], &e);
    if (n > g->cap) {
        mem_free(g->watched);
        g->watched = mem_alloc(sizeof *g->watched * (size_t)n);
        g->cap = n;
    }
    g->nwatched = 0;
    for (int i = 0; i < n; i++) {
        e.events = (fds[i].events & POLLIN ? EPOLLIN : 0) | (fds[i].events & POLLOUT ? EPOLLOUT : 0);
        if (!epoll_ctl(g->epoll, EPOLL_CTL_ADD, fds[i].fd, &e)) g->watched[g->nwatched++] = fds[i].fd;
    }
    return g->epoll;
}

void bell_ring(struct bell *b)
{
    atomic_fetch_add(&b->count, 1);
    if (atomic_load(&b->waiters)) syscall(SYS_futex, &b->count, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void bell_wait(struct bell *b, uint32_t seen, int64_t timeout_us)
{
    struct timespec t = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
    atomic_fetch_add(&b->waiters, 1);
    if (timeout_us && atomic_load(&b->count) == seen)
        syscall(SYS_futex, &b->count, FUTEX_WAIT_PRIVATE, seen, timeout_us < 0 ? NULL : &t, NULL, 0);
    atomic_fetch_sub(&b->waiters, 1);
}

bool ladder_climb(struct ladder *l)
{
    if (l->step >= (l->is_quiet ? SPINS : SPINS + YIELDS)) return false;
    if (l->step++ < SPINS)
        __builtin_ia32_pause();
    else
        sched_yield();
    return true;
}

void ladder_found(struct ladder *l) { l->step = 0; }

void ladder_slept(struct ladder *l, int64_t took_us) { l->is_quiet = took_us > QUIET_US; }
