/* An outside sink class as one of ours. SPDX-License-Identifier: Apache-2.0 */
#include "connector/outside.h"

struct outside_sink {
    struct sink sink;
    struct outside_io o;
    const struct lam_sink_class *class;
    struct ArrowArray array;
    int64_t memo[SINK_MEMO / 8]; /* when nobody keeps one */
    _Alignas(16) char self[];
};

struct outside_class {
    struct sink_class class;
    struct lam_sink_class outside;
};

static struct outside_sink *of(struct sink *s)
{
    return container_of(s, struct outside_sink, sink);
}

static const struct lam_sink_class *class_of(const struct sink_class *c)
{
    return &container_of(c, struct outside_class, class)->outside;
}

static const int nothing[] = {0};
static const int may_wait[] = {LAM_IO_WAIT, LAM_IO_RETRY, 0};
static const int flush_results[] = {LAM_IO_WAIT, LAM_IO_RETRY, LAM_IO_POISON, 0};
static const int write_results[] = {LAM_IO_WAIT, LAM_IO_RETRY, LAM_IO_POISON, LAM_IO_CLOSED, 0};

/* Called again after WAIT. */
static enum status open(struct sink *s, uint64_t incarnation, uint64_t *marker, bool *fresh, struct err *err)
{
    struct outside_sink *x = of(s);
    x->class = class_of(s->class);
    x->o.whole = x->class->whole;
    if (!x->o.pool) x->o.pool = pool_new(s->ctx.account);
    if (!x->o.is_open) outside_open(&x->o, x->class->name, s->class->metadata, &s->ctx, &s->wake, x->self);
    x->o.io.memo = s->ctx.memo ? s->ctx.memo : x->memo;
    *marker = 0;
    *fresh = true;
    int result = x->class->open(&x->o.io, incarnation, marker, fresh, outside_err(err));
    return outside_result(&x->o, "open", result, may_wait, err);
}

static enum status write_bytes(struct sink *s, const char *p, size_t n, size_t *accepted, struct err *err)
{
    struct outside_sink *x = of(s);
    *accepted = 0;
    int result = x->class->write_bytes(&x->o.io, p, n, accepted, outside_err(err));
    if (*accepted <= n) return outside_result(&x->o, "write_bytes", result, write_results, err);
    *accepted = 0;
    return err_set(err, E_EXEC, "write_bytes of the connector %s accepted more than it was offered", x->class->name);
}

static void hide(struct outside_sink *x)
{
    if (x->array.release) x->array.release(&x->array);
    x->o.rows = NULL;
}

static enum status show(struct outside_sink *x, const struct batch *b, struct err *err)
{
    if (x->o.rows == b) return ST_OK;
    hide(x);
    TRY(cdata_export(x->o.pool, (struct batch *)b, x->sink.ctx.schema, 0, &x->array, err));
    x->o.rows = (struct batch *)b; /* `array` keeps it */
    return ST_OK;
}

/* What the class did with the rows of b in [from, end). */
static enum status took(struct outside_sink *x, const char *call, int result, const struct batch *b, uint32_t from,
                        uint32_t end, int64_t n, uint32_t *accepted, struct err *err)
{
    if (n < 0 || n > end - from)
        return err_set(err, E_EXEC, "%s of the connector %s accepted more than it was offered", call, x->class->name);
    *accepted = (uint32_t)n;
    if (from + *accepted == b->rows) hide(x);
    return outside_result(&x->o, call, result, write_results, err);
}

static enum status write_rows(struct sink *s, const struct batch *b, uint32_t from, uint32_t *accepted, struct err *err)
{
    struct outside_sink *x = of(s);
    *accepted = 0;
    TRY(show(x, b, err));
    struct lam_rows rows = {.size = sizeof rows, .array = &x->array, .from = from, .weight = b->weight};
    int64_t n = 0;
    int result = x->class->write_columns(&x->o.io, &rows, &n, outside_err(err));
    return took(x, "write_columns", result, b, from, b->rows, n, accepted, err);
}

static enum status write_records(struct sink *s, const struct values *v, const struct batch *b, uint32_t from,
                                 uint32_t *accepted, struct err *err)
{
    struct outside_sink *x = of(s);
    uint32_t skip = from - v->first, end = v->first + v->n;
    *accepted = 0;
    TRY(show(x, b, err));
    struct lam_rows rows = {.size = sizeof rows, .array = &x->array, .from = from, .weight = b->weight};
    struct lam_values values = {.size = sizeof values,
                                .n = v->n - skip,
                                .bytes = v->text.p ? v->text.p : "",
                                .offsets = v->offsets + skip,
                                .none = v->has_none ? v->none + skip : NULL,
                                .whole = v->whole};
    int64_t n = 0;
    int result = x->class->write_records(&x->o.io, &values, &rows, &n, outside_err(err));
    return took(x, "write_records", result, b, from, end, n, accepted, err);
}

static bool unmarked(const struct sink_class *c, const struct options *o)
{
    const struct lam_sink_class *class = class_of(c);
    return class->unmarked && class->unmarked(&outside_host, (const struct lam_options *)o);
}

static const int *may_poison(const struct outside_sink *x)
{
    return x->class->poisoned ? flush_results : may_wait;
}

static enum status flush(struct sink *s, struct err *err)
{
    struct outside_sink *x = of(s);
    if (!x->class->flush) return ST_OK;
    return outside_result(&x->o, "flush", x->class->flush(&x->o.io, outside_err(err)), may_poison(x), err);
}

static enum status commit(struct sink *s, uint64_t epoch, struct err *err)
{
    struct outside_sink *x = of(s);
    return outside_result(&x->o, "commit", x->class->commit(&x->o.io, epoch, outside_err(err)), may_poison(x), err);
}

/* What is no row of those accepted is found by the caller. */
static uint64_t poisoned(struct sink *s)
{
    struct outside_sink *x = of(s);
    int64_t row = x->class->poisoned(&x->o.io);
    return row < 0 ? UINT64_MAX : (uint64_t)row;
}

static enum status abort_epoch(struct sink *s, struct err *err)
{
    struct outside_sink *x = of(s);
    if (!x->class->abort) return ST_OK;
    return outside_result(&x->o, "abort", x->class->abort(&x->o.io, outside_err(err)), nothing, err);
}

static int wait(struct sink *s, struct pollfd *fds, int max, int64_t *wake_us)
{
    struct outside_sink *x = of(s);
    *wake_us = INT64_MAX;
    int n = x->o.is_open && x->class->wait ? x->class->wait(&x->o.io, fds, max, wake_us) : 0;
    return n < 0 ? 0 : n > max ? max : n;
}

static enum status serve(struct sink *s, struct err *err)
{
    static const int may_retry[] = {LAM_IO_RETRY, 0};
    struct outside_sink *x = of(s);
    return outside_result(&x->o, "serve", x->class->serve(&x->o.io, outside_err(err)), may_retry, err);
}

/* Who cancels sees to it that the sink is not being closed; one that is not open yet is stopped by its task. */
static void cancel(struct sink *s)
{
    struct outside_sink *x = of(s);
    if (x->o.is_open && x->class->cancel) x->class->cancel(&x->o.io);
}

static enum status close(struct sink *s, bool complete, struct err *err)
{
    struct outside_sink *x = of(s);
    enum status st = ST_OK;
    hide(x);
    if (x->o.is_open)
        st = outside_result(&x->o, "close", x->class->close(&x->o.io, complete, outside_err(err)), nothing, err);
    if (x->o.pool) pool_close(TAKE(x->o.pool));
    outside_close(&x->o);
    return st;
}

/* ---- classes ------------------------------------------------------------------------------------------------------
 */

_Static_assert((int)LAM_AT_MOST_ONCE == (int)AT_MOST_ONCE && (int)LAM_AT_LEAST_ONCE == (int)AT_LEAST_ONCE,
               "guarantees");
_Static_assert((int)LAM_EXACTLY_ONCE == (int)EXACTLY_ONCE, "guarantees");
_Static_assert(LAM_MEMO == SINK_MEMO, "memos");

static enum status class_fits(const char *what, const struct lam_sink_class *c, struct err *err)
{
    TRY(outside_names_fit(what, c->name, c->aliases, c->sentence, err));
    const char *lacks = !c->open                                                ? "open"
                        : !c->close                                             ? "close"
                        : c->payload == LAM_BYTES && !c->write_bytes            ? "write_bytes"
                        : c->payload == LAM_COLUMNS && !c->write_columns        ? "write_columns"
                        : c->payload == LAM_RECORDS && !c->write_records        ? "write_records"
                        : c->guarantee == LAM_EXACTLY_ONCE && !c->commit        ? "commit, though it is exactly once"
                        : c->blocking && !c->cancel                             ? "cancel, though it is blocking"
                        : c->poisoned && !c->cancel                             ? "cancel, though it has poisoned"
                        : c->poisoned && c->payload == LAM_BYTES                ? "rows, of which poisoned could tell one"
                        : (unsigned)c->payload > LAM_RECORDS                    ? "a payload"
                        : (unsigned)c->guarantee > LAM_EXACTLY_ONCE             ? "a guarantee"
                        : c->flush_us < 0 || c->instance_size > (size_t)1 << 30 ? "a sensible flush_us or instance_size"
                                                                                : NULL;
    return lacks ? err_set(err, E_MODULE, "%s: the sink class %s lacks %s", what, c->name, lacks) : ST_OK;
}

enum status outside_sink(struct arena *a, const struct module *m, const struct lam_sink_class *from,
                         const struct sink_class **out, struct err *err)
{
    struct outside_class *x = arena_alloc(a, sizeof *x);
    struct lam_sink_class *c = &x->outside;
    const char *what = arena_printf(a, "the module %s", m->name);
    if (from->size < sizeof from->size || from->size > 1 << 16)
        return err_set(err, E_MODULE, "%s: the size of a sink class is wrong", what);
    memcpy(c, from, from->size < sizeof *c ? from->size : sizeof *c);
    TRY(class_fits(what, c, err));
    const struct option_spec *options;
    TRY(outside_options(a, what, c->options, c->n_options, c->option_size, &options, err));
    const struct metadata *metadata;
    TRY(outside_metadata(a, what, c->name, c->metadata, c->n_metadata, c->metadata_size, &metadata, err));
    c->name = arena_strdup(a, c->name);
    x->class = (struct sink_class){
        .size = sizeof x->class,
        .name = c->name,
        .aliases = outside_names(a, c->aliases),
        .sentence = arena_strdup(a, c->sentence),
        .module = m,
        .instance_size = sizeof(struct outside_sink) + c->instance_size,
        .payload = (enum payload_kind)c->payload,
        .options = options,
        .metadata = metadata,
        .whole = c->whole,
        .unmarked = unmarked,
        .guarantee = (enum guarantee)c->guarantee,
        .blocking = c->blocking,
        .changelog = c->changelog,
        .flush_us = c->flush_us,
        .default_format = c->default_format ? arena_strdup(a, c->default_format) : NULL,
        .guess_format = source_no_guess,
        .open = open,
        .write_bytes = c->payload == LAM_BYTES ? write_bytes : sink_not_bytes,
        .write_rows = c->payload == LAM_COLUMNS ? write_rows : sink_not_rows,
        .write_records = c->payload == LAM_RECORDS ? write_records : NULL,
        .flush = flush,
        .commit = c->commit ? commit : sink_no_commit,
        .abort = abort_epoch,
        .wait = wait,
        .serve = c->serve ? serve : NULL,
        .poisoned = c->poisoned ? poisoned : NULL,
        .cancel = cancel,
        .close = close,
    };
    *out = &x->class;
    return ST_OK;
}
