/* The longest gap in one stream's output while other streams and sinks are created, replaced and dropped on the same source,
 * beside the longest gap of a probe: two bare threads, one of which wakes the other at the same pace and the same time.
 *     change [ROUNDS]
 * prints a line of JSON: gaps in milliseconds, each the median over the rounds, and how many changes there were in a second.
 * SPDX-License-Identifier: Apache-2.0 */
#include <laminar.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PACE_NS 250000
#define ROWS 100
#define ROUND_NS 1500000000
#define MOST_ROUNDS 99

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)) {}
}

static _Atomic bool stop;

/* Between two beats. */
struct gap {
    int64_t last, longest;
};

static void beat(struct gap *g)
{
    int64_t now = now_ns();
    if (g->last && now - g->last > g->longest) g->longest = now - g->last;
    g->last = now;
}

/* ---- the probe ------------------------------------------------------------------------------------------------------- */

static _Atomic uint32_t word;

static void *probe_waker(void *arg)
{
    (void)arg;
    for (int64_t at = now_ns(); !atomic_load(&stop);) {
        sleep_until(at += PACE_NS);
        atomic_fetch_add(&word, 1);
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    atomic_fetch_add(&word, 1);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return NULL;
}

static void *probe_waiter(void *arg)
{
    for (uint32_t seen = atomic_load(&word); !atomic_load(&stop);) {
        while (atomic_load(&word) == seen) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        seen = atomic_load(&word);
        beat(arg);
    }
    return NULL;
}

/* ---- the database ------------------------------------------------------------------------------------------------------ */

static struct lam_db *db;
static struct lam_session *session;
static struct lam_sub *sub;

static void need(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "change: %s: %s %s\n", what, lam_strerror(rc), session ? lam_errmsg(session) : "");
    exit(1);
}

static void run(const char *sql) { need(lam_execute(session, sql, NULL), sql); }

static void lend_array(struct ArrowArray *a) { a->release = NULL; }
static void lend_schema(struct ArrowSchema *s) { s->release = NULL; }

static void push_rows(void)
{
    static int64_t cells[ROWS];
    static const void *data[2] = {NULL, cells}, *none[1];
    static struct ArrowArray column, *columns[1] = {&column};
    static struct ArrowSchema field, *fields[1] = {&field}, schema;
    for (int i = 0; i < ROWS; i++) cells[i]++;
    column = (struct ArrowArray){.length = ROWS, .n_buffers = 2, .buffers = data, .release = lend_array};
    field = (struct ArrowSchema){.format = "l", .name = "v", .release = lend_schema};
    schema = (struct ArrowSchema){.format = "+s", .n_children = 1, .children = fields, .release = lend_schema};
    struct ArrowArray rows = {.length = ROWS, .n_buffers = 1, .buffers = none, .n_children = 1, .children = columns, .release = lend_array};
    need(lam_push(db, "s", &rows, &schema, -1), "lam_push");
}

static void *pusher(void *arg)
{
    (void)arg;
    for (int64_t at = now_ns(); !atomic_load(&stop);) {
        sleep_until(at += PACE_NS);
        push_rows();
    }
    push_rows(); /* the subscriber sees that it is over */
    return NULL;
}

static void *subscriber(void *arg)
{
    while (!atomic_load(&stop)) {
        struct ArrowArray a;
        need(lam_recv(sub, &a, -1), "lam_recv");
        a.release(&a);
        beat(arg);
    }
    return NULL;
}

static void open_db(void)
{
    need(lam_open(NULL, NULL, &db), "lam_open");
    need(lam_session_open(db, &session), "lam_session_open");
    run("CREATE SOURCE s (v BIGINT); CREATE STREAM other AS SELECT v FROM s WHERE v > 0; CREATE SINK keep FROM other INTO BLACKHOLE;");
    need(lam_subscribe(session, "other", NULL, &sub), "lam_subscribe");
}

/* Five changes of the graph. */
static void change(void)
{
    run("CREATE STREAM a AS SELECT v + 1 AS v FROM s WHERE v % 3 = 0; CREATE SINK b FROM a INTO BLACKHOLE;");
    run("CREATE SINK c FROM other WHERE v > 5 INTO BLACKHOLE;");
    run("CREATE OR REPLACE STREAM a AS SELECT v + 2 AS v FROM s WHERE v % 5 = 0;");
    run("DROP SINK c;");
    run("DROP SINK b; DROP STREAM a;");
}

static int round_of(struct gap *ours, struct gap *probe)
{
    static void *(*const work[])(void *) = {probe_waiter, probe_waker, subscriber, pusher};
    void *args[] = {probe, NULL, ours, NULL};
    pthread_t threads[4];
    int changes = 0;
    atomic_store(&stop, false);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work[i], args[i]);
    for (int64_t until = now_ns() + ROUND_NS; now_ns() < until; changes += 5) {
        change();
        sleep_until(now_ns() + 10000000);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return changes;
}

/* ---- figures -------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 9, changes = 0;
    if (rounds < 1 || rounds > MOST_ROUNDS) return fprintf(stderr, "usage: change [ROUNDS], 1 to %d\n", MOST_ROUNDS), 2;
    static double ours[MOST_ROUNDS], probe[MOST_ROUNDS], over[MOST_ROUNDS];
    open_db();
    for (int k = 0; k < rounds; k++) {
        struct gap a = {0}, b = {0};
        changes += round_of(&a, &b);
        ours[k] = (double)a.longest / 1e6;
        probe[k] = (double)b.longest / 1e6;
        over[k] = ours[k] - probe[k];
    }
    printf("{\"gap_ms\":%.2f,\"probe_ms\":%.2f,\"over_ms\":%.2f,\"changes_per_s\":%.0f}\n", median(ours, rounds), median(probe, rounds),
           median(over, rounds), changes / (rounds * (ROUND_NS / 1e9)));
    lam_sub_close(sub);
    lam_session_close(session);
    return lam_close(db, -1);
}
