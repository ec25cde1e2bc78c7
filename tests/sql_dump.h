/* A tree as text that shows its shape, every field but positions: two trees are the same iff their dumps are. Printing
 * alone would not do as a test: a printer that forgets parentheses is content with itself.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SQL_DUMP_H
#define TESTS_SQL_DUMP_H

#include "base/text.h"
#include "sql/tree.h"

static void dump_ast(const struct ast *x, struct text *out);
static void dump_select(const struct ast_select *s, struct text *out);

#define DUMP_LIST(list, fn)                                                                                            \
    do {                                                                                                               \
        text_putc(out, '[');                                                                                           \
        for (int i_ = 0; i_ < (list).n; i_++) fn((list).at[i_], out);                                                  \
        text_putc(out, ']');                                                                                           \
    } while (0)

static void dump_word(const char *s, struct text *out)
{
    text_printf(out, "<%s>", s ? s : "-");
}

static void dump_order(const struct ast_order *o, struct text *out)
{
    text_printf(out, "%d%d", o->desc, o->nulls);
    dump_ast(o->expr, out);
}

static void dump_over(const struct ast_over *o, struct text *out)
{
    if (!o) return;
    text_puts(out, "{over");
    dump_word(o->name, out);
    DUMP_LIST(o->partition, dump_ast);
    DUMP_LIST(o->order, dump_order);
    dump_word(o->frame, out);
    text_printf(out, "%d%d", o->from.kind, o->to.kind);
    dump_ast(o->from.offset, out);
    dump_ast(o->to.offset, out);
    dump_word(o->exclude, out);
    text_putc(out, '}');
}

static void dump_type(const struct ast_type *t, struct text *out)
{
    text_printf(out, "%d/%d/%d/%u", t->type.id, t->type.precision, t->type.scale, t->type.length);
    dump_word(t->word, out);
}

static void dump_ast(const struct ast *x, struct text *out)
{
    if (!x) {
        text_putc(out, '-');
        return;
    }
    text_printf(out, "(%d:%d%d%d%d%d%d", x->kind, x->flag, x->negated, x->distinct, x->star, x->within_group, x->depth);
    if (x->name) dump_word(x->name, out);
    text_printf(out, "%u'", x->text_n);
    text_put(out, x->text, x->text_n);
    for (int i = 0; i < x->nparts; i++) dump_word(x->parts[i], out);
    DUMP_LIST(x->args, dump_ast);
    DUMP_LIST(x->order, dump_order);
    dump_ast(x->operand, out);
    dump_ast(x->els, out);
    dump_ast(x->filter, out);
    dump_type(&x->type, out);
    dump_select(x->select, out);
    dump_over(x->over, out);
    text_putc(out, ')');
}

static void dump_from(const struct ast_from *f, struct text *out)
{
    if (!f) return;
    text_printf(out, "(from%d:%d%d%d", f->kind, f->join, f->natural, f->depth);
    dump_word(f->name, out);
    dump_word(f->alias, out);
    DUMP_LIST(f->columns, dump_word);
    dump_select(f->select, out);
    dump_ast(f->call, out);
    dump_ast(f->system_time, out);
    dump_from(f->left, out);
    dump_from(f->right, out);
    dump_ast(f->on, out);
    dump_ast(f->match, out);
    DUMP_LIST(f->using_, dump_word);
    text_putc(out, ')');
}

static void dump_item(const struct ast_item *item, struct text *out)
{
    dump_ast(item->expr, out);
    dump_word(item->alias, out);
}

static void dump_cte(const struct ast_cte *cte, struct text *out)
{
    dump_word(cte->name, out);
    DUMP_LIST(cte->columns, dump_word);
    dump_select(cte->select, out);
}

static void dump_window(const struct ast_window *w, struct text *out)
{
    dump_word(w->name, out);
    dump_over(w->over, out);
}

static void dump_row(const struct ast_row *row, struct text *out) { DUMP_LIST(row->values, dump_ast); }

static void dump_select(const struct ast_select *s, struct text *out)
{
    if (!s) return;
    text_printf(out, "(select%d:%d%d%d%d", s->depth, s->set, s->all, s->distinct, s->emit);
    DUMP_LIST(s->with, dump_cte);
    dump_select(s->left, out);
    dump_select(s->right, out);
    DUMP_LIST(s->values, dump_row);
    DUMP_LIST(s->distinct_on, dump_ast);
    DUMP_LIST(s->items, dump_item);
    dump_from(s->from, out);
    dump_ast(s->where, out);
    DUMP_LIST(s->group, dump_ast);
    dump_ast(s->having, out);
    dump_ast(s->qualify, out);
    DUMP_LIST(s->windows, dump_window);
    DUMP_LIST(s->order, dump_order);
    dump_ast(s->limit, out);
    dump_ast(s->offset, out);
    dump_ast(s->emit_every, out);
    dump_ast(s->lateness, out);
    dump_word(s->late_to, out);
    text_putc(out, ')');
}

static void dump_column(const struct ast_column *c, struct text *out)
{
    dump_word(c->name, out);
    dump_type(&c->type, out);
    text_printf(out, "%d%d", c->not_null, c->primary_key);
}

static void dump_option(const struct ast_option *o, struct text *out)
{
    dump_word(o->key, out);
    dump_word(o->value, out);
}

static void dump_stmt(const struct stmt *s, struct text *out)
{
    text_printf(out, "(stmt%d:%d%d%d%d%d%d%d", s->kind, s->or_replace, s->if_not_exists, s->if_exists, s->cascade,
                s->extended, s->analyze, s->wildcard);
    dump_word(s->name, out);
    dump_word(s->what, out);
    dump_word(s->value, out);
    DUMP_LIST(s->columns, dump_column);
    DUMP_LIST(s->primary_key, dump_word);
    if (s->watermark) {
        dump_word(s->watermark->column, out);
        dump_ast(s->watermark->expr, out);
    }
    dump_word(s->connector, out);
    dump_word(s->format, out);
    DUMP_LIST(s->options, dump_option);
    dump_word(s->from, out);
    dump_ast(s->where, out);
    dump_select(s->select, out);
    if (s->explained) dump_stmt(s->explained, out);
    DUMP_LIST(s->insert_columns, dump_word);
    text_putc(out, ')');
}

#endif
