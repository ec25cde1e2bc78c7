/* The other side of the WebSocket sink as a server: LAMINAR_WEBSOCKET is a Python program that is a client of port $1, adds each record to
 * rows.json in the folder $2, comes back where it stood, and has the file `connected` there while it is. SPDX-License-Identifier:
 * Apache-2.0 */
#include "suite.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int world_port; /* that the sink is to listen on; nobody has it when the case begins */
static pid_t client;

static int dial(int port, bool binds)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = binds ? !bind(fd, (struct sockaddr *)&a, n) && !getsockname(fd, (struct sockaddr *)&a, &n) : !connect(fd, (struct sockaddr *)&a, n);
    close(fd);
    return ok ? ntohs(a.sin_port) : 0;
}

static void start_client(void)
{
    char port[16];
    snprintf(port, sizeof port, "%d", world_port);
    unlink(world_path("connected"));
    client = fork();
    if (client) return;
    execlp("python3", "python3", getenv("LAMINAR_WEBSOCKET"), port, world, (char *)NULL);
    _exit(127);
}

static void stop_client(void)
{
    if (!client) return;
    kill(client, SIGKILL);
    waitpid(client, NULL, 0);
    client = 0;
}

void websocket_up(void)
{
    world_port = dial(0, true);
    start_client();
}
void websocket_end(void)
{
    stop_client();
}

static bool is_connected(void *ctx)
{
    (void)ctx;
    return !access(world_path("connected"), F_OK);
}
static bool is_left(void *ctx)
{
    return !is_connected(ctx);
}

void websocket_ready(void)
{
    suite_until(is_connected, NULL);
}

/* What a server has sent before it ended is still on its way then. */
char *websocket_arrived(void)
{
    if (!dial(world_port, false)) suite_until(is_left, NULL);
    return world_read("rows.json");
}

void websocket_away(bool down)
{
    if (down)
        stop_client();
    else
        start_client();
    if (!down) websocket_ready();
}

void websocket_hold(bool hold)
{
    if (client) kill(client, hold ? SIGSTOP : SIGCONT);
}
