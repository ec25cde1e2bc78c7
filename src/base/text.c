/* Growing buffers and nearest names. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_done(struct text *t)
{
    mem_free(t->p);
    t->p = NULL;
    t->n = t->cap = 0;
}

char *text_room(struct text *t, size_t n)
{
    if (t->full || (t->max && t->n + n > t->max)) {
        t->full = true;
        return NULL;
    }
    if (t->n + n > t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        while (cap < t->n + n) cap *= 2;
        t->p = mem_realloc(t->p, t->n, cap);
        t->cap = cap;
    }
    return t->p + t->n;
}

void text_put(struct text *t, const void *p, size_t n)
{
    char *to = text_room(t, n);
    if (!to) return;
    if (n) memcpy(to, p, n);
    t->n += n;
}

void text_puts(struct text *t, const char *s) { text_put(t, s, strlen(s)); }

void text_putc(struct text *t, char c) { text_put(t, &c, 1); }

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *to = text_room(t, (size_t)n + 1);
    if (!to) return;
    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

const char *text_cstr(struct text *t)
{
    bool full = t->full;
    size_t max = t->max;
    t->full = false, t->max = 0;
    *text_room(t, 1) = 0;
    t->full = full, t->max = max;
    return t->p;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

int text_casecmp(const char *a, const char *b)
{
    for (; lower(*a) == lower(*b); a++, b++)
        if (!*a) return 0;
    return (unsigned char)lower(*a) - (unsigned char)lower(*b);
}

int text_distance(const char *a, const char *b)
{
    int na = (int)strnlen(a, 64), nb = (int)strnlen(b, 64);
    if (na == 64 || nb == 64) return 64;
    int rows[3][65]; /* of prefixes of a: this one, one and two letters less */
    int *row = rows[0], *above = rows[1], *above2 = rows[2];
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        int *oldest = above2;
        above2 = above, above = row, row = oldest;
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            int best = above[j - 1] + (x != y);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y;
            if (swapped && above2[j - 2] + 1 < best) best = above2[j - 2] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

const char *text_nearest(const char *name, const char *(*next)(const void *, int), const void *ctx)
{
    const char *best = NULL, *s;
    int limit = (int)strlen(name) / 3 + 1, best_d = limit + 1;
    for (int i = 0; (s = next(ctx, i)); i++) {
        int d = text_distance(name, s);
        if (d < best_d) best_d = d, best = s;
    }
    return best;
}
