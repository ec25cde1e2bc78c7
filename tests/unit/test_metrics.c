/* The metrics as Prometheus reads them: a strict little parser of the text format, and the values behind it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "db_harness.h"

#include "base/env_sim.h"
#include "connector/mock.h"
#include "db/metrics.h"

#include <ctype.h>
#include <math.h>
#include <pthread.h>

/* ---- the parser: text exposition format 0.0.4 -------------------------------------------------------------------------- */

#define SAMPLES_MAX 2000

struct parsed {
    char *name, *labels; /* labels as they stand, without braces */
    double value;
};

struct parser {
    const char *p;
    const char *why; /* what is wrong; NULL: nothing */
    char group[100], type[20];
    bool helped;
    char seen[300][100];
    int nseen;
    struct parsed at[SAMPLES_MAX];
    int n;
};

static bool bad(struct parser *x, const char *why)
{
    if (!x->why) x->why = why;
    return false;
}

static size_t name_length(const char *p, bool colon)
{
    size_t n = 0;
    if (isdigit((unsigned char)*p)) return 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_' || (colon && p[n] == ':')) n++;
    return n;
}

static bool take_name(struct parser *x, char out[100], bool colon)
{
    size_t n = name_length(x->p, colon);
    if (!n || n >= 100) return bad(x, "no name");
    memcpy(out, x->p, n);
    out[n] = 0;
    x->p += n;
    return true;
}

static bool take_char(struct parser *x, char c)
{
    if (*x->p != c) return bad(x, "a character is missing");
    x->p++;
    return true;
}

static bool begin_group(struct parser *x, const char *name)
{
    if (!strcmp(x->group, name)) return true;
    for (int i = 0; i < x->nseen; i++)
        if (!strcmp(x->seen[i], name)) return bad(x, "lines of one metric are not together");
    strcpy(x->seen[x->nseen++], name);
    strcpy(x->group, name);
    x->type[0] = 0;
    x->helped = false;
    return true;
}

static bool take_comment(struct parser *x)
{
    char name[100], word[20];
    bool help = !strncmp(x->p, "# HELP ", 7);
    if (!help && strncmp(x->p, "# TYPE ", 7) != 0) return bad(x, "a comment that is neither HELP nor TYPE");
    x->p += 7;
    if (!take_name(x, name, true) || !take_char(x, ' ') || !begin_group(x, name)) return false;
    if (help) {
        if (x->helped) return bad(x, "HELP twice");
        x->helped = true;
        for (; *x->p != '\n'; x->p++)
            if (!*x->p || (*x->p == '\\' && x->p[1] != '\\' && x->p[1] != 'n')) return bad(x, "HELP is not escaped");
        return take_char(x, '\n');
    }
    size_t n = strcspn(x->p, "\n");
    if (x->type[0] || n >= sizeof word) return bad(x, "TYPE twice");
    snprintf(x->type, sizeof x->type, "%.*s", (int)n, x->p);
    if (strcmp(x->type, "counter") && strcmp(x->type, "gauge") && strcmp(x->type, "histogram")) return bad(x, "no such type");
    x->p += n;
    return take_char(x, '\n');
}

static bool take_label(struct parser *x)
{
    char name[100];
    if (!take_name(x, name, false) || !take_char(x, '=') || !take_char(x, '"')) return false;
    for (; *x->p != '"'; x->p++) {
        if (!*x->p || *x->p == '\n') return bad(x, "a label's value does not end");
        if (*x->p == '\\' && !strchr("\\\"n", *++x->p)) return bad(x, "an escape that there is not");
    }
    return take_char(x, '"');
}

static bool belongs(const struct parser *x, const char *name)
{
    size_t n = strlen(x->group);
    if (strcmp(x->type, "histogram") != 0) return !strcmp(name, x->group);
    return !strncmp(name, x->group, n) && (!strcmp(name + n, "_bucket") || !strcmp(name + n, "_sum") || !strcmp(name + n, "_count"));
}

static bool take_sample(struct parser *x)
{
    char name[100], *end;
    if (!take_name(x, name, true)) return false;
    if (!x->type[0] || !x->helped || !belongs(x, name)) return bad(x, "a value outside its HELP and TYPE");
    const char *labels = x->p + 1, *behind = labels;
    if (*x->p == '{') {
        x->p++;
        while (take_label(x) && *x->p == ',') x->p++;
        behind = x->p;
        if (!take_char(x, '}')) return false;
    }
    if (!take_char(x, ' ')) return false;
    double value = strtod(x->p, &end);
    if (end == x->p || isspace((unsigned char)*x->p)) return bad(x, "no value");
    x->p = end;
    assert_true(x->n < SAMPLES_MAX);
    struct parsed *to = &x->at[x->n];
    *to = (struct parsed){strdup(name), strndup(labels, (size_t)(behind - labels)), value};
    for (int i = 0; i < x->n; i++)
        if (!strcmp(x->at[i].name, name) && !strcmp(x->at[i].labels, to->labels)) bad(x, "the same sample twice");
    x->n++;
    return take_char(x, '\n');
}

/* Buckets ascend in bound and count, and the last is the count. */
static void check_histograms(struct parser *x)
{
    double bound = -1, count = 0;
    for (int i = 0; i < x->n; i++) {
        const struct parsed *s = &x->at[i];
        const char *le = strstr(s->labels, "le=\"");
        size_t n = strlen(s->name);
        if (n > 7 && !strcmp(s->name + n - 7, "_bucket")) {
            if (!le) {
                bad(x, "a bucket without bound");
                return;
            }
            double to = strtod(le + 4, NULL);
            if (to <= bound || s->value < count) bad(x, "buckets do not ascend");
            bound = to, count = s->value;
        } else if (bound >= 0) {
            bool is_count = n > 6 && !strcmp(s->name + n - 6, "_count");
            if (!isinf(bound)) bad(x, "no bucket of +Inf");
            if (is_count && s->value != count) bad(x, "the count is not that of the buckets");
            if (is_count) bound = -1, count = 0;
        }
    }
}

static struct parser *parse(const char *text)
{
    struct parser *x = calloc(1, sizeof *x);
    x->p = text;
    while (*x->p && !x->why)
        if (*x->p == '#')
            take_comment(x);
        else
            take_sample(x);
    if (!x->why) check_histograms(x);
    return x;
}

static void parser_free(struct parser *x)
{
    for (int i = 0; i < x->n; i++) free(x->at[i].name), free(x->at[i].labels);
    free(x);
}

static double value_of(const struct parser *x, const char *name, const char *labels)
{
    for (int i = 0; i < x->n; i++)
        if (!strcmp(x->at[i].name + strlen(METRICS_PREFIX), name) && !strcmp(x->at[i].labels, labels)) return x->at[i].value;
    fail_msg("there is no %s{%s}", name, labels);
    return 0;
}

static struct parser *metrics_of(struct lam_db *db)
{
    char *text;
    assert_int_equal(lam_metrics(db, &text), LAM_OK);
    struct parser *x = parse(text);
    if (x->why) fail_msg("%s before: %.200s", x->why, x->p);
    lam_free(text);
    return x;
}

static void test_the_parser_is_strict(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "a 1\n", "# TYPE a counter\na 1\n", "# HELP a x\n# TYPE a number\na 1\n", "# HELP a x\n# TYPE a gauge\na 1",
        "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"\\t\"} 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"c\" 1\n",
        "# HELP a x\n# TYPE a gauge\na{1b=\"c\"} 1\n", "# HELP a x\n# TYPE a gauge\na one\n", "# HELP a x\n# TYPE a gauge\na  1\n",
        "# HELP a x\n# TYPE a gauge\na 1\na 2\n", "# HELP a x\n# TYPE a gauge\nb 1\n", "# HELP a \\x\n# TYPE a gauge\na 1\n",
        "# HELP a x\n# TYPE a gauge\na 1\n# HELP b x\n# TYPE b gauge\nb 1\n# HELP a x\n", "\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
    };
    for (size_t i = 0; i < countof(wrong); i++) {
        struct parser *x = parse(wrong[i]);
        if (!x->why) fail_msg("taken: %s", wrong[i]);
        parser_free(x);
    }
}

/* ---- values ---------------------------------------------------------------------------------------------------------------- */

static const char *const kvt[] = {"k", "v", "ts"};

static int64_t dense(void *ctx, int row, int col)
{
    (void)ctx;
    return col == 0 ? row % 10 : col == 1 ? row : row * 1000;
}

#define SOURCE "CREATE SOURCE s (k BIGINT, v BIGINT, ts BIGINT, WATERMARK FOR ts);"

static void test_values(void **state)
{
    (void)state;
    struct env_sim *sim = env_sim_new(1);
    struct way w = {3, false, 0, 8, 1};
    struct under_test u;
    mock_reset();
    ut_open(&u, &w, env_sim_env(sim));
    ut_sql(&u, SOURCE "CREATE STREAM evens AS SELECT k, v, ts FROM s WHERE v % 2 = 0;"
                      "CREATE STREAM w AS SELECT k, COUNT(*) AS n FROM evens GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND);"
                      "CREATE SINK o FROM w INTO MOCK (name = 'o', script = 'fail write 1 retry');"
                      "CREATE SINK q FROM evens INTO BLACKHOLE;");
    assert_int_equal(ut_push(&u, "s", kvt, 3, 100, dense, NULL, -1), LAM_OK);
    lam_drain(u.db, -1);
    env_sim_advance(sim, 1000000);
    for (int i = 0; i < 10; i++) lam_step(u.db, 1000);
    struct parser *x = metrics_of(u.db);
    assert_float_equal(value_of(x, "events_ingested_total", ""), 100, 0);
    assert_float_equal(value_of(x, "source_rows_total", "source=\"s\""), 100, 0);
    assert_float_equal(value_of(x, "source_watermark_ms", "source=\"s\""), 99000, 0);
    assert_float_equal(value_of(x, "source_running", "source=\"s\""), 1, 0);
    assert_float_equal(value_of(x, "stream_rows_total", "stream=\"evens\""), 50, 0);
    assert_float_equal(value_of(x, "stream_rows_total", "stream=\"w\""), 45, 0);
    assert_float_equal(value_of(x, "operator_rows_in_total", "object=\"evens\",operator=\"1 filter\""), 100, 0);
    assert_float_equal(value_of(x, "operator_rows_out_total", "object=\"evens\",operator=\"1 filter\""), 50, 0);
    assert_float_equal(value_of(x, "operator_rows_in_total", "object=\"w\",operator=\"1 aggregate\""), 50, 0);
    assert_float_equal(value_of(x, "sink_rows_total", "sink=\"o\""), 45, 0);
    assert_float_equal(value_of(x, "sink_rows_total", "sink=\"q\""), 50, 0);
    assert_float_equal(value_of(x, "events_emitted_total", ""), 95, 0);
    assert_float_equal(value_of(x, "sink_retries_total", "sink=\"o\""), 1, 0);
    assert_float_equal(value_of(x, "sink_lag_rows", "sink=\"o\""), 0, 0);
    assert_float_equal(value_of(x, "sink_accepted_rows_total", "sink=\"o\""), 45, 0);
    assert_true(value_of(x, "sink_write_latency_us_count", "sink=\"o\"") >= 1);
    assert_true(value_of(x, "sink_write_latency_us_bucket", "sink=\"o\",le=\"30000000\"") >= 1);
    assert_true(value_of(x, "sink_write_latency_us_sum", "sink=\"o\"") >= 0);
    assert_true(value_of(x, "sink_committed_epoch", "sink=\"o\"") >= 0);
    assert_float_equal(value_of(x, "sink_state_info", "sink=\"o\",state=\"RUNNING\""), 1, 0);
    assert_float_equal(value_of(x, "sinks", ""), 2, 0);
    assert_true(value_of(x, "operator_state_bytes", "object=\"w\",operator=\"1 aggregate\"") > 0);
    assert_true(value_of(x, "sink_writes_total", "sink=\"o\"") >= 2);
    assert_true(value_of(x, "memory_peak_bytes", "") >= value_of(x, "memory_used_bytes", ""));
    parser_free(x);
    ut_close(&u);
    env_sim_free(sim);
}

/* Quotes, backslashes and line ends of names and errors are escaped. */
static void test_labels(void **state)
{
    (void)state;
    struct way w = {1, false, 0, 8, 1};
    struct under_test u;
    mock_reset();
    ut_open(&u, &w, NULL);
    ut_sql(&u, "CREATE SOURCE \"a \"\"b\"\" \\ c\nd\" (v BIGINT); CREATE SINK \"o\"\"\" FROM \"a \"\"b\"\" \\ c\nd\" INTO MOCK (name = 'o', "
               "script = 'fail write 1- retry');");
    static const char *const v[] = {"v"};
    assert_int_equal(ut_push(&u, "a \"b\" \\ c\nd", v, 1, 3, dense, NULL, -1), LAM_OK);
    lam_drain(u.db, -1);
    for (int i = 0; i < 10; i++) lam_step(u.db, 1000);
    struct parser *x = metrics_of(u.db);
    assert_float_equal(value_of(x, "source_rows_total", "source=\"a \\\"b\\\" \\\\ c\\nd\""), 3, 0);
    assert_float_equal(value_of(x, "sink_rows_total", "sink=\"o\\\"\""), 0, 0);
    bool error = false;
    for (int i = 0; i < x->n; i++) error |= strstr(x->at[i].name, "sink_last_error_info") && strstr(x->at[i].labels, "write number");
    assert_true(error);
    parser_free(x);
    ut_close(&u);
}

/* An empty database has metrics too, and what the machine says of the process. */
static void test_empty(void **state)
{
    (void)state;
    struct way w = {1, true, 0, 8, 0};
    struct under_test u;
    ut_open(&u, &w, NULL);
    struct parser *x = metrics_of(u.db);
    assert_float_equal(value_of(x, "sources", ""), 0, 0);
    assert_true(value_of(x, "process_resident_memory_bytes", "") > 100000);
    assert_true(value_of(x, "process_threads", "") >= 1);
    assert_true(value_of(x, "uptime_seconds", "") >= 0);
    parser_free(x);
    ut_close(&u);
}

static _Atomic bool stop;

static void *scrape(void *arg)
{
    while (!atomic_load(&stop)) parser_free(metrics_of(arg));
    return NULL;
}

/* Metrics are taken while streams come and go under load; every text is whole, and no counter of the source falls. */
static void test_under_load(void **state)
{
    (void)state;
    struct way w = {2, true, 0, 8, 0};
    struct under_test u;
    pthread_t t;
    double last = 0;
    ut_open(&u, &w, NULL);
    ut_sql(&u, SOURCE "CREATE SINK keep FROM s INTO BLACKHOLE;");
    pthread_create(&t, NULL, scrape, u.db);
    for (int i = 0; i < 40; i++) {
        ut_sql(&u, "CREATE STREAM w AS SELECT k, COUNT(*) AS n FROM s GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND); CREATE SINK o FROM w INTO BLACKHOLE;");
        assert_int_equal(ut_push(&u, "s", kvt, 3, 1000, dense, NULL, -1), LAM_OK);
        ut_sql(&u, "EXPLAIN STREAM w; DROP SINK o; DROP STREAM w;");
        struct parser *x = metrics_of(u.db);
        double now = value_of(x, "source_rows_total", "source=\"s\"");
        assert_true(now >= last + 1000);
        last = now;
        parser_free(x);
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
    ut_close(&u);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parser_is_strict), cmocka_unit_test(test_values), cmocka_unit_test(test_labels),
        cmocka_unit_test(test_empty),                cmocka_unit_test(test_under_load),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
