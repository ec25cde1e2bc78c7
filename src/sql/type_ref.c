/* Types as written in statements: the words, their numbers in parentheses, and what they come to.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

#include "base/text.h"

#include <stdlib.h>

#define VARCHAR_MAX 10485760

static void too_many(struct parser *p, const char *word, int n, struct span at)
{
    static const char *const most[] = {"no numbers", "at most one number", "at most two numbers"};
    parser__fail(p, E_TYPE, at.pos, "type %s takes %s in parentheses", word, most[n]);
}

/* The i-th number, which must lie in low..high. */
static int64_t mod(struct parser *p, const char *word, struct list mods, int i, int64_t low, int64_t high,
                   struct span at)
{
    char *end;
    const char *text = mods.at[i];
    long long v = strtoll(text, &end, 10);
    if (*end || strlen(text) > 12 || v < low || v > high) {
        parser__fail(p, E_TYPE, at.pos, "type %s: %s must lie between %lld and %lld", word, text, (long long)low,
                     (long long)high);
        return low;
    }
    return v;
}

/* FLOAT(n): n is in binary digits. */
static void set_float(struct parser *p, struct ast_type *t, struct list mods, struct span at)
{
    bool is_real = mod(p, t->word, mods, 0, 1, 53, at) <= 24;
    t->type = TYPE(is_real ? T_FLOAT : T_DOUBLE);
    t->word = is_real ? "real" : "double precision";
}

/* How many numbers a type takes. */
static int mods_max(const struct ast_type *t)
{
    static const uint8_t most[T_COUNT] = {
        [T_DECIMAL] = 2, [T_VARCHAR] = 1, [T_TIME] = 1, [T_TIMESTAMP] = 1, [T_TIMESTAMPTZ] = 1};
    static const char *const none[] = {"text", "string", "name"};
    for (size_t i = 0; i < countof(none); i++)
        if (!strcmp(t->word, none[i])) return 0;
    return strcmp(t->word, "float") ? most[t->type.id] : 1;
}

static void set_mods(struct parser *p, struct ast_type *t, struct list mods, struct span at)
{
    if (mods.n > mods_max(t)) {
        too_many(p, t->word, mods_max(t), at);
    } else if (!mods.n) {
        if (!strcmp(t->word, "char") || !strcmp(t->word, "character")) t->type.length = 1;
    } else if (!strcmp(t->word, "float")) {
        set_float(p, t, mods, at);
    } else if (t->type.id == T_DECIMAL) {
        t->type.precision = (uint8_t)mod(p, t->word, mods, 0, 1, 38, at);
        t->type.scale = mods.n > 1 ? (uint8_t)mod(p, t->word, mods, 1, 0, t->type.precision, at) : 0;
    } else if (t->type.id == T_VARCHAR) {
        t->type.length = (uint32_t)mod(p, t->word, mods, 0, 1, VARCHAR_MAX, at);
    } else {
        /* Times keep microseconds, whatever fewer digits were asked for. */
        mod(p, t->word, mods, 0, 0, 6, at);
    }
}

struct ast_type type_ref__new(struct parser *p, const char *word, struct list mods, const char *suffix, struct span at)
{
    char *full = arena_printf(p->arena, suffix ? "%s %s" : "%s", word, suffix);
    for (char *c = full; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c |= 0x20;
    struct ast_type t = {.word = full, .pos = at.pos};
    if (!strcmp(t.word, "time without time zone")) t.word = "time";
    if (!type_from_word(t.word, &t.type)) {
        if (p->failed) return t;
        const char *near = text_nearest(t.word, type_word, NULL);
        parser__fail(p, E_TYPE, at.pos, "unknown type \"%.100s\"", t.word);
        if (near) err_hint(p->err, "did you mean %s?", near);
        return t;
    }
    set_mods(p, &t, mods, at);
    return t;
}
