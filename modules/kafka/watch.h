/* Looks for partitions that are added while a source reads: its library tells nobody, so a thread asks the brokers at
 * intervals, and wakes the source when it has found some. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_WATCH_H
#define KAFKA_WATCH_H

#include "client.h"

#include <pthread.h>
#include <stdatomic.h>

struct watch {
    struct lam_io *io;
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *known; /* the thread's */
    int64_t interval_us;
    bool runs, stops;
    pthread_t thread;
    pthread_mutex_t lock; /* of `stops` and `found` */
    pthread_cond_t stop;
    rd_kafka_topic_partition_list_t *found; /* NULL: nothing new */
    _Atomic bool any;                       /* something is found */
};

/* known: the partitions that are read already, copied. OK or an error. */
int watch_start(struct watch *w, struct lam_io *io, rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *known,
                struct lam_error *err);
/* What was found since the last call; the caller's. NULL: nothing. */
rd_kafka_topic_partition_list_t *watch_take(struct watch *w);
void watch_stop(struct watch *w);

#endif
