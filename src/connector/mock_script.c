/* Scripts of the mocks, the registry of what was delivered, and playing a script. SPDX-License-Identifier: Apache-2.0 */
#include "connector/mock.h"
#include "connector/mock_int.h"

#include "base/mem.h"
#include "base/option.h"

#include <stdio.h>
#include <string.h>

static const char *const calls[] = {"open", "poll", "write", "flush", "commit", "abort", "close", NULL};
static const char *const fails[] = {"fatal", "retry", "poison", "closed", NULL};

static int word_index(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

/* ---- scripts ------------------------------------------------------------------------------------------ */

static enum status bad_step(const char *step, struct err *err)
{
    err_set(err, E_CONNECTOR_OPTION, "option script: cannot read the step \"%s\"", step);
    err_hint(err, "steps are 'wait 50 ms', 'fail write 3 [retry|poison|closed]', 'short write 2', 'hang write 7'");
    return E_CONNECTOR_OPTION;
}

static bool read_range(const char *text, struct mock_step *out)
{
    unsigned long from, to;
    char dash = 0, rest;
    int n = sscanf(text, "%lu%c%lu%c", &from, &dash, &to, &rest);
    if (n < 1 || n > 3 || (n > 1 && dash != '-')) return false;
    out->from = from;
    out->to = n == 1 ? from : n == 2 ? UINT64_MAX : to;
    return true;
}

static bool read_step(char *words[static 4], int n, struct mock_step *out)
{
    int call = n >= 3 ? word_index(calls, words[1]) : -1;
    if (call < 0 || !read_range(words[2], out)) return false;
    out->call = (enum mock_call)call;
    if (!strcmp(words[0], "fail")) {
        int how = n == 4 ? word_index(fails, words[3]) : 0;
        out->act = (enum mock_act)(MOCK_FAIL + how);
        return how >= 0;
    }
    out->act = !strcmp(words[0], "short") ? MOCK_SHORT : MOCK_HANG;
    return n == 3 && (out->act == MOCK_SHORT || !strcmp(words[0], "hang"));
}

static enum status parse_step(char *step, struct mock_script *out, struct err *err)
{
    char copy[128], *words[4], *save;
    snprintf(copy, sizeof copy, "%s", step);
    int n = 0;
    for (char *w = strtok_r(step, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
        if (n == 4) return bad_step(copy, err);
        words[n++] = w;
    }
    if (!n) return ST_OK;
    if (!strcmp(words[0], "wait")) {
        const char *span = strstr(copy, "wait") + 4;
        while (*span == ' ') span++;
        return duration_parse(span, 0, &out->wait_us) ? ST_OK : bad_step(copy, err);
    }
    if (out->n == (int)countof(out->steps) || !read_step(words, n, &out->steps[out->n])) return bad_step(copy, err);
    out->n++;
    return ST_OK;
}

enum status mock_script_parse(const char *text, struct mock_script *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    char *copy = mem_strdup(text ? text : ""), *save;
    enum status st = ST_OK;
    for (char *step = strtok_r(copy, ";", &save); step && !st; step = strtok_r(NULL, ";", &save))
        st = parse_step(step, out, err);
    mem_free(copy);
    return st;
}

/* ---- the registry ------------------------------------------------------------------------------------- */

struct mock_target {
    struct mock_target *next;
    char *name;
    struct text rows, pending;
    uint64_t nrows, npending, marker;
    uint64_t calls[MOCK_CALLS];
};

static struct {
    struct lock lock; /* zero is an unlocked mutex */
    struct mock_target *first;
} registry;

static struct mock_target *find(const char *name)
{
    struct mock_target *t = registry.first;
    while (t && strcmp(t->name, name)) t = t->next;
    return t;
}

struct mock_target *mock_target_get(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    if (!t) {
        t = mem_zalloc(sizeof *t);
        t->name = mem_strdup(name);
        t->next = registry.first;
        registry.first = t;
    }
    lock_give(&registry.lock);
    return t;
}

uint64_t mock_target_call(struct mock_target *t, enum mock_call call)
{
    lock_take(&registry.lock);
    uint64_t n = ++t->calls[call];
    lock_give(&registry.lock);
    return n;
}

void mock_target_add(struct mock_target *t, const struct text *rows, uint64_t n, bool pending)
{
    lock_take(&registry.lock);
    text_put(pending ? &t->pending : &t->rows, rows->p, rows->n);
    *(pending ? &t->npending : &t->nrows) += n;
    lock_give(&registry.lock);
}

void mock_target_abort(struct mock_target *t)
{
    lock_take(&registry.lock);
    text_clear(&t->pending);
    t->npending = 0;
    lock_give(&registry.lock);
}

void mock_target_commit(struct mock_target *t, uint64_t epoch)
{
    lock_take(&registry.lock);
    text_put(&t->rows, t->pending.p, t->pending.n);
    t->nrows += t->npending;
    t->marker = epoch;
    lock_give(&registry.lock);
    mock_target_abort(t);
}

uint64_t mock_target_marker(struct mock_target *t)
{
    lock_take(&registry.lock);
    uint64_t marker = t->marker;
    lock_give(&registry.lock);
    return marker;
}

char *mock_rows(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    char *rows = mem_strdup(t ? text_cstr(&t->rows) : "");
    lock_give(&registry.lock);
    return rows;
}

uint64_t mock_count(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    uint64_t n = t ? t->nrows : 0;
    lock_give(&registry.lock);
    return n;
}

uint64_t mock_calls(const char *name, const char *call)
{
    int i = word_index(calls, call);
    INVARIANT(i >= 0);
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    uint64_t n = t ? t->calls[i] : 0;
    lock_give(&registry.lock);
    return n;
}

uint64_t mock_marker(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    uint64_t marker = t ? t->marker : 0;
    lock_give(&registry.lock);
    return marker;
}

void mock_reset(void)
{
    lock_take(&registry.lock);
    for (struct mock_target *t = registry.first, *next; t; t = next) {
        next = t->next;
        text_done(&t->rows);
        text_done(&t->pending);
        mem_free(t->name);
        mem_free(t);
    }
    registry.first = NULL;
    lock_give(&registry.lock);
}

/* ---- playing ------------------------------------------------------------------------------------------ */

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
                               "the script lets %s number %llu fail", calls[s->call], (unsigned long long)p->number);
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
