/* What the two printers share. SPDX-License-Identifier: Apache-2.0 */
#ifndef SQL_PRINT_INT_H
#define SQL_PRINT_INT_H

#include "base/text.h"
#include "sql/sql_int.h"

void print__string(const char *s, uint32_t n, struct text *out);
void print__names(const struct list names, struct text *out);
void print__list(const struct list exprs, struct text *out);
void print__type(const struct ast_type *t, struct text *out);
/* "ORDER BY ...", or nothing. */
void print__order(const struct list order, struct text *out);
/* "(PARTITION BY ...)" */
void print__over(const struct ast_over *over, struct text *out);
/* A call in its plain form, as FROM takes it. */
void print__call(const struct ast *call, struct text *out);
/* Whether a name must be quoted. */
bool print__is_quoted(const char *name, size_t n);

#endif
