/* Rows into PostgreSQL by turns: written by hand with libpq alone, by the sink's class, and through a database that pushes them there.
 *     postgres MODULE SOCKET PORT ROUNDS [WAY]
 * A line of JSON for each round: CPU seconds are those of this process. libpq is one COPY and one COMMIT for all rows, libpq.8192 one of
 * each for as many rows as the sink commits at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "../round.h"

#include <dlfcn.h>
#include <laminar_connector.h>
#include <libpq-fe.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>

#define BATCH 2048
#define BATCHES 490
#define ROWS ((int64_t)BATCH * BATCHES)
#define COLUMNS 7

static const char *socket_folder, *port;

static void need(bool ok, const char *what, const char *why)
{
    if (ok) return;
    fprintf(stderr, "bench of postgres: %s: %s\n", what, why);
    exit(1);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static const char *const names[COLUMNS] = {"id", "price", "quantity", "symbol", "at", "note", "amount"};
static const char *const formats[COLUMNS] = {"l", "g", "i", "u", "tsu:", "u", "d:38,4"};

struct batch {
    int64_t id[BATCH], at[BATCH];
    double price[BATCH];
    int32_t quantity[BATCH], symbol_at[BATCH + 1], note_at[BATCH + 1];
    __int128 amount[BATCH];
    uint8_t note_valid[BATCH / 8];
    char symbol[BATCH * 8], note[BATCH * 32];
    const void *buffers[COLUMNS][3];
    struct ArrowArray columns[COLUMNS], *list[COLUMNS], rows;
    const void *none[1];
};

static struct batch *batches;
static struct ArrowSchema schema, schema_columns[COLUMNS], *schema_list[COLUMNS];

static void keep_array(struct ArrowArray *a) { a->release = NULL; }
static void keep_schema(struct ArrowSchema *s) { s->release = NULL; }

static uint64_t random_next(void)
{
    static uint64_t x = 42;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x;
}

static void fill(struct batch *b, int64_t first)
{
    static const char *const symbols[] = {"AAPL", "MSFT", "BRK.A", "TSLA", "GOOGL", "X", "NVDA", "EURUSD"};
    for (int i = 0; i < BATCH; i++) {
        b->id[i] = first + i;
        b->at[i] = 1704067200000000 + (first + i) * 1000;
        b->price[i] = (double)(random_next() % 1000000) / 100;
        b->quantity[i] = (int32_t)(random_next() % 1000);
        b->amount[i] = (__int128)(random_next() % 100000000000) - 50000000000;
        const char *s = symbols[random_next() % 8];
        b->symbol_at[i + 1] = b->symbol_at[i] + (int32_t)strlen(s);
        memcpy(b->symbol + b->symbol_at[i], s, strlen(s));
        bool null = random_next() % 10 == 0;
        int n = null ? 0 : (int)(random_next() % 32);
        if (!null) b->note_valid[i >> 3] |= (uint8_t)(1 << (i & 7));
        for (int k = 0; k < n; k++) b->note[b->note_at[i] + k] = (char)('a' + k % 26);
        b->note_at[i + 1] = b->note_at[i] + n;
    }
    const void *buffers[COLUMNS][3] = {{NULL, b->id}, {NULL, b->price}, {NULL, b->quantity}, {NULL, b->symbol_at, b->symbol},
                                       {NULL, b->at}, {b->note_valid, b->note_at, b->note}, {NULL, b->amount}};
    memcpy(b->buffers, buffers, sizeof buffers);
}

static void show(struct batch *b)
{
    for (int c = 0; c < COLUMNS; c++) {
        b->columns[c] = (struct ArrowArray){.length = BATCH, .null_count = c == 5 ? -1 : 0, .n_buffers = formats[c][0] == 'u' ? 3 : 2,
                                            .buffers = b->buffers[c], .release = keep_array};
        b->list[c] = &b->columns[c];
    }
    b->rows = (struct ArrowArray){.length = BATCH, .n_buffers = 1, .n_children = COLUMNS, .buffers = b->none, .children = b->list, .release = keep_array};
}

static void show_schema(void)
{
    for (int c = 0; c < COLUMNS; c++) {
        schema_columns[c] = (struct ArrowSchema){.format = formats[c], .name = names[c], .flags = ARROW_FLAG_NULLABLE, .release = keep_schema};
        schema_list[c] = &schema_columns[c];
    }
    schema = (struct ArrowSchema){.format = "+s", .name = "", .n_children = COLUMNS, .children = schema_list, .release = keep_schema};
}

/* ---- by hand ---------------------------------------------------------------------------------------------------------- */

static char *put16(char *p, int16_t v) { return v = (int16_t)__builtin_bswap16((uint16_t)v), memcpy(p, &v, 2), p + 2; }
static char *put32(char *p, int32_t v) { return v = (int32_t)__builtin_bswap32((uint32_t)v), memcpy(p, &v, 4), p + 4; }
static char *put64(char *p, int64_t v) { return v = (int64_t)__builtin_bswap64((uint64_t)v), memcpy(p, &v, 8), p + 8; }

static char *put_text(char *p, const char *from, int n)
{
    p = put32(p, n);
    memcpy(p, from, (size_t)n);
    return p + n;
}

static char *put_numeric(char *p, __int128 v)
{
    int16_t digits[12];
    int n = 0;
    unsigned __int128 u = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    for (; u; u /= 10000) digits[n++] = (int16_t)(u % 10000);
    p = put32(p, 8 + 2 * n);
    p = put16(p, (int16_t)n);
    p = put16(p, (int16_t)(n - 2));
    p = put16(p, v < 0 ? 0x4000 : 0);
    p = put16(p, 4);
    while (n) p = put16(p, digits[--n]);
    return p;
}

static char *put_row(char *p, const struct batch *b, int i)
{
    int64_t bits;
    memcpy(&bits, &b->price[i], 8);
    p = put16(p, COLUMNS);
    p = put64(put32(p, 8), b->id[i]);
    p = put64(put32(p, 8), bits);
    p = put32(put32(p, 4), b->quantity[i]);
    p = put_text(p, b->symbol + b->symbol_at[i], b->symbol_at[i + 1] - b->symbol_at[i]);
    p = put64(put32(p, 8), b->at[i] - 946684800000000);
    p = b->note_valid[i >> 3] >> (i & 7) & 1 ? put_text(p, b->note + b->note_at[i], b->note_at[i + 1] - b->note_at[i]) : put32(p, -1);
    return put_numeric(p, b->amount[i]);
}

static PGconn *raw;

static void raw_open(void)
{
    const char *keys[] = {"host", "port", "dbname", "user", NULL}, *values[] = {socket_folder, port, "postgres", "lam", NULL};
    raw = PQconnectdbParams(keys, values, 0);
    need(PQstatus(raw) == CONNECTION_OK, "connect", PQerrorMessage(raw));
}

static void run(const char *sql)
{
    PGresult *r = PQexec(raw, sql);
    ExecStatusType s = PQresultStatus(r);
    need(s == PGRES_COMMAND_OK || s == PGRES_COPY_IN || s == PGRES_TUPLES_OK, sql, PQerrorMessage(raw));
    PQclear(r);
}

/* One COPY, and transaction, of batches from..to. */
static void raw_copy(const char *sql, int from, int to)
{
    static char buffer[(64 << 10) + 512];
    run(sql);
    memcpy(buffer, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0", 19);
    char *p = buffer + 19;
    for (int n = from; n < to; n++)
        for (int i = 0; i < BATCH; i++) {
            p = put_row(p, &batches[n], i);
            if (p - buffer < 64 << 10) continue;
            need(PQputCopyData(raw, buffer, (int)(p - buffer)) == 1, "COPY", PQerrorMessage(raw));
            p = buffer;
        }
    p = put16(p, -1);
    need(PQputCopyData(raw, buffer, (int)(p - buffer)) == 1 && PQputCopyEnd(raw, NULL) == 1, "COPY", PQerrorMessage(raw));
    for (PGresult *r; (r = PQgetResult(raw)); PQclear(r)) need(PQresultStatus(r) == PGRES_COMMAND_OK, "COPY", PQerrorMessage(raw));
}

static void raw_write(void) { raw_copy("COPY raw FROM STDIN (FORMAT binary)", 0, BATCHES); }

/* As often as the sink commits. */
static void raw_parts(void)
{
    for (int n = 0; n < BATCHES; n += 4) raw_copy("COPY parts FROM STDIN (FORMAT binary)", n, n + 4 < BATCHES ? n + 4 : BATCHES);
}

/* ---- the class ------------------------------------------------------------------------------------------------------------ */

static const struct lam_sink_class *class;

static void *host_alloc(size_t n) { return calloc(1, n ? n : 1); }
static void *host_resize(void *p, size_t old, size_t n) { return (void)old, realloc(p, n); }
static void host_account(struct lam_io *io, int64_t n) { (void)io, (void)n; }
static int64_t host_now(struct lam_io *io)
{
    (void)io;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static void host_log(struct lam_io *io, int level, const char *fmt, ...) { (void)io, (void)level, (void)fmt; }
static int host_fail(struct lam_error *e, int code, const char *fmt, ...)
{
    (void)e;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return code;
}
static void host_hint(struct lam_error *e, const char *fmt, ...) { (void)e, (void)fmt; }
static const char *option(const struct lam_options *o, const char *name)
{
    (void)o;
    const char *const set[][2] = {{"hostname", socket_folder}, {"port", port}, {"database", "postgres"}, {"username", "lam"}, {"table.name", "sink"}};
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++)
        if (!strcmp(set[i][0], name)) return set[i][1];
    for (int i = 0; i < class->n_options; i++)
        if (!strcmp(class->options[i].name, name) && class->options[i].type == LAM_OPTION_TEXT) return class->options[i].dflt;
    return NULL;
}
static int64_t option_int(const struct lam_options *o, const char *name)
{
    return !strcmp(name, "port") ? atoi(option(o, name)) : strstr(name, "timeout") ? 30000000 : 0;
}

static const struct lam_host host = {.size = sizeof host, .alloc = host_alloc, .resize = host_resize, .free = free, .account = host_account, .now = host_now,
                                     .log = host_log, .fail = host_fail, .hint = host_hint, .option_text = option, .option_int = option_int};
static struct lam_io io;

static void sink_open(void)
{
    uint64_t marker;
    bool fresh;
    io = (struct lam_io){.size = sizeof io, .host = &host, .self = calloc(1, class->instance_size), .name = "bench", .schema = &schema};
    need(!class->open(&io, 1, &marker, &fresh, NULL), "open", "see above");
}

static void sink_write(void)
{
    for (int n = 0; n < BATCHES; n++) {
        struct lam_rows rows = {.size = sizeof rows, .array = &batches[n].rows};
        for (int64_t took; rows.from < BATCH; rows.from += took)
            need(!class->write_columns(&io, &rows, &took, NULL), "write", "see above");
        if (n % 4 == 3 || n == BATCHES - 1) need(!class->flush(&io, NULL), "flush", "see above"); /* batch.rows = 8192 */
    }
}

/* ---- a database --------------------------------------------------------------------------------------------------------------- */

static void database_write(void)
{
    char sql[900];
    struct lam_db *db;
    struct lam_session *s;
    snprintf(sql, sizeof sql,
             "CREATE SOURCE t (id BIGINT, price DOUBLE, quantity INTEGER, symbol VARCHAR, at TIMESTAMP, note VARCHAR, amount DECIMAL(38,4));"
             "CREATE SINK k FROM t INTO POSTGRES (hostname = '%s', port = %s, database = 'postgres', username = 'lam', table.name = 'through')",
             socket_folder, port);
    need(!lam_open(NULL, NULL, &db) && !lam_session_open(db, &s), "open", lam_errmsg(NULL));
    need(!lam_execute(s, sql, NULL), "execute", lam_errmsg(s));
    for (int n = 0; n < BATCHES; n++) {
        show(&batches[n]);
        int rc = lam_push(db, "t", &batches[n].rows, &schema, -1);
        need(!rc, "push", lam_strerror(rc));
    }
    lam_push_end(db, "t");
    need(!lam_wait(db, s, -1), "wait", lam_errmsg(s));
    lam_session_close(s);
    need(!lam_close(db, -1), "close", lam_errmsg(NULL));
}

/* ---- turns ----------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *table;
    void (*write)(void);
} ways[] = {{"libpq", "raw", raw_write}, {"libpq.8192", "parts", raw_parts}, {"sink", "sink", sink_write}, {"database", "through", database_write}};

int main(int argc, char **argv)
{
    need(argc >= 5, "usage", "postgres MODULE SOCKET PORT ROUNDS [WAY]");
    void *module = dlopen(argv[1], RTLD_NOW);
    need(module, argv[1], dlerror());
    class = ((const struct lam_module *)dlsym(module, "lam_module"))->sinks[0];
    need(!lam_register_connector(dlsym(module, "lam_module")), "register", lam_errmsg(NULL));
    socket_folder = argv[2], port = argv[3];
    batches = calloc(BATCHES, sizeof *batches);
    show_schema();
    for (int n = 0; n < BATCHES; n++) fill(&batches[n], (int64_t)n * BATCH), show(&batches[n]);
    raw_open();
    run("SET client_min_messages = error");
    for (int w = 0; w < 4; w++) {
        char sql[300];
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS %s; CREATE UNLOGGED TABLE %s (id bigint, price double precision, quantity integer, symbol text, at timestamp, note text, amount numeric)",
                 ways[w].table, ways[w].table);
        run(sql);
    }
    sink_open();
    for (int round = 0; round < atoi(argv[4]); round++)
        for (int w = 0; w < 4; w++) {
            char sql[100];
            if (argc > 5 && strcmp(argv[5], ways[w].name) != 0) continue;
            for (int n = 0; n < BATCHES; n++) show(&batches[n]);
            snprintf(sql, sizeof sql, "TRUNCATE %s", ways[w].table);
            run(sql);
            struct round r = round_begin();
            ways[w].write();
            round_end(&r);
            printf("{\"bench\": \"postgres\", \"way\": \"%s\", \"round\": %d, \"rows\": %lld, \"wall_s\": %.4f, \"cpu_s\": %.4f, \"rows_per_cpu_s\": %.0f}\n", ways[w].name,
                   round, (long long)ROWS, r.wall_s, r.cpu_s, (double)ROWS / r.cpu_s);
            fflush(stdout);
        }
    class->close(&io, true, NULL);
    PQfinish(raw);
    return 0;
}
