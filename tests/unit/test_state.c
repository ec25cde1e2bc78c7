/* keyed and ordered against plain arrays, through saves and loads at several worker counts, and under a budget.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "state/state.h"

#define SEED 77

static uint64_t rng_state = 1;
static uint64_t rng(void)
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

struct counter {
    int64_t n;
    struct str text; /* the longest text seen */
};

static struct keyed_decl decl_of(int nkeys, const struct type *keys)
{
    struct keyed_decl d = {.name = "groups", .version = 1, .nkeys = nkeys, .value.size = sizeof(struct counter)};
    for (int i = 0; i < nkeys; i++) d.keys[i] = keys[i];
    layout_add(&d.value, LAYOUT_RAW, 0, 8);
    layout_add(&d.value, LAYOUT_TEXT, offsetof(struct counter, text), 16);
    return d;
}

/* ---- keyed ------------------------------------------------------------------------------------------ */

#define ROWS   300
#define KEYS   500
#define SLICES 4

enum shape { WORD, SHORT_TEXT, LONG_TEXT, INT_NULL, MULTI, NO_KEYS, SHAPES };

struct input {
    struct schema schema;
    struct field fields[4];
    struct type types[4];
    int nkeys;
};

static void input_init(struct input *in, enum shape shape)
{
    memset(in, 0, sizeof *in);
    in->schema.fields = in->fields;
    switch (shape) {
    case WORD: in->types[in->nkeys++] = TYPE(T_TIMESTAMP); break;
    case SHORT_TEXT:
    case LONG_TEXT: in->types[in->nkeys++] = TYPE(T_VARCHAR); break;
    case INT_NULL: in->types[in->nkeys++] = TYPE(T_INT32); break;
    case MULTI:
        in->types[in->nkeys++] = TYPE(T_INT16);
        in->types[in->nkeys++] = TYPE(T_VARCHAR);
        in->types[in->nkeys++] = type_decimal(12, 2);
        in->types[in->nkeys++] = TYPE(T_DOUBLE);
        break;
    default: break;
    }
    for (int i = 0; i < in->nkeys; i++) in->fields[i] = (struct field){"k", in->types[i], false};
    in->schema.n = in->nkeys;
}

/* The cells of key number id. */
static void put_key(enum shape shape, const struct input *in, struct batch *b, uint32_t row, uint32_t cap, int id)
{
    char text[64];
    int n = snprintf(text, sizeof text, shape == SHORT_TEXT ? "k%d" : "a key longer than twelve bytes %d", id);
    for (int c = 0; c < in->nkeys; c++) {
        struct value v = {.type = in->types[c]};
        if (shape == INT_NULL && id == 7) v.is_null = true;
        if (shape == MULTI && c == 0) {
            v.i = id % 5;
            v.is_null = id % 5 == 3;
        } else if (shape == MULTI && c == 2) {
            v.dec = id / 5;
        } else if (shape == MULTI && c == 3) {
            v.d = id % 2 ? -0.0 : 0.0; /* one group */
        } else if (type_is_text(in->types[c])) {
            v.s = str_view(text, (uint32_t)n);
        } else {
            v.i = id;
        }
        batch_put(b, &in->schema, c, row, cap, &v);
    }
    b->rows = row + 1;
}

static void keys_hash(const struct input *in, const struct batch *b, uint64_t *hashes)
{
    key_hash(b->cols, in->types, in->nkeys, b->rows, SEED, hashes);
}

static void count_rows(struct slice *s, void **values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct counter *c = values[i];
        char text[80];
        c->n++;
        int len = snprintf(text, sizeof text, "seen %ld times, the text grows %.*s", (long)c->n, (int)(c->n % 40),
                           "........................................");
        c->text = layout_keep(slice_heap(s), &c->text, text, (uint32_t)len);
    }
}

static void upsert_random(struct keyed *k, enum shape shape, const struct input *in, struct pool *pool,
                          int64_t (*model)[KEYS], bool (*made)[KEYS])
{
    AUTO(batch_unref) struct batch *b = batch_for(pool, &in->schema, ROWS);
    uint32_t n = 1 + (uint32_t)(rng() % ROWS);
    uint64_t hashes[ROWS], fresh[8];
    void *values[ROWS], *found[ROWS];
    int ids[ROWS];
    for (uint32_t i = 0; i < n; i++) put_key(shape, in, b, i, ROWS, ids[i] = in->nkeys ? (int)(rng() % KEYS) : 0);
    b->rows = n;
    keys_hash(in, b, hashes);
    int64_t slice = (int64_t)(rng() % SLICES);
    struct slice *s = keyed_slice(k, slice * 1000 - 1500, true);
    slice_upsert_n(s, b->cols, hashes, n, values, fresh);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(bit_get(fresh, i), !made[slice][ids[i]]);
        made[slice][ids[i]] = true;
        model[slice][ids[i]]++;
    }
    count_rows(s, values, n);
    slice_find_n(s, b->cols, hashes, n, found);
    assert_memory_equal(values, found, n * sizeof *values);
}

static void delete_random(struct keyed *k, enum shape shape, const struct input *in, struct pool *pool,
                          int64_t (*model)[KEYS], bool (*made)[KEYS])
{
    AUTO(batch_unref) struct batch *b = batch_for(pool, &in->schema, 1);
    int64_t slice = (int64_t)(rng() % SLICES);
    int id = in->nkeys ? (int)(rng() % KEYS) : 0;
    struct slice *s = keyed_slice(k, slice * 1000 - 1500, false);
    uint64_t hash;
    void *value;
    if (!s) return;
    put_key(shape, in, b, 0, 1, id);
    b->rows = 1;
    keys_hash(in, b, &hash);
    slice_find_n(s, b->cols, &hash, 1, &value);
    assert_int_equal(value != NULL, made[slice][id]);
    if (value) slice_delete(s, value);
    made[slice][id] = false;
    model[slice][id] = 0;
}

/* Every key of the model is found with its count, and a walk gives as many, with keys that are found again. */
static void check_keyed(struct keyed *k, enum shape shape, const struct input *in, struct pool *pool,
                        int64_t (*model)[KEYS], int lo, int hi)
{
    for (int64_t slice = 0; slice < SLICES; slice++) {
        struct slice *s = keyed_slice(k, slice * 1000 - 1500, false);
        uint32_t expect = 0, seen = 0, cursor = 0, got;
        for (int id = 0; id < KEYS; id++) {
            if (!model[slice][id]) continue;
            AUTO(batch_unref) struct batch *b = batch_for(pool, &in->schema, 1);
            put_key(shape, in, b, 0, 1, id);
            b->rows = 1;
            uint64_t hash;
            void *value = NULL;
            keys_hash(in, b, &hash);
            if (s) slice_find_n(s, b->cols, &hash, 1, &value);
            bool here = key_group(hash) >= lo && key_group(hash) < hi;
            assert_int_equal(value != NULL, here);
            expect += here;
            if (!value) continue;
            const struct counter *c = value;
            char text[80];
            snprintf(text, sizeof text, "seen %ld times", (long)model[slice][id]);
            assert_int_equal(c->n, model[slice][id]);
            assert_memory_equal(str_ptr(&c->text), text, strlen(text));
        }
        if (!s) continue;
        assert_int_equal(slice_count(s), expect);
        for (;;) {
            AUTO(batch_unref) struct batch *b = batch_for(pool, &in->schema, 70);
            void *values[70], *found[70];
            uint64_t hashes[70];
            got = slice_walk(s, &cursor, 70, values, b, 0, 0, 70);
            if (!got) break;
            b->rows = got;
            keys_hash(in, b, hashes);
            slice_find_n(s, b->cols, hashes, got, found);
            assert_memory_equal(values, found, got * sizeof *values);
            seen += got;
        }
        assert_int_equal(seen, expect);
    }
}

static struct state *state_with(struct keyed **k, const struct input *in, struct account *account)
{
    struct state *s = state_new(account, SEED);
    struct keyed_decl d = decl_of(in->nkeys, in->types);
    assert_int_equal(keyed_new(s, &d, k, NULL), ST_OK);
    return s;
}

static void keyed_shape(enum shape shape)
{
    static int64_t model[SLICES][KEYS];
    static bool made[SLICES][KEYS];
    struct input in;
    struct account account;
    struct keyed *k;
    struct pool *pool = pool_new(NULL);
    memset(model, 0, sizeof model);
    memset(made, 0, sizeof made);
    account_init(&account, NULL, 0);
    input_init(&in, shape);
    struct state *s = state_with(&k, &in, &account);
    for (int round = 0; round < 40; round++) {
        upsert_random(k, shape, &in, pool, model, made);
        for (int i = 0; i < 20; i++) delete_random(k, shape, &in, pool, model, made);
    }
    check_keyed(k, shape, &in, pool, model, 0, KEY_GROUPS);

    int64_t before = INT64_MIN;
    for (struct slice *x = keyed_first(k); x; x = slice_next(k, x)) {
        assert_true(slice_id(x) > before);
        before = slice_id(x);
    }

    /* One image to several workers, and theirs back to one. */
    struct text image = {0}, again = {0}, parts[3] = {{0}};
    state_save(s, &image);
    struct keyed *k2;
    struct state *s2 = state_with(&k2, &in, &account);
    for (int w = 0; w < 3; w++) {
        struct keyed *part;
        int lo = (w * KEY_GROUPS + 2) / 3, hi = ((w + 1) * KEY_GROUPS + 2) / 3;
        assert_int_equal(group_worker(lo, 3), w);
        assert_int_equal(group_worker(hi - 1, 3), w);
        struct state *sp = state_with(&part, &in, &account);
        assert_int_equal(state_load(sp, image.p, image.n, lo, hi, NULL), ST_OK);
        check_keyed(part, shape, &in, pool, model, lo, hi);
        state_save(sp, &parts[w]);
        state_free(sp);
        assert_int_equal(state_load(s2, parts[w].p, parts[w].n, 0, KEY_GROUPS, NULL), ST_OK);
        text_done(&parts[w]);
    }
    check_keyed(k2, shape, &in, pool, model, 0, KEY_GROUPS);
    state_free(s2);
    s2 = state_with(&k2, &in, &account);
    assert_int_equal(state_load(s2, image.p, image.n, 0, KEY_GROUPS, NULL), ST_OK);
    state_save(s2, &again);
    assert_int_equal(image.n, again.n);
    assert_memory_equal(image.p, again.p, image.n);

    while (keyed_first(k)) slice_drop(k, keyed_first(k));
    upsert_random(k, shape, &in, pool, (memset(model, 0, sizeof model), model), (memset(made, 0, sizeof made), made));
    check_keyed(k, shape, &in, pool, model, 0, KEY_GROUPS);
    text_done(&image), text_done(&again);
    state_free(s), state_free(s2);
    pool_close(pool);
    assert_int_equal(account.used, 0);
}

static void keyed_is_a_map(void **ctx)
{
    (void)ctx;
    for (int shape = 0; shape < SHAPES; shape++) keyed_shape((enum shape)shape);
}

static void equal_keys_hash_alike(void **ctx)
{
    (void)ctx;
    int8_t a = -3;
    int64_t b = -3;
    float f = 0.5f;
    double d[2] = {0.5, -0.0}, zero = 0;
    int128 one_50 = 150, one_5 = 15;
    uint64_t x, y;
#define HASH(data_, type_, out)                                                                                        \
    key_hash(&(struct column){.data = (void *)(data_)}, &(struct type[]){type_}[0], 1, 1, SEED, out)
    HASH(&a, TYPE(T_INT8), &x), HASH(&b, TYPE(T_INT64), &y);
    assert_int_equal(x, y);
    HASH(&f, TYPE(T_FLOAT), &x), HASH(d, TYPE(T_DOUBLE), &y);
    assert_int_equal(x, y);
    HASH(d + 1, TYPE(T_DOUBLE), &x), HASH(&zero, TYPE(T_DOUBLE), &y);
    assert_int_equal(x, y);
    HASH(&one_50, type_decimal(9, 2), &x), HASH(&one_5, type_decimal(9, 1), &y);
    assert_int_equal(x, y);
    HASH(&one_5, type_decimal(9, 2), &x);
    assert_int_not_equal(x, y);
}

static void groups_are_even(void **ctx)
{
    (void)ctx;
    static int64_t keys[256 * 64];
    static uint64_t hashes[256 * 64];
    int groups[256] = {0}, low[256] = {0};
    for (int i = 0; i < 256 * 64; i++) keys[i] = i;
    key_hash(&(struct column){.data = keys}, &TYPE(T_INT64), 1, 256 * 64, SEED, hashes);
    for (int i = 0; i < 256 * 64; i++) groups[key_group(hashes[i])]++, low[hashes[i] & 255]++;
    for (int g = 0; g < 256; g++) assert_true(groups[g] > 20 && groups[g] < 120 && low[g] > 20 && low[g] < 120);
}

static void extra_keys_keep_the_group(void **ctx)
{
    (void)ctx;
    struct type types[2] = {TYPE(T_INT64), TYPE(T_VARCHAR)};
    struct keyed_decl d = {
        .name = "distinct", .nkeys = 2, .nextra = 1, .keys = {types[0], types[1]}
    };
    struct state *s = state_new(NULL, SEED), *half = state_new(NULL, SEED);
    struct keyed *k, *kh;
    int64_t keys[100];
    struct str texts[100];
    uint64_t hashes[100], own[100];
    void *values[100];
    for (int i = 0; i < 100; i++) keys[i] = i % 10, texts[i] = str_view((const char[]){(char)('a' + i % 20), 0}, 1);
    struct column cols[2] = {
        {keys,  NULL},
        {texts, NULL}
    };
    assert_int_equal(keyed_new(s, &d, &k, NULL), ST_OK);
    assert_int_equal(keyed_new(half, &d, &kh, NULL), ST_OK);
    key_hash(cols, types, 1, 100, SEED, hashes);
    memcpy(own, hashes, sizeof own);
    key_hash_more(cols + 1, types + 1, 1, 100, hashes);
    uint32_t low = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(key_group(hashes[i]), key_group(own[i]));
        low += key_group(own[i]) < 128;
    }
    slice_upsert_n(keyed_slice(k, 0, true), cols, hashes, 100, values, NULL);
    assert_int_equal(slice_count(keyed_first(k)), 20);
    struct text image = {0};
    state_save(s, &image);
    assert_int_equal(state_load(half, image.p, image.n, 0, 128, NULL), ST_OK);
    assert_int_equal(keyed_first(kh) ? slice_count(keyed_first(kh)) : 0, low / 5);
    text_done(&image);
    state_free(s), state_free(half);
}

static void budget_refuses_before_anything_changes(void **ctx)
{
    (void)ctx;
    struct input in;
    struct account account;
    struct keyed *k;
    struct pool *pool = pool_new(NULL);
    input_init(&in, LONG_TEXT);
    account_init(&account, NULL, 1 << 20);
    struct state *s = state_with(&k, &in, &account);
    struct slice *slice = keyed_slice(k, 0, true);
    int id = 0, refused = 0;
    while (!refused) {
        AUTO(batch_unref) struct batch *b = batch_for(pool, &in.schema, ROWS);
        uint64_t hashes[ROWS];
        void *values[ROWS];
        for (uint32_t i = 0; i < ROWS; i++) put_key(LONG_TEXT, &in, b, i, ROWS, id++);
        b->rows = ROWS;
        keys_hash(&in, b, hashes);
        uint32_t count = slice_count(slice);
        if (state_reserve(s, slice_upsert_bound(slice, b->cols, ROWS))) {
            assert_int_equal(slice_count(slice), count);
            refused = 1;
            break;
        }
        slice_upsert_n(slice, b->cols, hashes, ROWS, values, NULL);
        assert_true(account.used >= state_bytes(s)); /* the bound was one */
        state_settle(s);
        assert_int_equal(account.used, state_bytes(s));
    }
    assert_true(id > 1000 && account.used <= 1 << 20);
    state_free(s);
    pool_close(pool);
    assert_int_equal(account.used, 0);
}

/* ---- ordered ----------------------------------------------------------------------------------------- */

struct pair {
    char key[16];
    uint32_t n;
    int row;
};

static int pair_compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = memcmp(x->key, y->key, x->n < y->n ? x->n : y->n);
    return c ? c : (int)x->n - (int)y->n;
}

static struct pair pair_random(void)
{
    struct pair p = {.n = (uint32_t)(rng() % 14), .row = (int)(rng() % 1000)};
    for (uint32_t i = 0; i < p.n; i++) p.key[i] = (char)(rng() % 3 * 127);
    return p;
}

static void check_ordered(struct ordered *o, struct pair *pairs, int n)
{
    struct ordered_cursor c = {0};
    const char *key, *row;
    uint32_t nkey, nrow;
    qsort(pairs, (size_t)n, sizeof *pairs, pair_compare);
    ordered_seek(o, &c, "", 0);
    for (int i = 0; i < n; i++, ordered_next(o, &c)) {
        assert_true(c.on);
        ordered_entry(o, &c, &key, &nkey, &row, &nrow);
        assert_int_equal(nkey, pairs[i].n);
        assert_memory_equal(key, pairs[i].key, nkey);
        assert_int_equal(nrow, 4);
        assert_memory_equal(row, &pairs[i].row, 4);
    }
    assert_false(c.on);
    assert_int_equal(ordered_count(o), n);
    ordered_cursor_done(&c);
}

static int group_of(const struct pair *p)
{
    return p->n * 17 % 256;
}

static void ordered_is_a_sorted_map(void **ctx)
{
    (void)ctx;
    static struct pair pairs[3000];
    int n = 0;
    struct account account;
    account_init(&account, NULL, 0);
    struct state *s = state_new(&account, SEED);
    struct ordered *o;
    assert_int_equal(ordered_new(s, "rows", 1, &o, NULL), ST_OK);
    for (int step = 0; step < 4000; step++) {
        struct pair p = pair_random();
        int at = 0;
        while (at < n && pair_compare(&pairs[at], &p)) at++;
        if (step % 4 == 3) {
            assert_int_equal(ordered_delete(o, p.key, p.n), at < n);
            if (at < n) pairs[at] = pairs[--n];
            continue;
        }
        ordered_put(o, group_of(&p), p.key, p.n, &p.row, 4);
        pairs[at] = p;
        n += at == n;
    }
    check_ordered(o, pairs, n);
    for (int i = 0; i < 5; i++) assert_int_equal(ordered_sequence(o), i + 1);

    struct text image = {0};
    state_save(s, &image);
    struct state *s2 = state_new(&account, SEED);
    struct ordered *o2;
    assert_int_equal(ordered_new(s2, "rows", 1, &o2, NULL), ST_OK);
    assert_int_equal(state_load(s2, image.p, image.n, 0, 100, NULL), ST_OK);
    int low = 0;
    for (int i = 0; i < n; i++) low += group_of(&pairs[i]) < 100;
    assert_int_equal(ordered_count(o2), low);
    assert_int_equal(state_load(s2, image.p, image.n, 100, 256, NULL), ST_OK);
    check_ordered(o2, pairs, n);
    assert_int_equal(ordered_sequence(o2), 6);
    text_done(&image);
    state_free(s), state_free(s2);
    assert_int_equal(account.used, 0);
}

static void cursor_survives_changes(void **ctx)
{
    (void)ctx;
    struct state *s = state_new(NULL, SEED);
    struct ordered *o;
    struct ordered_cursor c = {0};
    const char *key, *row;
    uint32_t nkey, nrow;
    assert_int_equal(ordered_new(s, "rows", 1, &o, NULL), ST_OK);
    for (const char *p = "bdfh"; *p; p++) ordered_put(o, 0, p, 1, "", 0);
    ordered_seek(o, &c, "c", 1);
    ordered_put(o, 0, "e", 1, "", 0);
    ordered_next(o, &c);
    assert_memory_equal(c.key, "e", 1);
    assert_true(ordered_delete(o, "e", 1));
    ordered_entry(o, &c, &key, &nkey, &row, &nrow);
    assert_memory_equal(key, "f", 1);
    assert_true(ordered_delete(o, "f", 1));
    ordered_next(o, &c);
    assert_memory_equal(c.key, "h", 1);
    assert_true(ordered_delete(o, "h", 1));
    ordered_entry(o, &c, &key, &nkey, &row, &nrow);
    assert_false(c.on);
    assert_null(key);
    ordered_cursor_done(&c);
    state_free(s);
}

/* ---- value and images ---------------------------------------------------------------------------------- */

static void least(void *into, const void *from)
{
    int64_t a, b;
    memcpy(&a, into, 8), memcpy(&b, from, 8);
    if (b < a) memcpy(into, &b, 8);
}

static struct state *value_state(int64_t **v, int64_t start)
{
    void *p;
    struct state *s = state_new(NULL, SEED);
    assert_int_equal(value_new(s, "watermark", 8, least, &p, NULL), ST_OK);
    *v = p;
    **v = start;
    return s;
}

static void values_merge(void **ctx)
{
    (void)ctx;
    int64_t *a, *b;
    struct text image = {0};
    struct state *s = value_state(&a, 5), *t = value_state(&b, 9);
    state_save(s, &image);
    assert_int_equal(state_load(t, image.p, image.n, 128, 256, NULL), ST_OK);
    assert_int_equal(*b, 5);
    text_done(&image);
    state_free(s), state_free(t);
}

static void other_states_are_refused(void **ctx)
{
    (void)ctx;
    struct input in, other;
    struct keyed *k;
    struct err err;
    struct text image = {0};
    input_init(&in, MULTI), input_init(&other, WORD);
    struct state *s = state_with(&k, &in, NULL), *t = state_with(&k, &other, NULL), *u = state_new(NULL, SEED),
                 *v = state_new(NULL, SEED + 1);
    struct keyed_decl d = decl_of(in.nkeys, in.types);
    d.version = 2;
    assert_int_equal(keyed_new(u, &d, &k, NULL), ST_OK);
    d.version = 1;
    assert_int_equal(keyed_new(v, &d, &k, NULL), ST_OK);
    assert_int_equal(keyed_new(v, &d, &k, &err), E_INTERNAL); /* the name is taken */
    state_save(s, &image);
    assert_int_equal(state_load(t, image.p, image.n, 0, 256, &err), E_STATE_LOAD); /* other key types */
    assert_int_equal(state_load(u, image.p, image.n, 0, 256, &err), E_STATE_LOAD); /* another version */
    assert_int_equal(state_load(v, image.p, image.n, 0, 256, &err), E_STATE_LOAD); /* another seed */
    text_done(&image);
    state_free(s), state_free(t), state_free(u), state_free(v);
}

/* Every cut and many flips: an error or a state, never a crash. */
static void damage_is_an_error(void **ctx)
{
    (void)ctx;
    static int64_t model[SLICES][KEYS];
    static bool made[SLICES][KEYS];
    struct input in;
    struct keyed *k;
    struct pool *pool = pool_new(NULL);
    struct text image = {0};
    input_init(&in, MULTI);
    struct state *s = state_with(&k, &in, NULL);
    upsert_random(k, MULTI, &in, pool, model, made);
    state_save(s, &image);
    for (size_t n = 0; n < image.n; n += n < 100 ? 1 : 37) {
        struct state *t = state_with(&k, &in, NULL);
        char *cut = malloc(n ? n : 1);
        memcpy(cut, image.p, n);
        assert_int_equal(state_load(t, cut, n, 0, 256, NULL), E_STATE_LOAD);
        free(cut);
        state_free(t);
    }
    for (int i = 0; i < 1000; i++) {
        struct state *t = state_with(&k, &in, NULL);
        size_t at = i < 200 ? (size_t)i % image.n : rng() % image.n;
        char old = image.p[at];
        image.p[at] = (char)(old ^ 1 << rng() % 8);
        enum status st = state_load(t, image.p, image.n, 0, 256, NULL);
        assert_true(st == ST_OK || st == E_STATE_LOAD);
        image.p[at] = old;
        state_free(t);
    }
    text_done(&image);
    state_free(s);
    pool_close(pool);
}

static void appended_text_stays_in_place(void **ctx)
{
    (void)ctx;
    int64_t used = 0;
    struct layout_heap *h = layout_heap_new(&used);
    struct str s = {0};
    char all[5000];
    size_t n = 0;
    for (uint32_t i = 0; n + 3 < sizeof all; i++) {
        char piece[4] = {(char)('a' + i % 26), 'x', (char)('0' + i % 10), 0};
        uint32_t m = i % 4;
        s = layout_append(h, &s, piece, m);
        memcpy(all + n, piece, m);
        n += m;
        assert_int_equal(s.n, n);
    }
    assert_memory_equal(str_ptr(&s), all, n);
    assert_true(used < 100000);
    layout_heap_free(h);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keyed_is_a_map),
        cmocka_unit_test(equal_keys_hash_alike),
        cmocka_unit_test(groups_are_even),
        cmocka_unit_test(extra_keys_keep_the_group),
        cmocka_unit_test(budget_refuses_before_anything_changes),
        cmocka_unit_test(ordered_is_a_sorted_map),
        cmocka_unit_test(cursor_survives_changes),
        cmocka_unit_test(values_merge),
        cmocka_unit_test(other_states_are_refused),
        cmocka_unit_test(damage_is_an_error),
        cmocka_unit_test(appended_text_stays_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
