/* The test language: reads a file item by item and drives the public API. SPDX-License-Identifier: Apache-2.0 */
#include "slt.h"

#include "cli/grid.h"
#include "cli/print.h"
#include "feed.h"
#include "rows.h"
#include "slt_hooks.h"

#include <ctype.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COLLECTORS 16
#define SLICE_US   20000 /* how long one call may wait before the collectors are emptied */

struct collector {
    char name[64];
    struct lam_sub *sub;
    struct ArrowSchema schema;
    struct rows_text rows;
    bool ended;
};

struct mark { /* a checkpoint */
    char name[32];
    uint64_t epoch;
};
#define MARKS 16

struct slt {
    const char *path;
    const struct slt_way *way;
    FILE *why;
    char **lines;
    size_t n, at;
    char dir[64];
    struct lam_config cfg;
    struct lam_db *db;
    struct lam_session *session;
    struct collector collectors[COLLECTORS];
    struct mark marks[MARKS];
    int n_marks;
    int n_collectors, failures;
    bool virtual_clock;
    int push_error; /* what the feed at hand must meet, or 0 */
};

/* ---- telling ---------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void fail(struct slt *t, const char *fmt, ...)
{
    va_list ap;
    t->failures++;
    fprintf(t->why, "  %s:%zu: ", t->path, t->at);
    va_start(ap, fmt);
    vfprintf(t->why, fmt, ap);
    va_end(ap);
    fputc('\n', t->why);
}

static void fail_rc(struct slt *t, const char *what, int rc)
{
    const char *text = rc > 0 && t->session ? lam_errmsg(t->session) : "";
    fail(t, "%s: %s%s%s", what, lam_strerror(rc), *text ? ": " : "", text);
}

/* ---- the database -------------------------------------------------------------------------------------- */

static bool open_db(struct slt *t)
{
    if (t->db) return true;
    t->cfg.size = sizeof t->cfg;
    if (!t->cfg.batch_rows) t->cfg.batch_rows = t->way->batch;
    int rc = hook_open(&t->cfg, t->way, t->virtual_clock, &t->db);
    if (!rc) rc = lam_session_open(t->db, &t->session);
    if (!rc) rc = lam_set_var(t->session, "TMP", t->dir);
    if (rc) fail(t, "cannot open a database: %s", lam_strerror(rc));
    return !rc;
}

static void free_collector(struct collector *c)
{
    lam_sub_close(c->sub);
    if (c->schema.release) c->schema.release(&c->schema);
    rows_clear(&c->rows);
}

static void close_db(struct slt *t)
{
    for (int i = 0; i < t->n_collectors; i++) free_collector(&t->collectors[i]);
    t->n_collectors = 0;
    if (t->session) lam_session_close(t->session);
    if (t->db && lam_close(t->db, 10000000)) fail(t, "lam_close left something behind");
    t->session = NULL;
    t->db = NULL;
    t->cfg = (struct lam_config){0};
}

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static int64_t deadline(void)
{
    const char *s = getenv("SLT_TIMEOUT");
    return now_us() + (s ? atoll(s) : 20) * 1000000;
}

/* Takes what has come, so that no stream waits for its collector. */
static void pump(struct slt *t)
{
    struct ArrowArray a;
    for (int i = 0; i < t->n_collectors; i++) {
        struct collector *c = &t->collectors[i];
        int rc = 0;
        while (!c->ended && !(rc = lam_poll(c->sub, &a))) {
            rows_add_array(&c->rows, &c->schema, &a);
            a.release(&a);
        }
        c->ended |= rc == LAM_END;
    }
}

static bool all_ended(const struct slt *t)
{
    for (int i = 0; i < t->n_collectors; i++)
        if (!t->collectors[i].ended) return false;
    return true;
}

static bool drain(struct slt *t)
{
    int rc;
    int64_t until = deadline();
    while ((rc = lam_drain(t->db, SLICE_US)) == LAM_TIMEOUT && now_us() < until) pump(t);
    pump(t);
    if (rc) fail_rc(t, "drain", rc);
    return !rc;
}

/* LAM_OK, LAM_TIMEOUT, or the error of a component. */
static int wait_all(struct slt *t)
{
    int rc;
    int64_t until = deadline();
    while ((rc = lam_wait(t->db, t->session, SLICE_US)) == LAM_TIMEOUT && now_us() < until) pump(t);
    for (pump(t); !rc && !all_ended(t); pump(t)) {
        if (now_us() > until) return LAM_TIMEOUT;
        lam_drain(t->db, SLICE_US);
    }
    return rc;
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

static const char *peek(const struct slt *t)
{
    return t->at < t->n ? t->lines[t->at] : NULL;
}

static bool blank(const char *s)
{
    return !s[strspn(s, " \t\r")];
}

/* Lines up to a blank one or ----, joined; free() it. *more: a ---- block follows. */
static char *take_sql(struct slt *t, bool *more)
{
    char *sql;
    size_t n;
    FILE *f = open_memstream(&sql, &n);
    while (peek(t) && !blank(peek(t)) && strcmp(peek(t), "----")) fprintf(f, "%s\n", t->lines[t->at++]);
    fclose(f);
    *more = peek(t) && !strcmp(peek(t), "----");
    t->at += *more;
    return sql;
}

static struct rows_text take_rows(struct slt *t)
{
    struct rows_text r = {0};
    while (peek(t) && !blank(peek(t))) rows_add(&r, t->lines[t->at++]);
    return r;
}

/* Lines up to EOF alone, or to a blank line when there is none. */
static void take_content(struct slt *t, FILE *to)
{
    while (peek(t) && strcmp(peek(t), "EOF")) fprintf(to, "%s\n", t->lines[t->at++]);
    t->at += peek(t) != NULL;
}

static char *word(char **rest)
{
    char *s = *rest + strspn(*rest, " \t");
    size_t n = strcspn(s, " \t");
    *rest = s + n + (s[n] != 0);
    s[n] = 0;
    return s;
}

/* ---- statements ------------------------------------------------------------------------------------------------ */

/* Runs sql and takes its rows; 0 or the error, whose text is then in *text (free it). */
static int execute(struct slt *t, const char *sql, struct rows_text *rows, struct ArrowArrayStream *keep, char **text)
{
    struct ArrowArrayStream s = {0};
    struct ArrowSchema x;
    struct ArrowArray a;
    *text = NULL;
    int rc = lam_execute(t->session, sql, rows || keep ? &s : NULL);
    if (rc) {
        if (asprintf(text, "%s\n%s\n%s", lam_errmsg(t->session), lam_errhint(t->session),
                     lam_errdetail(t->session, "test.sql")) < 0)
            abort();
        return rc;
    }
    if (keep) {
        *keep = s;
        return 0;
    }
    if (!s.release) return 0;
    if (!(rc = s.get_schema(&s, &x))) {
        while (!(rc = s.get_next(&s, &a)) && a.release) {
            rows_add_array(rows, &x, &a);
            a.release(&a);
        }
        x.release(&x);
    }
    const char *why = rc ? s.get_last_error(&s) : NULL;
    if (rc) *text = strdup(why ? why : "");
    s.release(&s);
    return rc;
}

static bool looks_like_sqlstate(const char *w)
{
    return strlen(w) == 5 && strspn(w, "0123456789ABCDEFPXF") == 5 && strpbrk(w, "0123456789");
}

static void check_error(struct slt *t, char *words, const char *text)
{
    while (*words) {
        char *w = word(&words);
        if (!*w) continue;
        bool ok =
            looks_like_sqlstate(w) ? !strcmp(w, lam_sqlstate(t->session)) || strstr(text, w) : strstr(text, w) != NULL;
        if (!ok) fail(t, "the error has no %s: %s (SQLSTATE %s)", w, text, lam_sqlstate(t->session));
    }
}

static void check_error_lines(struct slt *t, const char *text)
{
    struct rows_text want = take_rows(t);
    for (size_t i = 0; i < want.n; i++) {
        char *line = want.v[i];
        if (!strncmp(line, "SQLSTATE ", 9))
            check_error(t, line + 9, text);
        else if (!strstr(text, line))
            fail(t, "the error does not say: %s\n    but: %s", line, text);
    }
    rows_clear(&want);
}

static void do_statement(struct slt *t, char *rest)
{
    bool more, want_error = !strcmp(word(&rest), "error");
    char *sql = take_sql(t, &more), *text = NULL;
    struct rows_text rows = {0};
    int rc = open_db(t) ? execute(t, sql, &rows, NULL, &text) : 0;
    if (rc && !want_error) fail(t, "%s", text);
    if (!rc && want_error) fail(t, "no error came from: %s", sql);
    if (rc && want_error) {
        check_error(t, rest, text);
        if (more) check_error_lines(t, text);
    }
    rows_clear(&rows);
    free(text);
    free(sql);
}

static void compare(struct slt *t, struct rows_text *want, struct rows_text *got, const char *types, bool sort)
{
    if (sort) rows_sort(want), rows_sort(got);
    if (rows_equal(want, got, types)) return;
    fail(t, "rows differ");
    rows_print(t->why, "expected", want);
    rows_print(t->why, "got", got);
}

static void do_query(struct slt *t, char *rest)
{
    bool more;
    char *types = word(&rest), *sort = word(&rest), *sql, *text = NULL;
    if (!strcmp(types, "error")) {
        do_statement(t, (char[]){"error"});
        return;
    }
    sql = take_sql(t, &more);
    struct rows_text want = take_rows(t), got = {0};
    int rc = open_db(t) ? execute(t, sql, &got, NULL, &text) : -1;
    if (rc)
        fail(t, "%s\n    in: %s", text ? text : "", sql);
    else
        compare(t, &want, &got, types, !strcmp(sort, "rowsort"));
    rows_clear(&want);
    rows_clear(&got);
    free(text);
    free(sql);
}

/* ---- boxes, for pages ------------------------------------------------------------------------------------------- */

/* Lines without blanks at their ends. */
static struct rows_text lines_of(const char *text)
{
    struct rows_text r = {0};
    char *copy = strdup(text), *save = NULL;
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        for (size_t n = strlen(line); n && line[n - 1] == ' '; n--) line[n - 1] = 0;
        rows_add(&r, line);
    }
    free(copy);
    return r;
}

/* sort: groups of a stream come in any order. */
static void compare_box(struct slt *t, const char *text, bool sort)
{
    struct rows_text want = take_rows(t), got = lines_of(text);
    if (sort) rows_sort(&want), rows_sort(&got);
    if (!rows_equal(&want, &got, "")) {
        fail(t, "output differs");
        rows_print(t->why, "expected", &want);
        rows_print(t->why, "got", &got);
    }
    rows_clear(&want);
    rows_clear(&got);
}

static void do_show(struct slt *t, char *rest)
{
    (void)rest;
    bool more;
    char *sql = take_sql(t, &more), *text = NULL, *box = NULL;
    size_t n;
    struct ArrowArrayStream s = {0};
    int rc = open_db(t) ? execute(t, sql, NULL, &s, &text) : -1;
    if (rc || !s.release) {
        struct rows_text unread = take_rows(t);
        fail(t, "%s", text ? text : "no rows");
        rows_clear(&unread);
    } else {
        FILE *f = open_memstream(&box, &n);
        rc = print_stream(f, &s, PRINT_BOX, false, &text);
        fclose(f);
        compare_box(t, rc ? text : box, false);
    }
    free(box);
    free(text);
    free(sql);
}

static void do_print(struct slt *t, char *rest)
{
    struct lam_sub *sub;
    struct ArrowSchema x;
    struct ArrowArray a;
    char *box;
    size_t n;
    int rc = open_db(t) ? lam_subscribe(t->session, word(&rest), NULL, &sub) : -1;
    if (rc) {
        fail_rc(t, "print", rc);
        return;
    }
    lam_sub_schema(sub, &x);
    struct grid *table = grid_new(&x);
    while (!(rc = lam_recv(sub, &a, 10000000))) {
        grid_add(table, &x, &a);
        a.release(&a);
    }
    if (rc != LAM_END) fail_rc(t, "print", rc);
    FILE *f = open_memstream(&box, &n);
    grid_print(f, table);
    fclose(f);
    grid_free(table);
    x.release(&x);
    lam_sub_close(sub);
    compare_box(t, box, true);
    free(box);
}

/* ---- files, variables, options ----------------------------------------------------------------------------------- */

static void do_file(struct slt *t, char *rest)
{
    FILE *f = fopen(word(&rest), "w");
    if (!f) {
        fail(t, "cannot write the file");
        return;
    }
    take_content(t, f);
    fclose(f);
}

static void do_sinkfile(struct slt *t, char *rest)
{
    const char *name = word(&rest), *sort = word(&rest);
    struct rows_text want = take_rows(t), got = {0};
    char *line = NULL;
    size_t cap = 0;
    int rc = open_db(t) ? wait_all(t) : -1;
    if (rc) fail_rc(t, "wait", rc);
    FILE *f = fopen(name, "r");
    if (!f) fail(t, "there is no file %s", name);
    for (ssize_t n; f && (n = getline(&line, &cap, f)) >= 0;) {
        if (n && line[n - 1] == '\n') line[n - 1] = 0;
        rows_add(&got, line);
    }
    if (f) {
        fclose(f);
        compare(t, &want, &got, "", !strcmp(sort, "rowsort"));
    }
    free(line);
    rows_clear(&want);
    rows_clear(&got);
}

static void do_var(struct slt *t, char *rest)
{
    const char *name = word(&rest);
    int rc = open_db(t) ? lam_set_var(t->session, name, rest) : 0;
    if (rc) fail_rc(t, "var", rc);
}

static void do_option(struct slt *t, char *rest)
{
    static char on_error[16];
    const char *name = word(&rest), *value = word(&rest);
    struct lam_config cfg = t->cfg;
    if (t->db) close_db(t);
    t->cfg = cfg;
    if (!strcmp(name, "eof"))
        t->cfg.eof_hold = !strcmp(value, "hold");
    else if (!strcmp(name, "on_error"))
        t->cfg.on_error = strncpy(on_error, value, sizeof on_error - 1);
    else if (!strcmp(name, "batch"))
        t->cfg.batch_rows = (uint32_t)atoi(value);
    else if (!strcmp(name, "replay"))
        t->cfg.replay = true;
    else
        fail(t, "no option %s", name);
}

static void do_reset(struct slt *t, char *rest)
{
    (void)rest;
    close_db(t);
}

static void do_only(struct slt *t, char *rest)
{
    const char *which = word(&rest);
    if (t->way->driver == !strcmp(which, "threads")) t->at = t->n;
}

/* ---- streams ------------------------------------------------------------------------------------------------------
 */

/* The epoch of a CHECKPOINT, under a name that SQL has as ${NAME} too. */
static void do_checkpoint(struct slt *t, char *rest)
{
    struct ArrowArrayStream rows = {0};
    struct ArrowArray a = {0};
    struct mark *m = &t->marks[t->n_marks];
    char value[24];
    if (t->n_marks == MARKS || !open_db(t)) {
        fail(t, "too many checkpoints, or no database");
        return;
    }
    int rc = lam_execute(t->session, "CHECKPOINT", &rows);
    if (rc || rows.get_next(&rows, &a) || a.length != 1) {
        fail_rc(t, "checkpoint", rc);
        return;
    }
    snprintf(m->name, sizeof m->name, "%s", word(&rest));
    m->epoch = (uint64_t)((const int64_t *)a.children[0]->buffers[1])[a.children[0]->offset];
    t->n_marks++;
    snprintf(value, sizeof value, "%llu", (unsigned long long)m->epoch);
    lam_set_var(t->session, m->name, value);
    a.release(&a);
    rows.release(&rows);
}

static uint64_t mark_of(struct slt *t, const char *name)
{
    for (int i = t->n_marks; i-- > 0;)
        if (!strcmp(t->marks[i].name, name)) return t->marks[i].epoch;
    fail(t, "no checkpoint %s", name);
    return 0;
}

static void do_subscribe(struct slt *t, char *rest)
{
    struct collector *c = &t->collectors[t->n_collectors];
    if (t->n_collectors == COLLECTORS || !open_db(t)) return;
    *c = (struct collector){0};
    snprintf(c->name, sizeof c->name, "%s", word(&rest));
    const char *stream = word(&rest), *after = word(&rest);
    struct lam_sub_config cfg = {.size = sizeof cfg, .where = NULL};
    if (!strcmp(after, "after")) cfg.after_epoch = mark_of(t, word(&rest));
    if (*rest) cfg.where = rest;
    int rc = lam_subscribe(t->session, stream, &cfg, &c->sub);
    if (!rc) rc = lam_sub_schema(c->sub, &c->schema);
    if (rc)
        fail_rc(t, "subscribe", rc);
    else
        t->n_collectors++;
}

static struct collector *collector_of(struct slt *t, const char *name)
{
    for (int i = 0; i < t->n_collectors; i++)
        if (!strcmp(t->collectors[i].name, name)) return &t->collectors[i];
    fail(t, "nothing collects as %s", name);
    return NULL;
}

static void do_unsubscribe(struct slt *t, char *rest)
{
    struct collector *c = collector_of(t, word(&rest));
    if (!c) return;
    free_collector(c);
    *c = t->collectors[--t->n_collectors];
}

static void do_expect(struct slt *t, char *rest)
{
    const char *name = word(&rest), *how = word(&rest);
    struct rows_text want = take_rows(t);
    struct collector *c = collector_of(t, name);
    if (c && drain(t)) {
        if (!strcmp(how, "fold")) rows_fold(&c->rows);
        compare(t, &want, &c->rows, "", strcmp(how, "nosort"));
        rows_clear(&c->rows);
    }
    rows_clear(&want);
}

static void do_drain(struct slt *t, char *rest)
{
    (void)rest;
    if (open_db(t)) drain(t);
}

static void do_wait(struct slt *t, char *rest)
{
    bool want_error = !strcmp(word(&rest), "error");
    int rc = open_db(t) ? wait_all(t) : -1;
    if (!want_error && rc) fail_rc(t, "wait", rc);
    if (want_error && rc <= 0) fail(t, "no error came (%d)", rc);
    if (want_error && rc > 0) check_error(t, rest, lam_errmsg(t->session));
}

static void do_end(struct slt *t, char *rest)
{
    int rc = open_db(t) ? lam_push_end(t->db, word(&rest)) : -1;
    if (rc) fail(t, "end: %s", lam_strerror(rc));
}

static void do_replay(struct slt *t, char *rest)
{
    (void)rest;
    FILE *f = fopen("replay.jsonl", "w");
    take_content(t, f);
    fclose(f);
    int rc = open_db(t) ? lam_replay(t->session, "replay.jsonl") : -1;
    if (rc) fail_rc(t, "replay", rc);
    pump(t);
}

static void do_restart(struct slt *t, char *rest)
{
    (void)rest;
    if (!open_db(t) || !drain(t)) return;
    int rc = hook_restart(t->db);
    if (rc) fail(t, "restart: %s", lam_strerror(rc));
}

static void do_advance(struct slt *t, char *rest)
{
    double n = strtod(rest, &rest);
    const char *unit = word(&rest);
    int64_t us = (int64_t)(n * (!strcmp(unit, "ms") ? 1e3 : !strcmp(unit, "min") ? 6e7 : 1e6));
    if (!open_db(t)) return;
    hook_advance(us);
    drain(t);
}

/* ---- feeding -------------------------------------------------------------------------------------------------------
 */

static int describe(struct slt *t, const char *source, struct feed_column *cols)
{
    char sql[160], *text = NULL;
    struct rows_text rows = {0};
    snprintf(sql, sizeof sql, "DESCRIBE %s", source);
    int n = 0;
    if (execute(t, sql, &rows, NULL, &text)) fail(t, "%s", text);
    for (size_t i = 0; i < rows.n && n < FEED_COLUMNS; i++)
        if (sscanf(rows.v[i], "%63[^\t]\t%63[^\t]", cols[n].name, cols[n].type) == 2) n++;
    rows_clear(&rows);
    free(text);
    return n;
}

static int column_of(const struct feed_column *cols, int n, const char *name)
{
    for (int i = 0; name && i < n; i++)
        if (!strcmp(cols[i].name, name)) return i;
    return -1;
}

/* A first line of column names reorders cols. */
static int take_header(struct slt *t, struct feed_column *cols, int n)
{
    struct feed_column ordered[FEED_COLUMNS];
    char *fields[FEED_COLUMNS], *line = strdup(peek(t) ? peek(t) : "");
    int k = feed_split(line, fields, FEED_COLUMNS), i;
    for (i = 0; i < k; i++) {
        int c = column_of(cols, n, fields[i]);
        if (c < 0) break;
        ordered[i] = cols[c];
    }
    free(line);
    if (i < k || !k) return n;
    t->at++;
    memcpy(cols, ordered, sizeof *cols * (size_t)k);
    return k;
}

static void push(struct slt *t, const char *source, const struct feed_column *cols, int ncols,
                 char *(*rows)[FEED_COLUMNS], size_t n)
{
    struct ArrowArray a;
    struct ArrowSchema x;
    char why[200];
    if (!feed_array(cols, ncols, rows, n, &a, &x, why)) {
        fail(t, "%s", why);
        return;
    }
    int rc;
    int64_t until = deadline();
    while ((rc = lam_push(t->db, source, &a, &x, SLICE_US)) == LAM_TIMEOUT && now_us() < until) pump(t);
    if (rc != t->push_error) fail(t, "push: %s (%d)", lam_strerror(rc), rc);
    if (rc) a.release(&a);
    x.release(&x);
    if (t->way->restart && drain(t) && hook_restart(t->db)) fail(t, "restart failed");
}

#define FEED_ROWS 1024

static void do_feed(struct slt *t, char *rest)
{
    static char *rows[FEED_ROWS][FEED_COLUMNS];
    struct feed_column cols[FEED_COLUMNS];
    char source[128];
    snprintf(source, sizeof source, "%s", word(&rest));
    t->push_error = strcmp(word(&rest), "error") ? 0 : atoi(rest + strlen("LAM-"));
    if (!open_db(t)) return;
    int ncols = describe(t, source, cols);
    if (!ncols) return;
    ncols = take_header(t, cols, ncols);
    size_t n = 0, most = t->way->restart ? 2 : FEED_ROWS;
    for (; peek(t) && !blank(peek(t)); t->at++) {
        char *line = t->lines[t->at];
        int64_t us;
        if (n == most || (*line == '@' && n)) push(t, source, cols, ncols, rows, n), n = 0;
        if (*line != '@') {
            memset(rows[n], 0, sizeof rows[n]);
            if (feed_split(line, rows[n++], FEED_COLUMNS) > ncols) fail(t, "too many fields");
        } else if (strncmp(line, "@watermark ", 11) || !feed_timestamp(line + 11, &us)) {
            fail(t, "not understood: %s", line);
        } else if (lam_push_watermark(t->db, source, us)) {
            fail(t, "the watermark was refused");
        }
    }
    if (n) push(t, source, cols, ncols, rows, n);
    pump(t);
}

/* ---- files of items
 * -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(struct slt *t, char *rest);
    bool streaming;
} items[] = {
    {"statement", do_statement, false},
    {"query", do_query, false},
    {"show", do_show, false},
    {"print", do_print, false},
    {"file", do_file, false},
    {"sinkfile", do_sinkfile, true},
    {"var", do_var, false},
    {"option", do_option, false},
    {"reset", do_reset, false},
    {"only", do_only, false},
    {"checkpoint", do_checkpoint, true},
    {"subscribe", do_subscribe, true},
    {"unsubscribe", do_unsubscribe, true},
    {"expect", do_expect, true},
    {"drain", do_drain, true},
    {"wait", do_wait, false},
    {"end", do_end, true},
    {"replay", do_replay, true},
    {"restart", do_restart, true},
    {"advance", do_advance, true},
    {"feed", do_feed, true},
};

static void run_item(struct slt *t)
{
    char *line = strdup(t->lines[t->at++]), *rest = line;
    const char *name = word(&rest);
    size_t i = 0, count = sizeof items / sizeof items[0];
    while (i < count && strcmp(items[i].name, name)) i++;
    if (i < count)
        items[i].run(t, rest);
    else
        fail(t, "not understood: %s", name);
    free(line);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void split_lines(struct slt *t, char *text)
{
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        size_t n = strlen(line);
        if (n && line[n - 1] == '\r') line[n - 1] = 0;
        t->lines = realloc(t->lines, (t->n + 1) * sizeof *t->lines);
        t->lines[t->n++] = line;
    }
}

enum slt_end slt_run(const char *path, const char *text, const struct slt_way *way, FILE *why)
{
    /* Only the driver can be stepped by hand; threads would sleep on a clock that stands. */
    if (strstr(text, "\nadvance ") && !way->driver) return SLT_SKIPPED;
    struct slt t = {.path = path, .way = way, .why = why, .dir = "/tmp/laminar-slt-XXXXXX"};
    char *copy = strdup(text), *home = getcwd(NULL, 0);
    split_lines(&t, copy);
    if (!mkdtemp(t.dir) || chdir(t.dir)) abort();
    t.virtual_clock = strstr(text, "\nadvance ");
    while (t.at < t.n && t.failures < 20) {
        if (blank(t.lines[t.at]) || t.lines[t.at][0] == '#')
            t.at++;
        else
            run_item(&t);
    }
    close_db(&t);
    if (chdir(home)) abort();
    nftw(t.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(t.lines);
    free(copy);
    free(home);
    return t.failures ? SLT_FAILED : SLT_PASSED;
}

bool slt_is_streaming(const char *text)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
            size_t n = strlen(items[i].name);
            if (items[i].streaming && !strncmp(line, items[i].name, n) && (isspace((unsigned char)line[n]) || !line[n]))
                return true;
        }
    }
    return false;
}
