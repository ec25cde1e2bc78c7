/* Replays of recorded input: JSON lines {"source": S, "row": {...}} and {"source": S, "watermark": MS}, pushed in that
 * order. Rows of one source that follow each other go in together; before another source's turn the graph is drained, so
 * order between sources holds at any number of workers. SPDX-License-Identifier: Apache-2.0 */
#include "db/db_int.h"

#include <stdio.h>
#include <stdlib.h>

struct span {
    const char *p;
    size_t n;
};

static const char *blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    return p;
}

/* The end of the JSON value at p (strings, nesting), or NULL; that it is one the decoder checks. */
static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;
    for (bool quoted = false; p < end; p++) {
        if (quoted) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                quoted = false;
        } else if (*p == '"') {
            quoted = true;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0) return p;
            depth--;
        } else if (*p == ',' && depth == 0) {
            return p;
        }
    }
    return depth ? NULL : p;
}

struct line {
    struct span source, row, watermark;
};

static bool read_line(const char *p, const char *end, struct line *out)
{
    memset(out, 0, sizeof *out);
    p = blanks(p, end);
    if (p == end || *p++ != '{') return false;
    for (;;) {
        p = blanks(p, end);
        if (p < end && *p == '}') return out->source.n > 2;
        const char *key = p;
        if (p == end || *p++ != '"') return false;
        while (p < end && *p != '"') p++;
        if (p == end) return false;
        size_t nkey = (size_t)(++p - key);
        p = blanks(p, end);
        if (p == end || *p++ != ':') return false;
        p = blanks(p, end);
        const char *v = p;
        if (!(p = skip_value(p, end))) return false;
        struct span value = {v, (size_t)(p - v)};
        if (nkey == 8 && !memcmp(key, "\"source\"", 8)) out->source = value;
        if (nkey == 5 && !memcmp(key, "\"row\"", 5)) out->row = value;
        if (nkey == 11 && !memcmp(key, "\"watermark\"", 11)) out->watermark = value;
        if (p < end && *p == ',') p++;
    }
}

struct replay {
    struct lam_db *db;
    const struct object *source; /* whose rows are collected */
    struct text rows;
    struct pool *pool;
};

static enum status push_rows(struct replay *r, struct err *err)
{
    if (!r->rows.n) return ST_OK;
    const struct format_info *json = registry_decoder(r->db, "json");
    struct options *none;
    const struct option_spec *tables[] = {json->options};
    AUTO(arena_free) struct arena *a = arena_new();
    TRY(options_read(a, "the json format", tables, 1, NULL, 0, &none, err));
    AUTO(decoder_free) struct decoder *d = NULL;
    TRY(decoder_new(json->class, r->source->schema, none, ON_ERROR_FAIL, 64 << 20, 0, NULL, 0, &d, err));
    size_t n = r->rows.n;
    char *pad = text_room(&r->rows, FORMAT_PADDING);
    memset(pad, 0, FORMAT_PADDING);
    decoder_feed(d, r->rows.p, n, true);
    for (;;) {
        struct batch *b = NULL;
        enum status st = decoder_next(d, r->pool, r->db->batch_rows, &b, err);
        if (st == ST_DONE || st == ST_WAIT) break;
        TRY(st);
        st = runtime_push(r->db->runtime, r->source->id, &b, 1, -1, err);
        if (st) batch_unref(b);
        if (st && st != E_NO_READER) return st;
    }
    text_clear(&r->rows);
    return ST_OK;
}

static enum status turn_to(struct replay *r, const struct span *name, struct err *err)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)name->n - 2, name->p + 1);
    if (r->source && !strcmp(r->source->name, text)) return ST_OK;
    TRY(push_rows(r, err));
    if (r->source) TRY(runtime_drain(r->db->runtime, -1, err));
    lock_take(&r->db->lock);
    r->source = catalog_find(r->db, text);
    lock_give(&r->db->lock);
    if (!r->source || r->source->kind != OBJECT_SOURCE) return err_set(err, E_TABLE, "no source \"%s\"", text);
    return ST_OK;
}

static enum status replay_line(struct replay *r, const char *p, const char *end, size_t number, struct err *err)
{
    struct line l;
    if (blanks(p, end) == end) return ST_OK;
    if (!read_line(p, end, &l) || (!l.row.n && !l.watermark.n))
        return err_set(err, E_DECODE, "line %zu of the replay is not {\"source\": ..., \"row\": {...}} or {\"source\": ..., \"watermark\": ms}", number);
    TRY(turn_to(r, &l.source, err));
    if (l.row.n) {
        text_put(&r->rows, l.row.p, l.row.n);
        text_putc(&r->rows, '\n');
        return r->rows.n < 1 << 20 ? ST_OK : push_rows(r, err);
    }
    TRY(push_rows(r, err));
    int64_t ms = strtoll(l.watermark.p, NULL, 10);
    enum status st = runtime_push_watermark(r->db->runtime, r->source->id, ms * 1000, err);
    return st == E_NO_READER ? ST_OK : st;
}

static enum status read_all(struct env *env, const char *path, struct text *out, struct err *err)
{
    struct file *f;
    TRY(env_open(env, path, FILE_READ, &f, err));
    enum status st;
    for (size_t got = 1; got;) {
        char *to = text_room(out, 1 << 16);
        st = file_read(f, to, 1 << 16, &got, err);
        if (st) break;
        out->n += got;
    }
    file_close(f, NULL);
    return st;
}

static enum status end_all(struct lam_db *db, struct err *err)
{
    for (int i = 0;; i++) {
        lock_take(&db->lock);
        const char *name = catalog_name(db, i);
        const struct object *o = name ? catalog_find(db, name) : NULL;
        lock_give(&db->lock);
        if (!o) return ST_OK;
        if (o->kind != OBJECT_SOURCE) continue;
        enum status st = runtime_push_end(db->runtime, o->id, err);
        if (st && st != E_NO_READER) return st;
    }
}

static enum status replay(struct lam_session *s, const char *path, struct err *err)
{
    if (!s->db->cfg.replay) return err_set(err, E_MISUSE, "the database was not opened for a replay");
    TRY(session_apply(s, err));
    struct text all = {0};
    struct replay r = {.db = s->db, .pool = pool_new(NULL)};
    enum status st = read_all(s->db->env, path, &all, err);
    size_t number = 1;
    const char *p = all.p, *end = all.p + all.n;
    for (; !st && p < end; number++) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol) eol = end;
        st = replay_line(&r, p, eol, number, err);
        p = eol + 1;
    }
    if (!st) st = push_rows(&r, err);
    if (!st) st = runtime_drain(s->db->runtime, -1, err);
    text_done(&all);
    text_done(&r.rows);
    pool_close(r.pool);
    return st ? st : end_all(s->db, err);
}

int lam_replay(struct lam_session *s, const char *path)
{
    if (db_forked(s->db)) return LAM_MISUSE;
    if (subscription_inside(s->db)) return subscription_refuse(s);
    struct err err = {.pos = NO_POS};
    s->err.code = ST_OK;
    enum status st = replay(s, path, &err);
    if (!st) return LAM_OK;
    s->errpos = -1;
    text_clear(&s->statement);
    text_clear(&s->before);
    return session_fail(s, &err);
}
