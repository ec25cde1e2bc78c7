/* The table that rows go to. SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MOST 63

struct sql *target_name(const struct target *t, struct sql *s) { return sql_qualified(s, t->set->schema, t->set->table); }

struct sql *target_columns(const struct target *t, struct sql *s, const char *prefix)
{
    for (int i = 0; i < t->n; i++) {
        if (i) sql_put(s, ", ");
        if (prefix)
            sql_printf(s, "%s%d", prefix, i + 1);
        else
            sql_ident(s, t->names[i]);
    }
    return s;
}

uint64_t target_shape(const struct target *t)
{
    uint64_t h = 14695981039346656037u;
    for (int i = 0; i < t->n; i++) h = (h ^ (uint64_t)t->columns[i].how) * 1099511628211u;
    return h;
}

static int column_find(const struct target *t, const char *name, size_t n)
{
    for (int i = 0; i < t->n; i++)
        if (strlen(t->names[i]) == n && !memcmp(t->names[i], name, n)) return i;
    return -1;
}

/* ---- the stream's side --------------------------------------------------------------------------------------------- */

static int refuse(struct lam_io *io, struct lam_error *err, const char *column, const char *why)
{
    return io->host->fail(err, LAM_IO_OPTION, "column \"%s\" %s", column, why);
}

static int column_init(struct target *t, struct lam_io *io, int i, struct lam_error *err)
{
    const struct ArrowSchema *child = io->schema->children[i];
    t->names[i] = child->name;
    t->columns[i].from = type_of_column(child, &t->columns[i].scale);
    if (!*child->name || !strcmp(child->name, "?column?")) {
        refuse(io, err, child->name, "needs a name to go by in a table");
        io->host->hint(err, "give it one by AS in the sink's SELECT");
        return LAM_IO_OPTION;
    }
    for (int k = 0; k < i; k++)
        if (!strcmp(t->names[k], t->names[i])) return refuse(io, err, child->name, "is there twice: columns go to the table by their names");
    if (t->columns[i].from != FROM_NONE) return LAM_IO_OK;
    refuse(io, err, child->name, "is of a type that PostgreSQL tables cannot be given");
    io->host->hint(err, "cast it to VARCHAR or JSON in the sink's SELECT");
    return LAM_IO_OPTION;
}

/* The next name of "a, b", where one may be written as in SQL: "it""s". Puts it into `out`, which has room for all; NULL: that was the last. */
static const char *next_key(const char *p, char *out)
{
    size_t n = 0;
    p += strspn(p, " ,");
    if (!*p) return NULL;
    if (*p == '"') {
        for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
            p += *p == '"';
            out[n++] = *p;
        }
        p += *p == '"';
    } else {
        for (; *p && *p != ','; p++) out[n++] = *p;
        while (n && out[n - 1] == ' ') n--;
    }
    out[n] = 0;
    return p;
}

static int read_keys(struct target *t, struct lam_io *io, struct lam_error *err)
{
    if (!t->set->keys) return LAM_IO_OK;
    char *name = io->host->alloc(strlen(t->set->keys) + 1);
    int result = LAM_IO_OK;
    for (const char *p = t->set->keys; !result && (p = next_key(p, name));) {
        int i = column_find(t, name, strlen(name));
        if (i >= 0) t->key[i] = true;
        else
            result = io->host->fail(err, LAM_IO_OPTION, "primary.key names \"%.200s\", which is no column of the stream", name);
    }
    io->host->free(name);
    return result;
}

int target_init(struct target *t, struct lam_io *io, const struct target_settings *set, struct lam_error *err)
{
    target_done(t, io);
    if (set->keys && !set->upsert && !set->create) {
        io->host->fail(err, LAM_IO_OPTION, "primary.key says nothing where rows are only added to a table that exists");
        io->host->hint(err, "leave it out, or say write.mode = 'upsert'");
        return LAM_IO_OPTION;
    }
    t->set = set;
    t->n = (int)io->schema->n_children;
    size_t n = (size_t)t->n;
    t->names = io->host->alloc(n * sizeof *t->names);
    t->key = io->host->alloc(3 * n * sizeof *t->key);
    t->foreign = t->key + n;
    t->nullable = t->foreign + n;
    t->columns = io->host->alloc(n * sizeof *t->columns);
    for (int i = 0; i < t->n; i++) {
        int result = column_init(t, io, i, err);
        if (result) return result;
    }
    return read_keys(t, io, err);
}

void target_done(struct target *t, struct lam_io *io)
{
    if (!t->names) return;
    io->host->free(t->names);
    io->host->free(t->key);
    io->host->free(t->columns);
    *t = (struct target){0};
}

/* ---- the table's side ------------------------------------------------------------------------------------------------ */

/* Names one relation. */
static struct sql *where_table(const struct target *t, struct sql *s)
{
    sql_value(sql_put(s, " WHERE n.nspname = "), t->set->schema);
    return sql_value(sql_put(s, " AND c.relname = "), t->set->table);
}

enum { COL_NAME, COL_NOT_NULL, COL_DEFAULT, COL_GENERATED, COL_OID, COL_ENUM, COL_TYPE, COL_TYPMOD, COL_SHOWN, COL_FOREIGN };

/* One row a column. A domain is looked through to what it stands on. */
static enum outcome read_columns(const struct target *t, struct client *c, PGresult **out)
{
    struct sql s = {0};
    sql_start(&s, c->io->host);
    sql_put(&s, "WITH RECURSIVE col AS (SELECT a.attnum, a.attname, a.attnotnull, a.atthasdef OR a.attidentity <> '' AS dflt,"
                " a.attgenerated <> '' AS generated, a.atttypid AS typid, a.atttypmod AS typmod"
                " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
                " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace");
    where_table(t, &s);
    sql_put(&s, " AND c.relkind IN ('r', 'p', 'f', 'v') AND a.attnum > 0 AND NOT a.attisdropped),"
                " base AS (SELECT attnum, typid, typmod FROM col UNION ALL"
                " SELECT b.attnum, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.typmod END"
                " FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd')"
                " SELECT col.attname, col.attnotnull, col.dflt, col.generated, t.oid, t.typtype = 'e', t.typname, base.typmod,"
                " pg_catalog.format_type(col.typid, col.typmod), t.typtype <> 'e' AND tn.nspname <> 'pg_catalog'"
                " FROM col JOIN base USING (attnum) JOIN pg_catalog.pg_type t ON t.oid = base.typid AND t.typtype <> 'd'"
                " JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace ORDER BY col.attnum");
    enum outcome o = client_run(c, s.p, out);
    sql_done(&s);
    return o;
}

static const char *at(PGresult *r, int row, int col) { return PQgetvalue(r, row, col); }
static bool is(PGresult *r, int row, int col) { return at(r, row, col)[0] == 't'; }

static int row_of(PGresult *r, const char *name)
{
    for (int i = 0; i < PQntuples(r); i++)
        if (!strcmp(at(r, i, COL_NAME), name)) return i;
    return -1;
}

static int no_column(const struct target *t, struct client *c, PGresult *r, const char *name, struct lam_error *err)
{
    struct sql names = {0};
    sql_start(&names, c->io->host);
    for (int i = 0; i < PQntuples(r); i++) sql_put(sql_put(&names, i ? ", " : ""), at(r, i, COL_NAME));
    c->io->host->fail(err, LAM_IO_OPTION, "table %s.%s has no column \"%s\"", t->set->schema, t->set->table, name);
    c->io->host->hint(err, "name it by AS in the sink's SELECT as the table does (%.150s), or add it there", names.p);
    sql_done(&names);
    return LAM_IO_OPTION;
}

static int wrong_type(const struct target *t, struct client *c, PGresult *r, int row, int i, struct lam_error *err)
{
    char buf[32];
    const struct tuple_column *x = &t->columns[i];
    const char *from = x->from == FROM_DECIMAL ? "DECIMAL of scale" : type_sql(x->from), *shown = at(r, row, COL_SHOWN);
    if (x->from == FROM_DECIMAL)
        c->io->host->fail(err, LAM_IO_OPTION, "column \"%s\": %s %d does not go into %s without loss", t->names[i], from, x->scale, shown);
    else
        c->io->host->fail(err, LAM_IO_OPTION, "column \"%s\": %s does not go into %s without loss", t->names[i], from, shown);
    c->io->host->hint(err, "CAST it in the sink's SELECT to what the table has, or make the table's column %s", type_made(x->from, x->scale, buf));
    return LAM_IO_OPTION;
}

static int check_column(struct target *t, struct client *c, PGresult *r, int i, struct lam_error *err)
{
    int row = row_of(r, t->names[i]);
    if (row < 0) return no_column(t, c, r, t->names[i], err);
    struct target_type to = {.oid = (uint32_t)strtoul(at(r, row, COL_OID), NULL, 10),
                             .is_enum = is(r, row, COL_ENUM),
                             .is_text = is(r, row, COL_FOREIGN) && !strcmp(at(r, row, COL_TYPE), "citext"),
                             .typmod = (int32_t)strtol(at(r, row, COL_TYPMOD), NULL, 10)};
    if (is(r, row, COL_GENERATED)) {
        refuse(c->io, err, t->names[i], "is generated in the table, which takes no value for it");
        c->io->host->hint(err, "leave it out of the sink's SELECT");
        return LAM_IO_OPTION;
    }
    t->foreign[i] = is(r, row, COL_FOREIGN);
    t->nullable[i] = !is(r, row, COL_NOT_NULL);
    t->columns[i].how = type_encoding(t->columns[i].from, t->columns[i].scale, &to);
    return t->columns[i].how == ENCODE_NONE ? wrong_type(t, c, r, row, i, err) : LAM_IO_OK;
}

/* A column that the stream does not have must get along without. */
static int check_rest(const struct target *t, struct client *c, PGresult *r, struct lam_error *err)
{
    for (int row = 0; row < PQntuples(r); row++) {
        const char *name = at(r, row, COL_NAME);
        bool needs = is(r, row, COL_NOT_NULL) && !is(r, row, COL_DEFAULT) && !is(r, row, COL_GENERATED);
        if (!needs || column_find(t, name, strlen(name)) >= 0) continue;
        c->io->host->fail(err, LAM_IO_OPTION, "column \"%s\" of table %s.%s is NOT NULL without a default, and the stream does not have it",
                          name, t->set->schema, t->set->table);
        c->io->host->hint(err, "add it to the sink's SELECT, or give the table's column a default");
        return LAM_IO_OPTION;
    }
    return LAM_IO_OK;
}

/* ---- keys --------------------------------------------------------------------------------------------------------------- */

enum { KEY_INDEX, KEY_PRIMARY, KEY_NAME };

/* The columns of unique indexes that ON CONFLICT can use, index by index, the primary key's first. */
static enum outcome read_indexes(const struct target *t, struct client *c, PGresult **out)
{
    struct sql s = {0};
    sql_start(&s, c->io->host);
    sql_put(&s, "SELECT i.indexrelid, i.indisprimary, a.attname FROM pg_catalog.pg_index i"
                " JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                " CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) k"
                " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k]");
    where_table(t, &s);
    sql_put(&s, " AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
                " ORDER BY i.indisprimary DESC, i.indexrelid, k");
    enum outcome o = client_run(c, s.p, out);
    sql_done(&s);
    return o;
}

static int count_keys(const struct target *t)
{
    int n = 0;
    for (int i = 0; i < t->n; i++) n += t->key[i];
    return n;
}

static int take_primary_key(struct target *t, struct client *c, PGresult *r, struct lam_error *err)
{
    for (int row = 0; row < PQntuples(r) && is(r, row, KEY_PRIMARY); row++) {
        const char *name = at(r, row, KEY_NAME);
        int i = column_find(t, name, strlen(name));
        if (i < 0)
            return c->io->host->fail(err, LAM_IO_OPTION, "column \"%s\" of the primary key of %s.%s is no column of the stream", name,
                                     t->set->schema, t->set->table);
        t->key[i] = true;
    }
    if (count_keys(t)) return LAM_IO_OK;
    c->io->host->fail(err, LAM_IO_OPTION, "table %s.%s has no primary key, so write.mode = 'upsert' does not know its rows", t->set->schema,
                      t->set->table);
    c->io->host->hint(err, "name the columns of a unique index by primary.key = 'a, b', or add a primary key");
    return LAM_IO_OPTION;
}

/* Whether the rows from `row` on, of one index, are exactly the keys. */
static bool index_fits(const struct target *t, PGresult *r, int row, int *next)
{
    int first = row, found = 0;
    for (; row < PQntuples(r) && !strcmp(at(r, row, KEY_INDEX), at(r, first, KEY_INDEX)); row++) {
        int i = column_find(t, at(r, row, KEY_NAME), strlen(at(r, row, KEY_NAME)));
        found += i >= 0 && t->key[i];
    }
    *next = row;
    return found == row - first && found == count_keys(t);
}

static int check_keys(struct target *t, struct client *c, PGresult *r, struct lam_error *err)
{
    t->unique = PQntuples(r) > 0;
    if (!t->set->upsert) return LAM_IO_OK;
    if (!count_keys(t)) {
        int result = take_primary_key(t, c, r, err);
        if (result) return result;
    }
    for (int row = 0; row < PQntuples(r);)
        if (index_fits(t, r, row, &row)) return LAM_IO_OK;
    c->io->host->fail(err, LAM_IO_OPTION, "table %s.%s has no unique index on the columns of primary.key (%s) alone", t->set->schema,
                      t->set->table, t->set->keys ? t->set->keys : "");
    c->io->host->hint(err, "CREATE UNIQUE INDEX on them there, without WHERE");
    return LAM_IO_OPTION;
}

/* ---- making and checking ------------------------------------------------------------------------------------------------- */

/* The server cuts longer ones without an error, and would have another table than we mean. */
static int check_length(const char *name, struct lam_io *io, struct lam_error *err)
{
    if (strlen(name) <= NAME_MOST) return LAM_IO_OK;
    io->host->fail(err, LAM_IO_OPTION, "the name \"%.80s...\" has %zu bytes, and PostgreSQL keeps %d of one", name, strlen(name), NAME_MOST);
    io->host->hint(err, "give a shorter one, for a column by AS in the sink's SELECT");
    return LAM_IO_OPTION;
}

static int check_names(const struct target *t, struct lam_io *io, struct lam_error *err)
{
    int result = check_length(t->set->schema, io, err);
    if (!result) result = check_length(t->set->table, io, err);
    for (int i = 0; i < t->n && !result; i++) result = check_length(t->names[i], io, err);
    return result;
}

static enum outcome make_table(const struct target *t, struct client *c)
{
    struct sql s = {0};
    char buf[32];
    int nkeys = 0;
    sql_put(target_name(t, sql_put(sql_start(&s, c->io->host), "CREATE TABLE IF NOT EXISTS ")), " (");
    for (int i = 0; i < t->n; i++) {
        sql_ident(sql_put(&s, i ? ", " : ""), t->names[i]);
        sql_put(sql_put(&s, " "), type_made(t->columns[i].from, t->columns[i].scale, buf));
    }
    for (int i = 0; i < t->n; i++)
        if (t->key[i]) sql_ident(sql_put(&s, nkeys++ ? ", " : ", PRIMARY KEY ("), t->names[i]);
    sql_put(&s, nkeys ? "))" : ")");
    enum outcome o = client_run(c, s.p, NULL);
    sql_done(&s);
    return o == PG_DATA ? PG_RETRY : o; /* another session makes it at the same time */
}

static int no_table(const struct target *t, struct client *c, struct lam_error *err)
{
    const char *dot = strchr(t->set->table, '.');
    c->io->host->fail(err, LAM_IO_OPTION, "there is no table %s.%s in database %s", t->set->schema, t->set->table, c->set->database);
    if (dot)
        c->io->host->hint(err, "the schema goes into an option of its own: schema.name = '%.*s', table.name = '%s'", (int)(dot - t->set->table),
                          t->set->table, dot + 1);
    else
        c->io->host->hint(err, "create it there, or say auto.create.table = 'true'");
    return LAM_IO_OPTION;
}

static int check_found(struct target *t, struct client *c, PGresult *r, struct lam_error *err)
{
    for (int i = 0; i < t->n; i++) {
        int result = check_column(t, c, r, i, err);
        if (result) return result;
    }
    return check_rest(t, c, r, err);
}

static int failed(struct client *c, enum outcome o, struct lam_error *err)
{
    return client_fail(c, o == PG_DATA ? PG_FAILED : o, "looking for the table", err);
}

int target_check(struct target *t, struct client *c, struct lam_error *err)
{
    PGresult *r;
    enum outcome o = read_columns(t, c, &r);
    if (o) return failed(c, o, err);
    if (!PQntuples(r) && t->set->create) {
        PQclear(r);
        if (t->set->upsert && !count_keys(t)) {
            c->io->host->fail(err, LAM_IO_OPTION, "table %s.%s is to be made, and nothing says what its key is", t->set->schema, t->set->table);
            c->io->host->hint(err, "name its columns by primary.key = 'a, b'");
            return LAM_IO_OPTION;
        }
        int result = check_names(t, c->io, err);
        if (result) return result;
        if ((o = make_table(t, c))) return client_fail(c, o, "making the table", err);
        if ((o = read_columns(t, c, &r))) return failed(c, o, err);
    }
    int result = PQntuples(r) ? check_found(t, c, r, err) : no_table(t, c, err);
    PQclear(r);
    if (result) return result;
    if ((o = read_indexes(t, c, &r))) return failed(c, o, err);
    result = check_keys(t, c, r, err);
    PQclear(r);
    return result;
}
