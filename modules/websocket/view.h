/* Rows that pass a filter, as frames of a format, and the clients that get them. Number 0 is all rows as the sink's options
 * say, for those who ask for nothing; the others are subscribed to, and end with their last client.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_VIEW_H
#define WEBSOCKET_VIEW_H

#include "queue.h"

struct server;
struct client;

struct view {
    struct server *server;
    uint32_t number;
    char *filter, *format; /* NULL: all rows; the sink's */
    char lead[96];
    struct framing framing; /* of frames that have an envelope, or that */
    bool is_bare;           /* its frames do not say whose they are */
    struct lam_view *rows;  /* NULL: number 0 */
    struct member {
        struct client *client;
        uint64_t offered; /* records before this one were offered to it */
    } * members;         /* first those that keep up, then those whose socket takes nothing now */
    uint32_t ready, n, cap;
    struct queue late;   /* frames not offered yet to all who take nothing: that is done by rounds */
    uint32_t late_at;    /* the one of them whose turn it is */
    uint64_t late_round; /* records before this one were there when the round began: it offers them to all */
    bool has_failed;     /* members were told that the filter has no value for some rows */
    int64_t second, spent_us; /* how long the filter took since then */
};

/* The view of number 0. */
struct view *view_all(struct server *s);
/* NULL: `why` says so in one line. */
struct view *view_new(struct server *s, uint32_t number, const char *filter, const char *format, char *why, size_t n);
void view_free(struct view *v);

void view_join(struct view *v, struct client *c); /* which has v in its list; it is offered what comes from now on */
void view_leave(struct view *v, uint32_t place); /* others may have other places then, as after view_sort: their clients are told */
void view_sort(struct view *v, uint32_t place);  /* whether the member keeps up has changed, perhaps */

/* The first n rows of a write. The bytes of the frames they became. False: some client died. */
bool view_write(struct view *v, const struct lam_values *values, const struct lam_rows *rows, int64_t n, uint64_t *bytes, int64_t now);
/* Offers a member what it was not offered yet. */
void view_catch_up(struct view *v, uint32_t place, int64_t now);
bool view_catch_up_all(struct view *v, int64_t now); /* false: some client died */
/* Of the rows that the server keeps, those behind `after`. A filter that costs too much ends the view. */
void view_replay(struct view *v, struct client *c, uint64_t after);

#endif
