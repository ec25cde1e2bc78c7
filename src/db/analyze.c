/* EXPLAIN ANALYZE. Of a stream: two surveys of it, as far apart as FOR says, what passed between them and what held it up.
 * Of a SELECT: its rows are counted and thrown away, then its operators tell what they did. Both are done when the result is
 * asked for its rows, by the caller's thread, so that they hold up no other statement and can be canceled as a result can.
 * SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"
#include "db/explain.h"

#define DEFAULT_US 5000000
#define MOST_US    3600000000

struct analysis {
    struct lam_db *db;
    uint64_t stream_id;
    int64_t for_us, begun_us;
    struct sub *sub; /* of a SELECT, the result's; NULL: a stream */
    struct survey *then;
    _Atomic bool cancel;
    bool told;
    struct arena *arena;
    struct schema *schema;
    struct pool *pool;
};

static struct analysis *new(struct lam_db *db)
{
    struct analysis *a = mem_zalloc(sizeof *a);
    a->db = db;
    a->arena = arena_new();
    a->schema = schema_new(a->arena, 1);
    a->schema->fields[0] = (struct field){.name = "plan", .type = TYPE(T_VARCHAR)};
    a->pool = pool_new(NULL);
    a->begun_us = env_now_us(db->env);
    runtime_watch(db->runtime, true);
    return a;
}

struct analysis *analysis_of_stream(struct lam_db *db, const struct object *stream, int64_t for_us)
{
    struct analysis *a = new(db);
    a->stream_id = stream->id;
    a->for_us = for_us;
    a->then = survey_take(db->runtime);
    return a;
}

struct analysis *analysis_of_select(struct lam_db *db) { return new(db); }
void analysis_reads(struct analysis *a, struct sub *sub) { a->sub = sub; }

void analysis_free(struct analysis *a)
{
    if (!a) return;
    runtime_watch(a->db->runtime, false);
    survey_free(a->then);
    pool_close(a->pool);
    arena_free(a->arena);
    mem_free(a);
}

const struct schema *analysis_schema(const struct analysis *a) { return a->schema; }

void analysis_cancel(struct analysis *a)
{
    atomic_store(&a->cancel, true);
    runtime_poke(a->db->runtime);
}

static bool is_canceled(void *ctx) { return atomic_load(&((struct analysis *)ctx)->cancel); }

/* ---- a stream ---------------------------------------------------------------------------------------------------------- */

static void tell_stream(struct analysis *a, const struct survey *now, struct text *out)
{
    const struct survey_node *n = survey_stream(now, a->stream_id);
    if (!n) {
        text_puts(out, "does not run: no sink or subscription reads it\n");
        return;
    }
    const struct survey_node *then = survey_node_then(a->then, n);
    text_puts(out, "in ");
    put_passed(now->now_us - a->then->now_us, out);
    text_puts(out, ": ");
    put_count(n->rows_out - (then ? then->rows_out : 0), out);
    text_puts(out, " rows out\n");
    explain_running(a->then, now, n, out);
    bottleneck_line(a->then, now, n, out);
    text_putc(out, '\n');
    struct text why = {0};
    if (silence_reason(a->then, now, n, &why)) text_printf(out, "why nothing comes out: %s\n", text_cstr(&why));
    text_done(&why);
}

static enum status watch_stream(struct analysis *a, struct text *out, struct err *err)
{
    if (runtime_wait_us(a->db->runtime, is_canceled, a, a->for_us)) return err_set(err, E_CANCELED, "canceled");
    lock_take(&a->db->lock);
    AUTO(survey_free) struct survey *now = explain_survey(a->db);
    lock_give(&a->db->lock);
    tell_stream(a, now, out);
    return ST_OK;
}

/* ---- a query ------------------------------------------------------------------------------------------------------------- */

static void tell_operator(const struct survey_node *n, int depth, uint64_t *batches, struct text *out)
{
    int64_t busy = 0;
    for (int i = 0; i < n->ninst; i++) busy += n->inst[i].busy_us;
    *batches += n->batches_in;
    text_printf(out, "%*s%s\n%*s[", 2 * depth, "", n->line, 2 * depth + 2, "");
    put_count(n->rows_in, out);
    text_puts(out, n->rows_in == 1 ? " row in " : " rows in ");
    put_count(n->batches_in, out);
    text_puts(out, n->batches_in == 1 ? " batch, " : " batches, ");
    put_count(n->rows_out, out);
    text_printf(out, " out; %.3f ms]\n", (double)busy / 1e3);
    for (int i = 0; i < n->nin && !n->narrows; i++) tell_operator(n->in[i], depth + 1, batches, out);
}

static enum status run_select(struct analysis *a, struct text *out, struct err *err)
{
    uint64_t rows = 0, batches = 0;
    struct batch *b;
    enum status st;
    while (!(st = sub_recv(a->sub, -1, &b, err))) {
        rows += b ? b->rows : 0;
        batch_unref(b);
    }
    if (st != ST_DONE) return st;
    int64_t took = env_now_us(a->db->env) - a->begun_us;
    AUTO(survey_free) struct survey *now = survey_take(a->db->runtime);
    const struct survey_sub *s = now->subs;
    while (s && s->sub != a->sub) s = s->next;
    if (s) tell_operator(s->on, 0, &batches, out);
    text_printf(out, "rows_produced: %llu, batches_processed: %llu, execution_time_ms: %.3f\n", (unsigned long long)rows,
                (unsigned long long)batches, (double)took / 1e3);
    return ST_OK;
}

/* ---- the result's rows ----------------------------------------------------------------------------------------------------- */

static struct batch *lines(struct analysis *a, const struct text *x)
{
    uint32_t n = 0, row = 0;
    for (size_t i = 0; i < x->n; i++) n += x->p[i] == '\n';
    struct batch *b = batch_for(a->pool, a->schema, n + 1);
    for (const char *p = x->p, *end; row < n; p = end + 1, row++) {
        end = memchr(p, '\n', x->n - (size_t)(p - x->p));
        struct value v = {.type = TYPE(T_VARCHAR), .s = str_view(p, (uint32_t)(end - p))};
        batch_put(b, a->schema, 0, row, n + 1, &v);
    }
    b->rows = n;
    return b;
}

enum status analysis_next(struct analysis *a, struct batch **out, struct err *err)
{
    struct text x = {0};
    if (a->told) return ST_DONE;
    a->told = true;
    enum status st = a->sub ? run_select(a, &x, err) : watch_stream(a, &x, err);
    if (!st) *out = lines(a, &x);
    text_done(&x);
    return st;
}

enum status analysis_time(const struct stmt *st, int64_t *out, struct err *err)
{
    *out = DEFAULT_US;
    if (!st->value) return ST_OK;
    if (duration_parse(st->value, 0, out) && *out > 0 && *out <= MOST_US) return ST_OK;
    return err_at(err, E_RANGE, st->pos, "EXPLAIN ANALYZE ... FOR %s: between 1 microsecond and 1 hour", st->value);
}
