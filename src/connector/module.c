/* Finding, checking and loading modules. SPDX-License-Identifier: Apache-2.0 */
#include "connector/module.h"

#include "connector/connector_int.h"
#include "connector/outside.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    struct lock lock; /* zero is an unlocked mutex */
    struct arena *arena;
    struct known {
        struct known *next;
        const struct lam_module *at;
    } * all;
} registry;

/* ---- adding classes -----------------------------------------------------------------------------------------------
 */

struct adding {
    const struct source_class **sources;
    const struct sink_class **sinks;
    int nsources, nsinks;
};

static enum status taken(const struct module *m, const char *what, const char *name, const struct module *by,
                         struct err *err)
{
    err_set(err, E_EXISTS, "the module %s has a %s connector '%s', which %s has already", m->name, what, name,
            !by        ? "the program"
            : by->path ? by->path
                       : by->name);
    return E_EXISTS;
}

static enum status free_as_source(const struct module *m, const struct source_class *c, struct err *err)
{
    const struct source_class *old = source_find(c->name);
    if (old) return taken(m, "source", c->name, old->module, err);
    for (const char *const *a = c->aliases; *a; a++)
        if ((old = source_find(*a))) return taken(m, "source", *a, old->module, err);
    return ST_OK;
}

static enum status free_as_sink(const struct module *m, const struct sink_class *c, struct err *err)
{
    const struct sink_class *old = sink_find(c->name);
    if (old) return taken(m, "sink", c->name, old->module, err);
    for (const char *const *a = c->aliases; *a; a++)
        if ((old = sink_find(*a))) return taken(m, "sink", *a, old->module, err);
    return ST_OK;
}

static enum status read_classes(const struct lam_module *from, const struct module *m, struct adding *all,
                                struct err *err)
{
    struct arena *a = registry.arena;
    while (from->sources && from->sources[all->nsources]) all->nsources++;
    while (from->sinks && from->sinks[all->nsinks]) all->nsinks++;
    all->sources = arena_alloc(a, sizeof *all->sources * (size_t)(all->nsources + 1));
    all->sinks = arena_alloc(a, sizeof *all->sinks * (size_t)(all->nsinks + 1));
    for (int i = 0; i < all->nsources; i++) {
        TRY(outside_source(a, m, from->sources[i], &all->sources[i], err));
        TRY(free_as_source(m, all->sources[i], err));
    }
    for (int i = 0; i < all->nsinks; i++) {
        TRY(outside_sink(a, m, from->sinks[i], &all->sinks[i], err));
        TRY(free_as_sink(m, all->sinks[i], err));
    }
    return ST_OK;
}

static enum status check_head(const struct lam_module *m, const char *path, struct err *err)
{
    const char *what = path ? path : "the module given";
    if (m->size < offsetof(struct lam_module, name) || m->size > 1 << 16)
        return err_set(err, E_MODULE, "%s: the size of its lam_module is wrong", what);
    if (m->abi != LAM_CONNECTOR_ABI) {
        err_set(err, E_MODULE, "%s is made for version %u of the connector interface, and this program has version %d",
                what, m->abi, LAM_CONNECTOR_ABI);
        err_hint(err, "compile it with the laminar_connector.h of this version (%s)", outside_host.version);
        return E_MODULE;
    }
    if (m->size < sizeof *m || !m->name || !*m->name || !m->version)
        return err_set(err, E_MODULE, "%s says no name or no version", what);
    return ST_OK;
}

static enum status add(const struct lam_module *from, const char *path, struct err *err)
{
    for (struct known *k = registry.all; k; k = k->next)
        if (k->at == from) return ST_OK;
    TRY(check_head(from, path, err));
    if (!registry.arena) registry.arena = arena_new();
    struct arena *a = registry.arena;
    struct module *m = arena_alloc(a, sizeof *m);
    *m = (struct module){arena_strdup(a, from->name), arena_strdup(a, from->version),
                         path ? arena_strdup(a, path) : NULL};
    struct adding all = {0};
    TRY(read_classes(from, m, &all, err));
    for (int i = 0; i < all.nsources; i++) source_class_add(all.sources[i]);
    for (int i = 0; i < all.nsinks; i++) sink_class_add(all.sinks[i]);
    struct known *k = arena_alloc(a, sizeof *k);
    *k = (struct known){registry.all, from};
    registry.all = k;
    return ST_OK;
}

enum status module_add(const struct lam_module *m, const char *path, struct err *err)
{
    lock_take(&registry.lock);
    enum status st = add(m, path, err);
    lock_give(&registry.lock);
    return st;
}

/* ---- files ----------------------------------------------------------------------------------------------------------
 */

static bool lies_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return !strncmp(path, folder, n) && (path[n] == '/' || (n && folder[n - 1] == '/'));
}

/* What a link stands for is what is judged and loaded. */
static enum status resolve(const char *path, const char *folder, char real[PATH_MAX], struct err *err)
{
    char home[PATH_MAX];
    struct stat st;
    if (folder && !realpath(folder, home))
        return err_set(err, E_MODULE, "the folder of modules %s: %s", folder, strerror(errno));
    if (!realpath(path, real)) return err_set(err, E_MODULE, "the module %s: %s", path, strerror(errno));
    if (folder && !lies_in(real, home)) {
        err_set(err, E_MODULE, "the module %s lies outside of %s", real, home);
        err_hint(err, "LAMINAR_MODULES and lam_config.modules name the only folder that modules are taken from");
        return E_MODULE;
    }
    if (stat(real, &st)) return err_set(err, E_MODULE, "the module %s: %s", real, strerror(errno));
    if (!S_ISREG(st.st_mode)) return err_set(err, E_MODULE, "%s is no file", real);
    if (st.st_mode & S_IWOTH) {
        err_set(err, E_MODULE, "the module %s may be written by everybody, so it is not run", real);
        err_hint(err, "chmod o-w %s", real);
        return E_MODULE;
    }
    return ST_OK;
}

static enum status open_file(const char *real, struct err *err)
{
    void *handle = dlopen(real, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return err_set(err, E_MODULE, "%s is no module: %s", real, dlerror());
    const struct lam_module *m = dlsym(handle, "lam_module");
    enum status st;
    if (m) {
        st = add(m, real, err);
    } else {
        st = err_set(err, E_MODULE, "%s is no module: it does not have the symbol lam_module", real);
        err_hint(err, "see laminar_connector.h");
    }
    if (st) dlclose(handle); /* else it stays, and so does its handle */
    return st;
}

static enum status load_file(const char *path, const char *folder, struct err *err)
{
    char real[PATH_MAX];
    TRY(resolve(path, folder, real, err));
    lock_take(&registry.lock);
    enum status st = open_file(real, err);
    lock_give(&registry.lock);
    return st;
}

/* ---- names */

/* The folder of the program or library that this code is part of; "" when it cannot be told. */
static void own_folder(char out[PATH_MAX])
{
    Dl_info info;
    struct link_map *map = NULL;
    out[0] = 0;
    if (!dladdr1((void *)&registry, &info, (void **)&map, RTLD_DL_LINKMAP) || !map) return;
    if (!realpath(*map->l_name ? map->l_name : "/proc/self/exe", out)) out[0] = 0;
    char *slash = strrchr(out, '/');
    if (slash) *slash = 0;
}

/* As it stands in a build tree, beside an installed library, beside an installed program. */
static const char *const folders[] = {"modules", "laminar/modules", "../lib/laminar/modules"};

static bool file_name(const char *name, char out[80])
{
    size_t n = strlen(name);
    if (!n || n > 60) return false;
    for (size_t i = 0; i <= n; i++) {
        char c = name[i] == '-' || name[i] == '.'   ? '_'
                 : name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32)
                                                    : name[i];
        if (c && c != '_' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) return false;
        out[i] = c;
    }
    strcat(out, ".so");
    return true;
}

static bool join(char out[PATH_MAX], const char *folder, const char *more, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s%s%s/%s", folder, *more ? "/" : "", more, name);
    return n > 0 && n < PATH_MAX && !access(out, F_OK);
}

enum status module_find(const char *name, const char *folder, struct err *err)
{
    char file[80], own[PATH_MAX], path[PATH_MAX];
    if (!file_name(name, file)) return ST_DONE;
    if (folder) return join(path, folder, "", file) ? load_file(path, folder, err) : ST_DONE;
    own_folder(own);
    for (size_t i = 0; *own && i < countof(folders); i++)
        if (join(path, own, folders[i], file)) return load_file(path, NULL, err);
    return ST_DONE;
}

#define FILES_MAX 100

struct files {
    struct arena *arena;
    struct module_file *at;
    int n;
};

static void add_file(struct files *l, const char *folder, const char *name)
{
    char path[PATH_MAX], real[PATH_MAX], file[80];
    size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 3, ".so") != 0 || l->n == FILES_MAX) return;
    const char *bare = arena_strndup(l->arena, name, n - 3);
    if (!file_name(bare, file) || strcmp(file, name) != 0 || !join(path, folder, "", file) || !realpath(path, real)) return;
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->at[i].name, bare)) return; /* the folder before is asked first */
    l->at[l->n++] = (struct module_file){bare, arena_strdup(l->arena, real)};
}

static void add_files(struct files *l, const char *folder)
{
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) add_file(l, folder, e->d_name);
    if (d) closedir(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct module_file *)a)->name, ((const struct module_file *)b)->name);
}

struct module_file *module_files(struct arena *a, const char *folder)
{
    struct files l = {a, arena_alloc(a, sizeof *l.at * (FILES_MAX + 1)), 0};
    char own[PATH_MAX], path[2 * PATH_MAX];
    if (folder) add_files(&l, folder);
    if (!folder) own_folder(own);
    for (size_t i = 0; !folder && *own && i < countof(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", own, folders[i]);
        add_files(&l, path);
    }
    qsort(l.at, (size_t)l.n, sizeof *l.at, by_name);
    return l.at;
}

enum status module_load(const char *path, const char *folder, struct err *err)
{
    if (strchr(path, '/')) return load_file(path, folder, err);
    enum status st = module_find(path, folder, err);
    if (st != ST_DONE) return st;
    err_set(err, E_MODULE, "there is no module '%s' in %s", path, folder ? folder : "the folders of modules");
    err_hint(err, "name a module without its .so, or a file by a path with a slash, as './%s'", path);
    return E_MODULE;
}
