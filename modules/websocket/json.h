/* As much of JSON as the messages of clients are of: one flat object. From bytes alone. SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEBSOCKET_JSON_H
#define WEBSOCKET_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_is_valid(const char *p, size_t n);

/* s as a JSON string, quotes and all, in to[0..cap) with a zero behind it; what has no room is left out, and what is no UTF-8 is ?. Its
 * length. cap >= 3. */
size_t json_quote(const char *s, char *to, size_t cap);

enum json_kind { JSON_TEXT, JSON_NUMBER, JSON_WORD /* true, false, null */ };
struct json_member {
    const char *name, *value; /* as text, both ended by a zero, where they stood */
    enum json_kind kind;
};

/* The members of the object p[0..n), which is written over. How many; -1: it is none, or has other objects or arrays in it, a text with
 * a zero, or more than max members. p[n] is written to as well. */
int json_read(char *p, size_t n, struct json_member *out, int max);

#endif
