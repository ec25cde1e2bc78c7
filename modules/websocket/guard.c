/* See guard.h. SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include "auth.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static int lacks(struct lam_io *io, const char *what, const char *needs, struct lam_error *err)
{
    return io->host->fail(err, LAM_IO_OPTION, "%s of %s needs %s", what, io->name, needs);
}

/* base64 of "name:password". */
static char *basic(struct lam_io *io, const char *name, const char *password)
{
    size_t n = strlen(name) + 1 + strlen(password);
    char *plain = io->host->alloc(n + 1), *out = io->host->alloc((n + 2) / 3 * 4 + 1);
    snprintf(plain, n + 1, "%s:%s", name, password);
    EVP_EncodeBlock((unsigned char *)out, (unsigned char *)plain, (int)n);
    explicit_bzero(plain, n);
    io->host->free(plain);
    return out;
}

static int read_auth(struct guard *g, struct lam_io *io, struct lam_error *err)
{
    const struct lam_host *h = io->host;
    int result = auth_check(io, err);
    if (result || !h->option_set(io->options, "auth.type")) return result;
    const char *token = h->option_text(io->options, "auth.token");
    if (h->option_int(io->options, "auth.type") > 1)
        return h->fail(err, LAM_IO_OPTION, "auth.type = 'hmac' of %s is for clients: a server asks for bearer or basic",
                       io->name);
    if (token && !*token) return lacks(io, "auth.type = 'bearer'", "an auth.token that is not empty", err);
    g->scheme = token ? "Bearer" : "Basic";
    const char *name = h->option_text(io->options, "auth.username"), *password = h->option_text(io->options, "auth.password");
    g->credentials = token ? strcpy(h->alloc(strlen(token) + 1), token) : basic(io, name, password);
    return LAM_IO_OK;
}

int guard_open(struct guard *g, struct lam_io *io, struct lam_error *err)
{
    const struct lam_host *h = io->host;
    const char *certificate = h->option_text(io->options, "tls.certificate.location"),
               *key = h->option_text(io->options, "tls.key.location");
    int result = read_auth(g, io, err);
    if (result) return result;
    if (certificate && !key) return lacks(io, "tls.certificate.location", "tls.key.location", err);
    if (key && !certificate) return lacks(io, "tls.key.location", "tls.certificate.location", err);
    if (certificate && !(g->tls = wire_server_tls(io, certificate, key, err))) return LAM_IO_OPTION;
    g->is_enough = (g->tls && g->scheme) || h->option_int(io->options, "allow.insecure");
    return LAM_IO_OK;
}

void guard_close(struct guard *g, struct lam_io *io)
{
    SSL_CTX_free(g->tls);
    if (g->credentials) explicit_bzero(g->credentials, strlen(g->credentials));
    io->host->free(g->credentials);
    *g = (struct guard){0};
}
