/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "start.h"

#include <string.h>
#include <time.h>

#define ASK_MS 1000 /* closing waits so long for an answer at most; a later look may have one */

/* False: it is to stop. Slept in the system's own time: what is read does not depend on it. */
static bool sleep_for(struct watch *w, int64_t us)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += us / 1000000;
    at.tv_nsec += us % 1000000 * 1000;
    if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
    pthread_mutex_lock(&w->lock);
    while (!w->stops && !pthread_cond_timedwait(&w->stop, &w->lock, &at)) {}
    bool goes_on = !w->stops;
    pthread_mutex_unlock(&w->lock);
    return goes_on;
}

static void tell(struct watch *w, const rd_kafka_topic_partition_t *p)
{
    rd_kafka_topic_partition_list_add(w->known, p->topic, p->partition);
    pthread_mutex_lock(&w->lock);
    if (!w->found) w->found = rd_kafka_topic_partition_list_new(4);
    rd_kafka_topic_partition_list_add(w->found, p->topic, p->partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->any, true);
    w->io->host->log(w->io, 2, "there is a new partition, %s/%d", p->topic, (int)p->partition);
}

/* A topic that was taken away is the matter of who reads it. */
static void look(struct watch *w)
{
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(16);
    struct start_error why;
    if (start_ask(w->io, w->rk, ASK_MS, all, &why))
        w->io->host->log(w->io, 3, "looking for new partitions: %s: %s", why.what, rd_kafka_err2str(why.e));
    for (int i = 0; i < all->cnt; i++)
        if (!rd_kafka_topic_partition_list_find(w->known, all->elems[i].topic, all->elems[i].partition))
            tell(w, &all->elems[i]);
    rd_kafka_topic_partition_list_destroy(all);
    if (atomic_load(&w->any)) w->io->host->wake(w->io);
}

static void *run(void *ctx)
{
    struct watch *w = ctx;
    while (sleep_for(w, w->interval_us)) look(w);
    return NULL;
}

int watch_start(struct watch *w, struct lam_io *io, rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *known,
                struct lam_error *err)
{
    pthread_condattr_t monotonic;
    w->io = io;
    w->rk = rk;
    w->interval_us = io->host->option_int(io->options, "metadata.max.age.ms");
    w->known = rd_kafka_topic_partition_list_copy(known);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int failed = pthread_create(&w->thread, NULL, run, w);
    w->runs = !failed;
    return failed ? io->host->fail(err, LAM_IO_READ, "a thread: %s", strerror(failed)) : LAM_IO_OK;
}

rd_kafka_topic_partition_list_t *watch_take(struct watch *w)
{
    if (!atomic_load(&w->any)) return NULL;
    pthread_mutex_lock(&w->lock);
    rd_kafka_topic_partition_list_t *found = w->found;
    w->found = NULL;
    atomic_store(&w->any, false);
    pthread_mutex_unlock(&w->lock);
    return found;
}

void watch_stop(struct watch *w)
{
    if (!w->known) return;
    pthread_mutex_lock(&w->lock);
    w->stops = true;
    pthread_cond_signal(&w->stop);
    pthread_mutex_unlock(&w->lock);
    if (w->runs) pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->stop);
    pthread_mutex_destroy(&w->lock);
    rd_kafka_topic_partition_list_destroy(w->known);
    if (w->found) rd_kafka_topic_partition_list_destroy(w->found);
    w->known = w->found = NULL;
}
