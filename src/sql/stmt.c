/* Builds statements. SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

#include "base/text.h"

struct stmt *stmt__new(struct parser *p, enum stmt_kind kind, struct span at)
{
    struct stmt *s = arena_alloc(p->arena, sizeof *s);
    s->kind = kind;
    s->pos = at.pos, s->end = at.end;
    return s;
}

struct stmt *stmt__named(struct parser *p, enum stmt_kind kind, const char *name, struct span name_at, struct span at)
{
    struct stmt *s = stmt__new(p, kind, at);
    s->name = name;
    s->name_pos = name_at.pos;
    return s;
}

void stmt__create(struct parser *p, enum stmt_kind kind, bool or_replace, struct target target, struct span at)
{
    p->created = stmt__named(p, kind, target.name, target.at, at);
    p->created->or_replace = or_replace;
    p->created->if_not_exists = target.flag;
}

static void twice(struct parser *p, const char *clause, struct span at)
{
    parser__fail(p, E_SYNTAX, at.pos, "%s is given twice", clause);
}

void stmt__column(struct parser *p, const char *name, struct ast_type type, int constraints, struct span at)
{
    struct ast_column *c = arena_alloc(p->arena, sizeof *c);
    c->name = name;
    c->type = type;
    c->not_null = constraints & CONSTRAINT_NOT_NULL;
    c->primary_key = constraints & CONSTRAINT_PRIMARY_KEY;
    c->pos = at.pos;
    LIST_SET(p->created->columns, list__add(p->arena, LIST_OF(p->created->columns), c));
}

void stmt__columns_end(struct parser *p, struct span at)
{
    if (p->has_columns) twice(p, "the list of columns", at);
    p->has_columns = true;
}

void stmt__primary_key(struct parser *p, struct list names, struct span at)
{
    if (p->created->primary_key.n) twice(p, "PRIMARY KEY", at);
    LIST_SET(p->created->primary_key, names);
}

void stmt__wildcard(struct parser *p, struct span at)
{
    if (p->created->wildcard) twice(p, "*", at);
    p->created->wildcard = true;
}

void stmt__watermark(struct parser *p, const char *column, struct ast *expr, struct span at)
{
    if (p->created->watermark) twice(p, "WATERMARK", at);
    struct ast_watermark *w = arena_alloc(p->arena, sizeof *w);
    *w = (struct ast_watermark){column, expr, at.pos};
    p->created->watermark = w;
}

static const char *folded(struct parser *p, const char *name)
{
    char *s = arena_strdup(p->arena, name);
    for (char *c = s; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c |= 0x20;
    return s;
}

void stmt__connector(struct parser *p, const char *name, struct span at)
{
    if (p->created->connector) twice(p, "the connector", at);
    if (!*name) parser__fail(p, E_SYNTAX, at.pos, "the connector's name is empty");
    p->created->connector = folded(p, name);
    p->created->connector_pos = at.pos;
}

void stmt__format(struct parser *p, const char *name, struct span at)
{
    if (p->created->format) twice(p, "FORMAT", at);
    p->created->format = folded(p, name);
}

const char *stmt__key(struct parser *p, const char *key, char separator, const char *part, struct span at)
{
    if (strlen(key) + strlen(part) < OPTION_KEY_MAX) return arena_printf(p->arena, "%s%c%s", key, separator, part);
    parser__fail(p, E_SYNTAX, at.pos, "the option's name is longer than %d bytes", OPTION_KEY_MAX);
    return key;
}

const char *stmt__word(struct parser *p, const char *word, struct span at)
{
    const char *written = p->lexer.text + at.pos;
    if (*written == '"' || *written == '`') return word;
    return arena_strndup(p->arena, written, at.end - at.pos);
}

void stmt__option(struct parser *p, const char *key, struct span key_at, const char *value, struct span value_at)
{
    struct stmt *s = p->created;
    key = folded(p, key);
    if (!*key) parser__fail(p, E_SYNTAX, key_at.pos, "the option's name is empty");
    if (s->kind != STMT_ALTER && !strcmp(key, "connector")) {
        stmt__connector(p, value, value_at);
        return;
    }
    struct ast_option *o = arena_alloc(p->arena, sizeof *o);
    *o = (struct ast_option){key, value, key_at.pos, value_at.pos};
    LIST_SET(s->options, list__add(p->arena, LIST_OF(s->options), o));
}

void stmt__from(struct parser *p, const char *name, struct ast_select *select, struct ast *where, struct span at)
{
    struct stmt *s = p->created;
    if (s->from || s->select) twice(p, "what the sink reads", at);
    s->from = name;
    s->from_pos = at.pos;
    s->select = select;
    s->where = where;
}

void stmt__select(struct parser *p, struct ast_select *select, struct span at)
{
    if (p->created->from || p->created->select) twice(p, "what the sink reads", at);
    p->created->select = select;
}

struct list name__add(struct parser *p, struct list parts, const char *part, struct span at)
{
    if (parts.n == NAME_PARTS) {
        parser__fail(p, E_SYNTAX, at.pos, "a name has at most %d parts", NAME_PARTS);
        return parts;
    }
    return list__add(p->arena, parts, part);
}

const char *name__dotted(struct parser *p, struct list parts)
{
    const char *name = parts.at[0];
    for (int i = 1; i < parts.n; i++) name = arena_printf(p->arena, "%s.%s", name, (const char *)parts.at[i]);
    return name;
}

const char *name__object(struct parser *p, struct list parts)
{
    if (parts.n == 2 && (!strcmp(parts.at[0], "public") || !strcmp(parts.at[0], "main"))) return parts.at[1];
    return name__dotted(p, parts);
}
