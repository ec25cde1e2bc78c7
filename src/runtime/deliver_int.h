/* What a deliver task is made of; shared by its files.
 *
 * Positions count the rows that the connector is to get, from 0. What the log's cursor has passed and the connector has not
 * flushed is kept when the class can be opened anew (it can be canceled): then a new instance is offered it again. Rows that
 * were buried (dead letters, drops) have no position. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_DELIVER_INT_H
#define RUNTIME_DELIVER_INT_H

#include "base/histogram.h"
#include "connector/connector.h"
#include "log/log.h"
#include "runtime/deliver_records.h"
#include "runtime/run_int.h"

enum call { CALL_NONE, CALL_OPEN, CALL_WRITE, CALL_FLUSH, CALL_CLOSE };

/* What ALTER SINK ... SET may change. */
struct sink_settings {
    uint64_t batch_rows, batch_bytes; /* a flush is due at so many unflushed, whichever comes first */
    int64_t flush_us;
    int64_t retry_first_us, retry_most_us;
    uint64_t retry_limit; /* 0: none */
    int64_t write_us, open_us; /* deadlines of calls */
    enum cursor_policy overflow;
};

struct command {
    struct command *next;
    enum sink_command what;
    struct sink_settings set;
    enum status st; /* valid once done */
    struct err err;
    _Atomic bool done;
    _Atomic int refs; /* who waits, and the task */
};

/* Rows of a batch that were buried, in ascending order. */
struct gone {
    uint32_t *rows;
    uint32_t n, cap;
};

/* A batch the cursor has passed; rows before `from` are flushed. */
struct kept {
    struct batch *b;
    uint32_t from;
    struct gone gone;
};

struct deliver {
    struct task task;
    struct runtime *rt;
    struct component *component;
    const struct object *object;
    const struct sink_class *class;
    struct log *log;
    struct host *host, *own_host;
    struct pool *pool;
    struct sink_settings set; /* written by the task with the lock */

    /* state: the task's */
    bool opened, blocked, paused;
    bool stale;            /* the instance is to be closed and another opened */
    int64_t retry_at;
    uint32_t tries;        /* without progress between them */
    uint64_t tried_at;     /* the position of the last one */
    _Atomic bool cancel;   /* give up now */
    _Atomic bool held;     /* what it replaces has not finished */
    _Atomic bool leaving;  /* deliver what there is and end: pause no more, and give up where an operator would be needed */

    /* control lane: command.c */
    struct lock lock; /* of the next five, settings and err */
    struct command *commands;
    bool over;        /* takes no command any more */
    struct sink *sink; /* the instance; others cancel it */
    int64_t deadline; /* of the call under way; 0: none */
    bool late;        /* it was canceled by its deadline */
    _Atomic bool called; /* there are commands */

    /* calls of the connector: call.c */
    enum call call; /* under way, or said ST_WAIT */
    enum call last; /* what it last stood at */
    int64_t since;
    bool has_watch; /* a class that blocks has a second task, which looks at the deadline */
    bool watch_armed;
    uint64_t calls, calls_seen;
    struct task watch;

    /* what is offered: offer.c */
    struct cursor *_Atomic cursor; /* NULL until attached */
    _Atomic uint64_t end_at;       /* the epoch whose mark is the end for this sink; 0: none */
    struct encoder *encoder;       /* BYTES */
    struct record_writer *records; /* RECORDS */
    struct text out;  /* encoded, from `sent` on not taken yet */
    size_t sent, head;    /* head: what stands there before rows */
    uint64_t out_from;    /* position of its first row */
    bool keeps;
    struct kept *kept;
    uint32_t nkept, kept_cap, again; /* kept[again] is what is offered; nkept: what is under the cursor */
    uint32_t row, from; /* of that batch; from: the first not flushed of the one under the cursor */
    uint64_t pos;     /* of what the connector took, or the encoder */
    uint64_t counted; /* positions below are in `rows` */
    uint64_t flushed; /* positions below are flushed */
    uint64_t bytes_unflushed;
    uint64_t epoch_seen;
    int64_t flush_at; /* 0: nothing waits to be flushed */
    _Atomic bool all_out; /* it ended, and all rows were delivered */
    struct deliver *next_acker; /* of the runtime's list */
    bool saw_end, complete, wound_up; /* wound_up: the encoder has given its end */
    struct gone gone; /* of the batch under the cursor */
    bool burying;
    uint64_t burying_at; /* a position: what was taken, or that of the row at hand */
    struct letters *letters; /* or NULL */
    struct batch *letter;    /* found no room yet */

    /* shown */
    _Atomic int state; /* enum sink_state */
    _Atomic int64_t since_us, last_error_us;
    _Atomic uint64_t passed; /* rows the cursor is past */
    _Atomic uint64_t rows, bytes, writes, write_errors, retries, timeouts, dropped, dead_lettered, flushes, waits, epoch;
    struct histogram write_us; /* of whole writes */
    int64_t memo[SINK_MEMO / 8]; /* the instances' own */
    struct meter meter; /* busy: in the connector's calls and what leads to them; blocked: rows wait for the system outside */
    _Atomic bool broken; /* err stands: BLOCKED by it, or closed with it */
    struct err err;
    struct note last_error;
};

static inline void add(_Atomic uint64_t *c, uint64_t n) { atomic_fetch_add_explicit(c, n, memory_order_relaxed); }

/* ---- deliver.c */
void deliver_note(struct deliver *d, const struct err *err);

/* ---- command.c */
struct sink_settings settings_of(const struct object *sink, bool spills);
struct command *command_take(struct deliver *d); /* the oldest; NULL: none */
void command_answer(struct command *c, struct runtime *rt);
void command_refuse_all(struct deliver *d); /* it is over: what is posted, and what will be */

/* ---- call.c */
/* Around each call. call_end gives the call's result, or E_TIMEOUT when it was canceled for its deadline; progress: it took
 * something, so a wait begins anew. */
void call_begin(struct deliver *d, enum call c);
enum status call_end(struct deliver *d, enum status st, bool progress, struct err *err);
/* A call that said ST_WAIT and has waited too long: cancels it, E_TIMEOUT. Else the time to look again. */
enum status call_overdue(struct deliver *d, int64_t now, int64_t *wake_us, struct err *err);
extern const struct task_class watch_class;

/* ---- offer.c */
enum status offer_write(struct deliver *d, struct err *err); /* some of what there is */
enum status offer_flush(struct deliver *d, int64_t now, bool now_please, int64_t *wake_us, struct err *err);
enum status offer_begin(struct deliver *d, bool fresh, struct err *err); /* after open */
void offer_rewind(struct deliver *d); /* a new instance is to get what is not flushed */
enum status offer_skip(struct deliver *d, struct err *err);
void offer_unsettle(struct deliver *d); /* what was not flushed counts as held again */
bool offer_more(struct deliver *d);
bool offer_ended(const struct deliver *d);
uint64_t offer_held(struct deliver *d);
void offer_done(struct deliver *d); /* lets go of all */

/* ---- bury.c: rows that cannot be taken */
void gone_add(struct gone *g, uint32_t row);
uint32_t gone_between(const struct gone *g, uint32_t from, uint32_t to); /* how many are in [from, to) */
void gone_clear(struct gone *g);
struct gone *gone_at_hand(struct deliver *d);
struct batch *gone_without(struct deliver *d, struct batch *b, struct gone *g); /* the other rows, a reference; clears g */
/* Both ST_FULL: the dead letters have no room now; then bury_go_on when there may be. */
enum status bury_at_hand(struct deliver *d, const struct batch *b, const struct err *why);
enum status bury_taken(struct deliver *d, uint64_t row, struct err *why); /* by its number among those not flushed; E_EXEC: there is none */
enum status bury_go_on(struct deliver *d);
void bury_drop(struct deliver *d);   /* without a letter */
void bury_forget(struct deliver *d); /* what has found no room: the row will be offered again */
enum status offer_encoder(struct deliver *d, struct err *err); /* a new one */

#endif
