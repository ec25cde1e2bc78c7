/* The stdin source: one split, read as it comes, ended by the end of the input.
 *
 * Descriptor 0 is shared with the process and stays in the mode it has: a read is made only when it would not wait. Two
 * readers would tear each other's records, so the second is refused. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"
#include "format/format.h"

#include <stdatomic.h>

#define CHUNK (256 << 10)

struct stdin_source {
    struct source source;
    struct file *file;
    char *room; /* headroom, chunk, padding */
    bool ended;
};

static _Atomic bool taken; /* by the one instance that is open; exchanged with acquire and release */

static struct stdin_source *self(struct source *s) { return container_of(s, struct stdin_source, source); }

static enum status source_open(struct source *s, struct err *err)
{
    if (atomic_exchange(&taken, true)) {
        err_set(err, E_MISUSE, "source \"%s\": stdin is being read already", s->ctx.name);
        err_hint(err, "begin all streams over stdin in one script, so that they share one reader");
        return E_MISUSE;
    }
    struct stdin_source *f = self(s);
    f->file = file_of_fd(0);
    f->room = mem_aligned(64, PAYLOAD_HEADROOM + CHUNK + FORMAT_PADDING);
    account_force(s->ctx.account, CHUNK);
    return ST_OK;
}

static int source_splits(struct source *s) { return (void)s, 1; }
static const char *split_name(struct source *s, int split) { return (void)s, (void)split, "stdin"; }

static enum status source_seek(struct source *s, int split, const struct position *at, struct err *err)
{
    (void)split;
    if (!at || !at->offset) return ST_OK;
    return err_set(err, E_READ, "source \"%s\": stdin cannot be read again from byte %lld", s->ctx.name,
                   (long long)at->offset);
}

static enum status source_poll(struct source *s, int split, int64_t now_us, struct payload *out, struct err *err)
{
    (void)split, (void)now_us;
    struct stdin_source *f = self(s);
    if (f->ended) return ST_DONE;
    if (!file_ready(f->file, POLLIN)) return ST_WAIT;
    char *to = f->room + PAYLOAD_HEADROOM;
    size_t got;
    TRY(file_read(f->file, to, CHUNK, &got, err));
    f->ended = !got;
    if (f->ended) return ST_DONE;
    memset(to + got, 0, FORMAT_PADDING);
    out->p = to;
    out->n = got;
    return ST_OK;
}

static int source_wait(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us)
{
    (void)split;
    *wake_us = INT64_MAX;
    if (max < 1) return 0;
    fds[0] = (struct pollfd){self(s)->file->fd, POLLIN, 0};
    return 1;
}

static void source_close(struct source *s)
{
    struct stdin_source *f = self(s);
    if (!f->file) return;
    file_close(TAKE(f->file), NULL);
    account_release(s->ctx.account, CHUNK);
    mem_free(TAKE(f->room));
    atomic_store(&taken, false);
}

static const struct option_spec options[] = {{0}};

const struct source_class stdin_source = {
    .size = sizeof(struct source_class),
    .name = "stdin",
    .sentence = "Reads the standard input to its end.",
    .instance_size = sizeof(struct stdin_source),
    .payload = PAYLOAD_BYTES,
    .options = options,
    .bounded = source_always_bounded,
    .default_format = "csv",
    .guess_format = source_no_guess,
    .open = source_open,
    .splits = source_splits,
    .split_name = split_name,
    .split_size = source_size_unknown,
    .seek = source_seek,
    .head = source_no_head,
    .poll = source_poll,
    .wait = source_wait,
    .mark = source_no_mark,
    .ack = source_no_ack,
    .caught_up = source_always_caught_up,
    .cancel = source_no_cancel,
    .close = source_close,
};
