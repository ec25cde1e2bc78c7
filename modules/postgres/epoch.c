/* The table of epochs. SPDX-License-Identifier: Apache-2.0 */
#include "epoch.h"

#include <inttypes.h>
#include <stdlib.h>

static int shut_out(const struct epoch *e, struct client *c, struct lam_error *err)
{
    client_drop(c);
    c->io->host->fail(err, LAM_IO_WRITE, "a later start of sink \"%s\" has taken over; this one (incarnation %" PRIu64 ") may not write any more",
                      e->sink, e->incarnation);
    c->io->host->hint(err, "stop this process, or give one of the two another sink.id");
    return LAM_IO_WRITE;
}

/* Runs s, which gives the epoch of our row or, when it is not ours any more, no row. */
static int take_marker(struct epoch *e, struct client *c, const char *sql, struct lam_error *err)
{
    PGresult *r;
    enum outcome o = client_run(c, sql, &r);
    if (o) return client_fail(c, o == PG_DATA ? PG_FAILED : o, "the table of epochs", err);
    bool ours = r && PQntuples(r) == 1;
    if (ours) e->marker = strtoull(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return ours ? LAM_IO_OK : shut_out(e, c, err);
}

int epoch_claim(struct epoch *e, struct client *c, struct lam_error *err)
{
    struct sql s = {0};
    sql_qualified(sql_put(sql_start(&s, c->io->host), "CREATE TABLE IF NOT EXISTS "), e->schema, e->table);
    sql_put(&s, " (sink text PRIMARY KEY, epoch bigint NOT NULL, incarnation bigint NOT NULL, updated_at timestamptz NOT NULL)");
    enum outcome o = client_run(c, s.p, NULL);
    if (o == PG_DATA) o = PG_RETRY; /* made by another session at the same time */
    int result = o ? client_fail(c, o, "making the table of epochs", err) : LAM_IO_OK;
    if (!result) {
        sql_qualified(sql_put(sql_start(&s, c->io->host), "INSERT INTO "), e->schema, e->table);
        sql_value(sql_put(&s, " AS e VALUES ("), e->sink);
        sql_printf(&s, ", 0, %" PRIu64 ", pg_catalog.now()) ON CONFLICT (sink) DO UPDATE SET incarnation = EXCLUDED.incarnation", e->incarnation);
        sql_put(&s, " WHERE e.incarnation <= EXCLUDED.incarnation RETURNING epoch");
        result = take_marker(e, c, s.p, err);
    }
    sql_done(&s);
    return result;
}

static struct sql *ours(const struct epoch *e, struct sql *s)
{
    sql_value(sql_put(s, " WHERE sink = "), e->sink);
    return sql_printf(s, " AND incarnation = %" PRIu64, e->incarnation);
}

int epoch_begin(struct epoch *e, struct client *c, struct lam_error *err)
{
    struct sql s = {0};
    sql_put(sql_start(&s, c->io->host), "BEGIN; SET LOCAL synchronous_commit = on; SET CONSTRAINTS ALL IMMEDIATE; SELECT epoch FROM ");
    sql_put(ours(e, sql_qualified(&s, e->schema, e->table)), " FOR UPDATE; SAVEPOINT laminar");
    int result = take_marker(e, c, s.p, err);
    sql_done(&s);
    return result;
}

struct sql *epoch_put(const struct epoch *e, struct sql *s, uint64_t n)
{
    sql_qualified(sql_put(s, "UPDATE "), e->schema, e->table);
    sql_printf(s, " SET epoch = %" PRIu64 ", updated_at = pg_catalog.now()", n);
    return ours(e, s);
}
