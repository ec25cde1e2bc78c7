/* The evaluator against a naive one that goes row by row: random trees of arithmetic, comparison, logic, CASE and
 * COALESCE over columns with NULLs, through selections, with rows that fail. Also what the face promises of memory,
 * sharing and time ranges. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/env.h"
#include "expr_text.h"

static struct pool *pool;
static uint64_t seed = 1;

static uint32_t roll(uint32_t n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

/* ---- the naive evaluator ---------------------------------------------------------------------------- */

struct naive {
    const struct batch *b;
    const struct schema *s;
    uint32_t row;
    bool failed;
};

static struct value null_of(struct type t)
{
    return (struct value){.type = t, .is_null = true};
}
static struct value bool_of(bool b)
{
    return (struct value){.type = TYPE(T_BOOL), .b = b};
}

static struct value bad(struct naive *x, struct type t)
{
    x->failed = true;
    return null_of(t);
}

static struct value naive(struct naive *x, const struct expr *e);

static int order(const struct value *a, const struct value *b)
{
    if (a->type.id == T_VARCHAR) return str_compare(&a->s, &b->s);
    if (a->type.id == T_BOOL) return (int)a->b - (int)b->b;
    return (a->i > b->i) - (a->i < b->i);
}

static struct value arithmetic(struct naive *x, char op, int64_t a, int64_t b)
{
    struct value v = {.type = TYPE(T_INT64)};
    switch (op) {
    case '+':
        if (__builtin_add_overflow(a, b, &v.i)) return bad(x, v.type);
        break;
    case '-':
        if (__builtin_sub_overflow(a, b, &v.i)) return bad(x, v.type);
        break;
    case '*':
        if (__builtin_mul_overflow(a, b, &v.i)) return bad(x, v.type);
        break;
    case '/':
        if (!b || (a == INT64_MIN && b == -1)) return bad(x, v.type);
        v.i = a / b;
        break;
    default:
        if (!b) return bad(x, v.type);
        v.i = b == -1 ? 0 : a % b;
    }
    return v;
}

static struct value call_value(struct naive *x, const struct expr *e)
{
    if (!strcmp(e->name, "coalesce")) {
        for (int i = 0; i < e->nargs; i++) {
            struct value v = naive(x, e->args[i]);
            if (!v.is_null) return v;
        }
        return null_of(e->type);
    }
    struct value a = naive(x, e->args[0]), b = e->nargs > 1 ? naive(x, e->args[1]) : a;
    if (!strcmp(e->name, "is null")) return bool_of(a.is_null);
    if (!strcmp(e->name, "is not null")) return bool_of(!a.is_null);
    if (!strcmp(e->name, "is true")) return bool_of(!a.is_null && a.b);
    if (!strcmp(e->name, "is distinct from"))
        return bool_of(a.is_null || b.is_null ? a.is_null != b.is_null : order(&a, &b) != 0);
    if (a.is_null || b.is_null) return null_of(e->type);
    if (!strcmp(e->name, "not")) return bool_of(!a.b);
    if (!strcmp(e->name, "neg")) return arithmetic(x, '-', 0, a.i);
    int o = e->type.id == T_BOOL ? order(&a, &b) : 0;
    if (!strcmp(e->name, "=")) return bool_of(o == 0);
    if (!strcmp(e->name, "<>")) return bool_of(o != 0);
    if (!strcmp(e->name, "<")) return bool_of(o < 0);
    if (!strcmp(e->name, "<=")) return bool_of(o <= 0);
    if (!strcmp(e->name, ">")) return bool_of(o > 0);
    if (!strcmp(e->name, ">=")) return bool_of(o >= 0);
    return arithmetic(x, e->name[0], a.i, b.i);
}

static struct value logic_value(struct naive *x, const struct expr *e)
{
    bool is_and = e->kind == EXPR_AND, null = false;
    for (int i = 0; i < e->nargs; i++) {
        struct value v = naive(x, e->args[i]);
        if (v.is_null)
            null = true;
        else if (v.b != is_and)
            return bool_of(!is_and);
    }
    return null ? null_of(e->type) : bool_of(is_and);
}

static struct value naive(struct naive *x, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_CONST: return e->value;
    case EXPR_COLUMN: return batch_value(x->b, x->s, e->column, x->row);
    case EXPR_AND:
    case EXPR_OR: return logic_value(x, e);
    case EXPR_CASE:
        for (int i = 0; i + 1 < e->nargs; i += 2) {
            struct value v = naive(x, e->args[i]);
            if (!v.is_null && v.b) return naive(x, e->args[i + 1]);
        }
        return e->nargs & 1 ? naive(x, e->args[e->nargs - 1]) : null_of(e->type);
    default: return call_value(x, e);
    }
}

/* ---- random trees ------------------------------------------------------------------------------------ */

static struct schema *wide(struct arena *a)
{
    static const uint8_t types[] = {T_INT64, T_INT64, T_INT64, T_BOOL, T_BOOL, T_VARCHAR, T_VARCHAR};
    struct schema *s = schema_new(a, countof(types));
    for (int i = 0; i < s->n; i++) s->fields[i] = (struct field){.name = "c", .type = TYPE(types[i])};
    return s;
}

static int64_t some_int(void)
{
    static const int64_t odd[] = {0, 1, -1, 2, 7, INT64_MAX, INT64_MIN, INT64_MAX - 1, 3037000500, -10};
    return roll(2) ? odd[roll(countof(odd))] : (int64_t)roll(20) - 10;
}

static const char *const words[] = {"",  "a", "b", "twelve bytes", "thirteen byte", "a text of more than twelve bytes",
                                    "zz"};

static struct value some_value(uint8_t type)
{
    struct value v = {.type = TYPE(type), .is_null = roll(6) == 0};
    const char *word = words[roll(countof(words))];
    if (v.is_null) return v;
    if (type == T_BOOL) v.b = roll(2);
    if (type == T_INT64) v.i = some_int();
    if (type == T_VARCHAR) v.s = str_view(word, (uint32_t)strlen(word));
    return v;
}

static struct expr *tree(struct arena *a, const struct schema *s, uint8_t type, int depth);

static struct expr *built(struct arena *a, const char *name, struct expr **args, int n)
{
    struct expr *e;
    struct err err;
    if (expr_call(a, name, args, n, 0, &e, &err)) fail_msg("%s: %s", name, err.text);
    return e;
}

static struct expr *leaf(struct arena *a, const struct schema *s, uint8_t type)
{
    if (roll(4) == 0) return expr_const(a, some_value(type), 0);
    int first = type == T_INT64 ? 0 : type == T_BOOL ? 3 : 5;
    return expr_column(a, first + (int)roll(type == T_INT64 ? 3 : 2), s->fields[first].type, 0);
}

static struct expr *choice(struct arena *a, const struct schema *s, uint8_t type, int depth)
{
    struct expr *args[7], *e;
    int n = (int)roll(3) + 1;
    if (roll(2)) {
        for (int i = 0; i <= n; i++) args[i] = tree(a, s, type, depth - 1);
        return built(a, "coalesce", args, n + 1);
    }
    for (int i = 0; i < n; i++)
        args[2 * i] = tree(a, s, T_BOOL, depth - 1), args[2 * i + 1] = tree(a, s, type, depth - 1);
    assert_int_equal(expr_case(a, NULL, args, 2 * n, roll(3) ? tree(a, s, type, depth - 1) : NULL, 0, &e, NULL), ST_OK);
    return e;
}

static struct expr *tree(struct arena *a, const struct schema *s, uint8_t type, int depth)
{
    static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">=", "is distinct from"};
    static const char *const operators[] = {"+", "-", "*", "/", "%"};
    static const char *const tests[] = {"is null", "is not null", "is true", "not"};
    if (depth <= 0) return leaf(a, s, type);
    if (roll(5) == 0) return choice(a, s, type, depth);
    struct expr *args[4];
    if (type == T_INT64) {
        args[0] = tree(a, s, type, depth - 1);
        if (roll(6) == 0) return built(a, "neg", args, 1);
        args[1] = roll(5) ? tree(a, s, type, depth - 1) : args[0];
        return built(a, operators[roll(5)], args, 2);
    }
    if (type == T_VARCHAR) return leaf(a, s, type);
    if (roll(3) == 0) {
        int n = (int)roll(3) + 2;
        for (int i = 0; i < n; i++) args[i] = tree(a, s, T_BOOL, depth - 1);
        return built(a, roll(2) ? "and" : "or", args, n);
    }
    if (roll(4) == 0) {
        const char *name = tests[roll(4)];
        bool boolean = name[3] == 't' || name[0] == 'n';
        args[0] = tree(a, s, boolean || roll(2) ? T_BOOL : T_INT64, depth - 1);
        return built(a, name, args, 1);
    }
    uint8_t side = roll(3) ? T_INT64 : roll(2) ? T_VARCHAR : T_BOOL;
    args[0] = tree(a, s, side, depth - 1);
    args[1] = tree(a, s, side, depth - 1);
    return built(a, comparisons[roll(countof(comparisons))], args, 2);
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

static struct batch *some_batch(const struct schema *s, uint32_t rows)
{
    struct batch *b = batch_for(pool, s, rows);
    for (int k = 0; k < s->n; k++) {
        bool nulls = roll(3) > 0;
        for (uint32_t row = 0; row < rows; row++) {
            struct value v = some_value(s->fields[k].type.id);
            if (v.is_null && !nulls)
                v = bool_of(false), v.type = s->fields[k].type, v.i = 0, v.s = str_view("x", v.type.id == T_VARCHAR);
            batch_put(b, s, k, row, rows, &v);
        }
    }
    b->rows = rows;
    return b;
}

static bool same(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null) return a->is_null == b->is_null;
    return order(a, b) == 0;
}

struct check {
    const struct schema *s;
    struct expr *e;
    const struct rows *rows;
    struct batch *result;
    struct column column;
    const struct row_errors *errors;
};

static void compare(const struct check *k)
{
    uint32_t failures = 0, first = UINT32_MAX;
    struct schema one = {.n = 1, .fields = &(struct field){.type = k->e->type}};
    struct batch *view = batch_new(pool, 1);
    view->cols[0] = k->column;
    for (uint32_t i = 0; i < k->rows->n; i++) {
        struct naive x = {k->rows->b, k->s, rows_at(k->rows, i), false};
        struct value want = naive(&x, k->e), got = batch_value(k->result, &one, 0, i),
                     seen = batch_value(view, &one, 0, i);
        bool marked = k->errors->count && bit_get(k->errors->mask, x.row);
        if (x.failed && first == UINT32_MAX) first = x.row;
        failures += x.failed;
        if (same(&want, &got) && same(&want, &seen) && marked == x.failed) continue;
        struct text t = {0};
        expr_print(k->e, k->s, &t);
        print_error("row %u of %u: %s\n", x.row, k->rows->n, text_cstr(&t));
        fail_msg("want %d %lld failed %d, got %d %lld marked %d", want.is_null, (long long)want.i, x.failed,
                 got.is_null, (long long)got.i, marked);
    }
    batch_unref(view);
    assert_int_equal(k->errors->count, failures);
    if (failures) assert_int_equal(k->errors->row, first);
}

static void check_filter(struct eval *ev, const struct check *k)
{
    uint32_t *sel = mem_alloc(sizeof *sel * (k->rows->n + 1)), n, want = 0;
    struct row_errors errors;
    eval_filter(ev, k->rows, sel, &n, &errors);
    for (uint32_t i = 0; i < k->rows->n; i++) {
        struct naive x = {k->rows->b, k->s, rows_at(k->rows, i), false};
        struct value v = naive(&x, k->e);
        if (v.is_null || !v.b) continue;
        assert_true(want < n);
        assert_int_equal(sel[want++], x.row);
    }
    assert_int_equal(n, want);
    mem_free(sel);
}

static void one_round(struct eval *ev, struct expr *e, const struct schema *s)
{
    uint32_t n = roll(4) ? roll(200) + 1 : roll(3), sel[BATCH_ROWS_MAX];
    struct batch *b = some_batch(s, n ? n : 1);
    struct rows rows = rows_all(b);
    if (roll(2)) {
        rows.sel = sel, rows.n = 0;
        for (uint32_t i = 0; i < b->rows; i++)
            if (roll(3)) sel[rows.n++] = i;
    }
    struct row_errors errors, again;
    struct check k = {s, e, &rows, eval_project(ev, &rows, &errors), {0}, &again};
    eval_columns(ev, &rows, &k.column, &again);
    assert_int_equal(errors.count, again.count);
    if (rows.n) compare(&k);
    if (e->type.id == T_BOOL) check_filter(ev, &k);
    batch_unref(k.result);
    batch_unref(b);
}

static void test_random_trees(void **state)
{
    (void)state;
    for (int round = 0; round < 1500; round++) {
        seed = (uint64_t)round * 0x9e3779b97f4a7c15u + 1;
        struct arena *a = arena_new();
        struct schema *s = wide(a);
        uint8_t type = roll(3) == 0 ? T_VARCHAR : roll(2) ? T_BOOL : T_INT64;
        struct expr *e = expr_settle(a, tree(a, s, type, (int)roll(5)));
        if (e->type.id == T_NULL) e = expr_const(a, null_of(TYPE(type)), 0);
        struct eval *ev;
        assert_int_equal(eval_new(&e, 1, s, pool, &ev, NULL), ST_OK);
        for (int i = 0; i < 4; i++) one_round(ev, e, s);
        eval_free(ev);
        arena_free(a);
    }
}

/* ---- promises -------------------------------------------------------------------------------------------- */

static struct eval *eval_of(struct arena *a, const struct schema *s, const char *const *texts, int n,
                            struct expr **exprs)
{
    struct eval *ev;
    struct err err;
    for (int i = 0; i < n; i++) {
        struct reader r = {.p = texts[i], .a = a, .in = s};
        if (read_expr(&r, &exprs[i], &err)) fail_msg("%s: %s", texts[i], err.text);
    }
    assert_int_equal(eval_new(exprs, n, s, pool, &ev, &err), ST_OK);
    return ev;
}

/* Once warm nothing is allocated, whatever the expressions are. */
static void test_warm(void **state)
{
    (void)state;
    static const char *const texts[] = {"(case (> $0 0) (/ $1 $0) (+ $2 1))",
                                        "(coalesce (upper $5) 'a long text of a constant')",
                                        "(and $3 (> (% $0 3) 1) (like $5 '%t%x%'))",
                                        "(cast varchar $0)",
                                        "(~ $5 't[aeiou]x')",
                                        "(\"||\" $5 $6)",
                                        "(cast double $5)"};
    struct arena *a = arena_new();
    struct schema *s = wide(a);
    struct expr *exprs[countof(texts)];
    struct eval *ev = eval_of(a, s, texts, countof(texts), exprs);
    struct batch *b = some_batch(s, 1000);
    uint32_t sel[500];
    for (uint32_t i = 0; i < 500; i++) sel[i] = 2 * i;
    pool_adopt(pool);
    uint64_t before = 0;
    for (int i = 0; i < 20; i++) {
        struct row_errors errors;
        struct rows rows = i & 1 ? (struct rows){b, sel, 500} : rows_all(b);
        if (i == 10) before = mem_alloc_count();
        batch_unref(eval_project(ev, &rows, &errors));
        struct column columns[countof(texts)];
        eval_columns(ev, &rows, columns, &errors);
        assert_true(errors.count > 0);
    }
    assert_int_equal(mem_alloc_count(), before);
    pool_adopt(NULL);
    batch_unref(b);
    eval_free(ev);
    arena_free(a);
}

/* A projected batch outlives its input, the evaluator and the expressions. */
static void test_lifetime(void **state)
{
    (void)state;
    static const char *const texts[] = {"$5", "(substring $5 2)", "'a constant of more than twelve bytes'", "$0"};
    struct arena *a = arena_new(), *keep = arena_new();
    struct schema *s = wide(a), *out = schema_new(keep, 4);
    struct expr *exprs[4];
    for (int i = 0; i < 4; i++) out->fields[i].type = TYPE(i < 3 ? T_VARCHAR : T_INT64);
    struct batch *b = batch_for(pool, s, 1);
    for (int k = 0; k < s->n; k++) {
        struct value v = {.type = s->fields[k].type, .i = 7};
        if (v.type.id == T_VARCHAR) v.s = str_view("more than twelve bytes", 22);
        if (v.type.id == T_BOOL) v.b = true;
        batch_put(b, s, k, 0, 1, &v);
    }
    int8_t *weight = batch_alloc(b, 1);
    *weight = -1;
    b->weight = weight;
    b->rows = 1, b->ts_min = 3, b->ts_max = 4;
    struct eval *ev = eval_of(a, s, texts, 4, exprs);
    struct rows rows = rows_all(b);
    struct row_errors errors;
    struct batch *p = eval_project(ev, &rows, &errors);
    batch_unref(b);
    eval_free(ev);
    arena_free(a);
    struct value v = batch_value(p, out, 0, 0);
    assert_memory_equal(str_ptr(&v.s), "more than twelve bytes", 22);
    v = batch_value(p, out, 1, 0);
    assert_memory_equal(str_ptr(&v.s), "ore than twelve bytes", 21);
    v = batch_value(p, out, 2, 0);
    assert_memory_equal(str_ptr(&v.s), "a constant of more than twelve bytes", 36);
    assert_int_equal(batch_value(p, out, 3, 0).i, 7);
    assert_int_equal(p->weight[0], -1);
    assert_true(p->ts_min == 3 && p->ts_max == 4);
    batch_unref(p);
    arena_free(keep);
}

/* The count of a filter may be the input's own. */
static void test_filter_in_place(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct schema *s = wide(a);
    struct expr *e;
    static const char *const texts[] = {"(\"is not null\" $0)"};
    struct eval *ev = eval_of(a, s, texts, 1, &e);
    struct batch *b = some_batch(s, 100);
    struct rows rows = rows_all(b);
    uint32_t sel[100], n;
    struct row_errors errors;
    eval_filter(ev, &rows, sel, &n, &errors);
    eval_filter(ev, &rows, sel, &rows.n, &errors);
    assert_int_equal(rows.n, n);
    batch_unref(b);
    eval_free(ev);
    arena_free(a);
}

/* remap keeps the meaning; same sees through copies. */
static void test_remap(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct schema *s = wide(a);
    for (int i = 0; i < 200; i++) {
        static const int same_map[] = {0, 1, 2, 3, 4, 5, 6}, other[] = {1, 0, 2, 4, 3, 6, 5};
        struct expr *e = tree(a, s, T_BOOL, 4), *c = expr_remap(a, e, same_map);
        assert_true(expr_same(e, c));
        assert_true(expr_same(expr_remap(a, expr_remap(a, e, other), other), e));
    }
    arena_free(a);
}

/* ---- clock, assignments, messages ------------------------------------------------------------------------ */

static int64_t noon(struct env *e)
{
    return (void)e, 1704196800000000;
}
static uint64_t half(struct env *e)
{
    return (void)e, 1ull << 63;
}

static void check_value(const char *text, const char *want)
{
    struct arena *a = arena_new();
    struct reader r = {.p = text, .a = a};
    struct expr *e;
    struct value v;
    struct text t = {0};
    assert_int_equal(read_expr(&r, &e, NULL), ST_OK);
    assert_true(e->is_volatile && e->kind != EXPR_CONST);
    assert_int_equal(expr_value(e, a, &v, NULL), ST_OK);
    struct eval *ev;
    assert_int_equal(eval_new(&e, 1, NULL, pool, &ev, NULL), ST_OK);
    struct batch *b = batch_new(pool, 0), *p;
    b->rows = 2;
    struct rows rows = rows_all(b);
    struct row_errors errors;
    p = eval_project(ev, &rows, &errors);
    cell_put(e->type, (char *)p->cols[0].data + type_width(e->type), &t);
    assert_string_equal(text_cstr(&t), want);
    text_done(&t);
    batch_unref(p);
    batch_unref(b);
    eval_free(ev);
    arena_free(a);
}

static void test_clock(void **state)
{
    (void)state;
    static const struct env_ops ops = {.wall_us = noon, .random = half};
    struct env env = {&ops};
    expr_env_set(&env);
    check_value("(now)", "2024-01-02 12:00:00+00");
    check_value("(localtimestamp)", "2024-01-02 12:00:00");
    check_value("(current_date)", "2024-01-02");
    check_value("(current_time)", "12:00:00");
    check_value("(random)", "0.5");
    check_value("(+ (now) (interval '1 day'))", "2024-01-03 12:00:00+00");
    expr_env_set(NULL);
}

static enum status assign(struct arena *a, const char *text, struct type to, struct value *out, struct err *err)
{
    struct reader r = {.p = text, .a = a};
    struct expr *e;
    TRY(read_expr(&r, &e, err));
    TRY(expr_coerce(a, e, to, 0, &e, err));
    assert_true(type_equal(e->type, to));
    return expr_value(e, a, out, err);
}

static void test_assignment(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct type three = TYPE(T_VARCHAR), open = type_decimal(0, DECIMAL_OPEN_SCALE);
    three.length = 3;
    struct value v;
    struct err err;
    assert_int_equal(assign(a, "'abc'", three, &v, &err), ST_OK);
    assert_int_equal(assign(a, "'abcd'", three, &v, &err), E_TOO_LONG);
    assert_int_equal(assign(a, "'abc  '", three, &v, &err), ST_OK);
    assert_int_equal(v.s.n, 3);
    assert_int_equal(assign(a, "12345", three, &v, &err), E_TOO_LONG);
    assert_int_equal(assign(a, "null", three, &v, &err), ST_OK);
    assert_true(v.is_null);
    assert_int_equal(assign(a, "1.5", open, &v, &err), ST_OK);
    assert_true(v.dec == (int128)15 * 1000000000000000);
    assert_int_equal(assign(a, "'0.25'", open, &v, &err), ST_OK);
    assert_int_equal(assign(a, "7000000000", TYPE(T_INT32), &v, &err), E_RANGE);
    assert_int_equal(assign(a, "true", TYPE(T_INT32), &v, &err), E_TYPE);
    assert_true(err.hint[0]);
    arena_free(a);
}

static void test_messages(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct expr *e;
    struct err err;
    static const struct {
        const char *expr, *text, *hint;
    } says[] = {
        {"(lowr 'x')", "lowr", "lower"},
        {"(substring 1 2)", "substring(INTEGER, INTEGER)", "substring(VARCHAR, INTEGER)"},
        {"(+ 1 true)", "INTEGER + BOOLEAN", "cast"},
        {"(nullif 1)", "nullif", ""},
        {"(case true 1 (cast date '2024-01-01'))", "CASE types INTEGER and DATE", ""},
        {"(cast date 1)", "INTEGER to DATE", ""},
        {"(extract 'hour' (cast date '2024-01-01'))", "hour", "epoch"},
        {"(+ (cast bigint 1) (interval '1 month'))", "months", "days"},
    };
    for (size_t i = 0; i < countof(says); i++) {
        struct reader r = {.p = says[i].expr, .a = a};
        memset(&err, 0, sizeof err);
        if (!read_expr(&r, &e, &err)) fail_msg("%s was taken", says[i].expr);
        if (!strstr(err.text, says[i].text) || !strstr(err.hint, says[i].hint))
            fail_msg("%s: %s (%s)", says[i].expr, err.text, err.hint);
        assert_int_equal(err.pos, 0);
        r = (struct reader){.p = says[i].expr, .a = a};
        assert_int_equal(read_expr(&r, &e, NULL), err.code); /* the message is optional */
    }
    arena_free(a);
}

int main(void)
{
    pool = pool_new(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_trees),    cmocka_unit_test(test_warm),     cmocka_unit_test(test_lifetime),
        cmocka_unit_test(test_filter_in_place), cmocka_unit_test(test_remap),    cmocka_unit_test(test_clock),
        cmocka_unit_test(test_assignment),      cmocka_unit_test(test_messages),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_close(pool);
    return failed;
}
