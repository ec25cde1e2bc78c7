/* The list of connectors, and making instances of them. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector_int.h"

#include "base/text.h"

static const struct source_class *const sources[] = {&file_source, &generator_source, &mock_source,
                                                    &mock_blocking_source, &stdin_source};
static const struct sink_class *const sinks[] = {&blackhole_sink, &file_sink, &mock_sink, &mock_blocking_sink, &stdout_sink};

/* Those that were added. Readers take no lock: a link is stored when what it leads to is whole, and none is ever taken back. */
struct added {
    struct added *_Atomic next;
    const struct source_class *source;
    const struct sink_class *sink; /* one of the two */
};
static struct added *_Atomic first;

static void append(const struct source_class *source, const struct sink_class *sink)
{
    struct added *a = mem_zalloc(sizeof *a);
    a->source = source;
    a->sink = sink;
    struct added *_Atomic *at = &first;
    while (*at) at = &(*at)->next;
    *at = a;
}

void source_class_add(const struct source_class *c) { append(c, NULL); }
void sink_class_add(const struct sink_class *c) { append(NULL, c); }

/* A class with a hole would be found by a user; here it is found by the first test. */
static const struct source_class *whole_source(const struct source_class *c)
{
    INVARIANT(c->size == sizeof *c && c->name && c->sentence && c->instance_size >= sizeof(struct source) && c->options);
    INVARIANT(c->bounded && c->guess_format && c->open && c->splits && c->split_name && c->split_size && c->seek);
    INVARIANT(c->head && c->poll && c->wait && c->mark && c->ack && c->cancel && c->close);
    return c;
}

static const struct sink_class *whole_sink(const struct sink_class *c)
{
    INVARIANT(c->size == sizeof *c && c->name && c->sentence && c->instance_size >= sizeof(struct sink) && c->options);
    INVARIANT(c->guess_format && c->open && c->write_bytes && c->write_rows && c->flush && c->commit && c->abort);
    INVARIANT(c->wait && c->cancel && c->close && (c->payload == PAYLOAD_RECORDS) == !!c->write_records);
    return c;
}

const struct source_class *source_class_at(int i)
{
    if (i < (int)countof(sources)) return i < 0 ? NULL : whole_source(sources[i]);
    i -= (int)countof(sources);
    for (struct added *a = first; a; a = a->next)
        if (a->source && !i--) return whole_source(a->source);
    return NULL;
}

const struct sink_class *sink_class_at(int i)
{
    if (i < (int)countof(sinks)) return i < 0 ? NULL : whole_sink(sinks[i]);
    i -= (int)countof(sinks);
    for (struct added *a = first; a; a = a->next)
        if (a->sink && !i--) return whole_sink(a->sink);
    return NULL;
}

/* Users may write _ for - and for a dot, and any case. */
static bool same(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x = *a == '_' || *a == '.' ? '-' : *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        char y = *b == '_' || *b == '.' ? '-' : *b;
        if (x != y) return false;
        if (!x) return true;
    }
}

static bool is_called(const char *name, const char *own, const char *const *aliases)
{
    if (same(name, own)) return true;
    for (; aliases && *aliases; aliases++)
        if (same(name, *aliases)) return true;
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
    lock_init(&s->wake.lock);
    return s;
}

struct sink *sink_new(const struct sink_class *c, const struct connector_ctx *ctx)
{
    struct sink *s = mem_zalloc(c->instance_size);
    s->class = c;
    s->ctx = *ctx;
    lock_init(&s->wake.lock);
    return s;
}

void source_free(struct source *s)
{
    if (!s) return;
    lock_done(&s->wake.lock);
    mem_free(s);
}

void sink_free(struct sink *s)
{
    if (!s) return;
    lock_done(&s->wake.lock);
    mem_free(s);
}

void wake_task(struct wake *w, struct task *t)
{
    lock_take(&w->lock);
    w->task = t;
    lock_give(&w->lock);
    if (t) task_wake(t);
}

void wake_now(struct wake *w)
{
    lock_take(&w->lock);
    if (w->task) task_wake(w->task);
    lock_give(&w->lock);
}
