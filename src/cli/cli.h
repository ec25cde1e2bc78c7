/* What the program's parts share. The program is a customer of include/ only. SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/print.h"
#include "laminar.h"

#include <stdatomic.h>

#define EXIT_OK    0
#define EXIT_RUN   1
#define EXIT_USAGE 2

struct cli_var {
    const char *name, *value;
};

/* The command line. */
struct cli {
    const char *script; /* a path; "-": stdin; NULL: the shell, or `command` */
    const char *command;
    const char *print, *live, *replay, *changelog;
    const char *format_name;
    enum print_format format;
    struct cli_var *vars;
    int n_vars;
    bool quiet;
    struct lam_config cfg;
    struct lam_db *db;
    struct lam_session *session;
};

/* main.c: opens database and session with the options given; says why not. */
int cli_open(struct cli *c);
void cli_close(struct cli *c);
/* The session's last error, with its place in `file`. */
void cli_error(struct cli *c, const char *file);
/* The same without a place: what failed is not at one in the script. */
void cli_message(struct cli *c);
/* All of a file ("-": stdin) with a NUL at its end, for free(); NULL after a message. */
char *cli_read(const char *path);
/* A name of the command line as SQL takes it: as it is when plain or quoted, else quoted. For free(). */
char *cli_identifier(const char *name);
double cli_now(void); /* seconds, monotonic */

/* run.c: `laminar run`, `laminar -c`. Returns the exit status. */
int run_script(struct cli *c);
/* Runs every statement of sql and prints rows; 0, or 1 after a message. stopped: a signal came. */
int run_statements(struct cli *c, const char *file, const char *sql, size_t *results);

/* shell.c */
int shell(struct cli *c);

/* live.c: shows streams as they move until all sources have ended. */
int live_run(struct cli *c);

/* stop.c: SIGINT and SIGTERM end what waits, on a thread of their own; a second one ends the process. */
void stop_begin(void);
void stop_target(struct lam_session *s); /* whose waiting calls are cancelled; NULL: nobody's */
int stop_signal(void);                   /* the signal that came, or 0; SIGPIPE: who read stdout has gone */
int stop_status(void);                   /* the exit status for it */
void stop_clear(void);                   /* the shell goes on after an interrupt */
/* While the shell reads a line, an interrupt is for the reader of the line (a pthread_kill with SIGINT). */
void stop_at_prompt(bool yes);

/* sources.c: how far the sources are, from SHOW SOURCES. */
struct source_state {
    char name[64];
    int64_t rows, watermark_us; /* INT64_MIN: none */
    double percent;             /* < 0: unknown */
};
int sources_state(struct cli *c, struct source_state *out, int max);
/* A line on stderr for everything that was skipped, left out or late. */
void losses_tell(struct cli *c);

/* hint.c: while stream `name` is printed, says once on a terminal why it stays silent. */
struct hint;
struct hint *hint_begin(const struct cli *c, const char *name); /* NULL: there is no terminal */
void hint_end(struct hint *h);                                  /* NULL is allowed */

/* progress.c: one line on stderr while `run` waits; nothing when stderr is no terminal. */
struct progress {
    bool on, shown, color;
    double begun, last;
    int64_t rows;
};
void progress_begin(struct progress *p, const struct cli *c);
void progress_show(struct progress *p, struct cli *c);
void progress_end(struct progress *p);

#endif
