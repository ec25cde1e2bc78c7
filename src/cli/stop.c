/* Ending on SIGINT, SIGTERM, or when nobody reads our output any more. All threads block both signals; one waits for
 * them and cancels what the session waits for, so that no handler runs in the library's threads.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static _Atomic int came;
static _Atomic bool at_prompt;
static pthread_t main_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lam_session *target; /* under lock */

static void note(int sig)
{
    atomic_store(&came, sig);
}

static sigset_t both(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

static void cancel_target(void)
{
    pthread_mutex_lock(&lock);
    if (target) lam_cancel(target);
    pthread_mutex_unlock(&lock);
}

/* A cancel that comes between two waiting calls is lost, so it is repeated until the main thread has seen the signal.
 */
static void stop(int sig, const sigset_t *set)
{
    const struct timespec again = {.tv_nsec = 50000000};
    atomic_store(&came, sig);
    if (atomic_load(&at_prompt)) _exit(128 + sig);
    while (atomic_load(&came)) {
        cancel_target();
        int second = sigtimedwait(set, NULL, &again);
        if (second > 0) _exit(128 + second);
    }
}

/* The reader of our output may go as well: that is the end of what is wanted. */
static void *wait_for_signals(void *arg)
{
    (void)arg;
    sigset_t set = both();
    struct pollfd fds[] = {
        {signalfd(-1, &set, SFD_CLOEXEC), POLLIN, 0},
        {1,          0,              0                         }
    };
    struct signalfd_siginfo info;
    while (poll(fds, 2, -1) > 0) {
        if (fds[1].revents) {
            fds[1].fd = -1;
            stop(SIGPIPE, &set);
        } else if (read(fds[0].fd, &info, sizeof info) != sizeof info) {
            break;
        } else if (info.ssi_signo == SIGINT && atomic_load(&at_prompt)) {
            pthread_kill(main_thread, SIGINT);
        } else {
            stop((int)info.ssi_signo, &set);
        }
    }
    return NULL;
}

void stop_begin(void)
{
    pthread_t thread;
    sigset_t set = both();
    struct sigaction act = {.sa_handler = note};
    main_thread = pthread_self();
    sigaction(SIGINT, &act, NULL); /* without SA_RESTART: it ends the reading of a line */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (!pthread_create(&thread, NULL, wait_for_signals, NULL)) pthread_detach(thread);
}

void stop_target(struct lam_session *s)
{
    pthread_mutex_lock(&lock);
    target = s;
    pthread_mutex_unlock(&lock);
}

int stop_signal(void)
{
    return atomic_load(&came);
}

int stop_status(void)
{
    return stop_signal() == SIGPIPE ? EXIT_OK : 128 + stop_signal();
}

void stop_clear(void)
{
    atomic_store(&came, 0);
}

void stop_at_prompt(bool yes)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    atomic_store(&at_prompt, yes);
    pthread_sigmask(yes ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}
