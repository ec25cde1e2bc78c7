/* Statements that bring rows into the target. SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

/* A unique index takes a key with NULL for one that is not there yet, each time it comes: such a row would stand there twice, and never
 * be replaced or deleted. So it is refused. What the constraint is called is what the error says. */
static struct sql *refuse_null_keys(const struct target *t, struct sql *q)
{
    for (int i = 0; i < t->n; i++)
        if (t->key[i] && t->nullable[i])
            sql_printf(q, "; ALTER TABLE pg_temp.laminar_stage ADD CONSTRAINT \"no NULL in column %d, a key\" CHECK (c%d IS NOT NULL)", i + 1, i + 1);
    return q;
}

/* With our own names for the columns, and how the rows came. */
struct sql *stage_make(const struct target *t, struct sql *q)
{
    sql_put(q, "CREATE TEMPORARY TABLE laminar_stage ON COMMIT DELETE ROWS AS SELECT ");
    for (int i = 0; i < t->n; i++) sql_printf(sql_ident(q, t->names[i]), " AS c%d, ", i + 1);
    sql_put(q, "0::pg_catalog.int4 AS seq, 0::pg_catalog.int2 AS w FROM ");
    return refuse_null_keys(t, sql_put(target_name(t, q), " WITH NO DATA"));
}

struct sql *stage_copy(const struct target *t, struct sql *q)
{
    if (t->set->upsert) return sql_put(q, "COPY pg_temp.laminar_stage FROM STDIN (FORMAT binary)");
    target_columns(t, sql_put(target_name(t, sql_put(q, "COPY ")), " ("), NULL);
    return sql_put(q, ") FROM STDIN (FORMAT binary)");
}

/* The keys as a list: of the target by name, of the stage by number. */
static struct sql *keys(const struct target *t, struct sql *q, bool by_name)
{
    for (int i = 0, n = 0; i < t->n; i++) {
        if (!t->key[i]) continue;
        if (n++) sql_put(q, ", ");
        if (by_name)
            sql_ident(q, t->names[i]);
        else
            sql_printf(q, "c%d", i + 1);
    }
    return q;
}

/* The last change of each key, of the rows from `seq` on. */
static struct sql *last_changes(const struct target *t, struct sql *q, int32_t seq)
{
    keys(t, sql_put(q, "WITH last AS (SELECT DISTINCT ON ("), false);
    sql_printf(q, ") * FROM pg_temp.laminar_stage WHERE seq >= %d ORDER BY ", seq);
    return sql_put(keys(t, q, false), ", seq DESC) ");
}

/* pg_catalog's =, whatever the target's schema holds, but for types that are not of pg_catalog. */
static const char *equals(const struct target *t, int i) { return t->foreign[i] ? " = " : " OPERATOR(pg_catalog.=) "; }

static struct sql *delete_last(const struct target *t, struct sql *q, int32_t seq)
{
    target_name(t, sql_put(last_changes(t, q, seq), "DELETE FROM "));
    sql_put(q, " AS t USING last WHERE last.w < 0");
    for (int i = 0; i < t->n; i++)
        if (t->key[i]) sql_printf(sql_put(sql_ident(sql_put(q, " AND t."), t->names[i]), equals(t, i)), "last.c%d", i + 1);
    return sql_put(q, "; ");
}

static struct sql *upsert_last(const struct target *t, struct sql *q, int32_t seq)
{
    target_name(t, sql_put(last_changes(t, q, seq), "INSERT INTO "));
    target_columns(t, sql_put(q, " ("), NULL);
    target_columns(t, sql_put(q, ") OVERRIDING SYSTEM VALUE SELECT "), "c");
    keys(t, sql_put(q, " FROM last WHERE w > 0 ON CONFLICT ("), true);
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        if (t->key[i]) continue;
        sql_put(sql_ident(sql_put(q, n++ ? ", " : ") DO UPDATE SET "), t->names[i]), " = EXCLUDED.");
        sql_ident(q, t->names[i]);
    }
    return sql_put(q, n ? "" : ") DO NOTHING");
}

/* Both only when there are rows for them: most streams never delete. */
struct sql *stage_merge(const struct target *t, struct sql *q, int32_t seq, bool deletes)
{
    if (deletes) delete_last(t, q, seq);
    return upsert_last(t, q, seq);
}

/* A transaction is there whole, or not at all: when some of its rows are there and some are not, it is not it that they meet, and the
 * division says so. */
struct sql *stage_missing(const struct target *t, struct sql *q)
{
    sql_put(q, "CREATE TEMPORARY TABLE laminar_again ON COMMIT DROP AS SELECT ");
    target_name(t, sql_put(target_columns(t, q, NULL), " FROM "));
    sql_put(q, " WITH NO DATA; COPY pg_temp.laminar_again FROM STDIN (FORMAT binary); WITH put AS (INSERT INTO ");
    target_columns(t, sql_put(target_name(t, q), " ("), NULL);
    sql_put(q, ") OVERRIDING SYSTEM VALUE SELECT * FROM pg_temp.laminar_again ON CONFLICT DO NOTHING RETURNING 1) SELECT 1 / CASE WHEN");
    return sql_put(q, " (SELECT count(*) FROM put) IN (0, (SELECT count(*) FROM pg_temp.laminar_again)) THEN 1 ELSE 0 END");
}
