/* Expressions: bytes choose a typed expression over columns of all types, the values and NULLs of a few rows, and a
 * selection. What a row gives is the same whether it is evaluated alone, among all rows or among the selected ones, and
 * whether constants stand in the text (and are folded) or in columns. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "expr/cell.h"
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* ---- bytes as choices ------------------------------------------------------------------------------------ */

struct bytes {
    const uint8_t *p;
    size_t n;
};

static unsigned choose(struct bytes *b, unsigned n)
{
    if (!b->n) return 0;
    b->n--;
    return *b->p++ % n;
}

/* ---- types and their values -------------------------------------------------------------------------------- */

/* class: the letter that stands for it in templates */
static const struct kind {
    char class;
    struct type type;
    const char *name;
    const char *values[16];
} kinds[] = {
    {'b', TYPE(T_BOOL), "BOOLEAN", {"true", "false"}},
    {'i', TYPE(T_INT16), "SMALLINT", {"0", "1", "-1", "7", "32767", "-32768"}},
    {'i', TYPE(T_INT32), "INTEGER", {"0", "1", "-1", "2", "10", "60", "2147483647", "-2147483648"}},
    {'i', TYPE(T_INT64), "BIGINT", {"0", "1", "-3", "64", "1000000", "9223372036854775807", "-9223372036854775808"}},
    {'f', TYPE(T_FLOAT), "REAL", {"0", "1.5", "-2.25", "3.4e38", "1e-40", "NaN", "Infinity"}},
    {'f', TYPE(T_DOUBLE), "DOUBLE", {"0", "-0", "0.1", "2.5", "1e300", "-1e-300", "NaN", "Infinity", "-Infinity"}},
    {'m', {.id = T_DECIMAL, .precision = 9, .scale = 2}, "DECIMAL(9,2)", {"0", "1.05", "-1.05", "9999999.99", "0.5"}},
    {'m', {.id = T_DECIMAL, .precision = 38, .scale = 10}, "DECIMAL(38,10)", {"0", "1", "2.5", "-0.0000000001", "9999999999999999999999999999.9999999999"}},
    {'t', TYPE(T_VARCHAR), "VARCHAR", {"", "a", "ab", "Hello World", "  blanks  ", "12", "-1.5", "2024-02-29", "true", "%a_", "1 day", "\xc3\xa4\xc3\x96 \xe2\x82\xac \xf0\x9f\x98\x80 and longer", "a,b,,c", "(a+)+$", "\\d"}},
    {'d', TYPE(T_DATE), "DATE", {"2024-02-29", "1970-01-01", "1969-12-31", "0001-01-01", "9999-12-31", "4713-01-01 BC"}},
    {'c', TYPE(T_TIME), "TIME", {"00:00:00", "12:34:56.789", "23:59:59.999999"}},
    {'s', TYPE(T_TIMESTAMP), "TIMESTAMP", {"2024-02-29 12:34:56.789012", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59", "0001-01-01 00:00:00"}},
    {'z', TYPE(T_TIMESTAMPTZ), "TIMESTAMPTZ", {"2024-02-29 12:34:56+00", "1970-01-01 00:00:00+00"}},
    {'v', TYPE(T_INTERVAL), "INTERVAL", {"1 day", "0", "-1 mon 2 days", "00:00:00.000001", "1 year 2 mons 3 days 04:05:06", "178000000 years"}},
};
#define KINDS countof(kinds)

/* What can be made of each class. %n any number, %x any one class (the same all through), %y the same but not a DECIMAL
 * (a computed one's text has as many digits as its column, a constant's as many as it needs), the others the class. */
static const struct template {
    char class;
    const char *text;
} templates[] = {
    {'b', "(%n = %n)"}, {'b', "(%n < %n)"}, {'b', "(%x >= %x)"}, {'b', "(%x <> %x)"}, {'b', "(%b AND %b)"}, {'b', "(%b OR %b)"},
    {'b', "(NOT %b)"}, {'b', "(%x IS NULL)"}, {'b', "(%x IS NOT NULL)"}, {'b', "(%x IS DISTINCT FROM %x)"}, {'b', "(%b IS TRUE)"},
    {'b', "(%b IS NOT FALSE)"}, {'b', "(%b IS UNKNOWN)"}, {'b', "(%x BETWEEN %x AND %x)"}, {'b', "(%x NOT IN (%x, %x, %x))"},
    {'b', "(%x IN (%x, %x))"}, {'b', "(%t LIKE %t)"}, {'b', "(%t ILIKE %t)"}, {'b', "(%t NOT LIKE %t)"}, {'b', "(%t ~ %t)"},
    {'b', "starts_with(%t, %t)"}, {'b', "CAST(%t AS BOOLEAN)"}, {'b', "CAST(%i AS BOOLEAN)"},
    {'i', "(%i + %i)"}, {'i', "(%i - %i)"}, {'i', "(%i * %i)"}, {'i', "(%i / %i)"}, {'i', "(%i %% %i)"}, {'i', "(- %i)"}, {'i', "abs(%i)"},
    {'i', "(%i & %i)"}, {'i', "(%i | %i)"}, {'i', "(%i # %i)"}, {'i', "(~ %i)"}, {'i', "(%i << 3)"}, {'i', "(%i >> 2)"}, {'i', "gcd(%i, %i)"},
    {'i', "lcm(%i, %i)"}, {'i', "length(%t)"}, {'i', "octet_length(%t)"}, {'i', "position(%t IN %t)"}, {'i', "ascii(%t)"},
    {'i', "CAST(%n AS BIGINT)"}, {'i', "CAST(%n AS INTEGER)"}, {'i', "CAST(%n AS SMALLINT)"}, {'i', "CAST(%t AS INTEGER)"},
    {'i', "(%d - %d)"}, {'i', "CAST(%b AS INTEGER)"}, {'i', "mod(%i, %i)"}, {'i', "bit_length(%t)"},
    {'m', "(%m + %m)"}, {'m', "(%m - %m)"}, {'m', "(%m * %m)"}, {'m', "(%m / %m)"}, {'m', "(%m %% %m)"}, {'m', "(- %m)"}, {'m', "abs(%m)"},
    {'m', "round(%m, 1)"}, {'m', "trunc(%m, 2)"}, {'m', "ceil(%m)"}, {'m', "floor(%m)"}, {'m', "sign(%m)"}, {'m', "CAST(%n AS DECIMAL(12,3))"},
    {'m', "CAST(%t AS DECIMAL)"}, {'m', "(%m + %i)"}, {'m', "extract(year FROM %s)"}, {'m', "extract(epoch FROM %v)"}, {'m', "extract(dow FROM %d)"},
    {'m', "sqrt(%m)"}, {'m', "power(%m, %m)"}, {'m', "extract(second FROM %c)"}, {'m', "factorial(%i)"}, {'m', "ln(%m)"}, {'m', "exp(%m)"},
    {'f', "(%f + %f)"}, {'f', "(%f - %f)"}, {'f', "(%f * %f)"}, {'f', "(%f / %f)"}, {'f', "(- %f)"}, {'f', "abs(%f)"}, {'f', "sqrt(%f)"},
    {'f', "exp(%f)"}, {'f', "ln(%f)"}, {'f', "power(%f, %f)"}, {'f', "sin(%f)"}, {'f', "atan2(%f, %f)"}, {'f', "round(%f)"}, {'f', "floor(%f)"},
    {'f', "CAST(%n AS DOUBLE)"}, {'f', "CAST(%n AS REAL)"}, {'f', "CAST(%t AS DOUBLE)"}, {'f', "(%f + %i)"}, {'f', "(%f * %m)"}, {'f', "trunc(%f)"},
    {'t', "(%t || %t)"}, {'t', "(%t || %i)"}, {'t', "lower(%t)"}, {'t', "upper(%t)"}, {'t', "initcap(%t)"}, {'t', "trim(%t)"}, {'t', "ltrim(%t, %t)"},
    {'t', "substring(%t, %i, 3)"}, {'t', "substring(%t FROM %i)"}, {'t', "left(%t, %i)"}, {'t', "right(%t, %i)"}, {'t', "replace(%t, %t, %t)"},
    {'t', "translate(%t, %t, %t)"}, {'t', "reverse(%t)"}, {'t', "repeat(%t, 3)"}, {'t', "lpad(%t, 9, %t)"}, {'t', "rpad(%t, 5)"},
    {'t', "split_part(%t, %t, %i)"}, {'t', "concat(%y, %y, NULL)"}, {'t', "concat_ws(%t, %y, %y)"}, {'t', "md5(%t)"}, {'t', "overlay(%t PLACING %t FROM 2)"},
    {'t', "CAST(%y AS VARCHAR)"}, {'t', "CAST(%y AS VARCHAR(3))"}, {'t', "to_char(%s, 'YYYY-MM-DD HH24:MI:SS.US Day')"}, {'t', "to_char(%m, '999,990.99S')"},
    {'t', "to_char(%s, %t)"}, {'t', "to_char(%f, %t)"}, {'t', "regexp_replace(%t, %t, %t)"}, {'t', "chr(%i)"}, {'t', "repeat(%t, %i)"}, {'t', "lpad(%t, %i)"},
    {'d', "(%d + %i)"}, {'d', "(%d - %i)"}, {'d', "CAST(%s AS DATE)"}, {'d', "CAST(%t AS DATE)"}, {'d', "make_date(%i, %i, %i)"}, {'d', "to_date(%t, 'YYYY-MM-DD')"},
    {'c', "CAST(%s AS TIME)"}, {'c', "CAST(%t AS TIME)"}, {'c', "(%c + %v)"},
    {'s', "(%s + %v)"}, {'s', "(%s - %v)"}, {'s', "(%d + %v)"}, {'s', "date_trunc('hour', %s)"}, {'s', "date_trunc('quarter', %s)"}, {'s', "date_trunc(%t, %s)"},
    {'s', "CAST(%d AS TIMESTAMP)"}, {'s', "CAST(%t AS TIMESTAMP)"}, {'s', "CAST(%z AS TIMESTAMP)"}, {'s', "make_timestamp(%i, %i, %i, 0, 0, %f)"},
    {'s', "(%d + %c)"}, {'s', "date_bin(%v, %s, %s)"},
    {'z', "CAST(%s AS TIMESTAMPTZ)"}, {'z', "(%z + %v)"}, {'z', "to_timestamp(%f)"}, {'z', "CAST(%t AS TIMESTAMPTZ)"},
    {'v', "(%v + %v)"}, {'v', "(%v - %v)"}, {'v', "(%v * %f)"}, {'v', "(%v / %f)"}, {'v', "(- %v)"}, {'v', "(%s - %s)"}, {'v', "CAST(%t AS INTERVAL)"},
    {'v', "(%z - %z)"}, {'v', "age(%s, %s)"}, {'v', "CAST(%c AS INTERVAL)"}, {'v', "justify_hours(%v)"},
    {'x', "CASE WHEN %b THEN %x ELSE %x END"}, {'x', "CASE WHEN %b THEN %x WHEN %b THEN %x END"}, {'x', "CASE %i WHEN %i THEN %x ELSE %x END"},
    {'x', "coalesce(%x, %x)"}, {'x', "nullif(%x, %x)"}, {'x', "greatest(%x, %x, %x)"}, {'x', "least(%x, %x)"}, {'x', "coalesce(NULL, %x)"},
};

/* ---- an expression ---------------------------------------------------------------------------------------- */

#define CONSTS_MAX 24
#define DEPTH_MAX 5
#define TEXT_MAX 6000

struct making {
    struct bytes *in;
    struct text folded, plain; /* constants as literals, and as columns k0, k1, ... */
    int nconsts;
    const struct kind *const_kind[CONSTS_MAX];
    const char *const_value[CONSTS_MAX];
};

static void put(struct making *m, const char *p, size_t n)
{
    text_put(&m->folded, p, n);
    text_put(&m->plain, p, n);
}

static const struct kind *kind_of(struct bytes *in, char class)
{
    const struct kind *fit[KINDS];
    unsigned n = 0;
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].class == class) fit[n++] = &kinds[i];
    return fit[choose(in, n)];
}

static const char *value_of(struct bytes *in, const struct kind *k)
{
    unsigned n = 0;
    while (n < 16 && k->values[n]) n++;
    return k->values[choose(in, n)];
}

static void put_leaf(struct making *m, char class)
{
    const struct kind *k = kind_of(m->in, class);
    unsigned how = choose(m->in, 5);
    if (how == 4 && m->nconsts < CONSTS_MAX) {
        const char *v = value_of(m->in, k);
        text_printf(&m->folded, "CAST('%s' AS %s)", v, k->name);
        text_printf(&m->plain, "k%d", m->nconsts);
        m->const_kind[m->nconsts] = k;
        m->const_value[m->nconsts++] = v;
        return;
    }
    char name[16];
    put(m, name, (size_t)snprintf(name, sizeof name, "c%d_%d", (int)(k - kinds), (int)(how & 1)));
}

static char any_number(struct bytes *in) { return "imfi"[choose(in, 4)]; }

static void put_expr(struct making *m, char class, int depth)
{
    const struct template *fit[countof(templates)];
    unsigned n = 0;
    for (size_t i = 0; i < countof(templates); i++)
        if (templates[i].class == class || templates[i].class == 'x') fit[n++] = &templates[i];
    if (depth == DEPTH_MAX || m->folded.n > TEXT_MAX || !m->in->n || choose(m->in, 4) == 0) {
        put_leaf(m, class);
        return;
    }
    const struct template *t = fit[choose(m->in, n)];
    char x = t->class == 'x' ? class : kinds[choose(m->in, KINDS)].class, y = x == 'm' ? 'i' : x;
    for (const char *p = t->text; *p; p++) {
        if (*p != '%') {
            put(m, p, 1);
        } else if (*++p == '%') {
            put(m, "%", 1);
        } else {
            put_expr(m, *p == 'x' ? x : *p == 'y' ? y : *p == 'n' ? any_number(m->in) : *p, depth + 1);
        }
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------- */

static struct schema *make_schema(struct arena *a, const struct making *m)
{
    struct schema *s = schema_new(a, 2 * (int)KINDS + m->nconsts);
    for (int i = 0; i < s->n; i++) {
        int k = i - 2 * (int)KINDS;
        char name[16];
        size_t n = (size_t)(k < 0 ? snprintf(name, sizeof name, "c%d_%d", i / 2, i % 2) : snprintf(name, sizeof name, "k%d", k));
        char *copy = arena_alloc(a, n + 1);
        memcpy(copy, name, n + 1);
        s->fields[i] = (struct field){.name = copy, .type = k < 0 ? kinds[i / 2].type : m->const_kind[k]->type};
    }
    return s;
}

static void put_cell(struct batch *b, const struct schema *s, int col, uint32_t row, uint32_t cap, const char *text)
{
    struct column *c = &b->cols[col];
    struct type t = s->fields[col].type;
    if (!text) {
        if (!c->valid) c->valid = batch_validity(b, cap);
        bit_clear(c->valid, row);
        memset((char *)c->data + row * type_width(t), 0, type_width(t));
        return;
    }
    _Alignas(16) char cell[16];
    INVARIANT(!cell_parse(t, text, strlen(text), cell, NULL));
    if (type_is_text(t)) {
        struct str copy = batch_str(b, text, (uint32_t)strlen(text));
        memcpy(cell, &copy, sizeof copy);
    }
    memcpy((char *)c->data + row * type_width(t), cell, type_width(t));
}

static struct batch *make_rows(struct pool *pool, const struct schema *s, const struct making *m, uint32_t rows)
{
    struct batch *b = batch_for(pool, s, rows);
    for (int c = 0; c < s->n; c++)
        for (uint32_t r = 0; r < rows; r++) {
            int k = c - 2 * (int)KINDS;
            const char *v = k >= 0 ? m->const_value[k] : choose(m->in, 5) == 4 ? NULL : value_of(m->in, &kinds[c / 2]);
            put_cell(b, s, c, r, rows, v);
        }
    b->rows = rows;
    return b;
}

/* ---- one evaluation ---------------------------------------------------------------------------------------- */

static const struct object *the_table;
static const struct object *find(void *ctx, const char *name) { return (void)ctx, strcmp(name, "t") ? NULL : the_table; }
static const char *no_name(const void *ctx, int i) { return (void)ctx, (void)i, NULL; }
static const struct connector_info *no_connector(void *ctx, const char *name) { return (void)ctx, (void)name, NULL; }
static const struct format_info *no_format(void *ctx, const char *name) { return (void)ctx, (void)name, NULL; }
static const struct catalog catalog = {find, no_name, no_connector, no_connector, no_name, no_format, no_format, no_name, NULL};

/* The expression as the planner makes it of "SELECT text FROM t". */
static enum status bind(struct arena *a, const struct text *expr, struct expr **out, struct err *err)
{
    struct text sql = {0};
    struct stmt *st;
    struct plan *plan;
    const struct object **uses;
    int nuses;
    size_t at = 0;
    text_printf(&sql, "SELECT %s AS x FROM t", text_cstr((struct text *)expr));
    char *copy = arena_alloc(a, sql.n + 1);
    memcpy(copy, sql.p, sql.n);
    size_t n = sql.n;
    text_done(&sql);
    TRY(sql_parse(a, copy, n, &at, &st, err));
    TRY(plan_select(a, &catalog, st->select, false, &plan, &uses, &nuses, err));
    INVARIANT(plan->kind == PLAN_PROJECT && plan->nexprs == 1);
    const struct schema *read = plan->in[0].node->schema; /* the columns that are needed */
    int *map = arena_alloc(a, sizeof *map * (size_t)(read->n + 1));
    for (int i = 0; i < read->n; i++) map[i] = schema_find(the_table->schema, read->fields[i].name);
    *out = expr_remap(a, plan->exprs[0], map);
    return ST_OK;
}


static void evaluate(struct expr *e, const struct schema *s, struct pool *pool, const struct rows *in, struct text *out)
{
    struct err err;
    struct eval *ev;
    struct row_errors bad = {0};
    struct schema *to = NULL;
    struct arena *a = arena_new();
    to = schema_new(a, 1);
    to->fields[0] = (struct field){.name = "x", .type = e->type};
    INVARIANT(!eval_new(&e, 1, s, pool, &ev, &err));
    struct batch *b = eval_project(ev, in, &bad);
    INVARIANT(b->rows == in->n);
    for (uint32_t i = 0; i < in->n; i++) {
        uint32_t row = rows_at(in, i);
        struct text *t = &out[row];
        text_clear(t);
        if (bad.count && bit_get(bad.mask, row)) text_puts(t, "error ");
        if (column_null(&b->cols[0], i))
            text_puts(t, "NULL");
        else
            cell_put(e->type, (char *)b->cols[0].data + i * type_width(e->type), t);
        if (e->type.id == T_VARCHAR && !column_null(&b->cols[0], i)) INVARIANT(utf8_valid(t->p ? t->p : "", t->n));
    }
    batch_unref(b);
    eval_free(ev);
    arena_free(a);
}

static void same(const struct making *m, const struct batch *b, const char *what, uint32_t row, struct text *x, struct text *y)
{
    if (x->n == y->n && (!x->n || !memcmp(x->p, y->p, x->n))) return;
    fprintf(stderr, "row %u of %u %s: \"%s\" and \"%s\"\n%s\n%s\n", row, b->rows, what, text_cstr(x), text_cstr(y),
            text_cstr((struct text *)&m->folded), text_cstr((struct text *)&m->plain));
    for (int c = 0; c < b->ncols; c++) {
        struct value v = batch_value(b, the_table->schema, c, row);
        struct text t = {0};
        if (!column_null(&b->cols[c], row)) cell_put(v.type, (char *)b->cols[c].data + row * type_width(v.type), &t);
        fprintf(stderr, "  %s %s\n", the_table->schema->fields[c].name, column_null(&b->cols[c], row) ? "NULL" : text_cstr(&t));
    }
    abort();
}

#define ROWS_MAX 80

static void check(const struct making *m, struct expr *folded, struct expr *plain, const struct schema *s, struct pool *pool,
                  struct batch *b, unsigned skip)
{
    struct text all[ROWS_MAX] = {0}, other[ROWS_MAX] = {0};
    uint32_t sel[ROWS_MAX], n = 0;
    struct rows every = rows_all(b);
    evaluate(folded, s, pool, &every, all);
    for (uint32_t r = 0; r < b->rows; r++) {
        struct rows one = {b, &r, 1};
        evaluate(folded, s, pool, &one, other);
        same(m, b, "among all rows and alone", r, &all[r], &other[r]);
        if (r % (skip + 2)) sel[n++] = r;
    }
    struct rows some = {b, sel, n};
    evaluate(folded, s, pool, &some, other);
    for (uint32_t i = 0; i < n; i++) same(m, b, "among all rows and the selected", sel[i], &all[sel[i]], &other[sel[i]]);
    if (plain && type_equal(plain->type, folded->type)) {
        evaluate(plain, s, pool, &every, other);
        for (uint32_t r = 0; r < b->rows; r++) /* a constant NULL may keep what fails from being computed */
            if (other[r].n < 6 || memcmp(other[r].p, "error ", 6)) same(m, b, "folded and not", r, &all[r], &other[r]);
    }
    for (int i = 0; i < ROWS_MAX; i++) text_done(&all[i]), text_done(&other[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes in = {data, n};
    struct making m = {.in = &in};
    struct err err = {0};
    struct expr *folded, *plain = NULL;
    struct pool *pool = pool_new(NULL);
    uint32_t rows = 1 + choose(&in, 3) * choose(&in, 36);
    unsigned skip = choose(&in, 4);
    put_expr(&m, kinds[choose(&in, KINDS)].class, 0);
    struct arena *a = arena_new();
    struct schema *s = make_schema(a, &m);
    struct object table = {.kind = OBJECT_SOURCE, .name = "t", .id = 1, .arena = a, .schema = s};
    the_table = &table;
    enum status st = bind(a, &m.folded, &folded, &err);
    if (getenv("SHOW")) fprintf(stderr, "%s\n", st ? err.text : text_cstr(&m.folded));
    INVARIANT(st >= 0 && st != E_INTERNAL);
    if (!st) {
        struct batch *b = make_rows(pool, s, &m, rows);
        if (bind(a, &m.plain, &plain, &err)) plain = NULL;
        check(&m, folded, plain, s, pool, b, skip);
        batch_unref(b);
    }
    text_done(&m.folded);
    text_done(&m.plain);
    arena_free(a);
    pool_close(pool);
    return 0;
}
