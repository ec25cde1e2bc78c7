/* Everything that the library says of scripts: tell FOLDER <SCRIPTS, separated by lines of ----. Each runs in a database of its own that
 * spills into FOLDER; its statements one by one, also behind one that failed. A script may begin with "-- wait MS": so long it may run.
 * Printed are results, messages, hints and carets, what is logged on any level, the lists of what there is, and the metrics.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>

static void said(void *ctx, int level, const char *message)
{
    (void)ctx;
    fprintf(stderr, "log %d: %s\n", level, message);
}

static void failed(struct lam_session *s)
{
    printf("%s\n%s\n%s\n", lam_errmsg(s), lam_errhint(s), lam_errdetail(s, "told"));
}

static void execute(struct lam_session *s, const char *sql)
{
    size_t at = 0;
    for (int rc; (rc = lam_execute_next(s, sql, &at, NULL)) != LAM_END;)
        if (rc) failed(s);
    if (lam_apply(s)) failed(s);
}

/* Statement by statement, with the rows of each. */
static void show(struct lam_session *s, const char *sql)
{
    size_t at = 0;
    struct ArrowArrayStream rows;
    for (int rc; (rc = lam_execute_next(s, sql, &at, &rows)) != LAM_END;) {
        char *error = NULL;
        if (rc) failed(s);
        if (!rc && rows.release && print_stream(stdout, &rows, PRINT_CSV, false, &error)) printf("%s\n", error);
        free(error);
    }
}

static int64_t wait_of(const char *script)
{
    const char *given = strstr(script, "-- wait ");
    return given ? atoll(given + 8) * 1000 : 0;
}

static void tell(const char *script, const char *folder)
{
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1, .spill_path = folder, .log = said};
    struct lam_db *db;
    struct lam_session *s;
    char *metrics;
    if (lam_open(NULL, &cfg, &db) || lam_session_open(db, &s)) abort();
    execute(s, script);
    if (wait_of(script) && lam_wait(db, s, wait_of(script))) printf("%s\n", lam_errmsg(s));
    show(s, "SHOW TABLES; SHOW SOURCES; SHOW STREAMS; SHOW SINKS; SHOW SUBSCRIPTIONS; SHOW METRICS; SHOW CREATE SOURCE g; SHOW CREATE SOURCE s;"
            "SHOW CREATE SINK s; EXPLAIN STREAM d; SELECT * FROM g LIMIT 1; DROP SINK s DISCARD; DROP SOURCE s CASCADE");
    if (lam_metrics(db, &metrics)) abort();
    puts(metrics);
    lam_free(metrics);
    lam_session_close(s);
    printf("close %d\n", lam_close(db, -1));
}

int main(int argc, char **argv)
{
    size_t n, cap = 16 << 20;
    char *all = malloc(cap), *next;
    if (argc < 2 || !all) return 2;
    n = fread(all, 1, cap - 1, stdin);
    all[n] = 0;
    for (char *script = all; script; script = next) {
        next = strstr(script, "\n----\n");
        if (next) *next = 0, next += 6;
        tell(script, argv[1]);
    }
    free(all);
    return 0;
}
