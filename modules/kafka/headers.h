/* Headers of a message as an object of JSON: {"name": "text", "nothing": null}. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_HEADERS_H
#define KAFKA_HEADERS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

/* False: p is no object of strings, numbers, booleans and nulls. The caller destroys *out, which may be NULL: none. */
bool headers_read(const char *p, size_t n, rd_kafka_headers_t **out);

#endif
