/* Connectors: what reads from and writes to outside systems. They move bytes or columns; the runtime pairs bytes with a
 * format, owns threads, retries, policies and positions. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_CONNECTOR_H
#define CONNECTOR_CONNECTOR_H

#include "arrow/batch.h"
#include "base/env.h"
#include "base/option.h"
#include "base/task.h"
#include "format/format.h"

#include <poll.h>

enum payload_kind { PAYLOAD_BYTES, PAYLOAD_COLUMNS, PAYLOAD_RECORDS };

/* Where a split stands: enough to go on from there in a later process. For bytes, `offset` counts them from the split's
 * beginning and is kept by the runtime; `extra` is the class's own proof that the place is still the same. */
struct position {
    int64_t offset;
    uint32_t n;
    char extra[52];
    uint32_t row; /* bytes: rows of the record at `offset` that were read; kept by the runtime */
};

/* What an instance gets to know. */
struct connector_ctx {
    struct env *env;
    struct account *account;
    const struct options *options;
    const struct schema *schema; /* columns to be read from the source, or those of what the sink is given */
    const char *name;            /* of the source or sink, for messages */
    uint64_t seed;
    const struct schema *declared; /* all columns of the source, of which `schema` are some; NULL: the same */
    void (*log)(void *ctx, int level, const char *message); /* any thread; NULL: nobody listens */
    void *log_ctx;
    bool epochs; /* a sink that can: its rows are to be seen by commits only */
    const struct encoder_class *encoder; /* a sink of records: of values, */
    enum changelog_style changelog;      /* and how they show changes */
    void *memo;  /* of a sink: SINK_MEMO bytes that its instances leave to each other; NULL: there is one only */
};
#define SINK_MEMO 64

/* Lets threads of a connector's own wake the task that drives an instance. */
struct wake {
    struct lock lock;
    struct task *task; /* NULL: there is none, or none any more */
};

/* RECORDS: a column that is the class's and not the value's. */
struct metadata {
    const char *name; /* NULL ends a table */
    struct type type;
    const char *sentence;
};
/* The entry with that name; NULL: there is none, or no table. */
const struct metadata *metadata_find(const struct metadata *table, const char *name);
/* The columns of a schema that a table has (mine), with the table's types, and the others (value), with their places in it. */
struct divided {
    const struct schema *mine, *value;
    int *mine_at, *value_at;
};
void metadata_divide(struct arena *a, const struct metadata *table, const struct schema *s, struct divided *out);
/* The columns of values alone: a batch that shows them, or b itself when all are. A reference. */
struct batch *divided_values(const struct divided *d, struct pool *pool, struct batch *b);

/* Where classes that were loaded or registered come from. */
struct module {
    const char *name, *version;
    const char *path; /* absolute; NULL: part of the program */
};

/* ---- sources ---------------------------------------------------------------------------------------- */

/* Before a payload of bytes so much room may be written by the reader: it puts the unfinished rest of the last payload
 * there, so that rest and new bytes are one run and only the rest is copied. */
#define PAYLOAD_HEADROOM 65536

struct payload {
    /* BYTES: [p, p+n), PAYLOAD_HEADROOM writable bytes before, FORMAT_PADDING zeroed bytes after; all valid until the next
     * poll of this split. The source keeps no rest of its own: what the reader did not consume it carries itself. */
    char *p;
    size_t n;
    /* COLUMNS: the caller gets the reference */
    struct batch *b;
    struct position after; /* COLUMNS: the position after these rows */
    /* RECORDS: n values among the bytes at p (see struct record), with FORMAT_PADDING zeroed bytes after them; the position behind each;
     * and in b a row of metadata for each, whose columns are those of metadata_divide, or b NULL: there are none. All but b, of which the
     * caller gets the reference, is valid until the next poll of this split. */
    const struct record *records;
    const struct position *places;
    uint32_t nrecords;
    uint32_t max; /* set by the caller: how many records are wanted at most */
};

struct source {
    const struct source_class *class;
    struct connector_ctx ctx;
    struct wake wake;
};
struct source_class {
    uint32_t size;     /* of this struct: it only grows */
    const char *name;
    const char *const *aliases; /* NULL-ended, or NULL */
    const char *sentence;        /* what it reads */
    const struct module *module; /* NULL: built in */
    size_t instance_size;
    enum payload_kind payload;
    const struct option_spec *options;
    bool replayable;   /* a later reader can begin at the start again */
    bool blocking;     /* poll may block: the instance gets a thread of its own; refused by name under threads = 0 */
    bool (*bounded)(const struct source_class *c, const struct options *o);
    const struct metadata *metadata; /* RECORDS: what the class fills; NULL: nothing */
    const char *default_format; /* BYTES, RECORDS: the format when the options name none ("csv" by path extension is the class's
                                   guess_format); NULL: must be named */
    const char *(*guess_format)(const struct options *o);
    /* Opens; finds the splits. When it fails, close is called all the same. */
    enum status (*open)(struct source *s, struct err *err);
    /* How many there are now: numbered from 0, and more may come behind them while the source runs. Each has a name of its own, which is
     * the same in every instance and process. */
    int (*splits)(struct source *s);
    const char *(*split_name)(struct source *s, int split);
    int64_t (*split_size)(struct source *s, int split); /* in units of position.offset, for progress; -1: unknown */
    /* Before the first poll of a split; at NULL: the start. E_READ when the position is gone. */
    enum status (*seek)(struct source *s, int split, const struct position *at, struct err *err);
    /* BYTES that start anew in the middle need the head of the split (a header line): up to n bytes from offset 0. */
    enum status (*head)(struct source *s, int split, char *p, size_t n, size_t *got, struct err *err);
    /* ST_OK: payload filled. ST_WAIT: nothing now. ST_DONE: the split has ended. E_*: fatal to the reader.
     * now_us: the env's monotonic clock, for rate limits. */
    enum status (*poll)(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err);
    /* After ST_WAIT: descriptors to watch, and the time of the next poll (INT64_MAX: none). */
    int (*wait)(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us);
    /* Fills the proof for a position (its offset is set). */
    void (*mark)(struct source *s, int split, struct position *p);
    void (*ack)(struct source *s, uint64_t epoch, int split, const struct position *p);
    /* After ST_WAIT: whether silence means that there is nothing: not while the split lags or its system is away. */
    bool (*caught_up)(struct source *s, int split);
    void (*cancel)(struct source *s); /* any thread: a blocked poll returns soon */
    void (*close)(struct source *s); /* frees all but the instance */
    /* Called between the other calls, also while no rows are wanted, when what `wait` names is there; NULL: then nobody looks at it. */
    void (*serve)(struct source *s);
};
/* Named defaults for what a class does not need. */
const char *source_no_guess(const struct options *o);
bool source_always_bounded(const struct source_class *c, const struct options *o);
int64_t source_size_unknown(struct source *s, int split);
int source_no_wait(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us);
enum status source_no_head(struct source *s, int split, char *p, size_t n, size_t *got, struct err *err);
void source_no_mark(struct source *s, int split, struct position *p);
void source_no_ack(struct source *s, uint64_t epoch, int split, const struct position *p);
bool source_always_caught_up(struct source *s, int split);
void source_no_cancel(struct source *s);

/* ---- sinks ------------------------------------------------------------------------------------------ */

enum guarantee { AT_MOST_ONCE, AT_LEAST_ONCE, EXACTLY_ONCE };

struct sink {
    const struct sink_class *class;
    struct connector_ctx ctx;
    struct wake wake;
};
struct sink_class {
    uint32_t size;
    const char *name;
    const char *const *aliases;
    const char *sentence;
    const struct module *module;
    size_t instance_size;
    enum payload_kind payload;
    const struct option_spec *options;
    enum guarantee guarantee;   /* the best it can give */
    bool blocking;              /* calls may block: a thread of its own */
    bool changelog;             /* takes rows of weight -1 */
    int64_t flush_us;           /* default flush.interval */
    const struct metadata *metadata; /* RECORDS: columns that are no part of the value; NULL: none */
    const char *default_format;
    const char *(*guess_format)(const struct options *o);
    bool whole; /* RECORDS: values of formats that have an end (arrow_ipc) are to hold many rows each */
    /* RECORDS: whether values have no column that marks a change. NULL: they have. */
    bool (*unmarked)(const struct sink_class *c, const struct options *o);
    /* marker: the last epoch whose rows the target proves to hold; 0: none. *fresh: a header (encoder begin) is wanted.
     * When it fails, close is called all the same (with complete false). */
    enum status (*open)(struct sink *s, uint64_t incarnation, uint64_t *marker, bool *fresh, struct err *err);
    /* Takes rows or bytes from the start of what is offered and says how much in *accepted (rows of b, or bytes). ST_OK,
     * ST_WAIT (see wait), ST_RETRY (offer again later), ST_POISON (row *accepted cannot be taken), ST_CLOSED (the target
     * wants no more: a closed pipe), E_*: fatal. */
    enum status (*write_bytes)(struct sink *s, const char *p, size_t n, size_t *accepted, struct err *err);
    enum status (*write_rows)(struct sink *s, const struct batch *b, uint32_t from, uint32_t *accepted, struct err *err);
    /* As write_rows, with the values of some rows of b: those from v->first to before v->first + v->n, of which `from` is one. NULL where
     * the payload is another. */
    enum status (*write_records)(struct sink *s, const struct values *v, const struct batch *b, uint32_t from, uint32_t *accepted,
                                 struct err *err);
    /* Makes what was written visible (at least once), or pushes buffers only (exactly once). ST_POISON as in poisoned; so does commit. */
    enum status (*flush)(struct sink *s, struct err *err);
    enum status (*commit)(struct sink *s, uint64_t epoch, struct err *err);
    enum status (*abort)(struct sink *s, struct err *err);
    int (*wait)(struct sink *s, struct pollfd *fds, int max, int64_t *wake_us);
    /* Called between the other calls from when it is open, when a descriptor of wait is ready or its time has come. NULL: wait is
     * only looked at after ST_WAIT. */
    enum status (*serve)(struct sink *s, struct err *err);
    /* Rows or records, of a class that can be canceled. After flush or commit said ST_POISON: which row, counted from 0 among those accepted
     * since open or the last flush or commit that said ST_OK, without those that were poison. Both forget it, and the call is made again.
     * NULL: only write says ST_POISON. */
    uint64_t (*poisoned)(struct sink *s);
    /* Any thread, until close has returned: a call under way returns soon. Then, and after an error, the runtime closes the
     * instance and opens another, which is offered again what was not flushed: so what was flushed must outlive close. A class
     * whose target would not (a file that is renamed when complete) has sink_no_cancel: its calls have no deadline, and after an
     * error they are made again on the same instance. */
    void (*cancel)(struct sink *s);
    /* complete: all rows were delivered, the target is to be finished (rename into place). Frees all but the instance. */
    enum status (*close)(struct sink *s, bool complete, struct err *err);
};
enum status sink_no_commit(struct sink *s, uint64_t epoch, struct err *err);
enum status sink_no_abort(struct sink *s, struct err *err);
enum status sink_no_flush(struct sink *s, struct err *err);
enum status sink_not_bytes(struct sink *s, const char *p, size_t n, size_t *accepted, struct err *err);
enum status sink_not_rows(struct sink *s, const struct batch *b, uint32_t from, uint32_t *accepted, struct err *err);
int sink_no_wait(struct sink *s, struct pollfd *fds, int max, int64_t *wake_us);
void sink_no_cancel(struct sink *s);

/* Instances: allocated to instance_size, zeroed, ctx copied (what it points to must outlive them). */
struct source *source_new(const struct source_class *c, const struct connector_ctx *ctx);
struct sink *sink_new(const struct sink_class *c, const struct connector_ctx *ctx);
void source_free(struct source *s); /* after close */
void sink_free(struct sink *s);
/* The task that drives an instance; it is woken at once, for what was missed before. NULL: none any more. */
void wake_task(struct wake *w, struct task *t);
void wake_now(struct wake *w); /* any thread */

/* By name or alias; NULL: none. Classes that are built in come first, then others as they were added; none ever goes. */
const struct source_class *source_find(const char *name);
const struct sink_class *sink_find(const char *name);
const struct source_class *source_class_at(int i); /* NULL at the end */
const struct sink_class *sink_class_at(int i);

#endif
