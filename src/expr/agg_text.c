/* STRING_AGG, in arrival order. The accumulator holds every value behind its delimiter, the first one too (skipped when
 * the result is given), so that two accumulators join by appending. SPDX-License-Identifier: Apache-2.0 */
#include "expr/agg_int.h"

#define TEXT_MAX (1u << 29)

struct joined {
    uint32_t skip; /* bytes of the first delimiter */
    uint8_t seen, full, pad[2];
    struct str all;
};

static void append(struct joined *acc, const char *p, uint32_t n, struct layout_heap *heap)
{
    if (n > TEXT_MAX - acc->all.n)
        acc->full = 1;
    else
        acc->all = layout_append(heap, &acc->all, p, n);
}

static void join_values(const struct agg_in *in)
{
    const struct str *v = in->args[0].data, *delimiters = in->args[1].data;
    AGG_EACH(in, in->args[0].valid, {
        struct joined *acc = AGG_AT(in, struct joined);
        struct str d = column_null(&in->args[1], i) ? (struct str){0} : delimiters[i];
        if (!acc->seen) acc->skip = d.n;
        acc->seen = 1;
        append(acc, str_ptr(&d), d.n, in->heap);
        append(acc, str_ptr(&v[i]), v[i].n, in->heap);
    });
}

static void joined_merge(void *into, const void *from, struct layout_heap *heap)
{
    struct joined *a = into;
    const struct joined *b = from;
    if (!b->seen) return;
    if (!a->seen) a->skip = b->skip;
    a->seen = 1;
    a->full |= b->full;
    append(a, str_ptr(&b->all), b->all.n, heap);
}

static void joined_result(const void *p, const struct agg_out *out)
{
    const struct joined *acc = p;
    uint32_t skip = acc->skip < acc->all.n ? acc->skip : acc->all.n;
    if (!acc->seen)
        agg__null(out);
    else if (acc->full)
        agg__error(out, E_TOO_LONG, "the text is longer than 512 MiB");
    else
        AGG_PUT(out, struct str, batch_str(out->b, str_ptr(&acc->all) + skip, acc->all.n - skip));
}

static const struct agg_class joined_class = {sizeof(struct joined), .text = offsetof(struct joined, all),
                                              .update = join_values, .merge = joined_merge, .result = joined_result};

static const struct agg_class *pick_joined(const struct type *args, int nargs, struct type *cast, struct type *result)
{
    (void)nargs;
    bool blob = args[0].id == T_BLOB;
    cast[0] = cast[1] = *result = TYPE(blob ? T_BLOB : T_VARCHAR);
    for (int i = 0; i < 2; i++)
        if (args[i].id != cast[0].id && args[i].id != T_NULL) return NULL;
    return &joined_class;
}

const struct agg_family agg_texts[] = {
    {"string_agg", 2, pick_joined},
    {0}
};
