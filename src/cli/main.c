/* The `laminar` program: options and what to do. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: laminar                        a shell on an in-memory database\n"
    "       laminar run FILE.sql [options] execute a script; - is stdin\n"
    "       laminar -c 'SQL' [options]     execute one command\n"
    "       laminar --help | --version\n"
    "\n"
    "Options:\n"
    "  --print STREAM         print the rows of a source, stream or view to stdout as they come\n"
    "  --live STREAM,...      show streams as a live table, with rates and watermark\n"
    "  --format FORMAT        box, tsv, csv or jsonlines (default: box on a terminal, tsv else)\n"
    "  --eof flush|hold       flush (default): the end of input closes every window; hold: it does not\n"
    "  --on-error fail|skip|null\n"
    "                         what becomes of a row that cannot be decoded or evaluated (default: skip, counted)\n"
    "  --workers N            worker threads (default: 1)\n"
    "  --batch N              most rows of a batch; results do not depend on it\n"
    "  --replay FILE          push the rows of a JSON lines file in their order instead of reading the sources\n"
    "  --spill FOLDER         where sinks that fall behind keep rows, in place of making their streams wait\n"
    "  --changelog op|w       how changes are shown: a column op (+I -U +U -D) or w (1, -1; default)\n"
    "  --set NAME=VALUE       the value of ${NAME} in the script\n"
    "  --quiet                no progress, no warnings\n"
    "\n"
    "Exit status: 0 success, 1 an SQL or run-time error, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM.\n";

/* Numbers of [LAM-NNNN] that the program itself gives. */
#define LAM_E_SYNTAX    1000
#define LAM_E_READ      5003
#define LAM_E_NOT_FOUND 5010

/* ---- helpers ------------------------------------------------------------------------------------ */

double cli_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void cannot_read(const char *path, int code, const char *why)
{
    fprintf(stderr, "laminar: [LAM-%04d] cannot read %s: %s\n", code, strcmp(path, "-") ? path : "stdin", why);
}

char *cli_read(const char *path)
{
    bool is_stdin = !strcmp(path, "-");
    FILE *f = is_stdin ? stdin : fopen(path, "r");
    char *text = NULL;
    size_t n = 0;
    struct stat st;
    if (f && !fstat(fileno(f), &st) && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        if (!is_stdin) fclose(f);
        f = NULL;
    }
    if (!f) {
        cannot_read(path, errno == ENOENT ? LAM_E_NOT_FOUND : LAM_E_READ, strerror(errno));
        return NULL;
    }
    FILE *mem = open_memstream(&text, &n);
    char buf[65536];
    for (size_t got; (got = fread(buf, 1, sizeof buf, f));) fwrite(buf, 1, got, mem);
    bool bad = ferror(f);
    fclose(mem);
    if (!is_stdin) fclose(f);
    if (!bad && !memchr(text, 0, n)) return text;
    cannot_read(path, bad ? LAM_E_READ : LAM_E_SYNTAX, bad ? strerror(errno) : "it holds a NUL byte; SQL is text");
    free(text);
    return NULL;
}

char *cli_identifier(const char *name)
{
    bool plain = *name && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
    size_t n = strlen(name);
    if (plain || (n > 1 && name[0] == '"' && name[n - 1] == '"')) return strdup(name);
    char *quoted = malloc(2 * n + 3), *to = quoted;
    *to++ = '"';
    for (; *name; name++) {
        if (*name == '"') *to++ = '"';
        *to++ = *name;
    }
    strcpy(to, "\"");
    return quoted;
}

void cli_error(struct cli *c, const char *file)
{
    const char *text = lam_errdetail(c->session, file);
    size_t n = strlen(text);
    fflush(stdout);
    fprintf(stderr, "%s%s", text, n && text[n - 1] == '\n' ? "" : "\n");
}

void cli_message(struct cli *c)
{
    const char *hint = lam_errhint(c->session);
    fflush(stdout);
    fprintf(stderr, "%s\n%s%s%s", lam_errmsg(c->session), *hint ? "hint: " : "", hint, *hint ? "\n" : "");
}

/* Errors that lam_wait is going to tell are not told twice. */
static void log_line(void *ctx, int level, const char *message)
{
    const struct cli *c = ctx;
    bool waits = (c->script || c->command) && !c->live;
    static const char *const names[] = {"error", "warning", "note"};
    if (level == 1 || level == 2 || (level == 0 && !waits)) fprintf(stderr, "%s: %s\n", names[level], message);
}

int cli_open(struct cli *c)
{
    c->cfg.size = sizeof c->cfg;
    if (!c->quiet) c->cfg.log = log_line, c->cfg.log_ctx = c;
    int rc = lam_open(NULL, &c->cfg, &c->db);
    if (!rc) rc = lam_session_open(c->db, &c->session);
    for (int i = 0; !rc && i < c->n_vars; i++) rc = lam_set_var(c->session, c->vars[i].name, c->vars[i].value);
    if (rc) fprintf(stderr, "laminar: cannot open a database: %s\n", lam_strerror(rc));
    stop_target(c->session);
    return rc ? EXIT_RUN : EXIT_OK;
}

void cli_close(struct cli *c)
{
    stop_target(NULL);
    if (c->session) lam_session_close(c->session);
    if (c->db) lam_close(c->db, 10000000);
    c->session = NULL;
    c->db = NULL;
}

/* ---- options ------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) _Noreturn static void refuse(const char *fmt, ...)
{
    va_list ap;
    fputs("laminar: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\nTry 'laminar --help'.\n", stderr);
    exit(EXIT_USAGE);
}

static const char *one_of(const char *option, const char *value, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(value, words[i])) return words[i];
    char all[128] = "";
    for (int i = 0; words[i]; i++) {
        size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", words[i]);
    }
    refuse("%s takes one of %s, not \"%s\"", option, all, value);
}

static long number(const char *option, const char *value, long most)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno || end == value || *end || n < 1 || n > most)
        refuse("%s takes a whole number from 1 to %ld, not \"%s\"", option, most, value);
    return n;
}

static void add_var(struct cli *c, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text) refuse("--set takes NAME=VALUE, not \"%s\"", text);
    *equals = 0;
    c->vars = realloc(c->vars, (size_t)(c->n_vars + 1) * sizeof *c->vars);
    c->vars[c->n_vars++] = (struct cli_var){text, equals + 1};
}

static void once(const char **to, const char *name, const char *value)
{
    if (*to) refuse("%s is given twice", name);
    *to = value;
}

static void set_option(struct cli *c, const char *name, char *value)
{
    if (!strcmp(name, "--print"))
        once(&c->print, name, value);
    else if (!strcmp(name, "--live"))
        once(&c->live, name, value);
    else if (!strcmp(name, "--replay"))
        once(&c->replay, name, value), c->cfg.replay = true;
    else if (!strcmp(name, "--format"))
        c->format_name = one_of(name, value, (const char *[]){"box", "tsv", "csv", "json", "jsonl", "jsonlines", NULL});
    else if (!strcmp(name, "--eof"))
        c->cfg.eof_hold = !strcmp(one_of(name, value, (const char *[]){"flush", "hold", NULL}), "hold");
    else if (!strcmp(name, "--on-error"))
        c->cfg.on_error = one_of(name, value, (const char *[]){"fail", "skip", "null", NULL});
    else if (!strcmp(name, "--changelog"))
        c->changelog = one_of(name, value, (const char *[]){"op", "w", NULL});
    else if (!strcmp(name, "--workers"))
        c->cfg.threads = (int)number(name, value, 256);
    else if (!strcmp(name, "--batch"))
        c->cfg.batch_rows = (uint32_t)number(name, value, 1 << 20);
    else if (!strcmp(name, "--spill"))
        c->cfg.spill_path = value;
    else if (!strcmp(name, "--set"))
        add_var(c, value);
    else
        once(&c->command, name, value); /* -c */
}

/* Those that take a value, then those that take none. */
static const char *const options[] = {"--print",     "--live",    "--replay", "--format", "--eof", "--on-error",
                                      "--changelog", "--workers", "--batch",  "--spill",  "--set",    "-c",    "--quiet",
                                      "--help",      "--version", "-q",       "-h",       "-V",    NULL};
#define OPTIONS_WITH_VALUE 12

static bool takes_value(const char *name)
{
    for (int i = 0; i < OPTIONS_WITH_VALUE; i++)
        if (!strcmp(name, options[i])) return true;
    return false;
}

/* Slips that turn one name into the other: letters added, dropped or changed. */
static int slips(const char *a, const char *b)
{
    int row[64], n = (int)strlen(b);
    if (n > 62) return 99;
    for (int i = 0; i <= n; i++) row[i] = i;
    for (int k = 1; *a; a++, k++) {
        int diagonal = row[0];
        row[0] = k;
        for (int i = 1; i <= n; i++) {
            int best = diagonal + (*a != b[i - 1]);
            if (row[i] + 1 < best) best = row[i] + 1;
            if (row[i - 1] + 1 < best) best = row[i - 1] + 1;
            diagonal = row[i];
            row[i] = best;
        }
    }
    return row[n];
}

_Noreturn static void refuse_option(const char *name)
{
    const char *near = NULL;
    int best = 3;
    for (int i = 0; options[i]; i++) {
        int n = options[i][1] == '-' ? slips(name, options[i]) : 99;
        if (n < best) best = n, near = options[i];
    }
    if (near) refuse("unknown option %s; did you mean %s?", name, near);
    refuse("unknown option %s", name);
}

static void flag(struct cli *c, const char *name, bool has_value)
{
    bool known = false;
    for (int i = OPTIONS_WITH_VALUE; options[i]; i++) known |= !strcmp(name, options[i]);
    if (!known) refuse_option(name);
    if (has_value) refuse("%s takes no value", name);
    if (!strcmp(name, "--quiet") || !strcmp(name, "-q")) {
        c->quiet = true;
    } else if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        fputs(usage, stdout);
        exit(EXIT_OK);
    } else {
        printf("laminar %s\n", lam_version());
        exit(EXIT_OK);
    }
}

_Noreturn static void refuse_dir(const char *dir)
{
    fprintf(
        stderr,
        "laminar: database directories are not supported yet, so \"%s\" cannot be opened: state is kept in memory.\n"
        "Leave the directory out, or use 'laminar run FILE.sql' for a script.\n",
        dir);
    exit(EXIT_USAGE);
}

static void parse(struct cli *c, int argc, char **argv)
{
    bool is_run = argc > 1 && !strcmp(argv[1], "run");
    c->cfg.threads = -1;
    for (int i = is_run ? 2 : 1; i < argc; i++) {
        char *equals = strncmp(argv[i], "--", 2) ? NULL : strchr(argv[i], '=');
        if (equals) *equals = 0;
        if (argv[i][0] != '-' || !argv[i][1]) {
            if (!is_run && strcmp(argv[i], "-")) refuse_dir(argv[i]);
            if (c->script) refuse_dir(argv[i]);
            c->script = argv[i];
        } else if (takes_value(argv[i])) {
            if (!equals && i + 1 == argc) refuse("%s needs a value", argv[i]);
            set_option(c, argv[i], equals ? equals + 1 : argv[i + 1]);
            i += !equals;
        } else {
            flag(c, argv[i], equals);
        }
    }
    if (is_run && !c->script) refuse("run needs a script: laminar run FILE.sql");
    if (c->script && c->command) refuse("-c and a script exclude each other");
    if (!c->script && !c->command && !isatty(0)) c->script = "-";
}

/* A standard descriptor that came closed would be given to the next file opened, and be read or written in its place. */
static void keep_standard_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) _exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
    struct cli c = {0};
    keep_standard_descriptors();
    parse(&c, argc, argv);
    if (!c.format_name) c.format_name = isatty(1) ? "box" : "tsv";
    print_format_of(c.format_name, &c.format);
    signal(SIGPIPE, SIG_IGN);
    stop_begin();
    int status = c.script || c.command ? run_script(&c) : shell(&c);
    free(c.vars);
    return status;
}
