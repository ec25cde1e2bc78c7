/* Where columns are found in a record: json.path is the row, or an array of rows; json.column.<column> a column in it, or from the
 * record's beginning ($.). SPDX-License-Identifier: Apache-2.0 */
#include "format/json_int.h"

#include <stdio.h>
#include <strings.h>

/* ---- the tree ------------------------------------------------------------------------------------------- */

int json_node_new(struct json *j)
{
    j->nodes = mem_realloc(j->nodes, sizeof *j->nodes * (size_t)j->nnodes, sizeof *j->nodes * ((size_t)j->nnodes + 1));
    j->nodes[j->nnodes] = (struct json_node){.memos = mem_zalloc(sizeof(struct json_memo) * (JSON_MEMOS + 1))};
    return j->nnodes++;
}

static int64_t index_of(const char *p, size_t n)
{
    int64_t v = 0;
    if (!n || n > 9 || (n > 1 && *p == '0')) return -1;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

struct json_entry *json_entry_of(struct json *j, int node, const char *name, size_t n)
{
    struct json_node *x = &j->nodes[node];
    for (int i = 0; i < x->n; i++)
        if (x->entries[i].name_n == n && !memcmp(x->entries[i].name, name, n)) return &x->entries[i];
    if (x->n == x->cap) {
        int cap = x->cap ? x->cap * 2 : 16;
        x->entries = mem_realloc(x->entries, sizeof *x->entries * (size_t)x->n, sizeof *x->entries * (size_t)cap);
        x->cap = cap;
    }
    x->entries[x->n] = (struct json_entry){.name = name, .name_n = n, .index = index_of(name, n), .col = -1, .child = -1, .slot = -1};
    return &x->entries[x->n++];
}

int json_child_of(struct json *j, int node, const char *name, size_t n)
{
    struct json_entry *e = json_entry_of(j, node, name, n);
    if (e->child >= 0) return e->child;
    int child = json_node_new(j);
    return json_entry_of(j, node, name, n)->child = child;
}

void json_nodes_done(struct json *j)
{
    for (int i = 0; i < j->nnodes; i++) mem_free(j->nodes[i].memos), mem_free(j->nodes[i].entries);
    mem_free(j->nodes);
}

/* ---- paths ------------------------------------------------------------------------------------------------ */

/* The next name of a path: up to a dot or bracket; \ before one takes it as part of the name. Written to `to`, which has room for the
 * rest. NULL: it is malformed. */
static const char *next_name(const char *p, char *to, size_t *n)
{
    bool bracket = *p == '[';
    *n = 0;
    for (p += bracket; *p && *p != '.' && *p != '[' && *p != ']'; p++) {
        if (*p == '\\' && !*++p) return NULL;
        to[(*n)++] = *p;
    }
    if (bracket != (*p == ']') || !*n) return NULL;
    p += bracket;
    if (*p == '.') return p[1] ? p + 1 : NULL;
    return *p && *p != '[' ? NULL : p;
}

/* The entry at the end of a path that begins at `node`; NULL: it is malformed. */
static struct json_entry *descend(struct json *j, int node, const char *path)
{
    char *names = arena_alloc(j->arena, strlen(path) + 1);
    if (path[0] == '$' && strchr(".[", path[1])) return NULL; /* the record, which is no name; alone as well, by its end */
    for (int depth = 0; depth < JSON_PATH_DEPTH; depth++) {
        size_t n;
        path = next_name(path, names, &n);
        if (!path) return NULL;
        if (!*path) return json_entry_of(j, node, names, n);
        node = json_child_of(j, node, names, n);
        names += n;
    }
    return NULL;
}

static enum status bad_path(const char *option, const char *path, struct err *err)
{
    err_set(err, E_CONNECTOR_OPTION, "option '%.100s' cannot be '%.100s'", option, path);
    err_hint(err, "write names with dots between them, such as 'data.price', elements as in 'bids[0]', and \\. for a dot in a name; %d names at most",
             JSON_PATH_DEPTH);
    return E_CONNECTOR_OPTION;
}

static enum status read_rows_path(struct json *j, const struct options *o, struct err *err)
{
    const char *path = options_text(o, "json.path");
    j->root = json_node_new(j);
    j->rows = -1;
    if (!path) return ST_OK;
    j->rows = json_node_new(j);
    j->d.many = true;
    j->whole = !strcmp(path, "$");
    if (j->whole) return ST_OK;
    struct json_entry *e = descend(j, j->root, !strncmp(path, "$.", 2) ? path + 2 : path);
    if (!e) return bad_path("json.path", path, err);
    e->slot = SLOT_ROWS;
    return ST_OK;
}

/* ---- columns ------------------------------------------------------------------------------------------------ */

bool json_unit(const char *word, int64_t *mul, int64_t *div)
{
    static const struct {
        const char *words;
        int64_t mul, div;
    } units[] = {
        {"s second seconds", 1000000, 1},
        {"ms milli millis millisecond milliseconds", 1000, 1},
        {"us micro micros microsecond microseconds", 1, 1},
        {"ns nano nanos nanosecond nanoseconds", 1, 1000},
    };
    size_t n = strlen(word);
    for (size_t i = 0; i < countof(units); i++)
        for (const char *p = units[i].words; *p; p += strspn(p, " ")) {
            size_t len = strcspn(p, " ");
            bool same = len == n && !strncasecmp(p, word, n);
            p += len;
            if (same) return *mul = units[i].mul, *div = units[i].div, true;
        }
    return false;
}

static int column_named(const struct schema *s, const char *name, size_t n)
{
    char copy[256];
    if (n >= sizeof copy) return -1;
    memcpy(copy, name, n);
    copy[n] = 0;
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->fields[i].name, copy)) return i;
    for (int i = 0; i < s->n; i++)
        if (option_same_name(s->fields[i].name, copy)) return i;
    return -1;
}

static const char *nth_column(const void *ctx, int i)
{
    const struct schema *s = ctx;
    return i < s->n ? s->fields[i].name : NULL;
}

/* What the option json.column.<rest> is about; *unit: how its numbers are counted. */
static enum status column_of(const struct json *j, const char *rest, const char **name, bool *unit, struct err *err)
{
    static const char suffix[] = ".epoch_unit";
    const struct schema *s = j->d.declared ? j->d.declared : j->d.schema;
    size_t n = strlen(rest), cut = n > strlen(suffix) ? n - strlen(suffix) : n;
    int i = column_named(s, rest, n);
    *unit = i < 0 && cut < n && option_same_name(rest + cut, suffix);
    if (*unit) i = column_named(s, rest, cut);
    if (i >= 0) return *name = s->fields[i].name, ST_OK;
    err_set(err, E_CONNECTOR_OPTION, "option 'json.column.%.100s': there is no column \"%.*s\" to be read", rest, (int)(*unit ? cut : n), rest);
    const char *near = text_nearest(rest, nth_column, s);
    if (near) err_hint(err, "did you mean 'json.column.%s'?", near);
    return E_CONNECTOR_OPTION;
}

/* The path that the user gives a column, and the unit of its numbers. */
static enum status column_options(struct json *j, const struct options *o, const char **paths, struct err *err)
{
    const struct option_value *v;
    for (int i = 0; (v = options_nth(o, "json.column.*", i)); i++) {
        const char *name;
        bool unit;
        TRY(column_of(j, v->rest, &name, &unit, err));
        int col = schema_find(j->d.schema, name); /* -1: it is not wanted */
        int64_t mul, div;
        if (unit && !json_unit(v->text, &mul, &div)) {
            err_set(err, E_CONNECTOR_OPTION, "option 'json.column.%.100s' cannot be '%.100s'", v->rest, v->text);
            err_hint(err, "one of: s, ms, us, ns");
            return E_CONNECTOR_OPTION;
        }
        if (unit && col >= 0) j->columns[col].mul = mul, j->columns[col].div = div;
        if (!unit && col >= 0) paths[col] = v->text;
    }
    return ST_OK;
}

static enum status place_column(struct json *j, int col, const char *path, struct err *err)
{
    const char *name = j->d.schema->fields[col].name;
    bool of_record = path && !strncmp(path, "$.", 2);
    int node = of_record || j->rows < 0 ? j->root : j->rows;
    struct json_entry *e = path ? descend(j, node, of_record ? path + 2 : path) : json_entry_of(j, node, name, strlen(name));
    char option[128];
    snprintf(option, sizeof option, "json.column.%.100s", name);
    if (!e) return bad_path(option, path, err);
    if (e->col >= 0)
        return err_set(err, E_CONNECTOR_OPTION, "columns \"%s\" and \"%s\" are read from the same place", j->d.schema->fields[e->col].name, name);
    e->col = col;
    j->columns[col].of_record = of_record && j->rows >= 0;
    return ST_OK;
}

enum status json_paths(struct json *j, const struct options *o, struct err *err)
{
    const char **paths = arena_alloc(j->arena, sizeof *paths * (size_t)(j->d.schema->n + 1));
    TRY(read_rows_path(j, o, err));
    TRY(column_options(j, o, paths, err));
    for (int i = 0; i < j->d.schema->n; i++) TRY(place_column(j, i, paths[i], err));
    return ST_OK;
}
