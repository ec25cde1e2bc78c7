/* Hosts: every task that waits for a descriptor is stepped when it is ready, however many there are.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/host.h"

#include "base/env.h"
#include "unit.h"

#include <unistd.h>

#define TASKS 200

struct watcher {
    struct task task;
    int pipe[2];
    int got;
};

static enum step step(struct task *t, int64_t now_us, int64_t *wake_us)
{
    (void)now_us, (void)wake_us;
    struct watcher *w = container_of(t, struct watcher, task);
    struct pollfd p = {w->pipe[0], POLLIN, 0};
    char byte;
    if (poll(&p, 1, 0) == 1 && read(w->pipe[0], &byte, 1) == 1) w->got++;
    return w->got ? STEP_DONE : STEP_WAIT;
}

static int fds(struct task *t, struct pollfd *out, int max)
{
    assert_int_equal(max, TASK_FDS);
    out[0] = (struct pollfd){container_of(t, struct watcher, task)->pipe[0], POLLIN, 0};
    return 1;
}

static const struct task_class watcher_class = {.name = "watcher", .step = step, .fds = fds};

static void many_descriptors(bool threads)
{
    static struct watcher w[TASKS];
    struct bell news = {0};
    struct host *h;
    struct err err;
    if (threads)
        ok(host_thread(env_real(), "test", true, &news, &h, &err));
    else
        ok(host_driver(env_real(), 0, &news, &h, &err));
    for (int i = 0; i < TASKS; i++) {
        w[i] = (struct watcher){.task = {.class = &watcher_class}};
        assert_int_equal(pipe(w[i].pipe), 0);
        host_add(h, &w[i].task);
    }
    int64_t wake_us;
    for (int i = TASKS - 1; i >= 0; i--) {
        uint32_t seen = bell_count(&news);
        if (!threads)
            while (driver_run(h, 1000, &wake_us)) {}
        assert_int_equal(write(w[i].pipe[1], "x", 1), 1);
        if (!threads) {
            struct pollfd p = {driver_fd(h), POLLIN, 0};
            assert_int_equal(poll(&p, 1, 1000), 1);
            while (driver_run(h, 1000, &wake_us)) {}
        }
        while (!atomic_load(&w[i].task.done)) bell_wait(&news, seen, 1000000), seen = bell_count(&news);
        assert_int_equal(w[i].got, 1);
    }
    host_free(h);
    for (int i = 0; i < TASKS; i++) close(w[i].pipe[0]), close(w[i].pipe[1]);
}

static void on_a_thread(void **state) { (void)state, many_descriptors(true); }
static void on_a_driver(void **state) { (void)state, many_descriptors(false); }

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_a_thread), cmocka_unit_test(on_a_driver)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
