/* The dialect: PostgreSQL 15 where it is not about streams. Reads as the manual, from the statements down to the words.
 *
 * Words. What PostgreSQL reserves is reserved here; every other word of the language is in one of the classes at the
 * bottom, which say where it can also be a name. The order of the %token lines below is what keyword.c knows the
 * classes by: a new word goes into the line of its class, alphabetically, and into the production of that class.
 *
 * Precedence is PostgreSQL's. `expr` has AND, OR, NOT, comparisons and predicates; `arith` the operators that bind more
 * tightly. The bounds of BETWEEN and the pattern of LIKE are `arith`, so the AND of BETWEEN is no question.
 *
 * SPDX-License-Identifier: Apache-2.0 */
%require "3.8"
%define api.pure full
%define api.prefix {sql__}
%define api.token.prefix {TK_}
%define api.token.raw
%define api.location.type {struct span}
%define parse.lac full
%define parse.error custom
%locations
%param {struct parser *p}

%code requires {
#include "sql/sql_int.h"
}

%union {
    const char *word;
    struct piece text;
    int number;
    struct list list;
    struct ast *ast;
    struct ast_type type;
    struct ast_order *order;
    struct ast_over *over;
    struct ast_bound bound;
    struct ast_item *item;
    struct ast_from *from;
    struct ast_select *select;
    struct alias alias;
    struct qualifier qualifier;
    struct finish finish;
    struct target target;
    struct ast_cte *cte;
    struct ast_row *row;
    struct ast_window *window;
    struct stmt *stmt;
}

%code provides {
#define TK_BAD TK_SQL__error /* a token the lexer or sql__lex has already failed at */
int sql__lex(SQL__STYPE *value, SQL__LTYPE *at, struct parser *p);
/* In parse.c: the message for a token that does not fit where `expected` do. */
void parser__syntax(struct parser *p, const int *expected, int n);
}

%code {
#define YYMALLOC mem_alloc
#define YYFREE mem_free
#define YYSTACK_USE_ALLOCA 0
#define YYLLOC_DEFAULT(here, rhs, n)                                                                                   \
    do {                                                                                                               \
        (here).pos = (n) ? YYRHSLOC(rhs, 1).pos : YYRHSLOC(rhs, 0).end;                                                \
        (here).end = (n) ? YYRHSLOC(rhs, n).end : YYRHSLOC(rhs, 0).end;                                                \
    } while (0)

/* What a bad token or a full stack comes down to; both stop the parser. */
static void sql__error(const struct span *at, struct parser *p, const char *message)
{
    (void)message;
    parser__fail(p, E_LIMIT, at->pos, "the statement is nested too deeply");
}

#define ADD(list, item) list__add(p->arena, list, item)
#define NO_LIST ((struct list){0})
#define ONE(item) list__add(p->arena, NO_LIST, item)
}

/* ---- tokens ---- */

%token END 0 "end of statement"
%token EXPRESSION "expression" SEMICOLON ";"
%token <word> IDENT "a name"
%token <text> STRING "a string"
%token <text> NUMBER "a number"
%token <word> UNIT "a unit of time"
%token <word> OP "an operator"
%token LPAREN "(" RPAREN ")" LBRACKET "[" RBRACKET "]" COMMA "," DOT "." CAST_TO "::" ARROW "=>"
%token EQ "=" NE "<>" LT "<" LE "<=" GT ">" GE ">="
%token PLUS "+" MINUS "-" TIMES "*" DIVIDE "/" MODULO "%" POWER "^" TILDE "~"
/* Made of two tokens by sql__lex, because one token of lookahead cannot tell: NOT before IN, LIKE ..., which binds as
 * they do; WITH before TIME ZONE. */
%token NOT_LA "NOT IN" WITH_LA "WITH TIME"

/* reserved */
%token <word> ALL "ALL" ANALYZE "ANALYZE" AND "AND" ARRAY "ARRAY" AS "AS" ASC "ASC" ASYMMETRIC "ASYMMETRIC" BOTH "BOTH"
  CASE "CASE" CAST "CAST" CREATE "CREATE" CURRENT_DATE "CURRENT_DATE" CURRENT_TIME "CURRENT_TIME"
  CURRENT_TIMESTAMP "CURRENT_TIMESTAMP" DEFAULT "DEFAULT" DESC "DESC" DISTINCT "DISTINCT" ELSE "ELSE" END_P "END"
  EXCEPT "EXCEPT" FALSE "FALSE" FETCH "FETCH" FOR "FOR" FROM "FROM" GROUP "GROUP" HAVING "HAVING" IN "IN"
  INTERSECT "INTERSECT" INTO "INTO" LEADING "LEADING" LIMIT "LIMIT" LOCALTIME "LOCALTIME"
  LOCALTIMESTAMP "LOCALTIMESTAMP" NOT "NOT" NULL_P "NULL" OFFSET "OFFSET" ON "ON" ONLY "ONLY" OR "OR" ORDER "ORDER"
  PLACING "PLACING" PRIMARY "PRIMARY" SELECT "SELECT" SYMMETRIC "SYMMETRIC" TABLE "TABLE" THEN "THEN" TO "TO"
  TRAILING "TRAILING" TRUE "TRUE" UNION "UNION" USING "USING" WHEN "WHEN" WHERE "WHERE" WINDOW "WINDOW" WITH "WITH"
/* names of functions and types only */
%token <word> CROSS "CROSS" FULL "FULL" ILIKE "ILIKE" INNER "INNER" IS "IS" ISNULL "ISNULL" JOIN "JOIN" LEFT "LEFT"
  LIKE "LIKE" NATURAL "NATURAL" NOTNULL "NOTNULL" OUTER "OUTER" RIGHT "RIGHT" SIMILAR "SIMILAR"
/* names of columns and tables, not of functions and types */
%token <word> BETWEEN "BETWEEN" EXISTS "EXISTS" EXTRACT "EXTRACT" INTERVAL "INTERVAL" OVERLAY "OVERLAY"
  POSITION "POSITION" SUBSTRING "SUBSTRING" TRIM "TRIM" TRY_CAST "TRY_CAST" VALUES "VALUES"
/* any name, but an alias only after AS */
%token <word> ALLOW "ALLOW" ANTI "ANTI" ASOF "ASOF" AT "AT" EMIT "EMIT" ESCAPE "ESCAPE" FILTER "FILTER" LATE "LATE"
  MATCH_CONDITION "MATCH_CONDITION" OVER "OVER" PRECISION "PRECISION" QUALIFY "QUALIFY" SEMI "SEMI"
  VARYING "VARYING" WITHIN "WITHIN" WITHOUT "WITHOUT"
/* any name */
%token <word> ABORT "ABORT" ADD "ADD" AFTER "AFTER" ALTER "ALTER" BEGIN_P "BEGIN" BY "BY" CASCADE "CASCADE"
  CHANGES "CHANGES" CHECKPOINT "CHECKPOINT" CLOSE "CLOSE" COLUMN "COLUMN" COMMIT "COMMIT" CONTINUOUS "CONTINUOUS"
  CURRENT "CURRENT" DATA "DATA" DESCRIBE "DESCRIBE" DISCARD "DISCARD" DROP "DROP" EPOCH "EPOCH" EVERY "EVERY" EXCLUDE "EXCLUDE" EXPLAIN "EXPLAIN"
  EXTENDED "EXTENDED" FINAL "FINAL" FIRST "FIRST" FOLLOWING "FOLLOWING" FORMAT "FORMAT" GROUPS "GROUPS" IF "IF"
  INSERT "INSERT" KEY "KEY" LAST "LAST" LATENESS "LATENESS" LOAD "LOAD" LOOKUP "LOOKUP" MATERIALIZED "MATERIALIZED" NEXT "NEXT"
  NO "NO" NULLS "NULLS" OF "OF" OTHERS "OTHERS" PARTITION "PARTITION" PAUSE "PAUSE" PERIODICALLY "PERIODICALLY"
  PRECEDING "PRECEDING" QUERY "QUERY" RANGE "RANGE" REPLACE "REPLACE" RESTRICT "RESTRICT" RESUME "RESUME"
  RETRY "RETRY" ROLLBACK "ROLLBACK" ROW "ROW" ROWS "ROWS" SCHEMA "SCHEMA" SET "SET" SHOW "SHOW" SINK "SINK" SKIP "SKIP"
  SOURCE "SOURCE" STREAM "STREAM" SUBSCRIBE "SUBSCRIBE" SYSTEM_TIME "SYSTEM_TIME" TIES "TIES" TIME "TIME"
  TRANSACTION "TRANSACTION" UNBOUNDED "UNBOUNDED" UNKNOWN "UNKNOWN" UPDATE "UPDATE" VIEW "VIEW"
  WATERMARK "WATERMARK" WORK "WORK" ZONE "ZONE"

/* ---- precedence, loosest first ---- */

%left "UNION" "EXCEPT"
%left "INTERSECT"
%left "OR"
%left "AND"
%precedence "NOT"
%nonassoc "IS" "ISNULL" "NOTNULL"
%nonassoc "=" "<>" "<" "<=" ">" ">="
%precedence "BETWEEN" "IN" "LIKE" "ILIKE" "SIMILAR" NOT_LA
%left OP "~"
%left "+" "-"
%left "*" "/" "%"
%left "^"
%left "AT"
%precedence SIGN
%precedence "::"
/* `((SELECT 1))`: the inner parentheses may be the query's or the expression's. Both mean the same; taking them as the
 * query's while they last (")" wins over a reduction to an expression) lets `((SELECT 1) UNION SELECT 2)` be read. */
%precedence SUBQUERY
%precedence ")"

/* ---- what rules give ---- */

%nterm <stmt> statement create alter insert explain explainable subscribe
%nterm <word> kind name dotted_name colid label bare funcname function window_ref opt_window_ref
%nterm <word> plain unreserved unreserved_not_bare col_name col_name_bare type_func reserved
%nterm <word> show_what option_key key_part option_value frame_unit opt_exclude exclusion units opt_unit like is_what
%nterm <word> alter_action now after_epoch
%nterm <number> opt_or_replace opt_cascade opt_analyze column_constraints
%nterm <number> column_constraint set_quantifier opt_not symmetric opt_desc opt_nulls join_kind semi_kind asof_kind
%nterm <list> names qualified dotted expr_list opt_expr_list args order_list order_by opt_order_by opt_partition ctes
%nterm <list> with items rows whens opt_columns opt_mods mods windows substring_args overlay_args trim_args opt_group
%nterm <list> opt_within
%nterm <ast> expr arith primary paren array subscripted subscriptable columnref constant interval call plain_call arg
%nterm <ast> arg_value table_arg special extract_field opt_escape opt_operand opt_else opt_where opt_having opt_filter
%nterm <ast> case star opt_match system_time fetch_count offset
%nterm <type> type
%nterm <order> order
%nterm <over> over_spec opt_over frame
%nterm <bound> bound
%nterm <item> item
%nterm <window> window
%nterm <row> row
%nterm <cte> cte
%nterm <finish> finish
%nterm <target> old_name new_name
%nterm <from> opt_from from_list table table_primary joined
%nterm <select> any_query query subquery select_clause simple_select core distinct values tail tails emit
%nterm <alias> alias opt_alias
%nterm <qualifier> on opt_on

%%

input:
    statement { p->stmt = $1; }
  | EXPRESSION expr { p->expr = $2; }
  ;

/* ---- statements ---- */

statement:
    any_query { $$ = stmt__new(p, STMT_SELECT, @$), $$->select = $1; }
  | create
  | alter
  | insert
  | explain
  | "DROP" kind old_name opt_cascade
    {
        $$ = stmt__named(p, STMT_DROP, $3.name, $3.at, @$);
        $$->what = $2, $$->if_exists = $3.flag, $$->cascade = $4;
    }
  | "DROP" kind old_name "DISCARD"
    {
        $$ = stmt__named(p, STMT_DROP, $3.name, $3.at, @$);
        $$->what = $2, $$->if_exists = $3.flag, $$->discard = true;
    }
  | "SHOW" show_what { $$ = stmt__new(p, STMT_SHOW, @$), $$->what = $2; }
  | "SHOW" show_what "LIKE" STRING
    {
        $$ = stmt__new(p, STMT_SHOW, @$);
        $$->what = $2, $$->value = $4.p;
    }
  | "SHOW" "CREATE" kind name
    {
        $$ = stmt__named(p, STMT_SHOW, $4, @4, @$);
        $$->what = "create", $$->value = $3;
    }
  | describe name { $$ = stmt__named(p, STMT_DESCRIBE, $2, @2, @$); }
  | describe "EXTENDED" name { $$ = stmt__named(p, STMT_DESCRIBE, $3, @3, @$), $$->extended = true; }
  | "SET" dotted_name eq_or_to option_value
    {
        $$ = stmt__new(p, STMT_SET, @$);
        $$->what = $2, $$->value = $4;
    }
  | subscribe
  | "BEGIN" opt_transaction { $$ = stmt__new(p, STMT_BEGIN, @$); }
  | "COMMIT" opt_transaction { $$ = stmt__new(p, STMT_COMMIT, @$); }
  | "END" opt_transaction { $$ = stmt__new(p, STMT_COMMIT, @$); }
  | "ROLLBACK" opt_transaction { $$ = stmt__new(p, STMT_ROLLBACK, @$); }
  | "ABORT" opt_transaction { $$ = stmt__new(p, STMT_ROLLBACK, @$); }
  | "CHECKPOINT" { $$ = stmt__new(p, STMT_CHECKPOINT, @$); }
  | "LOAD" STRING
    {
        $$ = stmt__new(p, STMT_LOAD, @$);
        $$->value = $2.p, $$->name_pos = @2.pos;
    }
  ;

kind:
    "SOURCE" { $$ = "source"; }
  | "SINK" { $$ = "sink"; }
  | "STREAM" { $$ = "stream"; }
  | "TABLE" { $$ = "table"; }
  | "LOOKUP" "TABLE" { $$ = "lookup table"; }
  | "MATERIALIZED" "VIEW" { $$ = "materialized view"; }
  ;

show_what:
    dotted_name
  | colid colid { $$ = arena_printf(p->arena, "%s %s", $1, $2); }
  ;

describe: "DESCRIBE" | "DESC";
opt_transaction: %empty | "TRANSACTION" | "WORK";
eq_or_to: "=" | "TO";
old_name:
    name { $$ = (struct target){$1, @1, false}; }
  | "IF" "EXISTS" name { $$ = (struct target){$3, @3, true}; }
  ;
new_name:
    name { $$ = (struct target){$1, @1, false}; }
  | "IF" "NOT" "EXISTS" name { $$ = (struct target){$4, @4, true}; }
  ;
opt_or_replace: %empty { $$ = false; } | "OR" "REPLACE" { $$ = true; };
opt_cascade: %empty { $$ = false; } | "CASCADE" { $$ = true; } | "RESTRICT" { $$ = false; };

explain:
    "EXPLAIN" opt_analyze explainable
    {
        $$ = stmt__new(p, STMT_EXPLAIN, @$);
        $$->analyze = $2, $$->explained = $3;
    }
  | "EXPLAIN" opt_analyze kind name
    {
        $$ = stmt__named(p, STMT_EXPLAIN, $4, @4, @$);
        $$->analyze = $2, $$->what = $3;
    }
  | "EXPLAIN" opt_analyze kind name "FOR" NUMBER colid
    {
        $$ = stmt__named(p, STMT_EXPLAIN, $4, @4, @$);
        $$->analyze = $2, $$->what = $3, $$->value = arena_printf(p->arena, "%s %s", $6.p, $7);
    }
  ;
opt_analyze: %empty { $$ = false; } | "ANALYZE" { $$ = true; };
explainable:
    any_query { $$ = stmt__new(p, STMT_SELECT, @$), $$->select = $1; }
  | create
  ;

insert:
    "INSERT" "INTO" name any_query { $$ = stmt__named(p, STMT_INSERT, $3, @3, @$), $$->select = $4; }
  | "INSERT" "INTO" name "(" names ")" any_query
    {
        $$ = stmt__named(p, STMT_INSERT, $3, @3, @$);
        LIST_SET($$->insert_columns, $5);
        $$->select = $7;
    }
  ;
opt_columns: %empty { $$ = NO_LIST; } | "(" names ")" { $$ = $2; };

subscribe:
    subscribe_head after_epoch opt_where with_options
    {
        $$ = p->created;
        $$->value = $2, $$->where = $3, $$->end = @$.end;
    }
  ;
subscribe_head: "SUBSCRIBE" name { p->created = stmt__named(p, STMT_SUBSCRIBE, $2, @2, @$); };
after_epoch: %empty { $$ = NULL; } | "AS" "OF" "EPOCH" NUMBER { $$ = $4.p; };

alter:
    alter_head alter_action
    {
        $$ = p->created;
        $$->value = $2, $$->end = @$.end;
    }
  ;
alter_head:
    "ALTER" kind name
    {
        p->created = stmt__named(p, STMT_ALTER, $3, @3, @$);
        p->created->what = $2;
    }
  ;
alter_action:
    "SET" options { $$ = "set"; }
  | "PAUSE" { $$ = "pause"; }
  | "RESUME" { $$ = "resume"; }
  | "RETRY" { $$ = "retry"; }
  | "SKIP" { $$ = "skip"; }
  | "ADD" "COLUMN" column_definition { $$ = "add column"; }
  ;

/* ---- CREATE: its clauses work on p->created ---- */

create:
    source_head source_body { $$ = p->created, $$->end = @$.end; }
  | table_head source_clauses { $$ = p->created, $$->end = @$.end; }
  | sink_head sink_body { $$ = p->created, $$->end = @$.end; }
  | stream_head with_options as_query { $$ = p->created, $$->end = @$.end; }
  | stream_head columns with_options { $$ = p->created, $$->end = @$.end; }
  ;

source_head:
    "CREATE" opt_or_replace "SOURCE" new_name { stmt__create(p, STMT_CREATE_SOURCE, $2, $4, @$); }
  ;
table_head:
    "CREATE" opt_or_replace "TABLE" new_name { stmt__create(p, STMT_CREATE_TABLE, $2, $4, @$); }
  | "CREATE" opt_or_replace "LOOKUP" "TABLE" new_name { stmt__create(p, STMT_CREATE_LOOKUP, $2, $5, @$); }
  ;
sink_head:
    "CREATE" opt_or_replace "SINK" new_name { stmt__create(p, STMT_CREATE_SINK, $2, $4, @$); }
  ;
stream_head:
    "CREATE" opt_or_replace "STREAM" new_name { stmt__create(p, STMT_CREATE_STREAM, $2, $4, @$); }
  | "CREATE" opt_or_replace "CONTINUOUS" "QUERY" new_name { stmt__create(p, STMT_CREATE_STREAM, $2, $5, @$); }
  | "CREATE" opt_or_replace "MATERIALIZED" "VIEW" new_name { stmt__create(p, STMT_CREATE_VIEW, $2, $5, @$); }
  ;

source_body: source_clauses | source_clauses "FROM" connector | "FROM" connector;
source_clauses: source_clause | source_clauses source_clause;
source_clause:
    columns
  | "SCHEMA" columns
  | "FROM" connector options
  | format
  | "WITH" options
  ;

sink_body: sink_clauses | sink_clauses as_query | as_query;
sink_clauses: sink_clause | sink_clauses sink_clause;
sink_clause:
    "FROM" name opt_where { stmt__from(p, $2, NULL, $3, @2); }
  | "FROM" subquery opt_where { stmt__from(p, NULL, $2, $3, @2); }
  | "INTO" connector
  | "INTO" connector options
  | format
  | "WITH" options
  ;

as_query: "AS" any_query with_options { stmt__select(p, $2, @2); };
with_options: %empty | "WITH" options;
format: "FORMAT" label { stmt__format(p, $2, @2); };
connector: label { stmt__connector(p, $1, @1); };

columns: "(" column_list ")" { stmt__columns_end(p, @$); };
column_list: column | column_list "," column;
column:
    column_definition
  | "WATERMARK" "FOR" colid { stmt__watermark(p, $3, NULL, @$); }
  | "WATERMARK" "FOR" colid "AS" expr { stmt__watermark(p, $3, $5, @$); }
  | "PRIMARY" "KEY" "(" names ")" { stmt__primary_key(p, $4, @$); }
  | "*" { stmt__wildcard(p, @$); }
  ;
column_definition: colid type column_constraints { stmt__column(p, $1, $2, $3, @1); };
column_constraints: %empty { $$ = 0; } | column_constraints column_constraint { $$ = $1 | $2; };
column_constraint:
    "NOT" "NULL" { $$ = CONSTRAINT_NOT_NULL; }
  | "NULL" { $$ = 0; }
  | "PRIMARY" "KEY" { $$ = CONSTRAINT_PRIMARY_KEY; }
  ;

options: "(" ")" | "(" option_list ")";
option_list: option | option_list "," option;
option: option_key "=" option_value { stmt__option(p, $1, @1, $3, @3); };
option_key:
    key_part
  | option_key "." key_part { $$ = stmt__key(p, $1, '.', $3, @$); }
  | option_key "-" key_part { $$ = stmt__key(p, $1, '-', $3, @$); }
  ;
key_part: label | STRING { $$ = $1.p; };
option_value:
    STRING { $$ = $1.p; }
  | NUMBER { $$ = $1.p; }
  | "+" NUMBER { $$ = $2.p; }
  | "-" NUMBER { $$ = arena_printf(p->arena, "-%s", $2.p); }
  | label { $$ = stmt__word(p, $1, @1); }
  | interval { $$ = *$1->name ? arena_printf(p->arena, "%s %s", $1->text, $1->name) : $1->text; }
  ;

/* ---- queries ---- */

any_query: query | subquery;
query:
    simple_select
  | select_clause tails { $$ = select__done(p, select__merge(p, $1, $2, @2)); }
  | with select_clause { $$ = select__done(p, select__merge(p, $2, select__with(p, $1, @1), @1)); }
  | with select_clause tails
    {
        $$ = select__merge(p, $2, select__with(p, $1, @1), @1);
        $$ = select__done(p, select__merge(p, $$, $3, @3));
    }
  ;
subquery: "(" query ")" { $$ = $2; } | "(" subquery ")" { $$ = $2; };
select_clause: simple_select | subquery;

simple_select:
    core
  | values
  | select_clause "UNION" set_quantifier select_clause { $$ = select__set(p, SET_UNION, $3, $1, $4); }
  | select_clause "EXCEPT" set_quantifier select_clause { $$ = select__set(p, SET_EXCEPT, $3, $1, $4); }
  | select_clause "INTERSECT" set_quantifier select_clause { $$ = select__set(p, SET_INTERSECT, $3, $1, $4); }
  ;
set_quantifier: %empty { $$ = false; } | "ALL" { $$ = true; } | "DISTINCT" { $$ = false; };

core:
    "SELECT" distinct items opt_from opt_where opt_group opt_having finish
    {
        $$ = $2;
        $$->pos = @$.pos, $$->end = @$.end;
        LIST_SET($$->items, $3);
        $$->from = $4, $$->where = $5;
        LIST_SET($$->group, $6);
        $$->having = $7, $$->qualify = $8.qualify;
        LIST_SET($$->windows, $8.windows);
        select__done(p, $$);
    }
  ;

distinct:
    %empty { $$ = select__new(p, @$); }
  | "ALL" { $$ = select__new(p, @$); }
  | "DISTINCT" { $$ = select__new(p, @$), $$->distinct = true; }
  | "DISTINCT" "ON" "(" expr_list ")"
    {
        $$ = select__new(p, @$);
        LIST_SET($$->distinct_on, $4);
    }
  ;

items: item { $$ = ONE($1); } | items "," item { $$ = ADD($1, $3); };
item:
    expr { $$ = item__new(p, $1, NULL); }
  | expr "AS" label { $$ = item__new(p, $1, $3); }
  | expr bare { $$ = item__new(p, $1, $2); }
  | star { $$ = item__new(p, $1, NULL); }
  ;
star:
    "*" { $$ = node__new(p, AST_STAR, @$); }
  | colid "." "*" { $$ = node__name(p, AST_STAR, ONE($1), @$); }
  | dotted "." "*" { $$ = node__name(p, AST_STAR, $1, @$); }
  ;

opt_where: %empty { $$ = NULL; } | "WHERE" expr { $$ = $2; };
opt_group: %empty { $$ = NO_LIST; } | "GROUP" "BY" expr_list { $$ = $3; };
opt_having: %empty { $$ = NULL; } | "HAVING" expr { $$ = $2; };
/* WINDOW and QUALIFY, in either order. */
finish:
    %empty { $$ = (struct finish){0}; }
  | "WINDOW" windows { $$ = (struct finish){.windows = $2}; }
  | "QUALIFY" expr { $$ = (struct finish){.qualify = $2}; }
  | "WINDOW" windows "QUALIFY" expr { $$ = (struct finish){$2, $4}; }
  | "QUALIFY" expr "WINDOW" windows { $$ = (struct finish){$4, $2}; }
  ;
windows: window { $$ = ONE($1); } | windows "," window { $$ = ADD($1, $3); };
window: colid "AS" "(" over_spec ")" { $$ = window__new(p, $1, $4); };

values:
    "VALUES" rows
    {
        $$ = select__new(p, @$);
        LIST_SET($$->values, $2);
        select__done(p, $$);
    }
  ;
rows: row { $$ = ONE($1); } | rows "," row { $$ = ADD($1, $3); };
row: "(" expr_list ")" { $$ = row__new(p, $2); };

with: "WITH" ctes { $$ = $2; } | WITH_LA ctes { $$ = $2; };
ctes: cte { $$ = ONE($1); } | ctes "," cte { $$ = ADD($1, $3); };
cte: colid opt_columns "AS" subquery { $$ = cte__new(p, $1, $2, $4); };

/* What may follow a query, in any order but ORDER BY before LIMIT. */
tails: tail | tails tail { $$ = select__merge(p, $1, $2, @2); };
tail:
    order_by { $$ = select__new(p, @$); LIST_SET($$->order, $1); }
  | "LIMIT" expr { $$ = select__new(p, @$), $$->limit = $2; }
  | "LIMIT" "ALL" { $$ = select__new(p, @$); }
  | "FETCH" first fetch_count row_or_rows "ONLY" { $$ = select__new(p, @$), $$->limit = $3; }
  | "OFFSET" expr { $$ = select__new(p, @$), $$->offset = $2; }
  | "OFFSET" expr row_or_rows { $$ = select__new(p, @$), $$->offset = $2; }
  | "EMIT" emit { $$ = $2, $$->emit_pos = @1.pos; }
  | "ALLOW" "LATENESS" expr { $$ = select__new(p, @$), $$->lateness = $3; }
  | "LATE" "DATA" "TO" name { $$ = select__new(p, @$), $$->late_to = $4; }
  ;
emit:
    "ON" "WINDOW" "CLOSE" { $$ = select__emit(p, EMIT_ON_WINDOW_CLOSE, NULL, @$); }
  | "ON" "WATERMARK" { $$ = select__emit(p, EMIT_ON_WATERMARK, NULL, @$); }
  | "AFTER" "WATERMARK" { $$ = select__emit(p, EMIT_ON_WATERMARK, NULL, @$); }
  | "ON" "UPDATE" { $$ = select__emit(p, EMIT_ON_UPDATE, NULL, @$); }
  | "EVERY" expr { $$ = select__emit(p, EMIT_EVERY, $2, @$); }
  | "PERIODICALLY" expr { $$ = select__emit(p, EMIT_EVERY, $2, @$); }
  | "CHANGES" { $$ = select__emit(p, EMIT_CHANGES, NULL, @$); }
  | "FINAL" { $$ = select__emit(p, EMIT_FINAL, NULL, @$); }
  ;
first: "FIRST" | "NEXT";
row_or_rows: "ROW" | "ROWS";
fetch_count:
    %empty { $$ = node__text(p, AST_NUMBER, (struct piece){"1", 1}, @$); }
  | NUMBER { $$ = node__text(p, AST_NUMBER, $1, @$); }
  | paren
  ;

order_by: "ORDER" "BY" order_list { $$ = $3; };
opt_order_by: %empty { $$ = NO_LIST; } | order_by;
order_list: order { $$ = ONE($1); } | order_list "," order { $$ = ADD($1, $3); };
order: expr opt_desc opt_nulls { $$ = order__new(p, $1, $2, $3); };
opt_desc: %empty { $$ = false; } | "ASC" { $$ = false; } | "DESC" { $$ = true; };
opt_nulls: %empty { $$ = 0; } | "NULLS" "FIRST" { $$ = 1; } | "NULLS" "LAST" { $$ = 2; };

/* ---- FROM ---- */

opt_from: %empty { $$ = NULL; } | "FROM" from_list { $$ = $2; };
from_list:
    table
  | from_list "," table { $$ = from__join(p, JOIN_CROSS, $1, $3, (struct qualifier){0}, NULL); }
  ;
table: table_primary | joined;
table_primary:
    name opt_alias { $$ = from__name(p, $1, NULL, $2, @$); }
  | name system_time opt_alias { $$ = from__name(p, $1, $2, $3, @$); }
  | name alias system_time { $$ = from__name(p, $1, $3, $2, @$); }
  | plain_call opt_alias { $$ = from__call(p, $1, $2, @$); }
  | "TABLE" "(" plain_call ")" opt_alias { $$ = from__call(p, $3, $5, @$); }
  | subquery opt_alias { $$ = from__select(p, $1, $2, @$); }
  | "(" joined ")" { $$ = $2; }
  ;
system_time: "FOR" "SYSTEM_TIME" "AS" "OF" expr { $$ = $5; };
opt_alias: %empty { $$ = (struct alias){0}; } | alias;
alias:
    "AS" colid opt_columns { $$ = (struct alias){$2, $3}; }
  | bare opt_columns { $$ = (struct alias){$1, $2}; }
  ;

joined:
    table "CROSS" "JOIN" table_primary { $$ = from__join(p, JOIN_CROSS, $1, $4, (struct qualifier){0}, NULL); }
  | table join_kind "JOIN" table_primary on { $$ = from__join(p, $2, $1, $4, $5, NULL); }
  | table "RIGHT" semi_kind "JOIN" table_primary on { $$ = from__join(p, $3, $5, $1, $6, NULL); }
  | table "NATURAL" join_kind "JOIN" table_primary { $$ = from__natural(p, $3, $1, $5); }
  | table asof_kind "JOIN" table_primary opt_match opt_on { $$ = from__join(p, $2, $1, $4, $6, $5); }
  ;
join_kind:
    %empty { $$ = JOIN_INNER; }
  | "INNER" { $$ = JOIN_INNER; }
  | "LEFT" opt_outer { $$ = JOIN_LEFT; }
  | "RIGHT" opt_outer { $$ = JOIN_RIGHT; }
  | "FULL" opt_outer { $$ = JOIN_FULL; }
  | semi_kind
  | "LEFT" semi_kind { $$ = $2; }
  ;
semi_kind: "SEMI" { $$ = JOIN_SEMI; } | "ANTI" { $$ = JOIN_ANTI; };
asof_kind:
    "ASOF" { $$ = JOIN_ASOF; }
  | "ASOF" "INNER" { $$ = JOIN_ASOF; }
  | "ASOF" "LEFT" opt_outer { $$ = JOIN_ASOF_LEFT; }
  | "LEFT" "ASOF" { $$ = JOIN_ASOF_LEFT; }
  ;
opt_outer: %empty | "OUTER";
opt_match: %empty { $$ = NULL; } | "MATCH_CONDITION" "(" expr ")" { $$ = $3; };
opt_on: %empty { $$ = (struct qualifier){0}; } | on;
on:
    "ON" expr { $$ = (struct qualifier){.on = $2}; }
  | "USING" "(" names ")" { $$ = (struct qualifier){.using_ = $3}; }
  ;

/* ---- expressions ---- */

expr:
    arith
  | expr "OR" expr { $$ = node__chain(p, "or", $1, $3); }
  | expr "AND" expr { $$ = node__chain(p, "and", $1, $3); }
  | "NOT" expr { $$ = node__unary(p, "not", $2, @$); }
  | expr "IS" opt_not is_what { $$ = node__is(p, $1, $4, $3, @$); }
  | expr "ISNULL" { $$ = node__is(p, $1, "null", false, @$); }
  | expr "NOTNULL" { $$ = node__is(p, $1, "null", true, @$); }
  | expr "IS" opt_not "DISTINCT" "FROM" expr %prec "IS" { $$ = node__distinct(p, $1, $6, $3, @$); }
  | expr "=" expr { $$ = node__binary(p, "=", $1, $3, @$); }
  | expr "<>" expr { $$ = node__binary(p, "<>", $1, $3, @$); }
  | expr "<" expr { $$ = node__binary(p, "<", $1, $3, @$); }
  | expr "<=" expr { $$ = node__binary(p, "<=", $1, $3, @$); }
  | expr ">" expr { $$ = node__binary(p, ">", $1, $3, @$); }
  | expr ">=" expr { $$ = node__binary(p, ">=", $1, $3, @$); }
  | expr "BETWEEN" symmetric arith "AND" arith { $$ = node__between(p, $1, $4, $6, $3, false, @$); }
  | expr NOT_LA "BETWEEN" symmetric arith "AND" arith { $$ = node__between(p, $1, $5, $7, $4, true, @$); }
  | expr like arith opt_escape { $$ = node__like(p, $2, $1, $3, $4, false, @$); }
  | expr NOT_LA like arith opt_escape { $$ = node__like(p, $3, $1, $4, $5, true, @$); }
  | expr "IN" "(" expr_list ")" { $$ = node__in(p, $1, $4, false, @$); }
  | expr NOT_LA "IN" "(" expr_list ")" { $$ = node__in(p, $1, $5, true, @$); }
  | expr "IN" subquery { $$ = node__select(p, AST_IN_SELECT, $1, $3, false, @$); }
  | expr NOT_LA "IN" subquery { $$ = node__select(p, AST_IN_SELECT, $1, $4, true, @$); }
  ;
opt_not: %empty { $$ = false; } | "NOT" { $$ = true; };
is_what:
    "NULL" { $$ = "null"; }
  | "TRUE" { $$ = "true"; }
  | "FALSE" { $$ = "false"; }
  | "UNKNOWN" { $$ = "unknown"; }
  ;
symmetric: %empty { $$ = false; } | "ASYMMETRIC" { $$ = false; } | "SYMMETRIC" { $$ = true; };
like:
    "LIKE" { $$ = "like"; }
  | "ILIKE" { $$ = "ilike"; }
  | "SIMILAR" "TO" { $$ = "similar to"; }
  ;
opt_escape: %empty { $$ = NULL; } | "ESCAPE" arith { $$ = $2; };

arith:
    primary
  | arith OP arith { $$ = node__operator(p, $2, $1, $3, @$); }
  | arith "~" arith { $$ = node__operator(p, "~", $1, $3, @$); }
  | "~" arith { $$ = node__unary(p, "~", $2, @$); }
  | arith "+" arith { $$ = node__binary(p, "+", $1, $3, @$); }
  | arith "-" arith { $$ = node__binary(p, "-", $1, $3, @$); }
  | arith "*" arith { $$ = node__binary(p, "*", $1, $3, @$); }
  | arith "/" arith { $$ = node__binary(p, "/", $1, $3, @$); }
  | arith "%" arith { $$ = node__binary(p, "%", $1, $3, @$); }
  | arith "^" arith { $$ = node__binary(p, "^", $1, $3, @$); }
  | arith "AT" "TIME" "ZONE" arith %prec "AT" { $$ = call__of(p, "timezone", @$, 2, $5, $1); }
  | "+" arith %prec SIGN { $$ = node__unary(p, "+", $2, @$); }
  | "-" arith %prec SIGN { $$ = node__unary(p, "-", $2, @$); }
  | arith "::" type { $$ = node__cast(p, $1, $3, false, @$); }
  ;

primary:
    columnref
  | constant
  | paren
  | subscripted
  | array
  | call
  | case
  | subquery %prec SUBQUERY { $$ = node__select(p, AST_SCALAR, NULL, $1, false, @$); }
  | "EXISTS" subquery { $$ = node__select(p, AST_EXISTS, NULL, $2, false, @$); }
  | "CAST" "(" expr "AS" type ")" { $$ = node__cast(p, $3, $5, false, @$); }
  | "TRY_CAST" "(" expr "AS" type ")" { $$ = node__cast(p, $3, $5, true, @$); }
  | special
  ;
paren: "(" expr ")" { $$ = $2, $$->grouped = true; };
columnref: qualified { $$ = node__name(p, AST_NAME, $1, @$); };
array: "ARRAY" "[" opt_expr_list "]" { $$ = node__list(p, AST_ARRAY, $3, @$); };
subscripted:
    subscriptable "[" expr "]" { $$ = node__index(p, $1, $3, @$); }
  | subscripted "." label { $$ = node__field(p, $1, $3, @$); }
  | paren "." label { $$ = node__field(p, $1, $3, @$); }
  | subquery "." label { $$ = node__field(p, node__select(p, AST_SCALAR, NULL, $1, false, @1), $3, @$); }
  ;
subscriptable:
    columnref
  | paren
  | subscripted
  | array
  | call
  | subquery { $$ = node__select(p, AST_SCALAR, NULL, $1, false, @$); }
  ;

constant:
    NUMBER { $$ = node__text(p, AST_NUMBER, $1, @$); }
  | STRING { $$ = node__text(p, AST_STRING, $1, @$); }
  | "TRUE" { $$ = node__bool(p, true, @$); }
  | "FALSE" { $$ = node__bool(p, false, @$); }
  | "NULL" { $$ = node__new(p, AST_NULL, @$); }
  | interval
  | funcname STRING { $$ = node__typed(p, type_ref__new(p, $1, NO_LIST, NULL, @1), $2, @$); }
  | funcname "PRECISION" STRING { $$ = node__typed(p, type_ref__new(p, $1, NO_LIST, "precision", @1), $3, @$); }
  | funcname "VARYING" STRING { $$ = node__typed(p, type_ref__new(p, $1, NO_LIST, "varying", @1), $3, @$); }
  | funcname WITH_LA "TIME" "ZONE" STRING
    { $$ = node__typed(p, type_ref__new(p, $1, NO_LIST, "with time zone", @1), $5, @$); }
  | funcname "WITHOUT" "TIME" "ZONE" STRING
    { $$ = node__typed(p, type_ref__new(p, $1, NO_LIST, "without time zone", @1), $5, @$); }
  | plain_call STRING { $$ = call__typed(p, $1, $2, @$); }
  ;
interval:
    "INTERVAL" STRING opt_unit { $$ = node__interval(p, $2, $3, @$); }
  | "INTERVAL" NUMBER units { $$ = node__interval(p, $2, $3, @$); }
  ;
opt_unit: %empty { $$ = ""; } | units;
units: UNIT | UNIT "TO" UNIT { $$ = arena_printf(p->arena, "%s to %s", $1, $3); };

case: "CASE" opt_operand whens opt_else "END" { $$ = node__case(p, $2, $3, $4, @$); };
opt_operand: %empty { $$ = NULL; } | expr;
whens:
    "WHEN" expr "THEN" expr { $$ = ADD(ONE($2), $4); }
  | whens "WHEN" expr "THEN" expr { $$ = ADD(ADD($1, $3), $5); }
  ;
opt_else: %empty { $$ = NULL; } | "ELSE" expr { $$ = $2; };

/* ---- calls ---- */

call:
    plain_call opt_within opt_filter opt_over
    {
        $$ = call__order(p, $1, $2, true);
        $$ = call__over(p, call__filter(p, $$, $3), $4);
        $$->end = @$.end;
    }
  ;
plain_call:
    function "(" ")" { $$ = call__new(p, $1, NO_LIST, @$); }
  | function "(" "*" ")" { $$ = call__new(p, $1, NO_LIST, @$), $$->star = true; }
  | function "(" args opt_order_by ")" { $$ = call__order(p, call__new(p, $1, $3, @$), $4, false); }
  | function "(" "ALL" args opt_order_by ")" { $$ = call__order(p, call__new(p, $1, $4, @$), $5, false); }
  | function "(" "DISTINCT" args opt_order_by ")"
    { $$ = call__distinct(p, call__order(p, call__new(p, $1, $4, @$), $5, false)); }
  ;
function: funcname | dotted { $$ = name__dotted(p, $1); };
args: arg { $$ = ONE($1); } | args "," arg { $$ = ADD($1, $3); };
arg:
    expr
  | funcname "=>" arg_value { $$ = call__named(p, $1, $3, @$); }
  | table_arg
  ;
arg_value: expr | table_arg;
table_arg: "TABLE" name { $$ = node__new(p, AST_TABLE_ARG, @$), $$->name = $2; };

opt_within: %empty { $$ = NO_LIST; } | "WITHIN" "GROUP" "(" order_by ")" { $$ = $4; };
opt_filter: %empty { $$ = NULL; } | "FILTER" "(" "WHERE" expr ")" { $$ = $4; };
opt_over:
    %empty { $$ = NULL; }
  | "OVER" colid { $$ = over__new(p, $2, NO_LIST, NO_LIST); }
  | "OVER" "(" over_spec ")" { $$ = $3; }
  ;
over_spec:
    opt_window_ref opt_partition opt_order_by { $$ = over__new(p, $1, $2, $3); }
  | opt_window_ref opt_partition opt_order_by frame
    {
        $$ = $4, $$->name = $1;
        LIST_SET($$->partition, $2);
        LIST_SET($$->order, $3);
    }
  ;
opt_window_ref: %empty { $$ = NULL; } | window_ref;
opt_partition: %empty { $$ = NO_LIST; } | "PARTITION" "BY" expr_list { $$ = $3; };
frame:
    frame_unit bound opt_exclude
    {
        $$ = over__new(p, NULL, NO_LIST, NO_LIST);
        $$->frame = $1, $$->from = $2, $$->to.kind = BOUND_CURRENT, $$->exclude = $3;
    }
  | frame_unit "BETWEEN" bound "AND" bound opt_exclude
    {
        $$ = over__new(p, NULL, NO_LIST, NO_LIST);
        $$->frame = $1, $$->from = $3, $$->to = $5, $$->exclude = $6;
    }
  ;
frame_unit: "ROWS" | "RANGE" | "GROUPS";
bound:
    "UNBOUNDED" "PRECEDING" { $$ = (struct ast_bound){BOUND_UNBOUNDED_PRECEDING, NULL}; }
  | "UNBOUNDED" "FOLLOWING" { $$ = (struct ast_bound){BOUND_UNBOUNDED_FOLLOWING, NULL}; }
  | "CURRENT" "ROW" { $$ = (struct ast_bound){BOUND_CURRENT, NULL}; }
  | offset "PRECEDING" { $$ = (struct ast_bound){BOUND_PRECEDING, $1}; }
  | offset "FOLLOWING" { $$ = (struct ast_bound){BOUND_FOLLOWING, $1}; }
  ;
/* An offset is constant, so a column's name need not be told from UNBOUNDED, CURRENT and BETWEEN. */
offset: constant | paren | offset "::" type { $$ = node__cast(p, $1, $3, false, @$); };
opt_exclude: %empty { $$ = NULL; } | "EXCLUDE" exclusion { $$ = $2; };
exclusion:
    "CURRENT" "ROW" { $$ = "current row"; }
  | "GROUP" { $$ = "group"; }
  | "TIES" { $$ = "ties"; }
  | "NO" "OTHERS" { $$ = "no others"; }
  ;

/* Functions with a syntax of their own, as ordinary calls. */
special:
    "EXTRACT" "(" extract_field "FROM" expr ")" { $$ = call__of(p, "extract", @$, 2, $3, $5); }
  | "POSITION" "(" arith "IN" arith ")" { $$ = call__of(p, "position", @$, 2, $3, $5); }
  | "SUBSTRING" "(" substring_args ")" { $$ = call__new(p, "substring", $3, @$); }
  | "OVERLAY" "(" overlay_args ")" { $$ = call__new(p, "overlay", $3, @$); }
  | "TRIM" "(" trim_args ")" { $$ = call__new(p, "btrim", $3, @$); }
  | "TRIM" "(" "BOTH" trim_args ")" { $$ = call__new(p, "btrim", $4, @$); }
  | "TRIM" "(" "LEADING" trim_args ")" { $$ = call__new(p, "ltrim", $4, @$); }
  | "TRIM" "(" "TRAILING" trim_args ")" { $$ = call__new(p, "rtrim", $4, @$); }
  | now { $$ = call__new(p, $1, NO_LIST, @$); }
  | now "(" NUMBER ")" { $$ = call__of(p, $1, @$, 1, node__text(p, AST_NUMBER, $3, @3)); }
  ;
extract_field:
    IDENT { $$ = node__text(p, AST_STRING, (struct piece){$1, (uint32_t)strlen($1)}, @$); }
  | "EPOCH" { $$ = node__text(p, AST_STRING, (struct piece){$1, (uint32_t)strlen($1)}, @$); }
  | STRING { $$ = node__text(p, AST_STRING, $1, @$); }
  ;
substring_args:
    expr_list
  | expr "FROM" expr { $$ = ADD(ONE($1), $3); }
  | expr "FROM" expr "FOR" expr { $$ = ADD(ADD(ONE($1), $3), $5); }
  | expr "FOR" expr "FROM" expr { $$ = ADD(ADD(ONE($1), $5), $3); }
  | expr "FOR" expr { $$ = ADD(ADD(ONE($1), node__text(p, AST_NUMBER, (struct piece){"1", 1}, @2)), $3); }
  ;
overlay_args:
    expr_list
  | expr "PLACING" expr "FROM" expr { $$ = ADD(ADD(ONE($1), $3), $5); }
  | expr "PLACING" expr "FROM" expr "FOR" expr { $$ = ADD(ADD(ADD(ONE($1), $3), $5), $7); }
  ;
trim_args:
    expr_list
  | "FROM" expr { $$ = ONE($2); }
  | expr "FROM" expr { $$ = ADD(ONE($3), $1); }
  ;
now: "CURRENT_DATE" | "CURRENT_TIME" | "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP";

/* ---- types ---- */

type:
    funcname opt_mods { $$ = type_ref__new(p, $1, $2, NULL, @$); }
  | funcname opt_mods WITH_LA "TIME" "ZONE" { $$ = type_ref__new(p, $1, $2, "with time zone", @$); }
  | funcname opt_mods "WITHOUT" "TIME" "ZONE" { $$ = type_ref__new(p, $1, $2, "without time zone", @$); }
  | funcname "PRECISION" { $$ = type_ref__new(p, $1, NO_LIST, "precision", @$); }
  | funcname "VARYING" opt_mods { $$ = type_ref__new(p, $1, $3, "varying", @$); }
  | "INTERVAL" { $$ = type_ref__new(p, $1, NO_LIST, NULL, @$); }
  ;
opt_mods: %empty { $$ = NO_LIST; } | "(" mods ")" { $$ = $2; };
mods: NUMBER { $$ = ONE($1.p); } | mods "," NUMBER { $$ = ADD($1, $3.p); };

/* ---- lists and names ---- */

expr_list: expr { $$ = ONE($1); } | expr_list "," expr { $$ = ADD($1, $3); };
opt_expr_list: %empty { $$ = NO_LIST; } | expr_list;
names: colid { $$ = ONE($1); } | names "," colid { $$ = ADD($1, $3); };

name: qualified { $$ = name__object(p, $1); };
dotted_name: qualified { $$ = name__dotted(p, $1); };
qualified: colid { $$ = ONE($1); } | dotted;
dotted:
    colid "." label { $$ = name__add(p, ONE($1), $3, @$); }
  | dotted "." label { $$ = name__add(p, $1, $3, @$); }
  ;

colid: IDENT | unreserved | unreserved_not_bare | col_name;
funcname: IDENT | unreserved | unreserved_not_bare | type_func;
bare: IDENT | unreserved | col_name_bare;
label: IDENT | unreserved | unreserved_not_bare | col_name | type_func | reserved;
/* `OVER (rows ...)` is a frame. */
window_ref: IDENT | plain;

reserved:
    "ALL" | "ANALYZE" | "AND" | "ARRAY" | "AS" | "ASC" | "ASYMMETRIC" | "BOTH" | "CASE" | "CAST" | "CREATE"
  | "CURRENT_DATE" | "CURRENT_TIME" | "CURRENT_TIMESTAMP" | "DEFAULT" | "DESC" | "DISTINCT" | "ELSE" | "END" | "EXCEPT"
  | "FALSE" | "FETCH" | "FOR" | "FROM" | "GROUP" | "HAVING" | "IN" | "INTERSECT" | "INTO" | "LEADING" | "LIMIT"
  | "LOCALTIME" | "LOCALTIMESTAMP" | "NOT" | "NULL" | "OFFSET" | "ON" | "ONLY" | "OR" | "ORDER" | "PLACING" | "PRIMARY"
  | "SELECT" | "SYMMETRIC" | "TABLE" | "THEN" | "TO" | "TRAILING" | "TRUE" | "UNION" | "USING" | "WHEN" | "WHERE"
  | "WINDOW" | "WITH"
  ;
type_func:
    "CROSS" | "FULL" | "ILIKE" | "INNER" | "IS" | "ISNULL" | "JOIN" | "LEFT" | "LIKE" | "NATURAL" | "NOTNULL" | "OUTER"
  | "RIGHT" | "SIMILAR"
  ;
col_name: "BETWEEN" | col_name_bare;
col_name_bare:
    "EXISTS" | "EXTRACT" | "INTERVAL" | "OVERLAY" | "POSITION" | "SUBSTRING" | "TRIM" | "TRY_CAST" | "VALUES"
  ;
unreserved_not_bare:
    "ALLOW" | "ANTI" | "ASOF" | "AT" | "EMIT" | "ESCAPE" | "FILTER" | "LATE" | "MATCH_CONDITION" | "OVER" | "PRECISION"
  | "QUALIFY" | "SEMI" | "VARYING" | "WITHIN" | "WITHOUT"
  ;
unreserved: plain | "GROUPS" | "PARTITION" | "RANGE" | "ROWS";
plain:
    "ABORT" | "ADD" | "AFTER" | "ALTER" | "BEGIN" | "BY" | "CASCADE" | "CHANGES" | "CHECKPOINT" | "CLOSE" | "COLUMN"
  | "COMMIT" | "CONTINUOUS" | "CURRENT" | "DATA" | "DESCRIBE" | "DISCARD" | "DROP" | "EPOCH" | "EVERY" | "EXCLUDE" | "EXPLAIN" | "EXTENDED"
  | "FINAL" | "FIRST" | "FOLLOWING" | "FORMAT" | "IF" | "INSERT" | "KEY" | "LAST" | "LATENESS" | "LOAD" | "LOOKUP"
  | "MATERIALIZED" | "NEXT" | "NO" | "NULLS" | "OF" | "OTHERS" | "PAUSE" | "PERIODICALLY" | "PRECEDING" | "QUERY"
  | "REPLACE" | "RESTRICT" | "RESUME" | "RETRY" | "ROLLBACK" | "ROW" | "SCHEMA" | "SET" | "SHOW" | "SINK" | "SKIP" | "SOURCE"
  | "STREAM" | "SUBSCRIBE" | "SYSTEM_TIME" | "TIES" | "TIME" | "TRANSACTION" | "UNBOUNDED" | "UNKNOWN" | "UPDATE"
  | "VIEW" | "WATERMARK" | "WORK" | "ZONE"
  ;

%%

const char *token__name(int kind) { return yysymbol_name((yysymbol_kind_t)kind); }

/* Bison asks which tokens fit; the sentence is made in parse.c. */
static int yyreport_syntax_error(const yypcontext_t *context, struct parser *p)
{
    int expected[YYNTOKENS], n = 0;
    yysymbol_kind_t kinds[YYNTOKENS];
    n = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
    if (n < 0) return n;
    for (int i = 0; i < n; i++) expected[i] = (int)kinds[i];
    parser__syntax(p, expected, n);
    return 0;
}
