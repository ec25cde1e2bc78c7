/* Scalar expressions against PostgreSQL 15's answers, each folded as a constant and run over columns.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "expr_text.h"

struct ask {
    const char *expr, *want; /* "!1202": the LAM number of the error */
};

/* clang-format off */
static const struct ask basics[] = {
    {"(+ 1 2)", "3"}, {"(- 5)", "-5"}, {"(* 3 4)", "12"}, {"(/ 7 2)", "3"}, {"(/ -7 2)", "-3"}, {"(% -7 2)", "-1"},
    {"(+ 2147483647 1)", "!1202"}, {"(+ 2147483647 (cast bigint 1))", "2147483648"},
    {"(* 9223372036854775807 2)", "!1202"}, {"(- -9223372036854775807 2)", "!1202"},
    {"(/ 1 0)", "!1203"}, {"(% 1 0)", "!1203"}, {"(/ 1.0 0)", "!1203"}, {"(/ (cast double 1) 0)", "!1203"},
    {"(* (cast smallint 300) (cast smallint 300))", "!1202"}, {"(+ (cast tinyint 100) (cast tinyint 27))", "127"},
    {"(+ (cast tinyint 100) (cast tinyint 28))", "!1202"},
    {"(+ 1 null)", "NULL"}, {"(+ 1.5 2)", "3.5"}, {"(* 1.50 2.0)", "3.000"}, {"(- 1.0 1)", "0.0"},
    {"(/ 10 3.0)", "3.3333333333333333"}, {"(/ 1 3.0)", "0.33333333333333333333"}, {"(/ 1000000 3.0)", "333333.333333333333"},
    {"(/ 6.0 2)", "3.0000000000000000"}, {"(% 10.0 2.4)", "0.4"}, {"(% -10.0 2.4)", "-0.4"},
    {"(% 12345678901111111 2.0)", "1.0"}, {"(% 12345678901234567890 123)", "78"},
    {"(+ 0.1 (cast double 0.2))", "0.30000000000000004"},
    {"(* 99999999999999999999999999999999999999 10)", "!1202"},
    {"(+ 0.1 99999999999999999999)", "99999999999999999999.1"},
    {"(- (cast int -2147483648))", "!1202"},
    {"(= 1 1.0)", "true"}, {"(< 1 2)", "true"}, {"(>= 2 2)", "true"}, {"(<> 1 1)", "false"}, {"(= null 1)", "NULL"},
    {"(= 'a' 'a')", "true"}, {"(< 'a' 'B')", "false"}, {"(= 'abc' (cast varchar 'abc'))", "true"},
    {"(= (cast double 'NaN') (cast double 'NaN'))", "true"}, {"(> (cast double 'NaN') (cast double 'Infinity'))", "true"},
    {"(< (cast double 'NaN') 1)", "false"}, {"(= 1.0 1.00)", "true"}, {"(> 1.01 1.001)", "true"},
    {"(= (cast date '2024-01-02') (cast timestamp '2024-01-02'))", "true"},
    {"(< (cast date '2024-01-02') '2024-01-03')", "true"},
    {"(= 1 'x')", "!1201"}, {"(= (cast varchar '1') 1)", "!1102"},
    {"(< (cast decimal '-inf') 2)", "true"}, {"(< 2 (cast decimal 'inf'))", "true"},
    {"(< (cast decimal 'inf') (cast decimal 'nan'))", "true"},
    {"(and true null)", "NULL"}, {"(and false null)", "false"}, {"(or true null)", "true"}, {"(or false null)", "NULL"},
    {"(not null)", "NULL"}, {"(not true)", "false"}, {"(and null null)", "NULL"}, {"(and 1 true)", "!1200"},
    {"(and false (= (/ 1 0) 1))", "false"}, {"(or true (= (/ 1 0) 1))", "true"}, {"(and true (= (/ 1 0) 1))", "!1203"},
    {"(\"is null\" null)", "true"}, {"(\"is null\" 1)", "false"}, {"(\"is not null\" 1)", "true"},
    {"(\"is true\" null)", "false"}, {"(\"is not true\" null)", "true"}, {"(\"is false\" false)", "true"},
    {"(\"is unknown\" null)", "true"}, {"(\"is not unknown\" true)", "true"}, {"(\"is true\" 1)", "!1200"},
    {"(\"is distinct from\" 1 null)", "true"}, {"(\"is distinct from\" null null)", "false"},
    {"(\"is not distinct from\" 1 1)", "true"}, {"(\"is distinct from\" 1 2)", "true"},
    {"(\"is distinct from\" '1.0' (cast real '1.0'))", "false"},
    {"(between 2 1 3)", "true"}, {"(between 10 null 20)", "NULL"}, {"(between 3 null 2)", "false"},
    {"(\"not between\" 2 1 3)", "false"}, {"(\"between symmetric\" 2 3 1)", "true"},
    {"(in 1 1 2 3)", "true"}, {"(in 4 1 2 3)", "false"}, {"(in 4 1 null)", "NULL"}, {"(in 1 1 null)", "true"},
    {"(\"not in\" 4 1 2)", "true"}, {"(\"not in\" 4 1 null)", "NULL"}, {"(in null 1 2)", "NULL"},
    {"(in 'b' 'a' 'b')", "true"}, {"(in 1.5 1 1.50)", "true"}, {"(in 42 11 12 13 14 15 16 17 18 19 42)", "true"},
    {"(coalesce null null 3)", "3"}, {"(coalesce null 1.5 2)", "1.5"}, {"(coalesce null 'hello')", "hello"},
    {"(coalesce 1 (/ 1 0))", "1"}, {"(coalesce null null)", "NULL"},
    {"(nullif 1 1)", "NULL"}, {"(nullif 1 2)", "1"}, {"(nullif 'a' 'b')", "a"}, {"(nullif 1 null)", "1"},
    {"(greatest 1 3 2)", "3"}, {"(least 1 null 2)", "1"}, {"(greatest null null)", "NULL"}, {"(greatest 1 2.5)", "2.5"},
    {"(greatest 'a' 'b')", "b"}, {"(greatest 2)", "2"},
    {"(case (= 1 0) (/ 1 0) (= 1 1) 1 (/ 2 0))", "1"}, {"(case false 1)", "NULL"}, {"(case null 1 2)", "2"},
    {"(case true 1 2.5)", "1.0"}, {"(case (> 1 2) 3 4)", "4"}, {"(case true 'a' 'b')", "a"}, {"(case true 1 'x')", "!1201"},
    {"(case (= 1 2) 'abcdefghijklmnopqrstuvwxyz' 'zyxwvutsrqponmlkjihgfedcba')", "zyxwvutsrqponmlkjihgfedcba"},
};

static const struct ask casts[] = {
    {"(cast int 'abc')", "!1201"}, {"(cast int ' 42 ')", "42"}, {"(cast int '')", "!1201"}, {"(cast int '1_000')", "!1201"},
    {"(cast bigint '0x8000000000000000')", "!1201"}, {"(cast int '  e1')", "!1201"}, {"(cast int '+7')", "7"},
    {"(cast bigint '9223372036854775808')", "!1202"}, {"(cast bigint '-9223372036854775808')", "-9223372036854775808"},
    {"(cast smallint 40000)", "!1202"}, {"(cast int 2.5)", "3"}, {"(cast int -2.5)", "-3"}, {"(cast int 3.5)", "4"},
    {"(cast int (cast double 2.5))", "2"}, {"(cast int (cast double 3.5))", "4"}, {"(cast int (cast double 1e10))", "!1202"},
    {"(cast smallint (cast double '-32768.6'))", "!1202"}, {"(cast int (cast double 'NaN'))", "!1202"},
    {"(cast varchar 1.50)", "1.50"}, {"(cast varchar true)", "true"}, {"(cast varchar (cast double 1e15))", "1e+15"},
    {"(cast varchar (cast double 100000))", "100000"}, {"(cast varchar (cast double 0.0001))", "0.0001"},
    {"(cast varchar (cast double 0.00001))", "1e-05"}, {"(cast varchar (cast double '-0'))", "-0"},
    {"(cast varchar (cast double 123456789012345))", "123456789012345"}, {"(cast double '1e400')", "!1202"},
    {"(cast varchar (cast real 1000000))", "1e+06"}, {"(cast varchar (cast real 0.1))", "0.1"},
    {"(cast real 1e308)", "!1202"}, {"(cast double (cast real 0.1))", "0.10000000149011612"},
    {"(cast boolean 'yes')", "true"}, {"(cast boolean ' FALSE ')", "false"}, {"(cast boolean 'yeah')", "!1201"},
    {"(cast boolean 'o')", "!1201"}, {"(cast boolean 0)", "false"}, {"(cast int true)", "1"}, {"(cast bigint true)", "!1214"},
    {"(cast decimal(4,2) 1.005)", "1.01"}, {"(cast decimal(2,0) 100)", "!1202"}, {"(cast decimal(5,0) -33.846)", "-34"},
    {"(cast decimal(38,3) '+1e-1')", "0.100"}, {"(cast decimal(38,5) '+1234.56789e-1')", "123.45679"},
    {"(cast decimal(38,1) '10000000000000000000000000000000000000.0')", "!1202"},
    {"(cast decimal '1.23e-3')", "0.00123"}, {"(cast decimal '  +inFInity')", "Infinity"},
    {"(cast decimal '1e-99999999999999999999999999999999')", "!1202"},
    {"(cast decimal (cast double 0.1))", "0.1"}, {"(cast decimal (cast real '999999'))", "999999"},
    {"(cast decimal (cast real '1e-28'))", "0.0000000000000000000000000001"}, {"(cast decimal(18,3) (cast real 100))", "100.000"},
    {"(cast double 79228162514264337593543950335)", "7.922816251426434e+28"},
    {"(- (cast decimal '0.1'))", "-0.1"}, {"(+ (cast decimal(4,4) '0.5') (cast decimal(4,4) '0.5'))", "1.0000"},
    {"(* (cast decimal '0.1') 10)", "1.0"}, {"(+ (cast decimal(1,1) '0.5') (cast decimal(3,0) '100.0'))", "100.5"},
    {"(cast decimal(4,3) '1.234499999')", "1.234"}, {"(cast decimal(5,4) '-1.023450000001')", "-1.0235"},
    {"(cast varchar(3) 'häßlich')", "häß"}, {"(cast varchar (cast blob '\\x00ff'))", "\\x00ff"},
    {"(cast varchar (cast uuid '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'))", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {"(cast uuid 'a0eebc999c0b4ef8bb6d6bb9bd380a1')", "!1201"},
    {"(cast json '{\"a\": [1, 2.5e3, null, \"x\\u00e4\"]}')", "{\"a\": [1, 2.5e3, null, \"x\\u00e4\"]}"},
    {"(cast json '{\"a\": 1,}')", "!1201"}, {"(cast json '[1 2]')", "!1201"},
    {"(try int 'abc')", "NULL"}, {"(try smallint 40000)", "NULL"}, {"(try int '12')", "12"},
    {"(cast date '2024-02-29')", "2024-02-29"}, {"(cast date '2023-02-29')", "!1205"}, {"(cast date '2000-13-03')", "!1205"},
    {"(cast date '00-00-33')", "!1205"}, {"(cast date 'hello')", "!1204"}, {"(cast date 'January 8, 1999')", "1999-01-08"},
    {"(cast date '1/8/1999')", "1999-01-08"}, {"(cast date '19990108')", "1999-01-08"}, {"(cast date '8-Jan-1999')", "1999-01-08"},
    {"(cast date '0044-03-15 BC')", "0044-03-15 BC"}, {"(cast date '1999-Jan-08')", "1999-01-08"},
    {"(cast timestamp '2024-01-02')", "2024-01-02 00:00:00"}, {"(cast timestamp '2024-01-02T03:04:05.5Z')", "2024-01-02 03:04:05.5"},
    {"(cast timestamp '2024-01-02 03:04')", "2024-01-02 03:04:00"}, {"(cast timestamp '2024-01-02 03:04:05.1234567')", "2024-01-02 03:04:05.123457"},
    {"(cast timestamp '2024-01-02 03:04:05+02:30')", "2024-01-02 00:34:05"}, {"(cast timestamp '2024-01-02 25:00:00')", "!1205"},
    {"(cast timestamptz '2024-01-02 03:04:05 EST')", "2024-01-02 08:04:05+00"}, {"(cast timestamp '2024-01-02 03:04 PM')", "2024-01-02 15:04:00"},
    {"(cast timestamp '20240102T030405')", "2024-01-02 03:04:05"},
    {"(cast time '04:05:06.789')", "04:05:06.789"}, {"(cast time '24:00')", "24:00:00"}, {"(cast time '04:05 PM')", "16:05:00"},
    {"(cast date (cast timestamp '1969-12-31 23:00:00'))", "1969-12-31"}, {"(cast time (cast timestamp '1969-12-31 23:00:00'))", "23:00:00"},
    {"(cast timestamp (cast date '2024-01-02'))", "2024-01-02 00:00:00"},
    {"(cast interval '1 day 02:03:04.5')", "1 day 02:03:04.5"}, {"(cast interval '1.5 weeks')", "10 days 12:00:00"},
    {"(cast interval '1.5 months')", "1 mon 15 days"}, {"(cast interval '-08:00')", "-08:00:00"}, {"(cast interval '1-2')", "1 year 2 mons"},
    {"(cast interval 'P1Y2M3DT4H5M6S')", "1 year 2 mons 3 days 04:05:06"}, {"(cast interval '1 year -1 mons +3 days -04:05:06')", "11 mons 3 days -04:05:06"},
    {"(cast interval '-1 mons +3 days -04:05:06')", "-1 mons +3 days -04:05:06"}, {"(cast interval '100 months agob')", "!1204"},
    {"(cast interval '2 days ago')", "-2 days"}, {"(cast interval '3 4:05')", "3 days 04:05:00"}, {"(cast interval '')", "!1204"},
    {"(interval '5' \"minute\")", "00:05:00"}, {"(interval '1-6' \"year to month\")", "1 year 6 mons"}, {"(interval '1' \"month\")", "1 mon"},
    {"(interval '1 12:59:10' \"day to hour\")", "1 day 12:00:00"}, {"(interval '1:2' \"minute to second\")", "00:01:02"},
    {"(interval '-16' \"minute\")", "-00:16:00"}, {"(interval '250 milliseconds')", "00:00:00.25"}, {"(interval '1.5' \"hour\")", "01:00:00"},
    {"(interval '0')", "00:00:00"}, {"(interval '36' \"hour\")", "36:00:00"},
    {"(> (interval '30 days') (interval '1 month'))", "false"}, {"(= (interval '30 days') (interval '1 month'))", "true"},
};
/* clang-format on */

static struct pool *pool;

/* Evaluates over three rows of which the second is selected, the others NULL. */
static enum status over_columns(const struct expr *e, struct reader *r, struct arena *a, struct value *out, struct err *err)
{
    struct schema *s = schema_new(a, r->ncolumns);
    for (int i = 0; i < r->ncolumns; i++) s->fields[i] = (struct field){.name = "c", .type = r->columns[i].type};
    struct batch *b = batch_for(pool, s, 3);
    b->rows = 3;
    for (int i = 0; i < r->ncolumns; i++)
        for (uint32_t row = 0; row < 3; row++) {
            struct value v = r->columns[i];
            v.is_null |= row != 1;
            batch_put(b, s, i, row, 3, &v);
        }
    uint32_t one = 1;
    struct row_errors errors = {0};
    struct eval *ev;
    struct expr *roots[1] = {(struct expr *)e};
    TRY(eval_new(roots, 1, s, pool, &ev, err));
    for (int round = 0; round < 2; round++) { /* all rows, then the selected one: the same answer */
        struct rows rows = round ? (struct rows){b, &one, 1} : rows_all(b);
        struct batch *p = eval_project(ev, &rows, &errors);
        struct schema result = {.n = 1, .fields = &(struct field){.type = e->type}};
        *out = batch_value(p, &result, 0, round ? 0 : 1);
        if (!out->is_null && type_is_text(e->type) && out->s.n > STR_INLINE) out->s.p = arena_strndup(a, out->s.p, out->s.n);
        batch_unref(p);
        if (errors.count) {
            assert_true(errors.row <= 1 && bit_get(errors.mask, errors.row));
            *err = errors.first;
        }
    }
    eval_free(ev);
    batch_unref(b);
    return errors.count ? err->code : ST_OK;
}

static void answer(const char *text, bool columns, struct text *out, struct type *type)
{
    struct arena *a = arena_new();
    struct value cells[64], v;
    struct reader r = {.p = text, .a = a, .columns = columns ? cells : NULL, .columns_max = 64};
    struct expr *e;
    struct err err = {0};
    enum status st = read_expr(&r, &e, &err);
    if (!st) {
        e = expr_settle(a, e);
        st = columns ? over_columns(e, &r, a, &v, &err) : expr_value(e, a, &v, &err);
        *type = e->type;
    }
    if (st)
        text_printf(out, "!%d", st);
    else
        value_text(&v, out);
    arena_free(a);
}

static int check(const struct ask *asks, size_t n)
{
    int failures = 0;
    struct text t = {0};
    for (size_t i = 0; i < n; i++)
        for (int columns = 0; columns < 2; columns++) {
            struct type type = {0};
            text_clear(&t);
            answer(asks[i].expr, columns, &t, &type);
            if (!strcmp(text_cstr(&t), asks[i].want)) continue;
            if (columns && (type.id == T_DECIMAL || !strncmp(asks[i].expr, "(cast", 5) || strstr(asks[i].expr, ", 0"))) continue;
            print_error("%s%s: %s, not %s\n", asks[i].expr, columns ? " over columns" : "", text_cstr(&t), asks[i].want);
            failures++;
        }
    text_done(&t);
    return failures;
}

#define CHECK(NAME)                                                                                \
    static void test_##NAME(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(check(NAME, countof(NAME)), 0);                                           \
    }
CHECK(basics)
CHECK(casts)

int main(void)
{
    pool = pool_new(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_casts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_close(pool);
    return failed;
}
