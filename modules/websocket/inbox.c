/* See inbox.h. SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

#include <string.h>

#define FEW (2 * INBOX_MESSAGES) /* messages: what is read at once may go beyond the bound */

const struct lam_metadata inbox_columns[INBOX_COLUMNS] = {
    [INBOX_RECEIVED] = {.name = "_received", .type = "TIMESTAMPTZ", .sentence = "When the message had come whole."},
    [INBOX_CONNECTION] = {.name = "_connection",
                          .type = "BIGINT",
                          .sentence = "Number of the connection it came by, counted from 1 as they were made."},
};

static int64_t footprint(void)
{
    return FEW * (int64_t)(sizeof(struct inbox_message) + INBOX_COLUMNS * sizeof(int64_t));
}

void inbox_open(struct inbox *b, struct lam_io *io)
{
    b->io = io;
    b->drops = io->host->option_int(io->options, "on.backpressure");
    b->lines = io->host->option_int(io->options, "split");
    b->messages = io->host->alloc(FEW * sizeof *b->messages);
    for (int i = 0; i < INBOX_COLUMNS; i++) b->columns[i] = io->host->alloc(FEW * sizeof *b->columns[i]);
    io->host->account(io, footprint());
}

void inbox_done(struct inbox *b)
{
    if (!b->io) return;
    buffer_done(&b->bytes, b->io);
    b->io->host->free(b->messages);
    for (int i = 0; i < INBOX_COLUMNS; i++) b->io->host->free(b->columns[i]);
    b->io->host->account(b->io, -footprint());
}

static void drop(struct inbox *b, uint64_t records)
{
    uint64_t was = b->dropped;
    b->dropped += records;
    if ((was ^ b->dropped) <= was) return; /* 1, 2, 4, 8 ... */
    b->io->host->log(b->io, 1, "%llu of %llu messages were dropped so far: they come faster than they are taken",
                     (unsigned long long)b->dropped, (unsigned long long)b->came);
}

/* The length of the first record of p[0..n), which begins there; *used: where the next begins. False: it is a blank line. */
static bool first_record(const struct inbox *b, const char *p, size_t n, size_t *length, size_t *used)
{
    const char *newline = b->lines && n ? memchr(p, '\n', n) : NULL;
    *length = newline ? (size_t)(newline - p) : n;
    *used = newline ? *length + 1 : n;
    return !b->lines || (*length && !(*length == 1 && *p == '\r'));
}

static uint64_t count_records(const struct inbox *b, const char *p, size_t n)
{
    uint64_t records = !b->lines;
    for (size_t length, used; b->lines && n; p += used, n -= used) records += first_record(b, p, n, &length, &used);
    return records;
}

/* A message is kept whole, however many records it holds: only what is given is taken apart. */
void inbox_add(struct inbox *b, const char *p, size_t n, int64_t received, uint64_t connection)
{
    uint64_t records = count_records(b, p, n);
    b->came += records;
    if (b->from == b->n) b->from = b->n = 0;
    if (b->n == FEW && b->from) {
        memmove(b->messages, b->messages + b->from, (b->n - b->from) * sizeof *b->messages);
        b->n -= b->from;
        b->from = 0;
    }
    if ((b->drops && inbox_is_full(b)) || b->n == FEW) {
        drop(b, records);
        return;
    }
    buffer_put(&b->bytes, b->io, p, n);
    b->messages[b->n++] = (struct inbox_message){n, received, connection};
}

static void stays(struct ArrowArray *a)
{
    a->release = NULL;
}

static void give_metadata(struct inbox *b, struct lam_records *out)
{
    const struct ArrowSchema *want = b->io->metadata;
    if (!want->n_children || !out->n) return;
    for (int64_t i = 0; i < want->n_children; i++) {
        int what = 0;
        while (strcmp(inbox_columns[what].name, want->children[i]->name)) what++;
        b->buffers[i][0] = NULL;
        b->buffers[i][1] = b->columns[what];
        b->arrays[i] =
            (struct ArrowArray){.length = out->n, .n_buffers = 2, .buffers = b->buffers[i], .release = stays};
        b->list[i] = &b->arrays[i];
    }
    b->buffers[INBOX_COLUMNS][0] = NULL;
    out->metadata = (struct ArrowArray){.length = out->n,
                                        .n_buffers = 1,
                                        .buffers = b->buffers[INBOX_COLUMNS],
                                        .n_children = want->n_children,
                                        .children = b->list,
                                        .release = stays};
}

void inbox_give(struct inbox *b, struct lam_records *out, void (*taken)(void *ctx, uint64_t connection), void *ctx)
{
    bool more = out->n < out->max;
    while (more && b->from < b->n && out->n < FEW) {
        struct inbox_message *m = &b->messages[b->from];
        const char *p = m->n ? b->bytes.p + b->bytes.from : "";
        size_t length, used;
        if (first_record(b, p, m->n, &length, &used)) {
            struct lam_position after = {.offset = (int64_t)++b->given};
            b->columns[INBOX_RECEIVED][out->n] = m->received;
            b->columns[INBOX_CONNECTION][out->n] = (int64_t)m->connection;
            more = b->io->host->record(out, p, length, &after);
        }
        buffer_take(&b->bytes, used);
        m->n -= used;
        if (m->n) continue;
        b->from++;
        if (taken) taken(ctx, m->connection);
    }
    give_metadata(b, out);
}
