/* letters: a folder in which every file is one record. A file's name has the record's number and, in hexadecimal, its
 * key: 000000000007-6b6579.letter; one that ends in .gone has no value at all. Who writes puts a whole file into it, by
 * renaming; who reads takes the files in the order of their numbers. SPDX-License-Identifier: Apache-2.0 */
#include <laminar_connector.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_US 50000 /* between two looks into the folder */
#define KEY_MAX 100
#define AT_ONCE 200 /* letters written by one call, for others share the thread */

enum { KEY, NUMBER, TIME, N_COLUMNS };
static const struct lam_metadata columns[] = {
    [KEY] = {"_key", "BLOB", "The record's key."},
    [NUMBER] = {"_number", "BIGINT", "The record's number."},
    [TIME] = {"_time", "TIMESTAMP", "When the file was written."},
};

struct letter {
    int64_t number;
    bool gone;
    int nkey; /* -1: no key */
    unsigned char key[KEY_MAX];
};

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: it is no letter. */
static bool parse_name(const char *name, struct letter *l)
{
    char *p;
    l->number = strtoll(name, &p, 10);
    if (p - name != 12 || l->number <= 0) return false;
    l->nkey = *p == '-' ? 0 : -1;
    if (*p == '-')
        for (p++; hex(p[0]) >= 0 && hex(p[1]) >= 0 && l->nkey < KEY_MAX; p += 2)
            l->key[l->nkey++] = (unsigned char)(hex(p[0]) << 4 | hex(p[1]));
    l->gone = !strcmp(p, ".gone");
    return l->gone || !strcmp(p, ".letter");
}

static void path_of(char *out, size_t size, const char *folder, const struct letter *l)
{
    int n = snprintf(out, size, "%s/%012lld%s", folder, (long long)l->number, l->nkey >= 0 ? "-" : "");
    for (int i = 0; i < l->nkey; i++) n += snprintf(out + n, size - (size_t)n, "%02x", l->key[i]);
    snprintf(out + n, size - (size_t)n, l->gone ? ".gone" : ".letter");
}

/* ---- the source ------------------------------------------------------------------------------------------- */

struct reading {
    const char *folder;
    bool follow;
    int64_t last;         /* the number that was given last */
    int64_t look;         /* the time of the next look into the folder */
    struct letter *found; /* in order; from `next` on not given yet */
    size_t nfound, next, cap;
    /* metadata of one poll: these buffers are used again, for the host has copied them by then */
    int64_t max;
    uint8_t *valid; /* of keys */
    int32_t *ends;  /* of keys, n + 1 */
    char *keys;
    int64_t *numbers, *times;
    const void *buffers[N_COLUMNS][3], *none[1];
    struct ArrowArray children[N_COLUMNS], *list[N_COLUMNS];
};

static int read_open(struct lam_io *io, struct lam_error *err)
{
    struct reading *r = io->self;
    r->folder = io->host->option_text(io->options, "path");
    r->follow = io->host->option_int(io->options, "follow");
    if (!access(r->folder, R_OK | X_OK) || r->follow) return LAM_IO_OK;
    io->host->fail(err, LAM_IO_CONNECT, "the letters %s: %s", r->folder, strerror(errno));
    io->host->hint(err, "make the folder, or wait for it with follow = 'true'");
    return LAM_IO_CONNECT;
}

static int read_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    (void)split, (void)err;
    struct reading *r = io->self;
    r->last = at ? at->offset : 0;
    r->nfound = r->next = 0;
    return LAM_IO_OK;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = ((const struct letter *)a)->number, y = ((const struct letter *)b)->number;
    return (x > y) - (x < y);
}

/* A folder that is not there is empty. */
static void look_for_more(struct lam_io *io)
{
    struct reading *r = io->self;
    DIR *d = opendir(r->folder);
    r->nfound = r->next = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        struct letter l;
        if (!parse_name(e->d_name, &l) || l.number <= r->last) continue;
        if (r->nfound == r->cap) {
            size_t cap = r->cap ? 2 * r->cap : 64;
            r->found = io->host->resize(r->found, r->cap * sizeof l, cap * sizeof l);
            io->host->account(io, (int64_t)((cap - r->cap) * sizeof l));
            r->cap = cap;
        }
        r->found[r->nfound++] = l;
    }
    if (d) closedir(d);
    if (r->nfound) qsort(r->found, r->nfound, sizeof *r->found, by_number);
}

static void make_room(struct lam_io *io, int64_t max)
{
    struct reading *r = io->self;
    const struct lam_host *h = io->host;
    if (max <= r->max) return;
    h->account(io, (max - r->max) * (KEY_MAX + 25));
    h->free(r->valid), h->free(r->ends), h->free(r->keys), h->free(r->numbers), h->free(r->times);
    r->max = max;
    r->valid = h->alloc((size_t)max / 8 + 1);
    r->ends = h->alloc(((size_t)max + 1) * sizeof *r->ends);
    r->keys = h->alloc((size_t)max * KEY_MAX);
    r->numbers = h->alloc((size_t)max * sizeof *r->numbers);
    r->times = h->alloc((size_t)max * sizeof *r->times);
}

static void note_metadata(struct reading *r, int64_t i, const struct letter *l, const struct stat *st)
{
    uint8_t bit = (uint8_t)(1 << i % 8);
    r->valid[i / 8] = (uint8_t)((r->valid[i / 8] & ~bit) | (l->nkey >= 0 ? bit : 0));
    memcpy(r->keys + r->ends[i], l->key, l->nkey > 0 ? (size_t)l->nkey : 0);
    r->ends[i + 1] = r->ends[i] + (l->nkey > 0 ? l->nkey : 0);
    r->numbers[i] = l->number;
    r->times[i] = st->st_mtim.tv_sec * 1000000ll + st->st_mtim.tv_nsec / 1000;
}

static void stays(struct ArrowArray *a)
{
    a->release = NULL;
}

/* Only the columns that are asked for, in that order. */
static void give_metadata(struct lam_io *io, struct lam_records *out)
{
    struct reading *r = io->self;
    const void *const buffers[N_COLUMNS][3] = {
        [KEY] = {r->valid, r->ends, r->keys}, [NUMBER] = {NULL, r->numbers}, [TIME] = {NULL, r->times}};
    int64_t n = io->metadata->n_children;
    for (int64_t i = 0; i < n; i++) {
        int c = 0;
        while (strcmp(columns[c].name, io->metadata->children[i]->name)) c++;
        memcpy(r->buffers[i], buffers[c], sizeof buffers[c]);
        r->children[i] = (struct ArrowArray){.length = out->n,
                                             .null_count = c == KEY ? -1 : 0,
                                             .n_buffers = c == KEY ? 3 : 2,
                                             .buffers = r->buffers[i],
                                             .release = stays};
        r->list[i] = &r->children[i];
    }
    out->metadata = (struct ArrowArray){
        .length = out->n, .n_buffers = 1, .buffers = r->none, .n_children = n, .children = r->list, .release = stays};
}

/* Gives one letter. *more: there is room for another. */
static int give_letter(struct lam_io *io, const struct letter *l, struct lam_records *out, bool *more,
                       struct lam_error *err)
{
    struct reading *r = io->self;
    struct lam_position after = {.offset = l->number};
    struct stat st = {0};
    char path[4600];
    path_of(path, sizeof path, r->folder, l);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && r->follow) return LAM_IO_WAIT; /* the folder has gone; it may come back */
    if (fd < 0 || fstat(fd, &st)) return io->host->fail(err, LAM_IO_READ, "%s: %s", path, strerror(errno));
    note_metadata(r, out->n, l, &st);
    char *room = io->host->record_room(out, (size_t)st.st_size);
    ssize_t k = read(fd, room, (size_t)st.st_size);
    close(fd);
    if (k < st.st_size)
        return io->host->fail(err, LAM_IO_READ, "%s: %s", path, k < 0 ? strerror(errno) : "it has become shorter");
    *more = io->host->record(out, l->gone ? NULL : room, (size_t)k, &after);
    r->last = l->number;
    return LAM_IO_OK;
}

static int read_poll(struct lam_io *io, int split, int64_t now, struct lam_records *out, struct lam_error *err)
{
    (void)split;
    struct reading *r = io->self;
    bool more = true;
    int result = LAM_IO_OK;
    make_room(io, out->max);
    if (r->next == r->nfound) {
        look_for_more(io);
        r->look = now + LOOK_US;
    }
    if (!r->nfound) return r->follow ? LAM_IO_WAIT : LAM_IO_DONE;
    while (more && !result && r->next < r->nfound) {
        result = give_letter(io, &r->found[r->next], out, &more, err);
        if (!result) r->next++;
    }
    if (result == LAM_IO_WAIT) r->nfound = r->next = 0;
    if (!out->n) return result;
    give_metadata(io, out);
    return result == LAM_IO_WAIT ? LAM_IO_OK : result;
}

static int read_wait(struct lam_io *io, int split, struct pollfd *fds, int max, int64_t *at)
{
    (void)split, (void)fds, (void)max;
    struct reading *r = io->self;
    *at = r->look;
    return 0;
}

static void read_close(struct lam_io *io)
{
    struct reading *r = io->self;
    const struct lam_host *h = io->host;
    h->account(io, -(int64_t)(r->cap * sizeof *r->found) - r->max * (KEY_MAX + 25));
    h->free(r->found), h->free(r->valid), h->free(r->ends), h->free(r->keys), h->free(r->numbers), h->free(r->times);
}

static bool read_bounded(const struct lam_host *host, const struct lam_options *o)
{
    return !host->option_int(o, "follow");
}

static const struct lam_option read_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "Folder of the letters."},
    {.name = "follow",
     .type = LAM_OPTION_BOOL,
     .dflt = "false",
     .sentence = "Wait for more letters in place of ending."},
};

static const struct lam_source_class source = {
    .size = sizeof source,
    .name = "letters",
    .sentence = "Reads a folder in which every file is a record.",
    .payload = LAM_RECORDS,
    .replayable = true,
    .instance_size = sizeof(struct reading),
    .options = read_options,
    .n_options = 2,
    .option_size = sizeof read_options[0],
    .default_format = "json",
    .bounded = read_bounded,
    .open = read_open,
    .seek = read_seek,
    .poll_records = read_poll,
    .wait = read_wait,
    .close = read_close,
    .metadata = columns,
    .n_metadata = N_COLUMNS,
    .metadata_size = sizeof columns[0],
};

/* ---- the sink --------------------------------------------------------------------------------------------- */

struct writing {
    const char *folder;
    int64_t most; /* files in the folder, before we wait */
    int64_t last; /* the highest number */
    int64_t look;
    int64_t key; /* the column, or -1 */
    char tmp[4200];
};

/* How many letters there are. */
static int64_t count(struct writing *w)
{
    int64_t n = 0;
    DIR *d = opendir(w->folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct letter l;
        if (!parse_name(e->d_name, &l)) continue;
        if (l.number > w->last) w->last = l.number;
        n++;
    }
    if (d) closedir(d);
    return n;
}

static int broken(struct lam_io *io, struct lam_error *err, const char *path)
{
    int e = errno;
    io->host->fail(err, LAM_IO_RETRY, "%s: %s", path, strerror(e));
    io->host->hint(err, "it is tried again");
    return LAM_IO_RETRY;
}

static int write_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)marker, (void)fresh;
    struct writing *w = io->self;
    w->folder = io->host->option_text(io->options, "path");
    w->most = io->host->option_int(io->options, "max.files");
    snprintf(w->tmp, sizeof w->tmp, "%s/.tmp-%lu-%d", w->folder, (unsigned long)incarnation, (int)getpid());
    w->key = -1;
    for (int64_t i = 0; i < io->schema->n_children; i++)
        if (!strcmp(io->schema->children[i]->name, "_key")) w->key = i;
    if (access(w->folder, W_OK | X_OK)) return broken(io, err, w->folder);
    count(w);
    return LAM_IO_OK;
}

/* A column of text or bytes: 32-bit offsets. False: the key is too long. */
static bool read_key(const struct writing *w, const struct lam_rows *rows, int64_t row, struct letter *l)
{
    l->nkey = -1;
    if (w->key < 0) return true;
    const struct ArrowArray *a = rows->array->children[w->key];
    const uint8_t *valid = a->buffers[0];
    const int32_t *ends = a->buffers[1];
    row += a->offset;
    if (valid && !(valid[row / 8] >> row % 8 & 1)) return true;
    if (ends[row + 1] - ends[row] > KEY_MAX) return false;
    l->nkey = ends[row + 1] - ends[row];
    if (l->nkey) memcpy(l->key, (const char *)a->buffers[2] + ends[row], (size_t)l->nkey);
    return true;
}

static int put_letter(struct lam_io *io, const struct letter *l, const char *p, size_t n, struct lam_error *err)
{
    struct writing *w = io->self;
    char path[4600];
    path_of(path, sizeof path, w->folder, l);
    int fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return broken(io, err, w->tmp);
    bool whole = write(fd, p, n) == (ssize_t)n;
    whole = !close(fd) && whole;
    if (!whole || rename(w->tmp, path)) return broken(io, err, path);
    w->last = l->number;
    return LAM_IO_OK;
}

/* A row taken back is a letter without a value. */
static int write_records(struct lam_io *io, const struct lam_values *values, const struct lam_rows *rows,
                         int64_t *accepted, struct lam_error *err)
{
    struct writing *w = io->self;
    w->look = io->host->now(io) + LOOK_US;
    int64_t there = w->most ? count(w) : 0;
    for (int64_t i = 0; i < values->n; i++) {
        int64_t row = rows->from + i;
        struct letter l = {.number = w->last + 1};
        if (w->most && there + i >= w->most) return LAM_IO_WAIT;
        if (i == AT_ONCE) {
            w->look = 0;
            return LAM_IO_WAIT;
        }
        if (!read_key(w, rows, row, &l))
            return io->host->fail(err, LAM_IO_POISON, "the key is longer than %d bytes, and goes into no file name",
                                  KEY_MAX);
        l.gone = (values->none && values->none[i]) || (rows->weight && rows->weight[row] < 0);
        size_t n = l.gone ? 0 : (size_t)(values->offsets[i + 1] - values->offsets[i]);
        int result = put_letter(io, &l, values->bytes + values->offsets[i], n, err);
        if (result) return result;
        ++*accepted;
    }
    return LAM_IO_OK;
}

static int write_wait(struct lam_io *io, struct pollfd *fds, int max, int64_t *at)
{
    (void)fds, (void)max;
    *at = ((struct writing *)io->self)->look;
    return 0;
}

static int write_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct writing *w = io->self;
    if (w->tmp[0]) unlink(w->tmp);
    return LAM_IO_OK;
}

static bool write_unmarked(const struct lam_host *host, const struct lam_options *o)
{
    return (void)host, (void)o, true;
}

static const struct lam_option write_options[] = {
    {.name = "path", .type = LAM_OPTION_TEXT, .flags = LAM_OPTION_REQUIRED, .sentence = "Folder of the letters."},
    {.name = "max.files",
     .type = LAM_OPTION_INT,
     .dflt = "0",
     .max = 1000000,
     .sentence = "Wait while so many letters lie in the folder; 0: never."},
};

static const struct lam_sink_class sink = {
    .size = sizeof sink,
    .name = "letters",
    .sentence = "Makes a file of every row.",
    .payload = LAM_RECORDS,
    .guarantee = LAM_AT_LEAST_ONCE,
    .changelog = true,
    .flush_us = 100000,
    .instance_size = sizeof(struct writing),
    .options = write_options,
    .n_options = 2,
    .option_size = sizeof write_options[0],
    .default_format = "json",
    .open = write_open,
    .write_records = write_records,
    .wait = write_wait,
    .close = write_close,
    .metadata = columns,
    .n_metadata = 1, /* _key */
    .metadata_size = sizeof columns[0],
    .unmarked = write_unmarked,
};

/* ---- the module --------------------------------------------------------------------------------------------- */

static const struct lam_source_class *const sources[] = {&source, NULL};
static const struct lam_sink_class *const sinks[] = {&sink, NULL};

LAM_API const struct lam_module lam_module = {
    .size = sizeof lam_module,
    .abi = LAM_CONNECTOR_ABI,
    .name = "letters",
    .version = "1.0",
    .sources = sources,
    .sinks = sinks,
};
