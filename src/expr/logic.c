/* Three-valued logic on bytes with validity bits, and tests for NULL and truth.
 * SPDX-License-Identifier: Apache-2.0 */
#include "expr/logic.h"

/* 64 bytes of 0 or 1 to the bits of a word; fewer at the end. */
static uint64_t pack(const uint8_t *p, uint32_t n)
{
    uint64_t word = 0, eight;
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&eight, p + i, 8);
        word |= ((eight & 0x0101010101010101ull) * 0x0102040810204080ull >> 56) << i;
    }
    for (; i < n; i++) word |= (uint64_t)(p[i] & 1) << i;
    return word;
}

static void unpack(uint64_t word, uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) p[i] = word >> i & 1;
}

static uint64_t spread(const struct vec *x, size_t word, uint32_t n)
{
    const uint8_t *p = x->data;
    if (x->mask) return pack(p + word * 64, n);
    return p[0] ? ~0ull : 0;
}

static uint64_t validity(const struct vec *x, size_t word)
{
    if (!x->valid) return ~0ull;
    if (x->mask) return x->valid[word];
    return x->valid[0] & 1 ? ~0ull : 0;
}

static void join_plain(bool is_and, uint8_t *restrict acc, const struct vec *x, uint32_t n)
{
    const uint8_t *p = x->data;
    if (!x->mask) {
        if (is_and != *p) memset(acc, *p, n);
        return;
    }
    if (is_and)
        for (uint32_t i = 0; i < n; i++) acc[i] &= p[i];
    else
        for (uint32_t i = 0; i < n; i++) acc[i] |= p[i];
}

void logic_join(bool is_and, uint8_t *acc, uint64_t **acc_valid, uint64_t *room, const struct vec *x, uint32_t n)
{
    if (!*acc_valid && !x->valid) {
        join_plain(is_and, acc, x, n);
        return;
    }
    for (size_t w = 0; w < bitmap_words(n); w++) {
        uint32_t k = n - (uint32_t)w * 64 < 64 ? n - (uint32_t)w * 64 : 64;
        uint64_t a = pack(acc + w * 64, k), va = *acc_valid ? (*acc_valid)[w] : ~0ull;
        uint64_t b = spread(x, w, k), vb = validity(x, w);
        if (is_and) {
            unpack((a | ~va) & (b | ~vb), acc + w * 64, k);
            room[w] = (va & vb) | (va & ~a) | (vb & ~b);
        } else {
            unpack((a & va) | (b & vb), acc + w * 64, k);
            room[w] = (va & vb) | (va & a) | (vb & b);
        }
    }
    *acc_valid = room;
}

static void not(struct call * c)
{
    uint8_t *restrict out = c->out;
    EACH1(c, uint8_t, out[i] = x ^ 1;);
}

static void is_null(struct call *c)
{
    uint8_t *out = c->out;
    const struct vec *x = &c->args[0];
    if (!x->valid)
        memset(out, c->e->args[0]->type.id == T_NULL, c->n);
    else
        for (uint32_t i = 0; i < c->n; i++) out[i] = vec_null(x, i);
}

static void is_not_null(struct call *c)
{
    uint8_t *out = c->out;
    is_null(c);
    for (uint32_t i = 0; i < c->n; i++) out[i] ^= 1;
}

static void test(struct call *c, uint8_t value, uint8_t hit)
{
    uint8_t *out = c->out;
    const struct vec *x = &c->args[0];
    if (!x->valid && x->mask) {
        const uint8_t *p = x->data;
        for (uint32_t i = 0; i < c->n; i++) out[i] = (p[i] == value) ^ !hit;
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) out[i] = !vec_null(x, i) && ARG(c, 0, uint8_t, i) == value ? hit : !hit;
}

static void is_true(struct call *c)
{
    test(c, 1, 1);
}
static void is_not_true(struct call *c)
{
    test(c, 1, 0);
}
static void is_false(struct call *c)
{
    test(c, 0, 1);
}
static void is_not_false(struct call *c)
{
    test(c, 0, 0);
}

static void nullif(struct call *c)
{
    size_t width = type_width(c->e->type);
    const struct vec *x = &c->args[0], *gone = &c->args[1];
    char *out = c->out;
    for (uint32_t i = 0; i < c->n; i++, out += width) {
        if (vec_null(x, i) || (!vec_null(gone, i) && ARG(c, 1, uint8_t, i)))
            memset(out, 0, width), call_null(c, i);
        else
            memcpy(out, (const char *)x->data + width * (i & x->mask), width);
    }
}

#define TEST(NAME, WORDS, F) const struct function NAME = {WORDS, T_BOOL, 1, {TYPE_ANY}, FN_LAX, F, NULL}
TEST(logic_is_null, "is null", is_null);
TEST(logic_is_not_null, "is not null", is_not_null);
TEST(logic_is_true, "is true", is_true);
TEST(logic_is_not_true, "is not true", is_not_true);
TEST(logic_is_false, "is false", is_false);
TEST(logic_is_not_false, "is not false", is_not_false);
const struct function logic_not = {"not", T_BOOL, 1, {T_BOOL}, 0, not, NULL};
const struct function logic_nullif = {"nullif", TYPE_ANY, 2, {TYPE_ANY, T_BOOL}, FN_LAX, nullif, NULL};
const struct function logic_coalesce = {"coalesce", TYPE_ANY, 1, {TYPE_ANY}, FN_LAX | FN_VARIADIC, NULL, NULL};
