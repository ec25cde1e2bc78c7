/* ledger: columns in a file, by calls that wait. The sink keeps the rows of an epoch and writes them and the epoch's
 * number in one piece; the source has a thread of its own that looks at the file and wakes the reader. A line is
 * "number,NULL or :text" with the text's bytes in hexadecimal; "= epoch" ends an epoch, and what follows the last such
 * line is not there. SPDX-License-Identifier: Apache-2.0 */
#include <laminar_connector.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 5000 /* more than a batch holds */

/* Both want columns (k BIGINT, t VARCHAR). */
static int check_columns(struct lam_io *io, struct lam_error *err)
{
    const struct ArrowSchema *s = io->schema;
    if (s->n_children == 2 && !strcmp(s->children[0]->format, "l") && !strcmp(s->children[1]->format, "u"))
        return LAM_IO_OK;
    io->host->fail(err, LAM_IO_OPTION, "a ledger has one BIGINT and one VARCHAR column, and %s does not", io->name);
    io->host->hint(err, "select these two, cast as they must be");
    return LAM_IO_OPTION;
}

/* ---- the source ------------------------------------------------------------------------------------------- */

struct reading {
    const char *path;
    bool follow;
    FILE *file;
    int64_t at; /* the row that comes next */
    pthread_t watch;
    bool is_watched;
    _Atomic bool stop;
    _Atomic int64_t whole; /* bytes of the file that are whole epochs */
    int64_t read;          /* bytes that were read */
    struct lam_io *io;
};

/* How many bytes lie before the end of the last whole epoch, from `from` on, which is one. */
static int64_t whole_bytes(const char *path, int64_t from)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int64_t at = from;
    if (f && fseek(f, from, SEEK_SET)) at = from;
    while (f && (n = getline(&line, &cap, f)) > 0 && line[n - 1] == '\n') {
        at += n;
        if (*line == '=') from = at;
    }
    free(line);
    if (f) fclose(f);
    return from;
}

static void *watch(void *p)
{
    struct reading *r = p;
    while (!atomic_load(&r->stop)) {
        int64_t whole = whole_bytes(r->path, atomic_load(&r->whole));
        if (whole != atomic_load(&r->whole)) {
            atomic_store(&r->whole, whole);
            r->io->host->wake(r->io);
        }
        usleep(5000);
    }
    return NULL;
}

static int read_open(struct lam_io *io, struct lam_error *err)
{
    struct reading *r = io->self;
    r->io = io;
    r->path = io->host->option_text(io->options, "path");
    r->follow = io->host->option_int(io->options, "follow");
    int result = check_columns(io, err);
    if (result) return result;
    r->file = fopen(r->path, r->follow ? "a+" : "r");
    if (!r->file) return io->host->fail(err, LAM_IO_CONNECT, "the ledger %s: %s", r->path, strerror(errno));
    atomic_store(&r->whole, whole_bytes(r->path, 0));
    r->is_watched = r->follow && !pthread_create(&r->watch, NULL, watch, r);
    return LAM_IO_OK;
}

/* One column of rows that are being read, in Arrow's layout. */
struct growing {
    int64_t numbers[ROWS];
    int32_t offsets[ROWS + 1];
    uint8_t valid[(ROWS + 7) / 8];
    char *text;
    size_t cap;
    const void *buffers[3][3];
    struct ArrowArray children[2], *list[2];
    const struct lam_host *host;
};

static void release_child(struct ArrowArray *a)
{
    a->release = NULL;
}

static void release_rows(struct ArrowArray *a)
{
    struct growing *g = a->private_data;
    for (int i = 0; i < 2; i++)
        if (g->children[i].release) g->children[i].release(&g->children[i]);
    g->host->free(g->text);
    g->host->free(g);
    a->release = NULL;
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void put_line(struct growing *g, int64_t i, const char *line, size_t n)
{
    char *rest;
    size_t at = (size_t)g->offsets[i];
    g->numbers[i] = strtoll(line, &rest, 10);
    const char *p = rest + 1, *end = line + n - 1;
    bool is_null = *p++ != ':';
    if (!is_null) {
        g->valid[i / 8] |= (uint8_t)(1 << i % 8);
        if (at + (size_t)(end - p) / 2 >= g->cap) {
            g->cap = 2 * (at + (size_t)(end - p));
            g->text = g->host->resize(g->text, at, g->cap);
        }
        for (; p < end; p += 2) g->text[at++] = (char)(hex(p[0]) << 4 | hex(p[1]));
    }
    g->offsets[i + 1] = (int32_t)at;
}

static void give(struct growing *g, int64_t rows, struct ArrowArray *out)
{
    static const char none[1];
    g->buffers[0][1] = g->numbers;
    g->buffers[1][0] = g->valid;
    g->buffers[1][1] = g->offsets;
    g->buffers[1][2] = g->text ? g->text : none;
    for (int i = 0; i < 2; i++) {
        g->list[i] = &g->children[i];
        g->children[i] = (struct ArrowArray){.length = rows,
                                             .null_count = i ? -1 : 0,
                                             .n_buffers = 2 + i,
                                             .buffers = g->buffers[i],
                                             .release = release_child};
    }
    *out = (struct ArrowArray){.length = rows,
                               .n_buffers = 1,
                               .buffers = g->buffers[2],
                               .n_children = 2,
                               .children = g->list,
                               .release = release_rows,
                               .private_data = g};
}

static int read_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    (void)split;
    struct reading *r = io->self;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    rewind(r->file);
    r->at = r->read = 0;
    while (at && r->at < at->offset && (n = getline(&line, &cap, r->file)) > 0) {
        r->at += *line != '=';
        r->read += n;
    }
    free(line);
    if (!at || r->at == at->offset) return LAM_IO_OK;
    return io->host->fail(err, LAM_IO_READ, "the ledger %s has fewer rows than were read from it", r->path);
}

static int read_poll(struct lam_io *io, int split, int64_t now, struct lam_columns *out, struct lam_error *err)
{
    (void)split, (void)now, (void)err;
    struct reading *r = io->self;
    int64_t rows = 0, whole = atomic_load(&r->whole);
    struct growing *g = NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    clearerr(r->file);
    while (rows < ROWS && r->read < whole && (n = getline(&line, &cap, r->file)) > 0) {
        r->read += n;
        if (*line == '=') continue;
        if (!g) g = io->host->alloc(sizeof *g), g->host = io->host;
        put_line(g, rows++, line, (size_t)n);
    }
    free(line);
    r->at += rows;
    out->after.offset = r->at;
    if (rows) give(g, rows, &out->array);
    return rows ? LAM_IO_OK : r->follow ? LAM_IO_WAIT : LAM_IO_DONE;
}

static void read_close(struct lam_io *io)
{
    struct reading *r = io->self;
    atomic_store(&r->stop, true);
    if (r->is_watched) pthread_join(r->watch, NULL);
    if (r->file) fclose(r->file);
}

static bool read_bounded(const struct lam_host *host, const struct lam_options *o)
{
    return !host->option_int(o, "follow");
}

static const struct lam_option read_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "File of the ledger."},
    {.name = "follow",
     .type = LAM_OPTION_BOOL,
     .dflt = "false",
     .sentence = "Wait for more epochs in place of ending."},
};

static const struct lam_source_class source = {
    .size = sizeof source,
    .name = "ledger",
    .aliases = (const char *const[]){"ledger-file", NULL},
    .sentence = "Reads the rows of a ledger.",
    .payload = LAM_COLUMNS,
    .replayable = true,
    .instance_size = sizeof(struct reading),
    .options = read_options,
    .n_options = 2,
    .option_size = sizeof read_options[0],
    .bounded = read_bounded,
    .open = read_open,
    .seek = read_seek,
    .poll_columns = read_poll,
    .close = read_close,
};

/* ---- the sink --------------------------------------------------------------------------------------------- */

struct writing {
    const char *path;
    int fd;
    uint64_t marker;
    char *text; /* of rows that wait for their epoch */
    size_t n;
    FILE *out;
    int64_t bad; /* the row that was refused last */
    _Atomic bool canceled;
};

static uint64_t last_epoch(const char *path)
{
    uint64_t epoch = 0, n;
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    while (f && getline(&line, &cap, f) > 0)
        if (sscanf(line, "= %lu", &n) == 1) epoch = n;
    free(line);
    if (f) fclose(f);
    return epoch;
}

static int broken(struct lam_io *io, struct lam_error *err)
{
    return io->host->fail(err, LAM_IO_WRITE, "the ledger %s: %s", ((struct writing *)io->self)->path, strerror(errno));
}

static int write_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)fresh;
    struct writing *w = io->self;
    w->path = io->host->option_text(io->options, "path");
    int result = w->fd ? LAM_IO_OK : check_columns(io, err);
    if (result) return result;
    if (!w->fd) w->fd = open(w->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        w->fd = 0;
        return io->host->fail(err, LAM_IO_RETRY, "the ledger %s: %s", w->path, strerror(errno));
    }
    int64_t whole = whole_bytes(w->path, 0);
    if (ftruncate(w->fd, whole) || lseek(w->fd, whole, SEEK_SET) < 0) return broken(io, err);
    w->marker = last_epoch(w->path);
    *marker = io->epochs ? w->marker : 0;
    return LAM_IO_OK;
}

/* Waits while another process holds the file, which may be for long. */
static int lock_file(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    while (flock(w->fd, LOCK_EX | LOCK_NB)) {
        if (atomic_load(&w->canceled)) return io->host->fail(err, LAM_IO_CANCELED, "canceled");
        if (errno != EWOULDBLOCK) return broken(io, err);
        usleep(2000);
    }
    return LAM_IO_OK;
}

static int write_columns(struct lam_io *io, const struct lam_rows *rows, int64_t *accepted, struct lam_error *err)
{
    (void)err;
    struct writing *w = io->self;
    const struct ArrowArray *k = rows->array->children[0], *t = rows->array->children[1];
    const uint8_t *no_k = k->buffers[0], *no_t = t->buffers[0];
    const int32_t *at = t->buffers[1];
    if (!w->out) w->out = open_memstream(&w->text, &w->n);
    for (int64_t i = rows->from; i < rows->array->length; i++) {
        if (no_k && !(no_k[i / 8] >> i % 8 & 1))
            fputs("?,", w->out); /* a row without its number is none; that shows when the books are closed */
        else
            fprintf(w->out, "%ld,", (long)((const int64_t *)k->buffers[1])[i]);
        bool is_null = no_t && !(no_t[i / 8] >> i % 8 & 1);
        fputs(is_null ? "NULL" : ":", w->out);
        for (int32_t j = at[i]; !is_null && j < at[i + 1]; j++)
            fprintf(w->out, "%02x", ((const uint8_t *)t->buffers[2])[j]);
        fputc('\n', w->out);
    }
    *accepted = rows->array->length - rows->from;
    return LAM_IO_OK;
}

static void drop(struct writing *w)
{
    if (w->out) fclose(w->out);
    free(w->text);
    w->out = NULL;
    w->text = NULL;
    w->n = 0;
}

/* Takes the first line that begins with '?' out of the text. */
static int judge(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    fflush(w->out);
    char *p = w->text, *next = p;
    for (w->bad = 0; *p && *p != '?'; p = next, w->bad++) next = strchr(p, '\n') + 1;
    if (!*p) return LAM_IO_OK;
    size_t before = (size_t)(p - w->text), behind = (size_t)(strchr(p, '\n') + 1 - w->text);
    fclose(w->out); /* may move the text */
    char *text = w->text;
    w->out = open_memstream(&w->text, &w->n);
    fwrite(text, 1, before, w->out);
    fputs(text + behind, w->out);
    free(text);
    return io->host->fail(err, LAM_IO_POISON, "a ledger takes no row whose number is NULL");
}

static int64_t write_poisoned(struct lam_io *io)
{
    return ((struct writing *)io->self)->bad;
}

static int write_commit(struct lam_io *io, uint64_t epoch, struct lam_error *err)
{
    struct writing *w = io->self;
    if (epoch <= w->marker) return drop(w), LAM_IO_OK;
    if (!w->out) w->out = open_memstream(&w->text, &w->n);
    int result = judge(io, err);
    if (result || (result = lock_file(io, err))) return result;
    fprintf(w->out, "= %lu\n", (unsigned long)epoch);
    fflush(w->out);
    off_t before = lseek(w->fd, 0, SEEK_CUR);
    bool ok = write(w->fd, w->text, w->n) == (ssize_t)w->n && !fsync(w->fd);
    if (!ok) result = broken(io, err), (void)!ftruncate(w->fd, before);
    flock(w->fd, LOCK_UN);
    w->marker = epoch;
    drop(w);
    return result;
}

static int write_flush(struct lam_io *io, struct lam_error *err)
{
    struct writing *w = io->self;
    return io->epochs || !w->out ? LAM_IO_OK : write_commit(io, w->marker + 1, err);
}

static int write_abort(struct lam_io *io, struct lam_error *err)
{
    return (void)err, drop(io->self), LAM_IO_OK;
}

static void write_cancel(struct lam_io *io)
{
    atomic_store(&((struct writing *)io->self)->canceled, true);
}

static int write_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct writing *w = io->self;
    drop(w);
    if (w->fd > 0) close(w->fd);
    return LAM_IO_OK;
}

static const struct lam_option write_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "File of the ledger."},
    {.name = "note.key",
     .type = LAM_OPTION_TEXT,
     .flags = LAM_OPTION_SECRET,
     .sentence = "A secret, which the ledger does not use."},
};

static const struct lam_sink_class sink = {
    .size = sizeof sink,
    .name = "ledger",
    .sentence = "Writes rows to a ledger, an epoch at a time.",
    .payload = LAM_COLUMNS,
    .guarantee = LAM_EXACTLY_ONCE,
    .blocking = true,
    .flush_us = 200000,
    .instance_size = sizeof(struct writing),
    .options = write_options,
    .n_options = 2,
    .option_size = sizeof write_options[0],
    .open = write_open,
    .write_columns = write_columns,
    .flush = write_flush,
    .commit = write_commit,
    .abort = write_abort,
    .cancel = write_cancel,
    .close = write_close,
    .poisoned = write_poisoned,
};

static const struct lam_source_class *const sources[] = {&source, NULL};
static const struct lam_sink_class *const sinks[] = {&sink, NULL};

LAM_API const struct lam_module lam_module = {
    .size = sizeof lam_module,
    .abi = LAM_CONNECTOR_ABI,
    .name = "ledger",
    .version = "1.0",
    .sources = sources,
    .sinks = sinks,
};
