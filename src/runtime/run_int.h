/* Inside the runtime: workers, instances, edges. See README.md for how an event travels.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_RUN_INT_H
#define RUNTIME_RUN_INT_H

#include "base/gate.h"
#include "base/meter.h"
#include "base/noise.h"
#include "base/ring.h"
#include "base/text.h"
#include "operator/op.h"
#include "runtime/host.h"
#include "runtime/runtime.h"

struct component;
struct deliver;
struct inst;

/* ---- waking ------------------------------------------------------------------------------------------- */

/* Whom to wake when a ring has something, or has room again: an instance of a worker (its bit, then the worker's
 * task), an I/O task, or a subscriber's gate. */
struct waker {
    _Atomic uint64_t *word;
    uint64_t bit;
    struct task *task;
    struct gate *gate;
};
static inline void waker_wake(const struct waker *w)
{
    noise();
    if (w->word) atomic_fetch_or_explicit(w->word, w->bit, memory_order_seq_cst);
    noise();
    if (w->task)
        task_wake(w->task);
    else if (w->gate)
        gate_wake(w->gate);
}

/* ---- edges between hosts -------------------------------------------------------------------------------- */

/* One ring with what both ends keep beside it. The producer end (tx_*) belongs to an instance, a reader or whoever holds
 * a pushed source's lock; the consumer end (channel_*) to an instance, an outlet or a subscriber. */
struct edge {
    struct ring *ring;
    /* producer's */
    _Alignas(64) struct waker reader;
    int64_t wm_pending; /* a watermark that found no room; the next one replaces it (TS_MIN: none) */
    bool idle_pending;
    struct tap *tap;    /* to a subscription; NULL: to the graph */
    bool end_sent;
    int64_t wm_said;    /* the last watermark given to edge_watermark */
    bool flush_wanted;  /* the builder found no room */
    struct batch *builder; /* rows gathered for this target by a hash exchange; cap EXCHANGE_ROWS */
    /* consumer's */
    _Alignas(64) struct waker writer;
    int64_t wm;
    bool idle, ended, drop; /* drop: closed here, what still comes is let go */
    int end_kind;
    uint64_t barrier;       /* the epoch it delivered and that has not passed yet; 0: none */
    int barrier_kind;
    int port;
    _Atomic bool alike;     /* its siblings hear what its producer hears: idle only together */
    struct edge *next;      /* of the consumer's list */
};
#define EXCHANGE_ROWS 1024

struct edge *edge_new(struct runtime *rt);
/* To a subscription, from that instance. */
struct sub_config;
struct edge *edge_new_tap(struct inst *from, const struct sub_config *cfg, int64_t bytes);
void edge_free(struct edge *e); /* both ends are done with it */

/* Gives out what waits for room (watermark, idleness, builder); call when woken. */
void edge_retry(struct edge *e);
/* Producer. false: no room, and the waker `writer` will be called when there is. */
bool edge_push(struct edge *e, struct batch *b); /* takes the reference when true */
bool edge_flush_builder(struct edge *e);
void edge_watermark(struct edge *e, int64_t wm); /* coalesced while there is no room */
void edge_idle(struct edge *e);
void edge_barrier(struct edge *e, uint64_t epoch, int kind); /* the builder is empty */
void edge_end(struct edge *e, int kind);
static inline bool edge_closed(struct edge *e) { return ring_closed(e->ring); }

/* Consumer: the next message; counts the bytes of a batch as taken and wakes a waiting producer. */
bool edge_pop(struct edge *e, struct msg *m);
void edge_close(struct edge *e); /* wants no more */
void edge_drain(struct edge *e); /* after close: lets go of what is inside; sets ended at END */

/* ---- taps: edges to subscriptions ------------------------------------------------------------------------ */

struct feed;

/* What an edge to a subscription keeps besides. Rows of one that blocks go through the ring; of one that drops through a feed,
 * and the ring only tells that the consumer has closed. No barrier travels it, since nobody answers there and they would pile
 * up before a subscriber that sleeps: the epoch rides on what does travel. */
struct tap {
    /* consumer's, with what it looks at each time */
    _Alignas(64) struct feed *feed; /* NULL: it blocks */
    _Atomic uint64_t epoch_said; /* of one that blocks: the producer's epoch, read before the ring is found empty */
    uint64_t rows_seen, batches_seen, epoch_seen; /* with those that are known to be dropped */
    /* producer's */
    _Alignas(64) bool newest; /* what does not fit is dropped itself, not the oldest */
    bool idle;
    int end;
    uint32_t every;  /* one row of so many; 0: all */
    uint32_t skip;   /* rows until the next that is taken */
    uint32_t *picked;
    struct pool *pool;
    const struct schema *schema;
    uint64_t epoch;  /* the last barrier that passed */
    int64_t wm;
    _Atomic uint64_t rows, batches; /* that came */
    _Atomic uint64_t sampled_rows;  /* of these: left out by `every` */
    _Atomic uint64_t dropped_rows, dropped_batches;
};
struct tap *tap_new(struct inst *from, const struct sub_config *cfg, int64_t bytes);
void tap_free(struct tap *t);
/* Producer, of one that drops. All take what they are given, at once. */
void tap_push(struct tap *t, struct batch *b);
void tap_watermark(struct tap *t, int64_t wm);
void tap_idle(struct tap *t);
void tap_end(struct tap *t, int kind);
void tap_epoch(struct tap *t, uint64_t epoch);
/* Producer, of one that blocks: a batch is in the ring. */
void tap_count(struct tap *t, uint32_t rows);

/* What a subscription finds on an edge. */
struct tapped {
    struct batch *b; /* or NULL: a gap at the end, or only what the edge keeps has changed */
    uint64_t gap_rows, gap_batches; /* dropped before it */
};
/* Consumer: takes the next thing; the edge's watermark, idleness and end are those behind it. false: nothing new. */
bool edge_tap(struct edge *e, struct tapped *out);

/* ---- answers to epochs ------------------------------------------------------------------------------------ */

/* Whoever takes part in an epoch answers it once: at its barrier or, having ended before, by having ended. Control counts
 * participants, asks each, then answers for those that ended; a participant that ends stores `ended`, then looks at what
 * was asked. Each stores, then loads what the other stored (seq_cst), so one of them answers; the exchange on `acked`
 * makes it one only. Who was not counted is not asked. */
struct answer {
    _Atomic uint64_t asked, acked;
    _Atomic bool ended;
};
void answer_epoch(struct runtime *rt, struct component *c, struct answer *a, uint64_t epoch);
void answer_end(struct runtime *rt, struct component *c, struct answer *a);

/* ---- links: an instance's outputs ------------------------------------------------------------------------- */

enum event { EVENT_NONE, EVENT_BATCH, EVENT_WATERMARK, EVENT_IDLE, EVENT_BARRIER, EVENT_END };

struct scatter; /* a hash exchange's side of one instance; exchange.c */

struct link {
    struct link *next;
    int out;            /* of the instance */
    struct inst *child; /* a call to the only consumer's channel ... */
    int port;
    int nedges;         /* ... or rings: one, or one per target worker */
    struct edge **edges;
    struct scatter *scatter; /* nedges > 1 */
    bool first_only; /* nedges > 1: rows go to the first, all else to all */
    bool closed;  /* its consumer wants no more */
    bool leaving; /* to be cut at the next CHANGE barrier */
    bool moves;   /* ... and its consumer lives on behind another */
};

struct scatter *scatter_new(struct inst *from, const struct plan_input *in, struct err *err);
void scatter_free(struct scatter *s);
/* Spreads rows over the link's edges. false: some target has no room; call again with the same rows. */
bool scatter_rows(struct scatter *s, struct link *l, const struct rows *r);

/* ---- instances ------------------------------------------------------------------------------------------------ */

struct node;
struct worker;

/* What an instance's worker counts, for display. Only the head of a chain is stepped, so it alone has a meter that runs; of
 * some steps each call is timed by itself, from which the share of each instance in the chain's time is known. */
struct inst_counts {
    _Atomic uint64_t rows_in, batches_in, rows_out, batches_out;
    _Atomic uint64_t bytes_in;  /* held by the batches that came in rings */
    struct meter meter;         /* heads */
    _Atomic int64_t steps_us;   /* heads: steps whose calls were timed ... */
    _Atomic int64_t calls_us;   /* ... and what of it were calls of this instance's operator */
    int64_t born_us;
};

struct inst {
    struct op *op; /* NULL: passes everything through (the head of a source's rows) */
    struct node *node;
    struct worker *worker;
    int index;          /* among the node's instances */
    int slot;           /* in the worker's ready bitmap; -1: inside a chain */
    struct inst *head;  /* of its chain: what is woken on its behalf */
    struct inst *driver; /* a stream's node has a slot of its own, so that it can be moved; while it is called, who is
                            stepped for it */
    struct edge *in;    /* input channels that are rings */
    struct edge *turn;  /* whose turn it is */
    int open_ports;     /* that have not ended */
    /* per port */
    int64_t port_wm[OP_PORTS];
    bool port_idle[OP_PORTS], port_ended[OP_PORTS];
    int port_channels[OP_PORTS];
    struct link *links;
    /* progress of the event at hand; see inst_run */
    struct inst *busy_child;
    enum event forward;
    int forward_out, forward_kind;
    struct link *forward_link;
    int forward_edge;   /* the next edge of that link */
    int64_t forward_ts;
    uint64_t forward_epoch;
    struct rows forward_rows;
    bool more;          /* the operator has more to give */
    bool done;          /* the operator is finished for ever */
    bool finished;      /* gave END, or nobody wants its rows: inputs are closed */
    bool cut;           /* ends without giving out what it holds */
    struct batch *arrived; /* from a ring, to be taken when what it woke is said */
    int arrived_port;
    struct batch *input; /* kept until the operator has taken it in full */
    struct rows offered; /* of it */
    int offered_port;
    bool refused;        /* for want of memory: it is offered again when the component goes on */
    struct inst *next_refused; /* of the worker's list */
    uint32_t wm_ports;   /* ports whose new watermark the operator has not been told */
    bool barrier_due, end_due, held, idle_sent, ended; /* held: a port ended with HOLD */
    int64_t wm_out;      /* without an operator: its output watermark */
    uint64_t barrier_epoch;
    int barrier_kind;
    int64_t wm_sent;
    _Atomic int64_t wm_shown; /* the same, for display */
    struct link_change *changes; /* to be made at the next CHANGE barrier; control writes it while workers are paused */
    struct link_change *made;    /* to be freed by control */
    struct answer answer;
    struct text image;      /* state frozen at the last FREEZE barrier */
    struct inst *next_dirty;
    bool dirty;             /* has rows in builders */
    struct inst_counts counts;
    int64_t chain_us;       /* the survey's note: of a head, what the calls of its chain took */
};

/* Made by the instance when the CHANGE barrier passes, or before it gives its end. */
struct link_change {
    struct link_change *next;
    struct link *add, *remove;
};

struct inst *inst_new(struct node *n, struct worker *w, int index);
void inst_free(struct inst *i);
/* Opens and starts the operator; image, when not NULL, holds saved state of all instances of the node. */
enum status inst_open(struct inst *i, const struct text *images, int nimages, struct err *err);
/* Goes on until nothing can be done now. Returns true when it is to be called again soon. */
bool inst_step(struct inst *i);
/* After a step: something is in hand that finds no room below. */
bool inst_is_stuck(const struct inst *i);
struct pool *inst_pool(struct inst *i);
void inst_flush_builders(struct inst *i);
/* Control, workers paused. A change for the next CHANGE barrier; an instance that has ended gives new consumers its end at
 * once. */
void inst_change(struct inst *i, struct link *add, struct link *remove);
/* A link that is not wanted any more, made or not: its consumer is cut off, or has ended before. */
void inst_withdraw(struct inst *i, struct link *l);
void inst_forget_changes(struct inst *i); /* frees those that were made */
bool inst_is_linked(const struct inst *i, const struct link *l);
void inst_forget_moved(struct inst *i); /* frees channels that have ended for others in their place */
void inst_take_off(struct inst *i, struct edge *e); /* of its channels */
void link_free(struct link *l);

/* ---- workers ---------------------------------------------------------------------------------------------------- */

#define READY_CHUNKS 64 /* of 64 instances each */
#define TIMED_STEPS  32

struct worker {
    struct task task;
    struct runtime *rt;
    int index;
    struct host *host;
    struct pool *pool;
    _Atomic uint64_t ready[READY_CHUNKS];
    struct inst *_Atomic heads[READY_CHUNKS * 64];
    uint64_t mine[READY_CHUNKS]; /* bits taken over and not done yet */
    int chunk;                   /* where the round stands */
    _Atomic int chunks;          /* in use */
    struct inst *dirty;          /* instances with rows in builders */
    struct inst *refused;        /* instances whose component waits for memory */
    int calls;                   /* of `more` in this step of an instance */
    uint32_t steps;              /* of instances */
    bool timing;                 /* this one's calls are timed one by one */
    _Atomic bool paused; /* has seen runtime->pause and stands between steps */
};

struct worker *worker_new(struct runtime *rt, int index);
void worker_free(struct worker *w);
int worker_slot(struct worker *w, struct inst *i); /* control; publishes the head */
void worker_release(struct worker *w, int slot);
struct waker worker_waker(struct worker *w, int slot);

/* ---- nodes and components ------------------------------------------------------------------------------------------ */

struct node_input {
    struct node *from;
    int out;
    const struct plan_input *plan; /* how rows travel; NULL: stay */
};

/* One plan node of the running graph, on all its workers. */
struct node {
    const struct plan *plan;
    const struct operator_class *class; /* NULL: passes through */
    uint64_t id;
    char name[64];
    struct component *component;
    struct reader *reader; /* the head of a reader's rows */
    const struct schema *schema;
    const char *whose;     /* the stream's or sink's name; NULL: of a query */
    struct account *account; /* of its state */
    struct arena *arena;   /* or NULL */
    const int *pick;       /* columns of the input to keep (a narrower view of a shared reader); NULL: all */
    bool is_top;           /* gives a named stream its rows, and is that stream's alone */
    bool is_stream;        /* passes on the rows of a named stream: its consumers stay when OR REPLACE gives it another input */
    int nin;
    struct node_input in[OP_PORTS];
    int ninst;
    struct inst **inst;
    int users;             /* nodes, outlets, subscriptions that read it */
    uint64_t stream_id;    /* the named stream this is the output of; 0: none */
    struct keep *keep;     /* or NULL: the plan belongs to a catalog object */
    enum on_error on_error;
    uint64_t owner;        /* the stream or sink whose plan this is part of; 0: see keep */
    struct node *next;     /* of the runtime's list */
    bool gone;             /* nobody reads it any more; not freed yet */
    bool alike;            /* all instances hear the same watermarks and idleness, sooner or later */
    bool fresh;            /* of the change being prepared */
};

/* What shares a reader or an operator: one watermark-and-barrier domain. Joined as the graph changes. */
struct component {
    struct component *_Atomic joined; /* into this one; follow with component_of */
    _Atomic bool cancel;      /* readers stop, everything is cut */
    _Atomic bool failed;
    struct err err;           /* valid once failed is set */
    _Atomic bool paused;      /* by ALTER STREAM: readers take nothing in */
    _Atomic bool starved;     /* an operator had no memory for a batch: readers take nothing in, and the batch waits */
    struct note hunger;       /* whose operator */
    _Atomic int64_t waiting;  /* answers to the epoch under way that are still missing */
    bool busy, kept; /* control's notes */
    bool watched;    /* a subscription reads something of it, or did; control's */
    struct component *next;
};
struct component *component_of(struct component *c);
void component_join(struct component *a, struct component *b); /* b is a from here on; control */
static inline bool in_component(struct component *of, struct component *c) { return component_of(of) == c; }
void component_fail(struct runtime *rt, struct component *c, const struct err *err);
void component_starve(struct runtime *rt, struct component *c, const char *whose);
enum status component_hunger(struct component *c, struct err *err); /* E_NOMEM, with advice */
static inline bool component_holds(struct component *c) /* its readers are to wait */
{
    c = component_of(c);
    return atomic_load_explicit(&c->paused, memory_order_relaxed) || atomic_load_explicit(&c->starved, memory_order_relaxed);
}
/* Control, with the lock: readers and refused batches look again. */
void component_go_on(struct runtime *rt, struct component *c);

/* ---- readers -------------------------------------------------------------------------------------------------------- */

struct reader *reader_new(struct runtime *rt, const struct object *source, const struct schema *schema,
                          const struct plan *values, struct component *c, struct err *err);
void reader_free(struct reader *r);
int reader_parts(struct reader *r);                                /* source tasks */
struct edge *reader_edge(struct reader *r, int part, int worker);  /* the producer end towards a worker */
struct answer *reader_answer(struct reader *r, int part);
const struct object *reader_object(struct reader *r); /* NULL: VALUES */
const struct schema *reader_schema(struct reader *r);
bool reader_pushed(struct reader *r);
void reader_start(struct reader *r);
bool reader_runs(struct reader *r); /* it was started */
/* While pinned, by callers that push, it is not freed. */
void reader_pin(struct reader *r);
void reader_unpin(struct reader *r);
bool reader_pinned(struct reader *r);
void reader_wake(struct reader *r);
void reader_stop(struct reader *r); /* no more rows: END(CUT) */
/* The next CHANGE barrier is the last it says: another reader goes on from there. */
void reader_leave(struct reader *r);
bool reader_leaving(struct reader *r);
void reader_forget_edge(struct reader *r, int part, int worker); /* frees it; its consumer has heard it out */
bool reader_done(struct reader *r);
/* Done, but its source is open, since the class wants to know what was delivered. */
bool reader_keeps_open(struct reader *r);
void reader_close(struct reader *r, bool delivered, uint64_t epoch); /* delivered: all that it gave */
/* Puts a barrier into every part as soon as each stands between two decoded batches; each part answers the epoch. */
void reader_barrier(struct reader *r, uint64_t epoch, int kind);
/* After a HOLD barrier: goes on; seek: from the positions kept at it. */
void reader_resume(struct reader *r, bool seek);
void reader_stats(struct reader *r, struct source_stats *out);

/* The pushed kind; caller threads. */
enum status reader_push(struct reader *r, struct batch **b, int n, int64_t timeout_us, struct err *err);
enum status reader_push_watermark(struct reader *r, int64_t us, struct err *err);
void reader_push_end(struct reader *r);
/* The same without waiting: ST_FULL, E_NO_READER. The reference is taken when ST_OK. */
enum status reader_offer(struct reader *r, struct batch *b);

/* ---- dead letters ------------------------------------------------------------------------------------------------------ */

#define LETTER_PAUSE_US 1000 /* then a stream that has no room is offered them again */

/* How rows of a source's or sink's dead letters are made. */
struct letters;
struct letters *letters_new(const struct object *from, struct env *env); /* NULL: it has none */
void letters_free(struct letters *l);
/* A row that a sink cannot take. */
struct batch *letter_of_row(const struct letters *l, struct pool *pool, const struct batch *b, uint32_t row, const struct err *why);
/* Records that a source cannot read: a batch with room for n, and one more in it. raw NULL: it is not known. */
struct batch *letter_batch(const struct letters *l, struct pool *pool, uint32_t n);
void letter_add_record(const struct letters *l, struct batch *to, uint32_t cap, const char *raw, size_t n, int64_t position,
                       const char *error);
/* Takes the reference unless ST_FULL: offer it again. E_NO_READER: nothing reads the stream. */
enum status letters_post(struct runtime *rt, const struct letters *l, struct batch *b);
void letters_end(struct runtime *rt); /* with the runtime's lock */

/* ---- outlets and deliver tasks ------------------------------------------------------------------------------------------ */

#define OUTLET_BYTES (32 << 20) /* of a log in memory */
struct outlet *outlet_new(struct runtime *rt, struct node *from, struct component *c);
void outlet_free(struct outlet *o);
struct edge *outlet_edge(struct outlet *o, int i); /* the consumer end of instance i of the node */
struct log *outlet_log(struct outlet *o);
struct answer *outlet_answer(struct outlet *o);
struct node *outlet_node(struct outlet *o);
void outlet_start(struct runtime *rt, struct outlet *o);
void outlet_close(struct outlet *o); /* no sink wants its rows any more */
bool outlet_done(struct outlet *o);
bool outlet_waits(struct outlet *o); /* its log is full */
/* Control: history of at least so many bytes, for which it runs whoever reads; 0: none. anew: it begins at the next CHANGE mark. */
void outlet_keep(struct outlet *o, int64_t bytes, bool anew);
int64_t outlet_keeps(const struct outlet *o);
/* Control, building a change: keeps a running outlet from closing for want of sinks until outlet_join or outlet_let_go.
 * false: it is too late. */
bool outlet_hold(struct outlet *o);
void outlet_let_go(struct outlet *o);
/* Its cursor begins right behind the next CHANGE mark, or before the end when that comes first. Ends the hold. */
void outlet_join(struct outlet *o, struct deliver *d);
void outlet_unjoin(struct outlet *o, struct deliver *d); /* not after all */

struct log;
struct deliver *deliver_new(struct runtime *rt, const struct object *sink, struct log *log, struct component *c, struct err *err);
void deliver_free(struct deliver *d);
void deliver_start(struct deliver *d);  /* it waits until attached */
void deliver_attach(struct deliver *d); /* makes its cursor: it gets what the log is given from now on */
void deliver_hold(struct deliver *d); /* control, before the start: it does nothing until released */
void deliver_release(struct deliver *d);
void deliver_end_at(struct deliver *d, uint64_t epoch); /* that epoch's mark is its end */
bool deliver_done(struct deliver *d);
void deliver_cancel(struct deliver *d); /* give up now */
const struct object *deliver_object(struct deliver *d);
void deliver_stats(struct deliver *d, struct sink_stats *out);
const struct histogram *deliver_latency(struct deliver *d); /* of whole writes; anyone reads */
void deliver_leave(struct deliver *d); /* no more will come: end when all is out; give up where an operator is needed */
bool deliver_blocked(struct deliver *d);
bool deliver_broken(struct deliver *d, struct err *err); /* BLOCKED, or closed with an error */
bool deliver_complete(struct deliver *d); /* closed, and the target has all that was accepted but for what was dropped by a policy or buried */
/* Posts a command and waits for the answer. set: for SINK_SET, the options given. */
enum status deliver_command(struct deliver *d, enum sink_command what, const struct options *set, int64_t timeout_us,
                            struct err *err);

/* ---- subscriptions ------------------------------------------------------------------------------------------------------------ */

struct sub *sub_new(struct runtime *rt, struct node *from, const struct plan *plan, struct component *c,
                    const struct sub_config *cfg, struct err *err);
/* One that reads the outlet's history. */
struct sub *sub_new_at(struct runtime *rt, struct outlet *o, const struct plan *plan, uint64_t epoch, const struct sub_config *cfg,
                       struct err *err);
void sub_own(struct sub *s, struct arena *a); /* its plan's, freed with it */
void sub_free(struct sub *s);
struct edge *sub_edge(struct sub *s, int i);
struct node *sub_node(struct sub *s);
struct runtime *sub_runtime(struct sub *s);
int sub_edges(const struct sub *s); /* 0: it reads history */
struct outlet *sub_outlet(const struct sub *s); /* whose log it reads; NULL: it has edges */
void sub_let_go(struct sub *s); /* closes its inputs; the caller uses it no more */
void sub_drain(struct sub *s);  /* control, after that: lets go of what still comes */
bool sub_closed(struct sub *s);
bool sub_idle(struct sub *s);   /* no call of sub_call is to come */

/* What such a one reads. */
struct resume;
struct log_reader;
struct resumed {
    struct batch *b; /* a reference */
    int64_t watermark;
    uint64_t epoch;
};
struct resume *resume_new(struct runtime *rt, struct outlet *o, const struct plan *plan, uint64_t epoch, struct log_reader reader,
                          struct err *err);
void resume_free(struct resume *r); /* NULL is allowed */
void resume_close(struct resume *r); /* it holds nothing any more */
struct outlet *resume_outlet(const struct resume *r);
/* ST_OK: the next batch; what is said before it is put into *at in any case. ST_WAIT, ST_DONE, or the log's error. */
enum status resume_take(struct resume *r, struct resumed *at, struct err *err);
void resume_advance(struct resume *r); /* that batch is given */
uint64_t resume_lag(struct resume *r); /* rows that wait, before the filter; anyone */

/* ---- budgets ------------------------------------------------------------------------------------------------------------- */

/* The account of a stream's state, which a limit may bound; the caller's reference. Control, with the lock. */
struct account *budget_account(struct runtime *rt, uint64_t stream_id);
void budget_drop(struct runtime *rt, uint64_t stream_id); /* 0: all */

/* ---- what ran --------------------------------------------------------------------------------------------------------------------- */

struct run_reader;
struct run_sub;
struct past;
/* Note the counts of what is about to be freed. */
void past_reader(struct runtime *rt, const struct run_reader *r);
void past_stream(struct runtime *rt, struct node *n);
void past_query(struct runtime *rt, const struct run_sub *s);
struct past *past_find(struct runtime *rt, uint64_t id); /* of a source or stream; NULL: nothing is gone */
const struct source_stats *past_source_stats(const struct past *p);
const struct stream_stats *past_stream_stats(const struct past *p);
void past_drop(struct runtime *rt, uint64_t id); /* 0: all */
/* Counts are added; the later text stays. */
void source_stats_add(struct source_stats *to, const struct source_stats *s);
void stream_stats_add(struct stream_stats *to, const struct stream_stats *s);
/* Adds the counts of a node and of what it reads, down to named streams and sources. */
void node_stats(struct node *n, struct stream_stats *out);

/* ---- the runtime ------------------------------------------------------------------------------------------------------------ */

struct runtime {
    struct run_config cfg;
    struct env *env;
    struct account *account;
    int nworkers;
    struct worker **workers;
    struct host *driver; /* threads = 0 or simulation */
    struct host *_Atomic io; /* non-blocking I/O tasks share one thread; set when all threads run */
    struct host *callbacks;  /* the thread that calls subscribers, from the first that wants it */
    struct bell control; /* rung when something control may wait for has happened */
    /* Who changes the graph, or sends a barrier through it, has the turn, also while waiting; who walks the lists without it
     * takes the lock, as does the turn's holder to change them. Nobody waits with the lock held. */
    _Atomic bool turn;
    _Atomic bool unswept;  /* something may be freed since whoever has the turn looked */
    _Atomic bool closing;  /* waiting calls give up */
    struct lock lock;
    struct node *nodes;
    struct component *components;
    struct run_reader *readers;
    struct run_outlet *outlets;
    struct run_sink *sinks;
    struct run_sub *subs;
    struct past *past;
    struct budget *budgets;
    uint64_t next_epoch;
    struct lock letter_lock;  /* of what follows; nothing is taken or waited for under it */
    struct reader *letterboxes;
    _Atomic int pauses;   /* workers step nothing while there are some; see runtime_pause */
    _Atomic int watchers; /* while there are some, the calls of every step are timed, else of one in TIMED_STEPS */
};

/* What runs, as control keeps it. */
struct run_reader {
    struct run_reader *next;
    struct reader *reader;
    struct node *scan; /* the head of its rows */
    uint64_t source_id, former_id; /* former: of the source that this one replaced */
    bool left;         /* another reader has taken its place at scan */
};
struct run_outlet {
    struct run_outlet *next;
    struct outlet *outlet; /* of sinks, of history, or of both */
    bool detached; /* taken off its node */
};
struct run_sink {
    struct run_sink *next;
    struct outlet *outlet; /* of the node; sinks share it */
    struct deliver *deliver;
    uint64_t sink_id;
    bool detached; /* ends or has ended; freed when its task is done, at once or by a later sweep */
};
struct run_sub {
    struct run_sub *next;
    struct sub *sub;
    bool detached;
};

/* A plan's memory that running nodes need; the last of them frees it. */
struct keep {
    int refs;
    struct arena *arena;
};
void keep_unref(struct keep *k);

/* With the workers stopped between steps, control may look into instances, free or replace them. */
void runtime_pause(struct runtime *rt);
void runtime_resume(struct runtime *rt);

/* false: not within the time. */
bool turn_take(struct runtime *rt, int64_t timeout_us);
bool turn_try(void *rt);
void turn_give(struct runtime *rt); /* sweeps first */
enum status turn_not_had(struct err *err);

/* Control, with the turn. An epoch through all of a component; the one before must have been answered (epoch_wait), for a
 * ring keeps room for one barrier. */
void epoch_begin(struct runtime *rt, struct component *c, int kind);
bool epoch_wait(struct runtime *rt, struct component *c, int64_t timeout_us);
/* Says who keeps the component's barrier from passing. E_TIMEOUT. */
enum status epoch_blocked(struct runtime *rt, struct component *c, const char *what, struct err *err);
int64_t time_left(struct runtime *rt, int64_t until); /* INT64_MAX: no limit */
#define CANCEL_US 1000000 /* a connector that was canceled comes back in that time */
bool node_ended(const struct node *n); /* all instances */
struct run_sink *runtime_sink(struct runtime *rt, uint64_t id); /* that runs; NULL: none. With the lock */
void runtime_stop_threads(struct runtime *rt);

/* ---- ack.c: control with the turn, without the lock */
void ack_ended(struct runtime *rt);

/* ---- sweep.c: with the lock */
void stock_take(struct runtime *rt); /* notes of each component whether something in it has still to end, and whether it is kept all the same */
bool stock_busy(struct runtime *rt); /* any component; after stock_take */
bool stock_through(struct run_sink *s); /* nothing will come of it by itself any more */
void sweep_all(struct runtime *rt); /* without the lock, with the turn */
void sweep_component(struct runtime *rt, struct component *c); /* all of it; workers paused */
/* What follows: control with the turn and the lock, workers paused. */
void node_free(struct node *n);
/* Node n loses a consumer (an outlet or a subscription, whichever is not NULL), and with it goes all that fed only it.
 * at_barrier: the links that fall away are cut when the next CHANGE barrier passes; else the consumer has closed its rings,
 * and all before it ends by itself. Returns how many links a barrier is to cut. */
int graph_detach(struct node *n, struct outlet *o, struct sub *s, bool at_barrier);
/* Takes the links to such a consumer out for good. */
void graph_unlink(struct node *n, struct outlet *o, struct sub *s);
/* Frees nodes that are gone and that nothing leads to. */
void graph_sweep(struct runtime *rt);

/* Where tasks of a kind live. blocking: a host of its own (*own), which the caller frees. */
enum status runtime_host(struct runtime *rt, const char *name, bool blocking, struct host **own, struct host **out,
                         struct err *err);
enum status runtime_callback_host(struct runtime *rt, struct host **out, struct err *err);
void runtime_log(struct runtime *rt, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Control thread: waits until fact(ctx) or the deadline, stepping the driver when there is one. */
bool runtime_wait(struct runtime *rt, bool (*fact)(void *ctx), void *ctx, int64_t timeout_us);

#endif
