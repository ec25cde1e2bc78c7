/* Bytes to and from a peer, plain or by TLS, without waiting. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_WIRE_H
#define WEBSOCKET_WIRE_H

#include <laminar_connector.h>
#include <openssl/ssl.h>

#include <sys/types.h>
#include <sys/uio.h>

struct wire {
    int fd;
    SSL *tls;      /* NULL: plain */
    char *out;     /* TLS: what was taken and is not sent; a record that was begun cannot be changed any more */
    uint32_t n_out;
    bool wants_out; /* TLS: reading waits until the socket takes something */
    bool is_broken;
};

/* Certificate and key of a server; NULL: err says why. Keys that others may read are refused. */
SSL_CTX *wire_server_tls(struct lam_io *io, const char *certificate, const char *key, struct lam_error *err);

void wire_open(struct wire *w, int fd, SSL_CTX *tls); /* tls NULL: plain; else the server's side of it */
/* As recv and sendmsg: 0: the peer has hung up; -1 with EAGAIN: nothing now; -1: it is broken. */
ssize_t wire_recv(struct wire *w, void *to, size_t n);
ssize_t wire_send(struct wire *w, struct lam_io *io, const struct iovec *parts, int n);
bool wire_flush(struct wire *w, struct lam_io *io); /* true: nothing that was taken is left */
/* Whether there are bytes to read that the socket no longer shows. */
bool wire_has_more(const struct wire *w);
void wire_end(struct wire *w); /* nothing more will be sent */
void wire_close(struct wire *w, struct lam_io *io);

#endif
