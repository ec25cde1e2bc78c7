/* SQL text to trees and back: forms, names, messages, limits. Run from the project's root, where the corpus is found.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "sql/sql_int.h"

#include "../sql_dump.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena *arena;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static enum status parse_n(const char *text, size_t n, struct stmt **out)
{
    size_t at = 0;
    memset(&err, 0, sizeof err);
    return sql_parse(arena, text, n, &at, out, &err);
}

static struct stmt *parse(const char *text)
{
    struct stmt *s = NULL;
    if (parse_n(text, strlen(text), &s)) fail_msg("%s\n%s (%s)", text, err.text, err.hint);
    return s;
}

static struct ast *parse_expr(const char *text)
{
    struct ast *x = NULL;
    if (sql_parse_expr(arena, text, strlen(text), &x, &err)) fail_msg("%s\n%s", text, err.text);
    return x;
}

/* Printed without parentheses but those that matter, each operator with its own: shows the shape. */
static const char *shape(const struct ast *x)
{
    struct text t = {0};
    const char *inner[4] = {0};
    for (int i = 0; i < x->args.n && i < 4; i++) inner[i] = shape(x->args.at[i]);
    if (!x->args.n)
        sql_print_expr(x, &t);
    else if (x->args.n == 1)
        text_printf(&t, "(%s %s)", x->kind == AST_CAST ? "::" : x->name, inner[0]);
    else
        text_printf(&t, "(%s %s %s%s%s)", inner[0], x->name ? x->name : "?", inner[1], inner[2] ? " " : "",
                    inner[2] ? inner[2] : "");
    const char *s = arena_strdup(arena, text_cstr(&t));
    text_done(&t);
    return s;
}

static void assert_shape(const char *text, const char *expected)
{
    assert_string_equal(shape(parse_expr(text)), expected);
}

static const char *printed(const struct stmt *s)
{
    struct text t = {0};
    sql_print(s, &t);
    const char *p = arena_strdup(arena, text_cstr(&t));
    text_done(&t);
    return p;
}

static void assert_prints(const char *text, const char *expected)
{
    assert_string_equal(printed(parse(text)), expected);
}

/* `text` has a ^ where the error is expected. */
static void assert_error_at(const char *text, enum status code, const char *message, const char *hint)
{
    const char *caret = strchr(text, '^');
    char *clean = arena_printf(arena, "%.*s%s", (int)(caret - text), text, caret + 1);
    struct stmt *s;
    assert_int_equal(parse_n(clean, strlen(clean), &s), code);
    assert_string_equal(err.text, message);
    assert_string_equal(err.hint, hint);
    assert_int_equal(err.pos, caret - text);
    assert_int_equal(err.code, code);
}

/* ---- forms ----------------------------------------------------------------------------------- */

static void test_source(void **state)
{
    (void)state;
    struct stmt *s = parse("CREATE OR REPLACE SOURCE IF NOT EXISTS t (k VARCHAR(8) NOT NULL, ts TIMESTAMP, *, "
                           "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (k)) "
                           "FROM KAFKA (group.id = 'g', 'Topic' = Trades, n = -5) FORMAT JSON WITH (strict = true)");
    assert_int_equal(s->kind, STMT_CREATE_SOURCE);
    assert_true(s->or_replace && s->if_not_exists && s->wildcard);
    assert_string_equal(s->name, "t");
    assert_int_equal(s->columns.n, 2);
    assert_int_equal(s->columns.at[0]->type.type.length, 8);
    assert_true(s->columns.at[0]->not_null);
    assert_string_equal(s->watermark->column, "ts");
    assert_int_equal(s->watermark->expr->kind, AST_BINARY);
    assert_string_equal(s->primary_key.at[0], "k");
    assert_string_equal(s->connector, "kafka");
    assert_string_equal(s->format, "json");
    assert_int_equal(s->options.n, 4);
    assert_string_equal(s->options.at[0]->key, "group.id");
    assert_string_equal(s->options.at[1]->key, "topic");
    assert_string_equal(s->options.at[1]->value, "Trades");
    assert_string_equal(s->options.at[2]->value, "-5");
    assert_string_equal(s->options.at[3]->value, "true");
}

static void test_connector_among_options(void **state)
{
    (void)state;
    struct stmt *s = parse("CREATE SOURCE t WITH ('connector' = 'Kafka', 'topic' = 'x')");
    assert_string_equal(s->connector, "kafka");
    assert_int_equal(s->options.n, 1);
    s = parse("ALTER SINK t SET ('connector' = 'x')");
    assert_null(s->connector);
    assert_int_equal(s->options.n, 1);
}

static void test_sink(void **state)
{
    (void)state;
    struct stmt *s = parse("CREATE SINK s FROM t WHERE v > 1 INTO FILE (path = 'x')");
    assert_string_equal(s->from, "t");
    assert_non_null(s->where);
    s = parse("CREATE SINK s FROM (SELECT 1) INTO STDOUT");
    assert_null(s->from);
    assert_non_null(s->select);
    s = parse("CREATE SINK s INTO FILE (path = 'x') AS SELECT * FROM t");
    assert_non_null(s->select);
}

static void test_script(void **state)
{
    (void)state;
    const char *text = " ; -- first\n SELECT 1 ;; SELECT 2; /* ; */ ";
    size_t at = 0, n = strlen(text);
    struct stmt *s;
    assert_int_equal(sql_parse(arena, text, n, &at, &s, &err), ST_OK);
    assert_int_equal(s->pos, strchr(text, 'S') - text);
    assert_memory_equal(text + s->pos, "SELECT 1", s->end - s->pos);
    assert_int_equal(sql_parse(arena, text, n, &at, &s, &err), ST_OK);
    assert_memory_equal(text + s->pos, "SELECT 2", s->end - s->pos);
    assert_int_equal(sql_parse(arena, text, n, &at, &s, &err), ST_DONE);
    assert_int_equal(at, n);
}

static void test_positions(void **state)
{
    (void)state;
    const char *text = "SELECT 1; SELECT a + b AS c FROM t WHERE f(x) EMIT CHANGES";
    size_t at = 9;
    struct stmt *s;
    assert_int_equal(sql_parse(arena, text, strlen(text), &at, &s, &err), ST_OK);
    struct ast_select *q = s->select;
    assert_int_equal(q->pos, 10);
    struct ast *x = q->items.at[0]->expr;
    assert_memory_equal(text + x->pos, "a + b", x->end - x->pos);
    assert_memory_equal(text + q->from->pos, "t", 1);
    assert_memory_equal(text + q->where->pos, "f(x)", q->where->end - q->where->pos);
    assert_memory_equal(text + q->emit_pos, "EMIT", 4);
    assert_int_equal(q->end, strlen(text));
}

static void test_precedence(void **state)
{
    (void)state;
    assert_shape("a OR b AND NOT c = d + e * f ^ -g", "(a or (b and (not (c = (d + (e * (f ^ (- g))))))))");
    assert_shape("a - b - c", "((a - b) - c)");
    assert_shape("a ^ b ^ c", "((a ^ b) ^ c)");
    assert_shape("-a ^ b", "((- a) ^ b)");
    assert_shape("-a::int", "(- (:: a))");
    assert_shape("a || b + c", "(a || (b + c))");
    assert_shape("a < b IS NULL", "(null (a < b))");
    assert_shape("NOT a IS NULL", "(not (null a))");
    assert_shape("a = b LIKE c || d", "(a = (b like (c || d)))");
    assert_shape("NOT a BETWEEN b AND c AND d", "((not (a ? b c)) and d)");
    assert_shape("a = b IN (c)", "(a = (b ? c))");
    assert_shape("a -> b ->> c", "((a -> b) ->> c)");
}

static void test_chains_are_balanced(void **state)
{
    (void)state;
    assert_shape("a AND b AND c AND d AND e", "(((a and b) and (c and d)) and e)");
    assert_shape("a OR (b OR c) OR d", "((a or (b or c)) or d)");
    struct text t = {0};
    text_puts(&t, "a");
    for (int i = 0; i < 100000; i++) text_puts(&t, i % 2 ? " AND a" : " AND b = 1");
    struct ast *x;
    assert_int_equal(sql_parse_expr(arena, t.p, t.n, &x, &err), ST_OK);
    assert_in_range(x->depth, 17, 20);
    text_done(&t);
}

static void test_calls(void **state)
{
    (void)state;
    struct ast *x = parse_expr("EXTRACT(Year FROM ts)");
    assert_string_equal(x->name, "extract");
    assert_string_equal(x->args.at[0]->text, "year");
    x = parse_expr("SUBSTRING(s FOR 3)");
    assert_int_equal(x->args.n, 3);
    x = parse_expr("TRIM(LEADING 'x' FROM s)");
    assert_string_equal(x->name, "ltrim");
    assert_int_equal(x->args.at[0]->kind, AST_NAME);
    x = parse_expr("percentile_cont(0.5) WITHIN GROUP (ORDER BY a DESC) FILTER (WHERE b) OVER w");
    assert_true(x->within_group && x->filter && x->order.at[0]->desc);
    assert_string_equal(x->over->name, "w");
    x = parse_expr("count(DISTINCT a)");
    assert_true(x->distinct);
    x = parse_expr("count(*)");
    assert_true(x->star && !x->args.n);
    x = parse_expr("POSITION('a' IN b)");
    assert_string_equal(x->name, "position");
    x = parse_expr("CEILING(a)");
    assert_string_equal(x->name, "ceil");
}

static void test_intervals(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *text, *unit;
    } cases[] = {
        {"INTERVAL '5' MINUTE", "5", "minute"},   {"interval '5 minutes'", "5 minutes", ""},
        {"INTERVAL 5 MINUTES", "5", "minute"},    {"INTERVAL '-16' MINUTE", "-16", "minute"},
        {"interval '1-2' year to month", "1-2", "year to month"}, {"INTERVAL 250 MS", "250", "millisecond"},
        {"INTERVAL '1'", "1", ""},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct ast *x = parse_expr(cases[i].sql);
        assert_int_equal(x->kind, AST_INTERVAL);
        assert_string_equal(x->text, cases[i].text);
        assert_string_equal(x->name, cases[i].unit);
    }
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"'it''s'", "it's"},
        {"E'a\\tb\\'\\\\\\x41\\101\\u00e9\\U0001F600'", "a\tb'\\AA\xc3\xa9\xf0\x9f\x98\x80"},
        {"'a\\tb'", "a\\tb"},
        {"$$it's $ x$$", "it's $ x"},
        {"$a$ $$ $b$ $a$", " $$ $b$ "},
        {"'one'\n  'two'", "onetwo"},
        {"''", ""},
        {"'\xe6\x97\xa5'", "\xe6\x97\xa5"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct ast *x = parse_expr(cases[i].sql);
        assert_string_equal(x->text, cases[i].text);
        assert_int_equal(x->text_n, strlen(cases[i].text));
    }
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum type_id id;
        int precision, scale;
        uint32_t length;
    } cases[] = {
        {"int", T_INT32, 0, 0, 0},
        {"DECIMAL(10, 2)", T_DECIMAL, 10, 2, 0},
        {"numeric(5)", T_DECIMAL, 5, 0, 0},
        {"varchar(100000)", T_VARCHAR, 0, 0, 100000},
        {"char", T_VARCHAR, 0, 0, 1},
        {"character varying(3)", T_VARCHAR, 0, 0, 3},
        {"double precision", T_DOUBLE, 0, 0, 0},
        {"FLOAT(24)", T_FLOAT, 0, 0, 0},
        {"FLOAT(25)", T_DOUBLE, 0, 0, 0},
        {"timestamp(3) with time zone", T_TIMESTAMPTZ, 0, 0, 0},
        {"timestamp without time zone", T_TIMESTAMP, 0, 0, 0},
        {"time without time zone", T_TIME, 0, 0, 0},
        {"interval", T_INTERVAL, 0, 0, 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct type t = parse_expr(arena_printf(arena, "CAST(a AS %s)", cases[i].sql))->type.type;
        assert_int_equal(t.id, cases[i].id);
        assert_int_equal(t.precision, cases[i].precision);
        assert_int_equal(t.scale, cases[i].scale);
        assert_int_equal(t.length, cases[i].length);
    }
}

static void test_emit(void **state)
{
    (void)state;
    static const struct {
        const char *clause;
        enum ast_emit emit;
    } cases[] = {
        {"ON WINDOW CLOSE", EMIT_ON_WINDOW_CLOSE}, {"ON WATERMARK", EMIT_ON_WATERMARK},
        {"AFTER WATERMARK", EMIT_ON_WATERMARK},    {"ON UPDATE", EMIT_ON_UPDATE},
        {"EVERY INTERVAL '5' SECOND", EMIT_EVERY}, {"PERIODICALLY INTERVAL '5' SECOND", EMIT_EVERY},
        {"CHANGES", EMIT_CHANGES},                 {"FINAL", EMIT_FINAL},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const char *clauses = arena_printf(arena, "LATE DATA TO l EMIT %s ALLOW LATENESS c", cases[i].clause);
        struct ast_select *s = parse(arena_printf(arena, "SELECT k FROM t GROUP BY k %s", clauses))->select;
        assert_int_equal(s->emit, cases[i].emit);
        assert_int_equal(!!s->emit_every, s->emit == EMIT_EVERY);
        assert_non_null(s->lateness);
        assert_string_equal(s->late_to, "l");
    }
}

static void test_joins(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum ast_join_kind join;
    } cases[] = {
        {"JOIN", JOIN_INNER},           {"INNER JOIN", JOIN_INNER},         {"LEFT JOIN", JOIN_LEFT},
        {"LEFT OUTER JOIN", JOIN_LEFT}, {"RIGHT JOIN", JOIN_RIGHT},         {"FULL OUTER JOIN", JOIN_FULL},
        {"SEMI JOIN", JOIN_SEMI},       {"LEFT SEMI JOIN", JOIN_SEMI},      {"LEFT ANTI JOIN", JOIN_ANTI},
        {"ASOF JOIN", JOIN_ASOF},       {"ASOF LEFT JOIN", JOIN_ASOF_LEFT}, {"LEFT ASOF JOIN", JOIN_ASOF_LEFT},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const char *sql = arena_printf(arena, "SELECT * FROM a %s b ON a.k = b.k", cases[i].words);
        struct ast_from *f = parse(sql)->select->from;
        assert_int_equal(f->join, cases[i].join);
        assert_string_equal(f->left->name, "a");
        assert_non_null(f->on);
    }
    struct ast_from *f = parse("SELECT * FROM a RIGHT ANTI JOIN b USING (k)")->select->from;
    assert_int_equal(f->join, JOIN_ANTI);
    assert_string_equal(f->left->name, "b");
    f = parse("SELECT * FROM a ASOF JOIN b ON a.k = b.k AND MATCH_CONDITION(a.ts >= b.ts) AND a.l = b.l")->select->from;
    assert_string_equal(shape(f->match), "(a.ts >= b.ts)");
    assert_string_equal(shape(f->on), "((a.k = b.k) and (a.l = b.l))");
    f = parse("SELECT * FROM s JOIN r FOR SYSTEM_TIME AS OF s.ts AS x ON s.k = x.k")->select->from;
    assert_string_equal(f->right->alias, "x");
    assert_non_null(f->right->system_time);
    f = parse("SELECT * FROM a, b")->select->from;
    assert_int_equal(f->join, JOIN_CROSS);
}

static void test_window_functions_in_from(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)",
        "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
        "TABLE(TUMBLE(SIZE => INTERVAL '1' MINUTE, TIMECOL => DESCRIPTOR(ts), DATA => TABLE t))"};
    for (size_t i = 0; i < countof(forms); i++)
        assert_prints(arena_printf(arena, "SELECT * FROM %s", forms[i]),
                      "SELECT * FROM tumble(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)");
    struct ast *call = parse("SELECT * FROM HOP(t, DESCRIPTOR(x.ts), a, b) w")->select->from->call;
    assert_int_equal(call->args.at[0]->kind, AST_NAME);
    assert_int_equal(call->args.at[1]->kind, AST_DESCRIPTOR);
    assert_string_equal(call->args.at[1]->name, "ts");
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Every word of the language is found, and serves where its class says. */
static void test_keywords(void **state)
{
    (void)state;
    struct stmt *s;
    for (int c = KEYWORD_RESERVED; c <= KEYWORD_PLAIN; c++)
        for (int i = 0; i < keyword__count(c); i++) {
            int kind = keyword__at(c, i);
            char *word = arena_strdup(arena, token__name(kind));
            for (char *p = word; *p; p++) *p |= *p == '_' ? 0 : 0x20;
            assert_int_equal(keyword__find(word, strlen(word)), kind);
            assert_int_equal(keyword__class(kind), c);
            bool column = c >= KEYWORD_COLUMN, function = c == KEYWORD_FUNCTION || c >= KEYWORD_NOT_BARE;
            bool bare = (c == KEYWORD_COLUMN && strcmp(word, "between")) || c == KEYWORD_PLAIN;
            const struct {
                const char *sql;
                bool fits;
            } uses[] = {
                {arena_printf(arena, "SELECT %s.x FROM t", word), column},
                {arena_printf(arena, "SELECT t.x FROM %s", word), column},
                {arena_printf(arena, "CREATE TABLE %s (%s INT)", word, word), column},
                {arena_printf(arena, "SELECT 1 AS %s, t.%s", word, word), true},
                {arena_printf(arena, "SELECT a %s FROM t %s", word, word), bare},
                {arena_printf(arena, "SELECT a = %s(1, 2)", word),
                 function || !strcmp(word, "substring") || !strcmp(word, "overlay") || !strcmp(word, "trim")},
                {arena_printf(arena, "CREATE SOURCE s FROM X (%s = %s, a.%s = 1)", word, word, word), true},
            };
            for (size_t k = 0; k < countof(uses); k++) {
                const char *sql = uses[k].sql;
                bool parsed = !parse_n(sql, strlen(sql), &s);
                if (parsed != uses[k].fits) fail_msg("%s: %s", parsed ? "parsed" : err.text, sql);
            }
        }
}

static void test_names_fold(void **state)
{
    (void)state;
    struct ast *x = parse_expr("Tbl.\"Col\".`Odd``x`");
    assert_int_equal(x->nparts, 3);
    assert_string_equal(x->parts[0], "tbl");
    assert_string_equal(x->parts[1], "Col");
    assert_string_equal(x->parts[2], "Odd`x");
    assert_string_equal(parse("DROP SOURCE public.T")->name, "t");
    assert_string_equal(parse("DROP SOURCE main.\"T\"")->name, "T");
    assert_string_equal(parse("DROP SOURCE other.t")->name, "other.t");
}

static void test_print_name(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain", "plain"}, {"select", "\"select\""}, {"left", "\"left\""}, {"emit", "emit"}, {"Upper", "\"Upper\""},
        {"a b", "\"a b\""}, {"1a", "\"1a\""},         {"q\"q", "\"q\"\"q\""}, {"", "\"\""},   {"\xc3\xa9", "\xc3\xa9"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct text t = {0};
        sql_print_name(cases[i][0], &t);
        assert_string_equal(text_cstr(&t), cases[i][1]);
        text_done(&t);
    }
}

/* ---- the corpus ------------------------------------------------------------------------------ */

static const char *dumped(const struct stmt *s)
{
    struct text t = {0};
    dump_stmt(s, &t);
    const char *p = arena_strdup(arena, text_cstr(&t));
    text_done(&t);
    return p;
}

static int check_script(const char *path)
{
    struct text text = {0};
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t k = 1; k;) {
        char *to = text_room(&text, 4096);
        k = fread(to, 1, 4096, f);
        text.n += k;
    }
    fclose(f);
    int n = 0;
    struct stmt *s, *again;
    enum status st;
    for (size_t at = 0; !(st = sql_parse(arena, text.p, text.n, &at, &s, &err)); n++) {
        const char *first = printed(s);
        if (parse_n(first, strlen(first), &again)) fail_msg("%s\n%s", err.text, first);
        assert_string_equal(first, printed(again));
        assert_string_equal(dumped(s), dumped(again));
    }
    if (st != ST_DONE) fail_msg("%s: %s at %u", path, err.text, err.pos);
    text_done(&text);
    return n;
}

static void test_corpus(void **state)
{
    (void)state;
    DIR *dir = opendir("tests/sql_corpus");
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strstr(entry->d_name, ".sql")) n += check_script(arena_printf(arena, "tests/sql_corpus/%s", entry->d_name));
    closedir(dir);
    assert_true(n > 200);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void test_messages(void **state)
{
    (void)state;
    assert_error_at("^SELEC a FROM t", E_SYNTAX, "syntax error at \"SELEC\", expected a statement",
                    "did you mean SELECT?");
    assert_error_at("SELECT a FROM t EMIT ON WINDOW ^CLOS", E_SYNTAX, "syntax error at \"CLOS\", expected CLOSE",
                    "did you mean CLOSE?");
    assert_error_at("SELECT a FROM t GROUP ^a", E_SYNTAX, "syntax error at \"a\", expected BY", "");
    assert_error_at("SELECT (1 + ^)", E_SYNTAX, "syntax error at \")\", expected an expression", "");
    assert_error_at("SELECT (1 + ^", E_SYNTAX, "syntax error at end of statement, expected an expression", "");
    assert_error_at("SELECT f(a ^FROM t", E_SYNTAX, 
                    "syntax error at \"FROM\", expected an operator, \")\", \",\" or ORDER", "");
    assert_error_at("SELECT a BETWEEN 1^; SELECT 1", E_SYNTAX,
                    "syntax error at end of statement, expected an operator or AND", "");
    assert_error_at("SELECT ^order FROM t", E_SYNTAX,
                    "syntax error at \"order\", expected an expression, \"*\", ALL or DISTINCT",
                    "ORDER is a reserved word; to use it as a name, write \"order\" in double quotes");
    assert_error_at("DROP ^TABEL t", E_SYNTAX,
                    "syntax error at \"TABEL\", expected LOOKUP, MATERIALIZED, SINK, SOURCE, STREAM or TABLE",
                    "did you mean TABLE?");
    assert_error_at("CREATE SOURCE s (a int) ^CREATE STREAM x AS SELECT 1", E_SYNTAX,
                    "syntax error at \"CREATE\", expected \"(\", FORMAT, FROM, SCHEMA, WITH or end of statement",
                    "is the semicolon missing before it?");
    assert_error_at("SELECT INTERVAL 5 ^FOO", E_SYNTAX, "syntax error at \"FOO\", expected a unit of time", "");
}

static void test_hint_names_the_word_before(void **state)
{
    (void)state;
    struct stmt *s;
    assert_int_equal(parse_n("SELECT a FORM t", 15, &s), E_SYNTAX);
    assert_string_equal(err.hint, "did you mean FROM instead of form?");
    assert_int_equal(parse_n("SELECT a FROM t WERE a = 1", 26, &s), E_SYNTAX);
    assert_string_equal(err.hint, "did you mean WHERE instead of were?");
}

static void test_refusals(void **state)
{
    (void)state;
    assert_error_at("^UPDATE t SET a = 1", E_UNSUPPORTED, "UPDATE is not supported", "");
    assert_error_at("WITH RECURSIVE ^r AS (SELECT 1) SELECT 1", E_UNSUPPORTED, "WITH RECURSIVE is not supported", "");
    assert_error_at("SELECT * FROM t x ^TEMPORAL PROBE JOIN r", E_UNSUPPORTED, "TEMPORAL PROBE JOIN is not supported",
                    "");
    assert_error_at("SELECT * FROM t TABLESAMPLE (^1)", E_UNSUPPORTED, "TABLESAMPLE is not supported", "");
    assert_error_at("CREATE SOURCE s (a ^varchr)", E_TYPE, "unknown type \"varchr\"", "did you mean varchar?");
    assert_error_at("SELECT a::^int(3)", E_TYPE, "type int takes no numbers in parentheses", "");
    assert_error_at("SELECT a::^decimal(50)", E_TYPE, "type decimal: 50 must lie between 1 and 38", "");
    assert_error_at("SELECT 1 LIMIT 5 ^ORDER BY 1", E_SYNTAX, "ORDER BY must stand before LIMIT and OFFSET", "");
    assert_error_at("SELECT 1 EMIT CHANGES ^EMIT FINAL", E_SYNTAX, "EMIT is given twice", "");
    assert_error_at("CREATE SINK s FROM a FROM ^b", E_SYNTAX, "what the sink reads is given twice", "");
    assert_error_at("SELECT ^a.b.c.d.e", E_SYNTAX, "a name has at most 4 parts", "");
    assert_error_at("SELECT f(a, ^b => 1)", E_UNSUPPORTED, "f() does not take this argument by name", "");
}

static void test_tokens_that_are_wrong(void **state)
{
    (void)state;
    assert_error_at("SELECT ^'abc", E_SYNTAX, "the string is not closed", "");
    assert_error_at("SELECT ^\"abc", E_SYNTAX, "the quoted name is not closed", "");
    assert_error_at("SELECT ^$x$abc$y$", E_SYNTAX, "the dollar-quoted string is not closed", "");
    assert_error_at("SELECT 1 ^/* /* */", E_SYNTAX, "the comment is not closed", "");
    assert_error_at("SELECT ^\"\"", E_SYNTAX, "a quoted name must not be empty", "");
    assert_error_at("SELECT ^12abc", E_SYNTAX, "a number must not be followed by a letter", "");
    assert_error_at("SELECT ^$1", E_SYNTAX, "unexpected character \"$\"", "");
    assert_error_at("SELECT 'ab^\xff'", E_ENCODING, "the text is not valid UTF-8", "");
    assert_error_at("SELECT a -- ^\xc3(\n", E_ENCODING, "the text is not valid UTF-8", "");
    assert_error_at("SELECT ^\xed\xa0\x80", E_ENCODING, "the text is not valid UTF-8", "");
    struct stmt *s;
    assert_int_equal(parse_n("SELECT '\0'", 10, &s), E_SYNTAX);
    assert_string_equal(err.text, "the text contains a NUL byte");
    assert_int_equal(err.pos, 8);
    assert_int_equal(parse_n("SELECT \0 1", 10, &s), E_SYNTAX);
    assert_int_equal(err.pos, 7);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static enum status parse_repeated(const char *before, const char *part, int n, const char *after)
{
    struct text t = {0};
    struct stmt *s;
    text_puts(&t, before);
    for (int i = 0; i < n; i++) text_puts(&t, part);
    text_puts(&t, after);
    enum status st = parse_n(t.p, t.n, &s);
    text_done(&t);
    return st;
}

static void test_nesting_is_bounded(void **state)
{
    (void)state;
    static const char *const parts[] = {"(",       "NOT ",     "- ",          "CASE WHEN ",      "f(",       "1 + ",
                                        "ARRAY[",  "(SELECT ", "a IN (",      "EXISTS (SELECT ", "CAST(",
                                        "a = NOT ", "~",       "a BETWEEN b + ("};
    for (size_t i = 0; i < countof(parts); i++) {
        assert_int_equal(parse_repeated("SELECT ", parts[i], 100000, "1"), E_LIMIT);
        arena_free(arena);
        arena = arena_new();
    }
    assert_int_equal(parse_repeated("SELECT a", "[1]", 100000, ""), E_LIMIT);
    assert_int_equal(parse_repeated("SELECT a", "::int", 100000, ""), E_LIMIT);
    assert_int_equal(parse_repeated("SELECT (a)", ".b", 100000, ""), E_LIMIT);
    assert_int_equal(parse_repeated("SELECT 1", " UNION SELECT 1", 100000, ""), E_LIMIT);
    assert_int_equal(parse_repeated("SELECT * FROM a", ", b", 100000, ""), E_LIMIT);
    assert_int_equal(parse_repeated("SELECT * FROM ", "(SELECT * FROM ", 100000, ""), E_LIMIT);
    assert_int_equal(parse_repeated("SELECT ", "(", 1000000, "1"), E_LIMIT);
}

static void test_what_is_deep_enough_parses(void **state)
{
    (void)state;
    assert_int_equal(parse_repeated("SELECT ", "- ", SQL_DEPTH_MAX - 2, "1"), ST_OK);
    assert_int_equal(parse_repeated("SELECT ", "- ", SQL_DEPTH_MAX, "1"), E_LIMIT);
    assert_int_equal(parse_repeated("SELECT a IN (1", ", 1", 100000, ")"), ST_OK);
    assert_int_equal(parse_repeated("INSERT INTO t VALUES (1)", ", (1)", 100000, ""), ST_OK);
    assert_int_equal(parse_repeated("SELECT a", " OR a", 100000, ""), ST_OK);
    assert_int_equal(parse_repeated("SELECT CASE a", " WHEN 1 THEN 2", 10000, " END"), ST_OK);
}

static void test_length_is_bounded(void **state)
{
    (void)state;
    struct text t = {0};
    struct stmt *s;
    size_t at = 0;
    text_puts(&t, "SELECT 1; SELECT '");
    for (size_t i = 0; i < SQL_TEXT_MAX; i++) text_putc(&t, 'x');
    text_puts(&t, "'");
    assert_int_equal(sql_parse(arena, t.p, t.n, &at, &s, &err), ST_OK);
    assert_int_equal(sql_parse(arena, t.p, t.n, &at, &s, &err), E_LIMIT);
    assert_int_equal(err.pos, 17);
    text_done(&t);
    assert_int_equal(parse_repeated("CREATE SOURCE s WITH (a", ".b", 100000, " = 1)"), E_SYNTAX);
}

/* A tree as deep as is allowed has a text that parses again. */
static void test_deep_trees_print(void **state)
{
    (void)state;
    static const char *const wraps[][2] = {
        {"CAST(", " AS int)"}, {"(1 - ", ")"}, {"f(", ")"}, {"(", " IS NULL)"}, {"(a = NOT ", ")"}};
    for (size_t i = 0; i < countof(wraps); i++) {
        struct text t = {0};
        text_puts(&t, "CREATE SOURCE s (WATERMARK FOR a AS ");
        for (int k = 0; k < 120; k++) text_puts(&t, wraps[i][0]);
        text_puts(&t, "decimal(1, 1) '1'");
        for (int k = 0; k < 120; k++) text_puts(&t, wraps[i][1]);
        text_puts(&t, ")");
        struct stmt *s;
        if (parse_n(t.p, t.n, &s)) fail_msg("%s", err.text);
        const char *first = printed(s);
        assert_string_equal(printed(parse(first)), first);
        text_done(&t);
    }
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void test_expression_alone(void **state)
{
    (void)state;
    struct ast *x;
    assert_shape("a > 1 AND b IS NULL ;", "((a > 1) and (null b))");
    assert_int_equal(sql_parse_expr(arena, "a > 1; b", 8, &x, &err), E_SYNTAX);
    assert_int_equal(sql_parse_expr(arena, "SELECT 1", 8, &x, &err), E_SYNTAX);
    assert_int_equal(sql_parse_expr(arena, "", 0, &x, &err), E_SYNTAX);
    assert_string_equal(err.text, "syntax error at end of statement, expected an expression");
}

static void test_incomplete(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool incomplete;
    } cases[] = {
        {"", false},
        {"  -- x\n", false},
        {"SELECT 1", true},
        {"SELECT 1;", false},
        {"SELECT 1; -- x", false},
        {"SELECT 1; x", true},
        {"SELECT ';", true},
        {"SELECT ';';", false},
        {"/* ;", true},
        {"SELECT 1; /* ;", true},
        {"$$ ; ", true},
        {"\"a;", true},
        {"SELECT E'\\';", true},
        {"SELECT \xff", false},
    };
    for (size_t i = 0; i < countof(cases); i++)
        if (sql_incomplete(cases[i].text, strlen(cases[i].text)) != cases[i].incomplete) fail_msg("%s", cases[i].text);
}

static const char *lookup(void *ctx, const char *name)
{
    assert_ptr_equal(ctx, &arena);
    if (!strcmp(name, "DIR")) return "/data";
    if (!strcmp(name, "pass.word")) return "it's \"so\" `\\";
    if (!strcmp(name, "EMPTY")) return "";
    return NULL;
}

static const char *substituted(const char *text)
{
    const char *out;
    size_t n;
    assert_int_equal(sql_substitute(arena, text, strlen(text), lookup, &arena, &out, &n, &err), ST_OK);
    assert_int_equal(strlen(out), n);
    return out;
}

static void test_substitution(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"'${DIR}/x.csv'", "'/data/x.csv'"},
        {"${DIR}${EMPTY}${DIR}", "/data/data"},
        {"'${NONE:-it''s}' ${NONE:-} ${DIR:-x}", "'it''s'  /data"},
        {"'${pass.word}'", "'it''s \"so\" `\\'"},
        {"E'${pass.word}'", "E'it''s \"so\" `\\\\'"},
        {"\"${pass.word}\"", "\"it's \"\"so\"\" `\\\""},
        {"$q$${pass.word}$q$", "$q$it's \"so\" `\\$q$"},
        {"${pass.word}", "it's \"so\" `\\"},
        {"-- ${NONE}\n${DIR} /* ${NONE} /* ' */ ${NONE} */ ${DIR}",
         "-- ${NONE}\n/data /* ${NONE} /* ' */ ${NONE} */ /data"},
        {"'-- ${DIR}' '/* ${DIR} */' 'a''-- ${DIR}'", "'-- /data' '/* /data */' 'a''-- /data'"},
        {"E'\\' -- ${DIR}' ${DIR}", "E'\\' -- /data' /data"},
        {"'${' ${1} ${a b} ${} $DIR ${DIR", "'${' ${1} ${a b} ${} $DIR ${DIR"},
        {"", ""},
    };
    for (size_t i = 0; i < countof(cases); i++) assert_string_equal(substituted(cases[i][0]), cases[i][1]);
    const char *out;
    size_t n;
    assert_int_equal(sql_substitute(arena, "SELECT '${NONE}'", 16, lookup, &arena, &out, &n, &err), E_VAR);
    assert_string_equal(err.text, "the variable NONE is not set");
    assert_string_equal(err.hint, "set it, or write ${NONE:-default}");
    assert_int_equal(err.pos, 8);
}

static void assert_shown(const char *text, uint32_t pos, const char *expected)
{
    struct text t = {0};
    err_at(&err, E_SYNTAX, pos, "wrong");
    sql_print_error("f.sql", text, strlen(text), &err, &t);
    assert_string_equal(text_cstr(&t), expected);
    text_done(&t);
}

static void test_caret(void **state)
{
    (void)state;
    assert_shown("SELECT\n  x y;\nz", 11, "f.sql:2:5: [LAM-1000] wrong\n    x y;\n      ^\n");
    assert_shown("a\r\nb c\r\n", 5, "f.sql:2:3: [LAM-1000] wrong\n  b c\n    ^\n");
    assert_shown("\xe6\x97\xa5\xc3\xa9 x", 6, "f.sql:1:4: [LAM-1000] wrong\n  \xe6\x97\xa5\xc3\xa9 x\n      ^\n");
    assert_shown("\ta\x01", 2, "f.sql:1:3: [LAM-1000] wrong\n   a \n    ^\n");
    assert_shown("abc", 3, "f.sql:1:4: [LAM-1000] wrong\n  abc\n     ^\n");
    assert_shown("abc", 99, "f.sql:1:4: [LAM-1000] wrong\n  abc\n     ^\n");
    assert_shown("", 0, "f.sql:1:1: [LAM-1000] wrong\n  \n  ^\n");
    struct text t = {0};
    err_set(&err, E_MISUSE, "closed");
    err_hint(&err, "open it");
    sql_print_error("-", "x", 1, &err, &t);
    assert_string_equal(text_cstr(&t), "-: [LAM-0005] closed\nhint: open it\n");
    text_done(&t);
}

static void test_caret_in_a_long_line(void **state)
{
    (void)state;
    char *text = arena_alloc(arena, 1001);
    memset(text, 'x', 1000);
    text[500] = '!';
    struct text t = {0};
    err_at(&err, E_SYNTAX, 500, "wrong");
    sql_print_error("f", text, 1000, &err, &t);
    text_cstr(&t);
    const char *line = strchr(t.p, '\n') + 1, *below = strchr(line, '\n') + 1;
    assert_int_equal(strchr(line, '!') - line, strchr(below, '^') - below);
    assert_true(t.n < 500);
    text_done(&t);
}

static void test_without_err(void **state)
{
    (void)state;
    struct stmt *s;
    size_t at = 0;
    assert_int_equal(sql_parse(arena, "SELEC", 5, &at, &s, NULL), E_SYNTAX);
    assert_int_equal(at, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_source),
        TEST(test_connector_among_options),
        TEST(test_sink),
        TEST(test_script),
        TEST(test_positions),
        TEST(test_precedence),
        TEST(test_chains_are_balanced),
        TEST(test_calls),
        TEST(test_intervals),
        TEST(test_strings),
        TEST(test_types),
        TEST(test_emit),
        TEST(test_joins),
        TEST(test_window_functions_in_from),
        TEST(test_keywords),
        TEST(test_names_fold),
        TEST(test_print_name),
        TEST(test_corpus),
        TEST(test_messages),
        TEST(test_hint_names_the_word_before),
        TEST(test_refusals),
        TEST(test_tokens_that_are_wrong),
        TEST(test_nesting_is_bounded),
        TEST(test_what_is_deep_enough_parses),
        TEST(test_length_is_bounded),
        TEST(test_deep_trees_print),
        TEST(test_expression_alone),
        TEST(test_incomplete),
        TEST(test_substitution),
        TEST(test_caret),
        TEST(test_caret_in_a_long_line),
        TEST(test_without_err),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
