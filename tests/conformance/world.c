/* What the cases stand on: a folder, the other ends, databases. SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- a folder --------------------------------------------------------------------------------------------- */

char world[64];

void world_make(void)
{
    strcpy(world, "/tmp/laminar-conformance-XXXXXX");
    if (!mkdtemp(world)) abort();
}

void world_end(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", world);
    if (system(command)) abort();
}

const char *world_path(const char *name)
{
    static char paths[4][256];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", world, name);
    return p;
}

static void put(const char *name, const char *text, size_t n, const char *mode)
{
    FILE *f = fopen(world_path(name), mode);
    if (!f || fwrite(text, 1, n, f) != n || fclose(f)) abort();
}
void world_write(const char *name, const char *text, size_t n)
{
    put(name, text, n, "w");
}
void world_append(const char *name, const char *text, size_t n)
{
    put(name, text, n, "a");
}

char *world_read(const char *name)
{
    FILE *f = fopen(*name == '/' ? name : world_path(name), "r");
    char *text = NULL;
    size_t cap = 0;
    if (f && getdelim(&text, &cap, 0, f) < 0) {
        free(text);
        text = NULL;
    }
    if (f) fclose(f);
    return text ? text : strdup("");
}

/* ---- a peer ----------------------------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    char path[200];
    int listener, fd; /* or -1 */
    bool stop, down, hold, hang_up;
    struct text in; /* from the connection: a line that is not whole yet */
    struct text kept;
    char *give;
    size_t ngive, given;
} peer = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void leave(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void attend(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, peer.path);
    if (peer.down) {
        leave(&peer.listener), leave(&peer.fd), unlink(peer.path);
        text_clear(&peer.in); /* half a line is none */
        return;
    }
    if (peer.listener < 0) {
        peer.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (bind(peer.listener, (struct sockaddr *)&at, sizeof at) || listen(peer.listener, 1)) abort();
    }
    if (peer.fd < 0) {
        peer.fd = accept4(peer.listener, NULL, NULL, SOCK_NONBLOCK);
        text_clear(&peer.in);
    }
}

static void take_line(const char *line, size_t n)
{
    char answer[40];
    if (*line != 5) {
        text_put(&peer.kept, line, n);
        return;
    }
    int k = snprintf(answer, sizeof answer, "\006%ld\n", strtol(line + 1, NULL, 10));
    if (send(peer.fd, answer, (size_t)k, MSG_NOSIGNAL) != k) leave(&peer.fd);
}

static void take_in(void)
{
    char bytes[65536];
    ssize_t k = recv(peer.fd, bytes, sizeof bytes, 0);
    if (!k || (k < 0 && errno != EAGAIN)) leave(&peer.fd);
    if (k > 0) text_put(&peer.in, bytes, (size_t)k);
    size_t at = 0;
    for (char *end; peer.fd >= 0 && at < peer.in.n && (end = memchr(peer.in.p + at, '\n', peer.in.n - at));) {
        size_t next = (size_t)(end - peer.in.p) + 1;
        take_line(peer.in.p + at, next - at);
        at = next;
    }
    if (at) memmove(peer.in.p, peer.in.p + at, peer.in.n - at);
    peer.in.n -= at;
}

static void give_out(void)
{
    ssize_t k =
        peer.ngive > peer.given ? send(peer.fd, peer.give + peer.given, peer.ngive - peer.given, MSG_NOSIGNAL) : 0;
    if (k > 0) peer.given += (size_t)k;
    if (peer.hang_up && peer.given == peer.ngive) leave(&peer.fd);
}

static void *peer_run(void *p)
{
    (void)p;
    for (bool stop = false; !stop; usleep(500)) {
        pthread_mutex_lock(&peer.lock);
        attend();
        for (int i = 0; i < 32 && peer.fd >= 0 && !peer.hold; i++) {
            if (peer.give) give_out();
            if (peer.fd >= 0) take_in();
        }
        stop = peer.stop;
        pthread_mutex_unlock(&peer.lock);
    }
    return NULL;
}

void peer_start(const char *path)
{
    snprintf(peer.path, sizeof peer.path, "%s", path);
    peer.listener = peer.fd = -1;
    peer.stop = peer.down = peer.hold = peer.hang_up = false;
    peer.ngive = peer.given = 0;
    attend();
    pthread_create(&peer.thread, NULL, peer_run, NULL);
}

void peer_stop(void)
{
    pthread_mutex_lock(&peer.lock);
    peer.stop = true;
    pthread_mutex_unlock(&peer.lock);
    pthread_join(peer.thread, NULL);
    leave(&peer.listener), leave(&peer.fd);
    text_done(&peer.in), text_done(&peer.kept);
    peer.in = peer.kept = (struct text){0};
    free(peer.give);
    peer.give = NULL;
}

static void set(bool *flag, bool to)
{
    pthread_mutex_lock(&peer.lock);
    *flag = to;
    pthread_mutex_unlock(&peer.lock);
    usleep(20000);
}
void peer_down(bool down)
{
    set(&peer.down, down);
}
void peer_hold(bool hold)
{
    set(&peer.hold, hold);
}

void peer_give(const char *text, size_t n, bool hang_up)
{
    pthread_mutex_lock(&peer.lock);
    peer.give = realloc(peer.give, peer.ngive + n + 1);
    memcpy(peer.give + peer.ngive, text, n);
    peer.ngive += n;
    peer.hang_up = hang_up;
    pthread_mutex_unlock(&peer.lock);
}

char *peer_lines(void)
{
    pthread_mutex_lock(&peer.lock);
    char *text = strdup(text_cstr(&peer.kept));
    pthread_mutex_unlock(&peer.lock);
    return text;
}

size_t peer_given(void)
{
    pthread_mutex_lock(&peer.lock);
    size_t n = peer.given;
    pthread_mutex_unlock(&peer.lock);
    return n;
}

/* ---- descriptor 1 ------------------------------------------------------------------------------------------ */

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    int pipes[2], saved;
    bool hold, stop;
    struct text seen;
} tap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void drink(void)
{
    char bytes[65536];
    ssize_t n;
    while ((!tap.hold || tap.stop) && (n = read(tap.pipes[0], bytes, sizeof bytes)) > 0)
        text_put(&tap.seen, bytes, (size_t)n);
}

static void *tap_run(void *p)
{
    (void)p;
    for (bool stop = false; !stop; usleep(500)) {
        pthread_mutex_lock(&tap.lock);
        drink();
        stop = tap.stop;
        pthread_mutex_unlock(&tap.lock);
    }
    return NULL;
}

void tap_start(void)
{
    if (pipe(tap.pipes)) abort();
    fcntl(tap.pipes[0], F_SETFL, O_NONBLOCK);
    tap.saved = dup(1);
    tap.stop = tap.hold = false;
    dup2(tap.pipes[1], 1);
    close(tap.pipes[1]);
    pthread_create(&tap.thread, NULL, tap_run, NULL);
}

char *tap_seen(void)
{
    pthread_mutex_lock(&tap.lock);
    drink();
    char *text = strdup(text_cstr(&tap.seen));
    pthread_mutex_unlock(&tap.lock);
    return text;
}

void tap_hold(bool hold)
{
    pthread_mutex_lock(&tap.lock);
    tap.hold = hold;
    pthread_mutex_unlock(&tap.lock);
}

char *tap_stop(void)
{
    pthread_mutex_lock(&tap.lock);
    tap.stop = true;
    pthread_mutex_unlock(&tap.lock);
    pthread_join(tap.thread, NULL);
    char *text = tap_seen();
    dup2(tap.saved, 1);
    close(tap.saved), close(tap.pipes[0]);
    text_done(&tap.seen);
    tap.seen = (struct text){0};
    return text;
}

/* ---- databases ------------------------------------------------------------------------------------------------ */

struct run run_open(int threads)
{
    struct run r;
    struct lam_config cfg = {.size = sizeof cfg, .threads = threads};
    if (lam_open(NULL, &cfg, &r.db) || lam_session_open(r.db, &r.s)) abort();
    return r;
}

int run_close(struct run *r)
{
    lam_session_close(r->s);
    return lam_close(r->db, 2000000);
}

int run_sql(struct run *r, const char *fmt, ...)
{
    char *sql;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&sql, fmt, ap) < 0) abort();
    va_end(ap);
    int code = lam_execute(r->s, sql, NULL);
    free(sql);
    return code;
}

/* Rows as an Arrow array over malloc. */
struct pushed {
    int64_t *k;
    int32_t *offsets;
    uint8_t *valid;
    char *text;
    const void *buffers[3][3];
    struct ArrowArray children[2], *list[2];
};

static void release_child(struct ArrowArray *a)
{
    a->release = NULL;
}
static void release_rows(struct ArrowArray *a)
{
    struct pushed *x = a->private_data;
    free(x->k), free(x->offsets), free(x->valid), free(x->text), free(x);
    a->release = NULL;
}

static size_t put_text(char *to, int64_t k, size_t wide)
{
    if (k % 5 == 3 || k % 5 == 4) return 0;
    size_t n = (size_t)sprintf(to, "row %ld", (long)k);
    for (; n < wide; n++) to[n] = (char)('a' + n % 26);
    return n;
}

int run_push(struct run *r, const char *source, int64_t first, int n, size_t wide)
{
    struct pushed *x = calloc(1, sizeof *x);
    x->k = calloc((size_t)n, 8);
    x->offsets = calloc((size_t)n + 1, 4);
    x->valid = calloc((size_t)n / 8 + 1, 1);
    x->text = malloc((size_t)n * (wide + 32));
    for (int i = 0; i < n; i++) {
        x->k[i] = first + i;
        if (x->k[i] % 5 != 3) x->valid[i / 8] |= (uint8_t)(1 << i % 8);
        x->offsets[i + 1] = x->offsets[i] + (int32_t)put_text(x->text + x->offsets[i], x->k[i], wide);
    }
    x->buffers[0][1] = x->k;
    x->buffers[1][0] = x->valid, x->buffers[1][1] = x->offsets, x->buffers[1][2] = x->text;
    for (int i = 0; i < 2; i++) {
        x->list[i] = &x->children[i];
        x->children[i] = (struct ArrowArray){.length = n,
                                             .null_count = i ? -1 : 0,
                                             .n_buffers = 2 + i,
                                             .buffers = x->buffers[i],
                                             .release = release_child};
    }
    struct ArrowArray a = {.length = n,
                           .n_buffers = 1,
                           .n_children = 2,
                           .buffers = x->buffers[2],
                           .children = x->list,
                           .release = release_rows,
                           .private_data = x};
    struct ArrowSchema columns[] = {
        {.format = "l", .name = "k", .release = (void (*)(struct ArrowSchema *))1},
        {.format = "u", .name = "t", .flags = 2, .release = (void (*)(struct ArrowSchema *))1}};
    struct ArrowSchema *list[] = {&columns[0], &columns[1]};
    struct ArrowSchema schema = {
        .format = "+s", .n_children = 2, .children = list, .release = (void (*)(struct ArrowSchema *))1};
    int code = lam_push(r->db, source, &a, &schema, 10000000);
    if (code) a.release(&a);
    return code;
}

int64_t run_number(struct run *r, const char *sql)
{
    struct ArrowArrayStream rows = {0};
    struct ArrowArray a = {0};
    int64_t v = -1;
    if (lam_execute(r->s, sql, &rows) || !rows.release) return -1;
    if (!rows.get_next(&rows, &a) && a.release) {
        if (a.length) v = ((const int64_t *)a.children[0]->buffers[1])[0];
        a.release(&a);
    }
    rows.release(&rows);
    return v;
}

/* The text in `column` of the row whose first column is `name`; malloc, NULL: none. */
char *run_text(struct run *r, const char *show, const char *name, const char *column)
{
    struct ArrowArrayStream rows = {0};
    struct ArrowSchema schema;
    struct ArrowArray a = {0};
    char *found = NULL;
    if (lam_execute(r->s, show, &rows)) return NULL;
    rows.get_schema(&rows, &schema);
    int64_t col = 0;
    while (col < schema.n_children && strcmp(schema.children[col]->name, column)) col++;
    while (col < schema.n_children && !rows.get_next(&rows, &a) && a.release) {
        const int32_t *at = a.children[0]->buffers[1], *to = a.children[col]->buffers[1];
        for (int64_t i = 0; i < a.length; i++) {
            const char *key = (const char *)a.children[0]->buffers[2] + at[i];
            if (strlen(name) != (size_t)(at[i + 1] - at[i]) || memcmp(key, name, strlen(name))) continue;
            free(found);
            found = strndup((const char *)a.children[col]->buffers[2] + to[i], (size_t)(to[i + 1] - to[i]));
        }
        a.release(&a);
    }
    schema.release(&schema);
    rows.release(&rows);
    return found;
}
