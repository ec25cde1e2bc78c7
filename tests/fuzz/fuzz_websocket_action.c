/* Messages of WebSocket clients: what is read from them lies within the message, and a text that was quoted is read back.
 * SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/websocket/action.h"
#include "../../modules/websocket/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_within(const char *text, const char *p, size_t n)
{
    if (text) check(text >= p && text + strlen(text) <= p + n);
}

/* Any text with no zero in it, as far as it is UTF-8, survives being quoted and read. */
static void check_quoted(const uint8_t *data, size_t n)
{
    char *text = calloc(1, n + 1), *quoted = malloc(6 * n + 16);
    struct json_member m[1];
    memcpy(text, data, n);
    if (strlen(text) == n && utf8_is_valid(text, n)) {
        strcpy(quoted, "{\"a\":");
        size_t k = 5 + json_quote(text, quoted + 5, 6 * n + 8);
        strcpy(quoted + k, "}");
        check(json_read(quoted, k + 1, m, 1) == 1 && m->kind == JSON_TEXT && !strcmp(m->value, text));
        size_t cap = 3 + n / 2;
        check(json_quote(text, quoted, cap) < cap && utf8_is_valid(quoted, strlen(quoted)));
    }
    free(text), free(quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *p = malloc(n + 1), why[ACTION_WHY] = "";
    struct action a;
    if (n) memcpy(p, data, n);
    if (action_read(p, n, &a, why)) {
        check_within(a.filter, p, n), check_within(a.format, p, n), check_within(a.subscription, p, n);
        check((a.kind == ACTION_UNSUBSCRIBE) == (a.subscription != NULL));
    } else {
        check(*why && strlen(why) < ACTION_WHY);
    }
    free(p);
    check_quoted(data, n);
    return 0;
}
