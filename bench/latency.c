/* From a row pushed into an idle database to a subscriber, through a filter, beside the same two hops made of bare futexes:
 * pusher -> worker -> subscriber. Open loop: each round draws its gaps once, and both sides take them by turns.
 *     latency [ROUNDS]
 * prints a line of JSON: p50, p90, p99 in microseconds of both sides and the ratios, each the median over the rounds.
 * SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <laminar.h>
#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PUSHES 400
#define MEAN_GAP_NS 1000000.0
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

struct round {
    int64_t gaps[PUSHES], took[PUSHES];
};

static void draw_gaps(struct round *r, uint64_t seed)
{
    for (int i = 0; i < PUSHES; i++) r->gaps[i] = 100000 - (int64_t)(MEAN_GAP_NS * log(1 - random_unit(&seed)));
}

/* ---- the bare chain ------------------------------------------------------------------------------------------------- */

static _Atomic uint32_t first, second;
static _Atomic int64_t sent_ns;

static void bare_wake(_Atomic uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void bare_wait(_Atomic uint32_t *word, uint32_t seen)
{
    while (atomic_load(word) == seen) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void *bare_worker(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < PUSHES; i++) {
        bare_wait(&first, i);
        bare_wake(&second);
    }
    return NULL;
}

static void *bare_subscriber(void *arg)
{
    struct round *r = arg;
    for (uint32_t i = 0; i < PUSHES; i++) {
        bare_wait(&second, i);
        r->took[i] = now_ns() - atomic_load(&sent_ns);
    }
    return NULL;
}

static void run_bare(struct round *r)
{
    pthread_t worker, subscriber;
    atomic_store(&first, 0);
    atomic_store(&second, 0);
    pthread_create(&worker, NULL, bare_worker, NULL);
    pthread_create(&subscriber, NULL, bare_subscriber, r);
    int64_t at = now_ns() + 10000000;
    for (int i = 0; i < PUSHES; i++) {
        sleep_until(at += r->gaps[i]);
        atomic_store(&sent_ns, now_ns());
        bare_wake(&first);
    }
    pthread_join(worker, NULL);
    pthread_join(subscriber, NULL);
}

/* ---- the database ------------------------------------------------------------------------------------------------------ */

static struct lam_db *db;
static struct lam_session *session;
static struct lam_sub *sub;

static void need(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "latency: %s: %s %s\n", what, lam_strerror(rc), session ? lam_errmsg(session) : "");
    exit(1);
}

static void lend_array(struct ArrowArray *a) { a->release = NULL; }
static void lend_schema(struct ArrowSchema *s) { s->release = NULL; }

static void push_row(int64_t value)
{
    static int64_t cell;
    static const void *data[2] = {NULL, &cell}, *none[1];
    static struct ArrowArray column, *columns[1] = {&column};
    static struct ArrowSchema field, *fields[1] = {&field}, schema;
    cell = value; /* lam_push has copied it when it returns */
    column = (struct ArrowArray){.length = 1, .n_buffers = 2, .buffers = data, .release = lend_array};
    field = (struct ArrowSchema){.format = "l", .name = "v", .release = lend_schema};
    schema = (struct ArrowSchema){.format = "+s", .n_children = 1, .children = fields, .release = lend_schema};
    struct ArrowArray rows = {.length = 1, .n_buffers = 1, .buffers = none, .n_children = 1, .children = columns, .release = lend_array};
    need(lam_push(db, "s", &rows, &schema, -1), "lam_push");
}

static void *subscriber(void *arg)
{
    struct round *r = arg;
    for (int i = 0; i < PUSHES;) {
        struct ArrowArray a;
        need(lam_recv(sub, &a, -1), "lam_recv");
        int64_t now = now_ns();
        const int64_t *v = a.children[0]->buffers[1];
        for (int64_t k = 0; k < a.length; k++) r->took[i++] = now - v[a.children[0]->offset + k];
        a.release(&a);
    }
    return NULL;
}

static void open_db(void)
{
    need(lam_open(NULL, NULL, &db), "lam_open");
    need(lam_session_open(db, &session), "lam_session_open");
    need(lam_execute(session, "CREATE SOURCE s (v BIGINT); CREATE STREAM x AS SELECT v FROM s WHERE v > 0;", NULL), "the script");
    need(lam_subscribe(session, "x", NULL, &sub), "lam_subscribe");
}

static void run_laminar(struct round *r)
{
    pthread_t thread;
    pthread_create(&thread, NULL, subscriber, r);
    int64_t at = now_ns() + 10000000;
    for (int i = 0; i < PUSHES; i++) {
        sleep_until(at += r->gaps[i]);
        push_row(now_ns());
    }
    pthread_join(thread, NULL);
}

/* ---- figures -------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_share(const struct round *r, double share)
{
    double us[PUSHES];
    for (int i = 0; i < PUSHES; i++) us[i] = (double)r->took[i] / 1000;
    qsort(us, PUSHES, sizeof *us, by_value);
    return us[(int)(share * (PUSHES - 1))];
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 9;
    if (rounds < 1 || rounds > MOST_ROUNDS) return fprintf(stderr, "usage: latency [ROUNDS], 1 to %d\n", MOST_ROUNDS), 2;
    static const double shares[] = {0.5, 0.9, 0.99};
    static double ours[3][MOST_ROUNDS], bare[3][MOST_ROUNDS], ratio[3][MOST_ROUNDS];
    struct round r;
    open_db();
    draw_gaps(&r, 1);
    run_laminar(&r); /* warm */
    for (int k = 0; k < rounds; k++) {
        draw_gaps(&r, (uint64_t)k + 2);
        run_bare(&r);
        for (int s = 0; s < 3; s++) bare[s][k] = at_share(&r, shares[s]);
        run_laminar(&r);
        for (int s = 0; s < 3; s++) {
            ours[s][k] = at_share(&r, shares[s]);
            ratio[s][k] = ours[s][k] / bare[s][k];
        }
    }
    static const char *const names[] = {"p50", "p90", "p99"};
    printf("{");
    for (int s = 0; s < 3; s++)
        printf("%s\"%s_us\":%.1f,\"bare_%s_us\":%.1f,\"%s_ratio\":%.2f", s ? "," : "", names[s], median(ours[s], rounds), names[s],
               median(bare[s], rounds), names[s], median(ratio[s], rounds));
    printf("}\n");
    lam_sub_close(sub);
    lam_session_close(session);
    return lam_close(db, -1);
}
