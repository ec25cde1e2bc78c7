/* Rows in memory pushed through a database.
 *     push filter FLIGHTS [OUT]      filter and project; the rows go to a blackhole, ten times over
 *     push daily FLIGHTS [OUT]       the daily aggregate of the flights query
 *     push open                      from nothing to the first result
 * Each line on stdin asks for one round in a database of its own; a line of JSON answers it. With OUT: one round, whose
 * rows go to that CSV file, to be compared before anything is timed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "flights.h"
#include "round.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS 8192

struct load {
    const char *name;
    int passes; /* over the rows; event time may not go back under a watermark */
    const char *script;
};

#define FLIGHTS "ts TIMESTAMP, delay BIGINT, distance BIGINT, origin VARCHAR, destination VARCHAR"

static const struct load loads[] = {
    {"filter", 10,
     "CREATE SOURCE flights (" FLIGHTS ");"
     "CREATE STREAM result AS SELECT ts, origin, delay, distance * 2 AS both_ways FROM flights WHERE delay > 15;"},
    {"daily", 1,
     "CREATE SOURCE flights (" FLIGHTS ", WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE);"
     "CREATE STREAM result AS SELECT window_start, origin, COUNT(*) AS flights, SUM(delay) AS delay_sum, MIN(delay) AS "
     "delay_min,"
     " MAX(delay) AS delay_max, AVG(distance) AS distance_avg FROM flights GROUP BY origin, TUMBLE(ts, INTERVAL '1' "
     "DAY)"
     " EMIT ON WINDOW CLOSE;"},
};

static struct lam_db *db;
static struct lam_session *session;

static void need(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "push: %s: %s %s\n", what, lam_strerror(rc), session ? lam_errmsg(session) : "");
    exit(1);
}

static void open_db(void)
{
    need(lam_open(NULL, NULL, &db), "lam_open");
    need(lam_session_open(db, &session), "lam_session_open");
}

static void close_db(void)
{
    lam_session_close(session);
    session = NULL;
    need(lam_close(db, -1), "lam_close");
}

static void start(const struct load *load, const char *out)
{
    char sink[1024];
    snprintf(sink, sizeof sink,
             out ? "CREATE SINK out FROM result INTO FILE (path = '%s', format = 'csv')"
                 : "CREATE SINK out FROM result INTO BLACKHOLE",
             out);
    open_db();
    need(lam_execute(session, load->script, NULL), "the script");
    need(lam_execute(session, sink, NULL), "the sink");
}

static void push_all(const struct flights *f, int passes)
{
    for (int k = 0; k < passes; k++)
        for (int i = 0; i < f->n; i++) {
            struct ArrowArray a = f->batches[i];
            need(lam_push(db, "flights", &a, &f->schema, -1), "lam_push");
        }
    need(lam_push_end(db, "flights"), "lam_push_end");
    need(lam_wait(db, session, -1), "lam_wait");
}

static void round_push(const struct flights *f, const struct load *load)
{
    start(load, NULL);
    struct round round = round_begin();
    push_all(f, load->passes);
    round_end(&round);
    close_db();
    round_print(&round, (uint64_t)(f->rows * load->passes), "");
}

static void round_open(void)
{
    struct ArrowArrayStream s = {0};
    struct ArrowArray a = {0};
    struct round round = round_begin();
    open_db();
    need(lam_execute(session, "SELECT 1", &s), "SELECT 1");
    need(s.get_next(&s, &a), "get_next");
    round_end(&round);
    uint64_t rows = (uint64_t)a.length;
    if (a.release) a.release(&a);
    s.release(&s);
    close_db();
    round_print(&round, rows, "");
}

static const struct load *find_load(const char *name)
{
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        if (!strcmp(loads[i].name, name)) return &loads[i];
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "open")) {
        while (round_next()) round_open();
        return 0;
    }
    const struct load *load = argc > 2 ? find_load(argv[1]) : NULL;
    if (!load) {
        fprintf(stderr, "usage: push filter|daily FLIGHTS [OUT], push open\n");
        return 2;
    }
    struct flights f;
    flights_read(&f, argv[2], BATCH_ROWS);
    if (argc > 3) {
        start(load, argv[3]);
        push_all(&f, 1);
        close_db();
        return 0;
    }
    while (round_next()) round_push(&f, load);
    return 0;
}
