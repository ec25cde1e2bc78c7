/* The conformance suite: what every source and every sink passes, whatever it connects to. A connector is one line of a
 * table (subjects.c) that says how its world is set up, looked at and broken; the cases (sinks.c, sources.c) are the
 * same for all. What a class cannot do it says itself, by its guarantee or by being not replayable, and then the suite
 * holds it to that. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFORMANCE_SUITE_H
#define CONFORMANCE_SUITE_H

#include "base/text.h"
#include "connector/connector.h"
#include "laminar.h"

/* ---- results (main.c) */

/* A case that fails says where; one that does not apply says why. Both end it. */
#define WANT(cond, ...)                                                                                                \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            suite_fail(__FILE__, __LINE__, #cond, __VA_ARGS__);                                                        \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
#define STATES(...)                                                                                                    \
    do {                                                                                                               \
        suite_states(__VA_ARGS__);                                                                                     \
        return;                                                                                                        \
    } while (0)
void suite_fail(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void suite_states(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t suite_now(void); /* microseconds */
/* Asks until true, for ten seconds at most. */
bool suite_until(bool (*fact)(void *ctx), void *ctx);

/* ---- the world of one case (world.c) */

extern char world[64]; /* a folder, empty at first */
const char *world_path(const char *name);
void world_write(const char *name, const char *text, size_t n);
void world_append(const char *name, const char *text, size_t n);
char *world_read(const char *name); /* "" when there is none; malloc */
void world_make(void);
void world_end(void);

/* A process at the other end of a Unix socket: keeps the lines it gets and answers ENQ n by ACK n; to whoever only
 * listens it gives `give`, and closes after it when `hang_up`. */
void peer_start(const char *path);
void peer_stop(void);
void peer_down(bool down); /* not there at all */
void peer_hold(bool hold); /* there, and takes nothing in */
void peer_give(const char *text, size_t n, bool hang_up);
char *peer_lines(void); /* malloc */
size_t peer_given(void);

/* Takes what comes to descriptor 1, until told to stop; held, it reads nothing. */
void tap_start(void);
char *tap_stop(void);
char *tap_seen(void);
void tap_hold(bool hold);

/* ---- a database (world.c) */

struct run {
    struct lam_db *db;
    struct lam_session *s;
};
struct run run_open(int threads);
int run_close(struct run *r); /* what lam_close says, given two seconds */
int run_sql(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Rows k = first..first+n-1; t: "row k", NULL where k % 5 is 3, empty where it is 4; `wide` bytes long when not 0. */
int run_push(struct run *r, const char *source, int64_t first, int n, size_t wide);
int64_t run_number(struct run *r, const char *sql); /* the one value of a query; -1: none */
char *run_text(struct run *r, const char *show, const char *name, const char *column);

/* ---- subjects (subjects.c) */

struct subject {
    const char *name;
    const char *module;   /* NULL: built in */
    const char *needs;    /* an environment variable that says how to reach its world, without which it is left out. NULL: nothing */
    const char *options;  /* that open it; @ stands for the world's folder, ~ for the last part of that, # for world_port, $ for LAMINAR_SERVER */
    const char *nowhere;  /* options that lead to nothing; NULL: there is always something */
    const char *pair;     /* its only columns, when it does not take any: "k, t" */
    void (*set_up)(void); /* NULL: nothing to do */
    void (*tear_down)(void);
    void (*ready)(void); /* sinks that are asked: once it is open, before rows come; NULL: nothing to do */
    /* sinks: lines of JSON, or k|t for columns; malloc. NULL: nobody can look */
    char *(*arrived)(void);
    void (*down)(bool down); /* an outage; NULL: says why not in no_outage */
    const char *no_outage;
    void (*hold)(bool hold); /* the other side stops taking or giving */
    const char *held;        /* more options for the case with hold */
    const char *no_hold;
    const char *poison; /* a query on s whose rows it takes, but not that of k = -1; NULL: it takes all */
    /* sources */
    void (*give)(const char *text, size_t n, bool last); /* more input */
    const char *follow; /* options that make it go on; NULL: it cannot, or always does */
    bool is_own;        /* it makes its rows itself */
    const char *format; /* of what is given; NULL: json */
};
extern const struct subject sinks[], sources[];                            /* ended by one without a name */
const char *subject_options(const struct subject *s, const char *options); /* with the folder put in */

/* websocket.c: what its subject is made of */
extern int world_port;
void websocket_up(void);
void websocket_end(void);
void websocket_ready(void);
char *websocket_arrived(void);
void websocket_away(bool down);
void websocket_hold(bool hold);

/* websocket_dial.c: of those that are clients */
void websocket_dial_take(void);
void websocket_dial_give(void);
void websocket_dial_end(void);
char *websocket_dial_arrived(void);
void websocket_dial_hold(bool hold);
void websocket_dial_line(const char *text, size_t n, bool last);

/* ---- cases */

struct test_case {
    const char *name;
    void (*run)(const struct subject *s);
};
extern const struct test_case sink_cases[], source_cases[];

#endif
