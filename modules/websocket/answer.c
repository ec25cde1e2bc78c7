/* RFC 6455 section 4.1: what is doubtful is refused. SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include "span.h"

#define RETRY_MOST_S 3600

struct head {
    struct span version, status;
    struct span upgrade, connection, accept, extensions, protocol, retry_after;
};

static bool read_header(struct head *h, struct span name, struct span value)
{
    static const char *const names[] = {
        "upgrade", "connection", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol", "retry-after"};
    struct span *const values[] = {&h->upgrade,    &h->connection, &h->accept,
                                   &h->extensions, &h->protocol,   &h->retry_after};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!is_word(name, names[i])) continue;
        if (values[i]->p) return false;
        *values[i] = value;
    }
    return true;
}

static bool read_head(struct head *h, struct span text)
{
    struct span name, value;
    if (!is_head(text)) return false;
    struct span line = cut(&text, '\r');
    h->version = cut(&line, ' ');
    h->status = cut(&line, ' ');
    while (text.n)
        if (!cut_header(&text, &name, &value) || !read_header(h, name, value)) return false;
    return true;
}

static int64_t number(struct span s, int64_t most)
{
    int64_t n = 0;
    if (!s.n || s.n > 9) return 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return 0;
        n = n * 10 + (s.p[i] - '0');
    }
    return n < most ? n : most;
}

static const char *fault_of(const struct answer_wanted *w, const struct head *h)
{
    if (!has_word(h->upgrade, "websocket") || !has_word(h->connection, "upgrade"))
        return "its answer does not open a WebSocket";
    if (!is_text(h->accept, w->accept)) return "its Sec-WebSocket-Accept is not that of our key";
    if (h->extensions.n) return "it uses an extension that nobody offered";
    if (h->protocol.p && (!w->subprotocol || !is_text(h->protocol, w->subprotocol)))
        return "it chose a subprotocol that nobody offered";
    if (w->subprotocol && !h->protocol.p) return "it does not speak the subprotocol";
    return NULL;
}

static const char *meaning(int status)
{
    switch (status) {
    case 401: return "it wants another authorization";
    case 403: return "it forbids this";
    case 404: return "there is nothing at this path";
    case 429: return "it has too many requests";
    case 503: return "it is not available now";
    default:
        return status >= 300 && status < 400 ? "it sends us elsewhere, and redirects are not followed"
                                             : "it opens no WebSocket";
    }
}

bool answer_read(const struct answer_wanted *w, const char *p, size_t n, struct answer *out)
{
    *out = (struct answer){.why = "its answer is not HTTP/1.1"};
    size_t most = n < ANSWER_MOST ? n : ANSWER_MOST;
    const char *end = most ? memmem(p, most, "\r\n\r\n", 4) : NULL;
    if (!end && n < ANSWER_MOST) return false;
    if (!end) return true;
    struct head h = {0};
    if (!read_head(&h, (struct span){p, (size_t)(end - p)}) || !is_text(h.version, "HTTP/1.1") || h.status.n != 3)
        return true;
    out->status = (int)number(h.status, 999);
    if (out->status < 100) return out->status = 0, true;
    out->used = (size_t)(end - p) + 4;
    out->retry_after_s = number(h.retry_after, RETRY_MOST_S);
    out->why = out->status == 101 ? fault_of(w, &h) : meaning(out->status);
    out->is_open = !out->why;
    return true;
}
