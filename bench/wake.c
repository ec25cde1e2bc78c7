/* How long a thread that waits in lam_recv takes to come back, beside a bare futex: the same ring, ladder and gate, one hop, woken
 * after gaps in which it has gone to sleep.
 *     wake [ROUNDS]
 * prints a line of JSON: p50 in microseconds of both sides, their ratio as the median over the rounds, and the share of a core
 * that the waiting thread used. SPDX-License-Identifier: Apache-2.0 */
#include "base/gate.h"
#include "base/ring.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAKES 400
#define GAP_NS 1000000
#define MOST_ROUNDS 99

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)) {}
}

struct side {
    void (*wake)(int64_t now);
    int64_t (*wait)(int i); /* gives what wake was given */
    int64_t took[WAKES], cpu_ns;
};

/* ---- a bare futex ---- */

static _Atomic uint32_t word;
static _Atomic int64_t sent;

static void bare_wake(int64_t now)
{
    atomic_store(&sent, now);
    atomic_fetch_add(&word, 1);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int64_t bare_wait(int i)
{
    while (atomic_load(&word) == (uint32_t)i) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, (uint32_t)i, NULL, NULL, 0);
    return atomic_load(&sent);
}

/* ---- what lam_recv waits with ---- */

static struct ring *ring;
static struct gate gate;
static struct ladder ladder;

static void gate_side_wake(int64_t now)
{
    struct msg m = msg_make(MSG_WATERMARK, 0, 0);
    m.ts = now;
    if (!ring_push(ring, m, 0)) abort();
    gate_wake(&gate);
}

static int64_t gate_side_wait(int i)
{
    struct msg m;
    (void)i;
    while (!ring_pop(ring, &m)) {
        if (ladder_climb(&ladder)) continue;
        gate_prepare(&gate);
        if (ring_pop(ring, &m)) {
            gate_cancel(&gate);
            break;
        }
        int64_t from = clock_ns(CLOCK_MONOTONIC);
        gate_park(&gate, -1);
        ladder_slept(&ladder, (clock_ns(CLOCK_MONOTONIC) - from) / 1000);
    }
    ladder_found(&ladder);
    return m.ts;
}

/* ---- rounds ---- */

static void *waiter(void *arg)
{
    struct side *s = arg;
    int64_t begun = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < WAKES; i++) {
        int64_t at = s->wait(i);
        s->took[i] = clock_ns(CLOCK_MONOTONIC) - at;
    }
    s->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun;
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    return v[n / 2];
}

/* Microseconds, the median of a round. */
static double run(struct side *s)
{
    pthread_t t;
    double us[WAKES];
    atomic_store(&word, 0);
    pthread_create(&t, NULL, waiter, s);
    int64_t at = clock_ns(CLOCK_MONOTONIC) + 10000000;
    for (int i = 0; i < WAKES; i++) {
        sleep_until(at += GAP_NS);
        s->wake(clock_ns(CLOCK_MONOTONIC));
    }
    pthread_join(t, NULL);
    for (int i = 0; i < WAKES; i++) us[i] = (double)s->took[i] / 1e3;
    return median(us, WAKES);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 9;
    double ours[MOST_ROUNDS], bare[MOST_ROUNDS], ratio[MOST_ROUNDS], share = 0;
    if (rounds < 1 || rounds > MOST_ROUNDS) return 2;
    static struct side gate_side = {.wake = gate_side_wake, .wait = gate_side_wait}, bare_side = {.wake = bare_wake, .wait = bare_wait};
    ring = ring_new(512, 1 << 20); /* a waiter that is kept from running misses none */
    if (gate_init(&gate, false, NULL)) return 1;
    for (int i = 0; i < rounds; i++) {
        if (i % 2) bare[i] = run(&bare_side);
        ours[i] = run(&gate_side);
        if (i % 2 == 0) bare[i] = run(&bare_side);
        ratio[i] = ours[i] / bare[i];
        share += (double)gate_side.cpu_ns / ((double)WAKES * GAP_NS) / rounds;
    }
    printf("{\"p50_us\":%.2f,\"bare_p50_us\":%.2f,\"p50_ratio\":%.3f,\"waiter_share\":%.4f}\n", median(ours, rounds), median(bare, rounds),
           median(ratio, rounds), share);
    gate_done(&gate);
    ring_free(ring);
    return 0;
}
