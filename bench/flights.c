/* SPDX-License-Identifier: Apache-2.0 */
#include "flights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COLUMNS 5

/* Columns of one batch: ts, delay, distance; then offsets and bytes of origin and destination. */
struct block {
    struct ArrowArray children[COLUMNS], *list[COLUMNS];
    const void *buffers[COLUMNS][3], *none[1];
    int64_t *ints[3];
    int32_t *offsets[2];
    char *bytes[2];
};

static void *alloc(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    if (!p) abort();
    return p;
}

static void keep(struct ArrowArray *a)
{
    a->release = NULL;
}
static void keep_schema(struct ArrowSchema *s)
{
    s->release = NULL;
}

static struct block *block_new(int rows, size_t text)
{
    struct block *b = alloc(sizeof *b);
    memset(b, 0, sizeof *b);
    for (int i = 0; i < 3; i++) b->buffers[i][1] = b->ints[i] = alloc(sizeof(int64_t) * (size_t)rows);
    for (int i = 0; i < 2; i++) {
        b->buffers[3 + i][1] = b->offsets[i] = alloc(sizeof(int32_t) * (size_t)(rows + 1));
        b->buffers[3 + i][2] = b->bytes[i] = alloc(text + 1);
        b->offsets[i][0] = 0;
    }
    for (int i = 0; i < COLUMNS; i++) {
        b->children[i] = (struct ArrowArray){.n_buffers = i < 3 ? 2 : 3, .buffers = b->buffers[i], .release = keep};
        b->list[i] = &b->children[i];
    }
    return b;
}

static struct ArrowArray block_array(struct block *b, int rows)
{
    for (int i = 0; i < COLUMNS; i++) b->children[i].length = rows;
    return (struct ArrowArray){.length = rows,
                               .n_buffers = 1,
                               .n_children = COLUMNS,
                               .buffers = b->none,
                               .children = b->list,
                               .release = keep};
}

static char *read_all(const char *path, size_t *n)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st)) perror(path), exit(2);
    *n = (size_t)st.st_size;
    char *p = malloc(*n + 1);
    if (!p || fread(p, 1, *n, f) != *n) perror(path), exit(2);
    p[*n] = '\0';
    fclose(f);
    return p;
}

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = y / 400, year = y - era * 400, day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static int two(const char *p)
{
    return (p[0] - '0') * 10 + p[1] - '0';
}

/* "2001-01-31 23:59:00" */
static int64_t read_ts(const char *p)
{
    int64_t days = days_of(two(p) * 100 + two(p + 2), two(p + 5), two(p + 8));
    return (((days * 24 + two(p + 11)) * 60 + two(p + 14)) * 60 + two(p + 17)) * 1000000;
}

static const char *put_text(struct block *b, int col, int row, const char *p, char stop)
{
    const char *end = strchr(p, stop);
    if (!end) fprintf(stderr, "the file of flights is cut short\n"), exit(2);
    int32_t at = b->offsets[col][row], n = (int32_t)(end - p);
    memcpy(b->bytes[col] + at, p, (size_t)n);
    b->offsets[col][row + 1] = at + n;
    return end + 1;
}

static const char *put_row(struct block *b, int row, const char *p)
{
    char *at;
    b->ints[0][row] = read_ts(p);
    b->ints[1][row] = strtoll(p + 20, &at, 10);
    b->ints[2][row] = strtoll(at + 1, &at, 10);
    return put_text(b, 1, row, put_text(b, 0, row, at + 1, ','), '\n');
}

static void make_schema(struct ArrowSchema *out)
{
    static const char *const names[COLUMNS] = {"ts", "delay", "distance", "origin", "destination"};
    static const char *const formats[COLUMNS] = {"tsu:", "l", "l", "u", "u"};
    static struct ArrowSchema children[COLUMNS], *list[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        children[i] = (struct ArrowSchema){
            .format = formats[i], .name = names[i], .flags = ARROW_FLAG_NULLABLE, .release = keep_schema};
        list[i] = &children[i];
    }
    *out = (struct ArrowSchema){
        .format = "+s", .name = "", .n_children = COLUMNS, .children = list, .release = keep_schema};
}

void flights_read(struct flights *f, const char *path, int batch_rows)
{
    size_t n;
    char *text = read_all(path, &n);
    const char *end = text + n, *p = strchr(text, '\n');
    p = p ? p + 1 : end;
    *f = (struct flights){0};
    make_schema(&f->schema);
    for (int cap = 0; p < end; f->n++) {
        if (f->n == cap) f->batches = realloc(f->batches, sizeof *f->batches * (size_t)(cap = cap ? cap * 2 : 256));
        if (!f->batches) abort();
        struct block *b = block_new(batch_rows, (size_t)batch_rows * 32);
        int rows = 0;
        while (p < end && rows < batch_rows) p = put_row(b, rows++, p);
        f->batches[f->n] = block_array(b, rows);
        f->rows += rows;
    }
    free(text);
}
