/* What source and sink share: how a client is configured from options, where its log goes, what its errors mean.
 * Secrets are handed to the library and to nobody else. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H

#include <laminar_connector.h>
#include <librdkafka/rdkafka.h>

extern const struct lam_sink_class *const kafka_sinks[];
extern const struct lam_source_class *const kafka_sources[];

/* A name that users bring from elsewhere. */
#define CLIENT_REFUSED(option, why, others)                                                                            \
    {                                                                                                                  \
        .name = option, .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REFUSED, .sentence = why, .also = others          \
    }
#define REGISTRY "There is no registry of schemas yet: the formats json, csv and raw need none."

/* Options of every class; the names are those of the clients of Kafka. */
#define CLIENT_OPTIONS                                                                                                 \
    {.name = "bootstrap.servers",                                                                                      \
     .type = LAM_OPTION_TEXT,                                                                                          \
     .flags = LAM_OPTION_REQUIRED,                                                                                     \
     .sentence = "Brokers to ask first, as host:port with commas between.",                                            \
     .also = "brokers"},                                                                                               \
        {.name = "client.id",                                                                                          \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .dflt = "laminar",                                                                                            \
         .sentence = "Name under which brokers log us."},                                                              \
        {.name = "security.protocol",                                                                                  \
         .type = LAM_OPTION_ENUM,                                                                                      \
         .dflt = "plaintext",                                                                                          \
         .values = "plaintext|ssl|sasl_plaintext|sasl_ssl",                                                            \
         .sentence = "How connections are protected; it is never less than what is said here."},                       \
        {.name = "sasl.mechanism",                                                                                     \
         .type = LAM_OPTION_ENUM,                                                                                      \
         .values = "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512",                                                                \
         .sentence = "How we say who we are, with a protocol of sasl."},                                               \
        {.name = "sasl.username", .type = LAM_OPTION_TEXT, .sentence = "User."},                                       \
        {.name = "sasl.password", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_SECRET, .sentence = "Password."},       \
        {.name = "ssl.ca.location",                                                                                    \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "File or folder of certificates that are trusted; without it, those of the system."},             \
        {.name = "ssl.certificate.location", .type = LAM_OPTION_TEXT, .sentence = "File of our certificate."},         \
        {.name = "ssl.key.location", .type = LAM_OPTION_TEXT, .sentence = "File of our certificate's key."},           \
        {.name = "ssl.key.password",                                                                                   \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_SECRET,                                                                                   \
         .sentence = "Password of that key."},                                                                         \
        {.name = "ssl.endpoint.identification.algorithm",                                                              \
         .type = LAM_OPTION_ENUM,                                                                                      \
         .dflt = "https",                                                                                              \
         .values = "https|none",                                                                                       \
         .sentence = "Whether a broker's certificate must be for its name."},                                          \
        {.name = "socket.timeout.ms",                                                                                  \
         .type = LAM_OPTION_DURATION,                                                                                  \
         .dflt = "30 s",                                                                                               \
         .min = 1000000,                                                                                               \
         .max = 300000000,                                                                                             \
         .sentence = "After that long without an answer the connection is made anew."},                                \
        {.name = "schema.registry.password",                                                                           \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_REFUSED | LAM_OPTION_SECRET,                                                              \
         .sentence = REGISTRY},                                                                                        \
        CLIENT_REFUSED("schema.registry.url", REGISTRY,                                                                \
                       "schema.registry.username|schema.registry.ssl.ca.location|"                                     \
                       "schema.registry.ssl.certificate.location|schema.registry.ssl.key.location|"                    \
                       "schema.registry.subject.name.strategy|schema.registry.record.name|"                            \
                       "schema.registry.discovery.timeout.ms|schema.compatibility|schema.evolution.strategy")

/* What the library said last of its connections: it goes on trying, and only who asks for something in vain wants to
 * know why. Begins the instance of every class; filled by rd_kafka_poll. */
struct trouble {
    rd_kafka_resp_err_t e; /* 0: none */
    int64_t outages;       /* connections that were lost or not made */
    char text[200];
};

/* A configuration being made; `result` is that of the first setting that failed, and what follows does nothing. */
struct client_conf {
    struct lam_io *io;
    struct lam_error *err;
    rd_kafka_conf_t *conf;
    int result;
};

/* With the options above. */
void client_conf_begin(struct client_conf *c, struct lam_io *io, struct lam_error *err);
void client_conf_set(struct client_conf *c, const char *name, const char *value);
void client_conf_int(struct client_conf *c, const char *name, int64_t value);
/* The option of the class as the setting of the same name, if it is set. */
void client_conf_text(struct client_conf *c, const char *option);
/* NULL: see result. */
rd_kafka_t *client_new(struct client_conf *c, rd_kafka_type_t type);

/* What an error means for a source or sink: CONNECT or TIMEOUT when the world may recover, OPTION when we are refused
 * for what we are or ask for, else `other`. */
int client_class(rd_kafka_resp_err_t e, int other);

#endif
