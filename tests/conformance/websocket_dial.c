/* The other side of the WebSocket sink and source as clients: LAMINAR_WEBSOCKET_PARTNER is a Python program that listens on port $2, takes each
 * message as a line of rows.json in the folder $3 or gives those of in.json there, as $1 says. SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t partner;

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&a, n) || getsockname(fd, (struct sockaddr *)&a, &n)) abort();
    close(fd);
    return ntohs(a.sin_port);
}

static bool is_up(void *ctx)
{
    (void)ctx;
    return !access(world_path("up"), F_OK);
}

static void start(const char *verb)
{
    char port[16];
    world_port = free_port();
    snprintf(port, sizeof port, "%d", world_port);
    partner = fork();
    if (!partner) {
        execlp("python3", "python3", getenv("LAMINAR_WEBSOCKET_PARTNER"), verb, port, world, (char *)NULL);
        _exit(127);
    }
    suite_until(is_up, NULL);
}

void websocket_dial_take(void)
{
    start("take");
}
void websocket_dial_give(void)
{
    start("give");
}

void websocket_dial_end(void)
{
    kill(partner, SIGKILL);
    waitpid(partner, NULL, 0);
}

char *websocket_dial_arrived(void)
{
    return world_read("rows.json");
}

void websocket_dial_hold(bool hold)
{
    kill(partner, hold ? SIGSTOP : SIGCONT);
}

void websocket_dial_line(const char *text, size_t n, bool last)
{
    world_append("in.json", text, n);
    if (last) world_write("last", "", 0);
}
