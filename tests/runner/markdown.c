/* Pages of documentation as tests: what stands there must run as printed. SPDX-License-Identifier: Apache-2.0 */
#include "slt.h"

#include <stdlib.h>
#include <string.h>

struct block {
    char info[64]; /* what follows the opening fence */
    const char *p;
    size_t n;
};

/* The next fenced block or heading at *at; headings have info "#". false: the end. */
static bool next_block(const char **at, struct block *b)
{
    for (const char *line = *at; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\n");
        if (*line == '#') {
            *b = (struct block){"#", line, n};
            *at = line + n;
            return true;
        }
        if (strncmp(line, "```", 3)) continue;
        snprintf(b->info, sizeof b->info, "%.*s", (int)(n - 3), line + 3);
        b->p = line[n] ? line + n + 1 : line + n;
        const char *end = strncmp(b->p, "```", 3) ? strstr(b->p, "\n```") : b->p - 1;
        b->n = end ? (size_t)(end + 1 - b->p) : strlen(b->p);
        *at = b->p + b->n + (end ? 3 : 0);
        *at += strcspn(*at, "\n");
        return true;
    }
    return false;
}

/* A blank line would end the item. */
static void put_lines(FILE *out, const struct block *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] != '\n' || (i && b->p[i - 1] != '\n')) fputc(b->p[i], out);
}

static bool starts(const struct block *b, const char *word)
{
    size_t n = strlen(word);
    return !strncmp(b->info, word, n) && (!b->info[n] || b->info[n] == ' ');
}

static const char *argument(const struct block *b)
{
    const char *space = strchr(b->info, ' ');
    return space ? space + 1 : "";
}

/* A statement is shown, printed or refused according to the block after it. */
static void put_sql(FILE *out, const struct block *sql, const struct block *after)
{
    bool text = after && starts(after, "text");
    const char *what = text ? argument(after) : "";
    fputs(!text || (*what && strcmp(what, "error")) ? "statement ok\n" : *what ? "statement error\n" : "show\n", out);
    put_lines(out, sql);
    if (text && *what && strcmp(what, "error")) fprintf(out, "\nprint %s\n", what);
    if (text && (!*what || !strcmp(what, "error"))) fputs("----\n", out);
    if (text) put_lines(out, after);
    fputc('\n', out);
}

char *slt_from_markdown(const char *markdown)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    struct block b, after;
    for (const char *at = markdown; next_block(&at, &b);) {
        const char *peek = at;
        if (b.info[0] == '#')
            fputs("reset\n\n", out);
        else if (starts(&b, "csv") || starts(&b, "json")) {
            if (*argument(&b)) fprintf(out, "file %s\n%.*sEOF\n\n", argument(&b), (int)b.n, b.p);
        } else if (starts(&b, "sql") && !*argument(&b)) {
            bool pair = next_block(&peek, &after) && after.info[0] != '#';
            put_sql(out, &b, pair ? &after : NULL);
            if (pair && starts(&after, "text")) at = peek;
        }
    }
    fclose(out);
    return text;
}
