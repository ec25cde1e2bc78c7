/* Calls a sink by hand: drive MODULE CLASS, and a script on stdin, a call a line. Two instances, a and b, of rows (k BIGINT, t VARCHAR):
 *
 *     a options NAME=VALUE|...        those of the class; first of all
 *     a open INCARNATION epochs|plain
 *     a write k:t:w ...               t may be absent, w 1 or -1
 *     a range FIRST N                 that many rows with texts
 *     a flush, a commit EPOCH, a abort, a close
 *     a deadline                      flush.interval by default, in microseconds
 *
 * Each answers with one line: the result, the marker, rows accepted, or of a flush or commit the row that is poison, and what was said. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "connector/connector.h"
#include "connector/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct driven {
    const struct sink_class *class;
    struct arena *arena;
    struct account account;
    struct pool *pool;
    struct schema *schema;
    struct options *options;
    struct sink *sink;
    struct batch *b; /* what was offered last */
    uint32_t from;
    int64_t memo[SINK_MEMO / 8];
    struct err err;
};

static const char *result_name(enum status st)
{
    static const struct {
        enum status st;
        const char *name;
    } names[] = {{ST_OK, "OK"},           {ST_RETRY, "RETRY"},     {ST_POISON, "POISON"}, {E_CONNECTOR_OPTION, "OPTION"},
                 {E_CONNECT, "CONNECT"}, {E_WRITE, "WRITE"},       {E_CANCELED, "CANCELED"}, {ST_WAIT, "WAIT"}};
    for (size_t i = 0; i < countof(names); i++)
        if (names[i].st == st) return names[i].name;
    return "?";
}

static void answer(struct driven *d, enum status st, uint64_t n)
{
    printf("%s %llu%s%s\n", result_name(st), (unsigned long long)n, st ? " " : "", st ? d->err.text : "");
    fflush(stdout);
    d->err = (struct err){.pos = NO_POS};
}

static enum status read_options(struct driven *d, char *text)
{
    struct option_in in[32];
    int n = 0;
    for (char *p = strtok(text, "|"); p; p = strtok(NULL, "|")) {
        char *eq = strchr(p, '=');
        *eq = 0;
        in[n++] = (struct option_in){.key = p, .value = eq + 1};
    }
    const struct option_spec *tables[] = {d->class->options};
    d->arena = arena_new();
    account_init(&d->account, NULL, 0);
    d->pool = pool_new(NULL);
    d->schema = schema_new(d->arena, 2);
    d->schema->time_column = -1;
    d->schema->fields[0] = (struct field){.name = "k", .type = TYPE(T_INT64)};
    d->schema->fields[1] = (struct field){.name = "t", .type = TYPE(T_VARCHAR)};
    return options_read(d->arena, "it", tables, 1, in, n, &d->options, &d->err);
}

static void open_one(struct driven *d, const char *args)
{
    char mode[16] = "";
    unsigned long long incarnation = 1;
    sscanf(args, "%llu %15s", &incarnation, mode);
    struct connector_ctx ctx = {.env = env_real(), .account = &d->account, .options = d->options, .schema = d->schema,
                                .declared = d->schema, .name = "driven", .epochs = !strcmp(mode, "epochs"), .memo = d->memo};
    if (!d->sink) d->sink = sink_new(d->class, &ctx);
    uint64_t marker = 0;
    bool fresh = true;
    enum status st = d->class->open(d->sink, incarnation, &marker, &fresh, &d->err);
    answer(d, st, marker);
}

static void put_row(struct driven *d, uint32_t cap, int64_t k, const char *t, int8_t w)
{
    struct value key = {.type = TYPE(T_INT64), .i = k}, text = {.type = TYPE(T_VARCHAR), .is_null = !t};
    if (t) text.s = str_view(t, (uint32_t)strlen(t));
    batch_put(d->b, d->schema, 0, d->b->rows, cap, &key);
    batch_put(d->b, d->schema, 1, d->b->rows, cap, &text);
    ((int8_t *)d->b->weight)[d->b->rows++] = w;
}

static void begin_batch(struct driven *d, uint32_t cap)
{
    batch_unref(d->b);
    d->b = batch_for(d->pool, d->schema, cap);
    d->b->weight = batch_alloc(d->b, cap);
    d->from = 0;
}

/* Offers what is left of the batch, as a deliver task does, until it is gone or something is said. */
static void offer(struct driven *d)
{
    enum status st = ST_OK;
    uint32_t all = 0;
    while (!st && d->from < d->b->rows) {
        uint32_t took = 0;
        st = d->class->write_rows(d->sink, d->b, d->from, &took, &d->err);
        d->from += took;
        all += took;
    }
    if (st == ST_POISON) d->from++;
    answer(d, st, all);
}

static void write_rows(struct driven *d, char *args)
{
    begin_batch(d, 64);
    for (char *p = strtok(args, " "); p; p = strtok(NULL, " ")) {
        char t[32] = "";
        long long k = strtoll(p, &p, 10);
        int w = 1;
        bool has = sscanf(p, ":%31[^:]:%d", t, &w) >= 1;
        if (!has) sscanf(p, "::%d", &w);
        put_row(d, 64, k, has ? t : NULL, (int8_t)w);
    }
    offer(d);
}

static void write_range(struct driven *d, const char *args)
{
    long long first = 0, n = 0;
    sscanf(args, "%lld %lld", &first, &n);
    begin_batch(d, (uint32_t)n);
    char t[40];
    for (long long i = 0; i < n; i++) {
        snprintf(t, sizeof t, "row %lld", first + i);
        put_row(d, (uint32_t)n, first + i, t, 1);
    }
    d->b->weight = NULL;
    offer(d);
}

static void end_of(struct driven *d, enum status st) { answer(d, st, st == ST_POISON ? d->class->poisoned(d->sink) : 0); }

static void close_one(struct driven *d)
{
    enum status st = d->class->close(d->sink, false, &d->err);
    sink_free(d->sink);
    d->sink = NULL;
    batch_unref(TAKE(d->b));
    answer(d, st ? st : d->account.used ? E_INTERNAL : ST_OK, (uint64_t)d->account.used);
}

static void obey(struct driven *d, const char *verb, char *args)
{
    if (!strcmp(verb, "options")) answer(d, read_options(d, args), 0);
    else if (!strcmp(verb, "open")) open_one(d, args);
    else if (!strcmp(verb, "write")) write_rows(d, args);
    else if (!strcmp(verb, "range")) write_range(d, args);
    else if (!strcmp(verb, "rest")) offer(d);
    else if (!strcmp(verb, "flush")) end_of(d, d->class->flush(d->sink, &d->err));
    else if (!strcmp(verb, "commit")) end_of(d, d->class->commit(d->sink, strtoull(args, NULL, 10), &d->err));
    else if (!strcmp(verb, "deadline")) answer(d, ST_OK, (uint64_t)d->class->flush_us);
    else if (!strcmp(verb, "abort")) answer(d, d->class->abort(d->sink, &d->err), 0);
    else if (!strcmp(verb, "close")) close_one(d);
    else
        printf("? %s\n", verb);
}

int main(int argc, char **argv)
{
    struct err err = {.pos = NO_POS};
    if (argc != 3 || module_load(argv[1], NULL, &err)) return fprintf(stderr, "%s\n", err.text), 2;
    struct driven two[2] = {{.class = sink_find(argv[2])}, {.class = sink_find(argv[2])}};
    for (char line[4096]; fgets(line, sizeof line, stdin);) {
        char verb[16] = "";
        int at = 0;
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line + 1, "%15s %n", verb, &at) >= 1) obey(&two[line[0] == 'b'], verb, line + 1 + at);
    }
    for (int i = 0; i < 2; i++) {
        if (!two[i].arena) continue;
        pool_close(two[i].pool);
        arena_free(two[i].arena);
    }
    return 0;
}
