/* From a row to its result at half of what the machine can do: small pushes through a filter to a subscriber. Closed loop first,
 * to find the capacity; then open loop at half of it, each row carrying the time at which it was due, so that a stall counts for
 * all that waited in it. By turns with both, the gap probe: a thread that does nothing but look at the clock, and counts how
 * long the machine took it away.
 *     half_load [ROUNDS]
 * prints a line of JSON, medians over the rounds. SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <laminar.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS        64 /* a push */
#define PUSHES      20000
#define PROBE_NS    500000000
#define MOST_ROUNDS 99

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct lam_db *db;
static struct lam_session *session;
static struct lam_sub *sub;

static void need(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "half_load: %s: %s %s\n", what, lam_strerror(rc), session ? lam_errmsg(session) : "");
    exit(1);
}

static void open_db(void)
{
    need(lam_open(NULL, NULL, &db), "lam_open");
    need(lam_session_open(db, &session), "lam_session_open");
    need(lam_execute(session, "CREATE SOURCE s (v BIGINT); CREATE STREAM x AS SELECT v, v + 1 AS w FROM s WHERE v > 0;", NULL), "the script");
    need(lam_subscribe(session, "x", NULL, &sub), "lam_subscribe");
}

static void lend_array(struct ArrowArray *a) { a->release = NULL; }
static void lend_schema(struct ArrowSchema *s) { s->release = NULL; }

static void push_rows(int64_t value)
{
    static int64_t cells[ROWS];
    static const void *data[2] = {NULL, cells}, *none[1];
    static struct ArrowArray column, *columns[1] = {&column};
    static struct ArrowSchema field, *fields[1] = {&field}, schema;
    for (int i = 0; i < ROWS; i++) cells[i] = value;
    column = (struct ArrowArray){.length = ROWS, .n_buffers = 2, .buffers = data, .release = lend_array};
    field = (struct ArrowSchema){.format = "l", .name = "v", .release = lend_schema};
    schema = (struct ArrowSchema){.format = "+s", .n_children = 1, .children = fields, .release = lend_schema};
    struct ArrowArray rows = {.length = ROWS, .n_buffers = 1, .buffers = none, .n_children = 1, .children = columns, .release = lend_array};
    need(lam_push(db, "s", &rows, &schema, -1), "lam_push");
}

static int64_t took[PUSHES];

static void *subscriber(void *arg)
{
    (void)arg;
    for (int i = 0; i < PUSHES;) {
        struct ArrowArray a;
        need(lam_recv(sub, &a, -1), "lam_recv");
        int64_t now = now_ns();
        const int64_t *v = (const int64_t *)a.children[0]->buffers[1] + a.children[0]->offset;
        for (int64_t k = 0; k < a.length; k += ROWS) took[i++] = now - v[k];
        a.release(&a);
    }
    return NULL;
}

/* mean_ns 0: as fast as it goes. Returns how long all of it took. */
static int64_t run(double mean_ns, uint64_t seed)
{
    pthread_t thread;
    pthread_create(&thread, NULL, subscriber, NULL);
    int64_t begin = now_ns(), at = begin;
    for (int i = 0; i < PUSHES; i++) {
        if (mean_ns > 0) at += (int64_t)(-mean_ns * log(1 - random_unit(&seed)));
        while (mean_ns > 0 && now_ns() < at) {}
        push_rows(mean_ns > 0 ? at : now_ns());
    }
    pthread_join(thread, NULL);
    return now_ns() - begin;
}

static void probe(double *longest_us, double *gaps_per_s)
{
    int64_t begin = now_ns(), last = begin, longest = 0;
    int gaps = 0;
    for (int64_t now; (now = now_ns()) - begin < PROBE_NS; last = now) {
        if (now - last > longest) longest = now - last;
        gaps += now - last > 100000;
    }
    *longest_us = (double)longest / 1000;
    *gaps_per_s = gaps * 1e9 / PROBE_NS;
}

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

static double at_share(double share)
{
    static double us[PUSHES];
    for (int i = 0; i < PUSHES; i++) us[i] = (double)took[i] / 1000;
    qsort(us, PUSHES, sizeof *us, by_value);
    return us[(int)(share * (PUSHES - 1))];
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 9;
    if (rounds < 1 || rounds > MOST_ROUNDS) return fprintf(stderr, "usage: half_load [ROUNDS], 1 to %d\n", MOST_ROUNDS), 2;
    static double capacity[MOST_ROUNDS], p50[MOST_ROUNDS], p99[MOST_ROUNDS], longest[MOST_ROUNDS], gaps[MOST_ROUNDS];
    open_db();
    run(0, 1); /* warm */
    for (int k = 0; k < rounds; k++) {
        int64_t whole = run(0, 1);
        capacity[k] = (double)PUSHES * ROWS * 1e9 / (double)whole;
        run(2.0 * (double)whole / PUSHES, (uint64_t)k + 2);
        p50[k] = at_share(0.5);
        p99[k] = at_share(0.99);
        probe(&longest[k], &gaps[k]);
    }
    printf("{\"capacity_rows_per_s\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"probe_longest_us\": %.1f, \"probe_gaps_per_s\": %.1f}\n",
           median(capacity, rounds), median(p50, rounds), median(p99, rounds), median(longest, rounds), median(gaps, rounds));
    lam_sub_close(sub);
    lam_session_close(session);
    return lam_close(db, -1) != LAM_OK;
}
