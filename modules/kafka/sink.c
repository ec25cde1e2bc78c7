/* Rows to the partitions of a topic, by an idempotent producer whose threads do the waiting: messages are handed over
 * and counted, and reports of their delivery counted again; a flush is done when none is missing.
 *
 * One failed report fails the instance at the next call: the rows since the last flush are then offered again to a new
 * one, so nothing is lost, and some may come twice. SPDX-License-Identifier: Apache-2.0 */
#include "cell.h"
#include "client.h"
#include "headers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS   10000 /* for an answer of the cluster at open */
#define OVERHEAD 512   /* of a message and its batch, in bytes */

enum partitioner { KEY_HASH, ROUND_ROBIN, STICKY };

struct writing {
    struct trouble trouble;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *main, *answers; /* answers: NULL when open is done */
    const char *name;
    int64_t max_bytes;                      /* of a message, topic and options considered */
    bool needs_key;                         /* the topic is compacted */
    int key, headers, partition, timestamp; /* columns, or -1 */
    bool tombstones;                        /* rows taken back are messages without value */
    int64_t sent, reported;
    int64_t bytes, accounted;   /* of messages that are on their way */
    rd_kafka_resp_err_t failed; /* the first report that was no success */
    _Atomic uint32_t turn;      /* of a partitioner */
    int partitioner;
};

/* ---- called by the library's threads, or from rd_kafka_poll */

static void on_event(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    struct lam_io *io = opaque;
    io->host->wake(io);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct writing *w = ((struct lam_io *)opaque)->self;
    w->reported++;
    w->bytes -= (int64_t)(m->len + m->key_len + OVERHEAD);
    if (m->err && !w->failed) w->failed = m->err;
}

static int32_t next_partition(const rd_kafka_topic_t *t, const void *key, size_t n, int32_t count, void *opaque,
                              void *message)
{
    (void)key, (void)n, (void)message;
    struct writing *w = ((struct lam_io *)opaque)->self;
    uint32_t turn = w->partitioner == STICKY ? atomic_load(&w->turn) : atomic_fetch_add(&w->turn, 1);
    for (int32_t i = 0; i < count; i++) {
        int32_t p = (int32_t)((turn + (uint32_t)i) % (uint32_t)count);
        if (rd_kafka_topic_partition_available(t, p)) return p;
    }
    return (int32_t)(turn % (uint32_t)count);
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

static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};

/* A producer whose messages are at most max_bytes long. */
static int start(struct lam_io *io, int64_t max_bytes, struct lam_error *err)
{
    struct writing *w = io->self;
    const struct lam_host *h = io->host;
    const struct lam_options *o = io->options;
    struct client_conf c;
    client_conf_begin(&c, io, err);
    rd_kafka_conf_set_dr_msg_cb(c.conf, on_report);
    client_conf_set(&c, "enable.idempotence", "true");
    client_conf_int(&c, "message.max.bytes", max_bytes);
    client_conf_int(&c, "batch.size",
                    h->option_int(o, "batch.size") < max_bytes ? h->option_int(o, "batch.size") : max_bytes);
    client_conf_int(&c, "batch.num.messages", h->option_int(o, "batch.num.messages"));
    client_conf_int(&c, "queue.buffering.max.messages", h->option_int(o, "queue.messages"));
    client_conf_int(&c, "queue.buffering.max.kbytes", (h->option_int(o, "queue.bytes") + 1023) / 1024);
    client_conf_int(&c, "linger.ms", h->option_int(o, "linger.ms") / 1000);
    client_conf_int(&c, "message.timeout.ms", h->option_int(o, "delivery.timeout.ms") / 1000);
    client_conf_int(&c, "max.in.flight.requests.per.connection", h->option_int(o, "max.in.flight.requests"));
    client_conf_set(&c, "compression.type", compressions[h->option_int(o, "compression.type")]);
    if (w->partitioner == KEY_HASH) client_conf_set(&c, "partitioner", "murmur2_random");
    w->rk = client_new(&c, RD_KAFKA_PRODUCER);
    if (!w->rk) return c.result;
    w->max_bytes = max_bytes;
    w->main = rd_kafka_queue_get_main(w->rk);
    rd_kafka_queue_cb_event_enable(w->main, on_event, io);
    rd_kafka_topic_conf_t *t = rd_kafka_default_topic_conf_dup(w->rk);
    rd_kafka_topic_conf_set_opaque(t, io);
    if (w->partitioner != KEY_HASH) rd_kafka_topic_conf_set_partitioner_cb(t, next_partition);
    w->topic = rd_kafka_topic_new(w->rk, w->name, t);
    if (w->topic) return LAM_IO_OK;
    return h->fail(err, LAM_IO_OPTION, "the topic '%s': %s", w->name, rd_kafka_err2str(rd_kafka_last_error()));
}

static void stop(struct writing *w)
{
    if (w->answers) rd_kafka_queue_cb_event_enable(w->answers, NULL, NULL), rd_kafka_queue_destroy(w->answers);
    if (w->main) rd_kafka_queue_cb_event_enable(w->main, NULL, NULL), rd_kafka_queue_destroy(w->main);
    if (w->topic) rd_kafka_topic_destroy(w->topic);
    if (w->rk) rd_kafka_destroy(w->rk);
    w->answers = w->main = NULL;
    w->topic = NULL;
    w->rk = NULL;
}

/* Asks for the topic's own limits, which also shows whether anybody is there. */
static void ask(struct lam_io *io)
{
    struct writing *w = io->self;
    char why[128];
    rd_kafka_ConfigResource_t *topic = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, w->name);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(w->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, ASK_MS, why, sizeof why);
    w->answers = rd_kafka_queue_new(w->rk);
    rd_kafka_queue_cb_event_enable(w->answers, on_event, io);
    rd_kafka_DescribeConfigs(w->rk, &topic, 1, options, w->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(topic);
}

static int64_t note_limits(struct writing *w, const rd_kafka_ConfigResource_t *topic)
{
    size_t n;
    int64_t most = w->max_bytes;
    const rd_kafka_ConfigEntry_t **e = rd_kafka_ConfigResource_configs(topic, &n);
    for (size_t i = 0; i < n; i++) {
        const char *name = rd_kafka_ConfigEntry_name(e[i]), *value = rd_kafka_ConfigEntry_value(e[i]);
        if (!value) continue;
        if (!strcmp(name, "max.message.bytes") && atoll(value) < most) most = atoll(value);
        if (!strcmp(name, "cleanup.policy")) w->needs_key = strstr(value, "compact");
    }
    return most < 1000 ? 1000 : most;
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

/* A topic that is not there may be made by the first message, and who may not ask for limits may still write. */
static int take_answer(struct lam_io *io, rd_kafka_event_t *event, struct lam_error *err)
{
    struct writing *w = io->self;
    size_t n = 0;
    const rd_kafka_DescribeConfigs_result_t *answer = rd_kafka_event_DescribeConfigs_result(event);
    rd_kafka_resp_err_t e = rd_kafka_event_error(event);
    if (e && client_class(e, LAM_IO_OK)) return no_answer(io, e, rd_kafka_event_error_string(event), err);
    const rd_kafka_ConfigResource_t **topics = answer ? rd_kafka_DescribeConfigs_result_resources(answer, &n) : NULL;
    int64_t most = n && !rd_kafka_ConfigResource_error(topics[0]) ? note_limits(w, topics[0]) : w->max_bytes;
    if (most == w->max_bytes) return LAM_IO_OK;
    rd_kafka_event_destroy(event);
    stop(w);
    return start(io, most, err);
}

/* Called again after WAIT, until the answer is there. */
static int write_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh;
    struct writing *w = io->self;
    if (!w->rk) {
        w->name = io->host->option_text(io->options, "topic");
        w->partitioner = (int)io->host->option_int(io->options, "partitioner");
        int result = find_columns(io, err);
        if (!result) result = start(io, io->host->option_int(io->options, "message.max.bytes"), err);
        if (result) return result;
        ask(io);
    }
    rd_kafka_poll(w->rk, 0);
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

/* Takes in reports; the error of one that was no success, or of a producer that can do no more. */
static int collect(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    char why[256];
    rd_kafka_poll(w->rk, 0);
    if (w->accounted != w->bytes) io->host->account(io, w->bytes - w->accounted);
    w->accounted = w->bytes;
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(w->rk, why, sizeof why), e = fatal ? fatal : w->failed;
    if (!e) return LAM_IO_OK;
    int result = fatal ? client_class(RD_KAFKA_RESP_ERR__FATAL, LAM_IO_WRITE) : client_class(e, LAM_IO_WRITE);
    io->host->fail(err, result, "the topic '%s' took not all: %s", w->name, fatal ? why : rd_kafka_err2str(e));
    if (result == LAM_IO_WRITE)
        io->host->hint(err, "nothing is lost: the rows are kept, and offered again when the sink is started again");
    return result;
}

struct message {
    const char *value, *key;
    size_t n, nkey;
    rd_kafka_headers_t *headers;
    int32_t partition;
    int64_t ms; /* 0: the time of sending */
    char room[24];
};

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
static bool is_replaced(const struct lam_io *io, const struct message *m, const struct lam_rows *rows, int64_t row,
                        int64_t end)
{
    char room[24];
    size_t n;
    if (row + 1 >= end || rows->weight[row + 1] < 0) return false;
    const char *next = key_of(io, rows, row + 1, room, &n);
    return next && n == m->nkey && !memcmp(next, m->key, n);
}

static int fill(struct lam_io *io, const struct lam_rows *rows, int64_t row, struct message *m, struct lam_error *err)
{
    struct writing *w = io->self;
    int64_t v;
    m->key = key_of(io, rows, row, m->room, &m->nkey);
    if (!m->key && (w->needs_key || !m->value)) {
        io->host->fail(err, LAM_IO_POISON, "a row without a key %s",
                       m->value ? "for a topic that is compacted" : "cannot be taken back from a topic");
        return LAM_IO_POISON;
    }
    if (w->partition >= 0 && cell_int(type_of(io, w->partition), rows->array->children[w->partition], row, &v)) {
        if (v < 0 || v > INT32_MAX) return io->host->fail(err, LAM_IO_POISON, "there is no partition %ld", (long)v);
        m->partition = (int32_t)v;
    }
    if (w->timestamp >= 0 && cell_int(type_of(io, w->timestamp), rows->array->children[w->timestamp], row, &v)) {
        if (v < 1000) return io->host->fail(err, LAM_IO_POISON, "a message's time is after 1970");
        m->ms = v / 1000;
    }
    if (w->headers >= 0) {
        size_t n;
        char room[24];
        const char *p = cell_bytes(type_of(io, w->headers), rows->array->children[w->headers], row, room, &n);
        if (p && !headers_read(p, n, &m->headers))
            return io->host->fail(err, LAM_IO_POISON, "_headers is no object of texts");
    }
    return LAM_IO_OK;
}

/* The library copies key and value, and takes the headers when it succeeds. */
static rd_kafka_resp_err_t hand_over(struct writing *w, const struct message *m)
{
    if (!m->headers && !m->ms) {
        int failed = rd_kafka_produce(w->topic, m->partition, RD_KAFKA_MSG_F_COPY, (void *)m->value, m->n, m->key,
                                      m->nkey, NULL);
        return failed ? rd_kafka_last_error() : RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_vu_t v[8] = {{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = w->topic},
                          {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = m->partition},
                          {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
                          {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)m->value, m->n}},
                          {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)m->key, m->nkey}},
                          {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = m->ms},
                          {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = m->headers}};
    rd_kafka_error_t *error = rd_kafka_produceva(w->rk, v, m->headers ? 7 : 6);
    rd_kafka_resp_err_t e = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error) rd_kafka_error_destroy(error);
    return e;
}

static int refused(struct lam_io *io, rd_kafka_resp_err_t e, const struct message *m, struct lam_error *err)
{
    struct writing *w = io->self;
    if (e == RD_KAFKA_RESP_ERR__QUEUE_FULL) return LAM_IO_WAIT;
    if (e == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return io->host->fail(err, LAM_IO_POISON, "a message of %zu bytes, and the topic '%s' takes %ld",
                              m->n + m->nkey, w->name, (long)w->max_bytes);
    if (e == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        return io->host->fail(err, LAM_IO_POISON, "the topic '%s' has no partition %d", w->name, (int)m->partition);
    return io->host->fail(err, client_class(e, LAM_IO_WRITE), "the topic '%s': %s", w->name, rd_kafka_err2str(e));
}

static int write_records(struct lam_io *io, const struct lam_values *values, const struct lam_rows *rows,
                         int64_t *accepted, struct lam_error *err)
{
    struct writing *w = io->self;
    int result = collect(io, err);
    atomic_fetch_add(&w->turn, w->partitioner == STICKY);
    for (int64_t i = 0; !result && i < values->n; i++) {
        int64_t row = rows->from + i;
        bool back = w->tombstones && rows->weight && rows->weight[row] < 0;
        struct message m = {.partition = RD_KAFKA_PARTITION_UA};
        if (!back && !(values->none && values->none[i])) {
            m.value = values->bytes + values->offsets[i];
            m.n = (size_t)(values->offsets[i + 1] - values->offsets[i]);
        }
        result = fill(io, rows, row, &m, err);
        if (!result && back && is_replaced(io, &m, rows, row, rows->from + values->n)) {
            ++*accepted;
            continue;
        }
        if (!result && (int64_t)(m.n + m.nkey) + OVERHEAD > w->max_bytes)
            result = refused(io, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, &m, err);
        rd_kafka_resp_err_t e = result ? RD_KAFKA_RESP_ERR_NO_ERROR : hand_over(w, &m);
        if (e) result = refused(io, e, &m, err);
        if (result && m.headers) rd_kafka_headers_destroy(m.headers);
        if (result) break;
        w->sent++;
        w->bytes += (int64_t)(m.n + m.nkey + OVERHEAD);
        ++*accepted;
    }
    return result;
}

static int write_flush(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    int result = collect(io, err);
    return result ? result : w->reported < w->sent ? LAM_IO_WAIT : LAM_IO_OK;
}

static int write_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct writing *w = io->self;
    if (w->rk && w->reported < w->sent) rd_kafka_purge(w->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    stop(w);
    if (w->accounted) io->host->account(io, -w->accounted);
    return LAM_IO_OK;
}

/* With a key a row taken back is a tombstone; without one the value says so. */
static bool write_unmarked(const struct lam_host *host, const struct lam_options *o)
{
    return host->option_set(o, "key.column");
}

/* ---- the class */

static const struct lam_metadata columns[] = {
    {.name = "_key", .type = "BLOB", .sentence = "Key of the message, unless key.column names one."},
    {.name = "_headers", .type = "JSON", .sentence = "Headers of the message, an object of texts."},
    {.name = "_partition", .type = "INTEGER", .sentence = "Partition of the message; NULL: as the partitioner says."},
    {.name = "_timestamp",
     .type = "TIMESTAMPTZ",
     .sentence = "Time of the message, by milliseconds; NULL: when it is sent."},
};

static const struct lam_option options[] = {
    CLIENT_OPTIONS,
    {.name = "topic", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "Topic to write to."},
    {.name = "key.column",
     .type = LAM_OPTION_TEXT,
     .sentence =
         "Column that is the key, and stays part of the value; rows taken back are then messages without value."},
    {.name = "partitioner",
     .type = LAM_OPTION_ENUM,
     .dflt = "key-hash",
     .values = "key-hash|round-robin|sticky",
     .sentence = "Partition of a row: by its key as Java's clients do, each in turn, or rows that come together into "
                 "the same."},
    {.name = "linger.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "5 ms",
     .max = 900000000,
     .sentence = "How long a row waits for others to share a request."},
    {.name = "batch.size",
     .type = LAM_OPTION_SIZE,
     .dflt = "1000000",
     .min = 1,
     .max = 2147483647,
     .sentence = "Bytes of rows in a request, for each partition."},
    {.name = "batch.num.messages",
     .type = LAM_OPTION_INT,
     .dflt = "10000",
     .min = 1,
     .max = 1000000,
     .sentence = "Rows in a request, for each partition."},
    {.name = "compression.type",
     .type = LAM_OPTION_ENUM,
     .dflt = "none",
     .values = "none|gzip|snappy|lz4|zstd",
     .sentence = "How requests are compressed."},
    {.name = "message.max.bytes",
     .type = LAM_OPTION_SIZE,
     .dflt = "1000000",
     .min = 1000,
     .max = 1000000000,
     .sentence = "Longest message; a topic that takes less is asked for its own limit."},
    {.name = "max.in.flight.requests",
     .type = LAM_OPTION_INT,
     .dflt = "5",
     .min = 1,
     .max = 5,
     .sentence = "Requests to a broker without an answer yet."},
    {.name = "delivery.timeout.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "2 min",
     .min = 1000,
     .max = 2147483000000,
     .sentence = "After that long without success the connection is made anew, and the rows are sent again."},
    {.name = "queue.messages",
     .type = LAM_OPTION_INT,
     .dflt = "100000",
     .min = 1,
     .max = 10000000,
     .sentence = "Rows on their way before writing waits."},
    {.name = "queue.bytes",
     .type = LAM_OPTION_SIZE,
     .dflt = "64 MiB",
     .min = 1048576,
     .max = 2147483647,
     .sentence = "Bytes on their way before writing waits."},
};

static const struct lam_sink_class sink = {
    .size = sizeof sink,
    .name = "kafka",
    .sentence = "Writes rows to a topic of Kafka.",
    .payload = LAM_RECORDS,
    .guarantee = LAM_AT_LEAST_ONCE,
    .changelog = true,
    .flush_us = 250000,
    .instance_size = sizeof(struct writing),
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .option_size = sizeof options[0],
    .default_format = "json",
    .open = write_open,
    .write_records = write_records,
    .flush = write_flush,
    .close = write_close,
    .metadata = columns,
    .n_metadata = sizeof columns / sizeof *columns,
    .metadata_size = sizeof columns[0],
    .unmarked = write_unmarked,
};

const struct lam_sink_class *const kafka_sinks[] = {&sink, NULL};
