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
    const char *scheme, *credentials; /* of the header Authorization: "Bearer" and the token; NULL: anyone may come */
    bool deflates;                    /* permessage-deflate is spoken */
};

struct handshake {
    int status;      /* 101, or the HTTP error to answer with */
    const char *why; /* of an error: one sentence */
    size_t used;     /* bytes of the request, with 101: frames may follow */
    char accept[29];
    bool deflates;      /* agreed on, without context takeover either way */
    const char *scheme; /* with 401: what to come with */
    bool resumes;       /* ?last_sequence=n was there */
    uint64_t after;     /* that n */
    /* Of ?filter= and ?format=, as they stand in the request; p NULL: not there. */
    struct handshake_text {
        const char *p;
        size_t n;
    } filter, format;
};

/* False: the request is not complete yet. */
bool handshake_read(const struct handshake_rules *r, const char *p, size_t n, struct handshake *out);

/* %XX and + decoded, as text with a zero behind it; at most t.n + 1 bytes. False: it is not UTF-8 in such letters. */
bool handshake_decode(struct handshake_text t, char *to);
/* What the other side must say of a key of 24 digits. */
void handshake_accept(const char *key, char out[29]);

/* The answer in `to`; how long it is. */
enum { HANDSHAKE_ANSWER = 512 };
size_t handshake_answer(const struct handshake *h, char to[HANDSHAKE_ANSWER]);

#endif
