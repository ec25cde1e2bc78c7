/* The file source and sink. SPDX-License-Identifier: Apache-2.0 */
#include "connector_harness.h"

#include "base/env_sim.h"
#include "base/fault.h"
#include "base/text.h"

#include <fcntl.h>

static char *folder;
static struct harness h;

static int setup(void **state)
{
    (void)state;
    folder = harness_folder();
    harness_init(&h, "a BIGINT");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm_all();
    harness_done(&h);
    remove_folder(folder);
    return 0;
}

/* Polls to the end (or ST_WAIT); returns the bytes. */
static enum status read_all(struct source *s, int split, struct text *out)
{
    struct payload p;
    enum status st;
    while (!(st = s->class->poll(s, split, 0, &p, &h.err))) {
        for (int i = 0; i < 64; i++) assert_int_equal(p.p[p.n + (size_t)i], 0);
        memset(p.p - PAYLOAD_HEADROOM, 'x', PAYLOAD_HEADROOM);
        text_put(out, p.p, p.n);
    }
    return st;
}

static void reads_whole_files(void **state)
{
    (void)state;
    static char big[700001];
    for (size_t i = 0; i < sizeof big - 1; i++) big[i] = (char)('a' + i * 7 % 26);
    write_file(in_folder(folder, "big.csv"), big, "w");
    write_file(in_folder(folder, "empty.csv"), "", "w");
    struct source *s = harness_source(&h, "file", "path", in_folder(folder, "big.csv"), NULL);
    assert_non_null(s);
    assert_int_equal(s->class->splits(s), 1);
    assert_int_equal(s->class->split_size(s, 0), sizeof big - 1);
    assert_string_equal(s->class->guess_format(s->ctx.options), "csv");
    assert_true(s->class->bounded(s->class, s->ctx.options));
    struct text t = {0};
    ok(s->class->seek(s, 0, NULL, &h.err));
    assert_int_equal(read_all(s, 0, &t), ST_DONE);
    assert_int_equal(read_all(s, 0, &t), ST_DONE);
    assert_int_equal(t.n, sizeof big - 1);
    assert_memory_equal(t.p, big, t.n);
    harness_source_end(s);

    text_clear(&t);
    s = harness_source(&h, "file", "path", in_folder(folder, "empty.csv"), NULL);
    assert_int_equal(read_all(s, 0, &t), ST_DONE);
    assert_int_equal(t.n, 0);
    text_done(&t);
    harness_source_end(s);
}

static void expands_patterns_in_order(void **state)
{
    (void)state;
    write_file(in_folder(folder, "b.csv"), "2", "w");
    write_file(in_folder(folder, "a.csv"), "1", "w");
    write_file(in_folder(folder, "c.txt"), "3", "w");
    write_file(in_folder(folder, "[x].csv"), "4", "w");
    assert_int_equal(mkdir(in_folder(folder, "d.csv"), 0700), 0);
    struct source *s = harness_source(&h, "file", "path", in_folder(folder, "?.csv"), NULL);
    assert_non_null(s);
    assert_int_equal(s->class->splits(s), 2);
    assert_string_equal(s->class->split_name(s, 0), in_folder(folder, "a.csv"));
    assert_string_equal(s->class->split_name(s, 1), in_folder(folder, "b.csv"));
    harness_source_end(s);
    s = harness_source(&h, "file", "path", in_folder(folder, "[x].csv"), NULL);
    assert_int_equal(s->class->splits(s), 1);
    harness_source_end(s);
    assert_null(harness_source(&h, "file", "path", in_folder(folder, "*.json"), NULL));
    assert_int_equal(h.err.code, E_NOT_FOUND);
}

static void refuses_what_it_cannot_read(void **state)
{
    (void)state;
    write_file(in_folder(folder, "trades.csv"), "1", "w");
    assert_int_equal(mkfifo(in_folder(folder, "pipe"), 0600), 0);
    assert_null(harness_source(&h, "file", NULL));
    assert_null(harness_source(&h, "file", "path", in_folder(folder, "trade.csv"), NULL));
    assert_int_equal(h.err.code, E_NOT_FOUND);
    assert_string_equal(h.err.hint, "did you mean \"trades.csv\"?");
    assert_null(harness_source(&h, "file", "path", folder, NULL));
    assert_int_equal(h.err.code, E_READ);
    assert_non_null(strstr(h.err.text, "is a folder"));
    assert_null(harness_source(&h, "file", "path", in_folder(folder, "pipe"), NULL));
    assert_int_equal(h.err.code, E_READ);
    assert_null(harness_source(&h, "file", "path", "s3://bucket/x.csv", NULL));
    assert_int_equal(h.err.code, E_CONNECTOR_OPTION);
    assert_null(harness_source(&h, "file", "path", "no/such/folder/x.csv", NULL));
    assert_int_equal(h.err.code, E_NOT_FOUND);
    assert_non_null(strstr(h.err.hint, "folder"));
}

static void follows_what_is_appended(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "log.csv");
    write_file(path, "one\n", "w");
    struct source *s = harness_source(&h, "file", "path", path, "follow", "true", NULL);
    assert_false(s->class->bounded(s->class, s->ctx.options));
    struct text t = {0};
    assert_int_equal(read_all(s, 0, &t), ST_WAIT);
    struct payload p;
    assert_int_equal(s->class->poll(s, 0, 5000, &p, &h.err), ST_WAIT);
    int64_t wake_us;
    assert_int_equal(s->class->wait(s, 0, NULL, 0, &wake_us), 0);
    assert_int_equal(wake_us, 105000);
    write_file(path, "two\n", "a");
    assert_int_equal(read_all(s, 0, &t), ST_WAIT);
    assert_string_equal(text_cstr(&t), "one\ntwo\n");
    write_file(path, "1\n", "w");
    assert_int_equal(read_all(s, 0, &t), E_READ);
    assert_non_null(strstr(h.err.text, "shrank"));
    text_done(&t);
    harness_source_end(s);
}

/* Rows cut off before they were read are missing all the same. */
static void notices_a_cut_ahead(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "cut.csv");
    static char big[700001];
    memset(big, '1', sizeof big - 1);
    write_file(path, big, "w");
    struct source *s = harness_source(&h, "file", "path", path, NULL);
    struct payload p;
    struct text t = {0};
    ok(s->class->poll(s, 0, 0, &p, &h.err));
    assert_true(p.n < 600000);
    assert_int_equal(truncate(path, 600000), 0);
    assert_int_equal(read_all(s, 0, &t), E_READ);
    assert_non_null(strstr(h.err.text, "shrank"));
    text_done(&t);
    harness_source_end(s);
}

static void survives_files_that_vanish(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "x.csv");
    write_file(path, "1\n", "w");
    struct source *s = harness_source(&h, "file", "path", path, NULL);
    struct text t = {0};
    unlink(path);
    assert_int_equal(read_all(s, 0, &t), E_NOT_FOUND);
    text_done(&t);
    harness_source_end(s);
}

static struct position mark_at(struct source *s, int64_t offset)
{
    struct position p = {.offset = offset};
    s->class->mark(s, 0, &p);
    return p;
}

static void goes_on_from_a_position(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "x.csv");
    static char big[10001];
    for (size_t i = 0; i < sizeof big - 1; i++) big[i] = (char)('a' + i * 7 % 26);
    write_file(path, big, "w");
    struct source *s = harness_source(&h, "file", "path", path, NULL);
    struct text t = {0};
    for (int64_t at = 0; at <= 10000; at += 2500) {
        struct position p = mark_at(s, at);
        text_clear(&t);
        ok(s->class->seek(s, 0, &p, &h.err));
        assert_int_equal(read_all(s, 0, &t), ST_DONE);
        assert_int_equal(t.n, 10000 - at);
        assert_memory_equal(t.p, big + at, t.n);
    }
    struct position p = mark_at(s, 7000);
    harness_source_end(s);

    write_file(path, "zz", "a"); /* longer is fine */
    s = harness_source(&h, "file", "path", path, NULL);
    ok(s->class->seek(s, 0, &p, &h.err));
    harness_source_end(s);

    big[6999] = '#';
    write_file(path, big, "w");
    s = harness_source(&h, "file", "path", path, NULL);
    assert_int_equal(s->class->seek(s, 0, &p, &h.err), E_READ);
    assert_non_null(strstr(h.err.text, "changed"));
    harness_source_end(s);

    write_file(path, "short", "w");
    s = harness_source(&h, "file", "path", path, NULL);
    assert_int_equal(s->class->seek(s, 0, &p, &h.err), E_READ);
    char head[3];
    size_t got;
    ok(s->class->head(s, 0, head, 3, &got, &h.err));
    assert_int_equal(got, 3);
    assert_memory_equal(head, "sho", 3);
    harness_source_end(s);
    text_done(&t);
}

/* A proof taken from the bytes at hand is the one taken from the file. */
static void proofs_do_not_depend_on_the_buffer(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "x.csv");
    static char big[600001];
    for (size_t i = 0; i < sizeof big - 1; i++) big[i] = (char)('a' + i % 1009 % 26);
    write_file(path, big, "w");
    struct source *a = harness_source(&h, "file", "path", path, NULL), *b = harness_source(&h, "file", "path", path, NULL);
    struct payload p;
    int64_t at = 0;
    while (!a->class->poll(a, 0, 0, &p, &h.err)) {
        at += (int64_t)p.n;
        for (int64_t offset = at - 262000 > 0 ? at - 262000 : 0; offset <= at; offset += 1999) {
            struct position x = mark_at(a, offset), y = mark_at(b, offset);
            assert_true(x.n && x.n == y.n);
            assert_memory_equal(x.extra, y.extra, x.n);
        }
    }
    harness_source_end(a);
    harness_source_end(b);
}

static int open_files(void)
{
    int n = 0;
    for (int fd = 3; fd < 256; fd++) n += !fcntl(fd, F_GETFD);
    return n;
}

/* Only what is being read is open. */
static void many_files_do_not_stay_open(void **state)
{
    (void)state;
    int before = open_files(), n;
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.csv", i);
        write_file(in_folder(folder, name), "1\n2\n", "w");
    }
    struct source *s = harness_source(&h, "file", "path", in_folder(folder, "*.csv"), NULL);
    n = s->class->splits(s);
    assert_int_equal(n, 50);
    struct text t = {0};
    for (int i = 0; i < n; i++) {
        struct position p = {.offset = 2};
        char head[8];
        size_t got;
        ok(s->class->seek(s, i, &p, &h.err));
        ok(s->class->head(s, i, head, sizeof head, &got, &h.err));
        assert_int_equal(read_all(s, i, &t), ST_DONE);
        s->class->mark(s, i, &p);
        assert_true(p.n);
        assert_int_equal(open_files(), before);
    }
    assert_int_equal(t.n, 100);
    text_done(&t);
    harness_source_end(s);
}

static void gives_read_errors(void **state)
{
    (void)state;
#ifdef LAM_FAULTS
    const char *path = in_folder(folder, "x.csv");
    write_file(path, "1\n", "w");
    struct source *s = harness_source(&h, "file", "path", path, NULL);
    fault_arm("file.read", FAULT_ERROR, 1, 1);
    struct text t = {0};
    assert_int_equal(read_all(s, 0, &t), E_EXEC);
    assert_int_equal(read_all(s, 0, &t), ST_DONE);
    assert_string_equal(text_cstr(&t), "1\n");
    text_done(&t);
    harness_source_end(s);
    fault_arm("file.open", FAULT_ERROR, 1, 1);
    assert_null(harness_source(&h, "file", "path", path, NULL));
#endif
}

/* ---- sink --------------------------------------------------------------------------------------------- */

static enum status put(struct sink *s, const char *text)
{
    size_t accepted;
    enum status st = s->class->write_bytes(s, text, strlen(text), &accepted, &h.err);
    if (!st) assert_int_equal(accepted, strlen(text));
    return st;
}

static int files_in_folder(void)
{
    char command[300];
    snprintf(command, sizeof command, "exit $(ls -A '%s' | wc -l)", folder);
    return WEXITSTATUS(system(command));
}

static void replaces_when_complete(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "out.csv");
    write_file(path, "old\n", "w");
    bool fresh = false;
    struct sink *s = harness_sink(&h, &fresh, "file", "path", path, NULL);
    assert_true(fresh);
    ok(put(s, "a\n"));
    ok(s->class->flush(s, &h.err));
    ok(put(s, "b\n"));
    assert_string_equal(read_file(path), "old\n");
    ok(harness_sink_end(&h, s, true));
    assert_string_equal(read_file(path), "a\nb\n");
    assert_int_equal(files_in_folder(), 1);

    s = harness_sink(&h, &fresh, "file", "path", path, NULL);
    ok(put(s, "c\n"));
    ok(harness_sink_end(&h, s, false));
    assert_string_equal(read_file(path), "a\nb\n");
    assert_int_equal(files_in_folder(), 1);
}

static void two_runs_do_not_share_a_temporary(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "out.csv");
    struct sink *a = harness_sink(&h, NULL, "file", "path", path, NULL);
    struct sink *b = harness_sink(&h, NULL, "file", "path", path, NULL);
    ok(put(a, "a\n"));
    ok(put(b, "b\n"));
    ok(harness_sink_end(&h, a, true));
    ok(harness_sink_end(&h, b, true));
    assert_string_equal(read_file(path), "b\n");
}

static void appends(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "out.csv");
    bool fresh;
    struct sink *s = harness_sink(&h, &fresh, "file", "path", path, "mode", "append", NULL);
    assert_true(fresh);
    ok(put(s, "a\n"));
    ok(s->class->flush(s, &h.err));
    assert_string_equal(read_file(path), "a\n");
    ok(harness_sink_end(&h, s, false));
    write_file(path, "torn", "a");
    s = harness_sink(&h, &fresh, "file", "path", path, "mode", "append", NULL);
    assert_false(fresh);
    ok(put(s, "b\n"));
    ok(harness_sink_end(&h, s, true));
    assert_string_equal(read_file(path), "a\ntorn\nb\n");
}

static void leaves_existing_files_alone(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "out.csv");
    struct sink *s = harness_sink(&h, NULL, "file", "path", path, "mode", "error", NULL);
    ok(put(s, "a\n"));
    write_file(path, "mine\n", "w");
    assert_int_equal(harness_sink_end(&h, s, true), E_EXISTS);
    assert_string_equal(read_file(path), "mine\n");
    assert_int_equal(files_in_folder(), 1);
    assert_null(harness_sink(&h, NULL, "file", "path", path, "mode", "error", NULL));
    assert_int_equal(h.err.code, E_EXISTS);
    assert_null(harness_sink(&h, NULL, "file", "path", folder, NULL));
    assert_int_equal(h.err.code, E_WRITE);
    assert_null(harness_sink(&h, NULL, "file", "path", in_folder(folder, "no/x.csv"), NULL));
    assert_int_equal(h.err.code, E_NOT_FOUND);
    assert_null(harness_sink(&h, NULL, "file", "path", path, "mode", "replce", NULL));
}

static void writes_devices_straight(void **state)
{
    (void)state;
    struct sink *s = harness_sink(&h, NULL, "file", "path", "/dev/null", NULL);
    assert_non_null(s);
    ok(put(s, "a\n"));
    ok(harness_sink_end(&h, s, true));
    struct stat st;
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    if (access("/dev/full", W_OK)) return;
    s = harness_sink(&h, NULL, "file", "path", "/dev/full", NULL);
    ok(put(s, "a\n"));
    assert_int_equal(harness_sink_end(&h, s, true), E_WRITE);
    assert_non_null(strstr(h.err.hint, "disk is full"));
}

static void large_writes_keep_their_order(void **state)
{
    (void)state;
    const char *path = in_folder(folder, "out.csv");
    static char big[300001];
    memset(big, 'x', sizeof big - 1);
    struct sink *s = harness_sink(&h, NULL, "file", "path", path, NULL);
    ok(put(s, "first\n"));
    ok(put(s, big));
    ok(put(s, "last\n"));
    ok(harness_sink_end(&h, s, true));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 300000 + 11);
    FILE *f = fopen(path, "r");
    char line[8];
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "first\n");
    fseek(f, -5, SEEK_END);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "last\n");
    fclose(f);
}

static void a_failed_end_leaves_the_old_file(void **state)
{
    (void)state;
#ifdef LAM_FAULTS
    static const char *const points[] = {"file.write", "file.sync", "file.rename"};
    const char *path = in_folder(folder, "out.csv");
    for (size_t i = 0; i < countof(points); i++) {
        write_file(path, "old\n", "w");
        struct sink *s = harness_sink(&h, NULL, "file", "path", path, NULL);
        ok(put(s, "new\n"));
        fault_arm(points[i], FAULT_ERROR, 1, 1);
        assert_int_equal(harness_sink_end(&h, s, true), E_EXEC);
        fault_disarm_all();
        assert_string_equal(read_file(path), "old\n");
        assert_int_equal(files_in_folder(), 1);
    }
#endif
}

/* Power goes at each step of a replacement in turn: the name shows the old file or the whole new one. */
static void a_cut_anywhere_leaves_old_or_new(void **state)
{
    (void)state;
    int old = 0, new = 0;
    for (uint64_t seed = 0; seed < 10; seed++)
        for (uint64_t cut = 1;; cut++) {
            struct env_sim *sim = env_sim_new(seed);
            h.env = env_sim_env(sim);
            struct sink *s = harness_sink(&h, NULL, "file", "path", "out.csv", NULL);
            ok(put(s, "old\n"));
            ok(harness_sink_end(&h, s, true));
            env_sim_crash_at(sim, env_sim_steps(sim) + cut);
            s = harness_sink(&h, NULL, "file", "path", "out.csv", NULL);
            enum status st = s ? put(s, "the new one\n") : h.err.code;
            if (s) st = harness_sink_end(&h, s, true);
            bool crashed = env_sim_crashed(sim);
            assert_int_equal(!st, !crashed);
            env_sim_restart(sim);
            struct source *in = harness_source(&h, "file", "path", "out.csv", NULL);
            assert_non_null(in);
            struct text t = {0};
            assert_int_equal(read_all(in, 0, &t), ST_DONE);
            bool is_new = !strcmp(text_cstr(&t), "the new one\n");
            if (!is_new) assert_string_equal(text_cstr(&t), "old\n");
            if (!crashed) assert_true(is_new);
            old += !is_new, new += is_new;
            text_done(&t);
            harness_source_end(in);
            env_sim_free(sim);
            if (!crashed) break;
        }
    h.env = env_real();
    assert_true(old > 10 && new > 10);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    struct env_sim *sim = env_sim_new(1);
    h.env = env_sim_env(sim);
    env_sim_capacity(sim, 100);
    struct sink *s = harness_sink(&h, NULL, "file", "path", "out.csv", NULL);
    for (int i = 0; i < 30; i++) ok(put(s, "12345\n"));
    assert_int_equal(harness_sink_end(&h, s, true), E_WRITE);
    assert_non_null(strstr(h.err.hint, "disk is full"));
    struct file_info info;
    assert_int_equal(env_stat(h.env, "out.csv", &info, NULL), E_NOT_FOUND);
    assert_int_equal(env_stat(h.env, "out.csv.tmp-1", &info, NULL), E_NOT_FOUND);
    h.env = env_real();
    env_sim_free(sim);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(reads_whole_files),
        T(expands_patterns_in_order),
        T(refuses_what_it_cannot_read),
        T(follows_what_is_appended),
        T(notices_a_cut_ahead),
        T(survives_files_that_vanish),
        T(goes_on_from_a_position),
        T(proofs_do_not_depend_on_the_buffer),
        T(many_files_do_not_stay_open),
        T(gives_read_errors),
        T(replaces_when_complete),
        T(two_runs_do_not_share_a_temporary),
        T(appends),
        T(leaves_existing_files_alone),
        T(writes_devices_straight),
        T(large_writes_keep_their_order),
        T(a_failed_end_leaves_the_old_file),
        T(a_cut_anywhere_leaves_old_or_new),
        T(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
