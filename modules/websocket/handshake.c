/* RFC 6455 section 4.2: one request, strictly. What is doubtful is refused, for browsers and libraries write no other.
 * SPDX-License-Identifier: Apache-2.0 */
#include "handshake.h"

#include "action.h"
#include "json.h"
#include "span.h"

#include <stdio.h>
#include <string.h>

/* ---- SHA-1 and base64, of a key and the protocol's constant: 60 bytes, two blocks */

#define KEY_BYTES 24
#define CONSTANT  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static uint32_t turn(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t t = turn(a, 5) + f + e + w[i];
        e = d, d = c, c = turn(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void sha1_of_60(const char *p, uint8_t out[20])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t m[128] = {0};
    memcpy(m, p, 60);
    m[60] = 0x80;
    m[126] = 480 >> 8;
    m[127] = 480 & 255;
    sha1_block(h, m);
    sha1_block(h, m + 64);
    for (int i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void handshake_accept(const char *key, char out[29])
{
    char text[KEY_BYTES + sizeof CONSTANT];
    uint8_t sum[21] = {0};
    memcpy(text, key, KEY_BYTES);
    memcpy(text + KEY_BYTES, CONSTANT, sizeof CONSTANT);
    sha1_of_60(text, sum);
    for (int i = 0; i < 7; i++) {
        uint32_t v = (uint32_t)sum[3 * i] << 16 | (uint32_t)sum[3 * i + 1] << 8 | sum[3 * i + 2];
        for (int k = 0; k < 4; k++) out[4 * i + k] = digits[v >> (18 - 6 * k) & 63];
    }
    out[27] = '=';
    out[28] = 0;
}

/* 16 bytes in base64: 22 digits, the last of which ends in four zero bits, and "==". */
static bool is_key(struct span s)
{
    if (s.n != KEY_BYTES || s.p[22] != '=' || s.p[23] != '=' || !strchr("AQgw", s.p[21])) return false;
    for (int i = 0; i < 22; i++)
        if (!s.p[i] || !strchr(digits, s.p[i])) return false;
    return true;
}

/* ---- lines */

struct request {
    struct span method, target, version; /* of HTTP */
    struct span host, upgrade, connection, key, protocol_version, origin, authorization, extensions;
};

static bool read_header(struct request *r, struct span name, struct span value)
{
    static const char *const names[] = {"host",   "upgrade",       "connection", "sec-websocket-key", "sec-websocket-version",
                                        "origin", "authorization", "sec-websocket-extensions"};
    struct span *const values[] = {&r->host,   &r->upgrade,       &r->connection, &r->key, &r->protocol_version,
                                   &r->origin, &r->authorization, &r->extensions};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!is_word(name, names[i])) continue;
        if (values[i]->p && values[i] != &r->extensions) return false; /* offers may stand in several; the first is looked at */
        if (!values[i]->p) *values[i] = value;
    }
    return true;
}

static bool read_request(struct request *r, struct span text)
{
    struct span name, value;
    if (!is_head(text)) return false;
    struct span line = cut(&text, '\r');
    r->method = cut(&line, ' ');
    r->target = cut(&line, ' ');
    r->version = line;
    while (text.n)
        if (!cut_header(&text, &name, &value) || !read_header(r, name, value)) return false;
    return true;
}

/* ---- judging */

static bool refuse(struct handshake *out, int status, const char *why)
{
    out->status = status;
    out->why = why;
    return true;
}

static bool is_allowed(struct span origin, const char *list)
{
    struct span rest = {list, list ? strlen(list) : 0};
    while (rest.n) {
        struct span s = trim(cut(&rest, ','));
        if (is_text(s, "*") || (s.n == origin.n && !strncasecmp(s.p, origin.p, s.n))) return true;
    }
    return false;
}

/* Other parameters are left alone. NULL, or what is wrong. */
static const char *read_query(struct span query, struct handshake *out)
{
    while (query.n) {
        struct span value = cut(&query, '&'), name = cut(&value, '=');
        struct handshake_text *text = is_text(name, "filter") ? &out->filter : is_text(name, "format") ? &out->format : NULL;
        if (text && text->p) return "The query has two filters, or two formats.";
        if (text) *text = (struct handshake_text){value.p, value.n};
        if (!is_text(name, "last_sequence")) continue;
        if (out->resumes || !sequence_read(value.p, value.n, &out->after)) return "last_sequence is not one number.";
        out->resumes = true;
    }
    return NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool handshake_decode(struct handshake_text t, char *to)
{
    char *from = to;
    for (size_t i = 0; i < t.n; i++) {
        int high = t.p[i] == '%' && t.n - i > 2 ? hex_digit(t.p[i + 1]) : -1, low = high < 0 ? -1 : hex_digit(t.p[i + 2]);
        if (t.p[i] == '%' && (low < 0 || !(high || low))) return false;
        *to++ = t.p[i] == '%' ? (char)(high << 4 | low) : t.p[i] == '+' ? ' ' : t.p[i];
        if (t.p[i] == '%') i += 2;
    }
    *to = 0;
    return utf8_is_valid(from, (size_t)(to - from));
}

/* ---- who may come, and what is spoken */

/* Takes as long wherever the first difference is. */
static bool is_secret(struct span s, const char *secret)
{
    size_t n = strlen(secret);
    volatile unsigned char other = s.n != n;
    for (size_t i = 0; i < s.n; i++) other |= (unsigned char)(s.p[i] ^ secret[n ? i % n : 0]);
    return !other;
}

static bool is_authorized(const struct handshake_rules *rules, struct span header)
{
    if (!rules->scheme) return true;
    if (!header.p) return false;
    struct span scheme = cut(&header, ' ');
    return is_word(scheme, rules->scheme) && is_secret(trim(header), rules->credentials);
}

/* Whether an offer can be taken as it is. A window for what we send would ask for a compression of its own. */
static bool is_our_deflate(struct span offer)
{
    if (!is_word(trim(cut(&offer, ';')), "permessage-deflate")) return false;
    while (offer.n) {
        struct span value = trim(cut(&offer, ';')), name = trim(cut(&value, '='));
        value = trim(value);
        bool full = is_text(value, "15") || is_text(value, "\"15\"");
        bool fits = is_word(name, "server_no_context_takeover") || is_word(name, "client_no_context_takeover") ? !value.n
                    : is_word(name, "client_max_window_bits")                                                  ? true
                    : is_word(name, "server_max_window_bits")                                                  ? full
                                                                                                               : false;
        if (!fits) return false;
    }
    return true;
}

static bool offers_deflate(struct span offers)
{
    while (offers.n)
        if (is_our_deflate(trim(cut(&offers, ',')))) return true;
    return false;
}

static bool judge(const struct handshake_rules *rules, struct request *r, struct handshake *out)
{
    if (!is_text(r->version, "HTTP/1.1")) return refuse(out, 400, "This is not a request of HTTP/1.1.");
    if (!is_text(r->method, "GET")) return refuse(out, 405, "A WebSocket is opened by GET.");
    if (!is_authorized(rules, r->authorization)) {
        out->scheme = rules->scheme;
        return refuse(out, 401, "This server wants to know who comes: see auth.type of the sink or source.");
    }
    struct span path = cut(&r->target, '?');
    if (!is_text(path, rules->path)) return refuse(out, 404, "There is nothing at this path.");
    if (!r->host.n) return refuse(out, 400, "The header Host is missing.");
    if (!has_word(r->upgrade, "websocket") || !has_word(r->connection, "upgrade"))
        return refuse(out, 426, "Only WebSockets are served here: say Connection: Upgrade and Upgrade: websocket.");
    if (!is_text(r->protocol_version, "13"))
        return refuse(out, 426, "Only version 13 of the WebSocket protocol is spoken here.");
    if (!is_key(r->key)) return refuse(out, 400, "Sec-WebSocket-Key is not 16 bytes in base64.");
    if (r->origin.p && !is_allowed(r->origin, rules->origins))
        return refuse(out, 403, "Pages of this origin may not connect: allowed.origins of the sink does not have it.");
    const char *wrong = read_query(r->target, out);
    if (wrong) return refuse(out, 400, wrong);
    out->deflates = rules->deflates && offers_deflate(r->extensions);
    handshake_accept(r->key.p, out->accept);
    out->status = 101;
    return true;
}

bool handshake_read(const struct handshake_rules *rules, const char *p, size_t n, struct handshake *out)
{
    *out = (struct handshake){0};
    const char *end = n ? memmem(p, n, "\r\n\r\n", 4) : NULL;
    if ((end ? (size_t)(end - p) + 4 : n) > rules->max || (!end && n == rules->max))
        return refuse(out, 431, "The request is longer than max.request.size.");
    if (!end) return false;
    struct request r = {0};
    if (!read_request(&r, (struct span){p, (size_t)(end - p)})) return refuse(out, 400, "The request cannot be read.");
    out->used = (size_t)(end - p) + 4;
    return judge(rules, &r, out);
}

/* ---- the answer */

static const char *reason(int status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 426: return "Upgrade Required";
    case 431: return "Request Header Fields Too Large";
    default: return "Service Unavailable";
    }
}

#define DEFLATE_ANSWER                                                                                                 \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

size_t handshake_answer(const struct handshake *h, char to[HANDSHAKE_ANSWER])
{
    if (h->status == 101)
        return (size_t)snprintf(to, HANDSHAKE_ANSWER,
                                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                                h->accept, h->deflates ? DEFLATE_ANSWER : "");
    char challenge[80] = "";
    if (h->status == 401)
        snprintf(challenge, sizeof challenge, "WWW-Authenticate: %s realm=\"laminar\"\r\n", h->scheme);
    const char *more = h->status == 426   ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       : h->status == 405 ? "Allow: GET\r\n"
                                          : challenge;
    return (size_t)snprintf(
        to, HANDSHAKE_ANSWER,
        "HTTP/1.1 %d %s\r\n%sConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s\n",
        h->status, reason(h->status), more, strlen(h->why) + 1, h->why);
}
