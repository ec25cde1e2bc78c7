/* A gate: one waiter parks, anyone wakes it. An eventcount on a futex or, where the waiter also
 * watches descriptors, on an eventfd.
 *
 * Why no wake-up is lost. The waker publishes its fact (a ring's tail, a flag), then gate_wake runs
 * a full fence and reads `parked`. The waiter stores `parked`, runs a full fence, and looks for the
 * fact again before it sleeps. Of two threads that each store, fence and load the other's store, at
 * least one sees the other (Dekker; total order of seq_cst fences): either the waker sees `parked`
 * and wakes, or the waiter sees the fact and does not sleep. The futex compares `parked` itself, so a
 * wake between the second look and the sleep is not lost either. models/gate.pml checks this
 * with store buffers and shows that each of the three steps is needed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_GATE_H
#define BASE_GATE_H

#include "base/status.h"

#include <poll.h>
#include <stdatomic.h>

struct gate {
    _Alignas(64) _Atomic uint32_t parked;
    _Atomic int fd; /* eventfd, or -1: futex */
    int epoll; /* of gate_watch; -1: none yet */
    int *watched, nwatched, cap;
};
enum status gate_init(struct gate *g, bool with_fd, struct err *err);
void gate_done(struct gate *g);
/* Any thread, after it has stored what the waiter looks for. */
void gate_wake(struct gate *g);

/* The waiter:  gate_prepare(g); if (fact) gate_cancel(g); else gate_park(g, timeout_us);
 * timeout_us < 0: none. Returns when woken, at the timeout, or spuriously. */
void gate_prepare(struct gate *g);
void gate_cancel(struct gate *g);
void gate_park(struct gate *g, int64_t timeout_us);
/* By the waiter, while it does not wait: from now on an eventfd wakes it; *fd is a duplicate for whoever polls it elsewhere and
 * may outlive the gate. */
enum status gate_share_fd(struct gate *g, int *fd, struct err *err);
void gate_close_fd(int fd); /* such a duplicate; -1 is allowed */
void gate_signal(struct gate *g); /* makes its eventfd readable */
void gate_drain(struct gate *g);  /* makes it unreadable */
/* By the waiter: nothing has woken it since gate_prepare. */
static inline bool gate_armed(struct gate *g) { return atomic_load_explicit(&g->parked, memory_order_acquire); }
/* A descriptor that is readable when the gate is woken or one of fds is ready: for a caller's own poll. Call again when fds
 * have changed. */
int gate_watch(struct gate *g, const struct pollfd *fds, int n);
/* gate_park for a gate with an eventfd, watching fds as well: fds[0] is the gate's own, fds[1] to fds[n - 1] the caller's,
 * whose revents are filled. */
void gate_park_fds(struct gate *g, struct pollfd *fds, int n, int64_t timeout_us);

/* A bell that any number of threads wait for, on the control side: ring after storing the fact; a waiter reads the
 * count, looks for the fact, then waits for the count to change. */
struct bell {
    _Atomic uint32_t count;
    _Atomic uint32_t waiters;
};
void bell_ring(struct bell *b);
static inline uint32_t bell_count(struct bell *b) { return atomic_load_explicit(&b->count, memory_order_seq_cst); }
void bell_wait(struct bell *b, uint32_t seen, int64_t timeout_us); /* < 0: no limit */

/* The ladder before parking: spin 64 times with pause, yield 64 times, park. One for each waiter; zero is its beginning.
 *
 * Who yields goes to the end of the kernel's queue with what it has used, and so is late when it is woken a moment later: three times
 * as late as a bare futex on a core that waker and waiter share. It is worth that only if news come while it yields; so the
 * yields are left out after a long sleep, until one was short. */
struct ladder {
    int step;
    bool is_quiet; /* the last sleep was longer than all yields together */
};
bool ladder_climb(struct ladder *l);                  /* true: look again without parking */
void ladder_found(struct ladder *l);                  /* there was something: the next wait begins at the bottom */
void ladder_slept(struct ladder *l, int64_t took_us); /* it was parked so long */

#endif
