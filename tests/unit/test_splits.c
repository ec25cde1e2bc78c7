/* Sources that get more splits while they run: each is read once, whole, by one part, however differently the instances of the
 * parts find them. SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"

#include <laminar_connector.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- a toy: splits of ROWS records each, of which more are there with every few polls ------------------------------ */

enum { FIRST = 3, MOST = 40, ROWS = 50 };

static _Atomic int there; /* splits that an instance may find */
static _Atomic int instances, readers_of[MOST], left;
static _Atomic bool at_beginning;

struct growing {
    int number;      /* of the instance */
    int n, of[MOST]; /* which split is its first, second ... */
    bool has[MOST];
    int at[MOST];
    int polls;
    char name[MOST][16];
};

/* Each instance finds those that are there in an order of its own. */
static void look(struct growing *g)
{
    int now = atomic_load(&there);
    for (int i = 0; i < now; i++) {
        int k = g->number % 2 ? now - 1 - i : i;
        if (g->has[k]) continue;
        g->has[k] = true;
        snprintf(g->name[g->n], sizeof g->name[0], "s%d", k);
        g->of[g->n++] = k;
    }
}

static int grow_open(struct lam_io *io, struct lam_error *err)
{
    struct growing *g = io->self;
    (void)err;
    g->number = atomic_fetch_add(&instances, 1);
    return LAM_IO_OK;
}
static int grow_splits(struct lam_io *io)
{
    struct growing *g = io->self;
    look(g);
    return g->n;
}
static const char *grow_split_name(struct lam_io *io, int split) { return ((struct growing *)io->self)->name[split]; }
static int grow_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    struct growing *g = io->self;
    (void)err;
    atomic_fetch_add(&readers_of[g->of[split]], 1);
    if (at) atomic_store(&at_beginning, false);
    return LAM_IO_OK;
}

static int grow_poll(struct lam_io *io, int split, int64_t now, struct lam_records *out, struct lam_error *err)
{
    (void)now, (void)err;
    struct growing *g = io->self;
    int k = g->of[split], more = atomic_load(&there);
    if (++g->polls % 5 == 0 && more < MOST) {
        atomic_compare_exchange_strong(&there, &more, more + 1);
        io->host->wake(io);
    }
    for (int i = 0; i < 7 && g->at[k] < ROWS; i++) {
        char text[64];
        struct lam_position after = {.offset = g->at[k]};
        io->host->record(out, text, (size_t)snprintf(text, sizeof text, "{\"s\":%d,\"v\":%d}", k, g->at[k]), &after);
        if (++g->at[k] == ROWS) atomic_fetch_sub(&left, 1);
    }
    if (out->n) return LAM_IO_OK;
    return atomic_load(&left) ? LAM_IO_WAIT : LAM_IO_DONE;
}

/* As long as other splits are read: the test is over when the last one is. */
static int grow_wait(struct lam_io *io, int split, struct pollfd *fds, int max, int64_t *at)
{
    (void)split, (void)fds, (void)max;
    *at = io->host->now(io) + 100;
    return 0;
}
static void grow_close(struct lam_io *io) { (void)io; }
static bool grow_bounded(const struct lam_host *host, const struct lam_options *o) { return (void)host, (void)o, true; }

static const struct lam_source_class growing = {.size = sizeof growing,
                                                .name = "toy.growing",
                                                .sentence = "A toy.",
                                                .payload = LAM_RECORDS,
                                                .replayable = true,
                                                .instance_size = sizeof(struct growing),
                                                .default_format = "json",
                                                .bounded = grow_bounded,
                                                .open = grow_open,
                                                .splits = grow_splits,
                                                .split_name = grow_split_name,
                                                .seek = grow_seek,
                                                .poll_records = grow_poll,
                                                .wait = grow_wait,
                                                .close = grow_close};

static int nameless_splits(struct lam_io *io) { return (void)io, 2; }

static int register_source(const struct lam_source_class *c, const char *name)
{
    static const struct lam_source_class *list[2][2];
    static struct lam_module modules[2];
    static int n;
    list[n][0] = c;
    modules[n] = (struct lam_module){.size = sizeof *modules, .abi = LAM_CONNECTOR_ABI, .name = name, .version = "1", .sources = list[n]};
    return lam_register_connector(&modules[n++]);
}

/* ---- tests -------------------------------------------------------------------------------------------------- */

static void each_split_is_read_once(void **state)
{
    (void)state;
    assert_int_equal(register_source(&growing, "growing"), 0);
    for (int threads = 0; threads < 5; threads += threads ? 3 : 1) {
        atomic_store(&there, FIRST);
        atomic_store(&instances, 0);
        atomic_store(&left, MOST);
        atomic_store(&at_beginning, true);
        for (int i = 0; i < MOST; i++) atomic_store(&readers_of[i], 0);
        struct lam_db *db = open_db(threads);
        struct lam_session *s = open_session(db);
        struct ArrowArrayStream rows = {0};
        struct ArrowArray a = {0};
        run(s, "CREATE SOURCE g (s BIGINT, v BIGINT) FROM \"toy.growing\" ()");
        if (lam_execute(s, "SELECT count(*), count(DISTINCT s * 1000 + v) FROM g", &rows)) fail_msg("%s", lam_errdetail(s, "test"));
        assert_int_equal(rows.get_next(&rows, &a), 0);
        assert_int_equal(cell(&a, 0, 0), MOST * ROWS);
        assert_int_equal(cell(&a, 1, 0), MOST * ROWS);
        a.release(&a);
        rows.release(&rows);
        assert_int_equal(atomic_load(&there), MOST);
        assert_true(atomic_load(&at_beginning));
        for (int i = 0; i < MOST; i++) assert_int_equal(atomic_load(&readers_of[i]), 1);
        assert_int_equal(atomic_load(&instances), threads == 4 ? 3 : 1);
        close_both(db, s);
    }
}

static void splits_have_names(void **state)
{
    (void)state;
    static struct lam_source_class c;
    c = growing;
    c.name = "toy.nameless";
    c.splits = nameless_splits;
    c.split_name = NULL;
    assert_int_not_equal(register_source(&c, "nameless"), 0);
    assert_non_null(strstr(lam_errmsg(NULL), "split_name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_split_is_read_once), cmocka_unit_test(splits_have_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
