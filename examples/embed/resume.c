/* A reader that goes away and misses nothing: it notes the epoch up to which it is done, and resumes there.
 *
 *     cc resume.c $(pkg-config --cflags --libs laminar) -o resume && ./resume
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <laminar.h>
#include <stdio.h>
#include <stdlib.h>

static struct lam_db *db;
static struct lam_session *s;

static void must(int r, const char *what)
{
    if (!r) return;
    fprintf(stderr, "%s: %s %s\n", what, lam_strerror(r), lam_errmsg(s));
    exit(1);
}

static void release_array(struct ArrowArray *a) { a->release = NULL; }
static void release_schema(struct ArrowSchema *x) { x->release = NULL; }

static void push(int64_t v)
{
    const void *nothing[1] = {NULL}, *cells[2] = {NULL, &v};
    struct ArrowArray a = {.length = 1, .n_buffers = 2, .buffers = cells, .release = release_array};
    struct ArrowArray rows = {.length = 1, .n_buffers = 1, .buffers = nothing, .n_children = 1,
                              .children = (struct ArrowArray *[]){&a}, .release = release_array};
    struct ArrowSchema x = {.format = "l", .name = "v", .release = release_schema};
    struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 1,
                                 .children = (struct ArrowSchema *[]){&x}, .release = release_schema};
    must(lam_push(db, "numbers", &rows, &schema, -1), "push");
}

/* CHECKPOINT says its number: everything pushed before it is behind that epoch. */
static uint64_t checkpoint(void)
{
    struct ArrowArrayStream rows;
    struct ArrowArray a;
    must(lam_execute(s, "CHECKPOINT", &rows), "checkpoint");
    must(rows.get_next(&rows, &a), "checkpoint");
    uint64_t epoch = (uint64_t)((const int64_t *)a.children[0]->buffers[1])[a.children[0]->offset];
    a.release(&a);
    rows.release(&rows);
    return epoch;
}

static int64_t sum(const struct ArrowArray *rows)
{
    int64_t total = 0;
    const int64_t *v = rows->children[0]->buffers[1];
    for (int64_t i = 0; i < rows->length; i++) total += v[i + rows->children[0]->offset];
    return total;
}

/* What would be kept in one transaction: a result, and the epoch up to which it is whole. */
static struct {
    int64_t total;
    uint64_t epoch;
} kept;

/* Reads until `to`, or goes away after so many batches, with some rows taken that it forgets. */
static void read_to(uint64_t to, int batches)
{
    struct lam_sub_config cfg = {.size = sizeof cfg, .after_epoch = kept.epoch};
    struct lam_sub *sub;
    struct ArrowArray rows;
    int64_t pending = 0;
    must(lam_subscribe(s, "doubled", &cfg, &sub), "subscribe");
    while (kept.epoch < to && batches) {
        int r = lam_recv(sub, &rows, 10000);
        if (r != LAM_OK && r != LAM_TIMEOUT) must(r, "recv");
        if ((uint64_t)lam_sub_epoch(sub) > kept.epoch) {
            kept.total += pending;
            kept.epoch = (uint64_t)lam_sub_epoch(sub);
            pending = 0;
        }
        if (r == LAM_TIMEOUT) continue;
        pending += sum(&rows);
        rows.release(&rows);
        batches--;
    }
    lam_sub_close(sub);
}

int main(void)
{
    must(lam_open(NULL, NULL, &db), "open");
    must(lam_session_open(db, &s), "session");
    must(lam_execute(s, "CREATE SOURCE numbers (v BIGINT);"
                        "CREATE STREAM doubled WITH ('retain_history' = '64mb') AS SELECT v * 2 AS v FROM numbers",
                     NULL), "execute");
    kept.epoch = checkpoint();
    for (int64_t v = 1; v <= 5; v++) push(v);
    checkpoint();
    for (int64_t v = 6; v <= 10; v++) push(v);
    uint64_t last = checkpoint();
    read_to(last, 1);
    printf("away after a batch, with a sum of %lld\n", (long long)kept.total);
    read_to(last, -1);
    printf("resumed: all sum to %lld\n", (long long)kept.total);
    lam_session_close(s);
    must(lam_close(db, -1), "close");
    return 0;
}
