/* DuckDB with one thread, as the peer of the benches.
 *     peer_duckdb LIB SETUP QUERY
 * Opens a database in memory, runs SETUP once, then runs QUERY once for each line on stdin and answers each with a line
 * of JSON: seconds by the wall clock and of the processor, rows, and the first value of the first row.
 * SPDX-License-Identifier: Apache-2.0 */
#include "round.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* The few names of duckdb.h that are needed. */
struct duckdb_result {
    uint64_t columns, rows, changed;
    void *column, *error, *internal;
};
typedef int open_fn(const char *path, void **db);
typedef int connect_fn(void *db, void **con);
typedef int query_fn(void *con, const char *sql, struct duckdb_result *out);
typedef const char *error_fn(struct duckdb_result *r);
typedef uint64_t count_fn(struct duckdb_result *r);
typedef char *value_fn(struct duckdb_result *r, uint64_t column, uint64_t row);
typedef void destroy_fn(struct duckdb_result *r);
typedef const char *version_fn(void);

static struct {
    open_fn *open;
    connect_fn *connect;
    query_fn *query;
    error_fn *error;
    count_fn *rows;
    value_fn *value;
    destroy_fn *destroy;
    version_fn *version;
} duckdb;

static void *lib;

static void *find(const char *name)
{
    void *p = dlsym(lib, name);
    if (!p) fprintf(stderr, "peer_duckdb: %s\n", dlerror()), exit(2);
    return p;
}

static void load(const char *path)
{
    lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!lib) fprintf(stderr, "peer_duckdb: %s\n", dlerror()), exit(2);
    duckdb.open = (open_fn *)find("duckdb_open");
    duckdb.connect = (connect_fn *)find("duckdb_connect");
    duckdb.query = (query_fn *)find("duckdb_query");
    duckdb.error = (error_fn *)find("duckdb_result_error");
    duckdb.rows = (count_fn *)find("duckdb_row_count");
    duckdb.value = (value_fn *)find("duckdb_value_varchar");
    duckdb.destroy = (destroy_fn *)find("duckdb_destroy_result");
    duckdb.version = (version_fn *)find("duckdb_library_version");
}

static void query(void *con, const char *sql, struct duckdb_result *out)
{
    if (duckdb.query(con, sql, out) == 0) return;
    fprintf(stderr, "peer_duckdb: %s\n", duckdb.error(out));
    exit(1);
}

static void run(void *con, const char *sql)
{
    struct duckdb_result r;
    query(con, sql, &r);
    duckdb.destroy(&r);
}

static void round_query(void *con, const char *sql)
{
    struct duckdb_result r;
    struct round round = round_begin();
    query(con, sql, &r);
    round_end(&round);
    uint64_t rows = duckdb.rows(&r);
    char *first = rows ? duckdb.value(&r, 0, 0) : NULL;
    round_print(&round, rows, first ? first : "");
    free(first);
    duckdb.destroy(&r);
}

int main(int argc, char **argv)
{
    void *db, *con;
    if (argc != 4) {
        fprintf(stderr, "usage: peer_duckdb LIB SETUP QUERY\n");
        return 2;
    }
    load(argv[1]);
    if (duckdb.open(NULL, &db) || duckdb.connect(db, &con)) return 1;
    run(con, "SET threads = 1");
    if (*argv[2]) run(con, argv[2]);
    while (round_next()) round_query(con, argv[3]);
    return 0;
}
