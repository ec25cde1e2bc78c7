/* The first stage of simdjson: where the tokens of JSON text begin, found 64 bytes at a time with the best instructions
 * of the machine; and its reader of escapes. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_SHIM_JSON_H
#define FORMAT_SHIM_JSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_PADDING 64 /* readable bytes after any text given */

struct json_index;
struct json_index *json_index_new(void); /* NULL: no memory */
void json_index_free(struct json_index *x);

enum json_text {
    JSON_TEXT_OK,
    JSON_TEXT_NOT_UTF8,
    JSON_TEXT_CONTROL,  /* a control character in a string; a newline too, so no string crosses lines */
    JSON_TEXT_UNCLOSED, /* a string without end */
    JSON_TEXT_FAILED,   /* no memory */
};
/* Looks at p[0..n): sets *at to the places of { } [ ] : , and of the first byte of each string and other scalar,
 * ascending, *count of them and then n twice; valid until the next call. */
enum json_text json_index_text(struct json_index *x, const char *p, size_t n, const uint32_t **at, uint32_t *count);

/* Writes the string that begins after the quote at from - 1, without its escapes; returns its end or NULL when an
 * escape is wrong. `to` has room for its bytes and JSON_PADDING. */
char *json_unescape(const struct json_index *x, const char *from, char *to);

#ifdef __cplusplus
}
#endif

#endif
