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

static enum status act(struct mock_player *p, const struct mock_step *s, uint32_t *most, struct err *err)
{
    if (s->act == MOCK_SHORT) return *most = s->row, ST_OK;
    if (s->act == MOCK_SLOW) return ST_OK; /* has been waited for */
    if (s->act == MOCK_HANG) return pause_until(p, INT64_MAX, err);
    enum status code = s->act == MOCK_CONNECT                             ? E_CONNECT
                       : s->call == MOCK_POLL || s->call == MOCK_OPEN ? E_READ
                                                                          : E_WRITE;
    err_set(err, code, "the script lets %s number %llu fail", mock_call_names[s->call], (unsigned long long)p->number);
    switch (s->act) {
    case MOCK_RETRY: return ST_RETRY;
    case MOCK_POISON: return *most = s->row ? s->row - 1 : 1, ST_POISON;
    case MOCK_CLOSED: return ST_CLOSED;
    default: return code;
    }
}

static bool is_for(const struct mock_step *s, enum mock_call call, uint64_t number)
{
    return s->call == call && number >= s->from && number <= s->to;
}

static int64_t delay_of(const struct mock_player *p, enum mock_call call)
{
    int64_t us = call == MOCK_WRITE || call == MOCK_POLL ? p->script.wait_us : 0;
    for (int i = 0; i < p->script.n; i++)
        if (p->script.steps[i].act == MOCK_SLOW && is_for(&p->script.steps[i], call, p->number)) us += p->script.steps[i].slow_us;
    return us;
}

enum status mock_player_call(struct mock_player *p, enum mock_call call, uint32_t *most, struct err *err)
{
    uint32_t all = UINT32_MAX;
    if (!p->is_counted) p->number = mock_target_call(p->target, call);
    p->is_counted = true;
    int64_t delay = delay_of(p, call);
    if (!p->is_delayed) p->wake_us = env_now_us(p->env) + delay;
    p->is_delayed = true;
    if (delay) TRY(pause_until(p, p->wake_us, err));
    enum status st = ST_OK;
    for (int i = 0; i < p->script.n && !st; i++)
        if (is_for(&p->script.steps[i], call, p->number)) st = act(p, &p->script.steps[i], &all, err);
    if (st != ST_WAIT) p->is_counted = p->is_delayed = false;
    if (most) *most = all;
    return st;
}
