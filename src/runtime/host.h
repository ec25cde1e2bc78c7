/* Hosts run tasks. A thread host is a thread of its own (a worker, an I/O thread, one blocking connector). The
 * driver is one host for all tasks, stepped by its caller: the simulator and threads = 0.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_HOST_H
#define RUNTIME_HOST_H

#include "base/env.h"
#include "base/gate.h"
#include "base/task.h"

/* A thread that runs tasks until host_free. with_fds: its tasks may watch descriptors (I/O). news is rung after a task is
 * done. */
enum status host_thread(struct env *env, const char *name, bool with_fds, struct bell *news, struct host **out,
                        struct err *err);
/* A driver. shuffle: 0 steps woken tasks in the order they were added; else the order is drawn from that seed. */
enum status host_driver(struct env *env, uint64_t shuffle, struct bell *news, struct host **out, struct err *err);
/* Hands a task over; it is stepped once soon. The caller keeps owning its memory until task->done. */
void host_add(struct host *h, struct task *t);
/* Stops and joins the thread; tasks that are not done are left as they are. NULL is allowed. */
void host_free(struct host *h);

/* Driver only; any thread, one steps at a time. Runs steps for about max_us. Returns whether there is more to do now; if
 * not, *wake_us is the next deadline (INT64_MAX: none). */
bool driver_run(struct host *h, int64_t max_us, int64_t *wake_us);
bool driver_due(struct host *h, int64_t *wake_us); /* the same without a step */
int driver_fd(struct host *h);
/* Between these two nobody steps. */
void driver_hold(struct host *h);
void driver_let(struct host *h);
/* Waits, as a thread would, until a task is woken or due, or a descriptor is ready, at most until `until` (on the env's
 * clock). false: nothing can happen any more, or `until` has passed. */
bool driver_park(struct host *h, int64_t until);

#endif
