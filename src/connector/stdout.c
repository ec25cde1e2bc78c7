/* The stdout sink: bytes to descriptor 1, in pieces that a pipe takes without waiting.
 *
 * After POLLOUT a pipe takes PIPE_BUF bytes at once; a larger piece could wait for a reader that has stopped and hold up
 * every other task of the thread. A regular file never waits and is written in one go.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"

#include <limits.h>

struct stdout_sink {
    struct sink sink;
    struct file *file;
    size_t piece;
};

static struct stdout_sink *self(struct sink *s) { return container_of(s, struct stdout_sink, sink); }

static enum status sink_open(struct sink *s, uint64_t incarnation, uint64_t *marker, bool *fresh, struct err *err)
{
    (void)incarnation;
    struct stdout_sink *f = self(s);
    *marker = 0;
    *fresh = true;
    f->file = file_of_fd(1);
    struct file_info info;
    TRY(file_info(f->file, &info, err));
    f->piece = info.is_regular ? SIZE_MAX : PIPE_BUF;
    return ST_OK;
}

static enum status sink_write(struct sink *s, const char *p, size_t n, size_t *accepted, struct err *err)
{
    struct stdout_sink *f = self(s);
    for (*accepted = 0; *accepted < n;) {
        if (!file_ready(f->file, POLLOUT)) return ST_WAIT;
        size_t m = n - *accepted < f->piece ? n - *accepted : f->piece;
        enum status st = file_write(f->file, p + *accepted, m, err);
        if (st) return st; /* ST_CLOSED: whoever read has gone */
        *accepted += m;
    }
    return ST_OK;
}

static int sink_wait(struct sink *s, struct pollfd *fds, int max, int64_t *wake_us)
{
    *wake_us = INT64_MAX;
    if (max < 1) return 0;
    fds[0] = (struct pollfd){self(s)->file->fd, POLLOUT, 0};
    return 1;
}

static enum status sink_close(struct sink *s, bool complete, struct err *err)
{
    (void)complete;
    struct file *file = TAKE(self(s)->file);
    return file ? file_close(file, err) : ST_OK;
}

static const struct option_spec options[] = {{0}};

const struct sink_class stdout_sink = {
    .size = sizeof(struct sink_class),
    .name = "stdout",
    .sentence = "Writes to the standard output.",
    .instance_size = sizeof(struct stdout_sink),
    .payload = PAYLOAD_BYTES,
    .options = options,
    .guarantee = AT_LEAST_ONCE,
    .changelog = true,
    .flush_us = 0,
    .default_format = "csv",
    .guess_format = source_no_guess,
    .open = sink_open,
    .write_bytes = sink_write,
    .write_rows = sink_not_rows,
    .flush = sink_no_flush,
    .commit = sink_no_commit,
    .abort = sink_no_abort,
    .wait = sink_wait,
    .cancel = sink_no_cancel,
    .close = sink_close,
};
