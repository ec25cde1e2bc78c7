/* Connector instances out of option texts, for unit tests. SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONNECTOR_HARNESS_H
#define TESTS_CONNECTOR_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "connector/connector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ok(st) assert_int_equal((st), ST_OK)

/* What one instance needs; freed by harness_done. */
struct harness {
    struct arena *arena;
    struct account account;
    struct schema *schema, *declared;
    struct err err;
    struct env *env;
};

/* columns: "id BIGINT, ts TIMESTAMP"; a column called ts is the event time */
static inline struct schema *harness_schema(struct arena *a, const char *columns)
{
    char *text = arena_strdup(a, columns), *save, *item;
    struct schema *s = schema_new(a, 32);
    s->n = 0;
    for (item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        char name[64], type[64];
        assert_int_equal(sscanf(item, " %63s %63[^\n]", name, type), 2);
        struct field *f = &s->fields[s->n++];
        f->name = arena_strdup(a, name);
        assert_true(type_from_word(type, &f->type));
        if (!strcmp(name, "ts")) s->time_column = s->n - 1;
    }
    return s;
}

static inline void harness_init(struct harness *h, const char *columns)
{
    *h = (struct harness){.arena = arena_new(), .env = env_real()};
    account_init(&h->account, NULL, 0);
    h->schema = harness_schema(h->arena, columns);
}

static inline void harness_done(struct harness *h)
{
    assert_int_equal(h->account.used, 0);
    arena_free(h->arena);
}

/* pairs: key, value, ..., NULL */
static inline enum status harness_options(struct harness *h, const struct option_spec *table, va_list ap, struct options **out)
{
    struct option_in in[16];
    int n = 0;
    const char *key;
    while ((key = va_arg(ap, const char *))) in[n++] = (struct option_in){key, va_arg(ap, const char *), 0, 0};
    return options_read(h->arena, "the connector", &table, 1, in, n, out, &h->err);
}

static inline struct connector_ctx harness_ctx(struct harness *h, const struct options *o)
{
    return (struct connector_ctx){.env = h->env, .account = &h->account, .options = o, .schema = h->schema, .name = "t",
                                  .declared = h->declared};
}

/* Opens; NULL with h->err set when that fails. */
static inline struct source *harness_source(struct harness *h, const char *class, ...)
{
    const struct source_class *c = source_find(class);
    assert_non_null(c);
    struct options *o;
    va_list ap;
    va_start(ap, class);
    enum status st = harness_options(h, c->options, ap, &o);
    va_end(ap);
    if (st) return NULL;
    struct connector_ctx ctx = harness_ctx(h, o);
    struct source *s = source_new(c, &ctx);
    if (!c->open(s, &h->err)) return s;
    c->close(s);
    source_free(s);
    return NULL;
}

static inline void harness_source_end(struct source *s)
{
    s->class->close(s);
    source_free(s);
}

static inline struct sink *harness_sink(struct harness *h, bool *fresh, const char *class, ...)
{
    const struct sink_class *c = sink_find(class);
    assert_non_null(c);
    struct options *o;
    va_list ap;
    va_start(ap, class);
    enum status st = harness_options(h, c->options, ap, &o);
    va_end(ap);
    if (st) return NULL;
    struct connector_ctx ctx = harness_ctx(h, o);
    struct sink *s = sink_new(c, &ctx);
    uint64_t marker;
    bool f;
    if (!c->open(s, 1, &marker, fresh ? fresh : &f, &h->err)) return s;
    c->close(s, false, NULL);
    sink_free(s);
    return NULL;
}

static inline enum status harness_sink_end(struct harness *h, struct sink *s, bool complete)
{
    enum status st = s->class->close(s, complete, &h->err);
    sink_free(s);
    return st;
}

/* A folder of the test's own, and files in it. */
static inline char *harness_folder(void)
{
    static char path[] = "/tmp/laminar-test-XXXXXX";
    strcpy(path + strlen(path) - 6, "XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline const char *in_folder(const char *folder, const char *name)
{
    static char paths[8][256];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

static inline void write_file(const char *path, const char *text, const char *mode)
{
    FILE *f = fopen(path, mode);
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline char *read_file(const char *path)
{
    static char text[65536];
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static inline void remove_folder(const char *folder)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

#endif
