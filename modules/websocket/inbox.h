/* Messages that have come and wait to be polled: bounded, in the order they came. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_INBOX_H
#define WEBSOCKET_INBOX_H

#include "buffer.h"

enum { INBOX_BYTES = 256 << 10, INBOX_MESSAGES = 2048 };
enum { INBOX_RECEIVED, INBOX_CONNECTION, INBOX_COLUMNS };
extern const struct lam_metadata inbox_columns[INBOX_COLUMNS];

struct inbox_message {
    size_t n;            /* bytes that are not given yet */
    int64_t received;    /* on the host's wall clock */
    uint64_t connection; /* number of the one it came by, from 1 */
};

struct inbox {
    struct lam_io *io;
    bool drops; /* what comes while it is full; else nothing is to be put in then */
    bool lines; /* a message holds records, each on a line of its own */
    struct buffer bytes;
    struct inbox_message *messages;
    uint32_t from, n; /* of messages there are [from, n) */
    uint64_t came, dropped; /* records */
    uint64_t given;         /* the last record's number among all */
    /* metadata of the messages of one poll */
    int64_t *columns[INBOX_COLUMNS];
    const void *buffers[INBOX_COLUMNS + 1][2];
    struct ArrowArray arrays[INBOX_COLUMNS], *list[INBOX_COLUMNS];
};

void inbox_open(struct inbox *b, struct lam_io *io); /* by the options of io: on.backpressure, split */
void inbox_add(struct inbox *b, const char *p, size_t n, int64_t received, uint64_t connection);
/* Gives the host what it takes. taken is called for each message that is given whole, in order; it may be NULL. */
void inbox_give(struct inbox *b, struct lam_records *out, void (*taken)(void *ctx, uint64_t connection), void *ctx);
void inbox_done(struct inbox *b);

static inline bool inbox_is_empty(const struct inbox *b)
{
    return b->from == b->n;
}
static inline bool inbox_is_full(const struct inbox *b)
{
    return b->n - b->from >= INBOX_MESSAGES || buffer_left(&b->bytes) >= INBOX_BYTES;
}
/* Whether it is of use to read more. */
static inline bool inbox_takes(const struct inbox *b)
{
    return b->drops || !inbox_is_full(b);
}

#endif
