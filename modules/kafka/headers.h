/* Headers of a message as an object of JSON: {"name": "text", "nothing": null}. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_HEADERS_H
#define KAFKA_HEADERS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

/* False: p is no object of strings, numbers, booleans and nulls. The caller destroys *out, which may be NULL: none. */
bool headers_read(const char *p, size_t n, rd_kafka_headers_t **out);

/* The other way: the length of that object, written to out if it has room for so much. Bytes that are no UTF-8 are
 * written as the text
 * \\x and hexadecimal digits. headers NULL: 0. */
size_t headers_write(const rd_kafka_headers_t *headers, char *out, size_t room);

#endif
