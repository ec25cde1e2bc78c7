/* SPDX-License-Identifier: Apache-2.0 */
#include "format/json_value.h"

static const char *digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

bool json_number(const char *p, size_t n)
{
    const char *end = p + n, *from;
    if (p < end && *p == '-') p++;
    from = p;
    p = digits(p, end);
    if (p == from || (*from == '0' && p - from > 1)) return false;
    if (p < end && *p == '.') {
        from = ++p;
        p = digits(p, end);
        if (p == from) return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '-' || *p == '+')) p++;
        from = p;
        p = digits(p, end);
        if (p == from) return false;
    }
    return p == end;
}

static bool key(struct json_line *l)
{
    if (!json_more(l) || json_token(l) != '"') return false;
    l->i++;
    if (!json_more(l) || json_token(l) != ':') return false;
    l->i++;
    return true;
}

/* Goes along the tokens with a stack of bits in place of calls, so depth costs no stack. */
struct json_value json_nested(struct json_line *l, const char **why)
{
    uint64_t objects[JSON_DEPTH_MAX / 64]; /* bit d: what is open at depth d is an object */
    uint32_t depth = 0, start = l->at[l->i];
    struct json_value bad = {.kind = JSON_BAD};
    *why = "not valid JSON";
    for (;;) {
        bool object = false, closed = false;
        if (!json_more(l)) return bad;
        char c = json_token(l);
        if (c == '{' || c == '[') {
            if (depth == JSON_DEPTH_MAX) {
                *why = "nested too deeply";
                return bad;
            }
            object = c == '{';
            objects[depth / 64] = (objects[depth / 64] & ~(1ull << depth % 64)) | (uint64_t)object << depth % 64;
            depth++;
            l->i++;
            if (!json_more(l)) return bad;
            closed = json_token(l) == (object ? '}' : ']');
            if (!closed) {
                if (object && !key(l)) return bad;
                continue;
            }
        } else {
            struct json_value v = json_scalar_text(l);
            if (json_scalar_kind(v.p, v.n) == JSON_BAD) return bad;
        }
        for (;; closed = false) { /* after a value, or at the end of an empty one */
            object = objects[(depth - 1) / 64] >> (depth - 1) % 64 & 1;
            if (!json_more(l)) return bad;
            c = json_token(l);
            if (c == ',' && !closed) break;
            if (c != (object ? '}' : ']')) return bad;
            l->i++;
            if (!--depth)
                return (struct json_value){.kind = JSON_NESTED, .p = l->base + start, .n = l->at[l->i - 1] + 1 - start};
        }
        l->i++;
        if (object && !key(l)) return bad;
    }
}
