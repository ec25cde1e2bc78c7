/* What the files of this room share: functions, calls, and the tables they stand in.
 *
 * A kernel computes a whole column. For a strict function the evaluator has already joined the arguments' validity
 * into the result's; the kernel may compute rows that are NULL too, when that cannot trap, and must not mark them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_EXPR_INT_H
#define EXPR_EXPR_INT_H

#include "expr/expr.h"

/* A column of arguments or one constant: the value of row i stands at i & mask. */
struct vec {
    const void *data;
    const uint64_t *valid; /* NULL: no row is NULL */
    uint32_t mask;         /* 0: a constant */
};
static inline bool vec_null(const struct vec *v, uint32_t i)
{
    return v->valid && !bit_get(v->valid, i & v->mask);
}

/* What a function keeps from batch to batch in one evaluator; zero at first. */
struct keep {
    void *p;
    void (*free)(void *p);
};

struct call {
    struct eval *ev;
    const struct expr *e;
    const struct rows *rows; /* result i belongs to rows_at(rows, i) */
    uint32_t n;              /* > 0 */
    const struct vec *args;
    void *out;         /* no argument's memory */
    uint64_t *valid;   /* of the result; NULL: no row is NULL */
    uint64_t *room;    /* where `valid` goes when it becomes needed */
    struct keep *keep; /* FN_KEEPS only */
};
#define ARG(c, k, T, i) (((const T *)(c)->args[k].data)[(i) & (c)->args[k].mask])
static inline bool call_live(const struct call *c, uint32_t i)
{
    return !c->valid || bit_get(c->valid, i);
}
void call_null(struct call *c, uint32_t i);
/* The row fails: it is NULL, and marked unless the cast was a TRY_CAST. */
void call_fail(struct call *c, uint32_t i, enum status code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void call_fail_err(struct call *c, uint32_t i, const struct err *err);
/* Memory that lives as long as the result. */
char *call_text(struct call *c, size_t n);
struct str call_str(struct call *c, const char *p, uint32_t n);

enum {
    FN_FAILS = 1,    /* a row may fail */
    FN_LAX = 2,      /* looks at NULLs itself and sets `valid` */
    FN_VOLATILE = 4, /* never folded */
    FN_VARIADIC = 8, /* the last argument repeats, at least once */
    FN_COSTLY = 16,  /* worth a selection when it stands right of AND */
    FN_KEEPS = 32,   /* uses call.keep */
    FN_FLOATS = 64,  /* only for a first argument that is a float already */
};
#define FN_ARGS 6
struct function {
    const char *name;
    uint8_t ret, nargs;
    uint8_t args[FN_ARGS];
    uint8_t flags;
    void (*run)(struct call *c);
    /* Checks and prepares: sets e->type where it depends on the arguments, e->data, e->can_fail. */
    enum status (*bind)(struct arena *a, struct expr *e, struct err *err);
};
/* Ends with a NULL name. */
extern const struct function func_arith[], func_compare[], func_math[], func_text[], func_like[], func_regex[],
    func_time[], func_format[];
#define TYPE_ANY T_COUNT /* in function.args: as it comes */

/* ---- types ---- */
bool cast_implicit(struct type from, struct type to); /* PostgreSQL's implicit casts */
bool cast_assigns(struct type from, struct type to);  /* and those of an assignment */
/* The kernel of an explicit cast, or NULL. */
const struct function *cast_find(struct type from, struct type to);
/* VARCHAR to VARCHAR(n), which fails where characters would be lost. */
extern const struct function cast_assign_length;
/* An integer's DECIMAL, a float's ...: the type that keeps the source's digits. */
struct type cast_decimal_type(struct type from);
/* What both convert to, numbers, dates and texts; false: there is none. */
bool type_meet(struct type a, struct type b, struct type *out);

/* ---- overloads ---- */
/* The overload for these arguments; NULL: none (err is set). */
const struct function *overload_find(const char *name, struct expr **args, int nargs, uint32_t pos, struct err *err);
const struct function *overload_exact(const char *name, const uint8_t *types, int nargs);
bool overload_exists(const char *name);
const char *overload_name(int i); /* NULL past the end; repeats possible */

/* ---- building ---- */
struct expr *expr_new(struct arena *a, enum expr_kind kind, struct type t, int nargs, uint32_t pos);
/* A call of fn with arguments of its types; folds. */
enum status expr_apply(struct arena *a, const struct function *fn, struct expr **args, int nargs, uint32_t pos,
                       struct expr **out, struct err *err);
struct expr *expr_fold(struct arena *a, struct expr *e);
enum status expr_logic(struct arena *a, enum expr_kind kind, struct expr **args, int nargs, uint32_t pos,
                       struct expr **out, struct err *err);
/* Constructs that are no plain functions: coalesce, in, between ... */
struct form {
    const char *name;
    int least, most; /* arguments */
    enum status (*build)(struct arena *a, const char *name, struct expr **args, int nargs, uint32_t pos,
                         struct expr **out, struct err *err);
};
extern const struct form forms[]; /* ends with a NULL name */

static inline const char *const_text(const struct expr *e, uint32_t *n)
{
    *n = e->value.s.n;
    return str_ptr(&e->value.s);
}

/* Vector code for new machines beside the plain one, in release only: sanitizers cannot run the resolvers. */
#if defined(__x86_64__) && defined(NDEBUG) && !defined(__clang__)
#define KERNEL static __attribute__((target_clones("avx2", "default")))
#else
#define KERNEL static
#endif

/* Runs the statements with x and y of type T and i, in loops the compiler turns into vector code. */
#define EACH1(c, T, ...)                                                                                               \
    do {                                                                                                               \
        const T *xs_ = (c)->args[0].data;                                                                              \
        uint32_t n_ = (c)->n, mask_ = (c)->args[0].mask;                                                               \
        if (mask_) {                                                                                                   \
            for (uint32_t i = 0; i < n_; i++) {                                                                        \
                const T x = xs_[i];                                                                                    \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
        } else {                                                                                                       \
            const T x = xs_[0];                                                                                        \
            for (uint32_t i = 0; i < n_; i++) {                                                                        \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)
#define EACH2(c, T, ...)                                                                                               \
    do {                                                                                                               \
        const T *xs_ = (c)->args[0].data, *ys_ = (c)->args[1].data;                                                    \
        uint32_t n_ = (c)->n, xm_ = (c)->args[0].mask, ym_ = (c)->args[1].mask;                                        \
        if (xm_ && ym_) {                                                                                              \
            for (uint32_t i = 0; i < n_; i++) {                                                                        \
                const T x = xs_[i], y = ys_[i];                                                                        \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
        } else if (xm_) {                                                                                              \
            const T y = ys_[0];                                                                                        \
            for (uint32_t i = 0; i < n_; i++) {                                                                        \
                const T x = xs_[i];                                                                                    \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
        } else {                                                                                                       \
            const T x = xs_[0];                                                                                        \
            for (uint32_t i = 0; i < n_; i++) {                                                                        \
                const T y = ys_[i & ym_];                                                                              \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

#endif
