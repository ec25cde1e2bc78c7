/* One thread that polls many subscriptions of one stream: every batch goes to all of them by reference.
 *     fanout [SUBSCRIPTIONS [ROWS]]      rows of a batch
 * prints a line of JSON: deliveries (a batch to a subscription) per CPU second of the polling thread, and of the whole process,
 * pushing and the graph included, beside what a bare loop over as many shared reference counts does.
 * SPDX-License-Identifier: Apache-2.0 */
#include <laminar.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 2
#define MOST_ROWS 8192
#define MANY 16

static struct lam_db *db;
static struct lam_session *session;
static _Atomic bool stop;
static int64_t rows_of_batch = 1000;

static void need(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "fanout: %s: %s %s\n", what, lam_strerror(rc), session ? lam_errmsg(session) : "");
    exit(1);
}

static double cpu_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void lend_array(struct ArrowArray *a) { a->release = NULL; }
static void lend_schema(struct ArrowSchema *s) { s->release = NULL; }

static void *push(void *arg)
{
    static int64_t cells[MOST_ROWS];
    static const void *data[2] = {NULL, cells}, *none[1];
    (void)arg;
    while (!atomic_load(&stop)) {
        struct ArrowArray column = {.length = rows_of_batch, .n_buffers = 2, .buffers = data, .release = lend_array}, *columns[] = {&column};
        struct ArrowSchema field = {.format = "l", .name = "v", .release = lend_schema}, *fields[] = {&field};
        struct ArrowSchema schema = {.format = "+s", .n_children = 1, .children = fields, .release = lend_schema};
        struct ArrowArray rows = {
            .length = rows_of_batch, .n_buffers = 1, .buffers = none, .n_children = 1, .children = columns, .release = lend_array};
        int rc = lam_push(db, "s", &rows, &schema, 100000);
        if (rc != LAM_TIMEOUT) need(rc, "lam_push");
    }
    return NULL;
}

/* What cannot be cheaper: one count up and down for each delivery, on a line of its own. */
static double bare(uint64_t n)
{
    static _Atomic int32_t count;
    double begun = cpu_s(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < n; i++) {
        atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&count, 1, memory_order_acq_rel);
    }
    return (double)n / (cpu_s(CLOCK_THREAD_CPUTIME_ID) - begun);
}

static uint64_t poll_all(struct lam_sub **subs, int n)
{
    uint64_t deliveries = 0;
    for (int i = 0; i < n; i++) {
        struct ArrowArray a[MANY];
        size_t got;
        int rc = lam_poll_many(subs[i], a, MANY, &got);
        if (rc && rc != LAM_EMPTY) need(rc, "lam_poll_many");
        for (size_t k = 0; k < got; k++) a[k].release(&a[k]);
        deliveries += got;
    }
    return deliveries;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 1000;
    if (argc > 2) rows_of_batch = atoi(argv[2]);
    if (n < 1 || rows_of_batch < 1 || rows_of_batch > MOST_ROWS) return 2;
    struct lam_sub **subs = calloc((size_t)n, sizeof *subs);
    need(lam_open(NULL, NULL, &db), "lam_open");
    need(lam_session_open(db, &session), "lam_session_open");
    need(lam_execute(session, "CREATE SOURCE s (v BIGINT); CREATE STREAM x AS SELECT v FROM s WHERE v >= 0;", NULL), "the script");
    for (int i = 0; i < n; i++) need(lam_subscribe(session, "x", NULL, &subs[i]), "lam_subscribe");
    pthread_t pusher;
    pthread_create(&pusher, NULL, push, NULL);
    for (int i = 0; i < 50; i++) poll_all(subs, n); /* warm */
    uint64_t deliveries = 0;
    double own = cpu_s(CLOCK_THREAD_CPUTIME_ID), all = cpu_s(CLOCK_PROCESS_CPUTIME_ID), begun = cpu_s(CLOCK_MONOTONIC), wall;
    do {
        uint64_t got = poll_all(subs, n);
        deliveries += got;
        if (got < (uint64_t)n) usleep(100); /* it has caught up: polling on would measure empty hands */
        wall = cpu_s(CLOCK_MONOTONIC) - begun;
    } while (wall < SECONDS);
    own = cpu_s(CLOCK_THREAD_CPUTIME_ID) - own;
    all = cpu_s(CLOCK_PROCESS_CPUTIME_ID) - all;
    double beside = bare(20000000);
    atomic_store(&stop, true);
    pthread_join(pusher, NULL);
    for (int i = 0; i < n; i++) lam_sub_close(subs[i]);
    printf("{\"subscriptions\":%d,\"rows\":%lld,\"per_core_s\":%.0f,\"per_cpu_s\":%.0f,\"per_wall_s\":%.0f,\"rows_per_core_s\":%.0f,\"bare_per_core_s\":%.0f}\n",
           n, (long long)rows_of_batch, (double)deliveries / own, (double)deliveries / all, (double)deliveries / wall,
           (double)deliveries / own * (double)rows_of_batch, beside);
    free(subs);
    lam_session_close(session);
    need(lam_close(db, -1), "lam_close");
    return 0;
}
