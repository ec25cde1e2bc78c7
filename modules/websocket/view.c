/* See view.h. SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include "server.h"
#include "subscribe.h"

#include <stdio.h>
#include <string.h>

#define LATE_BYTES (64 << 10)
#define SECOND     1000000
#define REPLAY_TIMES 4 /* what a filter may take of a second, for the past at once */

static const struct lam_host *host_of(const struct view *v)
{
    return v->server->io->host;
}

/* ---- making and freeing */

static char *copy(const struct lam_host *h, const char *s)
{
    return s ? strcpy(h->alloc(strlen(s) + 1), s) : NULL;
}

/* How frames of a format look: JSON can be enveloped, a stream of Arrow is preceded by a message that says what it holds, others
 * are bare. */
static void choose_framing(struct view *v, const char *format)
{
    const struct server_settings *set = &v->server->set;
    bool arrow = !strcmp(format, "arrow_ipc"), raw = !strcmp(format, "raw");
    v->framing.opcode = arrow || raw ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME;
    v->framing.batch = raw ? 1 : set->batch;
    v->framing.view = v->number;
    v->is_bare = set->is_bare || !(arrow || !strcmp(format, "json"));
    if (v->number)
        snprintf(v->lead, sizeof v->lead, "{\"type\":\"data\",\"subscription_id\":\"%u\",\"sequence\":", v->number);
    else
        strcpy(v->lead, "{\"type\":\"data\",\"sequence\":");
    v->framing.lead = v->is_bare ? NULL : v->lead;
}

static struct view *begin(struct server *s, uint32_t number, const char *format)
{
    struct view *v = s->io->host->alloc(sizeof *v);
    v->server = s;
    v->number = number;
    s->io->host->account(s->io, (int64_t)sizeof *v);
    choose_framing(v, format);
    return v;
}

struct view *view_all(struct server *s)
{
    return begin(s, 0, s->set.format);
}

struct view *view_new(struct server *s, uint32_t number, const char *filter, const char *format, char *why, size_t n)
{
    struct lam_view *rows = s->io->host->view_new(s->io, filter, format, why, n);
    if (!rows) return NULL;
    struct view *v = begin(s, number, format ? format : s->set.format);
    v->rows = rows;
    v->filter = copy(s->io->host, filter);
    v->format = copy(s->io->host, format);
    return v;
}

void view_free(struct view *v)
{
    struct lam_io *io = v->server->io;
    const struct lam_host *h = io->host;
    queue_done(&v->late, io);
    if (v->rows) h->view_free(v->rows);
    h->free(v->filter);
    h->free(v->format);
    h->account(io, -(int64_t)(sizeof *v + v->cap * sizeof *v->members));
    h->free(v->members);
    h->free(v);
}

/* ---- members */

static void put_member(struct view *v, uint32_t place, struct member m)
{
    v->members[place] = m;
    client_moved(m.client, v, place);
}

static void swap_members(struct view *v, uint32_t a, uint32_t b)
{
    struct member m = v->members[a];
    if (a == b) return;
    put_member(v, a, v->members[b]);
    put_member(v, b, m);
}

/* In the round under way, who has had its turn may have it again, but nobody goes without: who joins those that wait was offered all
 * that there is, and who leaves them is offered it before the round goes on. */
void view_sort(struct view *v, uint32_t place)
{
    bool keeps_up = !v->members[place].client->polls_out;
    if (keeps_up == (place < v->ready)) return;
    if (keeps_up)
        swap_members(v, place, v->ready++);
    else
        swap_members(v, place, --v->ready);
    if (v->late_at < v->ready) v->late_at = v->ready;
}

void view_join(struct view *v, struct client *c)
{
    if (v->n == v->cap) {
        uint32_t cap = v->cap ? 2 * v->cap : 8;
        v->members = host_of(v)->resize(v->members, v->cap * sizeof *v->members, cap * sizeof *v->members);
        host_of(v)->account(v->server->io, (int64_t)((cap - v->cap) * sizeof *v->members));
        v->cap = cap;
    }
    put_member(v, v->n++, (struct member){c, v->server->next});
    view_sort(v, v->n - 1);
}

void view_leave(struct view *v, uint32_t place)
{
    if (place < v->ready) {
        swap_members(v, place, --v->ready);
        place = v->ready;
    }
    if (place != --v->n) put_member(v, place, v->members[v->n]);
    v->late_at = v->ready; /* who was last may have had no turn: the round begins anew */
}

/* ---- offering */

void view_catch_up(struct view *v, uint32_t place, int64_t now)
{
    struct client *c = v->members[place].client;
    for (uint32_t i = 0; i < v->late.n && c->state == CLIENT_OPEN; i++) {
        struct segment *g = queue_at(&v->late, i)->of;
        uint64_t end = g->frames[g->n].sequence;
        if (end <= v->members[place].offered) continue;
        v->members[place].offered = end;
        client_offer(c, g, now);
    }
}

/* Those that keep up; who no longer does changes places with another, whose turn it is then. */
static bool serve_ready(struct view *v, int64_t now)
{
    bool all_live = true;
    for (uint32_t i = 0; i < v->ready;) {
        struct client *c = v->members[i].client;
        view_catch_up(v, i, now);
        all_live &= c->state != CLIENT_DEAD;
        if (v->members[i].client == c && i < v->ready) i++;
    }
    return all_live;
}

bool view_catch_up_all(struct view *v, int64_t now)
{
    bool all_live = serve_ready(v, now);
    for (uint32_t i = v->ready; i < v->n; i++) {
        struct client *c = v->members[i].client;
        view_catch_up(v, i, now);
        all_live &= c->state != CLIENT_DEAD;
    }
    queue_clear_before(&v->late, v->server->next);
    return all_live;
}

/* Of the members that take nothing, as many as make a round of all of them for each LATE_BYTES of frames. */
static bool catch_up_some(struct view *v, uint64_t bytes, uint64_t end, int64_t now)
{
    bool all_live = true;
    uint64_t most = LATE_BYTES < v->server->set.client_bytes ? LATE_BYTES : v->server->set.client_bytes;
    for (uint64_t n = 1 + (v->n - v->ready) * bytes / most; n && v->late_at < v->n; n--) {
        struct client *c = v->members[v->late_at].client;
        view_catch_up(v, v->late_at++, now);
        all_live &= c->state != CLIENT_DEAD;
    }
    if (v->late_at < v->n) return all_live;
    queue_clear_before(&v->late, v->late_round);
    v->late_round = end;
    v->late_at = v->ready;
    return all_live;
}

/* Those who keep up are served at once; a look at each of the others for every frame would keep them waiting. */
static bool fan_out(struct view *v, struct segment *g, int64_t now)
{
    uint64_t end = g->frames[g->n].sequence;
    queue_push(&v->late, v->server->io, g, 0, g->n);
    bool all_live = serve_ready(v, now);
    if (v->ready < v->n) return catch_up_some(v, segment_bytes(g, 0, g->n), end, now) && all_live;
    queue_clear_before(&v->late, end);
    return all_live;
}

/* ---- rows */

static struct records records_of(const struct view *v, const struct lam_values *offered, const struct lam_passed *p, int64_t n)
{
    uint64_t first = v->server->next;
    if (!v->rows) return (struct records){.values = offered, .n = n, .sequence = first, .end = first + (uint64_t)n};
    return (struct records){.values = p->values ? p->values : offered,
                            .dense = p->values,
                            .which = p->which,
                            .n = p->n,
                            .sequence = first,
                            .end = first + (uint64_t)n};
}

/* True: the filter is one that the server had better not go on with, and `why` says it. */
static bool is_spent(struct view *v, const struct lam_passed *p, int64_t took, int64_t now, char why[VIEW_WHY])
{
    if (now - v->second >= SECOND) v->second = now, v->spent_us = 0;
    v->spent_us += took;
    if (v->spent_us > v->server->set.filter_us)
        snprintf(why, VIEW_WHY, "the filter takes more than %lld ms of a second", (long long)v->server->set.filter_us / 1000);
    else if (p->spent)
        snprintf(why, VIEW_WHY, "%s", p->why);
    else
        return false;
    return true;
}

bool view_write(struct view *v, const struct lam_values *values, const struct lam_rows *rows, int64_t n, uint64_t *bytes, int64_t now)
{
    const struct lam_passed *p = NULL;
    char why[VIEW_WHY];
    bool all_live = true;
    if (v->rows) {
        int64_t from = host_of(v)->now(v->server->io);
        p = host_of(v)->view_read(v->rows, rows, n, v->server->set.filter_us);
        if (is_spent(v, p, host_of(v)->now(v->server->io) - from, from, why)) return subscribe_end(v, why), false;
        if (p->failed && !v->has_failed) {
            subscribe_tell(v, p->why);
            v->has_failed = true;
            all_live = false; /* perhaps */
        }
        if (!p->n) return all_live;
    }
    struct records r = records_of(v, values, p, n);
    for (int64_t i = 0; i < r.n;) {
        struct segment *g = segment_new(v->server->io, &v->framing, &r, &i);
        *bytes += segment_bytes(g, 0, g->n);
        if (!v->number) server_keep(v->server, g);
        all_live &= fan_out(v, g, now);
        segment_free(g);
    }
    return all_live;
}

/* The records behind `after`, which may be some of those in one value. */
static struct records behind(const struct lam_passed *p, const struct written *w, uint64_t after, struct lam_values *some)
{
    int64_t skip = 0;
    while (skip < p->n && w->sequence + p->which[skip] <= after) skip++;
    if (p->values->whole && skip < p->n) skip = 0;
    *some = *p->values;
    some->offsets += p->values->whole ? 0 : skip;
    return (struct records){.values = some, .dense = true, .which = p->which + skip, .n = p->n - skip, .sequence = w->sequence,
                            .end = w->end};
}

static void give(struct view *v, struct client *c, const struct lam_passed *p, const struct written *w, uint64_t after)
{
    struct lam_values some;
    struct records r = behind(p, w, after, &some);
    for (int64_t i = 0; i < r.n;) {
        struct segment *g = segment_new(v->server->io, &v->framing, &r, &i);
        client_keep(c, g);
        segment_free(g);
    }
}

void view_replay(struct view *v, struct client *c, uint64_t after)
{
    const struct history *h = &v->server->history;
    int64_t most = v->server->set.filter_us, until = host_of(v)->now(v->server->io) + REPLAY_TIMES * most;
    for (uint32_t k = 0; k < h->n; k++) {
        const struct written *w = history_at(h, k);
        if (w->end <= after + 1) continue;
        const struct lam_passed *p = host_of(v)->kept_read(v->rows, w->rows, most);
        bool late = v->filter && host_of(v)->now(v->server->io) > until;
        if (p->spent || late) {
            subscribe_end(v, p->spent ? p->why : "the filter takes too long for all the rows that are kept");
            return;
        }
        give(v, c, p, w, after);
    }
}
