/* Laminar in a program: rows go in as Arrow arrays, a query runs on them, its rows come out as Arrow arrays.
 *
 *     cc embed.c $(pkg-config --cflags --libs laminar) -o embed && ./embed
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <laminar.h>
#include <stdio.h>
#include <string.h>

/* Rows that live in the program's own memory: nothing is copied to show them, so there is little to release. */
static void release_array(struct ArrowArray *a) { a->release = NULL; }
static void release_schema(struct ArrowSchema *s) { s->release = NULL; }

static int push(struct lam_db *db, const int64_t *sensor, const double *celsius, int64_t n)
{
    const void *nothing[1] = {NULL}, *sensors[2] = {NULL, sensor}, *temperatures[2] = {NULL, celsius};
    struct ArrowArray a = {.length = n, .n_buffers = 2, .buffers = sensors, .release = release_array};
    struct ArrowArray b = {.length = n, .n_buffers = 2, .buffers = temperatures, .release = release_array};
    struct ArrowArray rows = {.length = n, .n_buffers = 1, .buffers = nothing, .n_children = 2,
                              .children = (struct ArrowArray *[]){&a, &b}, .release = release_array};
    struct ArrowSchema x = {.format = "l", .name = "sensor", .release = release_schema};
    struct ArrowSchema y = {.format = "g", .name = "celsius", .release = release_schema};
    struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 2,
                                 .children = (struct ArrowSchema *[]){&x, &y}, .release = release_schema};
    int r = lam_push(db, "readings", &rows, &schema, -1);
    if (r) fprintf(stderr, "push: %s\n", lam_errmsg(NULL));
    return r;
}

static void print(const struct ArrowArray *rows)
{
    const int64_t *sensor = rows->children[0]->buffers[1];
    const double *fahrenheit = rows->children[1]->buffers[1];
    for (int64_t i = 0; i < rows->length; i++)
        printf("sensor %lld: %.1f F\n", (long long)sensor[i + rows->children[0]->offset], fahrenheit[i + rows->children[1]->offset]);
}

int main(void)
{
    struct lam_db *db;
    struct lam_session *s;
    struct lam_sub *sub;
    struct ArrowArray rows;
    if (lam_open(NULL, NULL, &db) || lam_session_open(db, &s)) return 1;
    if (lam_execute(s,
                    "CREATE SOURCE readings (sensor BIGINT, celsius DOUBLE);"
                    "CREATE STREAM hot AS SELECT sensor, celsius * 9 / 5 + 32 AS fahrenheit FROM readings WHERE celsius > 30;",
                    NULL) ||
        lam_subscribe(s, "hot", NULL, &sub)) {
        fprintf(stderr, "%s\n", lam_errdetail(s, "embed"));
        return 1;
    }
    const int64_t sensor[] = {1, 2, 1, 3};
    const double celsius[] = {21.5, 35, 40, -3};
    if (push(db, sensor, celsius, 4) || lam_push_end(db, "readings")) return 1;
    int r;
    while (!(r = lam_recv(sub, &rows, -1))) { /* a program that goes on would do this in a thread of its own */
        print(&rows);
        rows.release(&rows);
    }
    if (r != LAM_END) fprintf(stderr, "recv: %s\n", lam_errmsg(NULL));
    lam_sub_close(sub);
    lam_session_close(s);
    return lam_close(db, -1) || r != LAM_END;
}
