/* What a server may answer to the request for a WebSocket: any cut of the bytes gives the same judgement, and only an
 * answer that has our key's other half opens one. SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/websocket/answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool ok)
{
    if (!ok) abort();
}

static bool read_in_parts(const struct answer_wanted *w, const char *p, size_t n, size_t part, struct answer *out)
{
    for (size_t have = 0; have < n;) {
        have = have + part < n ? have + part : n;
        char *copy = malloc(have);
        memcpy(copy, p, have);
        bool done = answer_read(w, copy, have, out);
        free(copy);
        if (done) return true;
        check(have < ANSWER_MOST);
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct answer_wanted w = {.accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", .subprotocol = n % 2 ? "v2.json" : NULL};
    const char *p = (const char *)data;
    struct answer whole, parts;
    bool done = read_in_parts(&w, p, n, n ? n : 1, &whole);
    check(read_in_parts(&w, p, n, 1 + n % 7, &parts) == done);
    if (!done) return 0;
    check(whole.status == parts.status && whole.is_open == parts.is_open && whole.used == parts.used &&
          whole.retry_after_s == parts.retry_after_s && whole.why == parts.why);
    check(whole.is_open == !whole.why && whole.used <= n && whole.retry_after_s >= 0 && whole.retry_after_s <= 3600);
    check(!whole.is_open || (whole.status == 101 && memmem(p, whole.used, w.accept, 28)));
    return 0;
}
