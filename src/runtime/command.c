/* The control lane of a deliver task: settings and commands. A command is posted, obeyed between two calls of the connector
 * whatever waits in the log, and answered; who waits for the answer may give up, the command stays.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/deliver_int.h"

static void change(struct sink_settings *s, const struct options *o)
{
    const struct {
        const char *name;
        uint64_t *n;
        int64_t *us;
    } fields[] = {
        {"batch.rows", &s->batch_rows, NULL},    {"batch.bytes", &s->batch_bytes, NULL},
        {"retry.limit", &s->retry_limit, NULL},  {"flush.interval", NULL, &s->flush_us},
        {"retry.first", NULL, &s->retry_first_us}, {"retry.max", NULL, &s->retry_most_us},
        {"write.timeout", NULL, &s->write_us},   {"open.timeout", NULL, &s->open_us},
    };
    for (size_t i = 0; i < countof(fields); i++) {
        const struct option_value *v = options_get(o, fields[i].name);
        if (!v->text) continue;
        if (fields[i].n)
            *fields[i].n = (uint64_t)v->i;
        else
            *fields[i].us = v->i;
    }
    static const enum cursor_policy policies[] = {
        [OVERFLOW_BLOCK] = CURSOR_BLOCK, [OVERFLOW_SPILL] = CURSOR_SPILL, [OVERFLOW_DROP_OLDEST] = CURSOR_DROP_OLDEST, [OVERFLOW_ERROR] = CURSOR_ERROR};
    if (options_has(o, "overflow")) s->overflow = policies[options_int(o, "overflow")];
}

struct sink_settings settings_of(const struct object *sink, bool spills)
{
    const struct sink_class *c = sink->connector->class;
    struct sink_settings s = {.flush_us = c->flush_us, .overflow = spills ? CURSOR_SPILL : CURSOR_BLOCK};
    change(&s, sink->options);
    return s;
}

static void unref(struct command *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1) mem_free(c);
}

/* false: it is over. */
static bool post(struct deliver *d, struct command *c, const struct options *set)
{
    lock_take(&d->lock);
    bool over = d->over;
    if (!over) {
        c->set = d->set;
        if (set) change(&c->set, set);
        struct command **last = &d->commands;
        while (*last) last = &(*last)->next;
        *last = c;
        atomic_store(&d->called, true);
    }
    lock_give(&d->lock);
    if (!over) task_wake(&d->task);
    return !over;
}

struct command *command_take(struct deliver *d)
{
    if (!atomic_load(&d->called)) return NULL;
    lock_take(&d->lock);
    struct command *c = d->commands;
    if (c) d->commands = c->next;
    if (!d->commands) atomic_store(&d->called, false);
    lock_give(&d->lock);
    return c;
}

void command_answer(struct command *c, struct runtime *rt)
{
    atomic_store(&c->done, true);
    unref(c);
    bell_ring(&rt->control);
}

static enum status ended(struct deliver *d, struct err *err)
{
    return err_set(err, E_MISUSE, "sink \"%s\" has ended", d->object->name);
}

void command_refuse_all(struct deliver *d)
{
    lock_take(&d->lock);
    d->over = true;
    lock_give(&d->lock);
    for (struct command *c; (c = command_take(d)); command_answer(c, d->rt)) c->st = ended(d, &c->err);
}

static bool is_done(void *ctx) { return atomic_load(&((struct command *)ctx)->done); }

enum status deliver_command(struct deliver *d, enum sink_command what, const struct options *set, int64_t timeout_us,
                            struct err *err)
{
    struct command *c = mem_zalloc(sizeof *c);
    c->what = what;
    atomic_store(&c->refs, 2);
    if (!post(d, c, set)) {
        mem_free(c);
        return ended(d, err);
    }
    enum status st;
    if (runtime_wait(d->rt, is_done, c, timeout_us)) {
        st = c->st;
        if (st && err) *err = c->err;
    } else {
        st = err_set(err, E_TIMEOUT, "sink \"%s\" is in a call of its system that has not come back; the command is obeyed when it does",
                     d->object->name);
    }
    unref(c);
    return st;
}
