/* A change of the graph as its files share it: change.c collects and applies, use.c says what is needed, build.c makes nodes, link.c draws links, swap.c
 * replaces, drop.c takes sinks off, history.c keeps streams running. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_CHANGE_INT_H
#define RUNTIME_CHANGE_INT_H

#include "runtime/run_int.h"

struct root {
    struct root *next;
    const struct plan *plan;
    const struct object *sink; /* or */
    struct sub **sub;
    struct sub_config sub_config;
    struct keep *keep;
    uint64_t owner;
    const char *whose;
    const struct plan *top; /* of a named stream: not shared */
    enum on_error on_error;
    struct run_sink *run_sink;
    bool joins; /* an outlet that runs */
    struct sub *made;
};

struct drop {
    struct drop *next;
    uint64_t sink_id;
    bool discard;
    struct run_sink *sink; /* NULL: it does not run */
};

/* A stream that is to keep history from now on. */
struct history {
    struct history *next;
    const struct object *stream;
    int64_t bytes;
    struct outlet *outlet;
    bool joins; /* an outlet that runs */
};

/* One that is to keep it no more. */
struct end_of_history {
    struct end_of_history *next;
    uint64_t stream_id;
    struct run_outlet *outlet; /* NULL: it does not run, or goes on for what replaces the stream */
};

/* A channel that a node which runs is to have from the barrier on. */
struct channel {
    struct channel *next;
    struct inst *to;
    struct edge *edge;
};

/* What takes the place of the input of node `at`: of a stream, or of a source's reader. */
struct swap {
    struct swap *next;
    const struct object *object;
    struct node *at, *top;         /* a stream's, and its new input */
    struct run_reader *old, *made; /* a source's */
    bool was_alike;
};

/* A source or stream that is replaced. */
struct replacement {
    struct replacement *next;
    uint64_t old_id;
    const struct object *object;
};

/* What a change does with one source or one stream. */
struct use {
    struct use *next;
    const struct object *object;
    const struct plan *values;
    bool *wanted; /* source: columns that some plan needs */
    struct node *node;
};

struct change {
    struct runtime *rt;
    struct arena *arena;
    struct root *roots, **root_tail;
    struct use *uses;
    struct node *nodes, **node_tail; /* new ones, inputs before their users */
    struct run_reader *readers;      /* new ones */
    struct run_outlet *outlets;      /* new ones */
    struct link_made *made;          /* link changes for instances that run */
    struct drop *drops;
    struct history *histories;
    struct end_of_history *ends;
    struct replacement *replacements;
    struct swap *swaps;
    struct channel *channels;
};

/* A link from an instance that runs. */
struct link_made {
    struct link_made *next;
    struct inst *inst;
    struct link *link;
};

/* ---- use.c */
struct use *use_find(struct change *ch, const struct object *o);
struct use *use_add(struct change *ch, const struct object *o);
/* Note the sources (with the columns wanted) and streams that a plan needs and that do not run; before anything is built. */
void use_collect(struct change *ch, const struct plan *p);
void use_collect_stream(struct change *ch, const struct object *o);

/* ---- build.c */
enum status build_plan(struct change *ch, const struct plan *p, const struct root *root, struct node **out, struct err *err);
enum status build_stream(struct change *ch, const struct object *o, struct node **out, struct err *err);
/* The outlet of a node: one of this change, or one that runs and is held for it. */
struct outlet *build_outlet(struct change *ch, struct node *n, bool *runs);

/* ---- link.c */
struct link *link_new(int out, int nedges);
void link_give(struct change *ch, struct inst *from, struct link *l); /* now, or at the CHANGE barrier when it runs */
struct edge *link_edge(struct runtime *rt, struct inst *from);
enum status link_channel(struct inst *to, int port, struct edge *e, struct err *err);
enum status link_inputs(struct change *ch, struct node *n, struct err *err);
enum status link_reader(struct node *n, struct err *err);
void link_out(struct change *ch, struct inst *from, struct edge *e);

/* ---- swap.c */
void swap_find(struct change *ch, const struct replacement *r);
enum status swap_make(struct change *ch, struct swap *s, struct err *err);
void swap_connect(struct change *ch, struct swap *s);
void swap_put_back(struct change *ch);    /* not after all */
void swap_take_effect(struct change *ch); /* with the lock, workers paused */
void swap_settle(struct change *ch);      /* the barrier has passed */

/* ---- drop.c */
void drop_take_off(struct runtime *rt, struct run_sink *s, bool discard); /* with the lock, workers paused */
void drop_cancel(struct change *ch);
void drop_finish(struct change *ch, int64_t until);

/* ---- history.c */
enum status history_make(struct change *ch, struct history *h, struct err *err);
void history_find_ends(struct change *ch);
void history_settle(struct change *ch); /* with the lock, workers paused, before sinks are dropped */

/* ---- node.c */
bool node_runs(const struct node *n); /* new consumers may join: no instance has ended */
bool node_hears_alike(const struct node *n);
struct node *node_of_stream(struct runtime *rt, uint64_t id); /* that runs; NULL: none */

/* ---- graph.c */
/* Links from a node to another, an outlet or a subscription, whichever is not NULL, are cut at the next CHANGE barrier; moves: their
 * consumer goes on with another input. How many. */
int graph_cut_links(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool moves);
/* The same, and what fed only it goes as well; see graph_detach. */
int graph_cut(struct node *from, const struct node *n, struct outlet *o, struct sub *s, bool at_barrier);
/* Another sink than s (NULL: any) is to go on with that outlet, or its history is. */
bool graph_shares_outlet(struct runtime *rt, const struct outlet *o, const struct run_sink *s);
void graph_detach_outlet(struct run_outlet *o); /* at the next CHANGE barrier */

#endif
