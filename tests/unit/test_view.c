/* Views of a sink's rows (include/laminar_connector.h: view_new): what passes is the same whether it is read as it is written or kept
 * and read later, in the sink's format or another; whoever's filter it is, it is refused by name or costs what its text says.
 * SPDX-License-Identifier: Apache-2.0 */
#include "api_harness.h"

#include "connector/connector.h"

#include <laminar_connector.h>

/* ---- a sink that looks through one view, at most `at_once` rows at a time ------------------------------------ */

static const char *filter, *format;
static int64_t at_once;
static bool refused;
static char written[1 << 16], later[1 << 16], why[800];
static size_t nwritten, nlater;

struct looker {
    struct lam_view *view;
    struct lam_kept *kept[64];
    int nkept;
};

static int look_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh, (void)err;
    struct looker *l = io->self;
    l->view = io->host->view_new(io, filter, format, why, sizeof why);
    refused = !l->view;
    return LAM_IO_OK;
}

/* "row:value;" of each that passes; a whole one is told by its length. */
static void put(char *to, size_t *n, const struct lam_passed *p, const struct lam_values *offered)
{
    const struct lam_values *v = p->values ? p->values : offered;
    assert_true(!p->values || p->values->n == p->n);
    for (int64_t i = 0; i < p->n; i++) {
        int64_t at = p->values ? i : p->which[i];
        assert_true(!i || p->which[i] > p->which[i - 1]);
        if (v->whole)
            *n += (size_t)sprintf(to + *n, "%s", v->bytes[0] == (char)0xff && v->offsets[1] > 100 ? "+" : "?");
        else
            *n += (size_t)sprintf(to + *n, "%.*s;", (int)(v->offsets[at + 1] - v->offsets[at]), v->bytes + v->offsets[at]);
    }
    if (p->failed) *n += (size_t)sprintf(to + *n, "%ld failed: %.10s%s;", (long)p->failed, p->why, p->spent ? " spent" : "");
}

static int look_write(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows, int64_t *accepted, struct lam_error *err)
{
    (void)err;
    struct looker *l = io->self;
    int64_t n = v->n < at_once ? v->n : at_once;
    *accepted = n;
    if (refused) return LAM_IO_OK;
    put(written, &nwritten, io->host->view_read(l->view, rows, n, 0), v);
    for (int64_t i = 0, bytes = 0; i < n;) {
        int64_t k = io->host->rows_keep(io, &l->kept[l->nkept], rows, i, n - i, &bytes);
        assert_true(k <= n - i && bytes > 0);
        if (!k) l->nkept++;
        i += k;
    }
    return LAM_IO_OK;
}

static int look_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    (void)complete, (void)err;
    struct looker *l = io->self;
    for (int i = 0; i < 64; i++) {
        if (l->kept[i]) put(later, &nlater, io->host->kept_read(l->view, l->kept[i], 0), NULL);
        io->host->kept_free(l->kept[i]);
    }
    io->host->view_free(l->view);
    return LAM_IO_OK;
}

static const struct lam_metadata metadata[] = {{"_n", "BIGINT", "A number that is no part of the value."}};
static const struct lam_sink_class looker = {.size = sizeof looker,
                                             .name = "looker",
                                             .sentence = "Looks.",
                                             .payload = LAM_RECORDS,
                                             .guarantee = LAM_AT_MOST_ONCE,
                                             .changelog = true,
                                             .instance_size = sizeof(struct looker),
                                             .default_format = "json",
                                             .open = look_open,
                                             .write_records = look_write,
                                             .close = look_close,
                                             .metadata = metadata,
                                             .n_metadata = 1,
                                             .metadata_size = sizeof metadata[0],
                                             .whole = true};
static const struct lam_sink_class *const classes[] = {&looker, NULL};
static const struct lam_module lookers = {.size = sizeof lookers, .abi = LAM_CONNECTOR_ABI, .name = "lookers", .version = "1", .sinks = classes};

static int setup(void **state)
{
    (void)state;
    filter = format = NULL;
    at_once = 3;
    return lam_register_connector(&lookers);
}

/* Rows v = 1..n through the sink that sql makes, under a filter and a format; what passed, now and later. */
static void pass(const char *sql, int64_t n, const char *f, const char *as)
{
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    int64_t cells[2000];
    filter = f, format = as;
    nwritten = nlater = 0;
    written[0] = later[0] = why[0] = 0;
    run(s, "CREATE SOURCE s (v BIGINT)");
    run(s, sql);
    for (int64_t i = 0; i < n; i++) cells[i] = i + 1;
    assert_int_equal(push(db, "s", "v:l", cells, n, -1), LAM_OK);
    lam_push_end(db, "s");
    assert_int_equal(lam_wait(db, s, LONG_TIME), LAM_OK);
    close_both(db, s);
}

#define SINK "CREATE SINK o FROM (SELECT v, 'key' AS t, v * 10 AS _n FROM s) INTO looker"

static void rows_pass(void **state)
{
    (void)state;
    pass(SINK, 5, "v % 2 = 1", NULL);
    assert_string_equal(written, "{\"v\":1,\"t\":\"key\"};{\"v\":3,\"t\":\"key\"};{\"v\":5,\"t\":\"key\"};");
    assert_string_equal(later, written);
    pass(SINK, 5, "_n > 35 AND t LIKE 'k%'", "csv"); /* by metadata too */
    assert_string_equal(written, "4,key;5,key;");
    assert_string_equal(later, written);
    pass(SINK, 3, NULL, "tsv");
    assert_string_equal(written, "1\tkey;2\tkey;3\tkey;");
    pass(SINK, 5, "v > 100", NULL);
    assert_string_equal(written, "");
    pass("CREATE SINK o FROM (SELECT v, 'a' AS t FROM s) INTO looker (format = 'csv', delimiter = '|')", 2, "v = 2", NULL);
    assert_string_equal(written, "2|a;");
    assert_string_equal(later, "2|a;"); /* what is kept is written as the sink's options say */
}

static void many_rows(void **state)
{
    (void)state;
    at_once = 1000;
    pass(SINK, 2000, "v % 499 = 0", "csv");
    assert_string_equal(written, "499,key;998,key;1497,key;1996,key;");
    assert_string_equal(later, written);
}

static void whole_values(void **state)
{
    (void)state;
    pass(SINK, 5, "v <> 4", "arrow_ipc");
    assert_string_equal(written, "++++");
    pass("CREATE SINK o FROM s INTO looker (format = 'arrow_ipc')", 3, "v <> 2", NULL);
    assert_string_equal(written, "++");
    assert_string_equal(later, "++");
}

/* v = 7, 8, 9, the second taken back, in the sink's format, which is JSON. */
static void changes_are_marked(void **state)
{
    (void)state;
    static const int8_t weights[] = {1, -1, 1};
    struct arena *a = arena_new();
    struct pool *pool = pool_new(NULL);
    struct account account;
    struct schema *s = schema_new(a, 1);
    s->fields[0] = (struct field){.name = "v", .type = TYPE(T_INT64)};
    struct batch *b = batch_for(pool, s, 3);
    for (int i = 0; i < 3; i++) ((int64_t *)b->cols[0].data)[i] = 7 + i;
    b->rows = 3;
    b->weight = weights;
    account_init(&account, NULL, 0);
    const struct sink_class *c = sink_find("looker");
    struct connector_ctx ctx = {.env = env_real(), .account = &account, .schema = s, .name = "o", .encoder = encoder_find("json"), .changelog = CHANGELOG_W};
    struct encoder *e;
    struct values v = {0};
    assert_int_equal(encoder_new_values(ctx.encoder, s, CHANGELOG_W, NULL, &e, NULL), ST_OK);
    values_clear(&v, 0, 3);
    e->class->put_values(e, b, 0, 3, &v);
    for (int i = 0; i < 2; i++) {
        uint64_t marker;
        uint32_t took;
        bool fresh;
        filter = "v > 7", format = i ? "csv" : NULL, nwritten = nlater = 0;
        struct sink *k = sink_new(c, &ctx);
        assert_int_equal(c->open(k, 1, &marker, &fresh, NULL), ST_OK);
        assert_int_equal(c->write_records(k, &v, b, 0, &took, NULL), ST_OK);
        c->close(k, true, NULL);
        sink_free(k);
        assert_string_equal(written, i ? "-1,8;1,9;" : "{\"w\":-1,\"v\":8};{\"w\":1,\"v\":9};");
        assert_string_equal(later, written);
    }
    assert_int_equal(account.used, 0);
    encoder_free(e);
    values_done(&v);
    batch_unref(b);
    pool_close(pool);
    arena_free(a);
}

static void rows_fail(void **state)
{
    (void)state;
    at_once = 10;
    pass(SINK, 5, "10 / (v - 3) > 0", NULL);
    assert_string_equal(written, "{\"v\":4,\"t\":\"key\"};{\"v\":5,\"t\":\"key\"};1 failed: [LAM-1203];");
    pass("CREATE SINK o FROM (SELECT v, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxz' AS t FROM s) INTO looker", 1, "t ~ '^(x+)+$'", NULL);
    assert_string_equal(written, "1 failed: [LAM-1216] spent;");
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *format, *says;
    } bad[] = {{"w = 1", NULL, "[LAM-1100] there is no column 'w' (at character 1)"}, {"v", NULL, "[LAM-1200]"}, {"random() < 1", NULL, "another value at each call"},
               {"coalesce(t, repeat(t, v)) = 'x'", NULL, "repeat is not for a filter"}, {"sum(v) > 1", NULL, "[LAM-"}, {"v IN (SELECT 1)", NULL, "[LAM-1001]"},
               {"v = 1 v", NULL, "[LAM-1000]"}, {"", NULL, "[LAM-1000]"}, {NULL, "parquet", "[LAM-1107]"}, {NULL, "box", "[LAM-1107]"}, {NULL, "raw", "one column"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pass(SINK, 1, bad[i].filter, bad[i].format);
        assert_true(refused);
        if (!strstr(why, bad[i].says)) fail_msg("%s: %s", bad[i].says, why);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {T(rows_pass), T(many_rows), T(whole_values), T(changes_are_marked), T(rows_fail), T(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
