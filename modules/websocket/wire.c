/* See wire.h. SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_BYTES (16 << 10) /* of one record of TLS, at most */

/* ---- certificate and key */

static int no_password(char *to, int n, int writes, void *ctx)
{
    (void)to, (void)n, (void)writes, (void)ctx;
    return 0;
}

/* What OpenSSL says first, without the file it stood in. */
static const char *reason(void)
{
    unsigned long e = ERR_get_error();
    const char *why = e ? ERR_reason_error_string(e) : NULL;
    ERR_clear_error();
    return why ? why : "it cannot be read";
}

static int check_key(struct lam_io *io, const char *key, struct lam_error *err)
{
    struct stat s;
    const struct lam_host *h = io->host;
    if (stat(key, &s)) return h->fail(err, LAM_IO_OPTION, "tls.key.location of %s: %s: %s", io->name, key, strerror(errno));
    if (!(s.st_mode & (S_IRWXO | S_IWGRP))) return LAM_IO_OK;
    h->fail(err, LAM_IO_OPTION, "tls.key.location of %s: others may read or change %s", io->name, key);
    h->hint(err, "chmod 600 %s, and make a new key if others had the time", key);
    return LAM_IO_OPTION;
}

SSL_CTX *wire_server_tls(struct lam_io *io, const char *certificate, const char *key, struct lam_error *err)
{
    if (check_key(io, key, err)) return NULL;
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    ERR_clear_error();
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(c, no_password);
    const char *option = "tls.certificate.location", *file = certificate;
    bool ok = SSL_CTX_use_certificate_chain_file(c, certificate) == 1;
    if (ok) {
        option = "tls.key.location", file = key;
        ok = SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(c) == 1;
    }
    if (ok) return c;
    io->host->fail(err, LAM_IO_OPTION, "%s of %s: %s: %s", option, io->name, file, reason());
    io->host->hint(err, "both are PEM files; the key is that of the first certificate, and has no password");
    SSL_CTX_free(c);
    return NULL;
}

/* ---- sockets, as OpenSSL sees them: its own way would end the process by SIGPIPE when a client has gone */

static int fd_of(BIO *b)
{
    return (int)(intptr_t)BIO_get_data(b);
}

static int put(BIO *b, const char *p, int n)
{
    BIO_clear_retry_flags(b);
    ssize_t k = send(fd_of(b), p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(b);
    return (int)k;
}

static int get(BIO *b, char *to, int n)
{
    BIO_clear_retry_flags(b);
    ssize_t k = recv(fd_of(b), to, (size_t)n, MSG_DONTWAIT);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(b);
    return (int)k;
}

static long control(BIO *b, int what, long n, void *p)
{
    (void)b, (void)n, (void)p;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *sockets;
static pthread_once_t sockets_once = PTHREAD_ONCE_INIT;

static void make_sockets(void)
{
    sockets = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(sockets, put);
    BIO_meth_set_read(sockets, get);
    BIO_meth_set_ctrl(sockets, control);
}

/* ---- the connection */

void wire_open(struct wire *w, int fd, SSL_CTX *tls)
{
    *w = (struct wire){.fd = fd};
    if (!tls) return;
    w->tls = SSL_new(tls);
    pthread_once(&sockets_once, make_sockets);
    BIO *b = BIO_new(sockets);
    BIO_set_data(b, (void *)(intptr_t)fd);
    BIO_set_init(b, 1);
    SSL_set_bio(w->tls, b, b);
    SSL_set_accept_state(w->tls);
}

static ssize_t fail(struct wire *w, int result)
{
    int why = SSL_get_error(w->tls, result);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    w->is_broken = true;
    errno = ECONNRESET;
    return -1;
}

ssize_t wire_recv(struct wire *w, void *to, size_t n)
{
    if (!w->tls) return recv(w->fd, to, n, 0);
    int k = SSL_read(w->tls, to, n < RECORD_BYTES ? (int)n : RECORD_BYTES);
    w->wants_out = k <= 0 && SSL_want_write(w->tls);
    return k > 0 ? k : fail(w, k);
}

bool wire_has_more(const struct wire *w)
{
    return w->tls && SSL_pending(w->tls) > 0;
}

static void forget_out(struct wire *w, struct lam_io *io)
{
    if (!w->out) return;
    io->host->free(w->out);
    io->host->account(io, -RECORD_BYTES);
    w->out = NULL;
    w->n_out = 0;
}

bool wire_flush(struct wire *w, struct lam_io *io)
{
    while (w->n_out) {
        int k = SSL_write(w->tls, w->out, (int)w->n_out);
        if (k <= 0) {
            fail(w, k);
            return false;
        }
        w->n_out -= (uint32_t)k;
        memmove(w->out, w->out + k, w->n_out);
    }
    forget_out(w, io);
    return true;
}

static void take(struct wire *w, struct lam_io *io, const struct iovec *parts, int n)
{
    w->out = io->host->resize(NULL, 0, RECORD_BYTES);
    io->host->account(io, RECORD_BYTES);
    for (int i = 0; i < n && w->n_out < RECORD_BYTES; i++) {
        size_t k = RECORD_BYTES - w->n_out < parts[i].iov_len ? RECORD_BYTES - w->n_out : parts[i].iov_len;
        memcpy(w->out + w->n_out, parts[i].iov_base, k);
        w->n_out += (uint32_t)k;
    }
}

ssize_t wire_send(struct wire *w, struct lam_io *io, const struct iovec *parts, int n)
{
    if (!w->tls) {
        struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)n};
        return sendmsg(w->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (!wire_flush(w, io)) return -1;
    take(w, io, parts, n);
    ssize_t taken = w->n_out;
    wire_flush(w, io);
    return w->is_broken ? -1 : taken;
}

void wire_end(struct wire *w)
{
    if (w->tls && !w->is_broken && SSL_is_init_finished(w->tls)) SSL_shutdown(w->tls);
    ERR_clear_error();
    shutdown(w->fd, SHUT_WR);
}

void wire_close(struct wire *w, struct lam_io *io)
{
    SSL_free(w->tls);
    forget_out(w, io);
    close(w->fd);
}
