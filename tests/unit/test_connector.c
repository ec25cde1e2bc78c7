/* What every source and sink class keeps to, whatever it connects to: one suite run over all of them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connector_harness.h"

#include "base/text.h"
#include "connector/mock.h"
#include "expr/cell.h"

#include <fcntl.h>
#include <signal.h>

#define COLUMNS "id BIGINT, name VARCHAR"
static char *folder;
static struct harness h;
static int saved_fds[2];

static int setup(void **state)
{
    (void)state;
    folder = harness_folder();
    harness_init(&h, COLUMNS);
    saved_fds[0] = dup(0);
    saved_fds[1] = dup(1);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        dup2(saved_fds[i], i);
        close(saved_fds[i]);
    }
    mock_reset();
    harness_done(&h);
    remove_folder(folder);
    return 0;
}

/* ---- sources ------------------------------------------------------------------------------------------ */

#define LINES "1,one\n2,two\n3,three\n4,four\n5,five\n"

/* An instance with something to read. */
static struct source *open_source(const char *name)
{
    if (!strcmp(name, "file")) {
        write_file(in_folder(folder, "in.csv"), LINES, "w");
        return harness_source(&h, name, "path", in_folder(folder, "in.csv"), NULL);
    }
    if (!strcmp(name, "stdin")) {
        write_file(in_folder(folder, "in.csv"), LINES, "w");
        int fd = open(in_folder(folder, "in.csv"), O_RDONLY);
        dup2(fd, 0);
        close(fd);
        return harness_source(&h, name, NULL);
    }
    if (!strcmp(name, "generator")) return harness_source(&h, name, "rows", "7000", NULL);
    return harness_source(&h, name, "rows", "1,one;2,two;3,three;4,\\N;5,five", "batch", "2", "script", "wait 1 ms", NULL);
}

static void put_rows(const struct batch *b, struct text *out)
{
    for (uint32_t r = 0; r < b->rows; r++)
        for (int c = 0; c < h.schema->n; c++) {
            struct type t = h.schema->fields[c].type;
            if (!column_null(&b->cols[c], r)) cell_put(t, (char *)b->cols[c].data + type_width(t) * r, out);
            text_putc(out, c + 1 < h.schema->n ? ',' : '\n');
        }
}

/* Reads to the end; `places` gets the positions after each payload, `starts` where its bytes begin in out. */
static int drain_source(struct source *s, struct text *out, struct position *places, size_t *ends, int max)
{
    int n = 0;
    for (;;) {
        struct payload p = {0};
        int64_t wake;
        enum status st = s->class->poll(s, 0, env_now_us(h.env), &p, &h.err);
        if (st == ST_DONE) return n;
        if (st == ST_WAIT) {
            s->class->wait(s, 0, NULL, 0, &wake);
            assert_true(wake != INT64_MAX);
            continue;
        }
        ok(st);
        if (s->class->payload == PAYLOAD_BYTES)
            text_put(out, p.p, p.n);
        else
            put_rows(p.b, out);
        batch_unref(p.b);
        if (places && n < max) {
            places[n] = p.after;
            ends[n] = out->n;
        }
        n++;
    }
}

static void a_source_reads_to_its_end(const char *name)
{
    struct source *s = open_source(name);
    assert_non_null(s);
    assert_int_equal(s->class->splits(s), 1);
    assert_non_null(s->class->split_name(s, 0));
    ok(s->class->seek(s, 0, NULL, &h.err));
    struct text out = {0};
    assert_true(drain_source(s, &out, NULL, NULL, 0) > 0);
    if (s->class->payload == PAYLOAD_BYTES) assert_string_equal(text_cstr(&out), LINES);
    struct payload p;
    assert_int_equal(s->class->poll(s, 0, env_now_us(h.env), &p, &h.err), ST_DONE); /* for ever */
    s->class->ack(s, 1, 0, &(struct position){.offset = 0});
    text_done(&out);
    harness_source_end(s);
}

static void a_source_replays_from_any_position(const char *name)
{
    struct source *s = open_source(name);
    struct text all = {0}, rest = {0};
    struct position places[16];
    size_t ends[16];
    int n = drain_source(s, &all, places, ends, 16);
    bool bytes = s->class->payload == PAYLOAD_BYTES;
    if (bytes) { /* any byte is a place */
        n = 16;
        for (int i = 0; i < n; i++) {
            ends[i] = all.n * (size_t)i / 15;
            places[i] = (struct position){.offset = (int64_t)ends[i]};
            s->class->mark(s, 0, &places[i]);
        }
    }
    bool replayable = s->class->replayable;
    harness_source_end(s);
    for (int i = 0; i < n; i++) {
        s = open_source(name);
        enum status st = s->class->seek(s, 0, &places[i], &h.err);
        if (!replayable && places[i].offset) {
            assert_int_equal(st, E_READ);
        } else {
            ok(st);
            text_clear(&rest);
            drain_source(s, &rest, NULL, NULL, 0);
            assert_int_equal(rest.n, all.n - ends[i]);
            if (rest.n) assert_memory_equal(rest.p, all.p + ends[i], rest.n);
        }
        harness_source_end(s);
    }
    text_done(&all);
    text_done(&rest);
}

static void a_source_may_be_closed_at_any_time(const char *name)
{
    harness_source_end(open_source(name));
    struct source *s = open_source(name);
    struct payload p = {0};
    s->class->poll(s, 0, env_now_us(h.env), &p, &h.err);
    s->class->cancel(s);
    batch_unref(p.b);
    s->class->close(s);
    s->class->close(s); /* twice is once */
    source_free(s);
}

static void options_are_checked(const struct option_spec *specs, bool is_source, const char *name)
{
    for (const struct option_spec *o = specs; o->name; o++) {
        size_t n = strlen(o->sentence);
        assert_true(n > 10 && o->sentence[n - 1] == '.');
        for (const char *p = o->name; *p; p++) assert_true(*p == '.' || (*p >= 'a' && *p <= 'z'));
    }
    if (is_source)
        assert_null(harness_source(&h, name, "no.such.option", "1", NULL));
    else
        assert_null(harness_sink(&h, NULL, name, "no.such.option", "1", NULL));
    assert_int_equal(h.err.code, E_OPTION);
}

static void all_sources(void **state)
{
    (void)state;
    const struct source_class *c;
    int n = 0;
    for (; (c = source_class_at(n)); n++) {
        assert_ptr_equal(source_find(c->name), c);
        options_are_checked(c->options, true, c->name);
        a_source_reads_to_its_end(c->name);
        a_source_replays_from_any_position(c->name);
        a_source_may_be_closed_at_any_time(c->name);
    }
    assert_true(n >= 4);
    assert_null(source_find("no such connector"));
    assert_ptr_equal(source_find("FILE"), source_find("file"));
}

/* ---- sinks -------------------------------------------------------------------------------------------- */

static struct sink *open_sink(const char *name)
{
    if (!strcmp(name, "file")) return harness_sink(&h, NULL, name, "path", in_folder(folder, "out.csv"), NULL);
    if (!strcmp(name, "stdout")) {
        int fd = open(in_folder(folder, "out.csv"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 1);
        close(fd);
    }
    return harness_sink(&h, NULL, name, NULL);
}

static char *delivered(const char *name)
{
    static char text[4096];
    if (!strncmp(name, "mock", 4)) {
        char *rows = mock_rows("t");
        snprintf(text, sizeof text, "%s", rows);
        mem_free(rows);
        for (char *p = text; *p; p++)
            if (*p == '|') *p = ',';
        return text;
    }
    char *file = read_file(in_folder(folder, "out.csv"));
    return file ? file : (char *)LINES; /* blackhole: nothing to see */
}

static struct batch *five_rows(struct pool *pool)
{
    static const char *const names[] = {"one", "two", "three", "four", "five"};
    struct batch *b = batch_for(pool, h.schema, 5);
    for (uint32_t i = 0; i < 5; i++) {
        ((int64_t *)b->cols[0].data)[i] = i + 1;
        ((struct str *)b->cols[1].data)[i] = str_view(names[i], (uint32_t)strlen(names[i]));
    }
    b->rows = 5;
    return b;
}

static void deliver_all(struct sink *s)
{
    if (s->class->payload == PAYLOAD_BYTES) {
        for (size_t n = strlen(LINES), at = 0, took; at < n; at += took)
            ok(s->class->write_bytes(s, LINES + at, n - at, &took, &h.err));
        return;
    }
    struct pool *pool = pool_new(NULL);
    struct batch *b = five_rows(pool);
    for (uint32_t at = 0, took; at < b->rows; at += took) ok(s->class->write_rows(s, b, at, &took, &h.err));
    batch_unref(b);
    pool_close(pool);
}

static void a_sink_delivers(const char *name)
{
    struct sink *s = open_sink(name);
    assert_non_null(s);
    deliver_all(s);
    ok(s->class->flush(s, &h.err));
    ok(harness_sink_end(&h, s, true));
    assert_string_equal(delivered(name), LINES);
    mock_reset();
    unlink(in_folder(folder, "out.csv"));
}

static void a_sink_refuses_the_other_payload(const char *name)
{
    struct sink *s = open_sink(name);
    size_t n;
    uint32_t rows;
    enum status st = s->class->payload == PAYLOAD_BYTES ? s->class->write_rows(s, NULL, 0, &rows, &h.err)
                                                        : s->class->write_bytes(s, "x", 1, &n, &h.err);
    assert_int_equal(st, E_INTERNAL);
    if (s->class->guarantee != EXACTLY_ONCE) assert_int_equal(s->class->commit(s, 1, &h.err), E_UNSUPPORTED);
    ok(s->class->abort(s, &h.err));
    s->class->cancel(s);
    harness_sink_end(&h, s, false);
    mock_reset();
}

static void a_sink_may_be_closed_twice(const char *name)
{
    struct sink *s = open_sink(name);
    int64_t wake = 0;
    struct pollfd fds[4];
    assert_true(s->class->wait(s, fds, 4, &wake) <= 4);
    s->class->close(s, false, NULL);
    s->class->close(s, false, NULL);
    sink_free(s);
    mock_reset();
}

static void all_sinks(void **state)
{
    (void)state;
    const struct sink_class *c;
    int n = 0;
    for (; (c = sink_class_at(n)); n++) {
        assert_ptr_equal(sink_find(c->name), c);
        options_are_checked(c->options, false, c->name);
        a_sink_delivers(c->name);
        a_sink_refuses_the_other_payload(c->name);
        a_sink_may_be_closed_twice(c->name);
    }
    assert_true(n >= 4);
    assert_null(sink_find("no such connector"));
}

/* ---- what only some can show ---------------------------------------------------------------------------- */

static void stdin_waits_for_input(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[0], 0);
    close(pipes[0]);
    struct source *s = harness_source(&h, "stdin", NULL);
    assert_null(harness_source(&h, "stdin", NULL));
    assert_int_equal(h.err.code, E_MISUSE);
    struct payload p;
    assert_int_equal(s->class->poll(s, 0, 0, &p, &h.err), ST_WAIT);
    struct pollfd fd;
    int64_t wake;
    assert_int_equal(s->class->wait(s, 0, &fd, 1, &wake), 1);
    assert_int_equal(fd.fd, 0);
    assert_int_equal(write(pipes[1], "1,one\n", 6), 6);
    ok(s->class->poll(s, 0, 0, &p, &h.err));
    assert_int_equal(p.n, 6);
    assert_int_equal(s->class->poll(s, 0, 0, &p, &h.err), ST_WAIT);
    close(pipes[1]);
    assert_int_equal(s->class->poll(s, 0, 0, &p, &h.err), ST_DONE);
    harness_source_end(s);
}

static void stdout_never_waits(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], 1);
    close(pipes[1]);
    struct sink *s = harness_sink(&h, NULL, "stdout", NULL);
    static char big[1 << 20];
    size_t took, sum = 0;
    assert_int_equal(s->class->write_bytes(s, big, sizeof big, &took, &h.err), ST_WAIT);
    assert_in_range(took, 4096, 65536);
    sum = took;
    while (sum) sum -= (size_t)read(pipes[0], big, sum);
    ok(s->class->write_bytes(s, "x", 1, &took, &h.err));
    close(pipes[0]);
    assert_int_equal(s->class->write_bytes(s, "x", 1, &took, &h.err), ST_CLOSED);
    harness_sink_end(&h, s, false);
}

static void mocks_do_what_the_script_says(void **state)
{
    (void)state;
    struct sink *s = harness_sink(&h, NULL, "mock", "script",
                                  "fail write 1 retry; short write 2; fail write 3 poison; fail flush 1; fail write 5- closed",
                                  NULL);
    struct pool *pool = pool_new(NULL);
    struct batch *b = five_rows(pool);
    uint32_t took;
    assert_int_equal(s->class->write_rows(s, b, 0, &took, &h.err), ST_RETRY);
    assert_int_equal(took, 0);
    ok(s->class->write_rows(s, b, 0, &took, &h.err));
    assert_int_equal(took, 1);
    assert_int_equal(s->class->write_rows(s, b, 1, &took, &h.err), ST_POISON);
    assert_int_equal(took, 1);
    ok(s->class->write_rows(s, b, 3, &took, &h.err));
    assert_int_equal(took, 2);
    assert_int_equal(s->class->write_rows(s, b, 0, &took, &h.err), ST_CLOSED);
    assert_int_equal(s->class->write_rows(s, b, 0, &took, &h.err), ST_CLOSED);
    assert_int_equal(s->class->flush(s, &h.err), E_WRITE);
    ok(s->class->flush(s, &h.err));
    batch_unref(b);
    pool_close(pool);
    ok(harness_sink_end(&h, s, true));
    char *rows = mock_rows("t");
    assert_string_equal(rows, "1|one\n2|two\n4|four\n5|five\n");
    mem_free(rows);
    assert_int_equal(mock_calls("t", "write"), 6);
    assert_null(harness_sink(&h, NULL, "mock", "script", "fail right 3", NULL));
    assert_null(harness_sink(&h, NULL, "mock", "script", "fail open 2", NULL)); /* it is the second */
    assert_int_equal(h.err.code, E_READ);
}

static void a_mock_commits_with_its_marker(void **state)
{
    (void)state;
    struct sink *s = harness_sink(&h, NULL, "mock", "transactional", "true", "script", "fail commit 1", NULL);
    deliver_all(s);
    assert_int_equal(mock_count("t"), 0);
    assert_int_equal(s->class->commit(s, 7, &h.err), E_WRITE);
    assert_int_equal(mock_count("t"), 0);
    ok(s->class->commit(s, 7, &h.err));
    assert_int_equal(mock_count("t"), 5);
    deliver_all(s);
    harness_sink_end(&h, s, false);
    s = harness_sink(&h, NULL, "mock", "transactional", "true", NULL);
    ok(s->class->commit(s, 8, &h.err)); /* what was pending died with the connection */
    assert_int_equal(mock_count("t"), 5);
    assert_int_equal(mock_marker("t"), 8);
    harness_sink_end(&h, s, false);
}

static void cancel_later(void *p)
{
    struct sink *s = p;
    usleep(20000);
    s->class->cancel(s);
}

static void hanging_ends_by_cancel(void **state)
{
    (void)state;
    struct pool *pool = pool_new(NULL);
    struct batch *b = five_rows(pool);
    uint32_t took;
    struct sink *s = harness_sink(&h, NULL, "mock", "script", "hang write 1", NULL);
    assert_int_equal(s->class->write_rows(s, b, 0, &took, &h.err), ST_WAIT);
    assert_int_equal(s->class->write_rows(s, b, 0, &took, &h.err), ST_WAIT);
    s->class->cancel(s);
    assert_int_equal(s->class->write_rows(s, b, 0, &took, &h.err), E_CANCELED);
    harness_sink_end(&h, s, false);
    mock_reset();

    s = harness_sink(&h, NULL, "mock.blocking", "script", "hang write 1", NULL);
    struct thread *t;
    ok(env_thread(h.env, "cancel", cancel_later, s, &t, &h.err));
    assert_int_equal(s->class->write_rows(s, b, 0, &took, &h.err), E_CANCELED);
    thread_join(t);
    harness_sink_end(&h, s, false);
    batch_unref(b);
    pool_close(pool);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_sources),        T(all_sinks), T(stdin_waits_for_input), T(stdout_never_waits),
        T(mocks_do_what_the_script_says), T(a_mock_commits_with_its_marker), T(hanging_ends_by_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
