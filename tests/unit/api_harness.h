/* What a program that embeds Laminar has: laminar.h, and rows made by hand. SPDX-License-Identifier: Apache-2.0 */
#ifndef API_HARNESS_H
#define API_HARNESS_H

#include "unit.h"

#include <laminar.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000
#define LONG_TIME (20 * SECOND)

static _Atomic int rows_released;

/* Columns are given as "v:l,k:u": names and Arrow formats, l for int64, g for double, u for text. */
static inline void column_release(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_buffers; i++) free((void *)a->buffers[i]);
    free(a->buffers);
    a->release = NULL;
}

static inline void rows_release(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_children; i++) {
        if (a->children[i]->release) a->children[i]->release(a->children[i]);
        free(a->children[i]);
    }
    free(a->children);
    free(a->buffers);
    a->release = NULL;
    atomic_fetch_add(&rows_released, 1);
}

static inline void schema_release(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++) {
        s->children[i]->release(s->children[i]);
        free(s->children[i]);
    }
    free(s->children);
    s->release = NULL;
}

static inline void field_release(struct ArrowSchema *s)
{
    free((void *)s->name);
    free((void *)s->format);
    s->release = NULL;
}

static inline void column_of_text(struct ArrowArray *a, const char *const *cells, int step)
{
    int32_t *offsets = calloc((size_t)a->length + 1, sizeof *offsets);
    for (int64_t i = 0; i < a->length; i++) offsets[i + 1] = offsets[i] + (int32_t)strlen(cells[i * step]);
    char *bytes = malloc((size_t)offsets[a->length] + 1);
    for (int64_t i = 0; i < a->length; i++) memcpy(bytes + offsets[i], cells[i * step], strlen(cells[i * step]));
    a->n_buffers = 3;
    a->buffers = calloc(3, sizeof *a->buffers);
    a->buffers[1] = offsets;
    a->buffers[2] = bytes;
}

static inline void column_of_words(struct ArrowArray *a, const int64_t *cells, int step)
{
    int64_t *data = calloc((size_t)a->length + 1, sizeof *data);
    for (int64_t i = 0; i < a->length; i++) data[i] = cells[i * step];
    a->n_buffers = 2;
    a->buffers = calloc(2, sizeof *a->buffers);
    a->buffers[1] = data;
}

/* cells: row by row, 8 bytes each; those of u columns are pointers to strings. */
static inline void rows_make(const char *columns, const int64_t *cells, int64_t n, struct ArrowArray *a, struct ArrowSchema *s)
{
    char text[200];
    int width = 1, c = 0;
    for (const char *p = columns; *p; p++) width += *p == ',';
    snprintf(text, sizeof text, "%s", columns);
    *a = (struct ArrowArray){.length = n, .n_buffers = 1, .n_children = width, .release = rows_release};
    *s = (struct ArrowSchema){.format = "+s", .name = "", .n_children = width, .release = schema_release};
    a->buffers = calloc(1, sizeof *a->buffers);
    a->children = calloc((size_t)width, sizeof *a->children);
    s->children = calloc((size_t)width, sizeof *s->children);
    char *rest;
    for (char *name = strtok_r(text, ",", &rest); name; name = strtok_r(NULL, ",", &rest), c++) {
        char *format = strchr(name, ':');
        *format++ = 0;
        struct ArrowArray *x = a->children[c] = calloc(1, sizeof *x);
        struct ArrowSchema *y = s->children[c] = calloc(1, sizeof *y);
        *y = (struct ArrowSchema){.format = strdup(format), .name = strdup(name), .flags = ARROW_FLAG_NULLABLE,
                                   .release = field_release};
        *x = (struct ArrowArray){.length = n, .release = column_release};
        if (*format == 'u')
            column_of_text(x, (const char *const *)cells + c, width);
        else
            column_of_words(x, cells + c, width);
    }
}

/* Pushes; what was not taken is released here. */
static inline int push(struct lam_db *db, const char *source, const char *columns, const int64_t *cells, int64_t n, int64_t timeout_us)
{
    struct ArrowArray a;
    struct ArrowSchema s;
    rows_make(columns, cells, n, &a, &s);
    int r = lam_push(db, source, &a, &s, timeout_us);
    assert_true(r == LAM_OK ? !a.release : !!a.release); /* taken, or still the caller's */
    if (a.release) a.release(&a);
    s.release(&s);
    return r;
}

static inline int push_one(struct lam_db *db, const char *source, int64_t v)
{
    return push(db, source, "v:l", &v, 1, LONG_TIME);
}

static inline struct lam_db *open_db(int threads)
{
    struct lam_config cfg = {.size = sizeof cfg, .threads = threads, .seed = 1};
    struct lam_db *db;
    ok(lam_open(NULL, &cfg, &db));
    return db;
}

static inline struct lam_session *open_session(struct lam_db *db)
{
    struct lam_session *s;
    ok(lam_session_open(db, &s));
    return s;
}

static inline void close_both(struct lam_db *db, struct lam_session *s)
{
    lam_session_close(s);
    ok(lam_close(db, LONG_TIME));
}

static inline void run(struct lam_session *s, const char *sql)
{
    if (lam_execute(s, sql, NULL)) fail_msg("%s", lam_errdetail(s, "test"));
}

static inline struct lam_sub *subscribe(struct lam_session *s, const char *stream, const char *where)
{
    struct lam_sub_config cfg = {.size = sizeof cfg, .where = where};
    struct lam_sub *sub;
    if (lam_subscribe(s, stream, &cfg, &sub)) fail_msg("%s", lam_errdetail(s, "test"));
    return sub;
}

static inline int64_t cell(const struct ArrowArray *a, int col, int64_t row)
{
    const struct ArrowArray *c = a->children[col];
    return ((const int64_t *)c->buffers[1])[row + c->offset];
}

/* Receives until `rows` are there or nothing more comes; the sum of one column. */
static inline int64_t receive(struct lam_sub *sub, int col, int64_t rows, int64_t *sum)
{
    struct ArrowArray a;
    int64_t n = 0, total = 0;
    while (n < rows && lam_recv(sub, &a, LONG_TIME) == LAM_OK) {
        n += a.length;
        for (int64_t i = 0; i < a.length; i++) total += cell(&a, col, i);
        a.release(&a);
    }
    if (sum) *sum = total;
    return n;
}

static inline int64_t cpu_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * SECOND + t.tv_nsec / 1000;
}

#endif
