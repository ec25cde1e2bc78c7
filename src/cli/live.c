/* Streams as they move: a table on a terminal, a line a second elsewhere. Ends when all sources have.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/grid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define VIEWS_MAX   8
#define SOURCES_MAX 16
#define ROWS_SHOWN  10 /* the latest of each stream */
#define ARRAYS_KEPT 64
#define DRAW_US     200000

struct view {
    char name[128];
    struct lam_sub *sub;
    struct ArrowSchema schema;
    struct ArrowArray kept[ARRAYS_KEPT]; /* the latest, oldest first */
    int n;
    int64_t rows;
    bool ended, begun;
};

struct live {
    struct cli *c;
    struct view views[VIEWS_MAX];
    int n, lines; /* lines drawn last time */
    bool terminal;
    double begun, drawn;
    int64_t rows, drawn_rows;
};

/* ---- streams ---------------------------------------------------------------------------------------- */

/* A sink of its own makes a stream run with the others, in one change; the view then looks on. */
static int start_streams(struct live *l)
{
    char *names = strdup(l->c->live), *save;
    int rc = 0;
    for (char *name = strtok_r(names, ", ", &save); name && !rc && l->n < VIEWS_MAX;
         name = strtok_r(NULL, ", ", &save)) {
        char sql[512], *quoted = cli_identifier(name);
        size_t at = 0;
        snprintf(l->views[l->n++].name, sizeof l->views[0].name, "%s", name);
        snprintf(sql, sizeof sql, "CREATE SINK live_%d FROM %s INTO BLACKHOLE", l->n, quoted);
        free(quoted);
        rc = lam_execute_next(l->c->session, sql, &at, NULL);
    }
    for (int i = 0; i < l->n && !rc; i++) rc = lam_subscribe(l->c->session, l->views[i].name, NULL, &l->views[i].sub);
    for (int i = 0; i < l->n && !rc; i++) rc = lam_sub_schema(l->views[i].sub, &l->views[i].schema);
    free(names);
    return rc;
}

static void forget_old(struct view *v)
{
    int64_t newer = 0;
    for (int i = 1; i < v->n; i++) newer += v->kept[i].length;
    while (v->n == ARRAYS_KEPT || (v->n > 1 && newer >= ROWS_SHOWN)) {
        v->kept[0].release(&v->kept[0]);
        memmove(v->kept, v->kept + 1, sizeof v->kept[0] * (size_t)--v->n);
        newer -= v->kept[0].length;
    }
}

static void take_rows(struct live *l, struct view *v)
{
    struct ArrowArray a;
    int rc = 0;
    while (!v->ended && !(rc = lam_poll(v->sub, &a))) {
        v->rows += a.length;
        if (!l->terminal) {
            printf("-- %s\n", v->name);
            print_rows(stdout, &v->schema, &a, PRINT_TSV, !v->begun);
        }
        v->begun = true;
        v->kept[v->n++] = a;
        forget_old(v);
    }
    v->ended |= rc == LAM_END;
}

static bool take_all(struct live *l)
{
    bool ended = true;
    for (int i = 0; i < l->n; i++) {
        take_rows(l, &l->views[i]);
        ended &= l->views[i].ended;
    }
    return ended;
}

/* ---- drawing ------------------------------------------------------------------------------------------ */

static void status_line(struct live *l, FILE *out)
{
    struct source_state s[SOURCES_MAX];
    struct timespec wall;
    int n = sources_state(l->c, s, SOURCES_MAX);
    double now = cli_now(), since = now - l->drawn;
    int64_t watermark = INT64_MAX;
    l->rows = 0;
    for (int i = 0; i < n; i++) {
        l->rows += s[i].rows;
        if (s[i].watermark_us < watermark) watermark = s[i].watermark_us;
    }
    fprintf(out, "%5.1f s  %lld rows  %.0f rows/s", now - l->begun, (long long)l->rows,
            since > 0 ? (double)(l->rows - l->drawn_rows) / since : 0);
    if (n && watermark != INT64_MIN && watermark < INT64_MAX / 2) {
        time_t t = (time_t)(watermark / 1000000);
        struct tm tm;
        char text[16];
        clock_gettime(CLOCK_REALTIME, &wall);
        strftime(text, sizeof text, "%H:%M:%S", gmtime_r(&t, &tm));
        fprintf(out, "  watermark %s  lag %.2f s", text,
                (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - (double)watermark / 1e6);
    }
    fputc('\n', out);
    l->drawn = now;
    l->drawn_rows = l->rows;
}

/* What is drawn must fit the screen, or the cursor cannot go back over it: a view takes five lines besides its rows. */
static int rows_that_fit(const struct live *l)
{
    struct winsize w;
    if (ioctl(1, TIOCGWINSZ, &w) || w.ws_row < 10) return ROWS_SHOWN;
    int rows = (w.ws_row - 2) / l->n - 5;
    return rows < 1 ? 1 : rows < ROWS_SHOWN ? rows : ROWS_SHOWN;
}

/* The last rows: the oldest array may be shown in part. */
static void draw_view(const struct view *v, int64_t rows, FILE *out)
{
    struct grid *t = grid_new(&v->schema);
    int64_t skip = -rows;
    for (int i = 0; i < v->n; i++) skip += v->kept[i].length;
    for (int i = 0; i < v->n; i++) {
        if (skip < v->kept[i].length) grid_add_from(t, &v->schema, &v->kept[i], skip > 0 ? skip : 0);
        skip -= v->kept[i].length;
    }
    fprintf(out, "%s\n", v->name);
    grid_frame(out, t);
    grid_free(t);
}

static void draw(struct live *l)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    if (l->lines) fprintf(out, "\033[%dA\033[J", l->lines);
    status_line(l, out);
    int rows = rows_that_fit(l);
    for (int i = 0; i < l->n; i++) draw_view(&l->views[i], rows, out);
    fclose(out);
    l->lines = 0;
    for (size_t i = 0; i < n; i++) l->lines += text[i] == '\n';
    fwrite(text, 1, n, stdout);
    fflush(stdout);
    free(text);
}

static void show(struct live *l)
{
    double since = cli_now() - l->drawn;
    if (l->terminal)
        draw(l);
    else if (since >= 1)
        status_line(l, stdout);
    fflush(stdout);
}

static void summarise(struct live *l)
{
    double seconds = cli_now() - l->begun;
    struct source_state s[SOURCES_MAX];
    int n = sources_state(l->c, s, SOURCES_MAX);
    int64_t rows = 0;
    for (int i = 0; i < n; i++) rows += s[i].rows;
    printf("%lld rows in %.1f s (%.0f rows/s)", (long long)rows, seconds, (double)rows / seconds);
    for (int i = 0; i < l->n; i++)
        printf("%s %s: %lld rows", i ? "," : ";", l->views[i].name, (long long)l->views[i].rows);
    putchar('\n');
}

static void close_all(struct live *l)
{
    for (int i = 0; i < l->n; i++) {
        struct view *v = &l->views[i];
        for (int k = 0; k < v->n; k++) v->kept[k].release(&v->kept[k]);
        if (v->schema.release) v->schema.release(&v->schema);
        if (v->sub) lam_sub_close(v->sub);
    }
}

int live_run(struct cli *c)
{
    struct live *l = calloc(1, sizeof *l);
    l->c = c;
    l->terminal = isatty(1);
    l->begun = l->drawn = cli_now();
    int rc = start_streams(l);
    if (!l->n) {
        fputs("laminar: --live names no stream\n", stderr);
        free(l);
        return EXIT_USAGE;
    }
    bool done = false;
    while (!rc && !done && !stop_signal()) {
        rc = lam_wait(c->db, c->session, DRAW_US);
        bool ended = take_all(l);
        done = !rc && ended;
        if (rc == LAM_TIMEOUT) rc = 0;
        if (!rc && !done) show(l);
    }
    if (rc && !stop_signal()) cli_message(c);
    if (l->terminal && !rc) draw(l);
    if (!rc || stop_signal()) summarise(l);
    close_all(l);
    free(l);
    return stop_signal() ? stop_status() : rc ? EXIT_RUN : EXIT_OK;
}
