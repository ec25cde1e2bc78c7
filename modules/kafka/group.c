/* SPDX-License-Identifier: Apache-2.0 */
#include "group.h"

#define CLOSE_MS 1000

/* The first failure and each tenth power: who cannot reach the group for a day does not fill the log. */
static bool is_worth_a_line(int64_t n)
{
    while (n % 10 == 0) n /= 10;
    return n == 1;
}

/* What a partition's answer says counts when the whole was no error. */
static void on_answer(rd_kafka_t *rk, rd_kafka_resp_err_t e, rd_kafka_topic_partition_list_t *places, void *opaque)
{
    (void)rk;
    struct group *g = opaque;
    g->under_way = false;
    for (int i = 0; !e && i < places->cnt; i++) e = places->elems[i].err;
    if (!e || !is_worth_a_line(++g->failures)) return;
    g->io->host->log(g->io, 1, "the group '%s' was not told where the source stands (%ld times so far): %s", g->name,
                     (long)g->failures, rd_kafka_err2str(e));
}

void group_conf(struct group *g, struct client_conf *c)
{
    const struct lam_host *h = c->io->host;
    const char *name = h->option_text(c->io->options, "group.id");
    if (!name) return;
    client_conf_set(c, "group.id", name);
    if (h->option_int(c->io->options, "broker.commit.on.checkpoint")) g->name = name;
}

void group_open(struct group *g, struct lam_io *io, rd_kafka_t *rk, rd_kafka_queue_t *main)
{
    g->io = io;
    g->rk = rk;
    g->main = main;
}

void group_note(struct group *g, const char *topic, int32_t partition, int64_t next)
{
    if (!g->name) return;
    if (!g->places) g->places = rd_kafka_topic_partition_list_new(8);
    rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(g->places, topic, partition);
    if (!p) p = rd_kafka_topic_partition_list_add(g->places, topic, partition);
    p->offset = next;
}

void group_tell(struct group *g)
{
    if (!g->places || g->under_way) return;
    rd_kafka_topic_partition_list_t *places = g->places;
    g->places = NULL;
    g->under_way = true;
    rd_kafka_resp_err_t e = rd_kafka_commit_queue(g->rk, places, g->main, on_answer, g);
    if (e) on_answer(g->rk, e, places, g);
    rd_kafka_topic_partition_list_destroy(places);
}

void group_close(struct group *g)
{
    int64_t until = g->name && g->rk ? g->io->host->now(g->io) + CLOSE_MS * 1000 : 0;
    group_tell(g);
    while ((g->under_way || g->places) && g->io->host->now(g->io) < until) {
        rd_kafka_poll(g->rk, 50);
        group_tell(g);
    }
    if (g->places) rd_kafka_topic_partition_list_destroy(g->places);
    g->places = NULL;
}
