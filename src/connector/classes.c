/* The list of connectors, and making instances of them. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"

#include "base/text.h"

static const struct source_class *const sources[] = {&file_source, &generator_source, &mock_source,
                                                    &mock_blocking_source, &stdin_source};
static const struct sink_class *const sinks[] = {&blackhole_sink, &file_sink, &mock_sink, &mock_blocking_sink, &stdout_sink};

/* A class with a hole would be found by a user; here it is found by the first test. */
static const struct source_class *whole_source(const struct source_class *c)
{
    INVARIANT(c->size == sizeof *c && c->name && c->instance_size >= sizeof(struct source) && c->options);
    INVARIANT(c->bounded && c->guess_format && c->open && c->splits && c->split_name && c->split_size && c->seek);
    INVARIANT(c->head && c->poll && c->wait && c->mark && c->ack && c->cancel && c->close);
    return c;
}

static const struct sink_class *whole_sink(const struct sink_class *c)
{
    INVARIANT(c->size == sizeof *c && c->name && c->instance_size >= sizeof(struct sink) && c->options);
    INVARIANT(c->guess_format && c->open && c->write_bytes && c->write_rows && c->flush && c->commit && c->abort);
    INVARIANT(c->wait && c->cancel && c->close);
    return c;
}

const struct source_class *source_class_at(int i)
{
    return i >= 0 && i < (int)countof(sources) ? whole_source(sources[i]) : NULL;
}

const struct sink_class *sink_class_at(int i) { return i >= 0 && i < (int)countof(sinks) ? whole_sink(sinks[i]) : NULL; }

static bool is_called(const char *name, const char *own, const char *const *aliases)
{
    if (!text_casecmp(name, own)) return true;
    for (; aliases && *aliases; aliases++)
        if (!text_casecmp(name, *aliases)) return true;
    return false;
}

const struct source_class *source_find(const char *name)
{
    const struct source_class *c;
    for (int i = 0; (c = source_class_at(i)); i++)
        if (is_called(name, c->name, c->aliases)) return c;
    return NULL;
}

const struct sink_class *sink_find(const char *name)
{
    const struct sink_class *c;
    for (int i = 0; (c = sink_class_at(i)); i++)
        if (is_called(name, c->name, c->aliases)) return c;
    return NULL;
}

struct source *source_new(const struct source_class *c, const struct connector_ctx *ctx)
{
    struct source *s = mem_zalloc(c->instance_size);
    s->class = c;
    s->ctx = *ctx;
    return s;
}

struct sink *sink_new(const struct sink_class *c, const struct connector_ctx *ctx)
{
    struct sink *s = mem_zalloc(c->instance_size);
    s->class = c;
    s->ctx = *ctx;
    return s;
}

void source_free(struct source *s) { mem_free(s); }
void sink_free(struct sink *s) { mem_free(s); }
