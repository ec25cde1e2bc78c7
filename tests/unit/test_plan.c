/* The binder against a catalog made up here. Each file of tests/plan holds statements, a line of dashes, and what comes of
 * them: the plan and its columns, or the error with code, place and hint. REBASE=1 writes the answers anew, to be
 * reviewed in the diff. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/plan.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the catalog ---------------------------------------------------------------------------------------- */

static const struct option_spec file_options[] = {
    {"path", OPT_TEXT, NULL, OPT_REQUIRED, NULL, 0, 0, "The file."},
    {"follow", OPT_BOOL, "false", 0, NULL, 0, 0, "Whether to wait for more at the end."},
    {0},
};
static const struct option_spec broker_options[] = {
    {"topic", OPT_TEXT, NULL, OPT_REQUIRED, NULL, 0, 0, "The topic."},
    {"password", OPT_TEXT, NULL, OPT_SECRET, NULL, 0, 0, "The password."},
    {0},
};
static const struct option_spec csv_options[] = {
    {"delimiter", OPT_CHAR, ",", 0, NULL, 0, 0, "Between fields."},
    {"header", OPT_BOOL, "true", 0, NULL, 0, 0, "Whether a first line names the columns."},
    {0},
};
static bool file_bounded(const struct source_class *c, const struct options *o) { return (void)c, !options_int(o, "follow"); }
static const char *file_format(const struct options *o)
{
    const char *dot = strrchr(options_text(o, "path"), '.');
    return dot && (!strcmp(dot, ".csv") || !strcmp(dot, ".json")) ? dot + 1 : NULL;
}
static const struct connector_info connectors[] = {
    {.name = "file", .is_bytes = true, .options = file_options, .bounded = file_bounded, .guess_format = file_format},
    {.name = "broker", .is_bytes = true, .options = broker_options, .default_format = "json"},
    {.name = "generator", .is_bytes = false},
    {.name = "stdout", .is_bytes = true, .default_format = "csv"},
};
static const struct format_info formats[] = {
    {"csv", true, true, csv_options, NULL}, {"json", true, true, NULL, NULL}, {"box", true, false, NULL, NULL}};

static struct object *objects[256];
static int nobjects;

static const struct object *cat_find(void *ctx, const char *name)
{
    (void)ctx;
    for (int i = nobjects - 1; i >= 0; i--)
        if (!strcmp(objects[i]->name, name)) return objects[i];
    return NULL;
}
static const char *cat_name(const void *ctx, int i)
{
    (void)ctx;
    return i < nobjects ? objects[i]->name : NULL;
}
static const struct connector_info *cat_connector(const char *name, const char *not)
{
    for (size_t i = 0; i < countof(connectors); i++)
        if (!strcmp(connectors[i].name, name) && strcmp(name, not)) return &connectors[i];
    return NULL;
}
static const struct connector_info *cat_source(void *ctx, const char *name) { return (void)ctx, cat_connector(name, "stdout"); }
static const struct connector_info *cat_sink(void *ctx, const char *name) { return (void)ctx, cat_connector(name, "generator"); }
static const char *cat_connector_name(const void *ctx, int i)
{
    (void)ctx;
    return i < (int)countof(connectors) ? connectors[i].name : NULL;
}
static const struct format_info *cat_format(const char *name, const char *not)
{
    for (size_t i = 0; i < countof(formats); i++)
        if (!strcmp(formats[i].name, name) && strcmp(name, not)) return &formats[i];
    return NULL;
}
static const struct format_info *cat_in(void *ctx, const char *name) { return (void)ctx, cat_format(name, "box"); }
static const struct format_info *cat_out(void *ctx, const char *name) { return (void)ctx, cat_format(name, ""); }
static const char *cat_format_name(const void *ctx, int i)
{
    (void)ctx;
    return i < (int)countof(formats) ? formats[i].name : NULL;
}
static const struct catalog catalog = {cat_find, cat_name, cat_source, cat_sink, cat_connector_name,
                                       cat_in,   cat_out,  cat_format_name, NULL, false};

static void forget_objects(void)
{
    while (nobjects) object_free(objects[--nobjects]);
}

/* ---- showing ---------------------------------------------------------------------------------------------- */

static void show_error(const struct err *err, struct text *out)
{
    text_printf(out, "error %d", err->code);
    if (err->pos != NO_POS) text_printf(out, " at %u", err->pos);
    text_printf(out, ": %s\n", err->text);
    if (err->hint[0]) text_printf(out, "hint: %s\n", err->hint);
}

static void show_columns(const struct plan *p, struct text *out)
{
    static const char *const roles[] = {"", " time", " start", " end", " window_time"};
    char type[64];
    text_puts(out, "-> ");
    for (int i = 0; i < p->schema->n; i++) {
        const struct field *f = &p->schema->fields[i];
        text_printf(out, "%s%s %s", i ? ", " : "", f->name, type_name(f->type, type));
        if (p->lags[i] != LAG_NONE)
            text_printf(out, "%s%s(lag %lld us)", p->is_ms[i] ? " ms" : "", roles[p->roles[i]], (long long)p->lags[i]);
    }
    int time = p->schema->time_column;
    if (time >= 0) text_printf(out, "; time %s", p->schema->fields[time].name);
    text_printf(out, "%s%s\n", p->bounded ? "; bounded" : "", p->single ? "; single" : "");
}

static void show_plan(const struct plan *p, struct text *out)
{
    plan_explain(p, out);
    show_columns(p, out);
}

static void show_source(const struct object *o, struct text *out)
{
    char type[64];
    static const char *const kinds[] = {"none", "bounded"};
    text_printf(out, "%s\n", o->sql);
    for (int i = 0; i < o->schema->n; i++)
        text_printf(out, "%s%s %s", i ? ", " : "-> ", o->schema->fields[i].name, type_name(o->schema->fields[i].type, type));
    int time = o->schema->time_column;
    text_printf(out, "; time %s; watermark %s %lld us%s; format %s\n", time >= 0 ? o->schema->fields[time].name : "-",
                kinds[o->watermark], (long long)o->delay_us, o->bounded ? "; bounded" : "", o->format ? o->format->name : "-");
}

static enum status show_stmt(struct arena *a, const struct stmt *s, const char *text, struct text *out, struct err *err)
{
    if (s->kind == STMT_SELECT) {
        struct plan *p;
        const struct object **uses;
        int nuses;
        TRY(plan_select(a, &catalog, s->select, true, &p, &uses, &nuses, err));
        show_plan(p, out);
        return ST_OK;
    }
    struct object *o;
    TRY(plan_create(&catalog, s, text, &o, err));
    assert_true(nobjects < (int)countof(objects));
    objects[nobjects++] = o;
    if (o->kind == OBJECT_SINK) text_printf(out, "%s\n", o->sql);
    if (o->plan)
        show_plan(o->plan, out);
    else
        show_source(o, out);
    return ST_OK;
}

static void show_all(const char *text, struct text *out)
{
    size_t at = 0, n = strlen(text);
    enum status st;
    do {
        AUTO(arena_free) struct arena *a = arena_new();
        struct stmt *s;
        struct err err = {.pos = NO_POS};
        st = sql_parse(a, text, n, &at, &s, &err);
        if (st == ST_OK) st = show_stmt(a, s, text, out, &err);
        if (st > 0) show_error(&err, out);
    } while (st == ST_OK);
}

/* ---- files of answers ---------------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    struct text t = {0};
    char buf[4096];
    for (size_t n; (n = fread(buf, 1, sizeof buf, f));) text_put(&t, buf, n);
    fclose(f);
    text_cstr(&t);
    return t.p;
}

/* A block: statements, "----", the answer up to an empty line. Lines of # before it are kept. */
static const char *block(const char *p, struct text *sql, struct text *answer, struct text *copy)
{
    bool in_answer = false;
    while (*p) {
        size_t n = strcspn(p, "\n");
        const char *line = p;
        p += n + (p[n] == '\n');
        if (in_answer && !n) break;
        if (in_answer) {
            text_put(answer, line, n), text_putc(answer, '\n');
        } else if (n == 4 && !strncmp(line, "----", 4)) {
            in_answer = true;
        } else {
            text_put(copy, line, n), text_putc(copy, '\n');
            if (*line != '#' && (sql->n || n)) text_put(sql, line, n), text_putc(sql, '\n');
        }
    }
    return p;
}

static int check_file(const char *path)
{
    int failed = 0;
    char *all = read_file(path);
    struct text copy = {0};
    for (const char *p = all; *p;) {
        struct text sql = {0}, answer = {0}, got = {0};
        p = block(p, &sql, &answer, &copy);
        if (sql.n) {
            show_all(text_cstr(&sql), &got);
            if (strcmp(text_cstr(&got), text_cstr(&answer))) {
                if (!getenv("REBASE")) printf("%s:\n%s---- expected\n%s---- got\n%s\n", path, sql.p, answer.p, got.p);
                failed++;
            }
            text_printf(&copy, "----\n%s%s", got.p, *p ? "\n" : "");
        }
        text_done(&sql), text_done(&answer), text_done(&got);
    }
    if (getenv("REBASE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        fwrite(copy.p, 1, copy.n, f);
        fclose(f);
        failed = 0;
    }
    text_done(&copy);
    mem_free(all);
    forget_objects();
    return failed;
}

static int is_text(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');
    return dot && !strcmp(dot, ".txt");
}

static void plans(void **state)
{
    (void)state;
    struct dirent **names;
    int n = scandir("tests/plan", &names, is_text, alphasort), failed = 0;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof path, "tests/plan/%s", names[i]->d_name);
        failed += check_file(path);
        free(names[i]);
    }
    free(names);
    assert_int_equal(failed, 0);
}

/* ---- ids ------------------------------------------------------------------------------------------------------- */

static uint64_t id_of(const char *text, int input)
{
    AUTO(arena_free) struct arena *a = arena_new();
    struct stmt *s;
    struct err err;
    size_t at = 0;
    struct object *o;
    assert_int_equal(sql_parse(a, text, strlen(text), &at, &s, &err), ST_OK);
    assert_int_equal(plan_create(&catalog, s, text, &o, &err), ST_OK);
    uint64_t id = input < 0 ? o->plan->id : o->plan->in[input].node->id;
    object_free(o);
    return id;
}

static void ids(void **state)
{
    (void)state;
    struct text out = {0};
    show_all("CREATE SOURCE t (k VARCHAR, v BIGINT, ts TIMESTAMP, WATERMARK FOR ts)", &out);
    text_done(&out);
    uint64_t x = id_of("CREATE STREAM s AS SELECT k, v + 1 AS w FROM t", -1);
    assert_true(x == id_of("create   stream s as select k, (v + 1) w from T", -1));
    assert_true(x != id_of("CREATE STREAM s2 AS SELECT k, v + 1 AS w FROM t", -1));
    assert_true(x != id_of("CREATE STREAM s AS SELECT k, v + 2 AS w FROM t", -1));
    const char *twice = "CREATE STREAM u AS SELECT k FROM t UNION ALL SELECT k FROM t";
    assert_true(id_of(twice, 0) != id_of(twice, 1));
    assert_true(id_of(twice, 1) == id_of(twice, 1));
    forget_objects();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plans), cmocka_unit_test(ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
