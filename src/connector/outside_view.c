/* Views: rows of a sink that pass a filter, as values of a format, for connectors whose clients ask for them. A view is of one
 * instance, and is read while a write of that is under way. SPDX-License-Identifier: Apache-2.0 */
#include "connector/outside.h"
#include "expr/expr.h"
#include "plan/plan.h"

#include <stdio.h>

struct lam_view {
    struct outside_io *o;
    struct arena *arena;
    struct eval *filter;     /* NULL: all rows pass */
    struct encoder *encoder;
    bool own;   /* it has a format of its own */
    bool whole; /* one value for many rows */
    struct values values;
    struct lam_values shown;  /* those, for the class, */
    struct lam_passed passed; /* and all that a reading gives */
    uint32_t sel[BATCH_ROWS_MAX];
    uint32_t failed;  /* rows, in the last reading */
    bool spent;
    struct err first; /* of them */
    char why[sizeof((struct err *)0)->text + 16];
};

/* "[LAM-1100] no column ... (character 5); hint" on one line. */
static void tell(const struct err *err, char *to, size_t n)
{
    char at[40] = "";
    if (err->pos != NO_POS) snprintf(at, sizeof at, " (at character %u)", err->pos + 1);
    snprintf(to, n, "[LAM-%04d] %s%s%s%s", err->code, err->text, at, err->hint[0] ? "; " : "", err->hint);
}

static enum status open_filter(struct lam_view *v, const char *filter, struct err *err)
{
    struct expr *e;
    TRY(plan_condition(v->arena, v->o->ctx->schema, filter, &e, err));
    return eval_new(&e, 1, v->o->ctx->schema, v->o->pool, &v->filter, err);
}

/* NULL: the sink's, with its options. */
static enum status open_format(struct lam_view *v, const char *format, struct err *err)
{
    const struct connector_ctx *ctx = v->o->ctx;
    const struct encoder_class *c = format ? encoder_find(format) : ctx->encoder;
    struct options *options = (struct options *)(uintptr_t)ctx->options;
    if (!c) return err_set(err, E_FORMAT, "there is no format '%.60s'", format ? format : "");
    if (format) TRY(options_read(v->arena, "the view", &c->options, 1, NULL, 0, &options, err));
    v->whole = v->o->whole && c->ends;
    v->own = format || v->whole; /* one value of all rows is no use for some of them */
    return (v->whole ? encoder_new : encoder_new_values)(c, v->o->columns.value, ctx->changelog, options, &v->encoder, err);
}

struct lam_view *outside_view_new(struct lam_io *io, const char *filter, const char *format, char *why, size_t n)
{
    struct err err = {.pos = NO_POS};
    struct lam_view *v = mem_zalloc(sizeof *v);
    v->o = container_of(io, struct outside_io, io);
    v->arena = arena_new();
    account_force(v->o->ctx->account, (int64_t)sizeof *v);
    enum status st = filter ? open_filter(v, filter, &err) : ST_OK;
    if (!st) st = open_format(v, format, &err);
    if (!st) return v;
    tell(&err, why, n);
    outside_view_free(v);
    return NULL;
}

void outside_view_free(struct lam_view *v)
{
    if (!v) return;
    eval_free(v->filter);
    encoder_free(v->encoder);
    values_done(&v->values);
    account_release(v->o->ctx->account, (int64_t)sizeof *v);
    arena_free(v->arena);
    mem_free(v);
}

/* Runs of rows are encoded where they lie, so that a change is seen beside the one it belongs to. */
static void encode_each(struct lam_view *v, struct batch *b, uint32_t n)
{
    for (uint32_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && v->sel[i + run] == v->sel[i] + run;) run++;
        v->encoder->class->put_values(v->encoder, b, v->sel[i], run, &v->values);
    }
}

static void encode_whole(struct lam_view *v, struct batch *b, uint32_t n)
{
    const struct rows some = {b, v->sel, n};
    AUTO(batch_unref) struct batch *dense = rows_dense(v->o->pool, v->o->columns.value, &some);
    v->values.whole = true;
    v->values.n = n;
    encoder_put_whole(v->encoder, dense, 0, n, &v->values.text);
    v->values.offsets[1] = (int64_t)v->values.text.n;
}

/* Rows that the format cannot hold are left out, and counted with those that the filter could not judge. */
static uint32_t drop_unfit(struct lam_view *v, const struct batch *b, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; v->encoder->class->fits && i < n; i++) {
        struct err why = {.pos = NO_POS};
        if (encoder_fits(v->encoder, b, v->sel[i], 1, &why))
            v->sel[kept++] = v->sel[i];
        else if (!v->failed++)
            v->first = why;
    }
    return v->encoder->class->fits ? kept : n;
}

/* How many rows are left. */
static uint32_t encode(struct lam_view *v, struct batch *b, uint32_t from, uint32_t n)
{
    AUTO(batch_unref) struct batch *seen = divided_values(&v->o->columns, v->o->pool, b);
    values_clear(&v->values, from, BATCH_ROWS_MAX);
    n = drop_unfit(v, seen, n);
    if (n) (v->whole ? encode_whole : encode_each)(v, seen, n);
    return n;
}

/* What passes of k rows from `from` on, behind the first `kept` in sel; how many are there then. */
static uint32_t pass_some(struct lam_view *v, struct batch *b, uint32_t from, uint32_t k, uint32_t kept)
{
    struct row_errors errors;
    for (uint32_t i = 0; i < k; i++) v->sel[kept + i] = from + i;
    const struct rows some = {b, v->sel + kept, k};
    eval_filter(v->filter, &some, v->sel + kept, &k, &errors);
    if (errors.count && !v->failed) v->first = errors.first;
    if (errors.count && errors.first.code == E_PROGRAM_LIMIT) v->first = errors.first, v->spent = true;
    v->failed += errors.count;
    return kept + k;
}

/* What passes of the n rows from `from` on, in sel. They are looked at a few at first and then ever more, so that a filter that is too
 * costly is found early. */
static uint32_t pass(struct lam_view *v, struct batch *b, uint32_t from, uint32_t n, int64_t max_us)
{
    struct env *env = v->o->ctx->env;
    int64_t until = v->filter && max_us ? env_now_us(env) + max_us : INT64_MAX;
    uint32_t kept = 0;
    v->failed = 0;
    v->spent = false;
    for (uint32_t i = 0; !v->filter && i < n; i++) v->sel[kept++] = from + i;
    for (uint32_t at = 0, k = 16; v->filter && at < n && !v->spent; at += k, k *= 2) {
        if (k > n - at) k = n - at;
        kept = pass_some(v, b, from + at, k, kept);
        if (v->spent || until == INT64_MAX || env_now_us(env) <= until) continue;
        v->spent = true;
        v->failed += !v->failed;
        err_set(&v->first, E_PROGRAM_LIMIT, "the filter takes longer than %lld ms for some rows", (long long)max_us / 1000);
    }
    return kept;
}

static const struct lam_passed *read(struct lam_view *v, struct batch *b, uint32_t from, uint32_t n, bool encodes, int64_t max_us)
{
    uint32_t kept = pass(v, b, from, n, max_us);
    if (encodes) kept = encode(v, b, from, kept);
    for (uint32_t i = 0; i < kept; i++) v->sel[i] -= from;
    if (v->failed) tell(&v->first, v->why, sizeof v->why);
    v->shown = (struct lam_values){.size = sizeof v->shown,
                                   .n = kept,
                                   .bytes = v->values.text.p ? v->values.text.p : "",
                                   .offsets = v->values.offsets,
                                   .none = v->values.has_none ? v->values.none : NULL,
                                   .whole = v->values.whole};
    v->passed = (struct lam_passed){.size = sizeof v->passed,
                                    .n = kept,
                                    .which = v->sel,
                                    .values = encodes ? &v->shown : NULL,
                                    .failed = v->failed,
                                    .why = v->failed ? v->why : NULL,
                                    .spent = v->spent};
    return &v->passed;
}

const struct lam_passed *outside_view_read(struct lam_view *v, const struct lam_rows *rows, int64_t n, int64_t max_us)
{
    return read(v, v->o->rows, (uint32_t)rows->from, (uint32_t)n, v->own, max_us);
}

/* ---- rows that are kept */

#define KEPT_ROWS 256 /* fewer would leave most of a block of text unused */

struct lam_kept {
    struct batch *b; /* under construction until it is full */
};

int64_t outside_rows_keep(struct lam_io *io, struct lam_kept **k, const struct lam_rows *rows, int64_t from, int64_t n, int64_t *bytes)
{
    struct outside_io *o = container_of(io, struct outside_io, io);
    uint32_t sel[KEPT_ROWS], most;
    if (!*k) {
        *k = mem_zalloc(sizeof **k);
        (*k)->b = batch_for(o->pool, o->ctx->schema, KEPT_ROWS);
    }
    struct batch *b = (*k)->b;
    most = KEPT_ROWS - b->rows;
    if (n > most) n = most;
    for (uint32_t i = 0; i < n; i++) sel[i] = (uint32_t)(rows->from + from) + i;
    if (n) batch_scatter(b, KEPT_ROWS, o->ctx->schema, o->rows, sel, (uint32_t)n);
    *bytes = (int64_t)sizeof **k + b->bytes_held;
    return n;
}

const struct lam_passed *outside_kept_read(struct lam_view *v, const struct lam_kept *k, int64_t max_us)
{
    return read(v, k->b, 0, k->b->rows, true, max_us);
}

void outside_kept_free(struct lam_kept *k)
{
    if (!k) return;
    batch_unref(k->b);
    mem_free(k);
}
