/* Inside the room: what the families of aggregates share. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_AGG_INT_H
#define EXPR_AGG_INT_H

#include "expr/agg.h"

typedef int128 __attribute__((aligned(8))) sum128; /* an int128 in a state slot, which is aligned to 8 */

struct agg_in {
    const struct agg_call *call;
    void *const *slots; /* NULL: all rows belong to `one` */
    char *one;
    uint32_t offset;
    const struct column *args;
    const int64_t *ts;
    const uint64_t *keep;
    uint32_t n;
    struct layout_heap *heap;
};

/* Where results go. */
struct agg_out {
    const struct agg_call *call;
    struct batch *b;
    struct column *col;
    uint32_t row, cap;
    struct row_errors *errors;
};

/* One overload: the kernels for one accumulator and argument type. */
struct agg_class {
    uint32_t size;
    bool needs_time;
    uint8_t text; /* offset of the accumulator's struct str, or 0 */
    void (*update)(const struct agg_in *in);
    void (*merge)(void *into, const void *from, struct layout_heap *heap);
    /* Writes the result to out->row, or calls agg__null or agg__error. */
    void (*result)(const void *acc, const struct agg_out *out);
};

void agg__null(const struct agg_out *out);
void agg__error(const struct agg_out *out, enum status code, const char *text);
/* A DECIMAL of out's scale from v of `scale`; E_RANGE when it has too many digits. */
void agg__decimal(const struct agg_out *out, int128 v, int scale);

#define AGG_PUT(out, T, v) (((T *)(out)->col->data)[(out)->row] = (v))

/* Runs a block for each row i that is kept and valid. */
#define AGG_EACH(in, VALID, ...)                                                                                       \
    do {                                                                                                               \
        const uint64_t *keep_ = (in)->keep, *valid_ = (VALID);                                                         \
        const uint32_t n_ = (in)->n;                                                                                   \
        if (!keep_ && !valid_) {                                                                                       \
            for (uint32_t i = 0; i < n_; i++) __VA_ARGS__                                                              \
            break;                                                                                                     \
        }                                                                                                              \
        for (uint32_t at_ = 0; at_ < n_; at_ += 64)                                                                    \
            for (uint64_t m_ = agg__word(keep_, valid_, at_, n_); m_; m_ &= m_ - 1) {                                  \
                const uint32_t i = at_ + (uint32_t)__builtin_ctzll(m_);                                                \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
    } while (0)
static inline uint64_t agg__word(const uint64_t *keep, const uint64_t *valid, uint32_t at, uint32_t n)
{
    uint64_t m = (keep ? keep[at / 64] : ~0ull) & (valid ? valid[at / 64] : ~0ull);
    return n - at < 64 ? m & ((1ull << (n - at)) - 1) : m;
}
/* The accumulator of row i. */
#define AGG_AT(in, T) ((T *)((in)->slots ? (char *)(in)->slots[i] + (in)->offset : (in)->one))
/* For kernels with a loop of their own for `one`: there slots is known not to be NULL. */
#define AGG_SLOT(in, T) ((T *)((char *)(in)->slots[i] + (in)->offset))

/* ---- families: by name and argument types -------------------------------------------------------- */

/* Picks the overload for arguments of these types: NULL when there is none. cast[k] is what argument k is to be cast to
 * (given as its own type), *result the type. */
typedef const struct agg_class *agg_pick(const struct type *args, int nargs, struct type *cast, struct type *result);

struct agg_family {
    const char *name;
    int nargs;
    agg_pick *pick;
};
/* Each file's families, ended by one without a name. */
extern const struct agg_family agg_sums[], agg_extremes[], agg_bits[], agg_firsts[], agg_stats[], agg_texts[];
extern const struct agg_class agg__count_star;

#endif
