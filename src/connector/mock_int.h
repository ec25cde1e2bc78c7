/* Scripts and the registry behind the mock source and sink. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_MOCK_INT_H
#define CONNECTOR_MOCK_INT_H

#include "base/env.h"
#include "base/gate.h"
#include "base/text.h"

enum mock_call { MOCK_OPEN, MOCK_POLL, MOCK_WRITE, MOCK_FLUSH, MOCK_COMMIT, MOCK_ABORT, MOCK_CLOSE, MOCK_CALLS };
extern const char *const mock_call_names[]; /* NULL-ended */
int mock_word_index(const char *const *words, const char *word); /* -1: none */
enum mock_act { MOCK_FAIL, MOCK_RETRY, MOCK_POISON, MOCK_CLOSED, MOCK_CONNECT, MOCK_SHORT, MOCK_SLOW, MOCK_HANG };

struct mock_step {
    enum mock_act act;
    enum mock_call call;
    uint64_t from, to; /* calls, both included */
    uint32_t row;      /* POISON: the bad one of those offered, from 1, 0: the second; SHORT: how many are taken */
    int64_t slow_us;
};
struct mock_script {
    int n;
    struct mock_step steps[32];
    int64_t wait_us;
};
enum status mock_script_parse(const char *text, struct mock_script *out, struct err *err);

/* What outlives an instance. Any thread, under the registry's lock. */
struct mock_target;
struct mock_target *mock_target_get(const char *name);
/* Counts the call; its number in this target's life. */
uint64_t mock_target_call(struct mock_target *t, enum mock_call call);
/* Appends `n` rows of text: to what is delivered, or to what awaits a commit. */
void mock_target_add(struct mock_target *t, const struct text *rows, uint64_t n, bool pending);
/* Takes row `row` out of those that await a commit or flush; false: there is no such row. */
bool mock_target_remove(struct mock_target *t, uint64_t row);
void mock_target_commit(struct mock_target *t, uint64_t epoch);
void mock_target_flush(struct mock_target *t); /* what awaits it is delivered */
void mock_target_abort(struct mock_target *t);
uint64_t mock_target_marker(struct mock_target *t);

/* The fate of one call: delays and hangs first. */
struct mock_player {
    struct mock_script script;
    struct mock_target *target;
    struct env *env;
    struct gate gate;      /* a blocked call sleeps here */
    _Atomic bool canceled; /* set by any thread, then the gate is woken */
    bool blocking;
    bool is_delayed;       /* the call at hand has begun its delay */
    bool is_counted;       /* ... and got its number */
    uint64_t number;
    int64_t wake_us;
};
enum status mock_player_init(struct mock_player *p, struct env *env, const char *name, const char *script, bool blocking,
                             struct err *err);
void mock_player_done(struct mock_player *p);
void mock_player_cancel(struct mock_player *p);
/* ST_OK: go on; *most: take so many rows at most. ST_WAIT: come again at wake_us. Other: the call's result; ST_POISON: after
 * *most rows. */
enum status mock_player_call(struct mock_player *p, enum mock_call call, uint32_t *most, struct err *err);

#endif
