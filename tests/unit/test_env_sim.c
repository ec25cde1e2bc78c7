/* The simulated machine keeps the promises of POSIX and breaks the others. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/env_sim.h"
#include "base/text.h"

static struct err err;

static struct file *open_file(struct env_sim *s, const char *path, int flags)
{
    struct file *f = NULL;
    return env_open(env_sim_env(s), path, flags, &f, &err) ? NULL : f;
}

/* The content, or "-" when there is no such file. */
static const char *content(struct env_sim *s, const char *path)
{
    static char text[4096];
    size_t n;
    struct file *f = open_file(s, path, FILE_READ);
    if (!f) return "-";
    ok(file_pread(f, text, sizeof text - 1, 0, &n, &err));
    text[n] = 0;
    file_close(f, NULL);
    return text;
}

static void put(struct env_sim *s, const char *path, const char *text)
{
    struct file *f = open_file(s, path, FILE_WRITE | FILE_CREATE | FILE_TRUNC);
    assert_non_null(f);
    ok(file_write(f, text, strlen(text), &err));
    ok(file_sync(f, &err));
    ok(file_close(f, &err));
}

static void the_clock_stands_until_advanced(void **state)
{
    (void)state;
    struct env_sim *s = env_sim_new(1);
    struct env *e = env_sim_env(s);
    int64_t now = env_now_us(e), wall = env_wall_us(e);
    assert_int_equal(env_now_us(e), now);
    env_sim_advance(s, 250);
    assert_int_equal(env_now_us(e), now + 250);
    assert_int_equal(env_wall_us(e), wall + 250);
    struct thread *t;
    assert_int_equal(env_thread(e, "x", NULL, NULL, &t, &err), E_MISUSE);
    env_sim_free(s);
}

static void the_seed_decides(void **state)
{
    (void)state;
    struct env_sim *a = env_sim_new(7), *b = env_sim_new(7), *c = env_sim_new(8);
    uint64_t x = env_random(env_sim_env(a));
    assert_true(x == env_random(env_sim_env(b)));
    assert_true(x != env_random(env_sim_env(c)));
    env_sim_free(a), env_sim_free(b), env_sim_free(c);
}

static enum status count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(int *)ctx;
    return ST_OK;
}

static void files_behave(void **state)
{
    (void)state;
    struct env_sim *s = env_sim_new(1);
    struct env *e = env_sim_env(s);
    put(s, "a", "hello");
    assert_string_equal(content(s, "a"), "hello");
    assert_null(open_file(s, "none", FILE_READ));
    assert_int_equal(err.code, E_NOT_FOUND);
    assert_null(open_file(s, "dir/a", FILE_WRITE | FILE_CREATE));
    ok(e->ops->mkdir(e, "dir", &err));
    ok(e->ops->mkdir(e, "dir", &err));
    put(s, "dir/a", "x");
    assert_null(open_file(s, "a", FILE_WRITE | FILE_CREATE | FILE_EXCL));
    assert_null(open_file(s, "dir", FILE_WRITE));
    struct file_info info;
    ok(env_stat(e, "dir", &info, &err));
    assert_true(info.is_directory);
    ok(env_stat(e, "a", &info, &err));
    assert_true(info.is_regular && info.size == 5 && info.inode);
    ok(env_rename(e, "a", "dir/b", &err));
    int n = 0;
    ok(env_list(e, "dir", count_name, &n, &err));
    assert_int_equal(n, 2);
    struct file *f = open_file(s, "dir/b", FILE_READ | FILE_WRITE | FILE_APPEND);
    ok(file_write(f, " world", 6, &err));
    ok(env_unlink(e, "dir/b", &err));
    char text[32];
    size_t got;
    ok(file_read(f, text, 5, &got, &err)); /* append moved the place to the end */
    assert_int_equal(got, 0);
    ok(file_pread(f, text, 32, 3, &got, &err));
    assert_int_equal(got, 8);
    file_close(f, NULL);
    assert_string_equal(content(s, "dir/b"), "-");
    env_sim_free(s);
}

static void what_is_not_synced_may_be_lost(void **state)
{
    (void)state;
    bool seen[3] = {false}; /* none, part, all */
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct env_sim *s = env_sim_new(seed);
        put(s, "a", "synced");
        ok(env_sync_dir(env_sim_env(s), ".", &err));
        struct file *f = open_file(s, "a", FILE_WRITE | FILE_APPEND);
        ok(file_write(f, "+later", 6, &err));
        env_sim_restart(s);
        assert_int_equal(file_write(f, "x", 1, &err), E_MISUSE);
        file_close(f, NULL);
        const char *text = content(s, "a");
        assert_true(!strncmp(text, "synced", 6));
        assert_true(!strncmp(text + 6, "+later", strlen(text) - 6));
        seen[strlen(text) == 6 ? 0 : strlen(text) == 12 ? 2 : 1] = true;
        env_sim_free(s);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

static void names_need_their_folder_synced(void **state)
{
    (void)state;
    int news = 0, olds = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct env_sim *s = env_sim_new(seed);
        put(s, "a", "old");
        ok(env_sync_dir(env_sim_env(s), ".", &err));
        put(s, "a.tmp", "new");
        ok(env_rename(env_sim_env(s), "a.tmp", "a", &err));
        if (seed % 2) ok(env_sync_dir(env_sim_env(s), ".", &err));
        env_sim_restart(s);
        bool is_new = !strcmp(content(s, "a"), "new");
        assert_true(is_new || !strcmp(content(s, "a"), "old"));
        if (seed % 2) assert_true(is_new);
        news += is_new, olds += !is_new;
        env_sim_free(s);
    }
    assert_true(news > 20 && olds > 0);
}

static void a_failed_sync_is_not_mended_by_the_next(void **state)
{
    (void)state;
    struct env_sim *s = env_sim_new(3);
    put(s, "a", "1");
    ok(env_sync_dir(env_sim_env(s), ".", &err));
    struct file *f = open_file(s, "a", FILE_WRITE | FILE_APPEND);
    ok(file_write(f, "2", 1, &err));
    env_sim_fail(s, SIM_SYNC, 1, 1);
    assert_int_equal(file_sync(f, &err), E_WRITE);
    ok(file_sync(f, &err));
    assert_string_equal(content(s, "a"), "12");
    env_sim_restart(s);
    assert_string_equal(content(s, "a"), "1");
    file_close(f, NULL);
    env_sim_free(s);
}

static void faults_come_when_armed(void **state)
{
    (void)state;
    struct env_sim *s = env_sim_new(3);
    env_sim_fail(s, SIM_WRITE, 2, 2);
    struct file *f = open_file(s, "a", FILE_WRITE | FILE_CREATE);
    ok(file_write(f, "1", 1, &err));
    assert_int_equal(file_write(f, "2", 1, &err), E_WRITE);
    assert_int_equal(file_write(f, "3", 1, &err), E_WRITE);
    ok(file_write(f, "4", 1, &err));
    env_sim_capacity(s, 4);
    assert_int_equal(file_write(f, "567", 3, &err), E_WRITE);
    assert_non_null(strstr(err.hint, "disk is full"));
    assert_string_equal(content(s, "a"), "1456");
    file_close(f, NULL);
    env_sim_free(s);
}

/* The recipe of every replaced file, cut at every step and with several outcomes of each cut: old or new, never else. */
static enum status replace(struct env_sim *s)
{
    struct env *e = env_sim_env(s);
    struct file *f;
    TRY(env_open(e, "a.tmp", FILE_WRITE | FILE_CREATE | FILE_TRUNC, &f, &err));
    enum status st = file_write(f, "new content", 11, &err);
    if (!st) st = file_sync(f, &err);
    file_close(f, NULL);
    if (st) return st;
    TRY(env_rename(e, "a.tmp", "a", &err));
    return env_sync_dir(e, ".", &err);
}

static void replacing_survives_a_cut_anywhere(void **state)
{
    (void)state;
    int old = 0, new = 0;
    for (uint64_t seed = 0; seed < 20; seed++)
        for (uint64_t cut = 1;; cut++) {
            struct env_sim *s = env_sim_new(seed);
            put(s, "a", "old content");
            ok(env_sync_dir(env_sim_env(s), ".", &err));
            env_sim_crash_at(s, env_sim_steps(s) + cut);
            enum status st = replace(s);
            bool crashed = env_sim_crashed(s);
            assert_int_equal(!st, !crashed);
            env_sim_restart(s);
            bool is_new = !strcmp(content(s, "a"), "new content");
            assert_true(is_new || !strcmp(content(s, "a"), "old content"));
            if (!st) assert_true(is_new);
            old += !is_new, new += is_new;
            env_sim_free(s);
            if (!crashed) break;
        }
    assert_true(old > 20 && new > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_stands_until_advanced),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(files_behave),
        cmocka_unit_test(what_is_not_synced_may_be_lost),
        cmocka_unit_test(names_need_their_folder_synced),
        cmocka_unit_test(a_failed_sync_is_not_mended_by_the_next),
        cmocka_unit_test(faults_come_when_armed),
        cmocka_unit_test(replacing_survives_a_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
