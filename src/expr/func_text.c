/* Functions of texts. Positions count code points, from 1. SPDX-License-Identifier: Apache-2.0 */
#include "expr/cell.h"
#include "expr/expr_int.h"
#include "expr/md5.h"
#include "expr/utf8.h"

#include <utf8proc.h>

#define TEXT_MAX (64u << 20) /* the longest result */

struct part {
    const char *p;
    uint32_t n;
};

static struct part text_arg(const struct call *c, int k, uint32_t i)
{
    const struct str *s = &ARG(c, k, struct str, i);
    return (struct part){str_ptr(s), s->n};
}

static int32_t int_arg(const struct call *c, int k, uint32_t i)
{
    return ARG(c, k, int32_t, i);
}

/* A result of known length: bytes to write, then `seal`. Short ones need no memory of their own. */
struct result {
    char *p;
    char few[STR_INLINE];
};

static char *begin(struct call *c, struct result *r, uint64_t n)
{
    return r->p = n > STR_INLINE ? call_text(c, n) : r->few;
}

static struct str seal(const struct result *r, uint32_t n)
{
    return str_view(r->p, n);
}

static bool too_long(struct call *c, uint32_t i, uint64_t n)
{
    if (n <= TEXT_MAX) return false;
    call_fail(c, i, E_TOO_LONG, "the result is too long: at most %u bytes", TEXT_MAX);
    return true;
}

/* A piece of an argument shares its bytes. */
static struct str slice(const struct part *s, uint32_t from, uint32_t to)
{
    return str_view(s->p + from, to - from);
}

/* A kernel whose BODY gives the text of row i. */
#define TEXT(NAME, ...)                                                                                                \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        struct str *out = c->out;                                                                                      \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            out[i] = (struct str){0};                                                                                  \
            if (!call_live(c, i)) continue;                                                                            \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
#define NUMBER(NAME, T, VALUE)                                                                                         \
    static void NAME(struct call *c)                                                                                   \
    {                                                                                                                  \
        T *out = c->out;                                                                                               \
        for (uint32_t i = 0; i < c->n; i++) {                                                                          \
            out[i] = 0;                                                                                                \
            if (!call_live(c, i)) continue;                                                                            \
            struct part s = text_arg(c, 0, i);                                                                         \
            out[i] = (T)(VALUE);                                                                                       \
        }                                                                                                              \
    }

/* ---- measures -------------------------------------------------------------------------------------- */

/* Byte offset of the first match, or n when there is none. */
static uint32_t find(struct part s, struct part t, uint32_t from)
{
    if (!t.n) return from;
    const char *p = s.n - from >= t.n ? memmem(s.p + from, s.n - from, t.p, t.n) : NULL;
    return p ? (uint32_t)(p - s.p) : s.n;
}

static int32_t position_in(struct part s, struct part t)
{
    if (!t.n) return 1;
    uint32_t at = find(s, t, 0);
    return at == s.n ? 0 : (int32_t)utf8_count(s.p, at) + 1;
}

static int32_t first_code(struct part s)
{
    uint32_t n;
    return s.n ? utf8_decode(s.p, &n) : 0;
}

NUMBER(length, int32_t, utf8_count(s.p, s.n))
NUMBER(octet_length, int32_t, s.n)
NUMBER(bit_length, int32_t, s.n * 8)
NUMBER(ascii, int32_t, first_code(s))
NUMBER(strpos, int32_t, position_in(s, text_arg(c, 1, i)))
NUMBER(position, int32_t, position_in(text_arg(c, 1, i), s))

static bool starts(struct part s, struct part t)
{
    return t.n <= s.n && !memcmp(s.p, t.p, t.n);
}
static bool ends(struct part s, struct part t)
{
    return t.n <= s.n && !memcmp(s.p + s.n - t.n, t.p, t.n);
}
NUMBER(starts_with, uint8_t, starts(s, text_arg(c, 1, i)))
NUMBER(ends_with, uint8_t, ends(s, text_arg(c, 1, i)))

/* ---- case ------------------------------------------------------------------------------------------ */

enum { LOWER, UPPER, INITCAP };

static bool is_alnum(int32_t c)
{
    if (c < 128) return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO;
}

static uint32_t change_case(struct part s, int how, char *to)
{
    char *from = to;
    bool inside = false;
    for (uint32_t i = 0, n; i < s.n; i += n) {
        int32_t code = utf8_decode(s.p + i, &n);
        bool up = how == UPPER || (how == INITCAP && !inside);
        inside = is_alnum(code);
        if (code < 128)
            *to++ = (char)(up                           ? (code >= 'a' && code <= 'z' ? code - 32 : code)
                           : code >= 'A' && code <= 'Z' ? code + 32
                                                        : code);
        else
            to += utf8_encode(up && code != 0xdf ? utf8proc_toupper(code)
                              : up               ? code
                                                 : utf8proc_tolower(code),
                              to); /* ß has no capital */
    }
    return (uint32_t)(to - from);
}

/* Without multi-byte characters and words: bytes, in a loop that becomes vector code. */
static bool change_ascii(struct part s, int how, char *to)
{
    char high = 0, first = how == UPPER ? 'a' : 'A';
    for (uint32_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        high |= ch;
        to[i] = (char)(ch ^ ((uint8_t)(ch - first) < 26 ? 32 : 0));
    }
    return high >= 0;
}

static struct str cased(struct call *c, struct part s, int how)
{
    struct result r;
    char *to = begin(c, &r, s.n);
    if (how != INITCAP && change_ascii(s, how, to)) return seal(&r, s.n);
    /* Some code points grow by a byte or two; the room above is then simply unused. */
    if (s.n * 2 > STR_INLINE) r.p = call_text(c, (uint64_t)s.n * 2);
    return seal(&r, change_case(s, how, r.p));
}

TEXT(lower, out[i] = cased(c, text_arg(c, 0, i), LOWER);)
TEXT(upper, out[i] = cased(c, text_arg(c, 0, i), UPPER);)
TEXT(initcap, out[i] = cased(c, text_arg(c, 0, i), INITCAP);)

/* ---- trimming -------------------------------------------------------------------------------------- */

static bool in_set(const char *p, uint32_t n, struct part set)
{
    for (uint32_t i = 0; i < set.n; i += utf8_length(set.p[i]))
        if (utf8_length(set.p[i]) == n && !memcmp(set.p + i, p, n)) return true;
    return false;
}

enum { LEFT = 1, RIGHT = 2, BOTH = 3 };

static struct str trimmed(struct part s, struct part set, int sides)
{
    uint32_t from = 0, to = s.n;
    while (sides & LEFT && from < to && in_set(s.p + from, utf8_length(s.p[from]), set)) from += utf8_length(s.p[from]);
    while (sides & RIGHT && from < to) {
        uint32_t k = to - 1;
        while (k > from && !utf8_starts(s.p[k])) k--;
        if (!in_set(s.p + k, to - k, set)) break;
        to = k;
    }
    return slice(&s, from, to);
}

static struct part trim_set(const struct call *c, uint32_t i)
{
    return c->e->nargs > 1 ? text_arg(c, 1, i) : (struct part){" ", 1};
}
TEXT(btrim, out[i] = trimmed(text_arg(c, 0, i), trim_set(c, i), BOTH);)
TEXT(ltrim, out[i] = trimmed(text_arg(c, 0, i), trim_set(c, i), LEFT);)
TEXT(rtrim, out[i] = trimmed(text_arg(c, 0, i), trim_set(c, i), RIGHT);)

/* ---- pieces ---------------------------------------------------------------------------------------- */

/* Code points [from, to) counted from 1. */
static struct str between(struct part s, int64_t from, int64_t to)
{
    if (from < 1) from = 1;
    if (to <= from) return slice(&s, 0, 0);
    uint32_t a = utf8_offset(s.p, s.n, from - 1);
    struct part rest = {s.p + a, s.n - a};
    return slice(&rest, 0, to - from >= rest.n ? rest.n : utf8_offset(rest.p, rest.n, to - from));
}

TEXT(substring, {
    int64_t from = int_arg(c, 1, i), to = INT64_MAX;
    if (c->e->nargs > 2) {
        int32_t n = int_arg(c, 2, i);
        if (n < 0) {
            call_fail(c, i, E_SUBSTRING, "negative substring length not allowed");
            continue;
        }
        to = from + n;
    }
    out[i] = between(text_arg(c, 0, i), from, to);
})

TEXT(left, {
    struct part s = text_arg(c, 0, i);
    int64_t n = int_arg(c, 1, i);
    out[i] = between(s, 1, 1 + (n < 0 ? utf8_count(s.p, s.n) + n : n));
})

TEXT(right, {
    struct part s = text_arg(c, 0, i);
    int64_t n = int_arg(c, 1, i), count = utf8_count(s.p, s.n);
    out[i] = between(s, 1 + (n < 0 ? -n : n > count ? 0 : count - n), INT64_MAX);
})

/* The n-th field, from the end when n < 0. */
static struct str field(struct part s, struct part by, int64_t n)
{
    if (!by.n) return n == 1 || n == -1 ? slice(&s, 0, s.n) : slice(&s, 0, 0);
    if (n < 0) {
        int64_t fields = 1;
        for (uint32_t at = find(s, by, 0); at < s.n; at = find(s, by, at + by.n)) fields++;
        n += fields + 1;
        if (n < 1) return slice(&s, 0, 0);
    }
    uint32_t from = 0;
    for (; n > 1; n--) {
        uint32_t at = find(s, by, from);
        if (at == s.n) return slice(&s, 0, 0);
        from = at + by.n;
    }
    return slice(&s, from, find(s, by, from));
}

TEXT(split_part, {
    int32_t n = int_arg(c, 2, i);
    if (!n)
        call_fail(c, i, E_ARGUMENT, "field position must not be zero");
    else
        out[i] = field(text_arg(c, 0, i), text_arg(c, 1, i), n);
})

/* ---- new texts ------------------------------------------------------------------------------------- */

TEXT(join, {
    struct part s = text_arg(c, 0, i), t = text_arg(c, 1, i);
    if (too_long(c, i, (uint64_t)s.n + t.n)) continue;
    struct result r;
    char *p = begin(c, &r, (uint64_t)s.n + t.n);
    memcpy(p, s.p, s.n);
    memcpy(p + s.n, t.p, t.n);
    out[i] = seal(&r, s.n + t.n);
})

static uint32_t count_of(struct part s, struct part t)
{
    uint32_t k = 0;
    for (uint32_t at = find(s, t, 0); at < s.n; at = find(s, t, at + t.n)) k++;
    return k;
}

TEXT(replace, {
    struct part s = text_arg(c, 0, i), from = text_arg(c, 1, i), to = text_arg(c, 2, i);
    uint64_t hits = from.n ? count_of(s, from) : 0, n = s.n - hits * from.n + hits * to.n;
    if (!hits) {
        out[i] = slice(&s, 0, s.n);
        continue;
    }
    if (too_long(c, i, n)) continue;
    struct result r;
    char *p = begin(c, &r, n);
    uint32_t at = 0;
    for (; hits; hits--) {
        uint32_t hit = find(s, from, at);
        memcpy(p, s.p + at, hit - at);
        p += hit - at;
        memcpy(p, to.p, to.n);
        p += to.n;
        at = hit + from.n;
    }
    memcpy(p, s.p + at, s.n - at);
    out[i] = seal(&r, (uint32_t)n);
})

TEXT(repeat, {
    struct part s = text_arg(c, 0, i);
    int64_t times = int_arg(c, 1, i);
    if (times < 0) times = 0;
    uint64_t n = (uint64_t)times * s.n;
    if (too_long(c, i, n)) continue;
    struct result r;
    char *p = begin(c, &r, n);
    if (s.n)
        for (int64_t k = 0; k < times; k++) memcpy(p + (uint64_t)k * s.n, s.p, s.n);
    out[i] = seal(&r, (uint32_t)n);
})

TEXT(reverse, {
    struct part s = text_arg(c, 0, i);
    struct result r;
    char *p = begin(c, &r, s.n);
    for (uint32_t k = 0, n; k < s.n; k += n) {
        n = utf8_length(s.p[k]);
        memcpy(p + s.n - k - n, s.p + k, n);
    }
    out[i] = seal(&r, s.n);
})

/* `count` code points of fill, repeated; returns the bytes. */
static uint64_t fill_bytes(struct part fill, int64_t count)
{
    int64_t k = utf8_count(fill.p, fill.n);
    return (uint64_t)(count / k) * fill.n + utf8_offset(fill.p, fill.n, count % k);
}

static void put_fill(char *to, struct part fill, uint64_t n)
{
    for (uint64_t k = 0; k < n; k += fill.n) memcpy(to + k, fill.p, n - k < fill.n ? n - k : fill.n);
}

static struct str padded(struct call *c, uint32_t i, bool left)
{
    struct part s = text_arg(c, 0, i), fill = c->e->nargs > 2 ? text_arg(c, 2, i) : (struct part){" ", 1};
    int64_t want = int_arg(c, 1, i), have = utf8_count(s.p, s.n);
    if (want <= have || !fill.n) return between(s, 1, want + 1);
    uint64_t pad = fill_bytes(fill, want - have);
    if (too_long(c, i, pad + s.n)) return (struct str){0};
    struct result r;
    char *p = begin(c, &r, pad + s.n);
    put_fill(left ? p : p + s.n, fill, pad);
    memcpy(left ? p + pad : p, s.p, s.n);
    return seal(&r, (uint32_t)pad + s.n);
}
TEXT(lpad, out[i] = padded(c, i, true);)
TEXT(rpad, out[i] = padded(c, i, false);)

TEXT(translate, {
    struct part s = text_arg(c, 0, i), from = text_arg(c, 1, i), to = text_arg(c, 2, i);
    if (too_long(c, i, (uint64_t)s.n * 4)) continue;
    struct result r;
    char *p = begin(c, &r, (uint64_t)s.n * 4), *start = p;
    for (uint32_t k = 0, n; k < s.n; k += n) {
        n = utf8_length(s.p[k]);
        uint32_t j = 0, t = 0;
        while (j < from.n && !(utf8_length(from.p[j]) == n && !memcmp(from.p + j, s.p + k, n))) {
            j += utf8_length(from.p[j]);
            if (t < to.n) t += utf8_length(to.p[t]);
        }
        struct part put = {s.p + k, n};
        if (j < from.n) put = t < to.n ? (struct part){to.p + t, utf8_length(to.p[t])} : (struct part){to.p, 0};
        memcpy(p, put.p, put.n);
        p += put.n;
    }
    out[i] = seal(&r, (uint32_t)(p - start));
})

TEXT(overlay, {
    struct part s = text_arg(c, 0, i), t = text_arg(c, 1, i);
    int64_t from = int_arg(c, 2, i), n = c->e->nargs > 3 ? int_arg(c, 3, i) : (int64_t)utf8_count(t.p, t.n);
    if (from < 1) {
        call_fail(c, i, E_SUBSTRING, "negative substring length not allowed");
        continue;
    }
    struct str head = between(s, 1, from), tail = between(s, from + n, INT64_MAX);
    uint64_t total = (uint64_t)head.n + t.n + tail.n;
    if (too_long(c, i, total)) continue;
    struct result r;
    char *p = begin(c, &r, total);
    memcpy(p, str_ptr(&head), head.n);
    memcpy(p + head.n, t.p, t.n);
    memcpy(p + head.n + t.n, str_ptr(&tail), tail.n);
    out[i] = seal(&r, (uint32_t)total);
})

TEXT(chr, {
    int32_t code = int_arg(c, 0, i);
    char buf[4];
    if (code < 0)
        call_fail(c, i, E_ARGUMENT, "character number must be positive");
    else if (!code || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        call_fail(c, i, E_PROGRAM_LIMIT, "not a valid character: %d", code);
    else
        out[i] = str_view(buf, utf8_encode(code, buf));
})

TEXT(md5, {
    struct part s = text_arg(c, 0, i);
    char hex[32];
    md5_hex(s.p, s.n, hex);
    out[i] = call_str(c, hex, 32);
})

static struct str hex_of(struct call *c, uint64_t v)
{
    char buf[16], *p = buf + sizeof buf;
    do {
        *--p = "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v);
    return call_str(c, p, (uint32_t)(buf + sizeof buf - p));
}
TEXT(to_hex32, out[i] = hex_of(c, (uint32_t)int_arg(c, 0, i));)
TEXT(to_hex64, out[i] = hex_of(c, ARG(c, 0, uint64_t, i));)

static struct str quoted(struct call *c, struct part s, char quote)
{
    uint32_t n = s.n + 2;
    for (uint32_t k = 0; k < s.n; k++) n += s.p[k] == quote;
    struct result r;
    char *p = begin(c, &r, n);
    *p++ = quote;
    for (uint32_t k = 0; k < s.n; k++) {
        if (s.p[k] == quote) *p++ = quote;
        *p++ = s.p[k];
    }
    *p = quote;
    return seal(&r, n);
}
TEXT(quote_literal, out[i] = quoted(c, text_arg(c, 0, i), '\'');)

/* ---- concat: any arguments, NULLs passed over -------------------------------------------------------- */

/* BLOBs have no text of bounded size; they are cast before. */
static enum status bind_concat(struct arena *a, struct expr *e, struct err *err)
{
    for (int k = 0; k < e->nargs; k++)
        if (e->args[k]->type.id == T_BLOB)
            TRY(expr_cast(a, e->args[k], TYPE(T_VARCHAR), false, e->args[k]->pos, &e->args[k], err));
    e->type = TYPE(T_VARCHAR);
    return ST_OK;
}

/* The text of argument k; `room` holds what is not one. */
static struct part piece(const struct call *c, int k, uint32_t i, char *room)
{
    struct type t = c->e->args[k]->type;
    if (type_is_text(t)) return text_arg(c, k, i);
    const struct vec *v = &c->args[k];
    const char *cell = (const char *)v->data + type_width(t) * (i & v->mask);
    if (t.id == T_BOOL) return (struct part){*cell ? "t" : "f", 1};
    return (struct part){room, cell_print(t, cell, room)};
}

static struct str concat_row(struct call *c, uint32_t i, int first, struct part between_)
{
    char room[CELL_TEXT_MAX];
    uint64_t n = 0;
    bool some = false;
    for (int k = first; k < c->e->nargs; k++) {
        if (vec_null(&c->args[k], i)) continue;
        n += piece(c, k, i, room).n + (some ? between_.n : 0);
        some = true;
    }
    if (too_long(c, i, n)) return (struct str){0};
    struct result r;
    char *p = begin(c, &r, n);
    some = false;
    for (int k = first; k < c->e->nargs; k++) {
        if (vec_null(&c->args[k], i)) continue;
        if (some) memcpy(p, between_.p, between_.n), p += between_.n;
        struct part s = piece(c, k, i, room);
        memcpy(p, s.p, s.n);
        p += s.n;
        some = true;
    }
    return seal(&r, (uint32_t)n);
}

static void concat(struct call *c)
{
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) out[i] = concat_row(c, i, 0, (struct part){"", 0});
}

static void concat_ws(struct call *c)
{
    struct str *out = c->out;
    for (uint32_t i = 0; i < c->n; i++) {
        out[i] = (struct str){0};
        if (vec_null(&c->args[0], i))
            call_null(c, i);
        else
            out[i] = concat_row(c, i, 1, text_arg(c, 0, i));
    }
}

/* ---- the table --------------------------------------------------------------------------------------- */

#define TT T_VARCHAR
#define II T_INT32

/* clang-format off */
const struct function func_text[] = {
    {"length", II, 1, {TT}, 0, length, NULL}, {"char_length", II, 1, {TT}, 0, length, NULL},
    {"character_length", II, 1, {TT}, 0, length, NULL}, {"octet_length", II, 1, {TT}, 0, octet_length, NULL},
    {"length", II, 1, {T_BLOB}, 0, octet_length, NULL}, {"octet_length", II, 1, {T_BLOB}, 0, octet_length, NULL},
    {"bit_length", II, 1, {TT}, 0, bit_length, NULL}, {"bit_length", II, 1, {T_BLOB}, 0, bit_length, NULL},
    {"ascii", II, 1, {TT}, 0, ascii, NULL}, {"chr", TT, 1, {II}, FN_FAILS, chr, NULL},
    {"strpos", II, 2, {TT, TT}, FN_COSTLY, strpos, NULL}, {"position", II, 2, {TT, TT}, FN_COSTLY, position, NULL},
    {"instr", II, 2, {TT, TT}, FN_COSTLY, strpos, NULL},
    {"starts_with", T_BOOL, 2, {TT, TT}, 0, starts_with, NULL}, {"^@", T_BOOL, 2, {TT, TT}, 0, starts_with, NULL},
    {"ends_with", T_BOOL, 2, {TT, TT}, 0, ends_with, NULL},
    {"lower", TT, 1, {TT}, FN_COSTLY, lower, NULL}, {"upper", TT, 1, {TT}, FN_COSTLY, upper, NULL},
    {"initcap", TT, 1, {TT}, FN_COSTLY, initcap, NULL},
    {"btrim", TT, 1, {TT}, 0, btrim, NULL}, {"btrim", TT, 2, {TT, TT}, FN_COSTLY, btrim, NULL},
    {"trim", TT, 1, {TT}, 0, btrim, NULL}, {"trim", TT, 2, {TT, TT}, FN_COSTLY, btrim, NULL},
    {"ltrim", TT, 1, {TT}, 0, ltrim, NULL}, {"ltrim", TT, 2, {TT, TT}, FN_COSTLY, ltrim, NULL},
    {"rtrim", TT, 1, {TT}, 0, rtrim, NULL}, {"rtrim", TT, 2, {TT, TT}, FN_COSTLY, rtrim, NULL},
    {"substring", TT, 2, {TT, II}, FN_COSTLY, substring, NULL}, {"substring", TT, 3, {TT, II, II}, FN_FAILS, substring, NULL},
    {"substr", TT, 2, {TT, II}, FN_COSTLY, substring, NULL}, {"substr", TT, 3, {TT, II, II}, FN_FAILS, substring, NULL},
    {"left", TT, 2, {TT, II}, FN_COSTLY, left, NULL}, {"right", TT, 2, {TT, II}, FN_COSTLY, right, NULL},
    {"split_part", TT, 3, {TT, TT, II}, FN_FAILS, split_part, NULL},
    {"||", TT, 2, {TT, TT}, FN_FAILS, join, NULL}, {"||", T_BLOB, 2, {T_BLOB, T_BLOB}, FN_FAILS, join, NULL},
    {"replace", TT, 3, {TT, TT, TT}, FN_FAILS, replace, NULL}, {"repeat", TT, 2, {TT, II}, FN_FAILS, repeat, NULL},
    {"reverse", TT, 1, {TT}, FN_COSTLY, reverse, NULL},
    {"lpad", TT, 2, {TT, II}, FN_FAILS, lpad, NULL}, {"lpad", TT, 3, {TT, II, TT}, FN_FAILS, lpad, NULL},
    {"rpad", TT, 2, {TT, II}, FN_FAILS, rpad, NULL}, {"rpad", TT, 3, {TT, II, TT}, FN_FAILS, rpad, NULL},
    {"translate", TT, 3, {TT, TT, TT}, FN_FAILS, translate, NULL},
    {"overlay", TT, 3, {TT, TT, II}, FN_FAILS, overlay, NULL}, {"overlay", TT, 4, {TT, TT, II, II}, FN_FAILS, overlay, NULL},
    {"md5", TT, 1, {TT}, FN_COSTLY, md5, NULL}, {"md5", TT, 1, {T_BLOB}, FN_COSTLY, md5, NULL},
    {"to_hex", TT, 1, {II}, 0, to_hex32, NULL}, {"to_hex", TT, 1, {T_INT64}, 0, to_hex64, NULL},
    {"quote_literal", TT, 1, {TT}, FN_COSTLY, quote_literal, NULL},
    {"concat", TT, 1, {TYPE_ANY}, FN_LAX | FN_VARIADIC | FN_FAILS, concat, bind_concat},
    {"concat_ws", TT, 2, {TT, TYPE_ANY}, FN_LAX | FN_VARIADIC | FN_FAILS, concat_ws, bind_concat},
    {0},
};
/* clang-format on */
