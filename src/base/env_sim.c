/* The simulated machine. See env_sim.h for what it promises.
 *
 * A node is a file's content twice: as it reads and as it would be found after a power cut, with the writes that part the
 * two. Names exist twice as well; the changes that part them are a list in order, each of one folder.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/env_sim.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define WALL_BEGIN_US 1704067200000000 /* 2024-01-01 */
#define SECTOR 512

struct write {
    int64_t at;
    size_t n;
    char *p;
};

struct node {
    struct node *next; /* of all, in order of making */
    uint64_t inode;
    bool is_folder;
    int64_t mtime_us;
    struct text live, durable;
    struct write *writes; /* not synced */
    int nwrites, cap;
};

struct name {
    char *path;
    struct node *node;
};
struct names {
    struct name *at;
    int n, cap;
};

/* A change of names that awaits env_sync_dir of `folder`: `from` loses its name if set, `to` shows node if set. */
struct change {
    char *folder, *from, *to;
    struct node *node;
};

struct fault {
    int nth, times; /* nth 0: disarmed */
};

struct env_sim {
    struct env env;
    uint64_t state; /* of the random numbers */
    int64_t now_us;
    struct node *nodes;
    uint64_t inodes;
    struct names live, durable;
    struct change *changes;
    int nchanges, cap;
    struct fault faults[SIM_OPS];
    int64_t capacity;
    uint64_t steps, crash_at;
    uint32_t life; /* files of an earlier one are dead */
    bool crashed, short_reads;
};

struct sim_file {
    struct file file;
    struct env_sim *sim;
    struct node *node;
    char *path;
    int flags;
    int64_t at;
    uint32_t life;
};

static struct env_sim *sim_of(struct env *e) { return container_of(e, struct env_sim, env); }

static uint64_t draw(struct env_sim *s)
{
    uint64_t x = s->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
static uint64_t below(struct env_sim *s, uint64_t n) { return n ? draw(s) % n : 0; }

/* Grows an array of n elements to hold one more. */
static void *grow(void *p, int n, int *cap, size_t size)
{
    if (n < *cap) return p;
    int more = *cap ? *cap * 2 : 8;
    p = mem_realloc(p, size * (size_t)n, size * (size_t)more);
    *cap = more;
    return p;
}

/* ---- names -------------------------------------------------------------------------------------------- */

static struct name *names_find(struct names *l, const char *path)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->at[i].path, path)) return &l->at[i];
    return NULL;
}

static void names_remove(struct names *l, const char *path)
{
    struct name *x = names_find(l, path);
    if (!x) return;
    mem_free(x->path);
    *x = l->at[--l->n];
}

static void names_set(struct names *l, const char *path, struct node *node)
{
    names_remove(l, path);
    l->at = grow(l->at, l->n, &l->cap, sizeof *l->at);
    l->at[l->n++] = (struct name){mem_strdup(path), node};
}

static void names_done(struct names *l)
{
    for (int i = 0; i < l->n; i++) mem_free(l->at[i].path);
    mem_free(l->at);
    *l = (struct names){0};
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return mem_strdup(".");
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    char *folder = mem_alloc(n + 1);
    memcpy(folder, path, n);
    folder[n] = 0;
    return folder;
}

static bool folder_exists(struct env_sim *s, const char *folder)
{
    struct name *x = names_find(&s->live, folder);
    return !strcmp(folder, ".") || !strcmp(folder, "/") || (x && x->node->is_folder);
}

static bool parent_exists(struct env_sim *s, const char *path)
{
    char *folder = folder_of(path);
    bool yes = folder_exists(s, folder);
    mem_free(folder);
    return yes;
}

static void apply(struct names *l, const struct change *c)
{
    if (c->from) names_remove(l, c->from);
    if (c->to) names_set(l, c->to, c->node);
}

static void change_done(struct change *c)
{
    mem_free(c->folder);
    mem_free(c->from);
    mem_free(c->to);
}

static void change_names(struct env_sim *s, const char *from, const char *to, struct node *node)
{
    s->changes = grow(s->changes, s->nchanges, &s->cap, sizeof *s->changes);
    struct change *c = &s->changes[s->nchanges++];
    *c = (struct change){folder_of(to ? to : from), from ? mem_strdup(from) : NULL, to ? mem_strdup(to) : NULL, node};
    apply(&s->live, c);
}

/* Makes the first `most` changes of the folder durable and forgets them. */
static void keep_changes(struct env_sim *s, const char *folder, uint64_t most)
{
    int left = 0;
    for (int i = 0; i < s->nchanges; i++) {
        struct change *c = &s->changes[i];
        if (most && !strcmp(c->folder, folder)) {
            apply(&s->durable, c);
            change_done(c);
            most--;
        } else {
            s->changes[left++] = *c;
        }
    }
    s->nchanges = left;
}

/* Of the first change's folder keeps a prefix and loses the rest. */
static void lose_changes(struct env_sim *s)
{
    char *folder = mem_strdup(s->changes[0].folder);
    keep_changes(s, folder, below(s, (uint64_t)s->nchanges + 1));
    int left = 0;
    for (int i = 0; i < s->nchanges; i++) {
        if (strcmp(s->changes[i].folder, folder))
            s->changes[left++] = s->changes[i];
        else
            change_done(&s->changes[i]);
    }
    s->nchanges = left;
    mem_free(folder);
}

/* ---- content ------------------------------------------------------------------------------------------ */

static struct node *node_new(struct env_sim *s, bool is_folder)
{
    struct node *n = mem_zalloc(sizeof *n);
    n->inode = ++s->inodes;
    n->is_folder = is_folder;
    n->mtime_us = WALL_BEGIN_US + s->now_us;
    n->next = s->nodes;
    return s->nodes = n;
}

static void content_write(struct text *t, int64_t at, const char *p, size_t n)
{
    size_t end = (size_t)at + n;
    if (end > t->n) {
        char *more = text_room(t, end - t->n);
        memset(more, 0, end - t->n);
        t->n = end;
    }
    if (n) memcpy(t->p + at, p, n);
}

static void node_write(struct node *f, int64_t at, const char *p, size_t n)
{
    if (!n) return;
    content_write(&f->live, at, p, n);
    f->writes = grow(f->writes, f->nwrites, &f->cap, sizeof *f->writes);
    f->writes[f->nwrites++] = (struct write){at, n, memcpy(mem_alloc(n), p, n)};
}

static void forget_writes(struct node *f)
{
    for (int i = 0; i < f->nwrites; i++) mem_free(f->writes[i].p);
    f->nwrites = 0;
}

static void node_sync(struct node *f)
{
    for (int i = 0; i < f->nwrites; i++) content_write(&f->durable, f->writes[i].at, f->writes[i].p, f->writes[i].n);
    forget_writes(f);
}

/* A disk writes sectors in any order: each unsynced write is kept, lost, or kept up to a place. */
static void node_crash(struct env_sim *s, struct node *f)
{
    for (int i = 0; i < f->nwrites; i++) {
        struct write *w = &f->writes[i];
        size_t n = w->n, unit = n > SECTOR ? SECTOR : 1;
        switch (below(s, 3)) {
        case 0: n = 0; break;
        case 1: n = (size_t)below(s, n / unit + 1) * unit; break;
        }
        if (n) content_write(&f->durable, w->at, w->p, n);
    }
    forget_writes(f);
}

static void node_free(struct node *f)
{
    forget_writes(f);
    mem_free(f->writes);
    text_done(&f->live);
    text_done(&f->durable);
    mem_free(f);
}

/* ---- faults ------------------------------------------------------------------------------------------- */

static enum status no_power(struct err *err) { return err_set(err, E_EXEC, "the simulated machine has lost power"); }

static enum status broken(struct env_sim *s, enum env_sim_op op, const char *what, const char *path, struct err *err)
{
    struct fault *f = &s->faults[op];
    if (s->crashed) return no_power(err);
    if (!f->nth) return ST_OK;
    if (f->nth > 1) return f->nth--, ST_OK;
    if (f->times && !--f->times) f->nth = 0;
    return err_set(err, op == SIM_OPEN || op == SIM_READ ? E_READ : E_WRITE, "cannot %s \"%s\": Input/output error", what, path);
}

/* Counts a call that changes the disk. *last: power goes with this one. */
static enum status step(struct env_sim *s, bool *last, struct err *err)
{
    if (s->crashed) return no_power(err);
    s->steps++;
    *last = s->crash_at && s->steps >= s->crash_at;
    return ST_OK;
}

static enum status end_step(struct env_sim *s, bool last, struct err *err)
{
    if (!last) return ST_OK;
    s->crashed = true;
    return no_power(err);
}

void env_sim_fail(struct env_sim *s, enum env_sim_op op, int nth, int times) { s->faults[op] = (struct fault){nth, times}; }
void env_sim_capacity(struct env_sim *s, int64_t bytes) { s->capacity = bytes; }
void env_sim_short_reads(struct env_sim *s, bool on) { s->short_reads = on; }
uint64_t env_sim_steps(const struct env_sim *s) { return s->steps; }
void env_sim_crash_at(struct env_sim *s, uint64_t at) { s->crash_at = at; }
bool env_sim_crashed(const struct env_sim *s) { return s->crashed; }

void env_sim_restart(struct env_sim *s)
{
    for (struct node *f = s->nodes; f; f = f->next) node_crash(s, f);
    while (s->nchanges) lose_changes(s);
    names_done(&s->live);
    for (int i = 0; i < s->durable.n; i++) names_set(&s->live, s->durable.at[i].path, s->durable.at[i].node);
    for (struct node *f = s->nodes; f; f = f->next) {
        text_clear(&f->live);
        text_put(&f->live, f->durable.p, f->durable.n);
    }
    memset(s->faults, 0, sizeof s->faults);
    s->crashed = false;
    s->crash_at = 0;
    s->life++;
}

/* ---- files -------------------------------------------------------------------------------------------- */

static struct sim_file *file_of(struct file *f) { return container_of(f, struct sim_file, file); }

static enum status alive(const struct sim_file *f, struct err *err)
{
    return f->life == f->sim->life ? ST_OK : err_set(err, E_MISUSE, "\"%s\" was opened before the power went", f->path);
}

static enum status sim_pread(struct file *file, void *p, size_t n, int64_t at, size_t *got, struct err *err)
{
    struct sim_file *f = file_of(file);
    TRY(alive(f, err));
    TRY(broken(f->sim, SIM_READ, "read", f->path, err));
    size_t left = (size_t)at < f->node->live.n ? f->node->live.n - (size_t)at : 0;
    *got = n < left ? n : left;
    if (f->sim->short_reads && *got) *got = 1 + (size_t)below(f->sim, *got);
    if (*got) memcpy(p, f->node->live.p + at, *got);
    return ST_OK;
}

static enum status sim_read(struct file *file, void *p, size_t n, size_t *got, struct err *err)
{
    struct sim_file *f = file_of(file);
    TRY(sim_pread(file, p, n, f->at, got, err));
    f->at += (int64_t)*got;
    return ST_OK;
}

static int64_t disk_used(const struct env_sim *s)
{
    int64_t sum = 0;
    for (int i = 0; i < s->live.n; i++) sum += (int64_t)s->live.at[i].node->live.n;
    return sum;
}

static enum status sim_write(struct file *file, const void *p, size_t n, struct err *err)
{
    struct sim_file *f = file_of(file);
    struct env_sim *s = f->sim;
    bool last = false;
    TRY(alive(f, err));
    TRY(step(s, &last, err));
    TRY(broken(s, SIM_WRITE, "write", f->path, err));
    if (f->flags & FILE_APPEND) f->at = (int64_t)f->node->live.n;
    int64_t grows = f->at + (int64_t)n - (int64_t)f->node->live.n, room = s->capacity ? s->capacity - disk_used(s) : grows;
    size_t fits = grows > room ? n - (size_t)(grows - room < (int64_t)n ? grows - room : (int64_t)n) : n;
    size_t done = last ? (size_t)below(s, fits + 1) : fits;
    node_write(f->node, f->at, p, done);
    f->at += (int64_t)done;
    f->node->mtime_us = WALL_BEGIN_US + s->now_us;
    TRY(end_step(s, last, err));
    if (fits == n) return ST_OK;
    err_set(err, E_WRITE, "cannot write \"%s\": No space left on device", f->path);
    err_hint(err, "the disk is full: free space, then start again");
    return E_WRITE;
}

static enum status sim_sync(struct file *file, struct err *err)
{
    struct sim_file *f = file_of(file);
    bool last = false;
    TRY(alive(f, err));
    TRY(step(f->sim, &last, err));
    enum status st = broken(f->sim, SIM_SYNC, "sync", f->path, err);
    if (st) return forget_writes(f->node), st; /* the pages count as clean from now on */
    if (!last || below(f->sim, 2)) node_sync(f->node);
    return end_step(f->sim, last, err);
}

static struct file_info info_of(const struct node *n)
{
    return (struct file_info){.size = (int64_t)n->live.n, .mtime_us = n->mtime_us, .device = 1, .inode = n->inode,
                              .is_regular = !n->is_folder, .is_directory = n->is_folder};
}

static enum status sim_info(struct file *file, struct file_info *out, struct err *err)
{
    TRY(alive(file_of(file), err));
    *out = info_of(file_of(file)->node);
    return ST_OK;
}

static enum status sim_close(struct file *file, struct err *err)
{
    (void)err;
    struct sim_file *f = file_of(file);
    mem_free(f->path);
    mem_free(f);
    return ST_OK;
}

static const struct file_ops file_ops = {sim_read, sim_pread, sim_write, sim_sync, sim_info, sim_close};

/* ---- the machine -------------------------------------------------------------------------------------- */

static int64_t sim_now(struct env *e) { return sim_of(e)->now_us; }
static int64_t sim_wall(struct env *e) { return WALL_BEGIN_US + sim_of(e)->now_us; }
static uint64_t sim_random(struct env *e) { return draw(sim_of(e)); }
void env_sim_advance(struct env_sim *s, int64_t us) { s->now_us += us; }

static enum status not_found(const char *what, const char *path, struct err *err)
{
    return err_set(err, E_NOT_FOUND, "cannot %s \"%s\": No such file or directory", what, path);
}

static enum status make(struct env_sim *s, const char *path, bool is_folder, struct node **out, struct err *err)
{
    bool last = false;
    if (!parent_exists(s, path)) return not_found(is_folder ? "create" : "open", path, err);
    TRY(step(s, &last, err));
    if (last && below(s, 2)) return end_step(s, last, err);
    *out = node_new(s, is_folder);
    change_names(s, NULL, path, *out);
    return end_step(s, last, err);
}

static enum status truncate(struct env_sim *s, struct node *n, struct err *err)
{
    bool last = false;
    TRY(step(s, &last, err));
    forget_writes(n); /* the old content is gone for good: the worst a file system may do */
    text_clear(&n->live);
    text_clear(&n->durable);
    return end_step(s, last, err);
}

static enum status sim_open(struct env *e, const char *path, int flags, struct file **out, struct err *err)
{
    struct env_sim *s = sim_of(e);
    TRY(broken(s, SIM_OPEN, "open", path, err));
    struct name *x = names_find(&s->live, path);
    struct node *node = x ? x->node : NULL;
    if (node && (flags & FILE_EXCL)) return err_set(err, E_WRITE, "cannot open \"%s\": File exists", path);
    if (node && node->is_folder && (flags & FILE_WRITE)) return err_set(err, E_WRITE, "cannot open \"%s\": Is a directory", path);
    if (!node && !(flags & FILE_CREATE)) return not_found("open", path, err);
    if (!node)
        TRY(make(s, path, false, &node, err));
    else if (flags & FILE_TRUNC)
        TRY(truncate(s, node, err));
    struct sim_file *f = mem_zalloc(sizeof *f);
    *f = (struct sim_file){{&file_ops, -1}, s, node, mem_strdup(path), flags, 0, s->life};
    *out = &f->file;
    return ST_OK;
}

static enum status sim_stat(struct env *e, const char *path, struct file_info *out, struct err *err)
{
    struct env_sim *s = sim_of(e);
    if (s->crashed) return no_power(err);
    struct name *x = names_find(&s->live, path);
    if (!x && !folder_exists(s, path)) return not_found("open", path, err);
    *out = x ? info_of(x->node) : (struct file_info){.device = 1, .is_directory = true};
    return ST_OK;
}

static enum status sim_rename(struct env *e, const char *from, const char *to, struct err *err)
{
    struct env_sim *s = sim_of(e);
    bool last = false;
    TRY(step(s, &last, err));
    TRY(broken(s, SIM_RENAME, "rename to", to, err));
    struct name *x = names_find(&s->live, from);
    if (!x || !parent_exists(s, to)) return not_found("rename to", to, err);
    if (!last || below(s, 2)) change_names(s, from, to, x->node);
    return end_step(s, last, err);
}

static enum status sim_unlink(struct env *e, const char *path, struct err *err)
{
    struct env_sim *s = sim_of(e);
    bool last = false;
    TRY(step(s, &last, err));
    TRY(broken(s, SIM_UNLINK, "remove", path, err));
    if (!names_find(&s->live, path)) return not_found("remove", path, err);
    if (!last || below(s, 2)) change_names(s, path, NULL, NULL);
    return end_step(s, last, err);
}

static enum status sim_mkdir(struct env *e, const char *path, struct err *err)
{
    struct env_sim *s = sim_of(e);
    struct node *node;
    return folder_exists(s, path) && !s->crashed ? ST_OK : make(s, path, true, &node, err);
}

static enum status sim_sync_dir(struct env *e, const char *path, struct err *err)
{
    struct env_sim *s = sim_of(e);
    bool last = false;
    TRY(step(s, &last, err));
    TRY(broken(s, SIM_SYNC_DIR, "sync", path, err));
    if (!folder_exists(s, path)) return not_found("open", path, err);
    if (!last || below(s, 2)) keep_changes(s, path, UINT64_MAX);
    return end_step(s, last, err);
}

static enum status sim_list(struct env *e, const char *path, enum status (*fn)(void *, const char *), void *ctx, struct err *err)
{
    struct env_sim *s = sim_of(e);
    if (s->crashed) return no_power(err);
    if (!folder_exists(s, path)) return not_found("open", path, err);
    enum status st = ST_OK;
    uint64_t begin = below(s, (uint64_t)s->live.n); /* in no order */
    for (int i = 0; i < s->live.n && !st; i++) {
        const char *each = s->live.at[((uint64_t)i + begin) % (uint64_t)s->live.n].path;
        char *folder = folder_of(each);
        if (!strcmp(folder, path)) st = fn(ctx, strrchr(each, '/') ? strrchr(each, '/') + 1 : each);
        mem_free(folder);
    }
    return st;
}

static enum status sim_thread(struct env *e, const char *name, void (*fn)(void *), void *arg, struct thread **out, struct err *err)
{
    (void)e, (void)fn, (void)arg, (void)out;
    return err_set(err, E_MISUSE, "a simulated machine has no threads; \"%s\" is to run on the driver", name);
}

static bool sim_rest(struct env *e, int64_t until_us)
{
    struct env_sim *s = sim_of(e);
    if (until_us > s->now_us) s->now_us = until_us;
    return true;
}

static const struct env_ops sim_ops = {
    sim_now,   sim_wall,     sim_random, sim_open,   sim_stat, sim_rename, sim_unlink,
    sim_mkdir, sim_sync_dir, sim_list,   sim_thread, sim_rest,
};

struct env_sim *env_sim_new(uint64_t seed)
{
    struct env_sim *s = mem_zalloc(sizeof *s);
    s->env.ops = &sim_ops;
    s->state = seed;
    s->now_us = 1000000;
    return s;
}

void env_sim_free(struct env_sim *s)
{
    if (!s) return;
    for (struct node *f = s->nodes, *next; f; f = next) {
        next = f->next;
        node_free(f);
    }
    for (int i = 0; i < s->nchanges; i++) change_done(&s->changes[i]);
    mem_free(s->changes);
    names_done(&s->live);
    names_done(&s->durable);
    mem_free(s);
}

struct env *env_sim_env(struct env_sim *s) { return &s->env; }
