/* Deliver tasks: one per sink, owning its connector alone and reading its cursor in an outlet's log. Rows are written as they
 * come (offer.c) and flushed by a deadline that the first unflushed row arms. Each call of the connector has a deadline
 * (call.c); commands are obeyed between two calls (command.c).
 *
 * What fails in passing (ST_RETRY, E_CONNECT, a deadline) is tried again after growing pauses: RETRYING. What an operator must
 * look at is BLOCKED: the sink keeps its place until ALTER SINK ... RETRY or SKIP, or until it is dropped.
 * SPDX-License-Identifier: Apache-2.0 */
#include "runtime/deliver_int.h"

#include <stdio.h>

static void be(struct deliver *d, enum sink_state state)
{
    if (atomic_exchange(&d->state, (int)state) == (int)state) return;
    atomic_store(&d->since_us, env_wall_us(d->rt->env));
    bell_ring(&d->rt->control);
}

void deliver_note(struct deliver *d, const struct err *err)
{
    struct err named = *err;
    snprintf(named.text, sizeof named.text, "sink \"%.80s\": %.380s", d->object->name, err->text);
    lock_take(&d->lock);
    d->err = named;
    lock_give(&d->lock);
    note_write(&d->last_error, named.text);
    atomic_store(&d->last_error_us, env_wall_us(d->rt->env));
}

/* ---- the instance ------------------------------------------------------------------------------------------------- */

static void put_instance(struct deliver *d, struct sink *s)
{
    lock_take(&d->lock);
    struct sink *old = d->sink;
    d->sink = s;
    lock_give(&d->lock);
    if (!old) return;
    wake_task(&old->wake, NULL);
    sink_free(old);
}

static enum status close_instance(struct deliver *d, bool complete, struct err *err)
{
    d->opened = d->stale = false;
    if (!d->sink) return ST_OK;
    call_begin(d, CALL_CLOSE);
    enum status st = call_end(d, d->class->close(d->sink, complete, err), true, err);
    put_instance(d, NULL);
    return st;
}

static struct sink *new_instance(struct deliver *d)
{
    struct connector_ctx ctx = {.env = d->rt->env,
                                .account = d->rt->account,
                                .options = d->object->options,
                                .schema = d->object->schema,
                                .declared = d->object->schema,
                                .name = d->object->name,
                                .seed = d->rt->cfg.seed,
                                .encoder = d->object->format ? d->object->format->class : NULL,
                                .changelog = record_style(d->object, d->class),
                                .memo = d->memo,
                                .log = d->rt->cfg.log,
                                .log_ctx = d->rt->cfg.log_ctx};
    return sink_new(d->class, &ctx);
}

static enum status open_instance(struct deliver *d, struct err *err)
{
    if (d->opened) return ST_OK;
    uint64_t marker = 0;
    bool fresh = true;
    if (!d->sink) {
        put_instance(d, new_instance(d));
        wake_task(&d->sink->wake, &d->task);
    }
    call_begin(d, CALL_OPEN);
    enum status st = call_end(d, d->class->open(d->sink, 1, &marker, &fresh, err), false, err);
    if (st == ST_WAIT) return st;
    if (!st) st = offer_begin(d, fresh, err);
    if (st) {
        close_instance(d, false, NULL);
        d->last = CALL_OPEN;
        return st;
    }
    d->opened = true;
    return ST_OK;
}

/* ---- ends ------------------------------------------------------------------------------------------------------------ */

static void break_with(struct deliver *d, struct err *err)
{
    /* To who waits, E_TIMEOUT means their own, and ST_RETRY nothing. */
    if (err->code == E_TIMEOUT || err->code < 0) err->code = d->last == CALL_OPEN ? E_CONNECT : E_WRITE;
    add(&d->write_errors, 1);
    deliver_note(d, err);
    runtime_log(d->rt, 0, "%s", d->err.text);
    atomic_store(&d->broken, true);
}

static enum step finish(struct deliver *d)
{
    uint64_t left = offer_held(d);
    if (left) {
        runtime_log(d->rt, 1, "sink \"%s\": %llu rows were not delivered and are dropped", d->object->name, (unsigned long long)left);
        struct cursor_stats at;
        cursor_stats(d->cursor, &at);
        add(&d->passed, at.lag_rows);
        add(&d->dropped, left);
    }
    if (d->cursor) cursor_close(d->cursor);
    command_refuse_all(d);
    offer_done(d);
    d->blocked = false;
    be(d, SINK_CLOSED);
    ack_look(d->rt);
    if (d->has_watch) task_wake(&d->watch);
    return STEP_DONE;
}

static enum step give_up(struct deliver *d)
{
    struct err ignored;
    close_instance(d, false, &ignored);
    offer_unsettle(d);
    return finish(d);
}

static enum step end(struct deliver *d, bool complete)
{
    struct err err = {.pos = NO_POS};
    enum status st = close_instance(d, complete, &err);
    if (st) {
        if (!err.code) err_set(&err, E_WRITE, "closing failed");
        break_with(d, &err);
    }
    atomic_store(&d->all_out, !st && complete && !offer_held(d));
    return finish(d);
}

/* ---- what becomes of a failure ------------------------------------------------------------------------------------------ */

static enum step block(struct deliver *d, struct err *err)
{
    if (!err->text[0]) err_set(err, err->code ? err->code : E_WRITE, "the connector failed");
    break_with(d, err);
    if (atomic_load(&d->leaving)) return give_up(d);
    d->blocked = true;
    d->stale = d->sink && d->keeps;
    be(d, SINK_BLOCKED);
    ack_look(d->rt);
    return STEP_WAIT;
}

/* Half of the pause is fixed, half is drawn: sinks of one system do not come back all at once. */
static int64_t pause_of(struct deliver *d)
{
    int64_t us = d->set.retry_first_us;
    for (uint32_t i = 1; i < d->tries && us < d->set.retry_most_us; i++) us *= 2;
    if (us > d->set.retry_most_us) us = d->set.retry_most_us;
    return us - us / 2 + (int64_t)(env_random(d->rt->env) % (uint64_t)(us / 2 + 1));
}

static enum step try_later(struct deliver *d, struct err *err, bool anew, int64_t now, int64_t *wake_us)
{
    if (d->pos != d->tried_at) d->tries = 0;
    d->tried_at = d->pos;
    if (d->set.retry_limit && d->tries >= d->set.retry_limit) return block(d, err);
    d->tries++;
    add(&d->retries, 1);
    add(&d->write_errors, 1);
    if (err->text[0]) deliver_note(d, err);
    if (d->tries == 1 && d->last == CALL_OPEN && err->text[0]) runtime_log(d->rt, 1, "%s; it is tried again", d->err.text); /* once an outage */
    d->stale = anew && d->sink && d->keeps;
    *wake_us = d->retry_at = now + pause_of(d);
    be(d, SINK_RETRYING);
    return STEP_WAIT;
}

static enum step wait_for_letters(struct deliver *d, int64_t now, int64_t *wake_us)
{
    *wake_us = d->retry_at = now + LETTER_PAUSE_US;
    be(d, SINK_RETRYING);
    return STEP_WAIT;
}

static enum step wait_for_connector(struct deliver *d, int64_t *wake_us)
{
    int64_t at = INT64_MAX;
    d->class->wait(d->sink, NULL, 0, &at);
    if (at < *wake_us) *wake_us = at;
    struct err never;
    call_overdue(d, INT64_MIN, wake_us, &never); /* its deadline */
    return STEP_WAIT;
}

/* Nothing is under way, but a server has its clients. */
static enum step rest(struct deliver *d, int64_t *wake_us)
{
    int64_t at = INT64_MAX;
    if (d->class->serve && d->opened) d->class->wait(d->sink, NULL, 0, &at);
    if (at < *wake_us) *wake_us = at;
    return STEP_WAIT;
}

/* ---- the step ------------------------------------------------------------------------------------------------------------ */

static enum status go_on(struct deliver *d, int64_t now, int64_t *wake_us, struct err *err)
{
    TRY(call_overdue(d, now, wake_us, err));
    if (d->stale) {
        close_instance(d, false, NULL);
        offer_rewind(d);
    }
    if (d->paused && !d->opened) return ST_OK;
    TRY(open_instance(d, err));
    if (d->class->serve) TRY(d->class->serve(d->sink, err));
    enum status st = d->paused ? ST_OK : offer_write(d, err);
    if (st && st != ST_FULL) return st; /* dead letters without room hold up no row that was written */
    TRY(offer_flush(d, now, d->paused, wake_us, err));
    return st;
}

static enum step judge(struct deliver *d, enum status st, struct err *err, int64_t now, int64_t *wake_us)
{
    switch (st) {
    case ST_OK: break;
    case ST_WAIT: return wait_for_connector(d, wake_us);
    case ST_FULL: return wait_for_letters(d, now, wake_us);
    case ST_RETRY: return try_later(d, err, false, now, wake_us);
    case ST_CLOSED: return end(d, true);
    case E_CONNECT:
    case E_TIMEOUT: return try_later(d, err, true, now, wake_us);
    default: return block(d, err);
    }
    d->tries = 0;
    d->retry_at = 0;
    if (d->paused) return be(d, SINK_PAUSED), rest(d, wake_us);
    be(d, SINK_RUNNING);
    if (offer_ended(d)) return end(d, d->complete);
    return offer_more(d) || atomic_load(&d->called) ? STEP_AGAIN : rest(d, wake_us);
}

static enum status retry_now(struct deliver *d, struct err *err)
{
    if (!d->blocked && !d->retry_at)
        return err_set(err, E_MISUSE, "sink \"%s\" is %s: there is nothing to retry", d->object->name,
                       sink_state_name((enum sink_state)atomic_load(&d->state)));
    d->blocked = false;
    d->retry_at = 0;
    d->tries = 0;
    atomic_store(&d->broken, false);
    be(d, d->opened ? SINK_RETRYING : SINK_OPENING);
    return ST_OK;
}

static enum status skip(struct deliver *d, struct err *err)
{
    if (!d->blocked && !d->retry_at)
        return err_set(err, E_MISUSE, "sink \"%s\" is %s: there is nothing to skip", d->object->name,
                       sink_state_name((enum sink_state)atomic_load(&d->state)));
    TRY(offer_skip(d, err));
    return retry_now(d, err);
}

static enum status obey(struct deliver *d, struct command *c)
{
    switch (c->what) {
    case SINK_RETRY: return retry_now(d, &c->err);
    case SINK_SKIP: return skip(d, &c->err);
    case SINK_PAUSE:
        d->paused = true;
        d->call = CALL_NONE;
        return ST_OK;
    case SINK_RESUME: d->paused = false; return ST_OK;
    case SINK_SET:
        lock_take(&d->lock);
        d->set = c->set;
        lock_give(&d->lock);
        if (d->cursor) cursor_set_policy(d->cursor, d->set.overflow);
        if (d->has_watch) task_wake(&d->watch);
        return ST_OK;
    }
    return E_INTERNAL;
}

static enum step step(struct task *t, int64_t now, int64_t *wake_us)
{
    struct deliver *d = container_of(t, struct deliver, task);
    struct err err = {.pos = NO_POS};
    for (struct command *c; (c = command_take(d)); command_answer(c, d->rt)) c->st = obey(d, c);
    if (atomic_load(&d->leaving)) d->paused = false;
    if (atomic_load(&d->cancel)) return give_up(d);
    if (!d->cursor || atomic_load(&d->held)) return STEP_WAIT;
    if (d->blocked) return atomic_load(&d->leaving) ? give_up(d) : STEP_WAIT;
    if (now < d->retry_at) return *wake_us = d->retry_at, STEP_WAIT;
    enum status st = go_on(d, now, wake_us, &err);
    if (atomic_load(&d->cancel)) return give_up(d);
    return judge(d, st, &err, now, wake_us);
}

/* While it is BLOCKED or pauses, nobody would answer a descriptor that is ready. */
static bool is_served(const struct deliver *d) { return d->class->serve && d->opened && !d->blocked && !d->retry_at; }

static int fds(struct task *t, struct pollfd *out, int max)
{
    struct deliver *d = container_of(t, struct deliver, task);
    int64_t at;
    return d->sink && (d->call || is_served(d)) ? d->class->wait(d->sink, out, max, &at) : 0;
}

/* The rows in hand wait for the system outside, not for rows or for the time of a flush. */
static bool waits_outside(struct deliver *d) { return !d->paused && d->cursor && (d->out.n > d->sent || offer_more(d)); }

static enum step metered_step(struct task *t, int64_t now, int64_t *wake_us)
{
    struct deliver *d = container_of(t, struct deliver, task);
    int64_t from = env_now_us(d->rt->env);
    meter_unblock(&d->meter, from);
    enum step s = step(t, now, wake_us);
    int64_t to = env_now_us(d->rt->env);
    meter_busy(&d->meter, from, to);
    if (s == STEP_WAIT && waits_outside(d)) meter_block(&d->meter, to);
    return s;
}

static const struct task_class deliver_class = {.name = "deliver", .step = metered_step, .fds = fds};

/* ---- making and freeing ------------------------------------------------------------------------------------------------------ */

struct deliver *deliver_new(struct runtime *rt, const struct object *object, struct log *log, struct component *c, struct err *err)
{
    struct deliver *d = mem_zalloc(sizeof *d);
    d->task.class = &deliver_class;
    d->watch.class = &watch_class;
    d->rt = rt;
    d->component = c;
    d->object = object;
    d->log = log;
    d->class = object->connector->class;
    lock_init(&d->lock);
    d->pool = pool_new(rt->account);
    d->task.pool = d->pool;
    d->set = settings_of(object, rt->cfg.spill_path);
    d->letters = letters_new(object, rt->env);
    d->keeps = d->class->cancel != sink_no_cancel;
    d->has_watch = d->class->blocking && d->keeps;
    atomic_store(&d->since_us, env_wall_us(rt->env));
    enum status st = offer_encoder(d, err);
    if (!st) st = runtime_host(rt, "lam-sink", d->class->blocking, &d->own_host, &d->host, err);
    if (st) {
        deliver_free(d);
        return NULL;
    }
    return d;
}

void deliver_start(struct deliver *d)
{
    if (d->has_watch) host_add(atomic_load(&d->rt->io), &d->watch);
    host_add(d->host, &d->task);
}

void deliver_attach(struct deliver *d)
{
    lock_take(&d->lock);
    enum cursor_policy policy = d->set.overflow;
    lock_give(&d->lock);
    d->cursor = cursor_new(d->log, policy, (struct log_reader){.task = &d->task});
    task_wake(&d->task);
}

void deliver_hold(struct deliver *d) { atomic_store(&d->held, true); }

void deliver_release(struct deliver *d)
{
    if (atomic_exchange(&d->held, false)) task_wake(&d->task);
}

void deliver_end_at(struct deliver *d, uint64_t epoch) { atomic_store(&d->end_at, epoch); }

void deliver_free(struct deliver *d)
{
    if (!d) return;
    ack_drop_sink(d);
    host_free(d->own_host);
    offer_done(d);
    cursor_free(d->cursor);
    encoder_free(d->encoder);
    text_done(&d->out);
    pool_close(d->pool);
    lock_done(&d->lock);
    mem_free(d);
}

bool deliver_done(struct deliver *d)
{
    return atomic_load(&d->task.done) && (!d->has_watch || atomic_load(&d->watch.done));
}

const struct object *deliver_object(struct deliver *d) { return d->object; }

static void wake(struct deliver *d)
{
    if (d->task.host && !atomic_load(&d->task.done)) task_wake(&d->task);
}

void deliver_leave(struct deliver *d)
{
    atomic_store(&d->leaving, true);
    wake(d);
}

void deliver_cancel(struct deliver *d)
{
    if (deliver_done(d) || !d->task.host) return;
    atomic_store(&d->cancel, true);
    lock_take(&d->lock);
    if (d->sink) d->class->cancel(d->sink);
    lock_give(&d->lock);
    wake(d);
}

/* ---- display ------------------------------------------------------------------------------------------------------------------ */

bool deliver_blocked(struct deliver *d) { return atomic_load(&d->state) == SINK_BLOCKED; }

bool deliver_broken(struct deliver *d, struct err *err)
{
    if (!atomic_load(&d->broken)) return false;
    lock_take(&d->lock);
    if (err) *err = d->err;
    lock_give(&d->lock);
    return true;
}

const char *sink_state_name(enum sink_state s)
{
    static const char *const names[] = {"OPENING", "RUNNING", "RETRYING", "PAUSED", "BLOCKED", "CLOSED"};
    return names[s];
}

const struct histogram *deliver_latency(struct deliver *d) { return &d->write_us; }

void deliver_stats(struct deliver *d, struct sink_stats *out)
{
    memset(out, 0, sizeof *out);
    out->rows = atomic_load(&d->rows);
    out->bytes = atomic_load(&d->bytes);
    out->writes = atomic_load(&d->writes);
    out->write_errors = atomic_load(&d->write_errors);
    out->write_p50_us = histogram_percentile(&d->write_us, 0.5);
    out->write_p99_us = histogram_percentile(&d->write_us, 0.99);
    out->write_max_us = histogram_max(&d->write_us);
    out->busy_us = meter_busy_us(&d->meter);
    out->blocked_us = meter_blocked_us(&d->meter, env_now_us(d->rt->env));
    out->retries = atomic_load(&d->retries);
    out->timeouts = atomic_load(&d->timeouts);
    out->dropped = atomic_load(&d->dropped);
    out->dead_lettered = atomic_load(&d->dead_lettered);
    out->flushes = atomic_load(&d->flushes);
    out->backpressure_events = atomic_load(&d->waits);
    out->epoch = atomic_load(&d->epoch);
    out->state = sink_state_name((enum sink_state)atomic_load(&d->state));
    out->since_us = atomic_load(&d->since_us);
    out->last_error_us = atomic_load(&d->last_error_us);
    struct cursor_stats at = {0};
    if (d->cursor) cursor_stats(d->cursor, &at);
    out->lag_bytes = at.lag_bytes;
    out->lag_rows = offer_held(d);
    out->accepted = atomic_load(&d->passed) + at.lag_rows + at.dropped_rows;
    out->dropped += at.dropped_rows;
    note_read(&d->last_error, out->last_error);
}
