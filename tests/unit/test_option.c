/* Options: names, values, bounds, defaults and what is said about wrong ones. SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct option_spec file_options[] = {
    {"path", OPT_TEXT, NULL, OPT_REQUIRED, NULL, 0, 0, "The file to read.", NULL},
    {"delimiter", OPT_CHAR, ",", 0, NULL, 0, 0, "Between two fields.", NULL},
    {"batch.rows", OPT_INT, "4096", 0, NULL, 1, 65536, "Most rows of a batch.", NULL},
    {"record.max", OPT_SIZE, "16 MiB", 0, NULL, 1024, 1 << 30, "Most bytes of a record.", NULL},
    {"flush.interval", OPT_DURATION, "5 s", 0, NULL, 0, 0, "Longest wait of an unflushed row.", "linger.ms|wait"},
    {"poll.ms", OPT_DURATION, NULL, 0, NULL, 0, 0, "Time between two looks.", NULL},
    {"mode", OPT_ENUM, "replace", 0, "replace|append|error", 0, 0, "What to do with an existing file.", NULL},
    {"header", OPT_BOOL, "true", 0, NULL, 0, 0, "Whether the first line names the columns.", NULL},
    {"rate", OPT_DOUBLE, NULL, 0, NULL, 0, 0, "Rows a second.", NULL},
    {"column.*", OPT_TEXT, NULL, 0, NULL, 0, 0, "Where a column is.", NULL},
    {"password", OPT_INT, NULL, OPT_SECRET, NULL, 0, 0, "Not to be shown.", NULL},
    {"wait.max", OPT_TEXT, NULL, OPT_REFUSED, NULL, 0, 0, "It waits as long as flush.interval says.", "patience"},
    {0},
};
static const struct option_spec common_options[] = {
    {"mode", OPT_TEXT, "never seen", 0, NULL, 0, 0, "Hidden by the first table.", NULL},
    {"on_error", OPT_ENUM, "skip", 0, "skip|fail|null", 0, 0, "What becomes of a bad row.", NULL},
    {0},
};
static const struct option_spec *const tables[] = {file_options, common_options};

static struct options *opts;
static struct err err;
static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static enum status read_in(const struct option_in *in, int n)
{
    memset(&err, 0, sizeof err);
    return options_read(arena, "the file source", tables, 2, in, n, &opts, &err);
}
static enum status read_kv(const char *key, const char *value)
{
    struct option_in in[] = {{"path", "x", 1, 2}, {key, value, 10, 20}};
    return read_in(in, 2);
}

static void other_names(void **state)
{
    (void)state;
    assert_int_equal(read_kv("linger_ms", "20"), ST_OK);
    assert_int_equal(options_int(opts, "flush.interval"), 20000);
    assert_int_equal(read_kv("Wait", "2 s"), ST_OK);
    assert_int_equal(options_int(opts, "flush.interval"), 2000000);
    assert_int_equal(read_kv("wait", "20"), E_CONNECTOR_OPTION);
    struct option_in twice[] = {{"path", "x", 1, 2}, {"wait", "2 s", 10, 20}, {"flush.interval", "1 s", 30, 40}};
    assert_int_equal(read_in(twice, 3), E_OPTION);
    assert_string_equal(err.text, "option 'flush.interval' is given twice");
}

/* A name known from elsewhere is an error that says what to do instead; nobody is led to it. */
static void refused_names(void **state)
{
    (void)state;
    assert_int_equal(read_kv("wait_max", "5"), E_OPTION);
    assert_string_equal(err.text, "the file source does not take the option 'wait_max'");
    assert_string_equal(err.hint, "It waits as long as flush.interval says.");
    assert_int_equal(err.pos, 10);
    assert_int_equal(read_kv("patience", "5"), E_OPTION);
    assert_string_equal(err.text, "the file source does not take the option 'patience'");
    assert_int_equal(read_kv("wait.mux", "5"), E_OPTION);
    assert_null(strstr(err.hint, "wait.max"));
}

static void defaults_and_names(void **state)
{
    (void)state;
    struct option_in in[] = {{"path", "a.csv", 0, 0}, {"Batch-Rows", "7", 0, 0}, {"flush_interval", "1m 30s", 0, 0},
                             {"poll.ms", "250", 0, 0}, {"on.error", "FAIL", 0, 0}};
    assert_int_equal(read_in(in, 5), ST_OK);
    assert_string_equal(options_text(opts, "path"), "a.csv");
    assert_int_equal(options_int(opts, "batch.rows"), 7);
    assert_int_equal(options_int(opts, "flush.interval"), 90000000);
    assert_int_equal(options_int(opts, "poll.ms"), 250000);
    assert_int_equal(options_int(opts, "on_error"), 1);
    assert_int_equal(options_int(opts, "record.max"), 16 << 20);
    assert_int_equal(options_int(opts, "delimiter"), ',');
    assert_int_equal(options_int(opts, "header"), 1);
    assert_int_equal(options_int(opts, "mode"), 0);
    assert_true(options_has(opts, "mode"));
    assert_false(options_has(opts, "rate"));
    assert_false(options_has(opts, "no such"));
    assert_false(options_get(opts, "mode")->set);
}

static void values(void **state)
{
    (void)state;
    assert_int_equal(read_kv("delimiter", "\\t"), ST_OK);
    assert_int_equal(options_int(opts, "delimiter"), '\t');
    assert_int_equal(read_kv("delimiter", "Tab"), ST_OK);
    assert_int_equal(options_int(opts, "delimiter"), '\t');
    assert_int_equal(read_kv("rate", "2.5e3"), ST_OK);
    assert_true(options_get(opts, "rate")->d == 2500.0);
    assert_int_equal(read_kv("header", "no"), ST_OK);
    assert_int_equal(options_int(opts, "header"), 0);
    int64_t v;
    assert_true(size_parse("64mb", &v) && v == 64 << 20);
    assert_true(size_parse("1.5 KiB", &v) && v == 1536);
    assert_true(size_parse("65536", &v) && v == 65536);
    assert_false(size_parse("64 mib 3", &v));
    assert_false(size_parse("-1", &v));
    assert_false(size_parse("99999999999999999999 t", &v));
    assert_true(duration_parse("250 ms", 0, &v) && v == 250000);
    assert_true(duration_parse("0.5 seconds", 0, &v) && v == 500000);
    assert_true(duration_parse("1h", 0, &v) && v == 3600000000);
    assert_true(duration_parse("0", 0, &v) && v == 0);
    assert_false(duration_parse("5", 0, &v));
    assert_true(duration_parse("5", 1000, &v) && v == 5000);
    assert_false(duration_parse("5 parsecs", 0, &v));
    assert_false(duration_parse("", 0, &v));
    assert_false(duration_parse("-5 s", 0, &v));
}

static void refused(void **state)
{
    (void)state;
    assert_int_equal(read_kv("delimeter", ","), E_OPTION);
    assert_int_equal(err.pos, 10);
    assert_string_equal(err.text, "the file source has no option 'delimeter'");
    assert_string_equal(err.hint, "did you mean 'delimiter'?");
    assert_int_equal(read_kv("linger", ","), E_OPTION); /* another name of flush.interval */
    assert_string_equal(err.hint, "did you mean 'linger.ms'?");
    assert_int_equal(read_kv("patiance", ","), E_OPTION);
    assert_null(strstr(err.hint, "patience")); /* it would be refused */
    assert_int_equal(read_kv("xyzzy", ","), E_OPTION);
    assert_non_null(strstr(err.hint, "its options: path, delimiter"));
    assert_int_equal(read_kv("path", "b"), E_OPTION);
    assert_string_equal(err.text, "option 'path' is given twice");
    assert_int_equal(read_kv("batch.rows", "many"), E_CONNECTOR_OPTION);
    assert_int_equal(err.pos, 20);
    assert_int_equal(read_kv("batch.rows", "0"), E_CONNECTOR_OPTION);
    assert_string_equal(err.text, "option 'batch.rows' of the file source must lie between 1 and 65536");
    assert_int_equal(read_kv("record.max", "1"), E_CONNECTOR_OPTION);
    assert_string_equal(err.text, "option 'record.max' of the file source must lie between 1 KiB and 1 GiB");
    assert_int_equal(read_kv("mode", "overwrite"), E_CONNECTOR_OPTION);
    assert_string_equal(err.hint, "one of: replace, append, error");
    assert_int_equal(read_kv("flush.interval", "5"), E_CONNECTOR_OPTION);
    assert_non_null(strstr(err.text, "a duration with its unit"));
    assert_int_equal(read_kv("password", "hunter2"), E_CONNECTOR_OPTION);
    assert_null(strstr(err.text, "hunter2"));
    assert_int_equal(read_in(NULL, 0), E_CONFIG_MISSING);
    assert_string_equal(err.text, "the file source needs the option 'path'");
    assert_string_equal(err.hint, "path: The file to read.");
}

/* A name that ends with .* stands for many. */
static void named(void **state)
{
    (void)state;
    const struct option_in in[] = {{"path", "x", 0, 0}, {"column.price", "p", 0, 0}, {"COLUMN_Event-Time", "t", 0, 0}};
    assert_int_equal(options_read(arena, "it", tables, 2, in, 3, &opts, &err), ST_OK);
    assert_string_equal(options_nth(opts, "column.*", 0)->rest, "price");
    assert_string_equal(options_nth(opts, "column.*", 0)->text, "p");
    assert_string_equal(options_nth(opts, "column.*", 1)->rest, "Event-Time");
    assert_null(options_nth(opts, "column.*", 2));
    assert_false(options_has(opts, "column.*"));
    assert_string_equal(option_find(file_options, "column_a")->name, "column.*");
    assert_null(option_find(file_options, "column."));
    const struct option_in twice[] = {{"path", "x", 0, 0}, {"column.event.time", "p", 0, 0}, {"column.event_time", "t", 77, 0}};
    assert_int_equal(options_read(arena, "it", tables, 2, twice, 3, &opts, &err), E_OPTION);
    assert_string_equal(err.text, "option 'column.event_time' is given twice");
    assert_int_equal(err.pos, 77);
    const struct option_in empty[] = {{"path", "x", 0, 0}, {"column", "p", 0, 0}};
    assert_int_equal(options_read(arena, "it", tables, 2, empty, 2, &opts, &err), E_OPTION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_and_names, setup, teardown),
        cmocka_unit_test_setup_teardown(other_names, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_names, setup, teardown),
        cmocka_unit_test_setup_teardown(named, setup, teardown),
        cmocka_unit_test_setup_teardown(values, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
