/* Messages to and from Kafka by turns: with librdkafka alone, and by the classes of the module with a host that does
 * nothing else. kafka MODULE BROKERS TOPIC WAY ROWS WAY: produce.raw, produce.sink, consume.raw, consume.source. A line
 * of JSON; CPU seconds are those of this process, all its threads. SPDX-License-Identifier: Apache-2.0 */
#include "round.h"

#include <dlfcn.h>
#include <laminar_connector.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 2048
#define VALUE 100

static const char *brokers, *topic;
static int64_t rows;

static void need(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "bench of kafka: %s\n", what);
    exit(1);
}

/* Values of 100 bytes, keys of 8. */
static char values[BATCH * VALUE], keys[BATCH * 8];
static int64_t value_ends[BATCH + 1];
static int32_t key_ends[BATCH + 1];

static void make_rows(void)
{
    for (int i = 0; i < BATCH; i++) {
        char text[VALUE + 1];
        snprintf(text, sizeof text, "{\"id\":%8d,\"note\":\"%-75d\"}", i, i * 7919 % 100000);
        memcpy(values + (size_t)i * VALUE, text, VALUE);
        snprintf(text, sizeof text, "%08d", i);
        memcpy(keys + (size_t)i * 8, text, 8);
        value_ends[i + 1] = (i + 1) * VALUE;
        key_ends[i + 1] = (i + 1) * 8;
    }
}

/* ---- librdkafka alone */

static int64_t reported;

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk, (void)opaque;
    need(!m->err, "a message was not delivered");
    reported++;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const (*settings)[2])
{
    char why[256];
    rd_kafka_conf_t *c = rd_kafka_conf_new();
    rd_kafka_conf_set(c, "bootstrap.servers", brokers, why, sizeof why);
    for (; (*settings)[0]; settings++)
        need(!rd_kafka_conf_set(c, (*settings)[0], (*settings)[1], why, sizeof why), why);
    if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(c, on_report);
    rd_kafka_t *rk = rd_kafka_new(type, c, why, sizeof why);
    need(rk, why);
    return rk;
}

static void produce_raw(void)
{
    rd_kafka_t *rk =
        client(RD_KAFKA_PRODUCER,
               (const char *const[][2]){
                   {"enable.idempotence", "true"}, {"linger.ms", "5"}, {"partitioner", "murmur2_random"}, {0}});
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    for (int64_t i = 0; i < rows; i++) {
        size_t k = (size_t)i % BATCH;
        while (rd_kafka_produce(t, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, values + k * VALUE, VALUE, keys + k * 8,
                                8, NULL))
            rd_kafka_poll(rk, 1);
        if (k == BATCH - 1) rd_kafka_poll(rk, 0);
    }
    while (reported < rows) rd_kafka_poll(rk, 100);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

static int64_t consume_raw(void)
{
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, (const char *const[][2]){{"queued.max.messages.kbytes", "16384"}, {0}});
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    static rd_kafka_message_t *m[BATCH];
    int64_t n = 0, bytes = 0;
    rd_kafka_consume_start_queue(t, 0, RD_KAFKA_OFFSET_BEGINNING, q);
    while (n < rows) {
        ssize_t k = rd_kafka_consume_batch_queue(q, 100, m, BATCH);
        for (ssize_t i = 0; i < k; i++) {
            n += !m[i]->err;
            bytes += (int64_t)m[i]->len;
            rd_kafka_message_destroy(m[i]);
        }
    }
    need(bytes == n * VALUE, "bytes that were read");
    rd_kafka_consume_stop(t, 0);
    rd_kafka_queue_destroy(q);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
    return n;
}

/* ---- the least of a host */

struct lam_records_kept {
    struct lam_records out;
    char *bytes;
    size_t n, cap;
    int64_t total;
};

static int woken[2];

static void *host_alloc(size_t n)
{
    return calloc(1, n);
}
static void *host_resize(void *p, size_t old, size_t n)
{
    return (void)old, realloc(p, n);
}
static void host_account(struct lam_io *io, int64_t bytes)
{
    (void)io, (void)bytes;
}
static int64_t host_now(struct lam_io *io)
{
    return (void)io, 0;
}
static void host_wake(struct lam_io *io)
{
    (void)io, (void)!write(woken[1], "", 1);
}

static void host_log(struct lam_io *io, int level, const char *fmt, ...)
{
    (void)io, (void)level, (void)fmt;
}

static const char *option_text(const struct lam_options *o, const char *name)
{
    (void)o;
    return !strcmp(name, "bootstrap.servers") ? brokers
           : !strcmp(name, "topic")           ? topic
           : !strcmp(name, "client.id")       ? "bench"
                                              : NULL;
}

/* Defaults, from the table of the class. */
static const struct lam_option *table;
static int n_table;

static int64_t option_int(const struct lam_options *o, const char *name)
{
    (void)o;
    static const struct {
        const char *text;
        int64_t v;
    } words[] = {{"5 ms", 5000},       {"2 min", 120000000}, {"64 MiB", 64 << 20},
                 {"16 MiB", 16 << 20}, {"500 ms", 500000},   {"1 MiB", 1 << 20},
                 {"30 s", 30000000},   {"5 min", 300000000}};
    if (!strcmp(name, "bounded")) return 1;
    for (int i = 0; i < n_table; i++) {
        if (strcmp(table[i].name, name) || !table[i].dflt) continue;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (!strcmp(words[k].text, table[i].dflt)) return words[k].v;
        return atoll(table[i].dflt);
    }
    return 0;
}

static bool option_set(const struct lam_options *o, const char *name)
{
    return option_text(o, name) != NULL;
}

static int host_fail(struct lam_error *err, int code, const char *fmt, ...)
{
    (void)err;
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

static void host_hint(struct lam_error *err, const char *fmt, ...)
{
    (void)err, (void)fmt;
}

/* Values are copied, as the host that decodes them does. */
static bool host_record(struct lam_records *out, const void *p, size_t n, const struct lam_position *after)
{
    (void)after;
    struct lam_records_kept *k = (struct lam_records_kept *)out;
    if (k->n + n > k->cap) k->bytes = realloc(k->bytes, k->cap = 2 * (k->n + n));
    memcpy(k->bytes + k->n, p, n);
    k->n += n;
    k->total++;
    return ++out->n < out->max && k->n < 1 << 20;
}

static const struct lam_host host = {.size = sizeof host,
                                     .alloc = host_alloc,
                                     .resize = host_resize,
                                     .free = free,
                                     .account = host_account,
                                     .now = host_now,
                                     .wall = host_now,
                                     .log = host_log,
                                     .wake = host_wake,
                                     .option_text = option_text,
                                     .option_int = option_int,
                                     .option_set = option_set,
                                     .fail = host_fail,
                                     .hint = host_hint,
                                     .record = host_record};

static void doze(void)
{
    char c[64];
    need(read(woken[0], c, sizeof c) > 0, "the pipe");
}

static void produce_sink(const struct lam_sink_class *c)
{
    struct ArrowSchema key = {.format = "z", .name = "_key"}, *children[] = {&key},
                       schema = {.format = "+s", .n_children = 1, .children = children};
    struct ArrowArray column = {.length = BATCH, .n_buffers = 3, .buffers = (const void *[]){NULL, key_ends, keys}},
                      *columns[] = {&column};
    struct ArrowArray all = {
        .length = BATCH, .n_buffers = 1, .buffers = (const void *[]){NULL}, .n_children = 1, .children = columns};
    struct lam_io io = {.size = sizeof io,
                        .host = &host,
                        .self = calloc(1, c->instance_size),
                        .name = "s",
                        .schema = &schema,
                        .metadata = &schema};
    uint64_t marker;
    bool fresh;
    int result;
    table = c->options, n_table = c->n_options;
    while ((result = c->open(&io, 1, &marker, &fresh, NULL)) == LAM_IO_WAIT) doze();
    need(!result, "open");
    for (int64_t done = 0; done < rows; done += BATCH) {
        for (int64_t from = 0; from < BATCH;) {
            int64_t took = 0;
            struct lam_rows r = {.size = sizeof r, .array = &all, .from = from};
            struct lam_values v = {.size = sizeof v, .n = BATCH - from, .bytes = values, .offsets = value_ends + from};
            result = c->write_records(&io, &v, &r, &took, NULL);
            from += took;
            if (result == LAM_IO_WAIT) doze();
            need(!result || result == LAM_IO_WAIT, "write");
        }
    }
    while ((result = c->flush(&io, NULL)) == LAM_IO_WAIT) doze();
    need(!result, "flush");
    c->close(&io, true, NULL);
}

static int64_t consume_source(const struct lam_source_class *c)
{
    struct ArrowSchema none = {.format = "+s"};
    struct lam_io io = {.size = sizeof io,
                        .host = &host,
                        .self = calloc(1, c->instance_size),
                        .name = "r",
                        .schema = &none,
                        .metadata = &none};
    struct lam_records_kept k = {0};
    int result = 0;
    table = c->options, n_table = c->n_options;
    need(!c->open(&io, NULL) && c->splits(&io) == 1 && !c->seek(&io, 0, NULL, NULL), "open");
    while (result != LAM_IO_DONE) {
        k.n = 0;
        k.out = (struct lam_records){.size = sizeof k.out, .max = BATCH};
        result = c->poll_records(&io, 0, 0, &k.out, NULL);
        if (result == LAM_IO_WAIT) doze();
        need(!result || result == LAM_IO_WAIT || result == LAM_IO_DONE, "poll");
    }
    c->close(&io);
    return k.total;
}

int main(int argc, char **argv)
{
    need(argc == 6 && !pipe(woken), "kafka MODULE BROKERS TOPIC WAY ROWS");
    brokers = argv[2], topic = argv[3], rows = atoll(argv[5]) / BATCH * BATCH;
    const char *way = argv[4];
    void *so = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    need(so, dlerror());
    const struct lam_module *m = dlsym(so, "lam_module");
    int64_t n = rows;
    make_rows();
    struct round r = round_begin();
    if (!strcmp(way, "produce.raw")) produce_raw();
    if (!strcmp(way, "produce.sink")) produce_sink(m->sinks[0]);
    if (!strcmp(way, "consume.raw")) n = consume_raw();
    if (!strcmp(way, "consume.source")) n = consume_source(m->sources[0]);
    round_end(&r);
    need(n == rows, "rows that were read");
    printf("{\"way\":\"%s\",\"rows\":%ld,\"wall_s\":%.3f,\"cpu_s\":%.3f,\"rows_per_cpu_s\":%.0f}\n", way, (long)n,
           r.wall_s, r.cpu_s, (double)n / r.cpu_s);
    return 0;
}
