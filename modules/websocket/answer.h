/* What a server answers to the request for a WebSocket, read from bytes alone. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_ANSWER_H
#define WEBSOCKET_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_MOST = 16 << 10 };

struct answer_wanted {
    char accept[29];
    const char *subprotocol; /* that was asked for; NULL: none */
};

struct answer {
    int status;            /* of HTTP; 0: this is no HTTP */
    bool is_open;          /* the WebSocket */
    const char *why;       /* when it is not: one clause */
    size_t used;           /* bytes of the answer; frames may follow when it is open */
    int64_t retry_after_s; /* that the server asks for; 0: it does not */
};

/* False: the answer is not complete yet. */
bool answer_read(const struct answer_wanted *w, const char *p, size_t n, struct answer *out);

#endif
