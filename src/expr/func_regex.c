/* Regular expressions, by PCRE2 with its just-in-time compiler. A pattern is compiled once per evaluator, or again
 * when the rows bring another; its backtracking is bounded, and a row that reaches the bound fails.
 * SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "expr/expr_int.h"
#include "expr/utf8.h"

#include <pcre2.h>

#define STEPS_MAX   1000000   /* of one match, from one place of the text */
#define STEPS_ALL   100000000 /* from all its places, where that is bounded */
#define PATTERN_MAX 8192

struct regex {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_code *code;
    pcre2_match_data *match;
    char *pattern; /* what `code` is of, flags and all */
    uint32_t pattern_n;
    uint32_t options;
};

static void *take(size_t n, void *ctx)
{
    (void)ctx;
    return mem_alloc(n);
}

static void give(void *p, void *ctx)
{
    (void)ctx;
    mem_free(p);
}

static void regex_forget(struct regex *x)
{
    pcre2_match_data_free(x->match);
    pcre2_code_free(x->code);
    mem_free(x->pattern);
    x->match = NULL, x->code = NULL, x->pattern = NULL;
}

static void regex_free(void *state)
{
    struct regex *x = state;
    regex_forget(x);
    pcre2_match_context_free(x->limits);
    pcre2_general_context_free(x->memory);
    mem_free(x);
}

static struct regex *regex_new(void)
{
    struct regex *x = mem_zalloc(sizeof *x);
    x->memory = pcre2_general_context_create(take, give, NULL);
    x->limits = pcre2_match_context_create(x->memory);
    pcre2_set_match_limit(x->limits, STEPS_MAX);
    return x;
}

static enum status regex_compile(struct regex *x, const char *p, uint32_t n, uint32_t options, struct err *err)
{
    if (x->code && x->pattern_n == n && x->options == options && !memcmp(x->pattern, p, n)) return ST_OK;
    int code;
    PCRE2_SIZE at;
    regex_forget(x);
    pcre2_compile_context *context = pcre2_compile_context_create(x->memory);
    x->code =
        pcre2_compile((PCRE2_SPTR)p, n, options | PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!x->code) {
        char text[120];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        return err_set(err, E_REGEX, "invalid regular expression: %s at character %zu", text,
                       (size_t)utf8_count(p, (uint32_t)at) + 1);
    }
    pcre2_jit_compile(x->code, PCRE2_JIT_COMPLETE); /* where it cannot, the interpreter serves */
    x->match = pcre2_match_data_create_from_pattern(x->code, x->memory);
    x->pattern = memcpy(mem_alloc(n ? n : 1), p, n);
    x->pattern_n = n;
    x->options = options;
    return ST_OK;
}

/* ---- patterns -------------------------------------------------------------------------------------- */

struct piece {
    const char *p;
    uint32_t n;
};

static struct piece piece_of(const struct call *c, int k, uint32_t i)
{
    const struct str *s = &ARG(c, k, struct str, i);
    return (struct piece){str_ptr(s), s->n};
}

/* PostgreSQL's flags. `all`: g, every match. */
static enum status read_flags(struct piece f, uint32_t *options, bool *all, struct err *err)
{
    for (uint32_t i = 0; i < f.n; i++) switch (f.p[i]) {
        case 'i': *options |= PCRE2_CASELESS; break;
        case 'c': *options &= ~PCRE2_CASELESS; break;
        case 'g': *all = true; break;
        case 'n':
        case 'm': *options = (*options & ~PCRE2_DOTALL) | PCRE2_MULTILINE; break;
        case 'p': *options &= ~PCRE2_DOTALL; break;
        case 'w': *options |= PCRE2_MULTILINE; break;
        case 's': *options = (*options & ~PCRE2_MULTILINE) | PCRE2_DOTALL; break;
        case 'x': *options |= PCRE2_EXTENDED; break;
        case 'q': *options |= PCRE2_LITERAL; break;
        default: return err_set(err, E_ARGUMENT, "invalid regular expression option: \"%c\"", f.p[i]);
        }
    return ST_OK;
}

/* SIMILAR TO as a regular expression: % and _ are wildcards, what is special only there is escaped. */
static enum status from_similar(struct piece s, struct piece escape, char *out, uint32_t *n, struct err *err)
{
    char *p = out;
    if (s.n > PATTERN_MAX)
        return err_set(err, E_PROGRAM_LIMIT, "the pattern is too long: at most %d bytes", PATTERN_MAX);
    memcpy(p, "^(?:", 4), p += 4;
    for (uint32_t i = 0; i < s.n; i++) {
        if (escape.n && s.n - i > escape.n && !memcmp(s.p + i, escape.p, escape.n)) {
            i += escape.n;
            if (!(s.p[i] & 0x80)) *p++ = '\\';
            *p++ = s.p[i];
        } else if (s.p[i] == '%') {
            *p++ = '.', *p++ = '*';
        } else if (s.p[i] == '_') {
            *p++ = '.';
        } else {
            if (strchr(".^$\\", s.p[i])) *p++ = '\\';
            *p++ = s.p[i];
        }
    }
    memcpy(p, ")$", 2), p += 2;
    *n = (uint32_t)(p - out);
    return ST_OK;
}

/* How many steps each place of a text of n bytes may take, for PCRE2 counts them anew at each. */
static uint32_t steps_of(uint32_t n)
{
    uint32_t steps = STEPS_ALL / (n + 1);
    return steps > STEPS_MAX ? STEPS_MAX : steps < 100 ? 100 : steps;
}

enum { OP_MATCH, OP_SIMILAR, OP_FUNCTION };

/* Makes the row's pattern ready. flags: the argument with flags, or -1. */
static enum status prepare(struct call *c, uint32_t i, int how, uint32_t options, int flags, bool *all,
                           struct regex **out, struct err *err)
{
    struct piece p = piece_of(c, 1, i);
    char similar[2 * PATTERN_MAX + 8];
    if (flags >= 0 && flags < c->e->nargs) TRY(read_flags(piece_of(c, flags, i), &options, all, err));
    if (how == OP_SIMILAR) {
        struct piece escape = c->e->nargs > 2 ? piece_of(c, 2, i) : (struct piece){"\\", 1};
        TRY(from_similar(p, escape, similar, &p.n, err));
        p.p = similar;
    }
    if (!c->keep->p) *c->keep = (struct keep){regex_new(), regex_free};
    *out = c->keep->p;
    if (c->e->is_bounded) pcre2_set_match_limit((*out)->limits, steps_of(piece_of(c, 0, i).n));
    return regex_compile(*out, p.p, p.n, options, err);
}

/* Whether there is a match from byte `from` on; its place is in x->match. */
static enum status search(struct regex *x, struct piece s, uint32_t from, bool *hit, struct err *err)
{
    int n = pcre2_match(x->code, (PCRE2_SPTR)s.p, s.n, from, PCRE2_NO_UTF_CHECK, x->match, x->limits);
    *hit = n >= 0;
    if (n >= 0 || n == PCRE2_ERROR_NOMATCH) return ST_OK;
    return err_set(err, E_PROGRAM_LIMIT, "the regular expression takes too long on this text");
}

/* The const pattern is looked at once while building, so that its error has a place. */
static enum status bind_regex(struct arena *a, struct expr *e, struct err *err)
{
    (void)a;
    const struct expr *p = e->args[1];
    if (p->kind != EXPR_CONST || p->value.is_null || !strcmp(e->name, "similar to")) return ST_OK;
    uint32_t n;
    const char *text = const_text(p, &n);
    struct regex *x = regex_new();
    enum status st = regex_compile(x, text, n, PCRE2_DOTALL, err);
    regex_free(x);
    if (st && err) err->pos = p->pos;
    return st;
}

/* ---- functions -------------------------------------------------------------------------------------- */

/* A kernel over live rows with the row's regex ready and its text in s. */
#define ROWS(NAME, T, HOW, OPTIONS, FLAGS, ...)                                                                        \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        T *out = c->out;                                                                                               \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            struct err err;                                                                                            \
            struct regex *x;                                                                                           \
            bool all = false, hit = false;                                                                             \
            memset(&out[i], 0, sizeof out[i]);                                                                         \
            if (!call_live(c, i)) continue;                                                                            \
            struct piece s = piece_of(c, 0, i);                                                                        \
            enum status st = prepare(c, i, HOW, PCRE2_DOTALL | (OPTIONS), FLAGS, &all, &x, &err);                      \
            if (!st) st = search(x, s, 0, &hit, &err);                                                                 \
            if (!st) __VA_ARGS__                                                                                       \
            if (st) call_fail_err(c, i, &err);                                                                         \
        }                                                                                                              \
    }

ROWS(match, uint8_t, OP_MATCH, 0, -1, out[i] = hit;)
ROWS(match_any_case, uint8_t, OP_MATCH, PCRE2_CASELESS, -1, out[i] = hit;)
ROWS(no_match, uint8_t, OP_MATCH, 0, -1, out[i] = !hit;)
ROWS(no_match_any_case, uint8_t, OP_MATCH, PCRE2_CASELESS, -1, out[i] = !hit;)
ROWS(similar, uint8_t, OP_SIMILAR, 0, -1, out[i] = hit;)
ROWS(not_similar, uint8_t, OP_SIMILAR, 0, -1, out[i] = !hit;)
ROWS(regexp_like, uint8_t, OP_FUNCTION, 0, 2, out[i] = hit;)

/* Group `n` of the match; NULL when it took no part. */
static void put_group(struct call *c, uint32_t i, const struct regex *x, struct piece s, bool hit, int32_t n)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(x->match);
    if (!hit || n < 0 || (uint32_t)n >= pcre2_get_ovector_count(x->match) || at[2 * n] == PCRE2_UNSET) {
        call_null(c, i);
        return;
    }
    ((struct str *)c->out)[i] = str_view(s.p + at[2 * n], (uint32_t)(at[2 * n + 1] - at[2 * n]));
}

/* Without a group's number: the first group, or the whole match when there is none. */
static int32_t group_of(const struct call *c, const struct regex *x, uint32_t i)
{
    if (c->e->nargs > 2) return ARG(c, 2, int32_t, i);
    return pcre2_get_ovector_count(x->match) > 1;
}
ROWS(regexp_extract, struct str, OP_FUNCTION, 0, -1, put_group(c, i, x, s, hit, group_of(c, x, i));)
ROWS(regexp_substr, struct str, OP_FUNCTION, 0, -1, put_group(c, i, x, s, hit, 0);)

/* Where to look after a match: an empty one must not be found again. */
static uint32_t after_match(const struct regex *x, struct piece s)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(x->match);
    if (at[1] > at[0]) return (uint32_t)at[1];
    return at[1] < s.n ? (uint32_t)at[1] + utf8_length(s.p[at[1]]) : s.n + 1;
}

static enum status count_matches(struct regex *x, struct piece s, bool hit, int32_t *out, struct err *err)
{
    *out = 0;
    while (hit) {
        ++*out;
        uint32_t from = after_match(x, s);
        if (from > s.n) break;
        TRY(search(x, s, from, &hit, err));
    }
    return ST_OK;
}
ROWS(regexp_count, int32_t, OP_FUNCTION, 0, -1, st = count_matches(x, s, hit, &out[i], &err);)

/* The replacement with \1 .. \9 and \& filled in; to: NULL only counts. */
static uint64_t put_replacement(const struct regex *x, struct piece s, struct piece r, char *to)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(x->match);
    uint32_t groups = pcre2_get_ovector_count(x->match);
    uint64_t n = 0;
    for (uint32_t i = 0; i < r.n; i++) {
        struct piece put = {r.p + i, 1};
        char d = r.p[i] == '\\' && i + 1 < r.n ? r.p[i + 1] : 0;
        if (d == '&' || (d >= '0' && d <= '9')) {
            uint32_t k = d == '&' ? 0 : (uint32_t)(d - '0');
            bool set = k < groups && at[2 * k] != PCRE2_UNSET;
            put = set ? (struct piece){s.p + at[2 * k], (uint32_t)(at[2 * k + 1] - at[2 * k])} : (struct piece){s.p, 0};
            i++;
        } else if (d == '\\') {
            i++;
        }
        if (to) memcpy(to + n, put.p, put.n);
        n += put.n;
    }
    return n;
}

/* Two passes: the first measures, the second writes. */
static enum status replace_pass(struct regex *x, struct piece s, struct piece r, bool all, char *to, uint64_t *n,
                                struct err *err)
{
    uint32_t done = 0, from = 0;
    bool hit = true;
    *n = 0;
    while (from <= s.n) {
        TRY(search(x, s, from, &hit, err));
        if (!hit) break;
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(x->match);
        uint32_t start = (uint32_t)at[0], end = (uint32_t)at[1];
        if (to) memcpy(to + *n, s.p + done, start - done);
        *n += start - done;
        *n += put_replacement(x, s, r, to ? to + *n : NULL);
        done = end;
        from = after_match(x, s);
        if (!all) break;
    }
    if (to) memcpy(to + *n, s.p + done, s.n - done);
    *n += s.n - done;
    return *n > 64u << 20 ? err_set(err, E_TOO_LONG, "the result is too long") : ST_OK;
}

static enum status replace_row(struct call *c, struct regex *x, struct piece s, struct piece r, bool all,
                               struct str *out, struct err *err)
{
    uint64_t n;
    TRY(replace_pass(x, s, r, all, NULL, &n, err));
    char *to = call_text(c, n ? n : 1);
    TRY(replace_pass(x, s, r, all, to, &n, err));
    *out = str_view(to, (uint32_t)n);
    return ST_OK;
}
ROWS(regexp_replace, struct str, OP_FUNCTION, 0, 3, {
    if (hit)
        st = replace_row(c, x, s, piece_of(c, 2, i), all, &out[i], &err);
    else
        out[i] = str_view(s.p, s.n);
})

#define TT T_VARCHAR
#define REGEX(NAME, RET, N, RUN, ...)                                                                                  \
    {                                                                                                                  \
        NAME, RET, N, {TT, TT, __VA_ARGS__}, FN_FAILS | FN_COSTLY | FN_KEEPS, RUN, bind_regex                          \
    }

/* clang-format off */
const struct function func_regex[] = {
    REGEX("~", T_BOOL, 2, match, 0), REGEX("~*", T_BOOL, 2, match_any_case, 0),
    REGEX("!~", T_BOOL, 2, no_match, 0), REGEX("!~*", T_BOOL, 2, no_match_any_case, 0),
    REGEX("similar to", T_BOOL, 2, similar, 0), REGEX("similar to", T_BOOL, 3, similar, TT),
    REGEX("not similar to", T_BOOL, 2, not_similar, 0), REGEX("not similar to", T_BOOL, 3, not_similar, TT),
    REGEX("regexp_like", T_BOOL, 2, regexp_like, 0), REGEX("regexp_like", T_BOOL, 3, regexp_like, TT),
    REGEX("regexp_extract", TT, 2, regexp_extract, 0), REGEX("regexp_extract", TT, 3, regexp_extract, T_INT32),
    REGEX("regexp_substr", TT, 2, regexp_substr, 0), REGEX("regexp_count", T_INT32, 2, regexp_count, 0),
    REGEX("regexp_replace", TT, 3, regexp_replace, TT), REGEX("regexp_replace", TT, 4, regexp_replace, TT, TT),
    {0},
};
/* clang-format on */
