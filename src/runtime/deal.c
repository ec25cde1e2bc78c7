/* Which splits there are and which part reads which. An instance of a connector numbers the splits as it finds them, and another instance
 * may find them in another order; so they are dealt by name, in the order in which the first part that finds one comes, each to
 * the next part in turn. A part reads those of its own instance that are dealt to it.
 *
 * Splits that come later are read from their beginning, and take part in the watermark from then on: it does not rise before they have a
 * row or count as idle. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reader_int.h"

void deal_init(struct deal *d)
{
    lock_init(&d->lock);
    d->arena = arena_new();
}

void deal_done(struct deal *d)
{
    lock_done(&d->lock);
    mem_free(d->names);
    arena_free(d->arena);
}

/* Where the name is, or would be. */
static int search(const struct deal *d, const char *name, bool *found)
{
    int low = 0, high = d->n;
    *found = false;
    while (low < high && !*found) {
        int middle = low + (high - low) / 2, order = strcmp(d->names[middle].name, name);
        if (!order) *found = true, low = middle;
        else if (order < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The place of a name among all in the order they came; a new one is the last. */
static int place_of(struct deal *d, const char *name)
{
    bool found;
    lock_take(&d->lock);
    int at = search(d, name, &found);
    if (!found) {
        if (d->n == d->cap) {
            int cap = d->cap ? 2 * d->cap : 16;
            d->names = mem_realloc(d->names, sizeof *d->names * (size_t)d->n, sizeof *d->names * (size_t)cap);
            d->cap = cap;
        }
        memmove(d->names + at + 1, d->names + at, sizeof *d->names * (size_t)(d->n - at));
        d->names[at] = (struct dealt){arena_strdup(d->arena, name), d->n};
        d->n++;
    }
    int place = d->names[at].place;
    lock_give(&d->lock);
    return place;
}

static struct split *add_split(struct part *p, int number)
{
    if (p->nsplits == p->cap_splits) {
        int cap = p->cap_splits ? 2 * p->cap_splits : 4;
        p->splits = mem_realloc(p->splits, sizeof *p->splits * (size_t)p->nsplits, sizeof *p->splits * (size_t)cap);
        p->cap_splits = cap;
    }
    struct split *s = &p->splits[p->nsplits++];
    *s = (struct split){.number = number, .highest = TS_MIN, .last_row_us = env_now_us(p->reader->rt->env)};
    return s;
}

enum status deal_take(struct part *p, struct err *err)
{
    struct reader *r = p->reader;
    int all = r->class->splits(p->source);
    INVARIANT(!p->batch);
    while (p->seen < all) {
        int number = p->seen++;
        if (place_of(&r->deal, r->class->split_name(p->source, number)) % r->nparts != p->index) continue;
        TRY(fetch_seek(p, add_split(p, number), true, err));
    }
    return ST_OK;
}
