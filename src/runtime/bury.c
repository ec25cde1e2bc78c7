/* Rows that a sink cannot take: counted, or sent to the dead letters. A row that is buried loses its position. Which rows of a batch
 * these are is kept beside it until it is flushed, so that none is offered to another instance. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/deliver_int.h"

/* ---- rows of one batch ------------------------------------------------------------------------------------------------ */

void gone_add(struct gone *g, uint32_t row)
{
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 16;
        g->rows = mem_realloc(g->rows, sizeof *g->rows * g->n, sizeof *g->rows * cap);
        g->cap = cap;
    }
    uint32_t at = g->n++;
    for (; at && g->rows[at - 1] > row; at--) g->rows[at] = g->rows[at - 1];
    g->rows[at] = row;
}

uint32_t gone_between(const struct gone *g, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n && g->rows[i] < to; i++) n += g->rows[i] >= from;
    return n;
}

void gone_clear(struct gone *g)
{
    mem_free(g->rows);
    *g = (struct gone){0};
}

struct gone *gone_at_hand(struct deliver *d) { return d->again < d->nkept ? &d->kept[d->again].gone : &d->gone; }

struct batch *gone_without(struct deliver *d, struct batch *b, struct gone *g)
{
    uint32_t sel[BATCH_ROWS_MAX], n = 0, k = 0;
    for (uint32_t i = 0; i < b->rows; i++)
        if (k < g->n && g->rows[k] == i)
            k++;
        else
            sel[n++] = i;
    gone_clear(g);
    return rows_compact(d->pool, d->object->schema, &(struct rows){b, sel, n});
}

/* ---- a row that was taken ------------------------------------------------------------------------------------------------ */

struct spot {
    struct batch *b;
    struct gone *gone;
    uint32_t row;
};

/* The row of [from, to) that has *left others before it, of those that are not gone; false: there are fewer, and *left is less by them. */
static bool find_within(struct batch *b, struct gone *g, uint32_t from, uint32_t to, uint64_t *left, struct spot *out)
{
    uint32_t k = 0;
    while (k < g->n && g->rows[k] < from) k++;
    for (uint32_t row = from; row < to; row++) {
        if (k < g->n && g->rows[k] == row) {
            k++;
            continue;
        }
        if (!*left) return *out = (struct spot){b, g, row}, true;
        --*left;
    }
    return false;
}

/* Rows that are not flushed lie in what is kept up to `again`, and in the batch at hand up to `row`. */
static bool find(struct deliver *d, uint64_t row, struct spot *out)
{
    for (uint32_t i = 0; i < d->again; i++)
        if (find_within(d->kept[i].b, &d->kept[i].gone, d->kept[i].from, d->kept[i].b->rows, &row, out)) return true;
    if (d->again < d->nkept) {
        struct kept *k = &d->kept[d->again];
        return find_within(k->b, &k->gone, k->from, d->row, &row, out);
    }
    struct log_entry e;
    if (d->row <= d->from || cursor_peek(d->cursor, &e, NULL)) return false;
    return find_within(e.b, &d->gone, d->from, d->row, &row, out);
}

/* ---- burying --------------------------------------------------------------------------------------------------------------- */

/* The row has no position any more. It may have been counted as delivered: when it was taken, by this instance or one before. */
static void step_over(struct deliver *d, _Atomic uint64_t *counter)
{
    struct spot spot;
    d->burying = false;
    if (d->burying_at < d->pos) {
        INVARIANT(find(d, d->burying_at - d->flushed, &spot));
        gone_add(spot.gone, spot.row);
        d->pos--;
    } else {
        gone_add(gone_at_hand(d), d->row++);
    }
    add(counter, 1);
    if (d->counted <= d->burying_at) return;
    d->counted--;
    atomic_fetch_sub(&d->rows, 1);
}

enum status bury_go_on(struct deliver *d)
{
    if (!d->burying) return ST_OK;
    _Atomic uint64_t *counter = &d->dropped;
    if (d->letter) {
        enum status st = letters_post(d->rt, d->letters, d->letter);
        if (st == ST_FULL) return st;
        d->letter = NULL;
        if (!st) counter = &d->dead_lettered;
    }
    step_over(d, counter);
    return ST_OK;
}

static enum status bury(struct deliver *d, const struct batch *b, uint32_t row, uint64_t position, const struct err *why)
{
    add(&d->write_errors, 1);
    deliver_note(d, why);
    d->burying = true;
    d->burying_at = position;
    if (d->letters) d->letter = letter_of_row(d->letters, d->pool, b, row, why);
    return bury_go_on(d);
}

enum status bury_at_hand(struct deliver *d, const struct batch *b, const struct err *why) { return bury(d, b, d->row, d->pos, why); }

enum status bury_taken(struct deliver *d, uint64_t row, struct err *why)
{
    struct spot spot;
    if (row >= d->pos - d->flushed || !find(d, row, &spot)) {
        err_set(why, E_EXEC, "the connector %s says that a row is poison which it was not given", d->class->name);
        err_hint(why, "this is a mistake in the connector");
        return E_EXEC;
    }
    bury_forget(d); /* a row at hand waits for room, and will be offered again */
    return bury(d, spot.b, spot.row, d->flushed + row, why);
}

void bury_drop(struct deliver *d)
{
    batch_unref(TAKE(d->letter));
    step_over(d, &d->dropped);
}

void bury_forget(struct deliver *d)
{
    batch_unref(TAKE(d->letter));
    d->burying = false;
}
