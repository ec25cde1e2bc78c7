/* The rows written last, for subscriptions that begin in the past; bounded by bytes. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_HISTORY_H
#define WEBSOCKET_HISTORY_H

#include <laminar_connector.h>

struct written { /* rows one after another, up to some hundreds */
    struct lam_kept *rows;
    uint64_t sequence, end; /* of the first row, and behind the last */
    uint64_t bytes, frame_bytes;
};

struct history {
    struct written *ring; /* cap is a power of two */
    uint32_t head, n, cap;
    uint64_t bytes;
};

/* The first n rows of a write. frame_bytes: of the frames that they became; the larger of that and what the rows hold is counted. */
void history_add(struct history *h, struct lam_io *io, const struct lam_rows *rows, int64_t n, uint64_t sequence,
                 uint64_t frame_bytes, uint64_t max);
void history_done(struct history *h, struct lam_io *io);

static inline struct written *history_at(const struct history *h, uint32_t i)
{
    return &h->ring[(h->head + i) & (h->cap - 1)];
}

#endif
