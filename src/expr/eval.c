/* The evaluator: expressions compiled to nodes over registers.
 *
 * A register is a buffer for one column. Registers are dealt out at compile time and used again once their reader
 * has run, so that a deep expression stays in the cache. A node runs in a scope: a set of rows, dense positions
 * 0..n-1 of which position i is row rows_at(i) of the batch. The lazy parts (arms of CASE, right sides of AND, OR and
 * COALESCE that may fail) run in scopes of their own over the rows that need them, and their results are scattered
 * back. A node that several readers share is computed once per scope.
 *
 * Memory of registers comes from the pool at first use and is kept, so a warm evaluator allocates only what its
 * results need. SPDX-License-Identifier: Apache-2.0 */
#include "expr/cell.h"
#include "expr/logic.h"

#include <stdarg.h>
#include <stdio.h>

struct reg {
    uint8_t width;
    bool busy; /* while compiling */
    void *data;
    uint64_t *valid;
};

struct node {
    const struct expr *e;
    const struct function *function; /* of calls and casts */
    struct node **args;
    struct vec *vecs; /* of the arguments, while it runs */
    int nargs, scope;
    int reg;      /* of the result; -1: a constant */
    int lists[4]; /* of lazy parts: registers of positions and rows */
    bool held;    /* its register is never used for another */
    bool eager;   /* CASE, COALESCE: every part is computed for every row */
    struct keep keep;
    struct node *next; /* of ev->keepers or ev->texts */
    void *dst;         /* where the result goes instead of the register */
    uint64_t tick;     /* of the scope that `result` is of */
    struct vec result;
    uint64_t null_word;
    _Alignas(16) uint8_t cell[16];
};

/* A scope in use. Ticks are unique, so a result of an earlier batch is never taken for one of this. */
struct scope {
    struct rows rows;
    uint64_t tick;
};

struct eval {
    struct pool *pool;
    struct arena *arena;
    struct node **roots;
    int n;
    struct node **nodes; /* those that may be shared */
    int nnodes, nodes_cap, scopes;
    struct node *keepers; /* whose function keeps something */
    struct node *texts;   /* constants whose long text is not yet in `consts` */
    struct reg *regs;
    int nregs, regs_cap;
    uint32_t cap; /* rows a register holds, a multiple of 64 */
    uint64_t tick;
    struct batch *consts;  /* owns the long texts of constants */
    struct batch *scratch; /* owns the texts of results that are no batch's */
    struct batch *text;    /* where results' texts go now; NULL: not yet made */
    struct row_errors *errors;
    uint64_t *mask;
    uint32_t mask_rows;
    bool has_text; /* some root is a text */
};

/* ---- registers ------------------------------------------------------------------------------------ */

static int reg_take(struct eval *ev, size_t width)
{
    for (int i = 0; i < ev->nregs; i++)
        if (!ev->regs[i].busy && ev->regs[i].width == width) {
            ev->regs[i].busy = true;
            return i;
        }
    if (ev->nregs == ev->regs_cap) {
        int cap = ev->regs_cap ? ev->regs_cap * 2 : 16;
        struct reg *regs = arena_alloc(ev->arena, sizeof *regs * (size_t)cap);
        if (ev->nregs) memcpy(regs, ev->regs, sizeof *regs * (size_t)ev->nregs);
        ev->regs = regs;
        ev->regs_cap = cap;
    }
    ev->regs[ev->nregs] = (struct reg){.width = (uint8_t)width, .busy = true};
    return ev->nregs++;
}

static void *reg_data(struct eval *ev, int i)
{
    struct reg *r = &ev->regs[i];
    if (!r->data) r->data = pool_take(ev->pool, (size_t)r->width * ev->cap);
    return r->data;
}

static uint64_t *reg_valid(struct eval *ev, int i)
{
    struct reg *r = &ev->regs[i];
    if (!r->valid) r->valid = pool_take(ev->pool, ev->cap / 8);
    return r->valid;
}

static void regs_drop(struct eval *ev)
{
    for (int i = 0; i < ev->nregs; i++) {
        pool_give(ev->regs[i].data);
        pool_give(ev->regs[i].valid);
        ev->regs[i].data = ev->regs[i].valid = NULL;
    }
}

/* ---- compiling ------------------------------------------------------------------------------------ */

static void store_const(struct eval *ev, struct node *x)
{
    const struct value *v = &x->e->value;
    x->result = (struct vec){x->cell, NULL, 0};
    if (v->is_null || x->e->type.id == T_NULL) {
        x->result.valid = &x->null_word;
        return;
    }
    cell_store(v, x->cell);
    if (type_is_text(x->e->type) && v->s.n > STR_INLINE) x->next = ev->texts, ev->texts = x;
}

/* Long texts of constants go to a batch, which results pin: they may outlive the expression. Not before the first run,
 * since the pool belongs to the thread that runs. */
static void own_texts(struct eval *ev)
{
    ev->consts = batch_new(ev->pool, 0);
    for (struct node *x = ev->texts; x; x = x->next) {
        struct str s = batch_str(ev->consts, x->e->value.s.p, x->e->value.s.n);
        memcpy(x->cell, &s, sizeof s);
    }
    ev->texts = NULL;
}

static struct node *compile(struct eval *ev, const struct expr *e, int scope);

static struct node *find_node(struct eval *ev, const struct expr *e, int scope)
{
    for (int i = 0; i < ev->nnodes; i++) {
        struct node *x = ev->nodes[i];
        if (x->scope != scope) continue;
        if (expr_same(x->e, e)) return x;
    }
    return NULL;
}

static void remember(struct eval *ev, struct node *x)
{
    if (ev->nnodes == ev->nodes_cap) {
        int cap = ev->nodes_cap ? ev->nodes_cap * 2 : 32;
        struct node **nodes = arena_alloc(ev->arena, sizeof *nodes * (size_t)cap);
        if (ev->nnodes) memcpy(nodes, ev->nodes, sizeof *nodes * (size_t)ev->nnodes);
        ev->nodes = nodes;
        ev->nodes_cap = cap;
    }
    ev->nodes[ev->nnodes++] = x;
}

static void release(struct eval *ev, const struct node *x)
{
    if (x->reg >= 0 && !x->held) ev->regs[x->reg].busy = false;
}

/* What was held within the scope is free again: a scope ends when its result has been taken. */
static void end_scope(struct eval *ev, int scope)
{
    for (int i = 0; i < ev->nnodes; i++)
        if (ev->nodes[i]->scope == scope && ev->nodes[i]->reg >= 0) ev->regs[ev->nodes[i]->reg].busy = false;
}

static bool costly(const struct expr *e)
{
    if (e->kind == EXPR_CASE || (e->function && e->function->flags & FN_COSTLY)) return true;
    for (int i = 0; i < e->nargs; i++)
        if (costly(e->args[i])) return true;
    return false;
}

static bool is_lazy(const struct expr *e)
{
    return e->can_fail || costly(e);
}

/* Registers are dealt out in the order of running; run_case_eager takes ELSE, then the arms from the last to the first. */
static int eager_order(int nargs, int k)
{
    int has_else = nargs & 1, arms = nargs / 2;
    if (has_else && !k) return nargs - 1;
    k -= has_else;
    return 2 * (arms - 1 - k / 2) + k % 2;
}

/* CASE and COALESCE: parts after the first condition in scopes of their own, unless all are cheap and safe. */
static void compile_lazy(struct eval *ev, struct node *x)
{
    const struct expr *e = x->e;
    x->eager = e->nargs <= 9;
    for (int i = e->kind == EXPR_CASE ? 0 : 1; i < e->nargs; i++)
        if (is_lazy(e->args[i])) x->eager = false;
    for (int i = 0; i < 4; i++) x->lists[i] = reg_take(ev, 4);
    x->reg = reg_take(ev, type_width(e->type));
    for (int k = 0; k < e->nargs; k++) {
        int i = x->eager && e->kind == EXPR_CASE ? eager_order(e->nargs, k) : k;
        x->args[i] = compile(ev, e->args[i], i == 0 || x->eager ? x->scope : ++ev->scopes);
        if (i == 0 || x->eager) continue;
        release(ev, x->args[i]);
        end_scope(ev, x->args[i]->scope);
    }
    for (int i = 0; i < e->nargs; i++)
        if (i == 0 || x->eager) release(ev, x->args[i]);
    for (int i = 0; i < 4; i++) ev->regs[x->lists[i]].busy = false;
}

static void compile_logic(struct eval *ev, struct node *x)
{
    x->reg = reg_take(ev, 1);
    for (int i = 0; i < 2; i++) x->lists[i] = reg_take(ev, 4);
    for (int i = 0; i < x->nargs; i++) {
        const struct expr *e = x->e->args[i];
        x->args[i] = compile(ev, e, i && is_lazy(e) ? ++ev->scopes : x->scope);
        release(ev, x->args[i]);
        if (x->args[i]->scope != x->scope) end_scope(ev, x->args[i]->scope);
    }
    for (int i = 0; i < 2; i++) ev->regs[x->lists[i]].busy = false;
}

static void compile_call(struct eval *ev, struct node *x)
{
    for (int i = 0; i < x->nargs; i++) x->args[i] = compile(ev, x->e->args[i], x->scope);
    x->reg = reg_take(ev, type_width(x->e->type));
    for (int i = 0; i < x->nargs; i++) release(ev, x->args[i]);
}

/* How many places of the expressions want what e computes; two are as good as more. */
static int readers(const struct expr *in, const struct expr *e)
{
    int n = 0;
    for (int i = 0; i < in->nargs && n < 2; i++) n += expr_same(in->args[i], e) ? 1 : readers(in->args[i], e);
    return n;
}

static struct node *compile(struct eval *ev, const struct expr *e, int scope)
{
    struct node *x = find_node(ev, e, scope);
    if (x) return x;
    x = arena_alloc(ev->arena, sizeof *x);
    x->e = e;
    x->scope = scope;
    x->reg = -1;
    x->nargs = e->nargs;
    if (e->nargs) {
        x->args = arena_alloc(ev->arena, sizeof *x->args * (size_t)e->nargs);
        x->vecs = arena_alloc(ev->arena, sizeof *x->vecs * (size_t)e->nargs);
    }
    switch (e->kind) {
    case EXPR_CONST: store_const(ev, x); return x;
    case EXPR_COLUMN:
        x->reg = reg_take(ev, type_width(e->type));
        x->held = true;
        remember(ev, x);
        return x;
    case EXPR_AND:
    case EXPR_OR: compile_logic(ev, x); break;
    case EXPR_CASE: compile_lazy(ev, x); break;
    case EXPR_CALL:
    case EXPR_CAST:
        x->function = e->function;
        if (e->function->flags & FN_KEEPS) x->next = ev->keepers, ev->keepers = x;
        if (e->function == &logic_coalesce)
            compile_lazy(ev, x);
        else
            compile_call(ev, x);
        break;
    }
    int n = 0;
    for (int i = 0; i < ev->n && n < 2; i++) n += expr_same(ev->roots[i]->e, e) ? 1 : readers(ev->roots[i]->e, e);
    if (n > 1) {
        x->held = true;
        remember(ev, x);
    }
    return x;
}

enum status eval_new(struct expr *const *exprs, int n, const struct schema *in, struct pool *pool, struct eval **out,
                     struct err *err)
{
    for (int i = 0; i < n; i++)
        if (!type_width(exprs[i]->type)) {
            char name[64];
            return err_at(err, E_UNSUPPORTED, exprs[i]->pos, "values of type %s cannot be computed",
                          type_name(exprs[i]->type, name));
        }
    (void)in;
    struct eval *ev = mem_zalloc(sizeof *ev);
    ev->arena = arena_new();
    ev->pool = pool;
    ev->n = n;
    ev->roots = arena_alloc(ev->arena, sizeof *ev->roots * (size_t)(n ? n : 1));
    struct node *stubs = arena_alloc(ev->arena, sizeof *stubs * (size_t)(n ? n : 1));
    for (int i = 0; i < n; i++) stubs[i].e = exprs[i], ev->roots[i] = &stubs[i]; /* for counting readers */
    struct node **roots = arena_alloc(ev->arena, sizeof *roots * (size_t)(n ? n : 1));
    for (int i = 0; i < n; i++) {
        roots[i] = compile(ev, exprs[i], 0);
        roots[i]->held = true;
        ev->has_text |= type_is_text(exprs[i]->type);
    }
    ev->roots = roots;
    *out = ev;
    return ST_OK;
}

void eval_free(struct eval *ev)
{
    if (!ev) return;
    for (struct node *x = ev->keepers; x; x = x->next)
        if (x->keep.free) x->keep.free(x->keep.p);
    regs_drop(ev);
    pool_give(ev->mask);
    batch_unref(ev->consts);
    batch_unref(ev->scratch);
    arena_free(ev->arena);
    mem_free(ev);
}

/* ---- what kernels call ---------------------------------------------------------------------------- */

void call_null(struct call *c, uint32_t i)
{
    if (!c->valid) {
        memset(c->room, 0xff, bitmap_words(c->n) * 8);
        c->valid = c->room;
    }
    bit_clear(c->valid, i);
}

/* Marks the row; true when the error is the first one to be told. */
static bool mark(struct call *c, uint32_t i)
{
    struct row_errors *errors = c->ev->errors;
    if (c->e->try_ || !errors) return false;
    uint32_t row = rows_at(c->rows, i);
    if (!errors->count) {
        if (c->ev->mask_rows < c->rows->b->rows) {
            pool_give(c->ev->mask);
            c->ev->mask_rows = (c->rows->b->rows + 63) & ~63u;
            c->ev->mask = pool_take(c->ev->pool, c->ev->mask_rows / 8);
        }
        memset(c->ev->mask, 0, bitmap_words(c->rows->b->rows) * 8);
        errors->mask = c->ev->mask;
        errors->row = UINT32_MAX;
    }
    if (!bit_get(errors->mask, row)) {
        bit_set(errors->mask, row);
        errors->count++;
    }
    if (row >= errors->row) return false;
    errors->row = row;
    return true;
}

void call_fail(struct call *c, uint32_t i, enum status code, const char *fmt, ...)
{
    if (mark(c, i)) {
        char text[400];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        err_at(&c->ev->errors->first, code, c->e->pos, "%s", text);
        if (code == E_RANGE) err_hint(&c->ev->errors->first, "cast an operand to a wider type first");
    }
    call_null(c, i);
}

void call_fail_err(struct call *c, uint32_t i, const struct err *err)
{
    if (mark(c, i)) {
        c->ev->errors->first = *err;
        c->ev->errors->first.pos = c->e->pos;
    }
    call_null(c, i);
}

char *call_text(struct call *c, size_t n)
{
    struct eval *ev = c->ev;
    if (!ev->text) ev->text = ev->scratch = batch_new(ev->pool, 0);
    return batch_text(ev->text, n);
}

struct str call_str(struct call *c, const char *p, uint32_t n)
{
    if (n > STR_INLINE) p = memcpy(call_text(c, n), p, n);
    return str_view(p, n);
}

/* ---- running -------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t a, b;
} pair;

#define MOVE(T, TO, FROM)                                                                                              \
    do {                                                                                                               \
        T *to_ = dst;                                                                                                  \
        const T *from_ = src;                                                                                          \
        for (uint32_t i = 0; i < n; i++) to_[TO] = from_[FROM];                                                        \
    } while (0)
#define MOVES(TO, FROM)                                                                                                \
    switch (width) {                                                                                                   \
    case 1: MOVE(uint8_t, TO, FROM); break;                                                                            \
    case 2: MOVE(uint16_t, TO, FROM); break;                                                                           \
    case 4: MOVE(uint32_t, TO, FROM); break;                                                                           \
    case 8: MOVE(uint64_t, TO, FROM); break;                                                                           \
    case 16: MOVE(pair, TO, FROM); break;                                                                              \
    }

static void gather(void *dst, const void *src, size_t width, const uint32_t *idx, uint32_t n)
{
    MOVES(i, idx[i])
}
static void scatter(void *dst, const void *src, size_t width, const uint32_t *idx, uint32_t mask, uint32_t n)
{
    if (mask) {
        MOVES(idx[i], i)
    } else {
        MOVES(idx[i], 0)
    }
}
static void fill(void *dst, const void *src, size_t width, uint32_t n)
{
    MOVES(i, 0)
}

static void gather_bits(uint64_t *dst, const uint64_t *src, const uint32_t *idx, uint32_t n)
{
    for (uint32_t from = 0; from < n; from += 64) {
        uint64_t word = 0;
        uint32_t k = n - from < 64 ? n - from : 64;
        for (uint32_t i = 0; i < k; i++) word |= (uint64_t)bit_get(src, idx[from + i]) << i;
        dst[from / 64] = word;
    }
}

static void *result_data(struct eval *ev, struct node *x)
{
    return x->dst ? x->dst : reg_data(ev, x->reg);
}

static struct vec run(struct eval *ev, struct node *x, const struct scope *s);

static struct vec run_column(struct eval *ev, struct node *x, const struct scope *s)
{
    const struct column *c = &s->rows.b->cols[x->e->column];
    if (x->e->type.id == T_NULL) {
        uint64_t *valid = reg_valid(ev, x->reg);
        memset(valid, 0, bitmap_words(s->rows.n) * 8);
        return (struct vec){result_data(ev, x), valid, UINT32_MAX};
    }
    if (!s->rows.sel) return (struct vec){c->data, c->valid, UINT32_MAX};
    void *to = result_data(ev, x);
    gather(to, c->data, type_width(x->e->type), s->rows.sel, s->rows.n);
    uint64_t *valid = NULL;
    if (c->valid) gather_bits(valid = reg_valid(ev, x->reg), c->valid, s->rows.sel, s->rows.n);
    return (struct vec){to, valid, UINT32_MAX};
}

/* The AND of the arguments' validity; false when a constant NULL makes every row NULL. */
static bool join_validity(const struct vec *args, int nargs, uint32_t n, uint64_t *room, uint64_t **out)
{
    *out = NULL;
    for (int k = 0; k < nargs; k++) {
        if (!args[k].valid) continue;
        if (!args[k].mask) {
            if (!(args[k].valid[0] & 1)) return false;
            continue;
        }
        if (!*out) {
            memcpy(room, args[k].valid, bitmap_words(n) * 8);
            *out = room;
        } else {
            for (size_t w = 0; w < bitmap_words(n); w++) room[w] &= args[k].valid[w];
        }
    }
    return true;
}

static struct vec run_call(struct eval *ev, struct node *x, const struct scope *s)
{
    struct vec *args = x->vecs;
    for (int k = 0; k < x->nargs; k++) args[k] = run(ev, x->args[k], s);
    struct call c = {.ev = ev, .e = x->e, .rows = &s->rows, .n = s->rows.n, .args = args, .keep = &x->keep};
    c.out = result_data(ev, x);
    c.room = reg_valid(ev, x->reg);
    if (!(x->function->flags & FN_LAX) && !join_validity(args, x->nargs, c.n, c.room, &c.valid)) {
        memset(c.room, 0, bitmap_words(c.n) * 8);
        memset(c.out, 0, type_width(x->e->type) * c.n);
        return (struct vec){c.out, c.room, UINT32_MAX};
    }
    x->function->run(&c);
    return (struct vec){c.out, c.valid, UINT32_MAX};
}

/* The rows of s at n of its positions; `rows` are their numbers. */
static struct scope sub_scope(struct eval *ev, const struct scope *s, const uint32_t *rows, uint32_t n)
{
    if (n == s->rows.n) return (struct scope){s->rows, ++ev->tick};
    return (struct scope){{s->rows.b, rows, n}, ++ev->tick};
}

/* positions -> row numbers; the same list when the outer scope is dense. */
static const uint32_t *to_rows(const struct scope *s, const uint32_t *positions, uint32_t n, uint32_t *room)
{
    if (!s->rows.sel) return positions;
    for (uint32_t i = 0; i < n; i++) room[i] = s->rows.sel[positions[i]];
    return room;
}

/* The result of a CASE or COALESCE under construction: every row NULL until something is put there. */
struct partial {
    void *data;
    uint64_t *valid;
    size_t width;
    bool nulls;
};

static void put_at(struct partial *to, const struct vec *v, const uint32_t *positions, uint32_t n)
{
    scatter(to->data, v->data, to->width, positions, v->mask, n);
    for (uint32_t i = 0; i < n; i++)
        if (vec_null(v, i))
            to->nulls = true;
        else
            bit_set(to->valid, positions[i]);
}

/* Positions of `in` where the condition holds go to hit, the others stay (in place). */
static void split(const struct vec *v, uint32_t *in, uint32_t *n, uint32_t *hit, uint32_t *nhit)
{
    const uint8_t *p = v->data;
    uint32_t rest = 0, hits = 0;
    for (uint32_t i = 0; i < *n; i++) {
        uint32_t position = in[i];
        bool yes = p[i & v->mask] && !vec_null(v, i);
        hit[hits] = position;
        in[rest] = position;
        hits += yes, rest += !yes;
    }
    *n = rest, *nhit = hits;
}

static struct vec run_case(struct eval *ev, struct node *x, const struct scope *s)
{
    uint32_t n = s->rows.n, nhit;
    uint32_t *left = reg_data(ev, x->lists[0]), *hit = reg_data(ev, x->lists[1]);
    uint32_t *left_rows = reg_data(ev, x->lists[2]), *hit_rows = reg_data(ev, x->lists[3]);
    struct partial to = {result_data(ev, x), reg_valid(ev, x->reg), type_width(x->e->type), false};
    memset(to.valid, 0, bitmap_words(n) * 8);
    memset(to.data, 0, to.width * n);
    for (uint32_t i = 0; i < n; i++) left[i] = i;
    for (int k = 0; k < x->nargs && n; k += 2) {
        struct scope sub = k == 0 ? *s : sub_scope(ev, s, to_rows(s, left, n, left_rows), n);
        struct vec v = run(ev, x->args[k], &sub);
        if (k + 1 == x->nargs) { /* ELSE */
            put_at(&to, &v, left, n);
            n = 0;
            break;
        }
        split(&v, left, &n, hit, &nhit);
        if (!nhit) continue;
        sub = sub_scope(ev, s, to_rows(s, hit, nhit, hit_rows), nhit);
        v = run(ev, x->args[k + 1], &sub);
        put_at(&to, &v, hit, nhit);
    }
    return (struct vec){to.data, to.nulls || n ? to.valid : NULL, UINT32_MAX};
}

static struct vec run_coalesce(struct eval *ev, struct node *x, const struct scope *s)
{
    struct vec v = run(ev, x->args[0], s);
    uint32_t n = s->rows.n, left_n = 0;
    for (int k = 1; k < x->nargs && x->eager; k++) run(ev, x->args[k], s); /* who shares them counts on it */
    if (!v.valid && (x->args[0]->held || !v.mask)) return v;
    if (!v.valid) /* the argument's register may be another's before the result is read */
        return (struct vec){memcpy(result_data(ev, x), v.data, type_width(x->e->type) * n), NULL, UINT32_MAX};
    uint32_t *left = reg_data(ev, x->lists[0]), *rows = reg_data(ev, x->lists[1]);
    struct partial to = {result_data(ev, x), reg_valid(ev, x->reg), type_width(x->e->type), false};
    memset(to.valid, 0, bitmap_words(n) * 8);
    if (v.mask)
        memcpy(to.data, v.data, to.width * n);
    else
        memset(to.data, 0, to.width * n);
    for (uint32_t i = 0; i < n; i++) {
        left[left_n] = i;
        bool null = vec_null(&v, i);
        left_n += null;
        if (!null) bit_set(to.valid, i);
    }
    for (int k = 1; k < x->nargs && left_n; k++) {
        struct scope sub = sub_scope(ev, s, to_rows(s, left, left_n, rows), left_n);
        v = run(ev, x->args[k], x->eager ? s : &sub);
        uint32_t rest = 0;
        for (uint32_t i = 0; i < left_n; i++) {
            uint32_t at = left[i], from = x->eager ? at : i;
            left[rest] = at;
            bool null = vec_null(&v, from);
            rest += null;
            if (null) continue;
            memcpy((char *)to.data + to.width * at, (const char *)v.data + to.width * (from & v.mask), to.width);
            bit_set(to.valid, at);
        }
        left_n = rest;
    }
    if (left_n && type_is_text(x->e->type))
        for (uint32_t i = 0; i < left_n; i++) memset((char *)to.data + to.width * left[i], 0, to.width);
    return (struct vec){to.data, left_n ? to.valid : NULL, UINT32_MAX};
}

#define BLEND(T)                                                                                                       \
    do {                                                                                                               \
        T *to_ = data;                                                                                                 \
        const T *from_ = v->data;                                                                                      \
        if (v->mask)                                                                                                   \
            for (uint32_t i = 0; i < n; i++) to_[i] = yes[i] ? from_[i] : to_[i];                                      \
        else                                                                                                           \
            for (uint32_t i = 0; i < n; i++) to_[i] = yes[i] ? from_[0] : to_[i];                                      \
    } while (0)

static void blend(void *data, size_t width, const uint8_t *yes, const struct vec *v, uint32_t n)
{
    switch (width) {
    case 1: BLEND(uint8_t); break;
    case 2: BLEND(uint16_t); break;
    case 4: BLEND(uint32_t); break;
    case 8: BLEND(uint64_t); break;
    case 16: BLEND(pair); break;
    }
}

/* Conditions as plain bytes: NULL is not true. */
static void truth(const struct vec *v, uint8_t *out, uint32_t n)
{
    const uint8_t *p = v->data;
    if (!v->valid && v->mask)
        memcpy(out, p, n);
    else
        for (uint32_t i = 0; i < n; i++) out[i] = p[i & v->mask] && !vec_null(v, i);
}

/* All arms for all rows, from the last to the first. */
static struct vec run_case_eager(struct eval *ev, struct node *x, const struct scope *s)
{
    uint32_t n = s->rows.n;
    uint8_t *yes = reg_data(ev, x->lists[0]);
    struct partial to = {result_data(ev, x), reg_valid(ev, x->reg), type_width(x->e->type), false};
    bool has_else = x->nargs & 1;
    struct vec v = {0};
    if (has_else) v = run(ev, x->args[x->nargs - 1], s);
    if (has_else && v.mask)
        memcpy(to.data, v.data, to.width * n);
    else if (has_else && !v.valid)
        fill(to.data, v.data, to.width, n);
    else
        memset(to.data, 0, to.width * n);
    to.nulls = !has_else || v.valid;
    for (uint32_t i = 0; to.nulls && i < n; i++) {
        bit_clear(to.valid, i);
        if (has_else && !vec_null(&v, i)) bit_set(to.valid, i);
    }
    for (int k = x->nargs - (has_else ? 3 : 2); k >= 0; k -= 2) {
        struct vec cond = run(ev, x->args[k], s);
        truth(&cond, yes, n);
        v = run(ev, x->args[k + 1], s);
        blend(to.data, to.width, yes, &v, n);
        if (!v.valid && !to.nulls) continue;
        if (!to.nulls) memset(to.valid, 0xff, bitmap_words(n) * 8);
        to.nulls = true;
        for (uint32_t i = 0; i < n; i++)
            if (yes[i]) {
                bit_clear(to.valid, i);
                if (!vec_null(&v, i)) bit_set(to.valid, i);
            }
    }
    return (struct vec){to.data, to.nulls ? to.valid : NULL, UINT32_MAX};
}

/* Positions whose AND (OR) is still open: not yet false (true). */
static uint32_t undecided(bool is_and, const uint8_t *acc, const uint64_t *valid, uint32_t n, uint32_t *out)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        out[k] = i;
        k += acc[i] == is_and || (valid && !bit_get(valid, i));
    }
    return k;
}

static void join_at(bool is_and, uint8_t *acc, uint64_t **valid, uint64_t *room, const struct vec *v,
                    const uint32_t *positions, uint32_t k, uint32_t n)
{
    const uint8_t *p = v->data;
    for (uint32_t i = 0; i < k; i++) {
        uint32_t at = positions[i];
        bool was_null = *valid && !bit_get(*valid, at), is_null = vec_null(v, i);
        bool value = p[i & v->mask];
        if (!is_null && value != is_and) { /* decides */
            acc[at] = !is_and;
            if (was_null) bit_set(*valid, at);
            continue;
        }
        acc[at] = is_and;
        if (!is_null || was_null) continue;
        if (!*valid) {
            memset(room, 0xff, bitmap_words(n) * 8);
            *valid = room;
        }
        bit_clear(*valid, at);
    }
}

static struct vec run_logic(struct eval *ev, struct node *x, const struct scope *s)
{
    bool is_and = x->e->kind == EXPR_AND;
    uint32_t n = s->rows.n;
    uint8_t *acc = result_data(ev, x);
    uint64_t *room = reg_valid(ev, x->reg), *valid = NULL;
    memset(acc, is_and, n);
    for (int k = 0; k < x->nargs; k++) {
        struct node *arg = x->args[k];
        struct vec v;
        if (arg->scope == x->scope) {
            v = run(ev, arg, s);
            logic_join(is_and, acc, &valid, room, &v, n);
            continue;
        }
        uint32_t *open = reg_data(ev, x->lists[0]);
        uint32_t nopen = undecided(is_and, acc, valid, n, open);
        if (!nopen) continue; /* later parts of this scope run: who shares them counts on it */
        struct scope sub = sub_scope(ev, s, to_rows(s, open, nopen, reg_data(ev, x->lists[1])), nopen);
        v = run(ev, arg, &sub);
        if (nopen < n)
            join_at(is_and, acc, &valid, room, &v, open, nopen, n);
        else
            logic_join(is_and, acc, &valid, room, &v, n);
    }
    return (struct vec){acc, valid, UINT32_MAX};
}

static struct vec run(struct eval *ev, struct node *x, const struct scope *s)
{
    if (x->e->kind == EXPR_CONST || x->tick == s->tick) return x->result;
    struct vec v;
    switch (x->e->kind) {
    case EXPR_COLUMN: v = run_column(ev, x, s); break;
    case EXPR_AND:
    case EXPR_OR: v = run_logic(ev, x, s); break;
    case EXPR_CASE: v = x->eager ? run_case_eager(ev, x, s) : run_case(ev, x, s); break;
    default: v = x->function == &logic_coalesce ? run_coalesce(ev, x, s) : run_call(ev, x, s); break;
    }
    x->result = v;
    x->tick = s->tick;
    return v;
}

/* ---- the face ------------------------------------------------------------------------------------- */

static struct scope begin(struct eval *ev, const struct rows *in, struct row_errors *errors)
{
    if (errors) errors->count = 0;
    ev->errors = errors;
    if (in->n > ev->cap) {
        regs_drop(ev);
        ev->cap = in->n <= BATCH_ROWS / 8 ? BATCH_ROWS / 8 : in->n <= BATCH_ROWS ? BATCH_ROWS : (in->n + 4095) & ~4095u;
    }
    if (ev->texts) own_texts(ev);
    batch_unref(ev->scratch);
    ev->scratch = ev->text = NULL;
    return (struct scope){*in, ++ev->tick};
}

void eval_filter(struct eval *ev, const struct rows *in, uint32_t *sel, uint32_t *n, struct row_errors *errors)
{
    struct scope s = begin(ev, in, errors);
    const struct rows rows = s.rows; /* n may be in->n itself */
    *n = 0;
    if (!rows.n) return;
    struct vec v = run(ev, ev->roots[0], &s);
    const uint8_t *p = v.data;
    uint32_t k = 0;
    if (!v.mask) {
        bool all = !v.valid && p[0];
        for (uint32_t i = 0; all && i < rows.n; i++) sel[k++] = rows_at(&rows, i);
    } else if (v.valid) {
        for (uint32_t i = 0; i < rows.n; i++) {
            sel[k] = rows_at(&rows, i);
            k += p[i] & bit_get(v.valid, i);
        }
    } else if (rows.sel) {
        for (uint32_t i = 0; i < rows.n; i++) {
            sel[k] = rows.sel[i];
            k += p[i];
        }
    } else {
        for (uint32_t i = 0; i < rows.n; i++) {
            sel[k] = i;
            k += p[i];
        }
    }
    *n = k;
}

/* No view of a NULL text into memory the batch does not hold. */
static void clear_nulls(struct str *s, const uint64_t *valid, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!bit_get(valid, i)) s[i] = (struct str){0};
}

static void project_column(struct eval *ev, struct node *x, const struct scope *s, struct batch *b, struct column *to)
{
    uint32_t n = s->rows.n;
    size_t width = type_width(x->e->type);
    if (x->e->kind == EXPR_COLUMN && !s->rows.sel) {
        *to = s->rows.b->cols[x->e->column];
        batch_pin(b, s->rows.b);
        return;
    }
    to->data = batch_alloc(b, width * (n ? n : 1));
    if (!n) return;
    x->dst = to->data;
    struct vec v = run(ev, x, s);
    x->dst = NULL;
    if (!v.mask)
        fill(to->data, v.data, width, n);
    else if (v.data != to->data)
        memcpy(to->data, v.data, width * n);
    if (!v.valid) return;
    to->valid = batch_validity(b, n);
    if (v.mask)
        memcpy(to->valid, v.valid, bitmap_words(n) * 8);
    else
        memset(to->valid, 0, bitmap_words(n) * 8);
    if (type_is_text(x->e->type)) clear_nulls(to->data, to->valid, n);
}

struct batch *eval_project(struct eval *ev, const struct rows *in, struct row_errors *errors)
{
    struct scope s = begin(ev, in, errors);
    struct batch *b = batch_new(ev->pool, ev->n);
    b->rows = in->n;
    b->ts_min = in->b->ts_min;
    b->ts_max = in->b->ts_max;
    ev->text = b;
    for (int i = 0; i < ev->n; i++) project_column(ev, ev->roots[i], &s, b, &b->cols[i]);
    if (in->b->weight) {
        if (in->sel) {
            int8_t *w = batch_alloc(b, in->n ? in->n : 1);
            gather(w, in->b->weight, 1, in->sel, in->n);
            b->weight = w;
        } else {
            b->weight = in->b->weight;
            batch_pin(b, in->b);
        }
    }
    if (ev->has_text) { /* views into the input, or of a constant */
        batch_pin(b, in->b);
        if (ev->consts) batch_pin(b, ev->consts);
    }
    ev->text = NULL;
    return b;
}

void eval_columns(struct eval *ev, const struct rows *in, struct column *out, struct row_errors *errors)
{
    struct scope s = begin(ev, in, errors);
    for (int i = 0; i < ev->n; i++) {
        struct node *x = ev->roots[i];
        out[i] = (struct column){0};
        if (!in->n) continue;
        struct vec v = run(ev, x, &s);
        if (v.mask) {
            out[i] = (struct column){(void *)v.data, (uint64_t *)v.valid};
            continue;
        }
        if (x->reg < 0) x->reg = reg_take(ev, type_width(x->e->type));
        out[i].data = reg_data(ev, x->reg);
        fill(out[i].data, v.data, type_width(x->e->type), in->n);
        if (!v.valid) continue;
        out[i].valid = reg_valid(ev, x->reg);
        memset(out[i].valid, 0, bitmap_words(in->n) * 8);
    }
}

/* ---- one value ------------------------------------------------------------------------------------ */

static enum status value_of(struct eval *ev, struct pool *pool, const struct expr *e, struct arena *a,
                            struct value *out, struct err *err)
{
    struct row_errors errors;
    struct batch *b = batch_new(pool, 0);
    b->rows = 1;
    struct rows rows = rows_all(b);
    struct batch *r = eval_project(ev, &rows, &errors);
    enum status st = ST_OK;
    if (errors.count) {
        if (err) *err = errors.first;
        st = errors.first.code;
    } else {
        struct schema s = {.n = 1, .fields = &(struct field){.type = e->type}};
        *out = batch_value(r, &s, 0, 0);
        if (!out->is_null && type_is_text(e->type) && out->s.n > STR_INLINE)
            out->s = str_view(arena_strndup(a, out->s.p, out->s.n), out->s.n);
    }
    batch_unref(r);
    batch_unref(b);
    return st;
}

static bool reads_columns(const struct expr *e)
{
    bool some = e->kind == EXPR_COLUMN;
    for (int i = 0; i < e->nargs; i++) some |= reads_columns(e->args[i]);
    return some;
}

enum status expr_value(const struct expr *e, struct arena *a, struct value *out, struct err *err)
{
    if (e->kind == EXPR_CONST) return *out = e->value, ST_OK;
    if (reads_columns(e))
        return err_at(err, E_ARGUMENT, e->pos, "a constant is needed here; this depends on a column");
    struct pool *pool = pool_new(NULL);
    struct eval *ev = NULL;
    struct expr *one = (struct expr *)e;
    enum status st = eval_new(&one, 1, NULL, pool, &ev, err);
    if (!st) st = value_of(ev, pool, e, a, out, err);
    eval_free(ev);
    pool_close(pool);
    return st;
}
