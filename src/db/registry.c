/* What the planner may know of connectors and formats, made from their classes. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector.h"
#include "db/db_int.h"

/* Descriptions are made once per class. */
static struct description {
    struct description *next;
    const void *class;
    struct connector_info connector;
    struct format_info format;
} *describe(struct lam_db *db, const void *class)
{
    struct description *d = db->descriptions;
    while (d && d->class != class) d = d->next;
    if (d) return d;
    d = arena_alloc(db->arena, sizeof *d);
    d->class = class;
    d->next = db->descriptions;
    return db->descriptions = d;
}

const struct connector_info *registry_source(struct lam_db *db, const char *name)
{
    const struct source_class *c = source_find(name);
    if (!c) return NULL;
    struct connector_info *i = &describe(db, c)->connector;
    *i = (struct connector_info){.name = c->name,
                                 .is_bytes = c->payload == PAYLOAD_BYTES,
                                 .replayable = c->replayable,
                                 .options = c->options,
                                 .bounded = c->bounded,
                                 .default_format = c->default_format,
                                 .guess_format = c->guess_format,
                                 .class = c};
    return i;
}

const struct connector_info *registry_sink(struct lam_db *db, const char *name)
{
    const struct sink_class *c = sink_find(name);
    if (!c) return NULL;
    struct connector_info *i = &describe(db, c)->connector;
    *i = (struct connector_info){.name = c->name,
                                 .is_bytes = c->payload == PAYLOAD_BYTES,
                                 .changelog = c->changelog,
                                 .cancels = c->cancel != sink_no_cancel,
                                 .options = c->options,
                                 .default_format = c->default_format,
                                 .guess_format = c->guess_format,
                                 .class = c};
    return i;
}

const struct format_info *registry_decoder(struct lam_db *db, const char *name)
{
    const struct decoder_class *c = decoder_find(name);
    if (!c) return NULL;
    struct format_info *i = &describe(db, c)->format;
    *i = (struct format_info){c->name, c->options, c};
    return i;
}

const struct format_info *registry_encoder(struct lam_db *db, const char *name)
{
    const struct encoder_class *c = encoder_find(name);
    if (!c) return NULL;
    struct format_info *i = &describe(db, c)->format;
    *i = (struct format_info){c->name, c->options, c};
    return i;
}

const char *registry_connector_name(const void *ctx, int i)
{
    (void)ctx;
    int sources = 0;
    while (source_class_at(sources)) sources++;
    if (i < sources) return source_class_at(i)->name;
    const struct sink_class *c = sink_class_at(i - sources);
    return c ? c->name : NULL;
}
