/* Along the tokens of a record, values going straight from text to columns.
 *
 * What is wanted is a tree of names: its root are those of the record, and a name may want what is inside its value. Where the row is a part of
 * the record (json.path, debezium) the record is walked first, which checks all of it and finds that part, and then the part is. Objects of
 * one stream tend to have their keys in one order, so the key at each position is compared with the one that stood there last before it is
 * looked up. Names are matched exactly, else without regard to case. Of equal names the last counts. SPDX-License-Identifier: Apache-2.0 */
#include "format/json_int.h"

/* ---- values into cells ---------------------------------------------------------------------------------- */

static inline void put_text(struct batch *b, struct str *out, const char *p, uint32_t n)
{
    if (n <= STR_INLINE) {
        *out = field_short(p, n);
        return;
    }
    char *to;
    if (likely(n <= 64 && b->heap_end - b->heap >= 64)) {
        to = memcpy(b->heap, p, 64);
        b->heap += n;
    } else {
        to = memcpy(batch_text(b, n), p, n);
    }
    *out = str_view(to, n);
}

/* The common pairs of value and column; the rest is json_cell's. Numbers are known to be well formed. */
static inline __attribute__((always_inline)) bool put_value(struct json *j, struct json_column *c, int col, uint32_t row, const struct json_value *v)
{
    void *data = j->batch->cols[col].data;
    if (v->kind == JSON_STRING) {
        const char *p;
        uint32_t n;
        if (c->plain_text && json_string(j, v, &p, &n)) {
            put_text(j->batch, (struct str *)data + row, p, n);
            return true;
        }
        if (type_is_time(c->type) && field_timestamp(v->p + 1, v->n - 2, &c->day, (int64_t *)data + row)) return true;
    } else if (v->kind == JSON_NUMBER) {
        if (c->type.id == T_INT64 && field_int64(v->p, v->n, (int64_t *)data + row)) return true;
        if (c->type.id == T_DOUBLE && cell_parse_double(v->p, v->n, (double *)data + row)) return true;
    } else if (v->kind == JSON_NULL) {
        decoder_null(j->batch, j->d.schema, col, row, j->cap);
        return true;
    }
    return json_cell(j, j->batch, c, (char *)data + type_width(c->type) * row, v, NULL) == ST_OK;
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static bool same_name(const char *a, const char *b, size_t n, bool exact)
{
    if (exact) return !memcmp(a, b, n);
    for (size_t i = 0; i < n; i++) {
        char x = a[i], y = b[i];
        if (x >= 'A' && x <= 'Z') x |= 32;
        if (y >= 'A' && y <= 'Z') y |= 32;
        if (x != y) return false;
    }
    return true;
}

int json_find(const struct json_node *node, const char *p, size_t n, bool exact)
{
    for (int i = 0; i < node->n; i++)
        if (node->entries[i].name_n == n && same_name(node->entries[i].name, p, n, exact)) return i;
    return -1;
}

static void remember(struct json_memo *m, const char *p, uint32_t n)
{
    m->n = n;
    memcpy(m->text, p, n);
    for (int i = 0; i < 2; i++) {
        uint32_t bytes = n > 8u * (uint32_t)i ? n - 8 * (uint32_t)i : 0;
        m->mask[i] = bytes >= 8 ? UINT64_MAX : (1ull << 8 * bytes) - 1;
        m->head[i] = load_u64(p + 8 * i) & m->mask[i];
    }
}

/* What is wanted of a key not met at this position before. False: it is not a string. */
static __attribute__((noinline)) bool look_up(struct json *j, const struct json_node *node, struct json_memo *m, const struct json_value *key)
{
    const char *p;
    uint32_t n;
    *m = (struct json_memo){.col = MEMO_NOTHING};
    if (json_scalar_kind(key->p, key->n) != JSON_STRING || !json_string(j, key, &p, &n)) return false;
    int i = json_find(node, p, n, true);
    m->exact = i >= 0;
    if (!m->exact) i = json_find(node, p, n, false);
    if (i >= 0) {
        const struct json_entry *e = &node->entries[i];
        m->col = e->child >= 0 || e->slot >= 0 ? MEMO_ENTRY - i : e->col;
    }
    if (key->n - 1 <= JSON_MEMO_BYTES && !memchr(key->p + 1, '\\', key->n - 1)) remember(m, key->p + 1, key->n - 1);
    return true;
}

static inline bool same_key(const struct json_memo *m, const char *p)
{
    uint64_t other = ((load_u64(p) & m->mask[0]) ^ m->head[0]) | ((load_u64(p + 8) & m->mask[1]) ^ m->head[1]);
    return !other && m->n && (m->n <= 16 || !memcmp(p + 16, m->text + 16, m->n - 16));
}

/* ---- fields ------------------------------------------------------------------------------------------ */

/* A row under way. */
struct making {
    uint32_t row;
    bool fits;
    struct json_fault *f;
};

/* A field whose value the column does not take. False: its row is lost. */
static __attribute__((noinline)) bool put_misfit(struct json *j, int col, struct making *x, const struct json_value *v)
{
    struct json_fault *f = x->f;
    f->why = NULL, f->col = col, f->value = *v, f->sense = j->columns[col].sense;
    if (j->d.on_error != ON_ERROR_NULL) return false;
    decoder_null(j->batch, j->d.schema, col, x->row, j->cap);
    j->d.report.nulled++;
    if (j->fault.set && j->fault.start == f->start) return true;
    f->set = true;
    j->fault = *f;
    return true;
}

/* In line where objects are walked, for it is what most of the time goes into. */
static inline __attribute__((always_inline)) bool put_field(struct json *j, int col, bool exact, struct making *x, const struct json_value *v)
{
    struct json_column *c = &j->columns[col];
    if (unlikely(c->seen == j->record)) {
        uint64_t *valid = j->batch->cols[col].valid;
        if (c->exact && !exact) return true;
        if (valid) bit_set(valid, x->row);
    }
    c->seen = j->record;
    c->exact = exact;
    return likely(put_value(j, c, col, x->row, v)) || put_misfit(j, col, x, v);
}

static __attribute__((noinline)) bool put_entry(struct json *j, int col, bool exact, struct making *x, const struct json_value *v)
{
    return put_field(j, col, exact, x, v);
}

static const char not_json[] = "not valid JSON", not_closed[] = "the object does not end";

/* Numbers of digits that do not begin with 0 are; most are that. */
static inline bool well_formed(const char *p, uint32_t n)
{
    uint64_t unused;
    bool plain = n <= 8 && *p != '0' && *p != '-' && digits_8(p, n, &unused);
    return likely(plain) || json_number(p, n);
}

static const char *walk(struct json *j, const struct json_node *node, struct json_line *l, struct making *x);
static const char *walk_array(struct json *j, const struct json_node *node, struct json_line *l, struct making *x);

/* The value at l; of nested ones nothing inside is wanted. Returns what is wrong with the text. */
static inline const char *take_value(struct json_line *l, struct json_value *v)
{
    const char *why = not_json;
    char c = json_token(l);
    if (unlikely(c == '{' || c == '[')) {
        *v = json_nested(l, &why);
    } else {
        *v = json_scalar_text(l);
        v->kind = json_scalar_guess(v->p, v->n);
    }
    return unlikely(v->kind == JSON_BAD || (v->kind == JSON_NUMBER && !well_formed(v->p, v->n))) ? why : NULL;
}

static bool good_escapes(struct json *j, const struct json_value *v)
{
    const char *p;
    uint32_t n;
    return v->kind != JSON_STRING || json_string(j, v, &p, &n);
}

/* The value at l, of which more is wanted than a column, or something inside. */
static __attribute__((noinline)) const char *walk_entry(struct json *j, const struct json_entry *e, bool exact, struct json_line *l, struct making *x)
{
    struct json_value v;
    uint32_t at = l->i, start = l->at[l->i];
    char c = json_token(l);
    const char *why;
    if (e->child >= 0 && (c == '{' || c == '[')) {
        why = c == '{' ? walk(j, &j->nodes[e->child], l, x) : walk_array(j, &j->nodes[e->child], l, x);
        if (!why) v = (struct json_value){.kind = JSON_NESTED, .p = l->base + start, .n = l->at[l->i - 1] + 1 - start};
    } else {
        why = take_value(l, &v);
    }
    if (why) return why;
    if (j->escapes && !good_escapes(j, &v)) return not_json;
    if (e->slot >= 0) j->slots[e->slot] = (struct json_slot){.seen = j->record, .at = at, .value = v};
    if (e->col >= 0 && x->fits) x->fits = put_entry(j, e->col, exact, x, &v);
    return NULL;
}

/* The field at l, whose key is number `position` of the object. Returns what is wrong with the text. */
static inline const char *walk_field(struct json *j, const struct json_node *node, struct json_line *l, uint32_t position, struct making *x)
{
    struct json_memo *m = &node->memos[position < JSON_MEMOS ? position : JSON_MEMOS];
    if (unlikely(json_token(l) != '"')) return not_json;
    const char *p = l->base + l->at[l->i] + 1;
    if (likely(same_key(m, p))) {
        l->i++;
    } else {
        struct json_value key = json_scalar_text(l);
        if (!look_up(j, node, m, &key)) return not_json;
    }
    if (unlikely(!json_more(l) || json_token(l) != ':')) return not_json;
    l->i++;
    if (unlikely(!json_more(l))) return not_closed;
    if (unlikely(m->col <= MEMO_ENTRY)) return walk_entry(j, &node->entries[MEMO_ENTRY - m->col], m->exact, l, x);
    struct json_value v;
    const char *why = take_value(l, &v);
    if (unlikely(why)) return why;
    if (m->col < 0 && unlikely(j->escapes) && !good_escapes(j, &v)) return not_json;
    if (m->col >= 0 && x->fits) x->fits = put_field(j, m->col, m->exact, x, &v);
    return NULL;
}

/* The object at l. */
static inline __attribute__((always_inline)) const char *walk_here(struct json *j, const struct json_node *node, struct json_line *l, struct making *x)
{
    l->i++;
    bool closed = json_more(l) && json_token(l) == '}';
    if (closed) l->i++;
    for (uint32_t position = 0; !closed; position++) {
        if (!json_more(l)) return not_closed;
        const char *why = walk_field(j, node, l, position, x);
        if (unlikely(why)) return why;
        if (unlikely(!json_more(l))) return not_closed;
        char c = json_token(l);
        l->i++;
        closed = c == '}';
        if (!closed && c != ',') return not_json;
    }
    return NULL;
}

static __attribute__((noinline)) const char *walk(struct json *j, const struct json_node *node, struct json_line *l, struct making *x)
{
    return walk_here(j, node, l, x);
}

/* The array at l, of which single elements are wanted. */
static const char *walk_array(struct json *j, const struct json_node *node, struct json_line *l, struct making *x)
{
    static const char open_array[] = "the array does not end";
    l->i++;
    bool closed = json_more(l) && json_token(l) == ']';
    if (closed) l->i++;
    for (int64_t index = 0; !closed; index++) {
        const struct json_entry *e = NULL;
        struct json_value v;
        for (int i = 0; i < node->n && !e; i++)
            if (node->entries[i].index == index) e = &node->entries[i];
        if (!json_more(l)) return open_array;
        const char *why = e ? walk_entry(j, e, true, l, x) : take_value(l, &v);
        if (why) return why;
        if (!e && j->escapes && !good_escapes(j, &v)) return not_json;
        if (!json_more(l)) return open_array;
        char c = json_token(l);
        l->i++;
        closed = c == ']';
        if (!closed && c != ',') return not_json;
    }
    return NULL;
}

/* ---- well-formed text ------------------------------------------------------------------------------------- */

bool json_member(struct json *j, struct json_line l, const char *key, struct json_line *at)
{
    size_t want = strlen(key);
    if (json_token(&l) != '{') return false;
    l.i++;
    while (json_more(&l) && json_token(&l) == '"') {
        struct json_value name = json_scalar_text(&l), v;
        const char *p;
        uint32_t n;
        bool same = json_string(j, &name, &p, &n) && n == want && !memcmp(p, key, n);
        l.i++;
        if (same) return *at = l, true;
        if (!json_more(&l) || take_value(&l, &v) || !json_more(&l)) return false;
        l.i++;
    }
    return false;
}

uint32_t json_count(struct json_line l)
{
    uint32_t n = 0;
    struct json_value v;
    for (l.i++; json_more(&l) && json_token(&l) != ']'; n++) {
        if (take_value(&l, &v) || !json_more(&l)) return n;
        if (json_token(&l) == ',') l.i++;
    }
    return n;
}

/* ---- records ------------------------------------------------------------------------------------------ */

/* Undoes what lost rows have left in the batch, from its end on. */
static void take_back(struct json *j, uint32_t upto)
{
    for (int i = 0; i < j->batch->ncols; i++)
        for (uint32_t row = j->batch->rows; j->batch->cols[i].valid && row < upto && row < j->cap; row++) bit_set(j->batch->cols[i].valid, row);
}

/* What the row has not had is NULL. */
static inline void end_row(struct json *j, uint32_t row)
{
    for (int i = 0; i < j->batch->ncols; i++)
        if (unlikely(j->columns[i].seen != j->record)) decoder_null(j->batch, j->d.schema, i, row, j->cap);
}

/* Columns of the record are those of its first row. */
static void begin_next_row(struct json *j, uint32_t first, uint32_t row)
{
    j->record++;
    for (int i = 0; i < j->batch->ncols; i++) {
        struct column *c = &j->batch->cols[i];
        size_t width = type_width(j->columns[i].type);
        if (!j->columns[i].of_record) continue;
        j->columns[i].seen = j->record;
        if (column_null(c, first))
            decoder_null(j->batch, j->d.schema, i, row, j->cap);
        else
            memcpy((char *)c->data + width * row, (char *)c->data + width * first, width);
    }
}

/* The rows of an array, or of one object. x->row: the place of the next. */
static const char *walk_rows(struct json *j, struct json_line *l, struct making *x, enum json_outcome *outcome)
{
    const struct json_node *node = &j->nodes[j->rows];
    uint32_t first = x->row;
    bool many = json_token(l) == '[';
    if (many) l->i++;
    while (!many || json_token(l) != ']') {
        if (json_token(l) != '{') return many ? "an element of the rows is not an object" : "the row is not an object";
        if (x->row == j->cap) return *outcome = JSON_FULL, NULL;
        if (x->row > first) begin_next_row(j, first, x->row);
        const char *why = walk(j, node, l, x);
        if (why || !x->fits) return why;
        end_row(j, x->row++);
        if (!many) break;
        if (json_token(l) == ',') l->i++;
    }
    return NULL;
}

/* The record's own names, and where in it the rows are: *at, or there are none. */
static const char *find_rows(struct json *j, struct json_line *l, struct making *x, struct json_line *at, bool *none)
{
    struct json_line start = *l;
    struct json_value v;
    const char *why;
    char c = json_token(l);
    if (j->debezium && c == 'n') {
        why = take_value(l, &v);
        *none = !why && v.kind == JSON_NULL; /* a tombstone that was written as JSON */
        return why ? why : *none ? NULL : "not a JSON object";
    }
    if (j->whole && c == '[')
        why = take_value(l, &v);
    else if (c == '{')
        why = walk(j, &j->nodes[j->root], l, x);
    else
        return "not a JSON object";
    if (why || !x->fits) return why;
    *at = start;
    if (j->debezium) return debezium_choose(j, l, at, none);
    const struct json_slot *slot = &j->slots[SLOT_ROWS];
    if (j->whole) return NULL;
    if (slot->seen != j->record || slot->value.kind == JSON_NULL) return "there is nothing at json.path";
    if (slot->value.kind != JSON_NESTED) return "what is at json.path is neither an object nor an array of them";
    at->i = slot->at;
    return NULL;
}

static enum json_outcome put_within(struct json *j, struct json_line *l, struct json_fault *f)
{
    struct making x = {.row = j->batch->rows, .fits = true, .f = f};
    struct json_line at = *l;
    enum json_outcome outcome = JSON_GOOD;
    bool none = false;
    uint64_t nulled = j->d.report.nulled;
    if (j->batch->rows == j->cap) return JSON_FULL;
    f->why = find_rows(j, l, &x, &at, &none);
    if (!f->why && json_more(l)) f->why = "something follows the object";
    if (!f->why && x.fits && !none) f->why = walk_rows(j, &at, &x, &outcome);
    bool lost = f->why || !x.fits || outcome == JSON_FULL;
    if (lost) j->d.report.nulled = nulled;
    if (!lost) j->batch->rows = x.row;
    take_back(j, x.row + 1);
    return outcome == JSON_FULL ? JSON_FULL : lost ? JSON_LOST : JSON_GOOD;
}

enum json_outcome json_put(struct json *j, struct json_line *l, struct json_fault *f)
{
    struct batch *b = j->batch;
    struct making x = {.row = b->rows, .fits = true, .f = f};
    if (!json_more(l)) { /* blank */
        f->why = j->records ? "there is no object" : NULL;
        return j->records ? JSON_LOST : JSON_GOOD;
    }
    j->record++;
    if (j->rows >= 0) return put_within(j, l, f);
    f->why = json_token(l) == '{' ? walk_here(j, &j->nodes[j->root], l, &x) : "not a JSON object";
    if (!f->why && json_more(l)) f->why = "something follows the object";
    if (unlikely(f->why || !x.fits)) {
        take_back(j, b->rows + 1);
        return JSON_LOST;
    }
    end_row(j, b->rows++);
    return JSON_GOOD;
}
