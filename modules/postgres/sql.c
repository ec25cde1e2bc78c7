/* Building SQL text. SPDX-License-Identifier: Apache-2.0 */
#include "sql.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add(struct sql *s, const char *p, size_t n)
{
    if (s->n + n + 1 > s->cap) {
        size_t cap = s->cap ? s->cap : 256;
        while (cap < s->n + n + 1) cap *= 2;
        s->p = s->host->resize(s->p, s->cap, cap);
        s->cap = cap;
    }
    memcpy(s->p + s->n, p, n);
    s->n += n;
    s->p[s->n] = 0;
}

struct sql *sql_start(struct sql *s, const struct lam_host *host)
{
    s->host = host;
    s->n = 0;
    add(s, "", 0);
    return s;
}

struct sql *sql_put(struct sql *s, const char *text) { return add(s, text, strlen(text)), s; }

struct sql *sql_printf(struct sql *s, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return sql_put(s, text);
}

/* Between two quotes, with every quote inside twice. */
static struct sql *quoted(struct sql *s, char quote, const char *text)
{
    add(s, &quote, 1);
    for (; *text; text++) {
        if (*text == quote) add(s, &quote, 1);
        add(s, text, 1);
    }
    add(s, &quote, 1);
    return s;
}

struct sql *sql_ident(struct sql *s, const char *name) { return quoted(s, '"', name); }
struct sql *sql_value(struct sql *s, const char *text) { return quoted(s, '\'', text); }

struct sql *sql_qualified(struct sql *s, const char *schema, const char *name)
{
    return sql_ident(sql_put(sql_ident(s, schema), "."), name);
}

void sql_done(struct sql *s)
{
    if (s->host) s->host->free(s->p);
    *s = (struct sql){0};
}
