/* A feed: one producer, one consumer, and what does not fit is dropped, the oldest first. It hands batches to a subscriber
 * that must never hold its stream up.
 *
 * Slots are atomic pointers to items. Whoever gets a pointer by an exchange with NULL owns the item: the consumer to deliver
 * it, the producer to drop it. So no side waits for the other, and none frees what the other looks at. Positions run
 * freely and are masked; `tail` is written by the producer only, after the slot.
 *
 * NULL at a position before the tail: the producer dropped it. An item with a higher position than expected: the producer
 * dropped that position and has come round, between the consumer's look at the tail and its exchange. The consumer then
 * puts the item aside (the pocket) and goes on at the oldest position that can still be there, so it always delivers in
 * order. Items put aside have rising positions, and each left its slot once in a lap, so the pocket holds at most a lap.
 *
 * What holds behind the last item (watermark, epoch, idleness, the end) is said beside the slots, the newest only: no
 * number of watermarks can push rows out. The consumer reads what was said before it reads the tail; when all up to that tail
 * is taken, nothing that was said can be ahead of a row.
 *
 * Items are recycled: the consumer gives them back on a stack that the producer takes whole, so a warm feed does not call
 * malloc. models/feed.pml checks all this and shows that each step is needed. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FEED_H
#define BASE_FEED_H

#include "base/status.h"

#include <stdatomic.h>

/* What holds at a place of the stream. */
struct feed_mark {
    int64_t watermark;
    uint64_t epoch;  /* of the last barrier before it */
    uint64_t rows, batches; /* offered before it, dropped ones too: how a gap is seen */
    uint32_t end;    /* END_* of ring.h; 0: it goes on */
    bool idle;
};

struct feed_item {
    void *batch; /* a reference */
    uint32_t rows, bytes;
    struct feed_mark mark;
    /* the feed's */
    uint64_t at;
    struct feed_item *next;
};

struct feed;
/* slots: a power of two. A batch is refused while the bytes inside reach bytes_max. */
struct feed *feed_new(uint32_t slots, int64_t bytes_max);
void feed_free(struct feed *f); /* all was taken */

/* Producer. */
bool feed_has_room(struct feed *f);
/* Takes the oldest item out; false: none is left. */
bool feed_drop(struct feed *f, struct feed_item *out);
/* With room, or after all was dropped. */
void feed_put(struct feed *f, const struct feed_item *item);
void feed_say(struct feed *f, const struct feed_mark *m);

/* Consumer: the oldest item. false: all was taken. */
bool feed_take(struct feed *f, struct feed_item *out);
/* What was said last. false: there are items to be taken before it. */
bool feed_said(struct feed *f, struct feed_mark *out);

#endif
