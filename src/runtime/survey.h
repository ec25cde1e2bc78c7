/* A survey: a picture of the running graph, taken without stopping it. Counters are read as they stand, one after another,
 * so those of two operators may be some rows apart. Everything in it is a copy in its own arena and stays when the graph
 * changes. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_SURVEY_H
#define RUNTIME_SURVEY_H

#include "base/histogram.h"
#include "base/mem.h"
#include "log/log.h"
#include "operator/op.h"
#include "runtime/runtime.h"

/* Of one instance, in all since it was made. */
struct survey_inst {
    int worker;
    int64_t born_us, busy_us, blocked_us;
};

/* The reader of a source. */
struct survey_source {
    struct survey_source *next;
    const void *reader; /* to know it again */
    uint64_t id;
    const char *name; /* "values" for constant rows */
    bool pushed;
    struct source_stats stats;
};

struct survey_sink {
    struct survey_sink *next;
    uint64_t id;
    const char *name;
    const void *deliver; /* to know it again */
    struct survey_node *on;
    struct sink_stats stats;
    struct log_stats log;
    struct histogram latency; /* of whole writes, us */
    uint32_t queued, queue_size; /* messages between its stream and its outlet */
};

/* In process. */
struct survey_sub {
    struct survey_sub *next;
    const struct sub *sub; /* to know it again */
    struct survey_node *on;
    struct sub_stats stats;
    bool ended;
    uint32_t queued, queue_size; /* messages that wait for the caller, of one that blocks */
};

/* What a stream keeps for those who resume. */
struct survey_history {
    struct survey_history *next;
    struct survey_node *on;
    int64_t bytes; /* at least */
    struct log_stats log;
    bool any;      /* oldest and newest: epochs to resume at */
    uint64_t oldest, newest;
};

/* One operator, on all its workers. */
struct survey_node {
    struct survey_node *next;
    const void *node; /* to know it again */
    const char *stream; /* the name of what stream_id is, put in by who knows the catalog */
    const char *name; /* "aggregate"; of the head of a source's rows: the source's name */
    const char *line; /* as EXPLAIN shows it */
    enum plan_kind kind;
    uint64_t stream_id; /* whose output it is; 0: of no named stream */
    uint64_t owner;     /* the stream or sink whose plan it belongs to; 0: a query's or a reader's */
    bool narrows;       /* only picks columns of a reader's rows */
    bool ended, gone, failed;
    bool paused, starved; /* with all of its component: by ALTER, or because state found no memory */
    const char *error;  /* of its component, when that failed */
    struct survey_source *source; /* whose rows it hands on; NULL: none */
    int nin;
    struct survey_node *in[OP_PORTS];
    int ninst;
    struct survey_inst *inst;
    uint64_t rows_in, batches_in, bytes_in, rows_out, batches_out, late, errors, blocks;
    int64_t watermark;    /* TS_MIN: none yet */
    int64_t state_bytes;
    bool at_end;          /* gives what it gathers at the end of its input */
    int64_t window_end;   /* the next window to close; TS_MAX: none is open */
    int64_t window_needs; /* the watermark that closes it */
    uint32_t queued, queue_size; /* messages in its rings; size 0: it is called by what feeds it */
    char late_example[200], row_error[200];
};

struct survey {
    struct arena *arena;
    int64_t now_us, wall_us;
    int workers;
    struct survey_node *nodes; /* inputs before their users */
    struct survey_source *sources;
    struct survey_sink *sinks;
    struct survey_sub *subs;
    struct survey_history *histories;
};

struct survey *survey_take(struct runtime *rt);
void survey_free(struct survey *s); /* NULL is allowed */
AUTO_DEFINE(survey_free, struct survey *)
/* The running node of a stream, or its last; NULL: nothing reads the stream. */
struct survey_node *survey_stream(const struct survey *s, uint64_t stream_id);
/* Of the sources that n reads, the one whose watermark is the least; those that are idle or have ended are asked last. */
const struct survey_source *survey_holder(const struct survey_node *n);
/* Rows that came and that the subscriber has still to take. */
static inline uint64_t sub_waiting(const struct sub_stats *s)
{
    uint64_t gone = s->delivered_rows + s->dropped_rows;
    return s->rows > gone ? s->rows - gone : 0;
}
/* The same in an earlier survey; NULL: it was not there. */
const struct survey_node *survey_node_then(const struct survey *then, const struct survey_node *n);
const struct survey_source *survey_source_then(const struct survey *then, const struct survey_source *s);
const struct survey_sink *survey_sink_then(const struct survey *then, const struct survey_sink *s);
/* While something watches, each operator's share of the time is measured at every step, not at some. */
void runtime_watch(struct runtime *rt, bool on);
/* Waits that long, stepping the driver when there is one; true: until fact(ctx). runtime_poke lets it look again. */
bool runtime_wait_us(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us);

#endif
