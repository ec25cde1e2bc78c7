/* Error values: filling them, and the table of codes. SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void fill(struct err *err, enum status code, uint32_t pos, const char *fmt, va_list ap)
{
    if (!err) return;
    err->code = code;
    err->pos = pos;
    err->hint[0] = 0;
    if (fmt && *fmt)
        vsnprintf(err->text, sizeof err->text, fmt, ap);
    else
        snprintf(err->text, sizeof err->text, "%s", err_sentence(code));
}

enum status err_set(struct err *err, enum status code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(err, code, NO_POS, fmt, ap);
    va_end(ap);
    return code;
}

enum status err_at(struct err *err, enum status code, uint32_t pos, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(err, code, pos, fmt, ap);
    va_end(ap);
    return code;
}

void err_hint(struct err *err, const char *fmt, ...)
{
    if (!err) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}

const char *err_sqlstate(enum status code)
{
    switch (code) {
#define X(name, number, state, text)                                                               \
    case name: return state;
        ERR_MAP(X)
#undef X
    default: return "XX000";
    }
}

const char *err_sentence(enum status code)
{
    switch (code) {
#define X(name, number, state, text)                                                               \
    case name: return text;
        ERR_MAP(X)
#undef X
    default: return "unexpected result";
    }
}

static void (*panic_handler)(const char *, int, const char *);

void panic_handler_set(void (*fn)(const char *, int, const char *)) { panic_handler = fn; }

_Noreturn void panic_at(const char *file, int line, const char *what)
{
    if (panic_handler) panic_handler(file, line, what);
    fprintf(stderr, "laminar: invariant broken at %s:%d: %s\n", file, line, what);
    abort();
}
