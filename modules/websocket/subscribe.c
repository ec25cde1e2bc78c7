/* See subscribe.h. SPDX-License-Identifier: Apache-2.0 */
#include "subscribe.h"

#include "action.h"
#include "json.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID = 2 * VIEW_WHY + 200 };

/* view NULL: of none. */
static void say_error(struct client *c, const struct view *v, const char *why)
{
    char text[SAID], quoted[2 * VIEW_WHY], id[40] = "";
    json_quote(why, quoted, sizeof quoted);
    if (v) snprintf(id, sizeof id, "\"subscription_id\":\"%u\",", v->number);
    snprintf(text, sizeof text, "{\"type\":\"error\",%s\"message\":%s}", id, quoted);
    client_say(c, text);
}

/* ---- subscribe */

/* The sink's own format by another name is the sink's own; what is empty is not there. */
static const char *other_format(const struct server *s, const char *format)
{
    return !format || !*format || !strcmp(format, s->set.format) ? NULL : format;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static struct view *find(const struct server *s, const char *filter, const char *format)
{
    for (uint32_t i = 0; i < s->n_views; i++)
        if (is_same(s->views[i]->filter, filter) && is_same(s->views[i]->format, format)) return s->views[i];
    return NULL;
}

static bool has(const struct client *c, const struct view *v)
{
    for (uint32_t i = 0; i < c->n_views; i++)
        if (c->views[i].view == v) return true;
    return false;
}

static struct view *find_or_make(struct server *s, const char *filter, const char *format, char why[VIEW_WHY])
{
    struct view *v = find(s, filter, format);
    if (v) return v;
    if (s->n_views == s->set.max_views) {
        snprintf(why, VIEW_WHY, "there are as many different subscriptions as max.views allows");
        return NULL;
    }
    if (!(v = view_new(s, s->view_numbers + 1, filter, format, why, VIEW_WHY))) return NULL;
    s->view_numbers++;
    server_add_view(s, v);
    return v;
}

/* Why c may not have v beside what it has; "": it may. */
static void judge(const struct client *c, const struct view *v, char why[VIEW_WHY])
{
    const struct server *s = c->server;
    uint32_t n = 0;
    bool bare = false;
    for (uint32_t i = 0; i < c->n_views; i++) {
        if (c->views[i].view == s->all) continue;
        n++;
        bare |= c->views[i].view->is_bare;
    }
    *why = 0;
    if (has(c, v))
        snprintf(why, VIEW_WHY, "this is subscription %u, which you have", v->number);
    else if (n >= s->set.max_subscriptions)
        snprintf(why, VIEW_WHY, "you have as many subscriptions as max.subscriptions allows");
    else if (n && (bare || v->is_bare))
        snprintf(why, VIEW_WHY,
                 "records without an envelope do not say which subscription they are of: one of them is all you can have");
}

static void say_gap(struct client *c, const struct view *v, uint64_t after, uint64_t next)
{
    char text[160];
    snprintf(text, sizeof text, "{\"type\":\"gap\",\"subscription_id\":\"%u\",\"after\":%llu,\"next\":%llu}", v->number,
             (unsigned long long)after, (unsigned long long)next);
    client_say(c, text);
}

static void replay(struct client *c, struct view *v, uint64_t after)
{
    const struct server *s = c->server;
    uint64_t kept = s->history.n ? history_at(&s->history, 0)->sequence : s->next, wanted = after ? after + 1 : s->first;
    if (wanted < kept || wanted > s->next) {
        say_gap(c, v, after, kept);
        after = kept - 1;
    }
    view_replay(v, c, after);
}

/* False: `why` says why not. */
static bool subscribe(struct client *c, const char *filter, const char *format, bool resumes, uint64_t after, char why[VIEW_WHY])
{
    struct server *s = c->server;
    char text[160];
    struct view *v = find_or_make(s, filter && *filter ? filter : NULL, other_format(s, format), why);
    if (!v) return false;
    judge(c, v, why);
    if (*why) {
        if (!v->n) server_drop_view(s, v);
        return false;
    }
    if (has(c, s->all)) client_leave(c, s->all);
    c->subscribes = true;
    client_join(c, v);
    snprintf(text, sizeof text, "{\"type\":\"subscribed\",\"subscription_id\":\"%u\",\"next\":%llu}", v->number,
             (unsigned long long)s->next);
    client_say(c, text);
    if (resumes) replay(c, v, after);
    return true;
}

static void unsubscribe(struct client *c, const char *id)
{
    char text[80];
    for (uint32_t i = 0; i < c->n_views; i++) {
        struct view *v = c->views[i].view;
        snprintf(text, sizeof text, "%u", v->number);
        if (!v->number || strcmp(text, id)) continue;
        snprintf(text, sizeof text, "{\"type\":\"unsubscribed\",\"subscription_id\":\"%u\"}", v->number);
        client_leave(c, v);
        client_say(c, text);
        return;
    }
    say_error(c, NULL, "you have no subscription of this subscription_id");
}

static void answer_ping(struct client *c)
{
    char text[80];
    snprintf(text, sizeof text, "{\"type\":\"heartbeat\",\"next\":%llu}", (unsigned long long)c->server->next);
    client_say(c, text);
}

void subscribe_hear(struct client *c, uint8_t opcode, char *p, size_t n)
{
    struct action a;
    char why[VIEW_WHY] = "";
    if (opcode != WSLAY_TEXT_FRAME) {
        say_error(c, NULL, "a message is text");
    } else if (!action_read(p, n, &a, why)) {
        say_error(c, NULL, why);
    } else if (a.kind == ACTION_PING) {
        answer_ping(c);
    } else if (!rate_take(&c->subscribe_rate, SUBSCRIBE_RATE, c->now)) {
        say_error(c, NULL, "so many subscriptions in a second are not made: try again later");
    } else if (a.kind == ACTION_UNSUBSCRIBE) {
        unsubscribe(c, a.subscription);
    } else if (!subscribe(c, a.filter, a.format, a.resumes, a.after, why)) {
        say_error(c, NULL, why);
    }
}

/* ---- who comes */

/* A page in a browser sees no answer but 101, so it is told then why it is not served. */
static void by_query(struct client *c, const struct handshake *h)
{
    const struct lam_host *host = c->server->io->host;
    char why[VIEW_WHY], *filter = host->alloc(h->filter.n + 1), *format = host->alloc(h->format.n + 1);
    snprintf(why, sizeof why, "the query of the request is not UTF-8 in letters and %%XX");
    bool ok = handshake_decode(h->filter, filter) && handshake_decode(h->format, format) &&
              subscribe(c, filter, format, h->resumes, h->after, why);
    if (!ok) {
        say_error(c, NULL, why);
        client_close(c, 1008, "the subscription is not possible", c->now);
    }
    host->free(filter);
    host->free(format);
}

void subscribe_greet(struct client *c, const struct handshake *h)
{
    struct server *s = c->server;
    if (h->filter.p || h->format.p || (s->set.must_subscribe && h->resumes)) {
        by_query(c, h);
    } else if (!s->set.must_subscribe) {
        client_join(c, s->all);
        if (h->resumes) server_replay(s, c, h->after);
    }
}

/* ---- what becomes of a view */

void subscribe_tell(struct view *v, const char *why)
{
    char text[VIEW_WHY];
    snprintf(text, sizeof text, "%s; such rows are left out", why);
    for (uint32_t i = 0; i < v->n; i++) {
        say_error(v->members[i].client, v, text);
        client_write(v->members[i].client);
    }
}

void subscribe_end(struct view *v, const char *why)
{
    char text[VIEW_WHY];
    snprintf(text, sizeof text, "the subscription has ended: %s", why);
    for (uint32_t left = v->n; left; left--) {
        struct client *c = v->members[left - 1].client;
        say_error(c, v, text);
        client_leave(c, v);
        client_write(c);
    }
}
