/* SQL text: parsing never crashes, and what is printed of a statement parses to the same tree and prints the same; its secrets
 * are hidden whatever is around them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "sql/tree.h"
#include "../sql_dump.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void broken(const char *what, struct text *first, struct text *second)
{
    fprintf(stderr, "%s\n%s\n%s\n", what, text_cstr(first), text_cstr(second));
    abort();
}

static void check_same(const struct stmt *s, const struct stmt *again, struct text *printed)
{
    struct text first = {0}, second = {0};
    dump_stmt(s, &first);
    dump_stmt(again, &second);
    if (first.n != second.n || memcmp(first.p, second.p, first.n)) {
        fprintf(stderr, "%s\n", text_cstr(printed));
        broken("another tree", &first, &second);
    }
    text_done(&first);
    text_done(&second);
}

static void check_fixpoint(const struct stmt *s)
{
    AUTO(arena_free) struct arena *a = arena_new();
    struct text first = {0}, second = {0};
    struct stmt *again;
    struct err err;
    size_t at = 0;
    sql_print(s, &first);
    if (first.n < SQL_TEXT_MAX) {
        if (sql_parse(a, first.p, first.n, &at, &again, &err)) {
            text_puts(&second, err.text);
            broken("what was printed does not parse", &first, &second);
        }
        sql_print(again, &second);
        if (first.n != second.n || memcmp(first.p, second.p, first.n)) broken("no fixpoint", &first, &second);
        check_same(s, again, &first);
    }
    text_done(&first);
    text_done(&second);
}

/* What is shown of a text has no secret left to hide: masked again it stays as it is. */
static void check_masked(const char *text, size_t n)
{
    struct text first = {0}, second = {0};
    size_t pos = n / 2, again;
    sql_mask(text, n, &pos, &first);
    if (pos > first.n) broken("a place outside", &first, &second);
    again = pos;
    sql_mask(text_cstr(&first), first.n, &again, &second);
    if (first.n != second.n || memcmp(text_cstr(&first), text_cstr(&second), first.n)) broken("a secret is left", &first, &second);
    text_done(&first);
    text_done(&second);
}

static const char *no_variable(void *ctx, const char *name)
{
    (void)ctx, (void)name;
    return "it's";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    size_t at = 0, size;
    struct err err;
    struct stmt *s;
    struct ast *x;
    const char *replaced;
    AUTO(arena_free) struct arena *a = arena_new();
    enum status st;
    while (!(st = sql_parse(a, text, n, &at, &s, &err))) check_fixpoint(s);
    if (st > 0) {
        struct text message = {0};
        sql_print_error("fuzz", text, n, &err, &message);
        text_done(&message);
    }
    (void)!sql_parse_expr(a, text, n, &x, &err);
    (void)!sql_substitute(a, text, n, no_variable, NULL, &replaced, &size, &err);
    sql_incomplete(text, n);
    check_masked(text, n);
    err_set(&err, E_SYNTAX, "%.*s", (int)(n < 400 ? n : 400), text);
    sql_hide_values(text, n, no_variable, NULL, &err);
    return 0;
}
