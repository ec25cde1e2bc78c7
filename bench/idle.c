/* What an idle database costs: QUERIES streams that have seen rows and wait for more, each with a sink, half of them windows.
 *     idle [SECONDS [QUERIES]]
 * prints a line of JSON: processor seconds a minute and context switches a second of the whole process, while nothing comes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <laminar.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static struct lam_db *db;
static struct lam_session *session;

static void need(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "idle: %s: %s %s\n", what, lam_strerror(rc), session ? lam_errmsg(session) : "");
    exit(1);
}

static void start(int queries)
{
    char sql[600];
    need(lam_open(NULL, NULL, &db), "lam_open");
    need(lam_session_open(db, &session), "lam_session_open");
    need(lam_execute(session, "CREATE SOURCE s (v BIGINT, ts BIGINT, WATERMARK FOR ts)", NULL), "the source");
    for (int i = 0; i < queries; i++) {
        snprintf(sql, sizeof sql,
                 i % 2 ? "CREATE STREAM q%d AS SELECT v FROM s WHERE v > %d; CREATE SINK o%d FROM q%d INTO BLACKHOLE;"
                       : "CREATE STREAM q%d AS SELECT v %% %d AS k, COUNT(*) AS n FROM s GROUP BY v %% %d, TUMBLE(ts, INTERVAL '1' SECOND);"
                         "CREATE SINK o%d FROM q%d INTO BLACKHOLE;",
                 i, i + 1, i % 2 ? i : i + 1, i, i);
        need(lam_execute(session, sql, NULL), sql);
    }
}

static void lend_array(struct ArrowArray *a) { a->release = NULL; }
static void lend_schema(struct ArrowSchema *s) { s->release = NULL; }

#define ROWS 1000

static void push_some(void)
{
    static int64_t v[ROWS], ts[ROWS];
    static const void *data[2][2] = {{NULL, v}, {NULL, ts}}, *none[1];
    struct ArrowArray columns[2], *children[2] = {&columns[0], &columns[1]};
    struct ArrowSchema fields[2], *named[2] = {&fields[0], &fields[1]};
    for (int i = 0; i < ROWS; i++) v[i] = i, ts[i] = i * 10;
    for (int i = 0; i < 2; i++) {
        columns[i] = (struct ArrowArray){.length = ROWS, .n_buffers = 2, .buffers = data[i], .release = lend_array};
        fields[i] = (struct ArrowSchema){.format = "l", .name = i ? "ts" : "v", .release = lend_schema};
    }
    struct ArrowSchema schema = {.format = "+s", .n_children = 2, .children = named, .release = lend_schema};
    struct ArrowArray rows = {.length = ROWS, .n_buffers = 1, .buffers = none, .n_children = 2, .children = children, .release = lend_array};
    need(lam_push(db, "s", &rows, &schema, -1), "lam_push");
    need(lam_drain(db, -1), "lam_drain");
}

static double cpu_s(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 10, queries = argc > 2 ? atoi(argv[2]) : 100;
    struct rusage a, b;
    start(queries);
    push_some();
    sleep(1);
    getrusage(RUSAGE_SELF, &a);
    sleep((unsigned)seconds);
    getrusage(RUSAGE_SELF, &b);
    printf("{\"queries\": %d, \"cpu_s_per_min\": %.6f, \"switches_per_s\": %.2f}\n", queries, (cpu_s(&b) - cpu_s(&a)) * 60 / seconds,
           (double)(b.ru_nvcsw + b.ru_nivcsw - a.ru_nvcsw - a.ru_nivcsw) / seconds);
    lam_session_close(session);
    return lam_close(db, -1) != LAM_OK;
}
