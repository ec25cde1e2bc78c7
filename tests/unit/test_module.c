/* Classes from outside: what is refused, what is made of their results, positions between two batches of one array,
 * waking. SPDX-License-Identifier: Apache-2.0 */
#include "connector_harness.h"

#include "connector/module.h"

/* ---- a toy: a source of bytes and one of columns, and a sink that gives back what it is told ----------------------
 */

static int next_result, opened, closed;
static int64_t memo_seen; /* as the last instance of a sink found it */
static size_t next_accepted;

static int toy_open(struct lam_io *io, struct lam_error *err)
{
    (void)io, (void)err;
    opened++;
    return next_result;
}
static int toy_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    (void)split, (void)err;
    *(int64_t *)io->self = at ? at->offset : 0;
    return LAM_IO_OK;
}
static int toy_bytes(struct lam_io *io, int split, int64_t now, struct lam_bytes *out, struct lam_error *err)
{
    (void)split, (void)now;
    io->host->put(out, "a line\n", next_result == LAM_IO_WAIT ? 0 : 7);
    if (next_result == LAM_IO_READ) return (io->host->fail)(err, LAM_IO_READ, "no luck with %s", io->name);
    return next_result;
}

#define ROWS 5000 /* in two arrays of 3000 and 2000 */
struct toy_array {
    int64_t numbers[3000];
    const void *buffers[2], *none[1];
    struct ArrowArray child, *list[1];
};
static void child_release(struct ArrowArray *a)
{
    a->release = NULL;
}
static void toy_release(struct ArrowArray *a)
{
    free(a->private_data);
    a->release = NULL;
}
static int toy_columns(struct lam_io *io, int split, int64_t now, struct lam_columns *out, struct lam_error *err)
{
    (void)split, (void)now, (void)err;
    int64_t *at = io->self, n = *at < 3000 ? 3000 - *at : ROWS - *at;
    if (!n) return LAM_IO_DONE;
    struct toy_array *x = calloc(1, sizeof *x);
    for (int64_t i = 0; i < n; i++) x->numbers[i] = *at + i;
    x->buffers[1] = x->numbers;
    x->list[0] = &x->child;
    x->child = (struct ArrowArray){.length = n, .n_buffers = 2, .buffers = x->buffers, .release = child_release};
    out->array = (struct ArrowArray){.length = n,
                                     .n_buffers = 1,
                                     .buffers = x->none,
                                     .n_children = 1,
                                     .children = x->list,
                                     .release = toy_release,
                                     .private_data = x};
    *at += n;
    out->after.offset = *at;
    return LAM_IO_OK;
}
static void toy_close(struct lam_io *io)
{
    (void)io, closed++;
}

static int sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh, (void)err;
    memo_seen = *(int64_t *)io->memo;
    opened++;
    return next_result;
}
static int sink_write(struct lam_io *io, const char *p, size_t n, size_t *accepted, struct lam_error *err)
{
    (void)io, (void)p, (void)n, (void)err;
    *accepted = next_accepted;
    return next_result;
}
static int toy_sink_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)io, (void)complete, (void)err;
    closed++;
    return LAM_IO_OK;
}

static const struct lam_option options[] = {
    {.name = "host.name", .type = LAM_OPTION_TEXT, .dflt = "here", .sentence = "Where it is."},
    {.name = "wait", .type = LAM_OPTION_DURATION, .dflt = "5 s", .sentence = "How long."},
};
#define SOURCE(...)                                                                                                    \
    {                                                                                                                  \
        .size = sizeof(struct lam_source_class), .sentence = "A toy.", .instance_size = 16, .options = options,        \
        .n_options = 2, .option_size = sizeof options[0], .open = toy_open, .close = toy_close, __VA_ARGS__            \
    }
#define MODULE(...)                                                                                                    \
    {                                                                                                                  \
        .size = sizeof(struct lam_module), .abi = LAM_CONNECTOR_ABI, .name = "toys", .version = "7", __VA_ARGS__       \
    }
static const struct lam_source_class bytes_class =
    SOURCE(.name = "toy.bytes", .aliases = (const char *const[]){"toy-alias", NULL}, .payload = LAM_BYTES,
           .poll_bytes = toy_bytes);
static const struct lam_source_class columns_class =
    SOURCE(.name = "toy.columns", .payload = LAM_COLUMNS, .replayable = true, .seek = toy_seek,
           .poll_columns = toy_columns);
static const struct lam_sink_class sink_class = {.size = sizeof sink_class,
                                                 .name = "toy",
                                                 .sentence = "A toy.",
                                                 .payload = LAM_BYTES,
                                                 .guarantee = LAM_AT_LEAST_ONCE,
                                                 .open = sink_open,
                                                 .write_bytes = sink_write,
                                                 .close = toy_sink_close};
static const struct lam_source_class *const sources[] = {&bytes_class, &columns_class, NULL};
static const struct lam_sink_class *const sinks[] = {&sink_class, NULL};
static const struct lam_module toys = MODULE(.sources = sources, .sinks = sinks);

static struct harness h;

static int setup(void **state)
{
    (void)state;
    harness_init(&h, "k BIGINT");
    next_result = opened = closed = 0;
    return lam_register_connector(&toys);
}
static int teardown(void **state)
{
    (void)state;
    harness_done(&h);
    return 0;
}

/* ---- registering --------------------------------------------------------------------------------------------------
 */

static void classes_are_found(void **state)
{
    (void)state;
    assert_int_equal(lam_register_connector(&toys), LAM_OK); /* again is no error */
    const struct source_class *c = source_find("TOY_BYTES");
    assert_non_null(c);
    assert_ptr_equal(source_find("toy_alias"), c);
    assert_string_equal(c->module->name, "toys");
    assert_string_equal(c->module->version, "7");
    assert_null(c->module->path);
    assert_string_equal(c->options[0].name, "host.name");
    assert_ptr_not_equal(c->options[0].name, options[0].name); /* a copy */
    assert_non_null(sink_find("toy"));
    assert_null(sink_find("toy.bytes"));
}

static void refused(const struct lam_module *m, const char *why)
{
    int before = 0, after = 0;
    while (source_class_at(before)) before++;
    assert_int_not_equal(lam_register_connector(m), LAM_OK);
    if (!strstr(lam_errmsg(NULL), why)) fail_msg("\"%s\" does not say \"%s\"", lam_errmsg(NULL), why);
    while (source_class_at(after)) after++;
    assert_int_equal(before, after); /* all or none */
}

static void refused_class(struct lam_source_class c, const char *why)
{
    static const struct lam_source_class good =
        SOURCE(.name = "toy.good", .payload = LAM_BYTES, .poll_bytes = toy_bytes);
    const struct lam_source_class *list[] = {&good, &c, NULL};
    struct lam_module m = MODULE(.sources = list);
    refused(&m, why);
    assert_null(source_find("toy.good"));
}

static void refused_option(struct lam_option o, const char *why)
{
    struct lam_option list[] = {o, {.name = "second", .type = LAM_OPTION_INT, .sentence = "A number."}};
    struct lam_source_class c = SOURCE(.name = "toy.bad", .payload = LAM_BYTES, .poll_bytes = toy_bytes);
    c.options = list;
    refused_class(c, why);
}

static void what_is_not_whole_is_refused(void **state)
{
    (void)state;
    struct lam_module m = MODULE(.sources = sources);
    m.abi = 99;
    refused(&m, "version 99 of the connector interface");
    m = (struct lam_module)MODULE();
    m.version = NULL;
    refused(&m, "no name or no version");
    m.size = 3;
    refused(&m, "size of its lam_module");
#define BYTES .payload = LAM_BYTES, .poll_bytes = toy_bytes
    refused_class((struct lam_source_class)SOURCE(.name = "Toy", BYTES), "lower case");
    refused_class((struct lam_source_class)SOURCE(.name = NULL, BYTES), "lower case");
    refused_class((struct lam_source_class)SOURCE(.name = "toy.bad", .payload = LAM_COLUMNS), "lacks poll_columns");
    refused_class((struct lam_source_class)SOURCE(.name = "toy.bad", .payload = 7), "lacks a payload");
    refused_class((struct lam_source_class)SOURCE(.name = "toy.bad", BYTES, .replayable = true), "lacks seek");
    refused_class((struct lam_source_class)SOURCE(.name = "toy.bad", BYTES, .blocking = true), "lacks cancel");
    refused_class((struct lam_source_class)SOURCE(.name = "file", BYTES), "which the program has already");
    refused_class((struct lam_source_class)SOURCE(.name = "toy.bytes", BYTES), "which toys has already");
    refused_class(
        (struct lam_source_class)SOURCE(.name = "toy.bad", .aliases = (const char *const[]){"datagen", NULL}, BYTES),
        "already");
    struct lam_source_class c = SOURCE(.name = "toy.bad", BYTES);
    c.sentence = "no full stop";
    refused_class(c, "one sentence");
    refused_option((struct lam_option){.name = "n", .type = LAM_OPTION_INT, .dflt = "x", .sentence = "A."},
                   "a default that does not fit");
    refused_option((struct lam_option){.name = "n", .type = 77, .sentence = "A."}, "a type that does not exist");
    refused_option((struct lam_option){.name = "n", .type = LAM_OPTION_ENUM, .values = "a||b", .sentence = "A."},
                   "no choices");
    refused_option((struct lam_option){.name = "a b", .type = LAM_OPTION_INT, .sentence = "A."}, "lower case");
    refused_option((struct lam_option){.name = "n", .type = LAM_OPTION_INT}, "what it is for");
}

static int toy_rows(struct lam_io *io, const struct lam_rows *rows, int64_t *accepted, struct lam_error *err)
{
    (void)io, (void)err;
    *accepted = rows->array->length - rows->from;
    return LAM_IO_OK;
}
static int flush_result;
static int64_t next_row;
static int64_t toy_poisoned(struct lam_io *io)
{
    (void)io;
    return next_row;
}
static int toy_flush(struct lam_io *io, struct lam_error *err)
{
    ++*(int64_t *)io->memo;
    return flush_result ? (io->host->fail)(err, flush_result, "no luck with %s", io->name) : LAM_IO_OK;
}
static void toy_cancel(struct lam_io *io)
{
    (void)io;
}
static int toy_commit(struct lam_io *io, uint64_t epoch, struct lam_error *err)
{
    (void)epoch;
    return toy_flush(io, err);
}
#define JUDGE(...)                                                                                                     \
    (struct lam_sink_class)                                                                                            \
    {                                                                                                                  \
        .size = sizeof(struct lam_sink_class), .sentence = "A toy.", .payload = LAM_COLUMNS, .flush_us = 1000,         \
        .guarantee = LAM_EXACTLY_ONCE, .open = sink_open, .write_columns = toy_rows, .flush = toy_flush,               \
        .commit = toy_commit, .close = toy_sink_close, __VA_ARGS__                                                     \
    }

static void refused_sink(struct lam_sink_class c, const char *why)
{
    const struct lam_sink_class *list[] = {&c, NULL};
    struct lam_module m = MODULE(.sinks = list);
    refused(&m, why);
}

/* Rows that a flush refuses: who says so must be able to tell which, and tell one that it was given. */
static void flushes_may_find_poison(void **state)
{
    (void)state;
    refused_sink(JUDGE(.name = "toy.bad", .poisoned = toy_poisoned), "lacks cancel, though it has poisoned");
    struct lam_sink_class bytes = JUDGE(.name = "toy.bad", .poisoned = toy_poisoned, .cancel = toy_cancel);
    bytes.payload = LAM_BYTES, bytes.write_bytes = sink_write;
    refused_sink(bytes, "lacks rows");
    static struct lam_sink_class judge, mute;
    judge = JUDGE(.name = "toy.judge", .poisoned = toy_poisoned, .cancel = toy_cancel);
    mute = JUDGE(.name = "toy.mute");
    static const struct lam_sink_class *const list[] = {&judge, &mute, NULL};
    static const struct lam_module m = MODULE(.sinks = list);
    assert_int_equal(lam_register_connector(&m), LAM_OK);
    next_result = LAM_IO_OK;
    struct sink *k = harness_sink(&h, NULL, "toy.judge", NULL);
    flush_result = LAM_IO_POISON, next_row = 5;
    assert_int_equal(k->class->flush(k, &h.err), ST_POISON);
    assert_int_equal(k->class->poisoned(k), 5);
    assert_int_equal(k->class->commit(k, 1, &h.err), ST_POISON);
    next_row = -5;
    assert_int_equal(k->class->poisoned(k), UINT64_MAX);
    harness_sink_end(&h, k, false);
    k = harness_sink(&h, NULL, "toy.mute", NULL);
    assert_int_equal(k->class->flush(k, &h.err), E_EXEC);
    assert_non_null(strstr(h.err.text, "which it must not"));
    harness_sink_end(&h, k, false);
}

/* The database does not believe all that it is told: the sink stops, and nothing is lost. */
static void poison_that_was_not_given(void **state)
{
    (void)state;
    struct lam_db *db;
    struct lam_session *s;
    struct lam_config cfg = {.size = sizeof cfg, .threads = 0};
    assert_int_equal(lam_open(NULL, &cfg, &db), LAM_OK);
    assert_int_equal(lam_session_open(db, &s), LAM_OK);
    flush_result = LAM_IO_POISON, next_row = 7;
    assert_int_equal(lam_execute(s, "CREATE SOURCE g (v BIGINT) FROM GENERATOR (rows = 3); CREATE SINK z FROM g INTO \"toy.judge\"", NULL), LAM_OK);
    assert_int_equal(lam_wait(db, s, 20000000), E_EXEC);
    assert_non_null(strstr(lam_errmsg(s), "says that a row is poison which it was not given"));
    assert_int_equal(memo_seen, 0);
    flush_result = LAM_IO_OK;
    assert_int_equal(lam_execute(s, "ALTER SINK z RETRY", NULL), LAM_OK);
    assert_int_equal(lam_wait(db, s, 20000000), LAM_OK);
    assert_int_equal(memo_seen, 1); /* the second instance found what the first had left */
    lam_session_close(s);
    assert_int_equal(lam_close(db, 10000000), LAM_OK);
}

static void an_older_class_is_shorter(void **state)
{
    (void)state;
    static struct lam_sink_class old;
    old = sink_class;
    old.name = "toy.old";
    old.size = offsetof(struct lam_sink_class, close) + sizeof old.close;
    static const struct lam_sink_class *const list[] = {&old, NULL};
    static const struct lam_module m = MODULE(.sinks = list);
    assert_int_equal(lam_register_connector(&m), LAM_OK);
    assert_non_null(sink_find("toy.old"));
}

/* ---- results ------------------------------------------------------------------------------------------------------
 */

static void results_are_checked(void **state)
{
    (void)state;
    struct payload p = {0};
    struct source *s = harness_source(&h, "toy.bytes", NULL);
    const int flows[][2] = {{LAM_IO_OK, ST_OK},     {LAM_IO_DONE, ST_DONE}, {LAM_IO_WAIT, ST_WAIT},
                            {LAM_IO_RETRY, E_EXEC}, {-77, E_EXEC},          {123456, E_EXEC}};
    for (size_t i = 0; i < countof(flows); i++) {
        p = (struct payload){0};
        next_result = flows[i][0];
        assert_int_equal(s->class->poll(s, 0, 0, &p, &h.err), flows[i][1]);
        if (flows[i][1] == ST_OK || flows[i][1] == ST_DONE) {
            assert_int_equal(p.n, 7);
            assert_memory_equal(p.p, "a line\n\0\0", 9);
        }
    }
    next_result = LAM_IO_READ;
    assert_int_equal(s->class->poll(s, 0, 0, &p, &h.err), E_READ);
    assert_string_equal(h.err.text, "no luck with t");
    next_result = LAM_IO_CONNECT; /* without a word */
    assert_int_equal(s->class->poll(s, 0, 0, &p, &h.err), E_CONNECT);
    assert_non_null(strstr(h.err.text, "without saying why"));
    assert_int_equal(s->class->seek(s, 0, &(struct position){.offset = 7}, &h.err), E_READ); /* not replayable */
    harness_source_end(s);
    assert_int_equal(closed, 1);

    next_result = LAM_IO_OK;
    struct sink *k = harness_sink(&h, NULL, "toy", NULL);
    size_t took;
    next_result = LAM_IO_OK, next_accepted = 9;
    assert_int_equal(k->class->write_bytes(k, "x", 1, &took, &h.err), E_EXEC);
    assert_int_equal(took, 0);
    next_result = LAM_IO_POISON, next_accepted = 1;
    assert_int_equal(k->class->write_bytes(k, "x", 1, &took, &h.err), ST_POISON);
    assert_int_equal(took, 1);
    assert_int_equal(k->class->commit(k, 1, &h.err), E_UNSUPPORTED);
    harness_sink_end(&h, k, true);
    assert_int_equal(closed, 2);
    next_result = LAM_IO_CONNECT;
    assert_null(harness_source(&h, "toy.bytes", NULL)); /* closed all the same */
    assert_int_equal(closed, 3);
    assert_int_equal(opened, 3);
}

/* From the position behind any batch the rest follows. */
static void positions_lie_between_batches(void **state)
{
    (void)state;
    struct position places[8];
    int64_t behind[8], next = 0;
    int n = 0;
    struct source *s = harness_source(&h, "toy.columns", NULL);
    for (struct payload p = {0}; !s->class->poll(s, 0, 0, &p, &h.err); p = (struct payload){0}) {
        for (uint32_t i = 0; i < p.b->rows; i++) assert_int_equal(((int64_t *)p.b->cols[0].data)[i], next++);
        batch_unref(p.b);
        places[n] = p.after;
        behind[n++] = next;
    }
    assert_int_equal(next, ROWS);
    assert_int_equal(n, 3); /* 2048, 952, 2000 */
    for (int i = 0; i < n; i++) {
        ok(s->class->seek(s, 0, &places[i], &h.err));
        next = behind[i];
        for (struct payload p = {0}; !s->class->poll(s, 0, 0, &p, &h.err); p = (struct payload){0}) {
            for (uint32_t r = 0; r < p.b->rows; r++) assert_int_equal(((int64_t *)p.b->cols[0].data)[r], next++);
            batch_unref(p.b);
        }
        assert_int_equal(next, ROWS);
    }
    assert_int_equal(s->class->seek(s, 0, &(struct position){.offset = 1, .n = 3}, &h.err), E_READ);
    harness_source_end(s);
}

/* ---- what a class is given ----------------------------------------------------------------------------------------
 */

static char logged[200];
static void take_log(void *ctx, int level, const char *message)
{
    (void)ctx;
    snprintf(logged, sizeof logged, "%d %s", level, message);
}

static int asking_open(struct lam_io *io, struct lam_error *err)
{
    const struct lam_host *t = io->host;
    assert_true(t->size == sizeof *t && io->size == sizeof *io);
    assert_string_equal(t->version, lam_version());
    assert_string_equal(t->option_text(io->options, "host.name"), "there");
    assert_int_equal(t->option_int(io->options, "wait"), 250000);
    assert_null(t->option_text(io->options, "no.such"));
    assert_true(t->option_double(io->options, "no.such") == 0 && !t->option_set(io->options, "no.such"));
    assert_true(t->option_set(io->options, "wait"));
    assert_string_equal(io->schema->children[0]->name, "k");
    assert_true(t->now(io) > 0 && t->wall(io) > 1600000000000000 && t->random(io) != t->random(io));
    char *p = t->alloc(8);
    assert_true(!p[0] && !p[7]);
    p = t->resize(p, 8, 100000);
    assert_int_equal(p[7], 0);
    t->account(io, 100000);
    t->account(io, -100000);
    (t->free)(p);
    t->wake(io); /* nobody drives it: no harm */
    t->log(io, 9, "%s says %d", io->name, 7);
    (t->fail)(err, LAM_IO_CONNECT, "%s", "this");
    t->hint(err, "do %s", "that");
    return LAM_IO_CONNECT;
}

static void classes_can_ask_the_host(void **state)
{
    (void)state;
    static const struct lam_source_class asking = {.size = sizeof asking,
                                                   .name = "toy.asking",
                                                   .sentence = "A toy.",
                                                   .payload = LAM_BYTES,
                                                   .options = options,
                                                   .n_options = 2,
                                                   .option_size = sizeof options[0],
                                                   .open = asking_open,
                                                   .poll_bytes = toy_bytes,
                                                   .close = toy_close};
    static const struct lam_source_class *const list[] = {&asking, NULL};
    static const struct lam_module m = MODULE(.sources = list);
    assert_int_equal(lam_register_connector(&m), LAM_OK);
    struct lam_config cfg = {.size = sizeof cfg, .threads = 1, .log = take_log};
    struct lam_db *db;
    struct lam_session *s;
    assert_int_equal(lam_open(NULL, &cfg, &db), LAM_OK);
    assert_int_equal(lam_session_open(db, &s), LAM_OK);
    assert_int_equal(
        lam_execute(
            s,
            "CREATE SOURCE a (k BIGINT) FROM TOY_ASKING (host_name = 'there', wait = '250 ms', format = 'json');"
            "CREATE SINK b FROM a INTO BLACKHOLE",
            NULL),
        LAM_IO_CONNECT);
    assert_string_equal(lam_errmsg(s), "[LAM-5001] source \"a\": this");
    assert_string_equal(lam_errhint(s), "do that");
    assert_string_equal(logged, "3 toy.asking \"a\": a says 7");
    lam_session_close(s);
    assert_int_equal(lam_close(db, -1), LAM_OK);
}

static void modules_come_from_their_folder(void **state)
{
    (void)state;
    struct lam_config cfg = {.size = sizeof cfg, .modules = "/usr/lib"};
    struct lam_db *db;
    assert_int_equal(lam_open(NULL, &cfg, &db), LAM_OK);
    assert_int_equal(lam_load_module(db, "/bin/sh"), E_MODULE);
    assert_non_null(strstr(lam_errmsg(NULL), "lies outside of /usr/lib"));
    assert_int_equal(lam_load_module(db, "nothing"), E_MODULE);
    assert_string_equal(lam_errmsg(NULL), "[LAM-1109] there is no module 'nothing' in /usr/lib");
    assert_int_equal(lam_close(db, -1), LAM_OK);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(classes_are_found),
                                       T(what_is_not_whole_is_refused),
                                       T(an_older_class_is_shorter),
                                       T(results_are_checked),
                                       T(flushes_may_find_poison),
                                       T(poison_that_was_not_given),
                                       T(positions_lie_between_batches),
                                       T(classes_can_ask_the_host),
                                       T(modules_come_from_their_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
