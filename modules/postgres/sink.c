/* The PostgreSQL sink.
 *
 * A write only encodes its rows, and keeps them. A flush sends all of them: BEGIN, COPY and COMMIT in one message, so the server is asked twice
 * for each transaction, and holds neither locks nor a transaction between them. When a row is refused, ever smaller ranges are
 * tried in a transaction with a savepoint, until it is refused alone: it is poison, and the others go in. For upserts COPY fills a
 * temporary table, of which the last change of each key is merged into the target.
 *
 * When the connection is lost, the next call connects anew and sends again what is kept. A COMMIT without an answer may have happened: then rows
 * come twice, or where a unique index shows that they are there already, they stay as they are. Exactly once, flushes put rows into the
 * transaction of their epoch, which commit ends together with the epoch's marker. Rows of it are not kept when a flush has put them there:
 * the marker tells what is there, and who opens the sink anew brings the rest again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "epoch.h"
#include "stage.h"
#include "target.h"
#include "tuples.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define STAGE_MOST 65536    /* rows in the temporary table, before it is emptied */
#define MOST_ROWS 65536     /* of one COPY */
#define MOST_BYTES (8 << 20)
#define AFTER_POISON 16     /* rows tried behind a row that was refused; doubled as long as all is well */

struct memo { /* for the next instance: when a call takes too long this one is closed */
    int64_t doubt; /* the first so many rows were in a COMMIT that had no answer */
};
_Static_assert(sizeof(struct memo) <= LAM_MEMO, "it fits");

struct sink {
    struct lam_io *io;
    struct memo *memo, own; /* own: when the host keeps none */
    struct client_settings client_set;
    struct target_settings target_set;
    struct client client;
    struct target target;
    struct tuples tuples; /* what was accepted and is not committed; with epochs: not in the transaction for good */
    struct epoch epoch;
    struct sql sql;
    bool saved;       /* the transaction has a savepoint, behind what is put */
    int64_t put;      /* the first so many of tuples are in the transaction */
    int64_t lent;     /* with epochs: rows in the transaction that are not kept */
    int64_t burst;    /* most rows of the next COPY */
    int64_t staged;   /* rows in the temporary table */
    int64_t poisoned; /* of tuples, the row that was refused last */
    int32_t seq;      /* of the next row */
    bool deletes;     /* some rows of tuples take others back */
    bool looked;      /* at the table again, since its columns were said not to fit our bytes */
};

/* ---- the connection --------------------------------------------------------------------------------------------------- */

static int failed(struct sink *s, enum outcome o, const char *what, struct lam_error *err) { return client_fail(&s->client, o, what, err); }

/* A transaction is given up with its connection. */
static int give_up(struct sink *s, int result)
{
    client_drop(&s->client);
    return result;
}

/* What is kept was encoded for the columns as they were. */
static int check_shape(struct sink *s, struct lam_error *err)
{
    if (!s->tuples.rows || target_shape(&s->target) == s->tuples.shape) return LAM_IO_OK;
    s->io->host->fail(err, LAM_IO_CONNECT, "the columns of %s.%s have changed", s->target_set.schema, s->target_set.table);
    s->io->host->hint(err, "rows that were not committed are made again for the new ones");
    return LAM_IO_CONNECT;
}

static int connect(struct sink *s, struct lam_error *err)
{
    char where[120];
    s->put = s->staged = 0;
    snprintf(where, sizeof where, "PostgreSQL at %.80s:%d", s->client_set.host, s->client_set.port);
    enum outcome o = client_connect(&s->client);
    if (o) return failed(s, o, where, err);
    int result = target_check(&s->target, &s->client, err);
    if (!result) result = check_shape(s, err);
    if (!result && s->io->epochs) result = epoch_claim(&s->epoch, &s->client, err);
    if (result) return give_up(s, result);
    struct sql *q = sql_start(&s->sql, s->io->host);
    if (s->target_set.upsert && (o = client_run(&s->client, stage_make(&s->target, q)->p, NULL)))
        return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "making the temporary table", err));
    tuples_aim(&s->tuples, s->io, s->target.columns, s->target.n, s->target_set.upsert, target_shape(&s->target));
    if (s->tuples.rows) s->io->host->log(s->io, 2, "connected again; %" PRId64 " rows are sent again", s->tuples.rows);
    return LAM_IO_OK;
}

/* With epochs rows of a lost transaction are not here any more; the marker tells who brings them again where to begin. */
static int lost(struct sink *s, struct lam_error *err)
{
    s->io->host->fail(err, LAM_IO_CONNECT, "the connection was lost with %" PRId64 " rows of an epoch", s->lent);
    s->io->host->hint(err, "they come again when the sink is opened anew");
    return give_up(s, LAM_IO_CONNECT);
}

static int be_ready(struct sink *s, struct lam_error *err) { return client_up(&s->client) ? LAM_IO_OK : connect(s, err); }

/* In the transaction of the epoch, which holds what was lent to it. */
static int begin_epoch(struct sink *s, struct lam_error *err)
{
    if (client_tx(&s->client) != TX_NONE) return LAM_IO_OK;
    int result = epoch_begin(&s->epoch, &s->client, err);
    s->saved = !result;
    return result ? give_up(s, result) : LAM_IO_OK;
}

/* ---- putting rows into the transaction --------------------------------------------------------------------------------- */

#define BEGIN "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; "

/* What comes before the rows. Only a transaction whose rows are all in one COPY needs no savepoint: nothing of it would stay. */
static struct sql *begin_put(struct sink *s, bool all)
{
    struct sql *q = sql_start(&s->sql, s->io->host);
    enum client_tx tx = client_tx(&s->client);
    if (tx == TX_GOOD || (tx == TX_BAD && s->saved)) {
        if (tx == TX_BAD) sql_put(q, "ROLLBACK TO SAVEPOINT laminar; ");
        sql_put(q, "RELEASE SAVEPOINT laminar; ");
        if (s->staged > STAGE_MOST) sql_put(q, "TRUNCATE pg_temp.laminar_stage; "), s->staged = 0;
        return sql_put(q, "SAVEPOINT laminar; ");
    }
    s->saved = !all;
    return sql_put(sql_put(q, tx == TX_BAD ? "ROLLBACK; " BEGIN : BEGIN), all ? "" : "SAVEPOINT laminar; ");
}

/* A COMMIT that the connection did not survive. */
static void note_doubt(struct sink *s)
{
    if (!client_up(&s->client) && s->memo->doubt < s->tuples.rows) s->memo->doubt = s->tuples.rows;
}

/* Rows a..b behind what is put, by statements that end with their COPY, or with COMMIT. Of an attempt that fails nothing stays. */
static enum outcome send(struct sink *s, struct sql *q, int64_t a, int64_t b, bool commit)
{
    const struct tuples *t = &s->tuples;
    if (commit) sql_put(q, "; COMMIT");
    enum outcome o = client_copy(&s->client, q->p, t->p + t->at[a], t->at[b] - t->at[a]);
    if (!o) s->put = b;
    if (!o && s->target_set.upsert) s->staged += b - a;
    if (o && commit && s->client.ended) note_doubt(s);
    return o == PG_DATA && client_tx(&s->client) != TX_BAD ? PG_FAILED : o; /* it was the COMMIT, and not a row */
}

static enum outcome send_range(struct sink *s, int64_t a, int64_t b, bool commit)
{
    struct sql *q = stage_copy(&s->target, begin_put(s, commit && !a));
    if (s->target_set.upsert) stage_merge(&s->target, sql_put(q, "; "), tuples_seq(&s->tuples, a), s->deletes);
    return send(s, q, a, b, commit);
}

static bool is_there_already(const struct sink *s, int64_t a)
{
    return a < s->memo->doubt && s->target.unique && !s->target_set.upsert && !strcmp(s->client.state, "23505");
}

/* Of the rows in doubt those that are not there go in. What is refused then, or only some that are there, shows that the COMMIT did not happen. */
static enum outcome send_missing(struct sink *s, int64_t a)
{
    int64_t b = s->memo->doubt < s->tuples.rows ? s->memo->doubt : s->tuples.rows;
    enum outcome o = send(s, stage_missing(&s->target, begin_put(s, false)), a, b, false);
    if (o == PG_DATA) s->memo->doubt = 0;
    return o;
}

static int64_t end_of_range(const struct sink *s, int64_t a, int64_t bad)
{
    const struct tuples *t = &s->tuples;
    int64_t b = t->rows - a < s->burst ? t->rows : a + s->burst;
    if (bad >= a) b = a + (bad - a + 2) / 2;
    while (b - a > 1 && t->at[b] - t->at[a] > MOST_BYTES) b = a + (b - a) / 2;
    return b;
}

/* What is left to do when poison was the last, or all that there was. */
static enum outcome end_transaction(struct sink *s)
{
    enum client_tx tx = client_tx(&s->client);
    if (tx == TX_NONE) return PG_OK;
    enum outcome o = client_run(&s->client, tx == TX_GOOD ? "COMMIT" : s->saved ? "ROLLBACK TO SAVEPOINT laminar; COMMIT" : "ROLLBACK", NULL);
    if (o) note_doubt(s);
    return o;
}

/* All rows that are kept; `commit`: and the end of the transaction. DATA: the row behind those that are put cannot go in. */
static enum outcome put_all(struct sink *s, bool commit)
{
    int64_t bad = -1; /* from there back to what is put a row is bad */
    while (s->put < s->tuples.rows) {
        int64_t a = s->put, b = end_of_range(s, a, bad);
        enum outcome o = send_range(s, a, b, commit && b == s->tuples.rows);
        if (o == PG_DATA && is_there_already(s, a) && (o = send_missing(s, a)) == PG_DATA) continue;
        if (o == PG_DATA && b - a > 1) {
            bad = b - 1;
            continue;
        }
        if (o) return o;
        if (s->burst < MOST_ROWS) s->burst *= 2;
    }
    return commit ? end_transaction(s) : PG_OK;
}

static int poison(struct sink *s, struct lam_error *err)
{
    s->poisoned = s->put;
    s->burst = AFTER_POISON;
    if (s->put < s->memo->doubt) s->memo->doubt--;
    tuples_remove(&s->tuples, s->put);
    return failed(s, PG_DATA, "PostgreSQL", err);
}

/* All rows, as put_all. With epochs they are in the transaction for good then. */
static int put(struct sink *s, struct lam_error *err)
{
    enum outcome o = put_all(s, !s->io->epochs);
    if (o == PG_DATA && !s->looked && !strcmp(s->client.state, "22P03")) { /* the table may have changed: connecting looks at it */
        s->looked = true;
        return give_up(s, failed(s, PG_RETRY, "PostgreSQL", err));
    }
    if (o == PG_DATA && s->put < s->tuples.rows) return poison(s, err);
    if (o) return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "PostgreSQL", err));
    s->lent = s->io->epochs ? s->lent + s->tuples.rows : 0;
    s->memo->doubt = s->memo->doubt > s->tuples.rows ? s->memo->doubt - s->tuples.rows : 0;
    s->put = 0;
    if (!s->lent) s->staged = 0;
    if (!s->staged || s->staged > STAGE_MOST) s->seq = 0; /* the temporary table is empty before rows come to it */
    s->deletes = s->looked = false;
    tuples_clear(&s->tuples);
    return LAM_IO_OK;
}

/* ---- the class: opening and closing ------------------------------------------------------------------------------------ */

enum { MODE_APPEND, MODE_COPY, MODE_UPSERT, MODE_INSERT };

static void read_settings(struct sink *s)
{
    const struct lam_host *h = s->io->host;
    const struct lam_options *o = s->io->options;
    const char *name = h->option_text(o, "sink.id");
    s->target_set = (struct target_settings){
        .schema = h->option_text(o, "schema.name"),
        .table = h->option_text(o, "table.name"),
        .keys = h->option_text(o, "primary.key"),
        .upsert = h->option_int(o, "write.mode") >= MODE_UPSERT,
        .create = h->option_int(o, "auto.create.table"),
    };
    s->epoch.schema = s->target_set.schema;
    s->epoch.table = h->option_text(o, "epoch.table");
    s->epoch.sink = name ? name : s->io->name;
    s->client_set.schema = s->target_set.schema;
}

static int sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    struct sink *s = io->self;
    (void)fresh;
    s->io = io;
    s->memo = io->size > offsetof(struct lam_io, memo) && io->memo ? io->memo : &s->own;
    s->burst = MOST_ROWS;
    int result = client_settings(io, &s->client_set, err);
    if (result) return result;
    read_settings(s);
    s->epoch.incarnation = incarnation;
    client_init(&s->client, io, &s->client_set);
    if ((result = target_init(&s->target, io, &s->target_set, err))) return result;
    if ((result = connect(s, err))) return result;
    *marker = s->epoch.marker;
    return LAM_IO_OK;
}

static void sink_cancel(struct lam_io *io) { client_cancel(&((struct sink *)io->self)->client); }

static int sink_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    struct sink *s = io->self;
    (void)complete, (void)err;
    client_done(&s->client);
    tuples_done(&s->tuples);
    target_done(&s->target, io);
    sql_done(&s->sql);
    return LAM_IO_OK;
}

/* ---- the class: writing --------------------------------------------------------------------------------------------------- */

static int only_adds(struct sink *s, const struct lam_rows *rows, struct lam_error *err)
{
    const int8_t *w = rows->weight;
    bool deletes = w && memchr(w + rows->from, -1, (size_t)(rows->array->length - rows->from));
    s->deletes |= deletes;
    if (s->target_set.upsert || !deletes) return LAM_IO_OK;
    s->io->host->fail(err, LAM_IO_OPTION, "the stream takes rows back, and write.mode = 'append' can only add them");
    s->io->host->hint(err, "say write.mode = 'upsert', with primary.key or a table that has one");
    return LAM_IO_OPTION;
}

static int sink_write(struct lam_io *io, const struct lam_rows *rows, int64_t *accepted, struct lam_error *err)
{
    struct sink *s = io->self;
    int result = only_adds(s, rows, err);
    if (result) return result;
    int64_t n = rows->array->length - rows->from;
    *accepted = tuples_encode(&s->tuples, rows, rows->from, n, s->seq);
    s->seq += (int32_t)*accepted;
    return n && !*accepted ? io->host->fail(err, LAM_IO_POISON, "the row is longer than 1 GiB") : LAM_IO_OK;
}

/* ---- the class: making it last ------------------------------------------------------------------------------------------------ */

static int sink_flush(struct lam_io *io, struct lam_error *err)
{
    struct sink *s = io->self;
    if (!s->tuples.rows && client_tx(&s->client) == TX_NONE) return LAM_IO_OK;
    if (s->lent && !client_up(&s->client)) return lost(s, err);
    int result = be_ready(s, err);
    if (!result && io->epochs) result = begin_epoch(s, err);
    return result ? result : put(s, err);
}

static void forget(struct sink *s)
{
    s->put = s->lent = s->memo->doubt = s->staged = 0;
    s->seq = 0;
    s->deletes = false;
    tuples_clear(&s->tuples);
}

static int drop(struct sink *s)
{
    if (client_tx(&s->client) != TX_NONE && client_run(&s->client, "ROLLBACK", NULL)) client_drop(&s->client);
    forget(s);
    return LAM_IO_OK;
}

static int sink_commit(struct lam_io *io, uint64_t epoch, struct lam_error *err)
{
    struct sink *s = io->self;
    bool gone = s->lent && !client_up(&s->client);
    int result = be_ready(s, err); /* reads the marker when it connects */
    if (result) return result;
    if (epoch <= s->epoch.marker) return drop(s);
    if (gone) return lost(s, err);
    if ((result = begin_epoch(s, err)) || (result = put(s, err))) return result;
    PGresult *r = NULL;
    struct sql *q = sql_start(&s->sql, io->host);
    if (client_tx(&s->client) == TX_BAD) sql_put(q, "ROLLBACK TO SAVEPOINT laminar; ");
    sql_put(epoch_put(&s->epoch, q, epoch), "; COMMIT");
    enum outcome o = client_run(&s->client, q->p, &r);
    PQclear(r);
    if (o) return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "COMMIT", err));
    s->epoch.marker = epoch;
    return forget(s), LAM_IO_OK;
}

static int sink_abort(struct lam_io *io, struct lam_error *err) { return (void)err, drop(io->self); }

static int64_t sink_poisoned(struct lam_io *io) { return ((struct sink *)io->self)->poisoned; }

/* ---- the class ------------------------------------------------------------------------------------------------------------------- */

static const struct lam_option options[] = {
    CLIENT_OPTIONS,
    {.name = "schema.name", .type = LAM_OPTION_TEXT, .dflt = "public", .also = "schema", .sentence = "Schema of the table."},
    {.name = "table.name", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .also = "table",
     .sentence = "Table to write, exactly as it is called; columns go by name."},
    {.name = "write.mode", .type = LAM_OPTION_ENUM, .dflt = "append", .values = "append|copy|upsert|insert", .also = "mode",
     .sentence = "append (or copy) adds rows; upsert (or insert) keeps one row a key and deletes those that are taken back."},
    {.name = "primary.key", .type = LAM_OPTION_TEXT, .also = "keys",
     .sentence = "Columns 'a, b' that upsert knows rows by, and of the key of a table that is made; by default the table's primary key."},
    {.name = "auto.create.table", .type = LAM_OPTION_BOOL, .dflt = "false",
     .sentence = "Make the table with the stream's columns when there is none."},
    {.name = "epoch.table", .type = LAM_OPTION_TEXT, .dflt = "laminar_epochs",
     .sentence = "Table in the same schema for what exactly once has to remember."},
    {.name = "sink.id", .type = LAM_OPTION_TEXT, .sentence = "What the sink is called there; by default its name."},
    {.name = "pool.size", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REFUSED,
     .sentence = "A sink has one connection: several would lose the order of a key's changes, and COPY by one is bound by the server. For more, make "
                 "several sinks, each with its WHERE."},
    {.name = "changelog.mode", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REFUSED,
     .sentence = "Whether a stream takes rows back is known: write.mode = 'upsert' deletes them, and 'append' refuses such streams."},
};

static const struct lam_sink_class class = {
    .size = sizeof class,
    .name = "postgres",
    .aliases = (const char *const[]){"postgresql", NULL},
    .sentence = "Writes rows to a table of a PostgreSQL server.",
    .payload = LAM_COLUMNS,
    .guarantee = LAM_EXACTLY_ONCE,
    .blocking = true,
    .changelog = true,
    .flush_us = 200000, /* and a COMMIT: visible within 250 ms */
    .instance_size = sizeof(struct sink),
    .options = options,
    .n_options = CLIENT_N_OPTIONS + 9,
    .option_size = sizeof options[0],
    .open = sink_open,
    .write_columns = sink_write,
    .flush = sink_flush,
    .commit = sink_commit,
    .abort = sink_abort,
    .cancel = sink_cancel,
    .close = sink_close,
    .poisoned = sink_poisoned,
};
_Static_assert(sizeof options / sizeof options[0] == CLIENT_N_OPTIONS + 9, "the table is whole");

const struct lam_sink_class *const postgres_sinks[] = {&class, NULL};
