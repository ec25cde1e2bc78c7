/* FIRST_VALUE and LAST_VALUE by event time; of equal times the first and the last that arrived. NULL is a value.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/agg_int.h"

enum { EMPTY, VALUE, IS_NULL };
struct pick {
    int64_t ts_us;
    uint64_t state;
    union {
        char bytes[16];
        struct str text;
    };
};

static inline bool replaces(const struct pick *acc, int64_t ts_us, bool last)
{
    return !acc->state || (last ? ts_us >= acc->ts_us : ts_us < acc->ts_us);
}

static inline __attribute__((always_inline)) void pick_fixed(const struct agg_in *in, size_t width, bool last)
{
    const char *v = in->args[0].data;
    const uint64_t *valid = in->args[0].valid;
    AGG_EACH(in, NULL, {
        struct pick *acc = AGG_AT(in, struct pick);
        int64_t ts = in->ts ? in->ts[i] : 0;
        if (replaces(acc, ts, last)) {
            acc->ts_us = ts;
            acc->state = valid && !bit_get(valid, i) ? IS_NULL : VALUE;
            memcpy(acc->bytes, v + width * i, width);
        }
    });
}

static void pick_text(const struct agg_in *in, bool last)
{
    const struct str *v = in->args[0].data;
    AGG_EACH(in, NULL, {
        struct pick *acc = AGG_AT(in, struct pick);
        int64_t ts = in->ts ? in->ts[i] : 0;
        if (!replaces(acc, ts, last)) continue;
        bool is_null = column_null(&in->args[0], i);
        acc->ts_us = ts;
        acc->state = is_null ? IS_NULL : VALUE;
        acc->text = is_null ? layout_keep(in->heap, &acc->text, "", 0)
                            : layout_keep(in->heap, &acc->text, str_ptr(&v[i]), v[i].n);
    });
}

#define KERNELS(NAME, LAST)                                                                                            \
    static void NAME##_1(const struct agg_in *in)                                                                      \
    {                                                                                                                  \
        pick_fixed(in, 1, LAST);                                                                                       \
    }                                                                                                                  \
    static void NAME##_2(const struct agg_in *in)                                                                      \
    {                                                                                                                  \
        pick_fixed(in, 2, LAST);                                                                                       \
    }                                                                                                                  \
    static void NAME##_4(const struct agg_in *in)                                                                      \
    {                                                                                                                  \
        pick_fixed(in, 4, LAST);                                                                                       \
    }                                                                                                                  \
    static void NAME##_8(const struct agg_in *in)                                                                      \
    {                                                                                                                  \
        pick_fixed(in, 8, LAST);                                                                                       \
    }                                                                                                                  \
    static void NAME##_16(const struct agg_in *in)                                                                     \
    {                                                                                                                  \
        pick_fixed(in, 16, LAST);                                                                                      \
    }                                                                                                                  \
    static void NAME##_text(const struct agg_in *in)                                                                   \
    {                                                                                                                  \
        pick_text(in, LAST);                                                                                           \
    }                                                                                                                  \
    static void NAME##_merge(void *into, const void *from, struct layout_heap *heap)                                   \
    {                                                                                                                  \
        const struct pick *b = from;                                                                                   \
        (void)heap;                                                                                                    \
        if (b->state && replaces(into, b->ts_us, LAST)) memcpy(into, from, sizeof *b);                                 \
    }                                                                                                                  \
    static void NAME##_merge_text(void *into, const void *from, struct layout_heap *heap)                              \
    {                                                                                                                  \
        struct pick *a = into;                                                                                         \
        const struct pick *b = from;                                                                                   \
        if (!b->state || !replaces(a, b->ts_us, LAST)) return;                                                         \
        a->ts_us = b->ts_us;                                                                                           \
        a->state = b->state;                                                                                           \
        a->text = layout_keep(heap, &a->text, str_ptr(&b->text), b->text.n);                                           \
    }
KERNELS(first, false)
KERNELS(last, true)

static void pick_result(const void *p, const struct agg_out *out)
{
    const struct pick *acc = p;
    size_t width = type_width(out->call->type);
    if (acc->state != VALUE)
        agg__null(out);
    else
        memcpy((char *)out->col->data + width * out->row, acc->bytes, width);
}
static void pick_result_text(const void *p, const struct agg_out *out)
{
    const struct pick *acc = p;
    if (acc->state != VALUE)
        agg__null(out);
    else
        AGG_PUT(out, struct str, batch_str(out->b, str_ptr(&acc->text), acc->text.n));
}

#define FIXED(NAME, WIDTH)                                                                                             \
    {                                                                                                                  \
        sizeof(struct pick), .needs_time = true, .update = NAME##_##WIDTH, .merge = NAME##_merge,                      \
                             .result = pick_result                                                                     \
    }
#define CLASSES(NAME)                                                                                                  \
    {                                                                                                                  \
        FIXED(NAME, 1), FIXED(NAME, 2), FIXED(NAME, 4), FIXED(NAME, 8), FIXED(NAME, 16),                               \
        {                                                                                                              \
            sizeof(struct pick), .needs_time = true, .text = offsetof(struct pick, text), .update = NAME##_text,       \
                                 .merge = NAME##_merge_text, .result = pick_result_text                                \
        }                                                                                                              \
    }
static const struct agg_class first_classes[6] = CLASSES(first), last_classes[6] = CLASSES(last);

static const struct agg_class *pick_class(const struct type *args, struct type *cast, struct type *result,
                                          const struct agg_class *classes)
{
    if (args[0].id == T_NULL) cast[0] = TYPE(T_VARCHAR);
    *result = cast[0];
    if (type_is_text(cast[0])) return &classes[5];
    switch (type_width(cast[0])) {
    case 1: return &classes[0];
    case 2: return &classes[1];
    case 4: return &classes[2];
    case 8: return &classes[3];
    case 16: return &classes[4];
    default: return NULL;
    }
}
static const struct agg_class *pick_first(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    return pick_class(args, cast, result, first_classes);
}
static const struct agg_class *pick_last(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    return pick_class(args, cast, result, last_classes);
}

const struct agg_family agg_firsts[] = {
    {"first_value", 1, pick_first},
    {"last_value",   1, pick_last},
    {"first",  1, pick_first},
    {"last",    1, pick_last},
    {0      }
};
