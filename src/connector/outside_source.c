/* An outside source class as one of ours.
 *
 * Columns: an array may be longer than a batch, so a position between two batches of one array is the position before
 * the array and how many of its rows to skip; the class promises that the same rows follow a position, however they are
 * cut. SPDX-License-Identifier: Apache-2.0 */
#include "connector/outside.h"

#include "format/format.h"

#define SKIP_MAX (1 << 24)

struct outside_split {
    struct outside_room room;
    struct outside_records records;
    struct ArrowArray array;
    struct ArrowSchema schema;
    struct cdata *rows;  /* what is left of array */
    uint32_t done, skip; /* rows of it that were given; rows of what follows that were given before */
    struct lam_position base, after;
};

struct outside_source {
    struct source source;
    struct outside_io o;
    const struct lam_source_class *class;
    struct pool *pool;
    int n, cap;
    struct outside_split **splits; /* each stays where it is: Arrow's arrays in it are pointed to */
    _Alignas(16) char self[];
};

struct outside_class {
    struct source_class class;
    struct lam_source_class outside;
};

static struct outside_source *of(struct source *s)
{
    return container_of(s, struct outside_source, source);
}

static const struct lam_source_class *class_of(const struct source_class *c)
{
    return &container_of(c, struct outside_class, class)->outside;
}

static const int nothing[] = {0};

static bool bounded(const struct source_class *c, const struct options *o)
{
    const struct lam_source_class *class = class_of(c);
    return class->bounded && class->bounded(&outside_host, (const struct lam_options *)o);
}

static void add_split(struct outside_source *x)
{
    if (x->n == x->cap) {
        int cap = x->cap ? 2 * x->cap : 4;
        x->splits = mem_realloc(x->splits, sizeof *x->splits * (size_t)x->n, sizeof *x->splits * (size_t)cap);
        x->cap = cap;
    }
    struct outside_split *p = x->splits[x->n++] = mem_zalloc(sizeof *p);
    p->room = (struct outside_room){.bytes = {.size = sizeof(struct lam_bytes)}, .account = x->source.ctx.account};
    p->records.values.account = x->source.ctx.account;
}

static int splits(struct source *s)
{
    struct outside_source *x = of(s);
    int all = x->class->splits ? x->class->splits(&x->o.io) : 1;
    while (x->n < all) add_split(x);
    return x->n;
}

static enum status open(struct source *s, struct err *err)
{
    struct outside_source *x = of(s);
    x->class = class_of(s->class);
    x->pool = pool_new(s->ctx.account);
    outside_open(&x->o, x->class->name, s->class->metadata, &s->ctx, &s->wake, x->self);
    TRY(outside_result(&x->o, "open", x->class->open(&x->o.io, outside_err(err)), nothing, err));
    return splits(s) ? ST_OK : err_set(err, E_EXEC, "the connector %s has no split", x->class->name);
}

static const char *split_name(struct source *s, int split)
{
    struct outside_source *x = of(s);
    return x->class->split_name ? x->class->split_name(&x->o.io, split) : x->class->name;
}

static int64_t split_size(struct source *s, int split)
{
    struct outside_source *x = of(s);
    return x->class->split_size ? x->class->split_size(&x->o.io, split) : -1;
}

static void drop_rows(struct outside_split *p)
{
    cdata_close(TAKE(p->rows));
    if (p->array.release) p->array.release(&p->array);
    if (p->schema.release) p->schema.release(&p->schema);
    p->done = 0;
}

static enum status place_of(const struct source *s, const struct position *at, struct lam_position *out, uint32_t *skip,
                            struct err *err)
{
    *skip = 0;
    out->offset = at->offset;
    out->n = at->n;
    if (s->class->payload != PAYLOAD_BYTES) {
        struct outside_place place;
        if (at->n != sizeof place)
            return err_set(err, E_READ, "this is no position of the connector %s", s->class->name);
        memcpy(&place, at->extra, sizeof place);
        *skip = place.skip;
        out->n = place.n;
    }
    if (out->n > sizeof out->extra)
        return err_set(err, E_READ, "this is no position of the connector %s", s->class->name);
    memcpy(out->extra, at->extra, sizeof out->extra);
    return ST_OK;
}

static enum status seek(struct source *s, int split, const struct position *at, struct err *err)
{
    struct outside_source *x = of(s);
    struct outside_split *p = x->splits[split];
    struct lam_position place = {0};
    uint32_t skip = 0;
    if (at && !x->class->replayable) {
        err_set(err, E_READ, "the connector %s cannot go back to where it was", x->class->name);
        return E_READ;
    }
    if (at) TRY(place_of(s, at, &place, &skip, err));
    drop_rows(p);
    p->skip = skip;
    p->base = place;
    if (!x->class->seek) return ST_OK;
    return outside_result(&x->o, "seek", x->class->seek(&x->o.io, split, at ? &place : NULL, outside_err(err)), nothing,
                          err);
}

static enum status head(struct source *s, int split, char *p, size_t n, size_t *got, struct err *err)
{
    struct outside_source *x = of(s);
    *got = 0;
    if (!x->class->head) return ST_OK;
    TRY(outside_result(&x->o, "head", x->class->head(&x->o.io, split, p, n, got, outside_err(err)), nothing, err));
    if (*got > n)
        return err_set(err, E_EXEC, "head of the connector %s gave more bytes than there was room for", x->class->name);
    return ST_OK;
}

static const int poll_results[] = {LAM_IO_DONE, LAM_IO_WAIT, 0};

static enum status poll_bytes(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err)
{
    struct outside_source *x = of(s);
    struct outside_room *r = &x->splits[split]->room;
    r->bytes.n = 0;
    int result = x->class->poll_bytes(&x->o.io, split, now_us, &r->bytes, outside_err(err));
    enum status st = outside_result(&x->o, "poll_bytes", result, poll_results, err);
    if (st && st != ST_DONE && st != ST_WAIT) return st;
    if (!r->bytes.n) return st ? st : ST_WAIT;
    out->p = r->p + PAYLOAD_HEADROOM;
    out->n = r->bytes.n;
    memset(out->p + out->n, 0, FORMAT_PADDING);
    return st == ST_DONE ? st : ST_OK;
}

static enum status take_array(struct outside_source *x, struct outside_split *p, int split, int64_t now_us,
                              struct err *err)
{
    struct lam_columns out = {.size = sizeof out};
    int result = x->class->poll_columns(&x->o.io, split, now_us, &out, outside_err(err));
    enum status st = outside_result(&x->o, "poll_columns", result, poll_results, err);
    p->array = out.array;
    p->schema = out.schema;
    p->after = out.after;
    if (!st && (!p->array.release || p->array.length >= SKIP_MAX || p->after.n > sizeof p->after.extra))
        st =
            err_set(err, E_EXEC, "poll_columns of the connector %s gave no array, one that is too long, or no position",
                    x->class->name);
    const struct ArrowSchema *schema = p->schema.release ? &p->schema : &x->o.schema;
    if (!st) st = cdata_open(x->pool, &p->array, schema, x->source.ctx.schema, &p->rows, err);
    if (st) drop_rows(p);
    return st;
}

static void tell_place(const struct outside_split *p, struct position *out)
{
    bool whole = p->done == p->array.length;
    const struct lam_position *from = whole ? &p->after : &p->base;
    outside_place_put(from, whole ? 0 : p->done, out);
}

/* The next rows that were not given before; some may be left over from an earlier poll. */
static enum status poll_columns(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err)
{
    struct outside_source *x = of(s);
    struct outside_split *p = x->splits[split];
    for (;;) {
        if (!p->rows) TRY(take_array(x, p, split, now_us, err));
        AUTO(batch_unref) struct batch *b = NULL;
        bool again = p->skip;
        enum status st = cdata_read(p->rows, p->skip && p->skip < BATCH_ROWS ? p->skip : BATCH_ROWS, &b, err);
        if (st == ST_DONE) { /* an array without rows */
            p->base = p->after;
            drop_rows(p);
            return ST_WAIT;
        }
        TRY(st);
        p->done += b->rows;
        if (again) p->skip -= b->rows;
        tell_place(p, &out->after);
        if (p->done == p->array.length) {
            p->base = p->after;
            drop_rows(p);
        }
        if (again) continue;
        out->b = TAKE(b);
        return ST_OK;
    }
}

/* ---- records ------------------------------------------------------------------------------------------------------
 */

/* All n rows of an array as one batch. */
static enum status read_all(struct outside_source *x, const struct ArrowArray *array, const struct ArrowSchema *schema,
                            uint32_t n, struct batch **out, struct err *err)
{
    const struct schema *columns = x->o.columns.mine;
    AUTO(cdata_close) struct cdata *rows = NULL;
    AUTO(batch_unref) struct batch *b = NULL;
    if (array->length != n)
        return err_set(err, E_EXEC, "poll_records of the connector %s gave %lld rows of metadata for %u records",
                       x->class->name, (long long)array->length, n);
    TRY(cdata_open(x->pool, array, schema, columns, &rows, err));
    TRY(cdata_read(rows, n, &b, err));
    if (b->rows == n) return *out = TAKE(b), ST_OK;
    AUTO(batch_unref) struct batch *all = batch_for(x->pool, columns, n);
    uint32_t numbers[BATCH_ROWS_MAX];
    for (uint32_t i = 0; i < n; i++) numbers[i] = i;
    while (b) {
        batch_scatter(all, n, columns, b, numbers, b->rows);
        batch_unref(TAKE(b));
        if (all->rows < n) TRY(cdata_read(rows, n - all->rows, &b, err));
    }
    *out = TAKE(all);
    return ST_OK;
}

static enum status take_metadata(struct outside_source *x, struct lam_records *r, struct batch **out, struct err *err)
{
    const struct ArrowSchema *schema = r->metadata_schema.release ? &r->metadata_schema : &x->o.metadata;
    enum status st = ST_OK;
    if (r->metadata.release && r->n && x->o.columns.mine->n)
        st = read_all(x, &r->metadata, schema, (uint32_t)r->n, out, err);
    if (r->metadata.release) r->metadata.release(&r->metadata);
    if (r->metadata_schema.release) r->metadata_schema.release(&r->metadata_schema);
    return st;
}

static enum status poll_records(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err)
{
    struct outside_source *x = of(s);
    struct outside_records *r = &x->splits[split]->records;
    outside_records_begin(r, out->max);
    int result = x->class->poll_records(&x->o.io, split, now_us, &r->given, outside_err(err));
    enum status st = outside_result(&x->o, "poll_records", result, poll_results, err);
    if (st == ST_WAIT && r->given.n) st = ST_OK;
    bool good = !st || st == ST_DONE;
    enum status taken = take_metadata(x, &r->given, &out->b, good ? err : NULL);
    if (good) {
        if (r->wrong)
            st = err_set(err, E_EXEC, "poll_records of the connector %s gave %s", x->class->name, r->wrong);
        else if (taken)
            st = taken;
    }
    if (st && st != ST_DONE) return batch_unref(TAKE(out->b)), st;
    if (!r->given.n) return st ? st : ST_WAIT;
    out->p = r->values.p ? r->values.p + PAYLOAD_HEADROOM : NULL;
    out->n = r->values.bytes.n;
    if (r->values.p) memset(out->p + out->n, 0, FORMAT_PADDING);
    out->records = r->records;
    out->places = r->places;
    out->nrecords = (uint32_t)r->given.n;
    return st;
}

static int wait(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us)
{
    struct outside_source *x = of(s);
    *wake_us = INT64_MAX;
    int n = x->class->wait ? x->class->wait(&x->o.io, split, fds, max, wake_us) : 0;
    return n < 0 ? 0 : n > max ? max : n;
}

static void serve(struct source *s)
{
    struct outside_source *x = of(s);
    x->class->serve(&x->o.io);
}

static void mark(struct source *s, int split, struct position *p)
{
    struct outside_source *x = of(s);
    struct lam_position place = {.offset = p->offset};
    if (!x->class->mark) return;
    x->class->mark(&x->o.io, split, &place);
    p->n = place.n < sizeof place.extra ? place.n : sizeof place.extra;
    memcpy(p->extra, place.extra, sizeof place.extra);
}

static void ack(struct source *s, uint64_t epoch, int split, const struct position *at)
{
    struct outside_source *x = of(s);
    struct lam_position place;
    uint32_t skip;
    if (!place_of(s, at, &place, &skip, NULL)) x->class->ack(&x->o.io, epoch, split, &place);
}

static bool caught_up(struct source *s, int split)
{
    struct outside_source *x = of(s);
    return x->class->caught_up(&x->o.io, split);
}

static void cancel(struct source *s)
{
    struct outside_source *x = of(s);
    if (x->o.is_open && x->class->cancel) x->class->cancel(&x->o.io);
}

static void close(struct source *s)
{
    struct outside_source *x = of(s);
    if (!x->o.is_open) return;
    x->class->close(&x->o.io);
    for (int i = 0; i < x->n; i++) {
        drop_rows(x->splits[i]);
        outside_room_done(&x->splits[i]->room);
        outside_records_done(&x->splits[i]->records);
        mem_free(x->splits[i]);
    }
    mem_free(TAKE(x->splits));
    x->n = x->cap = 0;
    pool_close(TAKE(x->pool));
    outside_close(&x->o);
}

/* ---- classes ------------------------------------------------------------------------------------------------------
 */

_Static_assert((int)LAM_BYTES == (int)PAYLOAD_BYTES && (int)LAM_COLUMNS == (int)PAYLOAD_COLUMNS, "payloads");
_Static_assert((int)LAM_RECORDS == (int)PAYLOAD_RECORDS, "payloads");

static enum status class_fits(const char *what, const struct lam_source_class *c, struct err *err)
{
    TRY(outside_names_fit(what, c->name, c->aliases, c->sentence, err));
    const char *lacks = !c->open                                        ? "open"
                        : !c->close                                     ? "close"
                        : c->payload == LAM_BYTES && !c->poll_bytes     ? "poll_bytes"
                        : c->payload == LAM_COLUMNS && !c->poll_columns ? "poll_columns"
                        : c->payload == LAM_RECORDS && !c->poll_records ? "poll_records"
                        : c->splits && !c->split_name                   ? "split_name, though it has splits"
                        : c->replayable && !c->seek                     ? "seek, though it is replayable"
                        : c->blocking && !c->cancel                     ? "cancel, though it is blocking"
                        : (unsigned)c->payload > LAM_RECORDS            ? "a payload"
                        : c->instance_size > (size_t)1 << 30            ? "a sensible instance_size"
                                                                        : NULL;
    return lacks ? err_set(err, E_MODULE, "%s: the source class %s lacks %s", what, c->name, lacks) : ST_OK;
}

static enum status (*const polls[])(struct source *s, int split, int64_t now_us, struct payload *out,
                                    struct err *err) = {
    [LAM_BYTES] = poll_bytes, [LAM_COLUMNS] = poll_columns, [LAM_RECORDS] = poll_records};

enum status outside_source(struct arena *a, const struct module *m, const struct lam_source_class *from,
                           const struct source_class **out, struct err *err)
{
    struct outside_class *x = arena_alloc(a, sizeof *x);
    struct lam_source_class *c = &x->outside;
    const char *what = arena_printf(a, "the module %s", m->name);
    if (from->size < sizeof from->size || from->size > 1 << 16)
        return err_set(err, E_MODULE, "%s: the size of a source class is wrong", what);
    memcpy(c, from, from->size < sizeof *c ? from->size : sizeof *c);
    TRY(class_fits(what, c, err));
    const struct option_spec *options;
    TRY(outside_options(a, what, c->options, c->n_options, c->option_size, &options, err));
    const struct metadata *metadata;
    TRY(outside_metadata(a, what, c->name, c->metadata, c->n_metadata, c->metadata_size, &metadata, err));
    c->name = arena_strdup(a, c->name);
    x->class = (struct source_class){
        .size = sizeof x->class,
        .name = c->name,
        .aliases = outside_names(a, c->aliases),
        .sentence = arena_strdup(a, c->sentence),
        .module = m,
        .instance_size = sizeof(struct outside_source) + c->instance_size,
        .payload = (enum payload_kind)c->payload,
        .options = options,
        .metadata = metadata,
        .replayable = c->replayable,
        .blocking = c->blocking,
        .bounded = bounded,
        .default_format = c->default_format ? arena_strdup(a, c->default_format) : NULL,
        .guess_format = source_no_guess,
        .open = open,
        .splits = splits,
        .split_name = split_name,
        .split_size = split_size,
        .seek = seek,
        .head = head,
        .poll = polls[c->payload],
        .wait = wait,
        .mark = c->mark ? mark : source_no_mark,
        .ack = c->ack ? ack : source_no_ack,
        .caught_up = c->caught_up ? caught_up : source_always_caught_up,
        .cancel = cancel,
        .close = close,
        .serve = c->serve ? serve : NULL,
    };
    *out = &x->class;
    return ST_OK;
}
