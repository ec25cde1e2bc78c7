/* The list of entries and who holds them. Slots are a ring that grows by doubling.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/gate.h"
#include "log/log_int.h"

#define SEGMENTS 16 /* about so many fill the disk's share */
#define SEGMENT_BYTES_MAX (256 << 20)

struct log *log_new(const struct log_config *cfg, struct task *writer)
{
    struct log *l = mem_zalloc(sizeof *l);
    lock_init(&l->lock);
    l->cfg = *cfg;
    l->cfg.dir = cfg->dir ? mem_strdup(cfg->dir) : NULL;
    l->place = (struct segment_place){cfg->env, l->cfg.dir, cfg->name};
    l->segment_bytes = cfg->disk_bytes / SEGMENTS < SEGMENT_BYTES_MAX ? cfg->disk_bytes / SEGMENTS : SEGMENT_BYTES_MAX;
    l->writer = writer;
    l->cap = 64;
    l->slots = mem_zalloc(sizeof *l->slots * l->cap);
    l->base = l->next = 1;
    for (int i = 0; i < cfg->schema->n; i++) {
        l->width += (int)type_width(cfg->schema->fields[i].type);
        l->has_text |= type_is_text(cfg->schema->fields[i].type);
    }
    return l;
}

/* ---- what is kept ------------------------------------------------------------------------------------ */

/* The first entry that a cursor has not passed; `enough` is as good an answer as any lower one. */
static uint64_t lowest(struct log *l, uint64_t enough)
{
    uint64_t low = l->next;
    for (struct cursor *c = l->cursors; c && low > enough; c = c->next)
        if (!c->ended && c->at < low) low = c->at;
    return low;
}

static uint64_t first(struct log *l) { return l->oldest ? l->oldest->first : l->base; }

static void trim_segments(struct log *l, uint64_t low)
{
    while (l->oldest && l->oldest->end <= low && !retained(l, l->oldest->end, l->oldest->after)) {
        struct segment *s = l->oldest;
        if (s == l->newest && l->spilling) return;
        l->oldest = s->next;
        if (!l->oldest) l->newest = NULL;
        s->next = l->dead;
        l->dead = s;
    }
}

static void trim_marks(struct log *l)
{
    while (l->mark_first < l->mark_end && l->marks[l->mark_first].seq < first(l)) l->mark_first++;
}

void log_trim(struct log *l)
{
    uint64_t old = first(l), low = lowest(l, old);
    for (; l->base < low && !retained(l, l->base + 1, before(l, l->base + 1)); l->base++)
        if (slot(l, l->base)->e.kind == LOG_BATCH) batch_unref(slot(l, l->base)->e.b);
    trim_segments(l, low);
    if (first(l) != old) trim_marks(l);
}

struct segment *log_segment(struct log *l, uint64_t seq)
{
    struct segment *s = l->oldest;
    while (s && s->end <= seq) s = s->next;
    return s;
}

/* Dead segments that nobody looks into, as a list of their own. */
static struct segment *take_dead(struct log *l)
{
    struct segment *taken = NULL;
    for (struct segment **at = &l->dead, *s; (s = *at);) {
        if (s->readers) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        s->next = taken;
        taken = s;
        l->disk -= s->size;
        l->disk_full = false;
    }
    return taken;
}

static void remove_all(struct log *l, struct segment *s)
{
    for (struct segment *next; s; s = next) {
        next = s->next;
        segment_remove(&l->place, s->number);
        mem_free(s->begins);
        mem_free(s);
    }
}

bool log_disk_yields(struct log *l)
{
    if (!l->oldest) return false;
    for (struct cursor *c = l->cursors; c; c = c->next)
        if (!c->ended && c->at < l->oldest->end && (c->policy == CURSOR_BLOCK || c->policy == CURSOR_SPILL)) return false;
    return true;
}

bool log_may_spill(struct log *l) { return l->cfg.dir && !l->retry_us && (!l->disk_full || log_disk_yields(l)); }

/* Half of what may be kept is free of those who make the writer wait. */
static bool may_go(struct log *l)
{
    bool spill = log_may_spill(l);
    uint64_t low = l->next;
    for (struct cursor *c = l->cursors; c; c = c->next) {
        bool blocks = c->policy == CURSOR_BLOCK || (c->policy == CURSOR_SPILL && !spill);
        if (blocks && !c->ended && c->at < low) low = c->at;
    }
    if (low < l->base) low = l->base;
    return (int64_t)(l->total.bytes - before(l, low).bytes) <= l->cfg.memory_bytes / 2;
}

void log_leave(struct log *l)
{
    struct segment *dead = l->dead ? take_dead(l) : NULL;
    bool wake = l->writer_waits && may_go(l);
    if (wake) l->writer_waits = false;
    lock_give(&l->lock);
    if (dead) remove_all(l, dead);
    if (wake && l->writer->host && !atomic_load(&l->writer->done)) task_wake(l->writer);
}

void log_free(struct log *l)
{
    if (!l) return;
    INVARIANT(!l->cursors);
    l->retain = 0;
    log_trim(l);
    remove_all(l, take_dead(l));
    INVARIANT(!l->dead);
    if (l->file) file_close(l->file, NULL);
    text_done(&l->out);
    pool_close(l->pool);
    mem_free(l->marks);
    mem_free(l->slots);
    mem_free((char *)l->cfg.dir);
    lock_done(&l->lock);
    mem_free(l);
}

/* ---- appending --------------------------------------------------------------------------------------- */

static void grow(struct log *l)
{
    struct slot *wide = mem_alloc(sizeof *wide * l->cap * 2);
    for (uint64_t s = l->base; s < l->next; s++) wide[s & (l->cap * 2 - 1)] = *slot(l, s);
    mem_free(l->slots);
    l->slots = wide;
    l->cap *= 2;
}

static void add_mark(struct log *l, uint64_t epoch)
{
    if (l->mark_end == l->mark_cap) {
        int n = l->mark_end - l->mark_first;
        if (n <= l->mark_cap / 2) {
            if (n) memmove(l->marks, l->marks + l->mark_first, sizeof *l->marks * (size_t)n);
            l->mark_end = n;
            l->mark_first = 0;
        }
        if (l->mark_end == l->mark_cap) {
            int cap = l->mark_cap ? l->mark_cap * 2 : 16;
            l->marks = mem_realloc(l->marks, sizeof *l->marks * (size_t)l->mark_cap, sizeof *l->marks * (size_t)cap);
            l->mark_cap = cap;
        }
    }
    l->marks[l->mark_end++] = (struct mark){epoch, l->next, l->total};
}

/* Bytes of the texts that do not fit in their views. */
static uint64_t long_text(const struct schema *s, const struct batch *b)
{
    uint64_t n = 0;
    for (int i = 0; i < s->n; i++) {
        const struct str *t = b->cols[i].data;
        if (type_is_text(s->fields[i].type))
            for (uint32_t r = 0; r < b->rows; r++)
                if (t[r].n > STR_INLINE && !column_null(&b->cols[i], r)) n += t[r].n;
    }
    return n;
}

/* A batch that pins four times what its rows need is copied. A copy of a few rows is not small either: a buffer has 256 bytes
 * at least, one of text 8192. */
static struct batch *compact(struct log *l, struct batch *b)
{
    const struct schema *s = l->cfg.schema;
    uint64_t used = 512u * (uint64_t)(s->n + 1) + (uint64_t)l->width * b->rows;
    if (used >= b->bytes_held / 4) return b;
    uint64_t text = l->has_text ? long_text(s, b) : 0;
    if (text && used + (text < 8192 ? 8192 : text) >= b->bytes_held / 4) return b;
    if (!l->pool) l->pool = pool_new(l->cfg.account);
    struct rows all = rows_all(b);
    struct batch *copy = rows_compact(l->pool, s, &all);
    batch_unref(b);
    return copy;
}

static void wake(const struct log_reader *r)
{
    if (r->task && r->task->host) task_wake(r->task);
    if (r->gate) gate_wake(r->gate);
}

void log_append(struct log *l, struct log_entry e)
{
    if (e.kind == LOG_BATCH) e.b = compact(l, e.b);
    lock_take(&l->lock);
    if (l->next - l->base == l->cap) grow(l);
    e.seq = l->next;
    *slot(l, l->next++) = (struct slot){e, l->total};
    l->total = sums_after(l->total, &e, e.kind == LOG_BATCH ? e.b->bytes_held : 0);
    if (e.kind == LOG_EPOCH) add_mark(l, e.epoch);
    /* Under the lock, for a cursor that is closed may go with its reader. */
    for (struct cursor *c = l->cursors; c; c = c->next)
        if (c->waits) c->waits = false, wake(&c->reader);
    log_trim(l);
    log_leave(l);
}

/* ---- cursors ----------------------------------------------------------------------------------------- */

static struct cursor *cursor_at(struct log *l, uint64_t seq, struct sums passed, enum cursor_policy policy, struct log_reader reader)
{
    struct cursor *c = mem_zalloc(sizeof *c);
    c->log = l;
    c->policy = policy;
    c->reader = reader;
    c->at = seq;
    c->passed = passed;
    c->waits = true;
    c->next = l->cursors;
    l->cursors = c;
    l->had_cursors = true;
    return c;
}

struct cursor *cursor_new(struct log *l, enum cursor_policy policy, struct log_reader reader)
{
    lock_take(&l->lock);
    struct cursor *c = cursor_at(l, l->next, l->total, policy, reader);
    lock_give(&l->lock);
    return c;
}

/* The first mark of that epoch or a later one; mark_end: there is none. */
static int find_mark(const struct log *l, uint64_t epoch)
{
    int low = l->mark_first, high = l->mark_end;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (l->marks[mid].epoch < epoch)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct cursor *cursor_at_epoch(struct log *l, uint64_t epoch, enum cursor_policy policy, struct log_reader reader)
{
    struct cursor *c = NULL;
    lock_take(&l->lock);
    int low = find_mark(l, epoch);
    const struct mark *m = &l->marks[low];
    if (low < l->mark_end && m->epoch == epoch) c = cursor_at(l, m->seq, m->before, policy, reader);
    lock_give(&l->lock);
    return c;
}

void log_retain(struct log *l, int64_t bytes)
{
    lock_take(&l->lock);
    l->retain = bytes;
    log_trim(l);
    log_leave(l);
}

void log_forget(struct log *l)
{
    lock_take(&l->lock);
    l->floor = l->next;
    while (l->mark_first < l->mark_end && l->marks[l->mark_first].seq < l->floor) l->mark_first++;
    log_trim(l);
    log_leave(l);
}

void log_set_limits(struct log *l, int64_t memory_bytes, int64_t disk_bytes)
{
    lock_take(&l->lock);
    l->cfg.memory_bytes = memory_bytes;
    l->cfg.disk_bytes = disk_bytes;
    l->disk_full = false;
    log_leave(l);
}

bool log_epochs(struct log *l, uint64_t epoch, uint64_t *oldest, uint64_t *newest)
{
    lock_take(&l->lock);
    int at = find_mark(l, epoch);
    bool any = l->mark_first < l->mark_end;
    if (any) {
        *oldest = l->marks[l->mark_first].epoch;
        if (at == l->mark_end || (l->marks[at].epoch > epoch && at > l->mark_first)) at--;
        *newest = l->marks[at].epoch;
    }
    lock_give(&l->lock);
    return any;
}

void cursor_set_policy(struct cursor *c, enum cursor_policy policy)
{
    lock_take(&c->log->lock);
    c->policy = policy;
    log_leave(c->log);
}

void cursor_close(struct cursor *c)
{
    struct log *l = c->log;
    lock_take(&l->lock);
    if (c->closed) {
        lock_give(&l->lock);
        return;
    }
    c->closed = true;
    struct cursor **at = &l->cursors;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    if (!l->cursors) l->writer_waits = true; /* it wants to know */
    struct batch *b = c->hand.full && c->hand.e.kind == LOG_BATCH ? c->hand.e.b : NULL;
    c->hand.full = false;
    log_trim(l);
    log_leave(l);
    batch_unref(b);
}

void cursor_free(struct cursor *c)
{
    if (!c) return;
    cursor_close(c);
    segment_reader_done(&c->disk);
    pool_close(c->pool);
    mem_free(c);
}

bool log_abandoned(struct log *l)
{
    lock_take(&l->lock);
    bool abandoned = l->had_cursors && !l->cursors;
    lock_give(&l->lock);
    return abandoned;
}

void log_stats(struct log *l, struct log_stats *out)
{
    lock_take(&l->lock);
    *out = (struct log_stats){memory(l), l->disk, l->full_events, l->spilled};
    lock_give(&l->lock);
}
