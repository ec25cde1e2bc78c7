/* One line on the terminal when what is being printed stays silent although rows arrive: the reason, as EXPLAIN STREAM knows
 * it. A thread with a session of its own looks once a second, for who prints waits. SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SILENT_S 3

struct hint {
    struct cli cli; /* with its own session */
    char *name;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    int64_t in, out; /* rows of all sources, of the stream */
    char why[400];
};

static void add_source(void *ctx, const struct show_row *r) { ((struct hint *)ctx)->in += show_count(r, "rows"); }

static void add_stream(void *ctx, const struct show_row *r)
{
    struct hint *h = ctx;
    char name[256];
    show_text(r, "stream_name", name, sizeof name);
    if (!strcmp(name, h->name)) h->out = show_count(r, "rows");
}

static void find_reason(void *ctx, const struct show_row *r)
{
    static const char label[] = "why nothing comes out: ";
    struct hint *h = ctx;
    char line[400];
    show_text(r, "plan", line, sizeof line);
    if (!strncmp(line, label, strlen(label))) snprintf(h->why, sizeof h->why, "%s", line + strlen(label));
}

static bool tell(struct hint *h)
{
    char sql[300], *quoted = cli_identifier(h->name);
    snprintf(sql, sizeof sql, "EXPLAIN STREAM %s", quoted);
    free(quoted);
    show_each(&h->cli, sql, find_reason, h);
    if (h->why[0]) fprintf(stderr, "note: nothing has come out of %s for %d s: %s\n", h->name, SILENT_S, h->why);
    return h->why[0];
}

/* A second passes; false: it is over. */
static bool next_second(struct hint *h)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&h->lock);
    while (!h->stop && !pthread_cond_timedwait(&h->wake, &h->lock, &until)) {}
    bool goes_on = !h->stop;
    pthread_mutex_unlock(&h->lock);
    return goes_on;
}

static void *watch(void *arg)
{
    struct hint *h = arg;
    double since = cli_now();
    int64_t in = 0, out = 0;
    while (next_second(h)) {
        h->in = 0;
        show_each(&h->cli, "SHOW SOURCES", add_source, h);
        show_each(&h->cli, "SHOW STREAMS", add_stream, h);
        if (h->out != out) {
            out = h->out, in = h->in, since = cli_now();
        } else if (cli_now() - since >= SILENT_S && h->in > in && tell(h)) {
            break;
        }
    }
    return NULL;
}

struct hint *hint_begin(const struct cli *c, const char *name)
{
    if (c->quiet || !isatty(2)) return NULL;
    struct hint *h = calloc(1, sizeof *h);
    pthread_condattr_t monotonic;
    h->cli = *c;
    h->name = strdup(name);
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!lam_session_open(c->db, &h->cli.session) && !pthread_create(&h->thread, NULL, watch, h)) return h;
    lam_session_close(h->cli.session);
    free(h->name);
    free(h);
    return NULL;
}

void hint_end(struct hint *h)
{
    if (!h) return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    lam_session_close(h->cli.session);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h->name);
    free(h);
}
