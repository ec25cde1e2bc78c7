/* Places told to a group of consumers: to whom watches its lag, and to a database that begins without places of its own.
 * Nothing else is asked of the group; no member joins it. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_GROUP_H
#define KAFKA_GROUP_H

#include "client.h"

struct group {
    struct lam_io *io;
    rd_kafka_t *rk;
    rd_kafka_queue_t *main;
    const char *name;                        /* NULL: there is none to be told */
    rd_kafka_topic_partition_list_t *places; /* to be told next; NULL: none */
    bool under_way;                          /* one telling is, and the next waits for its answer */
    int64_t failures;
};

/* A configuration for the group of the options, if they name one. */
void group_conf(struct group *g, struct client_conf *c);
/* main: the client's, whose answers rd_kafka_poll brings. */
void group_open(struct group *g, struct lam_io *io, rd_kafka_t *rk, rd_kafka_queue_t *main);
/* That partition is read up to before `next`. Told by the next group_tell, which returns at once. */
void group_note(struct group *g, const char *topic, int32_t partition, int64_t next);
void group_tell(struct group *g);
/* Gives what is still to be told a second to get out. */
void group_close(struct group *g);

#endif
