/* Bytes of a head of HTTP, and what its lines are cut by. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_SPAN_H
#define WEBSOCKET_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *p;
    size_t n;
};

static inline bool is_word(struct span s, const char *word)
{
    return s.n == strlen(word) && !strncasecmp(s.p, word, s.n);
}
static inline bool is_text(struct span s, const char *text)
{
    return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

static inline struct span trim(struct span s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t')) s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

/* Cuts what stands before `sep` off *rest; all of it when there is none. */
static inline struct span cut(struct span *rest, char sep)
{
    const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    struct span s = {rest->p, at ? (size_t)(at - rest->p) : rest->n};
    size_t used = s.n + (at != NULL);
    *rest = (struct span){rest->p + used, rest->n - used};
    return s;
}

/* Whether it is made of lines, without other control characters than tabs. Behind the last one "\r\n" stands, beyond the text. */
static inline bool is_head(struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool ends = c == '\r' && text.p[i + 1] == '\n';
        if (ends)
            i++;
        else if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    return true;
}

/* Cuts the next header off, of a head whose line before was cut off up to its newline; false: that is no header. */
static inline bool cut_header(struct span *text, struct span *name, struct span *value)
{
    text->p++, text->n--; /* the newline */
    *value = cut(text, '\r');
    if (!value->n || !memchr(value->p, ':', value->n)) return false;
    *name = cut(value, ':');
    *value = trim(*value);
    return name->n && trim(*name).n == name->n;
}

static inline bool has_word(struct span list, const char *word)
{
    while (list.n)
        if (is_word(trim(cut(&list, ',')), word)) return true;
    return false;
}

#endif
