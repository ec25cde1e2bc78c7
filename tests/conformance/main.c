/* conformance [CONNECTOR]: one line a connector and case. SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include "connector/mock.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char outcome[600];
static bool failed;

void suite_fail(const char *file, int line, const char *cond, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(outcome, sizeof outcome, "%s:%d: %s: ", file, line, cond);
    va_start(ap, fmt);
    vsnprintf(outcome + n, sizeof outcome - (size_t)n, fmt, ap);
    va_end(ap);
    failed = true;
}

void suite_states(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(outcome, sizeof outcome, fmt, ap);
    va_end(ap);
}

int64_t suite_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

bool suite_until(bool (*fact)(void *ctx), void *ctx)
{
    for (int64_t until = suite_now() + 10000000; suite_now() < until; usleep(2000))
        if (fact(ctx)) return true;
    return fact(ctx);
}

/* A class is known by its other names once its module is there. */
static void load(const struct subject *s)
{
    struct run r = run_open(0);
    if (s->module) lam_load_module(r.db, s->module);
    run_close(&r);
}

static int run_cases(const struct subject *s, const struct test_case *cases, const char *kind)
{
    int bad = 0;
    load(s);
    for (; cases->name; cases++) {
        outcome[0] = 0;
        failed = false;
        int64_t began = suite_now();
        alarm(60); /* a case that hangs ends the program, and which it was stands in the last line */
        fprintf(stderr, "%-7s%-15s%-10s", kind, s->name, cases->name);
        world_make();
        if (s->set_up) s->set_up();
        cases->run(s);
        if (s->tear_down) s->tear_down();
        world_end();
        mock_reset();
        bad += failed;
        fprintf(stderr, "%s%s%s (%lld ms)\n",
                failed     ? "FAILED "
                : *outcome ? "states: "
                           : "ok",
                outcome, "", (long long)(suite_now() - began) / 1000);
    }
    return bad;
}

static bool wanted(const struct subject *s, const char *name)
{
    if (name) return !strcmp(name, s->name);
    return !s->needs || getenv(s->needs);
}

int main(int argc, char **argv)
{
    (void)argc;
    int bad = 0;
    signal(SIGPIPE, SIG_IGN);
    for (const struct subject *s = sinks; s->name; s++)
        if (wanted(s, argv[1])) bad += run_cases(s, sink_cases, "sink");
    for (const struct subject *s = sources; s->name; s++)
        if (wanted(s, argv[1])) bad += run_cases(s, source_cases, "source");
    fprintf(stderr, "%d failed\n", bad);
    return bad != 0;
}
