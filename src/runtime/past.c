/* What ran and is gone: the counts of readers and streams outlive them, so that SHOW tells of rows that were left out when
 * what read them has ended. Control, under the graph's lock. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

#include <stdio.h>

struct past {
    struct past *next;
    uint64_t id; /* of the source or stream */
    struct source_stats source;
    struct stream_stats stream;
};

struct past *past_find(struct runtime *rt, uint64_t id)
{
    struct past *p = rt->past;
    while (p && p->id != id) p = p->next;
    return p;
}

static struct past *past_of(struct runtime *rt, uint64_t id)
{
    struct past *p = past_find(rt, id);
    if (p) return p;
    p = mem_zalloc(sizeof *p);
    p->id = id;
    p->source.watermark = p->stream.watermark = TS_MIN;
    p->next = rt->past;
    return rt->past = p;
}

void past_drop(struct runtime *rt, uint64_t id)
{
    for (struct past **at = &rt->past; *at;) {
        struct past *p = *at;
        if (id && p->id != id) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        mem_free(p);
    }
}

static void keep_text(char *to, const char *from, size_t n)
{
    if (from[0]) snprintf(to, n, "%s", from);
}

void source_stats_add(struct source_stats *to, const struct source_stats *s)
{
    to->accepted += s->accepted;
    to->dropped += s->dropped;
    to->waits += s->waits;
    to->rows += s->rows;
    to->bytes += s->bytes;
    to->batches += s->batches;
    to->blocks += s->blocks;
    to->busy_us += s->busy_us;
    to->blocked_us += s->blocked_us;
    to->bad += s->bad;
    to->nulled += s->nulled;
    to->null_time += s->null_time;
    to->late_dropped += s->late_dropped;
    to->dead_lettered += s->dead_lettered;
    keep_text(to->last_error, s->last_error, sizeof to->last_error);
}

void stream_stats_add(struct stream_stats *to, const struct stream_stats *s)
{
    to->rows_in += s->rows_in;
    to->rows_out += s->rows_out;
    to->late += s->late;
    to->errors += s->errors;
    keep_text(to->late_example, s->late_example, sizeof to->late_example);
    keep_text(to->last_error, s->last_error, sizeof to->last_error);
}

void past_reader(struct runtime *rt, const struct run_reader *r)
{
    struct source_stats s;
    if (!r->source_id) return;
    reader_stats(r->reader, &s);
    source_stats_add(&past_of(rt, r->source_id)->source, &s);
}

void past_stream(struct runtime *rt, struct node *n)
{
    struct stream_stats s = {0};
    if (!n->stream_id) return;
    node_stats(n, &s);
    stream_stats_add(&past_of(rt, n->stream_id)->stream, &s);
}

/* A query has no name to show its counts under, so they are told once. */
void past_query(struct runtime *rt, const struct run_sub *r)
{
    struct stream_stats s = {0};
    struct node *n = sub_node(r->sub);
    if (n->stream_id || atomic_load(&component_of(n->component)->failed)) return;
    node_stats(n, &s);
    if (s.late) runtime_log(rt, 1, "a query left out %llu late rows, such as %s", (unsigned long long)s.late, s.late_example);
    if (s.errors) runtime_log(rt, 1, "a query met %llu row errors, such as %s", (unsigned long long)s.errors, s.last_error);
}

const struct source_stats *past_source_stats(const struct past *p) { return &p->source; }
const struct stream_stats *past_stream_stats(const struct past *p) { return &p->stream; }
