/* Rows to the partitions of a topic (producer.h): messages are handed over and counted, and reports of their delivery
 * counted again; a flush is done when none is missing.
 *
 * One failed report fails the instance at the next call: the rows since the last flush are then offered again to a new
 * one, so nothing is lost, and some may come twice. That holds for rows that went to the dead letters' topic too: for
 * the host they are rows like all others, delivered when that topic has them. SPDX-License-Identifier: Apache-2.0 */
#include "cell.h"
#include "headers.h"
#include "producer.h"
#include "sink_options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS   3000    /* for an answer of the cluster at open */
#define PARTITIONS_MS 1000
#define PARTITIONS_AGAIN_US 1000000
#define TOPIC_LONGEST 249
#define TOPIC_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define DLQ_MOST 1048588 /* bytes of a message that a topic takes by default */

struct writing {
    struct trouble trouble;
    struct producer out, dlq;               /* dlq: its name NULL: there is none. It starts with its first row */
    rd_kafka_queue_t *answers;              /* NULL when open is done */
    int key, headers, partition, timestamp; /* columns, or -1 */
    int64_t partitions;                     /* of the topic, as far as was asked; 0: it may be made yet */
    int64_t asked_at;                       /* about them; 0: never */
    bool tombstones;                        /* rows taken back are messages without value */
    int64_t buried;                         /* rows that went to dlq */
    char why[240];                          /* a row can never be taken */
};

static void on_event(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    struct lam_io *io = opaque;
    io->host->wake(io);
}

/* ---- open */

static int column_of(const struct lam_io *io, const char *name)
{
    for (int64_t i = 0; i < io->schema->n_children; i++)
        if (!strcmp(io->schema->children[i]->name, name)) return (int)i;
    return -1;
}

static int find_columns(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    const char *key = io->host->option_text(io->options, "key.column");
    w->key = column_of(io, key ? key : "_key");
    w->headers = column_of(io, "_headers");
    w->partition = column_of(io, "_partition");
    w->timestamp = column_of(io, "_timestamp");
    w->tombstones = key != NULL;
    if (key && w->key < 0) {
        io->host->fail(err, LAM_IO_OPTION, "there is no column '%s' to be the key", key);
        io->host->hint(err, "key.column names a column of the rows, in lower case unless it was quoted");
        return LAM_IO_OPTION;
    }
    if (w->key >= 0 && !cell_fits(io->schema->children[w->key])) {
        io->host->fail(err, LAM_IO_OPTION, "the column '%s' cannot be a key", io->schema->children[w->key]->name);
        io->host->hint(err, "text, bytes, whole numbers and booleans can; cast it to VARCHAR");
        return LAM_IO_OPTION;
    }
    return LAM_IO_OK;
}

static void stop(struct writing *w)
{
    if (w->answers) rd_kafka_queue_cb_event_enable(w->answers, NULL, NULL), rd_kafka_queue_destroy(w->answers);
    w->answers = NULL;
    producer_stop(&w->out);
}

/* Asks for the topics' own limits, which also shows whether anybody is there. */
static void ask(struct lam_io *io)
{
    struct writing *w = io->self;
    char why[128];
    int n = w->dlq.name ? 2 : 1;
    rd_kafka_ConfigResource_t *topics[] = {
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, w->out.name),
        w->dlq.name ? rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, w->dlq.name) : NULL};
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(w->out.rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, ASK_MS, why, sizeof why);
    w->answers = rd_kafka_queue_new(w->out.rk);
    rd_kafka_queue_cb_event_enable(w->answers, on_event, io);
    rd_kafka_DescribeConfigs(w->out.rk, topics, (size_t)n, options, w->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(topics, (size_t)n);
}

static void note_limits(struct producer *p, const rd_kafka_ConfigResource_t *topic)
{
    size_t n;
    const rd_kafka_ConfigEntry_t **e = rd_kafka_ConfigResource_configs(topic, &n);
    for (size_t i = 0; i < n; i++) {
        const char *name = rd_kafka_ConfigEntry_name(e[i]), *value = rd_kafka_ConfigEntry_value(e[i]);
        if (!value) continue;
        if (!strcmp(name, "max.message.bytes")) p->max_bytes = atoll(value);
        if (!strcmp(name, "cleanup.policy")) p->needs_key = strstr(value, "compact");
    }
    if (p->max_bytes < 1000) p->max_bytes = 1000;
    if (p->max_bytes > 1000000000) p->max_bytes = 1000000000;
}

static int no_answer(struct lam_io *io, rd_kafka_resp_err_t e, const char *why, struct lam_error *err)
{
    struct writing *w = io->self;
    if (w->trouble.e) e = w->trouble.e, why = w->trouble.text;
    int class = client_class(e, LAM_IO_OK) == LAM_IO_OPTION ? LAM_IO_OPTION : LAM_IO_RETRY;
    io->host->fail(err, class, "no answer from the brokers %s: %s",
                   io->host->option_text(io->options, "bootstrap.servers"), why);
    io->host->hint(err, "see that they run, that bootstrap.servers names them, and that security.protocol is theirs");
    return class;
}

/* Brokers that answer, but for their controller, whose the question about limits is: there may be none just now. */
static bool is_without_controller(const struct writing *w)
{
    char *cluster = rd_kafka_clusterid(w->out.rk, 0);
    bool answered = cluster != NULL;
    if (cluster) rd_kafka_mem_free(w->out.rk, cluster);
    return answered;
}

/* A topic that is not there may be made by the first message, and who may not ask for limits may still write. */
static int take_answer(struct lam_io *io, rd_kafka_event_t *event, struct lam_error *err)
{
    struct writing *w = io->self;
    size_t n = 0;
    int64_t most = w->out.max_bytes;
    const rd_kafka_DescribeConfigs_result_t *answer = rd_kafka_event_DescribeConfigs_result(event);
    rd_kafka_resp_err_t e = rd_kafka_event_error(event);
    if (e == RD_KAFKA_RESP_ERR__TIMED_OUT && is_without_controller(w)) return LAM_IO_OK;
    if (e && client_class(e, LAM_IO_OK)) return no_answer(io, e, rd_kafka_event_error_string(event), err);
    const rd_kafka_ConfigResource_t **topics = answer ? rd_kafka_DescribeConfigs_result_resources(answer, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        if (rd_kafka_ConfigResource_error(topics[i])) continue;
        bool dlq = w->dlq.name && !strcmp(rd_kafka_ConfigResource_name(topics[i]), w->dlq.name);
        note_limits(dlq ? &w->dlq : &w->out, topics[i]);
    }
    if (w->out.max_bytes >= most) return w->out.max_bytes = most, LAM_IO_OK;
    rd_kafka_event_destroy(event);
    stop(w);
    return producer_start(&w->out, io, err);
}

/* A broker does not say so of all: messages for a topic that cannot be would wait for ever, and the library does not take "". */
static int check_topic(struct lam_io *io, const char *option, const char *name, struct lam_error *err)
{
    size_t n = strlen(name);
    bool dots = !strcmp(name, ".") || !strcmp(name, "..");
    if (n && n <= TOPIC_LONGEST && !dots && strspn(name, TOPIC_LETTERS) == n) return LAM_IO_OK;
    io->host->fail(err, LAM_IO_OPTION, "%s '%.260s' cannot be the name of a topic", option, name);
    io->host->hint(err, "names are of letters, digits, dots, _ and -, and at most %d long", TOPIC_LONGEST);
    return LAM_IO_OPTION;
}

static int name_topics(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    const struct lam_host *h = io->host;
    w->out.name = h->option_text(io->options, "topic");
    w->dlq.name = h->option_text(io->options, "dlq.topic");
    w->out.partitioner = (enum partitioner)h->option_int(io->options, "partitioner");
    w->out.max_bytes = h->option_int(io->options, "message.max.bytes");
    w->dlq.max_bytes = DLQ_MOST;
    int result = check_topic(io, "topic", w->out.name, err);
    if (!result && w->dlq.name) result = check_topic(io, "dlq.topic", w->dlq.name, err);
    if (result) return result;
    if (!w->dlq.name || strcmp(w->dlq.name, w->out.name)) return LAM_IO_OK;
    return h->fail(err, LAM_IO_OPTION, "dlq.topic is the topic '%s' itself", w->dlq.name);
}

/* Called again after WAIT, until the answer is there. */
static int write_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh;
    struct writing *w = io->self;
    if (!w->out.rk) {
        int result = name_topics(io, err);
        if (!result) result = find_columns(io, err);
        if (!result) result = producer_start(&w->out, io, err);
        if (result) return result;
        ask(io);
    }
    rd_kafka_poll(w->out.rk, 0);
    rd_kafka_event_t *event = rd_kafka_queue_poll(w->answers, 0);
    if (!event && (w->trouble.e == RD_KAFKA_RESP_ERR__SSL || w->trouble.e == RD_KAFKA_RESP_ERR__AUTHENTICATION)) {
        int result = no_answer(io, w->trouble.e, w->trouble.text, err);
        w->trouble.e = RD_KAFKA_RESP_ERR_NO_ERROR;
        return stop(w), result;
    }
    if (!event) return LAM_IO_WAIT;
    int result = take_answer(io, event, err);
    if (!w->answers) return result; /* a new producer took the place of the one that asked */
    rd_kafka_event_destroy(event);
    if (result) return stop(w), result;
    rd_kafka_queue_cb_event_enable(w->answers, NULL, NULL);
    rd_kafka_queue_destroy(w->answers);
    w->answers = NULL;
    return LAM_IO_OK;
}

/* ---- rows */

/* Takes in reports of both topics. */
static int collect(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    int result = producer_collect(&w->out, err);
    return result || !w->dlq.rk ? result : producer_collect(&w->dlq, err);
}

__attribute__((format(printf, 2, 3))) static int poison(struct writing *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->why, sizeof w->why, fmt, ap);
    va_end(ap);
    return LAM_IO_POISON;
}

static const struct ArrowSchema *type_of(const struct lam_io *io, int column)
{
    return io->schema->children[column];
}

static const char *key_of(const struct lam_io *io, const struct lam_rows *rows, int64_t row, char *room, size_t *n)
{
    const struct writing *w = io->self;
    *n = 0;
    return w->key < 0 ? NULL : cell_bytes(type_of(io, w->key), rows->array->children[w->key], row, room, n);
}

/* Whether the next row is what takes the place of this one, which is taken back. */
static bool is_replaced(const struct lam_io *io, const struct message *m, const struct lam_rows *rows, int64_t row)
{
    char room[24];
    size_t n;
    if (row + 1 >= rows->array->length || rows->weight[row + 1] < 0) return false;
    const char *next = key_of(io, rows, row + 1, room, &n);
    return next && n == m->nkey && !memcmp(next, m->key, n);
}

/* Only a row that names a partition beyond those known makes us ask, and wait for the answer: of a message that was
 * handed over it would be said too late which row it was. Others wait as long for the thread, so that many such rows
 * live with an answer that is a second old. */
static int find_partition(struct lam_io *io, int64_t partition, struct lam_error *err)
{
    struct writing *w = io->self;
    const struct rd_kafka_metadata *m;
    if (partition < 0 || partition > INT32_MAX) return poison(w, "there is no partition %ld", (long)partition);
    if (partition < w->partitions) return LAM_IO_OK;
    if (!w->asked_at || io->host->now(io) - w->asked_at >= PARTITIONS_AGAIN_US) {
        rd_kafka_resp_err_t e = rd_kafka_metadata(w->out.rk, 0, w->out.topic, &m, PARTITIONS_MS);
        if (e)
            return io->host->fail(err, LAM_IO_RETRY, "the partitions of the topic '%s': %s", w->out.name,
                                  rd_kafka_err2str(e));
        w->partitions = m->topic_cnt && !m->topics[0].err ? m->topics[0].partition_cnt : 0;
        w->asked_at = io->host->now(io);
        rd_kafka_metadata_destroy(m);
    }
    if (!w->partitions || partition < w->partitions) return LAM_IO_OK;
    return poison(w, "the topic '%s' has no partition %ld", w->out.name, (long)partition);
}

static int fill(struct lam_io *io, const struct lam_rows *rows, int64_t row, struct message *m, struct lam_error *err)
{
    struct writing *w = io->self;
    int64_t v;
    m->key = key_of(io, rows, row, m->room, &m->nkey);
    if (!m->key && (w->out.needs_key || !m->value))
        return poison(w, "a row without a key %s",
                      m->value ? "for a topic that is compacted" : "cannot be taken back from a topic");
    if (w->partition >= 0 && cell_int(type_of(io, w->partition), rows->array->children[w->partition], row, &v)) {
        int result = find_partition(io, v, err);
        if (result) return result;
        m->partition = (int32_t)v;
    }
    if (w->timestamp >= 0 && cell_int(type_of(io, w->timestamp), rows->array->children[w->timestamp], row, &v)) {
        if (v < 1000) return poison(w, "a message's time is after 1970");
        m->ms = v / 1000;
    }
    if (w->headers >= 0) {
        size_t n;
        char room[24];
        const char *p = cell_bytes(type_of(io, w->headers), rows->array->children[w->headers], row, room, &n);
        if (p && !headers_read(p, n, &m->headers)) return poison(w, "_headers is no object of texts");
    }
    if ((int64_t)(m->n + m->nkey) + PRODUCER_OVERHEAD > w->out.max_bytes)
        return poison(w, "a message of %zu bytes, and the topic '%s' takes %ld", m->n + m->nkey, w->out.name,
                      (long)w->out.max_bytes);
    return LAM_IO_OK;
}

/* What the library says of a message. */
static int judge(struct lam_io *io, const struct producer *p, const struct message *m, rd_kafka_resp_err_t e,
                 struct lam_error *err)
{
    struct writing *w = io->self;
    switch (e) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return LAM_IO_OK;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL: return LAM_IO_WAIT;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return poison(w, "a message of %zu bytes is too long for the topic '%s'", m->n + m->nkey, p->name);
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return poison(w, "the topic '%s' has no partition %d", p->name, (int)m->partition);
    default: return io->host->fail(err, client_class(e, LAM_IO_WRITE), "the topic '%s': %s", p->name, rd_kafka_err2str(e));
    }
}

/* ---- rows that can never be taken */

static void add_header(rd_kafka_headers_t *to, const char *name, const char *text, size_t n)
{
    if (text) rd_kafka_header_add(to, name, -1, text, (ssize_t)n);
}

/* Why, what was wanted of the row, and its columns that are no part of the value. */
static rd_kafka_headers_t *say_why(struct lam_io *io, const struct lam_rows *rows, int64_t row)
{
    struct writing *w = io->self;
    rd_kafka_headers_t *h = rd_kafka_headers_new(6);
    char number[24];
    int64_t v;
    size_t n;
    add_header(h, "laminar.error", w->why, strlen(w->why));
    add_header(h, "laminar.topic", w->out.name, strlen(w->out.name));
    add_header(h, "laminar.sink", io->name, strlen(io->name));
    if (w->partition >= 0 && cell_int(type_of(io, w->partition), rows->array->children[w->partition], row, &v))
        add_header(h, "laminar.partition", number, (size_t)snprintf(number, sizeof number, "%ld", (long)v));
    if (w->timestamp >= 0 && cell_int(type_of(io, w->timestamp), rows->array->children[w->timestamp], row, &v))
        add_header(h, "laminar.timestamp.us", number, (size_t)snprintf(number, sizeof number, "%ld", (long)v));
    const char *own = w->headers < 0 ? NULL
                                     : cell_bytes(type_of(io, w->headers), rows->array->children[w->headers], row,
                                                  number, &n);
    if (own) add_header(h, "laminar.headers", own, n);
    return h;
}

/* Whether dlq takes it is found before it is sent: a refusal of its broker would hold up all that comes behind. */
static int try_to_bury(struct lam_io *io, const struct lam_rows *rows, int64_t row, const struct message *m,
                       struct lam_error *err)
{
    struct writing *w = io->self;
    struct message letter = {.value = m->value, .n = m->n, .key = m->key, .nkey = m->nkey, .partition = RD_KAFKA_PARTITION_UA};
    int64_t size = (int64_t)(m->n + m->nkey + sizeof w->why) + 2 * PRODUCER_OVERHEAD;
    if (size > w->dlq.max_bytes || (w->dlq.needs_key && !m->key)) return LAM_IO_POISON;
    int result = w->dlq.rk ? LAM_IO_OK : producer_start(&w->dlq, io, err);
    if (result) return result;
    letter.headers = say_why(io, rows, row);
    result = judge(io, &w->dlq, &letter, producer_send(&w->dlq, &letter), err);
    if (result) return rd_kafka_headers_destroy(letter.headers), result;
    if (!w->buried++)
        io->host->log(io, 1, "a row went to the topic '%s' of dead letters: %s", w->dlq.name, w->why);
    return LAM_IO_OK;
}

static int bury(struct lam_io *io, const struct lam_values *values, int64_t i, const struct lam_rows *rows,
                struct message *m, struct lam_error *err)
{
    struct writing *w = io->self;
    if (m->headers) rd_kafka_headers_destroy(m->headers);
    m->headers = NULL;
    if (!(values->none && values->none[i])) { /* a tombstone's row has a value as well */
        m->value = values->bytes + values->offsets[i];
        m->n = (size_t)(values->offsets[i + 1] - values->offsets[i]);
    }
    int result = w->dlq.name ? try_to_bury(io, rows, rows->from + i, m, err) : LAM_IO_POISON;
    return result == LAM_IO_POISON ? io->host->fail(err, result, "%s", w->why) : result;
}

/* ---- writing */

static int write_one(struct lam_io *io, const struct lam_values *values, int64_t i, const struct lam_rows *rows,
                     struct lam_error *err)
{
    struct writing *w = io->self;
    int64_t row = rows->from + i;
    bool back = w->tombstones && rows->weight && rows->weight[row] < 0;
    struct message m = {.partition = RD_KAFKA_PARTITION_UA};
    if (!back && !(values->none && values->none[i])) {
        m.value = values->bytes + values->offsets[i];
        m.n = (size_t)(values->offsets[i + 1] - values->offsets[i]);
    }
    int result = fill(io, rows, row, &m, err);
    if (!result && back && is_replaced(io, &m, rows, row)) {
        if (m.headers) rd_kafka_headers_destroy(m.headers);
        return LAM_IO_OK;
    }
    if (!result) result = judge(io, &w->out, &m, producer_send(&w->out, &m), err);
    if (result == LAM_IO_POISON) return bury(io, values, i, rows, &m, err);
    if (result && m.headers) rd_kafka_headers_destroy(m.headers);
    return result;
}

static int write_records(struct lam_io *io, const struct lam_values *values, const struct lam_rows *rows,
                         int64_t *accepted, struct lam_error *err)
{
    struct writing *w = io->self;
    int result = collect(io, err);
    atomic_fetch_add(&w->out.turn, w->out.partitioner == STICKY);
    for (int64_t i = 0; !result && i < values->n; i++) {
        result = write_one(io, values, i, rows, err);
        *accepted += !result;
    }
    return result;
}

static int write_flush(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    int result = collect(io, err);
    return result ? result : producer_is_behind(&w->out) || producer_is_behind(&w->dlq) ? LAM_IO_WAIT : LAM_IO_OK;
}

static int write_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct writing *w = io->self;
    stop(w);
    producer_stop(&w->dlq);
    if (w->buried > 1)
        io->host->log(io, 1, "%ld rows went to the topic '%s' of dead letters", (long)w->buried, w->dlq.name);
    return LAM_IO_OK;
}

/* With a key a row taken back is a tombstone; without one the value says so. */
static bool write_unmarked(const struct lam_host *host, const struct lam_options *o)
{
    return host->option_set(o, "key.column");
}

/* ---- the class */

static const struct lam_sink_class sink = {
    .size = sizeof sink,
    .name = "kafka",
    .sentence = "Writes rows to a topic of Kafka.",
    .payload = LAM_RECORDS,
    .guarantee = LAM_AT_LEAST_ONCE,
    .changelog = true,
    .flush_us = 250000,
    .instance_size = sizeof(struct writing),
    .options = sink_options,
    .n_options = sizeof sink_options / sizeof *sink_options,
    .option_size = sizeof sink_options[0],
    .default_format = "json",
    .open = write_open,
    .write_records = write_records,
    .flush = write_flush,
    .close = write_close,
    .metadata = sink_columns,
    .n_metadata = sizeof sink_columns / sizeof *sink_columns,
    .metadata_size = sizeof sink_columns[0],
    .unmarked = write_unmarked,
};

const struct lam_sink_class *const kafka_sinks[] = {&sink, NULL};
