/* Operators. One class per kind of plan node, one instance per (node, worker), stepped by that worker only. An operator
 * reads no clock, knows no thread, edge or checkpoint; it keeps what must survive in declared state.
 *
 * A callback writes at most one batch per output into ctx.out and returns
 *   ST_OK    the input is taken in full and nothing is left to give
 *   ST_MORE  there is more: the runtime delivers the outputs, then calls `more`, until ST_OK, before it hands over the next
 *            row, watermark or barrier (the operator keeps its cursor in its own struct)
 *   ST_DONE  finished for ever (LIMIT): the runtime delivers the outputs, sends END and closes the inputs
 *   E_NOMEM  refused before anything changed: the same batch is offered again later
 *   E_*      the component fails with op->err
 * A batch is taken in two halves: evaluate and state_reserve (may fail, nothing has changed yet), then apply (cannot fail).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef OPERATOR_OP_H
#define OPERATOR_OP_H

#include "base/note.h"
#include "format/format.h"
#include "plan/plan.h"
#include "state/state.h"

#define OP_PORTS 16 /* inputs of one operator at most */
enum { OUT_MAIN, OUT_LATE, OUT_ERROR, OP_OUTS };

/* What the runtime and an instance share: plain data. */
struct op_ctx {
    const struct plan *plan;
    struct pool *pool;
    struct state *state;
    uint64_t seed;            /* of key_hash */
    int worker, workers;
    enum on_error on_error;   /* what becomes of a row that cannot be evaluated */
    uint32_t batch_rows;      /* outputs have at most this many rows */
    int nports;
    int64_t wm[OP_PORTS];     /* watermark per port (us), kept by the runtime; TS_MAX once it ended with FLUSH */
    bool ended[OP_PORTS];
    /* written by callbacks */
    struct rows out[OP_OUTS]; /* b NULL: nothing. The runtime takes the reference; sel stays the operator's */
    int64_t wm_out;           /* the output watermark: no later row will be behind it. Monotone. The runtime sets it to the
                                 minimum of wm[] before each call of `watermark`; an operator that holds rows back lowers it */
    /* counters, read by others for display */
    _Atomic uint64_t late, errors;
    _Atomic int64_t state_bytes;   /* the runtime's, after each call */
    _Atomic int64_t window_end;    /* of the next window to close; TS_MAX: none is open */
    _Atomic int64_t window_needs;  /* the watermark that closes it */
    struct err err;           /* why the last callback failed */
    struct note row_error;    /* the latest row error, for SHOW */
    struct note late_example; /* the latest late row's time and window, for SHOW */
};

struct op {
    const struct operator_class *class;
    struct op_ctx ctx;
};

struct operator_class {
    const char *name;
    size_t size; /* of the struct that begins with struct op */
    /* ctx is set but for out. Declares state; nothing is loaded yet. */
    enum status (*open)(struct op *op);
    /* State, if there was any, has been loaded. Called once before the first row. */
    enum status (*start)(struct op *op);
    /* r stays valid until this returns ST_OK, through all ST_MORE. The operator takes its own reference of what it keeps
     * or passes on. */
    enum status (*batch)(struct op *op, int port, const struct rows *r);
    /* wm[port] has grown, or a port ended (ended[port]). */
    enum status (*watermark)(struct op *op, int port);
    enum status (*more)(struct op *op);
    void (*close)(struct op *op);
};
/* Named defaults. */
enum status op_no_start(struct op *op);
enum status op_no_watermark(struct op *op, int port);
enum status op_no_more(struct op *op);
void op_no_close(struct op *op);

/* The class that runs a kind of node; PLAN_SOURCE, PLAN_VALUES and PLAN_STREAM have none. */
const struct operator_class *operator_of(enum plan_kind kind);

/* Applies on_error to row errors: FAIL returns the first as op->ctx.err; else counts them and, under SKIP, removes the
 * marked rows from *rows, writing the rest to sel (room for rows->n). */
enum status op_row_errors(struct op *op, const struct row_errors *e, struct rows *rows, uint32_t *sel);
/* An output of all rows of b; takes the reference. Sets the time range by `time` column when it has one. */
void op_emit(struct op *op, int out, struct batch *b);
/* A row scratch of at least n entries, grown as needed: for selections and slots. */
void *op_scratch(void **p, size_t *cap, size_t bytes);

#endif
