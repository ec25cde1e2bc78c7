/* A connection to a PostgreSQL server, for whatever reads or writes there: how to connect, statements, COPY, what became of them.
 *
 * One thread uses a client at a time, and its calls wait; client_cancel may come from any thread. After any outcome but OK and DATA
 * the connection is gone, and with it the transaction: client_connect makes a new one.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef POSTGRES_CLIENT_H
#define POSTGRES_CLIENT_H

#include <laminar_connector.h>

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

/* Where and how to connect; texts are those of the options. */
struct client_settings {
    const char *host, *database, *user, *password;
    int port;
    const char *sslmode, *sslrootcert, *sslcert, *sslkey;
    const char *application_name;
    const char *schema; /* searched after pg_catalog */
    int64_t connect_us, statement_us; /* statement_us 0: none */
};

/* The options of every class that connects: names, defaults, sentences. */
#define CLIENT_OPTIONS                                                                                                            \
    {.name = "hostname", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .also = "host",                                   \
     .sentence = "Server to connect to, or the folder of its socket."},                                                          \
    {.name = "port", .type = LAM_OPTION_INT, .dflt = "5432", .min = 1, .max = 65535, .sentence = "Its port."},                   \
    {.name = "database", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .also = "dbname", .sentence = "Database there."}, \
    {.name = "username", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .also = "user", .sentence = "Role to log in as."}, \
    {.name = "password", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_SECRET, .sentence = "Its password; best given as '${VAR}'."}, \
    {.name = "ssl.mode", .type = LAM_OPTION_ENUM, .also = "sslmode", .values = "disable|allow|prefer|require|verify-ca|verify-full", \
     .sentence = "As libpq's; by default verify-full, and for sockets and loopback disable, unless a certificate is named."},                                   \
    {.name = "ssl.ca.cert.path", .type = LAM_OPTION_TEXT, .also = "sslrootcert",                                                 \
     .sentence = "File of the certificates that the server's is verified by."},                                                  \
    {.name = "ssl.client.cert.path", .type = LAM_OPTION_TEXT, .also = "sslcert", .sentence = "File of the client's certificate."}, \
    {.name = "ssl.client.key.path", .type = LAM_OPTION_TEXT, .also = "sslkey", .sentence = "File of its key."},                  \
    {.name = "application.name", .type = LAM_OPTION_TEXT, .dflt = "laminar", .sentence = "Name that the server shows for the session."}, \
    {.name = "connect.timeout", .type = LAM_OPTION_DURATION, .dflt = "10 s", .min = 1000, .max = 3600000000,                      \
     .also = "connect.timeout.ms", .sentence = "Longest time for connecting; then it is tried again."},                          \
    {.name = "statement.timeout", .type = LAM_OPTION_DURATION, .dflt = "30 s", .min = 0, .max = 86400000000,                      \
     .also = "statement.timeout.ms", .sentence = "Longest time for a statement, then it is tried again; 0: no limit."}
enum { CLIENT_N_OPTIONS = 12 };

/* OK, or OPTION: what contradicts itself or is not safe. */
int client_settings(struct lam_io *io, struct client_settings *out, struct lam_error *err);

enum outcome {
    PG_OK,
    PG_DATA,     /* values that cannot be taken; the transaction has failed, the connection is fine */
    PG_RETRY,    /* it may pass: the server has gone, is starting, has no room, stopped the statement */
    PG_REFUSED,  /* who we are, where we go or how: an operator must look */
    PG_FAILED,   /* likewise, of a statement */
    PG_CANCELED,
};

struct client {
    struct lam_io *io;
    const struct client_settings *set;
    PGconn *pq;                /* NULL: not connected */
    pthread_mutex_t lock;      /* of wake_fd, against cancel; zero is unlocked */
    int wake_fd;               /* 0: none */
    _Atomic bool canceled;
    int64_t deadline;          /* of what is under way */
    char state[6];             /* SQLSTATE of the last failure, or "" */
    char text[400];            /* what went wrong, one line */
    char hint[200];
    bool asked;                /* the server is asked to stop a statement */
    bool ended;                /* of the last COPY: all was sent, so what follows may have been done */
};

void client_init(struct client *c, struct lam_io *io, const struct client_settings *set);
static inline bool client_up(const struct client *c) { return c->pq; }
enum outcome client_connect(struct client *c);
/* One or more statements; the last result with rows goes to *out (PQclear it), if out is not NULL. */
enum outcome client_run(struct client *c, const char *sql, PGresult **out);
enum client_tx { TX_NONE, TX_GOOD, TX_BAD }; /* BAD: a statement has failed, and only ROLLBACK helps */
enum client_tx client_tx(const struct client *c);
/* Statements of which one is a COPY FROM STDIN (FORMAT binary), and its rows without header and trailer. */
enum outcome client_copy(struct client *c, const char *sql, const char *p, size_t n);
/* The last failure as a result of the door, with "what" before it. */
int client_fail(struct client *c, enum outcome o, const char *what, struct lam_error *err);
void client_drop(struct client *c); /* the connection */
void client_cancel(struct client *c);
void client_done(struct client *c);

#endif
