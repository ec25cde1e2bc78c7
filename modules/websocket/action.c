/* See action.h. SPDX-License-Identifier: Apache-2.0 */
#include "action.h"

#include "json.h"

#include <stdio.h>
#include <string.h>

enum { MEMBERS_MAX = 8 };

bool sequence_read(const char *p, size_t n, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        *out = *out * 10 + (uint64_t)(p[i] - '0');
        if (i == 18) return false;
    }
    return n;
}

static bool read_kind(const char *text, struct action *out, char why[ACTION_WHY])
{
    static const char *const names[] = {"subscribe", "unsubscribe", "ping"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, names[i])) return out->kind = (enum action_kind)i, true;
    snprintf(why, ACTION_WHY, "action is subscribe, unsubscribe or ping, not '%.40s'", text);
    return false;
}

/* Null is as good as not there. */
static bool read_member(const struct json_member *m, struct action *out, bool *has_kind, char why[ACTION_WHY])
{
    bool text = m->kind == JSON_TEXT, null = m->kind == JSON_WORD && !strcmp(m->value, "null");
    const char *value = null || !*m->value ? NULL : m->value;
    if (!strcmp(m->name, "action") && text) return *has_kind = true, read_kind(m->value, out, why);
    if (!strcmp(m->name, "filter") && (text || null)) return out->filter = value, true;
    if (!strcmp(m->name, "format") && (text || null)) return out->format = value, true;
    if (!strcmp(m->name, "subscription_id") && m->kind != JSON_WORD) return out->subscription = value, true;
    if (!strcmp(m->name, "last_sequence") && null) return true;
    if (!strcmp(m->name, "last_sequence")) {
        out->resumes = m->kind != JSON_WORD && sequence_read(m->value, strlen(m->value), &out->after);
        if (!out->resumes) snprintf(why, ACTION_WHY, "last_sequence is not the sequence of a record");
        return out->resumes;
    }
    snprintf(why, ACTION_WHY, "'%.40s' is none of action, filter, format, last_sequence and subscription_id, or of another type",
             m->name);
    return false;
}

static bool fits_together(const struct action *a, char why[ACTION_WHY])
{
    bool ends = a->kind == ACTION_UNSUBSCRIBE, wants = a->filter || a->format || a->resumes;
    const char *wrong = NULL;
    if (ends && !a->subscription) wrong = "unsubscribe needs a subscription_id";
    if (!ends && a->subscription) wrong = "only unsubscribe has a subscription_id";
    if (a->kind != ACTION_SUBSCRIBE && wants) wrong = "filter, format and last_sequence go with subscribe";
    if (wrong) snprintf(why, ACTION_WHY, "%s", wrong);
    return !wrong;
}

bool action_read(char *p, size_t n, struct action *out, char why[ACTION_WHY])
{
    struct json_member m[MEMBERS_MAX];
    bool has_kind = false;
    int k = json_read(p, n, m, MEMBERS_MAX);
    *out = (struct action){0};
    if (k < 0) {
        snprintf(why, ACTION_WHY, "a message is a flat JSON object, as {\"action\":\"subscribe\",\"filter\":\"price > 10\"}");
        return false;
    }
    for (int i = 0; i < k; i++)
        if (!read_member(&m[i], out, &has_kind, why)) return false;
    if (has_kind) return fits_together(out, why);
    snprintf(why, ACTION_WHY, "the message has no action: subscribe, unsubscribe or ping");
    return false;
}
