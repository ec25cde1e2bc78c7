/* Calls of a connector and their deadlines. A class that can be canceled is canceled when a call takes longer than
 * write.timeout or open.timeout. A call that does not block says ST_WAIT, and the deliver task itself looks at the clock; one
 * that blocks is watched by a task on the I/O thread, which is armed by the first call and sleeps again when none was made for
 * as long as a deadline. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/deliver_int.h"

static const char *const names[] = {[CALL_OPEN] = "opening", [CALL_WRITE] = "a write", [CALL_FLUSH] = "a flush", [CALL_CLOSE] = "closing"};

static int64_t allowed(const struct deliver *d, enum call c) { return c == CALL_OPEN ? d->set.open_us : d->set.write_us; }

static bool is_canceled(const struct deliver *d) { return d->class->cancel != sink_no_cancel; }

void call_begin(struct deliver *d, enum call c)
{
    if (d->call != c) {
        d->call = c;
        d->since = env_now_us(d->rt->env);
    }
    d->last = c;
    if (!d->has_watch) return;
    lock_take(&d->lock);
    d->deadline = d->since + allowed(d, c);
    d->calls++;
    bool arm = !d->watch_armed;
    d->watch_armed = true;
    lock_give(&d->lock);
    if (arm) task_wake(&d->watch);
}

static enum status timed_out(struct deliver *d, enum call c, struct err *err)
{
    add(&d->timeouts, 1);
    err_set(err, E_TIMEOUT, "%s took longer than %lld ms and was canceled", names[c], (long long)(allowed(d, c) / 1000));
    err_hint(err, "%s allows more", c == CALL_OPEN ? "open.timeout" : "write.timeout");
    return E_TIMEOUT;
}

enum status call_end(struct deliver *d, enum status st, bool progress, struct err *err)
{
    bool late = false;
    enum call c = d->call;
    if (d->has_watch) {
        lock_take(&d->lock);
        late = d->late;
        d->late = false;
        d->deadline = 0;
        lock_give(&d->lock);
    }
    bool waits = st == ST_WAIT && !late;
    if (waits) add(&d->waits, 1);
    if (waits && !progress) return st;
    int64_t now = env_now_us(d->rt->env);
    if (c == CALL_WRITE) {
        add(&d->writes, 1);
        histogram_add(&d->write_us, now - d->since);
    }
    d->call = waits ? c : CALL_NONE; /* what took a part waits for the rest anew */
    d->since = now;
    return late ? timed_out(d, c, err) : st;
}

enum status call_overdue(struct deliver *d, int64_t now, int64_t *wake_us, struct err *err)
{
    if (!d->call || !is_canceled(d)) return ST_OK;
    int64_t at = d->since + allowed(d, d->call);
    if (now < at) {
        if (at < *wake_us) *wake_us = at;
        return ST_OK;
    }
    enum call c = d->call;
    d->call = CALL_NONE;
    lock_take(&d->lock);
    d->class->cancel(d->sink);
    lock_give(&d->lock);
    return timed_out(d, c, err);
}

static enum step watch(struct task *t, int64_t now, int64_t *wake_us)
{
    struct deliver *d = container_of(t, struct deliver, watch);
    lock_take(&d->lock);
    bool over = d->over;
    if (d->deadline && now >= d->deadline && !d->late) {
        d->late = true;
        d->watch_armed = false; /* the next call arms it */
        d->class->cancel(d->sink);
    } else if (d->deadline && !d->late) {
        *wake_us = d->deadline;
    } else if (d->calls != d->calls_seen) {
        *wake_us = now + (d->set.open_us < d->set.write_us ? d->set.open_us : d->set.write_us);
    } else {
        d->watch_armed = false;
    }
    d->calls_seen = d->calls;
    lock_give(&d->lock);
    return over ? STEP_DONE : STEP_WAIT;
}

const struct task_class watch_class = {.name = "watch", .step = watch};
