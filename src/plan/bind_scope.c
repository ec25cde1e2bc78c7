/* Which names may be used, and what is said about one that may not. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/bind.h"

enum status bind_refuse(struct binder *b, uint32_t pos, const char *what, const char *instead)
{
    err_at(b->err, E_UNSUPPORTED, pos, "%s is not supported", what);
    if (instead) err_hint(b->err, "%s", instead);
    return E_UNSUPPORTED;
}

struct scope *scope_new(struct arena *a, struct plan *plan, const char *table)
{
    struct scope *s = arena_alloc(a, sizeof *s);
    s->plan = plan;
    s->n = plan->schema->n;
    s->columns = arena_alloc(a, sizeof *s->columns * (size_t)s->n);
    for (int i = 0; i < s->n; i++)
        s->columns[i] = (struct scope_column){.table = table, .name = plan->schema->fields[i].name, .column = i};
    return s;
}

enum status scope_rename(struct binder *b, struct scope *s, const char *const *names, int n, uint32_t pos)
{
    if (n > s->n) return err_at(b->err, E_COLUMN, pos, "%d column names for a table of %d columns", n, s->n);
    for (int i = 0; i < n; i++) s->columns[i].name = names[i];
    return ST_OK;
}

struct scope *scope_join(struct arena *a, const struct scope *left, const struct scope *right, struct plan *join,
                         const char *const *using_, int nusing)
{
    struct scope *s = arena_alloc(a, sizeof *s);
    int nleft = left->plan->schema->n;
    s->plan = join;
    s->columns = arena_alloc(a, sizeof *s->columns * (size_t)(nusing + left->n + right->n + 1));
    for (int i = 0; i < nusing; i++)
        s->columns[s->n++] = (struct scope_column){.name = using_[i], .column = scope_look(left, NULL, using_[i])};
    for (int side = 0; side < 2; side++) {
        const struct scope *from = side ? right : left;
        for (int i = 0; i < from->n; i++) {
            struct scope_column c = from->columns[i];
            for (int u = 0; u < nusing; u++) c.hidden |= !strcmp(c.name, using_[u]);
            if (side) c.column += nleft;
            if (c.table || !c.hidden) s->columns[s->n++] = c;
        }
    }
    return s;
}

int scope_look(const struct scope *s, const char *table, const char *name)
{
    int found = SCOPE_NONE;
    for (int i = 0; i < s->n; i++) {
        const struct scope_column *c = &s->columns[i];
        if (strcmp(c->name, name)) continue;
        if (table ? !c->table || strcmp(c->table, table) : c->hidden) continue;
        if (found >= 0 && found != c->column) return SCOPE_AMBIGUOUS;
        found = c->column;
    }
    return found;
}

bool scope_has_table(const struct scope *s, const char *table)
{
    for (int i = 0; i < s->n; i++)
        if (s->columns[i].table && !strcmp(s->columns[i].table, table)) return true;
    return false;
}

static const char *nth_column(const void *ctx, int i)
{
    const struct scope *s = ctx;
    return i < s->n ? s->columns[i].name : NULL;
}

static const char *nth_table(const void *ctx, int i)
{
    const struct scope *s = ctx;
    return i < s->n ? (s->columns[i].table ? s->columns[i].table : "") : NULL;
}

static enum status no_column(struct binder *b, const struct scope *s, const char *table, const char *name, uint32_t pos)
{
    if (table && !scope_has_table(s, table)) {
        err_at(b->err, E_TABLE, pos, "there is no '%.100s' in FROM", table);
        const char *near = text_nearest(table, nth_table, s);
        if (near && *near) err_hint(b->err, "did you mean '%s'?", near);
        return E_TABLE;
    }
    err_at(b->err, E_COLUMN, pos, "there is no column '%s%s%.100s'", table ? table : "", table ? "." : "", name);
    if (!table && scope_has_table(s, name)) {
        err_hint(b->err, "'%s' is a table; its columns are %s.*", name, name);
        return E_COLUMN;
    }
    const char *near = text_nearest(name, nth_column, s);
    if (!strncmp(name, "window_", 7)) {
        err_hint(b->err, "window_start and window_end come with GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)");
        return E_COLUMN;
    }
    if (near) {
        err_hint(b->err, "did you mean '%s'?", near);
        return E_COLUMN;
    }
    struct text all = {.max = 180};
    for (int i = 0; i < s->n; i++) text_printf(&all, "%s%s", i ? ", " : "", s->columns[i].name);
    if (s->n) err_hint(b->err, "columns: %s%s", text_cstr(&all), all.full ? ", ..." : "");
    text_done(&all);
    return E_COLUMN;
}

static enum status ambiguous(struct binder *b, const struct scope *s, const char *name, uint32_t pos)
{
    struct text tables = {.max = 180};
    int n = 0;
    bool twice = false; /* in one table */
    for (int i = 0; i < s->n; i++) {
        const char *table = s->columns[i].table;
        if (strcmp(s->columns[i].name, name) || !table) continue;
        for (int k = 0; k < i; k++)
            twice |= !strcmp(s->columns[k].name, name) && s->columns[k].table && !strcmp(s->columns[k].table, table);
        text_printf(&tables, "%s%s.%s", n++ ? " or " : "", table, name);
    }
    err_at(b->err, E_AMBIGUOUS, pos, "column '%.100s' is ambiguous", name);
    if (twice)
        err_hint(b->err, "give the columns different names with AS");
    else if (n)
        err_hint(b->err, "write %s", text_cstr(&tables));
    text_done(&tables);
    return E_AMBIGUOUS;
}

enum status scope_find(struct binder *b, const struct scope *s, const struct ast *e, int *column)
{
    const char *name = e->parts[e->nparts - 1];
    const char *table = e->nparts > 1 ? e->parts[e->nparts - 2] : NULL;
    int found = scope_look(s, table, name);
    if (found == SCOPE_NONE) return no_column(b, s, table, name, e->pos);
    if (found == SCOPE_AMBIGUOUS) return ambiguous(b, s, name, e->pos);
    *column = found;
    return ST_OK;
}

const char *scope_print(const struct scope *s, int column, struct arena *a)
{
    for (int i = 0; i < s->n; i++)
        if (s->columns[i].column == column && s->columns[i].table)
            return arena_printf(a, "%s.%s", s->columns[i].table, s->columns[i].name);
    return s->plan->schema->fields[column].name;
}
