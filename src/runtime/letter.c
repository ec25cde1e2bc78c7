/* Dead letters: what a sink cannot take and a source cannot read, as rows of a declared stream. Such a stream is a pushed source
 * inside; whoever posts never waits for it. A registry of its own says which run: a task that posts may not take the runtime's
 * lock, under which control waits for tasks. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

enum { IS_NOTHING = -1, IS_ERROR = -2, IS_NAME = -3, IS_CLOCK = -4, IS_RAW = -5, IS_POSITION = -6 };

struct letters {
    const struct object *from;
    const struct schema *schema; /* of the stream */
    struct env *env;
    int column[]; /* for each of the stream's: the row's, or one of the above */
};

static int origin(const struct object *o, const char *name)
{
    bool sink = o->kind == OBJECT_SINK;
    int c = sink ? schema_find(o->schema, name) : -1;
    if (c >= 0) return c;
    if (!strcmp(name, "error")) return IS_ERROR;
    if (!strcmp(name, "at")) return IS_CLOCK;
    if (!strcmp(name, sink ? "sink" : "source")) return IS_NAME;
    if (!sink && !strcmp(name, "raw")) return IS_RAW;
    if (!sink && !strcmp(name, "position")) return IS_POSITION;
    return IS_NOTHING;
}

struct letters *letters_new(const struct object *from, struct env *env)
{
    if (!from || !from->dead_letter) return NULL;
    const struct schema *s = from->dead_letter->schema;
    struct letters *l = mem_zalloc(sizeof *l + sizeof *l->column * (size_t)s->n);
    l->from = from;
    l->schema = s;
    l->env = env;
    for (int i = 0; i < s->n; i++) l->column[i] = origin(from, s->fields[i].name);
    return l;
}

void letters_free(struct letters *l) { mem_free(l); }

static struct value text_value(struct batch *to, const char *p, size_t n)
{
    return (struct value){.type = TYPE(T_VARCHAR), .s = batch_str(to, p, (uint32_t)n)};
}

/* What letters are made of: a row, or a record. */
struct matter {
    const struct batch *b;
    uint32_t row;
    const char *raw;
    size_t n;
    int64_t position;
    const char *error;
};

static struct value cell(const struct letters *l, int i, struct batch *to, const struct matter *m)
{
    switch (l->column[i]) {
    case IS_NOTHING: return (struct value){.type = l->schema->fields[i].type, .is_null = true};
    case IS_ERROR: return text_value(to, m->error, strlen(m->error));
    case IS_NAME: return text_value(to, l->from->name, strlen(l->from->name));
    case IS_CLOCK: return (struct value){.type = TYPE(T_TIMESTAMP), .i = env_wall_us(l->env)};
    case IS_RAW:
        if (!m->raw) return (struct value){.type = TYPE(T_VARCHAR), .is_null = true};
        return text_value(to, m->raw, m->n);
    case IS_POSITION: return (struct value){.type = TYPE(T_INT64), .i = m->position};
    default: return batch_value(m->b, l->from->schema, l->column[i], m->row);
    }
}

static void put(const struct letters *l, struct batch *to, uint32_t cap, const struct matter *m)
{
    for (int i = 0; i < l->schema->n; i++) {
        struct value v = cell(l, i, to, m);
        batch_put(to, l->schema, i, to->rows, cap, &v);
    }
    to->rows++;
}

struct batch *letter_batch(const struct letters *l, struct pool *pool, uint32_t n) { return batch_for(pool, l->schema, n); }

struct batch *letter_of_row(const struct letters *l, struct pool *pool, const struct batch *b, uint32_t row, const struct err *why)
{
    struct batch *to = letter_batch(l, pool, 1);
    put(l, to, 1, &(struct matter){.b = b, .row = row, .error = why->text});
    return to;
}

void letter_add_record(const struct letters *l, struct batch *to, uint32_t cap, const char *raw, size_t n, int64_t position,
                       const char *error)
{
    put(l, to, cap, &(struct matter){.raw = raw, .n = n, .position = position, .error = error});
}

/* ---- the streams that take them ------------------------------------------------------------------------------------- */

void letterbox_open(struct reader *r)
{
    if (!r->object || !r->object->declared_only) return;
    struct runtime *rt = r->rt;
    lock_take(&rt->letter_lock);
    r->next_box = rt->letterboxes;
    rt->letterboxes = r;
    lock_give(&rt->letter_lock);
}

/* Before its task is done: nobody pins it any more when it is. */
void letterbox_close(struct reader *r)
{
    struct runtime *rt = r->rt;
    lock_take(&rt->letter_lock);
    struct reader **at = &rt->letterboxes;
    while (*at && *at != r) at = &(*at)->next_box;
    if (*at) *at = r->next_box;
    lock_give(&rt->letter_lock);
}

/* CREATE OR REPLACE makes another object of that name, with the same columns. */
static bool is_same(const struct object *a, const struct object *b) { return a && b && !strcmp(a->name, b->name); }

static struct reader *pin(struct runtime *rt, const struct object *stream)
{
    lock_take(&rt->letter_lock);
    struct reader *r = rt->letterboxes;
    while (r && !is_same(r->object, stream)) r = r->next_box;
    if (r) reader_pin(r);
    lock_give(&rt->letter_lock);
    return r;
}

enum status letters_post(struct runtime *rt, const struct letters *l, struct batch *b)
{
    struct reader *r = pin(rt, l->from->dead_letter);
    enum status st = r ? reader_offer(r, b) : E_NO_READER;
    if (r) reader_unpin(r);
    if (st == E_NO_READER) batch_unref(b);
    return st;
}

static bool is_letterbox(const struct run_reader *r) { return r->reader->object && r->reader->object->declared_only; }

static bool is_fed(struct runtime *rt, const struct object *stream)
{
    for (struct run_sink *s = rt->sinks; s; s = s->next) {
        bool through = deliver_done(s->deliver) || deliver_blocked(s->deliver);
        if (is_same(deliver_object(s->deliver)->dead_letter, stream) && !through) return true;
    }
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (r->reader->object && is_same(r->reader->object->dead_letter, stream) && !reader_done(r->reader)) return true;
    return false;
}

/* When all other input has ended, declared streams end whose feeders are through. */
void letters_end(struct runtime *rt)
{
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (!is_letterbox(r) && !reader_done(r->reader)) return;
    for (struct run_reader *r = rt->readers; r; r = r->next)
        if (is_letterbox(r) && !reader_done(r->reader) && !is_fed(rt, r->reader->object)) reader_push_end(r->reader);
}
