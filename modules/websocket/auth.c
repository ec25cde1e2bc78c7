/* See auth.h. SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { AUTH_NONE, AUTH_BEARER, AUTH_BASIC, AUTH_HMAC };

static const struct {
    const char *name;
    int type;
} wanted[] = {
    {"auth.token", AUTH_BEARER},   {"auth.username", AUTH_BASIC}, {"auth.password", AUTH_BASIC},
    {"auth.api.key", AUTH_HMAC}, {"auth.secret", AUTH_HMAC},
};

static int type_of(const struct lam_io *io)
{
    const struct lam_host *h = io->host;
    return h->option_set(io->options, "auth.type") ? (int)h->option_int(io->options, "auth.type") + 1 : AUTH_NONE;
}

static bool is_printable(const char *s)
{
    while ((unsigned char)*s >= ' ' && *s != 127) s++;
    return !*s;
}

int auth_check(struct lam_io *io, struct lam_error *err)
{
    static const char *const types[] = {"", "bearer", "basic", "hmac"};
    const struct lam_host *h = io->host;
    int type = type_of(io);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *value = h->option_text(io->options, wanted[i].name), *name = wanted[i].name;
        if (value && wanted[i].type != type)
            return h->fail(err, LAM_IO_OPTION, "%s of %s is for auth.type = '%s'", name, io->name, types[wanted[i].type]);
        if (!value && wanted[i].type == type)
            return h->fail(err, LAM_IO_OPTION, "auth.type = '%s' of %s needs %s", types[type], io->name, name);
        if (value && !is_printable(value))
            return h->fail(err, LAM_IO_OPTION, "%s of %s holds a control character", name, io->name);
        if (value && !strcmp(name, "auth.username") && strchr(value, ':'))
            return h->fail(err, LAM_IO_OPTION, "auth.username of %s holds a colon", io->name);
    }
    return LAM_IO_OK;
}

static void put_line(struct lam_io *io, struct buffer *out, const char *name, const char *value, size_t n)
{
    buffer_put(out, io, name, strlen(name));
    buffer_put(out, io, value, n);
    buffer_put(out, io, "\r\n", 2);
}

static void put_basic(struct lam_io *io, struct buffer *out)
{
    const char *user = io->host->option_text(io->options, "auth.username");
    const char *password = io->host->option_text(io->options, "auth.password");
    size_t n = strlen(user) + 1 + strlen(password), m = (n + 2) / 3 * 4;
    char *pair = io->host->alloc(n + 1), *text = io->host->alloc(m + 1);
    snprintf(pair, n + 1, "%s:%s", user, password);
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)pair, (int)n);
    put_line(io, out, "Authorization: Basic ", text, m);
    OPENSSL_cleanse(pair, n);
    OPENSSL_cleanse(text, m);
    io->host->free(pair);
    io->host->free(text);
}

/* The signature is of the time in milliseconds, the method and the target, one behind the other. */
static void put_hmac(struct lam_io *io, const char *target, struct buffer *out)
{
    const char *key = io->host->option_text(io->options, "auth.api.key");
    const char *secret = io->host->option_text(io->options, "auth.secret");
    char time[32], hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int k = snprintf(time, sizeof time, "%lld", (long long)(io->host->wall(io) / 1000));
    size_t m = strlen(target) + sizeof time + 4;
    char *what = io->host->alloc(m);
    int all = snprintf(what, m, "%sGET%s", time, target);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)what, (size_t)all, sum, &n);
    io->host->free(what);
    for (unsigned i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    put_line(io, out, "X-API-Key: ", key, strlen(key));
    put_line(io, out, "X-Timestamp: ", time, (size_t)k);
    put_line(io, out, "X-Signature: ", hex, 2 * n);
}

void auth_put(struct lam_io *io, const char *target, struct buffer *out)
{
    const char *token = io->host->option_text(io->options, "auth.token");
    switch (type_of(io)) {
    case AUTH_BEARER: put_line(io, out, "Authorization: Bearer ", token, strlen(token)); return;
    case AUTH_BASIC: put_basic(io, out); return;
    case AUTH_HMAC: put_hmac(io, target, out); return;
    }
}
