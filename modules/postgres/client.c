/* A connection to a PostgreSQL server. SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "sql.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define COPY_PIECE (64 << 10)
#define ASKING_MOST 16
#define ASKING_S 1
#define GRACE_US 10000000 /* for the server to stop a statement itself, before the connection is given up */

/* ---- settings ------------------------------------------------------------------------------------------------ */

/* Not on a network that others share. */
static bool is_local(const char *host)
{
    return host[0] == '/' || host[0] == '@' || !strcmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "::1");
}

/* One address: a list of them or "127.0.0.1.example.org" would make is_local guess. */
static bool is_one_host(const char *host)
{
    size_t n = strlen(host);
    if (!n || strchr(host, ',')) return false;
    return host[0] == '/' || strncmp(host, "127.", 4) || strspn(host, "0123456789.") == n;
}

/* Who names a certificate means to be protected by it. */
static int choose_sslmode(struct lam_io *io, struct client_settings *s, struct lam_error *err)
{
    static const char *const modes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
    const struct lam_host *h = io->host;
    bool named = s->sslrootcert || s->sslcert || s->sslkey, socket = s->host[0] == '/' || s->host[0] == '@';
    s->sslmode = s->sslmode ? modes[h->option_int(io->options, "ssl.mode")] : !named && is_local(s->host) ? "disable" : "verify-full";
    if (named && (socket || !strcmp(s->sslmode, "disable"))) {
        h->fail(err, LAM_IO_OPTION, "certificates are named, and %s", socket ? "a socket has no TLS" : "ssl.mode = 'disable' uses none");
        h->hint(err, "leave ssl.ca.cert.path, ssl.client.cert.path and ssl.client.key.path out, or %s",
                socket ? "name the server by its address" : "say ssl.mode = 'verify-full'");
        return LAM_IO_OPTION;
    }
    if (!s->sslcert == !s->sslkey) return LAM_IO_OK;
    h->fail(err, LAM_IO_OPTION, "%s", s->sslcert ? "ssl.client.cert.path without its key" : "ssl.client.key.path without its certificate");
    h->hint(err, "give both ssl.client.cert.path and ssl.client.key.path");
    return LAM_IO_OPTION;
}

int client_settings(struct lam_io *io, struct client_settings *out, struct lam_error *err)
{
    const struct lam_host *h = io->host;
    const struct lam_options *o = io->options;
    *out = (struct client_settings){
        .host = h->option_text(o, "hostname"),
        .port = (int)h->option_int(o, "port"),
        .database = h->option_text(o, "database"),
        .user = h->option_text(o, "username"),
        .password = h->option_text(o, "password"),
        .sslmode = h->option_text(o, "ssl.mode"),
        .sslrootcert = h->option_text(o, "ssl.ca.cert.path"),
        .sslcert = h->option_text(o, "ssl.client.cert.path"),
        .sslkey = h->option_text(o, "ssl.client.key.path"),
        .application_name = h->option_text(o, "application.name"),
        .connect_us = h->option_int(o, "connect.timeout"),
        .statement_us = h->option_int(o, "statement.timeout"),
    };
    if (!is_one_host(out->host)) return h->fail(err, LAM_IO_OPTION, "hostname '%.100s' is not one host", out->host);
    return choose_sslmode(io, out, err);
}

/* ---- what went wrong ------------------------------------------------------------------------------------------- */

/* One line of s, without what would break it. */
static void one_line(char *out, size_t size, const char *s)
{
    size_t n = 0;
    for (; *s && n + 1 < size; s++) {
        char c = (unsigned char)*s < ' ' ? ' ' : *s;
        if (c != ' ' || (n && out[n - 1] != ' ')) out[n++] = c;
    }
    while (n && out[n - 1] == ' ') n--;
    out[n] = 0;
}

static enum outcome say(struct client *c, enum outcome o, const char *state, const char *text)
{
    snprintf(c->state, sizeof c->state, "%s", state ? state : "");
    one_line(c->text, sizeof c->text, text && *text ? text : "the connection was lost");
    c->hint[0] = 0;
    return o;
}

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

static enum outcome outcome_of(const char *state)
{
    static const char *const data[] = {"22", "23", "44", "54000", NULL}; /* 54000: a value too long for an index or a page */
    static const char *const retry[] = {"08", "53", "57014", "57P0", "40", "55P03", "25P03", "25P04", "25006", NULL};
    static const char *const refused[] = {"28", "3D000", NULL};
    for (const char *const *s = retry; *s; s++)
        if (begins(state, *s)) return PG_RETRY;
    for (const char *const *s = data; *s; s++)
        if (begins(state, *s)) return PG_DATA;
    for (const char *const *s = refused; *s; s++)
        if (begins(state, *s)) return PG_REFUSED;
    return *state ? PG_FAILED : PG_RETRY;
}

static enum outcome note_result(struct client *c, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY), *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
    char both[800];
    snprintf(both, sizeof both, "%.400s%s%.380s", text ? text : PQresultErrorMessage(r), detail ? ": " : "", detail ? detail : "");
    enum outcome o = say(c, outcome_of(state ? state : ""), state, both);
    if (hint) one_line(c->hint, sizeof c->hint, hint);
    return o;
}

static void hint_login(struct client *c)
{
    if (!strcmp(c->state, "28000") && strstr(c->text, "no encryption"))
        snprintf(c->hint, sizeof c->hint, "the server wants an encrypted connection: set ssl.mode = 'verify-full'");
    else if (begins(c->state, "28"))
        snprintf(c->hint, sizeof c->hint, "check username and password, and pg_hba.conf of the server");
    else if (!strcmp(c->state, "3D000"))
        snprintf(c->hint, sizeof c->hint, "check the option database, or create it there");
}

/* Why connecting failed. libpq gives no SQLSTATE then but as part of its verbose text, "FATAL:  28P01: password ...". */
static enum outcome note_connect(struct client *c)
{
    const char *text = PQerrorMessage(c->pq), *at = NULL;
    char state[6] = "";
    for (const char *p = text; !at && (p = strstr(p, ":  ")); p++)
        if (strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && begins(p + 8, ": ")) at = p + 3;
    if (at) {
        snprintf(state, sizeof state, "%.5s", at);
        char line[400];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at + 7, "\n"), at + 7);
        enum outcome o = say(c, outcome_of(state), state, line);
        hint_login(c);
        return o == PG_DATA ? PG_REFUSED : o;
    }
    if (PQconnectionNeedsPassword(c->pq)) {
        say(c, PG_REFUSED, NULL, text);
        snprintf(c->hint, sizeof c->hint, "give it: password = '${VAR}'");
        return PG_REFUSED;
    }
    bool broke = strstr(text, "SSL SYSCALL") || strstr(text, "closed");
    if (broke || (!strstr(text, "certificate") && !strstr(text, "SSL"))) return say(c, PG_RETRY, NULL, text);
    say(c, PG_REFUSED, NULL, text);
    if (strstr(text, "root certificate file"))
        snprintf(c->hint, sizeof c->hint, "name it by ssl.ca.cert.path; the system's own are mostly in /etc/ssl/certs/ca-certificates.crt");
    else if (strstr(text, "does not support SSL"))
        snprintf(c->hint, sizeof c->hint, "turn ssl on in the server, or say ssl.mode = 'disable' to go without");
    return PG_REFUSED;
}

int client_fail(struct client *c, enum outcome o, const char *what, struct lam_error *err)
{
    static const int results[] = {[PG_DATA] = LAM_IO_POISON,   [PG_RETRY] = LAM_IO_RETRY,  [PG_REFUSED] = LAM_IO_OPTION,
                                  [PG_FAILED] = LAM_IO_WRITE, [PG_CANCELED] = LAM_IO_CANCELED};
    if (c->state[0])
        c->io->host->fail(err, results[o], "%s: %s (SQLSTATE %s)", what, c->text, c->state);
    else
        c->io->host->fail(err, results[o], "%s: %s", what, c->text);
    if (c->hint[0]) c->io->host->hint(err, "%s", c->hint);
    return results[o];
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

static int64_t now(const struct client *c) { return c->io->host->now(c->io); }

static void allow(struct client *c, int64_t us) { c->deadline = us ? now(c) + us : INT64_MAX; }

/* For the next answer or as long as something moves: the server stops each statement by itself. */
static void allow_statement(struct client *c) { allow(c, c->set->statement_us ? c->set->statement_us + GRACE_US : 0); }

/* Until the socket can be read, or written too when `events` asks for it. */
static enum outcome wait_for(struct client *c, short events)
{
    struct pollfd fds[2] = {{.fd = PQsocket(c->pq), .events = events}, {.fd = c->wake_fd, .events = POLLIN}};
    for (;;) {
        if (c->canceled) return say(c, PG_CANCELED, NULL, "canceled");
        int64_t left = c->deadline == INT64_MAX ? INT64_MAX : c->deadline - now(c);
        if (left <= 0) return say(c, PG_RETRY, NULL, "the server does not answer");
        poll(fds, 2, left > 3600000000 ? 3600000 : (int)(left / 1000) + 1);
        if (fds[0].revents && !c->canceled) return PG_OK;
    }
}

/* What was queued is on its way, or as much as the server takes while it has something to say itself. */
static enum outcome send_queued(struct client *c)
{
    for (;;) {
        int left = PQflush(c->pq);
        if (!left) return PG_OK;
        if (left < 0) return say(c, PG_RETRY, NULL, PQerrorMessage(c->pq));
        enum outcome o = wait_for(c, POLLIN | POLLOUT);
        if (o) return o;
        if (!PQconsumeInput(c->pq)) return say(c, PG_RETRY, NULL, PQerrorMessage(c->pq));
    }
}

/* The next result, or NULL when there is none. */
static enum outcome next_result(struct client *c, PGresult **out)
{
    while (PQisBusy(c->pq)) {
        enum outcome o = wait_for(c, POLLIN);
        if (o) return o;
        if (!PQconsumeInput(c->pq)) return say(c, PG_RETRY, NULL, PQerrorMessage(c->pq));
    }
    *out = PQgetResult(c->pq);
    allow_statement(c);
    return PG_OK;
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t less;
    int n;
} asking = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

/* False: there are too many. */
static bool count_asking(int by)
{
    pthread_mutex_lock(&asking.lock);
    bool fits = asking.n + by <= ASKING_MOST;
    if (fits) asking.n += by;
    if (by < 0) pthread_cond_broadcast(&asking.less);
    pthread_mutex_unlock(&asking.lock);
    return fits;
}

/* The process may end behind us, and with it the threads: a statement that nobody stopped would go on in the server. */
static void wait_for_asking(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ASKING_S;
    pthread_mutex_lock(&asking.lock);
    while (asking.n && !pthread_cond_clockwait(&asking.less, &asking.lock, CLOCK_MONOTONIC, &until)) {}
    pthread_mutex_unlock(&asking.lock);
}

static void *ask_to_stop(void *cancel)
{
    char why[200];
    PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
    count_asking(-1);
    return NULL;
}

/* The server forgets what it does for us; then so do we. It is asked by a thread of its own, which touches nothing of ours: libpq waits
 * for the server to hang up, and the reason for all this may be that nobody is there. */
static void stop(struct client *c)
{
    pthread_t thread;
    PGcancel *cancel = PQgetCancel(c->pq);
    if (!cancel) return;
    bool fits = count_asking(1);
    if (fits && !pthread_create(&thread, NULL, ask_to_stop, cancel)) {
        pthread_detach(thread);
        c->asked = true;
        return;
    }
    if (fits) count_asking(-1);
    PQfreeCancel(cancel);
}

static enum outcome settle(struct client *c, enum outcome o)
{
    if (o == PG_CANCELED && c->pq) stop(c);
    if (o != PG_OK && o != PG_DATA) client_drop(c);
    return o;
}

/* ---- statements ------------------------------------------------------------------------------------------------------ */

/* Reads results to their end, or to a COPY that has begun (*copying). The first failure counts. */
static enum outcome read_results(struct client *c, PGresult **out, bool *copying)
{
    enum outcome first = PG_OK;
    for (PGresult *r = NULL;;) {
        enum outcome o = next_result(c, &r);
        if (o) return o;
        if (!r) return first;
        ExecStatusType s = PQresultStatus(r);
        if (s == PGRES_COPY_IN && copying) {
            *copying = true;
            PQclear(r);
            return first;
        }
        if (s == PGRES_TUPLES_OK && out) {
            PQclear(*out);
            *out = r;
            continue;
        }
        if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK && s != PGRES_EMPTY_QUERY && !first)
            first = PQstatus(c->pq) == CONNECTION_BAD && !PQresultErrorField(r, PG_DIAG_SQLSTATE)
                        ? say(c, PG_RETRY, NULL, PQerrorMessage(c->pq))
                        : note_result(c, r);
        PQclear(r);
    }
}

static enum outcome run(struct client *c, const char *sql, PGresult **out, bool *copying)
{
    allow_statement(c);
    if (!PQsendQuery(c->pq, sql)) return say(c, PG_RETRY, NULL, PQerrorMessage(c->pq));
    enum outcome o = send_queued(c);
    if (o) return o;
    o = read_results(c, out, copying);
    return o || PQstatus(c->pq) == CONNECTION_OK ? o : say(c, PG_RETRY, NULL, PQerrorMessage(c->pq));
}

enum outcome client_run(struct client *c, const char *sql, PGresult **out)
{
    if (out) *out = NULL;
    enum outcome o = settle(c, run(c, sql, out, NULL));
    if (o && out) {
        PQclear(*out);
        *out = NULL;
    }
    return o;
}

/* *open becomes false when the server has ended the COPY, and its results tell why. What is short stays queued, so that the server is
 * not woken for every part. */
static enum outcome copy_put(struct client *c, const char *p, size_t n, bool *open)
{
    while (n && *open) {
        size_t k = n < COPY_PIECE ? n : COPY_PIECE;
        int queued = PQputCopyData(c->pq, p, (int)k);
        if (queued < 0) *open = false;
        enum outcome o = queued > 0 && k < COPY_PIECE ? PG_OK : send_queued(c);
        if (o) return o;
        allow_statement(c);
        if (queued > 0) p += k, n -= k;
    }
    return PG_OK;
}

static enum outcome copy(struct client *c, const char *sql, const char *p, size_t n)
{
    static const char head[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    bool open = false;
    c->ended = false;
    enum outcome o = run(c, sql, NULL, &open);
    if (o) return o;
    if (!open) return say(c, PG_FAILED, NULL, "the server did not begin the COPY");
    if ((o = copy_put(c, head, sizeof head, &open))) return o;
    if ((o = copy_put(c, p, n, &open))) return o;
    if ((o = copy_put(c, "\377\377", 2, &open))) return o;
    if (open) {
        c->ended = true;
        if (PQputCopyEnd(c->pq, NULL) < 0) return say(c, PG_RETRY, NULL, PQerrorMessage(c->pq));
        if ((o = send_queued(c))) return o;
    }
    o = read_results(c, NULL, NULL);
    if (!o && PQstatus(c->pq) == CONNECTION_BAD) return say(c, PG_RETRY, NULL, PQerrorMessage(c->pq));
    return !o && !open ? say(c, PG_FAILED, NULL, "the server ended the COPY") : o;
}

enum outcome client_copy(struct client *c, const char *sql, const char *p, size_t n) { return settle(c, copy(c, sql, p, n)); }

enum client_tx client_tx(const struct client *c)
{
    if (!c->pq) return TX_NONE;
    switch (PQtransactionStatus(c->pq)) {
    case PQTRANS_INTRANS: return TX_GOOD;
    case PQTRANS_INERROR: return TX_BAD;
    default: return TX_NONE;
    }
}

/* ---- connecting ---------------------------------------------------------------------------------------------------------- */

static void notice(void *ctx, const char *text)
{
    struct client *c = ctx;
    char line[400];
    one_line(line, sizeof line, text);
    c->io->host->log(c->io, 3, "%s", line);
}

/* No other keywords, and no connection string in place of a value: what users write goes to these alone. Nor do passwords and
 * certificates count that whoever runs the process keeps at home (~/.pgpass, ~/.postgresql): who writes the SQL need not be the same. */
static void start(struct client *c)
{
    static const char nothing[] = "/dev/null/none";
    const struct client_settings *s = c->set;
    char port[12];
    snprintf(port, sizeof port, "%d", s->port);
    const char *const pairs[][2] = {
        {"host", s->host},
        {"port", port},
        {"dbname", s->database},
        {"user", s->user},
        {"password", s->password},
        {"sslmode", s->sslmode},
        {"sslrootcert", s->sslrootcert},
        {"sslcert", s->sslcert ? s->sslcert : nothing},
        {"passfile", nothing},
        {"sslkey", s->sslkey},
        {"application_name", s->application_name},
        {"client_encoding", "UTF8"},
        {"gssencmode", "disable"},
        {"target_session_attrs", "read-write"},
        {"keepalives", "1"},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "30000"},
    };
    enum { N = sizeof pairs / sizeof pairs[0] };
    const char *keys[N + 1], *values[N + 1];
    int n = 0;
    for (int i = 0; i < N; i++)
        if (pairs[i][1] && *pairs[i][1]) keys[n] = pairs[i][0], values[n++] = pairs[i][1];
    keys[n] = values[n] = NULL;
    c->pq = PQconnectStartParams(keys, values, 0);
    PQsetErrorVerbosity(c->pq, PQERRORS_VERBOSE);
    PQsetNoticeProcessor(c->pq, notice, c);
}

static enum outcome shake_hands(struct client *c)
{
    if (PQstatus(c->pq) == CONNECTION_BAD) return note_connect(c);
    for (PostgresPollingStatusType s = PGRES_POLLING_WRITING; s != PGRES_POLLING_OK; s = PQconnectPoll(c->pq)) {
        if (s == PGRES_POLLING_FAILED) return note_connect(c);
        enum outcome o = wait_for(c, s == PGRES_POLLING_READING ? POLLIN : POLLOUT);
        if (o) return o;
    }
    PQsetnonblocking(c->pq, 1);
    return PG_OK;
}

/* The names that our statements use without a schema are those of pg_catalog; the target's schema follows for triggers there. */
static enum outcome begin_session(struct client *c)
{
    struct sql s = {0};
    sql_start(&s, c->io->host);
    sql_printf(&s, "SET statement_timeout = %lld; ", (long long)((c->set->statement_us + 999) / 1000));
    sql_put(&s, "SET standard_conforming_strings = on; SET search_path = pg_catalog, ");
    sql_put(sql_ident(&s, c->set->schema), ", pg_temp");
    enum outcome o = run(c, s.p, NULL, NULL);
    sql_done(&s);
    return o;
}

enum outcome client_connect(struct client *c)
{
    client_drop(c);
    start(c);
    allow(c, c->set->connect_us);
    enum outcome o = shake_hands(c);
    if (!o) o = begin_session(c);
    if (o) {
        if (o == PG_DATA) o = PG_FAILED;
        client_drop(c);
    }
    return o;
}

static void put_wake_fd(struct client *c, int fd)
{
    pthread_mutex_lock(&c->lock);
    int old = c->wake_fd;
    c->wake_fd = fd;
    pthread_mutex_unlock(&c->lock);
    if (old > 0) close(old);
}

void client_init(struct client *c, struct lam_io *io, const struct client_settings *set)
{
    c->io = io;
    c->set = set;
    if (!c->wake_fd) put_wake_fd(c, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void client_drop(struct client *c)
{
    PQfinish(c->pq);
    c->pq = NULL;
}

void client_cancel(struct client *c)
{
    uint64_t one = 1;
    c->canceled = true;
    pthread_mutex_lock(&c->lock);
    if (c->wake_fd > 0) (void)!write(c->wake_fd, &one, sizeof one);
    pthread_mutex_unlock(&c->lock);
}

void client_done(struct client *c)
{
    client_drop(c);
    if (c->asked) wait_for_asking();
    put_wake_fd(c, 0);
}
