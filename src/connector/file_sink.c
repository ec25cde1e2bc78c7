/* The file sink: bytes into one file.
 *
 * mode 'replace' and 'error' write `path.tmp-<n>` beside the file and rename it when all rows were delivered: synced file,
 * rename, synced folder, in that order, so that the name shows the old file or the whole new one, after a power cut too. A
 * run that does not complete leaves nothing. mode 'append' writes to the file itself; flush makes it durable. A path that is
 * a device or a pipe is written straight, whatever the mode: renaming over /dev/null would replace it.
 *
 * A write that fails may be made again: what of it arrived is known by the file's size. A failed sync may not, for the system
 * forgets what it could not write: what follows fails too.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"
#include "connector/path.h"

#include <stdio.h>
#include <string.h>

#define ROOM (256 << 10)

enum mode { MODE_REPLACE, MODE_APPEND, MODE_ERROR };

struct file_sink {
    struct sink sink;
    enum mode mode;
    const char *path;
    char *tmp;         /* what is written, to be renamed; NULL: the path itself */
    struct file *file;
    int64_t size;      /* of the file, as written here; -1: not a regular file */
    bool lost;         /* a sync has failed */
    bool open_line;    /* it does not end with a newline, and is appended to */
    char *room;
    size_t n;          /* bytes in room */
};

static struct file_sink *self(struct sink *s) { return container_of(s, struct file_sink, sink); }

static enum status open_tmp(struct file_sink *f, struct err *err)
{
    struct env *env = f->sink.ctx.env;
    size_t size = strlen(f->path) + 32;
    f->tmp = mem_alloc(size);
    struct file_info info;
    int n = 1;
    do /* those of runs that were killed are left alone: they may be another's that still writes */
        snprintf(f->tmp, size, "%s.tmp-%d", f->path, n);
    while (!env_stat(env, f->tmp, &info, NULL) && ++n < 10000);
    return env_open(env, f->tmp, FILE_WRITE | FILE_CREATE | FILE_EXCL, &f->file, err);
}

/* A last line without its newline would swallow the first new row. It is ended when that comes, for perhaps none may: what is there may be
 * no text. */
static enum status find_last_line(struct file_sink *f, int64_t size, struct err *err)
{
    char last = '\n';
    size_t got;
    TRY(file_pread(f->file, &last, 1, size - 1, &got, err));
    f->open_line = last != '\n';
    return ST_OK;
}

static enum status open_append(struct file_sink *f, bool *fresh, struct err *err)
{
    struct file_info info;
    TRY(env_open(f->sink.ctx.env, f->path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_APPEND, &f->file, err));
    TRY(file_info(f->file, &info, err));
    *fresh = !info.size;
    f->size = info.size;
    return info.size ? find_last_line(f, info.size, err) : ST_OK;
}

static enum status refuse_existing(const struct file_sink *f, struct err *err)
{
    err_set(err, E_EXISTS, "\"%s\" exists already", f->path);
    err_hint(err, "mode = 'replace' or 'append', or another path");
    return E_EXISTS;
}

static enum status open_target(struct file_sink *f, bool *fresh, struct err *err)
{
    struct file_info info;
    *fresh = true;
    f->size = 0;
    bool exists = !env_stat(f->sink.ctx.env, f->path, &info, NULL);
    if (exists && info.is_directory) {
        err_set(err, E_WRITE, "\"%s\" is a folder", f->path);
        err_hint(err, "name a file in it: path = '%s/rows.csv'", f->path);
        return E_WRITE;
    }
    if (exists && !info.is_regular) f->size = -1;
    if (exists && !info.is_regular) return env_open(f->sink.ctx.env, f->path, FILE_WRITE, &f->file, err);
    if (exists && f->mode == MODE_ERROR) return refuse_existing(f, err);
    return f->mode == MODE_APPEND ? open_append(f, fresh, err) : open_tmp(f, err);
}

static enum status sink_open(struct sink *s, uint64_t incarnation, uint64_t *marker, bool *fresh, struct err *err)
{
    (void)incarnation;
    struct file_sink *f = self(s);
    *marker = 0;
    f->path = options_text(s->ctx.options, "path");
    f->mode = (enum mode)options_int(s->ctx.options, "mode");
    TRY(path_check(f->path, err));
    struct err local = {0};
    enum status st = open_target(f, fresh, &local);
    if (st == E_NOT_FOUND) path_hint_nearest(s->ctx.env, f->path, &local);
    if (st && err) *err = local;
    if (st) return st;
    f->room = mem_alloc(ROOM);
    account_force(s->ctx.account, ROOM);
    return ST_OK;
}

/* *done: how much arrived, all of it or less. */
static enum status put(struct file_sink *f, const char *p, size_t n, size_t *done, struct err *err)
{
    enum status st = file_write(f->file, p, n, err);
    struct file_info info;
    *done = st ? 0 : n;
    if (st && f->size >= 0 && !file_info(f->file, &info, NULL) && info.size > f->size)
        *done = (size_t)(info.size - f->size) < n ? (size_t)(info.size - f->size) : n;
    if (f->size >= 0) f->size += (int64_t)*done;
    return st;
}

static enum status drain(struct file_sink *f, struct err *err)
{
    size_t done;
    if (!f->n) return ST_OK;
    enum status st = put(f, f->room, f->n, &done, err);
    f->n -= done;
    if (f->n) memmove(f->room, f->room + done, f->n);
    return st;
}

static enum status sync_file(struct file_sink *f, struct err *err)
{
    if (f->lost) return err_set(err, E_WRITE, "an earlier sync of \"%s\" failed, so what it holds is not certain", f->path);
    enum status st = file_sync(f->file, err);
    f->lost = st;
    return st;
}

static enum status sink_write(struct sink *s, const char *p, size_t n, size_t *accepted, struct err *err)
{
    struct file_sink *f = self(s);
    *accepted = 0;
    if (f->open_line) f->room[f->n++] = '\n';
    f->open_line = false;
    if (n > ROOM - f->n) TRY(drain(f, err));
    if (n >= ROOM) return put(f, p, n, accepted, err);
    memcpy(f->room + f->n, p, n);
    f->n += n;
    *accepted = n;
    return ST_OK;
}

/* What will be renamed is seen by nobody before, so it is synced once, at the end. */
static enum status sink_flush(struct sink *s, struct err *err)
{
    struct file_sink *f = self(s);
    TRY(drain(f, err));
    return f->tmp ? ST_OK : sync_file(f, err);
}

static enum status finish(struct file_sink *f, struct err *err)
{
    TRY(drain(f, err));
    TRY(sync_file(f, err));
    struct file *file = TAKE(f->file);
    TRY(file_close(file, err));
    if (!f->tmp) return ST_OK;
    struct env *env = f->sink.ctx.env;
    struct file_info info;
    if (f->mode == MODE_ERROR && !env_stat(env, f->path, &info, NULL)) return refuse_existing(f, err);
    TRY(env_rename(env, f->tmp, f->path, err));
    mem_free(TAKE(f->tmp));
    char *folder = path_folder(f->path);
    enum status st = env_sync_dir(env, folder, err);
    mem_free(folder);
    return st;
}

static enum status sink_close(struct sink *s, bool complete, struct err *err)
{
    struct file_sink *f = self(s);
    enum status st = ST_OK;
    if (complete && f->file) st = finish(f, err);
    /* What was written to the file itself ends with a whole record at least. */
    if (f->file && !f->tmp) drain(f, NULL);
    if (f->file) file_close(f->file, NULL);
    if (f->tmp) env_unlink(s->ctx.env, f->tmp, NULL);
    if (f->room) account_release(s->ctx.account, ROOM);
    mem_free(f->room);
    mem_free(f->tmp);
    f->file = NULL, f->room = f->tmp = NULL, f->n = 0;
    return st;
}

static const struct option_spec options[] = {
    {.name = "path", .type = OPT_TEXT, .flags = OPT_REQUIRED, .sentence = "File to write."},
    {.name = "mode", .type = OPT_ENUM, .dflt = "replace", .values = "replace|append|error",
     .sentence = "What becomes of a file that exists: replaced when the new one is complete, appended to, or left alone with "
                 "an error."},
    {0},
};

const struct sink_class file_sink = {
    .size = sizeof(struct sink_class),
    .name = "file",
    .aliases = (const char *const[]){"files", NULL},
    .sentence = "Writes a file.",
    .instance_size = sizeof(struct file_sink),
    .payload = PAYLOAD_BYTES,
    .options = options,
    .guarantee = AT_LEAST_ONCE,
    .changelog = true,
    .flush_us = 5000000,
    .guess_format = path_guess_format,
    .open = sink_open,
    .write_bytes = sink_write,
    .write_rows = sink_not_rows,
    .flush = sink_flush,
    .commit = sink_no_commit,
    .abort = sink_no_abort,
    .wait = sink_no_wait,
    .cancel = sink_no_cancel,
    .close = sink_close,
};
