/* The PostgreSQL sink.
 *
 * A write sends its rows by COPY, under a savepoint, into the transaction that the next flush commits: what is wrong with a row shows in
 * the write that brings it, and the others go in. For upserts COPY fills a temporary table, of which the last change of each key is
 * merged into the target.
 *
 * What was accepted and is not committed stays here, encoded. When the connection is lost, the next call connects anew and sends all
 * of it again. A COMMIT without an answer may have happened: then rows come twice, or where a unique index shows that they are there
 * already, they stay as they are. Exactly once nothing is kept: the epoch's marker tells what is there, and who opens the sink
 * anew brings the rest again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "epoch.h"
#include "target.h"
#include "tuples.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEEP_MOST (64 << 20) /* bytes kept; then they are committed before their time */
#define STAGE_MOST 65536     /* rows in the temporary table, before it is emptied */
#define MOST_ROWS 8192       /* of one COPY */
#define AFTER_POISON 16      /* rows tried behind a row that was refused; doubled as long as all is well */

/* Where the transaction stands. */
enum state {
    NONE,
    GOOD, /* what came after the savepoint holds */
    BAD,  /* it does not */
};

struct sink {
    struct lam_io *io;
    struct client_settings client_set;
    struct target_settings target_set;
    struct client client;
    struct target target;
    struct tuples tuples;
    struct epoch epoch;
    struct sql sql;
    enum state state;
    bool in_doubt;    /* a COMMIT of what is kept had no answer */
    int64_t sent;     /* rows in the transaction; with epochs also of one that was lost */
    int64_t burst;    /* most rows of the next COPY */
    int32_t staged;   /* rows in the temporary table */
};

/* ---- statements ------------------------------------------------------------------------------------------------------ */

/* What brings the transaction to a fresh savepoint. */
static struct sql *begin_put(struct sink *s)
{
    static const char *const before[] = {
        [NONE] = "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT laminar; ",
        [GOOD] = "RELEASE SAVEPOINT laminar; SAVEPOINT laminar; ",
        [BAD] = "ROLLBACK TO SAVEPOINT laminar; ",
    };
    return sql_put(sql_start(&s->sql, s->io->host), before[s->state]);
}

static struct sql *copy_into(struct sink *s, struct sql *q)
{
    if (s->target_set.upsert) return sql_put(q, "COPY pg_temp.laminar_stage FROM STDIN (FORMAT binary)");
    target_columns(&s->target, sql_put(target_name(&s->target, sql_put(q, "COPY ")), " ("), NULL);
    return sql_put(q, ") FROM STDIN (FORMAT binary)");
}

/* A temporary table with our own names for the columns, and how the rows came. */
static struct sql *make_stage(struct sink *s)
{
    struct sql *q = sql_put(sql_start(&s->sql, s->io->host), "CREATE TEMPORARY TABLE laminar_stage ON COMMIT DELETE ROWS AS SELECT ");
    for (int i = 0; i < s->target.n; i++) sql_printf(sql_ident(q, s->target.names[i]), " AS c%d, ", i + 1);
    sql_put(q, "0::pg_catalog.int4 AS seq, 0::pg_catalog.int2 AS w FROM ");
    return sql_put(target_name(&s->target, q), " WITH NO DATA");
}

/* The keys as a list: of the target by name, of the stage by number. */
static struct sql *keys(const struct sink *s, struct sql *q, bool by_name)
{
    for (int i = 0, n = 0; i < s->target.n; i++) {
        if (!s->target.key[i]) continue;
        if (n++) sql_put(q, ", ");
        if (by_name)
            sql_ident(q, s->target.names[i]);
        else
            sql_printf(q, "c%d", i + 1);
    }
    return q;
}

/* The last change of each key, of the rows from `seq` on. */
static struct sql *last_changes(const struct sink *s, struct sql *q, int32_t seq)
{
    keys(s, sql_put(q, "WITH last AS (SELECT DISTINCT ON ("), false);
    sql_printf(q, ") * FROM pg_temp.laminar_stage WHERE seq >= %d ORDER BY ", seq);
    return sql_put(keys(s, q, false), ", seq DESC) ");
}

/* pg_catalog's =, whatever the target's schema holds, but for types that are not of pg_catalog. */
static const char *equals(const struct sink *s, int i) { return s->target.foreign[i] ? " = " : " OPERATOR(pg_catalog.=) "; }

static struct sql *delete_last(const struct sink *s, struct sql *q, int32_t seq)
{
    target_name(&s->target, sql_put(last_changes(s, q, seq), "DELETE FROM "));
    sql_put(q, " AS t USING last WHERE last.w < 0");
    for (int i = 0; i < s->target.n; i++)
        if (s->target.key[i])
            sql_printf(sql_put(sql_ident(sql_put(q, " AND t."), s->target.names[i]), equals(s, i)), "last.c%d", i + 1);
    return sql_put(q, "; ");
}

static struct sql *upsert_last(const struct sink *s, struct sql *q, int32_t seq)
{
    target_name(&s->target, sql_put(last_changes(s, q, seq), "INSERT INTO "));
    target_columns(&s->target, sql_put(q, " ("), NULL);
    target_columns(&s->target, sql_put(q, ") OVERRIDING SYSTEM VALUE SELECT "), "c");
    keys(s, sql_put(q, " FROM last WHERE w > 0 ON CONFLICT ("), true);
    int n = 0;
    for (int i = 0; i < s->target.n; i++) {
        if (s->target.key[i]) continue;
        sql_put(sql_ident(sql_put(q, n++ ? ", " : ") DO UPDATE SET "), s->target.names[i]), " = EXCLUDED.");
        sql_ident(q, s->target.names[i]);
    }
    return sql_put(q, n ? "" : ") DO NOTHING");
}

/* Both only when there are rows for them: most streams never delete. */
static struct sql *merge(struct sink *s, int32_t seq, bool deletes)
{
    struct sql *q = sql_start(&s->sql, s->io->host);
    if (deletes) delete_last(s, q, seq);
    return upsert_last(s, q, seq);
}

/* ---- the connection --------------------------------------------------------------------------------------------------- */

static int failed(struct sink *s, enum outcome o, const char *what, struct lam_error *err)
{
    if (!client_up(&s->client)) s->state = NONE;
    return client_fail(&s->client, o, what, err);
}

/* A transaction is given up with its connection. */
static int give_up(struct sink *s, int result)
{
    client_drop(&s->client);
    s->state = NONE;
    return result;
}

static enum outcome send_range(struct sink *s, const char *p, size_t n, int32_t seq, bool deletes)
{
    enum outcome o = client_copy(&s->client, copy_into(s, begin_put(s))->p, p, n);
    if (!o && s->target_set.upsert) o = client_run(&s->client, merge(s, seq, deletes)->p, NULL);
    s->state = !client_up(&s->client) ? NONE : o ? BAD : GOOD;
    return o;
}

/* Rows that are kept and that a COMMIT without an answer may have brought there: those that are not there go in. */
static enum outcome send_missing(struct sink *s)
{
    struct sql *q = sql_put(begin_put(s), "CREATE TEMPORARY TABLE laminar_again ON COMMIT DROP AS SELECT ");
    target_name(&s->target, sql_put(target_columns(&s->target, q, NULL), " FROM "));
    enum outcome o = client_run(&s->client, sql_put(q, " WITH NO DATA")->p, NULL);
    if (!o) o = client_copy(&s->client, "COPY pg_temp.laminar_again FROM STDIN (FORMAT binary)", s->tuples.p, s->tuples.n);
    if (!o) {
        target_name(&s->target, sql_put(sql_start(q, s->io->host), "INSERT INTO "));
        target_columns(&s->target, sql_put(q, " ("), NULL);
        sql_put(q, ") OVERRIDING SYSTEM VALUE SELECT * FROM pg_temp.laminar_again ON CONFLICT DO NOTHING");
        o = client_run(&s->client, q->p, NULL);
    }
    s->state = !client_up(&s->client) ? NONE : o ? BAD : GOOD;
    return o;
}

static int send_again(struct sink *s, struct lam_error *err)
{
    if (!s->tuples.rows) return LAM_IO_OK;
    enum outcome o = send_range(s, s->tuples.p, s->tuples.n, 0, true);
    if (o == PG_DATA && s->in_doubt && s->target.unique && !strcmp(s->client.state, "23505")) o = send_missing(s);
    if (!o) {
        s->staged = (int32_t)s->tuples.rows;
        s->io->host->log(s->io, 2, "connected again; %" PRId64 " rows were sent again", s->tuples.rows);
        return LAM_IO_OK;
    }
    return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "sending rows again after an outage", err));
}

static int connect(struct sink *s, struct lam_error *err)
{
    char where[120];
    s->state = NONE;
    s->staged = 0;
    snprintf(where, sizeof where, "PostgreSQL at %.80s:%d", s->client_set.host, s->client_set.port);
    enum outcome o = client_connect(&s->client);
    if (o) return failed(s, o, where, err);
    int result = target_check(&s->target, &s->client, err);
    if (!result && s->io->epochs) result = epoch_claim(&s->epoch, &s->client, err);
    if (result) return give_up(s, result);
    if (s->target_set.upsert && (o = client_run(&s->client, make_stage(s)->p, NULL)))
        return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "making the temporary table", err));
    if (!s->tuples.columns) tuples_init(&s->tuples, s->io, s->target.columns, s->target.n, s->target_set.upsert);
    return LAM_IO_OK;
}

/* Connected, with all that is kept in the transaction. */
static int be_ready(struct sink *s, struct lam_error *err)
{
    if (client_up(&s->client)) return LAM_IO_OK;
    int result = connect(s, err);
    return result ? result : send_again(s, err);
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

/* With epochs rows of a lost transaction are not here any more; the marker tells who brings them again where to begin. */
static int lost(struct sink *s, struct lam_error *err)
{
    s->io->host->fail(err, LAM_IO_CONNECT, "the connection was lost with %" PRId64 " rows of an epoch", s->sent);
    s->io->host->hint(err, "they come again when the sink is opened anew");
    return give_up(s, LAM_IO_CONNECT);
}

static int begin(struct sink *s, struct lam_error *err)
{
    if (s->io->epochs && s->sent && !client_up(&s->client)) return lost(s, err);
    int result = be_ready(s, err);
    if (result || !s->io->epochs || s->state != NONE) return result;
    if ((result = epoch_begin(&s->epoch, &s->client, err))) return give_up(s, result);
    s->state = GOOD;
    return LAM_IO_OK;
}

static void keep(struct sink *s, int64_t n)
{
    s->sent += n;
    s->staged += (int32_t)n;
    if (s->io->epochs) s->tuples.n = s->tuples.at[0] = 0;
    else
        tuples_keep(&s->tuples, n);
}

/* Sends the chunk's rows. When one of them cannot go in, those before it do: ever smaller ranges from `a` on are tried, until it is
 * refused alone. Of an attempt that fails nothing stays. */
static enum outcome send_chunk(struct sink *s, int64_t n, const int8_t *weight, int64_t *sent)
{
    const struct tuples *t = &s->tuples;
    bool deletes = weight && memchr(weight, -1, (size_t)n);
    int64_t a = 0, bad = n; /* when below n, there is a bad row before it */
    *sent = 0;
    for (int64_t end = n; a < n; end = bad < n ? a + (bad - a + 2) / 2 : n) {
        enum outcome o = send_range(s, t->p + t->at[a], t->at[end] - t->at[a], s->staged + (int32_t)a, deletes);
        if (o == PG_DATA && end - a == 1) return *sent = a, o;
        if (o == PG_DATA) bad = end - 1;
        else if (o)
            return o;
        else
            a = end;
        if (a > bad) bad = n;
    }
    return *sent = n, PG_OK;
}

static int only_adds(struct sink *s, const struct lam_rows *rows, struct lam_error *err)
{
    const int8_t *w = rows->weight;
    if (s->target_set.upsert || !w || !memchr(w + rows->from, -1, (size_t)(rows->array->length - rows->from))) return LAM_IO_OK;
    s->io->host->fail(err, LAM_IO_OPTION, "the stream takes rows back, and write.mode = 'append' can only add them");
    s->io->host->hint(err, "say write.mode = 'upsert', with primary.key or a table that has one");
    return LAM_IO_OPTION;
}

static int commit(struct sink *s, struct lam_error *err);

static int empty_stage(struct sink *s, struct lam_error *err)
{
    if (s->staged < STAGE_MOST || s->state != GOOD) return LAM_IO_OK;
    enum outcome o = client_run(&s->client, "TRUNCATE pg_temp.laminar_stage", NULL);
    if (o) return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "emptying the temporary table", err));
    s->staged = 0;
    return LAM_IO_OK;
}

static int sink_write(struct lam_io *io, const struct lam_rows *rows, int64_t *accepted, struct lam_error *err)
{
    struct sink *s = io->self;
    int result = only_adds(s, rows, err);
    if (result || (result = begin(s, err))) return result;
    if (s->target_set.upsert && (result = empty_stage(s, err))) return result;
    int64_t n = rows->array->length - rows->from, sent;
    n = tuples_encode(&s->tuples, rows, rows->from, n < s->burst ? n : s->burst, s->staged);
    if (!n && rows->from < rows->array->length) return io->host->fail(err, LAM_IO_POISON, "the row is longer than 1 GiB");
    enum outcome o = send_chunk(s, n, rows->weight ? rows->weight + rows->from : NULL, &sent);
    keep(s, sent);
    *accepted = sent;
    if (o == PG_DATA) s->burst = AFTER_POISON;
    if (o) return failed(s, o, "PostgreSQL", err);
    if (s->burst < MOST_ROWS) s->burst *= 2;
    return !io->epochs && s->tuples.n > KEEP_MOST ? commit(s, err) : LAM_IO_OK;
}

/* ---- the class: making it last ------------------------------------------------------------------------------------------------ */

static void done(struct sink *s)
{
    s->state = NONE;
    s->in_doubt = false;
    s->sent = 0;
    s->staged = 0;
    tuples_clear(&s->tuples);
}


static int commit(struct sink *s, struct lam_error *err)
{
    if (s->state == NONE) return LAM_IO_OK;
    enum outcome o = client_run(&s->client, s->state == BAD ? "ROLLBACK TO SAVEPOINT laminar; COMMIT" : "COMMIT", NULL);
    if (!o) return done(s), LAM_IO_OK;
    s->in_doubt |= !client_up(&s->client);
    return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "COMMIT", err));
}

static int sink_flush(struct lam_io *io, struct lam_error *err)
{
    struct sink *s = io->self;
    if (io->epochs) return LAM_IO_OK;
    if (!s->tuples.rows && s->state == NONE) return LAM_IO_OK;
    int result = be_ready(s, err);
    return result ? result : commit(s, err);
}

static int drop(struct sink *s)
{
    enum outcome o = client_up(&s->client) && s->state != NONE ? client_run(&s->client, "ROLLBACK", NULL) : PG_OK;
    if (o) client_drop(&s->client);
    done(s);
    return LAM_IO_OK;
}

static int sink_commit(struct lam_io *io, uint64_t epoch, struct lam_error *err)
{
    struct sink *s = io->self;
    bool gone = s->sent && !client_up(&s->client);
    int result = be_ready(s, err); /* reads the marker when it connects */
    if (result) return result;
    if (epoch <= s->epoch.marker) return drop(s);
    if (gone) return lost(s, err);
    if ((result = begin(s, err))) return result;
    PGresult *r = NULL;
    struct sql *q = sql_start(&s->sql, io->host);
    if (s->state == BAD) sql_put(q, "ROLLBACK TO SAVEPOINT laminar; ");
    sql_put(epoch_put(&s->epoch, q, epoch), "; COMMIT");
    enum outcome o = client_run(&s->client, q->p, &r);
    PQclear(r);
    if (o) return give_up(s, failed(s, o == PG_DATA ? PG_FAILED : o, "COMMIT", err));
    s->epoch.marker = epoch;
    return done(s), LAM_IO_OK;
}

static int sink_abort(struct lam_io *io, struct lam_error *err) { return (void)err, drop(io->self); }

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
    .n_options = CLIENT_N_OPTIONS + 7,
    .option_size = sizeof options[0],
    .open = sink_open,
    .write_columns = sink_write,
    .flush = sink_flush,
    .commit = sink_commit,
    .abort = sink_abort,
    .cancel = sink_cancel,
    .close = sink_close,
};
_Static_assert(sizeof options / sizeof options[0] == CLIENT_N_OPTIONS + 7, "the table is whole");

const struct lam_sink_class *const postgres_sinks[] = {&class, NULL};
