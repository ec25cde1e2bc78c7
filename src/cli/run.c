/* Scripts and commands: execute, print, wait. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PROGRESS_US 250000

/* Where the statement at sql[from] begins, behind blanks and comments. */
static size_t begin_of(const char *sql, size_t from)
{
    for (bool comment = false; sql[from]; from++) {
        if (!comment && sql[from] == '-' && sql[from + 1] == '-') comment = true;
        if (sql[from] == '\n') comment = false;
        if (!comment && !isspace((unsigned char)sql[from])) break;
    }
    return from;
}

/* An error that came with the rows: its place is the statement. */
static void tell_rows_error(const char *file, const char *sql, size_t from, const char *why)
{
    int line = 1, column = 1;
    from = begin_of(sql, from);
    for (size_t i = 0; i < from; i++) {
        column = sql[i] == '\n' ? 1 : column + 1;
        line += sql[i] == '\n';
    }
    fprintf(stderr, "%s:%d:%d: %s\n", file, line, column, why);
}

/* What went wrong with stdout itself; a reader that has gone is no error. */
static int cannot_write(int error)
{
    struct pollfd p = {.fd = 1};
    if (error == EPIPE || (poll(&p, 1, 0) == 1 && p.revents & POLLERR)) return EXIT_OK;
    fprintf(stderr, "laminar: [LAM-5004] cannot write to stdout: %s\n", strerror(error));
    return EXIT_RUN;
}

/* A subscription has no last row, so there is no box around it, and each row is shown as it comes. */
static bool is_subscription(const char *sql, size_t from)
{
    return !strncasecmp(sql + begin_of(sql, from), "SUBSCRIBE", 9);
}

/* What a SUBSCRIBE names, when that is written plainly. For free(). */
static char *subscribed(const char *sql, size_t from)
{
    sql += begin_of(sql, from) + strlen("SUBSCRIBE");
    sql += strspn(sql, " \n\t");
    return strndup(sql, strcspn(sql, " \n\t;\""));
}

static int print_result(struct cli *c, struct ArrowArrayStream *s, const char *file, const char *sql, size_t from)
{
    char *why = NULL;
    bool live = is_subscription(sql, from);
    enum print_format format = live && c->format == PRINT_BOX ? PRINT_TSV : c->format;
    char *stream = live ? subscribed(sql, from) : NULL;
    struct hint *hint = live ? hint_begin(c, stream) : NULL;
    int rc = print_stream(stdout, s, format, live, &why), status = EXIT_OK;
    hint_end(hint);
    free(stream);
    errno = rc;
    if (stop_signal()) {
        status = stop_status();
    } else if (fflush(stdout) || ferror(stdout)) {
        status = cannot_write(errno ? errno : EIO);
    } else if (rc) {
        tell_rows_error(file, sql, from, why ? why : strerror(rc));
        status = EXIT_RUN;
    }
    free(why);
    return status;
}

int run_statements(struct cli *c, const char *file, const char *sql, size_t *results)
{
    size_t at = 0;
    for (int rc;;) {
        struct ArrowArrayStream s = {0};
        size_t from = at;
        rc = lam_execute_next(c->session, sql, &at, &s);
        if (rc == LAM_END) return EXIT_OK;
        if (rc) {
            if (stop_signal()) return stop_status();
            cli_error(c, file);
            return EXIT_RUN;
        }
        if (!s.release) continue;
        ++*results;
        if ((rc = print_result(c, &s, file, sql, from))) return rc;
        if (ferror(stdout)) return EXIT_OK; /* nobody reads any more */
    }
}

/* --print is a sink like any other, made in the same change as the script's streams. */
static int add_print(struct cli *c)
{
    char *sql, *name = cli_identifier(c->print);
    size_t n, at = 0;
    FILE *out = open_memstream(&sql, &n);
    fprintf(out, "CREATE SINK laminar_print FROM %s INTO STDOUT (format = '%s'", name, c->format_name);
    if (c->changelog) fprintf(out, ", changelog = '%s'", c->changelog);
    fputc(')', out);
    fclose(out);
    int rc = lam_execute_next(c->session, sql, &at, NULL);
    free(name);
    free(sql);
    if (!rc) return EXIT_OK;
    fprintf(stderr, "--print %s: ", c->print);
    cli_message(c);
    return EXIT_RUN;
}

static int wait_for_end(struct cli *c)
{
    struct progress p;
    struct hint *hint = c->print ? hint_begin(c, c->print) : NULL;
    progress_begin(&p, c);
    int rc;
    while ((rc = lam_wait(c->db, c->session, p.on ? PROGRESS_US : -1)) == LAM_TIMEOUT && !stop_signal())
        progress_show(&p, c);
    progress_end(&p);
    hint_end(hint);
    if (stop_signal()) return stop_status();
    if (!rc) return EXIT_OK;
    cli_message(c);
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
    return wait_for_end(c);
}

int run_script(struct cli *c)
{
    char *text = c->command ? strdup(c->command) : cli_read(c->script);
    if (!text) return EXIT_RUN;
    int status = cli_open(c);
    if (!status) {
        status = run(c, c->command ? "command" : strcmp(c->script, "-") ? c->script : "stdin", text);
        if (!c->quiet && status != EXIT_RUN) losses_tell(c);
    }
    cli_close(c);
    free(text);
    errno = 0;
    if ((fflush(stdout) || ferror(stdout)) && !status && !stop_signal()) status = cannot_write(errno ? errno : EIO);
    return status;
}
