/* What all operators share: named defaults, the fate of failed rows, outputs, scratch. SPDX-License-Identifier:
 * Apache-2.0 */
#include "operator/op.h"

enum status op_no_start(struct op *op)
{
    (void)op;
    return ST_OK;
}
enum status op_no_watermark(struct op *op, int port)
{
    (void)op, (void)port;
    return ST_OK;
}
enum status op_no_more(struct op *op)
{
    (void)op;
    return ST_OK;
}
void op_no_close(struct op *op)
{
    (void)op;
}

enum status op_row_errors(struct op *op, const struct row_errors *e, struct rows *rows, uint32_t *sel)
{
    struct op_ctx *c = &op->ctx;
    if (!e->count) return ST_OK;
    if (c->on_error == ON_ERROR_FAIL) {
        c->err = e->first;
        return e->first.code;
    }
    note_write(&c->row_error, e->first.text);
    atomic_store_explicit(&c->errors, atomic_load_explicit(&c->errors, memory_order_relaxed) + e->count,
                          memory_order_relaxed);
    if (c->on_error == ON_ERROR_NULL) return ST_OK;
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t row = rows_at(rows, i);
        if (!bit_get(e->mask, row)) sel[n++] = row;
    }
    if (n == rows->n) return ST_OK;
    rows->sel = sel;
    rows->n = n;
    return ST_OK;
}

/* The range of the time column's values, in microseconds; a window's end stands for the instant before it. */
static void set_time_range(struct batch *b, const struct plan *p)
{
    int column = p->schema->time_column;
    if (column < 0 || !b->rows || type_width(p->schema->fields[column].type) != 8) return;
    const struct column *c = &b->cols[column];
    const int64_t *v = c->data;
    int64_t low = TS_MAX, high = TS_MIN, unit = p->is_ms && p->is_ms[column] ? 1000 : 1;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (column_null(c, i)) continue;
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    if (low > high || __builtin_mul_overflow(low, unit, &low) || __builtin_mul_overflow(high, unit, &high)) return;
    int64_t before = p->roles && p->roles[column] == ROLE_WINDOW_END ? unit : 0;
    if (low < TS_MIN + before) return;
    b->ts_min = low - before;
    b->ts_max = high - before;
}

void op_emit(struct op *op, int out, struct batch *b)
{
    if (b->ts_min > b->ts_max) set_time_range(b, op->ctx.plan);
    op->ctx.out[out] = rows_all(b);
}

void *op_scratch(void **p, size_t *cap, size_t bytes)
{
    if (*cap >= bytes && *p) return *p;
    size_t now = *cap ? *cap : 1024;
    while (now < bytes) now *= 2;
    mem_free(*p);
    *p = mem_aligned(64, now);
    *cap = now;
    return *p;
}
