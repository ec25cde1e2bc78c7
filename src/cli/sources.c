/* How far the sources are, and what was lost on the way. SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <math.h>
#include <string.h>

struct states {
    struct source_state *out;
    int n, max;
};

static void add_state(void *ctx, const struct show_row *r)
{
    struct states *s = ctx;
    if (s->n == s->max) return;
    struct source_state *to = &s->out[s->n++];
    double percent = show_number(r, "percent");
    show_text(r, "source_name", to->name, sizeof to->name);
    to->rows = show_count(r, "rows");
    to->percent = isnan(percent) ? -1 : percent;
    to->watermark_us = show_time(r, "watermark");
}

int sources_state(struct cli *c, struct source_state *out, int max)
{
    struct states s = {out, 0, max};
    show_each(c, "SHOW SOURCES", add_state, &s);
    return s.n;
}

/* ---- losses -------------------------------------------------------------------------------------------- */

static void tell(const struct show_row *r, const char *kind, const char *count, const char *what, const char *example)
{
    char name[128], text[300];
    int64_t n = show_count(r, count);
    if (!n) return;
    show_text(r, kind, name, sizeof name);
    show_text(r, example, text, sizeof text);
    fprintf(stderr, "warning: %.*s \"%s\": %s: %lld%s%s%s\n", (int)strcspn(kind, "_"), kind, name, what, (long long)n,
            *text ? " (such as " : "", text, *text ? ")" : "");
}

static void tell_source(void *ctx, const struct show_row *r)
{
    (void)ctx;
    tell(r, "source_name", "bad_rows", "records skipped because they cannot be read", "last_error");
    tell(r, "source_name", "null_fields", "fields set to NULL because they cannot be read", "last_error");
    tell(r, "source_name", "null_times", "rows skipped because they have no event time", "");
    tell(r, "source_name", "late_rows", "late rows skipped", "");
}

static void tell_stream(void *ctx, const struct show_row *r)
{
    (void)ctx;
    tell(r, "stream_name", "late_rows", "late rows left out", "late_example");
    tell(r, "stream_name", "row_errors", "row errors", "last_error");
}

static void tell_sink(void *ctx, const struct show_row *r)
{
    (void)ctx;
    tell(r, "sink_name", "late_rows", "late rows left out", "");
    tell(r, "sink_name", "row_errors", "row errors", "last_error");
    tell(r, "sink_name", "dropped", "rows dropped", "last_error");
    tell(r, "sink_name", "dead_lettered", "rows to the dead letters", "last_error");
}

void losses_tell(struct cli *c)
{
    show_each(c, "SHOW SOURCES", tell_source, NULL);
    show_each(c, "SHOW STREAMS", tell_stream, NULL);
    show_each(c, "SHOW SINKS", tell_sink, NULL);
}
