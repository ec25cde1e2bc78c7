/* An idempotent producer for one topic: what is handed over and what was reported. Its library's threads do the waiting.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_PRODUCER_H
#define KAFKA_PRODUCER_H

#include "client.h"

#include <stdatomic.h>

#define PRODUCER_OVERHEAD 512 /* of a message and its batch, in bytes */

enum partitioner { KEY_HASH, ROUND_ROBIN, STICKY };

struct producer {
    struct lam_io *io;
    rd_kafka_t *rk; /* NULL: not started */
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *main;
    const char *name;  /* of the topic */
    int64_t max_bytes; /* of a message, topic and options considered */
    bool needs_key;    /* the topic is compacted */
    enum partitioner partitioner;
    _Atomic uint32_t turn; /* of a partitioner */
    int64_t sent, reported;
    int64_t bytes, accounted;   /* of messages that are on their way */
    rd_kafka_resp_err_t failed; /* the first report that was no success */
};

struct message {
    const char *value, *key; /* NULL: none */
    size_t n, nkey;
    rd_kafka_headers_t *headers; /* or NULL */
    int32_t partition;
    int64_t ms; /* 0: the time of sending */
    char room[24];
};

/* With name, max_bytes and partitioner set. OK or an error. */
int producer_start(struct producer *p, struct lam_io *io, struct lam_error *err);
/* Copies key and value, and takes the headers when it succeeds. */
rd_kafka_resp_err_t producer_send(struct producer *p, const struct message *m);
/* Takes in reports; the error of one that was no success, or of a producer that can do no more. */
int producer_collect(struct producer *p, struct lam_error *err);
static inline bool producer_is_behind(const struct producer *p)
{
    return p->reported < p->sent;
}
/* What is on its way is dropped. What may be set before a start stays. */
void producer_stop(struct producer *p);

#endif
