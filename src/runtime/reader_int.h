/* What a reader is made of; shared by its files. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_READER_INT_H
#define RUNTIME_READER_INT_H

#include "connector/connector.h"
#include "runtime/run_int.h"

struct split {
    int number;
    struct decoder *decoder;
    char *buf; /* what the decoder left of a payload, while it is not in front of the next */
    size_t cap;
    struct position at;      /* behind the last row handed on */
    struct position payload; /* COLUMNS: the position after the batch at hand */
    struct payload records;  /* RECORDS: the last payload, of which `record` is the next */
    uint32_t record;
    bool input_ended, ended;
    int64_t highest, last_row_us;
    bool idle;
    struct position kept;    /* at the last FREEZE barrier */
    int64_t kept_highest;
    bool kept_ended;
};

struct part {
    struct task task;
    struct lock lock;    /* of source against cancel, and of last_error */
    struct reader *reader;
    int index;
    struct pool *pool;
    struct edge **edges; /* producer ends, one per worker */
    struct source *source;
    int nsplits, cap_splits, turn;
    int seen; /* splits of the instance that were looked at: some are other parts' */
    struct split *splits;
    struct batch *batch; /* at hand */
    struct split *from;  /* its split */
    struct batch **rest; /* to be taken in hand after it: of a push, or what waits under drop_oldest */
    int at_rest, nrest, cap_rest;
    int64_t rest_bytes;
    uint32_t row;        /* the next one */
    struct batch *piece; /* cut, found no room yet */
    bool fast;           /* the batch needs no cut */
    uint32_t *sel;
    int64_t said;        /* the last watermark */
    bool began, idle_said, over;
    bool was_held;
    bool left;           /* the barrier it was to leave at has entered */
    _Atomic uint64_t barrier; /* epoch asked for; 0: none */
    _Atomic int barrier_kind;
    bool holding;             /* behind a HOLD barrier */
    _Atomic bool resume, seek;
    struct answer answer;
    /* counters */
    struct batch *letters; /* found no room yet */
    _Atomic uint64_t dead_lettered;
    _Atomic uint64_t accepted, dropped, waits; /* of pushes */
    _Atomic uint64_t rows, bytes, bad, nulled, null_time, late_dropped;
    _Atomic uint64_t batches;
    _Atomic int64_t position, watermark, watermark_at; /* when it last rose */
    struct meter meter;       /* busy: fetching and decoding, but for a pushed one */
    _Atomic bool idle_now;
    _Atomic bool idle_armed; /* the task will be stepped to look for idle splits */
    struct note last_error;
};

/* Names of all splits, sorted, each with its place in the order in which they are dealt to the parts. */
struct deal {
    struct lock lock;
    struct arena *arena;
    struct dealt {
        const char *name;
        int place;
    } *names;
    int n, cap;
};

struct reader {
    struct runtime *rt;
    const struct object *object;
    const struct plan *values;
    const struct source_class *class; /* NULL: pushed, or VALUES */
    bool pushed;
    const struct schema *schema;
    struct divided columns;        /* RECORDS: of schema */
    const struct schema *declared; /* RECORDS: all columns of values */
    struct arena *arena;
    struct component *component;
    struct host *host, *own_host;
    bool blocking;
    int nparts;
    struct part *parts;
    struct deal deal;
    int64_t size;
    int time_column;
    bool time_is_ms, time_is_32;
    enum watermark_kind watermark;
    int64_t delay_us, idle_us, skew_us;
    bool late_row;
    enum on_error on_error;
    uint32_t batch_rows;
    struct letters *letters; /* or NULL */
    _Atomic bool started, stop, leaving;
    /* pushed */
    struct lock lock;
    struct bell room;
    enum when_full { FULL_WAITS, FULL_DROPS_OLDEST, FULL_DROPS_NEWEST, FULL_FAILS } overflow;
    struct push_wait *queue; /* callers in the order they came */
    bool pushed_end;
    _Atomic int pins;
    struct reader *next_box; /* of those that take letters: letter.c */
};

static inline void count(_Atomic uint64_t *c, uint64_t n) { meter_count(c, n); }

void reader_name_error(const struct reader *r, struct err *err); /* says whose error it is */

/* ---- part.c */
extern const struct task_class part_class;
void part_begin(struct part *p);
void part_take(struct part *p, struct split *s, struct batch *b); /* in hand; there is none */
bool part_hand_on(struct part *p);
void part_keep(struct part *p, struct batch *b); /* behind the rest */
struct batch *part_oldest(struct part *p);       /* off the rest; NULL: there is none */
void part_drop_rest(struct part *p);
void part_say_watermark(struct part *p);
void part_look_for_idle(struct part *p, int64_t now, int64_t *wake_us);
bool part_before_rows(struct part *p, enum step *out);
bool part_all_closed(struct part *p);
bool part_is_held(struct part *p);
void part_close_source(struct part *p);
enum step part_finish(struct part *p, int kind); /* an END of that kind is the last it says */

/* ---- deal.c */
void deal_init(struct deal *d);
void deal_done(struct deal *d);
/* Takes the splits that are the part's and that it has not yet, each at its beginning. There is no batch in hand. */
enum status deal_take(struct part *p, struct err *err);

/* ---- fetch.c */
/* One try to get a batch from a split. ST_OK: in hand. ST_WAIT, ST_DONE, or an error that is fatal. */
enum status fetch_batch(struct part *p, struct split *s, int64_t now, struct err *err);
/* To the split's position `at`, or to its start. */
enum status fetch_seek(struct part *p, struct split *s, bool fresh, struct err *err);

/* ---- fetch_records.c */
void fetch_records_plan(struct reader *r); /* once the class is known */
enum status fetch_records(struct part *p, struct split *s, int64_t now, struct err *err);
enum status fetch_records_seek(struct part *p, struct split *s, struct err *err);
void fetch_note_bad(struct part *p, struct split *s); /* fetch.c */

/* ---- reread.c
 * The bad records among those between where a decoder stood before and where it stands now wait as letters. */
void reread_bad(struct part *p, struct split *s, const struct decoder *before, uint64_t bad);
bool reread_post(struct part *p); /* false: they find no room now */

/* ---- letter.c
 * A declared stream takes letters from when it is started until its task ends. */
void letterbox_open(struct reader *r); /* others are left out */
void letterbox_close(struct reader *r);

/* ---- pushed.c */
extern const struct task_class pushed_class;

#endif
