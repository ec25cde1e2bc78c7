/* Paths of files. SPDX-License-Identifier: Apache-2.0 */
#include "connector/path.h"

#include "base/text.h"

#include <string.h>

static const struct {
    const char *extension, *format;
} extensions[] = {
    {".csv", "csv"}, {".tsv", "tsv"}, {".json", "json"}, {".jsonl", "json"}, {".ndjson", "json"},
    {".arrows", "arrow_ipc"},
};

const char *path_guess_format(const struct options *o)
{
    const char *path = options_text(o, "path");
    const char *dot = path ? strrchr(path_name(path), '.') : NULL;
    for (size_t i = 0; dot && i < countof(extensions); i++)
        if (!text_casecmp(dot, extensions[i].extension)) return extensions[i].format;
    return NULL;
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_folder(const char *path)
{
    size_t n = (size_t)(path_name(path) - path);
    if (!n) return mem_strdup(".");
    if (n > 1) n--; /* the slash, but of the root */
    char *folder = mem_alloc(n + 1);
    memcpy(folder, path, n);
    folder[n] = 0;
    return folder;
}

char *path_join(const char *folder, const char *name)
{
    size_t n = strlen(folder), m = strlen(name);
    bool slash = n && folder[n - 1] != '/';
    char *path = mem_alloc(n + slash + m + 1);
    memcpy(path, folder, n);
    if (slash) path[n] = '/';
    memcpy(path + n + slash, name, m + 1);
    return path;
}

bool path_has_pattern(const char *path) { return strpbrk(path, "*?[") != NULL; }

enum status path_check(const char *path, struct err *err)
{
    if (!*path) return err_set(err, E_CONNECTOR_OPTION, "option path is empty");
    if (!strstr(path, "://")) return ST_OK;
    err_set(err, E_CONNECTOR_OPTION, "path \"%s\" is a URL, not a file of this machine", path);
    err_hint(err, "give a path such as 'data/rows.csv', or fetch the file first");
    return E_CONNECTOR_OPTION;
}

struct names {
    char **names;
    int n, cap;
};

static enum status add_name(void *ctx, const char *name)
{
    struct names *l = ctx;
    if (l->n == 1000) return ST_DONE; /* enough for advice */
    if (l->n == l->cap) {
        int cap = l->cap ? l->cap * 2 : 16;
        l->names = mem_realloc(l->names, sizeof *l->names * (size_t)l->n, sizeof *l->names * (size_t)cap);
        l->cap = cap;
    }
    l->names[l->n++] = mem_strdup(name);
    return ST_OK;
}

static const char *name_at(const void *ctx, int i)
{
    const struct names *l = ctx;
    return i < l->n ? l->names[i] : NULL;
}

void path_hint_nearest(struct env *env, const char *path, struct err *err)
{
    if (!err || err->code != E_NOT_FOUND) return;
    struct names l = {0};
    char *folder = path_folder(path);
    enum status st = env_list(env, folder, add_name, &l, NULL);
    const char *near = text_nearest(path_name(path), name_at, &l);
    if (st > 0)
        err_hint(err, "the folder \"%s\" does not exist either; relative paths start at the current folder", folder);
    else if (near)
        err_hint(err, "did you mean \"%s\"?", near);
    else
        err_hint(err, "relative paths start at the current folder");
    for (int i = 0; i < l.n; i++) mem_free(l.names[i]);
    mem_free(l.names);
    mem_free(folder);
}
