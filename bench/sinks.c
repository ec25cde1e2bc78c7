/* Sinks beside each other.
 *     sinks parallel          8 sinks whose writes take 50 ms, beside one alone: from the push of a row to the end of all
 *     sinks slow [ROUNDS [POLICY]]   rows to a fast sink, a pipe, with and without a neighbour that hangs, by turns with the same gaps;
 *                             with spill or drop_oldest the neighbour's log is full before, so that the policy is at work
 * Prints a line of JSON. SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <fcntl.h>
#include <laminar.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SINKS 8
#define PUSHES 400
#define MEAN_GAP_NS 1000000.0
#define MOST_ROUNDS 99

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct lam_db *db;
static struct lam_session *session;

static void need(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "sinks: %s: %s %s\n", what, lam_strerror(rc), session ? lam_errmsg(session) : "");
    exit(1);
}

static char *spill_path;

static void open_db(const char *sql)
{
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1, .spill_path = spill_path};
    need(lam_open(NULL, &cfg, &db), "lam_open");
    need(lam_session_open(db, &session), "lam_session_open");
    need(lam_execute(session, sql, NULL), "lam_execute");
}

static void close_db(void)
{
    lam_session_close(session);
    session = NULL;
    need(lam_close(db, -1), "lam_close");
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

#define MANY 8192
static int64_t cells[MANY];
static const void *data[] = {NULL, cells}, *row_data[] = {NULL};
static struct ArrowSchema column = {.format = "l", .name = "v"}, *columns[] = {&column}, schema = {.format = "+s", .name = "", .n_children = 1, .children = columns};

static void kept(struct ArrowArray *a) { a->release = NULL; }
static void kept_schema(struct ArrowSchema *s) { s->release = NULL; }

static void push_rows(int64_t n)
{
    struct ArrowArray values = {.length = n, .n_buffers = 2, .buffers = data, .release = kept}, *children[] = {&values};
    struct ArrowArray row = {.length = n, .n_buffers = 1, .buffers = row_data, .n_children = 1, .children = children, .release = kept};
    column.release = schema.release = kept_schema;
    need(lam_push(db, "s", &row, &schema, -1), "lam_push");
}

static void push(int64_t v)
{
    cells[0] = v;
    push_rows(1);
}

/* ---- parallel ---------------------------------------------------------------------------------------------------------- */

static double together(int n)
{
    char sql[4096];
    size_t at = (size_t)snprintf(sql, sizeof sql, "CREATE SOURCE s (v BIGINT);");
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(sql + at, sizeof sql - at, "CREATE SINK z%d FROM s INTO \"mock.blocking\" (script = 'wait 50 ms');", i);
    open_db(sql);
    int64_t from = now_ns();
    push(1);
    need(lam_push_end(db, "s"), "lam_push_end");
    need(lam_wait(db, session, 60000000), "lam_wait");
    double ms = (double)(now_ns() - from) * 1e-6;
    close_db();
    return ms;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static void parallel(void)
{
    double one[9], all[9];
    for (int i = 0; i < 9; i++) {
        one[i] = together(1);
        all[i] = together(SINKS);
    }
    printf("{\"sinks\": %d, \"each_ms\": 50, \"one_ms\": %.2f, \"all_ms\": %.2f}\n", SINKS, middle(one, 9), middle(all, 9));
}

/* ---- beside one that hangs ------------------------------------------------------------------------------------------------ */

struct pipe_end {
    int read, stdout_was;
};

/* The stdout sink writes into a pipe of ours. */
static struct pipe_end take_stdout(void)
{
    int fds[2];
    fflush(stdout);
    struct pipe_end p = {.stdout_was = dup(1)};
    if (p.stdout_was < 0 || pipe(fds) || dup2(fds[1], 1) < 0) exit(1);
    close(fds[1]);
    p.read = fds[0];
    return p;
}

static void give_stdout(struct pipe_end *p)
{
    dup2(p->stdout_was, 1);
    close(p->stdout_was);
    close(p->read);
}

static void read_line(int fd)
{
    char c;
    while (read(fd, &c, 1) == 1 && c != '\n') {}
}

static void sleep_until(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)) {}
}

#define FULL_BYTES (48 << 20) /* more than a log keeps in memory */

/* Rows that the fast sink does not take, so many that the log of one that takes nothing is full. */
static void fill_log(void)
{
    for (int i = 0; i < MANY; i++) cells[i] = PUSHES + i;
    for (int64_t bytes = 0; bytes < FULL_BYTES; bytes += sizeof cells) push_rows(MANY);
}

/* The p99 in microseconds of a row's way to the fast sink. */
static double fast_p99(const int64_t *gaps, bool hanging, const char *policy, double *p50)
{
    struct pipe_end p = take_stdout();
    double took[PUSHES];
    char sql[400];
    size_t n = (size_t)snprintf(sql, sizeof sql, "CREATE SOURCE s (v BIGINT); CREATE SINK fast FROM s WHERE v < %d INTO STDOUT;", PUSHES);
    if (hanging)
        snprintf(sql + n, sizeof sql - n, "CREATE SINK hangs FROM s INTO \"mock.blocking\" (script = 'hang write 1-'%s%s%s)",
                 policy ? ", overflow = '" : "", policy ? policy : "", policy ? "'" : "");
    open_db(sql);
    if (policy) fill_log();
    push(0);
    read_line(p.read); /* the header */
    read_line(p.read);
    int64_t at = now_ns();
    for (int i = 0; i < PUSHES; i++) {
        sleep_until(at += gaps[i]);
        int64_t from = now_ns();
        push(i);
        read_line(p.read);
        took[i] = (double)(now_ns() - from) * 1e-3;
        if (now_ns() > at) at = now_ns();
    }
    close_db();
    give_stdout(&p);
    qsort(took, PUSHES, sizeof *took, by_value);
    *p50 = took[PUSHES / 2];
    return took[PUSHES * 99 / 100];
}

static void slow(int rounds, const char *policy)
{
    double alone[MOST_ROUNDS], beside[MOST_ROUNDS], ratio[MOST_ROUNDS], p50_alone[MOST_ROUNDS], p50_beside[MOST_ROUNDS];
    for (int r = 0; r < rounds; r++) {
        int64_t gaps[PUSHES];
        uint64_t seed = (uint64_t)r + 1;
        for (int i = 0; i < PUSHES; i++) gaps[i] = 100000 - (int64_t)(MEAN_GAP_NS * log(1 - random_unit(&seed)));
        for (int k = 0; k < 2; k++) /* who is first changes with the round */
            if ((r + k) % 2)
                beside[r] = fast_p99(gaps, true, policy, &p50_beside[r]);
            else
                alone[r] = fast_p99(gaps, false, policy, &p50_alone[r]);
        ratio[r] = beside[r] / alone[r];
    }
    printf("{\"policy\": \"%s\", \"alone_p99_us\": %.1f, \"beside_p99_us\": %.1f, \"p99_ratio\": %.3f, \"alone_p50_us\": %.1f, \"beside_p50_us\": %.1f}\n",
           policy ? policy : "default", middle(alone, rounds), middle(beside, rounds), middle(ratio, rounds), middle(p50_alone, rounds), middle(p50_beside, rounds));
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[2]) : 9;
    if (argc > 1 && !strcmp(argv[1], "parallel")) return parallel(), 0;
    if (argc < 2 || strcmp(argv[1], "slow") || rounds < 1 || rounds > MOST_ROUNDS)
        return fputs("usage: sinks parallel | slow [ROUNDS [POLICY]]\n", stderr), 2;
    char folder[] = "/tmp/laminar-sinks.XXXXXX";
    if (argc > 3 && !(spill_path = mkdtemp(folder))) return perror("sinks"), 1;
    slow(rounds, argc > 3 ? argv[3] : NULL);
    if (spill_path) rmdir(spill_path);
    return 0;
}
