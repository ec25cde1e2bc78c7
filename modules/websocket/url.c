/* See url.h. SPDX-License-Identifier: Apache-2.0 */
#include "url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int refuse(struct lam_io *io, struct lam_error *err, const char *why, const char *advice)
{
    io->host->fail(err, LAM_IO_OPTION, "the url of %s %s", io->name, why);
    io->host->hint(err, "%s", advice);
    return LAM_IO_OPTION;
}

/* curl's own parser does not know ws: it is given http in its place. */
static bool parse(struct lam_io *io, CURLU *u, const char *text, bool tls)
{
    const char *rest = text + (tls ? 3 : 2);
    size_t n = strlen(rest) + sizeof "https";
    char *http = io->host->alloc(n);
    snprintf(http, n, "http%s%s", tls ? "s" : "", rest);
    CURLUcode e = curl_url_set(u, CURLUPART_URL, http, CURLU_URLENCODE);
    io->host->free(http);
    return !e;
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *value = NULL;
    bool there = !curl_url_get(u, part, &value, 0);
    curl_free(value);
    return there;
}

static bool is_plain(const char *host)
{
    while ((unsigned char)*host > ' ' && (unsigned char)*host < 127) host++;
    return !*host;
}

static char *join(struct lam_io *io, const char *path, const char *query)
{
    size_t n = strlen(path) + 2 + (query ? strlen(query) : 0);
    char *target = io->host->alloc(n);
    snprintf(target, n, "%s%s%s", path, query ? "?" : "", query ? query : "");
    return target;
}

static bool take_parts(struct lam_io *io, CURLU *u, bool tls, struct url *out)
{
    char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    curl_url_get(u, CURLUPART_QUERY, &query, 0);
    bool ok = !curl_url_get(u, CURLUPART_HOST, &host, 0) && !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
              !curl_url_get(u, CURLUPART_PATH, &path, 0) && is_plain(host) && strlen(host) < 256;
    if (ok) {
        bool usual = !strcmp(port, tls ? "443" : "80");
        snprintf(out->name, sizeof out->name, "ws%s://%s:%s", tls ? "s" : "", host, port);
        snprintf(out->connect, sizeof out->connect, "http%s://%s:%s", tls ? "s" : "", host, port);
        snprintf(out->host, sizeof out->host, "%s%s%s", host, usual ? "" : ":", usual ? "" : port);
        out->target = join(io, path, query);
    }
    curl_free(host), curl_free(port), curl_free(path), curl_free(query);
    return ok;
}

int url_read(struct lam_io *io, const char *text, struct url *out, struct lam_error *err)
{
    bool plain = text && !strncasecmp(text, "ws://", 5), tls = text && !strncasecmp(text, "wss://", 6);
    if (!text) return refuse(io, err, "is missing", "say url = 'ws://host:port/path', or mode = 'server' to be connected to");
    if (!plain && !tls) return refuse(io, err, "does not begin with ws:// or wss://", "write it as 'wss://host/path'");
    CURLU *u = curl_url();
    bool ok = u && parse(io, u, text, tls);
    int result = LAM_IO_OK;
    if (ok && (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD)))
        result = refuse(io, err, "holds a user or password", "say auth.type = 'basic', auth.username and auth.password");
    else if (ok && has_part(u, CURLUPART_FRAGMENT))
        result = refuse(io, err, "has a fragment (#), which no WebSocket has", "write %23 for a # that is meant");
    else if (!ok || !take_parts(io, u, tls, out))
        result = refuse(io, err, "cannot be read", "write it as 'wss://host:port/path?query', the host in ASCII");
    curl_url_cleanup(u);
    return result;
}

void url_done(struct url *u, struct lam_io *io)
{
    io->host->free(u->target);
    u->target = NULL;
}
