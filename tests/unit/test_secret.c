/* Which names are those of secrets, what of a statement's text is hidden, and that nothing else is.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"
#include "base/text.h"
#include "sql/tree.h"
#include "unit.h"

static void names(void **state)
{
    (void)state;
    static const char *const yes[] = {"password", "sasl.password", "SASL_PASSWORD", "ssl.key.password", "auth.token", "api-secret", "apitoken",
                                      "pasword", "passwrod", "sasl.pasword", "passwd", "pwd", "pass", "secert", "tokn", "client.credentials",
                                      "sasl.jaas.config", "authorization"};
    static const char *const key[] = {"key", "api.key", "note.key", "apikey", "note.ey", "api.kye", "ky"};
    static const char *const no[] = {"path", "topic", "primary.key", "key.column", "bootstrap.servers", "username", "port", "table.name", "sink.id",
                                     "passage", "broken", "server", "first"};
    for (size_t i = 0; i < countof(yes); i++)
        if (secret_name(yes[i], strlen(yes[i])) != SECRET_YES) fail_msg("%s is not seen", yes[i]);
    for (size_t i = 0; i < countof(key); i++)
        if (secret_name(key[i], strlen(key[i])) != SECRET_KEY) fail_msg("%s is not a key", key[i]);
    for (size_t i = 0; i < countof(no); i++)
        if (secret_name(no[i], strlen(no[i])) != SECRET_NO) fail_msg("%s is no secret", no[i]);
}

/* ^ is the position, before and after. */
static const struct {
    const char *text, *want;
} masks[] = {
    {"INTO X (password = 'hush', ^port = 1)", "INTO X (password = '***', ^port = 1)"},
    {"INTO X (password = 'hu^sh')", "INTO X (password = '^***')"},
    {"INTO X (password = ^'hush')", "INTO X (password = ^'***')"},
    {"INTO X (password ^'hush')", "INTO X (password ^'***')"},
    {"INTO X (password => 'hush')^", "INTO X (password => '***')^"},
    {"INTO X (password = hu^sh, a = 'b')", "INTO X (password = ^***, a = 'b')"},
    {"INTO X (password = 4711)^", "INTO X (password = ***)^"},
    {"INTO X (password = h,^ush)", "INTO X (password = ***,^ush)"}, /* a word ends there */
    {"^WITH ('connector' = 'kafka', 'sasl.password' = 'hush')", "^WITH ('connector' = 'kafka', 'sasl.password' = '***')"},
    {"^(\"sasl.password\" = 'hush')", "^(\"sasl.password\" = '***')"},
    {"^ALTER SINK s SET password = hush", "^ALTER SINK s SET password = ***"},
    {"^(password = E'hu\\'sh', b = 1)", "^(password = E'***', b = 1)"},
    {"^(password = $a$hu'sh$a$, b = 1)", "^(password = $a$***$a$, b = 1)"},
    {"^(password = 'hu''sh', b = 1)", "^(password = '***''***', b = 1)"},
    {"^(password = 'hu\nsh', b = 1)", "^(password = '***', b = 1)"},
    {"^(password = 'hu'sh', b = 1)", "^(password = '***'***"},
    {"^(password = 'hu' sh', b = 1)", "^(password = '***'***"},
    {"^(password = 'hush, b = 1)", "^(password = '***"},
    {"^(password = '${HUSH}', b = 1)", "^(password = '${HUSH}', b = 1)"},
    {"^(password = ${HUSH}, b = 1)", "^(password = ${HUSH}, b = 1)"},
    {"^(password = '${HUSH:-hush}', b = 1)", "^(password = '***', b = 1)"},
    {"^(pasword = 'hush')", "^(pasword = '***')"},
    {"^(note.key = 'hush', a = 1)", "^(note.key = '***', a = 1)"},
    {"^(a = 1, api_key = 'hush')", "^(a = 1, api_key = '***')"},
    {"-- password = 'hush' don't\n^SELECT 1", "-- password = '***'***\n^SELECT 1"},
    {"/* password = hush */ ^SELECT 1", "/* password = *** */ ^SELECT 1"},
    {"^(url = 'ws://me:hush@host:80/x')", "^(url = 'ws://me:***@host:80/x')"},
    {"^(url = 'ws://hush@host/', b = 'http://h:80/p@q')", "^(url = 'ws://***@host/', b = 'http://h:80/p@q')"},
    {"^(connection = 'host=h password=hu$h port=1')", "^(connection = 'host=h password=*** port=1')"},
    {"^(x = '{\"token\": \"hush\", \"a\": 1}')", "^(x = '{\"token\": \"***\", \"a\": 1}')"},
    /* all of these stay */
    {"SELECT a.key FROM a JOIN b ON a.key = b.key AND a.token = b.token WHERE ^x = 1", NULL},
    {"SELECT key, token FROM t WHERE key = 'a' AND ^x = 'b'", NULL},
    {"SELECT token::varchar = 'BTC', ^x FROM t", NULL},
    {"CREATE SOURCE s (key BIGINT, token VARCHAR, secret BLOB) FROM FILE (path = 'x', format = 'token', ^y = 'z')", NULL},
    {"^SELECT 'password', 'x', 'secret' || 'y' FROM t WHERE token IN ('a', 'b') AND token <> 'c'", NULL},
    {"INTO KAFKA (key.column = 'symbol', primary.key = 'a, b', ^x = 1)", NULL},
};

static void texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(masks); i++) {
        const char *text = masks[i].text, *want = masks[i].want ? masks[i].want : text, *at = strchr(text, '^');
        char plain[300], shown[600];
        size_t pos = (size_t)(at - text), n = (size_t)snprintf(plain, sizeof plain, "%.*s%s", (int)pos, text, at + 1);
        struct text out = {0};
        sql_mask(plain, n, &pos, &out);
        snprintf(shown, sizeof shown, "%.*s^%s", (int)pos, text_cstr(&out), text_cstr(&out) + pos);
        assert_string_equal(shown, want);
        assert_int_equal(sql_has_secret(plain, n), masks[i].want && !strstr(want, "{HUSH}"));
        text_done(&out);
    }
}

static const char *lookup(void *ctx, const char *name) { return strcmp(name, "A") ? NULL : ctx; }

static void check_hidden(const char *value, const char *message, const char *want)
{
    struct err err;
    err_set(&err, E_SYNTAX, "%s", message);
    err_hint(&err, "%s", message);
    sql_hide_values("x '${A}' ${B:-c}", 16, lookup, (void *)value, &err);
    assert_string_equal(err.text, want);
    assert_string_equal(err.hint, want);
}

static void values(void **state)
{
    (void)state;
    const char *longest = "hush-hush-hush-hush-hush-hush-hush-hush-hush-hush";
    check_hidden("hush-4711", "takes an integer, not 'hush-4711'", "takes an integer, not '${A}'");
    check_hidden("hush-4711", "hush-4711 and hush-4711x", "${A} and ${A}x");
    check_hidden("x'hush-4711", "at \"'x''hush-4711'\"", "at \"'${A}'\"");
    check_hidden("8", "takes 1 to 7, not '8'; 8 is more", "takes 1 to 7, not '${A}'; 8 is more");
    check_hidden(longest, "at \"hush-hush-hush-hush-hush-hush-hush-hush-...\"", "at \"${A}...\"");
    check_hidden(longest, "it is hush-hush", "it is ${A}");
    check_hidden("password1", "option 'password' is given twice", "option 'password' is given twice");
    check_hidden("", "nothing", "nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(texts), cmocka_unit_test(values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
