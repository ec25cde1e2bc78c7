/* The log: counters against a model, disks that fail, damaged segments, threads. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/crc32c.h"
#include "base/env_sim.h"
#include "base/gate.h"
#include "log/codec.h"
#include "log/log.h"

#include <unistd.h>

static struct err err;

/* ---- rows whose content follows from their number ---------------------------------------------------- */

static struct field fields[] = {{.name = "id", .type = {.id = T_INT64}}, {.name = "t", .type = {.id = T_VARCHAR}}};
static const struct schema schema = {.n = 2, .fields = fields, .time_column = -1};

static bool short_only; /* so that a batch of a few rows is BATCH bytes */
#define BATCH (4 * 256 + 64)

static uint32_t text_of(uint64_t id, char *buf)
{
    static const char *const tail[] = {"", " str", " and this one is longer than a view", " ......................................"};
    return (uint32_t)snprintf(buf, 80, "%llu%s", (unsigned long long)id, tail[short_only ? id % 2 : id % 4]);
}

static struct batch *make_batch(struct pool *p, uint64_t id, uint32_t rows)
{
    struct batch *b = batch_for(p, &schema, rows);
    b->cols[1].valid = batch_validity(b, rows);
    for (uint32_t i = 0; i < rows; i++, id++) {
        char buf[80];
        struct value n = {.type = fields[0].type, .i = (int64_t)id};
        struct value t = {.type = fields[1].type, .is_null = id % 7 == 0, .s = str_view(buf, text_of(id, buf))};
        batch_put(b, &schema, 0, i, rows, &n);
        batch_put(b, &schema, 1, i, rows, &t);
    }
    b->rows = rows;
    return b;
}

/* The rows follow each other; returns the first. */
static uint64_t check_batch(const struct batch *b)
{
    uint64_t first = (uint64_t)batch_value(b, &schema, 0, 0).i;
    for (uint32_t i = 0; i < b->rows; i++) {
        uint64_t id = first + i;
        struct value t = batch_value(b, &schema, 1, i);
        char buf[80];
        uint32_t n = text_of(id, buf);
        assert_int_equal(batch_value(b, &schema, 0, i).i, id);
        assert_int_equal(t.is_null, id % 7 == 0);
        if (t.is_null) continue;
        assert_int_equal(t.s.n, n);
        assert_memory_equal(str_ptr(&t.s), buf, n);
    }
    return first;
}

/* A writer that notes that it was woken. */
struct writer {
    struct host host;
    struct task task;
    struct gate gate;
};
static void note_wake(struct host *h) { gate_wake(&container_of(h, struct writer, host)->gate); }
static void writer_init(struct writer *w)
{
    memset(w, 0, sizeof *w);
    w->host.wake = note_wake;
    w->task.host = &w->host;
    ok(gate_init(&w->gate, false, &err));
}
static bool woken(struct writer *w) { return atomic_exchange(&w->task.woken, false); }

static const struct log_reader nobody;

struct fixture {
    struct env_sim *sim;
    struct writer writer;
    struct pool *pool;
    struct log *log;
    uint64_t id;
};
static void begin_at(struct fixture *f, int64_t memory, int64_t disk, uint64_t seed)
{
    memset(f, 0, sizeof *f);
    f->sim = env_sim_new(seed);
    writer_init(&f->writer);
    f->pool = pool_new(NULL);
    struct log_config cfg = {.env = env_sim_env(f->sim), .schema = &schema, .memory_bytes = memory, .disk_bytes = disk, .name = 7};
    if (disk) cfg.dir = "spill";
    f->log = log_new(&cfg, &f->writer.task);
}
static void begin(struct fixture *f, int64_t memory, int64_t disk)
{
    short_only = true;
    begin_at(f, memory, disk, 1);
}
static int count_name(int *n) { return (*n)++, 0; }
static enum status each_name(void *ctx, const char *name) { return (void)name, count_name(ctx); }
static int files(struct fixture *f)
{
    int n = 0;
    env_list(env_sim_env(f->sim), "spill", each_name, &n, NULL);
    return n;
}
static void end(struct fixture *f)
{
    log_free(f->log);
    assert_int_equal(files(f), 0);
    pool_close(f->pool);
    gate_done(&f->writer.gate);
    env_sim_free(f->sim);
}
static void append(struct fixture *f, uint32_t rows)
{
    log_append(f->log, (struct log_entry){.kind = LOG_BATCH, .b = make_batch(f->pool, f->id, rows)});
    f->id += rows;
}
static void append_epoch(struct fixture *f, uint64_t epoch)
{
    log_append(f->log, (struct log_entry){.kind = LOG_EPOCH, .epoch = epoch});
}
static bool full(struct fixture *f) { return log_full(f->log, &err); }
/* Reads an entry; -1: none. A batch: its first row. */
static int64_t next(struct cursor *c)
{
    struct log_entry e;
    if (cursor_peek(c, &e, &err)) return -1;
    int64_t id = e.kind == LOG_BATCH ? (int64_t)check_batch(e.b) : INT64_MAX;
    cursor_advance(c);
    return id;
}
static struct cursor_stats stats_of(struct cursor *c)
{
    struct cursor_stats s;
    cursor_stats(c, &s);
    return s;
}
static struct log_stats log_stats_of(struct fixture *f)
{
    struct log_stats s;
    log_stats(f->log, &s);
    return s;
}

/* ---- policies ---------------------------------------------------------------------------------------- */

static void a_blocking_cursor_makes_the_writer_wait(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 4 * BATCH, 0);
    struct cursor *c = cursor_new(f.log, CURSOR_BLOCK, nobody);
    for (int i = 0; i < 4; i++) {
        assert_false(full(&f));
        append(&f, 1);
    }
    assert_int_equal(log_stats_of(&f).memory_bytes, 4 * BATCH);
    assert_true(full(&f));
    assert_true(full(&f));
    assert_int_equal(log_stats_of(&f).full_events, 1);
    assert_int_equal(next(c), 0);
    assert_false(woken(&f.writer));
    assert_int_equal(next(c), 1);
    assert_true(woken(&f.writer)); /* at half */
    assert_false(full(&f));
    assert_int_equal(stats_of(c).lag_rows, 2);
    cursor_free(c);
    assert_true(log_abandoned(f.log));
    end(&f);
}

static void the_oldest_unread_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 4 * BATCH, 0);
    struct cursor *c = cursor_new(f.log, CURSOR_DROP_OLDEST, nobody);
    for (int i = 0; i < 10; i++) {
        assert_false(full(&f));
        append(&f, 2);
    }
    assert_int_equal(stats_of(c).dropped_batches, 6);
    assert_int_equal(stats_of(c).dropped_rows, 12);
    assert_int_equal(stats_of(c).lag_rows, 8);
    assert_int_equal(next(c), 12);
    assert_false(full(&f));
    assert_int_equal(next(c), 14);
    cursor_free(c);
    end(&f);
}

/* What was given out is read, not dropped, whatever goes meanwhile. */
static void what_is_in_hand_is_not_dropped(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2 * BATCH, 0);
    struct cursor *c = cursor_new(f.log, CURSOR_DROP_OLDEST, nobody);
    append(&f, 1);
    struct log_entry e;
    ok(cursor_peek(c, &e, &err));
    for (int i = 0; i < 4; i++) {
        append(&f, 1);
        assert_false(full(&f));
    }
    assert_int_equal(check_batch(e.b), 0);
    struct cursor_stats s = stats_of(c);
    assert_int_equal(s.dropped_rows + s.lag_rows, 5);
    cursor_advance(c);
    s = stats_of(c);
    assert_int_equal(s.dropped_rows + s.lag_rows, 4);
    assert_int_equal(next(c), s.dropped_rows + 1);
    cursor_free(c);
    end(&f);
}

static void each_cursor_has_its_own_policy(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 4 * BATCH, 0);
    struct cursor *block = cursor_new(f.log, CURSOR_BLOCK, nobody), *drop = cursor_new(f.log, CURSOR_DROP_OLDEST, nobody),
                  *error = cursor_new(f.log, CURSOR_ERROR, nobody);
    for (int i = 0; i < 4; i++) append(&f, 1);
    assert_true(full(&f)); /* nothing is gained by dropping what the blocking cursor keeps */
    assert_int_equal(stats_of(drop).dropped_rows, 0);
    assert_int_equal(next(error), 0);
    assert_int_equal(next(block), 0);
    assert_int_equal(next(block), 1);
    assert_false(full(&f)); /* one that only the others hold */
    assert_int_equal(stats_of(drop).dropped_rows, 1);
    assert_int_equal(next(error), 1);
    append(&f, 1);
    assert_false(full(&f));
    assert_int_equal(stats_of(drop).dropped_rows, 2);
    append(&f, 1);
    assert_true(full(&f));
    assert_int_equal(next(block), 2);
    assert_int_equal(next(block), 3);
    assert_false(full(&f));
    struct log_entry e;
    assert_int_equal(cursor_peek(error, &e, &err), E_FULL);
    assert_int_equal(stats_of(error).dropped_rows, 4); /* of 6, two were read */
    assert_int_equal(stats_of(error).lag_rows, 0);
    append(&f, 1);
    assert_int_equal(stats_of(error).dropped_rows, 4);
    assert_int_equal(next(drop), 3);
    cursor_set_policy(drop, CURSOR_BLOCK);
    cursor_free(block);
    append(&f, 1);
    assert_true(full(&f));
    assert_int_equal(next(drop), 4);
    cursor_set_policy(drop, CURSOR_DROP_OLDEST);
    assert_true(woken(&f.writer));
    assert_false(full(&f));
    cursor_free(drop);
    cursor_free(error);
    end(&f);
}

static void spilled_rows_come_back_in_order(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 8 * BATCH, 1 << 20);
    env_sim_short_reads(f.sim, true);
    struct cursor *a = cursor_new(f.log, CURSOR_SPILL, nobody), *b = cursor_new(f.log, CURSOR_DROP_OLDEST, nobody);
    for (int i = 0; i < 500; i++) {
        assert_false(full(&f));
        append(&f, 3);
    }
    struct log_stats s = log_stats_of(&f);
    assert_true(s.memory_bytes <= 9 * BATCH && s.disk_bytes > 10000 && s.spilled_bytes == (uint64_t)s.disk_bytes);
    assert_int_equal(stats_of(b).dropped_rows, 0); /* it finds on disk what another keeps there */
    for (int i = 0; i < 500; i++) assert_int_equal(next(a), 3 * i);
    for (int i = 0; i < 500; i++) assert_int_equal(next(b), 3 * i);
    assert_int_equal(next(a), -1);
    assert_int_equal(log_stats_of(&f).disk_bytes, 0);
    assert_int_equal(files(&f), 0);
    cursor_free(a);
    cursor_free(b);
    end(&f);
}

static void the_share_of_the_disk_bounds_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 8 * BATCH, 8000);
    struct cursor *c = cursor_new(f.log, CURSOR_SPILL, nobody), *late = cursor_new(f.log, CURSOR_DROP_OLDEST, nobody);
    int n = 0;
    for (; !full(&f); n++) append(&f, 1);
    assert_true(log_stats_of(&f).disk_bytes <= 8000 && log_stats_of(&f).disk_bytes > 5000);
    assert_int_equal(err.code, 0);
    assert_int_equal(stats_of(late).dropped_rows, 0);
    for (int i = 0; i < n / 2; i++) assert_int_equal(next(c), i);
    assert_true(woken(&f.writer));
    assert_false(full(&f)); /* old segments that only the other one wants make room */
    assert_true(stats_of(late).dropped_rows > 0);
    int64_t at = next(late);
    assert_int_equal(at, stats_of(late).dropped_rows);
    cursor_free(c);
    cursor_free(late);
    end(&f);
}

/* ---- a disk that is full or fails --------------------------------------------------------------------- */

static void fill(struct fixture *f)
{
    while (!full(f)) append(f, 3);
}

static void a_full_disk_blocks_until_there_is_room(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 8 * BATCH, 1 << 20);
    env_sim_capacity(f.sim, 6000);
    struct cursor *c = cursor_new(f.log, CURSOR_SPILL, nobody);
    fill(&f);
    assert_int_equal(err.code, E_WRITE);
    assert_non_null(strstr(err.text, "No space left"));
    assert_non_null(strstr(err.hint, "spill"));
    assert_true(full(&f));
    assert_int_equal(err.code, 0); /* told once */
    assert_true(log_retry_us(f.log) <= env_now_us(env_sim_env(f.sim)) + 1000000);
    env_sim_advance(f.sim, 2000000);
    assert_true(full(&f));
    assert_int_equal(err.code, 0);
    env_sim_capacity(f.sim, 0);
    assert_true(full(&f)); /* not before its time */
    env_sim_advance(f.sim, 2000000);
    uint64_t rows = f.id;
    assert_false(full(&f));
    for (int i = 0; i < 50; i++) {
        append(&f, 3);
        assert_false(full(&f));
    }
    assert_true(f.id == rows + 150);
    env_sim_fail(f.sim, SIM_WRITE, 1, 0);
    fill(&f);
    assert_int_equal(err.code, E_WRITE); /* told again: it is another time */
    for (uint64_t id = 0; id < f.id; id += 3) assert_int_equal(next(c), id);
    assert_true(woken(&f.writer));
    assert_false(full(&f));
    cursor_free(c);
    end(&f);
}

static void a_segment_that_cannot_be_made_or_read(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 8 * BATCH, 1 << 20);
    struct cursor *c = cursor_new(f.log, CURSOR_SPILL, nobody);
    env_sim_fail(f.sim, SIM_OPEN, 1, 1);
    fill(&f);
    assert_int_equal(err.code, E_WRITE);
    env_sim_advance(f.sim, 2000000);
    assert_false(full(&f));
    struct log_entry e;
    env_sim_fail(f.sim, SIM_READ, 1, 1);
    assert_int_equal(cursor_peek(c, &e, &err), E_READ);
    assert_non_null(strstr(err.text, "at byte 0 of \"spill/log-7-"));
    for (uint64_t id = 0; id < f.id; id += 3) assert_int_equal(next(c), id); /* the next try may succeed */
    cursor_free(c);
    end(&f);
}

/* ---- damaged segments ---------------------------------------------------------------------------------- */

struct image {
    char name[32];
    size_t n;
    char bytes[8192];
};
static enum status note_name(void *ctx, const char *name)
{
    snprintf(ctx, 32, "spill/%.20s", name);
    return ST_OK;
}
static void load_image(struct fixture *f, struct image *im)
{
    struct file *file;
    ok(env_list(env_sim_env(f->sim), "spill", note_name, im->name, &err));
    ok(env_open(env_sim_env(f->sim), im->name, FILE_READ, &file, &err));
    ok(file_read(file, im->bytes, sizeof im->bytes, &im->n, &err));
    file_close(file, NULL);
}
static void store_image(struct fixture *f, const struct image *im, size_t n)
{
    struct file *file;
    ok(env_open(env_sim_env(f->sim), im->name, FILE_WRITE | (n < im->n ? FILE_TRUNC : 0), &file, &err));
    ok(file_write(file, im->bytes, n, &err));
    file_close(file, NULL);
}

/* Reads all that is left: the right rows, or an error and then those behind it. */
static void read_damaged(struct fixture *f, struct cursor *c, uint64_t *damaged)
{
    uint64_t read = 0;
    struct log_entry e;
    enum status st;
    while ((st = cursor_peek(c, &e, &err)) != ST_WAIT) {
        if (st) {
            assert_int_equal(st, E_CORRUPT);
            assert_non_null(strstr(err.text, "of \"spill/log-7-1\""));
            ++*damaged;
        } else if (e.kind == LOG_BATCH) {
            assert_int_equal(check_batch(e.b), read + stats_of(c).dropped_rows);
            read += e.b->rows;
        }
        cursor_advance(c);
        assert_int_equal(read + stats_of(c).dropped_rows + stats_of(c).lag_rows, f->id);
    }
}

static void any_damage_is_found(void **state)
{
    (void)state;
    struct image im = {0};
    uint64_t found = 0;
    for (size_t i = 0; !i || i < 2 * im.n; i++) {
        struct fixture f;
        begin(&f, 3 * BATCH, 1 << 20);
        struct cursor *c = cursor_new(f.log, CURSOR_SPILL, nobody);
        append(&f, 3);
        append_epoch(&f, 4);
        append(&f, 9);
        append(&f, 2);
        assert_false(full(&f));
        load_image(&f, &im);
        if (i < im.n) {
            im.bytes[i] ^= (char)(1 << i % 8);
            store_image(&f, &im, im.n);
        } else {
            store_image(&f, &im, i - im.n);
        }
        uint64_t before = found;
        read_damaged(&f, c, &found);
        assert_int_equal(found, before + 1); /* no bit and no length is without a check */
        cursor_free(c);
        end(&f);
    }
}

static void damage_costs_one_stripe(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 64 * BATCH, 16 << 20);
    struct cursor *c = cursor_new(f.log, CURSOR_SPILL, nobody);
    for (int i = 0; i < 200; i++) {
        append(&f, 100);
        assert_false(full(&f));
    }
    struct image im;
    load_image(&f, &im);
    im.bytes[30] ^= 1;
    store_image(&f, &im, im.n);
    uint64_t found = 0;
    read_damaged(&f, c, &found);
    assert_int_equal(found, 1);
    uint64_t lost = stats_of(c).dropped_rows;
    assert_true(lost > 100 && lost < 4000);
    cursor_free(c);
    end(&f);
}

/* ---- retention ----------------------------------------------------------------------------------------- */

static void an_epoch_is_found_while_it_is_retained(void **state)
{
    (void)state;
    for (int disk = 0; disk < 2; disk++) {
        struct fixture f;
        begin(&f, 64 * BATCH, disk ? 1 << 20 : 0);
        log_retain(f.log, disk ? 200 * BATCH : 20 * BATCH);
        struct cursor *c = cursor_new(f.log, CURSOR_BLOCK, nobody);
        for (uint64_t i = 0; i < 1000; i++) {
            append(&f, 1);
            append_epoch(&f, i + 1);
            assert_false(full(&f));
            assert_int_equal(next(c), i);
            assert_int_equal(next(c), INT64_MAX);
        }
        int found = 0;
        for (uint64_t epoch = 0; epoch < 1002; epoch++) {
            struct cursor *late = cursor_at_epoch(f.log, epoch, CURSOR_BLOCK, nobody);
            if (!late) continue;
            found++;
            for (uint64_t i = epoch; i < 1000; i++) {
                assert_int_equal(next(late), i);
                assert_int_equal(next(late), INT64_MAX);
            }
            assert_int_equal(next(late), -1);
            assert_int_equal(stats_of(late).lag_bytes, 0);
            cursor_free(late);
        }
        assert_in_range(found, disk ? 170 : 15, disk ? 700 : 25);
        log_retain(f.log, 0);
        assert_null(cursor_at_epoch(f.log, 990, CURSOR_BLOCK, nobody));
        assert_int_equal(log_stats_of(&f).memory_bytes + log_stats_of(&f).disk_bytes, 0);
        cursor_free(c);
        end(&f);
    }
}

/* What was appended before goes, and is not found; the newest mark stays. */
static void what_is_forgotten_is_not_found(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t oldest, newest;
    begin(&f, 64 * BATCH, 0);
    assert_false(log_epochs(f.log, 5, &oldest, &newest));
    log_retain(f.log, 30 * BATCH);
    for (uint64_t i = 0; i < 10; i++) {
        append(&f, 1);
        append_epoch(&f, 10 * (i + 1));
    }
    assert_true(log_epochs(f.log, 55, &oldest, &newest));
    assert_int_equal(oldest, 10);
    assert_int_equal(newest, 50);
    assert_true(log_epochs(f.log, 1, &oldest, &newest));
    assert_int_equal(newest, 10);
    assert_true(log_epochs(f.log, UINT64_MAX, &oldest, &newest));
    assert_int_equal(newest, 100);
    struct cursor *reader = cursor_at_epoch(f.log, 80, CURSOR_BLOCK, nobody);
    log_forget(f.log);
    assert_null(cursor_at_epoch(f.log, 80, CURSOR_BLOCK, nobody));
    append(&f, 1);
    struct cursor *c = cursor_at_epoch(f.log, 100, CURSOR_BLOCK, nobody);
    assert_int_equal(next(c), 10);
    for (int i = 8; i < 11; i++) {
        assert_int_equal(next(reader), i); /* who reads goes on */
        if (i < 10) assert_int_equal(next(reader), INT64_MAX);
    }
    cursor_free(c);
    cursor_free(reader);
    assert_true(log_stats_of(&f).memory_bytes < 2 * BATCH);
    end(&f);
}

/* Limits that rise let the writer go on with more in memory. */
static void limits_may_rise(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 8 * BATCH, 0);
    log_set_limits(f.log, 108 * BATCH, 0);
    log_retain(f.log, 100 * BATCH);
    for (int i = 0; i < 500; i++) {
        append(&f, 1);
        assert_false(full(&f));
    }
    assert_true(log_stats_of(&f).memory_bytes >= 95 * BATCH);
    end(&f);
}

static void retention_stops_nobody(void **state)
{
    (void)state;
    for (int disk = 0; disk < 2; disk++) {
        struct fixture f;
        begin(&f, 8 * BATCH, disk ? 10000 : 0);
        log_retain(f.log, 1 << 30);
        for (int i = 0; i < 500; i++) {
            append(&f, 1);
            assert_false(full(&f));
        }
        assert_true(log_stats_of(&f).memory_bytes >= 6 * BATCH);
        assert_true(!disk || log_stats_of(&f).disk_bytes > 8000);
        end(&f);
    }
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void a_batch_that_pins_much_is_copied(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1 << 20, 0);
    struct cursor *c = cursor_new(f.log, CURSOR_BLOCK, nobody);
    struct batch *large = make_batch(f.pool, 0, 2000);
    const uint32_t sel[] = {1002};
    struct rows one = {large, sel, 1};
    struct batch *view = rows_dense(f.pool, &schema, &one);
    batch_unref(large);
    assert_true(view->bytes_held > 40000);
    log_append(f.log, (struct log_entry){.kind = LOG_BATCH, .b = view});
    assert_true(log_stats_of(&f).memory_bytes < 10000);
    assert_int_equal(next(c), 1002);
    struct batch *whole = make_batch(f.pool, 0, 2000);
    int64_t held = whole->bytes_held;
    log_append(f.log, (struct log_entry){.kind = LOG_BATCH, .b = whole});
    assert_true(log_stats_of(&f).memory_bytes >= held);
    cursor_free(c);
    end(&f);
}

static void a_warm_log_does_not_allocate(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1 << 20, 0);
    struct cursor *c = cursor_new(f.log, CURSOR_BLOCK, nobody);
    struct batch *b = make_batch(f.pool, 0, 1000);
    uint64_t warm = 0;
    for (int i = 0; i < 2000; i++) {
        if (i == 1000) warm = mem_alloc_count();
        assert_false(full(&f));
        log_append(f.log, (struct log_entry){.kind = LOG_BATCH, .b = batch_ref(b)});
        append_epoch(&f, (uint64_t)i);
        while (next(c) >= 0) {}
    }
    assert_int_equal(mem_alloc_count(), warm);
    batch_unref(b);
    cursor_free(c);
    end(&f);
}

/* ---- all types ------------------------------------------------------------------------------------------ */

static uint64_t random_state;
static uint64_t draw(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static uint64_t below(uint64_t n) { return draw() % n; }

static void every_type_comes_back(void **state)
{
    (void)state;
    struct field all[T_ARRAY];
    struct schema s = {.n = T_ARRAY, .fields = all, .time_column = -1};
    for (uint8_t t = 0; t < T_ARRAY; t++) all[t] = (struct field){.name = "f", .type = TYPE(t)};
    struct pool *p = pool_new(NULL);
    random_state = 5;
    for (uint32_t rows = 0; rows < 300; rows += 1 + rows / 3) {
        struct batch *b = batch_for(p, &s, rows + 1), *back;
        int8_t *weight = rows % 2 ? batch_alloc(b, rows) : NULL;
        for (uint32_t r = 0; r < rows; r++) {
            char blob[40];
            for (size_t i = 0; i < sizeof blob; i++) blob[i] = (char)draw();
            if (weight) weight[r] = draw() & 1 ? 1 : -1;
            for (int c = 0; c < s.n; c++) {
                struct value v = {.type = all[c].type, .is_null = draw() % 5 == 0};
                if (type_is_text(v.type))
                    v.s = str_view(blob, (uint32_t)below(sizeof blob));
                else if (v.type.id == T_DOUBLE || v.type.id == T_FLOAT)
                    v.d = (double)(float)draw();
                else if (v.type.id == T_BOOL)
                    v.b = draw() & 1;
                else
                    memcpy(v.uuid, blob, 16);
                batch_put(b, &s, c, r, rows + 1, &v);
            }
        }
        b->rows = rows;
        b->weight = weight;
        b->ts_min = -5, b->ts_max = 77;
        struct text bytes = {0}, again = {0};
        codec_put(&bytes, &s, b);
        ok(codec_get(bytes.p, bytes.n, &s, p, &back, &err));
        assert_int_equal(back->rows, rows);
        assert_int_equal(back->ts_min, -5);
        assert_int_equal(back->ts_max, 77);
        assert_int_equal(!back->weight, !weight);
        if (weight) assert_memory_equal(back->weight, weight, rows);
        for (int c = 0; c < s.n; c++)
            for (uint32_t r = 0; r < rows; r++) {
                struct value x = batch_value(b, &s, c, r), y = batch_value(back, &s, c, r);
                assert_int_equal(x.is_null, y.is_null);
                if (x.is_null) continue;
                if (type_is_text(x.type))
                    assert_true(str_equal(&x.s, &y.s));
                else
                    assert_memory_equal((char *)b->cols[c].data + r * type_width(all[c].type),
                                        (char *)back->cols[c].data + r * type_width(all[c].type), type_width(all[c].type));
            }
        codec_put(&again, &s, back);
        assert_int_equal(again.n, bytes.n);
        for (size_t n = 0; n < bytes.n; n += 8) {
            struct batch *cut;
            assert_int_equal(codec_get(bytes.p, n, &s, p, &cut, &err), E_CORRUPT);
        }
        text_done(&bytes), text_done(&again);
        batch_unref(b), batch_unref(back);
    }
    pool_close(p);
}

static void sums_are_those_of_the_standard(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283); /* the check value of the polynomial */
    char zeros[32] = {0}, bytes[20000];
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
    random_state = 9;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)draw();
    for (size_t n = 0; n < sizeof bytes - 8; n += 1 + n / 7)
        for (size_t at = 0; at < 8; at++) {
            assert_int_equal(crc32c(3, bytes + at, n), crc32c_table(3, bytes + at, n));
            assert_int_equal(crc32c(crc32c(0, bytes, n / 2), bytes + n / 2, n - n / 2), crc32c_table(0, bytes, n));
        }
}

/* ---- any interleaving against a model ------------------------------------------------------------------- */

#define CURSORS 5

struct reader {
    struct cursor *cursor; /* NULL: none */
    enum cursor_policy policy;
    uint64_t begin, read;  /* rows */
    uint64_t seq;          /* the last seen */
    struct log_entry hand;
    uint64_t frozen;       /* what it had been offered when ERROR ended it; 0: it goes on */
    bool holds, ended;
    bool exact, strict;    /* it never had a policy that loses; that ends it */
};

static bool blocks(const struct reader *r) { return r->policy == CURSOR_BLOCK || r->policy == CURSOR_SPILL; }

static void check_reader(struct fixture *f, struct reader *r)
{
    if (!r->cursor) return;
    struct cursor_stats s = stats_of(r->cursor);
    uint64_t offered = r->begin + r->read + s.dropped_rows + s.lag_rows;
    if (!r->strict && !r->frozen && offered < f->id) r->frozen = offered;
    assert_int_equal(offered, r->frozen ? r->frozen : f->id);
    assert_true(!r->ended || r->frozen == offered || offered == f->id);
    if (r->exact) assert_int_equal(s.dropped_rows, 0);
    assert_true(s.lag_bytes >= 0 && (s.lag_rows == 0 || s.lag_bytes > 0));
}

static void open_reader(struct fixture *f, struct reader *r)
{
    *r = (struct reader){.policy = (enum cursor_policy)below(4), .begin = f->id};
    r->exact = blocks(r);
    r->strict = r->policy != CURSOR_ERROR;
    r->cursor = cursor_new(f->log, r->policy, nobody);
}

static void close_reader(struct reader *r)
{
    cursor_free(r->cursor);
    *r = (struct reader){0};
}

static void advance_reader(struct reader *r)
{
    if (!r->holds) return;
    if (r->hand.kind == LOG_BATCH) {
        check_batch(r->hand.b); /* still there */
        r->read += r->hand.b->rows;
    }
    cursor_advance(r->cursor);
    r->holds = false;
}

static void peek_reader(struct reader *r)
{
    struct log_entry e;
    enum status st = cursor_peek(r->cursor, &e, &err);
    struct cursor_stats s = stats_of(r->cursor);
    if (st == E_READ) return; /* an armed fault */
    if (st == E_FULL) {
        assert_false(r->strict);
        r->ended = true;
        assert_int_equal(s.lag_rows, 0);
        return;
    }
    if (st == ST_WAIT) {
        assert_int_equal(s.lag_rows, 0);
        return;
    }
    ok(st);
    if (r->holds) {
        assert_int_equal(e.seq, r->hand.seq);
        return;
    }
    assert_true(e.seq > r->seq);
    if (r->exact && r->seq) assert_int_equal(e.seq, r->seq + 1);
    if (e.kind == LOG_BATCH) assert_int_equal(check_batch(e.b), r->begin + r->read + s.dropped_rows);
    r->seq = e.seq;
    r->hand = e;
    r->holds = true;
}

/* Full is right only when someone makes it wait; and who is woken may go on. */
static void check_full(struct fixture *f, struct reader *readers, int64_t memory)
{
    woken(&f->writer);
    if (!full(f)) {
        assert_true(log_stats_of(f).memory_bytes < memory);
        return;
    }
    bool reason = false;
    for (int i = 0; i < CURSORS; i++)
        reason |= readers[i].cursor && blocks(&readers[i]) && stats_of(readers[i].cursor).lag_bytes >= memory / 2;
    assert_true(reason);
    if (below(4)) return;
    for (int i = 0; i < CURSORS; i++) {
        struct reader *r = &readers[i];
        while (r->cursor && blocks(r) && !r->ended && stats_of(r->cursor).lag_bytes) peek_reader(r), advance_reader(r);
    }
    assert_true(woken(&f->writer));
    assert_false(full(f));
}

static void change_policy(struct reader *r)
{
    r->policy = (enum cursor_policy)below(4);
    r->exact &= blocks(r);
    r->strict &= r->policy != CURSOR_ERROR;
    cursor_set_policy(r->cursor, r->policy);
}

static void change_disk(struct fixture *f)
{
    switch (below(6)) {
    case 0: env_sim_capacity(f->sim, 1 + (int64_t)below(40000)); break;
    case 1: env_sim_fail(f->sim, SIM_WRITE, 1 + (int)below(5), 1 + (int)below(3)); break;
    case 2: env_sim_fail(f->sim, SIM_OPEN, 1 + (int)below(5), 1); break;
    case 3: env_sim_fail(f->sim, SIM_READ, 1 + (int)below(5), 1); break;
    case 4: env_sim_advance(f->sim, 1500000); break;
    default: env_sim_capacity(f->sim, 0); break;
    }
}

static void one_history(uint64_t seed)
{
    random_state = seed;
    struct fixture f;
    int64_t memory = (int64_t)below(30) * BATCH + 1, disk = below(3) ? 1 + (int64_t)below(200000) : 0;
    struct reader readers[CURSORS] = {{0}};
    short_only = seed % 4 == 0;
    begin_at(&f, memory, disk, seed);
    env_sim_short_reads(f.sim, seed % 3 == 0);
    bool may_break = seed % 2;
    for (int step = 0; step < 400; step++) {
        struct reader *r = &readers[below(CURSORS)];
        switch (below(16)) {
        case 0: append_epoch(&f, (uint64_t)step); break;
        case 1: log_append(f.log, (struct log_entry){.kind = LOG_WATERMARK, .ts = step}); break;
        case 2:
            if (r->cursor && !below(3)) close_reader(r);
            break;
        case 3:
            if (r->cursor && !below(3)) change_policy(r);
            break;
        case 4:
            if (may_break && !below(3)) change_disk(&f);
            break;
        case 5:
            if (!below(10)) log_retain(f.log, (int64_t)below(40) * BATCH);
            break;
        case 6:
        case 7:
        case 8:
            if (r->cursor) peek_reader(r);
            break;
        case 9:
        case 10:
            if (r->cursor) advance_reader(r);
            break;
        default:
            check_full(&f, readers, memory);
            for (int i = 0; i < CURSORS; i++) check_reader(&f, &readers[i]);
            append(&f, 1 + (uint32_t)below(below(10) ? 5 : 900));
            if (!r->cursor && !below(4)) open_reader(&f, r);
            break;
        }
        for (int i = 0; i < CURSORS; i++) check_reader(&f, &readers[i]);
        assert_true(log_stats_of(&f).disk_bytes <= disk);
    }
    env_sim_fail(f.sim, SIM_READ, 0, 0);
    for (int i = 0; i < CURSORS; i++) {
        struct reader *r = &readers[i];
        while (r->cursor && !r->ended && stats_of(r->cursor).lag_bytes) peek_reader(r), advance_reader(r);
        check_reader(&f, r);
        if (r->cursor) close_reader(r);
    }
    end(&f);
}

static void counters_are_exact_in_any_history(void **state)
{
    (void)state;
    uint64_t seeds = getenv("SEEDS") ? strtoull(getenv("SEEDS"), NULL, 10) : 300;
    for (uint64_t seed = 1; seed <= seeds; seed++) one_history(seed);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

#define THREAD_BATCHES 20000

struct thread_reader {
    struct cursor *cursor;
    struct gate gate;
    struct thread *thread;
    uint64_t rows, dropped;
    bool slow;
};

static void read_all(void *p)
{
    struct thread_reader *r = p;
    for (;;) {
        struct log_entry e;
        struct err why;
        gate_prepare(&r->gate);
        enum status st = cursor_peek(r->cursor, &e, &why);
        if (st == ST_WAIT) {
            gate_park(&r->gate, -1);
            continue;
        }
        gate_cancel(&r->gate);
        ok(st);
        if (e.kind == LOG_BATCH) {
            struct cursor_stats s;
            cursor_stats(r->cursor, &s);
            check_batch(e.b);
            r->rows += e.b->rows;
            if (r->slow && r->rows % 256 == 0) usleep(200);
        }
        cursor_advance(r->cursor);
        if (e.kind == LOG_END) break;
    }
    struct cursor_stats s;
    cursor_stats(r->cursor, &s);
    r->dropped = s.dropped_rows;
    cursor_close(r->cursor);
}

static void one_writer_and_three_readers(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_log_XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct writer w;
    writer_init(&w);
    struct pool *pool = pool_new(NULL);
    struct log_config cfg = {.env = env_real(), .schema = &schema, .memory_bytes = 64 << 10, .dir = dir, .disk_bytes = 4 << 20};
    struct log *l = log_new(&cfg, &w.task);
    struct thread_reader r[3] = {{.slow = true}, {0}, {.slow = true}};
    const enum cursor_policy policy[] = {CURSOR_SPILL, CURSOR_BLOCK, CURSOR_DROP_OLDEST};
    for (int i = 0; i < 3; i++) {
        ok(gate_init(&r[i].gate, false, &err));
        r[i].cursor = cursor_new(l, policy[i], (struct log_reader){.gate = &r[i].gate});
        ok(env_thread(env_real(), "reader", read_all, &r[i], &r[i].thread, &err));
    }
    uint64_t id = 0;
    for (int i = 0; i < THREAD_BATCHES; i++) {
        for (;;) {
            gate_prepare(&w.gate);
            if (!log_full(l, &err)) break;
            gate_park(&w.gate, -1);
        }
        gate_cancel(&w.gate);
        uint32_t rows = 1 + (uint32_t)(i % 8);
        log_append(l, (struct log_entry){.kind = LOG_BATCH, .b = make_batch(pool, id, rows)});
        id += rows;
    }
    log_append(l, (struct log_entry){.kind = LOG_END, .complete = true});
    for (int i = 0; i < 3; i++) {
        thread_join(r[i].thread);
        assert_int_equal(r[i].rows + r[i].dropped, id);
        if (i < 2) assert_int_equal(r[i].dropped, 0);
        cursor_free(r[i].cursor);
        gate_done(&r[i].gate);
    }
    struct log_stats s;
    log_stats(l, &s);
    assert_true(s.spilled_bytes > 0);
    log_free(l);
    pool_close(pool);
    gate_done(&w.gate);
    ok(rmdir(dir)); /* nothing was left in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocking_cursor_makes_the_writer_wait),
        cmocka_unit_test(the_oldest_unread_is_dropped),
        cmocka_unit_test(what_is_in_hand_is_not_dropped),
        cmocka_unit_test(each_cursor_has_its_own_policy),
        cmocka_unit_test(spilled_rows_come_back_in_order),
        cmocka_unit_test(the_share_of_the_disk_bounds_it),
        cmocka_unit_test(a_full_disk_blocks_until_there_is_room),
        cmocka_unit_test(a_segment_that_cannot_be_made_or_read),
        cmocka_unit_test(any_damage_is_found),
        cmocka_unit_test(damage_costs_one_stripe),
        cmocka_unit_test(an_epoch_is_found_while_it_is_retained),
        cmocka_unit_test(what_is_forgotten_is_not_found),
        cmocka_unit_test(limits_may_rise),
        cmocka_unit_test(retention_stops_nobody),
        cmocka_unit_test(a_batch_that_pins_much_is_copied),
        cmocka_unit_test(a_warm_log_does_not_allocate),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(sums_are_those_of_the_standard),
        cmocka_unit_test(counters_are_exact_in_any_history),
        cmocka_unit_test(one_writer_and_three_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
