/* Which partitions a source reads, and where each begins. Asks the brokers, and waits for their answers for some
 * seconds. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_START_H
#define KAFKA_START_H

#include "client.h"

#define START_MS 10000

/* What failed of the topics, and why. */
struct start_error {
    rd_kafka_resp_err_t e; /* 0: nothing */
    const char *what;      /* `name`, or all of them */
    bool bad_pattern;
    char name[256];
};
/* Adds the partitions that the options' topics have now to `out`; waits so long at most. Any thread. */
rd_kafka_resp_err_t start_ask(const struct lam_io *io, rd_kafka_t *rk, int ms, rd_kafka_topic_partition_list_t *out,
                              struct start_error *why);
/* Adds the partitions of the options' topics to `out`, in order of topic and number. OK or an error. */
int start_partitions(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *out, struct lam_error *err);
/* Sets the offset of each of them: a number, or RD_KAFKA_OFFSET_BEGINNING. */
int start_offsets(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions,
                  struct lam_error *err);

/* Sets the offset of each to that of the first message (which RD_KAFKA_OFFSET_BEGINNING), behind the last (_END), or of
 * the first that is not older than `which` milliseconds since 1970, with RD_KAFKA_OFFSET_END where there is none. */
int start_query(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, int64_t which,
                struct lam_error *err);

/* As the values of startup.mode. */
enum start_mode { START_GROUP, START_EARLIEST, START_LATEST, START_TIMESTAMP, START_OFFSETS, START_SPECIFIC };
#define START_MODES "group-offsets|earliest|latest|timestamp|offsets|specific-offsets"

#endif
