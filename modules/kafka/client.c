/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <stdio.h>
#include <string.h>

static const char *const protocols[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"};
static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
enum { TLS = 1, SASL = 2 }; /* bits of a protocol's place */

/* Levels of syslog; what the library finds merely informative is for who debugs. */
static void log_line(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    struct lam_io *io = rd_kafka_opaque(rk);
    io->host->log(io, level <= 3 ? 1 : 3, "%s: %s", fac, text);
}

static void note_trouble(rd_kafka_t *rk, int e, const char *why, void *opaque)
{
    (void)rk;
    struct trouble *t = ((struct lam_io *)opaque)->self;
    if (client_class(e, LAM_IO_OK) == LAM_IO_CONNECT || client_class(e, LAM_IO_OK) == LAM_IO_TIMEOUT) t->outages++;
    if (t->e && (e == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || e == RD_KAFKA_RESP_ERR__TRANSPORT)) return;
    t->e = e;
    snprintf(t->text, sizeof t->text, "%s", why);
}

void client_conf_set(struct client_conf *c, const char *name, const char *value)
{
    char why[256];
    if (c->result || rd_kafka_conf_set(c->conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK) return;
    if (strstr(name, "password")) strcpy(why, "refused");
    c->result = c->io->host->fail(c->err, LAM_IO_OPTION, "the option %s: %s", name, why);
}

void client_conf_int(struct client_conf *c, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", (long)value);
    client_conf_set(c, name, text);
}

void client_conf_text(struct client_conf *c, const char *option)
{
    const char *value = c->io->host->option_text(c->io->options, option);
    if (value) client_conf_set(c, option, value);
}

static void refuse(struct client_conf *c, const char *what, const char *advice)
{
    if (c->result) return;
    c->result = c->io->host->fail(c->err, LAM_IO_OPTION, "%s", what);
    c->io->host->hint(c->err, "%s", advice);
}

/* Who names a certificate or a user means to be protected by it. */
static void set_security(struct client_conf *c)
{
    static const char *const tls[] = {"ssl.ca.location", "ssl.certificate.location", "ssl.key.location",
                                      "ssl.key.password"};
    const struct lam_host *h = c->io->host;
    const struct lam_options *o = c->io->options;
    int64_t protocol = h->option_int(o, "security.protocol");
    bool user =
        h->option_set(o, "sasl.username") || h->option_set(o, "sasl.password") || h->option_set(o, "sasl.mechanism");
    client_conf_set(c, "security.protocol", protocols[protocol]);
    for (size_t i = 0; i < sizeof tls / sizeof *tls; i++) {
        if (!h->option_set(o, tls[i])) continue;
        if (!(protocol & TLS)) refuse(c, "options of ssl without TLS", "set security.protocol to ssl or sasl_ssl");
        client_conf_text(c, tls[i]);
    }
    if (protocol & TLS)
        client_conf_set(c, "ssl.endpoint.identification.algorithm",
                        h->option_int(o, "ssl.endpoint.identification.algorithm") ? "none" : "https");
    if (!(protocol & SASL)) {
        if (user) refuse(c, "options of sasl without SASL", "set security.protocol to sasl_ssl");
        return;
    }
    if (!h->option_set(o, "sasl.mechanism") || !h->option_set(o, "sasl.username") ||
        !h->option_set(o, "sasl.password")) {
        refuse(c, "SASL without mechanism, user or password", "set sasl.mechanism, sasl.username and sasl.password");
        return;
    }
    client_conf_set(c, "sasl.mechanism", mechanisms[h->option_int(o, "sasl.mechanism")]);
    client_conf_text(c, "sasl.username");
    client_conf_text(c, "sasl.password");
}

void client_conf_begin(struct client_conf *c, struct lam_io *io, struct lam_error *err)
{
    *c = (struct client_conf){.io = io, .err = err, .conf = rd_kafka_conf_new()};
    rd_kafka_conf_set_opaque(c->conf, io);
    rd_kafka_conf_set_log_cb(c->conf, log_line);
    rd_kafka_conf_set_error_cb(c->conf, note_trouble);
    client_conf_text(c, "bootstrap.servers");
    client_conf_text(c, "client.id");
    set_security(c);
    client_conf_set(c, "log.connection.close", "false");
    client_conf_set(c, "reconnect.backoff.max.ms", "2000");
    client_conf_int(c, "socket.timeout.ms", io->host->option_int(io->options, "socket.timeout.ms") / 1000);
}

rd_kafka_t *client_new(struct client_conf *c, rd_kafka_type_t type)
{
    char why[256];
    rd_kafka_t *rk = c->result ? NULL : rd_kafka_new(type, c->conf, why, sizeof why);
    if (rk) return rk;
    rd_kafka_conf_destroy(c->conf);
    if (!c->result) c->result = c->io->host->fail(c->err, LAM_IO_OPTION, "%s", why);
    return NULL;
}

int client_class(rd_kafka_resp_err_t e, int other)
{
    switch (e) {
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT: return LAM_IO_TIMEOUT;
    /* A producer that is no longer sure of its sequence; a new one is. */
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR: return LAM_IO_CONNECT;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return LAM_IO_OPTION;
    default: return other;
    }
}
