/* What messages carry beside their values, as columns. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_META_H
#define KAFKA_META_H

#include <laminar_connector.h>
#include <librdkafka/rdkafka.h>

enum { META_KEY, META_PARTITION, META_OFFSET, META_TIMESTAMP, META_HEADERS, META_TOPIC, META_COLUMNS };
extern const struct lam_metadata meta_columns[META_COLUMNS];

/* A column that grows: numbers, or texts one behind the other. */
struct meta_column {
    int what;
    uint8_t *valid;
    int64_t *wide;
    int32_t *narrow; /* numbers of 32 bits, or where texts end, n + 1 */
    char *text;
    size_t text_cap;
};

/* Columns of one poll; the buffers are used again, for the host has copied them by then. */
struct meta {
    struct lam_io *io;
    int n; /* columns asked for */
    int64_t max;
    struct meta_column *columns;
    const void *(*buffers)[3];
    const void *none[1];
    struct ArrowArray *children, **list;
};

void meta_open(struct meta *m, struct lam_io *io);
/* Of row i, at most max rows. */
void meta_add(struct meta *m, int64_t i, int64_t max, const rd_kafka_message_t *from);
void meta_give(struct meta *m, struct lam_records *out);
void meta_close(struct meta *m);

#endif
