/* Expressions written for tests: numbers, 'texts', null, true, false, $2 (a column), ("operator" args ...),
 * (function args ...), (cast "type" x), (try "type" x), (case c v c v e), (interval 'text' "unit").
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_EXPR_TEXT_H
#define TESTS_EXPR_TEXT_H

#include "base/text.h"
#include "expr/cell.h"
#include "expr/expr.h"

#include <stdio.h>
#include <stdlib.h>

struct reader {
    const char *p;
    struct arena *a;
    const struct schema *in;
    /* When set, constants of literals become columns: appended here. */
    struct value *columns;
    int ncolumns, columns_max;
};

static inline void read_blanks(struct reader *r)
{
    while (*r->p == ' ' || *r->p == '\n') r->p++;
}

static inline const char *read_token(struct reader *r, char *buf, size_t size)
{
    read_blanks(r);
    size_t n = 0;
    bool quoted = *r->p == '"';
    if (quoted) r->p++;
    while (*r->p && (quoted ? *r->p != '"' : !strchr(" ()\n", *r->p))) {
        if (n + 1 < size) buf[n++] = *r->p;
        r->p++;
    }
    if (quoted) r->p++;
    buf[n] = 0;
    return buf;
}

static inline struct type type_of_text(const char *text)
{
    char word[64];
    struct type t = {0};
    snprintf(word, sizeof word, "%.*s", (int)strcspn(text, "("), text);
    if (!type_from_word(word, &t)) abort();
    const char *p = strchr(text, '(');
    if (p && t.id == T_DECIMAL) {
        t.precision = (uint8_t)atoi(p + 1);
        p = strchr(p, ',');
        t.scale = p ? (uint8_t)atoi(p + 1) : 0;
    } else if (p) {
        t.length = (uint16_t)atoi(p + 1);
    }
    return t;
}

static inline enum status read_expr(struct reader *r, struct expr **out, struct err *err);

static inline struct expr *as_column(struct reader *r, struct expr *e)
{
    if (!r->columns || e->kind != EXPR_CONST || e->untyped || e->type.id == T_NULL || r->ncolumns == r->columns_max)
        return e;
    r->columns[r->ncolumns] = e->value;
    r->columns[r->ncolumns].type = e->type;
    return expr_column(r->a, r->ncolumns++, e->type, e->pos);
}

static inline enum status read_form(struct reader *r, struct expr **out, struct err *err)
{
    char name[64], word[128];
    struct expr *args[100];
    int n = 0;
    r->p++;
    read_token(r, name, sizeof name);
    bool cast = !strcmp(name, "cast"), try_ = !strcmp(name, "try");
    if (cast || try_) {
        read_token(r, word, sizeof word);
        if (*r->p == '(') { /* decimal(4,2) */
            size_t at = strlen(word), k = strcspn(r->p, ")") + 1;
            snprintf(word + at, sizeof word - at, "%.*s", (int)k, r->p);
            r->p += k;
        }
    }
    if (!strcmp(name, "interval")) {
        char text[128];
        read_blanks(r);
        size_t k = strcspn(r->p + 1, "'");
        snprintf(text, sizeof text, "%.*s", (int)k, r->p + 1);
        r->p += k + 2;
        read_blanks(r);
        *word = 0;
        if (*r->p == '"') read_token(r, word, sizeof word);
        read_blanks(r);
        r->p++;
        TRY(expr_interval(r->a, text, word, 0, out, err));
        *out = as_column(r, *out);
        return ST_OK;
    }
    struct reader quiet = *r;
    if (cast || try_) quiet.columns = NULL; /* a cast literal becomes a column after the cast */
    for (read_blanks(r); *r->p != ')'; read_blanks(r)) {
        if (!*r->p) abort();
        if (cast || try_) {
            quiet.p = r->p;
            TRY(read_expr(&quiet, &args[n++], err));
            r->p = quiet.p;
        } else {
            TRY(read_expr(r, &args[n++], err));
        }
    }
    r->p++;
    if (cast || try_) {
        TRY(expr_cast(r->a, args[0], type_of_text(word), try_, 0, out, err));
        *out = as_column(r, *out);
        return ST_OK;
    }
    if (!strcmp(name, "case")) return expr_case(r->a, NULL, args, n & ~1, n & 1 ? args[n - 1] : NULL, 0, out, err);
    return expr_call(r->a, name, args, n, 0, out, err);
}

static inline enum status read_expr(struct reader *r, struct expr **out, struct err *err)
{
    char token[256];
    read_blanks(r);
    if (*r->p == '(') return read_form(r, out, err);
    if (*r->p == '\'') {
        char buf[2048];
        size_t n = 0;
        for (r->p++; *r->p && !(*r->p == '\'' && r->p[1] != '\''); r->p++) {
            if (*r->p == '\'') r->p++;
            buf[n++] = *r->p;
        }
        r->p++;
        *out = expr_string(r->a, buf, (uint32_t)n, 0);
        return ST_OK;
    }
    read_token(r, token, sizeof token);
    if (*token == '$') {
        int k = atoi(token + 1);
        *out = expr_column(r->a, k, r->in->fields[k].type, 0);
        return ST_OK;
    }
    if (!strcmp(token, "null")) return *out = expr_null(r->a, 0), ST_OK;
    if (!strcmp(token, "true") || !strcmp(token, "false")) {
        *out = as_column(r, expr_const(r->a, (struct value){.type = TYPE(T_BOOL), .b = *token == 't'}, 0));
        return ST_OK;
    }
    TRY(expr_number(r->a, token, 0, out, err));
    *out = as_column(r, *out);
    return ST_OK;
}

/* Its text; NULL prints NULL, an error its mnemonic sentence's code. */
static inline void value_text(const struct value *v, struct text *out)
{
    _Alignas(16) char cell[16];
    if (v->is_null || v->type.id == T_NULL) {
        text_puts(out, "NULL");
        return;
    }
    cell_store(v, cell);
    cell_put(v->type, cell, out);
}

#endif
