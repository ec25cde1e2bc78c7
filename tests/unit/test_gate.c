/* Parking and waking. A lost wake-up shows as a hang, which the alarm turns into a failure.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/env.h"
#include "base/gate.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TURNS 50000
#else
#define TURNS 200000
#endif

/* A ball between two threads: each waits until it is its turn. */
struct ball {
    _Atomic uint32_t turn;
    struct gate gate[2];
};

static void play(struct ball *b, uint32_t me)
{
    for (uint32_t i = me; i < TURNS; i += 2) {
        while (atomic_load_explicit(&b->turn, memory_order_acquire) != i) {
            gate_prepare(&b->gate[me]);
            if (atomic_load_explicit(&b->turn, memory_order_acquire) == i)
                gate_cancel(&b->gate[me]);
            else
                gate_park(&b->gate[me], -1);
        }
        atomic_store_explicit(&b->turn, i + 1, memory_order_release);
        gate_wake(&b->gate[!me]);
    }
}

static void play_second(void *p) { play(p, 1); }

static void ping_pong(bool with_fd)
{
    alarm(120);
    struct ball b = {0};
    for (int i = 0; i < 2; i++) ok(gate_init(&b.gate[i], with_fd, NULL));
    struct thread *t;
    ok(env_thread(env_real(), "second", play_second, &b, &t, NULL));
    play(&b, 0);
    thread_join(t);
    assert_int_equal(b.turn, TURNS);
    for (int i = 0; i < 2; i++) gate_done(&b.gate[i]);
    alarm(0);
}

static void no_wake_is_lost_on_a_futex(void **state) { (void)state, ping_pong(false); }
static void no_wake_is_lost_on_an_eventfd(void **state) { (void)state, ping_pong(true); }

/* One fact at a time among wake-ups that mean nothing. */
struct noisy {
    struct gate gate;
    _Atomic uint32_t facts;
    _Atomic bool done;
};

static void make_noise(void *p)
{
    struct noisy *n = p;
    while (!atomic_load(&n->done)) gate_wake(&n->gate);
}

static void make_facts(void *p)
{
    struct noisy *n = p;
    for (uint32_t i = 0; i < TURNS / 10; i++) {
        atomic_fetch_add(&n->facts, 1);
        gate_wake(&n->gate);
        while (atomic_load(&n->facts)) sched_yield();
    }
    atomic_store(&n->done, true);
    gate_wake(&n->gate);
}

static void noise_loses_nothing(void **state)
{
    (void)state;
    alarm(120);
    struct noisy n = {0};
    ok(gate_init(&n.gate, false, NULL));
    struct thread *noise, *facts;
    ok(env_thread(env_real(), "noise", make_noise, &n, &noise, NULL));
    ok(env_thread(env_real(), "facts", make_facts, &n, &facts, NULL));
    uint32_t seen = 0;
    while (!atomic_load(&n.done)) {
        gate_prepare(&n.gate);
        if (atomic_load(&n.facts) || atomic_load(&n.done))
            gate_cancel(&n.gate);
        else
            gate_park(&n.gate, -1);
        if (atomic_load(&n.facts)) {
            seen++;
            atomic_store(&n.facts, 0);
        }
    }
    thread_join(noise);
    thread_join(facts);
    assert_int_equal(seen, TURNS / 10);
    gate_done(&n.gate);
    alarm(0);
}

static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void parked_costs_nothing(void **state)
{
    (void)state;
    for (int with_fd = 0; with_fd < 2; with_fd++) {
        struct gate g;
        ok(gate_init(&g, with_fd, NULL));
        int64_t cpu = cpu_us(), began = env_now_us(env_real());
        gate_prepare(&g);
        gate_park(&g, 200000);
        int64_t slept = env_now_us(env_real()) - began;
        assert_true(slept >= 190000);
        assert_true(cpu_us() - cpu < 20000);
        gate_prepare(&g);
        gate_park(&g, 0); /* does not wait */
        gate_done(&g);
    }
}

static void descriptors_end_the_wait(void **state)
{
    (void)state;
    struct gate g;
    int pipes[2];
    ok(gate_init(&g, true, NULL));
    assert_int_equal(pipe(pipes), 0);
    struct pollfd fds[2] = {{0}, {pipes[0], POLLIN, 0}};
    gate_prepare(&g);
    gate_park_fds(&g, fds, 2, 1000);
    assert_int_equal(fds[1].revents, 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    gate_prepare(&g);
    gate_park_fds(&g, fds, 2, -1);
    assert_int_equal(fds[1].revents, POLLIN);
    close(pipes[0]), close(pipes[1]);
    gate_done(&g);
}

static void the_ladder_ends(void **state)
{
    (void)state;
    struct ladder l = {0};
    int n = 0;
    while (ladder_climb(&l)) n++;
    assert_int_equal(n, 128);
    ladder_slept(&l, 1000);
    ladder_found(&l);
    for (n = 0; ladder_climb(&l);) n++;
    assert_int_equal(n, 64);
    ladder_slept(&l, 10);
    ladder_found(&l);
    for (n = 0; ladder_climb(&l);) n++;
    assert_int_equal(n, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_is_lost_on_a_futex),
        cmocka_unit_test(no_wake_is_lost_on_an_eventfd),
        cmocka_unit_test(noise_loses_nothing),
        cmocka_unit_test(parked_costs_nothing),
        cmocka_unit_test(descriptors_end_the_wait),
        cmocka_unit_test(the_ladder_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
