/* The log beside what it is made of. In memory: a filter and three columns over batches, whose results are dropped at once, or
 * pass a log that the same thread reads; and results that another thread gets through a log or through a bare ring. On disk: batches that nobody reads spill, beside write() of the same
 * bytes; both are synced at the end. `bench_log [FOLDER]`, default build. A line of JSON for each.
 * SPDX-License-Identifier: Apache-2.0 */
#include "../tests/unit/expr_text.h"
#include "base/env.h"
#include "base/gate.h"
#include "base/ring.h"
#include "log/codec.h"
#include "log/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS BATCH_ROWS
#define COLS 6
#define ROUNDS 7
#define DISK_BYTES (512ll << 20)
#define BATCHES 64

static struct env *env;

/* ---- rows -------------------------------------------------------------------------------------------- */

static struct schema *schema_of(struct arena *a)
{
    static const char *const types[COLS] = {"bigint", "bigint", "double", "timestamp", "varchar", "int"};
    struct schema *s = schema_new(a, COLS);
    for (int i = 0; i < COLS; i++) s->fields[i] = (struct field){.name = types[i], .type = type_of_text(types[i])};
    return s;
}

static struct batch *fill(struct pool *pool, const struct schema *s, uint64_t r)
{
    static const char *const words[] = {"alpha", "gamma", "a longer text than twelve", "x", "delta epsilon zeta eta theta"};
    struct batch *b = batch_for(pool, s, ROWS);
    for (uint32_t row = 0; row < ROWS; row++)
        for (int k = 0; k < COLS; k++) {
            r = r * 6364136223846793005u + 1442695040888963407u;
            uint64_t x = r >> 33;
            struct value v = {.type = s->fields[k].type, .i = (int64_t)(x % 1000)};
            if (k == 2) v.d = (double)x / 7;
            if (k == 3) v.i = 1704067200000000 + row * 12345;
            if (k == 4) v.s = str_view(words[x % 5], (uint32_t)strlen(words[x % 5]));
            batch_put(b, s, k, row, ROWS, &v);
        }
    b->rows = ROWS;
    return b;
}

/* ---- memory ------------------------------------------------------------------------------------------ */

struct pipeline {
    struct eval *filter, *project;
    struct batch *in;
};

static struct batch *once(struct pipeline *p)
{
    uint32_t sel[ROWS];
    struct row_errors errors;
    struct rows rows = rows_all(p->in);
    eval_filter(p->filter, &rows, sel, &rows.n, &errors);
    rows.sel = sel;
    return eval_project(p->project, &rows, &errors);
}

struct far {
    struct host host;
    struct task task;
    struct gate reader, writer;
    struct cursor *cursor;
    struct ring *ring;
};

static void wake_writer(struct host *h) { gate_wake(&container_of(h, struct far, host)->writer); }

static void read_all(void *arg)
{
    struct far *f = arg;
    for (bool ended = false; !ended;) {
        struct log_entry e;
        if (cursor_peek(f->cursor, &e, NULL) == ST_WAIT) {
            gate_prepare(&f->reader);
            if (cursor_peek(f->cursor, &e, NULL) == ST_WAIT)
                gate_park(&f->reader, -1);
            else
                gate_cancel(&f->reader);
            continue;
        }
        ended = e.kind == LOG_END;
        cursor_advance(f->cursor);
    }
    cursor_close(f->cursor);
}

static void pop_all(void *arg)
{
    struct far *f = arg;
    for (;;) {
        struct msg m;
        if (!ring_pop(f->ring, &m)) {
            gate_prepare(&f->reader);
            if (ring_empty(f->ring))
                gate_park(&f->reader, -1);
            else
                gate_cancel(&f->reader);
            continue;
        }
        if (msg_tag(m) == MSG_END) return;
        batch_unref(m.batch);
        ring_taken(f->ring, 1);
        gate_wake(&f->writer);
    }
}

enum way { WAY_NONE, WAY_SAME, WAY_OTHER, WAY_RING, WAYS };

static void push(struct far *f, struct batch *b)
{
    struct msg m = msg_make(MSG_BATCH, 0, 0);
    m.batch = b;
    while (!ring_push(f->ring, m, 1)) {
        gate_prepare(&f->writer);
        if (ring_has_room(f->ring))
            gate_cancel(&f->writer);
        else
            gate_park(&f->writer, -1);
    }
    gate_wake(&f->reader);
}

static void append(struct far *f, struct log *l, struct batch *b)
{
    while (log_full(l, NULL)) {
        gate_prepare(&f->writer);
        if (log_full(l, NULL))
            gate_park(&f->writer, -1);
        else
            gate_cancel(&f->writer);
    }
    log_append(l, (struct log_entry){.kind = LOG_BATCH, .b = b});
}

/* Rows a second of the pipeline. */
static double run(struct pipeline *p, const struct schema *s, enum way way)
{
    struct far f = {.host.wake = wake_writer};
    struct err err;
    f.task.host = &f.host;
    INVARIANT(!gate_init(&f.reader, false, &err) && !gate_init(&f.writer, false, &err));
    struct log_config cfg = {.env = env, .schema = s, .memory_bytes = 32 << 20};
    struct log *l = log_new(&cfg, &f.task);
    f.cursor = cursor_new(l, CURSOR_BLOCK, (struct log_reader){.gate = way == WAY_OTHER ? &f.reader : NULL});
    struct thread *t = NULL;
    f.ring = ring_new(256, UINT64_MAX);
    if (way >= WAY_OTHER) INVARIANT(!env_thread(env, "reader", way == WAY_RING ? pop_all : read_all, &f, &t, &err));
    int64_t from = env_now_us(env), took, rows = 0;
    do {
        for (int k = 0; k < 64; k++) {
            struct batch *b = once(p);
            rows += ROWS;
            if (way == WAY_NONE)
                batch_unref(b);
            else if (way == WAY_RING)
                push(&f, b);
            else
                append(&f, l, b);
            struct log_entry e;
            if (way == WAY_SAME && !cursor_peek(f.cursor, &e, NULL)) cursor_advance(f.cursor);
        }
    } while ((took = env_now_us(env) - from) < 200000);
    log_append(l, (struct log_entry){.kind = LOG_END});
    ring_push_reserved(f.ring, msg_make(MSG_END, 0, 0));
    gate_wake(&f.reader);
    thread_join(t);
    ring_free(f.ring);
    cursor_free(f.cursor);
    log_free(l);
    gate_done(&f.reader);
    gate_done(&f.writer);
    return (double)rows / (double)took;
}

static struct eval *build(struct arena *a, struct pool *pool, const struct schema *s, const char *const *texts, int n)
{
    struct expr *exprs[3];
    struct err err;
    struct eval *ev;
    for (int i = 0; i < n; i++) {
        struct reader r = {.p = texts[i], .a = a, .in = s};
        if (read_expr(&r, &exprs[i], &err)) exit((fprintf(stderr, "%s: %s\n", texts[i], err.text), 1));
    }
    if (eval_new(exprs, n, s, pool, &ev, &err)) exit((fprintf(stderr, "%s\n", err.text), 1));
    return ev;
}

static void in_memory(struct arena *a, const struct schema *s)
{
    static const char *const filter[] = {"(and (> $0 10) (< $5 900))"}, *const project[] = {"$0", "(* $1 2)", "(+ $0 $1)"};
    struct pool *pool = pool_new(NULL);
    pool_adopt(pool);
    struct pipeline p = {build(a, pool, s, filter, 1), build(a, pool, s, project, 3), fill(pool, s, 1)};
    struct schema *out = schema_new(a, 3);
    for (int i = 0; i < 3; i++) out->fields[i] = (struct field){.name = "x", .type = TYPE(T_INT64)};
    double best[WAYS] = {0};
    for (int i = 0; i < ROUNDS; i++)
        for (enum way way = WAY_NONE; way < WAYS; way++) {
            double rate = run(&p, out, way);
            if (rate > best[way]) best[way] = rate;
        }
    printf("{\"bench\": \"log_memory\", \"mrows_per_s_without\": %.1f, \"through_a_log\": %.1f, \"share\": %.3f, \"goal\": 0.9, "
           "\"to_a_thread\": %.1f, \"to_a_thread_by_ring\": %.1f}\n",
           best[WAY_NONE], best[WAY_SAME], best[WAY_SAME] / best[WAY_NONE], best[WAY_OTHER], best[WAY_RING]);
    eval_free(p.filter);
    eval_free(p.project);
    batch_unref(p.in);
    pool_close(pool);
}

/* ---- disk -------------------------------------------------------------------------------------------- */

static void no_wake(struct host *h) { (void)h; }

static enum status sync_one(void *ctx, const char *name)
{
    char path[4200];
    struct file *f;
    snprintf(path, sizeof path, "%s/%s", (const char *)ctx, name);
    TRY(env_open(env, path, FILE_WRITE, &f, NULL));
    enum status st = file_sync(f, NULL);
    file_close(f, NULL);
    return st;
}

/* Bytes a second that reach the disk through a log; *written is how many there were. */
static double spill(const struct schema *s, struct batch **batches, const char *dir, int64_t *written)
{
    struct host host = {.wake = no_wake};
    struct task writer = {.host = &host};
    struct log_config cfg = {.env = env, .schema = s, .memory_bytes = 32 << 20, .dir = dir, .disk_bytes = 1ll << 40};
    struct log *l = log_new(&cfg, &writer);
    struct cursor *c = cursor_new(l, CURSOR_SPILL, (struct log_reader){0});
    struct log_stats stats = {0};
    struct err err;
    int64_t from = env_now_us(env);
    for (int i = 0; stats.disk_bytes < DISK_BYTES; i++) {
        if (log_full(l, &err)) exit((fprintf(stderr, "%s\n", err.text), 1));
        log_append(l, (struct log_entry){.kind = LOG_BATCH, .b = batch_ref(batches[i % BATCHES])});
        log_stats(l, &stats);
    }
    if (env_list(env, dir, sync_one, (void *)dir, NULL)) exit((fprintf(stderr, "cannot sync in %s\n", dir), 1));
    double rate = (double)stats.disk_bytes / (double)(env_now_us(env) - from);
    *written = stats.disk_bytes;
    cursor_free(c);
    log_free(l);
    return rate;
}

static double bare(const struct text *bytes, const char *dir, int64_t n)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/bare", dir);
    int64_t from = env_now_us(env);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    for (int64_t at = 0; at < n;) {
        size_t want = n - at < 1 << 20 ? (size_t)(n - at) : 1 << 20;
        ssize_t done = write(fd, bytes->p + at % (int64_t)(bytes->n - want + 1), want);
        if (done <= 0) exit((fprintf(stderr, "cannot write %s\n", path), 1));
        at += done;
    }
    if (fdatasync(fd)) exit((fprintf(stderr, "cannot sync %s\n", path), 1));
    double rate = (double)n / (double)(env_now_us(env) - from);
    close(fd);
    unlink(path);
    return rate;
}

static int by_size(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

static void on_disk(const struct schema *s, const char *folder)
{
    char dir[4100];
    snprintf(dir, sizeof dir, "%s/bench_log.tmp", folder);
    if (mkdir(dir, 0777)) exit((fprintf(stderr, "cannot create %s\n", dir), 1));
    struct pool *pool = pool_new(NULL);
    struct batch *batches[BATCHES];
    struct text bytes = {0};
    for (int i = 0; i < BATCHES; i++) codec_put(&bytes, s, batches[i] = fill(pool, s, (uint64_t)i));
    double logged[ROUNDS], plain[ROUNDS];
    int64_t n = 0;
    for (int i = 0; i < ROUNDS; i++) {
        logged[i] = spill(s, batches, dir, &n);
        plain[i] = bare(&bytes, dir, n);
    }
    qsort(logged, ROUNDS, sizeof *logged, by_size);
    qsort(plain, ROUNDS, sizeof *plain, by_size);
    printf("{\"bench\": \"log_disk\", \"mbytes\": %.0f, \"mb_per_s\": %.0f, \"write_mb_per_s\": %.0f, \"share\": %.2f, "
           "\"goal\": 0.7}\n",
           (double)n / 1e6, logged[ROUNDS / 2], plain[ROUNDS / 2], logged[ROUNDS / 2] / plain[ROUNDS / 2]);
    for (int i = 0; i < BATCHES; i++) batch_unref(batches[i]);
    text_done(&bytes);
    pool_close(pool);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    env = env_real();
    struct arena *a = arena_new();
    struct schema *s = schema_of(a);
    in_memory(a, s);
    on_disk(s, argc > 1 ? argv[1] : "build");
    arena_free(a);
    return 0;
}
