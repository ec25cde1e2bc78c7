/* Statements and queries to text. What is printed parses to the same tree: where the grammar has several spellings
 * there is one here, words that could be taken for keywords are quoted, and parentheses stand where precedence asks for
 * them. SPDX-License-Identifier: Apache-2.0 */
#include "sql/print_int.h"

void print__names(const struct list names, struct text *out)
{
    for (int i = 0; i < names.n; i++) {
        if (i) text_puts(out, ", ");
        sql_print_name(names.at[i], out);
    }
}

static void put_names_in_parentheses(const struct list names, struct text *out)
{
    if (!names.n) return;
    text_puts(out, " (");
    print__names(names, out);
    text_putc(out, ')');
}

/* ---- FROM ------------------------------------------------------------------------------------ */

static void put_from(const struct ast_from *f, struct text *out);

static void put_alias(const struct ast_from *f, struct text *out)
{
    if (!f->alias) return;
    text_puts(out, " AS ");
    sql_print_name(f->alias, out);
    put_names_in_parentheses(LIST_OF(f->columns), out);
}

static void put_join(const struct ast_from *f, struct text *out)
{
    static const char *const kinds[] = {
        [JOIN_INNER] = "JOIN",      [JOIN_LEFT] = "LEFT JOIN", [JOIN_RIGHT] = "RIGHT JOIN",
        [JOIN_FULL] = "FULL JOIN",  [JOIN_CROSS] = "CROSS JOIN", [JOIN_SEMI] = "SEMI JOIN",
        [JOIN_ANTI] = "ANTI JOIN",  [JOIN_ASOF] = "ASOF JOIN", [JOIN_ASOF_LEFT] = "ASOF LEFT JOIN",
    };
    bool nested = f->right->kind == FROM_JOIN;
    put_from(f->left, out);
    text_printf(out, " %s%s ", f->natural ? "NATURAL " : "", kinds[f->join]);
    if (nested) text_putc(out, '(');
    put_from(f->right, out);
    if (nested) text_putc(out, ')');
    if (f->match) {
        text_puts(out, " MATCH_CONDITION (");
        sql_print_expr(f->match, out);
        text_putc(out, ')');
    }
    if (f->on) {
        text_puts(out, " ON ");
        sql_print_expr(f->on, out);
    }
    if (f->using_.n) {
        text_puts(out, " USING");
        put_names_in_parentheses(LIST_OF(f->using_), out);
    }
}

static void put_from(const struct ast_from *f, struct text *out)
{
    switch (f->kind) {
    case FROM_NAME: sql_print_name(f->name, out); break;
    case FROM_CALL: print__call(f->call, out); break;
    case FROM_JOIN: put_join(f, out); return;
    case FROM_SELECT:
    case FROM_VALUES:
        text_putc(out, '(');
        sql_print_select(f->select, out);
        text_putc(out, ')');
        break;
    }
    if (f->system_time) {
        text_puts(out, " FOR SYSTEM_TIME AS OF ");
        sql_print_expr(f->system_time, out);
    }
    put_alias(f, out);
}

/* ---- queries --------------------------------------------------------------------------------- */

static bool has_tail(const struct ast_select *s)
{
    return s->with.n || s->order.n || s->limit || s->offset || s->emit || s->lateness || s->late_to;
}

static int tightness(enum ast_set set) { return set == SET_INTERSECT ? 2 : 1; }

static void put_operand(const struct ast_select *s, enum ast_set parent, bool is_right, struct text *out)
{
    bool nested = has_tail(s) || (s->set && tightness(s->set) < tightness(parent) + is_right);
    if (nested) text_putc(out, '(');
    sql_print_select(s, out);
    if (nested) text_putc(out, ')');
}

static void put_set(const struct ast_select *s, struct text *out)
{
    static const char *const names[] = {[SET_UNION] = "UNION", [SET_INTERSECT] = "INTERSECT", [SET_EXCEPT] = "EXCEPT"};
    put_operand(s->left, s->set, false, out);
    text_printf(out, " %s%s ", names[s->set], s->all ? " ALL" : "");
    put_operand(s->right, s->set, true, out);
}

static void put_values(const struct ast_select *s, struct text *out)
{
    text_puts(out, "VALUES ");
    for (int i = 0; i < s->values.n; i++) {
        text_puts(out, i ? ", (" : "(");
        print__list(LIST_OF(s->values.at[i]->values), out);
        text_putc(out, ')');
    }
}

static void put_items(const struct ast_select *s, struct text *out)
{
    for (int i = 0; i < s->items.n; i++) {
        if (i) text_puts(out, ", ");
        sql_print_expr(s->items.at[i]->expr, out);
        if (!s->items.at[i]->alias) continue;
        text_puts(out, " AS ");
        sql_print_name(s->items.at[i]->alias, out);
    }
}

static void put_clause(const char *word, const struct ast *x, struct text *out)
{
    if (!x) return;
    text_puts(out, word);
    sql_print_expr(x, out);
}

static void put_core(const struct ast_select *s, struct text *out)
{
    text_puts(out, s->distinct ? "SELECT DISTINCT " : "SELECT ");
    if (s->distinct_on.n) {
        text_puts(out, "DISTINCT ON (");
        print__list(LIST_OF(s->distinct_on), out);
        text_puts(out, ") ");
    }
    put_items(s, out);
    if (s->from) {
        text_puts(out, " FROM ");
        put_from(s->from, out);
    }
    put_clause(" WHERE ", s->where, out);
    if (s->group.n) {
        text_puts(out, " GROUP BY ");
        print__list(LIST_OF(s->group), out);
    }
    put_clause(" HAVING ", s->having, out);
    for (int i = 0; i < s->windows.n; i++) {
        text_puts(out, i ? ", " : " WINDOW ");
        sql_print_name(s->windows.at[i]->name, out);
        text_puts(out, " AS ");
        print__over(s->windows.at[i]->over, out);
    }
    put_clause(" QUALIFY ", s->qualify, out);
}

static void put_with(const struct ast_select *s, struct text *out)
{
    for (int i = 0; i < s->with.n; i++) {
        const struct ast_cte *cte = s->with.at[i];
        text_puts(out, i ? ", " : "WITH ");
        sql_print_name(cte->name, out);
        put_names_in_parentheses(LIST_OF(cte->columns), out);
        text_puts(out, " AS (");
        sql_print_select(cte->select, out);
        text_puts(out, i == s->with.n - 1 ? ") " : ")");
    }
}

static void put_emit(const struct ast_select *s, struct text *out)
{
    static const char *const names[] = {
        [EMIT_NONE] = "",
        [EMIT_ON_WATERMARK] = " EMIT ON WATERMARK",
        [EMIT_ON_WINDOW_CLOSE] = " EMIT ON WINDOW CLOSE",
        [EMIT_ON_UPDATE] = " EMIT ON UPDATE",
        [EMIT_EVERY] = " EMIT EVERY ",
        [EMIT_CHANGES] = " EMIT CHANGES",
        [EMIT_FINAL] = " EMIT FINAL",
    };
    put_clause(names[s->emit], s->emit_every, out);
    if (!s->emit_every) text_puts(out, names[s->emit]);
}

void sql_print_select(const struct ast_select *s, struct text *out)
{
    put_with(s, out);
    if (s->set)
        put_set(s, out);
    else if (s->values.n)
        put_values(s, out);
    else
        put_core(s, out);
    if (s->order.n) text_putc(out, ' ');
    print__order(LIST_OF(s->order), out);
    put_clause(" LIMIT ", s->limit, out);
    put_clause(" OFFSET ", s->offset, out);
    put_clause(" ALLOW LATENESS ", s->lateness, out);
    if (s->late_to) {
        text_puts(out, " LATE DATA TO ");
        sql_print_name(s->late_to, out);
    }
    put_emit(s, out);
}

/* ---- statements ------------------------------------------------------------------------------ */

static void put_upper(const char *word, struct text *out)
{
    for (; *word; word++) text_putc(out, *word >= 'a' && *word <= 'z' ? (char)(*word - 32) : *word);
}

/* Plain words with dots between them, as settings and options are called. */
static bool is_dotted(const char *name, const char *separators)
{
    bool start = true;
    for (; *name; name++) {
        bool letter = (*name >= 'a' && *name <= 'z') || *name == '_';
        if (!letter && (start || ((*name < '0' || *name > '9') && !strchr(separators, *name)))) return false;
        start = strchr(separators, *name);
    }
    return !start;
}

static void put_string(const char *s, struct text *out) { print__string(s, (uint32_t)strlen(s), out); }

static void put_option(const char *key, const char *value, struct text *out)
{
    if (is_dotted(key, ".-"))
        text_puts(out, key);
    else
        put_string(key, out);
    text_puts(out, " = ");
    put_string(value, out);
}

static void put_options(const struct stmt *s, struct text *out)
{
    text_puts(out, " (");
    for (int i = 0; i < s->options.n; i++) {
        if (i) text_puts(out, ", ");
        put_option(s->options.at[i]->key, s->options.at[i]->value, out);
    }
    text_putc(out, ')');
}

static void put_column(const struct ast_column *c, struct text *out)
{
    sql_print_name(c->name, out);
    text_putc(out, ' ');
    print__type(&c->type, out);
    if (c->not_null) text_puts(out, " NOT NULL");
    if (c->primary_key) text_puts(out, " PRIMARY KEY");
}

static void put_watermark(const struct ast_watermark *w, struct text *out)
{
    text_puts(out, "WATERMARK FOR ");
    sql_print_name(w->column, out);
    put_clause(" AS ", w->expr, out);
}

static bool has_columns(const struct stmt *s)
{
    return s->columns.n || s->wildcard || s->watermark || s->primary_key.n;
}

static void put_columns(const struct stmt *s, struct text *out)
{
    const char *separator = " (";
    if (!has_columns(s)) return;
    for (int i = 0; i < s->columns.n; i++, separator = ", ") {
        text_puts(out, separator);
        put_column(s->columns.at[i], out);
    }
    if (s->wildcard) {
        text_printf(out, "%s*", separator);
        separator = ", ";
    }
    if (s->watermark) {
        text_puts(out, separator);
        put_watermark(s->watermark, out);
        separator = ", ";
    }
    if (s->primary_key.n) {
        text_printf(out, "%sPRIMARY KEY", separator);
        put_names_in_parentheses(LIST_OF(s->primary_key), out);
    }
    text_putc(out, ')');
}

/* The connector with all options, or the options alone. */
static void put_connector(const struct stmt *s, const char *word, struct text *out)
{
    if (s->connector) {
        text_puts(out, word);
        sql_print_name(s->connector, out);
        put_options(s, out);
    }
    if (s->format) {
        text_puts(out, " FORMAT ");
        sql_print_name(s->format, out);
    }
    if (!s->connector && s->options.n) {
        text_puts(out, " WITH");
        put_options(s, out);
    }
}

static void put_create(const struct stmt *s, const char *what, struct text *out)
{
    text_puts(out, s->or_replace ? "CREATE OR REPLACE " : "CREATE ");
    text_puts(out, what);
    text_puts(out, s->if_not_exists ? " IF NOT EXISTS " : " ");
    sql_print_name(s->name, out);
}

/* A statement of optional clauses has at least one. */
static void put_no_clause(const struct stmt *s, struct text *out)
{
    bool clause = s->connector || s->format || s->options.n || has_columns(s) || s->from || s->select;
    if (!clause) text_puts(out, " WITH ()");
}

static void put_create_source(const struct stmt *s, const char *what, struct text *out)
{
    put_create(s, what, out);
    put_columns(s, out);
    put_connector(s, " FROM ", out);
    put_no_clause(s, out);
}

static void put_create_sink(const struct stmt *s, struct text *out)
{
    put_create(s, "SINK", out);
    if (s->from) {
        text_puts(out, " FROM ");
        sql_print_name(s->from, out);
    } else if (s->select) {
        text_puts(out, " FROM (");
        sql_print_select(s->select, out);
        text_putc(out, ')');
    }
    put_clause(" WHERE ", s->where, out);
    put_connector(s, " INTO ", out);
    put_no_clause(s, out);
}

static void put_create_stream(const struct stmt *s, const char *what, struct text *out)
{
    put_create(s, what, out);
    put_columns(s, out);
    if (s->connector || s->options.n) {
        text_puts(out, " WITH (");
        if (s->connector) put_option("connector", s->connector, out);
        for (int i = 0; i < s->options.n; i++) {
            if (i || s->connector) text_puts(out, ", ");
            put_option(s->options.at[i]->key, s->options.at[i]->value, out);
        }
        text_putc(out, ')');
    }
    if (!s->select) return;
    text_puts(out, " AS ");
    sql_print_select(s->select, out);
}

static void put_alter(const struct stmt *s, struct text *out)
{
    text_puts(out, "ALTER ");
    put_upper(s->what, out);
    text_putc(out, ' ');
    sql_print_name(s->name, out);
    text_putc(out, ' ');
    put_upper(s->value, out);
    if (!strcmp(s->value, "set")) put_options(s, out);
    if (!strcmp(s->value, "add column")) {
        text_putc(out, ' ');
        put_column(s->columns.at[0], out);
    }
}

static void put_setting(const char *name, struct text *out)
{
    if (is_dotted(name, ".") && strchr(name, '.') && !print__is_quoted(name, strcspn(name, ".")))
        text_puts(out, name);
    else
        sql_print_name(name, out);
}

static void put_show(const struct stmt *s, struct text *out)
{
    text_puts(out, "SHOW ");
    const char *space = strchr(s->what, ' ');
    if (!strcmp(s->what, "create") && s->name) {
        text_puts(out, "CREATE ");
        put_upper(s->value, out);
        text_putc(out, ' ');
        sql_print_name(s->name, out);
    } else if (space && is_dotted(s->what, " ") && !print__is_quoted(s->what, (size_t)(space - s->what)) &&
               !print__is_quoted(space + 1, strlen(space + 1))) {
        text_puts(out, s->what);
    } else {
        put_setting(s->what, out);
    }
    if (s->value && !s->name) text_puts(out, " LIKE "), print__string(s->value, (uint32_t)strlen(s->value), out);
}

static void put_explain(const struct stmt *s, struct text *out)
{
    text_puts(out, s->analyze ? "EXPLAIN ANALYZE " : "EXPLAIN ");
    if (s->explained) {
        sql_print(s->explained, out);
        return;
    }
    put_upper(s->what, out);
    text_putc(out, ' ');
    sql_print_name(s->name, out);
    if (s->value) text_puts(out, " FOR "), put_upper(s->value, out);
}

static void put_insert(const struct stmt *s, struct text *out)
{
    text_puts(out, "INSERT INTO ");
    sql_print_name(s->name, out);
    put_names_in_parentheses(LIST_OF(s->insert_columns), out);
    text_putc(out, ' ');
    sql_print_select(s->select, out);
}

static void put_drop(const struct stmt *s, struct text *out)
{
    text_puts(out, "DROP ");
    put_upper(s->what, out);
    text_puts(out, s->if_exists ? " IF EXISTS " : " ");
    sql_print_name(s->name, out);
    if (s->cascade) text_puts(out, " CASCADE");
    if (s->discard) text_puts(out, " DISCARD");
}

static void put_subscribe(const struct stmt *s, struct text *out)
{
    text_puts(out, "SUBSCRIBE ");
    sql_print_name(s->name, out);
    if (s->value) text_printf(out, " AS OF EPOCH %s", s->value);
    put_clause(" WHERE ", s->where, out);
    if (!s->options.n) return;
    text_puts(out, " WITH");
    put_options(s, out);
}

void sql_print(const struct stmt *s, struct text *out)
{
    switch (s->kind) {
    case STMT_SELECT: sql_print_select(s->select, out); break;
    case STMT_CREATE_SOURCE: put_create_source(s, "SOURCE", out); break;
    case STMT_CREATE_TABLE: put_create_source(s, "TABLE", out); break;
    case STMT_CREATE_LOOKUP: put_create_source(s, "LOOKUP TABLE", out); break;
    case STMT_CREATE_STREAM: put_create_stream(s, "STREAM", out); break;
    case STMT_CREATE_VIEW: put_create_stream(s, "MATERIALIZED VIEW", out); break;
    case STMT_CREATE_SINK: put_create_sink(s, out); break;
    case STMT_DROP: put_drop(s, out); break;
    case STMT_ALTER: put_alter(s, out); break;
    case STMT_INSERT: put_insert(s, out); break;
    case STMT_SHOW: put_show(s, out); break;
    case STMT_DESCRIBE:
        text_puts(out, s->extended ? "DESCRIBE EXTENDED " : "DESCRIBE ");
        sql_print_name(s->name, out);
        break;
    case STMT_EXPLAIN: put_explain(s, out); break;
    case STMT_SET:
        text_puts(out, "SET ");
        put_setting(s->what, out);
        text_puts(out, " = ");
        put_string(s->value, out);
        break;
    case STMT_SUBSCRIBE:
        put_subscribe(s, out);
        break;
    case STMT_BEGIN: text_puts(out, "BEGIN"); break;
    case STMT_COMMIT: text_puts(out, "COMMIT"); break;
    case STMT_ROLLBACK: text_puts(out, "ROLLBACK"); break;
    case STMT_CHECKPOINT: text_puts(out, "CHECKPOINT"); break;
    case STMT_LOAD:
        text_puts(out, "LOAD ");
        put_string(s->value, out);
        break;
    }
}
