/* Making room: what becomes of the oldest entry in memory when memory is used up. The least that its holders ask for is done, so
 * a cursor that drops loses nothing that another one keeps in memory anyway, and one that waits keeps no other from dropping
 * what only that one holds. SPDX-License-Identifier: Apache-2.0 */
#include "log/log_int.h"

#define RETRY_US 1000000 /* a disk that failed is tried again after so long */

enum fate { FATE_WAIT, FATE_SPILL, FATE_DROP };

static enum fate fate(struct log *l)
{
    uint64_t seq = l->base;
    bool spill = false;
    if (slot(l, seq)->e.kind == LOG_END) return FATE_WAIT;
    for (struct cursor *c = l->cursors; c; c = c->next) {
        if (c->ended || c->at > seq) continue;
        if (c->policy == CURSOR_BLOCK) return FATE_WAIT;
        spill |= c->policy == CURSOR_SPILL;
    }
    if (log_may_spill(l) && (spill || retained(l, seq + 1, before(l, seq + 1)))) return FATE_SPILL;
    return spill ? FATE_WAIT : FATE_DROP;
}

/* Everything before entry `to` goes: from those who drop, from those whom that ends, and from what is retained. */
static void drop_before(struct log *l, uint64_t to, struct sums passed)
{
    for (struct cursor *c = l->cursors; c; c = c->next) {
        if (c->ended || c->at >= to) continue;
        c->ended = c->policy == CURSOR_ERROR;
        if (c->ended)
            cursor_drop(c, l->next, l->total);
        else
            cursor_drop(c, to, passed);
    }
    l->floor = to;
    log_trim(l);
}

bool log_full(struct log *l, struct err *err)
{
    bool full = false;
    if (err) err->code = ST_OK;
    lock_take(&l->lock);
    if (l->retry_us && memory(l) >= l->cfg.memory_bytes && env_now_us(l->cfg.env) >= l->retry_us) l->retry_us = 0;
    while (!full && l->base < l->next && memory(l) >= l->cfg.memory_bytes) {
        switch (fate(l)) {
        case FATE_WAIT: full = true; break;
        case FATE_SPILL: log_spill(l, err); break; /* where it fails, the entry's fate is another one now */
        case FATE_DROP: drop_before(l, l->base + 1, before(l, l->base + 1)); break;
        }
    }
    l->full_events += full && !l->writer_waits;
    l->writer_waits = full;
    log_leave(l);
    return full;
}

int64_t log_retry_us(struct log *l)
{
    lock_take(&l->lock);
    int64_t us = l->writer_waits && l->retry_us ? l->retry_us : INT64_MAX;
    lock_give(&l->lock);
    return us;
}

/* ---- spilling ---------------------------------------------------------------------------------------- */

/* Copies the oldest entries in memory that nobody wants to stay there, with references, until an eighth of the memory is free
 * or there is enough for one write. */
static int choose(struct log *l)
{
    uint64_t end = l->next;
    int64_t size = 0, goal = memory(l) - (l->cfg.memory_bytes - l->cfg.memory_bytes / 8);
    for (struct cursor *c = l->cursors; c; c = c->next)
        if (c->policy == CURSOR_BLOCK && !c->ended && c->at < end) end = c->at;
    int n = 0;
    for (uint64_t s = l->base; s < end && n < RUN_ENTRIES && size < RUN_BYTES && (!n || size < goal); s++) {
        l->run[n] = *slot(l, s);
        if (l->run[n].e.kind == LOG_BATCH) batch_ref(l->run[n].e.b);
        n++;
        size = (int64_t)(before(l, s + 1).bytes - l->run[0].before.bytes);
    }
    return n;
}

static void encode(struct log *l, int n)
{
    text_clear(&l->out);
    for (int i = 0; i < n; i++) {
        l->run_at[i] = l->out.n;
        frame_put(&l->out, l->cfg.schema, &l->run[i].e);
    }
}

/* Whether n more bytes may go to disk; old segments that nobody insists on give way. */
static bool disk_room(struct log *l, int64_t n)
{
    while (l->disk + n > l->cfg.disk_bytes && log_disk_yields(l)) {
        drop_before(l, l->oldest->end, l->oldest->after);
        log_leave(l);
        lock_take(&l->lock);
    }
    return l->disk + n <= l->cfg.disk_bytes;
}

/* The segment to write to: the newest, or a new one that is not in the list yet. */
static enum status open_segment(struct log *l, bool fresh, struct segment **out, struct err *err)
{
    if (!fresh) return ST_OK;
    if (l->file) file_close(l->file, NULL);
    l->file = NULL;
    uint64_t number = ++l->numbers;
    TRY(segment_create(&l->place, number, &l->file, err));
    l->file_number = number;
    *out = mem_zalloc(sizeof **out);
    (*out)->number = number;
    return ST_OK;
}

static void add_begin(struct segment *s, const struct slot *e, size_t at)
{
    if (s->n && at - s->begins[s->n - 1].at < STRIPE_BYTES) return;
    if (s->n == s->cap) {
        int cap = s->cap ? s->cap * 2 : 16;
        s->begins = mem_realloc(s->begins, sizeof *s->begins * (size_t)s->cap, sizeof *s->begins * (size_t)cap);
        s->cap = cap;
    }
    s->begins[s->n++] = (struct begin){e->e.seq, (uint32_t)at, e->before};
}

static void publish(struct log *l, struct segment *s, bool fresh, int n)
{
    if (fresh) {
        s->first = l->run[0].e.seq;
        if (l->newest)
            l->newest->next = s;
        else
            l->oldest = s;
        l->newest = s;
    }
    for (int i = 0; i < n; i++) add_begin(s, &l->run[i], s->data + l->run_at[i]);
    const struct log_entry *last = &l->run[n - 1].e;
    s->end = last->seq + 1;
    s->after = sums_after(l->run[n - 1].before, last, last->kind == LOG_BATCH ? last->b->bytes_held : 0);
    s->data += (uint32_t)l->out.n;
    l->spilled += l->out.n;
    for (; l->base < s->end; l->base++)
        if (slot(l, l->base)->e.kind == LOG_BATCH) batch_unref(slot(l, l->base)->e.b);
}

/* Writes the encoded run; the lock is given back while files are touched. */
static enum status write_run(struct log *l, int n, struct err *err)
{
    int64_t size = (int64_t)l->out.n;
    if (!disk_room(l, size)) {
        l->disk_full = true;
        return ST_FULL;
    }
    if (l->base > l->run[n - 1].e.seq) return ST_OK; /* all have read it meanwhile */
    struct segment *s = l->newest;
    bool fresh = !s || s->broken || s->data >= l->segment_bytes || s->data + size > UINT32_MAX;
    l->disk += size;
    l->spilling = true;
    lock_give(&l->lock);
    enum status st = open_segment(l, fresh, &s, err);
    bool opened = !st;
    if (!st) st = file_write(l->file, l->out.p, l->out.n, err);
    if (st && opened && fresh) segment_remove(&l->place, s->number), mem_free(s);
    lock_take(&l->lock);
    l->spilling = false;
    if (st && (!opened || fresh)) l->disk -= size;
    if (opened && !(st && fresh)) s->size += size;
    if (st && opened && !fresh) s->broken = true;
    if (!st) publish(l, s, fresh, n);
    return st;
}

/* Says so the first time. */
static void fail(struct log *l, const struct err *why, struct err *err)
{
    l->retry_us = env_now_us(l->cfg.env) + RETRY_US;
    if (!l->told && err) {
        *err = *why;
        err->code = E_WRITE;
        err_hint(err, "free space or mend the disk of \"%.120s\"; until then what cannot be delivered makes the stream wait", l->cfg.dir);
    }
    l->told = true;
}

enum status log_spill(struct log *l, struct err *err)
{
    struct err why = {.pos = NO_POS};
    int n = choose(l);
    lock_give(&l->lock);
    encode(l, n);
    lock_take(&l->lock);
    enum status st = write_run(l, n, &why);
    log_trim(l);
    if (!st) l->told = false;
    if (st && st != ST_FULL) fail(l, &why, err);
    log_leave(l);
    for (int i = 0; i < n; i++)
        if (l->run[i].e.kind == LOG_BATCH) batch_unref(l->run[i].e.b);
    lock_take(&l->lock);
    return st;
}
