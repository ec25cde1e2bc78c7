/* A check of RFC 8259, iterative: open brackets are bits of a bounded stack.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/jsontext.h"

#include <stdint.h>
#include <string.h>

#define DEPTH 1024

struct scan {
    const char *p, *end;
    uint8_t object[DEPTH]; /* whether the bracket at this depth is a brace */
    int depth;
};

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) s->p++;
}

static bool take(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c) return false;
    s->p++;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool take_string(struct scan *s)
{
    if (!take(s, '"')) return false;
    while (s->p < s->end) {
        char c = *s->p++;
        if (c == '"') return true;
        if ((unsigned char)c < 0x20) return false;
        if (c != '\\') continue;
        if (s->p == s->end) return false;
        c = *s->p++;
        if (c == 'u') {
            for (int i = 0; i < 4; i++)
                if (s->p == s->end || !is_hex(*s->p++)) return false;
        } else if (!strchr("\"\\/bfnrt", c) || !c) {
            return false;
        }
    }
    return false;
}

static bool take_digits(struct scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') s->p++;
    return s->p > from;
}

static bool take_number(struct scan *s)
{
    take(s, '-');
    if (!take(s, '0') && !take_digits(s)) return false;
    if (take(s, '.') && !take_digits(s)) return false;
    if (s->p < s->end && (*s->p | 32) == 'e') {
        s->p++;
        if (!take(s, '+')) take(s, '-');
        return take_digits(s);
    }
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n)) return false;
    s->p += n;
    return true;
}

static bool take_scalar(struct scan *s)
{
    if (s->p == s->end) return false;
    switch (*s->p) {
    case '"': return take_string(s);
    case 't': return take_word(s, "true");
    case 'f': return take_word(s, "false");
    case 'n': return take_word(s, "null");
    default: return take_number(s);
    }
}

static bool take_key(struct scan *s)
{
    skip_blanks(s);
    if (!take_string(s)) return false;
    skip_blanks(s);
    return take(s, ':');
}

/* After a value: closes brackets, or comes to where the next value begins. */
static bool after_value(struct scan *s, bool *done)
{
    for (;;) {
        skip_blanks(s);
        if (!s->depth) return *done = true, s->p == s->end;
        bool object = s->object[s->depth - 1];
        if (take(s, ',')) return !object || take_key(s);
        if (!take(s, object ? '}' : ']')) return false;
        s->depth--;
    }
}

bool jsontext_valid(const char *p, size_t n)
{
    struct scan s;
    s.p = p, s.end = p + n, s.depth = 0;
    for (bool done = false; !done;) {
        skip_blanks(&s);
        bool object = s.p < s.end && *s.p == '{';
        if (object || (s.p < s.end && *s.p == '[')) {
            s.p++;
            skip_blanks(&s);
            if (!take(&s, object ? '}' : ']')) {
                if (s.depth == DEPTH) return false;
                s.object[s.depth++] = object;
                if (object && !take_key(&s)) return false;
                continue;
            }
        } else if (!take_scalar(&s)) {
            return false;
        }
        if (!after_value(&s, &done)) return false;
    }
    return true;
}
