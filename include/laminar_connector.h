/* Laminar: writing a connector. docs/writing_connectors.md walks through a whole one.
 *
 * A connector is a class: a table of functions and options. A module is a shared object that exports one symbol, the
 * data
 *
 *     LAM_API const struct lam_module lam_module = {
 *         .size = sizeof(struct lam_module), .abi = LAM_CONNECTOR_ABI, .name = "spool", .version = "1.0",
 *         .sources = sources, .sinks = sinks,
 *     };
 *
 * and links to no symbol of the library: what it needs of it stands in struct lam_host. A program that links the
 * library gives the same struct to lam_register_connector. A module is loaded by LOAD 'path' or lam_load_module, or
 * when its name is first used as a connector's; it stays loaded. Its names, tables and texts are copied; the functions
 * are called in place.
 *
 * Growing. Every struct begins with its size as its author's header had it; later versions only add members at the end.
 * What a class does not have is 0 and means what is said here; what a host does not have lies beyond its size.
 * LAM_CONNECTOR_ABI changes when that is not enough, and modules of another number are refused.
 *
 * Threads. The functions of one instance are called by one thread at a time, not always the same; other instances of
 * the class may be called at the same time. Exceptions: `cancel`, and the host's `wake` and `log`, which any thread may
 * call. A class may have threads of its own; when close returns, they no longer touch the instance or its host
 * functions.
 *
 * Waiting. A class that is not `blocking` shares its thread with all other connectors: no function of it waits for
 * anything; it says LAM_IO_WAIT, and `wait` tells for what: descriptors to poll, a time, or neither (then only wake()
 * will do). A `blocking` class gets a thread for each instance; its poll, write, flush and commit may wait, and
 * `cancel` makes them return soon. A database without threads (lam_config.threads = 0) refuses it.
 *
 * Times are int64 microseconds: `now` on a monotonic clock, `wall` since 1970 UTC. INT64_MAX: never.
 *
 * Errors. A function that fails returns io->host->fail(err, LAM_IO_READ, "cannot read %s", name): one sentence that
 * says what, where and, by `hint`, what to do; without newline or full stop. Values of options that are
 * LAM_OPTION_SECRET do not belong into it. SPDX-License-Identifier: Apache-2.0 */
#ifndef LAMINAR_CONNECTOR_H
#define LAMINAR_CONNECTOR_H

#include "laminar.h"

#include <poll.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LAM_CONNECTOR_ABI 1

/* What functions that return int give. Which of them are allowed is said at each; any other ends the instance. */
enum lam_io_result {
    LAM_IO_OK = 0,
    LAM_IO_DONE = -2,   /* poll: this split has ended, for ever */
    LAM_IO_WAIT = -3,   /* nothing now: see `wait` */
    LAM_IO_CLOSED = -4, /* write: the target wants no more and all is well (a pipe whose reader has gone) */
    LAM_IO_RETRY = -5,  /* a sink: the world may recover; the same instance is called again, after pauses that grow */
    LAM_IO_POISON = -6, /* a sink: one row can never be taken; the others stay accepted */
    /* Errors. A source that returns one ends and fails what reads it. A sink that returns CONNECT or TIMEOUT is closed
     * and opened anew after pauses that grow; with any other it stops until an operator has looked, and is opened anew
     * then. What was accepted and not flushed is offered again to the new instance. */
    LAM_IO_OPTION = 5005,  /* the options contradict each other or the target */
    LAM_IO_CONNECT = 5001, /* unreachable, or it refuses us, or the connection is lost */
    LAM_IO_TIMEOUT = 7,
    LAM_IO_READ = 5003,
    LAM_IO_WRITE = 5004,
    LAM_IO_CANCELED = 8, /* a blocking call that `cancel` has ended */
};

/* ---- options ---------------------------------------------------------------------------------------- */

/* One table per class is all there is: values are parsed and checked by it before open, wrong names get the nearest
 * right one, SHOW CONNECTORS and the documentation are made of it. */
enum lam_option_type {
    LAM_OPTION_TEXT,
    LAM_OPTION_BOOL, /* 0 or 1 */
    LAM_OPTION_INT,
    LAM_OPTION_DOUBLE,
    LAM_OPTION_SIZE,     /* written '64 MiB' or 65536; read as bytes */
    LAM_OPTION_DURATION, /* written '250 ms', '5 s'; read as microseconds. A name ending in .ms takes a bare number too
                          */
    LAM_OPTION_ENUM,     /* one of `values`, "a|b|c"; read as its place, 0, 1, 2 */
    LAM_OPTION_CHAR,     /* one byte; read as its code */
};
enum {
    LAM_OPTION_REQUIRED = 1,
    /* Its value is shown nowhere. Its name must say what it is (password, secret, token, credential, ...key): by that it is
     * hidden in a statement that could not be read, too. */
    LAM_OPTION_SECRET = 2,
    /* A name that users bring from elsewhere and this class does not have: giving it is an error, for which the sentence
     * is the hint, so it says why and what to do instead. */
    LAM_OPTION_REFUSED = 8,
};

struct lam_option {
    const char *name; /* lower case letters, digits and dots; users may write _ and - for a dot */
    int type;         /* enum lam_option_type */
    int flags;
    const char *dflt;     /* as a user would write it; NULL: unset */
    const char *values;   /* LAM_OPTION_ENUM */
    int64_t min, max;     /* INT, SIZE, DURATION: bounds when max > min */
    const char *sentence; /* what it is for: one sentence, with its full stop */
    const char *also;     /* other names that users may give it, "a|b"; NULL: none */
};

struct lam_options; /* the values of one source or sink; lives as long as that is defined */

/* ---- the host --------------------------------------------------------------------------------------------- */

struct lam_error; /* the host's; filled by fail and hint */
struct lam_bytes;
struct lam_records;
struct lam_position;
struct lam_io;
struct lam_rows;
struct lam_view; /* see view_new */
struct lam_kept;
struct lam_passed;

struct lam_host {
    size_t size;
    const char *version; /* lam_version() */
    /* Memory of the database's allocator. alloc clears, and never returns NULL. Any thread. */
    void *(*alloc)(size_t n);
    void *(*resize)(void *p, size_t old_n, size_t n); /* p NULL: alloc that is not cleared */
    void (*free)(void *p);                            /* NULL is allowed */
    /* Says that the instance holds so many bytes more (or less): they count in the database's memory. */
    void (*account)(struct lam_io *io, int64_t bytes);
    /* Clock and randomness, which tests may simulate; so no others are to be used for what a run depends on. */
    int64_t (*now)(struct lam_io *io);
    int64_t (*wall)(struct lam_io *io);
    uint64_t (*random)(struct lam_io *io);
    /* level: 0 error, 1 warning, 2 information, 3 debug. Any thread. */
    void (*log)(struct lam_io *io, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
    /* Any thread, between open and the end of close: poll (or what said LAM_IO_WAIT) is called again soon. Calls that
     * come before it is stay one call; none is lost. Returns at once. */
    void (*wake)(struct lam_io *io);
    /* The value by the option's name in the class's table; also those of options every source or sink has. 0 or NULL
     * when unset, or when there is no such option. The text lives as long as the options. */
    const char *(*option_text)(const struct lam_options *o, const char *name);
    int64_t (*option_int)(const struct lam_options *o, const char *name); /* BOOL, INT, SIZE, DURATION, ENUM, CHAR */
    double (*option_double)(const struct lam_options *o, const char *name);
    bool (*option_set)(const struct lam_options *o, const char *name); /* by the user or by default */
    /* Fill err and return code. */
    int (*fail)(struct lam_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
    void (*hint)(struct lam_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
    /* For poll_bytes: room for n bytes behind those given so far (then add to out->n), or appends a copy of them. */
    char *(*room)(struct lam_bytes *out, size_t n);
    void (*put)(struct lam_bytes *out, const void *p, size_t n);
    /* For poll_records: adds a record whose value is the n bytes at p, which are copied (or lie where record_room
     * said), or with p NULL one without a value: a tombstone. after: the split's place behind it. False: that was the
     * last that this poll takes, for there are out->max, or they are 1 MiB; what is left comes with the next. */
    bool (*record)(struct lam_records *out, const void *p, size_t n, const struct lam_position *after);
    /* Room for n bytes of the next record's value, to be written there in place of being copied; then record(out, that
     * place, bytes written, ...). Asked again with more, what was written stays, but the place may be another. Valid
     * until the next of these calls. */
    char *(*record_room)(struct lam_records *out, size_t n);
    /* For a sink of RECORDS whose clients choose what they get: a view is the rows that pass `filter`, as values of `format`. The
     * filter is a condition of SQL over io->schema (without queries, aggregates and functions whose cost its text does not bound),
     * NULL: all rows; the format is the name of one that writes values one by one, with its default options, NULL: the
     * values that the sink is given. It may come from anyone. NULL: it is none, and `why`, of n bytes, is one line
     * that says so, beginning with the code: "[LAM-1100] ...". To be freed before close has returned. */
    struct lam_view *(*view_new)(struct lam_io *io, const char *filter, const char *format, char *why, size_t n);
    /* During write_records only: which of the first n rows that it was offered pass. Not all are judged when that takes longer than
     * max_us: see lam_passed.spent. 0: however long. */
    const struct lam_passed *(*view_read)(struct lam_view *v, const struct lam_rows *rows, int64_t n, int64_t max_us);
    /* During write_records only: copies some of the n rows from row `from` of those it was offered, for views that are made later, into
     * *k, or when that is NULL into a new one. How many; 0: *k has no room. *bytes: what *k holds now, which the host
     * counts. To be freed before close has returned. */
    int64_t (*rows_keep)(struct lam_io *io, struct lam_kept **k, const struct lam_rows *rows, int64_t from, int64_t n,
                         int64_t *bytes);
    /* Which of these rows pass, with values in any case. */
    const struct lam_passed *(*kept_read)(struct lam_view *v, const struct lam_kept *k, int64_t max_us);
    void (*kept_free)(struct lam_kept *k);
    void (*view_free)(struct lam_view *v); /* NULL is allowed */
    /* Whether the user has given the option, be it its default: for options that exclude each other. */
    bool (*option_given)(const struct lam_options *o, const char *name);
};

/* One instance of a class: a source or sink that is open. The host's but for *self. */
struct lam_io {
    size_t size;
    const struct lam_host *host;
    void *self;       /* instance_size bytes, zero before open */
    const char *name; /* of the source or sink, for messages */
    const struct lam_options *options;
    /* Columns the source is to give, or those of what the sink is given: a struct type with children in order. JSON is utf8 whose
     * metadata has the extension name arrow.json. */
    const struct ArrowSchema *schema;
    bool epochs; /* a sink that is exactly once: commit will be called, and nothing is to be visible before */
    /* RECORDS: those columns of schema that the class's table of metadata has, with the types of that table. A source
     * gives them, and only them, beside its records; of a sink's rows they are not part of the value. Without children:
     * there are none. */
    const struct ArrowSchema *metadata;
    const char *format; /* of a sink of RECORDS: what its values are in, "json"; NULL for others */
    /* Sinks: LAM_MEMO bytes, zero at first, that each instance finds as the one before it left them, while the process runs and
     * the sink is defined. For what an instance could not find out any more, such as whether a commit was heard. The rows that
     * are offered to the next are those that were not flushed, in their order, without those that were poison; when an operator
     * skips some, the bytes are zero again. */
    void *memo;
};
#define LAM_MEMO 64

/* ---- sources ------------------------------------------------------------------------------------------------ */

enum lam_payload {
    LAM_BYTES,   /* bytes that a format (csv, json ...) reads or writes */
    LAM_COLUMNS, /* Arrow arrays, for systems that have types of their own */
    LAM_RECORDS, /* messages: each a value that a format (json, csv, raw) reads or writes as a whole, beside columns of
                    the class's own */
};

/* RECORDS: a column that is the class's and not the value's: what a message carries beside its value. A column of the
 * source or sink that has such a name is one of these; all others are the format's. Users declare it with this type, or
 * one that holds the same: a wider integer, another type of text, TIMESTAMP or TIMESTAMPTZ. A BLOB declared VARCHAR
 * must be UTF-8, else the record is bad. */
struct lam_metadata {
    const char *name; /* lower case letters, digits and _, of which it begins with one: "_key" */
    const char *type;     /* as in SQL, without parentheses: BLOB, VARCHAR, JSON, INTEGER, BIGINT, TIMESTAMP ... */
    const char *sentence; /* what it holds: one sentence, with its full stop */
};

/* Where a split stands, enough to go on from there in a later process; the database keeps it with the state it belongs
 * to. BYTES: `offset` counts bytes from the split's beginning and is the database's, which cuts where records end;
 * `extra` is what the class adds (mark). COLUMNS, RECORDS: all of it is the class's. RECORDS: `offset` is what reports
 * call the record that the position is behind, so let it be the number that the system has for that one (Kafka's
 * offset), and begin one further on in seek. */
struct lam_position {
    int64_t offset;
    uint32_t n; /* bytes of extra that are used */
    char extra[48];
};

/* What poll_bytes fills, by host->room or host->put. Any cut will do: what a record lacks comes with the next. */
struct lam_bytes {
    size_t size;
    size_t n; /* 0 at first */
};

/* What poll_columns fills: a struct array whose children go by name; one that is missing is NULL in every row. Owned by
 * the host when LAM_IO_OK is returned. Types that hold the same values will do (int32 for BIGINT, ns for us); others
 * are an error. */
struct lam_columns {
    size_t size;
    struct ArrowArray array;
    struct ArrowSchema schema; /* left alone (release NULL): io->schema */
    struct lam_position after; /* behind the last row of array. From a position the same rows follow, in any cut. */
};

/* What poll_records fills, by host->record. */
struct lam_records {
    size_t size;
    int64_t n;   /* given so far: 0 at first */
    int64_t max; /* so many are wanted at most; record() says false when they are there */
    /* Row i belongs to record i: a struct array of n rows, whose children go by name and hold what the class's table of
     * metadata says; one that is missing is NULL in every row. Only columns of io->metadata. Left alone (release NULL):
     * all NULL. Owned by the host, whatever is returned; it is copied and released before the next call of the class, so
     * that buffers may be used again. */
    struct ArrowArray metadata;
    struct ArrowSchema metadata_schema; /* left alone (release NULL): io->metadata */
};

struct lam_source_class {
    size_t size;
    const char *name;           /* lower case letters, digits, dots, hyphens; unique among sources */
    const char *const *aliases; /* NULL-ended, or NULL */
    const char *sentence;       /* what it reads, for SHOW CONNECTORS */
    int payload;                /* enum lam_payload */
    bool replayable;            /* seek goes back to any position marked before, in this or a later process */
    bool blocking;
    size_t instance_size;
    const struct lam_option *options;
    int n_options;
    size_t option_size;         /* sizeof(struct lam_option) */
    const char *default_format; /* BYTES, RECORDS; NULL: the user must say one */
    /* Whether a source with these options ends by itself. NULL: never. Any thread. */
    bool (*bounded)(const struct lam_host *host, const struct lam_options *o);
    /* OK or an error. May wait for the system, whatever `blocking` says, but gives up by itself; better is to begin
     * here and to connect in poll. Close follows in any case. A source may be opened several times at once, for
     * parallel reading: then each instance is asked for some of the splits. */
    int (*open)(struct lam_io *io, struct lam_error *err);
    /* How many splits (files, partitions) there are: parts that are read side by side, each in its own order, numbered
     * from 0. Asked after open, and again before each round of polls: while the source runs more may come, behind the others; wake() when
     * nothing else would bring a poll. They are read from their beginning. At least 1 at first. NULL: 1. */
    int (*splits)(struct lam_io *io);
    /* Valid until close; no two splits have the same, and all instances give the same, whatever its number there. NULL
     * only without splits: the class's name. */
    const char *(*split_name)(struct lam_io *io, int split);
    int64_t (*split_size)(struct lam_io *io,
                          int split); /* in units of position.offset, for progress; -1: unknown, as with NULL */
    /* Before the first poll of a split, and again when a run begins anew. at NULL: the beginning, or for a source that
     * is not replayable wherever it is. OK or an error: READ when the place is gone. NULL only when not replayable. */
    int (*seek)(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err);
    /* BYTES: the first bytes of the split, at most n, for formats whose first line is a header, after a seek to the
     * middle. NULL: there is no header. */
    int (*head)(struct lam_io *io, int split, char *p, size_t n, size_t *got, struct lam_error *err);
    /* OK with something, WAIT with nothing, DONE, or an error, which is final: an outage that may pass is the class's
     * own to bridge (WAIT, and connect again from where it stood). Give what is there, up to some 256 KiB or 2048 rows,
     * rather than wait for more. */
    int (*poll_bytes)(struct lam_io *io, int split, int64_t now, struct lam_bytes *out, struct lam_error *err);
    int (*poll_columns)(struct lam_io *io, int split, int64_t now, struct lam_columns *out, struct lam_error *err);
    /* A value that cannot be read is no error: the host skips it, puts NULL or fails, as the source's on_error says,
     * and reports it with the split's name and the position's offset. Checkpoints are cut anywhere between two records
     * of a poll: seek then gets the position that was given with the last record before the cut. DONE may come together
     * with the last records. */
    int (*poll_records)(struct lam_io *io, int split, int64_t now, struct lam_records *out, struct lam_error *err);
    /* After WAIT: fills at most `max` descriptors, returns how many, and sets *at (INT64_MAX before) to the time of the
     * next poll on host->now. Also called with max 0. NULL: only wake(). */
    int (*wait)(struct lam_io *io, int split, struct pollfd *fds, int max, int64_t *at);
    /* BYTES: puts into p->extra what seek needs besides p->offset, which lies within the last payloads. NULL: nothing.
     */
    void (*mark)(struct lam_io *io, int split, struct lam_position *p);
    /* All rows up to p have been delivered: what came of them every sink has flushed, by the mark of that epoch, or by the
     * end of the source or of the run, which is told before close. So the system may be told to forget them; it need not be, and an
     * ack may be left out. NULL: nobody is told. */
    void (*ack)(struct lam_io *io, uint64_t epoch, int split, const struct lam_position *p);
    /* Any thread, between open and close: a poll that waits returns LAM_IO_CANCELED soon. NULL only when not blocking.
     */
    void (*cancel)(struct lam_io *io);
    /* Once, also after an open that failed. Frees what the instance has. */
    void (*close)(struct lam_io *io);
    /* RECORDS: the columns that the class fills. */
    const struct lam_metadata *metadata;
    int n_metadata;
    size_t metadata_size; /* sizeof(struct lam_metadata) */
    /* After WAIT: whether all that the system has of the split was given, as far as it can know that now: not while it
     * lags, is not connected, or has not heard. Only such a split counts as idle when nothing has come for idle.timeout; call
     * wake() when it becomes one. NULL: after WAIT it has always caught up. */
    bool (*caught_up)(struct lam_io *io, int split);
    /* For a system that does not wait to be asked, as those who connect to a server: called before each poll, and also
     * while no rows are wanted, because the source is paused or what it feeds has no room, when a descriptor of `wait`
     * is ready or its time has come. What it cannot help comes to light with the next poll. NULL: while no rows are
     * wanted nobody looks at `wait`. */
    void (*serve)(struct lam_io *io);
};

/* ---- sinks ---------------------------------------------------------------------------------------------------- */

enum lam_guarantee {
    LAM_AT_MOST_ONCE,  /* what was written may be lost (a datagram) */
    LAM_AT_LEAST_ONCE, /* what flush said OK to is never lost; after an outage some rows may come again */
    LAM_EXACTLY_ONCE,  /* and rows take effect together with their epoch's marker, in one transaction */
};

/* Rows offered to write_columns and write_records: those of `array` from `from` on. Borrowed: valid until the call
 * returns. */
struct lam_rows {
    size_t size;
    const struct ArrowArray *array; /* of io->schema; its offset is 0 */
    int64_t from;
    const int8_t *weight; /* of a changelog: per row of array 1 (added) or -1 (taken back); NULL: all added */
};

/* Values offered to write_records: value i is that of row rows->from + i, made by the sink's format of all columns but
 * those of io->metadata. json: an object, csv: a line without its end, raw: the bytes of the only column,
 * arrow_ipc: a stream of the one row. Borrowed, as
 * the rows. */
struct lam_values {
    size_t size;
    int64_t n; /* at least 1; fewer than there are rows when they are long: the others come with the next call */
    const char *bytes;
    const int64_t *offsets; /* n + 1: value i is bytes[offsets[i]] up to before bytes[offsets[i + 1]] */
    const uint8_t *none;    /* 1: there is no value (raw of NULL), a tombstone. NULL: all have one */
    bool whole;             /* one value holds all n rows, as lam_sink_class.whole asks: it ends at offsets[1] */
};

/* What view_read and kept_read give; valid until the view's next call. */
struct lam_passed {
    size_t size;
    int64_t n;
    const uint32_t *which; /* n numbers, ascending: row rows->from + which[i] passes */
    /* Of a view with a format of its own, and of rows that were kept: value i is that of row which[i], n of them. NULL: value
     * which[i] of those that were offered is meant. */
    const struct lam_values *values;
    int64_t failed;  /* rows for which the filter has no value (division by zero): they do not pass */
    const char *why; /* of the first of them, beginning with the code */
    bool spent;      /* `why` is a limit on what the filter may cost: who chose it should have it no longer */
};

struct lam_sink_class {
    size_t size;
    const char *name;
    const char *const *aliases;
    const char *sentence;
    int payload;
    int guarantee; /* enum lam_guarantee: the best it can give */
    bool blocking;
    bool changelog;   /* takes rows that are taken back; without it such streams are refused */
    int64_t flush_us; /* flush.interval when the user says none: a row waits at most so long for flush */
    size_t instance_size;
    const struct lam_option *options;
    int n_options;
    size_t option_size;
    const char *default_format;
    /* OK, WAIT (it is called again), RETRY (as CONNECT), or an error. *marker: the last epoch whose rows the target
     * proves to hold, 0 for none: what belongs to it or before is not written again, and what was written after it and
     * not committed is gone. *fresh (true before): the target is empty, so that a header is to be written. incarnation
     * grows with every start of the sink: who has a smaller one is a ghost. Close follows in any case. */
    int (*open)(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err);
    /* Take bytes or rows from the start of what is offered and say how many in *accepted (0 before), with any result:
     * what was accepted is not offered again unless the instance is opened anew. OK: offer the rest, if any. WAIT,
     * RETRY, POISON (a row), CLOSED, or an error. Bytes may be cut anywhere, but those of one flush end with a whole
     * record. */
    int (*write_bytes)(struct lam_io *io, const char *p, size_t n, size_t *accepted, struct lam_error *err);
    int (*write_columns)(struct lam_io *io, const struct lam_rows *rows, int64_t *accepted, struct lam_error *err);
    /* *accepted counts records. POISON: the record after those accepted. */
    int (*write_records)(struct lam_io *io, const struct lam_values *values, const struct lam_rows *rows,
                         int64_t *accepted, struct lam_error *err);
    /* Makes what was accepted safe and visible; with io->epochs only sends it on its way. OK, WAIT, RETRY, POISON (a
     * row: see `poisoned`), or an error; more may be written before it is called again. NULL: nothing to do. */
    int (*flush)(struct lam_io *io, struct lam_error *err);
    /* With io->epochs: makes all that was accepted since the last commit, and the marker `epoch`, visible in one step.
     * With an epoch that the target holds already it changes nothing and says OK. OK, WAIT, RETRY, POISON (a row: see
     * `poisoned`), or an error. NULL: at most, or at least once. */
    int (*commit)(struct lam_io *io, uint64_t epoch, struct lam_error *err);
    /* Drops what was accepted since the last commit. OK or an error. NULL: nothing to do. */
    int (*abort)(struct lam_io *io, struct lam_error *err);
    /* After WAIT; as a source's. */
    int (*wait)(struct lam_io *io, struct pollfd *fds, int max, int64_t *at);
    /* As a source's: a call that waits returns LAM_IO_CANCELED soon. Also called when a call takes longer than
     * write.timeout. */
    void (*cancel)(struct lam_io *io);
    /* Once, also after an open that failed. complete: all rows were delivered and flushed, the target is to be
     * finished; otherwise what is not visible yet is dropped. OK or an error. Frees what the instance has, whatever it
     * returns. */
    int (*close)(struct lam_io *io, bool complete, struct lam_error *err);
    /* RECORDS: columns that are the class's to use (key, headers, partition), and no part of the value. They lie in
     * lam_rows as all columns do, as io->schema says: of the table's type, where one type of text is as good as
     * another, and TIMESTAMP as TIMESTAMPTZ. A column that an option of the class names is its business, and stays part
     * of the value. */
    const struct lam_metadata *metadata;
    int n_metadata;
    size_t metadata_size;
    /* RECORDS: whether values of a changelog are to have no column that marks the change (w, op), since the class tells
     * it otherwise, by weight: a tombstone for a row taken back. NULL: never. Any thread. */
    bool (*unmarked)(const struct lam_host *host, const struct lam_options *o);
    /* For a target that asks by itself, as the clients of a server do: called between the other calls, from when open said OK, when a
     * descriptor of `wait` is ready or its time has come, also while there are no rows. OK, RETRY, or an error. NULL: nobody asks, and `wait` is
     * only looked at after WAIT. */
    int (*serve)(struct lam_io *io, struct lam_error *err);
    /* RECORDS: a value of a format that has an end (arrow_ipc: a schema, rows, an end) is to hold all rows of a call, and not
     * one: see lam_values.whole. *accepted counts rows still; what was not accepted is made into another value. */
    bool whole;
    /* COLUMNS, RECORDS, with `cancel`: for a target that judges rows only when they are flushed or committed. After flush or commit
     * said POISON: which row it is, counted from 0 among those accepted since open or since the last flush or commit that said OK,
     * without those that were poison. The row is buried by the host and forgotten by the class; then the call is made again. The
     * order in which rows are found does not matter. NULL: rows are judged by write, and POISON is not said elsewhere. */
    int64_t (*poisoned)(struct lam_io *io);
};

/* ---- modules ---------------------------------------------------------------------------------------------------- */

struct lam_module {
    size_t size;
    uint32_t abi;                                  /* LAM_CONNECTOR_ABI */
    const char *name;                              /* as its file: name.so */
    const char *version;                           /* its own, any text */
    const struct lam_source_class *const *sources; /* NULL-ended, or NULL */
    const struct lam_sink_class *const *sinks;
};

/* For programs that link the library: adds the classes to those of the process, for all databases, before they are
 * named. m and its functions stay. Any thread; a second time is no error. Why it failed: lam_errmsg(NULL). */
LAM_API int lam_register_connector(const struct lam_module *m);

#ifdef __cplusplus
}
#endif
#endif
