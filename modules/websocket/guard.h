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

/* Reads the options of GUARD_OPTIONS. OK or OPTION. */
int guard_open(struct guard *g, struct lam_io *io, struct lam_error *err);
void guard_close(struct guard *g, struct lam_io *io);

/* For the table of a class that listens. */
#define GUARD_OPTIONS                                                                                                  \
    {.name = "auth.type",                                                                                              \
     .type = LAM_OPTION_ENUM,                                                                                          \
     .values = "bearer|basic",                                                                                         \
     .sentence = "What clients must show in the header Authorization before they are let in; unset, nothing."},        \
        {.name = "auth.token",                                                                                         \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_SECRET,                                                                                   \
         .sentence = "The token of auth.type = 'bearer'."},                                                            \
        {.name = "auth.username",                                                                                      \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "The name of auth.type = 'basic'."},                                                              \
        {.name = "auth.password",                                                                                      \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .flags = LAM_OPTION_SECRET,                                                                                   \
         .sentence = "The password of auth.type = 'basic'."},                                                          \
        {.name = "tls.certificate.location",                                                                           \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "A PEM file with the server's certificate and those that vouch for it: then it is wss://."},      \
        {.name = "tls.key.location",                                                                                   \
         .type = LAM_OPTION_TEXT,                                                                                      \
         .sentence = "A PEM file with the certificate's key, which others must not be able to read."},                 \
        {.name = "allow.insecure",                                                                                     \
         .type = LAM_OPTION_BOOL,                                                                                      \
         .dflt = "false",                                                                                              \
         .sentence = "Listens on other addresses than the loopback although there is no TLS or no auth.type."}

#endif
