/* Subscriptions in a program: one that drops what it is too slow for, one whose descriptor is polled, one that is called.
 *
 *     cc subscribe.c $(pkg-config --cflags --libs laminar) -o subscribe && ./subscribe
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <laminar.h>
#include <poll.h>
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

static struct lam_sub *subscribe(struct lam_sub_config cfg)
{
    struct lam_sub *sub;
    cfg.size = sizeof cfg;
    must(lam_subscribe(s, "numbers", &cfg, &sub), "subscribe");
    return sub;
}

static int64_t sum(const struct ArrowArray *rows)
{
    int64_t total = 0;
    const int64_t *v = rows->children[0]->buffers[1];
    for (int64_t i = 0; i < rows->length; i++) total += v[i + rows->children[0]->offset];
    return total;
}

/* Called on a thread of the library with whatever lam_recv would have returned. */
static void on_rows(void *ctx, struct lam_sub *sub, int code, struct ArrowArray *rows)
{
    int64_t *total = ctx;
    (void)sub;
    if (code == LAM_OK) *total += sum(rows); /* released after the call */
}

/* Its buffer takes one batch, and it does not look before the end. */
static void look_late(struct lam_sub *sub)
{
    struct ArrowArray rows;
    for (int r; (r = lam_recv(sub, &rows, -1)) != LAM_END;) {
        if (r == LAM_GAP) {
            uint64_t n, batches;
            lam_sub_gap(sub, &n, &batches);
            printf("late: %llu rows were dropped\n", (unsigned long long)n);
            continue;
        }
        must(r, "recv");
        printf("late: the last one is %lld\n", (long long)sum(&rows));
        rows.release(&rows);
    }
    struct lam_sub_stats st = {.size = sizeof st};
    must(lam_sub_stats(sub, &st), "stats");
    printf("late: %llu delivered, %llu dropped\n", (unsigned long long)st.delivered_rows, (unsigned long long)st.dropped_rows);
}

static void poll_descriptor(struct lam_sub *sub)
{
    struct ArrowArray rows[16];
    struct pollfd p = {lam_sub_fd(sub), POLLIN, 0};
    int64_t total = 0;
    size_t n;
    for (int r = LAM_OK; r != LAM_END;) {
        poll(&p, 1, -1);
        while (!(r = lam_poll_many(sub, rows, 16, &n)))
            for (size_t i = 0; i < n; i++) {
                total += sum(&rows[i]);
                rows[i].release(&rows[i]);
            }
    }
    printf("polled: the even ones sum to %lld\n", (long long)total);
}

int main(void)
{
    int64_t total = 0;
    must(lam_open(NULL, NULL, &db), "open");
    must(lam_session_open(db, &s), "session");
    must(lam_execute(s, "CREATE SOURCE numbers (v BIGINT)", NULL), "execute");
    struct lam_sub *late = subscribe((struct lam_sub_config){.policy = "drop_oldest", .buffer_bytes = 1});
    struct lam_sub *even = subscribe((struct lam_sub_config){.where = "v % 2 = 0"});
    struct lam_sub *called = subscribe((struct lam_sub_config){.callback = on_rows, .ctx = &total});
    for (int64_t v = 1; v <= 10; v++) push(v);
    must(lam_push_end(db, "numbers"), "end");
    must(lam_wait(db, s, -1), "wait");
    poll_descriptor(even);
    look_late(late);
    for (struct lam_sub_stats st = {.size = sizeof st}; st.delivered_rows < 10;) must(lam_sub_stats(called, &st), "stats");
    lam_sub_close(called); /* waits for the call that runs */
    printf("called: all sum to %lld\n", (long long)total);
    lam_sub_close(even);
    lam_sub_close(late);
    lam_session_close(s);
    must(lam_close(db, -1), "close");
    return 0;
}
