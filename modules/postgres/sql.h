/* Building SQL text. The only place where names and values of others become part of a statement. SPDX-License-Identifier: Apache-2.0 */
#ifndef POSTGRES_SQL_H
#define POSTGRES_SQL_H

#include <laminar_connector.h>

struct sql {
    const struct lam_host *host;
    char *p; /* ended by a NUL */
    size_t n, cap;
};

/* All that add return s, so that calls may follow each other. */
struct sql *sql_start(struct sql *s, const struct lam_host *host); /* empties it */
struct sql *sql_put(struct sql *s, const char *text);
struct sql *sql_printf(struct sql *s, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* numbers and our own words */
struct sql *sql_ident(struct sql *s, const char *name);                       /* "a name" */
struct sql *sql_qualified(struct sql *s, const char *schema, const char *name); /* "schema"."name" */
struct sql *sql_value(struct sql *s, const char *text);                       /* 'a text'; standard_conforming_strings is on */
void sql_done(struct sql *s);

#endif
