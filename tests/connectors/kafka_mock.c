/* A cluster of librdkafka's mock brokers that fails as it is told, for kafka.py: prints its address, then obeys lines of
 * its input, each answered by "ok". SPDX-License-Identifier: Apache-2.0
 *
 *   topic NAME PARTITIONS
 *   errors API CODE...      the next requests of that kind are answered by these, one each
 *   down BROKER, up BROKER  from 1 on */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS 2

static int obey(rd_kafka_mock_cluster_t *c, char *line)
{
    rd_kafka_resp_err_t codes[100];
    size_t n = 0;
    char *what = strtok(line, " \n"), *first = strtok(NULL, " \n"), *more;
    if (!what || !first) return 1;
    if (!strcmp(what, "down")) return rd_kafka_mock_broker_set_down(c, atoi(first));
    if (!strcmp(what, "up")) return rd_kafka_mock_broker_set_up(c, atoi(first));
    if (!strcmp(what, "topic")) {
        more = strtok(NULL, " \n");
        return !more || rd_kafka_mock_topic_create(c, first, atoi(more), 1);
    }
    if (strcmp(what, "errors")) return 1;
    while (n < sizeof codes / sizeof *codes && (more = strtok(NULL, " \n"))) codes[n++] = (rd_kafka_resp_err_t)atoi(more);
    rd_kafka_mock_push_request_errors_array(c, (int16_t)atoi(first), n, codes);
    return 0;
}

int main(void)
{
    char why[256], line[1000];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    rd_kafka_mock_cluster_t *c = rk ? rd_kafka_mock_cluster_new(rk, BROKERS) : NULL;
    if (!c) return 1;
    puts(rd_kafka_mock_cluster_bootstraps(c));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        puts(obey(c, line) ? "not understood" : "ok");
        fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(c);
    rd_kafka_destroy(rk);
    return 0;
}
