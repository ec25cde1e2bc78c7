/* Requests for a WebSocket: any cut of the bytes gives the same judgement, what is accepted is short enough, and
 * answers fit. SPDX-License-Identifier: Apache-2.0 */
#include "../../modules/websocket/handshake.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool ok)
{
    if (!ok) abort();
}

/* As a server reads it: in parts, until it is judged. */
static bool read_in_parts(const struct handshake_rules *r, const char *p, size_t n, size_t part, struct handshake *out)
{
    for (size_t have = 0; have < n;) {
        have = have + part < n ? have + part : n;
        if (have > r->max) have = r->max;
        char *copy = malloc(have);
        memcpy(copy, p, have);
        bool done = handshake_read(r, copy, have, out);
        free(copy);
        if (done) return true;
        check(have < r->max);
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct handshake_rules r = {
        .path = "/live", .origins = "https://good.example, http://localhost:8000", .max = 1024, .deflates = n % 2,
        .scheme = n % 3 ? NULL : "Bearer", .credentials = "secret"};
    const char *p = (const char *)data;
    struct handshake whole, parts;
    char answer[HANDSHAKE_ANSWER];
    bool done = read_in_parts(&r, p, n, r.max, &whole);
    check(read_in_parts(&r, p, n, 1 + n % 7, &parts) == done);
    if (!done) return 0;
    check(whole.status == parts.status && whole.used == parts.used && whole.after == parts.after);
    check(whole.status == 101 ? whole.used <= n && strlen(whole.accept) == 28 : whole.status >= 400 && whole.why);
    check(handshake_answer(&whole, answer) < sizeof answer);
    check(!whole.deflates || r.deflates);
    if (whole.status != 101) return 0;
    check(handshake_read(&r, p, whole.used, &whole)); /* whose texts lie in p */
    char *text = malloc(whole.filter.n + 1);
    if (handshake_decode(whole.filter, text)) check(strlen(text) <= whole.filter.n);
    free(text);
    return 0;
}
