/* Batches: building, sharing, gathering. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "arrow/batch.h"

static struct arena *arena;
static struct pool *pool;
static struct account account;
static struct schema *schema; /* n BIGINT, s VARCHAR, d DECIMAL(10,2), b BOOLEAN */

static int setup(void **state)
{
    (void)state;
    arena = arena_new();
    account_init(&account, NULL, 0);
    pool = pool_new(&account);
    pool_adopt(pool);
    schema = schema_new(arena, 4);
    schema->fields[0] = (struct field){"n", TYPE(T_INT64), false};
    schema->fields[1] = (struct field){"s", TYPE(T_VARCHAR), false};
    schema->fields[2] = (struct field){"d", type_decimal(10, 2), false};
    schema->fields[3] = (struct field){"b", TYPE(T_BOOL), false};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pool_close(pool);
    assert_int_equal(account.used, 0);
    arena_free(arena);
    return 0;
}

#define ROWS 100

/* Row i: i, text that is long for odd i, i / 100, i is even; every fifth is NULL in all but n. */
static struct batch *make(void)
{
    struct batch *b = batch_for(pool, schema, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        char text[64];
        int n = snprintf(text, sizeof text, i % 2 ? "a rather long text, number %u" : "short%u", i);
        bool null = i % 5 == 0;
        struct value v[] = {
            {.type = TYPE(T_INT64), .i = i},
            {.type = TYPE(T_VARCHAR), .is_null = null, .s = str_view(text, (uint32_t)n)},
            {.type = type_decimal(10, 2), .is_null = null, .dec = i},
            {.type = TYPE(T_BOOL), .is_null = null, .b = i % 2 == 0},
        };
        for (int c = 0; c < 4; c++) batch_put(b, schema, c, i, ROWS, &v[c]);
    }
    b->rows = ROWS;
    b->ts_min = 5, b->ts_max = 9;
    return b;
}

static void assert_row(const struct batch *b, uint32_t row, uint32_t i)
{
    char text[64];
    int n = snprintf(text, sizeof text, i % 2 ? "a rather long text, number %u" : "short%u", i);
    struct value v = batch_value(b, schema, 0, row);
    assert_false(v.is_null);
    assert_int_equal(v.i, i);
    for (int c = 1; c < 4; c++) assert_int_equal(batch_value(b, schema, c, row).is_null, i % 5 == 0);
    if (i % 5 == 0) return;
    v = batch_value(b, schema, 1, row);
    assert_int_equal(v.s.n, n);
    assert_memory_equal(str_ptr(&v.s), text, (size_t)n);
    assert_true(batch_value(b, schema, 2, row).dec == (int128)i);
    assert_int_equal(batch_value(b, schema, 3, row).b, i % 2 == 0);
}

static void values_come_back(void **state)
{
    (void)state;
    struct batch *b = make();
    for (uint32_t i = 0; i < ROWS; i++) assert_row(b, i, i);
    assert_int_equal(b->bytes_held, b->bytes_own);
    batch_unref(batch_ref(b));
    batch_unref(b);
    batch_unref(NULL);
}

static const uint32_t some[] = {1, 2, 5, 30, 31, 64, 65, 99};

static void dense_shares_text_and_compact_copies_it(void **state)
{
    (void)state;
    struct batch *b = make();
    struct rows r = {b, some, countof(some)};
    struct batch *dense = rows_dense(pool, schema, &r), *compact = rows_compact(pool, schema, &r);
    assert_int_equal(dense->npins, 1);
    assert_int_equal(compact->npins, 0);
    assert_true(dense->bytes_held > b->bytes_held);
    assert_int_equal(dense->ts_min, 5);
    batch_unref(b); /* dense keeps it */
    for (uint32_t i = 0; i < countof(some); i++) {
        assert_row(dense, i, some[i]);
        assert_row(compact, i, some[i]);
    }
    batch_unref(dense);
    batch_unref(compact);
    b = make();
    r = rows_all(b);
    assert_ptr_equal(rows_dense(pool, schema, &r), b);
    assert_int_equal(b->refs, 2);
    batch_unref(b);
    batch_unref(b);
}

static void rows_are_appended(void **state)
{
    (void)state;
    struct batch *b = make(), *to = batch_for(pool, schema, 16);
    batch_append(to, 16, schema, b, 7);
    batch_scatter(to, 16, schema, b, some, countof(some));
    batch_append(to, 16, schema, b, 10);
    batch_unref(b);
    assert_int_equal(to->rows, 10);
    assert_row(to, 0, 7);
    for (uint32_t i = 0; i < countof(some); i++) assert_row(to, 1 + i, some[i]);
    assert_row(to, 9, 10);
    assert_null(to->weight);
    batch_unref(to);
}

static void weights_travel(void **state)
{
    (void)state;
    struct batch *b = make(), *plain = make(), *to = batch_for(pool, schema, 8);
    int8_t *w = batch_alloc(b, ROWS);
    for (int i = 0; i < ROWS; i++) w[i] = i % 3 ? 1 : -1;
    b->weight = w;
    batch_append(to, 8, schema, plain, 3);
    batch_append(to, 8, schema, b, 3);
    batch_append(to, 8, schema, b, 4);
    batch_append(to, 8, schema, plain, 3);
    static const int8_t want[] = {1, -1, 1, 1};
    assert_memory_equal(to->weight, want, sizeof want);
    batch_unref(b), batch_unref(plain), batch_unref(to);
}

static void pins_are_folded(void **state)
{
    (void)state;
    struct batch *a = make(), *b = batch_new(pool, 1);
    batch_pin(b, a);
    batch_pin(b, a);
    assert_int_equal(b->npins, 1);
    assert_int_equal(a->refs, 2);
    batch_unref(b);
    assert_int_equal(a->refs, 1);
    batch_unref(a);
}

static void nothing_is_allocated_once_warm(void **state)
{
    (void)state;
    batch_unref(make());
    uint64_t before = mem_alloc_count();
    for (int i = 0; i < 50; i++) {
        struct batch *b = make();
        struct rows r = {b, some, countof(some)};
        batch_unref(rows_compact(pool, schema, &r));
        if (!i) before = mem_alloc_count();
        batch_unref(b);
    }
    assert_int_equal(mem_alloc_count(), before);
}

static void huge_texts_get_room(void **state)
{
    (void)state;
    struct batch *b = batch_new(pool, 0);
    char *x = batch_text(b, 100), *y = batch_text(b, 1 << 20), *z = batch_text(b, 100);
    memset(x, 'x', 100), memset(y, 'y', 1 << 20), memset(z, 'z', 100);
    assert_int_equal(x[99], 'x');
    assert_int_equal(y[0], 'y');
    assert_true(b->bytes_own > 1 << 20);
    batch_unref(b);
}

static void a_view_of_any_length(void **state)
{
    (void)state;
    const char text[] = "a\xc3\xa9\xffzyxwvutsrqponml";
    for (uint32_t n = 0; n < sizeof text; n++) {
        char *exact = mem_alloc(n ? n : 1), zero[STR_INLINE] = {0}; /* nothing to read behind the text */
        memcpy(exact, text, n);
        struct str s = str_view(exact, n);
        assert_int_equal(s.n, n);
        assert_memory_equal(str_ptr(&s), text, n);
        assert_memory_equal(s.prefix, text, n < 4 ? n : 4);
        if (n <= STR_INLINE) assert_memory_equal(s.prefix + n, zero, STR_INLINE - n);
        mem_free(exact);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(values_come_back), T(dense_shares_text_and_compact_copies_it), T(rows_are_appended),
        T(weights_travel),   T(pins_are_folded),                         T(nothing_is_allocated_once_warm),
        T(huge_texts_get_room), T(a_view_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
