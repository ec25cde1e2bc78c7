/* The file source: one split per file, read in chunks by offset.
 *
 * A path may hold * ? [..] in its last part; the files are taken in the order of their names, as they are when the source
 * is opened. A bounded split ends where the file ends. With follow = 'true' it never does: at the end the source looks at
 * the file again every 100 ms (the only timer, armed only there), and a file that is replaced goes on being read as the
 * old one. A file that has become shorter than what was read is an error: what it held then cannot be told from what it
 * holds now.
 *
 * A position is the offset plus the hash of up to 4 KiB before it, so that a file that was rewritten is refused rather
 * than read on from the middle of another record. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"
#include "connector/path.h"
#include "format/format.h"

#include <fnmatch.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK (256 << 10)
#define PROOF_BYTES 4096
#define FOLLOW_US 100000

struct split {
    char *path;
    struct file *file; /* NULL until it is first needed and after the end */
    uint64_t device, inode;
    int64_t at;        /* of the next read */
    int64_t size;      /* as last seen */
    int64_t polled_us;
    char *room;        /* headroom, chunk, padding */
    size_t chunk;
    size_t got;        /* bytes in the chunk: those before `at` */
    bool ended;
};

struct file_source {
    struct source source;
    bool follow;
    int n, cap;
    struct split *splits;
};

static struct file_source *self(struct source *s) { return container_of(s, struct file_source, source); }

/* ---- opening ------------------------------------------------------------------------------------------ */

static void add_split(struct file_source *f, char *path)
{
    if (f->n == f->cap) {
        int cap = f->cap ? f->cap * 2 : 8;
        f->splits = mem_realloc(f->splits, sizeof *f->splits * (size_t)f->n, sizeof *f->splits * (size_t)cap);
        f->cap = cap;
    }
    f->splits[f->n++] = (struct split){.path = path};
}

static enum status refuse_kind(const struct split *p, const struct file_info *info, struct err *err)
{
    if (info->is_regular) return ST_OK;
    if (info->is_directory) {
        err_set(err, E_READ, "\"%s\" is a folder", p->path);
        err_hint(err, "name its files: path = '%s/*.csv'", p->path);
    } else {
        err_set(err, E_READ, "\"%s\" is not a regular file", p->path);
        err_hint(err, "pipes and devices are read with FROM STDIN");
    }
    return E_READ;
}

/* Opens the file of a split, which must be the one seen first. */
static enum status open_split(struct file_source *f, struct split *p, struct err *err)
{
    if (p->file) return ST_OK;
    struct file_info info;
    TRY(env_stat(f->source.ctx.env, p->path, &info, err)); /* before opening: a pipe would block */
    TRY(refuse_kind(p, &info, err));
    TRY(env_open(f->source.ctx.env, p->path, FILE_READ, &p->file, err));
    enum status st = file_info(p->file, &info, err);
    if (!st && p->inode && (p->inode != info.inode || p->device != info.device))
        st = err_set(err, E_READ, "\"%s\" was replaced by another file while it was read", p->path);
    if (st) {
        file_close(p->file, NULL);
        p->file = NULL;
        return st;
    }
    p->device = info.device;
    p->inode = info.inode;
    p->size = info.size;
    return ST_OK;
}

static void close_split(struct file_source *f, struct split *p)
{
    if (p->file) file_close(p->file, NULL);
    p->file = NULL;
    if (p->room) account_release(f->source.ctx.account, (int64_t)p->chunk);
    mem_free(p->room);
    p->room = NULL;
    p->got = 0;
}

/* After a look at a file that is not being read: with many splits not all can stay open. */
static enum status leave_split(struct file_source *f, struct split *p, bool was_open, enum status st)
{
    if (!was_open) close_split(f, p);
    return st;
}

struct matching {
    struct file_source *f;
    const char *folder, *pattern;
    bool in_folder; /* the user named the folder: it belongs to the splits' names */
};

static enum status match_name(void *ctx, const char *name)
{
    struct matching *m = ctx;
    if (fnmatch(m->pattern, name, FNM_PERIOD)) return ST_OK;
    char *path = m->in_folder ? path_join(m->folder, name) : mem_strdup(name);
    struct file_info info;
    if (!env_stat(m->f->source.ctx.env, path, &info, NULL) && info.is_directory)
        mem_free(path);
    else
        add_split(m->f, path);
    return ST_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct split *)a)->path, ((const struct split *)b)->path);
}

static enum status expand(struct file_source *f, const char *path, struct err *err)
{
    char *folder = path_folder(path);
    struct matching m = {f, folder, path_name(path), path_name(path) != path};
    enum status st;
    if (path_has_pattern(folder)) {
        st = err_set(err, E_CONNECTOR_OPTION, "path \"%s\" has a pattern in a folder's name", path);
        err_hint(err, "patterns are allowed after the last slash: 'logs/2024/*.csv'");
    } else {
        st = env_list(f->source.ctx.env, folder, match_name, &m, err);
    }
    if (!st && !f->n) st = err_set(err, E_NOT_FOUND, "no file matches \"%s\"", path);
    mem_free(folder);
    if (f->n > 1) qsort(f->splits, (size_t)f->n, sizeof *f->splits, by_path);
    return st;
}

/* A file of exactly that name wins over a pattern: names may hold brackets. */
static enum status find_splits(struct file_source *f, const char *path, struct err *err)
{
    struct file_info info;
    if (path_has_pattern(path) && env_stat(f->source.ctx.env, path, &info, NULL)) return expand(f, path, err);
    add_split(f, mem_strdup(path));
    return ST_OK;
}

static enum status source_open(struct source *s, struct err *err)
{
    struct file_source *f = self(s);
    const char *path = options_text(s->ctx.options, "path");
    f->follow = options_int(s->ctx.options, "follow");
    TRY(path_check(path, err));
    TRY(find_splits(f, path, err));
    for (int i = 0; i < f->n; i++) { /* all are readable, but only those being read stay open */
        struct err local = {0};
        enum status st = open_split(f, &f->splits[i], &local);
        if (st) {
            path_hint_nearest(s->ctx.env, f->splits[i].path, &local);
            if (err) *err = local;
            return st;
        }
        close_split(f, &f->splits[i]);
    }
    return ST_OK;
}

static int source_splits(struct source *s) { return self(s)->n; }
static const char *split_name(struct source *s, int split) { return self(s)->splits[split].path; }
static int64_t split_size(struct source *s, int split) { return self(s)->splits[split].size; }

/* ---- positions ---------------------------------------------------------------------------------------- */

struct proof {
    uint64_t hash;
    uint32_t n;
};
_Static_assert(sizeof(struct proof) <= sizeof(((struct position *)0)->extra), "a proof fits a position");

static enum status read_at(struct file *file, char *p, size_t n, int64_t at, size_t *got, struct err *err)
{
    size_t more;
    for (*got = 0; *got < n; *got += more) {
        TRY(file_pread(file, p + *got, n - *got, at + (int64_t)*got, &more, err));
        if (!more) break;
    }
    return ST_OK;
}

/* [from, from + n) of the file when it lies in the chunk at hand, else NULL. */
static const char *in_chunk(const struct split *p, int64_t from, size_t n)
{
    int64_t begin = p->at - (int64_t)p->got;
    if (!p->room || from < begin || from + (int64_t)n > p->at) return NULL;
    return p->room + PAYLOAD_HEADROOM + (from - begin);
}

static enum status prove(struct file_source *f, struct split *p, int64_t offset, struct proof *out, struct err *err)
{
    char bytes[PROOF_BYTES];
    size_t want = offset < PROOF_BYTES ? (size_t)offset : PROOF_BYTES, got;
    const char *at = in_chunk(p, offset - (int64_t)want, want);
    if (!at) {
        bool was_open = p->file;
        TRY(open_split(f, p, err));
        TRY(leave_split(f, p, was_open, read_at(p->file, bytes, want, offset - (int64_t)want, &got, err)));
        if (got < want) return err_set(err, E_READ, "\"%s\" is shorter than byte %lld", p->path, (long long)offset);
        at = bytes;
    }
    memset(out, 0, sizeof *out);
    out->hash = XXH3_64bits(at, want);
    out->n = (uint32_t)want;
    return ST_OK;
}

static enum status changed(const struct split *p, int64_t offset, struct err *err)
{
    err_set(err, E_READ, "\"%s\" changed: it is no longer the file that was read up to byte %lld", p->path,
            (long long)offset);
    err_hint(err, "put the old file back, or drop and create what reads it to begin at the start");
    return E_READ;
}

static enum status source_seek(struct source *s, int split, const struct position *at, struct err *err)
{
    struct file_source *f = self(s);
    struct split *p = &f->splits[split];
    p->at = 0;
    p->got = 0;
    p->ended = false;
    if (!at || !at->offset) return ST_OK;
    bool was_open = p->file;
    TRY(open_split(f, p, err)); /* its size */
    leave_split(f, p, was_open, ST_OK);
    if (at->offset < 0 || p->size < at->offset) return changed(p, at->offset, err);
    struct proof then, now;
    if (at->n == sizeof then) {
        TRY(prove(f, p, at->offset, &now, err));
        memcpy(&then, at->extra, sizeof then);
        if (then.hash != now.hash || then.n != now.n) return changed(p, at->offset, err);
    }
    p->at = at->offset;
    return ST_OK;
}

static void source_mark(struct source *s, int split, struct position *at)
{
    struct split *p = &self(s)->splits[split];
    struct proof proof;
    at->n = 0; /* a place that cannot be read gets no proof; a seek there fails by the file's size */
    if (prove(self(s), p, at->offset, &proof, NULL)) return;
    memcpy(at->extra, &proof, sizeof proof);
    at->n = sizeof proof;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static enum status source_head(struct source *s, int split, char *to, size_t n, size_t *got, struct err *err)
{
    struct split *p = &self(s)->splits[split];
    bool was_open = p->file;
    TRY(open_split(self(s), p, err));
    return leave_split(self(s), p, was_open, read_at(p->file, to, n, 0, got, err));
}

static void make_room(struct file_source *f, struct split *p)
{
    if (p->room) return;
    p->chunk = !f->follow && p->size < CHUNK ? (size_t)p->size + 1 : CHUNK; /* one more finds the end at once */
    size_t n = PAYLOAD_HEADROOM + p->chunk + FORMAT_PADDING;
    p->room = mem_aligned(64, n);
    account_force(f->source.ctx.account, (int64_t)p->chunk);
}

static enum status at_end(struct file_source *f, struct split *p, struct err *err)
{
    struct file_info info;
    TRY(file_info(p->file, &info, err));
    if (info.size < p->at || info.size < p->size) { /* its size when it was opened: what was cut off is missing */
        err_set(err, E_READ, "\"%s\" shrank to %lld bytes while it was read, at byte %lld", p->path, (long long)info.size,
                (long long)p->at);
        err_hint(err, "writers should replace a file by renaming a new one, or append to it");
        return E_READ;
    }
    if (f->follow) return ST_WAIT;
    p->ended = true;
    close_split(f, p);
    return ST_DONE;
}

static enum status source_poll(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err)
{
    struct file_source *f = self(s);
    struct split *p = &f->splits[split];
    if (p->ended) return ST_DONE;
    p->polled_us = now_us;
    TRY(open_split(f, p, err));
    make_room(f, p);
    char *to = p->room + PAYLOAD_HEADROOM;
    size_t got;
    p->got = 0;
    TRY(file_pread(p->file, to, p->chunk, p->at, &got, err));
    if (!got) return at_end(f, p, err);
    p->got = got;
    memset(to + got, 0, FORMAT_PADDING);
    p->at += (int64_t)got;
    out->p = to;
    out->n = got;
    return ST_OK;
}

static int source_wait(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us)
{
    (void)fds, (void)max;
    *wake_us = self(s)->follow ? self(s)->splits[split].polled_us + FOLLOW_US : INT64_MAX;
    return 0;
}

static void source_close(struct source *s)
{
    struct file_source *f = self(s);
    for (int i = 0; i < f->n; i++) {
        close_split(f, &f->splits[i]);
        mem_free(f->splits[i].path);
    }
    mem_free(f->splits);
    f->splits = NULL;
    f->n = f->cap = 0;
}

static bool is_bounded(const struct source_class *c, const struct options *o) { return (void)c, !options_int(o, "follow"); }

static const struct option_spec options[] = {
    {.name = "path", .type = OPT_TEXT, .flags = OPT_REQUIRED,
     .sentence = "File to read; * ? [..] in its last part match several, read in the order of their names."},
    {.name = "follow", .type = OPT_BOOL, .dflt = "false",
     .sentence = "Wait at the end for what is appended, looking every 100 ms; the source is unbounded then."},
    {0},
};

const struct source_class file_source = {
    .size = sizeof(struct source_class),
    .name = "file",
    .aliases = (const char *const[]){"files", NULL},
    .sentence = "Reads files, once or as they grow.",
    .instance_size = sizeof(struct file_source),
    .payload = PAYLOAD_BYTES,
    .options = options,
    .replayable = true,
    .bounded = is_bounded,
    .guess_format = path_guess_format,
    .open = source_open,
    .splits = source_splits,
    .split_name = split_name,
    .split_size = split_size,
    .seek = source_seek,
    .head = source_head,
    .poll = source_poll,
    .wait = source_wait,
    .mark = source_mark,
    .ack = source_no_ack,
    .caught_up = source_always_caught_up,
    .cancel = source_no_cancel,
    .close = source_close,
};
