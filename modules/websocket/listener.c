/* See listener.h. SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "host:port", "[host]:port", "port": host is loopback when there is none. */
static bool split_address(const char *text, char host[64], char port[8])
{
    const char *colon = strrchr(text, ':'), *from = text, *to = colon;
    strcpy(host, "127.0.0.1");
    if (colon && *from == '[' && to > from && to[-1] == ']')
        from++, to--;
    else if (colon && memchr(from, ':', (size_t)(to - from)))
        return false;
    if (colon && to > from) {
        if (to - from > 63) return false;
        snprintf(host, 64, "%.*s", (int)(to - from), from);
    }
    if (!strcmp(host, "localhost")) strcpy(host, "127.0.0.1");
    const char *digits = colon ? colon + 1 : text;
    size_t n = strlen(digits);
    if (!n || n > 5 || strspn(digits, "0123456789") != n || atoi(digits) > 65535) return false;
    strcpy(port, digits);
    return true;
}

static int bad_address(struct lam_io *io, const struct listening *l, struct lam_error *err)
{
    io->host->fail(err, LAM_IO_OPTION, "bind.address '%s' of %s is no address of this machine and a port", l->address,
                   io->name);
    io->host->hint(
        err, "write it as '127.0.0.1:8080', '[::1]:8080', or '0.0.0.0:8080' for all networks; port 0 takes a free one");
    return LAM_IO_OPTION;
}

/* Any other would be compared with what clients ask for, and never be it. */
static int check_path(struct lam_io *io, const struct listening *l, struct lam_error *err)
{
    const char *p = l->path;
    while (*p > ' ' && *p < 127 && *p != '?' && *p != '#') p++;
    if (*l->path == '/' && !*p) return LAM_IO_OK;
    io->host->fail(err, LAM_IO_OPTION, "path '%s' of %s is nothing that a client can ask for", l->path, io->name);
    io->host->hint(err, "it begins with a slash and has no query; what is no ASCII is written as %%XX");
    return LAM_IO_OPTION;
}

int listener_fail(struct lam_io *io, const struct listening *l, struct lam_error *err)
{
    int e = errno;
    io->host->fail(err, LAM_IO_CONNECT, "%s cannot listen on %s: %s", io->name, l->address, strerror(e));
    if (e == EADDRINUSE) io->host->hint(err, "another program has this port: choose another by bind.address");
    return LAM_IO_CONNECT;
}

static void tell_name(struct lam_io *io, const struct listening *l, int fd, char name[LISTENER_NAME])
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    char host[64] = "?", port[8] = "?";
    if (!getsockname(fd, (struct sockaddr *)&a, &n))
        getnameinfo((struct sockaddr *)&a, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    bool six = strchr(host, ':');
    snprintf(name, LISTENER_NAME, "%s://%s%s%s:%s%.40s", l->is_tls ? "wss" : "ws", six ? "[" : "", host, six ? "]" : "", port, l->path);
    io->host->log(io, 2, "listening on %s", name);
}

static int listen_at(const struct listening *l, const struct addrinfo *a)
{
    int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, (int)l->backlog)) return fd;
    int e = errno;
    close(fd);
    errno = e;
    return -1;
}

static bool is_loopback(const struct addrinfo *a)
{
    if (a->ai_family == AF_INET) return ntohl(((struct sockaddr_in *)a->ai_addr)->sin_addr.s_addr) >> 24 == 127;
    return a->ai_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)a->ai_addr)->sin6_addr);
}

static int not_guarded(struct lam_io *io, const struct listening *l, struct lam_error *err)
{
    io->host->fail(err, LAM_IO_OPTION, "%s would be open to everyone who reaches %s: there it needs TLS and auth.type", io->name,
                   l->address);
    io->host->hint(err, "set tls.certificate.location, tls.key.location and auth.type, listen on 127.0.0.1 behind a proxy, or say "
                        "allow.insecure = 'true'");
    return LAM_IO_OPTION;
}

int listener_open(struct lam_io *io, const struct listening *l, int *fd, char name[LISTENER_NAME],
                  struct lam_error *err)
{
    char host[64], port[8];
    struct addrinfo *a = NULL,
                    want = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    if (check_path(io, l, err)) return LAM_IO_OPTION;
    if (!split_address(l->address, host, port) || getaddrinfo(host, port, &want, &a)) return bad_address(io, l, err);
    bool refused = !l->is_guarded && !is_loopback(a);
    if (!refused) *fd = listen_at(l, a);
    freeaddrinfo(a);
    if (refused) return not_guarded(io, l, err);
    if (*fd < 0) return listener_fail(io, l, err);
    tell_name(io, l, *fd, name);
    return LAM_IO_OK;
}
