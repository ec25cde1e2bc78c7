/* Rows in declared state. SPDX-License-Identifier: Apache-2.0 */
#include "operator/rowset.h"

enum status rowset_init(struct rowset *s, struct state *state, const char *name, const struct schema *schema, struct err *err)
{
    s->schema = schema;
    return ordered_new(state, name, 1, &s->ordered, err);
}

void rowset_done(struct rowset *s)
{
    text_done(&s->bytes);
    mem_free(s->staged);
    ordered_cursor_done(&s->find);
}

void rowset_stage_none(struct rowset *s, uint32_t max)
{
    void *staged = s->staged;
    s->staged = op_scratch(&staged, &s->cap, sizeof *s->staged * max);
    text_clear(&s->bytes);
    s->n = 0;
}

void rowset_stage_key(struct rowset *s) { s->staged[s->n] = (struct staged){.key = s->bytes.n}; }

static struct staged *end_key(struct rowset *s, const struct batch *b, uint32_t row)
{
    struct staged *g = &s->staged[s->n++];
    g->nkey = (uint32_t)(s->bytes.n - g->key);
    keycode_put_i64(&s->bytes, 0);
    g->row = s->bytes.n;
    g->at = row;
    g->weight = b->weight ? b->weight[row] : 1;
    return g;
}

void rowset_stage_row(struct rowset *s, const struct batch *b, uint32_t row, int group)
{
    struct staged *g = end_key(s, b, row);
    rowcode_put(&s->bytes, s->schema, b, row);
    g->nrow = (uint32_t)(s->bytes.n - g->row);
    g->group = (uint8_t)group;
}

void rowset_stage_only_key(struct rowset *s, const struct batch *b, uint32_t row) { end_key(s, b, row); }

void rowset_stage_drop(struct rowset *s) { s->bytes.n = s->staged[s->n].key; }

enum status rowset_reserve(struct rowset *s, struct state *state)
{
    int64_t bound = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->staged[i].weight > 0) bound += ordered_put_bound(s->staged[i].nkey + ROWSET_SEQUENCE, s->staged[i].nrow);
    return state_reserve(state, bound);
}

static void put(struct rowset *s, const struct staged *g)
{
    struct text sequence = {.p = s->bytes.p, .n = g->key + g->nkey, .cap = s->bytes.cap}; /* into the room left for it */
    keycode_put_i64(&sequence, (int64_t)ordered_sequence(s->ordered));
    ordered_put(s->ordered, g->group, s->bytes.p + g->key, g->nkey + ROWSET_SEQUENCE, s->bytes.p + g->row, g->nrow);
}

static bool take(struct rowset *s, const struct staged *g)
{
    const char *row;
    uint32_t nrow;
    rowset_seek(s, &s->find, rowset_key(s, g), g->nkey);
    for (; rowset_on(s, &s->find, rowset_key(s, g), g->nkey, &row, &nrow); ordered_next(s->ordered, &s->find))
        if (nrow == g->nrow && !memcmp(row, s->bytes.p + g->row, nrow))
            return ordered_delete(s->ordered, s->find.key, s->find.nkey);
    return false;
}

bool rowset_apply(struct rowset *s)
{
    bool all = true;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->staged[i].weight > 0)
            put(s, &s->staged[i]);
        else
            all &= take(s, &s->staged[i]);
    }
    return all;
}

void rowset_seek(struct rowset *s, struct ordered_cursor *c, const char *key, uint32_t nkey)
{
    ordered_seek(s->ordered, c, key, nkey);
}

bool rowset_on(struct rowset *s, struct ordered_cursor *c, const char *key, uint32_t nkey, const char **row, uint32_t *nrow)
{
    const char *k;
    uint32_t n;
    ordered_entry(s->ordered, c, &k, &n, row, nrow);
    return c->on && n == nkey + ROWSET_SEQUENCE && !memcmp(k, key, nkey);
}
