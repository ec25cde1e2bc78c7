/* What the catalog holds: descriptions of sources, streams and sinks. They know connectors and formats by their
 * descriptions only; db fills those from the classes. Everything lives in an arena of its own per object; objects are
 * immutable once registered. SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_CATALOG_H
#define PLAN_CATALOG_H

#include "arrow/type.h"
#include "base/option.h"
#include "sql/tree.h"

struct source_class; /* its own business */

struct connector_info {
    const char *name;
    bool is_bytes; /* needs a format */
    bool is_records; /* is_bytes, and values come one by one */
    const struct schema *metadata; /* is_records: columns that are the connector's and not the value's; or NULL */
    bool replayable;
    bool changelog; /* a sink that takes rows of weight -1 */
    bool cancels;   /* a sink whose calls can be given a deadline */
    int guarantee;  /* a sink: the best it can give, as in `guarantees` */
    const struct option_spec *options;
    bool (*bounded)(const struct source_class *class, const struct options *o);
    const char *default_format;
    const char *(*guess_format)(const struct options *o);
    const void *class; /* struct source_class or sink_class, for the runtime */
};
struct format_info {
    const char *name;
    bool bytes, records; /* what it can do: a run of bytes, values one by one */
    const struct option_spec *options;
    const void *class; /* struct decoder_class or encoder_class */
};

enum stream_kind { STREAM_APPEND, STREAM_UPSERT, STREAM_CHANGELOG };
enum watermark_kind { WATERMARK_NONE, WATERMARK_BOUNDED };

struct plan;

enum object_kind { OBJECT_SOURCE, OBJECT_STREAM, OBJECT_SINK };
struct object {
    enum object_kind kind;
    const char *name;
    uint64_t id;                /* never reused in this database */
    struct arena *arena;        /* owns all of the object */
    const char *sql;            /* its CREATE statement, secrets masked */
    struct schema *schema;      /* source, stream: columns. sink: of what it is given */
    const struct object **uses; /* objects named in its definition */
    int nuses;

    /* OBJECT_SOURCE */
    const struct connector_info *connector; /* NULL for a source: pushed by the program. A sink has one. */
    const struct format_info *format;       /* or NULL */
    struct options *options;                /* connector's, format's and the common ones */
    enum watermark_kind watermark;
    int64_t delay_us;
    bool bounded; /* it ends */
    /* OBJECT_STREAM, OBJECT_SINK: what it computes; for a sink FROM and WHERE */
    struct plan *plan;
    int64_t history;    /* OBJECT_STREAM: bytes kept for AS OF EPOCH; 0: none */
    bool declared_only; /* CREATE STREAM t (columns): fed by dead letters */
    const struct object *dead_letter; /* SOURCE, SINK: the declared stream that gets what cannot be taken; NULL: none. Also the
                                         last of uses. */
};

enum overflow { OVERFLOW_BLOCK, OVERFLOW_SPILL, OVERFLOW_DROP_OLDEST, OVERFLOW_ERROR }; /* a sink's, the index of its values */
#define ON_ERROR_OPTION_DEAD_LETTER 3 /* a source's on_error, the index of its values */

/* Options every source, stream and sink has besides its connector's and format's. */
extern const struct option_spec source_options[]; /* on_error, late, idle.timeout, record.max, batch.rows, ... */
extern const struct option_spec sink_options[];   /* format, batch.rows, batch.bytes, flush.interval, changelog */

/* A view of the catalog the binder works on; db implements it. */
struct catalog {
    const struct object *(*find)(void *ctx, const char *name);
    const char *(*name)(const void *ctx, int i); /* all names, for nearest */
    const struct connector_info *(*source)(void *ctx, const char *name);
    const struct connector_info *(*sink)(void *ctx, const char *name);
    const char *(*connector_name)(const void *ctx, int i);
    const struct format_info *(*format_in)(void *ctx, const char *name);
    const struct format_info *(*format_out)(void *ctx, const char *name);
    const char *(*format_name)(const void *ctx, int i);
    void *ctx;
    bool spills; /* there is a folder to spill into */
};

#endif
