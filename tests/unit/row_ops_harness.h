/* One operator alone: rows in and out as text, a line each, values parted by '|', NULL as \N, "-" before rows of weight -1.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ROW_OPS_HARNESS_H
#define TESTS_ROW_OPS_HARNESS_H

#include "unit.h"

#include "base/text.h"
#include "expr/cell.h"
#include "operator/op.h"

struct rig {
    struct arena *arena;
    struct account account;
    struct pool *pool;
    struct plan *plan;
    struct op *op;
    struct text out;       /* what came out of MAIN */
    uint32_t batches;      /* ... in how many batches */
    int64_t end_wm;        /* the output watermark after the last call */
    enum status status;    /* of the last call */
    uint32_t batch_rows;
    enum on_error on_error;
};

static inline struct schema *rig_schema(struct arena *a, const char *columns)
{
    char *text = arena_strdup(a, columns), *save;
    struct schema *s = schema_new(a, 32);
    s->n = 0;
    for (char *item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        char name[64], type[64];
        assert_int_equal(sscanf(item, " %63s %63[^\n]", name, type), 2);
        s->fields[s->n].name = arena_strdup(a, name);
        assert_true(type_from_word(type, &s->fields[s->n].type));
        if (!strcmp(name, "ts")) s->time_column = s->n;
        s->n++;
    }
    return s;
}

/* A source of the given columns, for a plan's input. */
static inline struct plan *rig_leaf(struct arena *a, const char *columns)
{
    struct plan *p = arena_alloc(a, sizeof *p);
    p->kind = PLAN_SOURCE;
    p->schema = rig_schema(a, columns);
    p->bounded = true;
    return p;
}

static inline void rig_open(struct rig *r)
{
    const struct operator_class *c = operator_of(r->plan->kind);
    struct op *op = mem_zalloc(c->size);
    op->class = c;
    op->ctx.plan = r->plan;
    op->ctx.pool = r->pool;
    op->ctx.state = state_new(&r->account, 7);
    op->ctx.seed = 7;
    op->ctx.workers = 1;
    op->ctx.on_error = r->on_error;
    op->ctx.batch_rows = r->batch_rows;
    op->ctx.nports = r->plan->nin;
    for (int i = 0; i < OP_PORTS; i++) op->ctx.wm[i] = TS_MIN;
    op->ctx.wm_out = TS_MIN;
    enum status st = c->open(op);
    if (st) fail_msg("%s", op->ctx.err.text);
    ok(c->start(op));
    r->op = op;
}

static inline void rig_shut(struct rig *r)
{
    r->op->class->close(r->op);
    state_free(r->op->ctx.state);
    mem_free(r->op);
    r->op = NULL;
}

static inline void rig_init(struct rig *r)
{
    *r = (struct rig){.arena = arena_new(), .batch_rows = 1024};
    account_init(&r->account, NULL, 0);
    r->pool = pool_new(NULL);
    r->plan = arena_alloc(r->arena, sizeof *r->plan);
    r->plan->limit = r->plan->offset = -1;
}

static inline void rig_done(struct rig *r)
{
    if (r->op) rig_shut(r);
    assert_int_equal(r->account.used, 0);
    text_done(&r->out);
    pool_close(r->pool);
    arena_free(r->arena);
}

/* Saves the state, closes, and goes on with a fresh instance. */
static inline void rig_restart(struct rig *r)
{
    struct text image = {0};
    struct op_ctx old = r->op->ctx;
    state_save(r->op->ctx.state, &image);
    rig_shut(r);
    rig_open(r);
    memcpy(r->op->ctx.wm, old.wm, sizeof old.wm);
    memcpy(r->op->ctx.ended, old.ended, sizeof old.ended);
    struct err err;
    enum status st = state_load(r->op->ctx.state, image.p, image.n, 0, KEY_GROUPS, &err);
    if (st) fail_msg("%s", err.text);
    text_done(&image);
}

static inline void rig_collect(struct rig *r)
{
    const struct schema *s = r->plan->schema;
    struct rows *rows = &r->op->ctx.out[OUT_MAIN];
    if (!rows->b) return;
    assert_true(rows->n > 0 && rows->n <= BATCH_ROWS_MAX);
    assert_true(rows->sel || rows->n == rows->b->rows);
    r->batches++;
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t at = rows_at(rows, i);
        if (rows->b->weight && rows->b->weight[at] < 0) text_putc(&r->out, '-');
        for (int c = 0; c < s->n; c++) {
            const struct column *col = &rows->b->cols[c];
            if (c) text_putc(&r->out, '|');
            if (column_null(col, at))
                text_puts(&r->out, "\\N");
            else
                cell_put(s->fields[c].type, (char *)col->data + type_width(s->fields[c].type) * at, &r->out);
        }
        text_putc(&r->out, '\n');
    }
    batch_unref(rows->b);
    *rows = (struct rows){0};
}

/* Takes outputs and calls `more` until the operator has no more. */
static inline enum status rig_drain(struct rig *r, enum status st)
{
    for (;;) {
        rig_collect(r);
        if (st != ST_MORE) break;
        st = r->op->class->more(r->op);
    }
    r->end_wm = r->op->ctx.wm_out;
    return r->status = st;
}

static inline struct batch *rig_batch(struct rig *r, const struct schema *s, const char *lines)
{
    uint32_t cap = 1;
    for (const char *p = lines; *p; p++) cap += *p == '\n';
    struct batch *b = batch_for(r->pool, s, cap);
    int8_t *weight = batch_alloc(b, cap);
    char *copy = arena_strdup(r->arena, lines), *line;
    for (char *rest = copy; (line = strsep(&rest, "\n")) && *line; b->rows++) {
        weight[b->rows] = 1;
        if (line[0] == '-' && line[1] == ' ') weight[b->rows] = -1, line += 2, b->weight = weight;
        for (int c = 0; c < s->n; c++) {
            char *cell = strsep(&line, "|");
            assert_non_null(cell);
            struct value v = {.type = s->fields[c].type, .is_null = true};
            void *data = (char *)b->cols[c].data + type_width(v.type) * b->rows;
            if (!strcmp(cell, "\\N"))
                batch_put(b, s, c, b->rows, cap, &v);
            else
                ok(cell_parse(v.type, cell, strlen(cell), data, NULL));
        }
    }
    return b;
}

static inline enum status rig_give(struct rig *r, int port, const struct rows *rows)
{
    return rig_drain(r, r->op->class->batch(r->op, port, rows));
}

static inline enum status rig_push(struct rig *r, int port, const char *lines)
{
    struct batch *b = rig_batch(r, r->plan->in[port].node->schema, lines);
    struct rows rows = rows_all(b);
    enum status st = rig_give(r, port, &rows);
    batch_unref(b);
    return st;
}

static inline enum status rig_watermark(struct rig *r, int port, int64_t wm)
{
    struct op_ctx *c = &r->op->ctx;
    c->wm[port] = wm;
    c->ended[port] = wm == TS_MAX;
    c->wm_out = TS_MAX;
    for (int i = 0; i < c->nports; i++)
        if (c->wm[i] < c->wm_out) c->wm_out = c->wm[i];
    return rig_drain(r, r->op->class->watermark(r->op, port));
}

/* Asserts what has come out since the last time. */
static inline void rig_expect(struct rig *r, const char *lines)
{
    assert_string_equal(text_cstr(&r->out), lines);
    text_clear(&r->out);
    r->batches = 0;
}

/* expressions, shortly */
static inline struct expr *rig_col(struct rig *r, const struct schema *s, const char *name)
{
    int c = schema_find(s, name);
    assert_true(c >= 0);
    return expr_column(r->arena, c, s->fields[c].type, NO_POS);
}
static inline struct expr *rig_int(struct rig *r, int64_t i)
{
    return expr_const(r->arena, (struct value){.type = TYPE(T_INT64), .i = i}, NO_POS);
}
static inline struct expr *rig_call(struct rig *r, const char *name, struct expr *x, struct expr *y)
{
    struct expr *args[2] = {x, y}, *out;
    struct err err;
    if (expr_call(r->arena, name, args, y ? 2 : 1, NO_POS, &out, &err)) fail_msg("%s", err.text);
    return out;
}
static inline struct expr **rig_list(struct rig *r, int n, ...)
{
    struct expr **list = arena_alloc(r->arena, sizeof *list * (size_t)n);
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i < n; i++) list[i] = va_arg(ap, struct expr *);
    va_end(ap);
    return list;
}
static inline void rig_inputs(struct rig *r, enum plan_kind kind, int n, ...)
{
    r->plan->kind = kind;
    r->plan->nin = n;
    r->plan->in = arena_alloc(r->arena, sizeof *r->plan->in * (size_t)n);
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i < n; i++) r->plan->in[i].node = rig_leaf(r->arena, va_arg(ap, const char *));
    va_end(ap);
    r->plan->schema = r->plan->in[0].node->schema;
}

#endif
