/* Playing a script: the delays, hangs and failures of one mock. SPDX-License-Identifier: Apache-2.0 */
#include "connector/mock_int.h"

enum status mock_player_init(struct mock_player *p, struct env *env, const char *name, const char *script, bool blocking,
                             struct err *err)
{
    TRY(mock_script_parse(script, &p->script, err));
    p->env = env;
    p->blocking = blocking;
    p->target = mock_target_get(name);
    return gate_init(&p->gate, false, err);
}

void mock_player_done(struct mock_player *p)
{
    if (p->target) gate_done(&p->gate);
    p->target = NULL;
}

void mock_player_cancel(struct mock_player *p)
{
    atomic_store_explicit(&p->canceled, true, memory_order_release);
    gate_wake(&p->gate);
}

static bool canceled(struct mock_player *p) { return atomic_load_explicit(&p->canceled, memory_order_acquire); }

/* Sleeps until the time, or for ever, or until canceled; what does not block says ST_WAIT instead. */
static enum status pause_until(struct mock_player *p, int64_t until_us, struct err *err)
{
    for (;;) {
        if (canceled(p)) return err_set(err, E_CANCELED, "canceled");
        int64_t left = until_us == INT64_MAX ? -1 : until_us - env_now_us(p->env);
        if (until_us != INT64_MAX && left <= 0) return ST_OK;
        if (!p->blocking) return p->wake_us = until_us, ST_WAIT;
        gate_prepare(&p->gate);
        if (canceled(p))
            gate_cancel(&p->gate);
        else
            gate_park(&p->gate, left);
    }
}

static enum status act(struct mock_player *p, const struct mock_step *s, bool *only_one, struct err *err)
{
    if (s->act == MOCK_SHORT) return *only_one = true, ST_OK;
    if (s->act == MOCK_HANG) return pause_until(p, INT64_MAX, err);
    enum status code = err_set(err, s->call == MOCK_POLL || s->call == MOCK_OPEN ? E_READ : E_WRITE,
                               "the script lets %s number %llu fail", mock_call_names[s->call], (unsigned long long)p->number);
    switch (s->act) {
    case MOCK_RETRY: return ST_RETRY;
    case MOCK_POISON: return ST_POISON;
    case MOCK_CLOSED: return ST_CLOSED;
    default: return code;
    }
}

enum status mock_player_call(struct mock_player *p, enum mock_call call, bool *only_one, struct err *err)
{
    bool one = false;
    if (!p->is_counted) p->number = mock_target_call(p->target, call);
    p->is_counted = true;
    if (!p->is_delayed) p->wake_us = env_now_us(p->env) + p->script.wait_us;
    p->is_delayed = true;
    if (call == MOCK_WRITE || call == MOCK_POLL) TRY(pause_until(p, p->wake_us, err));
    enum status st = ST_OK;
    for (int i = 0; i < p->script.n && !st; i++) {
        const struct mock_step *s = &p->script.steps[i];
        if (s->call == call && p->number >= s->from && p->number <= s->to) st = act(p, s, &one, err);
    }
    if (st != ST_WAIT) p->is_counted = p->is_delayed = false;
    if (only_one) *only_one = one;
    return st;
}
