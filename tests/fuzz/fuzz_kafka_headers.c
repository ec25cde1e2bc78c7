/* Headers of Kafka's messages, both ways. Any text: what is read as headers is written and read again as the same. Any
 * headers that a producer may have sent: what is written fits the length that was told, and is an object that can be
 * read, of as many members. SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/kafka/headers.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool ok)
{
    if (!ok) abort();
}

/* In memory of just that size. */
static char *write_all(const rd_kafka_headers_t *h, size_t *n)
{
    *n = headers_write(h, NULL, 0);
    char *out = malloc(*n ? *n : 1);
    check(headers_write(h, out, *n) == *n);
    return out;
}

static void check_same(const rd_kafka_headers_t *a, const rd_kafka_headers_t *b)
{
    const char *name, *other;
    const void *value, *second;
    size_t n, m;
    check(rd_kafka_header_cnt(a) == rd_kafka_header_cnt(b));
    for (size_t i = 0; !rd_kafka_header_get_all(a, i, &name, &value, &n); i++) {
        check(!rd_kafka_header_get_all(b, i, &other, &second, &m));
        check(!strcmp(name, other) && !value == !second && n == m && (!n || !memcmp(value, second, n)));
    }
}

static bool is_ascii(const uint8_t *p, size_t n)
{
    while (n && p[n - 1] && p[n - 1] < 0x80) n--;
    return !n;
}

static void from_text(const uint8_t *data, size_t n)
{
    rd_kafka_headers_t *h, *again;
    size_t length;
    if (!headers_read((const char *)data, n, &h) || !h) return;
    char *text = write_all(h, &length);
    check(headers_read(text, length, &again));
    if (is_ascii(data, n) && !memmem(data, n, "\\u", 2)) check_same(h, again); /* bytes that are no text are written as such */
    free(text);
    rd_kafka_headers_destroy(h);
    rd_kafka_headers_destroy(again);
}

/* Two bytes of lengths before each, a value of length 255 is none. */
static void from_producer(const uint8_t *data, size_t n)
{
    rd_kafka_headers_t *h = rd_kafka_headers_new(4), *again = NULL;
    size_t length, count = 0;
    for (size_t at = 0; at + 2 <= n && count < 100; count++) {
        size_t name = data[at] % 32, value = data[at + 1];
        bool none = value == 255;
        at += 2;
        if (name > n - at) name = n - at;
        const char *from = (const char *)data + at;
        at += name;
        if (none || value > n - at) value = none ? 0 : n - at;
        check(!rd_kafka_header_add(h, from, (ssize_t)name, none ? NULL : (const char *)data + at, (ssize_t)value));
        at += value;
    }
    char *text = write_all(h, &length);
    check(headers_read(text, length, &again));
    check(again ? rd_kafka_header_cnt(again) == count : !count);
    free(text);
    rd_kafka_headers_destroy(h);
    if (again) rd_kafka_headers_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    from_text(data, n);
    from_producer(data, n);
    return 0;
}
