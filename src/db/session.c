/* Sessions: statements, what they change in the catalog, and when the graph follows.
 *
 * The session sees its own statements at once; all else collects: what was created, replaced and dropped since the last apply
 * becomes one change of the graph, and of the catalog as others see it, at the next statement that needs rows or at the script's
 * end. An error undoes what was not applied.
 * SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void print_message(char *out, size_t n, const struct err *err)
{
    snprintf(out, n, "[LAM-%04d] %s", (int)err->code, err->text);
}

int session_fail(struct lam_session *s, const struct err *err)
{
    s->err = *err;
    print_message(s->message, sizeof s->message, err);
    return (int)err->code;
}

/* Why the last call without a session failed in this thread. */
static _Thread_local struct failure {
    struct err err;
    char message[620];
} failure;

int thread_fail(const struct err *err)
{
    failure.err = *err;
    print_message(failure.message, sizeof failure.message, err);
    return err->code == E_TIMEOUT ? LAM_TIMEOUT : (int)err->code;
}

static const struct err *err_of(const struct lam_session *s) { return s ? &s->err : &failure.err; }

const char *lam_errmsg(struct lam_session *s) { return err_of(s)->code ? s ? s->message : failure.message : ""; }
const char *lam_errhint(struct lam_session *s) { return err_of(s)->code ? err_of(s)->hint : ""; }
const char *lam_sqlstate(struct lam_session *s) { return err_of(s)->code ? err_sqlstate(err_of(s)->code) : "00000"; }
int64_t lam_errpos(struct lam_session *s) { return s && s->err.code ? s->errpos : -1; }

const char *lam_strerror(int code)
{
    static const char *const flows[] = {"ok", "it has ended", "nothing came in time", "there is nothing now", "there is more to do",
                                       "rows were dropped here"};
    if (code > 0) return err_sentence((enum status)code);
    return -code < (int)countof(flows) ? flows[-code] : "unexpected result";
}

const char *lam_errdetail(struct lam_session *s, const char *file)
{
    if (!s) return lam_errmsg(NULL);
    text_clear(&s->detail);
    if (!s->err.code) return "";
    struct text whole = {0};
    struct err at = s->err;
    text_put(&whole, s->before.p, s->before.n);
    text_put(&whole, s->statement.p, s->statement.n);
    if (at.pos != NO_POS) at.pos += (uint32_t)s->before.n;
    sql_print_error(file, whole.p, whole.n, &at, &s->detail);
    text_done(&whole);
    return text_cstr(&s->detail);
}

/* ---- variables ----------------------------------------------------------------------------------------------------- */

int lam_set_var(struct lam_session *s, const char *name, const char *value)
{
    if (db_forked(s->db)) return LAM_MISUSE;
    for (struct variable **at = &s->vars; *at; at = &(*at)->next) {
        struct variable *v = *at;
        if (strcmp(v->name, name) != 0) continue;
        *at = v->next;
        mem_free(v->name);
        mem_free(v->value);
        mem_free(v);
        break;
    }
    if (!value) return LAM_OK;
    struct variable *v = mem_zalloc(sizeof *v);
    v->name = mem_strdup(name);
    v->value = mem_strdup(value);
    v->next = s->vars;
    s->vars = v;
    return LAM_OK;
}

static const char *lookup(void *ctx, const char *name)
{
    struct lam_session *s = ctx;
    for (struct variable *v = s->vars; v; v = v->next)
        if (!strcmp(v->name, name)) return v->value;
    return getenv(name);
}

/* ---- changes --------------------------------------------------------------------------------------------------------- */

/* All that names what is replaced follows, or goes back. */
static void repoint(struct lam_session *s, bool back)
{
    for (struct entry *e = s->db->objects; e; e = e->next) {
        const struct entry *place = e->pending == s ? catalog_place(e) : NULL;
        if (!place) continue;
        const struct object *old = place->object;
        catalog_repoint(s->db, back ? e->object : old, back ? old : e->object);
    }
}

void session_undo(struct lam_session *s)
{
    lock_take(&s->db->lock);
    for (bool again = true; again;) {
        again = false;
        for (struct entry *e = s->db->objects; e; e = e->next) {
            if (e->pending != s) continue;
            catalog_leave_place(e);
            catalog_remove(s->db, e->object); /* newest first, so users go before what they use */
            again = true;
            break;
        }
    }
    for (struct entry *e = s->db->objects; e; e = e->next)
        if (e->dropped == s) e->dropped = NULL;
    lock_give(&s->db->lock);
}

/* What the graph is to do for the session's change; false: nothing. */
static bool collect_change(struct lam_session *s, struct change *ch)
{
    bool any = false;
    for (struct entry *e = s->db->objects; e; e = e->next) {
        bool sink = e->object->kind == OBJECT_SINK;
        if (e->pending == s && sink) change_sink(ch, e->object), any = true;
        if (e->pending == s && e->object->history) change_history(ch, e->object, e->object->history), any = true;
        if (e->dropped == s && e->object->history) change_drop_history(ch, e->object->id), any = true;
        const struct entry *place = e->pending == s ? catalog_place(e) : NULL;
        if (place) change_replace(ch, place->object->id, e->object), any = true;
        if (e->dropped == s && sink) change_drop_sink(ch, e->object->id, e->discard), any = true;
    }
    return any;
}

/* The change has taken effect: the catalog follows. */
static void conclude(struct lam_session *s)
{
    struct lam_db *db = s->db;
    for (struct entry *e = db->objects; e; e = e->next) {
        if (e->pending != s) continue;
        e->pending = NULL;
        struct entry *place = catalog_place(e);
        if (!place) continue;
        runtime_forget(db->runtime, place->object->id);
        catalog_retire(db, place);
    }
    for (bool again = true; again;) {
        again = false;
        for (struct entry *e = db->objects; e && !again; e = e->next) {
            if (e->dropped != s) continue;
            runtime_forget(db->runtime, e->object->id);
            catalog_remove(db, e->object);
            again = true;
        }
    }
}

/* A subscription may have begun since the DROP was said. */
static enum status may_drop(struct lam_session *s, struct err *err)
{
    for (struct entry *e = s->db->objects; e; e = e->next) {
        bool goes = e->dropped == s && e->object->kind != OBJECT_SINK;
        for (struct entry *n = s->db->objects; n && goes; n = n->next) goes = catalog_place(n) != e;
        if (!goes || !runtime_subscribed(s->db->runtime, e->object->id)) continue;
        err_set(err, E_DEPENDENT, "cannot drop \"%s\": a subscription or query still reads it", e->object->name);
        err_hint(err, "close it first");
        return E_DEPENDENT;
    }
    return ST_OK;
}

enum status session_apply(struct lam_session *s, struct err *err)
{
    struct lam_db *db = s->db;
    struct change *ch = change_new(db->runtime);
    bool any = false, stands = false;
    lock_take(&db->lock);
    enum status st = may_drop(s, err);
    if (!st) {
        any = collect_change(s, ch);
        repoint(s, false);
    }
    lock_give(&db->lock);
    if (any)
        st = change_apply(ch, CONTROL_TIMEOUT_US, &stands, err);
    else
        change_free(ch);
    lock_take(&db->lock);
    if (!st || stands)
        conclude(s);
    else if (any)
        repoint(s, true);
    lock_give(&db->lock);
    return st;
}

/* ---- DDL ---------------------------------------------------------------------------------------------------------------- */

const char *object_kind_name(enum object_kind k)
{
    return k == OBJECT_SOURCE ? "source" : k == OBJECT_STREAM ? "stream" : "sink";
}

/* Marks an object, with all that depends on it when `cascade`, to go when the change is applied. */
static enum status drop_object(struct lam_session *s, const struct object *o, bool cascade, bool discard, uint32_t pos, struct err *err)
{
    struct lam_db *db = s->db;
    const struct object *user;
    while ((user = catalog_user(s, o))) {
        if (!cascade) {
            err_at(err, E_DEPENDENT, pos, "cannot drop %s \"%s\": %s \"%s\" depends on it", object_kind_name(o->kind), o->name,
                   object_kind_name(user->kind), user->name);
            err_hint(err, "drop \"%s\" first, or use DROP ... CASCADE", user->name);
            return E_DEPENDENT;
        }
        TRY(drop_object(s, user, true, discard, pos, err));
    }
    runtime_sweep_now(db->runtime, CONTROL_TIMEOUT_US);
    struct entry *e = catalog_entry(db, o);
    if (e->dropped || (e->pending && e->pending != s))
        return err_at(err, E_EXISTS, pos, "%s \"%s\" is being changed by another session", object_kind_name(o->kind), o->name);
    if (o->kind != OBJECT_SINK && runtime_subscribed(db->runtime, o->id)) {
        err_at(err, E_DEPENDENT, pos, "cannot drop %s \"%s\": a subscription or query still reads it", object_kind_name(o->kind), o->name);
        err_hint(err, "close it first");
        return E_DEPENDENT;
    }
    e->discard = discard;
    if (!e->pending) return e->dropped = s, ST_OK;
    catalog_leave_place(e); /* what it was to replace stays dropped */
    catalog_remove(db, o);
    return ST_OK;
}

/* ---- OR REPLACE ----------------------------------------------------------------------------------------------------------- */

static bool same_columns(const struct schema *a, const struct schema *b, const char **which)
{
    for (int i = 0; i < a->n; i++) {
        *which = a->fields[i].name;
        if (i >= b->n || strcmp(a->fields[i].name, b->fields[i].name) != 0 || a->fields[i].not_null != b->fields[i].not_null ||
            !type_equal(a->fields[i].type, b->fields[i].type))
            return false;
    }
    if (b->n > a->n) *which = b->fields[a->n].name;
    return a->n == b->n;
}

static bool same_times(const struct object *a, const struct object *b)
{
    if (a->schema->time_column != b->schema->time_column || a->watermark != b->watermark || a->bounded != b->bounded) return false;
    const struct plan *p = a->plan, *q = b->plan;
    if (!p || !q) return !p == !q;
    size_t n = (size_t)a->schema->n;
    return p->stream == q->stream && !memcmp(p->lags, q->lags, n * sizeof *p->lags) && !memcmp(p->is_ms, q->is_ms, n * sizeof *p->is_ms) &&
           !memcmp(p->roles, q->roles, n);
}

/* Does o read `from`, at whatever remove? */
static bool depends_on(const struct object *o, const struct object *from)
{
    for (int i = 0; i < o->nuses; i++)
        if (o->uses[i] == from || depends_on(o->uses[i], from)) return true;
    return false;
}

/* Whether who reads `old` may read `o` in its place. */
static enum status may_replace(struct lam_session *s, const struct object *old, const struct object *o, uint32_t pos, struct err *err)
{
    const struct object *user = catalog_user(s, old);
    bool watched = runtime_subscribed(s->db->runtime, old->id);
    const char *column = "";
    if (depends_on(o, old)) return err_at(err, E_DEPENDENT, pos, "\"%s\" would read itself", o->name);
    if (!user && !watched) return ST_OK;
    const char *who = user ? user->name : "a subscription";
    if (old->declared_only || o->declared_only)
        err_at(err, E_DEPENDENT, pos, "cannot replace stream \"%s\", whose columns are declared: \"%s\" uses it", o->name, who);
    else if (!same_columns(old->schema, o->schema, &column))
        err_at(err, E_DEPENDENT, pos, "cannot replace %s \"%s\": column \"%s\" would change, and \"%s\" reads it", object_kind_name(o->kind), o->name,
               column, who);
    else if (!same_times(old, o))
        err_at(err, E_DEPENDENT, pos, "cannot replace %s \"%s\": its event time, its end or its kind would change, and \"%s\" reads it",
               object_kind_name(o->kind), o->name, who);
    else
        return ST_OK;
    err_hint(err, "keep them as they are, or drop \"%s\" first", who);
    return E_DEPENDENT;
}

/* o takes the place of old when the change is applied. */
static enum status replace(struct lam_session *s, const struct object *old, struct object *o, uint32_t pos, struct err *err)
{
    struct lam_db *db = s->db;
    struct entry *e = catalog_entry(db, old);
    if (e->dropped || (e->pending && e->pending != s))
        return err_at(err, E_EXISTS, pos, "%s \"%s\" is being changed by another session", object_kind_name(old->kind), old->name);
    if (old->kind != o->kind) {
        err_at(err, E_TYPE, pos, "\"%s\" is a %s", o->name, object_kind_name(old->kind));
        err_hint(err, "drop it first");
        return E_TYPE;
    }
    if (o->kind != OBJECT_SINK) TRY(may_replace(s, old, o, pos, err));
    catalog_add(db, o, s);
    struct entry *now = catalog_entry(db, o);
    if (!e->pending) {
        e->dropped = s;
        if (o->kind != OBJECT_SINK) now->replaces = e;
        return ST_OK;
    }
    catalog_repoint(db, old, o); /* it never ran */
    now->replaces = e;
    catalog_retire(db, e);
    return ST_OK;
}

static enum status being_made(const struct stmt *st, struct err *err)
{
    err_at(err, E_EXISTS, st->name_pos, "\"%s\" is being made by another session", st->name);
    err_hint(err, "wait until its transaction has ended, or take another name");
    return E_EXISTS;
}

static enum status create(struct lam_session *s, const struct stmt *st, const char *text, struct err *err)
{
    struct lam_db *db = s->db;
    lock_take(&db->lock);
    const struct object *any = catalog_find(db, st->name), *old = catalog_seen(s, st->name);
    bool others = any && !old && catalog_entry(db, any)->dropped != s;
    lock_give(&db->lock);
    if (others) return being_made(st, err);
    if (old && st->if_not_exists) return ST_OK;
    if (old && !st->or_replace) {
        err_at(err, E_EXISTS, st->name_pos, "%s \"%s\" already exists", object_kind_name(old->kind), st->name);
        err_hint(err, "use CREATE OR REPLACE, or IF NOT EXISTS");
        return E_EXISTS;
    }
    struct object *o;
    struct catalog view = catalog_view(s);
    lock_take(&db->lock);
    enum status r = plan_create(&view, st, text, &o, err);
    if (!r && !old) catalog_add(db, o, s);
    if (!r && old && (r = replace(s, old, o, st->name_pos, err))) object_free(o);
    lock_give(&db->lock);
    return r;
}

static const char *view_name(const void *ctx, int i) { return catalog_name(ctx, i); }

enum status session_not_found(struct lam_db *db, const struct stmt *st, struct err *err)
{
    err_at(err, E_TABLE, st->name_pos, "no %s \"%s\"", st->what ? st->what : "object", st->name);
    lock_take(&db->lock);
    const char *near = text_nearest(st->name, view_name, db);
    if (near) err_hint(err, "did you mean \"%s\"?", near);
    lock_give(&db->lock);
    return E_TABLE;
}

static enum status drop(struct lam_session *s, const struct stmt *st, struct err *err)
{
    lock_take(&s->db->lock);
    const struct object *o = catalog_seen(s, st->name);
    lock_give(&s->db->lock);
    if (!o) return st->if_exists ? ST_OK : session_not_found(s->db, st, err);
    if (strcmp(st->what, object_kind_name(o->kind)) != 0) {
        err_at(err, E_TYPE, st->name_pos, "\"%s\" is a %s, not a %s", st->name, object_kind_name(o->kind), st->what);
        err_hint(err, "use DROP %s", o->kind == OBJECT_SOURCE ? "SOURCE" : o->kind == OBJECT_STREAM ? "STREAM" : "SINK");
        return E_TYPE;
    }
    if (st->discard && o->kind != OBJECT_SINK)
        return err_at(err, E_UNSUPPORTED, st->name_pos, "only sinks are dropped with DISCARD; \"%s\" is a %s", st->name, object_kind_name(o->kind));
    lock_take(&s->db->lock);
    enum status r = drop_object(s, o, st->cascade, st->discard, st->name_pos, err);
    lock_give(&s->db->lock);
    return r;
}

static enum status checkpoint(struct lam_session *s, struct ArrowArrayStream *out, struct err *err)
{
    uint64_t epoch;
    TRY(session_apply(s, err));
    TRY(runtime_checkpoint(s->db->runtime, CONTROL_TIMEOUT_US, &epoch, err));
    struct table *t = table_new();
    table_column(t, "epoch", T_INT64);
    table_int(t, (int64_t)epoch);
    table_give(t, out);
    return ST_OK;
}

static enum status unsupported(const struct stmt *st, struct err *err)
{
    static const char *const what[] = {
        [STMT_CREATE_VIEW] = "CREATE MATERIALIZED VIEW", [STMT_CREATE_TABLE] = "CREATE TABLE",
        [STMT_CREATE_LOOKUP] = "CREATE LOOKUP TABLE",
        [STMT_INSERT] = "INSERT",
    };
    err_at(err, E_UNSUPPORTED, st->pos, "%s is not supported", what[st->kind]);
    if (st->kind == STMT_CREATE_VIEW) err_hint(err, "use CREATE STREAM");
    if (st->kind == STMT_INSERT) err_hint(err, "push rows with lam_push, or read them with a FILE or GENERATOR source");
    return E_UNSUPPORTED;
}

static enum status run(struct lam_session *s, const struct stmt *st, const char *text, struct ArrowArrayStream *out, struct err *err)
{
    switch (st->kind) {
    case STMT_CREATE_SOURCE:
    case STMT_CREATE_STREAM:
    case STMT_CREATE_SINK: return create(s, st, text, err);
    case STMT_DROP: return drop(s, st, err);
    case STMT_ALTER: return alter_statement(s, st, err);
    case STMT_SET: return set_statement(s, st, err);
    case STMT_SELECT: return result_select(s, st->select, false, out, err);
    case STMT_SUBSCRIBE: return result_subscribe(s, st, out, err);
    case STMT_CHECKPOINT: return checkpoint(s, out, err);
    case STMT_EXPLAIN:
        if (st->analyze && st->name) return result_analyze(s, st, out, err);
        if (st->analyze && st->explained->kind == STMT_SELECT) return result_select(s, st->explained->select, true, out, err);
        return show_statement(s, st, text, out, err);
    case STMT_SHOW:
    case STMT_DESCRIBE: return show_statement(s, st, text, out, err);
    case STMT_BEGIN:
        if (s->in_transaction) return ST_OK;
        TRY(session_apply(s, err));
        s->in_transaction = true;
        return ST_OK;
    case STMT_COMMIT:
        s->in_transaction = s->failed = false;
        return session_apply(s, err);
    case STMT_ROLLBACK:
        s->in_transaction = s->failed = false;
        session_undo(s);
        return ST_OK;
    case STMT_LOAD: return registry_load(s->db, st, err);
    default: return unsupported(st, err);
    }
}

enum status session_statement(struct lam_session *s, const char *text, size_t n, struct ArrowArrayStream *out, struct err *err)
{
    AUTO(arena_free) struct arena *arena = arena_new();
    const char *sql;
    size_t sql_n, at = 0;
    text_clear(&s->statement);
    text_put(&s->statement, text, n);
    TRY(sql_substitute(arena, text, n, lookup, s, &sql, &sql_n, err));
    text_clear(&s->statement);
    text_put(&s->statement, sql, sql_n);
    struct stmt *st;
    TRY(sql_parse(arena, s->statement.p, s->statement.n, &at, &st, err));
    if (s->failed && st->kind != STMT_COMMIT && st->kind != STMT_ROLLBACK) {
        err_at(err, E_MISUSE, st->pos, "a statement of this transaction has failed, so it takes no more");
        err_hint(err, "end it with ROLLBACK");
        return E_MISUSE;
    }
    runtime_sweep(s->db->runtime);
    lock_take(&s->db->lock);
    catalog_sweep(s->db);
    lock_give(&s->db->lock);
    TRY(registry_find_missing(s->db, st->explained ? st->explained : st, err));
    return run(s, st, s->statement.p, out, err);
}

/* ---- scripts ------------------------------------------------------------------------------------------------------------ */

static bool only_blanks(const char *text, size_t n)
{
    struct arena *a = arena_new();
    struct stmt *st;
    size_t at = 0;
    struct err err;
    bool blank = sql_parse(a, text, n, &at, &st, &err) == ST_DONE;
    arena_free(a);
    return blank;
}

static void release(struct ArrowArrayStream *out)
{
    if (out && out->release) out->release(out);
    if (out) memset(out, 0, sizeof *out);
}

/* From the text that ran to the text that was given: people look there. What a variable holds stays unsaid. */
static void place_error(struct lam_session *s, const char *text, size_t n, struct err *err)
{
    if (err->pos != NO_POS && err->code != E_VAR) err->pos = (uint32_t)sql_substitute_origin(text, n, lookup, s, err->pos);
    sql_hide_values(text, n, lookup, s, err);
    text_clear(&s->statement);
    text_put(&s->statement, text, n);
}

int lam_execute_next(struct lam_session *s, const char *sql, size_t *at, struct ArrowArrayStream *out)
{
    if (db_forked(s->db)) return LAM_MISUSE;
    if (subscription_inside(s->db)) return subscription_refuse(s);
    struct ArrowArrayStream rows = {0};
    struct err err = {.pos = NO_POS};
    size_t n = strlen(sql), from = *at, to;
    s->err.code = ST_OK;
    atomic_store(&s->cancel, false);
    if (out) memset(out, 0, sizeof *out);
    do {
        if (from >= n) return *at = n, LAM_END;
        to = sql_statement_end(sql, n, from);
        if (!only_blanks(sql + from, to - from)) break;
        from = to;
    } while (true);
    *at = to;
    text_clear(&s->before);
    text_put(&s->before, sql, from);
    lock_take(&s->db->change);
    enum status st = session_statement(s, sql + from, to - from, &rows, &err);
    if (st) {
        session_undo(s);
        s->failed = s->in_transaction;
    }
    lock_give(&s->db->change);
    if (st) {
        if (!err.code) err_set(&err, st, NULL);
        release(&rows);
        place_error(s, sql + from, to - from, &err);
        s->errpos = err.pos == NO_POS ? -1 : (int64_t)(from + err.pos);
        return session_fail(s, &err);
    }
    if (out)
        *out = rows;
    else
        release(&rows);
    return LAM_OK;
}

int lam_apply(struct lam_session *s)
{
    if (db_forked(s->db)) return LAM_MISUSE;
    if (subscription_inside(s->db)) return subscription_refuse(s);
    struct err err = {.pos = NO_POS};
    s->err.code = ST_OK;
    if (s->in_transaction) return LAM_OK;
    lock_take(&s->db->change);
    enum status st = session_apply(s, &err);
    if (st) session_undo(s);
    lock_give(&s->db->change);
    if (!st) return LAM_OK;
    s->errpos = -1;
    return session_fail(s, &err);
}

int lam_execute(struct lam_session *s, const char *sql, struct ArrowArrayStream *out)
{
    struct ArrowArrayStream last = {0};
    size_t at = 0;
    int r;
    for (;;) {
        struct ArrowArrayStream rows = {0};
        r = lam_execute_next(s, sql, &at, &rows);
        if (r) break;
        if (!rows.release) continue;
        release(&last);
        last = rows;
    }
    if (r == LAM_END) r = lam_apply(s);
    if (r || !out)
        release(&last);
    if (out) *out = last;
    return r;
}

bool lam_has_secret(const char *sql) { return sql_has_secret(sql, strlen(sql)); }

bool lam_incomplete(const char *sql) { return sql_incomplete(sql, strlen(sql)); }

void lam_cancel(struct lam_session *s)
{
    if (db_forked(s->db)) return;
    atomic_store(&s->cancel, true);
    lock_take(&s->db->lock);
    result_cancel(s);
    lock_give(&s->db->lock);
    runtime_poke(s->db->runtime);
}
