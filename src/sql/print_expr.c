/* Expressions to text, with as few parentheses as give the same tree again. SPDX-License-Identifier: Apache-2.0 */
#include "sql/print_int.h"

/* How tightly a form binds, as in the grammar. */
enum {
    LEVEL_OR = 1,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_IS,
    LEVEL_COMPARE,
    LEVEL_PREDICATE, /* BETWEEN, IN, LIKE */
    LEVEL_OPERATOR,
    LEVEL_ADD,
    LEVEL_MULTIPLY,
    LEVEL_POWER,
    LEVEL_SIGN,
    LEVEL_PRIMARY,
};

/* ---- names, strings, types ------------------------------------------------------------------- */

bool print__is_quoted(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        bool letter = (c >= 'a' && c <= 'z') || c == '_' || c >= 0x80;
        if (!letter && (!i || ((c < '0' || c > '9') && c != '$'))) return true;
    }
    enum keyword_class class = keyword__class(keyword__find(name, n));
    return !n || class == KEYWORD_RESERVED || class == KEYWORD_FUNCTION || class == KEYWORD_COLUMN;
}

static void put_quoted(const char *s, uint32_t n, char quote, struct text *out)
{
    text_putc(out, quote);
    for (const char *end = s + n; s < end;) {
        const char *next = memchr(s, quote, (size_t)(end - s));
        text_put(out, s, (size_t)((next ? next : end) - s));
        if (next) text_putc(out, quote), text_putc(out, quote);
        s = next ? next + 1 : end;
    }
    text_putc(out, quote);
}

void print__string(const char *s, uint32_t n, struct text *out) { put_quoted(s, n, '\'', out); }

static void put_name(const char *name, bool quoted, struct text *out)
{
    if (quoted)
        put_quoted(name, (uint32_t)strlen(name), '"', out);
    else
        text_puts(out, name);
}

void sql_print_name(const char *name, struct text *out) { put_name(name, print__is_quoted(name, strlen(name)), out); }

static void put_function(const char *name, struct text *out)
{
    size_t n = strlen(name);
    put_name(name, print__is_quoted(name, n) && keyword__class(keyword__find(name, n)) != KEYWORD_FUNCTION, out);
}

void print__type(const struct ast_type *t, struct text *out)
{
    text_puts(out, t->word);
    if (t->type.id == T_DECIMAL && t->type.precision)
        text_printf(out, "(%d, %d)", t->type.precision, t->type.scale);
    else if (t->type.id == T_VARCHAR && t->type.length)
        text_printf(out, "(%u)", t->type.length);
}

/* ---- operators ------------------------------------------------------------------------------- */

static int binary_level(const char *name)
{
    switch (*name) {
    case '+': return LEVEL_ADD;
    case '-': return name[1] ? LEVEL_OPERATOR : LEVEL_ADD;
    case '*':
    case '/':
    case '%': return LEVEL_MULTIPLY;
    case '^': return LEVEL_POWER;
    case '=': return LEVEL_COMPARE;
    case '<':
    case '>': return !name[1] || name[1] == '=' || !strcmp(name, "<>") ? LEVEL_COMPARE : LEVEL_OPERATOR;
    case 'a': return LEVEL_AND;
    case 'o': return LEVEL_OR;
    default: return LEVEL_OPERATOR;
    }
}

static bool is_regular_expression(const struct ast *x) { return x->kind == AST_LIKE && *x->name == '~'; }

static int level(const struct ast *x)
{
    switch (x->kind) {
    case AST_BINARY: return binary_level(x->name);
    case AST_UNARY: return *x->name == 'n' ? LEVEL_NOT : *x->name == '~' ? LEVEL_OPERATOR : LEVEL_SIGN;
    case AST_IS:
    case AST_DISTINCT: return LEVEL_IS;
    case AST_LIKE: return is_regular_expression(x) ? LEVEL_OPERATOR : LEVEL_PREDICATE;
    case AST_BETWEEN:
    case AST_IN:
    case AST_IN_SELECT: return LEVEL_PREDICATE;
    default: return LEVEL_PRIMARY;
    }
}

static void put_in_parentheses(const struct ast *x, struct text *out)
{
    text_putc(out, '(');
    sql_print_expr(x, out);
    text_putc(out, ')');
}

/* x where only what binds as tightly as `least` may stand. */
static void put_at(const struct ast *x, int least, struct text *out)
{
    if (level(x) < least)
        put_in_parentheses(x, out);
    else
        sql_print_expr(x, out);
}

/* a AND b AND c, however the parser has balanced it. */
static void put_chain(const struct ast *x, struct text *out)
{
    for (int i = 0; i < 2; i++) {
        const struct ast *arg = x->args.at[i];
        if (i) text_puts(out, *x->name == 'a' ? " AND " : " OR ");
        if (arg->chain && !arg->grouped && !strcmp(arg->name, x->name))
            put_chain(arg, out);
        else
            put_at(arg, binary_level(x->name) + 1, out);
    }
}

static void put_infix(const struct ast *l, const char *name, const struct ast *r, int at, struct text *out)
{
    put_at(l, at == LEVEL_COMPARE ? at + 1 : at, out);
    text_printf(out, " %s ", name);
    put_at(r, at + 1, out);
}

static void put_binary(const struct ast *x, struct text *out)
{
    if (x->chain)
        put_chain(x, out);
    else
        put_infix(x->args.at[0], x->name, x->args.at[1], binary_level(x->name), out);
}

static void put_unary(const struct ast *x, struct text *out)
{
    const struct ast *arg = x->args.at[0];
    if (*x->name == 'n') {
        text_puts(out, "NOT ");
        put_at(arg, LEVEL_NOT, out);
        return;
    }
    text_puts(out, x->name);
    if (*x->name == '~') {
        put_at(arg, LEVEL_ADD, out);
        return;
    }
    /* Two signs in a row would begin a comment. */
    if (arg->kind == AST_UNARY) text_putc(out, ' ');
    put_at(arg, LEVEL_SIGN, out);
}

/* ---- predicates ------------------------------------------------------------------------------ */

static void put_upper(const char *word, struct text *out)
{
    for (; *word; word++) text_putc(out, *word >= 'a' && *word <= 'z' ? (char)(*word - 32) : *word);
}

static void put_is(const struct ast *x, struct text *out)
{
    put_at(x->args.at[0], LEVEL_COMPARE, out);
    text_puts(out, x->negated ? " IS NOT " : " IS ");
    if (x->kind == AST_IS) {
        put_upper(x->name, out);
        return;
    }
    text_puts(out, "DISTINCT FROM ");
    put_at(x->args.at[1], LEVEL_COMPARE, out);
}

static void put_between(const struct ast *x, struct text *out)
{
    put_at(x->args.at[0], LEVEL_OPERATOR, out);
    text_printf(out, " %sBETWEEN %s", x->negated ? "NOT " : "", x->flag ? "SYMMETRIC " : "");
    put_at(x->args.at[1], LEVEL_OPERATOR, out);
    text_puts(out, " AND ");
    put_at(x->args.at[2], LEVEL_OPERATOR, out);
}

static void put_like(const struct ast *x, struct text *out)
{
    if (is_regular_expression(x)) {
        char name[4] = {x->negated ? '!' : *x->name, x->negated ? *x->name : x->name[1], x->negated ? x->name[1] : 0};
        put_infix(x->args.at[0], name, x->args.at[1], LEVEL_OPERATOR, out);
        return;
    }
    put_at(x->args.at[0], LEVEL_OPERATOR, out);
    text_puts(out, x->negated ? " NOT " : " ");
    put_upper(x->name, out);
    text_putc(out, ' ');
    put_at(x->args.at[1], LEVEL_OPERATOR, out);
    if (x->args.n < 3) return;
    text_puts(out, " ESCAPE ");
    put_at(x->args.at[2], LEVEL_OPERATOR, out);
}

static void put_in(const struct ast *x, struct text *out)
{
    put_at(x->args.at[0], LEVEL_OPERATOR, out);
    text_puts(out, x->negated ? " NOT IN (" : " IN (");
    if (x->kind == AST_IN)
        print__list((struct list){(void **)x->args.at + 1, x->args.n - 1}, out);
    else
        sql_print_select(x->select, out);
    text_putc(out, ')');
}

/* ---- calls ----------------------------------------------------------------------------------- */

void print__list(const struct list exprs, struct text *out)
{
    for (int i = 0; i < exprs.n; i++) {
        if (i) text_puts(out, ", ");
        sql_print_expr(exprs.at[i], out);
    }
}

void print__order(const struct list order, struct text *out)
{
    for (int i = 0; i < order.n; i++) {
        const struct ast_order *o = order.at[i];
        text_puts(out, i ? ", " : "ORDER BY ");
        sql_print_expr(o->expr, out);
        if (o->desc) text_puts(out, " DESC");
        if (o->nulls) text_puts(out, o->nulls == 1 ? " NULLS FIRST" : " NULLS LAST");
    }
}

static void put_bound(const struct ast_bound *b, struct text *out)
{
    static const char *const names[] = {
        [BOUND_UNBOUNDED_PRECEDING] = "UNBOUNDED PRECEDING", [BOUND_PRECEDING] = " PRECEDING",
        [BOUND_CURRENT] = "CURRENT ROW",                     [BOUND_FOLLOWING] = " FOLLOWING",
        [BOUND_UNBOUNDED_FOLLOWING] = "UNBOUNDED FOLLOWING",
    };
    /* The grammar takes constants; whatever else was in parentheses. */
    const struct ast *x = b->offset;
    if (x && (x->kind == AST_NUMBER || x->kind == AST_STRING || x->kind == AST_INTERVAL))
        sql_print_expr(x, out);
    else if (x)
        put_in_parentheses(x, out);
    text_puts(out, names[b->kind]);
}

void print__over(const struct ast_over *over, struct text *out)
{
    const char *separator = "";
    text_putc(out, '(');
    if (over->name) {
        size_t n = strlen(over->name);
        put_name(over->name, print__is_quoted(over->name, n) || keyword__find(over->name, n), out);
        separator = " ";
    }
    if (over->partition.n) {
        text_printf(out, "%sPARTITION BY ", separator);
        print__list(LIST_OF(over->partition), out);
        separator = " ";
    }
    if (over->order.n) {
        text_puts(out, separator);
        print__order(LIST_OF(over->order), out);
        separator = " ";
    }
    if (over->frame) {
        text_puts(out, separator);
        put_upper(over->frame, out);
        text_puts(out, " BETWEEN ");
        put_bound(&over->from, out);
        text_puts(out, " AND ");
        put_bound(&over->to, out);
        if (over->exclude) text_puts(out, " EXCLUDE ");
        if (over->exclude) put_upper(over->exclude, out);
    }
    text_putc(out, ')');
}

void print__call(const struct ast *x, struct text *out)
{
    put_function(x->name, out);
    text_puts(out, x->star ? "(*" : x->distinct ? "(DISTINCT " : "(");
    print__list(LIST_OF(x->args), out);
    if (x->order.n && !x->within_group) {
        text_putc(out, ' ');
        print__order(LIST_OF(x->order), out);
    }
    text_putc(out, ')');
}

static void put_call_clauses(const struct ast *x, struct text *out)
{
    if (x->within_group) {
        text_puts(out, " WITHIN GROUP (");
        print__order(LIST_OF(x->order), out);
        text_putc(out, ')');
    }
    if (x->filter) {
        text_puts(out, " FILTER (WHERE ");
        sql_print_expr(x->filter, out);
        text_putc(out, ')');
    }
    if (!x->over) return;
    text_puts(out, " OVER ");
    print__over(x->over, out);
}

static bool is_now(const char *name)
{
    static const char *const names[] = {"current_date", "current_time", "current_timestamp", "localtime",
                                        "localtimestamp"};
    for (size_t i = 0; i < countof(names); i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

/* EXTRACT(a FROM b), POSITION(a IN b) */
static void put_two(const char *name, const char *between, const struct ast *x, struct text *out)
{
    text_puts(out, name);
    put_at(x->args.at[0], LEVEL_OPERATOR, out);
    text_puts(out, between);
    put_at(x->args.at[1], LEVEL_OPERATOR, out);
    text_putc(out, ')');
}

/* Prints a call whose function has a syntax of its own; false when x is none or is more than that syntax can say. */
static bool put_special(const struct ast *x, struct text *out)
{
    int n = x->args.n;
    if (x->star || x->distinct || x->order.n || x->filter || x->over) return false;
    if (is_now(x->name) && !n) {
        put_upper(x->name, out);
        return true;
    }
    if (!strcmp(x->name, "extract") && n == 2 && x->args.at[0]->kind == AST_STRING)
        return put_two("EXTRACT(", " FROM ", x, out), true;
    if (!strcmp(x->name, "position") && n == 2) return put_two("POSITION(", " IN ", x, out), true;
    if ((!strcmp(x->name, "substring") || !strcmp(x->name, "overlay")) && n) {
        put_upper(x->name, out);
        text_putc(out, '(');
        print__list(LIST_OF(x->args), out);
        text_putc(out, ')');
        return true;
    }
    return false;
}

static void put_call(const struct ast *x, struct text *out)
{
    if (put_special(x, out)) return;
    print__call(x, out);
    put_call_clauses(x, out);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void put_parts(const struct ast *x, struct text *out)
{
    for (int i = 0; i < x->nparts; i++) {
        if (i) text_putc(out, '.');
        sql_print_name(x->parts[i], out);
    }
}

static void put_case(const struct ast *x, struct text *out)
{
    text_puts(out, "CASE");
    if (x->operand) {
        text_putc(out, ' ');
        sql_print_expr(x->operand, out);
    }
    for (int i = 0; i < x->args.n; i++) {
        text_puts(out, i % 2 ? " THEN " : " WHEN ");
        sql_print_expr(x->args.at[i], out);
    }
    if (x->els) {
        text_puts(out, " ELSE ");
        sql_print_expr(x->els, out);
    }
    text_puts(out, " END");
}

static void put_cast(const struct ast *x, struct text *out)
{
    text_puts(out, x->flag ? "TRY_CAST(" : "CAST(");
    sql_print_expr(x->args.at[0], out);
    text_puts(out, " AS ");
    print__type(&x->type, out);
    text_putc(out, ')');
}

static void put_index(const struct ast *x, struct text *out)
{
    const struct ast *base = x->args.at[0];
    switch (base->kind) {
    case AST_NAME:
    case AST_ARRAY:
    case AST_INDEX:
    case AST_SCALAR: sql_print_expr(base, out); break;
    default: put_in_parentheses(base, out);
    }
    text_putc(out, '[');
    sql_print_expr(x->args.at[1], out);
    text_putc(out, ']');
}

static void put_select(const char *word, const struct ast *x, struct text *out)
{
    text_puts(out, word);
    sql_print_select(x->select, out);
    text_putc(out, ')');
}

static void put_literal(const struct ast *x, struct text *out)
{
    if (x->kind == AST_TYPED) print__type(&x->type, out), text_putc(out, ' ');
    if (x->kind == AST_INTERVAL) text_puts(out, "INTERVAL ");
    print__string(x->text, x->text_n, out);
    if (x->kind == AST_INTERVAL && *x->name) text_putc(out, ' '), put_upper(x->name, out);
}

void sql_print_expr(const struct ast *x, struct text *out)
{
    switch (x->kind) {
    case AST_NULL: text_puts(out, "NULL"); break;
    case AST_BOOL: text_puts(out, x->flag ? "TRUE" : "FALSE"); break;
    case AST_NUMBER: text_put(out, x->text, x->text_n); break;
    case AST_STRING:
    case AST_TYPED:
    case AST_INTERVAL: put_literal(x, out); break;
    case AST_NAME: put_parts(x, out); break;
    case AST_STAR:
        put_parts(x, out);
        text_puts(out, x->nparts ? ".*" : "*");
        break;
    case AST_CALL: put_call(x, out); break;
    case AST_CAST: put_cast(x, out); break;
    case AST_CASE: put_case(x, out); break;
    case AST_UNARY: put_unary(x, out); break;
    case AST_BINARY: put_binary(x, out); break;
    case AST_BETWEEN: put_between(x, out); break;
    case AST_IN:
    case AST_IN_SELECT: put_in(x, out); break;
    case AST_LIKE: put_like(x, out); break;
    case AST_IS:
    case AST_DISTINCT: put_is(x, out); break;
    case AST_EXISTS: put_select("EXISTS (", x, out); break;
    case AST_SCALAR: put_select("(", x, out); break;
    case AST_ARRAY:
        text_puts(out, "ARRAY[");
        print__list(LIST_OF(x->args), out);
        text_putc(out, ']');
        break;
    case AST_INDEX: put_index(x, out); break;
    case AST_FIELD:
        put_in_parentheses(x->args.at[0], out);
        text_putc(out, '.');
        sql_print_name(x->name, out);
        break;
    case AST_DESCRIPTOR:
        text_puts(out, "DESCRIPTOR(");
        put_parts(x, out);
        text_putc(out, ')');
        break;
    case AST_TABLE_ARG:
        text_puts(out, "TABLE ");
        sql_print_name(x->name, out);
        break;
    }
}
