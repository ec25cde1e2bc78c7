/* One line on the terminal while a script runs. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SOURCES_MAX 16

void progress_begin(struct progress *p, const struct cli *c)
{
    bool output_here = c->print && isatty(1); /* rows scroll by already */
    *p = (struct progress){.on = !c->quiet && !output_here && isatty(2), .color = !getenv("NO_COLOR")};
    p->begun = p->last = cli_now();
}

static void print_clock(FILE *out, int64_t us)
{
    struct tm tm;
    time_t t = (time_t)(us / 1000000);
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime_r(&t, &tm));
    fprintf(out, "  watermark %s", text);
}

void progress_show(struct progress *p, struct cli *c)
{
    struct source_state s[SOURCES_MAX];
    int n = sources_state(c, s, SOURCES_MAX);
    double now = cli_now(), percent = -1;
    int64_t rows = 0, watermark = INT64_MAX;
    for (int i = 0; i < n; i++) {
        rows += s[i].rows;
        if (s[i].percent >= 0 && (percent < 0 || s[i].percent < percent)) percent = s[i].percent;
        if (s[i].watermark_us < watermark) watermark = s[i].watermark_us;
    }
    double rate = now > p->last ? (double)(rows - p->rows) / (now - p->last) : 0;
    fprintf(stderr, "\r\033[K%s%lld rows  %.0f rows/s", p->color ? "\033[2m" : "", (long long)rows, rate);
    if (percent >= 0) fprintf(stderr, "  %.0f %%", percent);
    if (n && watermark != INT64_MIN && watermark < INT64_MAX / 2) print_clock(stderr, watermark);
    fputs(p->color ? "\033[0m" : "", stderr);
    fflush(stderr);
    p->last = now;
    p->rows = rows;
    p->shown = true;
}

void progress_end(struct progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
}
