/* What a client asks for, read from its message. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_ACTION_H
#define WEBSOCKET_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum action_kind { ACTION_SUBSCRIBE, ACTION_UNSUBSCRIBE, ACTION_PING };

struct action {
    enum action_kind kind;
    const char *filter, *format; /* NULL: not given, or empty */
    const char *subscription;    /* unsubscribe */
    bool resumes;
    uint64_t after; /* last_sequence */
};

enum { ACTION_WHY = 160 };

/* Of p[0..n), which is written over, and p[n] as well; the texts lie there. False: `why` is one sentence. */
bool action_read(char *p, size_t n, struct action *out, char why[ACTION_WHY]);
/* A number that fits in 18 digits. */
bool sequence_read(const char *p, size_t n, uint64_t *out);

#endif
