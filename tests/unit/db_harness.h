/* A database under test: opened with the ways of running that the matrix names, fed from tables of integers.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_HARNESS_H
#define DB_HARNESS_H

#include "arrow/cdata.h"
#include "base/text.h"
#include "db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the above */
#include <cmocka.h>

struct way {
    int workers;
    bool threads;
    uint32_t batch_rows, ring_slots;
    uint64_t shuffle;
};

static const struct way ways[] = {
    {1, true, 0, 4, 0}, {4, true, 7, 4, 0}, {1, false, 1, 4, 0}, {4, false, 0, 4, 1}, {4, false, 7, 16, 7}, {4, true, 0, 16, 0},
};

struct under_test {
    struct lam_db *db;
    struct lam_session *s;
    struct way way;
};

static inline void ut_open(struct under_test *u, const struct way *w, struct env *env)
{
    struct lam_config cfg = {.size = sizeof cfg, .threads = w->threads ? w->workers : 0, .batch_rows = w->batch_rows, .seed = 42};
    struct db_setup setup = {.env = env ? env : env_real(), .workers = w->workers, .shuffle = w->shuffle, .ring_slots = w->ring_slots};
    u->way = *w;
    assert_int_equal(db_open(&cfg, &setup, &u->db), 0);
    assert_int_equal(lam_session_open(u->db, &u->s), 0);
}

static inline void ut_close(struct under_test *u)
{
    lam_session_close(u->s);
    assert_int_equal(lam_close(u->db, 20000000), LAM_OK);
}

static inline void ut_sql(struct under_test *u, const char *sql)
{
    if (lam_execute(u->s, sql, NULL) != LAM_OK) fail_msg("%s\n%s", lam_errdetail(u->s, "test"), lam_errhint(u->s));
}

/* Pushes n rows of BIGINT columns, cell(ctx, row, column). */
static inline int ut_push(struct under_test *u, const char *source, const char *const *names, int ncols, int n,
                          int64_t (*cell)(void *ctx, int row, int col), void *ctx, int64_t timeout_us)
{
    struct arena *a = arena_new();
    struct schema *s = schema_new(a, ncols);
    for (int c = 0; c < ncols; c++) s->fields[c] = (struct field){.name = names[c], .type = TYPE(T_INT64)};
    struct pool *p = pool_new(NULL);
    struct batch *b = batch_for(p, s, (uint32_t)n);
    b->rows = (uint32_t)n;
    for (int c = 0; c < ncols; c++)
        for (int r = 0; r < n; r++) ((int64_t *)b->cols[c].data)[r] = cell(ctx, r, c);
    struct ArrowArray array;
    struct ArrowSchema schema;
    struct err err;
    assert_int_equal(cdata_export(p, b, s, 0, &array, &err), 0);
    cdata_schema(s, 0, &schema);
    int r = lam_push(u->db, source, &array, &schema, timeout_us);
    if (r && array.release) array.release(&array);
    schema.release(&schema);
    batch_unref(b);
    pool_close(p);
    arena_free(a);
    return r;
}

/* The i-th BIGINT column of an array. */
static inline int64_t ut_i64(const struct ArrowArray *a, int col, int64_t row)
{
    return ((const int64_t *)a->children[col]->buffers[1])[row + a->children[col]->offset];
}

#endif
