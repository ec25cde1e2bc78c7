/* Named defaults: what a class says that does not need a callback. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector.h"

const char *source_no_guess(const struct options *o) { return (void)o, NULL; }
bool source_always_bounded(const struct source_class *c, const struct options *o) { return (void)c, (void)o, true; }
int64_t source_size_unknown(struct source *s, int split) { return (void)s, (void)split, -1; }

int source_no_wait(struct source *s, int split, struct pollfd *fds, int max, int64_t *wake_us)
{
    (void)s, (void)split, (void)fds, (void)max;
    *wake_us = INT64_MAX;
    return 0;
}

enum status source_no_head(struct source *s, int split, char *p, size_t n, size_t *got, struct err *err)
{
    (void)s, (void)split, (void)p, (void)n, (void)err;
    *got = 0;
    return ST_OK;
}

void source_no_mark(struct source *s, int split, struct position *p) { (void)s, (void)split, (void)p; }

void source_no_ack(struct source *s, uint64_t epoch, int split, const struct position *p)
{
    (void)s, (void)epoch, (void)split, (void)p;
}

bool source_always_caught_up(struct source *s, int split) { return (void)s, (void)split, true; }

void source_no_cancel(struct source *s) { (void)s; }

enum status sink_no_commit(struct sink *s, uint64_t epoch, struct err *err)
{
    return (void)epoch, err_set(err, E_UNSUPPORTED, "sink \"%s\": %s commits no epochs", s->ctx.name, s->class->name);
}

enum status sink_no_abort(struct sink *s, struct err *err) { return (void)s, (void)err, ST_OK; }
enum status sink_no_flush(struct sink *s, struct err *err) { return (void)s, (void)err, ST_OK; }

enum status sink_not_bytes(struct sink *s, const char *p, size_t n, size_t *accepted, struct err *err)
{
    (void)p, (void)n, (void)accepted;
    return err_set(err, E_INTERNAL, "sink \"%s\": %s takes rows, not bytes", s->ctx.name, s->class->name);
}

enum status sink_not_rows(struct sink *s, const struct batch *b, uint32_t from, uint32_t *accepted, struct err *err)
{
    (void)b, (void)from, (void)accepted;
    return err_set(err, E_INTERNAL, "sink \"%s\": %s takes bytes, not rows", s->ctx.name, s->class->name);
}

int sink_no_wait(struct sink *s, struct pollfd *fds, int max, int64_t *wake_us)
{
    (void)s, (void)fds, (void)max;
    *wake_us = INT64_MAX;
    return 0;
}

void sink_no_cancel(struct sink *s) { (void)s; }
