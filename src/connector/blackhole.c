/* The blackhole sink: takes every row and keeps none; what it took is counted by whoever delivers, as for any sink.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"

static enum status sink_open(struct sink *s, uint64_t incarnation, uint64_t *marker, bool *fresh, struct err *err)
{
    (void)s, (void)incarnation, (void)err;
    *marker = 0;
    *fresh = true;
    return ST_OK;
}

static enum status sink_write(struct sink *s, const struct batch *b, uint32_t from, uint32_t *accepted, struct err *err)
{
    (void)s, (void)err;
    *accepted = b->rows - from;
    return ST_OK;
}

static enum status sink_close(struct sink *s, bool complete, struct err *err)
{
    return (void)s, (void)complete, (void)err, ST_OK;
}

static const struct option_spec options[] = {{0}};

const struct sink_class blackhole_sink = {
    .size = sizeof(struct sink_class),
    .name = "blackhole",
    .aliases = (const char *const[]){"null", NULL},
    .sentence = "Keeps no row.",
    .instance_size = sizeof(struct sink),
    .payload = PAYLOAD_COLUMNS,
    .options = options,
    .guarantee = AT_LEAST_ONCE,
    .changelog = true,
    .guess_format = source_no_guess,
    .open = sink_open,
    .write_bytes = sink_not_bytes,
    .write_rows = sink_write,
    .flush = sink_no_flush,
    .commit = sink_no_commit,
    .abort = sink_no_abort,
    .wait = sink_no_wait,
    .cancel = sink_no_cancel,
    .close = sink_close,
};
