/* The request that opens a WebSocket, read from bytes alone. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_HANDSHAKE_H
#define WEBSOCKET_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handshake_rules {
    const char *path;    /* that clients ask for */
    const char *origins; /* pages that may connect, separated by commas; "*": all; NULL: none */
    size_t max;          /* bytes of a request */
};

struct handshake {
    int status;      /* 101, or the HTTP error to answer with */
    const char *why; /* of an error: one sentence */
    size_t used;     /* bytes of the request, with 101: frames may follow */
    char accept[29];
    bool resumes;   /* ?last_sequence=n was there */
    uint64_t after; /* that n */
};

/* False: the request is not complete yet. */
bool handshake_read(const struct handshake_rules *r, const char *p, size_t n, struct handshake *out);

/* What the other side must say of a key of 24 digits. */
void handshake_accept(const char *key, char out[29]);

/* The answer in `to`; how long it is. */
enum { HANDSHAKE_ANSWER = 512 };
size_t handshake_answer(const struct handshake *h, char to[HANDSHAKE_ANSWER]);

#endif
