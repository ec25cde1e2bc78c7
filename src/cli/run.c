/* Scripts and commands: execute, print, wait. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_US 250000

int run_statements(struct cli *c, const char *file, const char *sql, size_t *results)
{
    size_t at = 0;
    for (int rc;;) {
        struct ArrowArrayStream s = {0};
        char *why = NULL;
        rc = lam_execute_next(c->session, sql, &at, &s);
        if (rc == LAM_END) return EXIT_OK;
        if (rc) {
            if (stop_signal()) return stop_status();
            cli_error(c, file);
            return EXIT_RUN;
        }
        if (!s.release) continue;
        ++*results;
        rc = print_stream(stdout, &s, c->format, &why);
        fflush(stdout);
        if (rc && !stop_signal()) fprintf(stderr, "%s\n", why ? why : strerror(rc));
        free(why);
        if (rc) return stop_signal() ? stop_status() : EXIT_RUN;
    }
}

/* --print is a sink like any other, made in the same change as the script's streams. */
static int add_print(struct cli *c)
{
    char sql[512];
    snprintf(sql, sizeof sql, "CREATE SINK laminar_print FROM %s INTO STDOUT (format = '%s'%s%s%s)", c->print,
             c->format_name, c->changelog ? ", changelog = '" : "", c->changelog ? c->changelog : "",
             c->changelog ? "'" : "");
    size_t at = 0;
    if (!lam_execute_next(c->session, sql, &at, NULL)) return EXIT_OK;
    const char *hint = lam_errhint(c->session);
    fprintf(stderr, "--print %s: %s\n%s%s%s", c->print, lam_errmsg(c->session), *hint ? "hint: " : "", hint,
            *hint ? "\n" : "");
    return EXIT_RUN;
}

static int wait_for_end(struct cli *c, const char *file)
{
    struct progress p;
    progress_begin(&p, c);
    int rc;
    while ((rc = lam_wait(c->db, c->session, p.on ? PROGRESS_US : -1)) == LAM_TIMEOUT && !stop_signal())
        progress_show(&p, c);
    progress_end(&p);
    if (stop_signal()) return stop_status();
    if (!rc) return EXIT_OK;
    cli_error(c, file);
    return EXIT_RUN;
}

/* A script whose streams nobody reads does nothing; say so. */
static void hint_when_silent(struct cli *c)
{
    struct ArrowArrayStream s = {0};
    struct ArrowArray a = {0};
    bool any = false;
    if (lam_execute(c->session, "SHOW SINKS", &s) || !s.release) return;
    while (!s.get_next(&s, &a) && a.release) {
        any |= a.length > 0;
        a.release(&a);
    }
    s.release(&s);
    if (!any) fputs("note: nothing reads the script's streams; add --print STREAM, CREATE SINK or SELECT\n", stderr);
}

static int run(struct cli *c, const char *file, const char *sql)
{
    size_t results = 0;
    int status = run_statements(c, file, sql, &results);
    if (!status && c->print) status = add_print(c);
    if (status) return status;
    if (c->live) return live_run(c);
    int rc = lam_apply(c->session);
    if (!rc && c->replay) rc = lam_replay(c->session, c->replay);
    if (rc && stop_signal()) return stop_status();
    if (rc) {
        cli_error(c, file);
        return EXIT_RUN;
    }
    if (!c->print && !results && !c->quiet && !c->replay) hint_when_silent(c);
    return wait_for_end(c, file);
}

int run_script(struct cli *c)
{
    char *text = c->command ? strdup(c->command) : cli_read(c->script);
    if (!text) return EXIT_RUN;
    int status = cli_open(c);
    if (!status) status = run(c, c->command ? "command" : strcmp(c->script, "-") ? c->script : "stdin", text);
    cli_close(c);
    free(text);
    if (fflush(stdout) && !status && errno != EPIPE) {
        fprintf(stderr, "laminar: cannot write to stdout: %s\n", strerror(errno));
        status = EXIT_RUN;
    }
    return status;
}
