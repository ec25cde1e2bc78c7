/* The shell: statements over several lines, history, a few dot commands. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

struct shell {
    struct cli *c;
    EditLine *el;
    History *history;
    char history_path[4096];
    char *text; /* the statement so far */
    size_t n;
    bool timer, quit;
};

static const char help[] = "Statements end with ; and may take several lines. Ctrl-C cancels, Ctrl-D ends.\n"
                           ".help             this\n"
                           ".mode FORMAT      box, tsv, csv or jsonlines\n"
                           ".quit             end\n"
                           ".read FILE        execute a script\n"
                           ".tables           sources, streams and sinks\n"
                           ".timer on|off     show how long statements take\n";

static char *prompt(EditLine *el)
{
    struct shell *sh;
    el_get(el, EL_CLIENTDATA, &sh);
    return sh->n ? "    ...> " : "laminar> ";
}

/* libedit's own reader tries again after a signal, and Ctrl-C would do nothing the first time. */
static int next_char(EditLine *el, wchar_t *out)
{
    mbstate_t state = {0};
    char byte;
    (void)el;
    for (;;) {
        if (stop_signal() || read(0, &byte, 1) != 1) return -1;
        size_t r = mbrtowc(out, &byte, 1, &state);
        if (r == (size_t)-1)
            memset(&state, 0, sizeof state); /* not a character: left out */
        else if (r != (size_t)-2)
            return 1;
    }
}

static void execute(struct shell *sh, const char *file, const char *sql)
{
    size_t results = 0;
    double begun = cli_now();
    run_statements(sh->c, file, sql, &results);
    if (!stop_signal() && lam_apply(sh->c->session)) cli_error(sh->c, file);
    if (stop_signal() == SIGTERM) sh->quit = true;
    if (stop_signal()) fputs("canceled\n", stderr);
    stop_clear();
    if (sh->timer) printf("%.3f s\n", cli_now() - begun);
}

static void read_script(struct shell *sh, const char *path)
{
    char *text = cli_read(path);
    if (text) execute(sh, path, text);
    free(text);
}

static void dot_command(struct shell *sh, char *line)
{
    char *save, *name = strtok_r(line, " \t\n", &save), *value = strtok_r(NULL, " \t\n", &save);
    if (!strcmp(name, ".quit") || !strcmp(name, ".exit"))
        sh->quit = true;
    else if (!strcmp(name, ".help"))
        fputs(help, stdout);
    else if (!strcmp(name, ".tables"))
        execute(sh, ".tables", "SHOW TABLES; SHOW SINKS;");
    else if (!strcmp(name, ".timer") && value)
        sh->timer = !strcmp(value, "on");
    else if (!strcmp(name, ".mode") && value && print_format_of(value, &sh->c->format))
        return;
    else if (!strcmp(name, ".read") && value)
        read_script(sh, value);
    else
        fprintf(stderr, "%s: not understood; .help lists the commands\n", name);
}

static void append(struct shell *sh, const char *line)
{
    size_t n = strlen(line);
    sh->text = realloc(sh->text, sh->n + n + 1);
    memcpy(sh->text + sh->n, line, n + 1);
    sh->n += n;
}

/* Not in the file, nor for the next key of arrow up: a line is easily shown to others. */
static void remember(struct shell *sh, const char *text)
{
    HistEvent ev;
    if (lam_has_secret(text)) {
        fputs("note: this is not kept in the history, for it holds a secret; ${NAME} takes one from the environment\n", stderr);
        return;
    }
    history(sh->history, &ev, H_ENTER, text);
    if (*sh->history_path) history(sh->history, &ev, H_SAVE, sh->history_path);
}

static void take_line(struct shell *sh, const char *line)
{
    bool blank = !line[strspn(line, " \t\n")];
    if (!sh->n && blank) return;
    if (!sh->n && *line == '.') {
        remember(sh, line);
        char *copy = strdup(line);
        dot_command(sh, copy);
        free(copy);
        return;
    }
    append(sh, line);
    if (lam_incomplete(sh->text)) return;
    remember(sh, sh->text);
    execute(sh, "input", sh->text);
    sh->n = 0;
}

static void loop(struct shell *sh)
{
    while (!sh->quit) {
        int n;
        stop_at_prompt(true);
        errno = 0;
        const char *line = el_gets(sh->el, &n);
        stop_at_prompt(false);
        if (stop_signal() == SIGINT) {
            sh->n = 0; /* the statement is given up */
            stop_clear();
            fputc('\n', stdout);
            el_reset(sh->el);
        } else if (!line || n <= 0) {
            sh->quit = true;
            fputc('\n', stdout);
        } else {
            take_line(sh, line);
        }
    }
}

static void begin(struct shell *sh)
{
    HistEvent ev;
    const char *home = getenv("HOME");
    setlocale(LC_CTYPE, "C.UTF-8"); /* what is typed is UTF-8, as everything here */
    sh->history = history_init();
    history(sh->history, &ev, H_SETSIZE, 1000);
    history(sh->history, &ev, H_SETUNIQUE, 1);
    if (home) snprintf(sh->history_path, sizeof sh->history_path, "%s/.laminar_history", home);
    if (*sh->history_path) history(sh->history, &ev, H_LOAD, sh->history_path);
    sh->el = el_init("laminar", stdin, stdout, stderr);
    el_set(sh->el, EL_CLIENTDATA, sh);
    el_set(sh->el, EL_PROMPT, prompt);
    el_set(sh->el, EL_EDITOR, "emacs");
    el_set(sh->el, EL_SIGNAL, 0);
    el_set(sh->el, EL_GETCFN, next_char);
    el_set(sh->el, EL_HIST, history, sh->history);
    el_source(sh->el, NULL);
}

int shell(struct cli *c)
{
    struct shell sh = {.c = c};
    int status = cli_open(c);
    if (status) return status;
    printf("laminar %s. In memory; .help for help.\n", lam_version());
    begin(&sh);
    loop(&sh);
    el_end(sh.el);
    history_end(sh.history);
    free(sh.text);
    cli_close(c);
    return EXIT_OK;
}
