/* Values of JSON by the places of their tokens. Belongs to src/format. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_JSON_VALUE_H
#define FORMAT_JSON_VALUE_H

#include "base/status.h"

#include <string.h>

#define JSON_DEPTH_MAX 1024

enum json_kind { JSON_BAD, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_NESTED };

/* One line of text: tokens [i, ..) of which lie before `end`; see json_index_text. */
struct json_line {
    const char *base;
    const uint32_t *at;
    uint32_t i;
    uint32_t end;
};

struct json_value {
    enum json_kind kind;
    uint32_t n;
    const char *p; /* as it stands in the text, a string with its quotes */
};

/* Whether p[0..n) is a number as RFC 8259 spells it. */
bool json_number(const char *p, size_t n);
/* The value at l->i, which is moved past it. Of kind JSON_BAD when it is none; *why then says so. */
struct json_value json_nested(struct json_line *l, const char **why);

static inline bool json_more(const struct json_line *l)
{
    return l->at[l->i] < l->end;
}
static inline char json_token(const struct json_line *l)
{
    return l->base[l->at[l->i]];
}

/* What it is by its first byte; only of a number is the rest not looked at yet. */
static inline enum json_kind json_scalar_guess(const char *p, uint32_t n)
{
    switch (*p) {
    case '"': return n >= 2 && p[n - 1] == '"' ? JSON_STRING : JSON_BAD;
    case 't': return n == 4 && !memcmp(p, "true", 4) ? JSON_BOOL : JSON_BAD;
    case 'f': return n == 5 && !memcmp(p, "false", 5) ? JSON_BOOL : JSON_BAD;
    case 'n': return n == 4 && !memcmp(p, "null", 4) ? JSON_NULL : JSON_BAD;
    case '-':
    case '0' ... '9': return JSON_NUMBER;
    default: return JSON_BAD;
    }
}

static inline enum json_kind json_scalar_kind(const char *p, uint32_t n)
{
    enum json_kind kind = json_scalar_guess(p, n);
    return kind == JSON_NUMBER && !json_number(p, n) ? JSON_BAD : kind;
}

/* From one token to before the next, without the blanks between. */
static inline struct json_value json_scalar_text(struct json_line *l)
{
    const char *p = l->base + l->at[l->i];
    uint32_t next = l->at[l->i + 1], n = (next < l->end ? next : l->end) - l->at[l->i];
    while (n > 1 && (uint8_t)p[n - 1] <= ' ') n--;
    l->i++;
    return (struct json_value){.p = p, .n = n};
}

#endif
