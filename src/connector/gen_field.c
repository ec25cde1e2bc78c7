/* Generated columns: reading their specifications and filling them, a whole column at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connector/gen_field.h"

#include "base/text.h"
#include "expr/cell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ARGS_MAX 256
#define ZIPF_MAX 1000000

static const struct {
    const char *name;
    int min_args, max_args;
} kinds[GEN_KINDS] = {
    [GEN_SEQUENCE] = {"sequence", 0, 2}, [GEN_UNIFORM] = {"uniform", 0, 2}, [GEN_NORMAL] = {"normal", 0, 2},
    [GEN_ZIPF] = {"zipf", 1, 2},         [GEN_CHOICE] = {"choice", 1, ARGS_MAX}, [GEN_CONSTANT] = {"constant", 1, 1},
    [GEN_WALK] = {"walk", 0, 2},         [GEN_TEXT] = {"text", 0, 2},       [GEN_TIME] = {"time", 0, 0},
    [GEN_NOW] = {"now", 0, 0},           [GEN_UUID] = {"uuid", 0, 0},
};

static const char *kind_name(const void *ctx, int i) { return (void)ctx, i < GEN_KINDS ? kinds[i].name : NULL; }

/* ---- reading ------------------------------------------------------------------------------------------ */

struct reader {
    struct arena *arena;
    const struct schema *declared;
    const char *p; /* what is left */
    const char *column;
    int nargs;
    const char *args[ARGS_MAX];
    int walks;
    struct err *err;
};

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static void skip_blanks(struct reader *r)
{
    while (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r') r->p++;
}

static bool skip(struct reader *r, char c)
{
    skip_blanks(r);
    if (*r->p != c) return false;
    r->p++;
    return true;
}

static enum status expected(struct reader *r, const char *what)
{
    err_set(r->err, E_CONNECTOR_OPTION, "option fields: expected %s at \"%.20s\"", what, *r->p ? r->p : "the end");
    err_hint(r->err, "for example: fields = 'id: sequence, price: walk(100, 0.5), side: choice(buy, sell)'");
    return E_CONNECTOR_OPTION;
}

/* Text between quotes, where a doubled quote stands for one. */
static enum status read_quoted(struct reader *r, char quote, const char **out)
{
    char *to = arena_alloc(r->arena, strlen(r->p) + 1);
    *out = to;
    for (r->p++; *r->p; r->p++) {
        if (*r->p == quote && *++r->p != quote) return *to = 0, ST_OK;
        *to++ = *r->p;
    }
    return expected(r, "a closing quote");
}

static enum status read_name(struct reader *r, const char **out)
{
    skip_blanks(r);
    if (*r->p == '"') return read_quoted(r, '"', out);
    const char *p = r->p;
    while (is_name(*r->p)) r->p++;
    if (p == r->p) return expected(r, "a name");
    *out = arena_strndup(r->arena, p, (size_t)(r->p - p));
    return ST_OK;
}

static enum status read_arg(struct reader *r)
{
    if (r->nargs == ARGS_MAX) return expected(r, "fewer arguments");
    skip_blanks(r);
    const char **out = &r->args[r->nargs++];
    if (*r->p == '\'' || *r->p == '"') return read_quoted(r, *r->p, out);
    const char *p = r->p;
    while (*r->p && *r->p != ',' && *r->p != ')') r->p++;
    const char *end = r->p;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n')) end--;
    *out = arena_strndup(r->arena, p, (size_t)(end - p));
    return ST_OK;
}

static enum status read_args(struct reader *r)
{
    r->nargs = 0;
    if (!skip(r, '(')) return ST_OK;
    if (skip(r, ')')) return ST_OK;
    do TRY(read_arg(r));
    while (skip(r, ','));
    return skip(r, ')') ? ST_OK : expected(r, "\")\"");
}

static enum status invalid(struct reader *r, const struct gen_field *f, const char *why)
{
    return err_set(r->err, E_CONNECTOR_OPTION, "option fields: column \"%s\": %s %s", r->column, kinds[f->kind].name, why);
}

static enum status number(struct reader *r, const struct gen_field *f, int i, double dflt, double *out)
{
    *out = dflt;
    if (i >= r->nargs) return ST_OK;
    if (!cell_parse_double(r->args[i], strlen(r->args[i]), out) || !isfinite(*out))
        return invalid(r, f, "takes numbers");
    return ST_OK;
}

static enum status whole(struct reader *r, const struct gen_field *f, int i, int64_t dflt, int64_t *out)
{
    *out = dflt;
    if (i >= r->nargs) return ST_OK;
    if (!cell_parse_int64(r->args[i], strlen(r->args[i]), out)) return invalid(r, f, "takes whole numbers here");
    return ST_OK;
}

/* ---- kinds of columns ----------------------------------------------------------------------------------- */

static void int_range(struct type t, int64_t *lo, int64_t *hi)
{
    int bits = (int)type_width(t) * 8;
    *hi = (int64_t)(UINT64_MAX >> (65 - bits));
    *lo = -*hi - 1;
}

static bool is_numeric(struct type t) { return type_is_number(t); }

static bool fits(enum gen_kind kind, struct type t)
{
    switch (kind) {
    case GEN_SEQUENCE:
    case GEN_ZIPF: return is_numeric(t) || t.id == T_VARCHAR;
    case GEN_UNIFORM: return is_numeric(t) || t.id == T_BOOL;
    case GEN_NORMAL:
    case GEN_WALK: return is_numeric(t);
    case GEN_TEXT: return t.id == T_VARCHAR;
    case GEN_TIME:
    case GEN_NOW: return type_is_time(t) || t.id == T_INT64 || t.id == T_DATE;
    case GEN_UUID: return t.id == T_UUID;
    default: return type_width(t) > 0 && t.id != T_NULL;
    }
}

static enum status set_uniform(struct reader *r, struct gen_field *f)
{
    if (!type_is_integer(f->type)) {
        double dflt = f->type.id == T_DECIMAL ? 100 : 1, max;
        TRY(number(r, f, 0, 0, &f->a));
        TRY(number(r, f, 1, dflt, &max));
        f->b = max - f->a;
        return f->b >= 0 ? ST_OK : invalid(r, f, "needs min <= max");
    }
    int64_t lo, hi, max;
    int_range(f->type, &lo, &hi);
    TRY(whole(r, f, 0, 0, &f->first));
    TRY(whole(r, f, 1, 99, &max));
    if (f->first < lo || max > hi) return invalid(r, f, "has a bound that the column's type cannot hold");
    if (max < f->first) return invalid(r, f, "needs min <= max");
    f->step = (int64_t)((uint64_t)max - (uint64_t)f->first + 1);
    return ST_OK;
}

/* Walker's alias method: a uniform slot, kept with probability keep / 2^32, else its alias. */
static void make_alias(struct gen_field *f, const double *weight, double sum, struct arena *a)
{
    f->keep = arena_alloc(a, sizeof(uint32_t) * f->n);
    f->alias = arena_alloc(a, sizeof(uint32_t) * f->n);
    double *share = mem_alloc(sizeof(double) * f->n);
    uint32_t *small = mem_alloc(sizeof(uint32_t) * f->n), *large = mem_alloc(sizeof(uint32_t) * f->n);
    uint32_t nsmall = 0, nlarge = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        share[i] = weight[i] / sum * f->n;
        if (share[i] < 1)
            small[nsmall++] = i;
        else
            large[nlarge++] = i;
        f->keep[i] = UINT32_MAX;
        f->alias[i] = i;
    }
    while (nsmall && nlarge) {
        uint32_t s = small[--nsmall], l = large[nlarge - 1];
        f->keep[s] = (uint32_t)(share[s] * UINT32_MAX);
        f->alias[s] = l;
        share[l] -= 1 - share[s];
        if (share[l] < 1) small[nsmall++] = large[--nlarge];
    }
    mem_free(share);
    mem_free(small);
    mem_free(large);
}

static enum status set_zipf(struct reader *r, struct gen_field *f)
{
    int64_t n, lo, hi;
    TRY(whole(r, f, 0, 0, &n));
    TRY(number(r, f, 1, 1, &f->a));
    if (n < 1 || n > ZIPF_MAX) return invalid(r, f, "takes 1 to 1000000 numbers");
    if (type_is_integer(f->type) && (int_range(f->type, &lo, &hi), n - 1 > hi))
        return invalid(r, f, "has more numbers than the column's type holds");
    f->n = (uint32_t)n;
    double *weight = mem_alloc(sizeof(double) * f->n), sum = 0;
    for (uint32_t i = 0; i < f->n; i++) sum += weight[i] = pow(i + 1, -f->a);
    make_alias(f, weight, sum, r->arena);
    mem_free(weight);
    return ST_OK;
}

static enum status set_choice(struct reader *r, struct gen_field *f)
{
    size_t width = type_width(f->type);
    f->n = (uint32_t)r->nargs;
    f->table = arena_alloc(r->arena, width * f->n);
    for (uint32_t i = 0; i < f->n; i++) {
        struct err why = {0};
        if (cell_parse(f->type, r->args[i], strlen(r->args[i]), f->table + width * i, &why))
            return err_set(r->err, E_CONNECTOR_OPTION, "option fields: column \"%s\": %s", r->column, why.text);
        if (type_is_text(f->type) && strlen(r->args[i]) > STR_INLINE) f->long_text = true;
    }
    return ST_OK;
}

static enum status set_walk(struct reader *r, struct gen_field *f)
{
    if (r->walks == GEN_WALKS)
        return err_set(r->err, E_CONNECTOR_OPTION, "option fields: at most %d columns walk", GEN_WALKS);
    f->walk = r->walks++;
    TRY(number(r, f, 0, 100, &f->a));
    return number(r, f, 1, 1, &f->b);
}

static enum status set_args(struct reader *r, struct gen_field *f)
{
    if (r->nargs < kinds[f->kind].min_args || r->nargs > kinds[f->kind].max_args)
        return invalid(r, f, "has a wrong number of arguments");
    if (!fits(f->kind, f->type)) {
        char name[64];
        return err_set(r->err, E_CONNECTOR_OPTION, "option fields: column \"%s\": %s does not make %s", r->column,
                       kinds[f->kind].name, type_name(f->type, name));
    }
    f->scale = f->type.id == T_DECIMAL ? pow(10, f->type.scale) : 1;
    switch (f->kind) {
    case GEN_SEQUENCE:
        TRY(whole(r, f, 0, 0, &f->first));
        return whole(r, f, 1, 1, &f->step);
    case GEN_UNIFORM: return set_uniform(r, f);
    case GEN_NORMAL:
        TRY(number(r, f, 0, 0, &f->a));
        return number(r, f, 1, 1, &f->b);
    case GEN_ZIPF: return set_zipf(r, f);
    case GEN_CHOICE:
    case GEN_CONSTANT: return set_choice(r, f);
    case GEN_WALK: return set_walk(r, f);
    case GEN_TEXT:
        TRY(number(r, f, 0, 8, &f->a));
        TRY(number(r, f, 1, f->a, &f->b));
        return f->a >= 0 && f->b >= f->a && f->b <= 4096 ? ST_OK : invalid(r, f, "takes lengths 0 <= min <= max <= 4096");
    default: return ST_OK;
    }
}

static enum gen_kind kind_by_type(struct type t)
{
    switch (t.id) {
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
    case T_DATE: return GEN_TIME;
    case T_VARCHAR: return GEN_SEQUENCE;
    case T_UUID: return GEN_UUID;
    default: return type_is_integer(t) ? GEN_SEQUENCE : is_numeric(t) || t.id == T_BOOL ? GEN_UNIFORM : GEN_KINDS;
    }
}

static const char *column_name(const void *ctx, int i)
{
    const struct schema *s = ctx;
    return i < s->n ? s->fields[i].name : NULL;
}

static enum status find_column(struct reader *r, int *col)
{
    *col = schema_find(r->declared, r->column);
    if (*col >= 0) return ST_OK;
    err_set(r->err, E_COLUMN, "option fields: there is no column \"%s\"", r->column);
    const char *near = text_nearest(r->column, column_name, r->declared);
    if (near) err_hint(r->err, "did you mean \"%s\"?", near);
    return E_COLUMN;
}

static enum status find_kind(struct reader *r, const char *name, enum gen_kind *out)
{
    for (int k = 0; k < GEN_KINDS; k++)
        if (!text_casecmp(name, kinds[k].name)) return *out = (enum gen_kind)k, ST_OK;
    err_set(r->err, E_CONNECTOR_OPTION, "option fields: column \"%s\": there is no kind \"%s\"", r->column, name);
    const char *near = text_nearest(name, kind_name, NULL);
    if (near) err_hint(r->err, "did you mean \"%s\"?", near);
    return E_CONNECTOR_OPTION;
}

static enum status read_nulls(struct reader *r, struct gen_field *f)
{
    double fraction;
    skip_blanks(r);
    if (*r->p == ',' || !*r->p) return ST_OK;
    const char *word;
    TRY(read_name(r, &word));
    if (text_casecmp(word, "null")) return expected(r, "\",\" or null(fraction)");
    TRY(read_args(r));
    if (r->nargs != 1 || number(r, f, 0, 0, &fraction) || fraction < 0 || fraction > 1)
        return expected(r, "null(fraction) with 0 <= fraction <= 1");
    f->nulls = (uint64_t)(fraction * 0x1p32);
    return ST_OK;
}

static enum status read_field(struct reader *r, struct gen_field *fields, bool *named)
{
    int col;
    const char *kind;
    TRY(read_name(r, &r->column));
    TRY(find_column(r, &col));
    if (named[col]) return err_set(r->err, E_CONNECTOR_OPTION, "option fields: column \"%s\" stands twice", r->column);
    named[col] = true;
    if (!skip(r, ':')) return expected(r, "\":\"");
    TRY(read_name(r, &kind));
    TRY(find_kind(r, kind, &fields[col].kind));
    TRY(read_args(r));
    TRY(set_args(r, &fields[col]));
    return read_nulls(r, &fields[col]);
}

static enum status set_default(struct reader *r, struct gen_field *f, const struct schema *s, int col)
{
    r->column = s->fields[col].name;
    r->nargs = 0;
    f->kind = col == s->time_column ? GEN_TIME : kind_by_type(f->type);
    if (f->kind != GEN_KINDS) return set_args(r, f);
    char name[64];
    err_set(r->err, E_CONNECTOR_OPTION, "column \"%s\": the generator makes no %s by itself", r->column,
            type_name(f->type, name));
    err_hint(r->err, "say what it holds: fields = '%s: choice(...)'", r->column);
    return E_CONNECTOR_OPTION;
}

/* The random numbers of a column hang on its name, so that they are the same whichever columns are read. */
static uint64_t column_key(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return gen_random(seed, hash);
}

static enum status read_fields(struct reader *r, struct gen_field *fields, bool *named)
{
    skip_blanks(r);
    if (*r->p) do TRY(read_field(r, fields, named));
        while (skip(r, ','));
    return *r->p ? expected(r, "\",\"") : ST_OK;
}

enum status gen_field_parse(struct arena *a, const struct schema *s, const struct schema *declared, const char *text,
                            uint64_t seed, struct gen_field **out, struct err *err)
{
    struct reader r = {.arena = a, .declared = declared, .p = text ? text : "", .err = err};
    struct gen_field *fields = arena_alloc(a, sizeof *fields * (size_t)(declared->n + 1));
    bool *named = arena_alloc(a, (size_t)declared->n + 1);
    *out = arena_alloc(a, sizeof **out * (size_t)(s->n + 1));
    for (int i = 0; i < declared->n; i++) {
        const struct field *f = &declared->fields[i];
        fields[i] = (struct gen_field){.type = f->type, .key = column_key(seed, f->name), .walk = -1};
    }
    TRY(read_fields(&r, fields, named));
    for (int i = 0; i < s->n; i++) {
        int col = schema_find(declared, s->fields[i].name);
        INVARIANT(col >= 0);
        if (!named[col]) TRY(set_default(&r, &fields[col], declared, col));
        (*out)[i] = fields[col];
    }
    return ST_OK;
}

/* ---- filling -------------------------------------------------------------------------------------------- */

static void make_ints(const struct gen_field *f, const struct gen_rows *r, int64_t *to)
{
    uint64_t row = r->first;
    switch (f->kind) {
    case GEN_SEQUENCE:
        for (uint32_t i = 0; i < r->n; i++) to[i] = (int64_t)((uint64_t)f->first + (row + i) * (uint64_t)f->step);
        break;
    case GEN_ZIPF:
        for (uint32_t i = 0; i < r->n; i++) {
            uint64_t x = gen_random(f->key, row + i);
            uint32_t slot = (uint32_t)((x >> 32) * f->n >> 32);
            to[i] = (uint32_t)x <= f->keep[slot] ? slot : f->alias[slot];
        }
        break;
    default: {
        uint64_t first = (uint64_t)f->first, n = (uint64_t)f->step;
        for (uint32_t i = 0; i < r->n; i++) to[i] = (int64_t)(first + gen_below(gen_random(f->key, row + i), n));
    }
    }
}

static double unit(uint64_t x) { return (double)(x >> 11) * 0x1p-53; }

/* Box and Muller's, from the two halves of one random number. */
static double normal(uint64_t x)
{
    double u = ((double)(x >> 32) + 1) * 0x1p-32, v = (double)(uint32_t)x * 0x1p-32;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static void make_doubles(const struct gen_field *f, const struct gen_rows *r, double *to)
{
    uint64_t row = r->first;
    if (f->kind == GEN_UNIFORM) {
        for (uint32_t i = 0; i < r->n; i++) to[i] = f->a + unit(gen_random(f->key, row + i)) * f->b;
    } else if (f->kind == GEN_NORMAL) {
        for (uint32_t i = 0; i < r->n; i++) to[i] = f->a + normal(gen_random(f->key, row + i)) * f->b;
    } else {
        double at = r->walks[f->walk];
        for (uint32_t i = 0; i < r->n; i++) {
            to[i] = f->a + at;
            at += normal(gen_random(f->key, row + i)) * f->b;
        }
        r->walks[f->walk] = at;
    }
}

/* "v" and the number: short enough for a view up to 11 digits. */
static void put_names(const int64_t *from, uint32_t n, struct batch *b, struct str *to)
{
    for (uint32_t i = 0; i < n; i++) {
        char text[CELL_TEXT_MAX] = "v";
        uint32_t m = 1 + cell_print_int64(from[i], text + 1);
        to[i] = batch_str(b, text, m);
    }
}

#define STORE(T)                                                                                                       \
    do {                                                                                                               \
        T *to_ = to;                                                                                                   \
        for (uint32_t i = 0; i < n; i++) to_[i] = (T)from[i];                                                          \
    } while (0)

static void store_ints(const struct gen_field *f, const int64_t *from, uint32_t n, struct batch *b, void *to)
{
    switch (f->type.id) {
    case T_INT8: STORE(int8_t); break;
    case T_INT16: STORE(int16_t); break;
    case T_INT32: STORE(int32_t); break;
    case T_INT64: STORE(int64_t); break;
    case T_FLOAT: STORE(float); break;
    case T_DOUBLE: STORE(double); break;
    case T_DECIMAL:
        for (uint32_t i = 0; i < n; i++) ((int128 *)to)[i] = (int128)from[i] * (int128)f->scale;
        break;
    default: put_names(from, n, b, to); break;
    }
}

static void store_doubles(const struct gen_field *f, const double *from, uint32_t n, void *to)
{
    int64_t lo, hi;
    switch (f->type.id) {
    case T_FLOAT: STORE(float); break;
    case T_DOUBLE: STORE(double); break;
    case T_BOOL:
        for (uint32_t i = 0; i < n; i++) ((uint8_t *)to)[i] = from[i] >= 0.5;
        break;
    case T_DECIMAL:
        for (uint32_t i = 0; i < n; i++) ((int128 *)to)[i] = (int128)nearbyint(from[i] * f->scale);
        break;
    default:
        int_range(f->type, &lo, &hi);
        for (uint32_t i = 0; i < n; i++) {
            double d = nearbyint(from[i]);
            int64_t v = d <= (double)lo ? lo : d >= (double)hi ? hi : (int64_t)d;
            memcpy((char *)to + type_width(f->type) * i, &v, type_width(f->type)); /* little endian */
        }
    }
}

static void put_choices(const struct gen_field *f, const struct gen_rows *r, struct batch *b, char *to)
{
    struct str copies[ARGS_MAX];
    const char *table = f->table;
    size_t width = type_width(f->type);
    if (f->long_text) {
        const struct str *s = (const struct str *)f->table;
        for (uint32_t i = 0; i < f->n; i++) copies[i] = batch_str(b, str_ptr(&s[i]), s[i].n);
        table = (const char *)copies;
    }
    for (uint32_t i = 0; i < r->n; i++)
        memcpy(to + width * i, table + width * gen_below(gen_random(f->key, r->first + i), f->n), width);
}

static void put_text(const struct gen_field *f, const struct gen_rows *r, struct batch *b, struct str *to)
{
    char text[4096 + 16];
    for (uint32_t i = 0; i < r->n; i++) {
        uint64_t x = gen_random(f->key, r->first + i);
        uint32_t n = (uint32_t)f->a + (uint32_t)gen_below(x, (uint64_t)(f->b - f->a) + 1);
        for (uint32_t k = 0; k < n; k += 8) {
            uint64_t y = gen_random(x, k);
            for (int j = 0; j < 8; j++) text[k + (uint32_t)j] = (char)('a' + ((y >> 8 * j & 255) * 26 >> 8));
        }
        to[i] = batch_str(b, text, n);
    }
}

static void put_times(const struct gen_field *f, const int64_t *us, uint32_t n, void *to)
{
    for (uint32_t i = 0; i < n; i++) {
        int64_t unit_us = f->type.id == T_DATE ? 86400000000 : f->type.id == T_INT64 ? 1000 : 1;
        int64_t v = us[i] / unit_us - (us[i] % unit_us < 0);
        if (f->type.id == T_DATE)
            ((int32_t *)to)[i] = (int32_t)v;
        else
            ((int64_t *)to)[i] = v;
    }
}

static void put_uuids(const struct gen_field *f, const struct gen_rows *r, uint8_t *to)
{
    for (uint32_t i = 0; i < r->n; i++, to += 16) {
        uint64_t x = gen_random(f->key, r->first + i), y = gen_random(x, 1);
        memcpy(to, &x, 8), memcpy(to + 8, &y, 8);
        to[6] = (uint8_t)((to[6] & 0x0f) | 0x40); /* version 4 */
        to[8] = (uint8_t)((to[8] & 0x3f) | 0x80);
    }
}

static void put_nulls(const struct gen_field *f, const struct gen_rows *r, struct batch *b, int col)
{
    struct column *c = &b->cols[col];
    size_t width = type_width(f->type);
    c->valid = batch_validity(b, BATCH_ROWS);
    for (uint32_t i = 0; i < r->n; i++)
        if (gen_random(~f->key, r->first + i) >> 32 < f->nulls) {
            bit_clear(c->valid, i);
            memset((char *)c->data + width * i, 0, width);
        }
}

void gen_field_fill(const struct gen_field *f, const struct gen_rows *r, struct batch *b, int col)
{
    void *to = b->cols[col].data;
    switch (f->kind) {
    case GEN_CHOICE:
    case GEN_CONSTANT: put_choices(f, r, b, to); break;
    case GEN_TEXT: put_text(f, r, b, to); break;
    case GEN_UUID: put_uuids(f, r, to); break;
    case GEN_TIME: put_times(f, r->times, r->n, to); break;
    case GEN_NOW:
        for (uint32_t i = 0; i < r->n; i++) r->ints[i] = r->wall_us;
        put_times(f, r->ints, r->n, to);
        break;
    case GEN_SEQUENCE:
    case GEN_ZIPF:
    case GEN_UNIFORM:
        if (f->kind != GEN_UNIFORM || type_is_integer(f->type)) {
            bool direct = f->type.id == T_INT64;
            make_ints(f, r, direct ? to : r->ints);
            if (!direct) store_ints(f, r->ints, r->n, b, to);
            break;
        }
        /* fall through */
    default: {
        bool direct = f->type.id == T_DOUBLE;
        make_doubles(f, r, direct ? to : r->doubles);
        if (!direct) store_doubles(f, r->doubles, r->n, to);
    }
    }
    if (f->nulls) put_nulls(f, r, b, col);
}
