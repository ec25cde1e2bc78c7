/* Who may come to a server, and how: TLS and what they must show, of its options. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_GUARD_H
#define WEBSOCKET_GUARD_H

#include "handshake.h"
#include "wire.h"

struct guard {
    SSL_CTX *tls;       /* NULL: none */
    const char *scheme; /* as handshake_rules has them */
    char *credentials;
    bool is_enough; /* to be reached from other machines */
};

/* By its options. OK or OPTION. */
int guard_open(struct guard *g, struct lam_io *io, struct lam_error *err);
void guard_close(struct guard *g, struct lam_io *io);

/* For the table of a class that listens, which has those of auth.h too. */
#define GUARD_OPTIONS                                                                                                  \
    {.name = "tls.certificate.location",                                                                           \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "Server: a PEM file with its certificate and those that vouch for it: then it is wss://."},      \
        {.name = "tls.key.location",                                                                                   \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "Server: a PEM file with the certificate's key, which others must not be able to read."},                 \
        {.name = "allow.insecure",                                                                                     \
         .type = LAM_OPTION_BOOL,                                                                                      \
         .dflt = "false",                                                                                              \
         .sentence = "Server: listens on other addresses than the loopback although there is no TLS or no auth.type."}

#define GUARD_NAMES "tls.certificate.location", "tls.key.location", "allow.insecure"

#endif
