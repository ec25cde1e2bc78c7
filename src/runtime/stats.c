/* What SHOW shows: the counts of what runs and of what ran before, added up. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#include <stdio.h>

bool runtime_source_stats(struct runtime *rt, uint64_t source_id, struct source_stats *out)
{
    lock_take(&rt->lock);
    struct past *p = past_find(rt, source_id);
    bool found = p != NULL;
    *out = (struct source_stats){.size = -1, .watermark = TS_MIN};
    if (p) source_stats_add(out, past_source_stats(p));
    for (struct run_reader *r = rt->readers; r; r = r->next) {
        if (r->source_id != source_id) continue;
        struct source_stats s;
        reader_stats(r->reader, &s);
        bool first = !out->running;
        source_stats_add(out, &s);
        out->running = found = true;
        out->ended = (first || out->ended) && s.ended;
        out->idle = (first || out->idle) && s.idle;
        out->size = first ? s.size : s.size < 0 || out->size < 0 ? -1 : out->size + s.size;
        out->position += s.position;
        if (first || s.watermark < out->watermark) out->watermark = s.watermark;
    }
    lock_give(&rt->lock);
    return found;
}

static void add_node_stats(struct node *n, struct stream_stats *out, int depth)
{
    if (n->is_stream) n = n->in[0].from;
    for (int i = 0; i < n->ninst && n->class; i++) {
        struct op_ctx *c = &n->inst[i]->op->ctx;
        if (!depth) out->rows_out += atomic_load(&n->inst[i]->counts.rows_out);
        out->late += atomic_load(&c->late);
        out->errors += atomic_load(&c->errors);
        if (!out->late_example[0]) note_read(&c->late_example, out->late_example);
        if (!out->last_error[0]) note_read(&c->row_error, out->last_error);
        int64_t wm = atomic_load_explicit(&n->inst[i]->wm_shown, memory_order_relaxed);
        if (!depth && wm < out->watermark) out->watermark = wm;
    }
    for (int p = 0; p < n->nin; p++)
        if (!n->in[p].from->stream_id) add_node_stats(n->in[p].from, out, depth + 1);
}

void node_stats(struct node *n, struct stream_stats *out) { add_node_stats(n, out, 0); }

bool runtime_sink_stats(struct runtime *rt, uint64_t sink_id, struct sink_stats *out)
{
    bool found = false;
    lock_take(&rt->lock);
    for (struct run_sink *s = rt->sinks; s; s = s->next) {
        if (s->sink_id != sink_id) continue;
        deliver_stats(s->deliver, out);
        struct node *n = outlet_node(s->outlet);
        struct stream_stats own = {0};
        if (!n->stream_id) node_stats(n, &own);
        out->late = own.late;
        out->row_errors = own.errors;
        if (!out->last_error[0]) snprintf(out->last_error, sizeof out->last_error, "%s", own.last_error);
        found = true;
    }
    lock_give(&rt->lock);
    return found;
}

bool runtime_stream_stats(struct runtime *rt, uint64_t stream_id, struct stream_stats *out)
{
    lock_take(&rt->lock);
    struct past *p = past_find(rt, stream_id);
    bool found = p != NULL;
    *out = (struct stream_stats){.watermark = TS_MIN};
    if (p) stream_stats_add(out, past_stream_stats(p));
    for (struct node *n = rt->nodes; n; n = n->next) {
        if (n->stream_id != stream_id) continue;
        struct stream_stats s = {.watermark = TS_MAX};
        node_stats(n, &s);
        stream_stats_add(out, &s);
        out->watermark = s.watermark;
        out->ended = (!out->running || out->ended) && node_ended(n);
        out->running = found = true;
        struct component *c = component_of(n->component);
        out->paused = atomic_load(&c->paused);
        out->failed = atomic_load(&c->failed) ? (int)c->err.code : atomic_load(&c->starved) ? (int)E_NOMEM : 0;
    }
    lock_give(&rt->lock);
    return found;
}

void runtime_forget(struct runtime *rt, uint64_t id)
{
    lock_take(&rt->lock);
    past_drop(rt, id);
    budget_drop(rt, id);
    lock_give(&rt->lock);
}

int runtime_parts(struct runtime *rt)
{
    int n = 0;
    lock_take(&rt->lock);
    for (struct node *x = rt->nodes; x; x = x->next) n++;
    for (struct run_reader *x = rt->readers; x; x = x->next) n++;
    for (struct run_outlet *x = rt->outlets; x; x = x->next) n++;
    for (struct run_sink *x = rt->sinks; x; x = x->next) n++;
    for (struct run_sub *x = rt->subs; x; x = x->next) n++;
    lock_give(&rt->lock);
    return n;
}
