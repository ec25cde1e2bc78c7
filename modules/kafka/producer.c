/* SPDX-License-Identifier: Apache-2.0 */
#include "producer.h"

/* ---- called by the library's threads, or from rd_kafka_poll */

static void on_event(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    struct lam_io *io = opaque;
    io->host->wake(io);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk, (void)opaque;
    struct producer *p = rd_kafka_topic_opaque(m->rkt);
    p->reported++;
    p->bytes -= (int64_t)(m->len + m->key_len + PRODUCER_OVERHEAD);
    if (m->err && !p->failed) p->failed = m->err;
}

static int32_t next_partition(const rd_kafka_topic_t *t, const void *key, size_t n, int32_t count, void *opaque,
                              void *message)
{
    (void)key, (void)n, (void)message;
    struct producer *p = opaque;
    uint32_t turn = p->partitioner == STICKY ? atomic_load(&p->turn) : atomic_fetch_add(&p->turn, 1);
    for (int32_t i = 0; i < count; i++) {
        int32_t k = (int32_t)((turn + (uint32_t)i) % (uint32_t)count);
        if (rd_kafka_topic_partition_available(t, k)) return k;
    }
    return (int32_t)(turn % (uint32_t)count);
}

/* ---- starting and stopping */

static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};

static rd_kafka_t *new_client(struct producer *p, int *result, struct lam_error *err)
{
    struct lam_io *io = p->io;
    const struct lam_host *h = io->host;
    const struct lam_options *o = io->options;
    struct client_conf c;
    client_conf_begin(&c, io, err);
    rd_kafka_conf_set_dr_msg_cb(c.conf, on_report);
    client_conf_set(&c, "enable.idempotence", "true");
    client_conf_int(&c, "message.max.bytes", p->max_bytes);
    client_conf_int(&c, "batch.size",
                    h->option_int(o, "batch.size") < p->max_bytes ? h->option_int(o, "batch.size") : p->max_bytes);
    client_conf_int(&c, "batch.num.messages", h->option_int(o, "batch.num.messages"));
    client_conf_int(&c, "queue.buffering.max.messages", h->option_int(o, "queue.messages"));
    client_conf_int(&c, "queue.buffering.max.kbytes", (h->option_int(o, "queue.bytes") + 1023) / 1024);
    client_conf_int(&c, "linger.ms", h->option_int(o, "linger.ms") / 1000);
    client_conf_int(&c, "message.timeout.ms", h->option_int(o, "delivery.timeout.ms") / 1000);
    client_conf_int(&c, "request.timeout.ms", h->option_int(o, "socket.timeout.ms") / 1000);
    client_conf_int(&c, "max.in.flight.requests.per.connection", h->option_int(o, "max.in.flight.requests"));
    client_conf_set(&c, "compression.type", compressions[h->option_int(o, "compression.type")]);
    if (p->partitioner == KEY_HASH) client_conf_set(&c, "partitioner", "murmur2_random");
    rd_kafka_t *rk = client_new(&c, RD_KAFKA_PRODUCER);
    *result = c.result;
    return rk;
}

int producer_start(struct producer *p, struct lam_io *io, struct lam_error *err)
{
    int result;
    const struct lam_host *h = io->host;
    if (h->option_int(io->options, "delivery.timeout.ms") <= h->option_int(io->options, "linger.ms"))
        return h->fail(err, LAM_IO_OPTION, "delivery.timeout.ms is not longer than linger.ms: no row would be sent in time");
    p->io = io;
    p->rk = new_client(p, &result, err);
    if (!p->rk) return result;
    p->main = rd_kafka_queue_get_main(p->rk);
    rd_kafka_queue_cb_event_enable(p->main, on_event, io);
    rd_kafka_topic_conf_t *t = rd_kafka_default_topic_conf_dup(p->rk);
    rd_kafka_topic_conf_set_opaque(t, p);
    if (p->partitioner != KEY_HASH) rd_kafka_topic_conf_set_partitioner_cb(t, next_partition);
    p->topic = rd_kafka_topic_new(p->rk, p->name, t);
    if (p->topic) return LAM_IO_OK;
    return io->host->fail(err, LAM_IO_OPTION, "the topic '%s': %s", p->name, rd_kafka_err2str(rd_kafka_last_error()));
}

void producer_stop(struct producer *p)
{
    if (p->rk && producer_is_behind(p)) rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (p->main) rd_kafka_queue_cb_event_enable(p->main, NULL, NULL), rd_kafka_queue_destroy(p->main);
    if (p->topic) rd_kafka_topic_destroy(p->topic);
    if (p->rk) rd_kafka_destroy(p->rk);
    if (p->accounted) p->io->host->account(p->io, -p->accounted);
    p->main = NULL;
    p->topic = NULL;
    p->rk = NULL;
    p->accounted = 0;
}

/* ---- messages */

rd_kafka_resp_err_t producer_send(struct producer *p, const struct message *m)
{
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!m->headers && !m->ms) {
        if (rd_kafka_produce(p->topic, m->partition, RD_KAFKA_MSG_F_COPY, (void *)m->value, m->n, m->key, m->nkey, NULL))
            e = rd_kafka_last_error();
    } else {
        rd_kafka_vu_t v[8] = {{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = p->topic},
                              {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = m->partition},
                              {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
                              {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)m->value, m->n}},
                              {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)m->key, m->nkey}},
                              {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = m->ms},
                              {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = m->headers}};
        rd_kafka_error_t *error = rd_kafka_produceva(p->rk, v, m->headers ? 7 : 6);
        if (error) e = rd_kafka_error_code(error), rd_kafka_error_destroy(error);
    }
    if (e) return e;
    p->sent++;
    p->bytes += (int64_t)(m->n + m->nkey + PRODUCER_OVERHEAD);
    return e;
}

int producer_collect(struct producer *p, struct lam_error *err)
{
    struct lam_io *io = p->io;
    char why[256];
    rd_kafka_poll(p->rk, 0);
    if (p->accounted != p->bytes) io->host->account(io, p->bytes - p->accounted);
    p->accounted = p->bytes;
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(p->rk, why, sizeof why), e = fatal ? fatal : p->failed;
    if (!e) return LAM_IO_OK;
    int result = client_class(fatal ? RD_KAFKA_RESP_ERR__FATAL : e, LAM_IO_WRITE);
    io->host->fail(err, result, "the topic '%s' took not all: %s", p->name, fatal ? why : rd_kafka_err2str(e));
    if (result == LAM_IO_WRITE)
        io->host->hint(err, "nothing is lost: the rows are kept, and offered again when the sink is started again");
    return result;
}
