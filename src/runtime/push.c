/* Pushing into a source by its number: to the reader that runs, and on to its successor when it is replaced.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_int.h"

/* Stays until it is unpinned. */
static struct reader *pin_reader(struct runtime *rt, uint64_t source_id)
{
    struct run_reader *found = NULL;
    lock_take(&rt->lock);
    for (struct run_reader *r = rt->readers; r; r = r->next) {
        bool its = r->source_id == source_id || r->former_id == source_id;
        if (!its || !reader_runs(r->reader) || !reader_pushed(r->reader) || r->scan->gone) continue;
        if (!found || found->left || r->former_id == source_id) found = r;
    }
    if (found) reader_pin(found->reader);
    lock_give(&rt->lock);
    return found ? found->reader : NULL;
}

struct successor {
    struct runtime *rt;
    uint64_t source_id;
};

static bool has_successor(void *ctx)
{
    struct successor *s = ctx;
    lock_take(&s->rt->lock);
    struct run_reader *r = s->rt->readers;
    while (r && (r->former_id != s->source_id || !reader_runs(r->reader))) r = r->next;
    lock_give(&s->rt->lock);
    return r;
}

/* The reader refused since another takes its place: waits for that. Unpins r. */
static bool has_moved(struct runtime *rt, struct reader *r, uint64_t source_id)
{
    struct successor s = {rt, source_id};
    bool its_own = reader_object(r) && reader_object(r)->id == source_id; /* else the caller is to look for the name again */
    bool moved = its_own && reader_leaving(r) && runtime_wait(rt, has_successor, &s, CANCEL_US);
    reader_unpin(r);
    return moved;
}

static enum status no_reader(struct err *err)
{
    err_set(err, E_NO_READER, "nothing reads this source");
    err_hint(err, "create a sink on it or on a stream over it, or subscribe, before pushing");
    return E_NO_READER;
}

enum status runtime_push(struct runtime *rt, uint64_t source_id, struct batch **b, int n, int64_t timeout_us, struct err *err)
{
    for (;;) {
        struct reader *r = pin_reader(rt, source_id);
        if (!r) return no_reader(err);
        enum status st = reader_push(r, b, n, timeout_us, err);
        if (st != E_NO_READER) return reader_unpin(r), st;
        if (!has_moved(rt, r, source_id)) return no_reader(err);
    }
}

enum status runtime_push_watermark(struct runtime *rt, uint64_t source_id, int64_t us, struct err *err)
{
    for (;;) {
        struct reader *r = pin_reader(rt, source_id);
        if (!r) return no_reader(err);
        enum status st = reader_push_watermark(r, us, err);
        if (st != E_NO_READER) return reader_unpin(r), st;
        if (!has_moved(rt, r, source_id)) return no_reader(err);
    }
}

enum status runtime_push_end(struct runtime *rt, uint64_t source_id, struct err *err)
{
    struct reader *r = pin_reader(rt, source_id);
    if (!r) return no_reader(err);
    reader_push_end(r);
    reader_unpin(r);
    return ST_OK;
}
