/* Comparing rows. SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_hex(const char *p, const char *end, struct text *out)
{
    for (; p + 1 < end; p += 2) {
        char two[3] = {p[0], p[1], 0};
        text_putc(out, (char)strtol(two, NULL, 16));
    }
}

static void put_row(const char *line, const char *end, struct text *out)
{
    if (*line == '=') return;
    if (*line == '{') {
        const char *t = strstr(line, "\"t\":");
        text_printf(out, "%ld|", strtol(line + 5, NULL, 10));
        if (!t || t > end) return;
        t += 4;
        if (*t == 'n')
            text_puts(out, "\\N");
        else
            text_put(out, t + 1, (size_t)(end - t) - 3);
    } else if (memchr(line, '|', (size_t)(end - line))) {
        text_put(out, line, (size_t)(end - line));
    } else {
        const char *t = memchr(line, ',', (size_t)(end - line));
        if (!t) return;
        text_put(out, line, (size_t)(t - line));
        text_putc(out, '|');
        if (t[1] == 'N')
            text_puts(out, "\\N");
        else
            put_hex(t + 2, end, out);
    }
    text_putc(out, '\n');
}

char *judge_rows(const char *raw)
{
    struct text out = {0};
    for (const char *line = raw, *end; (end = strchr(line, '\n')); line = end + 1) put_row(line, end, &out);
    char *rows = strdup(text_cstr(&out));
    text_done(&out);
    return rows;
}

/* As run_push makes it. */
static size_t want_text(char *to, int64_t k, size_t wide)
{
    if (k % 5 == 3) return (size_t)sprintf(to, "\\N");
    if (k % 5 == 4) return *to = 0;
    size_t n = (size_t)sprintf(to, "row %ld", (long)k);
    for (; n < wide; n++) to[n] = (char)('a' + n % 26);
    to[n] = 0;
    return n;
}

const char *judge(const char *raw, int64_t first, int n, size_t wide, bool again, bool part)
{
    static char why[300];
    char *rows = judge_rows(raw), *want = malloc(wide + 64);
    int64_t next = first;
    *why = 0;
    for (char *line = rows, *end; !*why && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        char *t;
        int64_t k = strtoll(line, &t, 10);
        want_text(want, k, wide);
        if (*t != '|' || strcmp(t + 1, want))
            snprintf(why, sizeof why, "row %ld is \"%.80s\", not \"%.80s\"", (long)k, line, want);
        else if (k > next)
            snprintf(why, sizeof why, "row %ld comes where %ld must", (long)k, (long)next);
        else if (k < next && !again)
            snprintf(why, sizeof why, "row %ld comes again", (long)k);
        next += k == next;
    }
    if (!*why && !part && next != first + n)
        snprintf(why, sizeof why, "%ld of %d rows have come", (long)(next - first), n);
    if (!*why && next > first + n) snprintf(why, sizeof why, "more rows than there were");
    free(rows), free(want);
    return *why ? why : NULL;
}

int64_t judge_count(const char *raw)
{
    char *rows = judge_rows(raw);
    int64_t high = -1;
    for (char *line = rows, *end; (end = strchr(line, '\n')); line = end + 1)
        if (strtoll(line, NULL, 10) > high) high = strtoll(line, NULL, 10);
    free(rows);
    return high + 1;
}

char *judge_json(int64_t first, int n, size_t wide)
{
    struct text out = {0};
    char *t = malloc(wide + 64);
    for (int64_t k = first; k < first + n; k++) {
        want_text(t, k, wide);
        if (k % 5 == 3)
            text_printf(&out, "{\"k\":%ld,\"t\":null}\n", (long)k);
        else
            text_printf(&out, "{\"k\":%ld,\"t\":\"%s\"}\n", (long)k, t);
    }
    free(t);
    char *all = strdup(text_cstr(&out));
    text_done(&out);
    return all;
}

/* ---- instances ------------------------------------------------------------------------------------------------- */

/* "a = 'b', c = d" */
static int split_options(struct arena *a, const char *text, struct option_in *out)
{
    int n = 0;
    for (const char *p = text; *p;) {
        while (*p == ' ' || *p == ',') p++;
        size_t key = strcspn(p, " =");
        out[n] = (struct option_in){.key = arena_strndup(a, p, key)};
        p = strchr(p, '=') + 1;
        while (*p == ' ') p++;
        bool quoted = *p == '\'';
        p += quoted;
        size_t value = strcspn(p, quoted ? "'" : " ,");
        out[n++].value = arena_strndup(a, p, value);
        p += value + quoted;
    }
    return n;
}

bool direct_init(struct direct *d, const char *options, const struct option_spec *table, bool epochs)
{
    static const struct option_spec format[] = {{.name = "format", .type = OPT_TEXT},
                                                {.name = "batch.rows", .type = OPT_INT},
                                                {.name = "flush.interval", .type = OPT_DURATION},
                                                {0}};
    const struct option_spec *tables[] = {table, format};
    struct option_in in[16];
    struct options *o;
    *d = (struct direct){.arena = arena_new()};
    account_init(&d->account, NULL, 0);
    d->schema = schema_new(d->arena, 2);
    d->schema->time_column = -1;
    d->schema->fields[0] = (struct field){.name = "k", .type = TYPE(T_INT64)};
    d->schema->fields[1] = (struct field){.name = "t", .type = TYPE(T_VARCHAR)};
    int n = split_options(d->arena, options, in);
    if (options_read(d->arena, "it", tables, 2, in, n, &o, &d->err)) return false;
    d->ctx = (struct connector_ctx){.env = env_real(),
                                    .account = &d->account,
                                    .options = o,
                                    .schema = d->schema,
                                    .name = "t",
                                    .declared = d->schema,
                                    .epochs = epochs};
    return true;
}

void direct_done(struct direct *d)
{
    if (d->account.used)
        suite_fail(__FILE__, __LINE__, "account.used == 0", "%lld bytes are still charged", (long long)d->account.used);
    arena_free(d->arena);
}

struct batch *direct_batch(struct direct *d, struct pool *p, int64_t first, int n)
{
    struct batch *b = batch_for(p, d->schema, (uint32_t)n);
    char text[64];
    for (int i = 0; i < n; i++) {
        struct value k = {.type = TYPE(T_INT64), .i = first + i},
                     t = {.type = TYPE(T_VARCHAR), .is_null = (first + i) % 5 == 3};
        size_t len = want_text(text, first + i, 0);
        if (!t.is_null) t.s = str_view(text, (uint32_t)len);
        batch_put(b, d->schema, 0, (uint32_t)i, (uint32_t)n, &k);
        batch_put(b, d->schema, 1, (uint32_t)i, (uint32_t)n, &t);
        b->rows = (uint32_t)i + 1;
    }
    return b;
}

void direct_values(int64_t first, int n, struct values *out)
{
    char *lines = judge_json(first, n, 0);
    values_clear(out, 0, (uint32_t)n);
    for (const char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
        text_put(&out->text, line, (size_t)(end - line));
        out->offsets[++out->n] = (int64_t)out->text.n;
    }
    free(lines);
}
