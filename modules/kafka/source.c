/* Topics, a split for each partition. Partitions are assigned by us alone and read from places that the database keeps:
 * no group of consumers is joined, and nothing that another one does moves ours. The library's threads fetch ahead into
 * a queue for each partition, which is bounded; nobody is asked for more while it is full. SPDX-License-Identifier:
 * Apache-2.0 */
#include "client.h"
#include "group.h"
#include "meta.h"
#include "source_options.h"
#include "start.h"
#include "watch.h"

#include <stdio.h>
#include <string.h>

#define AT_ONCE 2048

struct partition {
    rd_kafka_topic_t *topic;
    int32_t number;
    int64_t begin, end; /* end: of a bounded source, else INT64_MAX */
    int64_t next;       /* the offset behind what was given, or where it begins */
    bool started, ended;
    bool at_end;        /* all that there was has been given ... */
    int64_t outages;    /* ... as was known after so many outages; see read_caught_up */
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *taken[AT_ONCE];
    ssize_t n, at; /* of taken: not given yet from `at` on */
    char name[280];
};

struct reading {
    struct trouble trouble;
    rd_kafka_t *rk;
    rd_kafka_queue_t *main;
    int n;
    struct partition **partitions; /* each stays where it is: its name is lent out */
    struct meta meta;
    struct group group;
    struct watch watch;
};

static void on_event(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    struct lam_io *io = opaque;
    io->host->wake(io);
}

/* ---- open */

static int connect_to(struct lam_io *io, struct lam_error *err)
{
    struct reading *r = io->self;
    const struct lam_host *h = io->host;
    const struct lam_options *o = io->options;
    struct client_conf c;
    if (h->option_int(o, "fetch.max.wait.ms") + 1000000 > h->option_int(o, "socket.timeout.ms"))
        return h->fail(err, LAM_IO_OPTION, "fetch.max.wait.ms is not a second less than socket.timeout.ms: what is fetched would come too late");
    client_conf_begin(&c, io, err);
    group_conf(&r->group, &c);
    client_conf_set(&c, "enable.partition.eof", "true");
    client_conf_set(&c, "auto.offset.reset", "error");
    client_conf_set(&c, "auto.commit.enable", "false");
    client_conf_set(&c, "enable.auto.commit", "false");
    client_conf_set(&c, "enable.auto.offset.store", "false");
    client_conf_set(&c, "isolation.level", h->option_int(o, "isolation.level") ? "read_uncommitted" : "read_committed");
    client_conf_int(&c, "queued.max.messages.kbytes", (h->option_int(o, "queued.max.bytes") + 1023) / 1024);
    client_conf_int(&c, "fetch.min.bytes", h->option_int(o, "fetch.min.bytes"));
    client_conf_int(&c, "fetch.max.bytes", h->option_int(o, "fetch.max.bytes"));
    client_conf_int(&c, "fetch.wait.max.ms", h->option_int(o, "fetch.max.wait.ms") / 1000);
    client_conf_int(&c, "max.partition.fetch.bytes", h->option_int(o, "max.partition.fetch.bytes"));
    client_conf_int(&c, "topic.metadata.refresh.interval.ms", h->option_int(o, "metadata.max.age.ms") / 1000);
    r->rk = client_new(&c, RD_KAFKA_CONSUMER);
    if (!r->rk) return c.result;
    r->main = rd_kafka_queue_get_main(r->rk);
    rd_kafka_queue_cb_event_enable(r->main, on_event, io);
    group_open(&r->group, io, r->rk, r->main);
    return LAM_IO_OK;
}

static int beyond(struct lam_io *io, const struct partition *p, int64_t offset, int code, struct lam_error *err)
{
    io->host->fail(err, code, "%s ends at offset %ld, before %ld", p->name, (long)p->end, (long)offset);
    io->host->hint(err, "if the topic was made anew, choose another startup.mode");
    return code;
}

static int open_partition(struct lam_io *io, struct partition *p, const rd_kafka_topic_partition_t *from,
                          struct lam_error *err)
{
    struct reading *r = io->self;
    snprintf(p->name, sizeof p->name, "%s/%d", from->topic, (int)from->partition);
    p->topic = rd_kafka_topic_new(r->rk, from->topic, NULL);
    p->number = from->partition;
    p->begin = from->offset;
    p->end = INT64_MAX;
    if (!p->topic)
        return io->host->fail(err, LAM_IO_OPTION, "the topic '%s': %s", from->topic,
                              rd_kafka_err2str(rd_kafka_last_error()));
    return LAM_IO_OK;
}

/* Of a bounded source: all ends are asked for before anything is read. */
static int find_ends(struct lam_io *io, const rd_kafka_topic_partition_list_t *l, struct lam_error *err)
{
    struct reading *r = io->self;
    rd_kafka_topic_partition_list_t *low = rd_kafka_topic_partition_list_copy(l), *high = rd_kafka_topic_partition_list_copy(l);
    int result = start_query(io, r->rk, low, RD_KAFKA_OFFSET_BEGINNING, err);
    if (!result) result = start_query(io, r->rk, high, RD_KAFKA_OFFSET_END, err);
    for (int i = 0; !result && i < r->n; i++) {
        struct partition *p = r->partitions[i];
        p->end = high->elems[i].offset;
        if (p->begin < 0) p->begin = low->elems[i].offset;
        if (p->begin > p->end) result = beyond(io, p, p->begin, LAM_IO_OPTION, err);
    }
    rd_kafka_topic_partition_list_destroy(low);
    rd_kafka_topic_partition_list_destroy(high);
    return result;
}

static int add_partitions(struct lam_io *io, const rd_kafka_topic_partition_list_t *l, struct lam_error *err)
{
    struct reading *r = io->self;
    int result = LAM_IO_OK;
    r->partitions = io->host->resize(r->partitions, (size_t)r->n * sizeof *r->partitions,
                                     (size_t)(r->n + l->cnt) * sizeof *r->partitions);
    for (int i = 0; !result && i < l->cnt; i++) {
        struct partition *p = r->partitions[r->n++] = io->host->alloc(sizeof *p);
        io->host->account(io, sizeof *p);
        result = open_partition(io, p, &l->elems[i], err);
    }
    return result;
}

static int read_open(struct lam_io *io, struct lam_error *err)
{
    struct reading *r = io->self;
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(16);
    meta_open(&r->meta, io);
    int result = connect_to(io, err);
    if (!result) result = start_partitions(io, r->rk, l, err);
    if (!result) result = start_offsets(io, r->rk, l, err);
    if (!result) result = add_partitions(io, l, err);
    bool bounded = io->host->option_int(io->options, "bounded");
    if (!result) result = bounded ? find_ends(io, l, err) : watch_start(&r->watch, io, r->rk, l, err);
    rd_kafka_topic_partition_list_destroy(l);
    return result;
}

/* A bounded source ends where the topics ended, and is not watched. */
static int read_splits(struct lam_io *io)
{
    struct reading *r = io->self;
    rd_kafka_topic_partition_list_t *found = watch_take(&r->watch);
    if (!found) return r->n;
    add_partitions(io, found, NULL); /* of one that is no good the first poll will say so */
    rd_kafka_topic_partition_list_destroy(found);
    return r->n;
}

static const char *read_split_name(struct lam_io *io, int split)
{
    return ((struct reading *)io->self)->partitions[split]->name;
}

/* ---- reading */

static void halt(struct partition *p)
{
    for (; p->at < p->n; p->at++) rd_kafka_message_destroy(p->taken[p->at]);
    p->at = p->n = 0;
    if (p->started) rd_kafka_consume_stop(p->topic, p->number);
    if (p->queue) rd_kafka_queue_cb_event_enable(p->queue, NULL, NULL), rd_kafka_queue_destroy(p->queue);
    p->queue = NULL;
    p->started = p->at_end = false;
}

/* The fetching begins with the first poll: an instance is asked for some of the splits only. */
static int read_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    struct partition *p = ((struct reading *)io->self)->partitions[split];
    halt(p);
    p->next = at ? at->offset + 1 : p->begin;
    p->ended = p->next >= p->end;
    return p->next <= p->end ? LAM_IO_OK : beyond(io, p, p->next, LAM_IO_READ, err);
}

static int begin(struct lam_io *io, struct partition *p, struct lam_error *err)
{
    struct reading *r = io->self;
    if (!p->topic) return io->host->fail(err, LAM_IO_READ, "%s: no such topic", p->name);
    p->outages = r->trouble.outages;
    p->queue = rd_kafka_queue_new(r->rk);
    rd_kafka_queue_cb_event_enable(p->queue, on_event, io);
    p->started = !rd_kafka_consume_start_queue(p->topic, p->number, p->next, p->queue);
    if (p->started) return LAM_IO_OK;
    return io->host->fail(err, LAM_IO_READ, "%s: %s", p->name, rd_kafka_err2str(rd_kafka_last_error()));
}

/* Something that is not a message but stands where one would. Outages pass, and the library goes on where it was. */
static int take_event(struct lam_io *io, struct partition *p, const rd_kafka_message_t *m, struct lam_error *err)
{
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        p->ended = m->offset >= p->end;
        p->at_end = true;
        return LAM_IO_OK;
    }
    int result = client_class(m->err, LAM_IO_READ);
    if (result == LAM_IO_CONNECT || result == LAM_IO_TIMEOUT) {
        io->host->log(io, 1, "%s: %s", p->name, rd_kafka_message_errstr(m));
        return LAM_IO_OK;
    }
    io->host->fail(err, result, "%s: %s", p->name, rd_kafka_message_errstr(m));
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        io->host->hint(err, "the message at offset %ld is not there, or no more: choose another startup.mode",
                       (long)p->next);
    return result;
}

/* Gives one message. *more: there is room for another. */
static void give(struct lam_io *io, struct partition *p, const rd_kafka_message_t *m, struct lam_records *out,
                 bool *more)
{
    struct reading *r = io->self;
    struct lam_position after = {.offset = m->offset};
    if (m->offset >= p->end) {
        p->ended = true;
        return;
    }
    meta_add(&r->meta, out->n, out->max, m);
    *more = io->host->record(out, m->payload, m->len, &after);
    p->next = m->offset + 1;
    p->ended = p->next >= p->end;
    p->at_end = false;
}

/* The library says once that a partition is at its end. After an outage it is asked again, by fetching anew: until it
 * answers, nobody knows what is there. */
static void ask_for_end(struct reading *r, struct partition *p)
{
    if (p->at_end && p->outages != r->trouble.outages) halt(p);
}

static int read_poll(struct lam_io *io, int split, int64_t now, struct lam_records *out, struct lam_error *err)
{
    (void)now;
    struct reading *r = io->self;
    struct partition *p = r->partitions[split];
    int result = LAM_IO_OK;
    bool more = true;
    rd_kafka_poll(r->rk, 0);
    group_tell(&r->group);
    ask_for_end(r, p);
    if (!p->started && !p->ended) result = begin(io, p, err);
    if (!result && !p->ended && p->at == p->n) {
        ssize_t n = rd_kafka_consume_batch_queue(p->queue, 0, p->taken, AT_ONCE);
        p->at = 0;
        p->n = n > 0 ? n : 0;
    }
    while (more && !result && !p->ended && p->at < p->n) {
        rd_kafka_message_t *m = p->taken[p->at++];
        if (m->err)
            result = take_event(io, p, m, err);
        else
            give(io, p, m, out, &more);
        rd_kafka_message_destroy(m);
    }
    meta_give(&r->meta, out);
    if (result) return result;
    if (p->ended) return halt(p), LAM_IO_DONE;
    return out->n ? LAM_IO_OK : LAM_IO_WAIT;
}

static bool read_caught_up(struct lam_io *io, int split)
{
    const struct reading *r = io->self;
    const struct partition *p = r->partitions[split];
    return p->at_end && p->outages == r->trouble.outages;
}

static void read_ack(struct lam_io *io, uint64_t epoch, int split, const struct lam_position *at)
{
    (void)epoch;
    struct reading *r = io->self;
    const struct partition *p = r->partitions[split];
    group_note(&r->group, rd_kafka_topic_name(p->topic), p->number, at->offset + 1);
    io->host->wake(io);
}

static void read_close(struct lam_io *io)
{
    struct reading *r = io->self;
    watch_stop(&r->watch);
    group_close(&r->group);
    for (int i = 0; i < r->n; i++) {
        halt(r->partitions[i]);
        if (r->partitions[i]->topic) rd_kafka_topic_destroy(r->partitions[i]->topic);
        io->host->free(r->partitions[i]);
    }
    if (r->main) rd_kafka_queue_cb_event_enable(r->main, NULL, NULL), rd_kafka_queue_destroy(r->main);
    if (r->rk) rd_kafka_destroy(r->rk);
    if (r->n) io->host->account(io, -(int64_t)r->n * (int64_t)sizeof **r->partitions);
    io->host->free(r->partitions);
    meta_close(&r->meta);
}

static bool read_bounded(const struct lam_host *host, const struct lam_options *o)
{
    return host->option_int(o, "bounded");
}

/* ---- the class */

static const struct lam_source_class source = {
    .size = sizeof source,
    .name = "kafka",
    .sentence = "Reads topics of Kafka.",
    .payload = LAM_RECORDS,
    .replayable = true,
    .instance_size = sizeof(struct reading),
    .options = source_options,
    .n_options = sizeof source_options / sizeof *source_options,
    .option_size = sizeof source_options[0],
    .default_format = "json",
    .bounded = read_bounded,
    .open = read_open,
    .splits = read_splits,
    .split_name = read_split_name,
    .seek = read_seek,
    .poll_records = read_poll,
    .ack = read_ack,
    .close = read_close,
    .metadata = meta_columns,
    .n_metadata = META_COLUMNS,
    .metadata_size = sizeof meta_columns[0],
    .caught_up = read_caught_up,
};

const struct lam_source_class *const kafka_sources[] = {&source, NULL};
