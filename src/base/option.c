/* Reading options by their tables. A key is looked up with `_`, `-` and `.` taken as one; the first table that knows
 * it wins. A default goes through the same parser as what a user writes, so it is documented as it is typed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TABLES_MAX 4

static char plain(char c)
{
    if (c == '_' || c == '-') return '.';
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_name(const char *a, const char *b)
{
    for (; plain(*a) == plain(*b); a++, b++)
        if (!*a) return true;
    return false;
}

bool option_same_name(const char *a, const char *b) { return same_name(a, b); }

/* The place of s among "a|b|c", or -1. */
static int64_t word_find(const char *words, const char *s)
{
    int64_t i = 0;
    for (const char *p = words; *p; i++) {
        size_t n = strcspn(p, "|");
        char word[64];
        INVARIANT(n < sizeof word);
        memcpy(word, p, n);
        word[n] = 0;
        if (same_name(word, s)) return i;
        p += n + (p[n] == '|');
    }
    return -1;
}

/* What a key has in place of the * that the spec's name ends with; NULL: it is none of those. */
static const char *rest_of(const struct option_spec *s, const char *key)
{
    size_t n = strlen(s->name), i = 0;
    if (n < 2 || s->name[n - 1] != '*') return NULL;
    while (i < n - 1 && key[i] && plain(key[i]) == plain(s->name[i])) i++;
    return i == n - 1 && key[i] ? key + i : NULL;
}

static bool is_called(const struct option_spec *s, const char *key)
{
    return same_name(s->name, key) || (s->also && word_find(s->also, key) >= 0) || rest_of(s, key);
}

const struct option_spec *option_find(const struct option_spec *table, const char *key)
{
    for (; table && table->name; table++)
        if (is_called(table, key)) return table;
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------------ */

static const char *skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r') s++;
    return s;
}

struct unit {
    const char *word;
    int64_t factor;
};

/* clang-format off */
static const struct unit durations[] = {
    {"us", 1},           {"microsecond", 1},
    {"ms", 1000},        {"msec", 1000},          {"millisecond", 1000},
    {"s", 1000000},      {"sec", 1000000},        {"second", 1000000},
    {"m", 60000000},     {"min", 60000000},       {"minute", 60000000},
    {"h", 3600000000},   {"hr", 3600000000},      {"hour", 3600000000},
    {"d", 86400000000},  {"day", 86400000000},
    {"w", 604800000000}, {"week", 604800000000},
    {NULL, 0},
};
static const struct unit sizes[] = {
    {"b", 1},         {"byte", 1},
    {"k", 1 << 10},   {"kb", 1 << 10},   {"kib", 1 << 10},
    {"m", 1 << 20},   {"mb", 1 << 20},   {"mib", 1 << 20},
    {"g", 1 << 30},   {"gb", 1 << 30},   {"gib", 1 << 30},
    {"t", 1LL << 40}, {"tb", 1LL << 40}, {"tib", 1LL << 40},
    {NULL, 0},
};
/* As messages write them, largest first. */
static const struct unit time_units[] = {{" d", 86400000000}, {" h", 3600000000}, {" min", 60000000},
                                         {" s", 1000000},     {" ms", 1000},      {" us", 1}};
static const struct unit size_units[] = {{" TiB", 1LL << 40}, {" GiB", 1 << 30}, {" MiB", 1 << 20}, {" KiB", 1 << 10}, {"", 1}};
static const struct unit plain_units[] = {{"", 1}};
/* clang-format on */

/* The factor of the word at *s, a plural s allowed; 0: none. Moves *s past it. */
static int64_t unit_at(const struct unit *units, const char **s)
{
    char word[16];
    size_t n = 0;
    const char *p = *s;
    while ((*p | 32) >= 'a' && (*p | 32) <= 'z' && n < sizeof word - 1) word[n++] = (char)(*p++ | 32);
    word[n] = 0;
    *s = p;
    for (const struct unit *u = units; u->word; u++) {
        size_t len = strlen(u->word);
        bool plural = n == len + 1 && len > 1 && word[len] == 's';
        if (!strncmp(word, u->word, len) && (n == len || plural)) return u->factor;
    }
    return 0;
}

/* digits[.digits], scaled by 10^6 to keep fractions exact; false when there is no number or it is too large. */
static bool number_at(const char **s, __int128 *micro)
{
    const char *p = *s;
    __int128 v = 0;
    int digits = 0;
    for (; *p >= '0' && *p <= '9' && digits < 20; p++, digits++) v = v * 10 + (*p - '0');
    v *= 1000000;
    if (*p == '.') {
        int64_t scale = 100000;
        for (p++; *p >= '0' && *p <= '9'; p++, digits++, scale /= 10) v += (*p - '0') * scale;
    }
    if (!digits || (*p >= '0' && *p <= '9')) return false;
    *s = p;
    *micro = v;
    return true;
}

/* One or more "number unit"; a number without unit needs `bare` > 0. */
static bool quantity_parse(const char *s, const struct unit *units, int64_t bare, bool many, int64_t *out)
{
    __int128 sum = 0;
    int terms = 0;
    for (s = skip_blanks(s); *s; s = skip_blanks(s), terms++) {
        __int128 micro;
        if ((terms && !many) || !number_at(&s, &micro)) return false;
        s = skip_blanks(s);
        int64_t factor = *s && !(*s >= '0' && *s <= '9') ? unit_at(units, &s) : micro == 0 ? 1 : bare;
        if (!factor) return false;
        sum += micro * factor;
        if (sum / 1000000 > INT64_MAX) return false;
    }
    if (!terms) return false;
    *out = (int64_t)(sum / 1000000);
    return true;
}

bool duration_parse(const char *s, int64_t bare_unit_us, int64_t *out_us)
{
    return quantity_parse(s, durations, bare_unit_us, true, out_us);
}

bool size_parse(const char *s, int64_t *out)
{
    return quantity_parse(s, sizes, 1, false, out);
}

static bool bool_parse(const char *s, int64_t *out)
{
    static const char *const words[][2] = {
        {"false", "true"},
        {"off",   "on"  },
        {"no",    "yes" },
        {"0",     "1"   }
    };
    for (size_t i = 0; i < countof(words); i++)
        for (int v = 0; v < 2; v++)
            if (!text_casecmp(s, words[i][v])) {
                *out = v;
                return true;
            }
    return false;
}

static bool int_parse(const char *s, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *skip_blanks(end)) return false;
    *out = v;
    return true;
}

static bool double_parse(const char *s, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(s, &end);
    return !errno && end != s && !*skip_blanks(end);
}

static bool char_parse(const char *s, int64_t *out)
{
    static const struct {
        const char *word;
        char c;
    } names[] = {
        {"\\t",       '\t'},
        {"tab",       '\t'},
        {"\\n",       '\n'},
        {"\\r",       '\r'},
        {"\\\\",      '\\'},
        {"space",     ' ' },
        {"comma",     ',' },
        {"semicolon", ';' },
        {"pipe",      '|' },
    };
    if (s[0] && !s[1]) {
        *out = (unsigned char)s[0];
        return true;
    }
    for (size_t i = 0; i < countof(names); i++)
        if (!text_casecmp(s, names[i].word)) {
            *out = (unsigned char)names[i].c;
            return true;
        }
    return false;
}

static bool enum_parse(const char *values, const char *s, int64_t *out)
{
    int64_t i = word_find(values, s);
    if (i >= 0) *out = i;
    return i >= 0;
}

static bool bare_ms(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && same_name(name + n - 3, ".ms");
}

static const char *wanted(const struct option_spec *s)
{
    switch (s->type) {
    case OPT_BOOL: return "true or false";
    case OPT_INT: return "an integer";
    case OPT_DOUBLE: return "a number";
    case OPT_SIZE: return "a size such as '64 MiB'";
    case OPT_DURATION: return bare_ms(s->name) ? "milliseconds" : "a duration with its unit, such as '250 ms' or '5 s'";
    case OPT_CHAR: return "one character of one byte";
    default: return "text";
    }
}

/* key: what the user calls the option. */
static bool value_parse(const struct option_spec *s, const char *key, const char *text, struct option_value *v)
{
    switch (s->type) {
    case OPT_TEXT: return true;
    case OPT_BOOL: return bool_parse(text, &v->i);
    case OPT_INT: return int_parse(text, &v->i);
    case OPT_DOUBLE: return double_parse(text, &v->d);
    case OPT_SIZE: return size_parse(text, &v->i);
    case OPT_DURATION: return duration_parse(text, bare_ms(key) ? 1000 : 0, &v->i);
    case OPT_ENUM: return enum_parse(s->values, text, &v->i);
    case OPT_CHAR: return char_parse(text, &v->i);
    }
    return false;
}

bool option_default_fits(const struct option_spec *s)
{
    struct option_value v = {.spec = s};
    return !s->dflt || value_parse(s, s->name, s->dflt, &v);
}

static bool in_bounds(const struct option_spec *s, const struct option_value *v)
{
    bool bounded = s->max > s->min && (s->type == OPT_INT || s->type == OPT_SIZE || s->type == OPT_DURATION);
    return !bounded || (v->i >= s->min && v->i <= s->max);
}

/* A bound in the largest unit that divides it. */
static void bound_put(const struct option_spec *s, int64_t n, struct text *out)
{
    const struct unit *u = s->type == OPT_INT ? plain_units : s->type == OPT_SIZE ? size_units : time_units;
    while (u->factor > 1 && (!n || n % u->factor)) u++;
    text_printf(out, "%lld%s", (long long)(n / u->factor), n ? u->word : "");
}

static enum status out_of_bounds(const char *what, const struct option_spec *s, const struct option_in *in,
                                 struct err *err)
{
    struct text range = {0};
    bound_put(s, s->min, &range);
    text_puts(&range, " and ");
    bound_put(s, s->max, &range);
    err_at(err, E_CONNECTOR_OPTION, in->value_pos, "option '%s' of %s must lie between %s", s->name, what,
           text_cstr(&range));
    text_done(&range);
    return E_CONNECTOR_OPTION;
}

static enum status bad_value(const char *what, const struct option_spec *s, const struct option_in *in, struct err *err)
{
    const char *shown = s->flags & OPT_SECRET ? "***" : in->value;
    if (s->type == OPT_ENUM) {
        err_at(err, E_CONNECTOR_OPTION, in->value_pos, "option '%s' of %s cannot be '%.100s'", s->name, what, shown);
        struct text choices = {0};
        for (const char *p = s->values; *p; p++) {
            if (*p == '|')
                text_puts(&choices, ", ");
            else
                text_putc(&choices, *p);
        }
        err_hint(err, "one of: %s", text_cstr(&choices));
        text_done(&choices);
        return E_CONNECTOR_OPTION;
    }
    err_at(err, E_CONNECTOR_OPTION, in->value_pos, "option '%s' of %s takes %s, not '%.100s'", s->name, what, wanted(s),
           shown);
    if (s->sentence) err_hint(err, "%s: %s", s->name, s->sentence);
    return E_CONNECTOR_OPTION;
}

/* ---- tables ------------------------------------------------------------------------------------ */

static bool shadowed(const struct options *o, const char *name)
{
    for (int i = 0; i < o->n; i++)
        if (same_name(o->values[i].spec->name, name)) return true;
    return false;
}

static struct options *options_blank(struct arena *a, const struct option_spec *const *tables, int ntables, int given)
{
    int n = given;
    for (int t = 0; t < ntables; t++)
        for (const struct option_spec *s = tables[t]; s && s->name; s++) n++;
    struct options *o = arena_alloc(a, sizeof *o);
    o->values = arena_alloc(a, sizeof *o->values * (size_t)(n ? n : 1));
    for (int t = 0; t < ntables; t++)
        for (const struct option_spec *s = tables[t]; s && s->name; s++)
            if (!shadowed(o, s->name)) o->values[o->n++].spec = s;
    return o;
}

static struct option_value *value_find(const struct options *o, const char *key)
{
    for (int i = 0; i < o->n; i++)
        if (!o->values[i].rest && is_called(o->values[i].spec, key)) return &o->values[i];
    return NULL;
}

/* A value of its own for each name in place of the *; the spec's own stays unset. */
static enum status add_named(struct arena *a, struct options *o, const struct option_value *named, const struct option_in *in,
                             struct option_value **out, struct err *err)
{
    const char *rest = rest_of(named->spec, in->key);
    for (int i = 0; i < o->n; i++)
        if (o->values[i].spec == named->spec && o->values[i].rest && same_name(o->values[i].rest, rest))
            return err_at(err, E_OPTION, in->pos, "option '%.100s' is given twice", in->key);
    *out = &o->values[o->n++];
    **out = (struct option_value){.spec = named->spec, .rest = arena_strdup(a, rest)};
    return ST_OK;
}

/* Those that may be given. */
static const char *nth_name(const void *ctx, int i)
{
    const struct options *o = ctx;
    for (int k = 0; k < o->n; k++)
        if (!(o->values[k].spec->flags & OPT_REFUSED) && !i--) return o->values[k].spec->name;
    return NULL;
}

static const char *nth(const void *ctx, int i) { return ((const char *const *)ctx)[i]; }

/* The name, or other name, that was meant, or NULL. */
static const char *nearest(struct arena *a, const struct options *o, const char *key)
{
    int n = 0;
    for (int i = 0; i < o->n; i++) n += 2 + (int)strlen(o->values[i].spec->also ? o->values[i].spec->also : "");
    const char **names = arena_alloc(a, sizeof *names * (size_t)(n + 1)), *name;
    n = 0;
    for (int i = 0; (name = nth_name(o, i)); i++) names[n++] = name;
    for (int i = 0; i < o->n; i++)
        for (const char *p = o->values[i].spec->also; p && *p && !(o->values[i].spec->flags & OPT_REFUSED); p += *p == '|') {
            size_t length = strcspn(p, "|");
            names[n++] = arena_strndup(a, p, length);
            p += length;
        }
    names[n] = NULL;
    return text_nearest(key, nth, names);
}

static enum status unknown(struct arena *a, const char *what, const struct options *o, const struct option_in *in, struct err *err)
{
    err_at(err, E_OPTION, in->pos, "%s has no option '%.100s'", what, in->key);
    const char *near = nearest(a, o, in->key);
    if (near) {
        err_hint(err, "did you mean '%s'?", near);
        return E_OPTION;
    }
    struct text all = {.max = 200};
    const char *name;
    for (int i = 0; (name = nth_name(o, i)); i++) text_printf(&all, "%s%s", i ? ", " : "", name);
    err_hint(err, "its options: %s%s", text_cstr(&all), all.full ? ", ..." : "");
    text_done(&all);
    return E_OPTION;
}

static enum status refused(const char *what, const struct option_spec *s, const struct option_in *in, struct err *err)
{
    err_at(err, E_OPTION, in->pos, "%s does not take the option '%.100s'", what, in->key);
    err_hint(err, "%s", s->sentence);
    return E_OPTION;
}

static enum status read_one(struct arena *a, const char *what, struct options *o, const struct option_in *in,
                            struct err *err)
{
    struct option_value *v = value_find(o, in->key);
    if (!v) return unknown(a, what, o, in, err);
    if (v->spec->flags & OPT_REFUSED) return refused(what, v->spec, in, err);
    if (rest_of(v->spec, in->key)) TRY(add_named(a, o, v, in, &v, err));
    if (v->set) return err_at(err, E_OPTION, in->pos, "option '%s' is given twice", v->spec->name);
    if (!value_parse(v->spec, in->key, in->value, v)) return bad_value(what, v->spec, in, err);
    if (!in_bounds(v->spec, v)) return out_of_bounds(what, v->spec, in, err);
    v->set = true;
    v->text = arena_strdup(a, in->value);
    return ST_OK;
}

static enum status read_default(const char *what, struct option_value *v, struct err *err)
{
    if (v->set || v->rest) return ST_OK;
    if (v->spec->flags & OPT_REQUIRED) {
        err_set(err, E_CONFIG_MISSING, "%s needs the option '%s'", what, v->spec->name);
        if (v->spec->sentence) err_hint(err, "%s: %s", v->spec->name, v->spec->sentence);
        return E_CONFIG_MISSING;
    }
    v->text = v->spec->dflt;
    INVARIANT(!v->text || value_parse(v->spec, v->spec->name, v->text, v));
    return ST_OK;
}

enum status options_read(struct arena *a, const char *what, const struct option_spec *const *tables, int ntables,
                         const struct option_in *in, int n, struct options **out, struct err *err)
{
    INVARIANT(ntables <= TABLES_MAX);
    struct options *o = options_blank(a, tables, ntables, n);
    for (int i = 0; i < n; i++) TRY(read_one(a, what, o, &in[i], err));
    for (int i = 0; i < o->n; i++) TRY(read_default(what, &o->values[i], err));
    *out = o;
    return ST_OK;
}

const struct option_value *options_get(const struct options *o, const char *name)
{
    const struct option_value *v = value_find(o, name);
    INVARIANT(v);
    return v;
}

const char *options_text(const struct options *o, const char *name)
{
    return options_get(o, name)->text;
}
int64_t options_int(const struct options *o, const char *name)
{
    return options_get(o, name)->i;
}

bool options_has(const struct options *o, const char *name)
{
    const struct option_value *v = value_find(o, name);
    return v && v->text;
}

const struct option_value *options_nth(const struct options *o, const char *name, int i)
{
    const struct option_spec *spec = options_get(o, name)->spec;
    for (int k = 0; k < o->n; k++)
        if (o->values[k].spec == spec && o->values[k].rest && !i--) return &o->values[k];
    return NULL;
}
