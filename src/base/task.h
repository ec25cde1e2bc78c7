/* Tasks: the unit of work. A step does at most one batch, or about 200 us, and returns. A task lives
 * on one host (a worker thread, an I/O thread, the driver) and is stepped by that thread only.
 *
 * task_wake may be called from any thread and is sticky: the host clears the flag before it steps and
 * looks at it again before it parks. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TASK_H
#define BASE_TASK_H

#include "base/status.h"

#include <poll.h>
#include <stdatomic.h>

enum step { STEP_AGAIN, STEP_WAIT, STEP_DONE };

struct task;
struct host;

struct task_class {
    const char *name;
    /* now_us is the env's monotonic clock. On STEP_WAIT *wake_us may name a time on it to be stepped
     * at (INT64_MAX on entry: none). On STEP_DONE the task leaves its host and is not touched again. */
    enum step (*step)(struct task *t, int64_t now_us, int64_t *wake_us);
    /* Descriptors to watch while waiting; returns how many, at most max, which is TASK_FDS: who has more of them watches
     * them by one epoll descriptor. NULL: none ever. */
    int (*fds)(struct task *t, struct pollfd *out, int max);
    /* Its step runs the program's code: a driver gives its own lock back meanwhile, so that such code may call in. */
    bool outside;
};

#define TASK_FDS 16

struct task {
    const struct task_class *class;
    struct host *host;
    _Atomic bool woken;
    _Atomic bool done;   /* set by the host after STEP_DONE */
    int64_t wake_us;     /* the host's */
    bool busy;           /* the host's: an outside one is being stepped */
    struct task *next;   /* the host's */
    void *pool;          /* struct pool that steps of this task allocate from, or NULL */
};

/* What runs tasks; runtime/host.c makes them. */
struct host {
    void (*wake)(struct host *h);
};

static inline void task_wake(struct task *t)
{
    atomic_store_explicit(&t->woken, true, memory_order_release);
    t->host->wake(t->host);
}

#endif
